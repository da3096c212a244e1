"""The blocking transport, over ``requests``."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from http.client import BadStatusLine, HTTPResponse, RemoteDisconnected
from ssl import SSLContext
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.models import CONTENT_CHUNK_SIZE
from requests.utils import check_header_validity, default_headers
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import TimeoutError as UrllibTimeoutError

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.network import (
    Call,
    Proxy,
    header_text,
    proxy_for,
    root_cause,
    tls_context,
    wire_url,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

# The call that this thread makes: requests has no way to hand it to a connection.
_CALL: ContextVar[Call] = ContextVar("_CALL")

# The headers of a request win.
_DEFAULT_HEADERS = default_headers()


class RequestsTransport:
    """
    A transport whose coroutines never suspend. Threads may share it.

    It has no session of requests, which would look for cookies, redirects, proxies and a .netrc,
    and take as long for that as the rest of a call takes. Its pool keeps idle connections and has
    no limit, so no request waits for another.

    :param settings: Its TLS files and proxy are used.
    :raises AirbyteConfigError: A certificate file cannot be read, or the proxy cannot be used.
    """

    def __init__(self, settings: AirbyteSettings) -> None:
        proxy = proxy_for(settings)
        self._proxies = {"http": proxy.url, "https": proxy.url} if proxy else {}
        self._secrets = proxy.secrets if proxy else ()
        self._adapter = _Adapter(tls_context(settings), proxy)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the response, whatever its status, following no redirects.

        The operating system bounds the name look-up; each address of the host may take the
        connect timeout.

        :raises AirbyteTransportError: There was no response.
        :raises AirbyteConfigError: The URL cannot be sent.
        """
        url = wire_url(request.url)
        call = Call(request, self._secrets)
        token = _CALL.set(call)
        try:
            return self._send(url, request, call)
        # requests lets exceptions of urllib3 and of the standard library escape.
        except Exception as error:
            failure = call.failure(error, timed_out=_timed_out(error), is_http=_is_http(error))
        finally:
            _CALL.reset(token)
        # Out here, because it would keep the exception of the library, which may contain the
        # password of a proxy.
        raise failure

    def _send(self, url: str, request: HttpRequest, call: Call) -> HttpResponse:
        # A limit that is over already; the libraries take 0 for no limit.
        call.next_timeout()
        response = self._adapter.send(
            _prepared(url, request),
            timeout=(call.connect_timeout, request.timeout),
            proxies=self._proxies,
        )
        headers = {
            name.lower(): header_text(value.encode("latin-1"))
            for name, value in response.headers.items()
        }
        body, is_cut = _body(response, request.max_body)
        return HttpResponse(response.status_code, headers, body, self._secrets, is_cut)

    async def sleep(self, seconds: float) -> None:
        """Block this thread for *seconds*."""
        time.sleep(seconds)  # noqa: ASYNC251  # a blocking transport runs without an event loop

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock for threads."""
        return _ThreadLock()

    async def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()


def _body(response: Response, limit: int) -> tuple[bytes, bool]:
    """Return the body of *response*, and whether it is longer than *limit*, where it is cut."""
    body = bytearray()
    for part in response.iter_content(CONTENT_CHUNK_SIZE):
        body += part
        if len(body) > limit:
            # The connection is of no more use, with the rest of the body in it.
            response.close()
            return bytes(body[:limit]), True
    return bytes(body), False


def _prepared(url: str, request: HttpRequest) -> PreparedRequest:
    """
    Return *request* as it is: requests would encode its URL again.

    :raises requests.exceptions.InvalidHeader: A header contains what no header may contain.
    """
    for header in request.headers.items():
        check_header_validity(header)
    prepared = PreparedRequest()
    prepared.method = request.method
    prepared.url = url
    prepared.headers = _DEFAULT_HEADERS.copy()
    prepared.headers.update(request.headers)
    prepared.body = request.body
    if request.body is not None or request.method != "GET":
        prepared.headers["Content-Length"] = str(len(request.body or b""))
    return prepared


class _Adapter(HTTPAdapter):
    """Uses one TLS context and one proxy for everything."""

    def __init__(self, tls: SSLContext, proxy: Proxy | None) -> None:
        self._tls = tls
        self._proxy = proxy
        # Only api/retry.py decides about retries.
        super().__init__(max_retries=Retry(False))

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **_: Any
    ) -> None:
        options: dict[str, Any] = {
            "num_pools": connections,
            "maxsize": maxsize,
            "block": block,
            "ssl_context": self._tls,
        }
        if self._proxy:
            self.poolmanager = ProxyManager(
                self._proxy.url,
                proxy_headers=self._proxy.headers,
                proxy_ssl_context=self._tls,
                **options,
            )
        else:
            self.poolmanager = PoolManager(**options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_: Any, **__: Any
    ) -> HTTPConnectionPool:
        pool: HTTPConnectionPool = self.poolmanager.connection_from_url(request.url)
        return pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave the authorities to the TLS context: requests would add its own."""


class _Reader(io.RawIOBase):
    """Reads from a socket, and ends with the deadline of the call, however little arrives."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._connection = connection
        self._call = _CALL.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        # The timeout of a socket is for one read.
        self._connection.settimeout(self._call.next_timeout())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock))


class _BoundedConnection(HTTPConnection):
    """A connection whose calls end at their deadline, and know whether they may be sent."""

    # Reads the response to CONNECT too.
    response_class = _Response

    def __str__(self) -> str:
        """Return what urllib3 puts before the reason of an error."""
        return f"{self.host}:{self.port}"

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        # For CONNECT and the TLS handshake.
        connection.settimeout(_CALL.get().next_timeout())
        return connection

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(_CALL.get().next_timeout())
        super().request(*args, **kwargs)

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        # There is a connection, with its tunnel and TLS, and no header was rejected.
        _CALL.get().may_be_sent = True
        super().endheaders(*args, **kwargs)


class _BoundedTlsConnection(_BoundedConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTlsConnection


def _timed_out(error: Exception) -> bool:
    cause = root_cause(error)
    # A refused connection is a kind of timeout to urllib3.
    return isinstance(cause, TimeoutError | UrllibTimeoutError) and not isinstance(
        cause, NewConnectionError
    )


def _is_http(error: Exception) -> bool:
    cause = root_cause(error)
    # A closed connection is an empty status line to the standard library.
    return isinstance(cause, RemoteDisconnected) or not isinstance(cause, BadStatusLine)


class _ThreadLock(AbstractAsyncContextManager[None]):
    """A thread lock as an async context manager: entering it blocks and never suspends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
