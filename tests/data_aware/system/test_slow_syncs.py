"""The alarm of a slow sync that waits in the triggerer."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from scripts.airflow_harness import LocalAirflow
from tests.data_aware.system.observed import MAX_WAIT

# The DAG looks every half second.
LOOKS = 30

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_a_slow_sync_is_told_of_once_with_its_job_and_then_awaited(
    airflow: LocalAirflow, emulator: Emulator, slow_syncs: Path
) -> None:
    connection_id = emulator.add_connection()
    emulator.script_job(connection_id, statuses=[("running", None)], rows=7)
    run_id = airflow.api.trigger("slow_sync", {"connection_id": connection_id})

    poll(slow_syncs.exists, timeout=MAX_WAIT, what="the alarm")
    airflow.api.wait_for_task("slow_sync", run_id, "sync", ["deferred"], timeout=MAX_WAIT)
    [job_id] = [each.id for each in emulator.jobs.values() if each.connection_id == connection_id]
    # For longer than a trigger keeps its event back: what would raise a second alarm has done so.
    looks = reads_of(emulator, job_id) + LOOKS
    poll(
        lambda: reads_of(emulator, job_id) >= looks or len(told(slow_syncs)) > 1,
        timeout=MAX_WAIT,
        what="the trigger to go on after the alarm",
    )
    emulator.finish_job(job_id)
    state = airflow.api.wait_for_run("slow_sync", run_id, timeout=MAX_WAIT)

    assert state == "success"
    assert airflow.api.xcom("slow_sync", run_id, "sync")["job_id"] == job_id
    assert told(slow_syncs) == [f"{run_id} {job_id}"]


def told(slow_syncs: Path) -> list[str]:
    return slow_syncs.read_text(encoding="utf-8").splitlines()


def reads_of(emulator: Emulator, job_id: int) -> int:
    return sum(each.path.endswith(f"/jobs/{job_id}") for each in emulator.requests)
