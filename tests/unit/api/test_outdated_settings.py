"""Which errors may mean that the settings were changed, and what a wait does about them first."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteDecodeError,
    AirbyteSettingsNotFoundError,
    AirbyteTransportError,
    HttpRequest,
    HttpResponse,
)
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.retry import RetryPolicy, may_be_outdated_settings
from tests.unit.api.responses import hateoas, html_page, opaque, problem
from tests.unit.api.servers import Proxy, raw_response

READ = HttpRequest("GET", "https://ab/jobs/42")


def gateway(status: int) -> HttpResponse:
    """A response in JSON that Airbyte did not write."""
    return HttpResponse(status, {"content-type": "application/json"}, b'{"message": "No key"}')


PERHAPS = {
    "401": api_error(READ, hateoas(401, "Unauthorized")),
    "401 of a gateway": api_error(READ, gateway(401)),
    "403 of a gateway": api_error(READ, gateway(403)),
    "403 in HTML": api_error(READ, html_page(403)),
    "403": api_error(READ, problem(403, "forbidden")),
    "407": api_error(READ, gateway(407)),
    "redirect": api_error(READ, HttpResponse(302, {"location": "https://login"}, b"")),
    "login page": AirbyteDecodeError("page", is_html=True),
    "rejected tunnel": AirbyteTransportError("407", request_sent=False, tunnel_rejected=True),
    "configuration": AirbyteConfigError("This Airbyte has no token endpoint"),
}
SURELY_NOT = {
    "400 of a gateway": api_error(READ, gateway(400)),
    "404 in HTML": api_error(READ, html_page(404)),
    "429": api_error(READ, hateoas(429, "Busy")),
    "500": api_error(READ, opaque(500)),
    "503": api_error(READ, html_page(503)),
    "refused connection": AirbyteTransportError("refused", request_sent=False),
    "truncated response": AirbyteDecodeError("truncated"),
    "unreadable settings": AirbyteSettingsNotFoundError("not found"),
}


@pytest.mark.parametrize("error", PERHAPS.values(), ids=PERHAPS)
def test_a_wait_reads_its_settings_again_before_it_retries(error):
    assert may_be_outdated_settings(error)
    assert delay(RetryPolicy(retries_refusals=False), error) is None


@pytest.mark.parametrize("error", SURELY_NOT.values(), ids=SURELY_NOT)
def test_what_says_nothing_about_the_settings_is_retried_as_always(error):
    assert not may_be_outdated_settings(error)
    assert delay(RetryPolicy(retries_refusals=False), error) == delay(RetryPolicy(), error)


def delay(policy: RetryPolicy, error) -> float | None:
    return policy.next_delay(error, replayable=True, attempt=1, elapsed=0.0, jitter=0.5)


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden"])
def test_a_proxy_that_rejects_a_tunnel_may_want_a_new_password(send, status):
    with (
        Proxy(connect=raw_response(b"", status)) as proxy,
        pytest.raises(AirbyteTransportError) as failure,
    ):
        send("https://airbyte.example.com", proxy=proxy.url)

    assert may_be_outdated_settings(failure.value)


def test_a_proxy_that_is_away_says_nothing_about_the_settings(send):
    with Proxy() as proxy:
        url = proxy.url

    with pytest.raises(AirbyteTransportError) as failure:
        send("https://airbyte.example.com", proxy=url)

    assert not may_be_outdated_settings(failure.value)
