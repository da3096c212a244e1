"""The arguments of the job operators: converted or refused before anything runs."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteTooFewRowsError
from tests.tasks import run_trigger


@pytest.mark.parametrize(
    ("name", "value", "converted"),
    [
        ("timeout", timedelta(hours=1), 3600.0),
        ("timeout", 3600, 3600.0),
        ("timeout", "3600", 3600.0),
        ("timeout", None, 86400.0),
        ("poll_interval", timedelta(minutes=1), 60.0),
        ("poll_interval", " 30 ", 30.0),
        ("poll_interval", None, 10.0),
        ("min_rows", "1", 1),
        ("min_rows", 1.0, 1),
        ("min_rows", None, 0),
        ("airbyte_conn_id", " airbyte_sme_default ", "airbyte_sme_default"),
    ],
    ids=repr,
)
def test_an_argument_is_converted_when_the_dag_is_parsed(sync_run, name, value, converted):
    assert getattr(sync_run(**{name: value}).task, name) == converted


@pytest.mark.parametrize("name", ["timeout", "poll_interval"])
@pytest.mark.parametrize("value", ["soon", "", 0, -1, math.nan, math.inf, True, []], ids=repr)
def test_an_invalid_duration_is_refused_when_the_dag_is_parsed(sync_run, name, value):
    with pytest.raises(AirbyteConfigError, match=f"^{name} must be a number of seconds"):
        sync_run(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_rows", "many"),
        ("min_rows", -1),
        ("min_rows", 0.5),
        ("airbyte_conn_id", None),
        ("airbyte_conn_id", ""),
        ("on_running", "stop"),
        ("on_too_few_rows", None),
        *(
            (name, value)
            for name in ("wait_for_completion", "cancel_on_kill", "cancel_on_timeout")
            for value in ("false", None, 0)
        ),
        ("deferrable", "false"),
    ],
)
def test_another_invalid_argument_is_refused_when_the_dag_is_parsed(sync_run, name, value):
    with pytest.raises(AirbyteConfigError, match=f"^{name} must be"):
        sync_run(**{name: value})


@pytest.mark.parametrize(
    "written",
    [str.upper, "  {}\n".format, "{{{}}}".format, lambda text: text.replace("-", "")],
    ids=["upper case", "padded", "braces", "without hyphens"],
)
def test_a_connection_id_works_in_every_form_and_after_each_resume(
    emulator, sync_run, running_job, written
):
    run = sync_run(connection_id=written(emulator.connection_id), deferrable=True)
    run.start()
    emulator.finish_job(running_job)
    run.task.connection_id = written(emulator.connection_id)  # Airflow makes a new task
    run.resume(run_trigger(run.deferrals[-1].trigger))
    run.task.connection_id = written(emulator.connection_id)

    result = run.resume(run_trigger(run.deferrals[-1].trigger))

    assert len(run.deferrals) == 2  # for the job that was running, and for its own
    assert result["connection_id"] == emulator.connection_id


def test_templates_are_checked_after_they_are_rendered(sync_run, deferrable):
    run = sync_run(
        deferrable=deferrable,
        timeout="{{ 60 }}",
        poll_interval="{{ 0.05 }}",
        min_rows="{{ 121 }}",
    )
    run.render()

    with pytest.raises(AirbyteTooFewRowsError, match="min_rows=121"):
        run.finish()

    assert (run.task.timeout, run.task.poll_interval) == (60.0, 0.05)


@pytest.mark.parametrize(
    "name", ["connection_id", "airbyte_conn_id", "timeout", "poll_interval", "min_rows"]
)
def test_an_invalid_value_of_a_template_fails_before_any_request(
    emulator, sync_run, deferrable, name
):
    run = sync_run(deferrable=deferrable, **{name: "{{ none }}"})
    run.render()

    with pytest.raises(AirflowFailException, match=f"^{name} must be"):
        run.finish()

    assert emulator.requests == []


def test_a_value_that_a_resume_renders_differently_is_checked_again(emulator, sync_run):
    emulator.script_job(statuses=[("running", None)])
    run = sync_run(deferrable=True)
    run.start()
    (job_id,) = emulator.jobs
    emulator.finish_job(job_id)
    event = run_trigger(run.deferrals[0].trigger)
    run.task.min_rows = "None"

    with pytest.raises(AirflowFailException, match=r"^min_rows must be a whole number"):
        run.resume(event)
