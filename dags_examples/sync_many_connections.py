"""
Run one sync task for each connection in a list, with dynamic task mapping.

The variable ``airbyte_connection_ids`` is a JSON list of UUIDs. The syncs wait in the triggerer at
the same time; ``max_active_tis_per_dagrun`` limits them to what this Airbyte can run.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import Variable, dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def sync_many_connections() -> None:
    @task
    def list_connection_ids() -> list[str]:
        connection_ids: list[str] = Variable.get("airbyte_connection_ids", deserialize_json=True)
        return connection_ids

    syncs = AirbyteTriggerSyncOperator.partial(
        task_id="sync", deferrable=True, max_active_tis_per_dagrun=4
    ).expand(connection_id=list_connection_ids())

    @task
    def sum_rows(sync_results: list[dict[str, Any]]) -> None:
        rows = sum(result["rows_synced"] for result in sync_results)
        print(f"{rows} rows from {len(sync_results)} connections")

    sum_rows(syncs.output)


sync_many_connections()
