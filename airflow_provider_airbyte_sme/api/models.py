"""
What Airbyte says, as frozen values.

Each class reads the fields that this provider uses and ignores the others, so a newer server is
no trouble. Statuses stay strings: Airbyte added ``queued`` in 2026 and will add more. This module
is the only one that says what a status means.

Field by field: airbyte-platform ``JobResponseMapper.kt``, ``ConnectionReadMapper.kt``,
``WorkspaceResponseMapper.kt``, ``JobConverter.kt``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypeVar

from airflow_provider_airbyte_sme.api.errors import AirbyteDecodeError, one_line

T = TypeVar("T")


class JobStatus(StrEnum):
    """The statuses known today. Source: airbyte-platform ``JobStatus.kt``."""

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

    A job created as ``clear`` is stored, and answered, as ``reset``.
    Source: airbyte-platform ``DefaultJobCreator.kt``.
    """

    SYNC = "sync"
    RESET = "reset"
    REFRESH = "refresh"
    CLEAR = "clear"


TERMINAL_STATUSES = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Job:
    """
    One job as the public API tells it.

    :param status: What Airbyte said; :class:`JobStatus` names the known ones.
    :param started_at: When the job was created, UTC. Airbyte calls it ``startTime``.
    :param last_updated_at: When it ended, UTC; only a terminal job has it.
    :param duration: From creation to the last change; a pending job has none.
    :param bytes_synced: Committed bytes of all attempts; ``None`` where the answer has no counters,
        as that to a creation.
    :param rows_synced: Committed records of all attempts, likewise.
    :param adopted: Whether the job was there before the request that was to create it. Not in
        Airbyte's answer: the client finds it out.
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
    adopted: bool = False

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Read ``JobResponse``.

        :raises AirbyteDecodeError: A field that must be there is not, or is of another kind.
        """
        fields = _mapping(payload, "a job")
        return cls(
            job_id=_required(fields, "jobId", int),
            status=_required(fields, "status", str),
            job_type=_required(fields, "jobType", str),
            connection_id=_required(fields, "connectionId", str),
            started_at=_instant(_required(fields, "startTime", str), "startTime"),
            last_updated_at=(
                _instant(ended, "lastUpdatedAt")
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
        """Return the fields in Airbyte's own form, so that :meth:`from_json` reads them back."""
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
        """Whether the job has ended. A status nobody has heard of has not."""
        return self.status in TERMINAL_STATUSES

    @property
    def has_succeeded(self) -> bool:
        """Whether the job has ended well."""
        return self.status == JobStatus.SUCCEEDED

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody ended the job."""
        return self.status == JobStatus.CANCELLED

    @property
    def moves_data(self) -> bool:
        """Whether the job brings records; one that clears or resets takes them away."""
        return self.job_type not in (JobType.RESET, JobType.CLEAR)

    def is_of_type(self, job_type: str) -> bool:
        """Whether the job answers a request for *job_type*: ``clear`` is stored as ``reset``."""
        stored = JobType.RESET if job_type == JobType.CLEAR else job_type
        return self.job_type == stored


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
        Read ``ConnectionResponse``.

        :raises AirbyteDecodeError: A field that must be there is not, or is of another kind.
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

    def __str__(self) -> str:
        return f"{self.name!r} ({self.connection_id})"


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace."""

    workspace_id: str
    name: str

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Read ``WorkspaceResponse``.

        :raises AirbyteDecodeError: A field that must be there is not, or is of another kind.
        """
        fields = _mapping(payload, "a workspace")
        return cls(
            workspace_id=_required(fields, "workspaceId", str),
            name=_required(fields, "name", str),
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """
    What an Airbyte says of itself without being asked who is there.

    :param version: As ``2.0.0``; ``None`` where it does not say.
    :param edition: ``community``, ``enterprise`` and the like; ``None`` where it does not say.
    """

    version: str | None = None
    edition: str | None = None

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Read ``InstanceConfigurationResponse``, of which every field may be missing.

        :raises AirbyteDecodeError: It is no JSON object.
        """
        fields = _mapping(payload, "an instance configuration")
        return cls(
            version=_optional(fields, "version", str), edition=_optional(fields, "edition", str)
        )


@dataclass(frozen=True, slots=True)
class JobFailure:
    """
    Why a job failed, as the config API tells it.

    :param attempts: How often Airbyte tried.
    :param origin: ``source``, ``destination``, ``airbyte_platform`` and the like, or empty.
    :param kind: ``config_error``, ``transient_error`` and the like, or empty.
    :param message: What the connector says to people, in one line, or empty.
    """

    attempts: int
    origin: str = ""
    kind: str = ""
    message: str = ""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Read ``JobInfoRead``: the first failure of the newest attempt that tells one.

        Airbyte itself goes by the first failure of an attempt when it decides about a retry
        (airbyte-platform ``ConnectionManagerWorkflowImpl.kt``).

        :raises AirbyteDecodeError: It is no JSON object with attempts.
        """
        fields = _mapping(payload, "a job with its attempts")
        attempts = _required(fields, "attempts", list)
        for attempt in reversed(attempts):
            failures = _inner(_inner(_inner(attempt, "attempt"), "failureSummary"), "failures")
            first = failures[0] if isinstance(failures, list) and failures else None
            if isinstance(first, dict):
                said = first.get("externalMessage") or first.get("internalMessage") or ""
                return cls(
                    attempts=len(attempts),
                    origin=str(first.get("failureOrigin") or ""),
                    kind=str(first.get("failureType") or ""),
                    message=one_line(str(said)),
                )
        return cls(attempts=len(attempts))

    def __str__(self) -> str:
        tried = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return ", ".join([tried, *filter(None, (self.origin, self.kind, self.message))])


def _mapping(payload: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(payload, Mapping):
        raise AirbyteDecodeError(f"{what} should be a JSON object, not {type(payload).__name__}")
    return payload


def _required(fields: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = _optional(fields, name, kind)
    if value is None:
        raise AirbyteDecodeError(f"field {name!r} is missing")
    return value


def _optional(fields: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise AirbyteDecodeError(
            f"field {name!r} should be {kind.__name__}, not {one_line(repr(value))}"
        )
    return value


def _inner(value: Any, name: str) -> Any:
    """Look into what may be of any kind: the config API may change."""
    return value.get(name) if isinstance(value, dict) else None


def _instant(text: str, name: str) -> datetime:
    # Java drops the seconds when they are zero: 2026-03-25T01:30Z.
    parsed = _parsed(text)
    if isinstance(parsed, datetime):
        with suppress(OverflowError):
            return parsed.astimezone(UTC)
    raise AirbyteDecodeError(f"field {name!r} is no instant: {one_line(text)!r}")


def _duration(text: str) -> timedelta:
    # Java counts days as hours: PT49H.
    parsed = _parsed(text)
    if isinstance(parsed, timedelta):
        return timedelta(seconds=parsed.total_seconds())
    raise AirbyteDecodeError(f"field 'duration' is no duration: {one_line(text)!r}")


def _parsed(text: str) -> object:
    """Read ISO-8601 as what it is; ``None`` where it is none."""
    # Airflow has loaded it already; the emulator's start need not wait 0.1 s for it.
    import pendulum

    # A word of pendulum's own, and intervals, whose parser stumbles over half of one.
    if text == "now" or "/" in text:
        return None
    try:
        return pendulum.parse(text, exact=True)
    except (ValueError, TypeError, OverflowError):
        return None
