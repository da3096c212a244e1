"""
Whose job it is, whatever happens between our requests.

Hypothesis plays Airbyte, its users and the network: other people's jobs appear and end at every
point, and responses to our ``POST`` are lost, with and without the job that it asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    AirbyteError,
    AirbyteTransportError,
    CreatedJob,
    HttpRequest,
    HttpResponse,
    JobCreation,
    Ownership,
    run_blocking,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator.memory import MemoryTransport
from tests.unit.api.doubles import client_for
from tests.unit.api.responses import html_page, json_response, problem

Draw = Callable[[st.SearchStrategy[str]], str]

PEOPLE = st.sampled_from(["nothing", "start", "start refresh", "end", "start elsewhere"])
STATUSES = st.sampled_from(["pending", "queued", "running"])
# "late": executed later, or never.
FATES = st.sampled_from(
    ["answered", "lost", "late", "never arrived", "not sent", "error 500", "HTML", "429", "401"]
)
KINDS = st.sampled_from(["sync", "clear", "refresh"])
VERSIONS = st.sampled_from(["2.0.0", "2.1.0"])
REPLACED = {"error 500": json_response({"errorId": "0d9d"}, 500), "HTML": html_page(200)}
# How a job is started: the end of the URL, the type of the job, and the call.
STARTS: dict[str, tuple[str, str, Callable[..., Coroutine[Any, Any, CreatedJob]]]] = {
    "sync": ("/jobs", "sync", lambda jobs, *args, **kwargs: jobs.create(*args, **kwargs)),
    "clear": (
        "/clear/stream",
        "reset_connection",
        lambda jobs, *args, **kwargs: jobs.clear_streams(*args, [("users", None)], **kwargs),
    ),
    "refresh": ("/refresh", "refresh", lambda jobs, *args, **kwargs: jobs.refresh(*args, **kwargs)),
}
REJECTED = {
    "429": HttpResponse(429, {"retry-after": "30"}),
    "401": problem(401, "unauthorized"),
}


class Killed(BaseException):
    """A signal interrupts the task."""


class Adversary(MemoryTransport):
    """
    Leads to an emulator, and lets anything happen around each request.

    :ivar ours: Ids of the jobs that our requests created.
    :ivar listed: The connection's jobs when they were last listed.
    :ivar has_killed: Whether the signal came.
    :ivar doubtful_since: Newest job id before the first request whose outcome is unknown.
    :param start: How the client starts its job.
    :param kill_at: Number of the request during which a signal interrupts the client; 0: none.
    """

    def __init__(
        self, emulator: Emulator, draw: Draw, start: str = "sync", kill_at: int = 0
    ) -> None:
        super().__init__(emulator)
        self._url_end, self._config_type, _ = STARTS[start]
        self.ours: list[int] = []
        self.listed: set[int] = set()
        self.doubtful_since: int | None = None
        self._airbyte = emulator
        self._elsewhere = emulator.add_connection("elsewhere")
        self._draw = draw
        self._late: HttpRequest | None = None
        self.has_killed = False
        self._until_kill = kill_at

    async def send(self, request: HttpRequest) -> HttpResponse:
        self._let_people_act()
        self._until_kill -= 1
        is_post = request.method == "POST" and request.url.endswith(self._url_end)
        if not self._until_kill:
            await self._kill(request if is_post else None)
        if is_post:
            response = await self._post(request, self._draw(FATES))
        else:
            if self._late and self._draw(st.sampled_from(["now", "later"])) == "now":
                await self._execute(self._late)
                self._let_people_act()
            response = await super().send(request)
            if "/jobs?" in request.url:
                self.listed = self.jobs_of_our_type()
        self._let_people_act()
        return response

    async def _post(self, request: HttpRequest, fate: str) -> HttpResponse:
        if fate == "not sent":
            raise AirbyteTransportError("Connection refused", request_sent=False)
        if fate in REJECTED:
            return REJECTED[fate]
        if fate != "answered":
            self._doubt()
        if fate == "never arrived":
            raise AirbyteTransportError("Connection reset by peer", request_sent=True)
        if fate == "late":
            self._late = request
            raise AirbyteTransportError("Connection reset by peer", request_sent=True)
        since = max(self.listed, default=0)
        response = await self._execute(request)
        if response.status >= 500 and self.doubtful_since is None:
            self.doubtful_since = since  # Airbyte's own answer to a refresh beside a pending job
        if fate == "lost":
            self._let_people_act()
            raise AirbyteTransportError("Connection reset by peer", request_sent=True)
        return REPLACED.get(fate, response)

    async def _kill(self, post: HttpRequest | None) -> None:
        """Interrupt the client. Airbyte may execute *post* all the same, now or later."""
        self.has_killed = True
        if post:
            self._doubt()
            when = self._draw(st.sampled_from(["now", "later", "never"]))
            if when == "now":
                await self._execute(post)
            elif when == "later":
                self._late = post
        raise Killed

    def _doubt(self) -> None:
        if self.doubtful_since is None:
            self.doubtful_since = max(self.listed, default=0)

    async def _execute(self, request: HttpRequest) -> HttpResponse:
        # A request that is executed after its successor cannot be told from somebody else's.
        self._late = None
        before = set(self._airbyte.jobs)
        self._script(self._airbyte.connection_id)
        response = await super().send(request)
        self.ours += set(self._airbyte.jobs) - before
        return response

    def jobs_of_our_type(self) -> set[int]:
        """Return the ids of all jobs of our connection that ours could be."""
        return {
            job.id
            for job in self._airbyte.jobs.values()
            if job.connection_id == self._airbyte.connection_id
            and job.config_type == self._config_type
        }

    def _let_people_act(self) -> None:
        act = self._draw(PEOPLE)
        if act == "end":
            for job in self._airbyte.jobs.values():
                with suppress(ValueError):  # it has ended
                    self._airbyte.finish_job(job.id)
        elif act.startswith("start"):
            connection_id = (
                self._elsewhere if act == "start elsewhere" else self._airbyte.connection_id
            )
            self._script(connection_id)
            with suppress(RuntimeError):  # one is running
                self._airbyte.start_sync(
                    connection_id, job_type="refresh" if act == "start refresh" else "sync"
                )

    def _script(self, connection_id: str) -> None:
        status = self._draw(STATUSES)
        statuses = [] if status == "pending" else [(status, None)]
        self._airbyte.script_job(connection_id, statuses=statuses or [("pending", None)])


@settings(max_examples=300, deadline=None)
@given(data=st.data(), version=VERSIONS, start=KINDS)
def test_a_job_is_ours_only_if_it_can_be_nobody_elses(
    data: st.DataObject, version: str, start: str
) -> None:
    emulator = Emulator(time="manual", version=version)
    adversary = Adversary(emulator, data.draw, start)
    client = client_for(emulator, adversary)
    created: CreatedJob | None = None

    with suppress(AirbyteError):
        created = run_blocking(STARTS[start][2](client.jobs, emulator.connection_id))

    assert len(adversary.ours) <= 1, "one call never creates two jobs"
    if created is None:
        return
    if created.ownership is Ownership.STARTED:
        assert created.job_id not in adversary.listed, "it was there before our request"
    else:
        check_found(adversary, created)
    if adversary.ours and created.ownership.is_ours:
        assert created.job_id in adversary.ours, "it is somebody else's"


@settings(max_examples=300, deadline=None)
@given(data=st.data(), version=VERSIONS, start=KINDS, kill_at=st.integers(1, 9))
def test_a_killed_task_looks_for_a_job_only_if_it_may_have_created_one(
    data: st.DataObject, version: str, start: str, kill_at: int
) -> None:
    emulator = Emulator(time="manual", version=version)
    adversary = Adversary(emulator, data.draw, start, kill_at)
    client = client_for(emulator, adversary)
    creation = JobCreation(start)

    with suppress(AirbyteError, Killed):
        call = STARTS[start][2]
        run_blocking(call(client.jobs, emulator.connection_id, creation=creation))
    if not adversary.has_killed:
        return

    assert (creation.baseline is not None) == (adversary.doubtful_since is not None)
    if creation.baseline is None:
        return
    found = run_blocking(client.jobs.find_created(emulator.connection_id, creation))
    if found:
        check_found(adversary, found)
    if found and adversary.ours and found.ownership.is_ours:
        assert found.job_id in adversary.ours, "it is somebody else's"


def check_found(adversary: Adversary, created: CreatedJob) -> None:
    """Check that a job is called found only if no other can be the one that we created."""
    if created.ownership is not Ownership.FOUND:
        return
    assert adversary.doubtful_since is not None
    candidates = {job_id for job_id in adversary.listed if job_id > adversary.doubtful_since}
    assert candidates == {created.job_id}, "there is another one that may be ours"
