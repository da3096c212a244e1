"""Putting things into a world without the API, and the world that an emulator begins with."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_airbyte_sme.emulator.access import PERMISSION_TYPES, scope_of
from airflow_provider_airbyte_sme.emulator.connectors import definition_id_of
from airflow_provider_airbyte_sme.emulator.streams import Stream, default_selection
from airflow_provider_airbyte_sme.emulator.world import (
    DEFAULT_ORGANIZATION_ID,
    Actor,
    ActorKind,
    Application,
    Connection,
    Organization,
    Permission,
    Region,
    User,
    Workspace,
    World,
    new_id,
)

CONNECTION_STATUSES = ("active", "inactive", "deprecated", "locked")

# What a workspace can be notified of: NotificationsConfig of the public API.
EVENTS = (
    "failure",
    "success",
    "connectionUpdate",
    "connectionUpdateActionRequired",
    "syncDisabled",
    "syncDisabledWarning",
)

# What a new emulator has when nobody says otherwise.
DEFAULT_SEED: Mapping[str, Any] = {
    "workspaces": [{"name": "Analytics"}],
    "sources": [
        {"name": "Sample data", "connector": "faker", "configuration": {"count": 100, "seed": 1}}
    ],
    "destinations": [
        {
            "name": "Warehouse",
            "connector": "duckdb",
            "configuration": {"destination_path": "/local/airbyte.duckdb"},
        }
    ],
    "connections": [{"name": "Sample data to Warehouse"}],
}


def new_world(seed: Mapping[str, Any], *, role: str, now: float) -> World:
    """
    Return the world that *seed* describes.

    :param seed: ``workspaces``, ``sources``, ``destinations`` and ``connections``, each a list of
        the arguments of the function below that adds one, and ``application`` with ``client_id``,
        ``client_secret`` and ``role``. What is missing is taken from :data:`DEFAULT_SEED`.
    :param role: The role of the application when *seed* gives none.
    :raises ValueError: *seed* has a key that means nothing, or a thing that cannot be.
    """
    seed = {**DEFAULT_SEED, **seed}
    if unknown := seed.keys() - DEFAULT_SEED.keys() - {"application"}:
        raise ValueError(f"a seed has no {', '.join(sorted(unknown))}")
    world = World(signing_key=secrets.token_hex(32))
    world.organizations[DEFAULT_ORGANIZATION_ID] = Organization(
        DEFAULT_ORGANIZATION_ID, "Default organization", "airbyte@example.com"
    )
    region = Region(new_id(), "AUTO", DEFAULT_ORGANIZATION_ID, True, now, now)
    world.regions[region.id] = region
    try:
        for fields in seed["workspaces"]:
            add_workspace(world, **fields)
        add_application(world, now=now, **{"role": role, **seed.get("application", {})})
        for fields in seed["sources"]:
            add_actor(world, "source", now=now, **fields)
        for fields in seed["destinations"]:
            add_actor(world, "destination", now=now, **fields)
        for fields in seed["connections"]:
            add_connection(world, now=now, **fields)
    except TypeError as error:
        raise ValueError(f"the seed cannot be read: {error}") from None
    return world


def add_application(
    world: World,
    role: str,
    *,
    now: float,
    name: str = "Airflow",
    workspace_id: str | None = None,
    client_id: str | None = None,
    client_secret: str | None = None,
) -> Application:
    """
    Add a user with one permission, and an application of that user.

    :param role: A permission type, as ``workspace_reader``.
    :param workspace_id: Where a workspace role is given; the default is the first workspace.
    :raises ValueError: *role* is unknown, or there is no such workspace.
    """
    if role not in PERMISSION_TYPES:
        raise ValueError(f"role must be one of {sorted(PERMISSION_TYPES)}, not {role!r}")
    scope = scope_of(role)
    number = len(world.users) + 1
    user = User(new_id(), f"User {number}", f"user{number}@example.com")
    world.users[user.id] = user
    permission = Permission(
        new_id(),
        role,
        user_id=user.id,
        workspace_id=_known(world.workspaces, workspace_id) if scope == "workspace" else None,
        organization_id=DEFAULT_ORGANIZATION_ID if scope == "organization" else None,
    )
    world.permissions[permission.id] = permission
    client_id = client_id or new_id()
    application = Application(
        id=client_id,  # in Keycloak mode the two are the same: ApplicationServiceKeycloakImpl.kt
        name=name,
        client_id=client_id,
        client_secret=client_secret or secrets.token_urlsafe(24),
        user_id=user.id,
        created_at=now,
    )
    world.applications[application.id] = application
    return application


def add_workspace(
    world: World,
    name: str,
    *,
    id: str | None = None,  # noqa: A002  the field's own name
    notifications: dict[str, Any] | None = None,
) -> Workspace:
    """
    Add a workspace.

    :param notifications: As in the API; the default is what a new workspace has.
    """
    workspace = Workspace(
        id or new_id(), name, DEFAULT_ORGANIZATION_ID, notifications or default_notifications()
    )
    world.workspaces[workspace.id] = workspace
    return workspace


def add_actor(
    world: World,
    kind: ActorKind,
    name: str,
    *,
    now: float,
    connector: str = "",
    definition_id: str | None = None,
    configuration: Mapping[str, Any] | None = None,
    workspace_id: str | None = None,
    streams: Iterable[str | Mapping[str, Any]] | None = None,
    id: str | None = None,  # noqa: A002  the field's own name
) -> Actor:
    """
    Add a source or destination. Nothing is validated: a test may want what the API refuses.

    :param connector: A built-in connector's name, as ``postgres``.
    :param workspace_id: The default is the first workspace.
    :param streams: What a source delivers: names, or fields of
        :class:`~airflow_provider_airbyte_sme.emulator.streams.Stream`.
    :raises ValueError: There is no such connector or workspace.
    """
    if definition_id is None:
        definition_id = definition_id_of(kind, connector)
        if definition_id is None:
            raise ValueError(f"there is no {kind} connector {connector!r}")
    actor = Actor(
        id=id or new_id(),
        kind=kind,
        name=name,
        definition_id=definition_id,
        workspace_id=_known(world.workspaces, workspace_id),
        configuration=dict(configuration or {}),
        created_at=now,
        streams=None if streams is None else [Stream.from_seed(s).to_seed() for s in streams],
    )
    world.actors(kind)[actor.id] = actor
    return actor


def add_connection(
    world: World,
    name: str,
    *,
    now: float,
    source_id: str | None = None,
    destination_id: str | None = None,
    status: str = "active",
    schedule: dict[str, Any] | None = None,
    streams: list[dict[str, Any]] | None = None,
    namespace_definition: str = "destination",
    namespace_format: str | None = None,
    prefix: str = "",
    id: str | None = None,  # noqa: A002  the field's own name
) -> Connection:
    """
    Add a connection.

    :param source_id: The default is the first source; likewise *destination_id*.
    :param schedule: As the API answers it; the default is ``manual``.
    :param streams: The selected streams as ``StreamConfiguration``; the default is all.
    :raises ValueError: A status is unknown, or there is no such source or destination.
    """
    if status not in CONNECTION_STATUSES:
        raise ValueError(f"status must be one of {CONNECTION_STATUSES}, not {status!r}")
    source = world.sources[_known(world.sources, source_id)]
    connection = Connection(
        id=id or new_id(),
        name=name,
        source_id=source.id,
        destination_id=_known(world.destinations, destination_id),
        workspace_id=source.workspace_id,
        status=status,
        created_at=now,
        schedule=schedule or {"scheduleType": "manual"},
        streams=default_selection(source) if streams is None else streams,
        namespace_definition=namespace_definition,
        namespace_format=namespace_format,
        prefix=prefix,
    )
    world.connections[connection.id] = connection
    return connection


def default_notifications() -> dict[str, Any]:
    """Return the settings of a new workspace: e-mail for what needs a person, no webhooks."""
    mailed = ("connectionUpdateActionRequired", "syncDisabled", "syncDisabledWarning")
    return {
        event: {"email": {"enabled": event in mailed}, "webhook": {"enabled": False}}
        for event in EVENTS
    }


def _known(records: Mapping[str, Any], wanted: str | None) -> str:
    found = next(iter(records), None) if wanted is None else wanted
    if found is None or found not in records:
        raise ValueError(f"there is no {wanted!r} among {sorted(records)}")
    return found
