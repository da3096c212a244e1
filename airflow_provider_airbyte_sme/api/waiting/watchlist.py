"""
Thousands of waits on one Airbyte: what to ask next, and whose wait has ended.

With a handful of things to watch, each is read by itself. With more, the list of jobs shows what
changed, and requests grow with changes instead of waits. What the list cannot show still ends in
time: a job that no list has shown is read by its id, and every other one is too, now and then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.response import Page
from airflow_provider_airbyte_sme.api.retry import is_about_one_resource, is_outage
from airflow_provider_airbyte_sme.api.waiting.changes import ReadChanges, UnusableListError
from airflow_provider_airbyte_sme.api.waiting.checks import MAX_STALENESS, MIN_STALENESS
from airflow_provider_airbyte_sme.api.waiting.deadlines import Deadlines
from airflow_provider_airbyte_sme.api.waiting.failures import SharedOutage, outlast, warn
from airflow_provider_airbyte_sme.api.waiting.lines import Lines
from airflow_provider_airbyte_sme.api.waiting.lists import FEW, Lists
from airflow_provider_airbyte_sme.api.waiting.messages import (
    Change,
    Ended,
    Lost,
    ReadJob,
    ReadSyncs,
    Request,
    SingleRead,
    Told,
    key_of,
)
from airflow_provider_airbyte_sme.api.waiting.progress import Line
from airflow_provider_airbyte_sme.api.waiting.reads import MAX_IN_FLIGHT, InFlight, SingleReads
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, ended_since
from airflow_provider_airbyte_sme.api.waiting.targets import Target, Targets, soon
from airflow_provider_airbyte_sme.api.waiting.wait import duration_text, unreadable
from airflow_provider_airbyte_sme.api.waiting.watches import JobKey, SyncKey, SyncWatch, Watch

# What a driver needs, and the limits that it can rely on.
__all__ = [
    "DEADLINE_MARGIN",
    "FEW",
    "MAX_IN_FLIGHT",
    "MAX_STALENESS",
    "MIN_STALENESS",
    "Change",
    "Ended",
    "Lost",
    "ReadChanges",
    "ReadJob",
    "ReadSyncs",
    "Request",
    "Told",
    "Watchlist",
]

# Seconds after the deadline at which a wait ends although the last read has not.
DEADLINE_MARGIN = 5.0


class Watchlist:
    """
    All waits on one Airbyte.

    A driver sends each of :meth:`next_request` and reports its result; what the methods return has
    happened to the waits. Instants are seconds on the driver's clock. A wait that has ended is no
    longer on the list.
    """

    def __init__(self) -> None:
        self._targets = Targets()
        self._deadlines = Deadlines()
        self._lines = Lines()
        self._in_flight = InFlight()
        self._reads = SingleReads(self._in_flight)
        self._lists = Lists(self._targets, self._reads, self._in_flight)
        self._outage: SharedOutage | None = None
        self._has_told_of_slowness = False

    def __len__(self) -> int:
        return self._targets.watch_count

    def add(self, watch: Watch, *, now: float) -> None:
        """Begin a wait: something looks for it soon, however long its poll interval is."""
        interval = watch.wait.poll_interval
        target = self._targets.add(watch, now)
        # Perhaps by the request of one that was removed meanwhile.
        target.is_reading = target.request in self._in_flight
        self._deadlines.add(watch)
        self._lines.add(watch)
        self._lists.joined(interval, now)
        if self._outage:
            self._outage.joined(interval, now)
        self._lists.switch(now)
        if isinstance(target.key, SyncKey) and target.was_read:
            # What the other waits went on after may end this one.
            self._targets.note_unread(target)
        # Otherwise the round that comes soon shows it, or looks for it.
        if not (self._lists.are_used and target.is_idle):
            self._reads.read_at(target, soon(interval, since=target.looked, now=now))

    def discard(self, watch: Watch, *, now: float) -> None:
        """End a wait, if it has not ended yet."""
        self._remove(watch)
        self._lists.switch(now)

    def _remove(self, watch: Watch) -> None:
        if not self._targets.remove(watch):
            return
        self._deadlines.remove(watch)
        self._lines.remove(watch)
        if self._targets.get(watch.key) is None:
            self._lists.forget(watch.key)

    def next_request(self, *, now: float) -> Request | None:
        """Return what to send now, beside what is in flight; ``None`` if nothing is due."""
        if not self._targets or self._in_flight.is_full:
            return None
        self._lists.switch(now)
        return self._probe(self._outage, now) if self._outage else self._next_due(now)

    def repeats(self, request: Request) -> bool:
        """
        Whether the watchlist itself repeats the request soon, if it fails.

        What the driver repeats would then only occupy one of the two that may be in flight. A list
        that takes too long also occupies one of Airbyte's threads after it was given up, so several
        of them, one soon after the other, would leave no thread for anything else.
        """
        if self._outage or isinstance(request, ReadChanges):
            return True
        target = self._targets.get(key_of(request))
        return target is not None and target.failing_since is not None

    def pause(self, *, now: float) -> float:
        """Return the seconds until something is due; infinite if only a response can change it."""
        times = [self._deadlines.next_at()]
        if not self._outage:
            times.append(self._lines.next_at())
        if self._targets and not self._in_flight.is_full:
            if self._outage:
                times += [] if self._in_flight else [self._outage.next_probe]
            else:
                times += [self._reads.next_due_at(), *self._lists.due_times()]
        return max(0.0, min(times) - now)

    def _probe(self, outage: SharedOutage, now: float) -> Request | None:
        """Return one request at a time, until one succeeds."""
        if self._in_flight:
            return None
        if urgent := self._reads.next_urgent(now):
            return urgent
        if now < outage.next_probe:
            return None
        if outage.probes_list(is_listing=self._lists.are_used):
            return self._lists.begin_round(now)
        return self._reads.begin(self._targets.take_turn(now), now)

    def _next_due(self, now: float) -> Request | None:
        return (
            self._lists.next_round_page(now)
            or self._reads.next_urgent(now)
            or self._lists.next_sweep_page(now)
            or self._lists.next_check(now)
            or self._reads.next_due(now)
            or self._lists.next_sweep_page(now)
        )

    def expire(self, *, now: float) -> list[Change]:
        """Note that time has passed."""
        changes: list[Change] = []
        while deadline := self._deadlines.pop(now):
            watch = deadline.watch
            if deadline.is_last:
                reason = unreadable(self._outage.error) if self._outage else ""
                changes += self._end([Lost.timed_out(watch, reason)])
            else:
                self._deadlines.extend(watch, now + DEADLINE_MARGIN)
                self._reads.read_last(self._targets[watch.key])
        self._lists.switch(now)
        return changes + self._lines_of(now)

    def _lines_of(self, now: float) -> list[Told]:
        """Return the lines of now: no request is sent for them, and none tells of an outage."""
        told: list[Told] = []
        for watch in [] if self._outage else self._lines.take(now):
            lines = watch.take_lines(now=now)
            self._lines.add(watch)
            if self._targets[watch.key].failing_since is None:
                told += self._tell(watch, lines)
        return told

    def _tell(self, watch: Watch, lines: Sequence[Line]) -> list[Told]:
        """Tell a wait; only if there are few, more may be read about its job."""
        are_few = len(self) <= FEW
        return [
            Told(watch, line.message, line.is_warning, line.report if are_few else None)
            for line in lines
        ]

    def job_read(self, request: ReadJob, job: Job, *, now: float) -> list[Change]:
        """Note the response to a :class:`ReadJob`."""
        changes = self._single_read(request, lambda watch: watch.saw(job, now=now), now)
        if target := self._targets.get(key_of(request)):
            self._lists.note_job(target, job)
        return changes

    def syncs_read(self, request: ReadSyncs, syncs: SyncsSince, *, now: float) -> list[Change]:
        """Note the response to a :class:`ReadSyncs`."""

        def judge(watch: Watch) -> Job | None:
            return watch.found(syncs) if isinstance(watch, SyncWatch) else None

        return self._single_read(request, judge, now)

    def changes_read(self, request: ReadChanges, page: Page[Job], *, now: float) -> list[Change]:
        """Note the response to a :class:`ReadChanges`."""
        self._in_flight.end(request)
        sought = self._lists.sought
        self._lists.reset_failures()
        changes = self._recover(request, now)
        for job in page.items:
            changes += self._shown(job, now, is_news=self._lists.is_news(request, job))
        try:
            ends_round = self._lists.note_page(request, page, sought=sought, now=now)
        except UnusableListError as error:
            changes += self._lists.refused(error, now)
        else:
            if ends_round:
                changes += self._tell_of_slowness(
                    now - self._lists.round_began, self._targets.rhythm
                )
        self._lists.switch(now)
        return changes

    def failed(self, request: Request, error: AirbyteError, *, now: float) -> list[Change]:
        """Note that a request failed."""
        began = self._in_flight.end(request).began
        if isinstance(request, ReadChanges):
            return self._list_failed(request, error, began, now)
        target = self._targets.get(key_of(request))
        if target is not None:
            self._reads.end(target)
        if is_about_one_resource(error):
            changes = self._recover(request, now)
            if target is not None:
                changes += self._read_failed(target, error, began, now)
            return changes
        if target is not None:
            self._reads.read_at(target, now)
        self._lists.reset_failures()
        return self._all_failed(error, began, now)

    def _single_read(
        self, request: SingleRead, judge: Callable[[Watch], Job | None], now: float
    ) -> list[Change]:
        sent = self._in_flight.end(request)
        changes = self._recover(request, now)
        target = self._targets.get(key_of(request))
        if target is None:
            return changes
        self._reads.end(target)
        target.must_read &= math.isfinite(target.due)
        self._targets.note_read(target)
        changes += self._judge(target, judge)
        over = [watch for watch in target.watches if watch.wait.is_over(now=sent.began)]
        changes += self._end([Lost.timed_out(watch) for watch in over])
        if target.watches:
            changes += self._tell_of_slowness(now - sent.due, target.interval)
            self._read_again(target, sent.began, now)
        self._lists.switch(now)
        return changes

    def _read_again(self, target: Target, began: float, now: float) -> None:
        if any(watch.wait.is_over(now=now) for watch in target.watches):
            self._reads.read_at(target, now)
        elif not self._lists.cover(target):
            self._reads.read_at(target, began + target.interval)

    def _shown(self, job: Job, now: float, *, is_news: bool) -> list[Change]:
        """Note that a list has shown *job*."""
        changes: list[Change] = []
        # This server's lists may lack the counters.
        is_complete = not job.is_terminal or job.rows_synced is not None
        if target := self._targets.get(JobKey(job.job_id)):
            self._lists.note_shown(target)
            if is_complete:
                changes += self._judge(target, lambda watch: watch.saw(job, now=now))
            else:
                self._read_for_more(target, now)
        for key, sync_target in self._targets.syncs_of(job.connection_id):
            has_ended = ended_since(job, key.since)
            if has_ended and is_complete:
                changes += self._judge(sync_target, lambda watch: watch.saw(job, now=now))
            elif has_ended is not False and is_news:
                self._read_for_more(sync_target, now)
        return changes

    def _read_for_more(self, target: Target, now: float) -> None:
        target.must_read = True
        self._reads.read_at(target, now)

    def _judge(self, target: Target, judge: Callable[[Watch], Job | None]) -> list[Change]:
        """Let each wait for *target* note a response."""
        changes: list[Change] = []
        for watch in list(target.watches):
            job = judge(watch)
            changes += self._tell(watch, watch.take_changes())
            if job is not None:
                changes += self._end([Ended(watch, job)])
        return changes

    def _end(self, ends: Sequence[Ended | Lost]) -> list[Change]:
        """Remove waits that have ended."""
        for end in ends:
            self._remove(end.watch)
        return [*ends]

    def _tell_of_slowness(self, took: float, interval: float) -> list[Change]:
        if took <= interval or self._has_told_of_slowness:
            return []
        self._has_told_of_slowness = True
        return [
            Told(
                None,
                f"Airbyte is slower than the poll interval: a read, with its repetitions, took "
                f"{duration_text(took)}, and the shortest poll_interval is {interval:g} s. All "
                f"waits on it (now {len(self)}) are polled less often, never with more than "
                f"{MAX_IN_FLIGHT} requests at once.",
                is_warning=True,
            )
        ]

    def _read_failed(
        self, target: Target, error: AirbyteError, began: float, now: float
    ) -> list[Change]:
        """Note an error that concerns one target."""
        is_shown = target.was_read and not target.must_read and self._lists.cover(target)
        if is_outage(error) and is_shown:
            return []  # the list will show the end of it
        if target.failing_since is None:
            target.failing_since = began
        ended, pause = outlast(target.watches, error, target.failing_since, now)
        changes = self._end(ended)
        if target.watches:
            new = [watch for watch in target.watches if watch not in target.warned]
            changes += warn(new, error, target.failing_since, now)
            target.warned = frozenset(target.watches)
            self._reads.read_at(target, now + pause)
        self._lists.switch(now)
        return changes

    def _list_failed(
        self, request: ReadChanges, error: AirbyteError, began: float, now: float
    ) -> list[Change]:
        self._lists.note_failure(request, error, now)
        if not is_about_one_resource(error):
            if is_outage(error) and not (self._outage and self._outage.is_certain):
                self._outage = self._outage or SharedOutage(began, error)
                self._outage.suspected(error, now)
                return []
            return self._all_failed(error, began, now)
        changes = self._recover(request, now)
        if is_outage(error):
            changes += self._lists.give_up_if_failing(error, now)
        else:
            changes += self._lists.refused(error, now)
        return changes

    def _all_failed(self, error: AirbyteError, began: float, now: float) -> list[Change]:
        """Note an error that concerns all waits."""
        if not is_outage(error):
            return self._end([Lost.with_copy(watch, error) for watch in self._targets.watches])
        outage = self._outage = self._outage or SharedOutage(began, error)
        changes = self._end(outage.failed(self._targets.watches, error, now))
        if not self._targets:
            # Those that join now begin anew.
            self._outage = None
        changes += outage.tell(self._targets.watches, now)
        self._lists.switch(now)
        return changes

    def _recover(self, request: Request, now: float) -> list[Change]:
        """Note a response of Airbyte."""
        outage, self._outage = self._outage, None
        if outage is None:
            return []
        if outage.is_certain:
            self._lists.resume(now)
        changes: list[Change] = []
        if not isinstance(request, ReadChanges):
            changes += self._lists.give_up_if_failing(outage.error, now)
        return changes + outage.end(self._targets.watches, now)
