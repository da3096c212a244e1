"""Airbyte's workspaces."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.models import Workspace
from airflow_provider_airbyte_sme.api.resources.base import Resource


class Workspaces(Resource[Workspace]):
    """``/workspaces``: docs/airbyte-api.md §5.1."""

    path = "workspaces"
    model = Workspace

    async def list(self) -> list[Workspace]:
        """
        Read all workspaces that the caller may see.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_all({})
