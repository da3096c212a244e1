"""The Airbyte client: a session, and its operations in groups."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeVar

from airflow_provider_airbyte_sme.api.resources.actors import Destinations, Sources
from airflow_provider_airbyte_sme.api.resources.connections import Connections
from airflow_provider_airbyte_sme.api.resources.definitions import (
    ConnectorDefinitions,
    DeclarativeSources,
    DestinationDefinitions,
    SourceDefinitions,
)
from airflow_provider_airbyte_sme.api.resources.groups import (
    GroupMembers,
    GroupPermissions,
    Groups,
)
from airflow_provider_airbyte_sme.api.resources.jobs import Jobs
from airflow_provider_airbyte_sme.api.resources.oauth import OAuth
from airflow_provider_airbyte_sme.api.resources.people import (
    Applications,
    Organizations,
    Permissions,
    Users,
)
from airflow_provider_airbyte_sme.api.resources.regions import Dataplanes, Regions
from airflow_provider_airbyte_sme.api.resources.streams import Streams
from airflow_provider_airbyte_sme.api.resources.system import System
from airflow_provider_airbyte_sme.api.resources.tags import Tags
from airflow_provider_airbyte_sme.api.resources.workspaces import Workspaces
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import AirbyteSettings

G = TypeVar("G")


class AirbyteClient:
    """
    A client of one Airbyte, written once for sync and async callers.

    Over a blocking transport, :func:`.http.run_blocking` runs its coroutines, which then never
    suspend. Operations are in groups: ``client.jobs.get(42)``, ``client.workspaces.list()``.

    :param session: Sends the requests. The client closes it.
    """

    def __init__(self, session: AirbyteSession) -> None:
        self.session = session
        self.workspaces = Workspaces(session)
        self.sources = Sources(session)
        self.destinations = Destinations(session)
        self.connections = Connections(session)
        self.streams = Streams(session)
        self.tags = Tags(session)
        self.jobs = Jobs(session, self.connections)
        self.source_definitions = SourceDefinitions(session)
        self.destination_definitions = DestinationDefinitions(session)
        self.declarative_source_definitions = DeclarativeSources(session)
        self.connector_definitions = ConnectorDefinitions(session)
        self.oauth = OAuth(session)
        self.organizations = Organizations(session)
        self.users = Users(session)
        self.permissions = Permissions(session)
        self.applications = Applications(session)
        self.groups = Groups(session)
        self.group_members = GroupMembers(session)
        self.group_permissions = GroupPermissions(session)
        self.regions = Regions(session)
        self.dataplanes = Dataplanes(session)
        self.system = System(session)

    @property
    def settings(self) -> AirbyteSettings:
        """URLs and credentials."""
        return self.session.settings

    def group(self, operations: type[G]) -> G:
        """
        Return the operations of one class: ``client.group(Jobs)`` is ``client.jobs``.

        :param operations: The class.
        """
        return next(each for each in vars(self).values() if isinstance(each, operations))

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
