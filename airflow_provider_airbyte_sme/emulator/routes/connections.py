"""Connections of the public API: ``docs/airbyte-api.md`` §4.3; schedule and status: §4.5."""

from __future__ import annotations

from typing import Any

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
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.discovery import discover
from airflow_provider_airbyte_sme.emulator.mappers import masked_mappers, with_checked_mappers
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.pagination import link_filters, page_response
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    OpaqueError,
    ProblemError,
    json_response,
    no_content,
    not_found,
    unexpected,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.schedules import check_frequency, schedule_response
from airflow_provider_airbyte_sme.emulator.seeding import CONNECTION_STATUSES
from airflow_provider_airbyte_sme.emulator.selection import find_duplicate, validated_selection
from airflow_provider_airbyte_sme.emulator.stream_states import replace_streams
from airflow_provider_airbyte_sme.emulator.streams import default_selection
from airflow_provider_airbyte_sme.emulator.world import (
    Actor,
    ActorKind,
    Connection,
    World,
    new_id,
)

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

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
    """Return the response for a connection, without null fields."""
    fields: dict[str, Any] = {
        "connectionId": connection.id,
        "name": connection.name,
        "sourceId": connection.source_id,
        "destinationId": connection.destination_id,
        "workspaceId": connection.workspace_id,
        "status": connection.status,
        "schedule": connection.schedule,
        "configurations": {"streams": [masked_mappers(s) for s in connection.streams]},
        "nonBreakingSchemaUpdatesBehavior": connection.non_breaking_changes,
        "namespaceDefinition": connection.namespace_definition,
        "namespaceFormat": connection.namespace_format,
        "prefix": connection.prefix,
        "createdAt": int(connection.created_at),
        "tags": tag_responses(world, connection),
    }
    return drop_nulls(fields)


def tag_responses(world: World, connection: Connection) -> list[dict[str, Any]]:
    """Return the tags of a connection as responses have them."""
    return [
        {
            "tagId": tag.id,
            "workspaceId": tag.workspace_id,
            "name": tag.name,
            "color": tag.color,
        }
        for tag in map(world.tags.get, connection.tag_ids)
        if tag is not None
    ]


@_router.add("POST", "/connections")
def create_connection(context: RequestContext) -> HttpResponse:
    """Create a connection between a source and a destination of one workspace."""
    _secure_creation(context)
    body = context.body(_CREATE)
    given = drop_nulls(body)
    schedule = _requested_schedule(given) or {"scheduleType": "manual"}
    destination = _existing(context.world, "destination", body["destinationId"])
    source = _existing(context.world, "source", body["sourceId"])
    streams = discover(context.world, source)
    requested = _requested_streams(given)
    selection = (
        validated_selection(streams, destination, requested)
        if requested
        else default_selection(streams)
    )
    for name in ("namespaceDefinition", "nonBreakingSchemaUpdatesBehavior"):
        if name in body and body[name] is None:
            raise OpaqueError(500)  # [inf] unlike in PATCH: §4.3
    if source.workspace_id != destination.workspace_id or find_duplicate(selection):
        # POST does not say why, unlike PATCH; two workspaces are a 403 for other users: §4.3
        raise unexpected(None)
    connection = Connection(
        id=new_id(),
        name=f"{source.name} <> {destination.name}",
        source_id=source.id,
        destination_id=destination.id,
        workspace_id=destination.workspace_id,
        status="active",
        created_at=context.now,
        schedule=schedule,
        streams=with_checked_mappers(selection, streams),
    )
    check_frequency(schedule, context.settings.shortest_schedule)
    apply_fields(context.world, connection, given)
    context.world.connections[connection.id] = connection
    return json_response(200, connection_response(context.world, connection))


def _secure_creation(context: RequestContext) -> None:
    source = context.world.sources.get(context.raw_id("sourceId"))
    destination = context.world.destinations.get(context.raw_id("destinationId"))
    differ = source and destination and source.workspace_id != destination.workspace_id
    if differ and not context.is_instance_admin:
        raise HateoasError(403)
    actor = destination or source
    context.require_secured(actor.workspace_id if actor else None, *roles.ANY_EDITOR)


