"""
From a document to declarations: docs/pipeline-file.md.

The same functions read the arguments of the operators, whose parameters have the names of the keys.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar, cast, get_args

from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.api.models import ActorKind
from airflow_provider_airbyte_sme.provisioning.connections import validate_connection
from airflow_provider_airbyte_sme.provisioning.declarations import (
    MAX_TAG_LENGTH,
    ActorDeclaration,
    AllStreams,
    ConnectionDeclaration,
    PipelineConnection,
    PipelineDeclaration,
    StreamDeclaration,
    TagDeclaration,
    UpdateSecrets,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError
from airflow_provider_airbyte_sme.provisioning.reading import (
    Fields,
    Problems,
    each,
    from_text,
    not_text,
    shown,
    type_of,
)
from airflow_provider_airbyte_sme.provisioning.stream_rules import declared_problems

T = TypeVar("T")

Streams = tuple[StreamDeclaration, ...] | AllStreams
ALL_STREAMS: AllStreams = "all"

_PIPELINE_KEYS = ("workspace", "sources", "destinations", "tags", "connections")
_WORKSPACE_KEYS = ("name", "workspace_id", "region_id", "notifications")
_TAG_KEYS = ("name", "color", "tag_id")
_STREAM_KEYS = (
    *("name", "namespace", "sync_mode", "cursor_field", "primary_key", "selected_fields"),
    "mappers",
)
_CONNECTION_KEYS = (
    *("name", "connection_id", "source", "source_id", "destination", "destination_id"),
    *("streams", "schedule", "namespace_definition", "namespace_format", "prefix", "tags"),
    *("status", "schema_changes", "allow_state_loss", "exact"),
)


def parse_pipeline(document: Any, *, what: str = "pipeline") -> PipelineDeclaration:
    """
    Parse everything in one workspace that belongs together.

    A connection may name a source or destination that is not in the document: it is then looked up
    in the workspace.

    :param document: A mapping with ``workspace``, and lists of ``sources``, ``destinations``,
        ``tags`` and ``connections``.
    :param what: Name of the document, for messages.
    :raises AirbyteDeclarationError: It is invalid; the error has every problem.
    """
    return _parse(what, lambda problems: _pipeline(problems, document))


def parse_workspace(value: Any) -> WorkspaceDeclaration:
    """
    Parse a workspace.

    :param value: Its name, or a mapping.
    :raises AirbyteDeclarationError: It is invalid; the error has every problem.
    """
    return _parse(_label("workspace", value), lambda problems: _workspace(problems, value, ""))


def parse_actor(kind: ActorKind, value: Any) -> ActorDeclaration:
    """
    Parse a source or destination.

    :param value: A mapping.
    :raises AirbyteDeclarationError: It is invalid; the error has every problem, and no value of the
        configuration.
    """
    return _parse(_label(kind, value), lambda problems: _actor(kind, problems, value, ""))


def parse_tag(value: Any) -> TagDeclaration:
    """
    Parse a tag.

    :param value: A mapping.
    :raises AirbyteDeclarationError: It is invalid; the error has every problem.
    """
    return _parse(_label("tag", value), lambda problems: _tag(problems, value, ""))


def parse_connection(value: Any) -> PipelineConnection:
    """
    Parse a connection.

    :param value: A mapping.
    :raises AirbyteDeclarationError: It is invalid; the error has every problem.
    """
    return _parse(_label("connection", value), lambda problems: _connection(problems, value, ""))


def parse_streams(value: Any) -> Streams:
    """
    Parse the streams of a connection.

    :param value: ``all``, or a list of names and mappings.
    :raises AirbyteDeclarationError: It is invalid; the error has every problem.
    """

    def read(problems: Problems) -> Streams:
        streams = _streams(problems, value, "streams")
        if streams != ALL_STREAMS:
            problems += declared_problems([each for each in streams if each.name])
        return streams

    return _parse("connection", read)


def _parse(what: str, read: Callable[[Problems], T]) -> T:
    problems = Problems()
    parsed = read(problems)
    problems.raise_if_any(what)
    return parsed


def _label(kind: str, value: Any) -> str:
    name = value.get("name") if isinstance(value, Mapping) else value
    return f"{kind} {shown(name)}" if isinstance(name, str) else kind


def _pipeline(problems: Problems, document: Any) -> PipelineDeclaration:
    fields = Fields(document, "", problems, _PIPELINE_KEYS)
    workspace = fields.required("workspace")
    pipeline = PipelineDeclaration(
        workspace=_workspace(problems, workspace, "workspace")
        if workspace is not None
        else WorkspaceDeclaration(""),
        sources=fields.each("sources", partial(_actor, "source", problems)) or (),
        destinations=fields.each("destinations", partial(_actor, "destination", problems)) or (),
        tags=fields.each("tags", partial(_tag, problems)) or (),
        connections=fields.each("connections", partial(_connection, problems)) or (),
    )
    _note_duplicates(pipeline, problems)
    _note_ambiguous_references(pipeline, problems)
    return pipeline


def _workspace(problems: Problems, value: Any, where: str) -> WorkspaceDeclaration:
    if isinstance(value, str) and isinstance(from_text(value, dict), str):
        value = {"name": value}
    fields = Fields(value, where, problems, _WORKSPACE_KEYS)
    return WorkspaceDeclaration(
        name=fields.required_name("name"),
        workspace_id=fields.uuid("workspace_id") or "",
        notifications=_notifications(fields, problems),
        region_id=fields.uuid("region_id"),
    )


def _notifications(fields: Fields, problems: Problems) -> Mapping[str, Any] | None:
    """Return what to notify about, in Airbyte's format: docs/airbyte-api.md §5.1.8."""
    events = fields.mapping("notifications")
    if events is None:
        return None
    where = fields.at("notifications")
    return {
        event: _channels(Fields(channels, f"{where}.{event}", problems, ("email", "webhook")))
        for event, channels in events.items()
        if channels is not None
    }


