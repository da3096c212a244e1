"""
The token of one session: exchanged by one caller at a time, for all who wait for it.

While sign-in fails, the next exchange is put off for all callers together. A thousand waits then
make as many exchanges as one.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from airflow_provider_airbyte_sme.api.auth import Token
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteCredentialsError,
    AirbyteError,
    AirbyteRequestTimeoutError,
    copy_of,
)

# Seconds. The pause after the first failure, which doubles with each further one, and its limit:
# no longer than the pause between two attempts of one request, so that a request outlasts the same
# outages with a token as without one.
_FIRST_PAUSE = 1.0
_MAX_PAUSE = 15.0
# Doubled this often, the pause has reached its limit.
_MAX_DOUBLINGS = 10
# Seconds. The pause after rejected credentials, which will not be accepted soon, and the limit up
# to which Retry-After is honoured.
_LONG_PAUSE = 60.0
# Seconds that a caller gets at least, also if its time is over already.
_MIN_PATIENCE = 1.0


class TokenSource:
    """
    Provides a fresh token. Threads may share it.

    :param exchange: Exchanges client id and secret for a token, until the given time.
    :param lock: Keeps one exchange in flight.
    :param clock: Monotonic clock, in seconds.
    :param token: A token to begin with.
    """

    def __init__(
        self,
        exchange: Callable[[float | None], Awaitable[Token]],
        *,
        lock: AbstractAsyncContextManager[None],
        clock: Callable[[], float],
        token: Token | None = None,
    ) -> None:
        self.token = token
        self._exchange = exchange
        self._lock = lock
        self._clock = clock
        # Held for changes of the fields only, never during an exchange.
        self._fields = threading.Lock()
        self._refused_tokens = 0
        self._failures = 0
        self._failure: AirbyteError | None = None
        self._no_exchange_before = 0.0

    async def get(self, deadline: float | None = None) -> Token:
        """
        Return a fresh token.

        :param deadline: When the caller gives up, on the clock; ``None`` for no limit.
        :raises AirbyteError: There is none, and the next exchange is put off.
        """
        if token := self._fresh_token():
            return token
        asked_at, earlier_failure = self._clock(), self._failure
        async with self._lock:
            if token := self._fresh_token():
                return token
            self._raise_shared_failure(earlier_failure)
            if deadline is not None and self._clock() >= max(deadline, asked_at + _MIN_PATIENCE):
                raise AirbyteRequestTimeoutError(
                    "No token in time: another request waited for the token endpoint until the "
                    "time of this one was over. Airbyte may be overloaded or restarting.",
                    request_sent=False,
                )
            return await self._exchange_for_all(deadline)

    def accept(self, token: Token) -> None:
        """Note that Airbyte accepted *token*."""
        with self._fields:
            if self.token is token:
                self._failures = self._refused_tokens = 0

    def refuse(self, token: Token, error: AirbyteAuthenticationError) -> None:
        """
        Note that Airbyte refused *token*, so that it is not used again.

        The first refused token is replaced at once. If its successor is refused too, Airbyte
        cannot reach its identity provider (docs/airbyte-api.md §2.4): the next exchange is put off.
        """
        with self._fields:
            # When several requests were refused together, only the first counts.
            if self.token is not token:
                return
            self.token = None
            self._refused_tokens += 1
            if self._refused_tokens > 1:
                self._put_off(error)

    def _fresh_token(self) -> Token | None:
        token = self.token
        return token if token and token.is_fresh(self._clock()) else None

    def _raise_shared_failure(self, earlier: AirbyteError | None) -> None:
        """
        Raise the last failure if the next exchange is put off, or if the caller waited for it.

        :param earlier: The last failure when the caller began to wait.
        """
        failure = self._failure
        is_put_off = self._clock() < self._no_exchange_before
        if failure and (is_put_off or failure is not earlier):
            # A copy: each raise adds to the traceback of an error.
            raise copy_of(failure)

    async def _exchange_for_all(self, deadline: float | None) -> Token:
        """Exchange a token. A cancelled exchange is nobody's failure."""
        try:
            token = await self._exchange(deadline)
        except AirbyteError as error:
            # One that was cut short by its own deadline says nothing to the others.
            if not self._was_cut_short(error, deadline):
                with self._fields:
                    self._put_off(error)
            raise
        with self._fields:
            self.token, self._failure = token, None
        return token

    def _was_cut_short(self, error: AirbyteError, deadline: float | None) -> bool:
        return (
            isinstance(error, AirbyteRequestTimeoutError)
            and deadline is not None
            and self._clock() >= deadline
        )

    def _put_off(self, error: AirbyteError) -> None:
        pause = min(_FIRST_PAUSE * 2 ** min(self._failures, _MAX_DOUBLINGS), _MAX_PAUSE)
        if isinstance(error, AirbyteCredentialsError):
            pause = _LONG_PAUSE
        elif isinstance(error, AirbyteApiError) and error.retry_after is not None:
            pause = max(pause, min(error.retry_after, _LONG_PAUSE))
        self._failures += 1
        self._failure = copy_of(error)
        self._no_exchange_before = self._clock() + pause
