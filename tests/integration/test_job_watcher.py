"""The job watcher: many triggers of one event loop wait for jobs and syncs of one Airbyte."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import time
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any, TypeVar

import pytest

from airflow_provider_airbyte_sme.api import Job, JobStatus, Ownership
from airflow_provider_airbyte_sme.api.resources import jobs as job_requests
from airflow_provider_airbyte_sme.api.retry import RetryPolicy
from airflow_provider_airbyte_sme.api.waiting import checks, progress
from airflow_provider_airbyte_sme.api.waiting.watchlist import FEW, MAX_IN_FLIGHT, MIN_STALENESS
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.outcome import JobEvent
from airflow_provider_airbyte_sme.triggers import waits, watcher
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger, AirbyteSyncTrigger
from airflow_provider_airbyte_sme.triggers.turns import take_turn
from tests.integration.conftest import MAX_WAIT, request_count
from tests.integration.secrets_backends import VAULT_CONN_ID, Vault, vault_with
from tests.tasks import rebuilt

T = TypeVar("T")
Event = dict[str, Any]
Waiting = asyncio.Task[Event]

TOKEN = "POST /applications/token"
READ = "GET /jobs/{jobId}"
LIST = "GET /jobs"
DETAILS = "POST /api/v1/jobs/get_without_logs"
# More than are read one by one.
MANY = 2 * FEW
# Seconds between two rounds.
ROUND = 0.05

# The task to which a wait belongs. Airflow too finds the log of a task in this way.
TASK: ContextVar[str] = ContextVar("TASK", default="")


class TaskLogs(logging.Handler):
    """What the triggers have logged, and for which task."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((TASK.get(), record.levelno, record.getMessage()))

    def of(self, task: str, text: str = "") -> list[str]:
        """Return the messages in the log of *task* that contain *text*."""
        return [message for name, _, message in self.lines if name == task and text in message]

    def warnings_of(self, task: str) -> list[str]:
        return [
            message
            for name, level, message in self.lines
            if name == task and level >= logging.WARNING
        ]

    def told(self, text: str) -> list[str]:
        """Return the tasks whose logs have a message with *text*, one for each message."""
        return [name for name, _, message in self.lines if name and text in message]


@pytest.fixture
def logs() -> Iterator[TaskLogs]:
    logs = TaskLogs()
    logger = logging.getLogger("airflow_provider_airbyte_sme.triggers")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(logs)
    yield logs
    logger.removeHandler(logs)
    logger.setLevel(level)


@pytest.fixture
def running_syncs(emulator) -> Callable[[int], list[int]]:
    """Start syncs of different connections that run until the test ends them."""

    def start(number: int) -> list[int]:
        return [_start_sync(emulator, emulator.add_connection()) for _ in range(number)]

    return start


def _start_sync(emulator: Emulator, connection_id: str) -> int:
    emulator.script_job(connection_id, statuses=[("running", None)])
    return emulator.start_sync(connection_id)


@pytest.fixture
def trigger_for(emulator) -> Callable[..., AirbyteJobTrigger]:
    """Create the trigger of a job. The task has last seen it as pending."""

    def make(job_id: int, **kwargs: Any) -> AirbyteJobTrigger:
        defaults = {
            "airbyte_conn_id": "airbyte_sme_default",
            "connection_id": emulator.connection_id,
            "poll_interval": ROUND,
            "deadline": time.time() + 3600,
            "job_status": JobStatus.PENDING,
        }
        return AirbyteJobTrigger(job_id=job_id, **{**defaults, **kwargs})

    return make


@pytest.fixture
def sync_trigger_for(emulator) -> Callable[..., AirbyteSyncTrigger]:
    """Create the trigger of a sync sensor, by default for a sync that completes from now on."""
    now = emulator.now.replace(microsecond=0)

    def make(connection_id: str, since: datetime = now, **kwargs: Any) -> AirbyteSyncTrigger:
        defaults = {
            "airbyte_conn_id": "airbyte_sme_default",
            "poll_interval": ROUND,
            "deadline": time.time() + 3600,
        }
        return AirbyteSyncTrigger(
            connection_id=connection_id,
            completed_after=since.isoformat(),
            **{**defaults, **kwargs},
        )

    return make


@pytest.fixture
def only_one_attempt(monkeypatch) -> None:
    """Nothing is repeated within a request, so that an outage begins with its first failure."""
    policy = RetryPolicy(max_attempts=1, retries_refusals=False)
    monkeypatch.setattr(job_requests, "READ_RETRY", policy)


@pytest.fixture
def vault(emulator, monkeypatch) -> Iterator[Vault]:
    """A secrets backend that has the Airflow connection."""
    with vault_with(lambda number: emulator.connection_uri, monkeypatch) as vault:
        yield vault


def run(scenario: Callable[[], Awaitable[T]], *, debug: bool = False) -> T:
    """Run *scenario* in an event loop, and check that it leaves no task and no complaint behind."""
    complaints: list[str] = []

    async def main() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
        async with asyncio.timeout(MAX_WAIT):
            result = await scenario()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    result = asyncio.run(main(), debug=debug)
    assert complaints == []
    return result


def run_and_collect(scenario: Callable[[], Awaitable[T]], *, debug: bool = False) -> T:
    """Run *scenario*, and check that nothing is left for the garbage collector to complain of."""

    async def main() -> T:
        result = await scenario()
        gc.collect()
        return result

    # The collector is to look only at what is created from now on: it is much faster.
    gc.freeze()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            warnings.simplefilter("always", RuntimeWarning)
            result = run(main, debug=debug)
            gc.collect()
    finally:
        gc.unfreeze()
    assert [str(warning.message) for warning in caught] == []
    return result


def start(trigger: Any, task: str = "task") -> Waiting:
    """Start a trigger as a triggerer does: in a task with a context of its own."""
    context = copy_context()
    context.run(TASK.set, task)
    return asyncio.get_running_loop().create_task(only_event(trigger), context=context)


async def only_event(trigger: Any) -> Event:
    """Run a trigger to its end, as a triggerer does."""
    (event,) = await _all_events(rebuilt(trigger))
    return event


async def _all_events(trigger: Any) -> list[Event]:
    return [event.payload async for event in trigger.run()]


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def cancelled(*waiting: Waiting) -> None:
    """Cancel waits as a triggerer does, and check that they end by it."""
    for wait in waiting:
        wait.cancel()
    await asyncio.wait(waiting)
    assert all(wait.cancelled() for wait in waiting)


def lists(emulator: Emulator) -> list[dict[str, list[str]]]:
    """Return the queries of all requests for what changed."""
    return [
        {**request.query}
        for request in emulator.requests
        if request.route == LIST and "connectionId" not in request.query
    ]


def sweeps(emulator: Emulator) -> list[dict[str, list[str]]]:
    """Return the queries of those that looked for jobs whose changes no round shows."""
    return [
        query
        for query in lists(emulator)
        if "updatedAtStart" not in query or "updatedAtEnd" in query
    ]