def _channels(fields: Fields) -> dict[str, Any]:
    channels = {name: fields.section(name, ("enabled", "url")) for name in ("email", "webhook")}
    return {name: _channel(channel) for name, channel in channels.items() if channel is not None}


def _channel(fields: Fields) -> dict[str, Any]:
    enabled = None if fields.get("enabled") is None else fields.flag("enabled")
    declared = {"enabled": enabled, "url": fields.text("url")}
    return {name: value for name, value in declared.items() if value is not None}


def _actor(kind: ActorKind, problems: Problems, value: Any, where: str) -> ActorDeclaration:
    connector_key, id_key = f"{kind}_type", f"{kind}_id"
    fields = Fields(value, where, problems, actor_keys(kind))
    declaration = ActorDeclaration(
        kind=kind,
        name=fields.required_name("name"),
        configuration=fields.mapping("configuration") or {},
        connector=fields.name(connector_key) or "",
        definition_id=fields.uuid("definition_id") or "",
        resource_id=fields.uuid(id_key) or "",
        update_secrets=_update_secrets(fields),
        resource_allocation=fields.mapping("resource_allocation"),
    )
    fields.required("configuration")
    _note_unless_one(fields, connector_key, "definition_id")
    return declaration


def actor_keys(kind: ActorKind) -> tuple[str, ...]:
    """Return every key of a source or destination."""
    return (
        *("name", f"{kind}_id", f"{kind}_type", "definition_id", "update_secrets"),
        *("resource_allocation", "configuration"),
    )


def _update_secrets(fields: Fields) -> UpdateSecrets:
    chosen = fields.choice("update_secrets", get_args(UpdateSecrets))
    return cast("UpdateSecrets", chosen or "when_changed")


def _note_unless_one(fields: Fields, first: str, second: str) -> None:
    """Note a problem unless exactly one of two keys is declared."""
    declared = sum(fields.get(key) is not None for key in (first, second))
    if declared == 0:
        fields.note(first, f"is missing: give it, or {second}")
    elif declared == 2:
        fields.note(first, f"and {second} are both given: remove one")


def _tag(problems: Problems, value: Any, where: str) -> TagDeclaration:
    fields = Fields(value, where, problems, _TAG_KEYS)
    name = fields.required_name("name")
    if len(name) > MAX_TAG_LENGTH:
        fields.note("name", f"has {len(name)} characters; Airbyte allows {MAX_TAG_LENGTH}")
    return TagDeclaration(
        name=name,
        color=_color(fields),
        tag_id=fields.uuid("tag_id") or "",
    )


def _color(fields: Fields) -> str | None:
    color = fields.text("color")
    if color is None:
        return None
    if not re.fullmatch(r"#?[0-9A-Fa-f]{6}", color):
        fields.note("color", f"must be 6 hexadecimal digits, such as '75DCFF', not {shown(color)}")
    return color.removeprefix("#")


def _connection(problems: Problems, value: Any, where: str) -> PipelineConnection:
    fields = Fields(value, where, problems, _CONNECTION_KEYS)
    declaration = ConnectionDeclaration(
        name=fields.required_name("name"),
        source_id="",
        destination_id="",
        streams=_streams(problems, fields.required("streams"), fields.at("streams")),
        connection_id=fields.uuid("connection_id") or "",
        schedule=fields.name("schedule"),
        namespace_definition=fields.text("namespace_definition"),
        namespace_format=fields.text("namespace_format"),
        prefix=fields.text("prefix"),
        tags=fields.each("tags", partial(_name, problems)),
        status=fields.text("status"),
        schema_changes=fields.text("schema_changes"),
        allow_state_loss=fields.flag("allow_state_loss"),
        exact=fields.flag("exact"),
    )
    problems += [f"{fields.at('')}{problem}" for problem in broken_rules(declaration)]
    return PipelineConnection(_end(fields, "source"), _end(fields, "destination"), declaration)


