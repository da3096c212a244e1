"""A DAG that syncs the connection in the run conf and gives the task only one try."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

with DAG("short_sync", schedule=None):
    AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ dag_run.conf['connection_id'] }}",
        deferrable=True,
        poll_interval=1,
        retries=0,
    )
