"""
The calls of the web application that other clients use too: a connection with its whole catalog.

``docs/airbyte-api.md`` §4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    Reader,
    array_of,
    boolean,
    integer,
    json_object,
    one_of,
    text,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.catalogs import full_catalog, requested_streams
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.discovery import discover
from airflow_provider_airbyte_sme.emulator.jobs import (
    NoWorkflowError,
    StreamId,
    stream_id,
)
from airflow_provider_airbyte_sme.emulator.mappers import with_checked_mappers
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import OpaqueError, json_response
from airflow_provider_airbyte_sme.emulator.routes.config_actors import actor_read
from airflow_provider_airbyte_sme.emulator.routes.config_connections import (
    connection_read,
    secured_connection,
)
from airflow_provider_airbyte_sme.emulator.routes.config_jobs import jobs_of
from airflow_provider_airbyte_sme.emulator.routes.connections import apply_fields, tag_responses
from airflow_provider_airbyte_sme.emulator.routes.definitions import find_definition
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.schedules import check_frequency
from airflow_provider_airbyte_sme.emulator.schema_changes import catalog_diff, disable_connections
from airflow_provider_airbyte_sme.emulator.seeding import CONNECTION_STATUSES
from airflow_provider_airbyte_sme.emulator.stream_states import replace_streams
from airflow_provider_airbyte_sme.emulator.streams import (
    Stream,
    can_deduplicate,
    configuration_key,
    stream_configuration,
)
from airflow_provider_airbyte_sme.emulator.world import Actor, Connection

_router = Router(CONFIG_API)
ROUTERS = (_router,)

_GET = Body(
    "webBackendConnectionRequestBody",
    required={"connectionId": text},
    optional={"withRefreshedCatalog": boolean},
)
_PATHS = array_of(array_of(text))
_FIELDS = array_of(Body("", optional={"fieldPath": array_of(text)}))
_CATALOG_CONFIG: dict[str, Reader] = {
    "cursorField": array_of(text),
    "primaryKey": _PATHS,
    "selected": boolean,
    "fieldSelectionEnabled": boolean,
    "selectedFields": _FIELDS,
    "includeFiles": boolean,
    "destinationObjectName": text,
    "mappers": array_of(
        Body(
            "",
            required={"type": text, "mapperConfiguration": json_object},
            optional={"id": uuid_text},
        )
    ),
}
_CATALOG = Body(
    "",
    required={
        "streams": array_of(
            Body(
                "",
                required={
                    "stream": Body("", required={"name": text}, optional={"namespace": text}),
                    "config": Body(
                        "",
                        required={
                            "syncMode": one_of("full_refresh", "incremental"),
                            "destinationSyncMode": one_of(
                                "append", "overwrite", "append_dedup", "overwrite_dedup"
                            ),
                        },
                        optional=_CATALOG_CONFIG,
                    ),
                },
            )
        )
    },
)
_SCHEDULE_DATA = Body(
    "",
    optional={
        "cron": Body("", required={"cronExpression": text, "cronTimeZone": text}),
        "basicSchedule": Body(
            "",
            required={
                "timeUnit": one_of("minutes", "hours", "days", "weeks", "months"),
                "units": integer,
            },
        ),
    },
)
_UPDATE = Body(
    "webBackendConnectionUpdate",
    required={"connectionId": text},
    optional={
        "name": text,
        "namespaceDefinition": one_of("source", "destination", "customformat"),
        "namespaceFormat": text,
        "prefix": text,
        "syncCatalog": _CATALOG,
        "scheduleType": one_of("manual", "basic", "cron"),
        "scheduleData": _SCHEDULE_DATA,
        "status": one_of(*CONNECTION_STATUSES),
        "skipReset": boolean,
        "nonBreakingChangesPreference": one_of(
            "ignore", "disable", "propagate_columns", "propagate_fully"
        ),
        "tags": array_of(Body("", required={"tagId": uuid_text})),
    },
)


@_router.add("POST", "/web_backend/connections/get")
def get_connection(context: RequestContext) -> HttpResponse:
    """Read a connection with all streams of its source, after a new discover if that is asked."""
    refresh = context.raw_field("withRefreshedCatalog") is True
    allowed = roles.ANY_EDITOR if refresh else (roles.READER,)
    connection, _ = secured_connection(context, _GET, *allowed)
    source = context.world.sources[connection.source_id]
    streams = discover(context.world, source)
    if not refresh:
        return json_response(200, _web_backend_read(context, connection, streams))
    new = discover(context.world, source, ignore_cache=True)
    disable_connections(context.world, source, streams, new)
    diff = catalog_diff(connection, streams, new)
    answer = _web_backend_read(context, connection, new)
    answer["schemaChange"] = "non_breaking" if diff["transforms"] else "no_change"
    return json_response(200, {**answer, "catalogDiff": diff})


@_router.add("POST", "/web_backend/connections/update")
def update_connection(context: RequestContext) -> HttpResponse:
    """Change the given fields; a catalog replaces all streams, and changed ones are refreshed."""
    connection, body = secured_connection(context, _UPDATE, *roles.ANY_EDITOR)
    given = drop_nulls(body)
    source = context.world.sources[connection.source_id]
    streams = discover(context.world, source)
    schedule = _schedule(given)
    selection = None
    if "syncCatalog" in given:
        selection = _selection(given["syncCatalog"], streams, connection)
    if schedule is not None:
        check_frequency(schedule, context.settings.shortest_schedule)
        connection.schedule = schedule
    apply_fields(context.world, connection, _public_fields(given))
    if selection is not None:
        changed = _changed(connection.streams, selection)
        replace_streams(connection, selection)
        if changed and not given.get("skipReset"):
            _read_again(context, connection, changed)
    return json_response(200, _web_backend_read(context, connection, streams))


def _selection(
    catalog: dict[str, Any], streams: Sequence[Stream], connection: Connection
) -> list[dict[str, Any]]:
    """
    Return the selection that a catalog describes.

    [inf] A stream that the source does not have is ignored.

    :raises OpaqueError: 500: the sync modes of a stream cannot be combined.
    """
    known = {stream.key: stream for stream in streams}
    try:
        requested = requested_streams(catalog)
    except KeyError:
        raise OpaqueError(500) from None
    selection = [
        stream_configuration(known[configuration_key(fields)], fields)
        for fields in requested
        if configuration_key(fields) in known
    ]
    return with_checked_mappers(selection, streams, connection.streams)


def _schedule(given: dict[str, Any]) -> dict[str, Any] | None:
    """Return the requested schedule as the public API has it."""
    kind, data = given.get("scheduleType"), given.get("scheduleData") or {}
    if kind is None or kind == "manual":
        return None if kind is None else {"scheduleType": kind}
    if kind == "cron" and data.get("cron"):
        cron = data["cron"]
        return {
            "scheduleType": kind,
            "cronExpression": f"{cron['cronExpression']} {cron['cronTimeZone']}",
        }
    if kind == "basic" and data.get("basicSchedule"):
        basic = data["basicSchedule"]
        return {
            "scheduleType": kind,
            "basicTiming": f"Every {basic['units']} {basic['timeUnit'].upper()}",
        }
    raise OpaqueError(422)  # schedule data must be populated


def _public_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Return the given fields as the public API has them."""
    definition = given.get("namespaceDefinition")
    setting = given.get("nonBreakingChangesPreference")
    names = ("name", "namespaceFormat", "prefix", "status", "tags")
    fields = {
        **{name: given.get(name) for name in names},
        "namespaceDefinition": definition and definition.replace("customformat", "custom_format"),
        "nonBreakingSchemaUpdatesBehavior": setting
        and setting.replace("disable", "disable_connection"),
    }
    return drop_nulls(fields)


