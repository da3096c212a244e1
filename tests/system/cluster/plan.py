"""The plan of a random run: which tasks want what, and what is killed or breaks when."""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

WINDOW = 120.0
"""Seconds in which tasks begin, and in which things are killed and break."""


class Kind(StrEnum):
    """What a task is; each kind is a DAG of its own."""

    BLOCKING = "random_blocking"
    """An operator that waits on a worker."""
    DEFERRED = "random_deferred"
    """An operator that waits in the triggerer."""
    DOOMED_BLOCKING = "random_doomed_blocking"
    """The same as the first, with few tries: all its syncs fail."""
    DOOMED_DEFERRED = "random_doomed_deferred"
    JOB_SENSOR = "random_job_sensor"
    """A sensor for a job that somebody has started before."""
    SYNC_SENSOR = "random_sync_sensor"
    """A sensor for a sync that somebody starts after a while."""
    SYNC_GATE = "random_sync_gate"
    """The same, which begins in the triggerer."""

    @property
    def is_sensor(self) -> bool:
        """Whether it waits for a sync of somebody else, instead of starting one."""
        return self in (Kind.JOB_SENSOR, Kind.SYNC_SENSOR, Kind.SYNC_GATE)

    @property
    def is_doomed(self) -> bool:
        """Whether the task is to fail."""
        return self in (Kind.DOOMED_BLOCKING, Kind.DOOMED_DEFERRED)


class Wanted(NamedTuple):
    """
    What one task wants. It has an Airbyte connection of its own.

    :param number: Number of the task, from 0.
    :param begins_at: When its DAG run is triggered, in seconds from the start.
    :param duration: How long each of its syncs takes, in seconds.
    :param failures: How many of its syncs fail before one succeeds.
    :param rows: Records that a sync commits which succeeds; no two tasks want the same number.
    :param delay: Seconds from its beginning until somebody starts the sync that a sensor waits for.
    """

    number: int
    kind: Kind
    begins_at: float
    duration: float
    failures: int
    rows: int
    delay: float

    @property
    def name(self) -> str:
        """Name of the task, for messages."""
        return f"task {self.number} ({self.kind})"


class Event(StrEnum):
    """What happens during the run."""

    KILL_TASK = "a task's process is killed"
    KILL_WORKER = "a worker is killed"
    KILL_TRIGGERER = "a triggerer is killed"
    KILL_SCHEDULER = "the scheduler is killed"
    LOSE_POST = "responses to POST /jobs are lost"
    RESET_POST = "POST /jobs is reset before Airbyte has read it"
    GATEWAY_POST = "a gateway gives up on POST /jobs, which Airbyte carries out"
    FAIL_READS = "reads fail with 500"
    RESET_READS = "reads are reset"
    SLOW_READS = "responses are slow"
    REVOKE_TOKENS = "all tokens are revoked"
    AWAY = "Airbyte is away"


TIMES: Mapping[Event, int] = {
    Event.KILL_TASK: 20,
    Event.KILL_WORKER: 3,
    Event.KILL_TRIGGERER: 3,
    Event.KILL_SCHEDULER: 2,
    Event.LOSE_POST: 8,
    Event.RESET_POST: 4,
    Event.GATEWAY_POST: 4,
    Event.FAIL_READS: 6,
    Event.RESET_READS: 6,
    Event.SLOW_READS: 3,
    Event.REVOKE_TOKENS: 3,
    Event.AWAY: 2,
}
"""How often each of them happens."""


class Strike(NamedTuple):
    """
    One event of the run.

    :param at: Seconds from the start.
    :param choice: Chooses whom it hits, from 0 to less than 1: :meth:`choose`.
    :param times: How many requests it concerns.
    :param seconds: How long it lasts, or until what was killed is started again.
    """

    at: float
    event: Event
    choice: float
    times: int
    seconds: float

    def choose(self, size: int) -> int:
        """Return which of *size* things it hits."""
        return int(self.choice * size)

    def __str__(self) -> str:
        return (
            f"{self.at:6.1f} s  {self.event} (choice {self.choice:.3f}, {self.times} times, "
            f"{self.seconds:.1f} s)"
        )


class Plan(NamedTuple):
    """All of a run. Tasks and strikes are in the order of time."""

    seed: int
    tasks: tuple[Wanted, ...]
    strikes: tuple[Strike, ...]


SHARES: Mapping[Kind, float] = {
    Kind.BLOCKING: 0.30,
    Kind.DEFERRED: 0.26,
    Kind.DOOMED_BLOCKING: 0.02,
    Kind.DOOMED_DEFERRED: 0.02,
    Kind.JOB_SENSOR: 0.08,
    Kind.SYNC_SENSOR: 0.08,
    Kind.SYNC_GATE: 0.24,
}
"""Shares of the kinds of tasks; together 1."""

# Of the syncs that succeed in the end, one in so many fails first.
_ONE_FAILS_OF = 10
_MANY_FAILURES = 100


def make_plan(seed: int, *, tasks: int, window: float = WINDOW) -> Plan:
    """
    Return the plan that belongs to *seed*: the same each time.

    :param tasks: Number of tasks.
    :param window: Seconds. The first tasks begin before the first strike, and the last ones when
        three quarters of it are over.
    """
    chance = random.Random(seed)
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * tasks))]
    kinds += [Kind.DEFERRED] * (tasks - len(kinds))
    kinds = kinds[:tasks]
    chance.shuffle(kinds)
    starts = sorted(chance.uniform(0, 0.75 * window) for _ in kinds)
    rows = chance.sample(range(1, 100 * tasks + 1), tasks)
    wanted = tuple(
        _wanted(chance, number, kind, start, count)
        for number, (kind, start, count) in enumerate(zip(kinds, starts, rows, strict=True))
    )
    strikes = sorted(
        Strike(
            at=chance.uniform(0.05, 1.0) * window,
            event=event,
            choice=chance.random(),
            times=chance.randint(1, 6),
            seconds=chance.uniform(2.0, 10.0),
        )
        for event, times in TIMES.items()
        for _ in range(times)
    )
    return Plan(seed, wanted, tuple(strikes))


def _wanted(chance: random.Random, number: int, kind: Kind, start: float, rows: int) -> Wanted:
    failures = 0
    if kind.is_doomed:
        failures = _MANY_FAILURES
    elif not kind.is_sensor and chance.randrange(_ONE_FAILS_OF) == 0:
        failures = 1
    longest = 12.0 if kind in (Kind.BLOCKING, Kind.DOOMED_BLOCKING) else 30.0
    return Wanted(
        number=number,
        kind=kind,
        begins_at=start,
        duration=chance.uniform(3.0, longest),
        failures=failures,
        rows=rows,
        delay=0.0 if kind is Kind.JOB_SENSOR else chance.uniform(1.0, 20.0),
    )
