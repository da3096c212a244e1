"""
Create everything from nothing, sync it and run dbt: the DAG declares what should exist in Airbyte.

The first run creates a workspace, a source, a destination and their connection. Each later run
finds them by their names, compares them with the DAG, and writes only what differs, so it can run
as often as you like. No id is needed: each task names what it builds on.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import chain, dag, task

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.operators.resources import (
    AirbyteCreateConnectionOperator,
    AirbyteCreateDestinationOperator,
    AirbyteCreateSourceOperator,
    AirbyteCreateWorkspaceOperator,
)

WORKSPACE = "Shop"
DBT_PROJECT = Path(__file__).parent / "dbt"


@dag(schedule=None, max_active_runs=1, tags=["airbyte", "dbt"])
def provision_pipeline() -> None:
    workspace = AirbyteCreateWorkspaceOperator(task_id="workspace", name=WORKSPACE)
    source = AirbyteCreateSourceOperator(
        task_id="source",
        name="Orders",
        workspace=WORKSPACE,
        source_type="faker",
        configuration={"count": 500, "seed": 1},
    )
    destination = AirbyteCreateDestinationOperator(
        task_id="destination",
        name="Warehouse",
        workspace=WORKSPACE,
        destination_type="duckdb",
        configuration={"destination_path": "/local/shop.duckdb"},
    )
    connection = AirbyteCreateConnectionOperator(
        task_id="connection",
        name="Orders to warehouse",
        workspace=WORKSPACE,
        source="Orders",
        destination="Warehouse",
        streams=["users", "products", "purchases"],
    )
    sync = AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_name="Orders to warehouse",
        workspace=WORKSPACE,
        deferrable=True,
        poll_interval=2,
        min_rows=1,
    )

    @task.bash(cwd=str(DBT_PROJECT))
    def dbt_build(sync_result: dict[str, Any]) -> str:
        return f"dbt build --vars {shlex.quote(json.dumps(sync_result))}"

    chain(workspace, [source, destination], connection, sync, dbt_build(sync.output))


provision_pipeline()
