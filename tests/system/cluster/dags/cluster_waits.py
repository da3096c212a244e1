"""
DAGs that sync the connections in the run conf, each deferrable and on a worker.

The conf of ``mapped_…`` has ``connection_ids``, that of the others ``connection_id``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

CONNECTION = "{{ dag_run.conf['connection_id'] }}"
ONE_RETRY: dict[str, Any] = {"poll_interval": 2, "retries": 1, "retry_delay": timedelta(seconds=1)}
TIMEOUT = timedelta(seconds=30)


@task(retries=3, retry_delay=timedelta(seconds=1))
def connection_ids(**context: Any) -> list[str]:
    ids: list[str] = context["dag_run"].conf["connection_ids"]
    return ids


for place, deferrable in (("in_triggerer", True), ("on_worker", False)):
    with DAG(f"waits_{place}", schedule=None):
        AirbyteTriggerSyncOperator(
            task_id="sync", connection_id=CONNECTION, deferrable=deferrable, **ONE_RETRY
        )

    with DAG(f"mapped_{place}", schedule=None):
        AirbyteTriggerSyncOperator.partial(
            task_id="sync", deferrable=deferrable, **ONE_RETRY
        ).expand(connection_id=connection_ids())

    with DAG(f"times_out_{place}", schedule=None):
        AirbyteTriggerSyncOperator(
            task_id="sync",
            connection_id=CONNECTION,
            deferrable=deferrable,
            execution_timeout=TIMEOUT,
            poll_interval=2,
        )
