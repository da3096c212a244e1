"""The seam to whatever moves real data when a sync runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
