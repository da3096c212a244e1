"""
Write ``.env`` for docker-compose.yml: ``.env.example`` with a secret for every empty value.

Run by ``make env``. It needs nothing but Python: no virtual environment, no other package.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import string
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLE = PROJECT / ".env.example"
TARGET = PROJECT / ".env"

FERNET_KEY = "AIRFLOW_FERNET_KEY"
EMPTY_SETTING = re.compile(r"^([A-Z_]+)=$", re.MULTILINE)

# Letters and digits mean the same in a command line, a URL, JSON, YAML and .env itself. A password
# that began with "-" was read as an option by `airflow users create --password`.
SECRET_ALPHABET = string.ascii_letters + string.digits
# Airflow signs its tokens with HS512, whose key should have at least 64 bytes (RFC 7518, 3.2).
SECRET_LENGTH = 64


class EnvFileExistsError(Exception):
    """The file already exists and was left unchanged."""


def main() -> None:
    """Write ``.env`` beside ``.env.example``; the exit code is 1 if it exists already."""
    try:
        write_env(EXAMPLE, TARGET)
    except (EnvFileExistsError, OSError) as error:
        sys.exit(str(error))
    print(f"{TARGET} has new secrets. Start the cluster: docker compose up --build --detach --wait")


def write_env(example: Path, target: Path) -> None:
    """
    Write *target* with the settings of *example* and new secrets, readable by its owner only.

    Other processes see the whole file or none.

    :param example: File with lines ``NAME=value``; an empty value stands for a secret.
    :param target: File to create.
    :raises EnvFileExistsError: *target* exists.
    """
    text = fill_secrets(example.read_text(encoding="utf-8"))
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=target.parent, prefix=f"{target.name}."
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        try:
            # Unlike a rename, a link never replaces a file.
            os.link(file.name, target)
        except FileExistsError:
            raise EnvFileExistsError(
                f"{target} already exists and was not changed: {FERNET_KEY} must stay the same, or "
                "Airflow cannot read the connections that it has stored. To start from scratch, "
                "run `docker compose down --volumes` and delete the file."
            ) from None


def fill_secrets(text: str) -> str:
    """Return the settings *text* with a secret of its own for every empty value."""
    return EMPTY_SETTING.sub(lambda match: match[0] + make_secret(match[1]), text)


def make_secret(name: str) -> str:
    """Return a new random value for the setting *name*."""
    if name == FERNET_KEY:
        return make_fernet_key()
    return "".join(secrets.choice(SECRET_ALPHABET) for _ in range(SECRET_LENGTH))


def make_fernet_key() -> str:
    """Return 32 random bytes in URL-safe base64 that do not begin with ``-`` or ``_``."""
    while True:
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        if key[0] not in "-_":
            return key


if __name__ == "__main__":
    main()
