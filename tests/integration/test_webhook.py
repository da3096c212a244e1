"""The webhook, called over sockets in a web server with the middleware of Airflow's API server."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import pytest
from packaging.version import Version

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.operators.resources import AirbyteCreateWorkspaceOperator
from airflow_provider_airbyte_sme.provisioning.results import MASK
from scripts.airflow_api import poll
from tests.integration.conftest import CONNECTION_VARIABLE, UNKNOWN_ID, request_count
from tests.tasks import TaskRun
from tests.webhooks import (
    DAG_ID,
    WEBHOOK_SECRET,
    Response,
    call,
    emitted,
    forget_dag,
    notification,
    queued_dags,
    schedule_dag,
    served,
)

pytestmark = [
    pytest.mark.skipif(Version(version("apache-airflow")) < Version("3"), reason="needs Airflow 3"),
    # Airflow's database tools cause warnings from dependencies, which vary by version.
    pytest.mark.filterwarnings("ignore"),
]

Caller = Callable[..., Response]


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(autouse=True)
def airflow_connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The default Airflow connection points to the emulator, and has the secret."""
    uri = emulator.connection_uri_for(emulator.url, webhook_secret=WEBHOOK_SECRET)
    monkeypatch.setenv(CONNECTION_VARIABLE, uri)
    return uri


@pytest.fixture(autouse=True)
def scheduled_dag(emulator: Emulator) -> Iterator[None]:
    """A DAG is scheduled on the asset of the emulator's connection."""
    schedule_dag(emulator.connection_id)
    yield
    forget_dag()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The plugin as Airflow's API server mounts it."""
    from fastapi import FastAPI

    from airflow_provider_airbyte_sme.plugins.webhook import AirbyteWebhookPlugin

    monkeypatch.setenv("AIRFLOW__AIRBYTE_SME__WEBHOOK", "True")
    monkeypatch.setattr(AirbyteWebhookPlugin, "fastapi_apps", [])
    AirbyteWebhookPlugin.on_load()
    application = FastAPI()
    for each in AirbyteWebhookPlugin.fastapi_apps:
        application.mount(each["url_prefix"], each["app"])
    try:
        from airflow.api_fastapi.common.http_access_log import HttpAccessLogMiddleware
    except ImportError:  # Airflow before 3.2
        pass
    else:
        application.add_middleware(HttpAccessLogMiddleware)
    with served(application) as url:
        yield url


@pytest.fixture
def webhook(server: str) -> Caller:
    """Call the webhook with a body."""

    def post(body: Any, **kwargs: Any) -> Response:
        return call(server, body, **kwargs)

    return post


