"""
A real Airflow cluster on this machine, whose parts can be killed as when their nodes fail.

PostgreSQL, Redis, an API server, a scheduler, a DAG processor, triggerers and Celery workers run as
processes on loopback. Each component counts as a node with a host name of its own::

    with AirflowCluster(home=folder, dags_folder=dags, dag_ids=["syncs"]) as cluster:
        run_id = cluster.api.trigger("syncs")
        task = cluster.api.wait_for_task("syncs", run_id, "sync", ["running"])
        cluster.kill("worker", cluster.worker_of(task))
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psutil

from scripts import postgres, redis_server
from scripts.airflow_api import AirflowApiError, TaskInstance
from scripts.airflow_harness import LocalAirflow
from scripts.processes import kill_processes

DRIVERS = ("celery", "redis")

# Seconds until a part that is gone is noticed. Airflow's defaults are for large deployments: 300
# for a task, 30 for a triggerer or a scheduler, 300 between two looks for the scheduler's tasks.
SETTINGS = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
    # A worker that is killed takes the tasks with it that it has received and not begun.
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    # The files do not change.
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "API__MAXIMUM_PAGE_LIMIT": "1000",
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__PARALLELISM": "64",
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
    "CORE__MAX_ACTIVE_RUNS_PER_DAG": "1000",
    # Airflow calls it without arguments; it returns the variable LOGNAME.
    "CORE__HOSTNAME_CALLABLE": "getpass.getuser",
}


def missing_programs() -> list[str]:
    """Return what the cluster needs and this machine does not have, as words for a message."""
    return [
        name
        for name, is_there in (
            ("PostgreSQL", postgres.is_installed()),
            ("Redis", redis_server.is_installed()),
            ("Celery", all(map(find_spec, DRIVERS))),
        )
        if not is_there
    ]


class AirflowCluster(LocalAirflow):
    """
    A context manager that runs the cluster: a `LocalAirflow` with several nodes of a kind.

    :param home: ``AIRFLOW_HOME`` of all nodes; an existing folder that nothing else uses.
    :param dags_folder: Folder of the DAG files.
    :param dag_ids: DAGs that are parsed and not paused when the context is entered.
    :param environment: Additional environment variables of every node.
    :param triggerers: Number of triggerers.
    :param workers: Number of Celery workers.
    :param slots: Tasks that one worker runs at a time.
    :param report: Called with one line of progress at a time.
    """

    def __init__(
        self,
        *,
        home: Path,
        dags_folder: Path,
        dag_ids: Collection[str] = (),
        environment: Mapping[str, str] | None = None,
        triggerers: int = 2,
        workers: int = 2,
        slots: int = 8,
        report: Callable[[str], None] = print,
    ) -> None:
        self._servers = ExitStack()
        self._database = postgres.LocalPostgres()
        self._broker = redis_server.LocalRedis()
        super().__init__(
            home=home,
            dags_folder=dags_folder,
            dag_ids=dag_ids,
            environment={
                **{f"AIRFLOW__{name}": value for name, value in SETTINGS.items()},
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self._database.url,
                "AIRFLOW__CELERY__BROKER_URL": self._broker.url,
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self._database.url}",
                **(environment or {}),
            },
            report=report,
        )
        del self.components["triggerer"]
        # --skip-serve-logs: the log servers would listen on all interfaces.
        for index in range(triggerers):
            self._add("triggerer", index, "triggerer", "--skip-serve-logs")
        for index in range(workers):
            self._add(
                *("worker", index, "celery", "worker", "--skip-serve-logs"),
                *("--concurrency", str(slots), "--celery-hostname", f"worker-{index}@%h"),
                # Workers would wait for each other when they start.
                *("--without-mingle", "--without-gossip"),
            )

    def __enter__(self) -> Self:
        with ExitStack() as servers:
            servers.enter_context(self._database)
            servers.enter_context(self._broker)
            super().__enter__()
            self._servers = servers.pop_all()
        return self

    def __exit__(self, *details: object) -> None:
        with self._servers:
            super().__exit__(*details)

    def kill(self, component: str, index: int = 0) -> None:
        """
        SIGKILL a component and all its processes, as when its node fails.

        :param component: ``api-server``, ``scheduler``, ``dag-processor``, ``triggerer`` or
            ``worker``. The processes of a worker include those of its tasks.
        :param index: Which one, of triggerers and workers, from 0.
        """
        super().kill(self._node(component, index))

    def restart(self, component: str, index: int = 0) -> None:
        """Start a component that was killed or stopped, and wait until it is healthy."""
        self.start(self._node(component, index))

    def repair(self) -> None:
        """Let all components run that were killed, stopped or paused, and wait for them."""
        for component in self.components.values():
            _send(signal.SIGCONT, component.processes())
        self.start(*(name for name, each in self.components.items() if each.pid is None))

    def stop(self, component: str, index: int = 0) -> None:
        """Stop a component gracefully, as a deployment does."""
        super().stop(self._node(component, index))

    def is_running(self, component: str, index: int = 0) -> bool:
        """Whether a component was started, and neither killed nor stopped since."""
        return self.components[self._node(component, index)].pid is not None

    def processes(self, component: str, index: int = 0) -> list[psutil.Process]:
        """Return all living processes of a component."""
        return self.components[self._node(component, index)].processes()

    def output(self, component: str, index: int = 0) -> str:
        """Return what a component has logged since it was last started."""
        return self.components[self._node(component, index)].output

    def worker_of(self, task: TaskInstance) -> int:
        """Return the index of the worker that runs a task."""
        return _index(task.hostname)

    def triggerer_of(self, task: TaskInstance) -> int:
        """Return the index of the triggerer that waits for a deferred task."""
        return _index(task.triggerer)

    def task_processes(self, task: TaskInstance) -> list[psutil.Process]:
        """
        Return the processes of a running task, and of no other: what it runs in, then its children.

        :param task: As read from the API while it runs.
        :return: None if the task has no process any more.
        """
        if task.pid is None:
            return []
        try:
            process = psutil.Process(task.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill_task(self, task: TaskInstance) -> None:
        """SIGKILL the processes of a running task. Its supervisor on the worker lives on."""
        kill_processes(lambda: self.task_processes(task))

    def kill_supervisor(self, task: TaskInstance) -> None:
        """SIGKILL the supervisor of a running task on its worker. The task itself lives on."""
        process, *_ = self.task_processes(task)
        kill_processes(lambda: filter(None, [process.parent()]))

    def pause(self, component: str, index: int = 0) -> None:
        """Stop all processes of a component without a word, as a suspended machine does."""
        _send(signal.SIGSTOP, self.processes(component, index))

    def resume(self, component: str, index: int = 0) -> None:
        """Let the processes of a paused component go on."""
        _send(signal.SIGCONT, self.processes(component, index))

    def _add(self, component: str, index: int, *arguments: str) -> None:
        name = f"{component}-{index}"
        self.components[name] = self._process(*arguments, name=name, environment={"LOGNAME": name})

    def _node(self, component: str, index: int) -> str:
        return component if component in self.components else f"{component}-{index}"

    def _healthy(self, since: datetime) -> set[str]:
        healthy = super()._healthy(since)
        try:
            jobs = self.api.request(
                "GET", "/jobs", query={"order_by": "-id", "job_state": "running"}
            )
        except (OSError, AirflowApiError):
            return healthy
        healthy |= {
            job["hostname"]
            for job in jobs["jobs"]
            if datetime.fromisoformat(job["latest_heartbeat"]) >= since
        }
        # Celery workers are not among Airflow's jobs.
        return healthy | {
            name
            for name, component in self.components.items()
            if name.startswith("worker-") and " ready." in component.output
        }


def _send(number: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _index(hostname: str | None) -> int:
    if hostname is None:
        raise ValueError("the task is at no node")
    return int(hostname.rpartition("-")[2])
