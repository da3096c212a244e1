"""Sources and destinations, which mirror each other (facts §4.1)."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import hateoas, ok, problem

MASK = "*" * 10
POSTGRES = {
    "host": "db",
    "port": 5432,
    "database": "shop",
    "username": "airbyte",
    "password": "s3cret",
}
SOURCE = {**POSTGRES, "tunnel_method": {"tunnel_method": "SSH_KEY_AUTH", "ssh_key": "PEM"}}
DESTINATION = {**POSTGRES, "schema": "public"}


@pytest.fixture(params=["source", "destination"])
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def configuration(kind):
    return SOURCE if kind == "source" else DESTINATION


@pytest.fixture
def body(emulator, kind, configuration):
    return {
        "name": "Shop",
        "workspaceId": emulator.workspace_id,
        "configuration": {**configuration, f"{kind}Type": "postgres"},
    }


@pytest.fixture
def created(caller, kind, body):
    return ok(caller.post(f"/{kind}s", body))


def test_creating_answers_with_everything_but_the_secrets(emulator, kind, created, configuration):
    assert created[f"{kind}Type"] == "postgres"
    assert created["workspaceId"] == emulator.workspace_id
    assert created["createdAt"] == int(emulator.now.timestamp())
    assert created["configuration"]["password"] == MASK
    assert f"{kind}Type" not in created["configuration"]
    assert created["configuration"].keys() == configuration.keys()


def test_secrets_are_masked_however_deep(caller, emulator):
    created = ok(
        caller.post(
            "/sources",
            {
                "name": "Shop",
                "workspaceId": emulator.workspace_id,
                "configuration": {**SOURCE, "sourceType": "postgres", "schemas": ["a", "b"]},
            },
        )
    )

    assert created["configuration"]["tunnel_method"] == {
        "tunnel_method": "SSH_KEY_AUTH",
        "ssh_key": MASK,
    }
    assert created["configuration"]["schemas"] == ["a", "b"]


def test_the_definition_beats_the_name(caller, kind, body):
    definition_id = ok(
        caller.get("/connector_definitions", type=kind, workspaceId=body["workspaceId"])
    )["data"][0]["id"]

    created = ok(caller.post(f"/{kind}s", {**body, "definitionId": definition_id}))

    assert created["definitionId"] == definition_id


def test_a_custom_connector_has_an_empty_type(caller, emulator, kind, body):
    definition = ok(
        caller.post(
            f"/workspaces/{emulator.workspace_id}/definitions/{kind}s",
            {"name": "Own", "dockerRepository": "me/own", "dockerImageTag": "1"},
        )
    )
    own = {**body, "definitionId": definition["id"], "configuration": {"anything": [1]}}

    created = ok(caller.post(f"/{kind}s", own))

    assert created[f"{kind}Type"] == ""
    assert created["configuration"] == {"anything": [1]}


def test_a_connector_nobody_knows_is_told_by_its_name(caller, kind, body):
    configuration = {f"{kind}Type": "abacus"}

    answer = problem(caller.post(f"/{kind}s", {**body, "configuration": configuration}), 400)

    assert (answer["title"], answer["data"]) == ("value-not-found", {"value": "abacus"})
    strange = {**body, "configuration": {f"{kind}Type": 5}}
    assert problem(caller.post(f"/{kind}s", strange), 400)["data"] == {"value": "5"}


def test_no_connector_at_all_is_not_understood(caller, kind, body):
    answer = problem(caller.post(f"/{kind}s", {**body, "configuration": {}}), 422)

    assert (answer["title"], answer["data"]) == ("unprocessable-entity", None)


def test_an_unknown_definition_is_not_found(caller, kind, body):
    unknown = "00000000-0000-4000-8000-000000000000"

    answer = problem(caller.post(f"/{kind}s", {**body, "definitionId": unknown}), 404)

    assert answer["data"] == {
        "resourceType": f"STANDARD_{kind.upper()}_DEFINITION",
        "resourceId": unknown,
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"port": "5432"}, "$.port: string found, integer expected"),
        ({"host": None}, "$.host: null found, string expected"),
        ({"host": ["a"]}, "$.host: array found, string expected"),
        ({"host": {"a": 1}}, "$.host: object found, string expected"),
        ({"port": 1.5}, "$.port: number found, integer expected"),
        ({"port": True}, "$.port: boolean found, integer expected"),
    ],
)
def test_a_configuration_that_the_spec_forbids_is_told_why(caller, kind, body, change, complaint):
    configuration = {**body["configuration"], **change}

    answer = problem(caller.post(f"/{kind}s", {**body, "configuration": configuration}), 422)

    assert complaint in answer["data"]["message"]
    assert "\nSchema" not in answer["data"]["message"]


def test_what_the_spec_requires_must_be_there(caller, kind, body):
    del body["configuration"]["host"]

    answer = problem(caller.post(f"/{kind}s", body), 422)

    assert "$: required property 'host' not found" in answer["data"]["message"]


def test_the_same_body_twice_makes_two(caller, kind, body, created):
    again = ok(caller.post(f"/{kind}s", body))

    assert again[f"{kind}Id"] != created[f"{kind}Id"]
    names = [item["name"] for item in ok(caller.get(f"/{kind}s"))["data"]]
    assert names.count("Shop") == 2


@pytest.mark.parametrize("missing", ["name", "configuration"])
def test_a_missing_field_is_the_frameworks_error(caller, kind, body, missing):
    del body[missing]

    assert hateoas(caller.post(f"/{kind}s", body), 400)["path"] == f"/{kind}CreateRequest"


@pytest.mark.parametrize("workspace_id", [None, "no-uuid", "00000000-0000-4000-8000-000000000000"])
def test_a_workspace_that_leads_nowhere_is_forbidden_before_the_body_is_read(
    caller, kind, body, workspace_id
):
    answer = caller.post(f"/{kind}s", {**body, "workspaceId": workspace_id, "name": {}})

    assert hateoas(answer, 403)["message"] == "Forbidden"


def test_an_instance_admin_is_told_that_the_workspace_is_unknown(admin, kind, body):
    unknown = "00000000-0000-4000-8000-000000000000"

    answer = problem(admin.post(f"/{kind}s", {**body, "workspaceId": unknown}), 404)

    assert answer["data"]["resourceType"] == "STANDARD_WORKSPACE"
    hateoas(admin.post(f"/{kind}s", {**body, "workspaceId": "no-uuid"}), 400)
    hateoas(admin.post(f"/{kind}s", {**body, "workspaceId": "x" * 36}), 400)


def test_a_patch_merges_and_keeps_what_is_masked(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"
    change = {"configuration": {"host": "new", "password": MASK}, "workspaceId": "ignored"}

    patched = ok(caller.patch(path, change))

    assert patched["configuration"]["host"] == "new"
    assert patched["configuration"]["database"] == "shop"
    assert patched["name"] == "Shop"
    assert stored(caller, kind, created)["password"] == "s3cret"


def test_a_patch_merges_objects_inside_too(caller, emulator):
    emulator_source = emulator.add_source(connector="postgres", configuration=SOURCE)

    ok(
        caller.patch(
            f"/sources/{emulator_source}", {"configuration": {"tunnel_method": {"port": 22}}}
        )
    )

    tunnel = ok(caller.get(f"/sources/{emulator_source}"))["configuration"]["tunnel_method"]
    assert tunnel == {"tunnel_method": "SSH_KEY_AUTH", "ssh_key": MASK, "port": 22}


def test_a_put_replaces_and_keeps_what_is_masked(caller, kind, created, configuration):
    path = f"/{kind}s/{created[f'{kind}Id']}"
    new = {**configuration, "password": MASK, "host": "new"}
    new.pop("tunnel_method", None)

    put = ok(caller.put(path, {"name": "Renamed", "configuration": new}))

    assert put["name"] == "Renamed"
    assert put["configuration"].keys() == new.keys()
    assert stored(caller, kind, created)["password"] == "s3cret"
    hateoas(caller.put(path, {"name": "Renamed"}), 400)


def test_a_mask_without_a_secret_behind_it_is_stored_as_it_is(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"

    ok(
        caller.patch(
            path, {"configuration": {"ssl_key_password": MASK, "list": [{"api_key": MASK}]}}
        )
    )

    assert stored(caller, kind, created)["ssl_key_password"] == MASK


def test_a_patch_that_the_spec_forbids_changes_nothing(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"

    problem(caller.patch(path, {"name": "x", "configuration": {"port": "x"}}), 422)

    assert ok(caller.get(path)) == created


def test_secret_coordinates_are_shown_when_asked_for_and_can_be_sent_back(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"

    shown = ok(caller.get(path, includeSecretCoordinates="true"))["configuration"]
    ok(caller.patch(path, {"configuration": shown}))

    assert shown["password"].startswith("secret_coordinate::")
    assert stored(caller, kind, created)["password"] == "s3cret"


def test_resources_are_allocated_as_asked(caller, kind, body, created):
    allocation = {"default": {"cpu_limit": "2"}}
    path = f"/{kind}s/{created[f'{kind}Id']}"

    assert "resourceAllocation" not in created
    assert ok(caller.patch(path, {"resourceAllocation": allocation}))["resourceAllocation"] == (
        allocation
    )


def test_deleting_takes_the_connections_along(caller, emulator, kind):
    actor_id = getattr(emulator, f"{kind}_id")
    ok(caller.sync())

    assert caller.delete(f"/{kind}s/{actor_id}").status == 204

    assert ok(caller.get(f"/connections/{emulator.connection_id}"))["status"] == "deprecated"
    assert emulator.jobs[1].status == "cancelled"
    # The row is a tombstone that a look-up by id still finds, emptied.
    assert ok(caller.get(f"/{kind}s/{actor_id}"))["configuration"] == {}
    assert ok(caller.get(f"/{kind}s"))["data"] == []
    assert len(ok(caller.get(f"/{kind}s", includeDeleted="true"))["data"]) == 1


def test_the_links_of_a_list_keep_its_filters(caller, emulator, kind):
    query = {"workspaceIds": emulator.workspace_id, "includeDeleted": "true", "limit": 1}

    body = ok(caller.get(f"/{kind}s", **query))

    assert body["next"].endswith(
        f"/{kind}s?includeDeleted=true&workspaceIds={emulator.workspace_id}&limit=1&offset=1"
    )


def test_an_unknown_id_is_forbidden_to_a_user_and_not_found_by_an_admin(caller, admin, kind):
    unknown = "00000000-0000-4000-8000-000000000000"

    problem(caller.get(f"/{kind}s/{unknown}"), 403)
    problem(caller.delete(f"/{kind}s/no-uuid"), 403)
    assert problem(admin.get(f"/{kind}s/{unknown}"), 404)["data"]["resourceType"] == (
        f"{kind.upper()}_CONNECTION"
    )


def test_oauth_is_not_in_a_self_managed_airbyte(caller, emulator):
    body = {"redirectUrl": "https://x", "workspaceId": emulator.workspace_id}

    answer = caller.post("/sources/initiateOAuth", body)

    assert (answer.status, answer.body) == (501, b"")
    assert caller.get("/oauth/callback").status == 302


def stored(caller, kind, created) -> dict[str, object]:
    """Return the configuration that a sync would get."""
    actors = getattr(caller.emulator, f"{kind}s")
    return dict(actors[created[f"{kind}Id"]].configuration)
