"""
Give each tenant of a list a source and a connection of its own, with dynamic task mapping.

A new tenant is one more entry of the variable ``airbyte_tenants``, a JSON list of names: the next
run creates what it needs, and leaves the others as they are. Each tenant has a database of its own,
and a schema of its own in the shared warehouse. The passwords come from the Airflow connections
``shops`` and ``warehouse`` when a task runs, and Airbyte gets them only when they have changed.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import Variable, dag, task, task_group

from airflow_provider_airbyte_sme.operators.resources import (
    AirbyteCreateConnectionOperator,
    AirbyteCreateDestinationOperator,
    AirbyteCreateSourceOperator,
    AirbyteCreateWorkspaceOperator,
)

WORKSPACE = "Tenants"


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def onboard_tenants() -> None:
    workspace = AirbyteCreateWorkspaceOperator(task_id="workspace", name=WORKSPACE)
    warehouse = AirbyteCreateDestinationOperator(
        task_id="warehouse",
        name="Warehouse",
        workspace=WORKSPACE,
        destination_type="postgres",
        configuration={
            "host": "{{ conn.warehouse.host }}",
            "port": 5432,
            "database": "analytics",
            "schema": "public",
            "username": "{{ conn.warehouse.login }}",
            "password": "{{ conn.warehouse.password }}",
        },
    )

    @task
    def list_tenants() -> list[str]:
        tenants: list[str] = Variable.get("airbyte_tenants", deserialize_json=True)
        return tenants

    @task_group
    def onboard(tenant: str) -> None:
        source = AirbyteCreateSourceOperator(
            task_id="source",
            name=tenant,
            workspace=WORKSPACE,
            source_type="postgres",
            configuration={
                "host": "{{ conn.shops.host }}",
                "port": 5432,
                "database": tenant,
                "username": "{{ conn.shops.login }}",
                "password": "{{ conn.shops.password }}",
            },
        )
        connection = AirbyteCreateConnectionOperator(
            task_id="connection",
            name=tenant,
            workspace=WORKSPACE,
            source=tenant,
            destination="Warehouse",
            namespace_definition="custom_format",
            namespace_format=tenant,
            streams="all",
        )
        source >> connection

    workspace >> warehouse >> onboard.expand(tenant=list_tenants())


onboard_tenants()
