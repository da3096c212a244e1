"""The blocking face, over ``requests``."""

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
    no_answer,
    proxy_for,
    root_cause,
    tls_context,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings


class RequestsTransport:
    """
    A transport whose coroutines never suspend; it may be shared by threads.

    :param settings: TLS and proxy of the Airbyte that it talks to.
    :raises AirbyteConfigError: A certificate file cannot be read.
    """

    def __init__(self, settings: AirbyteSettings) -> None:
        self._session = requests.Session()
        # Otherwise a .netrc would replace the token, and proxies would be looked up per request.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.verify = ca_file(settings) if settings.verify_tls else False
        proxy = proxy_for(settings)
        self._session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._session.mount("https://", _TlsAdapter(tls_context(settings)))

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the whole answer, whatever its status; follow no redirect.

        :raises AirbyteTransportError: No answer came back.
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
            raise no_answer(
                AirbyteRequestTimeoutError, request, error, request_sent=False
            ) from None
        except requests.exceptions.Timeout as error:
            raise no_answer(AirbyteRequestTimeoutError, request, error, request_sent=True) from None
        except requests.exceptions.RequestException as error:
            late = isinstance(_wrapped(error), ReadTimeoutError)  # in the middle of the body
            raise no_answer(
                AirbyteRequestTimeoutError if late else AirbyteTransportError,
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
        time.sleep(seconds)  # noqa: ASYNC251  # the blocking face: there is no event loop here

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock between threads."""
        return _ThreadLock()

    async def close(self) -> None:
        """Give back the connections."""
        self._session.close()


class _TlsAdapter(HTTPAdapter):
    """Speaks TLS with one given context, through a proxy too."""

    def __init__(self, context: SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    """Whether the request surely never left: a proxy and a distrust come before it does, too."""
    if isinstance(error, requests.exceptions.ProxyError | requests.exceptions.InvalidURL):
        return True
    # Any other failure of TLS may have come after the request.
    if isinstance(root_cause(error), SSLCertVerificationError):
        return True
    return isinstance(getattr(_wrapped(error), "reason", None), NewConnectionError)


def _wrapped(error: requests.exceptions.RequestException) -> object:
    """Return what urllib3 raised."""
    return next(iter(error.args), None)


class _ThreadLock(AbstractAsyncContextManager[None]):
    """A thread lock in the form that the client asks for; entering it blocks, it never suspends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
