"""
What the provider costs without waiting: imports, calls, an unchanged pipeline, and the emulator.

Ratios are more reliable than absolute times.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from benchmarks.airbyte import CONN_ID, CONN_VARIABLE, AirbyteServer

PIPELINE_SIZES = (1, 50, 99, 250)
"""Numbers of connections of the pipelines that are found unchanged."""

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


@dataclass(frozen=True, slots=True)
class Basics:
    """
    The figures.

    :param import_best: Milliseconds that operators, sensors and triggers take to import after
        ``airflow.sdk``, the best of several.
    :param import_median: Their median.
    :param get_job_ratio: Calls per second of ``hook.get_job``, relative to ``requests.Session``.
    :param emulator_start: Milliseconds until the emulator serves.
    :param emulator_page: Time of a page of 100 jobs, relative to encoding its body as JSON.
    :param pipeline_requests: Requests of a run that finds a pipeline unchanged, for each of
        :data:`PIPELINE_SIZES`.
    """

    import_best: float
    import_median: float
    get_job_ratio: float
    emulator_start: float
    emulator_page: float
    pipeline_requests: tuple[int, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return what was written as ``asdict(basics)``."""
        return cls(**{**value, "pipeline_requests": tuple(value["pipeline_requests"])})


def measure_basics() -> Basics:
    """Measure everything in this module."""
    imports = sorted(import_milliseconds() for _ in range(7))
    start, page = emulator_figures()
    return Basics(
        import_best=imports[0],
        import_median=statistics.median(imports),
        get_job_ratio=get_job_rate_ratio(),
        emulator_start=start,
        emulator_page=page,
        pipeline_requests=tuple(unchanged_pipeline_requests(size) for size in PIPELINE_SIZES),
    )


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


def get_job_rate_ratio(rounds: int = 40, calls: int = 50) -> float:
    """
    Compare ``hook.get_job`` with a bare ``requests.Session``, alternately on the same server.

    The session reads no proxy settings and no ``.netrc`` either (``trust_env=False``).

    :param rounds: Number of comparisons; the result is their median.
    :param calls: Calls of each kind per comparison.
    :return: Calls per second of the hook, divided by those of the session.
    """
    import requests

    from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook

    with AirbyteServer(connections=1, latency=0.0) as airbyte:
        os.environ[CONN_VARIABLE] = airbyte.airflow_connection
        [job] = airbyte.start_jobs()
        hook = AirbyteHook(CONN_ID)
        connection = json.loads(airbyte.airflow_connection)
        session = requests.Session()
        session.trust_env = False
        token = session.post(
            f"{connection['host']}/applications/token",
            json={"client_id": connection["login"], "client_secret": connection["password"]},
            timeout=10,
        ).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        url = f"{connection['host']}/jobs/{job.job_id}"

        def call_session() -> None:
            session.get(url, timeout=30).json()

        def call_hook() -> None:
            hook.get_job(job.job_id)

        ratios = []
        for _ in range(rounds):
            session_seconds = _seconds(call_session, calls)
            hook_seconds = _seconds(call_hook, calls)
            ratios.append(session_seconds / hook_seconds)
        return statistics.median(ratios)


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


def _seconds(call: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - started
