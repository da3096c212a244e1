"""The data plane of the demo: what the connector does is what happens to the Airbyte job."""

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


def connector_runs(landing: ConnectorToDuckDB) -> bool:
    return any(
        process.info["ppid"] == os.getpid()
        and str(landing.connector) in (process.info["cmdline"] or ())
        for process in psutil.process_iter(["ppid", "cmdline"])
    )


def test_a_connector_that_refuses_its_configuration_fails_the_job_in_its_own_words(
    emulator: Emulator,
) -> None:
    job_id = start_sync(emulator, {"count": "many"})
    poll(lambda: emulator.jobs[job_id].is_terminal, timeout=60, what="the end of the job")
    job = emulator.jobs[job_id]
    assert job.status == "failed"
    failure = job.attempts[-1].failure
    assert failure is not None
    assert "'many' is not of type 'integer'" in failure.message
    assert failure.type == "config_error"


def test_cancelling_the_job_ends_the_connector(
    emulator: Emulator, landing: ConnectorToDuckDB
) -> None:
    job_id = start_sync(emulator, {"count": 10_000_000, "parallelism": 1})
    poll(lambda: landing.emitted.get(job_id), timeout=60, what="the first record")
    emulator.cancel_job(job_id)
    poll(lambda: not connector_runs(landing), timeout=60, what="the end of the connector")
    assert emulator.jobs[job_id].status == "cancelled"
