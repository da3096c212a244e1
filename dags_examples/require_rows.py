"""
A sync that succeeds with nothing moved is not the same as new data.

Airbyte reports success when there was nothing to read, and also when something went wrong quietly.
``min_rows`` asks for evidence, and ``on_too_few_rows`` says what its lack means: ``fail`` (the
default), ``skip`` or ``warn``. Here what depends on new data is skipped, and the run is green.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


@dag(schedule=None, tags=["airbyte"])
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
