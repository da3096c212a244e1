"""Users, permissions, organizations and workspaces of the config API (docs/airbyte-api.md §3.7)."""

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

ROUTES_OF_A_USER = {
    "users/get_by_auth_id": "authUserId",
    "permissions/list_by_user": "userId",
    "organizations/list_by_user_id": "userId",
    "users/update": "userId",
}


def post(caller: Caller, path: str, **body: object):
    return caller.post(f"/api/v1/{path}", body)


def own_id(caller: Caller) -> str:
    """Return the caller's user id, which everybody sees in their own permissions."""
    own: str = ok(caller.get("/permissions"))["data"][0]["userId"]
    return own


def test_a_user_reads_and_changes_their_own_profile(caller):
    user_id = own_id(caller)
    before = ok(post(caller, "users/get_by_auth_id", authUserId=user_id))
    assert set(before) == {"userId", "name", "email", "metadata"}

    changed = ok(post(caller, "users/update", userId=user_id, name="Ada", news=True, status=None))

    assert changed == {**before, "name": "Ada", "news": True}
    assert ok(post(caller, "users/get_by_auth_id", authUserId=user_id)) == changed


def test_an_update_that_changes_nothing_is_an_error_of_the_server(caller):
    error_id_only(post(caller, "users/update", userId=own_id(caller)), 500)


def test_a_profile_survives_a_restart(tmp_path):
    state = tmp_path / "state.json"
    first = caller_of(Emulator(state_file=state))
    user_id = own_id(first)
    ok(post(first, "users/update", userId=user_id, companyName="Acme"))

    second = caller_of(Emulator(state_file=state))

    assert ok(post(second, "users/get_by_auth_id", authUserId=user_id))["companyName"] == "Acme"


@pytest.mark.parametrize(("path", "field"), ROUTES_OF_A_USER.items())
def test_other_users_are_forbidden_and_unknown_ones_not_found_for_an_admin(
    caller, admin, caller_with_role, path, field
):
    other = own_id(caller_with_role("organization_admin"))

    hateoas_error(post(caller, path, **{field: other}), 403)
    hateoas_error(post(caller, path, **{field: UNKNOWN_ID}), 403)
    error_id_only(post(admin, path, **{field: UNKNOWN_ID}), 404)


def test_an_admin_reads_any_user(admin):
    other = Caller(admin.emulator, *admin.emulator.add_application("workspace_reader"))

    read = ok(post(admin, "permissions/list_by_user", userId=own_id(other)))

    (permission,) = read["permissions"]
    assert set(permission) == {"permissionId", "permissionType", "userId", "workspaceId"}
    assert permission["permissionType"] == "workspace_reader"


def test_the_organizations_of_a_user_can_be_listed_by_name_and_page(caller):
    user_id = own_id(caller)
    listed = ok(post(caller, "organizations/list_by_user_id", userId=user_id))["organizations"]

    (organization,) = listed
    assert set(organization) == {"organizationId", "organizationName", "email"}
    assert organization["organizationId"] == ORGANIZATION_ID
    for narrowed in ({"nameContains": "nowhere"}, {"pagination": {"pageSize": 5, "rowOffset": 1}}):
        page = post(caller, "organizations/list_by_user_id", userId=user_id, **narrowed)
        assert ok(page) == {"organizations": []}


def test_the_organization_of_a_workspace_is_readable_in_two_ways(emulator, caller_with_role):
    reader = caller_with_role("workspace_reader")

    by_workspace = post(
        reader, "workspaces/get_organization_info", workspaceId=emulator.workspace_id
    )
    by_id = post(reader, "organizations/get_organization_info", organizationId=ORGANIZATION_ID)

    assert ok(by_workspace) == ok(by_id)
    assert set(ok(by_id)) == {"organizationId", "organizationName", "sso", "scim"}


def test_an_unknown_organization_is_a_problem_and_not_found_for_an_admin(caller, admin):
    path, body = "organizations/get_organization_info", {"organizationId": UNKNOWN_ID}

    assert problem(post(caller, path, **body), 403)["title"] == "forbidden"
    error_id_only(post(admin, path, **body), 404)
    hateoas_error(post(caller, "workspaces/get_organization_info", workspaceId=UNKNOWN_ID), 403)


def test_a_workspace_has_all_required_fields_in_both_answers(emulator, caller):
    read = ok(post(caller, "workspaces/get", workspaceId=emulator.workspace_id))

    assert set(read) == {
        "workspaceId", "customerId", "name", "slug", "organizationId", "initialSetupComplete",
        "tombstone",
    }  # fmt: skip
    listed = ok(post(caller, "workspaces/list_by_organization_id", organizationId=ORGANIZATION_ID))
    assert listed == {"workspaces": [read]}


def test_a_list_of_workspaces_covers_what_the_caller_may_read_by_name(emulator, caller_with_role):
    emulator.add_workspace("Beta")
    emulator.add_workspace("Alpha")
    path = "workspaces/list_by_organization_id"

    def listed(role: str, **body: object) -> list[str]:
        found = ok(post(caller_with_role(role), path, organizationId=ORGANIZATION_ID, **body))
        return [workspace["name"] for workspace in found["workspaces"]]

    assert listed("workspace_reader") == ["Analytics"]
    assert listed("organization_reader") == ["Alpha", "Analytics", "Beta"]
    assert listed("organization_reader", nameContains="PHA") == ["Alpha"]
    page = {"pageSize": 1, "rowOffset": 1}
    assert listed("organization_reader", pagination=page) == ["Analytics"]
