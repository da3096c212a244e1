"""A deferred sync of real data: the assets of its tables, the run of dbt after it, and lineage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cosmos.dataset import construct_dataset_uri

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from scripts.airflow_harness import LocalAirflow
from scripts.connector_to_duckdb import SCHEMA, ConnectorToDuckDB, open_database
from tests.data_aware.system.observed import (
    MAX_WAIT,
    events_of,
    queued_events,
    run_ids,
    upstream_events,
    wait_for_runs,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

TABLES = ("users", "products", "purchases")


@dataclass(frozen=True)
class Delivered:
    """
    What a deferred sync and the run of dbt after it have left behind.

    :param result: The return value of the sync's task.
    :param log: The lines of its log.
    :param rows: What DuckDB has, by table of Airbyte and by model of dbt.
    :param lineage: The last event of OpenLineage of each task, by ``dag_id.task_id``.
    """

    result: Mapping[str, Any]
    log: list[str]
    rows: Mapping[str, int]
    lineage: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def delivered(airflow: LocalAirflow, data_plane: ConnectorToDuckDB, lineage: Path) -> Delivered:
    run_id = airflow.api.trigger("sync_emits_assets")
    state = airflow.api.wait_for_run("sync_emits_assets", run_id, timeout=MAX_WAIT)
    sync = airflow.api.task_instance("sync_emits_assets", run_id, "sync")
    assert state == "success", "\n".join(airflow.api.log(sync))
    wait_for_runs(airflow.api, "dbt_on_fresh_data", 1)
    return Delivered(
        result=airflow.api.xcom("sync_emits_assets", run_id, "sync"),
        log=airflow.api.log(sync),
        rows=rows_of_tables(data_plane.database),
        lineage=poll(
            lambda: completed_jobs(lineage, "sync_emits_assets.sync", *DBT_TASKS),
            timeout=MAX_WAIT,
            what="the lineage of all tasks",
        ),
    )


DBT_TASKS = ("dbt_on_fresh_data.sales_by_make_run", "dbt_on_fresh_data.customers_run")


def rows_of_tables(file: Path) -> dict[str, int]:
    with open_database(file, read_only=True) as database:
        names = database.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()
        return {
            table: database.execute(f'select count(*) from {schema}."{table}"').fetchall()[0][0]
            for schema, table in names
        }


def completed_jobs(lineage: Path, *names: str) -> dict[str, Any]:
    """Return the COMPLETE event of each of the jobs *names*; nothing if one is missing."""
    events = [json.loads(line) for line in lineage.read_text().splitlines()]
    found = {
        event["job"]["name"]: event
        for event in events
        if event["eventType"] == "COMPLETE" and event["job"]["name"] in names
    }
    return found if len(found) == len(names) else {}


def dataset(database: Path, table: str) -> tuple[str, str]:
    """Return namespace and name of a table of Airbyte, as OpenLineage names it."""
    return f"duckdb://{database}", f"{database.stem}.{SCHEMA}.{table}"


def asset_name(database: Path, table: str) -> str:
    return construct_dataset_uri(*dataset(database, table), warn_uri_migration=False)


def test_each_table_has_one_event_with_the_rows_that_are_in_it(
    airflow: LocalAirflow, emulator: Emulator, data_plane: ConnectorToDuckDB, delivered: Delivered
) -> None:
    assert any("DEFERRED" in line for line in delivered.log)
    for table in TABLES:
        [event] = events_of(airflow.api, asset_name(data_plane.database, table))

        assert event.extra["rows"] == delivered.rows[table] > 0
        assert event.extra["job_id"] == delivered.result["job_id"]
        assert event.extra["job_url"] == delivered.result["job_url"]
        assert event.extra["connection_id"] == emulator.connection_id


def test_the_three_events_start_one_run_of_dbt(
    airflow: LocalAirflow, data_plane: ConnectorToDuckDB, delivered: Delivered
) -> None:
    [run_id] = run_ids(airflow.api, "dbt_on_fresh_data")

    assert sorted(upstream_events(airflow.api, "dbt_on_fresh_data", run_id)) == sorted(
        asset_name(data_plane.database, table) for table in TABLES
    )
    # None is left that another run could start for.
    assert queued_events(airflow.api, "dbt_on_fresh_data") == []


def test_the_models_of_dbt_have_the_rows_of_the_sync(delivered: Delivered) -> None:
    assert delivered.rows["users"] == delivered.rows["customers"] == 500
    assert delivered.rows["sales_by_make"] > 0


def test_lineage_has_the_tables_of_the_sync_with_their_rows(
    data_plane: ConnectorToDuckDB, delivered: Delivered
) -> None:
    outputs = delivered.lineage["sync_emits_assets.sync"]["outputs"]

    assert {
        (each["namespace"], each["name"]): each["outputFacets"]["outputStatistics"]["rowCount"]
        for each in outputs
    } == {dataset(data_plane.database, table): delivered.rows[table] for table in TABLES}


def test_lineage_joins_the_tables_of_the_sync_to_the_sources_of_dbt(delivered: Delivered) -> None:
    outputs = delivered.lineage["sync_emits_assets.sync"]["outputs"]
    inputs = [each for task in DBT_TASKS for each in delivered.lineage[task]["inputs"]]

    assert names(outputs) == names(inputs)
    assert len(names(inputs)) == len(TABLES)


def names(datasets: list[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(each["namespace"], each["name"]) for each in datasets}


def test_lineage_tells_which_job_it_was(delivered: Delivered) -> None:
    facets = delivered.lineage["sync_emits_assets.sync"]["run"]["facets"]

    assert facets["externalQuery"]["externalQueryId"] == str(delivered.result["job_id"])
