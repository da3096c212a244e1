"""Proxies, with both transports."""

import socket
from base64 import b64decode

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteRequestTimeoutError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
)
from airflow_provider_airbyte_sme.api.network import bypassed_proxy, proxy_for
from tests.unit.api.servers import LOOPBACK, Proxy, RawServer, raw_response, supports_ipv6

needs_ipv6 = pytest.mark.skipif(not supports_ipv6(), reason="This machine has no ::1.")

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


def test_a_tunnel_is_used_again(send, certificates):
    with RawServer(tls=certificates.server_context()) as server, Proxy() as proxy:
        request = HttpRequest("GET", server.url)
        send(server.url, request, request, proxy=proxy.url, ca_bundle=certificates.ca_bundle)

    assert [each.method for each in proxy.requests] == ["CONNECT"]
    assert len(server.requests) == 2


def test_an_untrusted_certificate_is_rejected_through_a_tunnel_too(send, certificates):
    with (
        RawServer(tls=certificates.server_context()) as server,
        Proxy() as proxy,
        pytest.raises(AirbyteTransportError, match="set ca_bundle") as error,
    ):
        send(server.url, proxy=proxy.url)

    assert not error.value.request_sent
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
    with Proxy(raw_response()) as proxy:
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
    with Proxy(raw_response()) as proxy:
        send(AIRBYTE, proxy=proxy.url.replace("://", "://me:s3cret@"))

    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6czNjcmV0"


def test_the_credentials_are_sent_with_each_request_on_a_connection(send):
    with Proxy(raw_response()) as proxy:
        request = HttpRequest("GET", AIRBYTE)
        send(AIRBYTE, request, request, proxy=proxy.url.replace("://", "://me:s3cret@"))

    assert proxy.connections == 1
    assert [each.headers["proxy-authorization"] for each in proxy.requests] == [
        "Basic bWU6czNjcmV0"
    ] * 2


def test_the_credentials_are_sent_to_the_proxy_only(send, certificates):
    with RawServer(tls=certificates.server_context()) as server, Proxy() as proxy:
        url = proxy.url.replace("://", "://me:s3cret@")
        send(server.url, proxy=url, ca_bundle=certificates.ca_bundle)

    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6czNjcmV0"
    assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("userinfo", "login"),
    [
        ("me:p%40ss%2Fword", "me:p@ss/word"),
        ("me", "me:"),
        ("me:a:b", "me:a:b"),
        ("me:pa@ss", "me:pa@ss"),
        ("me:\u20ac", "me:\u20ac"),
    ],
)
def test_any_password_can_be_sent(send, userinfo, login):
    with Proxy(raw_response()) as proxy:
        send(AIRBYTE, proxy=proxy.url.replace("://", f"://{userinfo}@"))

    sent = proxy.requests[0].headers["proxy-authorization"].removeprefix("Basic ")
    assert b64decode(sent).decode() == login


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_may_itself_use_tls(send, certificates, scheme):
    tls = certificates.server_context()
    with (
        RawServer(tls=tls if scheme == "https" else None) as server,
        Proxy(tls=tls) as proxy,
    ):
        response = send(server.url, proxy=proxy.url, ca_bundle=certificates.ca_bundle)

    assert response.status == 200
    assert len(proxy.requests) == len(server.requests) == 1


@needs_ipv6
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_airbyte_may_have_an_ipv6_address_behind_a_proxy(send, certificates, scheme):
    tls = certificates.server_context("::1") if scheme == "https" else None
    with RawServer(tls=tls, host="::1") as server, Proxy() as proxy:
        response = send(server.url, proxy=proxy.url, ca_bundle=certificates.ca_bundle)

    assert response.status == 200
    assert f"[::1]:{server.port}" in proxy.requests[0].target


def test_what_a_proxy_repeats_of_its_password_is_not_shown(send):
    told = raw_response(b"", "407 me:p%40ss is wrong, p@ss too, and bWU6cEBzcw==")
    with Proxy(connect=told) as proxy:
        url = proxy.url.replace("://", "://me:p%40ss@")
        with pytest.raises(AirbyteTransportError) as error:
            send("https://airbyte.invalid", proxy=url)

    for secret in ("p%40ss", "p@ss", "bWU6cEBzcw=="):
        assert secret not in str(error.value)


def test_no_part_of_a_password_is_shown_where_a_long_reason_ends(send):
    told = raw_response(b"", f"407 {'s3cret-9' * 100}")
    with Proxy(connect=told) as proxy:
        url = proxy.url.replace("://", "://me:s3cret-9@")
        with pytest.raises(AirbyteTransportError) as error:
            send("https://airbyte.invalid", proxy=url)

    assert "s3" not in str(error.value)


def test_the_repr_of_a_proxy_does_not_contain_its_password():
    settings = AirbyteSettings(AirbyteUrls.parse(AIRBYTE), proxy="http://me:s3cret@proxy:3128")

    proxy = proxy_for(settings)

    assert "s3cret" not in repr(proxy)
    assert "bWU6czNjcmV0" not in repr(proxy)