def single_reads(emulator: Emulator) -> int:
    """Return how often one job, or the syncs of one connection, were read by themselves."""
    return request_count(emulator, READ) + sum(
        request.route == LIST and "connectionId" in request.query for request in emulator.requests
    )


async def idle_rounds(emulator: Emulator, *, waits: int) -> None:
    """Wait until ten pages in a row are those of rounds, and only what has its turn is read."""
    while True:
        emulator.clear_requests()
        began = time.monotonic()
        await until(lambda: len(lists(emulator)) >= 10)
        in_turn = (time.monotonic() - began) * waits / MIN_STALENESS
        if not sweeps(emulator) and single_reads(emulator) <= 1 + in_turn:
            return


async def whole_round(emulator: Emulator) -> None:
    """Wait until a round that begins from now on has ended."""
    begun = len(lists(emulator))
    # One list is read at a time.
    await until(lambda: len(lists(emulator)) >= begun + 3)


def ended_job(event: Event) -> Job:
    return JobEvent.from_payload(event).ended_job().job


class TestClosing:
    """With the last wait, everything that served it ends."""

    @pytest.mark.parametrize("debug", [False, True])
    @pytest.mark.parametrize("number", [1, MANY])
    def test_nothing_is_left_when_the_last_wait_has_ended(
        self, emulator, running_syncs, trigger_for, number, debug
    ):
        job_ids = running_syncs(number)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: request_count(emulator, LIST if number > FEW else READ))
            for job_id in job_ids:
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        events = run_and_collect(scenario, debug=debug)

        assert [event["outcome"] for event in events] == ["finished"] * number

    @pytest.mark.parametrize("number", [1, MANY])
    def test_nothing_is_left_when_all_waits_are_cancelled(
        self, emulator, running_syncs, trigger_for, number
    ):
        job_ids = running_syncs(number)

        async def scenario() -> None:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: request_count(emulator, LIST if number > FEW else READ))
            await cancelled(*waiting)

        run_and_collect(scenario)

    @pytest.mark.parametrize("route", [TOKEN, READ, LIST])
    def test_nothing_is_left_when_the_last_wait_is_cancelled_during_a_request(
        self, emulator, running_syncs, trigger_for, route
    ):
        job_ids = running_syncs(MANY if route == LIST else 1)
        emulator.hang_next(route, 3600, times=None)

        async def scenario() -> None:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: request_count(emulator, route))
            await cancelled(*waiting)

        run_and_collect(scenario)

    def test_nothing_is_left_when_waits_are_cancelled_at_every_step_of_their_start(
        self, running_syncs, trigger_for
    ):
        (job_id,) = running_syncs(1)

        async def scenario() -> None:
            for steps in range(40):
                wait = start(trigger_for(job_id))
                for _ in range(steps):
                    await asyncio.sleep(0)
                await cancelled(wait)

        run_and_collect(scenario)

    def test_a_wait_that_begins_when_the_last_one_ends_is_served(
        self, emulator, running_syncs, trigger_for
    ):
        """Whatever it meets: the old watcher, one that closes, or none."""
        job_ids = running_syncs(30)

        async def scenario() -> list[Event]:
            events = []
            wait = start(trigger_for(job_ids[0]))
            for steps, job_id in enumerate(job_ids[1:]):
                await until(lambda: request_count(emulator, READ))
                wait.cancel()
                for _ in range(steps):
                    await asyncio.sleep(0)
                wait = start(trigger_for(job_id))
                emulator.finish_job(job_id)
                events.append(await wait)
                wait = start(trigger_for(job_ids[0]))
            await cancelled(wait)
            return events

        assert {event["outcome"] for event in run_and_collect(scenario)} == {"finished"}

    def test_every_wait_gets_the_error_if_there_can_be_no_client(
        self, emulator, trigger_for, set_connection, tmp_path
    ):
        """Also one that joins before, while and after the watcher fails."""
        missing = tmp_path / "ca.pem"
        set_connection(host="https://localhost", extra={"ca_bundle": str(missing)})

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in range(MANY)]
            while not any(wait.done() for wait in waiting) or len(waiting) < 10 * MANY:
                waiting.append(start(trigger_for(len(waiting))))
                has_failed = any(wait.done() for wait in waiting)
                await asyncio.sleep(0 if has_failed else 0.001)
            return await asyncio.gather(*waiting)

        events = run_and_collect(scenario)

        assert {(event["outcome"], event["permanent"]) for event in events} == {("error", True)}
        assert all(str(missing) in event["message"] for event in events)


class TestDelivery:
    def test_a_response_that_arrives_while_many_waits_are_told_of_another_is_delivered_at_once(
        self, emulator, running_syncs, trigger_for, logs
    ):
        """Between the slices in which hundreds of waits are told, other tasks run."""
        popular, other = job_ids = running_syncs(2)
        _finish(emulator, job_ids)

        def hold_until_both_are_ready(record: logging.LogRecord) -> bool:
            if f"Job {popular} " in record.getMessage():
                logs.removeFilter(hold_until_both_are_ready)
                while emulator.in_flight.now:
                    time.sleep(0.01)
                time.sleep(0.05)  # it is ready, and then sent
            return True

        logs.addFilter(hold_until_both_are_ready)
        for seconds in (0.3, 0.6):
            emulator.hang_next(READ, seconds)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(popular, poll_interval=3600)) for _ in range(500)]
            await until(lambda: request_count(emulator, READ))
            waiting.append(start(trigger_for(other, poll_interval=3600)))
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert [ended_job(event).job_id for event in events] == [popular] * 500 + [other]

    def test_responses_that_never_end_are_given_up(
        self, emulator, set_connection, running_syncs, trigger_for, monkeypatch
    ):
        """Two of them would otherwise occupy all that may be in flight."""
        monkeypatch.setattr(watcher, "_PATIENCE", 0.5)
        credentials = {"login": emulator.client_id, "password": emulator.client_secret}
        set_connection(host=emulator.url, **credentials, extra={"request_timeout": 1})
        job_ids = running_syncs(2)
        _finish(emulator, job_ids)
        emulator.drip_next(READ, 0.2, times=2)

        async def scenario() -> list[Event]:
            return await asyncio.gather(*[start(trigger_for(job_id)) for job_id in job_ids])

        assert [ended_job(event).job_id for event in run(scenario)] == job_ids

    @pytest.mark.parametrize("number", [1, FEW, MANY])
    def test_a_defect_ends_every_wait_with_an_error(
        self, emulator, running_syncs, trigger_for, monkeypatch, number
    ):
        """A wait that nobody serves any more must not look like one that goes on."""
        job_ids = running_syncs(number)

        def fail(payload: object) -> Job:
            raise ZeroDivisionError

        monkeypatch.setattr(Job, "from_json", fail)

        async def scenario() -> list[Event]:
            return await asyncio.gather(*[start(trigger_for(job_id)) for job_id in job_ids])

        for event in run_and_collect(scenario):
            assert (event["outcome"], event["permanent"]) == ("error", False)
            assert "ZeroDivisionError" in event["message"]


