"""Workspaces, definitions, tags, groups, regions and people (facts §5)."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import Caller, caller_of, hateoas, ok, only_an_error_id, problem

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ORGANIZATION = "00000000-0000-0000-0000-000000000000"


class TestWorkspaces:
    def test_the_organization_that_is_asked_for_means_nothing(self, caller):
        created = ok(caller.post("/workspaces", {"name": "Finance", "organizationId": UNKNOWN}))

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

    def test_notifications_change_one_by_one(self, emulator, caller):
        path = f"/workspaces/{emulator.workspace_id}"
        webhook = {"enabled": True, "url": "http://127.0.0.1:1/"}

        after = ok(
            caller.patch(path, {"notifications": {"failure": {"webhook": webhook, "email": None}}})
        )

        assert after["notifications"]["failure"] == {
            "email": {"enabled": False},
            "webhook": webhook,
        }
        assert after["notifications"]["syncDisabled"]["email"]["enabled"] is True
        assert ok(caller.patch(path, {"name": "Renamed"}))["name"] == "Renamed"

    def test_a_region_gives_its_name(self, admin):
        region = ok(admin.post("/regions", {"name": "EU-West", "organizationId": ORGANIZATION}))

        created = ok(admin.post("/workspaces", {"name": "EU", "regionId": region["regionId"]}))

        assert created["dataResidency"] == "eu-west"
        problem(admin.post("/workspaces", {"name": "EU", "regionId": UNKNOWN}), 400)

    def test_deleting_takes_everything_along(self, emulator, caller):
        path = f"/workspaces/{emulator.workspace_id}"

        assert caller.delete(path).status == 204

        assert ok(caller.get("/workspaces"))["data"] == []
        assert len(ok(caller.get("/workspaces", includeDeleted="true"))["data"]) == 1
        assert ok(caller.get("/sources"))["data"] == []
        assert emulator.connections[emulator.connection_id].status == "deprecated"

    def test_an_unknown_one_is_forbidden_or_not_found(self, caller, admin):
        problem(caller.get(f"/workspaces/{UNKNOWN}"), 403)
        assert problem(admin.get(f"/workspaces/{UNKNOWN}"), 404)["data"]["resourceType"] == (
            "STANDARD_WORKSPACE"
        )

    def test_credentials_for_oauth_cannot_be_kept(self, emulator, caller):
        credentials = {"actorType": "source", "name": "x", "configuration": {}}
        for scope in (f"/workspaces/{emulator.workspace_id}", f"/organizations/{ORGANIZATION}"):
            assert caller.put(f"{scope}/oauthCredentials", credentials).status == 501
            assert caller.delete(f"{scope}/oauthCredentials/source/x").status == 501
            hateoas(caller.delete(f"{scope}/oauthCredentials/table/x"), 400)
            hateoas(caller.put(f"{scope}/oauthCredentials", {}), 400)


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

    def test_each_change_answers_with_the_definition(self, caller, path, created):
        single = f"{path}/{created['id']}"

        assert ok(caller.get(single)) == created
        updated = ok(caller.put(single, {"name": "Own 2", "dockerImageTag": "2"}))
        assert updated == {**created, "name": "Own 2", "dockerImageTag": "2"}
        assert ok(caller.delete(single)) == updated
        problem(caller.get(single), 404)

    def test_the_list_has_the_built_in_ones_too_and_no_pages(self, caller, path, created, kind):
        body = ok(caller.get(path))

        assert set(body) == {"data"}
        assert body["data"][0] == created
        assert {"airbyte/source-faker", "airbyte/destination-duckdb"} & {
            definition["dockerRepository"] for definition in body["data"]
        }

    def test_built_in_ones_cannot_be_changed(self, caller, path):
        built_in = ok(caller.get(path))["data"][0]["id"]

        for answer in (
            caller.put(f"{path}/{built_in}", {"name": "x", "dockerImageTag": "1"}),
            caller.delete(f"{path}/{built_in}"),
        ):
            assert problem(answer, 400)["data"] == {
                "message": "Public definitions cannot be modified."
            }

    def test_an_unknown_one_is_not_found(self, caller, path, kind):
        assert problem(caller.delete(f"{path}/{UNKNOWN}"), 404)["data"]["resourceType"] == (
            f"STANDARD_{kind.upper()}_DEFINITION"
        )
        hateoas(caller.get(f"{path}/no-uuid"), 400)

    def test_connector_definitions_need_a_workspace(self, emulator, caller, kind):
        query = {"type": kind, "workspaceId": emulator.workspace_id}

        first = ok(caller.get("/connector_definitions", **query))["data"][0]

        assert set(first) == {"id", "name", "connectorDefinitionType", "version"}
        assert first["connectorDefinitionType"] == kind
        only_an_error_id(caller.get("/connector_definitions", type=kind), 500)
        hateoas(caller.get("/connector_definitions"), 400)


MANIFEST = {"version": "6.0.0", "spec": {"connection_specification": {}}}


class TestDeclarativeDefinitions:
    @pytest.fixture
    def path(self, emulator):
        return f"/workspaces/{emulator.workspace_id}/definitions/declarative_sources"

    def test_an_update_is_the_next_version(self, caller, path):
        created = ok(caller.post(path, {"name": "Own", "manifest": MANIFEST}))
        single = f"{path}/{created['id']}"
        manifest = {**MANIFEST, "version": "6.1.0"}

        updated = ok(caller.put(single, {"manifest": manifest}))

        assert updated == {**created, "manifest": manifest, "version": 2}
        assert ok(caller.get(path))["data"] == [updated] == [ok(caller.get(single))]
        assert ok(caller.delete(single)) == updated
        problem(caller.get(single), 404)

    def test_a_source_can_be_made_of_it(self, emulator, caller, path):
        definition = ok(caller.post(path, {"name": "Own", "manifest": MANIFEST}))
        body = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": {}}

        created = ok(caller.post("/sources", {**body, "definitionId": definition["id"]}))

        assert created["sourceType"] == ""

    def test_a_manifest_without_a_spec_is_not_foreseen(self, caller, path):
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

    def test_they_are_created_read_changed_listed_and_deleted(self, emulator, caller, created):
        path = f"/tags/{created['tagId']}"

        assert ok(caller.get(path)) == created
        changed = ok(caller.patch(path, {"name": "us", "color": "0000ff"}))
        assert changed == {**created, "name": "us", "color": "0000ff"}
        assert ok(caller.get("/tags", workspaceIds=emulator.workspace_id)) == {"data": [changed]}
        assert caller.delete(path).status == 204
        assert problem(caller.get(path), 404)["data"]["resourceType"] == "TAG"
        hateoas(caller.get("/tags/no-uuid"), 400)

    @pytest.mark.parametrize(
        ("change", "kind"),
        [
            ({"color": "#00ff0"}, "error:tag-invalid-hex-color"),
            ({"color": "green"}, "error:tag-invalid-hex-color"),
            ({"name": "x" * 31}, "error:tag-name-too-long"),
        ],
    )
    def test_a_bad_name_or_color_is_told_by_type(self, caller, body, change, kind):
        assert problem(caller.post("/tags", {**body, **change}), 400)["type"] == kind

    def test_a_name_is_taken_only_once_in_a_workspace(self, emulator, caller, body, created):
        assert problem(caller.post("/tags", body), 409)["type"] == "error:tag-already-exists"
        ok(caller.post("/tags", {**body, "workspaceId": emulator.add_workspace()}))
        other = ok(caller.post("/tags", {**body, "name": "us"}))
        problem(caller.patch(f"/tags/{other['tagId']}", {"name": "eu", "color": "000000"}), 409)

    def test_a_hundred_are_enough(self, caller, body):
        for number in range(100):
            ok(caller.post("/tags", {**body, "name": f"tag {number}"}))

        assert problem(caller.post("/tags", body), 400)["type"] == (
            "error:tag-limit-for-workspace-reached"
        )

    def test_both_fields_must_be_given(self, caller, created):
        hateoas(caller.patch(f"/tags/{created['tagId']}", {"name": "us"}), 400)

    def test_a_workspace_that_leads_nowhere_is_forbidden(self, caller, admin, body):
        hateoas(caller.post("/tags", {**body, "workspaceId": UNKNOWN}), 403)
        problem(admin.post("/tags", {**body, "workspaceId": UNKNOWN}), 404)


class TestApplications:
    def test_a_new_one_acts_as_its_maker(self, emulator, caller):
        created = ok(caller.post("/applications", {"name": "Second"}))

        assert created["id"] == created["clientId"]
        ok(Caller(emulator, created["clientId"], created["clientSecret"]).get("/workspaces"))
        listed = ok(caller.get("/applications"))["applications"]
        assert [application["name"] for application in listed] == ["Airflow", "Second"]
        assert ok(caller.get(f"/applications/{created['id']}")) == created

    def test_two_are_enough_and_each_has_a_name_of_its_own(self, caller):
        hateoas(caller.post("/applications", {"name": "Airflow"}), 400)
        ok(caller.post("/applications", {"name": "Second"}))
        hateoas(caller.post("/applications", {"name": "Third"}), 400)

    def test_others_are_not_seen(self, caller, as_role):
        stranger = as_role("organization_admin")

        assert problem(caller.get(f"/applications/{stranger.client_id}"), 404)["data"] is None
        problem(caller.delete(f"/applications/{stranger.client_id}"), 404)

    def test_the_built_in_one_has_another_id_each_time_and_stays_alone(self):
        caller = caller_of(Emulator(auth_mode="simple"))
        first, second = (ok(caller.get("/applications"))["applications"][0] for _ in range(2))

        assert first["clientId"] == second["clientId"]
        assert first["id"] != second["id"]
        only_an_error_id(caller.post("/applications", {"name": "x"}), 500)
        only_an_error_id(caller.delete(f"/applications/{first['id']}"), 500)

    def test_a_database_of_applications_has_no_limit(self):
        caller = caller_of(Emulator(auth_mode="generic-oidc"))

        created = [ok(caller.post("/applications", {"name": "Same"})) for _ in range(3)]

        assert all(application["id"] != application["clientId"] for application in created)
        assert ok(caller.delete(f"/applications/{created[0]['id']}")) == created[0]


class TestPermissions:
    @pytest.fixture
    def stranger(self, emulator, as_role):
        caller = as_role("organization_member")
        caller.user_id = ok(caller.get("/permissions"))["data"][0]["userId"]
        return caller

    def test_a_role_can_be_given_changed_and_taken(self, emulator, caller, stranger):
        problem(stranger.get(f"/workspaces/{emulator.workspace_id}"), 403)
        body = {
            "permissionType": "workspace_reader",
            "userId": stranger.user_id,
            "workspaceId": emulator.workspace_id,
        }

        created = ok(caller.post("/permissions", body))

        assert created == {"permissionId": created["permissionId"], **body}
        ok(stranger.get(f"/workspaces/{emulator.workspace_id}"))
        path = f"/permissions/{created['permissionId']}"
        assert ok(caller.get(path)) == created
        changed = ok(caller.patch(path, {"permissionType": "workspace_source_editor"}))
        assert changed["permissionType"] == "workspace_source_editor"
        assert caller.delete(path).status == 204
        problem(stranger.get(f"/workspaces/{emulator.workspace_id}"), 403)
        problem(caller.get(path), 403)

    def test_a_role_in_the_organization(self, caller, stranger):
        body = {
            "permissionType": "organization_reader",
            "userId": stranger.user_id,
            "organizationId": ORGANIZATION,
        }

        created = ok(caller.post("/permissions", body))

        assert created["organizationId"] == ORGANIZATION
        ok(caller.get(f"/permissions/{created['permissionId']}"))
        assert len(ok(stranger.get("/workspaces"))["data"]) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"workspaceId": None},
            {"userId": UNKNOWN},
            {"permissionType": "organization_reader"},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, emulator, caller, stranger, change):
        body = {
            "permissionType": "workspace_reader",
            "userId": stranger.user_id,
            "workspaceId": emulator.workspace_id,
        }

        assert problem(caller.post("/permissions", {**body, **change}), 400)["title"] == (
            "bad-request"
        )

    def test_only_who_may_administer_gives_roles(self, emulator, stranger, admin):
        for scope in ({"workspaceId": emulator.workspace_id}, {"organizationId": ORGANIZATION}):
            body = {"permissionType": "workspace_reader", "userId": stranger.user_id, **scope}
            problem(stranger.post("/permissions", body), 403)
        unknown = {"permissionType": "workspace_reader", "userId": UNKNOWN, "workspaceId": UNKNOWN}
        problem(admin.post("/permissions", unknown), 404)
        problem(admin.get(f"/permissions/{UNKNOWN}"), 404)

    def test_lists_are_of_oneself_or_of_others_in_an_organization(self, emulator, caller, stranger):
        (mine,) = ok(caller.get("/permissions"))["data"]

        assert (mine["scope"], mine["scopeId"]) == ("organization", ORGANIZATION)
        problem(caller.get("/permissions", userId=stranger.user_id), 400)
        query = {"userId": stranger.user_id, "organizationId": ORGANIZATION}
        (theirs,) = ok(caller.get("/permissions", **query))["data"]
        assert theirs["permissionType"] == "organization_member"
        problem(
            stranger.get("/permissions", userId=mine["userId"], organizationId=ORGANIZATION), 403
        )

    def test_a_permission_everywhere_is_not_listed_and_not_shown_to_users(self, emulator, caller):
        admin = Caller(emulator, *emulator.add_application("instance_admin"))

        assert ok(admin.get("/permissions"))["data"] == []

    def test_workspace_roles_of_others_are_found_by_their_organization(
        self, emulator, caller, as_role
    ):
        reader = as_role("workspace_reader")
        user_id = ok(reader.get("/permissions"))["data"][0]["userId"]
        query = {"userId": user_id, "organizationId": ORGANIZATION}

        (found,) = ok(caller.get("/permissions", **query))["data"]

        assert (found["scope"], found["scopeId"]) == ("workspace", emulator.workspace_id)


class TestPeople:
    def test_there_is_one_organization(self, caller, admin):
        for who in (caller, admin):
            (organization,) = ok(who.get("/organizations"))["data"]
            assert set(organization) == {"organizationId", "organizationName", "email"}

    def test_users_can_be_picked_by_id_and_address(self, caller, as_role):
        as_role("workspace_reader")
        first, second = ok(caller.get("/users", organizationId=ORGANIZATION))["data"]

        for query in ({"ids": first["id"]}, {"emails": first["email"]}):
            found = ok(caller.get("/users", organizationId=ORGANIZATION, **query))["data"]
            assert found == [first]
        assert first != second
        problem(caller.get("/users", organizationId=UNKNOWN), 403)
        hateoas(caller.get("/users"), 400)

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/embedded/widget_token"),
            ("POST", "/embedded/scoped_token"),
            ("GET", "/embedded/organizations"),
        ],
    )
    def test_embedded_is_not_licensed(self, caller, method, path):
        assert problem(caller.send(method, path, {}), 403)["type"] == "error:license/entitlement"


class TestGroups:
    @pytest.fixture
    def group(self, caller):
        return ok(caller.post("/groups", {"name": "Data", "organizationId": ORGANIZATION}), 201)

    def test_they_are_created_read_renamed_listed_and_deleted(self, caller, group):
        path = f"/groups/{group['groupId']}"

        assert ok(caller.get(path)) == group == {**group, "memberCount": 0}
        renamed = ok(caller.patch(path, {"name": "Analytics"}))
        assert ok(caller.get("/groups", organizationId=ORGANIZATION)) == {"data": [renamed]}
        assert ok(caller.patch(path, {})) == renamed
        assert caller.delete(path).status == 204
        problem(caller.get(path), 404)

    def test_a_name_is_taken_once(self, caller, group):
        problem(caller.post("/groups", {"name": "Data", "organizationId": ORGANIZATION}), 409)
        other = ok(caller.post("/groups", {"name": "x", "organizationId": ORGANIZATION}), 201)
        problem(caller.patch(f"/groups/{other['groupId']}", {"name": "Data"}), 409)

    def test_pages_have_paths_for_links(self, caller, group):
        ok(caller.post("/groups", {"name": "x", "organizationId": ORGANIZATION}), 201)

        first = ok(caller.get("/groups", organizationId=ORGANIZATION, limit=1))
        second = ok(caller.get("/groups", organizationId=ORGANIZATION, limit=1, offset=1))

        start = f"/v1/groups?organizationId={ORGANIZATION}&limit=1"
        assert (first["next"], "previous" in first) == (f"{start}&offset=1", False)
        assert ("next" in second, second["previous"]) == (False, f"{start}&offset=0")
        problem(caller.get("/groups"), 400)

    def test_members_have_what_the_group_may(self, emulator, caller, as_role, group):
        member = as_role("organization_member")
        user_id = ok(member.get("/permissions"))["data"][0]["userId"]
        path = f"/groups/{group['groupId']}"
        role = {"permissionType": "workspace_reader", "workspaceId": emulator.workspace_id}

        added = ok(caller.post(f"{path}/members", {"userId": user_id}), 201)
        given = ok(caller.post(f"{path}/permissions", role), 201)

        assert ok(caller.get(f"{path}/members"))["data"] == [added]
        assert "next" in ok(caller.get(f"{path}/members", limit=1))
        assert ok(caller.get(f"{path}/permissions"))["data"] == [given]
        ok(member.get(f"/workspaces/{emulator.workspace_id}"))
        problem(caller.post(f"{path}/members", {"userId": user_id}), 409)
        assert caller.delete(f"{path}/permissions/{given['permissionId']}").status == 204
        problem(member.get(f"/workspaces/{emulator.workspace_id}"), 403)
        assert caller.delete(f"{path}/members/{user_id}").status == 204
        assert ok(caller.get(path))["memberCount"] == 0

    def test_deleting_a_group_takes_its_roles(self, caller, group):
        path = f"/groups/{group['groupId']}"
        role = {"permissionType": "organization_reader", "organizationId": ORGANIZATION}
        given = ok(caller.post(f"{path}/permissions", role), 201)
        problem(caller.get(f"/permissions/{given['permissionId']}"), 403)

        caller.delete(path)

        problem(caller.delete(f"{path}/permissions/{given['permissionId']}"), 404)

    def test_what_is_unknown_is_not_found_even_by_users(self, caller, group):
        path = f"/groups/{group['groupId']}"

        problem(caller.get(f"/groups/{UNKNOWN}"), 404)
        problem(caller.post(f"{path}/members", {"userId": UNKNOWN}), 404)
        problem(caller.delete(f"{path}/permissions/{UNKNOWN}"), 404)
        for scope in ({"workspaceId": UNKNOWN}, {"organizationId": UNKNOWN}):
            body = {"permissionType": "workspace_reader", **scope}
            problem(caller.post(f"{path}/permissions", body), 404)
        problem(caller.post(f"{path}/permissions", {"permissionType": "workspace_reader"}), 400)
        role = {"permissionType": "organization_reader", "organizationId": ORGANIZATION}
        ok(caller.post(f"{path}/permissions", role), 201)
        problem(caller.post(f"{path}/permissions", role), 400)

    def test_only_who_administers_the_organization_sees_them(self, as_role, group):
        problem(as_role("organization_editor").get(f"/groups/{group['groupId']}"), 403)


class TestRegions:
    def test_they_are_for_instance_administrators(self, caller, admin):
        problem(caller.get("/regions", organizationId=ORGANIZATION), 403)
        (region,) = ok(admin.get("/regions", organizationId=ORGANIZATION))["data"]
        assert (region["name"], region["enabled"]) == ("AUTO", True)

    def test_they_are_created_changed_and_deleted_with_their_data_planes(self, admin):
        region = ok(admin.post("/regions", {"name": "EU", "organizationId": ORGANIZATION}))
        path = f"/regions/{region['regionId']}"
        admin.emulator.advance(1)
        changed = ok(admin.patch(path, {"name": "EU-1", "enabled": False}))
        assert changed["updatedAt"] > changed["createdAt"]
        assert ok(admin.get(path)) == changed
        ok(admin.post("/dataplanes", {"name": "one", "regionId": region["regionId"]}))

        assert ok(admin.delete(path)) == changed

        problem(admin.get(path), 404)
        assert ok(admin.get("/dataplanes"))["data"] == []

    def test_a_data_plane_shows_its_credentials_once(self, admin):
        (region,) = ok(admin.get("/regions", organizationId=ORGANIZATION))["data"]
        body = {"name": "one", "regionId": region["regionId"], "enabled": False}

        created = ok(admin.post("/dataplanes", body))

        assert set(created) == {"dataplaneId", "regionId", "clientId", "clientSecret"}
        path = f"/dataplanes/{created['dataplaneId']}"
        assert ok(admin.get(path))["enabled"] is False
        assert ok(admin.patch(path, {"enabled": True}))["enabled"] is True
        query = {"regionIds": f"{UNKNOWN},{region['regionId']}"}
        assert len(ok(admin.get("/dataplanes", **query))["data"]) == 1
        assert ok(admin.delete(path))["name"] == "one"
        problem(admin.get(path), 404)
        problem(admin.post("/dataplanes", {**body, "regionId": UNKNOWN}), 404)


class TestRoles:
    """Facts §2.7: what each role may do."""

    @pytest.mark.parametrize(
        ("role", "sync", "clear", "read"),
        [
            ("workspace_reader", 403, 403, 200),
            ("workspace_runner", 200, 403, 200),
            ("workspace_source_editor", 200, 200, 200),
            ("workspace_editor", 200, 200, 200),
            ("organization_member", 403, 403, 403),
            ("organization_runner", 200, 403, 200),
            ("organization_editor", 200, 200, 200),
            ("instance_admin", 200, 200, 200),
        ],
    )
    def test_jobs(self, emulator, as_role, role, sync, clear, read):
        caller = as_role(role)

        assert caller.sync().status == sync
        assert caller.sync(job_type="reset").status == sync
        assert caller.sync(job_type="clear").status == clear
        job_id = emulator.start_sync(emulator.add_connection())
        assert caller.get(f"/jobs/{job_id}").status == read
        assert caller.delete(f"/jobs/{job_id}").status == sync
        reason = {"id": job_id}
        assert caller.post("/api/v1/jobs/get_without_logs", reason).status == read

    def test_a_reader_is_told_in_both_bodies(self, emulator, as_role):
        reader = as_role("workspace_reader")
        body = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": {}}

        assert problem(reader.sync(), 403)["title"] == "forbidden"
        hateoas(reader.post("/sources", body), 403)
        problem(reader.patch(f"/sources/{emulator.source_id}", {"name": "x"}), 403)

    @pytest.mark.parametrize(
        ("role", "source", "destination"),
        [("workspace_source_editor", 200, 403), ("workspace_destination_editor", 403, 200)],
    )
    def test_editors_of_one_side(self, emulator, as_role, role, source, destination):
        caller = as_role(role)

        assert caller.patch(f"/sources/{emulator.source_id}", {}).status == source
        assert caller.patch(f"/destinations/{emulator.destination_id}", {}).status == destination
        assert caller.patch(f"/connections/{emulator.connection_id}", {}).status == 200

    @pytest.mark.parametrize(
        ("role", "status"),
        [("workspace_admin", 403), ("organization_reader", 403), ("organization_editor", 200)],
    )
    def test_creating_workspaces(self, as_role, role, status):
        assert as_role(role).post("/workspaces", {"name": "x"}).status == status

    def test_a_role_ends_at_its_workspace(self, emulator, as_role):
        elsewhere = emulator.add_workspace("Elsewhere")
        caller = as_role("workspace_admin", elsewhere)

        listed = ok(caller.get("/workspaces"))["data"]

        assert [workspace["name"] for workspace in listed] == ["Elsewhere"]
        assert ok(caller.get("/jobs"))["data"] == []
        problem(caller.get("/connections", workspaceIds=emulator.workspace_id), 403)

    def test_a_role_that_is_none_or_nowhere_is_refused(self, emulator):
        with pytest.raises(ValueError, match="role must be one of"):
            emulator.add_application("king")
        with pytest.raises(ValueError, match="there is no 'nowhere'"):
            emulator.add_application("workspace_reader", workspace_id="nowhere")
