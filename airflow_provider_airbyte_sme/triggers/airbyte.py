"""The triggers: they wait in the triggerer, without a worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Self

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_airbyte_sme.api import (
    AirbyteError,
    AirbyteJobTimeoutError,
    Job,
    JobStatus,
    Ownership,
)
from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.job_errors import AirbyteSyncTimeoutError
from airflow_provider_airbyte_sme.api.models import label
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL, Wait
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch, SyncWatch, Watch
from airflow_provider_airbyte_sme.outcome import (
    JobEvent,
    Pace,
    Pause,
    TrackedJob,
    cancel_text,
    unwatched_text,
)
from airflow_provider_airbyte_sme.triggers.clients import shared_client
from airflow_provider_airbyte_sme.triggers.redistribution import is_still_deferred
from airflow_provider_airbyte_sme.triggers.resumption import hold_event
from airflow_provider_airbyte_sme.triggers.stopping import finish
from airflow_provider_airbyte_sme.triggers.turns import take_turn
from airflow_provider_airbyte_sme.triggers.waits import find_settings, watch_until_deadline

log = logging.getLogger(__name__)

# Seconds for each of the two attempts to cancel the job of a killed task, and between two reads of
# the Airflow connection. Airflow gives `on_kill` 30 s by default ([triggerer] on_kill_timeout).
_KILLED_PATIENCE = 12.0
_KILLED_PAUSE = 1.0


class AirbyteJobTrigger(BaseTrigger):
    """
    Wait until a job's status is terminal.

    Airflow's database stores the class path, so it never changes.

    :param airbyte_conn_id: Id of the Airflow connection.
    :param job_id: Job number.
    :param connection_id: UUID of the job's Airbyte connection, for messages.
    :param deadline: When to give up, in seconds since the epoch. A restarted triggerer continues
        with the same deadline.
    :param poll_interval: Seconds between two reads, above 0.
    :param job_url: Page of the job, for messages.
    :param connection_name: Name of the job's Airbyte connection, for messages.
    :param ownership: What the job is to the task: see :class:`.Ownership`.
    :param job_status: Status of the job at the deferral, for messages.
    :param cancel_on_kill: Whether to cancel the job when the deferred task is cleared or marked
        (Airflow 3.3 and later). A foreign job is never cancelled.
    :param deferred_at: When the task was deferred, in seconds since the epoch. In a triggerer, the
        trigger fires 10 s later at the earliest; 0: at once.
    :param job_began_at: When the job was created, in seconds since the epoch, for messages; 0: at
        the deferral.
    :param usual_duration: Seconds that such a job usually takes, for messages; ``None`` if that
        is unknown.
    :param slow_at: When to end the wait with the outcome ``slow``, in seconds since the epoch, if
        that is before *deadline* and the job is still running; ``None``: never.
    :param slow_limit: The limit that is exceeded at *slow_at*, for messages.
    :param has_warned: Whether the log of the task says already that the job is slow.
    """

    def __init__(
        self,
        *,
        airbyte_conn_id: str,
        job_id: int,
        connection_id: str,
        deadline: float,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        job_url: str = "",
        connection_name: str = "",
        ownership: str = Ownership.FOREIGN,
        job_status: str = JobStatus.RUNNING,
        cancel_on_kill: bool = False,
        deferred_at: float = 0.0,
        job_began_at: float = 0.0,
        usual_duration: float | None = None,
        slow_at: float | None = None,
        slow_limit: str = "",
        has_warned: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.airbyte_conn_id = airbyte_conn_id
        self.job_id = job_id
        self.connection_id = connection_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.job_url = job_url
        self.connection_name = connection_name
        self.ownership = Ownership(ownership)
        self.job_status = str(job_status)
        self.cancel_on_kill = cancel_on_kill
        self.deferred_at = deferred_at
        self.job_began_at = job_began_at
        self.usual_duration = usual_duration
        self.slow_at = slow_at
        self.slow_limit = slow_limit
        self.has_warned = has_warned

    @classmethod
    def for_job(
        cls,
        tracked: TrackedJob,
        *,
        airbyte_conn_id: str,
        poll_interval: float,
        pace: Pace,
        cancel_on_kill: bool = False,
    ) -> Self:
        """Return the trigger that waits for *tracked*; to be called when the task is deferred."""
        return cls(
            airbyte_conn_id=airbyte_conn_id,
            job_id=tracked.job.job_id,
            connection_id=tracked.job.connection_id,
            deadline=tracked.deadline,
            poll_interval=poll_interval,
            job_url=tracked.job_url,
            connection_name=tracked.connection_name,
            ownership=tracked.ownership,
            job_status=tracked.job.status,
            cancel_on_kill=cancel_on_kill,
            deferred_at=time.time(),
            job_began_at=pace.began_at,
            usual_duration=pace.usual_duration,
            slow_at=None if pace.alarm is None else pace.alarm.at,
            slow_limit="" if pace.alarm is None else pace.alarm.limit,
            has_warned=pace.has_warned,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger; it contains no secret."""
        return (
            "airflow_provider_airbyte_sme.triggers.airbyte.AirbyteJobTrigger",
            {
                "airbyte_conn_id": self.airbyte_conn_id,
                "job_id": self.job_id,
                "connection_id": self.connection_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "job_url": self.job_url,
                "connection_name": self.connection_name,
                "ownership": str(self.ownership),
                "job_status": self.job_status,
                "cancel_on_kill": self.cancel_on_kill,
                "deferred_at": self.deferred_at,
                "job_began_at": self.job_began_at,
                "usual_duration": self.usual_duration,
                "slow_at": self.slow_at,
                "slow_limit": self.slow_limit,
                "has_warned": self.has_warned,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one :class:`.JobEvent`."""
        await take_turn()
        try:
            event = JobEvent("finished", self._tracked(await self._ended_job()))
        except AirbyteJobTimeoutError as error:
            event = self._overdue(self._tracked(error.job), error)
        except AirbyteError as error:
            connection = label(self.connection_id, self.connection_name)
            job = f"Job {self.job_id} of connection {connection}"
            event = JobEvent(
                "error",
                message=unwatched_text(job, error, self.job_url),
                permanent=is_permanent(error),
            )
        await hold_event(self, self.deferred_at)
        yield TriggerEvent(event.to_payload())

    def _overdue(self, tracked: TrackedJob, error: AirbyteJobTimeoutError) -> JobEvent:
        """Return the event of a wait whose time is over before the end of its job."""
        # A triggerer may have been away at that moment, and until the deadline.
        if self._waits_until < self.deadline and time.time() < self.deadline:
            pace = Pace(self.job_began_at, self.usual_duration)
            return JobEvent("slow", tracked, self.slow_limit, pace=pace)
        return JobEvent("timeout", tracked, message=str(error))

    @property
    def _waits_until(self) -> float:
        return self.deadline if self.slow_at is None else min(self.slow_at, self.deadline)

    async def on_kill(self) -> None:
        """
        Cancel the job when the deferred task is cleared, marked or deleted (Airflow 3.3).

        Not when another triggerer waits for it now.
        """
        if not self.cancel_on_kill or not self.ownership.is_ours:
            return
        job = f"Job {self.job_id} of connection {label(self.connection_id, self.connection_name)}"
        log.warning(
            "%s: cancelling it, unless its task still waits. If no line below says what became of "
            "it, cancel it by hand. %s",
            job,
            self.job_url,
        )
        await finish(self._cancel_if_over(job))

    async def _cancel_if_over(self, job: str) -> None:
        """Cancel the job unless its task still waits, and log what became of it."""
        try:
            if await is_still_deferred(self):
                log.info("%s is not cancelled: another triggerer waits for it now.", job)
                return
        # Airflow has errors of many classes for that.
        except Exception as error:
            log.warning(
                "%s is not cancelled, because Airflow does not say whether its task still waits. "
                "Cancel it by hand if it does not. %s: %s %s",
                job,
                type(error).__name__,
                one_line(scrub(str(error))),
                self.job_url,
            )
            return
        try:
            cancelled = await self._cancel()
        except AirbyteError as error:
            log.warning("%s was not cancelled, cancel it by hand: %s %s", job, error, self.job_url)
        else:
            log.info("%s: %s", job, cancel_text(cancelled))

    async def _cancel(self) -> Job:
        """Cancel the job, at the second attempt with a secret that was rotated meanwhile."""
        try:
            return await self._try_to_cancel()
        except AirbyteError as error:
            log.info("Trying once more to cancel job %s: %s", self.job_id, error)
            return await self._try_to_cancel()

    async def _try_to_cancel(self) -> Job:
        began = time.monotonic()
        wait = Wait(began, _KILLED_PAUSE, failure_budget=_KILLED_PATIENCE)
        settings = await find_settings(self.airbyte_conn_id, self._watch(wait))
        left = max(0.0, began + _KILLED_PATIENCE - time.monotonic())
        async with shared_client(settings) as client:
            return await client.jobs.cancel(self.job_id, patience=left)

    def _tracked(self, job: Job) -> TrackedJob:
        return TrackedJob(job, self.ownership, self.deadline, self.job_url, self.connection_name)

    async def _ended_job(self) -> Job:
        return await watch_until_deadline(
            self._watch,
            airbyte_conn_id=self.airbyte_conn_id,
            deadline=self._waits_until,
            poll_interval=self.poll_interval,
            connection_name=self.connection_name,
            began_at=self.job_began_at or self.deferred_at,
            usual_duration=self.usual_duration,
            has_warned=self.has_warned,
        )

    def _watch(self, wait: Wait) -> Watch:
        last_read = Job(self.job_id, self.job_status, self.connection_id)
        return JobWatch(last_read, wait)


class AirbyteSyncTrigger(BaseTrigger):
    """
    Wait until a sync of a connection has completed successfully, whoever started it.

    Airflow's database stores the class path, so it never changes.

    :param airbyte_conn_id: Id of the Airflow connection.
    :param connection_id: UUID of the Airbyte connection.
    :param completed_after: When the sync must have completed at the earliest, ISO-8601 with offset.
    :param deadline: When to give up, in seconds since the epoch. A restarted triggerer continues
        with the same deadline.
    :param poll_interval: Seconds between two reads, above 0.
    :param fail_on_failed_sync: Whether a failed or cancelled sync ends the wait too.
    :param connection_name: Name of the Airbyte connection, for messages.
    :param deferred_at: As for :class:`AirbyteJobTrigger`.
    """

    def __init__(
        self,
        *,
        airbyte_conn_id: str,
        connection_id: str,
        completed_after: str,
        deadline: float,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        fail_on_failed_sync: bool = False,
        connection_name: str = "",
        deferred_at: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.airbyte_conn_id = airbyte_conn_id
        self.connection_id = connection_id
        self.completed_after = completed_after
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.fail_on_failed_sync = fail_on_failed_sync
        self.connection_name = connection_name
        self.deferred_at = deferred_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger; it contains no secret."""
        return (
            "airflow_provider_airbyte_sme.triggers.airbyte.AirbyteSyncTrigger",
            {
                "airbyte_conn_id": self.airbyte_conn_id,
                "connection_id": self.connection_id,
                "completed_after": self.completed_after,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "fail_on_failed_sync": self.fail_on_failed_sync,
                "connection_name": self.connection_name,
                "deferred_at": self.deferred_at,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one :class:`.JobEvent`."""
        await take_turn()
        try:
            job = await watch_until_deadline(
                self._watch,
                airbyte_conn_id=self.airbyte_conn_id,
                deadline=self.deadline,
                poll_interval=self.poll_interval,
                connection_name=self.connection_name,
                began_at=self.deferred_at,
            )
            tracked = TrackedJob(
                job,
                Ownership.FOREIGN,
                self.deadline,
                connection_name=self.connection_name,
            )
            event = JobEvent("finished", tracked)
        except AirbyteSyncTimeoutError as error:
            event = JobEvent("timeout", message=str(error))
        except AirbyteError as error:
            connection = label(self.connection_id, self.connection_name)
            event = JobEvent(
                "error",
                message=f"Syncs of connection {connection} cannot be watched any longer: {error}",
                permanent=is_permanent(error),
            )
        await hold_event(self, self.deferred_at)
        yield TriggerEvent(event.to_payload())

    def _watch(self, wait: Wait) -> Watch:
        return SyncWatch(
            self.connection_id,
            datetime.fromisoformat(self.completed_after),
            wait,
            fail_on_failed_sync=self.fail_on_failed_sync,
        )


class AirbytePauseTrigger(BaseTrigger):
    """
    Wait before the next attempt to start a job, then hand back what was given.

    :param until: When to resume, in seconds since the epoch.
    :param deferred_at: When the task was deferred, as for :class:`AirbyteJobTrigger`.
    :param deadline: When all waiting of the task ends, in seconds since the epoch.
    :param unseen_since: Since when Airbyte says that a job is running, but lists none.
    :param connection_id: UUID of the Airbyte connection; empty after a deferral by an older
        version.
    """

    def __init__(
        self,
        *,
        until: float,
        deferred_at: float,
        deadline: float,
        unseen_since: float,
        connection_id: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.until = until
        self.deferred_at = deferred_at
        self.pause = Pause(deadline, unseen_since, connection_id)

    @classmethod
    def for_pause(cls, pause: Pause, *, seconds: float) -> Self:
        """Return the trigger that ends *pause* after *seconds*; to be called at the deferral."""
        now = time.time()
        return cls(
            until=now + seconds,
            deferred_at=now,
            deadline=pause.deadline,
            unseen_since=pause.unseen_since,
            connection_id=pause.connection_id,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger."""
        return (
            "airflow_provider_airbyte_sme.triggers.airbyte.AirbytePauseTrigger",
            {"until": self.until, "deferred_at": self.deferred_at, **self.pause.to_payload()},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield the values."""
        await asyncio.sleep(max(0.0, self.until - time.time()))
        await hold_event(self, self.deferred_at)
        yield TriggerEvent(self.pause.to_payload())
