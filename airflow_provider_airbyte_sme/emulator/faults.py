"""What goes wrong on demand: the next answers that are refused, late, lost, or a web page."""

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
    One thing that goes wrong.

    :param route: ``GET /jobs/{jobId}``, or ``*`` for whatever comes.
    :param times: How often it is still to happen; ``None``: until the faults are cleared.
    :param kind: ``answer``: *response* instead of doing what was asked. ``delay``: it is done, and
        answered *seconds* later. ``drop_after``: it is done, and the answer is lost.
        ``drop_before``: the connection is closed before anything is done.
    """

    route: str
    kind: Literal["answer", "delay", "drop_before", "drop_after"]
    times: int | None = 1
    response: HttpResponse | None = None
    seconds: float = 0.0

    @property
    def executes(self) -> bool:
        """Whether the request is carried out all the same."""
        return self.kind in ("delay", "drop_after")


class Faults:
    """The faults that wait for their request, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault, known_routes: frozenset[str]) -> None:
        """
        Let *fault* wait for its request.

        :raises ValueError: No route has that name, or the fault would never happen.
        """
        if fault.route != EVERY_ROUTE and fault.route not in known_routes:
            raise ValueError(
                f"there is no route {fault.route!r}; routes are named like 'GET /jobs/{{jobId}}', "
                "or '*' for all"
            )
        if fault.times is not None and fault.times < 1:
            raise ValueError(f"a fault happens once or more, not {fault.times} times")
        self._waiting.append(fault)

    def take(self, route: str | None) -> Fault | None:
        """Return the first fault that waits for *route*, and count it."""
        for fault in self._waiting:
            if fault.route in (EVERY_ROUTE, route):
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self._waiting.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """Forget what has not gone wrong yet."""
        self._waiting.clear()


def fault_response(
    status: int, headers: Mapping[str, str], body: bytes | str | Mapping[str, object] | None
) -> HttpResponse:
    """
    Make the answer of a fault.

    :param body: ``None``: what Airbyte, or the ingress before it, sends with such a status.
    """
    extra = {name.lower(): value for name, value in headers.items()}
    if body is None:
        base = _typical(status)
    elif isinstance(body, Mapping):
        base = json_response(status, body)
    else:
        raw = body.encode() if isinstance(body, str) else body
        base = HttpResponse(status, {"content-type": "application/json"}, raw)
    return HttpResponse(status, {**base.headers, **extra}, base.body)


def _typical(status: int) -> HttpResponse:
    if status in _GATEWAY_STATUSES:
        return gateway_page(status)
    if status == 429:  # airbyte-platform PublicApiLoadShedFilter.kt
        return json_response(status, {"message": "You are being rate limited."})
    if status == 408:
        return request_timeout().response("/")
    if status >= 500:
        return OpaqueError(status).response("/")
    if status >= 400:
        return HateoasError(status).response("/")
    return json_response(status, {})
