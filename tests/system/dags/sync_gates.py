"""Two DAGs with a gate for the connection in the run conf; one of them starts in the triggerer."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor

for dag_id, start_from_trigger in (("gate_of_a_worker", False), ("gate_of_the_triggerer", True)):
    with DAG(dag_id, schedule=None):
        AirbyteSyncSensor(
            task_id="gate",
            connection_id="{{ dag_run.conf['connection_id'] }}",
            completed_after="{{ dag_run.conf['since'] }}",
            start_from_trigger=start_from_trigger,
            deferrable=True,
            poll_interval="{{ 1 }}",
            min_rows="{{ 1 }}",
            timeout=170,
        )
