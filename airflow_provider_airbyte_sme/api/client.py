"""The Airbyte client: a session, and its operations in groups."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from airflow_provider_airbyte_sme.api.resources.connections import Connections
from airflow_provider_airbyte_sme.api.resources.jobs import Jobs
from airflow_provider_airbyte_sme.api.resources.system import System
from airflow_provider_airbyte_sme.api.resources.workspaces import Workspaces
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings


class AirbyteClient:
    """
    A client of one Airbyte, written once for sync and async callers.

    Over a blocking transport, :func:`.http.run_blocking` runs its coroutines, which then never
    suspend. Operations are in groups: ``client.jobs.get(42)``, ``client.workspaces.list()``.

    :param session: Sends the requests. The client closes it.
    """

    def __init__(self, session: AirbyteSession) -> None:
        self.session = session
        self.connections = Connections(session)
        self.jobs = Jobs(session, self.connections)
        self.system = System(session)
        self.workspaces = Workspaces(session)

    @property
    def settings(self) -> AirbyteSettings:
        """URLs and credentials."""
        return self.session.settings

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.urls.public!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def authenticate(self) -> None:
        """Request a token if needed. See :meth:`.AirbyteSession.authenticate`."""
        await self.session.authenticate()

    async def close(self) -> None:
        """Close the transport."""
        await self.session.close()
