"""
Start when Airbyte has synced a connection, whoever started the sync. Needs Airflow 3.0.

No task and no worker waits: the triggerer asks Airbyte for new syncs, and each that succeeded and
moved data is an event of the asset, with the job as its payload. Use this for syncs of Airbyte's
own schedule. A sync that a task of Airflow starts can emit assets by itself: sync_emits_assets.py.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.assets import airbyte_asset

# From the address of the connection in Airbyte.
CONNECTION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"

log = logging.getLogger(__name__)


@dag(schedule=[airbyte_asset(CONNECTION_ID)], max_active_runs=1, tags=["airbyte"])
def start_when_airbyte_syncs() -> None:
    @task
    def use_new_data(*, triggering_asset_events: Any = None) -> list[int]:
        # Several events, if more syncs have ended than this DAG has had runs.
        events = [event for each in triggering_asset_events.values() for event in each]
        jobs = [event.extra["payload"] for event in events]
        for job in jobs:
            log.info("Job %s of connection %s", job["job_id"], job["connection_id"])
        return [job["job_id"] for job in jobs]

    use_new_data()


start_when_airbyte_syncs()
