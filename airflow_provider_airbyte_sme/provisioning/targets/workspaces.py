"""Workspaces as targets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from airflow_provider_airbyte_sme.api.errors import AirbytePermissionError
from airflow_provider_airbyte_sme.api.models import Region, Workspace
from airflow_provider_airbyte_sme.provisioning.declarations import WorkspaceDeclaration
from airflow_provider_airbyte_sme.provisioning.results import MASK, FieldChange, Plan
from airflow_provider_airbyte_sme.provisioning.targets.base import Context, Target

log = logging.getLogger(__name__)


class WorkspaceTarget(Target[Workspace]):
    """A declared workspace: docs/airbyte-api.md §5.1."""

    kind = "workspace"

    def __init__(self, context: Context, declaration: WorkspaceDeclaration) -> None:
        super().__init__(context, declaration.name, declaration.workspace_id)
        context.hide(_webhook_urls(declaration.notifications or {}))
        self._declaration = declaration
        self._workspaces = context.inventory.client.workspaces

    async def plan_creation(self) -> Plan:
        """Return what to send to create it."""
        declaration = self._declaration
        payload: dict[str, Any] = {"name": declaration.name}
        if declaration.notifications is not None:
            payload["notifications"] = declaration.notifications
        if declaration.region_id is not None:
            payload["regionId"] = declaration.region_id
        changes = [FieldChange("name", None, declaration.name)]
        changes += _notification_changes({}, declaration.notifications or {})
        if declaration.region_id is not None:
            changes.append(FieldChange("region_id", None, declaration.region_id))
        return Plan(tuple(changes), payload)

    async def plan(self, actual: Workspace) -> Plan:
        """Return what to send so that *actual* becomes what is declared."""
        declaration = self._declaration
        payload: dict[str, Any] = {}
        changes: list[FieldChange] = []
        if actual.name != declaration.name:
            payload["name"] = declaration.name
            changes.append(FieldChange("name", actual.name, declaration.name))
        if found := [*_notification_changes(actual.notifications, declaration.notifications or {})]:
            payload["notifications"] = declaration.notifications
            changes += found
        not_compared = () if declaration.notifications is not None else ("notifications",)
        region = await self._declared_region()
        if region is None:
            not_compared = (*not_compared, "region_id")
        # The response names the region, in lower case, and not its id.
        elif region.name.lower() != actual.data_residency:
            payload["regionId"] = declaration.region_id
            changes.append(FieldChange("region_id", actual.data_residency, region.name))
        return Plan(tuple(changes), payload, not_compared=not_compared)

    async def _declared_region(self) -> Region | None:
        """Return the declared region; ``None`` if there is none, or the user may not see it."""
        if self._declaration.region_id is None:
            return None
        try:
            return await self._context.inventory.client.regions.get(self._declaration.region_id)
        except AirbytePermissionError as error:
            # Only an administrator of the organization may read regions: docs/airbyte-api.md §5.5.
            log.warning("The region of workspace %r is not compared: %s", self.name, error)
            return None

    async def create(self, plan: Plan) -> Workspace:
        """Create it, with one request."""
        return await self._workspaces.create(plan.payload)

    async def update(self, actual: Workspace, plan: Plan) -> Workspace:
        """Change it, with one request."""
        return await self._workspaces.update(actual.workspace_id, plan.payload)

    async def read(self, actual: Workspace) -> Workspace:
        """Read it again."""
        return await self._workspaces.get(actual.workspace_id)

    async def delete(self, actual: Workspace) -> None:
        """Delete an empty workspace."""
        await self._workspaces.delete(actual.workspace_id)

    async def _list(self, *, fresh: bool) -> Sequence[Workspace]:
        return await self._context.inventory.workspaces(fresh=fresh)


def _notification_changes(
    actual: Mapping[str, Any], declared: Mapping[str, Any], field: str = "notifications"
) -> Iterator[FieldChange]:
    """Compare only what is declared, key by key, as Airbyte merges it."""
    for name, value in declared.items():
        before, path = actual.get(name), f"{field}.{name}"
        if isinstance(value, Mapping):
            inner = before if isinstance(before, Mapping) else {}
            yield from _notification_changes(inner, value, path)
        # A request's null leaves the value as it is.
        elif value is not None and before != value:
            yield FieldChange(path, *map(partial(_masked, name), (before, value)))


def _masked(name: str, value: Any) -> Any:
    """Return a value for people: whoever knows the URL of a webhook can post to it."""
    return MASK if name == "url" and value else value


def _webhook_urls(notifications: Mapping[str, Any]) -> Iterator[str]:
    for channels in notifications.values():
        webhook = channels.get("webhook") if isinstance(channels, Mapping) else None
        url = webhook.get("url") if isinstance(webhook, Mapping) else None
        if isinstance(url, str) and url:
            yield url
