"""A transport to an emulator in memory, with failures and events that a test schedules."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteSession,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
    HttpResponse,
    Transport,
)
from airflow_provider_airbyte_sme.emulator import Emulator

T = TypeVar("T")

AIRBYTE = "https://airbyte.example.com"


class Wire:
    """
    A transport to an emulator in memory. A sleep advances the emulator's clock.

    :ivar requests: Every request, as it was sent.
    :ivar slept: Every sleep, in seconds.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.requests: list[HttpRequest] = []
        self.slept: list[float] = []
        self.is_closed = False
        self._emulator = emulator
        self._inner = emulator.transport()
        self._replacements: list[tuple[str, HttpResponse]] = []
        self._before_requests: list[tuple[str, Callable[[], object]]] = []
        self._after_sleeps: list[Callable[[], object]] = []
        self._scheduled: list[tuple[float, Callable[[], object]]] = []

    def before_next(self, method: str, action: Callable[[], object]) -> None:
        """
        Run *action* just before the next *method* request arrives.

        The request fails with the exception that *action* raises, if any.
        """
        self._before_requests.append((method, action))

    def replace_next_response(self, method: str, response: HttpResponse) -> None:
        """Let the server execute the next *method* request, but return *response* for it."""
        self._replacements.append((method, response))

    def after_next_sleep(self, action: Callable[[], object]) -> None:
        """Run *action* at the end of the next sleep. Several actions queue, one for each sleep."""
        self._after_sleeps.append(action)

    def after_seconds(self, seconds: float, action: Callable[[], object]) -> None:
        """Run *action* in the sleep that reaches *seconds* from now."""
        self._scheduled.append((self._emulator.clock.time() + seconds, action))

    @property
    def calls(self) -> list[str]:
        """The methods of all requests except token exchanges."""
        return [request.method for request in self.requests if not _is_token_exchange(request)]

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        method = "" if _is_token_exchange(request) else request.method
        if action := _take(self._before_requests, method):
            action()
        response = await self._inner.send(request)
        replacement = _take(self._replacements, method)
        if replacement is None:
            return response
        headers = {"date": response.headers["date"], **replacement.headers}
        return replace(replacement, headers=headers)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self._emulator.clock.time() + seconds
        while self._scheduled and self._scheduled[0][0] <= until:
            at, action = self._scheduled.pop(0)
            await self._inner.sleep(max(0.0, at - self._emulator.clock.time()))
            action()
        await self._inner.sleep(max(0.0, until - self._emulator.clock.time()))
        if seconds and self._after_sleeps:
            self._after_sleeps.pop(0)()

    def lock(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def close(self) -> None:
        self.is_closed = True


def fail_unsent() -> None:
    """Fail a request before it is sent."""
    raise AirbyteTransportError("Connection refused", request_sent=False)


def fail_sent() -> None:
    """Fail a request that, for all the client knows, was sent."""
    raise AirbyteTransportError("Connection reset by peer", request_sent=True)


def _is_token_exchange(request: HttpRequest) -> bool:
    return request.url.endswith("/applications/token")


def _take(queue: list[tuple[str, T]], method: str) -> T | None:
    """Remove and return the first value of *queue* for *method*."""
    for index, (expected_method, value) in enumerate(queue):
        if expected_method == method:
            del queue[index]
            return value
    return None


def settings_for(emulator: Emulator, url: str = AIRBYTE, **fields: Any) -> AirbyteSettings:
    credentials = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
    return AirbyteSettings(AirbyteUrls.parse(url), **{**credentials, **fields})


def client_for(
    emulator: Emulator,
    transport: Transport,
    *,
    skew: float = 0.0,
    settings: AirbyteSettings | None = None,
    **options: Any,
) -> AirbyteClient:
    """
    Return a client that uses the emulator's clock and always waits for the longest retry delay.

    :param skew: Seconds by which the client's wall clock is ahead of the server's.
    """
    session = AirbyteSession(
        settings or settings_for(emulator),
        transport,
        **{
            "clock": emulator.clock.time,
            "wall_clock": lambda: emulator.clock.time() + skew,
            "jitter": lambda: 1.0,
            **options,
        },
    )
    return AirbyteClient(session)


def requests_to(emulator: Emulator, route: str) -> list[int | None]:
    """Return the status of each response of *route*; ``None`` for a request without a response."""
    return [request.status for request in emulator.requests if request.route == route]
