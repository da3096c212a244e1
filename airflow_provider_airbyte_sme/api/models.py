"""
The objects of Airbyte's API, as frozen values.

Each class reads the fields that this provider uses and ignores the others, so a newer server does
not break it. Statuses stay strings: Airbyte added ``queued`` in 2026 and will add more. Only this
module classifies statuses.

Fields: docs/airbyte-api.md §3.1 (job), §3.7 (failure), §4.3 (connection), §5.1 (workspace).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self, TypeVar

from airflow_provider_airbyte_sme.api.errors import AirbyteDecodeError, one_line

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

    :param status: As Airbyte returned it; :class:`JobStatus` names the known ones.
    :param started_at: When the job was created, UTC. Airbyte calls it ``startTime``.
    :param last_updated_at: When the job ended, UTC; ``None`` unless it is terminal.
    :param duration: From creation to the last update; ``None`` while the job is pending.
    :param bytes_synced: Committed bytes of all attempts; ``None`` in responses without counters,
        such as the one to a creation.
    :param rows_synced: Committed records of all attempts; ``None`` likewise.
    """

    job_id: int
    status: str
    job_type: str
    connection_id: str
    started_at: datetime
    last_updated_at: datetime | None = None
    duration: timedelta | None = None
    bytes_synced: int | None = None
    rows_synced: int | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse a ``JobResponse``.

        :raises AirbyteDecodeError: A required field is missing, or a field has the wrong type.
        """
        fields = _mapping(payload, "a job")
        return cls(
            job_id=_required(fields, "jobId", int),
            status=_required(fields, "status", str),
            job_type=_required(fields, "jobType", str),
            connection_id=_required(fields, "connectionId", str),
            started_at=_timestamp(_required(fields, "startTime", str), "startTime"),
            last_updated_at=(
                _timestamp(ended, "lastUpdatedAt")
                if (ended := _optional(fields, "lastUpdatedAt", str))
                else None
            ),
            duration=(
                _duration(lasted) if (lasted := _optional(fields, "duration", str)) else None
            ),
            bytes_synced=_optional(fields, "bytesSynced", int),
            rows_synced=_optional(fields, "rowsSynced", int),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields in Airbyte's format, which :meth:`from_json` parses."""
        fields: dict[str, Any] = {
            "jobId": self.job_id,
            "status": str(self.status),
            "jobType": str(self.job_type),
            "connectionId": self.connection_id,
            "startTime": self.started_at.isoformat(),
            "bytesSynced": self.bytes_synced,
            "rowsSynced": self.rows_synced,
        }
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
        """Whether the job writes records; a reset or clear deletes them."""
        return self.job_type not in (JobType.RESET, JobType.CLEAR)

    def is_of_type(self, job_type: str) -> bool:
        """Whether a request for *job_type* creates such a job: ``clear`` becomes ``reset``."""
        stored = JobType.RESET if job_type == JobType.CLEAR else job_type
        return self.job_type == stored

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
    """The result of creating a job: the job, and whether it is ours."""

    job: Job
    ownership: Ownership

    @property
    def job_id(self) -> int:
        """The job number."""
        return self.job.job_id


@dataclass(frozen=True, slots=True)
class AirbyteConnection:
    """
    One connection, from a source to a destination.

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
            name=_required(fields, "name", str),
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
    """One workspace."""

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
            name=_required(fields, "name", str),
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
            version=_optional(fields, "version", str), edition=_optional(fields, "edition", str)
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
                message = first.get("externalMessage") or first.get("internalMessage") or ""
                return cls(
                    attempts=len(attempts),
                    origin=str(first.get("failureOrigin") or ""),
                    failure_type=str(first.get("failureType") or ""),
                    message=one_line(str(message)),
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
    value = _optional(fields, name, field_type)
    if value is None:
        raise AirbyteDecodeError(f"field {name!r} is missing")
    return value


def _optional(fields: Mapping[str, Any], name: str, field_type: type[T]) -> T | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, field_type) or isinstance(value, bool):
        raise AirbyteDecodeError(
            f"field {name!r} must be {field_type.__name__}, not {one_line(repr(value))}"
        )
    return value


def _inner(value: Any, name: str) -> Any:
    """Return a field of a value of any type: the config API may change."""
    return value.get(name) if isinstance(value, dict) else None


def _timestamp(text: str, name: str) -> datetime:
    # Java omits zero seconds: 2026-03-25T01:30Z.
    parsed = _parsed(text)
    if isinstance(parsed, datetime):
        with suppress(OverflowError):
            return parsed.astimezone(UTC)
    raise AirbyteDecodeError(f"field {name!r} is not a valid timestamp: {one_line(text)!r}")


def _duration(text: str) -> timedelta:
    # Java counts days as hours: PT49H.
    parsed = _parsed(text)
    if isinstance(parsed, timedelta):
        return timedelta(seconds=parsed.total_seconds())
    raise AirbyteDecodeError(f"field 'duration' is not a valid duration: {one_line(text)!r}")


def _parsed(text: str) -> object:
    """Parse any ISO-8601 value; ``None`` if it is invalid."""
    # Late: Airflow has loaded pendulum already, and the emulator starts 0.1 s faster without it.
    import pendulum

    # "now" is an extension of pendulum's. Its parser of intervals crashes on an incomplete one.
    if text == "now" or "/" in text:
        return None
    try:
        return pendulum.parse(text, exact=True)
    except (ValueError, TypeError, OverflowError):
        return None
