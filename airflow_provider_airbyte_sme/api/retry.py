"""
All decisions about retries.

Pure: no I/O, no clock and no random source of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteAmbiguousNameError,
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteBadRequestError,
    AirbyteConfigApiError,
    AirbyteConfigError,
    AirbyteConnectionNotActiveError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteNotFoundError,
    AirbyteNotOfferedError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteServerError,
    AirbyteSettingsNotFoundError,
    AirbyteTransportError,
    AirbyteUnsupportedError,
)

# 500 is included: every uncaught exception of airbyte-server is a 500, a lost database connection
# too, and retrying a read that fails permanently costs little. 501 is not: it says that this
# edition lacks the feature (docs/airbyte-api.md §6). 425 says "too early" (RFC 8470). A CDN sends
# 520 to 530 when it cannot reach the server behind it.
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 531)})
# What an ingress says that lets only the public API pass, and Airbyte to whom may not read a job.
_CLOSED_STATUSES = frozenset({403, 404, 405, 407, 410, 451, 501})

# The lowest delay, as a share of the highest one: random delays near 0 would be a tight loop.
_LOWEST_SHARE = 0.25
# Seconds. A longer Retry-After counts as this: some arithmetic fails on absurd numbers.
_MAX_RETRY_AFTER = 365 * 86_400.0
# Doubled this often, a delay has exceeded every limit; more would overflow a float.
_MAX_DOUBLINGS = 32


def is_transient(error: AirbyteError) -> bool:
    """
    Whether the same request may succeed a little later.

    What Airbyte did not write says nothing about the request: while Airbyte restarts, its ingress,
    gateway or CDN responds instead, with any status and often with HTML. While Airbyte cannot reach
    its identity provider, it refuses every token (docs/airbyte-api.md §2.4).
    """
    if isinstance(error, AirbyteAuthenticationError) and not is_permanent(error):
        return True
    if isinstance(error, AirbyteApiError):
        return error.status in _TRANSIENT_STATUSES or not error.problem.from_airbyte
    if isinstance(error, AirbyteDecodeError):
        return error.is_html
    return isinstance(error, AirbyteTransportError)


def was_not_executed(error: AirbyteError) -> bool:
    """
    Whether it is certain that Airbyte did not execute the request.

    It was not sent; its token or a gateway's key was rejected (401); or there were too many (429).
    All of these are decided before the request is executed. So is the 403 or 404 of a gateway, but
    that may also be the page with which it replaces Airbyte's own response.
    """
    if isinstance(error, AirbyteTransportError):
        return not error.request_sent
    return isinstance(error, AirbyteRateLimitError | AirbyteAuthenticationError)


def is_ambiguous(error: AirbyteError) -> bool:
    """
    Whether Airbyte may or may not have executed the request.

    After a 5xx or a 408 it may have been executed up to the failure. After a response that Airbyte
    did not write, too: an ingress with error pages of its own replaces Airbyte's response by them.
    """
    if was_not_executed(error) or is_permanent(error):
        return False
    if isinstance(error, AirbyteApiError):
        return isinstance(error, AirbyteServerError) or not error.problem.from_airbyte
    return isinstance(error, AirbyteTransportError | AirbyteDecodeError)


def is_permanent(error: BaseException) -> bool:
    """
    Whether only a person can fix *error*, so that a retry of the task would fail again.

    Only Airbyte itself can say so about a request. What :func:`is_outage` lets a wait survive is
    never permanent: the same response may outlast the failure budget.
    """
    if isinstance(error, AirbyteApiError):
        return error.problem.from_airbyte and isinstance(
            error,
            AirbyteBadRequestError
            | AirbyteConnectionNotActiveError
            | AirbyteCredentialsError
            | AirbytePermissionError
            | AirbyteNotFoundError
            | AirbyteNotOfferedError,
        )
    return isinstance(
        error, AirbyteConfigError | AirbyteAmbiguousNameError | AirbyteUnsupportedError
    )


def is_outage(error: AirbyteError) -> bool:
    """
    Whether a wait continues after *error*, within its failure budget.

    This covers more than :func:`is_transient`. A truncated body says nothing about the job.
    Settings that are not found may be those of a store that failed.
    """
    if isinstance(error, AirbyteDecodeError | AirbyteSettingsNotFoundError):
        return True
    return is_transient(error)


def is_about_one_resource(error: AirbyteError) -> bool:
    """
    Whether *error* says something about the resource that was asked for, and nothing about Airbyte.

    A request for another resource may succeed at the same moment. Airbyte's own 500 counts, as one
    row that it cannot render is enough for it.
    """
    if isinstance(error, AirbyteDecodeError):
        return not error.is_html
    return (
        isinstance(error, AirbyteApiError)
        and error.problem.from_airbyte
        and not isinstance(error, AirbyteAuthenticationError | AirbyteRateLimitError)
        and error.status <= 500
        and error.status != 408
    )


def may_be_outdated_settings(error: AirbyteError) -> bool:
    """
    Whether *error* may mean that the settings were changed meanwhile, such as a rotated secret.

    It may be Airbyte's client secret, a gateway's token or a proxy's password. An identity-aware
    proxy sends a 401 or 403, a redirect to its login, or that page itself.
    """
    if is_permanent(error):
        return True
    if isinstance(error, AirbyteTransportError):
        return error.tunnel_rejected
    if isinstance(error, AirbyteApiError):
        return error.status in (401, 403, 407) or error.status < 400
    return isinstance(error, AirbyteDecodeError) and error.is_html


def is_closed(error: AirbyteError) -> bool:
    """
    Whether *error*, in response to a call of the internal config API, means that it is closed.

    It is switched off, does not exist, or is forbidden or blocked. While the public API responds,
    the same call would fail again.
    """
    if isinstance(error, AirbyteApiError):
        return error.status in _CLOSED_STATUSES or error.status < 400
    if isinstance(error, AirbyteDecodeError):
        return error.is_html
    return isinstance(error, AirbyteConfigApiError)


class RetryPolicy(NamedTuple):
    """
    How long to retry one request.

    Time is the limit, not the number of attempts: by default a request survives that Airbyte is
    away for a minute and more, and ends after two.

    :param max_attempts: Attempts in total, the first one included; ``None`` for no limit.
    :param max_elapsed: Seconds after the first attempt began; no attempt begins later.
    :param base: Seconds; the upper bound of the random delay, doubled with each attempt.
    :param max_delay: Seconds; limit of that upper bound.
    :param max_retry_after: Seconds; limit up to which ``Retry-After`` is honoured.
    :param retries_refusals: Whether to retry after :func:`may_be_outdated_settings` too. A wait
        has its settings read again first.
    :param retries_closed: Whether to retry after :func:`is_closed` too. For a call of the config
        API that is pointless.
    """

    max_attempts: int | None = None
    max_elapsed: float = 120.0
    base: float = 0.5
    max_delay: float = 15.0
    max_retry_after: float = 60.0
    retries_refusals: bool = True
    retries_closed: bool = True

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
            replayable is sent again only if it was certainly not executed.
        :param attempt: Number of attempts made so far, from 1.
        :param elapsed: Seconds since the first attempt began.
        :param jitter: A random number from 0 to 1. It keeps tasks that failed together from
            returning together. The delay is between a quarter of its upper bound, for 0, and the
            upper bound, for 1.
        :return: Seconds to wait, or ``None`` to give up. The last delay is cut, so that the last
            attempt begins at ``max_elapsed``.
        """
        if not is_transient(error) or not (replayable or was_not_executed(error)):
            return None
        if not self.retries_refusals and may_be_outdated_settings(error):
            return None
        if not self.retries_closed and is_closed(error):
            return None
        if self.max_attempts is not None and attempt >= self.max_attempts:
            return None
        left = self.max_elapsed - elapsed
        demanded = self._demanded(error)
        if left <= 0 or demanded > left:
            return None
        return min(left, demanded + self._random_delay(attempt, jitter))

    def _demanded(self, error: AirbyteError) -> float:
        """Return the seconds that the response demands to wait."""
        if not isinstance(error, AirbyteApiError) or error.retry_after is None:
            return 0.0
        return min(error.retry_after, self.max_retry_after)

    def _random_delay(self, attempt: int, jitter: float) -> float:
        highest = min(self.max_delay, self.base * 2.0 ** min(attempt, _MAX_DOUBLINGS))
        return highest * (_LOWEST_SHARE + (1 - _LOWEST_SHARE) * jitter)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """
    Parse ``Retry-After``, a number of seconds or a date (RFC 9110, 10.2.3).

    :param headers: Headers of the response, names in lower case.
    :param now: The current time, aware.
    :return: Seconds from now, from 0 to one year; ``None`` if the header is missing or invalid.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _MAX_RETRY_AFTER)
    at = http_date(value)
    if at is None:
        return None
    return min(max(0.0, (at - now).total_seconds()), _MAX_RETRY_AFTER)


def http_date(value: str) -> datetime | None:
    """
    Parse a date of an HTTP header.

    :return: The date in UTC; ``None`` if it is invalid, has no time zone or is out of range.
    """
    try:
        at = parsedate_to_datetime(value)
        return None if at.tzinfo is None else at.astimezone(UTC)
    # An absurd year or offset is an OverflowError; other malformed dates make the standard
    # library's parser itself fail.
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
