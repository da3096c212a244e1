"""
Regions and their data planes: ``docs/airbyte-api.md`` §5.5.

The licence is assumed to cover them. Lists are bare arrays, not in ``data``. A region or data plane
is read before the role is checked, and outside the mapping of errors: an unknown one is 500 [inf].
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, boolean, text, uuid_text
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.iso8601 import iso_timestamp
from airflow_provider_airbyte_sme.emulator.problems import (
    OpaqueError,
    ProblemError,
    json_response,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import (
    DEFAULT_ORGANIZATION_ID,
    Dataplane,
    Region,
    new_id,
)

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_CHANGES = {"name": text, "enabled": boolean}
_REGION_CREATE = Body(
    "regionCreateRequest",
    required={"name": text, "organizationId": uuid_text},
    optional={"enabled": boolean},
)
_REGION_PATCH = Body("regionPatchRequest", optional=_CHANGES)
_DATAPLANE_CREATE = Body(
    "dataplaneCreateRequest",
    required={"regionId": uuid_text, "name": text},
    optional={"enabled": boolean},
)
_DATAPLANE_PATCH = Body("dataplanePatchRequest", optional=_CHANGES)


def _require_admin(context: RequestContext, organization_id: str = DEFAULT_ORGANIZATION_ID) -> None:
    context.require_in_organization(organization_id, roles.ORGANIZATION_ADMIN)


def _region_response(region: Region) -> dict[str, Any]:
    return {
        "regionId": region.id,
        "name": region.name,
        "organizationId": region.organization_id,
        "enabled": region.enabled,
        "createdAt": iso_timestamp(region.created_at),
        "updatedAt": iso_timestamp(region.updated_at),
    }


def _dataplane_response(dataplane: Dataplane) -> dict[str, Any]:
    return {
        "dataplaneId": dataplane.id,
        "name": dataplane.name,
        "regionId": dataplane.region_id,
        "enabled": dataplane.enabled,
        "createdAt": iso_timestamp(dataplane.created_at),
        "updatedAt": iso_timestamp(dataplane.updated_at),
    }


def _region(context: RequestContext, region_id: str) -> Region:
    region = context.world.regions.get(region_id)
    if region is None:
        raise OpaqueError(500)
    return region


def _regions_of(context: RequestContext, organization_id: str) -> list[Region]:
    return [r for r in context.world.regions.values() if r.organization_id == organization_id]


def _dataplane(context: RequestContext) -> Dataplane:
    dataplane_id = context.path_value("dataplaneId", uuid_text)
    dataplane = context.world.dataplanes.get(dataplane_id)
    if dataplane is None:
        raise OpaqueError(500)
    _require_admin(context)
    return dataplane


def _change(context: RequestContext, record: Region | Dataplane, changes: dict[str, Any]) -> None:
    if changes.get("name") is not None:
        record.name = changes["name"]
    if changes.get("enabled") is not None:
        record.enabled = changes["enabled"]
    record.updated_at = context.now


def _check_name(siblings: Iterable[Region | Dataplane], kind: str, name: str) -> None:
    if any(sibling.name.lower() == name.lower() for sibling in siblings):
        raise ProblemError(
            409,
            "Name already exists",  # [inf] title and detail
            f"The name {name} is already used.",
            None,
            kind=f"error:{kind}-name-already-exists",
        )


@_router.add("GET", "/regions")
def list_regions(context: RequestContext) -> HttpResponse:
    """List the regions of an organization."""
    organization_id = context.query.required("organizationId", uuid_text)
    _require_admin(context, organization_id)
    found = _regions_of(context, organization_id)
    return json_response(200, [_region_response(region) for region in found])


@_router.add("POST", "/regions")
def create_region(context: RequestContext) -> HttpResponse:
    """Create a region."""
    body = context.body(_REGION_CREATE)
    _require_admin(context, body["organizationId"])
    siblings = _regions_of(context, body["organizationId"])
    _check_name(siblings, "dataplane-group", body["name"])
    enabled = body.get("enabled")
    region = Region(
        new_id(),
        body["name"],
        body["organizationId"],
        enabled is None or enabled,
        context.now,
        context.now,
    )
    context.world.regions[region.id] = region
    return json_response(200, _region_response(region))


@_router.add("GET", "/regions/{regionId}")
def get_region(context: RequestContext) -> HttpResponse:
    """Read one region."""
    region_id = context.path_value("regionId", uuid_text)
    region = _region(context, region_id)
    _require_admin(context, region.organization_id)
    return json_response(200, _region_response(region))


@_router.add("PATCH", "/regions/{regionId}")
def update_region(context: RequestContext) -> HttpResponse:
    """Rename a region, or enable or disable it."""
    region_id = context.path_value("regionId", uuid_text)
    body = context.body(_REGION_PATCH)
    region = _region(context, region_id)
    _require_admin(context, region.organization_id)
    _change(context, region, body)
    return json_response(200, _region_response(region))


@_router.add("DELETE", "/regions/{regionId}")
def delete_region(context: RequestContext) -> HttpResponse:
    """Delete a region with its data planes, and return it."""
    region_id = context.path_value("regionId", uuid_text)
    region = _region(context, region_id)
    _require_admin(context, region.organization_id)
    del context.world.regions[region.id]
    for dataplane in [d for d in context.world.dataplanes.values() if d.region_id == region.id]:
        del context.world.dataplanes[dataplane.id]
    return json_response(200, _region_response(region))


@_router.add("GET", "/dataplanes")
def list_dataplanes(context: RequestContext) -> HttpResponse:
    """List the data planes of some or all regions."""
    region_ids = set(context.query.uuids("regionIds"))
    _require_admin(context)
    found = [
        dataplane
        for dataplane in context.world.dataplanes.values()
        if not region_ids or dataplane.region_id in region_ids
    ]
    return json_response(200, [_dataplane_response(d) for d in found])


@_router.add("POST", "/dataplanes")
def create_dataplane(context: RequestContext) -> HttpResponse:
    """Create a data plane and return its credentials."""
    body = context.body(_DATAPLANE_CREATE)
    _require_admin(context)
    region = _region(context, body["regionId"])
    siblings = [d for d in context.world.dataplanes.values() if d.region_id == region.id]
    _check_name(siblings, "dataplane", body["name"])
    enabled = body.get("enabled")
    dataplane = Dataplane(
        new_id(), body["name"], region.id, enabled is None or enabled, context.now, context.now
    )
    context.world.dataplanes[dataplane.id] = dataplane
    return json_response(
        200,
        {
            "dataplaneId": dataplane.id,
            "regionId": region.id,
            "clientId": new_id(),
            "clientSecret": secrets.token_urlsafe(24),
        },
    )


@_router.add("GET", "/dataplanes/{dataplaneId}")
def get_dataplane(context: RequestContext) -> HttpResponse:
    """Read one data plane."""
    return json_response(200, _dataplane_response(_dataplane(context)))


@_router.add("PATCH", "/dataplanes/{dataplaneId}")
def update_dataplane(context: RequestContext) -> HttpResponse:
    """Rename a data plane, or enable or disable it."""
    body = context.body(_DATAPLANE_PATCH)
    dataplane = _dataplane(context)
    _change(context, dataplane, body)
    return json_response(200, _dataplane_response(dataplane))


@_router.add("DELETE", "/dataplanes/{dataplaneId}")
def delete_dataplane(context: RequestContext) -> HttpResponse:
    """Delete a data plane and return it."""
    dataplane = context.world.dataplanes.pop(_dataplane(context).id)
    return json_response(200, _dataplane_response(dataplane))