class TestProgress:
    """What the logs of tasks say during a wait, and when the config API is asked for more."""

    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch) -> None:
        """The first line comes soon, and no other."""
        monkeypatch.setattr(progress, "FIRST_LINES", (0.3,))

    @pytest.mark.parametrize("number", [1, FEW])
    def test_the_lines_of_a_few_waits_have_what_the_config_api_knows(
        self, emulator, running_syncs, trigger_for, logs, number
    ):
        job_ids = running_syncs(number)
        for job_id in job_ids:
            emulator.commit_records(job_id, 1000 * job_id)
        emulator.clear_requests()

        async def scenario() -> None:
            waiting = [
                start(trigger_for(each, job_status="running"), f"{each}") for each in job_ids
            ]
            await until(lambda: all(logs.of(f"{each}") for each in job_ids))
            await cancelled(*waiting)

        run_and_collect(scenario)

        for job_id in job_ids:
            (line,) = logs.of(f"{job_id}")
            assert re.fullmatch(
                rf"Job {job_id} of connection \S+ is running, attempt 1: {job_id},000 rows, "
                rf"{128 * job_id} kB so far; \d+ s elapsed.",
                line,
            )
        assert request_count(emulator, DETAILS) == number
        assert logs.of("", "Job ") == []

    def test_many_waits_have_lines_without_a_request(
        self, emulator, running_syncs, trigger_for, logs
    ):
        job_ids = running_syncs(MANY)

        async def scenario() -> None:
            waiting = [
                start(trigger_for(each, job_status="running"), f"{each}") for each in job_ids
            ]
            await until(lambda: all(logs.of(f"{each}") for each in job_ids))
            await cancelled(*waiting)

        run_and_collect(scenario)

        for job_id in job_ids:
            (line,) = logs.of(f"{job_id}")
            assert line.startswith(f"Job {job_id} ")
            assert " is running" in line
        assert request_count(emulator, DETAILS) == 0

    def test_another_attempt_is_told_with_its_number(self, emulator, trigger_for, logs):
        statuses = [("running", 0.8), ("incomplete", 0.5), ("running", None)]
        emulator.script_job(statuses=statuses)
        job_id = emulator.start_sync()

        async def scenario() -> None:
            wait = start(trigger_for(job_id), "task")
            await until(lambda: logs.of("task", "attempt 2"))
            await cancelled(wait)

        run(scenario)

        assert re.search("is running( again)?, attempt 2", logs.of("task", "attempt 2")[0])

    def test_a_closed_config_api_is_said_once_and_not_asked_again(
        self, emulator, running_syncs, trigger_for, logs
    ):
        job_ids = running_syncs(3)
        emulator.fail_next(DETAILS, 403, times=None)

        async def scenario() -> list[Event]:
            waiting = [
                start(trigger_for(each, job_status="running"), f"{each}") for each in job_ids
            ]
            await until(lambda: all(logs.of(f"{each}") for each in job_ids))
            _finish(emulator, job_ids)
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert [event["outcome"] for event in events] == ["finished"] * 3
        assert request_count(emulator, DETAILS) == 1

    def test_what_happens_while_the_config_api_hangs_is_told_in_its_order(
        self, emulator, running_syncs, trigger_for, logs
    ):
        (job_id,) = running_syncs(1)
        emulator.hang_next(DETAILS, 3600, times=None)

        async def scenario() -> Event:
            wait = start(trigger_for(job_id, job_status="running"), "task")
            await until(lambda: request_count(emulator, DETAILS))
            _finish(emulator, [job_id])
            return await wait

        event = run_and_collect(scenario)

        assert event["outcome"] == "finished"
        line, end = logs.of("task")
        assert " is running" in line
        assert end.endswith(": succeeded.")

    def test_a_wait_that_is_cancelled_while_the_config_api_hangs_leaves_nothing(
        self, emulator, running_syncs, trigger_for, logs
    ):
        job_ids = running_syncs(2)
        emulator.hang_next(DETAILS, 3600, times=None)

        async def scenario() -> None:
            waiting = [
                start(trigger_for(each, job_status="running"), f"{each}") for each in job_ids
            ]
            await until(lambda: request_count(emulator, DETAILS))
            await cancelled(*waiting)

        run_and_collect(scenario)

        assert [logs.of(f"{job_id}") for job_id in job_ids] == [[], []]

    def test_a_wait_that_is_cancelled_while_its_line_is_made_holds_up_no_other(
        self, emulator, running_syncs, trigger_for, logs
    ):
        gone, other = running_syncs(2)
        emulator.hang_next(DETAILS, 0.5)

        async def scenario() -> Event:
            waiting = [start(trigger_for(each, job_status="running")) for each in (gone, other)]
            await until(lambda: request_count(emulator, DETAILS))
            await cancelled(waiting[0])
            await until(lambda: request_count(emulator, DETAILS) > 1)
            _finish(emulator, [other])
            return await waiting[1]

        event = run(scenario)

        assert event["outcome"] == "finished"
        assert logs.of("task", f"Job {gone} ") == []

    def test_a_trigger_says_since_when_its_job_runs_and_how_long_it_takes(
        self, running_syncs, trigger_for, logs
    ):
        """A restarted triggerer goes on to count."""
        (job_id,) = running_syncs(1)
        trigger = trigger_for(
            job_id,
            deferred_at=time.time() - 10,
            job_began_at=time.time() - 3600,
            usual_duration=900,
        )

        async def scenario() -> None:
            wait = start(trigger, "task")
            await until(lambda: logs.of("task"))
            await cancelled(wait)

        run(scenario)

        assert logs.of("task")[0].endswith("is running; 1 h 0 min elapsed, usually 15 min 0 s.")

    def test_a_trigger_of_an_earlier_release_counts_from_its_deferral(
        self, running_syncs, trigger_for, logs
    ):
        (job_id,) = running_syncs(1)
        trigger = trigger_for(job_id, deferred_at=time.time() - 600)
        _, arguments = trigger.serialize()
        del arguments["job_began_at"], arguments["usual_duration"]

        async def scenario() -> None:
            wait = start(AirbyteJobTrigger(**arguments), "task")
            await until(lambda: logs.of("task"))
            await cancelled(wait)

        run(scenario)

        assert logs.of("task")[0].endswith("is running; 10 min 0 s elapsed.")

    def test_a_wait_for_a_sync_says_since_when(self, emulator, sync_trigger_for, logs):
        connection_id = emulator.add_connection()

        async def scenario() -> None:
            wait = start(sync_trigger_for(connection_id, deferred_at=time.time() - 600), "task")
            await until(lambda: logs.of("task"))
            await cancelled(wait)

        run(scenario)

        (line,) = logs.of("task")
        assert line.startswith(f"No sync of connection {connection_id} has completed successfully")
        assert line.endswith("; waiting for 10 min 0 s so far.")


