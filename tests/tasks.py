"""Runs a single task like Airflow, including deferral and resumption, without a database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from airflow.providers.common.compat.module_loading import import_string
from airflow.providers.common.compat.sdk import BaseOperator, TaskDeferred
from airflow.serialization.helpers import serialize_template_field

from tests.traces import traces

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors

    _ALIAS_EVENTS = "asset_alias_events"
except ImportError:  # Airflow 2
    from airflow.utils.context import OutletEventAccessors

    _ALIAS_EVENTS = "dataset_alias_events"


@dataclass
class TaskInstance:
    """The part of Airflow's task instance that a task uses."""

    try_number: int = 1
    xcoms: dict[str, Any] = field(default_factory=dict)
    on_push: Callable[[str], None] = lambda key: None
    max_tries: int = 0
    map_index: int = -1

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))
        traces.note(f"the XCom {key}", self.xcoms[key])
        self.on_push(key)

    def xcom_pull(self, *, key: str, map_indexes: int) -> Any:
        assert map_indexes == self.map_index
        return self.xcoms.get(key)


@dataclass
class RescheduledTaskInstance(TaskInstance):
    """A task instance that knows when its first poke began, as in each version of Airflow."""

    start_date: datetime | None = None
    dag_id: str = "dag"
    task_id: str = "wait"
    run_id: str = "run"

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        del context
        return self.start_date


@dataclass
class DagRun:
    """The part of Airflow's DAG run that a task uses."""

    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))
    clear_number: int = 0


class TaskStateStore:
    """What Airflow 3.3 keeps for a task across its tries: JSON values that are not null."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self.uses: list[str] = []
        self.error: Exception | None = None
        self.on_set: Callable[[Any], None] = lambda value: None

    @property
    def values(self) -> dict[str, Any]:
        return {key: json.loads(value) for key, value in self._values.items()}

    def get(self, key: str, default: Any = None) -> Any:
        self._use("get")
        return self.values.get(key, default)

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        del retention
        self._use("set")
        assert value is not None
        self._values[key] = json.dumps(value)
        traces.note("the state store", value)
        self.on_set(value)

    def delete(self, key: str) -> None:
        self._use("delete")
        self._values.pop(key, None)

    def _use(self, name: str) -> None:
        self.uses.append(name)
        if self.error is not None:
            raise self.error


class AssetEvent(NamedTuple):
    """
    An event that a task has emitted through an alias.

    :param asset: Name of the asset; on Airflow 2, its URI.
    """

    alias: str
    asset: str
    extra: dict[str, Any]


@dataclass
class TaskRun:
    """
    A run of one task, which may defer and be resumed several times.

    :param store: What Airflow keeps across tries; ``None`` before Airflow 3.3.
    :param outlet_events: Of the last process of the task, unless it failed: Airflow ignores others.
    :param extra: What else is in the context.
    """

    task: BaseOperator
    ti: TaskInstance = field(default_factory=TaskInstance)
    deferrals: list[TaskDeferred] = field(default_factory=list)
    dag_run: DagRun = field(default_factory=DagRun)
    store: TaskStateStore | None = None
    outlet_events: Any = field(default_factory=OutletEventAccessors)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def context(self) -> Any:
        context: dict[str, Any] = {
            "ti": self.ti,
            "task_instance": self.ti,
            "dag_run": self.dag_run,
            "outlet_events": self.outlet_events,
            **self.extra,
        }
        return context if self.store is None else {**context, "task_state_store": self.store}

    @property
    def asset_events(self) -> list[AssetEvent]:
        """The events that Airflow would store, of aliases that are outlets of the task."""
        aliases = {getattr(outlet, "name", None) for outlet in self.task.outlets or ()}
        events = [
            _asset_event(event)
            for accessor in self.outlet_events._dict.values()
            for event in getattr(accessor, _ALIAS_EVENTS)
        ]
        return [event for event in events if event.alias in aliases]

    def render(self) -> None:
        """Render the task's templates, as Airflow does before each process of the task."""
        self.task.render_template_fields(self.context)
        for name in self.task.template_fields:
            stored = serialize_template_field(getattr(self.task, name), name)
            traces.note(f"the rendered field {name}", stored)

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
        self.outlet_events = OutletEventAccessors()
        try:
            result = step()
        except BaseException as error:
            self.outlet_events = OutletEventAccessors()
            if not isinstance(error, TaskDeferred):
                raise
            deferred = error
            self.deferrals.append(deferred)
            traces.note("what a deferral keeps", deferred.kwargs)
            traces.note("a trigger", deferred.trigger.serialize())
            return None
        traces.note("the result of a task", result)
        for event in self.asset_events:
            traces.note("an asset event", [event.asset, event.extra])
        return result


def _asset_event(event: Any) -> AssetEvent:
    if isinstance(event, dict):  # Airflow 2
        return AssetEvent(event["source_alias_name"], event["dest_dataset_uri"], event["extra"])
    return AssetEvent(event.source_alias_name, event.dest_asset_key.name, dict(event.extra))


def rebuilt(trigger: Any) -> Any:
    """Return a copy of *trigger*, serialized and deserialized as a triggerer does."""
    classpath, kwargs = trigger.serialize()
    return import_string(classpath)(**json.loads(json.dumps(kwargs)))


async def first_event(trigger: Any) -> dict[str, Any]:
    async for event in rebuilt(trigger).run():
        payload: dict[str, Any] = event.payload
        traces.note("the event of a trigger", payload)
        return payload
    raise AssertionError("the trigger ended without an event")


def run_trigger(trigger: Any) -> dict[str, Any]:
    return asyncio.run(first_event(trigger))
