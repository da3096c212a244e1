"""What was asked of the emulator, without anybody's secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.emulator.masking import MASK, SECRET_NAME

_LARGEST_LOGGED_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """
    One request and how it was answered.

    :param route: Which operation it was, as ``GET /jobs/{jobId}``; ``None``: there is none.
    :param query: Each parameter with its values.
    :param json: The body, or ``None`` when it is no JSON or very large.
    :param headers: Names in lower case; credentials are masked.
    :param status: ``None``: the connection was closed without an answer.
    :param at: Instant on the emulator's clock, in seconds since the epoch.
    :param fault: What went wrong on demand, if anything.
    """

    method: str
    path: str
    route: str | None
    query: Mapping[str, list[str]]
    json: Any
    headers: Mapping[str, str]
    status: int | None
    at: float
    fault: str | None = None
    body_bytes: int = field(default=0)


def record(
    request: HttpRequest, *, route: str | None, status: int | None, at: float, fault: str | None
) -> RecordedRequest:
    """Write down *request* with its secrets masked."""
    url = urlsplit(request.url)
    return RecordedRequest(
        method=request.method.upper(),
        path=url.path or "/",
        route=route,
        query=parse_qs(url.query, keep_blank_values=True, errors="replace"),
        json=_masked(_decoded(request.body)),
        headers={name.lower(): _masked_header(name, v) for name, v in request.headers.items()},
        status=status,
        at=at,
        fault=fault,
        body_bytes=len(request.body or b""),
    )


def _decoded(body: bytes | None) -> Any:
    if not body or len(body) > _LARGEST_LOGGED_BODY:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: MASK if SECRET_NAME.search(k) and v is not None else _masked(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _masked_header(name: str, value: str) -> str:
    if name.lower() in ("authorization", "proxy-authorization", "cookie"):
        scheme, _, rest = value.partition(" ")
        return f"{scheme} {MASK}" if rest else MASK
    return value
