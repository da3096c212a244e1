"""Connections and streams (docs/airbyte-api.md §4.3 to §4.5)."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import (
    UNKNOWN_ID,
    caller_of,
    error_id_only,
    hateoas_error,
    ok,
    problem,
)


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

    @pytest.mark.parametrize("configurations", [{}, {"configurations": {"streams": []}}])
    def test_without_streams_none_is_selected(self, caller, body, configurations):
        created = ok(caller.post("/connections", {**body, **configurations}))

        assert created["configurations"]["streams"] == []

    @pytest.mark.parametrize(
        "streams",
        [
            [{"name": "a", "primary_key": [["id"]]}],
            [{"name": "a", "primary_key": [["id"]], "suggested": True}, "b"],
        ],
        ids=["the only one", "a suggested one"],
    )
    def test_without_streams_the_only_one_and_suggested_ones_are_selected(
        self, emulator, caller, body, streams
    ):
        body["sourceId"] = emulator.add_source(streams=streams)

        (stream,) = ok(caller.post("/connections", body))["configurations"]["streams"]

        assert (stream["name"], stream["syncMode"]) == ("a", "full_refresh_overwrite")
        assert stream["primaryKey"] == []

    def test_the_streams_are_discovered_once(self, emulator, caller, body):
        for _ in range(2):
            ok(caller.post("/connections", body))

        assert emulator.discovers(emulator.source_id) == 1

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

    def test_two_workspaces_are_an_unexplained_error_for_an_administrator(self, admin):
        emulator = admin.emulator
        other_workspace_id = emulator.add_workspace()
        source_id = emulator.add_source(workspace_id=other_workspace_id)
        body = {"sourceId": source_id, "destinationId": emulator.destination_id}

        assert problem(admin.post("/connections", body), 500)["data"] is None

    def test_unknown_sources_and_destinations_are_forbidden_for_a_user(self, caller):
        body = {"sourceId": UNKNOWN_ID, "destinationId": UNKNOWN_ID}

        hateoas_error(caller.post("/connections", body), 403)

    @pytest.mark.parametrize("kind", ["source", "destination"])
    def test_a_404_names_the_missing_source_or_destination(self, caller, body, kind):
        body[f"{kind}Id"] = UNKNOWN_ID

        assert problem(caller.post("/connections", body), 404)["data"] == {
            "resourceType": f"{kind.upper()}_CONNECTION",
            "resourceId": UNKNOWN_ID,
        }

    def test_the_cron_expression_is_checked_before_source_and_destination(self, caller, body):
        body |= {"destinationId": UNKNOWN_ID, "schedule": {"scheduleType": "cron"}}

        error = problem(caller.post("/connections", body), 400)

        assert error["data"]["message"] == "Missing cron expression in the schedule."

    def test_a_deleted_source_cannot_be_discovered(self, emulator, caller, body):
        caller.delete(f"/sources/{emulator.source_id}")

        message = problem(caller.post("/connections", body), 500)["data"]["message"]

        assert message.startswith("Something went wrong in the connector. logs:")

    def test_a_deleted_destination_is_accepted(self, emulator, caller, body):
        caller.delete(f"/destinations/{emulator.destination_id}")

        assert ok(caller.post("/connections", body))["status"] == "active"

    def test_unknown_tags_and_those_of_other_workspaces_are_dropped(self, emulator, caller, body):
        elsewhere = emulator.add_workspace()
        foreign = ok(
            caller.post("/tags", {"name": "eu", "color": "00ff00", "workspaceId": elsewhere})
        )
        unknown = {**foreign, "tagId": UNKNOWN_ID}

        created = ok(caller.post("/connections", {**body, "tags": [foreign, unknown]}))

        assert created["tags"] == []


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
            "selectedFields": [],
            "mappers": [],
            "includeFiles": False,
        }

    def test_mappers_and_selected_fields_are_kept(self, caller, source_without_defaults):
        mapper = {
            "id": UNKNOWN_ID,
            "type": "field-filtering",
            "mapperConfiguration": {"targetField": "at"},
        }
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
            (
                [{"name": "nothing"}],
                "No streams found with name [nothing] and namespace [null]. Please call the "
                "https://reference.airbyte.com/reference/getstreamproperties endpoint to see the "
                "valid stream name and namespace combinations.",
            ),
            (
                [{"name": "notes"}, {"name": "notes"}],
                "Duplicate stream found in configuration for stream name [notes] in namespace "
                "[null].",
            ),
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
                "Invalid primary key for stream: notes. The list of valid primary keys fields: "
                "[[id], [updated_at]].",
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
    @pytest.mark.parametrize("expression", ["0 0 6 * * ?", "0 0 6 ? * mon"])
    def test_a_cron_schedule_is_stored_in_utc_and_in_its_own_case(self, caller, expression, zone):
        body = ok(self.schedule(caller, scheduleType="cron", cronExpression=expression + zone))

        assert body["schedule"] == {"scheduleType": "cron", "cronExpression": f"{expression} UTC"}

    def test_a_basic_schedule_of_the_ui_is_shown_but_cannot_be_sent_back(self, emulator, caller):
        basic = {"scheduleType": "basic", "basicTiming": "Every 24 HOURS"}
        connection_id = emulator.add_connection(schedule=basic)

        assert ok(caller.get(f"/connections/{connection_id}"))["schedule"] == basic
        hateoas_error(caller.patch(f"/connections/{connection_id}", {"schedule": basic}), 400)

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
            "0 * * * * ?",
            "0 */15 * * * ?",
        ],
    )
    def test_valid_quartz_expressions_are_accepted(self, caller, expression):
        ok(self.schedule(caller, scheduleType="cron", cronExpression=expression))

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            (None, "Missing cron expression in the schedule."),
            ("* 0 6 * * ?", "The seconds and minutes values cannot be `*`."),
            ("0 */15 * * * ? 2030", "is less than the one hour minimum"),
            ("0 0 6 * * ? utc", "Invalid value utc for field year"),
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

    @pytest.mark.parametrize(
        ("minutes", "expression", "interval"),
        [
            (60, "0 0,30 6 * * ?", "1 hour"),
            (60, "0 */15 * * * ?", "1 hour"),
            (60, "0 59/1 0,23 * * ?", None),
            (60, "0 0 * * * ?", None),
            (15, "0 0/14 * * * ?", "15 minutes"),
            (15, "0 */15 * * * ?", None),
        ],
    )
    def test_a_licence_can_limit_the_frequency(self, minutes, expression, interval):
        caller = caller_of(Emulator(time="manual", shortest_schedule=minutes))

        response = self.schedule(caller, scheduleType="cron", cronExpression=expression)

        if interval is None:
            ok(response)
            return
        error = problem(response, 400)
        assert error["type"] == "error:cron-validation/under-one-hour-not-allowed"
        assert error["data"] == {
            "cronExpression": expression,
            "validationErrorMessage": f"Cron executions must be at least {interval} apart",
        }


class TestUpdating:
    def test_patch_changes_only_the_given_fields(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"
        before = ok(caller.get(path))

        after = ok(caller.patch(path, {"name": "Renamed", "configurations": {"streams": []}}))

        assert after == {**before, "name": "Renamed"}

    def test_nulls_in_a_patch_change_nothing(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"
        before = ok(caller.get(path))
        names = ("configurations", "schedule", "status", "tags", "namespaceDefinition", "prefix")

        after = ok(caller.patch(path, dict.fromkeys((*names, "nonBreakingSchemaUpdatesBehavior"))))

        assert after == before

    def test_only_a_patch_with_streams_discovers_them(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"

        ok(caller.patch(path, {"name": "Renamed"}))
        assert emulator.discovers(emulator.source_id) == 0
        ok(caller.patch(path, {"configurations": {"streams": [{"name": "users"}]}}))
        assert emulator.discovers(emulator.source_id) == 1

    def test_a_namespace_format_is_kept_for_every_namespace_definition(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"
        custom = {"namespaceDefinition": "custom_format", "namespaceFormat": "lake"}
        ok(caller.patch(path, custom))

        after = ok(caller.patch(path, {"namespaceDefinition": "source"}))

        assert after["namespaceFormat"] == "lake"

    def test_a_deleted_connection_can_be_revived_but_has_no_workflow(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"
        caller.delete(path)

        assert ok(caller.patch(path, {"status": "active"}))["status"] == "active"
        assert problem(caller.sync(), 409)["title"] == "try-again-later"

    def test_deprecating_a_connection_by_patch_leaves_its_workflow(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"

        assert ok(caller.patch(path, {"status": "deprecated"}))["status"] == "deprecated"
        ok(caller.patch(path, {"status": "active"}))
        ok(caller.sync())

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
        assert body["detail"] == "The connection is locked and cannot be modified."
        assert body["data"] == {"connectionId": emulator.connection_id, "statusReason": None}

    def test_the_cron_expression_is_checked_before_the_lock(self, emulator, caller):
        emulator.set_connection_status(emulator.connection_id, "locked")
        path = f"/connections/{emulator.connection_id}"

        problem(caller.patch(path, {"schedule": {"scheduleType": "cron"}}), 400)

    def test_an_unknown_stream_is_found_after_the_lock(self, emulator, caller):
        emulator.set_connection_status(emulator.connection_id, "locked")
        streams = {"streams": [{"name": "nothing"}]}

        problem(
            caller.patch(f"/connections/{emulator.connection_id}", {"configurations": streams}), 409
        )

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
            "full_refresh_append",
            "full_refresh_overwrite",
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
