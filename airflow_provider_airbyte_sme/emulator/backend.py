"""What an emulator's transports know of it, so that they do not import it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator.clock import Clock
from airflow_provider_airbyte_sme.emulator.recording import InFlight


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    What a transport delivers to the client.

    :param response: ``None``: close the connection without a response.
    :param delay: How long to wait before that, in seconds.
    :param later: Called after the delay to handle the request; its delivery replaces this one.
    :param pause: Send the response byte by byte, this many seconds apart.
    :param cut: Close the connection after this many bytes of the body; ``None``: send all of it.
    """

    response: HttpResponse | None = None
    delay: float = 0.0
    later: Callable[[], Delivery] | None = None
    pause: float = 0.0
    cut: int | None = None


class Listener(Protocol):
    """A running server, as seen by the emulator that it serves."""

    @property
    def url(self) -> str:
        """Base URL of the emulator, without a trailing slash."""
        ...


class Backend(Protocol):
    """An emulator, as seen by its transports."""

    clock: Clock
    #: Delay before each response over HTTP, in seconds.
    latency: float
    #: Number of public API requests handled at the same time over HTTP; ``None``: no limit.
    threads: int | None
    #: Counts the requests that a server has accepted.
    in_flight: InFlight

    @property
    def next_due(self) -> float | None:
        """When the next status change is due, in seconds since the epoch, if any."""
        ...

    def handle(self, request: HttpRequest) -> Delivery:
        """Handle *request*, or apply the injected fault."""
        ...

    def settle(self) -> None:
        """Make every status change that is due by now."""
        ...

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call *watcher* after every request and change, until the returned function is called."""
        ...

    def served_by(self, server: Listener | None) -> None:
        """Remember the server that serves the emulator; ``None``: it is no longer served."""
        ...

    def connection_uri_for(self, url: str) -> str:
        """Return an Airflow connection URI for *url*."""
        ...
