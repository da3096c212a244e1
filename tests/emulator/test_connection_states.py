"""Stream states, and the web application's calls for a connection (docs/airbyte-api.md §4.3)."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import UNKNOWN_ID, caller_of, error_id_only, hateoas_error, ok

INCREMENTAL = {"name": "users", "syncMode": "incremental_append"}
APPENDED = {"name": "products", "syncMode": "incremental_append"}
FULL = {"name": "purchases", "syncMode": "full_refresh_append"}


@pytest.fixture
def emulator():
    connection = {"name": "Incremental", "streams": [INCREMENTAL, APPENDED, FULL]}
    return Emulator(time="manual", sync_duration=60, seed={"connections": [connection]})


@pytest.fixture
def config(emulator, caller):
    """Return a function that calls the config API for the first connection."""

    def post(path, by=caller, **fields):
        return by.post(f"/api/v1/{path}", {"connectionId": emulator.connection_id, **fields})

    return post


@pytest.fixture
def states(config):
    """Return a function that returns the names of the streams that have a state."""

    def read():
        state = ok(config("state/get"))
        return [item["streamDescriptor"]["name"] for item in state.get("streamState", ())]

    return read


@pytest.fixture
def synced(emulator, caller):
    ok(caller.sync())
    emulator.advance(60)


class TestStates:
    def test_a_new_connection_has_none(self, emulator, config):
        assert ok(config("state/get")) == {
            "connectionId": emulator.connection_id,
            "stateType": "not_set",
        }

    def test_a_sync_writes_that_of_incremental_streams(self, emulator, config, synced):
        state = ok(config("state/get"))

        assert (state["connectionId"], state["stateType"]) == (emulator.connection_id, "stream")
        first, second = state["streamState"]
        assert first["streamDescriptor"] == {"name": "users"}
        assert first["streamState"]["cursor_field"] == ["updated_at"]
        assert second["streamDescriptor"] == {"name": "products"}

    def test_a_sync_deletes_that_of_streams_of_full_refresh(self, emulator, caller, config, states):
        items = [{"streamDescriptor": {"name": "purchases"}, "streamState": {"page": 1}}]
        state = {
            "connectionId": emulator.connection_id,
            "stateType": "stream",
            "streamState": items,
        }
        ok(config("state/create_or_update_safe", connectionState=state))

        ok(caller.sync())

        assert states() == []

    def test_a_failed_sync_writes_none(self, emulator, caller, states):
        emulator.script_job(outcome="failed")
        ok(caller.sync())
        emulator.advance(600)

        assert states() == []

    def test_a_clear_deletes_it_when_its_attempt_starts(self, emulator, caller, states, synced):
        emulator.script_job(statuses=[("pending", 10), ("running", None)])
        job = ok(caller.sync(job_type="clear"))
        assert states() == ["users", "products"]

        emulator.advance(10)
        emulator.cancel_job(job["jobId"])

        assert states() == []

    def test_a_clear_of_one_stream_deletes_only_its_own(self, emulator, config, states, synced):
        ok(config("connections/clear/stream", streams=[{"streamName": "users"}]))
        emulator.advance(60)

        assert states() == ["products"]

    def test_a_failed_refresh_deletes_that_of_its_streams(self, emulator, config, states, synced):
        emulator.script_job(outcome="failed")
        streams = [{"streamName": "users"}]
        ok(config("connections/refresh", refreshMode="Truncate", streams=streams))
        emulator.advance(600)

        assert states() == ["products"]

    def test_a_refresh_writes_it_anew(self, emulator, config, states, synced):
        ok(config("connections/refresh", refreshMode="Truncate"))
        emulator.advance(60)

        assert states() == ["users", "products"]

    def test_changing_the_sync_mode_deletes_it_at_once(self, emulator, caller, states, synced):
        streams = [{"name": "users"}, APPENDED]

        ok(
            caller.patch(
                f"/connections/{emulator.connection_id}", {"configurations": {"streams": streams}}
            )
        )

        assert states() == ["products"]

    @pytest.mark.parametrize(
        "streams",
        [
            [APPENDED],
            [{**INCREMENTAL, "syncMode": "incremental_deduped_history"}, APPENDED],
        ],
        ids=["deselected", "another destination mode"],
    )
    def test_other_changes_of_the_streams_keep_it(self, emulator, caller, states, synced, streams):
        ok(
            caller.patch(
                f"/connections/{emulator.connection_id}", {"configurations": {"streams": streams}}
            )
        )

        assert states() == ["users", "products"]

    def test_it_can_be_written_to_another_connection(self, emulator, caller, config, synced):
        state = ok(config("state/get"))
        target = emulator.add_connection()

        body = {"connectionId": target, "connectionState": state}
        written = ok(caller.post("/api/v1/state/create_or_update_safe", body))

        assert written == {**state, "connectionId": target}
        assert ok(caller.post("/api/v1/state/get", {"connectionId": target})) == written

    def test_writing_changes_only_the_given_streams(self, emulator, config, states, synced):
        items = [
            {"streamDescriptor": {"name": "users"}, "streamState": None},
            {"streamDescriptor": {"name": "extra"}, "streamState": {"cursor": "1"}},
        ]
        state = {
            "connectionId": emulator.connection_id,
            "stateType": "stream",
            "streamState": items,
        }

        ok(config("state/create_or_update_safe", connectionState=state))

        assert states() == ["products", "extra"]

    def test_it_cannot_be_written_while_a_sync_runs(self, emulator, caller, config):
        ok(caller.sync())
        state = {"connectionId": emulator.connection_id, "stateType": "stream"}

        response = config("state/create_or_update_safe", connectionState=state)

        assert response.status == 423
        assert "sync is running" in response.json()["message"]

    def test_a_global_state_is_kept_and_loses_cleared_streams(self, emulator, config):
        items = [
            {"streamDescriptor": {"name": name}, "streamState": {"at": 1}}
            for name in ("users", "products")
        ]
        shared = {"shared_state": {"lsn": 1}, "streamStates": items}
        state = {
            "connectionId": emulator.connection_id,
            "stateType": "global",
            "globalState": shared,
        }
        assert ok(config("state/create_or_update_safe", connectionState=state)) == state

        ok(config("connections/clear/stream", streams=[{"streamName": "users"}]))
        emulator.advance(60)

        assert ok(config("state/get"))["globalState"] == {**shared, "streamStates": items[1:]}

    def test_its_type_cannot_be_changed(self, emulator, config, synced):
        state = {"connectionId": emulator.connection_id, "stateType": "legacy", "state": {}}

        error_id_only(config("state/create_or_update_safe", connectionState=state), 500)

    def test_a_legacy_state_is_replaced_by_one_of_streams(self, emulator, config, states):
        legacy = {"connectionId": emulator.connection_id, "stateType": "legacy", "state": {"a": 1}}
        assert ok(config("state/create_or_update_safe", connectionState=legacy)) == legacy
        items = [{"streamDescriptor": {"name": "users"}, "streamState": {"a": 1}}]

        ok(
            config(
                "state/create_or_update_safe",
                connectionState={**legacy, "stateType": "stream", "streamState": items},
            )
        )

        assert states() == ["users"]

    def test_reading_needs_a_reader_and_writing_an_editor(self, emulator, config, caller_with_role):
        runner = caller_with_role("workspace_runner")
        state = {"connectionId": emulator.connection_id, "stateType": "stream"}

        ok(config("state/get", runner))
        hateoas_error(config("state/create_or_update_safe", runner, connectionState=state), 403)

    def test_it_survives_a_restart(self, tmp_path):
        file = tmp_path / "state.json"
        connection = {"name": "Incremental", "streams": [INCREMENTAL]}
        before = Emulator(time="instant", state_file=file, seed={"connections": [connection]})
        ok(caller_of(before).sync())
        body = {"connectionId": before.connection_id}
        state = ok(caller_of(before).post("/api/v1/state/get", body))

        after = Emulator(time="instant", state_file=file)

        assert state["stateType"] == "stream"
        assert ok(caller_of(after).post("/api/v1/state/get", body)) == state


class TestWebBackend:
    def test_the_catalog_has_unselected_streams_too(self, emulator, caller, config):
        path = f"/connections/{emulator.connection_id}"
        fields = [{"fieldPath": ["id"]}, {"fieldPath": ["updated_at"]}]
        stream = {**INCREMENTAL, "selectedFields": fields}
        ok(caller.patch(path, {"configurations": {"streams": [stream]}}))

        read = ok(config("web_backend/connections/get"))

        selected = {
            entry["stream"]["name"]: entry["config"]["selected"]
            for entry in read["syncCatalog"]["streams"]
        }
        assert selected == {"users": True, "products": False, "purchases": False}
        users = read["syncCatalog"]["streams"][0]
        assert "address" in users["stream"]["jsonSchema"]["properties"]
        assert users["config"]["selectedFields"] == fields
        assert (users["config"]["syncMode"], users["config"]["destinationSyncMode"]) == (
            "incremental",
            "append",
        )
        assert (read["source"]["name"], read["isSyncing"]) == ("Sample data", False)
        assert "namespace" not in users["stream"]
        assert "catalogDiff" not in read

    def test_a_refreshed_catalog_shows_what_the_source_has_now(self, emulator, config):
        ok(config("web_backend/connections/get"))
        emulator.change_streams(
            emulator.source_id,
            [
                {
                    "name": "users",
                    "fields": [["id"], ["vip"]],
                },
                "fresh",
            ],
            noticed=False,
        )

        kept = ok(config("web_backend/connections/get"))
        assert kept["schemaChange"] == "no_change"
        read = ok(config("web_backend/connections/get", withRefreshedCatalog=True))

        def names(answer):
            return [entry["stream"]["name"] for entry in answer["syncCatalog"]["streams"]]

        assert names(kept) == ["users", "products", "purchases"]
        assert names(read) == ["users", "fresh"]
        assert read["schemaChange"] == "non_breaking"
        transforms = {
            (item["transformType"], item["streamDescriptor"]["name"])
            for item in read["catalogDiff"]["transforms"]
        }
        assert transforms == {
            ("add_stream", "fresh"),
            ("remove_stream", "products"),
            ("remove_stream", "purchases"),
            ("update_stream", "users"),
        }
        fields = {
            (field["fieldName"][0], field["transformType"], field["breaking"])
            for item in read["catalogDiff"]["transforms"]
            for field in item.get("updateStream", {}).get("fieldTransforms", ())
        }
        assert fields >= {
            ("vip", "add_field", False),
            ("email", "remove_field", False),
            ("updated_at", "remove_field", True),
        }

    def test_a_refresh_of_the_catalog_can_disable_the_connection(self, emulator, caller, config):
        path = f"/connections/{emulator.connection_id}"
        ok(caller.patch(path, {"nonBreakingSchemaUpdatesBehavior": "disable_connection"}))
        ok(config("web_backend/connections/get"))
        emulator.change_streams(emulator.source_id, ["users", "fresh"], noticed=False)

        read = ok(config("web_backend/connections/get", withRefreshedCatalog=True))

        assert read["status"] == ok(caller.get(path))["status"] == "inactive"

    def test_a_refresh_of_the_catalog_needs_an_editor(self, config, caller_with_role):
        reader = caller_with_role("workspace_reader")

        ok(config("web_backend/connections/get", reader))
        hateoas_error(config("web_backend/connections/get", reader, withRefreshedCatalog=True), 403)

    def test_an_update_changes_the_given_fields(self, emulator, caller, config):
        ok(
            config(
                "web_backend/connections/update",
                name="From the UI",
                scheduleType="basic",
                scheduleData={"basicSchedule": {"units": 24, "timeUnit": "hours"}},
                namespaceDefinition="customformat",
                namespaceFormat="lake",
                nonBreakingChangesPreference="disable",
            )
        )

        connection = ok(caller.get(f"/connections/{emulator.connection_id}"))
        assert connection["name"] == "From the UI"
        assert connection["schedule"] == {
            "scheduleType": "basic",
            "basicTiming": "Every 24 HOURS",
        }
        assert connection["namespaceDefinition"] == "custom_format"
        assert connection["nonBreakingSchemaUpdatesBehavior"] == "disable_connection"
        assert len(connection["configurations"]["streams"]) == 3

    def test_the_schedule_can_be_cron_or_manual(self, emulator, caller, config):
        cron = {"cron": {"cronExpression": "0 0 6 * * ?", "cronTimeZone": "Europe/Rome"}}

        read = ok(config("web_backend/connections/update", scheduleType="cron", scheduleData=cron))
        assert read["scheduleData"] == cron
        ok(config("web_backend/connections/update", scheduleType="manual"))

        connection = ok(caller.get(f"/connections/{emulator.connection_id}"))
        assert connection["schedule"] == {"scheduleType": "manual"}

    def test_a_schedule_without_its_data_is_rejected(self, config):
        error_id_only(config("web_backend/connections/update", scheduleType="cron"), 422)

    def test_a_catalog_replaces_the_streams_and_changed_ones_are_refreshed(
        self, emulator, caller, config
    ):
        catalog = ok(config("web_backend/connections/get"))["syncCatalog"]
        users, products, _purchases = catalog["streams"]
        products["config"]["selected"] = False
        users["config"]["destinationSyncMode"] = "append_dedup"

        read = ok(config("web_backend/connections/update", syncCatalog=catalog))

        connection = ok(caller.get(f"/connections/{emulator.connection_id}"))
        assert {s["name"]: s["syncMode"] for s in connection["configurations"]["streams"]} == {
            "users": "incremental_deduped_history",
            "purchases": "full_refresh_append",
        }
        job = emulator.jobs[1]
        assert (job.config_type, job.targets) == (
            "refresh",
            [{"name": "users"}, {"name": "products"}],
        )
        assert read["isSyncing"]

    @pytest.mark.parametrize("changes", [False, True])
    def test_no_job_starts_without_changes_or_with_skip_reset(self, emulator, config, changes):
        catalog = ok(config("web_backend/connections/get"))["syncCatalog"]
        catalog["streams"][0]["config"]["selected"] = not changes

        ok(config("web_backend/connections/update", syncCatalog=catalog, skipReset=changes))

        assert not emulator.jobs

    def test_modes_that_cannot_be_combined_are_an_uncaught_error(self, config):
        catalog = ok(config("web_backend/connections/get"))["syncCatalog"]
        catalog["streams"][0]["config"]["destinationSyncMode"] = "overwrite"

        error_id_only(config("web_backend/connections/update", syncCatalog=catalog), 500)

    def test_an_unknown_connection_is_forbidden(self, caller):
        for path in ("state/get", "web_backend/connections/get", "web_backend/connections/update"):
            hateoas_error(caller.post(f"/api/v1/{path}", {"connectionId": UNKNOWN_ID}), 403)