@pytest.fixture
def said(task_log: Callable[[], str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return the one line that the webhook has logged about the last call."""

    def lines() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.name.startswith("airflow_provider_airbyte_sme.plugins")
        ]

    def read() -> str:
        # The caller may have gone before the server has noticed.
        poll(lines, timeout=60, what="the line of the webhook", interval=0.01)
        (line,) = lines()
        caplog.clear()
        assert "\n" not in line
        return line

    return read


@pytest.fixture
def ended_sync(emulator: Emulator) -> int:
    return ended(emulator)


def ended(emulator: Emulator, job_type: Any = "sync", **script: Any) -> int:
    """Return a job that has just ended."""
    emulator.script_job(**{"duration": 0, **script})
    job_id = emulator.start_sync(script.get("connection_id"), job_type=job_type)
    emulator.settle()
    assert emulator.jobs[job_id].status in ("succeeded", "failed", "cancelled")
    return job_id


def test_a_sync_that_has_delivered_data_emits_an_event_that_starts_a_dag(
    webhook, emulator, ended_sync, said
):
    response = webhook(notification(ended_sync, emulator.connection_id))

    assert (response.status, response.body) == (200, "accepted\n")
    (event,) = emitted()
    job = AirbyteHook().get_job(ended_sync)
    assert job.started_at is not None
    assert job.ended_at is not None
    assert event == {
        "job_id": ended_sync,
        "status": "succeeded",
        "job_type": "sync",
        "connection_id": emulator.connection_id,
        "rows_synced": 120,
        "bytes_synced": job.bytes_synced,
        "started_at": job.started_at.isoformat(),
        "ended_at": job.ended_at.isoformat(),
        "job_url": f"{emulator.url}/workspaces/{emulator.workspace_id}/connections/"
        f"{emulator.connection_id}/timeline?jobId={ended_sync}&openLogs=true",
    }
    assert queued_dags() == [DAG_ID]
    assert said() == (
        f"Webhook of Airflow connection 'airbyte_sme_default': job {ended_sync} of connection "
        f"{emulator.connection_id}: an event on the asset "
        f"airbyte_sme/webhook/{emulator.connection_id} was emitted."
    )


def test_airbyte_itself_calls_what_the_operator_has_set_up(server, emulator, said):
    from airflow.sdk.execution_time.context import ConnectionAccessor

    template = (
        f"{server}/airbyte-sme/webhook/airbyte_sme_default/"
        "{{ conn.airbyte_sme_default.extra_dejson.webhook_secret }}"
    )
    webhook = {"webhook": {"enabled": True, "url": template}}
    run = TaskRun(
        AirbyteCreateWorkspaceOperator(
            task_id="webhook",
            name=AirbyteHook().get_workspace(emulator.workspace_id).name,
            notifications={"success": webhook},
        )
    )
    run.render()
    emulator.script_job(duration=0)
    context: Any = {**run.context, "conn": ConnectionAccessor()}
    result = run.task.execute(context)

    emulator.start_sync()
    emulator.settle()

    assert "was emitted" in said()
    assert len(emitted()) == 1
    assert [change["after"] for change in result["changes"] if "url" in change["field"]] == [MASK]


@pytest.mark.parametrize("path", ["/airflow", ""], ids=["proxy keeps it", "proxy removes it"])
def test_an_airflow_below_a_path_serves_it_too(path, emulator, ended_sync):
    from fastapi import FastAPI

    from airflow_provider_airbyte_sme.plugins.endpoint import Webhook

    application = FastAPI(root_path="/airflow")
    application.mount("/airbyte-sme", Webhook())
    with served(application) as url:
        response = call(url + path, notification(ended_sync, emulator.connection_id))

    assert response.status == 200
    assert len(emitted()) == 1


class TestWithoutTls:
    """Airbyte's client offers HTTP/2 there, and uvicorn then drops the body."""

    @pytest.fixture
    def send(self, server: str) -> Callable[..., bytes]:
        """Send a call as that client does, and return what comes back."""

        def post(job_id: int, connection_id: str, *, at_once: bool = True) -> bytes:
            body = json.dumps(notification(job_id, connection_id)).encode()
            head = (
                f"POST /airbyte-sme/webhook/airbyte_sme_default/{WEBHOOK_SECRET} HTTP/1.1\r\n"
                f"Host: airflow\r\nContent-Length: {len(body)}\r\n"
                f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                f"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\r\n"
            ).encode()
            parts = urlsplit(server)
            with closing(
                socket.create_connection((str(parts.hostname), parts.port or 80), 60)
            ) as caller:
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for part in [head + body] if at_once else [head, body]:
                    caller.sendall(part)
                return caller.recv(4096)

        return post

    def test_the_jobs_that_have_just_ended_emit_an_event_each(self, send, webhook, emulator, said):
        ended(emulator, outcome="failed")
        jobs = [ended(emulator), ended(emulator, rows=0), ended(emulator)]
        ended(emulator, connection_id=emulator.add_connection())

        assert b" 200 " in send(jobs[0], emulator.connection_id)

        assert sorted(event["job_id"] for event in emitted()) == [jobs[0], jobs[2]]
        line = said()
        assert line.endswith("Events that were emitted for these: 2.")
        assert "With https it arrives as a whole" in line
        assert b" 200 " in send(jobs[0], emulator.connection_id)
        assert webhook(notification(jobs[0], emulator.connection_id)).status == 200
        assert len(emitted()) == 2

    def test_a_body_that_arrives_after_the_headers_is_no_harm(
        self, send, emulator, ended_sync, said
    ):
        """Uvicorn may respond with a 400 itself, and close the connection."""
        with suppress(ConnectionError):
            send(ended_sync, emulator.connection_id, at_once=False)

        assert said().endswith("Events that were emitted for these: 1.")
        assert len(emitted()) == 1

    def test_a_job_that_ended_earlier_emits_none(self, send, monkeypatch):
        other = Emulator(time="manual", start=datetime.now(UTC) - timedelta(minutes=6))
        with other.serve():
            uri = other.connection_uri_for(other.url, webhook_secret=WEBHOOK_SECRET)
            monkeypatch.setenv(CONNECTION_VARIABLE, uri)
            forget_dag()
            schedule_dag(other.connection_id)

            assert b" 200 " in send(ended(other), other.connection_id)
        assert emitted() == []

    def test_an_outage_of_airbyte_is_a_503(self, send, emulator, ended_sync, said, monkeypatch):
        from airflow_provider_airbyte_sme.plugins import events

        monkeypatch.setattr(events, "_RETRY", events._RETRY._replace(max_elapsed=0.0))
        emulator.fail_next("GET /jobs", 502)

        assert b" 503 " in send(ended_sync, emulator.connection_id)
        assert "The jobs cannot be read" in said()

    def test_an_outage_that_begins_meanwhile_is_not_waited_for_once_per_job(
        self, send, emulator, said, monkeypatch
    ):
        from airflow_provider_airbyte_sme.plugins import events

        monkeypatch.setattr(events, "_RETRY", events._RETRY._replace(max_elapsed=0.0))
        jobs = [ended(emulator) for _ in range(3)]
        emulator.fail_next("GET /jobs/{jobId}", 502, None)
        emulator.clear_requests()

        assert b" 503 " in send(jobs[0], emulator.connection_id)

        assert "no event is emitted" in said()
        assert request_count(emulator, "GET /jobs/{jobId}") == 1


class TestOneEventPerJob:
    def test_ten_replays_in_parallel_emit_one_event(self, webhook, emulator, ended_sync):
        body = notification(ended_sync, emulator.connection_id)

        with ThreadPoolExecutor(10) as pool:
            responses = list(pool.map(webhook, [body] * 10))

        assert {response.status for response in responses} == {200}
        assert [event["job_id"] for event in emitted()] == [ended_sync]

    def test_a_replay_is_told_in_the_log_and_does_not_ask_airbyte(
        self, webhook, emulator, ended_sync, said
    ):
        webhook(notification(ended_sync, emulator.connection_id))
        said()
        emulator.clear_requests()

        response = webhook(notification(ended_sync, emulator.connection_id.upper()))

        assert response.status == 200
        assert "its event was emitted before" in said()
        assert list(emulator.requests) == []
        assert len(emitted()) == 1

    def test_each_job_has_its_event(self, webhook, emulator):
        jobs = [ended(emulator) for _ in range(3)]

        for job_id in (*jobs, *jobs):
            webhook(notification(job_id, emulator.connection_id))

        assert [event["job_id"] for event in emitted()] == jobs

    def test_events_of_others_on_the_asset_do_not_matter(self, webhook, emulator, ended_sync):
        from airflow.models.asset import AssetEvent, AssetModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            asset_id = session.scalar(select(AssetModel.id))
            for extra in ({}, {"job_id": str(ended_sync)}, {"job_id": [1]}):
                session.add(AssetEvent(asset_id=asset_id, extra=extra))

        webhook(notification(ended_sync, emulator.connection_id))

        assert emitted()[-1]["job_id"] == ended_sync


class TestRefusedCallers:
    """Who does not know the secret gets the same, whatever the reason."""

    @pytest.mark.parametrize(
        ("conn_id", "secret", "message"),
        [
            ("airbyte_sme_default", "x" * 34, "the secret in the URL is not its webhook_secret"),
            ("airbyte_sme_default", "%00/\u00fc", "the secret in the URL is not"),
            ("nowhere", WEBHOOK_SECRET, "Airflow cannot read it (AirflowNotFoundException)"),
            ("without_secret", WEBHOOK_SECRET, "its webhook_secret is empty. Enter one"),
            ("weak", "short", "webhook_secret of the Airflow connection must be 32 to 256 letters"),
            ("broken", WEBHOOK_SECRET, "Airflow cannot read it"),
            ("../secrets/other", WEBHOOK_SECRET, "no connection that the webhook serves has such"),
            ("..", WEBHOOK_SECRET, "no connection that the webhook serves has such"),
            ("a" * 251, WEBHOOK_SECRET, "no connection that the webhook serves has such"),
        ],
    )
    def test_a_wrong_secret_and_a_wrong_connection_are_refused_alike(
        self, conn_id, secret, message, webhook, emulator, ended_sync, said, monkeypatch
    ):
        without = {"conn_type": "airbyte_sme", "host": emulator.url}
        weak = {**without, "extra": {"webhook_secret": "short"}}
        monkeypatch.setenv("AIRFLOW_CONN_WITHOUT_SECRET", json.dumps(without))
        monkeypatch.setenv("AIRFLOW_CONN_WEAK", json.dumps(weak))
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")
        emulator.clear_requests()

        response = webhook(
            notification(ended_sync, emulator.connection_id), conn_id=conn_id, secret=secret
        )

        assert (response.status, response.body) == (403, "refused\n")
        assert message in said()
        assert emitted() == []
        assert list(emulator.requests) == []

    def test_the_body_of_a_refused_call_is_not_read(self, server, said):
        parts = urlsplit(server)
        head = (
            f"POST /airbyte-sme/webhook/airbyte_sme_default/{'x' * 32} HTTP/1.1\r\n"
            f"Host: airflow\r\nContent-Length: 1000\r\n\r\n"
        )
        with closing(socket.create_connection((parts.hostname, parts.port), 60)) as caller:
            caller.sendall(head.encode())

            assert b" 403 " in caller.recv(4096)
        assert "the secret in the URL" in said()

    def test_a_replaced_secret_counts_at_once(self, webhook, emulator, ended_sync, monkeypatch):
        body = notification(ended_sync, emulator.connection_id)
        assert webhook(body, secret="y" * 32).status == 403
        uri = emulator.connection_uri_for(emulator.url, webhook_secret="y" * 32)
        monkeypatch.setenv(CONNECTION_VARIABLE, uri)

        assert webhook(body, secret="y" * 32).status == 200
        assert webhook(body).status == 403

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
    def test_only_a_post_is_served(self, method, webhook, said):
        response = webhook(b"", method=method)

        assert (response.status, response.headers["allow"]) == (405, "POST")
        assert "Airbyte sends a POST" in said()

    def test_a_web_socket_is_refused_and_its_secret_not_logged(self, server, task_log):
        parts = urlsplit(server)
        head = (
            f"GET /airbyte-sme/webhook/airbyte_sme_default/{WEBHOOK_SECRET} HTTP/1.1\r\n"
            f"Host: airflow\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
        )
        with closing(socket.create_connection((parts.hostname, parts.port), 60)) as caller:
            caller.sendall(head.encode())

            assert b" 403 " in caller.recv(4096)
        line = poll(task_log, timeout=60, what="the line of uvicorn", interval=0.01)
        assert WEBHOOK_SECRET not in line

    def test_a_secret_in_the_query_is_refused_and_not_logged(self, server, task_log):
        logged: list[str] = []

        def is_logged() -> bool:
            logged.append(task_log())
            return "?***" in "".join(logged) or WEBHOOK_SECRET in "".join(logged)

        parts = urlsplit(server)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
        with closing(connection):
            path = f"/airbyte-sme/webhook/airbyte_sme_default?secret={WEBHOOK_SECRET}"
            connection.request("POST", path, b"{}")

            assert connection.getresponse().status == 404
        poll(is_logged, timeout=60, what="the line of uvicorn", interval=0.01)
        assert "the URL must end with" in "".join(logged)
        assert WEBHOOK_SECRET not in "".join(logged)

    @pytest.mark.parametrize("path", ["", "/webhook", "/webhook/a", "/webhook/a/b/c", "/else/a/b"])
    def test_another_path_is_not_found(self, path, server, said):
        parts = urlsplit(server)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
        with closing(connection):
            connection.request("POST", f"/airbyte-sme{path or '/'}", b"{}")

            assert connection.getresponse().status == 404
        assert "the URL must end with" in said()


def other_bodies() -> Iterator[Any]:
    for job_id in (None, "10", True, 0, -1, 1.5, 2**63, [1], {"id": 1}):
        yield {"data": {"jobId": job_id, "connection": {"id": UNKNOWN_ID}}}
    others: tuple[Any, ...] = (None, "x", [], {}, {"id": None}, {"id": 7}, {"id": "x"})
    for connection in others:
        yield {"data": {"jobId": 1, "connection": connection}}
    yield from ([], "text", 1, None, {}, {"data": []}, {"data": "x"}, {"data": 1}, {"text": 1})


class TestBadInput:
    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"\xff\xfe", b"[" * 60_000, b"1" * 60_000, b"jobId=1"],
        ids=["empty", "truncated", "binary", "nested", "number", "form"],
    )
    def test_what_is_no_json_is_refused(self, body, webhook, said):
        response = webhook(body)

        assert (response.status, response.body) == (400, "refused\n")
        assert "is not JSON" in said()
        assert emitted() == []

    @pytest.mark.parametrize("body", [*other_bodies()], ids=json.dumps)
    def test_json_of_another_shape_is_refused(self, body, webhook, said, emulator):
        response = webhook(body)

        assert (response.status, response.body) == (400, "refused\n")
        assert "this is no notification of Airbyte" in said()
        assert emitted() == []
        assert list(emulator.requests) == []

    @pytest.mark.parametrize("size", [64 * 1024 + 1, 100_000, 5_000_000])
    def test_a_long_body_is_refused(self, size, webhook, said):
        response = webhook(b" " * size)

        assert (response.status, response.body) == (413, "refused\n")
        assert "more than 65,536 bytes" in said()

    def test_a_long_body_in_chunks_without_a_length_is_refused(self, webhook, said):
        response = webhook(iter([b" " * 1000] * 100))

        assert response.status == 413
        assert "more than 65,536 bytes" in said()

    def test_a_body_of_the_longest_size_is_read(self, webhook, emulator, ended_sync):
        body = json.dumps(notification(ended_sync, emulator.connection_id)).encode()

        assert webhook(body.ljust(64 * 1024)).status == 200
        assert len(emitted()) == 1

    def test_a_body_that_does_not_arrive_is_given_up(self, server, said, monkeypatch):
        monkeypatch.setattr("airflow_provider_airbyte_sme.plugins.endpoint.BODY_TIMEOUT", 0.1)
        parts = urlsplit(server)
        head = (
            f"POST /airbyte-sme/webhook/airbyte_sme_default/{WEBHOOK_SECRET} HTTP/1.1\r\n"
            f"Host: airflow\r\nContent-Length: 1000\r\n\r\n{{"
        )
        with closing(socket.create_connection((parts.hostname, parts.port), 60)) as caller:
            caller.sendall(head.encode())

            assert b" 408 " in caller.recv(4096)
        assert "did not arrive within" in said()

    def test_a_caller_that_goes_away_is_told_of_in_one_line(self, server, said):
        parts = urlsplit(server)
        head = (
            f"POST /airbyte-sme/webhook/airbyte_sme_default/{WEBHOOK_SECRET} HTTP/1.1\r\n"
            f"Host: airflow\r\nContent-Length: 1000\r\n\r\n{{"
        )
        with closing(socket.create_connection((parts.hostname, parts.port), 60)) as caller:
            caller.sendall(head.encode())

        assert "closed the connection too early" in said()


