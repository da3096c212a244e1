"""
The feed of syncs: which jobs of watched connections have ended successfully, for event triggers.

One loop per Airflow connection and poll interval reads the list of jobs, the last change first,
with the rules of :mod:`.api.waiting.changes`, so its requests do not grow with the number of
watched connections. It never ends with an error: Airflow starts a watcher that has failed again
every two seconds, for ever.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import NamedTuple
from weakref import WeakKeyDictionary

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConnection,
    AirbyteError,
    AirbyteSettings,
    Job,
)
from airflow_provider_airbyte_sme.api.retry import is_about_one_resource, is_permanent
from airflow_provider_airbyte_sme.api.waiting.changes import ChangeFeed, ReadChanges
from airflow_provider_airbyte_sme.api.waiting.syncs import inactive_text
from airflow_provider_airbyte_sme.api.waiting.targets import soon
from airflow_provider_airbyte_sme.api.waiting.watchlist import FEW
from airflow_provider_airbyte_sme.api.waiting.watermarks import in_order
from airflow_provider_airbyte_sme.triggers.clients import shared_client
from airflow_provider_airbyte_sme.triggers.job_pages import JobPages, earliest
from airflow_provider_airbyte_sme.triggers.settings import read_settings
from airflow_provider_airbyte_sme.triggers.trouble import Trouble, pause_after

log = logging.getLogger(__name__)

# Seconds between two reads of the Airflow connection while all is well.
_REREAD_INTERVAL = 300.0
# Seconds between two looks whether the watched connections exist and are active; the shorter one if
# one of them does not.
_LOOK_INTERVAL = 3600.0
_SHORT_LOOK_INTERVAL = 600.0
# Jobs whose rows are read at the same time.
_COUNTED_AT_ONCE = 3
# Seconds after which a read of a connection, or of all, is given up: syncs matter more.
_LOOK_PATIENCE = 1.0
_LIST_PATIENCE = 120.0


@dataclass(eq=False)
class Member:
    """
    A trigger that watches a connection.

    :param needs_history: Whether it wants all jobs that have ended since *since*.
    :param needs_latest: Whether the number of rows matters only of the latest of these.
    """

    connection_id: str
    needs_history: bool = False
    since: datetime | None = None
    needs_latest: bool = False


class Round(NamedTuple):
    """
    What one look at Airbyte has shown.

    :param members: Whose connections were looked at; empty if Airbyte could not be read.
    :param succeeded: The successful jobs that move data, by watched connection: all that ended at
        or after *since*, and the history of *complete*. The same ones are in several rounds.
    :param since: How far back *succeeded* goes, on Airbyte's clock; ``None``: to the beginning.
    :param newest_id: The highest job id that was ever seen.
    :param complete: Whose history, as far as :meth:`SyncFeed.ask` wants it, is in *succeeded*.
    :param urls: Page of each of these jobs in Airbyte's UI, by id, where it is known.
    """

    members: frozenset[Member] = frozenset()
    succeeded: Mapping[str, tuple[Job, ...]] = {}
    since: datetime | None = None
    newest_id: int = 0
    complete: frozenset[Member] = frozenset()
    urls: Mapping[int, str] = {}


class SyncFeed:
    """
    Which jobs have ended successfully, of all connections that somebody watches.

    :param airbyte_conn_id: Id of the Airflow connection.
    :param poll_interval: Seconds between two looks, above 0.
    :param connection_id: UUID of the one Airbyte connection that can be watched; empty: any.
    """

    def __init__(self, airbyte_conn_id: str, poll_interval: float, connection_id: str = "") -> None:
        self._airbyte_conn_id = airbyte_conn_id
        self._poll_interval = poll_interval
        self._only = connection_id or None
        self._members: set[Member] = set()
        self._readers = 0
        self._wake = asyncio.Event()
        self._changes = ChangeFeed()
        self._newest_id = 0
        # What has ended successfully, and no round has shown; and all since the watermark.
        self._succeeded: dict[int, Job] = {}
        # Whether there has been a round: what ended before the first one is history.
        self._has_shown = False
        # What was shown, with the number of rows that counts.
        self._counted: dict[int, Job] = {}
        # The connections whose history could not be read at the last look, as the log says.
        self._unread: Collection[str] = ()
        self._watched = _WatchedConnections(airbyte_conn_id)
        self._trouble = Trouble(airbyte_conn_id)

    @property
    def is_unused(self) -> bool:
        """Whether nobody watches or reads."""
        return not self._members and not self._readers

    @contextmanager
    def watching(self, connection_id: str) -> Iterator[Member]:
        """Watch a connection: the next look comes soon, and shows its jobs."""
        member = Member(connection_id)
        self._members.add(member)
        self._wake.set()
        try:
            yield member
        finally:
            self._members.discard(member)

    def ask(self, member: Member, since: datetime | None, *, latest: bool = False) -> None:
        """
        Let the next look show all that ended since an instant; ``None``: everything.

        :param latest: Whether only the latest with rows makes an event.
        """
        member.needs_history, member.since, member.needs_latest = True, since, latest
        self._wake.set()

    async def rounds(self) -> AsyncGenerator[Round, None]:
        """
        Look at Airbyte again and again.

        A look that fails yields an empty round, and one line in the log for each change of what is
        wrong. Nothing is lost: the next good one goes back as far as needed.
        """
        self._readers += 1
        try:
            async with aclosing(self._rounds()) as rounds:
                async for each in rounds:
                    yield each
        finally:
            self._readers -= 1

    async def _rounds(self) -> AsyncGenerator[Round, None]:
        failures = 0
        while True:
            try:
                settings = await read_settings(self._airbyte_conn_id)
                self._watched.use(settings)
                async with (
                    shared_client(settings) as client,
                    aclosing(self._good_rounds(client, settings)) as rounds,
                ):
                    async for each in rounds:
                        failures = 0
                        self._trouble.end()
                        yield each
            # Whatever it is, the loop goes on.
            except Exception as error:
                failures += 1
                self._trouble.note(error)
                pause = pause_after(error, failures, self._poll_interval)
                yield Round()
                await asyncio.sleep(pause)

    async def _good_rounds(
        self, client: AirbyteClient, settings: AirbyteSettings
    ) -> AsyncGenerator[Round, None]:
        """
        Look at Airbyte until the Airflow connection has changed.

        :raises AirbyteError: Airbyte cannot be read.
        """
        next_reread = time.monotonic() + _REREAD_INTERVAL
        while True:
            began = time.monotonic()
            yield await self._round(client, settings)
            await self._pause(began)
            if time.monotonic() >= next_reread:
                next_reread = time.monotonic() + _REREAD_INTERVAL
                if await self._reread() not in (None, settings):
                    log.info("Airflow connection %s has changed.", self._airbyte_conn_id)
                    return

    async def _reread(self) -> AirbyteSettings | None:
        """Return the settings of the Airflow connection; ``None`` if it cannot be read."""
        try:
            settings = await read_settings(self._airbyte_conn_id)
        except AirbyteError as error:
            self._trouble.note_unreadable(error)
            return None
        self._trouble.end_unreadable()
        return settings

    async def _pause(self, began: float) -> None:
        """Wait for the next look. It comes sooner if somebody begins to watch."""
        due = began + self._poll_interval
        while (left := due - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()
            due = min(due, soon(self._poll_interval, since=began, now=time.monotonic()))

    async def _round(self, client: AirbyteClient, settings: AirbyteSettings) -> Round:
        self._wake.clear()
        # Those that join meanwhile have the next one.
        members = frozenset(self._members)
        old = {each: each.since for each in members if each.needs_history}
        pages = JobPages(client, settings.request_timeout, self._only)
        await self._read_changes(pages)
        history, unread = await self._read_history(pages, old)
        watched = {each.connection_id for each in members}
        connections = await self._watched.look(client, watched)
        # Unless another member asks for all.
        latest = watched - {each.connection_id for each in old if not each.needs_latest}
        jobs = await self._count_rows(
            client,
            {
                job_id: job
                for job_id, job in {**history, **self._succeeded}.items()
                if job.connection_id in watched
            },
            latest,
        )
        complete = frozenset(each for each in old if each.connection_id not in unread)
        for member in complete:
            member.needs_history = False
        self._forget_old()
        self._has_shown = True
        return Round(
            members=members,
            succeeded=_by_connection(jobs),
            since=self._changes.watermark,
            newest_id=self._newest_id,
            complete=complete,
            urls={
                job.job_id: settings.urls.job_page(connection, job.job_id)
                for job in jobs
                if (connection := connections.get(job.connection_id))
            },
        )

    async def _read_changes(self, pages: JobPages) -> None:
        """Read what has changed since the last look."""
        request: ReadChanges | None = self._changes.first_page(now=time.monotonic())
        while request is not None:
            page = await pages.read(request.since, offset=request.offset)
            self._note(self._succeeded, page.items)
            request = self._changes.next_page(request, page)
        if not self._has_shown:
            self._forget_old()

    def _forget_old(self) -> None:
        """
        Forget what ended before the watermark of the changes.

        Only what a round has shown: after an outage, or between two looks that are minutes apart,
        the watermark passes jobs that nobody has seen.
        """
        since = self._changes.watermark
        if since is not None:
            self._succeeded = {
                job_id: job
                for job_id, job in self._succeeded.items()
                if job.ended_at is None or job.ended_at >= since
            }

    def _note(self, succeeded: dict[int, Job], jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._newest_id = max(self._newest_id, job.job_id)
            if job.has_succeeded and job.moves_data:
                succeeded[job.job_id] = job

    async def _read_history(
        self, pages: JobPages, asked: Mapping[Member, datetime | None]
    ) -> tuple[dict[int, Job], Collection[str]]:
        """
        Return what has ended since the instants for which members ask.

        :return: The jobs; and the connections whose jobs cannot be read at the moment.
        """
        wanted: dict[str, datetime | None] = {}
        for member, since in asked.items():
            known = wanted.get(member.connection_id, since)
            wanted[member.connection_id] = earliest([known, since])
        shown_since = self._changes.watermark
        found: dict[int, Job] = {}
        unread = await pages.read_history(
            {
                connection_id: since
                for connection_id, since in wanted.items()
                if since is None or shown_since is None or since < shown_since
            },
            partial(self._note, found),
        )
        for connection_id in unread.keys() - set(self._unread):
            log.warning(
                "The syncs of connection %s that ended while nobody watched cannot be read. It is "
                "tried again at each look, and until then it makes no events: %s",
                connection_id,
                unread[connection_id],
            )
        self._unread = unread.keys()
        # Pages of all connections have other jobs too.
        asked_for = {key: job for key, job in found.items() if job.connection_id in wanted}
        return asked_for, unread

    async def _count_rows(
        self, client: AirbyteClient, jobs: Mapping[int, Job], latest: Collection[str]
    ) -> list[Job]:
        """
        Return jobs with the number of rows that counts.

        An error loses nothing that was counted before it.

        :param latest: Connections of which only the latest old job with rows matters: older ones
            are returned as they are.
        """
        self._counted = {job_id: job for job_id, job in self._counted.items() if job_id in jobs}
        old = [job for job_id, job in jobs.items() if job_id not in self._succeeded]
        of_latest = _by_connection(job for job in old if job.connection_id in latest)
        skipped = {job.job_id for each in of_latest.values() for job in each}
        counts = chain(
            (self._count_latest(client, each) for each in of_latest.values()),
            (self._count(client, job) for job_id, job in jobs.items() if job_id not in skipped),
        )
        while some := [*islice(counts, _COUNTED_AT_ONCE)]:
            results = await asyncio.gather(*some, return_exceptions=True)
            for error in filter(None, results):
                raise error
        return [self._counted.get(job_id, job) for job_id, job in jobs.items()]

    async def _count_latest(self, client: AirbyteClient, jobs: Iterable[Job]) -> None:
        for job in reversed(in_order(jobs)):
            await self._count(client, job)
            if self._counted[job.job_id].rows_synced != 0:
                return

    async def _count(self, client: AirbyteClient, job: Job) -> None:
        if job.job_id not in self._counted:
            self._counted[job.job_id] = await client.jobs.with_known_rows(job)


class _WatchedConnections:
    """
    The connections that are watched.

    :param airbyte_conn_id: Id of the Airflow connection, for messages.
    """

    def __init__(self, airbyte_conn_id: str) -> None:
        self._airbyte_conn_id = airbyte_conn_id
        self._known: dict[str, AirbyteConnection] = {}
        # All that there are, if all were read: for those that are watched from now on.
        self._listed: Mapping[str, AirbyteConnection] = {}
        self._looked_at: set[str] = set()
        # What is wrong with them, as the log says.
        self._problems: dict[str, str] = {}
        self._next_look = 0.0
        self._reach: Hashable = None

    def use(self, settings: AirbyteSettings) -> None:
        """Look again at all of them if it is another Airbyte, or another user of it."""
        if settings.reach != self._reach:
            self._reach, self._next_look = settings.reach, 0.0

    async def look(
        self, client: AirbyteClient, watched: set[str]
    ) -> Mapping[str, AirbyteConnection]:
        """
        Return those that are known, by id, and log what keeps syncs of others from ending.

        New ones are read at once, all of them now and then. Only messages and links need them, so
        the watch goes on without those that cannot be read.
        """
        now = time.monotonic()
        is_due = now >= self._next_look
        wanted = watched if is_due else watched - self._looked_at
        if not wanted:
            return self._known
        has_failed = False
        try:
            async with asyncio.timeout(_LIST_PATIENCE):
                found = await self._find(client, wanted, is_due=is_due)
        except (AirbyteError, TimeoutError) as error:
            has_failed = True
            log.warning(
                "Airflow connection %s: syncs are watched, but the connections that they are of "
                "cannot be read, so events may have no job_url: %s",
                self._airbyte_conn_id,
                str(error) or f"that takes longer than {_LIST_PATIENCE:g} s.",
            )
        else:
            for connection_id in sorted(wanted):
                self._note(connection_id, found.get(connection_id))
        self._looked_at |= wanted
        is_soon = has_failed or any(self._problems.get(each) for each in watched)
        if is_due or is_soon:
            self._next_look = now + (_SHORT_LOOK_INTERVAL if is_soon else _LOOK_INTERVAL)
        return self._known

    async def _find(
        self, client: AirbyteClient, wanted: set[str], *, is_due: bool
    ) -> Mapping[str, AirbyteConnection]:
        """
        Return those connections that exist, by id. Others may be among them.

        :param is_due: Whether what was read before is outdated.
        :raises AirbyteError: Airbyte cannot be read.
        """
        if is_due:
            self._listed = {}
        missing = wanted - self._listed.keys()
        if len(missing) > FEW:
            listed = await client.connections.list()
            self._listed = {each.connection_id: each for each in listed}
            return self._listed
        found = dict(self._listed)
        for connection_id in sorted(missing):
            try:
                found[connection_id] = await client.connections.get(
                    connection_id, timeout=_LOOK_PATIENCE
                )
            except AirbyteError as error:
                if not (is_about_one_resource(error) and is_permanent(error)):
                    raise
        return found

    def _note(self, connection_id: str, connection: AirbyteConnection | None) -> None:
        if connection is None:
            self._known.pop(connection_id, None)
            problem = (
                f"Connection {connection_id}, which an asset watches, does not exist in the "
                f"Airbyte of Airflow connection {self._airbyte_conn_id}, or its user may not see "
                f"it: correct the id, or give the user access."
            )
        else:
            self._known[connection_id] = connection
            problem = "" if connection.is_active else inactive_text(connection)
        if problem == self._problems.get(connection_id, ""):
            return
        self._problems[connection_id] = problem
        if problem:
            log.warning("%s", problem)
        else:
            log.info("Connection %s can be watched now.", connection)


def _by_connection(jobs: Iterable[Job]) -> dict[str, tuple[Job, ...]]:
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.connection_id, []).append(job)
    return {connection_id: tuple(of_one) for connection_id, of_one in found.items()}


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, float], SyncFeed]] = (
    WeakKeyDictionary()
)


@contextmanager
def shared_feed(airbyte_conn_id: str, poll_interval: float) -> Iterator[SyncFeed]:
    """Provide the running loop's feed of an Airflow connection; the last user ends it."""
    feeds = _feeds.setdefault(asyncio.get_running_loop(), {})
    key = (airbyte_conn_id, poll_interval)
    feed = feeds.get(key) or feeds.setdefault(key, SyncFeed(airbyte_conn_id, poll_interval))
    try:
        yield feed
    finally:
        if feed.is_unused and feeds.get(key) is feed:
            del feeds[key]
