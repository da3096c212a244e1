"""
Whose job is it? The only place that decides about ownership.

Pure: no I/O. Job ids decide, never clocks: Airbyte numbers its jobs in the order of their creation
(docs/airbyte-api.md §3.1.7). The newest job id of the connection is read before each ``POST
/jobs``: the baseline. A job above it was created after the request.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_airbyte_sme.api.errors import AirbyteStoppedError
from airflow_provider_airbyte_sme.api.models import CreatedJob, Job, Ownership


class JobCreation:
    """
    The creation of one job, which another piece of code may watch and stop.

    A signal handler interrupts the creation at any point. What it needs is here: whether a job may
    have been created that nobody knows of, and how to find it.

    :param job_type: Type of the job to create.
    :ivar created: The job, once it is known.
    :ivar baseline: Newest job id of the connection before the first ``POST`` whose outcome is
        unknown; ``None`` if there is no such ``POST``.
    """

    def __init__(self, job_type: str) -> None:
        self.job_type = job_type
        self.created: CreatedJob | None = None
        self.baseline: int | None = None
        self._newest_id = 0
        self._is_unresolved = False
        self._is_stopped = False

    @property
    def is_unresolved(self) -> bool:
        """Whether an earlier ``POST`` may have created a job."""
        return self._is_unresolved

    @property
    def is_stopped(self) -> bool:
        """Whether no further ``POST`` may go out."""
        return self._is_stopped

    def stop(self) -> None:
        """Let no further ``POST`` go out."""
        self._is_stopped = True

    def raise_if_stopped(self) -> None:
        """
        Check that another ``POST`` may go out.

        :raises AirbyteStoppedError: The creation was stopped.
        """
        if self._is_stopped:
            raise AirbyteStoppedError("The task was killed, so it starts no job.")

    def begin_post(self, newest_id: int) -> None:
        """
        Note that a ``POST`` goes out. Until its outcome is noted, a job may have been created.

        :param newest_id: Newest job id of the connection, read just before.
        :raises AirbyteStoppedError: The creation was stopped.
        """
        self.created = None
        self._newest_id = newest_id
        if self.baseline is None:
            self.baseline = newest_id
        # Checked last: a signal handler that interrupts this method either finds the baseline or
        # is noticed here.
        if self._is_stopped:
            self.note_rejection()
            self.raise_if_stopped()

    def note_rejection(self) -> None:
        """Note that the last ``POST`` created no job."""
        if not self._is_unresolved:
            self.baseline = None

    def note_loss(self) -> None:
        """Note that the last ``POST`` got no usable response."""
        self._is_unresolved = True

    def note_absence(self) -> None:
        """Note that the search found no job. One that appears later may be anybody's."""
        self.baseline = None
        self._is_unresolved = False

    def note_response(self, job: Job) -> CreatedJob | None:
        """
        Decide about the job that the last ``POST`` was answered with.

        :return: The job, or ``None`` if only the list of jobs can tell whose it is.
        """
        if job.job_id > self._newest_id and job.is_of_type(self.job_type):
            return self.note_created(CreatedJob(job, Ownership.STARTED))
        if self._is_unresolved and self._is_candidate(job):
            return None
        return self.note_created(CreatedJob(job, Ownership.FOREIGN, is_in_the_way=True))

    def note_listed_jobs(self, jobs: Iterable[Job]) -> CreatedJob | None:
        """
        Decide which of the connection's jobs a ``POST`` without a usable response created.

        One candidate is ours, as far as anyone can know. Of several, the newest is new enough to
        be waited for, but nobody can tell whose it is.

        :return: The job, or ``None`` if there is none.
        """
        candidates = [job for job in jobs if self._is_candidate(job)]
        if not candidates:
            return None
        newest = max(candidates, key=lambda job: job.job_id)
        ownership = Ownership.FOUND if len(candidates) == 1 else Ownership.FOREIGN
        return self.note_created(CreatedJob(newest, ownership))

    def note_running(self, jobs: Iterable[Job]) -> CreatedJob | None:
        """
        Decide that the job which is running is in the way: a ``POST`` would cancel it.

        :param jobs: The newest jobs of the connection, before a ``POST``.
        :return: The job, or ``None`` if none is running.
        """
        running = [job for job in jobs if not job.is_terminal]
        if not running:
            return None
        newest = max(running, key=lambda job: job.job_id)
        return self.note_created(CreatedJob(newest, Ownership.FOREIGN, is_in_the_way=True))

    def note_created(self, created: CreatedJob) -> CreatedJob:
        """Note which job it is, and whose: nothing is in doubt any more."""
        self.created = created
        self.baseline = None
        self._is_unresolved = False
        return created

    def _is_candidate(self, job: Job) -> bool:
        return (
            self.baseline is not None
            and job.job_id > self.baseline
            and job.is_of_type(self.job_type)
        )