@pytest.mark.parametrize("target", [AIRBYTE, AIRBYTE.replace("http:", "https:")])
@pytest.mark.parametrize("address", [f"{LOOPBACK}:1", "proxy.invalid:3128"])
def test_an_unreachable_proxy_means_that_nothing_was_sent_and_its_secret_is_not_shown(
    send, address, target
):
    with pytest.raises(AirbyteTransportError) as error:
        send(target, proxy=f"http://me:s3cret@{address}")

    assert not error.value.request_sent
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("target", [AIRBYTE, AIRBYTE.replace("http:", "https:")])
def test_a_proxy_that_does_not_accept_connections_is_a_timeout_before_anything_was_sent(
    send, target
):
    with socket.create_server((LOOPBACK, 0), backlog=0) as listener:
        address = listener.getsockname()
        proxy = f"http://{LOOPBACK}:{address[1]}"
        # The kernel queues one connection until the server accepts it; the next has to wait.
        with (
            socket.create_connection(address),
            pytest.raises(AirbyteRequestTimeoutError) as error,
        ):
            send(target, HttpRequest("GET", target, timeout=0.15), proxy=proxy)

    assert not error.value.request_sent


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
        pytest.param("ftp://me:s3cret@127.0.0.1:1080", id="not an HTTP proxy"),
        pytest.param("http://me:s3cret@127.0.0.1:port", id="port is not a number"),
        pytest.param("me:s3cret@127.0.0.1:99999", id="port is out of range"),
        pytest.param("http://me:s3cret@", id="missing host"),
        pytest.param("http://[::1", id="incomplete IPv6 address"),
        pytest.param("http://my proxy:3128", id="blank"),
        pytest.param("http://a..b:3128", id="empty label"),
        pytest.param("http://" + "\u00e4" * 64, id="label is too long"),
        pytest.param("http://proxy:0", id="port is 0"),
    ],
)
def test_an_invalid_proxy_is_rejected_with_the_name_of_its_field_and_no_secret(send, proxy):
    with pytest.raises(AirbyteConfigError, match=r"^proxy of the Airflow") as error:
        send(AIRBYTE, proxy=proxy)

    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h", "SOCKS5"])
def test_a_socks_proxy_is_rejected_with_what_to_do(send, monkeypatch, scheme):
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:s3cret@127.0.0.1:1080")

    with pytest.raises(
        AirbyteConfigError, match=r"^ALL_PROXY names a SOCKS proxy.*NO_PROXY"
    ) as error:
        send(AIRBYTE)
    with pytest.raises(AirbyteConfigError, match=r"^proxy of the Airflow connection names a SOCKS"):
        send(AIRBYTE, proxy=f"{scheme}://me:s3cret@127.0.0.1:1080")

    assert "s3cret" not in str(error.value)


def test_an_invalid_proxy_of_the_environment_is_named_with_its_variable(send, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy:port")

    with pytest.raises(AirbyteConfigError, match=r"^HTTP_PROXY is not the URL of an HTTP proxy"):
        send(AIRBYTE)


def test_a_socks_proxy_does_not_matter_for_a_host_in_no_proxy(send, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    with RawServer() as server:
        assert send(server.url).status == 200


def proxy_url(settings):
    proxy = proxy_for(settings)
    return proxy.url if proxy else ""


PROXY = "http://proxy:3128"
OTHER_PROXY = "http://other:3128"


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://airbyte", {}, ""),
        ("https://airbyte", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://airbyte", {"https_proxy": PROXY}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": " proxy:3128\n"}, PROXY),
        ("https://airbyte", {"HTTP_PROXY": PROXY}, ""),
        ("https://airbyte", {"ALL_PROXY": PROXY}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": PROXY, "ALL_PROXY": OTHER_PROXY}, PROXY),
        ("http://airbyte", {"HTTP_PROXY": PROXY, "HTTPS_PROXY": OTHER_PROXY}, PROXY),
        ("https://airbyte:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "airbyte"}, ""),
        ("https://airbyte:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "airbyte:8001"}, ""),
        ("https://a.example.com", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, ""),
        ("https://airbyte", {"ALL_PROXY": PROXY, "NO_PROXY": "*"}, ""),
        ("https://airbyte", {"HTTPS_PROXY": PROXY, "NO_PROXY": "byte"}, PROXY),
        ("https://10.1.2.3", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://10.1.2.3:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a, 10.1.2.0/24 ,b"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.1.2.77/24"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.1.2.3"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": PROXY, "NO_PROXY": "192.168.0.0/16,x/8"}, PROXY),
        ("https://10.example.com", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, PROXY),
        ("https://[::1]:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "::1"}, ""),
        ("https://[::1]:8001", {"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]"}, ""),
        ("https://[fd00::7]", {"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, ""),
        ("https://[fd00::7]", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8,fe80::/10"}, PROXY),
        ("https://airbyte", {"HTTPS_PROXY": "http://[::1]:3128"}, "http://[::1]:3128"),
        ("https://airbyte", {"HTTPS_PROXY": "http://m\u00fcnchen"}, "http://xn--mnchen-3ya"),
    ],
)
def test_the_proxy_of_the_environment_is_chosen_as_by_most_tools(
    monkeypatch, url, environment, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_url(AirbyteSettings(AirbyteUrls.parse(url))) == expected


def test_the_proxy_of_the_connection_overrides_the_environment(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", OTHER_PROXY)
    monkeypatch.setenv("NO_PROXY", "*")

    settings = AirbyteSettings(AirbyteUrls.parse("https://airbyte"), proxy="proxy:3128")

    assert proxy_url(settings) == PROXY


def test_the_proxy_of_the_connection_is_not_bypassed(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "airbyte.invalid")
    urls = AirbyteUrls.parse(AIRBYTE)

    assert bypassed_proxy(AirbyteSettings(urls)) == "HTTP_PROXY"
    assert bypassed_proxy(AirbyteSettings(urls, proxy="http://other.example.com:3128")) == ""
