"""
The seam between the client and the network: values, the transport protocol and its blocking runner.

The client is written once, as ``async def`` over a :class:`Transport`. A blocking transport has
``async def`` methods that never suspend, so :func:`run_blocking` runs a client coroutine to its end
without an event loop; over an event-loop transport the same coroutine is simply awaited.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """
    One request, complete: nothing is added to it on the way.

    :param url: Absolute, with its query. It never carries a secret.
    :param headers: May carry the bearer token, so it is kept out of ``repr``.
    :param body: May carry a client secret, so it is kept out of ``repr``.
    :param timeout: Seconds to wait for the answer to begin, and between two parts of it.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """
    One answer, read to its end.

    :param headers: Names in lower case.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def is_html(self) -> bool:
        """Whether a web page came back: a proxy's, an ingress's, or Airbyte's own UI."""
        content_type = self.headers.get("content-type", "").lower()
        return "html" in content_type or self.body[:256].lstrip().lower().startswith(
            (b"<!doctype html", b"<html")
        )

    def json(self) -> Any:
        """
        Decode the body.

        :raises ValueError: It is no JSON.
        """
        return json.loads(self.body)


class Transport(Protocol):
    """What differs between the blocking and the event-loop face."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the whole answer, whatever its status; follow no redirect.

        :raises AirbyteTransportError: No answer came back.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        ...

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a new lock that callers on this face can share."""
        ...

    async def close(self) -> None:
        """Give back the connections."""
        ...


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Run *coroutine* to its end without an event loop.

    :raises RuntimeError: It suspended, so its transport is not a blocking one.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    coroutine.close()
    raise RuntimeError("a blocking transport must not suspend")
