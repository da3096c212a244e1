"""
The job state machine: statuses, their timing, retries, and starting and cancelling jobs.

::

    pending ──▶ running ──▶ succeeded
       │            │  ▲
       ├─▶ queued ──┘  │ new attempt
       │            ▼  │
       │        incomplete (attempt failed, backing off) ──▶ failed
       └──────────▶ cancelled / failed   (from any status that is not terminal)

See ``docs/airbyte-api.md §3.6``, for starting and cancelling §3.2 and §3.4.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from airflow_provider_airbyte_sme.api.models import TERMINAL_STATUSES, JobStatus
from airflow_provider_airbyte_sme.emulator.clock import Clock, to_microsecond
from airflow_provider_airbyte_sme.emulator.dataplane import SyncResult
from airflow_provider_airbyte_sme.emulator.job_index import JobIndex
from airflow_provider_airbyte_sme.emulator.nulls import drop_nulls
from airflow_provider_airbyte_sme.emulator.stream_states import delete_before_job
from airflow_provider_airbyte_sme.emulator.world import (
    Attempt,
    ConfigType,
    Connection,
    Failure,
    Job,
    JobPlan,
    LogType,
    Phase,
    Statistics,
    World,
)

PENDING = JobStatus.PENDING.value
QUEUED = JobStatus.QUEUED.value
RUNNING = JobStatus.RUNNING.value
INCOMPLETE = JobStatus.INCOMPLETE.value
FAILED = JobStatus.FAILED.value
SUCCEEDED = JobStatus.SUCCEEDED.value
CANCELLED = JobStatus.CANCELLED.value

# The statuses that may follow each status (§3.6).
ALLOWED: Mapping[str, frozenset[str]] = {
    PENDING: frozenset({QUEUED, RUNNING, FAILED, CANCELLED, INCOMPLETE}),
    QUEUED: frozenset({PENDING, RUNNING, CANCELLED, FAILED}),
    RUNNING: frozenset({INCOMPLETE, SUCCEEDED, FAILED, CANCELLED}),
    INCOMPLETE: frozenset({PENDING, RUNNING, FAILED, CANCELLED, INCOMPLETE, SUCCEEDED}),
    SUCCEEDED: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
}

# Airbyte disables a connection whose jobs keep failing (§3.6).
_MAX_SUCCESSIVE_FAILED_JOBS = 30
_MAX_DAYS_OF_ONLY_FAILED_JOBS = 7
_DAY = 86_400.0  # seconds

_BYTES_PER_ROW = 128

# Name and namespace of a stream, as ``StreamDescriptor``; without a namespace, the name only.
StreamId = dict[str, str]


class NothingRunningError(Exception):
    """There is no job to cancel on the connection."""


class AlreadyRunningError(Exception):
    """The connection has a job with a running attempt, or one that is waiting to retry."""


class NotActiveError(Exception):
    """The connection is not active, so it cannot be synced."""


class NoWorkflowError(Exception):
    """The connection's workflow is deleted, so no job can be started or cancelled (§3.2)."""

    def __init__(self, connection_id: str) -> None:
        super().__init__(
            f"The connection manager workflow for connection {connection_id} is deleted, so no "
            "further operations cannot be performed on it."
        )


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    When a failed attempt is retried, and after how long (``docs/airbyte-api.md §3.6``).

    A failed attempt that committed no records is a complete failure, any other a partial failure.

    :param backoff: Delay after the first successive complete failure, in seconds.
    :param backoff_factor: The delay is multiplied by this for each further one.
    :param max_backoff: Longest delay, in seconds.
    :param successive_complete_failures: Give up after this many complete failures in a row.
    :param total_complete_failures: Give up after this many complete failures.
    :param total_partial_failures: Give up after this many partial failures.
    """

    backoff: float = 10.0
    backoff_factor: float = 3.0
    max_backoff: float = 1_800.0
    successive_complete_failures: int = 5
    total_complete_failures: int = 10
    total_partial_failures: int = 20

    def delay(self, attempts: Sequence[Attempt]) -> float | None:
        """
        Return how long to wait before the next attempt.

        :param attempts: The attempts so far, all failed.
        :return: Delay in seconds, or ``None`` if there is no further attempt.
        """
        if attempts[-1].failure and attempts[-1].failure.type == "config_error":
            return None
        complete = sum(not attempt.rows for attempt in attempts)
        successive = 0
        for attempt in reversed(attempts):
            if attempt.rows:
                break
            successive += 1
        if (
            successive >= self.successive_complete_failures
            or complete >= self.total_complete_failures
            or len(attempts) - complete >= self.total_partial_failures
        ):
            return None
        if not successive:
            return 0.0  # a partial failure resets the backoff: §3.6
        delay = self.backoff * self.backoff_factor ** (successive - 1)
        return min(delay, self.max_backoff)


def phases_from_statuses(statuses: Iterable[tuple[str, float | None]]) -> list[Phase]:
    """
    Validate and complete a script of statuses.

    Between ``running`` and ``failed``, ``incomplete`` is inserted: the server fails the attempt
    first, then the job. An unknown status is allowed anywhere: it stands for one that a newer
    server may add.

    :param statuses: Statuses in order with their durations in seconds; the last one is terminal or
        lasts forever.
    :raises ValueError: The server never takes this sequence of statuses.
    """
    phases: list[Phase] = []
    previous = PENDING
    for status, seconds in statuses:
        if seconds is not None and seconds < 0:
            raise ValueError(f"{status!r} cannot last {seconds} s")
        if phases and phases[-1].seconds is None:
            raise ValueError(
                f"{previous!r} has no duration, so {status!r} is never reached: give it seconds"
            )
        if status == previous == PENDING and not phases:
            phases.append(Phase(PENDING, seconds))
            continue
        allowed = ALLOWED.get(previous)
        if allowed is not None and status in ALLOWED and status not in allowed:
            raise ValueError(
                f"a job does not go from {previous!r} to {status!r}, only to "
                f"{', '.join(sorted(allowed)) or 'no other: it has ended'}"
            )
        if previous == RUNNING and status == FAILED:
            phases.append(Phase(INCOMPLETE, 0.0))
        phases.append(Phase(status, None if status in TERMINAL_STATUSES else seconds))
        previous = status
    if not phases:
        raise ValueError("a script needs at least one status")
    phases[-1].seconds = None
    return phases


class JobEngine:
    """
    Starts and cancels jobs, and moves them through their statuses as time passes.

    :param sync_duration: How long a sync runs by default, in seconds.
    :param rows: Number of records that a sync commits by default.
    :param on_terminal: Called with every job that has ended, after its status has changed.
    :param on_disabled: Called with a connection that was disabled because its jobs keep failing.
    :param on_attempt: Called with a job when an attempt starts that moves real data; the callee
        reports its end with :meth:`complete_attempt`. ``None``: every job follows the clock.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        sync_duration: float,
        rows: int,
        retry_policy: RetryPolicy,
        on_terminal: Callable[[Job], None],
        on_disabled: Callable[[Connection], None],
        on_attempt: Callable[[Job], None] | None = None,
    ) -> None:
        self._world = world
        self._clock = clock
        self._sync_duration = sync_duration
        self._rows = rows
        self._retry_policy = retry_policy
        self._on_terminal = on_terminal
        self._on_disabled = on_disabled
        self._on_attempt = on_attempt
        #: Incremented with every change of any job.
        self.revision = 0
        #: All jobs, for lists.
        self.index = JobIndex(world.jobs)
        self._active = {
            job.connection_id: job for job in world.jobs.values() if not job.is_terminal
        }
        # When a status ends, and the job's id, earliest first. What a job no longer waits for stays
        # here until it is the earliest.
        self._ends = [
            (job.ends_at, job.id) for job in self._active.values() if job.ends_at is not None
        ]
        heapq.heapify(self._ends)
        for job in self._active.values():
            self._resume(job)

    @property
    def next_due(self) -> float | None:
        """When the next status change is due, in seconds since the epoch, if any."""
        while self._ends:
            at, job_id = self._ends[0]
            if self._world.jobs[job_id].ends_at == at:
                return at
            heapq.heappop(self._ends)
        return None

    def active_job(self, connection_id: str) -> Job | None:
        """Return the connection's job that has not ended, if any."""
        return self._active.get(connection_id)

    def settle(self) -> None:
        """Make every status change that is due by now, earliest first."""
        now = self._clock.time()
        while (at := self.next_due) is not None and at <= now:
            _, job_id = heapq.heappop(self._ends)
            self._next_phase(self._world.jobs[job_id], at)

    def start_sync(self, connection: Connection, *, waits_for_attempt: bool = False) -> Job:
        """
        Start a manual sync (§3.2).

        :param waits_for_attempt: Whether the server responds only once the attempt runs, as 2.0 and
            older do (§9.2); a job without an attempt then counts as running.
        :return: The new job, or the existing job if it has no attempt yet.
        :raises AlreadyRunningError: An attempt is running, or the job is waiting to retry.
        :raises NotActiveError: The connection is inactive, locked or deleted.
        :raises NoWorkflowError: The connection's workflow is deleted.
        """
        if connection.status != "active":
            raise NotActiveError
        _require_workflow(connection)
        active = self._active.get(connection.id)
        if active is None:
            return self._create_sync(connection)
        if active.attempts or waits_for_attempt:
            raise AlreadyRunningError
        return active

    def start_reset(self, connection: Connection, targets: Sequence[StreamId] = ()) -> Job:
        """
        Clear streams, after cancelling any running job. Ignores the connection's status.

        :param targets: The streams; none: all. What the connection does not select is ignored.
        :raises NoWorkflowError: The connection's workflow is deleted.
        """
        _require_workflow(connection)
        self._cancel_active(connection)
        asked = list(targets) or _all_targets(connection)
        streams = [stream for stream in connection.streams if stream_id(stream) in asked]
        return self._create(connection, "reset_connection", streams, asked)

    def start_refresh(
        self, connection: Connection, targets: Sequence[StreamId] = (), *, cancels: bool = False
    ) -> Job:
        """
        Read streams again from the beginning (§3.7). Ignores the connection's status.

        :param targets: The streams; none: all.
        :param cancels: Whether a running job is cancelled, as after a change of the streams.
        :raises AlreadyRunningError: The connection has a job, which goes on; its *next* sync will
            be the refresh.
        :raises NoWorkflowError: The connection's workflow is deleted; the refresh stays noted.
        """
        asked = list(targets) or _all_targets(connection)
        connection.refreshes += [target for target in asked if target not in connection.refreshes]
        _require_workflow(connection)
        if cancels:
            self._cancel_active(connection)
        if connection.id in self._active:
            raise AlreadyRunningError
        return self._create_sync(connection)

    def cancel(self, connection_id: str) -> Job:
        """
        Cancel the job that is running on the connection.

        :raises NothingRunningError: No job is running.
        :raises NoWorkflowError: The connection's workflow is deleted.
        """
        _require_workflow(self._world.connections[connection_id])
        job = self._active.get(connection_id)
        if job is None:
            raise NothingRunningError
        self._enter(job, Phase(CANCELLED), self._clock.time())
        return job

    def finish(self, job: Job, status: str, rows: int | None, size: int | None) -> None:
        """
        End *job* now, regardless of its plan.

        :param rows: Number of records that the job commits; ``None``: as planned.
        :param size: Size of the records, in bytes; ``None``: from *rows*, or as planned.
        :raises ValueError: The job has already ended, or *status* is not terminal.
        """
        if job.is_terminal:
            raise ValueError(f"job {job.id} has ended already: {job.status}")
        if status not in TERMINAL_STATUSES:
            raise ValueError(f"a job ends as one of {sorted(TERMINAL_STATUSES)}, not {status!r}")
        if rows is not None:
            job.plan.rows, job.plan.rows_of = rows, None
            job.plan.bytes = rows * _BYTES_PER_ROW
        if size is not None:
            job.plan.bytes = size
        now = self._clock.time()
        if status == SUCCEEDED and not job.attempts:
            self._enter(job, Phase(RUNNING), now)
        if status == FAILED and job.status == RUNNING:
            self._enter(job, Phase(INCOMPLETE), now)
        self._enter(job, Phase(status), now)

    def commit(self, job: Job, rows: int, size: int | None) -> None:
        """
        Let the running attempt have committed records.

        :param size: Size of the records, in bytes; ``None``: from *rows*.
        :raises ValueError: There is no running attempt.
        """
        attempt = job.attempts[-1] if job.attempts else None
        if attempt is None or attempt.ended_at is not None:
            raise ValueError(f"job {job.id} has no running attempt")
        attempt.rows = rows
        attempt.bytes = rows * _BYTES_PER_ROW if size is None else size

    def complete_attempt(
        self, job_id: int, attempt_number: int, outcome: SyncResult | Failure
    ) -> None:
        """
        End an attempt that moved real data.

        Does nothing if the attempt is no longer running, for example because the job was cancelled.

        :param attempt_number: Number of the attempt, starting at 0.
        :param outcome: What the attempt committed, or why it failed.
        """
        job = self._world.jobs.get(job_id)
        if job is None or job.status != RUNNING or len(job.attempts) != attempt_number + 1:
            return
        now = self._clock.time()
        if isinstance(outcome, Failure):
            job.plan.failures = [[outcome]]
            self._fail_attempt(job, now)
        else:
            job.plan.rows, job.plan.bytes = outcome.records, outcome.bytes
            job.plan.rows_of = None if outcome.records_of is None else dict(outcome.records_of)
            self._enter(job, Phase(SUCCEEDED), now)

    def plan(
        self,
        *,
        statuses: Iterable[tuple[str, float | None]] | None,
        outcome: str,
        rows: int | None,
        size: int | None,
        failures: list[list[Failure]],
        attempts: int | None,
        duration: float | None,
        clock_skew: float,
        log: Iterable[str],
        log_type: LogType,
        rows_of: Mapping[str, int] | None,
        partial_rows: int,
        statistics: Statistics,
    ) -> JobPlan:
        """
        Create the plan of a scripted job.

        :param statuses: See :func:`phases_from_statuses`; ``None``: derived from the parameters
            below.
        :param outcome: Final status.
        :param rows: Number of records that the job commits.
        :param size: Size of the records, in bytes.
        :param failures: See :class:`.JobPlan`; none: one that is not retried.
        :param attempts: Number of attempts; the default follows from the retry policy.
        :param duration: How long each attempt runs, in seconds.
        :param clock_skew: See :class:`.JobPlan`; likewise the parameters below.
        :raises ValueError: No job can follow the script, or the parameters contradict each other.
        """
        if rows_of is not None:
            if rows is not None:
                raise ValueError("rows cannot be combined with rows_of")
            rows = sum(rows_of.values())
        if statistics not in get_args(Statistics):
            raise ValueError(
                f"statistics must be one of {get_args(Statistics)}, not {statistics!r}"
            )
        failures = failures or [[Failure("Something went wrong in the connector.")]]
        if statuses is None:
            if duration is None:
                duration = self._sync_duration
            statuses = self._default_statuses(outcome, failures, attempts, duration, partial_rows)
        elif attempts is not None or duration is not None:
            raise ValueError("attempts and duration cannot be combined with statuses")
        phases = phases_from_statuses(statuses)
        if rows is None:
            rows = 0 if phases[-1].status in (FAILED, CANCELLED) else self._rows
        if size is None:
            size = rows * _BYTES_PER_ROW
        return JobPlan(
            phases,
            rows=rows,
            bytes=size,
            failures=failures,
            log=list(log),
            log_type=log_type,
            scripted=True,
            clock_skew=clock_skew,
            rows_of=None if rows_of is None else dict(rows_of),
            partial_rows=partial_rows,
            statistics=statistics,
        )

    def _default_statuses(
        self,
        outcome: str,
        failures: list[list[Failure]],
        attempts: int | None,
        duration: float,
        partial_rows: int,
    ) -> list[tuple[str, float | None]]:
        if outcome not in TERMINAL_STATUSES:
            raise ValueError(f"a job ends as one of {sorted(TERMINAL_STATUSES)}, not {outcome!r}")
        failed: list[Attempt] = []
        statuses: list[tuple[str, float | None]] = []
        while True:
            statuses.append((RUNNING, duration))
            is_last = attempts is not None and len(failed) + 1 >= attempts
            if outcome != FAILED and (attempts is None or is_last):
                break
            reasons = failures[min(len(failed), len(failures) - 1)]
            failed.append(Attempt(FAILED, 0.0, 0.0, rows=partial_rows, failures=reasons))
            delay = self._retry_policy.delay(failed)
            if is_last or (attempts is None and delay is None):
                break
            # A script may have more attempts than the retry policy allows: wait the first delay.
            statuses.append((INCOMPLETE, self._retry_policy.backoff if delay is None else delay))
        statuses.append((outcome, None))
        return statuses

    def _resume(self, job: Job) -> None:
        """Resume a job that was moving real data when an earlier process ended."""
        if job.status != RUNNING or job.ends_at is not None or job.plan.scripted:
            return
        if self._on_attempt is not None:
            self._on_attempt(job)
        else:
            job.plan = self._default_plan(job.config_type)
            self._end_after(job, self._sync_duration, self._clock.time())
            del job.plan.phases[0]

    def _end_after(self, job: Job, seconds: float | None, since: float) -> None:
        """Let the current status of *job* end *seconds* after *since*; ``None``: not by itself."""
        if seconds is None:
            job.ends_at = None
            return
        job.ends_at = to_microsecond(since + self._clock.phase_duration(seconds))
        heapq.heappush(self._ends, (job.ends_at, job.id))

    def _create_sync(self, connection: Connection) -> Job:
        """Create a sync of all streams, or a refresh if one is noted."""
        refreshes, connection.refreshes = connection.refreshes, []
        config_type: ConfigType = "refresh" if refreshes else "sync"
        return self._create(connection, config_type, connection.streams, refreshes)

    def _create(
        self,
        connection: Connection,
        config_type: ConfigType,
        streams: Sequence[dict[str, object]],
        targets: list[StreamId],
    ) -> Job:
        now = self._clock.time()
        scripts = self._world.scripts.get(connection.id)
        job = Job(
            id=self._world.next_job_id,
            connection_id=connection.id,
            config_type=config_type,
            created_at=now,
            updated_at=now,
            plan=scripts.pop(0) if scripts else self._default_plan(config_type),
            history=[(now, PENDING)],
            streams=list(streams),
            targets=targets,
        )
        self.revision += 1
        self._world.next_job_id += 1
        self._world.jobs[job.id] = job
        self._active[connection.id] = job
        self.index.add(job)
        first = job.plan.phases[0]
        if first.status == PENDING:
            del job.plan.phases[0]
            self._end_after(job, first.seconds, now)
        else:
            self._end_after(job, 0.0, now)
        return job

    def _default_plan(self, config_type: ConfigType) -> JobPlan:
        moves_data = config_type != "reset_connection"
        if moves_data and self._on_attempt is not None:
            return JobPlan([Phase(RUNNING)])
        rows = self._rows if moves_data else 0
        return JobPlan(
            [Phase(RUNNING, self._sync_duration), Phase(SUCCEEDED)],
            rows=rows,
            bytes=rows * _BYTES_PER_ROW,
        )

    def _cancel_active(self, connection: Connection) -> None:
        if connection.id in self._active:
            self.cancel(connection.id)

    def _next_phase(self, job: Job, at: float) -> None:
        self._enter(job, job.plan.phases.pop(0), at)

    def _fail_attempt(self, job: Job, at: float) -> None:
        self._enter(job, Phase(INCOMPLETE), at)
        delay = self._retry_policy.delay(job.attempts)
        if delay is None:
            self._enter(job, Phase(FAILED), at)
        else:
            job.plan.phases = [Phase(RUNNING)]
            self._end_after(job, delay, at)

    def _enter(self, job: Job, phase: Phase, at: float) -> None:
        self.revision += 1
        job.status = phase.status
        self.index.update(job, to_microsecond(at + job.plan.clock_skew))
        job.history.append((at, phase.status))
        self._end_after(job, phase.seconds, at)
        has_open_attempt = bool(job.attempts) and job.attempts[-1].ended_at is None
        if has_open_attempt and (phase.status == INCOMPLETE or job.is_terminal):
            self._end_attempt(job, at)
        elif phase.status == RUNNING and not has_open_attempt:
            self._begin_attempt(job, at)
        if job.is_terminal:
            del self._active[job.connection_id]
            job.plan.phases = []
            self._disable_if_always_failing(job)
            self._on_terminal(job)

    def _begin_attempt(self, job: Job, at: float) -> None:
        if not job.attempts:
            delete_before_job(self._world.connections[job.connection_id], job)
        job.started_at = at if job.started_at is None else job.started_at
        job.attempts.append(Attempt(RUNNING, created_at=at, updated_at=at))
        if job.ends_at is None and not job.plan.scripted and self._on_attempt is not None:
            self._on_attempt(job)

    def _end_attempt(self, job: Job, at: float) -> None:
        attempt = job.attempts[-1]
        attempt.updated_at = attempt.ended_at = at
        attempt.status = SUCCEEDED if job.status == SUCCEEDED else FAILED
        if job.status == CANCELLED:
            # docs/airbyte-api.md §3.4.7
            cancelled = Failure(
                "This attempt was cancelled",
                origin=None,
                type="manual_cancellation",
                internal_message="Setting attempt to FAILED because the job was cancelled",
            )
            attempt.failures = [cancelled]
            return
        if job.status == INCOMPLETE:
            attempt.failures = job.plan.failures_of(len(job.attempts) - 1)
        # The last attempt commits the scripted rows.
        if job.status == SUCCEEDED or not any(p.status == RUNNING for p in job.plan.phases):
            attempt.rows, attempt.bytes = job.plan.rows, job.plan.bytes
            attempt.rows_of = job.plan.rows_of
        elif not attempt.rows:
            attempt.rows = job.plan.partial_rows
            attempt.bytes = attempt.rows * _BYTES_PER_ROW

    def _disable_if_always_failing(self, job: Job) -> None:
        connection = self._world.connections[job.connection_id]
        if job.status != FAILED or connection.status != "active":
            return
        failed: list[Job] = []
        for earlier in reversed(self.index.of_connection(connection.id)):
            if earlier.status == CANCELLED:
                continue
            if earlier.status != FAILED:
                break
            failed.append(earlier)
        only_failed_for = failed[0].updated_at - failed[-1].created_at
        if (
            len(failed) >= _MAX_SUCCESSIVE_FAILED_JOBS
            or only_failed_for >= _MAX_DAYS_OF_ONLY_FAILED_JOBS * _DAY
        ):
            connection.status = "inactive"
            self._on_disabled(connection)


def stream_id(stream: Mapping[str, Any]) -> StreamId:
    """Return name and namespace of a stream of a connection."""
    return drop_nulls({"name": stream["name"], "namespace": stream.get("namespace")})


def rows_of_stream(rows_of: Mapping[str, int], stream: Mapping[str, Any]) -> int | None:
    """Return the number of a stream in *rows_of* of a :class:`.JobPlan`; ``None``: not counted."""
    names = f"{stream.get('namespace')}.{stream['name']}", stream["name"]
    return next((rows_of[name] for name in names if name in rows_of), None)


def _all_targets(connection: Connection) -> list[StreamId]:
    return [stream_id(stream) for stream in connection.streams]


def _require_workflow(connection: Connection) -> None:
    if not connection.has_workflow:
        raise NoWorkflowError(connection.id)
