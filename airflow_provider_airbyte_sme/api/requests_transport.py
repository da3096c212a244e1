"""The blocking transport, over ``requests``."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractAsyncContextManager
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError, SSLContext
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.network import (
    ca_file,
    connect_timeout,
    proxy_for,
    root_cause,
    tls_context,
    transport_error,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings


class RequestsTransport:
    """
    A transport whose coroutines never suspend. Threads may share it.

    :param settings: Its TLS files and proxy are used.
    :raises AirbyteConfigError: A certificate file cannot be read.
    """

    def __init__(self, settings: AirbyteSettings) -> None:
        self._session = requests.Session()
        # With it, a .netrc would replace the token, and each request would look up proxies.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.verify = ca_file(settings) if settings.verify_tls else False
        proxy = proxy_for(settings)
        self._session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._session.mount("https://", _TlsAdapter(tls_context(settings)))

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the whole response, whatever its status, following no redirects.

        :raises AirbyteTransportError: There was no response.
        """
        try:
            response = self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                timeout=(connect_timeout(request), request.timeout),
                allow_redirects=False,
            )
        except requests.exceptions.ConnectTimeout as error:
            raise transport_error(
                AirbyteRequestTimeoutError, request, error, request_sent=False
            ) from None
        except requests.exceptions.Timeout as error:
            raise transport_error(
                AirbyteRequestTimeoutError, request, error, request_sent=True
            ) from None
        except requests.exceptions.RequestException as error:
            # requests reports a timeout in the middle of the body as a connection error.
            timed_out = isinstance(_wrapped(error), ReadTimeoutError)
            raise transport_error(
                AirbyteRequestTimeoutError if timed_out else AirbyteTransportError,
                request,
                error,
                request_sent=not _never_connected(error),
            ) from None
        return HttpResponse(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            response.content,
        )

    async def sleep(self, seconds: float) -> None:
        """Block this thread for *seconds*."""
        time.sleep(seconds)  # noqa: ASYNC251  # a blocking transport runs without an event loop

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock for threads."""
        return _ThreadLock()

    async def close(self) -> None:
        """Close the connection pool."""
        self._session.close()


class _TlsAdapter(HTTPAdapter):
    """Uses one TLS context, through a proxy too."""

    def __init__(self, context: SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    """Whether the request was surely not sent: no connection, proxy or trusted certificate."""
    if isinstance(error, requests.exceptions.ProxyError | requests.exceptions.InvalidURL):
        return True
    # Any other TLS failure may have come after the request was sent.
    if isinstance(root_cause(error), SSLCertVerificationError):
        return True
    return isinstance(getattr(_wrapped(error), "reason", None), NewConnectionError)


def _wrapped(error: requests.exceptions.RequestException) -> object:
    """Return the exception that urllib3 raised."""
    return next(iter(error.args), None)


class _ThreadLock(AbstractAsyncContextManager[None]):
    """A thread lock as an async context manager: entering it blocks and never suspends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
