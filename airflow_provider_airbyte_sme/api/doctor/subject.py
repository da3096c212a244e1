"""What the steps look at, and what they tell each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from airflow_provider_airbyte_sme.api.client import AirbyteClient
from airflow_provider_airbyte_sme.api.http import Transport
from airflow_provider_airbyte_sme.api.models import AirbyteConnection, Instance, Job, Workspace
from airflow_provider_airbyte_sme.api.network import Proxy
from airflow_provider_airbyte_sme.api.retry import RetryPolicy
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

# A person is waiting.
ONE_ATTEMPT = RetryPolicy(max_attempts=1)


@dataclass
class Subject:
    """
    One Airbyte, as far as it has been looked at.

    :param settings: How it is reached.
    :param open_transport: Makes a blocking transport.
    :param connection_id: UUID of the Airbyte connection to look at; empty for none.
    :param clock: Monotonic clock, in seconds.
    """

    settings: AirbyteSettings
    open_transport: Callable[[AirbyteSettings], Transport]
    connection_id: str = ""
    clock: Callable[[], float] = time.monotonic
    proxy: Proxy | None = None
    # Airbyte's clock (Date) and ours at the same moment; the same for the issuer of the token.
    server_clock: tuple[datetime, float] | None = None
    token_clock: tuple[float, float] | None = None
    instance: Instance = field(default_factory=Instance)
    workspaces: tuple[Workspace, ...] = ()
    connection: AirbyteConnection | None = None
    jobs: tuple[Job, ...] = ()

    @cached_property
    def client(self) -> AirbyteClient:
        """The client of all steps. It is made at its first use: wrong settings fail that step."""
        transport = self.open_transport(self.settings)
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
