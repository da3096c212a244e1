"""The alarm of a job that takes too long: once per job, in every way to wait."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowSkipException,
    BaseNotifier,
    TaskDeferred,
)

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteJobTimeoutError
from airflow_provider_airbyte_sme.api.waiting import progress
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteRefreshOperator,
    AirbyteTriggerSyncOperator,
)
from airflow_provider_airbyte_sme.operators.alarms import keeps_notes
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor
from airflow_provider_airbyte_sme.triggers.airbyte import AirbytePauseTrigger
from tests.integration.conftest import MAX_WAIT, request_count
from tests.integration.test_kill import PROCESSES
from tests.tasks import RescheduledTaskInstance, TaskRun, TaskStateStore, first_event, run_trigger

READ = "GET /jobs/{jobId}"
LIST = "GET /jobs"
POST = "POST /jobs"
SOON = 0.2
NEVER = 3600.0
PAUSE = AirbytePauseTrigger(until=0.0, deferred_at=0.0, deadline=0.0, unseen_since=0.0)


@pytest.fixture
def alarms() -> list[dict[str, Any]]:
    """What the notifiers of a test were told."""
    return []


@pytest.fixture
def notify(alarms: list[dict[str, Any]]) -> Callable[[Any], None]:
    return lambda context: alarms.append(context["slow_job"])


@pytest.fixture
def endless(emulator: Emulator) -> None:
    """The next job runs until somebody ends it."""
    emulator.script_job(statuses=[("running", None)])


@pytest.fixture
def ended_by_alarm(emulator: Emulator, notify: Callable[[Any], None]) -> list[Callable[[Any], Any]]:
    """Notifiers of which the second ends the newest job."""
    return [notify, lambda context: emulator.finish_job(max(emulator.jobs))]


@pytest.fixture
def after_alarm(emulator: Emulator) -> Callable[..., Callable[[Any], None]]:
    """Return a notifier from which on the job ends before its n-th read."""

    def make(number: int) -> Callable[[Any], None]:
        def plan(context: Any) -> None:
            left = [number]

            def count() -> None:
                left[0] -= 1
                if not left[0]:
                    emulator.finish_job(max(emulator.jobs))

            emulator.call_next(READ, count, times=None)

        return plan

    return make


@pytest.fixture
def old_emulator() -> Any:
    """An emulator on whose clock, five hours ago, nothing happens by itself."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    emulator = Emulator(time="manual", start=began)
    with emulator.serve():
        yield emulator


def run_syncs(emulator: Emulator, *seconds: float, end: str = "succeeded") -> None:
    """Let syncs run that take so long."""
    for each in seconds:
        emulator.script_job(statuses=[("running", each), (end, None)])
        emulator.start_sync()
        emulator.advance(each)


