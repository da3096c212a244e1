"""The command line, as its user sees it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.api import run_blocking
from airflow_provider_airbyte_sme.cli.main import main
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.emulator.server import Server
from airflow_provider_airbyte_sme.provisioning.files import read_document
from airflow_provider_airbyte_sme.provisioning.parsing import parse_pipeline
from tests.unit.api.doubles import Wire, client_for

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(time="instant")


@pytest.fixture
def server(emulator) -> Iterator[Server]:
    with emulator.serve() as server:
        yield server


@pytest.fixture
def export(emulator, server, monkeypatch):
    """Run the command with the emulator's application, and return its exit status."""
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", emulator.client_secret)

    def run(*arguments, workspace="Analytics"):
        airbyte = ("--url", server.url, "--client-id", emulator.client_id)
        return main(["export", *airbyte, "--workspace", workspace, *map(str, arguments)])

    return run


def test_a_workspace_is_written_to_standard_output(export, capsys):
    status = export()

    output = capsys.readouterr()
    assert status == 0
    assert parse_pipeline(read_document(output.out)).workspace.name == "Analytics"
    assert output.out.startswith("# A pipeline file for AirbyteApplyOperator, exported from http")
    assert output.err.endswith("exported 1 source, 1 destination, 0 tags, 1 connection\n")


def test_a_workspace_may_be_given_by_its_id(export, emulator, capsys):
    assert export(workspace=emulator.workspace_id) == 0
    assert "workspace:\n  name: Analytics\n" in capsys.readouterr().out


def test_notes_are_on_standard_error_and_in_the_file(export, emulator, capsys):
    webhook = {"enabled": True, "url": "https://hooks.example.com/hunter2"}
    workspace = {"name": "Hooked", "notifications": {"failure": {"webhook": webhook}}}
    client = client_for(emulator, Wire(emulator))
    run_blocking(client.workspaces.create(workspace))

    export(workspace="Hooked")

    output = capsys.readouterr()
    assert "note: The webhook URL of notification 'failure'" in output.err
    assert "# The webhook URL of notification 'failure'" in output.out


@pytest.mark.parametrize(
    ("name", "options", "parse"),
    [
        ("a.yaml", (), read_document),
        ("a.json", (), json.loads),
        ("a.txt", ("--format", "json"), json.loads),
    ],
)
def test_a_workspace_is_written_to_a_file(export, tmp_path, capsys, name, options, parse):
    path = tmp_path / name

    assert export("--output", path, *options) == 0

    document = parse(path.read_text(encoding="utf-8"))
    assert parse_pipeline(document).workspace.name == "Analytics"
    assert capsys.readouterr().out == ""


def test_a_file_is_replaced_only_on_demand(export, emulator, tmp_path, capsys):
    path = tmp_path / "a.yaml"
    path.write_text("mine")

    assert export("--output", path) == 1
    assert path.read_text() == "mine"
    assert capsys.readouterr().err == (
        f"error: {path} exists already: add --force to replace it.\n"
    )
    assert emulator.requests == []
    assert export("--output", path, "--force") == 0
    assert path.read_text() != "mine"


def test_an_unknown_workspace_is_an_error_that_names_the_others(export, capsys):
    assert export(workspace="Sales") == 1
    assert capsys.readouterr().err == (
        "error: There is no workspace 'Sales'. Workspaces that the application sees: 'Analytics'.\n"
    )


def test_a_wrong_secret_is_an_error_in_one_line(export, monkeypatch, capsys):
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "hunter2")

    assert export() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "hunter2" not in line


def test_a_missing_secret_is_an_error_that_says_where_to_put_it(export, monkeypatch, capsys):
    monkeypatch.delenv("AIRBYTE_CLIENT_SECRET")
    monkeypatch.setattr("sys.stdin", io.StringIO())  # no terminal

    assert export() == 1
    assert "set the environment variable AIRBYTE_CLIENT_SECRET" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["export", "--workspace", "a"], "one of the arguments --conn-id --url is required"),
        (["export", "--url", "a"], "the following arguments are required: --workspace"),
        (["export", "--conn-id", "a", "--url", "b", "--workspace", "c"], "not allowed with"),
        (
            ["export", "--conn-id", "a", "--client-id", "b", "--workspace", "c"],
            "--client-id needs --url",
        ),
    ],
)
def test_wrong_arguments_exit_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_an_airflow_connection_may_be_given(emulator, server, monkeypatch, capsys):
    connection = {
        "conn_type": "airbyte_sme",
        "host": server.url,
        "login": emulator.client_id,
        "password": emulator.client_secret,
    }
    monkeypatch.setenv("AIRFLOW_CONN_OURS", json.dumps(connection))

    assert main(["export", "--conn-id", "ours", "--workspace", "Analytics"]) == 0
    assert capsys.readouterr().out.startswith("# A pipeline file ")


def test_the_command_needs_no_airflow():
    script = (
        "import sys, runpy\n"
        "sys.argv = ['', '--help']\n"
        "try:\n"
        "    runpy.run_module('airflow_provider_airbyte_sme', run_name='__main__')\n"
        "except SystemExit as exit:\n"
        "    assert exit.code == 0\n"
        "loaded = {'airflow', 'requests', 'aiohttp', 'yaml'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )

    process = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert process.stdout.startswith("usage: python -m airflow_provider_airbyte_sme ")
    assert "export" in process.stdout
