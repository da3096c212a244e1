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
    AirbyteLicenseError,
    AirbyteNotFoundError,
    AirbyteNotOfferedError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteRequestTimeoutError,
    AirbyteServerError,
    AirbyteTooFewRowsError,
    AirbyteTransportError,
    AirbyteWriteFailedError,
    HttpRequest,
    HttpResponse,
    Problem,
    RetryPolicy,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.errors import api_error, one_line
from airflow_provider_airbyte_sme.api.retry import is_ambiguous, is_permanent
from airflow_provider_airbyte_sme.emulator import Emulator, problems
from airflow_provider_airbyte_sme.emulator.faults import fault_response
from tests.unit.api.doubles import Wire, client_for
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

URL = "https://ab/api/public/v1/jobs"
REQUEST = HttpRequest("POST", URL, {"Authorization": "Bearer s3cret"})


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
REDIRECT_ADVICE = AirbyteApiError.redirect_advice
GATEWAY_ADVICE = AirbyteApiError.gateway_advice
PROBLEM = {"type": "error:connection/locked", "title": "state-conflict"}
MESSAGES = {
    "problem with a message": (
        problem(409, "try-again-later", {"message": "A sync is already running."}),
        "409: try-again-later, A sync is already running. Look at the current state in Airbyte.",
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
    "problem whose fields are of the wrong type": (
        json_response({**PROBLEM, "data": {"message": ["x"]}, "detail": {"a": 1}}, 409),
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
        html_page(404),
        f"404: an HTML page instead of an API response. {WRONG_HOST_ADVICE}",
    ),
    "HTML page with a 5xx": (
        html_page(503),
        f"503: an HTML page instead of an API response. {AirbyteServerError.advice}",
    ),
    "plain text of Airbyte": (
        HttpResponse(404, {"content-type": "application/json"}, b"Object not found."),
        f"404: Object not found. {AirbyteNotFoundError.advice}",
    ),
    "redirect": (
        HttpResponse(302, {"location": "https://sso.example.com/login?state=s3cret#s3cret"}),
        f"302: a redirect to 'https://sso.example.com/login'. {REDIRECT_ADVICE}",
    ),
    "redirect without a location": (
        HttpResponse(301),
        f"301: a redirect without a target. {REDIRECT_ADVICE}",
    ),
    "redirect to an invalid URL": (
        HttpResponse(301, {"location": "https://["}),
        f"301: a redirect without a target. {REDIRECT_ADVICE}",
    ),
}
MESSAGES_OF_GATEWAYS = {
    "problem of another server": (
        json_response({"title": "state-conflict"}, 409),
        f"409: state-conflict. {GATEWAY_ADVICE}",
    ),
    "plain text": (
        HttpResponse(404, {}, b"default backend - 404"),
        f"404: default backend - 404. {GATEWAY_ADVICE}",
    ),
    "empty body": (HttpResponse(404), f"404. {GATEWAY_ADVICE}"),
    "invalid UTF-8": (
        HttpResponse(404, {}, b"\xff\xfe{"),
        f"404: \ufffd\ufffd{{. {GATEWAY_ADVICE}",
    ),
    "control characters and half a surrogate pair": (
        HttpResponse(404, {}, rb'{"message": "no\u0000\u001b \ud800route"}'),
        f"404: no \ufffdroute. {GATEWAY_ADVICE}",
    ),
    "JSON array": (
        json_response(["no", "route"], 404),
        f'404: ["no", "route"]. {GATEWAY_ADVICE}',
    ),
    "JSON of another server": (
        json_response({"error": "no route"}, 404),
        f'404: {{"error": "no route"}}. {GATEWAY_ADVICE}',
    ),
    "JSON that is nested too deeply": (
        HttpResponse(404, {}, b"[" * 100_000),
        f"404: {'[' * 399}…. {GATEWAY_ADVICE}",
    ),
    "JSON with a huge number": (
        HttpResponse(404, {}, b"9" * 5000),
        f"404: {'9' * 399}…. {GATEWAY_ADVICE}",
    ),
    "request for a login at the proxy": (
        HttpResponse(407),
        f"407. {GATEWAY_ADVICE}",
    ),
    "page that asks for a login": (
        html_page(401),
        f"401: an HTML page instead of an API response. {GATEWAY_ADVICE}",
    ),
    "page of a firewall": (
        html_page(403),
        f"403: an HTML page instead of an API response. {GATEWAY_ADVICE}",
    ),
    "gateway without a server": (
        HttpResponse(502, {}, b"Bad gateway"),
        f"502: Bad gateway. {AirbyteServerError.advice}",
    ),
    "gateway under load": (
        json_response({"message": "Limit Exceeded"}, 429),
        f"429: Limit Exceeded. {AirbyteRateLimitError.advice}",
    ),
}


@pytest.mark.parametrize(("response", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_names_the_request_the_reason_and_what_to_do(response, expected):
    message = str(api_error(REQUEST, response))

    assert message == f"Airbyte responded to POST {URL} with {expected}"
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("response", "expected"), MESSAGES_OF_GATEWAYS.values(), ids=MESSAGES_OF_GATEWAYS
)
def test_a_message_says_that_a_gateway_responded(response, expected):
    message = str(api_error(REQUEST, response))

    assert message == f"A gateway or proxy, not Airbyte, responded to POST {URL} with {expected}"


OF_AIRBYTE = {
    "problem": problem(409, "state-conflict"),
    "problem of a group of errors": json_response(PROBLEM, 409),
    "error id": opaque(500),
    "error of the framework": hateoas(401, "Unauthorized"),
    "error of an older framework": json_response(
        {"message": "Unauthorized", "_links": {"self": {"href": "/api/v1/health"}}}, 401
    ),
    "known exception": json_response(
        {"message": "No user.", "exceptionClassName": None, "errorId": ERROR_ID}, 401
    ),
    "exception of a server up to 1.8": json_response(
        {"message": "No user.", "exceptionClassName": "io.airbyte.X"}, 500
    ),
    "shed load": json_response({"message": "You are being rate limited."}, 429),
    "unknown route without sign-in": HttpResponse(
        404, {"content-type": "application/json"}, b"Object not found."
    ),
    "feature that this edition lacks": HttpResponse(501),
}
OF_ANOTHER_SERVER = {
    "HTML page": html_page(503),
    "redirect": HttpResponse(302),
    "plain text": HttpResponse(502, {}, b"Bad gateway"),
    "empty body": HttpResponse(404),
    "text of Airbyte, not as JSON": HttpResponse(404, {}, b"Object not found."),
    "error field": json_response({"error": "no route"}, 404),
    "CDN": json_response({"type": "https://cdn.example.com/530", "title": "Origin"}, 530),
    "mesh": json_response({"type": "about:blank", "status": 404, "title": "Not Found"}, 404),
    "problem without a title": json_response({"type": "error:x", "status": 404}, 404),
    "problem without a type": json_response({"title": "forbidden", "data": {}}, 403),
    "key check": json_response({"message": "No API key found in request"}, 401),
    "AWS": json_response({"message": "Forbidden"}, 403),
    "Kong": json_response({"message": "no Route matched", "request_id": "1"}, 404),
    "Envoy": json_response({"code": 503, "message": "no healthy upstream"}, 503),
    "Okta": json_response({"errorCode": "E0000011", "errorId": "oaeUM77"}, 401),
    "error id that is no text": json_response({"errorId": 5}, 500),
    "other rate limit": json_response({"message": "You are being rate limited.", "code": 0}, 429),
    "links without a message": json_response({"_links": {"self": {}}}, 404),
    "message with other links": json_response({"message": "no", "_links": {"help": {}}}, 404),
    "array": json_response([], 404),
}


@pytest.mark.parametrize("response", OF_AIRBYTE.values(), ids=OF_AIRBYTE)
def test_a_response_of_airbyte_is_recognised(response):
    assert Problem.from_response(response).from_airbyte


@pytest.mark.parametrize("response", OF_ANOTHER_SERVER.values(), ids=OF_ANOTHER_SERVER)
def test_a_response_of_a_proxy_gateway_or_cdn_is_not_one_of_airbyte(response):
    assert not Problem.from_response(response).from_airbyte


V1 = "https://ab/api/public/v1"


def emulated_errors():
    """Yield an error of each kind that the emulator sends, with its id."""
    yield "404 without sign-in", HttpRequest("GET", "https://ab/api/x"), {"auth_mode": "none"}
    yield "401 without token", HttpRequest("GET", URL), {}
    yield "405", HttpRequest("PUT", URL), {}
    yield "501", HttpRequest("POST", f"{V1}/sources/initiateOAuth"), {"auth_mode": "none"}
    yield "400", HttpRequest("POST", URL, body=b"{"), {"auth_mode": "none"}
    yield "400 limit", HttpRequest("GET", f"{URL}?limit=101"), {"auth_mode": "none"}
    yield "404 unknown", HttpRequest("GET", f"{V1}/workspaces/{ERROR_ID}"), {"auth_mode": "none"}


@pytest.mark.parametrize(
    ("request_", "settings"),
    [case[1:] for case in emulated_errors()],
    ids=[case[0] for case in emulated_errors()],
)
def test_the_errors_of_the_emulator_are_recognised(request_, settings):
    async def send():
        return await Emulator(**settings).transport().send(request_)

    response = run_blocking(send())

    assert response.status >= 400
    assert Problem.from_response(response).from_airbyte


@pytest.mark.parametrize(
    "rejection",
    [
        problems.HateoasError(400),
        problems.HateoasError(400, "Failed to convert", argument="jobCreateRequest"),
        problems.OpaqueError(500),
        problems.KnownError(401, "No user."),
        problems.forbidden(),
        problems.not_found("STANDARD_SYNC", CONNECTION_ID),
        problems.bad_request("no"),
        problems.value_not_found("postgrse"),
        problems.unprocessable(None),
        problems.try_again_later("A sync is already running."),
        problems.state_conflict(),
        problems.resource_not_found("no"),
        problems.request_timeout(),
        problems.license_entitlement("SOURCE_CONNECTOR"),
        problems.unexpected("no"),
    ],
    ids=repr,
)
def test_every_kind_of_rejection_of_the_emulator_is_recognised(rejection):
    assert Problem.from_response(rejection.response("/api/public/v1/jobs")).from_airbyte


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 415, 422, 429, 500, 501])
def test_the_default_body_of_an_injected_error_is_recognised(status):
    assert Problem.from_response(fault_response(status, {}, None)).from_airbyte


