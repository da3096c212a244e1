"""Runs one task as Airflow does, deferral and resumption included, without a database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow.providers.common.compat.module_loading import import_string
from airflow.providers.common.compat.sdk import BaseOperator, TaskDeferred


@dataclass
class TaskInstance:
    """What a task sees of its task instance."""

    try_number: int = 1
    xcoms: dict[str, Any] = field(default_factory=dict)
    on_push: Callable[[str], None] = lambda key: None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))
        self.on_push(key)


@dataclass
class TaskRun:
    """A task's run so far; it may be resumed more than once."""

    task: BaseOperator
    ti: TaskInstance = field(default_factory=TaskInstance)
    deferrals: list[TaskDeferred] = field(default_factory=list)

    @property
    def context(self) -> Any:
        return {"ti": self.ti, "task_instance": self.ti}

    def start(self) -> Any:
        """Execute until the task returns, raises, or defers (then return ``None``)."""
        return self._until_deferred(lambda: self.task.execute(self.context))

    def resume(self, event: dict[str, Any]) -> Any:
        """Hand *event* to the task, as a worker does that has nothing but the database."""
        deferred = self.deferrals[-1]
        kwargs = {**(deferred.kwargs or {}), "event": json.loads(json.dumps(event))}
        return self._until_deferred(
            lambda: self.task.resume_execution(deferred.method_name, kwargs, self.context)
        )

    def finish(self) -> Any:
        """Execute and resume until the task returns or raises."""
        result, seen = self.start(), 0
        while len(self.deferrals) > seen:
            seen = len(self.deferrals)
            result = self.resume(run_trigger(self.deferrals[-1].trigger))
        return result

    def _until_deferred(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except TaskDeferred as deferred:
            self.deferrals.append(deferred)
            return None


def rebuilt(trigger: Any) -> Any:
    """Return *trigger* as a triggerer makes it from the database."""
    classpath, kwargs = trigger.serialize()
    return import_string(classpath)(**json.loads(json.dumps(kwargs)))


async def first_event(trigger: Any) -> dict[str, Any]:
    async for event in rebuilt(trigger).run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


def run_trigger(trigger: Any) -> dict[str, Any]:
    return asyncio.run(first_event(trigger))
