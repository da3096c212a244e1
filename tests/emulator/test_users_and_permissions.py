"""Applications, permissions, users, groups and roles (docs/airbyte-api.md §2.7, §5.4, §5.5)."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import (
    ORGANIZATION_ID,
    UNKNOWN_ID,
    Caller,
    caller_of,
    error_id_only,
    hateoas_error,
    ok,
    problem,
)


class TestApplications:
    def test_a_new_application_acts_as_its_creator(self, emulator, caller):
        created = ok(caller.post("/applications", {"name": "Second"}))

        assert created["id"] == created["clientId"]
        ok(Caller(emulator, created["clientId"], created["clientSecret"]).get("/workspaces"))
        listed = ok(caller.get("/applications"))["applications"]
        assert [application["name"] for application in listed] == ["Airflow", "Second"]
        assert ok(caller.get(f"/applications/{created['id']}")) == created

    def test_a_user_has_at_most_two_applications_with_unique_names(self, caller):
        hateoas_error(caller.post("/applications", {"name": "Airflow"}), 400)
        ok(caller.post("/applications", {"name": "Second"}))
        hateoas_error(caller.post("/applications", {"name": "Third"}), 400)

    def test_applications_of_other_users_are_not_found(self, caller, caller_with_role):
        other_user = caller_with_role("organization_admin")

        assert problem(caller.get(f"/applications/{other_user.client_id}"), 404)["data"] is None
        problem(caller.delete(f"/applications/{other_user.client_id}"), 404)

    def test_the_built_in_application_has_a_new_id_per_call_and_stays_the_only_one(self):
        caller = caller_of(Emulator(auth_mode="simple"))
        first, second = (ok(caller.get("/applications"))["applications"][0] for _ in range(2))

        assert first["clientId"] == second["clientId"]
        assert first["id"] != second["id"]
        error_id_only(caller.post("/applications", {"name": "x"}), 500)
        error_id_only(caller.delete(f"/applications/{first['id']}"), 500)

    def test_applications_in_a_database_are_unlimited(self):
        caller = caller_of(Emulator(auth_mode="generic-oidc"))

        created = [ok(caller.post("/applications", {"name": "Same"})) for _ in range(3)]

        assert all(application["id"] != application["clientId"] for application in created)
        assert ok(caller.delete(f"/applications/{created[0]['id']}")) == created[0]


class TestPermissions:
    @pytest.fixture
    def other_user(self, emulator, caller_with_role):
        caller = caller_with_role("organization_member")
        caller.user_id = ok(caller.get("/permissions"))["data"][0]["userId"]
        return caller

    def test_a_role_can_be_granted_changed_and_revoked(self, emulator, caller, other_user):
        problem(other_user.get(f"/workspaces/{emulator.workspace_id}"), 403)
        body = {
            "permissionType": "workspace_reader",
            "userId": other_user.user_id,
            "workspaceId": emulator.workspace_id,
        }

        created = ok(caller.post("/permissions", body))

        assert created == {"permissionId": created["permissionId"], **body}
        ok(other_user.get(f"/workspaces/{emulator.workspace_id}"))
        path = f"/permissions/{created['permissionId']}"
        assert ok(caller.get(path)) == created
        changed = ok(caller.patch(path, {"permissionType": "workspace_source_editor"}))
        assert changed["permissionType"] == "workspace_source_editor"
        assert caller.delete(path).status == 204
        problem(other_user.get(f"/workspaces/{emulator.workspace_id}"), 403)
        error_id_only(caller.get(path), 500)

    def test_an_organization_role_can_be_granted(self, caller, other_user):
        body = {
            "permissionType": "organization_reader",
            "userId": other_user.user_id,
            "organizationId": ORGANIZATION_ID,
        }

        created = ok(caller.post("/permissions", body))

        assert created["organizationId"] == ORGANIZATION_ID
        ok(caller.get(f"/permissions/{created['permissionId']}"))
        assert len(ok(other_user.get("/workspaces"))["data"]) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"workspaceId": None},
            {"organizationId": ORGANIZATION_ID},
            {"permissionType": "organization_reader"},
        ],
    )
    def test_an_invalid_permission_is_rejected(self, emulator, caller, other_user, change):
        body = {
            "permissionType": "workspace_reader",
            "userId": other_user.user_id,
            "workspaceId": emulator.workspace_id,
        }

        assert problem(caller.post("/permissions", {**body, **change}), 400)["title"] == (
            "bad-request"
        )

    def test_an_equal_permission_is_returned_instead_of_a_new_one(
        self, emulator, caller, other_user
    ):
        body = {
            "permissionType": "WORKSPACE_READER",
            "userId": other_user.user_id,
            "workspaceId": emulator.workspace_id,
        }

        first, second = (ok(caller.post("/permissions", body)) for _ in range(2))

        assert first == second

    def test_an_unknown_user_is_an_unexpected_problem(self, emulator, caller):
        body = {"permissionType": "workspace_reader", "userId": UNKNOWN_ID}

        problem(caller.post("/permissions", {**body, "workspaceId": emulator.workspace_id}), 500)

    def test_a_workspace_role_that_the_organization_role_implies_is_refused(
        self, emulator, caller, caller_with_role
    ):
        editor = caller_with_role("organization_editor")
        user_id = ok(editor.get("/permissions"))["data"][0]["userId"]
        body = {"userId": user_id, "workspaceId": emulator.workspace_id}

        error = problem(
            caller.post("/permissions", {**body, "permissionType": "workspace_runner"}), 500
        )

        assert error["data"]["message"] == (
            f"Permission type workspace_runner would be redundant for user {user_id}. "
            "Preventing creation."
        )
        ok(caller.post("/permissions", {**body, "permissionType": "workspace_admin"}))

    def test_an_organization_role_replaces_the_workspace_roles_that_it_implies(
        self, emulator, caller, other_user
    ):
        body = {"userId": other_user.user_id, "workspaceId": emulator.workspace_id}
        reader = ok(caller.post("/permissions", {**body, "permissionType": "workspace_reader"}))
        admin = ok(caller.post("/permissions", {**body, "permissionType": "workspace_admin"}))
        wide = {"userId": other_user.user_id, "organizationId": ORGANIZATION_ID}

        editor = ok(caller.post("/permissions", {**wide, "permissionType": "organization_editor"}))

        error_id_only(caller.get(f"/permissions/{reader['permissionId']}"), 500)
        ok(caller.get(f"/permissions/{admin['permissionId']}"))
        # Without a role in the organization, the user loses those in its workspaces.
        caller.delete(f"/permissions/{editor['permissionId']}")
        error_id_only(caller.get(f"/permissions/{admin['permissionId']}"), 500)

    def test_the_last_organization_administrator_stays(self, caller):
        (own,) = ok(caller.get("/permissions"))["data"]
        path = f"/permissions/{own['permissionId']}"

        for response in (
            caller.delete(path),
            caller.patch(path, {"permissionType": "organization_reader"}),
        ):
            assert problem(response, 409)["title"] == "state-conflict"

    def test_only_administrators_can_grant_roles(self, emulator, other_user, admin):
        for scope in ({"workspaceId": emulator.workspace_id}, {"organizationId": ORGANIZATION_ID}):
            body = {"permissionType": "workspace_reader", "userId": other_user.user_id, **scope}
            problem(other_user.post("/permissions", body), 403)
        unknown = {
            "permissionType": "workspace_reader",
            "userId": UNKNOWN_ID,
            "workspaceId": UNKNOWN_ID,
        }
        problem(admin.post("/permissions", unknown), 404)
        error_id_only(admin.get(f"/permissions/{UNKNOWN_ID}"), 500)

    def test_listing_another_users_permissions_requires_the_organization(
        self, emulator, caller, other_user
    ):
        (own,) = ok(caller.get("/permissions"))["data"]

        assert (own["scope"], own["scopeId"]) == ("organization", ORGANIZATION_ID)
        problem(caller.get("/permissions", userId=other_user.user_id), 400)
        query = {"userId": other_user.user_id, "organizationId": ORGANIZATION_ID}
        (others,) = ok(caller.get("/permissions", **query))["data"]
        assert others["permissionType"] == "organization_member"
        problem(
            other_user.get("/permissions", userId=own["userId"], organizationId=ORGANIZATION_ID),
            403,
        )

    def test_an_instance_permission_is_listed_without_a_scope(self, admin):
        (own,) = ok(admin.get("/permissions"))["data"]

        assert (own["permissionType"], own["scope"]) == ("instance_admin", "none")
        assert own["scopeId"] == "00000000-0000-0000-0000-000000000000"

    def test_workspace_roles_of_another_user_are_listed_by_organization(
        self, emulator, caller, caller_with_role
    ):
        reader = caller_with_role("workspace_reader")
        user_id = ok(reader.get("/permissions"))["data"][0]["userId"]
        query = {"userId": user_id, "organizationId": ORGANIZATION_ID}

        (found,) = ok(caller.get("/permissions", **query))["data"]

        assert (found["scope"], found["scopeId"]) == ("workspace", emulator.workspace_id)


class TestOrganizationsAndUsers:
    def test_there_is_one_organization(self, caller, admin):
        for client in (caller, admin):
            (organization,) = ok(client.get("/organizations"))["data"]
            assert set(organization) == {"organizationId", "organizationName", "email"}

    def test_users_can_be_filtered_by_id_and_email(self, caller, caller_with_role):
        caller_with_role("workspace_reader")
        first, second = ok(caller.get("/users", organizationId=ORGANIZATION_ID))["data"]

        for query in ({"ids": first["id"]}, {"emails": first["email"]}):
            found = ok(caller.get("/users", organizationId=ORGANIZATION_ID, **query))["data"]
            assert found == [first]
        assert first != second
        problem(caller.get("/users", organizationId=UNKNOWN_ID), 403)
        hateoas_error(caller.get("/users"), 400)

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/embedded/widget_token"),
            ("POST", "/embedded/scoped_token"),
            ("GET", "/embedded/organizations"),
        ],
    )
    def test_embedded_routes_are_not_licensed(self, caller, method, path):
        error = problem(caller.send(method, path, {}), 403)

        assert error["type"] == "error:license/entitlement"
        assert error["detail"] == (
            "The license for this organization is not entitled to use the requested feature."
        )
        assert error["data"] == {"entitlement": "CONFIG_TEMPLATE_ENDPOINTS"}


class TestGroups:
    @pytest.fixture
    def group(self, caller):
        return ok(caller.post("/groups", {"name": "Data", "organizationId": ORGANIZATION_ID}), 201)

    def test_groups_can_be_created_read_renamed_listed_and_deleted(self, caller, group):
        path = f"/groups/{group['groupId']}"

        assert ok(caller.get(path)) == group == {**group, "memberCount": 0}
        renamed = ok(caller.patch(path, {"name": "Analytics"}))
        assert ok(caller.get("/groups", organizationId=ORGANIZATION_ID)) == {"data": [renamed]}
        assert ok(caller.patch(path, {})) == renamed
        assert caller.delete(path).status == 204
        problem(caller.get(path), 404)

    def test_a_group_name_is_unique(self, caller, group):
        same = {"name": "Data", "organizationId": ORGANIZATION_ID}
        error = problem(caller.post("/groups", same), 409)
        assert error["detail"] == "A group with this name already exists in this organization."
        assert error["data"] == {"message": error["detail"]}
        other = ok(caller.post("/groups", {"name": "x", "organizationId": ORGANIZATION_ID}), 201)
        problem(caller.patch(f"/groups/{other['groupId']}", {"name": "Data"}), 409)

    def test_page_links_are_relative(self, caller, group):
        ok(caller.post("/groups", {"name": "x", "organizationId": ORGANIZATION_ID}), 201)

        first = ok(caller.get("/groups", organizationId=ORGANIZATION_ID, limit=1))
        second = ok(caller.get("/groups", organizationId=ORGANIZATION_ID, limit=1, offset=1))

        start = f"/public/v1/groups?organizationId={ORGANIZATION_ID}&limit=1"
        assert (first["next"], "previous" in first) == (f"{start}&offset=1", False)
        assert ("next" in second, second["previous"]) == (False, f"{start}&offset=0")
        problem(caller.get("/groups"), 400)

    def test_members_have_the_permissions_of_the_group(
        self, emulator, caller, caller_with_role, group
    ):
        member = caller_with_role("organization_member")
        user_id = ok(member.get("/permissions"))["data"][0]["userId"]
        path = f"/groups/{group['groupId']}"
        role = {"permissionType": "workspace_reader", "workspaceId": emulator.workspace_id}

        added = ok(caller.post(f"{path}/members", {"userId": user_id}), 201)
        granted = ok(caller.post(f"{path}/permissions", role), 201)

        assert ok(caller.get(f"{path}/members"))["data"] == [added]
        assert "next" in ok(caller.get(f"{path}/members", limit=1))
        assert ok(caller.get(f"{path}/permissions"))["data"] == [granted]
        ok(member.get(f"/workspaces/{emulator.workspace_id}"))
        problem(caller.post(f"{path}/members", {"userId": user_id}), 409)
        assert caller.delete(f"{path}/permissions/{granted['permissionId']}").status == 204
        problem(member.get(f"/workspaces/{emulator.workspace_id}"), 403)
        assert caller.delete(f"{path}/members/{user_id}").status == 204
        assert ok(caller.get(path))["memberCount"] == 0

    def test_deleting_a_group_deletes_its_permissions(self, caller, group):
        path = f"/groups/{group['groupId']}"
        role = {"permissionType": "organization_reader", "organizationId": ORGANIZATION_ID}
        granted = ok(caller.post(f"{path}/permissions", role), 201)
        error_id_only(caller.get(f"/permissions/{granted['permissionId']}"), 500)

        caller.delete(path)

        problem(caller.delete(f"{path}/permissions/{granted['permissionId']}"), 404)

    def test_unknown_ids_are_not_found_even_for_users(self, caller, group):
        path = f"/groups/{group['groupId']}"

        problem(caller.get(f"/groups/{UNKNOWN_ID}"), 404)
        problem(caller.post(f"{path}/members", {"userId": UNKNOWN_ID}), 404)
        problem(caller.delete(f"{path}/permissions/{UNKNOWN_ID}"), 404)
        for scope in ({"workspaceId": UNKNOWN_ID}, {"organizationId": UNKNOWN_ID}):
            body = {"permissionType": "workspace_reader", **scope}
            problem(caller.post(f"{path}/permissions", body), 404)
        problem(caller.post(f"{path}/permissions", {"permissionType": "workspace_reader"}), 400)
        role = {"permissionType": "organization_reader", "organizationId": ORGANIZATION_ID}
        ok(caller.post(f"{path}/permissions", role), 201)
        problem(caller.post(f"{path}/permissions", role), 400)

    def test_only_organization_administrators_can_read_groups(self, caller_with_role, group):
        problem(caller_with_role("organization_editor").get(f"/groups/{group['groupId']}"), 403)


class TestRoles:
    """What each role may do (docs/airbyte-api.md §2.7)."""

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
    def test_what_each_role_may_do_with_jobs(
        self, emulator, caller_with_role, role, sync, clear, read
    ):
        caller = caller_with_role(role)

        assert caller.sync().status == sync
        assert caller.sync(job_type="reset").status == sync
        assert caller.sync(job_type="clear").status == clear
        job_id = emulator.start_sync(emulator.add_connection())
        assert caller.get(f"/jobs/{job_id}").status == read
        assert caller.delete(f"/jobs/{job_id}").status == sync
        body = {"id": job_id}
        assert caller.post("/api/v1/jobs/get_without_logs", body).status == read

    def test_a_reader_gets_both_kinds_of_403_body(self, emulator, caller_with_role):
        reader = caller_with_role("workspace_reader")
        body = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": {}}

        assert problem(reader.sync(), 403)["title"] == "forbidden"
        hateoas_error(reader.post("/sources", body), 403)
        problem(reader.patch(f"/sources/{emulator.source_id}", {"name": "x"}), 403)

    @pytest.mark.parametrize(
        ("role", "source", "destination"),
        [("workspace_source_editor", 200, 403), ("workspace_destination_editor", 403, 200)],
    )
    def test_source_and_destination_editors_can_change_only_their_side(
        self, emulator, caller_with_role, role, source, destination
    ):
        caller = caller_with_role(role)

        assert caller.patch(f"/sources/{emulator.source_id}", {}).status == source
        assert caller.patch(f"/destinations/{emulator.destination_id}", {}).status == destination
        assert caller.patch(f"/connections/{emulator.connection_id}", {}).status == 200

    @pytest.mark.parametrize(
        ("role", "status"),
        [("workspace_admin", 403), ("organization_reader", 403), ("organization_editor", 200)],
    )
    def test_creating_a_workspace_requires_an_organization_editor(
        self, caller_with_role, role, status
    ):
        assert caller_with_role(role).post("/workspaces", {"name": "x"}).status == status

    def test_a_role_is_limited_to_its_workspace(self, emulator, caller_with_role):
        other_workspace_id = emulator.add_workspace("Other")
        caller = caller_with_role("workspace_admin", other_workspace_id)

        listed = ok(caller.get("/workspaces"))["data"]

        assert [workspace["name"] for workspace in listed] == ["Other"]
        assert ok(caller.get("/jobs"))["data"] == []
        problem(caller.get("/connections", workspaceIds=emulator.workspace_id), 403)

    def test_an_unknown_role_or_workspace_is_rejected(self, emulator):
        with pytest.raises(ValueError, match="role must be one of"):
            emulator.add_application("king")
        with pytest.raises(ValueError, match="there is no workspace 'nowhere'"):
            emulator.add_application("workspace_reader", workspace_id="nowhere")
