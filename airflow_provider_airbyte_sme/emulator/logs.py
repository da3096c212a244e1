"""The log of an attempt, for the config API and for the page of a job."""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_airbyte_sme.emulator.world import Job


class LogLine(NamedTuple):
    """
    One line of a log.

    :param at: In seconds since the epoch.
    :param level: ``info`` or ``error``.
    """

    at: float
    level: str
    message: str


def log_lines(job: Job, number: int) -> list[LogLine]:
    """Return the log of attempt *number* of *job*, the oldest line first."""
    attempt = job.attempts[number]
    lines = [LogLine(attempt.created_at, "info", f"Attempt {number} of job {job.id} started")]
    if attempt.ended_at is None:
        return lines
    ended_at = attempt.ended_at
    lines += [LogLine(ended_at, "info", message) for message in job.plan.log]
    lines += [LogLine(ended_at, "error", failure.message) for failure in attempt.failures]
    ends = f"Committed {attempt.rows} records", f"Attempt {number} of job {job.id} {attempt.status}"
    return lines + [LogLine(ended_at, "info", message) for message in ends]
