"""
Sync, and tell Airflow which tables have been delivered, so that DAGs scheduled on them start.

Each table of the sync becomes an asset, named as dbt, Cosmos and OpenLineage name it: with_cosmos/
dbt_on_fresh_data.py is a DAG that waits for such assets. The event of each has the number of rows.
Nothing is emitted for a sync that failed, moved no data, or had fewer rows than ``min_rows``.

Where the tables are, Airflow knows from the destination in Airbyte. If dbt finds them under another
address, such as another host name or another path of a file, put that into ``DATASET_NAMESPACE``.
"""

from __future__ import annotations

import os

from airflow.providers.common.compat.sdk import dag

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def sync_emits_assets() -> None:
    AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        emit_assets=True,
        dataset_namespace=os.environ.get("DATASET_NAMESPACE"),
        min_rows=1,
        deferrable=True,
    )


sync_emits_assets()
