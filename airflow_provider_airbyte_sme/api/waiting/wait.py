"""
The rules of one wait: deadline, failure budget, when to read next.

Times are seconds on the driver's own clock.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.errors import AirbyteApiError, AirbyteError
from airflow_provider_airbyte_sme.api.job_errors import AirbyteJobTimeoutError
from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.retry import is_outage

DEFAULT_POLL_INTERVAL = 10.0
# Seconds without one good response after which a wait gives up: enough for an upgrade of Airbyte.
FAILURE_BUDGET = 600.0
# Seconds between two reads during an outage, so that a wait with a long interval sees its end.
MAX_OUTAGE_PAUSE = 60.0
# Seconds. A shorter rest of time counts as none: clocks are floating-point numbers.
_SHORTEST_PAUSE = 0.001


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

    @property
    def deadline(self) -> float:
        """When to give up."""
        return self.began + self.budget

    def next_read(self, error: AirbyteError, *, now: float) -> float | None:
        """
        Decide what follows a failed read.

        :return: Seconds until the next read, up to ``MAX_OUTAGE_PAUSE``; ``None`` to give up,
            because *error* is permanent or the budget is spent.
        """
        if not is_outage(error) or self._is_spent(now):
            return None
        pause = max(self.poll_interval, demanded_pause(error))
        return min(pause, MAX_OUTAGE_PAUSE, self.deadline - now)

    def message(self, error: AirbyteError, *, now: float) -> str:
        """Return the warning about a failed read; empty if *error* is permanent."""
        if not is_outage(error):
            return ""
        lasted = duration_text(now - self.began)
        if self._is_spent(now):
            return f"No good response for {lasted}: giving up."
        return (
            f"No good response for {lasted}, giving up after {duration_text(self.budget)}: {error}"
        )

    def _is_spent(self, now: float) -> bool:
        return self.deadline - now < _SHORTEST_PAUSE


class Wait(NamedTuple):
    """
    One wait for the end of a job.

    :param began: When the wait began.
    :param poll_interval: Seconds between two reads, above 0.
    :param timeout: Seconds to wait; ``None`` for no limit.
    :param failure_budget: Seconds without one good response after which to give up.
    :param connection_name: Name of the job's Airbyte connection, for messages; may be empty.
    :param elapsed_before: Seconds for which the job had existed when the wait began, for messages.
    :param usual_duration: Seconds that such a job usually takes, for messages; ``None`` if that
        is unknown.
    :param has_warned: Whether the log of the task says already that the job is slow.
    """

    began: float
    poll_interval: float = DEFAULT_POLL_INTERVAL
    timeout: float | None = None
    failure_budget: float = FAILURE_BUDGET
    connection_name: str = ""
    elapsed_before: float = 0.0
    usual_duration: float | None = None
    has_warned: bool = False

    @property
    def deadline(self) -> float:
        """When the time is over; infinite without a limit."""
        return math.inf if self.timeout is None else self.began + self.timeout

    def outage(self, *, now: float) -> Outage:
        """Return the failure budget of the reads that begin *now*, at most the time left."""
        left = self._left(now)
        return Outage(now, self.poll_interval, max(0.0, min(self.failure_budget, left)))

    def is_over(self, *, now: float) -> bool:
        """Whether the time is over."""
        return self._left(now) < _SHORTEST_PAUSE

    def is_over_after(self, error: AirbyteError, *, now: float) -> bool:
        """Whether the time ended in an outage, so that a timeout ends the wait, not *error*."""
        return is_outage(error) and self.is_over(now=now)

    def next_read(self, job: Job, *, now: float) -> float | None:
        """
        Decide what follows a good read.

        :return: Seconds until the next read; ``None`` if the job has ended.
        :raises AirbyteJobTimeoutError: The job is still running and the time is over.
        """
        if job.is_terminal:
            return None
        if self.is_over(now=now):
            raise self.timeout_error(job)
        return min(self.poll_interval, self._left(now))

    def raise_if_over(self, job: Job | None, error: AirbyteError, *, now: float) -> None:
        """
        Decide what an outage that was given up means.

        :param job: The job as last read; ``None`` if it was never read.
        :raises AirbyteJobTimeoutError: The time of the wait is over.
        """
        if job is not None and self.is_over_after(error, now=now):
            raise self.timeout_error(job, unreadable(error)) from error

    def _left(self, now: float) -> float:
        return self.deadline - now

    def timeout_error(self, job: Job, reason: str = "") -> AirbyteJobTimeoutError:
        """
        Return the error that ends the wait when its time is over.

        :param job: The job as last read.
        :param reason: What is added to the message.
        """
        return AirbyteJobTimeoutError(
            f"{job.describe(self.connection_name)} is still {job.status} and the time to wait for "
            f"it is over{reason.rstrip('.')}.",
            job=job,
        )

    def elapsed(self, *, now: float) -> float:
        """Return for how many seconds the job has existed."""
        return self.elapsed_before + now - self.began


def demanded_pause(error: AirbyteError) -> float:
    """Return the seconds for which Airbyte, a gateway or a CDN demands that nothing is sent."""
    demanded = (isinstance(error, AirbyteApiError) and error.retry_after) or 0.0
    return min(demanded, MAX_OUTAGE_PAUSE)


def unreadable(error: AirbyteError) -> str:
    """Return what a timeout during an outage adds to its message."""
    return f"; it could not be read any more: {error}"


def duration_text(seconds: float) -> str:
    """Return a duration for people: ``2 h 10 min``, ``3 min 5 s``, ``12 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s"
