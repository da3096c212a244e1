"""Operators that start Airbyte jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, get_args

from airflow.providers.common.compat.sdk import (
    AirflowSkipException,
    BaseOperator,
    BaseOperatorLink,
    XCom,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteConflictError,
    AirbyteConnection,
    AirbyteError,
    AirbyteJobError,
    AirbyteJobTimeoutError,
    CreatedJob,
    Job,
    JobType,
    Ownership,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.models import label
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL
from airflow_provider_airbyte_sme.connection import DEFAULT_CONN_ID
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook, blocking_client
from airflow_provider_airbyte_sme.outcome import (
    JobEvent,
    OnTooFewRows,
    TrackedJob,
    check_rows,
    failing_fast,
)
from airflow_provider_airbyte_sme.parameters import (
    DEFAULT_TIMEOUT,
    resolve_deferrable,
    validate_choice,
    validate_seconds,
    validate_uuid,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context, TaskInstanceKey

OnRunning = Literal["wait", "attach", "skip", "fail"]

# XCom keys that are pushed before the wait begins. The link of the task reads the last one.
JOB_ID_KEY = "job_id"
CONNECTION_ID_KEY = "connection_id"
JOB_URL_KEY = "job_url"

# Seconds that a job of the task's previous try gets to end before `on_running` applies. On Airflow
# 3.3, a cleared task can start about a second before its old trigger cancels the old job.
_PREVIOUS_TRY_GRACE = 30.0
# Airflow 2.11 ends a deferral at execution_timeout without calling the operator: end before that.
_EXECUTION_TIMEOUT_SHARE = 0.9


class AirbyteJobLink(BaseOperatorLink):
    """The page of Airbyte's UI that shows the task's job with its logs."""

    name = "Airbyte job"

    @property
    def xcom_key(self) -> str:
        """The XCom with the link. It is pushed before the wait begins."""
        return JOB_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link; empty while there is no job."""
        return XCom.get_value(key=JOB_URL_KEY, ti_key=ti_key) or ""


