"""No log, repr or exception contains a token, a secret or an authorization header."""

import logging
import traceback

import pytest

from airflow_provider_airbyte_sme.api import AirbyteClient, AirbyteError, AirbyteSession
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import settings_for

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
            client = AirbyteClient(AirbyteSession(settings, transport, jitter=lambda: 0.0))
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