class TestOperator:
    def test_a_slow_job_raises_one_alarm_and_the_wait_goes_on(
        self, emulator, sync_run, deferrable, endless, after_alarm, notify, alarms, task_log
    ):
        run = sync_run(deferrable=deferrable, slow_after=SOON, on_slow=[notify, after_alarm(4)])

        result = run.finish()

        assert result["status"] == "succeeded"
        (slow,) = alarms
        assert slow["job_id"] == result["job_id"]
        assert slow["status"] == "running"
        assert slow["job_url"] == result["job_url"]
        assert slow["elapsed_seconds"] >= SOON
        assert re.fullmatch(
            rf"Job 1 of connection '.*' \({emulator.connection_id}\) is slow: it has taken \d+ s, "
            r"longer than slow_after=0 s\. Look in Airbyte whether .* http\S+",
            slow["message"],
        )
        # Airflow 2 prints a line twice.
        assert len(set(re.findall(r"is slow: it has taken .*", task_log()))) == 1
        assert request_count(emulator, POST) == 1

    def test_a_job_that_ends_in_time_raises_none(self, sync_run, deferrable, notify, alarms):
        run = sync_run(deferrable=deferrable, slow_after=NEVER, on_slow=notify)

        assert run.finish()["status"] == "succeeded"
        assert alarms == []

    def test_a_deferred_task_waits_again_with_the_same_deadline(
        self, sync_run, endless, after_alarm
    ):
        run = sync_run(deferrable=True, slow_after=SOON, on_slow=after_alarm(4))

        run.finish()

        first, second = (deferral.trigger for deferral in run.deferrals)
        assert second.deadline == first.deadline
        assert second.job_began_at == first.job_began_at
        assert (first.slow_at, second.slow_at) == (first.job_began_at + SOON, None)
        assert second.cancel_on_kill is True

    def test_a_job_that_ends_before_its_alarm_is_not_waited_for_again(
        self, emulator, sync_run, endless, notify, alarms
    ):
        run = sync_run(deferrable=True, slow_after=SOON, on_slow=notify)
        run.start()
        event = run_trigger(run.deferrals[0].trigger)
        emulator.finish_job(1)

        result = run.resume(event)

        (slow,) = alarms
        assert slow["elapsed_seconds"] == result["duration_seconds"]
        assert (slow["status"], result["status"]) == ("succeeded", "succeeded")
        assert " was slow: it has taken " in slow["message"]
        assert len(run.deferrals) == 1

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (RuntimeError("chat is down"), "RuntimeError: chat is down"),
            (AirflowSkipException("chat is down"), "AirflowSkipException: chat is down"),
            (SystemExit(1), "SystemExit: 1"),
            (
                TaskDeferred(trigger=PAUSE, method_name="execute"),
                "TaskDeferred",
            ),
        ],
        ids=["error", "skip", "exit", "deferral"],
    )
    def test_a_notifier_that_fails_stops_neither_the_task_nor_the_others(
        self, sync_run, deferrable, endless, ended_by_alarm, alarms, task_log, error, text
    ):
        def fail(context: Any) -> None:
            raise error

        run = sync_run(deferrable=deferrable, slow_after=SOON, on_slow=[fail, *ended_by_alarm])

        assert run.finish()["status"] == "succeeded"
        assert len(alarms) == 1
        assert f"of on_slow has failed, and the task goes on. {text}" in task_log()

    def test_a_notifier_of_airflow_renders_its_own_templates(
        self, emulator, sync_run, deferrable, endless, ended_by_alarm
    ):
        sent = []

        class Notifier(BaseNotifier):
            template_fields = ("text",)

            def __init__(self, text: str) -> None:
                super().__init__()
                self.text = text

            def notify(self, context: Any) -> None:
                sent.append(self.text)

        notifier = Notifier("{{ slow_job.job_id }} {{ ti.xcoms.job_url }}")
        run = sync_run(deferrable=deferrable, slow_after=SOON, on_slow=[notifier, *ended_by_alarm])
        run.extra = {"dag": DAG("dag", schedule=None)}

        result = run.finish()

        assert sent == [f"1 {result['job_url']}"]
        # Mapped tasks may share it.
        assert notifier.text == "{{ slow_job.job_id }} {{ ti.xcoms.job_url }}"

    def test_slow_after_and_its_factor_can_be_templates(
        self, sync_run, deferrable, endless, ended_by_alarm, alarms
    ):
        run = sync_run(
            deferrable=deferrable,
            slow_after="{{ 0.1 + 0.1 }}",
            slow_factor="{{ 2 }}",
            on_slow=ended_by_alarm,
        )
        run.render()

        run.finish()

        assert len(alarms) == 1

    def test_a_template_without_a_value_means_no_alarm(self, sync_run, deferrable, notify, alarms):
        run = sync_run(deferrable=deferrable, slow_after="{{ none }}", on_slow=notify)
        run.render()

        assert run.finish()["status"] == "succeeded"
        assert alarms == []

    def test_an_alarm_at_the_deadline_is_a_timeout(self, sync_run, deferrable, endless, alarms):
        run = sync_run(deferrable=deferrable, timeout=SOON, slow_after=SOON, on_slow=alarms.append)

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            run.finish()

        assert alarms == []

    def test_a_triggerer_that_was_away_until_the_deadline_tells_of_a_timeout(
        self, sync_run, endless, notify, alarms
    ):
        run = sync_run(deferrable=True, slow_after=SOON, on_slow=notify)
        run.start()
        trigger: Any = run.deferrals[0].trigger
        trigger.deadline = time.time() - 1
        trigger.slow_at = trigger.deadline - 1

        event = run_trigger(trigger)

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            run.resume(event)
        assert alarms == []

    def test_a_timeout_after_the_alarm_cancels_the_job(
        self, emulator, sync_run, deferrable, endless, notify, alarms
    ):
        run = sync_run(deferrable=deferrable, timeout=4 * SOON, slow_after=SOON, on_slow=notify)

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            run.finish()

        assert len(alarms) == 1
        assert emulator.jobs[1].status == "cancelled"

    def test_a_job_in_the_way_can_be_slow_too(
        self, emulator, sync_run, deferrable, running_job, ended_by_alarm, alarms
    ):
        run = sync_run(deferrable=deferrable, slow_after=SOON, on_slow=ended_by_alarm)

        result = run.finish()

        assert [slow["job_id"] for slow in alarms] == [running_job]
        assert (result["job_id"], result["adopted"]) == (running_job + 1, False)

    def test_an_outage_at_that_moment_ends_nothing(
        self, emulator, sync_run, deferrable, endless, notify, alarms
    ):
        def end(context: Any) -> None:
            emulator.clear_faults()
            emulator.finish_job(1)

        run = sync_run(deferrable=deferrable, slow_after=4 * SOON, on_slow=[notify, end])
        emulator.call_next(READ, lambda: emulator.fail_next(READ, 503, times=None), after=True)

        assert run.finish()["status"] == "succeeded"
        assert len(alarms) == 1

    def test_the_job_is_waited_for_again_if_it_cannot_be_read_before_the_alarm(
        self, emulator, sync_run, endless, notify, alarms, task_log
    ):
        run = sync_run(deferrable=True, slow_after=SOON, on_slow=notify)
        run.start()
        event = run_trigger(run.deferrals[0].trigger)
        emulator.fail_next(READ, 403)
        run.resume(event)

        assert "cannot be read before its alarm: " in task_log()
        assert len(run.deferrals) == 2
        emulator.finish_job(1)
        assert run.resume(run_trigger(run.deferrals[1].trigger))["status"] == "succeeded"
        assert len(alarms) == 1

    @pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
    def test_a_task_that_is_killed_during_the_alarm_cancels_its_job(
        self, emulator, sync_run, deferrable, endless, process
    ):
        run = sync_run(deferrable=deferrable, slow_after=SOON, on_slow=lambda _: process.hit())

        if deferrable:
            run.start()
            # Another process resumes the task.
            first, run = (
                run,
                sync_run(deferrable=True, slow_after=SOON, on_slow=lambda _: process.hit()),
            )
            run.deferrals = first.deferrals
            event = run_trigger(run.deferrals[0].trigger)
            process.run(run, lambda: run.resume(event))
        else:
            process.run(run)

        assert emulator.jobs[1].status == "cancelled"
        assert len(run.deferrals) == deferrable

    def test_a_refresh_can_be_slow(self, emulator, operator_run, endless, ended_by_alarm, alarms):
        run = operator_run(
            AirbyteRefreshOperator, deferrable=False, slow_after=SOON, on_slow=ended_by_alarm
        )

        assert run.finish()["job_type"] == "refresh"
        assert [slow["job_type"] for slow in alarms] == ["refresh"]


