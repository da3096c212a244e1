"""Start when Airbyte has synced a connection: one DAG for each way to catch up."""

from __future__ import annotations

import os

from airflow.providers.common.compat.sdk import dag
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_airbyte_sme.assets import airbyte_asset


@dag(
    schedule=[
        airbyte_asset(os.environ["LATEST_CONNECTION"], poll_interval=1, catch_up="latest"),
    ]
)
def watches_latest() -> None:
    EmptyOperator(task_id="done")


@dag(
    schedule=[
        airbyte_asset(os.environ["ALL_CONNECTION"], poll_interval=1, catch_up="all"),
    ]
)
def watches_all() -> None:
    EmptyOperator(task_id="done")


watches_latest()
watches_all()
