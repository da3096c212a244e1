"""
Which tasks of Airflow wait for Airbyte now.

A deferred task is known by the arguments of its trigger, one on a worker by the XComs that our
operators and sensors push before they wait. The id of the Airbyte connection says what it waits
for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from airflow_provider_airbyte_sme.operators.base import (
    CONNECTION_ID_KEY,
    JOB_ID_KEY,
    RESOURCE_URL_KEY,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

TASKS_INTERVAL = 5.0
"""Seconds for which what was read from Airflow's database counts, for all who look at the page."""
MAX_TASKS = 2_000
"""Tasks that are read at most, of each way to wait."""

_OUR_TRIGGERS = "airflow_provider_airbyte_sme.triggers.%"


class TaskKey(NamedTuple):
    """What names a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """
    A task instance that waits for a job of Airbyte, or for a sync of a connection.

    :param state: As Airflow names it.
    :param connection_id: UUID of the Airbyte connection, in lower case.
    :param job_id: ``None`` if it waits for any sync, or if its job is not known.
    :param since: When this try began.
    """

    key: TaskKey
    state: str
    connection_id: str
    job_id: int | None = None
    since: datetime | None = None

    @property
    def name(self) -> str:
        """DAG and task, with the index of a mapped task."""
        index = f" [{self.key.map_index}]" if self.key.map_index >= 0 else ""
        return f"{self.key.dag_id}.{self.key.task_id}{index}"

    @property
    def path(self) -> str:
        """The page of the task instance, below the root of Airflow's UI."""
        dag_id, run_id, task_id = (quote(part, safe="") for part in self.key[:3])
        path = f"dags/{dag_id}/runs/{run_id}/tasks/{task_id}"
        return f"{path}/mapped/{self.key.map_index}" if self.key.map_index >= 0 else path


class WaitingTasks:
    """The waiting tasks of all DAGs, read from Airflow's database every few seconds at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: tuple[WaitingTask, ...] = ()
        self._due = 0.0

    def get(self) -> tuple[WaitingTask, ...]:
        """Return them, in the order of their names. Nobody's permissions are applied."""
        with self._lock:
            if time.monotonic() >= self._due:
                self._tasks = _read_tasks()
                self._due = time.monotonic() + TASKS_INTERVAL
            return self._tasks


def _read_tasks() -> tuple[WaitingTask, ...]:
    from airflow.utils.session import create_session

    with create_session() as session:
        found = {task.key: task for task in _on_workers(session)}
        found.update({task.key: task for task in _deferred(session)})
    return tuple(found[key] for key in sorted(found))


def _deferred(session: Session) -> Iterator[WaitingTask]:
    from airflow.models.taskinstance import TaskInstance as Instance
    from airflow.models.trigger import Trigger
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select
    from sqlalchemy.orm import lazyload

    rows: Iterable[Any] = session.execute(
        select(*_columns(Instance), Trigger)
        .join(Trigger, Trigger.id == Instance.trigger_id)
        .where(
            Instance.state == TaskInstanceState.DEFERRED,
            Trigger.classpath.like(_OUR_TRIGGERS),
        )
        .options(lazyload(Trigger.task_instance))
        .limit(MAX_TASKS)
    )
    for *columns, trigger in rows:
        try:
            arguments = trigger.kwargs
        # It was encrypted with another key, or is of a version that this one cannot read.
        except Exception as error:
            log.info("A trigger of Airbyte cannot be read: %s", type(error).__name__)
            continue
        if task := _task(columns, arguments.get("connection_id"), arguments.get("job_id")):
            yield task


def _on_workers(session: Session) -> Iterator[WaitingTask]:
    from airflow.models.taskinstance import TaskInstance as Instance
    from airflow.models.xcom import XComModel
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import and_, select

    rows: Iterable[Any] = session.execute(
        select(*_columns(Instance), XComModel.key, XComModel.value)
        .join(
            XComModel,
            and_(
                XComModel.dag_id == Instance.dag_id,
                XComModel.run_id == Instance.run_id,
                XComModel.task_id == Instance.task_id,
                XComModel.map_index == Instance.map_index,
            ),
        )
        .where(
            Instance.state.in_([TaskInstanceState.RUNNING, TaskInstanceState.UP_FOR_RESCHEDULE]),
            XComModel.key.in_([JOB_ID_KEY, CONNECTION_ID_KEY, RESOURCE_URL_KEY]),
        )
        .limit(2 * MAX_TASKS)
    )
    values: dict[TaskKey, tuple[Any, dict[str, Any]]] = {}
    for *columns, key, value in rows:
        values.setdefault(TaskKey(*columns[:4]), (columns, {}))[1][key] = value
    for columns, pushed in values.values():
        # It has made the connection: it does not wait for it.
        if RESOURCE_URL_KEY in pushed:
            continue
        if task := _task(columns, pushed.get(CONNECTION_ID_KEY), pushed.get(JOB_ID_KEY)):
            yield task


def _columns(instance: Any) -> tuple[Any, ...]:
    return (
        *(instance.dag_id, instance.run_id, instance.task_id, instance.map_index),
        *(instance.state, instance.start_date),
    )


def _task(columns: Any, connection_id: Any, job_id: Any) -> WaitingTask | None:
    """Return the task, unless what it waits for is unknown: another operator has such XComs too."""
    if not isinstance(connection_id, str):
        return None
    number = None
    with suppress(TypeError, ValueError, OverflowError):
        number = int(job_id)
    *key, state, since = columns
    return WaitingTask(TaskKey(*key), str(state or ""), connection_id.lower(), number, since)
