"""The trigger operator, blocking and deferrable."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api import (
    AirbyteConflictError,
    AirbyteConnectionNotActiveError,
    AirbyteError,
    AirbyteJobCancelledError,
    AirbyteJobError,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
    AirbyteSettingsNotFoundError,
    AirbyteStoppedError,
    AirbyteTooFewRowsError,
)
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from tests.integration.conftest import CONNECTION_VARIABLE, MAX_WAIT, UNKNOWN_ID, request_count
from tests.tasks import run_trigger

RESULT_KEYS = [
    "job_id",
    "status",
    "job_type",
    "connection_id",
    "rows_synced",
    "bytes_synced",
    "started_at",
    "ended_at",
    "duration_seconds",
    "adopted",
    "job_url",
]


def test_the_result_describes_the_sync(emulator, sync_run, deferrable):
    result = sync_run(deferrable=deferrable).finish()

    assert list(result) == RESULT_KEYS
    assert result["status"] == "succeeded"
    assert result["job_type"] == "sync"
    assert result["connection_id"] == emulator.connection_id
    assert result["rows_synced"] == 120
    assert result["bytes_synced"] == emulator.jobs[result["job_id"]].bytes
    assert result["adopted"] is False
    assert result["job_url"] == (
        f"{emulator.url}/workspaces/{emulator.workspace_id}/connections/{emulator.connection_id}"
        f"/timeline?jobId={result['job_id']}&openLogs=true"
    )
    started, ended = (datetime.fromisoformat(result[key]) for key in ("started_at", "ended_at"))
    assert started.utcoffset() == ended.utcoffset() == timedelta(0)
    assert result["duration_seconds"] == (ended - started).total_seconds()
    assert request_count(emulator, "POST /jobs") == 1


def test_both_modes_return_the_same_result(emulator, sync_run):
    blocking, deferred = (sync_run(deferrable=mode).finish() for mode in (False, True))

    differing = {"job_id", "started_at", "ended_at", "duration_seconds", "job_url"}
    assert {key: blocking[key] for key in blocking if key not in differing} == {
        key: deferred[key] for key in deferred if key not in differing
    }


def test_job_connection_and_link_are_pushed_before_the_wait_begins(emulator, sync_run, deferrable):
    run = sync_run(deferrable=deferrable)
    reads_at_push: list[int] = []
    run.ti.on_push = lambda key: reads_at_push.append(request_count(emulator, "GET /jobs/{jobId}"))

    result = run.finish()

    assert run.ti.xcoms == {key: result[key] for key in ("job_id", "connection_id", "job_url")}
    assert reads_at_push == [0, 0, 0]


def test_without_wait_for_completion_the_task_ends_once_the_job_is_created(
    emulator, sync_run, deferrable
):
    emulator.script_job(statuses=[("running", None)])

    result = sync_run(deferrable=deferrable, wait_for_completion=False).finish()

    assert list(result) == RESULT_KEYS
    assert result["status"] in ("pending", "running")
    assert result["ended_at"] is None
    assert not emulator.jobs[result["job_id"]].is_terminal


@pytest.mark.parametrize("status", ["pending", "queued", "running", "incomplete", "paused"])
def test_the_task_waits_until_the_status_is_terminal(emulator, sync_run, deferrable, status):
    before = [("running", 0.0)] if status == "incomplete" else []
    after = [] if status == "running" else [("running", 0.0)]
    emulator.script_job(statuses=[*before, (status, 0.3), *after, ("succeeded", None)])

    result = sync_run(deferrable=deferrable).finish()

    assert result["status"] == "succeeded"
    assert request_count(emulator, "POST /jobs") == 1


def test_the_job_is_read_at_the_poll_interval(emulator, sync_run, deferrable):
    emulator.script_job(duration=1.0)

    sync_run(deferrable=deferrable, poll_interval=0.25).finish()

    reads = [request.at for request in emulator.requests if request.route == "GET /jobs/{jobId}"]
    assert len(reads) > 2
    # In the triggerer the interval counts between the moments at which requests are sent, so one
    # more may arrive within the same time.
    assert len(reads) - 2 <= (reads[-1] - reads[0]) / 0.25


def test_a_failed_job_is_explained_in_one_line(emulator, sync_run, deferrable):
    emulator.script_job(
        outcome="failed",
        rows=7,
        failure={"origin": "source", "type": "config_error", "message": "Login\nrefused"},
    )

    with pytest.raises(AirbyteJobFailedError) as failure:
        sync_run(deferrable=deferrable).finish()

    message = str(failure.value)
    job = failure.value.job
    assert f"Job {job.job_id} of connection 'Sample data to Warehouse'" in message
    assert "1 attempt, source, config_error, Login refused" in message
    assert f"timeline?jobId={job.job_id}&openLogs=true" in message
    assert "\n" not in message


def test_a_cancelled_job_fails_the_task(emulator, sync_run, deferrable):
    emulator.script_job(outcome="cancelled")

    with pytest.raises(AirbyteJobCancelledError, match="was cancelled"):
        sync_run(deferrable=deferrable).finish()


@pytest.mark.parametrize("schedule", ["0 0 3 * * ?", None])
def test_a_schedule_of_airbytes_own_is_warned_of(
    emulator, sync_run, deferrable, task_log, schedule
):
    if schedule:
        AirbyteHook().update_airbyte_connection(
            emulator.connection_id,
            {"schedule": {"scheduleType": "cron", "cronExpression": schedule}},
        )
    task_log()

    sync_run(deferrable=deferrable).finish()

    assert ("too, on the schedule '0 0 3 * * ? UTC'" in task_log()) is (schedule is not None)


class TestMinRows:
    def test_too_few_rows_fail_the_task(self, emulator, sync_run, deferrable):
        emulator.script_job(rows=0)

        with pytest.raises(AirbyteTooFewRowsError, match=r"0 rows, fewer than min_rows=1\b"):
            sync_run(deferrable=deferrable, min_rows=1).finish()

    def test_too_few_rows_can_skip_the_task(self, emulator, sync_run, deferrable):
        emulator.script_job(rows=99)

        with pytest.raises(AirflowSkipException, match="99 rows"):
            sync_run(deferrable=deferrable, min_rows=100, on_too_few_rows="skip").finish()

    def test_too_few_rows_can_cause_a_warning(self, emulator, sync_run, deferrable, caplog):
        emulator.script_job(rows=0)

        result = sync_run(deferrable=deferrable, min_rows=1, on_too_few_rows="warn").finish()

        assert result["rows_synced"] == 0
        assert "fewer than min_rows=1" in caplog.text

    def test_no_rows_are_accepted_by_default(self, emulator, sync_run, deferrable):
        emulator.script_job(rows=0)

        assert sync_run(deferrable=deferrable).finish()["status"] == "succeeded"


class TestMessagesNameTheConnection:
    @pytest.fixture
    def connection(self, connection_label) -> str:
        return re.escape(f"connection {connection_label}")

    def test_too_few_rows(self, sync_run, deferrable, connection):
        with pytest.raises(
            AirbyteTooFewRowsError, match=rf"^Job \d+ of {connection} succeeded with 120 rows"
        ) as failure:
            sync_run(deferrable=deferrable, min_rows=121).finish()

        assert str(failure.value).endswith(
            f"timeline?jobId={failure.value.job.job_id}&openLogs=true"
        )

    def test_timeout(self, emulator, sync_run, deferrable, connection):
        emulator.script_job(statuses=[("running", None)])

        with pytest.raises(
            AirbyteJobTimeoutError, match=rf"^Job \d+ of {connection} is still running"
        ):
            sync_run(deferrable=deferrable, timeout=0.3).finish()

    @pytest.mark.parametrize("on_running", ["wait", "attach"])
    def test_timeout_of_the_job_that_was_already_running(
        self, sync_run, deferrable, connection, on_running, running_job
    ):
        with pytest.raises(
            AirbyteJobTimeoutError, match=rf"^Job {running_job} of {connection} is still running"
        ):
            sync_run(deferrable=deferrable, timeout=0.3, on_running=on_running).finish()

    @pytest.mark.parametrize(
        ("on_running", "error"), [("skip", AirflowSkipException), ("fail", AirbyteJobError)]
    )
    def test_a_job_is_already_running(
        self, sync_run, deferrable, connection, on_running, error, running_job
    ):
        with pytest.raises(error, match=rf"^Job {running_job} of {connection} is already running"):
            sync_run(deferrable=deferrable, on_running=on_running).finish()

    def test_failed_cancellation_on_kill(self, emulator, sync_run, connection, caplog, capfd):
        emulator.script_job(statuses=[("running", None)])
        emulator.fail_next("DELETE /jobs/{jobId}", status=403, times=None)
        run = sync_run()

        def kill_and_finish() -> None:
            run.task.on_kill()
            (job_id,) = emulator.jobs
            emulator.finish_job(job_id)

        with _on_first_read(emulator, kill_and_finish), pytest.raises(AirbyteStoppedError):
            run.finish()

        # Airflow 3 writes the log of a task to stdout, Airflow 2 to the logging module.
        log = caplog.text + capfd.readouterr().out
        (job_id,) = emulator.jobs
        by_hand = f"Killed: cancelling job {job_id} of {connection}. .*cancel it by hand. http"
        assert re.search(by_hand, log)
        assert re.search(f"Could not cancel job {job_id} of {connection}, cancel it by hand", log)

    def test_error_of_a_deferred_wait(self, emulator, sync_run, connection):
        emulator.script_job(statuses=[("running", None)])
        run = sync_run(deferrable=True)
        run.start()
        emulator.fail_next("GET /jobs/{jobId}", status=403, times=None)

        with pytest.raises(
            AirflowFailException, match=rf"^Job \d+ of {connection} cannot be watched any longer"
        ):
            run.resume(run_trigger(run.deferrals[0].trigger))


class TestOnRunning:
    def test_wait_starts_our_own_sync_afterwards(self, emulator, sync_run, deferrable, running_job):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job)):
            result = sync_run(deferrable=deferrable, on_running="wait").finish()

        assert result["job_id"] != running_job
        assert result["adopted"] is False
        assert emulator.jobs[running_job].status == "succeeded"
        assert len(emulator.jobs) == 2

    def test_wait_ignores_the_outcome_of_the_running_job(
        self, emulator, sync_run, deferrable, running_job
    ):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job, "failed")):
            result = sync_run(deferrable=deferrable, on_running="wait").finish()

        assert result["status"] == "succeeded"

    def test_attach_returns_the_result_of_the_running_job(
        self, emulator, sync_run, deferrable, running_job
    ):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job, rows=5)):
            result = sync_run(deferrable=deferrable, on_running="attach").finish()

        assert (result["job_id"], result["rows_synced"]) == (running_job, 5)
        assert result["adopted"] is True
        assert len(emulator.jobs) == 1

    def test_attach_starts_our_own_sync_if_the_running_job_is_cancelled(
        self, emulator, sync_run, deferrable, running_job
    ):
        with _on_first_read(emulator, lambda: emulator.cancel_job(running_job)):
            result = sync_run(deferrable=deferrable, on_running="attach").finish()

        assert result["job_id"] != running_job
        assert result["status"] == "succeeded"

    def test_attach_does_not_attach_to_a_clear(self, emulator, sync_run, deferrable):
        emulator.script_job(statuses=[("running", None)])
        clear_job = AirbyteHook().create_job(emulator.connection_id, "clear").job_id

        with _on_first_read(emulator, lambda: emulator.finish_job(clear_job)):
            result = sync_run(deferrable=deferrable, on_running="attach").finish()

        assert result["job_id"] != clear_job
        assert result["job_type"] == "sync"

    def test_skip_skips_the_task(self, emulator, sync_run, deferrable, running_job):
        with pytest.raises(AirflowSkipException, match=f"Job {running_job} of connection"):
            sync_run(deferrable=deferrable, on_running="skip").finish()

        assert len(emulator.jobs) == 1

    def test_fail_fails_the_task_but_keeps_its_retries(
        self, emulator, sync_run, deferrable, running_job
    ):
        with pytest.raises(AirbyteJobError, match=f"Job {running_job} of connection") as failure:
            sync_run(deferrable=deferrable, on_running="fail").finish()

        assert not isinstance(failure.value, AirflowFailException)
        assert emulator.jobs[running_job].status == "running"

    def test_a_pending_job_of_somebody_else_is_left_running_at_the_timeout(
        self, emulator, sync_run, deferrable, pending_job
    ):
        """Airbyte returns it instead of creating another job, so it is not ours."""
        run = sync_run(deferrable=deferrable, timeout=0.2)
        with pytest.raises(AirbyteJobTimeoutError, match="left running"):
            run.finish()

        assert emulator.jobs[pending_job].status == "pending"

    @pytest.fixture
    def pending_job(self, emulator):
        """A sync of Airbyte's own schedule, a moment old, without an attempt."""
        emulator.script_job(statuses=[("pending", None)])
        return emulator.start_sync()

    def test_a_pending_job_is_waited_for_before_our_own(
        self, emulator, sync_run, deferrable, pending_job
    ):
        with _on_first_read(emulator, lambda: emulator.finish_job(pending_job)):
            result = sync_run(deferrable=deferrable, on_running="wait").finish()

        assert list(emulator.jobs) == [pending_job, result["job_id"]]
        assert result["adopted"] is False

    def test_attach_returns_the_result_of_a_pending_job(
        self, emulator, sync_run, deferrable, pending_job
    ):
        with _on_first_read(emulator, lambda: emulator.finish_job(pending_job)):
            result = sync_run(deferrable=deferrable, on_running="attach").finish()

        assert (result["job_id"], result["adopted"]) == (pending_job, True)

    @pytest.mark.parametrize(
        ("on_running", "error"), [("skip", AirflowSkipException), ("fail", AirbyteJobError)]
    )
    def test_a_pending_job_is_in_the_way(
        self, emulator, sync_run, deferrable, pending_job, on_running, error
    ):
        with pytest.raises(error, match=f"Job {pending_job} .* is already pending"):
            sync_run(deferrable=deferrable, on_running=on_running).finish()

        assert list(emulator.jobs) == [pending_job]

    def test_a_job_that_is_not_listed_is_waited_for_a_few_minutes(
        self, emulator, sync_run, deferrable, connection_label
    ):
        emulator.fail_next("POST /jobs", 409, times=2, body=TRY_AGAIN_LATER)

        result = sync_run(deferrable=deferrable).finish()

        assert result["status"] == "succeeded"
        assert request_count(emulator, "POST /jobs") == 3

    def test_a_job_that_is_never_listed_fails_the_task(self, emulator, sync_run, deferrable):
        emulator.fail_next("POST /jobs", 409, times=None, body=TRY_AGAIN_LATER)
        run = sync_run(deferrable=deferrable, timeout=0.5)

        with pytest.raises(AirbyteError, match="has listed no running job for") as failure:
            run.finish()

        assert "disable and enable the connection" in str(failure.value)
        assert not isinstance(failure.value, AirflowFailException)

    def test_a_pause_that_began_minutes_ago_ends_the_task(self, emulator, sync_run):
        emulator.fail_next("POST /jobs", 409, times=None, body=TRY_AGAIN_LATER)
        run = sync_run(deferrable=True)
        run.start()
        event = {"deadline": time.time() + 3600, "unseen_since": time.time() - 301}

        with pytest.raises(AirbyteConflictError, match="no running job for 5 min 1 s"):
            run.resume(event)

    def test_no_job_is_started_when_the_time_is_over_on_resume(
        self, emulator, sync_run, running_job
    ):
        run = sync_run(deferrable=True, timeout=0.2)
        run.start()
        time.sleep(0.3)
        emulator.finish_job(running_job)

        with pytest.raises(AirbyteJobTimeoutError, match="so it starts no job"):
            run.resume(run_trigger(run.deferrals[0].trigger))

        assert list(emulator.jobs) == [running_job]


