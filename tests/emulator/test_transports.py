"""The in-memory transport, the HTTP server and the clock."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, run_blocking
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import BASE, ok, wait_until

HEALTH = f"{BASE}/api/v1/health"


class TestInMemoryTransport:
    def test_sleep_advances_a_manual_clock_and_its_jobs(self, emulator, caller):
        transport = emulator.transport()
        ok(caller.sync())
        before = emulator.now

        run_blocking(transport.sleep(60))

        assert (emulator.now - before).total_seconds() == 60
        assert emulator.jobs[1].status == "succeeded"
        assert transport.slept == [60]

    def test_a_delayed_response_arrives_or_times_out(self, emulator):
        transport = emulator.transport()
        emulator.hang_next("GET /api/v1/health", 20, times=2)
        before = emulator.now

        response = run_blocking(transport.send(HttpRequest("GET", HEALTH, timeout=30)))
        with pytest.raises(AirbyteRequestTimeoutError) as error:
            run_blocking(transport.send(HttpRequest("GET", HEALTH, timeout=5)))

        assert ok(response) == {"available": True}
        assert error.value.request_sent
        assert (emulator.now - before).total_seconds() == 25

    @pytest.mark.parametrize("after", [True, False])
    def test_a_dropped_connection_hides_whether_the_request_was_handled(
        self, emulator, caller, after
    ):
        caller.log_in()
        emulator.drop_next("POST /jobs", after=after)

        with pytest.raises(AirbyteTransportError) as error:
            caller.sync()

        assert error.value.request_sent
        assert len(emulator.jobs) == int(after)
        assert emulator.requests[-1].status is None

    def test_the_date_header_is_the_emulators_time(self, caller, emulator):
        emulator.advance(3600)
        caller.log_in()

        response = caller.get("/workspaces")

        assert parsedate_to_datetime(response.headers["date"]) == emulator.now.replace(
            microsecond=0
        )

    def test_the_transport_raises_on_a_dropped_connection(self, emulator):
        emulator.drop_next("GET /api/v1/health")

        with pytest.raises(AirbyteTransportError):
            run_blocking(emulator.transport().send(HttpRequest("GET", HEALTH)))

    def test_the_transport_never_suspends(self, emulator):
        async def use() -> None:
            transport = emulator.transport()
            async with transport.lock():
                await transport.sleep(0)
            await transport.close()

        run_blocking(use())
        asyncio.run(use())

    def test_sleep_returns_at_once_with_instant_time(self):
        emulator = Emulator(time="instant")

        run_blocking(emulator.transport().sleep(3_600))
        run_blocking(emulator.transport().sleep(0))

    def test_sleep_waits_with_real_time(self):
        emulator = Emulator(time="real")
        start = time.monotonic()

        run_blocking(emulator.transport().sleep(0.02))

        assert time.monotonic() - start >= 0.02


class TestClock:
    def test_only_a_manual_clock_can_be_advanced_and_only_forward(self, emulator):
        with pytest.raises(ValueError, match="time goes forward only"):
            emulator.advance(-1)
        for mode in ("real", "instant"):
            with pytest.raises(RuntimeError, match="can be advanced"):
                Emulator(time=mode).advance(1)

    def test_only_a_manual_clock_takes_a_start_time(self, emulator):
        with pytest.raises(ValueError, match="only a manual clock can be set"):
            Emulator(start=emulator.now)
        with pytest.raises(ValueError, match="time must be"):
            Emulator(time="slow")  # type: ignore[arg-type] # an invalid value


class TestHttpTransport:
    def test_the_response_is_the_same_as_in_memory(self, served, session):
        over_http = session.get(f"{served.url}/api/public/v1/sources")
        in_memory = served.respond(
            HttpRequest("GET", f"{served.url}/api/public/v1/sources", dict(session.headers))
        )

        assert over_http.content == in_memory.body
        assert over_http.headers["content-type"] == "application/json"

    def test_the_connection_uri_points_to_the_server(self, emulator):
        with emulator.serve() as server:
            assert emulator.url == server.url
            assert emulator.connection_uri == server.connection_uri
            assert server.connection_uri.startswith(f"airbyte-sme://{emulator.client_id}:")
        with_extra = emulator.connection_uri_for("http://x", request_timeout="5", client_id="a b")
        assert with_extra.startswith("airbyte-sme://a%20b:")
        assert with_extra.endswith("@http%3A%2F%2Fx/?request_timeout=5")

    def test_the_url_exists_only_while_the_emulator_is_served(self, emulator):
        with pytest.raises(RuntimeError, match="only inside"):
            emulator.url  # noqa: B018  reading it is the test

    def test_a_port_in_use_raises_os_error(self, served):
        port = urlsplit(served.url).port

        with pytest.raises(OSError, match="address already in use"), Emulator().serve(port=port):
            pass

    def test_an_ipv6_url_has_brackets(self):
        try:
            with Emulator().serve("::1") as server:
                assert requests.get(f"{server.url}/api/v1/health", timeout=5).status_code == 200
        except OSError:
            pytest.skip("no IPv6 on this machine")

    def test_latency_applies_to_each_response_and_threads_limit_concurrency(self):
        emulator = Emulator(latency=0.1, threads=1)
        with emulator.serve() as server, closing(requests.Session()) as session:
            start = time.monotonic()
            threads = [
                threading.Thread(target=session.get, args=(f"{server.url}/api/public/v1/health",))
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            elapsed = time.monotonic() - start

        assert elapsed >= 0.3

    def test_requests_in_flight_are_counted_also_while_they_wait_for_a_thread(self):
        emulator = Emulator(threads=1)
        with emulator.serve() as server:
            url = f"{server.url}/api/public/v1/health"
            requests.get(url, timeout=5)
            assert (emulator.in_flight.now, emulator.in_flight.peak) == (0, 1)
            emulator.hang_next("*", 60)
            address = ("127.0.0.1", urlsplit(server.url).port or 0)

            with ExitStack() as stack:
                for _ in range(3):
                    client = stack.enter_context(socket.create_connection(address))
                    client.sendall(b"GET /api/public/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
                wait_until(lambda: emulator.in_flight.now == 3)
                emulator.clear_requests()
                assert emulator.requests == []
                assert requests.get(f"{server.url}/api/v1/health", timeout=5).status_code == 200

            assert (emulator.in_flight.now, emulator.in_flight.peak) == (3, 4)
        assert emulator.in_flight.now == 0
        emulator.clear_requests()
        assert emulator.in_flight.peak == 0

    @pytest.mark.parametrize("fault", ["none", "drip", "drop", "no date"])
    def test_requests_one_after_another_are_never_in_flight_together(self, served, fault):
        url = f"{served.url}/api/v1/health"
        if fault == "drip":
            served.drip_next("*", 0.0001, times=None)
        elif fault == "drop":
            served.drop_next("*", times=None)
        elif fault == "no date":
            served.date_offset = None

        for _ in range(10):
            with suppress(requests.ConnectionError):
                requests.get(url, timeout=5)

        assert len(served.requests) >= 10
        assert served.in_flight.peak == 1

    def test_a_delayed_response_blocks_only_its_own_thread(self, served, session):
        served.hang_next("GET /jobs", 30)

        with pytest.raises(requests.ReadTimeout):
            session.get(f"{served.url}/api/public/v1/jobs", timeout=0.2)

        assert session.get(f"{served.url}/api/public/v1/jobs", timeout=5).status_code == 200

    @pytest.mark.parametrize("after", [True, False])
    def test_a_dropped_connection_has_no_response(self, served, session, after):
        served.drop_next("POST /jobs", after=after)
        body = {"connectionId": served.connection_id, "jobType": "sync"}

        with pytest.raises(requests.ConnectionError):
            session.post(f"{served.url}/api/public/v1/jobs", json=body, timeout=5)

        assert len(served.jobs) == int(after)

    def test_a_head_response_has_no_body(self, served):
        response = requests.head(f"{served.url}/", timeout=5)

        assert (response.status_code, response.content) == (200, b"")

    def test_stopping_does_not_wait_for_delayed_responses(self):
        emulator = Emulator()
        emulator.hang_next("GET /api/v1/health", 60)
        with emulator.serve() as server:
            port = urlsplit(server.url).port
            with closing(socket.create_connection(("127.0.0.1", port or 0))) as client:
                client.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
                while not emulator.requests:
                    time.sleep(0.005)
            start = time.monotonic()

        assert time.monotonic() - start < 5
