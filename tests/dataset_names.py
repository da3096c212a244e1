"""Tables in destinations of Airbyte, with the profile by which dbt reaches them."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.datasets import Dataset


class Table(NamedTuple):
    """
    A table that Airbyte writes and dbt reads.

    :param connector: Type of the destination, with its *configuration*.
    :param schema: Namespace and name (*table*) under which the destination gets the stream.
    :param dataset: Its name.
    :param profile: Of dbt, with its ``type``; empty if OpenLineage has no adapter for it.
    :param source: Database, schema and identifier, as dbt's manifest has them.
    :param relation: How dbt writes it in SQL.
    """

    connector: str
    configuration: dict[str, Any]
    schema: str | None
    table: str
    dataset: Dataset
    profile: dict[str, Any]
    source: tuple[str, str, str]
    relation: str = ""


def _table(
    connector: str,
    configuration: dict[str, Any],
    stream: tuple[str | None, str],
    namespace: str,
    name: str,
    profile: dict[str, Any],
    source: tuple[str, str, str],
    relation: str = "",
) -> Table:
    return Table(
        connector, configuration, *stream, Dataset(namespace, name), profile, source, relation
    )


_POSTGRES = {"host": "wh.example.com", "port": 5433, "database": "analytics", "schema": "raw"}
_SNOWFLAKE = {"database": "raw_db", "schema": "airbyte", "role": "R", "warehouse": "W"}

TABLES: dict[str, Table] = {
    "postgres": _table(
        "postgres",
        _POSTGRES,
        (None, "users"),
        "postgres://wh.example.com:5433",
        "analytics.raw.users",
        {"type": "postgres", "host": "wh.example.com", "port": 5433},
        ("analytics", "raw", "users"),
        '"analytics"."raw"."users"',
    ),
    "postgres, default port and schema": _table(
        "postgres",
        {"host": "wh", "database": "analytics"},
        (None, "users"),
        "postgres://wh:5432",
        "analytics.public.users",
        {"type": "postgres", "host": "wh", "port": 5432},
        ("analytics", "public", "users"),
    ),
    "postgres, case and special characters": _table(
        "postgres",
        _POSTGRES,
        ("My Shop", "Ordérs-2026"),
        "postgres://wh.example.com:5433",
        "analytics.My_Shop.Orders_2026",
        {"type": "postgres", "host": "wh.example.com", "port": 5433},
        ("analytics", "My_Shop", "Orders_2026"),
        '"analytics"."My_Shop"."Orders_2026"',
    ),
    "postgres, digit first": _table(
        "postgres",
        _POSTGRES,
        (None, "2026_orders"),
        "postgres://wh.example.com:5433",
        "analytics.raw._2026_orders",
        {"type": "postgres", "host": "wh.example.com", "port": 5433},
        ("analytics", "raw", "_2026_orders"),
    ),
    "redshift": _table(
        "redshift",
        {"host": "c.abc.eu-west-1.redshift.amazonaws.com", "database": "Dev", "schema": "Raw"},
        (None, "Users"),
        "redshift://c.abc.eu-west-1.redshift.amazonaws.com:5439",
        "dev.raw.users",
        {"type": "redshift", "host": "c.abc.eu-west-1.redshift.amazonaws.com", "port": 5439},
        ("Dev", "Raw", "Users"),
        '"Dev"."Raw"."Users"',
    ),
    "snowflake, organization and account": _table(
        "snowflake",
        {**_SNOWFLAKE, "host": "myorg-prod.snowflakecomputing.com"},
        (None, "users"),
        "snowflake://myorg-prod",
        "RAW_DB.AIRBYTE.USERS",
        {"type": "snowflake", "account": "myorg-prod"},
        ("raw_db", "airbyte", "users"),
        "raw_db.airbyte.users",
    ),
    "snowflake, account with region and cloud": _table(
        "snowflake",
        {**_SNOWFLAKE, "host": "xy12345.us-east-2.aws.snowflakecomputing.com"},
        ("shop", "Order Items"),
        "snowflake://xy12345.us-east-2.aws",
        "RAW_DB.SHOP.ORDER ITEMS",
        {"type": "snowflake", "account": "xy12345.us-east-2.aws"},
        ("RAW_DB", "shop", "ORDER ITEMS"),
        'RAW_DB.shop."ORDER ITEMS"',
    ),
    "snowflake, account with region": _table(
        "snowflake",
        {**_SNOWFLAKE, "host": "https://xy12345.us-east-1.snowflakecomputing.com/"},
        (None, "users"),
        "snowflake://xy12345.us-east-1.aws",
        "RAW_DB.AIRBYTE.USERS",
        {"type": "snowflake", "account": "xy12345.us-east-1"},
        ("RAW_DB", "AIRBYTE", "USERS"),
        '"RAW_DB"."AIRBYTE"."USERS"',
    ),
    "snowflake, account alone": _table(
        "snowflake",
        {**_SNOWFLAKE, "host": "xy12345.snowflakecomputing.com"},
        (None, "users"),
        "snowflake://xy12345.us-west-1.aws",
        "RAW_DB.AIRBYTE.USERS",
        {"type": "snowflake", "account": "xy12345"},
        ("raw_db", "airbyte", "users"),
    ),
    "snowflake, private link": _table(
        "snowflake",
        {**_SNOWFLAKE, "host": "xy12345.us-east-1.privatelink.snowflakecomputing.com"},
        (None, "users"),
        "snowflake://xy12345.us-east-1.privatelink",
        "RAW_DB.AIRBYTE.USERS",
        {"type": "snowflake", "account": "xy12345.us-east-1.privatelink"},
        ("raw_db", "airbyte", "users"),
    ),
    "bigquery": _table(
        "bigquery",
        {"project_id": "my-project", "dataset_id": "raw"},
        (None, "Users"),
        "bigquery",
        "my-project.raw.Users",
        {"type": "bigquery", "project": "my-project"},
        ("my-project", "raw", "Users"),
        "`my-project`.`raw`.`Users`",
    ),
    "bigquery, dataset with its project": _table(
        "bigquery",
        {"project_id": "my-project", "dataset_id": "my-project:raw"},
        (None, "2026-users"),
        "bigquery",
        "my-project.raw._2026_users",
        {"type": "bigquery", "project": "my-project"},
        ("my-project", "raw", "_2026_users"),
    ),
    "bigquery, hidden dataset": _table(
        "bigquery",
        {"project_id": "my-project", "dataset_id": "raw"},
        ("_shop", "users"),
        "bigquery",
        "my-project.n_shop.users",
        {"type": "bigquery", "project": "my-project"},
        ("my-project", "n_shop", "users"),
    ),
    "databricks": _table(
        "databricks",
        {"hostname": "dbc-a1.cloud.databricks.com", "database": "Main", "schema": "Raw"},
        (None, "Order-Items"),
        "databricks://dbc-a1.cloud.databricks.com",
        "main.raw.order_items",
        {"type": "databricks", "host": "dbc-a1.cloud.databricks.com"},
        ("Main", "Raw", "order_items"),
        "`Main`.`Raw`.`order_items`",
    ),
    "databricks, default schema": _table(
        "databricks",
        {"hostname": "dbc-a1.cloud.databricks.com", "database": "main"},
        (None, "users"),
        "databricks://dbc-a1.cloud.databricks.com",
        "main.default.users",
        {"type": "databricks", "host": "dbc-a1.cloud.databricks.com"},
        ("main", "default", "users"),
    ),
    "clickhouse": _table(
        "clickhouse",
        {"host": "ch", "port": "8123", "protocol": "http", "database": "raw"},
        (None, "Users.All"),
        "clickhouse://ch:8123",
        "raw.Users_All",
        {"type": "clickhouse", "host": "ch", "port": 8123},
        ("", "raw", "Users_All"),
        "`raw`.`Users_All`",
    ),
    "clickhouse, default port and database": _table(
        "clickhouse",
        {"host": "ch"},
        (None, "1st"),
        "clickhouse://ch:8443",
        "default._1st",
        {"type": "clickhouse", "host": "ch", "port": 8443},
        ("", "default", "_1st"),
    ),
    "mssql": _table(
        "mssql",
        {"host": "sql", "port": 1433, "database": "DWH", "schema": "dbo"},
        (None, "Order Items"),
        "mssql://sql:1433",
        "DWH.dbo.Order Items",
        {"type": "sqlserver", "server": "sql", "port": 1433},
        ("DWH", "dbo", "Order Items"),
        '"DWH"."dbo"."Order Items"',
    ),
    "mysql": _table(
        "mysql",
        {"host": "my", "port": 3306, "database": "Raw"},
        (None, "Users"),
        "mysql://my:3306",
        "raw.users",
        {},
        ("", "raw", "users"),
    ),
    "duckdb": _table(
        "duckdb",
        {"destination_path": "/local/data/demo.main.duckdb", "schema": "airbyte"},
        ("ignored", "users"),
        "duckdb:///local/data/demo.main.duckdb",
        "demo.airbyte.users",
        {"type": "duckdb", "path": "/local/data/demo.main.duckdb"},
        ("demo", "airbyte", "users"),
        '"demo"."airbyte"."users"',
    ),
    "duckdb, relative path and raw table": _table(
        "duckdb",
        {"destination_path": "data/demo.duckdb"},
        (None, "users"),
        "duckdb://data/demo.duckdb",
        "demo.main.users",
        {"type": "duckdb", "path": "data/demo.duckdb"},
        ("demo", "main", "_airbyte_raw_users"),
    ),
    "duckdb, MotherDuck": _table(
        "duckdb",
        {"destination_path": "md:lake?motherduck_token=t0ken", "motherduck_api_key": "**********"},
        (None, "users"),
        "duckdb://md:lake",
        "lake.main.users",
        {"type": "duckdb", "path": "md:lake"},
        ("lake", "main", "users"),
    ),
    "motherduck": _table(
        "motherduck",
        {"destination_path": "motherduck:", "schema": "raw"},
        (None, "Order Items"),
        "duckdb://md:",
        "my_db.raw.order_items",
        {"type": "duckdb", "path": "md:"},
        ("my_db", "raw", "order_items"),
    ),
}
