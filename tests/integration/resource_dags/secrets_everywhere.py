"""Secrets in every place where a resource may have one, from a connection and from variables."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_airbyte_sme.operators.resources import (
    AirbyteApplyOperator,
    AirbyteCreateConnectionOperator,
    AirbyteCreateDestinationOperator,
    AirbyteCreateSourceOperator,
    AirbyteCreateWorkspaceOperator,
)


def database(password: str, **more: Any) -> dict[str, Any]:
    return {
        "host": "db.example.com",
        "port": "{{ 5432 }}",
        "database": "crm",
        "username": "{{ conn.crm.login }}",
        "password": password,
        **more,
    }


ENCRYPTED = {
    "name": "customers",
    "mappers": [
        {
            "type": "encryption",
            "mapperConfiguration": {
                "algorithm": "AES",
                "targetField": "name",
                "fieldNameSuffix": "_encrypted",
                "key": "{{ var.value.street }}",
                "mode": "CBC",
                "padding": "PKCS5Padding",
            },
        }
    ],
}


with DAG("secrets_everywhere", schedule=None, render_template_as_native_obj=True) as dag:
    workspace: Any = AirbyteCreateWorkspaceOperator(
        task_id="workspace",
        name="Sales",
        notifications={
            "failure": {
                "webhook": {"enabled": True, "url": "{{ var.value.town }}"},
            }
        },
    )
    workspace_id = workspace.output["workspace_id"]
    source: Any = AirbyteCreateSourceOperator(
        task_id="source",
        name="CRM",
        workspace_id=workspace_id,
        source_type="postgres",
        configuration=database("{{ conn.crm.password }}", schemas=["public"]),
    )
    destination: Any = AirbyteCreateDestinationOperator(
        task_id="destination",
        name="Warehouse",
        workspace_id=workspace_id,
        destination_type="postgres",
        configuration=database("{{ var.value.region }}", schema=workspace.output["workspace_id"]),
    )
    AirbyteCreateConnectionOperator(
        task_id="connection",
        name="CRM to Warehouse",
        source_id=source.output["source_id"],
        destination_id=destination.output["destination_id"],
        streams=[ENCRYPTED],
    )
    mapped = AirbyteCreateSourceOperator.partial(
        task_id="mapped",
        workspace_id=workspace_id,
        source_type="postgres",
        configuration=database("{{ var.value.region }}"),
    ).expand(name=["North", "South"])
    applied = AirbyteApplyOperator(task_id="applied", spec="{{ 'pipeline' }}.yaml")
    rejected = AirbyteCreateSourceOperator(
        task_id="rejected",
        name="CRM",
        workspace="Sales",
        source_type="postgres",
        configuration=database("{{ var.value.region }}", host="other.example.com"),
    )
    mapped >> applied >> rejected
    [source, destination] >> applied
