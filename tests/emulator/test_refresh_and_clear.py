"""Refreshing and clearing streams through the config API: docs/airbyte-api.md §3.7."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import UNKNOWN_ID, Caller, error_id_only, hateoas_error, ok

USERS = {"streamName": "users"}


def refresh(caller: Caller, *streams: dict[str, str], connection_id: str | None = None):
    connection_id = connection_id or caller.emulator.connection_id
    body = {"connectionId": connection_id, "refreshMode": "Truncate", "streams": streams}
    return caller.post("/api/v1/connections/refresh", body)


def clear(
    caller: Caller, *streams: dict[str, str], word: str = "clear", connection_id: str | None = None
):
    connection_id = connection_id or caller.emulator.connection_id
    body = {"connectionId": connection_id, "streams": streams}
    return caller.post(f"/api/v1/connections/{word}/stream", body)


def names(streams: list[dict[str, str]]) -> list[str]:
    return [stream["name"] for stream in streams]


class TestRefresh:
    def test_a_refresh_syncs_every_stream_and_reads_the_given_ones_again(self, emulator, caller):
        response = ok(refresh(caller, USERS, {"streamName": "nothing"}))

        assert set(response) == {"job"}
        job = response["job"]
        assert set(job) == {
            "id", "configId", "configType", "enabledStreams", "refreshConfig",
            "createdAt", "updatedAt", "startedAt", "status",
        }  # fmt: skip
        assert (job["configType"], job["status"]) == ("refresh", "running")
        assert job["refreshConfig"] == {
            "streamsToRefresh": [{"name": "users"}, {"name": "nothing"}]
        }
        assert names(job["enabledStreams"]) == ["users", "products", "purchases"]
        assert caller.job(job["id"])["jobType"] == "refresh"
        emulator.advance(60)
        assert caller.job(job["id"])["rowsSynced"] == 100

    def test_a_refresh_without_streams_reads_all_again(self, caller):
        job = ok(refresh(caller))["job"]

        targets = job["refreshConfig"]["streamsToRefresh"]
        assert names(targets) == ["users", "products", "purchases"]

    def test_progress_tells_refreshed_streams_from_the_others(self, emulator, caller):
        ok(refresh(caller, USERS))

        body = {"connectionId": emulator.connection_id}
        streams = ok(caller.post("/api/v1/connections/sync_progress", body))["streams"]

        assert [(stream["streamName"], stream["configType"]) for stream in streams] == [
            ("users", "refresh"), ("products", "sync"), ("purchases", "sync")
        ]  # fmt: skip

    @pytest.mark.parametrize("running", ["sync", "clear"])
    def test_while_a_job_runs_there_is_no_job_and_the_next_sync_is_the_refresh(
        self, emulator, caller, running
    ):
        ok(caller.sync(job_type=running))

        assert ok(refresh(caller, USERS)) == {}
        assert ok(refresh(caller, USERS, {"streamName": "products"})) == {}

        assert caller.job(1)["status"] == "running"
        emulator.advance(60)
        assert caller.job(1)["status"] == "succeeded"
        started = ok(caller.sync())
        assert (started["jobId"], started["jobType"]) == (2, "refresh")
        job = ok(caller.post("/api/v1/jobs/get_light", {"id": 2}))["job"]
        assert names(job["refreshConfig"]["streamsToRefresh"]) == ["users", "products"]
        emulator.advance(60)
        assert ok(caller.sync())["jobType"] == "sync"

    def test_a_change_of_streams_cancels_the_running_sync_and_refreshes(self, emulator, caller):
        ok(caller.sync())
        body = {"connectionId": emulator.connection_id}
        catalog = ok(caller.post("/api/v1/web_backend/connections/get", body))["syncCatalog"]
        catalog["streams"][0]["config"]["destinationSyncMode"] = "append"
        update = {**body, "syncCatalog": catalog}

        ok(caller.post("/api/v1/web_backend/connections/update", update))

        assert caller.job(1)["status"] == "cancelled"
        assert (caller.job(2)["jobType"], caller.job(2)["status"]) == ("refresh", "running")

    def test_a_refresh_fails_while_a_sync_has_no_attempt_yet(self, emulator, caller):
        emulator.script_job(statuses=[("queued", None)])
        emulator.start_sync()

        error_id_only(refresh(caller), 500)

        assert caller.job(1)["status"] == "queued"

    def test_without_a_workflow_there_is_no_job(self, emulator, caller):
        emulator.delete_workflow()

        assert ok(refresh(caller)) == {}
        assert len(emulator.jobs) == 0

    def test_a_destination_without_refresh_support_starts_no_job(self, emulator, caller):
        connection_id = emulator.add_connection(
            destination_id=emulator.add_destination(connector="s3")
        )

        assert ok(refresh(caller, connection_id=connection_id)) == {}
        assert ok(caller.sync(connection_id))["jobType"] == "sync"

    def test_an_inactive_connection_can_be_refreshed(self, emulator, caller):
        connection_id = emulator.add_connection(status="inactive")

        assert ok(refresh(caller, connection_id=connection_id))["job"]["id"] == 1


class TestClear:
    @pytest.mark.parametrize("word", ["clear", "reset"])
    def test_some_or_all_streams_can_be_cleared(self, emulator, caller, word):
        some = ok(clear(caller, USERS, word=word))
        body = {"connectionId": emulator.connection_id}
        everything = ok(caller.post(f"/api/v1/connections/{word}", body))

        assert set(some) == {"job", "attempts"}
        job = some["job"]
        assert set(job) == {
            "id", "configId", "configType", "enabledStreams", "resetConfig",
            "createdAt", "updatedAt", "status",
        }  # fmt: skip
        assert job["configType"] == "reset_connection"
        assert job["resetConfig"] == {"streamsToReset": [{"name": "users"}]}
        assert names(job["enabledStreams"]) == ["users"]
        assert names(everything["job"]["resetConfig"]["streamsToReset"]) == [
            "users", "products", "purchases"
        ]  # fmt: skip

    def test_an_empty_list_clears_every_stream(self, caller):
        job = ok(clear(caller))["job"]

        assert names(job["enabledStreams"]) == ["users", "products", "purchases"]

    @pytest.mark.parametrize("named", [{"streamName": "nothing"}, {"streamName": "orders"}])
    def test_an_unknown_stream_or_namespace_gives_a_job_that_clears_nothing(
        self, emulator, caller, named
    ):
        connection_id = emulator.add_connection(source_id=emulator.add_source(connector="postgres"))

        job = ok(clear(caller, named, connection_id=connection_id))["job"]

        assert job["resetConfig"] == {"streamsToReset": [{"name": named["streamName"]}]}
        assert job["enabledStreams"] == []
        emulator.advance(60)
        assert caller.job(job["id"])["status"] == "succeeded"

    def test_the_namespace_belongs_to_the_name(self, emulator, caller):
        connection_id = emulator.add_connection(source_id=emulator.add_source(connector="postgres"))
        orders = {"streamName": "orders", "streamNamespace": "public"}

        job = ok(clear(caller, orders, connection_id=connection_id))["job"]

        assert job["enabledStreams"] == [{"name": "orders", "namespace": "public"}]

    def test_clearing_a_stream_cancels_the_running_sync(self, caller):
        ok(caller.sync())

        job = ok(clear(caller, USERS))["job"]

        assert (job["id"], job["status"]) == (2, "pending")
        assert caller.job(1)["status"] == "cancelled"

    def test_without_a_workflow_clearing_fails(self, emulator, caller):
        emulator.delete_workflow()

        error_id_only(clear(caller, USERS), 500)

    def test_the_public_api_lists_both_kinds_of_jobs_by_type(self, emulator, caller):
        ok(clear(caller, USERS))
        emulator.advance(60)
        ok(refresh(caller, USERS))

        def listed(job_type: str) -> list[tuple[int, str]]:
            found = ok(caller.get("/jobs", jobType=job_type))["data"]
            return [(job["jobId"], job["jobType"]) for job in found]

        assert listed("reset") == [(1, "reset")]
        assert listed("refresh") == [(2, "refresh")]
        assert listed("clear") == listed("sync") == []


class TestRoles:
    def test_a_runner_may_refresh_but_not_clear(self, caller_with_role):
        runner = caller_with_role("workspace_runner")

        ok(refresh(runner))
        hateoas_error(clear(runner), 403)
        hateoas_error(refresh(caller_with_role("workspace_reader")), 403)

    @pytest.mark.parametrize("role", ["workspace_source_editor", "workspace_destination_editor"])
    def test_any_editor_may_clear(self, caller_with_role, role):
        ok(clear(caller_with_role(role)))

    def test_an_unknown_connection_is_forbidden_and_not_found_for_an_admin(self, caller, admin):
        for start in (refresh, clear):
            hateoas_error(start(caller, connection_id=UNKNOWN_ID), 403)
            error_id_only(start(admin, connection_id=UNKNOWN_ID), 404)
