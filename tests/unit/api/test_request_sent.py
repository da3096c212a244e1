"""
When a request may have been sent, and when it surely was not, on every way to Airbyte.

A request that surely was not sent is sent again, a ``POST /jobs`` too. So this must be exact.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
    HttpRequest,
)
from airflow_provider_airbyte_sme.api.network import Call
from tests.unit.api.certificates import Certificates
from tests.unit.api.servers import (
    LOOPBACK,
    HangUpServer,
    Proxy,
    RawResponse,
    RawServer,
    raw_response,
)

# Seconds: to wait for what never comes, before the request can be sent.
SHORT_TIMEOUT = 0.15

# Seconds: the same, with enough time for the connection before.
TIMEOUT = 0.5

# Seconds: the timeout of a request that another limit must end.
LONG_TIMEOUT = 30.0

HOLD = RawResponse(b"", then="hold")
CLOSE = RawResponse(b"", then="close")
RESET = RawResponse(b"", then="reset")

# A response of 2 s, which is complete for a client without a total limit.
DRIPPING = RawResponse(
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Padding: " + b"x" * 150 + b"\r\n\r\n{}", pause=0.01
)
DRIPPING_BODY = RawResponse(
    b"HTTP/1.1 200 OK\r\nContent-Length: 150\r\n\r\n" + b" " * 150, pause=0.01
)


@dataclass(frozen=True)
class Route:
    """One of the ways to a server: with and without TLS, with and without a proxy."""

    tls: bool
    proxied: bool
    certificates: Certificates

    @contextmanager
    def to(
        self, *responses: RawResponse, proxy_drops: bool = False, reads_bodies: bool = True
    ) -> Iterator[tuple[RawServer, Mapping[str, str]]]:
        """
        Start the servers of this route.

        :param proxy_drops: Whether the proxy drops the connection when the request has arrived.
        :return: Airbyte's server, and the settings for the route to it.
        """
        tls = self.certificates.server_context() if self.tls else None
        with ExitStack() as stack:
            server = stack.enter_context(RawServer(*responses, tls=tls, reads_bodies=reads_bodies))
            fields = {"ca_bundle": self.certificates.ca_bundle}
            if self.proxied:
                drop_when = server.received if proxy_drops else None
                proxy = stack.enter_context(Proxy(drop_when=drop_when))
                fields["proxy"] = proxy.url
            yield server, fields


@pytest.fixture(params=["http", "https", "http through a proxy", "https through a proxy"])
def route(request: pytest.FixtureRequest, certificates: Certificates) -> Route:
    return Route("https" in request.param, "proxy" in request.param, certificates)


@pytest.fixture(params=["http", "https", "https through a proxy"])
def direct_or_tunnel(request: pytest.FixtureRequest, certificates: Certificates) -> Route:
    """Return a route on which only Airbyte responds: other proxies respond when it is away."""
    return Route("https" in request.param, "proxy" in request.param, certificates)


@pytest.fixture(params=[False, True], ids=["http", "https"])
def proxied_route(request: pytest.FixtureRequest, certificates: Certificates) -> Route:
    return Route(request.param, True, certificates)


def post(url: str, timeout: float = LONG_TIMEOUT, total: float | None = None) -> HttpRequest:
    return HttpRequest("POST", f"{url}/jobs", body=b"{}", timeout=timeout, total_timeout=total)


def test_each_route_leads_to_airbyte(send, route):
    with route.to(raw_response(b'"here"')) as (server, fields):
        response = send(server.url, post(server.url), **fields)

    assert (response.status, response.body) == (200, b'"here"')
    assert [request.method for request in server.requests] == ["POST"]


def test_a_request_that_a_proxy_forwarded_before_it_drops_the_connection_may_be_sent(
    send, proxied_route
):
    with (
        proxied_route.to(HOLD, proxy_drops=True) as (server, fields),
        pytest.raises(AirbyteTransportError) as error,
    ):
        send(server.url, post(server.url), **fields)

    assert error.value.request_sent
    assert not isinstance(error.value, AirbyteRequestTimeoutError)
    assert [request.method for request in server.requests] == ["POST"]


def test_a_request_may_be_sent_when_there_is_no_response_in_time(send, route):
    with (
        route.to(HOLD) as (server, fields),
        pytest.raises(AirbyteRequestTimeoutError, match=r"0\.5 s to respond") as error,
    ):
        send(server.url, post(server.url, timeout=TIMEOUT), **fields)

    assert error.value.request_sent


@pytest.mark.parametrize("response", [DRIPPING, DRIPPING_BODY], ids=["headers", "body"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_response_that_drips_ends_with_the_total_timeout(send, certificates, tls, response):
    route = Route(tls, proxied=False, certificates=certificates)
    with (
        route.to(response) as (server, fields),
        pytest.raises(AirbyteRequestTimeoutError, match=r"0\.5 s to respond in full") as error,
    ):
        send(server.url, post(server.url, total=TIMEOUT), **fields)

    assert error.value.request_sent


def test_the_total_timeout_is_an_upper_limit_of_the_timeout(send, route):
    with (
        route.to(HOLD) as (server, fields),
        pytest.raises(AirbyteRequestTimeoutError) as error,
    ):
        send(server.url, post(server.url, total=TIMEOUT), **fields)

    assert error.value.request_sent


def test_without_a_total_timeout_a_call_may_take_a_minute_longer_than_its_timeout():
    assert Call(HttpRequest("GET", "http://airbyte", timeout=30)).total_timeout == 90
    assert Call(HttpRequest("GET", "http://airbyte", total_timeout=7)).total_timeout == 7


def test_however_much_time_the_caller_has_a_call_may_take_no_longer_than_that():
    """A response that never ends would else use up the failure budget of a whole wait."""
    request = HttpRequest("GET", "http://airbyte", timeout=30, total_timeout=600)

    assert Call(request).total_timeout == 90


@pytest.mark.parametrize("total", [0, -1])
def test_a_request_is_not_sent_when_its_time_is_over_before(send, total):
    with RawServer() as server, pytest.raises(AirbyteRequestTimeoutError) as error:
        send(server.url, post(server.url, total=total))

    assert not error.value.request_sent
    assert server.requests == []


@pytest.mark.parametrize("response", [RESET, HOLD], ids=["reset", "silence"])
def test_a_request_may_be_sent_when_its_body_is_not_read(send, direct_or_tunnel, response):
    body = b"x" * 1_000_000
    with direct_or_tunnel.to(response, reads_bodies=False) as (server, fields):
        request = HttpRequest("POST", server.url, body=body, total_timeout=1)
        with pytest.raises(AirbyteTransportError) as error:
            send(server.url, request, **fields)

    assert error.value.request_sent


def test_a_request_on_a_reused_connection_may_be_sent(send, direct_or_tunnel):
    with (
        direct_or_tunnel.to(raw_response(), CLOSE) as (server, fields),
        pytest.raises(AirbyteTransportError) as error,
    ):
        send(server.url, post(server.url), post(server.url), **fields)

    assert error.value.request_sent
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", ["502 Bad Gateway", "407 Proxy Authentication Required"])
def test_a_proxy_that_responds_instead_of_airbyte_gives_a_response(send, status):
    with Proxy(raw_response(b"no", status)) as proxy:
        url = "http://airbyte.invalid"
        response = send(url, post(url), proxy=proxy.url)

    assert (response.status, response.body) == (int(status[:3]), b"no")


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param(raw_response(b"no", "403 Forbidden"), id="403"),
        pytest.param(raw_response(b"no", "407 Proxy Authentication Required"), id="407"),
        pytest.param(raw_response(b"no", "502 Bad Gateway"), id="502"),
        pytest.param(raw_response(b"no", "302 Found", [("Location", "http://[")]), id="302"),
        pytest.param(CLOSE, id="closed"),
        pytest.param(RESET, id="reset"),
        pytest.param(RawResponse(b"SSH-2.0-OpenSSH_9.6\r\n", then="close"), id="not HTTP"),
        pytest.param(RawResponse(b"HTTP/1.1 200", then="close"), id="closed in the response"),
    ],
)
def test_a_request_is_not_sent_without_a_tunnel(send, certificates, connect):
    with (
        RawServer(tls=certificates.server_context()) as server,
        Proxy(connect=connect) as proxy,
        pytest.raises(AirbyteTransportError) as error,
    ):
        send(server.url, post(server.url), proxy=proxy.url, ca_bundle=certificates.ca_bundle)

    assert not error.value.request_sent
    assert not isinstance(error.value, AirbyteRequestTimeoutError)
    assert server.requests == []


def test_the_message_says_how_the_proxy_rejected_the_tunnel(send):
    with (
        Proxy(connect=raw_response(b"", "407 Who are you")) as proxy,
        pytest.raises(AirbyteTransportError, match=r"failed: 407 Who are you\. Check proxy of"),
    ):
        send("https://airbyte.invalid", proxy=proxy.url)


@pytest.mark.parametrize(
    ("connect", "timeout", "total"),
    [
        pytest.param(HOLD, SHORT_TIMEOUT, None, id="silent"),
        pytest.param(DRIPPING, LONG_TIMEOUT, SHORT_TIMEOUT, id="dripping"),
        pytest.param(
            RawResponse(b"HTTP/1.1 200 OK\r\n\r\n", then="hold"),
            SHORT_TIMEOUT,
            None,
            id="silent after its response",
        ),
    ],
)
def test_a_request_is_not_sent_when_the_tunnel_is_not_ready_in_time(send, connect, timeout, total):
    url = "https://airbyte.invalid"
    with Proxy(connect=connect) as proxy, pytest.raises(AirbyteRequestTimeoutError) as error:
        send(url, post(url, timeout, total), proxy=proxy.url)

    assert not error.value.request_sent


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "through a proxy"])
def test_a_request_is_not_sent_when_the_tls_handshake_fails(send, proxied):
    with HangUpServer() as server, Proxy() as proxy:
        url = server.url.replace("http:", "https:")
        with pytest.raises(AirbyteTransportError) as error:
            send(url, post(url), proxy=proxy.url if proxied else "")

    assert not error.value.request_sent


def test_a_request_is_not_sent_when_the_tls_handshake_takes_too_long(send):
    # The kernel accepts the connection, but nobody reads from it.
    with socket.create_server((LOOPBACK, 0)) as listener:
        url = f"https://{LOOPBACK}:{listener.getsockname()[1]}"
        with pytest.raises(AirbyteRequestTimeoutError) as error:
            send(url, post(url, SHORT_TIMEOUT))

    assert not error.value.request_sent


@pytest.mark.parametrize("target", ["http://airbyte.invalid", "https://airbyte.invalid"])
def test_a_request_is_not_sent_through_a_proxy_with_an_untrusted_certificate(
    send, certificates, target
):
    with (
        Proxy(raw_response(), tls=certificates.server_context()) as proxy,
        pytest.raises(AirbyteTransportError, match="CERTIFICATE_VERIFY_FAILED") as error,
    ):
        send(target, post(target), proxy=proxy.url)

    assert not error.value.request_sent
    assert proxy.requests == []
