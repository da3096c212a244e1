"""Airflow 3.0 resumes the retry of a task that has failed after its deferral: it begins anew."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS

from airflow_provider_airbyte_sme.api import AirbyteJobFailedError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor
from tests.tasks import TaskRun, run_trigger

pytestmark = pytest.mark.skipif(
    not AIRFLOW_V_3_0_PLUS or AIRFLOW_V_3_1_PLUS, reason="only Airflow 3.0 resumes retries"
)


def retry(run: TaskRun, event: dict) -> object:
    """Resume the next try with what the first has left, as the scheduler of Airflow 3.0 does."""
    run.ti.try_number += 1
    run.task.pre_execute(run.context)
    return run.resume(event)


def test_a_retry_starts_a_sync_of_its_own(emulator: Emulator) -> None:
    emulator.script_job(outcome="failed")
    task = AirbyteTriggerSyncOperator(
        task_id="sync", connection_id=emulator.connection_id, deferrable=True, poll_interval=0.05
    )
    run = TaskRun(task)
    task.pre_execute(run.context)
    run.start()
    event = run_trigger(run.deferrals[-1].trigger)
    with pytest.raises(AirbyteJobFailedError):
        run.resume(event)

    retry(run, event)

    assert len(run.deferrals) == 2
    assert len(emulator.jobs) == 2
    assert run.resume(run_trigger(run.deferrals[-1].trigger))["status"] == "succeeded"


def test_a_sensor_looks_again(emulator: Emulator) -> None:
    emulator.script_job(outcome="failed")
    emulator.start_sync()
    sensor = AirbyteSyncSensor(
        task_id="wait",
        connection_id=emulator.connection_id,
        completed_after=emulator.now - timedelta(hours=1),
        deferrable=True,
        poll_interval=0.05,
    )
    run = TaskRun(sensor)
    sensor.pre_execute(run.context)
    run.start()

    assert retry(run, {}) is None
    assert len(run.deferrals) == 2
