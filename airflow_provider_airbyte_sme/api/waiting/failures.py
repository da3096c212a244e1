"""Which waits outlast a failed read, and an outage of Airbyte that concerns all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.waiting.messages import Lost, Told
from airflow_provider_airbyte_sme.api.waiting.wait import (
    Outage,
    demanded_pause,
    duration_text,
    unreadable,
)
from airflow_provider_airbyte_sme.api.waiting.watches import Watch


def outlast(
    watches: Iterable[Watch], error: AirbyteError, since: float, now: float
) -> tuple[list[Lost], float]:
    """
    Return whose wait ends with a failed read, and the seconds until the next one.

    :param since: When the first of the failed reads in a row began.
    """
    ended: list[Lost] = []
    shortest = math.inf
    for watch in watches:
        pause = _outage_of(watch, since).next_read(error, now=now)
        if pause is not None:
            shortest = min(shortest, pause)
        elif watch.wait.is_over_after(error, now=now):
            ended.append(Lost.timed_out(watch, unreadable(error)))
        else:
            ended.append(Lost.with_copy(watch, error))
    return ended, shortest


def warn(watches: Iterable[Watch], error: AirbyteError, since: float, now: float) -> list[Told]:
    """Tell waits of an outage that they outlast."""
    return [
        Told(watch, _outage_of(watch, since).message(error, now=now), is_warning=True)
        for watch in watches
    ]


class SharedOutage:
    """
    No good response from Airbyte, whatever was asked for.

    After a list it is a suspicion, of which no wait is told: lists alone may fail, because they
    take too long. Another request decides at once.

    :ivar error: The last one.
    :ivar is_certain: Whether something else than a list has failed.
    :ivar next_probe: When to try again.
    """

    def __init__(self, began: float, error: AirbyteError) -> None:
        self.error = error
        self.is_certain = False
        self.next_probe = -math.inf
        self._began = began
        # Airbyte demands that nothing is sent before.
        self._not_before = -math.inf
        self._probed_list = True
        self._began_with_list = False
        self._told: set[Watch] = set()

    def joined(self, interval: float, now: float) -> None:
        """Note a wait that begins meanwhile."""
        self.next_probe = min(self.next_probe, max(now + interval, self._not_before))

    def probes_list(self, *, is_listing: bool) -> bool:
        """
        Whether to try a list this time: every second time, because it alone may work.

        Not if it was a list that failed first: each one that takes too long keeps a thread of
        Airbyte busy after it was given up, so the outage might never end.
        """
        self._probed_list = is_listing and not self._began_with_list and not self._probed_list
        return self._probed_list

    def failed(self, watches: Iterable[Watch], error: AirbyteError, now: float) -> list[Lost]:
        """Note another failure; return whose wait ends with it."""
        self.error, self.is_certain = error, True
        ended, pause = outlast(watches, error, self._began, now)
        self.next_probe = now + pause
        self._not_before = now + demanded_pause(error)
        return ended

    def suspected(self, error: AirbyteError, now: float) -> None:
        """Note that a list has failed, and nothing else yet."""
        self.error, self._began_with_list = error, True
        self.next_probe = self._not_before = now + demanded_pause(error)

    def tell(self, watches: Iterable[Watch], now: float) -> list[Told]:
        """Tell those who have not been told."""
        new = [watch for watch in watches if watch not in self._told]
        self._told.update(new)
        return warn(new, self.error, self._began, now)

    def end(self, watches: Iterable[Watch], now: float) -> list[Told]:
        """Tell those who have been told that it is over."""
        text = f"Airbyte responds again, after {duration_text(now - self._began)}."
        return [Told(watch, text) for watch in watches if watch in self._told]


def _outage_of(watch: Watch, since: float) -> Outage:
    """Return the outage as the wait sees it: not longer than the wait itself."""
    return watch.wait.outage(now=max(since, watch.wait.began))
