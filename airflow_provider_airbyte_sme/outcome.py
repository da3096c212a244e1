"""How the end of a job becomes the end of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Self, get_args

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.job_errors import (
    AirbyteJobTimeoutError,
    AirbyteSyncTimeoutError,
)
from airflow_provider_airbyte_sme.api.models import Job, Ownership
from airflow_provider_airbyte_sme.api.retry import is_permanent

EventOutcome = Literal["finished", "timeout", "error", "slow"]


class TrackedJob(NamedTuple):
    """
    A job, with what a task needs to know about it from its start to its end.

    :param ownership: Whether it is ours; a foreign job is never cancelled.
    :param deadline: When all waiting of the task ends, in seconds since the epoch.
    :param job_url: Page of the job in Airbyte's UI; may be empty.
    :param connection_name: Name of its Airbyte connection, for messages; may be empty.
    """

    job: Job
    ownership: Ownership
    deadline: float
    job_url: str = ""
    connection_name: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether the task may cancel the job."""
        return self.ownership.is_ours

    def age(self, now: float) -> float:
        """
        Return for how many seconds the job has existed, for messages.

        One that the task has just started is new, whatever the clocks of Airbyte and Airflow say.

        :param now: Seconds since the epoch.
        """
        began = self.job.started_at
        if began is None or self.ownership.is_new:
            return 0.0
        return max(0.0, now - began.timestamp())

    def with_job(self, job: Job) -> Self:
        """Return the same with the job as read later."""
        return self._replace(job=job)

    def __str__(self) -> str:
        return self.job.describe(self.connection_name)

    def result(self) -> dict[str, Any]:
        """
        Return the result of the task: plain values, the same keys in every mode.

        ``started_at`` and ``ended_at`` are ISO-8601 in UTC, ``duration_seconds`` is a number.
        """
        duration = self.job.duration
        return {
            **job_values(self.job),
            "duration_seconds": None if duration is None else duration.total_seconds(),
            "adopted": not self.is_ours,
            "job_url": self.job_url,
        }


def job_values(job: Job) -> dict[str, Any]:
    """
    Return what Airflow is told of a job: plain values, the same keys for every job.

    ``started_at`` and ``ended_at`` are ISO-8601 in UTC.
    """
    return {
        "job_id": job.job_id,
        "status": str(job.status),
        "job_type": str(job.job_type),
        "connection_id": job.connection_id,
        "rows_synced": job.rows_synced,
        "bytes_synced": job.bytes_synced,
        "started_at": None if job.started_at is None else job.started_at.isoformat(),
        "ended_at": None if job.ended_at is None else job.ended_at.isoformat(),
    }


class SlowAlarm(NamedTuple):
    """
    When a job that is still running counts as slow.

    :param at: In seconds since the epoch, by Airflow's clock.
    :param limit: The limit that it then exceeds, for messages.
    """

    at: float
    limit: str

    def is_due(self, now: float) -> bool:
        """Whether the job is slow, if it is still running *now*."""
        return now >= self.at


class Pace(NamedTuple):
    """
    How long a job has taken, and how long it may take.

    :param began_at: When it was created, in seconds since the epoch, by Airflow's clock.
    :param usual_duration: Seconds that such a job usually takes; ``None`` if that is unknown.
    :param alarm: When it counts as slow; ``None``: never, or that was told already.
    :param has_warned: Whether the log of the task says already that it is slow.
    """

    began_at: float
    usual_duration: float | None = None
    alarm: SlowAlarm | None = None
    has_warned: bool = False

    def elapsed(self, now: float) -> float:
        """Return for how many seconds the job has existed."""
        return max(0.0, now - self.began_at)

    def after_alarm(self) -> Self:
        """Return the same once the alarm was raised."""
        return self._replace(alarm=None, has_warned=True)


def no_job_result(connection_id: str) -> dict[str, Any]:
    """Return the result of a task that found no job: the keys of :meth:`TrackedJob.result`."""
    job = TrackedJob(Job(0, "absent", connection_id), Ownership.FOREIGN, 0.0)
    return {**job.result(), "job_id": None, "job_type": None, "adopted": False, "job_url": ""}


