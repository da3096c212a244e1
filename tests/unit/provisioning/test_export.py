"""An exported workspace: applied as it is, it changes nothing, and it has no secret."""

from __future__ import annotations

import re
from dataclasses import replace

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import AirbyteClient, run_blocking
from airflow_provider_airbyte_sme.api.models import (
    AirbyteConnection,
    ConnectionStream,
    ConnectorSpecification,
    Definition,
    Destination,
    Schedule,
    Source,
    Tag,
    Workspace,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.provisioning.actors import plan_actor
from airflow_provider_airbyte_sme.provisioning.configuration import validate_configuration
from airflow_provider_airbyte_sme.provisioning.connections import plan_connection
from airflow_provider_airbyte_sme.provisioning.connectors import ConnectorNames
from airflow_provider_airbyte_sme.provisioning.export import (
    export_pipeline,
    read_workspace,
)
from airflow_provider_airbyte_sme.provisioning.files import (
    read_document,
    to_document,
    write_yaml,
)
from airflow_provider_airbyte_sme.provisioning.fingerprints import SecretVerdict
from airflow_provider_airbyte_sme.provisioning.parsing import parse_pipeline
from airflow_provider_airbyte_sme.provisioning.results import MASK
from airflow_provider_airbyte_sme.provisioning.schemas import secret_paths, without_nulls
from airflow_provider_airbyte_sme.provisioning.stream_rules import SYNC_MODES
from tests.unit.api.doubles import Wire, client_for
from tests.unit.provisioning.connectors import DEFINITION_ID, SPECIFICATION
from tests.unit.provisioning.pipelines import SOURCE, pipeline
from tests.unit.provisioning.strategies import MAPPERS, NAMES, TEXTS

WORKSPACE = Workspace("a0000000-0000-4000-8000-000000000001", "Sales")
WAREHOUSE_DEFINITION = "424892c4-daac-4491-b35d-c6688ba547ba"
SPECIFICATIONS = {
    DEFINITION_ID: SPECIFICATION,
    WAREHOUSE_DEFINITION: ConnectorSpecification(WAREHOUSE_DEFINITION, {}),
}


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def source(number=1, name="CRM", configuration=None, **fields):
    return Source(
        actor_id=uuid(number),
        name=name,
        workspace_id=WORKSPACE.workspace_id,
        definition_id=DEFINITION_ID,
        connector="postgres",
        configuration={"host": "db", "port": 5432} if configuration is None else configuration,
        **fields,
    )


def destination(number=11, name="Warehouse"):
    return Destination(
        actor_id=uuid(number),
        name=name,
        workspace_id=WORKSPACE.workspace_id,
        definition_id=WAREHOUSE_DEFINITION,
        configuration={},
    )


def connection(number=21, name="CRM to Warehouse", **fields):
    return AirbyteConnection(
        connection_id=uuid(number),
        name=name,
        workspace_id=WORKSPACE.workspace_id,
        **{
            "status": "active",
            "source_id": uuid(1),
            "destination_id": uuid(11),
            "streams": (ConnectionStream("orders", sync_mode="full_refresh_append"),),
            **fields,
        },
    )


def tag(name):
    return Tag(uuid(31), name, "75DCFF", WORKSPACE.workspace_id)


def export(
    sources=(), destinations=(), connections=(), tags=(), workspace=WORKSPACE, names=None, **options
):
    return export_pipeline(
        workspace,
        sources,
        destinations,
        tags,
        connections,
        SPECIFICATIONS,
        names or {},
        **options,
    )


def exported(*connections, **fields):
    """Return the one connection of an export, and its notes."""
    result = export([source()], [destination()], connections, **fields)
    (only,) = result.pipeline.connections
    return only.declaration, result.notes


def rendered(value, variables=()):
    """Render every text, as an operator does."""
    if isinstance(value, str):
        variables = dict(variables)
        return jinja2.Environment().from_string(value).render(var={"value": variables})
    if isinstance(value, dict):
        return {key: rendered(each, variables) for key, each in value.items()}
    return [rendered(each, variables) for each in value] if isinstance(value, list) else value


def from_file(pipeline, variables=()):
    """Write a pipeline, and return what an operator makes of the file."""
    text = write_yaml(to_document(pipeline))
    return parse_pipeline(rendered(dict(read_document(text)), variables))


SECRETS = st.fixed_dictionaries(
    {}, optional={"password": st.just(MASK), "key": st.just(MASK), "ssl": st.booleans()}
)
CONFIGURATIONS = st.builds(
    lambda host, secrets, accounts, tunnel: {
        "host": host,
        "port": 5432,
        **secrets,
        "accounts": [{"user": user, "token": MASK} for user in accounts],
        "tunnel_method": tunnel,
    },
    host=TEXTS,
    secrets=SECRETS,
    accounts=st.lists(TEXTS, max_size=2),
    tunnel=st.sampled_from(
        [
            {"tunnel_method": "NO_TUNNEL"},
            {"tunnel_method": "SSH_KEY", "tunnel_host": "a", "ssh_key": MASK},
        ]
    ),
)
STREAMS = st.builds(
    ConnectionStream,
    name=NAMES,
    namespace=st.none() | NAMES,
    sync_mode=st.sampled_from(SYNC_MODES),
    cursor_field=st.sampled_from([(), ("updated_at",), ("meta", "at")]),
    primary_key=st.sampled_from([(), (("id",),), (("a",), ("b", "c"))]),
    mappers=st.lists(MAPPERS.map(lambda mapper: {**mapper, "id": uuid(99)}), max_size=2).map(tuple),
)
CONNECTIONS = st.builds(
    connection,
    name=NAMES,
    status=st.sampled_from(["active", "inactive", "locked"]),
    streams=st.lists(
        STREAMS, min_size=1, max_size=3, unique_by=lambda each: (each.name, each.namespace)
    ).map(tuple),
    schedule=st.sampled_from(
        [
            Schedule("manual"),
            Schedule("cron", "0 0 3 * * ? UTC"),
            Schedule("cron", "0 0 3 * * ? Europe/Berlin"),
            Schedule("basic", basic_timing="Every 24 HOURS"),
        ]
    ),
    schema_changes=st.sampled_from(["", "ignore", "propagate_fully"]),
    namespace_definition=st.sampled_from(["source", "destination", "custom_format"]),
    namespace_format=TEXTS,
    prefix=TEXTS,
    tags=st.sampled_from([(), (tag("daily"),)]),
)


class TestApplied:
    @given(NAMES, CONFIGURATIONS)
    @settings(max_examples=25, deadline=None)
    def test_an_exported_source_is_unchanged(self, name, configuration):
        actual = source(name=name, configuration=configuration)

        (declared,) = from_file(export([actual]).pipeline).sources

        validate_configuration(declared, SPECIFICATION)
        verdicts = dict.fromkeys(
            secret_paths(SPECIFICATION.schema, declared.configuration),
            SecretVerdict(False, "declared as the stored one"),
        )
        assert plan_actor(declared, actual, SPECIFICATION, verdicts).changes == ()
        assert plan_actor(declared, actual, SPECIFICATION, verdicts).not_compared == ()

    @given(CONNECTIONS)
    @settings(max_examples=25, deadline=None)
    def test_an_exported_connection_is_unchanged(self, actual):
        pipeline = export([source()], [destination()], [actual]).pipeline

        (declared,) = from_file(pipeline).connections

        assert (declared.source, declared.destination) == ("CRM", "Warehouse")
        declaration = replace(
            declared.declaration, source_id=actual.source_id, destination_id=actual.destination_id
        )
        assert plan_connection(declaration, actual, None, {"daily": tag("daily")}).changes == ()

    def test_an_empty_workspace_is_its_name(self):
        assert write_yaml(to_document(export().pipeline)) == "workspace: Sales\n"


class TestSecrets:
    def test_a_secret_is_a_reference_which_renders_to_the_mask_or_to_its_variable(self):
        configuration = {
            "host": "db",
            "port": 1,
            "password": MASK,
            "accounts": [{"user": "a", "token": MASK}],
            "tunnel_method": {"tunnel_method": "SSH_KEY", "tunnel_host": "b", "ssh_key": MASK},
        }

        (written,) = export([source(name="My CRM!", configuration=configuration)]).pipeline.sources

        assert written.configuration["password"] == (
            "{{ var.value.get('airbyte_my_crm_password', '**********') }}"
        )
        assert rendered(written.configuration) == configuration
        variables = {
            "airbyte_my_crm_password": "a",
            "airbyte_my_crm_accounts_0_token": "b",
            "airbyte_my_crm_tunnel_method_ssh_key": "c",
        }
        assert rendered(written.configuration, variables) == {
            **configuration,
            "password": "a",
            "accounts": [{"user": "a", "token": "b"}],
            "tunnel_method": {"tunnel_method": "SSH_KEY", "tunnel_host": "b", "ssh_key": "c"},
        }

    @pytest.mark.parametrize("stored", ["hunter2", {"pem": "hunter2"}])
    def test_a_secret_that_is_not_masked_is_not_written(self, stored):
        pipeline = export([source(configuration={"host": "db", "key": stored})]).pipeline

        assert "hunter2" not in write_yaml(to_document(pipeline))

    def test_two_secrets_never_share_a_variable(self):
        configuration = {"host": "db", "port": 1, "password": MASK}
        sources = [source(1, "CRM", configuration), source(2, "crm", configuration)]

        references = [each.configuration["password"] for each in export(sources).pipeline.sources]

        assert len(set(references)) == 2

    def test_without_a_specification_what_is_masked_is_a_secret_and_a_note_says_so(self):
        actual = replace(
            source(configuration={"token": MASK, "host": "db"}), definition_id=uuid(50)
        )

        written, notes = export([actual])

        assert rendered(written.sources[0].configuration, {"airbyte_crm_token": "a"}) == {
            "token": "a",
            "host": "db",
        }
        assert "specification" in notes[0]

    def test_the_key_of_a_mapper_is_a_reference(self):
        mapper = {
            "type": "encryption",
            "id": uuid(40),
            "mapperConfiguration": {
                "algorithm": "AES",
                "targetField": "email",
                "fieldNameSuffix": "_e",
                "key": MASK,
                "mode": "CBC",
                "padding": "NoPadding",
            },
        }
        stream = ConnectionStream("orders", sync_mode="full_refresh_append", mappers=(mapper,))

        declared, _ = exported(connection(streams=(stream,)))

        (written,) = declared.streams[0].mappers
        assert "id" not in written
        assert written["mapperConfiguration"]["key"].startswith(
            "{{ var.value.get('airbyte_crm_to_warehouse_orders_mapperconfiguration_key', "
        )

    def test_the_url_of_a_webhook_is_not_written(self):
        channels = {
            "email": {"enabled": True},
            "webhook": {"enabled": True, "url": "https://hooks.example.com/hunter2"},
        }
        workspace = WORKSPACE._replace(notifications={"failure": channels})

        written, notes = export(workspace=workspace)

        assert written.workspace.notifications == {
            "failure": {"email": {"enabled": True}, "webhook": {"enabled": True}}
        }
        assert "'failure'" in notes[0]
        assert "hunter2" not in repr((written, notes))


class TestNames:
    def test_namesakes_are_told_apart_by_their_ids(self):
        pipeline = export(
            [source(1), source(2), source(3, "ERP")],
            [destination()],
            [connection(21), connection(22), connection(23, "ERP", source_id=uuid(3))],
        ).pipeline

        assert [each.resource_id for each in pipeline.sources] == [uuid(1), uuid(2), ""]
        assert [(each.source, each.declaration.connection_id) for each in pipeline.connections] == [
            (uuid(1), uuid(21)),
            (uuid(1), uuid(22)),
            ("ERP", ""),
        ]
        assert parse_pipeline(to_document(pipeline)) == pipeline

    def test_a_name_that_looks_like_an_id_is_not_used_as_a_reference(self):
        pipeline = export([source(1, uuid(2))], [destination()], [connection()]).pipeline

        assert pipeline.connections[0].source == uuid(1)

    @pytest.mark.parametrize(
        ("is_unique", "workspace_id"), [(True, ""), (False, WORKSPACE.workspace_id)]
    )
    def test_a_workspace_has_its_id_only_if_another_has_its_name(self, is_unique, workspace_id):
        pipeline = export(is_name_unique=is_unique).pipeline

        assert pipeline.workspace.workspace_id == workspace_id

    def test_a_connector_is_named_where_its_name_is_clear(self):
        (named,) = export([source()], names={DEFINITION_ID: "postgres"}).pipeline.sources
        (other,) = export([source()]).pipeline.sources

        assert (named.connector, named.definition_id) == ("postgres", "")
        assert (other.connector, other.definition_id) == ("", DEFINITION_ID)

    def test_connectors_are_named_by_their_images(self):
        definitions = [
            Definition(uuid(1), "Postgres", "airbyte/source-postgres"),
            Definition(uuid(2), "MySQL", "airbyte/source-mysql"),
            Definition(uuid(3), "mysql", "example.com/ours"),
            Definition(uuid(4), "A", "airbyte/source-declarative-manifest"),
            Definition(uuid(5), "B", "airbyte/source-declarative-manifest"),
            Definition(uuid(6), "C", "example.com/source-s3"),
            Definition(uuid(7), "D", "airbyte/source-s3"),
        ]

        assert ConnectorNames("source", definitions).unambiguous() == {
            uuid(1): "postgres",
            uuid(2): "mysql",
            uuid(3): "ours",
            uuid(7): "s3",
        }


class TestConnections:
    def test_only_what_is_set_is_written(self):
        declared, notes = exported(
            connection(
                schedule=Schedule("cron", "0 0 3 * * ? UTC"),
                namespace_format="ignored",
                schema_changes="ignore",
            )
        )

        assert (declared.schedule, declared.status) == ("0 0 3 * * ?", "active")
        assert (declared.namespace_format, declared.prefix, declared.tags) == (None, None, None)
        assert notes == ()

    @pytest.mark.parametrize(
        ("mode", "cursor", "key"),
        [
            ("full_refresh_overwrite", None, None),
            ("full_refresh_append", None, None),
            ("full_refresh_overwrite_deduped", None, (("id",),)),
            ("incremental_append", ("at",), (("id",),)),
            ("incremental_deduped_history", ("at",), (("id",),)),
        ],
    )
    def test_what_the_sync_mode_ignores_is_not_written(self, mode, cursor, key):
        stream = ConnectionStream(
            "orders", sync_mode=mode, cursor_field=("at",), primary_key=(("id",),)
        )

        declared, _ = exported(connection(streams=(stream,)))

        assert (declared.streams[0].cursor_field, declared.streams[0].primary_key) == (cursor, key)

    @pytest.mark.parametrize(
        ("schedule", "reason"),
        [
            (Schedule("basic", basic_timing="Every 24 HOURS"), "'Every 24 HOURS'"),
            (Schedule("cron", "0 0 3 * * ? Europe/Berlin"), "EUROPE/BERLIN"),
        ],
    )
    def test_a_schedule_that_cannot_be_written_becomes_a_note(self, schedule, reason):
        declared, notes = exported(connection(schedule=schedule))

        assert declared.schedule is None
        assert "without its schedule" in notes[0]
        assert reason in notes[0]

    def test_an_empty_namespace_format_becomes_a_note(self):
        declared, notes = exported(connection(namespace_definition="custom_format"))

        assert (declared.namespace_definition, declared.namespace_format) == (None, None)
        assert "without its namespace_format" in notes[0]

    @pytest.mark.parametrize(
        ("fields", "note"),
        [
            ({"streams": ()}, "it has no streams"),
            ({"source_id": uuid(77)}, "its source or destination does not exist any more"),
        ],
    )
    def test_a_connection_that_cannot_be_declared_becomes_a_note(self, fields, note):
        pipeline, notes = export([source()], [destination()], [connection(**fields)])

        assert pipeline.connections == ()
        assert note in notes[0]

    def test_a_stream_that_cannot_be_declared_keeps_its_name(self):
        stream = ConnectionStream("orders", "eu", "from_the_future")

        declared, notes = exported(connection(streams=(stream,)))

        assert [(each.name, each.sync_mode) for each in declared.streams] == [("orders", None)]
        assert "from_the_future" in notes[0]

    def test_what_was_deleted_is_left_out(self):
        deleted = replace(source(), configuration=None)

        pipeline, notes = export([deleted], connections=[connection(status="deprecated")])

        assert (pipeline.sources, pipeline.connections, notes) == ((), (), ())


class TestReadWorkspace:
    @pytest.fixture
    def emulator(self) -> Emulator:
        return Emulator(time="manual")

    @pytest.fixture
    def wire(self, emulator) -> Wire:
        return Wire(emulator)

    @pytest.fixture
    def client(self, emulator, wire) -> AirbyteClient:
        return client_for(emulator, wire)

    def test_a_workspace_is_read_without_running_a_connector(self, emulator, wire, client):
        pipeline, _ = run_blocking(read_workspace(client, emulator.workspace_id))

        assert [each.connector for each in pipeline.sources] == ["faker"]
        assert [each.connector for each in pipeline.destinations] == ["duckdb"]
        assert [each.declaration.name for each in pipeline.connections] == [
            "Sample data to Warehouse"
        ]
        assert not [each.url for each in wire.requests if "/streams" in each.url]
        assert parse_pipeline(to_document(pipeline)) == pipeline

    def test_only_the_workspace_is_exported(self, emulator, client):
        other = run_blocking(client.workspaces.create({"name": "Other"}))

        pipeline, _ = run_blocking(read_workspace(client, other.workspace_id))

        assert pipeline.workspace.name == "Other"
        assert (pipeline.sources, pipeline.connections) == ((), ())

    def test_a_workspace_with_a_namesake_has_its_id(self, emulator, client):
        twins = [run_blocking(client.workspaces.create({"name": "Twin"})) for _ in range(2)]

        pipeline, _ = run_blocking(read_workspace(client, twins[0].workspace_id))

        assert pipeline.workspace.workspace_id == twins[0].workspace_id


class TestAnExportOfWhatWasMadeLongAgo:
    """A connector changes its specification, and Airbyte keeps what was stored before."""

    @pytest.mark.parametrize(
        ("configuration", "note"),
        [
            pytest.param({"renamed": 1}, "exported without renamed:", id="a key it had once"),
            pytest.param(
                {"tunnel_method": {"tunnel_method": "NO_TUNNEL", "old": 1}},
                r"exported without tunnel_method\.old:",
                id="inside an object",
            ),
            pytest.param({"database": None}, "not exported.*database is missing", id="a new key"),
            pytest.param({"port": "5432"}, "not exported.*texts", id="another type"),
        ],
    )
    def test_can_be_applied_and_changes_nothing(self, world, configuration, note):
        workspace_id = world.apply(pipeline())[0].resource_id
        world.emulator.add_source(
            "Old",
            connector="postgres",
            workspace_id=workspace_id,
            configuration=without_nulls({**SOURCE["configuration"], **configuration}),
        )
        export = run_blocking(read_workspace(world.client, workspace_id))
        writes = world.writes

        results = run_blocking(world.provisioner().apply(from_file(export.pipeline)))

        assert {result.action for result in results} == {"unchanged"}
        assert world.writes == writes
        (said,) = export.notes
        assert re.search(note, said)
