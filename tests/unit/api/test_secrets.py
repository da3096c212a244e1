"""No log, repr or exception contains a token, a secret or an authorization header."""

import json
import logging
import traceback

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteError,
    AirbyteSession,
    AirbyteSettings,
    AirbyteUrls,
    RetryPolicy,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import settings_for
from tests.unit.api.servers import Proxy, RawServer, raw_response

# The beginning of every JWT: {" in base64url.
ANY_TOKEN = "eyJ"

SCENARIOS = {
    "no failure": lambda emulator: None,
    "revoked token": lambda emulator: emulator.revoke_tokens(),
    "rejected token": lambda emulator: emulator.fail_next("GET /jobs", 401, times=None),
    "rejected credentials": lambda emulator: (
        emulator.revoke_tokens(),
        emulator.rotate_secret(),
    ),
    "forbidden": lambda emulator: emulator.fail_next("GET /jobs", 403),
    "bad request": lambda emulator: emulator.fail_next("GET /jobs", 400),
    "lost response": lambda emulator: emulator.drop_next("GET /jobs", times=None),
    "read timeout": lambda emulator: emulator.hang_next("GET /jobs", 60, times=None),
    "HTML page": lambda emulator: emulator.html_next("GET /jobs", times=None),
    "truncated response": lambda emulator: emulator.fail_next("GET /jobs", 200, body=b'{"data": ['),
    "token endpoint that echoes the request": lambda emulator: (
        emulator.revoke_tokens(),
        emulator.fail_next(
            "POST /applications/token",
            400,
            None,
            body=f"client_id=me&client_secret={emulator.client_secret} (in a form)",
        ),
    ),
    "token endpoint that quotes the secret": lambda emulator: (
        emulator.revoke_tokens(),
        emulator.fail_next(
            "POST /applications/token",
            400,
            None,
            body={"message": f"{emulator.client_secret} is wrong", "exceptionClassName": "X"},
        ),
    ),
    "gateway that echoes the headers": lambda emulator: emulator.fail_next(
        "GET /jobs",
        502,
        None,
        body=f"X-Key: gateway key, Authorization: Bearer {ANY_TOKEN}hbGciOiJIUzI1NiJ9.e30.c2ln",
    ),
    "server error": lambda emulator: emulator.fail_next("GET /jobs", 500, times=None),
}


def texts_of(error):
    """Yield every text of an exception and of those in its chain, suppressed ones too."""
    if error is not None:
        yield from (str(error), repr(error), *traceback.format_exception(error))
        yield from texts_of(error.__cause__)
        yield from texts_of(error.__context__)


@pytest.mark.parametrize("fail", SCENARIOS.values(), ids=SCENARIOS)
def test_no_log_repr_or_exception_contains_a_secret(over_sockets, caplog, fail):
    caplog.set_level(logging.DEBUG)
    emulator = Emulator()
    old_secret = emulator.client_secret
    raised = None
    with emulator.serve() as server:
        settings = settings_for(
            emulator, server.url, request_timeout=0.05, headers={"X-Key": "gateway key"}
        )

        async def scenario(transport):
            retry = RetryPolicy(max_attempts=3, max_delay=0.0)
            client = AirbyteClient(AirbyteSession(settings, transport, retry=retry))
            await client.jobs.list()
            fail(emulator)
            try:
                await client.jobs.list()
            finally:
                reprs.append(repr(client))

        reprs = [repr(settings)]
        try:
            over_sockets(settings, scenario)
        except AirbyteError as error:
            raised = error

    text = "\n".join([caplog.text, *reprs, *texts_of(raised)])
    assert "/api/public/v1" in text
    for secret in (old_secret, emulator.client_secret, ANY_TOKEN, "Bearer", "gateway key"):
        assert secret not in text


@pytest.mark.parametrize("origin", ["settings", "environment"])
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "200 OK"])
def test_what_a_proxy_repeats_of_its_login_is_not_shown(over_sockets, monkeypatch, origin, status):
    told = raw_response(b'["me, p@ss-word, p%40ss-word, bWU6cEBzcy13b3Jk"]', status)
    with Proxy(told) as proxy:
        url = proxy.url.replace("://", "://me:p%40ss-word@")
        if origin == "environment":
            monkeypatch.setenv("HTTP_PROXY", url)
        airbyte = AirbyteUrls.parse("http://airbyte.example.com")
        settings = AirbyteSettings(airbyte, proxy=url if origin == "settings" else "")

        async def scenario(transport):
            session = AirbyteSession(settings, transport, retry=RetryPolicy(max_attempts=1))
            await AirbyteClient(session).jobs.get(42)

        with pytest.raises(AirbyteError) as failure:
            over_sockets(settings, scenario)

    assert proxy.requests
    text = "\n".join(texts_of(failure.value))
    for secret in ("p@ss-word", "p%40ss-word", "bWU6cEBzcy13b3Jk"):
        assert secret not in text


def test_a_rejected_configuration_is_not_quoted(over_sockets):
    configuration = {"host": "db.example.com", "password": "hunter2", "pem": "MIIEpQ\nBkqhki"}
    quoted = json.dumps({"message": f"json schema validation failed: {configuration}"})
    response = raw_response(quoted.encode(), "422 Unprocessable Entity")
    with RawServer(response) as server:
        settings = AirbyteSettings(AirbyteUrls.parse(server.url))

        async def scenario(transport):
            session = AirbyteSession(settings, transport, retry=RetryPolicy(max_attempts=1))
            await session.request(
                "POST",
                settings.urls.public_url("sources"),
                payload={"name": "crm", "configuration": configuration},
            )

        with pytest.raises(AirbyteError, match="json schema validation failed") as failure:
            over_sockets(settings, scenario)

    text = "\n".join(texts_of(failure.value))
    for secret in ("hunter2", "db.example.com", "MIIEpQ"):
        assert secret not in text
