"""
The published OpenAPI contract of Airbyte's public API, as an oracle for the emulator's responses.

The contract is not part of this repository: the environment variable ``AIRBYTE_OPENAPI`` names a
copy of it. The real server deviates from the contract; ``DEVIATIONS`` lists where.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator import Emulator

VARIABLE = "AIRBYTE_OPENAPI"
DEFAULT_FILE = (
    Path(__file__).resolve().parents[3] / "shared" / "openapi" / "airbyte-public-api.yaml"
)
SKIP_REASON = (
    f"no OpenAPI contract: set {VARIABLE} to a copy of airbyte-platform's "
    "airbyte-api/server-api/src/main/openapi/api.yaml (CONTRIBUTING.md)"
)

ANY = "*"


def find_file(environ: Mapping[str, str], default: Path = DEFAULT_FILE) -> Path | None:
    """
    Find the contract's file.

    :return: ``None``: the variable is not set (or empty) and there is no file at *default*.
    :raises pytest.UsageError: The variable names a file that does not exist.
    """
    if path := environ.get(VARIABLE):
        if not Path(path).is_file():
            raise pytest.UsageError(f"{VARIABLE} names a file that does not exist: {path}")
        return Path(path)
    return default if default.is_file() else None


# Read when the tests are collected, so that a wrong path is one error and not one in each test.
CONTRACT_FILE = find_file(os.environ)


@dataclass(frozen=True)
class Deviation:
    """
    A status that the real server returns and the contract does not declare.

    :param operations: Such as ``POST /jobs``; ``*`` for all.
    :param section: Section of docs/airbyte-api.md.
    """

    status: int
    operations: tuple[str, ...]
    section: str
    why: str


_GET_PATCH_DELETE = ("GET", "PATCH", "DELETE")
DEVIATIONS = (
    Deviation(400, (ANY,), "§6.2", "invalid parameters and bodies"),
    Deviation(401, (ANY,), "§2.6", "a missing or invalid token"),
    Deviation(
        403, (ANY,), "§2.7", "declared for most operations, returned by all that check roles"
    ),
    Deviation(405, (ANY,), "§6.2", "returned by the framework"),
    Deviation(413, (ANY,), "§1", "bodies above 10 MB"),
    Deviation(415, (ANY,), "§6.2", "returned by the framework"),
    Deviation(302, ("GET /",), "§1.1", "the root redirects instead of returning a page"),
    Deviation(500, ("POST /applications/token",), "§2.5", "wrong credentials, database mode"),
    Deviation(
        404,
        ("POST /applications/token", "GET /applications"),
        "§2.1",
        "no applications without authentication",
    ),
    Deviation(
        500, ("POST /applications", "DELETE /applications/{applicationId}"), "§5.4", "simple mode"
    ),
    Deviation(404, ("POST /jobs", "GET /jobs"), "§3.2", "unknown id, instance administrator"),
    Deviation(409, ("POST /jobs",), "§3.2", "a sync is running, or the connection is not active"),
    Deviation(422, ("POST /jobs",), "§3.2", "a refresh"),
    Deviation(500, ("POST /jobs",), "§3.2", "invalid UUID, instance administrator"),
    Deviation(409, ("DELETE /jobs/{jobId}", "GET /jobs/{jobId}"), "§3.3, §3.4", "no running job"),
    Deviation(
        422,
        tuple(
            f"{method} /{kind}s{tail}"
            for kind in ("source", "destination")
            for method, tail in (
                ("POST", ""),
                ("PATCH", f"/{{{kind}Id}}"),
                ("PUT", f"/{{{kind}Id}}"),
            )
        ),
        "§4.2",
        "a configuration that violates the connector's spec",
    ),
    Deviation(404, ("POST /sources", "POST /connections", "POST /tags"), "§6.1", "unknown ids"),
    Deviation(409, ("PATCH /connections/{connectionId}",), "§4.3", "a locked connection"),
    Deviation(409, ("PATCH /tags/{tagId}",), "§5.2", "a name that is already used"),
    Deviation(
        500,
        ("POST /connections", "PATCH /connections/{connectionId}"),
        "§4.3",
        "an explicit null",
    ),
    Deviation(500, ("GET /streams",), "§4.3", "the discover fails, as for a deleted source"),
    Deviation(500, ("GET /connector_definitions",), "§5.3", "no workspaceId"),
    Deviation(
        500,
        tuple(
            f"{method} /workspaces/{{workspaceId}}/definitions/declarative_sources{tail}"
            for method, tail in (("POST", ""), ("PUT", "/{definitionId}"))
        ),
        "§5.3",
        "a manifest without a spec",
    ),
    Deviation(
        501,
        (
            "POST /sources/initiateOAuth",
            "PUT /workspaces/{workspaceId}/oauthCredentials",
            "DELETE /workspaces/{workspaceId}/oauthCredentials/{actorType}/{name}",
        ),
        "§5.6",
        "not implemented in self-managed Airbyte",
    ),
    Deviation(
        404,
        (
            "POST /sources/initiateOAuth",
            "PATCH /workspaces/{workspaceId}",
            "PUT /workspaces/{workspaceId}/oauthCredentials",
            "DELETE /workspaces/{workspaceId}/oauthCredentials/{actorType}/{name}",
            "GET /connector_definitions",
            *(
                f"{method} /workspaces/{{workspaceId}}/definitions/{kind}"
                for method in ("GET", "POST")
                for kind in ("sources", "destinations", "declarative_sources")
            ),
        ),
        "§5.1",
        "an unknown workspace, or a deleted one",
    ),
    Deviation(500, ("GET /streams",), "§4.4", "the connector fails"),
    Deviation(
        500,
        ("POST /permissions", *(f"{m} /permissions/{{permissionId}}" for m in _GET_PATCH_DELETE)),
        "§5.4",
        "an unknown id or user, or a redundant role",
    ),
    Deviation(
        409,
        tuple(f"{method} /permissions/{{permissionId}}" for method in ("PATCH", "DELETE")),
        "§5.4",
        "the last organization administrator",
    ),
    Deviation(500, ("PATCH /destinations/{destinationId}",), "§4.2", "keys of the OAuth input"),
    Deviation(
        500,
        (
            "POST /dataplanes",
            *(f"{method} /regions/{{regionId}}" for method in _GET_PATCH_DELETE),
            *(f"{method} /dataplanes/{{dataplaneId}}" for method in _GET_PATCH_DELETE),
        ),
        "§5.5",
        "an unknown region or data plane",
    ),
    Deviation(409, ("POST /regions", "POST /dataplanes"), "§5.5", "a name that is already used"),
    Deviation(404, ("POST /permissions",), "§6.1", "unknown id, instance administrator"),
    Deviation(201, ("POST /groups",), "§9.4", "declared as 200"),
)
# Lists that the server does not wrap in ``data``: docs/airbyte-api.md §5.5.
BARE_ARRAYS = ("/regions", "/dataplanes")
# docs/airbyte-api.md §9.4: the contract's enumerations lack two editor roles of 2026-08.
NEWER_PERMISSION_TYPES = ("workspace_source_editor", "workspace_destination_editor")


@cache
def load() -> dict[str, Any] | None:
    """
    Return the contract with its two dangling references repaired (docs/airbyte-api.md §9.4).

    Where the server's bodies are known to differ, its schemas are the server's.

    :return: ``None``: there is no contract on this machine.
    """
    if CONTRACT_FILE is None:
        return None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parsed = yaml.load(CONTRACT_FILE.read_text("utf-8"), loader)
    # YAML parses the timestamps in examples; in JSON they are strings.
    document: dict[str, Any] = json.loads(json.dumps(parsed, default=str))
    schemas = document["components"]["schemas"]
    names = ("dataplaneId", "regionId", "clientId", "clientSecret")
    schemas["DataplaneCreateResponseBody"] = {
        "type": "object",
        "required": list(names),
        "properties": {name: {"type": "string"} for name in names},
    }
    document["components"]["responses"]["ForbiddenResponse"] = {"description": "Not allowed"}
    for path in BARE_ARRAYS:
        content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        content["schema"] = schemas[name]["properties"]["data"]
    for name in ("SourceResponse", "DestinationResponse"):
        # That of a deleted one is null: docs/airbyte-api.md §4.2.
        schemas[name]["properties"]["configuration"] = {"type": ["object", "null"]}
    for name in ("PermissionType", "PublicPermissionType"):
        schemas[name]["enum"] += NEWER_PERMISSION_TYPES
    return document


def deviates(operation: str, status: int) -> bool:
    """Whether *status* is a known deviation of *operation*."""
    return any(
        deviation.status == status
        and (ANY in deviation.operations or operation in deviation.operations)
        for deviation in DEVIATIONS
    )


class Oracle:
    """Checks every response of the public API against the contract and collects violations."""

    def __init__(self, document: dict[str, Any]) -> None:
        from jsonschema import Draft202012Validator

        self._validator = Draft202012Validator
        self._document = document
        self._components = {
            name: _closed(schema) for name, schema in document["components"]["schemas"].items()
        }
        self._validators: dict[tuple[str, int], Any] = {}
        self.checked = 0
        self.violations: list[str] = []

    def observe(self, request: HttpRequest, response: HttpResponse, route: str | None) -> None:
        """Check one response; a route outside the contract is ignored."""
        method, _, template = (route or "").partition(" ")
        operation = self._document["paths"].get(template, {}).get(method.lower())
        if operation is None:
            return
        self.checked += 1
        declared = operation["responses"].get(str(response.status))
        if declared is None:
            if not deviates(f"{method} {template}", response.status):
                self.violations.append(f"{route}: undeclared status {response.status}")
            elif response.status == 201:
                self._check_body(route or "", response, operation["responses"]["200"])
            return
        self._check_body(route or "", response, declared)

    def _check_body(self, route: str, response: HttpResponse, declared: dict[str, Any]) -> None:
        content = declared.get("content", {}).get("application/json", {})
        if "schema" not in content:
            return
        if response.headers.get("content-type") != "application/json":
            self.violations.append(f"{route}: {response.headers.get('content-type')}")
            return
        key = (route, response.status)
        if key not in self._validators:
            schema = {**_closed(content["schema"]), "components": {"schemas": self._components}}
            self._validators[key] = self._validator(schema)
        payload = json.loads(response.body)
        for error in self._validators[key].iter_errors(payload):
            where = "/".join(map(str, error.absolute_path))
            if "/jobs" in route and _is_unknown_job_status(where, error.instance):
                continue
            self.violations.append(f"{route} {response.status} at {where!r}: {error.message}")


def _is_unknown_job_status(where: str, value: object) -> bool:
    """
    Whether a job has a status that is not in the contract, such as one of a newer Airbyte.

    Only a test's script sets one; the emulator itself uses only those of the enumeration.
    """
    return where.endswith("status") and isinstance(value, str) and value not in set(JobStatus)


def _closed(schema: Any) -> Any:
    """Forbid undeclared properties in every object that declares some."""
    if isinstance(schema, dict):
        closed = {name: _closed(value) for name, value in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
        return closed
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    return schema


@cache
def shared_oracle() -> Oracle | None:
    """Return the oracle of this process, or ``None`` without the contract."""
    document = load()
    return None if document is None else Oracle(document)


@pytest.fixture(autouse=True)
def responses_match_the_contract() -> Iterator[None]:
    """Fail the test if a response of the public API violates the contract."""
    oracle = shared_oracle()
    if oracle is None:
        yield
        return
    Emulator.observers.append(oracle.observe)
    yield
    Emulator.observers.remove(oracle.observe)
    violations, oracle.violations = oracle.violations, []
    assert not violations, "\n".join(violations)
