"""Airbyte's workspaces."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_airbyte_sme.api.models import Workspace
from airflow_provider_airbyte_sme.api.resources.base import (
    CASCADE_TIMEOUT,
    Resource,
    flag,
    listed,
    only_named,
)


class Workspaces(Resource[Workspace]):
    """``/workspaces``: docs/airbyte-api.md §5.1."""

    path = "workspaces"
    kind = "workspace"
    model = Workspace
    delete_timeout = CASCADE_TIMEOUT

    async def list(
        self,
        *,
        workspace_ids: Sequence[str] = (),
        include_deleted: bool = False,
        limit: int | None = None,
    ) -> list[Workspace]:
        """
        Read the workspaces that the caller may see.

        :param workspace_ids: Only these; without any, all of the caller's that are not deleted.
        :param include_deleted: Whether to include deleted ones among *workspace_ids*.
        :param limit: How many to read at most, whichever they are; ``None`` for all.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        query = {"workspaceIds": listed(workspace_ids), "includeDeleted": flag(include_deleted)}
        if limit is None:
            return await self._list_unordered(query)
        return (await self._list_pages(query, limit=limit)).items

    async def find_by_name(self, name: str) -> Workspace | None:
        """
        Return the workspace with this name; ``None`` if the caller sees none.

        :raises AirbyteAmbiguousNameError: Several have it.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return only_named(self.kind, await self.list(), name)
