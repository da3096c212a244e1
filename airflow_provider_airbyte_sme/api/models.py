"""
The objects of Airbyte's API, as frozen values.

Each class reads the fields that this provider uses and ignores the others, so a newer server does
not break it. What is only information, and cannot be read, counts as missing: a job with a negative
duration, from servers with different clocks, has ended all the same.

Statuses stay strings: Airbyte added ``queued`` in 2026 and will add more. Only this module
classifies statuses.

Fields: docs/airbyte-api.md §3.1 (job), §3.7 (failure), §4.3 (connection), §5.1 (workspace).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self, TypeVar, cast

from airflow_provider_airbyte_sme.api.errors import AirbyteDecodeError, excerpt

T = TypeVar("T")


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
        fields = _mapping(payload, "a job")
        return cls(
            job_id=_job_id(fields),
            status=_required(fields, "status", str),
            connection_id=_required(fields, "connectionId", str),
            job_type=_readable(fields, "jobType", str) or "",
            started_at=_timestamp(fields, "startTime"),
            last_updated_at=_timestamp(fields, "lastUpdatedAt"),
            duration=_duration(fields, "duration"),
            bytes_synced=_readable(fields, "bytesSynced", int),
            rows_synced=_readable(fields, "rowsSynced", int),
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
    def moves_data(self) -> bool:
        """Whether the job writes records; a reset or clear deletes them. An unknown type does."""
        return self.job_type not in (JobType.RESET, JobType.CLEAR)

    def is_of_type(self, job_type: str) -> bool:
        """
        Whether a request for *job_type* creates such a job: ``clear`` becomes ``reset``.

        A job without a type may be of any: who looks for the job that its lost request created
        must not overlook it and create another.
        """
        stored = JobType.RESET if job_type == JobType.CLEAR else job_type
        return self.job_type in ("", stored)

    def describe(self, connection_name: str = "") -> str:
        """Return how messages name the job: ``Job 42 of connection 'crm to lake' (18dc…)``."""
        return f"Job {self.job_id} of connection {label(self.connection_id, connection_name)}"


class Ownership(StrEnum):
    """What a job is to the caller that asked for one."""

    STARTED = "started"
    """The response to our ``POST`` was this job."""
    FOUND = "found"
    """Our ``POST`` got no usable response, and this is the job that it created."""
    FOREIGN = "foreign"
    """Everything else. A foreign job is never cancelled."""

    @property
    def is_ours(self) -> bool:
        """Whether the caller may cancel the job."""
        return self is not Ownership.FOREIGN


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


@dataclass(frozen=True, slots=True)
class AirbyteConnection:
    """
    One connection, from a source to a destination.

    :param name: For messages only; empty if missing or unreadable.
    :param status: ``active``, ``inactive``, ``deprecated`` (deleted) or ``locked``; more may come.
    """

    connection_id: str
    name: str
    status: str
    workspace_id: str
    source_id: str
    destination_id: str

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``ConnectionResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = _mapping(payload, "a connection")
        return cls(
            connection_id=_required(fields, "connectionId", str),
            name=_readable(fields, "name", str) or "",
            status=_required(fields, "status", str),
            workspace_id=_required(fields, "workspaceId", str),
            source_id=_required(fields, "sourceId", str),
            destination_id=_required(fields, "destinationId", str),
        )

    @property
    def is_active(self) -> bool:
        """Whether Airbyte runs syncs of it."""
        return self.status == "active"

    def __str__(self) -> str:
        return label(self.connection_id, self.name)


class Workspace(NamedTuple):
    """
    One workspace.

    :param name: Empty if missing or unreadable.
    """

    workspace_id: str
    name: str

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``WorkspaceResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = _mapping(payload, "a workspace")
        return cls(
            workspace_id=_required(fields, "workspaceId", str),
            name=_readable(fields, "name", str) or "",
        )


class Instance(NamedTuple):
    """
    What an Airbyte reports about itself without a token.

    :param version: Such as ``2.0.0``; ``None`` if it is not reported.
    :param edition: Such as ``community`` or ``enterprise``; ``None`` if it is not reported.
    """

    version: str | None = None
    edition: str | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse an ``InstanceConfigurationResponse``. Every field may be missing.

        :raises AirbyteDecodeError: It is not a JSON object.
        """
        fields = _mapping(payload, "an instance configuration")
        return cls(
            version=_readable(fields, "version", str), edition=_readable(fields, "edition", str)
        )


