"""Sensors that wait for Airbyte jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_airbyte_sme.api import AirbyteJobTimeoutError, Job, Ownership
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL
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
    resolve_deferrable,
    validate_choice,
    validate_job_id,
    validate_seconds,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AirbyteJobSensor(BaseSensorOperator):
    """
    Wait until one job has succeeded, no matter who started it.

    A job that fails or is cancelled fails the sensor. The result is the dict that
    :class:`~.operators.airbyte.AirbyteTriggerSyncOperator` returns. The sensor never cancels the
    job.

    :param airbyte_job_id: Job number, or the result of a task with a ``job_id``. (templated)
    :param airbyte_conn_id: Id of the Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default Airflow's
        ``[operators] default_deferrable``.
    :param poll_interval: Seconds between two reads of the job's status; by default *poke_interval*
        if that is given.
    :param poke_interval: Seconds between two pokes, when not deferrable; by default
        *poll_interval*.
    :param timeout: Seconds to wait in total.
    :param min_rows: Lowest number of rows to accept from a job that succeeds.
    :param on_too_few_rows: What to do when there are fewer: ``fail``, ``skip`` or ``warn``.
    """

    template_fields: Sequence[str] = ("airbyte_job_id", "airbyte_conn_id")
    ui_color = "#e4e0ff"

    def __init__(
        self,
        *,
        airbyte_job_id: int | str | Mapping[str, Any],
        airbyte_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool | None = None,
        poll_interval: float | None = None,
        poke_interval: timedelta | float | None = None,
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        min_rows: int = 0,
        on_too_few_rows: OnTooFewRows = "fail",
        **kwargs: Any,
    ) -> None:
        poke = (
            poke_interval.total_seconds() if isinstance(poke_interval, timedelta) else poke_interval
        )
        poll = next(
            given for given in (poll_interval, poke, DEFAULT_POLL_INTERVAL) if given is not None
        )
        super().__init__(poke_interval=poll if poke is None else poke, timeout=timeout, **kwargs)
        validate_choice(on_too_few_rows, "on_too_few_rows", get_args(OnTooFewRows))
        self.airbyte_job_id = airbyte_job_id
        self.airbyte_conn_id = airbyte_conn_id
        self.deferrable = resolve_deferrable(deferrable)
        self.poll_interval = validate_seconds(poll, "poll_interval")
        self.min_rows = min_rows
        self.on_too_few_rows = on_too_few_rows

    @cached_property
    def hook(self) -> AirbyteHook:
        """The hook of this task. Constructing it does no I/O."""
        return AirbyteHook(self.airbyte_conn_id)

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once, retrying while Airbyte is unavailable."""
        with failing_fast():
            job = self._read_job()
            self.log.info("%s: %s.", job.describe(), job.status)
            result = self._finish(job) if job.is_terminal else None
        return PokeReturnValue(is_done=job.is_terminal, xcom_value=result)

    def execute(self, context: Context) -> Any:
        """Wait, on the worker or in the triggerer. A job that has ended is not waited for."""
        if not self.deferrable:
            return super().execute(context)
        with self._respecting_soft_fail(), failing_fast():
            job = self._read_job()
            if not job.is_terminal:
                self._defer(self._track(job))
            return self._finish(job)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job has ended."""
        with self._respecting_soft_fail(), failing_fast():
            job_event = JobEvent.from_payload(event)
            try:
                tracked = job_event.ended_job()
            except AirbyteJobTimeoutError as timeout:
                message = f"{timeout} It is left running. {job_event.last_read_job().job_url}"
                raise AirflowSensorTimeout(message.rstrip()) from None
            return self._finish(tracked.job, tracked)

    def _read_job(self) -> Job:
        return self.hook.poll_job(validate_job_id(self.airbyte_job_id, "airbyte_job_id"))

    def _track(self, job: Job) -> TrackedJob:
        connection = self.hook.find_connection_of_job(job)
        return TrackedJob(
            job,
            Ownership.FOREIGN,
            deadline=time.time() + self.timeout,
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
    def _respecting_soft_fail(self) -> Iterator[None]:
        """
        Skip where a poking sensor does.

        With *soft_fail*, that is at the timeout and after a permanent error; with *never_fail*,
        after any error.
        """
        try:
            yield
        except AirflowSkipException:
            raise
        except (AirflowSensorTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise
