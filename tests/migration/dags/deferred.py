"""Deferred waits, and a class of its own."""

import os
from datetime import datetime, timedelta
from functools import partial

from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator
from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor
from airflow.sdk import DAG


class OrdersOperator(AirbyteTriggerSyncOperator):  # type: ignore[misc]
    def __init__(self, **kwargs):
        super().__init__(
            connection_id=os.environ["CONNECTION_ORDERS"],
            airbyte_conn_id="airbyte_default",
            api_version="v1",
            **kwargs,
        )


defer = partial(AirbyteTriggerSyncOperator, deferrable=True, wait_seconds=1)

dag = DAG(dag_id="deferred", start_date=datetime(2025, 1, 1), schedule=None)
customers = defer(task_id="customers", connection_id=os.environ["CONNECTION_CUSTOMERS"], dag=dag)
orders = OrdersOperator(task_id="orders", dag=dag)
items = AirbyteTriggerSyncOperator(
    task_id="items",
    connection_id=os.environ["CONNECTION_ITEMS"],
    asynchronous=True,
    execution_timeout=timedelta(minutes=5),
    dag=dag,
)
wait = AirbyteJobSensor(
    task_id="wait",
    airbyte_job_id=items.output,
    deferrable=True,
    exponential_backoff=True,
    dag=dag,
)
customers >> orders >> items >> wait
