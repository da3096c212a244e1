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
TUNNEL = {
    "tunnel_method": "SSH_KEY_AUTH",
    "tunnel_host": "bastion",
    "tunnel_port": 22,
    "tunnel_user": "airbyte",
    "ssh_key": "PEM",
}
SOURCE = {**POSTGRES, "tunnel_method": TUNNEL}
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

    assert created["configuration"]["tunnel_method"] == {**TUNNEL, "ssh_key": MASK}
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


def test_the_connector_type_is_searched_in_nested_objects_too(caller, emulator, kind):
    nested = {"a": [{"b": {f"{kind}Type": "e2e-test"}}]}
    body = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": nested}

    created = ok(caller.post(f"/{kind}s", body))

    assert created[f"{kind}Type"] == "e2e-test"
    # Only at the top level it is removed.
    assert created["configuration"] == nested


def test_a_connector_without_a_name_has_an_empty_type(caller, emulator):
    configuration = {"test_destination": {"test_destination_type": "SILENT"}}
    body = {"name": "Null", "workspaceId": emulator.workspace_id, "configuration": configuration}
    dev_null = "a7bcc9d8-13b3-4e49-b80d-d020b90045e3"

    created = ok(caller.post("/destinations", {**body, "definitionId": dev_null}))

    assert created["destinationType"] == ""
    named = {**configuration, "destinationType": "dev-null"}
    problem(caller.post("/destinations", {**body, "configuration": named}), 400)


def test_an_enterprise_connector_requires_a_licence(caller, body, kind):
    definition_id = {
        "source": "196a42fc-39f2-473f-88ff-d68b2ea702e9",
        "destination": "c0b24000-d34d-b33f-fea7-6b96dc0e5f0d",
    }[kind]

    error = problem(caller.post(f"/{kind}s", {**body, "definitionId": definition_id}), 403)

    assert error["type"] == "error:license/entitlement"
    assert error["data"] == {
        "entitlement": f"{kind.upper()}_CONNECTOR",
        "resourceId": definition_id,
    }


def test_only_a_patch_of_a_destination_refuses_keys_of_the_oauth_input(caller, emulator, kind):
    credentials = {"client_id": "i", "client_secret": "s", "refresh_token": "t"}
    if kind == "source":
        credentials["auth_type"] = "Client"
    configuration = {"spreadsheet_id": "s", "credentials": credentials}
    body = {"name": "Sheet", "workspaceId": emulator.workspace_id}
    typed = {**configuration, f"{kind}Type": "google-sheets"}
    created = ok(caller.post(f"/{kind}s", {**body, "configuration": typed}))
    path = f"/{kind}s/{created[f'{kind}Id']}"
    ok(caller.put(path, {"name": "Sheet", "configuration": configuration}))
    change = {"configuration": {"credentials": {"client_id": "j"}}}

    response = caller.patch(path, change)

    if kind == "source":
        ok(response)
    else:
        message = problem(response, 500)["data"]["message"]
        assert message.startswith("Cannot set key 'client_id', please create an OAuth credentials")


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 70_000}, "$.port: must have a maximum value of 65536"),
        ({"schemas": ["a", 1]}, "$.schemas[1]: integer found, string expected"),
        ({"ssl_mode": {"mode": "perhaps"}}, "$.ssl_mode.mode: must be the constant value"),
        ({"ssl_mode": {"mode": "verify-ca"}}, "$.ssl_mode: required property 'ca_certificate'"),
        ({"tunnel_method": {}}, "$.tunnel_method: must be valid to one and only one schema, but 0"),
        (
            {"replication_method": {"method": "CDC", "replication_slot": "s"}},
            "$.replication_method: required property 'publication' not found",
        ),
    ],
)
def test_the_whole_schema_of_a_connector_is_checked(caller, emulator, change, message):
    configuration = {**POSTGRES, "sourceType": "postgres", **change}
    body = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": configuration}

    error = problem(caller.post("/sources", body), 422)

    assert message in error["data"]["message"]


def test_each_missing_required_property_is_named_once(caller, kind, body):
    del body["configuration"]["host"], body["configuration"]["port"]

    message = problem(caller.post(f"/{kind}s", body), 422)["data"]["message"]

    for name in ("host", "port"):
        assert message.count(f"$: required property '{name}' not found") == 1


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


