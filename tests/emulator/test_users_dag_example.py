"""The DAG test that docs/how-to/test-your-dags.md shows, as a user writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.emulator.users_dags.nightly import dag

# Airflow's migrations and dag.test() emit warnings about dependencies, different in each version.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    """Create what a user has from ``airflow db migrate``."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(autouse=True)
def dags_folder(monkeypatch) -> None:
    """Set what a user has in ``[core] dags_folder``: Airflow 3 looks up the DAG there."""
    bundle = {
        "name": "users",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(Path(__file__).with_name("users_dags"))},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))


@pytest.mark.parametrize(("rows", "state"), [(42, "success"), (0, "failed")])
def test_the_dag_wants_rows(airbyte_emulator, monkeypatch, rows, state):
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", airbyte_emulator.connection_uri)
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", airbyte_emulator.connection_id)
    airbyte_emulator.script_job(rows=rows)

    assert dag.test().state == state
    assert [job.status for job in airbyte_emulator.jobs.values()] == ["succeeded"]
