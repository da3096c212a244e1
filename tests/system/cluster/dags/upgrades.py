"""
DAGs whose task is deferred as an older release has deferred it.

Airflow itself stores what the run conf has under ``deferral``: class path and arguments of the
trigger, and the method that resumes the task. From then on the task is that of the present release.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor


class StoredTrigger(BaseTrigger):
    """A trigger of which Airflow stores what an older release has stored."""

    def __init__(self, path: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        self._stored = path, arguments

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return self._stored

    def run(self) -> AsyncIterator[TriggerEvent]:
        raise RuntimeError("a triggerer runs the stored trigger, not this one")


def deferred_before(operator_class: Any) -> Any:
    """Return an operator that only defers, as the run conf says."""

    class DeferredBefore(operator_class):  # type: ignore[misc]
        def execute(self, context: Any) -> None:
            deferral = context["dag_run"].conf["deferral"]
            self.defer(
                trigger=StoredTrigger(deferral["trigger"], deferral["arguments"]),
                method_name=deferral["method"],
                kwargs=deferral["method_arguments"],
            )

    return DeferredBefore


CONNECTION = "{{ dag_run.conf['connection_id'] }}"
COMMON: dict[str, Any] = {"task_id": "sync", "deferrable": True, "poll_interval": 1}

with DAG("deferred_before_operator", schedule=None):
    deferred_before(AirbyteTriggerSyncOperator)(**COMMON, connection_id=CONNECTION)
with DAG("deferred_before_job_sensor", schedule=None):
    deferred_before(AirbyteJobSensor)(
        **COMMON, airbyte_job_id="{{ dag_run.conf['deferral']['arguments']['job_id'] }}"
    )
with DAG("deferred_before_sync_sensor", schedule=None):
    deferred_before(AirbyteSyncSensor)(**COMMON, connection_id=CONNECTION)
