"""Notifications, sent to an HTTP receiver on loopback (docs/airbyte-api.md §8)."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import caller_of, ok


@dataclass
class Receiver:
    """An HTTP server that stores the notifications it receives."""

    url: str
    bodies: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200

    def next(self) -> dict[str, Any]:
        return self.bodies.get(timeout=10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.headers.append(dict(self.headers))
            received.bodies.put(json.loads(body))
            self.send_response(received.status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Do not log to stderr."""

    class Server(HTTPServer):
        # More notifications at once than wait by default.
        request_queue_size = 100

    server = Server(("127.0.0.1", 0), Handler)
    received = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def subscribed(emulator, caller, receiver):
    """An emulator that notifies the receiver of every event."""
    enabled = {"webhook": {"enabled": True, "url": receiver.url}}
    events = dict.fromkeys(("success", "failure", "syncDisabled"), enabled)
    ok(caller.patch(f"/workspaces/{emulator.workspace_id}", {"notifications": events}))
    return emulator


def test_a_success_is_notified_with_its_counts(subscribed, caller, receiver):
    subscribed.script_job(rows=10, bytes=2048, duration=673)
    ok(caller.sync())
    subscribed.advance(673)

    body = receiver.next()

    assert list(body) == ["text", "blocks", "data"]
    base = f"http://airbyte.test/workspaces/{subscribed.workspace_id}"
    data = body["data"]
    assert data["workspace"]["url"] == base
    assert data["connection"] == {
        "id": subscribed.connection_id,
        "name": "Sample data to Warehouse",
        "url": f"{base}/connections/{subscribed.connection_id}",
    }
    assert data["source"]["url"] == f"{base}/source/{subscribed.source_id}"
    assert (data["jobId"], data["success"]) == (1, True)
    assert (data["recordsCommitted"], data["bytesCommitted"]) == (10, 2048)
    assert data["bytesCommittedFormatted"] == "2 kB"
    assert (data["durationInSeconds"], data["durationFormatted"]) == (673, "11 min 13 sec")
    assert data["errorMessage"] is None
    assert data["startedAt"] == caller.job(1)["startTime"]
    assert data["finishedAt"] == caller.job(1)["lastUpdatedAt"]
    (headers,) = receiver.headers
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers


def test_a_failure_is_notified_with_its_reason(subscribed, caller, receiver):
    subscribed.script_job(
        outcome="failed", duration=0, failure={"message": "Login refused", "origin": "source"}
    )
    ok(caller.sync())
    subscribed.advance(0)

    body = receiver.next()

    assert "just failed: Login refused" in body["text"]
    data = body["data"]
    assert (data["errorMessage"], data["errorType"]) == ("Login refused", "config_error")
    assert (data["errorOrigin"], data["success"]) == ("source", False)
    assert data["durationFormatted"] == "0 sec"


def test_starts_cancellations_and_resets_are_not_notified(subscribed, caller, receiver):
    ok(caller.sync())
    ok(caller.delete("/jobs/1"))
    ok(caller.sync(job_type="clear"))
    subscribed.advance(60)
    ok(caller.sync())
    subscribed.advance(60)

    assert receiver.next()["data"]["jobId"] == 3
    assert receiver.bodies.empty()


def test_a_disabled_connection_is_notified_without_data(subscribed, caller, receiver):
    for _ in range(30):
        subscribed.script_job(outcome="failed", duration=0)
        ok(caller.sync())

    bodies = [receiver.next() for _ in range(31)]

    (disabled,) = (body for body in bodies if "data" not in body)
    assert disabled["text"].endswith("kept failing.")


def test_a_failing_or_unreachable_receiver_does_not_affect_jobs(
    subscribed, caller, receiver, caplog
):
    receiver.status = 500
    ok(caller.sync())
    subscribed.advance(60)
    receiver.next()

    unreachable = {"success": {"webhook": {"enabled": True, "url": "http://127.0.0.1:1/"}}}
    ok(caller.patch(f"/workspaces/{subscribed.workspace_id}", {"notifications": unreachable}))
    ok(caller.sync())
    subscribed.advance(60)
    wait_for_deliveries()

    assert caller.job(2)["status"] == "succeeded"
    assert "returned status 500" in caplog.text
    assert "could not be reached" in caplog.text


@pytest.mark.parametrize("url", ["nonsense", "file:///etc/passwd", "http://[", "http:///x"])
def test_an_invalid_url_does_not_affect_jobs(emulator, caller, url):
    hook = {"success": {"webhook": {"enabled": True, "url": url}}}
    ok(caller.patch(f"/workspaces/{emulator.workspace_id}", {"notifications": hook}))
    ok(caller.sync())
    emulator.advance(60)
    wait_for_deliveries()

    assert caller.job(1)["status"] == "succeeded"


def test_a_test_notification_has_fake_ids(caller, receiver):
    body = {
        "slackConfiguration": {"webhook": receiver.url},
        "notificationTrigger": "sync_failure",
    }

    assert ok(caller.post("/api/v1/notifications/try_webhook", body)) == {"status": "succeeded"}

    sent = receiver.next()
    assert sent["blocks"][0]["text"]["text"].startswith("[THIS IS A TEST NOTIFICATION]")
    assert "TEST NOTIFICATION" not in sent["text"]
    assert (sent["data"]["jobId"], sent["data"]["success"]) == (10, False)


def test_google_chat_gets_only_the_text(emulator, caller, receiver):
    url = f"{receiver.url}//chat.googleapis.com/"
    hook = {"success": {"webhook": {"enabled": True, "url": url}}}
    ok(caller.patch(f"/workspaces/{emulator.workspace_id}", {"notifications": hook}))
    emulator.script_job(bytes=5 * 10**15)
    ok(caller.sync())
    emulator.advance(60)

    assert list(receiver.next()) == ["text"]


def test_with_real_time_a_job_ends_and_notifies_by_itself(receiver):
    emulator = Emulator(sync_duration=0.05)
    with emulator.serve():
        caller = caller_of(emulator)
        hook = {"success": {"webhook": {"enabled": True, "url": receiver.url}}}
        ok(caller.patch(f"/workspaces/{emulator.workspace_id}", {"notifications": hook}))
        emulator.start_sync()

        assert receiver.next()["data"]["success"] is True


def wait_for_deliveries() -> None:
    for thread in threading.enumerate():
        if thread.name == "airbyte-emulator-webhook":
            thread.join(10)
