"""Health and discovery, without authentication: ``docs/airbyte-api.md`` §1.1."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.problems import json_response
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import DEFAULT_ORGANIZATION_ID

_public = Router(PUBLIC_API)
_config = Router(CONFIG_API)
_root = Router("/api/public")
ROUTERS = (_public, _config, _root)


@_public.add("GET", "/health", needs_token=False)
def public_health(context: RequestContext) -> HttpResponse:
    """Report health: plain text, with a JSON content type ([inf] the default)."""
    del context
    return HttpResponse(200, {"content-type": "application/json"}, b"Successful operation")


@_config.add("GET", "/health", needs_token=False)
def config_health(context: RequestContext) -> HttpResponse:
    """Report that the database is available."""
    del context
    return json_response(200, {"available": True})


@_root.add("GET", "", needs_token=False)
def documentation(context: RequestContext) -> HttpResponse:
    """Redirect to the reference documentation."""
    del context
    return HttpResponse(302, {"location": "https://reference.airbyte.com/"})


@_config.add("GET", "/instance_configuration", needs_token=False)
def instance_configuration(context: RequestContext) -> HttpResponse:
    """Return edition, version and authentication mode."""
    settings = context.settings
    mode = "oidc" if settings.auth_mode in ("oidc", "generic-oidc") else settings.auth_mode
    return json_response(
        200,
        {
            "edition": settings.edition,
            "version": settings.version,
            "airbyteUrl": context.airbyte_url,
            "licenseStatus": "pro" if settings.edition in ("pro", "enterprise") else None,
            "initialSetupComplete": True,
            "auth": {"mode": mode},
            "defaultUserId": next(iter(context.world.users)),
            "defaultOrganizationId": DEFAULT_ORGANIZATION_ID,
            "defaultOrganizationEmail": context.world.organizations[DEFAULT_ORGANIZATION_ID].email,
            "defaultWorkspaceId": next(iter(context.world.workspaces), None),
            "trackingStrategy": "logging",
        },
    )
