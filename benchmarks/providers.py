"""The triggers that are measured, by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from airflow.triggers.base import BaseTrigger, TriggerEvent

from benchmarks.airbyte import CONN_ID, RunningJob

FAR = 86_400.0
"""Seconds from now of a deadline that no measurement reaches."""


class Waiting(Protocol):
    """One way to wait in a triggerer."""

    def trigger(self, job: RunningJob, poll_interval: float) -> BaseTrigger:
        """Return a trigger that fires when *job* has ended."""
        ...

    def is_success(self, payload: Mapping[str, Any]) -> bool:
        """Whether an event with *payload* says that the job succeeded."""
        ...


class OursForJobs:
    """The project's provider, waiting for a job by its id."""

    def trigger(self, job: RunningJob, poll_interval: float) -> BaseTrigger:
        """Return the trigger that the operator and the job sensor defer with."""
        from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger

        return AirbyteJobTrigger(
            airbyte_conn_id=CONN_ID,
            job_id=job.job_id,
            connection_id=job.connection_id,
            deadline=time.time() + FAR,
            poll_interval=poll_interval,
        )

    def is_success(self, payload: Mapping[str, Any]) -> bool:
        """Whether the event says that the job was read in a terminal status."""
        return bool(payload["outcome"] == "finished")


class OursForSyncs:
    """The project's provider, waiting for any successful sync of a connection."""

    def trigger(self, job: RunningJob, poll_interval: float) -> BaseTrigger:
        """Return the trigger that the sync sensor defers with."""
        from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteSyncTrigger

        return AirbyteSyncTrigger(
            airbyte_conn_id=CONN_ID,
            connection_id=job.connection_id,
            completed_after=datetime.now(UTC).isoformat(),
            deadline=time.time() + FAR,
            poll_interval=poll_interval,
        )

    def is_success(self, payload: Mapping[str, Any]) -> bool:
        """Whether the event says that a sync has completed."""
        return bool(payload["outcome"] == "finished")


class Official:
    """The official provider, which has no trigger for syncs that others start."""

    def trigger(self, job: RunningJob, poll_interval: float) -> BaseTrigger:
        """Return the trigger that its operator and its sensor defer with."""
        from airflow.providers.airbyte.triggers.airbyte import AirbyteSyncTrigger

        trigger: BaseTrigger = AirbyteSyncTrigger(
            job_id=job.job_id,
            conn_id=CONN_ID,
            end_time=time.time() + FAR,
            poll_interval=poll_interval,
        )
        return trigger

    def is_success(self, payload: Mapping[str, Any]) -> bool:
        """Whether the event says that the job succeeded."""
        return bool(payload["status"] == "success")


class SleepingTrigger(BaseTrigger):
    """A trigger that only sleeps."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return nothing of use: it is never stored."""
        return ("", {})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep for longer than any measurement takes."""
        await asyncio.sleep(FAR)
        yield TriggerEvent({})


class Sleeping:
    """Tasks that only sleep: what asyncio, Airflow's classes and the measurement itself cost."""

    def trigger(self, job: RunningJob, poll_interval: float) -> BaseTrigger:
        """Return a trigger that sleeps whatever becomes of *job*."""
        return SleepingTrigger()  # type: ignore[no-untyped-call]  # BaseTrigger has no types

    def is_success(self, payload: Mapping[str, Any]) -> bool:
        """Never called, because a sleeping trigger does not fire."""
        return False


WAITING: Mapping[str, Waiting] = {
    "ours": OursForJobs(),
    "ours, sync sensors": OursForSyncs(),
    "official": Official(),
    "asleep": Sleeping(),
}
