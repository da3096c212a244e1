"""The job id decides what runs next, and is read in every way that there is."""

import os
from datetime import datetime

import airflow.providers.airbyte.operators.airbyte as airbyte
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, XComArg, task

ORDERS = os.environ["CONNECTION_ORDERS"]


def check(job_id, ti):
    pulled = ti.xcom_pull(task_ids="sync")
    assert isinstance(job_id, int), job_id
    assert job_id == pulled == ti.xcom_pull("sync", key="return_value")
    assert [job_id] == list(ti.xcom_pull(task_ids=["sync"]))


with DAG("branch", start_date=datetime(2025, 1, 1), schedule=None) as dag:
    sync = airbyte.AirbyteTriggerSyncOperator(task_id="sync", connection_id=ORDERS, wait_seconds=1)
    jobs = {"orders": sync}

    @task.branch
    def choose(job_id):
        return "odd_or_even" if isinstance(job_id, int) else "failed"

    @task
    def failed():
        raise AssertionError("the job id is no number")

    odd_or_even = BashOperator(
        task_id="odd_or_even",
        bash_command='test "$JOB" -eq $((JOB))',
        env={"JOB": "{{ ti.xcom_pull(task_ids='sync') }}"},
    )
    text = BashOperator(task_id="text", bash_command=f"test {jobs['orders'].output} -gt 0")
    python = PythonOperator(task_id="python", python_callable=check, op_args=[XComArg(sync)])

    choose(sync.output) >> [odd_or_even, failed()]
    sync >> [text, python]
