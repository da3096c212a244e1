"""
The streams of sources, their sync modes, and the streams that a connection selects.

``docs/airbyte-api.md`` §4.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import bad_request
from airflow_provider_airbyte_sme.emulator.world import Actor

# Destinations that write files or messages can neither deduplicate nor refresh.
_APPEND_ONLY = frozenset(
    {"azure-blob-storage", "csv", "e2e-test", "gcs", "kafka", "local-json", "pubsub", "s3"}
)


@dataclass(frozen=True)
class Stream:
    """
    One stream of a source.

    :param fields: The path of each field.
    :param primary_key: The paths of the fields of the key, if the source defines one.
    :param cursor_field: The path of the default cursor, if there is one.
    :param source_defined_cursor: Whether the default cursor is the only one allowed.
    """

    name: str
    fields: Sequence[Sequence[str]] = (("id",), ("updated_at",))
    namespace: str | None = None
    primary_key: Sequence[Sequence[str]] = ()
    cursor_field: Sequence[str] = ()
    source_defined_cursor: bool = False
    incremental: bool = True

    @classmethod
    def from_seed(cls, seed: str | Mapping[str, Any]) -> Self:
        """
        Create a stream from its attributes, or from its name alone.

        :raises TypeError: An attribute is unknown.
        """
        return cls(seed) if isinstance(seed, str) else cls(**seed)

    def to_seed(self) -> dict[str, Any]:
        """Return the attributes, as :meth:`from_seed` reads them."""
        return asdict(self)


def _stream(name: str, fields: str, **attributes: Any) -> Stream:
    """Create a stream from field paths that are written with dots and separated by spaces."""
    return Stream(name, tuple(tuple(path.split(".")) for path in fields.split()), **attributes)


_FAKER: dict[str, Any] = {
    "primary_key": (("id",),),
    "cursor_field": ("updated_at",),
    "source_defined_cursor": True,
}
_TABLE: dict[str, Any] = {"namespace": "public", "primary_key": (("id",),)}

_STREAMS: Mapping[str, tuple[Stream, ...]] = {
    "faker": (
        _stream(
            "users",
            "id created_at updated_at name title age email telephone gender language "
            "academic_degree nationality occupation height blood_type weight address "
            "address.street_number address.street_name address.city address.state "
            "address.province address.postal_code address.country_code",
            **_FAKER,
        ),
        _stream("products", "id make model year price created_at updated_at", **_FAKER),
        _stream(
            "purchases",
            "id product_id user_id added_to_cart_at purchased_at returned_at created_at updated_at",
            **_FAKER,
        ),
    ),
    "postgres": (
        _stream("customers", "id name email updated_at", **_TABLE),
        _stream("orders", "id customer_id amount updated_at", **_TABLE),
    ),
}
_DEFAULT_STREAMS = (_stream("records", "id name updated_at", cursor_field=("updated_at",)),)

_INCREMENTAL_MODES = ("incremental_append", "incremental_deduped_history")
_DEDUPLICATING_MODES = ("incremental_deduped_history", "full_refresh_overwrite_deduped")
_COMBINED_MODES: Mapping[tuple[bool, str], str] = {
    (False, "overwrite"): "full_refresh_overwrite",
    (False, "append"): "full_refresh_append",
    (False, "overwrite_dedup"): "full_refresh_overwrite_deduped",
    (True, "append"): "incremental_append",
    (True, "append_dedup"): "incremental_deduped_history",
}


def streams_of(source: Actor) -> list[Stream]:
    """Return the streams of *source*."""
    if source.streams is not None:
        return [Stream.from_seed(seed) for seed in source.streams]
    return list(_STREAMS.get(connector_name("source", source.definition_id), _DEFAULT_STREAMS))


def sync_modes(stream: Stream, destination: Actor) -> list[str]:
    """Return the sync modes that *stream* and *destination* both support."""
    supported = ["overwrite", "append"]
    if can_deduplicate(destination):
        # [inf] both or neither. The server never lists overwrite_dedup, but accepts it: §4.4.
        supported += ["append_dedup", "overwrite_dedup"]
    allowed = (False, True) if stream.incremental else (False,)
    return [
        mode
        for (incremental, destination_mode), mode in _COMBINED_MODES.items()
        if incremental in allowed and destination_mode in supported
    ]


def can_deduplicate(destination: Actor) -> bool:
    """Whether *destination* keeps one row for each key, and so can be refreshed."""
    return connector_name("destination", destination.definition_id) not in _APPEND_ONLY


def default_selection(source: Actor) -> list[dict[str, Any]]:
    """
    Return the streams of a connection created without a selection: all, with full refresh.

    The server selects only a source's single stream, or those that its connector suggests: §4.3.
    """
    return [
        stream_configuration(stream, {"syncMode": "full_refresh_overwrite"})
        for stream in streams_of(source)
    ]


def stream_configuration(stream: Stream, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``StreamConfiguration`` of *stream*, as it is stored and as responses show it."""
    fields: dict[str, Any] = {
        "name": stream.name,
        "namespace": stream.namespace,
        "syncMode": requested.get("syncMode") or "full_refresh_overwrite",
        "cursorField": (
            list(stream.cursor_field)
            if stream.source_defined_cursor
            else requested.get("cursorField") or list(stream.cursor_field)
        ),
        "primaryKey": [list(path) for path in stream.primary_key]
        or requested.get("primaryKey")
        or [],
        "selectedFields": requested.get("selectedFields"),
        "mappers": requested.get("mappers") or [],
        "includeFiles": requested.get("includeFiles"),
        "destinationObjectName": requested.get("destinationObjectName"),
    }
    return drop_nulls(fields)


