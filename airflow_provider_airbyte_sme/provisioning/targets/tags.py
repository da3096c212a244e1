"""Tags as targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_airbyte_sme.api.models import Tag
from airflow_provider_airbyte_sme.provisioning.declarations import TagDeclaration
from airflow_provider_airbyte_sme.provisioning.results import FieldChange, Plan
from airflow_provider_airbyte_sme.provisioning.targets.base import Context, Target

# Of tags without a declared color; one of those that Airbyte's own UI offers.
DEFAULT_COLOR = "75DCFF"


class TagTarget(Target[Tag]):
    """
    A declared tag: docs/airbyte-api.md §5.2.

    :param workspace_id: UUID of its workspace.
    """

    kind = "tag"

    def __init__(self, context: Context, declaration: TagDeclaration, workspace_id: str) -> None:
        super().__init__(context, declaration.name, declaration.tag_id)
        self._declaration = declaration
        self._workspace_id = workspace_id
        self._tags = context.inventory.client.tags

    async def plan_creation(self) -> Plan:
        """Return what to send to create it."""
        color = self._declaration.color or DEFAULT_COLOR
        return Plan(
            (FieldChange("name", None, self.name), FieldChange("color", None, color)),
            {"name": self.name, "color": color, "workspaceId": self._workspace_id},
        )

    async def plan(self, actual: Tag) -> Plan:
        """Return what to send so that *actual* becomes what is declared."""
        color = self._declaration.color
        changes: list[FieldChange] = []
        if actual.name != self.name:
            changes.append(FieldChange("name", actual.name, self.name))
        if color is not None and color.lower() != actual.color.lower():
            changes.append(FieldChange("color", actual.color, color))
        payload: dict[str, Any] = {"name": self.name, "color": color or actual.color}
        return Plan(tuple(changes), payload, not_compared=() if color else ("color",))

    async def create(self, plan: Plan) -> Tag:
        """Create it, with one request."""
        return await self._tags.create(plan.payload)

    async def update(self, actual: Tag, plan: Plan) -> Tag:
        """Change it, with one request."""
        return await self._tags.update(actual.tag_id, plan.payload)

    async def read(self, actual: Tag) -> Tag:
        """Read it again."""
        return await self._tags.get(actual.tag_id)

    async def delete(self, actual: Tag) -> None:
        """Delete it."""
        await self._tags.delete(actual.tag_id)

    async def _list(self, *, fresh: bool) -> Sequence[Tag]:
        return await self._context.inventory.tags(self._workspace_id, fresh=fresh)
