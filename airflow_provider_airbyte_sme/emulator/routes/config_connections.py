"""
Connections, sources, destinations and workspaces of the config API: the calls that clients use.

``docs/airbyte-api.md`` §3.7. For an instance administrator, unknown ids are 404 with an
``errorId``.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, array_of, one_of, text
from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.jobs import (
    AlreadyRunningError,
    NotActiveError,
    NoWorkflowError,
)
from airflow_provider_airbyte_sme.emulator.masking import masked
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    KnownError,
    OpaqueError,
    json_response,
)
from airflow_provider_airbyte_sme.emulator.routes.config_jobs import (
    failure_reason,
    job_info_read,
    job_read,
    jobs_of,
)
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.streams import can_deduplicate, streams_of
from airflow_provider_airbyte_sme.emulator.webhooks import ping
from airflow_provider_airbyte_sme.emulator.world import Actor, ActorKind, Connection, Workspace

_router = Router(CONFIG_API)

_CONNECTION_ID = Body("connectionIdRequestBody", required={"connectionId": text})
_CONNECTION_IDS = Body("connectionStatusesRequestBody", required={"connectionIds": array_of(text)})
_WORKSPACE_ID = Body("workspaceIdRequestBody", required={"workspaceId": text})
_STREAMS = array_of(Body("", required={"streamName": text}, optional={"streamNamespace": text}))
_CONNECTION_STREAMS = Body(
    "connectionStreamRequestBody", required={"connectionId": text, "streams": _STREAMS}
)
_REFRESH = Body(
    "connectionStreamRefreshRequestBody",
    required={"connectionId": text, "refreshMode": one_of("Truncate", "Merge")},
    optional={"streams": _STREAMS},
)
_TRY_WEBHOOK = Body(
    "notificationWebhookConfigValidationRequestBody",
    required={
        "slackConfiguration": Body("", required={"webhook": text}),
        "notificationTrigger": one_of(
            "sync_success",
            "sync_failure",
            "connection_update",
            "connection_update_action_required",
            "sync_disabled",
            "sync_disabled_warning",
        ),
    },
)
# Sync mode of the public API -> sync mode and destination sync mode of the config API.
_CONFIG_MODES = {
    "full_refresh_overwrite": ("full_refresh", "overwrite"),
    "full_refresh_append": ("full_refresh", "append"),
    "full_refresh_overwrite_deduped": ("full_refresh", "overwrite_dedup"),
    "incremental_append": ("incremental", "append"),
    "incremental_deduped_history": ("incremental", "append_dedup"),
}


def _connection(
    context: RequestContext, body: Body, *allowed: str
) -> tuple[Connection, dict[str, Any]]:
    """Return the connection that the body names, and the body."""
    connection = context.world.connections.get(context.raw_id("connectionId"))
    context.require_secured(connection.workspace_id if connection else None, *allowed)
    values = context.body(body)
    if connection is None:
        raise OpaqueError(404)
    return connection, values


def _connection_read(context: RequestContext, connection: Connection) -> dict[str, Any]:
    available = {s.name: s for s in streams_of(context.world.sources[connection.source_id])}
    streams = []
    for selected in connection.streams:
        sync_mode, destination_sync_mode = _CONFIG_MODES[selected["syncMode"]]
        stream = available.get(selected["name"])
        paths = stream.fields if stream else ()
        streams.append(
            {
                "stream": {
                    "name": selected["name"],
                    "namespace": selected.get("namespace"),
                    "jsonSchema": {
                        "type": "object",
                        "properties": {path[0]: {} for path in paths if len(path) == 1},
                    },
                },
                "config": {
                    "syncMode": sync_mode,
                    "destinationSyncMode": destination_sync_mode,
                    "cursorField": selected.get("cursorField", []),
                    "primaryKey": selected.get("primaryKey", []),
                    "aliasName": selected["name"],
                    "selected": True,
                },
            }
        )
    fields: dict[str, Any] = {
        "connectionId": connection.id,
        "name": connection.name,
        "namespaceDefinition": connection.namespace_definition.replace("_", ""),
        "namespaceFormat": connection.namespace_format,
        "prefix": connection.prefix,
        "sourceId": connection.source_id,
        "destinationId": connection.destination_id,
        "syncCatalog": {"streams": streams},
        **_config_schedule(connection.schedule),
        "status": connection.status,
        "nonBreakingChangesPreference": connection.non_breaking_changes.removesuffix("_connection"),
        "createdAt": int(connection.created_at),
        "breakingChange": False,
    }
    return drop_nulls(fields)


def _config_schedule(schedule: dict[str, Any]) -> dict[str, Any]:
    if schedule["scheduleType"] == "cron":
        expression, _, zone = schedule["cronExpression"].rpartition(" ")
        cron = {"cronExpression": expression, "cronTimeZone": zone}
        return {"scheduleType": "cron", "scheduleData": {"cron": cron}}
    if schedule["scheduleType"] == "basic":
        _, units, unit = schedule["basicTiming"].split()
        basic = {"units": int(units), "timeUnit": unit.lower()}
        return {"scheduleType": "basic", "scheduleData": {"basicSchedule": basic}}
    return {"scheduleType": "manual"}


@_router.add("POST", "/connections/get")
def get_connection(context: RequestContext) -> HttpResponse:
    """Read one connection with its catalog."""
    connection, _ = _connection(context, _CONNECTION_ID, roles.READER)
    return json_response(200, _connection_read(context, connection))


@_router.add("POST", "/connections/list")
def list_connections(context: RequestContext) -> HttpResponse:
    """List the connections of a workspace that are not deleted."""
    workspace = _workspace(context)
    connections = [
        _connection_read(context, connection)
        for connection in context.world.connections.values()
        if connection.workspace_id == workspace.id and connection.status != "deprecated"
    ]
    return json_response(200, {"connections": connections})


@_router.add("POST", "/connections/status")
def get_connection_statuses(context: RequestContext) -> HttpResponse:
    """Return the status of each connection: ``paused``, or that of its newest job."""
    ids = context.raw_field("connectionIds")
    known = [
        context.world.connections[connection_id.lower()]
        for connection_id in (ids if isinstance(ids, list) else [])
        if isinstance(connection_id, str) and connection_id.lower() in context.world.connections
    ]
    for connection in known or (None,):
        context.require_secured(connection.workspace_id if connection else None, roles.READER)
    context.body(_CONNECTION_IDS)
    return json_response(200, [_connection_status(context, connection) for connection in known])


_SYNC_STATUS: dict[str, str] = {
    JobStatus.RUNNING: "running",
    JobStatus.QUEUED: "queued",
    JobStatus.PENDING: "pending",
    JobStatus.INCOMPLETE: "incomplete",
    JobStatus.SUCCEEDED: "synced",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "incomplete",
}


def _connection_status(context: RequestContext, connection: Connection) -> dict[str, Any]:
    jobs = list(jobs_of(context, connection.id))
    newest = jobs[0] if jobs else None
    active = context.jobs.active_job(connection.id)
    succeeded = next((job for job in jobs if job.status == JobStatus.SUCCEEDED), None)
    if connection.status != "active":
        status = "paused"
    else:
        status = _SYNC_STATUS.get(newest.status, "pending") if newest else "pending"
    fields: dict[str, Any] = {
        "connectionId": connection.id,
        "connectionSyncStatus": status,
        "isRunning": active is not None,
        "lastSyncJobId": newest.id if newest else None,
        "lastSyncJobStatus": newest.status if newest else None,
        "lastSyncAttemptNumber": len(newest.attempts) - 1 if newest and newest.attempts else None,
        "lastSuccessfulSync": int(succeeded.updated_at) if succeeded else None,
        "activeJob": job_read(active) if active else None,
        "failureReason": failure_reason(newest.attempts[-1])
        if newest and newest.attempts
        else None,
    }
    return drop_nulls(fields)


@_router.add("POST", "/connections/sync_progress")
def get_sync_progress(context: RequestContext) -> HttpResponse:
    """Return the progress of the running job."""
    connection, _ = _connection(context, _CONNECTION_ID, roles.READER)
    active = context.jobs.active_job(connection.id)
    progress: dict[str, Any] = {"connectionId": connection.id, "streams": []}
    if active is not None:
        progress |= {
            "jobId": active.id,
            "configType": active.config_type,
            "syncStartedAt": int(active.created_at),
            "recordsCommitted": active.rows,
            "bytesCommitted": active.bytes,
            "streams": job_read(active)["streamAggregatedStats"],
        }
    return json_response(200, progress)


@_router.add("POST", "/connections/sync")
def sync_connection(context: RequestContext) -> HttpResponse:
    """Start a sync; errors differ from the public API's."""
    connection, _ = _connection(context, _CONNECTION_ID, roles.RUNNER)
    try:
        job = context.jobs.start_sync(connection)
    except AlreadyRunningError:
        raise KnownError(409, f"A sync is already running for: {connection.id}") from None
    except NoWorkflowError as error:
        raise KnownError(409, str(error)) from None
    except NotActiveError:
        raise OpaqueError(500) from None
    return json_response(200, job_info_read(job))


