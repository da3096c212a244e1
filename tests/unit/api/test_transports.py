"""The contract of both transports, over real sockets: requests, responses and errors."""

import gzip
import json
import socket
import threading
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteRequestTimeoutError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
    Transport,
)
from tests.unit.api.runners import over_requests
from tests.unit.api.servers import (
    LOOPBACK,
    Proxy,
    RawResponse,
    RawServer,
    raw_response,
    supports_ipv6,
)

needs_ipv6 = pytest.mark.skipif(not supports_ipv6(), reason="This machine has no ::1.")

# Seconds: longer than any response takes, and short enough to wait for one that never comes.
SHORT_TIMEOUT = 0.15


def test_a_request_is_sent_unchanged(send):
    path = "/api/public/v1/jobs?workspaceIds=a%2Cb&orderBy=createdAt%7CDESC&q=%20+%C3%A9"
    with RawServer() as server:
        headers = {"X-Key": "one two", "User-Agent": "ours", "Accept": "application/json"}
        send(server.url, HttpRequest("POST", server.url + path, headers, b'{"a": "\xc3\xa9"}'))

    (received,) = server.requests
    assert (received.method, received.target) == ("POST", path)
    assert received.body == b'{"a": "\xc3\xa9"}'
    assert received.headers["x-key"] == "one two"
    assert received.headers["user-agent"] == "ours"
    assert received.headers["accept"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_body_is_sent_without_one(send, method):
    with RawServer() as server:
        send(server.url, HttpRequest(method, server.url))

    assert server.requests[0].body == b""
    assert "transfer-encoding" not in server.requests[0].headers


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("POST", "0"), ("DELETE", "0")])
def test_the_length_of_a_missing_body_is_sent_where_a_server_may_require_it(send, method, length):
    with RawServer() as server:
        send(server.url, HttpRequest(method, server.url))

    assert server.requests[0].headers.get("content-length") == length


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "401 Unauthorized", "503 Busy"])
def test_a_response_is_read_whatever_its_status(send, status):
    headers = [("Content-Type", "application/json"), ("X-Mixed-Case", "As Is")]
    body = b"" if status.startswith("204") else b'{"a": 1}'
    with RawServer(raw_response(body, status, headers)) as server:
        response = send(server.url)

    assert response.status == int(status[:3])
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-mixed-case"] == "As Is"
    assert response.body == body


def test_a_chunked_response_is_read_whole(send):
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n"
    with RawServer(RawResponse(chunks)) as server:
        assert send(server.url).body == b"{} "


def test_a_compressed_response_is_decompressed(send):
    body = json.dumps({"data": ["x" * 50] * 100}).encode()
    with RawServer(
        raw_response(gzip.compress(body), headers=[("Content-Encoding", "gzip")])
    ) as server:
        assert send(server.url).body == body

    assert "gzip" in server.requests[0].headers["accept-encoding"]


LIMIT = 100_000


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("length", [LIMIT, LIMIT + 1, 20 * LIMIT])
def test_a_body_is_read_up_to_its_limit(send, length, is_compressed):
    body = b"x" * length
    headers = [("Content-Encoding", "gzip")] if is_compressed else []
    with RawServer(
        raw_response(gzip.compress(body) if is_compressed else body, headers=headers)
    ) as server:
        response = send(server.url, HttpRequest("GET", server.url, max_body=LIMIT))

    assert response.body == body[:LIMIT]
    assert response.is_cut == (length > LIMIT)


def test_the_rest_of_a_body_is_not_waited_for(send):
    begun = RawResponse(raw_response(b"x" * 10 * LIMIT).raw[: 2 * LIMIT], then="hold")
    with RawServer(begun) as server:
        response = send(server.url, HttpRequest("GET", server.url, max_body=LIMIT, timeout=60))

    assert response.is_cut


def test_a_connection_with_the_rest_of_a_body_is_not_used_again(send):
    with RawServer(raw_response(b"x" * 20 * LIMIT), raw_response(b"next")) as server:
        too_long = HttpRequest("GET", server.url, max_body=LIMIT)
        response = send(server.url, too_long, HttpRequest("GET", server.url))

    assert (response.body, response.is_cut) == (b"next", False)
    assert server.connections == 2


