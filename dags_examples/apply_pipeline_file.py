"""
Bring about what the file beside this one declares: ``apply_pipeline_file.yaml``.

Whoever wants a change edits the file. Trigger the DAG with ``dry_run`` to see in the log and in the
result what a run would change, field by field, before anything is written. The passwords in the
file are templates that read the Airflow connections ``crm`` and ``warehouse``.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import dag

from airflow_provider_airbyte_sme.operators.resources import AirbyteApplyOperator


@dag(schedule=None, max_active_runs=1, params={"dry_run": False}, tags=["airbyte"])
def apply_pipeline_file() -> None:
    AirbyteApplyOperator(
        task_id="apply", spec="apply_pipeline_file.yaml", dry_run="{{ params.dry_run }}"
    )


apply_pipeline_file()
