"""The way out through a proxy, alike on both faces."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
)
from airflow_provider_airbyte_sme.api.network import proxy_for
from tests.unit.api.servers import LOOPBACK, Proxy, RawServer, answer

# A name that nobody resolves: only a proxy can have answered for it.
AIRBYTE = "http://airbyte.invalid:8001"
TOKEN = {"Authorization": "Bearer s3cret"}


def test_plain_http_goes_through_the_proxy_of_the_connection(ask):
    with Proxy(answer(b'"proxied"')) as proxy:
        response = ask(AIRBYTE, HttpRequest("GET", f"{AIRBYTE}/api/x?y=1"), proxy=proxy.url)

    assert response.body == b'"proxied"'
    assert proxy.requests[0].target == f"{AIRBYTE}/api/x?y=1"
    assert proxy.requests[0].headers["host"] == "airbyte.invalid:8001"


def test_https_goes_through_a_tunnel_that_does_not_see_the_token(ask, certificates):
    with RawServer(tls=certificates.server_context()) as server, Proxy() as proxy:
        request = HttpRequest("GET", f"{server.url}/api", TOKEN)
        ask(server.url, request, proxy=proxy.url, ca_bundle=certificates.ca_bundle)

    (tunnel,) = proxy.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", f"{LOOPBACK}:{server.port}")
    assert "authorization" not in tunnel.headers
    assert server.requests[0].headers["authorization"] == TOKEN["Authorization"]


def test_a_tunnel_does_not_lower_what_we_trust(ask, certificates):
    with (
        RawServer(tls=certificates.server_context()) as server,
        Proxy() as proxy,
        pytest.raises(AirbyteTransportError, match="set ca_bundle"),
    ):
        ask(server.url, proxy=proxy.url)

    assert server.requests == []


def test_a_client_certificate_is_shown_through_a_tunnel(ask, certificates):
    context = certificates.server_context_that_wants_a_client_certificate()
    with RawServer(tls=context) as server, Proxy() as proxy:
        response = ask(
            server.url,
            proxy=proxy.url,
            ca_bundle=certificates.ca_bundle,
            client_cert=certificates.client_cert_with_key,
        )

    assert response.status == 200


def test_a_proxy_of_the_environment_is_used(ask, monkeypatch):
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        ask(AIRBYTE)

    assert len(proxy.requests) == 1


def test_a_host_that_the_environment_exempts_is_reached_directly(ask, monkeypatch):
    with RawServer() as server, Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", f"example.com,{LOOPBACK}")
        ask(server.url)

    assert len(server.requests) == 1
    assert proxy.requests == []


def test_a_proxy_gets_the_credentials_in_its_url(ask):
    with Proxy() as proxy:
        ask(AIRBYTE, proxy=proxy.url.replace("://", "://me:s3cret@"))

    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6czNjcmV0"


@pytest.mark.parametrize("target", [AIRBYTE, AIRBYTE.replace("http:", "https:")])
@pytest.mark.parametrize("address", [f"{LOOPBACK}:1", "proxy.invalid:3128"])
def test_a_proxy_that_is_not_there_tells_that_nothing_was_sent_without_its_secret(
    ask, address, target
):
    with pytest.raises(AirbyteTransportError) as failure:
        ask(target, proxy=f"http://me:s3cret@{address}")

    assert not failure.value.request_sent
    assert "s3cret" not in str(failure.value)


def test_a_proxy_that_refuses_the_tunnel_tells_that_nothing_was_sent(ask):
    with (
        RawServer(answer(status="403 Forbidden")) as proxy,
        pytest.raises(AirbyteTransportError, match="403") as failure,
    ):
        ask("https://airbyte.invalid", proxy=proxy.url)

    assert not failure.value.request_sent


@pytest.mark.parametrize(
    "proxy",
    [
        pytest.param("socks5://me:s3cret@127.0.0.1:1080", id="of another kind"),
        pytest.param("http://me:s3cret@127.0.0.1:port", id="no port"),
        pytest.param("me:s3cret@127.0.0.1:99999", id="no such port"),
        pytest.param("http://me:s3cret@", id="no host"),
        pytest.param("http://[::1", id="half an address"),
    ],
)
def test_what_is_no_proxy_is_refused_by_its_field_without_its_secret(ask, proxy):
    with pytest.raises(AirbyteConfigError, match=r"^proxy of the Airflow") as refusal:
        ask(AIRBYTE, proxy=proxy)

    assert "s3cret" not in str(refusal.value)


PROXY = "http://proxy:3128"
OTHER = "http://other:3128"


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://airbyte", {}, ""),
        ("https://airbyte", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://airbyte", {"https_proxy": PROXY}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ("https://airbyte", {"HTTP_PROXY": PROXY}, ""),
        ("https://airbyte", {"ALL_PROXY": PROXY}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": PROXY, "ALL_PROXY": OTHER}, PROXY),
        ("http://airbyte", {"HTTP_PROXY": PROXY, "HTTPS_PROXY": OTHER}, PROXY),
        ("https://airbyte:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "airbyte"}, ""),
        ("https://airbyte:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "airbyte:8001"}, ""),
        ("https://a.example.com", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, ""),
        ("https://airbyte", {"ALL_PROXY": PROXY, "NO_PROXY": "*"}, ""),
        ("https://airbyte", {"HTTPS_PROXY": PROXY, "NO_PROXY": "byte"}, PROXY),
    ],
)
def test_the_environment_is_read_as_the_standard_library_does(
    monkeypatch, url, environment, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(AirbyteSettings(AirbyteUrls.parse(url))) == (expected or None)


def test_the_proxy_of_the_connection_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", OTHER)
    monkeypatch.setenv("NO_PROXY", "*")

    settings = AirbyteSettings(AirbyteUrls.parse("https://airbyte"), proxy="proxy:3128")

    assert proxy_for(settings) == PROXY
