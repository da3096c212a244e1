"""The Airflow connection and the way to wait come from default_args."""

import os
from datetime import datetime, timedelta

from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator
from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor
from airflow.sdk import dag

DEFAULTS = {
    "retries": 0,
    "retry_delay": timedelta(minutes=5),
    "airbyte_conn_id": "airbyte_production",
    # Airbyte is asked often.
    "wait_seconds": 1,
    "api_version": "v1",
}


@dag(
    start_date=datetime(2025, 1, 1), schedule=None, default_args={**DEFAULTS, "asynchronous": True}
)
def default_args():
    start = AirbyteTriggerSyncOperator(
        task_id="start", connection_id=os.environ["CONNECTION_ORDERS"]
    )
    wait = AirbyteJobSensor(
        task_id="wait",
        airbyte_job_id="{{ task_instance.xcom_pull(task_ids='start') }}",
        poke_interval=1,
    )
    again = AirbyteTriggerSyncOperator(
        task_id="again", connection_id=os.environ["CONNECTION_ORDERS"], asynchronous=False
    )
    start >> wait >> again


default_args()
