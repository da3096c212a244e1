"""
A task that is killed, or whose ``execution_timeout`` is over, at any point.

Real signals interrupt the main thread, as in Airflow's task process.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_airbyte_sme.api import AirbyteStoppedError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from tests.integration.conftest import request_count
from tests.integration.test_job_operator import RefreshOperator
from tests.tasks import TaskRun, run_trigger

TOKEN = "POST /applications/token"
READ_CONNECTION = "GET /connections/{connectionId}"
LIST = "GET /jobs"
POST = "POST /jobs"
READ = "GET /jobs/{jobId}"
DELETE = "DELETE /jobs/{jobId}"


class TaskTerminated(BaseException):
    """What Airflow 2.11 raises after a SIGTERM."""


@dataclass
class TaskProcess:
    """Airflow's task process, which a signal hits."""

    signal: signal.Signals
    error: type[BaseException]

    def hit(self) -> None:
        """Send the signal. The main thread handles it before its next step."""
        main_thread = threading.main_thread().ident
        assert main_thread is not None
        signal.pthread_kill(main_thread, self.signal)

    def run(self, task_run: TaskRun, step: Callable[[], Any] | None = None) -> None:
        """Run *step*, by default the whole task, which must end with the error of this process."""
        with self._handler(task_run), pytest.raises(self.error):
            self._run(task_run, step or task_run.finish)

    @staticmethod
    def _run(task_run: TaskRun, step: Callable[[], Any]) -> None:
        try:
            step()
        except AirflowTaskTimeout:
            task_run.task.on_kill()
            raise

    @contextmanager
    def _handler(self, task_run: TaskRun) -> Iterator[None]:
        def handle(*_: object) -> None:
            if self.error is not AirflowTaskTimeout:
                task_run.task.on_kill()
            if self.error is not AirbyteStoppedError:
                raise self.error

        previous = signal.signal(self.signal, handle)
        try:
            yield
        finally:
            signal.signal(self.signal, previous)


PROCESSES = {
    # The interrupted code goes on.
    "SIGTERM on Airflow 3": TaskProcess(signal.SIGTERM, AirbyteStoppedError),
    # It is unwound after on_kill.
    "SIGTERM on Airflow 2": TaskProcess(signal.SIGTERM, TaskTerminated),
    # It is unwound before on_kill.
    "execution_timeout": TaskProcess(signal.SIGALRM, AirflowTaskTimeout),
}


@pytest.fixture(params=list(PROCESSES.values()), ids=list(PROCESSES))
def process(request: pytest.FixtureRequest) -> TaskProcess:
    process: TaskProcess = request.param
    return process


@pytest.fixture
def killed() -> TaskProcess:
    """A process of Airflow 3 that is killed: its code goes on."""
    return PROCESSES["SIGTERM on Airflow 3"]


@pytest.fixture(autouse=True)
def endless(emulator: Emulator) -> None:
    """Every job runs until something ends it."""
    for _ in range(3):
        emulator.script_job(statuses=[("running", None)])


def routes(emulator: Emulator) -> list[str]:
    return [str(request.route) for request in emulator.requests]


def statuses(emulator: Emulator) -> list[str]:
    return [job.status for job in emulator.jobs.values()]


def on_nth(emulator: Emulator, route: str, number: int, action: Callable[[], object]) -> None:
    """Call *action* while the emulator handles request *number* for *route*, from 1."""

    def count() -> None:
        if request_count(emulator, route) == number:
            action()

    emulator.call_next(route, count, times=number, after=True)


@contextmanager
def on_log(message: str, action: Callable[[], object]) -> Iterator[None]:
    """Call *action* when the client has logged *message*."""

    class Watcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if message in record.getMessage():
                action()

    logger, watcher = logging.getLogger("airflow_provider_airbyte_sme"), Watcher()
    level = logger.level
    logger.addHandler(watcher)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(watcher)
        logger.setLevel(level)


