"""
Airbyte's own schedule delivers the data, and dbt runs once it has arrived.

No task starts a sync. The sensor waits in the triggerer until one has completed successfully since
the end of the run's data interval, whoever started it. On Airflow 3.3 no worker is needed before.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor

DBT_PROJECT = Path(__file__).parent / "dbt"


@dag(
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    tags=["airbyte", "dbt"],
)
def sync_sensor_gates_dbt() -> None:
    wait_for_sync = AirbyteSyncSensor(
        task_id="wait_for_sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        start_from_trigger=True,
        min_rows=1,
    )

    @task.bash(cwd=str(DBT_PROJECT))
    def dbt_build(sync_result: dict[str, Any]) -> str:
        return f"dbt build --vars {shlex.quote(json.dumps(sync_result))}"

    dbt_build(wait_for_sync.output)


sync_sensor_gates_dbt()
