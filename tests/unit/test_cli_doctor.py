"""The command ``doctor`` without Airflow, as its user sees it."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from airflow.cli.cli_config import GroupCommand

from airflow_provider_airbyte_sme.api.doctor import Check, Outcome
from airflow_provider_airbyte_sme.cli.airbyte import with_arguments
from airflow_provider_airbyte_sme.cli.airflow_commands import get_cli_commands
from airflow_provider_airbyte_sme.cli.doctor import line_of, to_json
from airflow_provider_airbyte_sme.cli.features import FEATURES, lacking
from airflow_provider_airbyte_sme.cli.main import main
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.get_provider_info import get_provider_info
from scripts.processes import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
HOW_TO = REPOSITORY / "docs/how-to/check-a-connection.md"
AIRFLOW_CHECKS = {"airflow-connection", "triggerer", "airflow", "provider"}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="instant")
    with emulator.serve():
        yield emulator


@pytest.fixture
def doctor(emulator, monkeypatch):
    """Run the command with the emulator's application, and return its exit status."""
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", emulator.client_secret)

    def run(*arguments, url=emulator.url):
        return main(["doctor", "--url", url, "--client-id", emulator.client_id, *arguments])

    return run


class TestText:
    def test_each_check_is_one_line_with_a_mark(self, doctor, capsys):
        status = doctor()

        *lines, summary = capsys.readouterr().out.splitlines()
        assert status == 0
        assert {line[:6] for line in lines} == {"[ ok ]", "[warn]", "[skip]"}
        assert "[ ok ] proxy              None: Airbyte is reached directly." in lines
        assert summary == f"{len(lines)} checks: 11 ok, 2 warnings, 0 failed, 2 skipped."

    def test_without_an_airflow_connection_nothing_of_airflow_is_checked(self, doctor, capsys):
        doctor("-o", "json")

        names = {each["name"] for each in json.loads(capsys.readouterr().out)["checks"]}
        assert not names & AIRFLOW_CHECKS

    def test_a_failed_check_says_what_to_change_and_gives_status_1(self, doctor, capsys):
        status = doctor(url=f"http://127.0.0.1:{free_port()}")

        output = capsys.readouterr().out
        (failed,) = [line for line in output.splitlines() if line.startswith("[FAIL]")]
        assert status == 1
        assert failed.startswith("[FAIL] tcp                Airbyte cannot be reached. ")
        assert "Check --url, and that this machine can reach it" in failed
        assert "[skip] tls                Not checked, because tcp failed." in output
        assert output.endswith(" 1 failed, 9 skipped.\n")

    def test_a_connection_is_looked_at_by_its_id(self, doctor, emulator, capsys):
        assert doctor("--connection-id", emulator.connection_id) == 0

        assert (
            f"[ ok ] connection         'Sample data to Warehouse' ({emulator.connection_id})"
            in (capsys.readouterr().out)
        )

    @pytest.mark.parametrize(
        ("outcome", "mark"),
        [("ok", "[ ok ]"), ("warning", "[warn]"), ("failed", "[FAIL]"), ("skipped", "[skip]")],
    )
    def test_each_outcome_has_its_mark(self, outcome, mark):
        check = Check("dns", Outcome(outcome), "It is odd.", "Mend it.")

        assert line_of(check) == f"{mark} dns                It is odd. Mend it."


class TestJson:
    def test_standard_output_is_one_json_object(self, doctor, capsys):
        status = doctor("-o", "json")

        document = json.loads(capsys.readouterr().out)
        assert status == 0
        assert list(document) == ["outcome", "counts", "checks"]
        assert document["outcome"] == "warning"
        assert document["counts"] == {"ok": 11, "warning": 2, "failed": 0, "skipped": 2}
        assert {frozenset(each) for each in document["checks"]} == {
            frozenset(("name", "outcome", "saw", "change"))
        }

    def test_it_has_the_checks_of_the_text(self, doctor, capsys):
        doctor("-o", "json")
        as_json = json.loads(capsys.readouterr().out)["checks"]
        doctor()
        as_text = capsys.readouterr().out.splitlines()[:-1]

        assert [line[7:].split()[0] for line in as_text] == [each["name"] for each in as_json]

    def test_a_failed_check_gives_status_1(self, doctor, capsys):
        assert doctor("-o", "json", url=f"http://127.0.0.1:{free_port()}") == 1

        assert json.loads(capsys.readouterr().out)["outcome"] == "failed"

    @pytest.mark.parametrize(
        ("outcomes", "worst"),
        [
            ((), "ok"),
            (("ok", "skipped"), "ok"),
            (("ok", "warning", "skipped"), "warning"),
            (("warning", "failed", "ok"), "failed"),
        ],
    )
    def test_the_outcome_is_the_worst_of_all(self, outcomes, worst):
        checks = [Check("a", Outcome(outcome), "Seen.") for outcome in outcomes]

        assert to_json(checks)["outcome"] == worst


