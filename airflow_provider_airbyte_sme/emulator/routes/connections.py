"""
Connections of the public API.

``ConnectionsController.kt``, ``ConnectionCreateMapper.kt``, ``ConnectionUpdateMapper.kt``,
``ConnectionReadMapper.kt``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    Reader,
    array_of,
    boolean,
    json_object,
    one_of,
    text,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.pages import page
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    OpaqueError,
    ProblemError,
    json_response,
    no_content,
    not_found,
)
from airflow_provider_airbyte_sme.emulator.routes.workspaces import kept_filters
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.schedules import schedule_response
from airflow_provider_airbyte_sme.emulator.seeding import CONNECTION_STATUSES
from airflow_provider_airbyte_sme.emulator.streams import default_selection, validated_selection
from airflow_provider_airbyte_sme.emulator.world import Actor, Connection, World, new_id

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_EDITORS = (roles.EDITOR, roles.SOURCE_EDITOR, roles.DESTINATION_EDITOR)

_STREAM = Body(
    "",
    required={"name": text},
    optional={
        "namespace": text,
        "syncMode": one_of(
            "full_refresh_overwrite",
            "full_refresh_overwrite_deduped",
            "full_refresh_append",
            "full_refresh_update",
            "full_refresh_soft_delete",
            "incremental_append",
            "incremental_deduped_history",
            "incremental_update",
            "incremental_soft_delete",
        ),
        "cursorField": array_of(text),
        "primaryKey": array_of(array_of(text)),
        "selectedFields": array_of(Body("", optional={"fieldPath": array_of(text)})),
        "mappers": array_of(
            Body(
                "",
                required={
                    "type": one_of(
                        "hashing",
                        "field-renaming",
                        "row-filtering",
                        "encryption",
                        "field-filtering",
                    ),
                    "mapperConfiguration": json_object,
                },
                optional={"id": uuid_text},
            )
        ),
        "includeFiles": boolean,
        "destinationObjectName": text,
    },
)
_SETTINGS: dict[str, Reader] = {
    "name": text,
    "configurations": Body("", optional={"streams": array_of(_STREAM)}),
    "schedule": Body(
        "",
        required={"scheduleType": one_of("manual", "cron")},
        optional={"cronExpression": text},
    ),
    "dataResidency": text,
    "namespaceDefinition": one_of("source", "destination", "custom_format"),
    "namespaceFormat": text,
    "prefix": text,
    "nonBreakingSchemaUpdatesBehavior": one_of(
        "ignore", "disable_connection", "propagate_columns", "propagate_fully"
    ),
    "status": one_of(*CONNECTION_STATUSES),
    "tags": array_of(
        Body(
            "",
            required={"tagId": uuid_text, "workspaceId": uuid_text, "name": text, "color": text},
        )
    ),
}
_CREATE = Body(
    "connectionCreateRequest",
    required={"sourceId": uuid_text, "destinationId": uuid_text},
    optional=_SETTINGS,
)
_PATCH = Body("connectionPatchRequest", optional=_SETTINGS)


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


@_router.add("POST", "/connections")
def create_connection(call: Call) -> HttpResponse:
    """Connect a source to a destination of the same workspace."""
    _secure_creation(call)
    body = call.body(_CREATE)
    source = _existing(call.world.sources, "source", body["sourceId"])
    destination = _existing(call.world.destinations, "destination", body["destinationId"])
    connection = Connection(
        id=new_id(),
        name=f"{source.name} <> {destination.name}",
        source_id=source.id,
        destination_id=destination.id,
        workspace_id=destination.workspace_id,
        status="active",
        created_at=call.now,
        schedule={"scheduleType": "manual"},
        streams=default_selection(source),
    )
    _apply(call, connection, body)
    call.world.connections[connection.id] = connection
    return json_response(200, connection_response(call.world, connection))


def _secure_creation(call: Call) -> None:
    source = call.world.sources.get(call.unbound_id("sourceId"))
    destination = call.world.destinations.get(call.unbound_id("destinationId"))
    if source and destination and source.workspace_id != destination.workspace_id:
        raise HateoasError(403)
    actor = destination or source
    call.secure(actor.workspace_id if actor else None, *_EDITORS)


def _existing(actors: dict[str, Actor], kind: str, actor_id: str) -> Actor:
    actor = actors.get(actor_id)
    if actor is None or actor.deleted:
        # Another mapping than everywhere else: ConfigClientErrorHandler.handleCreateConnectionError
        raise not_found(kind, actor_id)
    return actor


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


@_router.add("PATCH", "/connections/{connectionId}")
def patch_connection(call: Call) -> HttpResponse:
    """Change what is given; streams only as a whole."""
    body = call.body(_PATCH)
    connection = call.connection(call.parameters["connectionId"], *_EDITORS)
    if connection.status == "locked":
        raise ProblemError(
            409,
            "Connection is locked",
            "The connection is locked and cannot be updated.",
            {"connectionId": connection.id, "statusReason": None},
            kind="error:connection/locked",
        )
    _apply(call, connection, body)
    return json_response(200, connection_response(call.world, connection))


@_router.add("DELETE", "/connections/{connectionId}")
def delete_connection(call: Call) -> HttpResponse:
    """Delete a connection: it stays readable, as ``deprecated``."""
    call.core.end_connection(call.connection(call.parameters["connectionId"], *_EDITORS))
    return no_content()


def _apply(call: Call, connection: Connection, body: dict[str, Any]) -> None:
    """Change *connection* as asked, or not at all."""
    for name in ("namespaceDefinition", "nonBreakingSchemaUpdatesBehavior"):
        if name in body and body[name] is None:
            raise OpaqueError(500)  # [inf] an explicit null breaks ConnectionHelper.kt
    given = {name: value for name, value in body.items() if value is not None}
    schedule = schedule_response(given["schedule"]) if "schedule" in given else connection.schedule
    streams = connection.streams
    if wanted := given.get("configurations", {}).get("streams"):
        source = call.world.sources[connection.source_id]
        destination = call.world.destinations[connection.destination_id]
        streams = validated_selection(source, destination, wanted)
    tag_ids = [tag["tagId"] for tag in given.get("tags", ())]
    for tag_id in tag_ids:
        tag = call.world.tags.get(tag_id)
        if tag is None or tag.workspace_id != connection.workspace_id:
            raise not_found("TAG", tag_id)  # [inf]
    connection.schedule = schedule
    connection.streams = streams
    if "tags" in given:
        connection.tag_ids = tag_ids
    connection.name = given.get("name", connection.name)
    connection.status = given.get("status", connection.status)
    connection.namespace_definition = given.get(
        "namespaceDefinition", connection.namespace_definition
    )
    connection.namespace_format = given.get("namespaceFormat", connection.namespace_format)
    connection.prefix = given.get("prefix", connection.prefix)
    connection.non_breaking_changes = given.get(
        "nonBreakingSchemaUpdatesBehavior", connection.non_breaking_changes
    )
