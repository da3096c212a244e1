"""``migrate --connections``: what becomes of Airflow connections of the official provider."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "hunter2-and-more"
FIELDS = {
    "conn_type": "airbyte",
    "host": "https://airbyte.example.com/api/public/v1/",
    "login": "3f2a-client",
    "password": SECRET,
    "schema": "https://airbyte.example.com/api/public/v1/applications/token",
}
ADD = """
from airflow.models.connection import Connection
from airflow.utils.session import create_session
with create_session() as session:
    session.add(Connection(conn_id="stored", **{fields}))
    session.add(Connection(conn_id="other", conn_type="http", password="x"))
"""


def fernet_key(number: int) -> str:
    return base64.urlsafe_b64encode(bytes([number] * 32)).decode()


@pytest.fixture
def listed(monkeypatch, capsys):
    """Return what is printed about one connection with the given fields."""

    def list_with(**fields: object) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_OFFICIAL", json.dumps({**FIELDS, **fields}))
        main(["migrate", "--connections"])
        output = capsys.readouterr()
        assert SECRET not in output.out + output.err
        return output.out

    return list_with


def test_a_connection_works_unchanged(listed):
    text = listed()

    assert text.startswith("official (in AIRFLOW_CONN_OFFICIAL)\n")
    assert '  works unchanged: airbyte_conn_id="official"\n' in text
    assert "  Host: kept; the API is at https://airbyte.example.com/api/public/v1\n" in text
    assert "  Login, Password: kept, as client id and client secret\n" in text
    assert "  Schema (token URL): ignored" in text
    assert "3f2a-client" not in text


def test_a_uri_is_read_too(monkeypatch, capsys):
    uri = f"airbyte://client:{SECRET}@https%3A%2F%2Fairbyte.example.com/"
    monkeypatch.setenv("AIRFLOW_CONN_IN_URI", uri)

    main(["migrate", "--connections"])

    output = capsys.readouterr().out
    assert "in_uri (in AIRFLOW_CONN_IN_URI)\n  works unchanged" in output
    assert "  type: can stay; airbyte-sme://" in output
    assert SECRET not in output


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"login": "", "password": ""}, "Login, Password: empty, so there is no authentication"),
        ({"login": ""}, "does not work yet: Login"),
        (
            {"extra": {"proxies": {"https": f"http://u:{SECRET}@proxy.example.com:3128"}}},
            "Extra proxies: kept, for the scheme of Host\n",
        ),
        ({"extra": {"timeout": 20}}, 'set "request_timeout": 20 in Extra, or requests have 30 s'),
        ({"extra": {"mine": SECRET}}, "Extra mine: ignored, as before"),
        ({"host": ""}, "does not work yet: "),
        ({"extra": {"proxies": "socks5://proxy.example.com"}}, "does not work yet: proxy"),
    ],
)
def test_what_changes_is_said(fields, line, listed):
    assert line in listed(**fields)


@pytest.mark.parametrize(
    "value", ['{"conn_type": "http", "host": "x"}', "{not json", "postgres://x"]
)
def test_other_connections_are_left_out(value, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", value)

    main(["migrate", "--connections"])

    assert "other" not in capsys.readouterr().out


def test_only_a_database_that_can_be_read_is_called_empty(capsys):
    main(["migrate", "--connections"])

    output = capsys.readouterr()
    is_unread = "error: Airflow's database could not be read" in output.err
    is_empty = output.out == "There is no Airflow connection of type 'airbyte'.\n"
    assert is_unread != is_empty


def test_connections_in_the_database_are_listed(tmp_path):
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": fernet_key(1),
        "AIRFLOW_CONN_VARIABLE": json.dumps(FIELDS),
    }

    def run(*arguments: str, **others: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment | others,
            capture_output=True,
            text=True,
            check=False,
        )

    list_them = ("-m", "airflow_provider_airbyte_sme", "migrate", "--connections")
    without_database = run(*list_them)
    code = "from airflow.utils.db import initdb\ninitdb()" + ADD.replace("{fields}", repr(FIELDS))
    assert run("-c", code).returncode == 0
    with_database = run(*list_them)
    undecryptable = run(*list_them, AIRFLOW__CORE__FERNET_KEY=fernet_key(2))

    assert without_database.returncode == 1
    assert without_database.stdout.startswith("variable (in AIRFLOW_CONN_VARIABLE)\n")
    assert "error: Airflow's database could not be read" in without_database.stderr
    assert with_database.returncode == 0
    assert with_database.stdout.startswith("stored (in Airflow's database)\n  works unchanged")
    assert "type: can stay; Edit > Connection Type: Airbyte SME" in with_database.stdout
    assert "other" not in with_database.stdout
    assert SECRET not in with_database.stdout + with_database.stderr
    assert undecryptable.returncode == 1
    assert "stored (in Airflow's database)\n  cannot be read: " in undecryptable.stdout
    assert "variable (in AIRFLOW_CONN_VARIABLE)\n  works unchanged" in undecryptable.stdout
    assert "Traceback" not in undecryptable.stderr
