"""The data plane interface: the ``on_sync`` callable that moves real data during a sync."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.world import Failure, Job, World

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncContext:
    """
    One attempt of a sync, as passed to ``on_sync``.

    :param attempt_number: Number of the attempt, starting at 0.
    :param job_type: ``sync`` or ``refresh``.
    :param connection_name: Name of the connection.
    :param source_name: Name of the source.
    :param source_type: Name of the built-in connector, such as ``postgres``; empty for any other.
    :param source_configuration: Contains plain-text secrets, so it is kept out of ``repr``; the
        same holds for *destination_configuration*.
    :param destination_name: Name of the destination.
    :param destination_type: As *source_type*.
    :param streams: The selected streams, as ``StreamConfiguration`` objects of the public API; the
        secrets of mappers are in plain text.
    :param namespace: The connection's ``namespaceFormat``; ``None`` if it has none.
    :param prefix: Of the names of the streams in the destination; may be empty.
    :param is_cancelled: Returns whether the job has ended, for example because it was cancelled;
        a long copy should check it now and then.
    """

    job_id: int
    attempt_number: int
    job_type: str
    workspace_id: str
    connection_id: str
    connection_name: str
    source_id: str
    source_name: str
    source_type: str
    source_configuration: Mapping[str, Any] = field(repr=False)
    destination_id: str = ""
    destination_name: str = ""
    destination_type: str = ""
    destination_configuration: Mapping[str, Any] = field(default_factory=dict, repr=False)
    streams: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    namespace: str | None = None
    prefix: str = ""
    is_cancelled: Callable[[], bool] = field(default=lambda: False, repr=False)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """
    What an attempt committed.

    :param records: Number of records in all streams.
    :param bytes: Size of the records, in bytes.
    :param records_of: *records* by stream: by its name, or by ``namespace.name``. A stream that is
        not in it has no counters. ``None``: each stream counts its share.
    """

    records: int
    bytes: int
    records_of: Mapping[str, int] | None = None


class SyncFailedError(Exception):
    """
    Raised by ``on_sync`` to fail the attempt with a reason.

    Any other exception fails the attempt as a ``system_error`` with origin ``replication``, which
    is retried.

    :param message: Message for users (``externalMessage``).
    :param origin: ``failureOrigin``, such as ``source``, ``destination`` or ``replication``.
    :param failure_type: ``failureType``; ``config_error`` is not retried, every other type is.
    :param internal_message: ``internalMessage``, with technical details.
    """

    def __init__(
        self,
        message: str,
        *,
        origin: str = "source",
        failure_type: str = "system_error",
        internal_message: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.origin = origin
        self.failure_type = failure_type
        self.internal_message = internal_message


DataPlane = Callable[[SyncContext], SyncResult]


def sync_context(world: World, job: Job) -> SyncContext:
    """Return the context of the last attempt of *job*."""
    connection = world.connections[job.connection_id]
    source = world.sources[connection.source_id]
    destination = world.destinations[connection.destination_id]
    return SyncContext(
        job_id=job.id,
        attempt_number=len(job.attempts) - 1,
        job_type=job.config_type,
        workspace_id=connection.workspace_id,
        connection_id=connection.id,
        connection_name=connection.name,
        source_id=source.id,
        source_name=source.name,
        source_type=connector_name("source", source.definition_id),
        source_configuration=dict(source.configuration),
        destination_id=destination.id,
        destination_name=destination.name,
        destination_type=connector_name("destination", destination.definition_id),
        destination_configuration=dict(destination.configuration),
        streams=tuple(job.streams),
        namespace=connection.namespace_format,
        prefix=connection.prefix or "",
        is_cancelled=lambda: job.is_terminal,
    )


def run_attempt(on_sync: DataPlane, context: SyncContext) -> SyncResult | Failure:
    """
    Call *on_sync* for one attempt.

    :return: What it committed, or why it failed.
    """
    try:
        return on_sync(context)
    except SyncFailedError as error:
        return Failure(error.message, error.origin, error.failure_type, error.internal_message)
    except Exception as error:
        # Any exception fails the attempt only; the emulator keeps running.
        log.exception("on_sync failed for job %s", context.job_id)
        return Failure(str(error) or repr(error), "replication", "system_error")
