"""
What is usual for a connection: the median of its last good jobs. The only place that decides that.

Pure: no I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

from airflow_provider_airbyte_sme.api.models import Job

USUAL_JOBS = 20
"""So many good jobs show what is usual: the last weeks of a daily sync."""

FEWEST_JOBS = 5
"""With fewer good jobs, nothing is decided by what is usual."""

FEWEST_JOBS_FOR_LINES = 3
"""With fewer good jobs, the log does not even mention what is usual."""


class History(NamedTuple):
    """
    The last good jobs of a connection before a certain one, of the same kind.

    :param jobs: The newest first, at most :data:`USUAL_JOBS`.
    """

    jobs: tuple[Job, ...] = ()

    @classmethod
    def before(cls, job: Job, jobs: Iterable[Job]) -> Self:
        """
        Return what of *jobs* counts: what succeeded, is of the type of *job*, and ended before it.

        Numbers decide, not clocks. Airbyte numbers jobs in the order of their creation, and runs
        one of a connection at a time (docs/airbyte-api.md §3.1.7, §3.2), so each that succeeded and
        has a lower number ended before *job* began.

        :param jobs: Of the connection of *job*, in any order.
        """
        good = {
            each.job_id: each
            for each in jobs
            if each.has_succeeded and each.job_type == job.job_type and each.job_id < job.job_id
        }
        return cls(tuple(good[number] for number in sorted(good, reverse=True)[:USUAL_JOBS]))

    def usual_duration(self, fewest: int = FEWEST_JOBS) -> float | None:
        """
        Return how many seconds such a job takes, from its creation to its end.

        :param fewest: So many durations must be known.
        :return: ``None`` if there are fewer.
        """
        lasted = [each.duration.total_seconds() for each in self.jobs if each.duration is not None]
        # A clock of Airbyte that is behind makes them negative.
        return _median((seconds for seconds in lasted if seconds > 0), fewest)

    def usual_rows(self, fewest: int = FEWEST_JOBS) -> float | None:
        """
        Return how many rows such a job syncs.

        A 0 counts, although Airbyte also reports it for a job of which it has no statistics
        (docs/airbyte-api.md §3.7.35): a source that often has nothing new is no reason for an
        alarm.

        :param fewest: Of so many jobs the rows must be known.
        :return: ``None`` if there are fewer.
        """
        return _median(
            (each.rows_synced for each in self.jobs if each.rows_synced is not None), fewest
        )


def _median(values: Iterable[float], fewest: int) -> float | None:
    """Return the median; ``None`` if there are fewer values than *fewest*."""
    ordered = sorted(values)
    if len(ordered) < fewest:
        return None
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2
