"""How one request is sent: headers, timeouts, retries and errors."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api import (
    AirbyteBadRequestError,
    AirbyteDecodeError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteRequestTimeoutError,
    AirbyteServerError,
    AirbyteTransportError,
    RetryPolicy,
)
from tests.unit.api.doubles import AIRBYTE, client_for, requests_to, settings_for

JOBS = "GET /jobs"
CDN = {"type": "about:blank", "title": "Origin unreachable", "status": 530}
JOBS_URL = f"{AIRBYTE}/api/public/v1/jobs?limit=100&offset=0&orderBy=createdAt%7CDESC"


def test_a_request_has_accept_and_user_agent_headers(client, wire, run):
    run(client.jobs.list())

    assert wire.requests[-1].headers["Accept"] == "application/json"
    assert wire.requests[-1].headers["User-Agent"] == f"airflow-provider-airbyte-sme/{__version__}"


def test_headers_of_the_connection_are_sent_with_every_request(emulator, wire, run):
    client = client_for(
        emulator, wire, settings=settings_for(emulator, headers={"X-Key": "1", "user-agent": "us"})
    )

    run(client.jobs.list())

    for request in wire.requests:
        assert request.headers["X-Key"] == "1"
        assert [v for k, v in request.headers.items() if k.lower() == "user-agent"] == ["us"]


def test_request_timeout_of_the_connection_applies_to_reads(emulator, wire, run):
    client = client_for(emulator, wire, settings=settings_for(emulator, request_timeout=7.0))

    run(client.jobs.list())

    assert {request.timeout for request in wire.requests} == {7.0}


@pytest.mark.parametrize(("request_timeout", "expected"), [(7.0, 180.0), (300.0, 300.0)])
def test_calls_that_the_server_holds_open_have_a_longer_timeout(
    emulator, wire, run, request_timeout, expected
):
    client = client_for(
        emulator, wire, settings=settings_for(emulator, request_timeout=request_timeout)
    )
    emulator.script_job(statuses=[("running", None)])

    run(client.jobs.cancel(run(client.jobs.create(emulator.connection_id)).job_id))

    timeouts = {
        r.method: r.timeout
        for r in wire.requests
        if r.url.startswith(f"{AIRBYTE}/api/public/v1/jobs")
    }
    # The read before a DELETE ends with the time to cancel.
    read = min(request_timeout, 60.0)
    assert timeouts == {"POST": expected, "GET": read, "DELETE": expected}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_read_is_retried_with_growing_delays(client, emulator, wire, run, status):
    emulator.fail_next(JOBS, status, times=3)

    assert run(client.jobs.list()) == []

    assert requests_to(emulator, JOBS) == [status] * 3 + [200]
    assert wire.slept == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("after", [True, False], ids=["executed", "not executed"])
def test_a_read_is_retried_after_a_lost_response(client, emulator, run, after):
    emulator.drop_next(JOBS, after=after)

    assert run(client.jobs.list()) == []

    assert requests_to(emulator, JOBS) == [None, 200]


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_a_read_gives_up_after_two_minutes(emulator, wire, run, jitter):
    client = client_for(emulator, wire, jitter=lambda: jitter)
    run(client.authenticate())
    began = emulator.clock.time()
    emulator.fail_next(JOBS, 503, times=None)

    with pytest.raises(AirbyteServerError, match="with 503: an HTML page"):
        run(client.jobs.list())

    assert emulator.clock.time() - began == pytest.approx(120)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda emulator: emulator.drop_next("*", None, after=False), id="refused"),
        pytest.param(lambda emulator: emulator.fail_next("*", 503, None), id="503"),
        pytest.param(lambda emulator: emulator.fail_next("*", 530, None, body=CDN), id="530"),
        pytest.param(lambda emulator: emulator.html_next("*", None, status=404), id="HTML, 404"),
        pytest.param(lambda emulator: emulator.html_next("*", None, status=403), id="HTML, 403"),
        pytest.param(lambda emulator: emulator.html_next("*", None, status=200), id="HTML, 200"),
    ],
)
def test_a_start_survives_that_airbyte_is_away_for_30_seconds(emulator, wire, run, jitter, fault):
    client = client_for(emulator, wire, jitter=lambda: jitter)
    fault(emulator)
    wire.after_seconds(30, emulator.clear_faults)

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]


def test_a_slow_read_gives_up_after_two_minutes(client, emulator, run):
    run(client.authenticate())
    began = emulator.clock.time()
    emulator.hang_next(JOBS, seconds=60, times=None)

    with pytest.raises(AirbyteRequestTimeoutError):
        run(client.jobs.list())

    # 4 times 30 s, with delays of 1, 2 and 4 s between: no attempt begins after 120 s.
    assert len(requests_to(emulator, JOBS)) == 4
    assert emulator.clock.time() - began == 127.0


def test_the_retry_policy_can_be_replaced(emulator, wire, run):
    client = client_for(emulator, wire, retry=RetryPolicy(max_attempts=1))
    emulator.fail_next(JOBS, 503)

    with pytest.raises(AirbyteServerError):
        run(client.jobs.list())

    assert wire.slept == []


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(client, emulator, wire, run, status):
    emulator.fail_next(JOBS, status, headers={"Retry-After": "20"})

    run(client.jobs.list())

    assert wire.slept == [21.0]


def test_retry_after_may_be_a_date(client, emulator, wire, run):
    at = (emulator.now + timedelta(seconds=20)).replace(microsecond=0)
    emulator.fail_next(JOBS, 503, headers={"Retry-After": format_datetime(at, usegmt=True)})

    run(client.jobs.list())

    assert emulator.now >= at
    assert wire.slept == [pytest.approx(20.6)]


def test_retry_after_is_limited_to_a_minute(client, emulator, wire, run):
    emulator.fail_next(JOBS, 429, headers={"Retry-After": "3600"})

    run(client.jobs.list())

    assert wire.slept == [61.0]


def test_a_persistent_429_raises_rate_limit_error(client, emulator, run):
    emulator.fail_next(JOBS, 429, times=None)

    with pytest.raises(AirbyteRateLimitError, match="You are being rate limited"):
        run(client.jobs.list())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, AirbyteBadRequestError),
        (403, AirbytePermissionError),
        (404, AirbyteNotFoundError),
        (422, AirbyteBadRequestError),
        (501, AirbyteServerError),
    ],
)
def test_a_permanent_error_is_not_retried(client, emulator, wire, run, status, error):
    emulator.fail_next(JOBS, status, times=None)

    with pytest.raises(error):
        run(client.jobs.list())

    assert requests_to(emulator, JOBS) == [status]
    assert wire.slept == []


def test_an_unreachable_airbyte_raises_transport_error(client, emulator, wire, run):
    emulator.drop_next("*", times=None, after=False)

    with pytest.raises(AirbyteTransportError):
        run(client.jobs.list())

    assert sum(wire.slept) == 120


def test_html_response_raises_decode_error(client, emulator, run):
    emulator.html_next(JOBS, times=None)

    with pytest.raises(AirbyteDecodeError, match="an HTML page") as failure:
        run(client.jobs.list())

    assert failure.value.is_html
    assert f"GET {JOBS_URL} with 200" in str(failure.value)
    assert "check Host" in str(failure.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b'{"data": [{"jobId": 7,', "22 bytes of invalid JSON", id="truncated"),
        pytest.param(b"", "0 bytes of invalid JSON", id="empty"),
        pytest.param(b"Successful operation", "20 bytes of invalid JSON", id="plain text"),
        pytest.param(b"[]", "field 'data' is missing or not a list", id="array"),
        pytest.param(b"{}", "field 'data' is missing or not a list", id="no data"),
        pytest.param(b'{"data": {}}', "field 'data' is missing or not a list", id="data object"),
        pytest.param(b'{"data": [7]}', "a job must be a JSON object, not int", id="job number"),
        pytest.param(b'{"data": [{}]}', "field 'jobId' is missing", id="job without a number"),
    ],
)
def test_an_undocumented_body_raises_decode_error_with_the_request(
    client, emulator, run, body, reason
):
    emulator.fail_next(JOBS, 200, body=body)

    with pytest.raises(AirbyteDecodeError, match=reason) as failure:
        run(client.jobs.list())

    assert not failure.value.is_html
    assert f"Airbyte responded to GET {JOBS_URL} with 200" in str(failure.value)
