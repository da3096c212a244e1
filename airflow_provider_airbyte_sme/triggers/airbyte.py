"""The trigger: it waits for a job in the triggerer, without a worker."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Self

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_airbyte_sme.api import (
    AirbyteCredentialsError,
    AirbyteError,
    AirbyteJobTimeoutError,
    AirbyteSettings,
    Job,
    Ownership,
)
from airflow_provider_airbyte_sme.api.models import label
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL
from airflow_provider_airbyte_sme.connection import settings_from_connection, unknown_connection
from airflow_provider_airbyte_sme.outcome import JobEvent, TrackedJob
from airflow_provider_airbyte_sme.triggers.clients import shared_client

log = logging.getLogger(__name__)


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
    :param cancel_on_kill: Whether to cancel the job when the deferred task is cleared or marked
        (Airflow 3.3 and later). A foreign job is never cancelled.
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
        cancel_on_kill: bool = False,
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
        self.cancel_on_kill = cancel_on_kill

    @classmethod
    def for_job(
        cls,
        tracked: TrackedJob,
        *,
        airbyte_conn_id: str,
        poll_interval: float,
        cancel_on_kill: bool = False,
    ) -> Self:
        """Return the trigger that waits for *tracked*."""
        return cls(
            airbyte_conn_id=airbyte_conn_id,
            job_id=tracked.job.job_id,
            connection_id=tracked.job.connection_id,
            deadline=tracked.deadline,
            poll_interval=poll_interval,
            job_url=tracked.job_url,
            connection_name=tracked.connection_name,
            ownership=tracked.ownership,
            cancel_on_kill=cancel_on_kill,
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
                "cancel_on_kill": self.cancel_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one :class:`.JobEvent`."""
        try:
            event = JobEvent("finished", self._tracked(await self._wait()))
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
        yield TriggerEvent(event.to_payload())

    async def on_kill(self) -> None:
        """Cancel the job when the deferred task is cleared or marked (Airflow 3.3)."""
        if not self.cancel_on_kill or not self.ownership.is_ours:
            return
        try:
            async with shared_client(await self._settings()) as client:
                job = await client.jobs.cancel(self.job_id)
        except AirbyteError as error:
            log.warning(
                "Job %s of connection %s was not cancelled, cancel it in Airbyte: %s %s",
                self.job_id,
                label(self.connection_id, self.connection_name),
                error,
                self.job_url,
            )
        else:
            log.info("%s: %s.", job.describe(self.connection_name), job.status)

    def _tracked(self, job: Job) -> TrackedJob:
        return TrackedJob(job, self.ownership, self.deadline, self.job_url, self.connection_name)

    async def _wait(self) -> Job:
        settings = await self._settings()
        while True:
            try:
                async with shared_client(settings) as client:
                    return await client.jobs.wait(
                        self.job_id,
                        poll_interval=self.poll_interval,
                        timeout=max(0.0, self.deadline - time.time()),
                        connection_name=self.connection_name,
                    )
            except AirbyteCredentialsError:
                # The secret may have been rotated during a wait of hours.
                before, settings = settings, await self._settings()
                if settings == before:
                    raise
                log.info("Airflow connection %s has changed: trying again.", self.airbyte_conn_id)

    async def _settings(self) -> AirbyteSettings:
        try:
            connection = await get_async_connection(self.airbyte_conn_id)
        except AirflowNotFoundException as error:
            raise unknown_connection(self.airbyte_conn_id) from error
        return settings_from_connection(connection)
