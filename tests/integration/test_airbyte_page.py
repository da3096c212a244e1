"""The page of Airbyte in Airflow's UI, over sockets: who sees it, what it shows, what it costs."""

from __future__ import annotations

import http.client
import json
import math
import re
import subprocess
import sys
import threading
import time
import tomllib
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest

# Airflow 2 has no FastAPI.
pytest.importorskip("fastapi", exc_type=ImportError)

from packaging.version import Version

from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteUrls
from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from tests.integration.conftest import CONNECTION_NAME
from tests.picky_auth_manager import PickyAuthManager
from tests.traces import traces
from tests.waiting_tasks import add_waiting_task, forget_waiting_tasks
from tests.webhooks import served

pytestmark = [
    pytest.mark.skipif(
        Version(version("apache-airflow")) < Version("3.1"), reason="needs Airflow 3.1"
    ),
    # Airflow's database tools cause warnings from dependencies, which vary by version.
    pytest.mark.filterwarnings("ignore"),
]

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
AUTH_MANAGER = "tests.picky_auth_manager.PickyAuthManager"
FAB_AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
CONN_ID = "airbyte_prod"
PATH = "/airbyte-sme/page/"
# Where there is nothing to show, and between two numbers.
DASH = "\u2013"


class Response(NamedTuple):
    status: int
    body: str
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """What people read, with one space between words."""
        return _Text.of(self.body)

    @property
    def rows(self) -> list[str]:
        """What people read of each Airbyte connection."""
        bodies = re.findall(r"<tr[ >](.*?)</tr>", self.body, re.DOTALL)
        return [_Text.of(f"<tr {each}") for each in bodies if "<td" in each]

    @property
    def names(self) -> list[str]:
        """The names of the Airbyte connections that are shown."""
        return [
            _Text.of(each)
            for each in re.findall(r'<a [^>]*class="strong"[^>]*>.*?</a>', self.body, re.DOTALL)
        ]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    @classmethod
    def of(cls, html: str) -> str:
        parser = cls()
        parser.feed(html)
        return " ".join(" ".join(parser.parts).split())


Get = Callable[..., Response]


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="manual", rows=1_234_567)
    with emulator.serve():
        yield emulator


@pytest.fixture
def add_conn() -> Iterator[Callable[..., None]]:
    """Add an Airflow connection to Airflow's database."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    added = []

    def add(emulator: Emulator, conn_id: str = CONN_ID, **fields: Any) -> None:
        parts = urlsplit(emulator.url)
        values = {
            "conn_type": "airbyte_sme",
            "host": f"http://{parts.hostname}",
            "port": parts.port,
            "login": emulator.client_id,
            "password": emulator.client_secret,
            **fields,
        }
        added.append(conn_id)
        with create_session() as session:
            session.add(Connection(conn_id=conn_id, **values))

    yield add
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id.in_(added)))


@pytest.fixture
def waiting_tasks() -> Iterator[None]:
    yield
    forget_waiting_tasks()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both plugins as Airflow's API server mounts them, behind an auth manager."""
    with mounted(monkeypatch, AUTH_MANAGER) as url:
        yield url


@contextmanager
def mounted(monkeypatch: pytest.MonkeyPatch, auth_manager: str) -> Iterator[str]:
    from airflow.api_fastapi.app import create_auth_manager, purge_cached_app
    from fastapi import FastAPI

    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", auth_manager)
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "only for this test, but long enough")
    monkeypatch.setenv("AIRFLOW__AIRBYTE_SME__WEBHOOK", "True")
    create_auth_manager()
    application = FastAPI()
    entry_points = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]
    for name, value in entry_points["airflow.plugins"].items():
        plugin = EntryPoint(name, value, "airflow.plugins").load()
        monkeypatch.setattr(plugin, "fastapi_apps", [])
        plugin.on_load()
        for each in plugin.fastapi_apps:
            application.mount(each["url_prefix"], each["app"])
    with served(application) as url:
        yield url
    purge_cached_app()


@pytest.fixture
def get(server: str) -> Get:
    """Ask for a page as a user with a role; by default as one who may read connections."""

    def request(path: str = "", *, role: str = "OP", method: str = "GET", **query: Any) -> Response:
        token = token_of(role) if role else ""
        return ask(server, f"{PATH}{path}?{urlencode(query)}", token, method)

    return request


def ask(server: str, path: str, token: str, method: str = "GET") -> Response:
    parts = urlsplit(server)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    headers = {"Cookie": f"_token={token}"} if token else {}
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    traces.note("a page", f"{body} {response.getheaders()}")
    return Response(response.status, body, dict(response.getheaders()))


