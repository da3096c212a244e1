"""The local Airbyte that both providers are measured against, as seen by the measuring process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parent.parent

CONN_ID = "airbyte_sme_default"
CONN_VARIABLE = "AIRFLOW_CONN_AIRBYTE_SME_DEFAULT"

THREADS = 5
"""Requests that the server handles at the same time, Airbyte's default (docs/airbyte-api.md)."""

STOP_TIMEOUT = 10.0  # seconds

_TOKEN_ROUTE = "POST /applications/token"


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that runs until the server is told to end it."""

    job_id: int
    connection_id: str


@dataclass(frozen=True, slots=True)
class Requests:
    """
    Requests that the server has had since it started.

    :param at: When they were counted, in seconds since the epoch.
    :param routes: Number of requests of each route.
    """

    at: float
    routes: Mapping[str, int]

    @property
    def token_exchanges(self) -> int:
        """Number of tokens asked for."""
        return self.routes.get(_TOKEN_ROUTE, 0)

    @property
    def others(self) -> int:
        """Number of requests for anything but a token."""
        return sum(self.routes.values()) - self.token_exchanges

    def per_round_since(self, earlier: Requests, round_seconds: float) -> float:
        """Return the number of requests without those for tokens in *round_seconds*."""
        return (self.others - earlier.others) * round_seconds / (self.at - earlier.at)


class AirbyteServer:
    """
    A context manager that runs the server as a process, so that the two do not share a loop.

    :param connections: Number of its connections.
    :param latency: Seconds before each response.
    """

    def __init__(self, *, connections: int, latency: float) -> None:
        self._command = [
            sys.executable,
            "-m",
            "benchmarks.airbyte_server",
            *("--connections", str(connections)),
            *("--latency", str(latency)),
            *("--threads", str(THREADS)),
        ]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ready = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT)
        finally:
            self._process.kill()

    @property
    def airflow_connection(self) -> str:
        """
        The Airflow connection as JSON, for ``AIRFLOW_CONN_…``; it works with both providers.

        The official one needs the path of the public API in the host.
        """
        return json.dumps(
            {
                "conn_type": "airbyte_sme",
                "host": f"{self._ready['url']}/api/public/v1",
                "login": self._ready["login"],
                "password": self._ready["password"],
            }
        )

    def start_jobs(self) -> list[RunningJob]:
        """Start one job on every connection."""
        return [RunningJob(*ids) for ids in self._ask("start_jobs")]

    def end_jobs(self, jobs: Sequence[RunningJob], *, seconds: float) -> None:
        """Let *jobs* succeed one after another, evenly within *seconds* from now."""
        self._ask("end_jobs", job_ids=[job.job_id for job in jobs], seconds=seconds)

    def ended_jobs(self) -> dict[int, float]:
        """
        Return when each job ended, once all that were told to have.

        :return: Job id to seconds since the epoch. Both processes read the same clock.
        """
        return {int(job_id): at for job_id, at in self._ask("ended_jobs").items()}

    def count_requests(self) -> Requests:
        """Return the number of requests until now."""
        return Requests(**self._ask("count_requests"))

    def _ask(self, command: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended: {' '.join(self._command[1:])}")
        return json.loads(line)