def validated_selection(
    source: Actor, destination: Actor, requested: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """
    Validate a selection of streams against the source and the destination.

    :param requested: ``configurations.streams`` of a request.
    :return: The selection, as it is stored.
    :raises ProblemError: 400: a stream, its sync mode, fields, cursor or key is invalid. The texts
        for unknown and duplicate streams and for keys differ from those of §4.4.
    """
    known = {(stream.namespace, stream.name): stream for stream in streams_of(source)}
    by_name = {stream.name: stream for stream in known.values()}
    selection: dict[tuple[str | None, str], dict[str, Any]] = {}
    for fields in requested:
        stream = (
            known.get((fields["namespace"], fields["name"]))
            if fields.get("namespace") is not None
            else by_name.get(fields["name"])
        )
        if stream is None:
            raise bad_request(
                f"Invalid stream found. The list of valid streams include: {_bracketed(by_name)}."
            )
        key = (stream.namespace, stream.name)
        if key in selection:
            raise bad_request(f"Duplicate stream found in configuration for: {stream.name}.")
        _check_fields(stream, fields)
        if fields.get("syncMode") is not None:
            _check_mode(stream, destination, fields)
        selection[key] = stream_configuration(stream, fields)
    return list(selection.values())


def _check_fields(stream: Stream, requested: Mapping[str, Any]) -> None:
    if (chosen := requested.get("selectedFields")) is None:
        return
    top_level = [path[0] for path in stream.fields if len(path) == 1]
    if not chosen:
        raise bad_request(
            f"No fields selected for stream {stream.name}. The list of valid field names includes: "
            f"{_bracketed(top_level)}."
        )
    names = []
    for info in chosen:
        path = info.get("fieldPath")
        if not path:
            raise bad_request(f"Selected field path cannot be empty for stream:  {stream.name}.")
        if len(path) > 1:
            raise bad_request(f"Nested field selection not supported for stream {stream.name}.")
        names.append(path[0])
    if len(set(names)) != len(names):
        raise bad_request(f"Duplicate fields selected in configuration for stream: {stream.name}.")
    if not set(names) <= set(top_level):
        raise bad_request(
            f"Invalid fields selected for stream {stream.name}. The list of valid field names "
            f"includes: {_bracketed(top_level)}."
        )
    stored = stream_configuration(stream, requested)
    keys = {path[0] for path in stored["primaryKey"]}
    if requested.get("syncMode") in _DEDUPLICATING_MODES and not keys <= set(names):
        raise bad_request(
            f"Primary key fields are not selected properly for stream: {stream.name}. "
            "Please include primary key(s) in the configuration for this stream."
        )
    cursor = stored["cursorField"]
    if requested.get("syncMode") in _INCREMENTAL_MODES and cursor and cursor[0] not in names:
        raise bad_request(
            f"Cursor field is not selected properly for stream: {stream.name}. "
            "Please include the cursor field in selected fields for this stream."
        )


def _check_mode(stream: Stream, destination: Actor, requested: Mapping[str, Any]) -> None:
    mode = requested["syncMode"]
    valid = sync_modes(stream, destination)
    if mode not in valid:
        raise bad_request(
            f"Cannot set sync mode to {mode} for stream {stream.name}. "
            f"Valid sync modes are: {_bracketed(valid)}"
        )
    if mode in _INCREMENTAL_MODES:
        _check_cursor(stream, requested.get("cursorField"))
    if mode == "incremental_deduped_history":
        _check_primary_key(stream, requested.get("primaryKey"))


def _check_cursor(stream: Stream, cursor: Sequence[str] | None) -> None:
    if stream.source_defined_cursor:
        if cursor and set(cursor) != set(stream.cursor_field):
            raise bad_request(
                f"Cursor Field {_bracketed(cursor)} is already defined by source for stream: "
                f"{stream.name}. Do not include a cursor field configuration for this stream."
            )
    elif cursor:
        if list(cursor) not in [list(path) for path in stream.fields]:
            raise bad_request(
                f"Invalid cursor field for stream: {stream.name}. The list of valid cursor fields "
                f"include: {_bracketed(map(_bracketed, stream.fields))}."
            )
    elif not stream.cursor_field:
        raise bad_request(
            f"No default cursor field for stream: {stream.name}. Please include a cursor field "
            "configuration for this stream."
        )


def _check_primary_key(stream: Stream, primary_key: Sequence[Sequence[str]] | None) -> None:
    defined = [list(path) for path in stream.primary_key]
    if defined and primary_key and list(map(list, primary_key)) != defined:
        raise bad_request(
            f"Primary key for stream: {stream.name} is already pre-defined. Please remove the "
            f"primaryKey or provide the value as {_bracketed(map(_bracketed, defined))}."
        )
    if not defined and not primary_key:
        raise bad_request(
            f"No default primary key for stream: {stream.name}. Please include a primary key "
            "configuration for this stream."
        )
    for path in primary_key or ():
        if list(path) not in [list(field) for field in stream.fields]:
            # The server says "Invalid primary key": §4.4.
            raise bad_request(
                f"Invalid cursor field for stream: {stream.name}. The list of valid primary keys "
                f"fields: {_bracketed(map(_bracketed, stream.fields))}."
            )


def _bracketed(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"
