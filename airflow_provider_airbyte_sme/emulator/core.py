"""
The server as a function: state, time and a request in, a response out.

The steps are those of the real server, in its order (``docs/airbyte-api.md`` §1, §2, §6):

1. a path outside the API: a page of the web application
2. the security filter: 401
3. an unknown route (403) or method (405), a body that is too large (413) or of the wrong type (415)
4. the handler: it binds parameters and body (400), checks the role (403), and does the work
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator.access import Access
from airflow_provider_airbyte_sme.emulator.binding import Query
from airflow_provider_airbyte_sme.emulator.clock import Clock
from airflow_provider_airbyte_sme.emulator.context import RequestContext
from airflow_provider_airbyte_sme.emulator.job_lists import JobLists
from airflow_provider_airbyte_sme.emulator.jobs import JobEngine
from airflow_provider_airbyte_sme.emulator.pages import page
from airflow_provider_airbyte_sme.emulator.problems import (
    HateoasError,
    OpaqueError,
    RejectionError,
    html_response,
)
from airflow_provider_airbyte_sme.emulator.routing import Match, Route, RouteTable
from airflow_provider_airbyte_sme.emulator.settings import Settings
from airflow_provider_airbyte_sme.emulator.stream_states import write_after_job
from airflow_provider_airbyte_sme.emulator.webhooks import disabled_notification, job_notification
from airflow_provider_airbyte_sme.emulator.world import Connection, Job, User, World

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 10 * 1024 * 1024  # §1

# Every path without one of these prefixes is a page of the web application: §1.
_NON_PAGE_PREFIXES = ("/api", "/assets", "/fonts", "/routes", "/scim")


class Core:
    """
    One emulated server, without sockets and threads.

    :param routes: Every operation that it serves.
    :param send_webhook: Called with the URL and the body of each notification.
    :param on_attempt: As for :class:`~airflow_provider_airbyte_sme.emulator.jobs.JobEngine`.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        settings: Settings,
        *,
        routes: Iterable[Route],
        send_webhook: Callable[[str, Mapping[str, Any]], None],
        on_attempt: Callable[[Job], None] | None = None,
    ) -> None:
        self.world = world
        self.clock = clock
        self.settings = settings
        self.send_webhook = send_webhook
        self.last_origin = ""
        self._routes = RouteTable(routes)
        self.access = Access(
            world, auth_mode=settings.auth_mode, token_lifetime=settings.token_lifetime
        )
        self.job_lists = JobLists()
        self.jobs = JobEngine(
            world,
            clock,
            sync_duration=settings.sync_duration,
            rows=settings.rows,
            retry_policy=settings.retry_policy,
            on_terminal=self._end_job,
            on_disabled=self._notify_of_disabling,
            on_attempt=on_attempt,
        )

    def _end_job(self, job: Job) -> None:
        write_after_job(self.world.connections[job.connection_id], job)
        if notification := job_notification(self.world, job, self.airbyte_url):
            self.send_webhook(*notification)

    def _notify_of_disabling(self, connection: Connection) -> None:
        if notification := disabled_notification(self.world, connection):
            self.send_webhook(*notification)

    @property
    def airbyte_url(self) -> str:
        """The server's own base URL: the setting, or else the origin of the last request."""
        return self.settings.airbyte_url or self.last_origin

    def match(self, request: HttpRequest) -> Match:
        """Find the operation that *request* is for."""
        return self._routes.match(request.method.upper(), urlsplit(request.url).path)

    def respond(self, request: HttpRequest, match: Match) -> HttpResponse:
        """Handle *request* and return its response; errors become responses too."""
        url = urlsplit(request.url)
        path = url.path or "/"
        try:
            self.jobs.settle()
            self.last_origin = f"{url.scheme}://{url.netloc}"
            response = self._respond(request, path, url.query, match)
            # A job that the request created starts only now, so the response says `pending`.
            self.jobs.settle()
        except RejectionError as rejection:
            return _rejection_response(rejection, request, path)
        except Exception:
            # As Airbyte does: the message goes to the server's log, never to the client (§6.3).
            log.exception("Uncaught exception in %s %s", request.method, path)
            return OpaqueError(500).response(path)
        return response

    def _respond(self, request: HttpRequest, path: str, query: str, match: Match) -> HttpResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not path.startswith(_NON_PAGE_PREFIXES):
            # [inf] the web application is a static resource: only GET and HEAD are allowed
            if request.method.upper() in ("GET", "HEAD"):
                return page(self.world, path, query)
            raise HateoasError(405, _not_allowed(request.method, path))
        caller = self._authenticate(headers, match)
        if match.route is None:
            if match.known_path:
                raise HateoasError(405, _not_allowed(request.method, path))
            if self.settings.auth_mode == "none":
                # Plain text with a JSON content type: §1.
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
            RequestContext(
                parameters=match.parameters,
                query=Query(query),
                headers=headers,
                raw_body=body,
                caller=caller,
                world=self.world,
                clock=self.clock,
                settings=self.settings,
                access=self.access,
                jobs=self.jobs,
                job_lists=self.job_lists,
                airbyte_url=self.airbyte_url,
                send_webhook=self.send_webhook,
            )
        )

    def _authenticate(self, headers: Mapping[str, str], match: Match) -> User | None:
        """
        Return the calling user, as the security filter does.

        :return: ``None``: the route needs no token, or the token's user no longer exists.
        :raises HateoasError: 401: the token is missing or invalid.
        """
        if self.settings.auth_mode == "none":
            return next(u for u in self.world.users.values() if self.access.is_instance_admin(u))
        if match.route is not None and not match.route.needs_token:
            return None
        user, is_valid = self.access.user_of(headers.get("authorization"), now=self.clock.time())
        if not is_valid:
            raise HateoasError(401)
        return user


def too_large(size: int) -> HateoasError:
    """Reject a body of *size* bytes; [inf] micronaut-http ``ContentLengthExceededException``."""
    return HateoasError(
        413,
        f"The content length [{size}] exceeds the maximum allowed content length "
        f"[{MAX_BODY_BYTES}]",
    )


def _rejection_response(rejection: RejectionError, request: HttpRequest, path: str) -> HttpResponse:
    accept = next((v for k, v in request.headers.items() if k.lower() == "accept"), "")
    # The framework's own errors are HTML for a client that accepts HTML but not JSON: §2.6.
    if isinstance(rejection, HateoasError) and "text/html" in accept and "json" not in accept:
        document = f"<!doctype html><title>{rejection.message}</title>".encode()
        return html_response(rejection.status, document)
    return rejection.response(path)


def _not_allowed(method: str, path: str) -> str:
    return f"Method [{method.upper()}] not allowed for URI [{path}]."
