"""The emulator's public class: set up its state, script jobs, inject faults, serve it."""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from airflow_provider_airbyte_sme.api.errors import AirbyteTransportError
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.emulator import persistence, seeding
from airflow_provider_airbyte_sme.emulator.access import INSTANCE_ADMIN, AuthMode
from airflow_provider_airbyte_sme.emulator.backend import Delivery, Listener
from airflow_provider_airbyte_sme.emulator.clock import TimeMode, make_clock
from airflow_provider_airbyte_sme.emulator.core import Core
from airflow_provider_airbyte_sme.emulator.dataplane import (
    DataPlane,
    SyncContext,
    run_attempt,
    sync_context,
)
from airflow_provider_airbyte_sme.emulator.discovery import discover
from airflow_provider_airbyte_sme.emulator.faults import Fault
from airflow_provider_airbyte_sme.emulator.injection import FaultInjector
from airflow_provider_airbyte_sme.emulator.job_lists import JobLists
from airflow_provider_airbyte_sme.emulator.jobs import RetryPolicy, rows_of_stream
from airflow_provider_airbyte_sme.emulator.memory import MemoryTransport
from airflow_provider_airbyte_sme.emulator.operations import OPERATIONS
from airflow_provider_airbyte_sme.emulator.pagination import (
    Position,
    move_record,
    shuffle_records,
)
from airflow_provider_airbyte_sme.emulator.recording import InFlight, RecordedRequest, record
from airflow_provider_airbyte_sme.emulator.routing import Match
from airflow_provider_airbyte_sme.emulator.schema_changes import propagate
from airflow_provider_airbyte_sme.emulator.settings import Settings
from airflow_provider_airbyte_sme.emulator.streams import Stream, streams_of
from airflow_provider_airbyte_sme.emulator.webhooks import deliver
from airflow_provider_airbyte_sme.emulator.world import (
    Actor,
    ActorKind,
    Connection,
    Failure,
    Job,
    LogType,
    Statistics,
    World,
)

if TYPE_CHECKING:
    from airflow_provider_airbyte_sme.emulator.server import Server

log = logging.getLogger(__name__)

_MAX_RECORDED_REQUESTS = 10_000

StartableJob = Literal["sync", "reset", "refresh"]