class TestTaskLogs:
    """Each task's log has the messages about its own wait, and no others."""

    def test_what_concerns_all_waits_is_in_the_log_of_no_task(
        self, emulator, running_syncs, trigger_for, logs
    ):
        """It would be in that of the trigger that happened to be the first."""
        job_ids = running_syncs(MANY)
        emulator.fail_next(LIST, 403, times=None)

        async def scenario() -> None:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: all(logs.of(f"{job_id}") for job_id in job_ids))
            await cancelled(*waiting)

        run(scenario)

        assert len(logs.of("", "The list of jobs is unusable")) == 1
        assert logs.told("list") == []

    @pytest.mark.parametrize("number", [FEW, MANY])
    def test_a_change_of_status_is_in_the_log_of_its_own_task(
        self, emulator, running_syncs, trigger_for, logs, number
    ):
        job_ids = running_syncs(number)

        async def scenario() -> None:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: all(logs.of(f"{job_id}", "running") for job_id in job_ids))
            for job_id in job_ids:
                emulator.finish_job(job_id)
            await asyncio.gather(*waiting)

        run(scenario)

        for job_id in job_ids:
            running, succeeded = logs.of(f"{job_id}")
            assert running.startswith(f"Job {job_id} ")
            assert " is running; " in running
            assert succeeded.startswith(f"Job {job_id} ")
            assert succeeded.endswith("succeeded.")
        assert logs.of("", "Job ") == []

    def test_waits_of_several_tasks_for_one_job_each_have_its_changes(
        self, emulator, running_syncs, trigger_for, logs
    ):
        (job_id,) = running_syncs(1)

        async def scenario() -> None:
            waiting = [start(trigger_for(job_id), task) for task in "abc"]
            await until(lambda: all(logs.of(task, "running") for task in "abc"))
            emulator.finish_job(job_id)
            await asyncio.gather(*waiting)

        run(scenario)

        assert Counter(logs.told(f"Job {job_id} ")) == {"a": 2, "b": 2, "c": 2}


class TestRequests:
    """They grow with what changes, not with waits."""

    def test_a_few_jobs_are_read_by_id_and_no_list_is_read(
        self, emulator, running_syncs, trigger_for
    ):
        job_ids = running_syncs(FEW)

        async def scenario() -> None:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: request_count(emulator, READ) >= 4 * FEW)
            for job_id in job_ids:
                emulator.finish_job(job_id)
            await asyncio.gather(*waiting)

        run(scenario)

        assert request_count(emulator, LIST) == 0

    @pytest.mark.parametrize("number", [MANY, 300])
    def test_an_idle_round_costs_one_list_and_at_most_one_read_by_id(
        self, emulator, running_syncs, trigger_for, logs, number
    ):
        job_ids = running_syncs(number)

        async def scenario() -> None:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: len(logs.told("running")) >= number)
            await idle_rounds(emulator, waits=number)
            await cancelled(*waiting)

        run(scenario)

        assert {query["orderBy"][0] for query in lists(emulator)} == {"updatedAt|DESC"}
        assert {query["limit"][0] for query in lists(emulator)} == {"100"}

    def test_waits_for_one_job_share_its_reads(self, emulator, running_syncs, trigger_for, logs):
        (job_id,) = running_syncs(1)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id, poll_interval=3600)) for _ in range(100)]
            # Those that join after the first read get their first look from its reads.
            waiting.append(start(trigger_for(job_id, poll_interval=1.0)))
            await until(lambda: len(logs.told("running")) >= 101)
            emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert [ended_job(event).job_id for event in events] == [job_id] * 101
        assert request_count(emulator, READ) < 50

    @pytest.mark.parametrize("number", [FEW, MANY])
    def test_all_waits_share_the_shortest_interval_of_those_for_the_same(
        self, emulator, running_syncs, trigger_for, logs, number
    ):
        """By id, this is the interval of the job; with lists, that of all."""
        job_ids = running_syncs(number)

        async def scenario() -> list[Event]:
            waiting = [
                start(trigger_for(job_id, poll_interval=3600), f"{job_id}") for job_id in job_ids
            ]
            await until(lambda: all(logs.of(f"{job_id}", "running") for job_id in job_ids))
            hasty = [
                start(trigger_for(job_id, poll_interval=0.05))
                for job_id in (job_ids if number == FEW else job_ids[:1])
            ]
            sent = len(emulator.requests)
            await until(lambda: len(emulator.requests) >= sent + 4 * len(hasty))
            for job_id in reversed(job_ids):
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting, *hasty)

        events = run(scenario)

        assert [ended_job(event).job_id for event in events[:number]] == job_ids

    @pytest.mark.parametrize("number", [FEW, 50])
    def test_never_more_than_two_requests_are_in_flight_and_slowness_is_told_once(
        self, emulator, running_syncs, trigger_for, logs, number
    ):
        job_ids = running_syncs(number)
        emulator.latency, emulator.threads = 0.1, None
        emulator.clear_requests()

        async def scenario() -> list[Event]:
            waiting = [
                start(trigger_for(job_id, poll_interval=0.02), f"{job_id}") for job_id in job_ids
            ]
            await until(lambda: logs.of("", "slower"))
            told = len(emulator.requests)
            await until(lambda: len(emulator.requests) >= told + 8)
            for job_id in job_ids:
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert {event["outcome"] for event in events} == {"finished"}
        assert emulator.in_flight.peak == MAX_IN_FLIGHT == 2
        (message,) = logs.of("", "slower")
        assert message.startswith("Airbyte is slower than the poll interval")
        assert f"All waits on it (now {number}) are polled less often" in message

    def test_a_list_that_fails_is_not_repeated_within_a_round(
        self, emulator, running_syncs, trigger_for, logs, monkeypatch
    ):
        monkeypatch.setattr(job_requests, "READ_RETRY", RetryPolicy(max_attempts=4, base=0.01))
        job_ids = running_syncs(MANY)
        emulator.fail_next(LIST, 500, times=None)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: logs.of("", "The list of jobs is unusable"))
            _finish(emulator, job_ids)
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert [ended_job(event).job_id for event in events] == job_ids
        assert len(lists(emulator)) == 3


class TestLongRunningJobs:
    """No round shows them when a wait begins, because nothing has changed in them for long."""

    @pytest.fixture
    def emulator(self) -> Iterator[Emulator]:
        """An emulator whose clock stands still."""
        emulator = Emulator(time="manual")
        with emulator.serve():
            yield emulator

    def test_a_wait_that_joins_costs_nothing_in_idle_rounds(
        self, emulator, running_syncs, trigger_for, logs
    ):
        long_running = running_syncs(FEW)
        emulator.advance(7200.5)
        job_ids = running_syncs(MANY)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: len(logs.told("running")) >= MANY)
            await idle_rounds(emulator, waits=MANY)
            waiting += [start(trigger_for(job_id)) for job_id in long_running]
            await until(lambda: len(logs.told("running")) >= MANY + FEW)
            await idle_rounds(emulator, waits=MANY + FEW)
            for job_id in long_running + job_ids:
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert [ended_job(event).job_id for event in events] == job_ids + long_running


