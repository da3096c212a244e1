"""The two faces, and memory: three ways to run the same scenario."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from airflow_provider_airbyte_sme.api import AirbyteSettings, Transport, run_blocking
from airflow_provider_airbyte_sme.api.aiohttp_transport import AiohttpTransport
from airflow_provider_airbyte_sme.api.network import tls_context
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import Wire

T = TypeVar("T")
Scenario = Callable[[Transport], Coroutine[Any, Any, T]]


class Face(Protocol):
    """Runs a scenario over a transport of its own, and closes that."""

    def __call__(self, settings: AirbyteSettings, scenario: Scenario[T]) -> T: ...


def over_requests(settings: AirbyteSettings, scenario: Scenario[T]) -> T:
    return run_blocking(_closing(RequestsTransport(settings), scenario))


def over_aiohttp(settings: AirbyteSettings, scenario: Scenario[T]) -> T:
    tls = tls_context(settings)

    async def within_the_loop() -> T:
        return await _closing(AiohttpTransport(settings, tls), scenario)

    if settings.urls.public.startswith("http:"):
        return asyncio.run(within_the_loop())
    # aiohttp 3.11 leaves TLS connections that say goodbye to the garbage collector, when the loop
    # ends with them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        result = asyncio.run(within_the_loop())
        gc.collect()
    return result


def over_memory(emulator: Emulator) -> Face:
    def face(settings: AirbyteSettings, scenario: Scenario[T]) -> T:
        del settings
        return run_blocking(_closing(Wire(emulator), scenario))

    return face


async def _closing(transport: Transport, scenario: Scenario[T]) -> T:
    try:
        return await scenario(transport)
    finally:
        await transport.close()
