"""
Secrets in the configurations of sources and destinations: ``docs/airbyte-api.md`` §4.2.

Which fields are secret is known from the connector's specification alone. A secret that is written
gets a coordinate, which stands for it in the stored configuration. An :class:`Actor` has both: the
secrets in plain text, for connectors and tests, and the coordinate of each by its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_airbyte_sme.emulator.connectors import is_valid
from airflow_provider_airbyte_sme.emulator.specs import Schema
from airflow_provider_airbyte_sme.emulator.world import Actor, new_id

MASK = "**********"  # §4.2
_PREFIX = "secret_coordinate::"
_VERSIONED = re.compile(r"(airbyte_workspace_.+_secret_.+_v)([0-9]+)")
_COMBINATIONS = ("allOf", "anyOf", "oneOf")


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret that stays as it is stored while a configuration is merged."""

    coordinate: str
    value: Any


def masked(actor: Actor) -> dict[str, Any]:
    """Return the configuration of *actor* with every secret replaced by the mask."""
    return _replaced(actor, lambda coordinate, value: MASK)


def with_coordinates(actor: Actor) -> dict[str, Any]:
    """Return the configuration of *actor* with every secret replaced by its coordinate."""
    return _replaced(actor, lambda coordinate, value: _PREFIX + coordinate)


def stored_configuration(actor: Actor) -> dict[str, Any]:
    """Return the configuration of *actor* with every secret as a :class:`StoredSecret`."""
    return _replaced(actor, StoredSecret)


def merged(old: Any, new: Mapping[str, Any]) -> Any:
    """
    Return *old* with *new* merged in, as PATCH does (mergeNodesExceptForSecrets).

    Where *old* has an object, *new* is merged into it; null or a scalar is ignored there. Anything
    else is replaced.
    """
    return {
        **old,
        **{
            name: (
                merged(old[name], value if isinstance(value, dict) else {})
                if isinstance(old.get(name), dict)
                else value
            )
            for name, value in new.items()
        },
    }


def restored(old: Any, new: Any, schema: Schema) -> Any:
    """
    Return *new* with the secrets of *old* in place of their masks, as PUT does (copySecrets).

    Only where both have the path, the schema says that it is secret, no array is on the way and,
    below a combination such as ``oneOf``, *new* fulfils the branch with the mask in it.
    """
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    combination = next((name for name in _COMBINATIONS if name in schema), None)
    if combination is not None:
        for branch in schema[combination]:
            if is_valid(branch, plain(new)):
                new = restored(old, new, branch)
        return new
    return {
        name: _restored_field(old[name], value, schema.get("properties", {}).get(name, {}))
        if name in old
        else value
        for name, value in new.items()
    }


def _restored_field(old: Any, new: Any, schema: Schema) -> Any:
    is_masked = schema.get("airbyte_secret") and new == MASK
    return old if is_masked else restored(old, new, schema)


def plain(value: Any) -> Any:
    """Return *value* with every :class:`StoredSecret` in plain text."""
    if isinstance(value, StoredSecret):
        return value.value
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def write_configuration(actor: Actor, configuration: dict[str, Any], schema: Schema) -> None:
    """
    Store *configuration*: each raw secret becomes a new version of the one at its path.

    :param configuration: What is not written again is a :class:`StoredSecret`. A text that starts
        with ``secret_coordinate::`` refers to a secret, which stays as it is if it is known.
    :param schema: Says which fields are secret.
    """
    known = {secret.coordinate: secret.value for secret in _secrets(stored_configuration(actor))}
    coordinates: dict[str, str] = {}

    def stored(value: Any, path: str) -> Any:
        if isinstance(value, StoredSecret):
            coordinates[path] = value.coordinate
            return value.value
        if isinstance(value, str) and value.startswith(_PREFIX):
            coordinates[path] = value.removeprefix(_PREFIX)
            return known.get(coordinates[path], value)
        old = actor.coordinates.get(path)
        coordinates[path] = _next_coordinate(actor, old if known.get(old or "") else None)
        return value

    secret_paths = set(_secret_paths(schema, configuration, ""))
    new = _mapped(configuration, "", lambda path: path in secret_paths, stored)
    actor.configuration, actor.coordinates = plain(new), coordinates


def _next_coordinate(actor: Actor, old: str | None) -> str:
    if old is not None and (match := _VERSIONED.fullmatch(old)):
        return f"{match[1]}{int(match[2]) + 1}"
    return f"airbyte_workspace_{actor.workspace_id}_secret_{new_id()}_v1"


def _secrets(value: Any) -> Iterator[StoredSecret]:
    if isinstance(value, StoredSecret):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _secrets(item)


def _secret_paths(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Yield the path of each secret in *value*, in whichever branch the schema marks it."""
    if schema.get("airbyte_secret") and not isinstance(value, dict | list | None):
        yield path
    for combination in _COMBINATIONS:
        for branch in schema.get(combination, ()):
            yield from _secret_paths(branch, value, path)
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from _secret_paths(child, value[name], f"{path}/{name}")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _secret_paths(schema["items"], item, f"{path}/{index}")


def _replaced(actor: Actor, replacement: Callable[[str, Any], Any]) -> dict[str, Any]:
    found: dict[str, Any] = _mapped(
        actor.configuration,
        "",
        actor.coordinates.__contains__,
        lambda value, path: replacement(actor.coordinates[path], value),
    )
    return found


def _mapped(
    value: Any, path: str, is_secret: Callable[[str], bool], change: Callable[[Any, str], Any]
) -> Any:
    """Return a copy of *value* with the values at the secret paths changed."""
    if is_secret(path):
        return change(value, path)
    if isinstance(value, dict):
        return {
            name: _mapped(item, f"{path}/{name}", is_secret, change) for name, item in value.items()
        }
    if isinstance(value, list):
        return [
            _mapped(item, f"{path}/{index}", is_secret, change) for index, item in enumerate(value)
        ]
    return value
