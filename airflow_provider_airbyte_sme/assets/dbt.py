"""The assets of the sources that a dbt project reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigError, one_line
from airflow_provider_airbyte_sme.assets.streams import asset_of, asset_text
from airflow_provider_airbyte_sme.datasets import dbt_dataset
from airflow_provider_airbyte_sme.parameters import validate_dataset_namespace, validate_names

if TYPE_CHECKING:
    from airflow.providers.common.compat.assets import Asset

# A DAG file may name several DAGs after the same manifest.
_CACHED = 8


class _Table(NamedTuple):
    """A table of a dbt source, with the names that dbt's selectors use."""

    source: str
    name: str
    database: str
    schema: str
    identifier: str
    relation_name: str

    def is_selected_by(self, name: str) -> bool:
        return name in (self.source, f"{self.source}.{self.name}")


def dbt_source_assets(
    manifest_path: str | Path, namespace: str, source: str | Sequence[str] | None = None
) -> list[Asset]:
    """
    Return the assets of the sources of a dbt project, as an operator or sensor emits them.

    With ``schedule=dbt_source_assets(...)``, a DAG starts when Airbyte has delivered to all of
    them.

    :param manifest_path: The ``manifest.json`` that dbt writes, of any version.
    :param namespace: Where the tables are, as OpenLineage writes it, such as
        ``postgres://warehouse.example.com:5432``: the ``dataset_namespace`` of the operator, or
        what follows from the destination.
    :param source: Which sources: a name, ``name.table``, or a list of these; by default all.
    :raises AirbyteConfigError: The file is missing or is no manifest, it has no sources, or none of
        the given name.
    """
    namespace = validate_dataset_namespace(namespace, "namespace")
    path = Path(manifest_path)
    tables = _tables(path, *_version_of(path))
    if source is not None:
        tables = _selected(tables, validate_names(source, "source"), path)
    datasets = [
        dbt_dataset(
            namespace,
            table.database,
            table.schema,
            table.identifier,
            relation_name=table.relation_name,
        )
        for table in tables
    ]
    return list({asset_text(dataset): asset_of(dataset) for dataset in datasets}.values())


def _version_of(path: Path) -> tuple[int, int]:
    """Return what changes when the file does."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_mtime_ns, status.st_size


def _unreadable(path: Path, error: OSError) -> AirbyteConfigError:
    return AirbyteConfigError(
        f"The dbt manifest {path.absolute()} cannot be read: {error.strerror}. dbt parse and "
        f"dbt compile write it to the target folder of the project."
    )


@lru_cache(maxsize=_CACHED)
def _tables(path: Path, modified: int, size: int) -> tuple[_Table, ...]:
    """
    Return the tables of the sources in a manifest.

    :param modified: As :func:`_version_of`, with *size*.
    """
    del modified, size
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise AirbyteConfigError(
            f"The dbt manifest {path} is not JSON: {one_line(str(error))}."
        ) from error
    sources = manifest.get("sources") if isinstance(manifest, Mapping) else None
    if not isinstance(sources, Mapping):
        raise AirbyteConfigError(
            f"{path} is not a dbt manifest, because it has no 'sources': give the manifest.json "
            f"that dbt writes."
        )
    if not sources:
        raise AirbyteConfigError(
            f"The dbt project of {path} has no sources: declare the tables that Airbyte writes "
            f"under sources: in a YAML file of its models."
        )
    return tuple(_table(unique_id, node, path) for unique_id, node in sources.items())


def _table(unique_id: str, node: Any, path: Path) -> _Table:
    fields = node if isinstance(node, Mapping) else {}
    name = fields.get("identifier") or fields.get("name")
    if not isinstance(name, str):
        raise AirbyteConfigError(
            f"The source {unique_id!r} of the dbt manifest {path} has no name: this version of the "
            f"manifest cannot be read."
        )
    return _Table(
        source=str(fields.get("source_name") or ""),
        name=str(fields.get("name") or name),
        database=str(fields.get("database") or ""),
        schema=str(fields.get("schema") or ""),
        identifier=name,
        relation_name=str(fields.get("relation_name") or ""),
    )


def _selected(tables: Iterable[_Table], names: Iterable[str], path: Path) -> tuple[_Table, ...]:
    """
    Return the tables that *names* select.

    :raises AirbyteConfigError: A name selects none.
    """
    tables = tuple(tables)
    for name in names:
        if not any(table.is_selected_by(name) for table in tables):
            # Late: only an error needs it, and it loads the hook.
            from airflow_provider_airbyte_sme.hooks.lookups import closest

            known = [table.source for table in tables]
            if "." in name:
                known = [f"{table.source}.{table.name}" for table in tables]
            raise AirbyteConfigError(
                f"The dbt manifest {path} has no source named {name!r}: {closest(name, known)}"
            )
    return tuple(table for table in tables if any(map(table.is_selected_by, names)))
