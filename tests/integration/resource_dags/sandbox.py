"""A sandbox that is deleted although the work in it fails."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_airbyte_sme.operators.resources import (
    AirbyteCreateSourceOperator,
    AirbyteCreateWorkspaceOperator,
    AirbyteDeleteWorkspaceOperator,
)


class FailingOperator(BaseOperator):
    def execute(self, context: Any) -> None:
        raise ValueError("The work fails.")


with DAG("sandbox", schedule=None) as dag:
    create = AirbyteCreateWorkspaceOperator(task_id="create", name="Sandbox").as_setup()
    fill = AirbyteCreateSourceOperator(
        task_id="fill",
        name="Fake",
        source_type="faker",
        configuration={"count": "{{ 7 }}"},
        workspace_id=create.output["workspace_id"],
    )
    work = FailingOperator(task_id="work")
    delete = AirbyteDeleteWorkspaceOperator(
        task_id="delete",
        workspace_id=create.output["workspace_id"],
        cascade=True,
    ).as_teardown(setups=create)
    create >> fill >> work >> delete
