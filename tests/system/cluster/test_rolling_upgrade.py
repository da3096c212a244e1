"""Tasks that an older release has deferred, completed by this one on a real Airflow."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.airflow_cluster import AirflowCluster
from tests.system.cluster.syncs import Airbyte, Sync

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

[FROZEN] = [
    json.loads(path.read_text())["stories"]
    for path in (Path(__file__).parents[2] / "upgrades").glob("*.json")
]

PAUSE = "sync that cannot be started yet"
WAITS_FIRST = "sync of somebody else that is waited for first"
# Story in tests/upgrades to the DAG whose task it is, and whether the task has a job of its own.
LEFT = {
    "sync": ("deferred_before_operator", True),
    "sync found after its response was lost": ("deferred_before_operator", True),
    "sync of somebody else that is attached to": ("deferred_before_operator", False),
    WAITS_FIRST: ("deferred_before_operator", False),
    PAUSE: ("deferred_before_operator", False),
    "job sensor": ("deferred_before_job_sensor", False),
    "sync sensor": ("deferred_before_sync_sensor", False),
}


def test_what_an_older_release_has_deferred_is_completed(
    cluster: AirflowCluster, airbyte: Airbyte
) -> None:
    emulator, left = airbyte.emulator, {}
    for story, (dag_id, _) in LEFT.items():
        if story == PAUSE:
            connection_id, job_id = emulator.add_connection(), None
        else:
            connection_id = airbyte.add_connection()
            job_id = emulator.start_sync(connection_id)
        # The job that the task may start when it goes on.
        emulator.script_job(connection_id, duration=1)
        deferral = FROZEN[story]["deferral"]
        conf = {
            "connection_id": connection_id,
            "deferral": {
                **deferral,
                "arguments": here(
                    deferral["arguments"], connection_id=connection_id, job_id=job_id
                ),
            },
        }
        run_id = cluster.api.trigger(dag_id, conf)
        left[story] = Sync(cluster, airbyte, dag_id, run_id, connection_id)
    for story, sync in left.items():
        if story != PAUSE:  # which is over after a second
            sync.wait("deferred")
    for sync in left.values():
        sync.finish()

    for story, sync in left.items():
        task = sync.wait("success")
        jobs, result = sync.jobs, sync.result
        assert task.try_number == 1, story
        assert set(jobs.values()) == {"succeeded"}, story
        assert len(jobs) == (2 if story == WAITS_FIRST else 1), story
        assert (result["job_id"], result["status"]) == (max(jobs), "succeeded"), story
        is_own = LEFT[story][1] or story in (PAUSE, WAITS_FIRST)
        assert result["adopted"] is not is_own, story


def here(arguments: dict[str, Any], **ids: Any) -> dict[str, Any]:
    """Return frozen arguments of a trigger with the ids and the times of this moment."""
    now = time.time()
    current = {"deferred_at": now, "until": now + 1, **ids}
    return {name: current.get(name, value) for name, value in arguments.items()}
