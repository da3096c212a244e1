"""Workspaces, definitions, tags and regions (docs/airbyte-api.md §5.1 to §5.5)."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import (
    ORGANIZATION_ID,
    UNKNOWN_ID,
    error_id_only,
    hateoas_error,
    ok,
    problem,
)


class TestWorkspaces:
    def test_the_requested_organization_is_ignored(self, caller):
        created = ok(caller.post("/workspaces", {"name": "Finance", "organizationId": UNKNOWN_ID}))

        assert created["dataResidency"] == "auto"
        assert set(created["notifications"]) == {
            "failure",
            "success",
            "connectionUpdate",
            "connectionUpdateActionRequired",
            "syncDisabled",
            "syncDisabledWarning",
        }
        assert ok(caller.get(f"/workspaces/{created['workspaceId']}")) == created

    def test_a_new_workspace_sends_e_mail_for_everything_but_successes(self, caller):
        created = ok(caller.post("/workspaces", {"name": "Finance"}))

        by_email = {e: c["email"]["enabled"] for e, c in created["notifications"].items()}
        assert [event for event, enabled in by_email.items() if not enabled] == ["success"]
        assert all(
            channels["webhook"] == {"enabled": False}
            for channels in created["notifications"].values()
        )

    def test_notifications_are_patched_one_by_one(self, emulator, caller):
        path = f"/workspaces/{emulator.workspace_id}"
        webhook = {"enabled": True, "url": "http://127.0.0.1:1/"}

        after = ok(
            caller.patch(path, {"notifications": {"failure": {"webhook": webhook, "email": None}}})
        )

        assert after["notifications"]["failure"] == {"email": {"enabled": True}, "webhook": webhook}
        assert after["notifications"]["success"]["email"]["enabled"] is False
        assert ok(caller.patch(path, {"name": "Renamed"}))["name"] == "Renamed"

    def test_only_a_patch_keeps_the_url_of_a_disabled_webhook(self, caller):
        webhook = {"enabled": False, "url": "http://127.0.0.1:1/"}
        notifications = {"success": {"webhook": webhook}}

        created = ok(caller.post("/workspaces", {"name": "x", "notifications": notifications}))
        path = f"/workspaces/{created['workspaceId']}"
        patched = ok(caller.patch(path, {"notifications": notifications}))

        assert created["notifications"]["success"]["webhook"] == {"enabled": False}
        assert patched["notifications"]["success"]["webhook"] == webhook

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_an_enabled_webhook_requires_a_url(self, emulator, caller, method):
        notifications = {"failure": {"webhook": {"enabled": True}}}
        path = "/workspaces" if method == "POST" else f"/workspaces/{emulator.workspace_id}"

        response = caller.send(method, path, {"name": "x", "notifications": notifications})

        assert problem(response, 400)["type"] == "error:notification/config/missing-url"
        names = [workspace["name"] for workspace in ok(caller.get("/workspaces"))["data"]]
        assert names == ["Analytics"]

    @pytest.mark.parametrize(
        ("role", "status"), [("workspace_source_editor", 200), ("workspace_runner", 403)]
    )
    def test_any_editor_can_change_and_delete_a_workspace(
        self, emulator, caller_with_role, role, status
    ):
        path = f"/workspaces/{emulator.workspace_id}"
        editor = caller_with_role(role)

        assert editor.patch(path, {"name": "x"}).status == status
        assert editor.delete(path).status == (204 if status == 200 else status)

    def test_a_region_requires_an_organization_editor(self, emulator, admin, caller_with_role):
        region = {"regionId": UNKNOWN_ID}

        editor = caller_with_role("workspace_editor")
        problem(editor.patch(f"/workspaces/{emulator.workspace_id}", region), 403)
        elsewhere = ok(admin.post("/regions", {"name": "EU", "organizationId": UNKNOWN_ID}))
        region = {"regionId": elsewhere["regionId"]}
        problem(admin.patch(f"/workspaces/{admin.emulator.workspace_id}", region), 403)

    def test_the_data_residency_is_the_name_of_the_region(self, admin):
        region = ok(admin.post("/regions", {"name": "EU-West", "organizationId": ORGANIZATION_ID}))

        created = ok(admin.post("/workspaces", {"name": "EU", "regionId": region["regionId"]}))

        assert created["dataResidency"] == "eu-west"
        problem(admin.post("/workspaces", {"name": "EU", "regionId": UNKNOWN_ID}), 400)

    def test_delete_also_deletes_sources_and_connections(self, emulator, caller):
        path = f"/workspaces/{emulator.workspace_id}"

        assert caller.delete(path).status == 204

        assert ok(caller.get("/workspaces"))["data"] == []
        assert ok(caller.get("/sources"))["data"] == []
        assert emulator.sources[emulator.source_id].deleted
        assert emulator.connections[emulator.connection_id].status == "deprecated"

    def test_delete_forgets_all_but_twenty_actors_of_each_kind(self, emulator, caller):
        for number in range(24):
            emulator.add_source(f"source {number}")
            emulator.add_destination(f"destination {number}")

        caller.delete(f"/workspaces/{emulator.workspace_id}")

        for actors in (emulator.sources, emulator.destinations):
            assert sum(actor.deleted for actor in actors.values()) == 20

    def test_a_deleted_workspace_is_not_found_and_listed_only_by_its_id(self, emulator, caller):
        path = f"/workspaces/{emulator.workspace_id}"
        caller.delete(path)

        for response in (caller.get(path), caller.delete(path), caller.patch(path, {})):
            assert problem(response, 404)["data"]["resourceType"] == "STANDARD_WORKSPACE"
        query = {"includeDeleted": "true"}
        assert ok(caller.get("/workspaces", **query))["data"] == []
        query["workspaceIds"] = emulator.workspace_id
        assert len(ok(caller.get("/workspaces", **query))["data"]) == 1

    def test_an_unknown_workspace_is_forbidden_for_a_user_and_not_found_for_an_admin(
        self, caller, admin
    ):
        problem(caller.get(f"/workspaces/{UNKNOWN_ID}"), 403)
        assert problem(admin.get(f"/workspaces/{UNKNOWN_ID}"), 404)["data"]["resourceType"] == (
            "STANDARD_WORKSPACE"
        )

    def test_oauth_credentials_are_not_implemented_or_not_licensed(self, emulator, caller):
        credentials = {"actorType": "source", "name": "x", "configuration": {}}
        for scope, status in (
            (f"/workspaces/{emulator.workspace_id}", 501),
            (f"/organizations/{ORGANIZATION_ID}", 403),
        ):
            assert caller.put(f"{scope}/oauthCredentials", credentials).status == status
            assert caller.delete(f"{scope}/oauthCredentials/source/x").status == status
            hateoas_error(caller.delete(f"{scope}/oauthCredentials/table/x"), 400)
            hateoas_error(caller.put(f"{scope}/oauthCredentials", {}), 400)


@pytest.fixture(params=["source", "destination"])
def kind(request) -> str:
    return str(request.param)


class TestDefinitions:
    @pytest.fixture
    def path(self, emulator, kind):
        return f"/workspaces/{emulator.workspace_id}/definitions/{kind}s"

    @pytest.fixture
    def created(self, caller, path):
        body = {"name": "Own", "dockerRepository": "me/own", "dockerImageTag": "1"}
        return ok(caller.post(path, {**body, "documentationUrl": "https://example.com"}))

    def test_each_change_returns_the_definition(self, caller, path, created):
        single = f"{path}/{created['id']}"

        assert ok(caller.get(single)) == created
        updated = ok(caller.put(single, {"name": "Own 2", "dockerImageTag": "2"}))
        assert updated == {**created, "name": "Own 2", "dockerImageTag": "2"}
        assert ok(caller.delete(single)) == updated
        problem(caller.get(single), 404)

    def test_the_list_includes_built_in_definitions_and_is_not_paginated(
        self, caller, path, created, kind
    ):
        body = ok(caller.get(path))

        assert set(body) == {"data"}
        assert body["data"][0] == created
        assert {"airbyte/source-faker", "airbyte/destination-duckdb"} & {
            definition["dockerRepository"] for definition in body["data"]
        }

    def test_built_in_definitions_cannot_be_changed(self, caller, path):
        built_in = ok(caller.get(path))["data"][0]["id"]

        for response in (
            caller.put(f"{path}/{built_in}", {"name": "x", "dockerImageTag": "1"}),
            caller.delete(f"{path}/{built_in}"),
        ):
            assert problem(response, 400)["data"] == {
                "message": "Public definitions cannot be modified."
            }

    def test_delete_also_deletes_the_actors_and_their_connections(
        self, emulator, caller, path, created, kind
    ):
        add = emulator.add_source if kind == "source" else emulator.add_destination
        actor_id = add(workspace_id=emulator.add_workspace(), definition_id=created["id"])
        connection_id = emulator.add_connection(**{f"{kind}_id": actor_id})

        ok(caller.delete(f"{path}/{created['id']}"))

        assert ok(caller.get(f"/{kind}s/{actor_id}"))["configuration"] is None
        assert emulator.connections[connection_id].status == "deprecated"
        assert emulator.connections[emulator.connection_id].status == "active"

    def test_destination_definitions_need_the_editor_of_both_kinds(
        self, caller_with_role, path, kind
    ):
        editor = caller_with_role(f"workspace_{kind}_editor")
        body = {"name": "Own", "dockerRepository": "me/own", "dockerImageTag": "1"}

        assert editor.post(path, body).status == (200 if kind == "source" else 403)

    def test_an_unknown_definition_is_not_found(self, caller, path, kind):
        assert problem(caller.delete(f"{path}/{UNKNOWN_ID}"), 404)["data"]["resourceType"] == (
            f"STANDARD_{kind.upper()}_DEFINITION"
        )
        hateoas_error(caller.get(f"{path}/not-a-uuid"), 400)

    def test_connector_definitions_require_a_workspace(self, emulator, caller, kind):
        query = {"type": kind, "workspaceId": emulator.workspace_id}

        first = ok(caller.get("/connector_definitions", **query))["data"][0]

        assert set(first) == {"id", "name", "connectorDefinitionType", "version"}
        assert first["connectorDefinitionType"] == kind
        error_id_only(caller.get("/connector_definitions", type=kind), 500)
        hateoas_error(caller.get("/connector_definitions"), 400)


MANIFEST = {"version": "6.0.0", "spec": {"connection_specification": {}}}


class TestDeclarativeDefinitions:
    @pytest.fixture
    def path(self, emulator):
        return f"/workspaces/{emulator.workspace_id}/definitions/declarative_sources"

    def test_an_update_creates_the_next_version(self, caller, path):
        created = ok(caller.post(path, {"name": "Own", "manifest": MANIFEST}))
        single = f"{path}/{created['id']}"
        manifest = {**MANIFEST, "version": "6.1.0"}

        updated = ok(caller.put(single, {"manifest": manifest}))

        assert updated == {**created, "manifest": manifest, "version": 2}
        assert ok(caller.get(path))["data"] == [updated] == [ok(caller.get(single))]
        assert ok(caller.delete(single)) == updated
        problem(caller.get(single), 404)

    def test_a_source_can_be_created_from_it(self, emulator, caller, path):
        definition = ok(caller.post(path, {"name": "Own", "manifest": MANIFEST}))
        body = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": {}}

        created = ok(caller.post("/sources", {**body, "definitionId": definition["id"]}))

        assert created["sourceType"] == ""
        ok(caller.delete(f"{path}/{definition['id']}"))
        assert emulator.sources[created["sourceId"]].deleted

    def test_it_is_listed_with_the_other_connectors(self, emulator, caller, path):
        created = ok(caller.post(path, {"name": "Own", "manifest": MANIFEST}))
        query = {"type": "source", "workspaceId": emulator.workspace_id}

        first = ok(caller.get("/connector_definitions", **query))["data"][0]

        assert (first["id"], first["name"]) == (created["id"], "Own")

    def test_a_manifest_without_a_spec_is_an_unexpected_problem(self, caller, path):
        assert problem(caller.post(path, {"name": "Own", "manifest": {}}), 500)["title"] == (
            "unexpected-problem"
        )


class TestTags:
    @pytest.fixture
    def body(self, emulator):
        return {"name": "eu", "color": "00FF00", "workspaceId": emulator.workspace_id}

    @pytest.fixture
    def created(self, caller, body):
        return ok(caller.post("/tags", body))

    def test_tags_can_be_created_read_changed_listed_and_deleted(self, emulator, caller, created):
        path = f"/tags/{created['tagId']}"

        assert ok(caller.get(path)) == created
        changed = ok(caller.patch(path, {"name": "us", "color": "0000ff"}))
        assert changed == {**created, "name": "us", "color": "0000ff"}
        assert ok(caller.get("/tags", workspaceIds=emulator.workspace_id)) == {"data": [changed]}
        assert caller.delete(path).status == 204
        assert problem(caller.get(path), 404)["data"]["resourceType"] == "TAG"
        hateoas_error(caller.get("/tags/not-a-uuid"), 400)

    @pytest.mark.parametrize(
        ("change", "problem_type", "detail"),
        [
            ({"color": "#00ff0"}, "invalid-hex-color", "The hex color provided is invalid."),
            ({"color": "green"}, "invalid-hex-color", "The hex color provided is invalid."),
            ({"name": "x" * 31}, "name-too-long", "The tag name can be maximum 30 characters."),
        ],
    )
    def test_an_invalid_name_or_color_has_its_own_problem(
        self, caller, body, change, problem_type, detail
    ):
        error = problem(caller.post("/tags", {**body, **change}), 400)

        assert (error["type"], error["detail"]) == (f"error:tag-{problem_type}", detail)
        assert error["data"] is None

    def test_a_tag_name_is_unique_in_its_workspace(self, emulator, caller, body, created):
        error = problem(caller.post("/tags", body), 409)
        assert error["type"] == "error:tag-already-exists"
        assert error["detail"] == "A tag with this name already exists in this workspace."
        ok(caller.post("/tags", {**body, "workspaceId": emulator.add_workspace()}))
        ok(caller.post("/tags", {**body, "name": "EU"}))
        other = ok(caller.post("/tags", {**body, "name": "us"}))
        problem(caller.patch(f"/tags/{other['tagId']}", {"name": "eu", "color": "000000"}), 409)

    def test_a_workspace_has_at_most_a_hundred_tags(self, caller, body):
        for number in range(100):
            ok(caller.post("/tags", {**body, "name": f"tag {number}"}))

        error = problem(caller.post("/tags", body), 400)

        assert error["type"] == "error:tag-limit-for-workspace-reached"
        assert error["detail"] == "The workspace has reached the maximum number of tags."

    def test_a_patch_requires_both_fields(self, caller, created):
        hateoas_error(caller.patch(f"/tags/{created['tagId']}", {"name": "us"}), 400)

    def test_an_unknown_workspace_is_forbidden_for_a_user_and_not_found_for_an_admin(
        self, caller, admin, body
    ):
        hateoas_error(caller.post("/tags", {**body, "workspaceId": UNKNOWN_ID}), 403)
        problem(admin.post("/tags", {**body, "workspaceId": UNKNOWN_ID}), 404)


class TestRegions:
    def test_regions_are_a_bare_array_for_organization_administrators(
        self, caller, caller_with_role
    ):
        editor = caller_with_role("organization_editor")
        problem(editor.get("/regions", organizationId=ORGANIZATION_ID), 403)
        (region,) = ok(caller.get("/regions", organizationId=ORGANIZATION_ID))
        assert (region["name"], region["enabled"]) == ("AUTO", True)

    def test_regions_can_be_created_changed_and_deleted_with_their_data_planes(self, admin):
        region = ok(admin.post("/regions", {"name": "EU", "organizationId": ORGANIZATION_ID}))
        path = f"/regions/{region['regionId']}"
        admin.emulator.advance(1)
        changed = ok(admin.patch(path, {"name": "EU-1", "enabled": False}))
        assert changed["updatedAt"] > changed["createdAt"]
        assert ok(admin.get(path)) == changed
        ok(admin.post("/dataplanes", {"name": "one", "regionId": region["regionId"]}))

        assert ok(admin.delete(path)) == changed

        error_id_only(admin.get(path), 500)
        assert ok(admin.get("/dataplanes")) == []

    def test_names_of_regions_and_data_planes_are_unique(self, caller):
        body = {"name": "auto", "organizationId": ORGANIZATION_ID}
        error = problem(caller.post("/regions", body), 409)
        (region,) = ok(caller.get("/regions", organizationId=ORGANIZATION_ID))
        dataplane = {"name": "one", "regionId": region["regionId"]}
        ok(caller.post("/dataplanes", dataplane))

        assert error["type"] == "error:dataplane-group-name-already-exists"
        assert problem(caller.post("/dataplanes", dataplane), 409)["type"] == (
            "error:dataplane-name-already-exists"
        )

    def test_a_data_plane_returns_its_credentials_only_once(self, admin):
        (region,) = ok(admin.get("/regions", organizationId=ORGANIZATION_ID))
        body = {"name": "one", "regionId": region["regionId"], "enabled": False}

        created = ok(admin.post("/dataplanes", body))

        assert set(created) == {"dataplaneId", "regionId", "clientId", "clientSecret"}
        path = f"/dataplanes/{created['dataplaneId']}"
        assert ok(admin.get(path))["enabled"] is False
        assert ok(admin.patch(path, {"enabled": True}))["enabled"] is True
        query = {"regionIds": f"{UNKNOWN_ID},{region['regionId']}"}
        assert len(ok(admin.get("/dataplanes", **query))) == 1
        assert ok(admin.delete(path))["name"] == "one"
        error_id_only(admin.get(path), 500)
        error_id_only(admin.post("/dataplanes", {**body, "regionId": UNKNOWN_ID}), 500)
