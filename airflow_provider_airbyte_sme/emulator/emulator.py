"""The emulator as tests use it: a world to prepare, faults to order, faces to serve it."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

from airflow_provider_airbyte_sme.api.errors import AirbyteTransportError
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator import persistence, seeding
from airflow_provider_airbyte_sme.emulator.access import INSTANCE_ADMIN, AuthMode
from airflow_provider_airbyte_sme.emulator.clock import TimeMode, make_clock
from airflow_provider_airbyte_sme.emulator.core import Core, Settings
from airflow_provider_airbyte_sme.emulator.dataplane import (
    DataPlane,
    SyncContext,
    outcome_of,
    sync_context,
)
from airflow_provider_airbyte_sme.emulator.faults import Fault, Faults, fault_response
from airflow_provider_airbyte_sme.emulator.jobs import RetryPolicy
from airflow_provider_airbyte_sme.emulator.operations import OPERATIONS
from airflow_provider_airbyte_sme.emulator.problems import WEBAPP_PAGE, html_response
from airflow_provider_airbyte_sme.emulator.recording import RecordedRequest, record
from airflow_provider_airbyte_sme.emulator.routing import Match
from airflow_provider_airbyte_sme.emulator.webhooks import deliver
from airflow_provider_airbyte_sme.emulator.world import Actor, Connection, Failure, Job, World

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.memory import MemoryTransport
    from airflow_provider_airbyte_sme.emulator.server import Server

logger = logging.getLogger(__name__)

_ROUTE_NAMES = frozenset(route.name for route in OPERATIONS)
_LONGEST_LOG = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a face has to do about a request.

    :param response: ``None``: close the connection without an answer.
    :param delay: Seconds until the answer goes out.
    """

    response: HttpResponse | None
    delay: float


