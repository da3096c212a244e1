"""Seeds, settings and the state file."""

from __future__ import annotations

import json

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator, SyncResult
from tests.emulator.conftest import Caller, caller_of, ok, wait_until


class TestSeed:
    def test_omitted_parts_get_defaults(self):
        emulator = Emulator(seed={"connections": [{"name": "Mine", "id": "c-1"}]})

        assert emulator.connection_id == "c-1"
        assert emulator.connections["c-1"].name == "Mine"
        assert emulator.sources[emulator.source_id].name == "Sample data"

    def test_a_seed_file_can_define_everything(self, tmp_path):
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
        ("seed", "message"),
        [
            ({"sauces": []}, "unknown key in the seed: sauces"),
            ({"sources": [{"title": "x"}]}, "invalid entry in the seed: .*title"),
            ({"sources": [{"name": "x", "connector": "abacus"}]}, "no source connector 'abacus'"),
            (
                {"sources": [{"name": "x", "connector": "file", "workspace_id": "x"}]},
                "there is no workspace 'x'",
            ),
            ({"sources": []}, "there is no source: add one first"),
            ({"application": {"role": "king"}}, "role must be one of"),
        ],
    )
    def test_an_invalid_seed_is_rejected_with_the_reason(self, seed, message):
        with pytest.raises(ValueError, match=message):
            Emulator(seed=seed)

    @pytest.mark.parametrize("content", ["{", "[]", None])
    def test_an_unreadable_seed_file_is_named(self, tmp_path, content):
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
    def test_an_invalid_setting_is_rejected(self, settings):
        (name,) = settings
        with pytest.raises(ValueError, match=f"{name} must be"):
            Emulator(**settings)

    def test_a_version_without_numbers_counts_as_new(self):
        caller = caller_of(Emulator(time="manual", version="dev"))

        assert ok(caller.sync())["status"] == "pending"


class TestStateFile:
    def test_everything_survives_a_restart(self, tmp_path):
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

    def test_a_deleted_application_is_replaced_on_restart(self, tmp_path):
        file = tmp_path / "state.json"
        caller = caller_of(Emulator(time="manual", state_file=file))
        ok(caller.delete(f"/applications/{caller.client_id}"))

        replaced = Emulator(time="manual", state_file=file)
        ok(caller_of(replaced).get("/workspaces"))
        assert Emulator(time="manual", state_file=file).client_id == replaced.client_id

    def test_reads_do_not_write_the_file(self, tmp_path):
        file = tmp_path / "state.json"
        caller = caller_of(Emulator(time="manual", state_file=file))
        ok(caller.get("/jobs"))
        file.unlink()

        ok(caller.get("/jobs"))

        assert not file.exists()

    def test_an_interrupted_sync_of_the_data_plane_runs_again(self, tmp_path):
        file = tmp_path / "state.json"

        first = Emulator(time="manual", state_file=file)
        first.script_job(statuses=[("running", None)])
        first.start_sync()
        interrupted = file.read_text().replace('"scripted": true', '"scripted": false')
        file.write_text(interrupted)

        emulator = Emulator(
            time="instant", state_file=file, on_sync=lambda context: SyncResult(3, 4)
        )
        wait_until(lambda: emulator.jobs[1].is_terminal)
        assert emulator.jobs[1].rows == 3

        file.write_text(interrupted)
        without_on_sync = Emulator(time="instant", state_file=file, rows=7)
        assert without_on_sync.jobs[1].rows == 7

    @pytest.mark.parametrize("content", ["{", "{}", '{"signing_key": 1}', "[]"])
    def test_an_invalid_state_file_is_named(self, tmp_path, content):
        file = tmp_path / "state.json"
        file.write_text(content)

        with pytest.raises(ValueError, match=r"state\.json"):
            Emulator(state_file=file)
