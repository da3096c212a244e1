"""What sources deliver, how it can be synced, and what a connection may select of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.problems import bad_request
from airflow_provider_airbyte_sme.emulator.world import Actor

# Destinations that write files or messages cannot deduplicate, nor refresh.
_APPEND_ONLY = frozenset(
    {"azure-blob-storage", "csv", "e2e-test", "gcs", "kafka", "local-json", "pubsub", "s3"}
)


@dataclass(frozen=True)
class Stream:
    """
    One stream that a source can deliver.

    :param fields: Each field as its path.
    :param cursor_field: The default cursor, if there is one.
    :param source_defined_cursor: Whether the source insists on it.
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
        Read a stream from its fields, or from a bare name.

        :raises TypeError: There is no such field.
        """
        return cls(seed) if isinstance(seed, str) else cls(**seed)

    def to_seed(self) -> dict[str, Any]:
        """Return what :meth:`from_seed` reads."""
        return asdict(self)


def _stream(name: str, fields: str, **more: Any) -> Stream:
    """Return a stream whose field paths are written with dots."""
    return Stream(name, tuple(tuple(path.split(".")) for path in fields.split()), **more)


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
_ANY_STREAMS = (_stream("records", "id name updated_at", cursor_field=("updated_at",)),)

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
    """Return what *source* can deliver."""
    if source.streams is not None:
        return [Stream.from_seed(seed) for seed in source.streams]
    return list(_STREAMS.get(connector_name("source", source.definition_id), _ANY_STREAMS))


def sync_modes(stream: Stream, destination: Actor) -> list[str]:
    """Return how *stream* can be synced to *destination*: ``validCombinedSyncModes``."""
    supported = ["overwrite", "append"]
    if can_deduplicate(destination):
        # [inf] who can do one can do the other: DestinationDefinitionSpecificationHandler.kt
        supported += ["append_dedup", "overwrite_dedup"]
    wanted = (False, True) if stream.incremental else (False,)
    return [
        mode
        for (incremental, destination_mode), mode in _COMBINED_MODES.items()
        if incremental in wanted and destination_mode in supported
    ]


def can_deduplicate(destination: Actor) -> bool:
    """Whether *destination* keeps one row for each key, and so can be refreshed."""
    return connector_name("destination", destination.definition_id) not in _APPEND_ONLY


def default_selection(source: Actor) -> list[dict[str, Any]]:
    """Return the streams of a connection that selects nothing: all, in full."""
    return [
        selected(stream, {"syncMode": "full_refresh_overwrite"}) for stream in streams_of(source)
    ]


def selected(stream: Stream, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Write the ``StreamConfiguration`` of *stream* as it is stored, and answered."""
    fields: dict[str, Any] = {
        "name": stream.name,
        "namespace": stream.namespace,
        "syncMode": wanted.get("syncMode") or "full_refresh_overwrite",
        "cursorField": (
            list(stream.cursor_field)
            if stream.source_defined_cursor
            else wanted.get("cursorField") or list(stream.cursor_field)
        ),
        "primaryKey": [list(path) for path in stream.primary_key] or wanted.get("primaryKey") or [],
        "selectedFields": wanted.get("selectedFields"),
        "mappers": wanted.get("mappers") or [],
        "includeFiles": wanted.get("includeFiles"),
        "destinationObjectName": wanted.get("destinationObjectName"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def validated_selection(
    source: Actor, destination: Actor, wanted: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """
    Check a selection of streams against what source and destination can do.

    :param wanted: ``configurations.streams`` of a request.
    :return: The selection as it is stored.
    :raises ProblemError: 400, in the words of ``AirbyteCatalogHelper.kt``.
    """
    known = {(stream.namespace, stream.name): stream for stream in streams_of(source)}
    by_name = {stream.name: stream for stream in known.values()}
    selection: dict[tuple[str | None, str], dict[str, Any]] = {}
    for fields in wanted:
        stream = (
            known.get((fields["namespace"], fields["name"]))
            if fields.get("namespace") is not None
            else by_name.get(fields["name"])
        )
        if stream is None:
            raise bad_request(
                f"Invalid stream found. The list of valid streams include: {_listed(by_name)}."
            )
        key = (stream.namespace, stream.name)
        if key in selection:
            raise bad_request(f"Duplicate stream found in configuration for: {stream.name}.")
        _check_fields(stream, fields)
        if fields.get("syncMode") is not None:
            _check_mode(stream, destination, fields)
        selection[key] = selected(stream, fields)
    return list(selection.values())


def _check_fields(stream: Stream, wanted: Mapping[str, Any]) -> None:
    if (chosen := wanted.get("selectedFields")) is None:
        return
    top_level = [path[0] for path in stream.fields if len(path) == 1]
    if not chosen:
        raise bad_request(
            f"No fields selected for stream {stream.name}. The list of valid field names includes: "
            f"{_listed(top_level)}."
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
            f"includes: {_listed(top_level)}."
        )
    stored = selected(stream, wanted)
    keys = {path[0] for path in stored["primaryKey"]}
    if wanted.get("syncMode") in _DEDUPLICATING_MODES and not keys <= set(names):
        raise bad_request(
            f"Primary key fields are not selected properly for stream: {stream.name}. "
            "Please include primary key(s) in the configuration for this stream."
        )
    cursor = stored["cursorField"]
    if wanted.get("syncMode") in _INCREMENTAL_MODES and cursor and cursor[0] not in names:
        raise bad_request(
            f"Cursor field is not selected properly for stream: {stream.name}. "
            "Please include the cursor field in selected fields for this stream."
        )


def _check_mode(stream: Stream, destination: Actor, wanted: Mapping[str, Any]) -> None:
    mode = wanted["syncMode"]
    valid = sync_modes(stream, destination)
    if mode not in valid:
        raise bad_request(
            f"Cannot set sync mode to {mode} for stream {stream.name}. "
            f"Valid sync modes are: {_listed(valid)}"
        )
    if mode in _INCREMENTAL_MODES:
        _check_cursor(stream, wanted.get("cursorField"))
    if mode == "incremental_deduped_history":
        _check_primary_key(stream, wanted.get("primaryKey"))


def _check_cursor(stream: Stream, cursor: Sequence[str] | None) -> None:
    if stream.source_defined_cursor:
        if cursor and set(cursor) != set(stream.cursor_field):
            raise bad_request(
                f"Cursor Field {_listed(cursor)} is already defined by source for stream: "
                f"{stream.name}. Do not include a cursor field configuration for this stream."
            )
    elif cursor:
        if list(cursor) not in [list(path) for path in stream.fields]:
            raise bad_request(
                f"Invalid cursor field for stream: {stream.name}. The list of valid cursor fields "
                f"include: {_listed(map(_listed, stream.fields))}."
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
            f"primaryKey or provide the value as {_listed(map(_listed, defined))}."
        )
    if not defined and not primary_key:
        raise bad_request(
            f"No default primary key for stream: {stream.name}. Please include a primary key "
            "configuration for this stream."
        )
    for path in primary_key or ():
        if list(path) not in [list(field) for field in stream.fields]:
            # "cursor" where a key is meant: so it says.
            raise bad_request(
                f"Invalid cursor field for stream: {stream.name}. The list of valid primary keys "
                f"fields: {_listed(map(_listed, stream.fields))}."
            )


def _listed(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"
