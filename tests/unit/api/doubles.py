"""What stands between a client and an emulator in memory: a server's clock, and bad luck."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
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
    Leads to an emulator in memory as a network would, whose sleeps move the emulator's clock.

    :param requests: Every request, as it was sent.
    :param slept: Every sleep, in seconds.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.requests: list[HttpRequest] = []
        self.slept: list[float] = []
        self.is_closed = False
        self._emulator = emulator
        self._inner = emulator.transport()
        self._spoilt: list[tuple[str, HttpResponse]] = []
        self._before: list[tuple[str, Callable[[], object]]] = []
        self._meanwhile: list[Callable[[], object]] = []
        self._agenda: list[tuple[float, Callable[[], object]]] = []

    def before_next(self, method: str, happens: Callable[[], object]) -> None:
        """Let something happen just before the next call with *method* arrives, or hinder it."""
        self._before.append((method, happens))

    def spoil_next(self, method: str, response: HttpResponse) -> None:
        """Let the next call with *method* be carried out, and answer it with *response*."""
        self._spoilt.append((method, response))

    def during_next_sleep(self, happens: Callable[[], object]) -> None:
        """Let something happen at the end of the next sleep; calls queue, one for each sleep."""
        self._meanwhile.append(happens)

    def in_seconds(self, seconds: float, happens: Callable[[], object]) -> None:
        """Let something happen as soon as *seconds* from now have been slept."""
        self._agenda.append((self._emulator.clock.time() + seconds, happens))

    @property
    def calls(self) -> list[str]:
        """The methods of all requests but the exchanges of tokens."""
        return [request.method for request in self.requests if not _is_exchange(request)]

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        method = "" if _is_exchange(request) else request.method
        if happens := _take(self._before, method):
            happens()
        answered = await self._inner.send(request)
        spoilt = _take(self._spoilt, method)
        if spoilt is None:
            return answered
        return replace(spoilt, headers={"date": answered.headers["date"], **spoilt.headers})

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self._emulator.clock.time() + seconds
        while self._agenda and self._agenda[0][0] <= until:
            at, happens = self._agenda.pop(0)
            await self._inner.sleep(max(0.0, at - self._emulator.clock.time()))
            happens()
        await self._inner.sleep(max(0.0, until - self._emulator.clock.time()))
        if seconds and self._meanwhile:
            self._meanwhile.pop(0)()

    def lock(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def close(self) -> None:
        self.is_closed = True


def refused() -> None:
    """Hinder a call before it is sent."""
    raise AirbyteTransportError("Connection refused", request_sent=False)


def lost() -> None:
    """Hinder a call after it was sent, as far as the client can tell."""
    raise AirbyteTransportError("Connection reset by peer", request_sent=True)


def _is_exchange(request: HttpRequest) -> bool:
    return request.url.endswith("/applications/token")


def _take(waiting: list[tuple[str, T]], method: str) -> T | None:
    for number, (wanted, value) in enumerate(waiting):
        if wanted == method:
            del waiting[number]
            return value
    return None


def settings_for(emulator: Emulator, url: str = AIRBYTE, **fields: Any) -> AirbyteSettings:
    known = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
    return AirbyteSettings(AirbyteUrls.parse(url), **{**known, **fields})


def client_for(
    emulator: Emulator,
    transport: Transport,
    *,
    skew: float = 0.0,
    settings: AirbyteSettings | None = None,
    **options: Any,
) -> AirbyteClient:
    """
    Make a client that lives by the emulator's clock and waits as long as jitter allows.

    :param skew: Seconds that the client's own clock is ahead of the server's.
    """
    return AirbyteClient(
        settings or settings_for(emulator),
        transport,
        **{
            "monotonic": emulator.clock.time,
            "wall_clock": lambda: emulator.clock.time() + skew,
            "chance": lambda: 1.0,
            **options,
        },
    )


def requests_to(emulator: Emulator, route: str) -> list[int | None]:
    """Return the status of every answer of *route*, ``None`` for those that got none."""
    return [request.status for request in emulator.requests if request.route == route]
