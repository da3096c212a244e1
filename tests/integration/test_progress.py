"""What the logs of operators and sensors say during a wait."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_airbyte_sme.api.waiting import progress
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor
from tests.integration.conftest import MAX_WAIT, request_count
from tests.tasks import TaskRun

READ = "GET /jobs/{jobId}"
LIST = "GET /jobs"
DETAILS = "POST /api/v1/jobs/get_without_logs"
POKES = 20


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """
    An emulator on whose clock nothing happens by itself.

    That clock is far behind: it says nothing about how long a task waits for a job of its own.
    """
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    emulator = Emulator(time="manual", start=began)
    with emulator.serve():
        yield emulator


@pytest.fixture
def said(caplog, capfd) -> Callable[[], str]:
    """Return what was logged, each line once: up to 3.0, Airflow also prints what it logs."""
    caplog.set_level(logging.INFO)

    def read() -> str:
        printed = capfd.readouterr().out
        return caplog.text + printed if AIRFLOW_V_3_1_PLUS else str(caplog.text)

    return read


@pytest.fixture
def at_read(emulator) -> Callable[..., None]:
    """Let something happen right before the n-th request of a route."""

    def plan(route: str, number: int, action: Callable[[], object]) -> None:
        left = [number]

        def count() -> None:
            left[0] -= 1
            if not left[0]:
                action()

        emulator.call_next(route, count, times=None)

    return plan


@pytest.fixture
def history(emulator) -> None:
    """Three syncs that took 15 minutes, and a failed one that took a second."""
    for seconds, end in [(900, "succeeded")] * 3 + [(1, "failed")]:
        emulator.script_job(statuses=[("running", seconds), (end, None)])
        emulator.start_sync()
        emulator.advance(seconds)


@pytest.fixture
def ends(emulator, at_read) -> Callable[[int], None]:
    """Let the running job of the emulator's connection end before it is read the n-th time."""

    def plan(number: int) -> None:
        at_read(READ, number, lambda: emulator.finish_job(max(emulator.jobs)))

    return plan


def lines(log: str, text: str) -> list[str]:
    """Return what was logged that contains *text*, from there on."""
    return [match[0].strip() for match in re.finditer(rf"{text}[^\n]*?\.(?=\s|$)", log)]


class TestOperator:
    def test_it_says_how_long_such_a_job_takes(
        self, emulator, sync_run, deferrable, history, ends, connection_label, said
    ):
        emulator.script_job(statuses=[("running", None)])
        ends(3)

        result = sync_run(deferrable=deferrable).finish()

        assert result["status"] == "succeeded"
        job = rf"Job 5 of connection {re.escape(connection_label)}"
        assert re.search(rf"{job} is running; \d+ s elapsed, usually 15 min 0 s\.", said())

    def test_it_sends_no_request_for_that(self, emulator, sync_run, history, ends):
        emulator.script_job(statuses=[("running", None)])
        ends(3)
        emulator.clear_requests()

        sync_run(deferrable=False).finish()

        assert request_count(emulator, LIST) == 1

    def test_it_says_nothing_about_what_is_unknown(
        self, emulator, sync_run, deferrable, ends, connection_label, said
    ):
        emulator.script_job(statuses=[("running", None)])
        ends(3)

        sync_run(deferrable=deferrable).finish()

        job = rf"Job 1 of connection {re.escape(connection_label)}"
        assert re.search(rf"{job} is running; \d+ s elapsed\.", said())

    def test_the_age_of_a_job_that_it_attaches_to_counts(
        self, emulator, sync_run, deferrable, at_read, said
    ):
        emulator.script_job(statuses=[("running", None)])
        job_id = emulator.start_sync()
        emulator.commit_records(job_id, 500)
        at_read(READ, 3, lambda: emulator.finish_job(job_id))

        run = sync_run(deferrable=deferrable, on_running="attach")
        run.finish()

        if deferrable:
            assert run.deferrals[0].trigger.job_began_at == emulator.now.timestamp()
        else:
            assert "is running: 500 rows, 64 kB so far; 5 h 0 min elapsed." in said()


class TestJobSensor:
    @pytest.mark.parametrize("is_soon", [False, True])
    def test_a_poke_has_no_line_of_its_own(
        self, emulator, sensor_run, running_job, at_read, said, monkeypatch, is_soon
    ):
        if is_soon:
            monkeypatch.setattr(progress, "FIRST_LINES", (0.2,))
        at_read(READ, POKES, lambda: emulator.finish_job(running_job))

        sensor_run(running_job, deferrable=False).finish()

        found = lines(said(), f"Job {running_job} of connection ")
        assert len(found) == (3 if is_soon else 2)
        assert [" is running" in line for line in found] == [True] * (len(found) - 1) + [False]
        assert request_count(emulator, READ) == POKES
        assert request_count(emulator, DETAILS) == is_soon

    def test_each_process_with_reschedule_says_how_far_the_job_is(
        self, emulator, sensor_run, running_job, said
    ):
        emulator.commit_records(running_job, 500)
        emulator.clear_requests()
        run = sensor_run(running_job, deferrable=False, mode="reschedule")

        run.task.poke(run.context)

        (line,) = lines(said(), f"Job {running_job} of connection ")
        assert "is running: 500 rows, 64 kB so far;" in line
        assert request_count(emulator, LIST) == 0

    def test_it_asks_once_how_long_such_a_job_takes(
        self, emulator, sensor_run, history, deferrable, at_read, said
    ):
        emulator.script_job(statuses=[("running", None)])
        job_id = emulator.start_sync()
        at_read(READ, 4, lambda: emulator.finish_job(job_id))
        emulator.clear_requests()

        run = sensor_run(job_id, deferrable=deferrable)
        run.finish()

        assert request_count(emulator, LIST) == 1
        if deferrable:
            assert run.deferrals[0].trigger.usual_duration == 900.0
        else:
            assert "elapsed, usually 15 min 0 s." in said()

    def test_a_job_that_has_ended_costs_no_request_more(
        self, emulator, sensor_run, history, deferrable
    ):
        emulator.clear_requests()

        sensor_run(1, deferrable=deferrable).finish()

        assert request_count(emulator, LIST) == 0


class TestSyncSensor:
    @pytest.mark.parametrize("is_soon", [False, True])
    def test_a_poke_has_no_line_of_its_own(self, emulator, at_read, said, monkeypatch, is_soon):
        if is_soon:
            monkeypatch.setattr(progress, "FIRST_LINES", (0.2,))
        emulator.script_job(statuses=[("running", None)])
        job_id = emulator.start_sync()
        at_read(LIST, POKES, lambda: emulator.finish_job(job_id))
        sensor = AirbyteSyncSensor(
            task_id="wait",
            connection_id=emulator.connection_id,
            completed_after=emulator.now - timedelta(minutes=1),
            deferrable=False,
            poll_interval=0.05,
            timeout=MAX_WAIT,
        )

        TaskRun(sensor).finish()

        log = said()
        assert log.count("Waiting for a sync of connection") == 1
        assert log.count("has completed successfully since") == is_soon
