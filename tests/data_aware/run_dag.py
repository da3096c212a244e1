"""Runs a DAG with ``dag.test()``, in a process of its own, which loads the plugins of Airflow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from airflow.utils.db import initdb

from scripts.airflow_harness import dag_bundles


def run_dag(folder: Path, dag_id: str) -> None:
    """Run a DAG of the files in *folder* to its end."""
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = dag_bundles(folder)
    initdb()
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(folder))
    if bag.import_errors:
        raise RuntimeError(str(bag.import_errors))
    bag.dags[dag_id].test()


if __name__ == "__main__":
    run_dag(Path(sys.argv[1]), sys.argv[2])