@pytest.fixture
def hanging_secrets(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Have the secrets backends hang while the context is open; it provides what was asked for."""
    from airflow.models.connection import Connection

    @contextmanager
    def hang() -> Iterator[list[str]]:
        asked: list[str] = []
        end = threading.Event()

        def ask_for(conn_id: str) -> None:
            asked.append(conn_id)
            end.wait()
            raise LookupError(conn_id)

        monkeypatch.setattr(Connection, "get_connection_from_secrets", ask_for)
        try:
            yield asked
        finally:
            end.set()

    return hang


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> int:
    """Have requests wait until all is read; return more than the page has threads for them."""
    from airflow_provider_airbyte_sme.plugins.page import application

    monkeypatch.setattr(application, "PATIENCE", 60.0)
    return 2 * application._THREADS


@pytest.fixture
def complete(get: Get) -> Get:
    """Ask until all that is shown has been read."""

    def ask(**query: Any) -> Response:
        def is_complete() -> Response | None:
            response = get("content", **query)
            return response if "ghost" not in response.body else None

        return poll(is_complete, timeout=60, what="all to be read", interval=0.05)

    return ask


def token_of(role: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    user = SimpleAuthManagerUser(username=role.lower(), role=role)
    token: str = get_auth_manager().generate_jwt(user)
    return token


def ended(emulator: Emulator, connection_id: str | None = None, **script: Any) -> int:
    """Return a job that has just ended."""
    emulator.script_job(connection_id, **{"duration": 90, **script})
    job_id = emulator.start_sync(connection_id)
    emulator.advance(100)
    return job_id


def encrypt_with_another_key(conn_id: str) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(
            update(Connection)
            .where(Connection.conn_id == conn_id)
            .values(is_encrypted=True, _password="gAAAAABof-another-key")
        )


@contextmanager
def team_that_owns(dag_id: str, name: str) -> Iterator[None]:
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team
    from airflow.utils.session import create_session

    with create_session() as session:
        bundle = DagBundleModel(name=f"bundle of {name}")
        session.add(bundle)
        # Only those of Airflow 3.1 have ids.
        identity: dict[str, Any] = {"id": uuid4()} if hasattr(Team, "id") else {}
        bundle.teams.append(Team(name=name, **identity))
        session.flush()
        session.get_one(DagModel, dag_id).bundle_name = bundle.name
    yield
    forget_waiting_tasks()
    with create_session() as session:
        bundle = session.get_one(DagBundleModel, f"bundle of {name}")
        for team in bundle.teams:
            session.delete(team)
        session.delete(bundle)


def routes(emulator: Emulator) -> dict[str, int]:
    return dict(Counter(str(each.route) for each in emulator.requests))


class TestWhoSeesIt:
    @pytest.mark.parametrize("path", ["", "content"])
    def test_nobody_without_signing_in(self, path, get, emulator, add_conn):
        add_conn(emulator)

        response = get(path, role="", conn_id=CONN_ID)

        assert response.status == 401
        assert "You are not signed in" in response.text
        # Not inside the frame of the page.
        assert 'target="_top" href="../../">Open Airflow' in response.body
        assert CONNECTION_NAME not in response.body
        assert routes(emulator) == {}

    @pytest.mark.parametrize("path", ["", "content"])
    @pytest.mark.parametrize("role", ["VIEWER", "USER"])
    def test_nobody_who_may_not_read_connections(self, role, path, get, emulator, add_conn):
        add_conn(emulator)

        response = get(path, role=role, conn_id=CONN_ID)

        assert response.status == 403
        assert "You may not see this page" in response.text
        assert CONN_ID not in response.body
        assert routes(emulator) == {}

    @pytest.mark.parametrize("role", ["OP", "ADMIN"])
    def test_who_may_read_connections(self, role, get, emulator, add_conn):
        add_conn(emulator)

        response = get(role=role)

        assert (response.status, response.names) == (200, [CONNECTION_NAME])

    @pytest.mark.parametrize("query", [{}, {"conn_id": "hidden_one"}])
    def test_an_airflow_connection_that_the_user_may_not_read_is_not_there(
        self, query, get, emulator, add_conn
    ):
        add_conn(emulator, "hidden_one")

        response = get(**query)

        assert response.status == 200
        assert response.names == []
        assert "No Airflow connection" in response.text
        assert routes(emulator) == {}

    def test_a_wrong_token_is_refused(self, server, emulator, add_conn):
        add_conn(emulator)
        parts = urlsplit(server)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)

        connection.request("GET", PATH, headers={"Cookie": "_token=forged"})
        response = connection.getresponse()

        assert response.status == 403
        assert CONNECTION_NAME not in response.read().decode()
        connection.close()

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_it_can_only_be_read(self, method, get, emulator, add_conn):
        add_conn(emulator)

        assert get(method=method).status == 405

    @pytest.mark.parametrize("path", ["", "content", "static/page.js", "nowhere"])
    def test_a_browser_runs_nothing_that_is_not_a_file_of_it_and_no_other_site_frames_it(
        self, path, get, emulator, add_conn
    ):
        add_conn(emulator)

        headers = {name.lower(): value for name, value in get(path).headers.items()}

        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in headers

    @pytest.mark.parametrize(
        ("path", "root"), [("nowhere", ""), ("nowhere/deep/", "../../"), ("static/nowhere", "../")]
    )
    def test_an_address_that_does_not_exist_is_a_page_with_links_that_work(self, path, root, get):
        page = get(path)

        assert page.status == 404
        assert "There is no such page" in page.text
        assert f'href="{root}static/page.css' in page.body
        assert f'href="{root}../page/"' in page.body

    def test_no_cache_keeps_what_it_shows(self, get, emulator, add_conn):
        add_conn(emulator)

        assert get().headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("waiting_tasks")
class TestWithFab:
    """Airflow's other auth manager, which knows permissions for a single DAG."""

    @pytest.fixture
    def page_of(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Response]]:
        """Ask for the page as a user with permissions to read some things and no others."""
        pytest.importorskip("airflow.providers.fab", reason="needs the FAB provider")
        from airflow.api_fastapi.app import get_auth_manager

        with mounted(monkeypatch, FAB_AUTH_MANAGER) as url, fab_users() as add_user:

            def request(*resources: str) -> Response:
                manager: Any = get_auth_manager()
                # It keeps users by their ids, and another test had one with the same.
                manager.cache.clear()
                token: str = manager.generate_jwt(add_user(resources))
                return ask(url, PATH, token)

            yield request

    @pytest.mark.parametrize(
        ("resources", "shown"),
        [
            (["Connections", "DAG Runs", "Task Instances", "DAG:sales"], {"sales"}),
            (["Connections", "DAG Runs", "Task Instances", "DAGs"], {"sales", "salaries"}),
            (["Connections", "DAG Runs", "Task Instances"], set()),
            (["Connections", "DAG:sales"], set()),
        ],
        ids=["one DAG", "all DAGs", "no DAG", "no task"],
    )
    def test_tasks_are_shown_only_of_dags_whose_tasks_the_user_may_read(
        self, resources, shown, page_of, emulator, add_conn
    ):
        add_conn(emulator)
        for dag_id in ("sales", "salaries"):
            trigger = {"connection_id": emulator.connection_id}
            add_waiting_task(dag_id, trigger=trigger)

        page = page_of(*resources)

        assert page.names == [CONNECTION_NAME]
        assert {each for each in ("sales", "salaries") if f"{each}.sync" in page.body} == shown
        assert f"Airflow tasks waiting {len(shown)} " in page.text

    def test_nothing_is_shown_to_who_may_not_read_connections(self, page_of, emulator, add_conn):
        add_conn(emulator)

        page = page_of("DAG Runs", "Task Instances", "DAGs")

        assert page.status == 403
        assert "You may not see this page" in page.text
        assert routes(emulator) == {}


