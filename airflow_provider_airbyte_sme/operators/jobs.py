"""The base class of operators that start an Airbyte job: start it, wait for it, check it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteConflictError,
    AirbyteConnection,
    AirbyteError,
    AirbyteJobError,
    AirbyteJobTimeoutError,
    AirbyteStoppedError,
    CreatedJob,
    Job,
    JobType,
    Ownership,
)
from airflow_provider_airbyte_sme.api.models import label
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL, duration_text
from airflow_provider_airbyte_sme.api.waiting.progress import usual_duration
from airflow_provider_airbyte_sme.operators.base import AirbyteJobLink, push_job
from airflow_provider_airbyte_sme.operators.durable import AirbyteDurableJobOwner
from airflow_provider_airbyte_sme.outcome import (
    JobEvent,
    Pause,
    TrackedJob,
    cancel_text,
    failing_fast,
    unwatched_text,
)
from airflow_provider_airbyte_sme.parameters import (
    DEFAULT_TIMEOUT,
    Seconds,
    check_unless_template,
    resolve_deferrable,
    validate_choice,
    validate_flag,
    validate_seconds,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger, AirbytePauseTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

OnRunning = Literal["wait", "attach", "skip", "fail"]

# Seconds between two attempts to start a job while an unlisted one is running, and until giving up.
_MAX_PAUSE = 10.0
_MAX_UNSEEN = 300.0
# Airflow 2.11 ends a deferral at execution_timeout without calling the operator: end before that.
_EXECUTION_TIMEOUT_SHARE = 0.9


class AirbyteJobOperator(AirbyteDurableJobOwner):
    """
    Start a job of an Airbyte connection and wait until it has ended.

    Base class. A subclass sets :attr:`job_type`, and overrides :meth:`start_job` if ``POST /jobs``
    does not start that type. The connection is given by *connection_id*, or by *connection_name*
    with *workspace* or *workspace_id*: see :class:`.AirbyteConnectionOperator`. A killed
    task cancels its job: see :class:`.AirbyteJobOwner`. A retry takes over the job of the try
    before: see :class:`.AirbyteDurableJobOwner`.

    Returns a dict, the same with and without deferral: ``job_id``, ``status``, ``job_type``,
    ``connection_id``, ``rows_synced``, ``bytes_synced``, ``started_at``, ``ended_at``,
    ``duration_seconds``, ``adopted`` and ``job_url``. Job id, connection id and link are in XCom
    before the wait begins.

    :param wait_for_completion: Whether to wait for the end of the job. If not, the task succeeds
        once the job is created; an :class:`~.sensors.airbyte.AirbyteJobSensor` can wait for it.
    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default Airflow's
        ``[operators] default_deferrable``.
    :param poll_interval: Time between two reads of the job's status: a ``timedelta``, or seconds.
        (templated)
    :param timeout: Time to wait in total, for a job that is already running and for our own: a
        ``timedelta``, or seconds. (templated)
    :param on_running: What to do when a job of the connection is already running: ``wait`` for it
        and then start our own, so that the data is at least as new as the task; ``attach`` to it
        and report its outcome, if it does what ours would; ``skip``; ``fail``.
    :param cancel_on_timeout: Whether to cancel the job when *timeout* is over, as with
        *cancel_on_kill*.
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    """

    template_fields: Sequence[str] = (
        *AirbyteDurableJobOwner.template_fields,
        "poll_interval",
        "timeout",
    )
    operator_extra_links = (AirbyteJobLink(),)

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: Seconds | None = None,
        timeout: Seconds | None = None,
        on_running: OnRunning = "wait",
        cancel_on_timeout: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._check_ways()
        validate_choice(on_running, "on_running", get_args(OnRunning))
        self.wait_for_completion = validate_flag(wait_for_completion, "wait_for_completion")
        self.deferrable = resolve_deferrable(deferrable)
        self.poll_interval = check_unless_template(
            validate_seconds,
            DEFAULT_POLL_INTERVAL if poll_interval is None else poll_interval,
            "poll_interval",
        )
        self.timeout = check_unless_template(
            validate_seconds, DEFAULT_TIMEOUT if timeout is None else timeout, "timeout"
        )
        self.on_running = on_running
        self.cancel_on_timeout = validate_flag(cancel_on_timeout, "cancel_on_timeout")
        self._deadline = 0.0

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self.poll_interval = validate_seconds(self.poll_interval, "poll_interval")
        self.timeout = validate_seconds(self.timeout, "timeout")

    def start_job(self, connection: AirbyteConnection) -> CreatedJob:
        """
        Start the job that this operator is for.

        A job that clears data would cancel one that is running, so that is looked for first.

        :return: The job, or one that is running and so in the way.
        :raises AirbyteConflictError: A job of the connection is already running.
        """
        return self.hook.create_job(
            connection.connection_id,
            self.job_type,
            creation=self._creation,
            timeout=self._seconds_left(),
            unless_running=self.job_type in (JobType.RESET, JobType.CLEAR),
        )

    def does_the_same(self, job: Job) -> bool:
        """Whether somebody else's *job* can replace our own, with ``on_running="attach"``."""
        return job.job_type != "" and job.is_of_type(self.job_type)

    def check_result(self, tracked: TrackedJob) -> TrackedJob:
        """
        Check a job that has succeeded; by default, there is nothing to check.

        :return: The same job, with what the check has found out.
        """
        self.log.info("%s succeeded.", tracked)
        return tracked

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the job and wait for it."""
        with self._process_of_the_task(context, is_new_try=True):
            return self._run(context, time.time() + self._wait_limit())

    def execute_after_running(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job that was already running has ended, successfully or not."""
        with self._process_of_the_task(context):
            ended = self._ended_job(event)
            return self._run(context, ended.deadline, after=ended)

    def execute_after_pause(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when it is time to try again to start the job."""
        with self._process_of_the_task(context):
            pause = Pause.from_payload(event)
            return self._run(
                context,
                pause.deadline,
                unseen_since=pause.unseen_since,
                connection_id=pause.connection_id,
            )

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job that the task waits for has ended."""
        with self._process_of_the_task(context):
            ended = self._ended_job(event)
            return self._finish(ended) or self._run(context, ended.deadline, after=ended)

    @contextmanager
    def _process_of_the_task(self, context: Context, *, is_new_try: bool = False) -> Iterator[None]:
        """
        Do what each process of the task has to do, also one that resumes it.

        The parameters are checked before the first request. A task that was killed ends as such:
        it neither succeeds nor defers after that.
        """
        self._open_memory(context)
        if is_new_try:
            self._recall()
        try:
            with failing_fast():
                self._validate_parameters()
                self._own_left_job()
                yield
        except AirbyteStoppedError:
            raise
        except (Exception, TaskDeferred) as outcome:
            self._raise_if_killed(outcome)
            self._warn_of_unknown_job()
            self._warn_of_left_job()
            raise
        self._raise_if_killed()

    def _run(
        self,
        context: Context,
        deadline: float,
        *,
        after: TrackedJob | None = None,
        unseen_since: float | None = None,
        connection_id: str = "",
    ) -> dict[str, Any]:
        """
        Start the job, or resume before its start, and wait for it.

        :param after: The job that the task has waited for so far, if any.
        :param unseen_since: Since when Airbyte says that a job is running, but lists none.
        :param connection_id: The UUID, if an earlier process of the task has looked it up.
        """
        self._deadline = deadline
        if after is not None:
            connection_id = after.job.connection_id
        timeout = self._seconds_left()
        connection = (
            self.hook.get_airbyte_connection(connection_id, timeout=timeout)
            if connection_id
            else self._find_connection(timeout)
        )
        self._connection_id, self._connection_name = connection.connection_id, connection.name
        tracked = None
        if after is None and unseen_since is None:
            self._warn_of_schedule(connection)
            tracked = self._take_over(context, connection)
        self._creation.raise_if_stopped()
        self._start_remembering()
        while True:
            tracked = tracked or self._obtain_job(connection, after, unseen_since)
            self._push_xcoms(context, tracked)
            if not self.wait_for_completion:
                self._note_success()
                return tracked.result()
            if self.deferrable and not tracked.job.is_terminal:
                self._defer(tracked, "execute_complete")
            tracked = self._wait_or_cancel(tracked, partial(self._wait, tracked))
            if result := self._finish(tracked):
                return result
            after, tracked = tracked, None

    def _warn_of_schedule(self, connection: AirbyteConnection) -> None:
        """Say that Airbyte syncs the connection too, which doubles the work and delays both."""
        if self.job_type == JobType.SYNC and not connection.schedule.is_manual:
            self.log.warning(
                "Airbyte itself syncs connection %s too, on the schedule %r. Set its schedule to "
                "manual in Airbyte if Airflow is to sync it.",
                connection,
                str(connection.schedule),
            )

    def _take_over(self, context: Context, connection: AirbyteConnection) -> TrackedJob | None:
        """Return the job that an earlier try has left; ``None`` if this one starts its own."""
        left = self._left_by_an_earlier_try(context, connection)
        return left and self._track(left.job, left.ownership, connection)

    def _obtain_job(
        self,
        connection: AirbyteConnection,
        after: TrackedJob | None,
        unseen_since: float | None,
    ) -> TrackedJob:
        """Start our job, or return the one to wait for instead."""
        while True:
            self._creation.raise_if_stopped()
            self._raise_if_time_is_over(after, unseen_since)
            try:
                created = self.start_job(connection)
            except AirbyteConflictError as conflict:
                if not conflict.sync_is_running:
                    raise
                running = self.hook.find_running_job(
                    connection.connection_id, timeout=self._seconds_left()
                )
                if running is None:
                    unseen_since = unseen_since or time.time()
                    pause = Pause(self._deadline, unseen_since, connection.connection_id)
                    self._pause(pause, conflict)
                    continue
            else:
                self._cancel_if_killed(created)
                if not created.is_in_the_way:
                    return self._track(created.job, created.ownership, connection)
                running = created.job
            unseen_since = None
            after = self._track(running, Ownership.FOREIGN, connection)
            if self._waits_for_it_instead(after):
                # What the next try has to wait for.
                self._creation.note_created(CreatedJob(running, Ownership.FOREIGN))
                return after

    def _cancel_if_killed(self, created: CreatedJob) -> None:
        """Cancel a job that was created although the task had been killed meanwhile."""
        # A subclass may start its job without the creation.
        self._creation.note_created(created)
        if self._creation.is_stopped:
            self.on_kill()
            self._raise_if_killed()

    def _raise_if_time_is_over(self, after: TrackedJob | None, unseen_since: float | None) -> None:
        """Start no job after the deadline. The first attempt is made however late it is."""
        if self._seconds_left():
            return
        over = f"The time of the task {self._limit_text()} is over"
        if after is not None:
            raise AirbyteJobTimeoutError(
                f"{over}. It has waited for {after}, so it starts no job. {after.job_url}".rstrip(),
                job=after.job,
            )
        if unseen_since is not None:
            connection = label(self._connection_id, self._connection_name)
            raise AirbyteError(
                f"{over}, so it starts no job: Airbyte says that one of connection {connection} is "
                f"running, but {_unlisted_text(unseen_since)}."
            )

    def _waits_for_it_instead(self, running: TrackedJob) -> bool:
        """
        Apply `on_running` to a job that is already running.

        :return: Whether to wait for it instead of starting our own; false once it has ended.
        """
        already = f"{running} is already {running.job.status}"
        if self.on_running == "skip":
            raise AirflowSkipException(f"{already}, and on_running is 'skip'. {running.job_url}")
        if self.on_running == "fail":
            raise AirbyteJobError(
                f"{already}, and on_running is 'fail': wait until it has ended, or set on_running "
                f"to 'wait' or 'attach'. {running.job_url}",
                job=running.job,
            )
        if self.on_running == "attach" and self.does_the_same(running.job):
            self.log.info(
                "%s: waiting for it instead of starting one. %s", already, running.job_url
            )
            return True
        self.log.info("%s: waiting for it, then starting our own. %s", already, running.job_url)
        if self.deferrable:
            self._defer(running, "execute_after_running")
        self._wait_or_cancel(running, partial(self._wait, running))
        return False

    def _push_xcoms(self, context: Context, tracked: TrackedJob) -> None:
        job, verb = tracked.job, "Started" if tracked.ownership.is_new else "Waiting for"
        connection = label(job.connection_id, tracked.connection_name)
        self.log.info(
            "%s %s job %s of connection %s: %s",
            verb,
            job.job_type,
            job.job_id,
            connection,
            tracked.job_url,
        )
        push_job(context, tracked)

    def _wait(self, tracked: TrackedJob) -> TrackedJob:
        try:
            ended = self.hook.wait_for_job(
                tracked.job.job_id,
                poll_interval=self.poll_interval,
                timeout=self._seconds_left(),
                connection_name=tracked.connection_name,
                last_read=tracked.job,
                elapsed_before=tracked.age(time.time()),
                usual_duration=self._usual_duration(tracked.job),
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

    def _usual_duration(self, job: Job) -> float | None:
        """Return how long such a job takes, by the jobs that were read before the start."""
        return usual_duration(self._creation.newest_jobs, job.job_type)

    def _defer(self, tracked: TrackedJob, method_name: str) -> NoReturn:
        self.defer(
            trigger=AirbyteJobTrigger.for_job(
                tracked,
                airbyte_conn_id=self.airbyte_conn_id,
                poll_interval=self.poll_interval,
                cancel_on_kill=self.cancel_on_kill,
                usual_duration=self._usual_duration(tracked.job),
            ),
            method_name=method_name,
        )

    def _ended_job(self, event: Mapping[str, Any] | None) -> TrackedJob:
        """Return the job of *event*. After a timeout, cancel it if it is ours."""
        job_event = JobEvent.from_payload(event)
        return self._wait_or_cancel(job_event.last_read_job(), job_event.ended_job)

    def _wait_or_cancel(self, tracked: TrackedJob, wait: Callable[[], TrackedJob]) -> TrackedJob:
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
            raise AirbyteJobTimeoutError(
                f"{timeout} {self._limit_text()} {fate} {tracked.job_url}".rstrip(), job=job
            ) from None

    def _cancel_at_timeout(self, tracked: TrackedJob) -> Job:
        # First: a kill that follows must not read the settings in its signal handler.
        self.hook.get_conn()
        # A process that resumes the task has not started the job, but a kill must cancel it.
        self._tracked = tracked
        self._connection_id = tracked.job.connection_id
        self._connection_name = tracked.connection_name
        self._creation.note_created(CreatedJob(tracked.job, tracked.ownership))
        return self.hook.cancel_job(tracked.job.job_id)

    def _finish(self, tracked: TrackedJob) -> dict[str, Any] | None:
        """Return the result; ``None`` if a job that is not this try's own was cancelled."""
        if tracked.job.is_cancelled and not tracked.ownership.is_new:
            # By a person, or by the trigger of this task's previous try after a clear.
            self.log.warning(
                "%s, which this try did not start, was cancelled: starting our own.", tracked
            )
            self._memory.forget()
            return None
        try:
            # A success needs no settings, which a secrets backend may refuse at this moment.
            if not tracked.job.has_succeeded:
                self.hook.ensure_succeeded(tracked.job)
            checked = self.check_result(tracked)
        except Exception:
            # A retry is to start a job of its own.
            self._memory.forget()
            raise
        self._note_success()
        return checked.result()

    def _pause(self, pause: Pause, conflict: AirbyteConflictError) -> None:
        """
        Wait until it is time to try again: a job is running, but is not in the list.

        It has just ended, or this server does not list its type. If the list stays empty, nothing
        will change (docs/airbyte-api.md §3.2).

        :raises AirbyteConflictError: The list has been empty for minutes.
        """
        now, seconds = time.time(), min(self.poll_interval, _MAX_PAUSE)
        # No job is started after the deadline.
        if now + seconds >= pause.deadline or now >= pause.unseen_since + _MAX_UNSEEN:
            raise conflict.as_error(
                AirbyteConflictError,
                f"{conflict.problem.text}, but {_unlisted_text(pause.unseen_since)}",
            )
        self.log.info("A job is already running, but is not in the list. Retrying: %s", conflict)
        if self.deferrable:
            self.defer(
                trigger=AirbytePauseTrigger.for_pause(pause, seconds=seconds),
                method_name="execute_after_pause",
            )
        time.sleep(seconds)

    def _track(self, job: Job, ownership: Ownership, connection: AirbyteConnection) -> TrackedJob:
        url = self.hook.get_job_url(job, connection)
        self._tracked = TrackedJob(job, ownership, self._deadline, url, connection.name)
        return self._tracked

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

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.time())


def _unlisted_text(since: float) -> str:
    return (
        f"Airbyte has listed no running job for {duration_text(time.time() - since)}. If nothing "
        f"is running in Airbyte, the connection's workflow is broken: disable and enable the "
        f"connection there"
    )
