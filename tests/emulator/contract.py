"""
The published contract of Airbyte's public API as an oracle for the emulator's answers.

The contract is not a part of this repository: beside the checkout it is ``shared/openapi/``. The
real server keeps to it with exceptions, which are listed in one table with the number of the fact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator import Emulator

CONTRACT_FILE = (
    Path(__file__).resolve().parents[3] / "shared" / "openapi" / "airbyte-public-api.yaml"
)
MISSING = f"{CONTRACT_FILE.name} is not beside the checkout"

ANY = "*"


@dataclass(frozen=True)
class Deviation:
    """
    A status that the real server answers with and its contract does not declare.

    :param operations: As ``POST /jobs``; ``*`` for all.
    :param fact: Where the facts about the server say so.
    """

    status: int
    operations: tuple[str, ...]
    fact: str
    why: str


DEVIATIONS = (
    Deviation(400, (ANY,), "§6.2", "parameters and bodies that cannot be bound"),
    Deviation(401, (ANY,), "§2.6", "no token, or one that is no good"),
    Deviation(403, (ANY,), "§2.7", "declared for most, answered for all that need a role"),
    Deviation(405, (ANY,), "§6.2", "the framework's own"),
    Deviation(413, (ANY,), "§1", "bodies above 10 MB"),
    Deviation(415, (ANY,), "§6.2", "the framework's own"),
    Deviation(302, ("GET /",), "§1.1", "the root redirects, it does not answer with a page"),
    Deviation(500, ("POST /applications/token",), "§2.5", "wrong credentials, kept in a database"),
    Deviation(
        404,
        ("POST /applications/token", "GET /applications"),
        "§2.1",
        "no authentication, no applications",
    ),
    Deviation(500, ("POST /applications", "DELETE /applications/{applicationId}"), "§5", "simple"),
    Deviation(404, ("POST /jobs", "GET /jobs"), "§3.2", "unknown id, to an instance administrator"),
    Deviation(409, ("POST /jobs",), "§3.2", "a sync is running, or the connection is not active"),
    Deviation(422, ("POST /jobs",), "§3.2", "a refresh"),
    Deviation(500, ("POST /jobs",), "§3.2", "no UUID, to an instance administrator"),
    Deviation(409, ("DELETE /jobs/{jobId}", "GET /jobs/{jobId}"), "§3.3, §3.4", "not running"),
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
        "§4.1",
        "a configuration that the connector's spec forbids",
    ),
    Deviation(404, ("POST /sources", "POST /connections", "POST /tags"), "§6.1", "unknown ids"),
    Deviation(409, ("PATCH /connections/{connectionId}",), "§4.2", "a locked connection"),
    Deviation(409, ("PATCH /tags/{tagId}",), "§5", "a name that is taken"),
    Deviation(500, ("POST /connections", "PATCH /connections/{connectionId}"), "§4.2", "null"),
    Deviation(500, ("GET /connector_definitions",), "§5", "no workspaceId"),
    Deviation(
        500,
        tuple(
            f"{method} /workspaces/{{workspaceId}}/definitions/declarative_sources{tail}"
            for method, tail in (("POST", ""), ("PUT", "/{definitionId}"))
        ),
        "§6.1",
        "a manifest without a spec is what no handler foresees",
    ),
    Deviation(
        501,
        (
            "POST /sources/initiateOAuth",
            "PUT /workspaces/{workspaceId}/oauthCredentials",
            "DELETE /workspaces/{workspaceId}/oauthCredentials/{actorType}/{name}",
            "PUT /organizations/{organizationId}/oauthCredentials",
            "DELETE /organizations/{organizationId}/oauthCredentials/{actorType}/{name}",
        ),
        "§4.1, §5",
        "not in a self-managed Airbyte",
    ),
    Deviation(404, ("PATCH /workspaces/{workspaceId}",), "§6.1", "unknown id"),
    Deviation(404, ("POST /permissions",), "§6.1", "unknown id, to an instance administrator"),
    Deviation(201, ("POST /groups",), "§9.4", "declared as 200"),
)
# §9.4: two editor roles of 2026-08 are missing from the contract's enumerations.
NEWER_PERMISSION_TYPES = ("workspace_source_editor", "workspace_destination_editor")


@cache
def load() -> dict[str, Any] | None:
    """
    Return the contract, its two dangling references patched (§9.4).

    :return: ``None``: it is not here, or nothing can read it (the lowest environment has no YAML).
    """
    try:
        import yaml
    except ImportError:
        return None
    if not CONTRACT_FILE.exists():
        return None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parsed = yaml.load(CONTRACT_FILE.read_text("utf-8"), loader)
    # Examples with instants are texts on the wire.
    document: dict[str, Any] = json.loads(json.dumps(parsed, default=str))
    schemas = document["components"]["schemas"]
    names = ("dataplaneId", "regionId", "clientId", "clientSecret")
    schemas["DataplaneCreateResponseBody"] = {
        "type": "object",
        "required": list(names),
        "properties": {name: {"type": "string"} for name in names},
    }
    document["components"]["responses"]["ForbiddenResponse"] = {"description": "Not allowed"}
    for name in ("PermissionType", "PublicPermissionType"):
        schemas[name]["enum"] += NEWER_PERMISSION_TYPES
    return document


def deviates(operation: str, status: int) -> bool:
    """Whether the table knows that *operation* may answer with *status*."""
    return any(
        deviation.status == status
        and (ANY in deviation.operations or operation in deviation.operations)
        for deviation in DEVIATIONS
    )


class Oracle:
    """Holds every answer of the public API against the contract and notes what does not fit."""

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
        """Check one answer; what is no operation of the contract is passed over."""
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
            if "/jobs" in route and _is_scripted(where, error.instance):
                continue
            self.violations.append(f"{route} {response.status} at {where!r}: {error.message}")


def _is_scripted(where: str, value: object) -> bool:
    """
    Whether a test let a job take a status that no contract knows, as a newer Airbyte might.

    Only a script can bring one: the emulator's own are those of the enumeration.
    """
    return where.endswith("status") and isinstance(value, str) and value not in set(JobStatus)


def _closed(schema: Any) -> Any:
    """Forbid properties that the contract does not name, wherever it names any."""
    if isinstance(schema, dict):
        closed = {name: _closed(value) for name, value in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
        return closed
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    return schema


@cache
def oracle() -> Oracle | None:
    """Return the oracle, or ``None`` without the contract."""
    document = load()
    return None if document is None else Oracle(document)


@pytest.fixture(autouse=True)
def answers_keep_the_contract() -> Iterator[None]:
    """Every answer of the public API is in the published contract, or a known exception."""
    judge = oracle()
    if judge is None:
        yield
        return
    Emulator.observers.append(judge.observe)
    yield
    Emulator.observers.remove(judge.observe)
    violations, judge.violations = judge.violations, []
    assert not violations, "\n".join(violations)
