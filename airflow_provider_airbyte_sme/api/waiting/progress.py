"""
What the log of a wait says while it goes on, and when: for each driver, and without I/O.

A line says what has changed. Others follow a gentle rhythm, and say how far the job is. They are
not bound to the reads, of which there are far more, or hours without one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.models import Job, JobDetails
from airflow_provider_airbyte_sme.api.waiting.wait import Wait, duration_text

# Seconds after the beginning of a wait. The first lines show that it works, later ones are for
# people who look back: 2 of a wait of ten minutes, 145 of one of 24 hours.
FIRST_LINES = (60.0, 300.0)
LINE_INTERVAL = 600.0
# A job is slow if it takes so many times as long as usual, and so many seconds longer: what usually
# takes seconds may wait for a free worker.
SLOW_FACTOR = 3.0
SLOW_MARGIN = 600.0
# Seconds after which counters are old enough to say so. Most poll intervals are shorter.
_OLD = 60.0
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def next_line(waited: float) -> float:
    """
    Return when the next line is due that tells of no change.

    :param waited: Seconds that the wait has lasted.
    :return: Likewise, and more.
    """
    for first in FIRST_LINES:
        if waited < first:
            return first
    return (math.floor(waited / LINE_INTERVAL) + 1) * LINE_INTERVAL


class Line(NamedTuple):
    """
    A line for the log of a wait.

    :param report: What it tells of, if it is worth a request to say more: :meth:`Report.text` then
        replaces *message*.
    """

    message: str
    is_warning: bool = False
    report: Report | None = None


class Report(NamedTuple):
    """
    How far a job is.

    :param job: As last read; it has not ended.
    :param now: The present, on the clock of *wait*.
    :param seen: When the job was read.
    :param is_again: Whether Airbyte has changed it, although its status is the same.
    """

    job: Job
    wait: Wait
    now: float
    seen: float
    is_again: bool = False

    def line(self) -> Line:
        """Return the line, and whether more may be said: what has just begun needs no details."""
        return Line(self.text(), report=self if self._has_lasted else None)

    @property
    def _has_lasted(self) -> bool:
        """Whether the wait has not just begun."""
        return self.now - self.wait.began >= FIRST_LINES[0]

    def text(self, details: JobDetails | None = None) -> str:
        """
        Return the line.

        :param details: The job in the config API, read just now; ``None`` if that is unknown.
        """
        again = " again" if self.is_again else ""
        attempt = ""
        if details is not None and details.attempts:
            attempt = f", attempt {details.attempts[-1].number + 1}"
        counters = self._counters(details)
        usual = self.wait.usual_duration
        usually = "" if usual is None else f", usually {duration_text(usual)}"
        return (
            f"{self.job.describe(self.wait.connection_name)} is {self.job.status}{again}{attempt}"
            f"{f': {counters}' if counters else ''}; "
            f"{duration_text(self.wait.elapsed(now=self.now))} elapsed{usually}."
        )

    def _counters(self, details: JobDetails | None) -> str:
        """Return what the job has done so far; empty if it has not begun, or if nobody counts."""
        job, age = self.job, self.now - self.seen
        rows, size = job.rows_synced, job.bytes_synced
        has_begun = job.duration is not None
        if details is not None and details.streams:
            rows = sum(stream.rows or 0 for stream in details.streams)
            size = sum(stream.bytes or 0 for stream in details.streams)
            age, has_begun = 0.0, True
        if not (job.moves_data and has_begun) or rows is None:
            return ""
        if not (rows or size or self._has_lasted):
            return ""
        done = f"{rows:,} rows" if rows else "no rows"
        if size:
            done += f", {size_text(size)}"
        done += f" {duration_text(age)} ago" if age > _OLD else " so far"
        read = (details and details.rows_read) or 0
        return f"{done}, {read:,} rows read" if read > rows else done

    @property
    def is_slow(self) -> bool:
        """Whether the job takes much longer than usual."""
        usual, elapsed = self.wait.usual_duration, self.wait.elapsed(now=self.now)
        return usual is not None and elapsed >= max(SLOW_FACTOR * usual, usual + SLOW_MARGIN)

    def slow_line(self) -> Line:
        """Return the warning about a job that takes much longer than usual."""
        return Line(
            f"{self.job.describe(self.wait.connection_name)} has taken "
            f"{duration_text(self.wait.elapsed(now=self.now))}, and takes "
            f"{duration_text(self.wait.usual_duration or 0.0)} as a rule. Look in Airbyte whether "
            f"its attempts fail and are repeated, whether it waits for a free worker, and whether "
            f"source or destination are slow.",
            is_warning=True,
        )


def size_text(size: int) -> str:
    """Return a number of bytes for people: ``310 MB``, ``15.9 kB``, ``0 B``."""
    value, units = float(size), iter(_UNITS)
    unit = next(units)
    while value >= 999.5 and unit != _UNITS[-1]:
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}"
