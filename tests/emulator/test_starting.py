"""What an emulator begins with, how it lives on in a file, its command line and its fixture."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from airflow_provider_airbyte_sme.emulator import Emulator, SyncResult, cli
from airflow_provider_airbyte_sme.emulator import __getattr__ as lazily
from tests.emulator.conftest import Caller, caller_of, ok

MODULE = "airflow_provider_airbyte_sme.emulator"


class TestSeed:
    def test_what_is_not_said_is_as_always(self):
        emulator = Emulator(seed={"connections": [{"name": "Mine", "id": "c-1"}]})

        assert emulator.connection_id == "c-1"
        assert emulator.connections["c-1"].name == "Mine"
        assert emulator.sources[emulator.source_id].name == "Sample data"

    def test_a_whole_world_can_be_written_down(self, tmp_path):
        seed = {
            "application": {
                "client_id": "id",
                "client_secret": "secret",
                "role": "workspace_runner",
                "name": "Mine",
            },
            "workspaces": [{"id": "w-1", "name": "One"}, {"id": "w-2", "name": "Two"}],
            "sources": [
                {
                    "id": "s-1",
                    "name": "Shop",
                    "connector": "postgres",
                    "configuration": {"host": "db"},
                    "streams": ["orders", {"name": "returns", "incremental": False}],
                }
            ],
            "destinations": [{"id": "d-1", "name": "Lake", "connector": "s3"}],
            "connections": [
                {"id": "c-1", "name": "Shop to lake", "prefix": "raw_"},
                {"id": "c-2", "name": "Off", "status": "inactive", "streams": []},
            ],
        }
        file = tmp_path / "seed.json"
        file.write_text(json.dumps(seed))

        emulator = Emulator(seed=file)

        caller = Caller(emulator, "id", "secret")
        assert [w["name"] for w in ok(caller.get("/workspaces"))["data"]] == ["One"]
        first, second = ok(caller.get("/connections"))["data"]
        streams = [stream["name"] for stream in first["configurations"]["streams"]]
        assert streams == ["orders", "returns"]
        assert (second["status"], second["configurations"]["streams"]) == ("inactive", [])

    @pytest.mark.parametrize(
        ("seed", "complaint"),
        [
            ({"sauces": []}, "a seed has no sauces"),
            ({"sources": [{"title": "x"}]}, "the seed cannot be read: .*title"),
            ({"sources": [{"name": "x", "connector": "abacus"}]}, "no source connector 'abacus'"),
            (
                {"sources": [{"name": "x", "connector": "file", "workspace_id": "x"}]},
                "no 'x' among",
            ),
            ({"sources": []}, "there is no None among"),
            ({"application": {"role": "king"}}, "role must be one of"),
        ],
    )
    def test_a_mistake_in_it_is_told(self, seed, complaint):
        with pytest.raises(ValueError, match=complaint):
            Emulator(seed=seed)

    @pytest.mark.parametrize("content", ["{", "[]", None])
    def test_a_file_that_cannot_be_read_is_told(self, tmp_path, content):
        file = tmp_path / "seed.json"
        if content is not None:
            file.write_text(content)

        with pytest.raises(ValueError, match=r"seed\.json"):
            Emulator(seed=str(file))

    @pytest.mark.parametrize(
        "settings",
        [
            {"sync_duration": -1},
            {"rows": -1},
            {"token_lifetime": 0},
            {"latency": float("nan")},
            {"threads": 0},
        ],
    )
    def test_a_setting_that_means_nothing_is_told(self, settings):
        (name,) = settings
        with pytest.raises(ValueError, match=f"{name} must be"):
            Emulator(**settings)

    def test_a_version_that_is_none_is_a_new_one(self):
        caller = caller_of(Emulator(time="manual", version="dev"))

        assert ok(caller.sync())["status"] == "pending"


class TestStateFile:
    def test_everything_survives(self, tmp_path):
        file = tmp_path / "state.json"
        first = Emulator(time="manual", state_file=file, sync_duration=60)
        caller = caller_of(first)
        ok(
            caller.post(
                "/tags", {"name": "eu", "color": "0" * 6, "workspaceId": first.workspace_id}
            )
        )
        first.script_job(first.add_connection("Second"), outcome="failed", failure={"message": "x"})
        ok(caller.sync())

        second = Emulator(time="manual", state_file=file, sync_duration=60, start=first.now)

        caller.emulator = second
        assert second.client_secret == first.client_secret
        assert ok(caller.get("/tags"))["data"][0]["name"] == "eu"
        assert caller.job(1)["status"] == "running"
        second.advance(60)
        assert caller.job(1)["status"] == "succeeded"
        other = list(second.connections)[1]
        assert ok(caller.sync(other))["jobId"] == 2
        second.advance(60)
        assert caller.job(2)["status"] == "failed"

    def test_somebody_can_always_log_in(self, tmp_path):
        file = tmp_path / "state.json"
        caller = caller_of(Emulator(time="manual", state_file=file))
        ok(caller.delete(f"/applications/{caller.client_id}"))

        ok(caller_of(Emulator(time="manual", state_file=file)).get("/workspaces"))

    def test_a_reading_writes_nothing(self, tmp_path):
        file = tmp_path / "state.json"
        caller = caller_of(Emulator(time="manual", state_file=file))
        ok(caller.get("/jobs"))
        file.unlink()

        ok(caller.get("/jobs"))

        assert not file.exists()

    def test_what_a_data_plane_was_moving_is_moved_again(self, tmp_path):
        file = tmp_path / "state.json"

        first = Emulator(time="manual", state_file=file)
        first.script_job(statuses=[("running", None)])
        first.start_sync()
        unscripted = file.read_text().replace('"scripted": true', '"scripted": false')
        file.write_text(unscripted)

        moved = Emulator(time="instant", state_file=file, on_sync=lambda context: SyncResult(3, 4))
        until(lambda: moved.jobs[1].is_terminal)
        assert moved.jobs[1].rows == 3

        file.write_text(unscripted)
        by_the_clock = Emulator(time="instant", state_file=file, rows=7)
        assert by_the_clock.jobs[1].rows == 7

    @pytest.mark.parametrize("content", ["{", "{}", '{"signing_key": 1}', "[]"])
    def test_a_file_of_another_kind_is_told(self, tmp_path, content):
        file = tmp_path / "state.json"
        file.write_text(content)

        with pytest.raises(ValueError, match=r"state\.json"):
            Emulator(state_file=file)


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
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
    def test_it_says_where_it_is_and_stops_when_told(self, number):
        with command() as (process, ready):
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

    def test_with_a_state_file_jobs_go_on_after_a_kill(self, tmp_path):
        state = str(tmp_path / "state.json")
        options = ("--state-file", state, "--sync-duration", "0.1", "--rows", "7")
        with command(*options) as (process, ready):
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

        with command(*options) as (_, again):
            url = f"{again['url']}/api/public/v1/jobs/1"

            def job() -> dict[str, Any]:
                found: dict[str, Any] = requests.get(url, headers=headers, timeout=5).json()
                return found

            until(lambda: job()["status"] == "succeeded")
            assert job()["rowsSynced"] == 7
        assert again.keys() == ready.keys()
        assert again["client_secret"] == ready["client_secret"]

    def test_what_cannot_start_says_why(self, tmp_path, capsys):
        (tmp_path / "seed.json").write_text("{")

        assert cli.main(["--seed-file", str(tmp_path / "seed.json")]) == 2

        assert cli.main(["--port", "99999"]) == 2
        assert capsys.readouterr().err.count("The emulator cannot start: ") == 2

    def test_every_option_is_explained(self, capsys):
        with pytest.raises(SystemExit):
            cli.main(["--help"])

        said = capsys.readouterr().out
        for option in (
            "--host", "--port", "--time", "--sync-duration", "--rows", "--token-lifetime",
            "--latency", "--threads", "--seed-file", "--state-file", "--auth-mode",
            "--instance-admin", "--airbyte-version", "--airbyte-url",
        ):  # fmt: skip
            assert option in said


class TestFixture:
    def test_it_is_served_and_its_jobs_are_over_when_first_read(self, airbyte_emulator):
        caller = caller_of(airbyte_emulator)
        ok(caller.sync())

        assert caller.job(1)["status"] == "succeeded"
        assert requests.get(f"{airbyte_emulator.url}/api/v1/health", timeout=5).ok

    @pytest.mark.airbyte_emulator(time="manual", rows=3)
    def test_a_marker_says_otherwise(self, airbyte_emulator):
        job_id = airbyte_emulator.start_sync()
        airbyte_emulator.advance(60)

        assert airbyte_emulator.jobs[job_id].rows == 3

    def test_it_costs_nothing_when_unused(self):
        code = (
            f"import sys, {MODULE}.pytest_plugin; "
            f"print([m for m in sys.modules if m.startswith(('aiohttp', '{MODULE}.'))])"
        )
        loaded = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )

        assert loaded.stdout.strip() == f"['{MODULE}.pytest_plugin']"

    def test_what_the_package_does_not_have_it_says(self):
        with pytest.raises(AttributeError, match="has no attribute 'Simulator'"):
            lazily("Simulator")


def until(condition: Any, timeout: float = 10.0) -> None:
    """Wait for what a thread or a process does by itself."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