def _existing(world: World, kind: ActorKind, actor_id: str) -> Actor:
    """Return a source or destination, even a deleted one (§4.3)."""
    actor = world.actors(kind).get(actor_id)
    if actor is None:
        raise not_found(f"{kind.upper()}_CONNECTION", actor_id)
    return actor


def _requested_schedule(given: dict[str, Any]) -> dict[str, Any] | None:
    return schedule_response(given["schedule"]) if "schedule" in given else None


def _requested_streams(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the requested streams; absent, null and none are the same."""
    return given.get("configurations", {}).get("streams") or []


@_router.add("GET", "/connections")
def list_connections(context: RequestContext) -> HttpResponse:
    """List the connections of the workspaces that the caller may read."""
    limit, offset = context.query.limit_and_offset()
    include_deleted = context.query.optional("includeDeleted", boolean) or False
    tag_ids = set(context.query.uuids("tagIds"))
    workspaces = set(context.readable_workspace_ids())
    return json_response(
        200,
        page_response(
            [
                connection
                for connection in context.world.connections.values()
                if connection.workspace_id in workspaces
                and (include_deleted or connection.status != "deprecated")
                and (not tag_ids or tag_ids & set(connection.tag_ids))
            ],
            lambda connection: connection_response(context.world, connection),
            url=context.public_url("connections"),
            filters=link_filters(context.query, include_deleted),
            limit=limit,
            offset=offset,
        ),
    )


@_router.add("GET", "/connections/{connectionId}")
def get_connection(context: RequestContext) -> HttpResponse:
    """Read one connection, even a deleted one."""
    connection = context.connection(
        context.parameters["connectionId"], roles.READER, named=roles.READER
    )
    return json_response(200, connection_response(context.world, connection))


@_router.add("PATCH", "/connections/{connectionId}")
def patch_connection(context: RequestContext) -> HttpResponse:
    """
    Change the given fields; a list of streams replaces all of them.

    Every stream is built from the discovered one, not from the connection's (§4.3).
    """
    given = drop_nulls(context.body(_PATCH))
    connection_id = context.parameters["connectionId"]
    known = context.world.connections.get(connection_id.lower())
    context.require(known.workspace_id if known else None, *roles.ANY_EDITOR)
    schedule = _requested_schedule(given)
    connection = context.connection(connection_id, *roles.ANY_EDITOR)
    if connection.status == "locked":
        raise ProblemError(
            409,
            "Connection is locked",
            "The connection is locked and cannot be modified.",
            {"connectionId": connection.id, "statusReason": None},
            kind="error:connection/locked",
        )
    requested = _requested_streams(given)
    selection = _new_selection(context.world, connection, requested) if requested else None
    if schedule is not None:
        check_frequency(schedule, context.settings.shortest_schedule)
        connection.schedule = schedule
    if selection is not None:
        replace_streams(connection, selection)
    apply_fields(context.world, connection, given)
    return json_response(200, connection_response(context.world, connection))


def _new_selection(
    world: World, connection: Connection, requested: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    destination = world.destinations[connection.destination_id]
    streams = discover(world, world.sources[connection.source_id])
    selection = validated_selection(streams, destination, requested)
    if duplicate := find_duplicate(selection):
        name, namespace = duplicate
        raise unexpected(f"Catalog contains duplicate stream names: {namespace or 'null'}.{name}")
    return with_checked_mappers(selection, streams, connection.streams)


@_router.add("DELETE", "/connections/{connectionId}")
def delete_connection(context: RequestContext) -> HttpResponse:
    """Delete a connection; it stays readable, as ``deprecated``."""
    context.delete_connection(
        context.connection(context.parameters["connectionId"], *roles.ANY_EDITOR)
    )
    return no_content()


def apply_fields(world: World, connection: Connection, given: dict[str, Any]) -> None:
    """Apply the given fields, except for the schedule and the streams, to *connection*."""
    if "tags" in given:
        tags = (world.tags.get(tag["tagId"]) for tag in given["tags"])
        connection.tag_ids = [
            tag.id for tag in tags if tag and tag.workspace_id == connection.workspace_id
        ]
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
