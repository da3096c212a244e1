"""
The trigger of an asset that is updated when Airbyte has synced a connection (Airflow 3.0).

Its class path is stored in Airflow's database, so it never changes.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_airbyte_sme.api import AirbyteConfigError, Job
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL
from airflow_provider_airbyte_sme.api.waiting.watermarks import (
    CATCH_UP,
    CatchUp,
    Watermark,
    caught_up,
    in_order,
)
from airflow_provider_airbyte_sme.connection import DEFAULT_CONN_ID
from airflow_provider_airbyte_sme.outcome import job_values
from airflow_provider_airbyte_sme.parameters import (
    validate_choice,
    validate_conn_id,
    validate_seconds,
    validate_uuid,
)
from airflow_provider_airbyte_sme.triggers.job_pages import earliest
from airflow_provider_airbyte_sme.triggers.syncs import Member, Round, SyncFeed, shared_feed
from airflow_provider_airbyte_sme.triggers.turns import take_turn
from airflow_provider_airbyte_sme.triggers.watermarks import WatermarkStore

try:
    from airflow.triggers.base import BaseEventTrigger
except ImportError:  # Airflow 2
    BaseEventTrigger = BaseTrigger  # type: ignore[misc,assignment]

__all__ = ["DEFAULT_CONN_ID", "AirbyteSyncEventTrigger"]

log = logging.getLogger(__name__)

HAS_EVENT_TRIGGERS = BaseEventTrigger is not BaseTrigger
"""Whether an asset can be watched: Airflow 3.0."""

HAS_SHARED_STREAMS = hasattr(BaseEventTrigger, "open_shared_stream")
"""Whether triggers can share what they read, and have a state store: Airflow 3.3."""

# Seconds that an event has to reach Airflow's database before it is noted as reported. A triggerer
# takes one or two. It is noted at the first look after that.
_SETTLING_TIME = 3.0
# Seconds, more or less, after which the watermark is stored although no sync has ended: so a
# triggerer that restarts has less to read.
_REFRESH_INTERVAL = 600.0


class AirbyteSyncEventTrigger(BaseEventTrigger):
    """
    Fire an event for each sync of a connection that ends successfully, whoever started it.

    A refresh counts as a sync; a reset or clear does not, nor does a sync that is known to have
    moved no rows. If Airbyte does not know how many it has moved, the sync counts. Each event's
    payload is a dict: ``job_id``, ``connection_id``, ``job_type``, ``status``, ``rows_synced`` and
    ``bytes_synced`` (``None`` if unknown), ``started_at`` and ``ended_at`` (ISO-8601, UTC, or
    ``None``), ``job_url`` (may be empty).

    From Airflow 3.3 on, what has been reported is kept in the state store of the asset: each sync
    makes at least one event, and *catch_up* is about those that ended while nobody watched. A sync
    that ended before the asset was watched for the first time makes none. Before 3.3, what ends
    while no triggerer runs is lost.

    Use :func:`~airflow_provider_airbyte_sme.assets.airbyte_asset`, which also makes the asset.

    :param airbyte_conn_id: Id of the Airflow connection.
    :param connection_id: UUID of the Airbyte connection.
    :param poll_interval: Seconds between two looks, or a ``timedelta``. The triggers of an Airflow
        connection with the same interval share their requests (Airflow 3.3).
    :param catch_up: Which syncs that ended while nobody watched make an event: only the
        ``latest`` one, ``all`` of them in their order, or ``none``.
    :raises AirbyteConfigError: An argument is invalid, or Airflow is older than 3.0.
    """

    def __init__(
        self,
        airbyte_conn_id: str = DEFAULT_CONN_ID,
        connection_id: str = "",
        poll_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        catch_up: CatchUp = "latest",
    ) -> None:
        if not HAS_EVENT_TRIGGERS:
            raise AirbyteConfigError(
                "AirbyteSyncEventTrigger needs Airflow 3.0 or later, where assets can be watched. "
                "Until then, let a DAG wait with AirbyteSyncSensor."
            )
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.airbyte_conn_id = validate_conn_id(airbyte_conn_id, "airbyte_conn_id")
        self.connection_id = validate_uuid(connection_id, "connection_id")
        self.poll_interval = validate_seconds(poll_interval, "poll_interval")
        validate_choice(catch_up, "catch_up", CATCH_UP)
        self.catch_up = catch_up

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger; it contains no secret."""
        return (
            "airflow_provider_airbyte_sme.triggers.events.AirbyteSyncEventTrigger",
            {
                "airbyte_conn_id": self.airbyte_conn_id,
                "connection_id": self.connection_id,
                "poll_interval": self.poll_interval,
                "catch_up": self.catch_up,
            },
        )

    def shared_stream_key(self) -> Hashable:
        """Return which triggers share their requests (Airflow 3.3)."""
        return ("airbyte_sme", self.airbyte_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Round, None]:
        """Look at Airbyte for all triggers with the same :meth:`shared_stream_key`, for ever."""
        with shared_feed(kwargs["airbyte_conn_id"], kwargs["poll_interval"]) as feed:
            async with aclosing(feed.rounds()) as rounds:
                async for each in rounds:
                    yield each

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Round]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Yield the events of this trigger's connection."""
        with shared_feed(self.airbyte_conn_id, self.poll_interval) as feed:
            async with aclosing(self._events(feed, shared_stream)) as events:
                async for event in events:
                    yield event

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Yield the events, without sharing anything but the HTTP client: before Airflow 3.3."""
        feed = SyncFeed(self.airbyte_conn_id, self.poll_interval, self.connection_id)
        if not HAS_SHARED_STREAMS:
            log.info(
                "Connection %s: a sync that ends while no triggerer runs makes no event before "
                "Airflow 3.3.",
                self.connection_id,
            )
        await take_turn()
        async with (
            aclosing(feed.rounds()) as rounds,
            aclosing(self._events(feed, rounds)) as events,
        ):
            async for event in events:
                yield event

    async def _events(
        self, feed: SyncFeed, rounds: AsyncIterator[Round]
    ) -> AsyncGenerator[TriggerEvent, None]:
        store = WatermarkStore(getattr(self, "asset_state_store", None), self.connection_id)
        # Before anything is awaited: the first look shows this connection too.
        with feed.watching(self.connection_id) as member:
            progress = _Progress(member, self.catch_up, store)
            await progress.begin(feed)
            async for each in rounds:
                await progress.save()
                for job in progress.take(each):
                    url = each.urls.get(job.job_id, "")
                    yield TriggerEvent({**job_values(job), "job_url": url})
                await progress.save()


class _Progress:
    """
    How far one trigger has come.

    :param member: It, among those that watch.
    :param catch_up: See :class:`AirbyteSyncEventTrigger`.
    :param store: Where its watermark outlasts a restart of the triggerer.
    """

    def __init__(self, member: Member, catch_up: CatchUp, store: WatermarkStore) -> None:
        self._member = member
        self._catch_up = catch_up
        self._store = store
        self._stored: Sequence[Watermark] = ()
        # None until the first good look.
        self._reached: Watermark | None = None
        self._must_save = False
        self._settled_at = self._refresh_at = 0.0

    async def begin(self, feed: SyncFeed) -> None:
        """Read how far the trigger has come before."""
        if self._catch_up != "none":
            self._stored = await self._store.read()
        if self._stored:
            since = earliest(each.since for each in self._stored)
            feed.ask(self._member, since, latest=self._catch_up == "latest")

    def take(self, shown: Round) -> list[Job]:
        """Return the jobs in *shown* that make an event, in the order of their ends."""
        is_ready = self._member in (shown.complete if self._is_behind else shown.members)
        if not is_ready:
            return []
        jobs = in_order(shown.succeeded.get(self._member.connection_id, ()))
        if self._reached is None:
            reported, before = self._missed(jobs), Watermark()
            self._must_save = True
        else:
            reported, before = self._with_rows(filter(self._reached.is_new, jobs)), self._reached
        self._reached = before.moved(jobs, shown.since, shown.newest_id)
        if reported:
            self._must_save = True
            self._settled_at = time.monotonic() + _SETTLING_TIME
        return reported

    @property
    def _is_behind(self) -> bool:
        """Whether it has still to catch up with what ended while nobody watched."""
        return self._reached is None and bool(self._stored)

    def _missed(self, jobs: Sequence[Job]) -> list[Job]:
        """Return which of the jobs that ended while nobody watched make an event."""
        # An event is for all assets of the trigger: so is a job that is new to any of them.
        missed = self._with_rows(
            job for job in jobs if any(each.is_new(job) for each in self._stored)
        )
        reported = caught_up(missed, self._catch_up)
        if missed:
            log.info(
                "Connection %s: %d syncs have ended while nobody watched; catch_up=%r makes "
                "events of %d of them.",
                self._member.connection_id,
                len(missed),
                self._catch_up,
                len(reported),
            )
        return reported

    def _with_rows(self, jobs: Iterable[Job]) -> list[Job]:
        """Return those that may have moved rows, and log the others."""
        found: list[Job] = []
        for job in jobs:
            if job.rows_synced == 0:
                log.info("%s has moved no rows, and makes no event.", job.describe())
            else:
                found.append(job)
        return found

    async def save(self) -> None:
        """Store how far the trigger has come, once Airflow surely has the events until there."""
        now = time.monotonic()
        is_due = self._must_save or now >= self._refresh_at
        if self._reached is None or not is_due or now < self._settled_at:
            return
        if await self._store.write(self._reached):
            self._must_save = False
            # Not at the same moment as thousands of others that began with this one.
            self._refresh_at = now + _REFRESH_INTERVAL * random.uniform(0.5, 1.5)  # noqa: S311
