"""The initial world of an emulator, and functions that add to a world without the API."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_airbyte_sme.emulator.access import PERMISSION_TYPES, scope_of
from airflow_provider_airbyte_sme.emulator.connectors import definition_id_of, spec_of
from airflow_provider_airbyte_sme.emulator.masking import write_configuration
from airflow_provider_airbyte_sme.emulator.streams import Stream, seeded_selection, streams_of
from airflow_provider_airbyte_sme.emulator.world import (
    DEFAULT_ORGANIZATION_ID,
    Actor,
    ActorKind,
    Application,
    Connection,
    Definition,
    Organization,
    Permission,
    Region,
    User,
    Workspace,
    World,
    new_id,
)

CONNECTION_STATUSES = ("active", "inactive", "deprecated", "locked")

# Notification events of a workspace (docs/airbyte-api.md §5.1).
EVENTS = (
    "failure",
    "success",
    "connectionUpdate",
    "connectionUpdateActionRequired",
    "syncDisabled",
    "syncDisabledWarning",
)

# Defaults for the lists that a seed does not contain.
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
    Return the world described by *seed*.

    :param seed: See :class:`~airflow_provider_airbyte_sme.emulator.Emulator`. Missing lists are
        taken from :data:`DEFAULT_SEED`.
    :param role: Default role of the application.
    :param now: Creation time of everything, in seconds since the epoch.
    :raises ValueError: *seed* has an unknown key or an invalid entry.
    """
    seed = {**DEFAULT_SEED, **seed}
    if unknown := seed.keys() - DEFAULT_SEED.keys() - {"application", "definitions"}:
        raise ValueError(f"unknown key in the seed: {', '.join(sorted(unknown))}")
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
        for fields in seed.get("definitions", ()):
            add_definition(world, **fields)
        for fields in seed["sources"]:
            add_actor(world, "source", now=now, **fields)
        for fields in seed["destinations"]:
            add_actor(world, "destination", now=now, **fields)
        for fields in seed["connections"]:
            add_connection(world, now=now, **fields)
    except TypeError as error:
        raise ValueError(f"invalid entry in the seed: {error}") from None
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

    :param role: A permission type, such as ``workspace_reader``.
    :param now: Creation time, in seconds since the epoch.
    :param workspace_id: Workspace of a workspace role; the default is the first workspace.
    :param client_id: The default is a new UUID.
    :param client_secret: The default is a random string.
    :raises ValueError: *role* or *workspace_id* is unknown.
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
        workspace_id=(
            _existing_id("workspace", world.workspaces, workspace_id)
            if scope == "workspace"
            else None
        ),
        organization_id=DEFAULT_ORGANIZATION_ID if scope == "organization" else None,
    )
    world.permissions[permission.id] = permission
    client_id = client_id or new_id()
    application = Application(
        id=client_id,  # the same in Keycloak mode: docs/airbyte-api.md §5.4
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
    id: str | None = None,  # noqa: A002  the field's name
    notifications: dict[str, Any] | None = None,
) -> Workspace:
    """
    Add a workspace.

    :param id: The default is a new UUID.
    :param notifications: Notification settings as in the public API; see
        :func:`default_notifications`.
    """
    workspace = Workspace(
        id or new_id(), name, DEFAULT_ORGANIZATION_ID, notifications or default_notifications()
    )
    world.workspaces[workspace.id] = workspace
    return workspace


