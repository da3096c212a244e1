"""Airbyte's notifications, received by Airflow's API server on its own port."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from scripts.airflow_harness import LocalAirflow
from tests.data_aware.system.conftest import EXAMPLE_CONNECTION, WEBHOOK_SECRET
from tests.data_aware.system.observed import events_of, wait_for_events, wait_for_runs

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

ASSET = f"airbyte_sme/webhook/{EXAMPLE_CONNECTION}"
REPLAYS = 10


class Receiver:
    """An HTTP server on loopback that keeps the bodies that are posted to it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._received = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                receiver._received.release()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def next_body(self) -> bytes:
        """Wait for the next body and return it."""
        assert self._received.acquire(timeout=30)
        return self.bodies[-1]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def notify(emulator: Emulator, url: str) -> None:
    """Let Airbyte send its notifications of successful syncs to *url*."""
    webhook = {"enabled": True, "url": url}
    hook = AirbyteHook()
    hook.update_workspace(
        emulator.workspace_id, {"notifications": {"success": {"webhook": webhook}}}
    )


def sync(emulator: Emulator) -> int:
    emulator.script_job(EXAMPLE_CONNECTION, statuses=[("running", None)], rows=7)
    job_id = emulator.start_sync(EXAMPLE_CONNECTION)
    emulator.finish_job(job_id)
    return job_id


def post(url: str, body: bytes) -> int:
    """Post *body* and return the status."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def webhook_url(airflow: LocalAirflow, secret: str = WEBHOOK_SECRET) -> str:
    return f"{airflow.url}/airbyte-sme/webhook/airbyte_sme_default/{secret}"


def jobs(airflow: LocalAirflow) -> list[int]:
    return [each.extra["job_id"] for each in events_of(airflow.api, ASSET)]


def test_a_job_makes_one_event_however_often_and_by_whomever_it_is_sent(
    airflow: LocalAirflow,
    emulator: Emulator,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", emulator.connection_uri)
    notify(emulator, receiver.url)
    sync(emulator)
    assert post(webhook_url(airflow, WEBHOOK_SECRET[::-1]), receiver.next_body()) in (401, 403, 404)

    replayed = sync(emulator)
    body = receiver.next_body()
    assert json.loads(body)["data"]["jobId"] == replayed
    with ThreadPoolExecutor(REPLAYS) as threads:
        statuses = list(threads.map(post, [webhook_url(airflow)] * REPLAYS, [body] * REPLAYS))
    assert all(200 <= status < 300 for status in statuses), statuses
    [run_id] = wait_for_runs(airflow.api, "start_on_webhook", 1)
    assert airflow.api.xcom("start_on_webhook", run_id, "use_new_data") == [replayed]

    notify(emulator, webhook_url(airflow))
    sent_by_airbyte = sync(emulator)
    wait_for_events(airflow.api, ASSET, 2)
    assert len(wait_for_runs(airflow.api, "start_on_webhook", 2)) == 2
    assert jobs(airflow) == [replayed, sent_by_airbyte]
