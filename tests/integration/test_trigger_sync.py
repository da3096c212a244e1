"""The trigger operator: one sync a task, in both modes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api import (
    AirbyteConnectionNotActiveError,
    AirbyteError,
    AirbyteJobCancelledError,
    AirbyteJobError,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
    AirbyteTooFewRowsError,
)
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from tests.integration.conftest import CONNECTION_VARIABLE, PATIENCE, asked

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


def test_the_result_tells_what_the_sync_brought(emulator, sync, deferrable):
    result = sync(deferrable=deferrable).finish()

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
    assert asked(emulator, "POST /jobs") == 1


def test_both_modes_give_the_same_result(emulator, sync):
    blocking, deferred = (sync(deferrable=mode).finish() for mode in (False, True))

    own = {"job_id", "started_at", "ended_at", "duration_seconds", "job_url"}
    assert {key: blocking[key] for key in blocking if key not in own} == {
        key: deferred[key] for key in deferred if key not in own
    }


def test_job_connection_and_link_are_in_xcom_before_the_wait_begins(emulator, sync, deferrable):
    run = sync(deferrable=deferrable)
    reads_at_push: list[int] = []
    run.ti.on_push = lambda key: reads_at_push.append(asked(emulator, "GET /jobs/{jobId}"))

    result = run.finish()

    assert run.ti.xcoms == {key: result[key] for key in ("job_id", "connection_id", "job_url")}
    assert reads_at_push == [0, 0, 0]


def test_without_waiting_the_task_ends_when_the_job_is_created(emulator, sync, deferrable):
    emulator.script_job(statuses=[("running", None)])

    result = sync(deferrable=deferrable, wait_for_completion=False).finish()

    assert list(result) == RESULT_KEYS
    assert result["status"] in ("pending", "running")
    assert result["ended_at"] is None
    assert not emulator.jobs[result["job_id"]].is_terminal


@pytest.mark.parametrize("status", ["pending", "queued", "running", "incomplete", "paused"])
def test_a_status_that_is_not_terminal_keeps_the_task_waiting(emulator, sync, deferrable, status):
    before = [("running", 0.0)] if status == "incomplete" else []
    after = [] if status == "running" else [("running", 0.0)]
    emulator.script_job(statuses=[*before, (status, 0.3), *after, ("succeeded", None)])

    result = sync(deferrable=deferrable).finish()

    assert result["status"] == "succeeded"
    assert asked(emulator, "POST /jobs") == 1


def test_the_poll_interval_is_obeyed(emulator, sync, deferrable):
    emulator.script_job(duration=1.0)

    sync(deferrable=deferrable, poll_interval=0.25).finish()

    reads = [one.at for one in emulator.requests if one.route == "GET /jobs/{jobId}"]
    assert len(reads) > 2
    assert min(later - earlier for earlier, later in pairwise(reads)) >= 0.24


def test_a_failed_job_is_told_in_one_line_with_all_that_is_known(emulator, sync, deferrable):
    emulator.script_job(
        outcome="failed",
        rows=7,
        failure={"origin": "source", "type": "config_error", "message": "Login\nrefused"},
    )

    with pytest.raises(AirbyteJobFailedError) as failure:
        sync(deferrable=deferrable).finish()

    message = str(failure.value)
    job = failure.value.job
    assert f"Job {job.job_id} of connection 'Sample data to Warehouse'" in message
    assert "1 attempt, source, config_error, Login refused" in message
    assert f"timeline?jobId={job.job_id}&openLogs=true" in message
    assert "\n" not in message


def test_a_cancelled_job_fails_the_task(emulator, sync, deferrable):
    emulator.script_job(outcome="cancelled")

    with pytest.raises(AirbyteJobCancelledError, match="was cancelled"):
        sync(deferrable=deferrable).finish()


class TestEvidence:
    def test_success_without_data_fails_the_task(self, emulator, sync, deferrable):
        emulator.script_job(rows=0)

        with pytest.raises(AirbyteTooFewRowsError, match=r"0 rows, fewer than min_rows=1\b"):
            sync(deferrable=deferrable, min_rows=1).finish()

    def test_success_without_data_can_skip_what_follows(self, emulator, sync, deferrable):
        emulator.script_job(rows=99)

        with pytest.raises(AirflowSkipException, match="99 rows"):
            sync(deferrable=deferrable, min_rows=100, on_too_few_rows="skip").finish()

    def test_success_without_data_can_be_warned_of(self, emulator, sync, deferrable, caplog):
        emulator.script_job(rows=0)

        result = sync(deferrable=deferrable, min_rows=1, on_too_few_rows="warn").finish()

        assert result["rows_synced"] == 0
        assert "fewer than min_rows=1" in caplog.text

    def test_no_data_is_fine_where_none_is_asked_for(self, emulator, sync, deferrable):
        emulator.script_job(rows=0)

        assert sync(deferrable=deferrable).finish()["status"] == "succeeded"


class TestAJobRunsAlready:
    @pytest.fixture
    def running(self, emulator) -> int:
        """A sync that somebody else started and that ends when somebody says so."""
        emulator.script_job(statuses=[("running", None)])
        return emulator.start_sync()

    def test_wait_ends_with_a_sync_of_our_own(self, emulator, sync, deferrable, running):
        with _when_read(emulator, lambda: emulator.finish_job(running)):
            result = sync(deferrable=deferrable, on_running="wait").finish()

        assert result["job_id"] != running
        assert result["adopted"] is False
        assert emulator.jobs[running].status == "succeeded"
        assert len(emulator.jobs) == 2

    def test_wait_does_not_mind_how_the_other_job_ends(self, emulator, sync, deferrable, running):
        with _when_read(emulator, lambda: emulator.finish_job(running, "failed")):
            result = sync(deferrable=deferrable, on_running="wait").finish()

        assert result["status"] == "succeeded"

    def test_attach_ends_with_the_other_sync(self, emulator, sync, deferrable, running):
        with _when_read(emulator, lambda: emulator.finish_job(running, rows=5)):
            result = sync(deferrable=deferrable, on_running="attach").finish()

        assert (result["job_id"], result["rows_synced"], result["adopted"]) == (running, 5, True)
        assert len(emulator.jobs) == 1

    def test_attach_to_a_job_that_is_taken_away_ends_with_our_own(
        self, emulator, sync, deferrable, running
    ):
        with _when_read(emulator, lambda: emulator.cancel_job(running)):
            result = sync(deferrable=deferrable, on_running="attach").finish()

        assert result["job_id"] != running
        assert result["status"] == "succeeded"

    def test_attach_does_not_take_a_clearing_for_a_sync(self, emulator, sync, deferrable):
        emulator.script_job(statuses=[("running", None)])
        clearing = AirbyteHook().create_job(emulator.connection_id, "clear").job_id

        with _when_read(emulator, lambda: emulator.finish_job(clearing)):
            result = sync(deferrable=deferrable, on_running="attach").finish()

        assert result["job_id"] != clearing
        assert result["job_type"] == "sync"

    def test_skip_skips_the_task(self, emulator, sync, deferrable, running):
        with pytest.raises(AirflowSkipException, match=f"Job {running} of connection"):
            sync(deferrable=deferrable, on_running="skip").finish()

        assert len(emulator.jobs) == 1

    def test_fail_fails_the_task_so_that_a_retry_may_help(
        self, emulator, sync, deferrable, running
    ):
        with pytest.raises(AirbyteJobError, match=f"Job {running} of connection") as failure:
            sync(deferrable=deferrable, on_running="fail").finish()

        assert not isinstance(failure.value, AirflowFailException)
        assert emulator.jobs[running].status == "running"

    @pytest.mark.parametrize("on_running", ["wait", "attach", "skip", "fail"])
    def test_a_cleared_task_ends_with_a_sync_of_its_own(
        self, emulator, sync, deferrable, on_running, running
    ):
        """Seen on 3.3.2: the new try begins before the old trigger has cancelled its job."""
        with _when_read(emulator, lambda: emulator.cancel_job(running)):
            result = sync(try_number=2, deferrable=deferrable, on_running=on_running).finish()

        assert result["job_id"] != running
        assert result["status"] == "succeeded"

    def test_a_job_without_an_attempt_is_not_taken_for_ours(self, emulator, sync, deferrable):
        """Airbyte answers with it instead of making a second one; it may be cancelled by others."""
        emulator.script_job(statuses=[("pending", None)])
        waiting = emulator.start_sync()
        _let_it_age(emulator, waiting)

        run = sync(deferrable=deferrable, timeout=0.2)
        with pytest.raises(AirbyteJobTimeoutError, match="left running"):
            run.finish()

        assert run.ti.xcoms["job_id"] == waiting
        assert emulator.jobs[waiting].status == "pending"

    def test_an_inactive_connection_is_named(self, emulator, sync, deferrable):
        emulator.set_connection_status(emulator.connection_id, "inactive")

        with pytest.raises(AirflowFailException, match="is inactive") as failure:
            sync(deferrable=deferrable).finish()

        assert isinstance(failure.value.__cause__, AirbyteConnectionNotActiveError)


def _let_it_age(emulator: Any, job_id: int) -> None:
    emulator.jobs[job_id].created_at -= 60


class TestTimeout:
    @pytest.fixture(autouse=True)
    def endless(self, emulator):
        emulator.script_job(statuses=[("running", None)])

    def test_our_own_job_is_cancelled(self, emulator, sync, deferrable):
        run = sync(deferrable=deferrable, timeout=0.3)
        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled") as late:
            run.finish()

        assert emulator.jobs[late.value.job.job_id].status == "cancelled"

    def test_it_is_left_running_on_demand(self, emulator, sync, deferrable):
        run = sync(deferrable=deferrable, timeout=0.3, cancel_on_timeout=False)
        with pytest.raises(AirbyteJobTimeoutError, match="left running") as late:
            run.finish()

        assert emulator.jobs[late.value.job.job_id].status == "running"

    @pytest.mark.parametrize("on_running", ["wait", "attach"])
    def test_the_job_of_somebody_else_is_left_running(self, emulator, sync, deferrable, on_running):
        other = emulator.start_sync()

        with pytest.raises(AirbyteJobTimeoutError, match=f"Job {other} "):
            sync(deferrable=deferrable, timeout=0.3, on_running=on_running).finish()

        assert emulator.jobs[other].status == "running"
        assert asked(emulator, "DELETE /jobs/{jobId}") == 0

    def test_the_time_out_is_told_even_when_the_job_cannot_be_cancelled(
        self, emulator, sync, deferrable
    ):
        emulator.fail_next("DELETE /jobs/{jobId}", status=403, times=None)

        with pytest.raises(
            AirbyteJobTimeoutError, match=r"still running .* could not be cancelled"
        ):
            sync(deferrable=deferrable, timeout=0.3).finish()

    def test_a_deferred_task_is_ahead_of_its_execution_timeout(self, sync):
        run = sync(deferrable=True, timeout=3600, execution_timeout=timedelta(seconds=100))
        before = time.time()
        run.start()

        assert before < run.deferrals[0].trigger.deadline < before + 100


class TestKill:
    @pytest.fixture(autouse=True)
    def endless(self, emulator):
        emulator.script_job(statuses=[("running", None)])

    def test_the_job_is_cancelled(self, emulator, sync):
        run = sync()

        with _when_read(emulator, run.task.on_kill), pytest.raises(AirbyteJobCancelledError):
            run.finish()

        assert [job.status for job in emulator.jobs.values()] == ["cancelled"]

    def test_the_job_is_found_though_its_creation_was_not_answered_yet(self, emulator, sync):
        emulator.hang_next("POST /jobs", seconds=1.0)
        run = sync()

        with (
            _when(emulator, "POST /jobs", run.task.on_kill),
            pytest.raises(AirbyteJobCancelledError),
        ):
            run.finish()

        assert [job.status for job in emulator.jobs.values()] == ["cancelled"]

    def test_the_job_is_left_running_on_demand(self, emulator, sync):
        run = sync(cancel_on_kill=False)

        def kill_and_finish() -> None:
            run.task.on_kill()
            (job_id,) = emulator.jobs
            emulator.finish_job(job_id)

        with _when_read(emulator, kill_and_finish):
            assert run.finish()["status"] == "succeeded"

    def test_the_job_of_somebody_else_is_left_running(self, emulator, sync):
        other = emulator.start_sync()
        run = sync(on_running="attach")

        def kill_and_finish() -> None:
            run.task.on_kill()
            emulator.finish_job(other)

        with _when_read(emulator, kill_and_finish):
            assert run.finish()["job_id"] == other
        assert asked(emulator, "DELETE /jobs/{jobId}") == 0

    def test_a_kill_before_anything_was_sent_does_nothing(self, emulator, sync):
        sync().task.on_kill()

        assert emulator.requests == []


def _when_read(emulator: Any, act: Callable[[], object]) -> Any:
    """Act once a job is watched."""
    return _when(emulator, "GET /jobs/{jobId}", act)


@contextmanager
def _when(emulator: Any, route: str, act: Callable[[], object]) -> Iterator[None]:
    """Call *act*, in a thread of its own, once *route* has been asked for."""
    asked_for = threading.Event()

    def look() -> None:
        if asked(emulator, route):
            asked_for.set()

    stop = emulator.watch(look)

    def wait_and_act() -> None:
        asked_for.wait(PATIENCE)
        stop()
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()
    assert asked_for.is_set(), f"{route} was not asked for in {PATIENCE} s"


class TestWhatARetryCannotCure:
    """Each fails at once, in one line that names the field or the step, and burns no retry."""

    @pytest.mark.parametrize("connection_id", ["", "my connection", "18dccc91-0ab1-4f72-9ed7"])
    def test_a_connection_id_that_is_no_uuid(self, emulator, sync, deferrable, connection_id):
        with pytest.raises(AirflowFailException, match="connection_id should be the UUID"):
            sync(deferrable=deferrable, connection_id=connection_id).finish()

        assert emulator.requests == []

    def test_a_connection_that_airbyte_does_not_know(self, sync, deferrable):
        unknown = "00000000-0000-4000-8000-000000000000"

        with pytest.raises(AirflowFailException, match=r"403.*id does not exist.*or.*role"):
            sync(deferrable=deferrable, connection_id=unknown).finish()

    def test_an_unknown_airflow_connection(self, sync, deferrable):
        with pytest.raises(AirflowFailException, match="no Airflow connection 'nowhere'"):
            sync(deferrable=deferrable, airbyte_conn_id="nowhere").finish()

    def test_a_wrong_secret(self, emulator, sync, deferrable):
        emulator.rotate_secret()

        with pytest.raises(AirflowFailException, match=r"token with 401.*Password"):
            sync(deferrable=deferrable).finish()

    def test_half_filled_credentials(self, emulator, sync, deferrable, monkeypatch):
        uri = emulator.connection_uri
        monkeypatch.setenv(CONNECTION_VARIABLE, uri.replace(emulator.client_secret, ""))

        with pytest.raises(AirflowFailException, match=r"Password .* is empty"):
            sync(deferrable=deferrable).finish()

    def test_a_url_that_is_not_airbytes(self, emulator, sync, deferrable):
        emulator.html_next("*", times=None)

        with pytest.raises(AirflowFailException, match=r"web page.*Host"):
            sync(deferrable=deferrable).finish()

    def test_a_role_that_may_not_start_syncs(self, emulator, sync, deferrable, monkeypatch):
        client_id, secret = emulator.add_application("workspace_reader")
        uri = emulator.connection_uri_for(emulator.url, client_id=client_id, client_secret=secret)
        monkeypatch.setenv(CONNECTION_VARIABLE, uri)

        with pytest.raises(AirflowFailException, match=r"403.*role"):
            sync(deferrable=deferrable).finish()


def test_a_body_that_is_cut_off_fails_at_once_but_may_be_retried(emulator, sync, deferrable):
    emulator.fail_next("GET /connections/{connectionId}", status=200, body=b'{"connectionId":')

    with pytest.raises(AirbyteError, match=r"no JSON.*cut off") as failure:
        sync(deferrable=deferrable).finish()

    assert not isinstance(failure.value, AirflowFailException)


def test_a_lost_answer_makes_no_second_sync(emulator, sync, deferrable):
    emulator.drop_next("POST /jobs", after=True)

    result = sync(deferrable=deferrable).finish()

    assert list(emulator.jobs) == [result["job_id"]]
    assert result["adopted"] is False


def test_an_outage_in_the_middle_of_a_wait_is_survived(emulator, sync, deferrable):
    emulator.script_job(duration=0.5)
    emulator.html_next("GET /jobs/{jobId}", times=2, status=404)
    emulator.fail_next("GET /jobs/{jobId}", status=401, times=2)

    assert sync(deferrable=deferrable).finish()["status"] == "succeeded"
    assert asked(emulator, "POST /jobs") == 1


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("on_running", "retry"),
        ("on_too_few_rows", "ignore"),
        ("poll_interval", 0),
        ("timeout", -1),
    ],
)
def test_a_parameter_that_means_nothing_is_refused_when_the_dag_is_parsed(sync, parameter, value):
    with pytest.raises(ValueError, match=parameter):
        sync(**{parameter: value})
