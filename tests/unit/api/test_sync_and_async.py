"""The client behaves the same over memory, requests and aiohttp."""

from functools import partial

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbytePermissionError,
    AirbyteRequestTimeoutError,
    AirbyteServerError,
    AirbyteSession,
    AirbyteTransportError,
    Ownership,
    RetryPolicy,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import AIRBYTE, requests_to, settings_for
from tests.unit.api.runners import over_aiohttp, over_memory, over_requests

JOBS = "GET /jobs"


@pytest.fixture
def emulator():
    """An Airbyte whose jobs have ended when they are first read."""
    return Emulator(time="instant")


@pytest.fixture(params=["memory", "requests", "aiohttp"])
def over(request, emulator):
    """Run a scenario over each transport: ``over(scenario, **settings)``."""
    if request.param == "memory":
        yield partial(_run, emulator, over_memory(emulator), AIRBYTE)
    else:
        runner = {"requests": over_requests, "aiohttp": over_aiohttp}[request.param]
        with emulator.serve() as server:
            yield partial(_run, emulator, runner, server.url)


def _run(emulator, runner, url, scenario, *, attempts=5, **fields):
    settings = settings_for(emulator, url, **fields)
    retry = RetryPolicy(max_attempts=attempts)

    async def with_client(transport):
        # Without jitter there is no delay.
        session = AirbyteSession(settings, transport, retry=retry, jitter=lambda: 0.0)
        return await scenario(AirbyteClient(session))

    return runner(settings, with_client)


def list_jobs(client):
    return client.jobs.list()


def test_a_sync_is_created_waited_for_and_checked(over, emulator):
    async def scenario(client):
        created = await client.jobs.create(emulator.connection_id)
        return await client.jobs.ensure_succeeded(await client.jobs.wait(created.job_id))

    job = over(scenario)

    assert job.rows_synced == 100
    assert [request.route for request in emulator.requests] == [
        "POST /applications/token",
        "GET /jobs",
        "POST /jobs",
        "GET /jobs/{jobId}",
    ]


def test_a_job_is_cancelled(over, emulator):
    emulator.script_job(statuses=[("running", None)])

    async def scenario(client):
        created = await client.jobs.create(emulator.connection_id)
        return await client.jobs.cancel(created.job_id)

    assert over(scenario).is_cancelled


def test_query_and_headers_arrive_unchanged(over, emulator):
    async def scenario(client):
        await client.jobs.list(
            connection_id=emulator.connection_id, status="running", limit=5, offset=3
        )

    over(scenario, headers={"X-Key": "one two"})

    request = emulator.requests[-1]
    assert (request.method, request.path) == ("GET", "/api/public/v1/jobs")
    assert request.query == {
        "connectionId": [emulator.connection_id],
        "status": ["running"],
        "limit": ["5"],
        "offset": ["3"],
        "orderBy": ["createdAt|DESC"],
    }
    assert request.headers["x-key"] == "one two"
    assert request.headers["user-agent"].startswith("airflow-provider-airbyte-sme/")


def test_transient_errors_are_retried(over, emulator):
    emulator.fail_next(JOBS, 503, headers={"Retry-After": "0"})
    emulator.html_next(JOBS, status=502)
    emulator.drop_next(JOBS)
    emulator.html_next(JOBS)

    assert over(list_jobs) == []
    assert requests_to(emulator, JOBS) == [503, 502, None, 200, 200]


def test_a_revoked_token_is_renewed(over, emulator):
    async def scenario(client):
        await client.jobs.list()
        emulator.revoke_tokens()
        return await client.jobs.list()

    assert over(scenario) == []
    assert requests_to(emulator, JOBS) == [200, 401, 200]


def test_a_late_response_raises_timeout_error_for_a_sent_request(over, emulator):
    emulator.hang_next(JOBS, seconds=60)

    with pytest.raises(AirbyteRequestTimeoutError) as failure:
        over(list_jobs, attempts=1, request_timeout=0.1)

    assert failure.value.request_sent


def test_a_lost_response_raises_transport_error_for_a_sent_request(over, emulator):
    emulator.drop_next(JOBS)

    with pytest.raises(AirbyteTransportError) as failure:
        over(list_jobs, attempts=1)

    assert failure.value.request_sent
    assert not isinstance(failure.value, AirbyteRequestTimeoutError)


PERMANENT_ERRORS = {
    "error 403": (
        lambda emulator: emulator.fail_next(JOBS, 403),
        AirbytePermissionError,
    ),
    "truncated response": (
        lambda emulator: emulator.fail_next(JOBS, 200, body='{"data": [{"jobId"'),
        AirbyteDecodeError,
    ),
    "error 501": (
        lambda emulator: emulator.fail_next(JOBS, 501),
        AirbyteServerError,
    ),
}


@pytest.mark.parametrize(("fault", "error"), PERMANENT_ERRORS.values(), ids=PERMANENT_ERRORS)
def test_permanent_errors_are_not_retried(over, emulator, fault, error):
    fault(emulator)

    with pytest.raises(error):
        over(list_jobs)

    assert len(requests_to(emulator, JOBS)) == 1


def test_wrong_credentials_raise_credentials_error(over):
    with pytest.raises(AirbyteCredentialsError):
        over(list_jobs, client_secret="another")


def test_names_of_headers_are_case_insensitive(over, emulator):
    emulator.fail_next(JOBS, 503, headers={"RETRY-After": "3600"})

    with pytest.raises(AirbyteServerError) as failure:
        over(list_jobs, attempts=1)

    assert failure.value.retry_after == 3600


def test_a_job_is_found_after_a_lost_response_and_not_created_again(over, emulator):
    emulator.drop_next("POST /jobs")

    async def scenario(client):
        return await client.jobs.create(emulator.connection_id)

    created = over(scenario)

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND
