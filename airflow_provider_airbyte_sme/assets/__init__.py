"""Airflow assets of what Airbyte delivers, for ``schedule=`` of a DAG."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.assets.dbt import dbt_source_assets
    from airflow_provider_airbyte_sme.assets.hooked import airbyte_webhook_asset
    from airflow_provider_airbyte_sme.assets.streams import delivery_alias, stream_assets
    from airflow_provider_airbyte_sme.assets.watched import airbyte_asset

__all__ = [
    "airbyte_asset",
    "airbyte_webhook_asset",
    "dbt_source_assets",
    "delivery_alias",
    "stream_assets",
]

# Loaded late: a DAG file pays only for what it uses.
_MODULES = {
    "airbyte_asset": "watched",
    "airbyte_webhook_asset": "hooked",
    "dbt_source_assets": "dbt",
    "delivery_alias": "streams",
    "stream_assets": "streams",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
