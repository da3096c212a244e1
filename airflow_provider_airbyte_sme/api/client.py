"""
The order of things with Airbyte, written once for the blocking and the event-loop face.

What can be decided without a network stands elsewhere: when to repeat in :mod:`.retry`, how long a
token lasts in :mod:`.auth`, what a status means in :mod:`.models`, where things are in
:mod:`.settings`.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api.auth import Token
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteBadRequestError,
    AirbyteConfigError,
    AirbyteConflictError,
    AirbyteConnectionNotActiveError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
    AirbyteServerError,
    api_error,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse, Transport
from airflow_provider_airbyte_sme.api.models import (
    AirbyteConnection,
    Instance,
    Job,
    JobFailure,
    JobType,
    Workspace,
)
from airflow_provider_airbyte_sme.api.retry import (
    RetryPolicy,
    http_date,
    is_survivable,
    leaves_in_doubt,
    retry_after_seconds,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds for the calls that the server holds open. POST /jobs answers within 60 s on current
# servers and once the attempt runs on those up to 2.0.0 (30 to 130 s under load); DELETE /jobs
# polls until the workflow stops, without a bound: airbyte-platform TemporalClient.kt.
HELD_OPEN_TIMEOUT = 180.0
# Longest page of a list: airbyte-platform config.yaml.
LONGEST_PAGE = 100
# Seconds without one good answer after which a wait gives up: an upgrade of Airbyte passes.
FAILURE_BUDGET = 600.0
# Both the Date header and a job's creation time are cut to whole seconds.
_CLOCK_MARGIN = timedelta(seconds=2)
# Seconds between looks for a job whose creation was not answered. A server that lost its client
# may still be about to write the job.
_LOOK_AGAIN_AFTER = (0.0, 3.0, 7.0)
_MOST_CREATIONS = 3
_ONCE = RetryPolicy(max_attempts=1)
_LONGEST_PAUSE = 60.0

_NO_SUCH_ROUTE = frozenset({404, 405, 415})


class AirbyteClient:
    """
    A client of one Airbyte, for one face.

    Over a blocking transport its coroutines are run by :func:`.http.run_blocking` and never
    suspend. It holds the token, in memory only, and exchanges it for a new one before it ends.

    :param settings: Where the Airbyte is and how to get in.
    :param transport: The face. The client closes it.
    :param retry: How stubborn single calls are.
    :param monotonic: Clock for durations, in seconds.
    :param wall_clock: Seconds since the epoch.
    :param chance: Random numbers from 0 to 1, for jitter.
    """

    def __init__(
        self,
        settings: AirbyteSettings,
        transport: Transport,
        *,
        retry: RetryPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._transport = transport
        self._retry = retry or RetryPolicy()
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._chance = chance
        self._token: Token | None = None
        self._token_lock = transport.lock()
        given = {name.lower() for name in settings.headers}
        own = {
            "Accept": "application/json",
            "User-Agent": f"airflow-provider-airbyte-sme/{__version__}",
        }
        self._headers = {
            **{name: value for name, value in own.items() if name.lower() not in given},
            **settings.headers,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.urls.public!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back the connections."""
        await self._transport.close()

    async def get_job(self, job_id: int) -> Job:
        """
        Read one job.

        :param job_id: Job number (``jobId``, int64).
        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        request = self._request("GET", f"{self.settings.urls.public}/jobs/{job_id}")
        return _decode(request, await self._call(request), Job.from_json)

    async def list_jobs(
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
        Read one page of jobs, newest first unless asked otherwise.

        Without *job_type*, servers up to 2.0.0 leave refresh and clear jobs out.

        :param connection_id: Only those of this connection.
        :param job_type: Only those of this type.
        :param status: Only those in this one status.
        :param limit: From 1 to 100.
        :param offset: How many to pass over.
        :param order_by: ``createdAt`` or ``updatedAt``, ``|``, ``ASC`` or ``DESC``. Airbyte's own
            default is oldest first.
        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        request = self._jobs_request(
            connectionId=connection_id,
            jobType=job_type,
            status=status,
            limit=limit,
            offset=offset,
            orderBy=order_by,
        )
        return _decode(request, await self._call(request), _each(Job.from_json))

    async def create_job(self, connection_id: str, job_type: str = JobType.SYNC) -> Job:
        """
        Start a job, once.

        A creation that may have happened without its answer arriving is never repeated blindly:
        the connection's newest jobs tell whether it happened.

        :param connection_id: UUID of the Airbyte connection.
        :param job_type: ``sync``, ``reset`` or ``clear``.
        :return: The job; :attr:`.Job.adopted` tells whether it was there before. Airbyte answers
            with a job that has no attempt yet instead of making a second one.
        :raises AirbyteConflictError: A job runs already.
        :raises AirbyteConnectionNotActiveError: The connection is inactive, locked or deleted.
        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        await self.sign_in()  # what fails here leaves nothing in doubt
        first_sent = self._monotonic()
        doubt: AirbyteError | None = None
        creation = 1
        while True:
            try:
                return await self._post_job(connection_id, job_type)
            except AirbyteConflictError as conflict:
                if conflict.state_conflict:
                    await self._ensure_active(connection_id, conflict)
                elif doubt is None:
                    raise
                # Of an active connection, the job did not show up in time. After a lost answer,
                # the job that is in the way may be our own.
                doubt = conflict
            except AirbyteError as error:
                if not leaves_in_doubt(error):
                    raise
                doubt = error
            log.warning("It is in doubt whether a job was created: %s Looking for it.", doubt)
            job = await self.find_job_since(connection_id, job_type, since=first_sent)
            if job is not None:
                log.info("Job %s was created after all.", job.job_id)
                return job
            if isinstance(doubt, AirbyteConflictError) or creation == _MOST_CREATIONS:
                raise doubt
            log.info("No job was created. Trying once more.")
            creation += 1

    async def find_job_since(
        self, connection_id: str, job_type: str = JobType.SYNC, *, since: float
    ) -> Job | None:
        """
        Look for a job of a connection that was created since an instant.

        Reckoned on the server's clock, which its answers tell, so that a clock that differs
        between here and there does no harm.

        :param since: On this client's monotonic clock.
        :return: The oldest such job, or ``None``, after some looks.
        :raises AirbyteError: Airbyte could not be asked for the length of a failure budget.
        """
        request = self._jobs_request(
            connectionId=connection_id, limit=LONGEST_PAGE, orderBy="createdAt|DESC"
        )
        for pause in _LOOK_AGAIN_AFTER:
            await self._transport.sleep(pause)
            response = await self._insist(lambda: self._call(request), pause=3.0)
            begun = self._server_time(response) - timedelta(seconds=self._monotonic() - since)
            # The oldest one since then is the likeliest to be ours.
            for job in reversed(_decode(request, response, _each(Job.from_json))):
                if job.is_of_type(job_type) and job.started_at >= begun - _CLOCK_MARGIN:
                    return job
        return None

    async def find_running_job(self, connection_id: str) -> Job | None:
        """
        Look for the job that a connection runs or is about to run.

        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        # Servers up to 2.0.0 show a refresh only to those who ask for it.
        for job_type in (None, JobType.REFRESH):
            for job in await self.list_jobs(connection_id=connection_id, job_type=job_type):
                if not job.is_terminal:
                    return job
        return None

    async def cancel_job(self, job_id: int) -> Job:
        """
        Cancel a job if it still runs.

        A DELETE hits whatever runs on the job's connection, so the job is read before each one,
        whatever the one before came to.

        :return: The job as last read: cancelled, or as it ended before.
        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        request = self._request(
            "DELETE", f"{self.settings.urls.public}/jobs/{job_id}", timeout=HELD_OPEN_TIMEOUT
        )
        attempt = 1
        while True:
            job = await self.get_job(job_id)
            if job.is_terminal:
                return job
            try:
                return _decode(request, await self._call(request, retry=_ONCE), Job.from_json)
            except (AirbyteConflictError, AirbyteDecodeError) as told:
                log.info("Job %s ended meanwhile, or only the answer is odd: %s", job_id, told)
                return await self.get_job(job_id)
            except AirbyteError as error:
                # Elapsed time does not count: the server holds the call open longer than that.
                delay = self._retry.next_delay(
                    error, repeatable=True, attempt=attempt, elapsed=0.0, chance=self._chance()
                )
                if delay is None:
                    raise
                log.warning("Job %s is not known to be cancelled: %s", job_id, error)
                await self._transport.sleep(delay)
                attempt += 1

    async def wait_for_job(
        self,
        job_id: int,
        *,
        poll_interval: float = 10.0,
        timeout: float | None = None,
        failure_budget: float = FAILURE_BUDGET,
    ) -> Job:
        """
        Read a job until its status is terminal.

        :param job_id: Job number.
        :param poll_interval: Seconds between two reads, above 0.
        :param timeout: Seconds to wait from now; ``None`` for no limit. The job itself is left
            running.
        :param failure_budget: Seconds without one good answer that the wait survives.
        :return: The job in its terminal status, which may be a failure.
        :raises AirbyteJobTimeoutError: The job is not terminal in time.
        :raises AirbyteError: Airbyte refuses for good, or the failure budget is used up.
        """
        began = self._monotonic()
        seen = ""
        while True:
            job = await self.read_job_patiently(
                job_id, poll_interval=poll_interval, failure_budget=failure_budget
            )
            if job.status != seen:
                log.info("Job %s of connection %s is %s.", job_id, job.connection_id, job.status)
                seen = job.status
            if job.is_terminal:
                return job
            pause = poll_interval
            if timeout is not None:
                left = timeout - (self._monotonic() - began)
                if left <= 0:
                    raise AirbyteJobTimeoutError(
                        f"Job {job_id} of connection {job.connection_id} is still {job.status} "
                        f"after {_in_words(timeout)} of waiting.",
                        job=job,
                    )
                pause = min(pause, left)
            await self._transport.sleep(pause)

    async def read_job_patiently(
        self, job_id: int, *, poll_interval: float = 10.0, failure_budget: float = FAILURE_BUDGET
    ) -> Job:
        """
        Read a job once, insisting while Airbyte is away.

        :param poll_interval: Seconds between two reads that fail.
        :param failure_budget: Seconds without a good answer after which to give up.
        :raises AirbyteError: Airbyte refuses for good, or the failure budget is used up.
        """
        return await self._insist(
            lambda: self.get_job(job_id), pause=poll_interval, budget=failure_budget
        )

    async def ensure_succeeded(self, job: Job) -> Job:
        """
        Return *job* if it succeeded; otherwise find out why it did not, and say so.

        :raises AirbyteJobFailedError: It failed.
        :raises AirbyteJobCancelledError: It was cancelled.
        """
        if job.has_succeeded:
            return job
        what, url = job.connection_id, ""
        try:
            connection = await self.get_airbyte_connection(job.connection_id)
        except AirbyteError as error:
            log.info("The name of connection %s could not be read: %s", job.connection_id, error)
        else:
            what = str(connection)
            url = self.settings.urls.job_page(connection, job.job_id)
        lasted = f" after {_in_words(job.duration.total_seconds())}" if job.duration else ""
        rows = "" if job.rows_synced is None else f" with {job.rows_synced:,} rows"
        head = f"Job {job.job_id} of connection {what}"
        if job.is_cancelled:
            raise AirbyteJobCancelledError(
                f"{head} was cancelled{lasted}{rows}. Somebody, a reset or the lack of a free data "
                f"worker ended it: start it again. {url}".rstrip(),
                job=job,
            )
        reason = await self.explain_failure(job)
        told = f": {reason}".rstrip(".") if reason else ", for a reason that only its log tells"
        raise AirbyteJobFailedError(
            f"{head} {job.status}{lasted}{rows}{told}. {url}".rstrip(), job=job
        )

    async def explain_failure(self, job: Job) -> JobFailure | None:
        """
        Ask the config API why a job failed.

        That API is internal, may be closed and may change: ``None`` where it does not tell.
        """
        root = self.settings.urls.config
        if root is None or not self.settings.config_api:
            return None
        request = self._request("POST", f"{root}/jobs/get_without_logs", payload={"id": job.job_id})
        try:
            response = await self._call(request, repeatable=True)
            return _decode(request, response, JobFailure.from_json)
        except AirbyteError as error:
            log.info("The config API does not tell why job %s failed: %s", job.job_id, error)
            return None

    async def get_airbyte_connection(self, connection_id: str) -> AirbyteConnection:
        """
        Read one connection.

        :param connection_id: UUID of the Airbyte connection.
        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        segment = quote(connection_id, safe="")
        request = self._request("GET", f"{self.settings.urls.public}/connections/{segment}")
        return _decode(request, await self._call(request), AirbyteConnection.from_json)

    async def list_workspaces(self) -> list[Workspace]:
        """
        Read all workspaces that the caller may see.

        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        # Airbyte's own `next` is set even on the last page and names a host of its own
        # (airbyte-platform PaginationMapper.kt). A short page ends the list.
        workspaces: list[Workspace] = []
        while True:
            query = urlencode({"limit": LONGEST_PAGE, "offset": len(workspaces)})
            request = self._request("GET", f"{self.settings.urls.public}/workspaces?{query}")
            page = _decode(
                request,
                await self._call(request),
                _each(Workspace.from_json),
            )
            workspaces += page
            if len(page) < LONGEST_PAGE:
                return workspaces

    async def check_health(self) -> None:
        """
        Ask without a token whether an Airbyte answers there.

        :raises AirbyteDecodeError: Something else answers: the URL is wrong.
        :raises AirbyteError: It cannot be reached, or is not healthy.
        """
        request = self._request("GET", f"{self.settings.urls.public}/health")
        response = await self._call(request, authorize=False)
        if response.is_html:  # a healthy Airbyte answers in bare text
            raise _web_page(request, response)

    async def get_instance(self) -> Instance:
        """Ask without a token which Airbyte this is; what it does not tell stays ``None``."""
        root = self.settings.urls.config
        if root is None:
            return Instance(edition="Cloud")
        request = self._request("GET", f"{root}/instance_configuration")
        try:
            response = await self._call(request, authorize=False)
            return _decode(request, response, Instance.from_json)
        except AirbyteError as error:
            log.info("Airbyte does not tell its version: %s", error)
            return Instance()

    async def sign_in(self) -> None:
        """
        Make sure that there is a token, where this Airbyte asks for one.

        :raises AirbyteCredentialsError: Client id or secret are wrong.
        :raises AirbyteError: Airbyte cannot be reached or refuses.
        """
        await self._authorization()

    async def _ensure_active(self, connection_id: str, conflict: AirbyteConflictError) -> None:
        """Say so if the connection runs no sync: Airbyte's own answer keeps the reason back."""
        connection = await self.get_airbyte_connection(connection_id)
        if connection.status != "active":
            raise conflict.retold_as(
                AirbyteConnectionNotActiveError,
                f"connection {connection} is {connection.status}",
            ) from conflict

    async def _post_job(self, connection_id: str, job_type: str) -> Job:
        sent = self._monotonic()
        request = self._request(
            "POST",
            f"{self.settings.urls.public}/jobs",
            payload={"connectionId": connection_id, "jobType": job_type},
            timeout=HELD_OPEN_TIMEOUT,
        )
        response = await self._call(request, repeatable=False)
        job = _decode(request, response, Job.from_json)
        begun = self._server_time(response) - timedelta(seconds=self._monotonic() - sent)
        return replace(job, adopted=job.started_at < begun - _CLOCK_MARGIN)

    def _server_time(self, response: HttpResponse) -> datetime:
        """Tell the server's clock when it answered; ours where it does not say."""
        return http_date(response.headers.get("date", "")) or self._now()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_clock(), tz=UTC)

    def _jobs_request(self, **query: str | int | None) -> HttpRequest:
        given = {name: value for name, value in query.items() if value is not None}
        return self._request("GET", f"{self.settings.urls.public}/jobs?{urlencode(given)}")

    def _request(
        self,
        method: str,
        url: str,
        *,
        payload: Mapping[str, Any] | None = None,
        timeout: float = 0.0,
    ) -> HttpRequest:
        headers, body = self._headers, None
        if payload is not None:
            headers = {**headers, "Content-Type": "application/json"}
            body = json.dumps(payload).encode()
        return HttpRequest(
            method, url, headers, body, timeout=max(timeout, self.settings.request_timeout)
        )

    async def _insist(
        self,
        read: Callable[[], Awaitable[T]],
        *,
        pause: float,
        budget: float = FAILURE_BUDGET,
    ) -> T:
        """Repeat a read while Airbyte is away, for as long as *budget* seconds."""
        began = self._monotonic()
        while True:
            try:
                return await read()
            except AirbyteError as error:
                away = self._monotonic() - began
                if not is_survivable(error):
                    raise
                if away >= budget:
                    log.warning("Airbyte gave no good answer for %s.", _in_words(away))
                    raise
                log.warning(
                    "No good answer for %s, waiting up to %s: %s",
                    _in_words(away),
                    _in_words(budget),
                    error,
                )
                await self._transport.sleep(min(pause, _LONGEST_PAUSE))

    async def _call(
        self,
        request: HttpRequest,
        *,
        repeatable: bool | None = None,
        authorize: bool = True,
        retry: RetryPolicy | None = None,
    ) -> HttpResponse:
        """
        Send *request*, with a token, again where that is right, and return a success.

        :param repeatable: Whether doing it twice does no harm; by default only a GET's is.
        :param retry: How stubborn this one call is.
        """
        retry = retry or self._retry
        if repeatable is None:
            repeatable = request.method == "GET"
        began = self._monotonic()
        attempt = 1
        renewed = False
        while True:
            token = await self._authorization() if authorize else None
            error: AirbyteError
            try:
                response = await self._transport.send(_authorized(request, token))
                if response.status < 300:
                    return response
                retry_after = retry_after_seconds(response.headers, now=self._now())
                error = api_error(request, response, retry_after=retry_after)
            except AirbyteError as no_answer:
                error = no_answer
            if authorize and token is None and _asks_for_sign_in(error):
                raise AirbyteConfigError(
                    "Login (Client ID) and Password (Client secret) of the Airflow connection are "
                    "empty, but this Airbyte asks for a sign-in: enter those of an application "
                    "(User settings > Applications in Airbyte)."
                ) from error
            # A call with a bad token was not executed, so even a POST is sent again, once.
            if token and isinstance(error, AirbyteAuthenticationError) and not renewed:
                self._forget(token)
                renewed = True
                continue
            delay = retry.next_delay(
                error,
                repeatable=repeatable,
                attempt=attempt,
                elapsed=self._monotonic() - began,
                chance=self._chance(),
            )
            if delay is None:
                raise error
            log.info("Trying again in %.1f s: %s", delay, error)
            await self._transport.sleep(delay)
            attempt += 1

    async def _authorization(self) -> Token | None:
        """Return a token that is fresh; ``None`` where Airbyte asks for none."""
        if not self.settings.authenticates:
            return None
        token = self._token
        if token and token.is_fresh(self._monotonic()):
            return token
        async with self._token_lock:
            token = self._token
            if token is None or not token.is_fresh(self._monotonic()):
                token = self._token = await self._exchange()
            return token

    def _forget(self, token: Token) -> None:
        # Of many calls that were refused together only the first one drops the token.
        if self._token is token:
            self._token = None

    async def _exchange(self) -> Token:
        """Exchange client id and secret for a token, at the first endpoint that there is."""
        secrets = {
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
        }
        requested_at, wall_clock = self._monotonic(), self._wall_clock()
        refusals: list[AirbyteError] = []
        for url in self.settings.urls.tokens:
            request = self._request("POST", url, payload=secrets)
            try:
                response = await self._call(request, repeatable=True, authorize=False)
                return _decode(
                    request,
                    response,
                    lambda payload: Token.from_json(
                        payload, requested_at=requested_at, wall_clock=wall_clock
                    ),
                )
            except AirbyteError as error:
                if not _tells_of_no_route(error):
                    raise _as_credentials_error(error) from None
                refusals.append(error)
        for refusal in refusals:
            if not (isinstance(refusal, AirbyteApiError) and refusal.problem.from_airbyte):
                raise refusal
        raise AirbyteConfigError(
            f"This Airbyte has no token endpoint ({refusals[0]}). If it runs without sign-in, "
            f"empty Login (Client ID) and Password (Client secret) of the Airflow connection."
        )


