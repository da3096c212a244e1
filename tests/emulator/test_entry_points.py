"""The command line, the pytest fixture and the attributes of the package."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from airflow_provider_airbyte_sme.emulator import __getattr__ as package_getattr
from airflow_provider_airbyte_sme.emulator import cli
from tests.emulator.conftest import caller_of, ok, wait_until

MODULE = "airflow_provider_airbyte_sme.emulator"


@contextmanager
def run_command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


class TestCommandLine:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_prints_its_address_and_stops_on_a_signal(self, number):
        with run_command() as (process, ready):
            assert list(ready) == [
                "url",
                "client_id",
                "client_secret",
                "workspace_id",
                "source_id",
                "destination_id",
                "connection_id",
            ]
            assert requests.get(f"{ready['url']}/api/v1/health", timeout=5).ok
            process.send_signal(number)
            _, log = process.communicate(timeout=10)

        assert process.returncode == 0
        assert "GET /api/v1/health 200" in log
        assert ready["client_secret"] not in log

    def test_jobs_in_the_state_file_continue_after_a_kill(self, tmp_path):
        state = str(tmp_path / "state.json")
        options = ("--state-file", state, "--sync-duration", "0.1", "--rows", "7")
        with run_command(*options) as (process, ready):
            token = requests.post(
                f"{ready['url']}/api/v1/applications/token",
                json={"client_id": ready["client_id"], "client_secret": ready["client_secret"]},
                timeout=5,
            ).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            body = {"connectionId": ready["connection_id"], "jobType": "sync"}
            url = f"{ready['url']}/api/public/v1/jobs"
            assert requests.post(url, json=body, headers=headers, timeout=5).ok
            process.kill()

        with run_command(*options) as (_, restarted):
            url = f"{restarted['url']}/api/public/v1/jobs/1"

            def read_job() -> dict[str, Any]:
                job: dict[str, Any] = requests.get(url, headers=headers, timeout=5).json()
                return job

            wait_until(lambda: read_job()["status"] == "succeeded")
            assert read_job()["rowsSynced"] == 7
        assert restarted.keys() == ready.keys()
        assert restarted["client_secret"] == ready["client_secret"]

    def test_a_failed_start_prints_the_reason(self, tmp_path, capsys):
        (tmp_path / "seed.json").write_text("{")

        assert cli.main(["--seed-file", str(tmp_path / "seed.json")]) == 2

        assert cli.main(["--port", "99999"]) == 2
        assert capsys.readouterr().err.count("The emulator cannot start: ") == 2

    def test_every_option_is_in_the_help(self, capsys):
        with pytest.raises(SystemExit):
            cli.main(["--help"])

        output = capsys.readouterr().out
        for option in (
            "--host", "--port", "--time", "--sync-duration", "--rows", "--token-lifetime",
            "--latency", "--threads", "--seed-file", "--state-file", "--auth-mode",
            "--instance-admin", "--airbyte-version", "--airbyte-url",
        ):  # fmt: skip
            assert option in output


class TestFixture:
    def test_it_is_served_and_its_jobs_have_ended_when_first_read(self, airbyte_emulator):
        caller = caller_of(airbyte_emulator)
        ok(caller.sync())

        assert caller.job(1)["status"] == "succeeded"
        assert requests.get(f"{airbyte_emulator.url}/api/v1/health", timeout=5).ok

    @pytest.mark.airbyte_emulator(time="manual", rows=3)
    def test_the_marker_overrides_settings(self, airbyte_emulator):
        job_id = airbyte_emulator.start_sync()
        airbyte_emulator.advance(60)

        assert airbyte_emulator.jobs[job_id].rows == 3

    def test_the_plugin_does_not_import_the_emulator(self):
        code = (
            f"import sys, {MODULE}.pytest_plugin; "
            f"print([m for m in sys.modules if m.startswith(('aiohttp', '{MODULE}.'))])"
        )
        loaded = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )

        assert loaded.stdout.strip() == f"['{MODULE}.pytest_plugin']"

    def test_an_unknown_attribute_raises_attribute_error(self):
        with pytest.raises(AttributeError, match="has no attribute 'Simulator'"):
            package_getattr("Simulator")
