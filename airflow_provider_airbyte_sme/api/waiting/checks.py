"""When to read by itself what lists show: a list may miss a change, and each read would find it."""

from __future__ import annotations

from airflow_provider_airbyte_sme.api.waiting.targets import Targets

# Seconds. What lists show is also read by itself, one thing per round, but each at least and at
# most this often.
MIN_STALENESS = 600.0
MAX_STALENESS = 7200.0


class Checks:
    """Reads in turn, evenly spread, for as long as lists are used."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._next = self._began = 0.0

    def restart(self, now: float) -> None:
        """Begin: lists are used from now on."""
        self._next, self._began = now + self._pause, now
        for target in self._targets:
            target.checked = now

    def due_at(self) -> float:
        """Return when the next one is due."""
        # If waits have ended, the rest is late for the shorter time, and catches up: one per round.
        soonest = self._began + min(self._targets.rhythm, self._pause / 4)
        latest = self._targets.next_in_turn().checked + self._staleness
        return min(self._next, max(latest, soonest))

    def begin(self, now: float) -> None:
        """Note that one begins, and plan the next one."""
        pause, self._began = self._pause, now
        self._next = max(self._next, now - pause) + pause

    @property
    def _pause(self) -> float:
        return self._staleness / len(self._targets)

    @property
    def _staleness(self) -> float:
        """Seconds within which everything that lists show is read by itself too."""
        targets = self._targets
        return min(max(len(targets) * targets.rhythm, MIN_STALENESS), MAX_STALENESS)
