"""The in-memory transport: connects the client to an emulator without sockets."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator.backend import Backend


class MemoryTransport:
    """
    A client transport that calls an emulator directly.

    It never suspends, so it works for both sync and async clients. With a manual clock,
    :meth:`sleep` and delayed responses advance the clock instead of waiting.
    """

    def __init__(self, emulator: Backend) -> None:
        self._emulator = emulator
        #: Durations of all sleeps so far, in seconds.
        self.slept: list[float] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and return the response.

        :raises AirbyteRequestTimeoutError: A fault delays the response for longer than the
            request's timeout.
        :raises AirbyteTransportError: A fault dropped the connection.
        """
        delivery = self._emulator.handle(request)
        if delivery.delay:
            self._emulator.clock.sleep(min(delivery.delay, request.timeout))
            self._emulator.settle()
            if delivery.delay > request.timeout:
                raise AirbyteRequestTimeoutError(
                    f"No response within {request.timeout:g} s.", request_sent=True
                )
        if delivery.response is None:
            raise AirbyteTransportError(
                "The connection was closed without a response.", request_sent=True
            )
        return delivery.response

    async def sleep(self, seconds: float) -> None:
        """Sleep for *seconds* on the emulator's clock."""
        self.slept.append(seconds)
        self._emulator.clock.sleep(seconds)
        self._emulator.settle()

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock that does nothing: no call on this transport ever suspends."""
        return nullcontext()

    async def close(self) -> None:
        """Do nothing: there are no connections to close."""
