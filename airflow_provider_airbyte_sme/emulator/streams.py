"""
The streams of sources, their sync modes, and the streams that a connection selects.

``docs/airbyte-api.md`` §4.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from airflow_provider_airbyte_sme.emulator.connectors import connector_name, deduplicates
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.world import Actor, new_id


@dataclass(frozen=True)
class Stream:
    """
    One stream of a source.

    :param fields: The path of each field.
    :param namespace: ``None`` if it has none.
    :param primary_key: The paths of the fields of the key, if the source defines one.
    :param cursor_field: The path of the default cursor, if there is one.
    :param source_defined_cursor: Whether the default cursor is the only one allowed.
    :param incremental: Whether it can be synced incrementally.
    :param suggested: Whether a connection that is created without streams selects it.
    :param types: The JSON types of the fields that are no text, by their paths with dots.
    """

    name: str
    fields: Sequence[Sequence[str]] = (("id",), ("updated_at",))
    namespace: str | None = None
    primary_key: Sequence[Sequence[str]] = ()
    cursor_field: Sequence[str] = ()
    source_defined_cursor: bool = False
    incremental: bool = True
    suggested: bool = False
    types: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> tuple[str, str | None]:
        """The name and the namespace, which identify a stream of a source."""
        return self.name, self.namespace

    @property
    def top_level_fields(self) -> list[str]:
        """The fields that can be selected."""
        return [path[0] for path in self.fields if len(path) == 1]

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
    """
    Create a stream from its field paths, which are written with dots and separated by spaces.

    A type follows the path after a colon.
    """
    typed = dict(path_and_type.partition(":")[::2] for path_and_type in fields.split())
    paths = tuple(tuple(path.split(".")) for path in typed)
    types = {path: json_type for path, json_type in typed.items() if json_type}
    return Stream(name, paths, types=types, **attributes)


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
            "id:integer created_at updated_at name title age:integer email telephone gender "
            "language academic_degree nationality occupation height blood_type weight:integer "
            "address "
            "address.street_number address.street_name address.city address.state "
            "address.province address.postal_code address.country_code",
            **_FAKER,
        ),
        _stream(
            "products",
            "id:integer make model year:integer price:number created_at updated_at",
            **_FAKER,
        ),
        _stream(
            "purchases",
            "id:integer product_id:integer user_id:integer added_to_cart_at purchased_at "
            "returned_at created_at updated_at",
            **_FAKER,
        ),
    ),
    "postgres": (
        _stream("customers", "id:integer name email updated_at", **_TABLE),
        _stream("orders", "id:integer customer_id:integer amount:number updated_at", **_TABLE),
    ),
}
_DEFAULT_STREAMS = (_stream("records", "id:integer name updated_at", cursor_field=("updated_at",)),)

# The sync modes of the public API, with those of source and destination that they consist of, in
# the order of GET /streams (§4.4).
SYNC_MODES: Mapping[str, tuple[str, str]] = {
    "full_refresh_append": ("full_refresh", "append"),
    "full_refresh_overwrite": ("full_refresh", "overwrite"),
    "full_refresh_overwrite_deduped": ("full_refresh", "overwrite_dedup"),
    "full_refresh_update": ("full_refresh", "update"),
    "full_refresh_soft_delete": ("full_refresh", "soft_delete"),
    "incremental_append": ("incremental", "append"),
    "incremental_deduped_history": ("incremental", "append_dedup"),
    "incremental_update": ("incremental", "update"),
    "incremental_soft_delete": ("incremental", "soft_delete"),
}
DEFAULT_SYNC_MODE = "full_refresh_overwrite"
# Accepted where it is supported, but never listed: §4.4.
_UNLISTED_MODE = "full_refresh_overwrite_deduped"
# A key that is sent for them is ignored: §4.4.
_MODES_WITHOUT_KEY = ("full_refresh_append", "full_refresh_overwrite")


def streams_of(source: Actor) -> list[Stream]:
    """Return the streams of *source*."""
    if source.streams is not None:
        return [Stream.from_seed(seed) for seed in source.streams]
    return list(_STREAMS.get(connector_name("source", source.definition_id), _DEFAULT_STREAMS))


def sync_modes(stream: Stream, destination: Actor) -> list[str]:
    """Return the sync modes of *stream* and *destination* that ``GET /streams`` lists."""
    return [mode for mode in accepted_sync_modes(stream, destination) if mode != _UNLISTED_MODE]


def accepted_sync_modes(stream: Stream, destination: Actor) -> list[str]:
    """Return the sync modes that *stream* and *destination* both support."""
    supported = ["overwrite", "append"]
    if can_deduplicate(destination):
        supported += ["append_dedup", "overwrite_dedup"]  # [inf] both or neither
    allowed = ("full_refresh", "incremental") if stream.incremental else ("full_refresh",)
    return [
        mode
        for mode, (source_mode, destination_mode) in SYNC_MODES.items()
        if source_mode in allowed and destination_mode in supported
    ]


def can_deduplicate(destination: Actor) -> bool:
    """Whether *destination* keeps one row for each key, and so can be refreshed."""
    return deduplicates(destination.definition_id)


def is_incremental(configuration: Mapping[str, Any]) -> bool:
    """Whether a stream of a connection is read from where the last sync ended."""
    return SYNC_MODES[configuration["syncMode"]][0] == "incremental"


def configuration_key(configuration: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the name and the namespace of a stream of a connection, as :attr:`Stream.key`."""
    return configuration["name"], configuration.get("namespace")


