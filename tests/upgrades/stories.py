"""
Tasks that may be deferred while the package is upgraded, and how their waits end.

It runs with the code of an older release too, which is how ``freeze.py`` writes down what that
leaves in Airflow's database. So it uses only what all releases have.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.module_loading import import_string
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.tasks import TaskRun

WORKSPACE_ID = "5d1a0000-0000-4000-8000-000000000001"
CONNECTION_ID = "c0de0000-0000-4000-8000-000000000002"
CONNECTION_NAME = "crm to lake"
START = datetime(2026, 3, 25, 2, 0, tzinfo=UTC)
ROWS = 120

# Seconds. So long that no deadline is over while somebody still upgrades from that release.
TIMEOUT = 50 * 365 * 86_400.0
FAR_FUTURE = datetime(2076, 3, 25, tzinfo=UTC)

OPERATORS = "airflow_provider_airbyte_sme.operators.airbyte."
SENSORS = "airflow_provider_airbyte_sme.sensors.airbyte."
OF_CONNECTION: Mapping[str, Any] = {"connection_id": CONNECTION_ID}
WAITING: Mapping[str, Any] = {"poll_interval": 0.05, "timeout": TIMEOUT, "deferrable": True}

Change = Callable[[Emulator], object]


def end_job(status: str) -> Change:
    """Return what ends the running job; without one, a job that somebody starts."""

    def end(emulator: Emulator) -> None:
        running = [job.id for job in emulator.jobs.values() if not job.is_terminal]
        job_id = running[0] if running else emulator.start_sync()
        emulator.advance(1)
        emulator.finish_job(job_id, status, rows=ROWS)

    return end


def refuse(emulator: Emulator) -> None:
    """Have Airbyte refuse every read of jobs, as after a permission was withdrawn."""
    for route in ("GET /jobs", "GET /jobs/{jobId}"):
        emulator.fail_next(route, 403, times=None)


#: What can happen to Airbyte between the deferral and the end of the wait. ``overdue``: nothing,
#: but the deadline has passed.
ENDINGS: Mapping[str, Change] = {
    "succeeded": end_job("succeeded"),
    "failed": end_job("failed"),
    "cancelled": end_job("cancelled"),
    "overdue": lambda emulator: None,
    "refused": refuse,
    "repaired": lambda emulator: emulator.restore_workflow(),
}


def lose_response(emulator: Emulator) -> None:
    """Have the request for the job succeed, and its response get lost."""
    emulator.drop_next("POST /jobs")


@dataclass(frozen=True)
class Story:
    """
    A task that defers.

    :param task: Class path of the operator or sensor.
    :param arguments: Its arguments.
    :param endings: What its wait may end with: keys of :data:`ENDINGS`.
    :param before: What happens to Airbyte before the task begins.
    """

    task: str
    arguments: Mapping[str, Any]
    endings: tuple[str, ...]
    before: Change = lambda emulator: None


JOB_ENDINGS = ("succeeded", "failed", "cancelled", "overdue", "refused")

STORIES: Mapping[str, Story] = {
    "sync": Story(
        f"{OPERATORS}AirbyteTriggerSyncOperator",
        {**OF_CONNECTION, **WAITING, "min_rows": ROWS},
        JOB_ENDINGS,
    ),
    "sync that must not be cancelled": Story(
        f"{OPERATORS}AirbyteTriggerSyncOperator",
        {**OF_CONNECTION, **WAITING, "cancel_on_kill": False, "cancel_on_timeout": False},
        ("succeeded", "overdue"),
    ),
    "sync found after its response was lost": Story(
        f"{OPERATORS}AirbyteTriggerSyncOperator",
        {**OF_CONNECTION, **WAITING},
        JOB_ENDINGS,
        lose_response,
    ),
    "sync of somebody else that is attached to": Story(
        f"{OPERATORS}AirbyteTriggerSyncOperator",
        {**OF_CONNECTION, **WAITING, "on_running": "attach"},
        JOB_ENDINGS,
        lambda emulator: emulator.start_sync(),
    ),
    "sync of somebody else that is waited for first": Story(
        f"{OPERATORS}AirbyteTriggerSyncOperator",
        {**OF_CONNECTION, **WAITING},
        JOB_ENDINGS,
        lambda emulator: emulator.start_sync(),
    ),
    "sync that cannot be started yet": Story(
        f"{OPERATORS}AirbyteTriggerSyncOperator",
        {"connection_name": CONNECTION_NAME, "workspace": "Analytics", **WAITING},
        ("repaired",),
        lambda emulator: emulator.delete_workflow(),
    ),
    "clear": Story(
        f"{OPERATORS}AirbyteClearOperator",
        {**OF_CONNECTION, **WAITING, "confirm": True, "streams": ["users"]},
        JOB_ENDINGS,
    ),
    "refresh": Story(
        f"{OPERATORS}AirbyteRefreshOperator",
        {**OF_CONNECTION, **WAITING, "mode": "truncate", "min_rows": ROWS},
        JOB_ENDINGS,
    ),
    "job sensor": Story(
        f"{SENSORS}AirbyteJobSensor",
        {"airbyte_job_id": 1, **WAITING, "min_rows": ROWS},
        JOB_ENDINGS,
        lambda emulator: emulator.start_sync(),
    ),
    "sync sensor": Story(
        f"{SENSORS}AirbyteSyncSensor",
        {
            "connection_name": CONNECTION_NAME,
            "workspace": "Analytics",
            **WAITING,
            "completed_after": START.isoformat(),
            "fail_on_failed_sync": True,
            "min_rows": ROWS,
        },
        JOB_ENDINGS,
    ),
    "sync sensor that starts in the triggerer": Story(
        f"{SENSORS}AirbyteSyncSensor",
        {
            **OF_CONNECTION,
            **WAITING,
            "completed_after": START.isoformat(),
            "start_from_trigger": True,
        },
        ("succeeded", "refused"),
    ),
}


@dataclass
class Deferral:
    """
    What a deferral leaves in Airflow's database.

    :param trigger: Class path of the trigger.
    :param arguments: What the trigger is rebuilt with.
    :param method: Name of the method that resumes the task.
    :param method_arguments: Its arguments, beside the event.
    """

    trigger: str
    arguments: dict[str, Any]
    method: str
    method_arguments: dict[str, Any] = field(default_factory=dict)

    def rebuilt(self) -> Any:
        """Return the trigger as a triggerer rebuilds it."""
        trigger = import_string(self.trigger)(**json.loads(json.dumps(self.arguments)))
        if hasattr(trigger, "timeout_after"):
            trigger.timeout_after = FAR_FUTURE  # as Airflow does
        return trigger

    def overdue(self) -> Deferral:
        """Return the same when its deadline has passed."""
        return Deferral(
            self.trigger, {**self.arguments, "deadline": 1.0}, self.method, self.method_arguments
        )


def make_task(story: Story) -> Any:
    """Return the task of *story*, as a DAG file makes it."""
    return import_string(story.task)(task_id="task", **story.arguments)


@contextmanager
def airbyte(story: Story) -> Iterator[Emulator]:
    """
    Return an Airbyte over sockets at the beginning of *story*, and an Airflow connection to it.

    Ids, times and links are the same each time. The clock stands still unless it is moved.
    """
    emulator = Emulator(
        time="manual",
        start=START,
        rows=ROWS,
        seed={
            "workspaces": [{"id": WORKSPACE_ID, "name": "Analytics"}],
            "connections": [{"id": CONNECTION_ID, "name": CONNECTION_NAME}],
        },
    )
    name = "AIRFLOW_CONN_AIRBYTE_SME_DEFAULT"
    before = os.environ.get(name)
    with emulator.serve():
        os.environ[name] = emulator.connection_uri_for(
            emulator.url, web_url="https://airbyte.example.com"
        )
        story.before(emulator)
        try:
            yield emulator
        finally:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before


def start(story: Story) -> Deferral:
    """Run the task of *story* until it defers."""
    task = make_task(story)
    if story.arguments.get("start_from_trigger"):
        args = task.start_trigger_args
        return Deferral(
            args.trigger_cls, args.trigger_kwargs, args.next_method, args.next_kwargs or {}
        )
    run = TaskRun(task)
    run.start()
    [deferred] = run.deferrals
    path, arguments = deferred.trigger.serialize()
    return Deferral(path, arguments, deferred.method_name, deferred.kwargs or {})


def reach(emulator: Emulator, story: Story, ending: str = "") -> None:
    """
    Bring Airbyte into the state at the deferral, and then to an ending.

    :param ending: A key of :data:`ENDINGS`; any other changes nothing.
    """
    if not story.arguments.get("start_from_trigger"):
        start(story)
    if ending in ENDINGS:
        ENDINGS[ending](emulator)


def event_of(deferral: Deferral) -> dict[str, Any]:
    """Run the trigger of *deferral*, and return its event."""

    async def first_event() -> dict[str, Any]:
        async for fired in deferral.rebuilt().run():
            payload: dict[str, Any] = fired.payload
            return payload
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first_event())


def resume(
    emulator: Emulator, story: Story, deferral: Deferral, event: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Resume the task of *story* in a new process, and return what became of it.

    :return: ``jobs``: id and status of each job of Airbyte; and ``result``; or ``error`` and
        ``message``; or ``deferral``, the next one.
    """
    outcome = _outcome(story, deferral, event)
    return {**outcome, "jobs": {str(job.id): job.status for job in emulator.jobs.values()}}


def _outcome(story: Story, deferral: Deferral, event: Mapping[str, Any]) -> dict[str, Any]:
    run = TaskRun(make_task(story))
    run.deferrals.append(
        TaskDeferred(
            trigger=deferral.rebuilt(),
            method_name=deferral.method,
            kwargs=deferral.method_arguments,
        )
    )
    try:
        result = run.resume(dict(event))
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    if len(run.deferrals) == 1:
        return {"result": result}
    deferred = run.deferrals[-1]
    path, kwargs = deferred.trigger.serialize()
    return {
        "deferral": {
            "trigger": path,
            "job_id": kwargs.get("job_id"),
            "ownership": kwargs.get("ownership"),
            "deadline": kwargs["deadline"],
            "method": deferred.method_name,
        }
    }
