"""
Jobs. Only this module classifies statuses.

Statuses stay strings: Airbyte added ``queued`` in 2026 and will add more. What is only information,
and cannot be read, counts as missing: a job with a negative duration, from servers with different
clocks, has ended all the same.

Fields: docs/airbyte-api.md §3.1.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self

from airflow_provider_airbyte_sme.api.models.fields import (
    duration_of,
    instant,
    job_number,
    label,
    mapping,
    readable,
    required,
    timestamp,
)


class JobStatus(StrEnum):
    """The statuses known today: docs/airbyte-api.md §3.1."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


class JobType(StrEnum):
    """
    The job types known today.

    A job created as ``clear`` is stored and returned as ``reset``: docs/airbyte-api.md §3.2.
    """

    SYNC = "sync"
    RESET = "reset"
    REFRESH = "refresh"
    CLEAR = "clear"


# Types of the config API that have another name there.
_CONFIG_TYPES = {"reset_connection": JobType.RESET}
# A refresh syncs all streams, and takes the place of a scheduled sync: docs/airbyte-api.md §3.7.24.
_SYNC_TYPES = frozenset({JobType.SYNC, JobType.REFRESH})
TERMINAL_STATUSES = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Job:
    """
    One job, as the public API returns it.

    Only id, status and connection are always there. The others are information, and missing if
    Airbyte did not send them or they cannot be read.

    :param status: As Airbyte returned it; :class:`JobStatus` names the known ones.
    :param job_type: As Airbyte returned it; :class:`JobType` names the known ones; empty if
        missing.
    :param started_at: When the job was created, UTC; ``None`` if missing. Airbyte calls it
        ``startTime``.
    :param last_updated_at: When the job ended, UTC; ``None`` unless it is terminal.
    :param duration: From creation to the last update; ``None`` while the job is pending.
    :param bytes_synced: Committed bytes of all attempts; ``None`` in responses without counters,
        such as the one to a creation.
    :param rows_synced: Committed records of all attempts; ``None`` likewise.
    """

    job_id: int
    status: str
    connection_id: str
    job_type: str = ""
    started_at: datetime | None = None
    last_updated_at: datetime | None = None
    duration: timedelta | None = None
    bytes_synced: int | None = None
    rows_synced: int | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``JobResponse``.

        :raises AirbyteDecodeError: Id, status or connection are missing or have the wrong type.
        """
        fields = mapping(payload, "a job")
        return cls(
            job_id=job_number(fields),
            status=required(fields, "status", str),
            connection_id=required(fields, "connectionId", str),
            job_type=readable(fields, "jobType", str) or "",
            started_at=timestamp(fields, "startTime"),
            last_updated_at=timestamp(fields, "lastUpdatedAt"),
            duration=duration_of(fields, "duration"),
            bytes_synced=readable(fields, "bytesSynced", int),
            rows_synced=readable(fields, "rowsSynced", int),
        )

    @classmethod
    def from_job_info(cls, payload: Any) -> Self:
        """
        Parse the job of a ``JobInfoRead`` of the config API: docs/airbyte-api.md §3.7.17.

        :raises AirbyteDecodeError: Id, status or connection are missing or have the wrong type.
        """
        fields = mapping(mapping(payload, "a job with its attempts").get("job"), "a job")
        status, job_type = (
            required(fields, "status", str),
            readable(fields, "configType", str) or "",
        )
        created_at, updated_at = instant(fields, "createdAt"), instant(fields, "updatedAt")
        return cls(
            job_id=job_number(fields, "id"),
            status=status,
            connection_id=required(fields, "configId", str),
            job_type=_CONFIG_TYPES.get(job_type, job_type),
            started_at=created_at,
            last_updated_at=updated_at if status in TERMINAL_STATUSES else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields in Airbyte's format, which :meth:`from_json` parses."""
        fields: dict[str, Any] = {
            "jobId": self.job_id,
            "status": str(self.status),
            "jobType": str(self.job_type),
            "connectionId": self.connection_id,
            "bytesSynced": self.bytes_synced,
            "rowsSynced": self.rows_synced,
        }
        if self.started_at is not None:
            fields["startTime"] = self.started_at.isoformat()
        if self.last_updated_at is not None:
            fields["lastUpdatedAt"] = self.last_updated_at.isoformat()
        if self.duration is not None:
            fields["duration"] = f"PT{self.duration.total_seconds():f}S"
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended. A job with an unknown status has not."""
        return self.status in TERMINAL_STATUSES

    @property
    def has_succeeded(self) -> bool:
        """Whether the job ended successfully."""
        return self.status == JobStatus.SUCCEEDED

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self.status == JobStatus.CANCELLED

    @property
    def updated_at(self) -> datetime | None:
        """
        When Airbyte last changed the job, in whole seconds; ``None`` if that cannot be told.

        While it runs, that is not "now": docs/airbyte-api.md §3.1.
        """
        if self.last_updated_at is not None or self.started_at is None:
            return self.last_updated_at
        with suppress(OverflowError):
            return self.started_at + (self.duration or timedelta())
        return None

    @property
    def moves_data(self) -> bool:
        """Whether the job writes records; a reset or clear deletes them. An unknown type does."""
        return self.job_type not in (JobType.RESET, JobType.CLEAR)

    @property
    def is_sync(self) -> bool:
        """Whether the job syncs all streams of its connection; one of an unknown type does not."""
        return self.job_type in _SYNC_TYPES

    @property
    def ended_at(self) -> datetime | None:
        """
        When the job ended, UTC, in whole seconds: Airbyte leaves out fractions.

        ``None`` if it has not ended, or if its end cannot be read.
        """
        is_readable = self.last_updated_at is not None or self.duration is not None
        return self.updated_at if self.is_terminal and is_readable else None

    def is_of_type(self, job_type: str) -> bool:
        """
        Whether a request for *job_type* creates such a job: ``clear`` becomes ``reset``.

        A job without a type may be of any: who looks for the job that its lost request created
        must not overlook it and create another.
        """
        stored = JobType.RESET if job_type == JobType.CLEAR else job_type
        return self.job_type in ("", stored)

    def describe(self, connection_name: str = "") -> str:
        """
        Return how messages name the job: ``Job 42 of connection 'crm to lake' (18dc…)``.

        :param connection_name: Name of its connection; empty if it is unknown.
        """
        return f"Job {self.job_id} of connection {label(self.connection_id, connection_name)}"


class Ownership(StrEnum):
    """What a job is to the caller that asked for one."""

    STARTED = "started"
    """The response to our ``POST`` was this job."""
    FOUND = "found"
    """Our ``POST`` got no usable response, and this is the job that it created."""
    REATTACHED = "reattached"
    """An earlier try of the same task created it."""
    FOREIGN = "foreign"
    """Everything else. A foreign job is never cancelled."""

    @property
    def is_ours(self) -> bool:
        """Whether the caller may cancel the job."""
        return self is not Ownership.FOREIGN

    @property
    def is_new(self) -> bool:
        """Whether it was this caller that created the job, and no other try of the task."""
        return self in (Ownership.STARTED, Ownership.FOUND)


class CreatedJob(NamedTuple):
    """
    The result of creating a job.

    :param ownership: Whether the job is ours.
    :param is_in_the_way: Whether it was there before the request, so that none was created.
    """

    job: Job
    ownership: Ownership
    is_in_the_way: bool = False

    @property
    def job_id(self) -> int:
        """The job number."""
        return self.job.job_id
