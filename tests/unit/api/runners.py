"""Three ways to run the same scenario: over requests, over aiohttp and in memory."""

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


class Runner(Protocol):
    """Runs a scenario over a new transport, and closes that transport."""

    def __call__(self, settings: AirbyteSettings, scenario: Scenario[T]) -> T: ...


def over_requests(settings: AirbyteSettings, scenario: Scenario[T]) -> T:
    return run_blocking(_closing(RequestsTransport(settings), scenario))


def over_aiohttp(settings: AirbyteSettings, scenario: Scenario[T]) -> T:
    tls = tls_context(settings)

    async def in_loop() -> T:
        return await _closing(AiohttpTransport(settings, tls), scenario)

    if settings.urls.public.startswith("http:") and not settings.proxy:
        return asyncio.run(in_loop())
    # When the loop ends while TLS connections are still closing, they are left to the garbage
    # collector: a server that is silent does not take part in the end of TLS.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return asyncio.run(in_loop())
        finally:
            gc.collect()


def over_memory(emulator: Emulator) -> Runner:
    def runner(settings: AirbyteSettings, scenario: Scenario[T]) -> T:
        del settings
        return run_blocking(_closing(Wire(emulator), scenario))

    return runner


async def _closing(transport: Transport, scenario: Scenario[T]) -> T:
    try:
        return await scenario(transport)
    finally:
        await transport.close()
