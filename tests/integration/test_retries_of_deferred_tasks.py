"""Airflow 3.0 resumes the retry of a task that has failed after its deferral: it begins anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS

from airflow_provider_airbyte_sme.api import AirbyteJobFailedError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor
from tests.tasks import TaskRun, run_trigger

pytestmark = pytest.mark.skipif(
    not AIRFLOW_V_3_0_PLUS or AIRFLOW_V_3_1_PLUS, reason="only Airflow 3.0 resumes retries"
)


def deferred(emulator: Emulator, task_class: Any = AirbyteTriggerSyncOperator) -> TaskRun:
    """Return a task that has a retry, deferred by its first try."""
    arguments: dict[str, Any] = {"connection_id": emulator.connection_id}
    if task_class is AirbyteJobSensor:
        arguments = {"airbyte_job_id": emulator.start_sync()}
    elif task_class is AirbyteSyncSensor:
        arguments["completed_after"] = emulator.now + timedelta(hours=1)
    run = TaskRun(
        task_class(task_id="task", deferrable=True, poll_interval=0.05, retries=1, **arguments)
    )
    run.start()
    return run


def test_the_retry_starts_a_sync_of_its_own_and_reads_its_own_event(emulator: Emulator) -> None:
    emulator.script_job(outcome="failed")
    run = deferred(emulator)
    event = run_trigger(run.deferrals[-1].trigger)
    with pytest.raises(AirbyteJobFailedError):
        run.resume(event)

    run.ti.try_number += 1
    assert run.resume(event) is None
    result = run.resume(run_trigger(run.deferrals[-1].trigger))

    assert (result["job_id"], result["status"]) == (max(emulator.jobs), "succeeded")
    assert len(emulator.jobs) == 2


@pytest.mark.parametrize(
    "task_class", [AirbyteTriggerSyncOperator, AirbyteJobSensor, AirbyteSyncSensor]
)
def test_the_retry_waits_again_after_its_trigger_has_failed(emulator, task_class) -> None:
    emulator.script_job(statuses=[("running", None)])
    run = deferred(emulator, task_class)
    failure = "__fail__", {"error": "Trigger failure"}
    with pytest.raises(Exception, match="Trigger failure"):
        run.task.resume_execution(*failure, run.context)

    run.ti.try_number += 1
    with pytest.raises(TaskDeferred):
        run.task.resume_execution(*failure, run.context)

    assert len(emulator.jobs) == (task_class is not AirbyteSyncSensor)


def test_the_first_deferral_of_a_later_try_is_read(emulator: Emulator) -> None:
    """The try before has died without a deferral, or an older release has deferred this one."""
    run = deferred(emulator)
    run.ti.try_number += 1

    assert run.resume(run_trigger(run.deferrals[-1].trigger))["status"] == "succeeded"
    assert len(emulator.jobs) == 1