@pytest.mark.parametrize(
    ("method", "url", "from_airbyte"),
    [
        ("GET", f"{URL}/42", False),
        ("DELETE", f"{URL}/42?x=1", False),
        ("POST", URL, True),
        ("GET", f"{V1}/connections/{CONNECTION_ID}", True),
    ],
)
def test_airbyte_itself_never_says_404_about_one_job(method, url, from_airbyte):
    error = api_error(HttpRequest(method, url), hateoas(404, "Not Found"))

    assert error.problem.from_airbyte is from_airbyte


def test_the_404_of_the_published_contract_would_be_airbytes():
    error = api_error(HttpRequest("GET", f"{URL}/42"), problem(404, "resource-not-found"))

    assert error.problem.from_airbyte


NOT_RUNNING_DATA = {"message": "Job is not currently running"}
NOT_RUNNING = problem(409, "state-conflict", NOT_RUNNING_DATA)


def test_a_409_to_a_read_of_a_job_says_that_its_id_is_unknown():
    error = api_error(HttpRequest("GET", f"{URL}/4711"), NOT_RUNNING)

    assert type(error) is AirbyteNotFoundError
    assert str(error) == (
        f"Airbyte responded to GET {URL}/4711 with 409: state-conflict, this Airbyte has no job "
        f"4711. {AirbyteNotFoundError.advice}"
    )
    assert is_permanent(error)


