"""Sources and destinations, and what the config API adds to them and to connections."""

import json

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteBadRequestError,
    AirbyteConfigApiError,
    AirbyteConflictError,
    AirbyteDecodeError,
    AirbyteTransportError,
    ConnectionCheck,
)
from airflow_provider_airbyte_sme.api.retry import is_permanent
from tests.unit.api.doubles import client_for, requests_to, settings_for
from tests.unit.api.responses import json_response, problem

# As connectors name and choose them: none is recognised by its name or its looks.
SECRETS = ["swordfish", "48151623"]
CONFIGURATION = {"host": "db.example.com", "wort": "swordfish", "pin": 48151623}


@pytest.fixture(params=["source", "destination"])
def kind(request):
    return request.param


@pytest.fixture
def actors(client, kind):
    return getattr(client, f"{kind}s")


@pytest.fixture
def add(emulator, kind):
    """Add a source or a destination: returns its id."""
    return getattr(emulator, f"add_{kind}")


@pytest.fixture
def fields(emulator, kind):
    connector = {"source": "faker", "destination": "duckdb"}[kind]
    configuration = {f"{kind}Type": connector, "destination_path": "/data/x.duckdb"}
    return {"name": "crm", "workspaceId": emulator.workspace_id, "configuration": configuration}


class TestPublicApi:
    def test_one_is_created_read_changed_replaced_and_deleted(self, actors, fields, kind, run):
        created = run(actors.create(fields))
        assert (created.kind, created.name, created.is_deleted) == (kind, "crm", False)
        assert run(actors.get(created.id)) == created

        assert run(actors.update(created.id, {"name": "erp"})).name == "erp"
        replacement = {"name": "hr", "configuration": created.configuration}
        assert run(actors.replace(created.id, replacement)).name == "hr"

        run(actors.delete(created.id))
        assert created.id not in {actor.id for actor in run(actors.list())}
        listed = run(actors.list(workspace_ids=[created.workspace_id], include_deleted=True))
        assert created.id in {actor.id for actor in listed}

    def test_those_of_some_workspaces_are_listed(self, actors, emulator, add, run):
        elsewhere = emulator.add_workspace()
        actor_id = add("crm", workspace_id=elsewhere)

        assert [actor.id for actor in run(actors.list(workspace_ids=[elsewhere]))] == [actor_id]
        assert len(run(actors.list())) == 2

    @pytest.mark.parametrize("wanted", [False, True])
    def test_secret_coordinates_are_read_on_request(self, actors, emulator, add, run, wanted):
        run(actors.get(add(), include_secret_coordinates=wanted))

        sent = emulator.requests[-1].query.get("includeSecretCoordinates")
        assert sent == (["true"] if wanted else None)

    @pytest.mark.parametrize("write", ["create", "update", "replace"])
    def test_a_write_is_not_repeated_after_a_lost_response(
        self, actors, emulator, add, fields, run, write
    ):
        ids = [] if write == "create" else [add()]
        run(actors.list())  # has a token from here on
        emulator.clear_requests()
        emulator.drop_next("*")

        with pytest.raises(AirbyteTransportError):
            run(getattr(actors, write)(*ids, fields))

        assert len(emulator.requests) == 1


QUOTING = {
    "422": lambda text: problem(422, "unprocessable-entity", {"message": text}),
    "500": lambda text: problem(500, "unexpected-problem", {"message": text}),
    "text": lambda text: json_response({"message": text, "exceptionClassName": "X"}, 500),
}


class TestSecrets:
    @pytest.mark.parametrize("response", QUOTING.values(), ids=QUOTING)
    @pytest.mark.parametrize("write", ["create", "update", "replace"])
    def test_an_error_that_quotes_the_configuration_hides_what_is_secret(
        self, actors, emulator, wire, add, run, write, response
    ):
        method = {"create": "POST", "update": "PATCH", "replace": "PUT"}[write]
        ids = [] if write == "create" else [add()]
        text = f"json schema validation failed for {json.dumps(CONFIGURATION)}"
        wire.replace_next_response(method, response(text))
        payload = {
            "name": "crm",
            "workspaceId": emulator.workspace_id,
            "configuration": CONFIGURATION,
        }

        with pytest.raises(AirbyteApiError) as failure:
            run(getattr(actors, write)(*ids, payload, secrets=SECRETS))

        shown = f"{failure.value} {failure.value!r} {failure.value.problem}"
        assert "json schema validation failed" in shown
        assert "wort" in shown
        assert not [secret for secret in SECRETS if secret in shown]

    def test_the_message_of_a_check_hides_what_is_secret(self, actors, wire, run):
        answer = {"status": "failed", "message": "login with swordfish (48151623) rejected"}
        wire.replace_next_response("POST", json_response(answer))

        check = run(actors.check_update("a-1", "crm", CONFIGURATION, secrets=SECRETS))

        assert check == ConnectionCheck(False, "login with *** (***) rejected")


