"""What a person sees of the provider on a running Airflow, and what its failures do to a sync."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import TaskInstance, poll
from scripts.airflow_harness import LocalAirflow
from scripts.connector_to_duckdb import ConnectorToDuckDB
from scripts.demo import run_dag

pytestmark = pytest.mark.system

# Seconds, as in the example DAGs.
POLL_INTERVAL = 2.0
# Seconds that Airflow may take to resume a task whose trigger has fired.
RESUME_ALLOWANCE = 3.0

UNTIL_IT_IS_ENDED = [("running", None)]


@dataclass(frozen=True)
class Sync:
    """A run of a DAG of this folder, its task, and the connection that it syncs."""

    airflow: LocalAirflow
    emulator: Emulator
    connection_id: str
    dag_id: str
    run_id: str

    def wait(self, *states: str, try_number: int = 1) -> TaskInstance:
        return self.airflow.api.wait_for_task(
            self.dag_id, self.run_id, "sync", states, try_number=try_number
        )

    def wait_for_job(self, *statuses: str) -> int:
        """Wait until the newest job of the connection is in one of *statuses*; return its id."""

        def job_id() -> int | None:
            jobs = self.jobs
            return max(jobs) if jobs and jobs[max(jobs)] in statuses else None

        return poll(job_id, timeout=60, what=f"a job that is {' or '.join(statuses)}")

    @property
    def jobs(self) -> dict[int, str]:
        """Status of each job of the connection."""
        return {
            job.id: job.status
            for job in self.emulator.jobs.values()
            if job.connection_id == self.connection_id
        }

    @property
    def synced_job_id(self) -> int:
        """The job in the task's result."""
        result = self.airflow.api.xcom(self.dag_id, self.run_id, "sync")
        assert result["status"] == "succeeded"
        job_id: int = result["job_id"]
        return job_id


@pytest.fixture
def connection_id(emulator: Emulator) -> Iterator[str]:
    """A connection of the test's own, on which nothing runs on afterwards."""
    connection_id = emulator.add_connection()
    yield connection_id
    for job in list(emulator.jobs.values()):
        if job.connection_id == connection_id and not job.is_terminal:
            emulator.cancel_job(job.id)


@pytest.fixture
def sync(
    request: pytest.FixtureRequest, airflow: LocalAirflow, emulator: Emulator, connection_id: str
) -> Sync:
    """A task that waits for a job that does not end by itself; jobs after it take a second."""
    emulator.script_job(connection_id, statuses=UNTIL_IT_IS_ENDED)
    emulator.script_job(connection_id, duration=1)
    dag_id = request.param
    run_id = airflow.api.trigger(dag_id, {"connection_id": connection_id})
    return Sync(airflow, emulator, connection_id, dag_id, run_id)


in_triggerer = pytest.mark.parametrize("sync", ["waits_in_triggerer"], indirect=True)
on_worker = pytest.mark.parametrize("sync", ["waits_on_worker"], indirect=True)
everywhere = pytest.mark.parametrize(
    ("sync", "waiting"),
    [("waits_in_triggerer", "deferred"), ("waits_on_worker", "running")],
    indirect=["sync"],
    ids=["deferred", "running"],
)


@pytest.mark.parametrize("dag_id", ["sync_then_dbt", "sensor_gates_dbt"])
def test_an_example_ends_soon_after_its_sync_and_has_built_on_every_row(
    dag_id: str,
    airflow: LocalAirflow,
    emulator: Emulator,
    landing: ConnectorToDuckDB,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = run_dag(airflow, dag_id, landing)
    assert {task.state for task in run.tasks} == {"success"}
    assert run.records == run.result["rows_synced"] == run.rows == 1100
    job = emulator.jobs[run.result["job_id"]]
    job_ended_at, status = job.history[-1]
    assert status == run.result["status"] == "succeeded"
    [task] = [task for task in run.tasks if task.task_id in ("sync", "wait_for_data")]
    assert task.ended_at is not None
    latency = task.ended_at.timestamp() - job_ended_at
    with capsys.disabled():
        print(f"\n{dag_id}: task success {latency:.1f} s after the end of its Airbyte job")
    assert latency <= POLL_INTERVAL + RESUME_ALLOWANCE


@in_triggerer
def test_a_triggerer_restart_neither_cancels_the_job_nor_starts_another(sync: Sync) -> None:
    sync.wait("deferred")
    job_id = sync.wait_for_job("running")
    sync.airflow.stop("triggerer")
    assert sync.jobs == {job_id: "running"}
    sync.airflow.start("triggerer")
    sync.emulator.finish_job(job_id)
    sync.wait("success")
    assert sync.jobs == {job_id: "succeeded"}
    assert sync.synced_job_id == job_id


@in_triggerer
def test_the_death_of_scheduler_and_triggerer_costs_time_and_no_second_job(sync: Sync) -> None:
    sync.wait("deferred")
    job_id = sync.wait_for_job("running")
    for name in ("triggerer", "scheduler"):
        sync.airflow.kill(name)
    sync.emulator.finish_job(job_id)
    for name in ("triggerer", "scheduler"):
        sync.airflow.start(name)
    sync.wait("success")
    assert sync.jobs == {job_id: "succeeded"}
    assert sync.synced_job_id == job_id


@in_triggerer
def test_clearing_a_deferred_task_cancels_its_job_and_the_new_try_ends_with_its_own(
    sync: Sync,
) -> None:
    sync.wait("deferred")
    first = sync.wait_for_job("running")
    sync.airflow.api.clear(sync.dag_id, sync.run_id, ["sync"])
    sync.wait("success", try_number=2)
    second = sync.synced_job_id
    assert sync.jobs == {first: "cancelled", second: "succeeded"}


@everywhere
def test_marking_a_waiting_task_failed_cancels_its_job(sync: Sync, waiting: str) -> None:
    sync.wait(waiting)
    job_id = sync.wait_for_job("running")
    sync.airflow.api.mark(sync.dag_id, sync.run_id, "sync", "failed")
    sync.wait_for_job("cancelled")
    sync.wait("failed")
    assert sync.jobs == {job_id: "cancelled"}


@on_worker
def test_a_killed_worker_leaves_the_job_to_the_next_try_which_waits_and_then_syncs(
    sync: Sync,
) -> None:
    first = sync.wait_for_job("running")
    pid = sync.wait("running").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    sync.wait("running", try_number=2)
    assert sync.jobs == {first: "running"}
    sync.emulator.finish_job(first)
    sync.wait("success", try_number=2)
    second = sync.synced_job_id
    assert sync.jobs == {first: "succeeded", second: "succeeded"}
