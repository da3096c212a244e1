"""
A data plane for the emulator: a real Airbyte source connector, landed in a DuckDB file.

The connector speaks the Airbyte protocol: ``discover`` and ``read`` print one JSON message a line,
of type CATALOG, RECORD, STATE, LOG or TRACE (docs.airbyte.com, "Airbyte Protocol").
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

SCHEMA = "airbyte"
"""Where the tables are, one for each stream."""

LOCK_TIMEOUT = 30.0
"""Seconds to wait while another process, a dbt build, has the file open."""

AIRBYTE_COLUMNS = {
    "_airbyte_raw_id": "UUID",
    "_airbyte_extracted_at": "TIMESTAMPTZ",
    "_airbyte_meta": "JSON",
}
"""What Airbyte's destinations add to each row; ``_airbyte_meta.sync_id`` is the id of the job."""

DUCKDB_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "object": "JSON",
    "array": "JSON",
}
"""JSON schema type to column type."""


class ConnectorError(Exception):
    """The connector failed; the message is its own."""


@dataclass(frozen=True)
class Moved:
    """What a sync moved: RECORD messages, and the bytes of their data as JSON."""

    records: int
    bytes: int


class ConnectorToDuckDB:
    """
    Run the syncs of one source connector into one DuckDB file.

    :param connector: The connector's command, e.g. ``.venv/faker/bin/source-faker``.
    :param configuration: The connector's configuration.
    :param database: The DuckDB file.
    """

    def __init__(self, connector: Path, configuration: Mapping[str, Any], database: Path) -> None:
        self.connector = connector
        self.database = database
        self._configuration = configuration
        self._streams: dict[str, Any] = {}

    def discover(self) -> list[str]:
        """Ask the connector which streams it has, remember their schemas, return their names."""
        with tempfile.TemporaryDirectory(prefix="airbyte-discover-") as folder:
            for message in self._run("discover", Path(folder)):
                if message["type"] == "CATALOG":
                    streams = message["catalog"]["streams"]
                    self._streams = {stream["name"]: stream for stream in streams}
        return list(self._streams)

    def sync(self, sync_id: int, stream_names: Collection[str]) -> Moved:
        """
        Read streams in full and replace their tables, all in one transaction.

        :param sync_id: Id of the Airbyte job, written into each row's ``_airbyte_meta``.
        :raises ConnectorError: The connector failed; the tables stay as they were.
        :raises KeyError: A stream that `discover` did not find.
        """
        schemas = {name: self._streams[name]["json_schema"]["properties"] for name in stream_names}
        records = size = 0
        with tempfile.TemporaryDirectory(prefix="airbyte-read-") as name:
            folder = Path(name)
            files = {stream: folder / f"{stream}.rows.jsonl" for stream in schemas}
            with ExitStack() as stack:
                outputs = {
                    stream: stack.enter_context(file.open("w")) for stream, file in files.items()
                }
                for message in self._run("read", folder, self._configured_catalog(schemas)):
                    if message["type"] == "RECORD":
                        record = message["record"]
                        json.dump(_row(record, sync_id), output := outputs[record["stream"]])
                        output.write("\n")
                        records += 1
                        size += len(json.dumps(record["data"], separators=(",", ":")))
            with open_database(self.database) as database:
                database.begin()
                database.execute(f"create schema if not exists {SCHEMA}")
                for stream, file in files.items():
                    _replace_table(database, stream, _column_types(schemas[stream]), file)
                database.commit()
        return Moved(records, size)

    def _configured_catalog(self, stream_names: Collection[str]) -> dict[str, Any]:
        return {
            "streams": [
                {
                    "stream": self._streams[name],
                    "sync_mode": "full_refresh",
                    "destination_sync_mode": "overwrite",
                }
                for name in stream_names
            ]
        }

    def _run(
        self, command: str, folder: Path, catalog: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the messages of one run of the connector; its files go into *folder*."""
        arguments = [str(self.connector), command]
        for option, content in (("--config", self._configuration), ("--catalog", catalog)):
            if content is not None:
                file = folder / f"{option.strip('-')}.json"
                file.write_text(json.dumps(content))
                arguments += [option, str(file)]
        errors = folder / "stderr"
        reason = ""
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=stderr) as process,
        ):
            try:
                for line in process.stdout or ():
                    message = json.loads(line)
                    if message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                        reason = message["trace"]["error"]["message"]
                    yield message
            except BaseException:
                # Who stops listening before the end must not leave the connector behind.
                process.kill()
                raise
        if process.returncode != 0:
            raise ConnectorError(
                f"{self.connector.name} {command} ended with {process.returncode}: "
                f"{reason or errors.read_text(errors='replace')[-500:] or 'no message'}"
            )


def open_database(file: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """
    Open a DuckDB file as soon as no other process has it open.

    :raises duckdb.IOException: It was not free within `LOCK_TIMEOUT`.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return duckdb.connect(str(file), read_only=read_only)
        except duckdb.IOException:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)


def count_rows(file: Path, sync_id: int) -> int:
    """Count the rows that one sync has left in all tables."""
    with open_database(file, read_only=True) as database:
        tables = database.execute(
            "select table_name from information_schema.tables where table_schema = ?", [SCHEMA]
        ).fetchall()
        counts = [
            database.execute(
                f'select count(*) from {SCHEMA}."{table}"'
                " where (_airbyte_meta ->> 'sync_id')::bigint = ?",
                [sync_id],
            ).fetchall()
            for (table,) in tables
        ]
    return sum(count for ((count,),) in counts)


def _row(record: Mapping[str, Any], sync_id: int) -> dict[str, Any]:
    return {
        **record["data"],
        "_airbyte_raw_id": str(uuid.uuid4()),
        "_airbyte_extracted_at": datetime.fromtimestamp(
            record["emitted_at"] / 1000, UTC
        ).isoformat(),
        "_airbyte_meta": {"sync_id": sync_id, "changes": []},
    }


def _column_types(properties: Mapping[str, Any]) -> dict[str, str]:
    """DuckDB types of a stream's columns, by the JSON schema of its properties."""
    return {**{name: _column_type(each) for name, each in properties.items()}, **AIRBYTE_COLUMNS}


def _column_type(property_schema: Mapping[str, Any]) -> str:
    declared = property_schema["type"]
    kinds = {declared} if isinstance(declared, str) else set(declared)
    kind = (kinds - {"null"}).pop()
    if kind == "string" and property_schema.get("format") == "date-time":
        return "TIMESTAMPTZ"
    return DUCKDB_TYPES[kind]


def _replace_table(
    database: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Path
) -> None:
    database.execute(
        f'create or replace table {SCHEMA}."{table}" as'
        " select * from read_json(?, format = 'newline_delimited', columns = ?)",
        [str(rows), dict(columns)],
    )
