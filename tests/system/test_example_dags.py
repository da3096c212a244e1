"""The example DAGs on a real Airflow, with real data and dbt."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_harness import LocalAirflow
from scripts.connector_to_duckdb import ConnectorToDuckDB
from scripts.demo import run_dag
from tests.system.conftest import RUNNING_DAGS

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_only_the_dags_that_were_named_can_run(airflow: LocalAirflow) -> None:
    dags = airflow.api.request("GET", "/dags", query={"paused": False})["dags"]
    assert {dag["dag_id"] for dag in dags} == set(RUNNING_DAGS)


@pytest.mark.parametrize("dag_id", ["sync_then_dbt", "sensor_gates_dbt"])
def test_an_example_dag_runs_dbt_on_all_synced_rows(
    dag_id: str, airflow: LocalAirflow, emulator: Emulator, data_plane: ConnectorToDuckDB
) -> None:
    run = run_dag(airflow, dag_id, data_plane)
    assert {task.state for task in run.tasks} == {"success"}
    assert run.records == run.result["rows_synced"] == run.rows == 1100
    assert emulator.jobs[run.result["job_id"]].status == run.result["status"] == "succeeded"
