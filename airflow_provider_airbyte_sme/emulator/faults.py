"""Injected faults: error responses, HTML pages, delays and dropped connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    OpaqueError,
    gateway_page,
    json_response,
    request_timeout,
)

EVERY_ROUTE = "*"

_GATEWAY_STATUSES = (502, 503, 504)


@dataclass(slots=True)
class Fault:
    """
    An injected fault.

    :param route: Route to apply it to, such as ``GET /jobs/{jobId}``, or ``*`` for every request.
    :param kind: ``answer``: return *response* without handling the request. ``delay``: handle the
        request and send the response *seconds* later. ``drop_before``: close the connection without
        handling the request. ``drop_after``: handle the request, then close the connection without
        a response.
    :param times: How many more requests it applies to; ``None``: all, until faults are cleared.
    :param response: The response of an ``answer`` fault.
    :param seconds: The delay of a ``delay`` fault.
    """

    route: str
    kind: Literal["answer", "delay", "drop_before", "drop_after"]
    times: int | None = 1
    response: HttpResponse | None = None
    seconds: float = 0.0

    @property
    def executes(self) -> bool:
        """Whether the request is handled in spite of the fault."""
        return self.kind in ("delay", "drop_after")


class Faults:
    """The faults that are still to be applied, oldest first."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(self, fault: Fault, known_routes: frozenset[str]) -> None:
        """
        Add a fault.

        :param known_routes: Names of all routes.
        :raises ValueError: The route is unknown, or *times* is below 1.
        """
        if fault.route != EVERY_ROUTE and fault.route not in known_routes:
            raise ValueError(
                f"there is no route {fault.route!r}: use a name such as 'GET /jobs/{{jobId}}', "
                "or '*' for every request"
            )
        if fault.times is not None and fault.times < 1:
            raise ValueError(
                f"times must be 1 or more, or None for every request, not {fault.times}"
            )
        self._pending.append(fault)

    def take(self, route: str | None) -> Fault | None:
        """Return the oldest fault for *route*, if any, and count the use."""
        for fault in self._pending:
            if fault.route in (EVERY_ROUTE, route):
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self._pending.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """Remove all faults."""
        self._pending.clear()


def fault_response(
    status: int, headers: Mapping[str, str], body: bytes | str | Mapping[str, object] | None
) -> HttpResponse:
    """
    Return the response of an injected error.

    :param body: Response body; ``None``: the default body that Airbyte or its ingress sends with
        *status*.
    """
    extra = {name.lower(): value for name, value in headers.items()}
    if body is None:
        base = _default_response(status)
    elif isinstance(body, Mapping):
        base = json_response(status, body)
    else:
        raw = body.encode() if isinstance(body, str) else body
        base = HttpResponse(status, {"content-type": "application/json"}, raw)
    return HttpResponse(status, {**base.headers, **extra}, base.body)


def _default_response(status: int) -> HttpResponse:
    if status in _GATEWAY_STATUSES:
        return gateway_page(status)
    if status == 429:  # docs/airbyte-api.md §6.3
        return json_response(status, {"message": "You are being rate limited."})
    if status == 408:
        return request_timeout().response("/")
    if status >= 500:
        return OpaqueError(status).response("/")
    if status >= 400:
        return HateoasError(status).response("/")
    return json_response(status, {})
