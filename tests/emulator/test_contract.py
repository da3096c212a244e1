"""The oracle itself: it looks at every answer, and it would notice."""

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
        pytest.skip(contract.MISSING)
    return contract.Oracle(document)


def told(
    oracle: contract.Oracle,
    body: object,
    status: int = 200,
    content_type: str = "application/json",
) -> list[str]:
    answer = HttpResponse(status, {"content-type": content_type}, json.dumps(body).encode())
    oracle.observe(HttpRequest("GET", "http://x"), answer, "GET /jobs/{jobId}")
    return oracle.violations


def test_it_looks_at_every_answer_of_the_public_api(caller):
    judge = contract.oracle()
    if judge is None:
        pytest.skip(contract.MISSING)
    before = judge.checked

    ok(caller.get("/jobs"))
    ok(caller.get("/api/v1/health"))

    assert judge.checked == before + 2  # the token and the list; the internal API has no contract


def test_it_lets_pass_what_is_declared_and_what_is_known(oracle):
    assert told(oracle, JOB) == []
    assert told(oracle, {**JOB, "status": "hibernating"}) == []
    assert told(oracle, {}, status=409) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({**JOB, "jobId": "1"}, "is not of type 'integer'"),
        ({**JOB, "id": 1}, "'id' was unexpected"),
        ({**JOB, "jobType": "replicate"}, "is not one of"),
        ({"jobId": 1}, "is a required property"),
    ],
)
def test_it_notices_a_wrong_body(oracle, body, complaint):
    assert any(complaint in violation for violation in told(oracle, body))


def test_it_notices_an_undeclared_status_and_another_media_type(oracle):
    assert told(oracle, JOB, status=418) == ["GET /jobs/{jobId}: undeclared status 418"]
    assert told(oracle, JOB, content_type="text/plain")[1:] == ["GET /jobs/{jobId}: text/plain"]


def test_each_exception_is_for_an_operation_that_there_is(oracle):
    document = contract.load()
    assert document is not None
    operations = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    for deviation in contract.DEVIATIONS:
        assert deviation.fact.startswith("§")
        assert set(deviation.operations) <= {*operations, contract.ANY}
