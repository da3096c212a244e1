"""The config API: failure reasons, attempts, logs, refreshes (docs/airbyte-api.md §1.1, §3.7)."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import UNKNOWN_ID, Caller, error_id_only, hateoas_error, ok, problem


@pytest.fixture
def failed_job_id(emulator, caller) -> int:
    """The id of a job that failed after two attempts."""
    emulator.script_job(
        outcome="failed",
        attempts=2,
        duration=30,
        rows=4,
        failure={"message": "Login refused", "type": "system_error", "internal_message": "28P01"},
    )
    ok(caller.sync())
    emulator.advance(100)
    return 1


def post(caller: Caller, path: str, **body: object):
    return caller.post(f"/api/v1/{path}", body)


class TestJobs:
    def test_attempts_contain_the_failure_reason(self, emulator, caller, failed_job_id):
        info = ok(post(caller, "jobs/get_without_logs", id=failed_job_id))

        job = info["job"]
        assert (job["configType"], job["configId"]) == ("sync", emulator.connection_id)
        assert job["updatedAt"] - job["createdAt"] == 70
        assert job["aggregatedStats"]["recordsCommitted"] == 4
        assert [stream["name"] for stream in job["enabledStreams"]] == [
            "users", "products", "purchases"
        ]  # fmt: skip
        first, second = (entry["attempt"] for entry in info["attempts"])
        assert (first["id"], first["status"], second["id"]) == (0, "failed", 1)
        assert first["endedAt"] - first["createdAt"] == 30
        (reason,) = first["failureSummary"]["failures"]
        assert reason == {
            "failureOrigin": "source",
            "failureType": "system_error",
            "externalMessage": "Login refused",
            "internalMessage": "28P01",
            "retryable": True,
            "timestamp": first["endedAt"] * 1000,
        }
        assert second["failureSummary"]["partialSuccess"] is True
        assert "logs" not in info["attempts"][0]

    def test_counters_are_split_across_the_streams(self, emulator, caller, failed_job_id):
        second = ok(post(caller, "jobs/get", id=failed_job_id))["attempts"][1]["attempt"]

        counts = [stream["stats"]["recordsCommitted"] for stream in second["streamStats"]]
        assert counts == [2, 1, 1]
        assert second["totalStats"]["recordsCommitted"] == 4

    def test_the_full_response_contains_logs(self, caller, failed_job_id):
        attempt = ok(post(caller, "jobs/get", id=failed_job_id))["attempts"][0]

        assert attempt["logType"] == "structured"
        messages = [event["message"] for event in attempt["logs"]["events"]]
        assert "Login refused" in messages

    def test_a_cancelled_attempt_has_the_type_manual_cancellation(self, caller):
        ok(caller.sync())
        ok(caller.delete("/jobs/1"))

        info = ok(post(caller, "jobs/get_without_logs", id=1))

        (reason,) = info["attempts"][0]["attempt"]["failureSummary"]["failures"]
        assert reason["failureType"] == "manual_cancellation"
        assert "failureOrigin" not in reason
        assert reason["retryable"] is False

    def test_a_running_attempt_has_no_end_time(self, caller):
        ok(caller.sync())

        info = ok(post(caller, "jobs/get", id=1))

        assert "endedAt" not in info["attempts"][0]["attempt"]
        assert len(info["attempts"][0]["logs"]["events"]) == 1

    def test_get_light_returns_only_the_job(self, caller, failed_job_id):
        assert set(ok(post(caller, "jobs/get_light", id=failed_job_id))) == {"job"}

    def test_debug_info_contains_definitions_and_workflow_state(self, caller, failed_job_id):
        info = ok(post(caller, "jobs/get_debug_info", id=failed_job_id))

        assert info["job"]["sourceDefinition"]["name"] == "faker"
        assert info["workflowState"] == {"running": False}
        assert len(info["attempts"]) == 2

    def test_a_single_attempt_can_be_read(self, caller, failed_job_id):
        attempt = ok(post(caller, "attempt/get_for_job", jobId=failed_job_id, attemptNumber=1))
        stats = ok(post(caller, "attempt/get_combined_stats", jobId=failed_job_id, attemptNumber=1))

        assert attempt["attempt"]["id"] == 1
        assert stats["recordsCommitted"] == 4
        error_id_only(
            post(caller, "attempt/get_for_job", jobId=failed_job_id, attemptNumber=2), 404
        )

    def test_jobs_are_listed_newest_first_and_filtered_by_several_statuses(
        self, emulator, caller, failed_job_id
    ):
        ok(caller.sync())
        query = {"configTypes": ["sync"], "configId": emulator.connection_id}

        everything = ok(post(caller, "jobs/list", **query))
        page = {"pageSize": 1, "rowOffset": 1}
        second = ok(post(caller, "jobs/list", **query, pagination=page))
        ended = ok(post(caller, "jobs/list", **query, statuses=["failed", "cancelled"]))

        assert [entry["job"]["id"] for entry in everything["jobs"]] == [2, 1]
        assert everything["totalJobCount"] == 2
        assert [entry["job"]["id"] for entry in second["jobs"]] == [1]
        assert [entry["job"]["id"] for entry in ended["jobs"]] == [1]

    def test_the_last_replication_job_is_never_a_reset(self, emulator, caller):
        query = {"connectionId": emulator.connection_id}
        assert ok(post(caller, "jobs/get_last_replication_job", **query)) == {}
        ok(caller.sync())
        ok(caller.sync(job_type="clear"))

        assert ok(post(caller, "jobs/get_last_replication_job", **query))["job"]["id"] == 1

    def test_the_timeline_has_events_for_start_and_end(self, caller, failed_job_id):
        events = ok(post(caller, "connections/events/list_for_job", id=failed_job_id))["events"]

        assert [event["eventType"] for event in events] == ["SYNC_STARTED", "SYNC_FAILED"]

    def test_explaining_a_job_is_not_implemented(self, caller, failed_job_id):
        assert problem(post(caller, "jobs/explain", id=failed_job_id), 501)["title"] == (
            "API not implemented in Airbyte OSS"
        )

    @pytest.mark.parametrize("body", [{"id": 99}, {"id": "x"}, {}, [], {"id": None}])
    def test_an_unknown_job_is_a_framework_403_for_a_user(self, caller, body):
        hateoas_error(caller.post("/api/v1/jobs/get", body), 403)

    def test_an_unknown_job_is_a_404_for_an_instance_admin(self, admin):
        error_id_only(post(admin, "jobs/get", id=99), 404)
        hateoas_error(post(admin, "jobs/get"), 400)


class TestConnections:
    def test_a_connection_can_be_read_and_listed(self, emulator, caller):
        emulator.advance(1)
        ok(
            caller.patch(
                f"/connections/{emulator.connection_id}",
                {
                    "schedule": {"scheduleType": "cron", "cronExpression": "0 0 6 * * ?"},
                    "nonBreakingSchemaUpdatesBehavior": "disable_connection",
                    "namespaceDefinition": "custom_format",
                    "namespaceFormat": "x",
                },
            )
        )

        read = ok(post(caller, "connections/get", connectionId=emulator.connection_id))

        assert read["scheduleData"] == {
            "cron": {"cronExpression": "0 0 6 * * ?", "cronTimeZone": "UTC"}
        }
        assert read["nonBreakingChangesPreference"] == "disable"
        assert read["namespaceDefinition"] == "customformat"
        users = read["syncCatalog"]["streams"][0]
        assert "email" in users["stream"]["jsonSchema"]["properties"]
        assert users["config"]["destinationSyncMode"] == "overwrite"
        listed = ok(post(caller, "connections/list", workspaceId=emulator.workspace_id))
        assert listed == {"connections": [read]}

    def test_a_basic_schedule_has_units_and_a_time_unit(self, emulator, caller):
        basic = {"scheduleType": "basic", "basicTiming": "Every 24 HOURS"}
        connection_id = emulator.add_connection(schedule=basic)

        read = ok(post(caller, "connections/get", connectionId=connection_id))

        assert read["scheduleData"] == {"basicSchedule": {"units": 24, "timeUnit": "hours"}}
        manual = ok(post(caller, "connections/get", connectionId=emulator.connection_id))
        assert manual["scheduleType"] == "manual"
        assert ok(caller.get(f"/connections/{connection_id}"))["schedule"] == basic

    def test_sources_destinations_and_workspaces_can_be_read(self, emulator, caller):
        source = ok(post(caller, "sources/get", sourceId=emulator.source_id))
        destination = ok(post(caller, "destinations/get", destinationId=emulator.destination_id))
        workspace = ok(post(caller, "workspaces/get", workspaceId=emulator.workspace_id))

        assert (source["sourceName"], destination["destinationName"]) == ("faker", "duckdb")
        assert workspace["name"] == "Analytics"

    @pytest.mark.parametrize(
        ("path", "field"),
        [
            ("connections/get", "connectionId"),
            ("sources/get", "sourceId"),
            ("destinations/get", "destinationId"),
            ("workspaces/get", "workspaceId"),
        ],
    )
    def test_an_unknown_id_is_forbidden_for_a_user_and_not_found_for_an_admin(
        self, caller, admin, path, field
    ):
        hateoas_error(post(caller, path, **{field: UNKNOWN_ID}), 403)
        error_id_only(post(admin, path, **{field: UNKNOWN_ID}), 404)

    def test_a_rejected_sync_has_a_different_body_than_in_the_public_api(self, emulator, caller):
        body = {"connectionId": emulator.connection_id}
        assert ok(post(caller, "connections/sync", **body))["job"]["status"] == "pending"

        response = post(caller, "connections/sync", **body)

        assert response.status == 409
        assert response.json()["message"] == (
            f"A sync is already running for: {emulator.connection_id}"
        )
        assert response.json()["exceptionClassName"] is None
        inactive = emulator.add_connection(status="inactive")
        error_id_only(post(caller, "connections/sync", connectionId=inactive), 500)

    def test_the_status_of_several_connections_can_be_read(self, emulator, caller, failed_job_id):
        idle, paused = emulator.add_connection(), emulator.add_connection(status="inactive")
        ids = [emulator.connection_id, idle, paused]

        first, second, third = ok(post(caller, "connections/status", connectionIds=ids))

        assert first["connectionSyncStatus"] == "failed"
        assert (first["lastSyncJobId"], first["lastSyncAttemptNumber"]) == (failed_job_id, 1)
        assert first["failureReason"]["externalMessage"] == "Login refused"
        assert second == {
            "connectionId": idle,
            "connectionSyncStatus": "pending",
            "isRunning": False,
        }
        assert third["connectionSyncStatus"] == "paused"
        hateoas_error(post(caller, "connections/status", connectionIds=[UNKNOWN_ID]), 403)

    def test_a_running_connection_reports_its_job_and_progress(self, emulator, caller):
        body = {"connectionId": emulator.connection_id}
        assert ok(post(caller, "connections/sync_progress", **body))["streams"] == []
        ok(caller.sync())

        (status,) = ok(post(caller, "connections/status", connectionIds=[emulator.connection_id]))
        progress = ok(post(caller, "connections/sync_progress", **body))

        assert (status["connectionSyncStatus"], status["activeJob"]["id"]) == ("running", 1)
        assert progress["jobId"] == 1
        emulator.advance(60)
        (status,) = ok(post(caller, "connections/status", connectionIds=[emulator.connection_id]))
        assert status["connectionSyncStatus"] == "synced"
        assert status["lastSuccessfulSync"] == int(emulator.now.timestamp())


class TestRefreshingAndClearing:
    def test_selected_streams_can_be_refreshed(self, emulator, caller):
        body = {
            "connectionId": emulator.connection_id,
            "refreshMode": "Truncate",
            "streams": [{"streamName": "users"}, {"streamName": "nothing"}],
        }

        job = ok(post(caller, "connections/refresh", **body))["job"]

        assert job["configType"] == "refresh"
        assert [stream["name"] for stream in job["enabledStreams"]] == ["users"]
        assert caller.job(job["id"])["jobType"] == "refresh"
        emulator.advance(60)
        assert caller.job(job["id"])["rowsSynced"] == 100

    def test_a_refresh_cancels_the_running_job(self, emulator, caller):
        ok(caller.sync())
        body = {"connectionId": emulator.connection_id, "refreshMode": "Merge"}

        ok(post(caller, "connections/refresh", **body))

        assert caller.job(1)["status"] == "cancelled"

    def test_a_destination_without_refresh_support_starts_no_job(self, emulator, caller):
        connection_id = emulator.add_connection(
            destination_id=emulator.add_destination(connector="s3")
        )
        body = {"connectionId": connection_id, "refreshMode": "Merge"}

        assert ok(post(caller, "connections/refresh", **body)) == {}
        assert len(emulator.jobs) == 0

    @pytest.mark.parametrize("word", ["clear", "reset"])
    def test_some_or_all_streams_can_be_cleared(self, emulator, caller, word):
        body = {"connectionId": emulator.connection_id}

        some = post(caller, f"connections/{word}/stream", **body, streams=[{"streamName": "users"}])
        everything = post(caller, f"connections/{word}", **body)

        assert [s["name"] for s in ok(some)["job"]["enabledStreams"]] == ["users"]
        assert len(ok(everything)["job"]["enabledStreams"]) == 3
        assert caller.job(2)["jobType"] == "reset"

    def test_a_runner_may_refresh_but_not_clear(self, emulator, caller_with_role):
        runner = caller_with_role("workspace_runner")
        body = {"connectionId": emulator.connection_id}

        ok(post(runner, "connections/refresh", **body, refreshMode="Merge"))
        hateoas_error(post(runner, "connections/clear", **body), 403)


class TestDiscovery:
    @pytest.mark.parametrize(
        ("auth_mode", "mode"),
        [("oidc", "oidc"), ("generic-oidc", "oidc"), ("simple", "simple"), ("none", "none")],
    )
    def test_instance_configuration_reports_version_edition_and_auth_mode(self, auth_mode, mode):
        emulator = Emulator(auth_mode=auth_mode, version="1.8.2")
        unauthenticated = Caller(emulator, "", "", token="none")

        configuration = ok(unauthenticated.get("/api/v1/instance_configuration"))

        assert (configuration["version"], configuration["edition"]) == ("1.8.2", "enterprise")
        assert configuration["auth"] == {"mode": mode}
        assert configuration["defaultWorkspaceId"] == emulator.workspace_id

    def test_health_and_the_documentation_redirect_need_no_token(self, emulator):
        unauthenticated = Caller(emulator, "", "", token="none")

        assert ok(unauthenticated.get("/api/v1/health")) == {"available": True}
        assert unauthenticated.get("/health").body == b"Successful operation"
        root = unauthenticated.get("/api/public")
        assert (root.status, root.headers["location"]) == (302, "https://reference.airbyte.com/")

    def test_paths_outside_the_api_return_the_web_application(self, caller):
        for path in ("/", "/v1/workspaces", "/workspaces/1/connections", "/auth/realms/airbyte"):
            page = caller.emulator.respond(request("GET", path))
            assert (page.status, page.is_html) == (200, True)
        hateoas_error(caller.emulator.respond(request("POST", "/v1/applications/token")), 405)
        assert caller.emulator.respond(request("HEAD", "/")).status == 200

    def test_an_unknown_api_route_is_forbidden(self, caller):
        hateoas_error(caller.get("/nowhere"), 403)
        hateoas_error(caller.get("/api/v1/nowhere"), 403)
        hateoas_error(caller.emulator.respond(request("GET", "/api/v1/nowhere")), 401)


def request(method: str, path: str) -> HttpRequest:
    return HttpRequest(method, f"http://airbyte.test{path}")
