"""Airbyte is away for a minute while tasks wait, and while a user ends some of them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from scripts.airflow_api import poll
from scripts.airflow_cluster import AirflowCluster
from tests.system.cluster.syncs import MAX_WAIT, TASK, Airbyte, Sync

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# Seconds.
OUTAGE = 60.0

PLACES = ("in_triggerer", "on_worker")


def wait_for_advice(sync: Sync, job_id: int) -> None:
    """Wait until the log says by its id which job to cancel by hand."""

    def has_advice() -> bool:
        log = sync.log()
        return f"ob {job_id} of connection" in log and "cancel it by hand" in log

    poll(has_advice, timeout=MAX_WAIT, what=f"the log of {sync} to name job {job_id}")


def test_waits_outlast_an_outage_and_what_is_not_cancelled_in_it_is_in_the_log(
    airbyte: Airbyte, cluster: AirflowCluster, start: Callable[[str], Sync]
) -> None:
    waiting = [start(f"waits_{place}") for place in PLACES]
    ended = [start(f"waits_{place}") for place in PLACES]
    job_ids = {sync: sync.wait_until_watched() for sync in (*waiting, *ended)}
    until = time.monotonic() + OUTAGE
    with airbyte.away():
        for sync in ended:
            cluster.api.mark(sync.dag_id, sync.run_id, TASK, "failed")
        for sync in ended:
            wait_for_advice(sync, job_ids[sync])
        time.sleep(max(0.0, until - time.monotonic()))
    for sync in (*waiting, *ended):
        assert sync.jobs == {job_ids[sync]: "running"}
        sync.finish()
    for sync in waiting:
        assert sync.wait("success").try_number == 1
        assert sync.jobs == {job_ids[sync]: "succeeded"}
