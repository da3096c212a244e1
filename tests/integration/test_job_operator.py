"""A new job operator only says which job it starts; the base class does everything else."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_airbyte_sme.api import (
    AirbyteConnection,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
    CreatedJob,
    JobType,
    Ownership,
    run_blocking,
)
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteJobOperator
from tests.integration.conftest import request_count


class ClearOperator(AirbyteJobOperator):
    job_type = JobType.CLEAR


class RefreshOperator(AirbyteJobOperator):
    """Starts its job by another operation than ``POST /jobs``."""

    job_type = JobType.REFRESH

    def start_job(self, connection: AirbyteConnection) -> CreatedJob:
        job_id = run_blocking(self._refresh(connection.connection_id))
        return CreatedJob(self.hook.get_job(job_id), Ownership.STARTED)

    async def _refresh(self, connection_id: str) -> int:
        session = self.hook.client.session
        url = self.hook.settings.urls.config_url("connections", "refresh")
        assert url is not None
        payload = {"connectionId": connection_id, "refreshMode": "Merge"}
        response = await session.request("POST", url, payload=payload)
        return response.decode(lambda body: int(body["job"]["id"]))


class AttachingOperator(AirbyteJobOperator):
    """Returns a job that somebody else started."""

    job_type = JobType.SYNC

    def start_job(self, connection: AirbyteConnection) -> CreatedJob:
        (job,) = self.hook.list_jobs(connection_id=connection.connection_id)
        return CreatedJob(job, Ownership.FOREIGN)


def test_a_subclass_takes_every_parameter_of_the_sync_operator_that_is_not_about_rows(emulator):
    common = {"connection_id": emulator.connection_id, "deferrable": False, "timeout": 5}

    assert ClearOperator(task_id="clear", **common).timeout == 5
    # Airflow 2 raises an exception of its own.
    with pytest.raises((TypeError, AirflowException), match="min_rows"):
        ClearOperator(task_id="clear", **common, min_rows=1)


class TestClear:
    """A subclass that only sets ``job_type``. Airbyte stores a clear as a reset."""

    def test_it_runs_to_its_end(self, emulator, operator_run, deferrable):
        run = operator_run(ClearOperator, deferrable=deferrable)

        result = run.finish()

        assert result["status"] == "succeeded"
        assert result["job_type"] == "reset"
        assert result["connection_id"] == emulator.connection_id
        assert result["adopted"] is False
        assert run.ti.xcoms == {key: result[key] for key in ("job_id", "connection_id", "job_url")}
        assert len(run.deferrals) == int(deferrable)
        assert [request.json for request in emulator.requests if request.route == "POST /jobs"] == [
            {"connectionId": emulator.connection_id, "jobType": "clear"}
        ]

    def test_a_lost_response_starts_no_second_job(self, emulator, operator_run, deferrable):
        emulator.drop_next("POST /jobs", after=True)

        result = operator_run(ClearOperator, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [result["job_id"]]
        assert result["adopted"] is False

    def test_a_failure_is_explained(self, emulator, operator_run, deferrable):
        emulator.script_job(outcome="failed", failure={"message": "no permission to delete"})

        with pytest.raises(AirbyteJobFailedError, match="no permission to delete"):
            operator_run(ClearOperator, deferrable=deferrable).finish()

    def test_its_job_is_cancelled_at_the_timeout(self, emulator, operator_run, deferrable):
        emulator.script_job(statuses=[("running", None)])

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled") as failure:
            operator_run(ClearOperator, deferrable=deferrable, timeout=0.3).finish()

        assert emulator.jobs[failure.value.job.job_id].status == "cancelled"


class TestStartJob:
    """A subclass that overrides ``start_job``."""

    def test_the_started_job_runs_to_its_end(self, emulator, operator_run, deferrable):
        result = operator_run(RefreshOperator, deferrable=deferrable).finish()

        assert result["status"] == "succeeded"
        assert result["job_type"] == "refresh"
        assert result["adopted"] is False
        assert request_count(emulator, "POST /jobs") == 0

    def test_the_started_job_is_cancelled_at_the_timeout(self, emulator, operator_run, deferrable):
        emulator.script_job(statuses=[("running", None)])

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            operator_run(RefreshOperator, deferrable=deferrable, timeout=0.3).finish()

        assert [job.status for job in emulator.jobs.values()] == ["cancelled"]

    def test_a_foreign_job_is_not_cancelled_at_the_timeout(
        self, emulator, operator_run, deferrable, running_job
    ):
        with pytest.raises(AirbyteJobTimeoutError, match="left running"):
            operator_run(AttachingOperator, deferrable=deferrable, timeout=0.3).finish()

        assert emulator.jobs[running_job].status == "running"
        assert request_count(emulator, "DELETE /jobs/{jobId}") == 0

    def test_a_foreign_job_is_reported_as_adopted(self, emulator, operator_run, deferrable):
        job_id = AirbyteHook().create_job(emulator.connection_id).job_id

        result = operator_run(AttachingOperator, deferrable=deferrable).finish()

        assert (result["job_id"], result["adopted"]) == (job_id, True)
