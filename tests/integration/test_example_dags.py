"""Every example DAG, run with ``dag.test()`` against an emulator."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from scripts.airflow_harness import dag_bundles

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow before 3.2
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]  # the same class, before its move

EXAMPLES = Path(__file__).parents[2] / "dags_examples"

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Every job has ended when it is first read, so no example waits for its poll interval."""
    emulator = Emulator(time="instant", rows=120)
    with emulator.serve():
        yield emulator


@pytest.fixture
def dags(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, DAG]:
    """The examples as Airflow parses them, with the variable that their docstrings require."""
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", emulator.connection_id)
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", dag_bundles(EXAMPLES))
    bag = DagBag(dag_folder=str(EXAMPLES))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def states(dags: dict[str, DAG]) -> Callable[[str], dict[str, Any]]:
    """Run an example to its end and return the state of each task."""

    def run(dag_id: str) -> dict[str, Any]:
        tasks = dags[dag_id].test().get_task_instances()
        return {
            task.task_id + (f"[{task.map_index}]" if task.map_index >= 0 else ""): task.state
            for task in tasks
        }

    return run


def test_every_file_defines_the_dag_of_its_name(dags: dict[str, DAG]) -> None:
    assert set(dags) == {file.stem for file in EXAMPLES.glob("*.py")}


def test_attach_to_running_sync_returns_the_result_of_the_running_job(
    emulator: Emulator,
    dags: dict[str, DAG],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    real_time = Emulator()
    real_time.script_job(statuses=[("running", None)])

    def is_polled() -> bool:
        return any(request.route == "GET /jobs/{jobId}" for request in real_time.requests)

    def finish_when_polled(job_id: int) -> None:
        poll(is_polled, timeout=60, what="a read of the running job", interval=0.05)
        real_time.finish_job(job_id)

    with real_time.serve(), ThreadPoolExecutor() as background:
        monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", real_time.connection_uri)
        monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", real_time.connection_id)
        job_id = real_time.start_sync()
        finished = background.submit(finish_when_polled, job_id)
        dag = dags["attach_to_running_sync"]
        sync: Any = dag.get_task("sync")
        sync.poll_interval = 0.2
        run = dag.test()
        finished.result()
    assert {task.state for task in run.get_task_instances()} == {"success"}
    assert list(real_time.jobs) == [job_id]
    assert f"job {job_id} was running already" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("rows", "state"), [(1, "success"), (0, "skipped")], ids=["with rows", "without rows"]
)
def test_require_rows_continues_only_with_new_rows(
    rows: int, state: str, emulator: Emulator, states: Callable[[str], dict[str, Any]]
) -> None:
    emulator.script_job(rows=rows, duration=0)
    assert states("require_rows") == {"sync": state, "use_new_data": state}


def test_sync_if_stale_does_not_sync_again_within_an_hour(
    emulator: Emulator, states: Callable[[str], dict[str, Any]]
) -> None:
    assert states("sync_if_stale") == {"is_stale": "success", "sync": "success"}
    assert states("sync_if_stale") == {"is_stale": "success", "sync": "skipped"}
    assert len(emulator.jobs) == 1


def test_sync_many_connections_syncs_every_connection_of_the_variable(
    emulator: Emulator,
    states: Callable[[str], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    listed = [emulator.connection_id, emulator.add_connection(), emulator.add_connection()]
    emulator.add_connection("not listed")
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_IDS", json.dumps(listed))
    assert states("sync_many_connections") == {
        "list_connection_ids": "success",
        "sync[0]": "success",
        "sync[1]": "success",
        "sync[2]": "success",
        "sum_rows": "success",
    }
    assert sorted(job.connection_id for job in emulator.jobs.values()) == sorted(listed)
    assert "360 rows from 3 connections" in capfd.readouterr().out


@pytest.mark.parametrize("dag_id", ["sync_then_dbt", "sensor_gates_dbt"])
def test_dbt_builds_its_models_from_the_job_of_the_sync(
    dag_id: str,
    emulator: Emulator,
    states: Callable[[str], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    duckdb = pytest.importorskip(
        "duckdb", reason="dbt cannot be installed together with Airflow 2.11"
    )
    from scripts.demo import dbt_environment

    database = tmp_path / "dbt.duckdb"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for name, value in dbt_environment(tmp_path, database, has_landing=False).items():
        monkeypatch.setenv(name, value)
    assert set(states(dag_id).values()) == {"success"}
    with duckdb.connect(str(database)) as connection:
        audit = connection.sql("select job_id, rows_synced from analytics.sync_audit").fetchall()
    assert audit == [(job_id, 120) for job_id in emulator.jobs]