def test_cookies_are_not_stored(send):
    with RawServer(raw_response(headers=[("Set-Cookie", "session=1; Path=/")])) as server:
        # By name: aiohttp never stores cookies of an IP address.
        request = HttpRequest("GET", f"http://localhost:{server.port}/")
        send(server.url, request, request)

    assert len(server.requests) == 2
    assert "cookie" not in server.requests[1].headers


def test_a_netrc_never_replaces_the_token(send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {LOOPBACK} login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer() as server:
        token = HttpRequest("GET", server.url, {"Authorization": "Bearer token"})
        send(server.url, token, HttpRequest("GET", server.url))

    assert [request.headers.get("authorization") for request in server.requests] == [
        "Bearer token",
        None,
    ]


def test_a_refused_connection_means_that_nothing_was_sent(send):
    with socket.create_server((LOOPBACK, 0)) as listener:
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    with pytest.raises(AirbyteTransportError, match=r"Check Host .* and Port") as error:
        send(url)

    assert not error.value.request_sent
    assert not isinstance(error.value, AirbyteRequestTimeoutError)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_reason_of_a_refused_connection_is_in_plain_words(send, scheme):
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(AirbyteTransportError) as error:
        send(f"{scheme}://{LOOPBACK}:{port}")

    assert f": {LOOPBACK}:{port}" in str(error.value) or "Connect call failed" in str(error.value)
    assert "Connection(" not in str(error.value)


def test_an_unknown_host_means_that_nothing_was_sent(send):
    with pytest.raises(AirbyteTransportError, match=r"Check Host .* and Port") as error:
        send("http://airbyte.invalid")

    assert not error.value.request_sent


def test_a_connect_timeout_means_that_nothing_was_sent(send):
    with socket.create_server((LOOPBACK, 0), backlog=0) as listener:
        address = listener.getsockname()
        # The kernel queues one connection until the server accepts it; the next has to wait.
        with socket.create_connection(address):
            url = f"http://{LOOPBACK}:{address[1]}"
            with pytest.raises(AirbyteRequestTimeoutError) as error:
                send(url, HttpRequest("GET", url, timeout=SHORT_TIMEOUT))

    assert not error.value.request_sent


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", id="in the body"),
    ],
)
def test_a_read_timeout_means_that_the_request_was_sent(send, received):
    with (
        RawServer(RawResponse(received, then="hold")) as server,
        pytest.raises(AirbyteRequestTimeoutError, match=f"{SHORT_TIMEOUT} s to respond") as error,
    ):
        send(server.url, HttpRequest("POST", server.url, body=b"{}", timeout=SHORT_TIMEOUT))

    assert error.value.request_sent


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", id="part of the body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", id="part of a chunk"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
            id="invalid gzip",
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_lost_response_means_that_the_request_was_sent_exactly_once(send, method, received):
    with (
        RawServer(RawResponse(received, then="close")) as server,
        pytest.raises(AirbyteTransportError, match=r"overloaded or restarting\.$") as error,
    ):
        send(server.url, HttpRequest(method, server.url))

    assert error.value.request_sent
    assert not isinstance(error.value, AirbyteRequestTimeoutError)
    assert [request.method for request in server.requests] == [method]


@pytest.mark.parametrize(
    ("received", "advice"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "What responds there does not speak HTTP: check Port"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "may be overloaded"),
    ],
    ids=["another protocol", "a header that is too long"],
)
def test_a_service_that_speaks_no_http_is_told(send, received, advice):
    with (
        RawServer(RawResponse(received, then="close")) as server,
        pytest.raises(AirbyteTransportError, match=advice) as error,
    ):
        send(server.url)

    assert error.value.request_sent


