"""
The rules of waiting, for one wait and for thousands of them.

Pure: no I/O and no clock of its own. A driver sends the requests, passes results and the time, logs
and sleeps: ``Jobs.wait`` for one wait, ``triggers/watcher.py`` for all those of an event loop.
"""

from airflow_provider_airbyte_sme.api.waiting.wait import (
    DEFAULT_POLL_INTERVAL,
    FAILURE_BUDGET,
    MAX_OUTAGE_PAUSE,
    Outage,
    Wait,
    duration_text,
    unreadable,
)

__all__ = [
    "DEFAULT_POLL_INTERVAL",
    "FAILURE_BUDGET",
    "MAX_OUTAGE_PAUSE",
    "Outage",
    "Wait",
    "duration_text",
    "unreadable",
]
