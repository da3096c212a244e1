"""Streams: what is valid, what differs, and what is sent so that nothing else is reset."""

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api.models.connections import (
    ConnectionStream,
    FieldPath,
    StreamProperties,
)
from airflow_provider_airbyte_sme.provisioning.declarations import StreamDeclaration
from airflow_provider_airbyte_sme.provisioning.results import MASK
from airflow_provider_airbyte_sme.provisioning.stream_rules import declared_problems
from airflow_provider_airbyte_sme.provisioning.streams import (
    StreamsPlan,
    declared_secrets,
    plan_streams,
)

ID, AMOUNT, UPDATED = ("id",), ("amount",), ("updated_at",)
ORDERS = StreamProperties(
    "orders",
    "public",
    sync_modes=(
        "full_refresh_append",
        "full_refresh_overwrite",
        "incremental_append",
        "incremental_deduped_history",
    ),
    fields=(ID, AMOUNT, UPDATED, ("address",), ("address", "city")),
)
# Its source defines both.
EVENTS = ORDERS._replace(
    name="events",
    default_cursor_field=UPDATED,
    source_defined_cursor=True,
    source_defined_primary_key=(ID, AMOUNT),
)
STORED_ORDERS = ConnectionStream(
    "orders", "public", sync_mode="incremental_append", cursor_field=UPDATED
)
STORED_EVENTS = ConnectionStream(
    "events",
    "public",
    sync_mode="incremental_deduped_history",
    cursor_field=UPDATED,
    primary_key=(ID, AMOUNT),
)
HASHING = {
    "type": "hashing",
    "mapperConfiguration": {
        "targetField": "amount",
        "method": "SHA-256",
        "fieldNameSuffix": "_hashed",
    },
}
SECRET = "3031323334353637"
AES = {
    "type": "encryption",
    "mapperConfiguration": {
        "algorithm": "AES",
        "targetField": "id",
        "fieldNameSuffix": "_encrypted",
        "key": SECRET,
        "mode": "CBC",
        "padding": "NoPadding",
    },
}
RSA = {
    "type": "encryption",
    "mapperConfiguration": {
        "algorithm": "RSA",
        "targetField": "id",
        "fieldNameSuffix": "_e",
        "publicKey": "30",
    },
}
AES_PATH = "streams.public.orders.mappers.0.mapperConfiguration.key"


def with_configuration(mapper: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**mapper, "mapperConfiguration": {**mapper["mapperConfiguration"], **fields}}


MASKED_AES = with_configuration(AES, key=MASK)
STORED_AES = {**MASKED_AES, "id": "aes-id"}
STORED_HASHING = {**HASHING, "id": "hashing-id"}


def orders(**fields: Any) -> StreamDeclaration:
    return StreamDeclaration("orders", "public", **fields)


def events(**fields: Any) -> StreamDeclaration:
    return StreamDeclaration("events", "public", **fields)


def planned(
    declared: StreamDeclaration,
    actual: ConnectionStream | None = STORED_ORDERS,
    offered: StreamProperties = ORDERS,
    **options: Any,
) -> StreamsPlan:
    return plan_streams((declared,), (actual,) if actual else (), (offered,), **options)


def changed_fields(plan: StreamsPlan) -> list[str]:
    return [change.field for change in plan.changes]


# What is known without Airbyte.


@pytest.mark.parametrize(
    ("stream", "problem"),
    [
        (orders(sync_mode="full"), "sync_mode: 'full' is not one of full_refresh_overwrite, "),
        (orders(cursor_field=("",)), "cursor_field: a field path is empty"),
        (orders(primary_key=((),)), "primary_key: a field path is empty"),
        (orders(primary_key=(ID, ID)), "primary_key: id declared more than once"),
        (orders(selected_fields=(ID, ID)), "selected_fields: id declared more than once"),
        (orders(selected_fields=(("address", "city"),)), "top-level fields only, not address.city"),
        (
            orders(
                sync_mode="incremental_deduped_history",
                primary_key=(ID,),
                cursor_field=UPDATED,
                selected_fields=(AMOUNT, UPDATED),
            ),
            "selected_fields: the primary key id must be among them",
        ),
        (
            orders(
                sync_mode="incremental_append", cursor_field=UPDATED, selected_fields=(ID, AMOUNT)
            ),
            "selected_fields: the cursor updated_at must be among them",
        ),
    ],
)
def test_an_invalid_stream_is_named_with_its_field(stream: StreamDeclaration, problem: str) -> None:
    [found] = declared_problems([stream])
    assert found.startswith("streams.public.orders.")
    assert problem in found


