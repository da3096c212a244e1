"""
What exists, read once per run.

A run of a pipeline compares many resources with few lists: its requests grow with pages, not with
resources. A list is read again only around a write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from airflow_provider_airbyte_sme.api.client import AirbyteClient
from airflow_provider_airbyte_sme.api.errors import AirbyteAmbiguousNameError, AirbyteConfigError
from airflow_provider_airbyte_sme.api.models import (
    Actor,
    ActorKind,
    AirbyteConnection,
    ConnectorSpecification,
    Definition,
    StreamProperties,
    Tag,
    Workspace,
)
from airflow_provider_airbyte_sme.api.resources.actors import Actors
from airflow_provider_airbyte_sme.api.resources.base import N, only_named
from airflow_provider_airbyte_sme.provisioning.connectors import ConnectorNames

T = TypeVar("T")

# In a dry run, the id of what does not exist yet. Nothing is in such a workspace, and any other one
# tells what its connectors want.
NEW_ID = "(to be created)"

_MAX_NAMES = 5


class Inventory:
    """
    The resources of an Airbyte, list by list.

    :param client: Reads them.
    """

    def __init__(self, client: AirbyteClient) -> None:
        self.client = client
        self._lists: dict[tuple[str, str], Sequence[Any]] = {}
        self._specifications: dict[str, ConnectorSpecification] = {}

    def actors_of(self, kind: ActorKind) -> Actors[Any]:
        """Return the operations on sources or destinations."""
        return self.client.sources if kind == "source" else self.client.destinations

    async def workspaces(self, *, fresh: bool = False) -> Sequence[Workspace]:
        """Return all workspaces that the caller may see."""
        return await self._list("workspace", "", self.client.workspaces.list, fresh=fresh)

    async def actors(
        self, kind: ActorKind, workspace_id: str, *, fresh: bool = False
    ) -> Sequence[Actor]:
        """Return the sources or destinations of a workspace, without deleted ones."""
        resource = self.actors_of(kind)
        return await self._list(
            kind, workspace_id, lambda: resource.list(workspace_ids=[workspace_id]), fresh=fresh
        )

    async def connections(
        self, workspace_id: str, *, fresh: bool = False
    ) -> Sequence[AirbyteConnection]:
        """Return the connections of a workspace, without deleted ones."""
        return await self._list(
            "connection",
            workspace_id,
            lambda: self.client.connections.list(workspace_ids=[workspace_id]),
            fresh=fresh,
        )

    async def tags(self, workspace_id: str, *, fresh: bool = False) -> Sequence[Tag]:
        """Return the tags of a workspace."""
        return await self._list(
            "tag",
            workspace_id,
            lambda: self.client.tags.list(workspace_ids=[workspace_id]),
            fresh=fresh,
        )

    async def streams(self, source_id: str, destination_id: str) -> Sequence[StreamProperties]:
        """Return what a source offers to a destination, read once per run."""
        key = f"{source_id} {destination_id}"
        return await self._list(
            "stream", key, lambda: self.client.streams.list(source_id, destination_id), fresh=False
        )

    async def workspace_id(self, name: str) -> str:
        """
        Return the UUID of a workspace.

        :raises AirbyteAmbiguousNameError: Several workspaces have the name.
        :raises AirbyteConfigError: None has it.
        """
        return _existing("workspace", name, await self.workspaces()).workspace_id

    async def actor(self, kind: ActorKind, name: str, workspace_id: str) -> Actor:
        """
        Return the source or destination with a name.

        :raises AirbyteAmbiguousNameError: Several have the name.
        :raises AirbyteConfigError: None has it.
        """
        return _existing(kind, name, await self.actors(kind, workspace_id))

    async def definition_id(self, kind: ActorKind, connector: str, workspace_id: str) -> str:
        """
        Return the UUID of the definition of a connector, built-in or custom.

        :param connector: Such as ``postgres``, the name of its image without ``source-``, or the
            name of its definition.
        :raises AirbyteConfigError: The workspace has no such connector, or several.
        """
        describing_id = await self._describing(workspace_id)
        names = ConnectorNames(kind, await self._definitions(kind, describing_id))
        found = sorted(names.find(connector))
        if len(found) == 1:
            return found[0]
        if found:
            raise AirbyteAmbiguousNameError("connector", connector, found)
        raise AirbyteConfigError(
            f"This workspace has no {kind} connector {connector!r}{_hint(connector, names.all())}. "
            f"Use its name as in its documentation's URL, or definition_id for a custom one."
        )

    async def _describing(self, workspace_id: str) -> str:
        """Return the id of a workspace that tells what connectors want."""
        if workspace_id != NEW_ID:
            return workspace_id
        if not (others := await self.workspaces()):
            raise AirbyteConfigError(
                "What connectors want is only known in a workspace, and this user sees none: "
                "create the workspace first."
            )
        return others[0].workspace_id

    async def _definitions(self, kind: ActorKind, workspace_id: str) -> Sequence[Definition]:
        operations = (
            self.client.source_definitions
            if kind == "source"
            else self.client.destination_definitions
        )
        return await self._list(
            f"{kind} definition", workspace_id, lambda: operations.list(workspace_id), fresh=False
        )

    async def specification(
        self, kind: ActorKind, definition_id: str, workspace_id: str
    ) -> ConnectorSpecification:
        """Return what a connector wants to know, read once per run."""
        if definition_id not in self._specifications:
            self._specifications[definition_id] = await self.actors_of(kind).read_specification(
                definition_id, await self._describing(workspace_id)
            )
        return self._specifications[definition_id]

    async def _list(
        self,
        kind: str,
        workspace_id: str,
        read: Callable[[], Awaitable[Sequence[T]]],
        *,
        fresh: bool,
    ) -> Sequence[T]:
        key = (kind, workspace_id)
        if workspace_id == NEW_ID:
            return ()
        if fresh or key not in self._lists:
            self._lists[key] = await read()
        return self._lists[key]


def _existing(kind: str, name: str, resources: Sequence[N]) -> N:
    found = only_named(kind, resources, name)
    if found is None:
        raise AirbyteConfigError(
            f"Airbyte has no {kind} {name!r}{_hint(name, [each.name for each in resources])}."
        )
    return found


def _hint(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=_MAX_NAMES, cutoff=0.5) or sorted(names)[:_MAX_NAMES]
    return f"; there is {', '.join(map(repr, close))}" if close else ""
