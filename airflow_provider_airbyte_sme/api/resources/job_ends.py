"""How a job has ended: the error of one that did not succeed, with the reason."""

from __future__ import annotations

import logging

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.job_errors import (
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
)
from airflow_provider_airbyte_sme.api.job_reports import (
    arrived_text,
    attempt_lines,
    closed_text,
    reason_text,
)
from airflow_provider_airbyte_sme.api.models import (
    AirbyteConnection,
    Job,
    JobDetails,
    end_of_log,
)
from airflow_provider_airbyte_sme.api.resources.connections import Connections
from airflow_provider_airbyte_sme.api.resources.job_starts import DETAILS_PATIENCE, JobStarts
from airflow_provider_airbyte_sme.api.response import ApiResponse
from airflow_provider_airbyte_sme.api.retry import RetryPolicy, is_closed
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.waiting import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    Outage,
    duration_text,
)

log = logging.getLogger(__name__)

_RETRY = RetryPolicy(retries_closed=False)
_ONCE = RetryPolicy(max_attempts=1)
# Bytes. Airbyte sends the whole log of an attempt, of which only the end is of use.
_MAX_BODY = 16 * 1024 * 1024


class JobEnds(JobStarts):
    """The part of :class:`.Jobs` about jobs that have ended."""

    def __init__(self, session: AirbyteSession, connections: Connections) -> None:
        super().__init__(session, connections)
        self._has_said_closed = False

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
        details = await self._report(job)
        arrived = f" {text}" if (text := arrived_text(job, details)) else ""
        if job.is_cancelled:
            raise AirbyteJobCancelledError(
                f"{head} was cancelled{lasted}{rows}, by a person, by a reset, because no data "
                f"worker was free, or by another task that was given the same job: start it again. "
                f"If several tasks sync this connection, use max_active_runs=1 or a pool."
                f"{arrived} {url}".rstrip(),
                job=job,
            )
        reason = f": {reason_text(details)}".rstrip(".") if details else "; its log has the reason"
        raise AirbyteJobFailedError(
            f"{head} {job.status}{lasted}{rows}{reason}.{arrived} {url}".rstrip(),
            job=job,
            details=details,
        )

    async def find_connection(
        self, job: Job, *, timeout: float = DETAILS_PATIENCE
    ) -> AirbyteConnection | None:
        """
        Return the connection of *job*, for messages and links; ``None`` if it is unreadable.

        :param timeout: Seconds after which nothing is retried.
        """
        try:
            return await self._connections.get(job.connection_id, timeout=timeout)
        except AirbyteError as error:
            log.info("Cannot read connection %s: %s", job.connection_id, error)
            return None

    async def _report(self, job: Job) -> JobDetails | None:
        """
        Log what is known of the attempts of a job that did not succeed, and return it.

        Nothing that goes wrong here hides that, or holds it up for longer than
        ``DETAILS_PATIENCE``.
        """
        deadline = self._session.clock() + DETAILS_PATIENCE
        details = await self.find_details(job.job_id, deadline=deadline)
        if details is None:
            return None
        for line in attempt_lines(details):
            log.warning("Job %s, %s", job.job_id, line)
        failed = details.last_failed_attempt
        if failed is None or job.is_cancelled:
            return details
        number = failed.number + 1
        try:
            lines = await self.read_log_end(job.job_id, failed.number, deadline=deadline)
        except AirbyteError as error:
            log.info("Job %s, the log of attempt %s cannot be read: %s", job.job_id, number, error)
            return details
        if lines:
            log.info("Job %s, the last lines of the log of attempt %s:", job.job_id, number)
        for line in lines:
            log.info("| %s", line)
        return details

    async def find_details(
        self, job_id: int, *, deadline: float | None = None
    ) -> JobDetails | None:
        """
        Read what the config API knows of a job; ``None`` if it does not say.

        That API is internal, may be closed and may change. When it is closed, the log says so once.

        :param deadline: As for :meth:`read_details`.
        """
        try:
            return await self.read_details(job_id, deadline=deadline)
        except AirbyteError as error:
            if not is_closed(error):
                log.info("The config API does not say what happened in job %s: %s", job_id, error)
            elif not self._has_said_closed:
                self._has_said_closed = True
                log.warning("%s", closed_text(error))
            return None

    async def read_details(
        self, job_id: int, *, deadline: float | None = None, retry: RetryPolicy = _RETRY
    ) -> JobDetails:
        """
        Read from the config API what the public API does not say: attempts, failures, counters.

        :param deadline: When to give up, on the session's clock; by default after 15 s.
        :param retry: When to repeat the request; by default not if the config API is closed.
        :raises AirbyteConfigApiError: The config API is off, or this Airbyte hides it.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._read_config_api(
            ("jobs", "get_without_logs"), {"id": job_id}, deadline, retry
        )
        return response.decode(lambda payload: JobDetails.from_json(payload, self._session.secrets))

    async def poll_details(
        self,
        job_id: int,
        *,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        failure_budget: float = FAILURE_BUDGET,
    ) -> JobDetails:
        """
        Read the same once, retrying while Airbyte is unavailable, not if the config API is closed.

        :param poll_interval: Seconds between two failed reads.
        :param failure_budget: Seconds without a good response after which to give up.
        :raises AirbyteError: As :meth:`read_details`, or the failure budget is spent.
        """

        async def read(deadline: float) -> JobDetails | AirbyteError:
            patience = self._session.clock() + DETAILS_PATIENCE
            try:
                return await self.read_details(job_id, deadline=min(deadline, patience))
            except AirbyteError as error:
                if is_closed(error):
                    return error
                raise

        outage = Outage(self._session.clock(), poll_interval, failure_budget)
        found = await self._read_through_outage(read, outage)
        if isinstance(found, AirbyteError):
            raise found
        return found

    async def read_log_end(
        self, job_id: int, attempt_number: int, *, deadline: float | None = None
    ) -> tuple[str, ...]:
        """
        Read the last lines of an attempt's log from the config API, the oldest first.

        At most 30 lines and 8 kB, without secrets. There is one request, which is not repeated.

        :param attempt_number: Counted from 0.
        :param deadline: When to give up, on the session's clock; by default after 15 s.
        :raises AirbyteDecodeError: The log is larger than 16 MiB, or cannot be read.
        :raises AirbyteConfigApiError: The config API is off, or this Airbyte hides it.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._read_config_api(
            ("attempt", "get_for_job"),
            {"jobId": job_id, "attemptNumber": attempt_number},
            deadline,
            _ONCE,
        )
        return response.decode(lambda payload: end_of_log(payload, self._session.secrets))

    async def _read_config_api(
        self,
        segments: tuple[str, ...],
        payload: dict[str, int],
        deadline: float | None,
        retry: RetryPolicy,
    ) -> ApiResponse:
        url = self._session.settings.config_api_url(
            *segments, purpose="Reading the attempts of a job"
        )
        if deadline is None:
            deadline = self._session.clock() + DETAILS_PATIENCE
        return await self._session.request(
            "POST",
            url,
            payload=payload,
            replayable=True,
            retry=retry,
            deadline=deadline,
            max_body=_MAX_BODY,
        )
