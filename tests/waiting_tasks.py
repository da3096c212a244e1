"""
Task instances in Airflow's database that wait for Airbyte, without a scheduler that runs them.

``python -m tests.waiting_tasks`` adds those on its standard input, a JSON list of arguments of
:func:`add_waiting_task`, for an Airflow that runs in other processes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4


def add_waiting_task(
    dag_id: str,
    task_id: str = "sync",
    *,
    run_id: str = "manual__2026-11-26",
    state: str = "deferred",
    map_index: int = -1,
    trigger: Mapping[str, Any] | None = None,
    trigger_class: str = "airflow_provider_airbyte_sme.triggers.airbyte.AirbyteJobTrigger",
    xcoms: Mapping[str, Any] | None = None,
) -> None:
    """
    Add a task instance, with its DAG and run if there are none.

    :param trigger: Arguments of the trigger that it waits for.
    :param xcoms: What it has pushed.
    """
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import insert, select

    with create_session() as session:
        session.merge(DagBundleModel(name="dags"))
        session.flush()
        session.merge(
            DagModel(dag_id=dag_id, bundle_name="dags", fileloc=f"{dag_id}.py", is_stale=False)
        )
        session.flush()
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            run = DagRun(dag_id=dag_id, run_id=run_id, run_type="manual", state=DagRunState.RUNNING)
            session.add(run)
            session.flush()
        waits_for = None
        if trigger is not None:
            waits_for = Trigger(classpath=trigger_class, kwargs=dict(trigger))
            session.add(waits_for)
            session.flush()
        names = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        session.execute(
            insert(TaskInstance).values(
                id=_new_id(TaskInstance.id.type.python_type),
                **names,
                state=state,
                pool="default_pool",
                start_date=datetime.now(UTC),
                trigger_id=waits_for and waits_for.id,
            )
        )
        for key, value in (xcoms or {}).items():
            session.execute(
                insert(XComModel).values(dag_run_id=run.id, **names, key=key, value=value)
            )


def _new_id(column_type: type) -> UUID | str:
    """Return an id for a column, which has text up to Airflow 3.1."""
    new_id = uuid4()
    return new_id if column_type is UUID else str(new_id)


def forget_waiting_tasks() -> None:
    """Have Airflow forget all task instances, with their DAGs and what they wait for."""
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for model in (XComModel, TaskInstance, Trigger, DagRun, DagModel):
            session.execute(delete(model))


if __name__ == "__main__":
    for arguments in json.load(sys.stdin):
        add_waiting_task(**arguments)
