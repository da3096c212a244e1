"""Operators that start Airbyte jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
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
    Job,
    JobType,
    run_blocking,
)
from airflow_provider_airbyte_sme.hooks.airbyte import (
    DEFAULT_CONN_ID,
    AirbyteHook,
    blocking_client,
)
from airflow_provider_airbyte_sme.jobs import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    OnTooFewRows,
    check_rows,
    checked_choice,
    checked_seconds,
    checked_uuid,
    failing_fast,
    is_deferrable,
    job_result,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger, JobEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context, TaskInstanceKey

OnRunning = Literal["wait", "attach", "skip", "fail"]

# XCom keys that stand before the wait begins; the link of the task reads the last one.
JOB_ID_KEY = "job_id"
CONNECTION_ID_KEY = "connection_id"
JOB_URL_KEY = "job_url"

# Seconds that a job of the task's previous try is given to end before `on_running` is applied. On
# Airflow 3.3 a cleared task can begin anew about a second before its old trigger cancels the job.
_PREVIOUS_TRY_GRACE = 30.0
# Airflow 2.11 ends a deferral at execution_timeout without a word to the operator: be there first.
_EXECUTION_TIMEOUT_SHARE = 0.9


class AirbyteJobLink(BaseOperatorLink):
    """The page of Airbyte's UI that shows the task's job with its logs."""

    name = "Airbyte job"

    @property
    def xcom_key(self) -> str:
        """Where the link stands, from before the wait begins."""
        return JOB_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link; empty while there is no job."""
        return XCom.get_value(key=JOB_URL_KEY, ti_key=ti_key) or ""


