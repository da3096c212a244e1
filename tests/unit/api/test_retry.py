"""The one place that decides whether to try again, as tables."""

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
    is_permanent,
    is_survivable,
    leaves_in_doubt,
    retry_after_seconds,
    was_not_executed,
)
from tests.unit.api.answers import hateoas, opaque, problem, web_page
from tests.unit.api.oddities import steady

NOW = datetime(2026, 3, 25, 1, 30, tzinfo=UTC)


def answered(response: HttpResponse, retry_after: float | None = None) -> AirbyteError:
    return api_error(HttpRequest("GET", "https://ab/jobs"), response, retry_after=retry_after)


def refused_by(status: int) -> AirbyteError:
    return answered(hateoas(status, "Reason"))


UNREACHABLE = AirbyteTransportError("refused", request_sent=False)
LOST_ANSWER = AirbyteTransportError("reset", request_sent=True)
TOO_LATE = AirbyteRequestTimeoutError("late", request_sent=True)
CUT_OFF = AirbyteDecodeError("cut")
WEB_PAGE = AirbyteDecodeError("page", is_html=True)
NO_CONFIG = AirbyteConfigError("empty")
NO_CREDENTIALS = AirbyteCredentialsError(
    method="POST", url="https://ab/token", status=401, problem=Problem()
)
NOT_ACTIVE = AirbyteConnectionNotActiveError(
    method="POST", url="https://ab/jobs", status=409, problem=Problem()
)


@dataclass(frozen=True)
class Verdict:
    """What is to be done about an error; nothing, unless said otherwise."""

    repeat_read: bool = False
    repeat_write: bool = False
    in_doubt: bool = False
    permanent: bool = False
    survivable: bool = False


VERDICTS = {
    "unreachable": (UNREACHABLE, Verdict(True, True, survivable=True)),
    "lost answer": (LOST_ANSWER, Verdict(True, in_doubt=True, survivable=True)),
    "late answer": (TOO_LATE, Verdict(True, in_doubt=True, survivable=True)),
    "cut answer": (CUT_OFF, Verdict(in_doubt=True, survivable=True)),
    "web page": (WEB_PAGE, Verdict(in_doubt=True, permanent=True, survivable=True)),
    "configuration": (NO_CONFIG, Verdict(permanent=True)),
    "credentials": (NO_CREDENTIALS, Verdict(permanent=True)),
    "not active": (NOT_ACTIVE, Verdict(permanent=True)),
    "302": (answered(HttpResponse(302)), Verdict(survivable=True)),
    "400": (refused_by(400), Verdict(permanent=True)),
    "401": (refused_by(401), Verdict(survivable=True)),
    "403": (refused_by(403), Verdict(permanent=True)),
    "404": (refused_by(404), Verdict(permanent=True)),
    "408": (refused_by(408), Verdict(True, in_doubt=True, survivable=True)),
    "409": (refused_by(409), Verdict()),
    "418": (refused_by(418), Verdict()),
    "422": (answered(problem(422, "unprocessable-entity")), Verdict(permanent=True)),
    "429": (refused_by(429), Verdict(True, True, survivable=True)),
    "500": (answered(opaque(500)), Verdict(True, in_doubt=True, survivable=True)),
    "501": (refused_by(501), Verdict(in_doubt=True)),
    "502": (answered(web_page(502)), Verdict(True, in_doubt=True, survivable=True)),
    "503": (answered(web_page(503)), Verdict(True, in_doubt=True, survivable=True)),
    "504": (answered(web_page(504)), Verdict(True, in_doubt=True, survivable=True)),
    "505": (refused_by(505), Verdict(in_doubt=True)),
    "404 of an ingress": (answered(web_page(404)), Verdict(permanent=True, survivable=True)),
}


