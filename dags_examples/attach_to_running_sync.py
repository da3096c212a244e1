"""
Wait for the sync that Airbyte is already running instead of starting another.

``on_running`` decides what happens if a sync of the connection is already running:

- ``wait`` (default): wait for it, then start our own, so the data is at least as new as the task;
- ``attach``: wait for it and return its result (with ``adopted`` set to true);
- ``skip``: skip this task and the tasks that depend on it;
- ``fail``: fail at once.

The task never cancels a job that it only attached to.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def attach_to_running_sync() -> None:
    sync = AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        on_running="attach",
        deferrable=True,
    )

    @task
    def report(sync_result: dict[str, Any]) -> None:
        origin = "was running already" if sync_result["adopted"] else "was started by this task"
        print(f"job {sync_result['job_id']} {origin}: {sync_result['rows_synced']} rows")

    report(sync.output)


attach_to_running_sync()
