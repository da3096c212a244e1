"""Airbyte's jobs: read, cancel and wait for them; see :mod:`.job_starts` and :mod:`.job_ends`."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConflictError,
    AirbyteDecodeError,
    AirbyteError,
)
from airflow_provider_airbyte_sme.api.history import FEWEST_JOBS_FOR_LINES, USUAL_JOBS, History
from airflow_provider_airbyte_sme.api.models import Job, JobDetails, JobStatus
from airflow_provider_airbyte_sme.api.resources.connections import Connections
from airflow_provider_airbyte_sme.api.resources.job_ends import JobEnds
from airflow_provider_airbyte_sme.api.resources.job_starts import (
    CANCEL_PATIENCE,
    DETAILS_PATIENCE,
    HELD_OPEN_TIMEOUT,
    newest_first,
)
from airflow_provider_airbyte_sme.api.response import MAX_PAGE_SIZE, Page
from airflow_provider_airbyte_sme.api.retry import (
    RetryPolicy,
    is_about_one_resource,
    is_ambiguous,
    is_closed,
)
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import QueryValue
from airflow_provider_airbyte_sme.api.waiting import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    Outage,
    Wait,
)
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, ended_since
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch

log = logging.getLogger(__name__)

# The server may hold each attempt for longer than any limit of the elapsed time.
_CANCEL_RETRY = RetryPolicy(max_elapsed=math.inf)
_CANCEL_CONFIRMATION_PAUSES = (0.0, 1.0, 1.0, 1.0)
# Within a wait, a failed read is repeated a few times before it counts as an outage.
READ_RETRY = RetryPolicy(max_elapsed=15.0, retries_refusals=False)
_READ_ONCE = READ_RETRY._replace(max_attempts=1)


class ReadLimits(NamedTuple):
    """
    How long a read for a wait may take.

    :param timeout: Seconds to wait for the response, if longer than the settings' own.
    :param deadline: When to give up, on the session's clock; ``None`` for no limit but the retries'
        own.
    :param is_retried: Whether it is repeated a few times before it has failed.
    """

    timeout: float = 0.0
    deadline: float | None = None
    is_retried: bool = True

    @property
    def retry(self) -> RetryPolicy:
        """When to repeat the read."""
        return READ_RETRY if self.is_retried else _READ_ONCE


_DEFAULT_LIMITS = ReadLimits()
# In a row, until the config API is not asked for progress any more.
_MAX_FAILED_DETAILS = 2


class Jobs(JobEnds):
    """
    ``/jobs``: docs/airbyte-api.md §3.

    :param session: Sends the requests.
    :param connections: Where the connections of the jobs are read.
    """

    def __init__(self, session: AirbyteSession, connections: Connections) -> None:
        super().__init__(session, connections)
        self._failed_details = 0

    async def get(self, job_id: str | int, *, timeout: float | None = None) -> Job:
        """
        Read one job.

        :param job_id: Job number (``jobId``, int64).
        :param timeout: Seconds after which nothing is retried; ``None`` for no limit but
            the policy's.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._get(job_id, deadline=self._deadline(timeout))

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
        jobs = (await self._list_pages(query, limit=limit, offset=offset)).items
        # A job that is created meanwhile moves another to the next page, where it is read again.
        return [*{job.job_id: job for job in jobs}.values()]

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
        elapsed_before: float = 0.0,
        usual_duration: float | None = None,
        has_warned: bool = False,
    ) -> Job:
        """
        Read a job until its status is terminal (docs/airbyte-api.md §3.6).

        The log has a line when something changes, and others at the rhythm of
        :mod:`.api.waiting.progress`.

        :param job_id: Job number.
        :param poll_interval: Seconds between two reads, above 0.
        :param timeout: Seconds to wait from now, whatever happens; ``None`` for no limit. The job
            itself is left running.
        :param failure_budget: Seconds without one good response that the wait survives.
        :param connection_name: Name of the job's Airbyte connection, for messages.
        :param last_read: The job as last read, for a timeout during an outage.
        :param elapsed_before: Seconds for which the job has existed, for messages.
        :param usual_duration: Seconds that it usually takes, for messages, if that is known.
        :param has_warned: Whether the log says already that the job is slow.
        :return: The job in its terminal status, which may be a failure.
        :raises AirbyteJobTimeoutError: The job is still running when the time is over.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        clock = self._session.clock
        wait = Wait(
            clock(),
            poll_interval,
            timeout,
            failure_budget,
            connection_name,
            elapsed_before,
            usual_duration,
            has_warned,
        )
        watch = JobWatch(Job(job_id, status="", connection_id=""), wait)
        job = last_read
        while True:
            try:
                job = await self._read_through_outage(
                    lambda deadline: self._get(job_id, deadline=deadline, retry=READ_RETRY),
                    wait.outage(now=clock()),
                )
            except AirbyteError as error:
                wait.raise_if_over(job, error, now=clock())
                raise
            await self.log_progress(watch, job)
            pause = wait.next_read(job, now=clock())
            if pause is None:
                return job
            await self._session.sleep(pause)

    async def log_progress(self, watch: JobWatch, job: Job) -> None:
        """
        Note for a blocking wait that *job* was read, and log what there is to say about it.

        :param watch: The wait, on the session's clock.
        """
        now = self._session.clock()
        watch.saw(job, now=now)
        lines = watch.take_changes()
        if not lines and now >= watch.line_due:
            lines = watch.take_lines(now=now)
        for line in lines:
            message = line.message
            # At the deadline there is no time for it.
            if line.report is not None and watch.wait.deadline - now > DETAILS_PATIENCE:
                message = line.report.text(await self.find_progress_details(job.job_id))
            log.log(logging.WARNING if line.is_warning else logging.INFO, "%s", message)

    async def find_progress_details(self, job_id: int) -> JobDetails | None:
        """
        Read from the config API what adds to a message about a job that is waited for.

        :return: ``None`` if that fails. If the API is closed, or has failed twice in a row, it is
            not asked again, and the log says so once.
        """
        if self._failed_details >= _MAX_FAILED_DETAILS:
            return None
        try:
            details = await self.read_details(job_id)
        except AirbyteError as error:
            self._failed_details += _MAX_FAILED_DETAILS if is_closed(error) else 1
            if self._failed_details >= _MAX_FAILED_DETAILS:
                log.info("Progress is logged without attempts and fresh counters: %s", error)
            return None
        self._failed_details = 0
        return details

    async def find_usual_duration(self, job: Job) -> float | None:
        """
        Return how many seconds such a job of its connection takes, for messages.

        :return: The median of the last successful ones; ``None`` if it is unknown or unreadable.
        """
        history = await self.find_history(job)
        return None if history is None else history.usual_duration(FEWEST_JOBS_FOR_LINES)

    async def find_history(self, job: Job) -> History | None:
        """
        Return the last good jobs before *job*; ``None`` if they are unreadable.

        That is for what must not hold up a task: it takes up to ``DETAILS_PATIENCE``.
        """
        try:
            return await self._read_history(job, self._session.clock() + DETAILS_PATIENCE)
        except AirbyteError as error:
            log.info("How long %s usually takes is unknown: %s", job.describe(), error)
            return None

    async def poll_history(
        self,
        job: Job,
        *,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        failure_budget: float = FAILURE_BUDGET,
    ) -> History:
        """
        Read the last good jobs before *job* with their rows, retrying while Airbyte is unavailable.

        Usually one request. A job that is listed without its counters is read by its id too
        (docs/airbyte-api.md §3.5.10).

        :param poll_interval: Seconds between two failed reads.
        :param failure_budget: Seconds without a good response after which to give up.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """

        def outage() -> Outage:
            return Outage(self._session.clock(), poll_interval, failure_budget)

        history = await self._read_through_outage(partial(self._read_history, job), outage())
        return History(
            tuple(
                [
                    await self._read_through_outage(partial(self._with_counters, each), outage())
                    for each in history.jobs
                ]
            )
        )

    async def _read_history(self, job: Job, deadline: float) -> History:
        query: dict[str, QueryValue | None] = {
            **newest_first(job.connection_id, job.job_type or None),
            "status": JobStatus.SUCCEEDED,
            # Whoever waits for an old job does not want the newest ones. Fractions are left out.
            "createdAtEnd": _in_utc(job.started_at and job.started_at + timedelta(seconds=1)),
        }
        # One more: the job itself may have succeeded.
        page = await self._list_page(query, limit=USUAL_JOBS + 1, offset=0, deadline=deadline)
        return History.before(job, page.items)

    async def with_known_rows(self, job: Job, *, timeout: float = DETAILS_PATIENCE) -> Job:
        """
        Return a successful job with the number of rows that counts.

        Some servers list jobs without counters (docs/airbyte-api.md §3.5.10), and 0 rows may mean
        that Airbyte has no statistics of a job (§3.7.35): the config API knows which it is.

        :param timeout: Seconds after which nothing is retried, for both together.
        :return: ``rows_synced`` is ``None`` where nobody knows, and 0 only if it is known that
            there were no rows. ``bytes_synced`` is ``None`` where it was 0 and there may have been
            rows.
        :raises AirbyteError: Airbyte is unreachable.
        """
        deadline = self._session.clock() + timeout
        job = await self._with_counters(job, deadline)
        if job.rows_synced != 0:
            return job
        try:
            rows = (await self.read_details(job.job_id, deadline=deadline)).rows
        except AirbyteError as error:
            log.info("Whether %s has moved rows is unknown: %s", job.describe(), error)
            rows = None
        if rows == 0:
            return job
        return replace(job, rows_synced=rows, bytes_synced=job.bytes_synced or None)

    async def _with_counters(self, job: Job, deadline: float | None = None) -> Job:
        """Return *job*, read by its id if it was listed without its counters and is readable."""
        if job.rows_synced is not None:
            return job
        try:
            return await self.read_once(job.job_id, ReadLimits(deadline=deadline))
        except AirbyteError as error:
            if not is_about_one_resource(error):
                raise
            log.info("How many rows %s has moved is unknown: %s", job.describe(), error)
            return job

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

    async def read_once(self, job_id: int, limits: ReadLimits = _DEFAULT_LIMITS) -> Job:
        """
        Read a job for a wait, which outlasts an outage itself.

        :param limits: How long to wait for a response, and when to repeat the request.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._get(
            job_id, timeout=limits.timeout, deadline=limits.deadline, retry=limits.retry
        )

    async def list_changes(
        self,
        since: datetime | None,
        *,
        until: datetime | None = None,
        connection_id: str | None = None,
        offset: int = 0,
        limits: ReadLimits = _DEFAULT_LIMITS,
    ) -> Page[Job]:
        """
        Read a page of 100 jobs, the last update first, for a wait. Unreadable ones are left out.

        :param since: Only jobs that were updated at or after this instant; ``None`` for all.
        :param until: Only jobs that were updated at or before this instant; ``None`` for all.
        :param connection_id: Only those of this connection.
        :param offset: How many to skip.
        :param limits: How long to wait for a response, and when to repeat the request.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        query: dict[str, QueryValue | None] = {
            "connectionId": connection_id,
            "updatedAtStart": _in_utc(since),
            "updatedAtEnd": _in_utc(until),
            "orderBy": "updatedAt|DESC",
            "limit": MAX_PAGE_SIZE,
            "offset": offset,
        }
        response = await self._session.request(
            "GET",
            self._url(query=query),
            timeout=limits.timeout,
            deadline=limits.deadline,
            retry=limits.retry,
        )
        return response.decode_readable(Job.from_json)

    async def ended_syncs(
        self,
        connection_id: str,
        since: datetime,
        limits: ReadLimits = _DEFAULT_LIMITS,
    ) -> SyncsSince:
        """
        Find the syncs of a connection that ended since an instant, for a wait.

        Usually one request: Airbyte compares exactly, although it shows whole seconds
        (docs/airbyte-api.md §3.5.5). What it lists is checked again, so a server that ignores the
        filter or the order only costs more requests. Refreshes count; servers up to 2.0.0 do not
        list them. Unreadable jobs are left out. A success that is listed without its counters is
        read by its id too (§3.5.10).

        :param connection_id: UUID of the connection.
        :param since: With a time zone. A sync that ended at this very instant counts.
        :param limits: Of all pages together.
        :return: The first success that is found ends the search.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        syncs = SyncsSince()
        seen: set[int] = set()
        offset = 0
        while True:
            page = await self.list_changes(
                since,
                # No jobType: it takes one value, and a refresh counts too.
                connection_id=connection_id,
                offset=offset,
                limits=limits,
            )
            for job in page.items:
                # In the same second, the server's filter decides.
                if ended_since(job, since) is not False:
                    syncs = syncs.with_job(job)
            offset += page.sent
            # A server that ignores the offset would send the same page for ever.
            is_another = not seen.issuperset(job.job_id for job in page.items)
            seen.update(job.job_id for job in page.items)
            if syncs.succeeded is not None or page.sent < MAX_PAGE_SIZE or not is_another:
                break
        if syncs.succeeded is not None and syncs.succeeded.rows_synced is None:
            job = await self.read_once(syncs.succeeded.job_id, limits)
            syncs = syncs._replace(succeeded=job)
        return syncs

    async def poll_syncs(
        self,
        connection_id: str,
        since: datetime,
        *,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        failure_budget: float = FAILURE_BUDGET,
    ) -> SyncsSince:
        """
        Find the syncs of a connection that ended since an instant, whoever started them.

        Retries while Airbyte is unavailable. For what counts, see :meth:`ended_syncs`.

        :param connection_id: UUID of the connection.
        :param since: With a time zone.
        :param poll_interval: Seconds between two failed reads.
        :param failure_budget: Seconds without a good response after which to give up.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        return await self._read_through_outage(
            lambda deadline: self.ended_syncs(connection_id, since, ReadLimits(deadline=deadline)),
            Outage(self._session.clock(), poll_interval, failure_budget),
        )


def _in_utc(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()
