"""The job sensor: poking, rescheduling and deferred."""

from __future__ import annotations

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
from tests.integration.conftest import asked


@pytest.fixture
def job_id(emulator) -> int:
    """A sync in its course, which brings 120 rows."""
    return emulator.start_sync()


def test_the_result_tells_what_the_sync_brought(emulator, sensor, deferrable, job_id):
    result = sensor(job_id, deferrable=deferrable).finish()

    assert result["job_id"] == job_id
    assert result["status"] == "succeeded"
    assert result["rows_synced"] == 120
    assert result["adopted"] is True
    assert result["job_url"].endswith(f"/timeline?jobId={job_id}&openLogs=true")


def test_its_result_has_the_keys_of_the_operators(emulator, sync, sensor, deferrable):
    synced = sync(deferrable=deferrable).finish()

    waited = sensor(synced["job_id"], deferrable=deferrable).finish()

    assert {**waited, "adopted": False} == synced


def test_a_job_that_has_ended_is_not_deferred_at_all(emulator, sensor, job_id):
    emulator.finish_job(job_id)

    run = sensor(job_id, deferrable=True)

    assert run.start()["status"] == "succeeded"
    assert run.deferrals == []


@pytest.mark.parametrize("given", [str, "  {}\n".format, lambda job_id: {"job_id": job_id}])
def test_the_job_may_be_given_as_xcom_renders_it(sensor, deferrable, job_id, given):
    assert sensor(given(job_id), deferrable=deferrable).finish()["job_id"] == job_id


@pytest.mark.parametrize("given", ["", "None", None, {}, "4711 or so"])
def test_what_is_no_job_fails_at_once(emulator, sensor, deferrable, given):
    with pytest.raises(AirflowFailException, match="airbyte_job_id should be"):
        sensor(given, deferrable=deferrable).finish()

    assert emulator.requests == []


def test_a_job_that_airbyte_does_not_know_fails_at_once(sensor, deferrable):
    with pytest.raises(AirflowFailException, match=r"GET .*/jobs/4711 with 403"):
        sensor(4711, deferrable=deferrable).finish()


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", AirbyteJobFailedError), ("cancelled", AirbyteJobCancelledError)],
)
def test_a_job_that_does_not_succeed_fails_the_sensor(
    emulator, sensor, deferrable, job_id, status, error
):
    emulator.finish_job(job_id, status)

    with pytest.raises(error, match=f"Job {job_id} of connection 'Sample data to Warehouse'"):
        sensor(job_id, deferrable=deferrable).finish()


def test_it_never_cancels_the_job(emulator, sensor, deferrable):
    emulator.script_job(statuses=[("running", None)])
    job_id = emulator.start_sync()

    with pytest.raises(AirflowSensorTimeout):
        sensor(job_id, deferrable=deferrable, timeout=0.2).finish()

    assert emulator.jobs[job_id].status == "running"
    assert asked(emulator, "DELETE /jobs/{jobId}") == 0


@pytest.mark.parametrize(
    ("on_too_few_rows", "error"),
    [("fail", AirbyteTooFewRowsError), ("skip", AirflowSkipException)],
)
def test_success_without_data_is_no_success(
    emulator, sensor, deferrable, job_id, on_too_few_rows, error
):
    with pytest.raises(error, match="120 rows, fewer than min_rows=121"):
        sensor(
            job_id, deferrable=deferrable, min_rows=121, on_too_few_rows=on_too_few_rows
        ).finish()


class TestSoftFail:
    @pytest.fixture
    def endless_job(self, emulator) -> int:
        emulator.script_job(statuses=[("running", None)])
        return emulator.start_sync()

    @pytest.fixture
    def failed_job(self, emulator, job_id) -> int:
        emulator.finish_job(job_id, "failed")
        return job_id

    def test_soft_fail_makes_a_time_out_skip(self, sensor, deferrable, endless_job):
        with pytest.raises(AirflowSkipException):
            sensor(endless_job, deferrable=deferrable, timeout=0.2, soft_fail=True).finish()

    def test_soft_fail_does_not_hide_a_failed_sync(self, sensor, deferrable, failed_job):
        with pytest.raises(AirbyteJobFailedError):
            sensor(failed_job, deferrable=deferrable, soft_fail=True).finish()

    def test_never_fail_does(self, sensor, deferrable, failed_job):
        with pytest.raises(AirflowSkipException):
            sensor(failed_job, deferrable=deferrable, never_fail=True).finish()


class TestIntervals:
    def test_poll_interval_counts_in_every_mode(self, sensor):
        task = sensor(1, poll_interval=7).task

        assert (task.poll_interval, task.poke_interval) == (7, 7)

    def test_poke_interval_alone_counts_in_every_mode(self, sensor):
        task = sensor(1, poll_interval=None, poke_interval=timedelta(seconds=30)).task

        assert (task.poll_interval, task.poke_interval) == (30, 30)

    def test_each_can_be_given_its_own(self, sensor):
        task = sensor(1, poll_interval=7, poke_interval=60).task

        assert (task.poll_interval, task.poke_interval) == (7, 60)

    def test_without_either_it_is_ten_seconds(self, sensor):
        task = sensor(1, poll_interval=None).task

        assert (task.poll_interval, task.poke_interval) == (10, 10)

    def test_the_deferred_wait_obeys_poll_interval_and_timeout(self, emulator, sensor):
        emulator.script_job(statuses=[("running", None)])
        run = sensor(emulator.start_sync(), deferrable=True, poll_interval=7, timeout=3600)
        run.start()

        trigger = run.deferrals[0].trigger
        assert trigger.poll_interval == 7
        assert 3590 < trigger.deadline - emulator.clock.time() <= 3600


def test_an_outage_is_survived(emulator, sensor, deferrable, job_id):
    emulator.html_next("GET /jobs/{jobId}", times=2, status=503)

    assert sensor(job_id, deferrable=deferrable).finish()["status"] == "succeeded"
