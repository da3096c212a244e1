"""
Starts a sync and passes its job id on to sensors in every usual way.

``hand_over`` renders templates as text, as Airflow does by default; ``hand_over_native`` as values.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor

CONNECTION_ID = "{{ var.value.airbyte_connection_id }}"

TEMPLATES = {
    "result": "{{ ti.xcom_pull('start') }}",
    "result_of_key": "{{ task_instance.xcom_pull(task_ids='start', key='return_value') }}",
    "number": "{{ ti.xcom_pull('start')['job_id'] }}",
    "attribute": "{{ ti.xcom_pull('start').job_id }}",
    "number_of_key": "{{ ti.xcom_pull(task_ids='start', key='job_id') }}",
    "filtered_number": "{{ ti.xcom_pull('start')['job_id'] | string | trim | int }}",
    "padded": "  {{ ti.xcom_pull('start')['job_id'] }}\n",
    "json": "{{ ti.xcom_pull('start') | tojson }}",
    "picked_from_list": "{{ ti.xcom_pull(task_ids=['start'])[0] }}",
    "first_of_list": "{{ ti.xcom_pull(task_ids=['start']) | first }}",
    "list": "{{ ti.xcom_pull(task_ids=['start']) | list }}",
    "json_list": "{{ ti.xcom_pull(task_ids=['start']) | list | tojson }}",
    "mapped_index": "{{ ti.xcom_pull('start_mapped', map_indexes=0) }}",
    "mapped_indexes": "{{ ti.xcom_pull('start_mapped', map_indexes=[0]) | list }}",
    "skipped_and_started": "{{ ti.xcom_pull(task_ids=['absent', 'start']) | list }}",
}


def hand_over(dag_id: str, native: bool) -> DAG:
    with DAG(
        dag_id,
        schedule=None,
        render_template_as_native_obj=native,
        params={"min_rows": 1, "hours": 2},
        default_args={"timeout": timedelta(hours=1), "poll_interval": "0.05"},
    ) as dag:
        start = AirbyteTriggerSyncOperator(
            task_id="start", connection_id=CONNECTION_ID, wait_for_completion=False
        )
        mapped = AirbyteTriggerSyncOperator.partial(
            task_id="start_mapped", wait_for_completion=False, timeout="3600"
        ).expand(connection_id=[CONNECTION_ID])
        output: Any = start.output
        values = {
            **TEMPLATES,
            "output": output,
            "number_of_output": output["job_id"],
            "mapped_output": mapped.output,
        }
        start >> mapped
        for name, value in values.items():
            mapped >> AirbyteJobSensor(
                task_id=name,
                airbyte_job_id=value,
                min_rows="{{ params.min_rows }}",
                timeout="{{ params.hours * 3600 }}",
            )
        AirbyteJobSensor.partial(task_id="each", min_rows="{{ params.min_rows }}").expand(
            airbyte_job_id=mapped.output
        )
        AirbyteTriggerSyncOperator.partial(
            task_id="limits", connection_id=CONNECTION_ID, min_rows="{{ params.min_rows }}"
        ).expand(timeout=[timedelta(minutes=1), 60, "60"])
    return dag


text = hand_over("hand_over", native=False)
native = hand_over("hand_over_native", native=True)
