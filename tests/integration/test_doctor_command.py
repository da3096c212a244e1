"""The command ``doctor`` with Airflow: its connection, its database, and its own command line."""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import airflow
import pytest
from airflow import configuration, settings
from airflow.models.connection import Connection
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from airflow.utils import session
from cryptography.fernet import Fernet
from packaging.version import Version

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api import run_blocking
from airflow_provider_airbyte_sme.api.doctor import Outcome, run_steps
from airflow_provider_airbyte_sme.cli.airflow_checks import FIRST_STEPS, LAST_STEPS, AirflowSide
from airflow_provider_airbyte_sme.cli.main import main
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.servers import RawResponse, RawServer

REPOSITORY = Path(__file__).resolve().parents[2]
DOCTOR = (sys.executable, "-m", "airflow_provider_airbyte_sme", "doctor")
AIRFLOW = (sys.executable, "-m", "airflow")
AIRFLOW_VERSION = Version(airflow.__version__).release
NEEDS_COMMANDS = pytest.mark.skipif(
    AIRFLOW_VERSION < (3, 2), reason="Airflow 3.2 has commands of providers"
)


# The state of a triggerer, and the seconds since its last heartbeat: ahead, so that it is alive
# however slow this machine is.
ALIVE = ("running", -600)
DIED_LONG_AGO = ("running", 30 * 86_400)


