"""Random waits on a simulated Airbyte with chosen faults, and what must become of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api import AirbyteJobTimeoutError
from airflow_provider_airbyte_sme.api.job_errors import AirbyteSyncTimeoutError
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch, SyncWatch
from airflow_provider_airbyte_sme.api.waiting.watchlist import DEADLINE_MARGIN, Ended
from tests.unit.api.waiting.simulated_airbyte import (
    Driver,
    Fault,
    SimulatedAirbyte,
    SimulatedJob,
    Update,
    instant,
)

T = TypeVar("T")

# How waits come and go, and what else happens in this Airbyte.
CROWDS = frozenset({"crowd", "background", "same jobs", "rejoins", "syncs", "slow", "deadlines"})
# Instants that are not those of one exact clock.
CLOCKS = frozenset({"a minute off", "an hour ahead", "late rows", "Date ahead", "Date behind"})
# What lists of jobs do; in the second group, they may hide what has happened.
LISTS = frozenset(
    {"no counters", "hidden jobs", "failing lists", "refused lists", "broken jobs"}
    | {"no Date", "cached Date", "no order", "no filter", "no offset", "frozen"}
)
_LYING_LISTS = {"no Date", "cached Date", "no order", "no filter", "no offset", "frozen"}
# No response at all for a while.
OUTAGES = frozenset({"short outage", "long outage", "two outages"})

# Seconds. What each kind of fault may cost: see docs/architecture.md.
OUTAGE_PAUSE = 60.0
STALENESS = 600.0
LATENESS = 60.0
# Seconds. Clocks are floating-point numbers.
CLOCK_ERROR = 0.001
BACKGROUND_ID = 100_000


class Waiter(NamedTuple):
    """A wait, when it begins, and when it is given up."""

    watch: JobWatch | SyncWatch
    joined: float
    left: float = math.inf


class Scenario:
    """
    Waits on a simulated Airbyte.

    :param size: How many jobs are waited for, or more.
    :param features: What goes wrong.
    :ivar slack: Seconds that an end may be delivered late, beside two poll intervals.
    """

    def __init__(self, seed: int, size: int, features: Iterable[str]) -> None:
        self._random = Random(seed)
        self.features = frozenset(features)
        self.airbyte = SimulatedAirbyte()
        self.latency = self._one_of([1.0, 3.0] if "slow" in self.features else [0.0, 0.05, 0.3])
        self.waiters: list[Waiter] = []
        self.outages: list[tuple[float, float]] = []
        self.broken: set[int] = set()
        self._connections = [f"c{n}" for n in range(1 + size // 3)]
        self._moments = [self._random.uniform(0, 400) for _ in range(4)]
        self._make_jobs(size * 4 if "crowd" in self.features else size)
        self._make_syncs(size if "syncs" in self.features else 0)
        self._make_faults()
        self.slack = self._slack()

    def _one_of(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def _time(self) -> float:
        """Return any moment; much happens at the same ones."""
        if self._random.random() < 0.5:
            return self._one_of(self._moments) + self._one_of([0.0, 0.0, 0.01, 0.2, 1.0])
        return self._random.uniform(0, 400)

    def _make_jobs(self, jobs: int) -> None:
        for job_id in range(1, jobs + 1):
            job = self._job(job_id, self._one_of(self._connections))
            job.is_listed = "hidden jobs" not in self.features or self._random.random() < 0.5
            for _ in range(self._one_of([1, 2, 5] if "same jobs" in self.features else [1])):
                self._wait_for_job(job)
        if "background" in self.features:
            ended = self._one_of(self._moments)
            for job_id in range(BACKGROUND_ID, BACKGROUND_ID + self._one_of([90, 250, 700])):
                at = ended + self._random.uniform(-20, 20)
                updates = [Update(at, "succeeded", at)]
                self.airbyte.add(SimulatedJob(job_id, "background", at - 60, updates))

    def _job(self, job_id: int, connection_id: str) -> SimulatedJob:
        skews = [0.0, 0.0]
        skews += [-50.0, 50.0] if "a minute off" in self.features else []
        skews += [3600.0] if "an hour ahead" in self.features else []
        delays = [0.0, 1.0, 8.0] if "late rows" in self.features else [0.0]
        at = self._time() - self._one_of([0, 0, 600, 7200])
        job = SimulatedJob(
            job_id, connection_id, at, job_type=self._one_of(["sync"] * 4 + ["refresh", "reset"])
        )
        running = self._one_of([["running"], ["pending", "running", "incomplete", "running"]])
        for status in running:
            job.updates.append(Update(at, status, at + self._one_of(skews)))
            at += self._one_of([0.25, 3.0, 30.0])
        if self._random.random() < 0.85:
            at, skew, delay = max(at, self._time()), self._one_of(skews), self._one_of(delays)
            status = self._one_of(["succeeded", "succeeded", "failed", "cancelled"])
            job.updates.append(Update(at + delay, status, at + skew))
        return self.airbyte.add(job)

    def _wait_for_job(self, job: SimulatedJob) -> None:
        joined = max(self._time(), job.updates[0].visible)
        shown = job.at(joined)
        assert shown is not None
        last_read = replace(job.shown(shown), status="running")
        waiter = Waiter(JobWatch(last_read, self._wait(joined)), joined, self._leaves(joined))
        self.waiters.append(waiter)
        if math.isfinite(waiter.left) and "rejoins" in self.features:
            joined = waiter.left + self._one_of([0.0, 0.01, 0.04, 1.0])
            self.waiters.append(Waiter(JobWatch(last_read, self._wait(joined)), joined))

    def _make_syncs(self, syncs: int) -> None:
        ends = [job.end.stamp for job in self.airbyte.jobs.values() if job.end] or [300.0]
        for _ in range(syncs):
            connection_id = self._one_of(self._connections)
            since = self._one_of(ends) + self._one_of([-600.0, -0.5, -0.001, 0.0, 0.001, 0.5])
            for _ in range(self._one_of([1, 1, 2])):
                joined = self._time()
                watch = SyncWatch(
                    connection_id,
                    instant(since),
                    self._wait(joined),
                    fail_on_failed_sync=self._one_of([True, False]),
                )
                self.waiters.append(Waiter(watch, joined, self._leaves(joined)))

    def _wait(self, joined: float) -> Wait:
        timeouts = [1600.0]
        if "deadlines" in self.features:
            timeouts += [0.0, 30.0, 300.0]
        budget = self._one_of([600.0, 600.0, 120.0])
        intervals = [1.0, 5.0, 5.0, 10.0]
        if not self.features & _LYING_LISTS:
            intervals += [60.0]
        return Wait(joined, self._one_of(intervals), self._one_of(timeouts), budget)

    def _leaves(self, joined: float) -> float:
        return joined + self._one_of([math.inf] * 5 + [0.01, 0.04, 20.0, 200.0])

    def _make_faults(self) -> None:
        airbyte, features = self.airbyte, self.features
        airbyte.date = 7200.0 if "Date ahead" in features else 0.0
        if "Date behind" in features:
            airbyte.date = -45.0
        if "no Date" in features:
            airbyte.date = None
        if "cached Date" in features:
            airbyte.frozen_date = self._time()
        if "frozen" in features:
            airbyte.frozen_lists = self._time()
        names = {"no order": "order", "no filter": "filter", "no offset": "offset"}
        airbyte.ignored = frozenset(name for key, name in names.items() if key in features)
        airbyte.list_counters = "no counters" not in features
        if "broken jobs" in features:
            for job_id in self._random.sample(
                sorted(airbyte.jobs), 2 if len(airbyte.jobs) > 1 else 1
            ):
                self.broken.add(job_id)
                error = self._one_of(["403", "404", "500", "truncated"])
                self._fail(error, self._one_of([10.0, 200.0, math.inf]), job_id=job_id)
        if "failing lists" in features:
            error = self._one_of(["500", "503", "timeout", "truncated"])
            self._fail(error, self._one_of([10.0, 200.0, math.inf]), lists=True)
        if "refused lists" in features:
            self._fail("403", self._one_of([10.0, 700.0, math.inf]), lists=True)
        lengths = [[5.0, 50.0, 110.0]] if "short outage" in features else []
        lengths += [[130.0, 500.0, 700.0, 1500.0]] if "long outage" in features else []
        lengths += [[30.0], [90.0]] if "two outages" in features else []
        for options in lengths:
            fault = self._fail(self._one_of(["503", "timeout"]), self._one_of(options))
            self.outages.append((fault.began, fault.ended))

    def _fail(
        self, error: str, seconds: float, *, job_id: int | None = None, lists: bool = False
    ) -> Fault:
        began = self._time()
        fault = Fault(error, began, began + seconds, job_id, lists)
        self.airbyte.faults.append(fault)
        return fault

    def _slack(self) -> float:
        """Return what a round, its pages and the reads before one's own may take."""
        pages = 5 + len(self.airbyte.jobs) // 100
        slack = self.latency * (6 + 3 * pages + len(self.waiters)) + 0.5
        if self.features & CLOCKS:
            slack += LATENESS
        # Airbyte's clock cannot be told if both that shows it are ahead.
        all_ahead = "Date ahead" in self.features and self.features & {
            "a minute off",
            "an hour ahead",
        }
        # A hidden job of one's own is read by its id; a sync that may be any is not.
        are_syncs_hidden = self.features >= {"hidden jobs", "syncs"}
        if self.features & _LYING_LISTS or all_ahead or are_syncs_hidden:
            slack += max(STALENESS, 10.0 * len({each.watch.key for each in self.waiters})) + 60.0
        if self.features & {"failing lists", "refused lists"}:
            # Lists that fail for everybody are probed like an outage.
            slack += 4 * (OUTAGE_PAUSE + self.latency)
        if self.outages:
            slack += 3 * OUTAGE_PAUSE + sum(ended - began for began, ended in self.outages)
        return slack

    # What must become of a wait.

    def end_of(self, waiter: Waiter) -> tuple[float, set[int]]:
        """Return when a response can show the end, and which jobs may end the wait."""
        watch = waiter.watch
        if isinstance(watch, JobWatch):
            job = self.airbyte.jobs[watch.key.job_id]
            return max(waiter.joined, job.end.visible if job.end else math.inf), {job.job_id}
        ends = [
            (job.end.visible, job.job_id)
            for job in self.airbyte.jobs.values()
            if job.connection_id == watch.key.connection_id
            and job.job_type != "reset"
            and job.end
            and instant(job.end.stamp) >= watch.key.since
            and (job.end.status == "succeeded" or watch.fail_on_failed_sync)
        ]
        first = min((at for at, _ in ends), default=math.inf)
        return max(waiter.joined, first), {job_id for _, job_id in ends}

    def limits(self, waiter: Waiter) -> tuple[float, float]:
        """Return until when the end must be delivered, and when the time is over in any case."""
        wait = waiter.watch.wait
        deadline = max(wait.deadline, waiter.joined)
        return (
            self.end_of(waiter)[0] + 2 * wait.poll_interval + self.slack,
            deadline + DEADLINE_MARGIN + self.latency + 0.01,
        )

    def may_be_lost(self, waiter: Waiter) -> bool:
        """Whether the wait may end with an error of Airbyte."""
        watch = waiter.watch
        if isinstance(watch, JobWatch) and watch.key.job_id in self.broken:
            return True
        shortest = watch.wait.failure_budget - 2 * self.latency - 0.01
        return any(
            ended - max(began, waiter.joined) >= shortest for began, ended in _merged(self.outages)
        )


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return outages as one if no read may fall between them."""
    merged: list[tuple[float, float]] = []
    for began, ended in sorted(spans):
        if merged and began <= merged[-1][1] + OUTAGE_PAUSE + 10:
            merged[-1] = (merged[-1][0], max(ended, merged[-1][1]))
        else:
            merged.append((began, ended))
    return merged


def check(scenario: Scenario) -> Driver:
    """Let the waits of *scenario* begin and end, and check each of them."""
    driver = Driver(scenario.airbyte, lambda: scenario.latency, now=-10.0)
    for waiter in scenario.waiters:
        driver.at(waiter.joined, partial(driver.join, waiter.watch))
        if math.isfinite(waiter.left):
            driver.at(waiter.left, partial(driver.leave, waiter.watch))
    driver.run(max(min(*scenario.limits(each), each.left) for each in scenario.waiters) + 1.0)
    for waiter in scenario.waiters:
        _check_one(scenario, driver, waiter)
    return driver


def _check_one(scenario: Scenario, driver: Driver, waiter: Waiter) -> None:
    end, job_ids = scenario.end_of(waiter)
    latest, last = scenario.limits(waiter)
    is_broken = isinstance(waiter.watch, JobWatch) and waiter.watch.key.job_id in scenario.broken
    outcome = driver.outcomes.get(waiter.watch)
    if outcome is None:
        assert waiter.left < min(latest, last) or is_broken, "it hangs"
        return
    change = outcome.change
    assert outcome.at <= last, "it ends too late"
    if isinstance(change, Ended):
        assert change.job.job_id in job_ids, "it ends with another job"
        assert outcome.at >= end, "it ends too early"
        assert outcome.at <= latest or is_broken, f"it is delivered {outcome.at - end:.1f} s late"
        truth = scenario.airbyte.jobs[change.job.job_id].end
        assert truth is not None
        assert change.job.status == truth.status
    elif isinstance(change.error, AirbyteJobTimeoutError | AirbyteSyncTimeoutError):
        assert outcome.at > waiter.watch.wait.deadline - CLOCK_ERROR, "its time is not over"
        assert latest > last - DEADLINE_MARGIN or is_broken, "it had ended in time"
    else:
        assert scenario.may_be_lost(waiter), f"it is lost: {change.error}"
