"""What an Airbyte knows, as plain records: everything here can be written to JSON and read back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from airflow_provider_airbyte_sme.api.models import TERMINAL_STATUSES, JobStatus

# In a self-managed Airbyte everything belongs to this one. airbyte-platform WorkspaceService.kt.
DEFAULT_ORGANIZATION_ID = "00000000-0000-0000-0000-000000000000"

ActorKind = Literal["source", "destination"]
ConfigType = Literal["sync", "reset_connection", "refresh"]


def new_id() -> str:
    """Return a new UUID, in the text form that the API uses."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class Organization:
    """An organization; a self-managed Airbyte has one."""

    id: str
    name: str
    email: str


@dataclass(slots=True)
class User:
    """A person; applications act as the person who created them."""

    id: str
    name: str
    email: str


@dataclass(slots=True)
class Application:
    """A client id and its secret."""

    id: str
    name: str
    client_id: str
    client_secret: str
    user_id: str
    created_at: float


@dataclass(slots=True)
class Permission:
    """A role of a user or a group: in a workspace, in an organization, or everywhere."""

    id: str
    type: str
    user_id: str | None = None
    group_id: str | None = None
    workspace_id: str | None = None
    organization_id: str | None = None


@dataclass(slots=True)
class Workspace:
    """A workspace with its notification settings."""

    id: str
    name: str
    organization_id: str
    notifications: dict[str, Any]
    data_residency: str = "auto"
    deleted: bool = False


@dataclass(slots=True)
class Actor:
    """
    A source or a destination.

    :param configuration: With its secrets in clear; answers mask them.
    :param streams: What a source can deliver; ``None`` means what its connector has.
    """

    id: str
    kind: ActorKind
    name: str
    definition_id: str
    workspace_id: str
    configuration: dict[str, Any]
    created_at: float
    streams: list[dict[str, Any]] | None = None
    resource_allocation: dict[str, Any] | None = None
    deleted: bool = False


@dataclass(slots=True)
class Connection:
    """
    A connection.

    :param streams: The selected streams, as ``StreamConfiguration``.
    :param schedule: As the public API answers it.
    """

    id: str
    name: str
    source_id: str
    destination_id: str
    workspace_id: str
    status: str
    created_at: float
    schedule: dict[str, Any]
    streams: list[dict[str, Any]]
    namespace_definition: str = "destination"
    namespace_format: str | None = None
    prefix: str | None = ""
    non_breaking_changes: str = "ignore"
    tag_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Failure:
    """Why an attempt failed: one entry of ``failureSummary.failures``."""

    message: str
    origin: str | None = "source"
    type: str = "config_error"
    internal_message: str | None = None

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Self:
        """
        Read what a test writes.

        :param fields: ``message``, ``origin``, ``type``, ``internal_message``, each optional.
        :raises TypeError: Another key is among them.
        """
        return cls(**{"message": "The connector failed.", **fields})


@dataclass(slots=True)
class Attempt:
    """One attempt of a job; its number is its place in the list, from 0."""

    status: str
    created_at: float
    updated_at: float
    ended_at: float | None = None
    rows: int = 0
    bytes: int = 0
    failure: Failure | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Read what :func:`dataclasses.asdict` wrote."""
        failure = fields.pop("failure")
        return cls(**fields, failure=None if failure is None else Failure(**failure))


@dataclass(slots=True)
class Phase:
    """
    A status that a job will take, and for how long.

    :param seconds: ``None``: until something happens to the job, or for ever.
    """

    status: str
    seconds: float | None = None


@dataclass(slots=True)
class JobPlan:
    """
    How a job will go.

    :param phases: What comes after the status that the job has now.
    :param rows: Committed records when the job is over.
    :param failure: What each failed attempt fails with.
    :param scripted: Whether a test wrote it, so that no data plane is asked.
    """

    phases: list[Phase]
    rows: int = 0
    bytes: int = 0
    failure: Failure | None = None
    scripted: bool = False

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Read what :func:`dataclasses.asdict` wrote."""
        failure = fields.pop("failure")
        phases = [Phase(**phase) for phase in fields.pop("phases")]
        return cls(phases=phases, failure=None if failure is None else Failure(**failure), **fields)


