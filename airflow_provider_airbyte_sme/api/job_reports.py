"""What a task says about the attempts of a job, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteConfigApiError,
    AirbyteError,
    one_line,
)
from airflow_provider_airbyte_sme.api.models import Attempt, Job, JobDetails, StreamCounters

# The newest attempts, and the first failures of each. A connection may have hundreds of streams.
_MAX_ATTEMPTS = 20
_MAX_FAILURES = 10
_MAX_STREAMS = 10


def reason_text(details: JobDetails) -> str:
    """Return why the job failed in one line: number of attempts, origin, type, stream, message."""
    return ", ".join(
        filter(None, (_count(len(details.attempts), "attempt"), str(details.cause or "")))
    )


def attempt_lines(details: JobDetails) -> Iterator[str]:
    """Yield one line for each failure of each attempt, the oldest first."""
    if left_out := len(details.attempts[:-_MAX_ATTEMPTS]):
        yield f"{_count(left_out, 'earlier attempt')} left out."
    for attempt in details.attempts[-_MAX_ATTEMPTS:]:
        yield from _lines(attempt, len(details.attempts))


def _lines(attempt: Attempt, total: int) -> Iterator[str]:
    # People count attempts from 1, and so does Airbyte's UI.
    head = f"attempt {attempt.number + 1} of {total}"
    rows = "" if attempt.rows is None else f" with {_count(attempt.rows, 'row')}"
    if not attempt.failures:
        yield f"{head} {attempt.status or 'ended'}{rows}, and gives no reason."
    for failure in attempt.failures[:_MAX_FAILURES]:
        reason = str(failure).rstrip(".") or "no reason given"
        yield f"{head} {attempt.status or 'ended'}{rows}: {reason}."
    if left_out := len(attempt.failures[_MAX_FAILURES:]):
        yield f"{head} has {_count(left_out, 'more failure')}."


def arrived_text(job: Job, details: JobDetails | None) -> str:
    """
    Say that a job that did not succeed has committed data; empty if it has not.

    :param details: ``None`` if they could not be read.
    """
    said = "Part of its data has arrived"
    if details is None:
        return f"{said}." if job.rows_synced else ""
    if streams := [stream for stream in details.streams if stream.rows]:
        return f"{said}: {streams_text(streams)}."
    partial = [attempt for attempt in details.attempts if attempt.has_partial_success]
    if job.rows_synced or not partial:
        return f"{said}." if job.rows_synced or details.rows else ""
    rows = sum(attempt.rows or 0 for attempt in partial)
    return f"{said}: {rows_text(rows)}." if rows else f"{said}."


def streams_text(streams: Sequence[StreamCounters]) -> str:
    """Return the rows of each stream, of the first ones at least."""
    texts = [
        f"{rows_text(stream.rows)} of {one_line(stream.full_name)!r}"
        for stream in streams[:_MAX_STREAMS]
    ]
    if others := len(streams[_MAX_STREAMS:]):
        texts.append(f"{_count(others, 'more stream')}")
    return ", ".join(texts)


def rows_text(rows: int | None) -> str:
    """Return a number of rows for messages; ``None``: they were not counted."""
    return "no row count" if rows is None else _count(rows, "row")


def closed_text(error: AirbyteError) -> str:
    """
    Return in plain words why the attempts of jobs cannot be read, and what to do.

    :param error: See :func:`.retry.is_closed`.
    """
    if isinstance(error, AirbyteConfigApiError):
        return str(error)
    is_airbytes = isinstance(error, AirbyteApiError) and error.problem.from_airbyte
    if is_airbytes:
        return f"Airbyte's config API does not let this task read the attempts of jobs: {error}"
    said = f"{error.summary}." if isinstance(error, AirbyteApiError) else str(error)
    return (
        f"Airbyte's config API is closed, so the attempts of jobs cannot be read: {said} If an "
        f"ingress or gateway lets only the public API pass, let it pass POST "
        f"/api/v1/jobs/get_without_logs and POST /api/v1/attempt/get_for_job too, or set "
        f"config_api of the Airflow connection to false."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
