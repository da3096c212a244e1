"""Each example DAG, run by ``dag.test()`` as its reader would, against an emulator."""

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

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow before 3.2
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]  # the same class, moved

EXAMPLES = Path(__file__).parents[2] / "dags_examples"

# Airflow's database tools and dag.test() warn of their own dependencies, in each version of others.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A job has ended when it is first read, so no example waits its poll interval."""
    emulator = Emulator(time="instant", rows=120)
    with emulator.serve():
        yield emulator


@pytest.fixture
def dags(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, DAG]:
    """The examples as Airflow reads them, with all that their docstrings ask for."""
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", emulator.connection_id)
    bundle = {
        "name": "examples",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(EXAMPLES)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    bag = DagBag(dag_folder=str(EXAMPLES))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def states(dags: dict[str, DAG]) -> Callable[[str], dict[str, Any]]:
    """Run an example to its end and return the state of each of its tasks."""

    def run(dag_id: str) -> dict[str, Any]:
        tasks = dags[dag_id].test().get_task_instances()
        return {
            task.task_id + (f"[{task.map_index}]" if task.map_index >= 0 else ""): task.state
            for task in tasks
        }

    return run


def test_each_file_holds_the_dag_of_its_name(dags: dict[str, DAG]) -> None:
    assert set(dags) == {file.stem for file in EXAMPLES.glob("*.py")}


def test_attach_to_running_sync_reports_the_job_that_was_there(
    emulator: Emulator,
    dags: dict[str, DAG],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    real_time = Emulator()
    real_time.script_job(statuses=[("running", None)])

    def the_running_sync_is_watched() -> bool:
        return any(request.route == "GET /jobs/{jobId}" for request in real_time.requests)

    def end_once_attached(job_id: int) -> None:
        poll(the_running_sync_is_watched, timeout=60, what="a wait for it", interval=0.05)
        real_time.finish_job(job_id)

    with real_time.serve(), ThreadPoolExecutor() as background:
        monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", real_time.connection_uri)
        monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", real_time.connection_id)
        job_id = real_time.start_sync()
        ended = background.submit(end_once_attached, job_id)
        dag = dags["attach_to_running_sync"]
        sync: Any = dag.get_task("sync")
        sync.poll_interval = 0.2
        run = dag.test()
        ended.result()
    assert {task.state for task in run.get_task_instances()} == {"success"}
    assert list(real_time.jobs) == [job_id]
    assert f"job {job_id} was running already" in capfd.readouterr().out


@pytest.mark.parametrize(("rows", "state"), [(1, "success"), (0, "skipped")])
def test_require_rows_goes_on_only_with_new_rows(
    rows: int, state: str, emulator: Emulator, states: Callable[[str], dict[str, Any]]
) -> None:
    emulator.script_job(rows=rows, duration=0)
    assert states("require_rows") == {"sync": state, "use_new_data": state}


def test_sync_if_stale_syncs_once_and_then_not_for_an_hour(
    emulator: Emulator, states: Callable[[str], dict[str, Any]]
) -> None:
    assert states("sync_if_stale") == {"is_stale": "success", "sync": "success"}
    assert states("sync_if_stale") == {"is_stale": "success", "sync": "skipped"}
    assert len(emulator.jobs) == 1


def test_sync_many_connections_syncs_each_that_the_variable_lists(
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
def test_dbt_is_built_from_the_job_of_the_sync(
    dag_id: str,
    emulator: Emulator,
    states: Callable[[str], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    duckdb = pytest.importorskip("duckdb", reason="dbt does not install beside Airflow 2.11")
    from scripts.demo import dbt_environment

    database = tmp_path / "dbt.duckdb"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for name, value in dbt_environment(tmp_path, database, has_landing=False).items():
        monkeypatch.setenv(name, value)
    assert set(states(dag_id).values()) == {"success"}
    with duckdb.connect(str(database)) as connection:
        audit = connection.sql("select job_id, rows_synced from analytics.sync_audit").fetchall()
    assert audit == [(job_id, 120) for job_id in emulator.jobs]
