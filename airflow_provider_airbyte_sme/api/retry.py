"""
The one place that decides whether to try again.

Pure: no I/O, no clock, no random source of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

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

# Of the 5xx only these pass. 500 is among them: every uncaught exception of airbyte-server is one,
# a lost database connection too, and a read that is wrong for good costs a few repetitions.
# 501 does not: it is how the server says that an edition lacks something.
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


def is_passing(error: AirbyteError) -> bool:
    """Whether *error* may be gone when the same request is sent again a little later."""
    if isinstance(error, AirbyteApiError):
        return error.status in _PASSING_STATUSES
    return isinstance(error, AirbyteTransportError)


def was_not_executed(error: AirbyteError) -> bool:
    """Whether Airbyte surely did nothing: no connection was made, or the answer says so."""
    if isinstance(error, AirbyteTransportError):
        return not error.request_sent
    return isinstance(error, AirbyteRateLimitError)


def leaves_in_doubt(error: AirbyteError) -> bool:
    """Whether Airbyte may or may not have done what a request asked for."""
    if isinstance(error, AirbyteTransportError):
        return error.request_sent
    return isinstance(error, AirbyteServerError | AirbyteDecodeError)


def is_permanent(error: BaseException) -> bool:
    """Whether nothing but a person can help, so that a repeated task would fail the same way."""
    return isinstance(
        error,
        AirbyteConfigError
        | AirbyteBadRequestError
        | AirbyteConnectionNotActiveError
        | AirbyteCredentialsError
        | AirbytePermissionError
        | AirbyteNotFoundError,
    ) or (isinstance(error, AirbyteDecodeError) and error.is_html)


def is_survivable(error: AirbyteError) -> bool:
    """
    Whether a wait goes on after *error*, within its failure budget.

    More than :func:`is_passing`: while Airbyte is upgraded its ingress answers for it, with any
    status and often in HTML, and a Keycloak that cannot be reached makes every token look invalid
    (airbyte-platform ``KeycloakTokenValidator.kt``).
    """
    if isinstance(error, AirbyteCredentialsError):
        return False
    if isinstance(error, AirbyteAuthenticationError | AirbyteDecodeError):
        return True
    if isinstance(error, AirbyteApiError) and not error.problem.from_airbyte:
        return True
    return is_passing(error)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How often, how long and how far apart.

    :param max_attempts: Attempts in all, the first one included.
    :param max_elapsed: Seconds from the first attempt after which none begins.
    :param base: Seconds, doubled with each attempt, that the random wait stays below.
    :param ceiling: Seconds that no wait of our own exceeds.
    :param retry_after_ceiling: Seconds up to which a ``Retry-After`` is obeyed.
    """

    max_attempts: int = 5
    max_elapsed: float = 90.0
    base: float = 0.5
    ceiling: float = 15.0
    retry_after_ceiling: float = 60.0

    def next_delay(
        self,
        error: AirbyteError,
        *,
        repeatable: bool,
        attempt: int,
        elapsed: float,
        chance: float,
    ) -> float | None:
        """
        Decide about the attempt after *attempt*.

        :param error: What the attempt came to.
        :param repeatable: Whether doing it twice does no harm. What is not repeatable is tried
            again only when it surely was not executed.
        :param attempt: Number of attempts made, from 1.
        :param elapsed: Seconds since the first one began.
        :param chance: A random number from 0 to 1: full jitter, so that a crowd of tasks that
            failed together does not come back together.
        :return: Seconds to wait, or ``None`` to give up.
        """
        if not (is_passing(error) if repeatable else was_not_executed(error)):
            return None
        if attempt >= self.max_attempts:
            return None
        delay = chance * min(self.ceiling, self.base * 2**attempt)
        if isinstance(error, AirbyteApiError) and error.retry_after is not None:
            delay += min(error.retry_after, self.retry_after_ceiling)
        return delay if elapsed + delay <= self.max_elapsed else None


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """
    Read ``Retry-After``, in either of its forms (RFC 9110, 10.2.3).

    :param headers: Of the answer, names in lower case.
    :param now: The present, for the form that names an instant.
    :return: Seconds from now, 0 at least; ``None`` where there is none or it cannot be read.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    at = http_date(value)
    return None if at is None else max(0.0, (at - now).total_seconds())


def http_date(value: str) -> datetime | None:
    """Read a date as HTTP headers carry it; ``None`` where it is none."""
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
