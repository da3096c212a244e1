"""
Applications, permissions, organizations and users of the public API.

``ApplicationsController.kt``, ``ApplicationServiceKeycloakImpl.kt``, ``PermissionsController.kt``,
``OrganizationsController.kt``, ``UsersController.kt``.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, one_of, text, uuid_text
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
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Application, Permission, new_id

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

# Keycloak: ApplicationServiceKeycloakImpl.kt, MAX_CREDENTIALS.
_MOST_APPLICATIONS = 2

_APPLICATION_CREATE = Body("applicationCreate", required={"name": text})
_PERMISSION_TYPES = one_of(*sorted(roles.PERMISSION_TYPES - {roles.INSTANCE_ADMIN}))
_PERMISSION_CREATE = Body(
    "permissionCreateRequest",
    required={"permissionType": _PERMISSION_TYPES, "userId": uuid_text},
    optional={"workspaceId": uuid_text, "organizationId": uuid_text},
)
_PERMISSION_UPDATE = Body(
    "permissionUpdateRequest", required={"permissionType": one_of(*sorted(roles.PERMISSION_TYPES))}
)


def _application_read(application: Application) -> dict[str, Any]:
    return {
        "id": application.id,
        "name": application.name,
        "clientId": application.client_id,
        "clientSecret": application.client_secret,
        "createdAt": int(application.created_at),
    }


def _own_applications(call: Call) -> list[Application]:
    mine = [a for a in call.world.applications.values() if a.user_id == call.user.id]
    if call.core.access.auth_mode == "simple":
        # The one built-in application has another id whenever it is looked at.
        for application in mine:
            application.id = new_id()
    return mine


@_router.add("GET", "/applications")
def list_applications(call: Call) -> HttpResponse:
    """List the caller's applications, with their secrets in clear."""
    found = [_application_read(application) for application in _own_applications(call)]
    return json_response(200, {"applications": found})


@_router.add("POST", "/applications")
def create_application(call: Call) -> HttpResponse:
    """Create an application that acts as the caller."""
    body = call.body(_APPLICATION_CREATE)
    mine = _own_applications(call)
    mode = call.core.access.auth_mode
    if mode == "simple":
        raise OpaqueError(500)
    if mode == "oidc" and len(mine) >= _MOST_APPLICATIONS:
        raise HateoasError(400, f"User already has {_MOST_APPLICATIONS} applications")  # [inf] text
    if mode == "oidc" and body["name"] in {application.name for application in mine}:
        raise HateoasError(400, "User already has a key with this name")  # [inf] text
    client_id = new_id()
    application = Application(
        id=client_id if mode == "oidc" else new_id(),
        name=body["name"],
        client_id=client_id,
        client_secret=secrets.token_urlsafe(24),
        user_id=call.user.id,
        created_at=call.now,
    )
    call.world.applications[client_id] = application
    return json_response(200, _application_read(application))


@_router.add("GET", "/applications/{applicationId}")
def get_application(call: Call) -> HttpResponse:
    """Read one of the caller's applications."""
    return json_response(200, _application_read(_own_application(call)))


@_router.add("DELETE", "/applications/{applicationId}")
def delete_application(call: Call) -> HttpResponse:
    """Delete one of the caller's applications and answer with it."""
    if call.core.access.auth_mode == "simple":
        raise OpaqueError(500)
    application = call.world.applications.pop(_own_application(call).client_id)
    return json_response(200, _application_read(application))


def _own_application(call: Call) -> Application:
    for application in _own_applications(call):
        if application.id == call.parameters["applicationId"]:
            return application
    raise resource_not_found("The application with the provided id was not found.")