class JobEvent(NamedTuple):
    """
    The end of a wait, as it passes from the triggerer to the worker.

    It contains everything that the worker needs to continue: ``dag.test()`` passes nothing else.

    :param outcome: ``finished``: the job is terminal, successful or not. ``timeout``: it is still
        running at the deadline, or none has ended the wait by then. ``error``: it could not be
        watched any longer. ``slow``: it is still running at the instant of its :class:`SlowAlarm`,
        and the wait is not over.
    :param tracked: The job as last read; ``None`` with ``error``, and with ``timeout`` if the wait
        was not for a certain job.
    :param message: What failed; empty with ``finished``; with ``slow`` the limit that was exceeded.
    :param permanent: Whether a retry of the task would fail again.
    :param pace: What is known of how long the job takes; only with ``slow``.
    """

    outcome: EventOutcome
    tracked: TrackedJob | None = None
    message: str = ""
    permanent: bool = False
    pace: Pace | None = None

    def to_payload(self) -> dict[str, Any]:
        """Return plain values, as Airflow stores them."""
        payload: dict[str, Any] = {
            "outcome": self.outcome,
            "message": self.message,
            "permanent": self.permanent,
        }
        if self.tracked is not None:
            payload |= {
                "job": self.tracked.job.to_json(),
                "ownership": str(self.tracked.ownership),
                "deadline": self.tracked.deadline,
                "job_url": self.tracked.job_url,
                "connection_name": self.tracked.connection_name,
            }
        if self.pace is not None:
            payload |= {
                "job_began_at": self.pace.began_at,
                "usual_duration": self.pace.usual_duration,
            }
        return payload

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any] | None) -> Self:
        """
        Parse what :meth:`to_payload` returned.

        :raises ValueError: It is something else: a lost event must not look like a success.
        """
        outcome: Any = payload.get("outcome") if isinstance(payload, Mapping) else None
        if payload is None or outcome not in get_args(EventOutcome):
            raise ValueError(f"the trigger sent an event that this version cannot read: {payload}")
        tracked = None
        if payload.get("job") is not None:
            tracked = TrackedJob(
                job=Job.from_json(payload["job"]),
                ownership=Ownership(payload["ownership"]),
                deadline=float(payload["deadline"]),
                job_url=str(payload["job_url"]),
                connection_name=str(payload["connection_name"]),
            )
        elif outcome in ("finished", "slow"):
            raise ValueError(f"the trigger sent an event without its job: {payload}")
        return cls(
            outcome=outcome,
            tracked=tracked,
            message=str(payload["message"]),
            permanent=bool(payload["permanent"]),
            pace=(
                Pace(float(payload["job_began_at"]), payload["usual_duration"])
                if outcome == "slow"
                else None
            ),
        )

    @property
    def is_slow(self) -> bool:
        """Whether the wait goes on after an alarm."""
        return self.outcome == "slow"

    def last_read_job(self) -> TrackedJob:
        """
        Return the job as last read, ended or not.

        :raises AirbyteSyncTimeoutError: There is none at the deadline.
        :raises AirbyteError: It could not be watched any longer.
        :raises AirflowFailException: Likewise, and a retry of the task would fail again.
        """
        if self.tracked is not None and self.outcome != "error":
            return self.tracked
        if self.outcome == "timeout":
            raise AirbyteSyncTimeoutError(self.message)
        if self.permanent:
            raise AirflowFailException(self.message)
        raise AirbyteError(self.message)

    def ended_job(self) -> TrackedJob:
        """
        Return the job that has ended.

        :raises AirbyteJobTimeoutError: It was still running at the deadline.
        :raises AirbyteSyncTimeoutError: There is none at the deadline.
        :raises AirbyteError: It could not be watched any longer.
        :raises AirflowFailException: Likewise, and a retry of the task would fail again.
        :raises ValueError: It has not ended, because the wait goes on.
        """
        tracked = self.last_read_job()
        if self.is_slow:
            raise ValueError(f"{tracked} has not ended: the wait for it goes on after its alarm.")
        if self.outcome == "timeout":
            raise AirbyteJobTimeoutError(self.message, job=tracked.job)
        return tracked


class Pause(NamedTuple):
    """
    A pause before the next attempt to start a job, as it passes through the triggerer.

    :param deadline: When all waiting of the task ends, in seconds since the epoch.
    :param unseen_since: Since when Airbyte says that a job is running, but lists none.
    :param connection_id: UUID of the Airbyte connection, so that its name is not looked up again;
        empty after a deferral by an older version.
    """

    deadline: float
    unseen_since: float
    connection_id: str = ""

    def to_payload(self) -> dict[str, Any]:
        """Return plain values, as Airflow stores them."""
        return self._asdict()

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any] | None) -> Self:
        """
        Parse what :meth:`to_payload` returned.

        :raises ValueError: It is something else.
        """
        fields = dict(payload or {})
        try:
            return cls(
                deadline=float(fields["deadline"]),
                unseen_since=float(fields["unseen_since"]),
                connection_id=str(fields.get("connection_id", "")),
            )
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"the trigger sent an event that this version cannot read: {payload}"
            ) from None


def cancel_text(job: Job) -> str:
    """Return what became of a job after an attempt to cancel it, as a sentence."""
    if job.is_cancelled:
        return "It was cancelled."
    if job.is_terminal:
        return f"It had ended before it could be cancelled: {job.status}."
    return f"It is still {job.status} although its cancellation was requested: cancel it by hand."


def unwatched_text(job: str, error: AirbyteError, job_url: str) -> str:
    """Return the message of a wait that *error* has ended before its job."""
    return (
        f"{job} cannot be watched any longer and may still be running: {error} {job_url}".rstrip()
    )


@contextmanager
def failing_fast() -> Iterator[None]:
    """
    Fail the task at once on a permanent error, instead of using up its retries.

    :raises AirflowFailException: For an invalid configuration, and for what Airbyte itself rejects:
        see :func:`.api.retry.is_permanent`.
    """
    try:
        yield
    except AirbyteError as error:
        if is_permanent(error):
            raise AirflowFailException(str(error)) from error
        raise
