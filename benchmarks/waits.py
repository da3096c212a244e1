"""
One measurement of many waits in one event loop, in a process of its own.

Started by :mod:`benchmarks.scenarios` as ``python -m benchmarks.waits SCENARIO``. After each phase
it writes one line of JSON with all figures so far, so that something is known of a measurement that
takes too long. The phases:

1. one wait alone: what is imported and set up only once is not part of the others;
2. start: all waits at once, until one poll interval later;
3. idle, with a ticker: nothing changes in Airbyte;
4. idle, without it: CPU and memory;
5. ends: up to :data:`SPREAD_ENDS` jobs end, evenly within :data:`ENDING_ROUNDS` rounds;
6. burst: :data:`BURST` further jobs end within a second, if there are as many.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

import psutil
from airflow.triggers.base import BaseTrigger

from benchmarks.airbyte import CONN_VARIABLE, AirbyteServer, RunningJob
from benchmarks.event_loop import Ticker
from benchmarks.providers import WAITING, Waiting
from benchmarks.scenarios import Figures, Scenario

SPREAD_ENDS = 1000
ENDING_ROUNDS = 2
BURST = 1000
BURST_SECONDS = 1.0
# Between two looks at what has been delivered. Seconds.
_LOOK = 0.05


class Measurement:
    """
    The waits of one scenario, and what is measured about them.

    :param jobs: Jobs that run until *airbyte* is told to end them, one for each wait.
    """

    def __init__(
        self, scenario: Scenario, airbyte: AirbyteServer, jobs: Sequence[RunningJob]
    ) -> None:
        self._scenario = scenario
        self._airbyte = airbyte
        self._jobs = jobs
        self._waiting: Waiting = WAITING[scenario.waiting]
        self._tasks: list[asyncio.Task[None]] = []
        self._delivered: dict[int, float] = {}
        self._figures = Figures()

    async def run(self) -> None:
        """Go through all phases."""
        await self._measure_one_wait()
        gc.collect()
        memory = _resident_bytes()
        triggers = [self._trigger(job) for job in self._jobs]
        async with Ticker() as ticker:
            await self._start_all(triggers)
            await asyncio.sleep(self._scenario.poll_interval)
            self._report(start_gap=(start := ticker.lap()).largest, start_blocked=start.blocked)
            await asyncio.sleep(self._scenario.poll_interval)
            idle_since = await asyncio.to_thread(self._airbyte.count_requests)
            await self._sleep_rounds()
            idle = ticker.lap()
            self._report(idle_gap=idle.largest, idle_blocked=idle.blocked)
        cpu, wall = time.process_time(), time.perf_counter()
        await self._sleep_rounds()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        idle_until = await asyncio.to_thread(self._airbyte.count_requests)
        gc.collect()
        self._report(
            cpu_percent=100 * cpu / wall,
            bytes_per_wait=(_resident_bytes() - memory) / self._scenario.waits,
            requests_per_round=idle_until.per_round_since(idle_since, self._scenario.poll_interval),
        )
        if self._scenario.ends:
            await self._measure_ends()
        after = await asyncio.to_thread(self._airbyte.count_requests)
        self._report(token_exchanges=after.token_exchanges)
        await _cancel(self._tasks)

    async def _measure_one_wait(self) -> None:
        async with Ticker() as ticker:
            # Importing the trigger is a part of it, as in Airflow's triggerer.
            trigger = self._trigger(self._jobs[0])
            task = asyncio.create_task(self._wait(self._jobs[0], trigger))
            await asyncio.sleep(self._scenario.poll_interval)
            self._report(first_wait_gap=ticker.lap().largest)
        await _cancel([task])

    def _trigger(self, job: RunningJob) -> BaseTrigger:
        return self._waiting.trigger(job, self._scenario.poll_interval)

    async def _start_all(self, triggers: Sequence[BaseTrigger]) -> None:
        for job, trigger in zip(self._jobs, triggers, strict=True):
            if self._scenario.start == "in turn":
                await asyncio.sleep(0)
            self._tasks.append(asyncio.create_task(self._wait(job, trigger)))

    async def _wait(self, job: RunningJob, trigger: BaseTrigger) -> None:
        """Run the trigger of *job* to its end."""
        async for event in trigger.run():
            self._delivered[job.job_id] = time.time()
            if not self._waiting.is_success(event.payload):
                raise RuntimeError(f"job {job.job_id} succeeded, but: {event.payload}")

    async def _measure_ends(self) -> None:
        spread = self._jobs[:SPREAD_ENDS]
        seconds = ENDING_ROUNDS * self._scenario.poll_interval
        async with Ticker() as ticker:
            await self._end(spread, seconds)
            ends = ticker.lap()
        latencies = await self._latencies(spread)
        self._report(
            ends_gap=ends.largest,
            ends_blocked=ends.blocked,
            latency_p50=_percentile(latencies, 50),
            latency_p99=_percentile(latencies, 99),
            latency_max=latencies[-1],
        )
        burst = self._jobs[SPREAD_ENDS:][:BURST]
        if len(burst) < BURST:
            return
        before = await asyncio.to_thread(self._airbyte.count_requests)
        async with Ticker() as ticker:
            await self._end(burst, BURST_SECONDS)
            gaps = ticker.lap()
        after = await asyncio.to_thread(self._airbyte.count_requests)
        last_end = max(ended := await self._ended(burst))
        last_event = max(self._delivered[job.job_id] for job in burst)
        self._report(
            burst_gap=gaps.largest,
            burst_ending_seconds=last_end - min(ended),
            burst_rounds=(last_event - min(ended)) / self._scenario.poll_interval,
            burst_latency_max=(await self._latencies(burst))[-1],
            burst_requests=after.others - before.others,
        )

    async def _end(self, jobs: Sequence[RunningJob], seconds: float) -> None:
        """Let *jobs* end within *seconds*, and wait until each has been delivered."""
        await asyncio.to_thread(self._airbyte.end_jobs, jobs, seconds=seconds)
        while not all(job.job_id in self._delivered for job in jobs):
            await asyncio.sleep(_LOOK)
            for task in self._tasks:
                if task.done():
                    task.result()

    async def _ended(self, jobs: Sequence[RunningJob]) -> list[float]:
        ended = await asyncio.to_thread(self._airbyte.ended_jobs)
        return [ended[job.job_id] for job in jobs]

    async def _latencies(self, jobs: Sequence[RunningJob]) -> list[float]:
        """Return the seconds from the end of each job to its event, in ascending order."""
        ended = await self._ended(jobs)
        return sorted(self._delivered[job.job_id] - at for job, at in zip(jobs, ended, strict=True))

    async def _sleep_rounds(self) -> None:
        await asyncio.sleep(self._scenario.idle_rounds * self._scenario.poll_interval)

    def _report(self, **figures: float) -> None:
        self._figures = self._figures.with_(**figures)
        print(json.dumps(asdict(self._figures)), flush=True)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel the waits that are left; a wait that has failed fails the measurement."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


def _resident_bytes() -> int:
    # Resident memory, because the TLS settings of a client are outside of Python's heap.
    resident: int = psutil.Process().memory_info().rss
    return resident


def _percentile(ascending: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile."""
    rank = -(-len(ascending) * percent // 100)
    return ascending[max(0, rank - 1)]


def main() -> None:
    """Measure the scenario that is the only argument."""
    logging.disable(logging.INFO)
    scenario = Scenario(**json.loads(sys.argv[1]))
    with AirbyteServer(connections=scenario.waits, latency=scenario.latency) as airbyte:
        os.environ[CONN_VARIABLE] = airbyte.airflow_connection
        jobs = airbyte.start_jobs()
        asyncio.run(Measurement(scenario, airbyte, jobs).run())


if __name__ == "__main__":
    main()
