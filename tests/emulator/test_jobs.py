"""Starting, reading, cancelling and listing jobs, and their lifecycle (docs/airbyte-api.md §3)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from airflow_provider_airbyte_sme.emulator import (
    Emulator,
    RetryPolicy,
    SyncContext,
    SyncFailedError,
    SyncResult,
)
from tests.emulator.conftest import UNKNOWN_ID, caller_of, error_id_only, hateoas_error, ok, problem

SYSTEM_ERROR = {"message": "Login refused", "origin": "source", "type": "system_error"}


def statuses(emulator: Emulator, job_id: int) -> list[str]:
    return [status for _, status in emulator.jobs[job_id].history]


def wait_until_ended(emulator: Emulator, job_id: int) -> None:
    """Wait until a job whose data a thread moves has ended."""
    ended = threading.Event()

    def check() -> None:
        if emulator.jobs[job_id].is_terminal:
            ended.set()

    stop = emulator.watch(check)
    check()
    assert ended.wait(10)
    stop()


class TestStarting:
    def test_a_new_job_is_pending_and_has_no_counters(self, emulator, caller):
        job = ok(caller.sync())

        assert job == {
            "jobId": 1,
            "status": "pending",
            "jobType": "sync",
            "startTime": job["startTime"],
            "connectionId": emulator.connection_id,
        }

    def test_an_old_server_responds_once_the_attempt_is_running(self):
        caller = caller_of(Emulator(time="manual", version="2.0.0"))

        assert ok(caller.sync())["status"] == "running"

    @pytest.mark.parametrize("phase", ["pending", "queued"])
    def test_a_job_without_an_attempt_is_returned_again(self, emulator, caller, phase):
        emulator.script_job(statuses=[(phase, 60), ("running", 60), ("succeeded", None)])

        first, second = ok(caller.sync()), ok(caller.sync())

        assert first["jobId"] == second["jobId"]
        assert len(emulator.jobs) == 1

    def test_an_old_server_rejects_a_sync_while_a_job_has_no_attempt(self):
        emulator = Emulator(time="manual", version="2.0.0")
        emulator.script_job(statuses=[("pending", None)])
        caller = caller_of(emulator)
        ok(caller.sync())

        assert problem(caller.sync(), 409)["title"] == "try-again-later"

    def test_a_running_sync_is_a_409_try_again_later(self, emulator, caller):
        ok(caller.sync())

        body = problem(caller.sync(), 409)

        assert body == {
            "status": 409,
            "type": "https://reference.airbyte.com/reference/errors#try-again-later",
            "title": "try-again-later",
            "detail": "Please try again later.",
            "documentationUrl": None,
            "data": {"message": f"A sync is already running for: {emulator.connection_id}"},
        }

    def test_a_sync_between_attempts_counts_as_running(self, emulator, caller):
        emulator.script_job(statuses=[("running", 1), ("incomplete", 60), ("failed", None)])
        ok(caller.sync())
        emulator.advance(2)

        assert caller.job(1)["status"] == "incomplete"
        assert problem(caller.sync(), 409)["title"] == "try-again-later"

    @pytest.mark.parametrize("status", ["inactive", "deprecated", "locked"])
    def test_a_connection_that_is_not_active_is_a_state_conflict(self, emulator, caller, status):
        connection_id = emulator.add_connection(status=status)

        body = problem(caller.sync(connection_id), 409)

        assert body["title"] == "state-conflict"
        assert body["type"].endswith("#409-state-conflict")
        assert body["data"] == {"message": "Could not fulfill request"}

    @pytest.mark.parametrize("job_type", ["reset", "clear"])
    def test_clear_is_stored_as_reset_and_cancels_the_running_sync(
        self, emulator, caller, job_type
    ):
        ok(caller.sync())

        job = ok(caller.sync(job_type=job_type))

        assert (job["jobId"], job["jobType"]) == (2, "reset")
        assert caller.job(1)["status"] == "cancelled"
        emulator.advance(60)
        assert caller.job(2)["status"] == "succeeded"
        assert caller.job(2)["rowsSynced"] == 0

    def test_an_inactive_connection_can_be_cleared(self, emulator, caller):
        connection_id = emulator.add_connection(status="inactive")

        assert ok(caller.sync(connection_id, "reset"))["jobType"] == "reset"

    def test_a_refresh_cannot_be_started_through_the_public_api(self, caller):
        body = problem(caller.sync(job_type="refresh"), 422)

        assert body["title"] == "unprocessable-entity"
        assert body["data"] == {"message": "Refreshes are not supported in the public API"}

    @pytest.mark.parametrize(
        "body",
        [
            {"jobType": "sync"},
            {"connectionId": "x"},
            {"connectionId": "x", "jobType": "replicate"},
            {"connectionId": "x", "jobType": None},
            {"connectionId": {"id": "x"}, "jobType": "sync"},
            [],
        ],
    )
    def test_an_invalid_body_is_a_framework_error(self, caller, body):
        assert hateoas_error(caller.post("/jobs", body), 400)["path"] == "/jobCreateRequest"

    def test_unknown_fields_are_ignored(self, emulator, caller):
        body = {"connectionId": emulator.connection_id, "jobType": "sync", "streams": ["users"]}

        ok(caller.post("/jobs", body))

        assert len(emulator.jobs[1].streams) == 3

    @pytest.mark.parametrize("unknown", [UNKNOWN_ID, "not-a-uuid"])
    def test_an_unknown_connection_is_forbidden_for_a_user(self, caller, unknown):
        body = problem(caller.sync(unknown), 403)

        assert body["title"] == "forbidden"
        assert body["data"]["message"] == (
            "Caller does not have the required permissions to access the resource(s)."
        )

    def test_an_unknown_connection_is_not_found_for_an_instance_admin(self, admin):
        assert problem(admin.sync(UNKNOWN_ID), 404)["data"] == {
            "resourceType": "STANDARD_SYNC",
            "resourceId": UNKNOWN_ID,
        }
        error_id_only(admin.sync("not-a-uuid"), 500)


class TestReading:
    def test_a_job_gains_fields_as_it_progresses(self, emulator, caller):
        script = [("pending", 10), ("running", 50), ("succeeded", None)]
        emulator.script_job(statuses=script, rows=7)
        ok(caller.sync())
        pending = caller.job(1)
        emulator.advance(30)
        running = caller.job(1)
        emulator.advance(30)
        succeeded = caller.job(1)

        assert "duration" not in pending
        assert "lastUpdatedAt" not in running
        # Until the last change of the database row, not until now.
        assert running["duration"] == "PT10S"
        assert (running["rowsSynced"], running["bytesSynced"]) == (0, 0)
        assert succeeded["duration"] == "PT1M"
        assert succeeded["lastUpdatedAt"] > succeeded["startTime"]
        assert (succeeded["rowsSynced"], succeeded["bytesSynced"]) == (7, 896)

    @pytest.mark.parametrize(
        ("second", "text"), [(0, "2026-03-25T01:30Z"), (50, "2026-03-25T01:30:50Z")]
    )
    def test_timestamps_omit_zero_seconds(self, second, text):
        start = datetime(2026, 3, 25, 1, 30, second, tzinfo=UTC)
        caller = caller_of(Emulator(time="manual", start=start))

        assert ok(caller.sync())["startTime"] == text

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "PT0S"), (61, "PT1M1S"), (29_172, "PT8H6M12S"), (180_000, "PT50H")],
    )
    def test_durations_do_not_roll_hours_into_days(self, emulator, caller, seconds, text):
        emulator.script_job(duration=seconds)
        ok(caller.sync())
        emulator.advance(seconds)
        caller.log_in()

        assert caller.job(1)["duration"] == text

    def test_an_unknown_job_is_forbidden_for_a_user_and_a_conflict_for_an_admin(
        self, caller, admin
    ):
        assert problem(caller.get("/jobs/99"), 403)["data"]["message"] == (
            "Caller does not have the required WORKSPACE_READER permissions to access the "
            "resource(s)."
        )
        body = problem(admin.get("/jobs/99"), 409)
        assert body["title"] == "state-conflict"
        assert body["data"] == {"message": "Job is not currently running"}

    @pytest.mark.parametrize("number", ["abc", "1.5", "99999999999999999999", "%C3%A9", "1%0A"])
    def test_an_invalid_job_id_is_a_framework_error(self, caller, number):
        assert hateoas_error(caller.get(f"/jobs/{number}"), 400)["path"] == "/jobId"


class TestCancelling:
    def test_a_running_job_can_be_cancelled(self, emulator, caller):
        ok(caller.sync())
        emulator.advance(10)

        cancelled = ok(caller.delete("/jobs/1"))

        assert cancelled["status"] == "cancelled"
        assert "rowsSynced" not in cancelled
        assert caller.job(1)["rowsSynced"] == 0

    @pytest.mark.parametrize("status", ["queued", "incomplete"])
    def test_a_queued_or_incomplete_job_can_be_cancelled(self, emulator, caller, status):
        before = [] if status == "queued" else [("running", 0)]
        emulator.script_job(statuses=[*before, (status, None)])
        ok(caller.sync())
        assert caller.job(1)["status"] == status

        assert ok(caller.delete("/jobs/1"))["status"] == "cancelled"

    def test_cancelling_an_old_job_cancels_the_newer_one_and_returns_the_old(
        self, emulator, caller
    ):
        ok(caller.sync())
        emulator.advance(60)
        ok(caller.sync())

        body = ok(caller.delete("/jobs/1"))

        assert (body["jobId"], body["status"]) == (1, "succeeded")
        assert caller.job(2)["status"] == "cancelled"

    def test_cancelling_without_a_running_job_is_a_conflict(self, emulator, caller):
        ok(caller.sync())
        emulator.advance(60)

        body = problem(caller.delete("/jobs/1"), 409)

        assert body["title"] == "state-conflict"
        assert body["data"] == {"message": "Job is not currently running"}


class TestJobLifecycle:
    def test_a_successful_job_goes_through_running(self, emulator, caller):
        ok(caller.sync())
        emulator.advance(60)

        assert statuses(emulator, 1) == ["pending", "running", "succeeded"]

    def test_a_job_is_incomplete_before_it_fails(self, emulator, caller):
        emulator.script_job(outcome="failed")
        ok(caller.sync())
        emulator.advance(60)

        assert statuses(emulator, 1) == ["pending", "running", "incomplete", "failed"]

    def test_a_configuration_error_is_not_retried(self, emulator, caller):
        emulator.script_job(outcome="failed", failure={"type": "config_error"})
        ok(caller.sync())
        emulator.advance(60)

        assert len(emulator.jobs[1].attempts) == 1

    def test_other_failures_get_five_attempts_with_exponential_backoff(self, emulator, caller):
        emulator.script_job(outcome="failed", failure=SYSTEM_ERROR, duration=0)
        ok(caller.sync())
        emulator.advance(10_000)

        job = emulator.jobs[1]
        starts = [attempt.created_at - job.created_at for attempt in job.attempts]
        assert starts == [0, 10, 40, 130, 400]
        assert job.status == "failed"

    def test_an_attempt_that_moved_rows_is_retried_without_delay(self, emulator):
        policy = RetryPolicy()
        emulator.script_job(outcome="failed", failure=SYSTEM_ERROR, rows=5, attempts=3, duration=1)
        emulator.start_sync()
        emulator.advance(100)
        attempts = emulator.jobs[1].attempts

        assert [attempt.rows for attempt in attempts] == [0, 0, 5]
        assert policy.delay(attempts) == 0
        assert policy.delay(attempts[-1:] * 20) is None

    def test_an_attempt_can_succeed_after_a_failed_one(self, emulator, caller):
        emulator.script_job(attempts=2, duration=1, rows=9)
        ok(caller.sync())
        emulator.advance(12)

        assert statuses(emulator, 1) == [
            "pending", "running", "incomplete", "running", "succeeded"
        ]  # fmt: skip
        assert caller.job(1)["rowsSynced"] == 9

    def test_an_unknown_status_does_not_end_the_attempt(self, emulator, caller):
        emulator.script_job(statuses=[("running", 1), ("paused", 10), ("succeeded", None)], rows=3)
        ok(caller.sync())
        emulator.advance(5)

        assert caller.job(1)["status"] == "paused"
        emulator.advance(10)
        assert caller.job(1)["rowsSynced"] == 3

    def test_thirty_failures_in_a_row_disable_the_connection(self, emulator, caller):
        for _ in range(30):
            emulator.script_job(outcome="failed", duration=0)
            ok(caller.sync())
            emulator.advance(1)

        assert ok(caller.get(f"/connections/{emulator.connection_id}"))["status"] == "inactive"
        assert problem(caller.sync(), 409)["title"] == "state-conflict"

    def test_a_week_of_failures_disables_the_connection(self, emulator, caller):
        for _ in range(2):
            emulator.script_job(outcome="failed", duration=0)
            ok(caller.sync())
            emulator.advance(7 * 86_400)
            caller.log_in()

        assert emulator.connections[emulator.connection_id].status == "inactive"

    def test_a_success_in_between_keeps_the_connection_active(self, emulator, caller):
        for outcome in ("failed", "succeeded", "cancelled", "failed"):
            emulator.script_job(outcome=outcome, duration=0)
            ok(caller.sync())
            emulator.advance(7 * 86_400)
            caller.log_in()

        assert emulator.connections[emulator.connection_id].status == "active"

    def test_instant_jobs_have_ended_when_first_read(self):
        caller = caller_of(Emulator(time="instant"))
        caller.emulator.script_job(outcome="failed", failure=SYSTEM_ERROR)

        assert ok(caller.sync())["status"] == "pending"
        assert caller.job(1)["status"] == "failed"
        assert len(caller.emulator.jobs[1].attempts) == 5


class TestScriptedJobs:
    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ([], "at least one status"),
            ([("succeeded", None)], "does not go from 'pending' to 'succeeded'"),
            ([("queued", 1), ("incomplete", 1)], "does not go from 'queued' to 'incomplete'"),
            ([("running", None), ("succeeded", None)], "'running' has no duration"),
            ([("failed", 1), ("running", 1)], "'failed' has no duration"),
            ([("running", -1), ("succeeded", None)], "cannot last -1 s"),
        ],
    )
    def test_an_impossible_sequence_of_statuses_is_rejected(self, emulator, script, message):
        with pytest.raises(ValueError, match=message):
            emulator.script_job(statuses=script)

    @pytest.mark.parametrize(
        "settings",
        [
            {"outcome": "running"},
            {"statuses": [("running", None)], "attempts": 2},
            {"connection_id": "nowhere"},
            {"rows": 1, "rows_of": {"users": 1}},
            {"rows_of": {"unknown": 1}},
            {"statistics": "some"},
        ],
    )
    def test_an_invalid_script_is_rejected(self, emulator, settings):
        with pytest.raises(ValueError, match=r".+"):
            emulator.script_job(**settings)

    @pytest.mark.parametrize(("end", "rows"), [("succeeded", 100), ("failed", 0), ("cancelled", 0)])
    def test_only_a_successful_job_has_rows_by_default(self, emulator, end, rows):
        emulator.script_job(statuses=[("running", 1), (end, None)])
        job_id = emulator.start_sync()
        emulator.advance(1)

        assert (emulator.jobs[job_id].status, emulator.jobs[job_id].rows) == (end, rows)

    def test_attempts_before_the_last_can_commit_rows_and_are_retried_at_once(self, emulator):
        emulator.script_job(
            attempts=3, duration=5, failure={"type": "transient_error"}, partial_rows=3, rows=4
        )
        job_id = emulator.start_sync()
        emulator.advance(15)

        job = emulator.jobs[job_id]
        assert [attempt.rows for attempt in job.attempts] == [3, 3, 4]
        assert (job.status, job.rows, job.bytes) == ("succeeded", 10, 1280)

    def test_an_unknown_failure_field_is_rejected(self, emulator):
        with pytest.raises(TypeError, match="reason"):
            emulator.script_job(outcome="failed", failure={"reason": "x"})

    def test_scripts_apply_in_order_to_the_next_jobs_of_their_connection(self, emulator, caller):
        other = emulator.add_connection()
        emulator.script_job(rows=1, duration=0)
        emulator.script_job(rows=2, duration=0)
        emulator.script_job(other, rows=3, duration=0)
        for connection_id in (other, emulator.connection_id, emulator.connection_id):
            ok(caller.sync(connection_id))
            emulator.advance(0)

        assert [job.rows for job in emulator.jobs.values()] == [3, 1, 2]

    def test_a_job_that_keeps_running_can_be_finished(self, emulator):
        for status, expected in (
            ("succeeded", ["pending", "running", "succeeded"]),
            ("failed", ["pending", "running", "incomplete", "failed"]),
            ("cancelled", ["pending", "running", "cancelled"]),
        ):
            emulator.script_job(statuses=[("running", None)])
            job_id = emulator.start_sync()
            emulator.finish_job(job_id, status, rows=4, bytes=10)
            assert statuses(emulator, job_id) == expected

        assert [(job.rows, job.bytes) for job in emulator.jobs.values()] == [
            (4, 10), (4, 10), (0, 0)
        ]  # fmt: skip

    def test_a_running_attempt_can_have_committed_records(self, emulator):
        emulator.script_job(statuses=[("running", 60), ("incomplete", 60), ("running", None)])
        job_id = emulator.start_sync()

        emulator.commit_records(job_id, 4, bytes=10)
        emulator.advance(120)
        emulator.commit_records(job_id, 2)

        job = emulator.jobs[job_id]
        assert [(attempt.rows, attempt.bytes) for attempt in job.attempts] == [(4, 10), (2, 256)]
        assert (job.rows, job.bytes) == (6, 266)

    def test_only_a_running_attempt_can_have_committed_records(self, emulator):
        emulator.script_job(statuses=[("queued", 60), ("running", 60), ("incomplete", None)])
        job_id = emulator.start_sync()

        for _ in range(2):
            with pytest.raises(ValueError, match="no running attempt"):
                emulator.commit_records(job_id, 4)
            emulator.advance(120)

    def test_a_queued_job_can_be_finished(self, emulator):
        emulator.script_job(statuses=[("queued", None)])
        job_id = emulator.start_sync()

        emulator.finish_job(job_id)

        assert statuses(emulator, job_id) == ["pending", "queued", "running", "succeeded"]

    def test_finishing_needs_a_terminal_status_and_an_active_job(self, emulator):
        job_id = emulator.start_sync()
        with pytest.raises(ValueError, match="ends as one of"):
            emulator.finish_job(job_id, "running")
        emulator.cancel_job(job_id)
        with pytest.raises(ValueError, match="has ended already"):
            emulator.cancel_job(job_id)

    def test_a_second_sync_of_a_connection_cannot_be_started(self, emulator):
        emulator.start_sync()

        with pytest.raises(RuntimeError, match="has not ended"):
            emulator.start_sync()


class TestDataPlane:
    def test_the_job_reports_what_on_sync_moved(self):
        seen: list[SyncContext] = []

        def move(context: SyncContext) -> SyncResult:
            seen.append(context)
            return SyncResult(records=12, bytes=345)

        emulator = Emulator(on_sync=move)
        job_id = emulator.start_sync()
        wait_until_ended(emulator, job_id)

        assert emulator.jobs[job_id].status == "succeeded"
        assert (emulator.jobs[job_id].rows, emulator.jobs[job_id].bytes) == (12, 345)
        (context,) = seen
        assert (context.job_id, context.attempt_number) == (job_id, 0)
        assert (context.source_type, context.destination_type) == ("faker", "duckdb")
        assert context.source_configuration["count"] == 100
        assert [stream["name"] for stream in context.streams] == ["users", "products", "purchases"]

    def test_the_counters_of_streams_are_those_that_on_sync_moved(self):
        moved = {"users": 5, "purchases": 7}
        emulator = Emulator(on_sync=lambda context: SyncResult(12, 120, records_of=moved))
        job_id = emulator.start_sync()
        wait_until_ended(emulator, job_id)

        body = ok(caller_of(emulator).post("/api/v1/jobs/get_without_logs", {"id": job_id}))
        counters = body["job"]["streamAggregatedStats"]

        assert {each["streamName"]: each["recordsCommitted"] for each in counters} == moved

    def test_an_error_from_on_sync_is_the_failure_reason(self):
        def move(context: SyncContext) -> SyncResult:
            raise SyncFailedError("Disk full", origin="destination", failure_type="config_error")

        emulator = Emulator(on_sync=move)
        wait_until_ended(emulator, emulator.start_sync())

        (attempt,) = emulator.jobs[1].attempts
        assert attempt.failure is not None
        assert (attempt.failure.origin, attempt.failure.message) == ("destination", "Disk full")
        assert emulator.jobs[1].status == "failed"

    def test_an_unexpected_error_from_on_sync_is_retried(self, caplog):
        def move(context: SyncContext) -> SyncResult:
            if context.attempt_number == 0:
                raise KeyError("users")
            return SyncResult(records=1, bytes=2)

        emulator = Emulator(on_sync=move, retry_policy=RetryPolicy(backoff=0.0))
        wait_until_ended(emulator, emulator.start_sync())

        assert [attempt.status for attempt in emulator.jobs[1].attempts] == ["failed", "succeeded"]
        assert "on_sync failed for job 1" in caplog.text

    def test_a_script_takes_precedence_over_on_sync(self):
        def move(context: SyncContext) -> SyncResult:
            raise AssertionError("on_sync must not be called")

        emulator = Emulator(time="manual", on_sync=move)
        emulator.script_job(rows=3, duration=5)
        emulator.start_sync()
        emulator.advance(5)

        assert emulator.jobs[1].rows == 3

    def test_on_sync_sees_the_cancellation_and_its_result_is_discarded(self):
        cancelled, seen = threading.Event(), []

        def move(context: SyncContext) -> SyncResult:
            seen.append(context.is_cancelled())
            cancelled.wait(10)
            seen.append(context.is_cancelled())
            return SyncResult(records=1, bytes=1)

        emulator = Emulator(on_sync=move)
        emulator.cancel_job(emulator.start_sync())
        cancelled.set()
        for thread in threading.enumerate():
            if thread.name == "airbyte-emulator-job-1":
                thread.join(10)

        assert seen[-1] is True
        assert emulator.jobs[1].status == "cancelled"
        assert emulator.jobs[1].rows == 0

    def test_a_reset_does_not_call_on_sync(self):
        def move(context: SyncContext) -> SyncResult:
            raise AssertionError("on_sync must not be called")

        caller = caller_of(Emulator(time="instant", on_sync=move))
        ok(caller.sync(job_type="reset"))

        assert caller.job(1)["status"] == "succeeded"


class TestListing:
    @pytest.fixture
    def history(self, emulator, caller):
        """Five jobs, 10 s or more apart: succeeded, failed, cancelled, reset and running."""
        for outcome in ("succeeded", "failed", "cancelled"):
            emulator.script_job(outcome=outcome, duration=1)
            ok(caller.sync())
            emulator.advance(10)
        ok(caller.sync(job_type="clear"))
        emulator.advance(60)
        ok(caller.sync())
        return emulator

    def ids(self, caller, **query):
        return [job["jobId"] for job in ok(caller.get("/jobs", **query))["data"]]

    def test_the_oldest_job_comes_first(self, history, caller):
        assert self.ids(caller) == [1, 2, 3, 4, 5]
        assert self.ids(caller, limit=1, connectionId=history.connection_id) == [1]

    @pytest.mark.parametrize(
        ("clause", "expected"),
        [
            ("createdAt|DESC", [5, 4, 3, 2, 1]),
            ("updatedAt|ASC", [1, 2, 3, 4, 5]),
            ("UPDATEDAT|DESC", [5, 4, 3, 2, 1]),
            ("createdAt|ASCENDING", [1, 2, 3, 4, 5]),
        ],
    )
    def test_the_order_can_be_set(self, history, caller, clause, expected):
        assert self.ids(caller, orderBy=clause) == expected

    @pytest.mark.parametrize("clause", ["createdAt", "createdAt|desc", "jobId|ASC", "|ASC"])
    def test_an_invalid_order_is_rejected(self, caller, clause):
        body = problem(caller.get("/jobs", orderBy=clause), 400)

        assert body["data"] == {"message": f"Invalid order by clause provided: {clause}"}

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"status": "failed"}, [2]),
            ({"status": "running"}, [5]),
            ({"jobType": "reset"}, [4]),
            ({"jobType": "clear"}, []),
            ({"jobType": "sync", "status": "cancelled"}, [3]),
            ({"limit": 2, "offset": 1}, [2, 3]),
            ({"offset": 5}, []),
        ],
    )
    def test_filters_narrow_the_list(self, history, caller, query, expected):
        assert self.ids(caller, **query) == expected

    def test_time_filters_are_inclusive(self, history, caller):
        at = ok(caller.get("/jobs"))["data"][1]["startTime"]

        assert self.ids(caller, createdAtStart=at) == [2, 3, 4, 5]
        assert self.ids(caller, createdAtEnd=at) == [1, 2]
        updated = caller.job(3)["lastUpdatedAt"]
        assert self.ids(caller, updatedAtStart=updated, updatedAtEnd=updated) == [3]

    def test_rfc_1123_timestamps_are_accepted(self, history, caller):
        assert self.ids(caller, createdAtStart="Thu, 01 Jan 2099 00:00:00 GMT") == []

    @pytest.mark.parametrize(
        "query",
        [
            {"createdAtStart": "yesterday"},
            {"createdAtStart": "2026-01-01T00:00:00"},
            {"updatedAtEnd": "1687450500000"},
            {"limit": "ten"},
            {"offset": "99999999999"},
            {"status": "paused"},
            {"jobType": "replicate"},
            {"workspaceIds": "not-a-uuid"},
        ],
    )
    def test_an_invalid_parameter_is_a_framework_error(self, caller, query):
        (name,) = query

        assert hateoas_error(caller.get("/jobs", **query), 400)["path"] == f"/{name}"

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"offset": -1}])
    def test_a_limit_or_offset_out_of_range_returns_only_an_error_id(self, caller, query):
        error_id_only(caller.get("/jobs", **query), 400)

    def test_the_connection_takes_precedence_over_the_workspaces(self, history, caller):
        other_workspace_id = history.add_workspace()

        assert self.ids(caller, connectionId=history.connection_id, workspaceIds=other_workspace_id)
        assert self.ids(caller, workspaceIds=other_workspace_id) == []
        assert self.ids(caller, workspaceIds=f"{other_workspace_id},{history.workspace_id}")

    def test_an_unknown_connection_is_forbidden_for_a_user_and_empty_for_an_admin(
        self, caller, admin
    ):
        problem(caller.get("/jobs", connectionId=UNKNOWN_ID), 403)
        problem(caller.get("/jobs", workspaceIds=UNKNOWN_ID), 403)
        assert self.ids(admin, connectionId=UNKNOWN_ID) == []
        assert self.ids(admin, workspaceIds=UNKNOWN_ID) == []

    def test_old_servers_list_refreshes_only_on_request(self):
        for version, expected in (("2.0.0", []), ("2.1.0", [1])):
            caller = caller_of(Emulator(time="manual", version=version))
            body = {"connectionId": caller.emulator.connection_id, "refreshMode": "Merge"}
            ok(caller.post("/api/v1/connections/refresh", body))

            assert self.ids(caller) == expected
            assert self.ids(caller, jobType="refresh") == [1]

    def test_page_links_drop_the_filters(self, history, caller):
        body = ok(
            caller.get(
                "/jobs",
                connectionId=history.connection_id,
                jobType="sync",
                status="succeeded",
                orderBy="createdAt|DESC",
                limit=1,
            )
        )

        assert body["next"] == (
            "http://airbyte.test/api/public/v1/jobs?jobType=sync"
            f"&connectionId={history.connection_id}&limit=1&offset=1"
        )
        assert body["previous"] == ""

    def test_the_last_page_has_a_next_link_and_the_empty_page_has_none(self, history, caller):
        last = ok(caller.get("/jobs", limit=20))
        empty = ok(caller.get("/jobs", limit=20, offset=20))

        assert last["next"].endswith("/jobs?limit=20&offset=20")
        assert (empty["data"], empty["next"]) == ([], "")
        assert empty["previous"].endswith("/jobs?limit=20&offset=0")

    def test_the_previous_link_of_a_middle_page_repeats_the_limit(self, history, caller):
        body = ok(caller.get("/jobs", limit=2, offset=2, workspaceIds=history.workspace_id))

        query = f"workspaceIds={history.workspace_id}&limit=2"
        assert body["next"].endswith(f"?{query}&offset=4")
        assert body["previous"].endswith(f"?{query}&limit=2&offset=0")

    def test_page_links_use_the_configured_airbyte_url(self):
        emulator = Emulator(time="manual", airbyte_url="https://airbyte.example.com")
        caller = caller_of(emulator)
        ok(caller.sync())

        link = ok(caller.get("/jobs"))["next"]

        assert link.startswith("https://airbyte.example.com/api/public/v1/jobs?")
