"""One real Airflow and one emulator for all system tests; both end with the session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_harness import LocalAirflow
from scripts.connector_to_duckdb import ConnectorToDuckDB
from scripts.demo import DAGS, FAKER, RESULT_TASKS, SOURCE, Airbyte, connect, dbt_environment

TEST_DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory) -> ConnectorToDuckDB:
    database = tmp_path_factory.mktemp("landing") / "landing.duckdb"
    return ConnectorToDuckDB(FAKER / "bin" / "source-faker", database)


@pytest.fixture(scope="session")
def emulator(landing: ConnectorToDuckDB) -> Iterator[Emulator]:
    """An Airbyte that syncs real data, unless a test has scripted the job."""
    emulator = Emulator(time="real", on_sync=landing, seed={"sources": [SOURCE]})
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="session")
def airflow(
    emulator: Emulator, landing: ConnectorToDuckDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    bundles = [
        {
            "name": folder.name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder)},
        }
        for folder in (DAGS, TEST_DAGS)
    ]
    environment = {
        **dbt_environment(home, landing.database, has_landing=True),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        # By what a dead triggerer and a killed task are noticed; the defaults are minutes.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    }
    with LocalAirflow(
        home=home,
        dags_folder=DAGS,
        dag_ids=[*RESULT_TASKS, "waits_in_triggerer", "waits_on_worker"],
        environment=environment,
    ) as airflow:
        connect(
            airflow,
            Airbyte(
                emulator.url, emulator.client_id, emulator.client_secret, emulator.connection_id
            ),
        )
        yield airflow
