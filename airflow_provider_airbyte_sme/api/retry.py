"""
All decisions about retries.

Pure: no I/O, no clock and no random source of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteBadRequestError,
    AirbyteConfigError,
    AirbyteConnectionNotActiveError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteServerError,
    AirbyteTransportError,
)

# 500 is included: every uncaught exception of airbyte-server is a 500, a lost database connection
# too, and retrying a read that fails permanently costs little. 501 is not: it says that this
# edition lacks the feature. docs/airbyte-api.md §6.
_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


def is_transient(error: AirbyteError) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, AirbyteApiError):
        return error.status in _TRANSIENT_STATUSES
    return isinstance(error, AirbyteTransportError)


def was_not_executed(error: AirbyteError) -> bool:
    """Whether Airbyte surely did not execute the request."""
    if isinstance(error, AirbyteTransportError):
        return not error.request_sent
    return isinstance(error, AirbyteRateLimitError)


def is_ambiguous(error: AirbyteError) -> bool:
    """Whether Airbyte may or may not have executed the request."""
    if isinstance(error, AirbyteTransportError):
        return error.request_sent
    return isinstance(error, AirbyteServerError | AirbyteDecodeError)


def is_permanent(error: BaseException) -> bool:
    """Whether only a person can fix *error*, so that a retry of the task would fail again."""
    return isinstance(
        error,
        AirbyteConfigError
        | AirbyteBadRequestError
        | AirbyteConnectionNotActiveError
        | AirbyteCredentialsError
        | AirbytePermissionError
        | AirbyteNotFoundError,
    ) or (isinstance(error, AirbyteDecodeError) and error.is_html)


def is_outage(error: AirbyteError) -> bool:
    """
    Whether a wait continues after *error*, within its failure budget.

    This covers more than :func:`is_transient`. During an upgrade of Airbyte its ingress responds
    instead, with any status and often with HTML. While Keycloak is unreachable, Airbyte rejects
    every token (docs/airbyte-api.md §2.4).
    """
    if isinstance(error, AirbyteCredentialsError):
        return False
    if isinstance(error, AirbyteAuthenticationError | AirbyteDecodeError):
        return True
    if isinstance(error, AirbyteApiError) and not error.problem.from_airbyte:
        return True
    return is_transient(error)


class RetryPolicy(NamedTuple):
    """
    How often and how long to retry one request.

    :param max_attempts: Attempts in total, the first one included.
    :param max_elapsed: Seconds after the first attempt began; no attempt begins later.
    :param base: Seconds; the upper bound of the random delay, doubled with each attempt.
    :param max_delay: Seconds; limit of that upper bound.
    :param max_retry_after: Seconds; limit up to which ``Retry-After`` is honoured.
    """

    max_attempts: int = 5
    max_elapsed: float = 90.0
    base: float = 0.5
    max_delay: float = 15.0
    max_retry_after: float = 60.0

    def next_delay(
        self,
        error: AirbyteError,
        *,
        replayable: bool,
        attempt: int,
        elapsed: float,
        jitter: float,
    ) -> float | None:
        """
        Decide about the attempt after *attempt*.

        :param error: The result of the last attempt.
        :param replayable: Whether executing the request twice is harmless. A request that is not
            replayable is sent again only if it surely was not executed.
        :param attempt: Number of attempts made so far, from 1.
        :param elapsed: Seconds since the first attempt began.
        :param jitter: A random number from 0 to 1. Full jitter keeps tasks that failed together
            from returning together.
        :return: Seconds to wait, or ``None`` to give up.
        """
        if not (is_transient(error) if replayable else was_not_executed(error)):
            return None
        if attempt >= self.max_attempts:
            return None
        delay = jitter * min(self.max_delay, self.base * 2**attempt)
        if isinstance(error, AirbyteApiError) and error.retry_after is not None:
            delay += min(error.retry_after, self.max_retry_after)
        return delay if elapsed + delay <= self.max_elapsed else None


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """
    Parse ``Retry-After``, a number of seconds or a date (RFC 9110, 10.2.3).

    :param headers: Headers of the response, names in lower case.
    :param now: The current time, aware.
    :return: Seconds from now, at least 0; ``None`` if the header is missing or invalid.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    at = http_date(value)
    return None if at is None else max(0.0, (at - now).total_seconds())


def http_date(value: str) -> datetime | None:
    """Parse a date of an HTTP header; ``None`` if it is invalid or has no time zone."""
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
