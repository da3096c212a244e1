"""The definitions of connectors that a workspace may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from airflow_provider_airbyte_sme.api.models import (
    ActorKind,
    ConnectorDefinition,
    DeclarativeDefinition,
    Definition,
)
from airflow_provider_airbyte_sme.api.resources.base import (
    CONNECTOR_TIMEOUT,
    Model,
    ResourceGroup,
)

D = TypeVar("D", bound=Model)


class WorkspaceDefinitions(ResourceGroup[D]):
    """``/workspaces/{workspaceId}/definitions/…``: docs/airbyte-api.md §5.3."""

    path = "workspaces"
    kind = "definition"
    collection: ClassVar[str]
    # Creating and changing runs the connector.
    write_timeout: ClassVar[float] = CONNECTOR_TIMEOUT

    async def list(self, workspace_id: str) -> list[D]:
        """
        Read all definitions that a workspace may use, built-in ones too if it has them.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({}, *self._segments(workspace_id))

    async def get(self, workspace_id: str, definition_id: str) -> D:
        """
        Read one definition.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._get(*self._segments(workspace_id, definition_id))

    async def create(self, workspace_id: str, payload: Mapping[str, Any]) -> D:
        """
        Create a definition, which runs its connector for a moment.

        :param payload: Its fields.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        segments = self._segments(workspace_id)
        return await self._write("POST", *segments, payload=payload, timeout=self.write_timeout)

    async def update(self, workspace_id: str, definition_id: str, payload: Mapping[str, Any]) -> D:
        """
        Replace a definition (PUT). Each one of a declarative source makes a new version.

        :param payload: All fields that can be changed.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        segments = self._segments(workspace_id, definition_id)
        return await self._write("PUT", *segments, payload=payload, timeout=self.write_timeout)

    async def delete(self, workspace_id: str, definition_id: str) -> None:
        """
        Delete a definition, with all its sources or destinations and their connections.

        Airbyte deletes them in every workspace, without a question.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete(*self._segments(workspace_id, definition_id), timeout=self.write_timeout)

    def _segments(self, workspace_id: str, *more: str) -> tuple[str, ...]:
        return (workspace_id, "definitions", self.collection, *more)


class SourceDefinitions(WorkspaceDefinitions[Definition]):
    """Definitions of sources, each with an image."""

    collection = "sources"
    model = Definition


class DestinationDefinitions(WorkspaceDefinitions[Definition]):
    """Definitions of destinations, each with an image."""

    collection = "destinations"
    model = Definition


class DeclarativeSources(WorkspaceDefinitions[DeclarativeDefinition]):
    """Definitions of sources, each with a manifest instead of an image."""

    collection = "declarative_sources"
    model = DeclarativeDefinition


class ConnectorDefinitions(ResourceGroup[ConnectorDefinition]):
    """``/connector_definitions``: docs/airbyte-api.md §5.3.9."""

    path = "connector_definitions"
    kind = "connector definition"
    model = ConnectorDefinition

    async def list(self, connector_type: ActorKind, workspace_id: str) -> list[ConnectorDefinition]:
        """
        Read all connectors that a workspace may use, built-in and custom.

        :param connector_type: ``source`` or ``destination``.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({"type": connector_type, "workspaceId": workspace_id})
