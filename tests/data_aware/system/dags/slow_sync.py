"""A deferred sync that is slow after a second, and notes each alarm in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import BaseNotifier, dag

from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator


class NoteInFile(BaseNotifier):
    """Adds a line with the run and the job to the file ``SLOW_SYNCS``."""

    def notify(self, context: Any) -> None:
        with Path(os.environ["SLOW_SYNCS"]).open("a") as file:
            file.write(f"{context['run_id']} {context['slow_job']['job_id']}\n")


@dag(schedule=None)
def slow_sync() -> None:
    AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ params.connection_id }}",
        slow_after=1,
        on_slow=[NoteInFile()],
        poll_interval=0.5,
        deferrable=True,
        params={"connection_id": ""},
    )


slow_sync()
