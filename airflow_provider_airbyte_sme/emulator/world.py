"""The emulator's state as plain records that can be written to JSON and read back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from airflow_provider_airbyte_sme.api.models import TERMINAL_STATUSES, JobStatus

# Every workspace of a self-managed Airbyte belongs to it (docs/airbyte-api.md §5.1).
DEFAULT_ORGANIZATION_ID = "00000000-0000-0000-0000-000000000000"

ActorKind = Literal["source", "destination"]
ConfigType = Literal["sync", "reset_connection", "refresh"]
LogType = Literal["structured", "formatted"]
Statistics = Literal["all", "attempts", "none"]


def fields_of(record: Any) -> dict[str, Any]:
    """
    Return the fields of a record of this module, for ``json.dumps(..., default=fields_of)``.

    Unlike :func:`dataclasses.asdict` it copies nothing, which matters with many jobs.

    :raises TypeError: *record* is no record.
    """
    return {field.name: getattr(record, field.name) for field in fields(record)}


def new_id() -> str:
    """Return a new UUID as a string."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class Organization:
    """An organization; a self-managed Airbyte has exactly one."""

    id: str
    name: str
    email: str


@dataclass(slots=True)
class User:
    """
    A user; an application acts as the user who created it.

    :param profile: Other fields of ``UserRead`` that the user has set.
    """

    id: str
    name: str
    email: str
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Application:
    """An application: a client id and its secret."""

    id: str
    name: str
    client_id: str
    client_secret: str
    user_id: str
    created_at: float


