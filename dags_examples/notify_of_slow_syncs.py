"""
Tell somebody when a sync takes longer than usual, or brings less than usual.

"Usual" is what the last good syncs of the connection took and brought, as Airbyte remembers them.
The notifiers run once for a slow sync, while it still runs, and the wait goes on. A sync that ends
with less than half of the usual rows fails the task, so that dbt does not build on it.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import BaseNotifier, Context, dag

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


class LogNotifier(BaseNotifier):
    """Stands for a notifier of yours, such as ``SlackNotifier``."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Context) -> None:
        self.log.warning("%s", self.text)


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def notify_of_slow_syncs() -> None:
    AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        slow_after="history",
        on_slow=[LogNotifier("{{ slow_job.message }}")],
        min_rows="history",
        deferrable=True,
    )


notify_of_slow_syncs()
