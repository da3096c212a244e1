"""
An Airbyte to test against, without a cluster: the same answers, quirks and refusals.

Start with :class:`Emulator`, the fixture ``airbyte_emulator``, or
``python -m airflow_provider_airbyte_sme.emulator``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.dataplane import (
        SyncContext,
        SyncFailedError,
        SyncResult,
    )
    from airflow_provider_airbyte_sme.emulator.emulator import Emulator
    from airflow_provider_airbyte_sme.emulator.jobs import RetryPolicy
    from airflow_provider_airbyte_sme.emulator.recording import RecordedRequest

__all__ = [
    "Emulator",
    "RecordedRequest",
    "RetryPolicy",
    "SyncContext",
    "SyncFailedError",
    "SyncResult",
]

# pytest imports this package for its plugin in every run: what it defines loads when it is used.
_HOME = {
    "Emulator": "emulator",
    "RecordedRequest": "recording",
    "RetryPolicy": "jobs",
    "SyncContext": "dataplane",
    "SyncFailedError": "dataplane",
    "SyncResult": "dataplane",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
