"""Airflow's own triggerer runner (3.3), without its process: for event triggers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from tests.traces import traces

# Seconds after which a test fails instead of hanging.
PATIENCE = 30.0


class StateStore:
    """
    The state store of assets: what the supervisor of a triggerer answers to its runner.

    :ivar values: What is stored, by name of the asset and key.
    :ivar error: What each request gets; ``None``: a good response.
    """

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Any] = {}
        self.writes = 0
        self.error: Exception | None = None

    def of(self, asset: str) -> Any:
        """Return the one value that is stored for *asset*; ``None`` if there is none."""
        values = [value for (name, _), value in self.values.items() if name == asset]
        return values[0] if values else None

    async def asend(self, message: Any) -> Any:
        """Handle a message of the runner."""
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import (
            AssetStateStoreResult,
            ErrorResponse,
            SetAssetStateStoreByName,
        )

        if self.error is not None:
            raise self.error
        key = (message.name, message.key)
        if isinstance(message, SetAssetStateStoreByName):
            traces.note("the state store of an asset", message.value)
            self.values[key] = json.loads(json.dumps(message.value))
            self.writes += 1
            return None
        if key not in self.values:
            return ErrorResponse(error=ErrorType.ASSET_STORE_NOT_FOUND)
        return AssetStateStoreResult(value=self.values[key])


class Triggerer:
    """
    One life of a triggerer: it ends with its ``async with`` block as if it were killed.

    :param store: Outlives it.
    """

    def __init__(self, store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.jobs.triggerer_job_runner import TriggerRunner
        from airflow.sdk.execution_time import task_runner

        monkeypatch.setenv("AIRFLOW_DISABLE_GREENBACK_PORTAL", "true")
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", store, raising=False)
        self._runner = TriggerRunner()
        self._last_id = 0

    async def __aenter__(self) -> Triggerer:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [details["task"] for details in self._runner.triggers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._runner._shared_streams.stop_all()

    async def start(self, trigger: BaseTrigger, assets: Iterable[str] = ()) -> int:
        """Start a trigger as from its row in the database; return its id."""
        from airflow.executors.workloads.trigger import RunTrigger
        from airflow.models.trigger import Trigger

        self._last_id += 1
        row = Trigger.from_object(trigger)
        watched = {name: f"x-test://{name}" for name in assets} or None
        self._runner.to_create.append(
            RunTrigger(
                id=self._last_id,
                classpath=row.classpath,
                encrypted_kwargs=row.encrypted_kwargs,
                watched_assets=watched,
            )
        )
        await self._runner.create_triggers()
        return self._last_id

    async def stop(self, trigger_id: int) -> None:
        """Stop a trigger, as after its row is deleted."""
        task = self._runner.triggers.pop(trigger_id)["task"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def events(self, trigger_id: int = 1) -> list[dict[str, Any]]:
        """Return the payloads of the events of a trigger so far."""
        return [entry.event.payload for entry in self._runner.events if entry[0] == trigger_id]

    def jobs(self, trigger_id: int = 1) -> list[int]:
        """Return the ids of the jobs that made events so far."""
        return [event["job_id"] for event in self.events(trigger_id)]

    @property
    def ended(self) -> list[str]:
        """The triggers that have ended, which none may."""
        return [
            details["name"] for details in self._runner.triggers.values() if details["task"].done()
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* holds; no trigger may end meanwhile."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert not self.ended
                await asyncio.sleep(0.01)
