"""
Secrets in configurations: masked in responses, restored when a client sends the mask back.

``docs/airbyte-api.md`` §4.2.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_airbyte_sme.emulator.world import Actor

MASK = "**********"  # §4.2
_COORDINATE_PREFIX = "secret_coordinate::"

# Names of the fields that have ``airbyte_secret`` in Airbyte's published connector specs.
SECRET_NAME = re.compile(
    r"password|passphrase|secret|token$|api_?key|private_?key|ssh_key|access_key|"
    r"credentials_json|service_account_(json|info)|connection_string|sas_token|shared_key",
    re.IGNORECASE,
)


def masked(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of *configuration* with every secret replaced by the mask."""
    return _with_secrets_replaced(configuration, lambda path: MASK)


def with_coordinates(actor: Actor) -> dict[str, Any]:
    """Return the configuration of *actor* with every secret replaced by its coordinate."""

    def coordinate(path: str) -> str:
        key = uuid.uuid5(uuid.UUID(actor.id), path)
        return f"{_COORDINATE_PREFIX}airbyte_workspace_{actor.workspace_id}_secret_{key}_v1"

    return _with_secrets_replaced(actor.configuration, coordinate)


def restored(new: Any, old: Any) -> Any:
    """
    Return *new* with the secrets of *old* in place of their masks and coordinates.

    The server does this in PUT only (``copySecrets``); in PATCH it stores the mask: §4.2.
    """
    if isinstance(new, dict):
        previous = old if isinstance(old, dict) else {}
        return {
            name: previous[name]
            if _stands_for_secret(name, value) and name in previous
            else restored(value, previous.get(name))
            for name, value in new.items()
        }
    if isinstance(new, list):
        earlier = old if isinstance(old, list) else []
        return [
            restored(item, earlier[index] if index < len(earlier) else None)
            for index, item in enumerate(new)
        ]
    return new


def merged(old: Any, new: Any) -> Any:
    """
    Return *old* with *new* merged in: objects recursively, anything else is replaced.

    The server ignores null and scalars in place of an object: §4.2.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: merged(old.get(name), value) for name, value in new.items()}}
    return new


def _with_secrets_replaced(
    configuration: Mapping[str, Any], replacement: Callable[[str], str]
) -> dict[str, Any]:
    def replaced(value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return {
                name: replacement(f"{path}/{name}")
                if isinstance(item, str) and SECRET_NAME.search(name)
                else replaced(item, f"{path}/{name}")
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [replaced(item, f"{path}/{index}") for index, item in enumerate(value)]
        return value

    copy: dict[str, Any] = replaced(configuration, "")
    return copy


def _stands_for_secret(name: str, value: Any) -> bool:
    return (
        isinstance(value, str)
        and (value == MASK or value.startswith(_COORDINATE_PREFIX))
        and SECRET_NAME.search(name) is not None
    )
