"""Time that jumps over every pause, so that a wait of hours is over in a moment."""

from __future__ import annotations

import asyncio
import heapq
import importlib
import pkgutil
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from itertools import count
from typing import Any, TypeVar, TypeVarTuple

import pytest

import airflow_provider_airbyte_sme
from airflow_provider_airbyte_sme.api import aiohttp_transport
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.emulator import clock as emulator_clock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PACKAGE = airflow_provider_airbyte_sme.__name__


class JumpingClock:
    """
    The clock of the provider and of Airbyte.

    It goes as usual while a request is out, so real sockets have real timeouts. Whoever pauses
    moves it forward instead. It has the functions of :mod:`time` that the provider calls.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._lock = threading.RLock()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def time(self) -> float:
        return time.time() + self._ahead

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Move the clock forward, and let happen what is due by then, each at its moment."""
        until = self.monotonic() + max(0.0, seconds)
        while action := self._next_due(until):
            action()
        with self._lock:
            self._move_to(until)

    def _next_due(self, until: float) -> Callable[[], object] | None:
        with self._lock:
            if not self._due or self._due[0][0] > until:
                return None
            at, _, action = heapq.heappop(self._due)
            self._move_to(at)
            return action

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Let something happen in *seconds*, during the pause that is over by then."""
        with self._lock:
            heapq.heappush(self._due, (self.monotonic() + seconds, next(self._numbers), action))

    def _move_to(self, moment: float) -> None:
        self._ahead += max(0.0, moment - self.monotonic())

    def ahead(self, seconds: float) -> JumpingClock:
        """Return a clock that shows a later time of day, and otherwise is this one."""
        return _ShiftedClock(self, seconds)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give this clock to all modules of the provider, and to Airbyte."""
        for module in _modules():
            if getattr(module, "time", None) is time:
                monkeypatch.setattr(module, "time", self)
        defaults = AirbyteSession.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "clock", self.monotonic)
        monkeypatch.setitem(defaults, "wall_clock", self.time)


class _ShiftedClock(JumpingClock):
    def __init__(self, clock: JumpingClock, seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds

    def time(self) -> float:
        return self._clock.time() + self._seconds


def _modules() -> list[Any]:
    """
    Import and return the modules of the provider, and the clock of the emulator.

    No task runs the page, which needs what only Airflow 3 has.
    """
    found = pkgutil.walk_packages(airflow_provider_airbyte_sme.__path__, f"{PACKAGE}.")
    names = [
        module.name
        for module in found
        if not module.name.startswith((f"{PACKAGE}.emulator", f"{PACKAGE}.plugins.page"))
        and not module.name.endswith("__main__")
    ]
    return [*map(importlib.import_module, names), emulator_clock]


class Triggerer:
    """
    An event loop that runs triggers, and jumps while nothing but time can go on.

    It never jumps while a request is out or a thread works for it.
    """

    def __init__(self, clock: JumpingClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self._clock = clock
        self.is_waited_for = 0
        triggerer = self

        class CountedTransport(aiohttp_transport.AiohttpTransport):
            async def send(self, request: HttpRequest) -> HttpResponse:
                triggerer.is_waited_for += 1
                try:
                    return await super().send(request)
                finally:
                    triggerer.is_waited_for -= 1

        monkeypatch.setattr(aiohttp_transport, "AiohttpTransport", CountedTransport)

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        """Run *scenario* to its end."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self, self._clock)) as runner:
            return runner.run(scenario)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, triggerer: Triggerer, clock: JumpingClock) -> None:
        self._triggerer = triggerer
        self._jumping_clock = clock
        super().__init__(_Selector(triggerer, clock))

    def time(self) -> float:
        return self._jumping_clock.monotonic()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        work = super().run_in_executor(executor, func, *args)
        self._triggerer.is_waited_for += 1
        work.add_done_callback(self._note_done)
        return work

    def _note_done(self, _: object) -> None:
        self._triggerer.is_waited_for -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, triggerer: Triggerer, clock: JumpingClock) -> None:
        super().__init__()
        self._triggerer = triggerer
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self._triggerer.is_waited_for:
            return super().select(timeout)
        self._clock.jump(timeout)
        return []
