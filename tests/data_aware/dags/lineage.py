"""Syncs that end in every way, one after the other."""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.common.compat.sdk import DAG, chain

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor

CONNECTION_ID = os.environ["LINEAGE_CONNECTION_ID"]
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"

with DAG(
    "lineage", schedule=None, default_args={"trigger_rule": "all_done", "poll_interval": 0.05}
):

    def sync(task_id: str, connection_id: str = CONNECTION_ID, **kwargs: Any) -> Any:
        return AirbyteTriggerSyncOperator(task_id=task_id, connection_id=connection_id, **kwargs)

    started = sync("started", wait_for_completion=False)
    chain(
        sync("blocking", deferrable=False),
        sync("deferred", deferrable=True),
        sync("failed_blocking", deferrable=False),
        sync("failed_deferred", deferrable=True),
        started,
        AirbyteJobSensor(task_id="sensor", airbyte_job_id=started.output, deferrable=False),
        sync("skipped", min_rows=1, on_too_few_rows="skip"),
        sync("too_few", min_rows=1000),
        sync("without_a_job", connection_id=UNKNOWN_ID),
        AirbyteTriggerSyncOperator.partial(task_id="mapped").expand(connection_id=[CONNECTION_ID]),
    )