def _asks_for_sign_in(error: AirbyteError) -> bool:
    return isinstance(error, AirbyteAuthenticationError) and error.problem.from_airbyte


def _tells_of_no_route(error: AirbyteError) -> bool:
    if isinstance(error, AirbyteDecodeError):
        return error.is_html
    if not isinstance(error, AirbyteApiError) or error.status >= 500:
        return False
    # Without a token, Micronaut answers 401 and its own "Unauthorized" where there is no route; a
    # refusal of credentials carries another body (Micronaut SecurityFilter; airbyte-platform
    # InvalidClientCredentialsExceptionHandler.kt).
    unknown_to_security = error.status == 401 and error.problem.text == "Unauthorized"
    return error.status in _NO_SUCH_ROUTE or not error.problem.from_airbyte or unknown_to_security


def _as_credentials_error(error: AirbyteError) -> AirbyteError:
    """
    Name a refusal by what it means.

    With Keycloak 401, with simple sign-in 400; with generic OIDC it is a 500 like any other
    (airbyte-platform ``ApplicationServiceDataImpl.kt``), so the reason stays open.
    """
    if isinstance(error, AirbyteServerError) and error.status == 500:
        return error.retold_as(
            AirbyteServerError,
            f"{error.problem.text}; or the credentials are wrong: check Login (Client ID) and "
            f"Password (Client secret)",
        )
    if isinstance(error, AirbyteAuthenticationError | AirbyteBadRequestError):
        return error.retold_as(AirbyteCredentialsError)
    return error


