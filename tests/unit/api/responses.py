"""Responses in Airbyte's formats: docs/airbyte-api.md §3.1, §4.3 and §6."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.api import HttpResponse

CONNECTION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"
ERROR_ID = "0d9d21c2-5a3f-4d8c-9a49-2ba9be2ad7a1"

JOB: Mapping[str, Any] = {
    "jobId": 42,
    "status": "succeeded",
    "jobType": "sync",
    "startTime": "2026-03-25T01:30:50Z",
    "connectionId": CONNECTION_ID,
    "lastUpdatedAt": "2026-03-25T01:42:03Z",
    "duration": "PT11M13S",
    "bytesSynced": 15872,
    "rowsSynced": 120,
}
CONNECTION: Mapping[str, Any] = {
    "connectionId": CONNECTION_ID,
    "name": "crm to lake",
    "status": "active",
    "workspaceId": "744c1f5e-9b0c-4a58-9dd4-d3e3a6c3a1d7",
    "sourceId": "0c31738c-0b2d-4887-b506-e2cd1c39cc35",
    "destinationId": "e735894a-e773-4938-969f-45f53957b75b",
}


def json_response(
    payload: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    fields = {"content-type": "application/json", **(headers or {})}
    return HttpResponse(status, fields, json.dumps(payload).encode())


def html_page(status: int = 200) -> HttpResponse:
    """Return an HTML page, such as those of an ingress, a login proxy or Airbyte's own UI."""
    return HttpResponse(
        status, {"content-type": "text/html"}, b"<!doctype html><title>Oops</title>"
    )


def problem(
    status: int,
    title: str,
    data: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return an error of the public API's handlers: docs/airbyte-api.md §6.1."""
    body = {
        "status": status,
        "type": f"https://reference.airbyte.com/reference/errors#{title}",
        "title": title,
        "detail": f"The detail of {title}.",
        "documentationUrl": None,
        "data": data,
    }
    return json_response(body, status, headers)


def hateoas(status: int, message: str, *reasons: str) -> HttpResponse:
    """Return an error of the framework around the handlers: docs/airbyte-api.md §6.2."""
    errors = [
        {"message": reason, "_links": {}, "_embedded": {}} for reason in reasons or (message,)
    ]
    links = {"self": {"href": "/api/public/v1/jobs", "templated": False}}
    return json_response(
        {"message": message, "_links": links, "_embedded": {"errors": errors}}, status
    )


def opaque(status: int) -> HttpResponse:
    """Return an error whose reason is only in the server's log: docs/airbyte-api.md §6.3."""
    return json_response({"errorId": ERROR_ID}, status)


def jwt(**claims: object) -> str:
    """Return a JWT with these claims and a signature that is never verified."""
    return f"e30.{base64url(json.dumps(claims).encode())}.c2lnbmF0dXJl"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
