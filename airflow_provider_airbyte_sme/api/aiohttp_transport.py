"""The async transport, over ``aiohttp``."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from ssl import SSLContext

import aiohttp
from yarl import URL

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.network import (
    connect_timeout,
    proxy_for,
    transport_error,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings


class AiohttpTransport:
    """
    A transport for the coroutines of one event loop. Construct it inside that loop.

    :param settings: Its proxy is used.
    :param tls: From :func:`.network.tls_context`, which reads files: call that outside the loop.
    """

    def __init__(self, settings: AirbyteSettings, tls: SSLContext) -> None:
        self._proxy = proxy_for(settings)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            # With it, a .netrc would replace the token.
            trust_env=False,
        )
        # With it, aiohttp itself resends a GET or DELETE whose response was lost. Only api/retry.py
        # decides that: a DELETE of a job cancels any job that runs by then.
        self._session._retry_connection = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the whole response, whatever its status, following no redirects.

        :raises AirbyteTransportError: There was no response.
        """
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=connect_timeout(request), sock_read=request.timeout
                ),
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                return HttpResponse(
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                    await response.read(),
                )
        except aiohttp.ConnectionTimeoutError as error:
            raise transport_error(
                AirbyteRequestTimeoutError, request, error, request_sent=False
            ) from None
        except TimeoutError as error:
            raise transport_error(
                AirbyteRequestTimeoutError, request, error, request_sent=True
            ) from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            raise transport_error(
                AirbyteTransportError, request, error, request_sent=False
            ) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            raise transport_error(
                AirbyteTransportError, request, error, request_sent=False
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise transport_error(
                AirbyteTransportError, request, error, request_sent=True
            ) from None

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* without blocking the event loop."""
        await asyncio.sleep(seconds)

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock for the coroutines of this loop."""
        return asyncio.Lock()

    async def close(self) -> None:
        """Close the connection pool."""
        await self._session.close()