class TestStandardOutput:
    @pytest.fixture
    def in_a_process(self, emulator):
        """Run the command in a process of its own."""

        def run(*arguments, **environment):
            command = [sys.executable, "-m", "airflow_provider_airbyte_sme", "doctor"]
            command += ["--url", emulator.url, "--client-id", emulator.client_id]
            secret = {"AIRBYTE_CLIENT_SECRET": emulator.client_secret}
            with subprocess.Popen(
                [*command, *arguments],
                env={**os.environ, **secret, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            ) as process:
                yield process

        return contextmanager(run)

    def test_a_terminal_that_cannot_show_a_character_gets_its_code(self, emulator, in_a_process):
        emulator.add_workspace("Bücher")

        with in_a_process(PYTHONIOENCODING="ascii") as process:
            output, errors = process.communicate()

        assert (process.returncode, errors) == (0, "")
        assert "'B\\xfccher'" in output

    @pytest.mark.parametrize("arguments", [(), ("-o", "json")], ids=["text", "JSON"])
    def test_a_reader_that_stops_early_changes_nothing(self, in_a_process, arguments):
        with in_a_process(*arguments) as process:
            process.stdout.close()
            errors = process.stderr.read()

        assert (process.wait(), errors) == (0, "")

    def test_without_a_standard_output_there_is_still_an_exit_status(self, doctor, monkeypatch):
        monkeypatch.setattr(sys, "stdout", None)

        assert doctor() == 0
        assert doctor(url=f"http://127.0.0.1:{free_port()}") == 1


class TestArguments:
    def test_an_empty_connection_id_is_one_that_airflow_does_not_know(self, capsys):
        assert main(["doctor", "--conn-id", ""]) == 1

        assert "[FAIL] airflow-connection Airflow did not find" in capsys.readouterr().out

    def test_a_wrong_url_is_a_failed_check(self, doctor, capsys):
        assert doctor("-o", "json", url="ftp://files.example.com") == 1

        first, *others = json.loads(capsys.readouterr().out)["checks"]
        assert (first["name"], first["outcome"]) == ("arguments", "failed")
        assert "not a valid URL" in first["saw"]
        assert {each["saw"] for each in others} == {"Not checked, because arguments failed."}

    def test_what_was_given_is_told_without_the_secret(self, doctor, emulator, capsys):
        doctor()
        first = capsys.readouterr().out.splitlines()[0]
        main(["doctor", "--url", emulator.url])

        given = f"[ ok ] arguments          --url '{emulator.url}'"
        assert first == f"{given}, --client-id '{emulator.client_id}'."
        assert capsys.readouterr().out.startswith(f"{given}, no --client-id.\n")

    def test_a_missing_secret_is_a_failed_check(self, doctor, capsys, monkeypatch):
        monkeypatch.delenv("AIRBYTE_CLIENT_SECRET")
        monkeypatch.setattr("sys.stdin", io.StringIO())

        assert doctor() == 1

        assert "Set the environment variable AIRBYTE_CLIENT_SECRET" in capsys.readouterr().out

    def test_url_and_airflow_connection_exclude_each_other(self, doctor, capsys):
        with pytest.raises(SystemExit) as exit_:
            doctor("--conn-id", "x")

        assert exit_.value.code == 2
        assert "not allowed with argument" in capsys.readouterr().err


class TestWithoutAnAirflowConnection:
    """Its fields, of which all other messages speak, are then arguments and variables."""

    @pytest.fixture
    def messages(self, doctor, capsys):
        """Return the messages of the checks, none of which speaks of an Airflow connection."""

        def run(**options):
            doctor("-o", "json", **options)
            checks = json.loads(capsys.readouterr().out)["checks"]
            found = {each["name"]: f"{each['saw']} {each['change']}" for each in checks}
            # Links are made by Airflow only.
            texts = [text for name, text in found.items() if name != "links"]
            assert not [text for text in texts if "Airflow connection" in text or "Host (" in text]
            return found

        return run

    def test_a_wrong_secret_is_that_of_the_variable(self, messages, monkeypatch):
        monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "not the secret")

        assert messages()["token"].endswith(
            "Check --client-id and AIRBYTE_CLIENT_SECRET against User settings > Applications in "
            "Airbyte."
        )

    def test_a_wrong_path_is_that_of_the_url(self, messages, emulator):
        found = messages(url=f"{emulator.url}/airbyte")

        assert "Check --url, and that no proxy asks for a login." in found["airbyte"]

    def test_a_port_without_tls_is_that_of_the_url(self, messages, emulator):
        found = messages(url=emulator.url.replace("http:", "https:"))

        assert "check the port of --url, and whether --url, or the URL of a proxy" in found["tls"]

    def test_credentials_belong_into_the_others(self, messages):
        assert messages(url="https://me:s3cret-value@airbyte.example.com")["arguments"] == (
            "--url contains credentials. Move them to --client-id and AIRBYTE_CLIENT_SECRET."
        )

    @pytest.mark.parametrize(
        ("proxy", "text"),
        [
            ("socks5://127.0.0.1:1", "Set HTTPS_PROXY to an HTTP proxy, such as"),
            ("http://proxy.invalid:3128", "Check HTTPS_PROXY, and that this machine can reach it."),
        ],
    )
    def test_a_proxy_is_that_of_the_environment(self, messages, monkeypatch, proxy, text):
        monkeypatch.setenv("HTTPS_PROXY", proxy)

        assert text in "\n".join(messages(url="https://airbyte.example.com").values())

    @pytest.mark.parametrize(
        ("message", "text"),
        [
            (
                "Check Host (Airbyte URL), proxy and headers of the Airflow connection: why.",
                "Check --url, HTTPS_PROXY and headers of an Airflow connection: why.",
            ),
            (
                "Check Port and Host (Airbyte URL) of the Airflow connection, and more.",
                "Check --url, and more.",
            ),
            (
                "Set ca_bundle of the Airflow connection to the file.",
                "Set REQUESTS_CA_BUNDLE to the file.",
            ),
            (
                "Set client_cert of the Airflow connection.",
                "Set client_cert of an Airflow connection.",
            ),
        ],
    )
    def test_a_field_without_an_argument_needs_an_airflow_connection(self, message, text):
        options = argparse.Namespace(url="https://airbyte.example.com")

        assert with_arguments(message, options) == text
        assert with_arguments(message, argparse.Namespace(url=None)) == message

    def test_other_commands_speak_of_arguments_too(self, capsys):
        assert main(["export", "--url", "ftp://airbyte", "--workspace", "Analytics"]) == 1

        assert capsys.readouterr().err.startswith("error: --url is not a valid URL: ")


