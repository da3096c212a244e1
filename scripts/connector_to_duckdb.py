"""
A data plane for the emulator: loads the records of a real source connector into a DuckDB file.

The connector implements the Airbyte protocol: ``discover`` and ``read`` print one JSON message per
line, of type CATALOG, RECORD, STATE, LOG or TRACE (docs.airbyte.com, "Airbyte Protocol").
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from airflow_provider_airbyte_sme.emulator import SyncContext, SyncFailedError, SyncResult

SCHEMA = "airbyte"
"""Schema of the tables, one per stream."""

LOCK_TIMEOUT = 30.0
"""Seconds to wait while another process, such as a dbt build, has the file open."""

AIRBYTE_COLUMNS = {
    "_airbyte_raw_id": "UUID",
    "_airbyte_extracted_at": "TIMESTAMPTZ",
    "_airbyte_meta": "JSON",
}
"""Columns that Airbyte's destinations add to each row; ``_airbyte_meta.sync_id`` is the job id."""

DUCKDB_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "object": "JSON",
    "array": "JSON",
}
"""JSON schema type to column type."""


class ConnectorToDuckDB:
    """
    Syncs one source connector into one DuckDB file; used as the emulator's ``on_sync``.

    :param connector: The connector's executable, such as ``.venv/faker/bin/source-faker``.
    :param database: The DuckDB file.
    """

    def __init__(self, connector: Path, database: Path) -> None:
        self.connector = connector
        self.database = database
        self.emitted: dict[int, int] = {}
        """Job id to the number of RECORD messages in its last attempt."""
        self._streams: dict[str, Any] = {}

    def discover(self, configuration: Mapping[str, Any]) -> list[str]:
        """
        Discover the connector's streams and store their schemas.

        :return: The names of the streams.
        :raises SyncFailedError: The connector failed; the message comes from the connector.
        """
        with tempfile.TemporaryDirectory(prefix="airbyte-discover-") as folder:
            for message in self._run("discover", Path(folder), configuration):
                if message["type"] == "CATALOG":
                    streams = message["catalog"]["streams"]
                    self._streams = {stream["name"]: stream for stream in streams}
        return list(self._streams)

    def __call__(self, sync: SyncContext) -> SyncResult:
        """
        Read all records of a sync's streams and replace their tables in one transaction.

        :raises SyncFailedError: The connector failed or the sync was cancelled. The tables are
            unchanged then.
        """
        if not self._streams:
            self.discover(sync.source_configuration)
        streams = [self._streams[stream["name"]] for stream in sync.streams]
        self.emitted[sync.job_id] = size = 0
        counts = {stream["name"]: 0 for stream in streams}
        with tempfile.TemporaryDirectory(prefix="airbyte-read-") as name, ExitStack() as stack:
            folder = Path(name)
            rows = {stream["name"]: folder / f"{stream['name']}.rows.jsonl" for stream in streams}
            outputs = {stream: stack.enter_context(file.open("w")) for stream, file in rows.items()}
            for message in self._run("read", folder, sync.source_configuration, streams):
                if message["type"] == "RECORD":
                    record = message["record"]
                    outputs[record["stream"]].write(json.dumps(_row(record, sync.job_id)) + "\n")
                    self.emitted[sync.job_id] += 1
                    counts[record["stream"]] += 1
                    size += len(json.dumps(record["data"]))
                elif sync.is_cancelled():
                    raise SyncFailedError("The sync was cancelled.", origin="airbyte_platform")
            for output in outputs.values():
                output.close()
            with open_database(self.database) as database:
                database.begin()
                database.execute(f"create schema if not exists {SCHEMA}")
                for stream in streams:
                    columns = _column_types(stream["json_schema"]["properties"])
                    _replace_table(database, stream["name"], columns, rows[stream["name"]])
                database.commit()
        return SyncResult(records=sum(counts.values()), bytes=size, records_of=counts)

    def _run(
        self,
        command: str,
        folder: Path,
        configuration: Mapping[str, Any],
        streams: Collection[Mapping[str, Any]] = (),
    ) -> Iterator[dict[str, Any]]:
        """Run the connector, with its files in *folder*, and yield its messages."""
        config = folder / "config.json"
        config.write_text(json.dumps(configuration))
        arguments = [str(self.connector), command, "--config", str(config)]
        if streams:
            catalog = folder / "catalog.json"
            catalog.write_text(json.dumps(_configured_catalog(streams)))
            arguments += ["--catalog", str(catalog)]
        errors = folder / "stderr"
        failure: Mapping[str, Any] = {}
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=stderr) as process,
        ):
            try:
                for line in process.stdout or ():
                    message = json.loads(line)
                    if message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                        failure = message["trace"]["error"]
                    yield message
            except BaseException:
                # Do not leave the connector running when the caller stops reading early.
                process.kill()
                raise
        if process.returncode != 0:
            stderr_tail = errors.read_text(errors="replace")[-500:]
            raise SyncFailedError(
                failure.get("message") or f"{self.connector.name} {command} failed: {stderr_tail}",
                failure_type=failure.get("failure_type", "system_error"),
                internal_message=failure.get("internal_message"),
            )


def open_database(file: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """
    Open a DuckDB file, waiting until no other process has it open.

    :raises duckdb.IOException: The file was still locked after `LOCK_TIMEOUT`.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return duckdb.connect(str(file), read_only=read_only)
        except duckdb.IOException:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)


def count_rows(file: Path, job_id: int) -> int:
    """Count the rows that one Airbyte job wrote, over all tables."""
    with open_database(file, read_only=True) as database:
        tables = database.execute(
            "select table_name from information_schema.tables where table_schema = ?", [SCHEMA]
        ).fetchall()
        counts = [
            database.execute(
                f'select count(*) from {SCHEMA}."{table}"'
                " where (_airbyte_meta ->> 'sync_id')::bigint = ?",
                [job_id],
            ).fetchall()
            for (table,) in tables
        ]
    return sum(count for ((count,),) in counts)


def _configured_catalog(streams: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "streams": [
            {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
            for stream in streams
        ]
    }


def _row(record: Mapping[str, Any], job_id: int) -> dict[str, Any]:
    extracted_at = datetime.fromtimestamp(record["emitted_at"] / 1000, UTC)
    return {
        **record["data"],
        "_airbyte_raw_id": str(uuid.uuid4()),
        "_airbyte_extracted_at": extracted_at.isoformat(),
        "_airbyte_meta": {"sync_id": job_id, "changes": []},
    }


def _column_types(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return a table's column types, from the JSON schema of the stream's properties."""
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
