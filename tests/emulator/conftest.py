"""An emulator in memory with a hand on its clock, a caller for it, and the contract behind both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.contract import answers_keep_the_contract

BASE = "http://airbyte.test"

__all__ = ["answers_keep_the_contract"]  # an autouse fixture


@dataclass
class Caller:
    """Somebody with credentials who calls the emulator in memory."""

    emulator: Emulator
    client_id: str
    client_secret: str
    token: str = ""

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> HttpResponse:
        """Send a request to the public API, or to the path that starts with a slash and ``api``."""
        target = path if path.startswith("/api") else f"/api/public/v1{path}"
        given = {"content-type": "application/json", **(headers or {})}
        if "authorization" not in given:
            given["authorization"] = f"Bearer {self.token or self.log_in()}"
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        question = f"?{urlencode(query)}" if query else ""
        return self.emulator.respond(HttpRequest(method, f"{BASE}{target}{question}", given, raw))

    def get(self, path: str, **query: object) -> HttpResponse:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: object) -> HttpResponse:
        return self.send("POST", path, body)

    def patch(self, path: str, body: object) -> HttpResponse:
        return self.send("PATCH", path, body)

    def put(self, path: str, body: object) -> HttpResponse:
        return self.send("PUT", path, body)

    def delete(self, path: str) -> HttpResponse:
        return self.send("DELETE", path)

    def sync(self, connection_id: str | None = None, job_type: str = "sync") -> HttpResponse:
        connection_id = connection_id or self.emulator.connection_id
        return self.post("/jobs", {"connectionId": connection_id, "jobType": job_type})

    def job(self, job_id: int) -> dict[str, Any]:
        return ok(self.get(f"/jobs/{job_id}"))

    def log_in(self) -> str:
        """Get a new token and use it from now on."""
        credentials = {"client_id": self.client_id, "client_secret": self.client_secret}
        self.token = ok(exchange(self.emulator, credentials))["access_token"]
        return self.token


def exchange(
    emulator: Emulator, credentials: Mapping[str, object], path: str = "/api/public/v1"
) -> HttpResponse:
    """Ask for a token."""
    return emulator.respond(
        HttpRequest(
            "POST",
            f"{BASE}{path}/applications/token",
            {"content-type": "application/json"},
            json.dumps(credentials).encode(),
        )
    )


def ok(response: HttpResponse, status: int = 200) -> Any:
    """Return the body of an answer that must be a success."""
    assert response.status == status, response.body
    return response.json() if response.body else None


def problem(response: HttpResponse, status: int) -> dict[str, Any]:
    """Return the problem of an answer that must be one, with its six keys in their order."""
    assert response.status == status, response.body
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert list(body) == ["status", "type", "title", "detail", "documentationUrl", "data"]
    assert body["status"] == status
    return body


def hateoas(response: HttpResponse, status: int) -> dict[str, Any]:
    """Return the inner error of an answer that must be the framework's own."""
    assert response.status == status, response.body
    body = response.json()
    assert set(body) == {"message", "_links", "_embedded"}
    assert body["_links"]["self"]["templated"] is False
    (inner,) = body["_embedded"]["errors"]
    return dict(inner)


def only_an_error_id(response: HttpResponse, status: int) -> None:
    assert response.status == status, response.body
    assert list(response.json()) == ["errorId"]


def caller_of(emulator: Emulator) -> Caller:
    return Caller(emulator, emulator.client_id, emulator.client_secret)


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(time="manual", sync_duration=60)


@pytest.fixture
def caller(emulator: Emulator) -> Caller:
    return caller_of(emulator)


@pytest.fixture
def admin() -> Caller:
    """An instance administrator, on an emulator of its own."""
    return caller_of(Emulator(time="manual", sync_duration=60, instance_admin=True))


@pytest.fixture
def as_role(emulator: Emulator) -> Any:
    """Return a function that makes a caller with one role in the first workspace."""

    def make(role: str, workspace_id: str | None = None) -> Caller:
        return Caller(emulator, *emulator.add_application(role, workspace_id=workspace_id))

    return make
