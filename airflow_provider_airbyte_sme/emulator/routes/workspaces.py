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
    ProblemError,
    bad_request,
    forbidden,
    json_response,
    license_entitlement,
    no_content,
)
from airflow_provider_airbyte_sme.emulator.routes.actors import delete_actor
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.seeding import (
    EVENTS,
    add_workspace,
    default_notifications,
)
from airflow_provider_airbyte_sme.emulator.world import DEFAULT_ORGANIZATION_ID, Workspace

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

# The server lists them without a page size, so it gets the first page only: §5.1.
_ACTORS_DELETED = 20

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
    given = drop_nested_nulls(body.get("notifications") or {})
    for channels in given.values():
        if not channels.get("webhook", {}).get("enabled"):
            # Unlike a PATCH, a POST drops the URL of a disabled webhook.
            channels.get("webhook", {}).pop("url", None)
    notifications = _checked(merged(default_notifications(), given))
    residency = _residency(context, body)
    workspace = add_workspace(context.world, body["name"], notifications=notifications)
    workspace.data_residency = residency or workspace.data_residency
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
    """Read one workspace; unlike other resources, a deleted one is 404."""
    workspace = context.workspace(
        context.parameters["workspaceId"], roles.READER, named=roles.READER
    )
    return json_response(200, workspace_response(workspace))


@_router.add("PATCH", "/workspaces/{workspaceId}")
def update_workspace(context: RequestContext) -> HttpResponse:
    """Change the given fields; notifications that are not given are kept."""
    body = context.body(_UPDATE)
    workspace = context.workspace(context.parameters["workspaceId"], *roles.ANY_EDITOR)
    given = drop_nested_nulls(body.get("notifications") or {})
    notifications = _checked(merged(workspace.notifications, given))
    workspace.data_residency = _residency(context, body) or workspace.data_residency
    workspace.notifications = notifications
    workspace.name = body.get("name") or workspace.name
    return json_response(200, workspace_response(workspace))


@_router.add("DELETE", "/workspaces/{workspaceId}")
def delete_workspace(context: RequestContext) -> HttpResponse:
    """Delete a workspace with its connections, but only the first page of its actors."""
    workspace = context.workspace(context.parameters["workspaceId"], *roles.ANY_EDITOR)
    world = context.world
    for connection in world.connections.values():
        if connection.workspace_id == workspace.id:
            context.delete_connection(connection)
    for actors in (world.destinations, world.sources):
        own = [a for a in actors.values() if a.workspace_id == workspace.id and not a.deleted]
        for actor in own[:_ACTORS_DELETED]:
            delete_actor(context, actor)
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
    """Return 403: a self-managed Airbyte has no licence for Embedded (§5.6)."""
    context.body(Body("organizationOAuthCredentialsRequest", required=_OAUTH_CREDENTIALS))
    context.require_in_organization(context.parameters["organizationId"], roles.ORGANIZATION_ADMIN)
    raise license_entitlement("CONFIG_TEMPLATE_ENDPOINTS")


@_router.add("DELETE", "/organizations/{organizationId}/oauthCredentials/{actorType}/{name}")
def delete_organization_oauth_credentials(context: RequestContext) -> HttpResponse:
    """Return 403: a self-managed Airbyte has no licence for Embedded (§5.6)."""
    context.path_value("actorType", _ACTOR_TYPES)
    context.require_in_organization(context.parameters["organizationId"], roles.ORGANIZATION_ADMIN)
    raise license_entitlement("CONFIG_TEMPLATE_ENDPOINTS")


def _checked(notifications: dict[str, Any]) -> dict[str, Any]:
    for channels in notifications.values():
        webhook = channels.get("webhook", {})
        if webhook.get("enabled") and not webhook.get("url"):
            raise ProblemError(
                400,
                "Notification missing URL",
                "The notification is missing a URL.",
                None,
                kind="error:notification/config/missing-url",
            )
    return notifications


def _residency(context: RequestContext, body: dict[str, Any]) -> str | None:
    """Return the data residency that a region gives, or ``None`` if *body* has no region."""
    if body.get("regionId") is None:
        return None
    context.require_in_organization(DEFAULT_ORGANIZATION_ID, roles.ORGANIZATION_EDITOR)
    region = context.world.regions.get(body["regionId"])
    if region is None:
        raise bad_request(f"There is no region {body['regionId']}.")  # [inf]
    if region.organization_id != DEFAULT_ORGANIZATION_ID:
        raise forbidden()
    return region.name.lower()