@dataclass(slots=True)
class Permission:
    """A role of a user or group in a workspace, in an organization or in the whole instance."""

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
    A source or destination.

    :param configuration: Contains plain-text secrets, which responses mask; empty once deleted.
    :param created_at: In seconds since the epoch, like every time in this module.
    :param streams: Streams of a source; ``None``: those of its connector.
    :param coordinates: Where each secret is stored, by its path in the configuration.
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
    coordinates: dict[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass(slots=True)
class Catalog:
    """
    What the last discover of a source returned.

    :param digest: Hash of the configuration that it ran with.
    :param streams: As in ``Stream.to_seed``.
    :param runs: How often the connector has run, over all configurations.
    """

    digest: str
    streams: list[dict[str, Any]]
    runs: int = 1


@dataclass(slots=True)
class Connection:
    """
    A connection.

    :param schedule: As in responses of the public API.
    :param streams: The selected streams, as ``StreamConfiguration`` objects of the public API, with
        the secrets of mappers in plain text.
    :param has_workflow: Whether Temporal still has its workflow; without it no job can start.
    :param state: A ``ConnectionState`` of the config API without the connection's id; ``None``:
        the next sync reads everything.
    :param refreshes: The streams, as name and namespace, that its next sync reads from the
        beginning; that sync becomes a refresh.
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
    has_workflow: bool = True
    state: dict[str, Any] | None = None
    refreshes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Failure:
    """
    Why an attempt failed: one entry of ``failureSummary.failures``.

    :param message: The message for people.
    :param origin: What failed, such as ``source``; ``None``: Airbyte does not know.
    :param type: The kind of failure, such as ``config_error``.
    :param internal_message: The message for developers.
    :param stream: Name of the stream that failed; ``None``: it is not about one.
    :param namespace: Namespace of that stream.
    """

    message: str
    origin: str | None = "source"
    type: str = "config_error"
    internal_message: str | None = None
    stream: str | None = None
    namespace: str | None = None

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Self:
        """
        Create a failure from a mapping, as passed to ``Emulator.script_job``.

        :param fields: ``message``, ``origin``, ``type``, ``internal_message``, ``stream`` and
            ``namespace``, all optional.
        :raises TypeError: *fields* has an unknown key.
        """
        return cls(**{"message": "The connector failed.", **fields})


@dataclass(slots=True)
class Attempt:
    """
    One attempt of a job; its number is its index in ``Job.attempts``.

    :param status: ``running``, ``succeeded`` or ``failed``.
    :param created_at: In seconds since the epoch, like every time here.
    :param updated_at: When its status or its numbers last changed.
    :param ended_at: ``None`` while it runs.
    :param rows: Number of records that it has committed.
    :param bytes: Size of these records, in bytes.
    :param failures: Why it failed, the cause first.
    :param rows_of: How many of *rows* are of which stream, by ``name`` or ``namespace.name``;
        ``None``: each has its share.
    """

    status: str
    created_at: float
    updated_at: float
    ended_at: float | None = None
    rows: int = 0
    bytes: int = 0
    failures: list[Failure] = field(default_factory=list)
    rows_of: dict[str, int] | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Create a record from the decoded JSON that :func:`fields_of` gave."""
        failures = [Failure(**each) for each in fields.pop("failures")]
        return cls(**fields, failures=failures)

    @property
    def failure(self) -> Failure | None:
        """The first failure, by which Airbyte decides; ``None`` if there is none."""
        return self.failures[0] if self.failures else None


@dataclass(slots=True)
class Phase:
    """
    A status that a job will have, and for how long.

    :param seconds: Duration in seconds; ``None``: until the job is ended from outside.
    """

    status: str
    seconds: float | None = None


@dataclass(slots=True)
class JobPlan:
    """
    The planned course of a job.

    :param phases: The phases after the current status.
    :param rows: Number of records that the job commits.
    :param bytes: Size of the records, in bytes.
    :param failures: Failures of each failed attempt; the last ones also those of all further
        attempts.
    :param log: Lines of the log of each attempt, between its first line and its failures.
    :param log_type: ``structured`` or ``formatted``: how the config API sends the log.
    :param scripted: Whether the plan comes from ``Emulator.script_job``, so that ``on_sync`` is not
        called.
    :param clock_skew: How far the clock that dates the job's updates is ahead of the one that dates
        its creation, in seconds.
    :param rows_of: How many of *rows* are of which stream, by ``name`` or ``namespace.name``; the
        others have no counters. ``None``: each has its share.
    :param partial_rows: Number of records that each failed attempt commits, except the last one.
    :param statistics: Which statistics there are.
    """

    phases: list[Phase]
    rows: int = 0
    bytes: int = 0
    failures: list[list[Failure]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    log_type: LogType = "structured"
    scripted: bool = False
    clock_skew: float = 0.0
    rows_of: dict[str, int] | None = None
    partial_rows: int = 0
    statistics: Statistics = "all"

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Create a record from the decoded JSON that :func:`fields_of` gave."""
        failures = [[Failure(**each) for each in attempt] for attempt in fields.pop("failures")]
        phases = [Phase(**phase) for phase in fields.pop("phases")]
        return cls(phases=phases, failures=failures, **fields)

    def failures_of(self, number: int) -> list[Failure]:
        """Return the failures of attempt *number*, if it fails."""
        return self.failures[min(number, len(self.failures) - 1)] if self.failures else []


@dataclass(slots=True)
class Job:
    """
    A job.

    :param id: Its number.
    :param config_type: What it does, as Airbyte stores it: ``sync``, ``refresh`` or
        ``reset_connection``.
    :param created_at: In seconds since the epoch, like every time here.
    :param updated_at: When its status or its numbers last changed.
    :param plan: What becomes of it.
    :param status: As in responses of the public API.
    :param started_at: When it began to run; ``None``: not yet.
    :param attempts: The oldest first.
    :param ends_at: When the current status ends; ``None``: not by itself.
    :param history: All statuses so far, each with the time of the change.
    :param streams: The streams of the connection that it syncs or clears.
    :param targets: What a refresh or a clear was asked for, as name and namespace; the connection
        may not have these streams.
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
    targets: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Create a record from the decoded JSON that :func:`fields_of` gave."""
        plan = JobPlan.from_json(fields.pop("plan"))
        attempts = [Attempt.from_json(attempt) for attempt in fields.pop("attempts")]
        history = [(at, status) for at, status in fields.pop("history")]
        return cls(plan=plan, attempts=attempts, history=history, **fields)

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL_STATUSES

    @property
    def counted_rows(self) -> int:
        """The records of :attr:`rows` that are in Airbyte's statistics."""
        return self.rows if self.plan.statistics == "all" else 0

    @property
    def counted_bytes(self) -> int:
        """The part of :attr:`bytes` that is in Airbyte's statistics."""
        return self.bytes if self.plan.statistics == "all" else 0

    @property
    def rows(self) -> int:
        """Number of records committed by all attempts."""
        return sum(attempt.rows for attempt in self.attempts)

    @property
    def bytes(self) -> int:
        """Size of the records committed by all attempts, in bytes."""
        return sum(attempt.bytes for attempt in self.attempts)


@dataclass(slots=True)
class Tag:
    """A tag that can be attached to connections."""

    id: str
    name: str
    color: str
    workspace_id: str


@dataclass(slots=True)
class Definition:
    """
    A custom connector definition.

    :param spec: JSON schema of the configuration; ``None``: any object.
    :param streams: Streams of its sources, as in :class:`Actor`.
    """

    id: str
    kind: ActorKind
    workspace_id: str
    name: str
    docker_repository: str
    docker_image_tag: str
    documentation_url: str | None = None
    spec: dict[str, Any] | None = None
    streams: list[dict[str, Any]] | None = None


@dataclass(slots=True)
class DeclarativeDefinition:
    """A declarative source definition, described by a manifest."""

    id: str
    workspace_id: str
    name: str
    manifest: dict[str, Any]
    version: int = 1


@dataclass(slots=True)
class Group:
    """
    A group of users who share permissions.

    :param members: Member ids by user id.
    """

    id: str
    name: str
    organization_id: str
    members: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Region:
    """A region, also called a data plane group."""

    id: str
    name: str
    organization_id: str
    enabled: bool
    created_at: float
    updated_at: float


@dataclass(slots=True)
class Dataplane:
    """A data plane, which runs the syncs of a region."""

    id: str
    name: str
    region_id: str
    enabled: bool
    created_at: float
    updated_at: float


@dataclass(slots=True)
class World:
    """
    The whole state of an emulated Airbyte.

    :param signing_key: Key that signs access tokens; changing it invalidates all of them.
    :param next_job_id: Id of the next new job.
    :param checks: How the next connection checks of an actor end, by its id: a message, or ``None``
        if the job itself fails.
    :param catalogs: The streams of sources that were discovered, by source id.
    :param scripts: Plans of the next jobs by connection id, next job first.
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
    catalogs: dict[str, Catalog] = field(default_factory=dict)
    checks: dict[str, list[str | None]] = field(default_factory=dict)
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
        """Return all sources or all destinations by id."""
        return self.sources if kind == "source" else self.destinations

    def connections_of(self, actor: Actor) -> list[Connection]:
        """Return the connections from or to *actor*."""
        return [
            connection
            for connection in self.connections.values()
            if actor.id in (connection.source_id, connection.destination_id)
        ]

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """
        Create a world from the decoded JSON that :func:`fields_of` gave.

        :raises KeyError: A key is missing.
        :raises TypeError: A record has missing or unknown fields.
        """
        plain: dict[str, type] = {
            "organizations": Organization,
            "users": User,
            "applications": Application,
            "permissions": Permission,
            "workspaces": Workspace,
            "sources": Actor,
            "destinations": Actor,
            "catalogs": Catalog,
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
            checks=fields["checks"],
            jobs={int(key): Job.from_json(value) for key, value in fields["jobs"].items()},
            scripts={
                key: [JobPlan.from_json(plan) for plan in plans]
                for key, plans in fields["scripts"].items()
            },
            **records,
        )
