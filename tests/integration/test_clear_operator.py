"""The clear operator: it deletes what it is told to, once, and nobody else's job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteJobError,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
)
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteClearOperator
from tests.integration.conftest import CONNECTION_NAME, request_count
from tests.integration.test_kill import TaskProcess, killed, process  # noqa: F401  # fixtures
from tests.integration.test_trigger_sync_operator import RESULT_KEYS, _on_first_read
from tests.tasks import TaskRun

POST = "POST /jobs"
POST_STREAMS = "POST /api/v1/connections/clear/stream"


@pytest.fixture
def clear_run(operator_run: Callable[..., TaskRun]) -> Callable[..., TaskRun]:
    return partial(operator_run, AirbyteClearOperator, confirm=True)


@pytest.fixture(params=[None, ["users"]], ids=["whole connection", "a stream"])
def streams(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def route(streams: Any) -> str:
    return POST_STREAMS if streams else POST


@pytest.fixture
def namespaced(emulator: Any) -> str:
    """A connection with a stream of one namespace, and one of two."""
    source = emulator.add_source(
        "CRM",
        streams=[
            {"name": "users", "namespace": "crm"},
            {"name": "orders", "namespace": "crm"},
            {"name": "orders", "namespace": "shop"},
        ],
    )
    connection_id: str = emulator.add_connection("CRM to Warehouse", source_id=source)
    return connection_id


def cleared(emulator: Any) -> list[list[tuple[str, str | None]]]:
    """Return the streams of each job."""
    return [
        [(stream["name"], stream.get("namespace")) for stream in job.streams]
        for job in emulator.jobs.values()
    ]


class TestConfirmation:
    @pytest.mark.parametrize(
        ("streams", "named"),
        [(None, "all streams"), (["users"], r"streams \['users'\]")],
    )
    def test_without_it_the_dag_says_what_would_be_deleted(
        self, emulator, clear_run, streams, named
    ):
        with pytest.raises(AirbyteConfigError) as failure:
            clear_run(confirm=False, streams=streams)

        assert str(failure.value).startswith("confirm is False, so nothing was deleted")
        assert f"of connection '{emulator.connection_id}'" in str(failure.value)
        failure.match(named)

    @pytest.mark.parametrize("confirm", ["{{ false }}", "{{ none }}", "{{ '' }}"])
    def test_a_template_that_does_not_confirm_fails_before_any_request(
        self, emulator, clear_run, deferrable, confirm
    ):
        run = clear_run(confirm=confirm, deferrable=deferrable)
        run.render()

        with pytest.raises(AirflowFailException, match=r"^confirm is"):
            run.finish()

        assert emulator.requests == []

    def test_a_template_confirms(self, clear_run):
        run = clear_run(confirm="{{ true }}")
        run.render()

        assert run.finish()["status"] == "succeeded"


def test_it_clears_and_waits(emulator, clear_run, deferrable, streams, route):
    run = clear_run(streams=streams, deferrable=deferrable)

    result = run.finish()

    assert list(result) == RESULT_KEYS
    assert (result["status"], result["job_type"], result["adopted"]) == (
        "succeeded",
        "reset",
        False,
    )
    assert run.ti.xcoms == {key: result[key] for key in ("job_id", "connection_id", "job_url")}
    assert len(run.deferrals) == int(deferrable)
    assert request_count(emulator, route) == 1
    assert len(emulator.jobs) == 1


class TestStreams:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["users"], [("users", "crm")]),
            ("users", [("users", "crm")]),
            ([{"name": "orders", "namespace": "shop"}], [("orders", "shop")]),
            (
                "['users', {'name': 'orders', 'namespace': 'crm'}]",
                [("users", "crm"), ("orders", "crm")],
            ),
            ([{"name": "users", "namespace": None}, "users"], [("users", "crm")]),
        ],
    )
    def test_exactly_these_are_cleared(self, emulator, clear_run, namespaced, given, expected):
        clear_run(connection_id=namespaced, streams=given).finish()

        assert cleared(emulator) == [expected]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (["user"], r"'CRM to Warehouse' .* does not select stream 'user': .* 'crm\.users'"),
            (["orders"], r"'orders' in several namespaces: .* 'crm', 'shop'"),
            ([{"name": "users", "namespace": "shop"}], r"does not select stream 'shop\.users'"),
        ],
    )
    def test_one_that_is_not_selected_clears_nothing(
        self, emulator, clear_run, namespaced, given, message
    ):
        with pytest.raises(AirflowFailException, match=message):
            clear_run(connection_id=namespaced, streams=given).finish()

        assert emulator.jobs == {}

    @pytest.mark.parametrize("given", ["{{ none }}", "{{ [] }}", "{{ '' }}"])
    def test_a_template_without_a_stream_does_not_clear_all(self, emulator, clear_run, given):
        run = clear_run(streams=given)
        run.render()

        with pytest.raises(AirflowFailException, match=r"^streams must be a list"):
            run.finish()

        assert emulator.requests == []

    @pytest.mark.parametrize("given", [[], "", [{"names": "users"}], [7], [{"name": ""}]])
    def test_an_invalid_list_is_refused_when_the_dag_is_parsed(self, clear_run, given):
        with pytest.raises(AirbyteConfigError, match=r"^streams must be a list"):
            clear_run(streams=given)

    def test_a_deleted_connection_has_none(self, emulator, clear_run):
        emulator.set_connection_status(emulator.connection_id, "deprecated")

        with pytest.raises(AirflowFailException, match="was deleted"):
            clear_run(streams=["users"]).finish()

    def test_it_needs_the_config_api(self, emulator, clear_run, set_connection):
        set_connection(
            host=emulator.url,
            login=emulator.client_id,
            password=emulator.client_secret,
            extra={"config_api": False},
        )

        with pytest.raises(AirflowFailException, match="config_api of the Airflow connection"):
            clear_run(streams=["users"]).finish()

        assert emulator.jobs == {}


class TestOnRunning:
    """Airbyte would cancel the job that is running, and say nothing."""

    def test_it_is_waited_for_and_not_cancelled(
        self, emulator, clear_run, deferrable, running_job, streams
    ):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job)):
            result = clear_run(streams=streams, deferrable=deferrable).finish()

        assert [job.status for job in emulator.jobs.values()] == ["succeeded", "succeeded"]
        assert result["job_id"] != running_job
        assert result["job_type"] == "reset"

    def test_attach_waits_for_another_clear(self, emulator, clear_run, deferrable, streams):
        emulator.script_job(statuses=[("running", None)])
        other = emulator.start_sync(job_type="reset")

        with _on_first_read(emulator, lambda: emulator.finish_job(other)):
            result = clear_run(streams=streams, deferrable=deferrable, on_running="attach").finish()

        assert (result["job_id"], result["adopted"]) == (other, True)
        assert len(emulator.jobs) == 1

    def test_attach_does_not_take_a_sync_for_a_clear(self, emulator, clear_run, running_job):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job)):
            result = clear_run(on_running="attach").finish()

        assert result["job_type"] == "reset"

    @pytest.mark.parametrize(
        ("on_running", "error"), [("skip", AirflowSkipException), ("fail", AirbyteJobError)]
    )
    def test_skip_and_fail_leave_it_alone(
        self, emulator, clear_run, running_job, streams, route, on_running, error
    ):
        with pytest.raises(error, match=f"Job {running_job} .* is already running"):
            clear_run(streams=streams, on_running=on_running).finish()

        assert emulator.jobs[running_job].status == "running"
        assert request_count(emulator, route) == 0


def test_a_lost_response_clears_once(emulator, clear_run, deferrable, streams, route):
    emulator.drop_next(route, after=True)

    result = clear_run(streams=streams, deferrable=deferrable).finish()

    assert list(emulator.jobs) == [result["job_id"]]
    assert result["adopted"] is False


def test_a_second_try_takes_over_the_job_of_the_first(emulator, clear_run, deferrable, streams):
    run = clear_run(try_number=2, streams=streams, deferrable=deferrable)
    run.dag_run.start_date -= timedelta(minutes=1)
    emulator.script_job(statuses=[("running", None)])
    first = emulator.start_sync(job_type="reset")

    with _on_first_read(emulator, lambda: emulator.finish_job(first)):
        result = run.finish()

    assert list(emulator.jobs) == [first]
    assert (result["job_id"], result["adopted"]) == (first, True)


def test_a_failure_is_explained(emulator, clear_run, deferrable, streams):
    emulator.script_job(outcome="failed", failure={"message": "no permission to delete"})

    with pytest.raises(AirbyteJobFailedError, match="no permission to delete"):
        clear_run(streams=streams, deferrable=deferrable).finish()


def test_its_job_is_cancelled_at_the_timeout(emulator, clear_run, deferrable):
    emulator.script_job(statuses=[("running", None)])

    with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
        clear_run(streams=["users"], deferrable=deferrable, timeout=0.3).finish()

    assert [job.status for job in emulator.jobs.values()] == ["cancelled"]


class TestKilled:
    @pytest.fixture(autouse=True)
    def endless(self, emulator):
        emulator.script_job(statuses=[("running", None)])

    def test_during_the_request_its_job_is_cancelled(
        self,
        emulator,
        clear_run,
        process: TaskProcess,  # noqa: F811
        streams,
        route,
    ):
        emulator.hang_next(route, seconds=0.5)
        emulator.call_next(route, process.hit, after=True)

        process.run(clear_run(streams=streams))

        assert [job.status for job in emulator.jobs.values()] == ["cancelled"]
        assert request_count(emulator, route) == 1

    def test_before_the_request_nothing_is_sent(
        self,
        emulator,
        clear_run,
        process: TaskProcess,  # noqa: F811
        streams,
        route,
    ):
        emulator.call_next("GET /jobs", process.hit, after=True)

        process.run(clear_run(streams=streams))

        assert emulator.jobs == {}
        assert request_count(emulator, route) == 0


def test_rows_are_no_parameter(clear_run):
    # Airflow 2 raises an exception of its own.
    with pytest.raises((TypeError, AirflowException), match="min_rows"):
        clear_run(min_rows=1)


def test_messages_name_the_connection(emulator, clear_run, task_log):
    clear_run().finish()

    assert f"Started reset job 1 of connection '{CONNECTION_NAME}'" in task_log()
