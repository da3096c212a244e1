"""Waits on a real Airflow: how soon they end, and failures of Airflow during a sync."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.triggers.resumption import SAFE_AFTER
from scripts.airflow_api import TaskInstance, poll
from scripts.airflow_harness import LocalAirflow

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# Seconds. A busy machine takes up to 20 to start a task's process, which a deferred task needs
# twice, and up to 30 to run the first trigger of a triggerer: Airflow then builds an API for it.
MAX_WAIT = 180.0
# Seconds; set in dags/waits.py.
POLL_INTERVAL = 2.0
# Seconds that Airflow may take to resume a task after its trigger has fired.
MAX_RESUME_SECONDS = 3.0


@dataclass(frozen=True)
class Sync:
    """A run of a DAG in dags/waits.py, its task `sync`, and the connection that it syncs."""

    airflow: LocalAirflow
    emulator: Emulator
    connection_id: str
    dag_id: str
    run_id: str

    def wait(self, *states: str, try_number: int = 1) -> TaskInstance:
        return self.airflow.api.wait_for_task(
            self.dag_id, self.run_id, "sync", states, timeout=MAX_WAIT, try_number=try_number
        )

    def wait_until_polled(self) -> int:
        """
        Wait until a worker or the triggerer has polled the running job, and return the job's id.

        Seen on Airflow 3.3.2: most tasks that were marked failed within half a second of their
        deferral, before the trigger's first poll, left their job running. Later ones never did.
        """

        def polled_job() -> int | None:
            paths = {request.path for request in self.emulator.requests}
            running = [each for each, status in self.jobs.items() if status == "running"]
            return next((each for each in running if f"/api/public/v1/jobs/{each}" in paths), None)

        return poll(polled_job, timeout=MAX_WAIT, what="Airflow to poll the running job")

    def wait_for_status(self, job_id: int, status: str) -> None:
        poll(
            lambda: self.jobs[job_id] == status,
            timeout=MAX_WAIT,
            what=f"job {job_id} to become {status}",
        )

    def script_next_job(self) -> None:
        """Make the connection's next job succeed after one second."""
        self.emulator.script_job(self.connection_id, duration=1)

    @property
    def jobs(self) -> dict[int, str]:
        """Job id to status, for all jobs of the connection."""
        return {
            job.id: job.status
            for job in self.emulator.jobs.values()
            if job.connection_id == self.connection_id
        }

    @property
    def synced_job_id(self) -> int:
        """The job id in the task's result."""
        result = self.airflow.api.xcom(self.dag_id, self.run_id, "sync")
        assert result["status"] == "succeeded"
        job_id: int = result["job_id"]
        return job_id


@pytest.fixture
def connection_id(emulator: Emulator) -> Iterator[str]:
    """A connection for this test only; jobs still running at the end are cancelled."""
    connection_id = emulator.add_connection()
    yield connection_id
    for job in list(emulator.jobs.values()):
        if job.connection_id == connection_id and not job.is_terminal:
            emulator.cancel_job(job.id)


@pytest.fixture
def start_sync(
    airflow: LocalAirflow, emulator: Emulator, connection_id: str
) -> Callable[[str], Sync]:
    """Run a DAG that waits for a job which keeps running until the test finishes it."""

    def start(dag_id: str) -> Sync:
        emulator.script_job(connection_id, statuses=[("running", None)])
        run_id = airflow.api.trigger(dag_id, {"connection_id": connection_id})
        return Sync(airflow, emulator, connection_id, dag_id, run_id)

    return start


def test_a_deferred_task_succeeds_soon_after_its_job(
    start_sync: Callable[[str], Sync], capsys: pytest.CaptureFixture[str]
) -> None:
    latencies = []
    for _ in range(3):
        sync = start_sync("waits_in_triggerer")
        job_id = sync.wait_until_polled()
        time.sleep(SAFE_AFTER)  # a younger trigger keeps its event
        sync.emulator.finish_job(job_id)
        finished_at = datetime.now(UTC)
        ended_at = sync.wait("success").ended_at
        assert ended_at is not None
        latencies.append((ended_at - finished_at).total_seconds())
    with capsys.disabled():
        print(f"\nseconds from the end of the Airbyte job to task success: {latencies}")
    assert median(latencies) <= POLL_INTERVAL + MAX_RESUME_SECONDS


def test_the_job_link_is_available_while_the_task_waits(
    start_sync: Callable[[str], Sync],
) -> None:
    sync = start_sync("waits_in_triggerer")
    job_id = sync.wait_until_polled()
    assert sync.airflow.api.extra_links(sync.dag_id, sync.run_id, "sync") == {
        "Airbyte job": (
            f"{sync.emulator.url}/workspaces/{sync.emulator.workspace_id}"
            f"/connections/{sync.connection_id}/timeline?jobId={job_id}&openLogs=true"
        )
    }
    sync.emulator.finish_job(job_id)
    sync.wait("success")


def test_a_triggerer_restart_neither_cancels_nor_restarts_the_job(
    start_sync: Callable[[str], Sync],
) -> None:
    sync = start_sync("waits_in_triggerer")
    job_id = sync.wait_until_polled()
    sync.airflow.stop("triggerer")
    assert sync.jobs == {job_id: "running"}
    sync.airflow.start("triggerer")
    sync.emulator.finish_job(job_id)
    sync.wait("success")
    assert sync.jobs == {job_id: "succeeded"}
    assert sync.synced_job_id == job_id


def test_killing_scheduler_and_triggerer_starts_no_second_job(
    start_sync: Callable[[str], Sync],
) -> None:
    sync = start_sync("waits_in_triggerer")
    job_id = sync.wait_until_polled()
    sync.airflow.kill("triggerer")
    sync.airflow.kill("scheduler")
    sync.emulator.finish_job(job_id)
    sync.airflow.start("triggerer", "scheduler")
    sync.wait("success")
    assert sync.jobs == {job_id: "succeeded"}
    assert sync.synced_job_id == job_id


def test_clearing_a_deferred_task_cancels_its_job_and_the_new_try_syncs_again(
    start_sync: Callable[[str], Sync],
) -> None:
    sync = start_sync("waits_in_triggerer")
    first = sync.wait_until_polled()
    sync.script_next_job()
    sync.airflow.api.clear(sync.dag_id, sync.run_id, ["sync"])
    sync.wait("success", try_number=2)
    second = sync.synced_job_id
    assert sync.jobs == {first: "cancelled", second: "succeeded"}


@pytest.mark.parametrize("dag_id", ["waits_in_triggerer", "waits_on_worker"])
def test_marking_a_waiting_task_failed_cancels_its_job(
    dag_id: str, start_sync: Callable[[str], Sync]
) -> None:
    sync = start_sync(dag_id)
    job_id = sync.wait_until_polled()
    sync.airflow.api.mark(sync.dag_id, sync.run_id, "sync", "failed")
    sync.wait_for_status(job_id, "cancelled")
    sync.wait("failed")
    assert sync.jobs == {job_id: "cancelled"}


def test_the_retry_of_a_killed_task_waits_for_the_running_job_and_then_syncs(
    start_sync: Callable[[str], Sync],
) -> None:
    sync = start_sync("waits_on_worker")
    first = sync.wait_until_polled()
    sync.script_next_job()
    pid = sync.wait("running").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    sync.wait("running", try_number=2)
    assert sync.jobs == {first: "running"}
    sync.emulator.finish_job(first)
    sync.wait("success", try_number=2)
    second = sync.synced_job_id
    assert sync.jobs == {first: "succeeded", second: "succeeded"}
