"""
Users, permissions, organizations and workspaces of the config API: ``docs/airbyte-api.md`` §3.7.

An ``authUserId`` is the ``sub`` of a token; in the emulator it is the user's id.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, TypeVar

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    boolean,
    integer,
    json_object,
    one_of,
    text,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    OpaqueError,
    forbidden,
    json_response,
)
from airflow_provider_airbyte_sme.emulator.routes.people import (
    organizations_of,
    permission_response,
)
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.world import Organization, User, Workspace

_router = Router(CONFIG_API)
ROUTERS = (_router,)

_Named = TypeVar("_Named", Organization, Workspace)

_PAGE: dict[str, Any] = {
    "pagination": Body("", optional={"pageSize": integer, "rowOffset": integer}),
    "nameContains": text,
}
_AUTH_ID = Body("userAuthIdRequestBody", required={"authUserId": text})
_USER_ID = Body("userIdRequestBody", required={"userId": uuid_text})
_PROFILE = {
    "companyName": text,
    "status": one_of("invited", "registered", "disabled"),
    "news": boolean,
    "defaultWorkspaceId": uuid_text,
    "metadata": json_object,
}
_USER_UPDATE = Body(
    "userUpdate", required={"userId": uuid_text}, optional={"name": text, **_PROFILE}
)
_ORGANIZATIONS_OF_USER = Body(
    "listOrganizationsByUserRequestBody", required={"userId": uuid_text}, optional=_PAGE
)
_ORGANIZATION_ID = Body("organizationIdRequestBody", required={"organizationId": uuid_text})
_WORKSPACES_OF_ORGANIZATION = Body(
    "listWorkspacesInOrganizationRequestBody",
    required={"organizationId": uuid_text},
    optional=_PAGE,
)
_WORKSPACE_ID = Body("workspaceIdRequestBody", required={"workspaceId": text})


def _self_or_admin(context: RequestContext, body: Body, field: str) -> tuple[User, dict[str, Any]]:
    """Return the user whose id is in *field*, and the body."""
    user = context.world.users.get(context.raw_id(field))
    if (user is None or user.id != context.user.id) and not context.is_instance_admin:
        raise HateoasError(403)
    values = context.body(body)
    if user is None:
        raise OpaqueError(404)
    return user, values


def _user_read(user: User) -> dict[str, Any]:
    return {
        "userId": user.id,
        "name": user.name,
        "email": user.email,
        "metadata": {},
        **user.profile,
    }


@_router.add("POST", "/users/get_by_auth_id")
def get_user_by_auth_id(context: RequestContext) -> HttpResponse:
    """Read the user that a token's ``sub`` stands for."""
    return json_response(200, _user_read(_self_or_admin(context, _AUTH_ID, "authUserId")[0]))


@_router.add("POST", "/users/update")
def update_user(context: RequestContext) -> HttpResponse:
    """Change some fields of a user; a request that changes none is an error of the server."""
    user, body = _self_or_admin(context, _USER_UPDATE, "userId")
    changes = drop_nulls({name: value for name, value in body.items() if name != "userId"})
    if not changes:
        raise OpaqueError(500)
    user.name = changes.pop("name", user.name)
    user.profile |= changes
    return json_response(200, _user_read(user))


@_router.add("POST", "/permissions/list_by_user")
def list_permissions_by_user(context: RequestContext) -> HttpResponse:
    """List the permissions that were given to the user, not those of the user's groups."""
    user, _ = _self_or_admin(context, _USER_ID, "userId")
    found = [p for p in context.world.permissions.values() if p.user_id == user.id]
    return json_response(200, {"permissions": [permission_response(p) for p in found]})


@_router.add("POST", "/organizations/list_by_user_id")
def list_organizations_by_user(context: RequestContext) -> HttpResponse:
    """List the organizations in which the user has a permission."""
    user, body = _self_or_admin(context, _ORGANIZATIONS_OF_USER, "userId")
    found = [
        {
            "organizationId": organization.id,
            "organizationName": organization.name,
            "email": organization.email,
        }
        for organization in _page(organizations_of(context, user), body)
    ]
    return json_response(200, {"organizations": found})


