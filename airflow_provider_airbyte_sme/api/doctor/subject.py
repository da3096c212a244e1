"""What the steps look at, and what they tell each other."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api.client import AirbyteClient
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse, Transport
from airflow_provider_airbyte_sme.api.models import AirbyteConnection, Instance, Job, Workspace
from airflow_provider_airbyte_sme.api.network import Proxy
from airflow_provider_airbyte_sme.api.retry import RetryPolicy
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

# A person is waiting.
ONE_ATTEMPT = RetryPolicy(max_attempts=1)
# Seconds of a step for which there is no time: 0 would be no limit, or no waiting at all.
SHORTEST = 0.001


class Address(NamedTuple):
    """One address of a host, as a socket takes it."""

    family: socket.AddressFamily
    place: tuple[Any, ...]

    def __str__(self) -> str:
        return str(self.place[0])


@dataclass
class Subject:
    """
    One Airbyte, as far as it has been looked at.

    :param settings: How it is reached.
    :param open_transport: Makes a blocking transport.
    :param connection_id: UUID of the Airbyte connection to look at; empty for none.
    :param clock: Monotonic clock, in seconds.
    :param time_limit: Seconds for all checks together, from now on.
    :ivar addresses: Of the first host on the way, in the order to try them.
    :ivar has_responded: Whether Airbyte, or something in its place, has sent a response.
    """

    settings: AirbyteSettings
    open_transport: Callable[[AirbyteSettings], Transport]
    connection_id: str = ""
    clock: Callable[[], float] = time.monotonic
    time_limit: float = math.inf
    addresses: tuple[Address, ...] = ()
    proxy: Proxy | None = None
    has_responded: bool = False
    # Airbyte's clock (Date) and ours at the same moment; the same for the issuer of the token.
    server_clock: tuple[datetime, float] | None = None
    token_clock: tuple[float, float] | None = None
    instance: Instance = field(default_factory=Instance)
    workspaces: tuple[Workspace, ...] = ()
    connection: AirbyteConnection | None = None
    jobs: tuple[Job, ...] = ()

    def __post_init__(self) -> None:
        self._deadline = self.clock() + self.time_limit

    def seconds_left(self) -> float:
        """Return the seconds until the time for all checks is over; below 0 afterwards."""
        return self._deadline - self.clock()

    def transport(self, settings: AirbyteSettings) -> Transport:
        """Return a transport whose requests end in time."""
        return _TimelyTransport(self.open_transport(settings), self.seconds_left)

    @cached_property
    def client(self) -> AirbyteClient:
        """The client of all steps. It is made at its first use: wrong settings fail that step."""
        transport = self.transport(self.settings)
        session = AirbyteSession(self.settings, transport, retry=ONE_ATTEMPT, clock=self.clock)
        return AirbyteClient(session)

    def secrets(self) -> Sequence[str]:
        """Return what must not appear in a check."""
        of_proxy = self.proxy.secrets if self.proxy else ()
        client = vars(self).get("client")
        return (*(client.session.secrets if client else self.settings.secrets), *of_proxy)

    async def close(self) -> None:
        """Close the client, if there is one."""
        if client := vars(self).get("client"):
            await client.close()


class _TimelyTransport:
    """
    A transport whose requests end in time.

    :param seconds_left: Returns how many seconds they have.
    """

    def __init__(self, transport: Transport, seconds_left: Callable[[], float]) -> None:
        self._transport = transport
        self._seconds_left = seconds_left

    async def send(self, request: HttpRequest) -> HttpResponse:
        total = self._seconds_left()
        if request.total_timeout is not None:
            total = min(total, request.total_timeout)
        total = max(total, SHORTEST)
        timeout = min(request.timeout, total)
        return await self._transport.send(replace(request, timeout=timeout, total_timeout=total))

    async def sleep(self, seconds: float) -> None:
        await self._transport.sleep(seconds)

    def lock(self) -> AbstractAsyncContextManager[None]:
        return self._transport.lock()

    async def close(self) -> None:
        await self._transport.close()