@dataclass(slots=True)
class Job:
    """
    One job.

    :param ends_at: When its present status ends by the clock; ``None`` when it does not.
    :param history: Each status with the instant at which the job took it.
    """

    id: int
    connection_id: str
    config_type: ConfigType
    created_at: float
    updated_at: float
    plan: JobPlan
    status: str = JobStatus.PENDING.value
    started_at: float | None = None
    ends_at: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    history: list[tuple[float, str]] = field(default_factory=list)
    streams: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Read what :func:`dataclasses.asdict` wrote."""
        plan = JobPlan.from_json(fields.pop("plan"))
        attempts = [Attempt.from_json(attempt) for attempt in fields.pop("attempts")]
        history = [(at, status) for at, status in fields.pop("history")]
        return cls(plan=plan, attempts=attempts, history=history, **fields)

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.status in TERMINAL_STATUSES

    @property
    def rows(self) -> int:
        """Committed records of all attempts."""
        return sum(attempt.rows for attempt in self.attempts)

    @property
    def bytes(self) -> int:
        """Committed bytes of all attempts."""
        return sum(attempt.bytes for attempt in self.attempts)


@dataclass(slots=True)
class Tag:
    """A label that connections can carry."""

    id: str
    name: str
    color: str
    workspace_id: str


@dataclass(slots=True)
class Definition:
    """A custom connector of a workspace."""

    id: str
    kind: ActorKind
    workspace_id: str
    name: str
    docker_repository: str
    docker_image_tag: str
    documentation_url: str | None = None


@dataclass(slots=True)
class DeclarativeDefinition:
    """A source that a manifest describes."""

    id: str
    workspace_id: str
    name: str
    manifest: dict[str, Any]
    version: int = 1


@dataclass(slots=True)
class Group:
    """Users who share permissions."""

    id: str
    name: str
    organization_id: str
    members: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Region:
    """A data plane group."""

    id: str
    name: str
    organization_id: str
    enabled: bool
    created_at: float
    updated_at: float


@dataclass(slots=True)
class Dataplane:
    """Where syncs of a region run."""

    id: str
    name: str
    region_id: str
    enabled: bool
    created_at: float
    updated_at: float


@dataclass(slots=True)
class World:
    """
    Everything that one Airbyte knows.

    :param signing_key: Signs the tokens; another one revokes all of them.
    :param scripts: How the next jobs of each connection go, first in first out.
    """

    signing_key: str
    next_job_id: int = 1
    organizations: dict[str, Organization] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    permissions: dict[str, Permission] = field(default_factory=dict)
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    sources: dict[str, Actor] = field(default_factory=dict)
    destinations: dict[str, Actor] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    jobs: dict[int, Job] = field(default_factory=dict)
    scripts: dict[str, list[JobPlan]] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    declarative_definitions: dict[str, DeclarativeDefinition] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    dataplanes: dict[str, Dataplane] = field(default_factory=dict)

    def actors(self, kind: ActorKind) -> dict[str, Actor]:
        """Return the sources or the destinations."""
        return self.sources if kind == "source" else self.destinations

    def connections_of(self, actor: Actor) -> list[Connection]:
        """Return the connections that start or end at *actor*."""
        return [
            connection
            for connection in self.connections.values()
            if actor.id in (connection.source_id, connection.destination_id)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the whole as values that JSON knows."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """
        Read what :meth:`to_json` wrote.

        :raises KeyError: A part is missing.
        :raises TypeError: A record has other fields than this version's.
        """
        plain: dict[str, type] = {
            "organizations": Organization,
            "users": User,
            "applications": Application,
            "permissions": Permission,
            "workspaces": Workspace,
            "sources": Actor,
            "destinations": Actor,
            "connections": Connection,
            "tags": Tag,
            "definitions": Definition,
            "declarative_definitions": DeclarativeDefinition,
            "groups": Group,
            "regions": Region,
            "dataplanes": Dataplane,
        }
        records = {
            name: {key: record(**value) for key, value in fields[name].items()}
            for name, record in plain.items()
        }
        return cls(
            signing_key=fields["signing_key"],
            next_job_id=fields["next_job_id"],
            jobs={int(key): Job.from_json(value) for key, value in fields["jobs"].items()},
            scripts={
                key: [JobPlan.from_json(plan) for plan in plans]
                for key, plans in fields["scripts"].items()
            },
            **records,
        )
