"""Airbyte's jobs: create one exactly once, find, cancel, wait for and explain it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

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
    Ownership,
)
from airflow_provider_airbyte_sme.api.resources.base import MAX_PAGE_SIZE, ReadableResource
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
# Both the Date header and a job's creation time are cut to whole seconds.
_CLOCK_MARGIN = timedelta(seconds=2)
_SINGLE_ATTEMPT = RetryPolicy(max_attempts=1)


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
        limit: int = 20,
        offset: int = 0,
        order_by: str = "createdAt|DESC",
    ) -> list[Job]:
        """
        Read one page of jobs, the newest first by default.

        Without *job_type*, servers up to 2.0.0 leave out refresh and clear jobs.

        :param connection_id: Only those of this connection.
        :param job_type: Only those of this type.
        :param status: Only those with this one status.
        :param limit: Page size, from 1 to 100.
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
        return (await self._list_page(query, limit=limit, offset=offset)).items

    async def create(self, connection_id: str, job_type: str = JobType.SYNC) -> CreatedJob:
        """
        Start a job, exactly once.

        A creation without a usable response is never repeated blindly: the connection's newest
        jobs show whether it happened.

        :param connection_id: UUID of the Airbyte connection.
        :param job_type: ``sync``, ``reset`` or ``clear``.
        :return: The job and whether it is ours. If a job of the connection has no attempt yet,
            Airbyte returns that one instead of creating another (docs/airbyte-api.md §3.2).
        :raises AirbyteConflictError: A job of the connection is already running.
        :raises AirbyteConnectionNotActiveError: The connection is inactive, locked or deleted.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._session.authenticate()  # a failure here leaves nothing ambiguous
        began = self._session.clock()
        ambiguous: AirbyteError | None = None
        attempt = 1
        while True:
            try:
                return await self._post(connection_id, job_type)
            except AirbyteConflictError as conflict:
                if conflict.state_conflict:
                    await self._raise_if_not_active(connection_id, conflict)
                elif ambiguous is None:
                    raise
                # Either the connection is active and its job did not appear in time, or the job
                # that is running may be the one that our lost request created.
                ambiguous = conflict
            except AirbyteError as error:
                if not is_ambiguous(error):
                    raise
                ambiguous = error
            log.warning("Checking whether a job was created after all: %s", ambiguous)
            job = await self.find_since(connection_id, job_type, since=began)
            if job is not None:
                log.info("%s was created.", job.describe())
                return CreatedJob(job, Ownership.FOUND)
            if isinstance(ambiguous, AirbyteConflictError) or attempt == MAX_CREATE_ATTEMPTS:
                raise ambiguous
            log.info("No job was created. Trying again.")
            attempt += 1

    async def find_since(
        self, connection_id: str, job_type: str = JobType.SYNC, *, since: float
    ) -> Job | None:
        """
        Find a job of a connection by its creation time.

        The comparison uses the server's clock, from its responses, so clock skew does not matter.

        :param since: Earliest creation, as a time on the session's monotonic clock.
        :return: The oldest such job, or ``None`` after several searches.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        query = {"connectionId": connection_id, "orderBy": "createdAt|DESC"}
        for pause in _SEARCH_PAUSES:
            await self._session.sleep(pause)
            page = await self._read_through_outage(
                lambda: self._list_page(query, limit=MAX_PAGE_SIZE, offset=0),
                Outage(self._session.clock(), _SEARCH_OUTAGE_PAUSE),
            )
            earliest = self._on_server_clock(page.server_time, since)
            # The oldest job since then is the most likely to be ours.
            for job in reversed(page.items):
                if job.is_of_type(job_type) and job.started_at >= earliest:
                    return job
        return None

    async def find_running(self, connection_id: str) -> Job | None:
        """
        Return the job of a connection that is running or about to run; ``None`` if there is none.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        # Servers up to 2.0.0 list a refresh only when asked for that type.
        for job_type in (None, JobType.REFRESH):
            for job in await self.list(connection_id=connection_id, job_type=job_type):
                if not job.is_terminal:
                    return job
        return None

    async def cancel(self, job_id: int) -> Job:
        """
        Cancel a job if it is still running.

        A DELETE cancels whatever runs on the job's connection (docs/airbyte-api.md §3.4), so the
        job is read before each one.

        :return: The job as last read: cancelled, or as it had ended before. Right after the DELETE
            its status may lag.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        attempt = 1
        while True:
            job = await self.get(job_id)
            if job.is_terminal:
                return job
            try:
                response = await self._session.request(
                    "DELETE", self._url(job_id), timeout=HELD_OPEN_TIMEOUT, retry=_SINGLE_ATTEMPT
                )
                return response.decode(Job.from_json)
            except (AirbyteConflictError, AirbyteDecodeError) as error:
                log.info("Reading job %s again after the attempt to cancel it: %s", job_id, error)
                return await self.get(job_id)
            except AirbyteError as error:
                # Elapsed time does not count: the server holds the call open for longer.
                delay = self._session.retry_delay(
                    error, replayable=True, attempt=attempt, elapsed=0.0
                )
                if delay is None:
                    raise
                log.warning("Job %s may not be cancelled yet: %s", job_id, error)
                await self._session.sleep(delay)
                attempt += 1

    async def wait(
        self,
        job_id: int,
        *,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        timeout: float | None = None,
        failure_budget: float = FAILURE_BUDGET,
        connection_name: str = "",
    ) -> Job:
        """
        Read a job until its status is terminal (docs/airbyte-api.md §3.6).

        :param job_id: Job number.
        :param poll_interval: Seconds between two reads, above 0.
        :param timeout: Seconds to wait from now; ``None`` for no limit. The job itself is left
            running.
        :param failure_budget: Seconds without one good response that the wait survives.
        :param connection_name: Name of the job's Airbyte connection, for messages.
        :return: The job in its terminal status, which may be a failure.
        :raises AirbyteJobTimeoutError: The job is still running when the time is over.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        clock = self._session.clock
        wait = Wait(clock(), poll_interval, timeout, failure_budget, connection_name)
        status = ""
        while True:
            job = await self._read_through_outage(
                lambda: self.get(job_id), wait.outage(now=clock())
            )
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
            lambda: self.get(job_id), Outage(self._session.clock(), poll_interval, failure_budget)
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
                f"{head} was cancelled{lasted}{rows}, by a person, by a reset, or because no data "
                f"worker was free: start it again. {url}".rstrip(),
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
            return await self._connections.get(job.connection_id)
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
                "POST", url, payload={"id": job.job_id}, replayable=True
            )
            return response.decode(JobFailure.from_json)
        except AirbyteError as error:
            log.info("The config API does not say why job %s failed: %s", job.job_id, error)
            return None

    async def _post(self, connection_id: str, job_type: str) -> CreatedJob:
        began = self._session.clock()
        response = await self._session.request(
            "POST",
            self._url(),
            payload={"connectionId": connection_id, "jobType": job_type},
            timeout=HELD_OPEN_TIMEOUT,
        )
        job = response.decode(Job.from_json)
        is_older = job.started_at < self._on_server_clock(response.server_time, began)
        return CreatedJob(job, Ownership.FOREIGN if is_older else Ownership.STARTED)

    def _on_server_clock(self, server_time: datetime, at: float) -> datetime:
        """
        Convert a time on the session's clock to the server's clock, early by the margin.

        :param server_time: The server's time now.
        """
        elapsed = timedelta(seconds=self._session.clock() - at)
        return server_time - elapsed - _CLOCK_MARGIN

    async def _raise_if_not_active(
        self, connection_id: str, conflict: AirbyteConflictError
    ) -> None:
        """Raise the reason that *conflict* lacks, if the connection is not active."""
        connection = await self._connections.get(connection_id)
        if not connection.is_active:
            raise conflict.as_error(
                AirbyteConnectionNotActiveError,
                f"connection {connection} is {connection.status}",
            ) from conflict

    async def _read_through_outage(self, read: Callable[[], Awaitable[R]], outage: Outage) -> R:
        """Return the result of *read*, repeated within the failure budget of *outage*."""
        while True:
            try:
                return await read()
            except AirbyteError as error:
                now = self._session.clock()
                if message := outage.message(error, now=now):
                    log.warning(message)
                pause = outage.next_read(error, now=now)
                if pause is None:
                    raise
                await self._session.sleep(pause)
