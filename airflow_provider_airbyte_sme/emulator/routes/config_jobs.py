"""
Jobs of the config API, with failure reasons, attempts and logs: ``docs/airbyte-api.md`` §3.7.

Roles are checked by annotation, with the ids in the JSON body, so an unknown id is the framework's
403.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, array_of, integer, one_of, text
from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.jobs import StreamId, rows_of_stream, stream_id
from airflow_provider_airbyte_sme.emulator.logs import log_lines
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.problems import (
    OpaqueError,
    ProblemError,
    json_response,
)
from airflow_provider_airbyte_sme.emulator.routes.definitions import find_definition
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.world import Actor, Attempt, ConfigType, Job

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
_DEFAULT_PAGE_SIZE = 200
_CONNECTION_ID = Body("connectionIdRequestBody", required={"connectionId": text})


def job_read(job: Job) -> dict[str, Any]:
    """Return ``JobRead`` without counters; times are in seconds since the epoch."""
    is_reset, is_refresh = job.config_type == "reset_connection", job.config_type == "refresh"
    return drop_nulls(
        {
            "id": job.id,
            "configType": job.config_type,
            "configId": job.connection_id,
            "enabledStreams": [stream_id(stream) for stream in job.streams],
            "resetConfig": {"streamsToReset": job.targets} if is_reset else None,
            "refreshConfig": {"streamsToRefresh": job.targets} if is_refresh else None,
            "createdAt": int(job.created_at),
            "updatedAt": int(job.updated_at),
            "startedAt": None if job.started_at is None else int(job.started_at),
            "status": job.status,
        }
    )


def counted_job_read(job: Job) -> dict[str, Any]:
    """Return ``JobRead`` with the counters of the job and, once there are any, of its streams."""
    streams = _shares_of_job(job) if job.plan.statistics == "all" else []
    return {
        **job_read(job),
        "aggregatedStats": _aggregated(job.counted_rows, job.counted_bytes),
        "streamAggregatedStats": [
            {**_stream_name(stream), **_aggregated(*share)} for stream, *share in streams
        ],
    }


def job_info_read(job: Job) -> dict[str, Any]:
    """Return ``JobInfoRead``: the job without counters, and each attempt with its logs."""
    attempts = [_attempt_info(job, number) for number in range(len(job.attempts))]
    return {"job": job_read(job), "attempts": attempts}


def _attempt_info(job: Job, number: int) -> dict[str, Any]:
    return {"attempt": _attempt_read(job, number), **_logs(job, number)}


def _without_logs(job: Job) -> dict[str, Any]:
    attempts = [{"attempt": _attempt_read(job, number)} for number in range(len(job.attempts))]
    return {"job": counted_job_read(job), "attempts": attempts}


def _attempt_read(job: Job, number: int, *, with_namespaces: bool = False) -> dict[str, Any]:
    """
    Return ``AttemptRead``; its id is the number of the attempt.

    A running attempt has no counters: [inf] they are written when it ends.

    :param with_namespaces: Whether the counters of streams have the namespaces, as where the server
        reads them from its table of statistics.
    """
    attempt = job.attempts[number]
    fields: dict[str, Any] = {
        "id": number,
        "status": attempt.status,
        "createdAt": int(attempt.created_at),
        "updatedAt": int(attempt.updated_at),
        "failureSummary": _failure_summary(attempt),
    }
    if attempt.ended_at is not None:
        fields["endedAt"] = int(attempt.ended_at)
    if attempt.ended_at is not None and job.plan.statistics != "none":
        fields |= {
            "bytesSynced": attempt.bytes,
            "recordsSynced": attempt.rows,
            "totalStats": _stats(attempt.rows, attempt.bytes),
            "streamStats": [
                {
                    **(_stream_name(stream) if with_namespaces else {"streamName": stream["name"]}),
                    "stats": _stats(*share),
                }
                for stream, *share in _shares(job, attempt)
            ],
        }
    return drop_nulls(fields)


def _attempts_with_namespaces(job: Job) -> list[dict[str, Any]]:
    return [_attempt_read(job, n, with_namespaces=True) for n in range(len(job.attempts))]


def failure_reason(attempt: Attempt) -> dict[str, Any] | None:
    """Return the first ``FailureReason``, or ``None`` if the attempt did not fail."""
    return next(iter(_failure_reasons(attempt)), None)


def _failure_reasons(attempt: Attempt) -> list[dict[str, Any]]:
    return [
        drop_nulls(
            {
                "failureOrigin": failure.origin,
                "failureType": failure.type,
                "externalMessage": failure.message,
                "internalMessage": failure.internal_message or failure.message,
                "retryable": failure.type not in ("config_error", "manual_cancellation"),
                "timestamp": int((attempt.ended_at or attempt.updated_at) * 1000),
                "streamDescriptor": failure.stream
                and drop_nulls({"name": failure.stream, "namespace": failure.namespace}),
            }
        )
        for failure in attempt.failures
    ]


def _failure_summary(attempt: Attempt) -> dict[str, Any] | None:
    reasons = _failure_reasons(attempt)
    return {"failures": reasons, "partialSuccess": attempt.rows > 0} if reasons else None


def _stats(rows: int, size: int) -> dict[str, int]:
    return {"recordsEmitted": rows, "bytesEmitted": size, "recordsCommitted": rows}


def _aggregated(rows: int, size: int) -> dict[str, int]:
    return {**_stats(rows, size), "bytesCommitted": size, "recordsRejected": 0}


def _stream_name(stream: Mapping[str, Any]) -> dict[str, Any]:
    return drop_nulls({"streamName": stream["name"], "streamNamespace": stream.get("namespace")})


def _shares(job: Job, attempt: Attempt) -> list[tuple[Mapping[str, Any], int, int]]:
    """Return the streams of which an attempt has counters, with their records and bytes."""
    rows, size, count = attempt.rows, attempt.bytes, len(job.streams)
    if attempt.rows_of is None:
        return [
            (stream, rows // count + (index < rows % count), size // count + (index < size % count))
            for index, stream in enumerate(job.streams)
        ]
    return [
        (stream, counted, size * counted // rows if rows else 0)
        for stream in job.streams
        if (counted := rows_of_stream(attempt.rows_of, stream)) is not None
    ]


def _shares_of_job(job: Job) -> list[tuple[Mapping[str, Any], int, int]]:
    """Return the same for all attempts that have ended, or that have committed records so far."""
    counted = [each for each in job.attempts if each.ended_at is not None or each.rows]
    shares = [share for attempt in counted for share in _shares(job, attempt)]
    return [
        (stream, sum(rows for _, rows, _ in own), sum(size for _, _, size in own))
        for stream in job.streams
        if (own := [share for share in shares if share[0] is stream])
    ]


def progress_of_streams(job: Job) -> list[dict[str, Any]]:
    """Return ``StreamSyncProgressReadItem`` for each stream that *job* moves or clears."""
    counters = {
        (item["streamName"], item.get("streamNamespace")): item
        for item in counted_job_read(job)["streamAggregatedStats"]
    }
    others = [stream_id(stream) for stream in job.streams]
    tracked: list[tuple[ConfigType, StreamId]] = [(job.config_type, t) for t in job.targets]
    if job.config_type != "reset_connection":
        tracked += [("sync", stream) for stream in others if stream not in job.targets]
    return [
        {
            **_stream_name(stream),
            **counters.get((stream["name"], stream.get("namespace")), {}),
            "configType": config_type,
        }
        for config_type, stream in tracked
    ]


def _logs(job: Job, number: int) -> dict[str, Any]:
    if job.plan.log_type == "formatted":
        lines = [
            f"{datetime.fromtimestamp(line.at, UTC):%Y-%m-%d %H:%M:%S} replication-orchestrator "
            f"{line.level.upper()} {line.message}"
            for line in log_lines(job, number)
        ]
        return {"logType": "formatted", "logs": {"logLines": lines}}
    events = [
        {
            "timestamp": int(line.at * 1000),
            "level": line.level,
            "message": line.message,
            "logSource": "replication-orchestrator",
        }
        for line in log_lines(job, number)
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
    return json_response(200, {"job": job_read(_job(context, _JOB_ID)[0])})


@_router.add("POST", "/jobs/get_debug_info")
def get_job_debug_info(context: RequestContext) -> HttpResponse:
    """Read a job with its definitions, attempts and workflow state."""
    job, _ = _job(context, _JOB_ID)
    connection = context.world.connections[job.connection_id]
    actors = (
        context.world.sources[connection.source_id],
        context.world.destinations[connection.destination_id],
    )
    attempts = [
        {"attempt": attempt, **_logs(job, attempt["id"])}
        for attempt in _attempts_with_namespaces(job)
    ]
    debug = {
        "id": job.id,
        "configType": job.config_type,
        "configId": job.connection_id,
        "status": job.status,
        "airbyteVersion": context.settings.version,
        **{f"{actor.kind}Definition": _definition_read(context, actor) for actor in actors},
    }
    return json_response(
        200,
        {
            "job": drop_nulls(debug),
            "attempts": attempts,
            "workflowState": {"running": not job.is_terminal},
        },
    )


def _definition_read(context: RequestContext, actor: Actor) -> dict[str, Any] | None:
    """Return ``SourceDefinitionRead`` or ``DestinationDefinitionRead``; ``None`` if deleted."""
    definition = find_definition(context, actor)
    if definition is None:
        return None
    return drop_nulls(
        {
            f"{actor.kind}DefinitionId": definition.id,
            "name": definition.name,
            "dockerRepository": definition.docker_repository,
            "dockerImageTag": definition.docker_image_tag,
            "documentationUrl": definition.documentation_url,
            "custom": not connector_name(actor.kind, definition.id),
        }
    )


@_router.add("POST", "/jobs/list")
def list_jobs(context: RequestContext) -> HttpResponse:
    """List the jobs of a connection with their attempts, the newest first."""
    connection = context.world.connections.get(context.raw_id("configId"))
    context.require_secured(connection.workspace_id if connection else None, roles.READER)
    body = context.body(_JOB_LIST)
    pagination = body.get("pagination") or {}
    statuses = body.get("statuses")
    jobs_in_scope = (
        reversed(context.world.jobs.values())
        if connection is None
        else jobs_of(context, connection.id)
    )
    found = [
        job
        for job in jobs_in_scope
        if job.config_type in body["configTypes"] and (not statuses or job.status in statuses)
    ]
    offset = max(0, pagination.get("rowOffset") or 0)
    size = max(0, pagination.get("pageSize") or _DEFAULT_PAGE_SIZE)
    jobs = [
        {"job": counted_job_read(job), "attempts": _attempts_with_namespaces(job)}
        for job in found[offset : offset + size]
    ]
    return json_response(200, {"jobs": jobs, "totalJobCount": len(found)})


@_router.add("POST", "/jobs/get_last_replication_job")
def get_last_replication_job(context: RequestContext) -> HttpResponse:
    """Read the newest sync, refresh or reset that was not cancelled."""
    connection = context.world.connections.get(context.raw_id("connectionId"))
    context.require_secured(connection.workspace_id if connection else None, roles.READER)
    context.body(_CONNECTION_ID)
    jobs = jobs_of(context, connection.id if connection else "")
    newest = next((job for job in jobs if job.status != JobStatus.CANCELLED), None)
    return json_response(200, {} if newest is None else {"job": job_read(newest)})


def jobs_of(context: RequestContext, connection_id: str) -> Iterable[Job]:
    """Return the jobs of a connection, the newest first."""
    return reversed(context.jobs.index.of_connection(connection_id))


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
    return json_response(200, _attempt_info(job, number))


@_router.add("POST", "/attempt/get_combined_stats")
def get_attempt_stats(context: RequestContext) -> HttpResponse:
    """Read the counters of one attempt; 404 while it has none."""
    job, number = _attempt(context)
    attempt = job.attempts[number]
    if attempt.ended_at is None or job.plan.statistics != "all":
        raise OpaqueError(404)
    return json_response(
        200, {**_stats(attempt.rows, attempt.bytes), "bytesCommitted": attempt.bytes}
    )


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
            "summary": {
                "jobId": job.id,
                "recordsLoaded": job.counted_rows,
                "bytesLoaded": job.counted_bytes,
            },
        }
        for index, (at, event) in enumerate(occurred)
    ]
    return json_response(200, {"events": events})
