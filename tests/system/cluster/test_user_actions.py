"""What a user does to a waiting task in Airflow's UI, and tasks whose time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from scripts.airflow_api import AirflowApiError
from scripts.airflow_cluster import AirflowCluster
from tests.system.cluster.syncs import TASK, Airbyte, Sync

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# Seconds from what the user does to the end of the job.
MAX_CANCEL_SECONDS = 10.0

PLACES = ("in_triggerer", "on_worker")


def mark_task(state: str) -> Callable[[Sync], None]:
    return lambda sync: sync.cluster.api.mark(sync.dag_id, sync.run_id, TASK, state)


def fail_run(sync: Sync) -> None:
    sync.cluster.api.mark_run(sync.dag_id, sync.run_id, "failed")


def delete_run(sync: Sync) -> None:
    """As a user has to: Airflow refuses to delete a run that has not ended."""
    with pytest.raises(AirflowApiError, match="cannot be deleted in running state"):
        sync.cluster.api.delete_run(sync.dag_id, sync.run_id)
    fail_run(sync)
    sync.cluster.api.delete_run(sync.dag_id, sync.run_id)


ACTIONS: Mapping[str, Callable[[Sync], None]] = {
    "the task is marked failed": mark_task("failed"),
    "the task is marked as success": mark_task("success"),
    "the run is marked failed": fail_run,
    "the run is deleted": delete_run,
}


@pytest.fixture(scope="module")
def syncs(
    shared_cluster: AirflowCluster, airbyte: Airbyte
) -> Iterator[Mapping[tuple[str, str], Sync]]:
    """A sync for each test of this module. All are started at once, to save time."""
    dags = [(what, f"waits_{place}") for what in (*ACTIONS, "cleared") for place in PLACES]
    dags += [("times out", f"times_out_{place}") for place in PLACES]
    started = {key: Sync.start(shared_cluster, airbyte, key[1]) for key in dags}
    yield started
    for sync in started.values():
        sync.finish()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", ACTIONS)
def test_the_job_is_cancelled_within_seconds_when(
    what: str, place: str, syncs: Mapping[tuple[str, str], Sync]
) -> None:
    sync = syncs[what, f"waits_{place}"]
    job_id = sync.wait_until_watched()
    began = time.time()
    ACTIONS[what](sync)
    assert sync.wait_for_status(job_id, "cancelled") - began <= MAX_CANCEL_SECONDS
    assert sync.jobs == {job_id: "cancelled"}


@pytest.mark.parametrize("place", PLACES)
def test_after_a_clear_the_new_try_ends_with_a_sync_of_its_own(
    place: str, syncs: Mapping[tuple[str, str], Sync]
) -> None:
    sync = syncs["cleared", f"waits_{place}"]
    first = sync.wait_until_watched()
    sync.script_next_job()
    began = time.time()
    sync.cluster.api.clear(sync.dag_id, sync.run_id, [TASK])
    assert sync.wait_for_status(first, "cancelled") - began <= MAX_CANCEL_SECONDS
    # A third try would mean that the clear has cost a retry.
    assert sync.wait("success", try_number=2).try_number == 2
    assert sync.jobs == {first: "cancelled", sync.synced_job_id: "succeeded"}


@pytest.mark.parametrize("place", PLACES)
def test_execution_timeout_cancels_the_job_and_the_log_says_so(
    place: str, syncs: Mapping[tuple[str, str], Sync]
) -> None:
    sync = syncs["times out", f"times_out_{place}"]
    task = sync.wait("failed")
    (job,) = sync.jobs.items()
    assert job[1] == "cancelled"
    log = sync.log(task)
    assert f"ob {job[0]} of connection" in log
    assert "Cancellation" in log or "cancelled" in log
