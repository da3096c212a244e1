"""
Validating the streams that a request selects, with the server's messages.

``docs/airbyte-api.md`` §4.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import ProblemError, bad_request
from airflow_provider_airbyte_sme.emulator.streams import (
    DEFAULT_SYNC_MODE,
    Stream,
    accepted_sync_modes,
    chosen_cursor,
    chosen_key,
    configuration_key,
    stream_configuration,
)
from airflow_provider_airbyte_sme.emulator.world import Actor

_KEYED_MODES = (
    "full_refresh_overwrite_deduped",
    "full_refresh_update",
    "incremental_deduped_history",
    "incremental_update",
)
_CURSOR_MODES = (
    "incremental_append",
    "incremental_deduped_history",
    "incremental_update",
    "incremental_soft_delete",
)


def validated_selection(
    streams: Sequence[Stream], destination: Actor, requested: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """
    Validate a selection of streams against the source and the destination.

    :param streams: The streams of the source.
    :param requested: ``configurations.streams`` of a request.
    :return: The selection, as it is stored.
    :raises ProblemError: 400: a stream, its sync mode, fields, cursor or key is invalid.
    """
    seen: set[tuple[str, str | None]] = set()
    selection = []
    for fields in requested:
        stream = _find(streams, fields["name"], fields.get("namespace"))
        _check_fields(stream, fields)
        _check_mode(stream, destination, fields)
        _check_files(stream, fields)
        given = (fields["name"], fields.get("namespace"))
        if given in seen:
            raise bad_request(
                f"Duplicate stream found in configuration for stream name [{given[0]}] in "
                f"namespace [{_or_null(given[1])}]."
            )
        seen.add(given)
        selection.append(stream_configuration(stream, fields))
    return selection


def find_duplicate(selection: Sequence[Mapping[str, Any]]) -> tuple[str, str | None] | None:
    """
    Return the name and the namespace of a stream that a selection has twice, if there is one.

    :func:`validated_selection` only compares what was requested, and so allows a stream with and
    without its namespace.
    """
    keys = [configuration_key(configuration) for configuration in selection]
    return next((key for key in keys if keys.count(key) > 1), None)


def _find(streams: Sequence[Stream], name: str, namespace: str | None) -> Stream:
    """Return the stream with a name; the namespace counts only if several have the name."""
    found = [stream for stream in streams if stream.name == name]
    if len(found) != 1:
        found = [stream for stream in found if stream.namespace == namespace]
    if len(found) != 1:
        raise bad_request(
            f"{'Multiple' if found else 'No'} streams found with name [{name}] and namespace "
            f"[{_or_null(namespace)}]. Please call the "
            "https://reference.airbyte.com/reference/getstreamproperties endpoint to see the valid "
            "stream name and namespace combinations."
        )
    return found[0]


def _check_fields(stream: Stream, requested: Mapping[str, Any]) -> None:
    if (chosen := requested.get("selectedFields")) is None:
        return
    if not chosen:
        raise bad_request(
            f"No fields selected for stream {stream.name}. The list of valid field names includes: "
            f"{_bracketed(stream.top_level_fields)}."
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
    if not set(names) <= set(stream.top_level_fields):
        raise bad_request(
            f"Invalid fields selected for stream {stream.name}. The list of valid field names "
            f"includes: {_bracketed(stream.top_level_fields)}."
        )
    _check_required_fields(stream, requested, set(names))


def _check_required_fields(
    stream: Stream, requested: Mapping[str, Any], selected: set[str]
) -> None:
    mode = requested.get("syncMode")
    keys = {path[0] for path in chosen_key(stream, requested) if path}
    if mode in _KEYED_MODES and not keys <= selected:
        raise bad_request(
            f"Primary key fields are not selected properly for stream: {stream.name}. "
            "Please include primary key(s) in the configuration for this stream."
        )
    cursor = chosen_cursor(stream, requested)
    if mode in _CURSOR_MODES and cursor and cursor[0] not in selected:
        raise bad_request(
            f"Cursor field is not selected properly for stream: {stream.name}. "
            "Please include the cursor field in selected fields for this stream."
        )


def _check_mode(stream: Stream, destination: Actor, requested: Mapping[str, Any]) -> None:
    mode = requested.get("syncMode") or DEFAULT_SYNC_MODE
    if mode == DEFAULT_SYNC_MODE:
        return  # accepted unseen: §4.4
    valid = accepted_sync_modes(stream, destination)
    if mode not in valid:
        raise bad_request(
            f"Cannot set sync mode to {mode} for stream {stream.name}. "
            f"Valid sync modes are: {_bracketed(valid)}"
        )
    if mode in ("incremental_append", "incremental_deduped_history"):
        _check_cursor(stream, requested.get("cursorField"))
    if mode in ("incremental_deduped_history", "incremental_update", "full_refresh_update"):
        _check_primary_key(stream, requested.get("primaryKey"))


def _check_files(stream: Stream, requested: Mapping[str, Any]) -> None:
    """Reject the transfer of files, which no connector of the emulator supports."""
    if requested.get("includeFiles"):
        item = drop_nulls({"streamName": stream.name, "streamNamespace": stream.namespace})
        raise ProblemError(
            400,
            "Connection does not support file transfers",
            "The source or destination used in this connection does not support file transfers, "
            "so they cannot be enabled.",
            {"streams": [item]},
            kind="error:connection-validation/file-transfer/connection-unsupported",
        )


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
    keys = primary_key or ()
    for path in keys:
        if list(path) not in [list(field) for field in stream.fields]:
            raise bad_request(
                f"Invalid primary key for stream: {stream.name}. The list of valid primary keys "
                f"fields: {_bracketed(map(_bracketed, stream.fields))}."
            )
        if len(set(path)) != len(path):
            raise bad_request(
                f"Duplicate primary key detected for stream: {stream.name}, please don't provide "
                f"the same column more than once. Key: {_bracketed(map(_bracketed, keys))}"
            )


def _bracketed(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _or_null(namespace: str | None) -> str:
    return "null" if namespace is None else namespace
