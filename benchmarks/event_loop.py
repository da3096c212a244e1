"""How long an event loop is blocked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Self

TICK = 0.001  # seconds

BLOCKED_ABOVE = 0.01
"""Seconds from which on a gap counts as blocked time."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """
    The gaps between two ticks of a task that sleeps for 1 ms at a time.

    :param largest: The largest, in seconds.
    :param blocked: The sum of all above :data:`BLOCKED_ABOVE`, in seconds.
    """

    largest: float
    blocked: float


class Ticker:
    """Measures the gaps while its ``async with`` block runs. It keeps no list of them."""

    async def __aenter__(self) -> Self:
        self._largest = self._blocked = 0.0
        self._last = time.perf_counter()
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    def lap(self) -> Gaps:
        """Return the gaps since the last lap, the current one included."""
        self._record()
        gaps = Gaps(self._largest, self._blocked)
        self._largest = self._blocked = 0.0
        return gaps

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._record()

    def _record(self) -> None:
        now = time.perf_counter()
        gap = now - self._last
        self._last = now
        self._largest = max(self._largest, gap)
        if gap > BLOCKED_ABOVE:
            self._blocked += gap
