"""The one line that the person on call reads: which job and connection, how long, why, where."""

import logging

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    HttpResponse,
    Job,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.resources.job_starts import DETAILS_PATIENCE
from tests.unit.api.doubles import AIRBYTE, client_for, requests_to, settings_for
from tests.unit.api.responses import html_page, json_response

REASONS = "POST /api/v1/jobs/get_without_logs"
LOG = "POST /api/v1/attempt/get_for_job"
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


ARRIVED = (
    "Part of its data has arrived: 400 rows of 'users', 400 rows of 'products', "
    "400 rows of 'purchases'."
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
        f"1 min 30 s with 1,200 rows: 1 attempt, source, config_error, Login refused. {ARRIVED} "
        f"{page}"
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

    with pytest.raises(AirbyteJobCancelledError) as failure:
        run(client.jobs.ensure_succeeded(job))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) was cancelled "
        f"after 30 s with 0 rows, by a person, by a reset, because no data worker was free, "
        f"or by another task that was given the same job: start it again. If several tasks sync "
        f"this connection, use max_active_runs=1 or a pool. {page}"
    )
    assert failure.value.job is job


def respond_with(emulator, route, response):
    """Respond to all further requests to *route* with *response*."""
    emulator.fail_next(route, response.status, None, response.headers, response.body)


def blocked_with(response):
    return lambda emulator: respond_with(emulator, REASONS, response)


def failing_with(status):
    return lambda emulator: emulator.fail_next(REASONS, status, times=None)


CLOSED = {
    "a role that may not read jobs": failing_with(403),
    "an unknown route": blocked_with(json_response({"error": "not found"}, 404)),
    "an edition without it": failing_with(501),
    "a gateway that forbids it": blocked_with(html_page(403)),
    "a page of the UI": blocked_with(html_page(200)),
    "a redirect to a login": blocked_with(HttpResponse(302, {"location": "https://sso/login"})),
}
AWAY = {
    "error 500": failing_with(500),
    "unexpected body": lambda emulator: emulator.fail_next(REASONS, 200, None, body={"job": {}}),
    "lost response": lambda emulator: emulator.drop_next(REASONS, times=None),
}
WITHOUT_A_REASON = (
    "failed after 1 min 30 s with 1,200 rows; its log has the reason. Part of its data has arrived."
)


@pytest.mark.parametrize("fault", CLOSED.values(), ids=CLOSED)
def test_a_closed_config_api_is_asked_once_for_each_job_and_reported_once(
    client, emulator, failed, page, run, fault, caplog
):
    fault(emulator)

    for _ in range(2):
        with pytest.raises(AirbyteJobFailedError) as failure:
            run(client.jobs.ensure_succeeded(failed))
        assert str(failure.value).endswith(f"{WITHOUT_A_REASON} {page}")

    assert len(requests_to(emulator, REASONS)) == 2
    assert requests_to(emulator, LOG) == []
    [said] = [record for record in caplog.records if "attempts of jobs" in record.message]
    assert said.levelname == "WARNING"
    assert not any("Retrying" in record.message for record in caplog.records)


def test_the_log_says_what_to_do_about_a_gateway_that_blocks_the_config_api(
    client, emulator, failed, run, caplog
):
    respond_with(emulator, REASONS, html_page(403))

    with pytest.raises(AirbyteJobFailedError):
        run(client.jobs.ensure_succeeded(failed))

    assert (
        f"Airbyte's config API is closed, so the attempts of jobs cannot be read: A gateway or "
        f"proxy, not Airbyte, responded to POST {AIRBYTE}/api/v1/jobs/get_without_logs with 403: "
        f"an HTML page instead "
        f"of an API response. If an ingress or gateway lets only the public API pass, let it pass "
        f"POST /api/v1/jobs/get_without_logs and POST /api/v1/attempt/get_for_job too, or set "
        f"config_api of the Airflow connection to false."
    ) in caplog.messages


