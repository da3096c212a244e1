"""
Workspaces of the public API: ``docs/airbyte-api.md`` §5.1; OAuth: §5.6.

A self-managed Airbyte ignores the ``organizationId`` of a request: there is only one organization.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    boolean,
    json_object,
    one_of,
    text,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.masking import merged
from airflow_provider_airbyte_sme.emulator.nulls import drop_nested_nulls
from airflow_provider_airbyte_sme.emulator.pagination import link_filters, page_response
from airflow_provider_airbyte_sme.emulator.problems import (
    bad_request,
    json_response,
    no_content,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.seeding import EVENTS, add_workspace
from airflow_provider_airbyte_sme.emulator.world import DEFAULT_ORGANIZATION_ID, Workspace

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_CHANNELS = Body(
    "",
    optional={
        "email": Body("", optional={"enabled": boolean}),
        "webhook": Body("", optional={"enabled": boolean, "url": text}),
    },
)
_NOTIFICATIONS = Body("", optional=dict.fromkeys(EVENTS, _CHANNELS))
_CREATE = Body(
    "workspaceCreateRequest",
    required={"name": text},
    optional={
        "organizationId": uuid_text,
        "notifications": _NOTIFICATIONS,
        "regionId": uuid_text,
    },
)
_UPDATE = Body(
    "workspaceUpdateRequest",
    optional={"name": text, "notifications": _NOTIFICATIONS, "regionId": uuid_text},
)
_ACTOR_TYPES = one_of("source", "destination")
_OAUTH_CREDENTIALS = {"actorType": _ACTOR_TYPES, "name": text, "configuration": json_object}


def workspace_response(workspace: Workspace) -> dict[str, Any]:
    """Return the response for a workspace."""
    return {
        "workspaceId": workspace.id,
        "name": workspace.name,
        "dataResidency": workspace.data_residency,
        "notifications": workspace.notifications,
    }


@_router.add("POST", "/workspaces")
def create_workspace(context: RequestContext) -> HttpResponse:
    """Create a workspace in the default organization."""
    body = context.body(_CREATE)
    context.require_in_organization(DEFAULT_ORGANIZATION_ID, roles.ORGANIZATION_EDITOR)
    workspace = add_workspace(context.world, body["name"])
    _apply(context, workspace, body)
    return json_response(200, workspace_response(workspace))


@_router.add("GET", "/workspaces")
def list_workspaces(context: RequestContext) -> HttpResponse:
    """List the workspaces that the caller may read."""
    limit, offset = context.query.limit_and_offset()
    include_deleted = context.query.optional("includeDeleted", boolean) or False
    readable = [context.world.workspaces.get(w) for w in context.readable_workspace_ids()]
    return json_response(
        200,
        page_response(
            [w for w in readable if w is not None and (include_deleted or not w.deleted)],
            workspace_response,
            url=context.public_url("workspaces"),
            filters=link_filters(context.query, include_deleted),
            limit=limit,
            offset=offset,
        ),
    )


@_router.add("GET", "/workspaces/{workspaceId}")
def get_workspace(context: RequestContext) -> HttpResponse:
    """Read one workspace, even a deleted one, where the server returns 404 (§5.1)."""
    workspace = context.workspace(
        context.parameters["workspaceId"], roles.READER, named=roles.READER
    )
    return json_response(200, workspace_response(workspace))


@_router.add("PATCH", "/workspaces/{workspaceId}")
def update_workspace(context: RequestContext) -> HttpResponse:
    """Change the given fields; notifications that are not given are kept."""
    body = context.body(_UPDATE)
    workspace = context.workspace(
        context.parameters["workspaceId"], roles.EDITOR, named=roles.EDITOR
    )
    if body.get("name") is not None:
        workspace.name = body["name"]
    _apply(context, workspace, body)
    return json_response(200, workspace_response(workspace))


@_router.add("DELETE", "/workspaces/{workspaceId}")
def delete_workspace(context: RequestContext) -> HttpResponse:
    """Delete a workspace with everything in it."""
    workspace = context.workspace(
        context.parameters["workspaceId"], roles.EDITOR, named=roles.EDITOR
    )
    world = context.world
    for connection in world.connections.values():
        if connection.workspace_id == workspace.id:
            context.delete_connection(connection)
    for actor in (*world.sources.values(), *world.destinations.values()):
        if actor.workspace_id == workspace.id:
            actor.deleted = True
    workspace.deleted = True
    return no_content()


@_router.add("PUT", "/workspaces/{workspaceId}/oauthCredentials")
def put_workspace_oauth_credentials(context: RequestContext) -> HttpResponse:
    """Return 501, as a self-managed Airbyte does."""
    context.body(Body("workspaceOAuthCredentialsRequest", required=_OAUTH_CREDENTIALS))
    context.workspace(context.parameters["workspaceId"], roles.EDITOR, named=roles.EDITOR)
    return HttpResponse(501)


@_router.add("DELETE", "/workspaces/{workspaceId}/oauthCredentials/{actorType}/{name}")
def delete_workspace_oauth_credentials(context: RequestContext) -> HttpResponse:
    """Return 501, as a self-managed Airbyte does."""
    context.path_value("actorType", _ACTOR_TYPES)
    context.workspace(context.parameters["workspaceId"], roles.EDITOR, named=roles.EDITOR)
    return HttpResponse(501)


@_router.add("PUT", "/organizations/{organizationId}/oauthCredentials")
def put_organization_oauth_credentials(context: RequestContext) -> HttpResponse:
    """Return 501; the server returns 403 without an embedded licence (§5.6)."""
    context.body(Body("organizationOAuthCredentialsRequest", required=_OAUTH_CREDENTIALS))
    context.require_in_organization(context.parameters["organizationId"], roles.ORGANIZATION_ADMIN)
    return HttpResponse(501)


@_router.add("DELETE", "/organizations/{organizationId}/oauthCredentials/{actorType}/{name}")
def delete_organization_oauth_credentials(context: RequestContext) -> HttpResponse:
    """Return 501; the server returns 403 without an embedded licence (§5.6)."""
    context.path_value("actorType", _ACTOR_TYPES)
    context.require_in_organization(context.parameters["organizationId"], roles.ORGANIZATION_ADMIN)
    return HttpResponse(501)


def _apply(context: RequestContext, workspace: Workspace, body: dict[str, Any]) -> None:
    if body.get("notifications") is not None:
        workspace.notifications = merged(
            workspace.notifications, drop_nested_nulls(body["notifications"])
        )
    if body.get("regionId") is not None:
        region = context.world.regions.get(body["regionId"])
        if region is None:
            raise bad_request(f"There is no region {body['regionId']}.")  # [inf]
        workspace.data_residency = region.name.lower()
