"""One client for all triggers of an event loop that reach the same Airbyte in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_airbyte_sme.api import AirbyteClient, AirbyteSession, AirbyteSettings

if TYPE_CHECKING:
    from ssl import SSLContext

    from airflow_provider_airbyte_sme.api.aiohttp_transport import AiohttpTransport


class _SharedClient:
    def __init__(self, client: AirbyteClient) -> None:
        self.client = client
        self.users = 0


class _LoopClients:
    """The clients of one event loop. The lock keeps two triggers from making the same one."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.clients: dict[Hashable, _SharedClient] = {}


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(settings: AirbyteSettings) -> AsyncIterator[AirbyteClient]:
    """
    Provide the running loop's client for what :attr:`.AirbyteSettings.reach` says.

    All requests then share one token and one connection pool. The last user closes it. Client id
    and secret are part of the key, so no one gets a token that was exchanged with another secret.

    :raises AirbyteConfigError: A certificate file cannot be read.
    """
    loop = _loops.setdefault(asyncio.get_running_loop(), _LoopClients())
    key = settings.reach
    async with loop.lock:
        if key not in loop.clients:
            loop.clients[key] = _SharedClient(await _make_client(settings))
        shared = loop.clients[key]
        shared.users += 1
    try:
        yield shared.client
    finally:
        shared.users -= 1
        if not shared.users:
            del loop.clients[key]
            await shared.client.close()


async def _make_client(settings: AirbyteSettings) -> AirbyteClient:
    # In a thread: importing aiohttp and reading certificates would block the other triggers.
    transport_class, tls = await asyncio.to_thread(_prepare, settings)
    return AirbyteClient(AirbyteSession(settings, transport_class(settings, tls)))


def _prepare(settings: AirbyteSettings) -> tuple[type[AiohttpTransport], SSLContext]:
    from airflow_provider_airbyte_sme.api.aiohttp_transport import AiohttpTransport
    from airflow_provider_airbyte_sme.api.network import tls_context

    return AiohttpTransport, tls_context(settings)
