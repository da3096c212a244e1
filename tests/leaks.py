"""
A search for secrets in what a run leaves behind: texts, log files, and an Airflow database.

It finds a secret as it is and in the forms that programs give to texts: percent-encoded, JSON- and
HTML-escaped, as a Python literal, in hexadecimal, and in base64 at any offset, such as in a Basic
header. It also finds 31 consecutive characters of one, as a truncated message may contain them.

It cannot find a secret that is broken by something in the middle, such as a line break with the
prefix of a log line, or one that is compressed or encrypted. The exception is the compressed DAG in
Airflow's database, which is decompressed.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

# Characters. A shorter secret stands in many texts that have nothing to do with it.
MIN_LENGTH = 8

# Characters of one part of a long secret. Twice as many, less one, contain a whole part.
PART_LENGTH = 16

# Characters around a finding that are shown.
_CONTEXT = 60

# Where an Airflow database keeps connections, which is where the secrets belong.
CONNECTION_TABLES = frozenset({"connection", "connection_test", "connection_test_request"})

_JWT = re.compile(r"eyJ[\w-]+\.[\w-]*\.([\w-]+)")


@dataclass(frozen=True)
class Leak:
    """
    A secret in a text.

    :param name: Of the secret.
    :param place: Where the text was.
    :param form: In which form it stands there.
    :param excerpt: The text around it, without it.
    """

    name: str
    place: str
    form: str
    excerpt: str

    def __str__(self) -> str:
        return f"{self.name} ({self.form}) in {self.place}: {self.excerpt}"


class Search:
    """
    A search for secrets.

    :param secrets: Name to value; a name is shown, a value never. Of a JWT, the signature counts:
        the rest gives no access, and is the same in many tokens.
    :raises ValueError: A secret is too short to be searched for.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._needles: dict[str, tuple[str, str]] = {}
        for name, value in secrets.items():
            if len(value) < MIN_LENGTH:
                raise ValueError(f"{name} has fewer than {MIN_LENGTH} characters")
            token = _JWT.fullmatch(value)
            for part in _parts(token[1] if token else value):
                for form, text in _forms(part):
                    if len(text) >= MIN_LENGTH:
                        self._needles.setdefault(text, (name, form))

    def in_text(self, place: str, text: str) -> Iterator[Leak]:
        """Yield what is found in *text*: each form of each secret once."""
        for needle, (name, form) in self._needles.items():
            start = text.find(needle)
            if start >= 0:
                end = start + len(needle)
                around = text[max(0, start - _CONTEXT) : start], text[end : end + _CONTEXT]
                yield Leak(name, place, form, self._masked("***".join(around)))

    def _masked(self, excerpt: str) -> str:
        for needle in self._needles:
            excerpt = excerpt.replace(needle, "***")
        return " ".join(excerpt.split())

    def in_files(self, *folders: Path) -> Iterator[Leak]:
        """
        Yield what is found in the files of folders and of all folders in them, and in their names.

        :raises ValueError: There is no file.
        """
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        if not files:
            raise ValueError(f"there are no files in {', '.join(map(str, folders))}")
        for path in files:
            yield from self.in_text(f"the name of {path}", str(path))
            yield from self.in_text(str(path), path.read_bytes().decode("utf-8", "replace"))

    def in_database(self, url: str, *, except_tables: Iterable[str] = ()) -> Iterator[Leak]:
        """
        Yield what is found in all columns of all tables.

        :param url: As SQLAlchemy reads it.
        :param except_tables: Are not read.
        :raises ValueError: There is no row.
        """
        # Late: the tests of `api/` run without a database.
        import sqlalchemy

        left_out = frozenset(except_tables)
        engine = sqlalchemy.create_engine(url)
        rows = 0
        try:
            with engine.connect() as connection:
                names = sqlalchemy.inspect(engine).get_table_names()
                for name in sorted(set(names) - left_out):
                    # Not reflected: types of Airflow's own would decode and decrypt.
                    table = sqlalchemy.text(
                        f"SELECT * FROM {engine.dialect.identifier_preparer.quote(name)}"
                    )
                    result = connection.execute(table)
                    columns = list(result.keys())
                    for row in result:
                        rows += 1
                        for column, value in zip(columns, row, strict=True):
                            yield from self.in_text(f"{name}.{column}", _as_text(value))
        finally:
            engine.dispose()
        if not rows:
            raise ValueError(f"there are no rows in {engine.url!r}")


def search_airflow(
    log_folders: Iterable[Path], database_url: str, secrets: Mapping[str, str]
) -> list[Leak]:
    """
    Return what a run of Airflow has leaked into its logs and its database.

    :param log_folders: Of the tasks and of the components; each file in them is read.
    :param database_url: As SQLAlchemy reads it. All tables are read, except for those that keep
        connections.
    :param secrets: As for :class:`Search`.
    :raises ValueError: There is nothing to search, or nothing to search for.
    """
    if not secrets:
        raise ValueError("there are no secrets to search for")
    search = Search(secrets)
    return [
        *search.in_files(*log_folders),
        *search.in_database(database_url, except_tables=CONNECTION_TABLES),
    ]


def told(leaks: Iterable[Leak]) -> str:
    """Return findings as a message, each on a line."""
    lines = [str(leak) for leak in leaks]
    return "\n".join([f"{len(lines)} secrets were found:", *lines])


def _parts(secret: str) -> list[str]:
    """Return the parts of a long secret, of which a truncated message may show some."""
    if len(secret) < 2 * PART_LENGTH:
        return [secret]
    starts = range(0, len(secret) - PART_LENGTH + 1, PART_LENGTH)
    return [secret[start : start + PART_LENGTH] for start in starts]


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    """Yield how programs write *secret*, each with the name of the form."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield "as it is", secret
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield "percent-encoded", encoded
        yield "percent-encoded", re.sub("%..", lambda match: match[0].lower(), encoded)
    for text in (secret, json.dumps(secret)[1:-1]):
        yield "JSON-escaped", json.dumps(text)[1:-1]
        yield "JSON-escaped", json.dumps(text, ensure_ascii=False)[1:-1]
    yield "as a Python literal", repr(secret)[1:-1]
    yield "as a Python literal", repr(raw)[2:-1]
    yield "HTML-escaped", html.escape(secret)
    yield "in hexadecimal", raw.hex()
    for text in _base64_at_any_offset(raw):
        yield "in base64", text
        yield "in base64", text.replace("+", "-").replace("/", "_")


def _base64_at_any_offset(raw: bytes) -> Iterator[str]:
    """Yield the characters that *raw* alone decides, for each place in a text of base64."""
    for offset in range(3):
        padded = bytes(offset) + raw
        encoded = base64.b64encode(padded).decode()
        # Of a character with bits of what stands before or after, nothing is known.
        yield encoded[(offset * 8 + 5) // 6 : len(padded) * 8 // 6]


def _as_text(value: object) -> str:
    if isinstance(value, memoryview):
        value = value.tobytes()
    if isinstance(value, bytes):
        with suppress(zlib.error):
            value = zlib.decompress(value)
        return value.decode("utf-8", "replace")
    # A database may return JSON decoded. Other values are numbers, dates or nothing.
    return value if isinstance(value, str) else json.dumps(value, default=str)
