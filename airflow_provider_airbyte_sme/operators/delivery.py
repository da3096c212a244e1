"""The base class of operators and sensors whose job delivers data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException, AirflowTaskTimeout
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_airbyte_sme.api import AirbyteError, JobDetails
from airflow_provider_airbyte_sme.api.waiting import DEFAULT_POLL_INTERVAL, FAILURE_BUDGET
from airflow_provider_airbyte_sme.assets.streams import delivery_alias, emit, given_alias
from airflow_provider_airbyte_sme.delivery import Delivery, ReadDetails, read_delivery
from airflow_provider_airbyte_sme.evidence import OnTooFewRows, RequiredRows, check_rows
from airflow_provider_airbyte_sme.operators.lineage import AirbyteLineageOperator
from airflow_provider_airbyte_sme.outcome import TrackedJob
from airflow_provider_airbyte_sme.parameters import (
    USUAL,
    check_counts,
    check_unless_template,
    is_template,
    validate_choice,
    validate_counts,
    validate_dataset_namespace,
    validate_flag,
    validate_min_rows,
    validate_share,
    validate_uuid,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.assets import AssetAlias
    from airflow.providers.common.compat.sdk import Context

# Seconds that lineage alone may hold up a task while Airbyte is unavailable.
_LINEAGE_PATIENCE = 15.0


class AirbyteDeliveryOperator(AirbyteLineageOperator):
    """
    Base class of what ends with a job that delivers data.

    :param min_rows: Lowest number of rows to accept from a job that succeeds; or ``history``: the
        part *min_rows_share* of the median of the last 20 good jobs of this kind. With fewer than 5
        of them, every number is accepted. (templated)
    :param min_rows_share: Above 0 and at most 1, with ``min_rows="history"``. (templated)
    :param min_rows_of: Likewise for single streams: a dict from their names, or from
        ``namespace.name``, to numbers. Their rows are in Airbyte's config API only. (templated)
    :param on_too_few_rows: What to do when there are fewer, or when that cannot be told: ``fail``,
        ``skip`` or ``warn``.
    :param emit_assets: Whether to emit an asset event for each table that has got rows: see
        docs/data-aware.md. Not by a task that does not wait for its job.
    :param dataset_namespace: Where the tables are, such as ``postgres://warehouse:5432``, if dbt
        reaches them under another name than Airbyte. (templated)
    :raises AirbyteConfigError: An argument that is not a template is invalid.
    :raises AirbyteTooFewRowsError: There are too few rows, with ``on_too_few_rows="fail"``.
    :raises AirflowSkipException: There are too few rows, with ``on_too_few_rows="skip"``.
    """

    template_fields: Sequence[str] = (
        *AirbyteLineageOperator.template_fields,
        "min_rows",
        "min_rows_share",
        "min_rows_of",
        "dataset_namespace",
    )

    def __init__(
        self,
        *,
        min_rows: int | str | None = None,
        min_rows_share: float | str = 0.5,
        min_rows_of: Mapping[str, int | str] | str | None = None,
        on_too_few_rows: OnTooFewRows = "fail",
        emit_assets: bool = False,
        dataset_namespace: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        validate_choice(on_too_few_rows, "on_too_few_rows", get_args(OnTooFewRows))
        self.min_rows = check_unless_template(
            validate_min_rows, 0 if min_rows is None else min_rows, "min_rows"
        )
        self.min_rows_share = check_unless_template(
            validate_share, min_rows_share, "min_rows_share"
        )
        self.min_rows_of = check_counts({} if min_rows_of is None else min_rows_of, "min_rows_of")
        self.on_too_few_rows = on_too_few_rows
        self.emit_assets = validate_flag(emit_assets, "emit_assets")
        self.dataset_namespace = dataset_namespace
        if dataset_namespace is not None:
            self.dataset_namespace = check_unless_template(
                validate_dataset_namespace, dataset_namespace, "dataset_namespace"
            )
        self._alias: AssetAlias | None = None

    def _declare_assets(self) -> None:
        """
        Declare the alias of the assets, of which nobody knows yet what they are.

        Last thing in the constructor. Airflow 2 fails a task with an alias that it did not see when
        the DAG was parsed, and does not construct a mapped task then.
        """
        if not self.emit_assets:
            return
        self._alias = given_alias(self.outlets)
        is_mapped = getattr(self, "_BaseOperator__from_mapped", False)
        if self._alias is None and (AIRFLOW_V_3_0_PLUS or not is_mapped):
            self._alias = delivery_alias(self._alias_name())
            self.outlets = [*self.outlets, self._alias]

    def _alias_name(self) -> str:
        """Return the connection by its UUID or its names; the task if they are not known yet."""
        connection_id = getattr(self, "connection_id", None)
        if connection_id is not None and not is_template(connection_id):
            return validate_uuid(connection_id, "connection_id")
        names = [getattr(self, name, None) for name in ("connection_name", "workspace")]
        names[1] = names[1] or getattr(self, "workspace_id", None)
        if all(isinstance(name, str) and not is_template(name) for name in names):
            return f"{names[1]}/{names[0]}"
        dag = self.dag if self.has_dag() else None  # type: ignore[no-untyped-call]
        return f"{dag.dag_id}/{self.task_id}" if dag else self.task_id

    def _validate_parameters(self) -> None:
        super()._validate_parameters()
        self.min_rows = validate_min_rows(self.min_rows, "min_rows")
        self.min_rows_share = validate_share(self.min_rows_share, "min_rows_share")
        self.min_rows_of = validate_counts(self.min_rows_of, "min_rows_of")
        if self.dataset_namespace is not None:
            self.dataset_namespace = validate_dataset_namespace(
                self.dataset_namespace, "dataset_namespace"
            )

    def _check_rows(self, tracked: TrackedJob) -> TrackedJob:
        """Check that a job, which has succeeded, moved enough rows: see :func:`.check_rows`."""
        required = self._required_rows(tracked, self.on_too_few_rows)
        try:
            return check_rows(tracked, required, self._poll_details)
        except AirflowSkipException:
            raise
        except Exception:
            self._note_attempt(tracked)
            raise

    def _required_rows(self, tracked: TrackedJob, on_too_few_rows: OnTooFewRows) -> RequiredRows:
        """Return how many rows *tracked* must have moved; with ``history``, its history is read."""
        if self.min_rows == USUAL:
            required = RequiredRows(0, self.min_rows_of, on_too_few_rows)
            return required.as_usual(tracked, self.min_rows_share, self.hook.poll_job_history)
        return RequiredRows(int(self.min_rows), self.min_rows_of, on_too_few_rows)

    def _poll_details(self, job_id: int, *, failure_budget: float = FAILURE_BUDGET) -> JobDetails:
        return self._read_details(
            job_id, partial(self.hook.poll_job_details, failure_budget=failure_budget)
        )

    def _tell_of_delivery(self, context: Context, tracked: TrackedJob) -> None:
        """
        Tell Airflow what a job delivered that has succeeded with enough rows.

        What goes wrong here is a warning, also that ``execution_timeout`` is over meanwhile: the
        data has arrived, and to sync it again would not help.
        """
        wants_lineage = self._wants_lineage()
        if not (self.emit_assets or wants_lineage) or not tracked.job.moves_data:
            return
        try:
            self._delivery = self._read_delivery(
                tracked,
                self._poll_details,
                with_lineage=wants_lineage,
                failure_budget=FAILURE_BUDGET if self.emit_assets else _LINEAGE_PATIENCE,
            )
            if self.emit_assets:
                self._emit(context, self._delivery)
        except (Exception, AirflowTaskTimeout) as error:
            lost = (
                "DAGs that wait for its assets do not start" if self.emit_assets else "no lineage"
            )
            self.log.warning(
                "%s succeeded, but what it delivered cannot be read: %s. %s",
                tracked,
                lost,
                _reason(error),
                exc_info=None if isinstance(error, AirbyteError | AirflowTaskTimeout) else error,
            )

    def _note_attempt(self, tracked: TrackedJob) -> None:
        if not (tracked.job.moves_data and self._wants_lineage()):
            return
        try:
            self._attempted = self._read_delivery(
                tracked,
                _no_details,
                with_lineage=True,
                failure_budget=_LINEAGE_PATIENCE,
            )
        except (Exception, AirflowTaskTimeout) as error:
            # The task fails anyhow, and its own error says more.
            self.log.info("%s: no lineage. %s", tracked, _reason(error))

    def _read_delivery(
        self, tracked: TrackedJob, read_details: ReadDetails, **options: Any
    ) -> Delivery:
        return read_delivery(
            self.hook,
            tracked,
            read_details,
            dataset_namespace=self.dataset_namespace,
            poll_interval=getattr(self, "poll_interval", DEFAULT_POLL_INTERVAL),
            **options,
        )

    def _emit(self, context: Context, delivery: Delivery) -> None:
        if self._alias is None:
            self.log.warning(
                "%s: no asset events. On Airflow 2, a mapped task needs its alias in partial(): "
                "outlets=[delivery_alias(...)] of airflow_provider_airbyte_sme.assets.",
                delivery.tracked,
            )
            return
        emit(context["outlet_events"], self._alias, delivery)


def _no_details(job_id: int, *, failure_budget: float) -> JobDetails:
    """Return no counters, because those of a failed job are not told."""
    del job_id, failure_budget
    return JobDetails()


def _reason(error: BaseException) -> str:
    # What Airflow itself says names a process.
    is_timeout = isinstance(error, AirflowTaskTimeout)
    return "execution_timeout is over." if is_timeout else str(error)
