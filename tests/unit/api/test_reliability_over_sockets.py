"""
One job through the whole client, over real sockets, while servers and proxies misbehave.

What each rule decides in detail is tested elsewhere, in memory. Here every scenario runs with both
transports, and with a real forward proxy and a real TLS server where they matter.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteError,
    AirbyteSession,
    CreatedJob,
    Job,
    Ownership,
    RetryPolicy,
    Transport,
)
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.certificates import Certificates
from tests.unit.api.doubles import requests_to, settings_for
from tests.unit.api.responses import html_page
from tests.unit.api.runners import Runner
from tests.unit.api.servers import Proxy, Received

T = TypeVar("T")
Operation = Callable[[AirbyteClient], Coroutine[Any, Any, T]]

POST, GET, DELETE = "POST /jobs", "GET /jobs/{jobId}", "DELETE /jobs/{jobId}"
LIST, CONNECTION = "GET /jobs", "GET /connections/{connectionId}"

# Seconds: how long a response is held back, while a proxy drops the connection.
HELD = 0.5


class TlsFront(Proxy):
    """The TLS server in front of an emulator."""

    def __init__(self, emulator_url: str, certificates: Certificates) -> None:
        super().__init__(tls=certificates.server_context())
        self._emulator_url = emulator_url

    def respond(self, connection: Any, request: Received) -> bool:
        target = f"{self._emulator_url}{request.target}"
        return super().respond(connection, replace(request, target=target))


@pytest.fixture
def airbyte() -> Iterator[Emulator]:
    emulator = Emulator()
    with emulator.serve():
        yield emulator


@pytest.fixture
def call(airbyte: Emulator, over_sockets: Runner) -> Callable[..., Any]:
    """Run one operation of a new client, with short pauses between its attempts."""

    def run(operation: Operation[T], url: str = "", *, patience: float = 20.0, **fields: Any) -> T:
        settings = settings_for(airbyte, url or airbyte.url, **fields)

        async def scenario(transport: Transport) -> T:
            session = AirbyteSession(
                settings, transport, retry=RetryPolicy(max_elapsed=patience), jitter=lambda: 0.0
            )
            return await operation(AirbyteClient(session))

        return over_sockets(settings, scenario)

    return run


def create(airbyte: Emulator) -> Operation[CreatedJob]:
    return lambda client: client.jobs.create(airbyte.connection_id)


def script(airbyte: Emulator, status: str = "running", jobs: int = 1) -> None:
    for _ in range(jobs):
        airbyte.script_job(statuses=[(status, None)])


def finished_sync(airbyte: Emulator) -> int:
    job_id = airbyte.start_sync()
    airbyte.finish_job(job_id)
    return job_id


class TestOwnership:
    """No clock decides whose job it is."""

    @pytest.fixture(params=[None, -300.0, 120.0], ids=["no Date", "5 min behind", "2 min ahead"])
    def airbyte(self, request: pytest.FixtureRequest, airbyte: Emulator) -> Emulator:
        airbyte.date_offset = request.param
        return airbyte

    def test_our_job_is_ours(self, airbyte: Emulator, call: Callable[..., Any]) -> None:
        earlier = finished_sync(airbyte)

        created = call(create(airbyte))

        assert (created.job_id, created.ownership) == (earlier + 1, Ownership.STARTED)

    def test_an_old_job_is_never_taken_for_the_one_whose_response_was_lost(
        self, airbyte: Emulator, call: Callable[..., Any]
    ) -> None:
        earlier = finished_sync(airbyte)
        script(airbyte)
        airbyte.drop_next(POST)

        created = call(create(airbyte))

        assert (created.job_id, created.ownership) == (earlier + 1, Ownership.FOUND)
        assert list(airbyte.jobs) == [earlier, created.job_id]

    def test_a_job_that_a_schedule_started_a_moment_before_is_foreign(
        self, airbyte: Emulator, call: Callable[..., Any]
    ) -> None:
        script(airbyte, "pending")
        scheduled = airbyte.start_sync()

        created = call(create(airbyte))

        assert (created.job_id, created.ownership) == (scheduled, Ownership.FOREIGN)
        assert created.is_in_the_way


WAYS = ["http", "https", "http over TLS to the proxy"]


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_that_drops_after_it_forwarded_the_request_does_not_cause_a_second_sync(
    airbyte: Emulator, call: Callable[..., Any], certificates: Certificates, way: str
) -> None:
    script(airbyte, jobs=2)
    forwarded = threading.Event()
    airbyte.hang_next(POST, HELD)
    airbyte.call_next(POST, forwarded.set, after=True)
    proxy_tls = certificates.server_context() if "TLS" in way else None
    with ExitStack() as stack:
        url = airbyte.url
        if way == "https":
            url = stack.enter_context(TlsFront(airbyte.url, certificates)).url
        proxy = stack.enter_context(Proxy(drop_when=forwarded, tls=proxy_tls))
        created = call(create(airbyte), url, proxy=proxy.url, ca_bundle=certificates.ca_bundle)

    assert list(airbyte.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND
    assert len(requests_to(airbyte, POST)) == 1
    assert any(request.method == "CONNECT" for request in proxy.requests) == (way == "https")


def test_a_proxy_that_rejects_the_tunnel_leads_to_one_sync_once_it_allows_it(
    airbyte: Emulator, call: Callable[..., Any], certificates: Certificates
) -> None:
    class Hesitant(Proxy):
        refusals = 1

        def respond(self, connection: Any, request: Received) -> bool:
            self.refusals -= 1
            if self.refusals >= 0:
                connection.sendall(b"HTTP/1.1 503 Wait\r\nContent-Length: 0\r\n\r\n")
                return False
            return super().respond(connection, request)

    with TlsFront(airbyte.url, certificates) as front, Hesitant() as proxy:
        created = call(
            create(airbyte), front.url, proxy=proxy.url, ca_bundle=certificates.ca_bundle
        )

    assert list(airbyte.jobs) == [created.job_id]
    assert created.ownership is Ownership.STARTED


def test_a_refused_token_does_not_cancel_a_job_that_started_meanwhile(
    airbyte: Emulator, call: Callable[..., Any]
) -> None:
    script(airbyte, jobs=2)
    ours = airbyte.start_sync()

    def replace_our_job() -> None:
        airbyte.revoke_tokens()
        airbyte.finish_job(ours)
        airbyte.start_sync()

    airbyte.call_next(DELETE, replace_our_job)

    job = call(lambda client: client.jobs.cancel(ours))

    assert job.has_succeeded
    assert [job.status for job in airbyte.jobs.values()] == ["succeeded", "running"]
    assert requests_to(airbyte, DELETE) == [401]


@pytest.mark.parametrize("status", [200, 403, 404])
class TestAnIngressInsteadOfAirbyte:
    """An ingress, gateway or login page says nothing about the request."""

    def test_it_is_outlasted_at_the_start_of_a_task(
        self, airbyte: Emulator, call: Callable[..., Any], status: int
    ) -> None:
        page = html_page(status)
        for route in (CONNECTION, LIST):
            airbyte.fail_next(route, status, 1, page.headers, page.body)

        async def start(client: AirbyteClient) -> CreatedJob:
            await client.connections.get(airbyte.connection_id)
            return await client.jobs.create(airbyte.connection_id)

        created = call(start)

        assert list(airbyte.jobs) == [created.job_id]
        assert created.ownership is Ownership.STARTED

    def test_it_is_not_permanent_when_it_stays(
        self, airbyte: Emulator, call: Callable[..., Any], status: int
    ) -> None:
        page = html_page(status)
        airbyte.fail_next(CONNECTION, status, None, page.headers, page.body)

        with pytest.raises(AirbyteError) as error:
            call(lambda client: client.connections.get(airbyte.connection_id), patience=0.5)

        assert not is_permanent(error.value)

    def test_it_hides_no_job_that_was_created(
        self, airbyte: Emulator, call: Callable[..., Any], status: int
    ) -> None:
        script(airbyte)
        page = html_page(status)
        airbyte.fail_next(POST, status, headers=page.headers, body=page.body, after=True)

        created = call(create(airbyte))

        assert list(airbyte.jobs) == [created.job_id]
        assert created.ownership is Ownership.FOUND


class TestClocksThatDiffer:
    """The clocks of two of Airbyte's servers make durations negative."""

    @pytest.fixture
    def negative(self, airbyte: Emulator) -> int:
        airbyte.script_job(statuses=[("running", 0.1), ("succeeded", None)], clock_skew=-5.0)
        return airbyte.start_sync()

    def test_a_job_with_a_negative_duration_has_ended(
        self, airbyte: Emulator, call: Callable[..., Any], negative: int
    ) -> None:
        job: Job = call(lambda client: client.jobs.wait(negative, poll_interval=0.1, timeout=20))

        assert job.has_succeeded
        assert job.duration is None

    def test_it_blinds_no_search_for_a_running_job(
        self, airbyte: Emulator, call: Callable[..., Any], negative: int
    ) -> None:
        call(lambda client: client.jobs.wait(negative, poll_interval=0.1, timeout=20))
        script(airbyte)
        running = airbyte.start_sync()

        found = call(lambda client: client.jobs.find_running(airbyte.connection_id))

        assert found.job_id == running

    def test_it_blinds_no_search_for_a_job_whose_response_was_lost(
        self, airbyte: Emulator, call: Callable[..., Any], negative: int
    ) -> None:
        call(lambda client: client.jobs.wait(negative, poll_interval=0.1, timeout=20))
        script(airbyte)
        airbyte.drop_next(POST)

        created = call(create(airbyte))

        assert (created.job_id, created.ownership) == (negative + 1, Ownership.FOUND)


