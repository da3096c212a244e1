"""What is waited for, one by one: a job, or a sync of a connection."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.job_errors import AirbyteSyncTimeoutError
from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.models.fields import label
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, ended_since
from airflow_provider_airbyte_sme.api.waiting.wait import Wait


class JobKey(NamedTuple):
    """One job."""

    job_id: int


class SyncKey(NamedTuple):
    """Any sync of a connection that ends at or after *since*."""

    connection_id: str
    since: datetime


Key = JobKey | SyncKey


class Watch(Protocol):
    """One wait: for what, for how long, and what is known about it."""

    @property
    def wait(self) -> Wait:
        """Its time limit, poll interval and failure budget."""
        ...

    @property
    def key(self) -> Key:
        """What it waits for. Waits with the same key share every request."""
        ...

    def saw(self, job: Job) -> Job | None:
        """
        Note a job of :attr:`key`.

        :return: The job that ends the wait; ``None`` to wait on.
        """
        ...

    def take_message(self) -> str:
        """Return what has changed since the last call, for the log of the task; may be empty."""
        ...

    def timeout_error(self, reason: str = "") -> AirbyteError:
        """Return the error that ends the wait when its time is over."""
        ...


class JobWatch:
    """
    Waits for the end of one job.

    :param job: The job as last read, for messages.
    """

    __slots__ = ("_message", "job", "wait")

    def __init__(self, job: Job, wait: Wait) -> None:
        self.job = job
        self.wait = wait
        self._message = ""

    @property
    def key(self) -> JobKey:
        """See :class:`Watch`."""
        return JobKey(self.job.job_id)

    def saw(self, job: Job) -> Job | None:
        """See :class:`Watch`."""
        self._message = self.wait.change(job, self.job.status)
        self.job = job
        return job if job.is_terminal else None

    def take_message(self) -> str:
        """See :class:`Watch`."""
        message, self._message = self._message, ""
        return message

    def timeout_error(self, reason: str = "") -> AirbyteError:
        """See :class:`Watch`."""
        return self.wait.timeout_error(self.job, reason)


class SyncWatch:
    """
    Waits for a sync of a connection that has completed successfully since an instant.

    :param since: When it must have completed at the earliest, aware.
    :param fail_on_failed_sync: Whether a failed or cancelled sync ends the wait too.
    """

    __slots__ = ("_message", "fail_on_failed_sync", "key", "syncs", "wait")

    def __init__(
        self, connection_id: str, since: datetime, wait: Wait, *, fail_on_failed_sync: bool = False
    ) -> None:
        self.key = SyncKey(connection_id, since)
        self.wait = wait
        self.fail_on_failed_sync = fail_on_failed_sync
        self.syncs = SyncsSince()
        self._message = ""

    def saw(self, job: Job) -> Job | None:
        """See :class:`Watch`. A job for which seconds decide is not taken into account."""
        if not ended_since(job, self.key.since):
            return None
        return self.found(self.syncs.with_job(job))

    def found(self, syncs: SyncsSince) -> Job | None:
        """Note all that there is, read with a filter that knows fractions of seconds."""
        known, self.syncs = self.syncs.unsuccessful, syncs
        decisive = syncs.decisive(self.fail_on_failed_sync)
        failed = syncs.unsuccessful
        if decisive is not None:
            self._message = f"{self._name(decisive)}: {decisive.status}."
        elif failed is not None and failed != known:
            self._message = f"{self._name(failed)}: {failed.status}. Waiting for one that succeeds."
        return decisive

    def take_message(self) -> str:
        """See :class:`Watch`."""
        message, self._message = self._message, ""
        return message

    def timeout_error(self, reason: str = "") -> AirbyteError:
        """See :class:`Watch`."""
        failed = self.syncs.unsuccessful
        newest = f"; the newest one, job {failed.job_id}, {failed.status}" if failed else ""
        connection = label(self.key.connection_id, self.wait.connection_name)
        return AirbyteSyncTimeoutError(
            f"No sync of connection {connection} has completed successfully since "
            f"{self.key.since.isoformat()} and the time to wait for it is over{newest}"
            f"{reason.rstrip('.')}."
        )

    def _name(self, job: Job) -> str:
        return job.describe(self.wait.connection_name)