Fault = Callable[[Emulator, list[int]], None]


def _hide(number: int) -> Fault:
    def hide(emulator: Emulator, job_ids: list[int]) -> None:
        for job_id in job_ids[:number]:
            emulator.job_lists.hide(job_id)

    return hide


def _without_counters(emulator: Emulator, job_ids: list[int]) -> None:
    del job_ids
    emulator.job_lists.has_counters = False


def _without_times(emulator: Emulator, job_ids: list[int]) -> None:
    del job_ids

    def remove(page: Any) -> Any:
        for job in page["data"]:
            job.pop("lastUpdatedAt", None)
        return page

    emulator.alter_next(LIST, remove, times=None)


BAD_LISTS: dict[str, Fault] = {
    "hides one job": _hide(1),
    "hides all jobs": _hide(MANY),
    "refused": lambda emulator, _: emulator.fail_next(LIST, 403, times=None),
    "not found": lambda emulator, _: emulator.fail_next(LIST, 404, times=None),
    "fails": lambda emulator, _: emulator.fail_next(LIST, 500, times=None),
    "too slow for the ingress": lambda emulator, _: emulator.fail_next(LIST, 504, times=None),
    "ignores the filter": lambda emulator, _: emulator.job_lists.ignore("updatedAtStart"),
    "ignores the order": lambda emulator, _: emulator.job_lists.ignore("orderBy"),
    "ignores both": lambda emulator, _: emulator.job_lists.ignore("updatedAtStart", "orderBy"),
    "without counters": _without_counters,
    "without times": _without_times,
    "of something else": lambda emulator, _: emulator.alter_next(
        LIST, lambda page: {"items": []}, times=None
    ),
}


@pytest.mark.usefixtures("only_one_attempt")
class TestListsThatCannotShowAJob:
    """What the list does not show, or not at all as asked for, still ends, with the right rows."""

    @pytest.mark.parametrize("fault", BAD_LISTS.values(), ids=BAD_LISTS)
    def test_all_waits_end_with_the_right_rows(self, emulator, running_syncs, trigger_for, fault):
        job_ids = running_syncs(MANY)
        fault(emulator, job_ids)

        events = run(lambda: _finish_all_during_the_wait(emulator, trigger_for, job_ids))

        assert {ended_job(event).job_id: ended_job(event).rows_synced for event in events} == {
            job_id: 1000 + job_id for job_id in job_ids
        }

    @pytest.mark.parametrize(
        "name", ["refused", "fails", "too slow for the ingress", "without times"]
    )
    def test_a_list_that_fails_from_one_round_to_the_next(
        self, emulator, running_syncs, trigger_for, logs, name
    ):
        job_ids = running_syncs(MANY)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: all(logs.of(f"{job_id}", "running") for job_id in job_ids))
            BAD_LISTS[name](emulator, job_ids)
            for job_id in job_ids:
                emulator.finish_job(job_id, rows=1000 + job_id)
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert [ended_job(event).rows_synced for event in events] == [
            1000 + job_id for job_id in job_ids
        ]

    def test_a_job_that_disappears_from_the_list_ends_within_the_documented_time(
        self, emulator, running_syncs, trigger_for, logs, monkeypatch
    ):
        monkeypatch.setattr(checks, "MIN_STALENESS", 1.0)
        job_ids = running_syncs(MANY)

        async def scenario() -> Event:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: all(logs.of(f"{job_id}", "running") for job_id in job_ids))
            emulator.job_lists.hide(job_ids[3])
            emulator.finish_job(job_ids[3])
            event = await waiting.pop(3)
            await cancelled(*waiting)
            return event

        assert ended_job(run(scenario)).job_id == job_ids[3]


async def _finish_all_during_the_wait(
    emulator: Emulator, trigger_for: Callable[..., AirbyteJobTrigger], job_ids: list[int]
) -> list[Event]:
    """End the jobs one after another, each in another round than the one before."""
    waiting = [start(trigger_for(job_id)) for job_id in job_ids]
    await until(lambda: request_count(emulator, LIST))
    for job_id, wait in zip(job_ids, waiting, strict=True):
        emulator.finish_job(job_id, rows=1000 + job_id)
        if job_id in job_ids[:3]:
            await wait
    return await asyncio.gather(*waiting)


class TestServerClocks:
    """The clock that counts is Airbyte's, and not even that one is trusted."""

    @pytest.mark.parametrize("offset", [None, -7200.0, -30.0, 30.0, 7200.0, 10 * 86_400.0])
    def test_a_date_that_is_missing_stale_or_from_the_future_loses_nothing(
        self, emulator, running_syncs, trigger_for, offset
    ):
        job_ids = running_syncs(MANY)
        emulator.date_offset = offset

        events = run(lambda: _finish_all_during_the_wait(emulator, trigger_for, job_ids))

        assert [ended_job(event).job_id for event in events] == job_ids

    def test_a_list_that_is_cached_for_a_while_loses_nothing(
        self, emulator, running_syncs, trigger_for, logs
    ):
        job_ids = running_syncs(MANY)
        cached: list[Any] = []

        def from_cache(page: Any) -> Any:
            cached.append(page)
            return cached[0]

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: all(logs.of(f"{job_id}", "running") for job_id in job_ids))
            headers = {"Date": format_datetime(emulator.now, usegmt=True)}
            emulator.alter_next(LIST, from_cache, times=8, headers=headers)
            await until(lambda: len(cached) >= 2)
            for job_id in job_ids[:5]:
                emulator.finish_job(job_id)
            await until(lambda: len(cached) == 8)
            for job_id in job_ids[5:]:
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        assert [ended_job(event).job_id for event in run(scenario)] == job_ids

    @pytest.mark.parametrize("skew", [-30, 30, 300])
    def test_a_change_that_is_stamped_with_another_time_is_seen(
        self, emulator, running_syncs, trigger_for, logs, skew
    ):
        job_ids = running_syncs(MANY)
        skewed, others = job_ids[:3], job_ids[3:]

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: all(logs.of(f"{job_id}", "running") for job_id in job_ids))
            # Newer changes move the watermark before.
            emulator.finish_job(others[0])
            await waiting[3]
            await whole_round(emulator)
            for job_id in skewed:
                emulator.skew_job(job_id, skew)
                emulator.finish_job(job_id)
            await asyncio.gather(*waiting[:3])
            # One from the future does not hide those of now.
            for job_id in others[1:]:
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        assert [ended_job(event).job_id for event in run(scenario)] == job_ids


