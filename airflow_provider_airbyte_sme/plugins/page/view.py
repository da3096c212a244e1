"""What the page shows: rows that are filtered, counted and cut into pages. Pure: no I/O."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from airflow_provider_airbyte_sme.api import AirbyteConnection, Job
from airflow_provider_airbyte_sme.api.models import Tag
from airflow_provider_airbyte_sme.api.settings import AirbyteUrls
from airflow_provider_airbyte_sme.plugins.page.charts import Chart, chart_of, tone_of
from airflow_provider_airbyte_sme.plugins.page.reading import ConnectionSummary, Snapshot
from airflow_provider_airbyte_sme.plugins.page.tasks import WaitingTask
from airflow_provider_airbyte_sme.plugins.page.texts import (
    exact_time,
    short_duration,
    short_number,
)

ROWS_PER_PAGE = 50
TASKS_PER_ROW = 3
TAGS_PER_ROW = 3

SHOW_RUNNING, SHOW_TROUBLE, SHOW_WAITED_FOR = "now", "trouble", "tasks"

_COLOR = r"[0-9A-Fa-f]{6}"
_NO_COLOR = "8A94A6"


class Query(NamedTuple):
    """
    What somebody asks to see.

    :param conn_id: Id of the Airflow connection; empty for the first one.
    :param search: Part of the name of a connection, or its id.
    :param show: One of ``SHOW_...``; anything else for all.
    :param status: Status of the Airbyte connection; empty for any.
    :param workspace: Id of the workspace; empty for any.
    :param tag: Id of the tag; empty for any.
    :param page: From 1.
    """

    conn_id: str = ""
    search: str = ""
    show: str = ""
    status: str = ""
    workspace: str = ""
    tag: str = ""
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether less than all connections are asked for."""
        return any((self.search, self.show, self.status, self.workspace, self.tag))

    def parameters(self, **changes: object) -> dict[str, object]:
        """Return the parameters of a URL for this query with *changes*, without defaults."""
        values = self._replace(**{"page": 1, **changes})._asdict()  # type: ignore[arg-type]
        values["q"] = values.pop("search")
        return {name: value for name, value in values.items() if value not in ("", 1)}


class Option(NamedTuple):
    """One choice of a filter."""

    value: str
    text: str


