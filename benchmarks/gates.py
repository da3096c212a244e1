"""
What a sync sensor saves that starts in the triggerer, on a real Airflow with PostgreSQL.

Both kinds of sensor wait for a sync that is running, one at a time and in turns, so nothing else
competes for the machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from airflow_provider_airbyte_sme.triggers.resumption import SAFE_AFTER
from benchmarks.airbyte import CONN_VARIABLE, REPOSITORY, AirbyteServer, RunningJob
from benchmarks.triggerer import LATENCY
from scripts import postgres
from scripts.airflow_api import AirflowApi
from scripts.airflow_harness import LocalAirflow

DAGS = REPOSITORY / "tests" / "system" / "dags"

# The DAGs of the two kinds, whose sensors read each second, and a name for each.
KINDS = {
    "gate_of_a_worker": "deferred by a worker",
    "gate_of_the_triggerer": "start_from_trigger",
}
_MAX_WAIT = 120.0  # seconds
# Seconds from the deferral to the end of the sync. A trigger holds an earlier event back until
# Airflow can take it: see SAFE_AFTER.
_LEAD = SAFE_AFTER + 2.0


@dataclass(frozen=True, slots=True)
class GateFigures:
    """
    What was measured with one kind of sensor. Times are medians in seconds.

    :param kind: One of the names in :data:`KINDS`.
    :param gates: Number of sensors.
    :param deferred: From the request for the DAG run until Airflow shows the sensor as deferred.
    :param opened: From the end of the sync until the sensor has succeeded.
    """

    kind: str
    gates: int
    deferred: float
    opened: float


def measure_gates(report: Callable[[str], None], *, quick: bool) -> list[GateFigures]:
    """
    Measure both kinds of sensor in one Airflow.

    :param report: Called with one line of progress at a time.
    :return: Nothing if PostgreSQL is not installed.
    """
    if not postgres.is_installed():
        report("Sensors on a real Airflow are not measured: PostgreSQL is not installed.")
        return []
    gates = 1 if quick else 5
    times: dict[str, list[tuple[float, float]]] = {dag_id: [] for dag_id in KINDS}
    with (
        tempfile.TemporaryDirectory() as home,
        postgres.LocalPostgres() as database,
        # One more of each kind: the first one of a process imports modules.
        AirbyteServer(connections=(gates + 1) * len(KINDS), latency=LATENCY) as airbyte,
        LocalAirflow(
            home=Path(home),
            dags_folder=DAGS,
            dag_ids=[*KINDS],
            environment={
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
                CONN_VARIABLE: airbyte.airflow_connection,
            },
            report=report,
        ) as airflow,
    ):
        jobs = iter(airbyte.start_jobs())
        for number in range(gates + 1):
            for dag_id in KINDS:
                deferred, opened = _open(dag_id, airflow.api, airbyte, next(jobs))
                report(f"{KINDS[dag_id]}: deferred after {deferred:.1f} s, opened {opened:.1f} s")
                if number:
                    times[dag_id].append((deferred, opened))
    return [
        GateFigures(KINDS[dag_id], gates, *map(median, zip(*times[dag_id], strict=True)))
        for dag_id in KINDS
    ]


def _open(
    dag_id: str, api: AirflowApi, airbyte: AirbyteServer, job: RunningJob
) -> tuple[float, float]:
    """Run one sensor that waits for *job*; return the two times of :class:`GateFigures`."""
    now = time.time()
    conf = {
        "connection_id": job.connection_id,
        "since": datetime.fromtimestamp(now, UTC).isoformat(),
    }
    run_id = api.trigger(dag_id, conf)
    api.wait_for_task(dag_id, run_id, "gate", ["deferred"], timeout=_MAX_WAIT)
    deferred = time.time() - now
    time.sleep(_LEAD)
    airbyte.end_jobs([job], seconds=0)
    ended = airbyte.ended_jobs()[job.job_id]
    task = api.wait_for_task(dag_id, run_id, "gate", ["success"], timeout=_MAX_WAIT)
    assert task.ended_at is not None
    return deferred, task.ended_at.timestamp() - ended