@contextmanager
def fab_users() -> Iterator[Callable[[Sequence[str]], Any]]:
    """Add users of FAB with a role that may read some resources; all is removed at the end."""
    from airflow.providers.fab.auth_manager.models import (
        Action,
        Permission,
        Resource,
        Role,
        User,
    )
    from airflow.utils.session import create_session

    def add(resources: Sequence[str]) -> Any:
        with create_session() as session:
            can_read = Action(name="can_read")
            role = Role(
                name="of this test",
                permissions=[
                    Permission(action=can_read, resource=Resource(name=name)) for name in resources
                ],
            )
            user = User(
                username="reader",
                first_name="",
                last_name="",
                email="reader@example.com",
                active=True,
                roles=[role],
            )
            session.add(user)
        return user

    yield add
    with create_session() as session:
        for model in (User, Role, Permission, Resource, Action):
            for each in session.query(model):
                session.delete(each)
            session.flush()


class TestWhatItShows:
    def test_a_connection_with_its_status_schedule_and_last_sync(
        self, complete, emulator, add_conn
    ):
        add_conn(emulator)
        ended(emulator)

        (row,) = complete().rows

        assert row.startswith(f"{CONNECTION_NAME} Analytics Active Manual Succeeded")
        assert " 1.23 M 1 min 30 s " in row

    def test_it_is_a_table_however_it_is_laid_out(self, complete, emulator, add_conn):
        """Safari takes an element that is no table in its style for none, unless it has a role."""
        add_conn(emulator)

        (table,) = re.findall(r"<table.*</table>", complete().body, re.DOTALL)

        roles = {"table": ["table"], "thead": ["rowgroup"], "tbody": ["rowgroup"], "tr": ["row"]}
        roles |= {"th": ["columnheader", "rowheader"], "td": ["cell"]}
        for tag, role in re.findall(r'<(table|thead|tbody|tr|th|td)\b(?: role="(\w+)")?', table):
            assert role in roles[tag]

    @pytest.mark.parametrize(
        ("outcome", "text"), [("failed", "Failed"), ("cancelled", "Cancelled")]
    )
    def test_how_the_last_sync_ended(self, outcome, text, complete, emulator, add_conn):
        add_conn(emulator)
        ended(emulator, outcome=outcome, failure={"message": "no"} if text == "Failed" else None)

        assert f"Manual {text}" in complete().rows[0]

    def test_a_bar_for_each_of_the_last_20_syncs(self, complete, emulator, add_conn):
        add_conn(emulator)
        jobs = [ended(emulator) for _ in range(22)]
        ended(emulator, outcome="failed", failure={"message": "no"})

        body = complete().body

        (bars,) = re.findall(r'<svg class="bars" role="img".*?</svg>', body, re.DOTALL)
        assert bars.count('class="bar good"') == 19
        assert bars.count('class="bar bad"') == 1
        # Not by its colour alone.
        assert bars.count('class="mark"') == 1
        assert f"Job {jobs[-1]}: sync succeeded · " in body
        assert " · 1 min 30 s · 1,234,567 rows</title>" in body
        assert f"Job {jobs[2]}: " not in body
        assert 'aria-label="The last 20 syncs: 19 succeeded, 1 failed"' in body

    @pytest.mark.parametrize("others", [0, 301], ids=["listed", "read by itself"])
    def test_resets_take_no_place_of_the_last_20_syncs(self, others, complete, emulator, add_conn):
        add_conn(emulator)
        for number in range(21):
            ended(emulator)
            if number % 2:
                emulator.start_sync(job_type="reset")
                emulator.advance(100)
        other = emulator.add_connection("Other")
        for _ in range(others):
            ended(emulator, other)

        body = complete(q=CONNECTION_NAME).body

        assert 'aria-label="The last 20 syncs: 20 succeeded"' in body

    def test_what_runs_now_with_a_link_to_its_job(self, complete, emulator, add_conn):
        add_conn(emulator)
        emulator.script_job(statuses=[("running", None)])
        job_id = emulator.start_sync()

        page = complete()

        assert "Running for" in page.rows[0]
        assert f"/timeline?jobId={job_id}&amp;openLogs=true" in page.body
        assert f"/connections/{emulator.connection_id}" in page.body

    def test_a_reset_that_runs_is_called_so(self, complete, emulator, add_conn):
        add_conn(emulator)
        emulator.script_job(statuses=[("running", None)])
        emulator.start_sync(job_type="reset")

        assert "Reset running for" in complete().rows[0]

    def test_a_connection_that_has_never_synced(self, complete, emulator, add_conn):
        add_conn(emulator)

        assert complete().rows == [
            f"{CONNECTION_NAME} Analytics Active Manual None yet {DASH} {DASH} No sync yet {DASH}"
        ]

    def test_an_airbyte_without_connections(self, complete, add_conn):
        with (empty := Emulator(seed={"connections": []})).serve():
            add_conn(empty)

            assert "Airbyte has no connections" in complete().text

    def test_names_are_text_whatever_is_in_them(self, complete, emulator, add_conn):
        name = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
        add_conn(emulator)
        emulator.add_workspace(name)
        emulator.add_connection(name)
        ended(emulator, list(emulator.connections)[-1])

        page = complete(q="<script>")

        assert page.names == [name]
        # Of any direction: one does not turn what is around it.
        assert re.search(r'class="strong" dir="auto"[^>]*>&lt;script', page.body)
        assert "<script>alert" not in page.body
        assert "<img" not in page.body

    def test_what_is_searched_for_is_text_too(self, get, emulator, add_conn):
        add_conn(emulator)

        page = get(q='"><script>alert(1)</script>', tag='"><img>', show="<b>")

        assert "No connection matches" in page.text
        assert "<script>alert" not in page.body
        assert "<img>" not in page.body

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"q": "ALPHA"}, ["Alpha"]),
            ({"status": "inactive"}, ["Beta"]),
            ({"show": "now"}, ["Alpha"]),
            ({"show": "trouble"}, ["Gamma"]),
            ({"show": "nonsense"}, ["Alpha", "Beta", "Gamma", CONNECTION_NAME]),
        ],
    )
    def test_filters(self, query, names, complete, emulator, add_conn):
        add_conn(emulator)
        gamma = emulator.add_connection("Gamma")
        ended(emulator, gamma, outcome="failed", failure={"message": "no"})
        emulator.add_connection("Beta", status="inactive")
        alpha = emulator.add_connection("Alpha")
        emulator.script_job(alpha, statuses=[("running", None)])
        emulator.start_sync(alpha)

        assert complete(**query).names == names

    def test_a_workspace_can_be_chosen(self, complete, emulator, add_conn):
        add_conn(emulator)
        workspace = emulator.add_workspace("Finance")
        source = emulator.add_source("Ledger", workspace_id=workspace)
        destination = emulator.add_destination("Books", workspace_id=workspace)
        emulator.add_connection("Ledger", source_id=source, destination_id=destination)

        assert complete(workspace=workspace).names == ["Ledger"]

    def test_pages_of_50(self, complete, emulator, add_conn):
        add_conn(emulator)
        for number in range(60):
            emulator.add_connection(f"Tenant {number:02}")

        last = complete(page=99)

        assert last.names == [f"Tenant {number}" for number in range(49, 60)]
        assert f"51{DASH}61 of 61" in last.text

    def test_the_airflow_connection_can_be_chosen(self, complete, emulator, add_conn):
        add_conn(emulator)
        with (other := Emulator()).serve():
            other.add_connection("Elsewhere")
            add_conn(other, "airbyte_test")

            assert "Elsewhere" in complete(conn_id="airbyte_test").names
            assert "Elsewhere" not in complete().names

    def test_one_of_another_type_is_not_shown(self, get, emulator, add_conn):
        add_conn(emulator, conn_type="http")

        assert get(conn_id=CONN_ID).names == []
        assert routes(emulator) == {}

    def test_one_in_the_environment_is_shown_if_it_is_named(
        self, complete, get, emulator, monkeypatch
    ):
        monkeypatch.setenv("AIRFLOW_CONN_FROM_ENVIRONMENT", emulator.connection_uri)

        assert "No Airflow connection to Airbyte" in get().text
        assert complete(conn_id="from_environment").names == [CONNECTION_NAME]

    def test_one_in_the_environment_that_the_user_may_not_read_is_not_shown(
        self, get, emulator, monkeypatch
    ):
        monkeypatch.setenv("AIRFLOW_CONN_HIDDEN_ONE", emulator.connection_uri)

        page = get(conn_id="hidden_one")

        assert "No Airflow connection hidden_one to show" in page.text
        assert routes(emulator) == {}

    def test_one_of_another_type_in_the_environment_is_not_shown(self, get, emulator, monkeypatch):
        uri = emulator.connection_uri.replace("airbyte-sme://", "http://", 1)
        assert uri != emulator.connection_uri
        monkeypatch.setenv("AIRFLOW_CONN_OF_ANOTHER_TYPE", uri)

        page = get(conn_id="of_another_type")

        assert "No Airflow connection of_another_type to show" in page.text
        assert routes(emulator) == {}

    @pytest.mark.parametrize("conn_id", ["../secret", "nowhere", "a/b", "%00"])
    def test_one_that_does_not_exist(self, conn_id, get):
        page = get(conn_id=conn_id)

        assert page.status == 200
        assert f"No Airflow connection {conn_id} to show" in page.text

    @pytest.mark.parametrize("query", [{"page": 0}, {"page": "x"}, {"q": "x" * 251}])
    def test_a_query_that_makes_no_sense_is_refused(self, query, get, emulator, add_conn):
        add_conn(emulator)

        page = get(**query)

        assert page.status == 422
        assert "This address is not valid" in page.text


