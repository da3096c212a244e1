"""An exported workspace, whatever is in it: applying it changes nothing, and it can be copied."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import jinja2
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import run_blocking
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator.world import Actor, ActorKind, Connection
from airflow_provider_airbyte_sme.provisioning.export import Export, read_workspace
from airflow_provider_airbyte_sme.provisioning.files import (
    read_document,
    to_document,
    write_yaml,
)
from airflow_provider_airbyte_sme.provisioning.results import Action
from airflow_provider_airbyte_sme.provisioning.secrets import MemoryStore
from tests.emulator.conftest import caller_of, ok
from tests.unit.provisioning.conftest import World
from tests.unit.provisioning.documents import documents, examples, shapes
from tests.unit.provisioning.drift import (
    CHANGES,
    Change,
    Draw,
    add_an_undeclared_setting,
    change_the_schema,
    rewrite_a_secret,
)
from tests.unit.provisioning.expectations import TEAM
from tests.unit.provisioning.strategies import NAMES, TEXTS

WRITERS = {
    "plain": lambda document: document,
    "YAML": lambda document: read_document(write_yaml(document)),
    "JSON": lambda document: read_document(json.dumps(document)),
}


@examples(8)
@given(st.data())
def test_property_applying_what_was_exported_changes_nothing(data):
    world, workspace_id = existing(data, CHANGES, ODDITIES)
    before, writes = everything(world.emulator), world.writes
    exported = export(world, workspace_id)
    world.store = MemoryStore()

    for write in WRITERS.values():
        document = rendered(write(to_document(exported.pipeline)), {})
        results = world.apply(document)

        assert [each for each in results if each.action != Action.UNCHANGED] == []
    assert world.writes == writes
    assert everything(world.emulator) == before


@examples(6)
@given(st.data())
def test_property_what_was_exported_creates_an_equal_workspace_elsewhere(data):
    unknown = (add_an_undeclared_setting, change_the_schema, rewrite_a_secret)
    changes = [each for each in CHANGES if each not in unknown]
    world, workspace_id = existing(data, changes, [name_all, name_the_workspace])
    document = to_document(export(world, workspace_id).pipeline)
    elsewhere = World()

    results = elsewhere.apply(rendered(document, secrets_of(world.emulator, document)))

    copied = portable(elsewhere.emulator, results[0].resource_id)
    assert copied == portable(world.emulator, workspace_id)


def existing(
    data: st.DataObject, changes: list[Change], oddities: list[Oddity]
) -> tuple[World, str]:
    """Return an Airbyte in which people have worked on a workspace, and the id of that."""
    world = World()
    results = world.apply(data.draw(documents(data.draw(shapes()))))
    for change in data.draw(st.lists(st.sampled_from(changes), max_size=3, unique=True)):
        change(world, data.draw)
    for oddity in data.draw(st.lists(st.sampled_from(oddities), max_size=3, unique=True)):
        oddity(world.emulator, results[0].resource_id, data.draw)
    return world, results[0].resource_id


def export(world: World, workspace_id: str) -> Export:
    return run_blocking(read_workspace(world.client, workspace_id))


def named(emulator: Emulator, workspace_id: str) -> list[tuple[str, Actor | Connection]]:
    """Return everything that has a name of its own, with the path of its route."""
    return [
        *((f"/sources/{each.id}", each) for each in actors_of(emulator, workspace_id, "source")),
        *(
            (f"/destinations/{each.id}", each)
            for each in actors_of(emulator, workspace_id, "destination")
        ),
        *((f"/connections/{each.id}", each) for each in connections_of(emulator, workspace_id)),
    ]


def actors_of(emulator: Emulator, workspace_id: str, kind: ActorKind) -> list[Actor]:
    actors = emulator.sources if kind == "source" else emulator.destinations
    return [
        each for each in actors.values() if each.workspace_id == workspace_id and not each.deleted
    ]


def connections_of(emulator: Emulator, workspace_id: str) -> list[Connection]:
    return [
        each
        for each in emulator.connections.values()
        if each.workspace_id == workspace_id and each.status != "deprecated"
    ]


def name_alike(emulator: Emulator, workspace_id: str, draw: Draw) -> None:
    name = draw(NAMES)
    for path, _ in named(emulator, workspace_id):
        ok(caller_of(emulator).patch(path, {"name": name}))


def name_all(emulator: Emulator, workspace_id: str, draw: Draw) -> None:
    every = named(emulator, workspace_id)
    size = len(every)
    names = draw(st.lists(NAMES, min_size=size, max_size=size, unique=True))
    for (path, _), name in zip(every, names, strict=True):
        ok(caller_of(emulator).patch(path, {"name": name}))


def name_the_workspace(emulator: Emulator, workspace_id: str, draw: Draw) -> None:
    ok(caller_of(emulator).patch(f"/workspaces/{workspace_id}", {"name": draw(NAMES)}))


def add_a_namesake(emulator: Emulator, workspace_id: str, draw: Draw) -> None:
    emulator.add_workspace(TEAM)


def schedule_as_the_old_ui(emulator: Emulator, workspace_id: str, draw: Draw) -> None:
    for connection in connections_of(emulator, workspace_id):
        connection.schedule = {"scheduleType": "basic", "basicTiming": "Every 24 HOURS"}


def select_nothing(emulator: Emulator, workspace_id: str, draw: Draw) -> None:
    for connection in connections_of(emulator, workspace_id):
        connection.streams = []


def use_a_connector_of_their_own(emulator: Emulator, workspace_id: str, draw: Draw) -> None:
    definition_id = emulator.add_definition(
        "source", draw(NAMES), spec=CUSTOM_SPEC, workspace_id=workspace_id
    )
    emulator.add_source(
        draw(NAMES),
        definition_id=definition_id,
        workspace_id=workspace_id,
        configuration={"{{ key }}": draw(TEXTS), "hidden": draw(NAMES)},
    )


Oddity = Callable[[Emulator, str, Draw], None]
ODDITIES: list[Oddity] = [
    name_alike,
    name_all,
    name_the_workspace,
    add_a_namesake,
    schedule_as_the_old_ui,
    select_nothing,
    use_a_connector_of_their_own,
]
CUSTOM_SPEC = {
    "type": "object",
    "properties": {
        "{{ key }}": {"type": "string"},
        "hidden": {"type": "string", "airbyte_secret": True},
    },
}


def secrets_of(emulator: Emulator, document: Any) -> dict[str, str]:
    """Return the value of each variable that the document refers to."""
    actors = [*emulator.sources.values(), *emulator.destinations.values()]
    plain = {each.name: each.configuration for each in actors if not each.deleted}
    found = [
        pair
        for each in (*document.get("sources", ()), *document.get("destinations", ()))
        for pair in _secrets(each["configuration"], plain[rendered(each["name"], {})])
    ]
    streams = {
        each.name: {stream["name"]: stream for stream in each.streams}
        for each in emulator.connections.values()
        if each.status != "deprecated"
    }
    for connection in document.get("connections", ()):
        of_connection = streams[rendered(connection["name"], {})]
        for stream in connection["streams"]:
            if isinstance(stream, Mapping):
                mappers = of_connection[stream["name"]]["mappers"]
                found += _secrets(stream.get("mappers", []), mappers)
    return dict(found)


def _secrets(value: Any, plain: Any) -> Iterator[tuple[str, str]]:
    """Yield the variables in *value*, and what is stored instead of them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, plain[key])
    elif isinstance(value, list):
        for item, stored in zip(value, plain, strict=True):
            yield from _secrets(item, stored)
    elif isinstance(value, str) and (match := re.search(r"var\.value\.get\('(\w+)'", value)):
        yield match[1], plain


