"""
HTTP values, the :class:`Transport` protocol and the runner for blocking transports.

The client is written once, as ``async def`` over a :class:`Transport`. The methods of a blocking
transport are ``async def`` too but never suspend, so :func:`run_blocking` can run a client
coroutine to its end without an event loop. Over an async transport the same coroutine is awaited.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

# Bytes. The largest responses are catalogs of a few MB, and logs of attempts.
MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """
    One request. A transport sends it unchanged.

    :param method: Such as ``GET``.
    :param url: Absolute URL with its query. It never contains a secret.
    :param headers: May contain the bearer token, so ``repr`` leaves them out.
    :param body: May contain a client secret, so ``repr`` leaves it out.
    :param timeout: Seconds to wait for the response to begin, and between two parts of it.
    :param total_timeout: Seconds until the whole response must have arrived, if less than the limit
        that follows from *timeout*; ``None`` for that limit.
    :param held_open: Whether the server holds the call open, perhaps for minutes. Such a call gets
        a connection of its own, so that many of them do not starve the others.
    :param max_body: Bytes of the response's body to read at most, after decompression.
    :param secrets: What must not appear in a message about this request, such as the client
        secret, the token and the values of headers.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float = 30.0
    total_timeout: float | None = None
    held_open: bool = False
    max_body: int = MAX_BODY
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """
    One response, with its body.

    :param status: HTTP status.
    :param headers: Names in lower case.
    :param body: The whole body, unless *is_cut*.
    :param is_cut: Whether the body is longer than what its request allows, and ends there.
    :param secrets: What must not appear in a message about this response, besides the secrets of
        its request: the password of the proxy that sent it or passed it on.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    is_cut: bool = False

    @property
    def is_html(self) -> bool:
        """Whether this is an HTML page: from a proxy, an ingress, or Airbyte's own UI."""
        content_type = self.headers.get("content-type", "").lower()
        return "html" in content_type or self.body[:256].lstrip().lower().startswith(
            (b"<!doctype html", b"<html")
        )

    def json(self) -> Any:
        """
        Parse the body.

        :raises ValueError: The body is not valid JSON, or it is nested too deeply.
        """
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None


class Transport(Protocol):
    """Everything that differs between sync and async callers."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the response, whatever its status, following no redirects.

        Its body is read up to ``request.max_body``.

        :raises AirbyteTransportError: There was no response.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        ...

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a new lock for concurrent callers of this transport."""
        ...

    async def close(self) -> None:
        """Close the connection pool."""
        ...


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Run *coroutine* to its end without an event loop.

    :raises RuntimeError: The coroutine suspended, so its transport is not a blocking one.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    coroutine.close()
    raise RuntimeError("a blocking transport must not suspend")