TRY_AGAIN_LATER = {
    "status": 409,
    "type": "https://reference.airbyte.com/reference/errors#try-again-later",
    "title": "try-again-later",
    "detail": "Please try again later.",
    "data": {"message": "A sync is already running"},
}


@pytest.mark.parametrize("on_running", ["wait", "attach", "skip", "fail"])
class TestSecondTry:
    """Airflow tells a try nothing about the one before, so Airbyte must."""

    def test_a_sync_of_the_first_try_is_taken_over(
        self, emulator, sync_run, deferrable, on_running
    ):
        run = sync_run(try_number=2, deferrable=deferrable, on_running=on_running)
        run.dag_run.start_date -= timedelta(minutes=1)
        emulator.script_job(statuses=[("running", None)])
        first = emulator.start_sync()

        with _on_first_read(emulator, lambda: emulator.finish_job(first)):
            result = run.finish()

        assert list(emulator.jobs) == [first]
        assert (result["job_id"], result["adopted"]) == (first, True)

    def test_a_sync_of_the_first_try_that_its_trigger_cancels_is_replaced(
        self, emulator, sync_run, deferrable, on_running
    ):
        """On Airflow 3.3.2, the new try starts before the old trigger has cancelled its job."""
        run = sync_run(try_number=2, deferrable=deferrable, on_running=on_running)
        run.dag_run.start_date -= timedelta(minutes=1)
        emulator.script_job(statuses=[("running", None)])
        first = emulator.start_sync()

        with _on_first_read(emulator, lambda: emulator.cancel_job(first)):
            result = run.finish()

        assert result["job_id"] != first
        assert (result["status"], result["adopted"]) == ("succeeded", False)

    def test_a_sync_from_before_the_dag_run_is_not_taken_over(
        self, emulator, sync_run, deferrable, on_running
    ):
        emulator.script_job(statuses=[("running", None)])
        older = emulator.start_sync()
        run = sync_run(try_number=2, deferrable=deferrable, on_running=on_running)
        run.dag_run.start_date += timedelta(minutes=1)

        if on_running in ("skip", "fail"):
            with pytest.raises((AirflowSkipException, AirbyteJobError), match="is already running"):
                run.finish()
        else:
            with _on_first_read(emulator, lambda: emulator.finish_job(older)):
                assert run.finish()["adopted"] is (on_running == "attach")

    def test_a_clear_of_somebody_else_is_not_taken_over(
        self, emulator, sync_run, deferrable, on_running
    ):
        emulator.script_job(statuses=[("running", None)])
        run = sync_run(try_number=2, deferrable=deferrable, on_running=on_running)
        run.dag_run.start_date -= timedelta(minutes=1)
        clear = AirbyteHook().create_job(emulator.connection_id, "clear").job_id

        if on_running in ("skip", "fail"):
            with pytest.raises((AirflowSkipException, AirbyteJobError), match="is already running"):
                run.finish()
        else:
            with _on_first_read(emulator, lambda: emulator.finish_job(clear)):
                assert run.finish()["job_id"] != clear