def test_the_secret_is_not_shown(doctor, emulator, capsys):
    emulator.fail_next("GET /workspaces", 500, times=None, body={"message": emulator.client_secret})

    assert doctor("-o", "json") == 1

    assert emulator.client_secret not in capsys.readouterr().out


class TestFeatures:
    @pytest.mark.parametrize("version", [(2, 11), (3, 0), (3, 1), (3, 2)])
    def test_an_older_airflow_lacks_what_came_after_it(self, version):
        assert lacking(version) == [each for each in FEATURES if each.since > version] != []

    def test_the_newest_airflow_lacks_nothing(self):
        assert lacking((3, 3)) == lacking((4, 0)) == []

    def test_the_how_to_explains_each_check(self, doctor, emulator, capsys):
        doctor("-o", "json", "--connection-id", emulator.connection_id)
        names = [each["name"] for each in json.loads(capsys.readouterr().out)["checks"]]

        table = HOW_TO.read_text(encoding="utf-8").partition("## What it checks")[2]
        explained = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
        assert explained == ["airflow-connection", *names, "triggerer", "airflow", "provider"]
        assert names[0] == "arguments"

    def test_the_compatibility_table_has_as_many_for_each_airflow(self):
        page = (REPOSITORY / "docs/compatibility.md").read_text(encoding="utf-8")
        _, start, rest = page.partition("| Feature ")
        header, _, *rows = (start + rest.partition("\n\n")[0]).splitlines()
        versions = [tuple(map(int, each.split("."))) for each in re.findall(r"\d\.\d+", header)]
        lists = [["✓" in cell for cell in row.split("|")[2:-1]] for row in rows]

        assert Counter(versions[each.index(True)] for each in lists if not each[0]) == Counter(
            feature.since for feature in FEATURES
        )

    def test_the_how_to_lists_the_same_features(self):
        rows = "".join(f"| {major}.{minor} | {name} |\n" for (major, minor), name in FEATURES)

        assert f"| Airflow | feature |\n|---|---|\n{rows}\n" in HOW_TO.read_text(encoding="utf-8")


class TestAirflowCommand:
    """What Airflow 3.2 and later read; older ones ignore it."""

    def test_provider_info_names_the_function(self):
        module = get_cli_commands.__module__

        assert get_provider_info()["cli"] == [f"{module}.get_cli_commands"]

    def test_the_command_has_the_arguments_that_its_function_reads(self):
        (group,) = get_cli_commands()
        assert isinstance(group, GroupCommand)
        (doctor,) = group.subcommands

        assert (group.name, doctor.name) == ("airbyte-sme", "doctor")
        assert [argument.flags for argument in doctor.args] == [
            ("--conn-id",),
            ("--connection-id",),
            ("-o", "--output"),
            ("-v", "--verbose"),
        ]

    def test_loading_it_loads_nothing_heavy(self):
        script = (
            "import sys; before = set(sys.modules)\n"
            "import airflow_provider_airbyte_sme.cli.airflow_commands as commands\n"
            "new = set(sys.modules) - before\n"
            "print(*sorted(x for x in new if x.partition('.')[0] not in sys.stdlib_module_names))\n"
            "import airflow.cli.cli_config; before = set(sys.modules)\n"
            "commands.get_cli_commands()\n"
            "print(*sorted(set(sys.modules) - before))\n"
        )
        output = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        ).stdout

        loaded, loaded_by_call = output.splitlines()[-2:]
        package = "airflow_provider_airbyte_sme"
        assert loaded.split() == [package, f"{package}.cli", f"{package}.cli.airflow_commands"]
        assert loaded_by_call == ""
