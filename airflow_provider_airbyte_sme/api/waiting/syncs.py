"""Which syncs of a connection have ended since an instant, and what ends a wait for one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Self

from airflow_provider_airbyte_sme.api.models import AirbyteConnection, Job

# Airbyte shows instants in whole seconds, rounded down: docs/airbyte-api.md §3.1.3.
_PRECISION = timedelta(seconds=1)


class SyncsSince(NamedTuple):
    """
    The newest syncs of a connection that ended since an instant.

    :param succeeded: The newest that succeeded.
    :param unsuccessful: The newest that failed or was cancelled.
    """

    succeeded: Job | None = None
    unsuccessful: Job | None = None

    def with_job(self, job: Job) -> Self:
        """
        Return the same with another sync that ended since then; any other job changes nothing.

        Of two jobs, the one that ended later is the newer one, then the one with the higher id:
        the order in which a server lists them does not matter.
        """
        if not job.is_sync or not job.is_terminal:
            return self
        if job.has_succeeded:
            return self._replace(succeeded=_newer(self.succeeded, job))
        return self._replace(unsuccessful=_newer(self.unsuccessful, job))

    def decisive(self, fail_on_failed_sync: bool) -> Job | None:
        """
        Return the job that ends the wait; ``None`` if it goes on.

        A success ends it, also if another sync failed.

        :param fail_on_failed_sync: Whether a failed or cancelled sync ends it too.
        """
        if self.succeeded is None and fail_on_failed_sync:
            return self.unsuccessful
        return self.succeeded


def ended_since(job: Job, instant: datetime) -> bool | None:
    """
    Whether *job* is a sync that ended at or after *instant*.

    :param instant: With a time zone.
    :return: ``None`` if the whole seconds that Airbyte shows cannot tell: the job ended in the same
        second. A job whose end cannot be read did not.
    """
    ended_at = job.ended_at
    if ended_at is None or not job.is_sync:
        return False
    if ended_at >= instant:
        return True
    # A later fraction of this second was left out. Subtracted, because adding may overflow.
    return None if instant - ended_at < _PRECISION else False


def inactive_text(connection: AirbyteConnection) -> str:
    """Return the warning about a wait for a sync of a connection that is not active."""
    return f"Connection {connection} is {connection.status}: Airbyte starts no sync of it."


def _newer(one: Job | None, other: Job) -> Job:
    return other if one is None else max(one, other, key=_recency)


def _recency(job: Job) -> tuple[float, int]:
    ended_at = job.ended_at
    return (0.0 if ended_at is None else ended_at.timestamp(), job.job_id)
