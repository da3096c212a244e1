"""
One request to Airbyte: token, send, retry. It knows no operation.

The pure decisions are elsewhere: retries in :mod:`.retry`, tokens in :mod:`.auth`, URLs in
:mod:`.settings`.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeGuard

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api.auth import (
    Token,
    as_credentials_error,
    is_missing_endpoint,
    token_request,
)
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteConfigError,
    AirbyteError,
    api_error,
)
from airflow_provider_airbyte_sme.api.http import MAX_BODY, HttpRequest, Transport
from airflow_provider_airbyte_sme.api.response import ApiResponse
from airflow_provider_airbyte_sme.api.retry import RetryPolicy, retry_after_seconds
from airflow_provider_airbyte_sme.api.scrubbing import secret_values
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings
from airflow_provider_airbyte_sme.api.tokens import TokenSource

log = logging.getLogger(__name__)

# Seconds that a request gets at least, however little time its caller has left.
_MIN_TIMEOUT = 1.0


class AirbyteSession:
    """
    Sends requests to one Airbyte, over one transport.

    It keeps the token, in memory only, and renews it before it expires.

    :param settings: URLs, credentials and headers.
    :param transport: Closed together with the session.
    :param retry: When to retry a single request.
    :param clock: Monotonic clock, in seconds.
    :param wall_clock: Seconds since the epoch.
    :param jitter: Random numbers from 0 to 1.
    :param token: A token to begin with, of another session with equal settings and clock.
    """

    def __init__(
        self,
        settings: AirbyteSettings,
        transport: Transport,
        *,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        token: Token | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._transport = transport
        self._retry = retry or RetryPolicy()
        self.wall_clock = wall_clock
        self._jitter = jitter
        self._tokens = TokenSource(
            partial(self.exchange_token, settings), lock=transport.lock(), clock=clock, token=token
        )
        self._headers = _default_headers(settings.headers)
        self._secrets = settings.secrets

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may contain: credentials, values of headers, and the current token."""
        token = self._tokens.token
        return (*self._secrets, token.value) if token else self._secrets

    @property
    def token(self) -> Token | None:
        """The current token, for a session that takes over; ``None`` if there is none yet."""
        return self._tokens.token

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        await self._transport.sleep(seconds)

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()

    async def authenticate(self) -> None:
        """
        Request a token, if this Airbyte needs one and there is no fresh one.

        :raises AirbyteCredentialsError: Client id or secret are wrong.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self.attempts(replayable=True).token()

    async def request(
        self,
        method: str,
        url: str,
        *,
        payload: Mapping[str, Any] | None = None,
        timeout: float = 0.0,
        replayable: bool | None = None,
        authenticated: bool = True,
        retry: RetryPolicy | None = None,
        deadline: float | None = None,
        max_body: int = MAX_BODY,
        secrets: Iterable[str] = (),
    ) -> ApiResponse:
        """
        Send one request and return the successful response.

        :param method: Such as ``GET``.
        :param url: From :class:`.settings.AirbyteUrls`.
        :param payload: JSON body.
        :param timeout: Seconds to wait for the response; the connection's ``request_timeout`` if
            that is longer.
        :param replayable: Whether executing the request twice is harmless; by default for a GET.
        :param authenticated: Whether to send a token.
        :param retry: The policy for this request, if not the session's.
        :param deadline: When to give up, on the session's clock; ``None`` for no limit but the
            policy's.
        :param max_body: Bytes of the response's body to read at most.
        :param secrets: Values in *payload* that no message may contain, besides those that
            :func:`.scrubbing.secret_values` finds.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        secrets = tuple(secrets)
        attempts = self.attempts(
            replayable=method == "GET" if replayable is None else replayable,
            authenticated=authenticated,
            retry=retry,
            deadline=deadline,
        )
        while True:
            token = await attempts.token()
            request = self.build(
                method,
                url,
                payload=payload,
                timeout=timeout,
                deadline=deadline,
                max_body=max_body,
                secrets=secrets,
            )
            try:
                return await self.send(request, token)
            except AirbyteError as error:
                await attempts.pause_after(error)

    def attempts(
        self,
        *,
        replayable: bool,
        authenticated: bool = True,
        retry: RetryPolicy | None = None,
        deadline: float | None = None,
    ) -> Attempts:
        """
        Begin the attempts of one request.

        :param replayable: As in :meth:`request`.
        :param authenticated: As in :meth:`request`.
        :param retry: As in :meth:`request`.
        :param deadline: As in :meth:`request`.
        """
        has_credentials = self.settings.authenticates
        return Attempts(
            self._tokens if authenticated and has_credentials else None,
            retry or self._retry,
            replayable=replayable,
            lacks_credentials=authenticated and not has_credentials,
            deadline=deadline,
            clock=self.clock,
            sleep=self.sleep,
            jitter=self._jitter,
        )

    def build(
        self,
        method: str,
        url: str,
        *,
        payload: Mapping[str, Any] | None = None,
        timeout: float = 0.0,
        held_open: bool = False,
        deadline: float | None = None,
        max_body: int = MAX_BODY,
        secrets: Iterable[str] = (),
    ) -> HttpRequest:
        """
        Return a request without its token.

        :param method: As in :meth:`request`.
        :param url: As in :meth:`request`.
        :param payload: As in :meth:`request`.
        :param timeout: As in :meth:`request`.
        :param held_open: Whether the server holds the call open.
        :param deadline: As in :meth:`request`.
        :param max_body: As in :meth:`request`.
        :param secrets: As in :meth:`request`.
        """
        headers, body = self._headers, None
        known = (*self._secrets, *secrets)
        if payload is not None:
            headers = {**headers, "Content-Type": "application/json"}
            body = json.dumps(payload).encode()
            known = (*known, *secret_values(payload))
        timeout = max(timeout, self.settings.request_timeout)
        total_timeout = None
        if deadline is not None:
            total_timeout = max(deadline - self.clock(), _MIN_TIMEOUT)
            timeout = min(timeout, total_timeout)
        return HttpRequest(
            method,
            url,
            headers,
            body,
            timeout=timeout,
            total_timeout=total_timeout,
            held_open=held_open,
            max_body=max_body,
            secrets=known,
        )

    async def send(self, request: HttpRequest, token: Token | None) -> ApiResponse:
        """
        Send *request* once and return the successful response.

        :param token: From :meth:`Attempts.token`; ``None`` to send none.
        :raises AirbyteDecodeError: The response is an HTML page, so it is not Airbyte's.
        :raises AirbyteError: There is no successful response.
        """
        response = await self._transport.send(_with_token(request, token))
        if response.status < 300:
            successful = ApiResponse(request, response)
            # Here, because a page of an ingress may be gone at the next attempt.
            successful.reject_html()
            if token:
                self._tokens.accept(token)
            return successful
        retry_after = retry_after_seconds(response.headers, now=self._now())
        error = api_error(_with_token(request, token), response, retry_after=retry_after)
        if token and _is_refused_by_airbyte(error):
            self._tokens.refuse(token, error)
        raise error

    async def exchange_token(
        self, settings: AirbyteSettings, deadline: float | None = None
    ) -> Token:
        """
        Exchange client id and secret for a token, at the first endpoint that exists.

        :param settings: Their client id and secret.
        :param deadline: When to give up, on the session's clock; ``None`` for no limit.
        :raises AirbyteCredentialsError: Client id or secret are wrong.
        :raises AirbyteError: Airbyte is unreachable or rejects the request; it is not repeated.
        """
        requested_at, wall_clock = self.clock(), self.wall_clock()
        missing: list[AirbyteApiError] = []
        misrouted: AirbyteError | None = None
        for url in settings.urls.tokens:
            request = self.build(
                "POST", url, payload=token_request(settings, url), deadline=deadline
            )
            try:
                response = await self.send(request, None)
                return response.decode(
                    partial(
                        Token.from_json,
                        requested_at=requested_at,
                        wall_clock=wall_clock,
                        endpoint=url,
                    )
                )
            except AirbyteError as error:
                if not is_missing_endpoint(error):
                    raise as_credentials_error(error) from None
                if isinstance(error, AirbyteApiError) and error.problem.from_airbyte:
                    missing.append(error)
                else:
                    misrouted = misrouted or error
        if misrouted is not None:
            raise misrouted
        raise AirbyteConfigError(
            f"This Airbyte has no token endpoint ({missing[0].summary}): check Host (Airbyte URL) "
            f"of the Airflow connection or, if this Airbyte has no sign-in, clear Login (Client "
            f"ID) and Password (Client secret)."
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.wall_clock(), tz=UTC)


