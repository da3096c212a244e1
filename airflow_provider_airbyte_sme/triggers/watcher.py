"""
The job watcher: one poll loop per Airbyte and event loop, for all triggers that wait there.

Its rules are those of :mod:`.api.waiting.watchlist`. Here requests are sent, results delivered, and
the loop ends with its last wait.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Coroutine, Hashable, Iterable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from airflow_provider_airbyte_sme.api import AirbyteClient, AirbyteError, AirbyteSettings, Job
from airflow_provider_airbyte_sme.api.errors import copy_of
from airflow_provider_airbyte_sme.api.resources.jobs import ReadLimits
from airflow_provider_airbyte_sme.api.retry import is_outage, may_be_outdated_settings
from airflow_provider_airbyte_sme.api.waiting.changes import ReadChanges
from airflow_provider_airbyte_sme.api.waiting.progress import Report
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, inactive_text
from airflow_provider_airbyte_sme.api.waiting.watches import SyncKey, Watch
from airflow_provider_airbyte_sme.api.waiting.watchlist import (
    Change,
    Ended,
    ReadJob,
    Request,
    Told,
    Watchlist,
)
from airflow_provider_airbyte_sme.triggers.clients import shared_client
from airflow_provider_airbyte_sme.triggers.settings import read_settings

log = logging.getLogger(__name__)

# Seconds between two reads of the Airflow connections during an outage.
_REREAD_INTERVAL = 60.0
# Seconds beside the timeout after which a request has failed, although its response still arrives.
_PATIENCE = 60.0
# So many waits are told of something before others in the event loop have their turn.
_SLICE = 50


class SettingsChangedError(Exception):
    """
    The Airflow connection of a wait has changed.

    :param settings: The new ones.
    """

    def __init__(self, settings: AirbyteSettings) -> None:
        super().__init__("the Airflow connection has changed")
        self.settings = settings


class _Waiter(NamedTuple):
    """
    A trigger that waits.

    :param end: What ended the wait. An error is a result too: nobody may retrieve an exception.
    :param context: Of the trigger's task, so that messages are in its log.
    """

    end: asyncio.Future[Job | Exception]
    context: Context
    airbyte_conn_id: str


_shelves: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Watcher]] = (
    WeakKeyDictionary()
)


async def wait_for(watch: Watch, settings: AirbyteSettings, *, airbyte_conn_id: str) -> Job:
    """
    Wait until *watch* has ended, with the running loop's watcher for the Airbyte of *settings*.

    :param airbyte_conn_id: Id of the Airflow connection that has *settings*.
    :return: The job that ended the wait. It may have failed.
    :raises AirbyteError: The time is over, or the wait cannot go on.
    :raises SettingsChangedError: The Airflow connection was changed during an outage.
    """
    shelf = _shelves.setdefault(asyncio.get_running_loop(), {})
    watcher = shelf.get(settings.reach)
    if watcher is None or watcher.has_failed:
        watcher = shelf[settings.reach] = _Watcher(settings)
    end = watcher.add(watch, settings, airbyte_conn_id)
    try:
        ended_with = await end
    finally:
        watcher.discard(watch)
        if watcher.is_unused and shelf.get(settings.reach) is watcher:
            del shelf[settings.reach]
            await watcher.close()
    if isinstance(ended_with, Exception):
        raise ended_with
    return ended_with


class _Watcher:
    """
    Polls one Airbyte.

    Its task has a context of its own: that of the trigger which happened to be the first would put
    all messages into the log of that trigger's task.
    """

    def __init__(self, settings: AirbyteSettings) -> None:
        self._settings = settings
        self._timeout = 0.0
        self._watchlist = Watchlist()
        self._waiters: dict[Watch, _Waiter] = {}
        # Airbyte connections that surely exist.
        self._existing: set[str] = set()
        self._wake = asyncio.Event()
        self._jobs: set[asyncio.Task[list[Change]]] = set()
        # What waits are told once more was read about their jobs, and who reads it.
        self._unfinished: dict[Watch, Report] = {}
        self._is_asking = False
        self._next_reread = 0.0
        self.has_failed = False
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), context=Context())

    @property
    def is_unused(self) -> bool:
        return not self._waiters

    def add(
        self, watch: Watch, settings: AirbyteSettings, airbyte_conn_id: str
    ) -> asyncio.Future[Job | Exception]:
        waiter = _Waiter(self._loop.create_future(), copy_context(), airbyte_conn_id)
        self._waiters[watch] = waiter
        self._timeout = max(self._timeout, settings.request_timeout)
        if isinstance(watch.key, SyncKey) and watch.wait.connection_name:
            self._existing.add(watch.key.connection_id)  # its name was read
        self._watchlist.add(watch, now=time.monotonic())
        self._wake.set()
        return waiter.end

    def discard(self, watch: Watch) -> None:
        del self._waiters[watch]
        self._unfinished.pop(watch, None)
        self._watchlist.discard(watch, now=time.monotonic())

    async def close(self) -> None:
        """End the task. If the caller is cancelled meanwhile, the task still closes its session."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            async with shared_client(self._settings) as client:
                await self._poll(client)
        except AirbyteError as error:
            self._fail(error)
        except Exception as error:
            # A wait that nobody serves must not look like one that goes on.
            log.exception("The job watcher has failed.")
            self._fail(AirbyteError(f"The job watcher has failed: {error!r}"))

    async def _poll(self, client: AirbyteClient) -> None:
        try:
            while True:
                # First: what ends during the steps below, which let others run, wakes it again.
                self._wake.clear()
                for task in [each for each in self._jobs if each.done()]:
                    self._jobs.discard(task)
                    await self._apply(task.result())
                await self._apply(self._watchlist.expire(now=time.monotonic()))
                if self._unfinished and not self._is_asking:
                    self._is_asking = True
                    self._start(self._finish_reports(client))
                while request := self._watchlist.next_request(now=time.monotonic()):
                    self._start(self._send(client, request))
                pause = self._watchlist.pause(now=time.monotonic())
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause if math.isfinite(pause) else None):
                        await self._wake.wait()
        finally:
            for task in self._jobs:
                task.cancel()
            # Also one that has failed has then been looked at.
            await asyncio.gather(*self._jobs, return_exceptions=True)

    def _start(self, job: Coroutine[Any, Any, list[Change]]) -> None:
        task = self._loop.create_task(job)
        task.add_done_callback(lambda _: self._wake.set())
        self._jobs.add(task)

    async def _send(self, client: AirbyteClient, request: Request) -> list[Change]:
        watchlist, clock, jobs = self._watchlist, time.monotonic, client.jobs
        limits = ReadLimits(
            timeout=self._timeout,
            deadline=clock() + self._timeout + _PATIENCE,
            is_retried=not watchlist.repeats(request),
        )
        try:
            if isinstance(request, ReadJob):
                job = await jobs.read_once(request.job_id, limits)
                return watchlist.job_read(request, job, now=clock())
            if isinstance(request, ReadChanges):
                page = await jobs.list_changes(
                    request.since, until=request.until, offset=request.offset, limits=limits
                )
                return watchlist.changes_read(request, page, now=clock())
            syncs = await self._read_syncs(client, request.key, limits)
            return watchlist.syncs_read(request, syncs, now=clock())
        except AirbyteError as error:
            now = clock()
            if is_outage(error) and may_be_outdated_settings(error) and now >= self._next_reread:
                self._next_reread = now + _REREAD_INTERVAL
                self._start(self._reread_settings())
            return watchlist.failed(request, error, now=now)

    async def _read_syncs(
        self, client: AirbyteClient, key: SyncKey, limits: ReadLimits
    ) -> SyncsSince:
        """
        Read which syncs have ended.

        :raises AirbyteError: This fails, or there are none because nobody knows the connection.
        """
        syncs = await client.jobs.ended_syncs(key.connection_id, key.since, limits)
        if syncs == SyncsSince() and key.connection_id not in self._existing:
            # To an instance administrator, Airbyte lists no jobs of an unknown connection, as if it
            # had none yet.
            connection = await client.connections.get(
                key.connection_id, timeout=limits.retry.max_elapsed
            )
            if not connection.is_active:
                self._warn(key.connection_id, inactive_text(connection))
        self._existing.add(key.connection_id)
        return syncs

    def _warn(self, connection_id: str, message: str) -> None:
        """Log a warning for each wait for a sync of a connection."""
        for watch, waiter in self._waiters.items():
            if isinstance(watch.key, SyncKey) and watch.key.connection_id == connection_id:
                waiter.context.run(log.warning, "%s", message)

    async def _reread_settings(self) -> list[Change]:
        """Read the Airflow connections again, in case a secret of one was rotated."""
        for airbyte_conn_id in {waiter.airbyte_conn_id for waiter in self._waiters.values()}:
            try:
                settings = await read_settings(airbyte_conn_id)
            except AirbyteError as error:
                log.warning(
                    "Airflow connection %s cannot be read again: %s", airbyte_conn_id, error
                )
                continue
            if settings.reach != self._settings.reach:
                for waiter in self._waiters.values():
                    if waiter.airbyte_conn_id == airbyte_conn_id:
                        _end(waiter, SettingsChangedError(settings))
        return []

    async def _finish_reports(self, client: AirbyteClient) -> list[Change]:
        """Read more about the jobs of reports, one after the other, and log them."""
        while self._unfinished:
            watch, report = next(iter(self._unfinished.items()))
            details = await client.jobs.find_progress_details(report.job.job_id)
            # Unless something newer was told, or the wait has ended.
            if self._unfinished.get(watch) is report:
                del self._unfinished[watch]
                self._waiters[watch].context.run(log.info, "%s", report.text(details))
        self._is_asking = False
        return []

    async def _apply(self, changes: Iterable[Change]) -> None:
        for number, change in enumerate(changes, start=1):
            self._apply_one(change)
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    def _apply_one(self, change: Change) -> None:
        waiter = None if change.watch is None else self._waiters.get(change.watch)
        if waiter and change.watch in self._unfinished:
            # What follows is newer.
            report = self._unfinished.pop(change.watch)
            waiter.context.run(log.info, "%s", report.text())
        if isinstance(change, Told):
            level = logging.WARNING if change.is_warning else logging.INFO
            if waiter and change.watch and change.report:
                self._unfinished[change.watch] = change.report
            elif waiter:
                waiter.context.run(log.log, level, "%s", change.message)
            elif change.watch is None:
                log.log(level, "%s", change.message)
        elif waiter:
            _end(waiter, change.job if isinstance(change, Ended) else change.error)

    def _fail(self, error: AirbyteError) -> None:
        self.has_failed = True
        for waiter in self._waiters.values():
            _end(waiter, copy_of(error))


def _end(waiter: _Waiter, end: Job | Exception) -> None:
    if not waiter.end.done():
        waiter.end.set_result(end)
