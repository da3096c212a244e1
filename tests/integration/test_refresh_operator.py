"""The refresh operator: once, by the config API, and never instead of somebody's next sync."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteJobError,
    AirbyteJobTimeoutError,
    AirbyteTooFewRowsError,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteRefreshOperator
from tests.integration.conftest import CONNECTION_VARIABLE, request_count
from tests.integration.test_kill import TaskProcess, process  # noqa: F401  # a fixture
from tests.integration.test_trigger_sync_operator import RESULT_KEYS, _on_first_read
from tests.tasks import TaskRun

POST = "POST /api/v1/connections/refresh"


@pytest.fixture
def refresh_run(operator_run: Callable[..., TaskRun]) -> Callable[..., TaskRun]:
    return partial(operator_run, AirbyteRefreshOperator)


@pytest.fixture(params=["2.0.0", "2.1.0"])
def either_version(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, refresh_run: Any
) -> Any:
    """Servers up to 2.0.0 list a refresh only when asked for that type."""
    emulator = Emulator(version=request.param, sync_duration=0.2, rows=120)
    with emulator.serve():
        monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)
        yield emulator, partial(refresh_run, connection_id=emulator.connection_id)


def sent(emulator: Emulator) -> list[Any]:
    return [request.json for request in emulator.requests if request.route == POST]


def test_it_refreshes_and_waits(emulator, refresh_run, deferrable):
    run = refresh_run(deferrable=deferrable)

    result = run.finish()

    assert list(result) == RESULT_KEYS
    assert (result["status"], result["job_type"], result["adopted"]) == (
        "succeeded",
        "refresh",
        False,
    )
    assert result["rows_synced"] == 120
    assert run.ti.xcoms == {key: result[key] for key in ("job_id", "connection_id", "job_url")}
    assert len(run.deferrals) == int(deferrable)
    assert sent(emulator) == [{"connectionId": emulator.connection_id, "refreshMode": "Merge"}]


@pytest.mark.parametrize("streams", [["users"], "['users']", "users", [{"name": "users"}]])
def test_mode_and_streams_are_sent(emulator, refresh_run, streams):
    refresh_run(mode="truncate", streams=streams).finish()

    assert sent(emulator) == [
        {
            "connectionId": emulator.connection_id,
            "refreshMode": "Truncate",
            "streams": [{"streamName": "users"}],
        }
    ]


def test_mode_and_streams_may_be_templates(emulator, refresh_run):
    run = refresh_run(mode="{{ 'truncate' }}", streams="{{ ['users', 'products'] }}")
    run.render()

    run.finish()

    (request,) = sent(emulator)
    assert request["refreshMode"] == "Truncate"
    assert [stream["streamName"] for stream in request["streams"]] == ["users", "products"]


class TestInvalid:
    @pytest.mark.parametrize(
        ("name", "value"), [("mode", "Merge"), ("mode", None), ("streams", []), ("streams", [7])]
    )
    def test_an_argument_is_refused_when_the_dag_is_parsed(self, refresh_run, name, value):
        with pytest.raises(AirbyteConfigError, match=f"^{name} must be"):
            refresh_run(**{name: value})

    @pytest.mark.parametrize("name", ["mode", "streams"])
    def test_a_template_fails_before_any_request(self, emulator, refresh_run, name):
        run = refresh_run(**{name: "{{ none }}"})
        run.render()

        with pytest.raises(AirflowFailException, match=f"^{name} must be"):
            run.finish()

        assert emulator.requests == []

    def test_a_stream_that_is_not_selected_is_named_with_the_closest(self, emulator, refresh_run):
        with pytest.raises(AirflowFailException, match=r"'user': the closest names are 'users'"):
            refresh_run(streams=["user"]).finish()

        assert emulator.jobs == {}

    def test_the_config_api_is_off(self, emulator, refresh_run, set_connection):
        set_connection(
            host=emulator.url,
            login=emulator.client_id,
            password=emulator.client_secret,
            extra={"config_api": False},
        )

        with pytest.raises(AirflowFailException, match=r"A refresh needs .* config_api"):
            refresh_run().finish()

        assert emulator.jobs == {}


class TestOnRunning:
    def test_a_sync_is_waited_for_and_stays_a_sync(
        self, emulator, refresh_run, deferrable, running_job
    ):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job)):
            result = refresh_run(deferrable=deferrable).finish()

        assert [job.config_type for job in emulator.jobs.values()] == ["sync", "refresh"]
        assert (result["job_type"], result["adopted"]) == ("refresh", False)
        assert len(sent(emulator)) == 1

    def test_attach_waits_for_another_refresh(self, either_version, deferrable):
        emulator, refresh_run = either_version
        emulator.script_job(statuses=[("running", None)])
        other = emulator.start_sync(job_type="refresh")

        with _on_first_read(emulator, lambda: emulator.finish_job(other)):
            result = refresh_run(deferrable=deferrable, on_running="attach").finish()

        assert (result["job_id"], result["adopted"]) == (other, True)
        assert sent(emulator) == []

    def test_attach_does_not_take_a_sync_for_a_refresh(self, emulator, refresh_run, running_job):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job)):
            result = refresh_run(on_running="attach").finish()

        assert result["job_type"] == "refresh"

    @pytest.mark.parametrize(
        ("on_running", "error"), [("skip", AirflowSkipException), ("fail", AirbyteJobError)]
    )
    def test_skip_and_fail_leave_the_next_sync_a_sync(
        self, emulator, refresh_run, running_job, on_running, error
    ):
        with pytest.raises(error, match=f"Job {running_job} .* is already running"):
            refresh_run(on_running=on_running).finish()

        emulator.finish_job(running_job)
        next_job = emulator.start_sync()
        assert emulator.jobs[next_job].config_type == "sync"


def test_a_lost_response_starts_no_second_refresh(either_version, deferrable):
    emulator, refresh_run = either_version
    emulator.drop_next(POST, after=True)

    result = refresh_run(deferrable=deferrable).finish()

    assert list(emulator.jobs) == [result["job_id"]]
    assert result["adopted"] is False


def test_a_second_try_takes_over_the_job_of_the_first(either_version, deferrable):
    emulator, refresh_run = either_version
    run = refresh_run(try_number=2, deferrable=deferrable)
    run.dag_run.start_date -= timedelta(minutes=1)
    emulator.script_job(statuses=[("running", None)])
    first = emulator.start_sync(job_type="refresh")

    with _on_first_read(emulator, lambda: emulator.finish_job(first)):
        result = run.finish()

    assert list(emulator.jobs) == [first]
    assert (result["job_id"], result["adopted"]) == (first, True)


def test_too_few_rows_fail(refresh_run, deferrable):
    with pytest.raises(AirbyteTooFewRowsError, match="min_rows=121"):
        refresh_run(min_rows=121, deferrable=deferrable).finish()


def test_its_job_is_cancelled_at_the_timeout(emulator, refresh_run, deferrable):
    emulator.script_job(statuses=[("running", None)])

    with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
        refresh_run(deferrable=deferrable, timeout=0.3).finish()

    assert [job.status for job in emulator.jobs.values()] == ["cancelled"]


def test_a_kill_during_the_request_cancels_its_job(
    either_version,
    process: TaskProcess,  # noqa: F811
):
    emulator, refresh_run = either_version
    emulator.script_job(statuses=[("running", None)])
    emulator.hang_next(POST, seconds=0.5)
    emulator.call_next(POST, process.hit, after=True)

    process.run(refresh_run())

    assert [job.status for job in emulator.jobs.values()] == ["cancelled"]
    assert request_count(emulator, POST) == 1