@pytest.mark.parametrize("fault", AWAY.values(), ids=AWAY)
def test_the_error_refers_to_the_log_if_the_config_api_fails(
    client, emulator, failed, page, run, fault, caplog
):
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
    fault(emulator)

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(failed))

    assert str(failure.value).endswith(f"{WITHOUT_A_REASON} {page}")
    assert "The config API does not say what happened in job 1" in caplog.text


def test_a_disabled_config_api_is_not_asked(emulator, wire, failed, run, caplog):
    client = client_for(emulator, wire, settings=settings_for(emulator, config_api=False))

    for _ in range(2):
        with pytest.raises(AirbyteJobFailedError, match="; its log has the reason"):
            run(client.jobs.ensure_succeeded(failed))

    assert requests_to(emulator, REASONS) == []
    assert caplog.messages == [
        "Reading the attempts of a job needs Airbyte's config API: set config_api of the Airflow "
        "connection to true."
    ]


def test_airbyte_cloud_has_no_config_api(emulator, wire, failed, run, caplog):
    settings = settings_for(emulator, "https://api.airbyte.com")
    client = client_for(emulator, wire, settings=settings)

    assert run(client.jobs.find_details(failed.job_id)) is None
    assert requests_to(emulator, REASONS) == []
    assert "which Airbyte Cloud does not offer" in caplog.text


def test_an_unreadable_connection_is_named_by_its_id(client, emulator, failed, run):
    emulator.fail_next(CONNECTION, 403)

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(failed))

    assert str(failure.value) == (
        f"Job 1 of connection {emulator.connection_id} failed after 1 min 30 s with 1,200 rows: "
        f"1 attempt, source, config_error, Login refused. {ARRIVED}"
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
        f"1 attempt, source, config_error, Login refused. {ARRIVED} {page}"
    )


def test_the_error_names_the_streams_of_which_data_has_arrived(client, ended, run):
    job = ended(outcome="failed", attempts=1, rows_of={"users": 60, "products": 0})

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(job))

    assert ". Part of its data has arrived: 60 rows of 'users'. http" in str(failure.value)


def test_the_error_counts_the_rows_of_attempts_that_had_a_partial_success(client, ended, run):
    job = ended(
        outcome="failed",
        attempts=3,
        failure={"type": "transient_error"},
        partial_rows=40,
        statistics="attempts",
    )

    with pytest.raises(AirbyteJobFailedError, match="with 0 rows") as failure:
        run(client.jobs.ensure_succeeded(job))

    assert ". Part of its data has arrived: 80 rows. http" in str(failure.value)


def test_a_cancelled_job_says_that_part_of_its_data_has_arrived(client, ended, run):
    job = ended(
        statuses=[("running", 5), ("incomplete", 0), ("running", 5), ("cancelled", None)],
        partial_rows=3,
    )

    with pytest.raises(AirbyteJobCancelledError) as failure:
        run(client.jobs.ensure_succeeded(job))

    assert "or a pool. Part of its data has arrived: 1 row of 'users', 1 row of" in str(
        failure.value
    )


@pytest.mark.parametrize("statistics", ["all", "attempts", "none"])
def test_nothing_has_arrived_of_a_job_that_committed_nothing(client, ended, run, statistics):
    job = ended(outcome="failed", statistics=statistics)

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.jobs.ensure_succeeded(job))

    assert "has arrived" not in str(failure.value)


UNRESPONSIVE = {
    "error 503": lambda emulator, route: emulator.fail_next(route, 503, times=None),
    "silence": lambda emulator, route: emulator.hang_next(route, 1000, times=None),
}


@pytest.mark.parametrize("routes", [(CONNECTION, REASONS), (CONNECTION, LOG)], ids=["all", "log"])
@pytest.mark.parametrize("fault", UNRESPONSIVE.values(), ids=UNRESPONSIVE)
def test_details_that_cannot_be_read_hold_up_a_task_for_seconds(
    client, emulator, failed, fault, routes
):
    for route in routes:
        fault(emulator, route)
    began = emulator.clock.time()

    with pytest.raises(AirbyteJobFailedError):
        run_blocking(client.jobs.ensure_succeeded(failed))

    assert emulator.clock.time() - began <= 2 * DETAILS_PATIENCE
