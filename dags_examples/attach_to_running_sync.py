"""
Airbyte already syncs this connection: wait for that sync instead of starting another.

``on_running`` says what to do when Airbyte answers that a sync is running:

- ``wait`` (default): wait for it, then start our own, so the data is as new as the task;
- ``attach``: wait for that one, and take its result as ours (``adopted`` is true in the result);
- ``skip``: skip this task, and what depends on it;
- ``fail``: fail at once.

A job that the task has only attached to is never cancelled by it.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


@dag(schedule=None, tags=["airbyte"])
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
