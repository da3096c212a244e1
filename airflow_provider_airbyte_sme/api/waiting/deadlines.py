"""When the time of each wait is over."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.waiting.watches import Watch

# So many deadlines of waits that have ended are kept at least.
_MANY_OUTDATED = 100


class Deadline(NamedTuple):
    """
    The end of a wait's time.

    :param order: Decides between those of the same instant.
    :param is_last: Whether the wait ends now, even if its last read has not.
    """

    at: float
    order: int
    watch: Watch
    is_last: bool


class Deadlines:
    """The deadlines of all waits that have one, the next one first."""

    def __init__(self) -> None:
        self._waiting: set[Watch] = set()
        # A heap. Those of waits that have ended stay for a while.
        self._heap: list[Deadline] = []
        self._order = count()

    def add(self, watch: Watch) -> None:
        """Note the deadline of a wait, if it has one."""
        if math.isfinite(watch.wait.deadline):
            self._waiting.add(watch)
            self._push(watch.wait.deadline, watch, is_last=False)

    def extend(self, watch: Watch, last: float) -> None:
        """Let a wait whose deadline has passed go on until *last*."""
        self._push(last, watch, is_last=True)

    def remove(self, watch: Watch) -> None:
        """Forget a wait that has ended."""
        self._waiting.discard(watch)
        if len(self._heap) > 2 * len(self._waiting) + _MANY_OUTDATED:
            self._heap = [each for each in self._heap if each.watch in self._waiting]
            heapify(self._heap)

    def next_at(self) -> float:
        """Return the next deadline, perhaps of a wait that has ended; infinite if none is left."""
        return self._heap[0].at if self._heap else math.inf

    def pop(self, now: float) -> Deadline | None:
        """Take a deadline that has passed, of a wait that goes on."""
        while self._heap and self._heap[0].at <= now:
            deadline = heappop(self._heap)
            if deadline.watch in self._waiting:
                return deadline
        return None

    def _push(self, at: float, watch: Watch, *, is_last: bool) -> None:
        heappush(self._heap, Deadline(at, next(self._order), watch, is_last))
