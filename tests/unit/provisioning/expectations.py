"""
What a run must leave behind, told from what was there and what is declared.

It reads the emulator itself, with every secret in plain text, and shares no code with the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator.streams import streams_of
from airflow_provider_airbyte_sme.emulator.world import Actor, Connection
from tests.emulator.conftest import caller_of, ok

MASK = "*" * 10
TEAM = "Team A"
_BRANCH_KEYS = ("tunnel_method", "method")
_SETTINGS = {
    "namespace_definition": "namespaceDefinition",
    "prefix": "prefix",
    "status": "status",
    "schema_changes": "nonBreakingSchemaUpdatesBehavior",
}


class Snapshot(NamedTuple):
    """
    Everything in the workspace of the team that is not deleted, by name.

    :param settings: Each connection as the API returns it.
    :param colors: The color of each tag.
    """

    workspace: Mapping[str, Any]
    actors: Mapping[tuple[str, str], Actor]
    connections: Mapping[str, Connection]
    settings: Mapping[str, Mapping[str, Any]]
    colors: Mapping[str, str]


def snapshot(emulator: Emulator) -> Snapshot:
    """
    Return what is there.

    :raises AssertionError: Two of a kind have the same name.
    """
    caller = caller_of(emulator)
    every = ok(caller.get("/workspaces", limit=100))["data"]
    (workspace,) = (each for each in every if each["name"] == TEAM)
    workspace_id = workspace["workspaceId"]
    actors = [
        actor
        for actor in (*emulator.sources.values(), *emulator.destinations.values())
        if actor.workspace_id == workspace_id and not actor.deleted
    ]
    connections = [
        connection
        for connection in emulator.connections.values()
        if connection.workspace_id == workspace_id and connection.status != "deprecated"
    ]
    assert len({(actor.kind, actor.name) for actor in actors}) == len(actors)
    assert len({connection.name for connection in connections}) == len(connections)
    return Snapshot(
        workspace,
        {(actor.kind, actor.name): deepcopy(actor) for actor in actors},
        {each.name: deepcopy(each) for each in connections},
        {each.name: ok(caller.get(f"/connections/{each.id}")) for each in connections},
        {
            tag["name"]: tag["color"]
            for tag in ok(caller.get("/tags", workspaceIds=workspace_id))["data"]
        },
    )


def offered(source: Actor) -> list[dict[str, Any]]:
    """Return the streams of a source."""
    return [
        {**each.to_seed(), "fields": [[*path] for path in each.fields]}
        for each in streams_of(source)
    ]


def check(before: Snapshot | None, after: Snapshot, document: Mapping[str, Any]) -> None:
    """
    Check that what is declared has been reached, and that nothing else has changed.

    :param before: ``None``: there was nothing.
    """
    for path, wanted in _leaves(document["workspace"].get("notifications", {})):
        assert _at(after.workspace["notifications"], path) == wanted
    _check_actors(before, after, document)
    _check_tags(before, after, document)
    _check_connections(before, after, document)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    else:
        yield path, value


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _check_actors(before: Snapshot | None, after: Snapshot, document: Mapping[str, Any]) -> None:
    declared = {
        (kind, each["name"]): each
        for kind in ("source", "destination")
        for each in document[f"{kind}s"]
    }
    old = before.actors if before else {}
    assert set(after.actors) == {*old, *declared}
    for key, actor in after.actors.items():
        stored, wanted = old.get(key), declared.get(key)
        assert stored is None or actor.id == stored.id
        configuration: Any = stored.configuration if stored else {}
        allocation = stored.resource_allocation if stored else None
        if wanted is not None:
            configuration = overlaid(configuration, wanted["configuration"])
            allocation = _allocated(allocation, wanted.get("resource_allocation"))
        assert actor.configuration == configuration
        assert (actor.resource_allocation or None) == (allocation or None)


def overlaid(stored: Any, declared: Any) -> Any:
    """Return the configuration that should be stored; other branches of a ``oneOf`` go."""
    if not isinstance(declared, Mapping):
        return declared
    if not isinstance(stored, Mapping) or any(
        isinstance(declared.get(key), str) and stored.get(key) != declared[key]
        for key in _BRANCH_KEYS
    ):
        stored = {}
    merged = {
        **stored,
        **{key: overlaid(stored.get(key), value) for key, value in declared.items()},
    }
    return {key: value for key, value in merged.items() if value is not None}


def _allocated(stored: Any, declared: Any) -> Any:
    if declared is None:
        return stored
    return overlaid(stored, declared) if declared else {}


def _check_tags(before: Snapshot | None, after: Snapshot, document: Mapping[str, Any]) -> None:
    old = dict(before.colors) if before else {}
    colors = {tag["name"]: tag.get("color") for tag in document["tags"]}
    used = {name for each in document["connections"] for name in each.get("tags", ())}
    assert set(after.colors) == {*old, *colors, *used}
    for name, color in after.colors.items():
        wanted = colors.get(name) or old.get(name) or color
        assert color.lower() == wanted.lower()


def _check_connections(
    before: Snapshot | None, after: Snapshot, document: Mapping[str, Any]
) -> None:
    declared = {each["name"]: each for each in document["connections"]}
    old = before.connections if before else {}
    assert set(after.connections) == {*old, *declared}
    for name, connection in after.connections.items():
        stored = before.settings[name] if before and name in old else None
        assert stored is None or stored["connectionId"] == connection.id
        if name not in declared:
            assert _without_colors(after.settings[name]) == _without_colors(stored)
            continue
        wanted = declared[name]
        _check_settings(stored, after.settings[name], wanted)
        assert after.actors["source", wanted["source"]].id == connection.source_id
        assert after.actors["destination", wanted["destination"]].id == connection.destination_id
        streams = offered(after.actors["source", wanted["source"]])
        _check_streams(old.get(name), connection, wanted, {each["name"]: each for each in streams})


def _without_colors(settings: Mapping[str, Any] | None) -> Mapping[str, Any]:
    settings = settings or {}
    return {**settings, "tags": {tag["name"] for tag in settings.get("tags", ())}}


def _check_settings(
    stored: Mapping[str, Any] | None, actual: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    for name, key in _SETTINGS.items():
        if name in wanted:
            assert actual[key] == wanted[name], name
        elif stored is not None:
            assert actual[key] == stored[key], name
    _check_schedule(stored, actual["schedule"], wanted.get("schedule"))
    tags = {tag["name"] for tag in actual["tags"]}
    kept = {tag["name"] for tag in stored["tags"]} if stored else set()
    if (listed := wanted.get("tags")) is not None:
        assert tags == ({*listed} if wanted.get("exact") or not listed else {*listed, *kept})
    else:
        assert tags == kept


def _check_schedule(
    stored: Mapping[str, Any] | None, actual: Mapping[str, Any], wanted: str | None
) -> None:
    if wanted is None:
        before = stored["schedule"] if stored else {"scheduleType": "manual"}
        assert actual == before
    elif wanted == "manual":
        assert actual["scheduleType"] == "manual"
    else:
        expression = actual["cronExpression"].upper().removesuffix(" UTC")
        assert expression == wanted.upper().removesuffix(" UTC")


def _check_streams(
    stored: Connection | None,
    actual: Connection,
    wanted: Mapping[str, Any],
    offers: Mapping[str, Any],
) -> None:
    streams = {each["name"]: each for each in actual.streams}
    old = {each["name"]: each for each in stored.streams} if stored else {}
    assert len(streams) == len(actual.streams)
    if wanted["streams"] == "all":
        declared = {name: {"name": name} for name in offers}
    else:
        declared = {each["name"]: each for each in wanted["streams"]}
    kept = {} if wanted.get("exact") else old
    # What the source offers no more cannot be written again.
    assert {*declared, *(kept.keys() & offers)} <= set(streams) <= {*declared, *kept}
    for name, stream in streams.items():
        if name in declared:
            _check_stream(old.get(name), stream, declared[name], wanted.get("exact", False), offers)
        else:
            assert _known(stream, offers) == _known(old[name], offers)


def _known(stream: Mapping[str, Any], offers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stream without the selected fields that the source offers no more."""
    fields = offers[stream["name"]]["fields"] if stream["name"] in offers else ()
    known = [each for each in stream["selectedFields"] if each["fieldPath"] in fields]
    return {**stream, "selectedFields": known}


