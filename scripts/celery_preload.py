"""
The configuration of Celery workers that import what tasks need before they fork.

Otherwise each process of a task imports it again, which takes 0.6 s of a core.
"""

from __future__ import annotations

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

CONFIG = {
    **DEFAULT_CELERY_CONFIG,
    "imports": (
        "airflow.dag_processing.dagbag",
        "airflow.sdk.execution_time.task_runner",
        "airflow_provider_airbyte_sme.api.requests_transport",
        "airflow_provider_airbyte_sme.operators.airbyte",
        "airflow_provider_airbyte_sme.sensors.airbyte",
        "requests",
    ),
}
