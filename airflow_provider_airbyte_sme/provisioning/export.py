"""
From an existing workspace to its declaration: applying what was exported changes nothing.

Texts in it are templates, as in every file: docs/pipeline-file.md. Secrets are references.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api.client import AirbyteClient
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteConfigApiError,
    AirbyteNotFoundError,
    AirbytePermissionError,
)
from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.api.models import (
    Actor,
    AirbyteConnection,
    ConnectionStream,
    ConnectorSpecification,
    Tag,
    Workspace,
)
from airflow_provider_airbyte_sme.api.resources.actors import Actors
from airflow_provider_airbyte_sme.provisioning.configuration import (
    unknown_keys,
    validate_configuration,
)
from airflow_provider_airbyte_sme.provisioning.connectors import ConnectorNames
from airflow_provider_airbyte_sme.provisioning.declarations import (
    ActorDeclaration,
    ConnectionDeclaration,
    PipelineConnection,
    PipelineDeclaration,
    StreamDeclaration,
    TagDeclaration,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError
from airflow_provider_airbyte_sme.provisioning.parsing import ALL_STREAMS, broken_rules
from airflow_provider_airbyte_sme.provisioning.schedules import schedule_text
from airflow_provider_airbyte_sme.provisioning.schemas import (
    Schema,
    indexed,
    is_stand_in,
    joined,
    same_json,
    secret_paths,
    without_paths,
)
from airflow_provider_airbyte_sme.provisioning.stream_rules import (
    declared_problems,
    uses_cursor,
    uses_key,
)
from airflow_provider_airbyte_sme.provisioning.templates import SecretReferences, literal

A = TypeVar("A", bound=Actor)

log = logging.getLogger(__name__)


class Export(NamedTuple):
    """
    What was exported.

    :param notes: A sentence for each thing that a declaration cannot express.
    """

    pipeline: PipelineDeclaration
    notes: tuple[str, ...] = ()


def export_pipeline(
    workspace: Workspace,
    sources: Sequence[Actor],
    destinations: Sequence[Actor],
    tags: Iterable[Tag],
    connections: Iterable[AirbyteConnection],
    specifications: Mapping[str, ConnectorSpecification],
    connector_names: Mapping[str, str],
    *,
    is_name_unique: bool = True,
) -> Export:
    """
    Return what exists as a declaration. What was deleted is left out.

    :param specifications: By the id of the connector's definition; they say what is secret. Without
        one, only what Airbyte itself has masked is known to be secret.
    :param connector_names: By the id of the connector's definition, such as ``postgres``; only
        those that name one definition.
    :param is_name_unique: Whether no other workspace has the name of *workspace*.
    """
    exporter = _Exporter(specifications, connector_names)
    sources = sorted((each for each in sources if not each.is_deleted), key=_by_name)
    destinations = sorted((each for each in destinations if not each.is_deleted), key=_by_name)
    pipeline = PipelineDeclaration(
        workspace=exporter.workspace(workspace, is_name_unique=is_name_unique),
        sources=tuple(exporter.actors(sources)),
        destinations=tuple(exporter.actors(destinations)),
        tags=tuple(
            TagDeclaration(tag.name, tag.color or None)
            for tag in sorted(tags, key=lambda tag: tag.name)
        ),
        connections=tuple(
            exporter.connections(connections, _references(sources), _references(destinations))
        ),
    )
    return Export(literal(pipeline), tuple(exporter.notes))


def _by_name(actor: Actor) -> tuple[str, str]:
    return actor.name, actor.actor_id


def _references(actors: Iterable[Actor]) -> dict[str, str]:
    """Return how a connection names each actor: by its name, or its id if that is no help."""
    actors = list(actors)
    counts = Counter(actor.name for actor in actors)
    return {
        actor.actor_id: actor.actor_id
        if counts[actor.name] > 1 or is_uuid(actor.name)
        else actor.name
        for actor in actors
    }


class _Exporter:
    """Collects notes and the names of secrets on the way through a workspace."""

    def __init__(
        self,
        specifications: Mapping[str, ConnectorSpecification],
        connector_names: Mapping[str, str],
    ) -> None:
        self.notes: list[str] = []
        self._specifications = specifications
        self._connector_names = connector_names
        self._secrets = SecretReferences()

    def workspace(self, workspace: Workspace, *, is_name_unique: bool) -> WorkspaceDeclaration:
        notifications = {
            event: self._channels(event, channels)
            for event, channels in workspace.notifications.items()
            if isinstance(channels, Mapping)
        }
        return WorkspaceDeclaration(
            name=workspace.name,
            workspace_id="" if is_name_unique else workspace.workspace_id,
            notifications=notifications or None,
        )

    def _channels(self, event: str, channels: Mapping[str, Any]) -> dict[str, Any]:
        """Return the channels of an event; whoever knows the URL of a webhook can post to it."""
        exported = {name: dict(channel) for name, channel in channels.items() if channel}
        if exported.get("webhook", {}).pop("url", None):
            self.notes.append(
                f"The webhook URL of notification {event!r} is like a password, so it is not "
                f"exported; Airbyte keeps it."
            )
        return exported

    def actors(self, actors: Sequence[Actor]) -> Iterator[ActorDeclaration]:
        counts = Counter(actor.name for actor in actors)
        for actor in actors:
            connector = self._connector_names.get(actor.definition_id, "")
            declaration = ActorDeclaration(
                kind=actor.kind,
                name=actor.name,
                configuration=actor.configuration or {},
                connector=connector,
                definition_id="" if connector else actor.definition_id,
                resource_id=actor.actor_id if counts[actor.name] > 1 else "",
                resource_allocation=actor.resource_allocation or None,
            )
            if exported := self._fitting(declaration, actor):
                yield exported

    def _fitting(self, declaration: ActorDeclaration, actor: Actor) -> ActorDeclaration | None:
        """Return the declaration as it can be applied; ``None`` if its connector refuses it."""
        specification = self._specifications.get(actor.definition_id)
        if specification is None:
            self.notes.append(
                f"The specification of the connector of {actor.kind} {actor} is not readable: "
                f"check that its configuration has no secret except the references."
            )
            return self._with_secrets(declaration, {})
        known = self._without_unknown_keys(specification.schema, declaration.configuration, actor)
        declaration = replace(declaration, configuration=known)
        try:
            coerced = validate_configuration(declaration, specification)
        except AirbyteDeclarationError as error:
            self._refuse(actor, "; ".join(error.problems))
            return None
        if not same_json(coerced, known):
            self._refuse(actor, "it has texts in place of other values")
            return None
        return self._with_secrets(declaration, specification.schema)

    def _refuse(self, actor: Actor, reason: str) -> None:
        self.notes.append(
            f"{actor.kind.capitalize()} {actor} is not exported, because Airbyte would refuse its "
            f"configuration: {reason}."
        )

    def _with_secrets(self, declaration: ActorDeclaration, schema: Schema) -> ActorDeclaration:
        """Return the declaration with references instead of secrets."""
        configuration = declaration.configuration
        secrets = secret_paths(schema, configuration)
        owner = declaration.name or declaration.kind
        return replace(
            declaration, configuration=self._with_references(configuration, secrets, owner)
        )

    def _without_unknown_keys(
        self, schema: Mapping[str, Any], configuration: Mapping[str, Any], actor: Actor
    ) -> Any:
        """Leave out what was stored for another version of the connector, and is refused now."""
        # An array can only be declared as a whole.
        unknown = {path.partition("[")[0] for path, _ in unknown_keys(schema, configuration)}
        for path in sorted(unknown):
            self.notes.append(
                f"{actor.kind.capitalize()} {actor} is exported without {path}: its connector does "
                f"not know it, or a key in it; Airbyte keeps it."
            )
        return without_paths(configuration, unknown)

    def _with_references(
        self, value: Any, secrets: Collection[str], owner: str, path: str = ""
    ) -> Any:
        """
        Return *value* with references instead of secrets and masks.

        :param secrets: The paths of the secrets.
        :param owner: Whose value it is, for the names of the secrets.
        """
        if is_stand_in(value) or (path in secrets and value != ""):
            return self._secrets.new(owner, path)
        if isinstance(value, Mapping):
            return {
                key: self._with_references(item, secrets, owner, joined(path, key))
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [
                self._with_references(item, secrets, owner, indexed(path, index))
                for index, item in enumerate(value)
            ]
        return value

    def connections(
        self,
        connections: Iterable[AirbyteConnection],
        sources: Mapping[str, str],
        destinations: Mapping[str, str],
    ) -> Iterator[PipelineConnection]:
        existing = sorted(
            (each for each in connections if not each.is_deleted),
            key=lambda each: (each.name, each.connection_id),
        )
        counts = Counter(each.name for each in existing)
        for connection in existing:
            source = sources.get(connection.source_id)
            destination = destinations.get(connection.destination_id)
            if source is None or destination is None:
                self._leave_out(connection, "its source or destination does not exist any more")
            elif not connection.name.strip():
                self._leave_out(connection, "it has no name")
            elif not connection.streams:
                self._leave_out(connection, "it has no streams, so its syncs move no data")
            else:
                declaration = self._connection(connection, is_unique=counts[connection.name] == 1)
                yield PipelineConnection(source, destination, declaration)

    def _leave_out(self, connection: AirbyteConnection, reason: str) -> None:
        self.notes.append(f"Connection {connection} is not exported: {reason}.")

    def _connection(
        self, connection: AirbyteConnection, *, is_unique: bool
    ) -> ConnectionDeclaration:
        has_format = connection.namespace_definition == "custom_format"
        declaration = ConnectionDeclaration(
            name=connection.name,
            source_id="",
            destination_id="",
            connection_id="" if is_unique else connection.connection_id,
            schedule=schedule_text(connection.schedule),
            namespace_definition=connection.namespace_definition,
            namespace_format=connection.namespace_format if has_format else None,
            prefix=connection.prefix or None,
            tags=tuple(sorted(tag.name for tag in connection.tags)) or None,
            status=connection.status,
            schema_changes=connection.schema_changes or None,
            streams=ALL_STREAMS,
        )
        streams = sorted(connection.streams, key=_by_namespace)
        counts = Counter(stream.name for stream in streams)
        return replace(
            self._declarable(declaration, connection),
            streams=tuple(
                self._stream(each, connection, is_unique=counts[each.name] == 1) for each in streams
            ),
        )

    def _declarable(
        self, declaration: ConnectionDeclaration, connection: AirbyteConnection
    ) -> ConnectionDeclaration:
        """Leave out settings that Airbyte has and nobody can declare, such as a basic schedule."""
        for problem in broken_rules(declaration):
            left_out: dict[str, Any] = {problem.partition(":")[0]: None}
            if "namespace_format" in left_out:  # a custom format that is empty
                left_out["namespace_definition"] = None
            self.notes.append(f"Connection {connection} is exported without its {problem}.")
            declaration = replace(declaration, **left_out)
        return declaration

    def _stream(
        self, stream: ConnectionStream, connection: AirbyteConnection, *, is_unique: bool
    ) -> StreamDeclaration:
        owner = f"{connection.name}_{stream}"
        identity = StreamDeclaration(
            stream.name, namespace=stream.namespace or (None if is_unique else "")
        )
        declaration = replace(
            identity,
            sync_mode=stream.sync_mode or None,
            cursor_field=stream.cursor_field or None if uses_cursor(stream.sync_mode) else None,
            primary_key=stream.primary_key or None if uses_key(stream.sync_mode) else None,
            selected_fields=stream.selected_fields or None,
            mappers=tuple(self._mapper(each, owner) for each in stream.mappers) or None,
        )
        problems = declared_problems([declaration])
        for problem in problems:
            self.notes.append(f"Only the name of a stream of connection {connection}: {problem}.")
        return identity if problems else declaration

    def _mapper(self, mapper: Mapping[str, Any], owner: str) -> Mapping[str, Any]:
        fields = {name: value for name, value in mapper.items() if name != "id"}
        exported: Mapping[str, Any] = self._with_references(fields, (), owner)
        return exported


def _by_namespace(stream: ConnectionStream) -> tuple[str, str]:
    return stream.namespace or "", stream.name


async def read_workspace(client: AirbyteClient, workspace_id: str) -> Export:
    """
    Read a workspace and export it. No connector runs, and nothing is written.

    :param workspace_id: Its UUID.
    :raises AirbyteError: Airbyte is unreachable or rejects a request.
    """
    workspace = await client.workspaces.get(workspace_id)
    namesakes = [each for each in await client.workspaces.list() if each.name == workspace.name]
    sources = await client.sources.list(workspace_ids=[workspace_id])
    destinations = await client.destinations.list(workspace_ids=[workspace_id])
    return export_pipeline(
        workspace,
        sources,
        destinations,
        await client.tags.list(workspace_ids=[workspace_id]),
        await client.connections.list(workspace_ids=[workspace_id]),
        {
            **await _specifications(client.sources, sources, workspace_id),
            **await _specifications(client.destinations, destinations, workspace_id),
        },
        {
            **ConnectorNames(
                "source", await client.source_definitions.list(workspace_id)
            ).unambiguous(),
            **ConnectorNames(
                "destination", await client.destination_definitions.list(workspace_id)
            ).unambiguous(),
        },
        is_name_unique=len(namesakes) <= 1,
    )


async def _specifications(
    group: Actors[A], actors: Iterable[A], workspace_id: str
) -> dict[str, ConnectorSpecification]:
    """Read the specification of every connector; those that cannot be read are left out."""
    found = {}
    for definition_id in sorted({actor.definition_id for actor in actors}):
        try:
            found[definition_id] = await group.read_specification(definition_id, workspace_id)
        except (AirbyteConfigApiError, AirbyteNotFoundError, AirbytePermissionError) as error:
            log.info("No specification of %s definition %s: %s", group.kind, definition_id, error)
    return found
