"""
What the page knows of one Airbyte: read by few requests, and kept for a short time.

However many people look at the page, a process has at most two requests in flight to an Airbyte
with the same credentials. Each read of the same thing is made once and shared. When nobody looks,
nothing is read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConnection,
    AirbyteError,
    AirbyteSettings,
    Job,
    JobStatus,
    RetryPolicy,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.blocking import blocking_client
from airflow_provider_airbyte_sme.api.models import Tag
from airflow_provider_airbyte_sme.api.retry import is_about_one_resource
from airflow_provider_airbyte_sme.plugins.page.threads import DaemonThreads

log = logging.getLogger(__name__)

_Value = TypeVar("_Value")

REQUESTS_IN_FLIGHT = 2
"""Per Airbyte, credentials and process: the public API of Airbyte has five threads."""
REFRESH_INTERVAL = 20.0
"""Seconds between two reads of what runs and what has changed."""
LIST_INTERVAL = 300.0
"""Seconds between two reads of the lists of connections and workspaces."""
HISTORY_INTERVAL = 900.0
"""Seconds after which the jobs of one connection are read anew, in case a change was missed."""
SYNCS_SHOWN = 20
"""So many syncs of each connection are kept, with the resets between them."""
MAX_TIMEOUT = 10.0
"""Seconds for one request, whatever the Airflow connection allows: a person is waiting."""

_PAGE = 100
# Jobs of one connection that are read or kept at most, however few of them are syncs.
_MAX_HISTORY = SYNCS_SHOWN + _PAGE
# Pages of the list of jobs that one refresh reads at most: the first one, and those after it.
_FIRST_PAGES = 3
_MAX_PAGES = 5
_MAX_RUNNING = 300
# Airbyte shows a change somewhat later than the time that it carries: docs/airbyte-api.md §3.1.10.
_OVERLAP = timedelta(minutes=1)
# Histories that wait to be read. What does not fit is asked for again by the browser.
_MAX_WANTED = 100
# Seconds without a look at the page, after which nothing is kept.
_MAX_IDLE = 600.0


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """What the page shows of an Airbyte connection: all but its streams, which may be thousands."""

    connection_id: str
    name: str
    status: str
    is_active: bool
    workspace_id: str
    schedule: str
    is_manual: bool
    tags: tuple[Tag, ...] = ()

    @classmethod
    def of(cls, connection: AirbyteConnection) -> ConnectionSummary:
        """Return the summary of *connection*."""
        return cls(
            connection.connection_id,
            connection.name or connection.connection_id,
            connection.status,
            connection.is_active,
            connection.workspace_id,
            str(connection.schedule),
            connection.schedule.is_manual,
            connection.tags,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    What is known of an Airbyte at one moment.

    :param connections: By id, in the order of their names; ``None`` if they were never read.
    :param workspaces: Names by id.
    :param jobs: The known jobs of each connection, the newest first.
    :param complete: Connections of which all jobs that are shown are known.
    :param unreadable: Connections whose jobs Airbyte does not return, with the reason.
    :param error: Why the last read has failed; empty if it has not.
    :param read_at: When the last good read began.
    :param is_reading: Whether a read is under way.
    """

    connections: Mapping[str, ConnectionSummary] | None = None
    workspaces: Mapping[str, str] = field(default_factory=dict)
    jobs: Mapping[str, tuple[Job, ...]] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    read_at: datetime | None = None
    is_reading: bool = False

    def last_job(self, connection_id: str) -> Job | None:
        """Return the newest sync of a connection that has ended, if it is known."""
        return next(filter(_is_ended_sync, self.jobs.get(connection_id, ())), None)

    def active_job(self, connection_id: str) -> Job | None:
        """Return the job of a connection that has not ended, if there is one."""
        newest = next(iter(self.jobs.get(connection_id, ())), None)
        return newest if newest is not None and not newest.is_terminal else None


def _is_ended_sync(job: Job) -> bool:
    return job.is_terminal and job.moves_data


class _Changes(NamedTuple):
    """
    Jobs of all connections that have changed.

    :param is_complete: Whether none was missed since the last read.
    :param has_every_job: Whether Airbyte has no others at all.
    """

    jobs: Sequence[Job]
    is_complete: bool
    has_every_job: bool


