"""Classes that are found by their names, and arguments that are given in several places."""

import importlib
import os
from datetime import datetime
from typing import Any

from airflow.providers.airbyte import operators
from airflow.sdk import DAG

OPTIONS: dict[str, Any] = {
    "start_date": datetime(2025, 1, 1),
    "default_args": {"wait_seconds": 1},
}
module = importlib.import_module("airflow.providers.airbyte.operators.airbyte")
Loaded = getattr(module, "AirbyteTriggerSyncOperator")  # noqa: B009
make = lambda name: operators.airbyte.AirbyteTriggerSyncOperator(  # noqa: E731
    task_id=name, connection_id=os.environ["CONNECTION_ITEMS"], asynchronous=True
)

with DAG("by_name", schedule=None, **OPTIONS):
    orders = Loaded(task_id="orders", connection_id=os.environ["CONNECTION_ORDERS"])
    mapped = Loaded.partial(task_id="mapped")
    (
        orders
        >> make("items")
        >> mapped.expand(
            airbyte_conn_id=["airbyte_production"],
            connection_id=[os.environ["CONNECTION_CUSTOMERS"]],
        )
    )