def _check_stream(
    stored: Mapping[str, Any] | None,
    actual: Mapping[str, Any],
    wanted: Mapping[str, Any],
    is_exact: bool,
    offers: Mapping[str, Any],
) -> None:
    stored = _known(stored, offers) if stored else None
    actual = _known(actual, offers)
    default = stored["syncMode"] if stored else "full_refresh_overwrite"
    mode = wanted.get("sync_mode", default)
    assert actual["syncMode"] == mode
    if "cursor_field" in wanted and mode.startswith("incremental"):
        assert actual["cursorField"] == [wanted["cursor_field"]]
    if "primary_key" in wanted and "dedup" in mode:
        assert actual["primaryKey"] == [[name] for name in wanted["primary_key"]]
    selected = {each["fieldPath"][0] for each in actual["selectedFields"]}
    before = {each["fieldPath"][0] for each in stored["selectedFields"]} if stored else set()
    offered = {each[0] for each in offers.get(wanted["name"], {}).get("fields", ())}
    fields = {*(wanted.get("selected_fields") or ())} & offered
    if wanted.get("selected_fields") is None:
        assert selected == before
    elif is_exact or not fields or not before:
        assert selected == fields
    else:
        assert selected == fields | before
    _check_mappers(stored["mappers"] if stored else [], actual["mappers"], wanted.get("mappers"))


def _check_mappers(stored: Any, actual: Any, wanted: Any) -> None:
    if wanted is None:
        assert actual == stored
        return
    assert [_without_id(each) for each in actual] == [_without_id(each) for each in wanted]
    if [_without_id(each) for each in stored] == [_without_id(each) for each in wanted]:
        assert actual == stored


def _without_id(mapper: Mapping[str, Any]) -> str:
    return json.dumps({key: mapper[key] for key in mapper if key != "id"}, sort_keys=True)
