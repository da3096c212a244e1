"""The emulator over real sockets: ``aiohttp.web`` in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aiohttp import web  # noqa: TID253  this module is only imported by who serves

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator.clock import RealClock
from airflow_provider_airbyte_sme.emulator.core import MAX_BODY_BYTES, too_large

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.emulator import Emulator

logger = logging.getLogger(__name__)

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_MAX_HEADER_BYTES = 32 * 1024  # airbyte-platform application.yml, max-header-size
_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 10.0


class Server:
    """
    Serves an emulator from ``with`` to its end.

    Stopping closes the connections at once, whatever still waits for an answer.
    """

    def __init__(self, emulator: Emulator, host: str, port: int) -> None:
        self._emulator = emulator
        self._host = host
        self._port = port
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(
            target=self._run, name="airbyte-emulator-server", daemon=True
        )

    @property
    def url(self) -> str:
        """Where people would open this Airbyte, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def connection_uri(self) -> str:
        """Value for ``AIRFLOW_CONN_AIRBYTE_SME_DEFAULT``."""
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
        face = _HttpFace(self._emulator)
        runner = web.ServerRunner(
            web.Server(
                face.handle,
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
            with suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(changed.set)

        unwatch = self._emulator.watch(wake)
        ticker = asyncio.create_task(self._tick(changed))
        self._ready.set_result((loop, stop))
        await stop.wait()
        unwatch()
        ticker.cancel()
        await runner.cleanup()

    async def _tick(self, changed: asyncio.Event) -> None:
        """Let jobs go on when nobody asks for them: their webhooks and data cannot wait."""
        while True:
            changed.clear()
            due = self._emulator.next_due
            is_real = isinstance(self._emulator.clock, RealClock)
            wait = max(0.0, due - self._emulator.clock.time()) if due and is_real else None
            try:
                await asyncio.wait_for(changed.wait(), wait)
            except TimeoutError:
                self._emulator.settle()


class _HttpFace:
    """Between sockets and the emulator's answers."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._threads = asyncio.Semaphore(emulator.threads) if emulator.threads else None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await _read_body(request)
        if body is None:
            refusal = too_large(request.content_length or MAX_BODY_BYTES + 1)
            response = _to_aiohttp(refusal.response(request.path))
            response.force_close()  # the rest of the body is still on its way
            return response
        asked = HttpRequest(
            request.method,
            f"http://{_host(request)}{_target(request)}",
            dict(request.headers),
            body or None,
        )
        async with self._thread_for(request):
            given = self._emulator.answer(asked)
            if delay := self._emulator.latency + given.delay:
                await asyncio.sleep(delay)
        if given.response is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        return _to_aiohttp(given.response)

    def _thread_for(self, request: web.BaseRequest) -> AbstractAsyncContextManager[object]:
        if self._threads is None or not _target(request).startswith("/api/public/"):
            return nullcontext()
        return self._threads


def _host(request: web.BaseRequest) -> str:
    """Return the host that was asked for, if it can be a part of a URL."""
    asked_for = request.headers.get("Host", "")
    return asked_for if _HOST.fullmatch(asked_for) else "localhost"


def _target(request: web.BaseRequest) -> str:
    """Return path and query, still percent-encoded; a proxy's form has a whole URL there."""
    return f"/{request.rel_url.raw_path_qs.lstrip('/')}"


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """Read the body, or ``None`` when it is too large."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    parts, size = [], 0
    async for part in request.content.iter_chunked(64 * 1024):
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _to_aiohttp(response: HttpResponse) -> web.Response:
    return web.Response(status=response.status, headers=dict(response.headers), body=response.body)
