"""The trigger: wait for a job in the triggerer, without a worker."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_airbyte_sme.api import (
    AirbyteCredentialsError,
    AirbyteError,
    AirbyteJobTimeoutError,
    AirbyteSettings,
    Job,
)
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.hooks.airbyte import (
    settings_from_connection,
    unknown_connection,
)
from airflow_provider_airbyte_sme.triggers.clients import shared_client

log = logging.getLogger(__name__)

Outcome = Literal["finished", "timeout", "error"]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """
    How a wait ended, in the form that crosses from the triggerer to the worker.

    It carries all that the worker needs to go on: ``dag.test()`` hands over nothing else.

    :param outcome: ``finished``: the job is terminal, well or not. ``timeout``: it is not, and the
        time is over. ``error``: it could not be watched any longer.
    :param deadline: When all waiting of the task ends, in seconds since the epoch.
    :param job: The job as last read; there is none with ``error``.
    :param job_url: Its page.
    :param message: What to tell people, for all but ``finished``.
    :param permanent: Whether a repeated task would fail the same way.
    """

    outcome: Outcome
    deadline: float
    job: Job | None = None
    job_url: str = ""
    message: str = ""
    permanent: bool = False

    @property
    def adopted(self) -> bool:
        """Whether the job is somebody else's."""
        return self.job is not None and self.job.adopted

    def to_payload(self) -> dict[str, Any]:
        """Return plain values, as Airflow stores them."""
        return {
            "outcome": self.outcome,
            "deadline": self.deadline,
            "job": self.job and self.job.to_json(),
            "adopted": self.adopted,
            "job_url": self.job_url,
            "message": self.message,
            "permanent": self.permanent,
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any] | None) -> Self:
        """
        Read what :meth:`to_payload` made.

        :raises ValueError: It is none of ours: a lost event must not look like a success.
        """
        outcome = payload.get("outcome") if isinstance(payload, Mapping) else None
        if payload is None or outcome not in ("finished", "timeout", "error"):
            raise ValueError(f"the trigger sent no event that this version knows: {payload!r}")
        job = payload.get("job")
        if job is None and outcome != "error":
            raise ValueError(f"the trigger sent an event without its job: {payload!r}")
        return cls(
            outcome=outcome,
            deadline=float(payload["deadline"]),
            job=job and replace(Job.from_json(job), adopted=bool(payload["adopted"])),
            job_url=str(payload["job_url"]),
            message=str(payload["message"]),
            permanent=bool(payload["permanent"]),
        )

    def terminal_job(self) -> Job:
        """
        Return the job that has ended, or raise what happened instead.

        :raises AirbyteJobTimeoutError: The time was over first.
        :raises AirbyteError: It could not be watched any longer.
        :raises AirflowFailException: Likewise, and no retry of the task can cure that.
        """
        if self.job is not None and self.outcome == "finished":
            return self.job
        if self.job is not None and self.outcome == "timeout":
            raise AirbyteJobTimeoutError(self.message, job=self.job)
        if self.permanent:
            raise AirflowFailException(self.message)
        raise AirbyteError(self.message)


class AirbyteJobTrigger(BaseTrigger):
    """
    Wait until a job's status is terminal.

    Its class path stands in Airflow's database, so it never moves.

    :param airbyte_conn_id: Id of the Airflow connection.
    :param job_id: Job number.
    :param connection_id: UUID of the job's Airbyte connection, to be told in messages.
    :param poll_interval: Seconds between two reads, above 0.
    :param deadline: When to give up, in seconds since the epoch, so that a restarted triggerer
        does not begin anew.
    :param job_url: The job's page, for messages.
    :param adopted: Whether the job is somebody else's.
    :param cancel_on_kill: Whether the job is cancelled when somebody clears the deferred task or
        marks it (Airflow 3.3 and later); never one that is adopted.
    """

    def __init__(
        self,
        *,
        airbyte_conn_id: str,
        job_id: int,
        connection_id: str,
        deadline: float,
        poll_interval: float = 10.0,
        job_url: str = "",
        adopted: bool = False,
        cancel_on_kill: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.airbyte_conn_id = airbyte_conn_id
        self.job_id = job_id
        self.connection_id = connection_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.job_url = job_url
        self.adopted = adopted
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger. No secret is among it."""
        return (
            "airflow_provider_airbyte_sme.triggers.airbyte.AirbyteJobTrigger",
            {
                "airbyte_conn_id": self.airbyte_conn_id,
                "job_id": self.job_id,
                "connection_id": self.connection_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "job_url": self.job_url,
                "adopted": self.adopted,
                "cancel_on_kill": self.cancel_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and tell by one :class:`JobEvent` how it ended."""
        try:
            event = self._event("finished", job=await self._wait())
        except AirbyteJobTimeoutError as error:
            event = self._event("timeout", job=error.job, message=str(error))
        except AirbyteError as error:
            event = self._event(
                "error",
                message=(
                    f"Job {self.job_id} of connection {self.connection_id} is not watched any "
                    f"longer, but may still run: {error} {self.job_url}".rstrip()
                ),
                permanent=is_permanent(error),
            )
        yield TriggerEvent(event.to_payload())

    async def on_kill(self) -> None:
        """Cancel the job when somebody clears the deferred task or marks it (Airflow 3.3)."""
        if self.adopted or not self.cancel_on_kill:
            return
        try:
            async with shared_client(await self._settings()) as client:
                job = await client.cancel_job(self.job_id)
        except AirbyteError as error:
            log.warning("Job %s was not cancelled, do it by hand: %s", self.job_id, error)
        else:
            log.info("Job %s is %s.", self.job_id, job.status)

    def _event(
        self,
        outcome: Outcome,
        *,
        job: Job | None = None,
        message: str = "",
        permanent: bool = False,
    ) -> JobEvent:
        return JobEvent(
            outcome=outcome,
            deadline=self.deadline,
            job=job and replace(job, adopted=self.adopted),
            job_url=self.job_url,
            message=message,
            permanent=permanent,
        )

    async def _wait(self) -> Job:
        settings = await self._settings()
        while True:
            try:
                async with shared_client(settings) as client:
                    return await client.wait_for_job(
                        self.job_id,
                        poll_interval=self.poll_interval,
                        timeout=max(0.0, self.deadline - time.time()),
                    )
            except AirbyteCredentialsError:
                # A wait of hours outlives a secret: it may have been rotated in the meantime.
                before, settings = settings, await self._settings()
                if settings == before:
                    raise
                log.info("Airflow connection %s has changed.", self.airbyte_conn_id)

    async def _settings(self) -> AirbyteSettings:
        try:
            connection = await get_async_connection(self.airbyte_conn_id)
        except AirflowNotFoundException as error:
            raise unknown_connection(self.airbyte_conn_id) from error
        return settings_from_connection(connection)
