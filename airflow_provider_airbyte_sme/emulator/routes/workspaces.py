"""
Workspaces of the public API: ``WorkspacesController.kt``, ``WorkspaceService.kt``.

In a self-managed Airbyte the ``organizationId`` of a request means nothing: there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from airflow_provider_airbyte_sme.emulator.masking import merged
from airflow_provider_airbyte_sme.emulator.pages import page
from airflow_provider_airbyte_sme.emulator.problems import (
    bad_request,
    json_response,
    no_content,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.seeding import EVENTS, add_workspace
from airflow_provider_airbyte_sme.emulator.world import DEFAULT_ORGANIZATION_ID, Workspace

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

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
    """Write a workspace as the public API does."""
    return {
        "workspaceId": workspace.id,
        "name": workspace.name,
        "dataResidency": workspace.data_residency,
        "notifications": workspace.notifications,
    }


@_router.add("POST", "/workspaces")
def create_workspace(call: Call) -> HttpResponse:
    """Create a workspace in the default organization, whatever organization is asked for."""
    body = call.body(_CREATE)
    call.require_in_organization(DEFAULT_ORGANIZATION_ID, roles.ORGANIZATION_EDITOR)
    workspace = add_workspace(call.world, body["name"])
    _apply(call, workspace, body)
    return json_response(200, workspace_response(workspace))


@_router.add("GET", "/workspaces")
def list_workspaces(call: Call) -> HttpResponse:
    """List the workspaces that the caller may read."""
    limit, offset = call.query.page()
    include_deleted = call.query.converted("includeDeleted", boolean) or False
    readable = [call.world.workspaces.get(w) for w in call.readable_workspaces()]
    return json_response(
        200,
        page(
            [w for w in readable if w is not None and (include_deleted or not w.deleted)],
            workspace_response,
            url=call.public_url("workspaces"),
            kept=kept_filters(call, include_deleted),
            limit=limit,
            offset=offset,
        ),
    )


def kept_filters(call: Call, include_deleted: bool) -> list[tuple[str, str]]:
    """Return what the links of workspaces, sources, destinations and connections keep."""
    kept = [("includeDeleted", str(include_deleted).lower())]
    if asked := call.query.uuids("workspaceIds"):
        kept.append(("workspaceIds", ",".join(asked)))
    return kept


@_router.add("GET", "/workspaces/{workspaceId}")
def get_workspace(call: Call) -> HttpResponse:
    """Read one workspace, a deleted one too ([inf] lookups do not filter tombstones)."""
    workspace = call.workspace(call.parameters["workspaceId"], roles.READER, name=roles.READER)
    return json_response(200, workspace_response(workspace))


@_router.add("PATCH", "/workspaces/{workspaceId}")
def update_workspace(call: Call) -> HttpResponse:
    """Change what is given; the notifications that are not mentioned stay."""
    body = call.body(_UPDATE)
    workspace = call.workspace(call.parameters["workspaceId"], roles.EDITOR, name=roles.EDITOR)
    if body.get("name") is not None:
        workspace.name = body["name"]
    _apply(call, workspace, body)
    return json_response(200, workspace_response(workspace))


@_router.add("DELETE", "/workspaces/{workspaceId}")
def delete_workspace(call: Call) -> HttpResponse:
    """Delete a workspace with everything in it."""
    workspace = call.workspace(call.parameters["workspaceId"], roles.EDITOR, name=roles.EDITOR)
    world = call.world
    for connection in world.connections.values():
        if connection.workspace_id == workspace.id:
            call.core.end_connection(connection)
    for actor in (*world.sources.values(), *world.destinations.values()):
        if actor.workspace_id == workspace.id:
            actor.deleted = True
    workspace.deleted = True
    return no_content()


@_router.add("PUT", "/workspaces/{workspaceId}/oauthCredentials")
def put_workspace_oauth_credentials(call: Call) -> HttpResponse:
    """Refuse: a self-managed Airbyte answers 501."""
    call.body(Body("workspaceOAuthCredentialsRequest", required=_OAUTH_CREDENTIALS))
    call.workspace(call.parameters["workspaceId"], roles.EDITOR, name=roles.EDITOR)
    return HttpResponse(501)


@_router.add("DELETE", "/workspaces/{workspaceId}/oauthCredentials/{actorType}/{name}")
def delete_workspace_oauth_credentials(call: Call) -> HttpResponse:
    """Refuse: a self-managed Airbyte answers 501."""
    call.path_value("actorType", _ACTOR_TYPES)
    call.workspace(call.parameters["workspaceId"], roles.EDITOR, name=roles.EDITOR)
    return HttpResponse(501)


@_router.add("PUT", "/organizations/{organizationId}/oauthCredentials")
def put_organization_oauth_credentials(call: Call) -> HttpResponse:
    """Refuse: [inf] as for workspaces."""
    call.body(Body("organizationOAuthCredentialsRequest", required=_OAUTH_CREDENTIALS))
    call.require_in_organization(call.parameters["organizationId"], roles.ORGANIZATION_ADMIN)
    return HttpResponse(501)


@_router.add("DELETE", "/organizations/{organizationId}/oauthCredentials/{actorType}/{name}")
def delete_organization_oauth_credentials(call: Call) -> HttpResponse:
    """Refuse: [inf] as for workspaces."""
    call.path_value("actorType", _ACTOR_TYPES)
    call.require_in_organization(call.parameters["organizationId"], roles.ORGANIZATION_ADMIN)
    return HttpResponse(501)


def _apply(call: Call, workspace: Workspace, body: dict[str, Any]) -> None:
    if body.get("notifications") is not None:
        workspace.notifications = merged(
            workspace.notifications, without_nulls(body["notifications"])
        )
    if body.get("regionId") is not None:
        region = call.world.regions.get(body["regionId"])
        if region is None:
            raise bad_request(f"There is no region {body['regionId']}.")  # [inf]
        workspace.data_residency = region.name.lower()


def without_nulls(value: Any) -> Any:
    """Return *value* without the nulls in its objects, which no answer has."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
