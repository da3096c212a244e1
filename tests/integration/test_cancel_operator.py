"""The cancel operator: the job that is named, or what runs on a connection, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteJobTimeoutError
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteCancelJobOperator
from tests.integration.conftest import CONNECTION_NAME, request_count
from tests.integration.test_trigger_sync_operator import RESULT_KEYS
from tests.tasks import TaskRun

DELETE = "DELETE /jobs/{jobId}"


@pytest.fixture
def cancel_run(operator_run: Callable[..., TaskRun]) -> Callable[..., TaskRun]:
    """Create a run of the operator, by default for a job."""
    return partial(operator_run, AirbyteCancelJobOperator, connection_id=None)


class TestJob:
    @pytest.mark.parametrize("written", [int, str, lambda number: {"job_id": number}])
    def test_it_is_cancelled(self, emulator, cancel_run, running_job, task_log, written):
        run = cancel_run(airbyte_job_id=written(running_job))

        result = run.finish()

        assert list(result) == RESULT_KEYS
        assert (result["job_id"], result["status"]) == (running_job, "cancelled")
        assert result["adopted"] is True  # the task did not start it
        assert run.ti.xcoms == {key: result[key] for key in ("job_id", "connection_id", "job_url")}
        log = task_log()
        assert f"Cancelling sync job {running_job} of connection '{CONNECTION_NAME}'" in log
        assert "whoever started it" in log
        assert "It was cancelled." in log

    def test_one_that_has_ended_is_left_as_it_is(self, emulator, cancel_run, task_log):
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)

        result = cancel_run(airbyte_job_id=job_id).finish()

        assert (result["job_id"], result["status"]) == (job_id, "succeeded")
        assert request_count(emulator, DELETE) == 0
        assert "had ended before: succeeded. Nothing is cancelled." in task_log()

    def test_another_job_of_its_connection_is_not_cancelled(
        self, emulator, cancel_run, running_job
    ):
        emulator.finish_job(running_job)
        emulator.script_job(statuses=[("running", None)])
        other = emulator.start_sync()

        result = cancel_run(airbyte_job_id=running_job).finish()

        assert result["status"] == "succeeded"
        assert emulator.jobs[other].status == "running"

    def test_one_that_another_replaces_meanwhile_is_not_read_as_running(
        self, emulator, cancel_run, running_job, task_log
    ):
        emulator.script_job(statuses=[("running", None)])

        def replace() -> None:
            emulator.finish_job(running_job)
            emulator.start_sync()

        emulator.call_next("GET /connections/{connectionId}", replace)

        result = cancel_run(airbyte_job_id=running_job).finish()

        assert (result["job_id"], result["status"]) == (running_job, "succeeded")
        assert [job.status for job in emulator.jobs.values()] == ["succeeded", "running"]
        assert request_count(emulator, DELETE) == 0
        assert "had ended before it could be cancelled: succeeded" in task_log()

    def test_an_unknown_one_fails_at_once(self, cancel_run):
        with pytest.raises(AirflowFailException, match="id does not exist"):
            cancel_run(airbyte_job_id=4711).finish()

    def test_its_end_is_waited_for(self, emulator, cancel_run, running_job):
        """The status in the response to the DELETE may lag."""

        def still_running(job):
            return {**job, "status": "running"}

        emulator.alter_next(DELETE, still_running)
        emulator.alter_next("GET /jobs/{jobId}", still_running, times=2)

        assert cancel_run(airbyte_job_id=running_job).finish()["status"] == "cancelled"

    def test_one_that_does_not_end_fails_at_the_timeout(self, emulator, cancel_run, running_job):
        emulator.fail_next(DELETE, 409, times=None)

        with pytest.raises(
            AirbyteJobTimeoutError, match=rf"Job {running_job} .* cancel it by hand\. \(timeout"
        ):
            cancel_run(airbyte_job_id=running_job, timeout=0.3).finish()


class TestConnection:
    @pytest.mark.parametrize("job_type", ["sync", "reset", "refresh"])
    def test_what_runs_on_it_is_cancelled(self, emulator, cancel_run, task_log, job_type):
        emulator.script_job(statuses=[("running", None)])
        job_id = emulator.start_sync(job_type=job_type)

        result = cancel_run(connection_id=emulator.connection_id).finish()

        assert (result["job_id"], result["status"]) == (job_id, "cancelled")
        assert f"Cancelling {job_type} job {job_id} of connection" in task_log()

    def test_nothing_is_running(self, emulator, cancel_run, task_log):
        emulator.finish_job(emulator.start_sync())

        run = cancel_run(connection_id=emulator.connection_id)
        result = run.finish()

        assert list(result) == RESULT_KEYS
        assert (result["job_id"], result["status"]) == (None, "absent")
        assert result["connection_id"] == emulator.connection_id
        assert run.ti.xcoms == {}
        assert request_count(emulator, DELETE) == 0
        assert f"No job of connection '{CONNECTION_NAME}'" in task_log()

    def test_the_name_says_which(self, emulator, cancel_run, running_job):
        run = cancel_run(connection_name=CONNECTION_NAME, workspace="Analytics")

        assert run.finish()["job_id"] == running_job


class TestParameters:
    @pytest.mark.parametrize(
        "ways",
        [
            {},
            {"airbyte_job_id": 1, "connection_id": "x"},
            {"airbyte_job_id": 1, "connection_name": "x"},
        ],
    )
    def test_exactly_one_way_is_given(self, cancel_run, ways):
        with pytest.raises(
            AirbyteConfigError, match=r"^One of airbyte_job_id, connection_id, connection_name must"
        ):
            cancel_run(**ways)

    @pytest.mark.parametrize(
        ("name", "value"), [("timeout", 0), ("poll_interval", "soon"), ("airbyte_conn_id", "")]
    )
    def test_an_invalid_argument_is_refused_when_the_dag_is_parsed(self, cancel_run, name, value):
        with pytest.raises(AirbyteConfigError, match=f"^{name} must be"):
            cancel_run(airbyte_job_id=1, **{name: value})

    def test_a_template_that_names_no_job_fails_before_any_request(self, emulator, cancel_run):
        run = cancel_run(airbyte_job_id="{{ none }}")
        run.render()

        with pytest.raises(AirflowFailException, match=r"^airbyte_job_id"):
            run.finish()

        assert emulator.requests == []
