"""
One run reaches any declared state, whatever others did, and the second run writes nothing.

Longer than in every test run:
``AIRBYTE_EXAMPLES=2000 pytest tests/unit/provisioning -k property --timeout=0``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import AirbyteBadRequestError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteStateLossError,
)
from airflow_provider_airbyte_sme.provisioning.results import Action, ResourceResult
from tests.unit.provisioning.conftest import World
from tests.unit.provisioning.documents import Document, documents, examples, shapes
from tests.unit.provisioning.drift import CHANGES
from tests.unit.provisioning.expectations import MASK, Snapshot, check, snapshot

# A secret that nobody declares cannot be sent again, and what is gone cannot be synced.
REFUSALS = (
    "must be declared with its value|the source offers no such stream|the stream has no field"
)
# Airbyte's own: a mapper that nobody declares, of a field that the source does not offer any more.
REFUSED_MAPPER = "Mapper validation failed"


@examples(12)
@given(st.data())
def test_property_one_run_reaches_the_declared_state_and_the_second_writes_nothing(data):
    world = World()
    shape = data.draw(shapes())
    declared = data.draw(documents(shape))
    assert all(each.action == Action.CREATED for each in world.apply(declared))
    check(None, snapshot(world.emulator), declared)
    changes = st.lists(st.sampled_from(CHANGES), min_size=2, max_size=4, unique=True)
    for wanted in (declared, data.draw(documents(shape))):
        _run_syncs(world)
        for change in data.draw(changes):
            change(world, data.draw)
        _assert_converges(world, wanted)


@examples(20)
@given(st.data())
def test_property_no_fault_makes_two_of_one_or_loses_a_change(data):
    world = World()
    shape = data.draw(shapes())
    before = None
    if data.draw(st.booleans()):
        world.apply(data.draw(documents(shape)))
        before = snapshot(world.emulator)
    wanted = data.draw(documents(shape))
    faults = data.draw(st.dictionaries(WRITES, st.sampled_from(FAULTS), min_size=3, max_size=6))
    for route, fault in faults.items():
        fault(world.emulator, route)

    crashes = _crashes_until_applied(world, wanted)

    assert crashes <= len(faults)
    world.emulator.clear_faults()
    check(before, snapshot(world.emulator), wanted)
    _assert_unchanged(world, wanted)
    _assert_no_mask_was_sent(world, 0)


class CrashError(BaseException):
    """The process of a run ends."""


def _crash() -> None:
    raise CrashError


def _crashes_until_applied(world: World, wanted: Document) -> int:
    """Apply as often as it crashes, and return how often that was."""
    for crashes in count():
        try:
            world.apply(deepcopy(wanted))
        except CrashError:
            continue
        return crashes
    raise AssertionError  # the loop returns


FAULTS: list[Callable[[Emulator, str], None]] = [
    lambda emulator, route: emulator.fail_next(route, 503),
    lambda emulator, route: emulator.fail_next(route, 503, after=True),
    lambda emulator, route: emulator.html_next(route, status=502, after=True),
    lambda emulator, route: emulator.drop_next(route, after=False),
    lambda emulator, route: emulator.drop_next(route),
    lambda emulator, route: emulator.call_next(route, _crash),
    lambda emulator, route: emulator.call_next(route, _crash, after=True),
]
WRITES = st.sampled_from(
    [
        *(f"POST /{kind}s" for kind in ("workspace", "tag", "source", "destination", "connection")),
        *("PATCH /workspaces/{workspaceId}", "PATCH /tags/{tagId}"),
        *("PATCH /sources/{sourceId}", "PUT /sources/{sourceId}"),
        *("PATCH /destinations/{destinationId}", "PUT /destinations/{destinationId}"),
        "PATCH /connections/{connectionId}",
    ]
)


def _assert_converges(world: World, wanted: Document) -> None:
    before = snapshot(world.emulator)
    states = _states(world)
    planned = _run(world, wanted, dry_run=True)
    assert snapshot(world.emulator) == before
    sent = len(world.wire.requests)

    done = _run(world, wanted)

    after = snapshot(world.emulator)
    _assert_no_mask_was_sent(world, sent)
    _assert_states_kept(before, after, states, _states(world), wanted)
    if isinstance(planned, Exception) or isinstance(done, Exception):
        if isinstance(planned, Exception):
            assert (type(planned), str(planned)) == (type(done), str(done))
        else:
            # Only a connector that runs tells what a new connection could not sync.
            is_new = ("connection", Action.WOULD_CREATE) in {each[:2] for each in planned}
            assert is_new or REFUSED_MAPPER in str(done)
        if isinstance(done, AirbyteStateLossError):
            for each in wanted["connections"]:
                each["allow_state_loss"] = True
            _assert_converges(world, wanted)
        else:
            assert re.search(f"{REFUSALS}|{REFUSED_MAPPER}", str(done))
        return
    _assert_predicted(planned, done)
    check(before, after, wanted)
    _assert_unchanged(world, wanted)


def _run(
    world: World, document: Document, *, dry_run: bool = False
) -> list[ResourceResult] | Exception:
    writes = world.writes
    try:
        return world.apply(deepcopy(document), dry_run=dry_run)
    except (AirbyteStateLossError, AirbyteDeclarationError, AirbyteBadRequestError) as error:
        return error
    finally:
        assert not dry_run or world.writes == writes


def _assert_unchanged(world: World, document: Document) -> None:
    before, writes = snapshot(world.emulator), world.writes
    results = world.apply(document)
    assert [each for each in results if each.action != Action.UNCHANGED] == []
    assert world.writes == writes
    assert snapshot(world.emulator) == before


def _assert_predicted(planned: list[ResourceResult], done: list[ResourceResult]) -> None:
    assert [_summary(each) for each in done] == [_summary(each) for each in planned]


def _summary(result: ResourceResult) -> tuple[Any, ...]:
    fields = {change.field for change in result.changes}
    if result.action in (Action.CREATED, Action.WOULD_CREATE):
        # Which streams a source offers is not known before its connector has run.
        fields = {field for field in fields if not field.startswith("streams.")}
    return result.kind, result.name, result.action.planned(), fields


def _assert_no_mask_was_sent(world: World, start: int) -> None:
    for request in world.wire.requests[start:]:
        body = json.loads(request.body) if request.body else {}
        for stream in body.get("configurations", {}).get("streams", ()):
            # Only the known id of a mapper makes Airbyte keep the key behind its mask.
            stream["mappers"] = [each for each in stream.get("mappers", ()) if "id" not in each]
        assert MASK not in json.dumps(body)
        assert "secret_coordinate::" not in json.dumps(body)


def _run_syncs(world: World) -> None:
    for connection in world.emulator.connections.values():
        if connection.status == "active":
            world.emulator.start_sync(connection.id)
    world.emulator.advance(3600)


def _states(world: World) -> Mapping[str, set[str]]:
    """Return the streams that have a state, for each connection by its id."""
    return {
        connection.id: {
            each["streamDescriptor"]["name"]
            for each in (connection.state or {}).get("streamState", ())
        }
        for connection in world.emulator.connections.values()
    }


def _assert_states_kept(
    before: Snapshot,
    after: Snapshot,
    old: Mapping[str, set[str]],
    new: Mapping[str, set[str]],
    wanted: Document,
) -> None:
    allowed = {each["name"] for each in wanted["connections"] if each.get("allow_state_loss")}
    for name, connection in after.connections.items():
        lost = old.get(connection.id, set()) - new[connection.id]
        left = {each["name"] for each in connection.streams}
        assert name in allowed or not lost & left