def test_patch_merges_objects_replaces_arrays_and_keeps_the_rest(caller, emulator):
    source_id = emulator.add_source(
        connector="postgres", configuration={**SOURCE, "schemas": ["a", "b"]}
    )
    change = {"host": "new", "schemas": ["c"], "tunnel_method": {"tunnel_port": 23}}

    patched = ok(caller.patch(f"/sources/{source_id}", {"configuration": change}))

    assert patched["configuration"] == {
        **POSTGRES,
        "host": "new",
        "password": MASK,
        "schemas": ["c"],
        "tunnel_method": {**TUNNEL, "tunnel_port": 23, "ssh_key": MASK},
    }


@pytest.mark.parametrize("value", [None, "NO_TUNNEL", 5])
def test_patch_ignores_a_scalar_where_an_object_is_stored(caller, emulator, value):
    source_id = emulator.add_source(connector="postgres", configuration=SOURCE)

    patched = ok(caller.patch(f"/sources/{source_id}", {"configuration": {"tunnel_method": value}}))

    assert patched["configuration"]["tunnel_method"] == {**TUNNEL, "ssh_key": MASK}


def test_patch_of_another_branch_leaves_keys_that_violate_the_spec(caller, emulator):
    source_id = emulator.add_source(connector="postgres", configuration=SOURCE)
    other = {"tunnel_method": "SSH_PASSWORD_AUTH", "tunnel_user_password": "pw"}

    error = problem(
        caller.patch(f"/sources/{source_id}", {"configuration": {"tunnel_method": other}}), 422
    )

    assert "property 'ssh_key' is not defined in the schema" in error["data"]["message"]
    tunnel = {name: value for name, value in {**TUNNEL, **other}.items() if name != "ssh_key"}
    whole = {**POSTGRES, "tunnel_method": tunnel}
    put = ok(caller.put(f"/sources/{source_id}", {"name": "x", "configuration": whole}))
    assert put["configuration"]["tunnel_method"]["tunnel_user_password"] == MASK


def test_put_replaces_and_keeps_masked_secrets(caller, kind, created, configuration):
    path = f"/{kind}s/{created[f'{kind}Id']}"
    new = {**configuration, "password": MASK, "host": "new"}
    new.pop("tunnel_method", None)

    put = ok(caller.put(path, {"name": "Renamed", "configuration": new}))

    assert put["name"] == "Renamed"
    assert put["configuration"].keys() == new.keys()
    assert stored_configuration(caller, kind, created)["password"] == "s3cret"
    hateoas_error(caller.put(path, {"name": "Renamed"}), 400)


def test_a_patch_that_violates_the_spec_changes_nothing(caller, kind, created):
    path = f"/{kind}s/{created[f'{kind}Id']}"

    problem(caller.patch(path, {"name": "x", "configuration": {"port": "x"}}), 422)

    assert ok(caller.get(path)) == created


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_write_without_a_resource_allocation_clears_it(
    caller, kind, body, created, configuration, method
):
    allocation = {"default": {"cpu_limit": "2"}}
    path = f"/{kind}s/{created[f'{kind}Id']}"
    change = {"name": "x", "configuration": configuration}

    set_ = ok(caller.send(method, path, {**change, "resourceAllocation": allocation}))
    cleared = ok(caller.send(method, path, change))

    assert "resourceAllocation" not in created
    assert set_["resourceAllocation"] == allocation
    assert "resourceAllocation" not in cleared


def test_delete_also_deletes_the_connections(caller, emulator, kind):
    actor_id = getattr(emulator, f"{kind}_id")
    ok(caller.sync())

    assert caller.delete(f"/{kind}s/{actor_id}").status == 204

    assert ok(caller.get(f"/connections/{emulator.connection_id}"))["status"] == "deprecated"
    assert emulator.jobs[1].status == "cancelled"
    # A deleted row can still be read by id, without its configuration.
    assert ok(caller.get(f"/{kind}s/{actor_id}"))["configuration"] is None
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


def test_oauth_in_an_unknown_workspace_is_not_found_for_an_instance_admin(admin):
    body = {"redirectUrl": "https://x", "workspaceId": UNKNOWN_ID}

    error = problem(admin.post("/sources/initiateOAuth", body), 404)

    assert error["data"]["resourceType"] == "STANDARD_WORKSPACE"


def stored_configuration(caller, kind, created) -> dict[str, object]:
    """Return the configuration that a sync would receive."""
    actors = getattr(caller.emulator, f"{kind}s")
    return dict(actors[created[f"{kind}Id"]].configuration)