class JobFailure(NamedTuple):
    """
    Why a job failed, as the config API reports it.

    :param attempts: How many attempts Airbyte made.
    :param origin: Such as ``source``, ``destination`` or ``airbyte_platform``; may be empty.
    :param failure_type: Such as ``config_error`` or ``transient_error``; may be empty.
    :param message: The connector's message for people, in one line; may be empty.
    """

    attempts: int
    origin: str = ""
    failure_type: str = ""
    message: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``JobInfoRead``: the first failure of the newest attempt that reports one.

        Airbyte itself decides by the first failure of an attempt whether to retry:
        docs/airbyte-api.md §3.6.

        :raises AirbyteDecodeError: It is not a JSON object with attempts.
        """
        fields = _mapping(payload, "a job with its attempts")
        attempts = _required(fields, "attempts", list)
        for attempt in reversed(attempts):
            failures = _inner(_inner(_inner(attempt, "attempt"), "failureSummary"), "failures")
            first = failures[0] if isinstance(failures, list) and failures else None
            if isinstance(first, dict):
                message = _line(first, "externalMessage") or _line(first, "internalMessage")
                return cls(
                    attempts=len(attempts),
                    origin=_line(first, "failureOrigin"),
                    failure_type=_line(first, "failureType"),
                    message=message,
                )
        return cls(attempts=len(attempts))

    def __str__(self) -> str:
        attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        details = filter(None, (self.origin, self.failure_type, self.message))
        return ", ".join([attempts, *details])


def label(resource_id: str, name: str = "") -> str:
    """Return how messages name a resource: by its name, where known, and its id."""
    return f"{name!r} ({resource_id})" if name else resource_id


def _mapping(payload: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(payload, Mapping):
        raise AirbyteDecodeError(f"{what} must be a JSON object, not {type(payload).__name__}")
    return payload


def _required(fields: Mapping[str, Any], name: str, field_type: type[T]) -> T:
    value = fields.get(name)
    if value is None:
        raise AirbyteDecodeError(f"field {name!r} is missing")
    if not _is(value, field_type):
        # Without the value, which may be long and contain anything.
        raise AirbyteDecodeError(
            f"field {name!r} must be {field_type.__name__}, not {type(value).__name__}"
        )
    return cast("T", value)


def _readable(fields: Mapping[str, Any], name: str, field_type: type[T]) -> T | None:
    """Return a field that is only information; ``None`` if it cannot be read."""
    value = fields.get(name)
    return cast("T", value) if _is(value, field_type) else None


def _is(value: object, field_type: type) -> bool:
    return isinstance(value, field_type) and not isinstance(value, bool)


def _job_id(fields: Mapping[str, Any]) -> int:
    """Return the id; some JSON encoders write an int64 as a string, to keep it exact."""
    value = fields.get("jobId")
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    return _required(fields, "jobId", int)


def _inner(value: Any, name: str) -> Any:
    """Return a field of a value of any type: the config API may change."""
    return value.get(name) if isinstance(value, dict) else None


def _line(fields: Mapping[str, Any], name: str) -> str:
    """Return a text of a connector, which may quote secrets; empty if it cannot be read."""
    return excerpt(_readable(fields, name, str) or "")


def _timestamp(fields: Mapping[str, Any], name: str) -> datetime | None:
    at = _parsed(_readable(fields, name, str) or "")
    if isinstance(at, datetime):
        with suppress(OverflowError):
            return at.astimezone(UTC)
    return None


def _duration(fields: Mapping[str, Any], name: str) -> timedelta | None:
    # A negative one, as in PT-1S, is no ISO-8601: docs/airbyte-api.md §3.1.8.
    lasted = _parsed(_readable(fields, name, str) or "")
    return timedelta(seconds=lasted.total_seconds()) if isinstance(lasted, timedelta) else None


def _parsed(text: str) -> object:
    """Parse any ISO-8601 value; ``None`` if it is invalid."""
    # Late: Airflow has loaded pendulum already, and the emulator starts 0.1 s faster without it.
    import pendulum

    # pendulum reads "now" and a bare "PT" too, crashes on an incomplete interval, and lets a number
    # of more digits than any clock produces wrap around.
    if "/" in text or not re.search(r"\d", text) or re.search(r"\d{10}", text):
        return None
    try:
        return pendulum.parse(text, exact=True)
    except (ValueError, TypeError, OverflowError):
        return None
