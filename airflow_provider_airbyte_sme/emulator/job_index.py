"""Jobs in the orders and groups that lists ask for, so that a list does not look at all jobs."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence

from airflow_provider_airbyte_sme.emulator.world import Job

# The first and the last instant of a list, inclusive, in seconds since the epoch; `None`: no limit.
Period = tuple[float | None, float | None]

_ALWAYS: Period = (None, None)


class JobIndex:
    """
    The jobs of one world, ordered by their creation and by their last update.

    Jobs of the same instant are ordered by id. Whoever creates or updates a job says so with
    :meth:`add` and :meth:`update`.

    :param jobs: All jobs by id. The mapping is kept, and must have a job before it is added here.
    """

    def __init__(self, jobs: Mapping[int, Job]) -> None:
        self._jobs = jobs
        self._of_connection: dict[str, list[Job]] = {}
        self._created = sorted((job.created_at, job.id) for job in jobs.values())
        self._updated = sorted((job.updated_at, job.id) for job in jobs.values())
        for job in jobs.values():
            self._of_connection.setdefault(job.connection_id, []).append(job)

    def add(self, job: Job) -> None:
        """Add a new job."""
        self._of_connection.setdefault(job.connection_id, []).append(job)
        insort(self._created, (job.created_at, job.id))
        insort(self._updated, (job.updated_at, job.id))

    def update(self, job: Job, updated_at: float) -> None:
        """Set the time of the last update of *job*, in seconds since the epoch."""
        del self._updated[bisect_left(self._updated, (job.updated_at, job.id))]
        job.updated_at = updated_at
        insort(self._updated, (updated_at, job.id))

    def of_connection(self, connection_id: str) -> Sequence[Job]:
        """Return the jobs of a connection, the oldest first."""
        return self._of_connection.get(connection_id, ())

    def by_creation(self, period: Period = _ALWAYS, *, newest_first: bool = False) -> Iterator[Job]:
        """Yield the jobs that were created in *period*."""
        return self._within(self._created, period, newest_first)

    def by_update(self, period: Period = _ALWAYS, *, newest_first: bool = False) -> Iterator[Job]:
        """Yield the jobs whose last update was in *period*."""
        return self._within(self._updated, period, newest_first)

    def _within(
        self, entries: list[tuple[float, int]], period: Period, newest_first: bool
    ) -> Iterator[Job]:
        start, end = period
        first = 0 if start is None else bisect_left(entries, (start, 0))
        last = len(entries) if end is None else bisect_right(entries, (end, sys.maxsize))
        positions = range(first, last)
        for position in reversed(positions) if newest_first else positions:
            yield self._jobs[entries[position][1]]
