"""Jobs of the public API: ``JobsController.kt``, ``JobService.kt``, ``JobsFilter.kt``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus, JobType
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, integer, one_of, text
from airflow_provider_airbyte_sme.emulator.instants import iso_duration, iso_instant
from airflow_provider_airbyte_sme.emulator.jobs import (
    AlreadyRunningError,
    NotActiveError,
    NothingRunningError,
)
from airflow_provider_airbyte_sme.emulator.pages import page
from airflow_provider_airbyte_sme.emulator.problems import (
    bad_request,
    forbidden,
    json_response,
    state_conflict,
    try_again_later,
    unprocessable,
)
from airflow_provider_airbyte_sme.emulator.routing import PUBLIC_API, Router
from airflow_provider_airbyte_sme.emulator.world import ConfigType, Connection, Job

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_JOB_CREATE = Body("jobCreateRequest", required={"connectionId": text, "jobType": one_of(*JobType)})
_NOT_RUNNING = "Job is not currently running"

_PUBLIC_TYPE: dict[ConfigType, str] = {
    "sync": JobType.SYNC,
    "reset_connection": JobType.RESET,
    "refresh": JobType.REFRESH,
}
# What a filter finds. Nothing is stored as clear: DefaultJobCreator.kt.
_STORED_TYPES: dict[str, tuple[ConfigType, ...]] = {
    JobType.SYNC: ("sync",),
    JobType.RESET: ("reset_connection",),
    JobType.REFRESH: ("refresh",),
    JobType.CLEAR: (),
}


def job_response(job: Job, *, with_counters: bool = True) -> dict[str, Any]:
    """
    Write a job as ``JobResponseMapper.kt`` does; what is null is left out.

    :param with_counters: The replies to POST and DELETE have none: another converter.
    """
    fields: dict[str, Any] = {
        "jobId": job.id,
        "status": job.status,
        "jobType": _PUBLIC_TYPE[job.config_type],
        "startTime": iso_instant(job.created_at),
        "connectionId": job.connection_id,
    }
    if job.is_terminal:
        fields["lastUpdatedAt"] = iso_instant(job.updated_at)
    if job.status != JobStatus.PENDING:
        fields["duration"] = iso_duration(int(job.updated_at) - int(job.created_at))
    if with_counters:
        fields["bytesSynced"] = job.bytes
        fields["rowsSynced"] = job.rows
    return fields


@_router.add("POST", "/jobs")
def create_job(call: Call) -> HttpResponse:
    """Start a sync, or clear a connection's data."""
    body = call.body(_JOB_CREATE)
    job_type = body["jobType"]
    wanted = (
        (roles.EDITOR, roles.SOURCE_EDITOR, roles.DESTINATION_EDITOR)
        if job_type == JobType.CLEAR
        else (roles.RUNNER,)
    )
    connection = call.connection(body["connectionId"], *wanted)
    if job_type == JobType.REFRESH:
        raise unprocessable("Refreshes are not supported in the public API")
    if job_type == JobType.SYNC:
        job = _start_sync(call, connection)
    else:
        job = call.core.jobs.start_reset(connection, connection.streams)
    if call.core.settings.is_legacy:
        call.core.jobs.settle()  # v2.0.0 answers when the attempt runs
    return json_response(200, job_response(job, with_counters=False))


def _start_sync(call: Call, connection: Connection) -> Job:
    try:
        return call.core.jobs.start_sync(connection, waits_for_attempt=call.core.settings.is_legacy)
    except AlreadyRunningError:
        raise try_again_later(f"A sync is already running for: {connection.id}") from None
    except NotActiveError:
        # An IllegalStateException whose reason is swallowed: ConfigClientErrorHandler.kt.
        raise state_conflict() from None


@_router.add("GET", "/jobs/{jobId}")
def get_job(call: Call) -> HttpResponse:
    """Read one job."""
    return json_response(200, job_response(_job(call, roles.READER)))


