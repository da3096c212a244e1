"""Dynamic task mapping: one sync for each connection, and one sensor for each job."""

import os
from datetime import datetime

from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator as SyncOperator
from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor
from airflow.sdk import dag, task


@dag(start_date=datetime(2025, 1, 1), schedule=None)
def mapped():
    @task
    def list_connections():
        return [os.environ["CONNECTION_ORDERS"], os.environ["CONNECTION_CUSTOMERS"]]

    @task
    def check(job_ids):
        assert all(isinstance(job_id, int) for job_id in job_ids), list(job_ids)

    syncs = SyncOperator.partial(
        task_id="sync", asynchronous=True, max_active_tis_per_dag=2
    ).expand(connection_id=list_connections())
    waits = AirbyteJobSensor.partial(task_id="wait", poke_interval=1).expand(
        airbyte_job_id=syncs.output
    )
    waits >> check(syncs.output)

    rest = SyncOperator.partial(task_id="rest").expand_kwargs(
        [
            {"connection_id": os.environ["CONNECTION_INVOICES"], "wait_seconds": 1},
            {"connection_id": os.environ["CONNECTION_ITEMS"], "asynchronous": True},
        ]
    )
    waits >> rest


mapped()
