"""
Connections and their streams.

Fields: docs/airbyte-api.md §4.3 (connection), §4.4 (stream), §4.5 (schedule), §5.2 (tag).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from airflow_provider_airbyte_sme.api.models.fields import (
    entries,
    inner,
    label,
    mapping,
    readable,
    required,
    strings,
)

FieldPath = tuple[str, ...]


class Tag(NamedTuple):
    """
    One tag of a workspace.

    :param color: Hexadecimal RGB, such as ``75DCFF``.
    """

    tag_id: str
    name: str
    color: str
    workspace_id: str

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``TagResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a tag")
        return cls(
            tag_id=required(fields, "tagId", str),
            name=required(fields, "name", str),
            color=readable(fields, "color", str) or "",
            workspace_id=required(fields, "workspaceId", str),
        )

    @property
    def id(self) -> str:
        """UUID of the tag."""
        return self.tag_id

    def to_json(self) -> dict[str, str]:
        """Return the fields in Airbyte's format, as a connection's ``tags`` wants them."""
        return {
            "tagId": self.tag_id,
            "name": self.name,
            "color": self.color,
            "workspaceId": self.workspace_id,
        }


class Schedule(NamedTuple):
    """
    When Airbyte itself syncs a connection.

    :param schedule_type: ``manual``, ``cron`` or ``basic``. A ``basic`` one comes from the UI and
        cannot be written.
    :param cron_expression: Quartz, with ``cron``; empty otherwise.
    :param basic_timing: Such as ``Every 24 HOURS``, with ``basic``; empty otherwise.
    """

    schedule_type: str
    cron_expression: str = ""
    basic_timing: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """Parse a ``ConnectionScheduleResponse``; without a type it is ``manual``."""
        fields = payload if isinstance(payload, Mapping) else {}
        return cls(
            schedule_type=readable(fields, "scheduleType", str) or "manual",
            cron_expression=readable(fields, "cronExpression", str) or "",
            basic_timing=readable(fields, "basicTiming", str) or "",
        )

    @property
    def is_manual(self) -> bool:
        """Whether Airbyte itself never syncs the connection."""
        return self.schedule_type == "manual"

    def __str__(self) -> str:
        return self.cron_expression or self.basic_timing or self.schedule_type


MANUAL = Schedule("manual")


@dataclass(frozen=True, slots=True)
class ConnectionStream:
    """
    One selected stream of a connection.

    :param namespace: The source's own; ``None`` if it has none.
    :param sync_mode: Such as ``incremental_append``; empty if missing.
    :param cursor_field: Path of the field that tells what is new; empty if none is set.
    :param primary_key: Paths of its fields; empty if none is set.
    :param selected_fields: Empty: all fields.
    :param mappers: In Airbyte's format, with their ids; a secret in one is masked.
    :param include_files: Whether files are copied too, not only records about them.
    :param destination_object_name: Name of the object in the destination into which its records go;
        empty if none is set.
    :param other: Fields that this version does not know. They are sent back unchanged, because a
        PATCH resets every field that it leaves out.
    """

    name: str
    namespace: str | None = None
    sync_mode: str = ""
    cursor_field: FieldPath = ()
    primary_key: tuple[FieldPath, ...] = ()
    selected_fields: tuple[FieldPath, ...] = ()
    mappers: tuple[Mapping[str, Any], ...] = ()
    include_files: bool = False
    destination_object_name: str = ""
    other: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``StreamConfiguration``.

        :raises AirbyteDecodeError: It has no name.
        """
        fields = mapping(payload, "a stream")
        return cls(
            name=required(fields, "name", str),
            namespace=readable(fields, "namespace", str),
            sync_mode=readable(fields, "syncMode", str) or "",
            cursor_field=strings(fields.get("cursorField")),
            primary_key=paths(fields.get("primaryKey")),
            selected_fields=paths(
                [inner(each, "fieldPath") for each in entries(fields.get("selectedFields"))]
            ),
            mappers=tuple(
                each for each in entries(fields.get("mappers")) if isinstance(each, Mapping)
            ),
            include_files=fields.get("includeFiles") is True,
            destination_object_name=readable(fields, "destinationObjectName", str) or "",
            other={name: value for name, value in fields.items() if name not in _STREAM_FIELDS},
        )

    def to_json(self) -> dict[str, Any]:
        """
        Return the fields in Airbyte's format, without the empty ones.

        To leave one out means its default; an empty ``selectedFields`` is an error.
        """
        fields: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
            "syncMode": self.sync_mode,
            "cursorField": list(self.cursor_field),
            "primaryKey": [list(path) for path in self.primary_key],
            "selectedFields": [{"fieldPath": list(path)} for path in self.selected_fields],
            "mappers": [dict(mapper) for mapper in self.mappers],
            "includeFiles": self.include_files,
            "destinationObjectName": self.destination_object_name,
        }
        return {**self.other, **{name: value for name, value in fields.items() if value}}

    @property
    def is_incremental(self) -> bool:
        """Whether each sync reads only what is new, so that Airbyte keeps a state."""
        return is_incremental(self.sync_mode)

    def __str__(self) -> str:
        return stream_label(self.name, self.namespace)


