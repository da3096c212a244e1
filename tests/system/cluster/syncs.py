"""Syncs that a cluster runs, and an Airbyte that can be away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator.server import Server
from scripts.airflow_api import TaskInstance, poll
from scripts.airflow_cluster import AirflowCluster

MAX_WAIT = 180.0
"""Seconds. Nothing is tested by it: a busy machine may take long to start a task's process."""

TASK = "sync"


class Airbyte:
    """
    An emulator that a cluster reaches, as a context manager.

    Its jobs run until :meth:`finish` ends them, unless they are scripted.
    """

    def __init__(self) -> None:
        self.emulator = Emulator(time="real")
        self._server: Server = self.emulator.serve()

    def __enter__(self) -> Airbyte:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__(None, None, None)

    @property
    def connection_uri(self) -> str:
        """Airflow connection URI."""
        return self._server.connection_uri

    @contextmanager
    def away(self) -> Iterator[None]:
        """Refuse all connections in the meantime. Jobs go on."""
        port = int(self._server.url.rpartition(":")[2])
        self._server.__exit__(None, None, None)
        try:
            yield
        finally:
            self._server = self.emulator.serve(port=port)
            self._server.__enter__()

    def add_connection(self) -> str:
        """Add a connection whose next job runs until it is finished."""
        connection_id = self.emulator.add_connection()
        self.emulator.script_job(connection_id, statuses=[("running", None)])
        return connection_id

    def jobs(self, connection_id: str) -> dict[int, str]:
        """Job id to status, for all jobs of a connection."""
        return {
            job.id: job.status
            for job in self.emulator.jobs.values()
            if job.connection_id == connection_id
        }

    def finish(self, *connection_ids: str) -> None:
        """Let the running jobs of connections succeed."""
        for job in list(self.emulator.jobs.values()):
            if job.connection_id in connection_ids and not job.is_terminal:
                self.emulator.finish_job(job.id)


@dataclass(frozen=True)
class Sync:
    """A task ``sync`` in a run of a DAG, and the connection that it syncs."""

    cluster: AirflowCluster = field(repr=False)
    airbyte: Airbyte = field(repr=False)
    dag_id: str
    run_id: str
    connection_id: str
    map_index: int = -1

    @classmethod
    def start(cls, cluster: AirflowCluster, airbyte: Airbyte, dag_id: str) -> Sync:
        """Run a DAG of one task, whose job runs until it is finished."""
        connection_id = airbyte.add_connection()
        run_id = cluster.api.trigger(dag_id, {"connection_id": connection_id})
        return cls(cluster, airbyte, dag_id, run_id, connection_id)

    @classmethod
    def start_mapped(
        cls, cluster: AirflowCluster, airbyte: Airbyte, dag_id: str, count: int
    ) -> list[Sync]:
        """Run a DAG whose task is mapped over *count* connections."""
        connection_ids = [airbyte.add_connection() for _ in range(count)]
        run_id = cluster.api.trigger(dag_id, {"connection_ids": connection_ids})
        poll(
            lambda: len(cluster.api.task_instances(dag_id, run_id)) > count,
            timeout=MAX_WAIT,
            what="the mapped tasks",
        )
        return [
            cls(cluster, airbyte, dag_id, run_id, connection_id, index)
            for index, connection_id in enumerate(connection_ids)
        ]

    @property
    def task(self) -> TaskInstance:
        """The task as Airflow shows it now."""
        return self.cluster.api.task_instance(self.dag_id, self.run_id, TASK, self.map_index)

    def wait(self, *states: str, try_number: int = 1) -> TaskInstance:
        """Wait until the task is in one of *states*, on that try or a later one."""
        return self.cluster.api.wait_for_task(
            *(self.dag_id, self.run_id, TASK, states),
            timeout=MAX_WAIT,
            try_number=try_number,
            map_index=self.map_index,
        )

    def wait_until_watched(self, try_number: int = 1) -> int:
        """
        Wait until a worker or a triggerer watches the running job, and return the job's id.

        A deferred task that is ended before a triggerer has picked it up leaves its job running.
        """

        def watched_job() -> int | None:
            running = [job for job, status in self.jobs.items() if status == "running"]
            task = self.task
            if not running or task.try_number < try_number:
                return None
            signs = {
                "running": rf"[Jj]ob {running[0]}\b.*\brunning",
                # Airflow's own line.
                "deferred": r"^trigger .* starting$",
            }
            sign = signs.get(task.state or "")
            return running[0] if sign and re.search(sign, self.log(task), re.MULTILINE) else None

        return poll(watched_job, timeout=MAX_WAIT, what=f"{self} to watch its job", interval=0.5)

    def wait_for_status(self, job_id: int, status: str) -> float:
        """Wait until a job has a status; return when it was last updated, since the epoch."""
        poll(
            lambda: self.jobs[job_id] == status,
            timeout=MAX_WAIT,
            what=f"job {job_id} to become {status}",
        )
        return self.airbyte.emulator.jobs[job_id].updated_at

    def finish(self) -> None:
        """Let the running job succeed."""
        self.airbyte.finish(self.connection_id)

    def script_next_job(self) -> None:
        """Make the connection's next job succeed after one second."""
        self.airbyte.emulator.script_job(self.connection_id, duration=1)

    def log(self, task: TaskInstance | None = None) -> str:
        """Return the log of the task's current try, as one text."""
        return "\n".join(self.cluster.api.log(task or self.task))

    @property
    def jobs(self) -> dict[int, str]:
        """Job id to status, for all jobs of the connection."""
        return self.airbyte.jobs(self.connection_id)

    @property
    def result(self) -> Any:
        """The result of the task."""
        return self.cluster.api.xcom(self.dag_id, self.run_id, TASK, map_index=self.map_index)

    @property
    def synced_job_id(self) -> int:
        """The job id in the task's result."""
        result = self.result
        assert result["status"] == "succeeded"
        job_id: int = result["job_id"]
        return job_id