class TestTries:
    def test_a_retry_that_takes_the_job_over_does_not_raise_it_again(
        self, emulator, sync_run, deferrable, endless, notify, alarms, after_alarm
    ):
        store = TaskStateStore()

        class KilledError(BaseException):
            """The end of a process that gets SIGKILL."""

        def die(context: Any) -> None:
            raise KilledError

        first = sync_run(deferrable=deferrable, store=store, slow_after=SOON, on_slow=[notify, die])
        with pytest.raises(KilledError):
            first.finish()
        # Counted from now, so the retry reads a running job several times.
        after_alarm(5)(None)
        retry = sync_run(
            try_number=2, deferrable=deferrable, store=store, slow_after=0.001, on_slow=notify
        )

        result = retry.finish()

        assert (result["job_id"], result["status"]) == (1, "succeeded")
        assert len(alarms) == 1

    def test_nothing_is_asked_for_if_the_job_that_is_taken_over_has_ended(
        self, emulator, sync_run, deferrable, endless
    ):
        store = TaskStateStore()
        sync_run(store=store, deferrable=True).start()
        emulator.finish_job(1)
        emulator.clear_requests()

        result = sync_run(
            try_number=2, store=store, deferrable=deferrable, slow_after="history"
        ).finish()

        assert (result["job_id"], result["status"]) == (1, "succeeded")
        assert request_count(emulator, LIST) == 0

    def test_the_next_job_of_the_task_can_be_slow_too(
        self, emulator, sync_run, deferrable, endless, ended_by_alarm, alarms
    ):
        store = TaskStateStore()
        parameters = {"deferrable": deferrable, "slow_after": SOON, "on_slow": ended_by_alarm}
        sync_run(store=store, **parameters).finish()
        emulator.script_job(statuses=[("running", None)])

        sync_run(store=store, **parameters).finish()

        assert [slow["job_id"] for slow in alarms] == [1, 2]

    def test_a_store_that_fails_costs_no_alarm(
        self, emulator, sync_run, deferrable, endless, ended_by_alarm, alarms, task_log
    ):
        store = TaskStateStore()
        run = sync_run(deferrable=deferrable, store=store, slow_after=SOON, on_slow=ended_by_alarm)
        store.error = RuntimeError("no store")

        assert run.finish()["status"] == "succeeded"
        assert len(alarms) == 1
        assert "so a retry may raise the alarm again" in task_log()

    def test_a_triggerer_that_restarts_goes_on_to_the_same_moment(
        self, emulator, sync_run, endless
    ):
        run = sync_run(deferrable=True, slow_after=4 * SOON)
        run.start()
        trigger, has_read = run.deferrals[0].trigger, threading.Event()
        emulator.call_next(READ, has_read.set)

        async def restart() -> dict[str, Any]:
            stopped = asyncio.ensure_future(first_event(trigger))
            assert await asyncio.to_thread(has_read.wait, MAX_WAIT)
            stopped.cancel()
            return await first_event(trigger)

        event = asyncio.run(restart())

        assert event["outcome"] == "slow"
        assert time.time() >= trigger.slow_at
        assert trigger.slow_at == pytest.approx(trigger.job_began_at + 4 * SOON)


