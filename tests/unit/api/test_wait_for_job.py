"""Waiting: gently, until the end, and through whatever passes by itself."""

import asyncio
import logging

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConflictError,
    AirbyteCredentialsError,
    AirbyteError,
    AirbyteJobTimeoutError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteServerError,
    run_blocking,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import Wire, client_for, requests_to

GET = "GET /jobs/{jobId}"
MINUTE = 60.0


@pytest.fixture
def start(emulator):
    """Start a job that goes through statuses, each with its seconds."""

    def begin(*statuses):
        emulator.script_job(statuses=statuses)
        return emulator.start_sync()

    return begin


def reads_at(emulator, began):
    """Return the seconds after *began* at which the job was read."""
    return [request.at - began for request in emulator.requests if request.route == GET]


@pytest.mark.parametrize(
    "statuses",
    [
        pytest.param([("pending", 40), ("running", 0)], id="pending"),
        pytest.param([("queued", 40), ("running", 0)], id="queued"),
        pytest.param([("running", 40)], id="running"),
        pytest.param([("running", 0), ("incomplete", 40), ("running", 0)], id="incomplete"),
        pytest.param([("paused", 40), ("running", 0)], id="a status nobody has heard of"),
    ],
)
@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled"])
def test_a_job_is_waited_for_until_it_has_ended(client, start, wire, run, statuses, outcome):
    job_id = start(*statuses, (outcome, None))

    job = run(client.wait_for_job(job_id))

    assert job.status == outcome
    assert wire.slept == [10.0] * 4


def test_a_job_that_has_ended_is_not_waited_for(client, start, emulator, wire, run):
    job_id = start(("running", 0), ("succeeded", None))

    assert run(client.wait_for_job(job_id)).has_succeeded
    assert wire.slept == []
    assert requests_to(emulator, GET) == [200]


@pytest.mark.parametrize("poll_interval", [1.0, 7.0, 60.0])
def test_reads_are_exactly_as_far_apart_as_asked_for(client, start, emulator, run, poll_interval):
    began = emulator.clock.time()
    job_id = start(("running", 100), ("succeeded", None))

    run(client.wait_for_job(job_id, poll_interval=poll_interval))

    reads = reads_at(emulator, began)
    assert reads == pytest.approx([n * poll_interval for n in range(len(reads))])
    assert reads[-2] < 100 <= reads[-1]


def test_a_change_of_status_is_told_once(client, start, run, caplog):
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
    job_id = start(("queued", 25), ("running", 25), ("succeeded", None))

    run(client.wait_for_job(job_id))

    told = [line for line in caplog.messages if line.startswith(f"Job {job_id} ")]
    assert [line.rsplit(" ", 1)[1] for line in told] == ["queued.", "running.", "succeeded."]


@pytest.mark.parametrize(
    ("timeout", "in_words"),
    [(25.0, "25 s"), (100.0, "1 min 40 s"), (7290.0, "2 h 1 min"), (0.0, "0 s")],
)
def test_a_job_that_does_not_end_in_time_is_told_and_left_running(
    client, start, emulator, run, timeout, in_words
):
    began = emulator.clock.time()
    job_id = start(("running", None))

    with pytest.raises(AirbyteJobTimeoutError) as failure:
        run(client.wait_for_job(job_id, poll_interval=60.0, timeout=timeout))

    assert str(failure.value) == (
        f"Job {job_id} of connection {emulator.connection_id} is still running after {in_words} "
        f"of waiting."
    )
    assert failure.value.job.job_id == job_id
    assert emulator.jobs[job_id].status == "running"
    assert reads_at(emulator, began)[-1] == pytest.approx(timeout)


def test_a_job_that_ends_at_the_last_moment_is_no_time_out(client, start, run):
    job_id = start(("running", 25), ("succeeded", None))

    assert run(client.wait_for_job(job_id, timeout=25)).has_succeeded


