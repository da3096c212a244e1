"""The demo's data plane: an Airbyte job ends as its connector does, and cancelling stops both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psutil
import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from scripts.connector_to_duckdb import ConnectorToDuckDB

pytestmark = pytest.mark.system


def start_sync(emulator: Emulator, configuration: Mapping[str, Any]) -> int:
    source_id = emulator.add_source(configuration=configuration)
    return emulator.start_sync(emulator.add_connection(source_id=source_id))


def is_connector_running(data_plane: ConnectorToDuckDB) -> bool:
    return any(
        process.info["ppid"] == os.getpid()
        and str(data_plane.connector) in (process.info["cmdline"] or ())
        for process in psutil.process_iter(["ppid", "cmdline"])
    )


def test_a_job_fails_with_the_error_message_of_its_connector(emulator: Emulator) -> None:
    job_id = start_sync(emulator, {"count": "many"})
    poll(lambda: emulator.jobs[job_id].is_terminal, timeout=60, what="the job to end")
    job = emulator.jobs[job_id]
    assert job.status == "failed"
    failure = job.attempts[-1].failure
    assert failure is not None
    assert "'many' is not of type 'integer'" in failure.message
    assert failure.type == "config_error"


def test_cancelling_a_job_stops_its_connector(
    emulator: Emulator, data_plane: ConnectorToDuckDB
) -> None:
    job_id = start_sync(emulator, {"count": 10_000_000, "parallelism": 1})
    poll(lambda: data_plane.emitted.get(job_id), timeout=60, what="the first record")
    emulator.cancel_job(job_id)
    poll(lambda: not is_connector_running(data_plane), timeout=60, what="the connector to stop")
    assert emulator.jobs[job_id].status == "cancelled"