class TestBeforeAPost:
    """Nothing is in doubt, so nothing is sent any more."""

    @pytest.mark.parametrize("route", [TOKEN, READ_CONNECTION, LIST])
    def test_no_job_is_started(self, emulator, sync_run, process, deferrable, route):
        emulator.call_next(route, process.hit, after=True)

        run = sync_run(deferrable=deferrable)
        process.run(run)

        assert emulator.jobs == {}
        assert run.deferrals == []
        # The interrupted code may read on, but only up to the POST.
        assert set(routes(emulator)) <= {TOKEN, READ_CONNECTION, LIST}

    def test_a_job_that_starts_during_a_rate_limit_is_left_running(
        self, emulator, sync_run, process
    ):
        emulator.fail_next(POST, 429, times=None)
        started: list[int] = []

        def start_another() -> None:
            if not started:
                started.append(emulator.start_sync())
                process.hit()

        with on_log("Retrying in", start_another):
            process.run(sync_run())

        assert statuses(emulator) == ["running"]
        assert request_count(emulator, POST) == 1
        assert request_count(emulator, DELETE) == 0

    def test_a_kill_before_the_task_begins_sends_nothing(self, emulator, sync_run, killed):
        run = sync_run()
        run.task.on_kill()

        killed.run(run)

        assert emulator.jobs == {}
        assert request_count(emulator, POST) == 0


class TestDuringAPost:
    def test_the_job_of_a_post_that_is_held_open_is_cancelled(self, emulator, sync_run, process):
        emulator.hang_next(POST, seconds=1.0)
        emulator.call_next(POST, process.hit, after=True)

        process.run(sync_run())

        assert statuses(emulator) == ["cancelled"]
        assert request_count(emulator, POST) == 1

    def test_a_job_that_is_created_after_the_kill_is_cancelled(self, emulator, sync_run, process):
        emulator.hang_next(POST, seconds=0.5, after=False)
        hits: list[str] = []

        def hit_once() -> None:
            if request_count(emulator, POST) and not hits:
                hits.append("hit")
                process.hit()

        stop_watching = emulator.watch(hit_once)
        process.run(sync_run())
        stop_watching()

        assert statuses(emulator) == ["cancelled"]
        assert request_count(emulator, POST) == 1

    def test_a_kill_during_the_search_for_a_lost_job_cancels_it(self, emulator, sync_run, process):
        emulator.drop_next(POST, after=False)

        def appear_late() -> None:
            emulator.start_sync()
            process.hit()

        on_nth(emulator, LIST, 2, appear_late)

        process.run(sync_run())

        assert statuses(emulator) == ["cancelled"]
        assert request_count(emulator, POST) == 1

    def test_of_two_candidates_none_is_cancelled(self, emulator, sync_run, process, task_log):
        emulator.hang_next(POST, seconds=0.5)

        def replace_our_job_by_another() -> None:
            emulator.finish_job(max(emulator.jobs))
            emulator.start_sync()
            process.hit()

        emulator.call_next(POST, replace_our_job_by_another, after=True)

        process.run(sync_run())

        assert statuses(emulator) == ["succeeded", "running"]
        assert request_count(emulator, DELETE) == 0
        assert "may be the job of another task, so it is not cancelled" in task_log()

    def test_what_is_needed_is_sent_first(self, emulator, sync_run, killed):
        emulator.hang_next(POST, seconds=0.5)
        emulator.call_next(POST, killed.hit, after=True)

        killed.run(sync_run())

        sent = routes(emulator)
        after_the_kill = sent[sent.index(POST) + 1 :]
        assert after_the_kill[:3] == [LIST, READ, DELETE]
        assert sent.count(TOKEN) == 1
        assert sent.count(DELETE) == 1


