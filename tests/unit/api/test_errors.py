"""Each error is one line: what failed, on what, why, and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteBadRequestError,
    AirbyteConfigError,
    AirbyteConflictError,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteJobCancelledError,
    AirbyteJobError,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteRequestTimeoutError,
    AirbyteServerError,
    AirbyteTooFewRowsError,
    AirbyteTransportError,
    HttpRequest,
    HttpResponse,
    Problem,
)
from airflow_provider_airbyte_sme.api.errors import api_error, one_line
from tests.unit.api.malformed import ANY_JSON, reproducible
from tests.unit.api.responses import (
    CONNECTION_ID,
    ERROR_ID,
    hateoas,
    html_page,
    json_response,
    opaque,
    problem,
)

REQUEST = HttpRequest("POST", "https://ab/api/public/v1/jobs", {"Authorization": "Bearer s3cret"})


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (302, AirbyteApiError),
        (400, AirbyteBadRequestError),
        (401, AirbyteAuthenticationError),
        (403, AirbytePermissionError),
        (404, AirbyteNotFoundError),
        (408, AirbyteServerError),
        (409, AirbyteConflictError),
        (418, AirbyteApiError),
        (422, AirbyteBadRequestError),
        (429, AirbyteRateLimitError),
        (500, AirbyteServerError),
        (503, AirbyteServerError),
        (599, AirbyteServerError),
    ],
)
def test_each_status_maps_to_its_error_class(status, error_class):
    error = api_error(REQUEST, opaque(status), retry_after=3.0)

    assert type(error) is error_class
    assert (error.status, error.method, error.url) == (status, "POST", REQUEST.url)
    assert error.retry_after == 3.0


def test_all_errors_derive_from_the_base_class():
    for error_class in (
        AirbyteTransportError,
        AirbyteApiError,
        AirbyteConfigError,
        AirbyteDecodeError,
        AirbyteJobError,
    ):
        assert issubclass(error_class, AirbyteError)
    assert issubclass(AirbyteConfigError, ValueError)
    assert issubclass(AirbyteRequestTimeoutError, AirbyteTransportError)
    for error_class in (
        AirbyteJobFailedError,
        AirbyteJobCancelledError,
        AirbyteTooFewRowsError,
        AirbyteJobTimeoutError,
    ):
        assert issubclass(error_class, AirbyteJobError)


WRONG_HOST_ADVICE = AirbyteApiError.advice
MESSAGES = {
    "problem with a message": (
        problem(409, "try-again-later", {"message": "A sync is already running."}),
        "409: try-again-later, A sync is already running. Look at the connection in Airbyte.",
    ),
    "problem with a value": (
        problem(400, "value-not-found", {"value": "postgrse"}),
        f"400: value-not-found, postgrse. {AirbyteBadRequestError.advice}",
    ),
    "problem with a resource": (
        problem(404, "resource-not-found", {"resourceType": "STANDARD_SYNC", "resourceId": "18d"}),
        f"404: resource-not-found, STANDARD_SYNC 18d. {AirbyteNotFoundError.advice}",
    ),
    "problem without data": (
        problem(503, "service-unavailable"),
        f"503: service-unavailable, The detail of service-unavailable. {AirbyteServerError.advice}",
    ),
    "problem with a title only": (
        json_response({"title": "state-conflict"}, 409),
        f"409: state-conflict. {AirbyteConflictError.advice}",
    ),
    "error id only": (
        opaque(500),
        f"500: errorId {ERROR_ID}, see the log of airbyte-server. {AirbyteServerError.advice}",
    ),
    "error of the config API": (
        json_response({"message": "Could not get the user.", "errorId": ERROR_ID}, 401),
        f"401: Could not get the user (errorId {ERROR_ID}, see the log of airbyte-server). "
        f"{AirbyteAuthenticationError.advice}",
    ),
    "errors of the framework": (
        hateoas(400, "Bad Request", "Invalid client id", "Invalid token"),
        f"400: Invalid client id; Invalid token. {AirbyteBadRequestError.advice}",
    ),
    "message of the framework": (
        json_response({"message": "You are being rate limited."}, 429),
        f"429: You are being rate limited. {AirbyteRateLimitError.advice}",
    ),
    "HTML page with a 4xx": (
        html_page(403),
        f"403: an HTML page instead of an API response. {WRONG_HOST_ADVICE}",
    ),
    "HTML page with a 5xx": (
        html_page(503),
        f"503: an HTML page instead of an API response. {AirbyteServerError.advice}",
    ),
    "plain text": (
        HttpResponse(404, {"content-type": "application/json"}, b"Object not found."),
        f"404: Object not found. {WRONG_HOST_ADVICE}",
    ),
    "empty body": (HttpResponse(404), f"404. {WRONG_HOST_ADVICE}"),
    "invalid UTF-8": (
        HttpResponse(404, {}, b"\xff\xfe{"),
        f"404: \ufffd\ufffd{{. {WRONG_HOST_ADVICE}",
    ),
    "JSON array": (
        json_response(["no", "route"], 404),
        f"404: ['no', 'route']. {WRONG_HOST_ADVICE}",
    ),
    "JSON of another server": (
        json_response({"error": "no route"}, 404),
        f"404: {{'error': 'no route'}}. {WRONG_HOST_ADVICE}",
    ),
    "redirect": (
        HttpResponse(302, {"location": "https://sso.example.com/login?state=s3cret#s3cret"}),
        f"302: a redirect to 'https://sso.example.com/login'. {WRONG_HOST_ADVICE}",
    ),
    "redirect without a location": (
        HttpResponse(301),
        f"301: a redirect without a target. {WRONG_HOST_ADVICE}",
    ),
    "redirect to an invalid URL": (
        HttpResponse(301, {"location": "https://["}),
        f"301: a redirect without a target. {WRONG_HOST_ADVICE}",
    ),
}


@pytest.mark.parametrize(("response", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_names_the_request_the_reason_and_what_to_do(response, expected):
    message = str(api_error(REQUEST, response))

    assert message == f"Airbyte responded to POST https://ab/api/public/v1/jobs with {expected}"
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("response", "from_airbyte"),
    [
        (problem(409, "state-conflict"), True),
        (opaque(500), True),
        (hateoas(401, "Unauthorized"), True),
        (html_page(503), False),
        (HttpResponse(302), False),
        (HttpResponse(502, {}, b"Bad gateway"), False),
        (json_response({"error": "no route"}, 404), False),
    ],
)
def test_a_response_of_a_proxy_is_distinguished_from_one_of_airbyte(response, from_airbyte):
    assert Problem.from_response(response).from_airbyte is from_airbyte


def test_a_problem_keeps_its_data():
    data = {"resourceType": "STANDARD_SYNC", "resourceId": CONNECTION_ID}

    assert Problem.from_response(problem(404, "resource-not-found", data)).data == data


@pytest.mark.parametrize(
    ("title", "sync_is_running", "state_conflict"),
    [
        ("try-again-later", True, False),
        ("state-conflict", False, True),
        ("error:connection/locked", False, False),
    ],
)
def test_conflicts_are_distinguished_by_their_title(title, sync_is_running, state_conflict):
    error = api_error(REQUEST, problem(409, title))

    assert isinstance(error, AirbyteConflictError)
    assert error.sync_is_running is sync_is_running
    assert error.state_conflict is state_conflict


@reproducible
@given(
    status=st.integers(300, 599),
    body=st.binary() | ANY_JSON.map(lambda payload: json_response(payload).body),
    content_type=st.sampled_from(["application/json", "text/html", "", "text/plain"]),
)
def test_any_response_gives_a_one_line_message(status, body, content_type):
    error = api_error(REQUEST, HttpResponse(status, {"content-type": content_type}, body))

    assert len(str(error).splitlines()) == 1


@reproducible
@given(
    fields=st.dictionaries(
        st.sampled_from(["title", "errorId", "message", "data", "detail", "_embedded"]), ANY_JSON
    ),
    errors=ANY_JSON,
)
def test_a_malformed_airbyte_body_gives_a_one_line_message(fields, errors):
    for payload in (fields, {"message": "Bad Request", "_embedded": {"errors": errors}}):
        error = api_error(REQUEST, json_response(payload, 400))

        assert len(str(error).splitlines()) == 1


def test_a_long_reason_is_truncated():
    line = one_line("two\n\twords " * 100)

    assert line.startswith("two words two words")
    assert line.endswith("…")
    assert len(line) == 400
    assert one_line("x" * 400) == "x" * 400
