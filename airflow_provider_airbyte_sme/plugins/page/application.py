"""
The web application of the page: who is let in, what is read for a request, and how it is shown.

It only reads, and only answers GET. Whatever blocks runs in a few threads of its own: neither the
event loop of the API server nor the threads of Airflow's own API wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.plugins.page import charts, texts, view
from airflow_provider_airbyte_sme.plugins.page.permissions import (
    AirflowConnections,
    find_connections,
    readable_dags,
)
from airflow_provider_airbyte_sme.plugins.page.reading import (
    AirbyteReaders,
    Snapshot,
)
from airflow_provider_airbyte_sme.plugins.page.tasks import WaitingTask, WaitingTasks
from airflow_provider_airbyte_sme.plugins.page.threads import DaemonThreads

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds that a request waits for what is being read, before it shows what is known."""
POLL_INTERVAL = 15.0
"""Seconds after which a browser asks again."""
POLL_SOON = 1.0
"""The same, while something is being read."""

_FOLDER = Path(__file__).parent
_THREADS = 4
_HEADERS = {
    # Styles and scripts only from files. Airflow shows the page in a frame of its own.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MAX_TEXT = 250


class _Content(NamedTuple):
    """All that a template shows."""

    connections: AirflowConnections
    query: view.Query
    snapshot: Snapshot
    waited_for: dict[str, list[WaitingTask]]


class Page:
    """
    Reads for a request, and renders. It keeps what it has read for a few seconds.

    :param url_prefix: Where Airflow mounts the page.
    """

    def __init__(self, url_prefix: str) -> None:
        self._url_prefix = url_prefix
        self._threads = DaemonThreads(_THREADS, "airbyte-page-airflow")
        self._readers = AirbyteReaders()
        self._tasks = WaitingTasks()
        self._templates = _make_templates()

    async def html(self, template: str, user: Any, query: view.Query) -> HTMLResponse:
        """Return the page, or the part of it that changes."""
        content = await self._read(user, query)
        return _response(await self._in_thread(self._render_content, template, content))

    def refusal(self, request: Request, code: int) -> HTMLResponse:
        """Return the page that says why there is no other. It waits for no thread."""
        return _response(self._render("refused.html", code=code, root=self._root(request)), code)

    def _root(self, request: Request) -> str:
        """Return the way from the URL of a request up to the page, for links."""
        return "../" * request.url.path.partition(f"{self._url_prefix}/")[2].count("/")

    def _render_content(self, template: str, content: _Content) -> str:
        return self._render(template, **self._values(content))

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)

    async def _in_thread(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    async def _read(self, user: Any, query: view.Query) -> _Content:
        found: AirflowConnections = await self._in_thread(find_connections, user, query.conn_id)
        if found.lookup is not None:
            await _wait_for([found.lookup.found])
        connections = found.looked_up()
        selected = connections.selected
        if selected is None or selected.settings is None:
            return _Content(connections, query, Snapshot(), {})
        reader = self._readers.get(selected.settings)
        await _wait_for(reader.refresh())
        waited_for = await self._in_thread(self._readable_tasks, user, reader.snapshot)
        selection = await self._in_thread(view.select, reader.snapshot, query, waited_for)
        await _wait_for(reader.read_histories([each.connection_id for each in selection.shown]))
        return _Content(connections, query, reader.snapshot, waited_for)

    def _readable_tasks(self, user: Any, snapshot: Snapshot) -> dict[str, list[WaitingTask]]:
        known = {each.lower() for each in snapshot.connections or ()}
        tasks = [task for task in self._tasks.get() if task.connection_id in known]
        readable = readable_dags(user, (task.key.dag_id for task in tasks))
        return view.by_connection(task for task in tasks if task.key.dag_id in readable)

    def _values(self, content: _Content) -> dict[str, Any]:
        snapshot, now = content.snapshot, datetime.now(UTC)
        selected = content.connections.selected
        settings = selected.settings if selected else None
        selection = view.select(snapshot, content.query, content.waited_for)
        rows = (
            view.rows_of(snapshot, selection, content.waited_for, settings.urls, now)
            if settings
            else []
        )
        is_incomplete = any(row.chart is None and not row.problem for row in rows)
        is_loading = snapshot.is_reading and (snapshot.read_at is None or is_incomplete)
        return {
            "connections": content.connections,
            "selected": selected,
            "airbyte_url": settings.urls.web if settings else "",
            "query": content.query,
            "snapshot": snapshot,
            "selection": selection,
            "rows": rows,
            "totals": view.count(snapshot, content.waited_for),
            "statuses": view.status_options(snapshot),
            "workspaces": view.workspace_options(snapshot),
            "tags": view.tag_options(snapshot),
            "now": now,
            "root": "",
            "poll": int(1000 * (POLL_SOON if is_loading else POLL_INTERVAL)),
        }


async def _wait_for(reads: Sequence[Future[Any]]) -> None:
    """Wait for what is being read, but not long. It goes on if the browser goes away."""
    if reads:
        await asyncio.wait([asyncio.wrap_future(each) for each in reads], timeout=PATIENCE)


def _response(text: str, status: int = 200) -> HTMLResponse:
    """Return a response that no cache keeps."""
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def _make_templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(
        {
            "version": __version__,
            "chart_size": (charts.WIDTH, charts.HEIGHT),
            "marks": charts.MARKS,
            "show": {
                "running": view.SHOW_RUNNING,
                "trouble": view.SHOW_TROUBLE,
                "tasks": view.SHOW_WAITED_FOR,
            },
            "active_text": view.active_text,
            "schedule_text": view.schedule_text,
            "tag_color": view.tag_color,
            "job_text": view.job_text,
            "age_text": texts.age_text,
            "exact_time": texts.exact_time,
            "link": lambda query, **changes: "?" + urlencode(query.parameters(**changes)),
        }
    )
    return templates


async def _query(
    conn_id: str = Query("", max_length=_MAX_TEXT),
    q: str = Query("", max_length=_MAX_TEXT),
    show: str = Query("", max_length=_MAX_TEXT),
    status: str = Query("", max_length=_MAX_TEXT),
    workspace: str = Query("", max_length=_MAX_TEXT),
    tag: str = Query("", max_length=_MAX_TEXT),
    page: int = Query(1, ge=1, le=1_000_000),
) -> view.Query:
    return view.Query(conn_id, q, show, status, workspace, tag, page)


def make_application(url_prefix: str) -> FastAPI:
    """
    Return the web application.

    :param url_prefix: Where Airflow mounts it, below its own.
    """
    page = Page(url_prefix)
    application = FastAPI(
        title="Airbyte in Airflow", docs_url=None, redoc_url=None, openapi_url=None
    )
    application.mount("/static", StaticFiles(directory=_FOLDER / "static"), name="static")
    # As for Airflow's own list of connections.
    is_allowed = [Depends(requires_access_connection("GET"))]

    @application.middleware("http")
    async def add_headers(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    @application.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> HTMLResponse:
        response = page.refusal(request, error.status_code)
        response.headers.update(error.headers or {})
        return response

    @application.exception_handler(RequestValidationError)
    async def refuse_query(request: Request, error: RequestValidationError) -> HTMLResponse:
        del error
        return page.refusal(request, 422)

    # The server raises the error again, and so logs it. No middleware sees the response.
    @application.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> HTMLResponse:
        del error
        response = page.refusal(request, 500)
        response.headers.update(_HEADERS)
        return response

    @application.get("/", response_class=HTMLResponse, dependencies=is_allowed)
    async def whole(user: GetUserDep, query: view.Query = Depends(_query)) -> HTMLResponse:  # noqa: B008
        return await page.html("page.html", user, query)

    @application.get("/content", response_class=HTMLResponse, dependencies=is_allowed)
    async def content(user: GetUserDep, query: view.Query = Depends(_query)) -> HTMLResponse:  # noqa: B008
        return await page.html("content.html", user, query)

    return application
