"""
Whose job is it? The only place that decides about ownership.

Pure: no I/O. Job ids decide: Airbyte numbers its jobs in the order of their creation
(docs/airbyte-api.md §3.1.7). The newest job id of the connection is read before each ``POST
/jobs``: the baseline. A job above it was created after the request. No clock makes a job ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from airflow_provider_airbyte_sme.api.errors import AirbyteStoppedError
from airflow_provider_airbyte_sme.api.models import CreatedJob, Job, Ownership


class JobCreation:
    """
    The creation of one job, which another piece of code may watch and stop.

    A signal handler interrupts the creation at any point. What it needs is here: whether a job may
    have been created that nobody knows of, and how to find it.

    :param job_type: Type of the job to create.
    :ivar observer: Called with the baseline and the job whenever one of them changes, and before a
        ``POST`` goes out; not once the creation is stopped, because a signal handler stops it.
    :ivar created: The job, once it is known.
    :ivar may_appear: Whether a job was looked for and not found, which a slow server may still
        create.
    :ivar baseline: Newest job id of the connection before the first ``POST`` whose outcome is
        unknown; ``None`` if there is no such ``POST``.
    :ivar newest_jobs: Newest jobs of the connection, as read before the last ``POST``.
    """

    def __init__(self, job_type: str) -> None:
        self.job_type = job_type
        self.observer: Callable[[int | None, CreatedJob | None], None] | None = None
        self.created: CreatedJob | None = None
        self.baseline: int | None = None
        self.may_appear = False
        self.newest_jobs: Sequence[Job] = ()
        self._newest_id = 0
        self._latest: datetime | None = None
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

    def resume(self, baseline: int, latest: datetime) -> None:
        """
        Continue the creation of a process that died after its ``POST`` may have gone out.

        :param baseline: The baseline of that process.
        :param latest: When its job was created at the latest. A job that is younger is not ours,
            however few there are.
        """
        self.baseline = baseline
        self._latest = latest
        self._is_unresolved = True

    def abandon(self) -> None:
        """Note that what :meth:`resume` or :meth:`note_created` has told is not about this job."""
        self.created = self.baseline = self._latest = None
        self._is_unresolved = False

    def begin_post(self, newest_id: int) -> None:
        """
        Note that a ``POST`` goes out. Until its outcome is noted, a job may have been created.

        :param newest_id: Newest job id of the connection, read just before.
        :raises AirbyteStoppedError: The creation was stopped.
        """
        self.created = None
        self._newest_id = newest_id
        self._latest = None
        baseline = newest_id if self.baseline is None else self.baseline
        # Told first: a signal handler would search for a job although no POST is out yet.
        self._tell(baseline, None)
        self.baseline = baseline
        # Checked last: a signal handler that interrupts this method either finds the baseline or
        # is noticed here.
        if self._is_stopped:
            self.note_rejection()
            self.raise_if_stopped()

    def note_rejection(self) -> None:
        """Note that the last ``POST`` created no job."""
        if not self._is_unresolved:
            self.baseline = None
            self._tell(None, None)

    def note_loss(self) -> None:
        """Note that the last ``POST`` got no usable response."""
        self._is_unresolved = True

    def note_absence(self) -> None:
        """
        Note that the search found no job. One that appears later may be anybody's.

        The observer is not told: what outlasts this creation may find the job of a slow server.
        """
        self.baseline = None
        self._is_unresolved = False
        self.may_appear = True

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

        One candidate is ours, as far as anyone can know. Of several, each is new enough to be
        waited for, but nobody can tell whose it is: the newest that has not failed.

        :param jobs: Jobs of the connection, in any order.
        :return: The job, or ``None`` if there is none.
        """
        candidates = [job for job in jobs if self._is_candidate(job)]
        if not candidates:
            return None
        best = max(
            candidates, key=lambda job: (job.has_succeeded or not job.is_terminal, job.job_id)
        )
        is_ours = len(candidates) == 1 and not self._is_too_young(best)
        ownership = Ownership.FOUND if is_ours else Ownership.FOREIGN
        return self.note_created(CreatedJob(best, ownership))

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
        """
        Note which job it is, and whose: nothing is in doubt any more.

        :param created: The job, and whose it is.
        :return: The same.
        """
        self.created = created
        self.may_appear = False
        self.baseline = None
        self._is_unresolved = False
        self._tell(None, created)
        return created

    def _tell(self, baseline: int | None, created: CreatedJob | None) -> None:
        if self.observer is not None and not self._is_stopped:
            self.observer(baseline, created)

    def _is_too_young(self, job: Job) -> bool:
        return (
            self._latest is not None
            and job.started_at is not None
            and job.started_at > self._latest
        )

    def _is_candidate(self, job: Job) -> bool:
        return (
            self.baseline is not None
            and job.job_id > self.baseline
            and job.is_of_type(self.job_type)
        )
