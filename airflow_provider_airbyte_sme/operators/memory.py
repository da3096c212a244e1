"""
What a try of a task leaves for the next one: which job it has asked Airbyte for.

Airflow 3.3 keeps it in its task state store, which outlasts a process that is killed without
warning. ``ResumableJobMixin`` of Airflow is not used: the store outlasts a success and a clear too,
and the mixin would then return the old success without a sync.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from airflow_provider_airbyte_sme.api import Job, JobStatus, Ownership
from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.resources.job_starts import HELD_OPEN_TIMEOUT
from airflow_provider_airbyte_sme.api.scrubbing import scrub

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

KEY = "airbyte_sme_job"
"""The key in Airflow's task state store. Records of earlier releases are under it, so it stays."""


class JobRecord(NamedTuple):
    """
    What a try has asked Airbyte for, and what it knows about the outcome.

    :param connection_id: UUID of the Airbyte connection.
    :param job_type: Type of the job that it asked for.
    :param try_number: The try that asked, counted by Airflow.
    :param epoch: Airflow's limit of tries and number of clears of the DAG run at that time: a clear
        of the task raises one of them or both.
    :param baseline: Newest job id of the connection before the request, while its outcome is
        unknown; ``None`` once it is known.
    :param asked_at: When it asked, in seconds since the epoch.
    :param job_id: The job; ``None`` while it is unknown.
    :param ownership: Whether that job was the try's own.
    """

    connection_id: str
    job_type: str
    try_number: int
    epoch: tuple[int, int]
    baseline: int | None = None
    asked_at: float = 0.0
    job_id: int | None = None
    ownership: Ownership = Ownership.FOREIGN

    @property
    def latest_creation(self) -> datetime:
        """When Airbyte has created the job at the latest, if the request created one."""
        # The server holds the request open, and the clocks may differ.
        return datetime.fromtimestamp(self.asked_at + 2 * HELD_OPEN_TIMEOUT, UTC)

    @property
    def last_job(self) -> Job:
        """The job as far as it is known without a request: running."""
        return Job(self.job_id or 0, JobStatus.RUNNING, self.connection_id, self.job_type)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without those that are missing."""
        fields = {
            **self._asdict(),
            "job_type": str(self.job_type),
            "epoch": list(self.epoch),
            "ownership": str(self.ownership),
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse what :meth:`to_json` returned.

        :raises ValueError: It is something else.
        """
        fields = payload if isinstance(payload, Mapping) else {}
        texts = [fields.get(name) for name in ("connection_id", "job_type")]
        numbers = [fields.get(name) for name in ("baseline", "job_id")]
        if (
            all(isinstance(text, str) for text in texts)
            and isinstance(fields.get("try_number"), int)
            and isinstance(fields.get("epoch"), list)
            and isinstance(fields.get("asked_at"), int | float)
            and all(number is None or isinstance(number, int) for number in numbers)
            and numbers != [None, None]
        ):
            record = cls(**{name: fields[name] for name in cls._fields if name in fields})
            return record._replace(
                ownership=Ownership(record.ownership), epoch=tuple(fields["epoch"])
            )
        raise ValueError(f"unknown format: {one_line(scrub(str(payload)))}")

    def is_about(self, connection_id: str, job_type: str) -> bool:
        """Whether the same was asked for."""
        return (self.connection_id, self.job_type) == (connection_id, job_type)


class TaskMemory:
    """
    The record of one task, which its tries share.

    A store that fails does not fail the task: that is a warning, and the task goes on without it.

    :param context: Airflow's context of the running task.
    """

    def __init__(self, context: Context) -> None:
        # Missing before Airflow 3.3.
        self._store: Any = context.get("task_state_store")
        self._is_readable = self._store is not None
        # An earlier process of the task may have left a record.
        self._may_be_stored = True
        self._kept: JobRecord | None = None

    @property
    def is_readable(self) -> bool:
        """Whether Airflow keeps records, and returned what there is."""
        return self._is_readable

    def recall(self) -> JobRecord | None:
        """Return the record that was left; ``None`` if there is none, or it is unreadable."""
        if self._store is None:
            return None
        try:
            payload = self._store.get(KEY)
        # Whatever a state store of the user raises.
        except Exception as error:
            _warn("read", error, "so only Airbyte can tell what an earlier try has started")
            self._is_readable = False
            return None
        if payload is None:
            self._may_be_stored = False
            return None
        try:
            return JobRecord.from_json(payload)
        except ValueError as error:
            log.warning("Ignoring what an earlier try left in the task state store: %s", error)
            return None

    def keep(self, record: JobRecord) -> None:
        """Replace the record."""
        if self._store is None or record == self._kept:
            return
        self._may_be_stored, self._kept = True, None
        try:
            self._store.set(KEY, record.to_json())
        except Exception as error:
            _warn("written", error, "so if this process dies, the next try may start another job")
        else:
            self._kept = record

    def forget(self) -> None:
        """Delete the record, because nothing of it is left to answer for."""
        if self._store is None or not self._may_be_stored:
            return
        try:
            self._store.delete(KEY)
        except Exception as error:
            _warn("written", error, "so a later try may take the job of this one for its own")
        else:
            self._may_be_stored, self._kept = False, None


class JobNote:
    """
    The number of the last job for which a task has done something that it does once per job.

    Only Airflow 3.3 keeps it. A job number is never used again, so the note may stay.

    :param context: Airflow's context of the running task.
    :param key: The key in Airflow's task state store.
    :param consequence: What a store that fails leads to, for the warning.
    """

    def __init__(self, context: Context, key: str, consequence: str) -> None:
        self._store: Any = context.get("task_state_store")
        self._key = key
        self._consequence = consequence

    def is_about(self, job_id: int) -> bool | None:
        """Whether it was done for this job; ``None`` if that cannot be read."""
        if self._store is None:
            return False
        try:
            note = self._store.get(self._key)
        except Exception as error:
            _warn("read", error, self._consequence)
            return None
        return isinstance(note, Mapping) and note.get("job_id") == job_id

    def keep(self, job_id: int) -> None:
        """Note that it is being done for this job."""
        if self._store is None:
            return
        try:
            self._store.set(self._key, {"job_id": job_id})
        except Exception as error:
            _warn("written", error, self._consequence)


def _warn(action: str, error: Exception, consequence: str) -> None:
    log.warning(
        "Airflow's task state store cannot be %s, %s. %s: %s",
        action,
        consequence,
        type(error).__name__,
        one_line(scrub(str(error))),
    )