def test_a_timeout_is_told_without_the_names_of_a_library(send):
    with RawServer(RawResponse(b"", then="hold")) as server:
        request = HttpRequest("GET", server.url, timeout=0.05)
        with pytest.raises(AirbyteRequestTimeoutError) as error:
            send(server.url, request)

    assert str(error.value).startswith(f"No response to GET {server.url}: timed out. ")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_library_does_not_resend_a_request_on_a_reused_connection(send, method):
    with RawServer(raw_response(), RawResponse(b"", then="close")) as server:
        request = HttpRequest(method, server.url)
        with pytest.raises(AirbyteTransportError) as error:
            send(server.url, request, request)

    assert error.value.request_sent
    assert len(server.requests) == 2


def test_a_connection_is_used_again(send, certificates):
    with RawServer(tls=certificates.server_context()) as server:
        request = HttpRequest("GET", server.url)
        send(server.url, request, request, request, ca_bundle=certificates.ca_bundle)

    assert (len(server.requests), server.connections) == (3, 1)


def test_a_connection_that_the_server_closed_while_idle_is_replaced(over_sockets):
    async def scenario(transport: Transport) -> None:
        await transport.send(HttpRequest("GET", server.url))
        closed.wait(10)
        # An event loop notices in its next rounds that the connection is closed.
        for _ in range(5):
            await transport.sleep(0)
        await transport.send(HttpRequest("GET", server.url))

    closed = threading.Event()
    with ClosingServer(closed) as server:
        over_sockets(AirbyteSettings(AirbyteUrls.parse(server.url)), scenario)

    assert (len(server.requests), server.connections) == (2, 2)


class ClosingServer(RawServer):
    """Closes each connection after one response, and says so."""

    def __init__(self, closed: threading.Event) -> None:
        super().__init__(RawResponse(raw_response().raw, then="close"))
        self._closed = closed

    def _serve(self, connection: socket.socket) -> None:
        super()._serve(connection)
        self._closed.set()


@pytest.mark.parametrize("length", [8_000, 20_000, 60_000])
def test_long_response_headers_are_read(send, length):
    with RawServer(raw_response(headers=[("X-Long", "x" * length)])) as server:
        assert send(server.url).headers["x-long"] == "x" * length


def test_headers_that_are_too_long_are_a_lost_response(send):
    with (
        RawServer(raw_response(headers=[("X-Long", "x" * 200_000)])) as server,
        pytest.raises(AirbyteTransportError) as error,
    ):
        send(server.url)

    assert error.value.request_sent


def test_headers_are_read_as_utf_8_and_what_is_invalid_is_replaced(send):
    raw = b"HTTP/1.1 200 OK\r\nX-Good: \xc3\xa9\r\nX-Bad: \xe9\r\nContent-Length: 0\r\n\r\n"
    with RawServer(RawResponse(raw)) as server:
        headers = send(server.url).headers

    assert (headers["x-good"], headers["x-bad"]) == ("\u00e9", "\ufffd")


def test_headers_of_the_same_name_are_joined(send):
    with RawServer(raw_response(headers=[("X-A", "1"), ("x-a", "2")])) as server:
        assert send(server.url).headers["x-a"] == "1, 2"