@pytest.mark.parametrize(
    ("mapper", "problem"),
    [
        ({"type": "masking"}, "type must be one of hashing, "),
        ({"type": ["hashing"]}, "type must be one of hashing, "),
        ({"type": "hashing"}, "missing: mapperConfiguration"),
        ({"type": "hashing", "mapperConfiguration": "SHA-1"}, "must be an object"),
        ({**HASHING, "typo": 1}, "unknown: typo"),
        (with_configuration(HASHING, method="sha"), "method must be one of MD2, MD5, SHA-1"),
        (
            {"type": "hashing", "mapperConfiguration": {"target": "amount"}},
            "missing: targetField, method, fieldNameSuffix",
        ),
        (
            {"type": "hashing", "mapperConfiguration": {"target": "amount"}},
            "unknown: target; known: targetField, method, fieldNameSuffix",
        ),
        ({"type": "field-renaming", "mapperConfiguration": {}}, "originalFieldName, newFieldName"),
        ({"type": "field-filtering", "mapperConfiguration": {}}, "missing: targetField"),
        (with_configuration(AES, algorithm="DES"), "algorithm must be one of AES, RSA"),
        (with_configuration(AES, mode="XTS"), "mode must be one of CBC"),
        (with_configuration(AES, padding="None"), "padding must be one of NoPadding, PKCS5Padding"),
        (with_configuration(AES, key=None), "missing: key"),
        (with_configuration(RSA, publicKey=None), "missing: publicKey"),
        (with_configuration(RSA, key=SECRET), "unknown: key"),
        ({"type": "row-filtering", "mapperConfiguration": {}}, "missing: conditions"),
        (
            {"type": "row-filtering", "mapperConfiguration": {"conditions": [1]}},
            "each condition must be an object with type EQUAL, NOT",
        ),
        (
            {
                "type": "row-filtering",
                "mapperConfiguration": {
                    "conditions": {"type": "NOT", "conditions": [{"type": "EQUAL"}]}
                },
            },
            "missing: fieldName, comparisonValue",
        ),
        (
            {
                "type": "row-filtering",
                "mapperConfiguration": {"conditions": {"type": "NOT", "conditions": "x"}},
            },
            "conditions of NOT must be a list",
        ),
    ],
)
def test_an_invalid_mapper_is_named_with_its_keys_and_without_its_secret(
    mapper: dict[str, Any], problem: str
) -> None:
    text = "; ".join(declared_problems([orders(mappers=(HASHING, mapper))]))
    assert "streams.public.orders.mappers.1: " in text
    assert problem in text
    assert SECRET not in text


def test_valid_mappers_are_no_problem() -> None:
    renaming = {
        "type": "field-renaming",
        "mapperConfiguration": {"originalFieldName": "id", "newFieldName": "key"},
    }
    equal = {"type": "EQUAL", "fieldName": "id", "comparisonValue": "1"}
    filtering = {
        "type": "row-filtering",
        "mapperConfiguration": {"conditions": {"type": "NOT", "conditions": [equal]}},
    }
    mappers = (STORED_HASHING, renaming, filtering, AES, MASKED_AES, RSA)
    assert declared_problems([orders(mappers=mappers)]) == []


def test_streams_that_are_declared_twice_or_not_at_all_are_problems() -> None:
    assert declared_problems([orders(), orders()]) == ["streams.public.orders: declared 2 times"]
    assert declared_problems([]) == ["streams: empty, so nothing would be synced"]
    assert declared_problems([orders(), replace(orders(), namespace="sales")]) == []


# What the source does not offer.