class TestWithoutAnEvent:
    @pytest.mark.parametrize("trigger", ["sync_success", "sync_failure"])
    def test_a_test_notification_of_airbyte_is_accepted(self, trigger, webhook, said, emulator):
        from airflow_provider_airbyte_sme.emulator import webhooks

        response = webhook(webhooks.ping("http://airbyte", 0.0, trigger))

        assert response.status == 200
        assert "a test notification of Airbyte has arrived, with the right secret" in said()
        assert list(emulator.requests) == []

    def test_a_notification_without_data_is_accepted(self, webhook, said):
        response = webhook({"text": "Your connection was disabled", "blocks": []})

        assert response.status == 200
        assert "set the webhook in Airbyte for successful syncs only" in said()

    def test_a_failed_sync_is_accepted_without_asking_airbyte(self, webhook, said, emulator):
        response = webhook(notification(1, emulator.connection_id, success=False))

        assert response.status == 200
        assert "has failed, so no event is emitted" in said()
        assert list(emulator.requests) == []

    def test_a_connection_without_a_dag_is_accepted_without_asking_airbyte(
        self, webhook, said, emulator, ended_sync
    ):
        forget_dag()

        response = webhook(notification(ended_sync, emulator.connection_id))

        assert response.status == 200
        line = said()
        assert "no DAG is scheduled on its asset" in line
        assert "airbyte_webhook_asset()" in line
        assert emitted() == []

    def test_a_job_that_deletes_data_emits_nothing(self, webhook, said, emulator):
        job_id = ended(emulator, "reset")

        assert webhook(notification(job_id, emulator.connection_id)).status == 200
        assert "it is a reset" in said()
        assert emitted() == []

    def test_a_sync_without_rows_emits_nothing(self, webhook, said, emulator):
        job_id = ended(emulator, rows=0)

        assert webhook(notification(job_id, emulator.connection_id)).status == 200
        assert "it has moved no rows" in said()
        assert emitted() == []