class TestInactiveConnection:
    def test_an_inactive_connection_fails_at_once(self, emulator, sync_run, deferrable):
        emulator.set_connection_status(emulator.connection_id, "inactive")

        with pytest.raises(AirflowFailException, match="is inactive") as failure:
            sync_run(deferrable=deferrable).finish()

        assert isinstance(failure.value.__cause__, AirbyteConnectionNotActiveError)


class TestTimeout:
    @pytest.fixture(autouse=True)
    def endless(self, emulator):
        emulator.script_job(statuses=[("running", None)])

    def test_our_job_is_cancelled(self, emulator, sync_run, deferrable):
        run = sync_run(deferrable=deferrable, timeout=0.3)
        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled") as failure:
            run.finish()

        assert emulator.jobs[failure.value.job.job_id].status == "cancelled"

    def test_our_job_is_left_running_without_cancel_on_timeout(
        self, emulator, sync_run, deferrable
    ):
        run = sync_run(deferrable=deferrable, timeout=0.3, cancel_on_timeout=False)
        with pytest.raises(AirbyteJobTimeoutError, match="left running") as failure:
            run.finish()

        assert emulator.jobs[failure.value.job.job_id].status == "running"

    @pytest.mark.parametrize("on_running", ["wait", "attach"])
    def test_a_foreign_job_is_left_running(self, emulator, sync_run, deferrable, on_running):
        other = emulator.start_sync()

        with pytest.raises(
            AirbyteJobTimeoutError, match=rf"Job {other} .* It is left running\. http"
        ):
            sync_run(deferrable=deferrable, timeout=0.3, on_running=on_running).finish()

        assert emulator.jobs[other].status == "running"
        assert request_count(emulator, "DELETE /jobs/{jobId}") == 0

    def test_the_timeout_is_raised_even_if_the_job_cannot_be_cancelled(
        self, emulator, sync_run, deferrable
    ):
        emulator.fail_next("DELETE /jobs/{jobId}", status=403, times=None)

        with pytest.raises(
            AirbyteJobTimeoutError,
            match=r"still running .* was not cancelled, cancel it by hand",
        ):
            sync_run(deferrable=deferrable, timeout=0.3).finish()

    def test_a_deferred_wait_ends_before_the_execution_timeout(self, sync_run):
        run = sync_run(deferrable=True, timeout=3600, execution_timeout=timedelta(seconds=100))
        before = time.time()
        run.start()

        assert before < run.deferrals[0].trigger.deadline < before + 100


