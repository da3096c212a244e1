"""Parsing of everything but jobs: connections, streams, actors, people and regions."""

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConnection,
    AirbyteDecodeError,
    Application,
    ConnectionCheck,
    ConnectionState,
    ConnectionStream,
    ConnectorDefinition,
    ConnectorSpecification,
    Dataplane,
    DataplaneCredentials,
    DeclarativeDefinition,
    Definition,
    Destination,
    Group,
    GroupMember,
    GroupPermission,
    Job,
    Organization,
    Permission,
    Region,
    Schedule,
    Source,
    StreamProperties,
    Tag,
    User,
    Workspace,
)
from airflow_provider_airbyte_sme.api.models import streams_of_catalog
from tests.unit.api.responses import CONNECTION

STREAM = {
    "name": "users",
    "namespace": "public",
    "syncMode": "incremental_deduped_history",
    "cursorField": ["updated_at"],
    "primaryKey": [["id"], ["address", "city"]],
    "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["updated_at"]}],
    "mappers": [
        {"id": "m-1", "type": "field-filtering", "mapperConfiguration": {"targetField": "ssn"}}
    ],
    "includeFiles": True,
    "destinationObjectName": "contacts",
}
TAG = {"tagId": "t-1", "name": "nightly", "color": "75DCFF", "workspaceId": "w-1"}
SOURCE = {
    "sourceId": "s-1",
    "name": "crm",
    "sourceType": "postgres",
    "definitionId": "d-1",
    "workspaceId": "w-1",
    "configuration": {"host": "db", "password": "**********"},
    "createdAt": 1774402250,
    "resourceAllocation": {"default": {"cpu_limit": "2"}},
}


class TestStreams:
    def test_a_stream_returns_to_airbyte_as_it_came(self):
        assert ConnectionStream.from_json(STREAM).to_json() == STREAM

    def test_what_this_version_does_not_know_is_sent_back(self):
        # A PATCH resets every field that it leaves out.
        newer = {**STREAM, "batchSize": 500}

        assert ConnectionStream.from_json(newer).to_json() == newer
        assert ConnectionStream.from_json(newer) == ConnectionStream.from_json(STREAM)

    @pytest.mark.parametrize("nothing", [None, []])
    @pytest.mark.parametrize("name", ["cursorField", "primaryKey", "selectedFields", "mappers"])
    def test_null_absent_and_empty_are_one_and_not_sent(self, name, nothing):
        stream = ConnectionStream.from_json({**STREAM, name: nothing})

        assert stream == ConnectionStream.from_json({k: STREAM[k] for k in STREAM if k != name})
        assert name not in stream.to_json()

    def test_a_stream_needs_nothing_but_its_name(self):
        stream = ConnectionStream.from_json({"name": "users"})

        assert stream.to_json() == {"name": "users"}
        assert not stream.is_incremental

    def test_messages_name_a_stream_with_its_namespace(self):
        assert str(ConnectionStream.from_json(STREAM)) == "public.users"
        assert str(StreamProperties("users")) == "users"

    def test_what_a_source_offers_is_parsed(self):
        properties = StreamProperties.from_json(
            {
                "streamName": "users",
                "streamnamespace": "public",
                "syncModes": ["full_refresh_append", "incremental_append"],
                "defaultCursorField": ["updated_at"],
                "sourceDefinedCursorField": True,
                "sourceDefinedPrimaryKey": [["id"]],
                "propertyFields": [["id"], ["address", "city"]],
            }
        )

        assert properties == StreamProperties(
            name="users",
            namespace="public",
            sync_modes=("full_refresh_append", "incremental_append"),
            default_cursor_field=("updated_at",),
            source_defined_cursor=True,
            source_defined_primary_key=(("id",),),
            fields=(("id",), ("address", "city")),
        )


