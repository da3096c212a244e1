"""
Try a pipeline in a workspace of its own, which is deleted at the end, also when the sync fails.

Trigger it with the number of a pull request. The setup creates the sandbox with everything in it.
The teardown deletes it, and Airflow runs it whatever happens in between. ``as_teardown`` makes both
of them: it marks the setup too. A failed sync fails the run, although the teardown succeeds.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import dag

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.operators.resources import (
    AirbyteApplyOperator,
    AirbyteDeleteWorkspaceOperator,
)

SANDBOX = "Sandbox of pull request {{ params.pull_request }}"
PIPELINE = {
    "workspace": SANDBOX,
    "sources": [{"name": "Orders", "source_type": "faker", "configuration": {"count": 10}}],
    "destinations": [
        {
            "name": "Scratch",
            "destination_type": "duckdb",
            "configuration": {"destination_path": "/local/sandbox.duckdb"},
        }
    ],
    "connections": [
        {"name": "Sandbox", "source": "Orders", "destination": "Scratch", "streams": "all"}
    ],
}


@dag(schedule=None, params={"pull_request": 1}, tags=["airbyte"])
def sandbox_with_teardown() -> None:
    create_sandbox = AirbyteApplyOperator(task_id="create_sandbox", spec=PIPELINE)
    sync = AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_name="Sandbox",
        workspace=SANDBOX,
        min_rows=1,
        deferrable=True,
    )
    delete_sandbox = AirbyteDeleteWorkspaceOperator(
        task_id="delete_sandbox", name=SANDBOX, cascade=True
    ).as_teardown(setups=create_sandbox)

    create_sandbox >> sync >> delete_sandbox


sandbox_with_teardown()
