"""The connectors that the emulator knows, by name: their definitions, specs and streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_airbyte_sme.emulator.world import Actor, ActorKind

MASK = "**********"  # airbyte-platform AirbyteSecretConstants.kt

_DEFINITIONS: Mapping[ActorKind, Mapping[str, str]] = {
    "source": {
        "faker": "dfd88b22-b603-4c3d-aad7-3701784586b1",
        "file": "778daa7c-feaf-4db6-96f3-70fd645acc77",
        "postgres": "decd338e-5647-4c0b-adf4-da0e75f5a750",
    },
    "destination": {
        "duckdb": "94bd199c-2ff0-4aa2-b98e-17f0acb72610",
        "postgres": "25c5221d-dce2-4163-ade9-739ef790f503",
    },
}


def definition_id_of(kind: ActorKind, name: str) -> str | None:
    """Return the definition of the built-in connector *name*: ``NameToDefinitionMapper.kt``."""
    return _DEFINITIONS[kind].get(name)


def connector_name(kind: ActorKind, definition_id: str) -> str:
    """Return the name of a built-in connector; any other has an empty one."""
    for name, known_id in _DEFINITIONS[kind].items():
        if known_id == definition_id:
            return name
    return ""


def masked(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without its secrets."""
    return {k: MASK if k in ("password",) else v for k, v in configuration.items()}


def default_streams(source: Actor) -> list[dict[str, Any]]:
    """Return the stream configurations of a connection that selects nothing in particular."""
    names = ("users", "products", "purchases")
    return [{"name": name, "syncMode": "full_refresh_overwrite", "mappers": []} for name in names]