@pytest.mark.usefixtures("waiting_tasks")
class TestTasks:
    def test_a_deferred_task_that_waits_with_a_link_to_it(self, complete, emulator, add_conn):
        add_conn(emulator)
        trigger = {
            "airbyte_conn_id": CONN_ID,
            "job_id": 7,
            "connection_id": emulator.connection_id.upper(),
            "deadline": 0,
        }
        add_waiting_task(
            "sales", "sync", run_id="manual__2026-11-26T10:00:00+00:00", trigger=trigger
        )

        page = complete()

        assert "sales.sync" in page.rows[0]
        assert (
            'href="../../dags/sales/runs/manual__2026-11-26T10%3A00%3A00%2B00%3A00/tasks/sync"'
            in page.body
        )

    def test_a_mapped_task(self, complete, emulator, add_conn):
        add_conn(emulator)
        trigger = {"connection_id": emulator.connection_id}
        add_waiting_task("tenants", "gate", map_index=3, trigger=trigger)

        page = complete()

        assert "tenants.gate [3]" in page.rows[0]
        assert "/tasks/gate/mapped/3" in page.body

    @pytest.mark.parametrize("state", ["running", "up_for_reschedule"])
    @pytest.mark.parametrize("job", [{"job_id": 7}, {}], ids=["a job", "any sync"])
    def test_a_task_on_a_worker(self, job, state, complete, emulator, add_conn):
        add_conn(emulator)
        xcoms = {**job, "connection_id": emulator.connection_id}
        add_waiting_task("sales", state=state, xcoms=xcoms)

        assert "sales.sync" in complete().rows[0]

    @pytest.mark.parametrize("state", ["success", "failed", "queued"])
    def test_not_one_that_does_not_wait(self, state, complete, emulator, add_conn):
        add_conn(emulator)
        xcoms = {"job_id": 7, "connection_id": emulator.connection_id}
        add_waiting_task("sales", state=state, xcoms=xcoms)

        assert "sales" not in complete().body

    def test_not_one_that_has_made_the_connection(self, complete, emulator, add_conn):
        add_conn(emulator)
        xcoms = {"connection_id": emulator.connection_id, "resource_url": "https://airbyte/c"}
        add_waiting_task("provisioning", state="running", xcoms=xcoms)

        assert "provisioning" not in complete().body

    def test_not_one_of_another_operator_that_has_such_xcoms(self, complete, emulator, add_conn):
        add_conn(emulator)
        add_waiting_task("a", state="running", xcoms={"connection_id": "mine", "job_id": None})
        add_waiting_task("b", state="running", xcoms={"job_id": {"not": "a number"}})
        add_waiting_task("c", state="running", xcoms={"connection_id": "c", "job_id": math.inf})

        assert complete().rows[0].endswith(f"No sync yet {DASH}")

    def test_not_one_of_a_dag_that_the_user_may_not_read(self, complete, emulator, add_conn):
        add_conn(emulator)
        trigger = {"connection_id": emulator.connection_id}
        add_waiting_task("hidden_dag", trigger=trigger)
        add_waiting_task("shown_dag", trigger=trigger)

        page = complete()

        assert "shown_dag.sync" in page.rows[0]
        assert "hidden_dag" not in page.body
        assert re.search(r"Airflow tasks waiting 1\b", page.text)

    def test_not_one_of_a_dag_of_a_team_that_the_user_may_not_see(
        self, complete, emulator, add_conn
    ):
        add_conn(emulator)
        trigger = {"connection_id": emulator.connection_id}
        for dag_id in ("sales", "salaries"):
            add_waiting_task(dag_id, trigger=trigger)

        with team_that_owns("salaries", "hidden_team"):
            page = complete()

        assert "sales.sync" in page.rows[0]
        assert "salaries" not in page.body

    def test_the_teams_of_all_dags_are_read_in_one_query(self, complete, emulator, add_conn):
        from airflow.settings import engine
        from sqlalchemy import event

        add_conn(emulator)
        trigger = {"connection_id": emulator.connection_id}
        for number in range(5):
            add_waiting_task(f"queries_{number}", trigger=trigger)
        queries = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            queries.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        page = complete()
        event.remove(engine, "before_cursor_execute", note)

        assert "queries_0.sync" in page.rows[0]
        assert sum("dag_bundle_team" in each for each in queries) == 1

    def test_a_few_of_many(self, complete, emulator, add_conn):
        add_conn(emulator)
        for index in range(5):
            trigger = {"connection_id": emulator.connection_id}
            add_waiting_task("tenants", map_index=index, trigger=trigger)

        assert "tenants.sync [2] waits and 2 more tasks" in complete(show="tasks").rows[0]