@pytest.mark.parametrize(("error", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_each_error_is_judged_by_what_it_leaves_behind(error, verdict):
    def is_repeated(*, repeatable: bool) -> bool:
        delay = RetryPolicy().next_delay(
            error, repeatable=repeatable, attempt=1, elapsed=0.0, chance=1.0
        )
        return delay is not None

    assert verdict == Verdict(
        repeat_read=is_repeated(repeatable=True),
        repeat_write=is_repeated(repeatable=False),
        in_doubt=leaves_in_doubt(error),
        permanent=is_permanent(error),
        survivable=is_survivable(error),
    )


@pytest.mark.parametrize("error", [error for error, _ in VERDICTS.values()], ids=VERDICTS)
def test_what_was_not_executed_leaves_no_doubt(error):
    assert not (was_not_executed(error) and leaves_in_doubt(error))


def test_an_error_of_another_kind_may_pass():
    assert not is_permanent(ConnectionResetError())


def delay_after(
    attempt: int = 1,
    *,
    policy: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
    error: AirbyteError = LOST_ANSWER,
    elapsed: float = 0.0,
    chance: float = 1.0,
) -> float | None:
    return policy.next_delay(
        error, repeatable=True, attempt=attempt, elapsed=elapsed, chance=chance
    )


def test_waits_double_up_to_a_ceiling():
    policy = RetryPolicy(max_attempts=8)

    assert [delay_after(attempt, policy=policy) for attempt in range(1, 7)] == [1, 2, 4, 8, 15, 15]


def test_a_wait_is_any_part_of_its_bound_so_that_a_crowd_does_not_come_back_together():
    assert [delay_after(2, chance=chance) for chance in (0.0, 0.25, 1.0)] == [0.0, 0.5, 2.0]


def test_attempts_are_bounded():
    assert delay_after(4) is not None
    assert delay_after(5) is None


def test_elapsed_time_is_bounded():
    assert delay_after(elapsed=89.0) == 1.0
    assert delay_after(elapsed=89.1) is None


@pytest.mark.parametrize("status", [429, 503])
def test_what_the_answer_asks_to_wait_is_waited_at_least(status):
    error = answered(hateoas(status, "Busy"), retry_after=7.0)

    assert delay_after(error=error, chance=0.0) == 7.0
    assert delay_after(error=error, chance=1.0) == 8.0


def test_what_the_answer_asks_to_wait_has_a_ceiling():
    error = answered(hateoas(429, "Busy"), retry_after=86_400.0)

    assert delay_after(error=error, chance=0.0) == 60.0


@steady
@given(
    attempt=st.integers(1, 100),
    elapsed=st.floats(0, 1000),
    chance=st.floats(0, 1),
    retry_after=st.none() | st.floats(0, 1e9),
)
def test_no_wait_is_negative_or_ends_beyond_the_bound(attempt, elapsed, chance, retry_after):
    policy = RetryPolicy(max_attempts=50)
    error = answered(hateoas(503, "Busy"), retry_after=retry_after)

    delay = delay_after(attempt, policy=policy, error=error, elapsed=elapsed, chance=chance)

    assert delay is None or 0 <= delay <= policy.max_elapsed - elapsed


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 5 ", 5, id="seconds between blanks"),
        pytest.param("Wed, 25 Mar 2026 01:31:30 GMT", 90, id="an instant to come"),
        pytest.param("Wed, 25 Mar 2026 01:29:00 GMT", 0, id="an instant that is over"),
        pytest.param("Wed, 25 Mar 2026 01:31:30 -0000", None, id="an instant of no known zone"),
        pytest.param("soon", None, id="neither"),
        pytest.param("-3", None, id="less than none"),
        pytest.param("١٢", None, id="digits that are not ASCII"),
        pytest.param("", None, id="empty"),
    ],
)
def test_both_forms_of_retry_after_are_read(value, seconds):
    assert retry_after_seconds({"retry-after": value}, now=NOW) == seconds


def test_without_the_header_nothing_is_asked():
    assert retry_after_seconds({}, now=NOW) is None


@steady
@given(st.text())
def test_no_retry_after_is_too_odd_to_be_read(value):
    seconds = retry_after_seconds({"retry-after": value}, now=NOW)

    assert seconds is None or seconds >= 0


@steady
@given(st.timedeltas(timedelta(days=-9000), timedelta(days=9000)))
def test_an_instant_is_read_to_the_second(away):
    at = (NOW + away).replace(microsecond=0)

    assert retry_after_seconds({"retry-after": format_datetime(at, usegmt=True)}, now=at) == 0