class TestRowsThatAreUnknown:
    def test_rows_that_only_the_attempts_have_count(self, webhook, emulator):
        job_id = ended(emulator, rows=7, statistics="attempts")

        webhook(notification(job_id, emulator.connection_id))

        assert [event["rows_synced"] for event in emitted()] == [7]

    def test_rows_that_nobody_knows_emit_an_event(self, webhook, emulator):
        job_id = ended(emulator, rows=7, statistics="none")

        webhook(notification(job_id, emulator.connection_id))

        assert [event["rows_synced"] for event in emitted()] == [None]


class TestForgedNotifications:
    """Whoever has got hold of the secret can only name jobs."""

    def test_a_job_of_another_connection_is_refused(self, webhook, emulator, ended_sync, said):
        other = emulator.add_connection()
        forget_dag()
        schedule_dag(other)

        assert webhook(notification(ended_sync, other)).status == 422
        assert "the job is one of another connection" in said()
        assert emitted() == []

    @pytest.mark.parametrize("outcome", ["failed", "cancelled"])
    def test_a_job_that_has_not_succeeded_is_refused(self, outcome, webhook, emulator, said):
        job_id = ended(emulator, outcome=outcome)

        assert webhook(notification(job_id, emulator.connection_id)).status == 422
        assert f"Airbyte says that it is {outcome}" in said()
        assert emitted() == []

    def test_a_running_job_is_refused(self, webhook, emulator, running_job, said):
        assert webhook(notification(running_job, emulator.connection_id)).status == 422
        assert "Airbyte says that it is running" in said()
        assert emitted() == []

    @pytest.mark.parametrize("is_admin", [False, True])
    def test_a_job_that_this_airbyte_does_not_have_is_refused(
        self, is_admin, webhook, said, monkeypatch
    ):
        other = Emulator(instance_admin=is_admin)
        with other.serve():
            uri = other.connection_uri_for(other.url, webhook_secret=WEBHOOK_SECRET)
            monkeypatch.setenv(CONNECTION_VARIABLE, uri)
            forget_dag()
            schedule_dag(other.connection_id)

            assert webhook(notification(4711, other.connection_id)).status == 422
        assert "this Airbyte does not show the job" in said()
        assert emitted() == []

    @pytest.mark.parametrize(("age", "count"), [(50, 1), (70, 0), (-50, 1), (-70, 0)])
    def test_only_a_job_of_the_last_hour_emits_an_event(
        self, age, count, webhook, said, monkeypatch
    ):
        start = datetime.now(UTC) - timedelta(minutes=age)
        other = Emulator(time="manual", start=start)
        with other.serve():
            uri = other.connection_uri_for(other.url, webhook_secret=WEBHOOK_SECRET)
            monkeypatch.setenv(CONNECTION_VARIABLE, uri)
            forget_dag()
            schedule_dag(other.connection_id)

            response = webhook(notification(ended(other), other.connection_id))

        assert response.status == (200 if count else 422)
        assert ("has not ended within the last hour" in said()) == (not count)
        assert len(emitted()) == count