class TestErrorsOfOneJob:
    """They end its own wait, and no other."""

    def test_a_job_that_airbyte_refuses(self, emulator, running_syncs, trigger_for):
        job_ids = running_syncs(MANY)

        async def scenario() -> tuple[list[Event], Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            refused = await start(trigger_for(4711))
            for job_id in job_ids:
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting), refused

        events, refused = run(scenario)

        assert (refused["outcome"], refused["permanent"]) == ("error", True)
        assert "403" in refused["message"]
        assert [ended_job(event).job_id for event in events] == job_ids

    @pytest.mark.parametrize("number", [FEW, MANY])
    def test_a_job_that_cannot_be_read(
        self, emulator, running_syncs, trigger_for, logs, monkeypatch, number
    ):
        monkeypatch.setattr(waits, "FAILURE_BUDGET", 0.5)
        job_ids = running_syncs(number)
        unreadable, others = job_ids[0], job_ids[1:]

        def garble(body: Any) -> Any:
            for job in body.get("data", [body]):
                if job["jobId"] == unreadable:
                    del job["status"]
            return body

        emulator.alter_next(READ, garble, times=None)
        emulator.alter_next(LIST, garble, times=None)

        async def scenario() -> tuple[Event, list[Event]]:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in others]
            failed = await start(trigger_for(unreadable), f"{unreadable}")
            for job_id in others:
                emulator.finish_job(job_id)
            return failed, await asyncio.gather(*waiting)

        failed, events = run(scenario)

        assert (failed["outcome"], failed["permanent"]) == ("error", False)
        assert "status" in failed["message"]
        assert [ended_job(event).job_id for event in events] == others
        assert logs.warnings_of(f"{unreadable}")
        assert [logs.warnings_of(f"{job_id}") for job_id in others] == [[]] * len(others)


OUTAGES: dict[str, Callable[[Emulator], None]] = {
    "503": lambda emulator: emulator.fail_next("*", 503, times=None),
    "another page": lambda emulator: emulator.html_next("*", times=None),
    "no response": lambda emulator: emulator.drop_next("*", times=None),
}


@pytest.mark.usefixtures("only_one_attempt")
class TestOutages:
    """An error of Airbyte concerns all waits, and each of them once."""

    @pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
    @pytest.mark.parametrize("number", [FEW, MANY])
    def test_each_log_has_its_beginning_and_its_end_once_and_all_waits_go_on(
        self, emulator, running_syncs, trigger_for, logs, number, outage
    ):
        job_ids = running_syncs(number)
        tasks = [f"{job_id}" for job_id in job_ids]

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id), f"{job_id}") for job_id in job_ids]
            await until(lambda: all(logs.of(task, "running") for task in tasks))
            outage(emulator)
            await until(lambda: all(logs.warnings_of(task) for task in tasks))
            failed = len(emulator.requests)
            await until(lambda: len(emulator.requests) >= failed + 3)
            emulator.clear_faults()
            await until(lambda: all(logs.of(task, "responds again") for task in tasks))
            for job_id in job_ids:
                emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        events = run(scenario)

        assert [ended_job(event).job_id for event in events] == job_ids
        for task in tasks:
            (warning,) = logs.warnings_of(task)
            assert warning.startswith("No good response for ")
            assert len(logs.of(task, "Airbyte responds again")) == 1

    def test_one_that_outlasts_the_failure_budget_ends_every_wait_once(
        self, emulator, running_syncs, trigger_for, monkeypatch
    ):
        monkeypatch.setattr(waits, "FAILURE_BUDGET", 0.5)
        triggers = [trigger_for(job_id) for job_id in running_syncs(MANY)]
        emulator.fail_next(READ, 503, times=None)
        emulator.fail_next(LIST, 503, times=None)

        async def scenario() -> list[Event]:
            return await asyncio.gather(*map(only_event, triggers))

        for event in run_and_collect(scenario):
            assert (event["outcome"], event["permanent"]) == ("error", False)
            assert "503" in event["message"]


class TestAirflowConnections:
    def test_a_secret_rotated_among_a_hundred_waits_costs_one_refused_exchange(
        self, emulator, vault, running_syncs, trigger_for, logs
    ):
        job_ids = running_syncs(100)
        uris = [emulator.connection_uri]
        vault.answer = lambda number: uris[0]

        async def scenario() -> tuple[list[Event], list[int | None]]:
            waiting = [
                start(trigger_for(job_id, airbyte_conn_id=VAULT_CONN_ID)) for job_id in job_ids
            ]
            await until(lambda: len(logs.told("running")) >= len(job_ids))
            emulator.clear_requests()
            vault.reads = 0
            emulator.rotate_secret()
            uris[0] = emulator.connection_uri
            emulator.revoke_tokens()
            # They go on one after another. If the jobs ended meanwhile, the last wait could begin
            # after the client of all others was closed.
            await until(lambda: len(logs.told("has changed")) >= len(job_ids))
            await until(lambda: request_count(emulator, TOKEN) >= 2)
            exchanges = [each.status for each in emulator.requests if each.route == TOKEN]
            _finish(emulator, job_ids)
            return await asyncio.gather(*waiting), exchanges

        events, exchanges = run(scenario)

        assert [ended_job(event).job_id for event in events] == job_ids
        assert exchanges == [401, 200]
        assert vault.reads <= 5

    @pytest.fixture
    def set_other(self, emulator, monkeypatch) -> Callable[..., None]:
        """Create a second Airflow connection to the same Airbyte."""

        def create(**fields: Any) -> None:
            defaults = {
                "conn_type": "airbyte_sme",
                "host": emulator.url,
                "login": emulator.client_id,
                "password": emulator.client_secret,
            }
            monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({**defaults, **fields}))

        return create

    @pytest.fixture
    def finish_with_both(self, emulator, running_syncs, trigger_for, logs) -> Callable[[], None]:
        """Wait for a few jobs with each of both connections, at the same time."""

        async def scenario() -> None:
            job_ids = running_syncs(2 * FEW)
            conn_ids = ["airbyte_sme_default", "other"] * FEW
            waiting = [
                start(trigger_for(job_id, airbyte_conn_id=conn_id))
                for job_id, conn_id in zip(job_ids, conn_ids, strict=True)
            ]
            await until(lambda: len(logs.told("running")) >= len(job_ids))
            for job_id in job_ids:
                emulator.finish_job(job_id)
            events = await asyncio.gather(*waiting)
            assert [ended_job(event).job_id for event in events] == job_ids

        return lambda: run(scenario)

    def test_two_that_reach_airbyte_in_the_same_way_share_token_and_requests(
        self, emulator, set_other, finish_with_both
    ):
        set_other(extra={"web_url": "https://airbyte.example.com", "request_timeout": 77})

        finish_with_both()

        assert request_count(emulator, TOKEN) == 1
        # Neither of them has enough waits for a list.
        assert request_count(emulator, LIST) > 0

    def test_two_with_different_credentials_share_nothing(
        self, emulator, set_other, finish_with_both
    ):
        client_id, client_secret = emulator.add_application("organization_admin")
        set_other(login=client_id, password=client_secret)

        finish_with_both()

        assert request_count(emulator, TOKEN) == 2
        assert request_count(emulator, LIST) == 0

    def test_the_longer_request_timeout_applies_to_all(
        self, emulator, set_other, set_connection, running_syncs, trigger_for, logs
    ):
        """Also if the watcher was made for a connection with a shorter one."""
        credentials = {"login": emulator.client_id, "password": emulator.client_secret}
        set_connection(host=emulator.url, **credentials, extra={"request_timeout": 1})
        set_other(extra={"request_timeout": 60})
        slow, patient = running_syncs(2)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(slow))]
            await until(lambda: len(logs.told("running")) == 1)
            waiting.append(start(trigger_for(patient, airbyte_conn_id="other")))
            await until(lambda: len(logs.told("running")) == 2)
            emulator.hang_next(READ, 2.0, times=2, after=False)
            emulator.clear_requests()
            emulator.finish_job(slow)
            emulator.finish_job(patient)
            return await asyncio.gather(*waiting)

        assert [ended_job(event).job_id for event in run(scenario)] == [slow, patient]
        # After a timeout, a read would be repeated.
        assert request_count(emulator, READ) <= 2


