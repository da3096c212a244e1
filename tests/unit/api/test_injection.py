"""
What users hand in cannot change where a request goes or which headers it has.

The raw request that the server received is compared with the intended one, with both transports.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConfigError,
    AirbyteError,
    AirbyteSession,
    AirbyteSettings,
    AirbyteUrls,
    HttpRequest,
    RetryPolicy,
)
from tests.unit.api.servers import RawServer, raw_response

ROOT = "/api/public/v1"
TOKEN = raw_response(b'{"access_token": "t0ken-of-airbyte", "expires_in": 900}')

# A header and a request of an attacker, and what parts URLs.
NASTY = (
    "x\r\nX-Injected: 1",
    "x\nX-Injected: 1",
    "x\r\n\r\nDELETE /api/public/v1/jobs/1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "x HTTP/1.1\r\nX-Injected: 1\r\n",
    "../../../v1/instance_configuration",
    "..%2f..%2f",
    "..",
    ".",
    "",
    "a/b",
    "a\\b",
    "?admin=true",
    "#fragment",
    "a;b=c",
    "a&b=c",
    "%0d%0aX-Injected: 1",
    "@evil.example.com",
    "//evil.example.com",
    "\x00",
    "\u010d\u010aX-Injected: 1",  # CR and LF, if each character is cut down to a byte
    "\ud800",
    "\u2028",
    "\u212a",
)
texts = st.text(max_size=30)


def for_all(*names):
    """Run a test for texts that hypothesis makes, and with each nasty one as each of *names*."""

    def decorate(test):
        other = dict.fromkeys(names, "X-Key")
        for name in names:
            for text in NASTY:
                test = example(**{**other, name: text})(test)
        given_texts = given(**dict.fromkeys(names, texts))
        return settings(
            max_examples=8,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        )(given_texts(test))

    return decorate


@pytest.fixture
def server():
    with RawServer() as server:
        yield server


@pytest.fixture
def received(over_sockets, server):
    """Return a function that makes a call of a client, and returns what the server received."""

    def run(operation, **fields):
        server.requests.clear()
        server.answer(TOKEN, raw_response(b"{}"))
        made = AirbyteSettings(
            AirbyteUrls.parse(server.url),
            **{"client_id": "an-id", "client_secret": "client-s3cret", **fields},
        )

        async def scenario(transport):
            retry = RetryPolicy(max_attempts=1)
            await operation(AirbyteClient(AirbyteSession(made, transport, retry=retry)))

        try:
            over_sockets(made, scenario)
        except AirbyteError as error:
            assert not isinstance(error, AirbyteConfigError) or not server.requests  # noqa: PT017
        return [each for each in server.requests if not each.target.endswith("/token")]

    return run


def headers_of(server):
    return {name for request in server.requests for name in request.headers}


class TestIds:
    @for_all("resource_id")
    def test_an_id_is_one_segment_of_the_path(self, received, server, resource_id):
        requests = received(lambda client: client.connections.get(resource_id))

        assert len(requests) <= 1
        for request in requests:
            parent, _, segment = request.target.rpartition("/")
            assert (parent, unquote(segment)) == (f"{ROOT}/connections", resource_id)
        assert "x-injected" not in headers_of(server)

    @pytest.mark.parametrize("resource_id", ["", ".", ".."])
    def test_an_id_that_would_be_another_path_is_not_sent(self, received, resource_id):
        assert received(lambda client: client.workspaces.delete(resource_id)) == []

    @for_all("name")
    def test_a_value_of_a_query_stays_one_value(self, received, server, name):
        requests = received(lambda client: client.workspaces.list(workspace_ids=[name]))

        for request in requests:
            url = urlsplit(request.target)
            assert url.path == f"{ROOT}/workspaces"
            values = parse_qs(url.query, keep_blank_values=True)
            assert values.get("workspaceIds", [""]) == [name]
            assert set(values) <= {"workspaceIds", "limit", "offset", "includeDeleted"}
        assert "x-injected" not in headers_of(server)

    @for_all("name")
    def test_a_name_is_a_value_of_the_body(self, received, server, name):
        requests = received(lambda client: client.workspaces.create({"name": name}))

        for request in requests:
            assert (request.method, request.target) == ("POST", f"{ROOT}/workspaces")
            assert json.loads(request.body) == {"name": name}
        assert "x-injected" not in headers_of(server)


class TestSettings:
    @for_all("client_id", "secret")
    def test_credentials_are_values_of_the_body(self, received, server, client_id, secret):
        assume(client_id and secret)
        received(lambda client: client.authenticate(), client_id=client_id, client_secret=secret)

        (request,) = server.requests
        assert request.target == f"{ROOT}/applications/token"
        body = json.loads(request.body)
        assert (body["client_id"], body["client_secret"]) == (client_id, secret)
        assert "x-injected" not in request.headers
        assert "authorization" not in request.headers

    @for_all("name", "value")
    @example(name="X-Key", value="a\r\nX-Injected: 1")
    @example(name="X-Key: a\r\nX-Injected", value="1")
    @example(name="X-Key", value=" padded ")
    def test_a_header_is_sent_as_it_is_or_refused(self, received, server, name, value):
        server.requests.clear()
        try:
            received(lambda client: client.authenticate(), headers={name: value})
        except AirbyteConfigError as error:
            assert "headers of the Airflow connection" in str(error)  # noqa: PT017
            assert server.requests == []
            return

        (request,) = server.requests
        assert request.headers[name.lower()] == value
        assert name.lower() == "x-injected" or "x-injected" not in request.headers

    @pytest.mark.parametrize(
        "name", ["Content-Length", "Transfer-Encoding", "connection", "Expect"]
    )
    def test_a_header_that_would_change_the_framing_is_refused(self, name):
        with pytest.raises(AirbyteConfigError, match=f"headers .*{name}"):
            AirbyteSettings(AirbyteUrls.parse("https://airbyte"), headers={name: "1"})

    @for_all("path")
    def test_a_url_leads_to_its_host_and_no_further_than_its_path(self, over_sockets, server, path):
        server.requests.clear()
        try:
            urls = AirbyteUrls.parse(f"{server.url}/{path}")
        except AirbyteConfigError:
            return

        parts = urlsplit(urls.public)
        assert parts.netloc == urlsplit(server.url).netloc
        assert (parts.query, parts.fragment, parts.username) == ("", "", None)

        async def scenario(transport):
            await transport.send(HttpRequest("GET", urls.public_url("jobs", 42)))

        over_sockets(AirbyteSettings(urls), scenario)
        (request,) = server.requests
        # One of the libraries writes the digits of %2f in upper case.
        assert unquote(request.target) == unquote(f"{parts.path}/jobs/42")
        assert "?" not in request.target
        assert "x-injected" not in request.headers

    @for_all("host")
    @example(host="airbyte.example.com@evil.example.com")
    @example(host="airbyte.example.com\\@evil.example.com")
    @example(host="airbyte.example.com#@evil.example.com")
    @example(host="airbyte.example.com\t.evil.example.com")
    def test_a_host_is_a_host_or_refused(self, host):
        try:
            urls = AirbyteUrls.parse(f"https://{host}")
        except AirbyteConfigError:
            return

        netloc = urlsplit(urls.public).netloc
        assert netloc
        assert netloc.isascii()
        assert not set(netloc) & set(" \t\r\n@/\\?#%")
