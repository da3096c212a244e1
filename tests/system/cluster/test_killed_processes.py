"""Processes that are killed during a wait on a worker, and around the start of a sync."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.airflow_api import TaskInstance, poll
from scripts.airflow_cluster import AirflowCluster
from tests.system.cluster.syncs import MAX_WAIT, Airbyte, Sync

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# Seconds: longer than a task lives that is killed meanwhile.
LONG = 300.0

KILLS: dict[str, Callable[[AirflowCluster, TaskInstance], None]] = {
    "its process": AirflowCluster.kill_task,
    "its supervisor": AirflowCluster.kill_supervisor,
}


def has_job(sync: Sync) -> int:
    """Wait until Airbyte has a job of the sync, which nobody may have been told of."""

    def only_job() -> int | None:
        return next(iter(sync.jobs), None)

    return poll(only_job, timeout=MAX_WAIT, what="a job")


@pytest.mark.parametrize("what", KILLS)
def test_the_retry_of_a_killed_task_ends_with_the_sync_of_the_first_try(
    what: str, cluster: AirflowCluster, start: Callable[[str], Sync]
) -> None:
    sync = start("waits_on_worker")
    job_id = sync.wait_until_watched()
    KILLS[what](cluster, sync.task)
    assert sync.wait_until_watched(try_number=2) == job_id
    sync.finish()
    assert sync.wait("success").try_number == 2
    assert sync.synced_job_id == job_id
    assert sync.jobs == {job_id: "succeeded"}


def test_a_sync_that_ends_between_two_tries_is_the_result_of_the_second(
    cluster: AirflowCluster, start: Callable[[str], Sync]
) -> None:
    sync = start("waits_on_worker")
    job_id = sync.wait_until_watched()
    # Before the scheduler can start the second try.
    cluster.pause("scheduler")
    cluster.kill_task(sync.task)
    sync.finish()
    cluster.resume("scheduler")
    assert sync.wait("success").try_number == 2
    assert sync.synced_job_id == job_id
    assert sync.jobs == {job_id: "succeeded"}


@pytest.mark.parametrize("place", ["in_triggerer", "on_worker"])
def test_a_task_killed_before_it_learns_of_its_sync_has_one_all_the_same(
    place: str, airbyte: Airbyte, cluster: AirflowCluster, start: Callable[[str], Sync]
) -> None:
    airbyte.emulator.hang_next("POST /jobs", LONG)
    sync = start(f"waits_{place}")
    job_id = has_job(sync)
    cluster.kill_task(sync.wait("running"))
    assert sync.wait_until_watched(try_number=2) == job_id
    sync.finish()
    assert sync.wait("success").try_number == 2
    assert sync.synced_job_id == job_id
    assert sync.jobs == {job_id: "succeeded"}


def test_a_worker_is_killed_and_each_of_its_tasks_ends_with_one_sync(
    airbyte: Airbyte, cluster: AirflowCluster
) -> None:
    syncs = Sync.start_mapped(cluster, airbyte, "mapped_on_worker", count=4)
    job_ids = {sync: sync.wait_until_watched() for sync in syncs}
    worker = cluster.worker_of(syncs[0].task)
    killed = [sync for sync in syncs if cluster.worker_of(sync.task) == worker]
    cluster.kill("worker", worker)
    for sync in killed:
        assert sync.wait_until_watched(try_number=2) == job_ids[sync]
    for sync in syncs:
        sync.finish()
    for sync in syncs:
        assert sync.wait("success").try_number == (2 if sync in killed else 1)
        assert sync.synced_job_id == job_ids[sync]
        assert sync.jobs == {job_ids[sync]: "succeeded"}


def test_the_scheduler_is_killed_and_no_wait_is_lost_or_doubled(
    cluster: AirflowCluster, start: Callable[[str], Sync]
) -> None:
    syncs = [start("waits_in_triggerer"), start("waits_on_worker")]
    job_ids = [sync.wait_until_watched() for sync in syncs]
    cluster.kill("scheduler")
    for sync in syncs:
        sync.finish()
    cluster.restart("scheduler")
    for sync, job_id in zip(syncs, job_ids, strict=True):
        assert sync.wait("success").try_number == 1
        assert sync.synced_job_id == job_id
        assert sync.jobs == {job_id: "succeeded"}
