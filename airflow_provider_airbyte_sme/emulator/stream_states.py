"""
The state of connections: where the next incremental sync of each stream starts.

A connection's state is kept as ``ConnectionState`` of the config API without the connection's id:
``docs/airbyte-api.md`` §4.3. The emulator's own states are all of the type ``stream``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator.iso8601 import iso_timestamp
from airflow_provider_airbyte_sme.emulator.nulls import drop_nested_nulls, drop_nulls
from airflow_provider_airbyte_sme.emulator.streams import configuration_key, is_incremental
from airflow_provider_airbyte_sme.emulator.world import Connection, Job

_StreamKey = tuple[str, str | None]


def delete_before_job(connection: Connection, job: Job) -> None:
    """
    Delete the states that the first attempt of *job* does not start from (§4.3).

    These are those of the streams that it clears or refreshes, and in a sync or a refresh those of
    full refresh too.
    """
    if job.config_type != "reset_connection":
        whole = (stream for stream in job.streams if not is_incremental(stream))
        delete_states(connection, map(configuration_key, whole))
    delete_states(connection, map(configuration_key, job.targets))


def write_after_job(connection: Connection, job: Job) -> None:
    """Write the state of each incremental stream after a sync or a refresh that has succeeded."""
    if job.status != JobStatus.SUCCEEDED or job.config_type == "reset_connection":
        return
    cursor = iso_timestamp(job.updated_at)
    for stream in filter(is_incremental, job.streams):
        blob = {"cursor_field": stream["cursorField"], "cursor": cursor}
        _write(connection, configuration_key(stream), blob)


def delete_states(connection: Connection, keys: Iterable[_StreamKey]) -> None:
    """Delete the states of some streams, given their names and namespaces."""
    deleted = set(keys)
    state = connection.state or {"stateType": "not_set"}
    if state["stateType"] == "stream":
        for key in deleted:
            _write(connection, key, None)
    elif state["stateType"] == "global":
        shared = state["globalState"]
        kept = [
            item
            for item in shared.get("streamStates", ())
            if configuration_key(item["streamDescriptor"]) not in deleted
        ]
        connection.state = {**state, "globalState": {**shared, "streamStates": kept}}


def replace_streams(connection: Connection, streams: list[dict[str, Any]]) -> None:
    """
    Replace the streams of a connection.

    Between full refresh and incremental, a stream loses its state; a deselected one keeps it
    (§4.3).
    """
    new = {configuration_key(stream): is_incremental(stream) for stream in streams}
    changed = [
        key
        for key, was_incremental in (
            (configuration_key(stream), is_incremental(stream)) for stream in connection.streams
        )
        if new.get(key, was_incremental) != was_incremental
    ]
    delete_states(connection, changed)
    connection.streams = streams


def state_response(connection: Connection) -> dict[str, Any]:
    """Return the ``ConnectionState`` of a connection."""
    state = connection.state or {"stateType": "not_set"}
    return {"connectionId": connection.id, **state}


def write_state(connection: Connection, given: Mapping[str, Any]) -> None:
    """
    Store a ``ConnectionState``: streams that it does not have keep theirs.

    :raises ValueError: The connection has a state of another type; only a legacy one is replaced.
    """
    kind = given["stateType"]
    current = (connection.state or {}).get("stateType", kind)
    if kind != current and current != "legacy":
        raise ValueError(
            f"Unexpected type migration from '{current}' to '{kind}'. Migration of StateType need "
            "to go through an explicit reset."
        )
    if kind == "stream":
        if current == "legacy":
            connection.state = None
        for item in given.get("streamState") or ():
            descriptor = item["streamDescriptor"]
            key = (descriptor["name"], descriptor.get("namespace"))
            _write(connection, key, item.get("streamState"))
    elif kind == "global":
        shared = drop_nested_nulls(given.get("globalState") or {"streamStates": []})
        connection.state = {"stateType": kind, "globalState": shared}
    elif kind == "legacy":
        connection.state = {"stateType": kind, "state": given.get("state") or {}}


def _write(connection: Connection, key: _StreamKey, blob: Any) -> None:
    """Store the state of one stream; ``None`` deletes it."""
    states = {} if connection.state is None else _by_stream(connection.state)
    if blob is None:
        states.pop(key, None)
    else:
        name, namespace = key
        descriptor = drop_nulls({"name": name, "namespace": namespace})
        states[key] = {"streamDescriptor": descriptor, "streamState": blob}
    connection.state = (
        {"stateType": "stream", "streamState": list(states.values())} if states else None
    )


def _by_stream(state: Mapping[str, Any]) -> dict[_StreamKey, dict[str, Any]]:
    return {configuration_key(s["streamDescriptor"]): s for s in state.get("streamState", ())}