class Emulator:
    """
    One Airbyte, without its cluster.

    All methods can be called from any thread.

    :param time: ``real``: jobs take their time. ``manual``: the clock stands still until
        :meth:`advance`, or a sleep on :meth:`transport`, moves it. ``instant``: nothing takes
        time, so a job is over when it is first read.
    :param sync_duration: Seconds that a sync runs.
    :param rows: Records that a sync commits.
    :param token_lifetime: Seconds that a token is good for.
    :param latency: Seconds that each answer takes over HTTP.
    :param threads: How many requests to the public API are served at once over HTTP, as
        ``PUBLIC_API_EXECUTOR_THREADS`` of airbyte-server; ``None``: any number.
    :param on_sync: Moves real data: called in a thread of its own with a :class:`SyncContext` for
        each attempt of a job that no script is for. The job runs until it returns a
        :class:`SyncResult`, or raises: then the attempt has failed.
    :param state_file: Where the world is kept over restarts; read if it is there.
    :param seed: The world to begin with, or the path of a JSON file with it: see
        :func:`~airflow_provider_airbyte_sme.emulator.seeding.new_world`.
    :param instance_admin: Whether the first application belongs to an instance administrator, who
        is told of unknown ids what others are not (404 instead of 403).
    :param auth_mode: ``oidc`` (Keycloak), ``generic-oidc`` (database), ``simple`` or ``none``:
        they refuse wrong credentials in different ways.
    :param version: Airbyte's version; v2.0.0 and older start jobs and list them differently.
    :param airbyte_url: What the server believes its address to be; pagination links carry it. The
        default is the address that the request came to.
    :param retry_policy: When failed attempts are made again, and after how long.
    :param start: Where a manual clock begins; the default is now.
    :raises ValueError: A setting means nothing, or a file cannot be read.
    """

    #: Called with every request, its answer and the route's name, whichever emulator gave it; for
    #: test suites that check answers against the published contract. Injected faults are left out.
    observers: ClassVar[list[Callable[[HttpRequest, HttpResponse, str | None], None]]] = []

    def __init__(
        self,
        *,
        time: TimeMode = "real",
        sync_duration: float = 5.0,
        rows: int = 100,
        token_lifetime: float = 900.0,
        latency: float = 0.0,
        threads: int | None = 5,
        on_sync: DataPlane | None = None,
        state_file: str | Path | None = None,
        seed: Mapping[str, Any] | str | Path | None = None,
        instance_admin: bool = False,
        auth_mode: AuthMode = "oidc",
        version: str = "2.1.0",
        airbyte_url: str | None = None,
        retry_policy: RetryPolicy | None = None,
        start: datetime | None = None,
    ) -> None:
        _check_settings(sync_duration, rows, token_lifetime, latency, threads)
        self.latency = latency
        self.threads = threads
        self.clock = make_clock(time, start)
        self._lock = threading.RLock()
        self._faults = Faults()
        self._log: deque[RecordedRequest] = deque(maxlen=_LONGEST_LOG)
        self._watchers: list[Callable[[], None]] = []
        self._server: Server | None = None
        self._state_file = None if state_file is None else Path(state_file)
        if isinstance(seed, str | Path):
            seed = persistence.read_json_object(Path(seed))
        # The one application of simple mode, and the nobody of no authentication, may do anything.
        may_do_anything = instance_admin or auth_mode in ("simple", "none")
        role = INSTANCE_ADMIN if may_do_anything else "organization_admin"
        world = None if self._state_file is None else persistence.load(self._state_file)
        if world is None:
            world = seeding.new_world(seed or {}, role=role, now=self.clock.time())
        # Attempts of an earlier process go on in threads, which have to wait until all is there.
        with self._lock:
            self._core = Core(
                world,
                self.clock,
                Settings(
                    auth_mode=auth_mode,
                    version=version,
                    airbyte_url=airbyte_url.rstrip("/") if airbyte_url else None,
                    token_lifetime=token_lifetime,
                    sync_duration=sync_duration,
                    rows=rows,
                    retry_policy=retry_policy or RetryPolicy(),
                ),
                send_webhook=self._send_webhook,
                on_attempt=partial(self._start_attempt, world, on_sync) if on_sync else None,
            )
            self._save()
            # Everybody may have deleted their applications; somebody has to be able to log in.
            if not world.applications:
                seeding.add_application(world, role, now=self.clock.time())
        self._application = next(iter(world.applications.values()))
        self.workspace_id = next(iter(world.workspaces), "")
        self.source_id = next(iter(world.sources), "")
        self.destination_id = next(iter(world.destinations), "")
        self.connection_id = next(iter(world.connections), "")

    @property
    def client_id(self) -> str:
        """Client id of the first application."""
        return self._application.client_id

    @property
    def client_secret(self) -> str:
        """Client secret of the first application, as it is now."""
        return self._application.client_secret

    @property
    def now(self) -> datetime:
        """The current instant, in UTC."""
        return datetime.fromtimestamp(self.clock.time(), UTC)

    @property
    def url(self) -> str:
        """
        Where it is served.

        :raises RuntimeError: It is not served.
        """
        if self._server is None:
            raise RuntimeError("the emulator has an address only inside `with emulator.serve():`")
        return self._server.url

    @property
    def connection_uri(self) -> str:
        """
        Value for ``AIRFLOW_CONN_AIRBYTE_SME_DEFAULT`` that leads to the served emulator.

        :raises RuntimeError: It is not served.
        """
        return self.connection_uri_for(self.url)

    def connection_uri_for(
        self,
        url: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        **extra: str,
    ) -> str:
        """
        Return an Airflow connection as a URI.

        :param url: Where the emulator is reached.
        :param extra: Further fields, as ``request_timeout="5"``.
        """
        login = quote(client_id or self.client_id, safe="")
        password = quote(client_secret or self.client_secret, safe="")
        query = f"/?{urlencode(extra)}" if extra else ""
        return f"airbyte-sme://{login}:{password}@{quote(url, safe='')}{query}"

    def answer(self, request: HttpRequest) -> Answer:
        """Carry *request* out, or let happen to it what was ordered; for the faces."""
        reads_only = request.method.upper() in ("GET", "HEAD")
        with self._lock:
            revision = self._core.jobs.revision
            match = self._core.match(request)
            route = None if match.route is None else match.route.name
            fault = self._faults.take(route)
            answer = self._answer(request, match, route, fault)
            status = None if answer.response is None else answer.response.status
            recorded = record(
                request,
                route=route,
                status=status,
                at=self.clock.time(),
                fault=None if fault is None else fault.kind,
            )
            self._log.append(recorded)
            if not reads_only or self._core.jobs.revision != revision:
                self._save()
        self._notify()
        logger.debug("%s %s %s", recorded.method, recorded.path, status or "dropped")
        return answer

    def _answer(
        self, request: HttpRequest, match: Match, route: str | None, fault: Fault | None
    ) -> Answer:
        if fault is not None and not fault.executes:
            return Answer(fault.response and self._dated(fault.response), delay=0.0)
        response = self._dated(self._core.respond(request, match))
        if fault is not None:
            return Answer(None if fault.kind == "drop_after" else response, delay=fault.seconds)
        for observer in self.observers:
            observer(request, response, route)
        return Answer(response, delay=0.0)

    def _dated(self, response: HttpResponse) -> HttpResponse:
        """Add the server's time, as Micronaut does by default [inf: ``date-header``]."""
        date = format_datetime(datetime.fromtimestamp(self.clock.time(), UTC), usegmt=True)
        return replace(response, headers={"date": date, **response.headers})

    def respond(self, request: HttpRequest) -> HttpResponse:
        """
        Answer *request* at once: state and clock in, response out.

        :raises AirbyteTransportError: The answer was ordered to be lost (:meth:`drop_next`).
        """
        answer = self.answer(request)
        if answer.response is None:
            raise AirbyteTransportError("The emulator closed the connection.", request_sent=True)
        return answer.response

    def transport(self) -> MemoryTransport:
        """Return a transport for the client that reaches this emulator without any network."""
        from airflow_provider_airbyte_sme.emulator.memory import MemoryTransport

        return MemoryTransport(self)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> Server:
        """
        Return a server for a ``with`` statement: real sockets, in a thread of its own.

        :param port: 0: any that is free.
        """
        from airflow_provider_airbyte_sme.emulator.server import Server

        return Server(self, host, port)

    def advance(self, seconds: float) -> None:
        """
        Move a manual clock forward, and everything that happens meanwhile with it.

        :raises RuntimeError: Time is not manual, so it cannot be moved.
        """
        with self._lock:
            self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is due by now."""
        with self._lock:
            revision = self._core.jobs.revision
            self._core.jobs.settle()
            if self._core.jobs.revision == revision:
                return
            self._save()
        self._notify()

    @property
    def next_due(self) -> float | None:
        """When the next thing happens by the clock, in seconds since the epoch."""
        with self._lock:
            return self._core.jobs.next_due

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked so far, the oldest first (the last 10,000)."""
        with self._lock:
            return list(self._log)

    def clear_requests(self) -> None:
        """Forget what was asked so far."""
        with self._lock:
            self._log.clear()

    @property
    def jobs(self) -> Mapping[int, Job]:
        """Every job by its number, as it is now; for looking at, not for changing."""
        self.settle()
        with self._lock:
            return dict(self._core.world.jobs)

    @property
    def connections(self) -> Mapping[str, Connection]:
        """Every connection by its id; for looking at, not for changing."""
        with self._lock:
            return dict(self._core.world.connections)

    @property
    def sources(self) -> Mapping[str, Actor]:
        """Every source by its id, with its secrets; for looking at, not for changing."""
        with self._lock:
            return dict(self._core.world.sources)

    @property
    def destinations(self) -> Mapping[str, Actor]:
        """Every destination by its id, with its secrets; for looking at, not for changing."""
        with self._lock:
            return dict(self._core.world.destinations)

    def add_workspace(self, name: str = "Workspace", **fields: Any) -> str:
        """Add a workspace and return its id; *fields* as in :func:`seeding.add_workspace`."""
        with self._change():
            return seeding.add_workspace(self._core.world, name, **fields).id

    def add_source(self, name: str = "Source", **fields: Any) -> str:
        """Add a source and return its id; *fields* as in :func:`seeding.add_actor`."""
        with self._change():
            return seeding.add_actor(
                self._core.world,
                "source",
                name,
                now=self.clock.time(),
                **{"connector": "faker", **fields},
            ).id

    def add_destination(self, name: str = "Destination", **fields: Any) -> str:
        """Add a destination and return its id; *fields* as in :func:`seeding.add_actor`."""
        with self._change():
            return seeding.add_actor(
                self._core.world,
                "destination",
                name,
                now=self.clock.time(),
                **{"connector": "duckdb", **fields},
            ).id

    def add_connection(
        self, name: str = "Connection", *, status: str = "active", **fields: Any
    ) -> str:
        """
        Add a connection and return its id.

        :param status: ``active``, ``inactive``, ``deprecated`` or ``locked``.
        :param fields: As in :func:`seeding.add_connection`: without ``source_id`` and
            ``destination_id``, between the first source and the first destination.
        """
        with self._change():
            return seeding.add_connection(
                self._core.world, name, now=self.clock.time(), status=status, **fields
            ).id

    def set_connection_status(self, connection_id: str, status: str) -> None:
        """
        Change what somebody in the UI, or Airbyte itself, would change.

        :raises ValueError: There is no such connection or status.
        """
        if status not in seeding.CONNECTION_STATUSES:
            raise ValueError(f"status must be one of {seeding.CONNECTION_STATUSES}")
        with self._change():
            self._connection(connection_id).status = status

    def add_application(
        self, role: str, *, workspace_id: str | None = None, name: str = "Application"
    ) -> tuple[str, str]:
        """
        Add a user with one role and an application of that user.

        :param role: A permission type: ``workspace_reader``, ``workspace_runner``,
            ``organization_editor``, ``instance_admin`` and so on.
        :param workspace_id: Where a workspace role is given; the default is the first workspace.
        :return: Client id and client secret.
        """
        with self._change():
            application = seeding.add_application(
                self._core.world,
                role,
                now=self.clock.time(),
                workspace_id=workspace_id,
                name=name,
            )
        return application.client_id, application.client_secret

    def script_job(
        self,
        connection_id: str | None = None,
        *,
        statuses: Iterable[tuple[str, float | None]] | None = None,
        outcome: str = "succeeded",
        rows: int | None = None,
        bytes: int | None = None,  # noqa: A002  Airbyte's own word
        failure: Mapping[str, Any] | None = None,
        attempts: int | None = None,
        duration: float | None = None,
    ) -> None:
        """
        Say how the next job of a connection goes; several calls are for several jobs.

        :param connection_id: The default is the first connection.
        :param statuses: Each status with its seconds, as ``[("queued", 30), ("running", 60),
            ("succeeded", None)]``. ``None`` is for ever: a job whose last status is not terminal
            stays there until it is cancelled or :meth:`finish_job` ends it. A status that Airbyte
            does not know may be among them.
        :param outcome: Instead of *statuses*: ``succeeded``, ``failed`` or ``cancelled``.
        :param rows: Records that it commits; the default is the emulator's for a success.
        :param bytes: Their size; the default is 128 each.
        :param failure: What failed attempts fail with: ``message``, ``origin``, ``type``,
            ``internal_message``. The default type, ``config_error``, is not tried again.
        :param attempts: How many there are; the default is what the retry policy makes of it.
        :param duration: Seconds that each attempt runs; the default is the emulator's.
        :raises ValueError: Airbyte would never go that way; the message says where.
        """
        with self._change():
            connection = self._connection(connection_id)
            plan = self._core.jobs.plan(
                statuses=statuses,
                outcome=outcome,
                rows=rows,
                size=bytes,
                failure=None if failure is None else Failure.from_mapping(failure),
                attempts=attempts,
                duration=duration,
            )
            self._core.world.scripts.setdefault(connection.id, []).append(plan)

    def start_sync(self, connection_id: str | None = None) -> int:
        """
        Start a sync as somebody else would: a schedule, a person in the UI.

        :return: The new job's number.
        :raises RuntimeError: The connection has a job that has not ended.
        """
        with self._change():
            connection = self._connection(connection_id)
            if self._core.jobs.active_job(connection.id) is not None:
                raise RuntimeError(f"connection {connection.id} has a job that has not ended")
            job = self._core.jobs.start_sync(connection)
            self._core.jobs.settle()
            return job.id

    def finish_job(
        self,
        job_id: int,
        status: str = "succeeded",
        *,
        rows: int | None = None,
        bytes: int | None = None,  # noqa: A002  Airbyte's own word
    ) -> None:
        """
        End a job now.

        :raises KeyError: There is no such job.
        :raises ValueError: It has ended already, or *status* is not terminal.
        """
        with self._change():
            self._core.jobs.settle()
            self._core.jobs.finish(self._core.world.jobs[job_id], status, rows, bytes)

    def cancel_job(self, job_id: int) -> None:
        """Cancel a job as somebody in the UI would; errors as in :meth:`finish_job`."""
        self.finish_job(job_id, "cancelled")

    def fail_next(
        self,
        route: str,
        status: int = 503,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Mapping[str, object] | None = None,
    ) -> None:
        """
        Answer the next requests with an error instead of doing what they ask for.

        :param route: As ``GET /jobs/{jobId}``, the internal API's with its full path, or ``*``.
        :param times: How many requests; ``None``: all until :meth:`clear_faults`.
        :param body: The default is what Airbyte, or an ingress, sends with *status*.
        :raises ValueError: There is no such route.
        """
        response = fault_response(status, headers or {}, body)
        self._order(Fault(route, "answer", times, response=response))

    def html_next(self, route: str, times: int | None = 1, status: int = 200) -> None:
        """Answer the next requests with a web page; parameters as in :meth:`fail_next`."""
        response = html_response(status, WEBAPP_PAGE)
        self._order(Fault(route, "answer", times, response=response))

    def hang_next(self, route: str, seconds: float, times: int | None = 1) -> None:
        """
        Carry the next requests out at once, but answer only after *seconds*.

        In memory, a request whose time-out is shorter fails with it.
        """
        self._order(Fault(route, "delay", times, seconds=seconds))

    def drop_next(self, route: str, times: int | None = 1, *, after: bool = True) -> None:
        """
        Close the connection of the next requests without an answer.

        :param after: Whether the request is carried out before.
        """
        self._order(Fault(route, "drop_after" if after else "drop_before", times))

    def clear_faults(self) -> None:
        """Forget what was to go wrong and has not yet."""
        with self._lock:
            self._faults.clear()

    def revoke_tokens(self) -> None:
        """Make every token that is out there invalid."""
        with self._change():
            self._core.world.signing_key = secrets.token_hex(32)

    def rotate_secret(self) -> str:
        """
        Give the first application another secret.

        :return: The new secret. Tokens that are out there stay valid.
        """
        with self._change():
            self._application.client_secret = secrets.token_urlsafe(24)
            return self._application.client_secret

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """
        Call *watcher* after every request and every change, in the thread that brought it.

        :return: A function that ends that.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def served_by(self, server: Server | None) -> None:
        """Take note of who serves it; for the server."""
        self._server = server
        if server is not None:
            self._core.last_origin = server.url

    def _order(self, fault: Fault) -> None:
        with self._lock:
            self._faults.add(fault, _ROUTE_NAMES)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock, and say afterwards that something is different."""
        with self._lock:
            yield
            self._save()
        self._notify()

    def _save(self) -> None:
        if self._state_file is not None:
            persistence.save(self._state_file, self._core.world)

    def _notify(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()

    def _connection(self, connection_id: str | None) -> Connection:
        wanted = self.connection_id if connection_id is None else connection_id
        connection = self._core.world.connections.get(wanted)
        if connection is None:
            raise ValueError(f"there is no connection {wanted!r}")
        return connection

    def _send_webhook(self, url: str, body: Mapping[str, Any]) -> None:
        threading.Thread(
            target=deliver, args=(url, body), name="airbyte-emulator-webhook", daemon=True
        ).start()

    def _start_attempt(self, world: World, on_sync: DataPlane, job: Job) -> None:
        threading.Thread(
            target=self._move_data,
            args=(on_sync, sync_context(world, job)),
            name=f"airbyte-emulator-job-{job.id}",
            daemon=True,
        ).start()

    def _move_data(self, on_sync: DataPlane, context: SyncContext) -> None:
        outcome = outcome_of(on_sync, context)
        with self._change():
            self._core.jobs.complete_attempt(context.job_id, context.attempt_number, outcome)


def _check_settings(
    sync_duration: float, rows: int, token_lifetime: float, latency: float, threads: int | None
) -> None:
    for name, value, lowest in (
        ("sync_duration", sync_duration, 0),
        ("rows", rows, 0),
        ("token_lifetime", token_lifetime, 1),
        ("latency", latency, 0),
        ("threads", 1 if threads is None else threads, 1),
    ):
        if not value >= lowest:
            raise ValueError(f"{name} must be {lowest} or more, not {value}")
