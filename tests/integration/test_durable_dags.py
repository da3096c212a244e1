"""One sync for all tries of a task, in DAGs that a real Airflow runs in ``dag.test()``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.dag_runs import load_dag, states_of

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")

# The first try gives up its wait, and leaves the sync running.
DAG = """
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

with DAG("durable", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    AirbyteTriggerSyncOperator.partial(
        task_id="sync",
        deferrable={deferrable},
        poll_interval=0.1,
        timeout="{{{{ 0.2 if ti.try_number == 1 else 60 }}}}",
        cancel_on_timeout=False,
        retries=1,
        retry_delay=timedelta(0),
    ).expand(connection_id={connection_ids})
"""


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=2.0)
    with emulator.serve():
        yield emulator


def test_mapped_tasks_are_durable(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deferrable: bool
) -> None:
    connection_ids = [emulator.connection_id, emulator.add_connection("Other")]
    text = DAG.format(deferrable=deferrable, connection_ids=connection_ids)
    (tmp_path / "durable.py").write_text(text)
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", emulator.connection_uri)

    states = states_of(load_dag(tmp_path, "durable", monkeypatch))

    assert states == {"sync[0]": "success", "sync[1]": "success"}
    assert sorted(job.connection_id for job in emulator.jobs.values()) == sorted(connection_ids)
    assert _kept_records() == []


def _kept_records() -> list[object]:
    """Return what Airflow still keeps for tasks."""
    try:
        from airflow.models.task_state_store import TaskStateStoreModel
    except ImportError:  # Airflow before 3.3
        return []
    from airflow.utils.session import create_session

    with create_session() as session:
        return [row.value for row in session.query(TaskStateStoreModel)]
