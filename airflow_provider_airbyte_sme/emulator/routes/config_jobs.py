"""
Jobs of the config API, with failure reasons, attempts and logs: ``docs/airbyte-api.md`` §3.7.

Roles are checked by annotation, with the ids in the JSON body, so an unknown id is the framework's
403.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, array_of, integer, one_of, text
from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    OpaqueError,
    ProblemError,
    json_response,
)
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.world import Attempt, Job

_router = Router(CONFIG_API)
ROUTERS = (_router,)

_CONFIG_TYPES = (
    "check_connection_source",
    "check_connection_destination",
    "discover_schema",
    "get_spec",
    "sync",
    "reset_connection",
    "refresh",
    "clear",
)
_JOB_ID = Body("jobIdRequestBody", required={"id": integer})
_ATTEMPT = Body("getAttemptStatsRequestBody", required={"jobId": integer, "attemptNumber": integer})
_JOB_LIST = Body(
    "jobListRequestBody",
    required={"configTypes": array_of(one_of(*_CONFIG_TYPES))},
    optional={
        "configId": text,
        "statuses": array_of(one_of(*JobStatus)),
        "pagination": Body("", optional={"pageSize": integer, "rowOffset": integer}),
    },
)
_CONNECTION_ID = Body("connectionIdRequestBody", required={"connectionId": text})


def job_read(job: Job) -> dict[str, Any]:
    """Return ``JobRead``; times are in seconds since the epoch."""
    fields: dict[str, Any] = {
        **job_read_light(job),
        "enabledStreams": [
            {"name": stream["name"], "namespace": stream.get("namespace")} for stream in job.streams
        ],
        "aggregatedStats": _stats(job.rows, job.bytes),
        "streamAggregatedStats": _stream_stats(job, job.rows, job.bytes),
    }
    return drop_nulls(fields)


def job_read_light(job: Job) -> dict[str, Any]:
    """Return ``JobRead`` without streams and counters."""
    return drop_nulls(
        {
            "id": job.id,
            "configType": job.config_type,
            "configId": job.connection_id,
            "createdAt": int(job.created_at),
            "updatedAt": int(job.updated_at),
            "startedAt": None if job.started_at is None else int(job.started_at),
            "status": job.status,
        }
    )


def job_info_read(job: Job) -> dict[str, Any]:
    """Return ``JobInfoRead``: the job, and each attempt with its logs."""
    attempts = [
        {"attempt": _attempt_read(job, number), **_logs(job, number)}
        for number in range(len(job.attempts))
    ]
    return {"job": job_read(job), "attempts": attempts}


def _without_logs(job: Job) -> dict[str, Any]:
    attempts = [{"attempt": _attempt_read(job, number)} for number in range(len(job.attempts))]
    return {"job": job_read(job), "attempts": attempts}


def _attempt_read(job: Job, number: int) -> dict[str, Any]:
    """Return ``AttemptRead``; its id is the number of the attempt."""
    attempt = job.attempts[number]
    return drop_nulls(
        {
            "id": number,
            "status": attempt.status,
            "createdAt": int(attempt.created_at),
            "updatedAt": int(attempt.updated_at),
            "endedAt": None if attempt.ended_at is None else int(attempt.ended_at),
            "bytesSynced": attempt.bytes,
            "recordsSynced": attempt.rows,
            "totalStats": _stats(attempt.rows, attempt.bytes),
            "streamStats": _stream_stats(job, attempt.rows, attempt.bytes),
            "failureSummary": _failure_summary(attempt),
        }
    )


def failure_reason(attempt: Attempt) -> dict[str, Any] | None:
    """Return ``FailureReason``, or ``None`` if the attempt did not fail."""
    failure = attempt.failure
    if failure is None:
        return None
    return drop_nulls(
        {
            "failureOrigin": failure.origin,
            "failureType": failure.type,
            "externalMessage": failure.message,
            "internalMessage": failure.internal_message or failure.message,
            "retryable": failure.type not in ("config_error", "manual_cancellation"),
            "timestamp": int((attempt.ended_at or attempt.updated_at) * 1000),
        }
    )


def _failure_summary(attempt: Attempt) -> dict[str, Any] | None:
    reason = failure_reason(attempt)
    return None if reason is None else {"failures": [reason], "partialSuccess": attempt.rows > 0}


def _stats(rows: int, size: int) -> dict[str, int]:
    return {
        "recordsEmitted": rows,
        "bytesEmitted": size,
        "recordsCommitted": rows,
        "bytesCommitted": size,
    }


def _stream_stats(job: Job, rows: int, size: int) -> list[dict[str, Any]]:
    """Divide the counters among the streams: the emulator counts by job, not by stream."""
    count = len(job.streams)
    shares = [
        (rows // count + (index < rows % count), size // count + (index < size % count))
        for index in range(count)
    ]
    return [
        drop_nulls(
            {
                "streamName": stream["name"],
                "streamNamespace": stream.get("namespace"),
                "stats": _stats(*share),
            }
        )
        for stream, share in zip(job.streams, shares, strict=True)
    ]


def _logs(job: Job, number: int) -> dict[str, Any]:
    attempt = job.attempts[number]
    lines = [(attempt.created_at, "info", f"Attempt {number} of job {job.id} started")]
    ended_at = attempt.ended_at
    if attempt.failure is not None and ended_at is not None:
        lines.append((ended_at, "error", attempt.failure.message))
    if ended_at is not None:
        lines.append((ended_at, "info", f"Committed {attempt.rows} records"))
        lines.append((ended_at, "info", f"Attempt {number} of job {job.id} {attempt.status}"))
    events = [
        {
            "timestamp": int(at * 1000),
            "level": level,
            "message": message,
            "logSource": "replication-orchestrator",
        }
        for at, level, message in lines
    ]
    return {"logType": "structured", "logs": {"events": events, "version": "1"}}


def _job(context: RequestContext, body: Body, field: str = "id") -> tuple[Job, dict[str, Any]]:
    """Return the job that the body names, and the body."""
    number = context.raw_field(field)
    job = context.world.jobs.get(number) if isinstance(number, int) else None
    context.require_secured(_workspace_of(context, job), roles.READER)
    values = context.body(body)
    if job is None:
        raise OpaqueError(404)
    return job, values


def _workspace_of(context: RequestContext, job: Job | None) -> str | None:
    return None if job is None else context.world.connections[job.connection_id].workspace_id


@_router.add("POST", "/jobs/get_without_logs")
def get_job_without_logs(context: RequestContext) -> HttpResponse:
    """Read a job with its attempts and why they failed."""
    return json_response(200, _without_logs(_job(context, _JOB_ID)[0]))


@_router.add("POST", "/jobs/get")
def get_job(context: RequestContext) -> HttpResponse:
    """Read a job with its attempts and their logs."""
    return json_response(200, job_info_read(_job(context, _JOB_ID)[0]))


@_router.add("POST", "/jobs/get_light")
def get_job_light(context: RequestContext) -> HttpResponse:
    """Read a job without its attempts."""
    return json_response(200, {"job": job_read_light(_job(context, _JOB_ID)[0])})


@_router.add("POST", "/jobs/get_debug_info")
def get_job_debug_info(context: RequestContext) -> HttpResponse:
    """Read a job with its definitions, attempts and workflow state."""
    job, _ = _job(context, _JOB_ID)
    connection = context.world.connections[job.connection_id]
    source = context.world.sources[connection.source_id]
    destination = context.world.destinations[connection.destination_id]
    definitions = {
        f"{actor.kind}Definition": {
            f"{actor.kind}DefinitionId": actor.definition_id,
            "name": connector_name(actor.kind, actor.definition_id),
        }
        for actor in (source, destination)
    }
    return json_response(
        200,
        {
            "job": {
                **job_read_light(job),
                "airbyteVersion": context.settings.version,
                **definitions,
            },
            "attempts": job_info_read(job)["attempts"],
            "workflowState": {"running": not job.is_terminal},
        },
    )


@_router.add("POST", "/jobs/list")
def list_jobs(context: RequestContext) -> HttpResponse:
    """List the jobs of a connection with their attempts, the newest first."""
    connection = context.world.connections.get(context.raw_id("configId"))
    context.require_secured(connection.workspace_id if connection else None, roles.READER)
    body = context.body(_JOB_LIST)
    pagination = body.get("pagination") or {}
    statuses = body.get("statuses")
    found = [
        job
        for job in reversed(context.world.jobs.values())
        if (connection is None or job.connection_id == connection.id)
        and job.config_type in body["configTypes"]
        and (not statuses or job.status in statuses)
    ]
    offset = max(0, pagination.get("rowOffset") or 0)
    size = max(0, pagination.get("pageSize") or 20)
    return json_response(
        200,
        {
            "jobs": [_without_logs(job) for job in found[offset : offset + size]],
            "totalJobCount": len(found),
        },
    )


@_router.add("POST", "/jobs/get_last_replication_job")
def get_last_replication_job(context: RequestContext) -> HttpResponse:
    """Read the newest sync or refresh; the server also counts resets, and skips cancelled jobs."""
    connection = context.world.connections.get(context.raw_id("connectionId"))
    context.require_secured(connection.workspace_id if connection else None, roles.READER)
    context.body(_CONNECTION_ID)
    jobs = jobs_of(context, connection.id if connection else "")
    newest = next((job for job in jobs if job.config_type in ("sync", "refresh")), None)
    return json_response(200, {} if newest is None else {"job": job_read_light(newest)})


def jobs_of(context: RequestContext, connection_id: str) -> Iterable[Job]:
    """Return the jobs of a connection, the newest first."""
    return (
        job for job in reversed(context.world.jobs.values()) if job.connection_id == connection_id
    )


@_router.add("POST", "/jobs/explain")
def explain_job(context: RequestContext) -> HttpResponse:
    """Return 501: a self-managed Airbyte cannot explain jobs."""
    _job(context, _JOB_ID)
    raise ProblemError(
        501,
        "API not implemented in Airbyte OSS",
        "The API is not implemented in Airbyte OSS.",
        None,
        kind="error:implementation/not-implemented-in-oss",
    )


@_router.add("POST", "/attempt/get_for_job")
def get_attempt(context: RequestContext) -> HttpResponse:
    """Read one attempt with its logs."""
    job, number = _attempt(context)
    return json_response(200, {"attempt": _attempt_read(job, number), **_logs(job, number)})


@_router.add("POST", "/attempt/get_combined_stats")
def get_attempt_stats(context: RequestContext) -> HttpResponse:
    """Read the counters of one attempt."""
    job, number = _attempt(context)
    return json_response(200, _attempt_read(job, number)["totalStats"])


def _attempt(context: RequestContext) -> tuple[Job, int]:
    job, body = _job(context, _ATTEMPT, "jobId")
    number = body["attemptNumber"]
    if not 0 <= number < len(job.attempts):
        raise OpaqueError(404)
    return job, number


@_router.add("POST", "/connections/events/list_for_job")
def list_job_events(context: RequestContext) -> HttpResponse:
    """List the events of a job on the connection's timeline."""
    job, _ = _job(context, _JOB_ID)
    kind = {"sync": "SYNC", "refresh": "REFRESH", "reset_connection": "CLEAR"}[job.config_type]
    occurred = [(job.created_at, "STARTED")]
    if job.is_terminal:
        occurred.append((job.updated_at, str(job.status).upper()))
    events = [
        {
            "id": f"{job.id:08x}-0000-4000-8000-{index:012x}",
            "connectionId": job.connection_id,
            "eventType": f"{kind}_{event}",
            "createdAt": int(at),
            "summary": {"jobId": job.id, "recordsLoaded": job.rows, "bytesLoaded": job.bytes},
        }
        for index, (at, event) in enumerate(occurred)
    ]
    return json_response(200, {"events": events})
