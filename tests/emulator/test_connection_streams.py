"""The streams of a connection: what is stored, rebuilt and masked (docs/airbyte-api.md §4.4)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.emulator.conftest import UNKNOWN_ID, ok, problem

AES_KEY = "00112233445566778899aabbccddeeff"
HASHING: dict[str, Any] = {
    "type": "hashing",
    "mapperConfiguration": {"targetField": "b", "method": "SHA-256", "fieldNameSuffix": "_h"},
}


def encryption(key: str = AES_KEY, **fields: Any) -> dict[str, Any]:
    configuration = {
        "algorithm": "AES",
        "targetField": "b",
        "fieldNameSuffix": "_e",
        "key": key,
        "mode": "CTR",
        "padding": "NoPadding",
    }
    return {"type": "encryption", "mapperConfiguration": configuration, **fields}


@pytest.fixture
def select(emulator, caller):
    """Return a function that patches the streams of a connection with one keyed table."""
    table = {
        "name": "items",
        "namespace": "shop",
        "fields": [["a"], ["b"], ["c"], ["c", "d"], ["at"]],
        "primary_key": [["a"]],
        "cursor_field": ["at"],
    }
    source_id = emulator.add_source(streams=[table, {"name": "notes", "fields": [["x"], ["y"]]}])
    connection_id = emulator.add_connection(source_id=source_id)

    def patch(*streams):
        path = f"/connections/{connection_id}"
        return caller.patch(path, {"configurations": {"streams": list(streams)}})

    return patch


@pytest.fixture
def select_one(select):
    """Return a function that selects one stream and returns how it is stored."""
    return lambda **fields: ok(select(fields))["configurations"]["streams"][0]


class TestStoring:
    def test_a_namespace_is_ignored_if_only_one_stream_has_the_name(self, select_one):
        assert select_one(name="items", namespace="elsewhere")["namespace"] == "shop"

    def test_a_namespace_decides_between_streams_of_one_name(self, emulator, caller):
        source_id = emulator.add_source(
            streams=[{"name": "t", "namespace": "a"}, {"name": "t", "namespace": "b"}]
        )
        path = f"/connections/{emulator.add_connection(source_id=source_id)}"

        def patch(**fields):
            return caller.patch(path, {"configurations": {"streams": [{"name": "t", **fields}]}})

        assert ok(patch(namespace="b"))["configurations"]["streams"][0]["namespace"] == "b"
        message = problem(patch(), 400)["data"]["message"]
        assert message.startswith("No streams found with name [t] and namespace [null].")

    def test_selected_fields_come_in_the_order_of_the_schema(self, select_one):
        fields = [{"fieldPath": [name]} for name in ("c", "b", "a")]

        stored = select_one(name="items", selectedFields=fields)

        assert stored["selectedFields"] == [{"fieldPath": [name]} for name in ("a", "b", "c")]

    def test_what_get_returns_cannot_be_sent_back(self, select, select_one):
        stored = select_one(name="items")

        message = problem(select(stored), 400)["data"]["message"]

        assert stored["selectedFields"] == []
        assert message == (
            "No fields selected for stream items. The list of valid field names includes: "
            "[a, b, c, at]."
        )

    @pytest.mark.parametrize("mode", [None, "full_refresh_overwrite", "full_refresh_append"])
    def test_full_refresh_ignores_the_cursor_and_the_key_that_are_sent(self, select_one, mode):
        stored = select_one(name="notes", syncMode=mode, cursorField=["x"], primaryKey=[["y"]])

        assert (stored["cursorField"], stored["primaryKey"]) == ([], [])

    def test_a_deduplicated_full_refresh_keeps_the_key_but_not_the_cursor(self, select_one):
        mode = "full_refresh_overwrite_deduped"

        stored = select_one(name="notes", syncMode=mode, cursorField=["x"], primaryKey=[["y"]])

        assert (stored["cursorField"], stored["primaryKey"]) == ([], [["y"]])

    def test_the_key_of_the_source_can_be_sent_as_it_is(self, select_one):
        mode = "incremental_deduped_history"

        stored = select_one(name="items", syncMode=mode, primaryKey=[["a"]], cursorField=["c", "d"])

        assert (stored["cursorField"], stored["primaryKey"]) == (["c", "d"], [["a"]])

    def test_a_patch_rebuilds_every_stream_from_the_discovered_one(self, select_one):
        select_one(
            name="items",
            syncMode="incremental_append",
            cursorField=["c"],
            selectedFields=[{"fieldPath": ["a"]}, {"fieldPath": ["c"]}],
            destinationObjectName="things",
        )

        assert select_one(name="items") == {
            "name": "items",
            "namespace": "shop",
            "syncMode": "full_refresh_overwrite",
            "cursorField": ["at"],
            "primaryKey": [["a"]],
            "selectedFields": [],
            "mappers": [],
            "includeFiles": False,
        }

    def test_a_key_that_repeats_a_column_is_rejected(self, emulator, caller):
        fields = [["a"], ["a", "a"]]
        source_id = emulator.add_source(streams=[{"name": "t", "fields": fields}])
        connection_id = emulator.add_connection(source_id=source_id)
        stream = {
            "name": "t",
            "syncMode": "incremental_deduped_history",
            "cursorField": ["a"],
            "primaryKey": [["a", "a"]],
        }

        response = caller.patch(
            f"/connections/{connection_id}", {"configurations": {"streams": [stream]}}
        )

        assert problem(response, 400)["data"]["message"] == (
            "Duplicate primary key detected for stream: t, please don't provide the same column "
            "more than once. Key: [[a, a]]"
        )

    def test_one_stream_with_and_without_its_namespace_is_an_unexpected_problem(
        self, emulator, caller, select
    ):
        twice = [{"name": "items"}, {"name": "items", "namespace": "shop"}]
        source_id = list(emulator.sources)[-1]
        body = {"sourceId": source_id, "destinationId": emulator.destination_id}

        patched = problem(select(*twice), 500)
        created = problem(
            caller.post("/connections", {**body, "configurations": {"streams": twice}}), 500
        )

        assert patched["data"]["message"] == "Catalog contains duplicate stream names: shop.items"
        assert created["data"] is None

    def test_files_cannot_be_transferred(self, select):
        error = problem(select({"name": "items", "includeFiles": True}), 400)

        assert error["type"].endswith("/file-transfer/connection-unsupported")
        assert error["data"] == {"streams": [{"streamName": "items", "streamNamespace": "shop"}]}

    def test_a_seeded_connection_can_only_select_streams_of_its_source(self, emulator):
        with pytest.raises(ValueError, match="the source has no stream 'nothing', only"):
            emulator.add_connection(streams=[{"name": "nothing"}])


class TestMappers:
    def test_a_mapper_gets_an_id_each_time_it_is_sent_without_one(self, select_one):
        first, second = (
            select_one(name="items", mappers=[HASHING])["mappers"][0]["id"] for _ in range(2)
        )

        assert uuid.UUID(first) != uuid.UUID(second)

    def test_an_id_that_is_sent_is_kept(self, select_one):
        assert select_one(name="items", mappers=[{**HASHING, "id": UNKNOWN_ID}])["mappers"] == [
            {**HASHING, "id": UNKNOWN_ID}
        ]

    def test_a_key_is_masked_and_its_mask_is_restored_by_id(self, emulator, select_one):
        (mapper,) = select_one(name="items", mappers=[encryption()])["mappers"]
        assert mapper["mapperConfiguration"]["key"] == "**********"

        select_one(name="items", mappers=[mapper])

        (stored,) = list(emulator.connections.values())[-1].streams[0]["mappers"]
        assert stored["mapperConfiguration"]["key"] == AES_KEY

    @pytest.mark.parametrize("identifier", [{}, {"id": UNKNOWN_ID}])
    def test_a_mask_without_a_known_id_is_rejected(self, select, select_one, identifier):
        select_one(name="items", mappers=[encryption()])

        response = select({"name": "items", "mappers": [encryption("**********", **identifier)]})

        error = problem(response, 400)
        assert error["type"] == "error:mapper-validation/secret-not-found"
        assert error["data"]["mapperType"] == "encryption"

    @pytest.mark.parametrize(
        ("mapper", "kind"),
        [
            ({"type": "hashing", "mapperConfiguration": {}}, "missing-required-param"),
            ({"type": "encryption", "mapperConfiguration": {}}, "missing-required-param"),
            (
                {"type": "encryption", "mapperConfiguration": {"algorithm": "DES"}},
                "invalid-config",
            ),
            (
                {
                    "type": "hashing",
                    "mapperConfiguration": {**HASHING["mapperConfiguration"], "method": "CRC"},
                },
                "invalid-config",
            ),
            ({"type": "row-filtering", "mapperConfiguration": {}}, "missing-required-param"),
            (
                {"type": "row-filtering", "mapperConfiguration": {"conditions": {"type": "OR"}}},
                "invalid-config",
            ),
            (
                {
                    "type": "row-filtering",
                    "mapperConfiguration": {
                        "conditions": {"type": "NOT", "conditions": [{"type": "EQUAL"}]}
                    },
                },
                "missing-required-param",
            ),
        ],
    )
    def test_an_incomplete_or_wrong_mapper_is_rejected(self, select, mapper, kind):
        error = problem(select({"name": "items", "mappers": [mapper]}), 400)

        assert error["type"] == f"error:mapper-validation/{kind}"
        assert error["data"]["mapperType"] == mapper["type"]

    @pytest.mark.parametrize(
        ("mappers", "reason"),
        [
            ([HASHING, HASHING], "FIELD_ALREADY_EXISTS"),
            (
                [
                    {
                        "type": "field-renaming",
                        "mapperConfiguration": {"originalFieldName": "b", "newFieldName": "c"},
                    }
                ],
                "FIELD_ALREADY_EXISTS",
            ),
            (
                [{"type": "field-filtering", "mapperConfiguration": {"targetField": "z"}}],
                "FIELD_NOT_FOUND",
            ),
            ([encryption("not hexadecimal")], "INVALID_MAPPER_CONFIG"),
        ],
    )
    def test_a_mapper_that_cannot_be_applied_is_rejected(self, select, mappers, reason):
        error = problem(select({"name": "items", "mappers": mappers}), 400)

        assert error["type"] == "error:mapper-validation"
        (found,) = error["data"]["errors"]
        assert (found["stream"], found["error"]) == ("items", reason)
        assert "not hexadecimal" not in str(error)

    def test_row_filters_and_a_chain_of_mappers_are_accepted(self, select_one):
        row_filter = {
            "id": UNKNOWN_ID,
            "type": "row-filtering",
            "mapperConfiguration": {
                "conditions": {
                    "type": "NOT",
                    "conditions": [{"type": "EQUAL", "fieldName": "b", "comparisonValue": "1"}],
                }
            },
        }
        removal = {"type": "field-filtering", "mapperConfiguration": {"targetField": "b_h"}}

        mappers = select_one(name="items", mappers=[row_filter, HASHING, removal])["mappers"]

        assert mappers[0] == row_filter
        assert len(mappers) == 3


class TestSchemaChanges:
    OLD = ("a", "b")
    NEW = ("a", "n", "b")

    def connection(self, emulator, caller, setting):
        """Create a connection with selected fields whose source then gains a field and a stream."""
        self.source_id = emulator.add_source(
            streams=[{"name": "t", "fields": [[n] for n in self.OLD]}, "gone"]
        )
        connection_id = emulator.add_connection(
            source_id=self.source_id,
            streams=[
                {"name": "t", "selectedFields": [{"fieldPath": [n]} for n in self.OLD]},
                {"name": "gone"},
            ],
        )
        path = f"/connections/{connection_id}"
        ok(caller.patch(path, {"nonBreakingSchemaUpdatesBehavior": setting}))
        return path

    def change(self, emulator, **options):
        keyed = {
            "name": "new",
            "primary_key": [["id"]],
            "cursor_field": ["updated_at"],
            "source_defined_cursor": True,
        }
        streams = [{"name": "t", "fields": [[n] for n in self.NEW]}, keyed]
        emulator.change_streams(self.source_id, streams, **options)

    @pytest.mark.parametrize(
        ("setting", "fields", "streams"),
        [
            ("ignore", OLD, {"t": "full_refresh_overwrite", "gone": "full_refresh_overwrite"}),
            (
                "propagate_columns",
                NEW,
                {"t": "full_refresh_overwrite", "gone": "full_refresh_overwrite"},
            ),
            (
                "propagate_fully",
                NEW,
                {"t": "full_refresh_overwrite", "new": "incremental_deduped_history"},
            ),
        ],
    )
    def test_a_change_is_propagated_as_the_connection_says(
        self, emulator, caller, setting, fields, streams
    ):
        path = self.connection(emulator, caller, setting)

        self.change(emulator)

        connection = ok(caller.get(path))
        found = connection["configurations"]["streams"]
        assert connection["status"] == "active"
        assert {stream["name"]: stream["syncMode"] for stream in found} == streams
        assert found[0]["selectedFields"] == [{"fieldPath": [name]} for name in fields]

    def test_a_change_can_disable_the_connection(self, emulator, caller):
        path = self.connection(emulator, caller, "disable_connection")

        self.change(emulator)

        assert ok(caller.get(path))["status"] == "inactive"

    @pytest.mark.parametrize(
        ("mode", "change", "status"),
        [
            ("incremental_append", {"fields": [["id"]]}, "inactive"),
            ("full_refresh_append", {"fields": [["id"]]}, "active"),
            ("incremental_deduped_history", {"primary_key": [["at"]]}, "inactive"),
            ("incremental_append", {"primary_key": [["at"]]}, "active"),
        ],
    )
    def test_losing_a_cursor_or_a_key_in_use_disables_the_connection(
        self, emulator, caller, mode, change, status
    ):
        table = {
            "name": "t",
            "fields": [["id"], ["at"]],
            "cursor_field": ["at"],
            "primary_key": [["id"]],
        }
        source_id = emulator.add_source(streams=[table])
        connection_id = emulator.add_connection(
            source_id=source_id, streams=[{"name": "t", "syncMode": mode}]
        )

        emulator.change_streams(source_id, [{**table, **change}])

        assert ok(caller.get(f"/connections/{connection_id}"))["status"] == status

    def test_a_change_that_airbyte_has_not_noticed_is_not_in_the_kept_catalog(
        self, emulator, caller
    ):
        path = self.connection(emulator, caller, "propagate_fully")
        before = ok(caller.get(path))
        ok(caller.get("/streams", sourceId=self.source_id))

        self.change(emulator, noticed=False)

        def names(**query):
            streams = ok(caller.get("/streams", sourceId=self.source_id, **query))
            return [stream["streamName"] for stream in streams]

        assert ok(caller.get(path)) == before
        assert names() == ["t", "gone"]
        assert names(ignoreCache="true") == ["t", "new"]
