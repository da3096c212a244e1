"""A sync that waits, and one that a sensor waits for: as in most public DAGs."""

import os
from datetime import datetime

from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator
from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

ORDERS = os.environ["CONNECTION_ORDERS"]

with DAG(
    dag_id="output_to_sensor",
    start_date=datetime(2025, 1, 1),
    schedule=None,
    default_args={"owner": "data", "retries": 0},
) as dag:
    sync_now = AirbyteTriggerSyncOperator(
        task_id="sync_now",
        airbyte_conn_id="airbyte_default",
        connection_id=os.environ["CONNECTION_CUSTOMERS"],
        asynchronous=False,
        timeout=3600,
        wait_seconds=1,
    )

    start_sync = AirbyteTriggerSyncOperator(
        task_id="start_sync",
        connection_id=ORDERS,  # the largest one
        asynchronous=True,
        api_version="v1",
    )

    wait_for_sync = AirbyteJobSensor(
        task_id="wait_for_sync",
        airbyte_job_id=start_sync.output,
        poke_interval=1,
        api_version="v1",
    )

    say = BashOperator(
        task_id="say",
        # Fails unless it is a number.
        bash_command="test {{ ti.xcom_pull(task_ids='start_sync') }} -gt 0",
    )

    sync_now >> start_sync >> wait_for_sync >> say