class TestNeighbours:
    """Nothing that ends one wait touches another one, for the same job or not."""

    @pytest.fixture(params=["same job", "few jobs", "many jobs"])
    def job_ids(self, request, running_syncs) -> list[int]:
        if request.param == "same job":
            return running_syncs(1) * 3
        return running_syncs(3 if request.param == "few jobs" else MANY)

    @pytest.mark.parametrize("victim", [0, -1], ids=["the first", "the last"])
    def test_a_wait_that_is_cancelled(self, emulator, job_ids, trigger_for, logs, victim):
        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: len(logs.told("running")) >= len(job_ids))
            await cancelled(waiting.pop(victim))
            _finish(emulator, job_ids)
            return await asyncio.gather(*waiting)

        events = run_and_collect(scenario)

        assert len(events) == len(job_ids) - 1
        assert {event["outcome"] for event in events} == {"finished"}

    @pytest.mark.parametrize("route", [TOKEN, "read"])
    def test_a_wait_that_is_cancelled_while_its_request_is_in_flight(
        self, emulator, job_ids, trigger_for, route
    ):
        if route == "read":
            route = READ if len(job_ids) <= FEW else LIST
        emulator.hang_next(route, 0.5)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: request_count(emulator, route))
            await cancelled(waiting.pop(0))
            _finish(emulator, job_ids)
            return await asyncio.gather(*waiting)

        assert {event["outcome"] for event in run(scenario)} == {"finished"}

    def test_a_wait_that_times_out(self, emulator, job_ids, trigger_for, logs):
        async def scenario() -> tuple[Event, list[Event]]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            await until(lambda: len(logs.told("running")) >= len(job_ids))
            late = await start(trigger_for(job_ids[0], deadline=time.time() - 1))
            _finish(emulator, job_ids)
            return late, await asyncio.gather(*waiting)

        late, events = run(scenario)

        assert late["outcome"] == "timeout"
        assert [ended_job(event).job_id for event in events] == job_ids

    def test_a_task_that_is_killed_and_cancels_its_job(self, emulator, job_ids, trigger_for, logs):
        """Other waits for the same job see that it was cancelled."""
        killed = trigger_for(job_ids[0], cancel_on_kill=True, ownership=Ownership.STARTED)

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids]
            wait = start(killed)
            await until(lambda: len(logs.told("running")) > len(job_ids))
            await asyncio.gather(rebuilt(killed).on_kill(), cancelled(wait))
            _finish(emulator, job_ids[1:])
            return await asyncio.gather(*waiting)

        events = run_and_collect(scenario)

        assert [ended_job(event).status for event in events] == [
            "cancelled" if job_id == job_ids[0] else "succeeded" for job_id in job_ids
        ]

    def test_two_event_loops_share_nothing(self, emulator, running_syncs, trigger_for):
        """As of a triggerer that was restarted in the same process."""
        job_ids = running_syncs(2)
        _finish(emulator, job_ids)

        for job_id in job_ids:
            event = run(partial(only_event, trigger_for(job_id)))
            assert ended_job(event).job_id == job_id


def _finish(emulator: Emulator, job_ids: list[int]) -> None:
    for job_id in dict.fromkeys(job_ids):
        if emulator.jobs[job_id].status == "running":
            emulator.finish_job(job_id)


