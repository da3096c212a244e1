"""A user's DAG file: its sync must return rows."""

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

with DAG("nightly", schedule=None) as dag:
    AirbyteTriggerSyncOperator(
        task_id="sync", connection_id="{{ var.value.airbyte_connection_id }}", min_rows=1
    )
