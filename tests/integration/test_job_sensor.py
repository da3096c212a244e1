"""The job sensor, poking and deferred."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    AirbyteTooFewRowsError,
)
from tests.integration.conftest import request_count
from tests.tasks import run_trigger


@pytest.fixture
def job_id(emulator) -> int:
    """A running sync, which will sync 120 rows."""
    return emulator.start_sync()


def test_the_result_describes_the_sync(sensor_run, deferrable, job_id):
    result = sensor_run(job_id, deferrable=deferrable).finish()

    assert result["job_id"] == job_id
    assert result["status"] == "succeeded"
    assert result["rows_synced"] == 120
    assert result["adopted"] is True
    assert result["job_url"].endswith(f"/timeline?jobId={job_id}&openLogs=true")


def test_the_result_is_that_of_the_operator(sync_run, sensor_run, deferrable):
    synced = sync_run(deferrable=deferrable).finish()

    waited = sensor_run(synced["job_id"], deferrable=deferrable).finish()

    assert {**waited, "adopted": False} == synced


def test_a_job_that_has_ended_is_not_deferred(emulator, sensor_run, job_id):
    emulator.finish_job(job_id)

    run = sensor_run(job_id, deferrable=True)

    assert run.start()["status"] == "succeeded"
    assert run.deferrals == []


@pytest.mark.parametrize(
    "render",
    [str, "  {}\n".format, lambda job_id: {"job_id": job_id}],
    ids=["text", "padded text", "result of a task"],
)
def test_the_job_id_can_be_a_rendered_xcom(sensor_run, deferrable, job_id, render):
    assert sensor_run(render(job_id), deferrable=deferrable).finish()["job_id"] == job_id


@pytest.mark.parametrize("value", ["", "None", None, {}, "about 4711"], ids=repr)
def test_an_invalid_job_id_fails_at_once(emulator, sensor_run, deferrable, value):
    with pytest.raises(AirflowFailException, match="airbyte_job_id must be"):
        sensor_run(value, deferrable=deferrable).finish()

    assert emulator.requests == []


def test_an_unknown_job_fails_at_once(sensor_run, deferrable):
    with pytest.raises(AirflowFailException, match=r"GET .*/jobs/4711 with 403"):
        sensor_run(4711, deferrable=deferrable).finish()


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", AirbyteJobFailedError), ("cancelled", AirbyteJobCancelledError)],
)
def test_a_job_that_does_not_succeed_fails_the_sensor(
    emulator, sensor_run, deferrable, job_id, status, error
):
    emulator.finish_job(job_id, status)

    with pytest.raises(error, match=f"Job {job_id} of connection 'Sample data to Warehouse'"):
        sensor_run(job_id, deferrable=deferrable).finish()


def test_the_job_is_not_cancelled_at_the_timeout(emulator, sensor_run, deferrable, running_job):
    with pytest.raises(AirflowSensorTimeout):
        sensor_run(running_job, deferrable=deferrable, timeout=0.2).finish()

    assert emulator.jobs[running_job].status == "running"
    assert request_count(emulator, "DELETE /jobs/{jobId}") == 0


@pytest.mark.parametrize(
    ("on_too_few_rows", "error"),
    [("fail", AirbyteTooFewRowsError), ("skip", AirflowSkipException)],
)
def test_too_few_rows_fail_or_skip_the_sensor(
    emulator, sensor_run, deferrable, job_id, on_too_few_rows, error
):
    with pytest.raises(error, match="120 rows, fewer than min_rows=121"):
        sensor_run(
            job_id, deferrable=deferrable, min_rows=121, on_too_few_rows=on_too_few_rows
        ).finish()


class TestMessagesNameTheConnection:
    def test_too_few_rows(self, sensor_run, deferrable, job_id, connection_label):
        with pytest.raises(
            AirbyteTooFewRowsError,
            match=re.escape(f"Job {job_id} of connection {connection_label} "),
        ) as failure:
            sensor_run(job_id, deferrable=deferrable, min_rows=121).finish()

        assert str(failure.value).endswith(f"timeline?jobId={job_id}&openLogs=true")

    def test_timeout_of_a_deferred_sensor(self, sensor_run, running_job, connection_label):
        """A poking sensor is timed out by Airflow, whose message names no job."""
        with pytest.raises(
            AirflowSensorTimeout,
            match=re.escape(f"Job {running_job} of connection {connection_label} "),
        ) as failure:
            sensor_run(running_job, deferrable=True, timeout=0.2).finish()

        assert str(failure.value).endswith(f"timeline?jobId={running_job}&openLogs=true")

    def test_error_of_a_deferred_wait(self, emulator, sensor_run, running_job, connection_label):
        run = sensor_run(running_job, deferrable=True)
        run.start()
        emulator.fail_next("GET /jobs/{jobId}", status=403, times=None)

        with pytest.raises(
            AirflowFailException,
            match=re.escape(f"Job {running_job} of connection {connection_label} "),
        ):
            run.resume(run_trigger(run.deferrals[0].trigger))


class TestSoftFail:
    @pytest.fixture
    def failed_job(self, emulator, job_id) -> int:
        emulator.finish_job(job_id, "failed")
        return job_id

    def test_soft_fail_skips_at_the_timeout(self, sensor_run, deferrable, running_job):
        with pytest.raises(AirflowSkipException):
            sensor_run(running_job, deferrable=deferrable, timeout=0.2, soft_fail=True).finish()

    def test_soft_fail_does_not_hide_a_failed_sync(self, sensor_run, deferrable, failed_job):
        with pytest.raises(AirbyteJobFailedError):
            sensor_run(failed_job, deferrable=deferrable, soft_fail=True).finish()

    def test_never_fail_skips_a_failed_sync(self, sensor_run, deferrable, failed_job):
        with pytest.raises(AirflowSkipException):
            sensor_run(failed_job, deferrable=deferrable, never_fail=True).finish()


class TestIntervals:
    def test_poll_interval_applies_to_both_modes(self, sensor_run):
        task = sensor_run(1, poll_interval=7).task

        assert (task.poll_interval, task.poke_interval) == (7, 7)

    def test_poke_interval_alone_applies_to_both_modes(self, sensor_run):
        task = sensor_run(1, poll_interval=None, poke_interval=timedelta(seconds=30)).task

        assert (task.poll_interval, task.poke_interval) == (30, 30)

    def test_both_can_be_set(self, sensor_run):
        task = sensor_run(1, poll_interval=7, poke_interval=60).task

        assert (task.poll_interval, task.poke_interval) == (7, 60)

    def test_the_default_is_ten_seconds(self, sensor_run):
        task = sensor_run(1, poll_interval=None).task

        assert (task.poll_interval, task.poke_interval) == (10, 10)

    def test_the_trigger_gets_poll_interval_and_timeout(self, emulator, sensor_run, running_job):
        run = sensor_run(running_job, deferrable=True, poll_interval=7, timeout=3600)
        run.start()

        trigger = run.deferrals[0].trigger
        assert trigger.poll_interval == 7
        assert 3590 < trigger.deadline - emulator.clock.time() <= 3600


def test_the_sensor_survives_an_outage(emulator, sensor_run, deferrable, job_id):
    emulator.html_next("GET /jobs/{jobId}", times=2, status=503)

    assert sensor_run(job_id, deferrable=deferrable).finish()["status"] == "succeeded"
