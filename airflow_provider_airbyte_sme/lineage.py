"""
What a job read and wrote, as OpenLineage describes it.

Airflow's OpenLineage provider is optional, so nothing of it is imported before it is wanted.
Facets: https://openlineage.io/docs/spec/facets
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_airbyte_sme.delivery import (
        DeliveredStream,
        DeliveredTable,
        Delivery,
        StreamField,
    )
    from airflow_provider_airbyte_sme.outcome import TrackedJob

log = logging.getLogger(__name__)

# The source of an external query whose page is unknown.
_SOURCE = "airbyte"


def is_lineage_wanted(task: BaseOperator) -> bool:
    """
    Return whether the OpenLineage provider asks *task* for its lineage.

    False without the provider, without a transport, and where its settings leave out the task. What
    goes wrong here must not fail the task, and would stop the provider as well.
    """
    try:
        from airflow.providers.openlineage import conf

        return not conf.is_disabled() and _is_asked_for(task)
    except ImportError:
        return False
    except Exception as error:
        log.info("Cannot tell whether OpenLineage is on, so no lineage is gathered: %s", error)
        return False


def _is_asked_for(task: BaseOperator) -> bool:
    with warnings.catch_warnings():
        # The provider itself warns of its deprecated settings.
        warnings.simplefilter("ignore")
        try:
            from airflow.providers.openlineage.utils.emission_policy import (
                resolve_task_emission_policy,
            )
        except ImportError:  # Older providers
            return _is_asked_for_by_older_settings(task)
        policy = resolve_task_emission_policy(task, task.dag_id, task.task_id)
        return bool(policy.emit and policy.extract_operator_metadata)


def _is_asked_for_by_older_settings(task: BaseOperator) -> bool:
    from airflow.providers.openlineage.utils.utils import (
        is_operator_disabled,
        is_selective_lineage_enabled,
    )

    return bool(is_selective_lineage_enabled(task) and not is_operator_disabled(task))


def delivered_lineage(tracked: TrackedJob | None, delivery: Delivery | None) -> OperatorLineage:
    """
    Return the lineage of a task that has succeeded or was skipped.

    :param tracked: Its job; ``None`` if there was none.
    :param delivery: What its job has delivered; ``None`` if nothing, or if it is unknown.
    """
    return _lineage(tracked, delivery, counts=True)


def failed_lineage(tracked: TrackedJob | None, delivery: Delivery | None) -> OperatorLineage:
    """
    Return the lineage of a task that has failed.

    It contains no counters, because those of a failed attempt may be written again by the next. The
    error is not in it either: the provider itself adds the exception of the task.

    :param tracked: Its job; ``None`` if there was none.
    :param delivery: What its job reads and writes; ``None`` if that is unknown.
    """
    return _lineage(tracked, delivery, counts=False)


def _lineage(
    tracked: TrackedJob | None, delivery: Delivery | None, *, counts: bool
) -> OperatorLineage:
    from airflow.providers.openlineage.extractors import OperatorLineage

    streams = delivery.streams if delivery else ()
    tables = delivery.tables if delivery else ()
    return OperatorLineage(
        inputs=list(_inputs(streams)),
        outputs=list(_outputs(tables, counts=counts)),
        run_facets=_run_facets(tracked) if tracked else {},
    )


def _run_facets(tracked: TrackedJob) -> dict[str, Any]:
    from airflow.providers.common.compat.openlineage.facet import ExternalQueryRunFacet

    job_id, source = str(tracked.job.job_id), tracked.job_url or _SOURCE
    return {"externalQuery": ExternalQueryRunFacet(externalQueryId=job_id, source=source)}


def _inputs(streams: Iterable[DeliveredStream]) -> Iterator[Any]:
    from airflow.providers.common.compat.openlineage.facet import InputDataset

    # Without a schema: a source may have more columns than those that are selected.
    for source in dict.fromkeys(stream.source for stream in streams if stream.source):
        yield InputDataset(namespace=source.namespace, name=source.name)


def _outputs(tables: Iterable[DeliveredTable], *, counts: bool) -> Iterator[Any]:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset

    for table in tables:
        yield OutputDataset(
            namespace=table.dataset.namespace,
            name=table.dataset.name,
            facets=_schema([field for stream in table.streams for field in stream.fields]),
            outputFacets=_statistics(table) if counts else {},
        )


def _schema(fields: Iterable[StreamField]) -> dict[str, Any]:
    from airflow.providers.common.compat.openlineage.facet import (
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )

    columns = {field.name: field for field in fields}.values()
    if not columns:
        return {}
    return {
        "schema": SchemaDatasetFacet(
            fields=[
                SchemaDatasetFacetFields(name=column.name, type=column.type or None)
                for column in columns
            ]
        )
    }


def _statistics(table: DeliveredTable) -> dict[str, Any]:
    from airflow.providers.common.compat.openlineage.facet import OutputStatisticsOutputDatasetFacet

    if table.rows is None and table.bytes is None:
        return {}
    return {
        "outputStatistics": OutputStatisticsOutputDatasetFacet(
            rowCount=table.rows, size=table.bytes
        )
    }
