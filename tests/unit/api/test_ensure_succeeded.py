"""The one line that the person on call reads: which job, of what, after how long, why, where."""

import logging

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    Job,
)
from tests.unit.api.answers import web_page
from tests.unit.api.doubles import AIRBYTE, client_for, requests_to, settings_for

REASONS = "POST /api/v1/jobs/get_without_logs"
CONNECTION = "GET /connections/{connectionId}"


@pytest.fixture
def ended(client, emulator, run):
    """Let a job end as told, and read it."""

    def end(**script):
        emulator.script_job(**script)
        job_id = emulator.start_sync()
        emulator.advance(86_400)
        return run(client.get_job(job_id))

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
    """The page of the job with number 1."""
    return (
        f"{AIRBYTE}/workspaces/{emulator.workspace_id}/connections/{emulator.connection_id}"
        f"/timeline?jobId=1&openLogs=true"
    )


def test_a_job_that_succeeded_is_returned_without_a_question(client, emulator, ended, run):
    job = ended(outcome="succeeded")
    emulator.clear_requests()

    assert run(client.ensure_succeeded(job)) is job
    assert emulator.requests == []


def test_a_job_that_failed_is_told_in_one_line(client, emulator, failed, page, run):
    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.ensure_succeeded(failed))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) failed after "
        f"1 min 30 s with 1,200 rows: 1 attempt, source, config_error, Login refused. {page}"
    )
    assert failure.value.job is failed


def test_a_job_that_was_tried_often_tells_its_newest_reason(client, ended, run):
    job = ended(
        outcome="failed",
        attempts=3,
        failure={"message": "Connection reset", "origin": "destination", "type": "transient_error"},
    )

    with pytest.raises(
        AirbyteJobFailedError,
        match="3 attempts, destination, transient_error, Connection reset",
    ):
        run(client.ensure_succeeded(job))


def test_a_job_that_was_cancelled_is_told_in_one_line(client, emulator, ended, page, run):
    job = ended(statuses=[("running", 30), ("cancelled", None)], rows=0)
    emulator.clear_requests()

    with pytest.raises(AirbyteJobCancelledError) as failure:
        run(client.ensure_succeeded(job))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) was cancelled "
        f"after 30 s with 0 rows. Somebody, a reset or the lack of a free data worker ended it: "
        f"start it again. {page}"
    )
    assert failure.value.job is job
    assert requests_to(emulator, REASONS) == []


def refuse(emulator, route, response):
    emulator.fail_next(route, response.status, None, response.headers, response.body)


SILENT = {
    "forbidden": lambda emulator: emulator.fail_next(REASONS, 403, times=None),
    "not found": lambda emulator: emulator.fail_next(REASONS, 404, times=None),
    "not implemented": lambda emulator: emulator.fail_next(REASONS, 501, times=None),
    "in trouble": lambda emulator: emulator.fail_next(REASONS, 500, times=None),
    "closed by an ingress": lambda emulator: refuse(emulator, REASONS, web_page(403)),
    "a web page": lambda emulator: refuse(emulator, REASONS, web_page(200)),
    "of another form": lambda emulator: emulator.fail_next(REASONS, 200, None, body={"job": {}}),
    "not answering": lambda emulator: emulator.drop_next(REASONS, times=None),
}


@pytest.mark.parametrize("trouble", SILENT.values(), ids=SILENT)
def test_a_config_api_that_does_not_tell_leaves_a_clear_line(
    client, emulator, failed, page, run, trouble, caplog
):
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
    trouble(emulator)

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.ensure_succeeded(failed))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) failed after "
        f"1 min 30 s with 1,200 rows, for a reason that only its log tells. {page}"
    )
    assert "The config API does not tell why job 1 failed" in caplog.text


def test_a_config_api_that_is_not_to_be_used_is_not_asked(emulator, wire, failed, run):
    client = client_for(emulator, wire, settings=settings_for(emulator, config_api=False))

    with pytest.raises(AirbyteJobFailedError, match="for a reason that only its log tells"):
        run(client.ensure_succeeded(failed))

    assert requests_to(emulator, REASONS) == []


def test_airbyte_cloud_has_no_config_api_to_ask(emulator, wire, failed, run):
    settings = settings_for(emulator, "https://api.airbyte.com")
    client = client_for(emulator, wire, settings=settings)

    assert run(client.explain_failure(failed)) is None
    assert requests_to(emulator, REASONS) == []


def test_a_connection_that_cannot_be_read_is_told_by_its_id(client, emulator, failed, run):
    emulator.fail_next(CONNECTION, 403)

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.ensure_succeeded(failed))

    assert str(failure.value) == (
        f"Job 1 of connection {emulator.connection_id} failed after 1 min 30 s with 1,200 rows: "
        f"1 attempt, source, config_error, Login refused."
    )


def test_a_job_that_tells_neither_duration_nor_rows_is_told_without(
    client, emulator, failed, page, run
):
    bare = Job(
        job_id=failed.job_id,
        status="failed",
        job_type="sync",
        connection_id=failed.connection_id,
        started_at=failed.started_at,
    )

    with pytest.raises(AirbyteJobFailedError) as failure:
        run(client.ensure_succeeded(bare))

    assert str(failure.value) == (
        f"Job 1 of connection 'Sample data to Warehouse' ({emulator.connection_id}) failed: "
        f"1 attempt, source, config_error, Login refused. {page}"
    )


def test_why_a_job_failed_can_be_asked_for(client, failed, run):
    reason = run(client.explain_failure(failed))

    assert (reason.attempts, reason.origin, reason.kind, reason.message) == (
        1,
        "source",
        "config_error",
        "Login refused.",
    )
