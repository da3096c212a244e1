"""
From a notification to an event on an asset, at most one per job.

A notification only says which job to look at. Whether there is anything to tell of, Airbyte says:
the job is read by its API.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_airbyte_sme.api import (
    AirbyteBadRequestError,
    AirbyteClient,
    AirbyteError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteSettings,
    Job,
    JobStatus,
    RetryPolicy,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.blocking import blocking_client
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.assets.hooked import webhook_asset_key
from airflow_provider_airbyte_sme.outcome import job_values
from airflow_provider_airbyte_sme.plugins.notifications import Notification, Reply

if TYPE_CHECKING:
    from airflow.models.asset import AssetModel
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

R = TypeVar("R")

MAX_AGE = timedelta(hours=1)
"""
How long after its end a job can still emit an event.

Airbyte notifies at once. Whoever has got hold of the secret could otherwise start DAGs with the
jobs of last year. Clocks of Airbyte and Airflow may differ by as much.
"""
# An event of a job is at most this old while the job can emit one: see MAX_AGE. The third hour is
# for the clocks of other API servers.
_EVENT_AGE = 3 * MAX_AGE

# A notification that has lost its body is about one of these jobs.
_RECENT = timedelta(minutes=5)
_MAX_RECENT_JOBS = 50

# Airbyte does not repeat a notification, and nobody waits long for the response.
_RETRY = RetryPolicy(max_elapsed=15.0, max_delay=5.0)
_MAX_REQUEST_TIMEOUT = 10.0  # seconds
# Seconds for all that is read from Airbyte because of one call. Others wait for the thread.
_PATIENCE = 30.0
_PATIENCE_FOR_RECENT = 60.0
# Seconds after which a client is made anew, since files that its settings name may have changed.
_MAX_CLIENT_AGE = 600.0


def emit(
    settings: AirbyteSettings, notification: Notification, deadline: float | None = None
) -> Reply:
    """
    Emit the event of a job that has delivered data, if there is none yet.

    :param settings: Of the Airflow connection, to read the job with.
    :param deadline: When no request to Airbyte is repeated any more, on the monotonic clock; by
        default half a minute from now.
    """
    from sqlalchemy.exc import SQLAlchemyError

    if deadline is None:
        deadline = time.monotonic() + _PATIENCE
    try:
        return _emit(settings, notification, deadline)
    except AirbyteError as error:
        return _unread(notification, error)
    except SQLAlchemyError as error:
        return _unavailable(
            notification, f"Airflow's database has failed ({type(error).__name__}): see its log."
        )


def emit_recent(settings: AirbyteSettings) -> Reply:
    """
    Emit the events of the jobs that have just succeeded, after a notification without its body.

    Only what Airbyte says counts, so the loss is no harm: Airbyte notifies at once.

    :param settings: Of the Airflow connection, to read the jobs with.
    """
    began = datetime.now(UTC) - _RECENT
    deadline = time.monotonic() + _PATIENCE_FOR_RECENT
    try:
        jobs = run_blocking(
            _client(settings).jobs.list(
                status=JobStatus.SUCCEEDED, order_by="updatedAt|DESC", limit=_MAX_RECENT_JOBS
            )
        )
    except AirbyteError as error:
        return _without_body(HTTPStatus.SERVICE_UNAVAILABLE, f"The jobs cannot be read: {error}")
    count = 0
    for job in jobs:
        if job.ended_at is None or job.ended_at < began:
            continue
        reply = emit(settings, Notification(job.job_id, job.connection_id.lower()), deadline)
        # The others would fail too, one after another.
        if reply.status is HTTPStatus.SERVICE_UNAVAILABLE:
            return _without_body(reply.status, reply.message)
        count += reply.has_emitted
    return _without_body(HTTPStatus.OK, f"Events that were emitted for these: {count}.")


def _left_until(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _without_body(status: HTTPStatus, message: str) -> Reply:
    return Reply(
        status,
        f"a notification has arrived without its body, because Airbyte offers HTTP/2 where there "
        f"is no TLS, so all jobs of the last {_RECENT.seconds // 60} minutes count. With https it "
        f"arrives as a whole. {message}",
    )


def _emit(settings: AirbyteSettings, notification: Notification, deadline: float) -> Reply:
    if reply := _in_transaction(lambda session: _reason_not_to_emit(session, notification)):
        return reply
    extra = _read_extra(_client(settings), notification, deadline)
    if isinstance(extra, Reply):
        return extra
    return _in_transaction(lambda session: _emit_once(session, notification, extra))


def _reason_not_to_emit(session: Session, notification: Notification) -> Reply | None:
    """Return why Airbyte need not be asked; ``None`` if it must be."""
    asset = _find_asset(session, notification)
    if asset is None:
        return _accepted(
            notification,
            "no DAG is scheduled on its asset, so no event is emitted. If one should start, its "
            "schedule must have airbyte_webhook_asset() of this connection.",
        )
    return _already_emitted(notification) if _has_event(session, asset, notification) else None


def _emit_once(session: Session, notification: Notification, extra: dict[str, Any]) -> Reply:
    from airflow.assets.manager import asset_manager

    asset = _find_asset(session, notification)
    if asset is None or not _lock(session, asset):
        return _accepted(
            notification, "its asset has just been removed with its DAG, so no event is emitted."
        )
    if _has_event(session, asset, notification):
        return _already_emitted(notification)
    event = asset_manager.register_asset_change(asset=asset, extra=extra, session=session)
    if event is None:
        return _unavailable(
            notification, "Airflow's asset manager has registered none: see its own message."
        )
    reply = _accepted(notification, f"an event on the asset {asset.name} was emitted.")
    return reply._replace(has_emitted=True)


def _find_asset(session: Session, notification: Notification) -> AssetModel | None:
    """Return the asset of a connection, if a DAG mentions it."""
    from airflow.models.asset import AssetModel
    from sqlalchemy import select

    name, uri = webhook_asset_key(notification.connection_id)
    found: AssetModel | None = session.scalar(
        select(AssetModel).where(
            AssetModel.name == name, AssetModel.uri == uri, AssetModel.active.has()
        )
    )
    return found


def _lock(session: Session, asset: AssetModel) -> bool:
    """
    Keep all other API servers from emitting events on an asset until the transaction ends.

    An UPDATE that changes nothing locks the row in PostgreSQL and MySQL, and the whole database in
    SQLite, which has no SELECT FOR UPDATE.

    :return: Whether the asset still exists.
    """
    from airflow.models.asset import AssetModel
    from sqlalchemy import update

    unchanged = {"id": AssetModel.id, "updated_at": AssetModel.updated_at}
    statement = update(AssetModel).where(AssetModel.id == asset.id).values(unchanged)
    result: Any = session.execute(statement, execution_options={"synchronize_session": False})
    return bool(result.rowcount)


def _has_event(session: Session, asset: AssetModel, notification: Notification) -> bool:
    from airflow.models.asset import AssetEvent
    from sqlalchemy import select

    # Airflow has no index on what is in an event, but one on the asset and the time.
    extras: Iterable[Any] = session.scalars(
        select(AssetEvent.extra).where(
            AssetEvent.asset_id == asset.id,
            AssetEvent.timestamp >= datetime.now(UTC) - _EVENT_AGE,
        )
    )
    return any(
        isinstance(extra, dict) and extra.get("job_id") == notification.job_id for extra in extras
    )


def _in_transaction(work: Callable[[Session], R]) -> R:
    """Return the result of *work*, which is repeated a few times if the database fails."""
    from airflow.utils.retries import run_with_db_retries
    from airflow.utils.session import create_session

    def once() -> R:
        with create_session() as session:
            return work(session)

    result: R = run_with_db_retries()(once)
    return result


def _read_extra(
    client: AirbyteClient, notification: Notification, deadline: float
) -> dict[str, Any] | Reply:
    """
    Return what the event of a job says.

    :param deadline: As for :func:`emit`.
    :return: Plain values, the same keys for every job; or a reply, if it must not be emitted.
    :raises AirbyteError: Airbyte is unreachable or rejects the request.
    """
    job = run_blocking(client.jobs.get(notification.job_id, timeout=_left_until(deadline)))
    if problem := _disagreement(job, notification, datetime.now(UTC)):
        return _refused(notification, problem)
    if not job.moves_data:
        return _accepted(notification, f"it is a {job.job_type}, so no event is emitted.")
    job = run_blocking(client.jobs.with_known_rows(job, timeout=_left_until(deadline)))
    if job.rows_synced == 0:
        return _accepted(
            notification,
            "it has moved no rows, so no event is emitted. If it should have, check whether its "
            "source produced data.",
        )
    connection = run_blocking(client.jobs.find_connection(job, timeout=_left_until(deadline)))
    page = client.session.settings.urls.job_page(connection, job.job_id) if connection else ""
    return {**job_values(job), "job_url": page}


def _disagreement(job: Job, notification: Notification, now: datetime) -> str:
    """Return in what Airbyte contradicts a notification; empty if it confirms it."""
    if job.connection_id.lower() != notification.connection_id:
        return (
            "in this Airbyte the job is one of another connection. The notification is of another "
            "Airbyte, or forged: check which URL is set where."
        )
    if not job.has_succeeded:
        return (
            f"Airbyte says that it is {job.status}, and not that it has succeeded. The "
            f"notification is of another Airbyte, or forged: check which URL is set where."
        )
    if job.ended_at is None or abs(now - job.ended_at) > MAX_AGE:
        return (
            f"it has not ended within the last hour, but at {job.ended_at}. An old notification "
            f"was repeated, or the clocks of Airbyte and Airflow differ by more than an hour."
        )
    return ""


class _Clients(threading.local):
    """The last client of each thread, so that a burst of calls does not request a token each."""

    client: AirbyteClient | None = None
    made_at = 0.0

    def get(self, settings: AirbyteSettings) -> AirbyteClient:
        now = time.monotonic()
        if (
            self.client is None
            or self.client.session.settings != settings
            or now - self.made_at > _MAX_CLIENT_AGE
        ):
            self.close()
            self.client, self.made_at = blocking_client(settings, retry=_RETRY), now
        return self.client

    def close(self) -> None:
        if self.client is not None:
            run_blocking(self.client.session.close())
            self.client = None


_clients = _Clients()


def _client(settings: AirbyteSettings) -> AirbyteClient:
    """
    Return a client with short timeouts.

    :raises AirbyteConfigError: A certificate file cannot be read.
    """
    timeout = min(settings.request_timeout, _MAX_REQUEST_TIMEOUT)
    return _clients.get(replace(settings, request_timeout=timeout))


def _unread(notification: Notification, error: AirbyteError) -> Reply:
    is_about_the_job = isinstance(
        error, AirbyteBadRequestError | AirbyteNotFoundError | AirbytePermissionError
    )
    if is_about_the_job and is_permanent(error):
        return _refused(
            notification,
            f"this Airbyte does not show the job. The notification is of another Airbyte, or "
            f"forged, or the user who owns the application may not see the connection: {error}",
        )
    return _unavailable(notification, f"it cannot be read. {error}")


def _unavailable(notification: Notification, message: str) -> Reply:
    return Reply(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"{_label(notification)}: no event is emitted, and Airbyte does not repeat its "
        f"notification, so start the DAG by hand: {message}",
    )


def _accepted(notification: Notification, message: str) -> Reply:
    return Reply(HTTPStatus.OK, f"{_label(notification)}: {message}")


def _already_emitted(notification: Notification) -> Reply:
    return _accepted(notification, "its event was emitted before, so none is emitted now.")


def _refused(notification: Notification, message: str) -> Reply:
    return Reply(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"{_label(notification)}: no event is emitted: {message}"
    )


def _label(notification: Notification) -> str:
    return f"job {notification.job_id} of connection {notification.connection_id}"