class TestAge:
    @pytest.fixture
    def emulator(self, old_emulator):
        return old_emulator

    def test_a_job_that_is_slow_when_the_wait_begins_raises_it_at_once(
        self, emulator, sync_run, deferrable, running_job, ended_by_alarm, notify, alarms
    ):
        run = sync_run(
            deferrable=deferrable,
            on_running="attach",
            slow_after=timedelta(hours=4),
            on_slow=notify if deferrable else ended_by_alarm,
        )

        run.start()

        (slow,) = alarms
        assert slow["adopted"] is True
        assert slow["elapsed_seconds"] >= 5 * 3600
        assert "it has taken 5 h 0 min, longer than slow_after=4 h 0 min." in slow["message"]
        if deferrable:
            assert run.deferrals[0].trigger.slow_at is None

    def test_a_job_that_is_not_slow_yet_has_the_rest_of_its_time(
        self, sync_run, running_job, notify, alarms
    ):
        run = sync_run(
            deferrable=True,
            on_running="attach",
            timeout=86_400,
            slow_after=6 * 3600,
            on_slow=notify,
        )

        run.start()

        assert alarms == []
        assert run.deferrals[0].trigger.slow_at == pytest.approx(time.time() + 3600, abs=60)

    def test_the_log_warns_of_the_job_once(
        self, emulator, sync_run, deferrable, after_alarm, monkeypatch, task_log
    ):
        """Without the alarm, it does at three times the usual duration."""
        monkeypatch.setattr(progress, "FIRST_LINES", (0.1,))
        run_syncs(emulator, *[60] * 3)
        emulator.script_job(statuses=[("running", None)])
        emulator.start_sync()
        run = sync_run(
            deferrable=deferrable,
            on_running="attach",
            slow_after=60,
            on_slow=after_alarm(10),
        )

        run.finish()

        log = task_log()
        assert "is slow: it has taken" in log
        assert "as a rule" not in log


