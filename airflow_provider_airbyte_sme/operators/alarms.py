"""The alarm of a job that takes too long: once per job, while it is still running."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme import metrics
from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteError, Job
from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.history import FEWEST_JOBS, History
from airflow_provider_airbyte_sme.api.resources.job_starts import DETAILS_PATIENCE
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.api.waiting import duration_text
from airflow_provider_airbyte_sme.operators.memory import JobNote
from airflow_provider_airbyte_sme.operators.tracking import AirbyteTrackingOperator
from airflow_provider_airbyte_sme.outcome import Pace, SlowAlarm
from airflow_provider_airbyte_sme.parameters import (
    USUAL,
    Seconds,
    Usual,
    check_unless_template,
    validate_factor,
    validate_slow_after,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_airbyte_sme.outcome import TrackedJob

Notifier = Callable[[Any], Any]
"""A notifier of Airflow, or any other callable that takes the context of a task."""

CONTEXT_KEY = "slow_job"
"""What is slow, in the context of a notifier: the task's result so far, and ``message``."""

_NOTE = "airbyte_sme_slow_job"


class AirbyteAlarmOperator(AirbyteTrackingOperator):
    """
    Base class of what waits for one certain job, and raises an alarm if it takes too long.

    The alarm is a warning in the log of the task, a metric, and whatever *on_slow* does. It is
    raised once per job, and changes nothing about the wait: the task goes on as before. On
    Airflow 3.3, a retry that waits for the same job knows that it was raised.

    :param slow_after: How long the job may take until the alarm, counted from its creation: a
        ``timedelta``, or seconds; or ``history``: *slow_factor* times the median of the last 20
        good jobs of this kind. With fewer than 5, there is no alarm. (templated)
    :param slow_factor: How many times as long as usual, with ``slow_after="history"``. (templated)
    :param on_slow: One or more notifiers of Airflow, or other callables that take the context. They
        find what is slow in ``slow_job``: the keys of the task's result, ``elapsed_seconds`` and
        ``message``. One that fails neither fails the task nor stops the others.
    :raises AirbyteConfigError: An argument that is not a template is invalid, or there is *on_slow*
        without *slow_after*.
    """

    template_fields: Sequence[str] = (
        *AirbyteTrackingOperator.template_fields,
        "slow_after",
        "slow_factor",
    )

    def __init__(
        self,
        *,
        slow_after: Seconds | Usual | None = None,
        slow_factor: float | str = 1.5,
        on_slow: Notifier | Sequence[Notifier] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.slow_after = check_unless_template(validate_slow_after, slow_after, "slow_after")
        self.slow_factor = check_unless_template(validate_factor, slow_factor, "slow_factor")
        self.on_slow = on_slow
        self._check_notifiers()
        # Without a state store, only this process knows.
        self._told_of = 0

    def _check_notifiers(self) -> None:
        if not all(map(callable, self._notifiers)):
            raise AirbyteConfigError(
                f"on_slow must be notifiers or functions that take the context, not "
                f"{one_line(repr(self.on_slow))}."
            )
        if any(map(inspect.isclass, self._notifiers)):
            raise AirbyteConfigError(
                f"on_slow must have notifiers, and not their classes, which would send nothing: "
                f"{one_line(repr(self.on_slow))}. Add parentheses with the arguments."
            )
        if any(map(inspect.iscoroutinefunction, self._notifiers)):
            raise AirbyteConfigError(
                f"on_slow must not be an async function, which would never run: "
                f"{one_line(repr(self.on_slow))}."
            )
        if self._notifiers and self.slow_after is None:
            raise AirbyteConfigError(
                "on_slow is never called without slow_after: give a number of seconds, or "
                "slow_after='history'."
            )

    @property
    def _notifiers(self) -> Sequence[Notifier]:
        if self.on_slow is None:
            return ()
        return self.on_slow if isinstance(self.on_slow, Sequence) else (self.on_slow,)

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self.slow_after = validate_slow_after(self.slow_after, "slow_after")
        self.slow_factor = validate_factor(self.slow_factor, "slow_factor")

    def _wants_alarm(self, context: Context, tracked: TrackedJob) -> bool:
        """Whether there is an alarm, and it was not raised for this job."""
        return self.slow_after is not None and not self._was_told(context, tracked.job.job_id)

    @property
    def _needs_history(self) -> bool:
        """Whether earlier jobs decide when a job is slow."""
        return self.slow_after == USUAL

    def _plan_alarm(
        self, tracked: TrackedJob, began_at: float, history: History | None
    ) -> SlowAlarm | None:
        """
        Return when *tracked* is slow; ``None`` if never while the task waits for it.

        :param began_at: When it was created, in seconds since the epoch.
        :param history: The good jobs before it, if they are needed; ``None`` if they are
            unreadable.
        """
        found = self._usual_limit(tracked, history) if self._needs_history else self._fixed_limit()
        if found is None or began_at + found[0] >= tracked.deadline:
            return None
        return SlowAlarm(began_at + found[0], found[1])

    def _fixed_limit(self) -> tuple[float, str]:
        """Return after how many seconds a job is slow, and the same as text."""
        seconds = float(self.slow_after or 0.0)
        return seconds, f"slow_after={duration_text(seconds)}"

    def _usual_limit(
        self, tracked: TrackedJob, history: History | None
    ) -> tuple[float, str] | None:
        """Return after how many seconds the job is slow, and the same as text."""
        if history is None:
            self.log.warning(
                "%s: no alarm if it is slow, because the last jobs of its connection cannot be "
                "read. Give slow_after in seconds for an alarm that does not need them.",
                tracked,
            )
            return None
        usual = history.usual_duration()
        if usual is None:
            self.log.info(
                "%s: no alarm if it is slow, because slow_after='history' needs %d good jobs of "
                "this kind before it, and there are %d.",
                tracked,
                FEWEST_JOBS,
                len(history.jobs),
            )
            return None
        limit = usual * float(self.slow_factor)
        return limit, (
            f"{duration_text(limit)}, slow_factor={float(self.slow_factor):g} times the median of "
            f"its last {len(history.jobs)} good jobs, {duration_text(usual)}"
        )

    def _raise_alarm(self, context: Context, tracked: TrackedJob, pace: Pace, limit: str) -> None:
        """
        Tell that *tracked* is slow. What goes wrong here does not fail the task.

        :param limit: See :class:`.SlowAlarm`.
        """
        if self._was_told(context, tracked.job.job_id):
            return
        # First: a notifier that never returns must not stop the next try too.
        self._told_of = tracked.job.job_id
        JobNote(context, _NOTE, "so a retry may raise the alarm again").keep(tracked.job.job_id)
        elapsed = _elapsed(tracked.job, pace)
        verb = "was" if tracked.job.is_terminal else "is"
        message = (
            f"{tracked} {verb} slow: it has taken {duration_text(elapsed)}, longer than {limit}. "
            f"Look in Airbyte whether its attempts fail and are repeated, whether it waits for a "
            f"free worker, and whether source or destination are slow. {tracked.job_url}"
        ).rstrip()
        self.log.warning("%s", message)
        self._count_slow(tracked)
        slow_job = {**tracked.result(), "elapsed_seconds": elapsed, "message": message}
        for notifier in self._notifiers:
            self._notify(notifier, context, slow_job)

    def _notify(self, notifier: Notifier, context: Context, slow_job: dict[str, Any]) -> None:
        # Late, as each import that costs a DAG file something.
        from airflow.providers.common.compat.sdk import BaseNotifier, TaskDeferred

        if isinstance(notifier, BaseNotifier):
            # It renders its own arguments in place, and mapped tasks may share it.
            notifier = copy.copy(notifier)
        own_context: Any = copy.copy(context)
        own_context[CONTEXT_KEY] = slow_job
        try:
            notifier(own_context)
        # Whatever a notifier of the user raises, but not what Airflow raises to end the process.
        except (Exception, SystemExit, TaskDeferred) as error:
            self.log.warning(
                "%s of on_slow has failed, and the task goes on. %s: %s",
                _name(notifier),
                type(error).__name__,
                one_line(scrub(str(error))),
            )

    def _read_again(self, tracked: TrackedJob, poll_interval: float) -> Job:
        """
        Return a deferred job as it is now, or as last read: the wait for it may go on either way.

        It may have ended while the task waited for a worker that raises the alarm.
        """
        try:
            return self.hook.poll_job(
                tracked.job.job_id, poll_interval=poll_interval, failure_budget=DETAILS_PATIENCE
            )
        except AirbyteError as error:
            self.log.info("%s cannot be read before its alarm: %s", tracked, error)
            return tracked.job

    def _was_told(self, context: Context, job_id: int) -> bool:
        if self._told_of == job_id:
            return True
        consequence = (
            "so no alarm is raised now"
            if self._forgets
            else "so an alarm of an earlier try may be raised again"
        )
        is_told = JobNote(context, _NOTE, consequence).is_about(job_id)
        return self._forgets if is_told is None else is_told

    @property
    def _forgets(self) -> bool:
        """Whether the wait consists of many processes, of which none knows of the others."""
        return False

    def _count_slow(self, tracked: TrackedJob) -> None:
        if metrics.are_on():
            metrics.count_slow(tracked, self._metric_tags())


def keeps_notes() -> bool:
    """Whether this Airflow keeps notes of a task, also between two pokes: 3.3 and later."""
    from airflow.providers.common.compat.sdk import Context

    return "task_state_store" in getattr(Context, "__annotations__", {})


def _elapsed(job: Job, pace: Pace) -> float:
    """Return for how many seconds *job* has existed, or existed until its end."""
    if job.is_terminal and job.duration is not None:
        return job.duration.total_seconds()
    return pace.elapsed(time.time())


def _name(notifier: Notifier) -> str:
    return getattr(notifier, "__qualname__", type(notifier).__name__)
