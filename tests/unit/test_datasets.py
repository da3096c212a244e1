"""Names of tables: what Airbyte calls them, as dbt, Cosmos and OpenLineage write it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.api.models import Destination
from airflow_provider_airbyte_sme.datasets import (
    Dataset,
    NamespaceRule,
    connector_of,
    dbt_dataset,
    destination_dataset,
    fallback_dataset,
    source_dataset,
)
from tests.dataset_names import TABLES, Table

LONG = "a" * 300


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> Table:
    return TABLES[request.param]


def named(table: Table, **kwargs: Any) -> Dataset:
    return destination_dataset(
        table.connector, table.configuration, table.table, table.schema, **kwargs
    )


def test_a_table_has_the_name_that_its_database_stores(table: Table) -> None:
    assert named(table) == table.dataset


def test_dbt_reads_the_table_under_the_same_name(table: Table) -> None:
    dataset = dbt_dataset(table.dataset.namespace, *table.source, relation_name=table.relation)

    assert dataset == table.dataset


def test_another_namespace_replaces_only_that_of_the_destination(table: Table) -> None:
    dataset = named(table, dataset_namespace="postgres://other:1")

    assert dataset == Dataset("postgres://other:1", table.dataset.name)


@pytest.mark.parametrize(
    ("connector", "configuration", "missing"),
    [
        ("postgres", {"database": "a"}, "host"),
        ("postgres", {"host": "wh"}, "database"),
        ("postgres", {"host": "  ", "database": "a"}, "host"),
        ("postgres", {"host": None, "database": "a"}, "host"),
        ("postgres", {"host": ["wh"], "database": "a"}, "host"),
        ("redshift", {"host": "c"}, "database"),
        ("snowflake", {"database": "d", "schema": "s"}, "host"),
        ("snowflake", {"host": "a-b.snowflakecomputing.com", "database": "d"}, "schema"),
        ("bigquery", {"dataset_id": "d"}, "project_id"),
        ("bigquery", {"project_id": "p"}, "dataset_id"),
        ("databricks", {"database": "d"}, "hostname"),
        ("clickhouse", {}, "host"),
        ("mssql", {"host": "h"}, "database"),
        ("mysql", {"host": "h"}, "database"),
        ("duckdb", {}, "destination_path"),
        ("s3", {"s3_bucket_path": "p"}, "s3_bucket_name"),
    ],
)
def test_what_a_name_lacks_is_an_error_that_says_so(
    connector: str, configuration: dict[str, Any], missing: str
) -> None:
    with pytest.raises(AirbyteConfigError, match=f"{connector}.* lacks '{missing}'"):
        destination_dataset(connector, configuration, "users")


def test_a_namespace_that_is_given_needs_no_host() -> None:
    dataset = destination_dataset(
        "postgres", {"database": "a"}, "users", dataset_namespace="postgres://wh:5432"
    )

    assert dataset == Dataset("postgres://wh:5432", "a.public.users")


@pytest.mark.parametrize("connector", ["", "kafka", "google-sheets"])
def test_a_type_without_standard_names_is_an_error(connector: str) -> None:
    with pytest.raises(AirbyteConfigError, match="have no standard name"):
        destination_dataset(connector, {"host": "h"}, "users")


def test_another_namespace_names_tables_of_every_type() -> None:
    dataset = destination_dataset(
        "iceberg", {}, "users", "raw", dataset_namespace="trino://t:8080/lake"
    )

    assert dataset == Dataset("trino://t:8080/lake", "raw.users")


class TestS3:
    @pytest.mark.parametrize(
        ("configuration", "schema", "stream", "name"),
        [
            ({}, "shop", "users", "shop/users"),
            ({}, None, "users", "users"),
            ({"s3_bucket_path": "data/"}, None, "users_", "data/users_"),
            ({"s3_bucket_path": "/data/raw"}, "my shop", "Ordérs", "data/raw/my_shop/Orders"),
            ({"s3_path_format": "${STREAM_NAME}_${YEAR}/"}, "shop", "users", "users"),
            ({"s3_path_format": "x/${STREAM_NAME}"}, "shop", "users", "x/users"),
            ({"s3_path_format": "${NAMESPACE}-${STREAM_NAME}/${DAY}"}, "a", "b", "a-b"),
        ],
    )
    def test_a_stream_is_the_folder_of_its_files(
        self, configuration: dict[str, str], schema: str | None, stream: str, name: str
    ) -> None:
        configuration = {"s3_bucket_name": "lake", **configuration}

        dataset = destination_dataset("s3", configuration, stream, schema)

        assert dataset == Dataset("s3://lake", name)

    @pytest.mark.parametrize("path", ["${YEAR}/${STREAM_NAME}/", "all/", "${NAMESPACE}/"])
    def test_streams_that_share_a_folder_have_no_names(self, path: str) -> None:
        configuration = {"s3_bucket_name": "lake", "s3_path_format": path}

        with pytest.raises(AirbyteConfigError, match="no names of their own"):
            destination_dataset("s3", configuration, "users")


@pytest.mark.parametrize(
    ("connector", "configuration", "length", "end"),
    [
        # The ends are from String.hashCode() of Java.
        ("postgres", {"host": "h", "database": "d"}, 63, "_71404864"),
        ("redshift", {"host": "h", "database": "d"}, 127, "_9c6062c0"),
        ("databricks", {"hostname": "h", "database": "d"}, 255, "_71404864"),
        ("mysql", {"host": "h", "database": "d"}, 44, "_" + "a" * 21),
    ],
)
def test_a_long_name_is_shortened_as_airbyte_does(
    connector: str, configuration: dict[str, str], length: int, end: str
) -> None:
    name = destination_dataset(connector, configuration, LONG).name.rpartition(".")[2]

    assert len(name) == length
    assert name.endswith(end)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (NamespaceRule(), (None, "users")),
        (NamespaceRule(prefix="crm_"), (None, "crm_users")),
        (NamespaceRule(prefix=" "), (None, "users")),
        (NamespaceRule("source"), ("public", "users")),
        (NamespaceRule("source", "ignored", "crm_"), ("public", "crm_users")),
        (NamespaceRule("custom_format", "raw"), ("raw", "users")),
        (NamespaceRule("custom_format", "raw_${SOURCE_NAMESPACE}"), ("raw_public", "users")),
        (NamespaceRule("custom_format", ""), (None, "users")),
        (NamespaceRule("custom_format", " "), (None, "users")),
    ],
)
def test_the_rule_of_the_connection_says_where_a_stream_goes(
    rule: NamespaceRule, expected: tuple[str | None, str]
) -> None:
    assert rule.apply("users", "public") == expected


@pytest.mark.parametrize(
    ("rule", "schema"),
    [
        (NamespaceRule("source"), None),
        (NamespaceRule("custom_format", "${SOURCE_NAMESPACE}"), None),
        (NamespaceRule("custom_format", "raw_${SOURCE_NAMESPACE}"), "raw_"),
    ],
)
def test_a_stream_without_a_namespace_goes_to_the_default(
    rule: NamespaceRule, schema: str | None
) -> None:
    assert rule.apply("users", None) == (schema, "users")


def test_a_stream_without_a_standard_name_is_named_after_its_connection() -> None:
    assert fallback_dataset("18dc", "users") == Dataset("x-airbyte-sme://18dc", "users")
    assert fallback_dataset("18dc", "users", "public") == Dataset(
        "x-airbyte-sme://18dc", "public/users"
    )


@pytest.mark.parametrize(
    ("connector", "definition_id", "expected"),
    [
        ("postgres", "25c5221d-dce2-4163-ade9-739ef790f503", "postgres"),
        ("", "042ee9b5-eb98-4e99-a4e5-3f0d573bee66", "motherduck"),
        ("", "00000000-0000-4000-8000-000000000000", ""),
    ],
)
def test_a_connector_is_known_by_its_name_or_its_definition(
    connector: str, definition_id: str, expected: str
) -> None:
    destination = Destination("id", "Warehouse", "workspace", definition_id, connector)

    assert connector_of(destination) == expected


SERVER = {"host": "db", "port": 1, "database": "app"}


@pytest.mark.parametrize(
    ("connector", "configuration", "expected"),
    [
        ("postgres", SERVER, Dataset("postgres://db:1", "app.Shop.Users")),
        (
            "postgres",
            {"host": "db", "database": "app"},
            Dataset("postgres://db:5432", "app.Shop.Users"),
        ),
        ("redshift", SERVER, Dataset("redshift://db:1", "app.Shop.Users")),
        ("mssql", SERVER, Dataset("mssql://db:1", "app.Shop.Users")),
        ("mysql", SERVER, Dataset("mysql://db:1", "Shop.Users")),
        ("clickhouse", SERVER, Dataset("clickhouse://db:1", "Shop.Users")),
        (
            "oracle",
            {"host": "db", "connection_data": {"service_name": "XE"}},
            Dataset("oracle://db:1521", "XE.Shop.Users"),
        ),
        (
            "snowflake",
            {"host": "o-a.snowflakecomputing.com", "database": "raw"},
            Dataset("snowflake://o-a", "RAW.Shop.Users"),
        ),
        ("bigquery", {"project_id": "p"}, Dataset("bigquery", "p.Shop.Users")),
        ("kafka", {"bootstrap_servers": "k1:9092,k2:9092"}, Dataset("kafka://k1:9092", "Users")),
        ("faker", SERVER, None),
        ("", SERVER, None),
        ("postgres", {"database": "app"}, None),
        ("oracle", {"host": "db"}, None),
    ],
)
def test_a_stream_is_read_from_a_table_of_its_source(
    connector: str, configuration: dict[str, Any], expected: Dataset | None
) -> None:
    assert source_dataset(connector, configuration, "Users", "Shop") == expected


def test_a_source_without_schemas_of_a_stream_has_no_name() -> None:
    assert source_dataset("postgres", SERVER, "users") is None
    assert source_dataset("mysql", SERVER, "users") == Dataset("mysql://db:1", "app.users")


@pytest.mark.parametrize("namespace", ["snowflake://o-a", "redshift://c:5439"])
def test_a_database_folds_what_dbt_does_not_quote(namespace: str) -> None:
    upper = namespace.startswith("snowflake")

    dataset = dbt_dataset(namespace, "Raw", "Shop", "Users", relation_name='Raw.Shop."Users"')

    assert dataset.name == ("RAW.SHOP.Users" if upper else "raw.shop.users")


@pytest.mark.parametrize(
    ("namespace", "relation_name", "name"),
    [
        ("snowflake://org-account", 'RAW.crm."crm"', "RAW.CRM.crm"),
        ("snowflake://org-account", 'RAW."crm".crm', "RAW.crm.CRM"),
        ("snowflake://org-account", '"RAW"."crm"."crm"', "RAW.crm.crm"),
        ("snowflake://org-account", "", "RAW.CRM.CRM"),
        ("postgres://wh:5432", "RAW.crm.crm", "raw.crm.crm"),
        ("postgres://wh:5432", '"RAW".crm.crm', "RAW.crm.crm"),
        ("postgres://wh:5432", "", "RAW.crm.crm"),
        ("mssql://sql:1433", "RAW.crm.crm", "RAW.crm.crm"),
    ],
)
def test_each_part_is_folded_unless_it_is_quoted_itself(
    namespace: str, relation_name: str, name: str
) -> None:
    dataset = dbt_dataset(namespace, "RAW", "crm", "crm", relation_name=relation_name)

    assert dataset.name == name


def test_quotes_may_contain_dots() -> None:
    relation_name = '"RAW"."my.schema".users'

    dataset = dbt_dataset(
        "snowflake://org-account", "RAW", "my.schema", "users", relation_name=relation_name
    )

    assert dataset.name == "RAW.my.schema.USERS"
