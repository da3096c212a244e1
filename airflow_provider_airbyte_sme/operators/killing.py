"""A task that owns a job: nothing of it is left behind when the task is killed."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteError,
    AirbyteStoppedError,
    JobCreation,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.blocking import blocking_client
from airflow_provider_airbyte_sme.api.errors import one_line
from airflow_provider_airbyte_sme.api.models import label
from airflow_provider_airbyte_sme.api.scrubbing import scrub
from airflow_provider_airbyte_sme.operators.base import AirbyteConnectionOperator
from airflow_provider_airbyte_sme.outcome import TrackedJob, cancel_text
from airflow_provider_airbyte_sme.parameters import validate_flag

# Seconds before each search of a killed task for its job. A current server creates the job within
# 60 s (docs/airbyte-api.md §3.2).
_SEARCH_PAUSES = (0.0, *(1.0,) * 60)
_PATIENCE = 60.0


class TryCreation(JobCreation):
    """
    The creation of a job by one try of a task.

    :ivar try_number: The try; 0 before it has begun.
    """

    try_number = 0


class AirbyteJobOwner(AirbyteConnectionOperator):
    """
    Base class of what starts a job of an Airbyte connection.

    A subclass sets :attr:`job_type`.

    :param cancel_on_kill: Whether to cancel the job when the task is killed, cleared or marked.
        For a deferred task this needs Airflow 3.3. A job that the task did not start is never
        cancelled.
    """

    job_type: ClassVar[str]

    def __init__(self, *, cancel_on_kill: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cancel_on_kill = validate_flag(cancel_on_kill, "cancel_on_kill")
        self._creation = TryCreation(self.job_type)
        # Known before anything is started.
        self._connection_id = self._connection_name = ""
        self._tracked: TrackedJob | None = None
        self._is_cancelling = False

    def on_kill(self) -> None:
        """
        Start nothing any more, and cancel the task's own job.

        Airflow calls this when it kills the task or when ``execution_timeout`` is over. After a
        SIGTERM, Airflow 3 ends the process within 5 s, so the log says first what to do by hand.
        """
        self._creation.stop()
        job = self._own_job_text()
        # A second signal must not cancel again what the first one is cancelling.
        if not job or self._is_cancelling:
            return
        if not self.cancel_on_kill:
            self.log.info("Killed: %s is not cancelled, since cancel_on_kill is off.", job)
            return
        self.log.warning(
            "Killed: cancelling %s. If no line below says what became of it, cancel it by hand. %s",
            job,
            self._own_job_url(),
        )
        self._is_cancelling = True
        try:
            self.log.info(self._cancel_own_job())
        # Whatever it is: Airflow would not finish its own work.
        except Exception as error:
            text = one_line(scrub(str(error)))
            if not isinstance(error, AirbyteError):
                text = f"{type(error).__name__}: {text}"
            self.log.warning("Could not cancel %s, cancel it by hand: %s", job, text)
        finally:
            self._is_cancelling = False

    def _own_job_text(self) -> str:
        """Return the task's own job for messages; empty if it has none."""
        created = self._creation.created
        if created is not None and created.ownership.is_ours:
            job = f"job {created.job_id}"
        elif self._creation.baseline is not None:
            job = "the new job"
        else:
            return ""
        return f"{job} of connection {label(self._connection_id, self._connection_name)}"

    def _own_job_url(self) -> str:
        """Return the page of the task's own job; empty if it is not known yet."""
        created, tracked = self._creation.created, self._tracked
        if created is None or tracked is None or tracked.job.job_id != created.job_id:
            return ""
        return tracked.job_url

    def _cancel_own_job(self) -> str:
        """Cancel the job that this task started, and return what became of it."""
        # A separate client: the thread that this interrupts may hold a lock of the hook's client.
        client = blocking_client(self.hook.settings, token=self.hook.client.session.token)

        async def cancel() -> str:
            async with client:
                return await self._find_and_cancel(client)

        return run_blocking(cancel())

    async def _find_and_cancel(self, client: AirbyteClient) -> str:
        created = self._creation.created or await client.jobs.find_created(
            self._connection_id,
            self._creation,
            pauses=_SEARCH_PAUSES,
            failure_budget=_PATIENCE,
        )
        if created is None:
            return "No job was created."
        job = created.job
        if not created.ownership.is_ours:
            return (
                f"{job.describe(self._connection_name)} may be the job of another task, so it "
                f"is not cancelled: cancel it by hand if it is this task's."
            )
        job = await client.jobs.cancel(job.job_id, patience=_PATIENCE)
        return f"{job.describe(self._connection_name)}: {cancel_text(job)}"

    def _warn_of_unknown_job(self) -> None:
        """Say that a start was given up while nobody knows whether it created a job."""
        if self._creation.baseline is not None or self._creation.may_appear:
            self.log.warning(
                "A job of connection %s may have been created, since the request for it got no "
                "usable response: if it runs in Airbyte and is not wanted, cancel it by hand. A "
                "retry of this task waits for it.",
                label(self._connection_id, self._connection_name),
            )

    def _raise_if_killed(self, outcome: BaseException | None = None) -> None:
        if self._creation.is_stopped:
            raise AirbyteStoppedError("The task was killed.") from outcome