class Attempts:
    """
    The attempts of one request.

    Whoever must do something before each attempt, such as read the job before each DELETE, drives
    the attempts itself; :meth:`AirbyteSession.request` does so for everyone else.
    """

    def __init__(
        self,
        tokens: TokenSource | None,
        retry: RetryPolicy,
        *,
        replayable: bool,
        lacks_credentials: bool,
        deadline: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._retry = retry
        self._replayable = replayable
        self._lacks_credentials = lacks_credentials
        self._deadline = deadline
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._began = clock()
        self._made = 0
        self._token_renewed = False

    async def token(self) -> Token | None:
        """
        Return a fresh token for the next attempt; ``None`` for an Airbyte without sign-in.

        :raises AirbyteError: There is none, and no attempt is left.
        """
        while self._tokens is not None:
            try:
                return await self._tokens.get(self._deadline)
            except AirbyteError as error:
                # The request itself was not sent, so every transient error can be retried.
                await self._pause(error, replayable=True)
        return None

    async def pause_after(self, error: AirbyteError) -> None:
        """
        Wait until the next attempt.

        A request with a refused token was not executed: it is sent again at once, with a new one.

        :param error: The result of the last attempt, which is raised if no attempt is left.
        :raises AirbyteConfigError: Airbyte requires a sign-in, and there are no credentials.
        """
        if _is_refused_by_airbyte(error):
            if self._lacks_credentials:
                raise AirbyteConfigError(
                    "Login (Client ID) and Password (Client secret) of the Airflow connection "
                    "are empty, but this Airbyte requires a sign-in: enter those of an "
                    "application (User settings > Applications in Airbyte)."
                ) from error
            if self._tokens and not self._token_renewed:
                self._token_renewed = True
                return
        await self._pause(error, replayable=self._replayable)

    async def _pause(self, error: AirbyteError, *, replayable: bool) -> None:
        self._made += 1
        now = self._clock()
        delay = self._retry.next_delay(
            error,
            replayable=replayable,
            attempt=self._made,
            elapsed=now - self._began,
            jitter=self._jitter(),
        )
        if delay is None or (self._deadline is not None and now + delay >= self._deadline):
            raise error
        log.info("Retrying in %.1f s: %s", delay, error)
        await self._sleep(delay)


def _default_headers(given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers of every request; those of the Airflow connection win."""
    given_names = {name.lower() for name in given}
    defaults = {
        "Accept": "application/json",
        "User-Agent": f"airflow-provider-airbyte-sme/{__version__}",
    }
    kept = {name: value for name, value in defaults.items() if name.lower() not in given_names}
    return {**kept, **given}


def _is_refused_by_airbyte(error: AirbyteError) -> TypeGuard[AirbyteAuthenticationError]:
    """Whether Airbyte, and not a gateway before it, refused the token."""
    return isinstance(error, AirbyteAuthenticationError) and error.problem.from_airbyte


def _with_token(request: HttpRequest, token: Token | None) -> HttpRequest:
    if token is None:
        return request
    return replace(
        request,
        headers={**request.headers, "Authorization": f"Bearer {token.value}"},
        secrets=(*request.secrets, token.value),
    )
