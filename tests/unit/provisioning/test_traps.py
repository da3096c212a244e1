"""What Airbyte does without a word, and others fall for. Over the emulator, which does it too."""

from __future__ import annotations

import json

import pytest

from airflow_provider_airbyte_sme.api import run_blocking
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteNotStoredError
from airflow_provider_airbyte_sme.provisioning.results import Action
from tests.emulator.conftest import caller_of, ok
from tests.unit.provisioning.pipelines import (
    CONNECTION,
    SOURCE,
    changed,
    configured,
    pipeline,
)

ORDERS = {"name": "orders", "sync_mode": "incremental_append", "cursor_field": "updated_at"}


def connected(*streams, **fields):
    """Return the pipeline with these streams."""
    return pipeline(connections=[changed(CONNECTION, streams=list(streams), **fields)])


def connection_of(results):
    return next(each for each in results if each.kind == "connection")


def sent_streams(world):
    """Return every stream of every write of a connection."""
    bodies = [
        json.loads(each.body)
        for each in world.wire.requests
        if "/connections" in each.url and each.method in ("POST", "PATCH") and each.body
    ]
    return [
        stream for body in bodies for stream in body.get("configurations", {}).get("streams", ())
    ]


@pytest.mark.parametrize("empty", [None, []])
@pytest.mark.parametrize("field", ["selected_fields", "mappers", "cursor_field", "primary_key"])
def test_null_absent_and_an_empty_list_are_one(world, field, empty):
    plain = {"name": "orders", "sync_mode": "full_refresh_append"}
    world.apply(connected(plain, tags=empty or []))

    result = connection_of(world.apply(connected({**plain, field: empty}, tags=empty)))

    assert result.action == Action.UNCHANGED


def test_an_empty_selection_is_never_sent(world):
    world.apply(connected({**ORDERS, "selected_fields": ["id", "updated_at"]}))
    all_fields = {**ORDERS, "selected_fields": []}

    world.apply(connected(all_fields, "customers"))

    assert connection_of(world.apply(connected(all_fields))).action == Action.UNCHANGED
    assert [each for each in sent_streams(world) if each.get("selectedFields") == []] == []


def test_selected_fields_come_back_in_another_order_and_are_no_drift(world):
    declared = connected({**ORDERS, "selected_fields": ["updated_at", "id"]})
    connection_id = connection_of(world.apply(declared)).resource_id

    stored = run_blocking(world.client.connections.get(connection_id)).streams[0]
    assert stored.selected_fields == (("id",), ("updated_at",))
    assert connection_of(world.apply(declared)).action == Action.UNCHANGED


def test_a_key_and_a_cursor_that_the_source_defines_are_not_sent(world):
    users = {"name": "users", "sync_mode": "incremental_deduped_history"}
    faker = {"name": "CRM", "source_type": "faker", "configuration": {}}

    world.apply({**connected(users), "sources": [faker]})

    assert not {"cursorField", "primaryKey"} & set(sent_streams(world)[0])


def test_a_namespace_format_that_does_not_count_is_no_drift(world):
    custom = {"namespace_definition": "custom_format", "namespace_format": "x"}
    world.apply(connected("orders", **custom))
    world.apply(connected("orders", namespace_definition="source"))

    result = connection_of(world.apply(connected("orders", namespace_definition="source")))

    assert result.action == Action.UNCHANGED
    assert "namespace_format" not in result.not_compared


@pytest.mark.parametrize("setting", ["propagate_columns", "propagate_fully"])
def test_what_schema_propagation_added_is_drift_only_if_exact(world, setting):
    fields = {"schema_changes": setting}
    stream = {**ORDERS, "selected_fields": ["id", "updated_at"]}
    results = world.apply(connected(stream, **fields))
    columns = [["id"], ["updated_at"], ["added"]]
    table = {"namespace": "public", "primary_key": [["id"]], "fields": columns}
    world.emulator.change_streams(
        next(each.resource_id for each in results if each.kind == "source"),
        [{"name": name, **table} for name in ("customers", "orders", "invoices")],
    )

    loose = connection_of(world.apply(connected(stream, **fields)))
    exact = connection_of(world.apply(connected(stream, **fields, exact=True)))

    assert loose.action == Action.UNCHANGED
    assert "streams.orders.selected_fields.added" in loose.not_compared
    assert "streams.orders.selected_fields" in {change.field for change in exact.changes}
    left = run_blocking(world.client.connections.get(exact.resource_id)).streams
    assert [(each.name, each.selected_fields) for each in left] == [
        ("orders", (("id",), ("updated_at",)))
    ]


def test_a_tag_that_vanishes_on_the_way_is_noticed(world):
    results = world.apply(connected("orders", tags=[]))
    tag_id = next(each.resource_id for each in results if each.kind == "tag")
    world.emulator.call_next(
        "PATCH /connections/{connectionId}",
        lambda: ok(caller_of(world.emulator).delete(f"/tags/{tag_id}"), 204),
    )

    with pytest.raises(AirbyteNotStoredError, match="tags: declared"):
        world.apply(connected("orders", tags=["gold"]))


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_a_deleted_actor_is_never_revived(world, kind):
    first = {each.kind: each.resource_id for each in world.apply(pipeline())}
    ok(caller_of(world.emulator).delete(f"/{kind}s/{first[kind]}"), 204)

    second = {each.kind: each for each in world.apply(pipeline())}

    assert second[kind].action == second["connection"].action == Action.CREATED
    assert second[kind].resource_id != first[kind]
    assert second["connection"].resource_id != first["connection"]


def test_a_nested_type_of_a_source_does_not_choose_the_connector(world):
    nested = {
        "name": "CRM",
        "source_type": "hubspot",
        "configuration": {"proxy": {"sourceType": "faker"}},
    }

    results = world.apply(pipeline(sources=[nested], connections=[]))

    source_id = next(each.resource_id for each in results if each.kind == "source")
    assert run_blocking(world.client.sources.get(source_id)).connector == "hubspot"


def test_a_key_is_removed_by_a_replacement_with_all_secrets(world):
    world.apply(pipeline(sources=[configured(SOURCE, jdbc_url_params="a=b")], connections=[]))

    results = world.apply(
        pipeline(sources=[configured(SOURCE, jdbc_url_params=None)], connections=[])
    )

    source = next(each for each in results if each.kind == "source")
    stored = world.emulator.sources[source.resource_id].configuration
    assert stored == SOURCE["configuration"]
    assert "PUT /sources/{sourceId}" in world.writes
