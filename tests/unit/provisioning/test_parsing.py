"""What a declaration may say, and every problem of one that is wrong."""

import pytest

from airflow_provider_airbyte_sme.provisioning.declarations import (
    ConnectionDeclaration,
    StreamDeclaration,
    TagDeclaration,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError
from airflow_provider_airbyte_sme.provisioning.parsing import (
    parse_actor,
    parse_connection,
    parse_pipeline,
    parse_streams,
    parse_tag,
    parse_workspace,
)

ID = "0c31738c-0b2d-4887-b506-e2cd1c39cc35"
OTHER_ID = "18dcc1c8-8d4d-4d7e-8c3b-5f0e4a6a1d11"


def source(**fields):
    return {"name": "CRM", "source_type": "postgres", "configuration": {"host": "db"}, **fields}


def connection(**fields):
    return {"name": "CRM to W", "source": "CRM", "destination": "W", "streams": "all", **fields}


def streams_of(value):
    return parse_streams(value)


def problems_of(parse, *arguments):
    with pytest.raises(AirbyteDeclarationError) as caught:
        parse(*arguments)
    return caught.value.problems


class TestPipeline:
    def test_a_connection_may_name_what_the_document_does_not_declare(self):
        pipeline = parse_pipeline({"workspace": "Sales", "connections": [connection()]})

        assert [each.source for each in pipeline.connections] == ["CRM"]

    def test_every_problem_is_reported_at_once_and_says_where_it_is(self):
        document = {
            "source": [],
            "sources": [source(name=None), "CRM"],
            "tags": [{"name": "daily", "colour": "75DCFF"}],
            "connections": [connection(streams=[{"name": "orders", "sync_mod": "x"}, 5])],
        }

        assert problems_of(parse_pipeline, document) == (
            "source is unknown; did you mean sources?",
            "workspace is missing",
            "sources[#1].name is missing",
            "sources[#2] must be a mapping with name, source_id, source_type, definition_id, "
            "update_secrets, resource_allocation, configuration, not text",
            "tags['daily'].colour is unknown; did you mean color?",
            "connections['CRM to W'].streams['orders'].sync_mod is unknown; did you mean "
            "sync_mode?",
            "connections['CRM to W'].streams[#2] must be a mapping with name, namespace, "
            "sync_mode, cursor_field, primary_key, selected_fields, mappers, not 5",
        )

    def test_the_error_names_the_document(self):
        with pytest.raises(AirbyteDeclarationError, match=r"^crm.yaml: workspace is missing$"):
            parse_pipeline({}, what="crm.yaml")

    @pytest.mark.parametrize("document", [None, [], "workspace: Sales", 5])
    def test_a_document_that_is_no_mapping_is_one_problem(self, document):
        (problem,) = problems_of(parse_pipeline, document)

        assert problem.startswith("it must be a mapping with workspace, sources, ")

    @pytest.mark.parametrize(
        ("declared", "problem"),
        [
            (
                {"sources": [source(), source(source_id=ID)]},
                "sources have 'CRM' 2 times: tell them apart by source_id",
            ),
            (
                {"sources": [source(source_id=ID), source(source_id=ID, name="B")]},
                f"sources have the id {ID} 2 times",
            ),
            ({"tags": [{"name": "daily"}, {"name": "daily"}]}, "tags have 'daily' 2 times"),
            (
                {"connections": [connection(), connection()]},
                "connections have 'CRM to W' 2 times: tell them apart by connection_id",
            ),
            (
                {
                    "sources": [source(source_id=ID), source(source_id=OTHER_ID)],
                    "connections": [connection()],
                },
                "connections['CRM to W'].source could be 2 sources: use source_id",
            ),
        ],
    )
    def test_what_is_ambiguous_is_a_problem(self, declared, problem):
        assert problems_of(parse_pipeline, {"workspace": "Sales", **declared}) == (problem,)

    def test_namesakes_with_ids_of_their_own_are_two_sources(self):
        sources = [source(source_id=ID), source(source_id=OTHER_ID)]

        parsed = parse_pipeline({"workspace": "Sales", "sources": sources}).sources

        assert [each.resource_id for each in parsed] == [ID, OTHER_ID]


class TestWorkspace:
    def test_a_workspace_may_be_its_name(self):
        assert parse_workspace("Sales") == WorkspaceDeclaration("Sales")

    def test_an_id_is_written_as_airbyte_writes_it(self):
        parsed = parse_workspace({"name": "Sales", "workspace_id": ID.upper()})

        assert parsed.workspace_id == ID


class TestActor:
    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"source_type": None}, "source_type is missing: give it, or definition_id"),
            ({"definition_id": ID}, "source_type and definition_id are both given: remove one"),
            ({"configuration": None}, "configuration is missing"),
            ({"configuration": ["secret"]}, "configuration must be a mapping, not a list"),
            ({"configuration": "secret"}, "configuration must be a mapping, not text"),
            ({"name": " "}, "name is empty"),
            ({"name": 2026}, "name must be text, not 2026: quote it"),
            ({"source_id": "CRM"}, "source_id must be a UUID, not 'CRM'"),
            (
                {"update_secrets": "sometimes"},
                "update_secrets must be when_changed or always or never, not 'sometimes'",
            ),
            ({"destination_type": "postgres"}, "destination_type is unknown; did you mean "),
            ({"zzz": 1}, "zzz is unknown; known keys: name, source_id, source_type, "),
        ],
    )
    def test_a_problem_names_the_field_and_what_is_right(self, fields, problem):
        (found,) = problems_of(parse_actor, "source", source(**fields))

        assert found.startswith(problem)

    def test_the_error_names_the_source(self):
        with pytest.raises(AirbyteDeclarationError, match=r"^source 'CRM': source_type is missing"):
            parse_actor("source", source(source_type=None))

    def test_what_a_template_rendered_to_text_is_parsed(self):
        parsed = parse_actor(
            "destination",
            {
                "name": "W",
                "destination_type": "postgres",
                "configuration": "{'host': 'db', 'ssl': True}",
                "resource_allocation": '{"default": {"cpu_limit": "2"}}',
            },
        )

        assert parsed.configuration == {"host": "db", "ssl": True}
        assert parsed.resource_allocation == {"default": {"cpu_limit": "2"}}


