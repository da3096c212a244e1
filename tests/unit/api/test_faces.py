"""The same client over memory, requests and aiohttp: an Airbyte looks alike through all three."""

from functools import partial

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbytePermissionError,
    AirbyteRequestTimeoutError,
    AirbyteServerError,
    AirbyteTransportError,
    RetryPolicy,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import AIRBYTE, requests_to, settings_for
from tests.unit.api.faces import over_aiohttp, over_memory, over_requests

JOBS = "GET /jobs"


@pytest.fixture
def emulator():
    """An Airbyte whose jobs are over when they are first read."""
    return Emulator(time="instant")


@pytest.fixture(params=["memory", "requests", "aiohttp"])
def over(request, emulator):
    """Run a scenario over each transport: ``over(scenario, **settings)``."""
    if request.param == "memory":
        yield partial(_run, emulator, over_memory(emulator), AIRBYTE)
    else:
        face = {"requests": over_requests, "aiohttp": over_aiohttp}[request.param]
        with emulator.serve() as server:
            yield partial(_run, emulator, face, server.url)


def _run(emulator, face, url, scenario, *, attempts=5, **fields):
    settings = settings_for(emulator, url, **fields)
    retry = RetryPolicy(max_attempts=attempts)

    async def with_client(transport):
        # No jitter, so no wait.
        return await scenario(AirbyteClient(settings, transport, retry=retry, chance=lambda: 0.0))

    return face(settings, with_client)


def listing(client):
    return client.list_jobs()


def test_a_sync_is_started_waited_for_and_judged(over, emulator):
    async def scenario(client):
        job = await client.create_job(emulator.connection_id)
        return await client.ensure_succeeded(await client.wait_for_job(job.job_id))

    job = over(scenario)

    assert job.rows_synced == 100
    assert [request.route for request in emulator.requests] == [
        "POST /applications/token",
        "POST /jobs",
        "GET /jobs/{jobId}",
    ]


def test_a_job_is_cancelled(over, emulator):
    emulator.script_job(statuses=[("running", None)])

    async def scenario(client):
        job = await client.create_job(emulator.connection_id)
        return await client.cancel_job(job.job_id)

    assert over(scenario).is_cancelled


def test_a_question_arrives_as_it_was_asked(over, emulator):
    async def scenario(client):
        await client.list_jobs(
            connection_id=emulator.connection_id, status="running", limit=5, offset=3
        )

    over(scenario, headers={"X-Key": "one two"})

    asked = emulator.requests[-1]
    assert (asked.method, asked.path) == ("GET", "/api/public/v1/jobs")
    assert asked.query == {
        "connectionId": [emulator.connection_id],
        "status": ["running"],
        "limit": ["5"],
        "offset": ["3"],
        "orderBy": ["createdAt|DESC"],
    }
    assert asked.headers["x-key"] == "one two"
    assert asked.headers["user-agent"].startswith("airflow-provider-airbyte-sme/")


def test_trouble_that_passes_is_not_noticed(over, emulator):
    emulator.fail_next(JOBS, 503, headers={"Retry-After": "0"})
    emulator.html_next(JOBS, status=502)
    emulator.drop_next(JOBS)

    assert over(listing) == []
    assert requests_to(emulator, JOBS) == [503, 502, None, 200]


def test_a_token_that_was_revoked_is_not_noticed(over, emulator):
    async def scenario(client):
        await client.list_jobs()
        emulator.revoke_tokens()
        return await client.list_jobs()

    assert over(scenario) == []
    assert requests_to(emulator, JOBS) == [200, 401, 200]


def test_an_answer_that_is_late_is_a_time_out_of_a_request_that_was_sent(over, emulator):
    emulator.hang_next(JOBS, seconds=60)

    with pytest.raises(AirbyteRequestTimeoutError) as failure:
        over(listing, attempts=1, request_timeout=0.1)

    assert failure.value.request_sent


def test_an_answer_that_is_lost_is_no_answer_to_a_request_that_was_sent(over, emulator):
    emulator.drop_next(JOBS)

    with pytest.raises(AirbyteTransportError) as failure:
        over(listing, attempts=1)

    assert failure.value.request_sent
    assert not isinstance(failure.value, AirbyteRequestTimeoutError)


REFUSALS = {
    "a role that is missing": (
        lambda emulator: emulator.fail_next(JOBS, 403),
        AirbytePermissionError,
    ),
    "a web page": (lambda emulator: emulator.html_next(JOBS), AirbyteDecodeError),
    "half an answer": (
        lambda emulator: emulator.fail_next(JOBS, 200, body='{"data": [{"jobId"'),
        AirbyteDecodeError,
    ),
    "something that is not there": (
        lambda emulator: emulator.fail_next(JOBS, 501),
        AirbyteServerError,
    ),
}


@pytest.mark.parametrize(("order", "error"), REFUSALS.values(), ids=REFUSALS)
def test_what_a_repetition_cannot_cure_is_told(over, emulator, order, error):
    order(emulator)

    with pytest.raises(error):
        over(listing)

    assert len(requests_to(emulator, JOBS)) == 1


def test_credentials_that_are_refused_are_told(over):
    with pytest.raises(AirbyteCredentialsError):
        over(listing, client_secret="another")


def test_a_header_is_read_however_its_name_is_written(over, emulator):
    emulator.fail_next(JOBS, 503, headers={"RETRY-After": "3600"})

    with pytest.raises(AirbyteServerError) as failure:
        over(listing, attempts=1)

    assert failure.value.retry_after == 3600


def test_a_lost_creation_is_found_and_not_repeated(over, emulator):
    emulator.drop_next("POST /jobs")

    async def scenario(client):
        return await client.create_job(emulator.connection_id)

    job = over(scenario)

    assert list(emulator.jobs) == [job.job_id]