def _on_first_read(emulator: Any, action: Callable[[], object]) -> Any:
    """Call *action* once a job has been read."""
    return _on_request(emulator, "GET /jobs/{jobId}", action)


@contextmanager
def _on_request(emulator: Any, route: str, action: Callable[[], object]) -> Iterator[None]:
    """Call *action*, in a thread, once the emulator has received a request for *route*."""
    received = threading.Event()

    def check() -> None:
        if request_count(emulator, route):
            received.set()

    stop_watching = emulator.watch(check)

    def wait_and_act() -> None:
        received.wait(MAX_WAIT)
        stop_watching()
        action()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()
    assert received.is_set(), f"no request for {route} within {MAX_WAIT} s"


class TestPermanentErrors:
    """Each fails the task at once, without using its retries, and names the field or the step."""

    @pytest.mark.parametrize("connection_id", ["", "my connection", "18dccc91-0ab1-4f72-9ed7"])
    def test_a_connection_id_that_is_not_a_uuid(
        self, emulator, sync_run, deferrable, connection_id
    ):
        with pytest.raises(AirflowFailException, match="connection_id must be the UUID"):
            sync_run(deferrable=deferrable, connection_id=connection_id).finish()

        assert emulator.requests == []

    def test_an_unknown_airbyte_connection(self, sync_run, deferrable):
        with pytest.raises(AirflowFailException, match=r"403.*id does not exist.*or.*role"):
            sync_run(deferrable=deferrable, connection_id=UNKNOWN_ID).finish()

    def test_an_unknown_airflow_connection(self, sync_run, deferrable):
        """Airflow says so of a secrets backend that fails too, so its retries must remain."""
        with pytest.raises(AirbyteSettingsNotFoundError, match=r"did not find .* 'nowhere'"):
            sync_run(deferrable=deferrable, airbyte_conn_id="nowhere").finish()

    def test_a_wrong_secret(self, emulator, sync_run, deferrable):
        emulator.rotate_secret()

        with pytest.raises(AirflowFailException, match=r"token with 401.*Password"):
            sync_run(deferrable=deferrable).finish()

    def test_a_missing_secret(self, emulator, sync_run, deferrable, monkeypatch):
        uri = emulator.connection_uri
        monkeypatch.setenv(CONNECTION_VARIABLE, uri.replace(emulator.client_secret, ""))

        with pytest.raises(AirflowFailException, match=r"Password .* is empty"):
            sync_run(deferrable=deferrable).finish()

    def test_a_role_without_permission_to_start_syncs(
        self, emulator, sync_run, deferrable, monkeypatch
    ):
        client_id, secret = emulator.add_application("workspace_reader")
        uri = emulator.connection_uri_for(emulator.url, client_id=client_id, client_secret=secret)
        monkeypatch.setenv(CONNECTION_VARIABLE, uri)

        with pytest.raises(AirflowFailException, match=r"403.*role"):
            sync_run(deferrable=deferrable).finish()


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_start_survives_the_pages_of_an_ingress(emulator, sync_run, deferrable, status):
    emulator.html_next("*", times=3, status=status)

    assert sync_run(deferrable=deferrable).finish()["status"] == "succeeded"
    assert len(emulator.jobs) == 1


