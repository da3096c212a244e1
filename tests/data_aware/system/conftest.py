"""One Airflow with Cosmos and OpenLineage, and one emulator, for all tests of this folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts import postgres
from scripts.airflow_harness import LocalAirflow, dag_bundles
from scripts.connector_to_duckdb import SCHEMA, ConnectorToDuckDB
from scripts.demo import DAGS, FAKER, SOURCE, Airbyte, connect
from tests.leaks import search_airflow, told

TEST_DAGS = Path(__file__).parent / "dags"
WITH_COSMOS = DAGS / "with_cosmos"
EXAMPLES = ("sync_emits_assets.py", "start_when_airbyte_syncs.py", "start_on_webhook.py")

TEST_DAG_IDS = ("watches_latest", "watches_all", "slow_sync")

# The connection that the examples name, and those of the DAGs in this folder.
EXAMPLE_CONNECTION = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"
LATEST_CONNECTION = "5c9a1f0e-8d2b-4f6a-9b7e-1a2b3c4d5e01"
ALL_CONNECTION = "5c9a1f0e-8d2b-4f6a-9b7e-1a2b3c4d5e02"

WEBHOOK_SECRET = "the-webhook-s3cret-of-the-system-tests"


@pytest.fixture(scope="session")
def data_plane(tmp_path_factory: pytest.TempPathFactory) -> ConnectorToDuckDB:
    database = tmp_path_factory.mktemp("data_plane") / "warehouse.duckdb"
    return ConnectorToDuckDB(FAKER / "bin" / "source-faker", database)


@pytest.fixture(scope="session")
def emulator(data_plane: ConnectorToDuckDB) -> Iterator[Emulator]:
    """An emulator that syncs real data, except for jobs that a test has scripted."""
    destination = {
        "name": "Warehouse",
        "connector": "duckdb",
        "configuration": {"destination_path": str(data_plane.database), "schema": SCHEMA},
    }
    seed = {"sources": [SOURCE], "destinations": [destination]}
    emulator = Emulator(time="real", on_sync=data_plane, seed=seed)
    for connection_id in (EXAMPLE_CONNECTION, LATEST_CONNECTION, ALL_CONNECTION):
        emulator.add_connection(id=connection_id)
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="session")
def database_settings() -> Iterator[dict[str, str]]:
    with postgres.airflow_settings() as settings:
        yield settings


@pytest.fixture(scope="session")
def lineage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of OpenLineage's events, one a line."""
    return tmp_path_factory.mktemp("lineage") / "events.jsonl"


@pytest.fixture(scope="session")
def slow_syncs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the alarms of slow syncs, one a line."""
    return tmp_path_factory.mktemp("alarms") / "slow_syncs.txt"


@pytest.fixture(scope="session")
def airflow(
    emulator: Emulator,
    data_plane: ConnectorToDuckDB,
    database_settings: dict[str, str],
    lineage: Path,
    slow_syncs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    examples = home / "examples"
    shutil.copytree(WITH_COSMOS, examples)
    for name in EXAMPLES:
        shutil.copy(DAGS / name, examples)
    transport = {"type": "file", "log_file_path": str(lineage), "append": True}
    environment = {
        **database_settings,
        "DUCKDB_PATH": str(data_plane.database),
        # Airbyte's destination has the file in a folder of its own: /local.
        "DATASET_NAMESPACE": f"duckdb://{data_plane.database}",
        "DBT_MANIFEST": str(parse_dbt_project(examples / "dbt", data_plane.database)),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
        "LATEST_CONNECTION": LATEST_CONNECTION,
        "ALL_CONNECTION": ALL_CONNECTION,
        "SLOW_SYNCS": str(slow_syncs),
        "AIRFLOW__AIRBYTE_SME__WEBHOOK": "True",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": dag_bundles(examples, TEST_DAGS),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    }
    dag_ids = ["dbt_on_fresh_data", *(Path(name).stem for name in EXAMPLES), *TEST_DAG_IDS]
    with LocalAirflow(
        home=home, dags_folder=examples, dag_ids=dag_ids, environment=environment
    ) as airflow:
        connect(airflow, Airbyte.emulated(emulator), webhook_secret=WEBHOOK_SECRET)
        yield airflow
    # All is written now, and the database still runs.
    leaks = search_airflow(
        [home / "logs", home / "component-logs"],
        airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"],
        emulator.issued_secrets,
    )
    assert not leaks, told(leaks)


def parse_dbt_project(project: Path, database: Path) -> Path:
    """Let dbt write the manifest of a project, and return its path."""
    subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "--quiet", "parse"],
        cwd=project,
        env={**os.environ, "DUCKDB_PATH": str(database), "DBT_SEND_ANONYMOUS_USAGE_STATS": "False"},
        check=True,
    )
    return project / "target" / "manifest.json"