# A CDN's own responses, in its own JSON.
CDN_BODY = {"type": "about:blank", "title": "Origin DNS error", "status": 530}


@pytest.mark.parametrize("status", [520, 530])
class TestCdnInsteadOfAirbyte:
    """The responses of a CDN are transient on every call, and its ``Retry-After`` counts."""

    @pytest.mark.parametrize("route", ["POST /applications/token", CONNECTION, LIST, GET])
    def test_a_read_outlasts_it(
        self, airbyte: Emulator, call: Callable[..., Any], status: int, route: str
    ) -> None:
        job_id = finished_sync(airbyte)
        airbyte.fail_next(route, status, body={**CDN_BODY, "status": status})

        async def read(client: AirbyteClient) -> Job:
            await client.connections.get(airbyte.connection_id)
            await client.jobs.list(connection_id=airbyte.connection_id, limit=1)
            return await client.jobs.get(job_id)

        assert call(read).has_succeeded

    def test_a_cancel_outlasts_it(
        self, airbyte: Emulator, call: Callable[..., Any], status: int
    ) -> None:
        script(airbyte)
        job_id = airbyte.start_sync()
        airbyte.fail_next(DELETE, status, body={**CDN_BODY, "status": status})

        assert call(lambda client: client.jobs.cancel(job_id)).is_cancelled

    def test_a_job_that_was_created_behind_it_is_found(
        self, airbyte: Emulator, call: Callable[..., Any], status: int
    ) -> None:
        script(airbyte)
        airbyte.fail_next(POST, status, body={**CDN_BODY, "status": status}, after=True)

        created = call(create(airbyte))

        assert list(airbyte.jobs) == [created.job_id]
        assert created.ownership is Ownership.FOUND

    def test_its_retry_after_is_honoured(
        self,
        airbyte: Emulator,
        call: Callable[..., Any],
        status: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
        body = json.dumps(CDN_BODY)
        airbyte.fail_next(CONNECTION, status, headers={"Retry-After": "1"}, body=body)

        call(lambda client: client.connections.get(airbyte.connection_id))

        first, second = [each.at for each in airbyte.requests if each.route == CONNECTION]
        assert second - first >= 1
        assert "A gateway or proxy, not Airbyte," in caplog.text


GATEWAYS = {
    "401 of an API gateway": (401, {"message": "No API key found in request"}),
    "404 of a mesh": (404, {"type": "about:blank", "status": 404}),
    "403 of a gateway": (403, {"title": "Forbidden", "message": "denied"}),
}


@pytest.mark.parametrize(("status", "body"), GATEWAYS.values(), ids=GATEWAYS)
def test_the_json_of_a_gateway_is_not_airbytes(
    airbyte: Emulator, call: Callable[..., Any], status: int, body: dict[str, object]
) -> None:
    airbyte.fail_next(CONNECTION, status, body=body)

    connection = call(lambda client: client.connections.get(airbyte.connection_id))

    assert connection.connection_id == airbyte.connection_id
