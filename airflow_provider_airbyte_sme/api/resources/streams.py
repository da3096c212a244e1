"""The streams that a source offers."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.models import StreamProperties
from airflow_provider_airbyte_sme.api.resources.base import (
    CONNECTOR_TIMEOUT,
    ResourceGroup,
    flag,
)


class Streams(ResourceGroup[StreamProperties]):
    """``/streams``: docs/airbyte-api.md §4.4.14."""

    path = "streams"
    kind = "stream"
    model = StreamProperties

    async def list(
        self, source_id: str, destination_id: str | None = None, *, ignore_cache: bool = False
    ) -> list[StreamProperties]:
        """
        Read the streams of a source. This runs its connector, for minutes, if none are cached.

        :param source_id: UUID of the source.
        :param destination_id: UUID of a destination; without it, the sync modes are unknown.
        :param ignore_cache: Whether to run the connector in any case.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        query = {
            "sourceId": source_id,
            "destinationId": destination_id,
            "ignoreCache": flag(ignore_cache),
        }
        return await self._list_unpaged(query, timeout=CONNECTOR_TIMEOUT)