class Totals(NamedTuple):
    """How many connections there are, and how many of them need a look."""

    connections: int = 0
    running: int = 0
    in_trouble: int = 0
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the page shows it."""

    job: Job
    url: str
    tone: str
    rows: str
    exact_rows: str
    duration: str


@dataclass(frozen=True, slots=True)
class Row:
    """
    One Airbyte connection.

    :param chart: ``None`` while its syncs are unknown.
    :param tasks: What waits for it, at most :data:`TASKS_PER_ROW`.
    :param more_tasks: How many others wait too.
    :param problem: Why its syncs cannot be read.
    """

    connection: ConnectionSummary
    url: str
    workspace: str
    tags: tuple[Tag, ...]
    more_tags: tuple[Tag, ...]
    last: JobView | None
    active: JobView | None
    chart: Chart | None
    tasks: tuple[WaitingTask, ...]
    more_tasks: int
    problem: str = ""


class Selection(NamedTuple):
    """
    The connections that a query asks for.

    :param shown: Those of the page.
    :param total: How many there are on all pages.
    :param page: The page that is shown, from 1.
    :param pages: How many pages there are, at least 1.
    """

    shown: tuple[ConnectionSummary, ...] = ()
    total: int = 0
    page: int = 1
    pages: int = 1

    @property
    def first(self) -> int:
        """Number of the first connection of the page."""
        return (self.page - 1) * ROWS_PER_PAGE + 1

    @property
    def last(self) -> int:
        """Number of the last connection of the page."""
        return self.first + len(self.shown) - 1


def by_connection(tasks: Iterable[WaitingTask]) -> dict[str, list[WaitingTask]]:
    """Return tasks by the Airbyte connection that they wait for."""
    found: dict[str, list[WaitingTask]] = {}
    for task in tasks:
        found.setdefault(task.connection_id, []).append(task)
    return found


def is_in_trouble(snapshot: Snapshot, connection_id: str) -> bool:
    """Whether the last known sync of a connection has failed."""
    last = snapshot.last_job(connection_id)
    return last is not None and tone_of(last) == "bad"


def select(
    snapshot: Snapshot, query: Query, waited_for: Mapping[str, Sequence[WaitingTask]]
) -> Selection:
    """
    Return the connections that *query* asks for.

    :param waited_for: Tasks by the Airbyte connection that they wait for.
    """
    filters: dict[str, Callable[[str], bool]] = {
        SHOW_RUNNING: lambda key: snapshot.active_job(key) is not None,
        SHOW_TROUBLE: lambda key: is_in_trouble(snapshot, key),
        SHOW_WAITED_FOR: lambda key: key.lower() in waited_for,
    }
    is_shown = filters.get(query.show)
    found = [
        each
        for key, each in (snapshot.connections or {}).items()
        if _matches(each, query) and (is_shown is None or is_shown(key))
    ]
    pages = max(1, -(-len(found) // ROWS_PER_PAGE))
    page = min(max(1, query.page), pages)
    start = (page - 1) * ROWS_PER_PAGE
    return Selection(tuple(found[start : start + ROWS_PER_PAGE]), len(found), page, pages)


def _matches(connection: ConnectionSummary, query: Query) -> bool:
    search = query.search.strip().lower()
    return (
        (not search or search in connection.name.lower() or search == connection.connection_id)
        and query.status in ("", connection.status)
        and query.workspace in ("", connection.workspace_id)
        and (not query.tag or any(query.tag == tag.tag_id for tag in connection.tags))
    )


def count(snapshot: Snapshot, waited_for: Mapping[str, Sequence[WaitingTask]]) -> Totals:
    """Return the totals of all connections, whatever is asked for."""
    connections = snapshot.connections or {}
    return Totals(
        len(connections),
        sum(snapshot.active_job(each) is not None for each in connections),
        sum(is_in_trouble(snapshot, each) for each in connections),
        sum(len(waited_for.get(each.lower(), ())) for each in connections),
    )


def workspace_options(snapshot: Snapshot) -> list[Option]:
    """Return the workspaces that have connections, in the order of their names."""
    ids = {each.workspace_id for each in (snapshot.connections or {}).values()}
    return _sorted(Option(each, snapshot.workspaces.get(each, each)) for each in ids)


def tag_options(snapshot: Snapshot) -> list[Option]:
    """Return the tags that connections have; with its workspace where two have the same name."""
    tags = {
        tag.tag_id: tag for each in (snapshot.connections or {}).values() for tag in each.tags
    }.values()
    uses = Counter(tag.name for tag in tags)
    return _sorted(
        Option(
            tag.tag_id,
            f"{tag.name} ({snapshot.workspaces.get(tag.workspace_id, tag.workspace_id)})"
            if uses[tag.name] > 1
            else tag.name,
        )
        for tag in tags
    )


def status_options(snapshot: Snapshot) -> list[Option]:
    """Return the statuses that connections have."""
    statuses = {each.status for each in (snapshot.connections or {}).values()}
    return _sorted(Option(each, each.capitalize()) for each in statuses)


def _sorted(options: Iterable[Option]) -> list[Option]:
    return sorted(options, key=lambda option: option.text.lower())


def rows_of(
    snapshot: Snapshot,
    selection: Selection,
    waited_for: Mapping[str, Sequence[WaitingTask]],
    urls: AirbyteUrls,
    now: datetime,
) -> list[Row]:
    """Return the rows of a page."""
    return [_row(snapshot, each, waited_for, urls, now) for each in selection.shown]


def _row(
    snapshot: Snapshot,
    connection: ConnectionSummary,
    waited_for: Mapping[str, Sequence[WaitingTask]],
    urls: AirbyteUrls,
    now: datetime,
) -> Row:
    key = connection.connection_id
    tasks = waited_for.get(key.lower(), ())
    jobs = snapshot.jobs.get(key, ())
    last, active = snapshot.last_job(key), snapshot.active_job(key)
    return Row(
        connection=connection,
        url=urls.resource_page("connection", key, connection.workspace_id),
        workspace=snapshot.workspaces.get(connection.workspace_id, ""),
        tags=connection.tags[:TAGS_PER_ROW],
        more_tags=connection.tags[TAGS_PER_ROW:],
        last=_job(last, connection, urls, now) if last else None,
        active=_job(active, connection, urls, now) if active else None,
        chart=_chart(jobs, now) if key in snapshot.complete else None,
        tasks=tuple(tasks[:TASKS_PER_ROW]),
        more_tasks=max(0, len(tasks) - TASKS_PER_ROW),
        problem=snapshot.unreadable.get(key, ""),
    )


def _chart(jobs: Sequence[Job], now: datetime) -> Chart:
    return chart_of(jobs, lambda job: _seconds(job, now), lambda job: job_text(job, now))


def _job(job: Job, connection: ConnectionSummary, urls: AirbyteUrls, now: datetime) -> JobView:
    rows = job.rows_synced
    seconds = _seconds(job, now)
    return JobView(
        job,
        url=urls.job_page(_as_connection(connection), job.job_id),
        tone=tone_of(job),
        rows="" if rows is None else short_number(rows),
        exact_rows="" if rows is None else f"{rows:,} rows",
        duration="" if seconds is None else short_duration(seconds),
    )


def _as_connection(connection: ConnectionSummary) -> AirbyteConnection:
    return AirbyteConnection(
        connection.connection_id,
        connection.name,
        connection.status,
        connection.workspace_id,
        source_id="",
        destination_id="",
    )


def _seconds(job: Job, now: datetime) -> float | None:
    """Return how long a job took; how long it has taken so far if it has not ended."""
    lasted: timedelta | None = job.duration
    if not job.is_terminal and job.started_at is not None:
        lasted = now - job.started_at
    return None if lasted is None else max(0.0, lasted.total_seconds())


def job_text(job: Job, now: datetime) -> str:
    """Return a job in words, for a tooltip: how it ended, when, how long it took, its rows."""
    seconds = _seconds(job, now)
    parts = [
        f"Job {job.job_id}: {job.job_type or 'job'} {job.status}",
        exact_time(job.started_at) if job.started_at else "",
        "" if seconds is None else short_duration(seconds),
        "" if job.rows_synced is None else f"{job.rows_synced:,} rows",
    ]
    return " · ".join(filter(None, parts))


def active_text(job: Job) -> str:
    """Return the status of a job that has not ended; with its type unless it is a sync."""
    text = job.status if job.is_sync else f"{job.job_type} {job.status}"
    return text.strip().capitalize()


def schedule_text(connection: ConnectionSummary) -> str:
    """Return the schedule for people: Airbyte writes ``Every 24 HOURS``."""
    text = connection.schedule
    if connection.is_manual:
        return "Manual"
    if not re.match(r"every \d", text, re.IGNORECASE):
        return text
    return re.sub(r"^Every 1 (\w+)s$", r"Every \1", text.capitalize())


def tag_color(tag: Tag) -> str:
    """Return the colour of a tag, such as ``#75DCFF``; grey if it has none that is readable."""
    return f"#{tag.color if re.fullmatch(_COLOR, tag.color) else _NO_COLOR}"
