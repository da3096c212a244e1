"""
Regions and the data planes in them: ``RegionController.kt``, ``DataplaneController.kt``.

Instance administrators only; the licence is taken to cover them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.binding import Body, boolean, text, uuid_text
from airflow_provider_airbyte_sme.emulator.instants import iso_instant
from airflow_provider_airbyte_sme.emulator.problems import forbidden, json_response, not_found
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Dataplane, Region, new_id

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

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


def _require_instance_admin(call: Call) -> None:
    if not call.is_instance_admin:
        raise forbidden("INSTANCE_ADMIN")


def _region_response(region: Region) -> dict[str, Any]:
    return {
        "regionId": region.id,
        "name": region.name,
        "organizationId": region.organization_id,
        "enabled": region.enabled,
        "createdAt": iso_instant(region.created_at),
        "updatedAt": iso_instant(region.updated_at),
    }


def _dataplane_response(dataplane: Dataplane) -> dict[str, Any]:
    return {
        "dataplaneId": dataplane.id,
        "name": dataplane.name,
        "regionId": dataplane.region_id,
        "enabled": dataplane.enabled,
        "createdAt": iso_instant(dataplane.created_at),
        "updatedAt": iso_instant(dataplane.updated_at),
    }


def _region(call: Call, region_id: str) -> Region:
    region = call.world.regions.get(region_id)
    if region is None:
        raise not_found("DATAPLANE_GROUP", region_id)
    return region


def _dataplane(call: Call) -> Dataplane:
    dataplane_id = call.path_value("dataplaneId", uuid_text)
    _require_instance_admin(call)
    dataplane = call.world.dataplanes.get(dataplane_id)
    if dataplane is None:
        raise not_found("DATAPLANE", dataplane_id)
    return dataplane


def _change(call: Call, record: Region | Dataplane, changes: dict[str, Any]) -> None:
    if changes.get("name") is not None:
        record.name = changes["name"]
    if changes.get("enabled") is not None:
        record.enabled = changes["enabled"]
    record.updated_at = call.now


@_router.add("GET", "/regions")
def list_regions(call: Call) -> HttpResponse:
    """List the regions of an organization."""
    organization_id = call.query.required("organizationId", uuid_text)
    _require_instance_admin(call)
    found = [r for r in call.world.regions.values() if r.organization_id == organization_id]
    return json_response(200, {"data": [_region_response(region) for region in found]})


@_router.add("POST", "/regions")
def create_region(call: Call) -> HttpResponse:
    """Create a region."""
    body = call.body(_REGION_CREATE)
    _require_instance_admin(call)
    enabled = body.get("enabled")
    region = Region(
        new_id(),
        body["name"],
        body["organizationId"],
        enabled is None or enabled,
        call.now,
        call.now,
    )
    call.world.regions[region.id] = region
    return json_response(200, _region_response(region))


@_router.add("GET", "/regions/{regionId}")
def get_region(call: Call) -> HttpResponse:
    """Read one region."""
    region_id = call.path_value("regionId", uuid_text)
    _require_instance_admin(call)
    return json_response(200, _region_response(_region(call, region_id)))


@_router.add("PATCH", "/regions/{regionId}")
def update_region(call: Call) -> HttpResponse:
    """Rename a region, or switch it on or off."""
    region_id = call.path_value("regionId", uuid_text)
    body = call.body(_REGION_PATCH)
    _require_instance_admin(call)
    region = _region(call, region_id)
    _change(call, region, body)
    return json_response(200, _region_response(region))


@_router.add("DELETE", "/regions/{regionId}")
def delete_region(call: Call) -> HttpResponse:
    """Delete a region with its data planes and answer with it."""
    region_id = call.path_value("regionId", uuid_text)
    _require_instance_admin(call)
    region = _region(call, region_id)
    del call.world.regions[region.id]
    for dataplane in [d for d in call.world.dataplanes.values() if d.region_id == region.id]:
        del call.world.dataplanes[dataplane.id]
    return json_response(200, _region_response(region))


@_router.add("GET", "/dataplanes")
def list_dataplanes(call: Call) -> HttpResponse:
    """List the data planes, of some regions or of all."""
    region_ids = set(call.query.uuids("regionIds"))
    _require_instance_admin(call)
    found = [
        dataplane
        for dataplane in call.world.dataplanes.values()
        if not region_ids or dataplane.region_id in region_ids
    ]
    return json_response(200, {"data": [_dataplane_response(d) for d in found]})


@_router.add("POST", "/dataplanes")
def create_dataplane(call: Call) -> HttpResponse:
    """Create a data plane and answer with its credentials."""
    body = call.body(_DATAPLANE_CREATE)
    _require_instance_admin(call)
    region = _region(call, body["regionId"])
    enabled = body.get("enabled")
    dataplane = Dataplane(
        new_id(), body["name"], region.id, enabled is None or enabled, call.now, call.now
    )
    call.world.dataplanes[dataplane.id] = dataplane
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
def get_dataplane(call: Call) -> HttpResponse:
    """Read one data plane."""
    return json_response(200, _dataplane_response(_dataplane(call)))


@_router.add("PATCH", "/dataplanes/{dataplaneId}")
def update_dataplane(call: Call) -> HttpResponse:
    """Rename a data plane, or switch it on or off."""
    body = call.body(_DATAPLANE_PATCH)
    dataplane = _dataplane(call)
    _change(call, dataplane, body)
    return json_response(200, _dataplane_response(dataplane))


@_router.add("DELETE", "/dataplanes/{dataplaneId}")
def delete_dataplane(call: Call) -> HttpResponse:
    """Delete a data plane and answer with it."""
    dataplane = call.world.dataplanes.pop(_dataplane(call).id)
    return json_response(200, _dataplane_response(dataplane))
