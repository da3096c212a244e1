"""
Skip the tasks that need new data when a sync succeeds without moving any.

Airbyte reports success when there was nothing to read, and also after some silent failures.
``min_rows`` is the number of rows that the sync must move; ``on_too_few_rows`` decides what happens
with fewer: ``fail`` (the default), ``skip`` or ``warn``. With ``skip``, the DAG run still succeeds.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def require_rows() -> None:
    sync = AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        min_rows=1,
        on_too_few_rows="skip",
        deferrable=True,
    )

    @task
    def use_new_data(sync_result: dict[str, Any]) -> None:
        print(f"{sync_result['rows_synced']} new rows, up to {sync_result['ended_at']}")

    use_new_data(sync.output)


require_rows()
