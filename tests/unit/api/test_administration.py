"""Definitions, people, groups, regions and OAuth, against the emulator."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConflictError,
    AirbyteCredentialsError,
    AirbyteNotFoundError,
    AirbyteNotOfferedError,
    AirbytePermissionError,
    AirbyteServerError,
    GroupMember,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import Wire, client_for, requests_to
from tests.unit.api.responses import json_response

IMAGE = {"name": "X", "dockerRepository": "acme/x", "dockerImageTag": "1.0"}
MANIFEST = {"version": "6.0.0", "spec": {"connection_specification": {"type": "object"}}}


@pytest.fixture
def emulator():
    """An emulator whose first application belongs to an administrator of everything."""
    return Emulator(time="manual", instance_admin=True)


@pytest.fixture
def organization_id(client, run):
    (organization,) = run(client.organizations.list())
    return organization.organization_id


@pytest.fixture
def user(client, run, organization_id):
    return run(client.users.list(organization_id))[0]


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_a_definition_with_an_image_lives_in_a_workspace(client, emulator, wire, run, kind):
    definitions = getattr(client, f"{kind}_definitions")
    workspace_id = emulator.workspace_id

    created = run(definitions.create(workspace_id, IMAGE))

    assert (created.name, created.docker_repository) == ("X", "acme/x")
    assert wire.requests[-1].timeout == 600
    assert run(definitions.get(workspace_id, created.definition_id)) == created
    newer = {"name": "X", "dockerImageTag": "2.0"}
    changed = run(definitions.update(workspace_id, created.definition_id, newer))
    assert changed.docker_image_tag == "2.0"
    assert changed in run(definitions.list(workspace_id))
    connectors = run(client.connector_definitions.list(kind, workspace_id))
    assert created.definition_id in {connector.definition_id for connector in connectors}
    run(definitions.delete(workspace_id, created.definition_id))
    assert changed not in run(definitions.list(workspace_id))


def test_a_declarative_definition_gets_a_version_for_each_change(client, emulator, run):
    definitions, workspace_id = client.declarative_source_definitions, emulator.workspace_id

    created = run(definitions.create(workspace_id, {"name": "Y", "manifest": MANIFEST}))

    assert (created.version, created.manifest) == (1, MANIFEST)
    changed = run(definitions.update(workspace_id, created.definition_id, {"manifest": MANIFEST}))
    assert changed.version == 2
    assert run(definitions.list(workspace_id)) == [changed]
    run(definitions.delete(workspace_id, created.definition_id))
    assert run(definitions.list(workspace_id)) == []


def test_the_users_of_an_organization_are_filtered(client, run, organization_id, user):
    everybody = run(client.users.list(organization_id))

    assert user in everybody
    assert run(client.users.list(organization_id, emails=[user.email])) == [user]
    assert run(client.users.list(organization_id, ids=[user.user_id])) == [user]


def test_a_permission_is_given_changed_and_taken(client, emulator, run, user):
    given = run(
        client.permissions.create(
            {
                "permissionType": "workspace_reader",
                "userId": user.user_id,
                "workspaceId": emulator.workspace_id,
            }
        )
    )

    assert (given.workspace_id, given.organization_id) == (emulator.workspace_id, None)
    changed = run(
        client.permissions.update(given.permission_id, {"permissionType": "workspace_editor"})
    )
    assert run(client.permissions.get(given.permission_id)) == changed
    assert changed in run(client.permissions.list())
    run(client.permissions.delete(given.permission_id))
    assert changed not in run(client.permissions.list())


class TestApplications:
    def test_one_is_created_read_and_deleted(self, client, run):
        created = run(client.applications.create("airflow"))

        assert run(client.applications.get(created.application_id)) == created
        assert created in run(client.applications.list())
        run(client.applications.delete(created.application_id))
        assert created not in run(client.applications.list())

    def test_one_has_tokens(self, client, emulator, run):
        created = run(client.applications.create("airflow"))

        token = run(
            client.applications.create_access_token(created.client_id, created.client_secret)
        )

        successor = client_for(emulator, Wire(emulator), token=token)
        assert run(successor.workspaces.list())
        assert requests_to(emulator, "POST /applications/token") == [200, 200]
        assert token.value not in repr(token)

    def test_wrong_credentials_are_an_error_without_them(self, client, emulator, run):
        with pytest.raises(AirbyteCredentialsError) as failure:
            run(client.applications.create_access_token(emulator.client_id, "another-s3cret"))

        assert "another-s3cret" not in str(failure.value)


class TestGroups:
    @pytest.fixture
    def group(self, client, run, organization_id):
        return run(client.groups.create({"name": "team", "organizationId": organization_id}))

    def test_one_is_created_renamed_and_deleted(self, client, run, organization_id, group):
        assert (group.name, group.organization_id) == ("team", organization_id)
        renamed = run(client.groups.update(group.group_id, {"name": "squad"}))
        assert run(client.groups.get(group.group_id)) == renamed
        assert run(client.groups.list(organization_id)) == [renamed]
        run(client.groups.delete(group.group_id))
        assert run(client.groups.list(organization_id)) == []

    def test_users_join_and_leave(self, client, run, group, user):
        member = run(client.group_members.add(group.group_id, user.user_id))

        assert isinstance(member, GroupMember)
        assert (member.user_id, member.user_email) == (user.user_id, user.email)
        assert run(client.group_members.list(group.group_id)) == [member]
        with pytest.raises(AirbyteConflictError):
            run(client.group_members.add(group.group_id, user.user_id))
        run(client.group_members.remove(group.group_id, user.user_id))
        assert run(client.group_members.list(group.group_id)) == []

    def test_all_members_have_its_permissions(self, client, emulator, run, group):
        payload = {"permissionType": "workspace_reader", "workspaceId": emulator.workspace_id}

        given = run(client.group_permissions.create(group.group_id, payload))

        assert (given.permission_type, given.workspace_id) == (
            "workspace_reader",
            emulator.workspace_id,
        )
        assert run(client.group_permissions.list(group.group_id)) == [given]
        run(client.group_permissions.delete(group.group_id, given.permission_id))
        assert run(client.group_permissions.list(group.group_id)) == []


class TestRegions:
    @pytest.fixture
    def region(self, client, run, organization_id):
        return run(client.regions.create({"name": "EU", "organizationId": organization_id}))

    def test_one_is_created_disabled_and_deleted(self, client, run, organization_id, region):
        assert (region.name, region.is_enabled) == ("EU", True)
        disabled = run(client.regions.update(region.region_id, {"enabled": False}))
        assert not disabled.is_enabled
        assert run(client.regions.get(region.region_id)) == disabled
        assert disabled in run(client.regions.list(organization_id))
        run(client.regions.delete(region.region_id))
        assert disabled not in run(client.regions.list(organization_id))

    def test_a_data_plane_shows_its_secret_once(self, client, run, region):
        created = run(client.dataplanes.create({"name": "one", "regionId": region.region_id}))

        assert created.client_secret
        assert created.client_secret not in repr(created)
        (listed,) = run(client.dataplanes.list(region_ids=[region.region_id]))
        assert listed == run(client.dataplanes.get(created.dataplane_id))
        changed = run(client.dataplanes.update(created.dataplane_id, {"name": "two"}))
        assert changed.name == "two"
        run(client.dataplanes.delete(created.dataplane_id))
        assert run(client.dataplanes.list(region_ids=[region.region_id])) == []

    @pytest.mark.parametrize("body", [lambda rows: rows, lambda rows: {"data": rows}])
    def test_a_list_is_a_bare_array_or_has_data(self, client, wire, run, organization_id, body):
        rows = [{"regionId": "r-1", "name": "EU"}]
        wire.replace_next_response("GET", json_response(body(rows)))

        assert [region.name for region in run(client.regions.list(organization_id))] == ["EU"]


OAUTH = {
    "initiate": lambda client, workspace_id: client.oauth.initiate(
        {"redirectUrl": "https://x", "workspaceId": workspace_id, "sourceType": "github"}
    ),
    "replace": lambda client, workspace_id: client.oauth.replace_workspace_credentials(
        workspace_id, {"actorType": "source", "name": "github", "configuration": {}}
    ),
    "delete": lambda client, workspace_id: client.oauth.delete_workspace_credentials(
        workspace_id, "source", "github"
    ),
}


class TestOAuth:
    @pytest.mark.parametrize("call", OAUTH.values(), ids=OAUTH)
    def test_a_self_managed_airbyte_says_that_it_has_none(self, client, emulator, run, call):
        emulator.clear_requests()

        with pytest.raises(AirbyteNotOfferedError, match="does not offer the operation"):
            run(call(client, emulator.workspace_id))

        assert [r.status for r in emulator.requests if "token" not in r.path] == [501]

    def test_a_consent_flow_of_airbyte_cloud_begins(self, client, emulator, wire, run):
        url = {"redirect_url": "https://github.com/login"}
        wire.replace_next_response("POST", json_response(url))

        assert run(OAUTH["initiate"](client, emulator.workspace_id)) == url

    def test_an_organization_needs_another_licence(self, client, run, organization_id):
        payload = {"actorType": "source", "name": "github", "configuration": {}}

        for call in (
            client.oauth.replace_organization_credentials(organization_id, payload),
            client.oauth.delete_organization_credentials(organization_id, "source", "github"),
        ):
            with pytest.raises((AirbytePermissionError, AirbyteServerError)):
                run(call)

    def test_credentials_of_an_organization_are_set_and_deleted(
        self, client, wire, run, organization_id
    ):
        payload = {"actorType": "source", "name": "github", "configuration": {"client_id": "x"}}
        wire.replace_next_response("PUT", json_response({}))
        wire.replace_next_response("DELETE", json_response({}, 204))

        run(client.oauth.replace_organization_credentials(organization_id, payload))
        run(client.oauth.delete_organization_credentials(organization_id, "source", "github"))

        path = f"/api/public/v1/organizations/{organization_id}/oauthCredentials"
        assert [request.url.partition(".com")[2] for request in wire.requests[-2:]] == [
            path,
            f"{path}/source/github",
        ]


def test_an_unknown_definition_is_an_error(client, emulator, run):
    with pytest.raises(AirbyteNotFoundError):
        run(client.source_definitions.get(emulator.workspace_id, emulator.workspace_id))
