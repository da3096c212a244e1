"""Regions and their data planes, where syncs run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.api.models import Dataplane, DataplaneCredentials, Region
from airflow_provider_airbyte_sme.api.resources.base import (
    ReadableResource,
    Resource,
    listed,
)


class Regions(Resource[Region]):
    """``/regions``: docs/airbyte-api.md §5.5. To delete one deletes its data planes."""

    path = "regions"
    kind = "region"
    model = Region

    async def list(self, organization_id: str) -> list[Region]:
        """
        Read the regions of an organization.

        :raises AirbyteLicenseError: The licence does not include regions.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({"organizationId": organization_id})


class Dataplanes(ReadableResource[Dataplane]):
    """``/dataplanes``: docs/airbyte-api.md §5.5."""

    path = "dataplanes"
    kind = "data plane"
    model = Dataplane

    async def list(self, *, region_ids: Sequence[str] = ()) -> list[Dataplane]:
        """
        Read all data planes that the caller may see.

        :param region_ids: Only those of these regions.
        :raises AirbyteLicenseError: The licence does not include regions.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({"regionIds": listed(region_ids)})

    async def create(self, payload: Mapping[str, Any]) -> DataplaneCredentials:
        """
        Create a data plane.

        :param payload: ``regionId``, ``name``, ``enabled``.
        :return: Its id and credentials, which Airbyte shows only here.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._session.request("POST", self._url(), payload=payload)
        return response.decode(DataplaneCredentials.from_json)

    async def update(self, dataplane_id: str, payload: Mapping[str, Any]) -> Dataplane:
        """
        Rename, enable or disable a data plane (PATCH).

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("PATCH", dataplane_id, payload=payload)

    async def delete(self, dataplane_id: str) -> None:
        """
        Delete a data plane.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete(dataplane_id)