def failures(checks: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return what each failed check saw."""
    return {name: each["saw"] for name, each in checks.items() if each["outcome"] == "failed"}


@pytest.fixture
def doctor(capsys):
    """Run the command in this process, and return its exit status and its checks."""

    def run(conn_id: str = "airbyte_sme_default") -> tuple[int, dict[str, dict[str, str]]]:
        status = main(["doctor", "--conn-id", conn_id, "-o", "json"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return status, {check["name"]: check for check in checks}

    return run


class TestAirflowConnection:
    def test_a_working_connection_passes(self, doctor, emulator):
        status, checks = doctor()

        assert (status, failures(checks)) == (0, {})
        assert checks["airflow-connection"]["saw"] == (
            f"'airbyte_sme_default' from AIRFLOW_CONN_AIRBYTE_SME_DEFAULT has the type "
            f"airbyte_sme, Host '{emulator.url}'."
        )
        assert checks["workspaces"]["outcome"] == "ok"

    def test_what_was_entered_is_shown_beside_what_it_became(
        self, doctor, set_connection, emulator
    ):
        credentials = {"login": emulator.client_id, "password": emulator.client_secret}
        set_connection(host=f"{emulator.url}/api/v1/", **credentials)

        _, checks = doctor()

        assert f"Host '{emulator.url}/api/v1/'" in checks["airflow-connection"]["saw"]
        assert f"Public API {emulator.url}/api/public/v1," in checks["url"]["saw"]

    def test_an_unknown_connection_fails_and_the_rest_of_airflow_is_still_checked(self, doctor):
        status, checks = doctor("nobody_made_it")

        assert status == 1
        assert checks["airflow-connection"]["outcome"] == "failed"
        assert "did not find the connection 'nobody_made_it'" in checks["airflow-connection"]["saw"]
        assert checks["airbyte"]["saw"] == "Not checked, because airflow-connection failed."
        assert checks["airflow"]["outcome"] == checks["provider"]["outcome"] == "ok"

    def test_a_variable_that_airflow_cannot_parse_fails(self, doctor, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{not JSON")

        status, checks = doctor("broken")

        assert status == 1
        assert "cannot parse AIRFLOW_CONN_BROKEN" in checks["airflow-connection"]["saw"]

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("verify_tls", {"extra": {"verify_tls": "maybe"}}),
            ("headers", {"extra": {"headers": "X-Api-Key"}}),
            ("headers", {"extra": {"headers": {"no name": "x"}}}),
            ("ca_bundle", {"extra": {"ca_bundle": "/no/such/file.pem"}}),
            ("client_cert", {"extra": {"client_cert": "/no/such/file.pem"}}),
            ("Host", {"host": "ftp://airbyte.example.com"}),
            ("Host", {"host": ""}),
            ("Port", {"port": 70_000}),
            ("Password", {"login": "an-id"}),
        ],
    )
    def test_an_invalid_field_fails_and_says_what_it_must_be(
        self, doctor, set_connection, emulator, field, fields
    ):
        # A file is read only for TLS.
        host = emulator.url.replace("http:", "https:")
        set_connection(**{"host": host, **fields})

        status, checks = doctor()

        assert status == 1
        (check,) = [each for each in checks.values() if each["outcome"] == "failed"]
        assert field in check["saw"]
        assert check["change"]

    def test_a_connection_of_the_official_provider_passes(self, doctor, monkeypatch, emulator):
        fields = {
            "conn_type": "airbyte",
            "host": f"{emulator.url}/api/public/v1/",
            "login": emulator.client_id,
            "password": emulator.client_secret,
        }
        monkeypatch.setenv("AIRFLOW_CONN_OFFICIAL", json.dumps(fields))

        status, checks = doctor("official")

        assert (status, failures(checks)) == (0, {})
        assert "has the type airbyte, " in checks["airflow-connection"]["saw"]

    def test_a_port_that_host_overrules_is_a_warning(self, doctor, set_connection, emulator):
        set_connection(host=emulator.url, port=8443)

        _, checks = doctor()

        check = checks["airflow-connection"]
        assert check["outcome"] == "warning"
        assert check["saw"].endswith(
            f", Port 8443. Port is not used, because Host names another: the public API is "
            f"{emulator.url}/api/public/v1."
        )
        assert check["change"] == "Clear Port, or remove the port from Host."

    def test_a_port_that_is_used_is_no_warning(self, doctor, set_connection):
        set_connection(host="https://airbyte.invalid", port=443)

        assert doctor()[1]["airflow-connection"]["outcome"] == "ok"

    def test_a_connection_without_a_type_passes(self, doctor, monkeypatch, emulator):
        monkeypatch.setenv("AIRFLOW_CONN_BARE", json.dumps({"host": emulator.url}))

        assert (
            "'bare' from AIRFLOW_CONN_BARE has no type, Host"
            in (doctor("bare")[1]["airflow-connection"]["saw"])
        )


class TestBrokenAirflow:
    @pytest.fixture
    def silence(self, monkeypatch):
        """Let something of Airflow never respond, as a database behind a firewall does."""
        over = Event()

        def silence(owner, name):
            monkeypatch.setattr(owner, name, lambda *_, **__: over.wait(60))

        yield silence
        over.set()

    @staticmethod
    def check(steps):
        side = AirflowSide("my_airbyte", time_limit=0.01)
        return run_blocking(run_steps(steps, side, secrets=side.secrets))[0]

    def test_a_secrets_backend_that_never_responds_is_told(self, silence, monkeypatch):
        backend = EnvironmentVariablesBackend()
        silence(backend, "get_connection")
        silence(Connection, "get_connection_from_secrets")
        monkeypatch.setattr(configuration, "ensure_secrets_loaded", lambda: [backend])

        check = self.check(FIRST_STEPS)

        assert check.outcome is Outcome.FAILED
        assert check.saw.endswith(
            "could not look everywhere: EnvironmentVariablesBackend: TimeoutError no answer within "
            "0.01 s."
        )

    def test_a_slow_search_for_the_connection_is_told(self, silence, monkeypatch):
        silence(Connection, "get_connection_from_secrets")
        backend = EnvironmentVariablesBackend()
        monkeypatch.setattr(backend, "get_connection", lambda **_: None)
        monkeypatch.setattr(configuration, "ensure_secrets_loaded", lambda: [backend])

        check = self.check(FIRST_STEPS)

        assert check.message == (
            "Airflow did not find the connection 'my_airbyte' within 0.01 s. Look for what is "
            "slow: EnvironmentVariablesBackend."
        )

    def test_a_database_that_never_responds_skips_the_triggerer(self, silence, monkeypatch):
        silence(session, "create_session")
        unregistered: list[object] = []
        monkeypatch.setattr(atexit, "unregister", unregistered.append)

        check = self.check(LAST_STEPS)

        assert (check.name, check.outcome) == ("triggerer", Outcome.SKIPPED)
        assert check.saw == ("Airflow's database cannot be read here: no answer within 0.01 s.")
        # Else Airflow prints a traceback at the end, because a thread still waits.
        assert unregistered == [settings.dispose_orm]

    def test_an_airflow_that_does_not_start_fails_once(self, doctor, monkeypatch):
        monkeypatch.setitem(sys.modules, "airflow.models.connection", None)

        status, checks = doctor()

        assert status == 1
        assert list(failures(checks)) == ["airflow-connection"]
        assert checks["airflow-connection"]["saw"].startswith("Airflow does not start here: ")
        assert "`airflow version`" in checks["airflow-connection"]["change"]
        for name in ("airbyte", "triggerer", "airflow"):
            assert checks[name]["saw"] == "Not checked, because airflow-connection failed."
        assert checks["provider"]["outcome"] == "ok"


class TestVersions:
    def test_airflow_and_what_it_lacks(self, doctor):
        _, checks = doctor()

        saw = checks["airflow"]["saw"]
        assert saw.startswith(f"Airflow {airflow.__version__} on Python 3.")
        assert saw.endswith("has every feature.") == (AIRFLOW_VERSION >= (3, 3))
        assert ("start_from_trigger" in saw) == (AIRFLOW_VERSION < (3, 3))

    def test_the_provider(self, doctor):
        _, checks = doctor()

        assert checks["provider"]["saw"].startswith(f"airflow-provider-airbyte-sme {__version__}, ")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow with a database of its own."""
    folder: Path = tmp_path_factory.mktemp("airflow-home")
    inherited = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environment = {
        **inherited,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
    }
    subprocess.run([*AIRFLOW, "db", "migrate"], env=environment, check=True, capture_output=True)
    return environment


@pytest.fixture
def in_database(home, emulator) -> str:
    """A connection in that database, to the emulator."""
    conn_id = f"at_{emulator.url.rpartition(':')[2]}"
    add = ("connections", "add", conn_id, "--conn-uri", emulator.connection_uri)
    subprocess.run([*AIRFLOW, *add], env=home, check=True, capture_output=True)
    return conn_id


def run_json(*command: str, environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Run a command; its standard output must be one JSON object."""
    done = subprocess.run(
        [*command, "-o", "json"], env=environment, check=False, capture_output=True, text=True
    )
    assert done.stdout.startswith("{"), done.stderr
    document = json.loads(done.stdout)
    return done.returncode, {check["name"]: check for check in document["checks"]}


def add_triggerers(environment: dict[str, str], *triggerers: tuple[str, float]) -> None:
    """Leave in the database what triggerers leave there, the newest as triggerer-0."""
    rows = []
    for number, (state, seconds_ago) in enumerate(triggerers):
        heartbeat = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        name = f"triggerer-{number}"
        rows.append((state, "TriggererJob", f"{heartbeat:%Y-%m-%d %H:%M:%S.%f}", name))
    # A process with Airflow in it takes seconds.
    with closing(sqlite3.connect(f"{environment['AIRFLOW_HOME']}/airflow.db")) as database:
        database.execute("DELETE FROM job")
        database.executemany(
            "INSERT INTO job (state, job_type, latest_heartbeat, hostname) VALUES (?, ?, ?, ?)",
            rows,
        )
        database.commit()


class TestDatabase:
    def test_a_connection_in_the_database_is_found(self, home, in_database, emulator):
        add_triggerers(home, ALIVE)

        status, checks = run_json(*DOCTOR, "--conn-id", in_database, environment=home)

        assert (status, failures(checks)) == (0, {})
        assert checks["airflow-connection"]["saw"] == (
            f"{in_database!r} has the type airbyte_sme, Host '{emulator.url}'."
        )
        assert checks["workspaces"]["outcome"] == "ok"

    @pytest.mark.parametrize(
        ("newest", "older", "outcome", "text"),
        [
            (ALIVE, DIED_LONG_AGO, "ok", "1 alive. The last heartbeat was 0 s ago, "),
            (
                *(("running", 7200), ("success", 9000), "failed"),
                "None is alive. The last heartbeat was 2 h 0 min ago, on ",
            ),
            (
                *(("success", 7200), DIED_LONG_AGO, "warning"),
                "None is alive. The last heartbeat was 2 h 0 min ago, ",
            ),
        ],
        ids=["alive", "dead", "stopped"],
    )
    def test_the_newest_triggerer_is_told(self, home, newest, older, outcome, text):
        add_triggerers(home, newest, older)

        _, checks = run_json(*DOCTOR, "--conn-id", "nobody_made_it", environment=home)

        assert checks["triggerer"]["outcome"] == outcome
        assert checks["triggerer"]["saw"].startswith(text)
        assert "on triggerer-0." in checks["triggerer"]["saw"]
        assert ("airflow triggerer" in checks["triggerer"]["change"]) == (outcome != "ok")
        assert checks["airflow-connection"]["saw"] == (
            "Airflow did not find the connection 'nobody_made_it' in EnvironmentVariablesBackend, "
            "MetastoreBackend."
        )
        assert "correct --conn-id" in checks["airflow-connection"]["change"]

    def test_another_fernet_key_is_told(self, home):
        key = {"AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode()}
        fields = ("--conn-type", "airbyte_sme", "--conn-host", "x", "--conn-password", "s3cret")
        add = (*AIRFLOW, "connections", "add", "encrypted", *fields)
        subprocess.run(add, env={**home, **key}, check=True, capture_output=True)
        other_key = {"AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode()}

        _, checks = run_json(*DOCTOR, "--conn-id", "encrypted", environment={**home, **other_key})

        assert checks["airflow-connection"]["outcome"] == "failed"
        assert "MetastoreBackend: InvalidToken." in checks["airflow-connection"]["saw"]
        assert checks["airflow-connection"]["change"].startswith("Set fernet_key of Airflow")

    def test_a_secrets_backend_that_fails_is_told(self, home, tmp_path):
        (tmp_path / "broken_backend.py").write_text(
            "from airflow.secrets import BaseSecretsBackend\n"
            "class Broken(BaseSecretsBackend):\n"
            "    def get_connection(self, conn_id, **kwargs):\n"
            "        raise PermissionError('token=s3cret-value is not allowed')\n"
        )
        environment = {
            **home,
            "PYTHONPATH": f"{tmp_path}:{home.get('PYTHONPATH', '')}",
            "AIRFLOW__SECRETS__BACKEND": "broken_backend.Broken",
        }

        _, checks = run_json(*DOCTOR, "--conn-id", "nobody_made_it", environment=environment)

        assert checks["airflow-connection"]["saw"] == (
            "Airflow did not find the connection 'nobody_made_it', but could not look everywhere: "
            "Broken: PermissionError token=*** is not allowed."
        )
        assert "in [secrets]" in checks["airflow-connection"]["change"]

    def test_without_a_database_the_triggerer_is_skipped(self, home, tmp_path):
        missing = {
            **home,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/empty.db",
        }

        status, checks = run_json(*DOCTOR, "--conn-id", "nobody_made_it", environment=missing)

        assert status == 1
        assert (
            "could not look everywhere: MetastoreBackend: OperationalError "
            in (checks["airflow-connection"]["saw"])
        )
        assert "AIRFLOW_CONN_NOBODY_MADE_IT" in checks["airflow-connection"]["change"]
        assert checks["triggerer"]["outcome"] == "skipped"
        assert "Airflow's database cannot be read here: " in checks["triggerer"]["saw"]


@NEEDS_COMMANDS
class TestAirflowCommand:
    def test_the_command_finds_a_connection_in_the_database(self, home, in_database, emulator):
        add_triggerers(home, ALIVE)

        status, checks = run_json(
            *AIRFLOW,
            "airbyte-sme",
            "doctor",
            "--conn-id",
            in_database,
            "--connection-id",
            emulator.connection_id,
            environment=home,
        )

        assert (status, failures(checks)) == (0, {})
        assert checks["airflow-connection"]["outcome"] == "ok"
        assert checks["connection"]["outcome"] == "ok"
        assert checks["triggerer"]["outcome"] == "ok"

    def test_a_failed_check_gives_status_1(self, home):
        command = (*AIRFLOW, "airbyte-sme", "doctor", "--conn-id", "nobody_made_it")

        done = subprocess.run(command, env=home, check=False, capture_output=True, text=True)

        assert done.returncode == 1
        assert done.stdout.startswith("[FAIL] airflow-connection ")
        assert "Traceback" not in done.stdout + done.stderr

    def test_an_interrupted_command_leaves_no_traceback(self, home):
        with RawServer(RawResponse(b"", then="hold")) as server:
            uri = json.dumps({"conn_type": "airbyte_sme", "host": server.url})
            with subprocess.Popen(
                [*AIRFLOW, "airbyte-sme", "doctor", "--conn-id", "silent"],
                env={**home, "AIRFLOW_CONN_SILENT": uri},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                # A shell has its background processes ignore it, and so do their children.
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            ) as process:
                assert server.received.wait(60)
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate()

        assert process.returncode == 1
        assert errors.endswith("error: interrupted\n")
        assert "Traceback" not in errors


def unfolded(block: str) -> str:
    """Return an output in which long lines were folded, with one line per check."""
    return re.sub(r"\n {26}", " ", block)


def normalised(output: str) -> str:
    """Return an output without what differs from run to run and from machine to machine."""
    for pattern, replacement in (
        (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\d+ ms", "N ms"),
        (r"\d+ s\b", "N s"),
        (r"Airflow \S+ on Python \S+ .*", "Airflow"),
        (r"(airflow-provider-airbyte-sme) .*", r"\1"),
    ):
        output = re.sub(pattern, replacement, output)
    return output


def quoted_outputs() -> list[str]:
    """Return the outputs that the how-to shows."""
    page = (REPOSITORY / "docs/how-to/check-a-connection.md").read_text(encoding="utf-8")
    return re.findall(r"```text\n(.*?)```", page, re.DOTALL)


def test_the_how_to_quotes_the_output_as_it_is(home):
    add_triggerers(home, ALIVE)
    emulator = Emulator(sync_duration=0.0, rows=100)
    with emulator.serve():
        emulator.start_sync()
        environment = {**home, "AIRFLOW_CONN_MY_AIRBYTE": emulator.connection_uri}
        ids = ("--conn-id", "my_airbyte", "--connection-id", emulator.connection_id)
        done = subprocess.run(
            [*DOCTOR, *ids], env=environment, check=True, capture_output=True, text=True
        )

    assert normalised(done.stdout) == normalised(unfolded(quoted_outputs()[0]))


def test_the_how_to_quotes_a_failure_as_it_is(set_connection, emulator, capsys):
    set_connection(host=emulator.url, login=emulator.client_id, password="not the secret")

    assert main(["doctor", "--conn-id", "airbyte_sme_default"]) == 1

    assert normalised(unfolded(quoted_outputs()[1])) in normalised(capsys.readouterr().out)


COMMANDS = {
    "python -m": DOCTOR,
    "airflow": pytest.param((*AIRFLOW, "airbyte-sme", "doctor"), marks=NEEDS_COMMANDS),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_warning_in_the_log_stays_out_of_standard_output(home, emulator, command):
    fields = {
        "conn_type": "airbyte_sme",
        "host": emulator.url.replace("http:", "https:"),
        "extra": {"verify_tls": False},
    }
    variable = {"AIRFLOW_CONN_UNVERIFIED": json.dumps(fields)}

    done = subprocess.run(
        [*command, "--conn-id", "unverified", "-o", "json"],
        env={**home, **variable},
        check=False,
        capture_output=True,
        text=True,
    )

    json.loads(done.stdout)
    assert "verify_tls of the Airflow connection is false" in done.stderr
