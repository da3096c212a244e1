"""
Start as soon as Airbyte says that a sync has succeeded, without polling. Needs Airflow 3.0.

Airbyte calls Airflow's API server: switch that on with ``AIRFLOW__AIRBYTE_SME__WEBHOOK=True``, give
the Airflow connection a ``webhook_secret``, and enter the address with that secret in Airbyte, as
the webhook for successful syncs. A call is only a hint: Airflow reads the job from Airbyte before
it believes it, and a job makes one event however often it is sent.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_airbyte_sme.assets import airbyte_webhook_asset

# From the address of the connection in Airbyte.
CONNECTION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"

log = logging.getLogger(__name__)


@dag(schedule=[airbyte_webhook_asset(CONNECTION_ID)], max_active_runs=1, tags=["airbyte"])
def start_on_webhook() -> None:
    @task
    def use_new_data(*, triggering_asset_events: Any = None) -> list[int]:
        events = [event for each in triggering_asset_events.values() for event in each]
        log.info("Synced by %s", [event.extra["job_url"] for event in events])
        return [event.extra["job_id"] for event in events]

    use_new_data()


start_on_webhook()
