"""``timeout`` bounds the wait of an operator whatever happens, and its job is cancelled then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import (
    AirbyteConflictError,
    AirbyteError,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.conftest import request_count
from tests.tasks import run_trigger

TOKEN = "POST /applications/token"
READ_CONNECTION = "GET /connections/{connectionId}"
LIST = "GET /jobs"
POST = "POST /jobs"
READ = "GET /jobs/{jobId}"
DELETE = "DELETE /jobs/{jobId}"

NOT_RUNNING = {
    "status": 409,
    "type": "https://reference.airbyte.com/reference/errors#409-state-conflict",
    "title": "state-conflict",
    "detail": "State of the resource is in conflict with the request.",
    "data": {"message": "Job is not currently running"},
}

# Far more than each test needs, and far less than the retries of an outage last.
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def endless(emulator: Emulator) -> None:
    """Every job runs until something ends it."""
    for _ in range(2):
        emulator.script_job(statuses=[("running", None)])


@contextmanager
def outage_from(emulator: Emulator, route: str, seconds: float) -> Iterator[None]:
    """Let Airbyte be away for *seconds*, from right after the first request for *route*."""
    ends_at: list[float] = []

    def begin() -> None:
        ends_at.append(time.monotonic() + seconds)
        emulator.fail_next("*", 503, times=None)

    def end() -> None:
        if ends_at and time.monotonic() >= ends_at[0]:
            emulator.clear_faults()

    emulator.call_next(route, begin, after=True)
    stop_watching = emulator.watch(end)
    yield
    stop_watching()


def statuses(emulator: Emulator) -> list[str]:
    return [job.status for job in emulator.jobs.values()]


class TestWhatBecameOfTheJob:
    """The error says what really happened, not what was tried."""

    def test_it_was_cancelled(self, emulator, sync_run, deferrable):
        with pytest.raises(AirbyteJobTimeoutError, match=r"It was cancelled\. http"):
            sync_run(deferrable=deferrable, timeout=0.3).finish()

        assert statuses(emulator) == ["cancelled"]

    def test_it_runs_on_after_a_conflict(self, emulator, sync_run, deferrable):
        emulator.fail_next(DELETE, 409, body=NOT_RUNNING)

        with pytest.raises(
            AirbyteJobTimeoutError,
            match=r"running although its cancellation was requested: cancel it by hand\. http",
        ):
            sync_run(deferrable=deferrable, timeout=0.3).finish()

        assert statuses(emulator) == ["running"]

    def test_a_job_that_failed_meanwhile_is_reported_with_its_reason(
        self, emulator, sync_run, deferrable
    ):
        emulator.call_next(DELETE, lambda: emulator.finish_job(1, "failed"))

        with pytest.raises(AirbyteJobFailedError, match=r"Job 1 of connection .* failed"):
            sync_run(deferrable=deferrable, timeout=0.3).finish()

    def test_a_job_that_succeeded_meanwhile_is_a_success(self, emulator, sync_run, deferrable):
        emulator.call_next(DELETE, lambda: emulator.finish_job(1, rows=7))

        result = sync_run(deferrable=deferrable, timeout=0.3).finish()

        assert (result["status"], result["rows_synced"]) == ("succeeded", 7)

    def test_a_job_that_somebody_cancelled_meanwhile_was_cancelled(
        self, emulator, sync_run, deferrable
    ):
        emulator.call_next(DELETE, lambda: emulator.cancel_job(1))

        with pytest.raises(AirbyteJobTimeoutError, match=r"It was cancelled\."):
            sync_run(deferrable=deferrable, timeout=0.3).finish()

    def test_a_job_that_may_not_be_cancelled(self, emulator, sync_run, deferrable):
        emulator.fail_next(DELETE, 403, times=None)

        with pytest.raises(
            AirbyteJobTimeoutError, match=r"It was not cancelled, cancel it by hand: .*403"
        ):
            sync_run(deferrable=deferrable, timeout=0.3).finish()

    def test_a_job_that_cannot_be_read(self, emulator, sync_run):
        run = sync_run(deferrable=True, timeout=0.3)
        run.start()
        event = run_trigger(run.deferrals[0].trigger)
        emulator.fail_next(READ, 200, body=b'{"jobId":')

        with pytest.raises(
            AirbyteJobTimeoutError, match=r"It was not cancelled, cancel it by hand: .*invalid JSON"
        ):
            run.resume(event)

        assert request_count(emulator, DELETE) == 0

    def test_settings_that_cannot_be_read(self, sync_run):
        run = sync_run(deferrable=True, timeout=0.3)
        run.start()
        event = run_trigger(run.deferrals[0].trigger)
        resumed = sync_run(deferrable=True, airbyte_conn_id="nowhere")
        resumed.deferrals = run.deferrals

        with pytest.raises(
            AirbyteJobTimeoutError, match=r"It was not cancelled, cancel it by hand: .*'nowhere'"
        ):
            resumed.resume(event)

    def test_the_limit_of_the_message_is_the_one_that_applied(self, sync_run):
        run = sync_run(deferrable=True, timeout=3600, execution_timeout=timedelta(seconds=1))

        with pytest.raises(
            AirbyteJobTimeoutError, match=r"\(timeout: 1 s, to end before execution_timeout\)"
        ):
            run.finish()


class TestOutageDuringTheWait:
    def test_the_job_is_cancelled_once_airbyte_is_back(self, emulator, sync_run, deferrable):
        with (
            outage_from(emulator, READ, seconds=2.0),
            pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"),
        ):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

        assert statuses(emulator) == ["cancelled"]

    def test_the_job_is_cancelled_although_it_was_never_read(self, emulator, sync_run, deferrable):
        with (
            outage_from(emulator, POST, seconds=2.0),
            pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"),
        ):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

    def test_a_read_that_hangs(self, emulator, sync_run, deferrable):
        emulator.hang_next(READ, seconds=100)

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

    def test_a_response_that_drips(self, emulator, sync_run, deferrable):
        emulator.drip_next(READ, pause=0.5)

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

    def test_a_foreign_job_is_left_running(self, emulator, sync_run, deferrable, running_job):
        with (
            outage_from(emulator, READ, seconds=2.0),
            pytest.raises(AirbyteJobTimeoutError, match="It is left running"),
        ):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

        assert request_count(emulator, DELETE) == 0


class TestOutageDuringTheStart:
    """Without the limit, each of these calls is retried for two minutes."""

    @pytest.mark.parametrize("route", [TOKEN, READ_CONNECTION, LIST])
    @pytest.mark.parametrize(
        "fault",
        [
            lambda emulator, route: emulator.fail_next(route, 503, times=None),
            lambda emulator, route: emulator.hang_next(route, seconds=100, times=None),
            lambda emulator, route: emulator.drip_next(route, pause=0.5, times=None),
        ],
        ids=["error", "hang", "drip"],
    )
    def test_no_job_is_started(self, emulator, sync_run, deferrable, route, fault):
        fault(emulator, route)

        with pytest.raises(AirbyteError) as failure:
            sync_run(deferrable=deferrable, timeout=0.5).finish()

        assert not isinstance(failure.value, AirflowFailException)
        assert emulator.jobs == {}

    def test_a_rate_limit(self, emulator, sync_run, deferrable):
        emulator.fail_next(POST, 429, times=None)

        with pytest.raises(AirbyteError, match="429"):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

        assert emulator.jobs == {}

    def test_a_look_up_of_the_job_in_the_way(self, emulator, sync_run, deferrable, running_job):
        emulator.call_next(POST, lambda: emulator.fail_next(LIST, 503, times=None))

        with pytest.raises(AirbyteError, match="503"):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

    def test_a_post_that_is_held_open_is_not_cut_short(self, emulator, sync_run, deferrable):
        emulator.hang_next(POST, seconds=1.5)

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

        assert statuses(emulator) == ["cancelled"]

    def test_the_job_of_a_lost_post_is_found_after_the_deadline(
        self, emulator, sync_run, deferrable
    ):
        emulator.drop_next(POST)

        with (
            outage_from(emulator, POST, seconds=1.5),
            pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"),
        ):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

        assert statuses(emulator) == ["cancelled"]
        assert request_count(emulator, POST) == 1


class TestGivenUpInDoubt:
    """The job of a lost ``POST`` could not be looked for."""

    def test_the_log_says_that_a_job_may_run(
        self, emulator, sync_run, deferrable, task_log, connection_label
    ):
        emulator.drop_next(POST)
        emulator.call_next(POST, lambda: emulator.fail_next(LIST, 403, times=None))

        with pytest.raises(AirflowFailException, match="403"):
            sync_run(deferrable=deferrable).finish()

        assert f"A job of connection {connection_label} may have been created" in task_log()

    def test_the_log_says_nothing_when_no_post_was_executed(
        self, emulator, sync_run, deferrable, task_log
    ):
        emulator.fail_next(POST, 429, times=None)

        with pytest.raises(AirbyteError, match="429"):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

        assert "may have been created" not in task_log()


class TestDeadlineIsOver:
    """Nothing is started any more."""

    def test_while_a_foreign_job_ends(self, emulator, sync_run, running_job):
        emulator.hang_next(READ, seconds=0.5)
        emulator.call_next(READ, lambda: emulator.finish_job(running_job))

        with pytest.raises(AirbyteJobTimeoutError, match="so it starts no job") as failure:
            sync_run(timeout=0.3).finish()

        assert failure.value.job.job_id == running_job
        assert list(emulator.jobs) == [running_job]

    def test_when_the_task_resumes_after_a_foreign_job(self, emulator, sync_run, running_job):
        run = sync_run(deferrable=True, timeout=0.2)
        run.start()
        emulator.finish_job(running_job)
        event = run_trigger(run.deferrals[0].trigger)

        with pytest.raises(AirbyteJobTimeoutError, match="so it starts no job"):
            run.resume({**event, "deadline": time.time() - 1})

        assert list(emulator.jobs) == [running_job]

    def test_when_the_foreign_job_was_cancelled(self, emulator, sync_run, running_job):
        run = sync_run(deferrable=True, on_running="attach")
        run.start()
        emulator.cancel_job(running_job)
        event = run_trigger(run.deferrals[0].trigger)

        with pytest.raises(AirbyteJobTimeoutError, match="so it starts no job"):
            run.resume({**event, "deadline": time.time() - 1})

        assert list(emulator.jobs) == [running_job]

    def test_when_the_task_resumes_after_a_pause(self, emulator, sync_run):
        emulator.delete_workflow()
        run = sync_run(deferrable=True)
        run.start()
        event = run_trigger(run.deferrals[0].trigger)
        emulator.restore_workflow()

        with pytest.raises(AirbyteError, match=r"so it starts no job: .*workflow is broken"):
            run.resume({**event, "deadline": time.time() - 1})

        assert emulator.jobs == {}


class TestDeletedWorkflow:
    """Airbyte says for ever that a job is running, and lists none."""

    @pytest.fixture(autouse=True)
    def deleted(self, emulator: Emulator) -> None:
        emulator.delete_workflow()

    def test_it_fails_at_the_timeout(self, emulator, sync_run, deferrable):
        with pytest.raises(AirbyteError, match="the connection's workflow is broken"):
            sync_run(deferrable=deferrable, timeout=0.5).finish()

    def test_it_fails_after_minutes(self, emulator, sync_run):
        run = sync_run(deferrable=True, timeout=86_400)
        run.start()
        event = run_trigger(run.deferrals[0].trigger)

        with pytest.raises(AirbyteConflictError, match="no running job for 5 min") as failure:
            run.resume({**event, "unseen_since": event["unseen_since"] - 300})

        assert "disable and enable the connection" in str(failure.value)
        assert not isinstance(failure.value, AirflowFailException)

    def test_the_minutes_are_counted_across_resumptions(self, emulator, sync_run):
        run = sync_run(deferrable=True, timeout=86_400)
        run.start()
        first = run_trigger(run.deferrals[0].trigger)

        run.resume(first)

        assert run_trigger(run.deferrals[1].trigger)["unseen_since"] == first["unseen_since"]

    def test_it_recovers_when_the_workflow_is_repaired(self, emulator, sync_run, deferrable):
        def repair() -> None:
            if request_count(emulator, POST) == 2:
                emulator.restore_workflow()

        emulator.call_next(POST, repair, times=2, after=True)

        emulator.call_next(READ, lambda: emulator.finish_job(1))

        assert sync_run(deferrable=deferrable).finish()["status"] == "succeeded"
