"""
The whole server as a function: state and time in, response out.

The order of things is the real one: web pages for what is no API, then the security filter (401
before anything else), then the binding of parameters and body (400), then the roles (403), then
the handler.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator import access as roles
from airflow_provider_airbyte_sme.emulator.access import Access, AuthMode
from airflow_provider_airbyte_sme.emulator.binding import (
    Body,
    Query,
    Reader,
    UnreadableError,
    parse_json,
    path_value,
    uuid_text,
)
from airflow_provider_airbyte_sme.emulator.clock import Clock
from airflow_provider_airbyte_sme.emulator.jobs import JobEngine, RetryPolicy
from airflow_provider_airbyte_sme.emulator.operations import OPERATIONS
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    KnownError,
    OpaqueError,
    RefusalError,
    forbidden,
    html_response,
    not_found,
)
from airflow_provider_airbyte_sme.emulator.routing import Match, RouteTable
from airflow_provider_airbyte_sme.emulator.webhooks import disabled_notification, job_notification
from airflow_provider_airbyte_sme.emulator.world import (
    Actor,
    ActorKind,
    Connection,
    Job,
    User,
    Workspace,
    World,
)

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 10 * 1024 * 1024  # airbyte-platform application.yml, max-request-size

# airbyte-platform WebappFilter.kt: everything else is a page of the web application.
_NO_PAGES = ("/api", "/assets", "/fonts", "/routes", "/scim")

_TABLE = RouteTable(OPERATIONS)


@dataclass(frozen=True)
class Settings:
    """
    What an operator of Airbyte could have set otherwise.

    :param airbyte_url: The server's idea of its own address, without a trailing slash; ``None``:
        the address that the request came to. Pagination links and tokens carry it.
    :param version: Older ones behave like v2.0.0 where that differs.
    """

    auth_mode: AuthMode = "oidc"
    edition: Literal["community", "pro", "enterprise", "trial"] = "enterprise"
    version: str = "2.1.0"
    airbyte_url: str | None = None
    token_lifetime: float = 900.0
    sync_duration: float = 5.0
    rows: int = 100
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def is_legacy(self) -> bool:
        """Whether the version is v2.0.0 or older."""
        numbers = [int(part) for part in self.version.split(".")[:2] if part.isdecimal()]
        return bool(numbers) and numbers <= [2, 0]


@dataclass(frozen=True)
class Call:
    """One request on its way through a handler."""

    core: Core
    method: str
    path: str
    parameters: Mapping[str, str]
    query: Query
    headers: Mapping[str, str]
    raw_body: bytes
    caller: User | None

    @property
    def world(self) -> World:
        """Everything that this Airbyte knows."""
        return self.core.world

    @property
    def user(self) -> User:
        """
        Return who is calling.

        :raises KnownError: 401: the token is good, but its user is gone.
        """
        if self.caller is None:
            raise KnownError(
                401, "Could not get the current Airbyte user due to an internal error."
            )
        return self.caller

    @property
    def now(self) -> float:
        """The current instant, in seconds since the epoch."""
        return self.core.clock.time()

    @property
    def airbyte_url(self) -> str:
        """The server's idea of its own address."""
        return self.core.airbyte_url

    @property
    def is_instance_admin(self) -> bool:
        """Whether the caller may do everything."""
        return self.core.access.is_instance_admin(self.user)

    def public_url(self, resource: str) -> str:
        """Return the URL of a list, as pagination links carry it (``AIRBYTE_API_HOST``)."""
        return f"{self.airbyte_url}/api/public/v1/{resource}"

    def body(self, model: Body) -> dict[str, Any]:
        """
        Read the request's JSON body.

        :raises HateoasError: 400: it does not fit *model*.
        """
        return model.read(self.raw_body)

    def unbound(self, name: str) -> Any:
        """
        Return a field of the body before the body is bound, as the security filter sees it.

        :return: ``None``: there is none. airbyte-platform AuthorizationServerHandler.kt
        """
        try:
            fields = parse_json(self.raw_body)
        except ValueError:
            return None
        return fields.get(name) if isinstance(fields, dict) else None

    def unbound_id(self, name: str) -> str:
        """Return the id in a field of the unbound body, or an empty text."""
        value = self.unbound(name)
        return value.lower() if isinstance(value, str) else ""

    def path_value(self, name: str, reader: Reader) -> Any:
        """
        Return a part of the path as *reader* reads it.

        :raises HateoasError: 400: it is of another kind. [inf]
        """
        return path_value(name, self.parameters[name], reader)

    def secure(self, workspace_id: str | None, *wanted: str) -> None:
        """
        Let the call pass if the caller has one of the *wanted* roles: ``@Secured`` on a method.

        :param workspace_id: ``None`` or unknown: it cannot be resolved.
        :raises HateoasError: 403, before the body is bound.
        """
        if workspace_id in self.world.workspaces:
            if not self.has_role(workspace_id, *wanted):
                raise HateoasError(403)
        elif not self.is_instance_admin:
            raise HateoasError(403)

    def require_in_organization(self, organization_id: str, wanted: str) -> None:
        """
        Let the call pass if the caller has the *wanted* role in the organization.

        :raises ProblemError: 403.
        """
        held = self.core.access.organization_roles(self.user, organization_id.lower())
        if wanted not in held:
            raise forbidden(wanted)

    def has_role(self, workspace_id: str, *wanted: str) -> bool:
        """Whether the caller has one of the *wanted* roles in a workspace."""
        return not self.core.access.workspace_roles(self.user, workspace_id).isdisjoint(wanted)

    def require(self, workspace_id: str | None, *wanted: str, name: str | None = None) -> None:
        """
        Let the call pass if the caller has one of the *wanted* roles in the workspace.

        :param workspace_id: ``None`` when it cannot be resolved, which only an instance
            administrator survives. airbyte-platform RoleResolver.kt.
        :param name: The role that the refusal names.
        :raises ProblemError: 403.
        """
        if workspace_id is None:
            if not self.is_instance_admin:
                raise forbidden(name)
        elif not self.has_role(workspace_id, *wanted):
            raise forbidden(name)

    def connection(self, connection_id: str, *wanted: str, name: str | None = None) -> Connection:
        """
        Return a connection that the caller may use.

        :raises ProblemError: 403, or 404 for an instance administrator.
        """
        found = self.world.connections.get(connection_id.lower())
        self.require(found.workspace_id if found else None, *wanted, name=name)
        if found is None:
            raise _unknown("STANDARD_SYNC", connection_id)
        return found

    def actor(self, kind: ActorKind, actor_id: str, *wanted: str, name: str | None = None) -> Actor:
        """
        Return a source or destination that the caller may use.

        :raises ProblemError: 403, or 404 for an instance administrator.
        """
        found = self.world.actors(kind).get(actor_id.lower())
        self.require(found.workspace_id if found else None, *wanted, name=name)
        if found is None:
            raise _unknown(f"{kind.upper()}_CONNECTION", actor_id)
        return found

    def workspace(self, workspace_id: str, *wanted: str, name: str | None = None) -> Workspace:
        """
        Return a workspace that the caller may use.

        :raises ProblemError: 403, or 404 for an instance administrator.
        """
        found = self.world.workspaces.get(workspace_id.lower())
        self.require(found.id if found else None, *wanted, name=name)
        if found is None:
            raise _unknown("STANDARD_WORKSPACE", workspace_id)
        return found

    def readable_workspaces(self) -> list[str]:
        """
        Return the ids that a list covers: those asked for, or all that the caller may read.

        :raises ProblemError: 403: one of those asked for may not be read.
        """
        asked = self.query.uuids("workspaceIds")
        if asked:
            for workspace_id in asked:
                known = self.world.workspaces.get(workspace_id)
                self.require(known.id if known else None, roles.READER)
            return asked
        return [w for w in self.world.workspaces if self.has_role(w, roles.READER)]


