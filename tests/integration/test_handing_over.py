"""Job ids and limits as DAGs pass them on, rendered by a real Airflow in ``dag.test()``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.dag_runs import load_dag, states_of

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")

# As in the documentation of the official provider and in most public DAGs.
OFFICIAL_DAG = """
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator
from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor

with DAG("official", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    sync = AirbyteTriggerSyncOperator(
        task_id="sync",
        airbyte_conn_id="airbyte_default",
        connection_id="{{ var.value.airbyte_connection_id }}",
        timeout=3600,
    )
    again = AirbyteJobSensor(
        task_id="again",
        airbyte_conn_id="airbyte_default",
        airbyte_job_id="{{ ti.xcom_pull(task_ids='sync') }}",
    )
    start = AirbyteTriggerSyncOperator(
        task_id="start",
        airbyte_conn_id="airbyte_default",
        connection_id="{{ var.value.airbyte_connection_id }}",
        asynchronous=True,
    )
    wait_for_output = AirbyteJobSensor(
        task_id="wait_for_output",
        airbyte_conn_id="airbyte_default",
        airbyte_job_id=start.output,
        poke_interval=5,
        timeout=timedelta(hours=1),
    )
    wait_for_template = AirbyteJobSensor(
        task_id="wait_for_template",
        airbyte_conn_id="airbyte_default",
        airbyte_job_id="{{ task_instance.xcom_pull(task_ids='start', key='return_value') }}",
    )
    sync >> again >> start >> [wait_for_output, wait_for_template]
"""


MAPPED_DAG = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteListConnectionsOperator,
    AirbyteTriggerSyncOperator,
)

with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1), params={"what": "to"}) as dag:
    connections = AirbyteListConnectionsOperator(
        task_id="list", workspace="Analytics", name_pattern="[!n]*{{ params.what }} *"
    )
    AirbyteTriggerSyncOperator.partial(task_id="sync").expand(connection_id=connections.output)
"""


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Every job has ended when it is first read, so no task waits for its poll interval."""
    emulator = Emulator(time="instant", rows=120)
    with emulator.serve():
        yield emulator


@pytest.mark.parametrize("dag_id", ["hand_over", "hand_over_native"])
def test_every_usual_way_of_handing_over_a_job_id_finds_the_job(emulator, monkeypatch, dag_id):
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", emulator.connection_id)
    dag = load_dag(Path(__file__).with_name("dags"), dag_id, monkeypatch)

    states = states_of(dag)

    assert len(states) == len(dag.tasks) + 2  # "limits" has three instances
    assert {name: state for name, state in states.items() if state != "success"} == {}


def test_a_dag_of_the_official_provider_runs_with_another_prefix(emulator, monkeypatch, tmp_path):
    """After replacing the prefix and one parameter, as a user who moves over does by hand."""
    replaced = OFFICIAL_DAG.replace("airflow.providers.airbyte", "airflow_provider_airbyte_sme")
    replaced = replaced.replace("asynchronous=True", "wait_for_completion=False")
    (tmp_path / "official.py").write_text(replaced)
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_DEFAULT", emulator.connection_uri)
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", emulator.connection_id)

    states = states_of(load_dag(tmp_path, "official", monkeypatch))

    assert len(states) == 5
    assert set(states.values()) == {"success"}
    assert len(emulator.jobs) == 2


def test_a_sync_is_mapped_over_the_listed_connections(emulator, monkeypatch, tmp_path):
    (tmp_path / "mapped.py").write_text(MAPPED_DAG)
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", emulator.connection_uri)
    listed = {emulator.connection_id, emulator.add_connection("CRM to Warehouse")}
    emulator.add_connection("not to sync")

    states = states_of(load_dag(tmp_path, "mapped", monkeypatch))

    assert states == {"list[-1]": "success", "sync[0]": "success", "sync[1]": "success"}
    assert {job.connection_id for job in emulator.jobs.values()} == listed
