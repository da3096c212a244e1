"""The base class of operators whose job writes rows, which are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import AirbyteTooFewRowsError, Job, Ownership
from airflow_provider_airbyte_sme.evidence import OnTooFewRows, RequiredRows, check_rows
from airflow_provider_airbyte_sme.operators.jobs import AirbyteJobOperator
from airflow_provider_airbyte_sme.outcome import TrackedJob
from airflow_provider_airbyte_sme.parameters import (
    check_counts,
    check_unless_template,
    validate_choice,
    validate_count,
    validate_counts,
)


class AirbyteDataJobOperator(AirbyteJobOperator):
    """
    Base class of the operators whose job writes rows, which are counted.

    Its other parameters and its result are those of :class:`AirbyteJobOperator`.

    :param min_rows: Lowest number of rows to accept from a job that succeeds. (templated)
    :param min_rows_of: Likewise for single streams: a dict from their names, or from
        ``namespace.name``, to numbers. Their rows are in Airbyte's config API only. (templated)
    :param on_too_few_rows: What to do when there are fewer, or when that cannot be told: ``fail``,
        ``skip`` or ``warn``.
    """

    template_fields: Sequence[str] = (
        *AirbyteJobOperator.template_fields,
        "min_rows",
        "min_rows_of",
    )

    def __init__(
        self,
        *,
        min_rows: int | str | None = None,
        min_rows_of: Mapping[str, int | str] | str | None = None,
        on_too_few_rows: OnTooFewRows = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        validate_choice(on_too_few_rows, "on_too_few_rows", get_args(OnTooFewRows))
        self.min_rows = check_unless_template(
            validate_count, 0 if min_rows is None else min_rows, "min_rows"
        )
        self.min_rows_of = check_counts({} if min_rows_of is None else min_rows_of, "min_rows_of")
        self.on_too_few_rows = on_too_few_rows

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self.min_rows = validate_count(self.min_rows, "min_rows")
        self.min_rows_of = validate_counts(self.min_rows_of, "min_rows_of")

    def has_enough(self, job: Job) -> bool:
        """Whether somebody else's *job*, which has succeeded, has enough rows."""
        required = RequiredRows(self.min_rows, self.min_rows_of)
        try:
            check_rows(
                TrackedJob(job, Ownership.FOREIGN, 0.0), required, self.hook.poll_job_details
            )
        except AirbyteTooFewRowsError:
            return False
        except AirflowFailException:
            # Of another job, nobody could tell either.
            return True
        return True

    def check_result(self, tracked: TrackedJob) -> TrackedJob:
        """Check the number of rows."""
        required = RequiredRows(self.min_rows, self.min_rows_of, self.on_too_few_rows)
        checked = check_rows(tracked, required, self.hook.poll_job_details)
        self.log.info("%s succeeded with %s rows.", checked, checked.job.rows_synced)
        return checked
