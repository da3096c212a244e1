"""A DAG that starts when the webhook is told of a sync of the emulator's connection."""

from __future__ import annotations

import os

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_airbyte_sme.assets import airbyte_webhook_asset

with DAG(
    "downstream",
    schedule=[airbyte_webhook_asset(os.environ["AIRBYTE_CONNECTION_ID"])],
    catchup=False,
):
    EmptyOperator(task_id="begin")
