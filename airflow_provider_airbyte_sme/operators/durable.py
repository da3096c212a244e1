"""A task whose tries share one job: a try that dies leaves it to the next one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_airbyte_sme.api import (
    AirbyteConnection,
    AirbyteError,
    CreatedJob,
    Job,
    JobType,
    Ownership,
)
from airflow_provider_airbyte_sme.api.resources.job_starts import CANCEL_PATIENCE
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.operators.killing import AirbyteJobOwner, TryCreation
from airflow_provider_airbyte_sme.operators.memory import JobRecord, TaskMemory

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Jobs among which that of an earlier try is looked for. Airbyte runs one of a connection at a time.
_NEWEST_JOBS = 20


class AirbyteDurableJobOwner(AirbyteJobOwner):
    """
    Base class of what wants one job from all tries of its task together.

    Before a job is asked for, its task keeps the newest job id of the connection in Airflow's task
    state store, and afterwards the job, until it has settled. A try that finds such a record takes
    the job over, if it is running or has succeeded. A job that has failed or was cancelled is
    replaced. So is each after the task was cleared, which asks for a new one: a job that still runs
    is cancelled first, with *cancel_on_kill*.

    Airflow before 3.3 keeps no records. There, a retry takes over the newest job of the same type
    that was created after the DAG run began, whoever started it, and never cancels it.
    """

    _memory: TaskMemory
    _record: JobRecord | None = None
    _try_number: int = 0
    _max_tries: int = 0
    _epoch: tuple[int, int] = (0, 0)

    def has_enough(self, job: Job) -> bool:
        """Whether *job*, which has succeeded and may be somebody else's, is what the task wants."""
        return True

    def _open_memory(self, context: Context) -> None:
        """Prepare the memory, first thing in each process of the task."""
        ti = context["ti"]
        if self._creation.try_number not in (0, ti.try_number):
            # ``dag.test()`` runs all tries with copies of one operator, which share it.
            self._creation = TryCreation(self.job_type)
        self._creation.try_number = ti.try_number
        self._memory = TaskMemory(context)
        self._try_number, self._max_tries = ti.try_number, getattr(ti, "max_tries", 0)
        self._epoch = self._max_tries, getattr(context["dag_run"], "clear_number", 0) or 0

    def _recall(self) -> None:
        """Read what an earlier try has left, before anything can fail."""
        self._record = self._memory.recall()

    def _own_left_job(self) -> None:
        """Let a kill from now on cancel the job that an earlier try has left."""
        record = self._record
        if record is None:
            return
        # First: a kill must not read the settings in its signal handler.
        self.hook.get_conn()
        self._connection_id = record.connection_id
        if record.job_id is not None:
            self._creation.note_created(CreatedJob(record.last_job, record.ownership))
        elif not self._is_settled_by_clear(record):
            self._creation.resume(record.baseline or 0, record.latest_creation)

    def _remember(self, baseline: int | None, created: CreatedJob | None) -> None:
        """Keep for the next try what this one has asked for."""
        record = JobRecord(
            self._connection_id,
            self.job_type,
            self._try_number,
            self._epoch,
            baseline=baseline,
            asked_at=time.time() if created is None else 0.0,
        )
        if created is not None and not created.is_in_the_way:
            record = record._replace(job_id=created.job_id, ownership=created.ownership)
        if record.job_id is None and record.baseline is None:
            self._memory.forget()
        else:
            self._memory.keep(record)

    def _start_remembering(self) -> None:
        """Keep from now on what this try asks for, in place of what an earlier one has left."""
        self._record = None
        self._creation.observer = self._remember

    def _note_success(self) -> None:
        """
        Note that the task is about to succeed with its job.

        Airflow notes that only after this process has returned the result. If it dies before, a
        retry must find the job. A later clear knows that the job is older than itself.
        """
        if self._try_number > self._max_tries:
            self._memory.forget()

    def _warn_of_left_job(self) -> None:
        """Say that this try ends before it has decided about the job that an earlier one left."""
        record = self._record
        if record is not None:
            self.log.warning(
                "%s of an earlier try of this task may be running: if there is no retry, which "
                "takes it over, and it is not wanted, cancel it by hand.",
                record.last_job.describe()
                if record.job_id
                else f"A new job of connection {record.connection_id}",
            )

    def _left_by_an_earlier_try(
        self, context: Context, connection: AirbyteConnection
    ) -> CreatedJob | None:
        """
        Return the job that an earlier try has left, and that answers for this one too.

        Until that is decided, the record stays as it is: this try may die too.

        :return: ``None`` if this try has to start a job.
        :raises AirbyteError: Airbyte is unreachable, so nobody knows.
        """
        record = self._record
        if record is not None:
            left, is_over = self._job_of(record, connection), self._is_settled_by_clear(record)
        elif self._memory.is_readable or self._try_number == 1:
            return None
        else:
            left = self._listed_job(context, connection)
            is_over = self._max_tries > int(self.retries or 0)
        if left is None:
            return None
        if record is not None and self._is_unwanted(record, left):
            left = left._replace(job=self._cancelled(left.job, connection))
        job = left.job
        what = f"{job.describe(connection.name)} of an earlier try of this task: {job.status}"
        if job.is_terminal and (is_over or not job.has_succeeded):
            reason = ", but the task was cleared since" if job.has_succeeded else ""
            self.log.info("%s%s. Starting another.", what, reason)
            self._memory.forget()
            self._creation.abandon()
            return None
        self.log.info("%s. Taking it over instead of starting another.", what)
        self._remember(None, left)
        return self._creation.note_created(left)

    def _is_settled_by_clear(self, record: JobRecord) -> bool:
        """
        Whether the task has been cleared since *record*, so that what has ended does not count.

        A record of this very try is of a run that was deleted, or of a job that this try has
        reported already.
        """
        return record.epoch != self._epoch or record.try_number >= self._try_number

    def _is_unwanted(self, record: JobRecord, left: CreatedJob) -> bool:
        """
        Whether the job runs although the task was cleared, and this try has to cancel it.

        The trigger of a deferred task does that too, unless this try has deferred before it.
        """
        is_cleared = record.epoch[0] != self._max_tries
        is_ours = left.ownership.is_ours and self.cancel_on_kill
        return is_cleared and is_ours and not left.job.is_terminal

    def _cancelled(self, job: Job, connection: AirbyteConnection) -> Job:
        """Return *job* after an attempt to cancel it."""
        what = f"{job.describe(connection.name)} of an earlier try"
        self.log.info("The task was cleared: cancelling %s.", what)
        try:
            return self.hook.cancel_job(job.job_id)
        except AirbyteError as error:
            self.log.warning("%s was not cancelled: %s", what, error)
            return job

    def _job_of(self, record: JobRecord, connection: AirbyteConnection) -> CreatedJob | None:
        """Return the job of *record*, as it is now; ``None`` if there is none."""
        if not record.is_about(connection.connection_id, self.job_type):
            self.log.warning(
                "An earlier try of this task asked for something else, a %s of connection %s. Its "
                "job is left alone, and may be running.",
                record.job_type,
                record.connection_id,
            )
            self._creation.abandon()
            return None
        if record.job_id is None:
            left = self._find_above(record, connection)
        else:
            left = self._read_job(record, record.job_id)
        if left is not None and left.ownership.is_ours:
            left = left._replace(ownership=Ownership.REATTACHED)
        return left

    def _find_above(self, record: JobRecord, connection: AirbyteConnection) -> CreatedJob | None:
        """Return the job that is newer than the baseline of *record*."""
        if self._is_settled_by_clear(record):
            # It may be anybody's. If it runs, it is in the way of our own.
            self._memory.forget()
            return None
        self.log.info(
            "An earlier try of this task may have started a job of connection %s: looking for it.",
            connection,
        )
        return self.hook.find_created_job(
            connection.connection_id, self._creation, failure_budget=CANCEL_PATIENCE
        )

    def _read_job(self, record: JobRecord, job_id: int) -> CreatedJob | None:
        """Return the job of *record*; ``None`` if this Airbyte does not have it."""
        try:
            job = self.hook.get_job(job_id)
        except AirbyteError as error:
            if not is_permanent(error):
                raise
            reason = str(error)
        else:
            if (job.connection_id, job.is_of_type(record.job_type)) == (record.connection_id, True):
                return CreatedJob(job, record.ownership)
            reason = f"{job.describe()} is another one"
        self.log.warning("Job %s of an earlier try of this task is lost: %s", job_id, reason)
        self._creation.abandon()
        return None

    def _listed_job(self, context: Context, connection: AirbyteConnection) -> CreatedJob | None:
        """
        Return the job that an earlier try may have started, where Airflow keeps no records.

        The data of one that was created after the DAG run began is new enough, whoever started it.
        """
        began = context["dag_run"].start_date
        jobs = self.hook.list_jobs(
            connection_id=connection.connection_id,
            # Servers up to 2.0.0 list a refresh only when asked for that type.
            job_type=JobType.REFRESH if self.job_type == JobType.REFRESH else None,
            limit=_NEWEST_JOBS,
        )
        newest = next((job for job in jobs if job.is_of_type(self.job_type)), None)
        if newest is None or newest.started_at is None or not began:
            return None
        # Airbyte leaves out fractions of seconds.
        if newest.started_at < began.replace(microsecond=0):
            return None
        if newest.has_succeeded and not self.has_enough(newest):
            return None
        return CreatedJob(newest, Ownership.FOREIGN)
