"""What others do to a pipeline: in the UI, through the API, and in the sources themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from airflow_provider_airbyte_sme.provisioning.secrets import MemoryStore
from tests.emulator.conftest import caller_of, ok
from tests.unit.provisioning.conftest import World
from tests.unit.provisioning.documents import SECRETS
from tests.unit.provisioning.expectations import MASK, offered, snapshot

Draw = Callable[[st.SearchStrategy[Any]], Any]
Change = Callable[[World, Draw], None]


def _ids(world: World, kind: str) -> list[str]:
    actors = snapshot(world.emulator).actors
    return [actor.id for (each, _), actor in actors.items() if each == kind]


def edit_a_source(world: World, draw: Draw) -> None:
    for source_id in _ids(world, "source"):
        configuration = _source(world, source_id)["configuration"]
        if changed := {
            key: f"{value}x"
            for key, value in configuration.items()
            if isinstance(value, str) and value != MASK
        }:
            ok(caller_of(world.emulator).patch(f"/sources/{source_id}", {"configuration": changed}))


def _source(world: World, source_id: str) -> Any:
    return ok(caller_of(world.emulator).get(f"/sources/{source_id}"))


def rewrite_a_secret(world: World, draw: Draw) -> None:
    kind = draw(st.sampled_from(["source", "destination"]))
    for actor_id in _ids(world, kind):
        stored = ok(caller_of(world.emulator).get(f"/{kind}s/{actor_id}"))["configuration"]
        secrets = {
            key: draw(SECRETS | st.just(MASK)) for key, value in stored.items() if value == MASK
        }
        ok(caller_of(world.emulator).patch(f"/{kind}s/{actor_id}", {"configuration": secrets}))


def allocate_resources(world: World, draw: Draw) -> None:
    allocation = {"default": {"memory_limit": "2Gi"}}
    for source_id in _ids(world, "source"):
        ok(
            caller_of(world.emulator).patch(
                f"/sources/{source_id}", {"resourceAllocation": allocation}
            )
        )


def add_an_undeclared_setting(world: World, draw: Draw) -> None:
    for source_id in _ids(world, "source"):
        setting = {"configuration": {"by_hand": draw(st.integers(0, 2))}}
        ok(caller_of(world.emulator).patch(f"/sources/{source_id}", setting))


def edit_connections(world: World, draw: Draw) -> None:
    edit = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "prefix": st.sampled_from(["", "theirs_"]),
                "status": st.sampled_from(["active", "inactive"]),
                "schedule": st.sampled_from(
                    [
                        {"scheduleType": "manual"},
                        {"scheduleType": "cron", "cronExpression": "0 0 5 * * ?"},
                    ]
                ),
                "namespaceDefinition": st.sampled_from(["source", "destination"]),
                "nonBreakingSchemaUpdatesBehavior": st.sampled_from(["ignore", "propagate_fully"]),
                "tags": st.just([]),
            },
        )
    )
    for connection in snapshot(world.emulator).connections.values():
        ok(caller_of(world.emulator).patch(f"/connections/{connection.id}", edit))


def edit_streams(world: World, draw: Draw) -> None:
    """Reduce each connection to one stream, without all that was set."""
    for connection in snapshot(world.emulator).connections.values():
        stream = draw(st.sampled_from(connection.streams))
        only = {"name": stream["name"], "syncMode": draw(st.sampled_from(FULL_MODES))}
        if "namespace" in stream:
            only["namespace"] = stream["namespace"]
        edit = {"configurations": {"streams": [only]}}
        ok(caller_of(world.emulator).patch(f"/connections/{connection.id}", edit))


def change_the_modes(world: World, draw: Draw) -> None:
    """Change the sync mode of each stream that is read as a whole, and nothing else of it."""
    caller = caller_of(world.emulator)
    for connection in snapshot(world.emulator).connections.values():
        streams = ok(caller.get(f"/connections/{connection.id}"))["configurations"]["streams"]
        for stream in streams:
            if stream["syncMode"] in FULL_MODES:
                stream["syncMode"] = draw(st.sampled_from(FULL_MODES))
            if not stream["selectedFields"]:
                del stream["selectedFields"]
        edit = {"configurations": {"streams": streams}}
        caller.patch(f"/connections/{connection.id}", edit)  # refused if a stream is gone


FULL_MODES = ("full_refresh_overwrite", "full_refresh_append")


def tag_connections(world: World, draw: Draw) -> None:
    found = snapshot(world.emulator)
    workspace_id = found.workspace["workspaceId"]
    name = f"theirs {len(found.colors)}"
    caller = caller_of(world.emulator)
    tag = ok(caller.post("/tags", {"name": name, "color": "000000", "workspaceId": workspace_id}))
    for connection_id in (each.id for each in found.connections.values()):
        tags = [*ok(caller.get(f"/connections/{connection_id}"))["tags"], tag]
        ok(caller.patch(f"/connections/{connection_id}", {"tags": tags}))


def recolor_or_delete_tags(world: World, draw: Draw) -> None:
    caller = caller_of(world.emulator)
    workspace_id = snapshot(world.emulator).workspace["workspaceId"]
    for tag in ok(caller.get("/tags", workspaceIds=workspace_id))["data"]:
        if draw(st.booleans()):
            ok(caller.delete(f"/tags/{tag['tagId']}"), 204)
        else:
            ok(caller.patch(f"/tags/{tag['tagId']}", {"name": tag["name"], "color": "123456"}))


def delete_a_resource(world: World, draw: Draw) -> None:
    found = snapshot(world.emulator)
    paths = [f"/{kind}s/{actor.id}" for (kind, _), actor in found.actors.items()]
    paths += [f"/connections/{each.id}" for each in found.connections.values()]
    ok(caller_of(world.emulator).delete(draw(st.sampled_from(paths))), 204)


def change_the_schema(world: World, draw: Draw) -> None:
    """Add a field to each stream of a source, and a stream; or take the last ones away."""
    source_id = draw(st.sampled_from(_ids(world, "source")))
    streams = offered(world.emulator.sources[source_id])
    if draw(st.booleans()):
        number = draw(st.integers(0, 9))
        streams = [{**each, "fields": [*each["fields"], [f"new_{number}"]]} for each in streams]
        streams.append({**streams[0], "name": f"new_{number}"})
    else:
        streams = [{**each, "fields": each["fields"][:-1]} for each in streams]
        streams = streams[: draw(st.integers(1, len(streams)))]
    # What Airbyte has not noticed, a dry run, which runs no connector, cannot predict.
    world.emulator.change_streams(source_id, streams)


def rename(world: World, draw: Draw) -> None:
    for connection in snapshot(world.emulator).connections.values():
        name = draw(st.just(connection.name) | st.just(f"{connection.name} old"))
        ok(caller_of(world.emulator).patch(f"/connections/{connection.id}", {"name": name}))


def shuffle(world: World, draw: Draw) -> None:
    world.emulator.shuffle_lists(draw(st.integers(0, 9)))


def disable(world: World, draw: Draw) -> None:
    for connection in snapshot(world.emulator).connections.values():
        world.emulator.set_connection_status(connection.id, "inactive")


def forget_the_secrets(world: World, draw: Draw) -> None:
    world.store = MemoryStore()


CHANGES: list[Change] = [
    edit_a_source,
    rewrite_a_secret,
    allocate_resources,
    add_an_undeclared_setting,
    edit_connections,
    edit_streams,
    change_the_modes,
    tag_connections,
    recolor_or_delete_tags,
    delete_a_resource,
    change_the_schema,
    rename,
    shuffle,
    disable,
    forget_the_secrets,
]
