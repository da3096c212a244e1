"""Whose log gets a line next, although nothing changes."""

from __future__ import annotations

import math

from airflow_provider_airbyte_sme.api.waiting.timetable import Timetable
from airflow_provider_airbyte_sme.api.waiting.watches import Watch

# Thousands of waits that begin together have their lines together. So many logs are written to at
# once, which takes 1 to 2 ms, and others so many seconds later: 10,000 within 50 s.
LINES_AT_ONCE = 20
LINES_PAUSE = 0.1


class Lines:
    """The next lines of all waits, spread if there are many at once."""

    def __init__(self) -> None:
        self._times = Timetable()
        self._not_before = -math.inf

    def add(self, watch: Watch) -> None:
        """Note a wait, or that it had its line."""
        self._times.set(watch, watch.line_due)

    def remove(self, watch: Watch) -> None:
        """Forget a wait that has ended."""
        self._times.remove(watch)

    def next_at(self) -> float:
        """Return when the next line is due; infinite if there are no waits."""
        return max(self._times.next_at(), self._not_before)

    def take(self, now: float) -> list[Watch]:
        """Take the waits whose logs get a line now. Each has to be added again."""
        due: list[Watch] = []
        if now < self._not_before:
            return due
        while len(due) < LINES_AT_ONCE and (watch := self._times.pop(now)):
            due.append(watch)
        if len(due) == LINES_AT_ONCE:
            self._not_before = now + LINES_PAUSE
        return due
