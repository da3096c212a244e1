"""The sync sensor: a gate that opens when a sync of a connection has completed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from packaging.version import Version

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteError,
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    AirbyteTooFewRowsError,
    run_blocking,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.sensors import base as sensors_base
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor
from tests.integration.conftest import CONNECTION_NAME, MAX_WAIT, UNKNOWN_ID, request_count
from tests.tasks import DagRun, RescheduledTaskInstance, TaskRun, run_trigger

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowRescheduleException

pytestmark = pytest.mark.usefixtures("reschedule_database")

IS_AIRFLOW_2 = Version(version("apache-airflow")) < Version("3")
WAYS: dict[str, dict[str, Any]] = {
    "deferrable": {"deferrable": True},
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
}


@dataclass
class ScheduledRun(DagRun):
    """A DAG run with a data interval."""

    data_interval_end: datetime | None = None
    run_after: datetime | None = None


@pytest.fixture
def since(emulator) -> datetime:
    """Now, in whole seconds, as a schedule has them."""
    return emulator.now.replace(microsecond=0)


@pytest.fixture
def sensor_run(emulator, since) -> Iterator[Callable[..., TaskRun]]:
    """Create a run of the sync sensor, by default for the emulator's connection and from now on."""
    runs: list[TaskRun] = []

    def make(dag_run: DagRun | None = None, **kwargs: Any) -> TaskRun:
        if "connection_name" not in kwargs:
            kwargs = {"connection_id": emulator.connection_id, **kwargs}
        if dag_run is None:
            kwargs = {"completed_after": since, **kwargs}
        task = AirbyteSyncSensor(
            task_id="wait", **{"poll_interval": 0.05, "timeout": MAX_WAIT, **kwargs}
        )
        ti = RescheduledTaskInstance(start_date=datetime.now(UTC))
        runs.append(TaskRun(task, ti, dag_run=dag_run or DagRun()))
        return runs[-1]

    yield make
    for run in runs:
        end_process(run)


@pytest.fixture
def timed_way(way) -> dict[str, Any]:
    """Arguments for each way to wait in which a timeout can be seen here."""
    if IS_AIRFLOW_2 and way.get("mode") == "reschedule":
        pytest.skip("Airflow 2.11 looks in its database for the first poke of the task instance")
    return way


def end_process(run: TaskRun) -> None:
    """Forget the hook, which each process of a task makes anew."""
    hook = vars(run.task).pop("hook", None)
    # Airflow knows no connection to close.
    with suppress(AirbyteError):
        if hook is not None:
            run_blocking(hook.client.close())


@pytest.fixture(params=WAYS)
def way(request) -> dict[str, Any]:
    """Arguments for each way to wait."""
    return WAYS[request.param]


def finish(run: TaskRun) -> Any:
    """Run the sensor to its end in any way, poking again after each reschedule."""
    while True:
        try:
            return run.finish()
        except AirflowRescheduleException:
            end_process(run)


