"""Connections as targets."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from airflow_provider_airbyte_sme.api.errors import AirbyteConfigApiError, AirbyteConfigError
from airflow_provider_airbyte_sme.api.models import (
    ActorKind,
    AirbyteConnection,
    StreamProperties,
    Tag,
)
from airflow_provider_airbyte_sme.api.models.connections import stream_label
from airflow_provider_airbyte_sme.provisioning.connections import (
    mapper_secrets,
    needs_offered_streams,
    plan_connection,
    plan_connection_creation,
    state_losses,
)
from airflow_provider_airbyte_sme.provisioning.declarations import ConnectionDeclaration
from airflow_provider_airbyte_sme.provisioning.inventory import NEW_ID
from airflow_provider_airbyte_sme.provisioning.results import Plan
from airflow_provider_airbyte_sme.provisioning.schedules import is_scheduled
from airflow_provider_airbyte_sme.provisioning.targets.base import Context, Target

log = logging.getLogger(__name__)


class ConnectionTarget(Target[AirbyteConnection]):
    """
    A declared connection: docs/airbyte-api.md §4.3 to §4.5.

    Its declaration has been validated, and its tags exist.

    :param workspace_id: UUID of its workspace.
    """

    kind = "connection"

    def __init__(
        self, context: Context, declaration: ConnectionDeclaration, workspace_id: str
    ) -> None:
        super().__init__(context, declaration.name, declaration.connection_id)
        context.hide(mapper_secrets(declaration).values())
        self._declaration = declaration
        self._workspace_id = workspace_id
        self._client = context.inventory.client

    def created_at(self, actual: AirbyteConnection) -> int:
        """Return when it was created, in seconds."""
        return actual.created_at

    async def plan_creation(self) -> Plan:
        """Return what to send to create it."""
        declaration = self._declaration
        # Airbyte accepts a deleted destination, and its syncs fail: docs/airbyte-api.md §4.3.
        await self._require("source", declaration.source_id)
        await self._require("destination", declaration.destination_id)
        # A dry run must not run the connector, so it does not know what a source offers.
        offered = None if self._context.dry_run else await self._offered()
        plan = plan_connection_creation(declaration, offered, await self._tags())
        return plan._replace(notes=_schedule_notes(declaration, None))

    async def plan(self, actual: AirbyteConnection) -> Plan:
        """Return what to send so that *actual* becomes what is declared."""
        declaration, keys = self._declaration, self._changed_mapper_keys(actual)
        offered = None
        if needs_offered_streams(declaration, actual, changed_mapper_keys=keys):
            offered = await self._known(actual) if self._context.dry_run else await self._offered()
        if not declaration.allow_state_loss and not await self._has_state_to_lose(actual, offered):
            declaration = replace(declaration, allow_state_loss=True)
        plan = plan_connection(
            declaration, actual, offered, await self._tags(), changed_mapper_keys=keys
        )
        return plan._replace(notes=_schedule_notes(declaration, actual))

    async def create(self, plan: Plan) -> AirbyteConnection:
        """Create it, with one request."""
        return await self._client.connections.create(plan.payload, secrets=plan.secrets)

    async def update(self, actual: AirbyteConnection, plan: Plan) -> AirbyteConnection:
        """Change it, with one request."""
        return await self._client.connections.update(
            actual.connection_id, plan.payload, secrets=plan.secrets
        )

    async def read(self, actual: AirbyteConnection) -> AirbyteConnection:
        """Read it again."""
        return await self._client.connections.get(actual.connection_id)

    async def note_written(self, actual: AirbyteConnection, plan: Plan) -> None:
        """Remember the secret keys of mappers in *plan*, which Airbyte has confirmed."""
        if plan.secrets:
            self._context.note(actual.id, mapper_secrets(self._declaration), {})

    async def delete(self, actual: AirbyteConnection) -> None:
        """Delete it."""
        await self._client.connections.delete(actual.connection_id)

    async def _list(self, *, fresh: bool) -> Sequence[AirbyteConnection]:
        return await self._context.inventory.connections(self._workspace_id, fresh=fresh)

    async def _tags(self) -> Mapping[str, Tag]:
        if not self._declaration.tags:
            return {}
        return {tag.name: tag for tag in await self._context.inventory.tags(self._workspace_id)}

    async def _offered(self) -> Sequence[StreamProperties]:
        """Return what the source offers; this may run its connector."""
        return await self._context.inventory.streams(
            self._declaration.source_id, self._declaration.destination_id
        )

    async def _known(self, actual: AirbyteConnection) -> Sequence[StreamProperties]:
        """Return what the source offered when its connector last ran."""
        return await self._client.connections.get_catalog(actual.connection_id)

    async def _require(self, kind: ActorKind, actor_id: str) -> None:
        if actor_id == NEW_ID:
            return
        actors = await self._context.inventory.actors(kind, self._workspace_id)
        if all(each.actor_id != actor_id for each in actors):
            raise AirbyteConfigError(
                f"connection {self.name!r}: workspace {self._workspace_id} has no {kind} "
                f"{actor_id}: it was deleted, or belongs to another workspace."
            )

    async def _has_state_to_lose(
        self, actual: AirbyteConnection, offered: Sequence[StreamProperties] | None
    ) -> bool:
        losses = state_losses(self._declaration, actual, offered)
        if not losses:
            return False
        try:
            state = await self._client.connections.get_state(actual.connection_id)
        except AirbyteConfigApiError as error:
            log.info("Whether there is a state to lose is unknown: %s", error)
            return True
        # A loss is named as the stream is declared, perhaps without its namespace.
        labels = {name for each in state.streams() for name in (each[0], stream_label(*each))}
        return bool(labels & set(losses))

    def _changed_mapper_keys(self, actual: AirbyteConnection) -> Collection[str]:
        """Return the mapper keys to write: Airbyte masks them, and shows no coordinates."""
        declared = mapper_secrets(self._declaration)
        verdicts = self._context.judge(actual.id, declared, {}, "when_changed") if declared else {}
        return {path for path, verdict in verdicts.items() if verdict.writes}


def _schedule_notes(
    declaration: ConnectionDeclaration, actual: AirbyteConnection | None
) -> tuple[str, ...]:
    if not is_scheduled(declaration, actual):
        return ()
    return (
        "Airbyte itself syncs it on a schedule: if a DAG triggers it too, both sync it. Declare "
        "schedule='manual' to leave that to Airflow.",
    )
