"""Sensors that wait for Airbyte jobs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteError,
    AirbyteJobTimeoutError,
    Job,
    Ownership,
)
from airflow_provider_airbyte_sme.api.retry import is_outage
from airflow_provider_airbyte_sme.api.waiting import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    duration_text,
)
from airflow_provider_airbyte_sme.connection import DEFAULT_CONN_ID
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.outcome import (
    JobEvent,
    OnTooFewRows,
    TrackedJob,
    check_rows,
    failing_fast,
)
from airflow_provider_airbyte_sme.parameters import (
    DEFAULT_TIMEOUT,
    Seconds,
    check_unless_template,
    is_template,
    resolve_deferrable,
    validate_choice,
    validate_conn_id,
    validate_count,
    validate_job_id,
    validate_seconds,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Parameters of Airflow's sensors that mean something only between two pokes.
_POKE_PARAMETERS = ("exponential_backoff", "max_wait", "silent_fail")


class AirbyteJobSensor(BaseSensorOperator):
    """
    Wait until one job has succeeded, no matter who started it.

    A job that fails or is cancelled fails the sensor. The result is the dict that
    :class:`~.operators.airbyte.AirbyteTriggerSyncOperator` returns. The sensor never cancels the
    job.

    With Airflow's *soft_fail* the sensor skips at its timeout; every error fails it, an invalid
    configuration too. With *never_fail* it skips after any error.

    :param airbyte_job_id: Job number, or the result of a task with a ``job_id``, or a list with one
        of these, or the text of any of these. (templated)
    :param airbyte_conn_id: Id of the Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default Airflow's
        ``[operators] default_deferrable``. Not with *exponential_backoff*, *max_wait* or
        *silent_fail*, which concern pokes.
    :param poll_interval: Time between two reads of the job's status: a ``timedelta``, or seconds;
        by default *poke_interval* if that is given. (templated)
    :param poke_interval: Time between two pokes, when not deferrable; by default *poll_interval*.
        (templated)
    :param timeout: Time to wait in total: a ``timedelta``, or seconds. (templated)
    :param min_rows: Lowest number of rows to accept from a job that succeeds. (templated)
    :param on_too_few_rows: What to do when there are fewer: ``fail``, ``skip`` or ``warn``.
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    """

    template_fields: Sequence[str] = (
        "airbyte_job_id",
        "airbyte_conn_id",
        "poll_interval",
        "poke_interval",
        "timeout",
        "min_rows",
    )
    ui_color = "#e4e0ff"

    def __init__(
        self,
        *,
        airbyte_job_id: int | str | Mapping[str, Any] | Sequence[Any],
        airbyte_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool | None = None,
        poll_interval: Seconds | None = None,
        poke_interval: Seconds | None = None,
        timeout: Seconds | None = None,
        min_rows: int | str | None = None,
        on_too_few_rows: OnTooFewRows = "fail",
        **kwargs: Any,
    ) -> None:
        poll: Any = DEFAULT_POLL_INTERVAL if poke_interval is None else poke_interval
        poll = check_unless_template(
            validate_seconds, poll if poll_interval is None else poll_interval, "poll_interval"
        )
        poke = check_unless_template(
            validate_seconds, poll if poke_interval is None else poke_interval, "poke_interval"
        )
        total = check_unless_template(
            validate_seconds, DEFAULT_TIMEOUT if timeout is None else timeout, "timeout"
        )
        # Airflow accepts only numbers here; a template follows below.
        super().__init__(
            poke_interval=DEFAULT_POLL_INTERVAL if is_template(poke) else poke,
            timeout=DEFAULT_TIMEOUT if is_template(total) else total,
            **kwargs,
        )
        validate_choice(on_too_few_rows, "on_too_few_rows", get_args(OnTooFewRows))
        self.airbyte_job_id = airbyte_job_id
        self.airbyte_conn_id = check_unless_template(
            validate_conn_id, airbyte_conn_id, "airbyte_conn_id"
        )
        self.deferrable = resolve_deferrable(deferrable)
        self.poll_interval = poll
        self.poke_interval = poke
        self.timeout = total
        self.min_rows = check_unless_template(
            validate_count, 0 if min_rows is None else min_rows, "min_rows"
        )
        self.on_too_few_rows = on_too_few_rows
        self._deadline = math.inf
        self._refuse_poke_parameters()

    def _refuse_poke_parameters(self) -> None:
        given = [name for name in _POKE_PARAMETERS if getattr(self, name)]
        if self.deferrable and given:
            raise AirbyteConfigError(
                f"{' and '.join(given)} of a sensor has no effect with deferrable=True: remove it, "
                f"or set deferrable=False. A deferred wait reads every poll_interval, and survives "
                f"an outage of Airbyte of up to {duration_text(FAILURE_BUDGET)}."
            )

    def _validate_parameters(self) -> None:
        """
        Check the rendered arguments, first thing in each process of the task.

        Airflow renders the templates again whenever it resumes the task.

        :raises AirbyteConfigError: One is invalid.
        """
        self.airbyte_conn_id = validate_conn_id(self.airbyte_conn_id, "airbyte_conn_id")
        self.poll_interval = validate_seconds(self.poll_interval, "poll_interval")
        self.poke_interval = validate_seconds(self.poke_interval, "poke_interval")
        self.timeout = validate_seconds(self.timeout, "timeout")
        self.min_rows = validate_count(self.min_rows, "min_rows")

    @cached_property
    def hook(self) -> AirbyteHook:
        """The hook of this task. Constructing it does no I/O."""
        return AirbyteHook(self.airbyte_conn_id)

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Read the job once, retrying while Airbyte is unavailable.

        :raises AirflowSensorTimeout: It still is when the sensor's time is over.
        """
        with failing_fast():
            job = self._read_job()
            self.log.info("%s: %s.", job.describe(), job.status)
            result = self._finish(job) if job.is_terminal else None
        return PokeReturnValue(is_done=job.is_terminal, xcom_value=result)

    def execute(self, context: Context) -> Any:
        """Wait, on the worker or in the triggerer. A job that has ended is not waited for."""
        with self._skipping(), failing_fast():
            self._validate_parameters()
            self._deadline = self._start_time(context) + self.timeout
            if self.deferrable:
                job = self._read_job()
                if not job.is_terminal:
                    self._defer(self._track(job))
                return self._finish(job)
        with self._failing_on_errors():
            return super().execute(context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Resume after a deferral."""
        with self._skipping(), self._failing_on_errors():
            return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job has ended."""
        with failing_fast():
            self._validate_parameters()
            job_event = JobEvent.from_payload(event)
            try:
                tracked = job_event.ended_job()
            except AirbyteJobTimeoutError as timeout:
                message = f"{timeout} It is left running. {job_event.last_read_job().job_url}"
                raise AirflowSensorTimeout(message.rstrip()) from None
            return self._finish(tracked.job, tracked)

    def _start_time(self, context: Context) -> float:
        """Return when *timeout* began to count, in seconds since the epoch."""
        task_instance: Any = context["ti"]
        began = None
        if self.reschedule:
            if find_first := getattr(task_instance, "get_first_reschedule_date", None):
                began = find_first(context)
            else:  # Airflow 2.11
                began = task_instance.start_date
        return began.timestamp() if began else time.time()

    def _read_job(self) -> Job:
        job_id = validate_job_id(self.airbyte_job_id, "airbyte_job_id")
        time_left = max(0.0, self._deadline - time.time())
        try:
            return self.hook.poll_job(
                job_id,
                poll_interval=self.poll_interval,
                failure_budget=min(FAILURE_BUDGET, time_left),
            )
        except AirbyteError as error:
            if is_outage(error) and time.time() >= self._deadline:
                raise AirflowSensorTimeout(
                    f"Job {job_id} could not be read any more before the sensor's timeout of "
                    f"{duration_text(self.timeout)} was over: {error}"
                ) from error
            raise

    def _track(self, job: Job) -> TrackedJob:
        connection = self.hook.find_connection_of_job(job)
        return TrackedJob(
            job,
            Ownership.FOREIGN,
            deadline=self._deadline,
            job_url=self.hook.get_job_url(job, connection) if connection else "",
            connection_name=connection.name if connection else "",
        )

    def _defer(self, tracked: TrackedJob) -> NoReturn:
        self.log.info("%s is %s: waiting for it. %s", tracked, tracked.job.status, tracked.job_url)
        self.defer(
            trigger=AirbyteJobTrigger.for_job(
                tracked, airbyte_conn_id=self.airbyte_conn_id, poll_interval=self.poll_interval
            ),
            method_name="execute_complete",
        )

    def _finish(self, job: Job, tracked: TrackedJob | None = None) -> dict[str, Any]:
        self.hook.ensure_succeeded(job)
        if tracked is None or not tracked.job_url:
            tracked = self._track(job)
        check_rows(tracked, self.min_rows, self.on_too_few_rows)
        return tracked.result()

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        """Skip after a timeout with *soft_fail*, and after any error with *never_fail*."""
        try:
            yield
        except AirflowSkipException:
            raise
        except AirflowSensorTimeout as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    @contextmanager
    def _failing_on_errors(self) -> Iterator[None]:
        """
        Undo what Airflow does to an ``AirflowFailException`` with *soft_fail*.

        It skips, which would hide an invalid configuration.
        """
        try:
            yield
        except AirflowSkipException as skip:
            reason = skip.__cause__
            if self.soft_fail and isinstance(reason, AirflowFailException | AirflowSkipException):
                raise reason from reason.__cause__
            raise