@_router.add("POST", "/organizations/get_organization_info")
def get_organization_info(context: RequestContext) -> HttpResponse:
    """Read an organization that the caller, or a workspace of the caller, belongs to."""
    organization_id = context.body(_ORGANIZATION_ID)["organizationId"]
    if not (
        roles.ORGANIZATION_MEMBER
        in context.access.organization_roles(context.user, organization_id)
        or _readable_workspaces(context, organization_id)
    ):
        raise forbidden(roles.ORGANIZATION_MEMBER)
    return _organization_info(context, organization_id)


@_router.add("POST", "/workspaces/get_organization_info")
def get_workspace_organization_info(context: RequestContext) -> HttpResponse:
    """Read the organization of a workspace."""
    return _organization_info(context, secured_workspace(context).organization_id)


def _organization_info(context: RequestContext, organization_id: str) -> HttpResponse:
    organization = context.world.organizations.get(organization_id)
    if organization is None:
        raise OpaqueError(404)
    return json_response(
        200,
        {
            "organizationId": organization.id,
            "organizationName": organization.name,
            "sso": False,  # the emulated organization has neither a realm of its own nor SCIM
            "scim": False,
        },
    )


@_router.add("POST", "/workspaces/list_by_organization_id")
def list_workspaces_by_organization(context: RequestContext) -> HttpResponse:
    """List the workspaces of an organization that the caller may read; any user may ask."""
    body = context.body(_WORKSPACES_OF_ORGANIZATION)
    found = _page(_readable_workspaces(context, body["organizationId"]), body)
    return json_response(200, {"workspaces": [_workspace_read(workspace) for workspace in found]})


@_router.add("POST", "/workspaces/get")
def get_workspace(context: RequestContext) -> HttpResponse:
    """Read one workspace."""
    return json_response(200, _workspace_read(secured_workspace(context)))


def secured_workspace(context: RequestContext) -> Workspace:
    """
    Return the workspace whose id is the body, which readers may ask for.

    :raises HateoasError: 403, or 400: the body does not name a workspace.
    :raises OpaqueError: 404, for an instance administrator.
    """
    workspace = context.world.workspaces.get(context.raw_id("workspaceId"))
    context.require_secured(workspace.id if workspace else None, roles.READER)
    context.body(_WORKSPACE_ID)
    if workspace is None:
        raise OpaqueError(404)
    return workspace


def _workspace_read(workspace: Workspace) -> dict[str, Any]:
    return {
        "workspaceId": workspace.id,
        # Random on the server; here derived from the id, so that it is stable.
        "customerId": str(uuid.uuid5(uuid.NAMESPACE_OID, workspace.id)),
        "name": workspace.name,
        "slug": workspace.name.lower().replace(" ", "-"),
        "organizationId": workspace.organization_id,
        "initialSetupComplete": True,
        "tombstone": workspace.deleted,
    }


def _readable_workspaces(context: RequestContext, organization_id: str) -> list[Workspace]:
    return [
        workspace
        for workspace in context.world.workspaces.values()
        if workspace.organization_id == organization_id
        and not workspace.deleted
        and context.has_role(workspace.id, roles.READER)
    ]


def _page(found: Iterable[_Named], body: dict[str, Any]) -> list[_Named]:
    """Return the page of *found* that *body* asks for, by name; without ``pagination`` all."""
    wanted = (body.get("nameContains") or "").strip().lower()
    matching = sorted(
        (item for item in found if wanted in item.name.lower()), key=lambda item: item.name
    )
    page = body.get("pagination") or {}
    start = max(0, page.get("rowOffset") or 0)
    size = page.get("pageSize")
    return matching[start:] if size is None else matching[start : start + max(0, size)]
