"""
Single tasks whose processes die at random points, again and again, until one succeeds.

Each seed is a plan: at which request to Airbyte, at which access to the task state store, or after
how much of its work a process dies, and what else goes wrong. ``KILL_SEEDS=100:200`` tries others.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.conftest import CONNECTION_VARIABLE
from tests.system.cluster.books import Account, JobEntry, problems_of
from tests.system.cluster.plan import Kind, Wanted

FIRST, LAST = map(int, os.environ.get("KILL_SEEDS", "0:12").split(":"))
MOST_DEATHS = 6
RETRIES = 30


class Mortals:
    """Starts the processes of tasks."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mortal"],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = 0
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, command: dict[str, Any]) -> None:
        """Run one process until it ends or dies."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._answer())
        assert self._answer() == "ended"
        self.pid = 0

    def kill(self) -> None:
        """SIGKILL the process that runs."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def module_emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=0.2, threads=None)
    with emulator.serve():
        yield emulator


@pytest.fixture
def emulator(module_emulator: Emulator) -> Emulator:
    return module_emulator


@pytest.fixture(scope="module")
def mortals(module_emulator: Emulator) -> Iterator[Mortals]:
    mortals = Mortals({**os.environ, CONNECTION_VARIABLE: module_emulator.connection_uri})
    yield mortals
    mortals.stop()


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_a_task_that_dies_at_random_points_leads_to_one_sync(
    seed: int, emulator: Emulator, mortals: Mortals, tmp_path: Path
) -> None:
    life = Life(seed, emulator, mortals, tmp_path)

    account = life.live()

    assert not problems_of(account), "\n".join([f"KILL_SEEDS={seed}:{seed + 1}", *life.told])


class Life:
    """One task from its first try to its end."""

    def __init__(self, seed: int, emulator: Emulator, mortals: Mortals, folder: Path) -> None:
        self._chance = random.Random(seed)
        self._emulator = emulator
        self._mortals = mortals
        self._folder = folder
        self._deaths = 0
        self._connection_id = emulator.add_connection()
        self.told: list[str] = []
        is_deferred, fails = self._chance.random() < 0.5, self._chance.random() < 0.3
        self._wanted = Wanted(
            seed,
            Kind.DEFERRED if is_deferred else Kind.BLOCKING,
            begins_at=0.0,
            duration=self._chance.choice((0.02, 0.2)),
            failures=int(fails),
            rows=seed + 1,
            delay=0.0,
        )
        self._command: dict[str, Any] = {
            "task": "airflow_provider_airbyte_sme.operators.airbyte.AirbyteTriggerSyncOperator",
            "arguments": {
                "connection_id": self._connection_id,
                "deferrable": is_deferred,
                "poll_interval": 0.05,
                "timeout": 120,
                "retries": RETRIES,
            },
            "store": str(folder / "store.json"),
            "out": str(folder / "out.json"),
        }
        if fails:
            emulator.script_job(
                self._connection_id, outcome="failed", duration=self._wanted.duration
            )
        emulator.script_job(
            self._connection_id, duration=self._wanted.duration, rows=self._wanted.rows
        )

    def live(self) -> Account:
        for try_number in range(1, RETRIES + 2):
            outcome = self._try(try_number)
            if "result" in outcome:
                return self._account("success", try_number, outcome["result"])
        return self._account("failed", RETRIES + 1)

    def _try(self, try_number: int) -> dict[str, Any]:
        """Return the outcome of one try; nothing if it has died."""
        outcome = self._step({"step": "start", "try_number": try_number})
        while "deferral" in outcome:
            deferral, outcome = outcome["deferral"], {}
            while "event" not in outcome:  # another triggerer takes the trigger of a dead one
                outcome = self._step({"step": "trigger", "deferral": deferral})
            outcome = self._step(
                {
                    "step": "resume",
                    "try_number": try_number,
                    "deferral": deferral,
                    "event": outcome["event"],
                }
            )
        return outcome

    def _step(self, command: dict[str, Any]) -> dict[str, Any]:
        emulator, chance = self._emulator, self._chance
        emulator.clear_faults()
        request, access, at_end = self._death(command)
        self._break_something()
        count = iter(range(request or 0))

        def kill_at_request() -> None:
            if next(count, None) is None:
                self._mortals.kill()

        if request is not None:
            emulator.call_next("*", kill_at_request, times=None, after=chance.random() < 0.5)
        out = self._folder / "out.json"
        out.unlink(missing_ok=True)
        self._mortals.run(
            {**self._command, "die_at_access": access, "dies_at_end": at_end, **command}
        )
        outcome: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
        if not outcome:
            self._deaths += 1
        self.told.append(
            f"try {command.get('try_number', '')} {command['step']}, to die at request {request}, "
            f"access {access}, at the end {at_end}: {outcome or 'died'}; jobs {self._jobs}"
        )
        return outcome

    def _death(self, command: dict[str, Any]) -> tuple[int | None, int | None, bool]:
        """Return at which request, at which access to the store, or whether at the end it dies."""
        kind = self._chance.choice(("request", "access", "end", "", ""))
        number = self._chance.randrange(10)
        if self._deaths == MOST_DEATHS:
            return None, None, False
        if kind == "access" and command["step"] != "trigger":
            return None, number % 5, False
        return number if kind == "request" else None, None, kind == "end"

    def _break_something(self) -> None:
        emulator, what = self._emulator, self._chance.randrange(12)
        match what:
            case 0:
                emulator.drop_next("POST /jobs")
            case 1:
                emulator.fail_next("POST /jobs", 504, after=True)
            case 2:
                emulator.fail_next("POST /jobs", 500)
            case 3:
                emulator.drop_next("POST /jobs", after=False)
            case 4:
                emulator.fail_next("*", 500, 2)
            case 5:
                emulator.drop_next("*", 2)
            case 6:
                emulator.revoke_tokens()

    @property
    def _jobs(self) -> dict[int, str]:
        return {
            job.id: job.status
            for job in self._emulator.jobs.values()
            if job.connection_id == self._connection_id
        }

    def _account(self, state: str, tries: int, result: dict[str, Any] | None = None) -> Account:
        jobs = [
            JobEntry(job.id, job.status, job.rows)
            for job in self._emulator.jobs.values()
            if job.connection_id == self._connection_id
        ]
        return Account(self._wanted, tuple(jobs), state, tries, result)