class TestSyncWaits:
    @pytest.fixture(params=[0, MANY], ids=["alone", "among many"])
    def others(self, request, emulator, sync_trigger_for) -> list[AirbyteSyncTrigger]:
        """Other waits at the same time: with many, lists show what happens."""
        return [sync_trigger_for(emulator.add_connection()) for _ in range(request.param)]

    @pytest.fixture
    def event_of(self, emulator, others) -> Callable[..., Event]:
        """Run a trigger while *during* happens, after it has begun to wait."""

        def wait_for(
            trigger: AirbyteSyncTrigger, during: Callable[[], None] = lambda: None
        ) -> Event:
            async def scenario() -> Event:
                waiting = [start(other) for other in others]
                wait = start(trigger)
                await until(lambda: request_count(emulator, LIST) >= 5 or wait.done())
                during()
                event = await wait
                if waiting:
                    await cancelled(*waiting)
                return event

            return run(scenario)

        return wait_for

    def test_hundreds_cost_requests_per_change_and_not_per_connection(
        self, emulator, sync_trigger_for, logs
    ):
        number = 200
        connection_ids = [emulator.add_connection() for _ in range(number)]
        for connection_id in connection_ids:
            # Each wait tells of it when it has looked.
            emulator.finish_job(_start_sync(emulator, connection_id), "failed")

        async def scenario() -> list[Event]:
            waiting = [start(sync_trigger_for(each)) for each in connection_ids]
            await until(lambda: len(logs.told("failed")) >= number)
            await idle_rounds(emulator, waits=number)
            emulator.clear_requests()
            began = time.monotonic()
            for connection_id in connection_ids[:3]:
                emulator.finish_job(_start_sync(emulator, connection_id))
            events = await asyncio.gather(*waiting[:3])
            checks = 2 + (time.monotonic() - began) * number / MIN_STALENESS
            assert single_reads(emulator) <= checks + 3
            await cancelled(*waiting[3:])
            return events

        events = run(scenario)

        assert [ended_job(event).connection_id for event in events] == connection_ids[:3]

    def test_a_refresh_ends_the_wait_and_a_reset_does_not(
        self, emulator, sync_trigger_for, event_of
    ):
        ended: list[int] = []

        def end_both() -> None:
            for job_type in ("reset", "refresh"):
                emulator.script_job(statuses=[("running", None)])
                ended.append(emulator.start_sync(job_type=job_type))
                emulator.finish_job(ended[-1])

        event = event_of(sync_trigger_for(emulator.connection_id), end_both)

        assert ended_job(event).job_id == ended[1]

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_an_unsuccessful_sync_does_not_end_it(
        self, emulator, sync_trigger_for, event_of, logs, status
    ):
        ended: list[int] = []

        def end_both() -> None:
            for each in (status, "succeeded"):
                ended.append(_start_sync(emulator, emulator.connection_id))
                emulator.finish_job(ended[-1], each)

        event = event_of(sync_trigger_for(emulator.connection_id), end_both)

        assert ended_job(event).job_id == ended[1]

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_an_unsuccessful_sync_ends_it_if_that_is_wanted(
        self, emulator, sync_trigger_for, event_of, status
    ):
        ended: list[int] = []

        def end() -> None:
            ended.append(_start_sync(emulator, emulator.connection_id))
            emulator.finish_job(ended[-1], status)

        event = event_of(sync_trigger_for(emulator.connection_id, fail_on_failed_sync=True), end)

        assert (ended_job(event).job_id, ended_job(event).status) == (ended[0], status)

    def test_a_sync_that_ended_before_the_trigger_starts_ends_it(
        self, emulator, sync_trigger_for, event_of
    ):
        """The sensor has looked just before, and the sync ended after that."""
        trigger = sync_trigger_for(emulator.connection_id)
        job_id = _start_sync(emulator, emulator.connection_id)
        emulator.finish_job(job_id)

        assert ended_job(event_of(trigger)).job_id == job_id

    def test_waits_for_one_connection_and_for_its_job_end_with_the_same_job(
        self, emulator, trigger_for, sync_trigger_for, event_of, others
    ):
        job_id = _start_sync(emulator, emulator.connection_id)
        others.clear()

        async def scenario() -> list[Event]:
            waiting = [
                start(trigger_for(job_id)),
                start(sync_trigger_for(emulator.connection_id)),
                start(sync_trigger_for(emulator.connection_id, fail_on_failed_sync=True)),
            ]
            await until(lambda: single_reads(emulator) >= 6)
            emulator.finish_job(job_id)
            return await asyncio.gather(*waiting)

        assert [ended_job(event).job_id for event in run(scenario)] == [job_id] * 3

    def test_the_log_tells_of_a_failed_sync_only_the_waits_for_its_connection(
        self, emulator, sync_trigger_for, logs, others
    ):
        async def scenario() -> None:
            waiting = [start(other, "other") for other in others]
            waiting += [start(sync_trigger_for(emulator.connection_id), task) for task in "ab"]
            await until(lambda: request_count(emulator, LIST) >= 5)
            emulator.finish_job(_start_sync(emulator, emulator.connection_id), "failed")
            await until(lambda: logs.of("a") and logs.of("b"))
            emulator.finish_job(_start_sync(emulator, emulator.connection_id))
            await asyncio.gather(*waiting[-2:])
            if others:
                await cancelled(*waiting[:-2])

        run(scenario)

        assert Counter(logs.told("failed")) == {"a": 1, "b": 1}
        assert logs.of("a")[0].endswith("failed. Waiting for one that succeeds.")


@pytest.mark.parametrize("others", [0, MANY], ids=["alone", "among many"])
class TestInstants:
    """Which sync is late enough, also where Airbyte shows whole seconds only."""

    START = datetime(2030, 1, 1, 6, 0, 0, tzinfo=UTC)

    @pytest.fixture
    def emulator(self) -> Iterator[Emulator]:
        """An emulator whose clock stands still."""
        emulator = Emulator(time="manual", start=self.START)
        with emulator.serve():
            yield emulator

    @pytest.mark.parametrize(
        ("early", "first_end", "late", "second_end"),
        [(0.1, 0.3, 0.6, 0.8), (0, 60, 90, 120), (0.3, 0.3, 0.300001, 0.9), (0, 3600, 7200, 9000)],
    )
    def test_each_wait_ends_with_the_first_sync_after_its_own_instant(
        self, emulator, sync_trigger_for, others, early, first_end, late, second_end
    ):
        def since(seconds: float) -> datetime:
            return self.START + timedelta(seconds=seconds)

        def end_sync(at: float) -> int:
            emulator.advance((since(at) - emulator.now).total_seconds())
            job_id = _start_sync(emulator, emulator.connection_id)
            emulator.finish_job(job_id)
            return job_id

        async def scenario() -> tuple[list[int], list[Event]]:
            waiting = [start(sync_trigger_for(emulator.add_connection())) for _ in range(others)]
            early_wait = start(sync_trigger_for(emulator.connection_id, since(early)))
            late_wait = start(sync_trigger_for(emulator.connection_id, since(late)))
            first = end_sync(first_end)
            early_event = await early_wait
            # The late one has looked too.
            looks = request_count(emulator, LIST)
            await until(lambda: request_count(emulator, LIST) >= looks + 4)
            second = end_sync(second_end)
            late_event = await late_wait
            if waiting:
                await cancelled(*waiting)
            return [first, second], [early_event, late_event]

        job_ids, events = run(scenario)

        assert [ended_job(event).job_id for event in events] == job_ids


class TestStart:
    """A thousand triggers that start at the same moment, as after a restart of the triggerer."""

    def test_the_event_loop_runs_other_tasks_between_them(self, trigger_for):
        began: list[int] = []
        steps = 0

        class RecordingTrigger(AirbyteJobTrigger):
            """Records in which step of the other task it begins."""

            @property
            def airbyte_conn_id(self) -> str:
                began.append(steps)
                return "airbyte_sme_default"

            @airbyte_conn_id.setter
            def airbyte_conn_id(self, value: str) -> None:
                pass

        async def scenario() -> None:
            nonlocal steps
            triggers = [RecordingTrigger(**trigger_for(7).serialize()[1]) for _ in range(1000)]
            waiting = [asyncio.create_task(_all_events(trigger)) for trigger in triggers]
            while len(began) < len(triggers):
                steps += 1
                await asyncio.sleep(0)
            for wait in waiting:
                wait.cancel()
            await asyncio.wait(waiting)

        run(scenario)

        assert max(Counter(began).values()) <= 50
        assert len(set(began)) >= 20

    def test_a_trigger_that_is_cancelled_before_its_turn_holds_up_no_other(self):
        async def scenario() -> None:
            waiting = [asyncio.create_task(take_turn()) for _ in range(100)]
            await asyncio.sleep(0)
            for wait in waiting[::2]:
                wait.cancel()
            await asyncio.wait(waiting)
            assert [wait.cancelled() for wait in waiting] == [True, False] * 50

        run(scenario)

    def test_all_of_them_end_with_two_requests_at_once_at_most(self, emulator, trigger_for):
        job_ids = [emulator.start_sync(emulator.add_connection()) for _ in range(100)]
        _finish(emulator, job_ids)
        emulator.clear_requests()

        async def scenario() -> list[Event]:
            waiting = [start(trigger_for(job_id)) for job_id in job_ids * 10]
            return await asyncio.gather(*waiting)

        events = run_and_collect(scenario)

        assert [ended_job(event).job_id for event in events] == job_ids * 10
        assert emulator.in_flight.peak <= MAX_IN_FLIGHT
