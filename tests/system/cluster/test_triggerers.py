"""Triggerers that are killed, restarted or suspended while tasks are deferred."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

import pytest

from airflow_provider_airbyte_sme.triggers.resumption import SAFE_AFTER
from scripts.airflow_api import poll
from scripts.airflow_cluster import AirflowCluster
from tests.system.cluster.syncs import MAX_WAIT, TASK, Airbyte, Sync

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

MANY = 100
# Seconds; set in dags/cluster_waits.py.
POLL_INTERVAL = 2.0
# Seconds that Airflow may take to resume a task after its trigger has fired; idle, it takes 3.
MAX_RESUME_SECONDS = 15.0


def wait_for_takeover(cluster: AirflowCluster, sync: Sync, triggerer: int) -> None:
    """Wait until the task is assigned to that triggerer."""

    def is_there() -> bool:
        task = sync.task
        return task.triggerer is not None and cluster.triggerer_of(task) == triggerer

    poll(is_there, timeout=MAX_WAIT, what=f"triggerer {triggerer} to take over {sync}")


def test_a_deferred_task_succeeds_soon_after_its_job_and_has_its_links_before(
    start: Callable[[str], Sync], capsys: pytest.CaptureFixture[str]
) -> None:
    syncs = [start("waits_in_triggerer") for _ in range(3)]
    latencies = []
    for sync in syncs:
        job_id = sync.wait_until_watched()
        emulator = sync.airbyte.emulator
        assert sync.cluster.api.extra_links(sync.dag_id, sync.run_id, TASK) == {
            "Airbyte job": (
                f"{emulator.url}/workspaces/{emulator.workspace_id}"
                f"/connections/{sync.connection_id}/timeline?jobId={job_id}&openLogs=true"
            ),
            "Airbyte syncs": (
                f"{sync.cluster.api.url}/plugin/airbyte"
                f"?conn_id=airbyte_sme_default&q={sync.connection_id}"
            ),
        }
    time.sleep(SAFE_AFTER)  # a younger trigger keeps its event
    for sync in syncs:
        sync.finish()
        finished_at = datetime.now(UTC)
        ended_at = sync.wait("success").ended_at
        assert ended_at is not None
        latencies.append((ended_at - finished_at).total_seconds())
    with capsys.disabled():
        print(f"\nseconds from the end of the Airbyte job to task success: {latencies}")
    assert median(latencies) <= POLL_INTERVAL + MAX_RESUME_SECONDS


def test_a_triggerer_restart_neither_cancels_nor_restarts_a_job(
    cluster: AirflowCluster, start: Callable[[str], Sync]
) -> None:
    syncs = [start("waits_in_triggerer") for _ in range(2)]
    job_ids = [sync.wait_until_watched() for sync in syncs]
    for index in range(2):
        cluster.stop("triggerer", index)
    assert [sync.jobs for sync in syncs] == [{job_id: "running"} for job_id in job_ids]
    cluster.repair()
    for sync in syncs:
        sync.finish()
    for sync, job_id in zip(syncs, job_ids, strict=True):
        sync.wait("success")
        assert sync.jobs == {job_id: "succeeded"}
        assert sync.synced_job_id == job_id


def test_a_triggerer_that_comes_back_after_its_waits_were_taken_over_cancels_none(
    cluster: AirflowCluster, start: Callable[[str], Sync]
) -> None:
    sync = start("waits_in_triggerer")
    job_id = sync.wait_until_watched()
    paused = cluster.triggerer_of(sync.task)
    cluster.pause("triggerer", paused)
    wait_for_takeover(cluster, sync, 1 - paused)
    cluster.resume("triggerer", paused)
    # Airflow's last line about a trigger, after it has called `on_kill`.
    poll(
        lambda: "trigger completed" in sync.log(),
        timeout=MAX_WAIT,
        what="the triggerer to give up the wait that was taken over",
    )
    assert "invoking on_kill" in sync.log()
    assert sync.jobs == {job_id: "running"}
    sync.finish()
    sync.wait("success")
    assert sync.jobs == {job_id: "succeeded"}


def test_a_triggerer_is_killed_and_the_other_takes_over_a_hundred_waits(
    airbyte: Airbyte, cluster: AirflowCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    began = datetime.now(UTC)
    syncs = Sync.start_mapped(cluster, airbyte, "mapped_in_triggerer", MANY)
    dag_id, run_id = syncs[0].dag_id, syncs[0].run_id

    def tasks() -> list[str | None]:
        return [
            task.triggerer if task.state == "deferred" else None
            for task in cluster.api.task_instances(dag_id, run_id)
            if task.task_id == TASK
        ]

    def all_deferred() -> bool:
        return len(tasks()) == MANY and None not in tasks()

    poll(all_deferred, timeout=MAX_WAIT, what="all tasks to be deferred", interval=2)
    with capsys.disabled():
        print(f"\n{MANY} deferred after {datetime.now(UTC) - began}: {Counter(tasks())}")
    cluster.kill("triggerer", 0)
    poll(
        lambda: set(tasks()) == {"triggerer-1"},
        timeout=MAX_WAIT,
        what="the other triggerer to take over",
    )
    statuses = Counter(status for sync in syncs for status in sync.jobs.values())
    assert statuses == {"running": MANY}
    airbyte.finish(*(sync.connection_id for sync in syncs))
    state = cluster.api.wait_for_run(dag_id, run_id, timeout=2 * MAX_WAIT)
    with capsys.disabled():
        print(f"ended after {datetime.now(UTC) - began}")
    assert state == "success"
    statuses = Counter(status for sync in syncs for status in sync.jobs.values())
    assert statuses == {"succeeded": MANY}