class AirbyteReader:
    """
    Reads one Airbyte in threads of its own.

    :param settings: URLs and credentials.
    """

    def __init__(self, settings: AirbyteSettings) -> None:
        self._settings = replace(
            settings, request_timeout=min(settings.request_timeout, MAX_TIMEOUT)
        )
        self._pool = DaemonThreads(REQUESTS_IN_FLIGHT, "airbyte-page")
        self._lock = threading.Lock()
        self._idle_clients: list[AirbyteClient] = []
        self._snapshot = Snapshot()
        self._refresh: Future[None] | None = None
        self._refresh_due = 0.0
        self._lists_due = 0.0
        self._changed_since: datetime | None = None
        self._complete: dict[str, float] = {}
        self._wanted: dict[str, Future[None]] = {}
        self.last_use = time.monotonic()

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        with self._lock:
            return replace(
                self._snapshot,
                complete=frozenset(self._complete),
                is_reading=self._refresh is not None or bool(self._wanted),
            )

    def refresh(self) -> list[Future[None]]:
        """Begin to read what has changed if that is due; return what is being read."""
        with self._lock:
            self.last_use = time.monotonic()
            if self._refresh is None and self.last_use >= self._refresh_due:
                self._refresh = self._pool.submit(self._run_refresh)
            return [] if self._refresh is None else [self._refresh]

    def read_histories(self, connection_ids: Iterable[str]) -> list[Future[None]]:
        """Begin to read the unknown jobs of some connections; return what is being read."""
        with self._lock:
            if self._snapshot.error:
                return []
            expired = time.monotonic() - HISTORY_INTERVAL
            for connection_id in connection_ids:
                is_known = self._complete.get(connection_id, expired) > expired
                if not is_known and len(self._wanted) < _MAX_WANTED:
                    self._want(connection_id)
            return [self._wanted[each] for each in connection_ids if each in self._wanted]

    def _want(self, connection_id: str) -> None:
        if connection_id not in self._wanted:
            self._wanted[connection_id] = self._pool.submit(self._run_history, connection_id)

    def close(self) -> None:
        """Stop reading, and forget the token."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            clients, self._idle_clients = self._idle_clients, []
        for client in clients:
            run_blocking(client.close())

    @contextmanager
    def _client(self) -> Iterator[AirbyteClient]:
        """
        Provide a client for the running thread.

        After an error it is made anew, since files that its settings name may have changed.
        """
        with self._lock:
            client = self._idle_clients.pop() if self._idle_clients else None
        client = client or blocking_client(self._settings, retry=RetryPolicy(max_attempts=1))
        try:
            yield client
        except BaseException:
            run_blocking(client.close())
            raise
        with self._lock:
            self._idle_clients.append(client)

    def _run_refresh(self) -> None:
        error = ""
        try:
            with self._client() as client:
                self._read_changes(client)
        except AirbyteError as failure:
            error = str(failure)
        except Exception as failure:
            log.exception("The page of Airbyte has failed: please report this")
            error = f"{type(failure).__name__}: see the log of Airflow's API server."
        with self._lock:
            self._snapshot = replace(self._snapshot, error=error)
            self._refresh_due = time.monotonic() + REFRESH_INTERVAL
            self._refresh = None

    def _read_changes(self, client: AirbyteClient) -> None:
        began, now = datetime.now(UTC), time.monotonic()
        if now >= self._lists_due:
            connections, workspaces = _read_lists(client)
            with self._lock:
                self._note_lists(connections, workspaces)
                self._lists_due = now + LIST_INTERVAL
        running = run_blocking(client.jobs.list(status=JobStatus.RUNNING, limit=_MAX_RUNNING))
        changed = self._read_changed(client)
        with self._lock:
            if not changed.is_complete:
                self._doubt()
            self._note([*running, *changed.jobs])
            self._snapshot = replace(self._snapshot, read_at=began)
            counts = Counter(job.connection_id for job in changed.jobs if job.moves_data)
            # One connection runs one job at a time, so those of it are read from the newest on.
            self._complete.update(
                (connection_id, now)
                for connection_id in self._snapshot.connections or ()
                if changed.has_every_job or counts[connection_id] >= SYNCS_SHOWN
            )

    def _read_changed(self, client: AirbyteClient) -> _Changes:
        """Return the jobs that have changed since the last read; the newest ones at the first."""
        since = self._changed_since
        jobs: list[Job] = []
        is_complete, has_every_job = since is None, False
        for number in range(_FIRST_PAGES if since is None else _MAX_PAGES):
            page = run_blocking(
                client.jobs.list(order_by="updatedAt|DESC", limit=_PAGE, offset=number * _PAGE)
            )
            jobs += page
            has_every_job = len(page) < _PAGE
            oldest = page[-1].updated_at if page else None
            if has_every_job or (since and oldest and oldest < since):
                is_complete = True
                break
        newest = max((job.updated_at for job in jobs if job.updated_at), default=None)
        if newest is not None:
            self._changed_since = newest - _OVERLAP
        return _Changes(jobs, is_complete, has_every_job)

    def _run_history(self, connection_id: str) -> None:
        try:
            if self.snapshot.error:
                return
            with self._client() as client:
                jobs = _read_last_syncs(client, connection_id)
        except AirbyteError as error:
            self._note_failed_history(connection_id, error)
        except Exception:
            log.exception("The page of Airbyte has failed: please report this")
        else:
            with self._lock:
                self._note(jobs)
                self._complete[connection_id] = time.monotonic()
        finally:
            with self._lock:
                self._wanted.pop(connection_id, None)

    def _note_failed_history(self, connection_id: str, error: AirbyteError) -> None:
        with self._lock:
            if is_about_one_resource(error):
                unreadable = {**self._snapshot.unreadable, connection_id: str(error)}
                self._snapshot = replace(self._snapshot, unreadable=unreadable)
                self._complete[connection_id] = time.monotonic()
            else:
                self._snapshot = replace(self._snapshot, error=str(error))

    def _note_lists(
        self, connections: Mapping[str, ConnectionSummary], workspaces: Mapping[str, str]
    ) -> None:
        """Replace the lists, and forget what is known of others. The lock is held."""
        self._complete = _only(self._complete, connections)
        self._snapshot = replace(
            self._snapshot,
            connections=connections,
            workspaces=workspaces,
            jobs=_only(self._snapshot.jobs, connections),
            unreadable=_only(self._snapshot.unreadable, connections),
        )

    def _doubt(self) -> None:
        """Changes were missed: what ran may have ended. The lock is held."""
        self._complete.clear()
        jobs = {
            connection_id: tuple(job for job in known if job.is_terminal)
            for connection_id, known in self._snapshot.jobs.items()
        }
        self._snapshot = replace(self._snapshot, jobs=jobs)

    def _note(self, jobs: Iterable[Job]) -> None:
        """Add jobs as last read. The lock is held."""
        read: dict[str, dict[int, Job]] = {}
        for job in jobs:
            read.setdefault(job.connection_id, {})[job.job_id] = job
        known = dict(self._snapshot.jobs)
        for connection_id, of_one in read.items():
            merged = {**{job.job_id: job for job in known.get(connection_id, ())}, **of_one}
            known[connection_id] = _last_syncs(merged.values())
        unreadable = {
            key: value for key, value in self._snapshot.unreadable.items() if key not in read
        }
        self._snapshot = replace(self._snapshot, jobs=known, unreadable=unreadable)


def _last_syncs(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Return the newest jobs down to the last sync that is shown, the newest first."""
    newest = sorted(jobs, key=lambda job: -job.job_id)[:_MAX_HISTORY]
    syncs = [number for number, job in enumerate(newest, 1) if job.moves_data]
    return tuple(newest[: syncs[SYNCS_SHOWN - 1]] if len(syncs) >= SYNCS_SHOWN else newest)


