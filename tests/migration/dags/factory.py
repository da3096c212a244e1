"""DAGs and tasks made in loops, from functions and configurations."""

import os
from datetime import datetime
from importlib import import_module
from typing import Any

from airflow.providers.airbyte.operators import airbyte as airbyte_operators
from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor
from airflow.sdk import DAG, TaskGroup

CONNECTIONS = {
    "orders": os.environ["CONNECTION_ORDERS"],
    "customers": os.environ["CONNECTION_CUSTOMERS"],
}
WAITING = dict(asynchronous=True, wait_seconds=1)  # noqa: C408
CONFIGURED: dict[str, Any] = {
    "operator": "airflow.providers.airbyte.operators.airbyte.AirbyteTriggerSyncOperator",
    "arguments": {
        "task_id": "configured",
        "connection_id": os.environ["CONNECTION_INVOICES"],
        "airbyte_conn_id": "airbyte_production",
        "asynchronous": not os.environ.get("WAIT", "yes"),
        "wait_seconds": 1,
    },
}


def make_sync(name: str, connection_id: str) -> airbyte_operators.AirbyteTriggerSyncOperator:
    return airbyte_operators.AirbyteTriggerSyncOperator(
        task_id=f"start_{name}", connection_id=connection_id, **WAITING
    )


def make_configured(operator: str, arguments: dict):
    module, _, name = operator.rpartition(".")
    return getattr(import_module(module), name)(**arguments)


def build(dag_id: str, names: list[str]) -> DAG:
    with DAG(dag_id, start_date=datetime(2025, 1, 1), schedule=None) as dag:
        with TaskGroup("syncs"):
            for name in names:
                start = make_sync(name, CONNECTIONS[name])
                wait = AirbyteJobSensor(
                    task_id=f"wait_{name}",
                    airbyte_job_id=f"{{{{ ti.xcom_pull(task_ids='syncs.start_{name}') }}}}",
                    poke_interval=1,
                )
                start >> wait
        make_configured(**CONFIGURED)
    return dag


for number, names in enumerate((["orders"], ["orders", "customers"])):
    globals()[f"factory_{number}"] = build(f"factory_{number}", names)
