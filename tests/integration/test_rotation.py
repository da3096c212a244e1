"""The Airflow connection of a deferred wait: unreadable for a while, or changed meanwhile."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_airbyte_sme.api import AirbyteSettingsNotFoundError, Ownership
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.outcome import JobEvent
from airflow_provider_airbyte_sme.triggers import airbyte as trigger_module
from airflow_provider_airbyte_sme.triggers import settings as settings_module
from airflow_provider_airbyte_sme.triggers import waits
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger
from tests.integration.conftest import request_count
from tests.integration.secrets_backends import VAULT_CONN_ID, Vault, unavailable, vault_with
from tests.tasks import first_event, rebuilt, run_trigger
from tests.unit.api.servers import RawResponse, RawServer, Received, raw_response

TOKEN = "POST /applications/token"
READ = "GET /jobs/{jobId}"


@pytest.fixture
def vault(emulator, monkeypatch) -> Iterator[Vault]:
    """A secrets backend that has the Airflow connection."""
    with vault_with(lambda number: emulator.connection_uri, monkeypatch) as vault:
        yield vault


@pytest.fixture
def make_trigger(emulator):
    """Create the trigger of a job of ours that has succeeded, whose connection is in the vault."""

    def make(**kwargs) -> AirbyteJobTrigger:
        connection_id = emulator.add_connection()
        job_id = emulator.start_sync(connection_id)
        emulator.finish_job(job_id)
        defaults = {
            "airbyte_conn_id": VAULT_CONN_ID,
            "poll_interval": 0.05,
            "deadline": time.time() + 3600,
            "ownership": Ownership.STARTED,
        }
        return AirbyteJobTrigger(
            job_id=job_id, connection_id=connection_id, **{**defaults, **kwargs}
        )

    return make


def run_all(triggers: list[AirbyteJobTrigger]) -> list[dict[str, Any]]:
    async def gathered() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(first_event, triggers))

    return asyncio.run(gathered())


def slowly(uri: str) -> str:
    """Return *uri* so late that other waits ask for it meanwhile."""
    time.sleep(0.05)
    return uri


class TestUnreadableConnection:
    """Airflow calls a connection unknown if its secrets backend or its API server fails."""

    def test_a_wait_outlasts_a_secrets_backend_that_fails(self, emulator, vault, make_trigger):
        vault.answer = lambda number: unavailable() if number < 4 else emulator.connection_uri

        assert run_trigger(make_trigger())["outcome"] == "finished"
        assert vault.reads == 4

    def test_after_the_failure_budget_the_task_may_be_retried(
        self, vault, make_trigger, monkeypatch
    ):
        monkeypatch.setattr(waits, "FAILURE_BUDGET", 0.3)
        vault.answer = lambda number: unavailable()

        event = JobEvent.from_payload(run_trigger(make_trigger()))

        assert event.outcome == "error"
        assert not event.permanent
        assert "If it does not exist, create it" in event.message
        assert "secrets backend or API server failed" in event.message

    def test_at_the_deadline_the_worker_cancels(self, vault, make_trigger):
        vault.answer = lambda number: unavailable()

        event = JobEvent.from_payload(run_trigger(make_trigger(deadline=time.time() + 0.3)))

        assert event.outcome == "timeout"
        assert event.last_read_job().ownership is Ownership.STARTED
        assert f"Airflow did not find the connection {VAULT_CONN_ID!r}" in event.message

    @pytest.mark.parametrize("end", ["deadline", "failure budget"])
    def test_a_secrets_backend_that_hangs_ends_like_one_that_fails(
        self, vault, make_trigger, monkeypatch, end
    ):
        released = threading.Event()
        monkeypatch.setattr(settings_module, "READ_TIMEOUT", 0.1)
        seconds = 0.3 if end == "deadline" else 3600
        monkeypatch.setattr(waits, "FAILURE_BUDGET", 0.3)
        vault.answer = lambda number: released.wait(60) and unavailable()
        try:
            event = run_trigger(make_trigger(deadline=time.time() + seconds))
        finally:
            released.set()

        assert event["outcome"] == ("timeout" if end == "deadline" else "error")
        assert not event["permanent"]

    def test_a_variable_that_cannot_be_parsed_fails_at_once(self, make_trigger, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", '{"host": ')

        event = run_trigger(make_trigger(airbyte_conn_id="broken"))

        assert event["outcome"] == "error"
        assert event["permanent"]
        assert "Airflow cannot parse AIRFLOW_CONN_BROKEN" in event["message"]

    def test_waits_that_begin_together_share_reads(self, emulator, vault, make_trigger):
        vault.answer = lambda number: slowly(emulator.connection_uri)

        events = run_all([make_trigger() for _ in range(100)])

        assert {event["outcome"] for event in events} == {"finished"}
        assert vault.reads <= 10  # one of the first, and one of all who asked meanwhile

    def test_waits_that_begin_together_share_failures_too(self, emulator, vault, make_trigger):
        def answer(number: int) -> str:
            time.sleep(0.05)
            return unavailable() if number < 3 else emulator.connection_uri

        vault.answer = answer

        events = run_all([make_trigger(poll_interval=0.2) for _ in range(100)])

        assert {event["outcome"] for event in events} == {"finished"}
        assert vault.reads <= 20  # not 100 for each of three rounds

    def test_a_wait_that_is_cancelled_does_not_spoil_the_read_of_the_others(
        self, emulator, vault, make_trigger
    ):
        reading, go_on = threading.Event(), threading.Event()

        def answer(number: int) -> str:
            reading.set()
            go_on.wait(60)
            return emulator.connection_uri

        vault.answer = answer

        async def cancel_the_first() -> dict[str, Any]:
            first = asyncio.create_task(first_event(make_trigger()))
            await asyncio.to_thread(reading.wait)
            second = asyncio.create_task(first_event(make_trigger()))
            await asyncio.sleep(0)
            first.cancel()
            go_on.set()
            await asyncio.wait([first])
            return await second

        assert asyncio.run(cancel_the_first())["outcome"] == "finished"

    def test_on_a_worker_the_task_may_be_retried(self, vault, sensor_run):
        vault.answer = lambda number: unavailable()

        with pytest.raises(AirbyteSettingsNotFoundError, match="secrets backend or API server"):
            sensor_run(7, airbyte_conn_id=VAULT_CONN_ID).start()


class TestRotatedClientSecret:
    @pytest.fixture
    def old_uri(self, emulator) -> str:
        return emulator.connection_uri

    def test_a_secrets_backend_that_fails_at_that_moment_is_outlasted(
        self, emulator, vault, make_trigger, old_uri
    ):
        """The old secret is refused for good, but perhaps the vault has a new one."""
        emulator.rotate_secret()
        uris: list[Callable[[], str]] = [lambda: old_uri, unavailable, unavailable]
        vault.answer = lambda number: (
            uris[number - 1]() if number <= len(uris) else emulator.connection_uri
        )

        assert run_trigger(make_trigger())["outcome"] == "finished"
        assert vault.reads == 4

    def test_all_waits_share_the_refused_exchange_the_read_and_the_new_token(
        self, emulator, vault, make_trigger, old_uri
    ):
        emulator.rotate_secret()
        vault.answer = lambda number: slowly(old_uri if number <= 2 else emulator.connection_uri)

        events = run_all([make_trigger() for _ in range(100)])

        assert {event["outcome"] for event in events} == {"finished"}
        # A few more if some waits end before others have begun: the last user closes a client.
        assert set(statuses(emulator, TOKEN)) == {401, 200}
        assert request_count(emulator, TOKEN) <= 6
        assert vault.reads <= 8

    def test_an_unchanged_secret_fails_all_waits_with_few_exchanges(
        self, emulator, vault, make_trigger, old_uri
    ):
        emulator.rotate_secret()
        vault.answer = lambda number: slowly(old_uri)

        events = run_all([make_trigger() for _ in range(100)])

        assert {(event["outcome"], event["permanent"]) for event in events} == {("error", True)}
        assert set(statuses(emulator, TOKEN)) == {401}
        assert request_count(emulator, TOKEN) <= 3


def statuses(emulator: Emulator, route: str) -> list[int | None]:
    return [request.status for request in emulator.requests if request.route == route]


class Gateway(RawServer):
    """
    Forwards requests that have the right key to the emulator.

    :param refusal: What it responds to the others.
    :ivar guarded: What the path of a guarded request contains.
    :ivar refused: How many requests it refused.
    """

    def __init__(self, emulator: Emulator, refusal: RawResponse) -> None:
        super().__init__()
        self.guarded = "/"
        self.refused = 0
        self._emulator = emulator
        self._refusal = refusal

    def respond(self, connection: socket.socket, request: Received) -> bool:
        if self.guarded in request.target and request.headers.get("x-key") != "new":
            self.refused += 1
            return self.write(connection, self._refusal)
        return self.write(connection, self._forwarded(request))

    def _forwarded(self, request: Received) -> RawResponse:
        target = HTTPConnection(urlsplit(self._emulator.url).netloc, timeout=10)
        try:
            target.request(request.method, request.target, request.body, dict(request.headers))
            response = target.getresponse()
            body = response.read()
        finally:
            target.close()
        kind = ("Content-Type", response.headers.get("Content-Type", ""))
        return raw_response(body, f"{response.status} {response.reason}", [kind])


def refusal(status: str, content_type: str, body: str, **headers: str) -> RawResponse:
    return raw_response(body.encode(), status, [("Content-Type", content_type), *headers.items()])


PAGE = "<!DOCTYPE html><html><body>Log in</body></html>"
REFUSALS = {
    "401 in JSON": refusal(
        "401 Unauthorized", "application/json", '{"message": "No API key found in request"}'
    ),
    "403 in JSON": refusal("403 Forbidden", "application/json", '{"message": "Forbidden"}'),
    "401 in text": refusal(
        "401 Unauthorized", "text/html", "Invalid IAP credentials: Unable to parse JWT"
    ),
    "401 in HTML": refusal("401 Unauthorized", "text/html", PAGE),
    "403 in HTML": refusal("403 Forbidden", "text/html", PAGE),
    "403 in text": refusal("403 Forbidden", "text/plain", "RBAC: access denied"),
    "407": refusal("407 Proxy Authentication Required", "text/plain", "log in"),
    "redirect": refusal("302 Found", "text/html", "", Location="https://login.example.com/"),
    "login page": refusal("200 OK", "text/html", PAGE),
    "401 like Airbyte's": refusal(
        "401 Unauthorized",
        "application/json",
        '{"message": "Unauthorized", "_links": {"self": {"href": "/x", "templated": false}}}',
    ),
}


class TestRotatedKeyOfAGateway:
    """A key in `headers` of the Airflow connection is rotated while the task is deferred."""

    @pytest.fixture(params=list(REFUSALS.values()), ids=list(REFUSALS))
    def refused_with(self, request) -> RawResponse:
        refusal: RawResponse = request.param
        return refusal

    @pytest.fixture
    def gateway_with(self, emulator, vault) -> Iterator[Callable[..., Gateway]]:
        """Start a gateway, and give the vault a connection with an old key, which is rotated."""
        stack = ExitStack()

        def make(refusal: RawResponse, *, is_rotated: bool = True) -> Gateway:
            def uri(number: int) -> str:
                is_new = is_rotated and number > 1
                return json.dumps(
                    {
                        "conn_type": "airbyte_sme",
                        "host": gateway.url,
                        "login": emulator.client_id,
                        "password": emulator.client_secret,
                        "extra": {"headers": {"X-Key": "new" if is_new else "old"}},
                    }
                )

            gateway = stack.enter_context(Gateway(emulator, refusal))
            vault.answer = uri
            return gateway

        with stack:
            yield make

    def test_the_wait_goes_on_with_the_new_key_at_once(
        self, gateway_with, make_trigger, vault, refused_with
    ):
        gateway = gateway_with(refused_with)
        gateway.guarded = "/jobs/"

        assert run_trigger(make_trigger())["outcome"] == "finished"
        # A 401 as Airbyte writes it may mean the token, which is replaced first.
        assert gateway.refused == (2 if b"_links" in refused_with.raw else 1)
        assert vault.reads == 2

    def test_also_if_the_gateway_is_before_the_token_endpoint(
        self, gateway_with, make_trigger, vault, refused_with
    ):
        gateway = gateway_with(refused_with)

        assert run_trigger(make_trigger())["outcome"] == "finished"
        assert gateway.refused <= 2  # both token endpoints
        assert vault.reads == 2

    def test_with_an_unchanged_key_it_is_an_outage_with_one_read_a_minute(
        self, gateway_with, make_trigger, vault, refused_with
    ):
        gateway = gateway_with(refused_with, is_rotated=False)
        gateway.guarded = "/jobs/"

        event = run_trigger(make_trigger(deadline=time.time() + 3))

        assert event["outcome"] == "timeout"
        assert gateway.refused >= 2
        assert vault.reads == 2

    def test_a_killed_task_reads_the_new_key_and_cancels_its_job(
        self, emulator, gateway_with, make_trigger, monkeypatch
    ):
        monkeypatch.setattr(trigger_module, "_KILLED_PATIENCE", 1.0)
        gateway = gateway_with(REFUSALS["401 in JSON"])
        trigger = make_trigger(cancel_on_kill=True)
        emulator.script_job(trigger.connection_id, statuses=[("running", None)])
        trigger.job_id = emulator.start_sync(trigger.connection_id)

        asyncio.run(rebuilt(trigger).on_kill())

        assert emulator.jobs[trigger.job_id].status == "cancelled"
        assert gateway.refused > 0


class TestKilledTask:
    def test_a_secrets_backend_that_fails_is_outlasted(self, emulator, vault, make_trigger):
        vault.answer = lambda number: unavailable() if number == 1 else emulator.connection_uri
        trigger = make_trigger(cancel_on_kill=True)
        emulator.script_job(trigger.connection_id, statuses=[("running", None)])
        trigger.job_id = emulator.start_sync(trigger.connection_id)

        asyncio.run(rebuilt(trigger).on_kill())

        assert emulator.jobs[trigger.job_id].status == "cancelled"
        assert request_count(emulator, "DELETE /jobs/{jobId}") == 1
