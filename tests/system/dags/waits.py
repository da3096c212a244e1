"""Two DAGs that sync the connection in the run conf, one deferrable and one on a worker."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

for dag_id, deferrable in (("waits_in_triggerer", True), ("waits_on_worker", False)):
    with DAG(dag_id, schedule=None):
        AirbyteTriggerSyncOperator(
            task_id="sync",
            connection_id="{{ dag_run.conf['connection_id'] }}",
            deferrable=deferrable,
            poll_interval=2,
            retries=1,
            retry_delay=timedelta(seconds=1),
        )
