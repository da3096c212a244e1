"""
The faults of the fault matrix: each is a function that prepares a :class:`Scene`.

A scene is one task, one Airbyte and what is between them. Time jumps over every pause.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from airflow_provider_airbyte_sme.api import network
from airflow_provider_airbyte_sme.api.resources import job_starts
from airflow_provider_airbyte_sme.api.waiting.watchlist import FEW
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator import clock as emulator_clock
from airflow_provider_airbyte_sme.emulator.server import Server
from airflow_provider_airbyte_sme.triggers import watcher
from tests.integration.jumping_time import JumpingClock
from tests.integration.secrets_backends import VAULT_CONN_ID, unavailable, vault_with
from tests.unit.api.certificates import Certificates
from tests.unit.api.servers import LOOPBACK, Proxy, RawResponse, RawServer, Received, raw_response

TOKEN = "POST /applications/token"
EVERY_TOKEN = (TOKEN, "POST /api/v1/applications/token")
POST = "POST /jobs"
READ = "GET /jobs/{jobId}"
LIST = "GET /jobs"
CONNECTION = "GET /connections/{connectionId}"

# Seconds. How long a sync runs, an outage lasts, and a task waits at most.
SYNC = 360.0
OUTAGE = 60.0
LONG_OUTAGE = 900.0
TIMEOUT = 7200.0
TOKEN_LIFETIME = 300.0
SKEW = 600.0
# Seconds, in real time: the timeout of requests that hang.
SHORT = 1.0

HANGS = 3600.0

Act = Callable[["Scene"], object]
Fault = Callable[["Scene"], object]
Answer = Callable[..., None]


class Way(NamedTuple):
    """
    A way of waiting.

    :param name: As in the document.
    :param before: The request before that, after the sign-in.
    :param start: The request that starts: of an operator its ``POST``, of a sensor its first read.
    :param wait: The request with which it waits.
    """

    name: str
    before: str
    start: str
    wait: str
    is_deferred: bool = True

    @property
    def is_operator(self) -> bool:
        """Whether the task starts a sync."""
        return self.start == POST


BLOCKING = Way("operator, blocking", LIST, POST, READ, is_deferred=False)
DEFERRED = Way("operator, deferred", LIST, POST, READ)
JOB_SENSOR = Way("job sensor, deferred", TOKEN, READ, READ)
SYNC_SENSOR = Way("sync sensor, deferred", CONNECTION, LIST, LIST)
WAYS = (BLOCKING, DEFERRED, JOB_SENSOR, SYNC_SENSOR)

_PATTERNS = {POST: r"POST .*/jobs", READ: r"GET .*/jobs/\d+", LIST: r"GET .*/jobs\?.*"}


class Relay(RawServer):
    """Stands in front of an Airbyte, and can refuse, reset and spoil connections."""

    def __init__(self, airbyte_url: str, certificates: Certificates | None = None) -> None:
        super().__init__(tls=certificates.server_context() if certificates else None)
        self._airbyte = urlsplit(airbyte_url).netloc
        self._busy: set[socket.socket] = set()
        self._generation = 0
        self._resets: list[tuple[str, bool]] = []
        self.on_reset: Callable[[], object] = lambda: None

    def reset_next(self, route: str, *, after: bool, times: int) -> None:
        """Reset the connections of the next requests for *route*, before or after they pass."""
        self._resets += [(_PATTERNS[route], after)] * times

    def hang_up(self) -> None:
        """Close all connections, those in use after their response."""
        self._generation += 1
        for connection in self._open - {self._listener} - self._busy:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """Hang up, and refuse new connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def accept_again(self) -> None:
        """Undo :meth:`refuse`."""
        self._threads[0].join(10)
        self._listener = socket.create_server((LOOPBACK, self.port), backlog=128)
        self._open.add(self._listener)
        self._threads[0] = threading.Thread(target=self._accept)
        self._threads[0].start()

    def show_certificate_of(self, certificates: Certificates) -> None:
        """Hang up, and use another certificate from now on."""
        self._tls = certificates.server_context()
        self.hang_up()

    def respond(self, connection: socket.socket, request: Received) -> bool:
        generation = self._generation
        self._busy.add(connection)
        try:
            is_kept = self._respond(connection, request)
        finally:
            self._busy.discard(connection)
        return is_kept and generation == self._generation

    def _respond(self, connection: socket.socket, request: Received) -> bool:
        reset = self._take_reset(request)
        if reset is False:
            return self.write(connection, RawResponse(b"", "reset"))
        response = self._forwarded(request)
        return self.write(connection, RawResponse(b"", "reset") if reset else response)

    def _take_reset(self, request: Received) -> bool | None:
        for item in self._resets:
            if re.fullmatch(item[0], f"{request.method} {request.target}"):
                self._resets.remove(item)
                self.on_reset()
                return item[1]
        return None

    def _forwarded(self, request: Received) -> RawResponse:
        target = HTTPConnection(self._airbyte, timeout=60)
        try:
            target.request(request.method, request.target, request.body, dict(request.headers))
            response = target.getresponse()
            body = response.read()
        finally:
            target.close()
        kept = [("Content-Type", response.headers.get("Content-Type", ""))]
        return raw_response(body, f"{response.status} {response.reason}", kept)