class TestWhatItCosts:
    def test_a_small_airbyte_is_read_in_four_requests_and_then_not_again(
        self, complete, emulator, add_conn
    ):
        add_conn(emulator)
        for number in range(30):
            emulator.add_connection(f"Tenant {number}")
        for _ in range(3):
            ended(emulator)

        complete()
        complete(q="tenant")
        complete(page=2)

        assert routes(emulator) == {
            "POST /applications/token": 1,
            "GET /connections": 1,
            "GET /workspaces": 1,
            "GET /jobs": 2,
        }

    def test_of_1000_connections_only_those_that_are_shown_have_their_syncs_read(
        self, complete, emulator, add_conn
    ):
        add_conn(emulator)
        for number in range(999):
            emulator.add_connection(f"Tenant {number:03}")
        for connection_id in list(emulator.connections)[:400]:
            emulator.script_job(connection_id, duration=0)
            emulator.start_sync(connection_id)
        emulator.settle()

        first = complete(page=1)
        read = routes(emulator)
        complete(page=2)

        assert f"1{DASH}50 of 1,000" in first.text
        # A short last page ends the list.
        assert read["GET /connections"] == 11
        # What runs, three pages of the newest, and one for each row.
        assert read["GET /jobs"] == 1 + 3 + 50
        assert routes(emulator)["GET /jobs"] == 1 + 3 + 100
        asked = Counter(
            each.query["connectionId"][0]
            for each in emulator.requests
            if "connectionId" in each.query
        )
        assert set(asked.values()) == {1}

    def test_two_requests_at_most_are_in_flight_however_many_people_look(
        self, complete, emulator, add_conn
    ):
        add_conn(emulator)
        emulator.latency = 0.02
        for number in range(120):
            emulator.add_connection(f"Tenant {number:03}")
        for _ in range(301):
            emulator.script_job(duration=0)
            emulator.start_sync()
            emulator.settle()
        emulator.clear_requests()

        with ThreadPoolExecutor(12) as browsers:
            list(browsers.map(lambda number: complete(page=number % 3 + 1), range(12)))

        assert emulator.in_flight.peak == 2
        read = routes(emulator)
        assert (read["GET /connections"], read["GET /workspaces"]) == (2, 1)
        # One connection has all the jobs that were listed.
        assert read["GET /jobs"] == 1 + 3 + 120

    def test_what_has_changed_costs_two_requests(self, complete, emulator, add_conn, monkeypatch):
        from airflow_provider_airbyte_sme.plugins.page import reading

        monkeypatch.setattr(reading, "REFRESH_INTERVAL", 0.0)
        add_conn(emulator)
        complete()
        emulator.clear_requests()
        emulator.script_job(statuses=[("running", None)])
        job_id = emulator.start_sync()

        page = complete()

        assert "Running for" in page.rows[0]
        assert routes(emulator) == {"GET /jobs": 2}
        emulator.finish_job(job_id)
        assert "Manual Succeeded" in complete().rows[0]

    def test_after_more_changes_than_are_read_the_syncs_are_read_anew(
        self, complete, emulator, add_conn, monkeypatch
    ):
        from airflow_provider_airbyte_sme.plugins.page import reading

        monkeypatch.setattr(reading, "REFRESH_INTERVAL", 0.0)
        monkeypatch.setattr(reading, "_MAX_PAGES", 1)
        add_conn(emulator)
        other = emulator.add_connection("Other")
        ended(emulator, other)
        complete()
        emulator.advance(3600)
        ended(emulator, other)
        for _ in range(100):
            ended(emulator)

        page = complete(q="other")

        assert page.body.count('<g class="bar good"') == 2

    def test_after_more_changes_than_are_read_nothing_runs_for_ever(
        self, complete, emulator, add_conn, monkeypatch
    ):
        from airflow_provider_airbyte_sme.plugins.page import reading

        monkeypatch.setattr(reading, "REFRESH_INTERVAL", 0.0)
        monkeypatch.setattr(reading, "_MAX_PAGES", 1)
        add_conn(emulator)
        other = emulator.add_connection("Other")
        emulator.script_job(other, statuses=[("running", None)])
        job_id = emulator.start_sync(other)
        assert "Running now 1" in complete().text
        emulator.advance(3600)
        emulator.finish_job(job_id)
        emulator.advance(3600)
        for _ in range(101):
            ended(emulator)

        page = complete(q=CONNECTION_NAME)

        assert page.names == [CONNECTION_NAME]
        assert "Running now 0" in page.text

    def test_a_hanging_airbyte_holds_up_neither_the_page_nor_other_requests(
        self, get, emulator, add_conn
    ):
        add_conn(emulator)
        emulator.hang_next("GET /connections", 8.0)
        began = time.monotonic()
        with ThreadPoolExecutor(1) as browser:
            page = browser.submit(get)
            poll(lambda: emulator.in_flight.now, timeout=60, what="the request", interval=0.01)
            assert get("static/page.css").status == 200
            assert not page.done()
            loading = page.result()

        assert time.monotonic() - began < 8
        assert "Reading Airbyte…" in loading.text
        assert 'data-poll="1000"' in loading.body

    def test_a_process_that_ends_does_not_read_the_rest_of_a_slow_airbyte(self, emulator, tmp_path):
        script = tmp_path / "end.py"
        script.write_text(
            "import sys\n"
            "from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteUrls\n"
            "from airflow_provider_airbyte_sme.plugins.page.reading import AirbyteReaders\n"
            "url, client_id, client_secret = sys.stdin.readline().split()\n"
            "settings = AirbyteSettings(AirbyteUrls.parse(url), client_id, client_secret)\n"
            "reader = AirbyteReaders().get(settings)\n"
            "reader.refresh()\n"
            "sys.stdin.readline()\n"
        )
        emulator.latency = 2.0
        ending = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, text=True)
        assert ending.stdin
        print(emulator.url, emulator.client_id, emulator.client_secret, file=ending.stdin)
        ending.stdin.flush()
        poll(lambda: emulator.in_flight.now, timeout=60, what="the first request", interval=0.01)

        ending.communicate("end\n")

        assert ending.returncode == 0
        # What follows the token and the list of connections.
        assert "GET /jobs" not in routes(emulator)