class TestOutages:
    def test_a_short_outage_of_airbyte_is_survived(self, webhook, emulator, ended_sync):
        emulator.fail_next("GET /jobs/{jobId}", 502)

        assert webhook(notification(ended_sync, emulator.connection_id)).status == 200
        assert len(emitted()) == 1

    def test_a_long_outage_of_airbyte_is_a_503(
        self, webhook, emulator, said, monkeypatch, closed_port
    ):
        from airflow_provider_airbyte_sme.plugins import events

        monkeypatch.setattr(events, "_RETRY", events._RETRY._replace(max_elapsed=0.2))
        uri = emulator.connection_uri_for(
            f"http://127.0.0.1:{closed_port}", webhook_secret=WEBHOOK_SECRET
        )
        monkeypatch.setenv(CONNECTION_VARIABLE, uri)

        response = webhook(notification(1, emulator.connection_id))

        assert (response.status, response.body) == (503, "refused\n")
        line = said()
        assert "no event is emitted, and Airbyte does not repeat its notification" in line
        assert "Connection refused" in line
        assert emitted() == []

    @pytest.mark.parametrize(
        ("route", "status", "events"),
        [
            ("GET /jobs/{jobId}", 503, []),
            ("POST /api/v1/jobs/get_without_logs", 200, [(None, True)]),
            ("GET /connections/{connectionId}", 200, [(7, False)]),
        ],
    )
    def test_nothing_is_repeated_once_the_time_of_a_call_is_over(
        self, route, status, events, webhook, emulator, monkeypatch
    ):
        """Others wait for the thread."""
        from airflow_provider_airbyte_sme.plugins import events as module

        monkeypatch.setattr(module, "_PATIENCE", 0.0)
        is_about_rows = "api/v1" in route
        job_id = ended(emulator, rows=7, statistics="attempts" if is_about_rows else "all")
        emulator.fail_next(route, 502)

        assert webhook(notification(job_id, emulator.connection_id)).status == status
        assert [(event["rows_synced"], bool(event["job_url"])) for event in emitted()] == events

    def test_wrong_credentials_of_airbyte_are_a_503(
        self, webhook, emulator, ended_sync, said, monkeypatch
    ):
        uri = emulator.connection_uri_for(
            emulator.url, client_secret="not-the-secret", webhook_secret=WEBHOOK_SECRET
        )
        monkeypatch.setenv(CONNECTION_VARIABLE, uri)

        assert webhook(notification(ended_sync, emulator.connection_id)).status == 503
        assert "(Client secret)" in said()

    def test_a_database_that_fails_is_a_503(self, webhook, emulator, ended_sync, said, monkeypatch):
        from airflow.assets.manager import asset_manager
        from sqlalchemy.exc import OperationalError

        def fail(**_: Any) -> None:
            raise OperationalError("INSERT", {}, Exception("database is locked"))

        with monkeypatch.context() as patch:
            patch.setattr(asset_manager, "register_asset_change", fail)
            assert webhook(notification(ended_sync, emulator.connection_id)).status == 503
        assert "Airflow's database has failed (OperationalError)" in said()
        assert emitted() == []

        assert webhook(notification(ended_sync, emulator.connection_id)).status == 200
        assert len(emitted()) == 1