def _authorized(request: HttpRequest, token: Token | None) -> HttpRequest:
    if token is None:
        return request
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token.value}"})


def _decode(request: HttpRequest, response: HttpResponse, build: Callable[[Any], T]) -> T:
    where = _told(request, response)
    if response.is_html:
        raise _web_page(request, response)
    try:
        payload = response.json()
    except ValueError as error:
        raise AirbyteDecodeError(
            f"{where} and {len(response.body)} bytes that are no JSON ({error}). Was the answer "
            f"cut off on the way, or is it not Airbyte that answers?"
        ) from None
    try:
        return build(payload)
    except AirbyteDecodeError as error:
        raise AirbyteDecodeError(
            f"{where}, but {error}. Is it Airbyte that answers there?"
        ) from None


def _told(request: HttpRequest, response: HttpResponse) -> str:
    return f"Airbyte answered {request.method} {request.url} with {response.status}"


def _web_page(request: HttpRequest, response: HttpResponse) -> AirbyteDecodeError:
    return AirbyteDecodeError(
        f"{_told(request, response)} and a web page, where the API never does. Check Host "
        f"(Airbyte URL) of the Airflow connection: is it right, and does no proxy ask for a login?",
        is_html=True,
    )


def _each(build: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """Read the page of a list by reading each of its entries."""

    def read(payload: Any) -> list[T]:
        data = payload.get("data") if isinstance(payload, Mapping) else None
        if not isinstance(data, list):
            raise AirbyteDecodeError("field 'data' is missing or is no list")
        return [build(one) for one in data]

    return read


def _in_words(seconds: float) -> str:
    """Say a duration as people do: ``2 h 10 min``, ``3 min 5 s``, ``12 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s"