@_router.add("DELETE", "/jobs/{jobId}")
def cancel_job(call: Call) -> HttpResponse:
    """
    Cancel whatever runs on the connection of that job, and answer with that job.

    The id only leads to the connection: ``SchedulerHandler.kt`` submitCancellationToWorker.
    """
    job = _job(call, roles.RUNNER)
    try:
        call.core.jobs.cancel(job.connection_id)
    except NothingRunningError:
        raise state_conflict(_NOT_RUNNING) from None
    return json_response(200, job_response(job, with_counters=False))


def _job(call: Call, role: str) -> Job:
    job = call.world.jobs.get(call.path_value("jobId", integer))
    if job is None:
        if call.is_instance_admin:
            # "Could not find job with id" is rewritten to this: ConfigClientErrorHandler.kt.
            raise state_conflict(_NOT_RUNNING)
        raise forbidden(role)
    workspace_id = call.world.connections[job.connection_id].workspace_id
    call.require(workspace_id, role, name=role)
    return job


@_router.add("GET", "/jobs")
def list_jobs(call: Call) -> HttpResponse:
    """List jobs, the oldest first unless told otherwise."""
    query = call.query
    limit, offset = query.page()
    connection_id = query.text("connectionId")
    job_type = query.converted("jobType", one_of(*JobType))
    status = query.converted("status", one_of(*JobStatus))
    bounds = {
        name: query.instant(name)
        for name in ("createdAtStart", "createdAtEnd", "updatedAtStart", "updatedAtEnd")
    }
    asked_workspaces = query.uuids("workspaceIds")
    jobs, kept = _scope(call, connection_id, asked_workspaces)
    stored_types = _STORED_TYPES[job_type] if job_type else _default_types(call)
    matching = [
        job
        for job in jobs
        if job.config_type in stored_types
        and (status is None or job.status == status)
        and _within(job.created_at, bounds["createdAtStart"], bounds["createdAtEnd"])
        and _within(job.updated_at, bounds["updatedAtStart"], bounds["updatedAtEnd"])
    ]
    _sort(matching, query.text("orderBy"))
    if job_type:
        kept.insert(0, ("jobType", job_type))
    return json_response(
        200,
        page(
            matching,
            job_response,
            url=call.public_url("jobs"),
            kept=kept,
            limit=limit,
            offset=offset,
        ),
    )


def _scope(
    call: Call, connection_id: str | None, asked_workspaces: list[str]
) -> tuple[list[Job], list[tuple[str, str]]]:
    """Return the jobs that the caller asks about and may see, and what the links keep of that."""
    jobs = list(call.world.jobs.values())
    if connection_id is not None:
        connection = call.world.connections.get(connection_id.lower())
        call.require(connection.workspace_id if connection else None, roles.READER)
        of_connection = [job for job in jobs if connection and job.connection_id == connection.id]
        return of_connection, [("connectionId", connection_id)]
    workspaces = set(call.readable_workspaces())
    visible = [
        job for job in jobs if call.world.connections[job.connection_id].workspace_id in workspaces
    ]
    kept = [("workspaceIds", ",".join(asked_workspaces))] if asked_workspaces else []
    return visible, kept


def _default_types(call: Call) -> tuple[ConfigType, ...]:
    if call.core.settings.is_legacy:
        return ("sync", "reset_connection")
    return ("sync", "reset_connection", "refresh")


def _within(epoch: float, start: float | None, end: float | None) -> bool:
    return (start is None or epoch >= start) and (end is None or epoch <= end)


def _sort(jobs: list[Job], order_by: str | None) -> None:
    # The first part of the text that looks like a clause counts, the field in any case and the
    # direction in capitals: JobsHelper.kt.
    clause = re.search(r"([a-zA-Z0-9]+)\|(ASC|DESC)", order_by or "createdAt|ASC")
    if clause is None or clause[1].lower() not in ("createdat", "updatedat"):
        raise bad_request(f"Invalid order by clause provided: {order_by}")
    by_update, descending = clause[1].lower() == "updatedat", clause[2] == "DESC"
    jobs.sort(
        key=lambda job: (job.updated_at if by_update else job.created_at, job.id),
        reverse=descending,
    )