@contextmanager
def once_asked(emulator: Emulator, action: Callable[[], Any], lists: int = 2) -> Iterator[None]:
    """Do something once the sensor has listed the jobs a few times."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1
        if counted == lists:
            thread.start()

    thread = threading.Thread(target=action)
    emulator.call_next("GET /jobs", count, times=None, after=True)
    yield
    thread.join()


def run_sync(emulator: Emulator, status: str = "succeeded", **arguments: Any) -> int:
    """Start a job, as somebody else does, and end it."""
    emulator.script_job(statuses=[("running", None)])
    job_id = emulator.start_sync(**arguments)
    emulator.finish_job(job_id, status)
    return job_id


class TestSyncOfSomebodyElse:
    def test_one_that_has_completed_opens_the_gate_at_once(self, emulator, sensor_run, way):
        job_id = run_sync(emulator)
        run = sensor_run(**way)

        result = run.start()

        assert result["job_id"] == job_id
        assert result["adopted"] is True
        assert run.deferrals == []

    def test_one_that_completes_during_the_wait_opens_it(self, emulator, sensor_run, way):
        run = sensor_run(**way)

        with once_asked(emulator, lambda: run_sync(emulator)):
            result = finish(run)

        assert result["status"] == "succeeded"
        assert result["job_id"] == max(emulator.jobs)

    def test_the_connection_is_pushed_before_a_wait_on_a_worker(self, emulator, sensor_run, way):
        run = sensor_run(**way)
        run.ti.on_push = lambda key: key == "connection_id" and run_sync(emulator)
        is_deferred = bool(way.get("deferrable"))

        with suppress(AirflowRescheduleException):
            run.start()

        # Airflow's database has what a deferred task waits for.
        assert run.ti.xcoms.get("connection_id") == (
            None if is_deferred else emulator.connection_id
        )
        assert bool(run.deferrals) == is_deferred

    def test_one_that_was_started_before_counts_if_it_completes_after(
        self, emulator, sensor_run, running_job, way
    ):
        run = sensor_run(completed_after=emulator.now + timedelta(seconds=0.001), **way)

        with once_asked(emulator, lambda: emulator.finish_job(running_job)):
            assert finish(run)["job_id"] == running_job

    def test_a_refresh_opens_it_and_a_reset_does_not(self, emulator, sensor_run, way):
        run_sync(emulator, job_type="reset")
        run = sensor_run(**way)

        with once_asked(emulator, lambda: run_sync(emulator, job_type="refresh")):
            assert finish(run)["job_type"] == "refresh"

    def test_one_that_completed_before_does_not(self, emulator, sensor_run, timed_way):
        run_sync(emulator)

        with pytest.raises(AirflowSensorTimeout):
            finish(
                sensor_run(
                    completed_after=emulator.now + timedelta(days=1),
                    timeout=0.3,
                    **timed_way,
                )
            )

    def test_the_result_and_the_link_are_those_of_the_job_sensor(self, emulator, sensor_run, way):
        job_id = run_sync(emulator)
        run = sensor_run(**way)

        result = finish(run)

        assert set(result) == {
            *("job_id", "status", "job_type", "connection_id", "rows_synced", "bytes_synced"),
            *("started_at", "ended_at", "duration_seconds", "adopted", "job_url"),
        }
        assert result["rows_synced"] == 120
        assert result["job_url"].endswith(f"/timeline?jobId={job_id}&openLogs=true")
        assert run.ti.xcoms["job_url"] == result["job_url"]
        assert next(link.name for link in run.task.operator_extra_links) == "Airbyte job"


class TestFailedSyncs:
    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_one_does_not_open_the_gate(self, emulator, sensor_run, way, status):
        failed = run_sync(emulator, status)
        run = sensor_run(**way)

        with once_asked(emulator, lambda: run_sync(emulator)):
            result = finish(run)

        assert result["job_id"] > failed

    @pytest.mark.parametrize(
        ("status", "error"),
        [("failed", AirbyteJobFailedError), ("cancelled", AirbyteJobCancelledError)],
    )
    def test_one_ends_the_wait_if_that_is_wanted(self, emulator, sensor_run, way, status, error):
        run = sensor_run(fail_on_failed_sync=True, **way)

        with (
            once_asked(emulator, lambda: run_sync(emulator, status)),
            pytest.raises(error, match=f"of connection '{CONNECTION_NAME}'"),
        ):
            finish(run)

        assert run.ti.xcoms["job_url"].endswith(f"jobId={max(emulator.jobs)}&openLogs=true")

    def test_a_success_wins_over_it(self, emulator, sensor_run, way):
        succeeded = run_sync(emulator)
        run_sync(emulator, "failed")

        result = finish(sensor_run(fail_on_failed_sync=True, **way))

        assert result["job_id"] == succeeded

    def test_one_that_failed_before_the_instant_does_not_count(
        self, emulator, sensor_run, timed_way
    ):
        run_sync(emulator, "failed")
        later = emulator.now + timedelta(days=1)

        with pytest.raises(AirflowSensorTimeout):
            finish(
                sensor_run(
                    completed_after=later, timeout=0.3, fail_on_failed_sync=True, **timed_way
                )
            )


class TestInstant:
    """When the sync must have completed, as the sensor asks Airbyte for it."""

    @pytest.fixture
    def asked(self, emulator, sensor_run, way) -> Callable[..., datetime]:
        """Return the instant that the sensor asks for."""

        def ask(dag_run: DagRun | None = None, **kwargs: Any) -> datetime:
            run = sensor_run(dag_run, **{**way, **kwargs})
            run.render()
            run_sync(emulator)
            try:
                run.start()
            except AirflowRescheduleException:
                pass
            except AirflowSensorTimeout:
                pass
            query = next(each.query for each in emulator.requests if each.route == "GET /jobs")
            return datetime.fromisoformat(query["updatedAtStart"][0])

        return ask

    def test_it_is_the_end_of_the_data_interval_by_default(self, asked, since):
        run = ScheduledRun(data_interval_end=since - timedelta(hours=1))

        assert asked(run) == since - timedelta(hours=1)

    def test_without_a_data_interval_it_is_the_start_of_the_run(self, asked, since):
        run = ScheduledRun(start_date=since - timedelta(hours=2))

        assert asked(run) == since - timedelta(hours=2)

    def test_without_a_start_it_is_the_moment_from_which_the_run_may_start(self, asked, since):
        run = ScheduledRun(run_after=since - timedelta(hours=3))
        run.start_date = None  # type: ignore[assignment]

        assert asked(run) == since - timedelta(hours=3)

    @pytest.mark.parametrize(
        "value",
        [
            datetime(2026, 3, 25, 1, 30, tzinfo=UTC),
            datetime(2026, 3, 25, 7, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            datetime(2026, 3, 25, 1, 30),
            "2026-03-25T01:30:00Z",
            "2026-03-25T02:30:00+01:00",
            "2026-03-25T01:30",
            " 2026-03-25 01:30:00+00:00\n",
            "{{ instant }}",
            "{{ instant.isoformat() }}",
            "{{ instant.in_timezone('America/New_York') }}",
        ],
        ids=repr,
    )
    def test_it_can_be_given_in_many_forms(self, asked, monkeypatch, value):
        import pendulum

        instant = pendulum.datetime(2026, 3, 25, 1, 30)
        monkeypatch.setattr(
            TaskRun,
            "context",
            property(
                lambda run: {"ti": run.ti, "dag_run": run.dag_run, "instant": instant},
            ),
        )

        assert asked(completed_after=value) == instant

    def test_fractions_of_a_second_are_exact(self, asked):
        instant = datetime(2026, 3, 25, 1, 30, 0, 123_456, tzinfo=UTC)

        assert asked(completed_after=instant) == instant

    @pytest.mark.parametrize("value", ["{{ none }}", "{{ '' }}", "{{ 'yesterday' }}"])
    def test_an_invalid_value_of_a_template_fails_before_any_request(
        self, emulator, sensor_run, way, value
    ):
        run = sensor_run(completed_after=value, **way)
        run.render()

        with pytest.raises(AirflowFailException, match=r"^completed_after must be a datetime"):
            finish(run)

        assert emulator.requests == []


class TestConnection:
    def test_it_can_be_given_by_its_name(self, emulator, sensor_run, way):
        run_sync(emulator)
        run = sensor_run(connection_name=CONNECTION_NAME, workspace_id=emulator.workspace_id, **way)

        assert finish(run)["connection_id"] == emulator.connection_id

    def test_its_name_is_looked_up_once(self, emulator, sensor_run):
        run = sensor_run(
            connection_name=CONNECTION_NAME, workspace_id=emulator.workspace_id, deferrable=True
        )
        run.start()
        run_sync(emulator)
        emulator.clear_requests()

        run.resume(run_trigger(run.deferrals[0].trigger))

        assert request_count(emulator, "GET /connections") == 0

    def test_the_triggerer_does_not_read_again_what_the_worker_has_read(self, emulator, sensor_run):
        run = sensor_run(deferrable=True)
        run.start()
        emulator.clear_requests()

        with once_asked(emulator, lambda: run_sync(emulator)):
            run_trigger(run.deferrals[0].trigger)

        assert request_count(emulator, "GET /connections/{connectionId}") == 0

    def test_a_name_of_several_fails_with_their_ids(self, emulator, sensor_run, way):
        emulator.add_connection(CONNECTION_NAME)

        with pytest.raises(AirflowFailException, match=emulator.connection_id):
            finish(
                sensor_run(
                    connection_name=CONNECTION_NAME, workspace_id=emulator.workspace_id, **way
                )
            )

    def test_an_unknown_one_fails_at_once(self, sensor_run, way):
        with pytest.raises(AirflowFailException, match=r"/connections/0{8}-.* with 403"):
            finish(sensor_run(connection_id=UNKNOWN_ID, **way))

    def test_an_unknown_one_fails_at_once_for_an_instance_administrator(
        self, sensor_run, way, set_connection
    ):
        """To them, Airbyte lists no jobs of it, as if it had none yet."""
        admin = Emulator(instance_admin=True)
        with admin.serve():
            set_connection(host=admin.url, login=admin.client_id, password=admin.client_secret)
            with pytest.raises(AirflowFailException, match=r"/connections/0{8}-.* with 404"):
                finish(sensor_run(connection_id=UNKNOWN_ID, **way))

    def test_an_inactive_one_is_warned_of(self, emulator, sensor_run, timed_way, task_log):
        emulator.set_connection_status(emulator.connection_id, "inactive")

        with pytest.raises(AirflowSensorTimeout):
            finish(sensor_run(timeout=0.2, **timed_way))

        assert "is inactive: Airbyte starts no sync of it." in task_log()

    def test_an_outage_while_it_is_read_is_outlasted(self, emulator, sensor_run, way):
        emulator.fail_next("GET /connections/{connectionId}", status=503, times=2)
        run_sync(emulator)

        assert finish(sensor_run(**way))["status"] == "succeeded"


class TestTimeout:
    def test_the_sensor_fails_and_cancels_nothing(
        self, emulator, sensor_run, running_job, timed_way
    ):
        with pytest.raises(AirflowSensorTimeout):
            finish(sensor_run(timeout=0.3, **timed_way))

        assert emulator.jobs[running_job].status == "running"

    def test_a_deferred_sensor_says_what_it_waited_for(self, emulator, sensor_run):
        with pytest.raises(
            AirflowSensorTimeout, match=re.escape(f"'{CONNECTION_NAME}' ({emulator.connection_id})")
        ):
            finish(sensor_run(timeout=0.3, deferrable=True))

    def test_soft_fail_skips(self, sensor_run, timed_way):
        with pytest.raises(AirflowSkipException):
            finish(sensor_run(timeout=0.3, soft_fail=True, **timed_way))

    def test_soft_fail_does_not_hide_a_failed_sync(self, emulator, sensor_run, way):
        run_sync(emulator, "failed")

        with pytest.raises(AirbyteJobFailedError):
            finish(sensor_run(soft_fail=True, fail_on_failed_sync=True, **way))

    def test_soft_fail_does_not_hide_an_invalid_argument(self, sensor_run, way):
        run = sensor_run(soft_fail=True, completed_after="{{ none }}", **way)
        run.render()

        with pytest.raises(AirflowFailException, match=r"^completed_after"):
            finish(run)

    def test_never_fail_skips_a_failed_sync(self, emulator, sensor_run, way):
        run_sync(emulator, "failed")

        with pytest.raises(AirflowSkipException):
            finish(sensor_run(never_fail=True, fail_on_failed_sync=True, **way))

    @pytest.mark.parametrize("route", ["GET /jobs", "GET /connections/{connectionId}"])
    def test_an_outage_is_outlasted_no_longer(self, emulator, sensor_run, way, route):
        emulator.html_next(route, status=404, times=None)

        with pytest.raises(AirflowSensorTimeout, match="could not be read any more before"):
            finish(sensor_run(timeout=0.3, **way))

    def test_an_outage_is_outlasted_no_longer_if_the_clock_of_the_machine_is_behind(
        self, emulator, sensor_run, way, monkeypatch
    ):
        """A millisecond is enough: waits are measured by a monotonic clock."""
        now = time.time()
        clocks = SimpleNamespace(time=lambda: now, monotonic=time.monotonic)
        monkeypatch.setattr(sensors_base, "time", clocks)
        emulator.html_next("GET /jobs", status=404, times=None)

        with pytest.raises(AirflowSensorTimeout, match="could not be read any more before"):
            finish(sensor_run(timeout=0.3, **way))

    def test_a_response_that_does_not_end_is_waited_for_no_longer(self, emulator, sensor_run, way):
        emulator.hang_next("GET /jobs", 3600, times=None)
        began = time.monotonic()

        with pytest.raises(AirflowSensorTimeout):
            finish(sensor_run(timeout=0.3, **way))

        # Without the limit: the connection's `request_timeout` of 30 s, and again and again.
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("on_too_few_rows", "error"),
    [("fail", AirbyteTooFewRowsError), ("skip", AirflowSkipException)],
)
def test_too_few_rows_fail_or_skip_the_sensor(emulator, sensor_run, way, on_too_few_rows, error):
    run_sync(emulator)

    with pytest.raises(error, match="120 rows, fewer than min_rows=121"):
        finish(sensor_run(min_rows=121, on_too_few_rows=on_too_few_rows, **way))


@pytest.mark.parametrize("is_over", [True, False], ids=["before", "during the wait"])
def test_rows_that_lists_do_not_show_are_read(emulator, sensor_run, way, is_over):
    emulator.job_lists.has_counters = False
    run = sensor_run(min_rows=120, **way)

    if is_over:
        run_sync(emulator)
        result = finish(run)
    else:
        with once_asked(emulator, lambda: run_sync(emulator)):
            result = finish(run)

    assert result["rows_synced"] == 120
    assert request_count(emulator, "GET /jobs/{jobId}") == 1


class TestLog:
    def test_it_says_once_what_is_waited_for_and_what_the_newest_sync_did(
        self, emulator, sensor_run, running_job, since, connection_label, task_log
    ):
        run = sensor_run(mode="poke", deferrable=False)
        wait = f"aiting for a sync of connection {connection_label} that completes at or after"

        with (
            once_asked(emulator, lambda: run_sync(emulator), lists=8),
            once_asked(emulator, lambda: emulator.finish_job(running_job, "failed"), lists=4),
        ):
            finish(run)

        log = task_log()
        assert log.count(f"W{wait} {since}.") == 1
        ended = emulator.jobs[running_job].updated_at
        at = datetime.fromtimestamp(int(ended), UTC)
        assert log.count(f"Job {running_job} failed at {at}; w{wait} {since}.") == 1


class TestArguments:
    @pytest.mark.parametrize(
        "value", ["yesterday", "", "None", 0, True, "12:00", "P1D", "now", "2026-01-01/2026-01-02"]
    )
    def test_an_invalid_instant_is_refused_when_the_dag_is_parsed(self, sensor_run, value):
        with pytest.raises(AirbyteConfigError, match=r"^completed_after must be a datetime"):
            sensor_run(completed_after=value)

    def test_an_invalid_flag_is_refused_when_the_dag_is_parsed(self, sensor_run):
        with pytest.raises(AirbyteConfigError, match=r"^fail_on_failed_sync must be"):
            sensor_run(fail_on_failed_sync="false")

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"connection_id": UNKNOWN_ID, "connection_name": "x", "workspace": "y"},
            {"connection_name": "x"},
        ],
    )
    def test_one_connection_must_be_given(self, arguments):
        with pytest.raises(AirbyteConfigError, match=r"^One of "):
            AirbyteSyncSensor(task_id="wait", **arguments)

    def test_the_trigger_gets_what_the_wait_needs(self, emulator, sensor_run, since):
        run = sensor_run(deferrable=True, poll_interval=7, timeout=3600, fail_on_failed_sync=True)
        run.start()

        trigger = run.deferrals[0].trigger
        assert trigger.connection_id == emulator.connection_id
        assert trigger.connection_name == CONNECTION_NAME
        assert datetime.fromisoformat(trigger.completed_after) == since
        assert trigger.poll_interval == 7
        assert trigger.fail_on_failed_sync is True
        assert 3590 < trigger.deadline - emulator.clock.time() <= 3600

    def test_templates_are_checked_again_on_resume(self, emulator, sensor_run):
        run = sensor_run(deferrable=True)
        run.start()
        run_sync(emulator)
        event = run_trigger(run.deferrals[0].trigger)
        run.task.min_rows = "many"  # Airflow makes a new task and renders it

        with pytest.raises(AirflowFailException, match=r"^min_rows must be a whole number"):
            run.resume(event)
