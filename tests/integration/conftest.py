"""An emulator over real sockets, Airflow connections to it, and runs of single tasks."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteJobOperator,
    AirbyteTriggerSyncOperator,
)
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor
from scripts.processes import free_port
from tests.tasks import TaskInstance, TaskRun, TaskStateStore

CONNECTION_VARIABLE = "AIRFLOW_CONN_AIRBYTE_SME_DEFAULT"

CONNECTION_NAME = "Sample data to Warehouse"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
# A client secret with characters that must be percent-encoded in a URI.
SECRET = "s3cret/with:every@thing?&#%"

# Seconds after which a test fails instead of hanging.
MAX_WAIT = 120.0


@pytest.fixture(scope="session")
def reschedule_database() -> None:
    """Airflow 2.11 looks there for the first poke of a sensor with ``mode="reschedule"``."""
    if not AIRFLOW_V_3_0_PLUS:
        from airflow.utils.db import initdb

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=0.2, rows=120)
    with emulator.serve():
        yield emulator


@pytest.fixture(autouse=True)
def airflow_connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The default Airflow connection points to the emulator."""
    monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)
    return emulator.connection_uri


@pytest.fixture
def set_connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the default Airflow connection by one with the given fields."""

    def replace(**fields: object) -> None:
        value = json.dumps({"conn_type": "airbyte_sme", **fields})
        monkeypatch.setenv(CONNECTION_VARIABLE, value)

    return replace


@pytest.fixture
def hook_for(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AirbyteHook]:
    """Create an Airflow connection with the given fields and return a hook for it."""

    def make(**fields: object) -> AirbyteHook:
        monkeypatch.setenv("AIRFLOW_CONN_TEST", json.dumps({"conn_type": "airbyte_sme", **fields}))
        return AirbyteHook("test")

    return make


@pytest.fixture
def hook_for_emulator(hook_for: Callable[..., AirbyteHook]) -> Callable[..., AirbyteHook]:
    """Create an Airflow connection to an emulator, except for the given fields."""

    def make(emulator: Emulator, **fields: object) -> AirbyteHook:
        credentials = {"login": emulator.client_id, "password": emulator.client_secret}
        return hook_for(**{"host": emulator.url, **credentials, **fields})

    return make


@pytest.fixture
def running_job(emulator: Emulator) -> int:
    """A sync that somebody else started and that keeps running until the test ends it."""
    emulator.script_job(statuses=[("running", None)])
    return emulator.start_sync()


@pytest.fixture
def connection_label(emulator: Emulator) -> str:
    """The emulator's connection as messages name it."""
    return f"'{CONNECTION_NAME}' ({emulator.connection_id})"


@pytest.fixture
def closed_port() -> int:
    return free_port()


@pytest.fixture(params=[False, True], ids=["blocking", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def operator_run(emulator: Emulator) -> Callable[..., TaskRun]:
    """Create a run of a job operator, by default for the emulator's connection."""

    def make(
        operator_class: type[AirbyteJobOperator],
        try_number: int = 1,
        store: TaskStateStore | None = None,
        **kwargs: Any,
    ) -> TaskRun:
        defaults = {
            "connection_id": emulator.connection_id,
            "poll_interval": 0.05,
            "timeout": MAX_WAIT,
        }
        task = operator_class(task_id="job", **{**defaults, **kwargs})
        return TaskRun(task, TaskInstance(try_number), store=store)

    return make


@pytest.fixture
def sync_run(operator_run: Callable[..., TaskRun]) -> Callable[..., TaskRun]:
    """Create a run of the trigger operator, by default for the emulator's connection."""
    return partial(operator_run, AirbyteTriggerSyncOperator)


@pytest.fixture
def sensor_run() -> Callable[..., TaskRun]:
    """Create a run of the job sensor."""

    def make(airbyte_job_id: Any, **kwargs: Any) -> TaskRun:
        kwargs = {"poll_interval": 0.05, "timeout": MAX_WAIT, **kwargs}
        return TaskRun(AirbyteJobSensor(task_id="wait", airbyte_job_id=airbyte_job_id, **kwargs))

    return make


@pytest.fixture
def task_log(caplog: pytest.LogCaptureFixture, capfd: Any) -> Callable[[], str]:
    """Return what was logged since the last call, each line once."""
    caplog.set_level(logging.INFO)

    # From 3.1 on, Airflow writes the log of a task to stdout. 3.0 does so too, but logs it as well.
    def read() -> str:
        printed = capfd.readouterr().out
        text = caplog.text + printed if AIRFLOW_V_3_1_PLUS else str(caplog.text)
        caplog.clear()
        return text

    return read


def request_count(emulator: Emulator, route: str) -> int:
    """Return how many requests for *route*, such as ``POST /jobs``, the emulator received."""
    return sum(request.route == route for request in emulator.requests)
