"""One real Airflow and one emulator, shared by all system tests of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts import postgres
from scripts.airflow_harness import LocalAirflow, dag_bundles
from scripts.connector_to_duckdb import ConnectorToDuckDB
from scripts.demo import DAGS, FAKER, RESULT_TASKS, SOURCE, Airbyte, connect, dbt_environment
from tests.leaks import search_airflow, told

# In a header whose name does not look secret, so that Airflow does not mask it.
GATEWAY_KEY = "gateway-k3y-of-the-system-tests"

TEST_DAGS = Path(__file__).parent / "dags"
RUNNING_DAGS = (
    *RESULT_TASKS,
    *("short_sync", "waits_in_triggerer", "waits_on_worker"),
    *("gate_of_a_worker", "gate_of_the_triggerer"),
)


@pytest.fixture(scope="session")
def data_plane(tmp_path_factory: pytest.TempPathFactory) -> ConnectorToDuckDB:
    database = tmp_path_factory.mktemp("data_plane") / "data_plane.duckdb"
    return ConnectorToDuckDB(FAKER / "bin" / "source-faker", database)


@pytest.fixture(scope="session")
def emulator(data_plane: ConnectorToDuckDB) -> Iterator[Emulator]:
    """An emulator that syncs real data, except for jobs that a test has scripted."""
    emulator = Emulator(time="real", on_sync=data_plane, seed={"sources": [SOURCE]})
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="session")
def database_settings() -> Iterator[dict[str, str]]:
    with postgres.airflow_settings() as settings:
        yield settings


@pytest.fixture(scope="session")
def airflow(
    emulator: Emulator,
    data_plane: ConnectorToDuckDB,
    database_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **dbt_environment(home, data_plane.database, has_landing=True),
        **database_settings,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": dag_bundles(DAGS, TEST_DAGS),
    }
    with LocalAirflow(
        home=home,
        dags_folder=DAGS,
        dag_ids=RUNNING_DAGS,
        environment=environment,
    ) as airflow:
        connect(airflow, Airbyte.emulated(emulator), headers={"X-Gateway": GATEWAY_KEY})
        yield airflow
    # All is written now, and the database still runs.
    leaks = search_airflow(
        [home / "logs", home / "component-logs"],
        airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"],
        {**emulator.issued_secrets, "the key of the gateway": GATEWAY_KEY},
    )
    assert not leaks, told(leaks)
