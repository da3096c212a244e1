"""
Operators that create, change and delete Airbyte resources, as often as you like.

Operators for more than one resource are here too: :class:`.pipelines.AirbyteApplyOperator`,
:class:`.pipelines.AirbyteExportOperator` and :class:`.airbyte.AirbyteListConnectionsOperator`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.api.models import ActorKind
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteListConnectionsOperator
from airflow_provider_airbyte_sme.operators.pipelines import (
    AirbyteApplyOperator,
    AirbyteExportOperator,
)
from airflow_provider_airbyte_sme.operators.provisioning import (
    AirbyteCreateInWorkspaceOperator,
    AirbyteCreateOperator,
    AirbyteDeleteInWorkspaceOperator,
    AirbyteDeleteOperator,
    AirbyteResourceLink,
    rendered_flag,
)
from airflow_provider_airbyte_sme.operators.rendering import contains_template, unrendered
from airflow_provider_airbyte_sme.parameters import (
    check_one_is_given,
    check_unless_template,
    validate_flag,
)
from airflow_provider_airbyte_sme.provisioning.connections import validate_connection
from airflow_provider_airbyte_sme.provisioning.declarations import (
    ActorDeclaration,
    PipelineConnection,
    TagDeclaration,
    UpdateSecrets,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.parsing import (
    parse_actor,
    parse_connection,
    parse_tag,
    parse_workspace,
)
from airflow_provider_airbyte_sme.provisioning.results import ResourceResult

__all__ = [
    "AirbyteApplyOperator",
    "AirbyteCreateConnectionOperator",
    "AirbyteCreateDestinationOperator",
    "AirbyteCreateSourceOperator",
    "AirbyteCreateTagOperator",
    "AirbyteCreateWorkspaceOperator",
    "AirbyteDeleteConnectionOperator",
    "AirbyteDeleteDestinationOperator",
    "AirbyteDeleteSourceOperator",
    "AirbyteDeleteTagOperator",
    "AirbyteDeleteWorkspaceOperator",
    "AirbyteExportOperator",
    "AirbyteListConnectionsOperator",
    "AirbyteResourceLink",
]

Streams = Literal["all"] | str | Sequence[str | Mapping[str, Any]]


class AirbyteCreateWorkspaceOperator(AirbyteCreateOperator):
    """
    Create a workspace, or change it to what is declared.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteCreateOperator`.

    :param notifications: What to notify about and how, in Airbyte's format; not given: unchanged.
        (templated)
    :param region_id: UUID of its region; not given: unchanged. (templated)
    """

    template_fields: Sequence[str] = (
        *AirbyteCreateOperator.template_fields,
        *("notifications", "region_id"),
    )
    kind = "workspace"
    declared = ("name", "notifications", "region_id")

    def __init__(
        self,
        *,
        notifications: Mapping[str, Any] | None = None,
        region_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Whoever knows the URL of a webhook can post to it.
        self.notifications = unrendered(notifications)
        self.region_id = region_id
        self._check_declaration()

    def _parse(self, arguments: Mapping[str, Any]) -> WorkspaceDeclaration:
        return parse_workspace(arguments)

    async def _ensure(self, declaration: WorkspaceDeclaration) -> tuple[ResourceResult, str]:
        result = await self._provisioner.ensure_workspace(declaration, if_exists=self.if_exists)
        return result, result.resource_id


class _CreateActorOperator(AirbyteCreateInWorkspaceOperator):
    """Base class of what brings a source or destination about."""

    kind: ClassVar[ActorKind]

    def __init__(
        self,
        *,
        configuration: Mapping[str, Any] | str,
        definition_id: str | None = None,
        update_secrets: UpdateSecrets = "when_changed",
        resource_allocation: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.configuration = unrendered(configuration)
        self.definition_id = definition_id
        self.update_secrets = update_secrets
        self.resource_allocation = resource_allocation

    def _parse(self, arguments: Mapping[str, Any]) -> ActorDeclaration:
        return parse_actor(self.kind, arguments)

    async def _ensure(self, declaration: ActorDeclaration) -> tuple[ResourceResult, str]:
        workspace_id = await self._find_id_of_workspace()
        result = await self._provisioner.ensure_actor(
            declaration, workspace_id, if_exists=self.if_exists
        )
        return result, workspace_id


_ACTOR_PARAMETERS = (
    *("name", "definition_id", "update_secrets", "resource_allocation"),
    "configuration",
)
_ACTOR_TEMPLATE_FIELDS = (
    *AirbyteCreateInWorkspaceOperator.template_fields,
    *(name for name in _ACTOR_PARAMETERS if name != "name"),
)


class AirbyteCreateSourceOperator(_CreateActorOperator):
    """
    Create a source, or change it to what is declared.

    Its configuration is checked against the specification of its connector before anything is
    written. Only declared keys are compared with what Airbyte has. Which of them are secret is in
    the specification: their values are masked in Airflow, and written only if they changed since
    this provider wrote them last, or if somebody else wrote them. To know that, it keeps keyed
    fingerprints in the Airflow variable ``airbyte_sme_fingerprints_<source_id>``.

    *configuration* is not rendered before the task runs, so that no secret in it is stored or shown
    by Airflow: it shows the templates.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteCreateInWorkspaceOperator`.

    :param configuration: As the connector wants it. Take secrets from Airflow connections and
        variables: ``{"password": "{{ conn.warehouse.password }}"}``. Every template in it is
        rendered to text, also in a DAG with ``render_template_as_native_obj``, and converted where
        the connector wants something else. (templated)
    :param source_type: Its connector, such as ``postgres``. (templated)
    :param definition_id: UUID of the connector's definition, instead. (templated)
    :param update_secrets: When to write secrets that exist: ``when_changed``, ``always`` or
        ``never``. (templated)
    :param resource_allocation: CPU and memory of its jobs, in Airbyte's format; not given:
        unchanged. (templated)
    """

    template_fields: Sequence[str] = (*_ACTOR_TEMPLATE_FIELDS, "source_type")
    kind = "source"
    declared = (*_ACTOR_PARAMETERS, "source_type")

    def __init__(self, *, source_type: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source_type = source_type
        self._check_declaration()


class AirbyteCreateDestinationOperator(_CreateActorOperator):
    """
    Create a destination, or change it to what is declared.

    All is as in :class:`AirbyteCreateSourceOperator`.

    :param configuration: As the connector wants it. (templated)
    :param destination_type: Its connector, such as ``postgres``. (templated)
    :param definition_id: UUID of the connector's definition, instead. (templated)
    :param update_secrets: When to write secrets that exist: ``when_changed``, ``always`` or
        ``never``. (templated)
    :param resource_allocation: CPU and memory of its jobs, in Airbyte's format; not given:
        unchanged. (templated)
    """

    template_fields: Sequence[str] = (*_ACTOR_TEMPLATE_FIELDS, "destination_type")
    kind = "destination"
    declared = (*_ACTOR_PARAMETERS, "destination_type")

    def __init__(self, *, destination_type: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.destination_type = destination_type
        self._check_declaration()


class AirbyteCreateTagOperator(AirbyteCreateInWorkspaceOperator):
    """
    Create a tag, or change it to what is declared.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteCreateInWorkspaceOperator`.

    :param color: Hexadecimal RGB, such as ``75DCFF``; not given: unchanged. (templated)
    """

    template_fields: Sequence[str] = (*AirbyteCreateInWorkspaceOperator.template_fields, "color")
    kind = "tag"
    declared = ("name", "color")

    def __init__(self, *, color: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.color = color
        self._check_declaration()

    def _parse(self, arguments: Mapping[str, Any]) -> TagDeclaration:
        return parse_tag(arguments)

    async def _ensure(self, declaration: TagDeclaration) -> tuple[ResourceResult, str]:
        workspace_id = await self._find_id_of_workspace()
        result = await self._provisioner.ensure_tag(
            declaration, workspace_id, if_exists=self.if_exists
        )
        return result, workspace_id


class AirbyteCreateConnectionOperator(AirbyteCreateInWorkspaceOperator):
    """
    Create a connection, or change it to what is declared.

    Source and destination are given by their ids, or by their names in the workspace. With the id
    of the source, the workspace can be left out.

    What is not given stays as it is in Airbyte; in a new connection, it has Airbyte's default, and
    the schedule is manual, because the DAG starts the syncs.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteCreateInWorkspaceOperator`.

    :param streams: ``"all"`` that the source offers, or a list of names and dicts with ``name``,
        ``namespace``, ``sync_mode``, ``cursor_field``, ``primary_key``, ``selected_fields`` and
        ``mappers``. Like the configuration of a source, it is not rendered before the task runs,
        because mappers may have keys that are secret. (templated)
    :param source_id: UUID of its source. (templated)
    :param source: Name of its source, instead. (templated)
    :param destination_id: UUID of its destination. (templated)
    :param destination: Name of its destination, instead. (templated)
    :param schedule: ``manual``, or a Quartz cron expression in UTC. (templated)
    :param namespace_definition: ``source``, ``destination`` or ``custom_format``. (templated)
    :param namespace_format: With ``custom_format``, such as ``raw_${SOURCE_NAMESPACE}``.
        (templated)
    :param prefix: What the names of the tables begin with. (templated)
    :param tags: Names of its tags. Those that do not exist are created. (templated)
    :param status: ``active`` or ``inactive``; not given: what Airbyte disabled stays disabled.
        (templated)
    :param schema_changes: ``ignore``, ``disable_connection``, ``propagate_columns`` or
        ``propagate_fully``. (templated)
    :param allow_state_loss: Whether the sync mode of a stream may change although Airbyte then
        deletes the state of its syncs. (templated)
    :param exact: Whether streams, fields and tags that are not given are removed. (templated)
    """

    kind = "connection"
    declared = (
        *("name", "source_id", "source", "destination_id", "destination", "streams", "schedule"),
        *("namespace_definition", "namespace_format", "prefix", "tags", "status"),
        *("schema_changes", "allow_state_loss", "exact"),
    )
    template_fields: Sequence[str] = (
        *AirbyteCreateInWorkspaceOperator.template_fields,
        *declared[1:],  # the name is there
    )
    parents = ("workspace_id", "source_id", "destination_id")

    def __init__(
        self,
        *,
        streams: Streams,
        source_id: str | None = None,
        source: str | None = None,
        destination_id: str | None = None,
        destination: str | None = None,
        schedule: str | None = None,
        namespace_definition: str | None = None,
        namespace_format: str | None = None,
        prefix: str | None = None,
        tags: Sequence[str] | str | None = None,
        status: str | None = None,
        schema_changes: str | None = None,
        allow_state_loss: bool | str = False,
        exact: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.streams = unrendered(streams)
        self.source_id = source_id
        self.source = source
        self.destination_id = destination_id
        self.destination = destination
        self.schedule = schedule
        self.namespace_definition = namespace_definition
        self.namespace_format = namespace_format
        self.prefix = prefix
        self.tags = tags
        self.status = status
        self.schema_changes = schema_changes
        self.allow_state_loss = allow_state_loss
        self.exact = exact
        self._check_declaration()

    @property
    def _needs_workspace(self) -> bool:
        given = [value for value in self._workspace_ways.values() if value is not None]
        return bool(given) or self.source_id is None

    def _check_workspace(self) -> None:
        if self._needs_workspace:
            check_one_is_given(**self._workspace_ways)

    def _validate_workspace(self) -> None:
        if self._needs_workspace:
            super()._validate_workspace()

    def _parse(self, arguments: Mapping[str, Any]) -> PipelineConnection:
        connection = parse_connection(arguments)
        if not contains_template(arguments):
            validate_connection(connection.declaration)
        return connection

    async def _ensure(self, connection: PipelineConnection) -> tuple[ResourceResult, str]:
        workspace_id = await self._find_id_of_workspace()
        declaration = replace(
            connection.declaration,
            source_id=await self._actor_id("source", connection.source, workspace_id),
            destination_id=await self._actor_id(
                "destination", connection.destination, workspace_id
            ),
        )
        result = await self._provisioner.ensure_connection(
            declaration, workspace_id, if_exists=self.if_exists
        )
        return result, workspace_id

    async def _find_id_of_workspace(self) -> str:
        if self._needs_workspace:
            return await super()._find_id_of_workspace()
        source = await self._provisioner.inventory.client.sources.get(str(self.source_id))
        return source.workspace_id

    async def _actor_id(self, kind: ActorKind, reference: str, workspace_id: str) -> str:
        if is_uuid(reference):
            return reference
        return (await self._provisioner.inventory.actor(kind, reference, workspace_id)).id


class AirbyteDeleteWorkspaceOperator(AirbyteDeleteOperator):
    """
    Delete a workspace, and first its connections, sources and destinations.

    Airbyte itself would delete only some of them, and forget the others. Its other parameters and
    its result are those of :class:`~.operators.provisioning.AirbyteDeleteOperator`.

    :param workspace_id: UUID of the workspace. (templated)
    :param cascade: Whether to delete what is in it. If not, only an empty workspace is deleted.
        (templated)
    """

    template_fields: Sequence[str] = (
        *AirbyteDeleteOperator.template_fields,
        *("workspace_id", "cascade"),
    )
    kind = "workspace"

    def __init__(
        self, *, workspace_id: str | None = None, cascade: bool | str = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.workspace_id = workspace_id
        self.cascade = check_unless_template(validate_flag, cascade, "cascade")
        self._check_reference()

    @property
    def _cascades(self) -> bool:
        return rendered_flag(self.cascade, "cascade")


class _DeleteActorOperator(AirbyteDeleteInWorkspaceOperator):
    """Base class of what deletes a source or destination."""

    template_fields: Sequence[str] = (
        *AirbyteDeleteInWorkspaceOperator.template_fields,
        "cascade",
    )

    def __init__(self, *, cascade: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cascade = check_unless_template(validate_flag, cascade, "cascade")

    @property
    def _cascades(self) -> bool:
        return rendered_flag(self.cascade, "cascade")


class AirbyteDeleteSourceOperator(_DeleteActorOperator):
    """
    Delete a source.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteDeleteInWorkspaceOperator`.

    :param source_id: UUID of the source. (templated)
    :param cascade: Whether to delete its connections too. If not, a source with connections is not
        deleted, and the error names them. (templated)
    """

    template_fields: Sequence[str] = (*_DeleteActorOperator.template_fields, "source_id")
    kind = "source"

    def __init__(self, *, source_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source_id = source_id
        self._check_reference()


class AirbyteDeleteDestinationOperator(_DeleteActorOperator):
    """
    Delete a destination.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteDeleteInWorkspaceOperator`.

    :param destination_id: UUID of the destination. (templated)
    :param cascade: Whether to delete its connections too. If not, a destination with connections is
        not deleted, and the error names them. (templated)
    """

    template_fields: Sequence[str] = (*_DeleteActorOperator.template_fields, "destination_id")
    kind = "destination"

    def __init__(self, *, destination_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.destination_id = destination_id
        self._check_reference()


class AirbyteDeleteConnectionOperator(AirbyteDeleteInWorkspaceOperator):
    """
    Delete a connection. Airbyte cancels its running job; the data in the destination stays.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteDeleteInWorkspaceOperator`.

    :param connection_id: UUID of the connection. (templated)
    """

    template_fields: Sequence[str] = (
        *AirbyteDeleteInWorkspaceOperator.template_fields,
        "connection_id",
    )
    kind = "connection"

    def __init__(self, *, connection_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connection_id = connection_id
        self._check_reference()


class AirbyteDeleteTagOperator(AirbyteDeleteInWorkspaceOperator):
    """
    Delete a tag. The connections that have it stay.

    Its other parameters and its result are those of
    :class:`~.operators.provisioning.AirbyteDeleteInWorkspaceOperator`.

    :param tag_id: UUID of the tag. (templated)
    """

    template_fields: Sequence[str] = (*AirbyteDeleteInWorkspaceOperator.template_fields, "tag_id")
    kind = "tag"

    def __init__(self, *, tag_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag_id = tag_id
        self._check_reference()