class AirbyteJobOperator(BaseOperator):
    """
    Start a job of an Airbyte connection and wait until it has ended.

    Base class. A subclass sets :attr:`job_type`, and overrides :meth:`start_job` if ``POST /jobs``
    does not start that type.

    Returns a dict, the same with and without deferral: ``job_id``, ``status``, ``job_type``,
    ``connection_id``, ``rows_synced``, ``bytes_synced``, ``started_at``, ``ended_at``,
    ``duration_seconds``, ``adopted`` and ``job_url``. Job id, connection id and link are in XCom
    before the wait begins.

    :param connection_id: UUID of the Airbyte connection, as in the URL of its page. (templated)
    :param airbyte_conn_id: Id of the Airflow connection. (templated)
    :param wait_for_completion: Whether to wait for the end of the job. If not, the task succeeds
        once the job is created; an :class:`~.sensors.airbyte.AirbyteJobSensor` can wait for it.
    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default Airflow's
        ``[operators] default_deferrable``.
    :param poll_interval: Seconds between two reads of the job's status.
    :param timeout: Seconds to wait in total, for a job that is already running and for our own.
    :param on_running: What to do when a job of the connection is already running: ``wait`` for it
        and then start our own, so that the data is at least as new as the task; ``attach`` to it
        and report its outcome, unless it clears data; ``skip``; ``fail``.
    :param min_rows: Lowest number of rows to accept from a job that succeeds.
    :param on_too_few_rows: What to do when there are fewer: ``fail``, ``skip`` or ``warn``.
    :param cancel_on_kill: Whether to cancel the job when the task is killed, cleared or marked.
        For a deferred task this needs Airflow 3.3. A job that the task did not start is never
        cancelled.
    :param cancel_on_timeout: Whether to cancel the job when *timeout* is over, likewise.
    """

    template_fields: Sequence[str] = ("connection_id", "airbyte_conn_id")
    operator_extra_links = (AirbyteJobLink(),)
    ui_color = "#e4e0ff"

    job_type: ClassVar[str]

    def __init__(
        self,
        *,
        connection_id: str,
        airbyte_conn_id: str = DEFAULT_CONN_ID,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        timeout: float = DEFAULT_TIMEOUT,
        on_running: OnRunning = "wait",
        min_rows: int = 0,
        on_too_few_rows: OnTooFewRows = "fail",
        cancel_on_kill: bool = True,
        cancel_on_timeout: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        validate_choice(on_running, "on_running", get_args(OnRunning))
        validate_choice(on_too_few_rows, "on_too_few_rows", get_args(OnTooFewRows))
        self.connection_id = connection_id
        self.airbyte_conn_id = airbyte_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = resolve_deferrable(deferrable)
        self.poll_interval = validate_seconds(poll_interval, "poll_interval")
        self.timeout = validate_seconds(timeout, "timeout")
        self.on_running = on_running
        self.min_rows = min_rows
        self.on_too_few_rows = on_too_few_rows
        self.cancel_on_kill = cancel_on_kill
        self.cancel_on_timeout = cancel_on_timeout
        self._own_job_id: int | None = None
        self._creating_since: float | None = None
        self._killed = False
        self._connection_name = ""

    @cached_property
    def hook(self) -> AirbyteHook:
        """The hook of this task. Constructing it does no I/O."""
        return AirbyteHook(self.airbyte_conn_id)

    def start_job(self) -> CreatedJob:
        """
        Start the job that this operator is for.

        :raises AirbyteConflictError: A job of the connection is already running.
        """
        return self.hook.create_job(self.connection_id, self.job_type)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the job and wait for it."""
        with failing_fast():
            self.connection_id = validate_uuid(self.connection_id, "connection_id")
            return self._run(context, time.time() + self._wait_limit())

    def execute_after_running(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job that was already running has ended, successfully or not."""
        with failing_fast():
            return self._run(context, self._ended_job(event).deadline)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job that the task waits for has ended."""
        with failing_fast():
            tracked = self._ended_job(event)
            return self._finish(tracked) or self._run(context, tracked.deadline)

    def on_kill(self) -> None:
        """Cancel the task's own job. Airflow calls this when it kills the task."""
        self._killed = True
        if not self.cancel_on_kill or (self._own_job_id is None and self._creating_since is None):
            return
        # A separate client: this interrupts the thread that may hold the lock of the hook's client.
        client = blocking_client(self.hook.settings)
        try:
            run_blocking(self._cancel_own_job(client))
        except AirbyteError as error:
            self.log.warning(
                "The job of connection %s was not cancelled, cancel it in Airbyte: %s",
                label(self.connection_id, self._connection_name),
                error,
            )

    async def _cancel_own_job(self, client: AirbyteClient) -> None:
        async with client:
            job_id = self._own_job_id
            if job_id is None and self._creating_since is not None:
                created = await client.jobs.find_since(
                    self.connection_id, self.job_type, since=self._creating_since
                )
                job_id = created.job_id if created else None
            if job_id is not None:
                job = await client.jobs.cancel(job_id)
                self.log.info("%s: %s.", job.describe(self._connection_name), job.status)

    def _run(self, context: Context, deadline: float) -> dict[str, Any]:
        connection = self.hook.get_airbyte_connection(self.connection_id)
        self._connection_name = connection.name
        while True:
            tracked = self._obtain_job(context, connection, deadline)
            self._push_xcoms(context, tracked)
            if not self.wait_for_completion:
                return tracked.result()
            if self.deferrable and not tracked.job.is_terminal:
                self._defer(tracked, "execute_complete")
            tracked = self._wait_or_cancel(tracked, partial(self._wait, tracked))
            if result := self._finish(tracked):
                return result

    def _obtain_job(
        self, context: Context, connection: AirbyteConnection, deadline: float
    ) -> TrackedJob:
        """Start our job, or return the one that `on_running` attaches to."""
        previous_try_may_linger = context["ti"].try_number > 1
        while True:
            try:
                created = self._start_job()
            except AirbyteConflictError as conflict:
                if not conflict.sync_is_running:
                    raise
                running = self.hook.find_running_job(self.connection_id)
                if running is None:
                    # It has just ended, or this server does not list its type.
                    self._pause(deadline, conflict)
                elif previous_try_may_linger and self.on_running in ("skip", "fail"):
                    self._let_previous_try_end(running)
                else:
                    foreign = self._track(running, Ownership.FOREIGN, connection, deadline)
                    if self._handle_running_job(foreign) == "attach":
                        return foreign
                previous_try_may_linger = False
            else:
                return self._track(created.job, created.ownership, connection, deadline)

    def _handle_running_job(self, running: TrackedJob) -> Literal["attach", "ended"]:
        """Apply `on_running` to the job that is already running."""
        already = f"{running} is already {running.job.status}"
        if self.on_running == "skip":
            raise AirflowSkipException(f"{already}, and on_running is 'skip'. {running.job_url}")
        if self.on_running == "fail":
            raise AirbyteJobError(
                f"{already}, and on_running is 'fail': wait until it has ended, or set on_running "
                f"to 'wait' or 'attach'. {running.job_url}",
                job=running.job,
            )
        if self.on_running == "attach" and running.job.moves_data:
            self.log.info(
                "%s: waiting for it instead of starting one. %s", already, running.job_url
            )
            return "attach"
        self.log.info("%s: waiting for it, then starting our own. %s", already, running.job_url)
        if self.deferrable:
            self._defer(running, "execute_after_running")
        self._wait_or_cancel(running, partial(self._wait, running))
        return "ended"

    def _start_job(self) -> CreatedJob:
        self._creating_since = time.monotonic()
        try:
            created = self.start_job()
            if created.ownership.is_ours:
                self._own_job_id = created.job_id
        finally:
            self._creating_since = None
        if self._killed:
            self.on_kill()
        return created

    def _push_xcoms(self, context: Context, tracked: TrackedJob) -> None:
        job, verb = tracked.job, "Started" if tracked.is_ours else "Waiting for"
        connection = label(job.connection_id, tracked.connection_name)
        self.log.info(
            "%s %s job %s of connection %s: %s",
            verb,
            job.job_type,
            job.job_id,
            connection,
            tracked.job_url,
        )
        task_instance = context["ti"]
        task_instance.xcom_push(key=JOB_ID_KEY, value=job.job_id)
        task_instance.xcom_push(key=CONNECTION_ID_KEY, value=job.connection_id)
        task_instance.xcom_push(key=JOB_URL_KEY, value=tracked.job_url)

    def _wait(self, tracked: TrackedJob) -> TrackedJob:
        ended = self.hook.wait_for_job(
            tracked.job.job_id,
            poll_interval=self.poll_interval,
            timeout=max(0.0, tracked.deadline - time.time()),
            connection_name=tracked.connection_name,
        )
        return tracked.with_job(ended)

    def _defer(self, tracked: TrackedJob, method_name: str) -> NoReturn:
        self.defer(
            trigger=AirbyteJobTrigger.for_job(
                tracked,
                airbyte_conn_id=self.airbyte_conn_id,
                poll_interval=self.poll_interval,
                cancel_on_kill=self.cancel_on_kill,
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
            job, message = timeout.job, f"{timeout} It is left running."
            if self.cancel_on_timeout and tracked.is_ours:
                try:
                    job = self.hook.cancel_job(job.job_id)
                except AirbyteError as error:
                    message = f"{timeout} It was not cancelled, cancel it in Airbyte: {error}"
                else:
                    if job.has_succeeded:  # in the last moment
                        return tracked.with_job(job)
                    message = f"{timeout} It was cancelled."
            raise AirbyteJobTimeoutError(f"{message} {tracked.job_url}", job=job) from None

    def _finish(self, tracked: TrackedJob) -> dict[str, Any] | None:
        """Return the result; ``None`` if a foreign job was cancelled, so that ours must start."""
        if not tracked.is_ours and tracked.job.is_cancelled:
            # By a person, or by the trigger of this task's previous try after a clear.
            self.log.warning(
                "%s, which this task did not start, was cancelled: starting our own.", tracked
            )
            return None
        self.hook.ensure_succeeded(tracked.job)
        check_rows(tracked, self.min_rows, self.on_too_few_rows)
        self.log.info("%s succeeded with %s rows.", tracked, tracked.job.rows_synced)
        return tracked.result()

    def _let_previous_try_end(self, running: Job) -> None:
        self.log.info(
            "%s may be a job of this task's previous try that is being cancelled: waiting up to "
            "%.0f s for it.",
            running.describe(self._connection_name),
            _PREVIOUS_TRY_GRACE,
        )
        with suppress(AirbyteJobTimeoutError):
            self.hook.wait_for_job(running.job_id, poll_interval=1.0, timeout=_PREVIOUS_TRY_GRACE)

    def _pause(self, deadline: float, conflict: AirbyteConflictError) -> None:
        if time.time() >= deadline:
            raise conflict
        self.log.info("A job is already running, but is not in the list. Retrying: %s", conflict)
        time.sleep(min(self.poll_interval, DEFAULT_POLL_INTERVAL))

    def _track(
        self, job: Job, ownership: Ownership, connection: AirbyteConnection, deadline: float
    ) -> TrackedJob:
        job_url = self.hook.get_job_url(job, connection)
        return TrackedJob(job, ownership, deadline, job_url, connection.name)

    def _wait_limit(self) -> float:
        """Return the seconds from now to the deadline of all waiting."""
        if self.deferrable and self.execution_timeout:
            limit = self.execution_timeout.total_seconds() * _EXECUTION_TIMEOUT_SHARE
            return min(self.timeout, limit)
        return self.timeout


class AirbyteTriggerSyncOperator(AirbyteJobOperator):
    """
    Start a sync of an Airbyte connection and wait until its data has arrived.

    Its parameters and result are those of :class:`AirbyteJobOperator`.
    """

    job_type = JobType.SYNC