def test_a_truncated_body_fails_at_once_but_keeps_the_retries(emulator, sync_run, deferrable):
    emulator.fail_next("GET /connections/{connectionId}", status=200, body=b'{"connectionId":')

    with pytest.raises(AirbyteError, match=r"invalid JSON.*truncated") as failure:
        sync_run(deferrable=deferrable).finish()

    assert not isinstance(failure.value, AirflowFailException)


def test_a_lost_response_starts_no_second_sync(emulator, sync_run, deferrable):
    emulator.drop_next("POST /jobs", after=True)

    result = sync_run(deferrable=deferrable).finish()

    assert list(emulator.jobs) == [result["job_id"]]
    assert result["adopted"] is False


def test_the_wait_survives_an_outage(emulator, sync_run, deferrable):
    emulator.script_job(duration=0.5)
    emulator.html_next("GET /jobs/{jobId}", times=2, status=404)
    emulator.fail_next("GET /jobs/{jobId}", status=401, times=2)

    assert sync_run(deferrable=deferrable).finish()["status"] == "succeeded"
    assert request_count(emulator, "POST /jobs") == 1


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("on_running", "retry"),
        ("on_too_few_rows", "ignore"),
        ("poll_interval", 0),
        ("timeout", -1),
    ],
)
def test_an_invalid_parameter_is_rejected_when_the_dag_is_parsed(sync_run, parameter, value):
    with pytest.raises(ValueError, match=parameter):
        sync_run(**{parameter: value})
