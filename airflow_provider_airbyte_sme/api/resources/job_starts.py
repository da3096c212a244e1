"""
Jobs are started exactly once: docs/airbyte-api.md §3.2 (public API), §3.7 (config API).

No request that starts a job has an idempotency key. What is done about a lost response is the same
for all of them, and written here once; whose job it is, :mod:`.creation` decides.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api.auth import Token
from airflow_provider_airbyte_sme.api.creation import JobCreation
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteConfigError,
    AirbyteConflictError,
    AirbyteConnectionNotActiveError,
    AirbyteError,
    AirbyteUnsupportedError,
)
from airflow_provider_airbyte_sme.api.models import CreatedJob, Job, JobType
from airflow_provider_airbyte_sme.api.resources.base import (
    Query,
    ReadableResource,
)
from airflow_provider_airbyte_sme.api.resources.connections import Connections
from airflow_provider_airbyte_sme.api.resources.outages import read_through_outage
from airflow_provider_airbyte_sme.api.response import MAX_PAGE_SIZE
from airflow_provider_airbyte_sme.api.retry import is_ambiguous
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.waiting import FAILURE_BUDGET, Outage

log = logging.getLogger(__name__)

R = TypeVar("R")

RefreshMode = Literal["merge", "truncate"]
StreamId = tuple[str, str | None]
"""Name and namespace of a stream; ``None`` if it has no namespace."""

# Seconds for the calls that the server holds open. POST /jobs responds within 60 s on current
# servers; up to 2.0.0 once the attempt runs, under load after 30 to 130 s (apache/airflow#71092).
# DELETE /jobs polls without a limit until the workflow stops, and a clear until its job exists.
# docs/airbyte-api.md §3.2, §3.4, §9.2.
HELD_OPEN_TIMEOUT = 180.0
MAX_CREATE_ATTEMPTS = 3
# Seconds after which no further attempt to cancel a job begins. A task that cancels at its timeout
# ends at most that much later, unless Airbyte holds the call open.
CANCEL_PATIENCE = 60.0
# Seconds for each read of what only adds to a message: it must not hold up a task that is done.
DETAILS_PATIENCE = 15.0
# Seconds before each search for a job whose creation got no usable response: a server that lost
# its client may still be about to write the job.
_SEARCH_PAUSES = (0.0, 3.0, 7.0)
_SEARCH_OUTAGE_PAUSE = 3.0
# Seconds after each response that says that no refresh was started.
_REFUSAL_PAUSES = (3.0, 7.0)
# More than one, in case one cannot be read.
BASELINE_JOBS = 20
# Servers up to 2.0.0 list a refresh only when asked for that type: docs/airbyte-api.md §3.5.3.
_EVERY_TYPE = (None, JobType.REFRESH)


class _Start(NamedTuple):
    """
    A request that starts a job of a connection.

    :param build: Makes the job of the response; ``None`` if Airbyte says that it started none.
    :param unless_running: Whether to send nothing while another job is running.
    """

    connection_id: str
    job_type: str
    url: str
    payload: Mapping[str, Any]
    build: Callable[[Any], Job | None] = Job.from_json
    unless_running: bool = False

    @property
    def listed_types(self) -> Sequence[str | None]:
        """The filters ``jobType`` that show every job which matters to this start."""
        # POST /jobs creates no refresh, and itself says that one is running.
        return _EVERY_TYPE if self.unless_running else (None,)


class JobStarts(ReadableResource[Job]):
    """
    What starts jobs.

    :param session: Sends the requests.
    :param connections: Where the connections of the jobs are read.
    """

    path = "jobs"
    model = Job

    def __init__(self, session: AirbyteSession, connections: Connections) -> None:
        super().__init__(session)
        self._connections = connections

    async def create(
        self,
        connection_id: str,
        job_type: str = JobType.SYNC,
        *,
        creation: JobCreation | None = None,
        timeout: float | None = None,
        unless_running: bool = False,
    ) -> CreatedJob:
        """
        Start a job, exactly once.

        A ``POST`` without a usable response is never repeated blindly: the connection's newest
        jobs show whether it created one. Whose job it is, :mod:`.creation` decides by job ids.

        :param connection_id: UUID of the Airbyte connection.
        :param job_type: ``sync``, ``reset`` or ``clear``.
        :param creation: What the caller can watch and stop; of the same *job_type*.
        :param timeout: Seconds after which nothing is retried; ``None`` for no limit but
            the policy's. A ``POST`` that is out is not cut short, and the search for its job lasts
            up to ``CANCEL_PATIENCE`` longer: the job could not be cancelled otherwise.
        :param unless_running: Whether to look first, and to return the job that is running, if any,
            as one in the way. A reset or clear silently cancels it otherwise.
        :return: The job and whether it is ours. If a job of the connection has no attempt yet,
            Airbyte returns that one instead of creating another (docs/airbyte-api.md §3.2).
        :raises AirbyteConflictError: A job of the connection is already running.
        :raises AirbyteConnectionNotActiveError: The connection is inactive, locked or deleted.
        :raises AirbyteStoppedError: *creation* was stopped before a ``POST``.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        payload = {"connectionId": connection_id, "jobType": job_type}
        start = _Start(connection_id, job_type, self._url(), payload, unless_running=unless_running)
        return await self._start(start, creation, timeout)

    async def clear_streams(
        self,
        connection_id: str,
        streams: Sequence[StreamId],
        *,
        creation: JobCreation | None = None,
        timeout: float | None = None,
    ) -> CreatedJob:
        """
        Delete the data and the state of single streams, by a job that is started exactly once.

        Like :meth:`create` with *unless_running*, which is only about all streams.

        :param streams: Those that the connection selects; Airbyte ignores others. At least one,
            since Airbyte takes none for all.
        :param creation: As for :meth:`create`; of the type ``clear``.
        :raises AirbyteConfigApiError: The config API is off, or this Airbyte hides it.
        :raises AirbyteConfigError: No stream is given.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        if not streams:
            raise AirbyteConfigError("No stream to clear is given.")
        url = self._session.settings.config_api_url(
            "connections", "clear", "stream", purpose="Clearing single streams"
        )
        payload = {"connectionId": connection_id, "streams": _descriptors(streams)}
        start = _Start(
            connection_id, JobType.CLEAR, url, payload, Job.from_job_info, unless_running=True
        )
        return await self._start(start, creation, timeout)

    async def refresh(
        self,
        connection_id: str,
        mode: RefreshMode = "merge",
        streams: Sequence[StreamId] = (),
        *,
        creation: JobCreation | None = None,
        timeout: float | None = None,
    ) -> CreatedJob:
        """
        Read streams again from the beginning, by a job that is started exactly once.

        It is started only if no job is running: Airbyte would else turn the next sync into the
        refresh.

        :param mode: ``merge`` keeps the rows of before, ``truncate`` removes them at the end.
        :param streams: Those that the connection selects; none: all.
        :param creation: As for :meth:`create`; of the type ``refresh``.
        :raises AirbyteUnsupportedError: The destination cannot be refreshed.
        :raises AirbyteConfigApiError: The config API is off, or this Airbyte hides it.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        url = self._session.settings.config_api_url("connections", "refresh", purpose="A refresh")
        payload: dict[str, Any] = {"connectionId": connection_id, "refreshMode": mode.capitalize()}
        if streams:
            payload["streams"] = _descriptors(streams)
        start = _Start(
            connection_id, JobType.REFRESH, url, payload, _refresh_job, unless_running=True
        )
        return await self._start(start, creation, timeout)

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

        :param creation: Has the baseline of that ``POST``.
        :param pauses: Seconds to wait before each search.
        :param failure_budget: Seconds without one good response that a search survives.
        :return: The job and whether it is ours; ``None`` after the last search without a result.
        :raises AirbyteError: A permanent error, or the failure budget is spent.
        """
        is_refresh = creation.job_type == JobType.REFRESH
        query = newest_first(connection_id, JobType.REFRESH if is_refresh else None)
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

        :param timeout: Seconds after which nothing is retried; ``None`` for no limit but
            the policy's.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        deadline = self._deadline(timeout)
        for job_type in _EVERY_TYPE:
            query = newest_first(connection_id, job_type)
            page = await self._list_page(query, limit=MAX_PAGE_SIZE, offset=0, deadline=deadline)
            for job in page.items:
                if not job.is_terminal:
                    return job
        return None

    async def _start(
        self, start: _Start, creation: JobCreation | None, timeout: float | None
    ) -> CreatedJob:
        creation = creation or JobCreation(start.job_type)
        deadline = self._deadline(timeout)
        attempts = self._session.attempts(replayable=False, deadline=deadline)
        losses, refusal_pauses = 0, iter(_REFUSAL_PAUSES)
        while True:
            creation.raise_if_stopped()
            token = await attempts.token()
            # Before each POST: a job that somebody else starts during a pause must not be ours, and
            # a late job of an earlier POST may have ended by now, so that nothing is in the way.
            jobs = creation.newest_jobs = await self._newest_jobs(start, deadline)
            if created := self._note_listed(start, creation, jobs):
                return created
            creation.begin_post(newest_id=max((job.job_id for job in jobs), default=0))
            loss: AirbyteError | None = None
            try:
                job = await self._post(start, token)
            except AirbyteError as error:
                if not await self._may_have_created(error, start.connection_id, creation):
                    creation.note_rejection()
                    await attempts.pause_after(error)
                    continue
                loss = error
                log.warning("Checking whether a job was created after all: %s", error)
            else:
                if job is None:
                    creation.note_rejection()
                    await self._pause_after_refusal(start, refusal_pauses)
                    continue
                if created := creation.note_response(job):
                    return created
            creation.note_loss()
            budget = self._search_budget(deadline)
            if created := await self.find_created(
                start.connection_id, creation, failure_budget=budget
            ):
                return created
            creation.raise_if_stopped()
            losses += 1
            is_last = losses == MAX_CREATE_ATTEMPTS or self._is_over(deadline)
            if loss and (isinstance(loss, AirbyteConflictError) or is_last):
                creation.note_absence()
                raise loss
            log.info("No job was created. Trying again.")

    def _note_listed(
        self, start: _Start, creation: JobCreation, jobs: Sequence[Job]
    ) -> CreatedJob | None:
        """Return the job of an earlier ``POST``, or one that the next would cancel, if any."""
        if creation.is_unresolved and (created := creation.note_listed_jobs(jobs)):
            self._log_found(created)
            return created
        return creation.note_running(jobs) if start.unless_running else None

    def _is_over(self, deadline: float | None) -> bool:
        return deadline is not None and self._session.clock() >= deadline

    def _search_budget(self, deadline: float | None) -> float:
        """Return the failure budget of the search for a job that may have to be cancelled."""
        if deadline is None:
            return FAILURE_BUDGET
        return min(FAILURE_BUDGET, max(CANCEL_PATIENCE, deadline - self._session.clock()))

    async def _newest_jobs(self, start: _Start, deadline: float | None) -> list[Job]:
        """Return the newest jobs of the connection."""
        jobs: list[Job] = []
        for job_type in start.listed_types:
            query = newest_first(start.connection_id, job_type)
            page = await self._list_page(query, limit=BASELINE_JOBS, offset=0, deadline=deadline)
            jobs += page.items
        return [*{job.job_id: job for job in jobs}.values()]

    async def _post(self, start: _Start, token: Token | None) -> Job | None:
        request = self._session.build(
            "POST", start.url, payload=start.payload, timeout=HELD_OPEN_TIMEOUT, held_open=True
        )
        try:
            response = await self._session.send(request, token)
        except AirbyteApiError as error:
            if start.url != self._url() and not error.problem.from_airbyte:
                raise _without_config_api(error) from error
            raise
        return response.decode(start.build)

    async def _pause_after_refusal(self, start: _Start, pauses: Iterator[float]) -> None:
        """
        Wait after a response without a job: docs/airbyte-api.md §3.7.13.

        A job may have been started meanwhile, or the workflow of the last one has not ended yet.

        :param pauses: Seconds to wait, as long as there are any.
        :raises AirbyteUnsupportedError: No job was in the way: the destination cannot refresh.
        """
        pause = next(pauses, None)
        if pause is None:
            raise AirbyteUnsupportedError(
                f"Airbyte starts no refresh of connection {start.connection_id}: its destination "
                f"cannot be refreshed, or the connection was deleted. Upgrade the destination's "
                f"connector, or clear the connection and sync it instead."
            )
        log.info("Airbyte started no refresh. Looking for a job that is in the way.")
        await self._session.sleep(pause)

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
        )


def newest_first(connection_id: str, job_type: str | None = None) -> Query:
    """Return the query that lists the jobs of a connection, the newest first."""
    return {"connectionId": connection_id, "orderBy": "createdAt|DESC", "jobType": job_type}


def _descriptors(streams: Iterable[StreamId]) -> list[dict[str, str]]:
    """Return streams as the config API wants them; a missing namespace is left out."""
    return [
        {"streamName": name, **({} if namespace is None else {"streamNamespace": namespace})}
        for name, namespace in streams
    ]


def _refresh_job(payload: Any) -> Job | None:
    """Parse a ``JobInfoRead``; ``None`` if it is empty: docs/airbyte-api.md §3.7.13."""
    return None if payload == {} else Job.from_job_info(payload)


def _without_config_api(error: AirbyteApiError) -> AirbyteApiError:
    """Return *error*, which something in front of Airbyte caused, with what may be wrong."""
    hint = "the config API (/api/v1) may be blocked in front of Airbyte"
    return error.as_error(type(error), "; ".join(filter(None, (error.problem.text, hint))))
