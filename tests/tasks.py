"""Runs a single task like Airflow, including deferral and resumption, without a database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.module_loading import import_string
from airflow.providers.common.compat.sdk import BaseOperator, TaskDeferred


@dataclass
class TaskInstance:
    """The part of Airflow's task instance that a task uses."""

    try_number: int = 1
    xcoms: dict[str, Any] = field(default_factory=dict)
    on_push: Callable[[str], None] = lambda key: None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))
        self.on_push(key)


@dataclass
class RescheduledTaskInstance(TaskInstance):
    """A task instance that knows when its first poke began, as in each version of Airflow."""

    start_date: datetime | None = None
    dag_id: str = "dag"
    task_id: str = "wait"
    run_id: str = "run"
    map_index: int = -1
    max_tries: int = 0

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        del context
        return self.start_date


@dataclass
class DagRun:
    """The part of Airflow's DAG run that a task uses."""

    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class TaskRun:
    """A run of one task, which may defer and be resumed several times."""

    task: BaseOperator
    ti: TaskInstance = field(default_factory=TaskInstance)
    deferrals: list[TaskDeferred] = field(default_factory=list)
    dag_run: DagRun = field(default_factory=DagRun)

    @property
    def context(self) -> Any:
        return {"ti": self.ti, "task_instance": self.ti, "dag_run": self.dag_run}

    def render(self) -> None:
        """Render the task's templates, as Airflow does before each process of the task."""
        self.task.render_template_fields(self.context)

    def start(self) -> Any:
        """Execute the task until it returns, raises or defers; return ``None`` if it deferred."""
        return self._run_until_deferred(lambda: self.task.execute(self.context))

    def resume(self, event: dict[str, Any]) -> Any:
        """Resume the task with *event*, passed through JSON as Airflow's database does."""
        deferred = self.deferrals[-1]
        kwargs = {**(deferred.kwargs or {}), "event": json.loads(json.dumps(event))}
        return self._run_until_deferred(
            lambda: self.task.resume_execution(deferred.method_name, kwargs, self.context)
        )

    def finish(self) -> Any:
        """Execute the task and run its triggers until it returns or raises."""
        result, handled = self.start(), 0
        while len(self.deferrals) > handled:
            handled = len(self.deferrals)
            result = self.resume(run_trigger(self.deferrals[-1].trigger))
        return result

    def _run_until_deferred(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except TaskDeferred as deferred:
            self.deferrals.append(deferred)
            return None


def rebuilt(trigger: Any) -> Any:
    """Return a copy of *trigger*, serialized and deserialized as a triggerer does."""
    classpath, kwargs = trigger.serialize()
    return import_string(classpath)(**json.loads(json.dumps(kwargs)))


async def first_event(trigger: Any) -> dict[str, Any]:
    async for event in rebuilt(trigger).run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


def run_trigger(trigger: Any) -> dict[str, Any]:
    return asyncio.run(first_event(trigger))
