"""Airbyte's connections and workspaces by name. Names are not unique, and somebody may rename."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteConnection
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook

_MAX_NAMED = 5


def find_workspace_id(hook: AirbyteHook, name: str) -> str:
    """
    Return the id of a workspace.

    :raises AirbyteAmbiguousNameError: Several have the name.
    :raises AirbyteConfigError: None has it.
    :raises AirbyteError: Airbyte is unreachable or rejects the request.
    """
    workspace = hook.find_workspace_by_name(name)
    if workspace is None:
        names = (each.name for each in hook.list_workspaces())
        raise AirbyteConfigError(
            f"The user who owns the application sees no workspace named {name!r}: "
            f"{closest(name, names)}"
        )
    return workspace.workspace_id


def find_connection(hook: AirbyteHook, name: str, workspace_id: str) -> AirbyteConnection:
    """
    Return the connection of a workspace that has a name; a deleted one never matches.

    :raises AirbyteAmbiguousNameError: Several have the name.
    :raises AirbyteConfigError: None has it.
    :raises AirbyteError: Airbyte is unreachable or rejects the request.
    """
    connection = hook.find_airbyte_connection_by_name(workspace_id, name)
    if connection is None:
        existing = hook.list_airbyte_connections(workspace_ids=[workspace_id])
        names = (each.name for each in existing)
        raise AirbyteConfigError(
            f"Workspace {workspace_id} has no connection named {name!r}: {closest(name, names)}"
        )
    return connection


def closest(name: str, names: Iterable[str]) -> str:
    """Return which of *names* come closest to one that does not exist, as the end of a sentence."""
    existing = sorted(set(names))
    if not existing:
        return "there is none."
    folded = {each.casefold(): each for each in existing}
    if near := difflib.get_close_matches(name.casefold(), folded, n=_MAX_NAMED):
        return f"the closest names are {', '.join(repr(folded[each]) for each in near)}."
    others = " and others" if len(existing) > _MAX_NAMED else ""
    return f"there are {', '.join(map(repr, existing[:_MAX_NAMED]))}{others}."
