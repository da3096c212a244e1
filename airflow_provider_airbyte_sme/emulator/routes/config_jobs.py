"""
Jobs of the internal API: reasons, attempts and logs, which the public one does not tell.

``JobsApiController.kt``, ``AttemptApiController.kt``, ``JobConverter.kt``. Roles are checked by
annotation there, with the ids that the JSON body carries, so an id that leads nowhere is the
framework's 403.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, array_of, integer, one_of, text
from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.problems import (
    OpaqueError,
    ProblemError,
    json_response,
)
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.world import Attempt, Job

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

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
    """Write ``JobRead``; times are in seconds since the epoch."""
    fields: dict[str, Any] = {
        **job_read_light(job),
        "enabledStreams": [
            {"name": stream["name"], "namespace": stream.get("namespace")} for stream in job.streams
        ],
        "aggregatedStats": _stats(job.rows, job.bytes),
        "streamAggregatedStats": _stream_stats(job, job.rows, job.bytes),
    }
    return _without_nulls(fields)


def job_read_light(job: Job) -> dict[str, Any]:
    """Write ``JobRead`` without streams and counters."""
    return _without_nulls(
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
    """Write ``JobInfoRead``: the job and each attempt with its logs."""
    attempts = [
        {"attempt": _attempt_read(job, number), **_logs(job, number)}
        for number in range(len(job.attempts))
    ]
    return {"job": job_read(job), "attempts": attempts}


def _without_logs(job: Job) -> dict[str, Any]:
    attempts = [{"attempt": _attempt_read(job, number)} for number in range(len(job.attempts))]
    return {"job": job_read(job), "attempts": attempts}


def _attempt_read(job: Job, number: int) -> dict[str, Any]:
    """Write ``AttemptRead``, whose id is its number."""
    attempt = job.attempts[number]
    return _without_nulls(
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
    """Write ``FailureReason``, or ``None`` when the attempt did not fail."""
    failure = attempt.failure
    if failure is None:
        return None
    return _without_nulls(
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
    """Share the counters out among the streams: the emulator counts jobs, not streams."""
    count = len(job.streams)
    shares = [
        (rows // count + (index < rows % count), size // count + (index < size % count))
        for index in range(count)
    ]
    return [
        _without_nulls(
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


def _without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _job(call: Call, body: Body, field: str = "id") -> tuple[Job, dict[str, Any]]:
    """Return the job that the body names, and the body."""
    number = call.unbound(field)
    job = call.world.jobs.get(number) if isinstance(number, int) else None
    call.secure(_workspace_of(call, job), roles.READER)
    values = call.body(body)
    if job is None:
        raise OpaqueError(404)
    return job, values


def _workspace_of(call: Call, job: Job | None) -> str | None:
    return None if job is None else call.world.connections[job.connection_id].workspace_id


@_router.add("POST", "/jobs/get_without_logs")
def get_job_without_logs(call: Call) -> HttpResponse:
    """Read a job with its attempts and why they failed."""
    return json_response(200, _without_logs(_job(call, _JOB_ID)[0]))


@_router.add("POST", "/jobs/get")
def get_job(call: Call) -> HttpResponse:
    """Read a job with its attempts and their logs."""
    return json_response(200, job_info_read(_job(call, _JOB_ID)[0]))


@_router.add("POST", "/jobs/get_light")
def get_job_light(call: Call) -> HttpResponse:
    """Read a job alone."""
    return json_response(200, {"job": job_read_light(_job(call, _JOB_ID)[0])})


@_router.add("POST", "/jobs/get_debug_info")
def get_job_debug_info(call: Call) -> HttpResponse:
    """Read a job with everything around it."""
    job, _ = _job(call, _JOB_ID)
    connection = call.world.connections[job.connection_id]
    source = call.world.sources[connection.source_id]
    destination = call.world.destinations[connection.destination_id]
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
                "airbyteVersion": call.core.settings.version,
                **definitions,
            },
            "attempts": job_info_read(job)["attempts"],
            "workflowState": {"running": not job.is_terminal},
        },
    )


@_router.add("POST", "/jobs/list")
def list_jobs(call: Call) -> HttpResponse:
    """List the jobs of a connection with their attempts, the newest first."""
    connection = call.world.connections.get(call.unbound_id("configId"))
    call.secure(connection.workspace_id if connection else None, roles.READER)
    body = call.body(_JOB_LIST)
    pagination = body.get("pagination") or {}
    statuses = body.get("statuses")
    found = [
        job
        for job in reversed(call.world.jobs.values())
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
def get_last_replication_job(call: Call) -> HttpResponse:
    """Read the newest job of a connection that moved data."""
    connection = call.world.connections.get(call.unbound_id("connectionId"))
    call.secure(connection.workspace_id if connection else None, roles.READER)
    call.body(_CONNECTION_ID)
    jobs = jobs_of(call, connection.id if connection else "")
    newest = next((job for job in jobs if job.config_type in ("sync", "refresh")), None)
    return json_response(200, {} if newest is None else {"job": job_read_light(newest)})


def jobs_of(call: Call, connection_id: str) -> Iterable[Job]:
    """Return the jobs of a connection, the newest first."""
    return (job for job in reversed(call.world.jobs.values()) if job.connection_id == connection_id)


@_router.add("POST", "/jobs/explain")
def explain_job(call: Call) -> HttpResponse:
    """Refuse: what explains jobs is not in a self-managed Airbyte."""
    _job(call, _JOB_ID)
    raise ProblemError(
        501,
        "API not implemented in Airbyte OSS",
        "The API is not implemented in Airbyte OSS.",
        None,
        kind="error:implementation/not-implemented-in-oss",
    )


@_router.add("POST", "/attempt/get_for_job")
def get_attempt(call: Call) -> HttpResponse:
    """Read one attempt with its logs."""
    job, number = _attempt(call)
    return json_response(200, {"attempt": _attempt_read(job, number), **_logs(job, number)})


@_router.add("POST", "/attempt/get_combined_stats")
def get_attempt_stats(call: Call) -> HttpResponse:
    """Read the counters of one attempt."""
    job, number = _attempt(call)
    return json_response(200, _attempt_read(job, number)["totalStats"])


def _attempt(call: Call) -> tuple[Job, int]:
    job, body = _job(call, _ATTEMPT, "jobId")
    number = body["attemptNumber"]
    if not 0 <= number < len(job.attempts):
        raise OpaqueError(404)
    return job, number


@_router.add("POST", "/connections/events/list_for_job")
def list_job_events(call: Call) -> HttpResponse:
    """List what the connection's timeline says about a job."""
    job, _ = _job(call, _JOB_ID)
    kind = {"sync": "SYNC", "refresh": "REFRESH", "reset_connection": "CLEAR"}[job.config_type]
    occurred = [(job.created_at, "STARTED")]
    if job.is_terminal:
        occurred.append((job.updated_at, str(job.status).upper()))
    events = [
        {
            "id": f"{job.id:08x}-0000-4000-8000-{index:012x}",
            "connectionId": job.connection_id,
            "eventType": f"{kind}_{what}",
            "createdAt": int(at),
            "summary": {"jobId": job.id, "recordsLoaded": job.rows, "bytesLoaded": job.bytes},
        }
        for index, (at, what) in enumerate(occurred)
    ]
    return json_response(200, {"events": events})
