"""
Groups of users, their members and permissions: ``docs/airbyte-api.md`` §5.5.

A group is looked up before the caller's role is checked, so an unknown one is 404 for everybody.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, one_of, text, uuid_text
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    ProblemError,
    bad_request,
    json_response,
    no_content,
    not_found,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Group, Permission, new_id

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_CREATE = Body("groupCreateRequest", required={"name": text, "organizationId": uuid_text})
_UPDATE = Body("groupUpdateRequest", optional={"name": text})
_MEMBER_ADD = Body("groupMemberAddRequest", required={"userId": uuid_text})
_PERMISSION_CREATE = Body(
    "groupPermissionCreateRequest",
    required={"permissionType": one_of(*sorted(roles.PERMISSION_TYPES))},
    optional={"workspaceId": uuid_text, "organizationId": uuid_text},
)


def _group_response(group: Group) -> dict[str, Any]:
    return {
        "groupId": group.id,
        "name": group.name,
        "organizationId": group.organization_id,
        "memberCount": len(group.members),
    }


def _group(context: RequestContext) -> Group:
    group_id = context.path_value("groupId", uuid_text)
    group = context.world.groups.get(group_id)
    if group is None:
        raise not_found("group", group_id)
    context.require_in_organization(group.organization_id, roles.ORGANIZATION_ADMIN)
    return group


def _links(path: str, query: str, limit: int, offset: int, more: bool) -> dict[str, str]:
    """Return the links of a page: paths, and absent if there is no such page (unlike §7)."""
    links = {}
    if more:
        links["next"] = f"{path}?{query}limit={limit}&offset={offset + limit}"
    if offset > 0:
        links["previous"] = f"{path}?{query}limit={limit}&offset={max(0, offset - limit)}"
    return links


@_router.add("GET", "/groups")
def list_groups(context: RequestContext) -> HttpResponse:
    """List the groups of an organization."""
    limit, offset = context.query.limit_and_offset()
    organization_id = context.query.optional("organizationId", uuid_text)
    if organization_id is None:
        raise bad_request("organizationId query parameter is required")
    context.require_in_organization(organization_id, roles.ORGANIZATION_ADMIN)
    groups = [g for g in context.world.groups.values() if g.organization_id == organization_id]
    query = f"organizationId={organization_id}&"
    more = len(groups) > offset + limit
    data = [_group_response(group) for group in groups[offset : offset + limit]]
    links = _links("/public/v1/groups", query, limit, offset, more)
    return json_response(200, {"data": data, **links})


@_router.add("POST", "/groups")
def create_group(context: RequestContext) -> HttpResponse:
    """Create a group; its name must be unique in its organization."""
    body = context.body(_CREATE)
    context.require_in_organization(body["organizationId"], roles.ORGANIZATION_ADMIN)
    group = Group(new_id(), body["name"], body["organizationId"])
    _check_name(context, group.id, group.name, group.organization_id)
    context.world.groups[group.id] = group
    return json_response(201, _group_response(group))


@_router.add("GET", "/groups/{groupId}")
def get_group(context: RequestContext) -> HttpResponse:
    """Read one group."""
    return json_response(200, _group_response(_group(context)))


@_router.add("PATCH", "/groups/{groupId}")
def update_group(context: RequestContext) -> HttpResponse:
    """Rename a group."""
    body = context.body(_UPDATE)
    group = _group(context)
    if body.get("name") is not None:
        _check_name(context, group.id, body["name"], group.organization_id)
        group.name = body["name"]
    return json_response(200, _group_response(group))


@_router.add("DELETE", "/groups/{groupId}")
def delete_group(context: RequestContext) -> HttpResponse:
    """Delete a group with its permissions."""
    group = context.world.groups.pop(_group(context).id)
    for permission in [p for p in context.world.permissions.values() if p.group_id == group.id]:
        del context.world.permissions[permission.id]
    return no_content()


def _check_name(context: RequestContext, group_id: str, name: str, organization_id: str) -> None:
    for other in context.world.groups.values():
        if (other.name, other.organization_id) == (name, organization_id) and other.id != group_id:
            raise _conflict(
                "group-already-exists",
                "Group already exists",
                "A group with this name already exists in this organization.",
            )


def _conflict(kind: str, title: str, detail: str) -> ProblemError:
    return ProblemError(409, title, detail, {"message": detail}, kind=f"error:{kind}")


def _member_response(context: RequestContext, group: Group, user_id: str) -> dict[str, Any]:
    user = context.world.users[user_id]
    return {
        "memberId": group.members[user_id],
        "groupId": group.id,
        "userId": user_id,
        "userEmail": user.email,
        "userName": user.name,
    }


@_router.add("GET", "/groups/{groupId}/members")
def list_members(context: RequestContext) -> HttpResponse:
    """List the members of a group; a full page has a link to the next one."""
    limit, offset = context.query.limit_and_offset()
    group = _group(context)
    user_ids = list(group.members)[offset : offset + limit]
    path = f"/public/v1/groups/{group.id}/members"
    links = _links(path, "", limit, offset, len(user_ids) >= limit)
    data = [_member_response(context, group, user_id) for user_id in user_ids]
    return json_response(200, {"data": data, **links})


@_router.add("POST", "/groups/{groupId}/members")
def add_member(context: RequestContext) -> HttpResponse:
    """Add a user to a group."""
    body = context.body(_MEMBER_ADD)
    group = _group(context)
    if body["userId"] not in context.world.users:
        raise not_found("user", body["userId"])
    if body["userId"] in group.members:
        raise _conflict(
            "group-member-already-exists",
            "Group member already exists",
            "This user is already a member of this group.",
        )
    group.members[body["userId"]] = new_id()
    return json_response(201, _member_response(context, group, body["userId"]))


@_router.add("DELETE", "/groups/{groupId}/members/{userId}")
def remove_member(context: RequestContext) -> HttpResponse:
    """Remove a user from a group; it makes no difference whether they are a member."""
    user_id = context.path_value("userId", uuid_text)
    _group(context).members.pop(user_id, None)
    return no_content()


def _permission_response(permission: Permission) -> dict[str, Any]:
    fields = {
        "permissionId": permission.id,
        "groupId": permission.group_id,
        "permissionType": permission.type,
        "workspaceId": permission.workspace_id,
        "organizationId": permission.organization_id,
    }
    return drop_nulls(fields)


@_router.add("GET", "/groups/{groupId}/permissions")
def list_group_permissions(context: RequestContext) -> HttpResponse:
    """List the permissions of a group."""
    group = _group(context)
    found = [p for p in context.world.permissions.values() if p.group_id == group.id]
    return json_response(200, {"data": [_permission_response(p) for p in found]})


@_router.add("POST", "/groups/{groupId}/permissions")
def create_group_permission(context: RequestContext) -> HttpResponse:
    """Grant a role to the members of a group."""
    body = context.body(_PERMISSION_CREATE)
    group = _group(context)
    workspace_id, organization_id = body.get("workspaceId"), body.get("organizationId")
    if workspace_id is not None:
        if workspace_id not in context.world.workspaces:
            raise not_found("workspace", workspace_id)
        context.require(workspace_id, roles.ADMIN, named=roles.ADMIN)
        organization_id = None
    elif organization_id is None:
        raise bad_request(
            "Workspace ID or Organization ID must be provided in order to create a group "
            "permission."
        )
    elif organization_id not in context.world.organizations:
        raise not_found("organization", organization_id)
    permission = Permission(
        new_id(),
        body["permissionType"],
        group_id=group.id,
        workspace_id=workspace_id,
        organization_id=organization_id,
    )
    for other in context.world.permissions.values():
        if _identity(other) == _identity(permission):
            scope = "workspace" if workspace_id else "organization"
            raise bad_request(
                f"Group already has {permission.type} permission for {scope} "
                f"{workspace_id or organization_id}"
            )
    context.world.permissions[permission.id] = permission
    return json_response(201, _permission_response(permission))


def _identity(permission: Permission) -> tuple[str | None, ...]:
    return (
        permission.group_id,
        permission.type,
        permission.workspace_id,
        permission.organization_id,
    )


@_router.add("DELETE", "/groups/{groupId}/permissions/{permissionId}")
def delete_group_permission(context: RequestContext) -> HttpResponse:
    """Revoke a role of the members of a group."""
    permission_id = context.path_value("permissionId", uuid_text)
    group = _group(context)
    permission = context.world.permissions.get(permission_id)
    if permission is None or permission.group_id != group.id:
        raise not_found("permission", permission_id)
    del context.world.permissions[permission_id]
    return no_content()