class TestTrouble:
    def test_an_outage_shows_the_last_known_data_and_the_error(
        self, complete, emulator, add_conn, monkeypatch
    ):
        from airflow_provider_airbyte_sme.plugins.page import reading

        monkeypatch.setattr(reading, "REFRESH_INTERVAL", 0.0)
        add_conn(emulator)
        ended(emulator)
        complete()
        emulator.fail_next("GET /jobs", 503, times=None)

        page = complete()

        assert "Airbyte cannot be read at the moment." in page.text
        assert "503" in page.text
        assert "What you see is from just now" in page.text
        assert "Manual Succeeded" in page.rows[0]
        emulator.clear_faults()
        assert "cannot be read" not in complete().text

    def test_an_outage_is_not_asked_about_by_each_browser(self, complete, emulator, add_conn):
        add_conn(emulator)
        emulator.fail_next("GET /connections", 503, times=None)

        for _ in range(5):
            assert "Airbyte cannot be read." in complete().text

        assert routes(emulator)["GET /connections"] == 1

    def test_a_wrong_secret_is_told(self, complete, emulator, add_conn):
        add_conn(emulator, password="wrong-secret-of-this-test")

        text = complete().text

        assert "Airbyte cannot be read." in text
        assert "client id" in text.lower()

    def test_a_broken_airflow_connection_is_told(self, complete, emulator, add_conn):
        add_conn(emulator, extra=json.dumps({"request_timeout": "soon"}))

        text = complete().text

        assert f"Airflow connection {CONN_ID} cannot be used." in text
        assert "request_timeout of the Airflow connection must be a number" in text

    def test_a_connection_whose_syncs_cannot_be_read_does_not_hide_the_others(
        self, complete, emulator, add_conn
    ):
        add_conn(emulator)
        for _ in range(301):
            ended(emulator)
        others = [emulator.add_connection(f"Other {number}") for number in range(2)]
        listed = []

        def fail_after_the_lists() -> None:
            listed.append(1)
            # What runs, and three pages of the newest.
            if len(listed) == 4:
                emulator.fail_next("GET /jobs", 500)

        emulator.call_next("GET /jobs", fail_after_the_lists, times=4, after=True)

        page = complete()

        assert len(page.rows) == 1 + len(others)
        assert sum("with 500" in row for row in page.rows) == 1
        assert "cannot be read" not in page.text

    def test_a_secrets_backend_that_hangs_is_told(self, get, hanging_secrets, monkeypatch):
        from airflow_provider_airbyte_sme.plugins.page import application

        monkeypatch.setattr(application, "PATIENCE", 0.05)

        with hanging_secrets():
            assert "secrets backend does not answer" in get(conn_id="in_a_vault").text

    def test_a_secrets_backend_that_hangs_is_asked_once_and_holds_up_no_other_connection(
        self, get, hanging_secrets, emulator, add_conn, endless_patience
    ):
        add_conn(emulator)
        with ThreadPoolExecutor(endless_patience) as browsers:
            with hanging_secrets() as asked:
                waiting = [
                    browsers.submit(get, conn_id="in_the_vault") for _ in range(endless_patience)
                ]
                poll(lambda: asked, timeout=60, what="the backend to be asked", interval=0.01)

                assert get().names == [CONNECTION_NAME]
                assert not any(each.done() for each in waiting)
            for each in waiting:
                assert "No Airflow connection in_the_vault to show" in each.result().text
        assert asked == ["in_the_vault"]

    def test_an_airbyte_that_hangs_holds_up_no_other_one(
        self, get, emulator, add_conn, endless_patience
    ):
        add_conn(emulator)
        end = threading.Event()
        with (hanging := Emulator()).serve():
            add_conn(hanging, "hanging_one")
            hanging.call_next("GET /connections", lambda: end.wait(60))
            with ThreadPoolExecutor(endless_patience) as browsers:
                try:
                    waiting = [
                        browsers.submit(get, conn_id="hanging_one") for _ in range(endless_patience)
                    ]
                    poll(lambda: hanging.in_flight.now, timeout=60, what="the list", interval=0.01)

                    assert get().names == [CONNECTION_NAME]
                    assert not any(each.done() for each in waiting)
                finally:
                    end.set()
                assert all(each.result().names == [CONNECTION_NAME] for each in waiting)

    @pytest.mark.parametrize("query", [{}, {"conn_id": CONN_ID}, {"conn_id": "of_another_key"}])
    def test_an_airflow_connection_that_cannot_be_decrypted_does_not_hide_the_others(
        self, query, complete, emulator, add_conn
    ):
        add_conn(emulator)
        add_conn(emulator, "of_another_key")
        encrypt_with_another_key("of_another_key")

        page = complete(**query)

        assert page.status == 200
        assert CONN_ID in page.text
        is_broken = "of_another_key" in query.values()
        assert page.names == ([] if is_broken else [CONNECTION_NAME])
        assert ("cannot read this connection" in page.text) == is_broken

    def test_an_error_that_nobody_expected_is_a_page_too(self, get, monkeypatch):
        monkeypatch.setattr(PickyAuthManager, "is_broken", True)

        page = get()

        assert page.status == 500
        assert "This page does not work" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]

    def test_an_error_of_the_page_itself_is_told_without_its_text(
        self, complete, emulator, add_conn
    ):
        add_conn(emulator)
        emulator.alter_next("GET /connections", lambda body: {"data": "nonsense"}, times=None)

        assert "Airbyte cannot be read." in complete().text


