"""
Jobs of the internal API: reasons and attempts, which the public one does not tell.

``JobsApiController.kt``, ``JobConverter.kt``. Roles are checked by annotation there, with the ids
that the JSON body carries, so an id that leads nowhere is the framework's 403.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.binding import Body, integer
from airflow_provider_airbyte_sme.emulator.problems import HateoasError, OpaqueError, json_response
from airflow_provider_airbyte_sme.emulator.routing import CONFIG_API, Router
from airflow_provider_airbyte_sme.emulator.world import Attempt, Job

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.core import Call

_router = Router(CONFIG_API)
ROUTERS = (_router,)

_JOB_ID = Body("jobIdRequestBody", required={"id": integer})


def job_read(job: Job) -> dict[str, Any]:
    """Write ``JobRead``."""
    fields: dict[str, Any] = {
        "id": job.id,
        "configType": job.config_type,
        "configId": job.connection_id,
        "createdAt": int(job.created_at),
        "updatedAt": int(job.updated_at),
        "startedAt": None if job.started_at is None else int(job.started_at),
        "status": job.status,
        "aggregatedStats": {
            "recordsEmitted": job.rows,
            "bytesEmitted": job.bytes,
            "recordsCommitted": job.rows,
            "bytesCommitted": job.bytes,
        },
    }
    return {name: value for name, value in fields.items() if value is not None}


def attempt_read(number: int, attempt: Attempt) -> dict[str, Any]:
    """Write ``AttemptRead``; its id is its number, from 0."""
    fields: dict[str, Any] = {
        "id": number,
        "status": attempt.status,
        "createdAt": int(attempt.created_at),
        "updatedAt": int(attempt.updated_at),
        "endedAt": None if attempt.ended_at is None else int(attempt.ended_at),
        "bytesSynced": attempt.bytes,
        "recordsSynced": attempt.rows,
        "totalStats": {
            "recordsEmitted": attempt.rows,
            "bytesEmitted": attempt.bytes,
            "recordsCommitted": attempt.rows,
            "bytesCommitted": attempt.bytes,
        },
        "streamStats": [],
    }
    if attempt.failure is not None:
        failure = attempt.failure
        fields["failureSummary"] = {
            "failures": [
                {
                    "failureOrigin": failure.origin,
                    "failureType": failure.type,
                    "externalMessage": failure.message,
                    "internalMessage": failure.internal_message or failure.message,
                    "retryable": failure.type != "config_error",
                    "timestamp": int((attempt.ended_at or attempt.updated_at) * 1000),
                }
            ],
            "partialSuccess": attempt.rows > 0,
        }
    return {name: value for name, value in fields.items() if value is not None}


@_router.add("POST", "/jobs/get_without_logs")
def get_job_without_logs(call: Call) -> HttpResponse:
    """Read a job with its attempts and why they failed."""
    job = _job(call)
    attempts = [
        {"attempt": attempt_read(number, attempt)} for number, attempt in enumerate(job.attempts)
    ]
    return json_response(200, {"job": job_read(job), "attempts": attempts})


def _job(call: Call) -> Job:
    job = call.world.jobs.get(call.body(_JOB_ID)["id"])
    if job is None:
        raise OpaqueError(404) if call.is_instance_admin else HateoasError(403)
    if not call.has_role(call.world.connections[job.connection_id].workspace_id, roles.READER):
        raise HateoasError(403)
    return job
