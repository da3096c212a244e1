"""
Measures what the provider promises, and prints one line for each.

    make bench

Figures of a busy machine are worth nothing: run it alone, and look at the ratios first.
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
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

# A module that nothing here needs: what is loaded behind it is ours. Without the collection of all
# garbage, which takes 90 ms after Airflow's imports and is charged to whoever happens to import.
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
# Where it is set, nothing installed is ever compiled for good, and every import compiles anew.
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
IMPORT_TIME = re.compile(r"import time:\s+(\d+) \|")


def import_milliseconds() -> float:
    """Self time of all that our operators, sensors and triggers load after ``airflow.sdk``."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", IMPORTS],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != NO_BYTECODE},
    )
    _, _, after_sdk = process.stderr.partition(MARK)
    return sum(int(own) for own in IMPORT_TIME.findall(after_sdk)) / 1000


@contextmanager
def served_emulator(*options: str) -> Iterator[dict[str, str]]:
    """Serve an emulator in a process of its own, so that it does not share our interpreter."""
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
    """Calls per second of ``hook.get_job`` against a bare session, in turn on one server."""
    import requests

    from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook

    with served_emulator() as world:
        _use(world)
        hook = AirbyteHook()
        job_id = hook.create_job(world["connection_id"]).job_id
        hook.wait_for_job(job_id, poll_interval=0.5)
        url = f"{world['url']}/api/public/v1/jobs/{job_id}"
        token = requests.post(
            f"{world['url']}/api/public/v1/applications/token",
            json={"client_id": world["client_id"], "client_secret": world["client_secret"]},
            timeout=10,
        ).json()["access_token"]
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token}"

        def bare() -> None:
            session.get(url, timeout=30).json()

        def ours() -> None:
            hook.get_job(job_id)

        ratios = []
        for _ in range(rounds):
            lasted = [_seconds(call, calls) for call in (bare, ours)]
            ratios.append(lasted[0] / lasted[1])
        return statistics.median(ratios)


def largest_gap_milliseconds(triggers: int = 50) -> float:
    """Largest pause of a ticker beside triggers whose Airbyte takes 300 ms for each answer."""
    from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
    from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger

    with served_emulator("--latency", "0.3", "--sync-duration", "8") as world:
        _use(world)
        job_id = AirbyteHook().create_job(world["connection_id"]).job_id

        async def wait() -> None:
            trigger = AirbyteJobTrigger(
                airbyte_conn_id="airbyte_sme_default",
                job_id=job_id,
                connection_id=world["connection_id"],
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


async def _tick(gaps: list[float]) -> None:
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now


def _use(world: dict[str, str]) -> None:
    os.environ["AIRFLOW_CONN_AIRBYTE_SME_DEFAULT"] = json.dumps(
        {
            "conn_type": "airbyte_sme",
            "host": world["url"],
            "login": world["client_id"],
            "password": world["client_secret"],
        }
    )


def _seconds(call: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - began


def main() -> None:
    """Measure everything."""
    imports = sorted(import_milliseconds() for _ in range(7))
    print(f"import after airflow.sdk: {imports[0]:.1f} ms at best, median of 7 {imports[3]:.1f} ms")
    print(f"hook.get_job against a bare requests.Session: {get_job_rate_ratio():.2f} times as fast")
    print(f"largest gap beside 50 waits, answers after 300 ms: {largest_gap_milliseconds():.0f} ms")


if __name__ == "__main__":
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        main()
