"""The event-loop face, over ``aiohttp``."""

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
    no_answer,
    proxy_for,
)
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings


class AiohttpTransport:
    """
    A transport for the coroutines of one event loop; made while that loop runs.

    :param settings: Proxy on the way to the Airbyte that it talks to.
    :param tls: Made by :func:`.network.tls_context`; that reads files, so not in the loop.
    """

    def __init__(self, settings: AirbyteSettings, tls: SSLContext) -> None:
        self._proxy = proxy_for(settings)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Otherwise a .netrc would replace the token.
            trust_env=False,
        )
        # Otherwise aiohttp sends a GET or DELETE again when its answer is lost. Whether that is
        # right is not for it to say: a DELETE of a job hits whatever runs by then.
        self._session._retry_connection = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and read the whole answer, whatever its status; follow no redirect.

        :raises AirbyteTransportError: No answer came back.
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
            raise no_answer(
                AirbyteRequestTimeoutError, request, error, request_sent=False
            ) from None
        except TimeoutError as error:
            raise no_answer(AirbyteRequestTimeoutError, request, error, request_sent=True) from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            raise no_answer(AirbyteTransportError, request, error, request_sent=False) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            raise no_answer(AirbyteTransportError, request, error, request_sent=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise no_answer(AirbyteTransportError, request, error, request_sent=True) from None

    async def sleep(self, seconds: float) -> None:
        """Let the loop do other things for *seconds*."""
        await asyncio.sleep(seconds)

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock between the coroutines of this loop."""
        return asyncio.Lock()

    async def close(self) -> None:
        """Give back the connections."""
        await self._session.close()