class TestDuringTheWait:
    def test_our_job_is_cancelled(self, emulator, sync_run, process):
        emulator.call_next(READ, process.hit, after=True)

        process.run(sync_run())

        assert statuses(emulator) == ["cancelled"]
        assert request_count(emulator, POST) == 1

    def test_the_job_is_read_and_cancelled_at_once(self, emulator, sync_run, killed):
        emulator.call_next(READ, killed.hit, after=True)

        killed.run(sync_run())

        sent = routes(emulator)
        assert sent[sent.index(READ) + 1 :][:2] == [READ, DELETE]
        assert sent.count(TOKEN) == 1

    @pytest.mark.parametrize("on_running", ["wait", "attach"])
    def test_a_foreign_job_is_left_running(
        self, emulator, sync_run, process, running_job, on_running
    ):
        def hit_and_finish() -> None:
            emulator.finish_job(running_job)
            process.hit()

        on_nth(emulator, READ, 2, hit_and_finish)

        process.run(sync_run(on_running=on_running))

        assert statuses(emulator) == ["succeeded"]
        assert request_count(emulator, DELETE) == 0

    def test_a_job_that_succeeds_meanwhile_does_not_make_the_task_succeed(
        self, emulator, sync_run, process
    ):
        emulator.call_next(READ, process.hit, after=True)
        on_nth(emulator, READ, 2, lambda: emulator.finish_job(1))

        process.run(sync_run())

        assert statuses(emulator) == ["succeeded"]

    def test_a_kill_does_not_make_the_task_skipped(self, emulator, sync_run, killed, running_job):
        on_nth(emulator, LIST, 2, killed.hit)

        killed.run(sync_run(on_running="skip"))

        assert statuses(emulator) == ["running"]


class TestBetweenAForeignJobAndOurs:
    """``on_running`` is ``wait``: the task has waited for somebody else's job."""

    def test_no_job_is_started(self, emulator, sync_run, process, running_job):
        def finish_and_hit() -> None:
            emulator.finish_job(running_job)
            process.hit()

        emulator.call_next(READ, finish_and_hit)

        process.run(sync_run())

        assert list(emulator.jobs) == [running_job]
        assert request_count(emulator, POST) == 1

    def test_no_job_is_started_on_resume(self, emulator, sync_run, process, running_job):
        run = sync_run(deferrable=True)
        run.start()
        emulator.finish_job(running_job)
        event = run_trigger(run.deferrals[0].trigger)
        emulator.call_next(READ_CONNECTION, process.hit, after=True)

        process.run(run, lambda: run.resume(event))

        assert list(emulator.jobs) == [running_job]
        assert request_count(emulator, POST) == 1

    def test_a_task_that_was_killed_does_not_defer(self, emulator, sync_run, process, running_job):
        on_nth(emulator, LIST, 2, process.hit)
        run = sync_run(deferrable=True)

        process.run(run)

        assert run.deferrals == []
        assert statuses(emulator) == ["running"]


class TestWhileDeferring:
    def test_our_job_is_cancelled_and_the_task_does_not_defer(self, emulator, sync_run, process):
        run = sync_run(deferrable=True)
        run.ti.on_push = lambda key: process.hit() if key == "job_url" else None

        process.run(run)

        assert statuses(emulator) == ["cancelled"]
        assert run.deferrals == []

    def test_our_job_is_cancelled_when_the_task_has_just_deferred(self, emulator, sync_run):
        run = sync_run(deferrable=True)
        run.start()

        run.task.on_kill()

        assert statuses(emulator) == ["cancelled"]

    def test_our_job_is_cancelled_when_the_task_resumes_at_its_timeout(
        self, emulator, sync_run, process
    ):
        """The process that resumes the task has not started the job."""
        first = sync_run(deferrable=True, timeout=0.2)
        first.start()
        event = run_trigger(first.deferrals[0].trigger)
        second = sync_run(deferrable=True, timeout=0.2)
        second.deferrals = first.deferrals
        emulator.call_next(READ, process.hit, after=True)

        process.run(second, lambda: second.resume(event))

        assert statuses(emulator) == ["cancelled"]


class TestCancelOnKillIsOff:
    def test_the_job_of_a_post_that_is_held_open_is_left_running(
        self, emulator, sync_run, process, task_log
    ):
        emulator.hang_next(POST, seconds=0.5)
        emulator.call_next(POST, process.hit, after=True)

        process.run(sync_run(cancel_on_kill=False))

        assert statuses(emulator) == ["running"]
        assert routes(emulator)[-1] == POST
        assert "is not cancelled, since cancel_on_kill is off" in task_log()

    def test_no_post_follows_a_rate_limit(self, emulator, sync_run, process):
        emulator.fail_next(POST, 429, times=None)

        with on_log("Retrying in", process.hit):
            process.run(sync_run(cancel_on_kill=False))

        assert request_count(emulator, POST) == 1
        assert emulator.jobs == {}

    def test_our_job_is_left_alone_during_the_wait(self, emulator, sync_run, process):
        emulator.call_next(READ, process.hit, after=True)
        on_nth(emulator, READ, 2, lambda: emulator.finish_job(1))

        process.run(sync_run(cancel_on_kill=False))

        assert request_count(emulator, DELETE) == 0


