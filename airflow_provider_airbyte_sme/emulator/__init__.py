"""
An Airbyte server to test against, without a cluster: same responses, same errors, same quirks.

Use it through :class:`Emulator`, the pytest fixture ``airbyte_emulator``, or the command
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

# pytest imports this package in every run, for its plugin, so each name is loaded on first use.
_MODULES = {
    "Emulator": "emulator",
    "RecordedRequest": "recording",
    "RetryPolicy": "jobs",
    "SyncContext": "dataplane",
    "SyncFailedError": "dataplane",
    "SyncResult": "dataplane",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