@dataclass
class Scene:
    """
    What one task meets.

    :param stack: Closes at the end what the fault has opened.
    :ivar fields: Of the Airflow connection, beside the credentials.
    :ivar conn_id: Id of the Airflow connection.
    :ivar foreign_jobs: The jobs that others started.
    :ivar cancelled_by_others: Those that others cancelled.
    :ivar expected_job: The job whose success the task reports, if it is not the first.
    :ivar companions: Jobs for which other tasks wait in the same triggerer.
    :ivar has_sync: Whether a sync runs when a sensor begins.
    :ivar vault_is_away: Whether the secrets backend fails.
    :ivar strikes: How often the fault has happened, if it is not the answer to a request.
    """

    way: Way
    emulator: Emulator
    clock: JumpingClock
    certificates: Certificates
    unrelated: Certificates
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack
    url: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    conn_id: str = "airbyte_sme_default"
    foreign_jobs: set[int] = field(default_factory=set)
    cancelled_by_others: set[int] = field(default_factory=set)
    expected_job: int | None = None
    companions: list[int] = field(default_factory=list)
    has_sync: bool = True
    vault_is_away: bool = False
    strikes: int = 0
    at_deferral: list[Callable[[], object]] = field(default_factory=list)
    at_wait: list[Callable[[], object]] = field(default_factory=list)
    at_end: list[Callable[[], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server: Server | None = self.emulator.serve().__enter__()
        self.stack.callback(self._stop_airbyte)
        self.url = self.emulator.url
        self._port = urlsplit(self.url).port or 0

    def _stop_airbyte(self) -> None:
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None

    def restart_airbyte(self) -> None:
        """Stop Airbyte from now on, and start it again after :data:`OUTAGE`."""
        # Not in the thread of the request at whose moment this happens: that is the server's.
        stopping = threading.Thread(target=self._stop_airbyte)
        stopping.start()

        def start_again() -> None:
            stopping.join()
            self._server = self.emulator.serve(port=self._port).__enter__()

        self.clock.after(OUTAGE, start_again)

    @property
    def uri(self) -> str:
        """The Airflow connection."""
        fields = {
            "conn_type": "airbyte_sme",
            "host": self.url,
            "login": self.emulator.client_id,
            "password": self.emulator.client_secret,
            "extra": self.extra,
        }
        return json.dumps({**fields, **self.fields})

    @property
    def since(self) -> datetime:
        """Now, by the clock of Airflow."""
        return datetime.fromtimestamp(self.clock.time(), UTC)

    @property
    def has_struck(self) -> bool:
        """Whether the fault has happened."""
        return bool(self.strikes) or any(request.fault for request in self.emulator.requests)

    def let_happen(self, act: Act) -> Callable[[], None]:
        """Return what lets *act* happen, and counts it."""

        def happen() -> None:
            self.strikes += 1
            act(self)

        return happen

    def store_connection(self) -> None:
        """Store the Airflow connection as it is now."""
        self.monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", self.uri)

    def use_vault(self) -> None:
        """Keep the Airflow connection in a secrets backend."""

        def answer(_: int) -> str:
            return unavailable() if self.vault_is_away else self.uri

        self.stack.enter_context(vault_with(answer, self.monkeypatch))
        self.conn_id = VAULT_CONN_ID

    def set_vault_away(self, is_away: bool) -> None:
        self.vault_is_away = is_away

    def begin_wait(self) -> None:
        """Have what happens during the wait happen right after the first read of the wait."""
        for action in self.at_wait:
            self.emulator.call_next(self.way.wait, action, after=True)

    def start_sync(self) -> int:
        """Start a sync as somebody else would."""
        job_id = self.emulator.start_sync()
        self.foreign_jobs.add(job_id)
        return job_id

    def outage(self, begin: Callable[[], object], seconds: float = OUTAGE) -> None:
        """Let an outage begin now."""
        begin()
        self.clock.after(seconds, self.emulator.clear_faults)

    def relay(self, certificates: Certificates | None = None) -> Relay:
        """Put a relay between the task and Airbyte."""
        relay = self.stack.enter_context(Relay(self.emulator.url, certificates))
        relay.on_reset = self.let_happen(lambda _: None)
        self.url = relay.url
        return relay

    def own_job(self) -> int:
        """Return the job that the task waits for."""
        return max(self.emulator.jobs)


# The moments of a fault.


def before_start(act: Act) -> Fault:
    """Let it happen right after the response before the request that starts."""
    return lambda scene: scene.emulator.call_next(
        scene.way.before, scene.let_happen(act), after=True
    )


def at_start(act: Act) -> Fault:
    """Let it happen when the request that starts arrives, before it is handled."""
    return lambda scene: scene.emulator.call_next(scene.way.start, scene.let_happen(act))


def at_deferral(act: Act) -> Fault:
    """Let it happen after a deferral, before the triggerer begins; or at the first read."""

    def prepare(scene: Scene) -> None:
        moment = scene.at_deferral if scene.way.is_deferred else scene.at_wait
        moment.append(scene.let_happen(act))

    return prepare


def at_wait(act: Act) -> Fault:
    """Let it happen during the wait, right after its first read."""
    return lambda scene: scene.at_wait.append(scene.let_happen(act))


def at_end(act: Act) -> Fault:
    """Let it happen when the wait has ended, before the worker goes on."""

    def prepare(scene: Scene) -> None:
        if scene.way.is_deferred:
            scene.at_end.append(scene.let_happen(act))
        else:
            scene.at_wait.append(lambda: scene.clock.after(SYNC, scene.let_happen(act)))

    return prepare


def only_for(condition: Callable[[Way], bool], fault: Fault, otherwise: Fault) -> Fault:
    """Return what is *fault* for the ways with *condition*."""
    return lambda scene: (fault if condition(scene.way) else otherwise)(scene)


# What is answered instead of Airbyte's response: to which requests, and how often.


def error(status: int, retry_after: Callable[[Scene], str] | None = None) -> Answer:
    def inject(scene: Scene, route: str, times: int | None, *, executed: bool = False) -> None:
        headers = {} if retry_after is None else {"Retry-After": retry_after(scene)}
        scene.emulator.fail_next(route, status, times, headers, after=executed)

    return inject


def page(status: int) -> Answer:
    def inject(scene: Scene, route: str, times: int | None, *, executed: bool = False) -> None:
        scene.emulator.html_next(route, times, status, after=executed)

    return inject


def nothing(scene: Scene, route: str, times: int | None, *, executed: bool = False) -> None:
    """Answer 200 with an empty body."""
    scene.emulator.fail_next(route, 200, times, body=b"", after=executed)


def half(scene: Scene, route: str, times: int | None, *, executed: bool = True) -> None:
    """Answer with the first bytes of the JSON."""
    del executed
    scene.emulator.cut_next(route, 9, times)


def in_seconds(scene: Scene) -> str:
    del scene
    return "20"


def as_a_date(scene: Scene) -> str:
    return format_datetime(scene.since + timedelta(seconds=20), usegmt=True)


def burst_at_start(answer: Answer, *, executed: bool, seconds: float = OUTAGE) -> Fault:
    """
    Answer the request that starts, and then everything for some time.

    :param executed: Whether Airbyte has handled the request that starts.
    """

    def prepare(scene: Scene) -> None:
        answer(scene, scene.way.start, 1, executed=executed)
        scene.emulator.call_next(
            scene.way.start, lambda: scene.outage(partial(answer, scene, "*", None), seconds)
        )

    return prepare


def burst_at_wait(answer: Answer, seconds: float = 5 * OUTAGE) -> Fault:
    """Answer everything for some time."""
    return at_wait(lambda scene: scene.outage(partial(answer, scene, "*", None), seconds))


def few_at_start(answer: Answer) -> Fault:
    """Answer the request that starts, twice."""
    return lambda scene: answer(scene, scene.way.start, 2)


def few_at_wait(answer: Answer) -> Fault:
    """Answer what is read during the wait, three times."""
    return at_wait(lambda scene: answer(scene, scene.way.wait, 3))


# Tokens and secrets.


def expire_token(scene: Scene) -> None:
    scene.clock.jump(TOKEN_LIFETIME)


def revoke_token(scene: Scene) -> None:
    scene.emulator.revoke_tokens()


def refuse_all_tokens(scene: Scene) -> None:
    scene.emulator.stop_identity_provider(issues_tokens=True)
    scene.clock.after(OUTAGE, scene.emulator.start_identity_provider)


def renew_with(answer: Answer, seconds: float) -> Act:
    """Revoke the token, and answer the requests for a new one for some time."""

    def act(scene: Scene) -> None:
        scene.emulator.revoke_tokens()
        for route in EVERY_TOKEN:
            answer(scene, route, None)
        scene.clock.after(seconds, scene.emulator.clear_faults)

    return act


def rotate_secret(scene: Scene) -> None:
    """Rotate the secret in Airbyte only, and end all sessions."""
    scene.emulator.rotate_secret()
    scene.emulator.revoke_tokens()


def rotate_secret_everywhere(scene: Scene) -> None:
    """Rotate the secret in Airbyte and in Airflow."""
    rotate_secret(scene)
    scene.store_connection()


def lose_vault(scene: Scene) -> None:
    scene.set_vault_away(True)
    scene.clock.after(5 * OUTAGE, partial(scene.set_vault_away, False))


def with_vault(fault: Fault) -> Fault:
    def prepare(scene: Scene) -> None:
        scene.use_vault()
        fault(scene)

    return prepare


# The network.


def with_relay(fault: Callable[[Relay], Fault]) -> Fault:
    return lambda scene: fault(scene.relay())(scene)


def refuse_connections(relay: Relay) -> Act:
    def act(scene: Scene) -> None:
        relay.refuse()
        scene.clock.after(OUTAGE, relay.accept_again)

    return act


def reset_at_start(*, after: bool) -> Fault:
    return lambda scene: scene.relay().reset_next(scene.way.start, after=after, times=2)


def reset_at_wait(*, after: bool) -> Fault:
    return with_relay(
        lambda relay: at_wait(lambda scene: relay.reset_next(scene.way.wait, after=after, times=5))
    )


def with_tls(moment: Callable[[Act], Fault]) -> Fault:
    """Let the server show a certificate of an authority that nobody trusts, for some time."""

    def prepare(scene: Scene) -> None:
        relay = scene.relay(scene.certificates)
        scene.extra["ca_bundle"] = scene.certificates.ca_bundle

        def act(_: Scene) -> None:
            relay.show_certificate_of(scene.unrelated)
            scene.clock.after(OUTAGE, partial(relay.show_certificate_of, scene.certificates))

        moment(act)(scene)

    return prepare


def drop_by_proxy(route_of: Callable[[Way], str], moment: Callable[[Act], Fault]) -> Fault:
    """Let a proxy close all connections while a request that was executed has no response yet."""

    def prepare(scene: Scene) -> None:
        dropped = threading.Event()
        proxy = scene.stack.enter_context(Proxy(drop_when=dropped))
        scene.extra["proxy"] = proxy.url

        def act(_: Scene) -> None:
            route = route_of(scene.way)
            scene.emulator.hang_next(route, HANGS)
            scene.emulator.call_next(route, dropped.set, after=True)

        moment(act)(scene)

    return prepare


def now(act: Act) -> Fault:
    """Let it happen before the task begins."""
    return lambda scene: scene.let_happen(act)()


def with_short_limits(fault: Fault) -> Fault:
    """Give requests short timeouts, which pass in real time."""

    def prepare(scene: Scene) -> None:
        scene.extra["request_timeout"] = SHORT
        for module, name in (
            (job_starts, "HELD_OPEN_TIMEOUT"),
            (network, "BODY_ALLOWANCE"),
            (watcher, "_PATIENCE"),
        ):
            scene.monkeypatch.setattr(module, name, SHORT)
        fault(scene)

    return prepare


def hang(scene: Scene, route: str) -> None:
    scene.emulator.hang_next(route, HANGS, times=2)


def drip(scene: Scene, route: str) -> None:
    scene.emulator.drip_next(route, SHORT / 4, times=2)


def slow_at_start(answer: Callable[[Scene, str], None]) -> Fault:
    return with_short_limits(lambda scene: answer(scene, scene.way.start))


def slow_at_wait(answer: Callable[[Scene, str], None]) -> Fault:
    return with_short_limits(at_wait(lambda scene: answer(scene, scene.way.wait)))


def restart_at_start(scene: Scene) -> None:
    """Stop Airbyte after it has handled the request that starts, and before it responds."""
    scene.emulator.hang_next(scene.way.start, HANGS)
    scene.emulator.call_next(scene.way.start, scene.restart_airbyte, after=True)


def restart(scene: Scene) -> None:
    scene.restart_airbyte()


def clock_is_ahead(scene: Scene) -> None:
    """
    Put Airbyte's clock ten minutes ahead.

    A sync that ended five minutes before the task begins seems to have ended after that.
    """
    scene.strikes += 1
    scene.monkeypatch.setattr(emulator_clock, "time", scene.clock.ahead(SKEW))
    if scene.way == SYNC_SENSOR:
        scene.expected_job = scene.start_sync()
        scene.emulator.finish_job(scene.expected_job)
        scene.has_sync = False
        scene.clock.jump(SKEW / 2)


def clock_is_behind(scene: Scene) -> None:
    """
    Put Airbyte's clock ten minutes behind.

    A sync that ends after five minutes seems to have ended before the task began.
    """
    scene.strikes += 1
    scene.monkeypatch.setattr(emulator_clock, "time", scene.clock.ahead(-SKEW))
    scene.emulator.script_job(duration=SKEW / 2)


# What happens to the sync, and to the connection.


def statuses(*phases: tuple[str, float | None]) -> Fault:
    return now(lambda scene: scene.emulator.script_job(statuses=phases))


def unreadable_job_beside(scene: Scene) -> None:
    """Let every list of jobs begin with one that cannot be read, and make lists matter."""

    def spoilt(body: Any) -> Any:
        return {**body, "data": [{"jobId": None, "status": 7}, *body["data"]]}

    scene.emulator.finish_job(scene.start_sync())
    scene.emulator.alter_next(LIST, spoilt, times=None)
    if scene.way.is_operator:
        # So that the job has to be found in a list.
        scene.emulator.drop_next(POST)
    for number in range(FEW + 1):
        connection_id = scene.emulator.add_connection(f"Companion {number}")
        scene.emulator.script_job(connection_id, statuses=[("running", None)])
        job_id = scene.emulator.start_sync(connection_id)
        scene.foreign_jobs.add(job_id)
        scene.companions.append(job_id)


def cancel_by_hand(scene: Scene) -> None:
    job_id = scene.own_job()
    scene.emulator.cancel_job(job_id)
    scene.cancelled_by_others.add(job_id)
    if scene.way == SYNC_SENSOR:
        # Later: the next sync of the schedule.
        scene.clock.after(OUTAGE, partial(_start_expected, scene))


def replace_job(scene: Scene) -> None:
    """Cancel the sync, and start another of the connection at once."""
    job_id = scene.own_job()
    scene.emulator.cancel_job(job_id)
    scene.cancelled_by_others.add(job_id)
    _start_expected(scene)


def _start_expected(scene: Scene) -> None:
    scene.expected_job = scene.start_sync()


def disable_connection(scene: Scene) -> None:
    scene.emulator.set_connection_status(scene.emulator.connection_id, "inactive")


def delete_connection(scene: Scene) -> None:
    """Delete the connection, by which Airbyte cancels its job."""
    scene.cancelled_by_others |= {
        job_id for job_id, job in scene.emulator.jobs.items() if not job.is_terminal
    }
    scene.emulator.delete_workflow()
    scene.emulator.set_connection_status(scene.emulator.connection_id, "deprecated")


def without_sync(fault: Fault) -> Fault:
    """Let no sync run when the sync sensor begins."""

    def prepare(scene: Scene) -> None:
        scene.has_sync = scene.way != SYNC_SENSOR
        fault(scene)

    return prepare