def _permission_response(permission: Permission) -> dict[str, Any]:
    fields = {
        "permissionId": permission.id,
        "permissionType": permission.type,
        "userId": permission.user_id,
        "workspaceId": permission.workspace_id,
        "organizationId": permission.organization_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


@_router.add("GET", "/permissions")
def list_permissions(call: Call) -> HttpResponse:
    """List the permissions of the caller, or of somebody else in an organization."""
    user_id = call.query.text("userId") or call.user.id
    found = [p for p in call.world.permissions.values() if p.user_id == user_id.lower()]
    if user_id.lower() != call.user.id:
        organization_id = call.query.text("organizationId")
        if organization_id is None:
            raise bad_request(
                "Organization ID is required when getting someone else's permissions."
            )
        call.require_in_organization(organization_id, roles.ORGANIZATION_ADMIN)
        found = [p for p in found if _organization_of(call, p) == organization_id.lower()]
    data = [
        {
            "permissionId": permission.id,
            "permissionType": permission.type,
            "userId": permission.user_id,
            "scopeId": permission.workspace_id or permission.organization_id,
            "scope": roles.scope_of(permission.type),
        }
        for permission in found
        # [inf] one that holds everywhere has no scopeId, and the mapper leaves it out
        if permission.workspace_id or permission.organization_id
    ]
    return json_response(200, {"data": data})


@_router.add("POST", "/permissions")
def create_permission(call: Call) -> HttpResponse:
    """Give a user a role in a workspace or in an organization."""
    body = call.body(_PERMISSION_CREATE)
    workspace_id, organization_id = body.get("workspaceId"), body.get("organizationId")
    if workspace_id is not None:
        known = call.world.workspaces.get(workspace_id)
        call.require(known.id if known else None, roles.ADMIN)
        if known is None:
            raise not_found("STANDARD_WORKSPACE", workspace_id)
    elif organization_id is not None:
        call.require_in_organization(organization_id, roles.ORGANIZATION_ADMIN)
    else:
        raise bad_request(
            "Workspace ID or Organization ID must be provided in order to create a permission."
        )
    if body["userId"] not in call.world.users:
        raise bad_request(f"There is no user {body['userId']}.")  # [inf]
    scope = "workspace" if workspace_id is not None else "organization"
    _check_scope(body["permissionType"], scope)
    permission = Permission(
        new_id(),
        body["permissionType"],
        user_id=body["userId"],
        workspace_id=workspace_id,
        organization_id=None if workspace_id is not None else organization_id,
    )
    call.world.permissions[permission.id] = permission
    return json_response(200, _permission_response(permission))


@_router.add("GET", "/permissions/{permissionId}")
def get_permission(call: Call) -> HttpResponse:
    """Read one permission."""
    permission = _permission(call, roles.READER, roles.ORGANIZATION_READER)
    return json_response(200, _permission_response(permission))


@_router.add("PATCH", "/permissions/{permissionId}")
def update_permission(call: Call) -> HttpResponse:
    """Change the role that a permission gives."""
    body = call.body(_PERMISSION_UPDATE)
    permission = _permission(call, roles.ADMIN, roles.ORGANIZATION_ADMIN)
    _check_scope(body["permissionType"], roles.scope_of(permission.type))
    permission.type = body["permissionType"]
    return json_response(200, _permission_response(permission))


@_router.add("DELETE", "/permissions/{permissionId}")
def delete_permission(call: Call) -> HttpResponse:
    """Take a permission away."""
    permission = _permission(call, roles.ADMIN, roles.ORGANIZATION_ADMIN)
    del call.world.permissions[permission.id]
    return no_content()


def _permission(call: Call, in_workspace: str, in_organization: str) -> Permission:
    permission_id = call.parameters["permissionId"].lower()
    permission = call.world.permissions.get(permission_id)
    if permission is None or permission.user_id is None:
        if call.is_instance_admin:
            raise not_found("PERMISSION", permission_id)
        raise forbidden()
    if permission.workspace_id is not None:
        call.require(permission.workspace_id, in_workspace)
    elif permission.organization_id is not None:
        call.require_in_organization(permission.organization_id, in_organization)
    elif not call.is_instance_admin:
        raise forbidden()
    return permission


def _check_scope(permission_type: str, scope: str) -> None:
    if roles.scope_of(permission_type) != scope:
        raise bad_request(f"{permission_type} cannot be given in a scope of type {scope}.")  # [inf]


def _organization_of(call: Call, permission: Permission) -> str | None:
    if permission.workspace_id is not None:
        return call.world.workspaces[permission.workspace_id].organization_id
    return permission.organization_id


@_router.add("GET", "/organizations")
def list_organizations(call: Call) -> HttpResponse:
    """List the organizations that the caller has anything to do with."""
    is_admin = call.is_instance_admin
    mine = {_organization_of(call, p) for p in call.core.access.permissions_of(call.user)}
    data = [
        {
            "organizationId": organization.id,
            "organizationName": organization.name,
            "email": organization.email,
        }
        for organization in call.world.organizations.values()
        if is_admin or organization.id in mine
    ]
    return json_response(200, {"data": data})


@_router.add("GET", "/users")
def list_users(call: Call) -> HttpResponse:
    """List the users of an organization."""
    organization_id = call.query.required("organizationId", text)
    ids, emails = call.query.items("ids"), call.query.items("emails")
    call.require_in_organization(organization_id, roles.ORGANIZATION_MEMBER)
    data = [
        {"id": user.id, "name": user.name, "email": user.email}
        for user in call.world.users.values()
        if (not ids or user.id in ids) and (not emails or user.email in emails)
    ]
    return json_response(200, {"data": data})


@_router.add("POST", "/embedded/widget_token")
@_router.add("POST", "/embedded/scoped_token")
@_router.add("GET", "/embedded/organizations")
def embedded(call: Call) -> HttpResponse:
    """Refuse: [inf] a self-managed Airbyte has no licence for Embedded."""
    del call
    raise license_entitlement()
