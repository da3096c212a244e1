"""Lists without an order: a record that moves between two pages (docs/airbyte-api.md §7)."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import ok

ROUTES = {
    "workspaces": "workspaceId",
    "sources": "sourceId",
    "destinations": "destinationId",
    "connections": "connectionId",
}


@pytest.fixture(params=ROUTES)
def listing(request, emulator, caller):
    """A list of four records in pages of two: its route and a function that reads all pages."""
    for _ in range(3):
        getattr(emulator, f"add_{request.param.removesuffix('s')}")()
    key = ROUTES[request.param]

    def read():
        pages = [
            ok(caller.get(f"/{request.param}", limit=2, offset=offset))["data"] for offset in (0, 2)
        ]
        return [record[key] for page in pages for record in page]

    return f"GET /{request.param}", read


def test_a_record_that_moves_to_the_end_is_seen_twice(emulator, listing):
    route, read = listing
    first, second, _third, fourth = read()

    emulator.call_next(route, lambda: emulator.move_record(first, "last"), after=True)

    assert read() == [first, second, fourth, first]


def test_a_record_that_moves_to_the_start_is_never_seen(emulator, listing):
    route, read = listing
    first, second, third, fourth = read()

    emulator.call_next(route, lambda: emulator.move_record(fourth, "first"), after=True)

    assert read() == [first, second, second, third]
    assert read() == [fourth, first, second, third]


def test_lists_can_be_shuffled(emulator, listing):
    _, read = listing
    before = read()

    emulator.shuffle_lists(seed=1)

    assert read() != before
    assert sorted(read()) == sorted(before)


def test_only_known_records_can_be_moved(emulator):
    with pytest.raises(ValueError, match="there is no listed record 'x'"):
        emulator.move_record("x", "last")
