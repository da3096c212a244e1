"""
What only the config API knows about a job: its attempts, their failures, and counters of streams.

That API is internal and may change, so whatever cannot be read counts as missing. Fields:
docs/airbyte-api.md §3.7.17 (job), §3.7.18 (attempt), §3.7.19 (failure).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple, Self

from airflow_provider_airbyte_sme.api.models.fields import (
    entries,
    inner,
    instant,
    line,
    mapping,
    readable,
    required,
)


class AttemptFailure(NamedTuple):
    """
    One reason why an attempt failed.

    :param origin: Such as ``source``, ``destination`` or ``airbyte_platform``; may be empty.
    :param failure_type: Such as ``config_error`` or ``transient_error``; may be empty.
    :param message: The connector's message for people, in one line; may be empty.
    :param stream: Name of the stream that failed; empty if the failure is not about one.
    :param namespace: Namespace of that stream; ``None`` if it has none.
    """

    origin: str = ""
    failure_type: str = ""
    message: str = ""
    stream: str = ""
    namespace: str | None = None

    @classmethod
    def from_json(cls, payload: Any, secrets: Iterable[str] = ()) -> Self:
        """
        Parse a ``FailureReason``.

        :param secrets: What the message must not contain: see :func:`.scrubbing.scrub`.
        :raises AirbyteDecodeError: It is not a JSON object.
        """
        fields = mapping(payload, "a failure")
        stream = inner(fields, "streamDescriptor") or {}
        return cls(
            origin=line(fields, "failureOrigin"),
            failure_type=line(fields, "failureType"),
            message=line(fields, "externalMessage", secrets)
            or line(fields, "internalMessage", secrets),
            stream=line(stream, "name") if isinstance(stream, dict) else "",
            namespace=(line(stream, "namespace") or None) if isinstance(stream, dict) else None,
        )

    def __str__(self) -> str:
        name = f"{self.namespace}.{self.stream}" if self.namespace else self.stream
        stream = f"stream {name}" if self.stream else ""
        return ", ".join(filter(None, (self.origin, self.failure_type, stream, self.message)))


class Attempt(NamedTuple):
    """
    One attempt of a job.

    :param number: Counted from 0, as the config API does.
    :param status: ``running``, ``failed`` or ``succeeded``; may be empty.
    :param failures: Why it failed, the cause first.
    :param rows: Records that it committed; ``None`` while it runs, or if it has no statistics.
    :param has_partial_success: Whether it failed after it had committed data.
    :param created_at: When it began, UTC; ``None`` if that cannot be read.
    """

    number: int
    status: str = ""
    failures: tuple[AttemptFailure, ...] = ()
    rows: int | None = None
    has_partial_success: bool = False
    created_at: datetime | None = None

    @classmethod
    def from_json(cls, payload: Any, number: int, secrets: Iterable[str] = ()) -> Self:
        """
        Parse an ``AttemptRead``.

        :param number: Its place in the list of attempts, if it does not say its number.
        :param secrets: What no message may contain: see :func:`.scrubbing.scrub`.
        :raises AirbyteDecodeError: It is not a JSON object.
        """
        fields = mapping(payload, "an attempt")
        summary = inner(fields, "failureSummary")
        given = readable(fields, "id", int)
        totals = inner(fields, "totalStats")
        return cls(
            number=number if given is None else given,
            status=line(fields, "status"),
            failures=tuple(
                AttemptFailure.from_json(each, secrets)
                for each in entries(inner(summary, "failures"))
                if isinstance(each, dict)
            ),
            rows=readable(totals, "recordsCommitted", int) if isinstance(totals, dict) else None,
            has_partial_success=inner(summary, "partialSuccess") is True,
            created_at=instant(fields, "createdAt"),
        )


class StreamCounters(NamedTuple):
    """
    What a job has committed of one stream, in all attempts.

    :param namespace: The source's own; ``None`` if it has none.
    :param rows: Records; ``None`` if Airbyte has no statistics.
    :param bytes: Bytes; ``None`` likewise.
    """

    name: str
    namespace: str | None = None
    rows: int | None = None
    bytes: int | None = None

    @property
    def full_name(self) -> str:
        """The name after the namespace, if it has one."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


class JobDetails(NamedTuple):
    """
    A job, as the config API reports it.

    :param attempts: The oldest first.
    :param streams: Counters of the streams for which Airbyte has statistics.
    :param rows_read: Records that the source has delivered, also what is not committed yet.
    """

    attempts: tuple[Attempt, ...] = ()
    streams: tuple[StreamCounters, ...] = ()
    rows_read: int | None = None

    @property
    def rows(self) -> int | None:
        """
        Records that the job has committed, or at least so many; ``None``: there are no statistics.

        Airbyte stores the counters of streams while they are read, and those of an attempt at its
        end: of a short job there may be only those of the attempt (docs/airbyte-api.md §3.7.36).
        """
        of_streams = [stream.rows for stream in self.streams if stream.rows is not None]
        counted = [sum(of_streams)] if of_streams else []
        if self.attempts and (of_last := self.attempts[-1].rows) is not None:
            counted.append(of_last)
        return max(counted, default=None)

    @property
    def cause(self) -> AttemptFailure | None:
        """
        Why the job failed: the first failure of the newest attempt that reports one.

        Airbyte itself decides by the first failure of an attempt whether to retry:
        docs/airbyte-api.md §3.6.3.
        """
        failed = self.last_failed_attempt
        return failed.failures[0] if failed else None

    @property
    def last_failed_attempt(self) -> Attempt | None:
        """The newest attempt that reports a failure."""
        return next((each for each in reversed(self.attempts) if each.failures), None)

    @classmethod
    def from_json(cls, payload: Any, secrets: Iterable[str] = ()) -> Self:
        """
        Parse a ``JobInfoRead`` of ``jobs/get_without_logs``.

        :param secrets: What no message may contain: see :func:`.scrubbing.scrub`.
        :raises AirbyteDecodeError: It is not a JSON object with attempts.
        """
        fields = mapping(payload, "a job with its attempts")
        secrets = tuple(secrets)
        attempts = [
            Attempt.from_json(attempt, number, secrets)
            for number, each in enumerate(required(fields, "attempts", list))
            if isinstance(attempt := inner(each, "attempt"), dict)
        ]
        counters = entries(inner(inner(fields, "job"), "streamAggregatedStats"))
        streams = [
            StreamCounters(
                name=name,
                namespace=readable(each, "streamNamespace", str),
                rows=readable(each, "recordsCommitted", int),
                bytes=readable(each, "bytesCommitted", int),
            )
            for each in counters
            if isinstance(each, dict) and (name := readable(each, "streamName", str))
        ]
        totals = inner(inner(fields, "job"), "aggregatedStats")
        rows_read = readable(totals, "recordsEmitted", int) if isinstance(totals, dict) else None
        return cls(tuple(attempts), tuple(streams), rows_read)
