"""Airbyte's connections, each from a source to a destination."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_airbyte_sme.api.models import AirbyteConnection
from airflow_provider_airbyte_sme.api.resources.base import Resource


class Connections(Resource[AirbyteConnection]):
    """``/connections``: docs/airbyte-api.md §4.3."""

    path = "connections"
    model = AirbyteConnection
    write_timeout = 600.0

    async def get(
        self, connection_id: str | int, *, timeout: float | None = None
    ) -> AirbyteConnection:
        """
        Read one connection, a deleted one too.

        :param connection_id: UUID of the connection.
        :param timeout: Seconds after which nothing is retried any more; ``None`` for no limit but
            the policy's.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._get(connection_id, deadline=self._deadline(timeout))

    async def list(
        self,
        *,
        workspace_ids: Sequence[str] = (),
        tag_ids: Sequence[str] = (),
        include_deleted: bool = False,
    ) -> list[AirbyteConnection]:
        """
        Read all connections that the caller may see.

        :param workspace_ids: Only those of these workspaces.
        :param tag_ids: Only those with at least one of these tags.
        :param include_deleted: Whether to include deleted ones, whose status is ``deprecated``.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_all(
            {
                "workspaceIds": ",".join(workspace_ids) or None,
                "tagIds": ",".join(tag_ids) or None,
                "includeDeleted": "true" if include_deleted else None,
            }
        )
