"""An emulator over real sockets, and an Airflow connection to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor
from tests.tasks import TaskInstance, TaskRun

CONNECTION_VARIABLE = "AIRFLOW_CONN_AIRBYTE_SME_DEFAULT"

# Seconds after which a test that waits for something fails instead of hanging.
PATIENCE = 120.0


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=0.2, rows=120)
    with emulator.serve():
        yield emulator


@pytest.fixture(autouse=True)
def airflow_connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The connection that everything uses by default leads to the emulator."""
    monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)
    return emulator.connection_uri


@pytest.fixture(params=[False, True], ids=["blocking", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def sync(emulator: Emulator) -> Callable[..., TaskRun]:
    """Make the run of a trigger operator, of the emulator's connection by default."""

    def make(try_number: int = 1, **kwargs: Any) -> TaskRun:
        defaults = {
            "connection_id": emulator.connection_id,
            "poll_interval": 0.05,
            "timeout": PATIENCE,
        }
        kwargs = {**defaults, **kwargs}
        return TaskRun(
            AirbyteTriggerSyncOperator(task_id="sync", **kwargs), TaskInstance(try_number)
        )

    return make


@pytest.fixture
def sensor() -> Callable[..., TaskRun]:
    """Make the run of a job sensor."""

    def make(airbyte_job_id: Any, **kwargs: Any) -> TaskRun:
        kwargs = {"poll_interval": 0.05, "timeout": PATIENCE, **kwargs}
        return TaskRun(AirbyteJobSensor(task_id="wait", airbyte_job_id=airbyte_job_id, **kwargs))

    return make


def asked(emulator: Emulator, route: str) -> int:
    """How often the emulator was asked for *route*, as ``POST /jobs``."""
    return sum(request.route == route for request in emulator.requests)
