"""
What Airbyte repeats of secrets, on a real Airflow.

At the end of all system tests, its logs and its database are searched for every secret.
"""

from __future__ import annotations

import json

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_harness import LocalAirflow
from tests.system.conftest import GATEWAY_KEY

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# Seconds. A busy machine takes up to 20 to start a task's process.
MAX_WAIT = 180.0


@pytest.mark.parametrize(
    ("dag_id", "route"),
    [("waits_on_worker", "POST /jobs"), ("waits_in_triggerer", "GET /jobs/{jobId}")],
)
def test_a_failed_task_says_why_without_the_secrets_that_airbyte_repeats(
    airflow: LocalAirflow, emulator: Emulator, dag_id: str, route: str
) -> None:
    connection_id = emulator.add_connection()
    repeated = " and ".join(
        [emulator.client_secret, GATEWAY_KEY, *emulator.issued_secrets.values()]
    )
    body = {
        "type": "error:forbidden",
        "title": "forbidden",
        "status": 403,
        "detail": f"told me {repeated}",
    }
    emulator.script_job(connection_id, duration=3600)
    emulator.fail_next(route, 403, body=body, times=None)
    try:
        run_id = airflow.api.trigger(dag_id, {"connection_id": connection_id})
        failed = airflow.api.wait_for_task(dag_id, run_id, "sync", ("failed",), timeout=MAX_WAIT)
    finally:
        emulator.clear_faults()
        for job in list(emulator.jobs.values()):
            if job.connection_id == connection_id and not job.is_terminal:
                emulator.cancel_job(job.id)

    log = "\n".join(airflow.api.log(failed))
    assert "told me ***" in log


def test_a_connection_test_with_a_wrong_secret_leaves_nothing_behind(
    airflow: LocalAirflow, emulator: Emulator
) -> None:
    result = airflow.api.request(
        "POST",
        "/connections/test",
        {
            "connection_id": "tested",
            "conn_type": "airbyte_sme",
            "host": emulator.url,
            "login": emulator.client_id,
            "password": emulator.client_secret[::-1],
            "extra": json.dumps({"headers": {"X-Gateway": GATEWAY_KEY}}),
        },
    )

    assert not result["status"]
    assert emulator.client_secret[::-1] not in json.dumps(result)
