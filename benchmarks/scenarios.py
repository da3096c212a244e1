"""What is measured about many waits, and how: each scenario in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from benchmarks.airbyte import REPOSITORY

Start = Literal["at once", "in turn"]

LATENCIES = (0.05, 0.3)
"""Seconds that the server takes for each response."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    Many waits in one event loop.

    :param waiting: A key of :data:`benchmarks.providers.WAITING`.
    :param waits: Number of waits, each for a connection of its own.
    :param latency: Seconds before each response of the server.
    :param start: ``at once``: all in one turn of the event loop. ``in turn``: one in each turn, as
        Airflow's triggerer starts them.
    :param poll_interval: Seconds; a round.
    :param idle_rounds: Number of rounds of each of the two idle phases.
    :param ends: Whether jobs end.
    :param bound: Seconds after which the measurement is stopped.
    """

    waiting: str
    waits: int
    latency: float
    start: Start = "at once"
    poll_interval: float = 5.0
    idle_rounds: int = 2
    ends: bool = True
    bound: float = 420.0

    @property
    def title(self) -> str:
        """The scenario in a few words, for progress."""
        return f"{self.waiting}, {self.waits:,} waits {self.start}, {self.latency * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Figures:
    """
    What was measured; ``None``: not reached. Times are in seconds.

    :param first_wait_gap: Largest gap while one wait starts alone in a new process.
    :param start_gap: Largest gap from the start of all waits until one poll interval later.
    :param start_blocked: Sum of the gaps above 10 ms in the same time; so are the other ``blocked``
        ones.
    :param idle_gap: Largest gap while nothing changes.
    :param ends_gap: Largest gap while jobs end and are delivered.
    :param requests_per_round: Requests in one poll interval while nothing changes, without those
        for tokens.
    :param token_exchanges: Tokens asked for in the whole process, the first wait included.
    :param bytes_per_wait: Growth of the resident memory, divided by the number of waits.
    :param cpu_percent: CPU time of the process while nothing changes, in percent of one core.
    :param latency_p50: From the end of a job on the server to the event of its trigger.
    :param burst_gap: Largest gap while 1,000 jobs end within one second.
    :param burst_ending_seconds: How long the server took to end them.
    :param burst_rounds: Rounds from the first end to the last event.
    :param burst_requests: Requests in that time.
    :param stopped_after: Bound after which the measurement was stopped.
    """

    first_wait_gap: float | None = None
    start_gap: float | None = None
    start_blocked: float | None = None
    idle_gap: float | None = None
    idle_blocked: float | None = None
    ends_gap: float | None = None
    ends_blocked: float | None = None
    requests_per_round: float | None = None
    token_exchanges: float | None = None
    bytes_per_wait: float | None = None
    cpu_percent: float | None = None
    latency_p50: float | None = None
    latency_p99: float | None = None
    latency_max: float | None = None
    burst_gap: float | None = None
    burst_ending_seconds: float | None = None
    burst_rounds: float | None = None
    burst_latency_max: float | None = None
    burst_requests: float | None = None
    stopped_after: float | None = None

    def with_(self, **figures: float) -> Self:
        """Return the same with further figures."""
        return replace(self, **figures)

    @property
    def later_gap(self) -> float | None:
        """Largest gap after the start."""
        gaps = [gap for gap in (self.idle_gap, self.ends_gap, self.burst_gap) if gap is not None]
        return max(gaps, default=None)

    @property
    def blocked(self) -> float | None:
        """Sum of all gaps above 10 ms, with all waits, while there was a ticker."""
        parts = (self.start_blocked, self.idle_blocked, self.ends_blocked)
        known = [part for part in parts if part is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario and what was measured."""

    scenario: Scenario
    figures: Figures

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return what was written as ``asdict(result)``."""
        return cls(Scenario(**value["scenario"]), Figures(**value["figures"]))


def many_waits(*, quick: bool) -> Iterator[Scenario]:
    """Yield the scenarios of the table, this provider and the official one in turn."""
    for latency in LATENCIES[:1] if quick else LATENCIES:
        for waits in (10, 100) if quick else (10, 100, 1_000, 10_000):
            rounds = 1 if waits < 1_000 else 2
            yield Scenario("ours", waits, latency, idle_rounds=rounds)
            if waits <= 1_000:
                # 1,000 blocking reads take three minutes, and at 300 ms five.
                # Their rounds, and the delivery of all ends, take as long again and again.
                bound = 900.0 if latency < 0.1 else 120.0
                # Its rounds take as long as its reads, so one of them is enough.
                yield Scenario("official", waits, latency, idle_rounds=1, bound=bound)


def further_waits(*, quick: bool) -> Iterator[Scenario]:
    """Yield the scenarios that explain or complete the table."""
    waits = 100 if quick else 10_000
    yield Scenario("ours", 50, 0.3)
    yield Scenario("ours", waits, 0.05, start="in turn", ends=False)
    yield Scenario("asleep", waits // 10, 0.05, ends=False, poll_interval=1.0)
    yield Scenario("asleep", waits, 0.05, ends=False, poll_interval=1.0)
    yield Scenario("ours, sync sensors", 100 if quick else 300, 0.05)


def measure(scenario: Scenario) -> Result:
    """
    Run *scenario* in a process of its own.

    :return: All figures, or those until the bound of the scenario.
    :raises RuntimeError: The process failed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.waits", json.dumps(asdict(scenario))],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=scenario.bound)
    except subprocess.TimeoutExpired:
        # The server ends with the process that started it.
        process.kill()
        output, _ = process.communicate()
        return Result(scenario, _last(output).with_(stopped_after=scenario.bound))
    if process.returncode != 0:
        raise RuntimeError(f"{scenario.title} failed:\n{errors[-4000:]}")
    return Result(scenario, _last(output))


def measure_all(scenarios: Iterator[Scenario], report: Callable[[str], None]) -> list[Result]:
    """Measure *scenarios* one after another, and report each when it is done."""
    results = []
    for scenario in scenarios:
        began = time.monotonic()
        results.append(measure(scenario))
        report(f"{scenario.title}: measured in {time.monotonic() - began:.0f} s")
    return results


def _last(output: str) -> Figures:
    """Return the figures of the last complete line; Airflow may log to the same stream."""
    lines = [line for line in output.split("\n")[:-1] if line.startswith("{")]
    return Figures(**json.loads(lines[-1])) if lines else Figures()