class TestCatalogs:
    def test_unselected_streams_are_there_with_all_fields(self):
        schema = {
            "properties": {
                "id": {"type": "integer"},
                "address": {"properties": {"city": {"type": "string"}}},
            }
        }
        stream = {
            "name": "users",
            "namespace": "public",
            "jsonSchema": schema,
            "supportedSyncModes": ["full_refresh", "incremental"],
            "sourceDefinedCursor": True,
            "defaultCursorField": ["updated_at"],
            "sourceDefinedPrimaryKey": [["id"]],
        }
        payload = {
            "syncCatalog": {
                "streams": [
                    {"stream": stream, "config": {"selected": True}},
                    {"stream": {"name": "orders"}, "config": {"selected": False}},
                ]
            }
        }

        assert streams_of_catalog(payload) == [
            StreamProperties(
                name="users",
                namespace="public",
                default_cursor_field=("updated_at",),
                source_defined_cursor=True,
                source_defined_primary_key=(("id",),),
                fields=(("id",), ("address", "city")),
                types=("integer", "string"),
            ),
            StreamProperties("orders"),
        ]

    def test_a_connection_without_a_catalog_has_no_streams(self):
        assert streams_of_catalog({}) == []

    def test_a_stream_without_a_name_is_an_error(self):
        with pytest.raises(AirbyteDecodeError, match="field 'name' is missing"):
            streams_of_catalog({"syncCatalog": {"streams": [{"stream": {}}]}})


class TestConnections:
    def test_all_fields_are_parsed(self):
        connection = AirbyteConnection.from_json(
            {
                **CONNECTION,
                "configurations": {"streams": [STREAM]},
                "schedule": {"scheduleType": "cron", "cronExpression": "0 0 6 * * ? UTC"},
                "nonBreakingSchemaUpdatesBehavior": "propagate_columns",
                "namespaceDefinition": "custom_format",
                "namespaceFormat": "raw_${SOURCE_NAMESPACE}",
                "prefix": "crm_",
                "tags": [TAG],
                "createdAt": 1774402250,
            }
        )

        assert connection.id == CONNECTION["connectionId"]
        assert connection.streams == (ConnectionStream.from_json(STREAM),)
        assert connection.schedule == Schedule("cron", "0 0 6 * * ? UTC")
        assert connection.schema_changes == "propagate_columns"
        assert connection.namespace_definition == "custom_format"
        assert connection.namespace_format == "raw_${SOURCE_NAMESPACE}"
        assert connection.prefix == "crm_"
        assert connection.tags == (Tag("t-1", "nightly", "75DCFF", "w-1"),)
        assert connection.created_at == 1774402250

    def test_what_is_missing_has_its_default(self):
        connection = AirbyteConnection.from_json(CONNECTION)

        assert (connection.streams, connection.tags) == ((), ())
        assert connection.schedule == Schedule("manual")
        assert connection.namespace_definition == "destination"

    @pytest.mark.parametrize(("status", "is_deleted"), [("deprecated", True), ("inactive", False)])
    def test_a_deprecated_connection_is_deleted(self, status, is_deleted):
        connection = AirbyteConnection.from_json({**CONNECTION, "status": status})

        assert connection.is_deleted is is_deleted

    def test_a_schedule_of_the_ui_is_parsed(self):
        schedule = Schedule.from_json({"scheduleType": "basic", "basicTiming": "Every 24 HOURS"})

        assert schedule == Schedule("basic", basic_timing="Every 24 HOURS")

    def test_a_tag_returns_to_airbyte_as_it_came(self):
        assert Tag.from_json(TAG).to_json() == TAG
        assert Tag.from_json(TAG).id == "t-1"

    def test_the_state_names_its_streams(self):
        per_stream = {
            "stateType": "stream",
            "streamState": [
                {"streamDescriptor": {"name": "users", "namespace": "public"}, "streamState": {}},
                {"streamDescriptor": {"name": "orders"}},
            ],
        }
        shared = {"streamStates": [{"streamDescriptor": {"name": "users"}}]}

        state = ConnectionState.from_json(per_stream)
        assert state == ConnectionState("stream", per_stream)
        assert state.streams() == {("users", "public"), ("orders", None)}
        in_global = ConnectionState.from_json({"stateType": "global", "globalState": shared})
        assert in_global.streams() == {("users", None)}
        assert ConnectionState.from_json({}).streams() == frozenset()
        assert ConnectionState.from_json({}).state_type == "not_set"


