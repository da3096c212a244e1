"""The asset that the webhook emits events on: one per Airbyte connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.parameters import validate_uuid

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset


def airbyte_webhook_asset(connection_id: str) -> Asset:
    """
    Return the asset of a connection that changes when Airbyte calls the webhook after a sync.

    A DAG with it in its ``schedule`` starts when Airbyte has delivered data, whoever started the
    sync. Its event has ``job_id``, ``connection_id``, ``job_type``, ``status``, ``rows_synced``
    (``None`` if nobody knows), ``bytes_synced``, ``started_at`` and ``ended_at`` (ISO 8601, UTC)
    and ``job_url``.

    :param connection_id: UUID of the Airbyte connection.
    :raises AirbyteConfigError: It is not a UUID, or this is an Airflow before 3.0, which cannot
        serve the webhook.
    """
    from airflow.providers.common.compat.sdk import Asset
    from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

    if not AIRFLOW_V_3_0_PLUS:
        raise AirbyteConfigError(
            "airbyte_webhook_asset needs Airflow 3.0 or newer, since only that serves the webhook: "
            "upgrade Airflow, or wait with an AirbyteSyncSensor."
        )
    name, uri = webhook_asset_key(validate_uuid(connection_id, "connection_id"))
    return Asset(name=name, uri=uri)


def webhook_asset_key(connection_id: str) -> tuple[str, str]:
    """
    Return name and URI of the asset of a connection, as Airflow stores them.

    :param connection_id: UUID in lower case with hyphens.
    """
    return f"airbyte_sme/webhook/{connection_id}", f"x-airbyte-sme://{connection_id}/webhook"
