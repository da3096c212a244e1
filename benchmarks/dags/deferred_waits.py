"""The tasks of the triggerer benchmark: one mapped task of each provider, with its own operator."""

import os

from airflow.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteTriggerSyncOperator as OurOperator,
)

CONN_ID = "airbyte_sme_default"
CONNECTION_IDS = os.environ["BENCHMARK_CONNECTION_IDS"].split(",")

# Paused, so that the scheduler starts no worker for the tasks before they are deferred.
with DAG("ours", schedule=None, is_paused_upon_creation=True, max_active_tasks=1000):
    OurOperator.partial(task_id="wait", airbyte_conn_id=CONN_ID, deferrable=True).expand(
        connection_id=CONNECTION_IDS
    )

if os.environ["BENCHMARK_HAS_OFFICIAL"] == "yes":
    from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator

    with DAG("official", schedule=None, is_paused_upon_creation=True, max_active_tasks=1000):
        AirbyteTriggerSyncOperator.partial(
            task_id="wait", airbyte_conn_id=CONN_ID, deferrable=True
        ).expand(connection_id=CONNECTION_IDS)
