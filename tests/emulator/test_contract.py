"""The oracle itself: it checks every response and detects violations."""

from __future__ import annotations

import json

import pytest

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from tests.emulator import contract
from tests.emulator.conftest import ok

JOB = {
    "jobId": 1,
    "status": "running",
    "jobType": "sync",
    "startTime": "2026-01-01T00:00Z",
    "connectionId": "00000000-0000-4000-8000-000000000000",
}


@pytest.fixture
def oracle() -> contract.Oracle:
    document = contract.load()
    if document is None:
        pytest.skip(contract.SKIP_REASON)
    return contract.Oracle(document)


def violations_of(
    oracle: contract.Oracle,
    body: object,
    status: int = 200,
    content_type: str = "application/json",
) -> list[str]:
    response = HttpResponse(status, {"content-type": content_type}, json.dumps(body).encode())
    oracle.observe(HttpRequest("GET", "http://x"), response, "GET /jobs/{jobId}")
    return oracle.violations


def test_the_variable_takes_precedence_over_the_default_file(tmp_path):
    named, default = tmp_path / "named.yaml", tmp_path / "default.yaml"
    named.touch()
    default.touch()

    assert contract.find_file({"AIRBYTE_OPENAPI": str(named)}, default) == named
    assert contract.find_file({}, default) == default
    assert contract.find_file({"AIRBYTE_OPENAPI": ""}, default) == default


def test_a_missing_file_is_an_error_only_if_the_variable_names_it(tmp_path):
    missing = tmp_path / "missing.yaml"

    with pytest.raises(pytest.UsageError, match=r"AIRBYTE_OPENAPI names .*missing\.yaml"):
        contract.find_file({"AIRBYTE_OPENAPI": str(missing)})
    assert contract.find_file({}, missing) is None


def test_every_response_of_the_public_api_is_checked(caller):
    oracle = contract.shared_oracle()
    if oracle is None:
        pytest.skip(contract.SKIP_REASON)
    before = oracle.checked

    ok(caller.get("/jobs"))
    ok(caller.get("/api/v1/health"))

    # The token and the list; the config API has no contract.
    assert oracle.checked == before + 2


def test_declared_responses_and_known_deviations_pass(oracle):
    assert violations_of(oracle, JOB) == []
    assert violations_of(oracle, {**JOB, "status": "hibernating"}) == []
    assert violations_of(oracle, {}, status=409) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**JOB, "jobId": "1"}, "is not of type 'integer'"),
        ({**JOB, "id": 1}, "'id' was unexpected"),
        ({**JOB, "jobType": "replicate"}, "is not one of"),
        ({"jobId": 1}, "is a required property"),
    ],
)
def test_an_invalid_body_is_a_violation(oracle, body, message):
    assert any(message in violation for violation in violations_of(oracle, body))


def test_an_undeclared_status_or_media_type_is_a_violation(oracle):
    assert violations_of(oracle, JOB, status=418) == ["GET /jobs/{jobId}: undeclared status 418"]
    assert violations_of(oracle, JOB, content_type="text/plain")[1:] == [
        "GET /jobs/{jobId}: text/plain"
    ]


def test_each_deviation_names_existing_operations(oracle):
    document = contract.load()
    assert document is not None
    operations = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    for deviation in contract.DEVIATIONS:
        assert deviation.section.startswith("§")
        assert set(deviation.operations) <= {*operations, contract.ANY}