class Emulator(FaultInjector):
    """
    An emulated Airbyte server.

    All methods can be called from any thread.

    :param time: ``real``: jobs take time. ``manual``: the clock stands still until :meth:`advance`
        or a sleep on :meth:`transport` moves it. ``instant``: jobs take no time, so a job has
        finished when it is first read.
    :param sync_duration: How long a sync runs, in seconds.
    :param rows: Number of records that a sync commits.
    :param token_lifetime: How long an access token is valid, in seconds.
    :param latency: Delay before each response over HTTP, in seconds.
    :param date_offset: How far the ``Date`` header of every response is ahead of the emulator's
        clock, in seconds, as with a wrong clock or a proxy that caches; ``None``: no ``Date``, as
        with a proxy that removes it. Can be changed at any time.
    :param threads: Number of public API requests handled at the same time over HTTP, like
        airbyte-server's ``PUBLIC_API_EXECUTOR_THREADS`` (``docs/airbyte-api.md §4.6``); ``None``:
        no limit.
    :param on_sync: Moves real data: called in its own thread with a :class:`SyncContext` for each
        attempt of a job that has no script. The attempt runs until it returns a
        :class:`SyncResult`; if it raises, the attempt has failed.
    :param state_file: File that keeps the state across restarts; loaded if it exists.
    :param seed: Initial state, or the path of a JSON file with it. A mapping with the keys
        ``workspaces``, ``sources``, ``destinations`` and ``connections``: lists with the arguments
        of :meth:`add_workspace`, :meth:`add_source`, :meth:`add_destination` and
        :meth:`add_connection`, of which ``connector`` is required unless there is a
        ``definition_id``; a missing list has one entry. ``definitions``: a list with the arguments
        of :meth:`add_definition`. ``application``: a mapping with ``client_id``, ``client_secret``
        and ``role``.
    :param instance_admin: Whether the first application belongs to an instance administrator, who
        gets 404 for an unknown id where other users get 403.
    :param auth_mode: ``oidc`` (Keycloak), ``generic-oidc`` (database), ``simple`` or ``none``. Each
        mode rejects wrong credentials in its own way.
    :param version: Airbyte version to emulate; 2.0 and older start and list jobs differently.
    :param shortest_schedule: Shortest time between two runs of a cron schedule that the licence
        allows, in minutes; 1 is what a self-managed Airbyte allows by default.
    :param airbyte_url: The server's own base URL, used in links and tokens; the default is the
        address that each request was sent to.
    :param retry_policy: When a failed attempt is retried, and after how long.
    :param start: Initial time of a manual clock; the default is now.
    :raises OSError: The state file cannot be written.
    :raises ValueError: A setting is invalid, or a file cannot be read.
    """

    #: Called with every request to any emulator, its response and the name of its route, except
    #: when a fault was injected. For test suites that check responses against the OpenAPI file.
    observers: ClassVar[list[Callable[[HttpRequest, HttpResponse, str | None], None]]] = []

    def __init__(
        self,
        *,
        time: TimeMode = "real",
        sync_duration: float = 5.0,
        rows: int = 100,
        token_lifetime: float = 900.0,
        latency: float = 0.0,
        date_offset: float | None = 0.0,
        threads: int | None = 5,
        on_sync: DataPlane | None = None,
        state_file: str | Path | None = None,
        seed: Mapping[str, Any] | str | Path | None = None,
        instance_admin: bool = False,
        auth_mode: AuthMode = "oidc",
        version: str = "2.1.0",
        shortest_schedule: Literal[1, 15, 60] = 1,
        airbyte_url: str | None = None,
        retry_policy: RetryPolicy | None = None,
        start: datetime | None = None,
    ) -> None:
        _validate_settings(sync_duration, rows, token_lifetime, latency, threads)
        self.date_offset = date_offset
        self.latency = latency
        self.threads = threads
        self.clock = make_clock(time, start)
        super().__init__((route.name for route in OPERATIONS), threading.RLock())
        #: Requests over HTTP that have been accepted and not answered: their number now, and the
        #: largest since :meth:`clear_requests`.
        self.in_flight = InFlight()
        self._recorded: deque[RecordedRequest] = deque(maxlen=_MAX_RECORDED_REQUESTS)
        self._watchers: list[Callable[[], None]] = []
        self._server: Listener | None = None
        self._state_file = None if state_file is None else Path(state_file)
        if isinstance(seed, str | Path):
            seed = persistence.read_json_object(Path(seed))
        # Simple mode's only application, and every caller without authentication, is an instance
        # administrator (docs/airbyte-api.md §2.1).
        is_admin = instance_admin or auth_mode in ("simple", "none")
        role = INSTANCE_ADMIN if is_admin else "organization_admin"
        world = None if self._state_file is None else persistence.load(self._state_file)
        if world is None:
            world = seeding.new_world(seed or {}, role=role, now=self.clock.time())
        # Attempts of an earlier process resume in threads, which must not use the emulator before
        # it is complete.
        with self._lock:
            self._core = Core(
                world,
                self.clock,
                Settings(
                    auth_mode=auth_mode,
                    version=version,
                    shortest_schedule=shortest_schedule,
                    airbyte_url=airbyte_url.rstrip("/") if airbyte_url else None,
                    token_lifetime=token_lifetime,
                    sync_duration=sync_duration,
                    rows=rows,
                    retry_policy=retry_policy or RetryPolicy(),
                ),
                routes=OPERATIONS,
                send_webhook=self._send_webhook,
                on_attempt=partial(self._start_attempt, world, on_sync) if on_sync else None,
            )
            # The API can delete every application, but somebody must be able to log in.
            if not world.applications:
                seeding.add_application(world, role, now=self.clock.time())
            self._save()
        self._application = next(iter(world.applications.values()))
        self._former_secrets: list[str] = []
        self.workspace_id = next(iter(world.workspaces), "")
        self.source_id = next(iter(world.sources), "")
        self.destination_id = next(iter(world.destinations), "")
        self.connection_id = next(iter(world.connections), "")

    @property
    def client_id(self) -> str:
        """The first application's client id."""
        return self._application.client_id

    @property
    def client_secret(self) -> str:
        """The first application's current client secret."""
        return self._application.client_secret

    @property
    def issued_secrets(self) -> dict[str, str]:
        """
        What must be in no log, XCom or message of a client, by a name for it.

        These are the secrets of all applications, those before a rotation too, and the last 10,000
        access tokens.
        """
        with self._lock:
            applications = self._core.world.applications.values()
            current = {
                f"the secret of {each.client_id}": each.client_secret for each in applications
            }
            former = {f"former secret {n}": each for n, each in enumerate(self._former_secrets, 1)}
            tokens = {
                f"token {n}": each for n, each in enumerate(self._core.access.issued_tokens, 1)
            }
        return {**current, **former, **tokens}

    @property
    def now(self) -> datetime:
        """The current time of the emulator's clock, in UTC."""
        return datetime.fromtimestamp(self.clock.time(), UTC)

    @property
    def url(self) -> str:
        """
        Base URL of the running server.

        :raises RuntimeError: The emulator is not being served.
        """
        if self._server is None:
            raise RuntimeError("the emulator has a URL only inside `with emulator.serve():`")
        return self._server.url

    @property
    def connection_uri(self) -> str:
        """
        Airflow connection URI of the running server, for ``AIRFLOW_CONN_AIRBYTE_SME_DEFAULT``.

        :raises RuntimeError: The emulator is not being served.
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
        Return an Airflow connection URI.

        :param url: Base URL of the emulator.
        :param client_id: The default is the first application's; likewise *client_secret*.
        :param extra: Extra fields of the connection, such as ``request_timeout="5"``.
        """
        login = quote(client_id or self.client_id, safe="")
        password = quote(client_secret or self.client_secret, safe="")
        query = f"/?{urlencode(extra)}" if extra else ""
        return f"airbyte-sme://{login}:{password}@{quote(url, safe='')}{query}"

    def handle(self, request: HttpRequest) -> Delivery:
        """Handle *request*, or apply the injected fault. Used by the server and the transport."""
        with self._lock:
            match = self._core.match(request)
            route = None if match.route is None else match.route.name
            fault = self._faults.take_fault(route)
            recorded = record(
                request,
                route=route,
                status=None,
                at=self.clock.time(),
                fault=None if fault is None else fault.kind,
            )
            self._recorded.append(recorded)
            if fault is not None and fault.kind == "delay_before":
                later = partial(self._handle_later, request, match, recorded, fault)
                delivery = Delivery(delay=fault.seconds, later=later)
            else:
                delivery = self._handle_now(request, match, recorded, fault)
        self._notify()
        return delivery

    def _handle_later(
        self, request: HttpRequest, match: Match, recorded: RecordedRequest, fault: Fault
    ) -> Delivery:
        with self._lock:
            delivery = self._handle_now(request, match, recorded, fault)
        self._notify()
        return replace(delivery, delay=0.0)

    def _handle_now(
        self, request: HttpRequest, match: Match, recorded: RecordedRequest, fault: Fault | None
    ) -> Delivery:
        revision = self._core.jobs.revision
        events = self._faults.take_events(recorded.route)
        for event in events:
            if event.moment == "before":
                event.action()
        response = self._response(request, match, recorded.route, fault)
        for event in events:
            if event.moment == "after":
                event.action()
        status = None if response is None else response.status
        self._set_status(recorded, status)
        if recorded.method not in ("GET", "HEAD") or self._core.jobs.revision != revision:
            self._save()
        log.debug("%s %s %s", recorded.method, recorded.path, status or "dropped")
        if fault is None:
            return Delivery(response)
        return Delivery(response, delay=fault.seconds, pause=fault.pause, cut=fault.cut)

    def _response(
        self, request: HttpRequest, match: Match, route: str | None, fault: Fault | None
    ) -> HttpResponse | None:
        """Handle *request* unless *fault* prevents it, and return what the client gets."""
        if fault is not None and not fault.executes:
            return None if fault.response is None else self._with_date(fault.response)
        response = self._with_date(self._core.respond(request, match))
        if fault is None:
            for observer in self.observers:
                observer(request, response, route)
        elif fault.is_lost:
            return None
        elif fault.response is not None:
            return self._with_date(fault.response)
        elif fault.change is not None:
            return fault.change(response)
        return response

    def _set_status(self, recorded: RecordedRequest, status: int | None) -> None:
        # It is the last one, unless a fault held the request back.
        for index in range(len(self._recorded) - 1, -1, -1):
            if self._recorded[index] is recorded:
                self._recorded[index] = replace(recorded, status=status)
                return

    def _with_date(self, response: HttpResponse) -> HttpResponse:
        """Add a ``Date`` header, as Micronaut does by default ([inf] setting ``date-header``)."""
        if self.date_offset is None:
            return response
        now = datetime.fromtimestamp(self.clock.time() + self.date_offset, UTC)
        return replace(
            response, headers={"date": format_datetime(now, usegmt=True), **response.headers}
        )

    def respond(self, request: HttpRequest) -> HttpResponse:
        """
        Handle *request* and return its response at once, without any delay.

        :raises AirbyteTransportError: A fault dropped the connection (:meth:`drop_next`).
        """
        delivery = self.handle(request)
        if delivery.later is not None:
            delivery = delivery.later()
        if delivery.response is None:
            raise AirbyteTransportError("The emulator closed the connection.", request_sent=True)
        return delivery.response

    def transport(self) -> MemoryTransport:
        """Return a client transport that calls this emulator directly, without sockets."""
        return MemoryTransport(self)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> Server:
        """
        Return an HTTP server that runs in its own thread; use it in a ``with`` statement.

        :param host: Address to listen on.
        :param port: Port to listen on; 0 picks a free port.
        """
        from airflow_provider_airbyte_sme.emulator.server import Server

        return Server(self, host, port)

    def advance(self, seconds: float) -> None:
        """
        Move a manual clock forward and make every status change that is due by then.

        :param seconds: How far to move it, in seconds; 0 or more.
        :raises RuntimeError: The clock is not manual.
        :raises ValueError: *seconds* is negative.
        """
        with self._lock:
            self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Make every status change that is due by now."""
        with self._lock:
            revision = self._core.jobs.revision
            self._core.jobs.settle()
            if self._core.jobs.revision == revision:
                return
            self._save()
        self._notify()

    @property
    def next_due(self) -> float | None:
        """When the next status change is due, in seconds since the epoch, if any."""
        with self._lock:
            return self._core.jobs.next_due

    @property
    def requests(self) -> list[RecordedRequest]:
        """The last 10,000 requests, oldest first."""
        with self._lock:
            return list(self._recorded)

    def clear_requests(self) -> None:
        """Forget all recorded requests, and how many were in flight."""
        with self._lock:
            self._recorded.clear()
            self.in_flight.reset()

    @property
    def job_lists(self) -> JobLists:
        """What ``GET /jobs`` leaves out or ignores; can be changed at any time."""
        return self._core.job_lists

    @property
    def jobs(self) -> Mapping[int, Job]:
        """All jobs by id, in their current state. Do not modify them."""
        self.settle()
        with self._lock:
            return dict(self._core.world.jobs)

    @property
    def connections(self) -> Mapping[str, Connection]:
        """All connections by id. Do not modify them."""
        with self._lock:
            return dict(self._core.world.connections)

    @property
    def sources(self) -> Mapping[str, Actor]:
        """All sources by id, with their secrets in plain text. Do not modify them."""
        with self._lock:
            return dict(self._core.world.sources)

    @property
    def destinations(self) -> Mapping[str, Actor]:
        """All destinations by id, with their secrets in plain text. Do not modify them."""
        with self._lock:
            return dict(self._core.world.destinations)

    def discovers(self, source_id: str) -> int:
        """
        Return how often the connector of a source has run to discover its streams.

        :param source_id: UUID of the source.
        """
        with self._lock:
            catalog = self._core.world.catalogs.get(source_id)
            return 0 if catalog is None else catalog.runs

    def secret_of(self, actor_id: str, path: str) -> str:
        """
        Return a secret of a source or destination as it is stored, in plain text.

        :param path: Names and indexes separated by dots, such as ``tunnel_method.ssh_key``.
        :raises KeyError: The actor is unknown, or its connector stores no secret there.
        """
        with self._lock:
            world = self._core.world
            actor = {**world.sources, **world.destinations}[actor_id]
            if f"/{path.replace('.', '/')}" not in actor.coordinates:
                raise KeyError(f"{actor.kind} {actor_id} has no secret at {path}")
            value: Any = actor.configuration
            for part in path.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            return str(value)

    def fail_check(self, actor_id: str, message: str = "Could not connect.") -> None:
        """
        Make the next connection check of a source or destination report a failure.

        :param message: What the connector says.
        """
        with self._change():
            self._core.world.checks.setdefault(actor_id, []).append(message)

    def fail_check_job(self, actor_id: str) -> None:
        """Make the job of the next connection check fail, so that it has no result."""
        with self._change():
            self._core.world.checks.setdefault(actor_id, []).append(None)

    def add_definition(self, kind: ActorKind, name: str = "Connector", **fields: Any) -> str:
        """
        Add a custom connector and return the id of its definition.

        :param kind: ``source`` or ``destination``.
        :param name: Its name.
        :param fields: ``spec``: JSON schema (draft 7) of its configuration, with ``airbyte_secret``
            on secrets; by default, any object, without secrets. ``streams``: names, or fields of
            :class:`~airflow_provider_airbyte_sme.emulator.streams.Stream`. ``workspace_id``: by
            default that of the first workspace. ``docker_repository``, ``docker_image_tag``.
            ``id``: by default a new UUID.
        :raises ValueError: The workspace is unknown.
        """
        with self._change():
            return seeding.add_definition(self._core.world, kind, name, **fields).id

    def add_workspace(self, name: str = "Workspace", **fields: Any) -> str:
        """
        Add a workspace and return its id.

        :param fields: ``notifications``: as in the public API; by default, those that Airbyte
            gives a new workspace. ``id``: by default a new UUID.
        """
        with self._change():
            return seeding.add_workspace(self._core.world, name, **fields).id

    def add_source(self, name: str = "Source", **fields: Any) -> str:
        """
        Add a source and return its id.

        The configuration is not validated, so a test can use one that the API would reject.

        :param fields: ``connector``: name of a built-in one, by default ``faker``.
            ``definition_id``: instead of that, the id of a definition. ``configuration``: with its
            secrets. ``workspace_id``: by default that of the first workspace. ``streams``: names,
            or fields of :class:`~airflow_provider_airbyte_sme.emulator.streams.Stream`; by default
            those of the connector. ``id``: by default a new UUID.
        :raises ValueError: The connector or the workspace is unknown.
        """
        with self._change():
            return seeding.add_actor(
                self._core.world,
                "source",
                name,
                now=self.clock.time(),
                **{"connector": "faker", **fields},
            ).id

    def add_destination(self, name: str = "Destination", **fields: Any) -> str:
        """
        Add a destination and return its id.

        :param fields: As in :meth:`add_source`, without ``streams``; the default of ``connector``
            is ``duckdb``.
        :raises ValueError: The connector or the workspace is unknown.
        """
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
        Add a connection between a source and a destination.

        :param status: ``active``, ``inactive``, ``deprecated`` or ``locked``.
        :param fields: ``source_id``, ``destination_id``: by default the first of each.
            ``schedule``: as in responses of the public API; by default manual. ``streams``:
            selected ones, as ``StreamConfiguration`` of the public API; by default all, with full
            refresh. ``namespace_definition``: by default ``destination``. ``namespace_format``,
            ``prefix``. ``id``: by default a new UUID.
        :return: Id of the connection.
        :raises ValueError: The status, the source, the destination or a stream is unknown.
        """
        with self._change():
            return seeding.add_connection(
                self._core.world, name, now=self.clock.time(), status=status, **fields
            ).id

    def change_streams(
        self,
        source_id: str,
        streams: Iterable[str | Mapping[str, Any]],
        *,
        noticed: bool = True,
    ) -> None:
        """
        Change the streams of a source, as a migration of its database would.

        :param source_id: UUID of the source.
        :param streams: The new streams: names, or fields of
            :class:`~airflow_provider_airbyte_sme.emulator.streams.Stream`.
        :param noticed: Whether Airbyte discovers them at once, and applies the change to the
            source's connections as each one's ``nonBreakingSchemaUpdatesBehavior`` says. Otherwise
            they are only seen by a discover that runs the connector.
        :raises KeyError: The source is unknown.
        """
        with self._change():
            world = self._core.world
            source = world.sources[source_id]
            kept = world.catalogs.get(source_id)
            old = (
                streams_of(source) if kept is None else [Stream.from_seed(s) for s in kept.streams]
            )
            source.streams = [Stream.from_seed(stream).to_seed() for stream in streams]
            if noticed:
                propagate(world, source, old, discover(world, source, ignore_cache=True))

    def move_record(self, record_id: str, to: Position) -> None:
        """
        Move a workspace, source, destination, connection or group to an end of its list.

        The lists of the public API have no order, so this is what any update may do
        (``docs/airbyte-api.md §7``). Between two pages (:meth:`call_next`), it makes a client see
        a record twice or never.

        :param record_id: Its UUID.
        :param to: ``first`` or ``last``.
        :raises ValueError: The record is unknown.
        """
        with self._change():
            for records in self._listed():
                if record_id in records:
                    move_record(records, record_id, to)
                    return
            raise ValueError(f"there is no listed record {record_id!r}")

    def shuffle_lists(self, seed: int = 0) -> None:
        """
        Put workspaces, sources, destinations, connections and groups in a random order.

        :param seed: The same seed makes the same order.
        """
        order = random.Random(seed)  # noqa: S311  # repeatable, and no secret
        with self._change():
            for records in self._listed():
                shuffle_records(records, order)

    def _listed(self) -> tuple[dict[str, Any], ...]:
        world = self._core.world
        return (
            world.workspaces,
            world.sources,
            world.destinations,
            world.connections,
            world.groups,
        )

    def set_connection_status(self, connection_id: str, status: str) -> None:
        """
        Change the status of a connection, as a user in the UI or Airbyte itself would.

        :param status: ``active``, ``inactive``, ``deprecated`` or ``locked``.
        :raises ValueError: The connection or the status is unknown.
        """
        if status not in seeding.CONNECTION_STATUSES:
            raise ValueError(f"status must be one of {seeding.CONNECTION_STATUSES}, not {status!r}")
        with self._change():
            self._connection(connection_id).status = status

    def add_application(
        self, role: str, *, workspace_id: str | None = None, name: str = "Application"
    ) -> tuple[str, str]:
        """
        Add a user with one role and an application of that user.

        :param role: A permission type, such as ``workspace_reader``, ``workspace_runner``,
            ``organization_editor`` or ``instance_admin``.
        :param workspace_id: Workspace of a workspace role; the default is the first workspace.
        :param name: Name of the application.
        :return: Client id and client secret.
        :raises ValueError: The role or the workspace is unknown.
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
        bytes: int | None = None,  # noqa: A002  Airbyte's name for it
        failure: Mapping[str, Any] | None = None,
        failures: Iterable[Iterable[Mapping[str, Any]]] = (),
        attempts: int | None = None,
        duration: float | None = None,
        clock_skew: float = 0.0,
        log: Iterable[str] = (),
        log_type: LogType = "structured",
        rows_of: Mapping[str, int] | None = None,
        partial_rows: int = 0,
        statistics: Statistics = "all",
    ) -> None:
        """
        Script the next job of a connection. Several calls script several jobs, in order.

        :param connection_id: The default is the first connection.
        :param statuses: Statuses with their durations in seconds, such as ``[("queued", 30),
            ("running", 60), ("succeeded", None)]``. ``None`` means forever: a job whose last status
            is not terminal keeps it until the job is cancelled or :meth:`finish_job` ends it. A
            status that Airbyte does not have is allowed.
        :param outcome: Final status, if *statuses* is not given: ``succeeded``, ``failed`` or
            ``cancelled``.
        :param rows: Number of records that the job commits; the default is the emulator's *rows*,
            or 0 if the job fails or is cancelled.
        :param bytes: Size of the records, in bytes; the default is 128 per record.
        :param failure: Failure of the failed attempts: ``message``, ``origin``, ``type``,
            ``internal_message``, ``stream`` and ``namespace``, all optional. The default type,
            ``config_error``, is not retried.
        :param failures: Instead of *failure*: those of each failed attempt, each a list. The last
            list is also that of all further attempts.
        :param attempts: Number of attempts; the default follows from *failures*, or from the retry
            policy. Not with *statuses*.
        :param duration: How long each attempt runs, in seconds; the default is the emulator's
            *sync_duration*. Not with *statuses*.
        :param clock_skew: How far the clock that dates the job's updates is ahead of the one that
            dates its creation, in seconds. With a negative one, the job's ``duration`` can be
            negative too: two servers, two clocks.
        :param log: What the connectors write into the log of each attempt, in lines.
        :param log_type: ``structured`` or ``formatted``: how the config API sends the log.
        :param rows_of: *rows* by stream instead: by its name, or by ``namespace.name``. A stream
            that is not in it has no counters. By default, each stream has its share.
        :param partial_rows: Number of records that each attempt commits that fails and is followed
            by another one; the last one commits *rows*.
        :param statistics: Which statistics Airbyte has (``docs/airbyte-api.md §3.7.35``): ``all``;
            only those that its ``attempts`` report at their end, so that the job seems to have no
            rows; ``none``.
        :raises TypeError: *failure* has an unknown key.
        :raises ValueError: The connection or a stream is unknown, no Airbyte job can follow the
            script, or the parameters contradict each other.
        """
        of_attempts = [[Failure.from_mapping(each) for each in attempt] for attempt in failures]
        if of_attempts and statuses is None and attempts is None:
            attempts = len(of_attempts) + (outcome != "failed")
        if failure is not None:
            of_attempts = [[Failure.from_mapping(failure)]]
        with self._change():
            connection = self._connection(connection_id)
            for name in rows_of or {}:
                if all(rows_of_stream({name: 0}, each) is None for each in connection.streams):
                    raise ValueError(f"connection {connection.id} has no stream {name!r}")
            plan = self._core.jobs.plan(
                statuses=statuses,
                outcome=outcome,
                rows=rows,
                size=bytes,
                failures=of_attempts,
                attempts=attempts,
                duration=duration,
                clock_skew=clock_skew,
                log=log,
                log_type=log_type,
                rows_of=rows_of,
                partial_rows=partial_rows,
                statistics=statistics,
            )
            self._core.world.scripts.setdefault(connection.id, []).append(plan)

    def start_sync(
        self, connection_id: str | None = None, *, job_type: StartableJob = "sync"
    ) -> int:
        """
        Start a job as Airbyte's scheduler or a user in the UI would.

        It has no attempt yet, so that ``POST /jobs`` returns it instead of a new job, while its
        script (:meth:`script_job`) keeps it ``pending`` or ``queued``. To start it right before or
        after a request, see :meth:`call_next`.

        :param connection_id: The default is the first connection.
        :param job_type: ``sync``, ``reset`` (which a clear is too) or ``refresh``.
        :return: Id of the new job.
        :raises NotActiveError: The connection is not active.
        :raises NoWorkflowError: The connection's workflow is deleted (:meth:`delete_workflow`).
        :raises RuntimeError: The connection has a job that has not ended.
        :raises ValueError: The connection is unknown.
        """
        with self._change():
            connection = self._connection(connection_id)
            if self._core.jobs.active_job(connection.id) is not None:
                raise RuntimeError(f"connection {connection.id} has a job that has not ended")
            job = self._start(connection, job_type)
            self._core.jobs.settle()
            return job.id

    def finish_job(
        self,
        job_id: int,
        status: str = "succeeded",
        *,
        rows: int | None = None,
        bytes: int | None = None,  # noqa: A002  Airbyte's name for it
    ) -> None:
        """
        End a job now.

        :param status: Final status: ``succeeded``, ``failed`` or ``cancelled``.
        :param rows: Number of records that the job commits; the default is the scripted number.
        :param bytes: Size of the records, in bytes; the default is 128 per record if *rows* is
            given, otherwise the scripted size.
        :raises KeyError: The job is unknown.
        :raises ValueError: The job has already ended, or *status* is not terminal.
        """
        with self._change():
            self._core.jobs.settle()
            self._core.jobs.finish(self._core.world.jobs[job_id], status, rows, bytes)

    def commit_records(
        self,
        job_id: int,
        rows: int,
        *,
        bytes: int | None = None,  # noqa: A002  Airbyte's name for it
    ) -> None:
        """
        Let the running attempt of a job have committed records, as its counters show meanwhile.

        What its end commits replaces them; an attempt that fails keeps them otherwise.

        :param rows: Number of records of this attempt so far.
        :param bytes: Their size; the default is 128 per record.
        :raises KeyError: The job is unknown.
        :raises ValueError: It has no running attempt.
        """
        with self._change():
            self._core.jobs.settle()
            self._core.jobs.commit(self._core.world.jobs[job_id], rows, bytes)

    def skew_job(self, job_id: int, seconds: float) -> None:
        """
        Stamp the further status changes of a job with another time than that of the change.

        :param seconds: How far ``updatedAt`` is ahead. If negative, lists and ``GET`` show a change
            only that long after its ``updatedAt``: its transaction was committed late, or the clock
            of the server that wrote it is behind (``docs/airbyte-api.md §3.1``). *clock_skew* of
            :meth:`script_job` is the same for all changes of a job.
        :raises KeyError: The job is unknown.
        """
        with self._change():
            self._core.jobs.settle()
            self._core.world.jobs[job_id].plan.clock_skew = seconds

    def cancel_job(self, job_id: int) -> None:
        """Cancel a job, as a user in the UI would; raises the same errors as :meth:`finish_job`."""
        self.finish_job(job_id, "cancelled")

    def delete_workflow(self, connection_id: str | None = None) -> None:
        """
        Delete a connection's workflow in Temporal, and cancel its job, but keep the connection.

        ``POST /jobs`` is then a 409 ``try-again-later`` although no job is to be seen
        (``docs/airbyte-api.md §3.2.11``), until :meth:`restore_workflow`.

        :param connection_id: The default is the first connection.
        :raises ValueError: The connection is unknown.
        """
        with self._change():
            connection = self._connection(connection_id)
            if self._core.jobs.active_job(connection.id) is not None:
                self._core.jobs.cancel(connection.id)
            connection.has_workflow = False

    def restore_workflow(self, connection_id: str | None = None) -> None:
        """Undo :meth:`delete_workflow`."""
        with self._change():
            self._connection(connection_id).has_workflow = True

    def stop_identity_provider(self, *, issues_tokens: bool = False) -> None:
        """
        Make Keycloak unavailable: every token counts as invalid (``docs/airbyte-api.md §2.4.5``).

        :param issues_tokens: Whether new tokens can be requested nevertheless; otherwise the token
            endpoints respond with 500.
        :raises RuntimeError: The emulator does not emulate Keycloak: *auth_mode* is not ``oidc``.
        """
        if self._core.settings.auth_mode != "oidc":
            raise RuntimeError(
                f"with auth_mode={self._core.settings.auth_mode!r} Airbyte checks tokens itself: "
                'only with auth_mode="oidc" can its identity provider be stopped'
            )
        with self._lock:
            self._core.access.checks_tokens = False
            self._core.access.issues_tokens = issues_tokens

    def start_identity_provider(self) -> None:
        """Undo :meth:`stop_identity_provider`; tokens issued before are valid again."""
        with self._lock:
            self._core.access.checks_tokens = self._core.access.issues_tokens = True

    def revoke_tokens(self) -> None:
        """Invalidate all access tokens issued so far."""
        with self._change():
            self._core.world.signing_key = secrets.token_hex(32)

    def rotate_secret(self) -> str:
        """
        Replace the first application's client secret. Access tokens stay valid.

        :return: The new secret.
        """
        with self._change():
            self._former_secrets.append(self._application.client_secret)
            self._application.client_secret = secrets.token_urlsafe(24)
            return self._application.client_secret

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """
        Call *watcher* after every request and every change of the state, in the same thread.

        :return: A function that removes *watcher*.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def served_by(self, server: Listener | None) -> None:
        """
        Remember the running server. Called by the server.

        :param server: The server; ``None`` when it stops.
        """
        self._server = server
        if server is not None:
            self._core.last_origin = server.url

    def _start(self, connection: Connection, job_type: StartableJob) -> Job:
        jobs = self._core.jobs
        if job_type == "sync":
            return jobs.start_sync(connection)
        start = jobs.start_refresh if job_type == "refresh" else jobs.start_reset
        return start(connection)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock during a change, then save the state and notify the watchers."""
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
        if connection_id is None:
            connection_id = self.connection_id
        connection = self._core.world.connections.get(connection_id)
        if connection is None:
            raise ValueError(f"there is no connection {connection_id!r}")
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
        outcome = run_attempt(on_sync, context)
        with self._change():
            self._core.jobs.complete_attempt(context.job_id, context.attempt_number, outcome)


def _validate_settings(
    sync_duration: float, rows: int, token_lifetime: float, latency: float, threads: int | None
) -> None:
    for name, value, minimum in (
        ("sync_duration", sync_duration, 0),
        ("rows", rows, 0),
        ("token_lifetime", token_lifetime, 1),
        ("latency", latency, 0),
        ("threads", 1 if threads is None else threads, 1),
    ):
        if not value >= minimum:  # rejects NaN too
            raise ValueError(f"{name} must be {minimum} or more, not {value}")
