"""Names of tables, compared with what Cosmos and OpenLineage make of the same tables of dbt."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cosmos import ProfileConfig
from cosmos.dataset import construct_dataset_uri, get_dataset_namespace
from cosmos.profiles.base import BaseProfileMapping
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from openlineage.client.naming import dataset as standard
from openlineage.common.provider.dbt.processor import DbtArtifactProcessor

from airflow_provider_airbyte_sme.assets import dbt_source_assets, stream_assets
from airflow_provider_airbyte_sme.assets.streams import asset_text
from airflow_provider_airbyte_sme.datasets import destination_dataset, source_dataset
from tests.dataset_names import TABLES, Table

OF_DBT = {name: table for name, table in TABLES.items() if table.profile}
# OpenLineage takes the names as dbt's manifest has them.
SPELLED_AS_STORED = [
    name
    for name, table in OF_DBT.items()
    if ".".join(filter(None, table.source)) == table.dataset.name
]
SOURCES: dict[str, tuple[str, dict[str, Any], standard.DatasetNaming]] = {
    "postgres": (
        "postgres",
        {"host": "db", "port": 5432, "database": "app"},
        standard.Postgres("db", "5432", "app", "shop", "users"),
    ),
    "mysql": ("mysql", {"host": "db", "port": 3306}, standard.MySQL("db", "3306", "shop", "users")),
    "oracle": (
        "oracle",
        {"host": "db", "port": 1521, "connection_data": {"sid": "XE"}},
        standard.Oracle("db", "1521", "XE", "shop", "users"),
    ),
    "snowflake": (
        "snowflake",
        {"host": "myorg-prod.snowflakecomputing.com", "database": "RAW"},
        standard.Snowflake("myorg", "prod", "RAW", "shop", "users"),
    ),
    "bigquery": (
        "bigquery",
        {"project_id": "project"},
        standard.BigQuery("project", "shop", "users"),
    ),
    "kafka": ("kafka", {"bootstrap_servers": "k:9092"}, standard.Kafka("k", "9092", "users")),
}


@pytest.fixture(params=OF_DBT)
def table(request: pytest.FixtureRequest) -> Table:
    return OF_DBT[request.param]


class Processor(DbtArtifactProcessor):  # type: ignore[misc]  # it has no types
    """OpenLineage's reader of what dbt has written, of which only the names are used."""

    def get_dbt_metadata(self) -> Any:
        raise AssertionError("no dbt project is read")


def processor_for(profile: dict[str, Any]) -> Processor:
    processor = Processor(producer="producer", job_namespace="dbt")
    processor.extract_adapter_type(profile)
    processor.extract_dataset_namespace(profile)
    return processor


def dataset_of(table: Table) -> Any:
    return destination_dataset(table.connector, table.configuration, table.table, table.schema)


def manifest_with(table: Table, folder: Path) -> Path:
    database, schema, identifier = table.source
    source = {
        "source_name": "airbyte",
        "name": identifier,
        "identifier": identifier,
        "database": database,
        "schema": schema,
        "relation_name": table.relation,
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps({"sources": {"source.shop.airbyte.users": source}}))
    return path


def test_the_namespace_is_that_of_openlineages_dbt_integration(table: Table) -> None:
    assert dataset_of(table).namespace == processor_for(table.profile).dataset_namespace


def test_the_namespace_is_that_of_cosmos(table: Table) -> None:
    class Mapping(BaseProfileMapping):  # type: ignore[misc]  # it has no types
        dbt_profile_type = table.profile["type"]
        profile = table.profile

        def __init__(self) -> None:
            pass

    config = SimpleNamespace(profile_mapping=Mapping(), profiles_yml_filepath=None)
    profile_config: ProfileConfig = config

    assert get_dataset_namespace(profile_config) == dataset_of(table).namespace


@pytest.mark.parametrize("name", TABLES)
def test_the_text_of_an_asset_is_that_of_cosmos(name: str) -> None:
    dataset = dataset_of(TABLES[name])

    assert asset_text(dataset) == construct_dataset_uri(*dataset)


@pytest.mark.parametrize("name", SPELLED_AS_STORED)
def test_the_name_is_the_one_that_openlineage_gives_to_a_source_of_dbt(name: str) -> None:
    table = OF_DBT[name]
    database, schema, identifier = table.source
    node = SimpleNamespace(
        type="source",
        metadata_node={"database": database, "schema": schema, "name": identifier},
    )

    namespace, read, *_ = processor_for(table.profile).extract_dataset_data(node, None)

    assert (namespace, read) == dataset_of(table)


@pytest.mark.parametrize("name", TABLES)
def test_a_dag_that_waits_for_a_source_of_dbt_waits_for_what_an_operator_emits(
    name: str, tmp_path: Path
) -> None:
    table = TABLES[name]
    stream = {"name": table.table, "namespace": table.schema}

    waited_for = dbt_source_assets(manifest_with(table, tmp_path), table.dataset.namespace)

    assert waited_for == stream_assets(
        [stream],
        destination=table.connector,
        configuration=table.configuration,
        namespace_definition="source",
    )


@pytest.mark.parametrize("name", [name for name in OF_DBT if "duck" in name.lower()])
def test_dbt_derives_the_same_database_from_the_path_of_duckdb(name: str) -> None:
    table = OF_DBT[name]

    database = DuckDBCredentials.path_derived_database_name(table.profile["path"])

    assert dataset_of(table).name.startswith(f"{database}.")


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_the_name_of_openlineages_standard(name: str) -> None:
    connector, configuration, expected = SOURCES[name]

    dataset = source_dataset(connector, configuration, "users", "shop")

    assert dataset == (expected.get_namespace(), expected.get_name())


def test_a_folder_of_s3_has_the_name_of_openlineages_standard() -> None:
    expected = standard.S3("lake", "data/shop/users")

    dataset = destination_dataset(
        "s3", {"s3_bucket_name": "lake", "s3_bucket_path": "data"}, "users", "shop"
    )

    assert dataset == (expected.get_namespace(), expected.get_name())
