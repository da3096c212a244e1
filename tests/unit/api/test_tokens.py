"""Tokens: one exchange for many requests, at the endpoint that exists, renewed in time."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteClient,
    AirbyteConfigError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteNotFoundError,
    AirbyteServerError,
    AirbyteSession,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.aiohttp_transport import AiohttpTransport
from airflow_provider_airbyte_sme.api.network import tls_context
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import AIRBYTE, Wire, client_for, requests_to, settings_for
from tests.unit.api.responses import hateoas, html_page

PUBLIC = "POST /applications/token"
CONFIG = "POST /api/v1/applications/token"
JOBS = "GET /jobs"


def respond_with(emulator, route, response, times=1):
    """Respond to the next requests to *route* with *response*."""
    emulator.fail_next(route, response.status, times, response.headers, response.body)


def test_a_token_is_exchanged_once_for_many_requests(client, emulator, run):
    for _ in range(3):
        run(client.jobs.list())

    assert requests_to(emulator, PUBLIC) == [200]
    assert requests_to(emulator, JOBS) == [200, 200, 200]


def test_authenticate_exchanges_the_token_that_requests_use(client, emulator, run):
    run(client.authenticate())
    run(client.jobs.list())

    assert requests_to(emulator, PUBLIC) == [200]


def test_a_token_is_renewed_a_minute_before_it_expires(client, emulator, run):
    run(client.jobs.list())
    emulator.advance(839)
    run(client.jobs.list())
    assert requests_to(emulator, PUBLIC) == [200]

    emulator.advance(1)
    run(client.jobs.list())

    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert requests_to(emulator, JOBS) == [200, 200, 200]


def test_the_lifetime_of_a_token_begins_before_its_request(client, emulator, run):
    emulator.hang_next(PUBLIC, seconds=20)
    run(client.jobs.list())

    emulator.advance(820)
    run(client.jobs.list())

    assert requests_to(emulator, PUBLIC) == [200, 200]


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_clock_skew_does_not_change_the_lifetime_of_a_token(emulator, wire, run, skew):
    client = client_for(emulator, wire, skew=skew)
    for _ in range(3):
        run(client.jobs.list())
        emulator.advance(419)

    assert requests_to(emulator, PUBLIC) == [200]
    run(client.jobs.list())
    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert requests_to(emulator, JOBS) == [200] * 4


def test_a_request_with_a_rejected_token_is_replayed_with_a_new_one(client, emulator, run):
    run(client.jobs.list())
    emulator.revoke_tokens()

    run(client.jobs.list())

    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert requests_to(emulator, JOBS) == [200, 401, 200]


def test_even_a_post_is_replayed_after_a_rejected_token(client, emulator, run):
    # A request with a rejected token was not executed.
    run(client.jobs.list())
    emulator.revoke_tokens()

    run(client.jobs.create(emulator.connection_id))

    assert requests_to(emulator, "POST /jobs") == [401, 200]
    assert len(emulator.jobs) == 1


def test_a_start_survives_that_new_tokens_are_refused_for_a_while(client, emulator, run, wire):
    emulator.fail_next(JOBS, 401, times=None)
    wire.after_seconds(30, emulator.clear_faults)

    assert run(client.jobs.list()) == []

    assert len(requests_to(emulator, PUBLIC)) < 10


def test_a_rejected_new_token_raises_authentication_error(client, emulator, run, wire):
    emulator.fail_next(JOBS, 401, times=None)

    with pytest.raises(AirbyteAuthenticationError, match="Airbyte rejected a new token") as failure:
        run(client.jobs.list())

    assert not isinstance(failure.value, AirbyteCredentialsError)
    assert sum(wire.slept) == pytest.approx(120)
    assert len(requests_to(emulator, PUBLIC)) < 16


NO_ENDPOINT = {
    "404": hateoas(404, "Page Not Found"),
    "405": hateoas(405, "Method Not Allowed"),
    "415": hateoas(415, "Unsupported Media Type"),
    "HTML with 200": html_page(200),
    "HTML with 404": html_page(404),
    "HTML with 403": html_page(403),
    "401 of an unknown route": hateoas(401, "Unauthorized"),
}


@pytest.mark.parametrize("response", NO_ENDPOINT.values(), ids=NO_ENDPOINT)
def test_a_missing_public_endpoint_is_replaced_by_the_config_one(client, emulator, run, response):
    respond_with(emulator, PUBLIC, response, times=None)

    run(client.jobs.list())

    assert requests_to(emulator, CONFIG) == [200]
    assert requests_to(emulator, PUBLIC) == [response.status]


def test_without_the_config_api_its_token_endpoint_is_used_all_the_same(emulator, wire, run):
    respond_with(emulator, PUBLIC, hateoas(404, "Page Not Found"), times=None)
    settings = settings_for(emulator, config_api=False)

    run(client_for(emulator, wire, settings=settings).jobs.list())

    assert requests_to(emulator, CONFIG) == [200]


def test_a_token_without_expires_in_lasts_until_its_exp_claim(client, emulator, run):
    respond_with(emulator, PUBLIC, hateoas(404, "Page Not Found"), times=None)

    run(client.jobs.list())
    emulator.advance(839)
    run(client.jobs.list())

    assert requests_to(emulator, CONFIG) == [200]


@pytest.mark.parametrize("auth_mode", ["oidc", "simple"])
def test_wrong_credentials_raise_credentials_error_without_a_retry(run, auth_mode):
    emulator = Emulator(time="manual", auth_mode=auth_mode)
    wire = Wire(emulator)
    client = client_for(
        emulator, wire, settings=settings_for(emulator, client_secret="s3cret, but another one")
    )

    with pytest.raises(AirbyteCredentialsError, match="Check Login") as failure:
        run(client.jobs.list())

    assert failure.value.status == {"oidc": 401, "simple": 400}[auth_mode]
    assert "s3cret" not in str(failure.value)
    assert [request.route for request in emulator.requests] == [PUBLIC]


def test_a_500_of_generic_oidc_mentions_the_credentials(run):
    emulator = Emulator(time="manual", auth_mode="generic-oidc")
    client = client_for(
        emulator, Wire(emulator), settings=settings_for(emulator, client_secret="another")
    )

    with pytest.raises(AirbyteServerError, match=r"errorId .* check Login \(Client ID\)"):
        run(client.jobs.list())

    assert set(requests_to(emulator, PUBLIC)) == {500}


def test_a_rotated_secret_is_rejected_when_the_token_expires(client, emulator, run):
    run(client.jobs.list())
    emulator.rotate_secret()
    run(client.jobs.list())

    emulator.advance(900)

    with pytest.raises(AirbyteCredentialsError):
        run(client.jobs.list())


def test_credentials_for_an_airbyte_without_sign_in_raise_config_error(run):
    emulator = Emulator(time="manual", auth_mode="none")
    client = client_for(emulator, Wire(emulator))

    with pytest.raises(AirbyteConfigError) as failure:
        run(client.jobs.list())

    assert str(failure.value) == (
        f"This Airbyte has no token endpoint (Airbyte responded to POST {AIRBYTE}/api/public/v1"
        f"/applications/token with 404: Page Not Found): check Host (Airbyte URL) of the Airflow "
        f"connection or, if this Airbyte has no sign-in, clear Login (Client ID) and Password "
        f"(Client secret)."
    )


@pytest.mark.parametrize(
    ("response", "error", "advice"),
    [
        pytest.param(html_page(200), AirbyteDecodeError, "check Host", id="HTML with 200"),
        pytest.param(html_page(404), AirbyteNotFoundError, "Check Host", id="HTML with 404"),
    ],
)
def test_a_wrong_url_is_not_blamed_on_the_credentials(
    client, emulator, run, response, error, advice
):
    respond_with(emulator, "*", response, times=None)

    with pytest.raises(error, match=advice):
        run(client.jobs.list())


def test_without_credentials_no_token_is_exchanged_or_sent(run):
    emulator = Emulator(time="manual", auth_mode="none")
    wire = Wire(emulator)
    settings = settings_for(emulator, client_id="", client_secret="")

    run(client_for(emulator, wire, settings=settings).jobs.list())

    assert [request.route for request in emulator.requests] == [JOBS]
    assert "Authorization" not in wire.requests[0].headers


def test_a_required_sign_in_names_the_empty_fields(emulator, wire, run):
    settings = settings_for(emulator, client_id="", client_secret="")

    with pytest.raises(AirbyteConfigError, match=r"Login .* and Password .* are empty"):
        run(client_for(emulator, wire, settings=settings).jobs.list())


def test_a_sign_in_page_of_a_proxy_is_not_from_airbyte(emulator, wire, run):
    settings = settings_for(emulator, client_id="", client_secret="")
    respond_with(emulator, JOBS, html_page(401), times=None)

    with pytest.raises(AirbyteAuthenticationError, match="Check Host"):
        run(client_for(emulator, wire, settings=settings).jobs.list())


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_exchange_is_retried_after_a_transient_error(client, emulator, run, status):
    emulator.fail_next(PUBLIC, status, times=2)

    run(client.jobs.list())

    assert requests_to(emulator, PUBLIC) == [status, status, 200]


def test_an_exchange_is_retried_after_a_lost_response(client, emulator, run):
    emulator.drop_next(PUBLIC)

    run(client.jobs.list())

    assert requests_to(emulator, PUBLIC) == [None, 200]


@pytest.mark.parametrize("body", [{}, {"access_token": None}, {"access_token": "a b"}])
def test_an_exchange_without_a_token_names_the_invalid_field(client, emulator, run, body):
    emulator.fail_next(PUBLIC, 200, body=body)

    with pytest.raises(AirbyteDecodeError, match=r"token with 200, but field 'access_token'"):
        run(client.jobs.list())


def served(emulator, scenario):
    """Run *scenario* with the emulator served over HTTP."""
    with emulator.serve() as server:
        return scenario(settings_for(emulator, server.url))


def test_many_threads_share_one_exchange():
    emulator, threads = Emulator(), 8
    emulator.hang_next(PUBLIC, seconds=0.1)

    def scenario(settings):
        client = AirbyteClient(AirbyteSession(settings, RequestsTransport(settings)))
        start = Barrier(threads)

        def call():
            start.wait()
            return run_blocking(client.jobs.list())

        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(call) for _ in range(threads)]
        run_blocking(client.close())
        return [future.result() for future in futures]

    assert served(emulator, scenario) == [[]] * threads
    assert requests_to(emulator, PUBLIC) == [200]


def inside_a_loop(scenario):
    """Run a coroutine function over aiohttp: ``scenario(client)``."""

    def run(settings):
        tls = tls_context(settings)

        async def main():
            async with AirbyteClient(
                AirbyteSession(settings, AiohttpTransport(settings, tls))
            ) as client:
                return await scenario(client)

        return asyncio.run(main())

    return run


def test_many_coroutines_share_one_exchange_and_one_renewal():
    emulator, callers = Emulator(), 20

    async def scenario(client):
        await asyncio.gather(*(client.jobs.list() for _ in range(callers)))
        emulator.revoke_tokens()
        await asyncio.gather(*(client.jobs.list() for _ in range(callers)))

    served(emulator, inside_a_loop(scenario))

    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert Counter(requests_to(emulator, JOBS)) == {200: 2 * callers, 401: callers}


def test_a_cancelled_exchange_does_not_block_the_next_one():
    emulator = Emulator()
    emulator.hang_next(PUBLIC, seconds=60)

    async def scenario(client):
        exchange = asyncio.create_task(client.authenticate())
        waiting = asyncio.create_task(client.jobs.list())
        await asyncio.wait([exchange, waiting], timeout=0.1)
        exchange.cancel()
        return await waiting

    assert served(emulator, inside_a_loop(scenario)) == []
    assert requests_to(emulator, PUBLIC) == [200, 200]


def test_a_rejected_exchange_raises_an_api_error_with_its_request(client, emulator, run):
    emulator.fail_next(PUBLIC, 403, times=None)

    with pytest.raises(AirbyteApiError) as failure:
        run(client.authenticate())

    assert failure.value.method == "POST"
    assert failure.value.url.endswith("/api/public/v1/applications/token")
