"""The webhook on a real Airflow with two API servers, which load it by its entry point."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts import postgres
from scripts.airflow_api import AirflowApi, AirflowApiError, poll
from scripts.airflow_harness import LocalAirflow
from scripts.processes import free_port
from tests.leaks import search_airflow, told
from tests.webhooks import WEBHOOK_SECRET, call, notification

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not postgres.is_installed(), reason="two API servers need PostgreSQL"),
]

CONN_ID = "airbyte_sme_default"


class TwoApiServers(LocalAirflow):
    """A `LocalAirflow` without a triggerer, and with a second API server."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        port = free_port()
        self.second_url = f"http://127.0.0.1:{port}"
        del self.components["triggerer"]
        arguments = ("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        self.components["second-api-server"] = self._process(*arguments, name="second-api-server")

    def _healthy(self, since: datetime) -> set[str]:
        healthy = super()._healthy(since)
        try:
            AirflowApi(self.second_url).request("GET", "/monitor/health")
        except (OSError, AirflowApiError):
            return healthy
        return {*healthy, "second-api-server"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(sync_duration=0)
    with emulator.serve():
        yield emulator


@pytest.fixture(scope="module")
def airflow(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoApiServers]:
    home = tmp_path_factory.mktemp("airflow")
    with postgres.LocalPostgres() as database:
        with TwoApiServers(
            home=home,
            dags_folder=Path(__file__).with_name("webhook_dags"),
            dag_ids=["downstream"],
            environment={
                "AIRBYTE_CONNECTION_ID": emulator.connection_id,
                "AIRFLOW__AIRBYTE_SME__WEBHOOK": "True",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
            },
        ) as airflow:
            # In the database, which not every way of reading a connection reaches here.
            airflow.api.create_connection(
                CONN_ID,
                "airbyte_sme",
                host=emulator.url,
                login=emulator.client_id,
                password=emulator.client_secret,
                extra=f'{{"webhook_secret": "{WEBHOOK_SECRET}"}}',
            )
            yield airflow
        leaks = search_airflow(
            [home / "component-logs"],
            database.url,
            {**emulator.issued_secrets, "the secret of the webhook": WEBHOOK_SECRET},
        )
    assert not leaks, told(leaks)


def test_ten_replays_to_two_api_servers_start_one_dag_run(
    airflow: TwoApiServers, emulator: Emulator
) -> None:
    job_id = emulator.start_sync()
    poll(lambda: emulator.jobs[job_id].status == "succeeded", timeout=60, what="the sync to end")
    body = notification(job_id, emulator.connection_id)
    urls = [airflow.url, airflow.second_url] * 5

    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(lambda url: call(url, body), urls))

    assert [response.status for response in responses] == [200] * 10
    (event,) = airflow.api.request("GET", "/assets/events")["asset_events"]
    assert event["extra"]["job_id"] == job_id
    (run,) = poll(
        lambda: airflow.api.request("GET", "/dags/downstream/dagRuns")["dag_runs"],
        timeout=60,
        what="the DAG run",
    )
    assert run["run_type"] == "asset_triggered"
    assert airflow.api.wait_for_run("downstream", run["dag_run_id"], timeout=60) == "success"
    assert len(airflow.api.request("GET", "/dags/downstream/dagRuns")["dag_runs"]) == 1
    logs = [airflow.components[name].output for name in ("api-server", "second-api-server")]
    assert sum("was emitted." in log for log in logs) == 1
    assert call(airflow.url, body, secret="x" * 32).status == 403
