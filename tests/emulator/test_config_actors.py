"""Specifications, connection checks and searches of the config API (docs/airbyte-api.md §4.2)."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import UNKNOWN_ID, error_id_only, hateoas_error, ok, problem

POSTGRES = {"host": "db", "port": 5432, "database": "shop", "username": "u", "password": "p"}


@pytest.fixture(params=["source", "destination"])
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def actor_id(emulator, kind):
    return getattr(emulator, f"{kind}_id")


def post(caller, path, **body):
    return caller.post(f"/api/v1/{path}", body)


class TestSpecifications:
    def test_a_specification_marks_secrets_and_branches(self, emulator, caller):
        definition_id = "decd338e-5647-4c0b-adf4-da0e75f5a750"  # Postgres
        body = {"sourceDefinitionId": definition_id, "workspaceId": emulator.workspace_id}

        read = ok(post(caller, "source_definition_specifications/get", **body))

        properties = read["connectionSpecification"]["properties"]
        assert read["sourceDefinitionId"] == definition_id
        assert read["jobInfo"]["configType"] == "get_spec"
        assert read["documentationUrl"].endswith("/sources/postgres")
        assert properties["password"]["airbyte_secret"] is True
        assert "airbyte_secret" not in properties["username"]
        discriminators = [
            branch["properties"]["tunnel_method"]["const"]
            for branch in properties["tunnel_method"]["oneOf"]
        ]
        assert discriminators == ["NO_TUNNEL", "SSH_KEY_AUTH", "SSH_PASSWORD_AUTH"]

    def test_the_specification_of_an_actor_is_that_of_its_definition(
        self, emulator, caller_with_role, kind, actor_id
    ):
        body = {f"{kind}Id": actor_id}

        # Any authenticated user may read it.
        nobody = caller_with_role("organization_member")
        read = ok(post(nobody, f"{kind}_definition_specifications/get_for_{kind}", **body))

        assert read["connectionSpecification"]["type"] == "object"
        modes = read.get("supportedDestinationSyncModes")
        assert modes == (["overwrite", "append", "append_dedup"] if kind == "destination" else None)

    def test_oauth_connectors_name_the_keys_that_their_flow_fills_in(self, emulator, caller):
        body = {
            "destinationDefinitionId": "a4cbd2d1-8dbe-4818-b8bc-b90ad782d12a",  # Google Sheets
            "workspaceId": emulator.workspace_id,
        }

        read = ok(post(caller, "destination_definition_specifications/get", **body))

        oauth = read["advancedAuth"]["oauthConfigSpecification"]
        outputs = oauth["completeOAuthServerOutputSpecification"]["properties"]
        assert outputs["client_id"]["path_in_connector_config"] == ["credentials", "client_id"]

    def test_custom_connectors_have_their_own_specification(self, emulator, caller, kind):
        spec = {"type": "object", "properties": {"dsn": {"airbyte_secret": True}}}
        custom = emulator.add_definition(kind, "Own", spec=spec)
        body = {f"{kind}DefinitionId": custom, "workspaceId": emulator.workspace_id}

        read = ok(post(caller, f"{kind}_definition_specifications/get", **body))

        assert read["connectionSpecification"] == spec

    def test_declarative_sources_have_the_specification_of_their_manifest(self, emulator, caller):
        spec = {"type": "object", "required": ["token"], "properties": {"token": {}}}
        created = ok(
            caller.post(
                f"/workspaces/{emulator.workspace_id}/definitions/declarative_sources",
                {"name": "Own", "manifest": {"spec": {"connection_specification": spec}}},
            )
        )
        body = {"sourceDefinitionId": created["id"], "workspaceId": emulator.workspace_id}

        read = ok(post(caller, "source_definition_specifications/get", **body))

        assert read["connectionSpecification"] == spec
        source = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": {}}
        problem(caller.post("/sources", {**source, "definitionId": created["id"]}), 422)

    def test_an_unknown_definition_or_actor_is_not_found(self, emulator, caller, kind):
        body = {f"{kind}DefinitionId": UNKNOWN_ID, "workspaceId": emulator.workspace_id}

        error_id_only(post(caller, f"{kind}_definition_specifications/get", **body), 404)
        of_actor = f"{kind}_definition_specifications/get_for_{kind}"
        error_id_only(post(caller, of_actor, **{f"{kind}Id": UNKNOWN_ID}), 404)

    def test_definitions_are_listed_with_the_custom_ones(self, emulator, caller, kind):
        custom = emulator.add_definition(kind, "Own")

        found = ok(post(caller, f"{kind}_definitions/list"))[f"{kind}Definitions"]

        assert found[0][f"{kind}DefinitionId"] == custom
        assert [found[0]["custom"], found[1]["custom"]] == [True, False]


class TestChecks:
    def test_a_check_succeeds_unless_it_is_told_to_fail(self, emulator, caller, kind, actor_id):
        emulator.fail_check(actor_id, "Login refused")

        failed = ok(post(caller, f"{kind}s/check_connection", **{f"{kind}Id": actor_id}))
        succeeded = ok(post(caller, f"{kind}s/check_connection", **{f"{kind}Id": actor_id}))

        assert (failed["status"], failed["message"]) == ("failed", "Login refused")
        assert failed["jobInfo"]["succeeded"] is True
        assert failed["jobInfo"]["configType"] == f"check_connection_{kind}"
        assert (succeeded["status"], "message" in succeeded) == ("succeeded", False)

    def test_a_check_whose_job_fails_has_no_result(self, emulator, caller, kind, actor_id):
        emulator.fail_check_job(actor_id)

        read = ok(post(caller, f"{kind}s/check_connection", **{f"{kind}Id": actor_id}))

        assert set(read) == {"jobInfo"}
        assert read["jobInfo"]["succeeded"] is False

    def test_an_unsaved_change_is_validated_and_not_stored(self, emulator, caller):
        source_id = emulator.add_source(connector="postgres", configuration=POSTGRES)
        body = {"sourceId": source_id, "name": "x"}
        change = {**POSTGRES, "host": "new", "password": "*" * 10}

        path = "sources/check_connection_for_update"
        read = ok(post(caller, path, **body, connectionConfiguration=change))

        assert read["status"] == "succeeded"
        assert ok(caller.get(f"/sources/{source_id}"))["configuration"]["host"] == "db"
        problem(post(caller, path, **body, connectionConfiguration={"port": "x"}), 422)

    def test_a_check_requires_an_editor(self, caller, caller_with_role, admin, kind, actor_id):
        reader = caller_with_role("workspace_runner")
        path = f"{kind}s/check_connection"

        hateoas_error(post(reader, path, **{f"{kind}Id": actor_id}), 403)
        hateoas_error(post(caller, path, **{f"{kind}Id": UNKNOWN_ID}), 403)
        error_id_only(post(admin, path, **{f"{kind}Id": UNKNOWN_ID}), 404)


class TestLists:
    @pytest.fixture
    def names(self, emulator, kind):
        add = emulator.add_source if kind == "source" else emulator.add_destination
        names = [f"tenant {number:02}" for number in range(25)]
        for name in reversed(names):
            add(name)
        return names

    def listed(self, emulator, caller, kind, **more):
        body = {"workspaceId": emulator.workspace_id, **more}
        return ok(post(caller, f"{kind}s/list", **body))

    def test_a_list_without_a_page_size_has_twenty_rows(self, emulator, caller, kind, names):
        first = self.listed(emulator, caller, kind, filters={"searchTerm": "TENANT"})
        last = first[f"{kind}s"][-1][f"{kind}Id"]
        second = self.listed(emulator, caller, kind, filters={"searchTerm": "tenant"}, cursor=last)

        assert [row["name"] for row in first[f"{kind}s"]] == names[:20]
        assert [row["name"] for row in second[f"{kind}s"]] == names[20:]
        assert (first["page_size"], first["num_connections"]) == (20, 25)

    def test_a_search_matches_the_name_of_the_definition_too(self, emulator, caller, kind):
        definition_id = emulator.add_definition(kind, "Abacus")
        add = emulator.add_source if kind == "source" else emulator.add_destination
        add("found", definition_id=definition_id)

        rows = self.listed(emulator, caller, kind, filters={"searchTerm": "abac"})[f"{kind}s"]

        assert [(row["name"], row["status"]) for row in rows] == [("found", "inactive")]

    def test_rows_can_be_filtered_by_state_sorted_and_limited(self, emulator, caller, kind, names):
        inactive = {"filters": {"states": ["INACTIVE"]}, "sortKey": "actorname_desc"}

        rows = self.listed(emulator, caller, kind, **inactive, pageSize=2)[f"{kind}s"]
        active = self.listed(emulator, caller, kind, filters={"states": ["active"]})[f"{kind}s"]

        assert [row["name"] for row in rows] == names[:-3:-1]
        assert [row["numConnections"] for row in active] == [1]

    def test_deleted_actors_are_not_listed(self, emulator, caller, kind, actor_id):
        caller.delete(f"/{kind}s/{actor_id}")

        assert self.listed(emulator, caller, kind)[f"{kind}s"] == []

    def test_a_list_requires_a_reader(self, emulator, caller_with_role, kind):
        body = {"workspaceId": emulator.workspace_id}

        ok(post(caller_with_role("workspace_reader"), f"{kind}s/list", **body))
        nobody = caller_with_role("organization_member")
        hateoas_error(post(nobody, f"{kind}s/list", **body), 403)
