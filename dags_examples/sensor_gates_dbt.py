"""
Start a sync in one task and wait for it in another, with time for other work in between.

The first task ends as soon as Airbyte has created the job. The sensor waits in the triggerer. dbt
starts only if this very job has succeeded and has moved rows.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor

DBT_PROJECT = Path(__file__).parent / "dbt"


@dag(schedule=None, max_active_runs=1, tags=["airbyte", "dbt"])
def sensor_gates_dbt() -> None:
    start_sync = AirbyteTriggerSyncOperator(
        task_id="start_sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        wait_for_completion=False,
    )
    wait_for_data = AirbyteJobSensor(
        task_id="wait_for_data",
        airbyte_job_id=start_sync.output,
        deferrable=True,
        poll_interval=2,
        min_rows=1,
    )

    @task.bash(cwd=str(DBT_PROJECT))
    def dbt_build(sync_result: dict[str, Any]) -> str:
        return f"dbt build --vars {shlex.quote(json.dumps(sync_result))}"

    dbt_build(wait_for_data.output)


sensor_gates_dbt()
