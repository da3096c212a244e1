"""
An emulated Airbyte in a process of its own, which starts and ends jobs on command.

It writes one line of JSON when it is ready, then reads one command per line from standard input and
answers each with one line. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_airbyte_sme.emulator import Emulator


class Commands:
    """
    What the measuring process can ask for.

    :param emulator: An emulator whose connections have no jobs yet.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._requests: Counter[str] = Counter()
        self._ended: dict[int, float] = {}
        self._endings: list[threading.Thread] = []
        Emulator.observers.append(self._count)

    def start_jobs(self) -> list[tuple[int, str]]:
        """Start a job on every connection that runs until :meth:`end_jobs`; return both ids."""
        started = []
        for connection_id in self._emulator.connections:
            self._emulator.script_job(connection_id, statuses=[("running", None)])
            started.append((self._emulator.start_sync(connection_id), connection_id))
        return started

    def end_jobs(self, job_ids: Sequence[int], seconds: float) -> None:
        """End jobs one after another, evenly within *seconds* from now, and return at once."""
        ending = threading.Thread(target=self._end_jobs, args=(job_ids, seconds), daemon=True)
        ending.start()
        self._endings.append(ending)

    def ended_jobs(self) -> dict[int, float]:
        """Return when each job ended, in seconds since the epoch, once all have."""
        for ending in self._endings:
            ending.join()
        return self._ended

    def count_requests(self) -> dict[str, Any]:
        """Return how many requests each route has had, and the time in seconds since the epoch."""
        return {"at": time.time(), "routes": dict(self._requests)}

    def _count(self, request: object, response: object, route: str | None) -> None:
        self._requests[str(route)] += 1

    def _end_jobs(self, job_ids: Sequence[int], seconds: float) -> None:
        began = time.monotonic()
        for number, job_id in enumerate(job_ids):
            due = began + seconds * number / len(job_ids)
            time.sleep(max(0.0, due - time.monotonic()))
            at = time.time()
            self._emulator.finish_job(job_id)
            self._ended[job_id] = at


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--latency", type=float, required=True, help="seconds before each response")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    names = ({"name": f"Connection {number}"} for number in range(options.connections))
    emulator = Emulator(
        latency=options.latency, threads=options.threads, seed={"connections": list(names)}
    )
    commands = Commands(emulator)
    with emulator.serve() as server:
        credentials = {"login": emulator.client_id, "password": emulator.client_secret}
        _write({"url": server.url, **credentials})
        for line in sys.stdin:
            name, arguments = json.loads(line)
            command: Callable[..., object] = getattr(commands, name)
            _write(command(**arguments))


def _write(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