OUTAGES = {
    "nobody there": lambda emulator: emulator.drop_next("*", times=None, after=False),
    "answers that are lost": lambda emulator: emulator.drop_next(GET, times=None),
    "an ingress without a server": lambda emulator: emulator.fail_next("*", 503, times=None),
    "an ingress without a route": lambda emulator: emulator.html_next("*", times=None, status=404),
    "a page of maintenance": lambda emulator: emulator.html_next("*", times=None, status=200),
    "a page that is forbidden": lambda emulator: emulator.html_next("*", times=None, status=403),
    "a redirect to another page": lambda emulator: emulator.fail_next("*", 302, times=None),
    "bare text": lambda emulator: emulator.fail_next("*", 404, times=None, body="no healthy pod"),
    "half an answer": lambda emulator: emulator.fail_next(GET, 200, times=None, body='{"jobId'),
    "errors of the server": lambda emulator: emulator.fail_next(GET, 500, times=None),
    "too many requests": lambda emulator: emulator.fail_next(GET, 429, times=None),
    "tokens that look invalid": lambda emulator: emulator.fail_next(GET, 401, times=None),
    "no token": lambda emulator: (
        emulator.revoke_tokens(),
        emulator.fail_next("POST /applications/token", 503, times=None),
    ),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_of_nine_minutes_is_survived(client, start, emulator, wire, run, outage):
    job_id = start(("running", 15 * MINUTE), ("succeeded", None))
    wire.in_seconds(1 * MINUTE, lambda: outage(emulator))
    wire.in_seconds(10 * MINUTE, emulator.clear_faults)

    assert run(client.wait_for_job(job_id)).has_succeeded


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_of_eleven_minutes_is_not(client, start, emulator, wire, run, outage):
    began = emulator.clock.time()
    job_id = start(("running", 15 * MINUTE), ("succeeded", None))
    wire.in_seconds(1 * MINUTE, lambda: outage(emulator))
    wire.in_seconds(12 * MINUTE, emulator.clear_faults)

    with pytest.raises(AirbyteError):
        run(client.wait_for_job(job_id))

    assert 11 * MINUTE <= emulator.clock.time() - began < 12 * MINUTE


def test_each_good_answer_begins_a_new_budget(client, start, emulator, wire, run):
    job_id = start(("running", 25 * MINUTE), ("succeeded", None))
    wire.in_seconds(1 * MINUTE, lambda: emulator.fail_next(GET, 503, times=None))
    wire.in_seconds(10 * MINUTE, emulator.clear_faults)
    wire.in_seconds(11 * MINUTE, lambda: emulator.fail_next(GET, 503, times=None))
    wire.in_seconds(20 * MINUTE, emulator.clear_faults)

    assert run(client.wait_for_job(job_id)).has_succeeded


def test_a_budget_can_be_given(client, start, emulator, run):
    began = emulator.clock.time()
    job_id = start(("running", None))
    emulator.fail_next(GET, 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.wait_for_job(job_id, failure_budget=60.0))

    assert 60 <= emulator.clock.time() - began < 90


def test_an_outage_is_looked_at_every_minute_however_rare_the_reads(client, start, emulator, run):
    began = emulator.clock.time()
    job_id = start(("running", None))
    emulator.html_next(GET, times=3)

    run(client.read_job_patiently(job_id, poll_interval=1800.0))

    assert reads_at(emulator, began) == pytest.approx([0, 60, 120, 180])


def test_an_outage_is_told_while_it_lasts(client, start, emulator, run, caplog):
    emulator.html_next(GET, times=3)

    run(client.read_job_patiently(start(("running", None))))

    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.partition(":")[0] for line in told] == [
        "No good answer for 0 s, waiting up to 10 min 0 s",
        "No good answer for 10 s, waiting up to 10 min 0 s",
        "No good answer for 20 s, waiting up to 10 min 0 s",
    ]
    assert "a web page" in told[0]


REFUSALS = {
    "no such job, or no permission": (
        lambda emulator: emulator.fail_next(GET, 403, times=None),
        AirbytePermissionError,
    ),
    "no such thing": (
        lambda emulator: emulator.fail_next(GET, 404, times=None),
        AirbyteNotFoundError,
    ),
    "a state": (
        lambda emulator: emulator.fail_next(GET, 409, times=None),
        AirbyteConflictError,
    ),
    "credentials that are refused": (
        lambda emulator: (emulator.revoke_tokens(), emulator.rotate_secret()),
        AirbyteCredentialsError,
    ),
}


@pytest.mark.parametrize(("refusal", "error"), REFUSALS.values(), ids=REFUSALS)
def test_what_airbyte_refuses_for_good_ends_the_wait_at_once(
    client, start, emulator, wire, run, refusal, error
):
    job_id = start(("running", None))
    wire.in_seconds(15, lambda: refusal(emulator))

    with pytest.raises(error):
        run(client.wait_for_job(job_id))

    assert wire.slept == [10.0, 10.0]


def test_a_job_that_does_not_exist_ends_an_administrators_wait_at_once(run):
    emulator = Emulator(time="manual", instance_admin=True)

    with pytest.raises(AirbyteConflictError, match="Job is not currently running"):
        run(client_for(emulator, Wire(emulator)).wait_for_job(4711))


def test_a_wait_over_a_blocking_transport_works_inside_a_running_event_loop(client, start):
    job_id = start(("running", 100), ("succeeded", None))

    async def within_a_loop():
        return run_blocking(client.wait_for_job(job_id))

    assert asyncio.run(within_a_loop()).has_succeeded
