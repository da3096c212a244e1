"""The steps that look at one Airbyte connection and at the config API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from airflow_provider_airbyte_sme.api.doctor.checks import (
    CONFIG_API_OFF,
    Finding,
    failed,
    ok,
    skipped,
    told,
    warning,
)
from airflow_provider_airbyte_sme.api.doctor.subject import ONE_ATTEMPT, Subject
from airflow_provider_airbyte_sme.api.errors import AirbyteApiError, AirbyteError
from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.api.job_reports import rows_text, streams_text
from airflow_provider_airbyte_sme.api.models import (
    AirbyteConnection,
    Job,
    JobDetails,
    Permission,
)
from airflow_provider_airbyte_sme.api.retry import is_closed
from airflow_provider_airbyte_sme.api.waiting import duration_text

# A status of connections: docs/airbyte-api.md §9.1.2.
_LOCKED = "locked"
_INSTANCE_ADMIN = "instance_admin"
# The permissions that are enough to start a sync in the workspace, or in those of the organization:
# docs/airbyte-api.md §2.7.3 and §2.7.8.
_MAY_SYNC = frozenset(
    {
        _INSTANCE_ADMIN,
        *(f"organization_{role}" for role in ("runner", "editor", "admin")),
        *(
            f"workspace_{role}"
            for role in (
                "runner",
                "source_editor",
                "destination_editor",
                "editor",
                "admin",
                "owner",
            )
        ),
    }
)
_ROLE_ADVICE = (
    "If a DAG starts its syncs, give the user who owns the application the role runner in this "
    "workspace; to watch them, reader is enough."
)
# Syncs to show, and jobs among which to look for them: resets are in between.
SHOWN_SYNCS = 5
_LISTED_JOBS = 20
# Seconds to ask who knows the rows of one sync.
_ROWS_TIMEOUT = 5.0
# Seconds after which a running job is worth a look.
_LONG = 86_400


async def check_connection(subject: Subject) -> Finding:
    """Read the connection."""
    if not is_uuid(subject.connection_id):
        # Airbyte would say that the application has no role.
        return failed(
            f"{subject.connection_id!r} is not a UUID.",
            "Copy the UUID that follows /connections/ in the address of the connection's page in "
            "Airbyte.",
        )
    connection = subject.connection = await subject.client.connections.get(subject.connection_id)
    streams = len(connection.streams)
    counted = f"{streams} stream" if streams == 1 else f"{streams} streams"
    return ok(f"{connection} with {counted}, in workspace {connection.workspace_id}.")


async def check_status(subject: Subject) -> Finding:
    """Tell whether the connection can be synced at all."""
    connection = _connection(subject)
    if connection.status == "active":
        return ok("Active.")
    saw = f"{connection.status.capitalize()}: Airbyte starts no sync of it."
    if connection.is_deleted:
        return failed(saw, "It is deleted: remove its id from the DAG.")
    if connection.status == _LOCKED:
        return failed(
            saw, "Ask those who run Airbyte for the reason: nobody can change a locked connection."
        )
    return failed(saw, "Enable the connection in Airbyte.")


async def check_schedule(subject: Subject) -> Finding:
    """Tell who starts the syncs."""
    schedule = _connection(subject).schedule
    if schedule.is_manual:
        return ok("Manual: Airbyte itself starts no sync.")
    return ok(
        f"{schedule.schedule_type}, {schedule}: Airbyte starts syncs by itself, besides those of "
        f"Airflow."
    )


async def check_role(subject: Subject) -> Finding:
    """Tell whether the application may sync the connection."""
    if not subject.settings.authenticates:
        return ok("An Airbyte without sign-in lets everybody start syncs.")
    try:
        permissions = await subject.client.permissions.list()
        organizations = await subject.client.organizations.list()
    except AirbyteError as error:
        return skipped(f"The application's own permissions cannot be read: {told(error)[0]}")
    known = {each.organization_id for each in organizations}
    known |= {each.organization_id for each in permissions if each.organization_id}
    return _of_permissions(permissions, _connection(subject).workspace_id, len(known))


def _of_permissions(
    permissions: list[Permission], workspace_id: str, organizations: int
) -> Finding:
    # One of an organization holds here only if the workspace belongs to it: with one organization
    # it does, and nothing in the public API tells otherwise.
    here = [each for each in permissions if each.workspace_id in (None, workspace_id)]
    enough = [each for each in here if each.permission_type in _MAY_SYNC]
    sure = [each for each in enough if organizations <= 1 or each.organization_id is None]
    if sure:
        return ok(f"May start syncs: {_names(sure)}.")
    if enough:
        return skipped(
            f"{_names(enough)} is enough if the workspace belongs to that organization, which "
            f"the public API does not tell."
        )
    own = _names(here) or "none"
    return warning(
        f"The user's own roles here are not enough to start syncs ({own}); a group may have more.",
        _ROLE_ADVICE,
    )


def _names(permissions: list[Permission]) -> str:
    return ", ".join(dict.fromkeys(each.permission_type for each in permissions))


async def check_syncs(subject: Subject) -> Finding:
    """Read the last syncs."""
    jobs = await subject.client.jobs.list(connection_id=subject.connection_id, limit=_LISTED_JOBS)
    subject.jobs = tuple(jobs)
    ended = [job for job in jobs if job.is_sync and job.is_terminal][:SHOWN_SYNCS]
    syncs = [await _counted(subject, job) for job in ended]
    if not syncs:
        return ok("None has ended yet.")
    saw = f"Job {'; job '.join(map(_sync_text, syncs))}."
    # Who cancels a sync knows why it did not end well.
    newest = next((sync for sync in syncs if not sync.is_cancelled), None)
    if newest is None:
        return ok(saw)
    if not newest.has_succeeded:
        page = subject.settings.urls.job_page(_connection(subject), newest.job_id)
        return warning(saw, f"See why the newest one failed: {page}")
    if newest.rows_synced is None:
        return warning(
            saw,
            "Nobody knows the rows of the newest one, so min_rows would fail: see whether the "
            "config API is open, and update Airbyte if you can.",
        )
    return ok(saw)


async def _counted(subject: Subject, job: Job) -> Job:
    if not job.has_succeeded:
        return job
    return await subject.client.jobs.with_known_rows(job, timeout=_ROWS_TIMEOUT)


def _sync_text(job: Job) -> str:
    took = "" if job.duration is None else f" in {duration_text(job.duration.total_seconds())}"
    return f"{job.job_id} {job.status}, {rows_text(job.rows_synced)}{took}"


async def check_running_job(subject: Subject) -> Finding:
    """Tell what runs on the connection now."""
    running = next((job for job in subject.jobs if not job.is_terminal), None)
    if running is None:
        return ok("None.")
    seconds = _age(running)
    state = f"is {running.status}"
    if seconds is not None:
        state = f"has been {running.status} for {duration_text(seconds)}"
    saw = f"Job {running.job_id} ({running.job_type or 'type unknown'}) {state}."
    if seconds is not None and seconds > _LONG:
        page = subject.settings.urls.job_page(_connection(subject), running.job_id)
        return warning(saw, f"See whether it still makes progress, or cancel it: {page}")
    return ok(saw)


def _age(job: Job) -> float | None:
    if job.started_at is None:
        return None
    return max(0.0, (datetime.now(UTC) - job.started_at).total_seconds())


async def check_config_api(subject: Subject) -> Finding:
    """Ask the config API for the attempts of one job, as a task does."""
    settings = subject.settings
    if settings.urls.config is None:
        return skipped("Airbyte Cloud does not offer it: tasks do not say why a job failed.")
    if not settings.config_api:
        return skipped(CONFIG_API_OFF)
    try:
        job = await _any_job(subject)
    except AirbyteError as error:
        return skipped(f"There is no job to ask it about. {told(error)[0]}")
    if job is None:
        return skipped("There is no job yet to ask it about.")
    try:
        details = await subject.client.jobs.read_details(job.job_id, retry=ONE_ATTEMPT)
    except AirbyteError as error:
        return _closed(error)
    return _of_details(job, details)


def _closed(error: AirbyteError) -> Finding:
    if not is_closed(error):
        saw, change = told(error)
        return warning(f"The config API does not work. {saw}", change)
    saw, change = told(error)
    if isinstance(error, AirbyteApiError) and error.problem.from_airbyte:
        return warning(f"The config API does not let tasks read how jobs ended. {saw}", change)
    return warning(
        f"The config API is closed: tasks will not say why a job failed. {saw}",
        "Let POST /api/v1/jobs/get_without_logs and POST /api/v1/attempt/get_for_job pass the "
        "ingress too, or set config_api of the Airflow connection to false.",
    )


def _of_details(job: Job, details: JobDetails) -> Finding:
    counted = [stream for stream in details.streams if stream.rows is not None]
    if counted:
        return ok(
            f"Open, with statistics of each stream: job {job.job_id} has {streams_text(counted)}."
        )
    if job.moves_data and job.has_succeeded:
        return warning(
            f"Open, but without statistics of the streams of job {job.job_id}.",
            "Rows per stream, and min_rows of them, will be unknown; update Airbyte if you can.",
        )
    return ok(f"Open. Job {job.job_id} ({job.status}) has no statistics of streams.")


async def _any_job(subject: Subject) -> Job | None:
    """Return the newest good sync, or else any job, of the connection or of all."""
    jobs = subject.jobs
    if not jobs:
        jobs = tuple(await subject.client.jobs.list(status="succeeded", limit=1))
    good = (job for job in jobs if job.moves_data and job.has_succeeded)
    return next(good, jobs[0] if jobs else None)


def _connection(subject: Subject) -> AirbyteConnection:
    # The steps that call this need the one that reads it.
    return cast("AirbyteConnection", subject.connection)
