"""All decisions about retries, as tables."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteConfigApiError,
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
from airflow_provider_airbyte_sme.api.auth import as_credentials_error
from airflow_provider_airbyte_sme.api.errors import AirbyteSettingsNotFoundError, api_error
from airflow_provider_airbyte_sme.api.retry import (
    http_date,
    is_about_one_resource,
    is_ambiguous,
    is_closed,
    is_outage,
    is_permanent,
    is_transient,
    retry_after_seconds,
    was_not_executed,
)
from tests.unit.api.malformed import ANY_JSON, reproducible
from tests.unit.api.responses import hateoas, html_page, json_response, opaque, problem

NOW = datetime(2026, 3, 25, 1, 30, tzinfo=UTC)


def error_for(response: HttpResponse, retry_after: float | None = None) -> AirbyteApiError:
    return api_error(HttpRequest("GET", "https://ab/jobs"), response, retry_after=retry_after)


def airbyte_error(status: int) -> AirbyteError:
    return error_for(hateoas(status, "Reason"))


UNREACHABLE = AirbyteTransportError("refused", request_sent=False)
LOST_RESPONSE = AirbyteTransportError("reset", request_sent=True)
READ_TIMEOUT = AirbyteRequestTimeoutError("late", request_sent=True)
TRUNCATED = AirbyteDecodeError("truncated")
HTML_PAGE = AirbyteDecodeError("page", is_html=True)
CONFIG_ERROR = AirbyteConfigError("empty")
SETTINGS_NOT_FOUND = AirbyteSettingsNotFoundError("not found")
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


# Retried only if replayable, ambiguous, and survived by a wait.
OF_AN_INGRESS = (True, False, True, False, True)


def gateway(status: int) -> HttpResponse:
    """Return an error of an API gateway such as AWS's or Kong."""
    return json_response({"message": "Forbidden"}, status)


def cdn_problem(status: int) -> HttpResponse:
    """Return an error of a CDN that cannot reach the server behind it."""
    body = {"type": f"https://cdn.example.com/errors/{status}", "title": "Origin", "status": status}
    return json_response(body, status)


