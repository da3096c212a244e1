"""The in-memory transport: connects the client to an emulator without sockets."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator.backend import Backend
from airflow_provider_airbyte_sme.emulator.wire import encode


class MemoryTransport:
    """
    A client transport that calls an emulator directly.

    It never suspends, so it works for both sync and async clients. With a manual clock,
    :meth:`sleep` and delayed responses advance the clock instead of waiting. A request that a fault
    holds back is handled at the latest when the client gives up.
    """

    def __init__(self, emulator: Backend) -> None:
        self._emulator = emulator
        #: Durations of all sleeps so far, in seconds.
        self.slept: list[float] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Send *request* and return the response.

        :raises AirbyteRequestTimeoutError: A fault delays the response for longer than the
            request's timeout, or sends it so slowly that its total timeout is over.
        :raises AirbyteTransportError: A fault dropped the connection or cut the response off.
        """
        delivery = self._emulator.handle(request)
        is_late = self._wait(delivery.delay, request.timeout)
        if delivery.later is not None:
            delivery = delivery.later()
        if is_late:
            raise _timeout(request.timeout)
        response = delivery.response
        if response is None:
            raise AirbyteTransportError(
                "The connection was closed without a response.", request_sent=True
            )
        if delivery.cut is not None and delivery.cut < len(response.body):
            raise AirbyteTransportError(
                f"The response ended after {delivery.cut} of {len(response.body)} bytes.",
                request_sent=True,
            )
        limit = request.total_timeout
        if self._wait(delivery.pause * len(encode(response)), limit) and limit is not None:
            raise _timeout(limit)
        if len(response.body) > request.max_body:
            return replace(response, body=response.body[: request.max_body], is_cut=True)
        return response

    def _wait(self, seconds: float, limit: float | None) -> bool:
        """Wait on the emulator's clock, at most *limit*; return whether that was too short."""
        is_late = limit is not None and seconds > limit
        if seconds:
            self._emulator.clock.sleep(limit if is_late and limit is not None else seconds)
            self._emulator.settle()
        return is_late

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


def _timeout(seconds: float) -> AirbyteRequestTimeoutError:
    return AirbyteRequestTimeoutError(f"No response within {seconds:g} s.", request_sent=True)
