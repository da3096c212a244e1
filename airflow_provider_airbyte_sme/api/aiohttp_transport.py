"""The async transport, over ``aiohttp``."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from ssl import SSLContext
from types import SimpleNamespace

import aiohttp
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine
from yarl import URL

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.network import (
    MAX_LINE,
    Call,
    header_text,
    proxy_for,
    rejected_tunnel,
    wire_url,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

# Connections for requests that are not held open. aiohttp's own default.
POOL_SIZE = 100


class AiohttpTransport:
    """
    A transport for the coroutines of one event loop. Construct it inside that loop.

    Requests that the server holds open have connections of their own, without a limit. The others
    share a pool, and wait for a free connection no longer than for a response.

    :param settings: Its proxy is used.
    :param tls: From :func:`.network.tls_context`, which reads files: call that outside the loop.
    :raises AirbyteConfigError: The proxy cannot be used.
    """

    def __init__(self, settings: AirbyteSettings, tls: SSLContext) -> None:
        self._proxy = proxy_for(settings)
        self._secrets = self._proxy.secrets if self._proxy else ()
        self._session = _session(tls, limit=POOL_SIZE)
        self._held_open = _session(tls, limit=0)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the response, whatever its status, following no redirects.

        :raises AirbyteTransportError: There was no response.
        :raises AirbyteConfigError: The URL cannot be sent.
        """
        url = URL(wire_url(request.url), encoded=True)
        call = Call(request, self._secrets)
        try:
            return await self._send(url, request, call)
        except aiohttp.ClientHttpProxyError as error:
            reason = rejected_tunnel(error.status, error.message)
            failure = call.failure(reason, timed_out=False)
        # aiohttp promises no base class: its parsers and codecs raise others.
        except Exception as error:
            failure = call.failure(
                error, timed_out=isinstance(error, TimeoutError), is_http=_is_http(error)
            )
        # Out here, because it would keep the exception of the library, which contains the request
        # with its headers.
        raise failure

    async def _send(self, url: URL, request: HttpRequest, call: Call) -> HttpResponse:
        # A limit that is over already; the libraries take 0 for no limit.
        call.next_timeout()
        headers, proxy = request.headers, self._proxy
        if proxy and url.scheme == "http":
            # aiohttp sends them with CONNECT only.
            headers = {**headers, **proxy.headers}
        session = self._held_open if request.held_open else self._session
        async with session.request(
            request.method,
            url,
            headers=headers,
            data=request.body,
            timeout=aiohttp.ClientTimeout(
                total=call.total_timeout,
                connect=request.timeout,
                sock_connect=call.connect_timeout,
                sock_read=request.timeout,
            ),
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=proxy.headers if proxy else None,
            trace_request_ctx=call,
        ) as response:
            body, is_cut = await _body(response, request.max_body)
            return HttpResponse(response.status, _headers(response), body, self._secrets, is_cut)

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* without blocking the event loop."""
        await asyncio.sleep(seconds)

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock for the coroutines of this loop."""
        return asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._held_open.close()


def _is_http(error: BaseException) -> bool:
    # The parser's exception is at the end.
    while error.__cause__:
        error = error.__cause__
    # aiohttp 3.11 raises its base class, which others raise for what is HTTP, but too long.
    return not isinstance(error, BadStatusLine) and type(error) is not BadHttpMessage


def _session(tls: SSLContext, *, limit: int) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=limit),
        cookie_jar=aiohttp.DummyCookieJar(),
        # With it, a .netrc would replace the token.
        trust_env=False,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
        trace_configs=[_connection_tracing()],
    )
    # With it, aiohttp itself resends a GET or DELETE whose response was lost. Only api/retry.py
    # decides that: a DELETE of a job cancels any job that runs by then.
    session._retry_connection = False
    return session


def _connection_tracing() -> aiohttp.TraceConfig:
    """Return a tracing that notes in the :class:`.Call` that there is a connection, to be used."""

    async def connected(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: object
    ) -> None:
        del session, params
        context.trace_request_ctx.may_be_sent = True

    tracing = aiohttp.TraceConfig()
    # A new connection: after the tunnel and TLS.
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


async def _body(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """Return the body of *response*, and whether it is longer than *limit*, where it is cut."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > limit:
            # The connection is of no more use, with the rest of the body in it.
            response.close()
            return bytes(body[:limit]), True
    return bytes(body), False


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers, those of the same name joined as in RFC 9110, 5.3."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.raw_headers:
        name, value = header_text(raw_name).lower(), header_text(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