_STREAM_FIELDS = frozenset(
    {
        "name",
        "namespace",
        "syncMode",
        "cursorField",
        "primaryKey",
        "selectedFields",
        "mappers",
        "includeFiles",
        "destinationObjectName",
    }
)


@dataclass(frozen=True, slots=True)
class AirbyteConnection:
    """
    One connection, from a source to a destination.

    :param name: Empty if missing or unreadable.
    :param status: ``active``, ``inactive``, ``deprecated`` (deleted) or ``locked``; more may come.
    :param streams: The selected ones.
    :param schedule: When Airbyte itself syncs it.
    :param schema_changes: ``nonBreakingSchemaUpdatesBehavior``: ``ignore``, ``disable_connection``,
        ``propagate_columns`` or ``propagate_fully``; empty if missing.
    :param namespace_definition: ``source``, ``destination`` or ``custom_format``.
    :param namespace_format: It counts only with ``custom_format``.
    :param prefix: Of the names of its streams in the destination; may be empty.
    :param tags: Its tags, in Airbyte's order.
    :param created_at: In seconds since the epoch; 0 if missing.
    """

    connection_id: str
    name: str
    status: str
    workspace_id: str
    source_id: str
    destination_id: str
    streams: tuple[ConnectionStream, ...] = ()
    schedule: Schedule = MANUAL
    schema_changes: str = ""
    namespace_definition: str = "destination"
    namespace_format: str = ""
    prefix: str = ""
    tags: tuple[Tag, ...] = ()
    created_at: int = 0

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``ConnectionResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = mapping(payload, "a connection")
        streams = entries(inner(fields.get("configurations"), "streams"))
        return cls(
            connection_id=required(fields, "connectionId", str),
            name=readable(fields, "name", str) or "",
            status=required(fields, "status", str),
            workspace_id=required(fields, "workspaceId", str),
            source_id=required(fields, "sourceId", str),
            destination_id=required(fields, "destinationId", str),
            streams=tuple(ConnectionStream.from_json(each) for each in streams),
            schedule=Schedule.from_json(fields.get("schedule")),
            schema_changes=readable(fields, "nonBreakingSchemaUpdatesBehavior", str) or "",
            namespace_definition=readable(fields, "namespaceDefinition", str) or "destination",
            namespace_format=readable(fields, "namespaceFormat", str) or "",
            prefix=readable(fields, "prefix", str) or "",
            tags=tuple(Tag.from_json(each) for each in entries(fields.get("tags"))),
            created_at=readable(fields, "createdAt", int) or 0,
        )

    @property
    def id(self) -> str:
        """UUID of the connection."""
        return self.connection_id

    @property
    def is_active(self) -> bool:
        """Whether Airbyte runs syncs of it."""
        return self.status == "active"

    @property
    def is_deleted(self) -> bool:
        """Whether it was deleted: it stays readable."""
        return self.status == "deprecated"

    def __str__(self) -> str:
        return label(self.connection_id, self.name)


