"""Airbyte's connections, each from a source to a destination."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.api.models import (
    AirbyteConnection,
    ConnectionState,
    StreamProperties,
    streams_of_catalog,
)
from airflow_provider_airbyte_sme.api.resources.base import (
    CONNECTOR_TIMEOUT,
    Resource,
    flag,
    listed,
    only_named,
)


class Connections(Resource[AirbyteConnection]):
    """``/connections``: docs/airbyte-api.md §4.3."""

    path = "connections"
    kind = "connection"
    model = AirbyteConnection
    write_timeout = CONNECTOR_TIMEOUT

    async def get(
        self, connection_id: str | int, *, timeout: float | None = None
    ) -> AirbyteConnection:
        """
        Read one connection, a deleted one too.

        :param connection_id: UUID of the connection.
        :param timeout: Seconds after which nothing is retried; ``None`` for no limit but
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
        is_for_display: bool = False,
    ) -> list[AirbyteConnection]:
        """
        Read all connections that the caller may see.

        :param workspace_ids: Only those of these workspaces.
        :param tag_ids: Only those with at least one of these tags.
        :param include_deleted: Whether to include deleted ones, whose status is ``deprecated``.
        :param is_for_display: Whether a list of several pages is read once only. It may then lack
            a connection that has just been changed, and costs half as many requests.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unordered(
            {
                "workspaceIds": listed(workspace_ids),
                "tagIds": listed(tag_ids),
                "includeDeleted": flag(include_deleted),
            },
            is_checked=not is_for_display,
        )

    async def find_by_name(self, workspace_id: str, name: str) -> AirbyteConnection | None:
        """
        Return the connection of a workspace with this name; ``None`` if there is none.

        :raises AirbyteAmbiguousNameError: Several have it: their names are not unique.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        connections = await self.list(workspace_ids=[workspace_id])
        return only_named(self.kind, connections, name, workspace_id=workspace_id)

    async def create(
        self, payload: Mapping[str, Any], *, secrets: Iterable[str] = ()
    ) -> AirbyteConnection:
        """
        Create a connection, which runs the source's connector unless its streams are cached.

        :param payload: Its fields; without streams, Airbyte may select none
            (docs/airbyte-api.md §4.3.16).
        :param secrets: Values in its mappers that no message may contain.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write(
            "POST", payload=payload, timeout=self.write_timeout, secrets=secrets
        )

    async def update(
        self, connection_id: str, payload: Mapping[str, Any], *, secrets: Iterable[str] = ()
    ) -> AirbyteConnection:
        """
        Change some fields (PATCH). Streams replace the whole selection.

        What a stream leaves out is reset to the source's default: docs/airbyte-api.md §4.3.18.

        :param payload: The fields to change.
        :param secrets: Values in its mappers that no message may contain.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write(
            "PATCH", connection_id, payload=payload, timeout=self.write_timeout, secrets=secrets
        )

    async def get_state(self, connection_id: str) -> ConnectionState:
        """
        Read what the next incremental sync starts from.

        :raises AirbyteConfigApiError: The config API, which this needs, is not to be had.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._config_request(
            "state",
            "get",
            purpose="The state of a connection",
            payload={"connectionId": connection_id},
            replayable=True,
        )
        return response.decode(ConnectionState.from_json)

    async def set_state(self, connection_id: str, state: ConnectionState) -> ConnectionState:
        """
        Replace what the next incremental sync starts from.

        :return: The state as Airbyte stored it.
        :raises AirbyteConflictError: A sync is running.
        :raises AirbyteConfigApiError: The config API, which this needs, is not to be had.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._config_request(
            "state",
            "create_or_update_safe",
            purpose="The state of a connection",
            payload={
                "connectionId": connection_id,
                "connectionState": {**state.payload, "connectionId": connection_id},
            },
            replayable=True,
        )
        return response.decode(ConnectionState.from_json)

    async def get_catalog(
        self, connection_id: str, *, timeout: float | None = None
    ) -> Sequence[StreamProperties]:
        """
        Read the streams that the source offered when its connector last ran, selected or not.

        :param timeout: As for :meth:`get`.
        :return: The streams, without sync modes, which depend on the destination.
        :raises AirbyteConfigApiError: The config API, which this needs, is not to be had.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._config_request(
            "web_backend",
            "connections",
            "get",
            purpose="The catalog of a connection",
            payload={"connectionId": connection_id, "withRefreshedCatalog": False},
            replayable=True,
            deadline=self._deadline(timeout),
        )
        return response.decode(streams_of_catalog)
