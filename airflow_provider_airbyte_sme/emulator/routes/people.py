"""Applications, permissions, organizations and users: ``docs/airbyte-api.md`` §5.4."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, one_of, text, uuid_text
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    OpaqueError,
    bad_request,
    forbidden,
    json_response,
    license_entitlement,
    no_content,
    not_found,
    resource_not_found,
    state_conflict,
    unexpected,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import (
    Application,
    Organization,
    Permission,
    User,
    new_id,
)

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

# What stands for the scope of an instance-wide permission: §5.4.
_NO_SCOPE_ID = "00000000-0000-0000-0000-000000000000"

# Per user, in Keycloak mode: §5.4.
_MAX_APPLICATIONS = 2

_APPLICATION_CREATE = Body("applicationCreate", required={"name": text})
_PERMISSION_TYPES = one_of(
    *sorted(roles.PERMISSION_TYPES - {roles.INSTANCE_ADMIN, "workspace_owner"})
)
_PERMISSION_CREATE = Body(
    "permissionCreateRequest",
    required={"permissionType": _PERMISSION_TYPES, "userId": uuid_text},
    optional={"workspaceId": uuid_text, "organizationId": uuid_text},
)
_PERMISSION_UPDATE = Body("permissionUpdateRequest", required={"permissionType": _PERMISSION_TYPES})


def _application_read(application: Application) -> dict[str, Any]:
    return {
        "id": application.id,
        "name": application.name,
        "clientId": application.client_id,
        "clientSecret": application.client_secret,
        "createdAt": int(application.created_at),
    }


def _own_applications(context: RequestContext) -> list[Application]:
    mine = [a for a in context.world.applications.values() if a.user_id == context.user.id]
    if context.access.auth_mode == "simple":
        # The one built-in application gets a new id on every call.
        for application in mine:
            application.id = new_id()
    return mine


@_router.add("GET", "/applications")
def list_applications(context: RequestContext) -> HttpResponse:
    """List the caller's applications, with their secrets in plain text."""
    found = [_application_read(application) for application in _own_applications(context)]
    return json_response(200, {"applications": found})


@_router.add("POST", "/applications")
def create_application(context: RequestContext) -> HttpResponse:
    """Create an application that acts as the caller."""
    body = context.body(_APPLICATION_CREATE)
    mine = _own_applications(context)
    mode = context.access.auth_mode
    if mode == "simple":
        raise OpaqueError(500)
    if mode == "oidc" and len(mine) >= _MAX_APPLICATIONS:
        raise HateoasError(400, f"User already has {_MAX_APPLICATIONS} Applications")
    if mode == "oidc" and body["name"] in {application.name for application in mine}:
        raise HateoasError(400, "User already has a key with this name")
    client_id = new_id()
    application = Application(
        id=client_id if mode == "oidc" else new_id(),
        name=body["name"],
        client_id=client_id,
        client_secret=secrets.token_urlsafe(24),
        user_id=context.user.id,
        created_at=context.now,
    )
    context.world.applications[client_id] = application
    return json_response(200, _application_read(application))


@_router.add("GET", "/applications/{applicationId}")
def get_application(context: RequestContext) -> HttpResponse:
    """Read one of the caller's applications."""
    return json_response(200, _application_read(_own_application(context)))


@_router.add("DELETE", "/applications/{applicationId}")
def delete_application(context: RequestContext) -> HttpResponse:
    """Delete one of the caller's applications and return it."""
    if context.access.auth_mode == "simple":
        raise OpaqueError(500)
    application = context.world.applications.pop(_own_application(context).client_id)
    return json_response(200, _application_read(application))


def _own_application(context: RequestContext) -> Application:
    for application in _own_applications(context):
        if application.id == context.parameters["applicationId"]:
            return application
    raise resource_not_found("The application with the provided id was not found.")


def permission_response(permission: Permission) -> dict[str, Any]:
    """Return a single permission, as both APIs do."""
    fields = {
        "permissionId": permission.id,
        "permissionType": permission.type,
        "userId": permission.user_id,
        "workspaceId": permission.workspace_id,
        "organizationId": permission.organization_id,
    }
    return drop_nulls(fields)


