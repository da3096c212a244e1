"""Health and discovery: what anybody may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.problems import json_response
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import DEFAULT_ORGANIZATION_ID

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_public = Router(PUBLIC_API)
_config = Router(CONFIG_API)
_root = Router("/api/public")
ROUTERS = (_public, _config, _root)


@_public.add("GET", "/health", needs_token=False)
def public_health(call: Call) -> HttpResponse:
    """Say that all is well, in bare text that calls itself JSON ([inf] the default type)."""
    del call
    return HttpResponse(200, {"content-type": "application/json"}, b"Successful operation")


@_config.add("GET", "/health", needs_token=False)
def config_health(call: Call) -> HttpResponse:
    """Say that the database answers."""
    del call
    return json_response(200, {"available": True})


@_root.add("GET", "", needs_token=False)
def documentation(call: Call) -> HttpResponse:
    """Lead to the reference documentation."""
    del call
    return HttpResponse(302, {"location": "https://reference.airbyte.com/"})


@_config.add("GET", "/instance_configuration", needs_token=False)
def instance_configuration(call: Call) -> HttpResponse:
    """Tell edition, version and kind of login: ``InstanceConfigurationApiController.kt``."""
    settings = call.core.settings
    mode = "oidc" if settings.auth_mode in ("oidc", "generic-oidc") else settings.auth_mode
    return json_response(
        200,
        {
            "edition": settings.edition,
            "version": settings.version,
            "airbyteUrl": call.airbyte_url,
            "licenseStatus": "pro" if settings.edition in ("pro", "enterprise") else None,
            "initialSetupComplete": True,
            "auth": {"mode": mode},
            "defaultUserId": next(iter(call.world.users)),
            "defaultOrganizationId": DEFAULT_ORGANIZATION_ID,
            "defaultOrganizationEmail": call.world.organizations[DEFAULT_ORGANIZATION_ID].email,
            "defaultWorkspaceId": next(iter(call.world.workspaces), None),
            "trackingStrategy": "logging",
        },
    )
