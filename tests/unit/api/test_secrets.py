"""A token, a secret or an authorization header is never told to anybody but Airbyte."""

import logging
import traceback

import pytest

from airflow_provider_airbyte_sme.api import AirbyteClient, AirbyteError
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import settings_for

# Every JWT begins so: {" in base64url.
ANY_TOKEN = "eyJ"

TROUBLE = {
    "nothing": lambda emulator: None,
    "a token that is revoked": lambda emulator: emulator.revoke_tokens(),
    "a token that is refused": lambda emulator: emulator.fail_next("GET /jobs", 401, times=None),
    "an exchange that is refused": lambda emulator: (
        emulator.revoke_tokens(),
        emulator.rotate_secret(),
    ),
    "a call that is forbidden": lambda emulator: emulator.fail_next("GET /jobs", 403),
    "a call that is misunderstood": lambda emulator: emulator.fail_next("GET /jobs", 400),
    "an answer that is lost": lambda emulator: emulator.drop_next("GET /jobs", times=None),
    "an answer that is late": lambda emulator: emulator.hang_next("GET /jobs", 60, times=None),
    "a web page": lambda emulator: emulator.html_next("GET /jobs", times=None),
    "half an answer": lambda emulator: emulator.fail_next("GET /jobs", 200, body=b'{"data": ['),
    "trouble of the server": lambda emulator: emulator.fail_next("GET /jobs", 500, times=None),
}


def told(error):
    """Yield all that an error and those behind it show, hidden ones too."""
    if error is not None:
        yield from (str(error), repr(error), *traceback.format_exception(error))
        yield from told(error.__cause__)
        yield from told(error.__context__)


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_no_secret_is_in_a_log_a_repr_or_an_exception(over_sockets, caplog, trouble):
    caplog.set_level(logging.DEBUG)
    emulator = Emulator()
    old_secret = emulator.client_secret
    failure = None
    with emulator.serve() as server:
        settings = settings_for(
            emulator, server.url, request_timeout=0.05, headers={"X-Key": "of the gateway"}
        )

        async def scenario(transport):
            client = AirbyteClient(settings, transport, chance=lambda: 0.0)
            await client.list_jobs()
            trouble(emulator)
            try:
                await client.list_jobs()
            finally:
                shown.append(repr(client))

        shown = [repr(settings)]
        try:
            over_sockets(settings, scenario)
        except AirbyteError as error:
            failure = error

    text = "\n".join([caplog.text, *shown, *told(failure)])
    assert "/api/public/v1" in text
    for secret in (old_secret, emulator.client_secret, ANY_TOKEN, "Bearer", "of the gateway"):
        assert secret not in text
