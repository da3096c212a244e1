"""
Sync only if the last successful sync is more than an hour old: the hook asks Airbyte.

A task can call any method of the hook. Do not call them at the top level of the file: Airflow
parses the file again and again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

CONNECTION_ID = "{{ var.value.airbyte_connection_id }}"
MAX_AGE = timedelta(hours=1)


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def sync_if_stale() -> None:
    @task.short_circuit
    def is_stale(connection_id: str) -> bool:
        newest = AirbyteHook().list_jobs(
            connection_id=connection_id, job_type="sync", status="succeeded", limit=1
        )
        if not newest or newest[0].last_updated_at is None:
            return True
        age = datetime.now(UTC) - newest[0].last_updated_at
        print(f"job {newest[0].job_id} succeeded {age.total_seconds():.0f} s ago")
        return age > MAX_AGE

    sync = AirbyteTriggerSyncOperator(task_id="sync", connection_id=CONNECTION_ID, deferrable=True)

    is_stale(CONNECTION_ID) >> sync


sync_if_stale()
