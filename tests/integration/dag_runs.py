"""Whole DAGs, parsed from files and run by a real Airflow in ``dag.test()``."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG

from scripts.airflow_harness import dag_bundles

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow before 3.2
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]  # the same class, before its move


def load_dag(folder: Path, dag_id: str, monkeypatch: pytest.MonkeyPatch) -> DAG:
    """Return a DAG as Airflow parses it."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", dag_bundles(folder))
    bag = DagBag(dag_folder=str(folder))
    assert bag.import_errors == {}
    dag: DAG = bag.dags[dag_id]
    return dag


def states_of(dag: DAG) -> dict[str, str]:
    """Run a DAG to its end, and return the state of each task instance."""
    return {
        f"{task.task_id}[{task.map_index}]": task.state for task in dag.test().get_task_instances()
    }
