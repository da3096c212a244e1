"""Which requests share connections, with both transports."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteRequestTimeoutError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
    HttpResponse,
    Transport,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.aiohttp_transport import POOL_SIZE
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from tests.unit.api.runners import over_aiohttp
from tests.unit.api.servers import RawResponse, RawServer, Received

HELD = POOL_SIZE + 10


class HoldingServer(RawServer):
    """Holds each DELETE open until it is told to go on, and responds to everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.held = threading.Semaphore(0)

    def respond(self, connection: socket.socket, request: Received) -> bool:
        if request.method == "DELETE":
            self.held.release()
            self.go_on.wait(30)
        return super().respond(connection, request)

    def __exit__(self, *args: object) -> None:
        self.go_on.set()
        super().__exit__(*args)  # type: ignore[arg-type]  # passed on as they are

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.held.acquire(timeout=30)


def delete(server: RawServer, *, held_open: bool) -> HttpRequest:
    return HttpRequest("DELETE", f"{server.url}/jobs/1", held_open=held_open)


def poll_over_requests(server: HoldingServer) -> HttpResponse:
    transport = RequestsTransport(AirbyteSettings(AirbyteUrls.parse(server.url)))
    with ThreadPoolExecutor(HELD) as threads:
        calls = [
            threads.submit(lambda: run_blocking(transport.send(delete(server, held_open=True))))
            for _ in range(HELD)
        ]
        server.wait_for(HELD)
        response = run_blocking(transport.send(HttpRequest("GET", server.url)))
        server.go_on.set()
        assert {call.result().status for call in calls} == {200}
    run_blocking(transport.close())
    return response


def poll_over_aiohttp(server: HoldingServer) -> HttpResponse:
    async def scenario(transport: Transport) -> HttpResponse:
        calls = [
            asyncio.create_task(transport.send(delete(server, held_open=True))) for _ in range(HELD)
        ]
        await asyncio.to_thread(server.wait_for, HELD)
        response = await transport.send(HttpRequest("GET", server.url))
        server.go_on.set()
        assert {(await call).status for call in calls} == {200}
        return response

    return over_aiohttp(AirbyteSettings(AirbyteUrls.parse(server.url)), scenario)


@pytest.mark.parametrize("poll", [poll_over_requests, poll_over_aiohttp])
def test_requests_that_are_held_open_do_not_delay_others(
    poll: Callable[[HoldingServer], HttpResponse],
) -> None:
    with HoldingServer() as server:
        assert poll(server).status == 200


def test_a_request_that_gets_no_free_connection_is_not_sent() -> None:
    async def scenario(transport: Transport) -> AirbyteTransportError:
        calls = [
            asyncio.create_task(transport.send(delete(server, held_open=False)))
            for _ in range(POOL_SIZE)
        ]
        await asyncio.to_thread(server.wait_for, POOL_SIZE)
        with pytest.raises(AirbyteRequestTimeoutError) as error:
            await transport.send(HttpRequest("GET", server.url, timeout=0.1))
        server.go_on.set()
        await asyncio.gather(*calls)
        return error.value

    with HoldingServer() as server:
        error = over_aiohttp(AirbyteSettings(AirbyteUrls.parse(server.url)), scenario)

    assert not error.request_sent
    assert "GET" not in {request.method for request in server.requests}


@pytest.mark.parametrize("held_open", [False, True])
def test_closing_the_transport_closes_all_connections(over_sockets, held_open: bool) -> None:
    async def scenario(transport: Transport) -> None:
        await transport.send(HttpRequest("GET", server.url, held_open=held_open))

    with ClosedByClientServer() as server:
        over_sockets(AirbyteSettings(AirbyteUrls.parse(server.url)), scenario)
        assert server.closed.wait(10)


class ClosedByClientServer(RawServer):
    """Says when a client has closed its connection."""

    def __init__(self) -> None:
        super().__init__(RawResponse(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        self.closed = threading.Event()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            super()._serve(connection)
        self.closed.set()
