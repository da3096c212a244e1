"""``dag.test()``, with which people try a DAG: it runs the trigger of a deferred task itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.models.connection import Connection
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.utils.session import create_session

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.web import PAGE_ROUTE
from tests.integration.dag_runs import load_dag, states_of

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")

DAG = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

with DAG("tried", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    AirbyteTriggerSyncOperator(
        task_id="sync",
        airbyte_conn_id="stored",
        connection_id="{connection_id}",
        deferrable=True,
        poll_interval=0.1,
        timeout=20,
    )
"""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=0.5)
    with emulator.serve():
        yield emulator


@pytest.fixture
def stored_connection(emulator: Emulator) -> Iterator[None]:
    """The Airflow connection is in Airflow's database, and nowhere else."""
    from airflow.utils.db import initdb

    initdb()
    with create_session() as session:
        session.add(Connection(conn_id="stored", uri=emulator.connection_uri))
    yield
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id == "stored").delete()


@pytest.mark.usefixtures("stored_connection")
def test_a_deferred_task_finds_a_connection_in_airflows_database(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    (tmp_path / "tried.py").write_text(DAG.format(connection_id=emulator.connection_id))

    states = states_of(load_dag(tmp_path, "tried", monkeypatch))

    assert states == {"sync[-1]": "success"}
    assert [job.status for job in emulator.jobs.values()] == ["succeeded"]
    assert "did not find the connection" not in caplog.text


@pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="needs Airflow 3.1")
@pytest.mark.usefixtures("stored_connection")
def test_a_task_has_a_link_to_its_connection_on_the_page_in_airflow(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/a/")
    (tmp_path / "tried.py").write_text(DAG.format(connection_id=emulator.connection_id))
    dag = load_dag(tmp_path, "tried", monkeypatch)

    states_of(dag)

    (link,) = [link for link in dag.get_task("sync").operator_extra_links if "syncs" in link.name]
    assert stored_xcom(link.xcom_key) == (
        f"https://airflow.example.com/a/plugin/{PAGE_ROUTE}"
        f"?conn_id=stored&q={emulator.connection_id}"
    )


def stored_xcom(key: str) -> Any:
    """Return the newest XCom with a key."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    query = select(XComModel).where(XComModel.key == key).order_by(XComModel.timestamp.desc())
    with create_session() as session:
        return XComModel.deserialize_value(session.scalars(query).first())
