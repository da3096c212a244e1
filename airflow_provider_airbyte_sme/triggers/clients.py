"""One client for all triggers of an event loop that talk to the same Airbyte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_airbyte_sme.api import AirbyteClient, AirbyteSettings

if TYPE_CHECKING:
    from ssl import SSLContext

    from airflow_provider_airbyte_sme.api.aiohttp_transport import AiohttpTransport


@dataclass(slots=True)
class _Lent:
    client: AirbyteClient
    borrowers: int = 0


@dataclass(slots=True)
class _Shelf:
    """What one event loop shares; the lock keeps two triggers from making the same client."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    lent: dict[AirbyteSettings, _Lent] = field(default_factory=dict)


_shelves: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shelf] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(settings: AirbyteSettings) -> AsyncIterator[AirbyteClient]:
    """
    Lend the running loop's client for *settings*, made for the first borrower, closed by the last.

    A thousand waits then share one token and one pool of connections. Settings hold host, client
    id and secret, so nobody gets a token that was exchanged with another secret.

    :raises AirbyteConfigError: A certificate file cannot be read.
    """
    shelf = _shelves.setdefault(asyncio.get_running_loop(), _Shelf())
    async with shelf.lock:
        if settings not in shelf.lent:
            shelf.lent[settings] = _Lent(await _make_client(settings))
        lent = shelf.lent[settings]
        lent.borrowers += 1
    try:
        yield lent.client
    finally:
        lent.borrowers -= 1
        if not lent.borrowers:
            del shelf.lent[settings]
            await lent.client.close()


async def _make_client(settings: AirbyteSettings) -> AirbyteClient:
    # Importing aiohttp and reading certificates take long enough for other triggers to notice.
    transport_class, tls = await asyncio.to_thread(_prepare, settings)
    return AirbyteClient(settings, transport_class(settings, tls))


def _prepare(settings: AirbyteSettings) -> tuple[type[AiohttpTransport], SSLContext]:
    from airflow_provider_airbyte_sme.api.aiohttp_transport import AiohttpTransport
    from airflow_provider_airbyte_sme.api.network import tls_context

    return AiohttpTransport, tls_context(settings)
