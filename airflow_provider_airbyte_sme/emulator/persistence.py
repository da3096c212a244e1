"""A world in a file, so that it outlives the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_provider_airbyte_sme.emulator.world import World


def read_json_object(path: Path) -> dict[str, Any]:
    """
    Read a JSON file.

    :raises ValueError: It cannot be read, or holds no object.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if isinstance(content, dict):
        return content
    raise ValueError(f"{path} should hold a JSON object")


def load(path: Path) -> World | None:
    """
    Read the world that :func:`save` wrote.

    :return: ``None``: there is no such file yet.
    :raises ValueError: The file holds something else, or was written by another version.
    """
    if not path.exists():
        return None
    try:
        return World.from_json(read_json_object(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no world of this version: {error!r}") from error


def save(path: Path, world: World) -> None:
    """Write *world* whole, or leave the file as it is."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(world.to_json()), "utf-8")
    partial.replace(path)
