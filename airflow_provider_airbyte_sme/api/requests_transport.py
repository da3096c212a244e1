"""The blocking transport, over ``requests``."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLContext
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ReadTimeoutError

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


class RequestsTransport:
    """
    A transport whose coroutines never suspend. Threads may share it.

    Its pool keeps idle connections and has no limit, so no request waits for another.

    :param settings: Its TLS files and proxy are used.
    :raises AirbyteConfigError: A certificate file cannot be read, or the proxy cannot be used.
    """

    def __init__(self, settings: AirbyteSettings) -> None:
        self._session = _Session()
        # With it, a .netrc would replace the token, and each request would look up proxies.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        proxy = proxy_for(settings)
        self._session.proxies = {"http": proxy.url, "https": proxy.url} if proxy else {}
        self._secrets = proxy.secrets if proxy else ()
        adapter = _Adapter(tls_context(settings), proxy)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the whole response, whatever its status, following no redirects.

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
            raise call.failure(error, timed_out=_timed_out(error)) from None
        finally:
            _CALL.reset(token)

    def _send(self, url: str, request: HttpRequest, call: Call) -> HttpResponse:
        # A limit that is over already; the libraries take 0 for no limit.
        call.next_timeout()
        response = self._session.request(
            request.method,
            url,
            headers=dict(request.headers),
            data=request.body,
            timeout=(call.connect_timeout, request.timeout),
            allow_redirects=False,
        )
        headers = {
            name.lower(): header_text(value.encode("latin-1"))
            for name, value in response.headers.items()
        }
        return HttpResponse(response.status_code, headers, response.content, self._secrets)

    async def sleep(self, seconds: float) -> None:
        """Block this thread for *seconds*."""
        time.sleep(seconds)  # noqa: ASYNC251  # a blocking transport runs without an event loop

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock for threads."""
        return _ThreadLock()

    async def close(self) -> None:
        """Close all idle connections."""
        self._session.close()


class _Session(requests.Session):
    """Never looks at ``Location``: requests parses it although it does not follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Adapter(HTTPAdapter):
    """Uses one TLS context and one proxy for everything."""

    def __init__(self, tls: SSLContext, proxy: Proxy | None) -> None:
        self._tls = tls
        self._proxy = proxy
        super().__init__()

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
        self, request: requests.PreparedRequest, *_: Any, **__: Any
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

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        # For CONNECT and the TLS handshake.
        connection.settimeout(_CALL.get().next_timeout())
        return connection

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        call = _CALL.get()
        self.sock.settimeout(call.next_timeout())
        # There is a connection, with its tunnel and TLS.
        call.may_be_sent = True
        super().request(*args, **kwargs)


class _BoundedTlsConnection(_BoundedConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTlsConnection


def _timed_out(error: Exception) -> bool:
    # requests reports a timeout in the middle of the body as a connection error.
    return isinstance(error, requests.Timeout) or isinstance(
        root_cause(error), TimeoutError | ReadTimeoutError
    )


class _ThreadLock(AbstractAsyncContextManager[None]):
    """A thread lock as an async context manager: entering it blocks and never suspends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