class AirbyteTriggerSyncOperator(BaseOperator):
    """
    Start a sync of an Airbyte connection and wait until its data has arrived.

    Returns a dict, the same with and without deferral: ``job_id``, ``status``, ``job_type``,
    ``connection_id``, ``rows_synced``, ``bytes_synced``, ``started_at``, ``ended_at``,
    ``duration_seconds``, ``adopted`` and ``job_url``. Job id, connection id and link are in XCom
    before the wait begins.

    :param connection_id: UUID of the Airbyte connection, as in the URL of its page. (templated)
    :param airbyte_conn_id: Id of the Airflow connection. (templated)
    :param wait_for_completion: Whether to wait at all; without, the task succeeds once the job is
        created, and an :class:`~.sensors.airbyte.AirbyteJobSensor` can wait for it.
    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default what
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: Seconds between two reads of the job's status.
    :param timeout: Seconds to wait at most, for a job in the way and for our own together.
    :param on_running: What to do when a job of the connection runs already: ``wait`` for it and
        then start our own, so that the data is at least as new as the task; ``attach`` to it and
        report its outcome, unless it clears data instead of bringing some; ``skip``; ``fail``.
    :param min_rows: Fewest rows that count as data; a job that succeeds with fewer does not.
    :param on_too_few_rows: What to do about fewer: ``fail``, ``skip`` or ``warn``.
    :param cancel_on_kill: Whether to cancel the job when the task is killed, cleared or marked.
        While the task is deferred this takes Airflow 3.3 or later. Never a job that was there
        before.
    :param cancel_on_timeout: Whether to cancel the job when *timeout* is over, likewise.
    """

    template_fields: Sequence[str] = ("connection_id", "airbyte_conn_id")
    operator_extra_links = (AirbyteJobLink(),)
    ui_color = "#e4e0ff"

    job_type: ClassVar[str] = JobType.SYNC

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
        checked_choice(on_running, "on_running", get_args(OnRunning))
        checked_choice(on_too_few_rows, "on_too_few_rows", get_args(OnTooFewRows))
        self.connection_id = connection_id
        self.airbyte_conn_id = airbyte_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = is_deferrable(deferrable)
        self.poll_interval = checked_seconds(poll_interval, "poll_interval")
        self.timeout = checked_seconds(timeout, "timeout")
        self.on_running = on_running
        self.min_rows = min_rows
        self.on_too_few_rows = on_too_few_rows
        self.cancel_on_kill = cancel_on_kill
        self.cancel_on_timeout = cancel_on_timeout
        self._own_job_id: int | None = None
        self._creating_since: float | None = None
        self._killed = False

    @cached_property
    def hook(self) -> AirbyteHook:
        """The hook of this task; making it costs nothing."""
        return AirbyteHook(self.airbyte_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the sync, and wait for it as asked."""
        with failing_fast():
            self.connection_id = checked_uuid(self.connection_id, "connection_id")
            return self._run(context, time.time() + self._patience())

    def execute_after_running(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job that was in the way has ended, however it ended."""
        with failing_fast():
            ended = JobEvent.from_payload(event)
            ended.terminal_job()
            return self._run(context, ended.deadline)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job that the task waits for has ended."""
        with failing_fast():
            ended = JobEvent.from_payload(event)
            job = self._settle(ended.terminal_job, ended.adopted, ended.job_url)
            return self._finish(job, ended.job_url) or self._run(context, ended.deadline)

    def on_kill(self) -> None:
        """Cancel the task's own job; Airflow calls this when it kills the task."""
        self._killed = True
        if not self.cancel_on_kill or (self._own_job_id is None and self._creating_since is None):
            return
        # A client of its own: this interrupts the thread that may hold the lock of the hook's.
        client = blocking_client(self.hook.settings)
        try:
            run_blocking(self._cancel_own_job(client))
        except AirbyteError as error:
            self.log.warning(
                "The job of connection %s was not cancelled, do it by hand: %s",
                self.connection_id,
                error,
            )

    async def _cancel_own_job(self, client: AirbyteClient) -> None:
        async with client:
            job_id = self._own_job_id
            if job_id is None and self._creating_since is not None:
                created = await client.find_job_since(
                    self.connection_id, self.job_type, since=self._creating_since
                )
                job_id = created.job_id if created else None
            if job_id is not None:
                job = await client.cancel_job(job_id)
                self.log.info("Job %s is %s.", job_id, job.status)

    def _run(self, context: Context, deadline: float) -> dict[str, Any]:
        connection = self.hook.get_airbyte_connection(self.connection_id)
        while True:
            job = self._obtain_job(context, connection, deadline)
            job_url = self._page(connection, job)
            self._announce(context, connection, job, job_url)
            if not self.wait_for_completion:
                return job_result(job, job_url)
            if self.deferrable and not job.is_terminal:
                self._defer_until_terminal(job, job_url, deadline, "execute_complete")
            job = self._settle(partial(self._wait, job, deadline), job.adopted, job_url)
            if result := self._finish(job, job_url):
                return result

    def _obtain_job(self, context: Context, connection: AirbyteConnection, deadline: float) -> Job:
        """Return a job of our own, or the one that `on_running` says to attach to."""
        previous_try_may_linger = context["ti"].try_number > 1
        while True:
            try:
                return self._create_job()
            except AirbyteConflictError as conflict:
                if not conflict.sync_is_running:
                    raise
                running = self.hook.find_running_job(self.connection_id)
                if running is None:
                    # It ended just now, or it is one that this server does not list.
                    self._pause(deadline, conflict)
                elif previous_try_may_linger and self.on_running in ("skip", "fail"):
                    self._let_previous_try_end(running)
                elif attached := self._meet(replace(running, adopted=True), connection, deadline):
                    return attached
            previous_try_may_linger = False

    def _meet(self, running: Job, connection: AirbyteConnection, deadline: float) -> Job | None:
        """Do about a job in the way what `on_running` says; ``None`` when it has ended."""
        page = self._page(connection, running)
        told = f"Job {running.job_id} of connection {connection} is {running.status} already"
        if self.on_running == "skip":
            raise AirflowSkipException(f"{told}, and on_running is 'skip'. {page}")
        if self.on_running == "fail":
            raise AirbyteJobError(
                f"{told}, and on_running is 'fail': let it end, or set on_running to 'wait' or "
                f"'attach'. {page}",
                job=running,
            )
        if self.on_running == "attach" and running.moves_data:
            self.log.info("%s: waiting for it, starting none. %s", told, page)
            return running
        self.log.info("%s: waiting for it, then starting our own. %s", told, page)
        if self.deferrable:
            self._defer_until_terminal(running, page, deadline, "execute_after_running")
        self._wait(running, deadline)
        return None

    def _create_job(self) -> Job:
        self._creating_since = time.monotonic()
        try:
            job = self.hook.create_job(self.connection_id, self.job_type)
            if not job.adopted:
                self._own_job_id = job.job_id
        finally:
            self._creating_since = None
        if self._killed:
            self.on_kill()
        return job

    def _announce(
        self, context: Context, connection: AirbyteConnection, job: Job, job_url: str
    ) -> None:
        """Tell log and XCom of the job before the wait begins."""
        verb = "Waiting for" if job.adopted else "Started"
        self.log.info(
            "%s %s job %s of connection %s: %s", verb, job.job_type, job.job_id, connection, job_url
        )
        task_instance = context["ti"]
        task_instance.xcom_push(key=JOB_ID_KEY, value=job.job_id)
        task_instance.xcom_push(key=CONNECTION_ID_KEY, value=job.connection_id)
        task_instance.xcom_push(key=JOB_URL_KEY, value=job_url)

    def _wait(self, job: Job, deadline: float) -> Job:
        ended = self.hook.wait_for_job(
            job.job_id,
            poll_interval=self.poll_interval,
            timeout=max(0.0, deadline - time.time()),
        )
        return replace(ended, adopted=job.adopted)

    def _defer_until_terminal(
        self, job: Job, job_url: str, deadline: float, method_name: str
    ) -> NoReturn:
        self.defer(
            trigger=AirbyteJobTrigger(
                airbyte_conn_id=self.airbyte_conn_id,
                job_id=job.job_id,
                connection_id=job.connection_id,
                deadline=deadline,
                poll_interval=self.poll_interval,
                job_url=job_url,
                adopted=job.adopted,
                cancel_on_kill=self.cancel_on_kill,
            ),
            method_name=method_name,
        )

    def _settle(self, wait: Callable[[], Job], adopted: bool, job_url: str) -> Job:
        """Return the job that *wait* ends with; when time is over, cancel it if it is ours."""
        try:
            return wait()
        except AirbyteJobTimeoutError as late:
            job, told = late.job, f"{late} It is left running."
            if self.cancel_on_timeout and not adopted:
                try:
                    job = self.hook.cancel_job(job.job_id)
                except AirbyteError as error:
                    told = f"{late} It could not be cancelled, do it by hand: {error}"
                else:
                    if job.has_succeeded:  # at the very last moment
                        return job
                    told = f"{late} It was cancelled."
            raise AirbyteJobTimeoutError(f"{told} {job_url}", job=job) from None

    def _finish(self, job: Job, job_url: str) -> dict[str, Any] | None:
        """Return the result; ``None`` when a job of somebody else's was taken away from us."""
        if job.adopted and job.is_cancelled:
            # By a person, or by the trigger of this task's previous try after a clear.
            self.log.warning("Job %s, not ours, was cancelled: starting our own.", job.job_id)
            return None
        check_rows(self.hook.ensure_succeeded(job), self.min_rows, self.on_too_few_rows)
        self.log.info("Job %s succeeded with %s rows.", job.job_id, job.rows_synced)
        return job_result(job, job_url)

    def _let_previous_try_end(self, running: Job) -> None:
        self.log.info(
            "Job %s may be one that this task's previous try is cancelling: giving it up to %s s.",
            running.job_id,
            _PREVIOUS_TRY_GRACE,
        )
        with suppress(AirbyteJobTimeoutError):
            self.hook.wait_for_job(running.job_id, poll_interval=1.0, timeout=_PREVIOUS_TRY_GRACE)

    def _pause(self, deadline: float, conflict: AirbyteConflictError) -> None:
        if time.time() >= deadline:
            raise conflict
        self.log.info("A job is in the way, but not in the list. Trying again: %s", conflict)
        time.sleep(min(self.poll_interval, DEFAULT_POLL_INTERVAL))

    def _page(self, connection: AirbyteConnection, job: Job) -> str:
        return self.hook.settings.urls.job_page(connection, job.job_id)

    def _patience(self) -> float:
        """Seconds from now to the deadline of all waiting."""
        if self.deferrable and self.execution_timeout:
            limit = self.execution_timeout.total_seconds() * _EXECUTION_TIMEOUT_SHARE
            return min(self.timeout, limit)
        return self.timeout