@_router.add("POST", "/connections/refresh")
def refresh_connection(context: RequestContext) -> HttpResponse:
    """Start a refresh of some or all streams, if the destination supports it."""
    connection, body = _connection(context, _REFRESH, roles.RUNNER)
    if not can_deduplicate(context.world.destinations[connection.destination_id]):
        return json_response(200, {})
    streams = connection.streams
    if body.get("streams"):
        streams = _selected_streams(connection, body["streams"])
    return json_response(200, {"job": job_read(context.jobs.start_refresh(connection, streams))})


@_router.add("POST", "/connections/clear")
@_router.add("POST", "/connections/reset")
def clear_connection(context: RequestContext) -> HttpResponse:
    """Clear the data of all streams."""
    connection, _ = _connection(context, _CONNECTION_ID, *roles.ANY_EDITOR)
    return _clear(context, connection, connection.streams)


@_router.add("POST", "/connections/clear/stream")
@_router.add("POST", "/connections/reset/stream")
def clear_streams(context: RequestContext) -> HttpResponse:
    """Clear the data of some streams."""
    connection, body = _connection(context, _CONNECTION_STREAMS, *roles.ANY_EDITOR)
    return _clear(context, connection, _selected_streams(connection, body["streams"]))


def _clear(
    context: RequestContext, connection: Connection, streams: list[dict[str, Any]]
) -> HttpResponse:
    job = context.jobs.start_reset(connection, streams)
    return json_response(200, job_info_read(job))


