"""The fixtures of the integration tests, in an environment with Cosmos and OpenLineage."""

from __future__ import annotations

from tests.integration.conftest import (
    airflow_connection,
    deferrable,
    emulator,
    hook_for,
    operator_run,
    running_job,
    sensor_run,
    set_connection,
    sync_run,
    task_log,
)

__all__ = [
    "airflow_connection",
    "deferrable",
    "emulator",
    "hook_for",
    "operator_run",
    "running_job",
    "sensor_run",
    "set_connection",
    "sync_run",
    "task_log",
]
