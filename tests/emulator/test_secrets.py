"""Secrets in configurations: masks, versions, discovers (docs/airbyte-api.md §4.2)."""

from __future__ import annotations

import re

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import caller_of, ok, problem

MASK = "*" * 10
SECRET = {"type": "string", "airbyte_secret": True}
CONFIGURATION = {
    "dsn": "postgres://u:pw@db",
    "secret_name": "prod/db",
    "token_url": "https://sso/token",
    "accounts": [{"name": "a", "token": "t1"}, {"name": "b", "token": "t2"}],
    "authentication": {"method": "pin", "pin": "1234"},
}
SPEC = {
    "type": "object",
    "required": ["dsn"],
    "properties": {
        "dsn": SECRET,
        "secret_name": {"type": "string"},
        "token_url": {"type": "string"},
        "accounts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "token": SECRET},
            },
        },
        "authentication": {
            "type": "object",
            "oneOf": [
                {
                    "required": ["method", "pin"],
                    "properties": {
                        "method": {"const": "pin"},
                        "pin": {**SECRET, "pattern": "^[0-9]+$"},
                    },
                },
                {
                    "required": ["method", "key"],
                    "properties": {"method": {"const": "key"}, "key": SECRET},
                },
            ],
        },
    },
}


@pytest.fixture(params=["source", "destination"])
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def actor_id(emulator, kind):
    definition_id = emulator.add_definition(kind, "Own", spec=SPEC)
    add = emulator.add_source if kind == "source" else emulator.add_destination
    return add(definition_id=definition_id, configuration=CONFIGURATION)


@pytest.fixture
def path(kind, actor_id):
    return f"/{kind}s/{actor_id}"


def coordinates(caller, path):
    """Return the configuration with the coordinates of its secrets."""
    return ok(caller.get(path, includeSecretCoordinates="true"))["configuration"]


def version(coordinate: str) -> int:
    match = re.fullmatch(
        r"secret_coordinate::airbyte_workspace_[-0-9a-f]{36}_secret_[-0-9a-f]{36}_v([0-9]+)",
        coordinate,
    )
    assert match, coordinate
    return int(match[1])


def test_the_specification_alone_says_what_is_secret(caller, path):
    assert ok(caller.get(path))["configuration"] == {
        **CONFIGURATION,
        "dsn": MASK,
        "accounts": [{"name": "a", "token": MASK}, {"name": "b", "token": MASK}],
        "authentication": {"method": "pin", "pin": MASK},
    }


def test_a_connector_whose_specification_has_no_secrets_shows_everything(caller, emulator):
    source_id = emulator.add_source(
        definition_id=emulator.add_definition("source", "Own"), configuration={"password": "p"}
    )

    assert ok(caller.get(f"/sources/{source_id}"))["configuration"] == {"password": "p"}


def test_a_mask_in_a_patch_becomes_the_secret(emulator, caller, path, actor_id):
    shown = ok(caller.get(path))["configuration"]

    ok(caller.patch(path, {"configuration": {"dsn": shown["dsn"]}}))

    assert emulator.secret_of(actor_id, "dsn") == MASK
    assert emulator.secret_of(actor_id, "accounts.1.token") == "t2"
    assert version(coordinates(caller, path)["dsn"]) == 2


def test_a_mask_in_a_put_is_restored_except_below_an_array(emulator, caller, path, actor_id):
    shown = {
        **ok(caller.get(path))["configuration"],
        "authentication": {"method": "key", "key": "k"},
    }
    ok(caller.put(path, {"name": "x", "configuration": shown}))
    again = ok(caller.get(path))["configuration"]
    ok(caller.put(path, {"name": "x", "configuration": again}))

    assert emulator.secret_of(actor_id, "dsn") == CONFIGURATION["dsn"]
    assert emulator.secret_of(actor_id, "authentication.key") == "k"
    assert emulator.secret_of(actor_id, "accounts.0.token") == MASK
    after = coordinates(caller, path)
    assert (version(after["dsn"]), version(after["accounts"][0]["token"])) == (1, 3)