def default_selection(streams: Sequence[Stream]) -> list[dict[str, Any]]:
    """
    Return the streams of a connection that is created without any: §4.3.

    :param streams: The streams of the source.
    :return: The only stream, or the suggested ones, with full refresh and without a key.
    """
    chosen = streams if len(streams) == 1 else [stream for stream in streams if stream.suggested]
    return [{**stream_configuration(stream, {}), "primaryKey": []} for stream in chosen]


def stream_configuration(stream: Stream, requested: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a ``StreamConfiguration`` as it is stored: in responses, secrets are masked.

    What *requested* does not have is taken from the discovered stream, never from an earlier
    configuration (§4.3).
    """
    mode = requested.get("syncMode") or DEFAULT_SYNC_MODE
    fields: dict[str, Any] = {
        "name": stream.name,
        "namespace": stream.namespace,
        "syncMode": mode,
        "cursorField": chosen_cursor(stream, requested)
        if SYNC_MODES[mode][0] == "incremental"
        else list(stream.cursor_field),
        "primaryKey": [list(path) for path in stream.primary_key]
        if mode in _MODES_WITHOUT_KEY
        else chosen_key(stream, requested),
        "selectedFields": in_schema_order(stream, requested.get("selectedFields") or ()),
        "mappers": [
            {**mapper, "id": mapper.get("id") or new_id()}
            for mapper in requested.get("mappers") or ()
        ],
        "includeFiles": False,  # no connector of the emulator moves files
        "destinationObjectName": requested.get("destinationObjectName"),
    }
    return drop_nulls(fields)


def chosen_cursor(stream: Stream, requested: Mapping[str, Any]) -> list[str]:
    """Return the cursor of an incremental sync: the source's own, else the requested one."""
    given = None if stream.source_defined_cursor else requested.get("cursorField")
    return list(given or stream.cursor_field)


def chosen_key(stream: Stream, requested: Mapping[str, Any]) -> list[list[str]]:
    """Return the primary key of a mode with a key: the source's own, else the requested one."""
    return [list(path) for path in stream.primary_key or requested.get("primaryKey") or ()]


def in_schema_order(
    stream: Stream, selected: Sequence[Mapping[str, Any]]
) -> list[dict[str, list[str]]]:
    """Return selected fields in the order of the stream's schema, without unknown ones."""
    names = {info["fieldPath"][0] for info in selected}
    return [{"fieldPath": [name]} for name in stream.top_level_fields if name in names]


def seeded_selection(
    streams: Sequence[Stream], seeds: Sequence[Mapping[str, Any]] | None
) -> list[dict[str, Any]]:
    """
    Return the streams of a connection that is set up without the API.

    :param streams: The streams of the source.
    :param seeds: ``StreamConfiguration`` objects, which are not validated; ``None``: all streams,
        with full refresh.
    :raises ValueError: The source does not have a stream.
    """
    if seeds is None:
        return [stream_configuration(stream, {}) for stream in streams]
    known = {stream.name: stream for stream in streams} | {stream.key: stream for stream in streams}
    selection = []
    for seed in seeds:
        stream = known.get(configuration_key(seed)) or known.get(seed["name"])
        if stream is None:
            names = sorted(stream.name for stream in streams)
            raise ValueError(f"the source has no stream {seed['name']!r}, only {names}")
        selection.append(stream_configuration(stream, seed))
    return selection
