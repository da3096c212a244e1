"""
Definitions of connectors, people, groups and regions.

Fields: docs/airbyte-api.md §5.3 (definitions), §5.4 (permissions, users, applications), §5.5
(regions, data planes, groups).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from airflow_provider_airbyte_sme.api.models.fields import (
    label,
    mapping,
    readable,
    required,
    timestamp,
)


class Definition(NamedTuple):
    """
    The definition of a connector with an image.

    :param docker_repository: Name of the image.
    :param docker_image_tag: Its version.
    :param documentation_url: Empty if missing.
    """

    definition_id: str
    name: str
    docker_repository: str = ""
    docker_image_tag: str = ""
    documentation_url: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``DefinitionResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a definition")
        return cls(
            definition_id=required(fields, "id", str),
            name=readable(fields, "name", str) or "",
            docker_repository=readable(fields, "dockerRepository", str) or "",
            docker_image_tag=readable(fields, "dockerImageTag", str) or "",
            documentation_url=readable(fields, "documentationUrl", str) or "",
        )

    def __str__(self) -> str:
        return label(self.definition_id, self.name)


class DeclarativeDefinition(NamedTuple):
    """
    The definition of a source with a manifest.

    :param manifest: In Airbyte's format.
    :param version: Of the manifest, counted from 1; 0 if missing.
    """

    definition_id: str
    name: str
    manifest: Mapping[str, Any] = {}  # never changed
    version: int = 0

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``DeclarativeSourceDefinitionResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a declarative definition")
        return cls(
            definition_id=required(fields, "id", str),
            name=readable(fields, "name", str) or "",
            manifest=readable(fields, "manifest", dict) or {},
            version=readable(fields, "version", int) or 0,
        )

    def __str__(self) -> str:
        return label(self.definition_id, self.name)


class ConnectorDefinition(NamedTuple):
    """
    A connector that a workspace may use.

    :param connector_type: ``source`` or ``destination``; empty if missing.
    :param version: Tag of its image; empty if missing.
    """

    definition_id: str
    name: str
    connector_type: str = ""
    version: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``ConnectorDefinitionResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a connector definition")
        return cls(
            definition_id=required(fields, "id", str),
            name=readable(fields, "name", str) or "",
            connector_type=readable(fields, "connectorDefinitionType", str) or "",
            version=readable(fields, "version", str) or "",
        )

    def __str__(self) -> str:
        return label(self.definition_id, self.name)


class Organization(NamedTuple):
    """
    One organization. A self-managed Airbyte has one.

    :param email: Empty if missing.
    """

    organization_id: str
    name: str
    email: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse an ``OrganizationResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "an organization")
        return cls(
            organization_id=required(fields, "organizationId", str),
            name=readable(fields, "organizationName", str) or "",
            email=readable(fields, "email", str) or "",
        )


class User(NamedTuple):
    """
    One user.

    :param email: Empty if missing.
    """

    user_id: str
    name: str
    email: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``UserResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a user")
        return cls(
            user_id=required(fields, "id", str),
            name=readable(fields, "name", str) or "",
            email=readable(fields, "email", str) or "",
        )


class Permission(NamedTuple):
    """
    A role of a user.

    :param permission_type: Such as ``workspace_editor``.
    :param workspace_id: Where the role holds; ``None`` for a whole organization or instance.
    :param organization_id: Where the role holds; ``None`` for one workspace or the whole instance.
    """

    permission_id: str
    permission_type: str
    user_id: str = ""
    workspace_id: str | None = None
    organization_id: str | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``PermissionResponse``, or one of a list, which names its scope.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a permission")
        if scope := readable(fields, "scope", str):
            fields = {**fields, f"{scope}Id": fields.get("scopeId")}
        return cls(
            permission_id=required(fields, "permissionId", str),
            permission_type=required(fields, "permissionType", str),
            user_id=readable(fields, "userId", str) or "",
            workspace_id=readable(fields, "workspaceId", str),
            organization_id=readable(fields, "organizationId", str),
        )


class Application(NamedTuple):
    """
    An application: the client id and secret with which programs sign in as a user.

    :param created_at: In seconds since the epoch; 0 if missing.
    """

    application_id: str
    name: str
    client_id: str
    client_secret: str = ""
    created_at: int = 0

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse an ``ApplicationRead``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "an application")
        return cls(
            application_id=required(fields, "id", str),
            name=readable(fields, "name", str) or "",
            client_id=required(fields, "clientId", str),
            client_secret=readable(fields, "clientSecret", str) or "",
            created_at=readable(fields, "createdAt", int) or 0,
        )

    def __repr__(self) -> str:
        return f"Application({self.application_id!r}, {self.name!r}, client_secret=***)"


class Region(NamedTuple):
    """
    One region: a place with data planes, where workspaces run their syncs.

    :param is_enabled: Whether syncs may run there.
    :param created_at: ``None`` if missing.
    :param updated_at: ``None`` if missing.
    """

    region_id: str
    name: str
    organization_id: str = ""
    is_enabled: bool = True
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``RegionResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a region")
        return cls(
            region_id=required(fields, "regionId", str),
            name=readable(fields, "name", str) or "",
            organization_id=readable(fields, "organizationId", str) or "",
            is_enabled=fields.get("enabled") is not False,
            created_at=timestamp(fields, "createdAt"),
            updated_at=timestamp(fields, "updatedAt"),
        )


class Dataplane(NamedTuple):
    """
    One data plane of a region, where syncs run.

    :param is_enabled: Whether syncs may run there.
    :param created_at: ``None`` if missing.
    :param updated_at: ``None`` if missing.
    """

    dataplane_id: str
    name: str
    region_id: str = ""
    is_enabled: bool = True
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``DataplaneResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a data plane")
        return cls(
            dataplane_id=required(fields, "dataplaneId", str),
            name=readable(fields, "name", str) or "",
            region_id=readable(fields, "regionId", str) or "",
            is_enabled=fields.get("enabled") is not False,
            created_at=timestamp(fields, "createdAt"),
            updated_at=timestamp(fields, "updatedAt"),
        )


class DataplaneCredentials(NamedTuple):
    """A new data plane and its credentials, which Airbyte shows only once."""

    dataplane_id: str
    region_id: str
    client_id: str
    client_secret: str

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``DataplaneCreateResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a new data plane")
        return cls(
            dataplane_id=required(fields, "dataplaneId", str),
            region_id=required(fields, "regionId", str),
            client_id=required(fields, "clientId", str),
            client_secret=required(fields, "clientSecret", str),
        )

    def __repr__(self) -> str:
        return f"DataplaneCredentials({self.dataplane_id!r}, client_secret=***)"


class Group(NamedTuple):
    """
    One group of users.

    :param description: Empty if missing.
    :param member_count: How many users are in it; 0 if missing.
    """

    group_id: str
    name: str
    organization_id: str = ""
    description: str = ""
    member_count: int = 0

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``GroupResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a group")
        return cls(
            group_id=required(fields, "groupId", str),
            name=readable(fields, "name", str) or "",
            organization_id=readable(fields, "organizationId", str) or "",
            description=readable(fields, "description", str) or "",
            member_count=readable(fields, "memberCount", int) or 0,
        )

    @property
    def id(self) -> str:
        """UUID of the group."""
        return self.group_id

    def __str__(self) -> str:
        return label(self.group_id, self.name)


class GroupMember(NamedTuple):
    """
    One member of a group.

    :param member_id: UUID of the membership.
    :param user_email: Empty if missing.
    :param user_name: Empty if missing.
    """

    member_id: str
    group_id: str
    user_id: str
    user_email: str = ""
    user_name: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``GroupMemberResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a group member")
        return cls(
            member_id=required(fields, "memberId", str),
            group_id=required(fields, "groupId", str),
            user_id=required(fields, "userId", str),
            user_email=readable(fields, "userEmail", str) or "",
            user_name=readable(fields, "userName", str) or "",
        )

    @property
    def id(self) -> str:
        """UUID of the membership."""
        return self.member_id


class GroupPermission(NamedTuple):
    """
    A role that all members of a group have.

    :param permission_type: Such as ``workspace_editor``.
    :param workspace_id: Where the role holds; ``None`` for a whole organization.
    :param organization_id: Where the role holds; ``None`` for one workspace.
    """

    permission_id: str
    group_id: str
    permission_type: str
    workspace_id: str | None = None
    organization_id: str | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``GroupPermissionResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a group permission")
        return cls(
            permission_id=required(fields, "permissionId", str),
            group_id=required(fields, "groupId", str),
            permission_type=required(fields, "permissionType", str),
            workspace_id=readable(fields, "workspaceId", str),
            organization_id=readable(fields, "organizationId", str),
        )