def _changed(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[StreamId]:
    """Return the streams that are added, removed, or read or written in another way."""
    compared = ("syncMode", "cursorField", "primaryKey", "selectedFields")
    before = {configuration_key(stream): [stream[name] for name in compared] for stream in old}
    after = {configuration_key(stream): [stream[name] for name in compared] for stream in new}
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [stream_id({"name": name, "namespace": namespace}) for name, namespace in keys]


def _read_again(
    context: RequestContext, connection: Connection, streams: Sequence[StreamId]
) -> None:
    """Refresh or clear *streams*; both cancel a running job (TemporalClient.kt)."""
    destination = context.world.destinations[connection.destination_id]
    with suppress(NoWorkflowError):
        if can_deduplicate(destination):
            context.jobs.start_refresh(connection, streams, cancels=True)
        else:
            context.jobs.start_reset(connection, streams)


def _web_backend_read(
    context: RequestContext, connection: Connection, streams: Sequence[Stream]
) -> dict[str, Any]:
    """Return ``WebBackendConnectionRead``."""
    active = context.jobs.active_job(connection.id)
    syncs = (j for j in jobs_of(context, connection.id) if j.config_type != "reset_connection")
    latest = next(syncs, None)
    source = context.world.sources[connection.source_id]
    destination = context.world.destinations[connection.destination_id]
    fields: dict[str, Any] = {
        **connection_read(context, connection),
        "syncCatalog": full_catalog(streams, connection),
        "source": actor_read(context, source),
        "destination": actor_read(context, destination),
        "operationIds": [],
        "operations": [],
        "latestSyncJobCreatedAt": int(latest.created_at) if latest else None,
        "latestSyncJobStatus": latest.status if latest else None,
        "isSyncing": active is not None and active.config_type != "reset_connection",
        "schemaChange": "no_change",
        "notifySchemaChanges": False,
        "notifySchemaChangesByEmail": False,
        "sourceActorDefinitionVersion": _version_read(context, source),
        "destinationActorDefinitionVersion": _version_read(context, destination),
        "tags": tag_responses(context.world, connection),
        "onDemandEnabled": False,
    }
    return drop_nulls(fields)


def _version_read(context: RequestContext, actor: Actor) -> dict[str, Any]:
    """Return ``ActorDefinitionVersionRead``; a deleted definition is an uncaught error [inf]."""
    definition = find_definition(context, actor)
    if definition is None:
        raise OpaqueError(500)
    return {
        "dockerRepository": definition.docker_repository,
        "dockerImageTag": definition.docker_image_tag,
        "supportsRefreshes": actor.kind == "destination" and can_deduplicate(actor),
        "isVersionOverrideApplied": False,
        "supportState": "supported",
        "supportsFileTransfer": False,
        "supportsDataActivation": False,
    }