DECISIONS = {
    "unreachable": (UNREACHABLE, Decision(True, True, outage=True)),
    "lost response": (LOST_RESPONSE, Decision(True, ambiguous=True, outage=True)),
    "read timeout": (READ_TIMEOUT, Decision(True, ambiguous=True, outage=True)),
    "truncated response": (TRUNCATED, Decision(ambiguous=True, outage=True)),
    "HTML page": (HTML_PAGE, Decision(True, ambiguous=True, outage=True)),
    "settings not found": (SETTINGS_NOT_FOUND, Decision(outage=True)),
    "configuration error": (CONFIG_ERROR, Decision(permanent=True)),
    "credentials error": (CREDENTIALS_ERROR, Decision(permanent=True)),
    "connection not active": (NOT_ACTIVE, Decision(permanent=True)),
    "302": (error_for(HttpResponse(302)), Decision(True, ambiguous=True, outage=True)),
    "400": (airbyte_error(400), Decision(permanent=True)),
    "401": (airbyte_error(401), Decision(True, True, outage=True)),
    "403": (airbyte_error(403), Decision(permanent=True)),
    "404": (airbyte_error(404), Decision(permanent=True)),
    "408": (airbyte_error(408), Decision(True, ambiguous=True, outage=True)),
    "409": (airbyte_error(409), Decision()),
    "418": (airbyte_error(418), Decision()),
    "422": (error_for(problem(422, "unprocessable-entity")), Decision(permanent=True)),
    "429": (airbyte_error(429), Decision(True, True, outage=True)),
    "500": (error_for(opaque(500)), Decision(True, ambiguous=True, outage=True)),
    "501": (airbyte_error(501), Decision(permanent=True)),
    "502": (error_for(html_page(502)), Decision(True, ambiguous=True, outage=True)),
    "503": (error_for(html_page(503)), Decision(True, ambiguous=True, outage=True)),
    "504": (error_for(html_page(504)), Decision(True, ambiguous=True, outage=True)),
    "505": (airbyte_error(505), Decision(ambiguous=True)),
    **{
        f"{status} with an HTML page": (error_for(html_page(status)), Decision(*OF_AN_INGRESS))
        for status in (400, 403, 404, 405, 409, 422, 501)
    },
    **{
        f"{status} of a CDN": (error_for(cdn_problem(status)), Decision(*OF_AN_INGRESS))
        for status in range(520, 531)
    },
    "400 of a gateway": (error_for(gateway(400)), Decision(*OF_AN_INGRESS)),
    "401 of a gateway": (error_for(gateway(401)), Decision(True, True, outage=True)),
    "401 with an HTML page": (error_for(html_page(401)), Decision(True, True, outage=True)),
    "403 of a gateway": (error_for(gateway(403)), Decision(*OF_AN_INGRESS)),
    "404 of a gateway": (error_for(gateway(404)), Decision(*OF_AN_INGRESS)),
    "425 of a gateway": (error_for(gateway(425)), Decision(*OF_AN_INGRESS)),
    "429 of a gateway": (error_for(gateway(429)), Decision(True, True, outage=True)),
    "inactive connection, says a gateway": (
        AirbyteConnectionNotActiveError(
            method="POST", url="https://ab/jobs", status=409, problem=Problem(from_airbyte=False)
        ),
        Decision(*OF_AN_INGRESS),
    ),
    "credentials, says a gateway": (
        AirbyteCredentialsError(
            method="POST", url="https://ab/token", status=401, problem=Problem(from_airbyte=False)
        ),
        Decision(True, True, outage=True),
    ),
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


@pytest.mark.parametrize(("error", "decision"), DECISIONS.values(), ids=DECISIONS)
def test_a_replayable_request_is_retried_after_a_transient_error(error, decision):
    assert is_transient(error) is decision.retry_read


RESPONSES = st.builds(
    lambda build, status: build(status),
    st.sampled_from(
        (
            html_page,
            opaque,
            gateway,
            cdn_problem,
            HttpResponse,
            lambda status: hateoas(status, "Reason"),
            lambda status: problem(status, "title"),
        )
    )
    | ANY_JSON.map(lambda body: lambda status: json_response(body, status)),
    st.integers(300, 599),
)
ERRORS = (
    st.sampled_from([error for error, _ in DECISIONS.values()])
    | RESPONSES.map(error_for)
    | RESPONSES.map(lambda response: as_credentials_error(error_for(response)))
)


@reproducible
@given(ERRORS)
def test_what_a_wait_survives_is_never_permanent(error):
    assert not (is_outage(error) and is_permanent(error))


@reproducible
@given(ERRORS)
def test_a_wait_survives_what_is_transient(error):
    assert is_outage(error) or not is_transient(error)


@reproducible
@given(ERRORS)
def test_a_request_that_was_not_executed_is_not_ambiguous(error):
    assert not (was_not_executed(error) and is_ambiguous(error))


@reproducible
@given(RESPONSES)
def test_only_airbyte_itself_says_what_is_permanent(response):
    error = error_for(response)

    assert not is_permanent(error) or error.problem.from_airbyte


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


def delays(jitter: float = 1.0) -> list[float]:
    """Return all delays of a request that fails at once, each time."""
    found: list[float] = []
    while (delay := delay_after(len(found) + 1, elapsed=sum(found), jitter=jitter)) is not None:
        found.append(delay)
    return found


def test_delays_double_up_to_the_limit():
    assert delays()[:7] == [1, 2, 4, 8, 15, 15, 15]


def test_the_lowest_delay_is_a_quarter_of_the_highest():
    assert delays(jitter=0.0)[:7] == [0.25, 0.5, 1, 2, 3.75, 3.75, 3.75]
    assert delay_after(2, jitter=0.5) == 1.25


@reproducible
@given(jitter=st.floats(0, 1))
def test_a_request_is_retried_for_two_minutes_whatever_the_jitter(jitter):
    found = delays(jitter=jitter)

    assert sum(found) == pytest.approx(120)
    # Neither too few to notice that Airbyte is back, nor a tight loop.
    assert 11 <= len(found) <= 36
    assert max(found) <= 15


def test_the_number_of_attempts_is_limited_only_on_request():
    policy = RetryPolicy(max_attempts=5)

    assert delay_after(4, policy=policy) is not None
    assert delay_after(5, policy=policy) is None
    assert delay_after(1_000_000) == 15


def test_the_last_delay_is_cut_to_the_time_left():
    assert delay_after(elapsed=119.0) == 1.0
    assert delay_after(elapsed=119.75) == 0.25
    assert delay_after(elapsed=120.0) is None


@pytest.mark.parametrize("response", [hateoas(429, "Busy"), hateoas(503, "Busy"), cdn_problem(530)])
def test_retry_after_is_added_to_the_delay(response):
    error = error_for(response, retry_after=7.0)

    assert delay_after(error=error, jitter=0.0) == 7.25
    assert delay_after(error=error, jitter=1.0) == 8.0


def test_a_long_retry_after_is_limited():
    error = error_for(hateoas(429, "Busy"), retry_after=86_400.0)

    assert delay_after(error=error, jitter=0.0) == 60.25


def test_only_a_retry_after_longer_than_the_time_left_ends_the_attempts():
    error = error_for(hateoas(429, "Busy"), retry_after=20.0)

    assert delay_after(error=error, elapsed=100.0) == 20.0
    assert delay_after(error=error, elapsed=100.1) is None


@reproducible
@given(
    attempt=st.integers(1, 10_000),
    elapsed=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    retry_after=st.none() | st.floats(0, 1e9),
)
def test_no_delay_is_zero_or_ends_after_the_time_limit(attempt, elapsed, jitter, retry_after):
    error = error_for(hateoas(503, "Busy"), retry_after=retry_after)

    delay = delay_after(attempt, error=error, elapsed=elapsed, jitter=jitter)

    assert delay is None or 0 < delay <= RetryPolicy().max_elapsed - elapsed


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
        pytest.param("9" * 5000, 365 * 86_400, id="an absurd number"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 365 * 86_400, id="an absurd date"),
        pytest.param("Wed, 25 Mar 99999 01:31:30 GMT", None, id="an absurd year"),
        pytest.param("Wed, 25 Mar 99999999999999999999 01:31:30 GMT", None, id="no C integer"),
        pytest.param("Wed, 25 Mar 2026 01:31:30 +99999999999999", None, id="an absurd offset"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2359", None, id="a date out of range in UTC"),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value, seconds):
    assert retry_after_seconds({"retry-after": value}, now=NOW) == seconds


def test_a_missing_retry_after_gives_none():
    assert retry_after_seconds({}, now=NOW) is None


DATE_LIKE = st.lists(
    st.sampled_from(["Wed,", "25", "Mar", "2026", "01:31:30", "GMT", "-2359", ":", ",", ""])
    | st.integers().map(str)
    | st.text(max_size=3),
    max_size=8,
).map(" ".join)


@reproducible
@given(st.text() | DATE_LIKE)
def test_any_text_is_accepted_as_retry_after_and_as_date(value):
    seconds = retry_after_seconds({"retry-after": value}, now=NOW)
    at = http_date(value)

    assert seconds is None or 0 <= seconds <= 365 * 86_400
    assert at is None or at.tzinfo is UTC


@reproducible
@given(st.timedeltas(timedelta(days=-9000), timedelta(days=9000)))
def test_a_date_is_parsed_to_the_second(offset):
    at = (NOW + offset).replace(microsecond=0)

    assert retry_after_seconds({"retry-after": format_datetime(at, usegmt=True)}, now=at) == 0


CLOSED = {
    "switched off": AirbyteConfigApiError("Reading a job", is_hidden=False),
    "Airbyte's 403": error_for(hateoas(403, "Forbidden")),
    "Airbyte's 404": error_for(opaque(404)),
    "a gateway's 404": error_for(html_page(404)),
    "501": error_for(HttpResponse(501)),
    "redirect": error_for(HttpResponse(302, {"location": "https://sso"})),
    "page": HTML_PAGE,
}
NOT_CLOSED = {
    "refused": UNREACHABLE,
    "400": error_for(opaque(400)),
    "truncated": TRUNCATED,
    "500": error_for(opaque(500)),
    "401": error_for(hateoas(401, "Unauthorized")),
    "503": error_for(html_page(503)),
    "empty credentials": CONFIG_ERROR,
}


@pytest.mark.parametrize("error", CLOSED.values(), ids=CLOSED)
def test_a_closed_config_api_is_not_asked_again(error):
    assert is_closed(error)
    policy = RetryPolicy(retries_closed=False)
    assert policy.next_delay(error, replayable=True, attempt=1, elapsed=0, jitter=0) is None


@pytest.mark.parametrize("error", NOT_CLOSED.values(), ids=NOT_CLOSED)
def test_a_config_api_that_is_away_is_not_closed(error):
    assert not is_closed(error)
    policies = RetryPolicy(), RetryPolicy(retries_closed=False)
    delays = {
        policy.next_delay(error, replayable=True, attempt=1, elapsed=0, jitter=0)
        for policy in policies
    }
    assert len(delays) == 1


ABOUT_ONE_RESOURCE = {
    "400": error_for(opaque(400)),
    "403": airbyte_error(403),
    "404": airbyte_error(404),
    "409": airbyte_error(409),
    "500": error_for(opaque(500)),
    "truncated": TRUNCATED,
}
ABOUT_AIRBYTE = {
    "401": airbyte_error(401),
    "408": airbyte_error(408),
    "429": airbyte_error(429),
    "501": airbyte_error(501),
    "503": airbyte_error(503),
    "a gateway's 404": error_for(html_page(404)),
    "a gateway's 500": error_for(html_page(500)),
    "page": HTML_PAGE,
    "refused": UNREACHABLE,
    "empty credentials": CONFIG_ERROR,
}


@pytest.mark.parametrize("error", ABOUT_ONE_RESOURCE.values(), ids=ABOUT_ONE_RESOURCE)
def test_one_resource_may_be_broken_while_airbyte_works(error):
    assert is_about_one_resource(error) is True


@pytest.mark.parametrize("error", ABOUT_AIRBYTE.values(), ids=ABOUT_AIRBYTE)
def test_what_concerns_airbyte_is_about_no_single_resource(error):
    assert is_about_one_resource(error) is False
