"""The seam to whatever moves real data when a sync runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_airbyte_sme.emulator.connectors import connector_name
from airflow_provider_airbyte_sme.emulator.world import Failure, Job, World

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncContext:
    """
    One attempt of a sync, as the data plane sees it.

    :param attempt_number: From 0.
    :param source_configuration: With its secrets in clear, so kept out of ``repr``.
    :param streams: The selected streams, as ``StreamConfiguration``.
    :param is_cancelled: Whether somebody cancelled the job meanwhile; a long copy should ask.
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
    streams: Sequence[Mapping[str, Any]] = ()
    namespace: str | None = None
    prefix: str = ""
    is_cancelled: Callable[[], bool] = field(default=lambda: False, repr=False)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """
    What an attempt committed.

    :param records: Records, all streams together.
    :param bytes: Their size.
    """

    records: int
    bytes: int


class SyncFailedError(Exception):
    """
    An attempt failed, and why.

    Any other exception counts as a ``system_error`` of the replication, which is tried again.

    :param origin: ``source``, ``destination``, ``replication`` and the like.
    :param failure_type: A ``config_error`` is not tried again.
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
    """Describe the last attempt of *job* to the data plane."""
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


def outcome_of(on_sync: DataPlane, context: SyncContext) -> tuple[int, int] | Failure:
    """Let *on_sync* move the data and return records and bytes, or why the attempt failed."""
    try:
        result = on_sync(context)
    except SyncFailedError as error:
        return Failure(error.message, error.origin, error.failure_type, error.internal_message)
    except Exception as error:
        # Whatever a data plane raises, the attempt has failed and the server lives on.
        logger.exception("on_sync failed for job %s", context.job_id)
        return Failure(str(error) or repr(error), "replication", "system_error")
    return result.records, result.bytes
