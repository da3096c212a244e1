"""
The rules of a wait for a job: deadline, failure budget, when to read next, what changed.

Pure: no I/O and no clock of its own. A driver reads the job, passes the result and the time, logs
and sleeps. Times are seconds on the driver's own clock.
"""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.job_errors import AirbyteJobTimeoutError
from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.retry import is_outage

DEFAULT_POLL_INTERVAL = 10.0
# Seconds without one good response after which a wait gives up: enough for an upgrade of Airbyte.
FAILURE_BUDGET = 600.0
# Seconds between two reads during an outage, so that a wait with a long interval sees its end.
MAX_OUTAGE_PAUSE = 60.0


class Outage(NamedTuple):
    """
    The failure budget of consecutive reads without one good response.

    :param began: When the first of these reads began.
    :param poll_interval: Seconds between two reads.
    :param budget: Seconds after which to give up.
    """

    began: float
    poll_interval: float
    budget: float = FAILURE_BUDGET

    def next_read(self, error: AirbyteError, *, now: float) -> float | None:
        """
        Decide what follows a failed read.

        :return: Seconds until the next read; ``None`` to give up, because *error* is permanent or
            the budget is spent.
        """
        if not is_outage(error) or self._is_spent(now):
            return None
        return min(self.poll_interval, MAX_OUTAGE_PAUSE)

    def message(self, error: AirbyteError, *, now: float) -> str:
        """Return the warning about a failed read; empty if *error* is permanent."""
        if not is_outage(error):
            return ""
        lasted = duration_text(now - self.began)
        if self._is_spent(now):
            return f"No good response from Airbyte for {lasted}: giving up."
        return (
            f"No good response from Airbyte for {lasted}, giving up after "
            f"{duration_text(self.budget)}: {error}"
        )

    def _is_spent(self, now: float) -> bool:
        return now - self.began >= self.budget


class Wait(NamedTuple):
    """
    One wait for the end of a job.

    :param began: When the wait began.
    :param poll_interval: Seconds between two reads, above 0.
    :param timeout: Seconds to wait; ``None`` for no limit.
    :param failure_budget: Seconds without one good response after which to give up.
    :param connection_name: Name of the job's Airbyte connection, for messages; may be empty.
    """

    began: float
    poll_interval: float = DEFAULT_POLL_INTERVAL
    timeout: float | None = None
    failure_budget: float = FAILURE_BUDGET
    connection_name: str = ""

    def outage(self, *, now: float) -> Outage:
        """Return the failure budget of the reads that begin *now*."""
        return Outage(now, self.poll_interval, self.failure_budget)

    def next_read(self, job: Job, *, now: float) -> float | None:
        """
        Decide what follows a good read.

        :return: Seconds until the next read; ``None`` if the job has ended.
        :raises AirbyteJobTimeoutError: The job is still running and the time is over.
        """
        if job.is_terminal:
            return None
        if self.timeout is None:
            return self.poll_interval
        left = self.timeout - (now - self.began)
        if left <= 0:
            raise AirbyteJobTimeoutError(
                f"{job.describe(self.connection_name)} is still {job.status} after a wait of "
                f"{duration_text(self.timeout)}.",
                job=job,
            )
        return min(self.poll_interval, left)

    def change(self, job: Job, previous_status: str) -> str:
        """Return the message about a change of status; empty if there is none."""
        if job.status == previous_status:
            return ""
        return f"{job.describe(self.connection_name)}: {job.status}."


def duration_text(seconds: float) -> str:
    """Return a duration for people: ``2 h 10 min``, ``3 min 5 s``, ``12 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s"
