"""Carries out the plan of a random run on a cluster, and writes its books."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from scripts.airflow_api import TaskInstance
from scripts.airflow_cluster import AirflowCluster
from tests.system.cluster.books import FINAL_STATES, Account, Books, JobEntry
from tests.system.cluster.plan import Event, Kind, Plan, Strike, Wanted
from tests.system.cluster.syncs import TASK, Airbyte

# As many failing syncs of one connection are prepared: more than a doomed task can start.
_MOST_FAILURES = 8
# Seconds between two looks at the states of all tasks.
_LOOK = 2.0
_PAGE = 100
# How often a read is repeated that has failed.
_READS = 5

T = TypeVar("T")


class Agenda:
    """Things to do at their times, in one thread."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._number = count()
        self._things: list[tuple[float, int, Callable[[], object]]] = []

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def add(self, at: float, thing: Callable[[], object]) -> None:
        """Do *thing* *at* seconds after the start."""
        heapq.heappush(self._things, (at, next(self._number), thing))

    def carry_out(self) -> None:
        """Do everything, also what is added meanwhile."""
        while self._things:
            at, _, thing = heapq.heappop(self._things)
            time.sleep(max(0.0, at - self.now))
            thing()


class RandomRun:
    """
    One run of a plan.

    :param cluster: Where the DAGs of ``dags/random_run.py`` run, not paused.
    :param airbyte: The Airbyte that they reach.
    :param report: Called with one line of progress at a time.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        cluster: AirflowCluster,
        airbyte: Airbyte,
        report: Callable[[str], None] = print,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._airbyte = airbyte
        self._emulator = airbyte.emulator
        self._logs = Path(cluster.environment["AIRFLOW__LOGGING__BASE_LOG_FOLDER"])
        self._away = ExitStack()
        self._report = report
        self._connections: dict[int, str] = {}
        self._runs: dict[int, str] = {}
        self._foreign: set[int] = set()
        self._errors: list[BaseException] = []

    def carry_out(self, *, patience: float) -> Books:
        """
        Run all tasks under all strikes, wait until they have ended, and balance the books.

        :param patience: Seconds to wait after the last strike.
        """
        for wanted in self._plan.tasks:
            self._prepare(wanted)
        begins, strikes = Agenda(), Agenda()
        for wanted in self._plan.tasks:
            begins.add(wanted.begins_at, partial(self._begin, wanted, begins))
        for strike in self._plan.strikes:
            strikes.add(strike.at, partial(self._strike, strike, strikes))
        threads = [
            Thread(target=self._watched, args=(agenda.carry_out,)) for agenda in (begins, strikes)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        self._emulator.clear_faults()
        self._wait(patience)
        return Books.of(self._accounts())

    def _watched(self, carry_out: Callable[[], None]) -> None:
        try:
            carry_out()
        except BaseException as error:
            self._errors.append(error)

    def _prepare(self, wanted: Wanted) -> None:
        """Give a task its Airbyte connection, and say what becomes of its syncs."""
        connection_id = self._emulator.add_connection(f"connection {wanted.number}")
        self._connections[wanted.number] = connection_id
        for _ in range(min(wanted.failures, _MOST_FAILURES)):
            self._emulator.script_job(connection_id, outcome="failed", duration=wanted.duration)
        self._emulator.script_job(connection_id, duration=wanted.duration, rows=wanted.rows)

    def _begin(self, wanted: Wanted, agenda: Agenda) -> None:
        conf: dict[str, Any] = {
            "connection_id": self._connections[wanted.number],
            "since": self._emulator.now.isoformat(),
        }
        if wanted.kind is Kind.JOB_SENSOR:
            conf["airbyte_job_id"] = self._start_foreign(wanted)
        elif wanted.kind.is_sensor:
            agenda.add(agenda.now + wanted.delay, lambda: self._start_foreign(wanted))
        self._runs[wanted.number] = self._cluster.api.trigger(wanted.kind, conf)

    def _start_foreign(self, wanted: Wanted) -> int:
        job_id = self._emulator.start_sync(self._connections[wanted.number])
        self._foreign.add(job_id)
        return job_id

    def _strike(self, strike: Strike, agenda: Agenda) -> None:
        target = self._hit(strike, agenda)
        self._report(f"{agenda.now:6.1f} s  {strike.event}: {target}")

    def _hit(self, strike: Strike, agenda: Agenda) -> str:
        """Let it happen, and return whom it hit."""
        emulator, times = self._emulator, strike.times
        match strike.event:
            case Event.KILL_TASK:
                return self._kill_task(strike)
            case Event.KILL_WORKER:
                return self._kill_node(strike, agenda, "worker")
            case Event.KILL_TRIGGERER:
                return self._kill_node(strike, agenda, "triggerer")
            case Event.KILL_SCHEDULER:
                return self._kill_node(strike, agenda, "scheduler")
            case Event.LOSE_POST:
                emulator.drop_next("POST /jobs", times)
            case Event.RESET_POST:
                emulator.drop_next("POST /jobs", times, after=False)
            case Event.GATEWAY_POST:
                emulator.fail_next("POST /jobs", 504, times, after=True)
            case Event.FAIL_READS:
                emulator.fail_next("*", 500, times)
            case Event.RESET_READS:
                emulator.drop_next("*", times, after=strike.choice < 0.5)
            case Event.SLOW_READS:
                emulator.hang_next("*", strike.seconds, times)
            case Event.REVOKE_TOKENS:
                emulator.revoke_tokens()
            case Event.AWAY:
                self._away.close()
                self._away.enter_context(self._airbyte.away())
                agenda.add(agenda.now + strike.seconds, self._away.close)
                return f"for {strike.seconds:.1f} s"
        return f"{times} requests"

    def _kill_task(self, strike: Strike) -> str:
        running = [
            task
            for task in self._tasks(state="running")
            if not Kind(task.dag_id).is_doomed and self._cluster.task_processes(task)
        ]
        if not running:
            return "none is running"
        task = running[strike.choose(len(running))]
        self._cluster.kill_task(task)
        return f"{task.dag_id} {task.run_id}, try {task.try_number}"

    def _kill_node(self, strike: Strike, agenda: Agenda, component: str) -> str:
        nodes = [
            name
            for name, node in sorted(self._cluster.components.items())
            if name.startswith(component) and node.pid is not None
        ]
        if not nodes:
            return "none is there"
        name = nodes[strike.choose(len(nodes))]
        node = self._cluster.components[name]
        node.kill()
        agenda.add(agenda.now + strike.seconds, node.start)
        return f"{name}, for {strike.seconds:.1f} s"

    def _tasks(self, **query: object) -> list[TaskInstance]:
        """Return the task instances of this run."""
        ours, found = set(self._runs.values()), []
        for offset in count(0, _PAGE):
            answer = patiently(
                partial(
                    self._cluster.api.request,
                    "GET",
                    "/dags/~/dagRuns/~/taskInstances",
                    query={**query, "limit": _PAGE, "offset": offset, "order_by": "id"},
                )
            )
            tasks = answer["task_instances"]
            found += [TaskInstance.from_json(each) for each in tasks]
            if len(tasks) < _PAGE:
                break
        return [task for task in found if task.run_id in ours]

    def _wait(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        reported = 0.0
        while True:
            states = Counter(task.state for task in self._tasks())
            if states.keys() <= {*FINAL_STATES, "skipped"} or time.monotonic() > deadline:
                self._report(f"All have ended, or the time is over: {dict(states)}")
                return
            if time.monotonic() - reported > 10:
                reported = time.monotonic()
                self._report(f"Waiting for the tasks to end: {dict(states)}")
            time.sleep(_LOOK)

    def _accounts(self) -> Iterator[Account]:
        tasks = {(task.dag_id, task.run_id): task for task in self._tasks()}
        jobs: dict[str, list[JobEntry]] = {}
        for job in sorted(self._emulator.jobs.values(), key=lambda job: job.id):
            entry = JobEntry(job.id, job.status, job.rows, job.id in self._foreign)
            jobs.setdefault(job.connection_id, []).append(entry)
        for wanted in self._plan.tasks:
            run_id = self._runs[wanted.number]
            task = tasks[wanted.kind, run_id]
            yield Account(
                wanted,
                tuple(jobs.get(self._connections[wanted.number], ())),
                task.state,
                task.try_number,
                patiently(partial(self._cluster.api.xcom, wanted.kind, run_id, TASK)),
                "" if task.state == "success" else self.log_of(wanted),
            )

    def log_of(self, wanted: Wanted) -> str:
        """Return all that the tries of a task have logged, on workers and in triggerers."""
        folder = self._logs / f"dag_id={wanted.kind}" / f"run_id={self._runs[wanted.number]}"
        files = sorted((folder / f"task_id={TASK}").glob("attempt=*"))
        return "\n".join(file.read_text(errors="replace") for file in files)


def patiently(read: Callable[[], T]) -> T:
    """Return the result of *read*: an API server that is too busy is asked again."""
    for _ in range(_READS):
        with suppress(OSError):
            return read()
    return read()
