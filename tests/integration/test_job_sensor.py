"""The job sensor, poking and deferred."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    AirbyteSettingsNotFoundError,
    AirbyteTooFewRowsError,
)
from tests.integration.conftest import CONNECTION_VARIABLE, request_count
from tests.tasks import RescheduledTaskInstance, TaskRun, run_trigger

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowRescheduleException

pytestmark = pytest.mark.usefixtures("reschedule_database")


@pytest.fixture
def sensor_run(sensor_run) -> Callable[..., TaskRun]:
    def make(*args: Any, began: datetime | None = None, **kwargs: Any) -> TaskRun:
        run: TaskRun = sensor_run(*args, **kwargs)
        run.ti = RescheduledTaskInstance(start_date=began)
        return run

    return make


@pytest.fixture
def job_id(emulator) -> int:
    """A running sync, which will sync 120 rows."""
    return emulator.start_sync()


def test_the_result_describes_the_sync(sensor_run, deferrable, job_id):
    result = sensor_run(job_id, deferrable=deferrable).finish()

    assert result["job_id"] == job_id
    assert result["status"] == "succeeded"
    assert result["rows_synced"] == 120
    assert result["adopted"] is True
    assert result["job_url"].endswith(f"/timeline?jobId={job_id}&openLogs=true")


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_the_job_is_pushed_before_a_wait_on_a_worker(emulator, sensor_run, running_job, mode):
    run = sensor_run(running_job, deferrable=False, mode=mode, began=datetime.now(UTC))
    pushed: list[tuple[str, Any]] = []

    def end(key: str) -> None:
        pushed.append((key, run.ti.xcoms[key]))
        if len(pushed) == 2:
            emulator.finish_job(running_job)

    run.ti.on_push = end

    with suppress(AirflowRescheduleException):
        run.start()

    assert pushed[:2] == [
        ("job_id", running_job),
        ("connection_id", emulator.connection_id),
    ]


def test_the_result_is_that_of_the_operator(sync_run, sensor_run, deferrable):
    synced = sync_run(deferrable=deferrable).finish()

    waited = sensor_run(synced["job_id"], deferrable=deferrable).finish()

    assert {**waited, "adopted": False} == synced


def test_a_job_that_has_ended_is_not_deferred(emulator, sensor_run, job_id):
    emulator.finish_job(job_id)

    run = sensor_run(job_id, deferrable=True)

    assert run.start()["status"] == "succeeded"
    assert run.deferrals == []


@pytest.mark.parametrize(
    "render",
    [str, "  {}\n".format, lambda job_id: {"job_id": job_id}],
    ids=["text", "padded text", "result of a task"],
)
def test_the_job_id_can_be_a_rendered_xcom(sensor_run, deferrable, job_id, render):
    assert sensor_run(render(job_id), deferrable=deferrable).finish()["job_id"] == job_id


@pytest.mark.parametrize("value", ["", "None", None, [], {}, "about 4711", [7, 8]], ids=repr)
def test_an_invalid_job_id_fails_at_once(emulator, sensor_run, deferrable, value):
    with pytest.raises(AirflowFailException, match=r"^airbyte_job_id "):
        sensor_run(value, deferrable=deferrable).finish()

    assert emulator.requests == []


def test_an_unknown_job_fails_at_once(sensor_run, deferrable):
    with pytest.raises(AirflowFailException, match=r"GET .*/jobs/4711 with 403"):
        sensor_run(4711, deferrable=deferrable).finish()


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", AirbyteJobFailedError), ("cancelled", AirbyteJobCancelledError)],
)
def test_a_job_that_does_not_succeed_fails_the_sensor(
    emulator, sensor_run, deferrable, running_job, status, error
):
    emulator.finish_job(running_job, status)

    with pytest.raises(error, match=f"Job {running_job} of connection 'Sample data to Warehouse'"):
        sensor_run(running_job, deferrable=deferrable).finish()


def test_the_job_is_not_cancelled_at_the_timeout(emulator, sensor_run, deferrable, running_job):
    with pytest.raises(AirflowSensorTimeout):
        sensor_run(running_job, deferrable=deferrable, timeout=0.2).finish()

    assert emulator.jobs[running_job].status == "running"
    assert request_count(emulator, "DELETE /jobs/{jobId}") == 0


@pytest.mark.parametrize(
    ("on_too_few_rows", "error"),
    [("fail", AirbyteTooFewRowsError), ("skip", AirflowSkipException)],
)
def test_too_few_rows_fail_or_skip_the_sensor(
    emulator, sensor_run, deferrable, job_id, on_too_few_rows, error
):
    with pytest.raises(error, match="120 rows, fewer than min_rows=121"):
        sensor_run(
            job_id, deferrable=deferrable, min_rows=121, on_too_few_rows=on_too_few_rows
        ).finish()


class TestMessagesNameTheConnection:
    def test_too_few_rows(self, sensor_run, deferrable, job_id, connection_label):
        with pytest.raises(
            AirbyteTooFewRowsError,
            match=re.escape(f"Job {job_id} of connection {connection_label} "),
        ) as failure:
            sensor_run(job_id, deferrable=deferrable, min_rows=121).finish()

        assert str(failure.value).endswith(f"timeline?jobId={job_id}&openLogs=true")

    def test_timeout_of_a_deferred_sensor(self, sensor_run, running_job, connection_label):
        """A poking sensor is timed out by Airflow, whose message names no job."""
        with pytest.raises(
            AirflowSensorTimeout,
            match=re.escape(f"Job {running_job} of connection {connection_label} "),
        ) as failure:
            sensor_run(running_job, deferrable=True, timeout=0.2).finish()

        assert str(failure.value).endswith(f"timeline?jobId={running_job}&openLogs=true")

    def test_error_of_a_deferred_wait(self, emulator, sensor_run, running_job, connection_label):
        run = sensor_run(running_job, deferrable=True)
        run.start()
        emulator.fail_next("GET /jobs/{jobId}", status=403, times=None)

        with pytest.raises(
            AirflowFailException,
            match=re.escape(f"Job {running_job} of connection {connection_label} "),
        ):
            run.resume(run_trigger(run.deferrals[0].trigger))


@pytest.fixture(
    params=[{"deferrable": True}, {"mode": "poke"}, {"mode": "reschedule"}],
    ids=["deferrable", "poke", "reschedule"],
)
def way_to_wait(request) -> dict[str, Any]:
    return {"deferrable": False, **request.param}


class TestSoftFail:
    @pytest.fixture
    def failed_job(self, emulator, job_id) -> int:
        emulator.finish_job(job_id, "failed")
        return job_id

    def test_soft_fail_skips_at_the_timeout(self, sensor_run, deferrable, running_job):
        with pytest.raises(AirflowSkipException):
            sensor_run(running_job, deferrable=deferrable, timeout=0.2, soft_fail=True).finish()

    def test_soft_fail_does_not_hide_a_failed_sync(self, sensor_run, deferrable, failed_job):
        with pytest.raises(AirbyteJobFailedError):
            sensor_run(failed_job, deferrable=deferrable, soft_fail=True).finish()

    def test_soft_fail_keeps_the_reason_of_a_skip_for_too_few_rows(
        self, sensor_run, deferrable, job_id
    ):
        with pytest.raises(AirflowSkipException, match="fewer than min_rows=121"):
            sensor_run(
                job_id,
                deferrable=deferrable,
                soft_fail=True,
                min_rows=121,
                on_too_few_rows="skip",
            ).finish()

    def test_soft_fail_does_not_hide_a_missing_airflow_connection(self, sensor_run, way_to_wait):
        run = sensor_run(7, airbyte_conn_id="nowhere", soft_fail=True, **way_to_wait)

        with pytest.raises(AirbyteSettingsNotFoundError, match="did not find the connection"):
            run.start()

    @pytest.mark.parametrize("fields", [{"host": ""}, {"host": "airbyte", "login": "me"}])
    def test_soft_fail_does_not_hide_an_invalid_airflow_connection(
        self, sensor_run, way_to_wait, set_connection, fields
    ):
        set_connection(**fields)

        with pytest.raises(AirflowFailException, match="of the Airflow connection is empty"):
            sensor_run(7, soft_fail=True, **way_to_wait).start()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"airbyte_job_id": "None"}, "^airbyte_job_id is empty"),
            ({"airbyte_job_id": 7, "timeout": "{{ x }}"}, "^timeout must be"),
        ],
    )
    def test_soft_fail_does_not_hide_an_invalid_argument(
        self, sensor_run, way_to_wait, arguments, message
    ):
        with pytest.raises(AirflowFailException, match=message):
            sensor_run(soft_fail=True, **{**way_to_wait, **arguments}).start()

    def test_soft_fail_does_not_hide_an_unknown_job(self, sensor_run, way_to_wait):
        with pytest.raises(AirflowFailException, match="/jobs/4711 with 403"):
            sensor_run(4711, soft_fail=True, **way_to_wait).start()

    def test_soft_fail_does_not_hide_what_ends_a_deferred_wait(
        self, sensor_run, running_job, set_connection
    ):
        run = sensor_run(running_job, deferrable=True, soft_fail=True)
        run.start()
        set_connection(host="")

        with pytest.raises(AirflowFailException, match="Airflow connection is empty"):
            run.resume(run_trigger(run.deferrals[0].trigger))

    def test_soft_fail_does_not_hide_an_airflow_connection_that_is_missing_on_resume(
        self, emulator, sensor_run, running_job, monkeypatch
    ):
        run = sensor_run(running_job, deferrable=True, soft_fail=True)
        run.start()
        emulator.finish_job(running_job, "failed")
        event = run_trigger(run.deferrals[0].trigger)
        monkeypatch.delenv(CONNECTION_VARIABLE)
        del run.task.hook  # the worker that resumes the task makes a new one

        with pytest.raises(AirbyteSettingsNotFoundError):
            run.resume(event)

    def test_never_fail_skips_a_failed_sync(self, sensor_run, deferrable, failed_job):
        with pytest.raises(AirflowSkipException):
            sensor_run(failed_job, deferrable=deferrable, never_fail=True).finish()

    @pytest.mark.parametrize(
        "arguments",
        [{"airbyte_conn_id": "nowhere"}, {"airbyte_job_id": "None"}, {"timeout": "{{ x }}"}],
    )
    def test_never_fail_skips_after_any_error(self, sensor_run, way_to_wait, arguments):
        with pytest.raises(AirflowSkipException):
            sensor_run(
                never_fail=True, **{"airbyte_job_id": 4711, **way_to_wait, **arguments}
            ).start()

    def test_never_fail_skips_after_any_error_of_a_deferred_wait(
        self, emulator, sensor_run, running_job
    ):
        run = sensor_run(running_job, deferrable=True, never_fail=True)
        run.start()
        emulator.fail_next("GET /jobs/{jobId}", status=403, times=None)

        with pytest.raises(AirflowSkipException):
            run.resume(run_trigger(run.deferrals[0].trigger))


class TestReschedule:
    """Airflow runs such a sensor anew for each poke, and remembers when the first began."""

    def test_an_outage_ends_with_the_timeout_since_the_first_poke(
        self, emulator, sensor_run, job_id
    ):
        emulator.html_next("GET /jobs/{jobId}", status=404, times=None)
        began = datetime.now(UTC) - timedelta(hours=1)

        with pytest.raises(AirflowSensorTimeout, match=rf"^Job {job_id} could not be read any"):
            sensor_run(
                job_id, began=began, deferrable=False, mode="reschedule", timeout=3600
            ).start()

        assert request_count(emulator, "GET /jobs/{jobId}") == 1

    def test_never_fail_does_not_end_the_wait_between_two_pokes(self, sensor_run, running_job):
        with pytest.raises(AirflowRescheduleException):
            sensor_run(running_job, deferrable=False, mode="reschedule", never_fail=True).start()


def test_an_outage_is_outlasted_no_longer_than_the_timeout(
    emulator, sensor_run, deferrable, job_id
):
    emulator.html_next("GET /jobs/{jobId}", status=404, times=None)

    with pytest.raises(AirflowSensorTimeout, match=rf"^Job {job_id} could not be read any"):
        sensor_run(job_id, deferrable=deferrable, timeout=0.3).finish()


@pytest.mark.parametrize("route", ["POST /applications/token", "GET /jobs/{jobId}"])
@pytest.mark.parametrize("fault", ["hangs", "drips"])
def test_a_response_that_does_not_end_is_waited_for_no_longer_than_the_timeout(
    emulator, sensor_run, deferrable, job_id, route, fault
):
    if fault == "hangs":
        emulator.hang_next(route, 3600)
    else:
        emulator.drip_next(route, 0.2)
    began = time.monotonic()

    with pytest.raises(AirflowSensorTimeout, match=rf"^Job {job_id} could not be read any"):
        sensor_run(job_id, deferrable=deferrable, timeout=0.3).finish()

    # Without the limit: the connection's `request_timeout` of 30 s, and again and again.
    assert time.monotonic() - began < 20


class TestParametersOfPokes:
    @pytest.mark.parametrize(
        "arguments",
        [{"exponential_backoff": True}, {"max_wait": 60}, {"silent_fail": True}],
        ids=lambda arguments: next(iter(arguments)),
    )
    def test_they_are_refused_with_deferrable(self, sensor_run, arguments):
        (name,) = arguments

        with pytest.raises(AirbyteConfigError) as failure:
            sensor_run(1, deferrable=True, **arguments)

        assert str(failure.value).startswith(
            f"{name} of a sensor has no effect with deferrable=True: remove it, or set "
            f"deferrable=False."
        )

    def test_they_are_refused_with_deferrable_by_default(self, sensor_run, monkeypatch):
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "true")

        with pytest.raises(AirbyteConfigError, match="set deferrable=False"):
            sensor_run(1, silent_fail=True)

    def test_they_are_passed_on_without_deferrable(self, sensor_run):
        task = sensor_run(
            1, deferrable=False, exponential_backoff=True, max_wait=60, silent_fail=True
        ).task

        assert (task.exponential_backoff, task.silent_fail) == (True, True)
        assert task.max_wait == timedelta(seconds=60)


class TestArguments:
    @pytest.mark.parametrize(
        ("name", "value", "validated"),
        [
            ("timeout", timedelta(hours=1), 3600.0),
            ("timeout", "3600", 3600.0),
            ("timeout", None, 86400.0),
            ("poll_interval", timedelta(minutes=1), 60.0),
            ("poll_interval", " 30 ", 30.0),
            ("poll_interval", None, 10.0),
            ("poke_interval", timedelta(minutes=1), 60.0),
            ("poke_interval", "30", 30.0),
            ("min_rows", "1", 1),
            ("min_rows", None, 0),
            ("airbyte_conn_id", " x ", "x"),
        ],
        ids=repr,
    )
    def test_they_are_converted_when_the_dag_is_parsed(self, sensor_run, name, value, validated):
        assert getattr(sensor_run(1, **{name: value}).task, name) == validated

    @pytest.mark.parametrize("name", ["timeout", "poll_interval", "poke_interval"])
    @pytest.mark.parametrize("value", ["soon", 0, -1, math.nan, math.inf, True], ids=repr)
    def test_an_invalid_duration_is_refused_when_the_dag_is_parsed(self, sensor_run, name, value):
        with pytest.raises(AirbyteConfigError, match=f"^{name} must be a number of seconds"):
            sensor_run(1, **{name: value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("min_rows", "many"),
            ("min_rows", -1),
            ("deferrable", "false"),
            ("airbyte_conn_id", None),
            ("on_too_few_rows", "retry"),
        ],
    )
    def test_another_invalid_argument_is_refused_when_the_dag_is_parsed(
        self, sensor_run, name, value
    ):
        with pytest.raises(AirbyteConfigError, match=f"^{name} must be"):
            sensor_run(1, **{name: value})

    def test_templates_are_checked_after_they_are_rendered(self, sensor_run, deferrable, job_id):
        run = sensor_run(
            job_id,
            deferrable=deferrable,
            timeout="{{ 60 }}",
            poll_interval="{{ 0.05 }}",
            poke_interval="{{ 0.07 }}",
            min_rows="{{ 121 }}",
        )
        run.render()

        with pytest.raises(AirbyteTooFewRowsError, match="min_rows=121"):
            run.finish()

        assert (run.task.timeout, run.task.poke_interval) == (60.0, 0.07)

    def test_templates_are_checked_again_on_resume(self, emulator, sensor_run, running_job):
        run = sensor_run(running_job, deferrable=True, min_rows="{{ 121 }}")
        run.render()
        run.start()
        emulator.finish_job(running_job)
        event = run_trigger(run.deferrals[0].trigger)
        run.task.min_rows = "many"  # Airflow makes a new task and renders it

        with pytest.raises(AirflowFailException, match=r"^min_rows must be a whole number"):
            run.resume(event)

    @pytest.mark.parametrize("name", ["timeout", "poll_interval", "poke_interval", "min_rows"])
    def test_an_invalid_value_of_a_template_fails_before_any_request(
        self, emulator, sensor_run, deferrable, job_id, name
    ):
        run = sensor_run(job_id, deferrable=deferrable, **{name: "{{ 'None' }}"})
        run.render()
        emulator.clear_requests()

        with pytest.raises(AirflowFailException, match=f"^{name} must be a"):
            run.finish()

        assert emulator.requests == []


class TestIntervals:
    def test_poll_interval_applies_to_both_modes(self, sensor_run):
        task = sensor_run(1, poll_interval=7).task

        assert (task.poll_interval, task.poke_interval) == (7, 7)

    def test_poke_interval_alone_applies_to_both_modes(self, sensor_run):
        task = sensor_run(1, poll_interval=None, poke_interval=timedelta(seconds=30)).task

        assert (task.poll_interval, task.poke_interval) == (30, 30)

    def test_both_can_be_set(self, sensor_run):
        task = sensor_run(1, poll_interval=7, poke_interval=60).task

        assert (task.poll_interval, task.poke_interval) == (7, 60)

    def test_the_default_is_ten_seconds(self, sensor_run):
        task = sensor_run(1, poll_interval=None).task

        assert (task.poll_interval, task.poke_interval) == (10, 10)

    def test_the_trigger_gets_poll_interval_and_timeout(self, emulator, sensor_run, running_job):
        run = sensor_run(running_job, deferrable=True, poll_interval=7, timeout=3600)
        run.start()

        trigger = run.deferrals[0].trigger
        assert trigger.poll_interval == 7
        assert 3590 < trigger.deadline - emulator.clock.time() <= 3600


def test_the_sensor_survives_an_outage(emulator, sensor_run, deferrable, job_id):
    emulator.html_next("GET /jobs/{jobId}", times=2, status=503)

    assert sensor_run(job_id, deferrable=deferrable).finish()["status"] == "succeeded"
