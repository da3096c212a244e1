"""A redirect or a link never leads a token or a secret anywhere else, with both transports."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteError,
    AirbyteSession,
    AirbyteSettings,
    AirbyteUrls,
    HttpRequest,
    RetryPolicy,
)
from tests.unit.api.servers import RawServer, raw_response

STATUSES = (
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
)
SECRET = "client-s3cret"
TOKEN = b'{"access_token": "t0ken-of-airbyte", "expires_in": 900}'


def locations(here: RawServer, elsewhere: RawServer, encrypted: RawServer) -> list[str]:
    """Return redirects to other hosts, ports and schemes, and one with credentials."""
    port = urlsplit(elsewhere.url).port
    return [
        f"{elsewhere.url}/api/public/v1/jobs",
        f"http://localhost:{port}/",
        f"//127.0.0.1:{port}/",
        f"http://me:password@127.0.0.1:{port}/",
        encrypted.url,
        f"https://127.0.0.1:{here.port}/",
        f"{here.url}/elsewhere",
        "/elsewhere",
    ]


@pytest.fixture
def elsewhere():
    with RawServer() as server:
        yield server


@pytest.fixture
def encrypted(certificates):
    with RawServer(tls=certificates.server_context()) as server:
        yield server


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_is_a_response_and_is_not_followed(send, elsewhere, encrypted, status, method):
    with RawServer() as server:
        targets = locations(server, elsewhere, encrypted)
        server.answer(*(raw_response(b"", status, [("Location", each)]) for each in targets))
        body = None if method == "GET" else b'{"client_secret": "client-s3cret"}'
        headers = {"Authorization": "Bearer t0ken-of-airbyte"}
        request = HttpRequest(method, f"{server.url}/api/public/v1/jobs", headers, body)
        response = send(server.url, *[request] * len(targets))

    assert response.status == int(status[:3])
    assert [each.target for each in server.requests] == ["/api/public/v1/jobs"] * len(targets)
    assert (elsewhere.connections, encrypted.connections) == (0, 0)


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_from_https_is_not_followed_to_http(send, certificates, elsewhere, status):
    downgrade = raw_response(b"", status, [("Location", elsewhere.url)])
    with RawServer(downgrade, tls=certificates.server_context()) as server:
        request = HttpRequest("POST", server.url, {"Authorization": "Bearer t0ken-of-airbyte"})
        response = send(server.url, request, ca_bundle=certificates.ca_bundle)

    assert response.status == int(status[:3])
    assert elsewhere.connections == 0


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_of_the_token_request_does_not_take_the_secret_along(
    over_sockets, elsewhere, status
):
    redirect = raw_response(b"", status, [("Location", f"{elsewhere.url}/token")])
    with RawServer(redirect) as server, pytest.raises(AirbyteError, match="a redirect to"):
        call(over_sockets, server.url, lambda client: client.jobs.get(42))

    assert SECRET.encode() in server.requests[0].body
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "operation",
    [
        lambda client: client.jobs.get(42),
        lambda client: client.jobs.list(),
        lambda client: client.workspaces.list(),
        lambda client: client.connections.get("11111111-1111-4111-8111-111111111111"),
        lambda client: client.workspaces.create({"name": "Mine"}),
        lambda client: client.workspaces.delete("11111111-1111-4111-8111-111111111111"),
    ],
    ids=["job", "jobs", "workspaces", "connection", "create", "delete"],
)
@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_of_a_call_does_not_take_the_token_along(
    over_sockets, elsewhere, status, operation
):
    redirect = raw_response(b"", status, [("Location", f"{elsewhere.url}/")])
    with (
        RawServer(raw_response(TOKEN), redirect) as server,
        pytest.raises(AirbyteError, match="a redirect to"),
    ):
        call(over_sockets, server.url, operation)

    assert server.requests[1].headers["authorization"] == "Bearer t0ken-of-airbyte"
    assert elsewhere.connections == 0


def test_the_links_of_a_list_are_not_followed_to_another_host(over_sockets, elsewhere):
    links = f'"previous": "{elsewhere.url}/a", "next": "{elsewhere.url}/api/public/v1/workspaces"'
    workspace = '{"workspaceId": "11111111-1111-4111-8111-111111111111", "name": "Mine"}'
    full = f'{{"data": [{", ".join([workspace] * 100)}], {links}}}'.encode()
    last = f'{{"data": [], {links}}}'.encode()
    with RawServer(raw_response(TOKEN), raw_response(full), raw_response(last)) as server:
        call(over_sockets, server.url, lambda client: client.workspaces.list())

    paths = {each.target.partition("?")[0] for each in server.requests[1:]}
    assert paths == {"/api/public/v1/workspaces"}
    assert len(server.requests) > 2
    assert elsewhere.connections == 0


def call(over_sockets, url, operation):
    """Run one call of a client with credentials, without repetitions."""
    settings = AirbyteSettings(AirbyteUrls.parse(url), "an-id", SECRET)

    async def scenario(transport):
        retry = RetryPolicy(max_attempts=1)
        await operation(AirbyteClient(AirbyteSession(settings, transport, retry=retry)))

    over_sockets(settings, scenario)
