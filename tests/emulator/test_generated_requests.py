"""Requests that schemathesis generates from the contract: no crash, no undeclared response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator import contract
from tests.emulator.conftest import caller_of

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
document = contract.load()
if document is None:
    pytest.skip(contract.SKIP_REASON, allow_module_level=True)

from hypothesis import HealthCheck, Phase, settings  # noqa: E402  after the skips
from schemathesis.checks import not_a_server_error  # noqa: E402  after the skips
from schemathesis.generation.hypothesis.builder import (  # noqa: E402  after the skips
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.specs.openapi.checks import (  # noqa: E402  after the skips
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

OPERATIONS = [
    (path, method)
    for path, operations in document["paths"].items()
    for method in operations
    if method in ("get", "post", "put", "patch", "delete")
]
SETTINGS = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# No check that invalid data is rejected: the emulator is as lenient as the real server (Jackson).
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    emulator = Emulator(time="instant", token_lifetime=10**8)
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="module")
def session(served) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {caller_of(served).log_in()}"
        yield session


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(document)


def known_ids(emulator: Emulator) -> dict[str, str | int]:
    """Return ids that exist, by the name of the path parameter or field."""
    return {
        "workspaceId": emulator.workspace_id,
        "sourceId": emulator.source_id,
        "destinationId": emulator.destination_id,
        "connectionId": emulator.connection_id,
        "organizationId": "00000000-0000-0000-0000-000000000000",
    }


# Not with ``parametrize`` of schemathesis: that generates requests when tests are collected, which
# every process does.
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_responds_as_declared(schema, served, session, path, method):
    generated = create_test(
        operation=schema[path][method],
        test_func=responds_as_declared,
        config=HypothesisTestConfig(
            project=schema.config, modes=list(HypothesisTestMode), explicit_settings=SETTINGS
        ),
    )

    generated(served=served, session=session)


def responds_as_declared(case: Any, served: Emulator, session: requests.Session) -> None:
    # Random ids are all unknown, so every second request uses existing ones.
    if len(served.requests) % 2:
        ids = known_ids(served)
        for place in (case.path_parameters, case.query, case.body):
            if isinstance(place, dict):
                place.update({name: ids[name] for name in ids.keys() & place.keys()})
    operation = f"{case.method.upper()} {case.operation.path}"

    response = case.call(
        base_url=f"{served.url}/api/public/v1", session=session, allow_redirects=False
    )

    if contract.deviates(operation, response.status_code):
        return
    case.validate_response(response, checks=CHECKS)
