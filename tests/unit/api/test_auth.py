"""How long a token lasts, decided without a network."""

import pytest

from airflow_provider_airbyte_sme.api import AirbyteDecodeError
from airflow_provider_airbyte_sme.api.auth import DEFAULT_LIFETIME, Token, token_lifetime
from tests.unit.api.answers import base64url, jwt

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("claims", "expires_in", "lifetime"),
    [
        pytest.param({"exp": NOW + 900}, 60, 900, id="what the token says counts first"),
        pytest.param(
            {"iat": NOW - 3600, "exp": NOW - 2700}, None, 900, id="a server clock an hour behind"
        ),
        pytest.param(
            {"iat": NOW + 3600, "exp": NOW + 4500}, None, 900, id="a server clock an hour ahead"
        ),
        pytest.param({"exp": NOW - 5}, 600, 600, id="over already, for our clock"),
        pytest.param({"exp": NOW - 5}, None, DEFAULT_LIFETIME, id="over already, nothing else"),
        pytest.param({"sub": "someone"}, 600, 600, id="no end in the token"),
        pytest.param({"exp": "tomorrow"}, 600, 600, id="an end that is no number"),
        pytest.param({"exp": True}, 600, 600, id="an end that is a truth value"),
        pytest.param({"exp": 10**400}, 600, 600, id="an end beyond all numbers"),
        pytest.param({"exp": float("nan")}, 600, 600, id="an end that is not a number"),
        pytest.param({}, "900", DEFAULT_LIFETIME, id="expires_in that is no number"),
        pytest.param({}, -1, DEFAULT_LIFETIME, id="expires_in in the past"),
        pytest.param({}, None, DEFAULT_LIFETIME, id="nothing at all"),
    ],
)
def test_a_token_lasts_as_long_as_the_best_source_says(claims, expires_in, lifetime):
    assert token_lifetime(jwt(**claims), expires_in, wall_clock=NOW) == lifetime


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("opaque", id="no JWT"),
        pytest.param("a.b.c", id="no base64"),
        pytest.param(f"e30.{base64url(b'{')}.c", id="no JSON"),
        pytest.param(f"e30.{base64url(bytes([0xFF]))}.c", id="no UTF-8"),
        pytest.param(f"e30.{base64url(b'[1]')}.c", id="no claims"),
    ],
)
def test_a_token_that_cannot_be_read_lasts_as_long_as_the_answer_says(token):
    assert token_lifetime(token, 600, wall_clock=NOW) == 600


@pytest.mark.parametrize(
    ("lifetime", "renewed_after"),
    [
        pytest.param(900, 840, id="a minute before its end"),
        pytest.param(100, 80, id="in the last fifth of a short life"),
    ],
)
def test_a_token_is_renewed_before_its_end_counted_from_before_the_request(lifetime, renewed_after):
    answer = {"access_token": "opaque", "expires_in": lifetime}

    token = Token.from_json(answer, requested_at=1000.0, wall_clock=NOW)

    assert token.is_fresh(1000.0 + renewed_after - 0.001)
    assert not token.is_fresh(1000.0 + renewed_after)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"access_token": None},
        {"access_token": 5},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "line\nfeed"},
        {"access_token": "schlüssel"},
    ],
)
def test_an_answer_without_a_usable_token_is_refused_by_its_field(answer):
    with pytest.raises(AirbyteDecodeError, match="'access_token'"):
        Token.from_json(answer, requested_at=0.0, wall_clock=NOW)


def test_a_token_does_not_show_itself():
    token = Token.from_json({"access_token": "s3cret"}, requested_at=0.0, wall_clock=NOW)

    assert token.value == "s3cret"
    assert "s3cret" not in repr(token)