@pytest.mark.parametrize(
    ("stream", "offered", "problem"),
    [
        (
            StreamDeclaration("ordrs", "public"),
            ORDERS,
            "streams.public.ordrs: the source offers no such stream (did you mean "
            "public.orders?); it offers public.orders",
        ),
        (
            StreamDeclaration("ORDERS"),
            ORDERS,
            "streams.ORDERS: the source offers no such stream (did you mean "
            "public.orders?); it offers public.orders",
        ),
        (
            orders(sync_mode="incremental_update"),
            ORDERS,
            "streams.public.orders.sync_mode: source and destination do not support "
            "incremental_update; they support full_refresh_append, full_refresh_overwrite, "
            "incremental_append, incremental_deduped_history",
        ),
        (
            orders(selected_fields=(ID, ("amounts",))),
            ORDERS,
            "streams.public.orders.selected_fields: the stream has no field amounts (did you mean "
            "amount?); it has id, amount, updated_at, address, address.city",
        ),
        (
            orders(sync_mode="incremental_append", cursor_field=("zzz",)),
            ORDERS,
            "streams.public.orders.cursor_field: the stream has no field zzz; it has id, amount, "
            "updated_at, address, address.city",
        ),
        (
            orders(
                sync_mode="incremental_deduped_history", cursor_field=ID, primary_key=(("zzz",),)
            ),
            ORDERS,
            "streams.public.orders.primary_key: the stream has no field zzz; it has id, amount, "
            "updated_at, address, address.city",
        ),
        (
            orders(sync_mode="incremental_append"),
            ORDERS,
            "streams.public.orders.cursor_field: incremental_append needs one, and the source has "
            "no default",
        ),
        (
            orders(sync_mode="incremental_deduped_history", cursor_field=UPDATED),
            ORDERS,
            "streams.public.orders.primary_key: incremental_deduped_history needs one, and the "
            "source defines none",
        ),
        (
            events(sync_mode="incremental_append", cursor_field=ID),
            EVENTS,
            "streams.public.events.cursor_field: the source defines updated_at and allows no "
            "other; leave it out",
        ),
        (
            events(sync_mode="incremental_append", primary_key=(ID,)),
            EVENTS,
            "streams.public.events.primary_key: the source defines id, amount and allows no "
            "other; leave it out",
        ),
        (
            events(sync_mode="incremental_append", selected_fields=(ID, AMOUNT)),
            EVENTS,
            "streams.public.events.selected_fields: the cursor updated_at must be among them",
        ),
        (
            events(sync_mode="full_refresh_overwrite_deduped", selected_fields=(UPDATED, ID)),
            EVENTS,
            "streams.public.events.selected_fields: the primary key id, amount must be among them",
        ),
    ],
)
def test_what_airbyte_would_refuse_is_said_before_writing(
    stream: StreamDeclaration, offered: StreamProperties, problem: str
) -> None:
    assert planned(stream, None, offered).problems == (problem,)


def test_all_that_is_not_offered_is_said_at_once() -> None:
    plan = plan_streams(
        (StreamDeclaration("missing"), orders(sync_mode="incremental_append"), events()),
        (),
        (ORDERS,),
    )
    assert len(plan.problems) == 3


def test_many_offered_streams_are_not_all_listed() -> None:
    offered = [ORDERS._replace(name=f"table_{number:02}") for number in range(99)]
    [problem] = plan_streams((StreamDeclaration("xyz"),), (), offered).problems
    assert problem.endswith("public.table_09 and 89 more")


def test_the_mode_that_airbyte_never_lists_is_not_refused() -> None:
    stream = events(sync_mode="full_refresh_overwrite_deduped")
    assert planned(stream, None, EVENTS).problems == ()


def test_a_name_in_two_namespaces_needs_the_namespace() -> None:
    offered = (ORDERS, ORDERS._replace(namespace="sales"))
    [problem] = plan_streams((StreamDeclaration("orders"),), (), offered).problems
    assert problem == (
        "streams.orders: several streams have this name; declare namespace: 'public', 'sales'"
    )


def test_of_two_with_the_name_the_one_that_the_connection_has_is_meant() -> None:
    offered = (ORDERS._replace(namespace="sales"), ORDERS)
    stream = StreamDeclaration("orders", sync_mode="incremental_append")
    plan = plan_streams((stream,), (STORED_ORDERS,), offered)
    assert (plan.changes, plan.problems) == ((), ())


def test_of_two_that_the_connection_has_the_name_tells_nothing() -> None:
    stored = (STORED_ORDERS, replace(STORED_ORDERS, namespace="sales"))
    [problem] = plan_streams((StreamDeclaration("orders"),), stored, None).problems
    assert "declare namespace: 'public', 'sales'" in problem


