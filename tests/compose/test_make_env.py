"""``make env`` writes settings that no command of the cluster can misread."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from scripts.make_env import EnvFileExistsError, fill_secrets, make_secret, write_env
from tests.compose.composition import read_settings

# 1 in 32 random keys in URL-safe base64 begins with "-" or "_", so this many draws would show it.
DRAWS = 2_000

SECRETS = (
    "AIRFLOW_ADMIN_PASSWORD",
    "AIRBYTE_CLIENT_SECRET",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
)


@pytest.fixture
def checkout(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """A fresh checkout, with only the files that `make env` needs."""
    for name in ("Makefile", ".env.example", "scripts/make_env.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(pytestconfig.rootpath / name, tmp_path / name)
    return tmp_path


def make_env(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run `make env` with a Python that has the standard library only."""
    return subprocess.run(
        ["make", "env", f"PYTHON={sys.executable} -I -S"],
        cwd=checkout,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_env_needs_only_the_standard_library(checkout):
    finished = make_env(checkout)

    assert finished.returncode == 0, finished.stderr
    assert "docker compose up" in finished.stdout
    assert set(read_settings((checkout / ".env").read_text())) >= set(SECRETS)


def test_make_env_prints_no_secret(checkout):
    finished = make_env(checkout)

    settings = read_settings((checkout / ".env").read_text())
    for name in SECRETS:
        assert settings[name] not in finished.stdout + finished.stderr


def test_make_env_does_not_overwrite_existing_settings(checkout):
    (checkout / ".env").write_text("AIRFLOW_FERNET_KEY=in use\n")

    finished = make_env(checkout)

    assert finished.returncode != 0
    assert f"{checkout / '.env'} already exists and was not changed" in finished.stderr
    assert "AIRFLOW_FERNET_KEY" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert (checkout / ".env").read_text() == "AIRFLOW_FERNET_KEY=in use\n"


def test_a_link_to_a_missing_file_is_not_overwritten(checkout):
    (checkout / ".env").symlink_to(checkout / "missing")

    with pytest.raises(EnvFileExistsError):
        write_env(checkout / ".env.example", checkout / ".env")

    assert (checkout / ".env").is_symlink()
    assert not (checkout / "missing").exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_the_file(checkout, umask):
    before = os.umask(umask)
    try:
        write_env(checkout / ".env.example", checkout / ".env")
    finally:
        os.umask(before)

    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, "AIRFLOW_FERNET_KEY=in use\n"])
def test_no_other_file_is_left_behind(checkout, content):
    if content:
        (checkout / ".env").write_text(content)
    expected = {*checkout.rglob("*"), checkout / ".env"}

    make_env(checkout)

    assert set(checkout.rglob("*")) == expected


def test_every_empty_value_is_filled_and_nothing_else_changes(settings_example):
    example = settings_example.read_text()

    filled = fill_secrets(example)

    assert len(example.splitlines()) == len(filled.splitlines())
    for before, after in zip(example.splitlines(), filled.splitlines(), strict=True):
        if re.fullmatch("[A-Z_]+=", before):
            assert after.startswith(before)
            assert len(after) > len(before)
        else:
            assert after == before


def test_a_value_that_was_given_stays():
    filled = fill_secrets("# A=\nAIRBYTE_CLIENT_SECRET=from Airbyte\nREDIS_PASSWORD=\n")

    assert filled.startswith("# A=\nAIRBYTE_CLIENT_SECRET=from Airbyte\nREDIS_PASSWORD=")
    assert read_settings(filled)["REDIS_PASSWORD"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_never_read_as_an_option_or_a_quote(name):
    drawn = [make_secret(name) for _ in range(DRAWS)]

    allowed = "[A-Za-z0-9][A-Za-z0-9_-]*=" if name == "AIRFLOW_FERNET_KEY" else "[A-Za-z0-9]+"
    assert [secret for secret in drawn if not re.fullmatch(allowed, secret)] == []
    assert len(set(drawn)) == DRAWS


def test_a_fernet_key_encrypts_and_decrypts():
    for _ in range(100):
        key = make_secret("AIRFLOW_FERNET_KEY")
        fernet = Fernet(key)

        assert len(key) == 44
        assert fernet.decrypt(fernet.encrypt(b"open sesame")) == b"open sesame"


def test_the_secret_for_tokens_is_as_long_as_their_algorithm_requires():
    assert len(make_secret("AIRFLOW_JWT_SECRET").encode()) >= 64
