"""The hook in functions of tasks."""

import os
from datetime import datetime

from airbyte_api.models import JobStatusEnum
from airflow.providers.airbyte.hooks.airbyte import AirbyteHook
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, task


def sync_and_wait(connection_id: str) -> int:
    hook = AirbyteHook(airbyte_conn_id="airbyte_default", api_version="v1")
    job = hook.submit_sync_connection(connection_id=connection_id)
    hook.wait_for_job(job_id=job.job_id, wait_seconds=1, timeout=60)
    assert hook.get_job_status(job_id=job.job_id) == JobStatusEnum.SUCCEEDED
    return job.job_id


def read(job_id: int, hook: AirbyteHook) -> str:
    details = hook.get_job_details(job_id=job_id)
    if details.status.value in ("failed", "cancelled"):
        raise ValueError(f"job {job_id} is {hook.get_job_status(job_id).value}")
    return details.connection_id


with DAG("hook", start_date=datetime(2025, 1, 1), schedule=None):
    sync = PythonOperator(
        task_id="sync",
        python_callable=sync_and_wait,
        op_args=[os.environ["CONNECTION_ORDERS"]],
    )

    @task
    def reset(job_id):
        hook = AirbyteHook()
        assert read(job_id, hook) == os.environ["CONNECTION_ORDERS"]
        job_id = hook.submit_reset_connection(os.environ["CONNECTION_ORDERS"]).job_id
        hook.wait_for_job(job_id, 1)

    reset(sync.output)
