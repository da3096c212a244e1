"""
Decide about a retry by the reason of the failure. Needs Airflow 3.3.

Airbyte has already repeated what may pass, several times and with growing pauses, before a job
fails. So a retry of the task is another whole sync, and whether that is worth it depends on why the
last one failed:

- the source or the destination is configured wrongly: nothing helps but a person, so the task fails
  at once and the on-call person knows at once
- a connector, or what it talks to, is unavailable for a while: a new sync in half an hour
- Airbyte itself is unavailable: it soon will be back, so again in five minutes
- everything else: as ``retries`` and ``retry_delay`` of the task say

``AirbyteJobFailedError`` has the failure as attributes; they are empty if Airbyte's config API is
switched off, and then its jobs are retried as usual. Errors that no retry can cure, such as a wrong
client secret, never reach a policy: they fail the task at once anyway.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy, dag

from airflow_provider_airbyte_sme.api import (
    AirbyteJobFailedError,
    AirbyteServerError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator

CONNECTORS = ("source", "destination")
PASSES_BY_ITSELF = ("transient_error", "heartbeat_timeout", "destination_timeout")


class AirbyteRetryPolicy(RetryPolicy):
    """Retries a sync only if that may help, and not too early."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
    ) -> RetryDecision:
        if isinstance(exception, AirbyteJobFailedError):
            failure_type = exception.failure_type
            if failure_type == "config_error" and exception.failure_origin in CONNECTORS:
                return RetryDecision.fail(f"correct the {exception.failure_origin} in Airbyte")
            if failure_type in PASSES_BY_ITSELF:
                return RetryDecision.retry(timedelta(minutes=30), f"{failure_type} may pass")
        if isinstance(exception, AirbyteTransportError | AirbyteServerError):
            return RetryDecision.retry(timedelta(minutes=5), "Airbyte is unavailable")
        return RetryDecision.default()


@dag(schedule=None, max_active_runs=1, tags=["airbyte"])
def retry_policy() -> None:
    AirbyteTriggerSyncOperator(
        task_id="sync",
        connection_id="{{ var.value.airbyte_connection_id }}",
        retries=3,
        retry_delay=timedelta(minutes=10),
        retry_policy=AirbyteRetryPolicy(),
        deferrable=True,
    )


retry_policy()
