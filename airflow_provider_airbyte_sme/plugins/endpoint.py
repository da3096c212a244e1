"""
The web application of the webhook: limits, and the order in which a call is checked.

It is plain ASGI: no part of the request is read before it is allowed, and no framework repeats
parts of it in an error. Whatever blocks runs in a few threads of its own, never in the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from airflow_provider_airbyte_sme.plugins.notifications import (
    Notification,
    Reply,
    read_notification,
)

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 64 * 1024
"""Bytes. A notification of Airbyte has about 3,000."""
BODY_TIMEOUT = 10.0
"""Seconds for the whole body to arrive."""
MAX_CALLS = 64
"""Calls that one process works on or keeps waiting; more are refused at once."""
REQUESTS_TO_AIRBYTE = 2
"""Requests to Airbyte in flight, per process: its public API has five threads."""

# Bytes of a body that is too long to read on: closing at once would reset the connection before the
# caller has read the reply.
_MAX_DISCARDED = 1024 * 1024
_PATH = re.compile(r".*/airbyte-sme/webhook/(?P<conn_id>[^/]+)/(?P<secret>[^/]+)/?")
_HIDDEN_PATH = "/airbyte-sme/webhook/***"


class Target(NamedTuple):
    """What the path of a call says."""

    conn_id: str
    secret: str

    def __repr__(self) -> str:
        """Return it without the secret: tools that report errors show local variables."""
        return f"Target({self.conn_id!r}, ***)"


class Webhook:
    """The ASGI application. It holds nothing between two calls but its idle threads."""

    def __init__(self) -> None:
        self._calls = 0
        # Two, so that calls without the secret do not keep those waiting that have it.
        self._doorkeepers = ThreadPoolExecutor(2, "airbyte-webhook-access")
        self._workers = ThreadPoolExecutor(REQUESTS_TO_AIRBYTE, "airbyte-webhook")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one call."""
        target = _target(scope)
        _hide_secret(scope)
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        reply = await self._reply(target, scope, receive)
        whose = f" of Airflow connection {target.conn_id[:100]!r}" if target else ""
        log.log(reply.level, "Webhook%s: %s", whose, reply.message)
        await _respond(send, reply)

    async def _reply(self, target: Target | None, scope: Message, receive: Receive) -> Reply:
        if target is None:
            return Reply(
                HTTPStatus.NOT_FOUND,
                "the URL must end with /airbyte-sme/webhook/<id of the Airflow connection>/<its "
                "webhook_secret>, both percent-encoded.",
            )
        if scope["method"] != "POST":
            return Reply(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"a {scope['method']:.10} was refused: Airbyte sends a POST.",
            )
        if self._calls >= MAX_CALLS:
            return Reply(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"refused, because {MAX_CALLS} calls are being worked on. Airbyte does not repeat "
                f"it, so its event is lost. See why they take so long, or who else calls.",
            )
        self._calls += 1
        try:
            return await self._serve(target, scope, receive)
        except Exception:
            log.exception("The webhook has failed: please report this")
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR, "the error above, so no event.")
        finally:
            self._calls -= 1

    async def _serve(self, target: Target, scope: Message, receive: Receive) -> Reply:
        # Late: each component imports this module if the webhook is on, and only one serves calls.
        from airflow_provider_airbyte_sme.plugins.access import admit
        from airflow_provider_airbyte_sme.plugins.events import emit, emit_recent

        loop = asyncio.get_running_loop()
        settings = await loop.run_in_executor(self._doorkeepers, admit, *target)
        if isinstance(settings, Reply):
            return settings
        body = await _read_body(receive)
        if not body and _offers_http_2(scope):
            return await loop.run_in_executor(self._workers, emit_recent, settings)
        if body is None:
            return Reply(HTTPStatus.BAD_REQUEST, "the caller closed the connection too early.")
        notification = body if isinstance(body, Reply) else read_notification(body)
        if not isinstance(notification, Notification):
            return notification
        return await loop.run_in_executor(self._workers, emit, settings, notification)


def _target(scope: Message) -> Target | None:
    """Return what the path says; ``None`` if it is another path."""
    # In the decoded path, an encoded slash cannot be told from others.
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"])
    match = _PATH.fullmatch(path)
    return Target(*map(unquote, match.groups())) if match else None


def _hide_secret(scope: Message) -> None:
    """Keep the secret out of the access logs of uvicorn and Airflow, which read this at the end."""
    scope["path"] = _HIDDEN_PATH
    scope["raw_path"] = _HIDDEN_PATH.encode()
    if scope.get("query_string"):
        # It has no meaning here, so whoever writes one may have meant the secret.
        scope["query_string"] = b"***"


def _offers_http_2(scope: Message) -> bool:
    """
    Whether the caller has offered to go on in HTTP/2, as Airbyte's client does without TLS.

    With httptools, uvicorn 0.54 then drops the body. If that arrives after the headers, it even
    closes the connection.
    """
    return any(name == b"upgrade" and value.lower() == b"h2c" for name, value in scope["headers"])


async def _read_body(receive: Receive) -> bytes | Reply | None:
    """Return the body; a reply if it is refused; ``None`` if the caller has gone."""
    body = bytearray()
    size, has_more = 0, True
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while has_more and size <= _MAX_DISCARDED:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                size += len(part)
                if size <= MAX_BODY:
                    body += part
                has_more = message.get("more_body", False)
    except TimeoutError:
        return Reply(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not arrive within {BODY_TIMEOUT:g} s: see what is slow between Airbyte "
            f"and Airflow.",
        )
    if size > MAX_BODY:
        return Reply(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {MAX_BODY:,} bytes, so it is no notification of Airbyte. "
            f"Somebody else knows the secret: replace it.",
        )
    return bytes(body)


async def _respond(send: Send, reply: Reply) -> None:
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
    if reply.status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": reply.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": f"{reply.body}\n".encode()})
