"""Injected faults: wrong, late, slow, cut off and lost responses, and events at chosen moments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    OpaqueError,
    gateway_page,
    json_response,
    request_timeout,
)

EVERY_ROUTE = "*"

#: Statuses that only a server in front of Airbyte returns: an ingress, or a CDN (520 to 530).
_GATEWAY_STATUSES = frozenset({502, 503, 504, *range(520, 531)})

FaultKind = Literal[
    "answer",
    "answer_after",
    "alter",
    "delay",
    "delay_before",
    "drip",
    "cut",
    "drop_before",
    "drop_after",
]
Moment = Literal["before", "after"]


@dataclass(slots=True)
class Injection:
    """
    Something that is applied to the next requests for a route.

    :param route: Route to apply it to, such as ``GET /jobs/{jobId}``, or ``*`` for every request.
    :param times: How many more requests it applies to; ``None``: all, until faults are cleared.
    """

    route: str
    times: int | None


@dataclass(slots=True)
class Fault(Injection):
    """
    An injected fault.

    :param kind: Which fault:

        - ``answer``: return *response* without handling the request
        - ``answer_after``: handle the request, then return *response* instead of its response
        - ``alter``: handle the request, then pass its response through *change*
        - ``delay``: handle the request, and send the response *seconds* later
        - ``delay_before``: handle the request only after *seconds*
        - ``drip``: handle the request, and send the response byte by byte, *pause* seconds apart
        - ``cut``: handle the request, send *cut* bytes of the response's body, and close the
          connection
        - ``drop_before``: close the connection without handling the request
        - ``drop_after``: handle the request, then close the connection without a response
    :param is_lost: Whether the connection is closed without a response.
    """

    kind: FaultKind
    response: HttpResponse | None = None
    change: Callable[[HttpResponse], HttpResponse] | None = None
    seconds: float = 0.0
    pause: float = 0.0
    cut: int | None = None
    is_lost: bool = False

    @property
    def executes(self) -> bool:
        """Whether the request is handled in spite of the fault."""
        return self.kind not in ("answer", "drop_before")


@dataclass(slots=True)
class Event(Injection):
    """
    Something that happens at the moment of a request, whether or not a fault applies to it too.

    :param action: Called without arguments, while no other request is handled.
    :param moment: ``before`` or ``after`` the request is handled.
    """

    action: Callable[[], object]
    moment: Moment


A = TypeVar("A", bound=Injection)


class Faults:
    """The faults and events that are still to be applied, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._events: list[Event] = []

    def add(self, item: Fault | Event, known_routes: frozenset[str]) -> None:
        """
        Add a fault or an event.

        :param known_routes: Names of all routes.
        :raises ValueError: The route is unknown, or *times* is below 1.
        """
        if item.route != EVERY_ROUTE and item.route not in known_routes:
            raise ValueError(
                f"there is no route {item.route!r}: use a name such as 'GET /jobs/{{jobId}}', "
                "or '*' for every request"
            )
        if item.times is not None and item.times < 1:
            raise ValueError(
                f"times must be 1 or more, or None for every request, not {item.times}"
            )
        if isinstance(item, Fault):
            self._faults.append(item)
        else:
            self._events.append(item)

    def take_fault(self, route: str | None) -> Fault | None:
        """Return the oldest fault for *route*, if any, and count the use."""
        return next(iter(_take(self._faults, route, 1)), None)

    def take_events(self, route: str | None) -> list[Event]:
        """Return all events for *route*, oldest first, and count the use."""
        return _take(self._events, route, len(self._events))

    def clear(self) -> None:
        """Remove all faults and events."""
        self._faults.clear()
        self._events.clear()


def _take(items: list[A], route: str | None, limit: int) -> list[A]:
    taken = [item for item in items if item.route in (EVERY_ROUTE, route)][:limit]
    for item in taken:
        if item.times is not None:
            item.times -= 1
            if not item.times:
                items.remove(item)
    return taken


def alteration(
    change: Callable[[Any], Any] | None, headers: Mapping[str, str | None], status: int | None
) -> Callable[[HttpResponse], HttpResponse]:
    """
    Return a function that changes a response.

    :param change: Called with the decoded JSON body; returns the new one.
    :param headers: New values of headers; ``None`` removes the header.
    :param status: The new status.
    """

    def altered(response: HttpResponse) -> HttpResponse:
        body = response.body
        if change is not None:
            body = json.dumps(change(json.loads(body))).encode()
        changed = {name.lower(): value for name, value in headers.items()}
        kept = {name: value for name, value in response.headers.items() if name not in changed}
        new = {name: value for name, value in changed.items() if value is not None}
        return replace(
            response, status=status or response.status, headers={**kept, **new}, body=body
        )

    return altered


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