def test_nothing_is_kept_of_connections_that_are_gone(emulator, settings, monkeypatch):
    from airflow_provider_airbyte_sme.plugins.page import reading

    monkeypatch.setattr(reading, "REFRESH_INTERVAL", 0.0)
    monkeypatch.setattr(reading, "LIST_INTERVAL", 0.0)
    gone = emulator.add_connection("Gone")
    ended(emulator, gone)
    ended(emulator)
    reader = reading.AirbyteReader(settings)
    (read,) = reader.refresh()
    read.result()
    assert gone in reader.snapshot.jobs
    for _ in range(301):
        ended(emulator)
    emulator.set_connection_status(gone, "deprecated")

    for _ in range(2):  # the first one reads its job once more
        (read,) = reader.refresh()
        read.result()
    reader.close()

    assert set(reader.snapshot.connections or ()) == {emulator.connection_id}
    assert set(reader.snapshot.jobs) == {emulator.connection_id}
    assert reader.snapshot.complete == {emulator.connection_id}


@pytest.fixture
def settings(emulator: Emulator) -> AirbyteSettings:
    urls = AirbyteUrls.parse(emulator.url)
    return AirbyteSettings(urls, emulator.client_id, emulator.client_secret)


def test_readers_that_nobody_uses_leave_nothing_behind(settings, monkeypatch):
    from airflow_provider_airbyte_sme.plugins.page import reading

    def threads() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each.name.startswith("airbyte-page_")}

    of_others = threads()
    readers = reading.AirbyteReaders()
    reader = readers.get(settings)
    assert readers.get(settings) is reader
    (read,) = reader.refresh()
    read.result()
    assert threads() - of_others
    readers.forget_idle()
    assert readers.get(settings) is reader
    monkeypatch.setattr(reading, "_MAX_IDLE", 0.0)

    readers.forget_idle()

    assert readers.get(settings) is not reader
    poll(lambda: not threads() - of_others, timeout=60, what="the threads to end")


def test_readers_are_forgotten_without_another_look_at_the_page(settings, monkeypatch):
    from airflow_provider_airbyte_sme.plugins.page import reading

    monkeypatch.setattr(reading, "_MAX_IDLE", 0.0)
    readers = reading.AirbyteReaders()
    reader = weakref.ref(readers.get(settings))

    poll(lambda: reader() is None, timeout=60, what="the reader to be forgotten", interval=0.01)
