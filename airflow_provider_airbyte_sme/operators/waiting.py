"""How a task waits for a job that it may own: on a worker or in the triggerer, until a deadline."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import (
    AirbyteConnection,
    AirbyteError,
    AirbyteJobError,
    AirbyteJobTimeoutError,
    CreatedJob,
    Job,
    Ownership,
)
from airflow_provider_airbyte_sme.api.history import FEWEST_JOBS_FOR_LINES, USUAL_JOBS, History
from airflow_provider_airbyte_sme.api.resources.job_starts import BASELINE_JOBS
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL, duration_text
from airflow_provider_airbyte_sme.operators.alarms import AirbyteAlarmOperator
from airflow_provider_airbyte_sme.operators.durable import AirbyteDurableJobOwner
from airflow_provider_airbyte_sme.outcome import (
    JobEvent,
    Pace,
    TrackedJob,
    cancel_text,
    unwatched_text,
)
from airflow_provider_airbyte_sme.parameters import (
    DEFAULT_TIMEOUT,
    Seconds,
    check_unless_template,
    resolve_deferrable,
    validate_flag,
    validate_seconds,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

# Airflow 2.11 ends a deferral at execution_timeout without calling the operator: end before that.
_EXECUTION_TIMEOUT_SHARE = 0.9


class AirbyteJobWaiter(AirbyteDurableJobOwner, AirbyteAlarmOperator):
    """
    Base class of what waits for the jobs that it starts, and for those in their way.

    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default Airflow's
        ``[operators] default_deferrable``.
    :param poll_interval: Time between two reads of the job's status: a ``timedelta``, or seconds;
        by default 10 seconds. (templated)
    :param timeout: Time to wait in total, for a job that is already running and for our own: a
        ``timedelta``, or seconds; by default a day. (templated)
    :param cancel_on_timeout: Whether to cancel the job when *timeout* is over, as with
        *cancel_on_kill*.
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    """

    template_fields: Sequence[str] = tuple(
        dict.fromkeys(
            (
                *AirbyteDurableJobOwner.template_fields,
                *AirbyteAlarmOperator.template_fields,
                "poll_interval",
                "timeout",
            )
        )
    )

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: Seconds | None = None,
        timeout: Seconds | None = None,
        cancel_on_timeout: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = resolve_deferrable(deferrable)
        self.poll_interval = check_unless_template(
            validate_seconds,
            DEFAULT_POLL_INTERVAL if poll_interval is None else poll_interval,
            "poll_interval",
        )
        self.timeout = check_unless_template(
            validate_seconds, DEFAULT_TIMEOUT if timeout is None else timeout, "timeout"
        )
        self.cancel_on_timeout = validate_flag(cancel_on_timeout, "cancel_on_timeout")
        self._deadline = 0.0

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self.poll_interval = validate_seconds(self.poll_interval, "poll_interval")
        self.timeout = validate_seconds(self.timeout, "timeout")

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.time())

    def _wait_limit(self) -> float:
        """Return the seconds from now to the deadline of all waiting."""
        if self.deferrable and self.execution_timeout:
            limit = self.execution_timeout.total_seconds() * _EXECUTION_TIMEOUT_SHARE
            return min(self.timeout, limit)
        return self.timeout

    def _limit_text(self) -> str:
        """Return the time limit of the task for messages."""
        limit = self._wait_limit()
        reason = "" if limit == self.timeout else ", to end before execution_timeout"
        return f"(timeout: {duration_text(limit)}{reason})"

    def _track(self, job: Job, ownership: Ownership, connection: AirbyteConnection) -> TrackedJob:
        url = self.hook.get_job_url(job, connection)
        self._tracked = TrackedJob(job, ownership, self._deadline, url, connection.name)
        return self._tracked

    def _wait(self, context: Context, tracked: TrackedJob) -> TrackedJob:
        """Return the job when it has ended; raise its alarm on the way if it is slow."""
        pace = self._pace(context, tracked)
        if pace.alarm is not None:
            try:
                return self._wait_until(pace.alarm.at, tracked, pace)
            except AirbyteJobTimeoutError as overdue:
                tracked = tracked.with_job(overdue.job)
                self._raise_alarm(context, tracked, pace, pace.alarm.limit)
                pace = pace.after_alarm()
        return self._wait_until(self._deadline, tracked, pace)

    def _wait_until(self, deadline: float, tracked: TrackedJob, pace: Pace) -> TrackedJob:
        now = time.time()
        try:
            ended = self.hook.wait_for_job(
                tracked.job.job_id,
                poll_interval=self.poll_interval,
                timeout=max(0.0, deadline - now),
                connection_name=tracked.connection_name,
                last_read=tracked.job,
                elapsed_before=pace.elapsed(now),
                usual_duration=pace.usual_duration,
                has_warned=pace.has_warned,
            )
        except AirbyteJobError:
            raise
        except AirbyteError as error:
            # As after a deferral: the error says what exists.
            message = unwatched_text(str(tracked), error, tracked.job_url)
            if is_permanent(error):
                raise AirflowFailException(message) from error
            raise AirbyteError(message) from error
        return tracked.with_job(ended)

    def _pace(self, context: Context, tracked: TrackedJob) -> Pace:
        """Return how long the job has taken, takes as a rule, and may take until its alarm."""
        now = time.time()
        began_at = now - tracked.age(now)
        # For the lines of the log, those that were read before the start will do.
        known = History.before(tracked.job, self._creation.newest_jobs)
        found: History | None = known
        alarm = None
        if not tracked.job.is_terminal and self._wants_alarm(context, tracked):
            if self._needs_history:
                found = self._complete_history(tracked.job, known)
            alarm = self._plan_alarm(tracked, began_at, found)
        return Pace(began_at, (found or known).usual_duration(FEWEST_JOBS_FOR_LINES), alarm)

    def _complete_history(self, job: Job, known: History) -> History | None:
        """
        Return the last good jobs before *job*; ``None`` if they are unreadable.

        :param known: Those among the jobs that were read before the start. There is no request if
            that suffices: there are enough of them, or the connection has no other jobs.
        """
        read = len(self._creation.newest_jobs)
        if len(known.jobs) == USUAL_JOBS or 0 < read < BASELINE_JOBS:
            return known
        return self.hook.find_job_history(job)

    def _defer(self, context: Context, tracked: TrackedJob, method_name: str) -> NoReturn:
        """Wait in the triggerer. The alarm of a job that is slow already is raised before."""
        pace = self._pace(context, tracked)
        if pace.alarm is not None and pace.alarm.is_due(time.time()):
            self._raise_alarm(context, tracked, pace, pace.alarm.limit)
            pace = pace.after_alarm()
        self._defer_at(pace, tracked, method_name)

    def _defer_at(self, pace: Pace, tracked: TrackedJob, method_name: str) -> NoReturn:
        self._creation.raise_if_stopped()
        self.defer(
            trigger=AirbyteJobTrigger.for_job(
                tracked,
                airbyte_conn_id=self.airbyte_conn_id,
                poll_interval=self.poll_interval,
                pace=pace,
                cancel_on_kill=self.cancel_on_kill,
            ),
            method_name=method_name,
        )

    def _ended_job(
        self, context: Context, event: Mapping[str, Any] | None, method_name: str
    ) -> TrackedJob:
        """
        Return the job of *event*. After a timeout, cancel it if it is ours.

        If the job is only slow, raise its alarm and wait on.
        """
        job_event = JobEvent.from_payload(event)
        if job_event.tracked is not None and job_event.pace is not None:
            return self._end_after_alarm(context, job_event.tracked, job_event, method_name)
        return self._wait_or_cancel(context, job_event.last_read_job(), job_event.ended_job)

    def _end_after_alarm(
        self, context: Context, tracked: TrackedJob, event: JobEvent, method_name: str
    ) -> TrackedJob:
        """Raise the alarm of *event*; return its job if it has ended meanwhile, else wait on."""
        pace = event.pace or Pace(time.time())
        self._own_again(tracked)
        tracked = tracked.with_job(self._read_again(tracked, self.poll_interval))
        self._raise_alarm(context, tracked, pace, event.message)
        if not tracked.job.is_terminal:
            self._defer_at(pace.after_alarm(), tracked, method_name)
        return tracked

    def _wait_or_cancel(
        self, context: Context, tracked: TrackedJob, wait: Callable[[], TrackedJob]
    ) -> TrackedJob:
        """Return the result of *wait*. At its timeout, cancel the job if it is ours."""
        try:
            return wait()
        except AirbyteJobTimeoutError as timeout:
            job, fate = timeout.job, "It is left running."
            if self.cancel_on_timeout and tracked.is_ours:
                try:
                    job = self._cancel_at_timeout(tracked)
                except AirbyteError as error:
                    fate = f"It was not cancelled, cancel it by hand: {error}"
                else:
                    if job.is_terminal and not job.is_cancelled:
                        # It ended in the last moment: its result says more than the timeout.
                        return tracked.with_job(job)
                    fate = cancel_text(job)
                    if job.is_terminal:
                        self._memory.forget()
                        self._note_end(context, tracked.with_job(job))
            raise AirbyteJobTimeoutError(
                f"{timeout} {self._limit_text()} {fate} {tracked.job_url}".rstrip(), job=job
            ) from None

    def _cancel_at_timeout(self, tracked: TrackedJob) -> Job:
        # First: a kill that follows must not read the settings in its signal handler.
        self.hook.get_conn()
        self._note_own(tracked)
        return self.hook.cancel_job(tracked.job.job_id)

    def _own_again(self, tracked: TrackedJob) -> None:
        """Let a kill of this process cancel the job, although an earlier one has started it."""
        try:
            self.hook.get_conn()
        except AirbyteError as error:
            # The wait does not need them here, and the triggerer survives that.
            self.log.info("The settings cannot be read now: %s", error)
        self._note_own(tracked)

    def _note_own(self, tracked: TrackedJob) -> None:
        # A process that resumes the task has not started the job, but a kill must cancel it.
        self._tracked = tracked
        self._connection_id = tracked.job.connection_id
        self._connection_name = tracked.connection_name
        self._creation.note_created(CreatedJob(tracked.job, tracked.ownership))
