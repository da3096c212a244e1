"""Resource operators in real runs of DAGs: secrets, and setup and teardown."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, redact

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.dag_runs import load_dag, states_of

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")

PASSWORD = "Tr0ub4dor-and-3"
# A number, and with quotes and braces: native rendering and YAML would change either.
REGION = "1_000_000_000"
STREET = "00112233445566778899aabbccddeeff"
TOWN = "https://hooks.example.com/T000/B000/XXXX"
SECRETS = (PASSWORD, REGION, STREET, TOWN)


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="instant")
    with emulator.serve():
        yield emulator


@pytest.fixture
def dag(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> DAG:
    """A DAG that takes its secrets from a connection, and from variables with innocent names."""
    fields = {"conn_type": "postgres", "login": "airbyte", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_CRM", json.dumps(fields))
    for name, value in (("REGION", REGION), ("STREET", STREET), ("TOWN", TOWN)):
        monkeypatch.setenv(f"AIRFLOW_VAR_{name}", value)
    return load_dag(Path(__file__).with_name("resource_dags"), "secrets_everywhere", monkeypatch)


def stored_by_airflow() -> dict[str, str]:
    """Return the content of every table of Airflow's database."""
    from airflow.settings import engine

    file: Any = engine.url.database if engine else None
    with sqlite3.connect(file) as database:
        tables = [
            row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {
            table: "\n".join(map(str, database.execute(f'SELECT * FROM "{table}"')))
            for table in tables
        }


def test_secrets_arrive_in_airbyte_and_appear_nowhere_in_airflow(
    emulator: Emulator, dag: DAG, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    quoting = {"status": 422, "type": "error:unprocessable", "title": "unprocessable-entity"}
    quoting["detail"] = f"The source cannot log in with {REGION}."
    emulator.fail_next("PATCH /sources/{sourceId}", 422, body=quoting)

    states = states_of(dag)

    logged = caplog.text + "".join(capfd.readouterr())
    assert {name: state for name, state in states.items() if state != "success"} == {
        "rejected[-1]": "failed"
    }
    stored = stored_by_airflow()
    texts = [*stored.values(), logged]
    assert [secret for secret in SECRETS if any(secret in text for text in texts)] == []
    # It looked in the right places: what is no secret is there.
    assert "db.example.com" in stored["rendered_task_instance_fields"]
    assert "{{ var.value.region }}" in stored["rendered_task_instance_fields"]
    assert "created" in stored["xcom"]
    assert "source 'CRM'" in logged
    assert "The source cannot log in with ***" in logged
    for secret in SECRETS:
        assert redact(f"In a text: {secret}") == "In a text: ***"
    passwords = {
        actor.name: emulator.secret_of(actor.id, "password")
        for actor in (*emulator.sources.values(), *emulator.destinations.values())
        if actor.workspace_id != emulator.workspace_id
    }
    assert passwords == {
        "CRM": PASSWORD,
        **dict.fromkeys(("Warehouse", "North", "South", "From file"), REGION),
    }


def test_a_sandbox_is_deleted_although_the_work_in_it_fails(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = load_dag(Path(__file__).with_name("resource_dags"), "sandbox", monkeypatch)

    states = states_of(sandbox)

    assert states == {
        "create[-1]": "success",
        "fill[-1]": "success",
        "work[-1]": "failed",
        "delete[-1]": "success",
    }
    requests = [str(request.route) for request in emulator.requests]
    assert requests.count("POST /sources") == 1
    assert requests.count("DELETE /sources/{sourceId}") == 1
    assert requests.count("DELETE /workspaces/{workspaceId}") == 1