class TestActors:
    def test_a_source_is_parsed(self):
        source = Source.from_json(SOURCE)

        assert source == Source(
            actor_id="s-1",
            name="crm",
            workspace_id="w-1",
            definition_id="d-1",
            connector="postgres",
            configuration={"host": "db", "password": "**********"},
            resource_allocation={"default": {"cpu_limit": "2"}},
            created_at=1774402250,
        )
        assert (source.id, source.kind, str(source)) == ("s-1", "source", "'crm' (s-1)")
        assert "configuration" not in repr(source)

    def test_a_destination_is_parsed(self):
        destination = Destination.from_json(
            {"destinationId": "d-2", "workspaceId": "w-1", "destinationType": "duckdb"}
        )

        assert (destination.id, destination.connector) == ("d-2", "duckdb")
        with pytest.raises(AirbyteDecodeError, match="field 'destinationId' is missing"):
            Destination.from_json(SOURCE)

    def test_one_without_a_configuration_is_deleted(self):
        assert Source.from_json({**SOURCE, "configuration": None}).is_deleted
        assert not Source.from_json({**SOURCE, "configuration": {}}).is_deleted

    def test_the_specification_of_a_connector_is_parsed(self):
        schema = {"properties": {"password": {"airbyte_secret": True}}}

        assert ConnectorSpecification.from_json(
            {
                "destinationDefinitionId": "d-1",
                "connectionSpecification": schema,
                "documentationUrl": "https://docs.airbyte.com",
                "supportedDestinationSyncModes": ["overwrite", "append"],
            }
        ) == ConnectorSpecification(
            "d-1", schema, "https://docs.airbyte.com", ("overwrite", "append")
        )
        with pytest.raises(AirbyteDecodeError, match="DefinitionId' is missing"):
            ConnectorSpecification.from_json({})

    @pytest.mark.parametrize(
        ("payload", "check"),
        [
            ({"status": "succeeded", "jobInfo": {}}, ConnectionCheck(True)),
            ({"status": "failed", "message": "no\nroute"}, ConnectionCheck(False, "no route")),
            # The check job itself failed.
            ({"jobInfo": {"succeeded": False}}, ConnectionCheck(None)),
        ],
    )
    def test_a_check_is_parsed(self, payload, check):
        assert ConnectionCheck.from_json(payload) == check

    def test_the_message_of_a_check_contains_no_secret(self):
        long = f"{'x' * 395} hunter22 rejected"

        check = ConnectionCheck.from_json({"status": "failed", "message": long}, ["hunter22"])

        # Also where the message is cut.
        assert "hunt" not in check.message


CONFIG_JOB: dict[str, Any] = {
    "id": 42,
    "configType": "reset_connection",
    "configId": "c-1",
    "status": "running",
    "createdAt": 1774402250,
    "updatedAt": 1774402310,
}


class TestJobsOfTheConfigApi:
    def test_a_clear_is_a_reset(self):
        assert Job.from_job_info({"job": CONFIG_JOB, "attempts": []}) == Job(
            job_id=42,
            status="running",
            connection_id="c-1",
            job_type="reset",
            started_at=datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC),
        )

    def test_a_job_that_ended_has_the_time_of_its_end(self):
        job = {**CONFIG_JOB, "configType": "refresh", "status": "succeeded"}

        parsed = Job.from_job_info({"job": job})

        assert (parsed.job_type, parsed.has_succeeded) == ("refresh", True)
        assert parsed.last_updated_at == datetime(2026, 3, 25, 1, 31, 50, tzinfo=UTC)

    @pytest.mark.parametrize("wrong", [None, "soon", 1e30, 10**30])
    def test_an_unreadable_time_counts_as_missing(self, wrong):
        assert Job.from_job_info({"job": {**CONFIG_JOB, "createdAt": wrong}}).started_at is None

    @pytest.mark.parametrize("name", ["id", "status", "configId"])
    def test_a_missing_required_field_is_named_in_the_error(self, name):
        job = {key: value for key, value in CONFIG_JOB.items() if key != name}

        with pytest.raises(AirbyteDecodeError, match=f"field '{name}' is missing"):
            Job.from_job_info({"job": job})


