"""An in-memory emulator with a manual clock, callers for it, and checks of its responses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.contract import responses_match_the_contract

BASE = "http://airbyte.test"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
ORGANIZATION_ID = "00000000-0000-0000-0000-000000000000"

__all__ = ["responses_match_the_contract"]  # an autouse fixture


@dataclass
class Caller:
    """A client with credentials that calls the emulator in memory."""

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
        """Send a request to a path of the public API, or to a full path such as ``/api/v1/...``."""
        target = path if path.startswith("/api") else f"/api/public/v1{path}"
        all_headers = {"content-type": "application/json", **(headers or {})}
        if "authorization" not in all_headers:
            all_headers["authorization"] = f"Bearer {self.token or self.log_in()}"
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        query_string = f"?{urlencode(query)}" if query else ""
        return self.emulator.respond(
            HttpRequest(method, f"{BASE}{target}{query_string}", all_headers, raw)
        )

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
        """Request a new token and use it from now on."""
        credentials = {"client_id": self.client_id, "client_secret": self.client_secret}
        self.token = ok(exchange(self.emulator, credentials))["access_token"]
        return self.token


def exchange(
    emulator: Emulator, credentials: Mapping[str, object], path: str = "/api/public/v1"
) -> HttpResponse:
    """Request a token below *path*."""
    return emulator.respond(
        HttpRequest(
            "POST",
            f"{BASE}{path}/applications/token",
            {"content-type": "application/json"},
            json.dumps(credentials).encode(),
        )
    )


def ok(response: HttpResponse, status: int = 200) -> Any:
    """Assert that *response* is a success, and return its body."""
    assert response.status == status, response.body
    return response.json() if response.body else None


def problem(response: HttpResponse, status: int) -> dict[str, Any]:
    """Assert that *response* is a problem (docs/airbyte-api.md §6.1), and return it."""
    assert response.status == status, response.body
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert list(body) == ["status", "type", "title", "detail", "documentationUrl", "data"]
    assert body["status"] == status
    return body


def hateoas_error(response: HttpResponse, status: int) -> dict[str, Any]:
    """Assert that *response* is a framework error (§6.2), and return the inner error."""
    assert response.status == status, response.body
    body = response.json()
    assert set(body) == {"message", "_links", "_embedded"}
    assert body["_links"]["self"]["templated"] is False
    (inner,) = body["_embedded"]["errors"]
    return dict(inner)


def error_id_only(response: HttpResponse, status: int) -> None:
    """Assert that the body of *response* is only an ``errorId`` (§6.3)."""
    assert response.status == status, response.body
    assert list(response.json()) == ["errorId"]


def caller_of(emulator: Emulator) -> Caller:
    return Caller(emulator, emulator.client_id, emulator.client_secret)


def wait_until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait at most *timeout* seconds for something that a thread or another process does."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(time="manual", sync_duration=60)


@pytest.fixture
def caller(emulator: Emulator) -> Caller:
    return caller_of(emulator)


@pytest.fixture
def admin() -> Caller:
    """An instance administrator, with an emulator of its own."""
    return caller_of(Emulator(time="manual", sync_duration=60, instance_admin=True))


@pytest.fixture
def caller_with_role(emulator: Emulator) -> Any:
    """Return a function that creates a caller with one role, by default in the first workspace."""

    def create(role: str, workspace_id: str | None = None) -> Caller:
        return Caller(emulator, *emulator.add_application(role, workspace_id=workspace_id))

    return create


@pytest.fixture
def served() -> Iterator[Emulator]:
    """An emulator on a socket, with real time, short syncs and two threads."""
    emulator = Emulator(sync_duration=0.05, threads=2)
    with emulator.serve():
        yield emulator


@pytest.fixture
def session(served: Emulator) -> Iterator[requests.Session]:
    """An HTTP session with a token for the served emulator."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {caller_of(served).log_in()}"
        yield session
