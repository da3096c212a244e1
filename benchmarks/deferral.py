"""
Defer the mapped task instances of a DAG run as Airflow would, without a worker for each.

Started by :mod:`benchmarks.triggerer`, with the configuration of its Airflow, as
``python -m benchmarks.deferral PROVIDER RUN_ID POLL_INTERVAL``; reads one ``[job id, connection
id]`` per task from standard input, as a JSON list.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.sdk.serde import serialize
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import select

from benchmarks.airbyte import RunningJob
from benchmarks.providers import WAITING


def defer_tasks(provider: str, run_id: str, jobs: list[RunningJob], poll_interval: float) -> None:
    """
    Give each task instance of the run a trigger for one of *jobs*, in one transaction.

    What is stored is what the API server stores when a worker defers a task (``airflow/
    api_fastapi/execution_api/routes/task_instances.py`` of Airflow 3.3.2).

    :param provider: Id of the DAG, and key of :data:`benchmarks.providers.WAITING`.
    """
    now = datetime.now(UTC)
    with create_session() as session:
        run = session.scalars(
            select(DagRun).where(DagRun.dag_id == provider, DagRun.run_id == run_id)
        ).one()
        run.state = DagRunState.RUNNING
        run.start_date = now
        tasks = session.scalars(
            select(TaskInstance)
            .where(TaskInstance.dag_id == provider, TaskInstance.run_id == run_id)
            .order_by(TaskInstance.map_index)
        ).all()
        for task, job in zip(tasks, jobs, strict=True):
            trigger = Trigger.from_object(WAITING[provider].trigger(job, poll_interval))
            session.add(trigger)
            session.flush()
            task.state = TaskInstanceState.DEFERRED
            task.trigger_id = trigger.id
            task.next_method = "execute_complete"
            task.next_kwargs = serialize({})
            task.start_date = now
            task.try_number = 1


if __name__ == "__main__":
    defer_tasks(
        sys.argv[1],
        sys.argv[2],
        [RunningJob(*ids) for ids in json.load(sys.stdin)],
        float(sys.argv[3]),
    )