class StreamProperties(NamedTuple):
    """
    One stream that a source offers, and how a destination can receive it.

    :param namespace: The source's own; ``None`` if it has none.
    :param sync_modes: Those that both support. Airbyte never lists
        ``full_refresh_overwrite_deduped``, but accepts it: docs/airbyte-api.md §4.4.
    :param default_cursor_field: Empty if the source names none.
    :param source_defined_cursor: Whether no other cursor is allowed.
    :param source_defined_primary_key: Empty if the source defines none.
    :param fields: The paths of all fields.
    :param types: The type of each of these in its JSON schema, such as ``string``; empty where
        unknown. Only a catalog has them.
    """

    name: str
    namespace: str | None = None
    sync_modes: tuple[str, ...] = ()
    default_cursor_field: FieldPath = ()
    source_defined_cursor: bool = False
    source_defined_primary_key: tuple[FieldPath, ...] = ()
    fields: tuple[FieldPath, ...] = ()
    types: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``StreamProperties``.

        :raises AirbyteDecodeError: It has no name.
        """
        fields = mapping(payload, "a stream")
        return cls(
            name=required(fields, "streamName", str),
            namespace=readable(fields, "streamnamespace", str),
            sync_modes=strings(fields.get("syncModes")),
            default_cursor_field=strings(fields.get("defaultCursorField")),
            source_defined_cursor=fields.get("sourceDefinedCursorField") is True,
            source_defined_primary_key=paths(fields.get("sourceDefinedPrimaryKey")),
            fields=paths(fields.get("propertyFields")),
        )

    def __str__(self) -> str:
        return stream_label(self.name, self.namespace)


def streams_of_catalog(payload: Any) -> list[StreamProperties]:
    """
    Return the streams of a ``WebBackendConnectionRead``, selected or not, without sync modes.

    :raises AirbyteDecodeError: It is not a JSON object, or a stream has no name.
    """
    catalog = inner(mapping(payload, "a connection").get("syncCatalog"), "streams")
    return [_catalog_stream(inner(each, "stream")) for each in entries(catalog)]


def _catalog_stream(payload: Any) -> StreamProperties:
    fields = mapping(payload, "a stream of a catalog")
    typed = tuple(_typed_paths(fields.get("jsonSchema")))
    return StreamProperties(
        name=required(fields, "name", str),
        namespace=readable(fields, "namespace", str),
        default_cursor_field=strings(fields.get("defaultCursorField")),
        source_defined_cursor=fields.get("sourceDefinedCursor") is True,
        source_defined_primary_key=paths(fields.get("sourceDefinedPrimaryKey")),
        fields=tuple(path for path, _ in typed),
        types=tuple(type_ for _, type_ in typed),
    )


def _typed_paths(schema: Any, parent: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """Yield path and type of each field of a JSON schema that has no fields of its own."""
    for name, field_schema in (inner(schema, "properties") or {}).items():
        path = (*parent, name)
        if inner(field_schema, "properties"):
            yield from _typed_paths(field_schema, path)
        else:
            yield path, _schema_type(inner(field_schema, "type"))


def _schema_type(value: Any) -> str:
    """Return the first type that is not ``null``; empty if there is none."""
    types = [value] if isinstance(value, str) else entries(value)
    return next((each for each in types if isinstance(each, str) and each != "null"), "")


def is_incremental(sync_mode: str) -> bool:
    """Whether a sync mode reads only what is new from the source."""
    return sync_mode.startswith("incremental")


def stream_label(name: str, namespace: str | None = None) -> str:
    """Return how messages name a stream."""
    return f"{namespace}.{name}" if namespace else name


def paths(value: Sequence[Any] | None) -> tuple[FieldPath, ...]:
    """Return field paths, each a tuple of names; what is unreadable is left out."""
    return tuple(path for each in entries(value) if (path := strings(each)))
