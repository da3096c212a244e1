"""
Deferred tasks in the triggerer of a real Airflow, with PostgreSQL and the LocalExecutor.

A worker process for each of 500 tasks would take longer than everything else, so the tasks are
deferred by writing to Airflow's database what a worker would have it write
(:mod:`benchmarks.deferral`). From there on everything is Airflow's own: its triggerer runs the
triggers, its scheduler and its workers resume the tasks.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.airbyte import CONN_VARIABLE, REPOSITORY, AirbyteServer, RunningJob
from scripts import postgres

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from scripts.airflow_harness import LocalAirflow

DAGS = Path(__file__).parent / "dags"

# What each operator defers with: ours by default, the official one always. Seconds.
POLL_INTERVALS = {"ours": 10.0, "official": 60.0}

LATENCY = 0.05  # seconds
ENDING_SECONDS = 10.0

# Seconds between two looks at the database.
_LOOK = 0.5
_BLOCKED = re.compile(r"async thread was blocked for ([0-9.]+) seconds")


@dataclass(frozen=True, slots=True)
class TriggererFigures:
    """
    What was measured with one provider. Times are in seconds.

    :param poll_interval: Poll interval of its triggers.
    :param heartbeat_age: Largest age of the triggerer's heartbeat in Airflow's database.
    :param blocked_waiting: How often the triggerer logged that its event loop was blocked, by
        default for more than 0.2 s, from the deferral until the jobs began to end.
    :param blocked_firing: The same from then on. Airflow itself writes its log and its database
        then, and starts the workers.
    :param blocked_seconds: The sum of what all these lines say.
    :param longest_block: The largest of them.
    :param last_event: From the end of the last job until the last event is in Airflow's database;
        ``None``: not within *bound*.
    :param last_success: From the end of the last job until the last task has succeeded, which
        includes a worker process for each; ``None``: not within *bound*.
    :param succeeded: Number of tasks that have succeeded by then.
    :param bound: How long was waited for either.
    """

    provider: str
    tasks: int
    poll_interval: float
    heartbeat_age: float
    blocked_waiting: int
    blocked_firing: int
    blocked_seconds: float
    longest_block: float
    last_event: float | None
    last_success: float | None
    succeeded: int
    bound: float


def measure_triggerers(report: Callable[[str], None], *, quick: bool) -> list[TriggererFigures]:
    """
    Measure this provider, then the official one if it is installed, in one Airflow.

    :param report: Called with one line of progress at a time.
    :return: Nothing if PostgreSQL is not installed: SQLite does not carry so many tasks.
    """
    if not postgres.is_installed():
        report("The triggerer is not measured: PostgreSQL is not installed.")
        return []
    tasks, watched, bound = (10, 10.0, 120.0) if quick else (500, 60.0, 900.0)
    providers = ["ours", *(["official"] if _has_official() else [])]
    return list(_measure(providers, tasks, watched, bound, report))


def _measure(
    providers: Sequence[str],
    tasks: int,
    watched: float,
    bound: float,
    report: Callable[[str], None],
) -> Iterator[TriggererFigures]:
    # Airflow reads its configuration when it is imported, and this process runs none.
    from sqlalchemy import create_engine

    from scripts.airflow_harness import LocalAirflow

    for provider in providers:
        with (
            tempfile.TemporaryDirectory() as home,
            postgres.LocalPostgres() as database,
            AirbyteServer(connections=tasks, latency=LATENCY) as airbyte,
        ):
            jobs = airbyte.start_jobs()
            environment = {
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
                CONN_VARIABLE: airbyte.airflow_connection,
                "BENCHMARK_CONNECTION_IDS": ",".join(job.connection_id for job in jobs),
                "BENCHMARK_HAS_OFFICIAL": "yes" if _has_official() else "no",
            }
            with LocalAirflow(
                home=Path(home),
                dags_folder=DAGS,
                dag_ids=[provider],
                environment=environment,
                report=report,
            ) as airflow:
                run = _Run(provider, airflow, create_engine(database.url), airbyte, jobs)
                yield run.measure(Path(home), watched, bound, report)


class _Run:
    """A DAG run of one mapped task whose instances wait for *jobs*."""

    def __init__(
        self,
        provider: str,
        airflow: LocalAirflow,
        engine: Engine,
        airbyte: AirbyteServer,
        jobs: Sequence[RunningJob],
    ) -> None:
        self._provider = provider
        self._airflow = airflow
        self._engine = engine
        self._airbyte = airbyte
        self._jobs = jobs
        self._poll_interval = POLL_INTERVALS[provider]
        self._heartbeat_age = 0.0

    def measure(
        self, home: Path, watched: float, bound: float, report: Callable[[str], None]
    ) -> TriggererFigures:
        """
        Defer the tasks, let them wait, end their jobs, and wait until all have succeeded.

        :param watched: Seconds to wait before the jobs end.
        :param bound: Seconds to wait for the events, and again for the successes.
        """
        run_id = self._airflow.api.trigger(self._provider)
        self._defer(run_id)
        self._airflow.api.request("PATCH", f"/dags/{self._provider}", {"is_paused": False})
        report(f"{self._provider}: {len(self._jobs)} tasks are deferred")
        self._watch(watched, lambda states: False)
        waiting = self._blocks(home)
        self._airbyte.end_jobs(self._jobs, seconds=ENDING_SECONDS)
        last_end = max(self._airbyte.ended_jobs().values())
        last_event = self._watch(bound, lambda states: not states["deferred"])
        report(f"{self._provider}: {'all' if last_event else 'not all'} triggers have fired")
        last_success = self._watch(
            bound, lambda states: states["success"] + states["failed"] == len(self._jobs)
        )
        states = self._states()
        if states["failed"]:
            raise RuntimeError(f"{states['failed']} tasks failed with {self._provider}")
        blocked = self._blocks(home)
        return TriggererFigures(
            provider=self._provider,
            tasks=len(self._jobs),
            poll_interval=self._poll_interval,
            heartbeat_age=self._heartbeat_age,
            blocked_waiting=len(waiting),
            blocked_firing=len(blocked) - len(waiting),
            blocked_seconds=sum(blocked),
            longest_block=max(blocked, default=0.0),
            last_event=None if last_event is None else last_event - last_end,
            last_success=None if last_success is None else last_success - last_end,
            succeeded=states["success"],
            bound=bound,
        )

    def _blocks(self, home: Path) -> list[float]:
        """Return the seconds of every block that the triggerer has logged."""
        log = (home / "component-logs" / "triggerer.log").read_text()
        return [float(seconds) for seconds in _BLOCKED.findall(log)]

    def _defer(self, run_id: str) -> None:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.deferral",
                self._provider,
                run_id,
                str(self._poll_interval),
            ],
            cwd=REPOSITORY,
            env=self._airflow.environment,
            input=json.dumps([[job.job_id, job.connection_id] for job in self._jobs]),
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def _watch(self, seconds: float, is_over: Callable[[Counter[str]], bool]) -> float | None:
        """
        Note the age of the heartbeat until *is_over*.

        :return: When that was seen first, in seconds since the epoch; ``None``: not in *seconds*.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._airflow.check_alive()
            self._heartbeat_age = max(self._heartbeat_age, self._age_of_heartbeat())
            if is_over(self._states()):
                return time.time()
            time.sleep(_LOOK)
        return None

    def _states(self) -> Counter[str]:
        """Return how many of the tasks are in each state."""
        query = "select state, count(*) from task_instance where dag_id = %(dag)s group by state"
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql(query, {"dag": self._provider})
            return Counter({str(state): number for state, number in rows})

    def _age_of_heartbeat(self) -> float:
        query = (
            "select extract(epoch from now() - max(latest_heartbeat)) from job "
            "where job_type = 'TriggererJob'"
        )
        with self._engine.connect() as connection:
            return float(connection.exec_driver_sql(query).scalar_one())


def _has_official() -> bool:
    return find_spec("airflow.providers.airbyte") is not None
