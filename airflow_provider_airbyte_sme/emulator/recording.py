"""Recorded requests, with secrets masked, and how many are in flight."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.emulator.masking import MASK

_MAX_RECORDED_BODY_BYTES = 64 * 1024

# A guess, so that a failing test does not print credentials. What the server does with a field
# follows from its specification instead.
_LOOKS_SECRET = re.compile(
    r"password|passphrase|secret|token$|api_?key|private_?key|ssh_key|access_key|"
    r"credentials_json|service_account_(json|info)|connection_string|sas_token|shared_key",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """
    A request and the status of its response.

    :param method: Such as ``GET``.
    :param path: Path of its URL, without the query.
    :param route: Matched route, such as ``GET /jobs/{jobId}``; ``None``: no route matched.
    :param query: Values of each query parameter.
    :param json: Decoded body with secrets masked; ``None`` if it is empty, is not valid JSON or is
        larger than 64 KiB.
    :param headers: Headers with names in lower case and credentials masked.
    :param status: Status of the response; ``None``: the connection was closed without one, or the
        request has not been handled yet.
    :param at: Time on the emulator's clock, in seconds since the epoch.
    :param fault: Kind of the injected fault, if any, such as ``answer`` or ``drop_after``.
    :param body_bytes: Size of the body, in bytes.
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
    body_bytes: int = 0


class InFlight:
    """
    How many requests are in flight at the same time.

    A request counts from when the server accepts it until it is handled and its response is ready
    to be sent: also while it waits for a thread, and if its client has given up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Number of requests in flight.
        self.now = 0
        #: Largest number of requests in flight since the last :meth:`reset`.
        self.peak = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one request while the context is open."""
        with self._lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1

    def reset(self) -> None:
        """Start to look for the peak again."""
        with self._lock:
            self.peak = self.now


def record(
    request: HttpRequest, *, route: str | None, status: int | None, at: float, fault: str | None
) -> RecordedRequest:
    """Return a record of *request* with its secrets masked."""
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
    if not body or len(body) > _MAX_RECORDED_BODY_BYTES:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: MASK if _LOOKS_SECRET.search(k) and v is not None else _masked(v)
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
