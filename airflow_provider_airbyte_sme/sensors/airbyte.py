"""Sensors that wait for Airbyte jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
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

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteJobTimeoutError, Job
from airflow_provider_airbyte_sme.hooks.airbyte import DEFAULT_CONN_ID, AirbyteHook
from airflow_provider_airbyte_sme.jobs import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    OnTooFewRows,
    check_rows,
    checked_choice,
    checked_seconds,
    failing_fast,
    is_deferrable,
    job_result,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger, JobEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AirbyteJobSensor(BaseSensorOperator):
    """
    Wait until one job has succeeded, whoever started it.

    A job that fails, or is cancelled, fails the sensor. Its result is the dict that
    :class:`~.operators.airbyte.AirbyteTriggerSyncOperator` returns. The job itself is never
    cancelled.

    :param airbyte_job_id: Job number, or the result of a trigger operator that has one. (templated)
    :param airbyte_conn_id: Id of the Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer instead of on a worker; by default what
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: Seconds between two reads of the job's status, in every mode. Where only
        Airflow's ``poke_interval`` is given, that counts.
    :param poke_interval: Seconds between two pokes when not deferrable; by default *poll_interval*.
    :param timeout: Seconds to wait at most.
    :param min_rows: Fewest rows that count as data; a job that succeeds with fewer does not.
    :param on_too_few_rows: What to do about fewer: ``fail``, ``skip`` or ``warn``.
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
        checked_choice(on_too_few_rows, "on_too_few_rows", get_args(OnTooFewRows))
        self.airbyte_job_id = airbyte_job_id
        self.airbyte_conn_id = airbyte_conn_id
        self.deferrable = is_deferrable(deferrable)
        self.poll_interval = checked_seconds(poll, "poll_interval")
        self.min_rows = min_rows
        self.on_too_few_rows = on_too_few_rows

    @cached_property
    def hook(self) -> AirbyteHook:
        """The hook of this task; making it costs nothing."""
        return AirbyteHook(self.airbyte_conn_id)

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once, insisting while Airbyte is away."""
        with failing_fast():
            job = self._read_job()
            self.log.info(
                "Job %s of connection %s is %s.", job.job_id, job.connection_id, job.status
            )
            result = self._finish(job) if job.is_terminal else None
        return PokeReturnValue(is_done=job.is_terminal, xcom_value=result)

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer; a job that has ended is not waited for at all."""
        if not self.deferrable:
            return super().execute(context)
        with self._obeying_soft_fail(), failing_fast():
            job = self._read_job()
            if not job.is_terminal:
                self._defer_until_terminal(job)
            return self._finish(job)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job has ended."""
        with self._obeying_soft_fail(), failing_fast():
            ended = JobEvent.from_payload(event)
            try:
                job = ended.terminal_job()
            except AirbyteJobTimeoutError as late:
                raise AirflowSensorTimeout(f"{late} It is left running.") from None
            return self._finish(job, ended.job_url)

    def _read_job(self) -> Job:
        return self.hook.read_job_patiently(_job_number(self.airbyte_job_id))

    def _defer_until_terminal(self, job: Job) -> NoReturn:
        job_url = self.hook.get_job_url(job)
        self.log.info(
            "Job %s of connection %s is %s: waiting for it. %s",
            job.job_id,
            job.connection_id,
            job.status,
            job_url,
        )
        self.defer(
            trigger=AirbyteJobTrigger(
                airbyte_conn_id=self.airbyte_conn_id,
                job_id=job.job_id,
                connection_id=job.connection_id,
                poll_interval=self.poll_interval,
                deadline=time.time() + self.timeout,
                job_url=job_url,
                adopted=True,
            ),
            method_name="execute_complete",
        )

    def _finish(self, job: Job, job_url: str = "") -> dict[str, Any]:
        check_rows(self.hook.ensure_succeeded(job), self.min_rows, self.on_too_few_rows)
        return job_result(replace(job, adopted=True), job_url or self.hook.get_job_url(job))

    @contextmanager
    def _obeying_soft_fail(self) -> Iterator[None]:
        """Skip where a poking sensor would: soft_fail for time-outs, never_fail for everything."""
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


def _job_number(value: int | str | Mapping[str, Any]) -> int:
    given = value.get("job_id") if isinstance(value, Mapping) else value
    try:
        return int(str(given).strip())
    except ValueError:
        raise AirbyteConfigError(
            f"airbyte_job_id should be the number of an Airbyte job, or a result with a job_id, "
            f"not {value!r}. Did the task that it comes from push one?"
        ) from None
