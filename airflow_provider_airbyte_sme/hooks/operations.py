"""The operations of the client as blocking methods: the part of the hook without Airflow."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from airflow_provider_airbyte_sme.api import AirbyteClient, run_blocking
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

G = TypeVar("G")
P = ParamSpec("P")
R = TypeVar("R")


class _HasClient(Protocol):
    @property
    def client(self) -> AirbyteClient: ...


def blocking(
    group: type[G],
    operation: Callable[Concatenate[G, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[_HasClient, P], R]:
    """
    Return a method that runs *operation* to its end.

    It has the signature and the docstring of *operation*.

    :param group: The class of the client's group that has the operation.
    """

    @wraps(operation)
    def method(self: _HasClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return run_blocking(operation(self.client.group(group), *args, **kwargs))

    return method


class AirbyteOperations:
    """
    All operations of the client under flat names.

    They are those of Airbyte's API. Where Airflow has a name of its own for something else, such as
    ``get_connection``, Airbyte's has a prefix. A PATCH is called ``update``, a PUT of a source or
    destination ``replace``.
    """

    create_job = blocking(Jobs, Jobs.create)
    clear_streams = blocking(Jobs, Jobs.clear_streams)
    refresh_connection = blocking(Jobs, Jobs.refresh)
    get_job = blocking(Jobs, Jobs.get)
    list_jobs = blocking(Jobs, Jobs.list)
    find_running_job = blocking(Jobs, Jobs.find_running)
    find_created_job = blocking(Jobs, Jobs.find_created)
    cancel_job = blocking(Jobs, Jobs.cancel)
    wait_for_job = blocking(Jobs, Jobs.wait)
    poll_job = blocking(Jobs, Jobs.poll)
    log_job_progress = blocking(Jobs, Jobs.log_progress)
    find_usual_duration = blocking(Jobs, Jobs.find_usual_duration)
    find_job_history = blocking(Jobs, Jobs.find_history)
    poll_job_history = blocking(Jobs, Jobs.poll_history)
    find_ended_syncs = blocking(Jobs, Jobs.poll_syncs)
    read_job_details = blocking(Jobs, Jobs.read_details)
    poll_job_details = blocking(Jobs, Jobs.poll_details)
    ensure_succeeded = blocking(Jobs, Jobs.ensure_succeeded)
    find_connection_of_job = blocking(Jobs, Jobs.find_connection)

    list_workspaces = blocking(Workspaces, Workspaces.list)
    find_workspace_by_name = blocking(Workspaces, Workspaces.find_by_name)
    get_workspace = blocking(Workspaces, Workspaces.get)
    create_workspace = blocking(Workspaces, Workspaces.create)
    update_workspace = blocking(Workspaces, Workspaces.update)
    delete_workspace = blocking(Workspaces, Workspaces.delete)

    list_sources = blocking(Sources, Sources.list)
    find_source_by_name = blocking(Sources, Sources.find_by_name)
    get_source = blocking(Sources, Sources.get)
    create_source = blocking(Sources, Sources.create)
    update_source = blocking(Sources, Sources.update)
    replace_source = blocking(Sources, Sources.replace)
    delete_source = blocking(Sources, Sources.delete)
    read_source_specification = blocking(Sources, Sources.read_specification)
    check_source = blocking(Sources, Sources.check)
    check_source_update = blocking(Sources, Sources.check_update)

    list_destinations = blocking(Destinations, Destinations.list)
    find_destination_by_name = blocking(Destinations, Destinations.find_by_name)
    get_destination = blocking(Destinations, Destinations.get)
    create_destination = blocking(Destinations, Destinations.create)
    update_destination = blocking(Destinations, Destinations.update)
    replace_destination = blocking(Destinations, Destinations.replace)
    delete_destination = blocking(Destinations, Destinations.delete)
    read_destination_specification = blocking(Destinations, Destinations.read_specification)
    check_destination = blocking(Destinations, Destinations.check)
    check_destination_update = blocking(Destinations, Destinations.check_update)

    list_airbyte_connections = blocking(Connections, Connections.list)
    find_airbyte_connection_by_name = blocking(Connections, Connections.find_by_name)
    get_airbyte_connection = blocking(Connections, Connections.get)
    create_airbyte_connection = blocking(Connections, Connections.create)
    update_airbyte_connection = blocking(Connections, Connections.update)
    delete_airbyte_connection = blocking(Connections, Connections.delete)
    get_airbyte_connection_state = blocking(Connections, Connections.get_state)
    set_airbyte_connection_state = blocking(Connections, Connections.set_state)
    get_airbyte_connection_catalog = blocking(Connections, Connections.get_catalog)

    list_streams = blocking(Streams, Streams.list)

    list_tags = blocking(Tags, Tags.list)
    find_tag_by_name = blocking(Tags, Tags.find_by_name)
    get_tag = blocking(Tags, Tags.get)
    create_tag = blocking(Tags, Tags.create)
    update_tag = blocking(Tags, Tags.update)
    delete_tag = blocking(Tags, Tags.delete)

    list_source_definitions = blocking(SourceDefinitions, SourceDefinitions.list)
    get_source_definition = blocking(SourceDefinitions, SourceDefinitions.get)
    create_source_definition = blocking(SourceDefinitions, SourceDefinitions.create)
    update_source_definition = blocking(SourceDefinitions, SourceDefinitions.update)
    delete_source_definition = blocking(SourceDefinitions, SourceDefinitions.delete)

    list_destination_definitions = blocking(DestinationDefinitions, DestinationDefinitions.list)
    get_destination_definition = blocking(DestinationDefinitions, DestinationDefinitions.get)
    create_destination_definition = blocking(DestinationDefinitions, DestinationDefinitions.create)
    update_destination_definition = blocking(DestinationDefinitions, DestinationDefinitions.update)
    delete_destination_definition = blocking(DestinationDefinitions, DestinationDefinitions.delete)

    list_declarative_source_definitions = blocking(DeclarativeSources, DeclarativeSources.list)
    get_declarative_source_definition = blocking(DeclarativeSources, DeclarativeSources.get)
    create_declarative_source_definition = blocking(DeclarativeSources, DeclarativeSources.create)
    update_declarative_source_definition = blocking(DeclarativeSources, DeclarativeSources.update)
    delete_declarative_source_definition = blocking(DeclarativeSources, DeclarativeSources.delete)

    list_connector_definitions = blocking(ConnectorDefinitions, ConnectorDefinitions.list)

    list_organizations = blocking(Organizations, Organizations.list)
    list_users = blocking(Users, Users.list)

    list_permissions = blocking(Permissions, Permissions.list)
    get_permission = blocking(Permissions, Permissions.get)
    create_permission = blocking(Permissions, Permissions.create)
    update_permission = blocking(Permissions, Permissions.update)
    delete_permission = blocking(Permissions, Permissions.delete)

    list_applications = blocking(Applications, Applications.list)
    get_application = blocking(Applications, Applications.get)
    create_application = blocking(Applications, Applications.create)
    delete_application = blocking(Applications, Applications.delete)
    create_access_token = blocking(Applications, Applications.create_access_token)

    list_groups = blocking(Groups, Groups.list)
    get_group = blocking(Groups, Groups.get)
    create_group = blocking(Groups, Groups.create)
    update_group = blocking(Groups, Groups.update)
    delete_group = blocking(Groups, Groups.delete)

    list_group_members = blocking(GroupMembers, GroupMembers.list)
    add_group_member = blocking(GroupMembers, GroupMembers.add)
    remove_group_member = blocking(GroupMembers, GroupMembers.remove)

    list_group_permissions = blocking(GroupPermissions, GroupPermissions.list)
    create_group_permission = blocking(GroupPermissions, GroupPermissions.create)
    delete_group_permission = blocking(GroupPermissions, GroupPermissions.delete)

    list_regions = blocking(Regions, Regions.list)
    get_region = blocking(Regions, Regions.get)
    create_region = blocking(Regions, Regions.create)
    update_region = blocking(Regions, Regions.update)
    delete_region = blocking(Regions, Regions.delete)

    list_dataplanes = blocking(Dataplanes, Dataplanes.list)
    get_dataplane = blocking(Dataplanes, Dataplanes.get)
    create_dataplane = blocking(Dataplanes, Dataplanes.create)
    update_dataplane = blocking(Dataplanes, Dataplanes.update)
    delete_dataplane = blocking(Dataplanes, Dataplanes.delete)

    initiate_oauth = blocking(OAuth, OAuth.initiate)
    replace_workspace_oauth_credentials = blocking(OAuth, OAuth.replace_workspace_credentials)
    delete_workspace_oauth_credentials = blocking(OAuth, OAuth.delete_workspace_credentials)
    replace_organization_oauth_credentials = blocking(OAuth, OAuth.replace_organization_credentials)
    delete_organization_oauth_credentials = blocking(OAuth, OAuth.delete_organization_credentials)

    check_health = blocking(System, System.check_health)
    get_instance = blocking(System, System.get_instance)
