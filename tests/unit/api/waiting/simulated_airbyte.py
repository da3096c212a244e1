"""An Airbyte on a simulated clock, and the loop that drives a watchlist on another one."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api import (
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteTransportError,
    HttpRequest,
    Job,
    Problem,
)
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.response import MAX_PAGE_SIZE, Page
from airflow_provider_airbyte_sme.api.waiting.changes import ReadChanges
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, ended_since
from airflow_provider_airbyte_sme.api.waiting.watches import SyncKey, Watch
from airflow_provider_airbyte_sme.api.waiting.watchlist import (
    MAX_IN_FLIGHT,
    Change,
    Ended,
    Lost,
    ReadJob,
    ReadSyncs,
    Request,
    Told,
    Watchlist,
)
from tests.unit.api.responses import hateoas, html_page, opaque

# Airbyte's clock when the driver's is at 0. The driver's need not begin at 0.
EPOCH = datetime(2026, 3, 25, 1, 30, tzinfo=UTC)
READ = HttpRequest("GET", "https://ab/jobs")

ERRORS: dict[str, AirbyteError] = {
    "403": api_error(READ, hateoas(403, "Forbidden")),
    "404": api_error(READ, hateoas(404, "Not Found")),
    "429": api_error(READ, html_page(429), retry_after=20.0),
    "500": api_error(READ, opaque(500)),
    "503": api_error(READ, html_page(503)),
    "timeout": AirbyteTransportError("timed out", request_sent=True),
    "truncated": AirbyteDecodeError("truncated"),
    "html": AirbyteDecodeError("a page of an ingress", is_html=True),
    "credentials": AirbyteCredentialsError(
        method="POST", url="https://ab/token", status=401, problem=Problem()
    ),
}


def instant(seconds: float) -> datetime:
    """Return Airbyte's time when the driver's clock shows *seconds*."""
    return EPOCH + timedelta(seconds=seconds)


class Update(NamedTuple):
    """
    A change of a job.

    :param visible: When responses begin to show it, on the driver's clock.
    :param stamp: The ``updatedAt`` that it carries, as seconds of the driver's clock.
    """

    visible: float
    status: str
    stamp: float


@dataclass
class SimulatedJob:
    """A job, and what happens to it; *updates* are in the order in which they become visible."""

    job_id: int
    connection_id: str
    created: float
    updates: list[Update] = field(default_factory=list)
    job_type: str = "sync"
    is_listed: bool = True
    has_times: bool = True
    _shown: dict[tuple[Update, bool], Job] = field(default_factory=dict)

    def at(self, now: float) -> Update | None:
        """Return the last visible change; ``None`` if there is no job yet."""
        last = bisect_right(self.updates, now, key=lambda update: update.visible)
        return self.updates[last - 1] if last else None

    @property
    def end(self) -> Update | None:
        """Return the change that ended it."""
        return self.updates[-1] if self.updates[-1].status in TERMINAL else None

    def shown(self, update: Update, *, has_counters: bool = True) -> Job:
        """Return the job as a response shows it: in whole seconds."""
        if known := self._shown.get((update, has_counters)):
            return known
        created = instant(self.created).replace(microsecond=0)
        updated = instant(update.stamp).replace(microsecond=0)
        is_terminal = update.status in TERMINAL
        shown = self._shown[update, has_counters] = Job(
            self.job_id,
            update.status,
            self.connection_id,
            job_type=self.job_type,
            started_at=created if self.has_times else None,
            last_updated_at=updated if is_terminal and self.has_times else None,
            duration=None
            if update.status == "pending" or not self.has_times
            else updated - created,
            rows_synced=self.job_id if has_counters else None,
        )
        return shown


TERMINAL = ("succeeded", "failed", "cancelled")


class Fault(NamedTuple):
    """
    Requests that fail from one instant to another.

    :param error: One of :data:`ERRORS`.
    :param job_id: Of the job whose own reads fail; ``None`` for all requests, or with *lists*.
    :param lists: Whether only lists of all jobs fail.
    :param syncs: Whether only reads of the syncs of a connection fail.
    """

    error: str
    began: float = -math.inf
    ended: float = math.inf
    job_id: int | None = None
    lists: bool = False
    syncs: bool = False

    def concerns(self, request: Request, now: float) -> bool:
        if not self.began <= now < self.ended:
            return False
        if self.lists:
            return isinstance(request, ReadChanges)
        if self.syncs:
            return isinstance(request, ReadSyncs)
        return self.job_id is None or request == ReadJob(self.job_id)


class SimulatedAirbyte:
    """
    What responses show at an instant.

    :ivar date: What ``Date`` shows, as seconds after the present; ``None`` if it is missing.
    :ivar frozen_date: ``Date`` is cached from this instant, on the driver's clock.
    :ivar frozen_lists: Lists of all jobs show this instant for ever, when it has come.
    :ivar ignored: What lists ignore: ``order``, ``filter``, ``offset``.
    :ivar list_counters: Whether lists of all jobs show rows.
    :ivar page_size: How many rows a page has at most.
    :ivar sweep_order: Whether the pages of sweeps are in the order that was asked for.
    :ivar sweep_error: One of :data:`ERRORS`, for the pages of sweeps.
    """

    def __init__(self) -> None:
        self.jobs: dict[int, SimulatedJob] = {}
        self.faults: list[Fault] = []
        self.date: float | None = 0.0
        self.frozen_date: float | None = None
        self.frozen_lists = math.inf
        self.ignored: frozenset[str] = frozenset()
        self.list_counters = True
        self.page_size = MAX_PAGE_SIZE
        self.sweep_error = ""
        self.sweep_order = True
        self._by_connection: defaultdict[str, list[SimulatedJob]] = defaultdict(list)
        # Of those that are listed: (negative stamp, negative id), the newest first.
        self._rows: list[tuple[float, int]] = []
        self._row_of: dict[int, tuple[float, int]] = {}
        self._changes: list[tuple[float, int, int]] = []
        self._order = count()

    def add(self, job: SimulatedJob) -> SimulatedJob:
        self.jobs[job.job_id] = job
        self._by_connection[job.connection_id].append(job)
        for update in job.updates:
            heappush(self._changes, (update.visible, next(self._order), job.job_id))
        return job

    def change(self, job_id: int, update: Update) -> None:
        """Let something happen to a job later."""
        self.jobs[job_id].updates.append(update)
        heappush(self._changes, (update.visible, next(self._order), job_id))

    def hide(self, job: SimulatedJob) -> None:
        """Leave a job out of the lists of all jobs from now on."""
        job.is_listed = False
        if row := self._row_of.pop(job.job_id, None):
            del self._rows[bisect_left(self._rows, row)]

    def respond(self, request: Request, now: float) -> Any:
        """Return what the response to *request* shows, or the error."""
        for fault in self.faults:
            if fault.concerns(request, now):
                return ERRORS[fault.error]
        if isinstance(request, ReadJob):
            job = self.jobs[request.job_id]
            update = job.at(now)
            assert update is not None, f"job {job.job_id} was asked for before it was there"
            return job.shown(update)
        if isinstance(request, ReadChanges):
            is_failing = self.sweep_error and request.is_sweep
            return ERRORS[self.sweep_error] if is_failing else self._page(request, now)
        return self._ended_syncs(request.key, now)

    def _page(self, request: ReadChanges, now: float) -> Page[Job]:
        now = min(now, self.frozen_lists)
        self._settle(now)
        rows = self._rows
        if "filter" not in self.ignored and request.since is not None:
            lowest = (request.since - EPOCH).total_seconds()
            rows = rows[: bisect_left(rows, (-lowest + 1e-6, 0))]
        if "filter" not in self.ignored and request.until is not None:
            highest = (request.until - EPOCH).total_seconds()
            rows = rows[bisect_left(rows, (-highest - 1e-6, 0)) :]
        if "order" in self.ignored or (request.is_sweep and not self.sweep_order):
            rows = sorted(rows, key=lambda row: self.jobs[-row[1]].created)
        offset = 0 if "offset" in self.ignored else request.offset
        jobs = []
        for _, negative_id in rows[offset : offset + self.page_size]:
            job = self.jobs[-negative_id]
            update = job.at(now)
            assert update is not None
            jobs.append(job.shown(update, has_counters=self.list_counters))
        return Page(jobs, len(jobs), self._date(now))

    def _settle(self, now: float) -> None:
        while self._changes and self._changes[0][0] <= now:
            _, _, job_id = heappop(self._changes)
            job = self.jobs[job_id]
            update = job.at(now)
            if not job.is_listed or update is None:
                continue
            if old := self._row_of.get(job_id):
                del self._rows[bisect_left(self._rows, old)]
            row = self._row_of[job_id] = (-update.stamp, -job_id)
            insort(self._rows, row)

    def _date(self, now: float) -> datetime | None:
        if self.date is None:
            return None
        shown = now if self.frozen_date is None else min(now, self.frozen_date)
        return instant(shown + self.date).replace(microsecond=0)

    def _ended_syncs(self, key: SyncKey, now: float) -> SyncsSince:
        since = (key.since - EPOCH).total_seconds()
        syncs = SyncsSince()
        for job in self._by_connection[key.connection_id]:
            update = job.at(now)
            if update and update.stamp >= since - 1e-6:
                shown = job.shown(update)
                if ended_since(shown, key.since) is not False:
                    syncs = syncs.with_job(shown)
        return syncs


class Outcome(NamedTuple):
    """How a wait has ended, and when."""

    at: float
    change: Ended | Lost


class Driver:
    """
    Drives a watchlist as ``triggers/watcher.py`` does, on a clock that moves when nothing is due.

    :param latency: Returns the seconds that the next request takes.
    :param limit: How many requests it sends at most: more are a busy loop.
    :ivar latency_of: The same, for a request.
    :ivar sent: Every request, and when.
    :ivar outcomes: How waits have ended.
    """

    def __init__(
        self,
        airbyte: SimulatedAirbyte,
        latency: Callable[[], float],
        *,
        now: float = 0.0,
        limit: float = math.inf,
    ) -> None:
        self.airbyte = airbyte
        self.watchlist = Watchlist()
        self.now = now
        self.limit = limit
        self.sent: list[tuple[float, Request]] = []
        self.outcomes: dict[Watch, Outcome] = {}
        self.told: list[tuple[float, Told]] = []
        self.discarded: set[Watch] = set()
        self.latency_of: Callable[[Request], float] = lambda _: latency()
        self._in_flight: list[tuple[float, int, Request, Any]] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Run *action* when the clock shows *when*."""
        heappush(self._events, (when, next(self._order), action))

    def join(self, *watches: Watch) -> None:
        for watch in watches:
            self.watchlist.add(watch, now=self.now)

    def leave(self, watch: Watch) -> None:
        if watch not in self.outcomes:
            self.discarded.add(watch)
            self.watchlist.discard(watch, now=self.now)

    @property
    def sent_requests(self) -> list[Request]:
        return [request for _, request in self.sent]

    def run_until_sent(self, request: Request) -> None:
        """Let time pass until *request* is sent."""
        sent, latest = len(self.sent), self.now + 1000
        while request not in self.sent_requests[sent:]:
            assert self.now < latest, f"{request} is not sent"
            self.run(self.now + 0.01)

    def run(self, until: float) -> None:
        """Let time pass."""
        idle = 0
        while self.now <= until:
            self._apply(self.watchlist.expire(now=self.now))
            while request := self.watchlist.next_request(now=self.now):
                self._send(request)
            following = min(self._times(), default=math.inf)
            idle = idle + 1 if following <= self.now else 0
            assert idle < 50, f"a busy loop at {self.now}"
            if following > until:
                break
            self.now = max(self.now, following)
            while self._events and self._events[0][0] <= self.now:
                idle = 0
                heappop(self._events)[2]()
            while self._in_flight and self._in_flight[0][0] <= self.now:
                idle = 0
                self._receive()
        self.now = max(self.now, until)

    def _times(self) -> Iterator[float]:
        yield self.now + self.watchlist.pause(now=self.now)
        if self._events:
            yield self._events[0][0]
        if self._in_flight:
            yield self._in_flight[0][0]

    def _send(self, request: Request) -> None:
        assert len(self._in_flight) < MAX_IN_FLIGHT
        assert len(self.sent) < self.limit
        self.sent.append((self.now, request))
        latency = self.latency_of(request)
        response = self.airbyte.respond(request, self.now + latency / 2)
        heappush(self._in_flight, (self.now + latency, next(self._order), request, response))

    def _receive(self) -> None:
        _, _, request, response = heappop(self._in_flight)
        watchlist, now = self.watchlist, self.now
        if isinstance(response, AirbyteError):
            self._apply(watchlist.failed(request, response, now=now))
        elif isinstance(request, ReadJob):
            self._apply(watchlist.job_read(request, response, now=now))
        elif isinstance(request, ReadChanges):
            self._apply(watchlist.changes_read(request, response, now=now))
        else:
            self._apply(watchlist.syncs_read(request, response, now=now))

    def _apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if isinstance(change, Told):
                self.told.append((self.now, change))
            else:
                assert change.watch not in self.outcomes, "it has ended twice"
                assert change.watch not in self.discarded, "it has ended after it left"
                self.outcomes[change.watch] = Outcome(self.now, change)
