"""
Groups of users, their members and what they may do.

``GroupsController.kt``, ``GroupMembersController.kt``, ``GroupPermissionsController.kt``. A group
is looked up before the caller's role is checked, so an unknown one is 404 for everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, one_of, text, uuid_text
from airflow_provider_airbyte_sme.emulator.problems import (
    ProblemError,
    bad_request,
    json_response,
    no_content,
    not_found,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Group, Permission, new_id

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

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


def _group(call: Call) -> Group:
    group_id = call.path_value("groupId", uuid_text)
    group = call.world.groups.get(group_id)
    if group is None:
        raise not_found("group", group_id)
    call.require_in_organization(group.organization_id, roles.ORGANIZATION_ADMIN)
    return group


def _links(path: str, query: str, limit: int, offset: int, more: bool) -> dict[str, str]:
    """Return the links of a page, which here are paths, and absent where there is no page."""
    links = {}
    if more:
        links["next"] = f"{path}?{query}limit={limit}&offset={offset + limit}"
    if offset > 0:
        links["previous"] = f"{path}?{query}limit={limit}&offset={max(0, offset - limit)}"
    return links


@_router.add("GET", "/groups")
def list_groups(call: Call) -> HttpResponse:
    """List the groups of an organization."""
    limit, offset = call.query.page()
    organization_id = call.query.converted("organizationId", uuid_text)
    if organization_id is None:
        raise bad_request("organizationId query parameter is required")
    call.require_in_organization(organization_id, roles.ORGANIZATION_ADMIN)
    groups = [g for g in call.world.groups.values() if g.organization_id == organization_id]
    query = f"organizationId={organization_id}&"
    more = len(groups) > offset + limit
    data = [_group_response(group) for group in groups[offset : offset + limit]]
    links = _links("/v1/groups", query, limit, offset, more)
    return json_response(200, {"data": data, **links})


@_router.add("POST", "/groups")
def create_group(call: Call) -> HttpResponse:
    """Create a group whose name is new in its organization."""
    body = call.body(_CREATE)
    call.require_in_organization(body["organizationId"], roles.ORGANIZATION_ADMIN)
    group = Group(new_id(), body["name"], body["organizationId"])
    _check_name(call, group.id, group.name, group.organization_id)
    call.world.groups[group.id] = group
    return json_response(201, _group_response(group))


@_router.add("GET", "/groups/{groupId}")
def get_group(call: Call) -> HttpResponse:
    """Read one group."""
    return json_response(200, _group_response(_group(call)))


@_router.add("PATCH", "/groups/{groupId}")
def update_group(call: Call) -> HttpResponse:
    """Rename a group."""
    body = call.body(_UPDATE)
    group = _group(call)
    if body.get("name") is not None:
        _check_name(call, group.id, body["name"], group.organization_id)
        group.name = body["name"]
    return json_response(200, _group_response(group))


@_router.add("DELETE", "/groups/{groupId}")
def delete_group(call: Call) -> HttpResponse:
    """Delete a group with its permissions."""
    group = call.world.groups.pop(_group(call).id)
    for permission in [p for p in call.world.permissions.values() if p.group_id == group.id]:
        del call.world.permissions[permission.id]
    return no_content()


def _check_name(call: Call, group_id: str, name: str, organization_id: str) -> None:
    for other in call.world.groups.values():
        if (other.name, other.organization_id) == (name, organization_id) and other.id != group_id:
            raise _conflict("group-already-exists", "Group already exists")


def _conflict(kind: str, title: str) -> ProblemError:
    return ProblemError(409, title, f"{title}.", None, kind=f"error:{kind}")  # [inf] type and texts


def _member_response(call: Call, group: Group, user_id: str) -> dict[str, Any]:
    user = call.world.users[user_id]
    return {
        "memberId": group.members[user_id],
        "groupId": group.id,
        "userId": user_id,
        "userEmail": user.email,
        "userName": user.name,
    }


@_router.add("GET", "/groups/{groupId}/members")
def list_members(call: Call) -> HttpResponse:
    """List the members of a group; a full page has a next one."""
    limit, offset = call.query.page()
    group = _group(call)
    page = list(group.members)[offset : offset + limit]
    path = f"/v1/groups/{group.id}/members"
    links = _links(path, "", limit, offset, len(page) >= limit)
    data = [_member_response(call, group, user_id) for user_id in page]
    return json_response(200, {"data": data, **links})


@_router.add("POST", "/groups/{groupId}/members")
def add_member(call: Call) -> HttpResponse:
    """Add a user to a group."""
    body = call.body(_MEMBER_ADD)
    group = _group(call)
    if body["userId"] not in call.world.users:
        raise not_found("user", body["userId"])
    if body["userId"] in group.members:
        raise _conflict("group-member-already-exists", "Group member already exists")
    group.members[body["userId"]] = new_id()
    return json_response(201, _member_response(call, group, body["userId"]))


@_router.add("DELETE", "/groups/{groupId}/members/{userId}")
def remove_member(call: Call) -> HttpResponse:
    """Take a user out of a group, also one who is not in it."""
    user_id = call.path_value("userId", uuid_text)
    _group(call).members.pop(user_id, None)
    return no_content()


def _permission_response(permission: Permission) -> dict[str, Any]:
    fields = {
        "permissionId": permission.id,
        "groupId": permission.group_id,
        "permissionType": permission.type,
        "workspaceId": permission.workspace_id,
        "organizationId": permission.organization_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


@_router.add("GET", "/groups/{groupId}/permissions")
def list_group_permissions(call: Call) -> HttpResponse:
    """List what the members of a group may do."""
    group = _group(call)
    found = [p for p in call.world.permissions.values() if p.group_id == group.id]
    return json_response(200, {"data": [_permission_response(p) for p in found]})


@_router.add("POST", "/groups/{groupId}/permissions")
def create_group_permission(call: Call) -> HttpResponse:
    """Give the members of a group a role."""
    body = call.body(_PERMISSION_CREATE)
    group = _group(call)
    workspace_id, organization_id = body.get("workspaceId"), body.get("organizationId")
    if workspace_id is not None:
        if workspace_id not in call.world.workspaces:
            raise not_found("workspace", workspace_id)
        call.require(workspace_id, roles.ADMIN, name=roles.ADMIN)
        organization_id = None
    elif organization_id is None:
        raise bad_request(
            "Workspace ID or Organization ID must be provided in order to create a group "
            "permission."
        )
    elif organization_id not in call.world.organizations:
        raise not_found("organization", organization_id)
    permission = Permission(
        new_id(),
        body["permissionType"],
        group_id=group.id,
        workspace_id=workspace_id,
        organization_id=organization_id,
    )
    for other in call.world.permissions.values():
        if _meaning(other) == _meaning(permission):
            scope = "workspace" if workspace_id else "organization"
            raise bad_request(
                f"Group already has {permission.type} permission for {scope} "
                f"{workspace_id or organization_id}"
            )
    call.world.permissions[permission.id] = permission
    return json_response(201, _permission_response(permission))


def _meaning(permission: Permission) -> tuple[str | None, ...]:
    return (
        permission.group_id,
        permission.type,
        permission.workspace_id,
        permission.organization_id,
    )


@_router.add("DELETE", "/groups/{groupId}/permissions/{permissionId}")
def delete_group_permission(call: Call) -> HttpResponse:
    """Take a role from the members of a group."""
    permission_id = call.path_value("permissionId", uuid_text)
    group = _group(call)
    permission = call.world.permissions.get(permission_id)
    if permission is None or permission.group_id != group.id:
        raise not_found("permission", permission_id)
    del call.world.permissions[permission_id]
    return no_content()
