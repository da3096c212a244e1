"""The base class of operators whose job writes rows, which are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import AirbyteTooFewRowsError, Job, Ownership
from airflow_provider_airbyte_sme.evidence import check_rows
from airflow_provider_airbyte_sme.operators.delivery import AirbyteDeliveryOperator
from airflow_provider_airbyte_sme.operators.jobs import AirbyteJobOperator
from airflow_provider_airbyte_sme.outcome import TrackedJob

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AirbyteDataJobOperator(AirbyteDeliveryOperator, AirbyteJobOperator):
    """
    Base class of the operators whose job writes rows, which are counted.

    Its parameters are those of :class:`.AirbyteDeliveryOperator` and :class:`.AirbyteJobOperator`,
    and its result is that of the second.
    """

    template_fields: Sequence[str] = tuple(
        dict.fromkeys(
            (*AirbyteJobOperator.template_fields, *AirbyteDeliveryOperator.template_fields)
        )
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._declare_assets()

    def has_enough(self, job: Job) -> bool:
        """Whether somebody else's *job*, which has succeeded, has enough rows."""
        tracked = TrackedJob(job, Ownership.FOREIGN, 0.0)
        try:
            check_rows(tracked, self._required_rows(tracked, "fail"), self._poll_details)
        except AirbyteTooFewRowsError:
            return False
        except AirflowFailException:
            # Of another job, nobody could tell either.
            return True
        return True

    def check_result(self, tracked: TrackedJob) -> TrackedJob:
        """Check the number of rows."""
        checked = self._check_rows(tracked)
        self.log.info("%s succeeded with %s rows.", checked, checked.job.rows_synced)
        return checked

    def tell_of_success(self, context: Context, tracked: TrackedJob) -> None:
        """Tell Airflow what the job delivered."""
        self._tell_of_delivery(context, tracked)
