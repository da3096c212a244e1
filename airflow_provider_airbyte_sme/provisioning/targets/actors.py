"""Sources and destinations as targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from airflow_provider_airbyte_sme.api.models import Actor, ConnectorSpecification
from airflow_provider_airbyte_sme.provisioning.actors import (
    check_connector,
    plan_actor,
    plan_creation,
)
from airflow_provider_airbyte_sme.provisioning.configuration import validate_configuration
from airflow_provider_airbyte_sme.provisioning.declarations import ActorDeclaration
from airflow_provider_airbyte_sme.provisioning.results import Plan
from airflow_provider_airbyte_sme.provisioning.schemas import (
    coordinates_of,
    secret_paths,
    secret_values,
)
from airflow_provider_airbyte_sme.provisioning.targets.base import Context, Target


class _Checked(NamedTuple):
    """
    A declaration that fits the specification of its connector.

    :param secrets: The declared secrets by path.
    """

    declaration: ActorDeclaration
    specification: ConnectorSpecification
    secrets: Mapping[str, Any]


class ActorTarget(Target[Actor]):
    """
    A declared source or destination: docs/airbyte-api.md §4.2.

    :param workspace_id: UUID of its workspace.
    """

    def __init__(self, context: Context, declaration: ActorDeclaration, workspace_id: str) -> None:
        super().__init__(context, declaration.name, declaration.resource_id)
        self.kind = declaration.kind
        self._declaration = declaration
        self._workspace_id = workspace_id
        self._actors = context.inventory.actors_of(declaration.kind)
        self._policy = declaration.update_secrets
        self._checked: _Checked | None = None

    def created_at(self, actual: Actor) -> int:
        """Return when it was created, in seconds."""
        return actual.created_at

    async def check(self, actual: Actor | None = None) -> _Checked:
        """
        Return the declaration as its connector wants it.

        :param actual: The existing resource, if any.
        :raises AirbyteDeclarationError: It does not fit, with all the violations.
        """
        declaration = replace(self._declaration, definition_id=await self._definition_id(actual))
        if actual is not None:
            check_connector(declaration, actual)
        if self._checked is None:
            self._checked = await self._check(declaration)
        return self._checked

    async def _check(self, declaration: ActorDeclaration) -> _Checked:
        specification = await self._context.inventory.specification(
            declaration.kind, declaration.definition_id, self._workspace_id
        )
        configuration = validate_configuration(declaration, specification)
        secrets = secret_paths(specification.schema, configuration)
        self._context.hide(secret_values(specification.schema, configuration))
        return _Checked(replace(declaration, configuration=configuration), specification, secrets)

    async def plan_creation(self) -> Plan:
        """Return what to send to create it."""
        checked = await self.check()
        plan = plan_creation(
            checked.declaration, checked.declaration.configuration, checked.specification
        )
        return plan._replace(payload={**plan.payload, "workspaceId": self._workspace_id})

    async def plan(self, actual: Actor) -> Plan:
        """Return what to send so that *actual* becomes what is declared."""
        checked = await self.check(actual)
        coordinates: Mapping[str, str] = {}
        if checked.secrets and self._policy == "when_changed":
            coordinates = await self._coordinates(actual, checked.specification)
        verdicts = self._context.judge(actual.id, checked.secrets, coordinates, self._policy)
        return plan_actor(checked.declaration, actual, checked.specification, verdicts)

    async def create(self, plan: Plan) -> Actor:
        """Create it, with one request."""
        actor: Actor = await self._actors.create(plan.payload, secrets=plan.secrets)
        return actor

    async def update(self, actual: Actor, plan: Plan) -> Actor:
        """Change it, with one request."""
        write = self._actors.replace if plan.replaces else self._actors.update
        actor: Actor = await write(actual.id, plan.payload, secrets=plan.secrets)
        return actor

    async def read(self, actual: Actor) -> Actor:
        """Read it again."""
        actor: Actor = await self._actors.get(actual.id)
        return actor

    async def note_written(self, actual: Actor, plan: Plan) -> None:
        """Remember the secrets in *plan*, which Airbyte has confirmed."""
        if "configuration" not in plan.payload:
            return
        specification = (await self.check(actual)).specification
        # Not plan.secrets, which lacks what no message has to hide, such as an empty password.
        written = secret_paths(specification.schema, plan.payload["configuration"])
        if not written:
            return
        coordinates = await self._coordinates(actual, specification)
        self._context.note(actual.id, written, coordinates)
        if self._policy == "always":  # once per run
            self._policy = "when_changed"

    async def delete(self, actual: Actor) -> None:
        """Delete a duplicate that this run created."""
        await self._actors.delete(actual.id)

    async def _list(self, *, fresh: bool) -> Sequence[Actor]:
        return await self._context.inventory.actors(
            self._declaration.kind, self._workspace_id, fresh=fresh
        )

    async def _definition_id(self, actual: Actor | None) -> str:
        declaration = self._declaration
        if declaration.definition_id:
            return declaration.definition_id
        if actual is not None and actual.connector == declaration.connector:
            return actual.definition_id
        return await self._context.inventory.definition_id(
            declaration.kind, declaration.connector, self._workspace_id
        )

    async def _coordinates(
        self, actual: Actor, specification: ConnectorSpecification
    ) -> Mapping[str, str]:
        """Return where Airbyte stores each secret now; empty if it does not tell."""
        shown = await self._actors.get(actual.id, include_secret_coordinates=True)
        return coordinates_of(specification.schema, shown.configuration)
