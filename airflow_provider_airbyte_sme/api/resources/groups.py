"""Groups of users, their members and their permissions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.api.models import Group, GroupMember, GroupPermission
from airflow_provider_airbyte_sme.api.resources.base import Resource, ResourceGroup


class Groups(Resource[Group]):
    """``/groups``: docs/airbyte-api.md §5.5.7. Names are unique in an organization."""

    path = "groups"
    kind = "group"
    model = Group

    async def list(self, organization_id: str) -> list[Group]:
        """
        Read the groups of an organization.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unordered({"organizationId": organization_id})


class GroupMembers(ResourceGroup[GroupMember]):
    """``/groups/{groupId}/members``: docs/airbyte-api.md §5.5.7."""

    path = "groups"
    kind = "group member"
    model = GroupMember

    async def list(self, group_id: str) -> list[GroupMember]:
        """
        Read the members of a group.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unordered({}, group_id, "members")

    async def add(self, group_id: str, user_id: str) -> GroupMember:
        """
        Add a user to a group.

        :raises AirbyteConflictError: The user is a member already, or SCIM manages the group.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("POST", group_id, "members", payload={"userId": user_id})

    async def remove(self, group_id: str, user_id: str) -> None:
        """
        Remove a user from a group, whether or not they are a member.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete(group_id, "members", user_id)


class GroupPermissions(ResourceGroup[GroupPermission]):
    """``/groups/{groupId}/permissions``: docs/airbyte-api.md §5.5.7."""

    path = "groups"
    kind = "group permission"
    model = GroupPermission

    async def list(self, group_id: str) -> list[GroupPermission]:
        """
        Read the permissions of a group.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._list_unpaged({}, group_id, "permissions")

    async def create(self, group_id: str, payload: Mapping[str, Any]) -> GroupPermission:
        """
        Give all members of a group a role.

        :param payload: ``permissionType``, and ``workspaceId`` or ``organizationId``.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("POST", group_id, "permissions", payload=payload)

    async def delete(self, group_id: str, permission_id: str) -> None:
        """
        Take a role from the members of a group.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete(group_id, "permissions", permission_id)