@pytest.mark.parametrize(
    ("method", "url", "response"),
    [
        pytest.param("DELETE", f"{URL}/42", NOT_RUNNING, id="DELETE: nothing is running"),
        pytest.param("POST", URL, NOT_RUNNING, id="POST"),
        pytest.param("GET", f"{URL}/42", problem(409, "state-conflict"), id="another reason"),
        pytest.param(
            "GET",
            f"{URL}/42",
            json_response({"title": "state-conflict", "data": NOT_RUNNING_DATA}, 409),
            id="said by a gateway",
        ),
    ],
)
def test_another_409_says_nothing_about_the_id(method, url, response):
    error = api_error(HttpRequest(method, url), response)

    assert type(error) is AirbyteConflictError
    assert not is_permanent(error)


@pytest.mark.parametrize("auth_mode", ["oidc", "simple"])
def test_the_emulators_answer_about_an_unknown_job_is_permanent(auth_mode):
    emulator = Emulator(time="manual", auth_mode=auth_mode, instance_admin=True)

    with pytest.raises(AirbyteNotFoundError, match="this Airbyte has no job 4711") as failure:
        run_blocking(client_for(emulator, Wire(emulator)).jobs.get(4711))

    assert is_permanent(failure.value)


@pytest.mark.parametrize("depth", [100, 400, 800, 900, 950, 980, 990, 100_000])
def test_details_that_are_nested_deeply_give_a_message(depth):
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    body = b'{"type": "error:x", "title": "x", "data": {"message": "why", "more": %b}}' % nested

    assert "409: " in str(api_error(REQUEST, HttpResponse(409, {}, body)))


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
    location=st.text(),
)
def test_any_response_gives_a_one_line_message(status, body, content_type, location):
    headers = {"content-type": content_type, "location": location}

    error = api_error(REQUEST, HttpResponse(status, headers, body))

    assert len(str(error).splitlines()) == 1
    assert str(error).encode()  # no half of a surrogate pair, which no log or database takes


