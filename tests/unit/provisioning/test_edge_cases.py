"""What people do only sometimes, and what must not go wrong then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_airbyte_sme.api import AirbyteBadRequestError, run_blocking
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.provisioning.declarations import IfExists
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteExistsError,
    AirbyteNotStoredError,
    AirbyteStateLossError,
    AirbyteVanishedError,
)
from airflow_provider_airbyte_sme.provisioning.fingerprints import Fingerprints
from airflow_provider_airbyte_sme.provisioning.parsing import parse_connection, parse_pipeline
from airflow_provider_airbyte_sme.provisioning.provisioner import Provisioner
from tests.unit.api.doubles import client_for, settings_for
from tests.unit.provisioning.conftest import World
from tests.unit.provisioning.pipelines import (
    CONNECTION,
    SECRET,
    SOURCE,
    changed,
    configured,
    pipeline,
)

FORBIDDEN = {
    "type": "https://reference.airbyte.com/reference/errors#forbidden",
    "title": "forbidden",
    "status": 403,
}


def test_a_template_without_a_value_is_never_stored_as_a_secret(world, ids):
    with pytest.raises(
        AirbyteDeclarationError, match=r"configuration\.password is the text 'None'"
    ):
        world.apply(pipeline(sources=[configured(SOURCE, password="None")]))

    assert world.emulator.secret_of(ids["source"], "password") == SECRET


class TestTagsOfAConnection:
    def ensure(self, world: World, ids: dict[str, str], how: IfExists = "update", **fields):
        declaration = parse_connection(changed(CONNECTION, tags=["new"], **fields)).declaration
        declaration = replace(
            declaration, source_id=ids["source"], destination_id=ids["destination"]
        )
        return run_blocking(
            world.provisioner().ensure_connection(declaration, ids["workspace"], if_exists=how)
        )

    def test_are_not_created_for_one_that_is_only_reused(self, world, ids):
        writes = world.writes

        assert self.ensure(world, ids, "reuse").action == "unchanged"
        with pytest.raises(AirbyteExistsError):
            self.ensure(world, ids, "fail")

        assert world.writes == writes

    @pytest.mark.parametrize("name", ["crm to lake", "another"])
    def test_are_not_created_for_one_that_is_refused(self, world, ids, name):
        writes = world.writes

        with pytest.raises(AirbyteDeclarationError, match="invoices"):
            self.ensure(world, ids, name=name, streams=["invoices"])

        assert world.writes == writes


class TestDeletedWhileItIsChanged:
    def test_a_connection_is_neither_revived_nor_called_changed(self, world, ids):
        delete = world.client.connections.delete
        world.emulator.call_next(
            "PATCH /connections/{connectionId}",
            lambda: run_blocking(delete(ids["connection"])),
            after=True,
        )
        wanted = changed(CONNECTION, prefix="new_", status="active")

        with pytest.raises(AirbyteNotStoredError, match=f"{ids['connection']}.* was deleted"):
            world.apply(pipeline(connections=[wanted]))

        connection = run_blocking(world.client.connections.get(ids["connection"]))
        assert connection.is_deleted

    def test_a_source_is_not_called_changed(self, world, ids):
        delete = world.client.sources.delete
        world.emulator.call_next(
            "PATCH /sources/{sourceId}", lambda: run_blocking(delete(ids["source"])), after=True
        )

        with pytest.raises(AirbyteNotStoredError, match=f"{ids['source']}.* was deleted"):
            world.apply(pipeline(sources=[configured(SOURCE, host="new.example.com")]))


def test_an_empty_password_is_written_once(world, ids):
    without = pipeline(sources=[configured(SOURCE, password="")])

    world.apply(without)
    writes = world.writes
    world.apply(without)

    assert world.writes == writes


def test_a_connection_may_name_its_source_by_an_id_in_capitals(world, ids):
    connection = changed(CONNECTION, source=ids["source"].upper())

    assert world.apply(pipeline(connections=[connection]))[-1].action == "unchanged"


def test_a_mapper_that_airbyte_refuses_is_explained(world):
    mapper = {"type": "field-filtering", "mapperConfiguration": {"targetField": "unknown"}}
    connection = changed(CONNECTION, streams=[{"name": "customers", "mappers": [mapper]}])

    with pytest.raises(AirbyteBadRequestError, match="stream customers: "):
        world.apply(pipeline(connections=[connection]))


class TestNotifications:
    def declared(self, **channel):
        return pipeline(
            workspace={"name": "Team A", "notifications": {"success": {"webhook": channel}}}
        )

    def test_are_switched_by_the_text_that_a_template_renders_to(self, world):
        declared = self.declared(enabled="True", url="https://hooks.example.com/T0")

        world.apply(declared)

        assert world.apply(declared)[0].action == "unchanged"

    def test_of_which_a_key_is_misspelt_are_refused_before_the_first_write(self, world):
        with pytest.raises(
            AirbyteDeclarationError, match="enabld is unknown; did you mean enabled"
        ):
            world.apply(self.declared(enabld=True))

        assert world.writes == []


def test_a_workspace_that_gives_way_to_another_is_no_permanent_error(world, ids):
    def give_way() -> None:
        run_blocking(world.client.workspaces.delete(ids["workspace"]))

    world.emulator.call_next("POST /sources", give_way)
    world.emulator.fail_next("POST /sources", 403, body=FORBIDDEN)  # for a normal user

    with pytest.raises(AirbyteVanishedError, match="run the task again") as error:
        world.apply(pipeline(sources=[SOURCE, changed(SOURCE, name="CRM 2")]))

    assert not is_permanent(error.value)


def test_a_custom_connector_with_the_name_of_airbytes_does_not_hide_it(world, ids):
    world.emulator.add_definition("source", "Postgres")

    results = world.apply(pipeline(sources=[SOURCE, changed(SOURCE, name="CRM 2")]))

    created = run_blocking(world.client.sources.get(results[3].resource_id))
    assert (created.name, created.connector) == ("CRM 2", "postgres")


def test_a_tag_whose_name_is_too_long_is_refused_before_the_first_write(world):
    with pytest.raises(AirbyteDeclarationError, match="31 characters; Airbyte allows 30"):
        world.apply(pipeline(tags=[{"name": "x" * 31, "color": "FFD700"}]))

    assert world.writes == []


def test_a_region_that_the_user_may_not_see_is_not_compared(world, ids, caplog):
    workspace = {"name": "Team A", "region_id": "5f2b1c1e-3b7a-4e55-9a0c-0f6a3c1d2e4f"}
    world.emulator.fail_next("GET /regions/{regionId}", 403, times=None, body=FORBIDDEN)

    results = world.apply(pipeline(workspace=workspace))

    assert "region_id" in results[0].not_compared
    assert "is not compared" in caplog.text


def test_without_the_config_api_a_changed_sync_mode_names_what_allows_it(world, ids):
    incremental = changed(
        CONNECTION,
        streams=[{"name": "orders", "sync_mode": "incremental_append", "cursor_field": "id"}],
    )
    client = client_for(
        world.emulator, world.wire, settings=settings_for(world.emulator, config_api=False)
    )
    provisioner = Provisioner(client, store=world.store, fingerprints=Fingerprints(b"", cost=2))
    declaration = replace(
        parse_pipeline(pipeline(connections=[incremental])).connections[0].declaration,
        source_id=ids["source"],
        destination_id=ids["destination"],
    )

    with pytest.raises(AirbyteStateLossError, match="allow_state_loss"):
        run_blocking(provisioner.ensure_connection(declaration, ids["workspace"]))
