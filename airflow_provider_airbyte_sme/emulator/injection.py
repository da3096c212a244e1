"""The methods of the emulator that inject faults, and let something happen at a chosen moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.faults import (
    Event,
    Fault,
    FaultKind,
    Faults,
    alteration,
    fault_response,
)
from airflow_provider_airbyte_sme.emulator.problems import (
    WEBAPP_PAGE,
    gateway_page,
    html_response,
)


class FaultInjector:
    """
    Base class of the emulator: keeps the faults that are still to be applied.

    :param route_names: Names of all routes.
    :param lock: Held while a request is handled.
    """

    def __init__(self, route_names: Iterable[str], lock: threading.RLock) -> None:
        self._lock = lock
        self._faults = Faults()
        self._route_names = frozenset(route_names)

    def fail_next(
        self,
        route: str,
        status: int = 503,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Mapping[str, object] | None = None,
        *,
        after: bool = False,
    ) -> None:
        """
        Return an error for the next requests.

        :param route: Route such as ``GET /jobs/{jobId}``, a config API route with its full path
            such as ``POST /api/v1/jobs/get``, or ``*`` for every request.
        :param status: Status of the response.
        :param times: Number of requests; ``None``: all, until :meth:`clear_faults`.
        :param headers: Extra headers of the response, such as ``Retry-After``. A lone surrogate is
            sent as the byte that it stands for, so that a header can be invalid UTF-8.
        :param body: Body of the response; the default is the body that Airbyte, its ingress (502,
            503, 504) or a CDN (520 to 530) sends with *status*.
        :param after: Whether to handle the request first, as if a proxy gave up on a server that
            did not.
        :raises ValueError: The route is unknown, or *times* is below 1.
        """
        self._answer(route, times, fault_response(status, headers or {}, body), after)

    def html_next(
        self, route: str, times: int | None = 1, status: int = 200, *, after: bool = False
    ) -> None:
        """
        Return an HTML page for the next requests.

        :param route: As in :meth:`fail_next`.
        :param times: As in :meth:`fail_next`.
        :param status: Status of the response. Below 400, the page is Airbyte's web app, otherwise
            that of a gateway.
        :param after: As in :meth:`fail_next`.
        """
        is_page = status < 400
        response = html_response(status, WEBAPP_PAGE) if is_page else gateway_page(status)
        self._answer(route, times, response, after)

    def alter_next(
        self,
        route: str,
        change: Callable[[Any], Any] | None = None,
        times: int | None = 1,
        *,
        headers: Mapping[str, str | None] | None = None,
        status: int | None = None,
    ) -> None:
        """
        Handle the next requests, but change their responses, as another version or a proxy would.

        :param route: As in :meth:`fail_next`.
        :param change: Called with the decoded JSON body; returns the new body. The default changes
            nothing.
        :param times: As in :meth:`fail_next`.
        :param headers: New values of headers; ``None`` removes a header, also ``Date``.
        :param status: New status of the response.
        """
        changed = alteration(change, headers or {}, status)
        self._add(Fault(route, times, "alter", change=changed))

    def hang_next(
        self,
        route: str,
        seconds: float,
        times: int | None = 1,
        *,
        after: bool = True,
        lost: bool = False,
    ) -> None:
        """
        Hold the next requests open for *seconds*.

        On the in-memory transport, a request with a shorter timeout fails with a timeout error.

        :param route: As in :meth:`fail_next`.
        :param seconds: How long.
        :param times: As in :meth:`fail_next`.
        :param after: Whether to handle the request at once and only hold its response back, as
            Airbyte does when it starts a job. Otherwise it is handled at the end, also if the
            client has given up by then, as when Airbyte cancels a job.
        :param lost: Whether to close the connection at the end, without a response.
        """
        kind: FaultKind = "delay" if after else "delay_before"
        self._add(Fault(route, times, kind, seconds=seconds, is_lost=lost))

    def drip_next(self, route: str, pause: float, times: int | None = 1) -> None:
        """
        Handle the next requests, but send their responses byte by byte, headers included.

        :param route: As in :meth:`fail_next`.
        :param pause: Time between two bytes, in seconds.
        :param times: As in :meth:`fail_next`.
        """
        self._add(Fault(route, times, "drip", pause=pause))

    def cut_next(self, route: str, size: int = 0, times: int | None = 1) -> None:
        """
        Handle the next requests, but close the connection in the middle of the response.

        :param route: As in :meth:`fail_next`.
        :param size: Number of bytes of the body to send first, after the headers.
        :param times: As in :meth:`fail_next`.
        """
        self._add(Fault(route, times, "cut", cut=size))

    def drop_next(self, route: str, times: int | None = 1, *, after: bool = True) -> None:
        """
        Close the connection of the next requests without a response.

        :param route: As in :meth:`fail_next`.
        :param times: As in :meth:`fail_next`.
        :param after: Whether to handle the request first.
        """
        self._add(Fault(route, times, "drop_after" if after else "drop_before", is_lost=True))

    def call_next(
        self,
        route: str,
        action: Callable[[], object],
        times: int | None = 1,
        *,
        after: bool = False,
    ) -> None:
        """
        Let something happen right before or after the next requests, such as a job that starts.

        A fault can apply to the same request: ``call_next("POST /jobs", emulator.start_sync)`` and
        ``drop_next("POST /jobs")``.

        :param route: As in :meth:`fail_next`.
        :param action: Called without arguments; no other request is handled meanwhile.
        :param times: As in :meth:`fail_next`.
        :param after: Whether it is called after the request, before the response is sent.
        """
        self._add(Event(route, times, action, "after" if after else "before"))

    def clear_faults(self) -> None:
        """Remove all pending faults and the actions of :meth:`call_next`."""
        with self._lock:
            self._faults.clear()

    def _answer(self, route: str, times: int | None, response: HttpResponse, after: bool) -> None:
        self._add(Fault(route, times, "answer_after" if after else "answer", response=response))

    def _add(self, fault: Fault | Event) -> None:
        with self._lock:
            self._faults.add(fault, self._route_names)
