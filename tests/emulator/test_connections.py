"""Connections and streams (docs/airbyte-api.md §4.3 to §4.5)."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import UNKNOWN_ID, error_id_only, hateoas_error, ok, problem


@pytest.fixture
def body(emulator):
    return {"sourceId": emulator.source_id, "destinationId": emulator.destination_id}


@pytest.fixture
def source_without_defaults(emulator):
    """A source whose streams have no default cursor and no default primary key."""
    return emulator.add_source(
        "Tables",
        connector="postgres",
        streams=[
            {
                "name": "orders",
                "namespace": "public",
                "fields": [["id"], ["at"], ["a"], ["a", "b"]],
            },
            "notes",
        ],
    )


class TestCreating:
    def test_omitted_fields_get_defaults(self, emulator, caller, body):
        created = ok(caller.post("/connections", body))

        assert created == {
            **created,
            **body,
            "name": "Sample data <> Warehouse",
            "workspaceId": emulator.workspace_id,
            "status": "active",
            "schedule": {"scheduleType": "manual"},
            "nonBreakingSchemaUpdatesBehavior": "ignore",
            "namespaceDefinition": "destination",
            "prefix": "",
            "createdAt": int(emulator.now.timestamp()),
            "tags": [],
        }
        assert "namespaceFormat" not in created
        assert "statusReason" not in created

    def test_without_streams_all_are_selected_with_full_refresh(self, caller, body):
        streams = ok(caller.post("/connections", body))["configurations"]["streams"]

        assert [stream["name"] for stream in streams] == ["users", "products", "purchases"]
        assert {stream["syncMode"] for stream in streams} == {"full_refresh_overwrite"}

    def test_every_field_can_be_set(self, emulator, caller, body):
        tag = ok(
            caller.post(
                "/tags",
                {"name": "eu", "color": "00ff00", "workspaceId": emulator.workspace_id},
            )
        )
        fields = {
            "name": "Chosen",
            "status": "inactive",
            "prefix": "raw_",
            "namespaceDefinition": "custom_format",
            "namespaceFormat": "lake_${SOURCE_NAMESPACE}",
            "nonBreakingSchemaUpdatesBehavior": "propagate_columns",
            "tags": [tag],
            "dataResidency": "ignored",
        }

        created = ok(caller.post("/connections", {**body, **fields}))

        del fields["dataResidency"]
        assert created.items() >= fields.items()

    @pytest.mark.parametrize("name", ["namespaceDefinition", "nonBreakingSchemaUpdatesBehavior"])
    def test_an_explicit_null_is_an_uncaught_error(self, caller, body, name):
        error_id_only(caller.post("/connections", {**body, name: None}), 500)

    @pytest.mark.parametrize(
        "invalid",
        [
            {"status": "sleeping"},
            {"schedule": {"scheduleType": "basic"}},
            {"configurations": {"streams": [{}]}},
            {"configurations": {"streams": {"name": "users"}}},
            {"tags": [{"tagId": UNKNOWN_ID}]},
        ],
    )
    def test_an_invalid_field_is_a_framework_error(self, caller, body, invalid):
        response = caller.post("/connections", {**body, **invalid})

        assert hateoas_error(response, 400)["path"] == "/connectionCreateRequest"

    def test_source_and_destination_must_share_a_workspace(self, emulator, caller, body):
        other_workspace_id = emulator.add_workspace()
        body["sourceId"] = emulator.add_source(workspace_id=other_workspace_id)

        hateoas_error(caller.post("/connections", body), 403)

    def test_unknown_sources_and_destinations_are_forbidden_for_a_user(self, caller):
        body = {"sourceId": UNKNOWN_ID, "destinationId": UNKNOWN_ID}

        hateoas_error(caller.post("/connections", body), 403)

    @pytest.mark.parametrize("kind", ["source", "destination"])
    def test_a_404_names_the_missing_source_or_destination(self, caller, body, kind):
        body[f"{kind}Id"] = UNKNOWN_ID

        assert problem(caller.post("/connections", body), 404)["data"] == {
            "resourceType": kind,
            "resourceId": UNKNOWN_ID,
        }

    def test_a_deleted_source_is_not_found(self, emulator, caller, body):
        caller.delete(f"/sources/{emulator.source_id}")

        assert problem(caller.post("/connections", body), 404)["data"]["resourceType"] == "source"

    def test_an_unknown_tag_is_not_found(self, emulator, caller, body):
        tag = {"tagId": UNKNOWN_ID, "workspaceId": emulator.workspace_id, "name": "x", "color": "0"}

        problem(caller.post("/connections", {**body, "tags": [tag]}), 404)


class TestSelectingStreams:
    def select(self, caller, source_id, *streams):
        body = {
            "sourceId": source_id,
            "destinationId": caller.emulator.destination_id,
            "configurations": {"streams": list(streams)},
        }
        return caller.post("/connections", body)

    def test_source_defined_cursor_and_key_are_filled_in(self, emulator, caller):
        (stream,) = ok(
            self.select(
                caller,
                emulator.source_id,
                {"name": "users", "syncMode": "incremental_deduped_history"},
            )
        )["configurations"]["streams"]

        assert stream == {
            "name": "users",
            "syncMode": "incremental_deduped_history",
            "cursorField": ["updated_at"],
            "primaryKey": [["id"]],
            "mappers": [],
        }

    def test_mappers_and_selected_fields_are_kept(self, caller, source_without_defaults):
        mapper = {"type": "field-filtering", "mapperConfiguration": {"targetField": "a"}}
        selection = {
            "name": "orders",
            "namespace": "public",
            "syncMode": "incremental_deduped_history",
            "cursorField": ["at"],
            "primaryKey": [["id"]],
            "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["at"]}],
            "mappers": [mapper],
            "includeFiles": False,
            "destinationObjectName": "sales",
        }

        created = ok(self.select(caller, source_without_defaults, selection))

        assert created["configurations"]["streams"] == [selection]

    @pytest.mark.parametrize(
        ("selection", "message"),
        [
            ([{"name": "nothing"}], "Invalid stream found. The list of valid streams include: "),
            ([{"name": "orders", "namespace": "other"}], "Invalid stream found."),
            ([{"name": "notes"}, {"name": "notes"}], "Duplicate stream found in configuration for"),
            (
                [{"name": "notes", "syncMode": "full_refresh_update"}],
                "Cannot set sync mode to full_refresh_update for stream notes.",
            ),
            (
                [{"name": "notes", "syncMode": "incremental_append"}],
                "No default cursor field for stream: notes.",
            ),
            (
                [{"name": "notes", "syncMode": "incremental_append", "cursorField": ["x"]}],
                "Invalid cursor field for stream: notes.",
            ),
            (
                [
                    {
                        "name": "notes",
                        "syncMode": "incremental_deduped_history",
                        "cursorField": ["id"],
                    }
                ],
                "No default primary key for stream: notes.",
            ),
            (
                [
                    {
                        "name": "notes",
                        "syncMode": "incremental_deduped_history",
                        "cursorField": ["id"],
                        "primaryKey": [["x"]],
                    }
                ],
                "The list of valid primary keys fields: [[id], [updated_at]].",
            ),
            ([{"name": "notes", "selectedFields": []}], "No fields selected for stream notes."),
            (
                [{"name": "notes", "selectedFields": [{}]}],
                "Selected field path cannot be empty for stream:  notes.",
            ),
            (
                [{"name": "orders", "selectedFields": [{"fieldPath": ["a", "b"]}]}],
                "Nested field selection not supported for stream orders.",
            ),
            (
                [{"name": "notes", "selectedFields": [{"fieldPath": ["id"]}] * 2}],
                "Duplicate fields selected in configuration for stream: notes.",
            ),
            (
                [{"name": "notes", "selectedFields": [{"fieldPath": ["x"]}]}],
                "Invalid fields selected for stream notes.",
            ),
            (
                [
                    {
                        "name": "notes",
                        "syncMode": "full_refresh_overwrite_deduped",
                        "primaryKey": [["id"]],
                        "selectedFields": [{"fieldPath": ["updated_at"]}],
                    }
                ],
                "Primary key fields are not selected properly for stream: notes.",
            ),
            (
                [
                    {
                        "name": "notes",
                        "syncMode": "incremental_append",
                        "cursorField": ["updated_at"],
                        "selectedFields": [{"fieldPath": ["id"]}],
                    }
                ],
                "Cursor field is not selected properly for stream: notes.",
            ),
        ],
    )
    def test_an_invalid_stream_selection_is_rejected_with_the_reason(
        self, caller, source_without_defaults, selection, message
    ):
        error = problem(self.select(caller, source_without_defaults, *selection), 400)

        assert error["title"] == "bad-request"
        assert message in error["data"]["message"]

    @pytest.mark.parametrize(
        ("selection", "message"),
        [
            ({"cursorField": ["id"]}, "is already defined by source for stream: users."),
            ({"primaryKey": [["email"]]}, "Primary key for stream: users is already pre-defined."),
        ],
    )
    def test_a_source_defined_cursor_or_key_cannot_be_overridden(
        self, emulator, caller, selection, message
    ):
        stream = {"name": "users", "syncMode": "incremental_deduped_history", **selection}

        error = problem(self.select(caller, emulator.source_id, stream), 400)

        assert message in error["data"]["message"]

    def test_a_file_destination_cannot_deduplicate(self, emulator, caller):
        destination_id = emulator.add_destination(connector="s3")
        body = {
            "sourceId": emulator.source_id,
            "destinationId": destination_id,
            "configurations": {
                "streams": [{"name": "users", "syncMode": "incremental_deduped_history"}]
            },
        }

        problem(caller.post("/connections", body), 400)


class TestSchedules:
    def schedule(self, caller, **schedule):
        path = f"/connections/{caller.emulator.connection_id}"
        return caller.patch(path, {"schedule": schedule})

    @pytest.mark.parametrize("zone", ["", " UTC"])
    def test_a_cron_schedule_is_stored_in_utc(self, caller, zone):
        body = ok(self.schedule(caller, scheduleType="cron", cronExpression=f"0 0 6 * * ?{zone}"))

        assert body["schedule"] == {"scheduleType": "cron", "cronExpression": "0 0 6 * * ? UTC"}

    def test_a_schedule_can_be_set_back_to_manual(self, caller):
        ok(self.schedule(caller, scheduleType="cron", cronExpression="0 0 6 * * ?"))

        body = ok(self.schedule(caller, scheduleType="manual"))

        assert body["schedule"] == {"scheduleType": "manual"}

    @pytest.mark.parametrize(
        "expression",
        [
            "0 30 6 ? * MON-FRI",
            "0 0 0/2 1,15 JAN ?",
            "0 0 0 L * ? 2030",
            "0 5 * ? * 2#1",
            "0 0 6 LW * ?",
        ],
    )
    def test_valid_quartz_expressions_are_accepted(self, caller, expression):
        ok(self.schedule(caller, scheduleType="cron", cronExpression=expression))

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            (None, "Missing cron expression in the schedule."),
            ("0 * * * * ?", "The seconds and minutes values cannot be `*`."),
            ("0 0/5 * * * ?", "is less than the one hour minimum"),
            ("0 0 6 * *", "contains 5 parts"),
            ("0 0 25 * * ?", "Invalid value 25 for field hour"),
            ("0 0 6 * * *", "are not supported"),
            ("0 0 6 ? * ?", "are not supported"),
            ("0 0 6 * NOP ?", "Invalid value NOP for field month"),
            ("0 0 6/x * * ?", "Invalid value 6/x for field hour"),
        ],
    )
    def test_invalid_cron_expressions_are_rejected_with_the_reason(
        self, caller, expression, message
    ):
        schedule = {"cronExpression": expression} if expression else {}

        error = problem(self.schedule(caller, scheduleType="cron", **schedule), 400)

        assert message in error["data"]["message"]


class TestUpdating:
    def test_patch_changes_only_the_given_fields(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"
        before = ok(caller.get(path))

        after = ok(caller.patch(path, {"name": "Renamed", "configurations": {"streams": []}}))

        assert after == {**before, "name": "Renamed"}

    def test_patch_replaces_the_whole_stream_list(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"

        after = ok(caller.patch(path, {"configurations": {"streams": [{"name": "users"}]}}))

        assert [s["name"] for s in after["configurations"]["streams"]] == ["users"]

    def test_a_rejected_patch_changes_nothing(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"
        before = ok(caller.get(path))

        change = {"name": "x", "status": "inactive", "configurations": {"streams": [{"name": "x"}]}}
        problem(caller.patch(path, change), 400)

        assert ok(caller.get(path)) == before

    def test_a_locked_connection_cannot_be_patched(self, emulator, caller):
        emulator.set_connection_status(emulator.connection_id, "locked")

        body = problem(caller.patch(f"/connections/{emulator.connection_id}", {"name": "x"}), 409)

        assert (body["type"], body["title"]) == ("error:connection/locked", "Connection is locked")
        assert body["data"] == {"connectionId": emulator.connection_id, "statusReason": None}

    def test_put_is_not_allowed(self, emulator, caller):
        response = caller.put(f"/connections/{emulator.connection_id}", {})

        assert "Method [PUT] not allowed" in hateoas_error(response, 405)["message"]

    def test_a_deleted_connection_can_be_read_but_is_not_listed(self, emulator, caller):
        ok(caller.sync())
        path = f"/connections/{emulator.connection_id}"

        deleted = caller.delete(path)

        assert (deleted.status, deleted.body) == (204, b"")
        assert ok(caller.get(path))["status"] == "deprecated"
        assert caller.job(1)["status"] == "cancelled"
        assert ok(caller.get("/connections"))["data"] == []
        assert len(ok(caller.get("/connections", includeDeleted="true"))["data"]) == 1

    def test_page_links_drop_the_tag_filter(self, emulator, caller):
        tag = ok(
            caller.post(
                "/tags", {"name": "eu", "color": "00ff00", "workspaceId": emulator.workspace_id}
            )
        )
        tagged = emulator.add_connection()
        ok(caller.patch(f"/connections/{tagged}", {"tags": [tag]}))

        body = ok(caller.get("/connections", tagIds=tag["tagId"]))

        assert [item["connectionId"] for item in body["data"]] == [tagged]
        assert "tagIds" not in body["next"]
        caller.delete(f"/tags/{tag['tagId']}")
        assert ok(caller.get(f"/connections/{tagged}"))["tags"] == []

    def test_an_unknown_status_cannot_be_set(self, emulator):
        with pytest.raises(ValueError, match="status must be one of"):
            emulator.set_connection_status(emulator.connection_id, "sleeping")
        with pytest.raises(ValueError, match="status must be one of"):
            emulator.add_connection(status="sleeping")


class TestStreams:
    def test_streams_are_a_bare_array_with_a_lower_case_namespace_key(self, emulator, caller):
        source_id = emulator.add_source(connector="postgres")

        customers, _ = ok(caller.get("/streams", sourceId=source_id))

        assert customers["streamName"] == "customers"
        assert customers["streamnamespace"] == "public"
        assert "syncModes" not in customers
        assert customers["sourceDefinedPrimaryKey"] == [["id"]]

    def test_sync_modes_are_returned_when_a_destination_is_given(self, emulator, caller):
        query = {"sourceId": emulator.source_id, "destinationId": emulator.destination_id}

        users = ok(caller.get("/streams", **query, ignoreCache="true"))[0]

        assert users["syncModes"] == [
            "full_refresh_overwrite",
            "full_refresh_append",
            "full_refresh_overwrite_deduped",
            "incremental_append",
            "incremental_deduped_history",
        ]
        assert ["address", "city"] in users["propertyFields"]

    def test_the_source_id_is_required_and_must_be_known(self, emulator, caller):
        assert hateoas_error(caller.get("/streams"), 400)["path"] == "/sourceId"
        problem(caller.get("/streams", sourceId=UNKNOWN_ID), 403)
        problem(caller.get("/streams", sourceId=emulator.source_id, destinationId=UNKNOWN_ID), 403)

    def test_a_stream_without_incremental_support_offers_only_full_refresh(self, emulator, caller):
        source_id = emulator.add_source(streams=[{"name": "report", "incremental": False}])
        query = {"sourceId": source_id, "destinationId": emulator.destination_id}

        (report,) = ok(caller.get("/streams", **query))

        assert all(mode.startswith("full_refresh") for mode in report["syncModes"])
