"""The base class of operators and sensors that follow a job to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_airbyte_sme import metrics
from airflow_provider_airbyte_sme.api import AirbyteError, JobDetails
from airflow_provider_airbyte_sme.operators.base import AirbyteOperator, push_job
from airflow_provider_airbyte_sme.operators.memory import JobNote

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_airbyte_sme.outcome import TrackedJob

_NOTE = "airbyte_sme_measured_job"


class AirbyteTrackingOperator(AirbyteOperator):
    """Base class of what follows a job to its end."""

    # The last details that were read of a job that has ended, by its number.
    _known_details: tuple[int, JobDetails] | None = None
    # The last job that this process has measured: there may be no store, and a sensor may poke on.
    _measured_job = 0

    def _note_job(self, context: Context, tracked: TrackedJob) -> None:
        """Note the job of the task, as soon as it is known and again when it has ended."""
        push_job(context, tracked)

    def _note_end(self, context: Context, tracked: TrackedJob) -> None:
        """
        Send the metrics of a job that has ended, successfully or not: once per task and job.

        What goes wrong here does not fail the task. Without Airflow 3.3, a sensor that is retried
        sends those of the same job again.
        """
        job_id = tracked.job.job_id
        if not metrics.are_on() or self._measured_job == job_id:
            return
        self._measured_job = job_id
        note = JobNote(context, _NOTE, "so a retry may measure the same job again")
        if note.is_about(job_id):
            return
        note.keep(job_id)
        details = self._find_details(job_id)
        metrics.measure_end(tracked, details, self._metric_tags())

    def _find_details(self, job_id: int) -> JobDetails | None:
        """Read the attempts of a job that has ended; ``None`` if the config API does not say."""
        try:
            return self._read_details(job_id, self.hook.read_job_details)
        except AirbyteError as error:
            self.log.info("How long job %s was queued is not measured: %s", job_id, error)
            return None

    def _read_details(self, job_id: int, read: Callable[[int], JobDetails]) -> JobDetails:
        """
        Return what the config API knows of a job that has ended; it is read once per process.

        :param read: Reads it.
        :raises AirbyteError: What *read* raises.
        """
        if self._known_details is None or self._known_details[0] != job_id:
            self._known_details = job_id, read(job_id)
        return self._known_details[1]

    def _metric_tags(self) -> dict[str, str]:
        return {"dag_id": self.dag_id, "task_id": self.task_id}