PEOPLE: list[tuple[Any, dict[str, Any], object]] = [
    (
        Workspace,
        {"workspaceId": "w-1", "name": "Analytics", "notifications": {"failure": {}}},
        Workspace("w-1", "Analytics", {"failure": {}}),
    ),
    (
        Definition,
        {"id": "d-1", "name": "X", "dockerRepository": "a/x", "dockerImageTag": "1.0"},
        Definition("d-1", "X", "a/x", "1.0"),
    ),
    (
        DeclarativeDefinition,
        {"id": "d-1", "name": "X", "manifest": {"spec": {}}, "version": 3},
        DeclarativeDefinition("d-1", "X", {"spec": {}}, 3),
    ),
    (
        ConnectorDefinition,
        {"id": "d-1", "name": "X", "connectorDefinitionType": "source", "version": "1.0"},
        ConnectorDefinition("d-1", "X", "source", "1.0"),
    ),
    (
        Organization,
        {"organizationId": "o-1", "organizationName": "Acme", "email": "a@b.c"},
        Organization("o-1", "Acme", "a@b.c"),
    ),
    (User, {"id": "u-1", "name": "Ann", "email": "a@b.c"}, User("u-1", "Ann", "a@b.c")),
    (
        Permission,
        {
            "permissionId": "p-1",
            "permissionType": "workspace_admin",
            "userId": "u-1",
            "workspaceId": "w-1",
        },
        Permission("p-1", "workspace_admin", "u-1", workspace_id="w-1"),
    ),
    (
        Permission,
        {
            "permissionId": "p-1",
            "permissionType": "organization_admin",
            "userId": "u-1",
            "scope": "organization",
            "scopeId": "o-1",
        },
        Permission("p-1", "organization_admin", "u-1", organization_id="o-1"),
    ),
    (
        Permission,
        {
            "permissionId": "p-1",
            "permissionType": "instance_admin",
            "userId": "u-1",
            "scope": "none",
            "scopeId": "00000000-0000-0000-0000-000000000000",
        },
        Permission("p-1", "instance_admin", "u-1"),
    ),
    (
        Application,
        {
            "id": "a-1",
            "name": "airflow",
            "clientId": "id",
            "clientSecret": "s3cret",
            "createdAt": 1774402250,
        },
        Application("a-1", "airflow", "id", "s3cret", 1774402250),
    ),
    (
        Region,
        {
            "regionId": "r-1",
            "name": "EU",
            "organizationId": "o-1",
            "enabled": False,
            "createdAt": "2026-03-25T01:30:50Z",
        },
        Region("r-1", "EU", "o-1", False, datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC)),
    ),
    (
        Dataplane,
        {"dataplaneId": "p-1", "name": "one", "regionId": "r-1", "enabled": True},
        Dataplane("p-1", "one", "r-1"),
    ),
    (
        DataplaneCredentials,
        {"dataplaneId": "p-1", "regionId": "r-1", "clientId": "id", "clientSecret": "s3cret"},
        DataplaneCredentials("p-1", "r-1", "id", "s3cret"),
    ),
    (
        Group,
        {"groupId": "g-1", "name": "team", "organizationId": "o-1", "memberCount": 2},
        Group("g-1", "team", "o-1", member_count=2),
    ),
    (
        GroupMember,
        {"memberId": "m-1", "groupId": "g-1", "userId": "u-1", "userEmail": "a@b.c"},
        GroupMember("m-1", "g-1", "u-1", "a@b.c"),
    ),
    (
        GroupPermission,
        {
            "permissionId": "p-1",
            "groupId": "g-1",
            "permissionType": "workspace_reader",
            "workspaceId": "w-1",
        },
        GroupPermission("p-1", "g-1", "workspace_reader", "w-1"),
    ),
]


@pytest.mark.parametrize(("model", "payload", "expected"), PEOPLE)
def test_everything_else_is_parsed(model, payload, expected):
    assert model.from_json(payload) == expected


@pytest.mark.parametrize(("model", "payload", "expected"), PEOPLE)
def test_without_its_id_nothing_can_be_used(model, payload, expected):
    del expected
    identifier = next(iter(payload))

    with pytest.raises(AirbyteDecodeError, match=f"field '{identifier}' is missing"):
        model.from_json({**payload, identifier: None})


def test_new_credentials_are_not_in_a_representation():
    for model, payload, _ in PEOPLE:
        assert "s3cret" not in f"{model.from_json(payload)!r} {model.from_json(payload)}"


@pytest.mark.parametrize(
    "named",
    [
        Definition("id-1", "X"),
        DeclarativeDefinition("id-1", "X"),
        ConnectorDefinition("id-1", "X"),
        Group("id-1", "X"),
        Workspace("id-1", "X"),
    ],
)
def test_messages_name_a_resource_by_name_and_id(named):
    assert str(named) == "'X' (id-1)"
