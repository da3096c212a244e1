"""The base class of operators that start an Airbyte job: from its start to its check."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

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
from airflow_provider_airbyte_sme.api.waiting import duration_text
from airflow_provider_airbyte_sme.operators.base import JOB_LINKS
from airflow_provider_airbyte_sme.operators.waiting import AirbyteJobWaiter
from airflow_provider_airbyte_sme.outcome import Pause, TrackedJob, failing_fast
from airflow_provider_airbyte_sme.parameters import validate_choice, validate_flag
from airflow_provider_airbyte_sme.triggers.airbyte import AirbytePauseTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

OnRunning = Literal["wait", "attach", "skip", "fail"]

# Seconds between two attempts to start a job while an unlisted one is running, and until giving up.
_MAX_PAUSE = 10.0
_MAX_UNSEEN = 300.0


class AirbyteJobOperator(AirbyteJobWaiter):
    """
    Start a job of an Airbyte connection and wait until it has ended.

    Base class. A subclass sets :attr:`job_type`, and overrides :meth:`start_job` if ``POST /jobs``
    does not start that type. The connection is given by *connection_id*, or by *connection_name*
    with *workspace* or *workspace_id*: see :class:`.AirbyteConnectionOperator`. A killed
    task cancels its job: see :class:`.AirbyteJobOwner`. A retry takes over the job of the try
    before: see :class:`.AirbyteDurableJobOwner`. How it waits, says :class:`.AirbyteJobWaiter`. A
    job that takes too long can raise an alarm: see :class:`.AirbyteAlarmOperator`. That goes for
    each job that the task waits for, also for one that was already running, but for none with
    ``wait_for_completion=False``.

    :param wait_for_completion: Whether to wait for the end of the job. If not, the task succeeds
        once the job is created; an :class:`~.sensors.airbyte.AirbyteJobSensor` can wait for it.
    :param on_running: What to do when a job of the connection is already running: ``wait`` for it
        and then start our own, so that the data is at least as new as the task; ``attach`` to it
        and report its outcome, if it does what ours would; ``skip``; ``fail``.
    :return: A dict, the same with and without deferral: ``job_id``, ``status``, ``job_type``,
        ``connection_id``, ``rows_synced``, ``bytes_synced``, ``started_at``, ``ended_at``,
        ``duration_seconds``, ``adopted`` and ``job_url``. Job id, connection id and link are in
        XCom before the wait begins.
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    :raises AirbyteJobFailedError: The job failed.
    :raises AirbyteJobCancelledError: The job was cancelled, though not by this task.
    :raises AirbyteJobTimeoutError: The job was still running when *timeout* was over.
    :raises AirbyteJobError: A job is already running, with ``on_running="fail"``.
    :raises AirflowSkipException: A job is already running, with ``on_running="skip"``.
    """

    operator_extra_links = JOB_LINKS

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        on_running: OnRunning = "wait",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._check_ways()
        validate_choice(on_running, "on_running", get_args(OnRunning))
        self.wait_for_completion = validate_flag(wait_for_completion, "wait_for_completion")
        self.on_running = on_running

    def start_job(self, connection: AirbyteConnection) -> CreatedJob:
        """
        Start the job that this operator is for.

        A job that clears data would cancel one that is running, so that is looked for first.

        :param connection: The Airbyte connection, as just read.
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

        :param tracked: The job, and whose it is.
        :return: The same job, with what the check has found out.
        """
        self.log.info("%s succeeded.", tracked)
        return tracked

    def tell_of_success(self, context: Context, tracked: TrackedJob) -> None:
        """
        Tell Airflow of a job that has succeeded and passed its check; by default, nothing.

        What goes wrong here must not fail the task.

        :param context: Airflow's context of the task.
        :param tracked: The job, and whose it is.
        """

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the job and wait for it."""
        with self._process_of_the_task(context, is_new_try=True):
            return self._run(context, time.time() + self._wait_limit())

    def execute_after_running(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job that was already running has ended, successfully or not."""
        with self._process_of_the_task(context):
            ended = self._ended_job(context, event, "execute_after_running")
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
            ended = self._ended_job(context, event, "execute_complete")
            return self._finish(context, ended) or self._run(context, ended.deadline, after=ended)

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
            tracked = tracked or self._obtain_job(context, connection, after, unseen_since)
            self._push_xcoms(context, tracked)
            if not self.wait_for_completion:
                self._note_success()
                return tracked.result()
            if self.deferrable and not tracked.job.is_terminal:
                self._defer(context, tracked, "execute_complete")
            tracked = self._wait_or_cancel(context, tracked, partial(self._wait, context, tracked))
            if result := self._finish(context, tracked):
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
        context: Context,
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
            if self._waits_for_it_instead(context, after):
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

    def _waits_for_it_instead(self, context: Context, running: TrackedJob) -> bool:
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
            self._defer(context, running, "execute_after_running")
        self._wait_or_cancel(context, running, partial(self._wait, context, running))
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
        self._note_job(context, tracked)

    def _finish(self, context: Context, tracked: TrackedJob) -> dict[str, Any] | None:
        """Return the result; ``None`` if a job that is not this try's own was cancelled."""
        if tracked.job.is_cancelled and not tracked.ownership.is_new:
            # By a person, or by the trigger of this task's previous try after a clear.
            self.log.warning(
                "%s, which this try did not start, was cancelled: starting our own.", tracked
            )
            self._memory.forget()
            return None
        self._note_end(context, tracked)
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
        self.tell_of_success(context, checked)
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


def _unlisted_text(since: float) -> str:
    return (
        f"Airbyte has listed no running job for {duration_text(time.time() - since)}. If nothing "
        f"is running in Airbyte, the connection's workflow is broken: disable and enable the "
        f"connection there"
    )