def add_definition(
    world: World,
    kind: ActorKind,
    name: str,
    *,
    spec: dict[str, Any] | None = None,
    streams: Iterable[str | Mapping[str, Any]] | None = None,
    workspace_id: str | None = None,
    docker_repository: str = "example/connector",
    docker_image_tag: str = "1.0.0",
    id: str | None = None,  # noqa: A002  the field's name
) -> Definition:
    """
    Add a custom connector.

    :param spec: JSON schema (draft 7) of its configuration, with ``airbyte_secret`` on secrets; the
        default accepts any object and knows no secrets.
    :param streams: Streams of its sources, as in :func:`add_actor`.
    :param workspace_id: The default is the first workspace.
    :param id: The default is a new UUID.
    :raises ValueError: The workspace is unknown.
    """
    definition = Definition(
        id or new_id(),
        kind,
        _existing_id("workspace", world.workspaces, workspace_id),
        name,
        docker_repository,
        docker_image_tag,
        spec=spec,
        streams=_seeds(streams),
    )
    world.definitions[definition.id] = definition
    return definition


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
    id: str | None = None,  # noqa: A002  the field's name
) -> Actor:
    """
    Add a source or destination.

    The configuration is not validated, so a test can use one that the API would reject.

    :param now: Creation time, in seconds since the epoch.
    :param connector: Name of a built-in connector, such as ``postgres``.
    :param definition_id: Definition id, instead of *connector*. Its spec says what is secret.
    :param workspace_id: The default is the first workspace.
    :param streams: Streams of a source: names, or fields of
        :class:`~airflow_provider_airbyte_sme.emulator.streams.Stream`. The default is the
        connector's.
    :param id: The default is a new UUID.
    :raises ValueError: The connector or the workspace is unknown.
    """
    if definition_id is None:
        definition_id = definition_id_of(kind, connector)
        if definition_id is None:
            raise ValueError(f"there is no {kind} connector {connector!r}")
    spec = spec_of(world, kind, definition_id)
    if spec is None:
        raise ValueError(f"there is no {kind} definition {definition_id!r}")
    custom = world.definitions.get(definition_id)
    actor = Actor(
        id=id or new_id(),
        kind=kind,
        name=name,
        definition_id=definition_id,
        workspace_id=_existing_id("workspace", world.workspaces, workspace_id),
        configuration={},
        created_at=now,
        streams=custom.streams if custom and streams is None else _seeds(streams),
    )
    write_configuration(actor, dict(configuration or {}), spec.schema)
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
    id: str | None = None,  # noqa: A002  the field's name
) -> Connection:
    """
    Add a connection.

    :param now: Creation time, in seconds since the epoch.
    :param source_id: The default is the first source.
    :param destination_id: The default is the first destination.
    :param schedule: Schedule as in responses of the public API; the default is ``manual``. Only
        here can it be ``{"scheduleType": "basic", "basicTiming": "Every 24 HOURS"}``, as of a
        connection made in the UI.
    :param streams: Selected streams as ``StreamConfiguration`` objects, which are completed but not
        validated; the default is all streams, with full refresh.
    :param id: The default is a new UUID.
    :raises ValueError: The status, the source, the destination or a stream is unknown.
    """
    if status not in CONNECTION_STATUSES:
        raise ValueError(f"status must be one of {CONNECTION_STATUSES}, not {status!r}")
    source = world.sources[_existing_id("source", world.sources, source_id)]
    connection = Connection(
        id=id or new_id(),
        name=name,
        source_id=source.id,
        destination_id=_existing_id("destination", world.destinations, destination_id),
        workspace_id=source.workspace_id,
        status=status,
        created_at=now,
        schedule=schedule or {"scheduleType": "manual"},
        streams=seeded_selection(streams_of(source), streams),
        namespace_definition=namespace_definition,
        namespace_format=namespace_format,
        prefix=prefix,
    )
    world.connections[connection.id] = connection
    return connection


def default_notifications() -> dict[str, Any]:
    """
    Return a new workspace's settings: e-mail for every event but ``success``, no webhooks.

    ``docs/airbyte-api.md §5.1``.
    """
    return {
        event: {"email": {"enabled": event != "success"}, "webhook": {"enabled": False}}
        for event in EVENTS
    }


def _seeds(streams: Iterable[str | Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    return None if streams is None else [Stream.from_seed(stream).to_seed() for stream in streams]


def _existing_id(kind: str, records: Mapping[str, Any], record_id: str | None) -> str:
    """Return *record_id* if it exists; ``None`` means the first record."""
    if record_id is None:
        if not records:
            raise ValueError(f"there is no {kind}: add one first")
        return next(iter(records))
    if record_id not in records:
        raise ValueError(f"there is no {kind} {record_id!r}, only {sorted(records)}")
    return record_id