def test_the_namespace_does_not_matter_where_the_name_is_unique() -> None:
    plan = planned(StreamDeclaration("orders", "PUBLIC", sync_mode="incremental_append"))
    assert (plan.changes, plan.problems) == ((), ())


def test_a_stream_declared_with_and_without_its_namespace_is_declared_twice() -> None:
    declared = (StreamDeclaration("orders"), orders())
    [problem] = plan_streams(declared, (), (ORDERS,)).problems
    assert "declared 2 times" in problem


# What differs.


@pytest.mark.parametrize(
    ("stream", "field", "before", "after"),
    [
        (
            orders(sync_mode="full_refresh_append"),
            "sync_mode",
            "incremental_append",
            "full_refresh_append",
        ),
        (orders(cursor_field=ID), "cursor_field", ["updated_at"], ["id"]),
        (orders(primary_key=(ID,)), "primary_key", [], [["id"]]),
        (
            orders(selected_fields=(ID, UPDATED)),
            "selected_fields",
            [],
            [["id"], ["updated_at"]],
        ),
        (orders(mappers=(AES,)), "mappers", [], [MASKED_AES]),
    ],
)
def test_a_declared_field_that_differs_is_a_change(
    stream: StreamDeclaration, field: str, before: Any, after: Any
) -> None:
    [change] = planned(stream).changes
    assert change == (f"streams.public.orders.{field}", before, after)


def test_what_is_not_declared_is_not_compared_but_listed() -> None:
    stored = replace(STORED_ORDERS, selected_fields=(ID, UPDATED), mappers=(STORED_HASHING,))
    plan = planned(orders(), stored)
    assert plan.changes == ()
    assert plan.not_compared == tuple(
        f"streams.public.orders.{name}"
        for name in ("sync_mode", "cursor_field", "selected_fields", "mappers")
    )


@pytest.mark.parametrize("mode", ["full_refresh_append", "full_refresh_overwrite"])
def test_cursor_and_key_that_airbyte_ignores_are_not_compared(mode: str) -> None:
    stored = replace(STORED_ORDERS, sync_mode=mode)
    plan = planned(orders(sync_mode=mode, cursor_field=ID, primary_key=(ID,)), stored)
    assert plan.changes == ()
    assert plan.not_compared == (
        f"streams.public.orders.cursor_field (Airbyte ignores it with {mode})",
        f"streams.public.orders.primary_key (Airbyte ignores it with {mode})",
    )


def test_a_key_in_another_order_is_the_same_key() -> None:
    plan = planned(events(primary_key=(AMOUNT, ID)), STORED_EVENTS, EVENTS)
    assert (plan.changes, plan.problems) == ((), ())


def test_a_cursor_path_in_another_order_is_another_cursor() -> None:
    stored = replace(STORED_ORDERS, cursor_field=("city", "address"))
    plan = planned(orders(cursor_field=("address", "city")), stored)
    assert changed_fields(plan) == ["streams.public.orders.cursor_field"]


def test_an_empty_cursor_and_key_mean_those_of_the_source() -> None:
    empty = events(cursor_field=(), primary_key=())
    assert planned(empty, STORED_EVENTS, EVENTS).changes == ()
    custom = replace(STORED_ORDERS, cursor_field=ID)
    offered = ORDERS._replace(default_cursor_field=UPDATED)
    [change] = planned(orders(cursor_field=()), custom, offered).changes
    assert change.after == ["updated_at"]


@pytest.mark.parametrize(
    ("declared", "stored", "expected"),
    [
        ((ID, UPDATED), (UPDATED, ID), None),
        ((ID, UPDATED), (UPDATED, AMOUNT, ID), None),
        ((ID, UPDATED, AMOUNT), (UPDATED, ID), {ID, UPDATED, AMOUNT}),
        ((ID, UPDATED), (UPDATED, AMOUNT), {ID, UPDATED, AMOUNT}),
        ((ID, UPDATED), (), {ID, UPDATED}),
        ((), (UPDATED, ID), set()),
        ((), (), None),
    ],
)
def test_selected_fields_are_added_and_never_lost(
    declared: tuple[FieldPath, ...],
    stored: tuple[FieldPath, ...],
    expected: set[FieldPath] | None,
) -> None:
    plan = planned(orders(selected_fields=declared), replace(STORED_ORDERS, selected_fields=stored))
    assert bool(plan.changes) is (expected is not None)
    if expected is not None:
        sent = plan.streams[0].get("selectedFields", [])
        assert {tuple(each["fieldPath"]) for each in sent} == expected


