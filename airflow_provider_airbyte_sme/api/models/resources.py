"""
Workspaces, sources, destinations and the specifications of their connectors.

Fields: docs/airbyte-api.md §4.2 (source, destination), §5.1 (workspace).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Self

from airflow_provider_airbyte_sme.api.errors import excerpt
from airflow_provider_airbyte_sme.api.models.fields import (
    entries,
    inner,
    label,
    mapping,
    readable,
    required,
    strings,
)

ActorKind = Literal["source", "destination"]

# The status of a check, not of a job.
_CHECK_SUCCEEDED = "succeeded"


class Workspace(NamedTuple):
    """
    One workspace.

    :param name: Empty if missing or unreadable.
    :param notifications: In Airbyte's format.
    :param data_residency: Name of its region in lower case; empty if missing.
    """

    workspace_id: str
    name: str
    notifications: Mapping[str, Any] = {}  # never changed
    data_residency: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``WorkspaceResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a workspace")
        return cls(
            workspace_id=required(fields, "workspaceId", str),
            name=readable(fields, "name", str) or "",
            notifications=readable(fields, "notifications", dict) or {},
            data_residency=readable(fields, "dataResidency", str) or "",
        )

    @property
    def id(self) -> str:
        """UUID of the workspace."""
        return self.workspace_id

    def __str__(self) -> str:
        return label(self.workspace_id, self.name)


@dataclass(frozen=True, slots=True)
class Actor:
    """
    One source or destination. Airbyte's own word for both is *actor*.

    :param connector: Name of the connector, such as ``postgres``; empty for custom and newer ones.
    :param configuration: As Airbyte returns it: each secret is masked or a coordinate; ``None`` if
        the actor was deleted.
    :param resource_allocation: In Airbyte's format; ``None`` if none is set.
    :param created_at: In seconds since the epoch; 0 if missing.
    """

    kind: ClassVar[ActorKind]

    actor_id: str
    name: str
    workspace_id: str
    definition_id: str = ""
    connector: str = ""
    configuration: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    resource_allocation: Mapping[str, Any] | None = field(default=None, hash=False)
    created_at: int = 0

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``SourceResponse`` or ``DestinationResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, f"a {cls.kind}")
        return cls(
            actor_id=required(fields, f"{cls.kind}Id", str),
            name=readable(fields, "name", str) or "",
            workspace_id=required(fields, "workspaceId", str),
            definition_id=readable(fields, "definitionId", str) or "",
            connector=readable(fields, f"{cls.kind}Type", str) or "",
            configuration=readable(fields, "configuration", dict),
            resource_allocation=readable(fields, "resourceAllocation", dict),
            created_at=readable(fields, "createdAt", int) or 0,
        )

    @property
    def id(self) -> str:
        """UUID of the source or destination."""
        return self.actor_id

    @property
    def is_deleted(self) -> bool:
        """Whether it was deleted: it stays readable, without its configuration."""
        return self.configuration is None

    def __str__(self) -> str:
        return label(self.actor_id, self.name)


class Source(Actor):
    """One source."""

    __slots__ = ()
    kind = "source"


class Destination(Actor):
    """One destination."""

    __slots__ = ()
    kind = "destination"


class ConnectorSpecification(NamedTuple):
    """
    What a connector wants to know: docs/airbyte-api.md §4.2.

    :param definition_id: UUID of the connector's definition.
    :param schema: JSON schema (draft 7) of the configuration. ``"airbyte_secret": true`` marks a
        secret.
    :param documentation_url: Empty if missing.
    :param sync_modes: ``supportedDestinationSyncModes`` of a destination.
    :param oauth_inputs: Keys of the input of its OAuth flow, such as ``client_id``.
    """

    definition_id: str
    schema: Mapping[str, Any]
    documentation_url: str = ""
    sync_modes: tuple[str, ...] = ()
    oauth_inputs: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``SourceDefinitionSpecificationRead`` or ``DestinationDefinitionSpecificationRead``.

        :raises AirbyteDecodeError: It is not a JSON object with a definition id.
        """
        fields = mapping(payload, "a connector specification")
        definition_id = readable(fields, "sourceDefinitionId", str) or required(
            fields, "destinationDefinitionId", str
        )
        return cls(
            definition_id=definition_id,
            schema=readable(fields, "connectionSpecification", dict) or {},
            documentation_url=readable(fields, "documentationUrl", str) or "",
            sync_modes=strings(fields.get("supportedDestinationSyncModes")),
            oauth_inputs=_oauth_inputs(fields.get("advancedAuth")),
        )


def _oauth_inputs(advanced_auth: Any) -> tuple[str, ...]:
    flow = inner(advanced_auth, "oauthConfigSpecification")
    schema = inner(flow, "completeOAuthServerInputSpecification")
    properties = inner(schema, "properties")
    return tuple(properties) if isinstance(properties, dict) else ()


class ConnectionCheck(NamedTuple):
    """
    Whether a connector can reach its system, as it says itself.

    :param succeeded: ``None`` if the check itself could not run.
    :param message: The connector's reason in one line; empty with a success.
    """

    succeeded: bool | None
    message: str = ""

    @classmethod
    def from_json(cls, payload: Any, secrets: Iterable[str] = ()) -> Self:
        """
        Parse a ``CheckConnectionRead``.

        :param secrets: What the message must not contain.
        :raises AirbyteDecodeError: It is not a JSON object.
        """
        fields = mapping(payload, "a connection check")
        status = readable(fields, "status", str)
        return cls(
            succeeded=None if status is None else status == _CHECK_SUCCEEDED,
            message=excerpt(readable(fields, "message", str) or "", secrets),
        )


class ConnectionState(NamedTuple):
    """
    What the next incremental sync of a connection starts from.

    :param state_type: ``stream``, ``global``, ``legacy`` or ``not_set``.
    :param payload: The whole state in Airbyte's format.
    """

    state_type: str
    payload: Mapping[str, Any]

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``ConnectionState``.

        :raises AirbyteDecodeError: It is not a JSON object.
        """
        fields = mapping(payload, "a connection state")
        return cls(readable(fields, "stateType", str) or "not_set", fields)

    def streams(self) -> frozenset[tuple[str, str | None]]:
        """Return name and namespace of each stream that has a state."""
        found = entries(self.payload.get("streamState")) or entries(
            inner(self.payload.get("globalState"), "streamStates")
        )
        descriptors = [inner(each, "streamDescriptor") for each in found]
        return frozenset(
            (str(inner(each, "name")), inner(each, "namespace")) for each in descriptors if each
        )
