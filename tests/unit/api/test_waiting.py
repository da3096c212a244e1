"""The rules of a wait, as tables: deadline, failure budget, when to read next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteJobTimeoutError,
    AirbyteTransportError,
    HttpRequest,
    Job,
    Problem,
)
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.waiting import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    MAX_OUTAGE_PAUSE,
    Outage,
    Wait,
    duration_text,
)
from tests.unit.api.malformed import reproducible
from tests.unit.api.responses import CONNECTION_ID, JOB, hateoas, html_page, opaque, problem

# The driver's clock at the beginning of a wait. It need not begin at 0.
BEGAN = 5000.0
READ = HttpRequest("GET", "https://ab/jobs/42")

RUNNING = "running"
LOST_RESPONSE = AirbyteTransportError("Connection reset by peer", request_sent=True)
CREDENTIALS_ERROR = AirbyteCredentialsError(
    method="POST", url="https://ab/token", status=401, problem=Problem()
)
OUTAGES = {
    "lost response": LOST_RESPONSE,
    "truncated response": AirbyteDecodeError("truncated"),
    "HTML page": AirbyteDecodeError("page", is_html=True),
    "401": api_error(READ, hateoas(401, "Unauthorized")),
    "404 with an HTML page": api_error(READ, html_page(404)),
    "429": api_error(READ, hateoas(429, "Busy")),
    "500": api_error(READ, opaque(500)),
    "503": api_error(READ, html_page(503)),
}
PERMANENT_ERRORS = {
    "configuration error": AirbyteConfigError("empty"),
    "credentials error": CREDENTIALS_ERROR,
    "403": api_error(READ, hateoas(403, "Forbidden")),
    "404": api_error(READ, problem(404, "resource-not-found")),
    "501": api_error(READ, hateoas(501, "Not Implemented")),
}


def job_with(status: str) -> Job:
    return Job.from_json({**JOB, "status": status})


@pytest.mark.parametrize("error", OUTAGES.values(), ids=OUTAGES)
def test_a_read_that_fails_in_an_outage_is_repeated_within_the_budget(error):
    outage = Outage(BEGAN, poll_interval=10.0)

    assert outage.next_read(error, now=BEGAN) == 10.0
    assert outage.next_read(error, now=BEGAN + FAILURE_BUDGET) is None


@pytest.mark.parametrize("error", PERMANENT_ERRORS.values(), ids=PERMANENT_ERRORS)
def test_a_permanent_error_ends_the_reads_at_once_and_without_a_warning(error):
    outage = Outage(BEGAN, poll_interval=10.0)

    assert outage.next_read(error, now=BEGAN) is None
    assert outage.message(error, now=BEGAN) == ""


@pytest.mark.parametrize(
    ("poll_interval", "budget", "elapsed", "pause"),
    [
        pytest.param(10.0, 600.0, 0.0, 10.0, id="first failure"),
        pytest.param(10.0, 600.0, 590.0, 10.0, id="within the budget"),
        pytest.param(10.0, 600.0, 597.0, 3.0, id="the last one at the end of the budget"),
        pytest.param(10.0, 600.0, 600.0, None, id="budget spent"),
        pytest.param(10.0, 600.0, 5000.0, None, id="long after the budget"),
        pytest.param(10.0, 0.0, 0.0, None, id="no budget"),
        pytest.param(0.5, 600.0, 0.0, 0.5, id="short interval"),
        pytest.param(MAX_OUTAGE_PAUSE, 600.0, 0.0, MAX_OUTAGE_PAUSE, id="interval at the limit"),
        pytest.param(1800.0, 600.0, 0.0, MAX_OUTAGE_PAUSE, id="interval above the limit"),
    ],
)
def test_the_pause_after_a_failed_read(poll_interval, budget, elapsed, pause):
    outage = Outage(BEGAN, poll_interval, budget)

    assert outage.next_read(LOST_RESPONSE, now=BEGAN + elapsed) == pause


@pytest.mark.parametrize(
    ("retry_after", "budget", "pause"),
    [
        (None, 600.0, 10.0),
        (3.0, 600.0, 10.0),
        (30.0, 600.0, 30.0),
        (30.0, 20.0, 20.0),
        (3600.0, 600.0, MAX_OUTAGE_PAUSE),
    ],
)
def test_the_pause_that_a_response_demands_is_kept_within_limits(retry_after, budget, pause):
    error = api_error(READ, html_page(503), retry_after=retry_after)

    assert Outage(BEGAN, 10.0, budget).next_read(error, now=BEGAN) == pause


@pytest.mark.parametrize(
    ("budget", "elapsed", "message"),
    [
        pytest.param(
            600.0,
            0.0,
            "No good response for 0 s, giving up after 10 min 0 s: Connection reset by peer",
            id="first failure",
        ),
        pytest.param(
            90.0,
            75.0,
            "No good response for 1 min 15 s, giving up after 1 min 30 s: Connection reset by peer",
            id="within the budget",
        ),
        pytest.param(
            600.0,
            605.0,
            "No good response for 10 min 5 s: giving up.",
            id="budget spent",
        ),
    ],
)
def test_the_warning_about_a_failed_read(budget, elapsed, message):
    outage = Outage(BEGAN, 10.0, budget)

    assert outage.message(LOST_RESPONSE, now=BEGAN + elapsed) == message


def test_each_good_response_starts_a_new_failure_budget():
    wait = Wait(BEGAN, poll_interval=7.0, failure_budget=90.0)

    outage = wait.outage(now=BEGAN + 1000.0)

    assert outage == Outage(BEGAN + 1000.0, poll_interval=7.0, budget=90.0)
    assert outage.next_read(LOST_RESPONSE, now=BEGAN + 1083.0) == 7.0
    assert outage.next_read(LOST_RESPONSE, now=BEGAN + 1090.0) is None


def test_the_defaults_of_a_wait():
    wait = Wait(BEGAN)

    assert wait.next_read(job_with(RUNNING), now=BEGAN) == DEFAULT_POLL_INTERVAL
    assert wait.outage(now=BEGAN) == Outage(BEGAN, DEFAULT_POLL_INTERVAL, FAILURE_BUDGET)


@pytest.mark.parametrize(
    ("status", "poll_interval", "timeout", "elapsed", "pause"),
    [
        pytest.param("succeeded", 10.0, None, 0.0, None, id="succeeded"),
        pytest.param("failed", 10.0, None, 0.0, None, id="failed"),
        pytest.param("cancelled", 10.0, None, 0.0, None, id="cancelled"),
        pytest.param("succeeded", 10.0, 25.0, 25.0, None, id="ended at the deadline"),
        pytest.param("succeeded", 10.0, 25.0, 999.0, None, id="ended after the deadline"),
        pytest.param("pending", 10.0, None, 0.0, 10.0, id="pending"),
        pytest.param("incomplete", 10.0, None, 0.0, 10.0, id="incomplete"),
        pytest.param("paused", 10.0, None, 0.0, 10.0, id="unknown status"),
        pytest.param(RUNNING, 10.0, None, 1e9, 10.0, id="no timeout"),
        pytest.param(RUNNING, 10.0, 25.0, 0.0, 10.0, id="far from the deadline"),
        pytest.param(RUNNING, 10.0, 25.0, 15.0, 10.0, id="one interval before the deadline"),
        pytest.param(RUNNING, 10.0, 25.0, 20.0, 5.0, id="close to the deadline"),
        pytest.param(RUNNING, 60.0, 25.0, 0.0, 25.0, id="interval longer than the timeout"),
    ],
)
def test_the_pause_after_a_good_read(status, poll_interval, timeout, elapsed, pause):
    wait = Wait(BEGAN, poll_interval, timeout)

    assert wait.next_read(job_with(status), now=BEGAN + elapsed) == pause


@pytest.mark.parametrize(
    ("timeout", "elapsed"),
    [
        pytest.param(25.0, 25.0, id="at the deadline"),
        pytest.param(100.0, 101.0, id="after the deadline"),
        pytest.param(0.0, 0.0, id="no time to wait"),
    ],
)
@pytest.mark.parametrize(
    ("name", "label"),
    [
        pytest.param("crm to lake", f"'crm to lake' ({CONNECTION_ID})", id="named"),
        pytest.param("", CONNECTION_ID, id="unnamed"),
    ],
)
def test_a_job_still_running_at_the_deadline_raises_a_timeout_error(timeout, elapsed, name, label):
    wait = Wait(BEGAN, timeout=timeout, connection_name=name)
    job = job_with(RUNNING)

    with pytest.raises(AirbyteJobTimeoutError) as error:
        wait.next_read(job, now=BEGAN + elapsed)

    assert str(error.value) == (
        f"Job 42 of connection {label} is still running and the time to wait for it is over."
    )
    assert error.value.job is job


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (12, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (60, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (3600, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (7859, "2 h 10 min"),
        (200_000, "55 h 33 min"),
    ],
)
def test_a_duration_is_written_for_people(seconds, text):
    assert duration_text(seconds) == text


@reproducible
@given(
    poll_interval=st.floats(0.1, 1e5), timeout=st.floats(0.1, 1e6), fraction=st.floats(0.0, 0.999)
)
def test_no_pause_ends_after_the_deadline(poll_interval, timeout, fraction):
    wait = Wait(0.0, poll_interval, timeout)
    now = timeout * fraction

    pause = wait.next_read(job_with(RUNNING), now=now)

    assert pause is not None
    assert 0 < pause <= poll_interval
    assert now + pause <= timeout + 1e-6


@pytest.mark.parametrize("error", OUTAGES.values(), ids=OUTAGES)
def test_the_time_can_end_in_an_outage(error):
    wait = Wait(BEGAN, timeout=60.0)

    assert wait.is_over_after(error, now=BEGAN + 60)
    assert not wait.is_over_after(error, now=BEGAN + 59)


@pytest.mark.parametrize("error", PERMANENT_ERRORS.values(), ids=PERMANENT_ERRORS)
def test_a_permanent_error_ends_a_wait_whose_time_is_over_too(error):
    assert not Wait(BEGAN, timeout=60.0).is_over_after(error, now=BEGAN + 60)
    Wait(BEGAN, timeout=60.0).raise_if_over(job_with(RUNNING), error, now=BEGAN + 60)


def test_a_job_that_was_never_read_has_no_timeout():
    Wait(BEGAN, timeout=60.0).raise_if_over(None, LOST_RESPONSE, now=BEGAN + 60)


def test_an_outage_within_the_time_is_no_timeout():
    Wait(BEGAN, timeout=60.0).raise_if_over(job_with(RUNNING), LOST_RESPONSE, now=BEGAN + 59)


def test_a_timeout_in_an_outage_says_why_nothing_is_known():
    job = job_with(RUNNING)

    with pytest.raises(AirbyteJobTimeoutError) as raised:
        Wait(BEGAN, timeout=60.0).raise_if_over(job, LOST_RESPONSE, now=BEGAN + 60)

    assert raised.value.job is job
    assert raised.value.__cause__ is LOST_RESPONSE
    assert str(raised.value) == (
        f"{job.describe()} is still running and the time to wait for it is over; it could not be "
        f"read any more: Connection reset by peer."
    )


def test_a_timeout_is_one_sentence():
    job = job_with(RUNNING)

    assert str(Wait(BEGAN).timeout_error(job, "; no route to X.")) == (
        f"{job.describe()} is still running and the time to wait for it is over; no route to X."
    )


def test_an_outage_that_begins_when_the_time_is_over_has_no_budget():
    assert Wait(BEGAN, timeout=60.0).outage(now=BEGAN + 61).budget == 0.0


def test_a_millisecond_is_the_shortest_rest_of_time():
    assert Outage(0.0, poll_interval=10.0, budget=0.001).next_read(LOST_RESPONSE, now=0.0) == 0.001
    assert not Wait(0.0, timeout=0.001).is_over(now=0.0)
    assert Wait(0.0, timeout=0.0009).is_over(now=0.0)
