"""Jobs of the public API: ``docs/airbyte-api.md`` §3.1 to §3.5."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.api.models import JobStatus, JobType
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, integer, one_of, text
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.iso8601 import iso_duration, iso_timestamp
from airflow_provider_airbyte_sme.emulator.job_index import Period
from airflow_provider_airbyte_sme.emulator.jobs import (
    AlreadyRunningError,
    NotActiveError,
    NothingRunningError,
    NoWorkflowError,
)
from airflow_provider_airbyte_sme.emulator.pagination import page_response
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

_router = Router(PUBLIC_API)
ROUTERS = (_router,)

_JOB_CREATE = Body("jobCreateRequest", required={"connectionId": text, "jobType": one_of(*JobType)})
_NOT_RUNNING = "Job is not currently running"

PUBLIC_TYPES: Mapping[ConfigType, str] = {
    "sync": JobType.SYNC,
    "reset_connection": JobType.RESET,
    "refresh": JobType.REFRESH,
}
# What the filter `jobType` finds. A clear is stored as a reset: §3.5.
_STORED_TYPES: dict[str, tuple[ConfigType, ...]] = {
    JobType.SYNC: ("sync",),
    JobType.RESET: ("reset_connection",),
    JobType.REFRESH: ("refresh",),
    JobType.CLEAR: (),
}


def job_response(job: Job, *, with_counters: bool = True) -> dict[str, Any]:
    """
    Return the response for a job, without null fields: §3.1.

    :param with_counters: Whether bytes and rows are included; POST and DELETE leave them out.
    """
    fields: dict[str, Any] = {
        "jobId": job.id,
        "status": job.status,
        "jobType": PUBLIC_TYPES[job.config_type],
        "startTime": iso_timestamp(job.created_at),
        "connectionId": job.connection_id,
    }
    if job.is_terminal:
        fields["lastUpdatedAt"] = iso_timestamp(job.updated_at)
    if job.status != JobStatus.PENDING:
        fields["duration"] = iso_duration(int(job.updated_at) - int(job.created_at))
    if with_counters:
        fields["bytesSynced"] = job.counted_bytes
        fields["rowsSynced"] = job.counted_rows
    return fields


@_router.add("POST", "/jobs")
def create_job(context: RequestContext) -> HttpResponse:
    """Start a sync, or clear a connection's data."""
    body = context.body(_JOB_CREATE)
    job_type = body["jobType"]
    allowed = roles.ANY_EDITOR if job_type == JobType.CLEAR else (roles.RUNNER,)
    connection = context.connection(body["connectionId"], *allowed)
    if job_type == JobType.REFRESH:
        raise unprocessable("Refreshes are not supported in the public API")
    if job_type == JobType.SYNC:
        job = _start_sync(context, connection)
    else:
        job = _start_reset(context, connection)
    if context.settings.is_legacy:
        context.jobs.settle()  # 2.0 and older respond once the attempt runs: §9.2
    return json_response(200, job_response(job, with_counters=False))


def _start_sync(context: RequestContext, connection: Connection) -> Job:
    try:
        return context.jobs.start_sync(connection, waits_for_attempt=context.settings.is_legacy)
    except AlreadyRunningError:
        raise try_again_later(f"A sync is already running for: {connection.id}") from None
    except NotActiveError:
        # The server swallows the reason: §3.2.
        raise state_conflict() from None
    except NoWorkflowError as error:
        raise try_again_later(str(error)) from None


def _start_reset(context: RequestContext, connection: Connection) -> Job:
    try:
        return context.jobs.start_reset(connection)
    except NoWorkflowError:
        # TemporalClient.kt resetConnection: another error code than for a sync
        raise state_conflict() from None


@_router.add("GET", "/jobs/{jobId}")
def get_job(context: RequestContext) -> HttpResponse:
    """Read one job."""
    return json_response(200, job_response(_job(context, roles.READER)))


@_router.add("DELETE", "/jobs/{jobId}")
def cancel_job(context: RequestContext) -> HttpResponse:
    """
    Cancel the job that runs on the connection of the given job, and return the given job.

    The id is only used to find the connection: §3.4.
    """
    job = _job(context, roles.RUNNER)
    try:
        context.jobs.cancel(job.connection_id)
    except NothingRunningError:
        raise state_conflict(_NOT_RUNNING) from None
    except NoWorkflowError as error:
        raise try_again_later(str(error)) from None
    return json_response(200, job_response(job, with_counters=False))


