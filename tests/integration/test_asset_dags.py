"""Asset events in Airflow's database, after DAGs that a real Airflow runs in ``dag.test()``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.module_loading import import_string
from airflow.utils.session import create_session

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.dag_runs import load_dag, states_of
from tests.integration.test_sync_sensor import IS_AIRFLOW_2

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")

EVENT = f"airflow.models.{'dataset.DatasetEvent' if IS_AIRFLOW_2 else 'asset.AssetEvent'}"
STREAMS = ["products", "purchases", "users"]

DAG = """
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.assets import delivery_alias
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor

arguments = {{
    "emit_assets": True,
    "deferrable": {deferrable},
    "poll_interval": 0.1,
    "timeout": 60,
}}

with DAG({dag_id!r}, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    {tasks}
"""

StoredEvents = Callable[[str], list[tuple[str, str, dict[str, Any]]]]


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=0.5, rows=90)
    with emulator.serve():
        yield emulator


@pytest.fixture
def run_dag(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deferrable: bool
) -> Callable[..., dict[str, str]]:
    """Run a DAG with the given tasks, and return their states."""
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", emulator.connection_uri)

    def run(dag_id: str, tasks: str) -> dict[str, str]:
        text = DAG.format(dag_id=dag_id, tasks=tasks, deferrable=deferrable)
        (tmp_path / "assets.py").write_text(text)
        dag = load_dag(tmp_path, dag_id, monkeypatch)
        store(dag)
        return states_of(dag)

    return run


def store(dag: Any) -> None:
    """Store a DAG, with its assets and aliases, as the DAG processor does."""
    if IS_AIRFLOW_2:
        dag.bulk_write_to_db([dag])


def stored_events(dag_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return alias, asset and extra of each event of a DAG that Airflow has stored."""
    with create_session() as session:
        stored = import_string(EVENT)
        events = session.query(stored).filter(stored.source_dag_id == dag_id).all()
        return sorted(
            (
                ",".join(alias.name for alias in event.source_aliases),
                event.dataset.uri if IS_AIRFLOW_2 else event.asset.name,
                dict(event.extra),
            )
            for event in events
        )


def tables(*streams: str) -> list[str]:
    if IS_AIRFLOW_2:
        return [f"duckdb:/local/airbyte.duckdb/airbyte.main.{stream}" for stream in streams]
    return [f"duckdb:///local/airbyte.duckdb/airbyte/main/{stream}" for stream in streams]


def dag_id_of(kind: str, deferrable: bool) -> str:
    return f"{kind}_{'deferrable' if deferrable else 'blocking'}"


def test_each_stream_of_a_sync_is_one_event(
    emulator: Emulator, run_dag: Callable[..., dict[str, str]], deferrable: bool
) -> None:
    dag_id = dag_id_of("sync", deferrable)

    states = run_dag(
        dag_id,
        "AirbyteTriggerSyncOperator("
        f"task_id='sync', connection_id={emulator.connection_id!r}, **arguments)",
    )

    events = stored_events(dag_id)
    assert states == {"sync[-1]": "success"}
    assert [asset for _, asset, _ in events] == tables(*STREAMS)
    assert {alias for alias, _, _ in events} == {f"airbyte_sme/{emulator.connection_id}"}
    assert [extra["rows"] for _, _, extra in events] == [30, 30, 30]


def test_a_sensor_that_knows_only_the_job_emits_too(
    emulator: Emulator, run_dag: Callable[..., dict[str, str]], deferrable: bool
) -> None:
    dag_id = dag_id_of("job", deferrable)
    job_id = emulator.start_sync()

    run_dag(dag_id, f"AirbyteJobSensor(task_id='wait', airbyte_job_id={job_id}, **arguments)")

    events = stored_events(dag_id)
    assert [asset for _, asset, _ in events] == tables(*STREAMS)
    assert {alias for alias, _, _ in events} == {f"airbyte_sme/{dag_id}/wait"}


def test_a_connection_from_a_template_is_known_in_time(
    emulator: Emulator, run_dag: Callable[..., dict[str, str]], deferrable: bool
) -> None:
    dag_id = dag_id_of("template", deferrable)

    run_dag(
        dag_id,
        "AirbyteTriggerSyncOperator(task_id='sync', connection_id="
        f"\"{{{{{{{{ '{emulator.connection_id}' }}}}}}}}\", **arguments)".replace(
            "{{{{", "{{"
        ).replace("}}}}", "}}"),
    )

    assert [asset for _, asset, _ in stored_events(dag_id)] == tables(*STREAMS)


@pytest.mark.parametrize("is_given", [True, False])
def test_mapped_tasks_emit_through_the_alias_that_they_are_given(
    emulator: Emulator,
    run_dag: Callable[..., dict[str, str]],
    deferrable: bool,
    is_given: bool,
    task_log: Callable[[], str],
) -> None:
    dag_id = dag_id_of(f"mapped_{is_given}", deferrable)
    connection_ids = [emulator.connection_id, emulator.add_connection("Other", prefix="x_")]
    outlets = "outlets=[delivery_alias('all')]," if is_given else ""

    states = run_dag(
        dag_id,
        f"AirbyteTriggerSyncOperator.partial(task_id='sync', {outlets} **arguments)"
        f".expand(connection_id={connection_ids})",
    )

    events = stored_events(dag_id)
    assert set(states.values()) == {"success"}
    if IS_AIRFLOW_2 and not is_given:
        assert events == []
        assert "a mapped task needs its alias in partial()" in task_log()
        return
    expected = tables(*STREAMS, *(f"x_{stream}" for stream in STREAMS))
    assert sorted(asset for _, asset, _ in events) == sorted(expected)
    assert {alias for alias, _, _ in events} == (
        {"airbyte_sme/all"}
        if is_given
        else {f"airbyte_sme/{connection_id}" for connection_id in connection_ids}
    )


def test_a_failed_task_stores_no_event(
    emulator: Emulator, run_dag: Callable[..., dict[str, str]], deferrable: bool
) -> None:
    dag_id = dag_id_of("failed", deferrable)

    run_dag(
        dag_id,
        "AirbyteTriggerSyncOperator(task_id='sync', min_rows=1000, "
        f"connection_id={emulator.connection_id!r}, **arguments)",
    )

    assert stored_events(dag_id) == []
