"""Sensors that wait for Airbyte jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import StartTriggerArgs

from airflow_provider_airbyte_sme.api import AirbyteConfigError, Job, Ownership
from airflow_provider_airbyte_sme.api.history import FEWEST_JOBS_FOR_LINES
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, inactive_text
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch, SyncWatch
from airflow_provider_airbyte_sme.operators.alarms import AirbyteAlarmOperator, keeps_notes
from airflow_provider_airbyte_sme.operators.base import AirbyteConnectionOperator
from airflow_provider_airbyte_sme.outcome import JobEvent, Pace, TrackedJob, failing_fast
from airflow_provider_airbyte_sme.parameters import (
    Instant,
    check_unless_template,
    validate_flag,
    validate_instant,
    validate_job_id,
)
from airflow_provider_airbyte_sme.sensors.base import AirbyteSensor
from airflow_provider_airbyte_sme.sensors.starting import (
    check_is_no_template,
    check_renders_in_triggerer,
)
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger, AirbyteSyncTrigger
from airflow_provider_airbyte_sme.triggers.starting import (
    OVERTIME,
    RENDERS_TEMPLATES,
    AirbyteSyncStartTrigger,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_airbyte_sme.api import AirbyteConnection
    from airflow_provider_airbyte_sme.sensors.base import MakeTrigger

# The templated arguments that are also attributes of the trigger which begins a wait.
_RENDERED_IN_TRIGGERER = ("airbyte_conn_id", "connection_id", "completed_after", "poll_interval")
# What `default_instant` returns, for the triggerer.
_DEFAULT_INSTANT = "{{ dag_run.data_interval_end or dag_run.start_date or dag_run.run_after }}"
# Seconds. A scheduler adds the time limit of a deferral to the present time, and must not end
# because the sum is beyond the year 9999.
_LONGEST = 100 * 365 * 86_400.0


class AirbyteJobSensor(AirbyteAlarmOperator, AirbyteSensor):
    """
    Wait until one job has succeeded, no matter who started it.

    A job that fails or is cancelled fails the sensor. With ``mode="reschedule"``, the alarm of a
    slow job needs Airflow 3.3, which remembers between two pokes that it was raised.

    Its other parameters and its result are those of :class:`.AirbyteSensor` and
    :class:`.AirbyteAlarmOperator`.

    :param airbyte_job_id: Job number, or the result of a task with a ``job_id``, or a list with one
        of these, or the text of any of these. (templated)
    """

    template_fields: Sequence[str] = tuple(
        dict.fromkeys(
            (
                "airbyte_job_id",
                *AirbyteSensor.template_fields,
                *AirbyteAlarmOperator.template_fields,
            )
        )
    )

    def __init__(
        self, *, airbyte_job_id: int | str | Mapping[str, Any] | Sequence[Any], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.airbyte_job_id = airbyte_job_id
        self._watch: JobWatch | None = None
        self._pace: Pace | None = None
        if self.slow_after is not None and self._forgets and not keeps_notes():
            raise AirbyteConfigError(
                "slow_after with mode='reschedule' needs Airflow 3.3, which remembers between two "
                "pokes that the alarm was raised: set deferrable=True or mode='poke'."
            )
        self._declare_assets()

    @property
    def _forgets(self) -> bool:
        return self.reschedule and not self.deferrable

    def read(self, context: Context) -> Job | MakeTrigger:
        """Read the job, which ends the wait when it has ended."""
        job_id = validate_job_id(self.airbyte_job_id, "airbyte_job_id")
        job = self._read_until_deadline(
            f"Job {job_id}",
            lambda budget: self.hook.poll_job(
                job_id, poll_interval=self.poll_interval, failure_budget=budget
            ),
        )
        if self.deferrable:
            self.log.info("%s: %s.", job.describe(), job.status)
        else:
            self._follow(TrackedJob(job, Ownership.FOREIGN, self._deadline))
            pace = self._pace = self._pace or self._find_pace(context, job)
            self._log_progress(job, pace)
            if not job.is_terminal:
                self._push_target(context, job.connection_id, job_id)
                self._raise_if_slow(context, job, pace)
        return job if job.is_terminal else partial(self._wait_in_triggerer, context, job)

    def _find_pace(self, context: Context, job: Job) -> Pace:
        """Return how long the job has taken, takes as a rule, and may take until its alarm."""
        tracked = TrackedJob(job, Ownership.FOREIGN, self._deadline)
        began_at = job.started_at.timestamp() if job.started_at else self._start_time(context)
        if job.is_terminal:
            return Pace(began_at)
        wants_alarm = self._wants_alarm(context, tracked)
        # With mode="reschedule", each poke is a process of its own.
        asks = not self._forgets or (wants_alarm and self._needs_history)
        history = self.hook.find_job_history(job) if asks else None
        return Pace(
            began_at,
            None if history is None else history.usual_duration(FEWEST_JOBS_FOR_LINES),
            self._plan_alarm(tracked, began_at, history) if wants_alarm else None,
        )

    def _raise_if_slow(self, context: Context, job: Job, pace: Pace) -> None:
        """Raise the alarm if it is time. A wait on a worker goes on with the next poke."""
        if pace.alarm is None or not pace.alarm.is_due(time.time()):
            return
        tracked = self._track(job)
        self._note_job(context, tracked)
        self._raise_alarm(context, tracked, pace, pace.alarm.limit)
        self._pace = pace.after_alarm()
        if self._watch is not None:
            self._watch.note_warning()

    def _log_progress(self, job: Job, pace: Pace) -> None:
        """Log what has changed since the last poke of this process, and now and then the rest."""
        if self._watch is None:
            wait = Wait(
                time.monotonic(),
                timeout=self._time_left(),
                elapsed_before=pace.elapsed(time.time()),
                usual_duration=pace.usual_duration,
            )
            self._watch = JobWatch(Job(job.job_id, status="", connection_id=""), wait)
        self.hook.log_job_progress(self._watch, job)

    def _wait_in_triggerer(self, context: Context, job: Job) -> AirbyteJobTrigger:
        tracked = self._track(job)
        self._note_job(context, tracked)
        self.log.info("%s is %s: waiting for it. %s", tracked, job.status, tracked.job_url)
        self._pace = self._find_pace(context, job)
        self._raise_if_slow(context, job, self._pace)
        return self._trigger(tracked, self._pace)

    def _trigger(self, tracked: TrackedJob, pace: Pace) -> AirbyteJobTrigger:
        return AirbyteJobTrigger.for_job(
            tracked,
            airbyte_conn_id=self.airbyte_conn_id,
            poll_interval=self.poll_interval,
            pace=pace,
        )

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume when the job has ended; after an alarm, wait on."""
        job_event = JobEvent.from_payload(event)
        if job_event.tracked is None or job_event.pace is None:
            return super().execute_complete(context, event)
        with failing_fast():
            self._validate_parameters()
            tracked, pace = job_event.tracked, job_event.pace
            tracked = tracked.with_job(self._read_again(tracked, self.poll_interval))
            self._raise_alarm(context, tracked, pace, job_event.message)
            if not tracked.job.is_terminal:
                trigger = self._trigger(tracked, pace.after_alarm())
                self.defer(trigger=trigger, method_name="execute_complete")
            return self._finish(context, tracked.job, tracked)


