"""The one line that the person on call reads: which job and connection, how long, why, where."""

import logging

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    Job,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.resources.job_starts import DETAILS_PATIENCE
from tests.unit.api.doubles import AIRBYTE, client_for, requests_to, settings_for
from tests.unit.api.responses import html_page

REASONS = "POST /api/v1/jobs/get_without_logs"
CONNECTION = "GET /connections/{connectionId}"


@pytest.fixture
def ended(client, emulator, run):
    """Run a scripted job to its end, and read it."""

    def end(**script):
        emulator.script_job(**script)
        job_id = emulator.start_sync()
        emulator.advance(86_400)
        return run(client.jobs.get(job_id))

    return end


@pytest.fixture
def failed(ended):
    return ended(
        outcome="failed",
        duration=90,
        rows=1200,
        attempts=1,
        failure={"message": "Login\nrefused.", "origin": "source", "type": "config_error"},
    )


@pytest.fixture
def page(emulator):
    """The page of job 1 in the UI."""
    return (
        f"{AIRBYTE}/workspaces/{emulator.workspace_id}/connections/{emulator.connection_id}"
        f"/timeline?jobId=1&openLogs=true"
    )


def test_a_job_that_succeeded_is_returned_without_a_request(client, emulator, ended, run):
    job = ended(outcome="succeeded")
    emulator.clear_requests()

    assert run(client.jobs.ensure_succeeded(job)) is job
    assert emulator.requests == []


def test_the_error_for_a_failed_job_is_one_line(client, emulator, failed, page, run):
    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(failed))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) failed after "
        f"1 min 30 s with 1,200 rows: 1 attempt, source, config_error, Login refused. {page}"
    )
    assert failure.value.job is failed


def test_the_error_has_the_reason_of_the_newest_attempt(client, ended, run):
    job = ended(
        outcome="failed",
        attempts=3,
        failure={"message": "Connection reset", "origin": "destination", "type": "transient_error"},
    )

    with pytest.raises(
        AirbyteJobFailedError,
        match="3 attempts, destination, transient_error, Connection reset",
    ):
        run(client.jobs.ensure_succeeded(job))


def test_the_error_for_a_cancelled_job_is_one_line(client, emulator, ended, page, run):
    job = ended(statuses=[("running", 30), ("cancelled", None)], rows=0)
    emulator.clear_requests()

    with pytest.raises(AirbyteJobCancelledError) as failure:
        run(client.jobs.ensure_succeeded(job))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) was cancelled "
        f"after 30 s with 0 rows, by a person, by a reset, because no data worker was free, "
        f"or by another task that was given the same job: start it again. If several tasks sync "
        f"this connection, use max_active_runs=1 or a pool. {page}"
    )
    assert failure.value.job is job
    assert requests_to(emulator, REASONS) == []


def respond_with(emulator, route, response):
    """Respond to all further requests to *route* with *response*."""
    emulator.fail_next(route, response.status, None, response.headers, response.body)


NO_REASON = {
    "error 403": lambda emulator: emulator.fail_next(REASONS, 403, times=None),
    "error 404": lambda emulator: emulator.fail_next(REASONS, 404, times=None),
    "error 501": lambda emulator: emulator.fail_next(REASONS, 501, times=None),
    "error 500": lambda emulator: emulator.fail_next(REASONS, 500, times=None),
    "HTML with 403": lambda emulator: respond_with(emulator, REASONS, html_page(403)),
    "HTML with 200": lambda emulator: respond_with(emulator, REASONS, html_page(200)),
    "unexpected body": lambda emulator: emulator.fail_next(REASONS, 200, None, body={"job": {}}),
    "lost response": lambda emulator: emulator.drop_next(REASONS, times=None),
}


@pytest.mark.parametrize("fault", NO_REASON.values(), ids=NO_REASON)
def test_the_error_refers_to_the_log_if_the_config_api_gives_no_reason(
    client, emulator, failed, page, run, fault, caplog
):
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
    fault(emulator)

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(failed))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) failed after "
        f"1 min 30 s with 1,200 rows; its log has the reason. {page}"
    )
    assert "The config API does not say why job 1 failed" in caplog.text


def test_a_disabled_config_api_is_not_asked(emulator, wire, failed, run):
    client = client_for(emulator, wire, settings=settings_for(emulator, config_api=False))

    with pytest.raises(AirbyteJobFailedError, match="; its log has the reason"):
        run(client.jobs.ensure_succeeded(failed))

    assert requests_to(emulator, REASONS) == []


def test_airbyte_cloud_has_no_config_api(emulator, wire, failed, run):
    settings = settings_for(emulator, "https://api.airbyte.com")
    client = client_for(emulator, wire, settings=settings)

    assert run(client.jobs.explain_failure(failed)) is None
    assert requests_to(emulator, REASONS) == []


def test_an_unreadable_connection_is_named_by_its_id(client, emulator, failed, run):
    emulator.fail_next(CONNECTION, 403)

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(failed))

    assert str(failure.value) == (
        f"Job 1 of connection {emulator.connection_id} failed after 1 min 30 s with 1,200 rows: "
        f"1 attempt, source, config_error, Login refused."
    )


def test_the_error_omits_duration_and_rows_that_are_missing(client, emulator, failed, page, run):
    bare = Job(
        job_id=failed.job_id,
        status="failed",
        job_type="sync",
        connection_id=failed.connection_id,
        started_at=failed.started_at,
    )

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(bare))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) failed: "
        f"1 attempt, source, config_error, Login refused. {page}"
    )


def test_the_reason_of_a_failure_can_be_read(client, failed, run):
    reason = run(client.jobs.explain_failure(failed))

    assert (reason.attempts, reason.origin, reason.failure_type, reason.message) == (
        1,
        "source",
        "config_error",
        "Login refused.",
    )


AWAY = {
    "error 503": lambda emulator, route: emulator.fail_next(route, 503, times=None),
    "silence": lambda emulator, route: emulator.hang_next(route, 1000, times=None),
}


@pytest.mark.parametrize("fault", AWAY.values(), ids=AWAY)
def test_details_that_cannot_be_read_hold_up_a_task_for_seconds(client, emulator, failed, fault):
    for route in (CONNECTION, REASONS):
        fault(emulator, route)
    began = emulator.clock.time()

    with pytest.raises(AirbyteJobFailedError):
        run_blocking(client.jobs.ensure_succeeded(failed))

    assert emulator.clock.time() - began <= 2 * DETAILS_PATIENCE