def test_a_field_that_is_not_declared_is_drift_only_if_exact() -> None:
    stored = replace(STORED_ORDERS, selected_fields=(ID, UPDATED, AMOUNT))
    declared = orders(selected_fields=(ID, UPDATED))
    assert "streams.public.orders.selected_fields.amount" in planned(declared, stored).not_compared
    [change] = planned(declared, stored, exact=True).changes
    assert change.after == [["id"], ["updated_at"]]


# What is sent.


def test_all_streams_are_sent_whole_when_one_differs() -> None:
    stored = replace(
        STORED_EVENTS,
        selected_fields=(ID, AMOUNT, UPDATED),
        mappers=(STORED_HASHING,),
        destination_object_name="target",
        other={"newField": 1},
    )
    plan = plan_streams((orders(cursor_field=ID),), (STORED_ORDERS, stored), (ORDERS, EVENTS))
    assert plan.streams == (
        {
            "name": "orders",
            "namespace": "public",
            "syncMode": "incremental_append",
            "cursorField": ["id"],
            "includeFiles": False,
        },
        {
            "name": "events",
            "namespace": "public",
            "syncMode": "incremental_deduped_history",
            "selectedFields": [{"fieldPath": [path[0]]} for path in (ID, AMOUNT, UPDATED)],
            "mappers": [STORED_HASHING],
            "includeFiles": False,
            "destinationObjectName": "target",
            "newField": 1,
        },
    )
    assert plan.not_compared[-1] == "streams.public.events"


def test_an_added_stream_is_one_change_with_its_declaration() -> None:
    declared = orders(sync_mode="incremental_append", cursor_field=UPDATED, mappers=(AES,))
    plan = plan_streams((declared,), (STORED_EVENTS,), (ORDERS, EVENTS))
    [change] = plan.changes
    assert change == (
        "streams.public.orders",
        None,
        {
            "name": "orders",
            "namespace": "public",
            "sync_mode": "incremental_append",
            "cursor_field": ["updated_at"],
            "mappers": [MASKED_AES],
        },
    )
    assert [each["name"] for each in plan.streams] == ["orders", "events"]
    assert plan.streams[0]["mappers"] == [AES]
    assert plan.secrets == (SECRET,)


def test_an_added_stream_gets_the_namespace_of_the_source() -> None:
    [sent] = planned(StreamDeclaration("orders"), None).streams
    assert sent["namespace"] == "public"


def test_streams_that_are_not_declared_go_only_if_exact() -> None:
    stored = (STORED_ORDERS, STORED_EVENTS)
    offered = (ORDERS, EVENTS)
    assert plan_streams((orders(),), stored, offered).changes == ()
    plan = plan_streams((orders(),), stored, offered, exact=True)
    [change] = plan.changes
    assert (change.field, change.after) == ("streams.public.events", None)
    assert [each["name"] for each in plan.streams] == ["orders"]


def test_what_the_source_offers_no_more_is_left_out_of_a_write() -> None:
    stored = replace(STORED_ORDERS, selected_fields=(ID, ("gone",), UPDATED))
    gone = replace(STORED_EVENTS, name="gone")
    written = plan_streams((orders(cursor_field=ID),), (stored, gone), (ORDERS,))
    assert changed_fields(written) == [
        "streams.public.orders.cursor_field",
        "streams.public.orders.selected_fields",
        "streams.public.gone",
    ]
    [sent] = written.streams
    assert sent["selectedFields"] == [{"fieldPath": ["id"]}, {"fieldPath": ["updated_at"]}]


def test_what_the_source_offers_no_more_is_no_reason_to_write() -> None:
    stored = replace(STORED_ORDERS, selected_fields=(ID, ("gone",), UPDATED))
    gone = replace(STORED_EVENTS, name="gone")
    assert plan_streams((orders(),), (stored, gone), (ORDERS,)).changes == ()


