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


def counters(rows: int, size: int) -> dict[str, int]:
    """Return the five counters of a job or a stream."""
    return {
        "recordsEmitted": rows,
        "bytesEmitted": size,
        "recordsCommitted": rows,
        "bytesCommitted": size,
        "recordsRejected": 0,
    }


class TestJobs:
    def test_attempts_contain_the_failure_reason(self, emulator, caller, failed_job_id):
        info = ok(post(caller, "jobs/get_without_logs", id=failed_job_id))

        job = info["job"]
        assert (job["configType"], job["configId"]) == ("sync", emulator.connection_id)
        assert job["updatedAt"] - job["createdAt"] == 70
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

    def test_a_job_has_counters_only_without_logs_and_in_lists(
        self, emulator, caller, failed_job_id
    ):
        plain = {
            "id", "configId", "configType", "enabledStreams",
            "createdAt", "updatedAt", "startedAt", "status",
        }  # fmt: skip
        query = {"configTypes": ["sync"], "configId": emulator.connection_id}

        without_logs = ok(post(caller, "jobs/get_without_logs", id=failed_job_id))["job"]
        (listed,) = ok(post(caller, "jobs/list", **query))["jobs"]

        assert without_logs == listed["job"]
        assert set(without_logs) == plain | {"aggregatedStats", "streamAggregatedStats"}
        assert without_logs["aggregatedStats"] == counters(4, 512)
        assert without_logs["streamAggregatedStats"] == [
            {"streamName": "users", **counters(2, 171)},
            {"streamName": "products", **counters(1, 171)},
            {"streamName": "purchases", **counters(1, 170)},
        ]
        for path in ("jobs/get", "jobs/get_light"):
            assert set(ok(post(caller, path, id=failed_job_id))["job"]) == plain

    def test_an_attempt_counts_by_stream_and_leaves_out_committed_bytes(
        self, caller, failed_job_id
    ):
        second = ok(post(caller, "jobs/get", id=failed_job_id))["attempts"][1]["attempt"]

        assert set(second) == {
            "id", "status", "createdAt", "updatedAt", "endedAt", "bytesSynced", "recordsSynced",
            "totalStats", "streamStats", "failureSummary",
        }  # fmt: skip
        assert set(second["totalStats"]) == {"recordsEmitted", "bytesEmitted", "recordsCommitted"}
        assert [stream["stats"]["recordsCommitted"] for stream in second["streamStats"]] == [
            2,
            1,
            1,
        ]

    @pytest.mark.parametrize("statistics", ["all", "attempts", "none"])
    def test_statistics_can_be_missing(self, emulator, caller, statistics):
        emulator.script_job(rows=3, duration=0, statistics=statistics)
        ok(caller.sync())
        emulator.advance(0)

        read = ok(caller.get("/jobs/1"))
        listed = ok(caller.get("/jobs"))["data"][0]
        info = ok(post(caller, "jobs/get_without_logs", id=1))
        combined = post(caller, "attempt/get_combined_stats", jobId=1, attemptNumber=0)

        is_stored = statistics == "all"
        assert (read["rowsSynced"], read["bytesSynced"]) == ((3, 384) if is_stored else (0, 0))
        assert listed == read
        assert info["job"]["aggregatedStats"] == (counters(3, 384) if is_stored else counters(0, 0))
        assert len(info["job"]["streamAggregatedStats"]) == (3 if is_stored else 0)
        (entry,) = info["attempts"]
        assert ("totalStats" in entry["attempt"]) is (statistics != "none")
        assert combined.status == (200 if is_stored else 404)

    def test_streams_can_be_counted_one_by_one(self, emulator, caller):
        emulator.script_job(rows_of={"purchases": 5, "users": 0}, attempts=2, duration=0,
                            failure={"type": "transient_error"}, partial_rows=6)  # fmt: skip
        ok(caller.sync())
        emulator.advance(0)

        info = ok(post(caller, "jobs/get_without_logs", id=1))

        assert info["job"]["aggregatedStats"] == counters(11, 11 * 128)
        assert info["job"]["streamAggregatedStats"] == [
            {"streamName": "users", **counters(2, 2 * 128)},
            {"streamName": "products", **counters(2, 2 * 128)},
            {"streamName": "purchases", **counters(7, 7 * 128)},
        ]
        first, second = (entry["attempt"] for entry in info["attempts"])
        assert first["failureSummary"]["partialSuccess"] is True
        assert [
            (each["streamName"], each["stats"]["recordsCommitted"])
            for each in second["streamStats"]
        ] == [("users", 0), ("purchases", 5)]

    def test_only_the_statistics_of_lists_have_namespaces_and_nulls_are_left_out(
        self, emulator, caller
    ):
        tables = emulator.add_connection(source_id=emulator.add_source(connector="postgres"))
        for connection_id, namespace in ((tables, {"Namespace": "public"}), (None, {})):
            job_id = ok(caller.sync(connection_id))["jobId"]
            emulator.advance(60)
            read = ok(post(caller, "jobs/get", id=job_id))
            query = {"configTypes": ["sync"], "configId": read["job"]["configId"]}
            (listed,) = ok(post(caller, "jobs/list", **query))["jobs"]

            keys = {"name"} | {"namespace" for _ in namespace}
            assert {frozenset(stream) for stream in read["job"]["enabledStreams"]} == {
                frozenset(keys)
            }
            stats = read["attempts"][0]["attempt"]["streamStats"]
            assert {frozenset(item) for item in stats} == {frozenset({"streamName", "stats"})}
            keys = {"streamName", "stats"} | {f"stream{name}" for name in namespace}
            stats = listed["attempts"][0]["streamStats"]
            assert {frozenset(item) for item in stats} == {frozenset(keys)}

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

    def test_a_running_attempt_has_neither_an_end_nor_counters(self, caller):
        ok(caller.sync())

        info = ok(post(caller, "jobs/get_without_logs", id=1))

        (entry,) = info["attempts"]
        assert set(entry["attempt"]) == {"id", "status", "createdAt", "updatedAt"}
        assert info["job"]["aggregatedStats"] == counters(0, 0)
        assert info["job"]["streamAggregatedStats"] == []
        assert len(ok(post(caller, "jobs/get", id=1))["attempts"][0]["logs"]["events"]) == 1
        error_id_only(post(caller, "attempt/get_combined_stats", jobId=1, attemptNumber=0), 404)

    def test_the_counters_of_a_job_are_live(self, emulator, caller):
        emulator.script_job(statuses=[("running", None)])
        ok(caller.sync())
        emulator.commit_records(1, 4)

        job = ok(post(caller, "jobs/get_without_logs", id=1))["job"]

        assert job["aggregatedStats"] == counters(4, 512)
        assert len(job["streamAggregatedStats"]) == 3

    def test_get_light_returns_only_the_job(self, caller, failed_job_id):
        assert set(ok(post(caller, "jobs/get_light", id=failed_job_id))) == {"job"}

    def test_debug_info_contains_definitions_and_workflow_state(self, caller, failed_job_id):
        info = ok(post(caller, "jobs/get_debug_info", id=failed_job_id))

        assert set(info["job"]) == {
            "id", "configType", "configId", "status", "airbyteVersion",
            "sourceDefinition", "destinationDefinition",
        }  # fmt: skip
        definition = info["job"]["sourceDefinition"]
        assert set(definition) == {
            "sourceDefinitionId", "name", "dockerRepository", "dockerImageTag",
            "documentationUrl", "custom",
        }  # fmt: skip
        assert definition["dockerRepository"] == "airbyte/source-faker"
        assert info["workflowState"] == {"running": False}
        assert len(info["attempts"]) == 2

    def test_debug_info_names_the_images_of_custom_connectors(self, emulator, caller):
        workspace = f"/workspaces/{emulator.workspace_id}"
        image = {"name": "own", "dockerRepository": "acme/own", "dockerImageTag": "2.1.0"}
        custom = ok(caller.post(f"{workspace}/definitions/destinations", image))
        manifest = {"name": "api", "manifest": {"spec": {}}}
        declarative = ok(caller.post(f"{workspace}/definitions/declarative_sources", manifest))
        actor = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": {}}
        source = ok(caller.post("/sources", {**actor, "definitionId": declarative["id"]}))
        destination = ok(caller.post("/destinations", {**actor, "definitionId": custom["id"]}))
        connection_id = emulator.add_connection(
            source_id=source["sourceId"], destination_id=destination["destinationId"]
        )
        job_id = ok(caller.sync(connection_id))["jobId"]

        job = ok(post(caller, "jobs/get_debug_info", id=job_id))["job"]

        assert job["sourceDefinition"]["dockerRepository"] == "airbyte/source-declarative-manifest"
        read = job["destinationDefinition"]
        assert (read["dockerRepository"], read["dockerImageTag"]) == ("acme/own", "2.1.0")
        assert read["custom"] is True

    def test_a_single_attempt_can_be_read(self, caller, failed_job_id):
        attempt = ok(post(caller, "attempt/get_for_job", jobId=failed_job_id, attemptNumber=1))
        stats = ok(post(caller, "attempt/get_combined_stats", jobId=failed_job_id, attemptNumber=1))

        assert attempt["attempt"]["id"] == 1
        assert stats == {
            "recordsEmitted": 4, "bytesEmitted": 512, "recordsCommitted": 4, "bytesCommitted": 512
        }  # fmt: skip
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
        assert [attempt["id"] for attempt in ended["jobs"][0]["attempts"]] == [0, 1]

    def test_a_list_of_jobs_has_200_entries_by_default(self, emulator, caller):
        for _ in range(201):
            emulator.start_sync(job_type="reset")
            emulator.advance(60)
        query = {"configTypes": ["reset_connection"], "configId": emulator.connection_id}

        page = ok(post(caller, "jobs/list", **query))

        assert (len(page["jobs"]), page["totalJobCount"]) == (200, 201)

    def test_the_last_replication_job_may_be_a_reset_but_is_never_cancelled(self, emulator, caller):
        query = {"connectionId": emulator.connection_id}
        assert ok(post(caller, "jobs/get_last_replication_job", **query)) == {}
        ok(caller.sync())
        ok(caller.sync(job_type="clear"))

        assert ok(post(caller, "jobs/get_last_replication_job", **query))["job"]["id"] == 2
        ok(caller.delete("/jobs/2"))
        assert ok(post(caller, "jobs/get_last_replication_job", **query)) == {}

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
        assert "namespace" not in users["stream"]
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

        assert set(first) == {
            "connectionId", "connectionSyncStatus", "lastSyncJobId", "lastSyncAttemptNumber",
            "lastSyncJobCreatedAt", "failureReason",
        }  # fmt: skip
        assert first["connectionSyncStatus"] == "incomplete"
        assert (first["lastSyncJobId"], first["lastSyncAttemptNumber"]) == (failed_job_id, 1)
        assert first["failureReason"]["externalMessage"] == "Login refused"
        assert second == {"connectionId": idle, "connectionSyncStatus": "pending"}
        assert third["connectionSyncStatus"] == "paused"

    def test_an_unknown_connection_has_no_status(self, emulator, caller, admin):
        for asked, known in (
            (caller, emulator.connection_id),
            (admin, admin.emulator.connection_id),
        ):
            response = post(asked, "connections/status", connectionIds=[known, UNKNOWN_ID])
            if asked is admin:
                error_id_only(response, 404)
            else:
                hateoas_error(response, 403)

    @pytest.mark.parametrize(
        ("ends", "is_active", "expected"),
        [
            ([("sync", "succeeded", {})], True, "synced"),
            ([("sync", "succeeded", {})], False, "paused"),
            ([("sync", "failed", {"type": "config_error"})], False, "failed"),
            ([("sync", "failed", {"type": "system_error"})], False, "paused"),
            (
                [("sync", "failed", {"type": "config_error"}), ("sync", "cancelled", {})],
                True,
                "failed",
            ),
            ([("sync", "failed", {"type": "system_error"})], True, "incomplete"),
            ([("sync", "succeeded", {}), ("sync", "cancelled", {})], True, "incomplete"),
            ([("sync", "succeeded", {}), ("reset", "succeeded", {})], True, "pending"),
            ([("reset", "succeeded", {}), ("refresh", "succeeded", {})], True, "synced"),
        ],
    )
    def test_the_status_of_a_connection_follows_its_newest_jobs(
        self, emulator, caller, ends, is_active, expected
    ):
        for job_type, outcome, failure in ends:
            emulator.script_job(outcome=outcome, failure=failure, attempts=1, duration=1)
            emulator.start_sync(job_type=job_type)
            emulator.advance(60)
        if not is_active:
            ok(caller.patch(f"/connections/{emulator.connection_id}", {"status": "inactive"}))

        (status,) = ok(post(caller, "connections/status", connectionIds=[emulator.connection_id]))

        assert status["connectionSyncStatus"] == expected

    @pytest.mark.parametrize(
        ("status", "expected"),
        [("pending", "pending"), ("queued", "queued"), ("incomplete", "pending")],
    )
    def test_an_active_job_decides_the_status_of_a_paused_connection(
        self, emulator, caller, status, expected
    ):
        started = [] if status in ("pending", "queued") else [("running", 1)]
        emulator.script_job(statuses=[*started, (status, None)])
        emulator.start_sync()
        emulator.advance(5)
        ok(caller.patch(f"/connections/{emulator.connection_id}", {"status": "inactive"}))

        (read,) = ok(post(caller, "connections/status", connectionIds=[emulator.connection_id]))

        assert (read["connectionSyncStatus"], read["activeJob"]["status"]) == (expected, status)

    def test_a_running_connection_reports_its_job_and_progress(self, emulator, caller):
        body = {"connectionId": emulator.connection_id}
        assert ok(post(caller, "connections/sync_progress", **body)) == {**body, "streams": []}
        ok(caller.sync())

        (status,) = ok(post(caller, "connections/status", connectionIds=[emulator.connection_id]))
        progress = ok(post(caller, "connections/sync_progress", **body))

        assert (status["connectionSyncStatus"], status["activeJob"]["id"]) == ("running", 1)
        assert progress == {
            **body,
            "jobId": 1,
            "configType": "sync",
            "syncStartedAt": int(emulator.now.timestamp()),
            **counters(0, 0),
            "streams": [
                {"streamName": name, "configType": "sync"}
                for name in ("users", "products", "purchases")
            ],
        }
        emulator.advance(60)
        (status,) = ok(post(caller, "connections/status", connectionIds=[emulator.connection_id]))
        assert status["connectionSyncStatus"] == "synced"
        assert status["lastSuccessfulSync"] == int(emulator.now.timestamp())

    def test_the_progress_of_a_retry_counts_what_earlier_attempts_committed(self, emulator, caller):
        emulator.script_job(statuses=[("running", 1), ("incomplete", None)], rows=6)
        emulator.start_sync()
        emulator.advance(5)

        progress = ok(
            post(caller, "connections/sync_progress", connectionId=emulator.connection_id)
        )

        assert progress["streams"][0] == {
            "streamName": "users", "configType": "sync", **counters(2, 256)
        }  # fmt: skip


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
