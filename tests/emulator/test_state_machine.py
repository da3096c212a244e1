"""Random sequences of job calls and clock steps, and the invariants that must always hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_airbyte_sme.api.models import TERMINAL_STATUSES
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator.jobs import ALLOWED
from airflow_provider_airbyte_sme.emulator.world import Job
from tests.emulator.conftest import Caller, ok

JOB_SCRIPTS = st.one_of(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["succeeded", "failed", "cancelled"]),
            "attempts": st.one_of(st.none(), st.integers(1, 4)),
            "duration": st.one_of(st.none(), st.integers(0, 90)),
            "rows": st.one_of(st.none(), st.integers(0, 1_000)),
            "failure": st.sampled_from([None, {"type": "system_error"}, {"type": "config_error"}]),
        }
    ),
    st.sampled_from(
        [
            {"statuses": [("pending", 20), ("running", 30), ("succeeded", None)]},
            {"statuses": [("queued", 40), ("pending", 5), ("running", 10), ("failed", None)]},
            {"statuses": [("running", 5), ("paused", 50), ("succeeded", None)]},
            {"statuses": [("running", None)]},
            {"statuses": [("queued", None)]},
            {"statuses": [("incomplete", 5), ("running", 1), ("incomplete", 5), ("failed", None)]},
        ]
    ),
)


class JobsStateMachine(RuleBasedStateMachine):
    """Two connections, calls in any order, and a clock that only goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.emulator = Emulator(time="manual", sync_duration=30, token_lifetime=10**8)
        self.connections = [self.emulator.connection_id, self.emulator.add_connection()]
        self.caller = Caller(self.emulator, self.emulator.client_id, self.emulator.client_secret)
        self.ended: dict[int, dict[str, object]] = {}
        self.seen: dict[int, int] = {}

    connection = st.integers(0, 1)

    @rule(connection=connection, script=JOB_SCRIPTS)
    def script_a_job(self, connection: int, script: dict[str, Any]) -> None:
        self.emulator.script_job(self.connections[connection], **script)

    @rule(connection=connection)
    def create_a_sync(self, connection: int) -> None:
        connection_id = self.connections[connection]
        active = self._active(connection_id)
        is_active = self.emulator.connections[connection_id].status == "active"

        response = self.caller.sync(connection_id)

        if not is_active:
            assert (response.status, response.json()["title"]) == (409, "state-conflict")
        elif active is None:
            assert response.json()["jobId"] == len(self.emulator.jobs)
            assert response.json()["status"] == "pending"
        elif active.attempts:
            assert (response.status, response.json()["title"]) == (409, "try-again-later")
        else:
            assert response.json()["jobId"] == active.id

    @rule(connection=connection, job_type=st.sampled_from(["reset", "clear"]))
    def create_a_reset(self, connection: int, job_type: str) -> None:
        active = self._active(self.connections[connection])

        job = ok(self.caller.sync(self.connections[connection], job_type))

        assert job["jobType"] == "reset"
        assert active is None or self.emulator.jobs[active.id].status == "cancelled"

    @precondition(lambda self: self.emulator.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.emulator.jobs)))
        active = self._active(self.emulator.jobs[job_id].connection_id)

        response = self.caller.delete(f"/jobs/{job_id}")

        if active is None:
            assert response.json()["data"]["message"] == "Job is not currently running"
        else:
            assert ok(response)["jobId"] == job_id
            assert self.emulator.jobs[active.id].status == "cancelled"

    @rule(seconds=st.one_of(st.integers(0, 100), st.floats(0, 5)))
    def advance_the_clock(self, seconds: float) -> None:
        self.emulator.advance(seconds)

    @rule(query=st.sampled_from([{}, {"orderBy": "updatedAt|DESC"}, {"limit": 3, "offset": 1}]))
    def list_jobs(self, query: dict[str, object]) -> None:
        listed = ok(self.caller.get("/jobs", **query))["data"]

        assert len(listed) <= int(str(query.get("limit", 20)))
        for job in listed:
            assert job["status"] == self.emulator.jobs[job["jobId"]].status

    @invariant()
    def a_connection_has_at_most_one_active_job(self) -> None:
        for connection_id in self.connections:
            assert len(self._all_active(connection_id)) <= 1

    @invariant()
    def ended_jobs_never_change(self) -> None:
        for job_id in self.emulator.jobs:
            job = self.caller.job(job_id)
            if job["status"] in TERMINAL_STATUSES:
                assert self.ended.setdefault(job_id, job) == job
                assert "lastUpdatedAt" in job
            else:
                assert job_id not in self.ended

    @invariant()
    def timestamps_never_decrease(self) -> None:
        for job in self.emulator.jobs.values():
            timestamps = [at for at, _ in job.history]
            assert timestamps == sorted(timestamps)
            assert timestamps[0] == job.created_at
            assert timestamps[-1] == job.updated_at <= self.emulator.now.timestamp() + 1e-3
            assert self.seen.get(job.id, 0) <= len(timestamps)
            self.seen[job.id] = len(timestamps)

    @invariant()
    def each_transition_is_allowed(self) -> None:
        for job in self.emulator.jobs.values():
            statuses = [status for _, status in job.history]
            for before, after in pairwise(statuses):
                assert before not in ALLOWED or after not in ALLOWED or after in ALLOWED[before]

    @invariant()
    def attempts_match_the_job(self) -> None:
        for job in self.emulator.jobs.values():
            open_attempts = [attempt for attempt in job.attempts if attempt.ended_at is None]
            assert len(open_attempts) <= 1
            assert not (job.is_terminal and open_attempts)
            assert (job.status == "succeeded") <= (job.attempts[-1:] != [])
            for attempt in job.attempts:
                assert (attempt.status == "running") == (attempt.ended_at is None)

    def _all_active(self, connection_id: str) -> list[Job]:
        jobs = self.emulator.jobs.values()
        return [job for job in jobs if job.connection_id == connection_id and not job.is_terminal]

    def _active(self, connection_id: str) -> Job | None:
        return next(iter(self._all_active(connection_id)), None)


def test_jobs_keep_their_invariants():
    run_state_machine_as_test(
        JobsStateMachine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
