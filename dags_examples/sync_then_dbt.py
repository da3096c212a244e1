"""
Sync, then run dbt, then check: dbt starts when the data has arrived, and records the sync job.

The sync waits in the triggerer and holds no worker slot. ``max_active_runs=1`` keeps two runs from
syncing the connection at the same moment and getting the same job. The DAG needs the Airflow
variable ``airbyte_connection_id`` (a UUID), ``dbt`` on the path, and ``DUCKDB_PATH`` for dbt's
profile.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

DBT_PROJECT = Path(__file__).parent / "dbt"


@dag(schedule=None, max_active_runs=1, tags=["airbyte", "dbt"])
def sync_then_dbt() -> None:
    sync = AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        deferrable=True,
        poll_interval=2,
    )

    @task.bash(cwd=str(DBT_PROJECT))
    def dbt_build(sync_result: dict[str, Any]) -> str:
        return f"dbt build --vars {shlex.quote(json.dumps(sync_result))}"

    @task
    def check(sync_result: dict[str, Any]) -> None:
        import duckdb

        with duckdb.connect(os.environ["DUCKDB_PATH"], read_only=True) as database:
            [audit] = database.sql(
                "select job_id, rows_synced from analytics.sync_audit"
            ).fetchall()
        if audit != (sync_result["job_id"], sync_result["rows_synced"]):
            raise ValueError(f"dbt built from job and rows {audit}, expected {sync_result}")

    dbt_build(sync.output) >> check(sync.output)


sync_then_dbt()