def _unknown(resource_type: str, resource_id: str) -> RefusalError:
    try:
        return not_found(resource_type, uuid_text(resource_id))
    except UnreadableError:
        # [inf] only instance administrators come here: the conversion's exception is uncaught.
        return OpaqueError(500)


class Core:
    """
    One Airbyte.

    :param send_webhook: Takes each notification, with the URL that it is for.
    :param on_attempt: Told of each attempt whose data something else moves.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        settings: Settings,
        *,
        send_webhook: Callable[[str, Mapping[str, Any]], None],
        on_attempt: Callable[[Job], None] | None = None,
    ) -> None:
        self.world = world
        self.clock = clock
        self.settings = settings
        self.send_webhook = send_webhook
        self.last_origin = ""
        self.access = Access(
            world, auth_mode=settings.auth_mode, token_lifetime=settings.token_lifetime
        )
        self.jobs = JobEngine(
            world,
            clock,
            sync_duration=settings.sync_duration,
            rows=settings.rows,
            retry_policy=settings.retry_policy,
            on_terminal=self._announce_end,
            on_disabled=self._announce_disabled,
            on_attempt=on_attempt,
        )

    def end_connection(self, connection: Connection) -> None:
        """Delete a connection: its row stays, what runs on it ends ([inf] cancelled)."""
        connection.status = "deprecated"
        if self.jobs.active_job(connection.id) is not None:
            self.jobs.cancel(connection.id)

    def _announce_end(self, job: Job) -> None:
        if notification := job_notification(self.world, job, self.airbyte_url):
            self.send_webhook(*notification)

    def _announce_disabled(self, connection: Connection) -> None:
        if notification := disabled_notification(self.world, connection):
            self.send_webhook(*notification)

    @property
    def airbyte_url(self) -> str:
        """The server's idea of its own address: set, or learnt from the last request."""
        return self.settings.airbyte_url or self.last_origin

    def match(self, request: HttpRequest) -> Match:
        """Find the operation that *request* is for."""
        return _TABLE.match(request.method.upper(), urlsplit(request.url).path)

    def respond(self, request: HttpRequest, match: Match) -> HttpResponse:
        """Answer *request*; whatever it is, there is an answer."""
        url = urlsplit(request.url)
        path = url.path or "/"
        try:
            self.jobs.settle()
            self.last_origin = f"{url.scheme}://{url.netloc}"
            response = self._respond(request, path, url.query, match)
            # What the request started begins now, after its answer was written down.
            self.jobs.settle()
        except RefusalError as refusal:
            return _acceptable(refusal, request, path)
        except Exception:
            # Airbyte's UncaughtExceptionHandler: the text goes to the server's log only.
            logger.exception("Uncaught exception in %s %s", request.method, path)
            return OpaqueError(500).response(path)
        return response

    def _respond(self, request: HttpRequest, path: str, query: str, match: Match) -> HttpResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not _is_below(path, _NO_PAGES):
            # [inf] the web application is a static resource: nothing but GET and HEAD.
            if request.method.upper() in ("GET", "HEAD"):
                return html_response(200)
            raise HateoasError(405, _not_allowed(request.method, path))
        caller = self._security_filter(headers, match)
        if match.route is None:
            if match.known_path:
                raise HateoasError(405, _not_allowed(request.method, path))
            if self.settings.auth_mode == "none":
                # airbyte-platform NotFoundController.kt: bare text that calls itself JSON.
                return HttpResponse(404, {"content-type": "application/json"}, b"Object not found.")
            raise HateoasError(403)
        body = request.body or b""
        if len(body) > MAX_BODY_BYTES:
            raise too_large(len(body))
        if request.method.upper() in ("POST", "PUT", "PATCH"):
            content_type = headers.get("content-type", "application/json").partition(";")[0]
            if content_type.strip().lower() not in match.route.consumes:
                allowed = list(match.route.consumes)
                raise HateoasError(
                    415, f"Content Type [{content_type}] not allowed. Allowed types: {allowed}"
                )
        return match.route.handler(
            Call(
                core=self,
                method=request.method.upper(),
                path=path,
                parameters=match.parameters,
                query=Query(query),
                headers=headers,
                raw_body=body,
                caller=caller,
            )
        )

    def _security_filter(self, headers: Mapping[str, str], match: Match) -> User | None:
        if self.settings.auth_mode == "none":
            return next(u for u in self.world.users.values() if self.access.is_instance_admin(u))
        if match.route is not None and not match.route.needs_token:
            return None
        user, is_valid = self.access.user_of(headers.get("authorization"), now=self.clock.time())
        if not is_valid:
            raise HateoasError(401)
        return user


def too_large(size: int) -> HateoasError:
    """Refuse a body of *size* bytes; [inf] micronaut ``ContentLengthExceededException``."""
    return HateoasError(
        413,
        f"The content length [{size}] exceeds the maximum allowed content length "
        f"[{MAX_BODY_BYTES}]",
    )


def _acceptable(refusal: RefusalError, request: HttpRequest, path: str) -> HttpResponse:
    accept = next((v for k, v in request.headers.items() if k.lower() == "accept"), "")
    # micronaut-security DefaultAuthorizationExceptionHandler: a page for whoever wants only pages.
    if isinstance(refusal, HateoasError) and "text/html" in accept and "json" not in accept:
        page = f"<!doctype html><title>{refusal.message}</title>".encode()
        return html_response(refusal.status, page)
    return refusal.response(path)


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path.startswith(prefix) for prefix in prefixes)


def _not_allowed(method: str, path: str) -> str:
    return f"Method [{method.upper()}] not allowed for URI [{path}]."
