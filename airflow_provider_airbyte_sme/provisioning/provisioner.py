"""Brings declared resources about, one by one or as a whole pipeline, and deletes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from airflow_provider_airbyte_sme.api.client import AirbyteClient
from airflow_provider_airbyte_sme.api.errors import (
    AirbyteBadRequestError,
    AirbyteNotFoundError,
    AirbytePermissionError,
)
from airflow_provider_airbyte_sme.api.identifiers import is_uuid
from airflow_provider_airbyte_sme.api.models import ActorKind
from airflow_provider_airbyte_sme.api.resources.base import N
from airflow_provider_airbyte_sme.provisioning.connections import validate_connection
from airflow_provider_airbyte_sme.provisioning.convergence import Convergence
from airflow_provider_airbyte_sme.provisioning.declarations import (
    ActorDeclaration,
    ConnectionDeclaration,
    IfExists,
    PipelineDeclaration,
    TagDeclaration,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.deletion import Deletion, Reference
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteVanishedError,
)
from airflow_provider_airbyte_sme.provisioning.fingerprints import Fingerprints
from airflow_provider_airbyte_sme.provisioning.inventory import NEW_ID, Inventory
from airflow_provider_airbyte_sme.provisioning.results import (
    Action,
    ResourceResult,
)
from airflow_provider_airbyte_sme.provisioning.secrets import SecretStore
from airflow_provider_airbyte_sme.provisioning.targets.actors import ActorTarget
from airflow_provider_airbyte_sme.provisioning.targets.base import Context, Target
from airflow_provider_airbyte_sme.provisioning.targets.connections import ConnectionTarget
from airflow_provider_airbyte_sme.provisioning.targets.tags import TagTarget
from airflow_provider_airbyte_sme.provisioning.targets.workspaces import WorkspaceTarget

log = logging.getLogger(__name__)


class Provisioner:
    """
    Brings declared resources about: reads, compares, and writes only what differs.

    :param client: The client of one Airbyte.
    :param store: Remembers between two runs which secrets were written.
    :param fingerprints: Makes the fingerprints in *store*.
    :param dry_run: Whether to plan only: nothing is written, and no connector is run.
    :param hide: Called with secret values before they are used, so that logs can mask them.
    """

    def __init__(
        self,
        client: AirbyteClient,
        *,
        store: SecretStore,
        fingerprints: Fingerprints,
        dry_run: bool = False,
        hide: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        self.inventory = Inventory(client)
        self._context = Context(self.inventory, store, fingerprints, dry_run, hide or _ignore)
        self._convergence = Convergence(client.session.sleep, dry_run=dry_run)
        self._deletion = Deletion(self.inventory, store, client.session.sleep, dry_run=dry_run)

    async def ensure_workspace(
        self, declaration: WorkspaceDeclaration, *, if_exists: IfExists = "update"
    ) -> ResourceResult:
        """Bring a workspace about."""
        target = WorkspaceTarget(self._context, declaration)
        return _logged(await self._convergence.run(target, if_exists))

    async def ensure_actor(
        self, declaration: ActorDeclaration, workspace_id: str, *, if_exists: IfExists = "update"
    ) -> ResourceResult:
        """Bring a source or destination about."""
        target = ActorTarget(self._context, declaration, workspace_id)
        return _logged(await self._run_in(workspace_id, target, if_exists))

    async def ensure_tag(
        self, declaration: TagDeclaration, workspace_id: str, *, if_exists: IfExists = "update"
    ) -> ResourceResult:
        """Bring a tag about."""
        target = TagTarget(self._context, declaration, workspace_id)
        return _logged(await self._run_in(workspace_id, target, if_exists))

    async def ensure_connection(
        self,
        declaration: ConnectionDeclaration,
        workspace_id: str,
        *,
        if_exists: IfExists = "update",
    ) -> ResourceResult:
        """Bring a connection about, and first the tags that it needs and that do not exist."""
        validate_connection(declaration)
        target = ConnectionTarget(self._context, declaration, workspace_id)
        wanted, tags = declaration.tags or (), list[ResourceResult]()
        # A connection that is refused, or only reused, leaves no tags behind.
        if await self._missing_tags(wanted, workspace_id) and (
            await self._convergence.may_write(target, if_exists)
        ):
            tags = await self._ensure_known_tags(wanted, workspace_id)
        result = await self._run_in(workspace_id, target, if_exists)
        notes = (*(f"The {tag}." for tag in tags), *result.notes)
        return _logged(result._replace(notes=notes))

    async def _run_in(
        self, workspace_id: str, target: Target[N], if_exists: IfExists
    ) -> ResourceResult:
        """
        Bring a resource of a workspace about.

        :raises AirbyteVanishedError: The workspace was deleted meanwhile: of several tasks that
            create one at the same time, all but one delete theirs.
        """
        try:
            return await self._convergence.run(target, if_exists)
        except (AirbyteBadRequestError, AirbyteNotFoundError, AirbytePermissionError) as error:
            workspaces = await self.inventory.workspaces(fresh=True)
            if any(each.workspace_id == workspace_id for each in workspaces):
                raise
            raise AirbyteVanishedError(
                f"Workspace {workspace_id} was deleted while the {target.kind} {target.name!r} "
                f"was created in it, perhaps by a task that had created it at the same time as "
                f"another: run the task again."
            ) from error

    async def delete(self, reference: Reference, *, cascade: bool = False) -> ResourceResult:
        """
        Delete a resource; to delete what is gone succeeds.

        :param cascade: Whether what hangs on it may be deleted too.
        :raises AirbyteInUseError: Others hang on it, and *cascade* is false.
        """
        return _logged(await self._deletion.run(reference, cascade=cascade))

    async def apply(self, pipeline: PipelineDeclaration) -> list[ResourceResult]:
        """
        Bring a whole pipeline about, in the order in which its parts need each other.

        What can be checked before the first write is checked then.

        :return: One result for each declared resource.
        :raises AirbyteDeclarationError: A declaration is invalid; the message has every problem.
        """
        _check_all(pipeline)
        actors = [*pipeline.sources, *pipeline.destinations]
        await self._check_actors(actors, pipeline.workspace)
        workspace = await self.ensure_workspace(pipeline.workspace)
        workspace_id = workspace.resource_id or NEW_ID
        results = [workspace]
        for tag in pipeline.tags:
            results.append(await self.ensure_tag(tag, workspace_id))
        results += await self._ensure_known_tags(_undeclared_tags(pipeline), workspace_id)
        for actor in actors:
            results.append(await self.ensure_actor(actor, workspace_id))
        for connection in pipeline.connections:
            declaration = replace(
                connection.declaration,
                source_id=await self._actor_id("source", connection.source, results),
                destination_id=await self._actor_id("destination", connection.destination, results),
            )
            results.append(await self.ensure_connection(declaration, workspace_id))
        return results

    async def _check_actors(
        self, actors: Sequence[ActorDeclaration], workspace: WorkspaceDeclaration
    ) -> None:
        """
        Check every configuration before the first write.

        :raises AirbyteDeclarationError: Some are invalid; with the problems of all.
        """
        found = await WorkspaceTarget(self._context, workspace).find_all(fresh=False)
        workspace_id = found[0].id if found else NEW_ID
        if not (found or self._context.dry_run or await self.inventory.workspaces()):
            return  # no workspace tells what connectors want
        problems: list[str] = []
        for actor in actors:
            target = ActorTarget(self._context, actor, workspace_id)
            try:
                await target.check(next(iter(await target.find_all(fresh=False)), None))
            except AirbyteDeclarationError as error:
                problems.append(str(error))
            except (AirbyteNotFoundError, AirbytePermissionError):
                # Another workspace may lack a connector that the new one will have.
                if found or self._context.dry_run:
                    raise
        if problems:
            raise AirbyteDeclarationError("The pipeline is invalid", problems)

    async def _ensure_known_tags(
        self, names: Iterable[str], workspace_id: str
    ) -> list[ResourceResult]:
        """Create the tags that do not exist, and return what was done."""
        return [
            await self.ensure_tag(TagDeclaration(name), workspace_id)
            for name in await self._missing_tags(names, workspace_id)
        ]

    async def _missing_tags(self, names: Iterable[str], workspace_id: str) -> list[str]:
        wanted = list(names)
        known = {tag.name for tag in await self.inventory.tags(workspace_id)} if wanted else ()
        return [name for name in wanted if name not in known]

    async def _actor_id(
        self, kind: ActorKind, reference: str, results: Sequence[ResourceResult]
    ) -> str:
        """Return the UUID of a source or destination that a connection of the pipeline names."""
        if is_uuid(reference):
            return reference
        for result in results:
            if result.kind == kind and result.name == reference:
                return result.resource_id or NEW_ID
        actor = await self.inventory.actor(kind, reference, results[0].resource_id)
        return actor.id


def _ignore(secrets: Iterable[str]) -> None:
    """Hide nothing: there is no log but the caller's."""


def _check_all(pipeline: PipelineDeclaration) -> None:
    problems: list[str] = []
    for connection in pipeline.connections:
        try:
            validate_connection(connection.declaration)
        except AirbyteDeclarationError as error:
            problems.append(str(error))
    if problems:
        raise AirbyteDeclarationError("The pipeline is invalid", problems)


def _undeclared_tags(pipeline: PipelineDeclaration) -> list[str]:
    """Return the tags that connections name and that are not declared themselves."""
    names = {name for each in pipeline.connections for name in each.declaration.tags or ()}
    return sorted(names - {tag.name for tag in pipeline.tags})


def _logged(result: ResourceResult) -> ResourceResult:
    """Log a result, and return it."""
    log.info("%s.", result)
    if result.action not in (Action.CREATED, Action.WOULD_CREATE):
        for change in result.changes:
            log.info("  %s", change)
    if result.not_compared:
        log.info("  Not declared, so not compared: %s", ", ".join(result.not_compared))
    for note in result.notes:
        log.info("  %s", note)
    return result
