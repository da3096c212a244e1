"""Deletes a resource, and what hangs on it, until it is gone."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteError,
    AirbyteNotFoundError,
    AirbytePermissionError,
)
from airflow_provider_airbyte_sme.api.models import AirbyteConnection
from airflow_provider_airbyte_sme.api.resources.base import only_named
from airflow_provider_airbyte_sme.api.retry import is_ambiguous
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteInUseError
from airflow_provider_airbyte_sme.provisioning.inventory import Inventory
from airflow_provider_airbyte_sme.provisioning.results import Action, ResourceKind, ResourceResult
from airflow_provider_airbyte_sme.provisioning.secrets import SecretStore

log = logging.getLogger(__name__)

_MAX_DELETES = 3
# Seconds before a deletion is repeated whose result is unknown.
_DELETE_PAUSE = 3.0
_MAX_NAMED = 10


class Reference(NamedTuple):
    """
    Which resource is meant: by its id, or by its name in a workspace.

    :param workspace_id: UUID of its workspace; empty with an id, and for a workspace.
    """

    kind: ResourceKind
    resource_id: str = ""
    name: str = ""
    workspace_id: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}" if self.name else f"{self.kind} {self.resource_id}"


class _Found(NamedTuple):
    """An existing resource."""

    kind: ResourceKind
    resource_id: str
    name: str
    workspace_id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} ({self.resource_id})"


class Deletion:
    """
    Deletes resources.

    :param sleep: Waits for a number of seconds.
    :param dry_run: Whether to look only, and delete nothing.
    """

    def __init__(
        self,
        inventory: Inventory,
        store: SecretStore,
        sleep: Callable[[float], Awaitable[None]],
        *,
        dry_run: bool = False,
    ) -> None:
        self._inventory = inventory
        self._store = store
        self._sleep = sleep
        self._dry_run = dry_run

    async def run(self, reference: Reference, *, cascade: bool) -> ResourceResult:
        """
        Delete one resource. To delete what is gone succeeds.

        :param cascade: Whether what hangs on it may be deleted too.
        :raises AirbyteAmbiguousNameError: Several resources have the name.
        :raises AirbyteInUseError: Others hang on it, and *cascade* is false.
        :raises AirbyteError: Airbyte is unreachable or rejects a request.
        """
        found = await self._find(reference)
        if found is None:
            note = f"There is no {reference}: nothing to delete."
            return ResourceResult(
                reference.kind,
                Action.ABSENT,
                reference.resource_id,
                reference.name,
                notes=(note,),
            )
        dependents = await self._dependents(found)
        if dependents and not cascade:
            raise AirbyteInUseError(
                f"The {found} was not deleted, because these would go with it: "
                f"{_listed(dependents)}. Delete them first, or set cascade=True."
            )
        if self._dry_run:
            return _result(found, Action.WOULD_DELETE, dependents)
        for each in (*dependents, found):
            await self._delete(each)
        return _result(found, Action.DELETED, dependents)

    async def _find(self, reference: Reference) -> _Found | None:
        if reference.resource_id:
            return await self._find_by_id(reference.kind, reference.resource_id)
        kind, workspace_id = reference.kind, reference.workspace_id
        resources = await self._list(kind, workspace_id)
        resource = only_named(kind, resources, reference.name, workspace_id=workspace_id)
        return None if resource is None else _found(kind, resource)

    async def _find_by_id(self, kind: ResourceKind, resource_id: str) -> _Found | None:
        try:
            resource = await self._group(kind).get(resource_id)
        except AirbyteNotFoundError as error:
            if not error.problem.from_airbyte:
                raise
            return None
        except AirbytePermissionError as error:
            # A normal user gets a 403 for a workspace that was deleted, unlike for all else.
            if kind != "workspace" or not error.problem.from_airbyte:
                raise
            log.warning("Taking workspace %s as deleted: %s", resource_id, error)
            return None
        return None if getattr(resource, "is_deleted", False) else _found(kind, resource)

    async def _dependents(self, found: _Found) -> Sequence[_Found]:
        """Return what would be deleted with it, in the order in which to delete it."""
        if found.kind in ("connection", "tag"):
            return ()
        connections = await self._list("connection", found.workspace_id)
        if found.kind != "workspace":
            return [_found("connection", each) for each in connections if _uses(each, found)]
        # Airbyte itself deletes only 20 sources and 20 destinations with a workspace, and forgets
        # the others: docs/airbyte-api.md §5.1.
        kinds: tuple[ResourceKind, ...] = ("source", "destination")
        actors = [
            _found(kind, each)
            for kind in kinds
            for each in await self._list(kind, found.workspace_id)
        ]
        return [*(_found("connection", each) for each in connections), *actors]

    async def _delete(self, found: _Found) -> None:
        log.info("Deleting the %s.", found)
        for attempt in range(1, _MAX_DELETES + 1):
            try:
                await self._group(found.kind).delete(found.resource_id)
            except AirbyteError as error:
                # An earlier attempt may have deleted it, and a normal user gets a 403 then.
                if await self._find_by_id(found.kind, found.resource_id) is None:
                    log.info("It is gone: %s", error)
                    break
                if attempt == _MAX_DELETES or not is_ambiguous(error):
                    raise
                log.warning("Deleting the %s again: %s", found, error)
                await self._sleep(_DELETE_PAUSE)
            else:
                break
        self._store.delete(found.resource_id)

    async def _list(self, kind: ResourceKind, workspace_id: str) -> Sequence[Any]:
        # A deletion must see what was created since the lists were read.
        inventory = self._inventory
        match kind:
            case "workspace":
                return await inventory.workspaces(fresh=True)
            case "connection":
                return await inventory.connections(workspace_id, fresh=True)
            case "tag":
                return await inventory.tags(workspace_id, fresh=True)
            case _:
                return await inventory.actors(kind, workspace_id, fresh=True)

    def _group(self, kind: ResourceKind) -> Any:
        return getattr(self._inventory.client, f"{kind}s")


def _found(kind: ResourceKind, resource: Any) -> _Found:
    workspace_id = resource.id if kind == "workspace" else resource.workspace_id
    return _Found(kind, resource.id, resource.name, workspace_id)


def _uses(connection: AirbyteConnection, actor: _Found) -> bool:
    return actor.resource_id in (connection.source_id, connection.destination_id)


def _listed(dependents: Sequence[_Found]) -> str:
    named = ", ".join(map(str, dependents[:_MAX_NAMED]))
    more = len(dependents) - _MAX_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _result(found: _Found, action: Action, dependents: Sequence[_Found]) -> ResourceResult:
    notes = tuple(f"With it: the {each}." for each in dependents)
    return ResourceResult(found.kind, action, found.resource_id, found.name, notes=notes)
