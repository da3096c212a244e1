"""
Sync every connection that has a tag. To sync another one, add the tag to it in Airbyte.

In each run, the first task lists the active connections of a workspace with the tag ``nightly``.
Airflow then maps one sync task over each of them.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import dag

from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteListConnectionsOperator,
    AirbyteTriggerSyncOperator,
)


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def sync_every_tagged_connection() -> None:
    connections = AirbyteListConnectionsOperator(
        task_id="connections", workspace="Analytics", tags="nightly"
    )
    AirbyteTriggerSyncOperator.partial(
        task_id="sync", deferrable=True, max_active_tis_per_dagrun=4
    ).expand(connection_id=connections.output)


sync_every_tagged_connection()
