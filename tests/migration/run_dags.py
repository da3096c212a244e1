"""
Runs the DAGs of a folder with ``dag.test()``, in a process of its own, against an emulator.

What each DAG did is written as JSON: the states of its tasks, and the jobs that it asked for.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_harness import dag_bundles

NAMES = ("ORDERS", "CUSTOMERS", "INVOICES", "ITEMS")


UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def add_connections(emulator: Emulator, folder: Path) -> None:
    """Add the Airbyte connections whose ids the DAGs find in the environment, or name."""
    for name in NAMES:
        os.environ[f"CONNECTION_{name}"] = emulator.add_connection(name)
    named = {found for file in folder.glob("*.py") for found in UUID.findall(file.read_text())}
    for number, connection_id in enumerate(sorted(named)):
        emulator.add_connection(f"EXAMPLE_{number}", id=connection_id)


def add_airflow_connections(emulator: Emulator) -> None:
    """Add what the official provider needs. There is no connection of our type."""
    url = f"{emulator.url}/api/public/v1"
    fields = {
        "conn_type": "airbyte",
        "host": url,
        "schema": f"{url}/applications/token",
        "login": emulator.client_id,
        "password": emulator.client_secret,
    }
    for name in ("AIRBYTE_DEFAULT", "AIRBYTE_PRODUCTION"):
        os.environ[f"AIRFLOW_CONN_{name}"] = json.dumps(fields)


def jobs_asked_for(emulator: Emulator) -> list[str]:
    """Return connection and type of each job that was started since the last call, sorted."""
    names = {connection_id: each.name for connection_id, each in emulator.connections.items()}
    found = [
        f"{request.json['jobType']} of {names[request.json['connectionId']]}"
        for request in emulator.requests
        if request.route == "POST /jobs" and request.status == 200
    ]
    emulator.clear_requests()
    return sorted(found)


def run_dags(folder: Path, emulator: Emulator) -> dict[str, Any]:
    """Parse, serialize and run each DAG of *folder*."""
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = dag_bundles(folder)
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.db import initdb

    initdb()
    bag = DagBag(dag_folder=str(folder))
    found: dict[str, Any] = {"import_errors": bag.import_errors, "dags": {}}
    for dag_id in sorted(bag.dags):
        DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[dag_id]))
        run = bag.dags[dag_id].test()
        found["dags"][dag_id] = {
            "states": {
                f"{each.task_id}[{each.map_index}]": each.state for each in run.get_task_instances()
            },
            "jobs": jobs_asked_for(emulator),
        }
    return found


def main(folder: Path, output: Path) -> None:
    """Run the DAGs and write what they did."""
    emulator = Emulator(time="instant")
    with emulator.serve():
        add_connections(emulator, folder)
        add_airflow_connections(emulator)
        output.write_text(json.dumps(run_dags(folder, emulator), default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