@_router.add("GET", "/permissions")
def list_permissions(context: RequestContext) -> HttpResponse:
    """List the permissions of the caller, or those of another user in an organization."""
    user_id = context.query.text("userId") or context.user.id
    found = [p for p in context.world.permissions.values() if p.user_id == user_id.lower()]
    if user_id.lower() != context.user.id:
        organization_id = context.query.text("organizationId")
        if organization_id is None:
            raise bad_request(
                "Organization ID is required when getting someone else's permissions."
            )
        context.require_in_organization(organization_id, roles.ORGANIZATION_ADMIN)
        found = [p for p in found if _organization_of(context, p) == organization_id.lower()]
    data = [
        {
            "permissionId": permission.id,
            "permissionType": permission.type,
            "userId": permission.user_id,
            "scopeId": permission.workspace_id or permission.organization_id or _NO_SCOPE_ID,
            "scope": roles.scope_of(permission.type),
        }
        for permission in found
    ]
    return json_response(200, {"data": data})


@_router.add("POST", "/permissions")
def create_permission(context: RequestContext) -> HttpResponse:
    """Grant a user a role in a workspace or in an organization."""
    body = context.body(_PERMISSION_CREATE)
    workspace_id, organization_id = body.get("workspaceId"), body.get("organizationId")
    _require_target(context, workspace_id, organization_id)
    scope = "workspace" if workspace_id is not None else "organization"
    _check_scope(body["permissionType"], scope)
    permission = Permission(
        new_id(),
        body["permissionType"],
        user_id=body["userId"],
        workspace_id=workspace_id,
        organization_id=organization_id,
    )
    own = [p for p in context.world.permissions.values() if p.user_id == permission.user_id]
    if equal := next((p for p in own if replace(p, id=permission.id) == permission), None):
        return json_response(200, permission_response(equal))
    if body["userId"] not in context.world.users:
        # [inf] nothing checks it before the database does
        raise unexpected("insert on permission violates foreign key constraint")
    if any(_implies(context, other, permission) for other in own):
        raise unexpected(
            f"Permission type {permission.type} would be redundant for user {permission.user_id}. "
            "Preventing creation."
        )
    for redundant in [p for p in own if _implies(context, permission, p)]:
        del context.world.permissions[redundant.id]
    context.world.permissions[permission.id] = permission
    return json_response(200, permission_response(permission))


def _require_target(
    context: RequestContext, workspace_id: str | None, organization_id: str | None
) -> None:
    """Check that a permission has one target, and that the caller administers it."""
    if workspace_id is not None and organization_id is not None:
        raise bad_request("A permission cannot target both a workspace and an organization.")
    if workspace_id is not None:
        known = context.world.workspaces.get(workspace_id)
        context.require(known.id if known else None, roles.ADMIN)
        if known is None:
            raise not_found("STANDARD_WORKSPACE", workspace_id)
    elif organization_id is not None:
        context.require_in_organization(organization_id, roles.ORGANIZATION_ADMIN)
    else:
        raise bad_request(
            "Workspace ID or Organization ID must be provided in order to create a permission."
        )


def _implies(context: RequestContext, broad: Permission, narrow: Permission) -> bool:
    """Whether a role in an organization implies another in a workspace of it."""
    return (
        broad.organization_id is not None
        and narrow.workspace_id is not None
        and _organization_of(context, narrow) == broad.organization_id
        and roles.in_workspace(narrow.type) <= roles.in_workspace(broad.type)
    )


@_router.add("GET", "/permissions/{permissionId}")
def get_permission(context: RequestContext) -> HttpResponse:
    """Read one permission."""
    permission = _permission(context, roles.READER, roles.ORGANIZATION_READER)
    return json_response(200, permission_response(permission))


