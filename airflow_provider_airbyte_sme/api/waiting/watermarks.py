"""
How far a watcher has come with the successful jobs of one connection.

Times are those of Airbyte, never of Airflow: what was shown before, and is newer than the watermark
of :mod:`.changes`, is told apart by its id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Self

from airflow_provider_airbyte_sme.api.models import Job

CatchUp = Literal["latest", "all", "none"]
CATCH_UP: tuple[CatchUp, ...] = ("latest", "all", "none")
"""What a watcher does about jobs that ended while nobody watched: see :func:`caught_up`."""

# More ids than any connection has jobs in the time of which Airbyte's clocks leave doubt.
_MAX_REPORTED = 1000


class Watermark(NamedTuple):
    """
    How far a watcher has come.

    :param since: It has dealt with all jobs that ended before this instant; ``None``: no job had
        ended yet.
    :param newest_id: The highest job id that it has seen. It decides about a job of which Airbyte
        does not say when it ended.
    :param reported: Ids of the jobs that ended since then, and that it has dealt with.
    """

    since: datetime | None = None
    newest_id: int = 0
    reported: frozenset[int] = frozenset()

    def is_new(self, job: Job) -> bool:
        """Whether a successful job has not been dealt with."""
        if job.job_id in self.reported:
            return False
        if job.ended_at is None:
            return job.job_id > self.newest_id
        return self.since is None or job.ended_at >= self.since

    def moved(self, shown: Collection[Job], since: datetime | None, newest_id: int) -> Self:
        """
        Return the watermark after all jobs in *shown* have been dealt with.

        :param shown: All jobs of the connection that ended successfully at or after *since*.
        :param newest_id: The highest job id of any connection that was seen.
        """
        return self._replace(
            since=_later(self.since, since),
            newest_id=max(self.newest_id, newest_id),
            reported=frozenset(job.job_id for job in shown),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, for a store."""
        return {
            "since": None if self.since is None else self.since.astimezone(UTC).isoformat(),
            "newest_id": self.newest_id,
            "reported": sorted(self.reported)[-_MAX_REPORTED:],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """
        Parse what :meth:`to_json` returned.

        :raises ValueError: It is something else.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is no watermark")  # noqa: TRY004  what is stored, not an argument
        since, newest_id, reported = (
            value.get(each) for each in ("since", "newest_id", "reported")
        )
        if not isinstance(newest_id, int) or not isinstance(reported, list):
            raise ValueError(f"{value!r} is no watermark")  # noqa: TRY004  likewise
        instant = None if since is None else datetime.fromisoformat(str(since))
        if instant is not None and instant.tzinfo is None:
            raise ValueError(f"{since!r} has no time zone")
        return cls(instant, newest_id, frozenset(map(int, reported)))


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Return jobs in the order of their ends; in the same second, ids decide."""
    return sorted(jobs, key=_order)


def caught_up(jobs: list[Job], catch_up: CatchUp) -> list[Job]:
    """
    Return which of the jobs that ended while nobody watched are reported.

    :param jobs: In the order of their ends.
    :param catch_up: ``all``; ``latest``: the last one; ``none``.
    """
    if catch_up == "all":
        return jobs
    return jobs[-1:] if catch_up == "latest" else []


def _order(job: Job) -> tuple[bool, float, int]:
    ended_at = job.ended_at
    # One without a time is read when it is new.
    return (ended_at is None, 0.0 if ended_at is None else ended_at.timestamp(), job.job_id)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)
