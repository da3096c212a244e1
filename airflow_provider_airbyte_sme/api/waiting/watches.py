"""What is waited for, one by one: a job, or a sync of a connection."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from airflow_provider_airbyte_sme.api.errors import AirbyteError
from airflow_provider_airbyte_sme.api.job_errors import AirbyteSyncTimeoutError
from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.models.fields import label
from airflow_provider_airbyte_sme.api.waiting.progress import Line, Report, next_line
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, ended_since
from airflow_provider_airbyte_sme.api.waiting.wait import Wait, duration_text


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

    def saw(self, job: Job, *, now: float) -> Job | None:
        """
        Note a job of :attr:`key`.

        :return: The job that ends the wait; ``None`` to wait on.
        """
        ...

    def take_changes(self) -> list[Line]:
        """Return what has changed since the last call, for the log of the task."""
        ...

    @property
    def line_due(self) -> float:
        """When the log of the task gets a line, although nothing changes."""
        ...

    def take_lines(self, *, now: float) -> list[Line]:
        """Return the lines of now, and plan the next ones."""
        ...

    def timeout_error(self, reason: str = "") -> AirbyteError:
        """Return the error that ends the wait when its time is over."""
        ...


class _LoggedWatch:
    """
    What all waits have in common: the lines for their logs.

    The rhythm begins with the wait itself, so a restart of the triggerer begins anew.
    """

    __slots__ = ("_changes", "_next_line", "wait")

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self._changes: list[Line] = []
        # Seconds after the beginning: exact, unlike a difference of two instants.
        self._next_line = next_line(0.0)

    def take_changes(self) -> list[Line]:
        """See :class:`Watch`."""
        if not self._changes:
            return []
        changes, self._changes = self._changes, []
        return changes

    @property
    def line_due(self) -> float:
        """See :class:`Watch`."""
        return self.wait.began + self._next_line

    def _plan_line(self, now: float) -> None:
        self._next_line = next_line(max(self._next_line, now - self.wait.began))


class JobWatch(_LoggedWatch):
    """
    Waits for the end of one job.

    :param job: The job as last read, for messages.
    """

    __slots__ = ("_has_warned", "_seen", "job")

    def __init__(self, job: Job, wait: Wait) -> None:
        super().__init__(wait)
        self.job = job
        self._seen = wait.began
        self._has_warned = wait.has_warned

    @property
    def key(self) -> JobKey:
        """See :class:`Watch`."""
        return JobKey(self.job.job_id)

    def saw(self, job: Job, *, now: float) -> Job | None:
        """See :class:`Watch`."""
        before, self.job, self._seen = self.job, job, now
        is_same = job.status == before.status
        # It changes with what Airbyte does about the job, such as another attempt.
        is_again = is_same and None not in (before.duration, job.duration)
        is_again = is_again and before.duration != job.duration
        if job.is_terminal:
            if not is_same:
                self._changes.append(Line(f"{job.describe(self._name)}: {job.status}."))
            return job
        if is_again or not is_same:
            self._changes.append(self._report(now, is_again=is_again).line())
        return None

    def take_lines(self, *, now: float) -> list[Line]:
        """See :class:`Watch`."""
        self._plan_line(now)
        report = self._report(now)
        lines = [report.line()]
        if report.is_slow and not self._has_warned:
            self._has_warned = True
            lines.append(report.slow_line())
        return lines

    def note_warning(self) -> None:
        """Note that the log says already that the job is slow."""
        self._has_warned = True

    def _report(self, now: float, *, is_again: bool = False) -> Report:
        return Report(self.job, self.wait, now, self._seen, is_again)

    @property
    def _name(self) -> str:
        return self.wait.connection_name

    def timeout_error(self, reason: str = "") -> AirbyteError:
        """See :class:`Watch`."""
        return self.wait.timeout_error(self.job, reason)


class SyncWatch(_LoggedWatch):
    """
    Waits for a sync of a connection that has completed successfully since an instant.

    :param since: When it must have completed at the earliest, aware.
    :param fail_on_failed_sync: Whether a failed or cancelled sync ends the wait too.
    """

    __slots__ = ("fail_on_failed_sync", "key", "syncs")

    def __init__(
        self, connection_id: str, since: datetime, wait: Wait, *, fail_on_failed_sync: bool = False
    ) -> None:
        super().__init__(wait)
        self.key = SyncKey(connection_id, since)
        self.fail_on_failed_sync = fail_on_failed_sync
        self.syncs = SyncsSince()

    def saw(self, job: Job, *, now: float) -> Job | None:
        """See :class:`Watch`. A job for which seconds decide is not taken into account."""
        del now
        if not ended_since(job, self.key.since):
            return None
        return self.found(self.syncs.with_job(job))

    def found(self, syncs: SyncsSince) -> Job | None:
        """Note all that there is, read with a filter that knows fractions of seconds."""
        known, self.syncs = self.syncs.unsuccessful, syncs
        decisive = syncs.decisive(self.fail_on_failed_sync)
        failed = syncs.unsuccessful
        if decisive is not None:
            self._changes.append(Line(f"{self._name(decisive)}: {decisive.status}."))
        elif failed is not None and failed != known:
            message = f"{self._name(failed)}: {failed.status}. Waiting for one that succeeds."
            self._changes.append(Line(message))
        return decisive

    def take_lines(self, *, now: float) -> list[Line]:
        """See :class:`Watch`."""
        self._plan_line(now)
        elapsed = duration_text(self.wait.elapsed(now=now))
        return [Line(f"{self._missing()}; waiting for {elapsed} so far{self._newest()}.")]

    def timeout_error(self, reason: str = "") -> AirbyteError:
        """See :class:`Watch`."""
        return AirbyteSyncTimeoutError(
            f"{self._missing()} and the time to wait for it is over{self._newest()}"
            f"{reason.rstrip('.')}."
        )

    def _missing(self) -> str:
        connection = label(self.key.connection_id, self.wait.connection_name)
        return (
            f"No sync of connection {connection} has completed successfully since "
            f"{self.key.since.isoformat()}"
        )

    def _newest(self) -> str:
        failed = self.syncs.unsuccessful
        return f"; the newest one, job {failed.job_id}, {failed.status}" if failed else ""

    def _name(self, job: Job) -> str:
        return job.describe(self.wait.connection_name)
