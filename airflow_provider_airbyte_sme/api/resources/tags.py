"""The tags of a workspace, which connections can have."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_airbyte_sme.api.models import Tag
from airflow_provider_airbyte_sme.api.resources.base import Resource, listed, only_named


class Tags(Resource[Tag]):
    """``/tags``: docs/airbyte-api.md §5.2. Names are unique in a workspace, and case-sensitive."""

    path = "tags"
    kind = "tag"
    model = Tag

    async def list(self, *, workspace_ids: Sequence[str] = ()) -> list[Tag]:
        """
        Read all tags that the caller may see.

        :param workspace_ids: Only those of these workspaces.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({"workspaceIds": listed(workspace_ids)})

    async def find_by_name(self, workspace_id: str, name: str) -> Tag | None:
        """
        Return the tag of a workspace with this name; ``None`` if there is none.

        :raises AirbyteAmbiguousNameError: Several have it.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        tags = await self.list(workspace_ids=[workspace_id])
        return only_named(self.kind, tags, name, workspace_id=workspace_id)
