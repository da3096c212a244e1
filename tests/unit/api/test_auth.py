"""The lifetime of a token, and what a failed token exchange means: docs/airbyte-api.md §2."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteServerError,
    AirbyteSettings,
    AirbyteTransportError,
    AirbyteUrls,
    HttpRequest,
    HttpResponse,
)
from airflow_provider_airbyte_sme.api.auth import (
    DEFAULT_LIFETIME,
    Token,
    as_credentials_error,
    is_missing_endpoint,
    token_lifetime,
    token_request,
)
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.retry import (
    is_ambiguous,
    is_outage,
    is_permanent,
    is_transient,
    was_not_executed,
)
from tests.emulator import contract
from tests.unit.api.responses import (
    ERROR_ID,
    base64url,
    hateoas,
    html_page,
    json_response,
    jwt,
    opaque,
    problem,
)

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("claims", "expires_in", "lifetime"),
    [
        pytest.param({"exp": NOW + 900}, 60, 900, id="exp comes before expires_in"),
        pytest.param(
            {"iat": NOW - 3600, "exp": NOW - 2700}, None, 900, id="server clock an hour behind"
        ),
        pytest.param(
            {"iat": NOW + 3600, "exp": NOW + 4500}, None, 900, id="server clock an hour ahead"
        ),
        pytest.param({"exp": NOW - 5}, 600, 600, id="exp in the past"),
        pytest.param(
            {"exp": NOW - 5}, None, DEFAULT_LIFETIME, id="exp in the past and no expires_in"
        ),
        pytest.param({"sub": "someone"}, 600, 600, id="no exp"),
        pytest.param({"exp": "tomorrow"}, 600, 600, id="exp is a string"),
        pytest.param({"exp": True}, 600, 600, id="exp is a boolean"),
        pytest.param({"exp": 10**400}, 600, 600, id="exp is too large for a float"),
        pytest.param({"exp": float("inf")}, 600, 600, id="exp is infinite"),
        pytest.param({"exp": float("nan")}, 600, 600, id="exp is NaN"),
        pytest.param({}, "900", DEFAULT_LIFETIME, id="expires_in is a string"),
        pytest.param({}, -1, DEFAULT_LIFETIME, id="expires_in is negative"),
        pytest.param({}, None, DEFAULT_LIFETIME, id="neither exp nor expires_in"),
    ],
)
def test_the_lifetime_comes_from_exp_then_expires_in_then_the_default(claims, expires_in, lifetime):
    assert token_lifetime(jwt(**claims), expires_in, wall_clock=NOW) == lifetime


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("opaque", id="not a JWT"),
        pytest.param("a.b.c", id="invalid base64"),
        pytest.param(f"e30.{base64url(b'{')}.c", id="invalid JSON"),
        pytest.param(f"e30.{base64url(bytes([0xFF]))}.c", id="invalid UTF-8"),
        pytest.param(f"e30.{base64url(b'[1]')}.c", id="claims are not an object"),
        pytest.param(f"e30.{base64url(b'[' * 100_000)}.c", id="claims are nested too deeply"),
    ],
)
def test_the_lifetime_of_an_unreadable_token_comes_from_expires_in(token):
    assert token_lifetime(token, 600, wall_clock=NOW) == 600


@pytest.mark.parametrize(
    ("lifetime", "renewed_after"),
    [
        pytest.param(900, 840, id="a minute before it expires"),
        pytest.param(100, 80, id="in the last fifth of a short lifetime"),
    ],
)
def test_a_token_is_renewed_before_it_expires_counted_from_its_request(lifetime, renewed_after):
    payload = {"access_token": "opaque", "expires_in": lifetime}

    token = Token.from_json(payload, requested_at=1000.0, wall_clock=NOW)

    assert token.is_fresh(1000.0 + renewed_after - 0.001)
    assert not token.is_fresh(1000.0 + renewed_after)


@pytest.mark.parametrize(
    "payload",
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
def test_a_missing_or_invalid_token_raises_a_decode_error(payload):
    with pytest.raises(AirbyteDecodeError, match="'access_token'"):
        Token.from_json(payload, requested_at=0.0, wall_clock=NOW)


def test_the_repr_of_a_token_does_not_contain_its_value():
    token = Token.from_json({"access_token": "s3cret"}, requested_at=0.0, wall_clock=NOW)

    assert token.value == "s3cret"
    assert "s3cret" not in repr(token)


def exchange_error(response: HttpResponse) -> AirbyteApiError:
    return api_error(HttpRequest("POST", "https://ab/applications/token"), response)


UNREACHABLE = AirbyteTransportError("refused", request_sent=False)

# What a gateway in front of Airbyte says about the caller, not about the endpoint.
NO_API_KEY = exchange_error(json_response({"message": "No API key found in request"}, 401))
FORBIDDEN_BY_GATEWAY = exchange_error(json_response({"message": "Forbidden"}, 403))
TEXT_OF_GATEWAY = exchange_error(HttpResponse(401, {}, b"Unauthorized"))

CREDENTIALS = {"client_id": "id", "client_secret": "s3cret"}


def settings_for(url):
    return AirbyteSettings(AirbyteUrls.parse(url), client_id="id", client_secret="s3cret")


@pytest.mark.parametrize("url", ["https://ab", "https://ab/sub-path", "https://api.airbyte.com/v1"])
def test_a_token_is_requested_with_the_grant_type_of_the_public_api(url):
    settings = settings_for(url)

    public, *others = (token_request(settings, url) for url in settings.urls.tokens)

    assert public == {**CREDENTIALS, "grant_type": "client_credentials"}
    assert all(request == CREDENTIALS for request in others)


def test_the_token_request_fulfils_the_published_contract():
    document = contract.load()
    if document is None:
        pytest.skip(contract.SKIP_REASON)
    from jsonschema import Draft202012Validator

    settings = settings_for("https://ab")
    schema = document["components"]["schemas"]["ApplicationTokenRequestWithGrant"]

    Draft202012Validator(schema).validate(token_request(settings, settings.urls.tokens[0]))


@pytest.mark.parametrize(
    ("error", "is_missing"),
    [
        pytest.param(exchange_error(hateoas(404, "Not Found")), True, id="404"),
        pytest.param(exchange_error(hateoas(405, "Method Not Allowed")), True, id="405"),
        pytest.param(exchange_error(hateoas(415, "Unsupported Media Type")), True, id="415"),
        pytest.param(exchange_error(hateoas(401, "Unauthorized")), True, id="401 of the framework"),
        pytest.param(exchange_error(html_page(403)), True, id="403 with an HTML page"),
        pytest.param(exchange_error(HttpResponse(302)), True, id="302"),
        pytest.param(AirbyteDecodeError("page", is_html=True), True, id="200 with an HTML page"),
        pytest.param(exchange_error(opaque(401)), False, id="401 for wrong credentials"),
        pytest.param(
            exchange_error(hateoas(400, "Bad Request", "Invalid client id or token")),
            False,
            id="400 for wrong credentials",
        ),
        pytest.param(exchange_error(hateoas(403, "Forbidden")), False, id="403"),
        pytest.param(
            exchange_error(json_response({"message": "no Route matched"}, 404)),
            True,
            id="404 of a gateway",
        ),
        pytest.param(NO_API_KEY, False, id="401 of a gateway"),
        pytest.param(TEXT_OF_GATEWAY, False, id="401 of a gateway in plain text"),
        pytest.param(FORBIDDEN_BY_GATEWAY, False, id="403 of a gateway"),
        pytest.param(exchange_error(hateoas(429, "Unauthorized")), False, id="429"),
        pytest.param(exchange_error(opaque(500)), False, id="500"),
        pytest.param(exchange_error(html_page(500)), False, id="500 with an HTML page"),
        pytest.param(exchange_error(html_page(503)), False, id="503 with an HTML page"),
        pytest.param(AirbyteDecodeError("truncated"), False, id="200 with invalid JSON"),
        pytest.param(UNREACHABLE, False, id="no response"),
    ],
)
def test_a_missing_token_endpoint_is_recognised(error, is_missing):
    assert is_missing_endpoint(error) is is_missing


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param(
            opaque(401),
            f"errorId {ERROR_ID}, see the log of airbyte-server",
            id="401 of Keycloak",
        ),
        pytest.param(
            hateoas(400, "Bad Request", "Invalid client id or token"),
            "Invalid client id or token",
            id="400 of simple sign-in",
        ),
        pytest.param(
            problem(422, "unprocessable-entity", {"message": "No client id."}),
            "No client id.",
            id="422",
        ),
        pytest.param(
            json_response({"message": "Bad id.", "exceptionClassName": "java.X"}, 401),
            "Bad id.",
            id="401 of a server up to 1.8",
        ),
    ],
)
def test_rejected_credentials_raise_a_credentials_error_with_the_reason(response, reason):
    error = as_credentials_error(exchange_error(response))

    assert type(error) is AirbyteCredentialsError
    assert (error.status, error.method) == (response.status, "POST")
    assert error.url == "https://ab/applications/token"
    assert error.problem.text == reason
    assert str(error).endswith(AirbyteCredentialsError.advice)


def test_a_500_of_the_token_endpoint_may_mean_wrong_credentials():
    error = as_credentials_error(exchange_error(opaque(500)))

    assert type(error) is AirbyteServerError
    assert str(error) == (
        f"Airbyte responded to POST https://ab/applications/token with 500: the server failed, "
        f"or the credentials are wrong (errorId {ERROR_ID}, see the log of airbyte-server): check "
        f"Login (Client ID) and Password (Client secret). {AirbyteServerError.advice}"
    )


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(exchange_error(html_page(503)), id="503"),
        pytest.param(exchange_error(hateoas(403, "Forbidden")), id="403"),
        pytest.param(exchange_error(hateoas(429, "Busy")), id="429"),
        pytest.param(exchange_error(html_page(500)), id="500 of an ingress"),
        pytest.param(NO_API_KEY, id="401 of a gateway"),
        pytest.param(TEXT_OF_GATEWAY, id="401 of a gateway in plain text"),
        pytest.param(FORBIDDEN_BY_GATEWAY, id="403 of a gateway"),
        pytest.param(AirbyteDecodeError("truncated"), id="invalid JSON"),
        pytest.param(UNREACHABLE, id="no response"),
    ],
)
def test_an_error_that_says_nothing_about_credentials_is_returned_unchanged(error):
    assert as_credentials_error(error) is error


@pytest.mark.parametrize(
    "error", [NO_API_KEY, TEXT_OF_GATEWAY, FORBIDDEN_BY_GATEWAY], ids=["401", "text", "403"]
)
def test_a_gateway_that_rejects_the_exchange_is_named_and_outlasted(error):
    assert str(error).startswith("A gateway or proxy, not Airbyte, responded to POST https://ab/")
    assert "headers of the Airflow connection" in str(error)
    assert is_transient(error)
    assert is_outage(error)
    assert not is_permanent(error)


def test_a_401_of_a_gateway_was_not_executed_but_its_403_may_hide_any_response():
    assert was_not_executed(NO_API_KEY)
    assert not is_ambiguous(NO_API_KEY)
    assert is_ambiguous(FORBIDDEN_BY_GATEWAY)


def test_a_500_that_may_mean_wrong_credentials_keeps_its_retry_after():
    request = HttpRequest("POST", "https://ab/applications/token")

    error = as_credentials_error(api_error(request, opaque(500), retry_after=7.0))

    assert isinstance(error, AirbyteServerError)
    assert error.retry_after == 7.0
