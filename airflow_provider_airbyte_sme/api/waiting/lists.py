"""
Whether lists of jobs are used, and which page of them to read next.

*Rounds* of pages show what changed. A *sweep* looks for what no list has shown yet: for all of it
after many waits have begun at once, as when a triggerer restarts, and for one job whose last change
a read by its id has shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import MAXYEAR, datetime

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.response import Page
from airflow_provider_airbyte_sme.api.waiting.changes import (
    ChangeFeed,
    ReadChanges,
    UnusableListError,
    update_of,
)
from airflow_provider_airbyte_sme.api.waiting.checks import Checks
from airflow_provider_airbyte_sme.api.waiting.messages import Request, Told
from airflow_provider_airbyte_sme.api.waiting.reads import InFlight, SingleReads
from airflow_provider_airbyte_sme.api.waiting.sweep import Sweep
from airflow_provider_airbyte_sme.api.waiting.targets import Target, Targets, soon
from airflow_provider_airbyte_sme.api.waiting.wait import (
    MAX_OUTAGE_PAUSE,
    demanded_pause,
    duration_text,
)
from airflow_provider_airbyte_sme.api.waiting.watches import JobKey, Key

# Up to this many things are read one by one.
FEW = 5
# Seconds until a list is tried again that Airbyte refused, or that failed while Airbyte responded.
_REFUSED_PAUSE = 600.0
_FAILED_PAUSE = 60.0
_MAX_FAILURES = 2
# Seconds between two sweeps for jobs that no list has shown.
_SWEEP_PAUSE = 600.0


class Lists:
    """
    The lists of one Airbyte.

    :ivar are_used: Whether lists show what changes; otherwise each target is read by itself.
    :ivar round_began: When the last round began.
    """

    def __init__(self, targets: Targets, reads: SingleReads, in_flight: InFlight) -> None:
        self.are_used = False
        self.round_began = -math.inf
        self._targets = targets
        self._reads = reads
        self._in_flight = in_flight
        self._checks = Checks(targets)
        self._feed = ChangeFeed()
        # The page of the round that comes next, or is in flight.
        self._page: ReadChanges | None = None
        self._next_round = -math.inf
        # Airbyte demands that no list is read before.
        self._not_before = -math.inf
        self._sweep: Sweep | None = None
        self._next_sweep = -math.inf
        self._swept_last = False
        # When Airbyte last changed the jobs that have been read, and were not sought.
        self._to_seek: dict[Key, datetime] = {}
        self._usable_from = -math.inf
        self._failures = 0
        self._has_told = False

    @property
    def sought(self) -> int:
        """How many things a sweep has still to find."""
        return len(self._sweep.sought) if self._sweep else 0

    def cover(self, target: Target) -> bool:
        """Whether they show what happens to it."""
        return self.are_used and (target.is_listed or not isinstance(target.key, JobKey))

    def switch(self, now: float) -> None:
        """Use lists, or read everything by itself, depending on how much there is to watch."""
        are_used = len(self._targets) > FEW and now >= self._usable_from
        if are_used == self.are_used:
            return
        self.are_used = are_used
        self._feed, self._page, self._next_round = ChangeFeed(), None, -math.inf
        self._sweep, self._next_sweep, self._to_seek = None, -math.inf, {}
        self._targets.forget_listed()
        if not are_used:
            self._read_idle(self._targets, now)
            return
        self._checks.restart(now)
        for target in self._targets:
            if not isinstance(target.key, JobKey):
                # What happened since its last read, the list of changes does not show.
                self._targets.note_unread(target)

    def joined(self, interval: float, now: float) -> None:
        """Note a wait with this poll interval."""
        self._next_round = min(self._next_round, soon(interval, since=self.round_began, now=now))

    def resume(self, now: float) -> None:
        """Note that Airbyte responds again: the next round begins at once."""
        self._next_round = min(self._next_round, now)

    def next_round_page(self, now: float) -> Request | None:
        """Begin to read the next page of a round."""
        if not self.are_used or self._in_flight.has_list(is_sweep=False):
            return None
        if self._page is not None:
            return self._in_flight.send(self._page, now)
        return self.begin_round(now) if now >= self._round_due_at else None

    @property
    def _round_due_at(self) -> float:
        return max(self._next_round, self._not_before)

    def begin_round(self, now: float) -> Request:
        """Begin to read the first page of a round."""
        self.round_began, self._next_round = now, now + self._targets.rhythm
        self._page = self._feed.first_page(now=now)
        return self._in_flight.send(self._page, now)

    def next_sweep_page(self, now: float) -> Request | None:
        """Begin every second time a page, so that what is read by itself has its turn too."""
        self._swept_last = not self._swept_last
        page = self._sweep.page if self._sweep else None
        if page is None or not self._swept_last or self._in_flight.has_list(is_sweep=True):
            return None
        return self._in_flight.send(page, now)

    def next_check(self, now: float) -> Request | None:
        """Begin the read of what lists show, in turn."""
        if not self.are_used or now < self._checks.due_at():
            return None
        self._checks.begin(now)
        target = self._targets.take_turn(now)
        return None if target.is_reading else self._reads.begin(target, now)

    def due_times(self) -> Iterator[float]:
        """Return when something is due, or lists may be usable again."""
        if self.are_used:
            yield self._checks.due_at()
            if not self._in_flight.has_list(is_sweep=False):
                yield self._round_due_at
        elif len(self._targets) > FEW:
            yield self._usable_from

    def note_shown(self, target: Target) -> None:
        """Note that a page has shown the job of *target*."""
        if self.are_used and not target.is_listed:
            target.due = math.inf
            self._targets.note_listed(target)
        self.forget(target.key)
        self._targets.note_read(target)

    def note_job(self, target: Target, job: Job) -> None:
        """Note that *target* was read by its id: lists need not show it until it changes."""
        if not self.are_used or target.is_listed or target.was_sought:
            return
        updated = update_of(job)
        # What follows the last year cannot be asked for.
        if updated is not None and updated.year < MAXYEAR:
            self._to_seek[target.key] = updated

    def forget(self, key: Key) -> None:
        """Look for it no longer."""
        self._to_seek.pop(key, None)
        if self._sweep:
            self._sweep.sought.pop(key, None)

    def reset_failures(self) -> None:
        """Count failed pages anew: one was read, or other requests fail too."""
        self._failures = 0

    def is_news(self, request: ReadChanges, job: Job) -> bool:
        """Whether a page may show something about *job* that no page of a round has shown."""
        return request.is_sweep or self._feed.is_news(job)

    def note_page(self, request: ReadChanges, page: Page[Job], *, sought: int, now: float) -> bool:
        """
        Note a page, after the jobs in it.

        :param sought: What :attr:`sought` was before it.
        :return: Whether a round has ended with it.
        :raises UnusableListError: Lists do not show what changed.
        """
        sweep = self._sweep
        # What was asked for before lists were given up is not continued.
        if sweep and request == sweep.page:
            for target in sweep.note_page(request, page, sought=sought):
                self._targets.note_read(target)
            if sweep.has_ended:
                self._end_sweep(sweep, now)
        elif request == self._page:
            self._page = self._feed.next_page(request, page)
            if self._page is None:
                self._has_told = False
                self._look_for_unseen(now)
                return True
        return False

    def note_failure(self, request: ReadChanges, error: AirbyteError, now: float) -> None:
        """Note that a page could not be read."""
        self._not_before = now + demanded_pause(error)
        # Not an hour later, if that is the rhythm.
        self._next_round = min(self._next_round, now + min(self._targets.rhythm, MAX_OUTAGE_PAUSE))
        # From the first page again: rows have moved.
        if request == self._page:
            self._page = None
        elif self._sweep and request == self._sweep.page:
            self._end_sweep(self._sweep, now)
        self._failures += 1

    def refused(self, error: AirbyteError | UnusableListError, now: float) -> list[Told]:
        """Give them up for a while: Airbyte does not send what was asked for."""
        return self._give_up(f"{error}", _REFUSED_PAUSE, now)

    def give_up_if_failing(self, error: AirbyteError, now: float) -> list[Told]:
        """Give them up for a while if too many pages in a row have failed."""
        if self._failures <= _MAX_FAILURES:
            return []
        return self._give_up(f"{error}", _FAILED_PAUSE, now)

    def _give_up(self, reason: str, pause: float, now: float) -> list[Told]:
        if not self.are_used:
            return []
        self._usable_from = now + pause
        self.switch(now)
        if self._has_told:
            return []
        self._has_told = True
        return [
            Told(
                None,
                f"The list of jobs is unusable: {reason.rstrip('.')}. Each job is read by its id "
                f"instead, and the list is tried again in {duration_text(pause)}.",
                is_warning=True,
            )
        ]

    def _look_for_unseen(self, now: float) -> None:
        """Look for what the list of changes has not shown."""
        targets = self._targets
        unread = targets.unread
        if len(unread) <= FEW:
            sought = self._sweep.sought if self._sweep else {}
            self._read_idle([unread[key] for key in unread if key not in sought], now)
        if self._sweep is not None or self._in_flight.has_list(is_sweep=True):
            return
        if len(unread) > FEW or (targets.unlisted > FEW and now >= self._next_sweep):
            self._sweep = Sweep(
                {
                    target.key: target
                    for target in targets
                    if not target.was_read
                    or (isinstance(target.key, JobKey) and not target.is_listed)
                }
            )
            self._next_sweep = now + _SWEEP_PAUSE
        elif self._to_seek:
            key = next(iter(self._to_seek))
            target, updated = targets[key], self._to_seek.pop(key)
            target.was_sought = True
            self._sweep = Sweep({key: target}, updated)

    def _end_sweep(self, sweep: Sweep, now: float) -> None:
        self._sweep = None
        self._read_idle(sweep.sought.values(), now)

    def _read_idle(self, targets: Iterable[Target], now: float) -> None:
        """Read each by itself, unless it is read or due anyway."""
        for target in targets:
            if target.is_idle:
                self._reads.read_at(target, now)
