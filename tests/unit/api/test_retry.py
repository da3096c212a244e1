"""All decisions about retries, as tables."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteConnectionNotActiveError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
    HttpRequest,
    HttpResponse,
    Problem,
    RetryPolicy,
)
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.retry import (
    is_ambiguous,
    is_outage,
    is_permanent,
    is_transient,
    retry_after_seconds,
    was_not_executed,
)
from tests.unit.api.malformed import reproducible
from tests.unit.api.responses import hateoas, html_page, opaque, problem

NOW = datetime(2026, 3, 25, 1, 30, tzinfo=UTC)


def error_for(response: HttpResponse, retry_after: float | None = None) -> AirbyteError:
    return api_error(HttpRequest("GET", "https://ab/jobs"), response, retry_after=retry_after)


def airbyte_error(status: int) -> AirbyteError:
    return error_for(hateoas(status, "Reason"))


UNREACHABLE = AirbyteTransportError("refused", request_sent=False)
LOST_RESPONSE = AirbyteTransportError("reset", request_sent=True)
READ_TIMEOUT = AirbyteRequestTimeoutError("late", request_sent=True)
TRUNCATED = AirbyteDecodeError("truncated")
HTML_PAGE = AirbyteDecodeError("page", is_html=True)
CONFIG_ERROR = AirbyteConfigError("empty")
CREDENTIALS_ERROR = AirbyteCredentialsError(
    method="POST", url="https://ab/token", status=401, problem=Problem()
)
NOT_ACTIVE = AirbyteConnectionNotActiveError(
    method="POST", url="https://ab/jobs", status=409, problem=Problem()
)


@dataclass(frozen=True)
class Decision:
    """
    Every decision about one error.

    :param retry_read: Whether a replayable request is retried.
    :param retry_write: Whether a request that is not replayable is retried.
    :param ambiguous: Whether Airbyte may or may not have executed the request.
    :param permanent: Whether only a person can fix the error.
    :param outage: Whether a wait continues.
    """

    retry_read: bool = False
    retry_write: bool = False
    ambiguous: bool = False
    permanent: bool = False
    outage: bool = False


DECISIONS = {
    "unreachable": (UNREACHABLE, Decision(True, True, outage=True)),
    "lost response": (LOST_RESPONSE, Decision(True, ambiguous=True, outage=True)),
    "read timeout": (READ_TIMEOUT, Decision(True, ambiguous=True, outage=True)),
    "truncated response": (TRUNCATED, Decision(ambiguous=True, outage=True)),
    "HTML page": (HTML_PAGE, Decision(ambiguous=True, permanent=True, outage=True)),
    "configuration error": (CONFIG_ERROR, Decision(permanent=True)),
    "credentials error": (CREDENTIALS_ERROR, Decision(permanent=True)),
    "connection not active": (NOT_ACTIVE, Decision(permanent=True)),
    "302": (error_for(HttpResponse(302)), Decision(outage=True)),
    "400": (airbyte_error(400), Decision(permanent=True)),
    "401": (airbyte_error(401), Decision(outage=True)),
    "403": (airbyte_error(403), Decision(permanent=True)),
    "404": (airbyte_error(404), Decision(permanent=True)),
    "408": (airbyte_error(408), Decision(True, ambiguous=True, outage=True)),
    "409": (airbyte_error(409), Decision()),
    "418": (airbyte_error(418), Decision()),
    "422": (error_for(problem(422, "unprocessable-entity")), Decision(permanent=True)),
    "429": (airbyte_error(429), Decision(True, True, outage=True)),
    "500": (error_for(opaque(500)), Decision(True, ambiguous=True, outage=True)),
    "501": (airbyte_error(501), Decision(ambiguous=True)),
    "502": (error_for(html_page(502)), Decision(True, ambiguous=True, outage=True)),
    "503": (error_for(html_page(503)), Decision(True, ambiguous=True, outage=True)),
    "504": (error_for(html_page(504)), Decision(True, ambiguous=True, outage=True)),
    "505": (airbyte_error(505), Decision(ambiguous=True)),
    "404 with an HTML page": (error_for(html_page(404)), Decision(permanent=True, outage=True)),
}


@pytest.mark.parametrize(("error", "decision"), DECISIONS.values(), ids=DECISIONS)
def test_the_decisions_about_each_error(error, decision):
    def is_retried(*, replayable: bool) -> bool:
        delay = RetryPolicy().next_delay(
            error, replayable=replayable, attempt=1, elapsed=0.0, jitter=1.0
        )
        return delay is not None

    assert decision == Decision(
        retry_read=is_retried(replayable=True),
        retry_write=is_retried(replayable=False),
        ambiguous=is_ambiguous(error),
        permanent=is_permanent(error),
        outage=is_outage(error),
    )


@pytest.mark.parametrize("error", [error for error, _ in DECISIONS.values()], ids=DECISIONS)
def test_a_request_that_was_not_executed_is_not_ambiguous(error):
    assert not (was_not_executed(error) and is_ambiguous(error))


@pytest.mark.parametrize(("error", "decision"), DECISIONS.values(), ids=DECISIONS)
def test_a_replayable_request_is_retried_after_a_transient_error(error, decision):
    assert is_transient(error) is decision.retry_read


def test_an_error_of_another_library_is_not_permanent():
    assert not is_permanent(ConnectionResetError())


def delay_after(
    attempt: int = 1,
    *,
    policy: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
    error: AirbyteError = LOST_RESPONSE,
    elapsed: float = 0.0,
    jitter: float = 1.0,
) -> float | None:
    return policy.next_delay(
        error, replayable=True, attempt=attempt, elapsed=elapsed, jitter=jitter
    )


def test_delays_double_up_to_the_limit():
    policy = RetryPolicy(max_attempts=8)

    assert [delay_after(attempt, policy=policy) for attempt in range(1, 7)] == [1, 2, 4, 8, 15, 15]


def test_jitter_scales_the_whole_delay():
    assert [delay_after(2, jitter=jitter) for jitter in (0.0, 0.25, 1.0)] == [0.0, 0.5, 2.0]


def test_the_number_of_attempts_is_limited():
    assert delay_after(4) is not None
    assert delay_after(5) is None


def test_the_elapsed_time_is_limited():
    assert delay_after(elapsed=89.0) == 1.0
    assert delay_after(elapsed=89.1) is None


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_added_to_the_delay(status):
    error = error_for(hateoas(status, "Busy"), retry_after=7.0)

    assert delay_after(error=error, jitter=0.0) == 7.0
    assert delay_after(error=error, jitter=1.0) == 8.0


def test_a_long_retry_after_is_limited():
    error = error_for(hateoas(429, "Busy"), retry_after=86_400.0)

    assert delay_after(error=error, jitter=0.0) == 60.0


@reproducible
@given(
    attempt=st.integers(1, 100),
    elapsed=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    retry_after=st.none() | st.floats(0, 1e9),
)
def test_no_delay_is_negative_or_ends_after_the_time_limit(attempt, elapsed, jitter, retry_after):
    policy = RetryPolicy(max_attempts=50)
    error = error_for(hateoas(503, "Busy"), retry_after=retry_after)

    delay = delay_after(attempt, policy=policy, error=error, elapsed=elapsed, jitter=jitter)

    assert delay is None or 0 <= delay <= policy.max_elapsed - elapsed


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 5 ", 5, id="seconds with spaces"),
        pytest.param("Wed, 25 Mar 2026 01:31:30 GMT", 90, id="a date in the future"),
        pytest.param("Wed, 25 Mar 2026 01:29:00 GMT", 0, id="a date in the past"),
        pytest.param("Wed, 25 Mar 2026 01:31:30 -0000", None, id="a date without a time zone"),
        pytest.param("soon", None, id="neither a number nor a date"),
        pytest.param("-3", None, id="negative"),
        pytest.param("١٢", None, id="non-ASCII digits"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value, seconds):
    assert retry_after_seconds({"retry-after": value}, now=NOW) == seconds


def test_a_missing_retry_after_gives_none():
    assert retry_after_seconds({}, now=NOW) is None


@reproducible
@given(st.text())
def test_any_text_is_accepted_as_retry_after(value):
    seconds = retry_after_seconds({"retry-after": value}, now=NOW)

    assert seconds is None or seconds >= 0


@reproducible
@given(st.timedeltas(timedelta(days=-9000), timedelta(days=9000)))
def test_a_date_is_parsed_to_the_second(offset):
    at = (NOW + offset).replace(microsecond=0)

    assert retry_after_seconds({"retry-after": format_datetime(at, usegmt=True)}, now=at) == 0
