"""How declarations are written down, and what a file may contain."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from airflow_provider_airbyte_sme.provisioning.declarations import (
    PipelineDeclaration,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteDeclarationError
from airflow_provider_airbyte_sme.provisioning.files import (
    read_document,
    to_document,
    write_yaml,
)
from airflow_provider_airbyte_sme.provisioning.parsing import parse_pipeline
from tests.unit.provisioning.strategies import PIPELINES

REPOSITORY = Path(__file__).resolve().parents[3]


def problem_of(source):
    with pytest.raises(AirbyteDeclarationError) as caught:
        read_document(source)
    (problem,) = caught.value.problems
    return problem


class TestRoundTrip:
    @given(PIPELINES)
    @settings(max_examples=25, deadline=None)
    def test_a_pipeline_survives_yaml_and_json(self, pipeline):
        document = to_document(pipeline)

        assert parse_pipeline(document) == pipeline
        assert parse_pipeline(read_document(write_yaml(document))) == pipeline
        assert parse_pipeline(read_document(json.dumps(document))) == pipeline

    def test_only_what_is_declared_is_written(self):
        pipeline = PipelineDeclaration(WorkspaceDeclaration("Sales"))

        assert write_yaml(to_document(pipeline), "Ours\n\nRead me") == (
            "# Ours\n#\n# Read me\n\nworkspace: Sales\n"
        )

    def test_a_file_reads_as_people_write_it(self):
        text = (
            "workspace: Sales\n"
            "sources:\n"
            "  - name: CRM\n"
            "    source_type: postgres\n"
            "    configuration:\n"
            "      host: '{{ var.value.host }}'\n"
            "      country: 'no'\n"
            "      key: |\n"
            "        -----BEGIN-----\n"
            "        abc\n"
            "connections:\n"
            "  - name: CRM to W\n"
            "    source: CRM\n"
            "    destination: W\n"
            "    tags: [daily]\n"
            "    streams:\n"
            "      - orders\n"
            "      - name: customers\n"
            "        cursor_field: updated_at\n"
            "        primary_key: [id, [meta, shard]]\n"
            "        selected_fields: [id, updated_at]\n"
        )

        assert write_yaml(to_document(parse_pipeline(read_document(text)))) == text


class TestYaml:
    @pytest.mark.parametrize("text", ["2026-01-31", "no", "on", "22:30", "0755", "0x1F", ".inf"])
    def test_what_is_no_json_is_text(self, text):
        assert read_document(f"key: {text}") == {"key": text}

    @pytest.mark.parametrize(
        ("text", "value"),
        [("5", 5), ("-0.5", -0.5), ("1e3", 1000.0), ("True", True), ("null", None), ("~", None)],
    )
    def test_what_is_json_has_its_type(self, text, value):
        assert read_document(f"key: {text}") == {"key": value}

    def test_a_part_may_be_used_again(self):
        assert read_document("a: &a {x: 1, y: 1}\nb:\n  <<: *a\n  y: 2") == {
            "a": {"x": 1, "y": 1},
            "b": {"x": 1, "y": 2},
        }

    @pytest.mark.parametrize(
        "text",
        [
            "name: ok\nhost: {{ var.value.host }}",
            "name: ok\nhost: {{ var.value.host }}/db",
            "name: ok\nhosts: [{{ var.value.host }}]",
            "name: ok\n{% if x %}",
        ],
    )
    def test_a_template_without_quotes_is_explained(self, text):
        problem = problem_of(text)

        assert problem.startswith("line 2: ")
        assert 'a template must be in quotes, such as name: "{{ var.value.name }}"' in problem

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is there twice"),
            ("a:\n  5: x", "line 2: the key '5' is not text: quote it"),
            ("a: [", "line 1: expected the node content, but found '<stream end>'"),
            ("- a", "it must be a mapping, such as workspace: Sales"),
            ("", "it must be a mapping, such as workspace: Sales"),
            (
                "a: &a [*a]",
                "it may only have text, numbers, true, false, null, lists and mappings",
            ),
            (
                "a: !!python/object:os.system {}",
                "line 1: could not determine a constructor for the tag: quote a text that begins "
                "with *, & or !",
            ),
        ],
    )
    def test_a_problem_says_where_it_is(self, text, problem):
        assert problem_of(text) == problem

    def test_a_password_without_quotes_is_not_in_the_message(self):
        assert "hunter2" not in problem_of("password: *hunter2")


class TestJson:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
            ('{\n"a": }', "line 2: Expecting value"),
        ],
    )
    def test_a_problem_says_where_it_is(self, text, problem):
        assert problem_of(text) == problem


class TestPaths:
    @pytest.mark.parametrize(
        ("name", "text"), [("a.json", '{"workspace": "Ä"}'), ("a.yaml", "workspace: Ä")]
    )
    def test_the_name_of_a_file_tells_its_format(self, tmp_path, name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")

        assert read_document(tmp_path / name) == {"workspace": "Ä"}

    def test_a_problem_names_the_file(self, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text("- a")

        with pytest.raises(AirbyteDeclarationError) as caught:
            read_document(path)
        assert str(caught.value).startswith(f"{path}: it must be a mapping")

    def test_a_missing_file_is_a_problem(self, tmp_path):
        assert problem_of(tmp_path / "a.yaml") == "it cannot be read: No such file or directory"

    def test_a_file_that_is_not_utf_8_is_a_problem(self, tmp_path):
        (tmp_path / "a.yaml").write_bytes(b"a: \xff")

        assert problem_of(tmp_path / "a.yaml") == "it is not UTF-8: save it as such"


def test_the_documented_file_is_valid_and_complete():
    text = (REPOSITORY / "docs/pipeline-file.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("```yaml\n")
    pipeline = parse_pipeline(read_document(rest.partition("```")[0]))

    assert pipeline.sources
    assert pipeline.connections
    assert pipeline.tags