@_router.add("PATCH", "/permissions/{permissionId}")
def update_permission(context: RequestContext) -> HttpResponse:
    """Change the role that a permission grants."""
    body = context.body(_PERMISSION_UPDATE)
    permission = _permission(context, roles.ADMIN, roles.ORGANIZATION_ADMIN)
    _check_scope(body["permissionType"], roles.scope_of(permission.type))
    if body["permissionType"] != permission.type:
        _require_other_admin(context, permission)
    permission.type = body["permissionType"]
    return json_response(200, permission_response(permission))


@_router.add("DELETE", "/permissions/{permissionId}")
def delete_permission(context: RequestContext) -> HttpResponse:
    """Delete a permission; with one in an organization, the user's in its workspaces too."""
    permission = _permission(context, roles.ADMIN, roles.ORGANIZATION_ADMIN)
    _require_other_admin(context, permission)
    for other in list(context.world.permissions.values()):
        is_inside = other.workspace_id is not None and other.user_id == permission.user_id
        if is_inside and _organization_of(context, other) == permission.organization_id:
            del context.world.permissions[other.id]
    del context.world.permissions[permission.id]
    return no_content()


def _require_other_admin(context: RequestContext, permission: Permission) -> None:
    admins = [
        other
        for other in context.world.permissions.values()
        if other.type == "organization_admin"
        and other.organization_id == permission.organization_id
    ]
    if admins == [permission]:
        raise state_conflict("Cannot remove the last organization administrator.")  # [inf] text


def _permission(context: RequestContext, in_workspace: str, in_organization: str) -> Permission:
    permission_id = context.parameters["permissionId"].lower()
    permission = context.world.permissions.get(permission_id)
    if permission is None or permission.user_id is None:
        # [inf] it is read before the role is checked, and outside the mapping of errors: §5.4
        raise OpaqueError(500)
    if permission.workspace_id is not None:
        context.require(permission.workspace_id, in_workspace)
    elif permission.organization_id is not None:
        context.require_in_organization(permission.organization_id, in_organization)
    elif not context.is_instance_admin:
        raise forbidden()
    return permission


def _check_scope(permission_type: str, scope: str) -> None:
    if roles.scope_of(permission_type) != scope:
        raise bad_request(f"{permission_type} cannot be given in a scope of type {scope}.")  # [inf]


def _organization_of(context: RequestContext, permission: Permission) -> str | None:
    if permission.workspace_id is not None:
        return context.world.workspaces[permission.workspace_id].organization_id
    return permission.organization_id


@_router.add("GET", "/organizations")
def list_organizations(context: RequestContext) -> HttpResponse:
    """List the organizations in which the caller has a permission."""
    data = [
        {
            "organizationId": organization.id,
            "organizationName": organization.name,
            "email": organization.email,
        }
        for organization in organizations_of(context, context.user)
    ]
    return json_response(200, {"data": data})


def organizations_of(context: RequestContext, user: User) -> list[Organization]:
    """Return the organizations in which *user* has a permission; an administrator has all."""
    is_admin = context.access.is_instance_admin(user)
    mine = {_organization_of(context, p) for p in context.access.permissions_of(user)}
    return [o for o in context.world.organizations.values() if is_admin or o.id in mine]


@_router.add("GET", "/users")
def list_users(context: RequestContext) -> HttpResponse:
    """List the users of an organization."""
    organization_id = context.query.required("organizationId", text)
    ids, emails = context.query.items("ids"), context.query.items("emails")
    context.require_in_organization(organization_id, roles.ORGANIZATION_MEMBER)
    data = [
        {"id": user.id, "name": user.name, "email": user.email}
        for user in context.world.users.values()
        if (not ids or user.id in ids) and (not emails or user.email in emails)
    ]
    return json_response(200, {"data": data})


@_router.add("POST", "/embedded/widget_token")
@_router.add("POST", "/embedded/scoped_token")
@_router.add("GET", "/embedded/organizations")
def embedded(context: RequestContext) -> HttpResponse:
    """Return 403: a self-managed Airbyte has no licence for Embedded (§5.6)."""
    del context
    raise license_entitlement("CONFIG_TEMPLATE_ENDPOINTS")