class AirbyteSyncSensor(AirbyteConnectionOperator, AirbyteSensor):
    """
    Wait until a sync of a connection has completed successfully since an instant.

    Whoever started the sync: Airbyte's own schedule, a person, or another DAG. A refresh counts
    too, because it syncs all streams; a clear or reset does not. It has no alarm for a slow sync,
    because it does not wait for one particular job.

    Airbyte's clock decides when a sync completed.

    Its other parameters are those of :class:`.AirbyteConnectionOperator` and
    :class:`.AirbyteSensor`.

    :param completed_after: When it must have completed, at the earliest: a ``datetime``, or
        ISO-8601 text in any time zone; without one, Airflow's ``[core] default_timezone`` applies.
        By default the end of the run's data interval; else the start of the run. (templated)
    :param fail_on_failed_sync: Whether a sync that fails or is cancelled since then fails the
        sensor, unless another one succeeded. By default, the sensor waits for the next one.
    :param start_from_trigger: Whether the wait begins in the triggerer, so that no worker is
        needed before its end: Airflow 3.3, with *deferrable*, and not for a mapped task. Elsewhere
        a worker starts the wait, and says so. The triggerer renders *airbyte_conn_id*,
        *connection_id*, *completed_after* and *poll_interval*, without the DAG's own macros and
        filters; it cannot look up a name, read the output of a task, ask for earlier runs, or
        render *timeout*.
    :return: The dict that :class:`AirbyteJobSensor` returns, for the newest sync that succeeded.
    :raises AirbyteJobFailedError: A sync failed, with *fail_on_failed_sync*.
    :raises AirbyteJobCancelledError: A sync was cancelled, with *fail_on_failed_sync*.
    """

    template_fields: Sequence[str] = tuple(
        dict.fromkeys(
            (
                *AirbyteConnectionOperator.template_fields,
                "completed_after",
                *AirbyteSensor.template_fields,
            )
        )
    )

    def __init__(
        self,
        *,
        completed_after: Instant | None = None,
        fail_on_failed_sync: bool = False,
        start_from_trigger: bool = False,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        validate_flag(start_from_trigger, "start_from_trigger")
        if start_from_trigger and deferrable is None:
            deferrable = True
        super().__init__(deferrable=deferrable, **kwargs)
        self._check_ways()
        self._declare_assets()
        self.completed_after = (
            None
            if completed_after is None
            else check_unless_template(validate_instant, completed_after, "completed_after")
        )
        self.fail_on_failed_sync = validate_flag(fail_on_failed_sync, "fail_on_failed_sync")
        self._connection: AirbyteConnection | None = None
        self._said = ""
        self._watch: SyncWatch | None = None
        self._wants_start_from_trigger = start_from_trigger
        if start_from_trigger and not self.deferrable:
            raise AirbyteConfigError("start_from_trigger=True needs deferrable=True.")
        # One of a mapped task is made on its worker, which can render everything.
        is_mapped = getattr(self, "_BaseOperator__from_mapped", False)
        starts_in_triggerer = start_from_trigger and not is_mapped
        if starts_in_triggerer:
            self._check_start_from_trigger()
        # The attributes that Airflow reads. Before 3.3, it renders no templates in a triggerer.
        self.start_from_trigger = starts_in_triggerer and RENDERS_TEMPLATES
        if self.start_from_trigger:
            self.start_trigger_args = self._start_trigger_args()

    def _check_start_from_trigger(self) -> None:
        if self.connection_name is not None:
            raise AirbyteConfigError(
                "connection_name has to be looked up on a worker: give connection_id with "
                "start_from_trigger=True."
            )
        check_is_no_template(self.timeout, "timeout")
        for name in _RENDERED_IN_TRIGGERER:
            check_renders_in_triggerer(getattr(self, name), name)

    def _start_trigger_args(self) -> StartTriggerArgs:
        instant = self.completed_after
        return StartTriggerArgs(
            trigger_cls=f"{AirbyteSyncStartTrigger.__module__}.{AirbyteSyncStartTrigger.__name__}",
            trigger_kwargs={
                "airbyte_conn_id": self.airbyte_conn_id,
                "connection_id": self.connection_id,
                "completed_after": (
                    instant.isoformat()
                    if isinstance(instant, datetime)
                    else instant or _DEFAULT_INSTANT
                ),
                "poll_interval": self.poll_interval,
                "fail_on_failed_sync": self.fail_on_failed_sync,
            },
            next_method="execute_complete",
            timeout=timedelta(seconds=min(self.timeout, _LONGEST) + OVERTIME),
        )

    def execute(self, context: Context) -> Any:
        """Wait, on the worker or in the triggerer. A sync that has completed opens at once."""
        if self._wants_start_from_trigger:
            self.log.info(
                "start_from_trigger=True has no effect here, so this process starts the wait: it "
                "needs Airflow 3.3, a scheduler that starts the task, and one that is not mapped."
            )
        return super().execute(context)

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        if self.completed_after is not None:
            self.completed_after = validate_instant(self.completed_after, "completed_after")

    def read(self, context: Context) -> Job | MakeTrigger:
        """List the syncs that have ended since the instant."""
        since = self.completed_after or default_instant(context["dag_run"])
        connection = self._connection or self._read_connection()
        self._connection = connection
        syncs = self._read_until_deadline(
            f"The syncs of connection {connection}",
            lambda budget: self.hook.find_ended_syncs(
                connection.connection_id,
                since,
                poll_interval=self.poll_interval,
                failure_budget=budget,
            ),
        )
        if job := syncs.decisive(self.fail_on_failed_sync):
            return job
        self._log_progress(connection, since, syncs)
        if not self.deferrable:
            self._push_target(context, connection.connection_id)
        return partial(self._wait_in_triggerer, connection, since)

    def _read_connection(self) -> AirbyteConnection:
        """Read the connection: Airbyte lists no jobs for an unknown one, as if it had none yet."""
        connection = self._read_until_deadline(
            f"Connection {self.connection_name or self.connection_id}",
            lambda budget: self.hook.read_through_outage(
                lambda: self._find_connection(self._time_left()),
                poll_interval=self.poll_interval,
                failure_budget=budget,
            ),
        )
        if not connection.is_active:
            self.log.warning("%s", inactive_text(connection))
        return connection

    def _log_progress(
        self, connection: AirbyteConnection, since: datetime, syncs: SyncsSince
    ) -> None:
        """Log what is waited for: at first, when that changes, and now and then."""
        now = time.monotonic()
        if self._watch is None:
            wait = Wait(now, connection_name=connection.name)
            self._watch = SyncWatch(connection.connection_id, since, wait)
        self._watch.found(syncs)
        message = waiting_text(connection, since, syncs)
        if message != self._said:
            self._said = message
            self.log.info("%s", message)
        elif now >= self._watch.line_due:
            for line in self._watch.take_lines(now=now):
                self.log.info("%s", line.message)

    def _wait_in_triggerer(
        self, connection: AirbyteConnection, since: datetime
    ) -> AirbyteSyncTrigger:
        return AirbyteSyncTrigger(
            airbyte_conn_id=self.airbyte_conn_id,
            connection_id=connection.connection_id,
            completed_after=since.isoformat(),
            deadline=self._deadline,
            poll_interval=self.poll_interval,
            fail_on_failed_sync=self.fail_on_failed_sync,
            connection_name=connection.name,
            deferred_at=time.time(),
        )


def default_instant(dag_run: Any) -> datetime:
    """
    Return the instant since which a sync must have completed, unless the DAG says otherwise.

    The end of the data interval. A run without one, such as a manual run or one that an asset
    triggers, counts from its own start.
    """
    for name in ("data_interval_end", "start_date", "run_after"):
        if (value := getattr(dag_run, name, None)) is not None:
            return validate_instant(value, name)
    return datetime.now(UTC)


def waiting_text(connection: AirbyteConnection, since: datetime, syncs: SyncsSince) -> str:
    """Return what the newest sync did, and what is waited for."""
    wait = f"waiting for a sync of connection {connection} that completes at or after {since}."
    failed = syncs.unsuccessful
    if failed is None:
        return wait[0].upper() + wait[1:]
    return f"Job {failed.job_id} {failed.status} at {failed.ended_at}; {wait}"