def broken_rules(declaration: ConnectionDeclaration) -> tuple[str, ...]:
    """Return what is wrong with values that were readable; the others are known to be wrong."""
    streams = declaration.streams
    if streams and streams != ALL_STREAMS:
        streams = tuple(stream for stream in streams if stream.name) or ALL_STREAMS
    try:
        validate_connection(replace(declaration, name=declaration.name or "?", streams=streams))
    except AirbyteDeclarationError as error:
        return error.problems
    return ()


def _end(fields: Fields, kind: ActorKind) -> str:
    """Return the name or UUID of the source or destination of a connection."""
    _note_unless_one(fields, kind, f"{kind}_id")
    name = fields.name(kind) or ""
    return fields.uuid(f"{kind}_id") or (name.lower() if is_uuid(name) else name)


def _name(problems: Problems, value: Any, where: str) -> str | None:
    if isinstance(value, str):
        return value
    problems.note(where, not_text(value))
    return None


def _streams(problems: Problems, value: Any, where: str) -> Streams:
    """Return the streams; all if they are unreadable, of which nothing more can be said."""
    if value is None or value == ALL_STREAMS:
        return ALL_STREAMS
    if isinstance(from_text(value, list), str):
        problems.note(where, f"must be {ALL_STREAMS!r} or a list, not {shown(value)}")
        return ALL_STREAMS
    streams = each(value, where, problems, partial(_stream, problems))
    return ALL_STREAMS if streams is None else streams


def _stream(problems: Problems, value: Any, where: str) -> StreamDeclaration:
    if isinstance(value, str) and isinstance(from_text(value, dict), str):
        value = {"name": value}
    fields = Fields(value, where, problems, _STREAM_KEYS)
    return StreamDeclaration(
        name=fields.required_name("name"),
        namespace=fields.text("namespace"),
        sync_mode=fields.name("sync_mode"),
        cursor_field=fields.path("cursor_field"),
        primary_key=fields.paths("primary_key"),
        selected_fields=fields.paths("selected_fields"),
        mappers=fields.each("mappers", partial(_mapper, problems)),
    )


def _mapper(problems: Problems, value: Any, where: str) -> Mapping[str, Any] | None:
    value = from_text(value, dict)
    if isinstance(value, Mapping):
        return value
    problems.note(where, f"must be a mapping, not {type_of(value)}")
    return None


Declared = Literal["sources", "destinations", "tags", "connections"]


def _note_duplicates(pipeline: PipelineDeclaration, problems: Problems) -> None:
    """Note names that are declared twice, unless each has an id of its own."""
    actors: dict[Declared, tuple[ActorDeclaration, ...]] = {
        "sources": pipeline.sources,
        "destinations": pipeline.destinations,
    }
    for where, declared in actors.items():
        pins = [(each.name, each.resource_id) for each in declared]
        _note_unless_pinned(where, f"{where.removesuffix('s')}_id", pins, problems)
    tags = [(tag.name, tag.tag_id) for tag in pipeline.tags]
    _note_unless_pinned("tags", "", tags, problems)
    connections = [
        (each.declaration.name, each.declaration.connection_id) for each in pipeline.connections
    ]
    _note_unless_pinned("connections", "connection_id", connections, problems)


def _note_unless_pinned(
    where: Declared, id_key: str, pins: Iterable[tuple[str, str]], problems: Problems
) -> None:
    """
    Note names and ids that are declared twice.

    :param id_key: The key that tells apart those with the same name; empty if none can.
    :param pins: Name and id of each.
    """
    by_name: dict[str, list[str]] = {}
    for name, resource_id in pins:
        by_name.setdefault(name, []).append(resource_id)
    for name, ids in by_name.items():
        if name and len(ids) > 1 and not (id_key and all(ids)):
            advice = f": tell them apart by {id_key}" if id_key else ""
            problems.note(where, f"have {shown(name)} {len(ids)} times{advice}")
    counts = Counter(resource_id for ids in by_name.values() for resource_id in ids)
    for resource_id, count in counts.items():
        if resource_id and count > 1:
            problems.note(where, f"have the id {resource_id} {count} times")


def _note_ambiguous_references(pipeline: PipelineDeclaration, problems: Problems) -> None:
    """Note connections that name a source or destination of which the document has several."""
    sources = Counter(each.name for each in pipeline.sources)
    destinations = Counter(each.name for each in pipeline.destinations)
    for connection in pipeline.connections:
        where = f"connections[{shown(connection.declaration.name)}]"
        for kind, name, counts in (
            ("source", connection.source, sources),
            ("destination", connection.destination, destinations),
        ):
            if counts[name] > 1 and not is_uuid(name):
                problems.note(f"{where}.{kind}", f"could be {counts[name]} {kind}s: use {kind}_id")
