"""The trigger: it waits for a job in the triggerer, without a worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Self

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_airbyte_sme.api import (
    AirbyteError,
    AirbyteJobTimeoutError,
    AirbyteSettings,
    Job,
    JobStatus,
    Ownership,
)
from airflow_provider_airbyte_sme.api.models import label
from airflow_provider_airbyte_sme.api.resources.outages import read_through_outage
from airflow_provider_airbyte_sme.api.retry import (
    is_outage,
    is_permanent,
    may_be_outdated_settings,
)
from airflow_provider_airbyte_sme.api.waiting import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    Wait,
)
from airflow_provider_airbyte_sme.outcome import JobEvent, Pause, TrackedJob, cancel_text
from airflow_provider_airbyte_sme.triggers.clients import shared_client
from airflow_provider_airbyte_sme.triggers.resumption import hold_event
from airflow_provider_airbyte_sme.triggers.settings import read_settings

log = logging.getLogger(__name__)

# Seconds after the deadline at which a wait ends, whatever hangs.
_DEADLINE_MARGIN = 5.0
# Seconds between two reads of the Airflow connection during an outage.
_REREAD_INTERVAL = 60.0
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
    :param ownership: What the job is to the task: ``started``, ``found`` or ``foreign``.
    :param job_status: Status of the job at the deferral, for messages.
    :param cancel_on_kill: Whether to cancel the job when the deferred task is cleared or marked
        (Airflow 3.3 and later). A foreign job is never cancelled.
    :param deferred_at: When the task was deferred, in seconds since the epoch. In a triggerer, the
        trigger fires at the earliest :data:`.SAFE_AFTER` seconds later; 0: at once.
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
        self._next_reread = 0.0

    @classmethod
    def for_job(
        cls,
        tracked: TrackedJob,
        *,
        airbyte_conn_id: str,
        poll_interval: float,
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
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one :class:`.JobEvent`."""
        try:
            event = JobEvent("finished", self._tracked(await self._wait_until_deadline()))
        except AirbyteJobTimeoutError as error:
            event = JobEvent("timeout", self._tracked(error.job), message=str(error))
        except AirbyteError as error:
            connection = label(self.connection_id, self.connection_name)
            event = JobEvent(
                "error",
                message=(
                    f"Job {self.job_id} of connection {connection} cannot be watched any longer "
                    f"and may still be running: {error} {self.job_url}".rstrip()
                ),
                permanent=is_permanent(error),
            )
        await hold_event(self, self.deferred_at)
        yield TriggerEvent(event.to_payload())

    async def on_kill(self) -> None:
        """Cancel the job when the deferred task is cleared or marked (Airflow 3.3)."""
        if not self.cancel_on_kill or not self.ownership.is_ours:
            return
        job = f"Job {self.job_id} of connection {label(self.connection_id, self.connection_name)}"
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
        settings = await self._find_settings(wait)
        left = max(0.0, began + _KILLED_PATIENCE - time.monotonic())
        async with shared_client(settings) as client:
            return await client.jobs.cancel(self.job_id, patience=left)

    def _tracked(self, job: Job) -> TrackedJob:
        return TrackedJob(job, self.ownership, self.deadline, self.job_url, self.connection_name)

    async def _wait_until_deadline(self) -> Job:
        """Return the job that has ended. The time limit holds whatever else hangs."""
        left = max(0.0, self.deadline - time.time())
        wait = Wait(
            time.monotonic(), self.poll_interval, left, FAILURE_BUDGET, self.connection_name
        )
        try:
            async with asyncio.timeout(left + _DEADLINE_MARGIN):
                return await self._wait(wait)
        except TimeoutError:
            raise wait.timeout_error(self._last_known_job()) from None

    async def _wait(self, wait: Wait) -> Job:
        settings = await self._find_settings(wait)
        while True:
            try:
                async with shared_client(settings) as client:
                    return await client.jobs.wait(
                        self.job_id,
                        poll_interval=self.poll_interval,
                        timeout=max(0.0, self.deadline - time.time()),
                        connection_name=self.connection_name,
                        last_read=self._last_known_job(),
                        on_failed_read=partial(self._reread_settings, wait, settings),
                    )
            except _SettingsChanged as changed:
                log.info("Airflow connection %s has changed: trying again.", self.airbyte_conn_id)
                settings = changed.settings

    def _last_known_job(self) -> Job:
        return Job(job_id=self.job_id, status=self.job_status, connection_id=self.connection_id)

    async def _find_settings(self, wait: Wait) -> AirbyteSettings:
        """
        Read the Airflow connection, within the failure budget of *wait*.

        :raises AirbyteJobTimeoutError: The time of the wait is over.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        try:
            return await read_through_outage(
                partial(read_settings, self.airbyte_conn_id),
                wait.outage(now=time.monotonic()),
                clock=time.monotonic,
                sleep=asyncio.sleep,
            )
        except AirbyteError as error:
            wait.raise_if_over(self._last_known_job(), error, now=time.monotonic())
            raise

    async def _reread_settings(
        self, wait: Wait, current: AirbyteSettings, error: AirbyteError
    ) -> None:
        """
        Read the Airflow connection again, in case a secret of it was rotated during the wait.

        :raises _SettingsChanged: It has changed.
        :raises AirbyteError: *error* is permanent unless the connection has changed, and that could
            not be read.
        """
        if not may_be_outdated_settings(error):
            return
        if not is_outage(error):
            settings = await self._find_settings(wait)
        elif time.monotonic() < self._next_reread:
            return
        else:
            self._next_reread = time.monotonic() + _REREAD_INTERVAL
            try:
                settings = await read_settings(self.airbyte_conn_id)
            except AirbyteError as unreadable:
                log.warning(
                    "Airflow connection %s cannot be read again: %s",
                    self.airbyte_conn_id,
                    unreadable,
                )
                return
        if settings != current:
            raise _SettingsChanged(settings)


class AirbytePauseTrigger(BaseTrigger):
    """
    Wait for a moment, then hand the values of a :class:`.Pause` back.

    :param until: When to resume, in seconds since the epoch.
    :param deferred_at: When the task was deferred, as for :class:`AirbyteJobTrigger`.
    :param deadline: See :class:`.Pause`.
    :param unseen_since: See :class:`.Pause`.
    :param connection_id: See :class:`.Pause`.
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


class _SettingsChanged(Exception):  # noqa: N818  # not an error: it ends a wait that goes on
    """The Airflow connection has changed."""

    def __init__(self, settings: AirbyteSettings) -> None:
        super().__init__()
        self.settings = settings
