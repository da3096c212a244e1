"""
The web application's pages: a blank one, and those of jobs, connections and other resources.

They replace only what the links of a task need (``docs/airbyte-api.md`` §8.1), without a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from urllib.parse import parse_qs

from airflow_provider_airbyte_sme.api.http import HttpResponse
from airflow_provider_airbyte_sme.emulator.connectors import definition_name
from airflow_provider_airbyte_sme.emulator.logs import LogLine, log_lines
from airflow_provider_airbyte_sme.emulator.masking import masked
from airflow_provider_airbyte_sme.emulator.problems import html_response
from airflow_provider_airbyte_sme.emulator.routes.jobs import PUBLIC_TYPES
from airflow_provider_airbyte_sme.emulator.world import (
    Actor,
    Attempt,
    Connection,
    Failure,
    Job,
    Workspace,
    World,
)

_CONNECTION = re.compile(r"/workspaces/([^/]+)/connections/([^/]+)(/[a-z-]*)?")
_RESOURCE = re.compile(r"/workspaces/([^/]+)(?:/(?:source|destination)/([^/]+))?")
_MAX_JOBS = 25
_REFRESH = 3  # seconds

_STYLE = """
:root{color-scheme:light dark;--bg:#f7f7fb;--card:#fff;--line:#e3e4ee;--text:#1c1d2b;--dim:#6a6d85;
--accent:#5b4fe9;--ok:#14804a;--bad:#c2272d;--busy:#8a5a00;--log:#f2f2f8}
@media(prefers-color-scheme:dark){:root{--bg:#14151d;--card:#1c1e29;--line:#2e3142;--text:#e8e9f2;
--dim:#9a9db5;--accent:#9d94ff;--ok:#4fce8d;--bad:#ff7b7f;--busy:#f0b64b;--log:#151620}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 4rem}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
h1{font-size:1.6rem;line-height:1.25;margin:.2rem 0;overflow-wrap:anywhere}
h2{font-size:1rem;margin:2rem 0 .6rem}
.dim{color:var(--dim)}.mono{font-family:ui-monospace,monospace;font-size:.85em}
.status{display:inline-block;padding:0 .6em;border:1px solid;border-radius:1em;font-size:.8rem;
font-weight:600;color:var(--busy)}
.succeeded{color:var(--ok)}.failed,.error{color:var(--bad)}.cancelled{color:var(--dim)}
section,nav{background:var(--card);border:1px solid var(--line);border-radius:.6rem;
padding:1rem 1.2rem;margin:.8rem 0}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.8rem 1.5rem;margin:0}
dt{font-size:.78rem;color:var(--dim)}dd{margin:0;font-variant-numeric:tabular-nums}
header p{margin:.2rem 0}h3{margin:0 0 .8rem;font-size:1rem}h3 .status{margin-left:.5em}
.failure{margin:.9rem 0 0;padding-left:.8rem;border-left:3px solid var(--bad);
overflow-wrap:anywhere}
pre{margin:.9rem 0 0;padding:.7rem .9rem;background:var(--log);border-radius:.4rem;font-size:.8rem;
line-height:1.6;white-space:pre-wrap;overflow-wrap:anywhere}
nav ul{list-style:none;margin:0;padding:0}
nav li{display:flex;gap:1rem;align-items:baseline;padding:.3rem 0}
nav li+li{border-top:1px solid var(--line)}nav .dim{margin-left:auto}
"""


def page(world: World, path: str, query: str) -> HttpResponse:
    """
    Return the page at *path*: 404 for a job that the connection does not have.

    :param query: The URL's query, without the question mark.
    """
    match = _CONNECTION.fullmatch(path)
    connection = world.connections.get(match[2].lower()) if match else None
    job_id = parse_qs(query).get("jobId", [""])[0]
    if match is None or (connection is None and not job_id):
        return _resource_page(world, path) or html_response(200)
    if connection is None or connection.workspace_id != match[1].lower():
        return _not_found("This workspace has no such connection.")
    jobs = [job for job in reversed(world.jobs.values()) if job.connection_id == connection.id]
    if not job_id:
        timeline = "timeline" if match[3] else f"{connection.id}/timeline"
        heading = _heading(connection.name, "Jobs", connection.id)
        return _html(connection.name, heading + _job_list(jobs, timeline))
    job = next((job for job in jobs if str(job.id) == job_id), None)
    if job is None:
        return _not_found(f"The connection {connection.name} has no job {job_id}.")
    return _job_page(connection, job, [other for other in jobs if other is not job])


def _resource_page(world: World, path: str) -> HttpResponse | None:
    """Return the page of a workspace, source or destination; ``None`` if *path* is of none."""
    match = _RESOURCE.fullmatch(path)
    workspace = world.workspaces.get(match[1].lower()) if match else None
    if match is None or workspace is None:
        return None
    if not match[2]:
        return _workspace_page(world, workspace)
    actor_id = match[2].lower()
    actor = world.sources.get(actor_id) or world.destinations.get(actor_id)
    return _actor_page(world, actor) if actor and actor.workspace_id == workspace.id else None


def _workspace_page(world: World, workspace: Workspace) -> HttpResponse:
    actors = [
        each
        for each in (*world.sources.values(), *world.destinations.values())
        if each.workspace_id == workspace.id and not each.deleted
    ]
    links = [(f"{each.kind}/{each.id}", each.name, str(each.kind)) for each in actors]
    links += [
        (f"connections/{each.id}", each.name, "connection")
        for each in world.connections.values()
        if each.workspace_id == workspace.id and each.status != "deprecated"
    ]
    content = _links((f"{workspace.id}/{url}", name, kind) for url, name, kind in links)
    return _html(workspace.name, _heading(workspace.name, "Workspace", workspace.id) + content)


def _actor_page(world: World, actor: Actor) -> HttpResponse:
    connector = definition_name(world, actor.kind, actor.definition_id)
    connections = [
        (f"../connections/{each.id}", each.name, each.status)
        for each in world.connections.values()
        if actor.id in (each.source_id, each.destination_id)
    ]
    deleted = _status("deleted") if actor.deleted else ""
    subtitle = f"{actor.kind.capitalize()}, {escape(connector)} {deleted}"
    body = (
        f"{_heading(actor.name, subtitle, actor.id)}"
        f"<h2>Configuration</h2><section><pre>{escape(json.dumps(masked(actor), indent=2))}</pre>"
        f"</section><h2>Connections</h2>{_links(connections)}"
    )
    return _html(actor.name, body)


def _links(links: Iterable[tuple[str, str, str]]) -> str:
    """
    Return a list of links.

    :param links: Of each the relative URL, the text, and what it is.
    """
    items = [
        f"<li><a href='{url}'>{escape(text)}</a><span class=dim>{escape(what)}</span></li>"
        for url, text, what in links
    ]
    return f"<nav><ul>{''.join(items)}</ul></nav>" if items else "<p class=dim>There are none.</p>"


def _job_page(connection: Connection, job: Job, others: list[Job]) -> HttpResponse:
    title = f"{_type(job)} {job.id}"
    attempts = "".join(_attempt(job, number) for number in range(len(job.attempts)))
    body = (
        f"{_heading(connection.name, f'{title} {_status(job.status)}', connection.id)}"
        f"<section>{_facts(_job_facts(job))}</section>"
        f"<h2>Attempts</h2>{attempts or '<p class=dim>None has started yet.</p>'}"
        f"<h2>Other jobs of this connection</h2>{_job_list(others, 'timeline')}"
    )
    return _html(f"{title} · {connection.name}", body, refreshes=not job.is_terminal)


def _job_facts(job: Job) -> dict[str, str]:
    return {
        "Rows": f"{job.rows:,}",
        "Bytes": f"{job.bytes:,}",
        "Created (UTC)": _time(job.created_at),
        "Duration": _duration(job.updated_at - job.created_at) if job.is_terminal else "not ended",
    }


def _attempt(job: Job, number: int) -> str:
    attempt = job.attempts[number]
    lines = "\n".join(map(_log_line, log_lines(job, number)))
    failures = "".join(map(_failure, attempt.failures))
    return (
        f"<section id=attempt-{number}><h3>Attempt {number} {_status(attempt.status)}</h3>"
        f"{_facts(_attempt_facts(attempt))}{failures}<pre>{lines}</pre></section>"
    )


def _attempt_facts(attempt: Attempt) -> dict[str, str]:
    return {
        "Rows": f"{attempt.rows:,}",
        "Bytes": f"{attempt.bytes:,}",
        "Started (UTC)": _time(attempt.created_at),
        "Ended (UTC)": "not yet" if attempt.ended_at is None else _time(attempt.ended_at),
    }


def _failure(failure: Failure) -> str:
    origin = " · ".join(filter(None, (failure.origin, failure.type, failure.stream)))
    return (
        f"<p class=failure>{escape(failure.message)}"
        f"<br><span class='dim mono'>{escape(origin)}</span></p>"
    )


def _log_line(line: LogLine) -> str:
    level = f"<span class={escape(line.level)}>{escape(line.level.upper()):5}</span>"
    return f"<span class=dim>{_time(line.at)}</span>  {level}  {escape(line.message)}"


def _job_list(jobs: list[Job], timeline: str) -> str:
    """
    Return links to the newest of *jobs*.

    :param timeline: Relative URL of the connection's timeline, so that it works below any path.
    """
    items = [
        f"<li><a href='{timeline}?jobId={job.id}&amp;openLogs=true'>{_type(job)} {job.id}</a>"
        f"{_status(job.status)}<span class=dim>{_time(job.created_at)}</span></li>"
        for job in jobs[:_MAX_JOBS]
    ]
    if not items:
        return "<p class=dim>There are none.</p>"
    older = len(jobs) - len(items)
    left_out = f"<p class=dim>and {older} older</p>" if older else ""
    return f"<nav><ul>{''.join(items)}</ul>{left_out}</nav>"


def _heading(name: str, subtitle: str, resource_id: str) -> str:
    return (
        f"<header><p class=dim>Airbyte emulator</p><h1>{escape(name)}</h1>"
        f"<p>{subtitle}</p><p class='dim mono'>{escape(resource_id)}</p></header>"
    )


def _facts(facts: dict[str, str]) -> str:
    rows = (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return f"<dl>{''.join(rows)}</dl>"


def _status(status: str) -> str:
    return f"<span class='status {escape(status)}'>{escape(status)}</span>"


def _type(job: Job) -> str:
    return PUBLIC_TYPES[job.config_type].capitalize()


def _time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or "0 s"


def _not_found(message: str) -> HttpResponse:
    heading = "<header><p class=dim>Airbyte emulator</p><h1>Not found</h1></header>"
    return _html("Not found", f"{heading}<p>{escape(message)}</p>", status=404)


def _html(title: str, body: str, *, status: int = 200, refreshes: bool = False) -> HttpResponse:
    refresh = f"<meta http-equiv=refresh content={_REFRESH}>" if refreshes else ""
    document = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"{refresh}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )
    return html_response(status, document.encode())
