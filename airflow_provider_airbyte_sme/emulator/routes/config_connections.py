"""
Connections of the config API: the calls that clients use.

``docs/airbyte-api.md`` §3.7. For an instance administrator, unknown ids are 404 with an
``errorId``.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, array_of, one_of, text
from airflow_provider_airbyte_sme.emulator.catalogs import selected_catalog
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.jobs import (
    CANCELLED,
    FAILED,
    SUCCEEDED,
    AlreadyRunningError,
    NotActiveError,
    NoWorkflowError,
    StreamId,
)
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    KnownError,
    OpaqueError,
    json_response,
)
from airflow_provider_airbyte_sme.emulator.routes.config_jobs import (
    counted_job_read,
    failure_reason,
    job_info_read,
    job_read,
    jobs_of,
    progress_of_streams,
)
from airflow_provider_airbyte_sme.emulator.routes.config_people import secured_workspace
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.streams import can_deduplicate, streams_of
from airflow_provider_airbyte_sme.emulator.webhooks import ping
from airflow_provider_airbyte_sme.emulator.world import Connection, Job

_router = Router(CONFIG_API)

_CONNECTION_ID = Body("connectionIdRequestBody", required={"connectionId": text})
_CONNECTION_IDS = Body("connectionStatusesRequestBody", required={"connectionIds": array_of(text)})
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
_JOB_LOOKBACK = 10  # ConnectionsHandler.kt maxJobLookback
_ENDS = (SUCCEEDED, FAILED)


def secured_connection(
    context: RequestContext, body: Body, *allowed: str
) -> tuple[Connection, dict[str, Any]]:
    """Return the connection that the body names, and the body."""
    connection = context.world.connections.get(context.raw_id("connectionId"))
    context.require_secured(connection.workspace_id if connection else None, *allowed)
    values = context.body(body)
    if connection is None:
        raise OpaqueError(404)
    return connection, values


def connection_read(context: RequestContext, connection: Connection) -> dict[str, Any]:
    """Return ``ConnectionRead``."""
    streams = streams_of(context.world.sources[connection.source_id])
    fields: dict[str, Any] = {
        "connectionId": connection.id,
        "name": connection.name,
        "namespaceDefinition": connection.namespace_definition.replace("_", ""),
        "namespaceFormat": connection.namespace_format,
        "prefix": connection.prefix,
        "sourceId": connection.source_id,
        "destinationId": connection.destination_id,
        "syncCatalog": selected_catalog(streams, connection),
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
    connection, _ = secured_connection(context, _CONNECTION_ID, roles.READER)
    return json_response(200, connection_read(context, connection))


@_router.add("POST", "/connections/list")
def list_connections(context: RequestContext) -> HttpResponse:
    """List the connections of a workspace that are not deleted."""
    workspace = secured_workspace(context)
    connections = [
        connection_read(context, connection)
        for connection in context.world.connections.values()
        if connection.workspace_id == workspace.id and connection.status != "deprecated"
    ]
    return json_response(200, {"connections": connections})


@_router.add("POST", "/connections/status")
def get_connection_statuses(context: RequestContext) -> HttpResponse:
    """Return the status of each connection: ``paused``, or that of its newest job."""
    ids = context.raw_field("connectionIds")
    connections = [
        context.world.connections.get(connection_id.lower())
        for connection_id in (ids if isinstance(ids, list) else [])
        if isinstance(connection_id, str)
    ]
    for connection in connections or [None]:
        context.require_secured(connection.workspace_id if connection else None, roles.READER)
    context.body(_CONNECTION_IDS)
    return json_response(200, [_connection_status(context, found) for found in connections])


def _connection_status(context: RequestContext, connection: Connection | None) -> dict[str, Any]:
    if connection is None:
        raise OpaqueError(404)
    jobs = list(jobs_of(context, connection.id))[:_JOB_LOOKBACK]
    active = context.jobs.active_job(connection.id)
    ended = next((job for job in jobs if job.status in _ENDS), None)
    failed = ended.attempts[-1] if ended and ended.status == FAILED and ended.attempts else None
    reason = failure_reason(failed) if failed else None
    synced = next((job for job in jobs if job.config_type in ("sync", "refresh")), None)
    succeeded = next((job for job in jobs if job.status == SUCCEEDED), None)
    fields: dict[str, Any] = {
        "connectionId": connection.id,
        "connectionSyncStatus": _sync_status(connection, jobs, ended, reason),
        "activeJob": job_read(active) if active else None,
        "lastSyncJobId": ended.id if ended else None,
        "lastSyncAttemptNumber": len(ended.attempts) - 1 if ended and ended.attempts else None,
        "lastSyncJobCreatedAt": int(synced.created_at) if synced else None,
        "lastSuccessfulSync": int(succeeded.updated_at) if succeeded else None,
        "scheduleData": _config_schedule(connection.schedule).get("scheduleData"),
        "failureReason": reason,
    }
    return drop_nulls(fields)


def _sync_status(
    connection: Connection, jobs: list[Job], ended: Job | None, reason: dict[str, Any] | None
) -> str:
    """
    Return ``connectionSyncStatus``, by the precedence of §3.7.20.

    :param jobs: The newest jobs, the newest first.
    :param ended: The newest of them that succeeded or failed.
    :param reason: Why *ended* failed, if it did.
    """
    newest = jobs[0] if jobs else None
    if newest is not None and not newest.is_terminal:
        return newest.status if newest.status in ("running", "queued") else "pending"
    if reason is not None and reason["failureType"] == "config_error":
        return "failed"
    if connection.status != "active":
        return "paused"
    if newest is not None and newest.status == CANCELLED:
        return "incomplete"
    if newest is None or ended is None or newest.config_type == "reset_connection":
        return "pending"
    return "incomplete" if ended.status == FAILED else "synced"


@_router.add("POST", "/connections/sync_progress")
def get_sync_progress(context: RequestContext) -> HttpResponse:
    """Return the progress of the job that has not ended."""
    connection, _ = secured_connection(context, _CONNECTION_ID, roles.READER)
    active = context.jobs.active_job(connection.id)
    progress: dict[str, Any] = {"connectionId": connection.id, "streams": []}
    if active is not None:
        progress |= {
            "jobId": active.id,
            "syncStartedAt": int(active.created_at),
            **counted_job_read(active)["aggregatedStats"],
            "configType": active.config_type,
            "streams": progress_of_streams(active),
        }
    return json_response(200, progress)


@_router.add("POST", "/connections/sync")
def sync_connection(context: RequestContext) -> HttpResponse:
    """Start a sync; errors differ from the public API's."""
    connection, _ = secured_connection(context, _CONNECTION_ID, roles.RUNNER)
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
    """
    Start a refresh and wait until it runs.

    The server answers 200 without a job if the destination cannot be refreshed, and also if a job
    runs: that one goes on, and the *next* sync becomes the refresh.
    """
    connection, body = secured_connection(context, _REFRESH, roles.RUNNER)
    if not can_deduplicate(context.world.destinations[connection.destination_id]):
        return json_response(200, {})
    try:
        job = context.jobs.start_refresh(connection, _targets(body))
    except NoWorkflowError:
        return json_response(200, {})
    except AlreadyRunningError:
        active = context.jobs.active_job(connection.id)
        if active is not None and not active.attempts:
            # It waits for the job that is not yet running, and takes it for the refresh. [inf]
            raise OpaqueError(500) from None
        return json_response(200, {})
    context.jobs.settle()
    return json_response(200, {"job": job_read(job)})


