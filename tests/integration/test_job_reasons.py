"""What the log of a task says about a failed job: operator and sensors, blocking and deferred."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from airflow_provider_airbyte_sme.api import AirbyteJobCancelledError, AirbyteJobFailedError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor
from tests.integration.conftest import MAX_WAIT, request_count
from tests.tasks import TaskRun

REASONS = "POST /api/v1/jobs/get_without_logs"
LOG = "POST /api/v1/attempt/get_for_job"
FAILURES = [
    [{"message": "Connection reset", "origin": "destination", "type": "transient_error"}],
    [{"message": "Permission denied", "type": "config_error", "stream": "users"}],
]
SCRIPT = {
    "statuses": [
        ("running", 0.1),
        ("incomplete", 0.1),
        ("running", 0.1),
        ("incomplete", 0.0),
        ("failed", None),
    ],
    "failures": FAILURES,
    "log": ["reading users"],
}


@pytest.fixture(params=["operator", "job sensor", "sync sensor"])
def failing_run(
    request: pytest.FixtureRequest,
    emulator: Emulator,
    sync_run: Callable[..., TaskRun],
    sensor_run: Callable[..., TaskRun],
    deferrable: bool,
) -> Callable[..., TaskRun]:
    """Create a run of a task that waits for a job with this script."""

    def make(**script: object) -> TaskRun:
        emulator.script_job(**script)  # type: ignore[arg-type]  # of any parameter
        if request.param == "operator":
            return sync_run(deferrable=deferrable)
        if request.param == "job sensor":
            options = {"deferrable": deferrable, "poke_interval": 0.05}
            return sensor_run(emulator.start_sync(), **options)
        sensor = AirbyteSyncSensor(
            task_id="wait",
            connection_id=emulator.connection_id,
            completed_after="2020-01-01T00:00:00Z",
            fail_on_failed_sync=True,
            deferrable=deferrable,
            poke_interval=0.05,
            poll_interval=0.05,
            timeout=MAX_WAIT,
        )
        emulator.start_sync()
        return TaskRun(sensor)

    return make


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Return the messages in the log that contain a text."""
    caplog.set_level(logging.INFO)
    return lambda text="": [each for each in caplog.messages if text in each]


def test_the_log_of_the_task_says_why_the_job_failed(failing_run, messages):
    with pytest.raises(AirbyteJobFailedError) as failure:
        failing_run(**SCRIPT).finish()

    assert ": 2 attempts, source, config_error, stream users, Permission denied. http" in str(
        failure.value
    )
    assert (failure.value.failure_origin, failure.value.failure_type) == ("source", "config_error")
    expected = (
        "Job 1, attempt 1 of 2 failed with 0 rows: destination, transient_error, Connection reset.",
        "Job 1, attempt 2 of 2 failed with 0 rows: source, config_error, stream users, Permission "
        "denied.",
        "Job 1, the last lines of the log of attempt 2:",
        "INFO replication-orchestrator: reading users",
        "ERROR replication-orchestrator: Permission denied",
    )
    assert [len(messages(each)) for each in expected] == [1] * len(expected)


def test_a_cancelled_job_has_its_reason_in_the_log(emulator, sync_run, deferrable, messages):
    emulator.script_job(statuses=[("running", 0.1), ("cancelled", None)])

    with pytest.raises(AirbyteJobCancelledError):
        sync_run(deferrable=deferrable).finish()

    assert len(messages("Job 1, attempt 1 of 1 failed with 0 rows: manual_cancellation, ")) == 1


def test_a_blocked_config_api_is_reported_once(emulator, failing_run, messages):
    emulator.fail_next(
        REASONS, 403, None, {"content-type": "text/html"}, "<!doctype html><title>No</title>"
    )

    with pytest.raises(AirbyteJobFailedError, match="; its log has the reason") as failure:
        failing_run(**SCRIPT).finish()

    [said] = messages("Airbyte's config API is closed")
    assert said.endswith("or set config_api of the Airflow connection to false.")
    assert failure.value.failure_type == ""
    assert request_count(emulator, REASONS) == 1
    assert request_count(emulator, LOG) == 0


def test_a_secret_in_a_log_reaches_neither_error_nor_log(emulator, sync_run, deferrable, messages):
    emulator.script_job(
        outcome="failed",
        duration=0,
        failure={"message": f"cannot log in with {emulator.client_secret}"},
        log=[f"client_secret is {emulator.client_secret}", "postgres://reader:s3cret@db/crm"],
    )

    with pytest.raises(AirbyteJobFailedError, match=r"cannot log in with \*\*\*") as failure:
        sync_run(deferrable=deferrable).finish()

    said = f"{messages()} {failure.value} {failure.value.details}"
    assert "postgres://***@db/crm" in said
    assert emulator.client_secret not in said
    assert "s3cret" not in said