def _job(context: RequestContext, role: str) -> Job:
    job = context.world.jobs.get(context.path_value("jobId", integer))
    if job is None:
        if context.is_instance_admin:
            # The server rewrites "Could not find job with id" to this: §3.3.
            raise state_conflict(_NOT_RUNNING)
        raise forbidden(role)
    workspace_id = context.world.connections[job.connection_id].workspace_id
    context.require(workspace_id, role, named=role)
    return job


@_router.add("GET", "/jobs")
def list_jobs(context: RequestContext) -> HttpResponse:
    """List jobs; by default, the oldest first."""
    query = context.query.without(context.job_lists.ignored)
    limit, offset = query.limit_and_offset()
    connection_id = query.text("connectionId")
    job_type = query.optional("jobType", one_of(*JobType))
    status = query.optional("status", one_of(*JobStatus))
    created = query.timestamp("createdAtStart"), query.timestamp("createdAtEnd")
    updated = query.timestamp("updatedAtStart"), query.timestamp("updatedAtEnd")
    workspace_ids = query.uuids("workspaceIds")
    is_visible, filters = _scope(context, connection_id, workspace_ids)
    stored_types = _STORED_TYPES[job_type] if job_type else _default_types(context)
    by_update, newest_first = _order(query.text("orderBy"))
    index = context.jobs.index
    jobs: Iterable[Job]
    if connection_id is not None:
        jobs = _sorted(index.of_connection(connection_id.lower()), by_update, newest_first)
    elif by_update:
        jobs = index.by_update(updated, newest_first=newest_first)
    elif updated != (None, None):
        jobs = _sorted(index.by_update(updated), by_update, newest_first)
    else:
        jobs = index.by_creation(created, newest_first=newest_first)
    matching = (
        job
        for job in jobs
        if job.config_type in stored_types
        and (status is None or job.status == status)
        and _within(job.created_at, created)
        and _within(job.updated_at, updated)
        and is_visible(job)
        and context.job_lists.shows(job.id)
    )
    if job_type:
        filters.insert(0, ("jobType", job_type))
    return json_response(
        200,
        page_response(
            matching,
            partial(job_response, with_counters=context.job_lists.has_counters),
            url=context.public_url("jobs"),
            filters=filters,
            limit=limit,
            offset=offset,
        ),
    )


def _scope(
    context: RequestContext, connection_id: str | None, workspace_ids: list[str]
) -> tuple[Callable[[Job], bool], list[tuple[str, str]]]:
    """Return whether a job is in the requested scope, and the filters that the links repeat."""
    connections = context.world.connections
    if connection_id is not None:
        connection = connections.get(connection_id.lower())
        context.require(connection.workspace_id if connection else None, roles.READER)
        return lambda job: True, [("connectionId", connection_id)]
    workspaces = set(context.readable_workspace_ids())
    filters = [("workspaceIds", ",".join(workspace_ids))] if workspace_ids else []
    return lambda job: connections[job.connection_id].workspace_id in workspaces, filters


def _default_types(context: RequestContext) -> tuple[ConfigType, ...]:
    if context.settings.is_legacy:
        return ("sync", "reset_connection")
    return ("sync", "reset_connection", "refresh")


def _within(epoch: float, period: Period) -> bool:
    start, end = period
    return (start is None or epoch >= start) and (end is None or epoch <= end)


def _order(order_by: str | None) -> tuple[bool, bool]:
    """Return whether jobs are ordered by their last update, and whether the newest is first."""
    # The first match counts, with the field in any case and the direction in upper case:
    # docs/airbyte-api.md §3.5.
    clause = re.search(r"([a-zA-Z0-9]+)\|(ASC|DESC)", order_by or "createdAt|ASC")
    if clause is None or clause[1].lower() not in ("createdat", "updatedat"):
        raise bad_request(f"Invalid order by clause provided: {order_by}")
    return clause[1].lower() == "updatedat", clause[2] == "DESC"


def _sorted(jobs: Iterable[Job], by_update: bool, newest_first: bool) -> list[Job]:
    return sorted(
        jobs,
        key=lambda job: (job.updated_at if by_update else job.created_at, job.id),
        reverse=newest_first,
    )
