"""
One request to Airbyte: token, send, retry, decode. It knows no operation.

The pure decisions are elsewhere: retries in :mod:`.retry`, tokens in :mod:`.auth`, URLs in
:mod:`.settings`.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api.auth import Token, as_credentials_error, is_missing_endpoint
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteConfigError,
    AirbyteDecodeError,
    AirbyteError,
    api_error,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse, Transport
from airflow_provider_airbyte_sme.api.retry import RetryPolicy, http_date, retry_after_seconds
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

log = logging.getLogger(__name__)

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """
    One page of a list.

    :param server_time: When the server wrote the page, by its own clock.
    """

    items: list[T]
    server_time: datetime


class ApiResponse(NamedTuple):
    """
    A successful response, not yet decoded. A call without a body, such as a DELETE, ignores it.

    :param received_at: When it was received, in seconds since the epoch.
    """

    request: HttpRequest
    http: HttpResponse
    received_at: float

    @property
    def server_time(self) -> datetime:
        """When the server wrote it, by its own clock; by ours if it does not say."""
        return http_date(self.http.headers.get("date", "")) or _utc(self.received_at)

    def decode(self, build: Callable[[Any], T]) -> T:
        """
        Return the value that *build* makes of the JSON body.

        :raises AirbyteDecodeError: The body is HTML, invalid JSON, or not what *build* expects.
        """
        self.reject_html()
        try:
            payload = self.http.json()
        except ValueError as error:
            raise AirbyteDecodeError(
                f"{self._summary} and {len(self.http.body)} bytes of invalid JSON ({error}): the "
                f"response was truncated or is not from Airbyte."
            ) from None
        try:
            return build(payload)
        except AirbyteDecodeError as error:
            raise AirbyteDecodeError(
                f"{self._summary}, but {error}: check that Host (Airbyte URL) of the Airflow "
                f"connection leads to Airbyte."
            ) from None

    def decode_page(self, build: Callable[[Any], T]) -> Page[T]:
        """
        Return the page whose items *build* makes of the body's ``data``.

        :raises AirbyteDecodeError: As for :meth:`decode`.
        """
        return Page(self.decode(lambda payload: _page_items(payload, build)), self.server_time)

    def decode_array(self, build: Callable[[Any], T]) -> list[T]:
        """
        Return the items that *build* makes of a bare JSON array.

        :raises AirbyteDecodeError: As for :meth:`decode`.
        """
        return self.decode(lambda payload: _items(payload, "the body is not a list", build))

    def reject_html(self) -> None:
        """
        Check that the response is not an HTML page.

        :raises AirbyteDecodeError: It is one.
        """
        if self.http.is_html:
            raise AirbyteDecodeError(
                f"{self._summary} and an HTML page instead of JSON: check Host (Airbyte URL) of "
                f"the Airflow connection, and that no proxy asks for a login.",
                is_html=True,
            )

    @property
    def _summary(self) -> str:
        return (
            f"Airbyte responded to {self.request.method} {self.request.url} with {self.http.status}"
        )


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
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._transport = transport
        self._retry = retry or RetryPolicy()
        self._wall_clock = wall_clock
        self._jitter = jitter
        self._token: Token | None = None
        self._token_lock = transport.lock()
        self._headers = _default_headers(settings.headers)

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
        await self._fresh_token()

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
    ) -> ApiResponse:
        """
        Send one request and return the successful response.

        :param url: From :class:`.settings.AirbyteUrls`.
        :param payload: JSON body.
        :param timeout: Seconds to wait for the response; the connection's ``request_timeout`` if
            that is longer.
        :param replayable: Whether executing the request twice is harmless; by default for a GET.
        :param authenticated: Whether to send a token.
        :param retry: The policy for this request, if not the session's.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        request = self._build(method, url, payload, timeout)
        if replayable is None:
            replayable = method == "GET"
        began = self.clock()
        attempt = 1
        token_renewed = False
        while True:
            token = await self._fresh_token() if authenticated else None
            try:
                return await self._send(request, token)
            except AirbyteError as error:
                if authenticated and token is None and _requires_sign_in(error):
                    raise AirbyteConfigError(
                        "Login (Client ID) and Password (Client secret) of the Airflow connection "
                        "are empty, but this Airbyte requires a sign-in: enter those of an "
                        "application (User settings > Applications in Airbyte)."
                    ) from error
                # A request with a rejected token was not executed: even a POST is replayed once.
                if token and isinstance(error, AirbyteAuthenticationError) and not token_renewed:
                    self._drop(token)
                    token_renewed = True
                    continue
                delay = self.retry_delay(
                    error,
                    replayable=replayable,
                    attempt=attempt,
                    elapsed=self.clock() - began,
                    retry=retry,
                )
                if delay is None:
                    raise
                log.info("Retrying in %.1f s: %s", delay, error)
            await self.sleep(delay)
            attempt += 1

    def retry_delay(
        self,
        error: AirbyteError,
        *,
        replayable: bool,
        attempt: int,
        elapsed: float,
        retry: RetryPolicy | None = None,
    ) -> float | None:
        """Return the seconds before the next attempt: see :meth:`.RetryPolicy.next_delay`."""
        return (retry or self._retry).next_delay(
            error, replayable=replayable, attempt=attempt, elapsed=elapsed, jitter=self._jitter()
        )

    async def _send(self, request: HttpRequest, token: Token | None) -> ApiResponse:
        """Send *request* once; raise if there is no successful response."""
        response = await self._transport.send(_with_token(request, token))
        if response.status < 300:
            return ApiResponse(request, response, self._wall_clock())
        retry_after = retry_after_seconds(response.headers, now=_utc(self._wall_clock()))
        raise api_error(request, response, retry_after=retry_after)

    def _build(
        self, method: str, url: str, payload: Mapping[str, Any] | None, timeout: float
    ) -> HttpRequest:
        headers, body = self._headers, None
        if payload is not None:
            headers = {**headers, "Content-Type": "application/json"}
            body = json.dumps(payload).encode()
        return HttpRequest(
            method, url, headers, body, timeout=max(timeout, self.settings.request_timeout)
        )

    async def _fresh_token(self) -> Token | None:
        """Return a fresh token; ``None`` for an Airbyte without sign-in."""
        if not self.settings.authenticates:
            return None
        token = self._token
        if token and token.is_fresh(self.clock()):
            return token
        async with self._token_lock:
            token = self._token
            if token is None or not token.is_fresh(self.clock()):
                token = self._token = await self._exchange_token()
            return token

    def _drop(self, token: Token) -> None:
        # When several requests were rejected together, only the first drops the token.
        if self._token is token:
            self._token = None

    async def _exchange_token(self) -> Token:
        """Exchange client id and secret for a token, at the first endpoint that exists."""
        credentials = {
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
        }
        requested_at, wall_clock = self.clock(), self._wall_clock()
        missing: list[AirbyteApiError] = []
        misrouted: AirbyteError | None = None
        for url in self.settings.urls.tokens:
            try:
                response = await self.request(
                    "POST", url, payload=credentials, replayable=True, authenticated=False
                )
                return response.decode(
                    lambda payload: Token.from_json(
                        payload, requested_at=requested_at, wall_clock=wall_clock
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


def _default_headers(given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers of every request; those of the Airflow connection win."""
    given_names = {name.lower() for name in given}
    defaults = {
        "Accept": "application/json",
        "User-Agent": f"airflow-provider-airbyte-sme/{__version__}",
    }
    kept = {name: value for name, value in defaults.items() if name.lower() not in given_names}
    return {**kept, **given}


def _utc(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)


def _with_token(request: HttpRequest, token: Token | None) -> HttpRequest:
    if token is None:
        return request
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token.value}"})


def _requires_sign_in(error: AirbyteError) -> bool:
    return isinstance(error, AirbyteAuthenticationError) and error.problem.from_airbyte


def _page_items(payload: Any, build: Callable[[Any], T]) -> list[T]:
    data = payload.get("data") if isinstance(payload, Mapping) else None
    return _items(data, "field 'data' is missing or not a list", build)


def _items(payload: Any, otherwise: str, build: Callable[[Any], T]) -> list[T]:
    if not isinstance(payload, list):
        raise AirbyteDecodeError(otherwise)
    return [build(item) for item in payload]