def _selected_streams(
    connection: Connection, requested: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the selected streams among *requested*; [inf] others are ignored."""
    names = {(stream["streamName"], stream.get("streamNamespace")) for stream in requested}
    return [s for s in connection.streams if (s["name"], s.get("namespace")) in names]


def _actor_router(kind: ActorKind) -> Router:
    router = Router(CONFIG_API)
    body = Body(f"{kind}IdRequestBody", required={f"{kind}Id": text})

    @router.add("POST", f"/{kind}s/get")
    def get_actor(context: RequestContext) -> HttpResponse:
        actor = context.world.actors(kind).get(context.raw_id(f"{kind}Id"))
        context.require_secured(actor.workspace_id if actor else None, roles.READER)
        context.body(body)
        if actor is None:
            raise OpaqueError(404)
        return json_response(200, _actor_read(actor))

    return router


def _actor_read(actor: Actor) -> dict[str, Any]:
    return {
        f"{actor.kind}DefinitionId": actor.definition_id,
        f"{actor.kind}Id": actor.id,
        "workspaceId": actor.workspace_id,
        "connectionConfiguration": masked(actor.configuration),
        "name": actor.name,
        f"{actor.kind}Name": connector_name(actor.kind, actor.definition_id),
        "createdAt": int(actor.created_at),
    }


def _workspace(context: RequestContext) -> Workspace:
    workspace = context.world.workspaces.get(context.raw_id("workspaceId"))
    context.require_secured(workspace.id if workspace else None, roles.READER)
    context.body(_WORKSPACE_ID)
    if workspace is None:
        raise OpaqueError(404)
    return workspace


@_router.add("POST", "/workspaces/get")
def get_workspace(context: RequestContext) -> HttpResponse:
    """Read one workspace."""
    workspace = _workspace(context)
    return json_response(
        200,
        {
            "workspaceId": workspace.id,
            "name": workspace.name,
            "slug": workspace.name.lower().replace(" ", "-"),
            "organizationId": workspace.organization_id,
            "initialSetupComplete": True,
            "tombstone": workspace.deleted,
        },
    )


@_router.add("POST", "/notifications/try_webhook")
def try_webhook(context: RequestContext) -> HttpResponse:
    """Send a test notification, with made-up ids, to a URL: §8."""
    body = context.body(_TRY_WEBHOOK)
    url = body["slackConfiguration"]["webhook"]
    context.send_webhook(url, ping(context.airbyte_url, context.now, body["notificationTrigger"]))
    return json_response(200, {"status": "succeeded"})


ROUTERS = (_router, _actor_router("source"), _actor_router("destination"))
