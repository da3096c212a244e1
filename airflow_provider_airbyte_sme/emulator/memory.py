"""The emulator as a transport of the client, without any network."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.emulator import Emulator


class MemoryTransport:
    """
    Reaches an emulator by calling it. It never suspends, so it also serves the blocking face.

    Whoever waits moves the time: with a manual clock, :meth:`sleep` and late answers advance it.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        #: Every sleep so far, in seconds.
        self.slept: list[float] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """
        Hand *request* over and return the answer.

        :raises AirbyteRequestTimeoutError: The answer was ordered to come later than the
            request's time-out.
        :raises AirbyteTransportError: The answer was ordered to be lost.
        """
        answer = self._emulator.answer(request)
        if answer.delay:
            self._emulator.clock.sleep(min(answer.delay, request.timeout))
            self._emulator.settle()
            if answer.delay > request.timeout:
                raise AirbyteRequestTimeoutError(
                    f"No answer within {request.timeout:g} s.", request_sent=True
                )
        if answer.response is None:
            raise AirbyteTransportError(
                "The connection was closed without an answer.", request_sent=True
            )
        return answer.response

    async def sleep(self, seconds: float) -> None:
        """Let *seconds* pass on the emulator's clock."""
        self.slept.append(seconds)
        self._emulator.clock.sleep(seconds)
        self._emulator.settle()

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return a lock that is always free: nothing on this transport ever waits."""
        return nullcontext()

    async def close(self) -> None:
        """There is nothing to give back."""
