"""
Benchmarks of what the provider promises: import time, requests and a free event loop.

    make bench

Run it on an otherwise idle machine; other load makes the numbers meaningless. Ratios are more
reliable than absolute times.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

# A module that nothing else imports: everything imported after it belongs to the provider. Garbage
# collection is off because a full one takes 90 ms after Airflow's imports and would be counted
# towards whichever import triggers it.
MARK = "tabnanny"
IMPORTS = f"""
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator, task
import gc
gc.disable()
import {MARK}
import airflow_provider_airbyte_sme.operators.airbyte
import airflow_provider_airbyte_sme.sensors.airbyte
import airflow_provider_airbyte_sme.triggers.airbyte
"""
# If this is set, no bytecode is cached and every import compiles its module again.
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
IMPORT_TIME = re.compile(r"import time:\s+(\d+) \|")


def import_milliseconds() -> float:
    """Return the time that operators, sensors and triggers take to import after ``airflow.sdk``."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", IMPORTS],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != NO_BYTECODE},
    )
    _, _, after_sdk = process.stderr.partition(MARK)
    return sum(int(self_time) for self_time in IMPORT_TIME.findall(after_sdk)) / 1000


@contextmanager
def served_emulator(*options: str) -> Iterator[dict[str, str]]:
    """
    Run an emulator in a separate process, so that it does not compete for this interpreter.

    :return: The emulator's JSON ready line: ``url``, ``client_id``, ``connection_id`` and others.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_airbyte_sme.emulator", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def get_job_rate_ratio(rounds: int = 15, calls: int = 100) -> float:
    """
    Compare ``hook.get_job`` with a bare ``requests.Session``, alternately on the same server.

    :param rounds: Number of comparisons; the result is their median.
    :param calls: Calls of each kind per comparison.
    :return: Calls per second of the hook, divided by those of the session.
    """
    import requests

    from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook

    with served_emulator() as airbyte:
        _set_airflow_connection(airbyte)
        hook = AirbyteHook()
        job_id = hook.create_job(airbyte["connection_id"]).job_id
        hook.wait_for_job(job_id, poll_interval=0.5)
        url = f"{airbyte['url']}/api/public/v1/jobs/{job_id}"
        token = requests.post(
            f"{airbyte['url']}/api/public/v1/applications/token",
            json={"client_id": airbyte["client_id"], "client_secret": airbyte["client_secret"]},
            timeout=10,
        ).json()["access_token"]
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token}"

        def call_session() -> None:
            session.get(url, timeout=30).json()

        def call_hook() -> None:
            hook.get_job(job_id)

        ratios = []
        for _ in range(rounds):
            session_seconds = _seconds(call_session, calls)
            hook_seconds = _seconds(call_hook, calls)
            ratios.append(session_seconds / hook_seconds)
        return statistics.median(ratios)


def largest_gap_milliseconds(triggers: int = 50) -> float:
    """
    Return the longest event-loop block while triggers wait for an Airbyte with 300 ms latency.

    :param triggers: Number of triggers that wait at the same time.
    :return: Milliseconds between two ticks of a task that sleeps for 1 ms at a time.
    """
    from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
    from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger

    with served_emulator("--latency", "0.3", "--sync-duration", "8") as airbyte:
        _set_airflow_connection(airbyte)
        job_id = AirbyteHook().create_job(airbyte["connection_id"]).job_id

        async def wait() -> None:
            trigger = AirbyteJobTrigger(
                airbyte_conn_id="airbyte_sme_default",
                job_id=job_id,
                connection_id=airbyte["connection_id"],
                poll_interval=1.0,
                deadline=time.time() + 60,
            )
            async for event in trigger.run():
                assert event.payload["outcome"] == "finished", event.payload

        async def measure() -> float:
            gaps: list[float] = []
            ticker = asyncio.create_task(_tick(gaps))
            await asyncio.gather(*(wait() for _ in range(triggers)))
            ticker.cancel()
            return max(gaps) * 1000

        return asyncio.run(measure())


def emulator_figures(rounds: int = 5, calls: int = 100) -> tuple[float, float]:
    """
    Return how fast the emulator starts and responds.

    :return: Milliseconds until it serves, and the time of a page of 100 jobs relative to encoding
        its body as JSON.
    """
    from airflow_provider_airbyte_sme.api import HttpRequest
    from airflow_provider_airbyte_sme.emulator import Emulator

    starts, ratios = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        emulator = Emulator(auth_mode="none", time="instant")
        with emulator.serve() as server:
            starts.append((time.perf_counter() - began) * 1000)
            for _ in range(100):
                emulator.start_sync()
            url = f"{server.url}/api/public/v1/jobs?limit=100"
            request = HttpRequest("GET", url)
            body = json.loads(emulator.respond(request).body)
            assert len(body["data"]) == 100, body
            respond = _seconds(partial(emulator.respond, request), calls)
            ratios.append(respond / _seconds(partial(json.dumps, body), calls))
    return min(starts), statistics.median(ratios)


def unchanged_pipeline_requests(connections: int) -> int:
    """
    Return the requests of a run that finds a pipeline unchanged, without the token's.

    :param connections: How many connections it declares, all from one source with a secret.
    """
    from airflow_provider_airbyte_sme.api import (
        AirbyteClient,
        AirbyteSession,
        AirbyteSettings,
        AirbyteUrls,
        run_blocking,
    )
    from airflow_provider_airbyte_sme.emulator import Emulator
    from airflow_provider_airbyte_sme.provisioning.fingerprints import Fingerprints
    from airflow_provider_airbyte_sme.provisioning.parsing import parse_pipeline
    from airflow_provider_airbyte_sme.provisioning.provisioner import Provisioner
    from airflow_provider_airbyte_sme.provisioning.secrets import MemoryStore

    emulator, store = Emulator(time="manual", auth_mode="none"), MemoryStore()
    settings = AirbyteSettings(AirbyteUrls.parse("http://airbyte.example.com"))
    client = AirbyteClient(AirbyteSession(settings, emulator.transport()))
    database = {"host": "db", "port": 5432, "database": "crm", "username": "u", "password": "p"}
    pipeline = parse_pipeline(
        {
            "workspace": "Benchmark",
            "sources": [{"name": "CRM", "source_type": "postgres", "configuration": database}],
            "destinations": [
                {
                    "name": "Lake",
                    "destination_type": "duckdb",
                    "configuration": {"destination_path": "/lake.duckdb"},
                }
            ],
            "connections": [
                {
                    "name": f"connection {number}",
                    "source": "CRM",
                    "destination": "Lake",
                    "streams": ["orders", "customers"],
                    "tags": ["gold"],
                }
                for number in range(connections)
            ],
        }
    )
    for _ in range(2):
        emulator.clear_requests()
        provisioner = Provisioner(client, store=store, fingerprints=Fingerprints(b"key"))
        run_blocking(provisioner.apply(pipeline))
    return len(emulator.requests)


async def _tick(gaps: list[float]) -> None:
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now


def _set_airflow_connection(airbyte: dict[str, str]) -> None:
    os.environ["AIRFLOW_CONN_AIRBYTE_SME_DEFAULT"] = json.dumps(
        {
            "conn_type": "airbyte_sme",
            "host": airbyte["url"],
            "login": airbyte["client_id"],
            "password": airbyte["client_secret"],
        }
    )


def _seconds(call: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - started


def main() -> None:
    """Run all benchmarks and print one line for each."""
    imports = sorted(import_milliseconds() for _ in range(7))
    print(f"import after airflow.sdk: best {imports[0]:.1f} ms, median of 7 {imports[3]:.1f} ms")
    print(f"hook.get_job calls/s relative to requests.Session: {get_job_rate_ratio():.2f}")
    start, ratio = emulator_figures()
    print(f"emulator: serves after {start:.1f} ms")
    print(f"emulator: a page of 100 jobs relative to json.dumps of its body: {ratio:.1f}")
    requests = ", ".join(
        f"{unchanged_pipeline_requests(connections)} for {connections}"
        for connections in (1, 50, 99, 250)
    )
    print(f"requests of an unchanged pipeline, by its connections: {requests}")
    print(f"longest event-loop block with 50 waiting triggers: {largest_gap_milliseconds():.0f} ms")


if __name__ == "__main__":
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        main()
