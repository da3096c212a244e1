"""
Webhook notifications: their bodies and their delivery (``docs/airbyte-api.md §8``).

Sent when a sync succeeds or fails and when a connection is disabled, but not when a job starts, is
cancelled or fails an attempt. Requests have no signature and are not retried.
"""

from __future__ import annotations

import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.api.models import JobStatus
from airflow_provider_airbyte_sme.emulator.iso8601 import iso_timestamp
from airflow_provider_airbyte_sme.emulator.world import (
    Connection,
    Job,
    JobPlan,
    Workspace,
    World,
    new_id,
)

log = logging.getLogger(__name__)

_TIMEOUT = 5.0  # seconds
_KILO = 1024
_EVENTS: Mapping[str, str] = {JobStatus.SUCCEEDED: "success", JobStatus.FAILED: "failure"}


def job_notification(world: World, job: Job, airbyte_url: str) -> tuple[str, dict[str, Any]] | None:
    """
    Return the webhook URL and body for a job that has ended.

    :param airbyte_url: Base URL for the links in the body.
    :return: URL and body, or ``None`` if Airbyte sends no notification.
    """
    event = _EVENTS.get(job.status)
    connection = world.connections[job.connection_id]
    workspace = world.workspaces[connection.workspace_id]
    url = _webhook(workspace, event) if event else None
    if url is None or job.config_type != "sync":
        return None
    source = world.sources[connection.source_id]
    destination = world.destinations[connection.destination_id]
    base = f"{airbyte_url}/workspaces/{workspace.id}"
    summary = _summary(
        workspace={"id": workspace.id, "name": workspace.name, "url": base},
        connection={
            "id": connection.id,
            "name": connection.name,
            "url": f"{base}/connections/{connection.id}",
        },
        source={"id": source.id, "name": source.name, "url": f"{base}/source/{source.id}"},
        destination={
            "id": destination.id,
            "name": destination.name,
            "url": f"{base}/destination/{destination.id}",
        },
        job=job,
    )
    return url, _body(url, _headline(summary), summary)


def disabled_notification(
    world: World, connection: Connection
) -> tuple[str, dict[str, Any]] | None:
    """Return the webhook URL and body for a connection that was disabled, or ``None``."""
    url = _webhook(world.workspaces[connection.workspace_id], "syncDisabled")
    if url is None:
        return None
    text = f"Your connection {connection.name} was disabled because its syncs kept failing."
    return url, _body(url, text, None)


def ping(airbyte_url: str, now: float, trigger: str) -> dict[str, Any]:
    """
    Return the body of a test notification: job 10 with made-up ids.

    :param now: Start and end of the job, in seconds since the epoch.
    :param trigger: ``sync_failure`` for a failed job, anything else for a successful one.
    """
    resources = {
        kind: {"id": new_id(), "name": kind.capitalize(), "url": f"{airbyte_url}/{kind}"}
        for kind in ("workspace", "connection", "source", "destination")
    }
    status = JobStatus.FAILED if trigger == "sync_failure" else JobStatus.SUCCEEDED
    job = Job(10, new_id(), "sync", now, now, plan=JobPlan([]), status=status)
    summary = _summary(**resources, job=job)
    body = _body("", f"[THIS IS A TEST NOTIFICATION] {_headline(summary)}", summary)
    # The mark is in the title only, which is the first block.
    return {**body, "text": _headline(summary)}


def deliver(url: str, body: Mapping[str, Any]) -> int | None:
    """
    Post *body* to *url* once, without retries.

    :return: Status of the response, or ``None`` if there was none.
    """
    try:
        request = urllib.request.Request(  # noqa: S310  # the opener knows http and https only
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with _opener().open(request, timeout=_TIMEOUT) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        log.warning("The webhook %s returned status %s", url, error.code)
        return error.code
    except (OSError, ValueError, http.client.HTTPException) as error:
        log.warning("The webhook %s could not be reached: %s", url, error)
        return None


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https only that ignores proxy settings in the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _webhook(workspace: Workspace, event: str) -> str | None:
    webhook = workspace.notifications.get(event, {}).get("webhook", {})
    url = webhook.get("url")
    return str(url) if webhook.get("enabled") and url else None


def _summary(
    *,
    workspace: Mapping[str, str],
    connection: Mapping[str, str],
    source: Mapping[str, str],
    destination: Mapping[str, str],
    job: Job,
) -> dict[str, Any]:
    failure = job.attempts[-1].failure if job.attempts else None
    succeeded = job.status == JobStatus.SUCCEEDED
    seconds = int(job.updated_at) - int(job.created_at)
    return {
        "workspace": workspace,
        "connection": connection,
        "source": source,
        "destination": destination,
        "jobId": job.id,
        "startedAt": iso_timestamp(job.created_at),
        "finishedAt": iso_timestamp(job.updated_at),
        "bytesEmitted": job.counted_bytes,
        "bytesCommitted": job.counted_bytes,
        "recordsEmitted": job.counted_rows,
        "recordsCommitted": job.counted_rows,
        "recordsFilteredOut": 0,
        "bytesFilteredOut": 0,
        "errorMessage": failure.message if failure and not succeeded else None,
        "errorType": failure.type if failure and not succeeded else None,
        "errorOrigin": failure.origin if failure and not succeeded else None,
        "bytesEmittedFormatted": _formatted_bytes(job.bytes),
        "bytesCommittedFormatted": _formatted_bytes(job.bytes),
        "success": succeeded,
        "durationInSeconds": seconds,
        "durationFormatted": _formatted_duration(seconds),
    }


def _headline(summary: Mapping[str, Any]) -> str:
    end = "succeeded" if summary["success"] else f"failed: {summary['errorMessage']}"
    return (
        f"Your connection {summary['connection']['name']} from {summary['source']['name']} to "
        f"{summary['destination']['name']} just {end}"
    )


def _body(url: str, text: str, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    if "//chat.googleapis.com/" in url:
        return {"text": text}
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    body: dict[str, Any] = {"text": text, "blocks": blocks}
    if summary is not None:
        body["data"] = summary
    return body


def _formatted_bytes(size: int) -> str:
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < _KILO:
            break
        amount, unit = amount / _KILO, larger
    return f"{amount:.0f} {unit}"


def _formatted_duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "hours"), (minutes, "min"), (rest, "sec"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or "0 sec"