def portable(emulator: Emulator, workspace_id: str) -> Any:
    """Return a workspace without its ids, times and states, and with its secrets."""
    caller = caller_of(emulator)
    workspace = ok(caller.get(f"/workspaces/{workspace_id}"))
    kinds: tuple[ActorKind, ...] = ("source", "destination")
    return {
        "workspace": (workspace["name"], workspace["notifications"]),
        "actors": {
            (kind, each.name): (
                each.definition_id,
                each.configuration,
                each.resource_allocation or {},
            )
            for kind in kinds
            for each in actors_of(emulator, workspace_id, kind)
        },
        "tags": {
            tag["name"]: tag["color"]
            for tag in ok(caller.get("/tags", workspaceIds=workspace_id))["data"]
        },
        "connections": {
            each.name: _portable_connection(emulator, ok(caller.get(f"/connections/{each.id}")))
            for each in connections_of(emulator, workspace_id)
        },
    }


def _portable_connection(emulator: Emulator, connection: Any) -> Any:
    ends = (
        emulator.sources[connection["sourceId"]].name,
        emulator.destinations[connection["destinationId"]].name,
    )
    stored = emulator.connections[connection["connectionId"]].streams
    settings = ("status", "schedule", "prefix", "namespaceDefinition")
    return (
        ends,
        {name: connection.get(name) for name in (*settings, "nonBreakingSchemaUpdatesBehavior")},
        sorted(tag["name"] for tag in connection["tags"]),
        {each["name"]: _portable_stream(each) for each in stored},
    )


def _portable_stream(stream: Mapping[str, Any]) -> Any:
    mappers = [{**mapper, "id": ""} for mapper in stream["mappers"]]
    return {**stream, "mappers": mappers}


def everything(emulator: Emulator) -> Any:
    caller = caller_of(emulator)
    return deepcopy(
        (
            emulator.sources,
            emulator.destinations,
            emulator.connections,
            ok(caller.get("/workspaces", limit=100)),
            sorted(ok(caller.get("/tags"))["data"], key=str),
        )
    )


def rendered(value: Any, variables: Mapping[str, str]) -> Any:
    """Render every text, as an operator does."""
    if isinstance(value, str):
        return jinja2.Environment().from_string(value).render(var={"value": variables})
    if isinstance(value, Mapping):
        return {key: rendered(each, variables) for key, each in value.items()}
    return [rendered(each, variables) for each in value] if isinstance(value, list) else value