def _only(values: Mapping[str, _Value], keys: Container[str]) -> dict[str, _Value]:
    return {key: value for key, value in values.items() if key in keys}


def _read_last_syncs(client: AirbyteClient, connection_id: str) -> list[Job]:
    """
    Read the last syncs of a connection, in one request unless it has resets.

    Airbyte can filter by one type only, but both a sync and a refresh are shown.
    """
    read = partial(client.jobs.list, connection_id=connection_id)
    jobs = run_blocking(read(limit=SYNCS_SHOWN))
    if len(jobs) == SYNCS_SHOWN and not all(job.moves_data for job in jobs):
        jobs += run_blocking(read(limit=_PAGE, offset=SYNCS_SHOWN))
    return jobs


def _read_lists(
    client: AirbyteClient,
) -> tuple[dict[str, ConnectionSummary], dict[str, str]]:
    connections = run_blocking(client.connections.list(is_for_display=True))
    workspaces = run_blocking(client.workspaces.list())
    summaries = sorted(map(ConnectionSummary.of, connections), key=lambda each: each.name.lower())
    return (
        {each.connection_id: each for each in summaries},
        {each.workspace_id: each.name for each in workspaces},
    )


class AirbyteReaders:
    """
    One reader for each Airbyte that is reached in the same way.

    Client id and secret are part of that, so nobody sees what another secret may read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[Hashable, AirbyteReader] = {}
        self._timer: threading.Timer | None = None

    def get(self, settings: AirbyteSettings) -> AirbyteReader:
        """Return the reader for *settings*. It is forgotten when nobody has used it for long."""
        with self._lock:
            reader = self._readers.get(settings.reach)
            if reader is None:
                reader = self._readers[settings.reach] = AirbyteReader(settings)
            reader.last_use = time.monotonic()
            self._plan_to_forget()
        return reader

    def _plan_to_forget(self) -> None:
        """Have a timer forget what is idle, as long as there is anything. The lock is held."""
        if self._readers and self._timer is None:
            self._timer = threading.Timer(_MAX_IDLE, self.forget_idle)
            self._timer.daemon = True
            self._timer.start()

    def forget_idle(self) -> None:
        """Close the readers that nobody has used for long."""
        with self._lock:
            idle_since = time.monotonic() - _MAX_IDLE
            idle = [key for key, each in self._readers.items() if each.last_use <= idle_since]
            closed = [self._readers.pop(key) for key in idle]
            self._timer = None
            self._plan_to_forget()
        for each in closed:
            each.close()
