"""The state file, which keeps a world across restarts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_provider_airbyte_sme.emulator.world import World, fields_of


def read_json_object(path: Path) -> dict[str, Any]:
    """
    Read a JSON file that contains an object.

    :raises ValueError: The file cannot be read, or does not contain a JSON object.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if isinstance(content, dict):
        return content
    raise ValueError(f"{path} does not contain a JSON object")


def load(path: Path) -> World | None:
    """
    Read a world written by :func:`save`.

    :return: The world, or ``None`` if the file does not exist.
    :raises ValueError: The file does not contain a world, or was written by another version.
    """
    if not path.exists():
        return None
    try:
        return World.from_json(read_json_object(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a state file, or was written by another version: {error!r}"
        ) from error


def save(path: Path, world: World) -> None:
    """Write *world* to *path* atomically."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(world, default=fields_of), "utf-8")
    partial.replace(path)