@_router.add("POST", "/connections/clear")
@_router.add("POST", "/connections/reset")
def clear_connection(context: RequestContext) -> HttpResponse:
    """Clear the data of all streams."""
    connection, _ = secured_connection(context, _CONNECTION_ID, *roles.ANY_EDITOR)
    return _clear(context, connection, [])


@_router.add("POST", "/connections/clear/stream")
@_router.add("POST", "/connections/reset/stream")
def clear_streams(context: RequestContext) -> HttpResponse:
    """Clear the data of some streams; an empty list means all."""
    connection, body = secured_connection(context, _CONNECTION_STREAMS, *roles.ANY_EDITOR)
    return _clear(context, connection, _targets(body))


def _clear(
    context: RequestContext, connection: Connection, targets: list[StreamId]
) -> HttpResponse:
    try:
        return json_response(200, job_info_read(context.jobs.start_reset(connection, targets)))
    except NoWorkflowError:
        # TemporalClient.kt resetConnection: another error code than for a sync
        raise OpaqueError(500) from None


def _targets(body: dict[str, Any]) -> list[StreamId]:
    return [
        drop_nulls({"name": stream["streamName"], "namespace": stream.get("streamNamespace")})
        for stream in body.get("streams") or ()
    ]


@_router.add("POST", "/notifications/try_webhook")
def try_webhook(context: RequestContext) -> HttpResponse:
    """Send a test notification, with made-up ids, to a URL: §8."""
    body = context.body(_TRY_WEBHOOK)
    url = body["slackConfiguration"]["webhook"]
    context.send_webhook(url, ping(context.airbyte_url, context.now, body["notificationTrigger"]))
    return json_response(200, {"status": "succeeded"})


ROUTERS = (_router,)
