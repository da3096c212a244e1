"""One request inside its handler: role checks (``docs/airbyte-api.md`` §2.7) and lookups (§4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_airbyte_sme.emulator.access import READER, Access
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    ConversionError,
    Query,
    Reader,
    parse_json,
    path_value,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.clock import Clock
from airflow_provider_airbyte_sme.emulator.job_lists import JobLists
from airflow_provider_airbyte_sme.emulator.jobs import JobEngine
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    KnownError,
    OpaqueError,
    RejectionError,
    forbidden,
    not_found,
)
from airflow_provider_airbyte_sme.emulator.settings import Settings
from airflow_provider_airbyte_sme.emulator.world import (
    Actor,
    ActorKind,
    Connection,
    User,
    Workspace,
    World,
)


@dataclass(frozen=True)
class RequestContext:
    """
    One request, and the parts of the server that its handler works on.

    :param parameters: The parameters of the path, percent-decoded.
    :param headers: Headers with names in lower case.
    :param caller: ``None``: the route needs no token, or the token's user no longer exists.
    :param airbyte_url: The server's own base URL, without a trailing slash.
    :param send_webhook: Sends a notification, given its URL and its body.
    """

    parameters: Mapping[str, str]
    query: Query
    headers: Mapping[str, str]
    raw_body: bytes
    caller: User | None
    world: World
    clock: Clock
    settings: Settings
    access: Access
    jobs: JobEngine
    job_lists: JobLists
    airbyte_url: str
    send_webhook: Callable[[str, Mapping[str, Any]], None]

    @property
    def user(self) -> User:
        """
        Return the calling user.

        :raises KnownError: 401: the token is valid, but its user no longer exists (§2.6).
        """
        if self.caller is None:
            raise KnownError(
                401, "Could not get the current Airbyte user due to an internal error."
            )
        return self.caller

    @property
    def now(self) -> float:
        """The current time, in seconds since the epoch."""
        return self.clock.time()

    @property
    def is_instance_admin(self) -> bool:
        """Whether the caller is an instance administrator, who has every role."""
        return self.access.is_instance_admin(self.user)

    def public_url(self, resource: str) -> str:
        """Return the URL of a list as pagination links have it (``AIRBYTE_API_HOST``, §7)."""
        return f"{self.airbyte_url}/api/public/v1/{resource}"

    def body(self, model: Body) -> dict[str, Any]:
        """
        Bind the request's JSON body to *model*.

        :raises HateoasError: 400: the body does not match *model*.
        """
        return model.read(self.raw_body)

    def raw_field(self, name: str) -> Any:
        """
        Return a field of the body before binding, as the security filter reads it.

        :return: ``None`` if there is no such field, or the body is not a JSON object.
        """
        try:
            fields = parse_json(self.raw_body)
        except ValueError:
            return None
        return fields.get(name) if isinstance(fields, dict) else None

    def raw_id(self, name: str) -> str:
        """Return the id in a field of the body before binding; empty if there is none."""
        value = self.raw_field(name)
        return value.lower() if isinstance(value, str) else ""

    def path_value(self, name: str, reader: Reader) -> Any:
        """
        Return a path parameter, converted by *reader*.

        :raises HateoasError: 400: the conversion failed. [inf]
        """
        return path_value(name, self.parameters[name], reader)

    def require_secured(self, workspace_id: str | None, *allowed: str) -> None:
        """
        Check roles as ``@Secured`` on a controller's method does: before the body is bound.

        :param workspace_id: ``None`` or unknown: only an instance administrator passes.
        :param allowed: Roles of which the caller needs one.
        :raises HateoasError: 403.
        """
        if workspace_id in self.world.workspaces:
            if not self.has_role(workspace_id, *allowed):
                raise HateoasError(403)
        elif not self.is_instance_admin:
            raise HateoasError(403)

    def require_in_organization(self, organization_id: str, role: str) -> None:
        """
        Check that the caller has *role* in an organization.

        :raises ProblemError: 403.
        """
        held = self.access.organization_roles(self.user, organization_id.lower())
        if role not in held:
            raise forbidden(role)

    def has_role(self, workspace_id: str, *allowed: str) -> bool:
        """Whether the caller has one of the *allowed* roles in a workspace."""
        return not self.access.workspace_roles(self.user, workspace_id).isdisjoint(allowed)

    def require(self, workspace_id: str | None, *allowed: str, named: str | None = None) -> None:
        """
        Check roles as ``RoleResolver`` does: inside the handler.

        :param workspace_id: ``None``: the workspace of the resource cannot be resolved, so only
            an instance administrator passes (§4.1).
        :param allowed: Roles of which the caller needs one.
        :param named: The role that the error names, if it names one.
        :raises ProblemError: 403.
        """
        if workspace_id is None:
            if not self.is_instance_admin:
                raise forbidden(named)
        elif not self.has_role(workspace_id, *allowed):
            raise forbidden(named)

    def connection(self, connection_id: str, *allowed: str, named: str | None = None) -> Connection:
        """
        Return a connection, after the role check of :meth:`require`.

        :raises ProblemError: 403; for an instance administrator 404.
        """
        found = self.world.connections.get(connection_id.lower())
        self.require(found.workspace_id if found else None, *allowed, named=named)
        if found is None:
            raise _unknown("STANDARD_SYNC", connection_id)
        return found

    def actor(
        self, kind: ActorKind, actor_id: str, *allowed: str, named: str | None = None
    ) -> Actor:
        """
        Return a source or a destination, after the role check of :meth:`require`.

        :raises ProblemError: 403; for an instance administrator 404.
        """
        found = self.world.actors(kind).get(actor_id.lower())
        self.require(found.workspace_id if found else None, *allowed, named=named)
        if found is None:
            raise _unknown(f"{kind.upper()}_CONNECTION", actor_id)
        return found

    def workspace(self, workspace_id: str, *allowed: str, named: str | None = None) -> Workspace:
        """
        Return a workspace, after the role check of :meth:`require`.

        :raises ProblemError: 403; for an instance administrator 404; for a deleted one 404.
        """
        found = self.world.workspaces.get(workspace_id.lower())
        self.require(found.id if found else None, *allowed, named=named)
        if found is None or found.deleted:
            raise _unknown("STANDARD_WORKSPACE", workspace_id)
        return found

    def readable_workspace_ids(self) -> list[str]:
        """
        Return the ids of the workspaces that a list covers.

        These are those of ``workspaceIds``, or without it all that the caller may read and that are
        not deleted.

        :raises ProblemError: 403: the caller may not read one of ``workspaceIds``.
        """
        requested = self.query.uuids("workspaceIds")
        if requested:
            for workspace_id in requested:
                known = self.world.workspaces.get(workspace_id)
                self.require(known.id if known else None, READER)
            return requested
        active = (w.id for w in self.world.workspaces.values() if not w.deleted)
        return [workspace_id for workspace_id in active if self.has_role(workspace_id, READER)]

    def delete_connection(self, connection: Connection) -> None:
        """
        Delete a connection: it stays readable, without a workflow.

        [inf] Its active job is cancelled.
        """
        connection.status = "deprecated"
        if self.jobs.active_job(connection.id) is not None:
            self.jobs.cancel(connection.id)
        connection.has_workflow = False


def _unknown(resource_type: str, resource_id: str) -> RejectionError:
    try:
        return not_found(resource_type, uuid_text(resource_id))
    except ConversionError:
        # [inf] only for instance administrators: the server does not catch the failed conversion
        return OpaqueError(500)