class TestLoad:
    def test_two_requests_at_most_are_in_flight_to_airbyte(self, webhook, emulator):
        emulator.latency = 0.05
        jobs = [ended(emulator) for _ in range(6)]
        emulator.clear_requests()

        with ThreadPoolExecutor(6) as pool:
            bodies = [notification(job_id, emulator.connection_id) for job_id in jobs]
            responses = list(pool.map(webhook, bodies))

        assert {response.status for response in responses} == {200}
        assert emulator.in_flight.peak <= 2
        assert sorted(event["job_id"] for event in emitted()) == jobs

    def test_a_burst_of_calls_requests_a_token_per_thread_at_most(self, webhook, emulator):
        jobs = [ended(emulator) for _ in range(6)]
        emulator.clear_requests()

        for job_id in jobs:
            webhook(notification(job_id, emulator.connection_id))

        assert request_count(emulator, "POST /applications/token") <= 2

    def test_what_is_too_much_is_refused_at_once(
        self, webhook, emulator, ended_sync, monkeypatch, said
    ):
        monkeypatch.setattr("airflow_provider_airbyte_sme.plugins.endpoint.MAX_CALLS", 1)
        body = notification(ended_sync, emulator.connection_id)
        has_arrived, may_go_on = threading.Event(), threading.Event()

        def hold() -> None:
            has_arrived.set()
            may_go_on.wait(60)

        emulator.call_next("GET /jobs/{jobId}", hold)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(webhook, body)
            assert has_arrived.wait(60)

            assert webhook(body).status == 503
            assert "refused, because 1 calls are being worked on" in said()

            may_go_on.set()
            assert first.result().status == 200
        assert len(emitted()) == 1
