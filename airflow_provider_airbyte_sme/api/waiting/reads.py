"""What is in flight, and which target to read by itself next."""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.waiting.changes import ReadChanges
from airflow_provider_airbyte_sme.api.waiting.messages import Request
from airflow_provider_airbyte_sme.api.waiting.targets import Target

# Airbyte's public API runs on five threads: docs/airbyte-api.md §4.6.
MAX_IN_FLIGHT = 2


class Sent(NamedTuple):
    """
    A request in flight.

    :param began: When it was sent.
    :param due: When it should have been.
    """

    began: float
    due: float


class InFlight:
    """The requests that were sent and have no result yet."""

    def __init__(self) -> None:
        self._sent: dict[Request, Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, request: Request) -> bool:
        return request in self._sent

    @property
    def is_full(self) -> bool:
        """Whether nothing else may be sent."""
        return len(self._sent) >= MAX_IN_FLIGHT

    def has_list(self, *, is_sweep: bool) -> bool:
        """Whether a page of a round, or of a sweep, is in flight."""
        return any(
            isinstance(request, ReadChanges) and request.is_sweep is is_sweep
            for request in self._sent
        )

    def send(self, request: Request, now: float, due: float | None = None) -> Request:
        """Note that *request* is sent now."""
        self._sent[request] = Sent(now, now if due is None else due)
        return request

    def end(self, request: Request) -> Sent:
        """Note that *request* has a result."""
        return self._sent.pop(request)


class SingleReads:
    """Reads of one target each: last reads at the deadline, and others when they are due."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._urgent: deque[Target] = deque()
        # A heap of (when, order, what). An entry may be outdated: Target.due decides.
        self._due: list[tuple[float, int, Target]] = []
        self._order = count()

    def read_at(self, target: Target, due: float) -> None:
        """Read it at *due*, if it is not due before."""
        target.due = min(target.due, due)
        if not target.is_reading:
            heappush(self._due, (target.due, next(self._order), target))

    def read_last(self, target: Target) -> None:
        """Read it before all others: the time of a wait for it is over."""
        self._urgent.append(target)

    def begin(self, target: Target, now: float, due: float | None = None) -> Request:
        """
        Return the request that reads it now.

        :param due: When it should have been sent; ``None`` for now.
        """
        target.is_reading, target.due, target.looked = True, math.inf, now
        return self._in_flight.send(target.request, now, due)

    def end(self, target: Target) -> None:
        """Note that the read of it has a result."""
        target.is_reading = False
        if math.isfinite(target.due):
            self.read_at(target, target.due)

    def next_urgent(self, now: float) -> Request | None:
        """Begin the next last read."""
        while self._urgent:
            target = self._urgent.popleft()
            if target.watches and not target.is_reading:
                return self.begin(target, now)
        return None

    def next_due(self, now: float) -> Request | None:
        """Begin the read that has been due for longest."""
        if self.next_due_at() > now:
            return None
        due, _, target = heappop(self._due)
        # Its first read has no time of its own.
        return self.begin(target, now, due if target.was_read else now)

    def next_due_at(self) -> float:
        """Return when the next read is due; infinite if there is none. Last reads do not count."""
        while self._due and _is_outdated(*self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else math.inf


def _is_outdated(due: float, _: int, target: Target) -> bool:
    return target.due != due or target.is_reading or not target.watches
