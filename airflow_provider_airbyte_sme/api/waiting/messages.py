"""
What a watchlist and its driver tell each other: what to read, and what has happened to waits.

The third request, :class:`.ReadChanges`, is in :mod:`.changes`.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from airflow_provider_airbyte_sme.api.errors import AirbyteError, copy_of
from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.waiting.changes import ReadChanges
from airflow_provider_airbyte_sme.api.waiting.progress import Report
from airflow_provider_airbyte_sme.api.waiting.watches import JobKey, Key, SyncKey, Watch


class ReadJob(NamedTuple):
    """Read one job."""

    job_id: int


class ReadSyncs(NamedTuple):
    """Read which syncs of a connection have ended since an instant: :class:`.SyncKey`."""

    key: SyncKey


SingleRead = ReadJob | ReadSyncs
Request = SingleRead | ReadChanges


def single_read(key: Key) -> SingleRead:
    """Return the request for *key* alone."""
    return ReadJob(key.job_id) if isinstance(key, JobKey) else ReadSyncs(key)


def key_of(request: SingleRead) -> Key:
    """Return what *request* reads."""
    return JobKey(request.job_id) if isinstance(request, ReadJob) else request.key


class Ended(NamedTuple):
    """The wait has ended with this job."""

    watch: Watch
    job: Job


class Lost(NamedTuple):
    """The wait has ended with an error."""

    watch: Watch
    error: AirbyteError

    @classmethod
    def with_copy(cls, watch: Watch, error: AirbyteError) -> Self:
        """End with an error that several waits share: each raise adds to its traceback."""
        return cls(watch, copy_of(error))

    @classmethod
    def timed_out(cls, watch: Watch, reason: str = "") -> Self:
        """End because the time is over."""
        return cls(watch, watch.timeout_error(reason))


class Told(NamedTuple):
    """
    Something for a log.

    :param watch: Whose log; ``None`` for the one that concerns all.
    :param report: The job's progress, if the driver should first read its details: see
        :class:`.Line`.
    """

    watch: Watch | None
    message: str
    is_warning: bool = False
    report: Report | None = None


Change = Ended | Lost | Told
