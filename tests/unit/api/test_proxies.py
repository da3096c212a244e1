"""Proxies, with both transports."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
)
from airflow_provider_airbyte_sme.api.network import proxy_for
from tests.unit.api.servers import LOOPBACK, Proxy, RawServer, raw_response

# This name does not resolve, so only a proxy can respond for it.
AIRBYTE = "http://airbyte.invalid:8001"
TOKEN = {"Authorization": "Bearer s3cret"}


def test_plain_http_goes_through_the_proxy_of_the_connection(send):
    with Proxy(raw_response(b'"proxied"')) as proxy:
        response = send(AIRBYTE, HttpRequest("GET", f"{AIRBYTE}/api/x?y=1"), proxy=proxy.url)

    assert response.body == b'"proxied"'
    assert proxy.requests[0].target == f"{AIRBYTE}/api/x?y=1"
    assert proxy.requests[0].headers["host"] == "airbyte.invalid:8001"


def test_https_goes_through_a_tunnel_that_does_not_reveal_the_token(send, certificates):
    with RawServer(tls=certificates.server_context()) as server, Proxy() as proxy:
        request = HttpRequest("GET", f"{server.url}/api", TOKEN)
        send(server.url, request, proxy=proxy.url, ca_bundle=certificates.ca_bundle)

    (tunnel,) = proxy.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", f"{LOOPBACK}:{server.port}")
    assert "authorization" not in tunnel.headers
    assert server.requests[0].headers["authorization"] == TOKEN["Authorization"]


def test_an_untrusted_certificate_is_rejected_through_a_tunnel_too(send, certificates):
    with (
        RawServer(tls=certificates.server_context()) as server,
        Proxy() as proxy,
        pytest.raises(AirbyteTransportError, match="set ca_bundle"),
    ):
        send(server.url, proxy=proxy.url)

    assert server.requests == []


def test_a_client_certificate_is_presented_through_a_tunnel(send, certificates):
    context = certificates.server_context_requiring_client_cert()
    with RawServer(tls=context) as server, Proxy() as proxy:
        response = send(
            server.url,
            proxy=proxy.url,
            ca_bundle=certificates.ca_bundle,
            client_cert=certificates.client_cert_with_key,
        )

    assert response.status == 200


def test_the_proxy_of_the_environment_is_used(send, monkeypatch):
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        send(AIRBYTE)

    assert len(proxy.requests) == 1


def test_a_host_in_no_proxy_is_reached_directly(send, monkeypatch):
    with RawServer() as server, Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", f"example.com,{LOOPBACK}")
        send(server.url)

    assert len(server.requests) == 1
    assert proxy.requests == []


def test_the_credentials_in_the_proxy_url_are_sent_to_the_proxy(send):
    with Proxy() as proxy:
        send(AIRBYTE, proxy=proxy.url.replace("://", "://me:s3cret@"))

    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6czNjcmV0"


@pytest.mark.parametrize("target", [AIRBYTE, AIRBYTE.replace("http:", "https:")])
@pytest.mark.parametrize("address", [f"{LOOPBACK}:1", "proxy.invalid:3128"])
def test_an_unreachable_proxy_means_that_nothing_was_sent_and_its_secret_is_not_shown(
    send, address, target
):
    with pytest.raises(AirbyteTransportError) as error:
        send(target, proxy=f"http://me:s3cret@{address}")

    assert not error.value.request_sent
    assert "s3cret" not in str(error.value)


def test_a_rejected_tunnel_means_that_nothing_was_sent(send):
    with (
        RawServer(raw_response(status="403 Forbidden")) as proxy,
        pytest.raises(AirbyteTransportError, match="403") as error,
    ):
        send("https://airbyte.invalid", proxy=proxy.url)

    assert not error.value.request_sent


@pytest.mark.parametrize(
    "proxy",
    [
        pytest.param("socks5://me:s3cret@127.0.0.1:1080", id="not an HTTP proxy"),
        pytest.param("http://me:s3cret@127.0.0.1:port", id="port is not a number"),
        pytest.param("me:s3cret@127.0.0.1:99999", id="port is out of range"),
        pytest.param("http://me:s3cret@", id="missing host"),
        pytest.param("http://[::1", id="incomplete IPv6 address"),
    ],
)
def test_an_invalid_proxy_is_rejected_with_the_name_of_its_field_and_no_secret(send, proxy):
    with pytest.raises(AirbyteConfigError, match=r"^proxy of the Airflow") as error:
        send(AIRBYTE, proxy=proxy)

    assert "s3cret" not in str(error.value)


PROXY = "http://proxy:3128"
OTHER_PROXY = "http://other:3128"


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://airbyte", {}, ""),
        ("https://airbyte", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://airbyte", {"https_proxy": PROXY}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ("https://airbyte", {"HTTP_PROXY": PROXY}, ""),
        ("https://airbyte", {"ALL_PROXY": PROXY}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": PROXY, "ALL_PROXY": OTHER_PROXY}, PROXY),
        ("http://airbyte", {"HTTP_PROXY": PROXY, "HTTPS_PROXY": OTHER_PROXY}, PROXY),
        ("https://airbyte:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "airbyte"}, ""),
        ("https://airbyte:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "airbyte:8001"}, ""),
        ("https://a.example.com", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, ""),
        ("https://airbyte", {"ALL_PROXY": PROXY, "NO_PROXY": "*"}, ""),
        ("https://airbyte", {"HTTPS_PROXY": PROXY, "NO_PROXY": "byte"}, PROXY),
    ],
)
def test_the_proxy_of_the_environment_is_chosen_as_the_standard_library_does(
    monkeypatch, url, environment, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(AirbyteSettings(AirbyteUrls.parse(url))) == (expected or None)


def test_the_proxy_of_the_connection_overrides_the_environment(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", OTHER_PROXY)
    monkeypatch.setenv("NO_PROXY", "*")

    settings = AirbyteSettings(AirbyteUrls.parse("https://airbyte"), proxy="proxy:3128")

    assert proxy_for(settings) == PROXY