@reproducible
@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["title", "type", "errorId", "message", "data", "detail", "_embedded", "_links"]
        ),
        ANY_JSON,
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


LICENSE = {
    "status": 403,
    "type": "error:license/entitlement",
    "title": "License Entitlement Error",
    "detail": "The license for this organization is not entitled to use the requested feature.",
}


def test_a_licence_error_names_what_is_missing():
    data = {"entitlement": "feature-self-managed-regions"}

    error = api_error(HttpRequest("GET", URL), json_response({**LICENSE, "data": data}, 403))

    assert isinstance(error, AirbyteLicenseError)
    assert error.summary.endswith(
        "403: License Entitlement Error, the licence lacks the entitlement "
        "feature-self-managed-regions"
    )
    assert "role" in error.advice
    assert is_permanent(error)


def test_a_licence_error_without_details_has_airbytes_text():
    error = api_error(HttpRequest("GET", URL), json_response({**LICENSE, "data": None}, 403))

    assert isinstance(error, AirbyteLicenseError)
    assert "is not entitled to use the requested feature" in str(error)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_write_that_airbyte_says_why_it_failed_is_not_called_transient(method):
    response = problem(500, "unexpected-problem", {"message": "Cannot set key 'client_id'."})

    error = api_error(HttpRequest(method, URL), response)

    assert isinstance(error, AirbyteWriteFailedError)
    assert "Cannot set key 'client_id'" in str(error)
    assert "transient" not in str(error)
    assert is_ambiguous(error)
    policy = RetryPolicy()
    assert policy.next_delay(error, replayable=False, attempt=1, elapsed=0, jitter=0) is None


@pytest.mark.parametrize(
    ("method", "data"), [("GET", {"message": "no"}), ("POST", None), ("DELETE", {"message": "no"})]
)
def test_any_other_500_is_called_transient(method, data):
    error = api_error(HttpRequest(method, URL), problem(500, "unexpected-problem", data))

    assert type(error) is AirbyteServerError
    assert "usually transient" in str(error)


def test_what_this_edition_lacks_is_not_called_transient():
    error = api_error(HttpRequest("POST", URL), HttpResponse(501))

    assert isinstance(error, AirbyteNotOfferedError)
    assert "transient" not in str(error)
    assert is_permanent(error)