class TestHistory:
    @pytest.fixture
    def emulator(self, old_emulator):
        return old_emulator

    @pytest.fixture
    def attach(self, sync_run, notify):
        """Attach to a running job, which is hours old."""

        def start(**parameters: Any) -> TaskRun:
            run = sync_run(
                deferrable=True,
                on_running="attach",
                slow_after="history",
                on_slow=notify,
                **parameters,
            )
            run.start()
            return run

        return start

    def start_endless(self, emulator: Emulator) -> int:
        emulator.script_job(statuses=[("running", None)])
        return emulator.start_sync()

    def test_the_median_of_five_good_jobs_times_the_factor_is_the_limit(
        self, emulator, attach, alarms
    ):
        run_syncs(emulator, 600, 900, 1200, 800, 4000)
        run_syncs(emulator, *[10] * 8, end="failed")
        self.start_endless(emulator)

        attach()

        (slow,) = alarms
        assert (
            "longer than 22 min 30 s, slow_factor=1.5 times the median of its last 5 good jobs, "
            "15 min 0 s. Look" in slow["message"]
        )

    def test_the_factor_can_be_chosen(self, emulator, attach, alarms):
        run_syncs(emulator, *[900] * 5)
        self.start_endless(emulator)

        run = attach(slow_factor=100, timeout=10 * 86_400)

        assert alarms == []
        trigger = run.deferrals[0].trigger
        assert trigger.slow_at == pytest.approx(trigger.job_began_at + 90_000)
        assert trigger.usual_duration == 900

    def test_with_fewer_than_five_good_jobs_there_is_no_alarm_and_one_line_says_so(
        self, emulator, attach, alarms, task_log
    ):
        run_syncs(emulator, *[900] * 4)
        run_syncs(emulator, 900, end="failed")
        self.start_endless(emulator)

        run = attach()

        assert alarms == []
        assert run.deferrals[0].trigger.slow_at is None
        assert (
            "no alarm if it is slow, because slow_after='history' needs 5 good jobs of this kind "
            "before it, and there are 4." in task_log()
        )

    @pytest.mark.parametrize(
        ("good", "failed", "requests"),
        [
            pytest.param(6, 0, 1, id="all jobs were read before the start"),
            pytest.param(30, 0, 1, id="twenty good ones were"),
            pytest.param(30, 6, 2, id="fewer good ones were"),
        ],
    )
    def test_there_is_no_request_more_if_the_jobs_before_the_start_suffice(
        self, emulator, sync_run, deferrable, ended_by_alarm, good, failed, requests
    ):
        run_syncs(emulator, *[1] * good)
        run_syncs(emulator, *[1] * failed, end="failed")
        emulator.script_job(statuses=[("running", None)])
        emulator.clear_requests()

        sync_run(
            deferrable=deferrable, slow_after="history", slow_factor=SOON, on_slow=ended_by_alarm
        ).finish()

        assert request_count(emulator, LIST) == requests

    def test_nothing_is_asked_for_once_the_alarm_was_raised(
        self, emulator, sync_run, notify, alarms
    ):
        run_syncs(emulator, *[900] * 5)
        job_id = self.start_endless(emulator)
        store = TaskStateStore()
        store.set("airbyte_sme_slow_job", {"job_id": job_id})
        emulator.clear_requests()

        run = sync_run(
            deferrable=True,
            on_running="attach",
            store=store,
            slow_after="history",
            on_slow=notify,
        )
        run.start()

        assert alarms == []
        assert run.deferrals[0].trigger.slow_at is None

    def test_an_unreadable_history_is_a_warning_and_no_alarm(
        self, emulator, sensor_run, alarms, notify, task_log
    ):
        run_syncs(emulator, *[900] * 5)
        job_id = self.start_endless(emulator)
        emulator.fail_next(LIST, 403, times=None)

        run = sensor_run(job_id, deferrable=True, slow_after="history", on_slow=notify)
        run.start()

        assert alarms == []
        assert "the last jobs of its connection cannot be read" in task_log()

    def test_a_sensor_asks_once(self, emulator, sensor_run, deferrable, ended_by_alarm, alarms):
        run_syncs(emulator, *[900] * 5)
        job_id = self.start_endless(emulator)
        emulator.clear_requests()

        sensor_run(
            job_id, deferrable=deferrable, slow_after="history", on_slow=ended_by_alarm
        ).finish()

        assert [slow["job_id"] for slow in alarms] == [job_id]
        assert request_count(emulator, LIST) == 1


