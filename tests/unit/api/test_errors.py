"""One line per error: what, on what, why, and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteAuthenticationError,
    AirbyteBadRequestError,
    AirbyteConfigError,
    AirbyteConflictError,
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
from tests.unit.api.answers import (
    CONNECTION_ID,
    ERROR_ID,
    hateoas,
    json_answer,
    opaque,
    problem,
    web_page,
)
from tests.unit.api.oddities import ANY_JSON, steady

REQUEST = HttpRequest("POST", "https://ab/api/public/v1/jobs", {"Authorization": "Bearer s3cret"})


@pytest.mark.parametrize(
    ("status", "kind"),
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
def test_each_status_has_its_error(status, kind):
    error = api_error(REQUEST, opaque(status), retry_after=3.0)

    assert type(error) is kind
    assert (error.status, error.method, error.url) == (status, "POST", REQUEST.url)
    assert error.retry_after == 3.0


def test_whoever_handles_the_base_class_handles_all():
    for kind in (AirbyteTransportError, AirbyteApiError, AirbyteConfigError, AirbyteJobError):
        assert issubclass(kind, AirbyteError)
    assert issubclass(AirbyteConfigError, ValueError)
    assert issubclass(AirbyteRequestTimeoutError, AirbyteTransportError)
    for kind in (
        AirbyteJobFailedError,
        AirbyteJobCancelledError,
        AirbyteTooFewRowsError,
        AirbyteJobTimeoutError,
    ):
        assert issubclass(kind, AirbyteJobError)


NOT_AIRBYTE = AirbyteApiError.advice
REASONS = {
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
        "503: service-unavailable, The detail of service-unavailable. " + AirbyteServerError.advice,
    ),
    "bare error id": (
        opaque(500),
        f"500: errorId {ERROR_ID}, explained in the log of airbyte-server. "
        + AirbyteServerError.advice,
    ),
    "exception of the config API": (
        json_answer({"message": "Could not get the user.", "errorId": ERROR_ID}, 401),
        f"401: Could not get the user. (errorId {ERROR_ID}, explained in the log of "
        f"airbyte-server). {AirbyteAuthenticationError.advice}",
    ),
    "the framework's reasons": (
        hateoas(400, "Bad Request", "Invalid client id", "Invalid token"),
        f"400: Invalid client id; Invalid token. {AirbyteBadRequestError.advice}",
    ),
    "the framework's message": (
        json_answer({"message": "You are being rate limited."}, 429),
        f"429: You are being rate limited. {AirbyteRateLimitError.advice}",
    ),
    "web page of a proxy": (
        web_page(403),
        f"403: a web page instead of an API answer. {NOT_AIRBYTE}",
    ),
    "web page of an ingress in trouble": (
        web_page(503),
        f"503: a web page instead of an API answer. {AirbyteServerError.advice}",
    ),
    "bare text": (
        HttpResponse(404, {"content-type": "application/json"}, b"Object not found."),
        f"404: Object not found. {NOT_AIRBYTE}",
    ),
    "no text": (HttpResponse(404), f"404: . {NOT_AIRBYTE}"),
    "bytes of no text": (
        HttpResponse(404, {}, b"\xff\xfe{"),
        f"404: \ufffd\ufffd{{. {NOT_AIRBYTE}",
    ),
    "JSON of another kind": (
        json_answer(["no", "route"], 404),
        f"404: ['no', 'route']. {NOT_AIRBYTE}",
    ),
    "JSON of somebody else": (
        json_answer({"error": "no route"}, 404),
        f"404: {{'error': 'no route'}}. {NOT_AIRBYTE}",
    ),
    "redirect": (
        HttpResponse(302, {"location": "https://sso.example.com/login?state=s3cret#s3cret"}),
        f"302: a redirect to 'https://sso.example.com/login'. {NOT_AIRBYTE}",
    ),
    "redirect to nowhere": (HttpResponse(301), f"301: a redirect to ''. {NOT_AIRBYTE}"),
    "redirect to what is no URL": (
        HttpResponse(301, {"location": "https://["}),
        f"301: a redirect to ''. {NOT_AIRBYTE}",
    ),
}


@pytest.mark.parametrize(("response", "said"), REASONS.values(), ids=REASONS)
def test_a_message_tells_what_was_asked_what_came_back_and_what_to_do(response, said):
    message = str(api_error(REQUEST, response))

    assert message == f"Airbyte answered POST https://ab/api/public/v1/jobs with {said}"
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("response", "from_airbyte"),
    [
        (problem(409, "state-conflict"), True),
        (opaque(500), True),
        (hateoas(401, "Unauthorized"), True),
        (web_page(503), False),
        (HttpResponse(302), False),
        (HttpResponse(502, {}, b"Bad gateway"), False),
        (json_answer({"error": "no route"}, 404), False),
    ],
)
def test_what_a_proxy_wrote_is_told_from_what_airbyte_wrote(response, from_airbyte):
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
def test_conflicts_are_told_apart_by_their_title(title, sync_is_running, state_conflict):
    error = api_error(REQUEST, problem(409, title))

    assert isinstance(error, AirbyteConflictError)
    assert error.sync_is_running is sync_is_running
    assert error.state_conflict is state_conflict


@steady
@given(
    status=st.integers(300, 599),
    body=st.binary() | ANY_JSON.map(lambda payload: json_answer(payload).body),
    content_type=st.sampled_from(["application/json", "text/html", "", "text/plain"]),
)
def test_no_answer_is_too_odd_for_one_line(status, body, content_type):
    error = api_error(REQUEST, HttpResponse(status, {"content-type": content_type}, body))

    assert len(str(error).splitlines()) == 1


@steady
@given(
    fields=st.dictionaries(
        st.sampled_from(["title", "errorId", "message", "data", "detail", "_embedded"]), ANY_JSON
    ),
    errors=ANY_JSON,
)
def test_no_body_that_looks_like_airbytes_is_too_odd_for_one_line(fields, errors):
    for payload in (fields, {"message": "Bad Request", "_embedded": {"errors": errors}}):
        error = api_error(REQUEST, json_answer(payload, 400))

        assert len(str(error).splitlines()) == 1


def test_a_long_reason_is_cut():
    line = one_line("two\n\twords " * 100)

    assert line.startswith("two words two words")
    assert line.endswith("…")
    assert len(line) == 400
    assert one_line("x" * 400) == "x" * 400
