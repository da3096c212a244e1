"""Connections of the public API: ``ConnectionsController.kt``, ``ConnectionReadMapper.kt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import boolean
from airflow_provider_airbyte_sme.emulator.pages import page
from airflow_provider_airbyte_sme.emulator.problems import json_response
from airflow_provider_airbyte_sme.emulator.routes.workspaces import kept_filters
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import Connection, World

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(PUBLIC_API)
ROUTERS = (_router,)


def connection_response(world: World, connection: Connection) -> dict[str, Any]:
    """Write a connection as the public API does; what is null is left out."""
    fields: dict[str, Any] = {
        "connectionId": connection.id,
        "name": connection.name,
        "sourceId": connection.source_id,
        "destinationId": connection.destination_id,
        "workspaceId": connection.workspace_id,
        "status": connection.status,
        "schedule": connection.schedule,
        "configurations": {"streams": connection.streams},
        "nonBreakingSchemaUpdatesBehavior": connection.non_breaking_changes,
        "namespaceDefinition": connection.namespace_definition,
        "namespaceFormat": connection.namespace_format,
        "prefix": connection.prefix,
        "createdAt": int(connection.created_at),
        "tags": [
            {
                "tagId": tag.id,
                "workspaceId": tag.workspace_id,
                "name": tag.name,
                "color": tag.color,
            }
            for tag in map(world.tags.get, connection.tag_ids)
            if tag is not None
        ],
    }
    return {name: value for name, value in fields.items() if value is not None}


@_router.add("GET", "/connections")
def list_connections(call: Call) -> HttpResponse:
    """List the connections of the workspaces that the caller may read."""
    limit, offset = call.query.page()
    include_deleted = call.query.converted("includeDeleted", boolean) or False
    tag_ids = set(call.query.uuids("tagIds"))
    workspaces = set(call.readable_workspaces())
    return json_response(
        200,
        page(
            [
                connection
                for connection in call.world.connections.values()
                if connection.workspace_id in workspaces
                and (include_deleted or connection.status != "deprecated")
                and (not tag_ids or tag_ids & set(connection.tag_ids))
            ],
            lambda connection: connection_response(call.world, connection),
            url=call.public_url("connections"),
            kept=kept_filters(call, include_deleted),
            limit=limit,
            offset=offset,
        ),
    )


@_router.add("GET", "/connections/{connectionId}")
def get_connection(call: Call) -> HttpResponse:
    """Read one connection, a deleted one too."""
    connection = call.connection(call.parameters["connectionId"], roles.READER, name=roles.READER)
    return json_response(200, connection_response(call.world, connection))
