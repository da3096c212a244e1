"""The trigger of a sync sensor that begins in the triggerer: nothing has run on a worker yet."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.outcome import JobEvent
from airflow_provider_airbyte_sme.parameters import (
    Seconds,
    validate_conn_id,
    validate_instant,
    validate_seconds,
    validate_uuid,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteSyncTrigger

log = logging.getLogger(__name__)

RENDERS_TEMPLATES = hasattr(BaseTrigger, "render_template_fields")
"""Whether a triggerer renders the arguments of a trigger that begins a task: Airflow 3.3."""

OVERTIME = 10.0
"""
Seconds by which Airflow's own time limit of the deferral is longer than that of the wait.

So it is the trigger that ends the wait, and says what was waited for.
"""


class AirbyteSyncStartTrigger(BaseTrigger):
    """
    Check arguments that Airflow has rendered, then wait like :class:`.AirbyteSyncTrigger`.

    Airflow's database stores the class path, so it never changes. The triggerer renders the
    attributes that are templated arguments of the sensor, again after each restart.

    :param airbyte_conn_id: Id of the Airflow connection.
    :param connection_id: UUID of the Airbyte connection.
    :param completed_after: When the sync must have completed at the earliest, ISO-8601.
    :param poll_interval: Time between two reads.
    :param fail_on_failed_sync: Whether a failed or cancelled sync ends the wait too.
    """

    # Airflow sets it before it runs the trigger: the scheduler has stored it with the task, so it
    # outlasts a restart of the triggerer.
    timeout_after: datetime | None = None

    def __init__(
        self,
        *,
        airbyte_conn_id: str,
        connection_id: str,
        completed_after: str,
        poll_interval: Seconds,
        fail_on_failed_sync: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.airbyte_conn_id = airbyte_conn_id
        self.connection_id = connection_id
        self.completed_after = completed_after
        self.poll_interval = poll_interval
        self.fail_on_failed_sync = fail_on_failed_sync

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger; it contains no secret."""
        return (
            "airflow_provider_airbyte_sme.triggers.starting.AirbyteSyncStartTrigger",
            {
                "airbyte_conn_id": self.airbyte_conn_id,
                "connection_id": self.connection_id,
                "completed_after": self.completed_after,
                "poll_interval": self.poll_interval,
                "fail_on_failed_sync": self.fail_on_failed_sync,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one :class:`.JobEvent`."""
        try:
            trigger = self._checked()
        except AirbyteConfigError as error:
            event = JobEvent("error", message=str(error), permanent=True)
            yield TriggerEvent(event.to_payload())
            return
        log.info(
            "Waiting for a sync of connection %s that completes at or after %s.",
            trigger.connection_id,
            trigger.completed_after,
        )
        async for fired in trigger.run():
            yield fired

    def _checked(self) -> AirbyteSyncTrigger:
        """
        Return the trigger that waits.

        :raises AirbyteConfigError: An argument is invalid.
        """
        return AirbyteSyncTrigger(
            airbyte_conn_id=validate_conn_id(self.airbyte_conn_id, "airbyte_conn_id"),
            connection_id=validate_uuid(self.connection_id, "connection_id"),
            completed_after=validate_instant(self.completed_after, "completed_after").isoformat(),
            deadline=self._deadline(),
            poll_interval=validate_seconds(self.poll_interval, "poll_interval"),
            fail_on_failed_sync=self.fail_on_failed_sync,
        )

    def _deadline(self) -> float:
        ends_at = self.timeout_after
        if ends_at is None:
            raise AirbyteConfigError("Airflow has set no time limit for the deferral of the task.")
        if ends_at.tzinfo is None:  # as some databases return it
            ends_at = ends_at.replace(tzinfo=UTC)
        return (ends_at + self._cut_off()).timestamp() - OVERTIME

    def _cut_off(self) -> timedelta:
        """Return how much of its time the deferral loses to the task's *execution_timeout*."""
        task: Any = self.task
        limit = getattr(task, "execution_timeout", None)
        if limit is None or limit >= task.start_trigger_args.timeout:
            return timedelta()
        return task.start_trigger_args.timeout - limit  # type: ignore[no-any-return]
