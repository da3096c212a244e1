"""Many connections and jobs: lists in every order, jobs that end together, what a request costs."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from airflow_provider_airbyte_sme import emulator as emulator_package
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator.world import Job
from tests.emulator.conftest import Caller, caller_of, ok, wait_until

PACKAGE = str(Path(emulator_package.__file__).parent)
TraceFunction = Callable[[FrameType, str, object], Any]


def emulator_with(connections: int) -> Emulator:
    """Return an emulator with syncs of an hour, and a job that has ended, on each connection."""
    seed = {"connections": [{"name": f"Connection {number}"} for number in range(connections)]}
    emulator = Emulator(time="manual", sync_duration=3_600, token_lifetime=10**8, seed=seed)
    for connection_id in emulator.connections:
        emulator.finish_job(emulator.start_sync(connection_id))
    emulator.advance(600)
    for connection_id in emulator.connections:
        emulator.start_sync(connection_id)
    emulator.advance(600)
    return emulator


def cost_of(action: Callable[[], object]) -> int:
    """
    Return how many lines of the emulator *action* executes, on a machine of any speed.

    Each turn of a loop counts as a line. Not bytecodes: Python 3.13.0 leaves many of them out.
    """
    cost = 0

    def trace(frame: FrameType, event: str, argument: object) -> TraceFunction | None:
        nonlocal cost
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        cost += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return cost


def text(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat()


@pytest.fixture(scope="module")
def busy() -> Caller:
    """An emulator on which 6 connections had 100 jobs, with clocks that differ."""
    emulator = Emulator(time="manual", sync_duration=30, token_lifetime=10**8)
    connections = [emulator.connection_id, *(emulator.add_connection() for _ in range(5))]
    order = random.Random(7)
    while len(emulator.jobs) < 100:
        connection_id = order.choice(connections)
        if order.random() < 0.3:
            emulator.script_job(connection_id, clock_skew=order.choice([-40, 0, 25]))
        if all(j.is_terminal for j in emulator.jobs.values() if j.connection_id == connection_id):
            emulator.start_sync(connection_id, job_type=order.choice(["sync", "reset"]))
        emulator.advance(order.choice([0, 0, 0.25, 7]))
    return caller_of(emulator)


class TestOrder:
    @pytest.mark.parametrize(
        ("field", "direction"), list(product(["createdAt", "updatedAt"], ["ASC", "DESC"]))
    )
    @pytest.mark.parametrize(
        "bounds",
        [
            (),
            ("updatedAtStart",),
            ("updatedAtEnd", "createdAtStart"),
            ("updatedAtStart", "updatedAtEnd"),
            ("createdAtStart", "createdAtEnd"),
            ("createdAtEnd",),
        ],
    )
    @pytest.mark.parametrize("of_one_connection", [False, True])
    def test_lists_have_exactly_the_jobs_asked_for_in_the_order_asked_for(
        self, busy, field, direction, bounds, of_one_connection
    ):
        jobs = list(busy.emulator.jobs.values())
        middle = jobs[len(jobs) // 2]
        limits = {
            name: (middle.updated_at if name.startswith("updated") else middle.created_at)
            - (60 if name.endswith("Start") else 0)
            for name in bounds
        }
        query = {name: text(at) for name, at in limits.items()}
        if of_one_connection:
            query["connectionId"] = middle.connection_id

        def instant(job: Job, name: str) -> float:
            return job.updated_at if name.startswith("updated") else job.created_at

        expected = sorted(
            (
                job
                for job in jobs
                if (not of_one_connection or job.connection_id == middle.connection_id)
                and all(
                    instant(job, name) >= at if name.endswith("Start") else instant(job, name) <= at
                    for name, at in limits.items()
                )
            ),
            key=lambda job: (instant(job, field), job.id),
            reverse=direction == "DESC",
        )

        listed = []
        for offset in range(0, 140, 20):
            page = ok(busy.get("/jobs", orderBy=f"{field}|{direction}", offset=offset, **query))
            listed += [job["jobId"] for job in page["data"]]

        assert expected
        assert listed == [job.id for job in expected]


class TestInstants:
    @pytest.mark.parametrize("steps", [1, 3, 10, 77])
    def test_the_start_of_a_list_is_exact_to_the_microsecond(self, emulator, caller, steps):
        job_id = ok(caller.sync())["jobId"]
        for _ in range(steps):
            emulator.advance(0.1)
        emulator.finish_job(job_id)
        at = round(emulator.now.timestamp() * 10**6)

        def listed(microseconds: int) -> bool:
            start = datetime.fromtimestamp(microseconds // 10**6, UTC).replace(
                microsecond=microseconds % 10**6
            )
            return bool(ok(caller.get("/jobs", updatedAtStart=start.isoformat()))["data"])

        assert [listed(at - 1), listed(at), listed(at + 1)] == [True, True, False]

    @pytest.mark.parametrize(
        ("text", "is_listed"),
        [
            ("2026-03-25T01:30:50.250001Z", True),
            ("2026-03-25T03:30:50.250001+02:00", True),
            ("2026-03-24T18:00:50.250001-07:30", True),
            ("2026-03-25T01:30:50Z", True),
            ("Wed, 25 Mar 2026 01:30:50 GMT", True),
            ("2026-03-25T01:30:50.250002Z", False),
            ("2026-03-25T03:30:50.250002+02:00", False),
            ("2026-03-25T01:30:51Z", False),
        ],
    )
    def test_fractions_and_offsets_count_although_responses_show_whole_seconds(
        self, text, is_listed
    ):
        emulator = Emulator(
            time="manual", start=datetime(2026, 3, 25, 1, 30, 40, 250_001, tzinfo=UTC)
        )
        emulator.start_sync()
        emulator.advance(10)
        emulator.cancel_job(emulator.start_sync(emulator.add_connection()))
        caller = caller_of(emulator)

        jobs = ok(caller.get("/jobs", updatedAtStart=text, orderBy="updatedAt|DESC"))["data"]

        assert [job["jobId"] for job in jobs] == ([2] if is_listed else [])
        assert caller.job(2)["lastUpdatedAt"] == "2026-03-25T01:30:50Z"


class TestEnds:
    def test_jobs_that_end_at_the_same_instant_end_in_the_order_of_their_ids(self):
        emulator = emulator_with(300)
        started = [job.id for job in emulator.jobs.values() if not job.is_terminal]

        emulator.advance(3_000)

        caller = caller_of(emulator)
        ended = ok(caller.get("/jobs", limit=100, orderBy="updatedAt|DESC"))["data"]
        assert [job["jobId"] for job in ended] == sorted(started, reverse=True)[:100]
        assert {emulator.jobs[job_id].history[-1][0] for job_id in started} == {
            emulator.jobs[started[0]].created_at + 3_600
        }
        assert emulator.next_due is None

    def test_a_job_that_ends_early_does_not_end_again(self, emulator):
        job_id = emulator.start_sync()
        due = emulator.next_due
        emulator.finish_job(job_id, "failed")
        second = emulator.start_sync()
        emulator.script_job(emulator.add_connection(), statuses=[("running", None)])

        emulator.advance(30)

        assert due == emulator.now.timestamp() + 30
        assert emulator.jobs[job_id].status == "failed"
        assert emulator.next_due == due
        emulator.advance(30)
        assert [status for _, status in emulator.jobs[job_id].history][-1] == "failed"
        assert emulator.jobs[second].status == "succeeded"

    def test_a_server_makes_the_changes_that_are_due_without_being_asked(self):
        emulator = Emulator(sync_duration=0.05)
        connections = [emulator.connection_id, *(emulator.add_connection() for _ in range(50))]
        with emulator.serve():
            for connection_id in connections:
                emulator.start_sync(connection_id)

            wait_until(lambda: emulator.next_due is None)

        assert {job.status for job in emulator.jobs.values()} == {"succeeded"}


class TestCost:
    @pytest.mark.parametrize(
        "request_of",
        [
            lambda caller: caller.get("/jobs/7"),
            lambda caller: caller.get(
                "/jobs", updatedAtStart=caller.emulator.now, orderBy="updatedAt|DESC", limit=100
            ),
            lambda caller: caller.get("/jobs", orderBy="createdAt|DESC", limit=20),
            lambda caller: caller.get("/jobs", connectionId=caller.emulator.connection_id),
            lambda caller: caller.emulator.next_due,
            lambda caller: caller.emulator.advance(1),
            lambda caller: caller.emulator.finish_job(
                len(caller.emulator.connections) + 1, "failed"
            ),
        ],
        ids=["job", "changes", "newest", "connection", "next_due", "advance", "failure"],
    )
    def test_a_request_costs_the_same_however_many_jobs_there_are(self, request_of):
        few, many = (caller_of(emulator_with(number)) for number in (30, 300))
        for caller in (few, many):
            caller.log_in()
            for job_id in sorted(caller.emulator.jobs)[-10:]:
                caller.emulator.finish_job(job_id)

        costs = [cost_of(partial(request_of, caller)) for caller in (few, many)]

        assert costs[1] < 1.1 * costs[0] + 10
