"""One DAG for each kind of task of the random run; the run conf says what a task wants."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor

COMMON: dict[str, Any] = {
    "task_id": "sync",
    "poll_interval": 2,
    "timeout": 1800,
    "retry_delay": timedelta(seconds=1),
    # More than a task can be killed.
    "retries": 30,
}
CONNECTION = "{{ dag_run.conf['connection_id'] }}"
SINCE = "{{ dag_run.conf['since'] }}"

for name, deferrable in (("blocking", False), ("deferred", True)):
    with DAG(f"random_{name}", schedule=None):
        AirbyteTriggerSyncOperator(**COMMON, connection_id=CONNECTION, deferrable=deferrable)
    with DAG(f"random_doomed_{name}", schedule=None):
        AirbyteTriggerSyncOperator(
            **{**COMMON, "retries": 1}, connection_id=CONNECTION, deferrable=deferrable
        )

with DAG("random_job_sensor", schedule=None):
    AirbyteJobSensor(
        **COMMON, airbyte_job_id="{{ dag_run.conf['airbyte_job_id'] }}", deferrable=True
    )

for name, start_from_trigger in (("sync_sensor", False), ("sync_gate", True)):
    with DAG(f"random_{name}", schedule=None):
        AirbyteSyncSensor(
            **COMMON,
            connection_id=CONNECTION,
            completed_after=SINCE,
            deferrable=True,
            start_from_trigger=start_from_trigger,
        )
