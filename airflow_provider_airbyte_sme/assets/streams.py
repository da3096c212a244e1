"""An Airflow asset for each table that a stream is written to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError
from airflow_provider_airbyte_sme.datasets import (
    Configuration,
    Dataset,
    NamespaceRule,
    destination_dataset,
    fallback_dataset,
)
from airflow_provider_airbyte_sme.parameters import (
    validate_choice,
    validate_dataset_namespace,
    validate_streams,
    validate_uuid,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.assets import Asset, AssetAlias

    from airflow_provider_airbyte_sme.delivery import DeliveredTable, Delivery

log = logging.getLogger(__name__)

ALIAS_PREFIX = "airbyte_sme/"
_NAMESPACE_DEFINITIONS = ("destination", "source", "custom_format")


def asset_text(dataset: Dataset) -> str:
    """
    Return the text that Cosmos makes of a dataset: ``construct_dataset_uri`` of Cosmos.

    On Airflow 3, the dots of the name become slashes.
    """
    name = quote(dataset.name)
    return f"{dataset.namespace}/{name.replace('.', '/') if AIRFLOW_V_3_0_PLUS else name}"


def asset_of(dataset: Dataset) -> Asset:
    """
    Return the asset of a dataset.

    Its name is the text itself; Airflow may normalise its URI. Who has only the URI of another
    asset, has another asset.

    :raises ValueError: Airflow does not accept the text.
    """
    # Late: a DAG file that imports an operator need not load it.
    from airflow.providers.common.compat.assets import Asset

    return Asset(asset_text(dataset))


def delivery_alias(name: str) -> AssetAlias:
    """
    Return the asset alias ``airbyte_sme/<name>``, through which a task can emit its assets.

    In ``outlets`` of an operator or sensor with ``emit_assets=True``, it replaces the alias that it
    would have by itself; in ``schedule`` of a DAG, it stands for all assets of the task.

    :param name: Such as the UUID of a connection. Other characters than ASCII are quoted.
    """
    from airflow.providers.common.compat.assets import AssetAlias

    return AssetAlias(f"{ALIAS_PREFIX}{quote(name)}")


def given_alias(outlets: Sequence[Any]) -> AssetAlias | None:
    """Return the alias of :func:`delivery_alias` among the outlets of a task, if there is one."""
    from airflow.providers.common.compat.assets import AssetAlias

    aliases = (each for each in outlets if isinstance(each, AssetAlias))
    return next((each for each in aliases if each.name.startswith(ALIAS_PREFIX)), None)


def stream_assets(
    streams: str | Sequence[str | Mapping[str, str | None]],
    *,
    destination: str | None = None,
    configuration: Configuration | None = None,
    dataset_namespace: str | None = None,
    namespace_definition: str = "destination",
    namespace_format: str = "",
    prefix: str = "",
    connection_id: str | None = None,
) -> list[Asset]:
    """
    Return the assets of streams, as an operator with ``emit_assets=True`` emits them.

    Nothing is looked up in Airbyte, so that a DAG file can call it.

    :param streams: Names, or dicts with ``name`` and ``namespace``, which is the source's own.
    :param destination: Type of the destination, such as ``postgres``.
    :param configuration: Those keys of its configuration in Airbyte that are part of the names:
        host, port, database and schema, or what they are called there.
    :param dataset_namespace: That of the operator, such as ``postgres://warehouse:5432``, instead
        of a host in *configuration*.
    :param namespace_definition: That of the connection: ``destination``, ``source`` or
        ``custom_format``. *namespace_format* and *prefix* likewise.
    :param connection_id: UUID of the connection, instead of *destination*, if its destination is of
        a type without standard names.
    :raises AirbyteConfigError: An argument is invalid, or the names cannot be told from them.
    """
    named = validate_streams(streams, "streams")
    validate_choice(namespace_definition, "namespace_definition", _NAMESPACE_DEFINITIONS)
    if dataset_namespace is not None:
        dataset_namespace = validate_dataset_namespace(dataset_namespace, "dataset_namespace")
    if connection_id is not None and destination is None:
        connection_id = validate_uuid(connection_id, "connection_id")
        return [asset_of(fallback_dataset(connection_id, *stream)) for stream in named]
    if destination is None or connection_id is not None:
        raise AirbyteConfigError(
            "The names of streams follow from a destination and its configuration, or from a "
            "connection_id: give one of the two."
        )
    rule = NamespaceRule(namespace_definition, namespace_format, prefix)
    assets = []
    for stream in named:
        schema, table = rule.apply(*stream)
        dataset = destination_dataset(
            destination, configuration or {}, table, schema, dataset_namespace=dataset_namespace
        )
        assets.append(asset_of(dataset))
    return assets


def emit(outlet_events: Any, alias: AssetAlias, delivery: Delivery) -> None:
    """
    Tell Airflow of each table that has got rows.

    Nothing is emitted if the job moved no rows as far as anybody knows, and for a table whose
    streams are known to have none.

    :param outlet_events: Of the context of the task.
    """
    tracked = delivery.tracked
    if not tracked.job.rows_synced:
        log.info("%s: no asset events, because Airbyte has counted no rows of it.", tracked)
        return
    assets = dict(_assets(delivery))
    for asset, table in assets.values():
        outlet_events[alias].add(asset, extra=_extra(delivery, table))
    log.info("%s: asset events for %s.", tracked, ", ".join(assets) or "no table")


def _assets(delivery: Delivery) -> Iterator[tuple[str, tuple[Asset, DeliveredTable]]]:
    for table in delivery.tables:
        if table.rows == 0:
            continue
        text = asset_text(table.dataset)
        try:
            yield text, (asset_of(table.dataset), table)
        except ValueError as error:
            log.warning("%s: no asset event for %s: %s", delivery.tracked, text, error)


def _extra(delivery: Delivery, table: DeliveredTable) -> dict[str, int | str]:
    """Return what an event says: flat, because Airflow 2.11 hashes it; without what is unknown."""
    tracked = delivery.tracked
    extra: dict[str, int | str | None] = {
        "job_id": tracked.job.job_id,
        "connection_id": tracked.job.connection_id,
        "rows": table.rows,
        "bytes": table.bytes,
        "job_url": tracked.job_url or None,
    }
    return {key: value for key, value in extra.items() if value is not None}
