"""The base class of operators and sensors that tell OpenLineage what their job read and wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_airbyte_sme.lineage import (
    delivered_lineage,
    failed_lineage,
    is_lineage_wanted,
)
from airflow_provider_airbyte_sme.operators.tracking import AirbyteTrackingOperator
from airflow_provider_airbyte_sme.outcome import JobEvent, TrackedJob

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_airbyte_sme.delivery import Delivery


class AirbyteLineageOperator(AirbyteTrackingOperator):
    """
    Base class of what tells OpenLineage what its job read and wrote.

    Airflow's OpenLineage provider calls its methods in the last process of the task, on the
    operator that ran there. All facts are gathered before that, while the task runs, and only if
    the provider asks for them.
    """

    # The job of the task, its delivery if that has succeeded, and otherwise what it reads and
    # writes.
    _followed: TrackedJob | None = None
    _delivery: Delivery | None = None
    _attempted: Delivery | None = None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage | None:
        """Return what the task's job has delivered; called after a success and after a skip."""
        del task_instance
        return self._build(delivered_lineage, self._delivery)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage | None:
        """Return what the job of a failed task reads and writes, as far as that is known."""
        del task_instance
        return self._build(failed_lineage, self._delivery or self._attempted)

    def _build(
        self,
        build: Callable[[TrackedJob | None, Delivery | None], OperatorLineage],
        delivery: Delivery | None,
    ) -> OperatorLineage | None:
        try:
            return build(self._followed, delivery)
        except Exception as error:
            # The task has ended: nothing may go wrong any more.
            self.log.info("OpenLineage does not learn what the job delivered: %s", error)
            return None

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Resume after a deferral, of which a failure may be all that is left to tell."""
        if next_method == "execute_complete":
            self._followed = _job_of_event((next_kwargs or {}).get("event"))
        return super().resume_execution(next_method, next_kwargs, context)

    def _follow(self, tracked: TrackedJob) -> None:
        """Keep the job of the task, for its lineage."""
        self._followed = tracked

    def _note_job(self, context: Context, tracked: TrackedJob) -> None:
        super()._note_job(context, tracked)
        self._follow(tracked)

    def _note_end(self, context: Context, tracked: TrackedJob) -> None:
        super()._note_end(context, tracked)
        self._follow(tracked)
        if not tracked.job.has_succeeded:
            self._note_attempt(tracked)

    def _note_attempt(self, tracked: TrackedJob) -> None:
        """
        Read what a job reads and writes that fails the task.

        What goes wrong here must not hide the error of the job.
        """

    def _wants_lineage(self) -> bool:
        """Whether the OpenLineage provider asks for what the job reads and writes."""
        return is_lineage_wanted(self)


def _job_of_event(event: Mapping[str, Any] | None) -> TrackedJob | None:
    """Return the job of a trigger's event; ``None`` if that is unreadable, which fails the task."""
    try:
        return JobEvent.from_payload(event).tracked
    except Exception:
        return None
