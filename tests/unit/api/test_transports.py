"""One contract for both faces, over real sockets: what a request becomes, and what its answer."""

import gzip
import json
import socket
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
    HttpRequest,
)
from tests.unit.api.servers import LOOPBACK, Answer, RawServer, answer

# Longer than any answer takes that comes, and short enough to wait for one that does not.
SHORT = 0.15


def test_a_request_arrives_as_it_was_made(ask):
    path = "/api/public/v1/jobs?workspaceIds=a%2Cb&orderBy=createdAt%7CDESC&q=%20+%C3%A9"
    with RawServer() as server:
        headers = {"X-Key": "one two", "User-Agent": "ours", "Accept": "application/json"}
        ask(server.url, HttpRequest("POST", server.url + path, headers, b'{"a": "\xc3\xa9"}'))

    (received,) = server.requests
    assert (received.method, received.target) == ("POST", path)
    assert received.body == b'{"a": "\xc3\xa9"}'
    assert received.headers["x-key"] == "one two"
    assert received.headers["user-agent"] == "ours"
    assert received.headers["accept"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_request_without_a_body_has_none(ask, method):
    with RawServer() as server:
        ask(server.url, HttpRequest(method, server.url))

    assert server.requests[0].body == b""
    assert "transfer-encoding" not in server.requests[0].headers


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "401 Unauthorized", "503 Busy"])
def test_an_answer_is_read_whatever_its_status(ask, status):
    headers = [("Content-Type", "application/json"), ("X-Mixed-Case", "As Is")]
    body = b"" if status.startswith("204") else b'{"a": 1}'
    with RawServer(answer(body, status, headers)) as server:
        response = ask(server.url)

    assert response.status == int(status[:3])
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-mixed-case"] == "As Is"
    assert response.body == body


def test_an_answer_in_chunks_is_put_together(ask):
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n"
    with RawServer(Answer(chunks)) as server:
        assert ask(server.url).body == b"{} "


def test_a_compressed_answer_is_unpacked(ask):
    body = json.dumps({"data": ["x" * 50] * 100}).encode()
    with RawServer(answer(gzip.compress(body), headers=[("Content-Encoding", "gzip")])) as server:
        assert ask(server.url).body == body

    assert "gzip" in server.requests[0].headers["accept-encoding"]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(ask, status):
    with RawServer() as elsewhere:
        location = [("Location", f"{elsewhere.url}/")]
        with RawServer(answer(b"", status, location)) as server:
            response = ask(server.url)

    assert response.status == int(status[:3])
    assert response.headers["location"] == f"{elsewhere.url}/"
    assert elsewhere.requests == []


def test_no_cookie_is_kept(ask):
    with RawServer(answer(headers=[("Set-Cookie", "session=1; Path=/")])) as server:
        # By its name: aiohttp would keep none from a bare address anyway.
        request = HttpRequest("GET", f"http://localhost:{server.port}/")
        ask(server.url, request, request)

    assert len(server.requests) == 2
    assert "cookie" not in server.requests[1].headers


def test_a_netrc_never_replaces_the_token(ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {LOOPBACK} login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer() as server:
        token = HttpRequest("GET", server.url, {"Authorization": "Bearer token"})
        ask(server.url, token, HttpRequest("GET", server.url))

    assert [request.headers.get("authorization") for request in server.requests] == [
        "Bearer token",
        None,
    ]


def test_a_refused_connection_tells_that_nothing_was_sent(ask):
    with socket.create_server((LOOPBACK, 0)) as listener:
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    with pytest.raises(AirbyteTransportError, match=r"Check Host .* and Port") as failure:
        ask(url)

    assert not failure.value.request_sent
    assert not isinstance(failure.value, AirbyteRequestTimeoutError)


def test_a_host_without_an_address_tells_that_nothing_was_sent(ask):
    with pytest.raises(AirbyteTransportError, match=r"Check Host .* and Port") as failure:
        ask("http://airbyte.invalid")

    assert not failure.value.request_sent


def test_a_connection_that_is_not_accepted_in_time_tells_that_nothing_was_sent(ask):
    with socket.create_server((LOOPBACK, 0), backlog=0) as listener:
        address = listener.getsockname()
        # The kernel keeps one connection for an application that does not accept; the next waits.
        with socket.create_connection(address):
            url = f"http://{LOOPBACK}:{address[1]}"
            with pytest.raises(AirbyteRequestTimeoutError) as failure:
                ask(url, HttpRequest("GET", url, timeout=SHORT))

    assert not failure.value.request_sent


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="before it begins"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", id="in its middle"),
    ],
)
def test_an_answer_that_comes_too_late_tells_that_the_request_was_sent(ask, beginning):
    with (
        RawServer(Answer(beginning, then="hold")) as server,
        pytest.raises(AirbyteRequestTimeoutError, match=f"{SHORT} s to answer") as failure,
    ):
        ask(server.url, HttpRequest("POST", server.url, body=b"{}", timeout=SHORT))

    assert failure.value.request_sent


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="before it begins"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", id="in its body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", id="in a chunk"
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="because it is no HTTP"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
            id="because it cannot be unpacked",
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_answer_that_is_lost_tells_that_the_request_was_sent_once(ask, method, beginning):
    with (
        RawServer(Answer(beginning, then="close")) as server,
        pytest.raises(AirbyteTransportError, match="overloaded or restarting") as failure,
    ):
        ask(server.url, HttpRequest(method, server.url))

    assert failure.value.request_sent
    assert not isinstance(failure.value, AirbyteRequestTimeoutError)
    assert [request.method for request in server.requests] == [method]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_request_on_a_connection_that_was_kept_is_not_repeated_behind_our_back(ask, method):
    with RawServer(answer(), Answer(b"", then="close")) as server:
        request = HttpRequest(method, server.url)
        with pytest.raises(AirbyteTransportError) as failure:
            ask(server.url, request, request)

    assert failure.value.request_sent
    assert len(server.requests) == 2


@pytest.mark.parametrize("url", ["http://[", "http://a b/", "http://"])
def test_what_is_no_url_is_told_as_a_request_that_was_never_sent(ask, url):
    with pytest.raises(AirbyteTransportError) as failure:
        ask("http://airbyte.invalid", HttpRequest("GET", url))

    assert not failure.value.request_sent


def test_a_message_is_one_line_that_names_the_request(ask):
    with RawServer(Answer(b"", then="close")) as server:
        url = f"{server.url}/api/public/v1/jobs/7"
        with pytest.raises(AirbyteTransportError) as failure:
            ask(server.url, HttpRequest("DELETE", url, {"Authorization": "Bearer s3cret"}))

    assert str(failure.value).startswith(f"No answer to DELETE {url}: ")
    assert len(str(failure.value).splitlines()) == 1
    assert "s3cret" not in str(failure.value)
