"""A DELETE hits whatever runs on a connection, so none goes out without a look before it."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbytePermissionError,
    AirbyteServerError,
    AirbyteTransportError,
    HttpResponse,
)
from tests.unit.api.answers import web_page
from tests.unit.api.doubles import client_for, lost, refused, requests_to, settings_for

GET, DELETE = "GET /jobs/{jobId}", "DELETE /jobs/{jobId}"


@pytest.fixture
def running(emulator):
    """The number of a job that runs until somebody ends it."""
    emulator.script_job(statuses=[("running", None)])
    return emulator.start_sync()


def calls(emulator):
    return [
        (request.method, request.status)
        for request in emulator.requests
        if request.route in (GET, DELETE)
    ]


def test_a_job_that_runs_is_cancelled(client, emulator, running, run):
    job = run(client.cancel_job(running))

    assert job.is_cancelled
    assert emulator.jobs[running].status == "cancelled"
    assert calls(emulator) == [("GET", 200), ("DELETE", 200)]


@pytest.mark.parametrize("status", ["queued", "incomplete", "paused"])
def test_a_job_in_any_status_that_is_not_terminal_is_cancelled(client, emulator, run, status):
    emulator.script_job(
        statuses=[("running", 0), ("incomplete", 0), (status, None)]
        if status == "incomplete"
        else [(status, None)]
    )
    job_id = emulator.start_sync()

    assert run(client.cancel_job(job_id)).is_cancelled


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled"])
def test_a_job_that_has_ended_is_left_as_it_is(client, emulator, running, run, outcome):
    emulator.finish_job(running, outcome)

    assert run(client.cancel_job(running)).status == outcome
    assert requests_to(emulator, DELETE) == []


def test_a_newer_job_of_the_connection_is_never_hit(client, emulator, running, run):
    emulator.finish_job(running)
    emulator.script_job(statuses=[("running", None)])
    newer = emulator.start_sync()

    run(client.cancel_job(running))

    assert requests_to(emulator, DELETE) == []
    assert emulator.jobs[newer].status == "running"


def test_a_job_that_ends_meanwhile_is_told_as_it_ended(client, emulator, running, run, wire):
    wire.before_next("DELETE", lambda: emulator.finish_job(running))

    assert run(client.cancel_job(running)).has_succeeded
    assert calls(emulator) == [("GET", 200), ("DELETE", 409), ("GET", 200)]


TROUBLE = {
    "its answer lost": lambda emulator, wire: emulator.drop_next(DELETE),
    "its answer late": lambda emulator, wire: emulator.hang_next(DELETE, seconds=1000),
    "an ingress that was not patient": lambda emulator, wire: wire.spoil_next(
        "DELETE", web_page(504)
    ),
    "an answer that was cut": lambda emulator, wire: wire.spoil_next(
        "DELETE", HttpResponse(200, {}, b'{"jobId": 1, "st')
    ),
    "a web page": lambda emulator, wire: wire.spoil_next("DELETE", web_page(200)),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_a_job_that_was_cancelled_without_a_good_answer_is_read_again(
    client, emulator, wire, running, run, trouble
):
    trouble(emulator, wire)

    assert run(client.cancel_job(running)).is_cancelled
    assert len(requests_to(emulator, DELETE)) == 1


NOT_DONE = {
    "a connection that was refused": lambda emulator, wire: wire.before_next("DELETE", refused),
    "a connection that broke": lambda emulator, wire: wire.before_next("DELETE", lost),
    "a server in trouble": lambda emulator, wire: emulator.fail_next(DELETE, 500),
    "an ingress without a server": lambda emulator, wire: emulator.fail_next(DELETE, 503),
    "too many requests": lambda emulator, wire: emulator.fail_next(DELETE, 429),
}


@pytest.mark.parametrize("trouble", NOT_DONE.values(), ids=NOT_DONE)
def test_a_job_is_read_again_before_each_attempt_to_cancel_it(
    client, emulator, wire, running, run, trouble
):
    trouble(emulator, wire)

    assert run(client.cancel_job(running)).is_cancelled
    assert wire.calls == ["GET", "DELETE", "GET", "DELETE"]


@pytest.mark.parametrize("trouble", NOT_DONE.values(), ids=NOT_DONE)
def test_a_newer_job_is_not_hit_by_a_second_attempt(client, emulator, wire, running, run, trouble):
    trouble(emulator, wire)
    emulator.script_job(statuses=[("running", None)])

    def the_next_sync_begins():
        emulator.finish_job(running)
        emulator.start_sync()

    wire.during_next_sleep(the_next_sync_begins)

    assert run(client.cancel_job(running)).has_succeeded
    assert [job.status for job in emulator.jobs.values()] == ["succeeded", "running"]


def test_a_job_that_cannot_be_cancelled_is_told_after_five_attempts(client, emulator, running, run):
    emulator.fail_next(DELETE, 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.cancel_job(running))

    assert requests_to(emulator, DELETE) == [503] * 5
    assert requests_to(emulator, GET) == [200] * 5


def test_a_job_that_cannot_be_read_is_not_cancelled(client, emulator, running, run):
    emulator.drop_next(GET, times=None, after=False)

    with pytest.raises(AirbyteTransportError):
        run(client.cancel_job(running))

    assert requests_to(emulator, DELETE) == []


def test_a_reader_may_not_cancel(emulator, wire, running, run):
    client_id, client_secret = emulator.add_application("workspace_reader")
    settings = settings_for(emulator, client_id=client_id, client_secret=client_secret)

    with pytest.raises(AirbytePermissionError, match="runner to start and cancel syncs"):
        run(client_for(emulator, wire, settings=settings).cancel_job(running))

    assert len(requests_to(emulator, DELETE)) == 1


def test_a_token_that_is_refused_is_exchanged_and_the_job_cancelled(
    client, emulator, wire, running, run
):
    wire.before_next("DELETE", emulator.revoke_tokens)

    assert run(client.cancel_job(running)).is_cancelled
    assert calls(emulator) == [("GET", 200), ("DELETE", 401), ("DELETE", 200)]