@pytest.mark.parametrize("location", [b"http://[", b"\xff\xfe", b"http://h:port/", b"//a b"])
def test_a_location_that_cannot_be_parsed_is_only_a_header(send, location):
    raw = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with RawServer(RawResponse(raw)) as server:
        response = send(server.url)

    assert response.status == 302
    assert response.headers["location"] == location.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n", id="length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", id="chunk size"
        ),
        pytest.param(b"HTTP/1.1 two OK\r\nContent-Length: 0\r\n\r\n", id="status"),
        pytest.param(b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n", id="version"),
        pytest.param(b"\xff\xfe\r\n\r\n", id="bytes"),
        pytest.param(b"HTTP/1.1 200 \xff\r\n\xff: \xff\r\nContent-Length: 0\r\n\r\n", id="names"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n", id="300 headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: ;;=\r\nSet-Cookie: \xff=;=\r\nContent-Length: 0"
            b"\r\n\r\n",
            id="content type and cookie",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", id="encoding"
        ),
    ],
)
def test_a_malformed_response_is_a_response_or_an_error_of_this_client(send, raw):
    with RawServer(RawResponse(raw, then="close")) as server:
        try:
            outcome = send(server.url).status
        except AirbyteTransportError as error:
            outcome = error.request_sent

    assert outcome in (200, True)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://[", "Invalid IPv6"),
        ("http://a b/", "a blank"),
        ("http://airbyte/a\nb", "a control character"),
        ("http://", "no host"),
        ("http:///api", "no host"),
        ("http://airbyte:0/", "port is 0"),
        ("http://airbyte:99999/", "out of range"),
        ("http://airbyte..example.com/", "label"),
        (f"http://{'a' * 64}.example.com/", "label"),
        ("http://" + "\u00e4" * 64 + ".example.com/", "label"),
        ("http://\u00e4 b/", "a blank"),
    ],
)
def test_what_cannot_be_a_url_is_a_mistake_in_the_connection(send, url, why):
    with pytest.raises(AirbyteConfigError, match=f"{why}.*correct Host"):
        send("http://airbyte.invalid", HttpRequest("GET", url))


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://M\u00fcnchen.Example/a", "http://xn--mnchen-3ya.example/a"),
        ("http://stra\u00dfe.example/a", "http://xn--strae-oqa.example/a"),
        ("http://airbyte\u3002example/a", "http://airbyte.example/a"),
        (
            "http://a_b.example:8001/\u00e4%2Fb?c=\u00f6",
            "http://a_b.example:8001/%C3%A4%2Fb?c=%C3%B6",
        ),
    ],
)
def test_a_url_that_is_not_ascii_is_encoded_as_browsers_do(send, url, sent):
    with Proxy(raw_response()) as proxy:
        send("http://airbyte.invalid", HttpRequest("GET", url), proxy=proxy.url)

    assert proxy.requests[0].target == sent


@needs_ipv6
@pytest.mark.parametrize("url", ["http://[::1]:{port}/a", "http://[0:0:0:0:0:0:0:1]:{port}/a"])
def test_an_ipv6_address_is_a_host(send, url):
    with RawServer(host="::1") as server:
        send(server.url, HttpRequest("GET", url.format(port=server.port)))

    assert server.requests[0].headers["host"].endswith(f"]:{server.port}")


def test_a_header_that_the_library_rejects_is_not_shown(send):
    headers = {"Authorization": "Bearer s3cret\n"}
    request = HttpRequest("GET", "http://airbyte.invalid", headers, secrets=("s3cret",))

    with pytest.raises(AirbyteTransportError) as error:
        send(request.url, request)

    assert "s3cret" not in str(error.value)
    assert not error.value.request_sent


@pytest.mark.parametrize(
    "value", ["Bearer s3cret\n", "Bearer s3cret\r\n folded", "Bearer s3cret\u20ac"]
)
def test_a_rejected_header_means_that_nothing_was_sent_also_with_a_connection(value):
    async def scenario(transport: Transport) -> None:
        await transport.send(HttpRequest("GET", server.url))
        headers = {"Authorization": value}
        await transport.send(HttpRequest("POST", server.url, headers, secrets=("s3cret",)))

    with RawServer() as server, pytest.raises(AirbyteTransportError) as error:
        over_requests(AirbyteSettings(AirbyteUrls.parse(server.url)), scenario)

    assert "s3cret" not in str(error.value)
    assert not error.value.request_sent
    assert [request.method for request in server.requests] == ["GET"]


def test_a_header_of_the_request_replaces_that_of_the_library_in_any_case(send):
    with RawServer() as server:
        send(server.url, HttpRequest("GET", server.url, {"ACCEPT-encoding": "identity"}))

    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_the_message_is_one_line_that_names_the_request(send):
    with RawServer(RawResponse(b"", then="close")) as server:
        url = f"{server.url}/api/public/v1/jobs/7"
        with pytest.raises(AirbyteTransportError) as error:
            send(server.url, HttpRequest("DELETE", url, {"Authorization": "Bearer s3cret"}))

    assert str(error.value).startswith(f"No response to DELETE {url}: ")
    assert len(str(error.value).splitlines()) == 1
    assert "s3cret" not in str(error.value)
