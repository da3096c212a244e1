"""When the time of each wait is over."""

from __future__ import annotations

import math
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.waiting.timetable import Timetable
from airflow_provider_airbyte_sme.api.waiting.watches import Watch


class Deadline(NamedTuple):
    """
    The end of a wait's time.

    :param is_last: Whether the wait ends now, even if its last read has not.
    """

    watch: Watch
    is_last: bool


class Deadlines:
    """The deadlines of all waits that have one, the next one first."""

    def __init__(self) -> None:
        self._times = Timetable()
        self._extended: set[Watch] = set()

    def add(self, watch: Watch) -> None:
        """Note the deadline of a wait, if it has one."""
        if math.isfinite(watch.wait.deadline):
            self._times.set(watch, watch.wait.deadline)

    def extend(self, watch: Watch, last: float) -> None:
        """Let a wait whose deadline has passed go on until *last*."""
        self._extended.add(watch)
        self._times.set(watch, last)

    def remove(self, watch: Watch) -> None:
        """Forget a wait that has ended."""
        self._extended.discard(watch)
        self._times.remove(watch)

    def next_at(self) -> float:
        """Return the next deadline; infinite if none is left."""
        return self._times.next_at()

    def pop(self, now: float) -> Deadline | None:
        """Take a deadline that has passed, of a wait that goes on."""
        watch = self._times.pop(now)
        return None if watch is None else Deadline(watch, watch in self._extended)
