"""The HTTP server: ``aiohttp.web`` in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from types import TracebackType
from typing import Self

from aiohttp import web  # noqa: TID253  imported only when a server is started

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator.backend import Backend, Delivery
from airflow_provider_airbyte_sme.emulator.clock import RealClock
from airflow_provider_airbyte_sme.emulator.core import MAX_BODY_BYTES, too_large
from airflow_provider_airbyte_sme.emulator.wire import encode, is_odd

log = logging.getLogger(__name__)

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_MAX_HEADER_BYTES = 32 * 1024  # docs/airbyte-api.md §1
_START_TIMEOUT = 10.0  # seconds
_STOP_TIMEOUT = 10.0  # seconds


class Server:
    """
    Serves an emulator over HTTP; use it in a ``with`` statement.

    Stopping closes all connections at once, including those of requests in progress.

    :param host: Address to listen on.
    :param port: Port to listen on; 0 picks a free port.
    """

    def __init__(self, emulator: Backend, host: str, port: int) -> None:
        self._emulator = emulator
        self._host = host
        self._port = port
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(
            target=self._run, name="airbyte-emulator-server", daemon=True
        )

    @property
    def url(self) -> str:
        """Base URL of the emulator, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def connection_uri(self) -> str:
        """Airflow connection URI, for ``AIRFLOW_CONN_AIRBYTE_SME_DEFAULT``."""
        return self._emulator.connection_uri_for(self.url)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(_START_TIMEOUT)
        self._emulator.served_by(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._emulator.served_by(None)
        loop, stop = self._ready.result()
        loop.call_soon_threadsafe(stop.set)
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        stop, changed = asyncio.Event(), asyncio.Event()
        handler = _RequestHandler(self._emulator)
        runner = web.ServerRunner(
            web.Server(
                handler.handle,
                access_log=None,
                max_field_size=_MAX_HEADER_BYTES,
                max_line_size=_MAX_HEADER_BYTES,
            ),
            shutdown_timeout=0.1,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except (OSError, OverflowError) as error:
            self._ready.set_exception(error)
            await runner.cleanup()
            return
        self._port = runner.addresses[0][1]

        def wake() -> None:
            with suppress(RuntimeError):  # the loop may have been closed
                loop.call_soon_threadsafe(changed.set)

        stop_watching = self._emulator.watch(wake)
        ticker = asyncio.create_task(self._tick(changed))
        self._ready.set_result((loop, stop))
        await stop.wait()
        stop_watching()
        ticker.cancel()
        await runner.cleanup()

    async def _tick(self, changed: asyncio.Event) -> None:
        """Make status changes when they are due, so that webhooks and ``on_sync`` are on time."""
        while True:
            changed.clear()
            due = self._emulator.next_due
            is_real = isinstance(self._emulator.clock, RealClock)
            wait = max(0.0, due - self._emulator.clock.time()) if due and is_real else None
            try:
                await asyncio.wait_for(changed.wait(), wait)
            except TimeoutError:
                self._emulator.settle()


class _RequestHandler:
    """Passes ``aiohttp`` requests to the emulator."""

    def __init__(self, emulator: Backend) -> None:
        self._emulator = emulator
        self._public_api_threads = asyncio.Semaphore(emulator.threads) if emulator.threads else None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        with self._emulator.in_flight.one():
            return await self._handle(request)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await _read_body(request)
        if body is None:
            error = too_large(request.content_length or MAX_BODY_BYTES + 1)
            response = _to_aiohttp(error.response(request.path))
            response.force_close()  # the rest of the body has not been read
            return response
        http_request = HttpRequest(
            request.method,
            f"http://{_host(request)}{_target(request)}",
            dict(request.headers),
            body or None,
        )
        async with self._thread_for(request):
            delivery = self._emulator.handle(http_request)
            if delay := self._emulator.latency + delivery.delay:
                await asyncio.sleep(delay)
            if delivery.later is not None:
                delivery = delivery.later()
        if delivery.response is None:
            if request.transport is not None:
                request.transport.abort()
            return _closed()
        if delivery.pause or delivery.cut is not None or is_odd(delivery.response):
            await _send_raw(request, delivery.response, delivery)
            return _closed()
        return _to_aiohttp(delivery.response)

    def _thread_for(self, request: web.BaseRequest) -> AbstractAsyncContextManager[object]:
        if self._public_api_threads is None or not _target(request).startswith("/api/public/"):
            return nullcontext()
        return self._public_api_threads


def _host(request: web.BaseRequest) -> str:
    """Return the ``Host`` header, or ``localhost`` if it cannot be part of a URL."""
    host = request.headers.get("Host", "")
    return host if _HOST.fullmatch(host) else "localhost"


def _target(request: web.BaseRequest) -> str:
    """Return the percent-encoded path and query, also if the request line has an absolute URL."""
    return f"/{request.rel_url.raw_path_qs.lstrip('/')}"


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """Read the body; return ``None`` if it is too large."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    parts, size = [], 0
    async for part in request.content.iter_chunked(64 * 1024):
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


async def _send_raw(request: web.BaseRequest, response: HttpResponse, delivery: Delivery) -> None:
    """Send *response* as *delivery* says, and close the connection."""
    raw = encode(response, has_body=request.method != "HEAD")
    if delivery.cut is not None:
        raw = raw[: len(raw) - len(response.body) + min(delivery.cut, len(response.body))]
    size = 1 if delivery.pause else len(raw)
    for start in range(0, len(raw), size):
        if start:
            await asyncio.sleep(delivery.pause)
        transport = request.transport
        if transport is None or transport.is_closing():
            return
        transport.write(raw[start : start + size])
    if request.transport is not None:
        request.transport.close()


def _closed() -> web.Response:
    """Return what aiohttp needs for a request whose connection is closed; nobody receives it."""
    return web.Response(status=499)


def _to_aiohttp(response: HttpResponse) -> web.Response:
    return web.Response(status=response.status, headers=dict(response.headers), body=response.body)
