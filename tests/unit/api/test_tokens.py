"""One exchange for many calls, at the endpoint that there is, renewed before it is too late."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

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
    run_blocking,
)
from airflow_provider_airbyte_sme.api.aiohttp_transport import AiohttpTransport
from airflow_provider_airbyte_sme.api.network import tls_context
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.answers import hateoas, web_page
from tests.unit.api.doubles import Wire, client_for, requests_to, settings_for

PUBLIC = "POST /applications/token"
CONFIG = "POST /api/v1/applications/token"
JOBS = "GET /jobs"


def refuse_next(emulator, route, response, times=1):
    """Order an answer of the shape that a real server gives."""
    emulator.fail_next(route, response.status, times, response.headers, response.body)


def test_a_token_is_exchanged_once_for_many_calls(client, emulator, run):
    for _ in range(3):
        run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [200]
    assert requests_to(emulator, JOBS) == [200, 200, 200]


def test_signing_in_exchanges_a_token_that_calls_then_use(client, emulator, run):
    run(client.sign_in())
    run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [200]


def test_a_token_is_renewed_a_minute_before_its_end_so_that_no_call_is_refused(
    client, emulator, run
):
    run(client.list_jobs())
    emulator.advance(839)
    run(client.list_jobs())
    assert requests_to(emulator, PUBLIC) == [200]

    emulator.advance(1)
    run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert requests_to(emulator, JOBS) == [200, 200, 200]


def test_the_life_of_a_token_counts_from_before_its_request(client, emulator, run):
    emulator.hang_next(PUBLIC, seconds=20)
    run(client.list_jobs())

    emulator.advance(820)
    run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [200, 200]


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_clock_that_differs_from_the_servers_does_no_harm(emulator, wire, run, skew):
    client = client_for(emulator, wire, skew=skew)
    for _ in range(3):
        run(client.list_jobs())
        emulator.advance(419)

    assert requests_to(emulator, PUBLIC) == [200]
    run(client.list_jobs())
    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert requests_to(emulator, JOBS) == [200] * 4


def test_a_refused_token_is_exchanged_and_the_call_repeated(client, emulator, run):
    run(client.list_jobs())
    emulator.revoke_tokens()

    run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert requests_to(emulator, JOBS) == [200, 401, 200]


def test_even_a_creation_is_repeated_after_a_refused_token_for_it_was_not_executed(
    client, emulator, run
):
    run(client.list_jobs())
    emulator.revoke_tokens()

    run(client.create_job(emulator.connection_id))

    assert requests_to(emulator, "POST /jobs") == [401, 200]
    assert len(emulator.jobs) == 1


def test_a_token_that_is_refused_when_new_is_an_authentication_error(client, emulator, run, wire):
    emulator.fail_next(JOBS, 401, times=None)

    with pytest.raises(AirbyteAuthenticationError, match="The token was new") as failure:
        run(client.list_jobs())

    assert not isinstance(failure.value, AirbyteCredentialsError)
    assert requests_to(emulator, JOBS) == [401, 401]
    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert wire.slept == []


NO_ENDPOINT = {
    "404": hateoas(404, "Page Not Found"),
    "405": hateoas(405, "Method Not Allowed"),
    "415": hateoas(415, "Unsupported Media Type"),
    "a page of the UI": web_page(200),
    "a page that is not there": web_page(404),
    "a page that is forbidden": web_page(403),
    "security before routes": hateoas(401, "Unauthorized"),
}


@pytest.mark.parametrize("answer", NO_ENDPOINT.values(), ids=NO_ENDPOINT)
def test_where_the_public_endpoint_is_missing_the_other_one_is_used(client, emulator, run, answer):
    refuse_next(emulator, PUBLIC, answer, times=None)

    run(client.list_jobs())

    assert requests_to(emulator, CONFIG) == [200]
    assert requests_to(emulator, PUBLIC) == [answer.status]


def test_a_token_without_a_lifetime_beside_it_lasts_as_it_says_itself(client, emulator, run):
    refuse_next(emulator, PUBLIC, hateoas(404, "Page Not Found"), times=None)

    run(client.list_jobs())
    emulator.advance(839)
    run(client.list_jobs())

    assert requests_to(emulator, CONFIG) == [200]


@pytest.mark.parametrize("auth_mode", ["oidc", "simple"])
def test_wrong_credentials_are_told_as_such_at_once(run, auth_mode):
    emulator = Emulator(time="manual", auth_mode=auth_mode)
    wire = Wire(emulator)
    client = client_for(
        emulator, wire, settings=settings_for(emulator, client_secret="s3cret, but another one")
    )

    with pytest.raises(AirbyteCredentialsError, match="Check Login") as failure:
        run(client.list_jobs())

    assert failure.value.status == {"oidc": 401, "simple": 400}[auth_mode]
    assert "s3cret" not in str(failure.value)
    assert [request.route for request in emulator.requests] == [PUBLIC]


def test_where_wrong_credentials_look_like_trouble_of_the_server_both_are_told(run):
    emulator = Emulator(time="manual", auth_mode="generic-oidc")
    client = client_for(
        emulator, Wire(emulator), settings=settings_for(emulator, client_secret="another")
    )

    with pytest.raises(AirbyteServerError, match=r"errorId .* check Login \(Client ID\)"):
        run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [500] * 5


def test_a_secret_that_was_rotated_is_refused_when_the_token_ends(client, emulator, run):
    run(client.list_jobs())
    emulator.rotate_secret()
    run(client.list_jobs())

    emulator.advance(900)

    with pytest.raises(AirbyteCredentialsError):
        run(client.list_jobs())


def test_credentials_for_an_airbyte_without_sign_in_are_a_configuration_error(run):
    emulator = Emulator(time="manual", auth_mode="none")
    client = client_for(emulator, Wire(emulator))

    with pytest.raises(AirbyteConfigError, match=r"has no token endpoint .* empty Login"):
        run(client.list_jobs())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(web_page(200), AirbyteDecodeError, id="its pages"),
        pytest.param(web_page(404), AirbyteNotFoundError, id="its errors"),
    ],
)
def test_what_is_no_airbyte_is_not_blamed_on_the_credentials(client, emulator, run, answer, error):
    refuse_next(emulator, "*", answer, times=None)

    with pytest.raises(error, match="Check Host"):
        run(client.list_jobs())


def test_without_credentials_nothing_is_exchanged_and_nothing_sent_along(run):
    emulator = Emulator(time="manual", auth_mode="none")
    wire = Wire(emulator)
    settings = settings_for(emulator, client_id="", client_secret="")

    run(client_for(emulator, wire, settings=settings).list_jobs())

    assert [request.route for request in emulator.requests] == [JOBS]
    assert "Authorization" not in wire.requests[0].headers


def test_an_airbyte_that_asks_for_a_sign_in_says_which_fields_are_empty(emulator, wire, run):
    settings = settings_for(emulator, client_id="", client_secret="")

    with pytest.raises(AirbyteConfigError, match=r"Login .* and Password .* are empty"):
        run(client_for(emulator, wire, settings=settings).list_jobs())


def test_a_proxy_that_asks_for_a_sign_in_is_not_taken_for_airbyte(emulator, wire, run):
    settings = settings_for(emulator, client_id="", client_secret="")
    refuse_next(emulator, JOBS, web_page(401))

    with pytest.raises(AirbyteAuthenticationError, match="Check Host"):
        run(client_for(emulator, wire, settings=settings).list_jobs())


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_exchange_is_repeated_while_the_server_is_in_trouble(client, emulator, run, status):
    emulator.fail_next(PUBLIC, status, times=2)

    run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [status, status, 200]


def test_an_exchange_whose_answer_is_lost_is_repeated(client, emulator, run):
    emulator.drop_next(PUBLIC)

    run(client.list_jobs())

    assert requests_to(emulator, PUBLIC) == [None, 200]


@pytest.mark.parametrize("body", [{}, {"access_token": None}, {"access_token": "a b"}])
def test_an_exchange_that_brings_no_token_is_told_by_its_field(client, emulator, run, body):
    emulator.fail_next(PUBLIC, 200, body=body)

    with pytest.raises(AirbyteDecodeError, match=r"token with 200, but field 'access_token'"):
        run(client.list_jobs())


def served(emulator, scenario):
    """Run *scenario* with the emulator on real sockets."""
    with emulator.serve() as server:
        return scenario(settings_for(emulator, server.url))


def test_many_threads_share_one_exchange():
    emulator, crowd = Emulator(), 8
    emulator.hang_next(PUBLIC, seconds=0.1)

    def scenario(settings):
        client = AirbyteClient(settings, RequestsTransport(settings))
        start = threading.Barrier(crowd)

        def call():
            start.wait()
            return run_blocking(client.list_jobs())

        with ThreadPoolExecutor(crowd) as pool:
            calls = [pool.submit(call) for _ in range(crowd)]
        run_blocking(client.close())
        return [done.result() for done in calls]

    assert served(emulator, scenario) == [[]] * crowd
    assert requests_to(emulator, PUBLIC) == [200]


def within_a_loop(scenario):
    """Run a coroutine function over aiohttp: ``scenario(client)``."""

    def run(settings):
        tls = tls_context(settings)

        async def main():
            async with AirbyteClient(settings, AiohttpTransport(settings, tls)) as client:
                return await scenario(client)

        return asyncio.run(main())

    return run


def test_many_coroutines_share_one_exchange_and_one_renewal():
    emulator, crowd = Emulator(), 20

    async def scenario(client):
        await asyncio.gather(*(client.list_jobs() for _ in range(crowd)))
        emulator.revoke_tokens()
        await asyncio.gather(*(client.list_jobs() for _ in range(crowd)))

    served(emulator, within_a_loop(scenario))

    assert requests_to(emulator, PUBLIC) == [200, 200]
    assert Counter(requests_to(emulator, JOBS)) == {200: 2 * crowd, 401: crowd}


def test_an_exchange_that_is_cancelled_leaves_the_next_one_free():
    emulator = Emulator()
    emulator.hang_next(PUBLIC, seconds=60)

    async def scenario(client):
        exchange = asyncio.create_task(client.sign_in())
        waiting = asyncio.create_task(client.list_jobs())
        await asyncio.wait([exchange, waiting], timeout=0.1)
        exchange.cancel()
        return await waiting

    assert served(emulator, within_a_loop(scenario)) == []
    assert requests_to(emulator, PUBLIC) == [200, 200]


def test_a_refusal_is_an_api_error_that_knows_its_request(client, emulator, run):
    emulator.fail_next(PUBLIC, 403, times=None)

    with pytest.raises(AirbyteApiError) as failure:
        run(client.sign_in())

    assert failure.value.method == "POST"
    assert failure.value.url.endswith("/api/public/v1/applications/token")
