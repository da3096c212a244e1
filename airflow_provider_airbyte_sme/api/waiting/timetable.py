"""What is due when, one instant for each wait."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from itertools import count

from airflow_provider_airbyte_sme.api.waiting.watches import Watch

# So many entries that no longer count are kept at least.
_MANY_OUTDATED = 100


class Timetable:
    """Instants of waits, the next one first. Those of the same moment keep their order."""

    def __init__(self) -> None:
        # Which entry of the heap counts: those of waits that have ended stay for a while.
        self._entries: dict[Watch, int] = {}
        self._heap: list[tuple[float, int, Watch]] = []
        self._order = count()

    def set(self, watch: Watch, at: float) -> None:
        """Note the instant of a wait, in place of its last one."""
        order = self._entries[watch] = next(self._order)
        heappush(self._heap, (at, order, watch))

    def remove(self, watch: Watch) -> None:
        """Forget a wait."""
        self._entries.pop(watch, None)
        if len(self._heap) > 2 * len(self._entries) + _MANY_OUTDATED:
            self._heap = [each for each in self._heap if self._counts(each)]
            heapify(self._heap)

    def next_at(self) -> float:
        """Return the next instant; infinite if there is none."""
        while self._heap and not self._counts(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def pop(self, now: float) -> Watch | None:
        """Take a wait whose instant has come; ``None`` if there is none."""
        if self.next_at() > now:
            return None
        watch = heappop(self._heap)[2]
        del self._entries[watch]
        return watch

    def _counts(self, entry: tuple[float, int, Watch]) -> bool:
        return self._entries.get(entry[2]) == entry[1]
