"""Airbyte's jobs: create one exactly once, find, cancel, wait for and explain it."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from airflow_provider_airbyte_sme.api.auth import Token
from airflow_provider_airbyte_sme.api.creation import JobCreation
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConflictError,
    AirbyteConnectionNotActiveError,
    AirbyteDecodeError,
    AirbyteError,
)
from airflow_provider_airbyte_sme.api.job_errors import (
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
)
from airflow_provider_airbyte_sme.api.models import (
    AirbyteConnection,
    CreatedJob,
    Job,
    JobFailure,
    JobType,
)
from airflow_provider_airbyte_sme.api.resources.base import (
    MAX_PAGE_SIZE,
    Query,
    ReadableResource,
)
from airflow_provider_airbyte_sme.api.resources.connections import Connections
from airflow_provider_airbyte_sme.api.retry import RetryPolicy, is_ambiguous
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.waiting import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    Outage,
    Wait,
    duration_text,
)

log = logging.getLogger(__name__)

R = TypeVar("R")

# Seconds for the calls that the server holds open. POST /jobs responds within 60 s on current
# servers; up to 2.0.0 once the attempt runs, under load after 30 to 130 s (apache/airflow#71092).
# DELETE /jobs polls without a limit until the workflow stops. docs/airbyte-api.md §3.2, §3.4, §9.2.
HELD_OPEN_TIMEOUT = 180.0
MAX_CREATE_ATTEMPTS = 3
# Seconds before each search for a job whose creation got no usable response: a server that lost
# its client may still be about to write the job.
_SEARCH_PAUSES = (0.0, 3.0, 7.0)
_SEARCH_OUTAGE_PAUSE = 3.0
# More than one, in case one cannot be read.
_BASELINE_JOBS = 20
# Seconds after which no further attempt to cancel a job begins. A task that cancels at its timeout
# ends at most that much later, unless Airbyte holds the call open.
CANCEL_PATIENCE = 60.0
# The server may hold each attempt for longer than any limit of the elapsed time.
_CANCEL_RETRY = RetryPolicy(max_elapsed=math.inf)
_CANCEL_CONFIRMATION_PAUSES = (0.0, 1.0, 1.0, 1.0)
# Within a wait, a failed read is repeated a few times before it counts as an outage.
READ_RETRY = RetryPolicy(max_elapsed=15.0, retries_refusals=False)
# Seconds for each read of what only adds to a message: it must not hold up a task that is done.
DETAILS_PATIENCE = 15.0


class Jobs(ReadableResource[Job]):
    """
    ``/jobs``: docs/airbyte-api.md §3.

    :param session: Sends the requests.
    :param connections: Where the connections of the jobs are read.
    """

    path = "jobs"
    model = Job

    def __init__(self, session: AirbyteSession, connections: Connections) -> None:
        super().__init__(session)
        self._connections = connections

    async def get(self, job_id: str | int) -> Job:
        """
        Read one job.

        :param job_id: Job number (``jobId``, int64).
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await super().get(job_id)

    async def list(
        self,
        *,
        connection_id: str | None = None,
        job_type: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        order_by: str = "createdAt|DESC",
    ) -> list[Job]:
        """
        Read jobs, the newest first by default, page by page.

        Airbyte keeps every job: without *limit* and filters this reads the whole history, 100 jobs
        per request. Without *job_type*, servers up to 2.0.0 leave out refresh and clear jobs.

        :param connection_id: Only those of this connection.
        :param job_type: Only those of this type.
        :param status: Only those with this one status.
        :param limit: How many to return at most; ``None`` for all.
        :param offset: How many to skip.
        :param order_by: ``createdAt`` or ``updatedAt``, ``|``, ``ASC`` or ``DESC``. Airbyte's own
            default is oldest first.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        query = {
            "connectionId": connection_id,
            "jobType": job_type,
            "status": status,
            "orderBy": order_by,
        }
        jobs = await self._list_all(query, limit=limit, offset=offset)
        # A job that is created meanwhile moves another to the next page, where it is read again.
        return [*{job.job_id: job for job in jobs}.values()]

    async def create(
        self,
        connection_id: str,
        job_type: str = JobType.SYNC,
        *,
        creation: JobCreation | None = None,
        timeout: float | None = None,
    ) -> CreatedJob:
        """
        Start a job, exactly once.

        A ``POST`` without a usable response is never repeated blindly: the connection's newest
        jobs show whether it created one. Whose job it is, :mod:`.creation` decides by job ids.

        :param connection_id: UUID of the Airbyte connection.
        :param job_type: ``sync``, ``reset`` or ``clear``.
        :param creation: What the caller can watch and stop; of the same *job_type*.
        :param timeout: Seconds after which nothing is retried any more; ``None`` for no limit but
            the policy's. A ``POST`` that is out is not cut short, and the search for its job lasts
            up to ``CANCEL_PATIENCE`` longer: the job could not be cancelled otherwise.
        :return: The job and whether it is ours. If a job of the connection has no attempt yet,
            Airbyte returns that one instead of creating another (docs/airbyte-api.md §3.2).
        :raises AirbyteConflictError: A job of the connection is already running.
        :raises AirbyteConnectionNotActiveError: The connection is inactive, locked or deleted.
        :raises AirbyteStoppedError: *creation* was stopped before a ``POST``.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        creation = creation or JobCreation(job_type)
        deadline = self._deadline(timeout)
        attempts = self._session.attempts(replayable=False, deadline=deadline)
        losses = 0
        while True:
            creation.raise_if_stopped()
            token = await attempts.token()
            # Before each POST: a job that somebody else starts during a pause must not be ours, and
            # a late job of an earlier POST may have ended by now, so that nothing is in the way.
            jobs = await self._newest_jobs(connection_id, deadline)
            if creation.is_unresolved and (created := creation.note_listed_jobs(jobs)):
                self._log_found(created)
                return created
            creation.begin_post(newest_id=max((job.job_id for job in jobs), default=0))
            loss: AirbyteError | None = None
            try:
                job = await self._post(connection_id, job_type, token)
            except AirbyteError as error:
                if not await self._may_have_created(error, connection_id, creation):
                    creation.note_rejection()
                    await attempts.pause_after(error)
                    continue
                loss = error
                log.warning("Checking whether a job was created after all: %s", error)
            else:
                if created := creation.note_response(job):
                    return created
            creation.note_loss()
            budget = self._search_budget(deadline)
            if created := await self.find_created(connection_id, creation, failure_budget=budget):
                return created
            creation.raise_if_stopped()
            losses += 1
            is_last = losses == MAX_CREATE_ATTEMPTS or self._is_over(deadline)
            if loss and (isinstance(loss, AirbyteConflictError) or is_last):
                creation.note_absence()
                raise loss
            log.info("No job was created. Trying again.")

    async def find_created(
        self,
        connection_id: str,
        creation: JobCreation,
        *,
        pauses: Iterable[float] = _SEARCH_PAUSES,
        failure_budget: float = FAILURE_BUDGET,
    ) -> CreatedJob | None:
        """
        Find the job that a ``POST`` without a usable response created.

        :param pauses: Seconds to wait before each search.
        :param failure_budget: Seconds without one good response that a search survives.
        :return: The job and whether it is ours; ``None`` after the last search without a result.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        query = _newest_first(connection_id)
        for pause in pauses:
            await self._session.sleep(pause)
            outage = Outage(self._session.clock(), _SEARCH_OUTAGE_PAUSE, failure_budget)
            page = await self._read_through_outage(
                lambda deadline: self._list_page(
                    query, limit=MAX_PAGE_SIZE, offset=0, deadline=deadline
                ),
                outage,
            )
            if created := creation.note_listed_jobs(page.items):
                self._log_found(created)
                return created
        return None

    async def find_running(self, connection_id: str, *, timeout: float | None = None) -> Job | None:
        """
        Return the job of a connection that is running or about to run; ``None`` if there is none.

        :param timeout: Seconds after which nothing is retried any more; ``None`` for no limit but
            the policy's.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        # Servers up to 2.0.0 list a refresh only when asked for that type.
        deadline = self._deadline(timeout)
        for job_type in (None, JobType.REFRESH):
            query = {**_newest_first(connection_id), "jobType": job_type}
            page = await self._list_page(query, limit=MAX_PAGE_SIZE, offset=0, deadline=deadline)
            for job in page.items:
                if not job.is_terminal:
                    return job
        return None

    async def cancel(self, job_id: int, *, patience: float = CANCEL_PATIENCE) -> Job:
        """
        Cancel a job if it is still running.

        A DELETE cancels whatever runs on the job's connection (docs/airbyte-api.md §3.4), so the
        job is read before each one, also before one that follows a refused token.

        :param patience: Seconds after which no further attempt begins.
        :return: The job as last read. It may have ended in another way, or still be running.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        deadline = self._session.clock() + patience
        attempts = self._session.attempts(replayable=True, retry=_CANCEL_RETRY, deadline=deadline)
        while True:
            token = await attempts.token()
            job = await self._get(job_id, deadline=deadline)
            if job.is_terminal:
                return job
            request = self._session.build(
                "DELETE", self._url(job_id), timeout=HELD_OPEN_TIMEOUT, held_open=True
            )
            try:
                cancelled = (await self._session.send(request, token)).decode(Job.from_json)
            except AirbyteConflictError as error:
                log.info("Reading job %s again after the attempt to cancel it: %s", job_id, error)
                return await self._get(job_id, deadline=deadline)
            except AirbyteError as error:
                log.warning("Job %s may not be cancelled yet: %s", job_id, error)
                is_truncated = isinstance(error, AirbyteDecodeError) and not error.is_html
                is_last = is_ambiguous(error) and self._session.clock() >= deadline
                if is_truncated or is_last:
                    return await self._read_until_ended(job)
                await attempts.pause_after(error)
            else:
                return await self._read_until_ended(cancelled)

    async def _read_until_ended(self, job: Job) -> Job:
        """
        Read *job* a few times: after the DELETE its status may lag.

        If that fails, the job is returned as last read: its cancellation was requested anyway.
        """
        deadline = self._session.clock() + DETAILS_PATIENCE
        for pause in _CANCEL_CONFIRMATION_PAUSES:
            if job.is_terminal:
                break
            await self._session.sleep(pause)
            try:
                job = await self._get(job.job_id, deadline=deadline)
            except AirbyteError as error:
                log.warning("Job %s cannot be read after the cancel: %s", job.job_id, error)
                break
        return job

    async def wait(
        self,
        job_id: int,
        *,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        timeout: float | None = None,
        failure_budget: float = FAILURE_BUDGET,
        connection_name: str = "",
        last_read: Job | None = None,
        on_failed_read: Callable[[AirbyteError], Awaitable[None]] | None = None,
    ) -> Job:
        """
        Read a job until its status is terminal (docs/airbyte-api.md §3.6).

        :param job_id: Job number.
        :param poll_interval: Seconds between two reads, above 0.
        :param timeout: Seconds to wait from now, whatever happens; ``None`` for no limit. The job
            itself is left running.
        :param failure_budget: Seconds without one good response that the wait survives.
        :param connection_name: Name of the job's Airbyte connection, for messages.
        :param last_read: The job as last read, for a timeout during an outage.
        :param on_failed_read: Called after each failed read. What it raises ends the wait.
        :return: The job in its terminal status, which may be a failure.
        :raises AirbyteJobTimeoutError: The job is still running when the time is over.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        clock = self._session.clock
        wait = Wait(clock(), poll_interval, timeout, failure_budget, connection_name)
        status = ""
        job = last_read
        while True:
            try:
                job = await self._read_through_outage(
                    lambda deadline: self._get(job_id, deadline=deadline, retry=READ_RETRY),
                    wait.outage(now=clock()),
                    on_failed_read,
                )
            except AirbyteError as error:
                wait.raise_if_over(job, error, now=clock())
                raise
            if change := wait.change(job, status):
                log.info(change)
            status = job.status
            pause = wait.next_read(job, now=clock())
            if pause is None:
                return job
            await self._session.sleep(pause)

    async def poll(
        self,
        job_id: int,
        *,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        failure_budget: float = FAILURE_BUDGET,
    ) -> Job:
        """
        Read a job once, retrying while Airbyte is unavailable.

        :param poll_interval: Seconds between two failed reads.
        :param failure_budget: Seconds without a good response after which to give up.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        return await self._read_through_outage(
            lambda deadline: self._get(job_id, deadline=deadline, retry=READ_RETRY),
            Outage(self._session.clock(), poll_interval, failure_budget),
        )

    async def ensure_succeeded(self, job: Job) -> Job:
        """
        Return *job* if it succeeded; otherwise raise an error with the reason.

        :raises AirbyteJobFailedError: It failed.
        :raises AirbyteJobCancelledError: It was cancelled.
        """
        if job.has_succeeded:
            return job
        name, url = "", ""
        if connection := await self.find_connection(job):
            name = connection.name
            url = self._session.settings.urls.job_page(connection, job.job_id)
        lasted = f" after {duration_text(job.duration.total_seconds())}" if job.duration else ""
        rows = "" if job.rows_synced is None else f" with {job.rows_synced:,} rows"
        head = job.describe(name)
        if job.is_cancelled:
            raise AirbyteJobCancelledError(
                f"{head} was cancelled{lasted}{rows}, by a person, by a reset, because no data "
                f"worker was free, or by another task that was given the same job: start it again. "
                f"If several tasks sync this connection, use max_active_runs=1 or a pool. "
                f"{url}".rstrip(),
                job=job,
            )
        failure = await self.explain_failure(job)
        reason = f": {failure}".rstrip(".") if failure else "; its log has the reason"
        raise AirbyteJobFailedError(
            f"{head} {job.status}{lasted}{rows}{reason}. {url}".rstrip(), job=job
        )

    async def find_connection(self, job: Job) -> AirbyteConnection | None:
        """Return the connection of *job*, for messages and links; ``None`` if it is unreadable."""
        try:
            return await self._connections.get(job.connection_id, timeout=DETAILS_PATIENCE)
        except AirbyteError as error:
            log.info("Cannot read connection %s: %s", job.connection_id, error)
            return None

    async def explain_failure(self, job: Job) -> JobFailure | None:
        """
        Ask the config API why a job failed: docs/airbyte-api.md §3.7.

        That API is internal, may be closed and may change: ``None`` if it does not say.
        """
        url = self._session.settings.urls.config_url("jobs", "get_without_logs")
        if url is None or not self._session.settings.config_api:
            return None
        try:
            response = await self._session.request(
                "POST",
                url,
                payload={"id": job.job_id},
                replayable=True,
                deadline=self._session.clock() + DETAILS_PATIENCE,
            )
            return response.decode(JobFailure.from_json)
        except AirbyteError as error:
            log.info("The config API does not say why job %s failed: %s", job.job_id, error)
            return None

    def _is_over(self, deadline: float | None) -> bool:
        return deadline is not None and self._session.clock() >= deadline

    def _search_budget(self, deadline: float | None) -> float:
        """Return the failure budget of the search for a job that may have to be cancelled."""
        if deadline is None:
            return FAILURE_BUDGET
        return min(FAILURE_BUDGET, max(CANCEL_PATIENCE, deadline - self._session.clock()))

    async def _newest_jobs(self, connection_id: str, deadline: float | None) -> Sequence[Job]:
        """Return the newest jobs of a connection."""
        page = await self._list_page(
            _newest_first(connection_id), limit=_BASELINE_JOBS, offset=0, deadline=deadline
        )
        return page.items

    async def _post(self, connection_id: str, job_type: str, token: Token | None) -> Job:
        request = self._session.build(
            "POST",
            self._url(),
            payload={"connectionId": connection_id, "jobType": job_type},
            timeout=HELD_OPEN_TIMEOUT,
            held_open=True,
        )
        return (await self._session.send(request, token)).decode(Job.from_json)

    async def _may_have_created(
        self, error: AirbyteError, connection_id: str, creation: JobCreation
    ) -> bool:
        """
        Return whether a ``POST`` that ended with *error* may have created a job.

        :raises AirbyteConnectionNotActiveError: It did not, because the connection is not active.
        """
        if not isinstance(error, AirbyteConflictError) or not error.problem.from_airbyte:
            return is_ambiguous(error)
        if error.state_conflict:
            # If the connection is active, its new job did not appear in time.
            await self._raise_if_not_active(connection_id, error, creation)
            return True
        # The job that is running may be the one that an earlier POST created.
        return creation.is_unresolved

    @staticmethod
    def _log_found(created: CreatedJob) -> None:
        if created.ownership.is_ours:
            log.info("%s was created.", created.job.describe())
            return
        log.warning(
            "Several jobs were created since the request whose response was lost, and nobody can "
            "tell which of them is ours: the newest, %s, can be waited for but is never cancelled.",
            created.job.describe(),
        )

    async def _raise_if_not_active(
        self, connection_id: str, conflict: AirbyteConflictError, creation: JobCreation
    ) -> None:
        """Raise the reason that *conflict* lacks, if the connection is known not to be active."""
        try:
            connection = await self._connections.get(connection_id, timeout=DETAILS_PATIENCE)
        except AirbyteError as error:
            log.info("Cannot read connection %s: %s", connection_id, error)
            return
        if not connection.is_active:
            creation.note_rejection()
            raise conflict.as_error(
                AirbyteConnectionNotActiveError,
                f"connection {connection} is {connection.status}",
            ) from conflict

    async def _read_through_outage(
        self,
        read: Callable[[float], Awaitable[R]],
        outage: Outage,
        on_failed_read: Callable[[AirbyteError], Awaitable[None]] | None = None,
    ) -> R:
        """
        Return the result of *read*, repeated within the failure budget of *outage*.

        :param read: Gets the time when it must end.
        """
        return await read_through_outage(
            lambda: read(outage.deadline),
            outage,
            clock=self._session.clock,
            sleep=self._session.sleep,
            on_failed_read=on_failed_read,
        )


async def read_through_outage(
    read: Callable[[], Awaitable[R]],
    outage: Outage,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
    on_failed_read: Callable[[AirbyteError], Awaitable[None]] | None = None,
) -> R:
    """
    Return the result of *read*, repeated within the failure budget of *outage*.

    :param clock: The clock of *outage*.
    :param sleep: Waits for a number of seconds.
    :param on_failed_read: Called after each failed read. What it raises ends the attempts.
    :raises AirbyteError: A permanent error, or the failure budget is spent.
    """
    while True:
        try:
            return await read()
        except AirbyteError as error:
            if on_failed_read:
                await on_failed_read(error)
            now = clock()
            if message := outage.message(error, now=now):
                log.warning(message)
            pause = outage.next_read(error, now=now)
            if pause is None:
                raise
            await sleep(pause)


def _newest_first(connection_id: str) -> Query:
    # Servers up to 2.0.0 leave refresh jobs out. POST /jobs creates none.
    return {"connectionId": connection_id, "orderBy": "createdAt|DESC"}
