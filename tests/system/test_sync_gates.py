"""The sync sensor on a real Airflow, deferred by a worker and started in the triggerer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from scripts.airflow_harness import LocalAirflow

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# Seconds.
MAX_WAIT = 180.0


@pytest.fixture
def connection_id(emulator: Emulator) -> str:
    return emulator.add_connection()


@pytest.fixture
def run_sync(emulator: Emulator, connection_id: str) -> Callable[[], int]:
    """Run a sync as Airbyte's own schedule does, and return its id."""

    def start() -> int:
        emulator.script_job(connection_id, statuses=[("running", None)], rows=7)
        job_id = emulator.start_sync(connection_id)
        emulator.finish_job(job_id)
        return job_id

    return start


@pytest.mark.parametrize(
    ("dag_id", "needs_worker"), [("gate_of_a_worker", True), ("gate_of_the_triggerer", False)]
)
def test_a_gate_opens_when_a_sync_has_completed(
    dag_id: str,
    needs_worker: bool,
    airflow: LocalAirflow,
    emulator: Emulator,
    connection_id: str,
    run_sync: Callable[[], int],
) -> None:
    def is_polled() -> bool:
        return any(
            each.route == "GET /jobs" and connection_id in each.query.get("connectionId", ())
            for each in emulator.requests
        )

    conf = {"connection_id": connection_id, "since": emulator.now.isoformat()}
    run_id = airflow.api.trigger(dag_id, conf)
    waiting = airflow.api.wait_for_task(dag_id, run_id, "gate", ["deferred"], timeout=MAX_WAIT)
    poll(is_polled, timeout=MAX_WAIT, what="a request for the jobs of the connection")

    assert (waiting.pid is not None) is needs_worker

    job_id = run_sync()
    done = airflow.api.wait_for_task(dag_id, run_id, "gate", ["success"], timeout=MAX_WAIT)
    result = airflow.api.xcom(dag_id, run_id, "gate")

    assert done.try_number == 1
    assert (result["job_id"], result["status"], result["rows_synced"]) == (job_id, "succeeded", 7)
    assert airflow.api.extra_links(dag_id, run_id, "gate")["Airbyte job"] == result["job_url"]