class TestConfigApi:
    def test_the_specification_says_what_is_secret(self, client, emulator, run):
        source = run(client.sources.get(emulator.add_source("crm", connector="postgres")))

        specification = run(
            client.sources.read_specification(source.definition_id, source.workspace_id)
        )

        assert specification.definition_id == source.definition_id
        assert specification.schema["properties"]["password"]["airbyte_secret"] is True

    def test_the_specification_of_a_destination_has_its_sync_modes(self, client, emulator, run):
        destination = run(client.destinations.get(emulator.destination_id))

        specification = run(
            client.destinations.read_specification(
                destination.definition_id, destination.workspace_id
            )
        )

        assert "append" in specification.sync_modes

    def test_a_stored_configuration_is_checked(self, actors, emulator, wire, add, run):
        actor_id = add("crm")
        assert run(actors.check(actor_id)) == ConnectionCheck(True)
        assert wire.requests[-1].timeout == 600

        emulator.fail_check(actor_id, "no route to host")
        assert run(actors.check(actor_id)) == ConnectionCheck(False, "no route to host")

        emulator.fail_check_job(actor_id)
        assert run(actors.check(actor_id)) == ConnectionCheck(None)

    def test_another_configuration_is_checked_without_storing_it(
        self, actors, emulator, add, kind, run
    ):
        actor_id = add("crm")
        stored = run(actors.get(actor_id))
        other = {**stored.configuration, "destination_path": "/data/other.duckdb"}

        assert run(actors.check_update(actor_id, "crm", other)).succeeded

        assert emulator.requests[-1].json == {
            f"{kind}Id": actor_id,
            "name": "crm",
            "connectionConfiguration": other,
        }
        assert run(actors.get(actor_id)) == stored

    def test_a_check_is_repeated_after_an_outage(self, actors, emulator, add, kind, run):
        route = f"POST /api/v1/{kind}s/check_connection"
        emulator.fail_next(route, 503)

        assert run(actors.check(add("crm"))).succeeded

        assert requests_to(emulator, route) == [503, 200]

    @pytest.mark.parametrize(
        ("fields", "remedy"),
        [
            ({"config_api": False}, ": set config_api of the Airflow connection to true."),
            ({"url": "https://api.airbyte.com/v1"}, ", which Airbyte Cloud does not offer."),
        ],
        ids=["switched off", "Airbyte Cloud"],
    )
    @pytest.mark.parametrize(
        ("call", "purpose"),
        [
            (lambda client: client.sources.check("s-1"), "A connection check"),
            (
                lambda client: client.sources.read_specification("d-1", "w-1"),
                "The specification of a connector",
            ),
            (lambda client: client.connections.get_state("c-1"), "The state of a connection"),
            (lambda client: client.connections.get_catalog("c-1"), "The catalog of a connection"),
        ],
    )
    def test_without_the_config_api_the_error_says_what_needs_it(
        self, emulator, wire, run, fields, remedy, call, purpose
    ):
        client = client_for(emulator, wire, settings=settings_for(emulator, **fields))

        with pytest.raises(AirbyteConfigApiError) as failure:
            run(call(client))

        assert str(failure.value) == f"{purpose} needs Airbyte's config API{remedy}"
        assert is_permanent(failure.value)
        assert wire.requests == []


class TestConnections:
    @pytest.fixture
    def synced(self, emulator):
        """A connection whose streams have a state."""
        streams = [{"name": "users", "syncMode": "incremental_append"}]
        connection_id = emulator.add_connection("incremental", streams=streams)
        emulator.finish_job(emulator.start_sync(connection_id))
        return connection_id

    def test_a_state_is_copied(self, client, emulator, run, synced):
        state = run(client.connections.get_state(synced))
        assert state.streams() == {("users", None)}
        copy = emulator.add_connection("copy")
        assert run(client.connections.get_state(copy)).state_type == "not_set"

        stored = run(client.connections.set_state(copy, state))

        assert stored == run(client.connections.get_state(copy))
        assert stored.payload["streamState"] == state.payload["streamState"]

    def test_a_state_cannot_be_set_while_a_sync_runs(self, client, emulator, run, synced):
        state = run(client.connections.get_state(synced))
        emulator.script_job(statuses=[("running", None)])
        emulator.start_sync(synced)

        with pytest.raises(AirbyteConflictError, match="423: State cannot be updated while"):
            run(client.connections.set_state(synced, state))

    def test_the_catalog_is_read_without_a_discover(self, client, emulator, run, synced):
        run(client.streams.list(emulator.source_id))
        runs = emulator.discovers(emulator.source_id)

        catalog = {stream.name: stream for stream in run(client.connections.get_catalog(synced))}

        assert set(catalog) == {"users", "products", "purchases"}  # unselected ones too
        assert catalog["users"].source_defined_primary_key == (("id",),)
        assert ("id",) in catalog["users"].fields
        assert emulator.discovers(emulator.source_id) == runs


class TestStreams:
    def test_what_a_source_offers_is_listed(self, client, emulator, wire, run):
        streams = run(client.streams.list(emulator.source_id, emulator.destination_id))

        assert [stream.name for stream in streams] == ["users", "products", "purchases"]
        assert "full_refresh_overwrite" in streams[0].sync_modes
        assert ("id",) in streams[0].fields
        assert "ignoreCache" not in wire.requests[-1].url
        assert wire.requests[-1].timeout == 600

    def test_the_connector_is_run_on_request(self, client, emulator, run):
        streams = run(client.streams.list(emulator.source_id, ignore_cache=True))

        assert streams[0].sync_modes == ()
        assert emulator.requests[-1].query["ignoreCache"] == ["true"]

    def test_a_body_of_another_kind_is_an_error(self, client, emulator, wire, run):
        wire.replace_next_response("GET", json_response("streams"))

        with pytest.raises(AirbyteDecodeError):
            run(client.streams.list(emulator.source_id))


def test_a_deleted_source_takes_its_connections_along(client, emulator, run):
    run(client.sources.delete(emulator.source_id))

    assert run(client.connections.get(emulator.connection_id)).is_deleted
    assert requests_to(emulator, "DELETE /sources/{sourceId}") == [204]


def test_a_rejected_configuration_names_the_field(client, emulator, run):
    fields = {
        "name": "crm",
        "workspaceId": emulator.workspace_id,
        "configuration": {"sourceType": "postgres", "password": "swordfish"},
    }

    with pytest.raises(AirbyteBadRequestError, match="'host'") as failure:
        run(client.sources.create(fields))

    assert "swordfish" not in str(failure.value)
