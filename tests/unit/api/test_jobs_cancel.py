"""A DELETE cancels whatever runs on the connection, so the job is read before each one."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbytePermissionError,
    AirbyteServerError,
    AirbyteTransportError,
    HttpResponse,
)
from airflow_provider_airbyte_sme.api.resources.job_starts import DETAILS_PATIENCE
from tests.unit.api.doubles import client_for, fail_sent, fail_unsent, requests_to, settings_for
from tests.unit.api.responses import JOB, html_page, json_response

GET, DELETE = "GET /jobs/{jobId}", "DELETE /jobs/{jobId}"


@pytest.fixture
def running(emulator):
    """The number of a job that runs until it is ended."""
    emulator.script_job(statuses=[("running", None)])
    return emulator.start_sync()


def calls(emulator):
    return [
        (request.method, request.status)
        for request in emulator.requests
        if request.route in (GET, DELETE)
    ]


def test_a_running_job_is_cancelled(client, emulator, running, run):
    job = run(client.jobs.cancel(running))

    assert job.is_cancelled
    assert emulator.jobs[running].status == "cancelled"
    assert calls(emulator) == [("GET", 200), ("DELETE", 200)]


@pytest.mark.parametrize("status", ["queued", "incomplete", "paused"])
def test_a_job_in_any_non_terminal_status_is_cancelled(client, emulator, run, status):
    emulator.script_job(
        statuses=[("running", 0), ("incomplete", 0), (status, None)]
        if status == "incomplete"
        else [(status, None)]
    )
    job_id = emulator.start_sync()

    assert run(client.jobs.cancel(job_id)).is_cancelled


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled"])
def test_a_job_that_has_ended_is_not_changed(client, emulator, running, run, outcome):
    emulator.finish_job(running, outcome)

    assert run(client.jobs.cancel(running)).status == outcome
    assert requests_to(emulator, DELETE) == []


def test_a_newer_job_of_the_connection_is_not_cancelled(client, emulator, running, run):
    emulator.finish_job(running)
    emulator.script_job(statuses=[("running", None)])
    newer = emulator.start_sync()

    run(client.jobs.cancel(running))

    assert requests_to(emulator, DELETE) == []
    assert emulator.jobs[newer].status == "running"


def test_a_job_that_ends_before_the_delete_is_returned_as_it_ended(
    client, emulator, running, run, wire
):
    wire.before_next("DELETE", lambda: emulator.finish_job(running))

    assert run(client.jobs.cancel(running)).has_succeeded
    assert calls(emulator) == [("GET", 200), ("DELETE", 409), ("GET", 200)]


NOT_RUNNING = {
    "status": 409,
    "type": "https://reference.airbyte.com/reference/errors#409-state-conflict",
    "title": "state-conflict",
    "detail": "State conflict",
    "data": {"message": "Job is not currently running"},
}
EXECUTED = {
    "lost response": lambda emulator, wire: emulator.drop_next(DELETE),
    "timeout": lambda emulator, wire: emulator.hang_next(DELETE, seconds=1000),
    "timeout of an ingress": lambda emulator, wire: wire.replace_next_response(
        "DELETE", html_page(504)
    ),
    "truncated response": lambda emulator, wire: wire.replace_next_response(
        "DELETE", HttpResponse(200, {}, b'{"jobId": 1, "st')
    ),
    "HTML response": lambda emulator, wire: wire.replace_next_response("DELETE", html_page(200)),
}


@pytest.mark.parametrize("fault", EXECUTED.values(), ids=EXECUTED)
def test_a_job_cancelled_without_a_usable_response_is_read_again(
    client, emulator, wire, running, run, fault
):
    fault(emulator, wire)

    assert run(client.jobs.cancel(running)).is_cancelled
    assert len(requests_to(emulator, DELETE)) == 1


NOT_EXECUTED = {
    "connection refused": lambda emulator, wire: wire.before_next("DELETE", fail_unsent),
    "connection reset": lambda emulator, wire: wire.before_next("DELETE", fail_sent),
    "error 500": lambda emulator, wire: emulator.fail_next(DELETE, 500),
    "error 503": lambda emulator, wire: emulator.fail_next(DELETE, 503),
    "error 429": lambda emulator, wire: emulator.fail_next(DELETE, 429),
}


@pytest.mark.parametrize("fault", NOT_EXECUTED.values(), ids=NOT_EXECUTED)
def test_a_job_is_read_before_each_attempt_to_cancel_it(
    client, emulator, wire, running, run, fault
):
    fault(emulator, wire)

    assert run(client.jobs.cancel(running)).is_cancelled
    assert wire.calls == ["GET", "DELETE", "GET", "DELETE"]


@pytest.mark.parametrize("fault", NOT_EXECUTED.values(), ids=NOT_EXECUTED)
def test_a_second_attempt_does_not_cancel_a_newer_job(client, emulator, wire, running, run, fault):
    fault(emulator, wire)
    emulator.script_job(statuses=[("running", None)])

    def start_next_sync():
        emulator.finish_job(running)
        emulator.start_sync()

    wire.after_next_sleep(start_next_sync)

    assert run(client.jobs.cancel(running)).has_succeeded
    assert [job.status for job in emulator.jobs.values()] == ["succeeded", "running"]


def test_a_cancel_is_given_up_within_a_minute(client, emulator, running, run):
    began = emulator.clock.time()
    emulator.fail_next(DELETE, 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.jobs.cancel(running))

    assert emulator.clock.time() - began <= 60
    deletes = requests_to(emulator, DELETE)
    assert set(deletes) == {503}
    assert requests_to(emulator, GET) == [200] * len(deletes)


def test_a_cancel_during_an_outage_is_given_up_within_a_minute(client, emulator, running, run):
    began = emulator.clock.time()
    emulator.fail_next("*", 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.jobs.cancel(running))

    assert emulator.clock.time() - began <= 60


def test_an_unreadable_job_is_not_cancelled(client, emulator, running, run):
    emulator.drop_next(GET, times=None, after=False)

    with pytest.raises(AirbyteTransportError):
        run(client.jobs.cancel(running))

    assert requests_to(emulator, DELETE) == []


def test_a_reader_may_not_cancel_a_job(emulator, wire, running, run):
    client_id, client_secret = emulator.add_application("workspace_reader")
    settings = settings_for(emulator, client_id=client_id, client_secret=client_secret)

    with pytest.raises(AirbytePermissionError, match="runner to start and cancel syncs"):
        run(client_for(emulator, wire, settings=settings).jobs.cancel(running))

    assert len(requests_to(emulator, DELETE)) == 1


def test_a_job_is_read_again_after_a_refused_token(client, emulator, wire, running, run):
    wire.before_next("DELETE", emulator.revoke_tokens)

    assert run(client.jobs.cancel(running)).is_cancelled
    assert calls(emulator) == [("GET", 200), ("DELETE", 401), ("GET", 200), ("DELETE", 200)]


def test_a_refused_token_does_not_cancel_a_newer_job(client, emulator, wire, running, run):
    emulator.script_job(statuses=[("running", None)])

    def replace_job():
        emulator.revoke_tokens()
        emulator.finish_job(running)
        emulator.start_sync()

    wire.before_next("DELETE", replace_job)

    assert run(client.jobs.cancel(running)).has_succeeded
    assert [job.status for job in emulator.jobs.values()] == ["succeeded", "running"]


def test_a_cancelled_job_whose_status_lags_is_read_until_it_has_ended(
    client, emulator, wire, running, run
):
    lagging = json_response({**JOB, "jobId": running, "status": "running"})
    wire.replace_next_response("DELETE", lagging)

    assert run(client.jobs.cancel(running)).is_cancelled


def test_a_job_that_runs_on_after_its_cancel_is_returned_as_running(
    client, emulator, wire, running, run
):
    still_running = json_response({**JOB, "jobId": running, "status": "running"})
    wire.replace_next_response("DELETE", still_running)
    for _ in range(10):
        wire.replace_next_response("GET", still_running)

    assert run(client.jobs.cancel(running)).status == "running"
    assert len(requests_to(emulator, DELETE)) == 1


def test_a_job_that_runs_on_after_a_conflict_is_returned_as_running(
    client, emulator, wire, running, run
):
    emulator.fail_next(DELETE, 409, body=NOT_RUNNING)

    assert run(client.jobs.cancel(running)).status == "running"
    assert len(requests_to(emulator, DELETE)) == 1


def test_a_job_that_cannot_be_read_after_its_cancel_is_returned_as_last_read(
    client, emulator, wire, running, run
):
    lagging = json_response({**JOB, "jobId": running, "status": "running"})
    wire.replace_next_response("DELETE", lagging)
    wire.before_next("DELETE", lambda: emulator.fail_next(GET, 503, times=None))
    began = emulator.clock.time()

    assert run(client.jobs.cancel(running)).status == "running"
    assert emulator.jobs[running].status == "cancelled"
    assert emulator.clock.time() - began <= DETAILS_PATIENCE