def test_a_mask_that_its_branch_does_not_allow_is_not_restored(emulator, caller, path, actor_id):
    shown = ok(caller.get(path))["configuration"]

    error = problem(caller.put(path, {"name": "x", "configuration": shown}), 422)

    assert "$.authentication.pin: does not match the regex pattern" in error["data"]["message"]
    assert emulator.secret_of(actor_id, "authentication.pin") == "1234"


def test_a_mask_of_a_secret_that_is_not_stored_is_stored(emulator, caller, path, actor_id):
    new = {"dsn": "d", "authentication": {"method": "key", "key": MASK}}

    ok(caller.put(path, {"name": "x", "configuration": new}))

    assert emulator.secret_of(actor_id, "authentication.key") == MASK
    with pytest.raises(KeyError, match=r"has no secret at accounts\.0\.token"):
        emulator.secret_of(actor_id, "accounts.0.token")


def test_each_write_of_a_secret_is_a_new_version_even_if_it_is_equal(caller, path):
    before = coordinates(caller, path)

    ok(caller.patch(path, {"configuration": {"dsn": CONFIGURATION["dsn"]}}))
    after = coordinates(caller, path)

    assert (version(before["dsn"]), version(after["dsn"])) == (1, 2)
    assert after["dsn"][:-1] == before["dsn"][:-1]
    assert {**after, "dsn": ""} == {**before, "dsn": ""}


def test_a_coordinate_that_is_sent_back_keeps_the_secret(emulator, caller, path, actor_id):
    shown = coordinates(caller, path)

    ok(caller.patch(path, {"configuration": {"dsn": shown["dsn"]}}))

    assert coordinates(caller, path) == shown
    assert emulator.secret_of(actor_id, "dsn") == CONFIGURATION["dsn"]


def test_a_reference_to_an_external_secret_is_stored_as_it_is(caller, path):
    reference = "secret_coordinate::vault/prod/dsn"

    patched = ok(caller.patch(path, {"configuration": {"dsn": reference}}))

    assert patched["configuration"]["dsn"] == MASK
    assert coordinates(caller, path)["dsn"] == reference


def test_writing_a_secret_costs_a_discover_and_other_writes_do_not(emulator, caller):
    definition_id = emulator.add_definition("source", "Own", spec=SPEC, streams=["users"])
    source_id = emulator.add_source(definition_id=definition_id, configuration=CONFIGURATION)

    def discover(**query: object) -> int:
        (stream,) = ok(caller.get("/streams", sourceId=source_id, **query))
        assert stream["streamName"] == "users"
        return int(emulator.discovers(source_id))

    assert emulator.discovers(source_id) == 0
    assert (discover(), discover()) == (1, 1)
    ok(caller.patch(f"/sources/{source_id}", {"name": "Renamed"}))
    assert discover() == 1
    ok(caller.patch(f"/sources/{source_id}", {"configuration": {"dsn": CONFIGURATION["dsn"]}}))
    assert (discover(), discover()) == (2, 2)
    assert discover(ignoreCache="true") == 3


def test_a_deleted_source_cannot_be_discovered(emulator, caller):
    caller.delete(f"/sources/{emulator.source_id}")

    error = problem(caller.get("/streams", sourceId=emulator.source_id), 500)

    assert error["data"]["message"].startswith("Something went wrong in the connector.")


def test_versions_and_catalogs_survive_a_restart(tmp_path):
    file = tmp_path / "state.json"
    seed = {
        "definitions": [{"kind": "source", "name": "Own", "id": "own", "spec": SPEC}],
        "sources": [{"name": "s", "definition_id": "own", "configuration": CONFIGURATION}],
    }
    first = Emulator(time="manual", seed=seed, state_file=file)
    path = f"/sources/{first.source_id}"
    ok(caller_of(first).get("/streams", sourceId=first.source_id))
    ok(caller_of(first).patch(path, {"configuration": {"dsn": "new"}}))

    second = Emulator(time="manual", state_file=file)

    assert version(coordinates(caller_of(second), path)["dsn"]) == 2
    assert second.secret_of(first.source_id, "dsn") == "new"
    assert second.discovers(first.source_id) == 1
