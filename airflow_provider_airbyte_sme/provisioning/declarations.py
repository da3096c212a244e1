"""
What should exist, as values. ``None`` means: not declared, so not compared and never changed.

An empty list is a declaration: no tags, no mappers, all fields. Fields have the names of the
operators' parameters, and so have the files of :mod:`.files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_airbyte_sme.api.models import ActorKind
from airflow_provider_airbyte_sme.api.models.connections import FieldPath

UpdateSecrets = Literal["when_changed", "always", "never"]
# Characters: docs/airbyte-api.md §5.2.4.
MAX_TAG_LENGTH = 30

IfExists = Literal["update", "reuse", "fail"]


@dataclass(frozen=True, slots=True)
class WorkspaceDeclaration:
    """
    A workspace.

    :param workspace_id: Its UUID; empty to find it by its name.
    :param notifications: In Airbyte's format: docs/airbyte-api.md §5.1.
    """

    name: str
    workspace_id: str = ""
    notifications: Mapping[str, Any] | None = None
    region_id: str | None = None


@dataclass(frozen=True, slots=True)
class ActorDeclaration:
    """
    A source or destination.

    :param connector: Name of its connector, such as ``postgres``; empty with *definition_id*.
    :param configuration: As its connector wants it, with plain secrets. The mask in place of a
        secret means: keep the stored one.
    :param resource_id: Its UUID; empty to find it by its name.
    :param resource_allocation: In Airbyte's format: docs/airbyte-api.md §4.2.
    """

    kind: ActorKind
    name: str
    configuration: Mapping[str, Any] = field(repr=False)
    connector: str = ""
    definition_id: str = ""
    resource_id: str = ""
    update_secrets: UpdateSecrets = "when_changed"
    resource_allocation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TagDeclaration:
    """
    A tag.

    :param color: Hexadecimal RGB without ``#``, such as ``75DCFF``.
    """

    name: str
    color: str | None = None
    tag_id: str = ""


@dataclass(frozen=True, slots=True)
class StreamDeclaration:
    """
    A stream of a connection.

    :param namespace: The source's; ``None`` if its name alone tells which stream is meant.
    :param cursor_field: Path of the cursor; empty: the source's default.
    :param primary_key: Paths of the key's fields; empty: the source's own.
    :param selected_fields: Paths of the fields to sync; empty: all.
    :param mappers: In Airbyte's format: docs/airbyte-api.md §4.4.
    """

    name: str
    namespace: str | None = None
    sync_mode: str | None = None
    cursor_field: FieldPath | None = None
    primary_key: tuple[FieldPath, ...] | None = None
    selected_fields: tuple[FieldPath, ...] | None = None
    mappers: tuple[Mapping[str, Any], ...] | None = field(default=None, repr=False)


AllStreams = Literal["all"]


@dataclass(frozen=True, slots=True)
class ConnectionDeclaration:
    """
    A connection.

    :param source_id: UUID of its source. Whoever knows the name only looks it up first.
    :param destination_id: UUID of its destination.
    :param streams: ``all``: every stream that the source offers.
    :param schedule: ``manual`` or a Quartz cron expression in UTC. Not declared: a new connection
        is manual.
    :param namespace_definition: ``source``, ``destination`` or ``custom_format``.
    :param tags: Names. Tags that do not exist are created.
    :param status: ``active`` or ``inactive``. Not declared: what Airbyte disabled stays disabled.
    :param schema_changes: ``ignore``, ``disable_connection``, ``propagate_columns`` or
        ``propagate_fully``.
    :param allow_state_loss: Whether a sync mode may change although that deletes the state of the
        stream.
    :param exact: Whether streams, fields and tags that are not declared are drift.
    """

    name: str
    source_id: str
    destination_id: str
    streams: tuple[StreamDeclaration, ...] | AllStreams
    connection_id: str = ""
    schedule: str | None = None
    namespace_definition: str | None = None
    namespace_format: str | None = None
    prefix: str | None = None
    tags: tuple[str, ...] | None = None
    status: str | None = None
    schema_changes: str | None = None
    allow_state_loss: bool = False
    exact: bool = False


@dataclass(frozen=True, slots=True)
class PipelineConnection:
    """
    A connection of a pipeline, whose source and destination may be declared beside it.

    :param source: Name of its source, or its UUID.
    :param destination: Name of its destination, or its UUID.
    :param declaration: All the rest; its ids of source and destination are empty.
    """

    source: str
    destination: str
    declaration: ConnectionDeclaration


@dataclass(frozen=True, slots=True)
class PipelineDeclaration:
    """Everything in one workspace that belongs together."""

    workspace: WorkspaceDeclaration
    sources: tuple[ActorDeclaration, ...] = ()
    destinations: tuple[ActorDeclaration, ...] = ()
    tags: tuple[TagDeclaration, ...] = ()
    connections: tuple[PipelineConnection, ...] = ()
