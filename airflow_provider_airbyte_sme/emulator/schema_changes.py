"""
What a connection does when the streams of its source have changed.

``docs/airbyte-api.md`` §4.4. The server looks for changes before a sync and when the UI refreshes
a schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.streams import (
    SYNC_MODES,
    Stream,
    accepted_sync_modes,
    configuration_key,
    in_schema_order,
    is_incremental,
    stream_configuration,
)
from airflow_provider_airbyte_sme.emulator.world import Actor, Connection, World

_Streams = Mapping[tuple[str, str | None], Stream]


def propagate(world: World, source: Actor, old: Sequence[Stream], new: Sequence[Stream]) -> None:
    """
    Apply a change of the streams of *source* to its connections, as each one's setting says.

    Connections are disabled as by :func:`disable_connections`.
    """
    disable_connections(world, source, old, new)
    before = {stream.key: stream for stream in old}
    after = {stream.key: stream for stream in new}
    for connection in world.connections_of(source):
        setting = connection.non_breaking_changes
        if setting.startswith("propagate_") and not _is_breaking(connection, after):
            _update_fields(connection, before, after)
            if setting == "propagate_fully":
                destination = world.destinations[connection.destination_id]
                _update_streams(connection, destination, before, after)


def disable_connections(
    world: World, source: Actor, old: Sequence[Stream], new: Sequence[Stream]
) -> None:
    """
    Disable the connections that cannot take a change of the streams of *source*, or are not to.

    The former lose a cursor or a key that they use.
    """
    after = {stream.key: stream for stream in new}
    if after == {stream.key: stream for stream in old}:
        return
    for connection in world.connections_of(source):
        is_unwanted = connection.non_breaking_changes == "disable_connection"
        if connection.status == "active" and (is_unwanted or _is_breaking(connection, after)):
            connection.status = "inactive"


def _is_breaking(connection: Connection, after: _Streams) -> bool:
    return any(
        _breaks(configuration, after[configuration_key(configuration)])
        for configuration in connection.streams
        if configuration_key(configuration) in after
    )


def _breaks(configuration: Mapping[str, Any], stream: Stream) -> bool:
    """Whether *stream* lacks a field in use, or has another key (``CatalogDiffHelpers.kt``)."""
    if not _used_fields(configuration) <= {tuple(path) for path in stream.fields}:
        return True
    key = {tuple(path) for path in configuration["primaryKey"]}
    new_key = {tuple(path) for path in stream.primary_key}
    return _deduplicates(configuration) and bool(new_key) and new_key != key


def _used_fields(configuration: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return the paths of the cursor and the key that a stream of a connection needs."""
    paths = [configuration["cursorField"]] if is_incremental(configuration) else []
    if _deduplicates(configuration):
        paths += configuration["primaryKey"]
    return {tuple(path) for path in paths if path}


def _deduplicates(configuration: Mapping[str, Any]) -> bool:
    return SYNC_MODES[configuration["syncMode"]][1].endswith("_dedup")


def _update_fields(connection: Connection, before: _Streams, after: _Streams) -> None:
    """Add new fields to the selected ones of each stream, and remove those that are gone."""
    connection.streams = [
        {**configuration, "selectedFields": _updated(configuration, before, after)}
        for configuration in connection.streams
    ]


def _updated(
    configuration: Mapping[str, Any], before: _Streams, after: _Streams
) -> list[dict[str, Any]]:
    key = configuration_key(configuration)
    selected: list[dict[str, Any]] = configuration["selectedFields"]
    if not selected or key not in before or key not in after:
        return selected
    known = before[key].top_level_fields
    added = [{"fieldPath": [n]} for n in after[key].top_level_fields if n not in known]
    return in_schema_order(after[key], [*selected, *added])


def _update_streams(
    connection: Connection, destination: Actor, before: _Streams, after: _Streams
) -> None:
    """Remove the streams that are gone, and add the new ones."""
    kept = [s for s in connection.streams if configuration_key(s) in after]
    added = [
        stream_configuration(stream, {"syncMode": _default_sync_mode(stream, destination)})
        for key, stream in after.items()
        if key not in before
    ]
    connection.streams = [*kept, *added]


def _default_sync_mode(stream: Stream, destination: Actor) -> str:
    """Return the mode of a stream that nobody has configured (``CatalogConverter``)."""
    if not (stream.incremental and stream.source_defined_cursor and stream.primary_key):
        return "full_refresh_overwrite"
    modes = accepted_sync_modes(stream, destination)
    deduped = "incremental_deduped_history"
    return deduped if deduped in modes else "incremental_append"


def catalog_diff(
    connection: Connection, old: Sequence[Stream], new: Sequence[Stream]
) -> dict[str, Any]:
    """Return the ``CatalogDiff`` of the config API between two lists of streams."""
    before = {stream.key: stream for stream in old}
    after = {stream.key: stream for stream in new}
    used = {configuration_key(item): _used_fields(item) for item in connection.streams}
    transforms = [
        *(_transform("add_stream", key) for key in after if key not in before),
        *(_transform("remove_stream", key) for key in before if key not in after),
    ]
    for key in before.keys() & after.keys():
        if changes := _field_transforms(before[key], after[key], used.get(key, set())):
            update = {"fieldTransforms": changes, "streamAttributeTransforms": []}
            transforms.append({**_transform("update_stream", key), "updateStream": update})
    return {"transforms": transforms}


def _transform(kind: str, key: tuple[str, str | None]) -> dict[str, Any]:
    name, namespace = key
    descriptor = drop_nulls({"name": name, "namespace": namespace})
    return {"transformType": kind, "streamDescriptor": descriptor}


def _field_transforms(
    before: Stream, after: Stream, used: set[tuple[str, ...]]
) -> list[dict[str, Any]]:
    old = {tuple(path) for path in before.fields}
    new = {tuple(path) for path in after.fields}
    return [
        {"transformType": kind, "fieldName": list(path), "breaking": path in used - new}
        for kind, paths in (("add_field", new - old), ("remove_field", old - new))
        for path in sorted(paths)
    ]