class TestJobSensor:
    def test_a_slow_job_raises_one_alarm_and_the_wait_goes_on(
        self, emulator, sensor_run, deferrable, running_job, after_alarm, notify, alarms
    ):
        run = sensor_run(
            running_job, deferrable=deferrable, slow_after=SOON, on_slow=[notify, after_alarm(4)]
        )

        result = run.finish()

        assert result["status"] == "succeeded"
        (slow,) = alarms
        assert slow["job_id"] == running_job
        assert slow["job_url"] == result["job_url"] != ""

    def test_the_link_is_known_before_the_notifiers_run(
        self, sensor_run, deferrable, running_job, ended_by_alarm
    ):
        urls = []
        run = sensor_run(
            running_job,
            deferrable=deferrable,
            slow_after=SOON,
            on_slow=[lambda context: urls.append(context["ti"].xcoms["job_url"]), *ended_by_alarm],
        )

        result = run.finish()

        assert urls == [result["job_url"]]

    def test_a_job_that_has_ended_raises_none(self, emulator, sensor_run, deferrable, alarms):
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)

        sensor_run(job_id, deferrable=deferrable, slow_after=0.001, on_slow=alarms.append).finish()

        assert alarms == []

    @pytest.mark.skipif(not keeps_notes(), reason="needs a task state store")
    def test_with_reschedule_it_is_raised_by_one_process(
        self, emulator, running_job, notify, alarms
    ):
        store, began = TaskStateStore(), datetime.now(UTC)

        def poke() -> bool:
            task = AirbyteJobSensor(
                task_id="wait",
                airbyte_job_id=running_job,
                mode="reschedule",
                deferrable=False,
                slow_after=0.001,
                on_slow=notify,
            )
            ti = RescheduledTaskInstance(start_date=began)
            return bool(task.poke(TaskRun(task, ti, store=store).context))

        assert [poke() for _ in range(3)] == [False] * 3
        assert len(alarms) == 1

    @pytest.mark.skipif(not keeps_notes(), reason="needs a task state store")
    def test_with_reschedule_a_store_that_fails_raises_none(
        self, sensor_run, running_job, alarms, task_log
    ):
        run = sensor_run(
            running_job,
            deferrable=False,
            mode="reschedule",
            slow_after=0.001,
            on_slow=alarms.append,
        )
        run.store = TaskStateStore()
        run.store.error = RuntimeError("no store")

        run.task.poke(run.context)

        assert alarms == []
        assert "so no alarm is raised now. RuntimeError: no store" in task_log()

    @pytest.mark.skipif(keeps_notes(), reason="has a task state store")
    def test_with_reschedule_an_old_airflow_refuses_it(self, sensor_run):
        with pytest.raises(AirbyteConfigError, match=r"needs Airflow 3\.3"):
            sensor_run(1, deferrable=False, mode="reschedule", slow_after=60)


class TestParameters:
    @pytest.mark.parametrize("value", [0, -1, "soon", True, "nan", [60]])
    def test_a_limit_that_is_no_duration_is_refused(self, sync_run, value):
        with pytest.raises(AirbyteConfigError, match="slow_after must be a number of seconds"):
            sync_run(slow_after=value)

    @pytest.mark.parametrize("value", [0, -1, "twice", True, "inf"])
    def test_a_factor_that_is_none_is_refused(self, sync_run, value):
        with pytest.raises(AirbyteConfigError, match=r"slow_factor must be a number above 0"):
            sync_run(slow_after="history", slow_factor=value)

    @pytest.mark.parametrize("value", ["slack", ["slack"], [print, None], 5])
    def test_what_cannot_be_called_is_refused(self, sync_run, value):
        with pytest.raises(AirbyteConfigError, match="on_slow must be notifiers or functions"):
            sync_run(slow_after=60, on_slow=value)

    def test_a_class_in_place_of_its_notifier_is_refused(self, sync_run):
        class Notifier:
            def __init__(self, context: Any) -> None:
                """It would be constructed, and send nothing."""

        with pytest.raises(AirbyteConfigError, match="Add parentheses"):
            sync_run(slow_after=60, on_slow=[Notifier])

    def test_an_async_function_is_refused(self, sync_run):
        async def notify(context: Any) -> None:
            """Nobody would await it."""

        with pytest.raises(AirbyteConfigError, match="must not be an async function"):
            sync_run(slow_after=60, on_slow=[notify])

    def test_notifiers_that_would_never_be_called_are_refused(self, sync_run):
        with pytest.raises(AirbyteConfigError, match="on_slow is never called without slow_after"):
            sync_run(on_slow=print)

    def test_an_invalid_value_of_a_template_fails_before_the_first_request(
        self, emulator, sync_run
    ):
        run = sync_run(slow_after="{{ 'soon' }}")
        run.render()

        with pytest.raises(Exception, match="slow_after must be a number of seconds"):
            run.start()

        assert emulator.requests == []

    def test_a_sync_sensor_has_no_alarm(self, emulator):
        with pytest.raises(Exception, match="slow_after"):
            AirbyteSyncSensor(task_id="wait", connection_id=emulator.connection_id, slow_after=60)

    def test_notifiers_do_not_stop_a_mapped_task_from_being_stored(self, emulator):
        from airflow.serialization import serialized_objects

        with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
            AirbyteTriggerSyncOperator.partial(
                task_id="sync", slow_after="history", on_slow=[lambda context: None]
            ).expand(connection_id=[emulator.connection_id])
        name = "DagSerialization"
        if not hasattr(serialized_objects, name):  # before Airflow 3.2
            name = "SerializedDAG"
        stores: Any = getattr(serialized_objects, name)

        stored = stores.to_dict(dag)

        task = stores.from_dict(json.loads(json.dumps(stored))).get_task("sync")
        assert task.partial_kwargs["slow_after"] == "history"
