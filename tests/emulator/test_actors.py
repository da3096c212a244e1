"""Sources and destinations, which mirror each other (docs/airbyte-api.md §4.2)."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import UNKNOWN_ID, hateoas_error, ok, problem

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


def test_create_returns_the_configuration_with_masked_secrets(
    emulator, kind, created, configuration
):
    assert created[f"{kind}Type"] == "postgres"
    assert created["workspaceId"] == emulator.workspace_id
    assert created["createdAt"] == int(emulator.now.timestamp())
    assert created["configuration"]["password"] == MASK
    assert f"{kind}Type" not in created["configuration"]
    assert created["configuration"].keys() == configuration.keys()


def test_nested_secrets_are_masked(caller, emulator):
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


def test_the_definition_id_takes_precedence_over_the_type(caller, kind, body):
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


def test_an_unknown_connector_type_is_rejected_by_name(caller, kind, body):
    configuration = {f"{kind}Type": "abacus"}

    error = problem(caller.post(f"/{kind}s", {**body, "configuration": configuration}), 400)

    assert (error["title"], error["data"]) == ("value-not-found", {"value": "abacus"})
    number = {**body, "configuration": {f"{kind}Type": 5}}
    assert problem(caller.post(f"/{kind}s", number), 400)["data"] == {"value": "5"}


def test_a_missing_connector_type_is_rejected(caller, kind, body):
    error = problem(caller.post(f"/{kind}s", {**body, "configuration": {}}), 422)

    assert (error["title"], error["data"]) == ("unprocessable-entity", None)


def test_an_unknown_definition_is_not_found(caller, kind, body):
    error = problem(caller.post(f"/{kind}s", {**body, "definitionId": UNKNOWN_ID}), 404)

    assert error["data"] == {
        "resourceType": f"STANDARD_{kind.upper()}_DEFINITION",
        "resourceId": UNKNOWN_ID,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": "5432"}, "$.port: string found, integer expected"),
        ({"host": None}, "$.host: null found, string expected"),
        ({"host": ["a"]}, "$.host: array found, string expected"),
        ({"host": {"a": 1}}, "$.host: object found, string expected"),
        ({"port": 1.5}, "$.port: number found, integer expected"),
        ({"port": True}, "$.port: boolean found, integer expected"),
    ],
)
def test_a_configuration_that_violates_the_spec_is_rejected(caller, kind, body, change, message):
    configuration = {**body["configuration"], **change}

    error = problem(caller.post(f"/{kind}s", {**body, "configuration": configuration}), 422)

    assert message in error["data"]["message"]
    assert "\nSchema" not in error["data"]["message"]


def test_a_missing_required_property_is_rejected(caller, kind, body):
    del body["configuration"]["host"]

    error = problem(caller.post(f"/{kind}s", body), 422)

    assert "$: required property 'host' not found" in error["data"]["message"]


def test_the_same_body_sent_twice_creates_two(caller, kind, body, created):
    again = ok(caller.post(f"/{kind}s", body))

    assert again[f"{kind}Id"] != created[f"{kind}Id"]
    names = [item["name"] for item in ok(caller.get(f"/{kind}s"))["data"]]
    assert names.count("Shop") == 2


@pytest.mark.parametrize("missing", ["name", "configuration"])
def test_a_missing_field_is_a_framework_error(caller, kind, body, missing):
    del body[missing]

    assert hateoas_error(caller.post(f"/{kind}s", body), 400)["path"] == f"/{kind}CreateRequest"


@pytest.mark.parametrize("workspace_id", [None, "not-a-uuid", UNKNOWN_ID])
def test_an_unknown_workspace_is_forbidden_before_the_body_is_read(
    caller, kind, body, workspace_id
):
    response = caller.post(f"/{kind}s", {**body, "workspaceId": workspace_id, "name": {}})

    assert hateoas_error(response, 403)["message"] == "Forbidden"


def test_an_unknown_workspace_is_not_found_for_an_instance_admin(admin, kind, body):
    error = problem(admin.post(f"/{kind}s", {**body, "workspaceId": UNKNOWN_ID}), 404)

    assert error["data"]["resourceType"] == "STANDARD_WORKSPACE"
    hateoas_error(admin.post(f"/{kind}s", {**body, "workspaceId": "not-a-uuid"}), 400)
    hateoas_error(admin.post(f"/{kind}s", {**body, "workspaceId": "x" * 36}), 400)


def test_patch_merges_and_keeps_masked_secrets(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"
    change = {"configuration": {"host": "new", "password": MASK}, "workspaceId": "ignored"}

    patched = ok(caller.patch(path, change))

    assert patched["configuration"]["host"] == "new"
    assert patched["configuration"]["database"] == "shop"
    assert patched["name"] == "Shop"
    assert stored_configuration(caller, kind, created)["password"] == "s3cret"


def test_patch_merges_nested_objects(caller, emulator):
    source_id = emulator.add_source(connector="postgres", configuration=SOURCE)

    ok(caller.patch(f"/sources/{source_id}", {"configuration": {"tunnel_method": {"port": 22}}}))

    tunnel = ok(caller.get(f"/sources/{source_id}"))["configuration"]["tunnel_method"]
    assert tunnel == {"tunnel_method": "SSH_KEY_AUTH", "ssh_key": MASK, "port": 22}


def test_put_replaces_and_keeps_masked_secrets(caller, kind, created, configuration):
    path = f"/{kind}s/{created[f'{kind}Id']}"
    new = {**configuration, "password": MASK, "host": "new"}
    new.pop("tunnel_method", None)

    put = ok(caller.put(path, {"name": "Renamed", "configuration": new}))

    assert put["name"] == "Renamed"
    assert put["configuration"].keys() == new.keys()
    assert stored_configuration(caller, kind, created)["password"] == "s3cret"
    hateoas_error(caller.put(path, {"name": "Renamed"}), 400)


def test_a_mask_without_a_stored_secret_is_stored_unchanged(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"

    ok(
        caller.patch(
            path, {"configuration": {"ssl_key_password": MASK, "list": [{"api_key": MASK}]}}
        )
    )

    assert stored_configuration(caller, kind, created)["ssl_key_password"] == MASK


def test_a_patch_that_violates_the_spec_changes_nothing(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"

    problem(caller.patch(path, {"name": "x", "configuration": {"port": "x"}}), 422)

    assert ok(caller.get(path)) == created


def test_secret_coordinates_are_returned_on_request_and_accepted_back(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"

    shown = ok(caller.get(path, includeSecretCoordinates="true"))["configuration"]
    ok(caller.patch(path, {"configuration": shown}))

    assert shown["password"].startswith("secret_coordinate::")
    assert stored_configuration(caller, kind, created)["password"] == "s3cret"


def test_the_resource_allocation_can_be_set(caller, kind, body, created):
    allocation = {"default": {"cpu_limit": "2"}}
    path = f"/{kind}s/{created[f'{kind}Id']}"

    assert "resourceAllocation" not in created
    assert ok(caller.patch(path, {"resourceAllocation": allocation}))["resourceAllocation"] == (
        allocation
    )


def test_delete_also_deletes_the_connections(caller, emulator, kind):
    actor_id = getattr(emulator, f"{kind}_id")
    ok(caller.sync())

    assert caller.delete(f"/{kind}s/{actor_id}").status == 204

    assert ok(caller.get(f"/connections/{emulator.connection_id}"))["status"] == "deprecated"
    assert emulator.jobs[1].status == "cancelled"
    # A deleted row can still be read by id, without its configuration.
    assert ok(caller.get(f"/{kind}s/{actor_id}"))["configuration"] == {}
    assert ok(caller.get(f"/{kind}s"))["data"] == []
    assert len(ok(caller.get(f"/{kind}s", includeDeleted="true"))["data"]) == 1


def test_page_links_keep_the_filters(caller, emulator, kind):
    query = {"workspaceIds": emulator.workspace_id, "includeDeleted": "true", "limit": 1}

    body = ok(caller.get(f"/{kind}s", **query))

    assert body["next"].endswith(
        f"/{kind}s?includeDeleted=true&workspaceIds={emulator.workspace_id}&limit=1&offset=1"
    )


def test_an_unknown_id_is_forbidden_for_a_user_and_not_found_for_an_admin(caller, admin, kind):
    problem(caller.get(f"/{kind}s/{UNKNOWN_ID}"), 403)
    problem(caller.delete(f"/{kind}s/not-a-uuid"), 403)
    assert problem(admin.get(f"/{kind}s/{UNKNOWN_ID}"), 404)["data"]["resourceType"] == (
        f"{kind.upper()}_CONNECTION"
    )


def test_oauth_is_not_implemented_in_self_managed_airbyte(caller, emulator):
    body = {"redirectUrl": "https://x", "workspaceId": emulator.workspace_id}

    response = caller.post("/sources/initiateOAuth", body)

    assert (response.status, response.body) == (501, b"")
    assert caller.get("/oauth/callback").status == 302


def stored_configuration(caller, kind, created) -> dict[str, object]:
    """Return the configuration that a sync would receive."""
    actors = getattr(caller.emulator, f"{kind}s")
    return dict(actors[created[f"{kind}Id"]].configuration)