def test_all_adds_what_is_missing_and_leaves_the_rest_alone() -> None:
    plan = plan_streams("all", (STORED_ORDERS,), (ORDERS, EVENTS))
    assert plan.changes == (
        ("streams.public.events", None, {"name": "events", "namespace": "public"}),
    )
    assert plan.streams[0]["cursorField"] == ["updated_at"]
    assert plan.not_compared == ("streams.*",)
    assert plan_streams("all", (STORED_ORDERS, STORED_EVENTS), (ORDERS, EVENTS)).changes == ()


def test_a_selection_of_which_nothing_is_left_does_not_become_one_of_all_fields() -> None:
    stored = replace(STORED_EVENTS, selected_fields=(("gone",),))
    plan = plan_streams((orders(cursor_field=ID),), (STORED_ORDERS, stored), (ORDERS, EVENTS))
    assert plan.streams[1]["selectedFields"] == [{"fieldPath": ["gone"]}]


def test_a_cursor_is_not_sent_with_the_default_sync_mode() -> None:
    plan = planned(orders(cursor_field=ID), None)
    assert plan.streams == ({"name": "orders", "namespace": "public"},)


# Mappers and their secrets.


def test_the_id_of_an_equal_mapper_is_kept_in_any_order() -> None:
    stored = replace(STORED_ORDERS, mappers=(STORED_HASHING, STORED_AES))
    plan = planned(orders(mappers=(AES, HASHING)), stored)
    assert changed_fields(plan) == ["streams.public.orders.mappers"]
    assert plan.streams[0]["mappers"] == [STORED_AES, STORED_HASHING]
    assert plan.secrets == ()


def test_a_key_that_cannot_be_seen_is_no_difference() -> None:
    stored = replace(STORED_ORDERS, mappers=(STORED_AES,))
    assert planned(orders(mappers=(AES,)), stored).changes == ()
    assert planned(orders(mappers=(MASKED_AES,)), stored).changes == ()


def test_a_key_that_the_caller_knows_to_be_changed_is_written_with_the_id() -> None:
    stored = replace(STORED_ORDERS, mappers=(STORED_AES,))
    plan = planned(orders(mappers=(AES,)), stored, changed_keys={AES_PATH})
    assert plan.changes == ((AES_PATH, MASK, MASK),)
    assert plan.streams[0]["mappers"] == [{**AES, "id": "aes-id"}]
    assert plan.secrets == (SECRET,)


def test_the_mask_keeps_the_key_of_a_mapper_whose_settings_change() -> None:
    stored = replace(STORED_ORDERS, mappers=(STORED_HASHING, STORED_AES))
    declared = with_configuration(MASKED_AES, mode="GCM")
    plan = planned(orders(mappers=(declared,)), stored)
    assert plan.streams[0]["mappers"] == [{**declared, "id": "aes-id"}]
    assert plan.problems == ()


def test_a_mask_without_a_stored_key_is_a_problem() -> None:
    plan = planned(orders(mappers=(MASKED_AES,)))
    [problem] = plan.problems
    assert problem.startswith(f"{AES_PATH}: the mask keeps the stored key, and there is none")


def test_conditions_are_equal_with_keys_that_airbyte_added() -> None:
    equal = {"type": "EQUAL", "fieldName": "id", "comparisonValue": "1"}
    declared, stored = (
        {
            "type": "row-filtering",
            "mapperConfiguration": {"conditions": {"type": "NOT", "conditions": [condition]}},
        }
        for condition in (equal, {**equal, "added": None})
    )
    connection = replace(STORED_ORDERS, mappers=(stored,))
    assert planned(orders(mappers=(declared,)), connection).changes == ()
    assert planned(orders(mappers=(stored,)), replace(connection, mappers=(declared,))).changes


def test_an_id_that_airbyte_does_not_know_is_not_sent() -> None:
    plan = planned(orders(mappers=({**HASHING, "id": "of another connection"},)))
    assert plan.streams[0]["mappers"] == [HASHING]


def test_declared_secrets_are_found_by_their_path() -> None:
    declared = (orders(mappers=(AES, HASHING, MASKED_AES)), events(mappers=(RSA,)))
    assert declared_secrets(declared) == {AES_PATH: SECRET}
    assert declared_secrets("all") == {}
