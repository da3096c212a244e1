"""What the sensors have in common: how they wait, what ends them, and what an error means."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteConnection,
    AirbyteError,
    AirbyteJobTimeoutError,
    AirbyteSettingsNotFoundError,
    AirbyteSyncTimeoutError,
    Job,
    Ownership,
)
from airflow_provider_airbyte_sme.api.waiting import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    Wait,
    duration_text,
)
from airflow_provider_airbyte_sme.operators.base import JOB_LINKS, push_target
from airflow_provider_airbyte_sme.operators.delivery import AirbyteDeliveryOperator
from airflow_provider_airbyte_sme.outcome import JobEvent, TrackedJob, failing_fast
from airflow_provider_airbyte_sme.parameters import (
    DEFAULT_TIMEOUT,
    Seconds,
    check_unless_template,
    is_template,
    resolve_deferrable,
    validate_seconds,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

    MakeTrigger = Callable[[], BaseTrigger]

# Parameters of Airflow's sensors that mean something only between two pokes.
_POKE_PARAMETERS = ("exponential_backoff", "max_wait", "silent_fail")
# What Airflow 2.11 says, without a class of its own, when it ends a deferral at execution_timeout.
_DEFERRAL_TIMEOUT = "Trigger/execution timeout"

R = TypeVar("R")


class AirbyteSensor(AirbyteDeliveryOperator, BaseSensorOperator):
    """
    Wait for a job that somebody starts.

    Base class. A subclass reads once in :meth:`read`. The job is never cancelled. Its other
    parameters are those of :class:`.AirbyteDeliveryOperator`.

    With Airflow's *soft_fail* the sensor skips at its timeout; every error fails it, an invalid
    configuration too. With *never_fail* it skips after any error.

    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default Airflow's
        ``[operators] default_deferrable``. Not with *exponential_backoff*, *max_wait* or
        *silent_fail*, which concern pokes.
    :param poll_interval: Time between two reads: a ``timedelta``, or seconds; by default
        *poke_interval* if that is given, else 10 seconds. (templated)
    :param poke_interval: Time between two pokes, when not deferrable; by default *poll_interval*.
        (templated)
    :param timeout: Time to wait in total: a ``timedelta``, or seconds; by default a day.
        (templated)
    :return: The dict that :class:`~.operators.airbyte.AirbyteTriggerSyncOperator` returns.
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    :raises AirflowSensorTimeout: *timeout* is over.
    :raises AirbyteJobFailedError: The job failed.
    :raises AirbyteJobCancelledError: The job was cancelled.
    """

    template_fields: Sequence[str] = (
        *AirbyteDeliveryOperator.template_fields,
        "poll_interval",
        "poke_interval",
        "timeout",
    )
    operator_extra_links = JOB_LINKS
    # Whether this process has pushed what it waits for.
    _has_pushed_target = False

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: Seconds | None = None,
        poke_interval: Seconds | None = None,
        timeout: Seconds | None = None,
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
        self.deferrable = resolve_deferrable(deferrable)
        self.poll_interval = poll
        self.poke_interval = poke
        self.timeout = total
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
        super()._validate_parameters()
        self.poll_interval = validate_seconds(self.poll_interval, "poll_interval")
        self.poke_interval = validate_seconds(self.poke_interval, "poke_interval")
        self.timeout = validate_seconds(self.timeout, "timeout")

    @abstractmethod
    def read(self, context: Context) -> Job | MakeTrigger:
        """
        Read once.

        :return: The job that ends the wait, successful or not; otherwise what makes the trigger
            that goes on with it.
        :raises AirflowSensorTimeout: Airbyte is unavailable, and the sensor's time is over.
        """

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Read once, retrying while Airbyte is unavailable.

        :raises AirflowSensorTimeout: It still is when the sensor's time is over.
        """
        with failing_fast():
            found = self.read(context)
            if not isinstance(found, Job):
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._finish(context, found))

    def execute(self, context: Context) -> Any:
        """Wait, on the worker or in the triggerer. A job that has ended is not waited for."""
        with self._skipping(), failing_fast():
            self._validate_parameters()
            self._deadline = self._start_time(context) + self.timeout
            if self.deferrable:
                found = self.read(context)
                if isinstance(found, Job):
                    return self._finish(context, found)
                make_trigger = found
                self.defer(trigger=make_trigger(), method_name="execute_complete")
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
        """Resume when the wait has ended in the triggerer."""
        with failing_fast():
            self._validate_parameters()
            job_event = JobEvent.from_payload(event)
            try:
                tracked = job_event.ended_job()
            except AirbyteJobTimeoutError as timeout:
                message = f"{timeout} It is left running. {job_event.last_read_job().job_url}"
                raise AirflowSensorTimeout(message.rstrip()) from None
            except AirbyteSyncTimeoutError as timeout:
                raise AirflowSensorTimeout(str(timeout)) from None
            return self._finish(context, tracked.job, tracked)

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

    def _time_left(self) -> float:
        return max(0.0, self._deadline - time.time())

    def _read_until_deadline(self, what: str, read: Callable[[float], R]) -> R:
        """
        Return the result of *read*.

        :param what: What is read, as the beginning of a message.
        :param read: Gets the seconds without a good response after which to give up.
        :raises AirflowSensorTimeout: Airbyte is unavailable, and the sensor's time is over.
        """
        left = self._time_left()
        # By the clock of the reads: another one may be a millisecond behind when they give up.
        wait = Wait(time.monotonic(), timeout=left)
        try:
            return read(min(FAILURE_BUDGET, left))
        except AirbyteError as error:
            if wait.is_over_after(error, now=time.monotonic()):
                raise AirflowSensorTimeout(
                    f"{what} could not be read any more before the sensor's timeout of "
                    f"{duration_text(self.timeout)} was over: {error}"
                ) from error
            raise

    def _push_target(self, context: Context, connection_id: str, job_id: int | None = None) -> None:
        """Push what this process pokes for, once. A deferred wait is known by its trigger."""
        if not self._has_pushed_target:
            push_target(context, connection_id, job_id)
            self._has_pushed_target = True

    def _track(self, job: Job) -> TrackedJob:
        connection = self._connection_of(job)
        return TrackedJob(
            job,
            Ownership.FOREIGN,
            deadline=self._deadline,
            job_url=self.hook.get_job_url(job, connection) if connection else "",
            connection_name=connection.name if connection else "",
        )

    def _connection_of(self, job: Job) -> AirbyteConnection | None:
        """Return the connection of *job*, for messages and links; ``None`` if it is unreadable."""
        try:
            return self.hook.find_connection_of_job(job)
        except AirbyteSettingsNotFoundError as error:
            self.log.info("Cannot read connection %s: %s", job.connection_id, error)
            return None

    def _finish(
        self, context: Context, job: Job, tracked: TrackedJob | None = None
    ) -> dict[str, Any]:
        if tracked is None or not tracked.job_url:
            tracked = self._track(job)
        self._note_job(context, tracked)
        self._note_end(context, tracked)
        # A success needs no settings, which a secrets backend may refuse at this moment.
        if not job.has_succeeded:
            self.hook.ensure_succeeded(job)
        checked = self._check_rows(tracked)
        self._tell_of_delivery(context, checked)
        return checked.result()

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
        Undo what Airflow does to errors with *soft_fail*.

        It skips, which would hide an invalid configuration, or a trigger that has crashed.
        """
        try:
            yield
        except AirflowSkipException as skip:
            reason = skip.__cause__
            if self.soft_fail and reason is not None and not _is_timeout(reason):
                raise reason from reason.__cause__
            raise


def _is_timeout(error: BaseException) -> bool:
    is_timeout = isinstance(error, AirflowSensorTimeout | AirflowTaskTimeout)
    return is_timeout or str(error) == _DEFERRAL_TIMEOUT