class TestTag:
    @pytest.mark.parametrize("color", ["75DCFF", "#75DCFF"])
    def test_a_color_may_have_a_hash_sign(self, color):
        assert parse_tag({"name": "daily", "color": color}) == TagDeclaration("daily", "75DCFF")

    @pytest.mark.parametrize("color", ["red", "75DCF", "75DCFF0", "", 123456])
    def test_another_color_is_a_problem(self, color):
        (problem,) = problems_of(parse_tag, {"name": "daily", "color": color})

        assert problem.startswith("color must be")


class TestConnection:
    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"streams": None}, "streams is missing"),
            ({"source": None}, "source is missing: give it, or source_id"),
            ({"source_id": ID}, "source and source_id are both given: remove one"),
            ({"status": "deprecated"}, "status: 'deprecated' is not one of active, inactive"),
            ({"exact": "yes"}, "exact must be true or false, not 'yes'"),
            ({"allow_state_loss": 1}, "allow_state_loss must be true or false, not 1"),
            ({"tags": "daily"}, "tags must be a list, not text"),
            ({"tags": ["daily", ""]}, "tags: a name is empty"),
            ({"schedule": ""}, "schedule is empty"),
            (
                {"namespace_format": "x", "namespace_definition": "source"},
                "namespace_format: it counts only with namespace_definition: custom_format",
            ),
        ],
    )
    def test_a_problem_names_the_field_and_what_is_right(self, fields, problem):
        assert problems_of(parse_connection, connection(**fields)) == (problem,)

    def test_ids_may_stand_for_names(self):
        parsed = parse_connection(
            connection(source=None, source_id=ID, destination=None, destination_id=OTHER_ID.upper())
        )

        assert (parsed.source, parsed.destination) == (ID, OTHER_ID)

    def test_what_is_not_given_is_not_declared(self):
        assert parse_connection(connection()).declaration == ConnectionDeclaration(
            "CRM to W", "", "", "all"
        )

    def test_empty_values_are_declared(self):
        parsed = parse_connection(connection(prefix="", tags=[])).declaration

        assert (parsed.prefix, parsed.tags) == ("", ())

    def test_a_rendered_truth_value_is_one(self):
        parsed = parse_connection(connection(exact="True", allow_state_loss="false")).declaration

        assert (parsed.exact, parsed.allow_state_loss) == (True, False)


class TestStreams:
    def test_a_stream_may_be_its_name(self):
        assert parse_streams(["orders"]) == (StreamDeclaration("orders"),)

    @pytest.mark.parametrize(
        ("key", "value", "parsed"),
        [
            ("cursor_field", "updated_at", ("updated_at",)),
            ("cursor_field", ["meta", "at"], ("meta", "at")),
            ("cursor_field", [], ()),
            ("primary_key", "id", (("id",),)),
            ("primary_key", ["a", "b"], (("a",), ("b",))),
            ("primary_key", [["a", "b"]], (("a", "b"),)),
            ("selected_fields", ["a", ["b"]], (("a",), ("b",))),
            ("selected_fields", [], ()),
            ("mappers", [], ()),
        ],
    )
    def test_fields_may_be_written_short(self, key, value, parsed):
        (stream,) = streams_of([{"name": "orders", key: value}])

        assert getattr(stream, key) == parsed

    def test_a_rendered_list_is_one(self):
        assert parse_streams("['orders']") == (StreamDeclaration("orders"),)

    @pytest.mark.parametrize(
        ("streams", "problem"),
        [
            ([], "streams: empty, so nothing would be synced"),
            ("orders", "streams must be 'all' or a list, not 'orders'"),
            ({"orders": {}}, "streams must be a list, not a mapping"),
            (["orders", {"name": "orders"}], "streams.orders: declared 2 times"),
            (
                [{"name": "a", "primary_key": ["x", "x"]}],
                "streams.a.primary_key: x declared more than once",
            ),
            ([{"name": "a", "primary_key": [[]]}], "streams.a.primary_key: a field path is empty"),
            (
                [{"name": "a", "cursor_field": 5}],
                "streams['a'].cursor_field must be names of fields, not 5",
            ),
            (
                [{"name": "a", "mappers": ["x"]}],
                "streams['a'].mappers[#1] must be a mapping, not text",
            ),
        ],
    )
    def test_a_problem_says_what_is_wrong(self, streams, problem):
        assert problems_of(parse_streams, streams) == (problem,)

    def test_one_name_in_two_namespaces_is_two_streams(self):
        streams = [{"name": "orders", "namespace": each} for each in ("eu", "us")]

        assert [each.namespace for each in streams_of(streams)] == ["eu", "us"]