class TestKilledTwice:
    def test_the_job_is_cancelled_once(self, emulator, sync_run, killed):
        emulator.call_next(READ, killed.hit, after=True)
        emulator.hang_next(DELETE, seconds=0.3)
        emulator.call_next(DELETE, killed.hit)

        killed.run(sync_run())

        assert statuses(emulator) == ["cancelled"]
        assert request_count(emulator, DELETE) == 1

    def test_the_search_goes_on(self, emulator, sync_run, killed):
        emulator.hang_next(POST, seconds=0.5)
        emulator.call_next(POST, killed.hit, after=True)
        on_nth(emulator, LIST, 2, killed.hit)

        killed.run(sync_run())

        assert statuses(emulator) == ["cancelled"]
        assert request_count(emulator, DELETE) == 1


class TestSubclassThatStartsItsJobInItsOwnWay:
    def test_its_job_is_cancelled(self, emulator, operator_run, process):
        on_nth(emulator, READ, 2, process.hit)

        process.run(operator_run(RefreshOperator))

        assert statuses(emulator) == ["cancelled"]


class TestLog:
    def test_it_says_first_what_to_do_by_hand(self, emulator, sync_run, killed, task_log):
        logged: list[str] = []
        emulator.call_next(READ, killed.hit, after=True)
        on_nth(emulator, READ, 2, lambda: logged.append(task_log()))

        killed.run(sync_run())

        assert "Killed: cancelling job 1 of connection 'Sample data to Warehouse'" in logged[0]
        assert "cancel it by hand. http" in logged[0]
        assert "It was cancelled." not in logged[0]
        assert "It was cancelled." in task_log()

    def test_it_has_no_secret(self, emulator, sync_run, killed, task_log):
        emulator.hang_next(POST, seconds=0.3)
        emulator.call_next(POST, killed.hit, after=True)
        emulator.fail_next(DELETE, 400, body={"detail": emulator.client_secret})
        run = sync_run()

        killed.run(run)

        log = task_log()
        token = run.task.hook.client.session.token
        assert "cancel it by hand" in log
        assert emulator.client_secret not in log
        assert token is not None
        assert token.value not in log


class BrokenHook(AirbyteHook):
    """Airflow's channel to its API server fails while a signal interrupts it."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Any:
        raise RuntimeError("channel is busy, password=hunter2-hunter2")


class TestOnKillNeverFails:
    """Airflow would not finish its own work after an error."""

    @pytest.mark.parametrize(
        ("hook", "reason"),
        [(AirbyteHook("nowhere"), "'nowhere'"), (BrokenHook(), "RuntimeError: channel is busy")],
        ids=["unknown connection", "comms channel"],
    )
    def test_settings_that_cannot_be_read(self, emulator, sync_run, killed, task_log, hook, reason):
        run = sync_run(deferrable=True)
        run.start()
        run.task.hook = hook

        run.task.on_kill()

        log = task_log()
        assert "Could not cancel job 1 of connection" in log
        assert reason in log
        assert "hunter2" not in log

    @pytest.mark.parametrize(
        ("route", "status", "body"), [(DELETE, 403, None), (READ, 403, None), (READ, 200, b"{")]
    )
    def test_a_job_that_cannot_be_cancelled(
        self, emulator, sync_run, task_log, route, status, body
    ):
        run = sync_run(deferrable=True)
        run.start()
        emulator.fail_next(route, status, times=None, body=body)

        run.task.on_kill()

        assert "Could not cancel job 1 of connection" in task_log()
        assert statuses(emulator) == ["running"]

    def test_a_kill_without_a_job_sends_nothing(self, emulator, sync_run):
        sync_run().task.on_kill()

        assert emulator.requests == []
