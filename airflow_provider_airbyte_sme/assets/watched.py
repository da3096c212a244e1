"""An asset that is updated when Airbyte has synced a connection, found out by polling."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL
from airflow_provider_airbyte_sme.triggers.events import DEFAULT_CONN_ID, AirbyteSyncEventTrigger

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.api.waiting.watermarks import CatchUp


def airbyte_asset(
    connection_id: str,
    *,
    airbyte_conn_id: str = DEFAULT_CONN_ID,
    poll_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
    catch_up: CatchUp = "latest",
) -> Asset:
    """
    Return an asset with an event for each sync of a connection that ends successfully.

    It works without a task: a triggerer watches the connection, whoever starts its syncs. A DAG
    with ``schedule=[airbyte_asset(...)]`` starts after each of them. Needs Airflow 3.0.

    Call it with the same arguments in every DAG file that names the asset. Airflow replaces what
    watches an asset each time it parses a file that names it in another way: with other arguments,
    or as a plain ``Asset`` that nothing watches.

    :param connection_id: UUID of the Airbyte connection.
    :param airbyte_conn_id: Id of the Airflow connection.
    :param poll_interval: Seconds between two looks, or a ``timedelta``.
    :param catch_up: Which syncs that ended while no triggerer ran, or while all DAGs with this
        asset were paused, make an event: only the ``latest`` one, ``all``, or ``none``. Before
        Airflow 3.3, it is always ``none``.
    :return: The asset ``airbyte_sme/<connection_id>``, ``x-airbyte-sme://<connection_id>``.
    :raises AirbyteConfigError: An argument is invalid, or Airflow is older than 3.0.
    """
    trigger = AirbyteSyncEventTrigger(airbyte_conn_id, connection_id, poll_interval, catch_up)
    from airflow.sdk import AssetWatcher

    name = f"airbyte_sme/{trigger.connection_id}"
    return Asset(
        name=name,
        uri=f"x-airbyte-sme://{trigger.connection_id}",
        watchers=[AssetWatcher(name=name, trigger=trigger)],
    )
