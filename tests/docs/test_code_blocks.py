"""Each block of code in the documentation is run or parsed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.docs import code_blocks
from tests.docs.pages import DOCS, Block, blocks_of, code_spans_of, name_of, pages

ALL_BLOCKS = [
    block for path in pages() for block in blocks_of(path) if not block.language.startswith("{")
]
PYTHON = [block for block in ALL_BLOCKS if block.language == "python"]
OTHERS = [block for block in ALL_BLOCKS if block.language != "python"]
NEW = [block for block in PYTHON if not code_blocks.is_quoted(block.code)]
DAG_FILES = [block for block in NEW if code_blocks.is_dag_file(block.code)]
SCRIPTS = [block for block in NEW if not code_blocks.is_dag_file(block.code)]

ADVICE = (
    "Copy the lines from a file in dags_examples/ or tests/, or write a whole file with its "
    "imports, which runs by itself."
)


URI = "airbyte-sme://https://ID:SECRET@airbyte.example.com/?config_api=false"


def place_of(block: Block) -> str:
    return block.place


def a_block(language: str, code: str) -> Block:
    return Block(DOCS / "page.md", 1, language, code)


def add_dbt_manifest(folder: Path) -> None:
    """Add what DAG files of the documentation read: a dbt project, as it is after ``dbt parse``."""
    source = {"source_name": "crm", "name": "users", "database": "analytics", "schema": "raw"}
    manifest = folder / "dbt/target/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"sources": {"source.dbt.crm.users": source}}))


def test_there_are_blocks():
    assert len(PYTHON) > 10
    assert len(OTHERS) > 20


@pytest.mark.parametrize("block", OTHERS, ids=place_of)
def test_a_block_is_what_its_language_says(block):
    fault = code_blocks.fault_of(block)

    assert not fault, f"{block.place}: {fault}"


@pytest.mark.parametrize("path", pages(), ids=name_of)
def test_commands_and_options_in_sentences_exist(path):
    faults = [
        f"{name_of(path)}:{line}: {fault}"
        for line, code in code_spans_of(path)
        if (fault := code_blocks.fault_of_span(code))
    ]

    assert faults + code_blocks.faults_of_variables(path.read_text(encoding="utf-8")) == []


def test_airflow_parses_the_dag_files(tmp_path):
    add_dbt_manifest(tmp_path)
    names = {f"block_{number}.py": block for number, block in enumerate(DAG_FILES)}

    faults = code_blocks.faults_of_dag_files(
        {name: block.code for name, block in names.items()}, tmp_path
    )

    found = [f"{names[name].place}: {fault}" for name, fault in faults.items() if fault]
    assert not found, "\n".join([*found, ADVICE])


@pytest.fixture
def environment():
    """An emulator, and the Airflow connection to it, for programs that need an Airbyte."""
    emulator = Emulator(time="instant")
    with emulator.serve() as server:
        connection = {
            "conn_type": "airbyte_sme",
            "host": server.url,
            "login": emulator.client_id,
            "password": emulator.client_secret,
        }
        yield {"AIRFLOW_CONN_AIRBYTE_SME_DEFAULT": json.dumps(connection)}


def test_python_that_is_not_quoted_runs(environment, tmp_path_factory):
    found = [
        f"{block.place}: {fault}"
        for block in SCRIPTS
        if (
            fault := code_blocks.fault_of_script(
                block.code, tmp_path_factory.mktemp("script"), environment
            )
        )
    ]

    assert not found, "\n".join([*found, ADVICE])


def test_python_is_quoted_from_the_file_that_its_page_names():
    named = [(block, block.origin) for block in PYTHON if block.origin is not None]
    wrong = [
        f"{block.place}: it is not in {name_of(origin)}"
        for block, origin in named
        if not code_blocks.is_quoted_from(block.code, origin.read_text(encoding="utf-8"))
    ]

    assert len(named) > 10
    assert not wrong, "\n".join(wrong)


class TestQuotes:
    CODE = 'task_id="sync",\nconnection_id="{{ var.value.airbyte_connection_id }}",\n'

    def test_lines_of_an_example_are_quoted_at_any_indentation(self):
        assert code_blocks.is_quoted(self.CODE)
        assert code_blocks.is_quoted(f"  {self.CODE}".replace("\n", "\n  "))

    def test_a_line_that_differs_is_not_quoted(self):
        assert not code_blocks.is_quoted(
            self.CODE.replace("airbyte_connection_id", "nobody_has_it")
        )

    @pytest.mark.parametrize(
        "code",
        [
            CODE.removesuffix('",\n'),
            CODE.removeprefix("task_"),
            CODE.replace("\n", "\n\n", 1),
            "print(nothing)\n",
        ],
    )
    def test_parts_of_lines_and_what_is_wrong_on_purpose_are_not_quoted(self, code):
        assert not code_blocks.is_quoted(code)

    def test_the_file_that_a_sentence_names_is_known(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(
            "From [a](a.py):\n\n```python\n1\n```\n\n```python\n2\n```\n\n"
            "See [b](b.py).\n\n```python\n3\n```\n"
        )

        assert [block.origin for block in blocks_of(page)] == [tmp_path / "a.py", None, None]


class TestCommands:
    @pytest.mark.parametrize(
        "code",
        [
            "make demo  # a real Airflow\n",
            "AIRBYTE_EXAMPLES=3 make test-soak TESTS=tests/unit && make lint types",
            "airflow connections add airbyte_sme_default --conn-type airbyte_sme \\\n"
            "    --conn-host https://a --conn-extra '{\n  \"request_timeout\": 1\n}'",
            "airflow dags list | grep sync > /tmp/dags",
            "python -m airflow_provider_airbyte_sme export --conn-id a --workspace Sales",
            "python -m airflow_provider_airbyte_sme.emulator --port 8000",
            "cat <<'END' > a.yaml\nmake nothing\nEND\n",
            "pip install 'airflow-provider-airbyte-sme[migrate]' 'dbt-core[any]<2' -e .",
            "airflow connections add a --conn-type http --conn-extra '{\"any\": 1}'",
            f"airflow connections add a --conn-uri '{URI}&request_timeout=60'",
            'AIRFLOW_CONN_A=\'{"conn_type": "airbyte_sme", "host": "https://a"}\' make demo',
            'export AIRFLOW_CONN_A="$(cat connection.json)"',
            "python -m scripts.release_check --skip-install",
        ],
    )
    def test_a_command_that_exists_is_accepted(self, code):
        assert code_blocks.fault_of(a_block("bash", code)) == ""

    @pytest.mark.parametrize(
        ("code", "fault"),
        [
            ("make nothing", "no target nothing"),
            ("make demo && make nothing", "no target nothing"),
            ("airflow connections insert a", "invalid choice"),
            ("airflow dags trigger --nothing a", "unrecognized arguments"),
            ("A=1 python -m airflow_provider_airbyte_sme export --url x", "required"),
            ("python -m airflow_provider_airbyte_sme.emulator --nothing", "unrecognized"),
            ("python -m tests.nothing", "no module tests.nothing"),
            ("python -m scripts.nothing", "no module scripts.nothing"),
            ("pip install 'airflow-provider-airbyte-sme[nothing]'", "no extra nothing"),
            ("airflow connections add a --conn-type airbyte_sme", "URL"),
            (f"airflow connections add a --conn-uri '{URI}&nothing=1'", "no field nothing"),
            (f"export AIRFLOW_CONN_A=\\\n'{URI}&verify_tls=maybe'", "true or false"),
            (
                "airflow connections add a --conn-type airbyte_sme --conn-host https://a "
                "--conn-extra '{\"nothing\": 1}'",
                "no field nothing",
            ),
            ("if true; then", "syntax error"),
            ("echo 'a", "unexpected EOF"),
        ],
    )
    def test_a_command_that_does_not_exist_is_found(self, code, fault):
        assert fault in code_blocks.fault_of(a_block("bash", code))

    def test_commands_are_told_apart(self):
        code = "A=1 one 'two three' < in \\\n  four | five\n# six\nsev\\\nen\n"

        assert list(code_blocks.commands_in(code)) == [
            ["one", "two three", "four"],
            ["five"],
            ["seven"],
        ]


class TestSpans:
    @pytest.mark.parametrize(
        "code",
        [
            "make demo KEEP=1",
            "make",
            "airflow connections add",
            "airflow triggerer",
            "airflow",
            "[triggerer] capacity",
            "[triggerer] default_capacity",
            "[airbyte_sme] page = False",
            "python -m airflow_provider_airbyte_sme doctor",
        ],
    )
    def test_what_exists_is_accepted(self, code):
        assert code_blocks.fault_of_span(code) == ""

    @pytest.mark.parametrize(
        ("code", "fault"),
        [
            ("make nothing", "no target nothing"),
            ("airflow connections insert", "invalid choice"),
            ("[core] nothing", "no option [core] nothing"),
            ("[airbyte_sme] nothing = False", "no option [airbyte_sme] nothing"),
            ("python -m airflow_provider_airbyte_sme nothing", "invalid choice"),
        ],
    )
    def test_what_does_not_exist_is_found(self, code, fault):
        assert fault in code_blocks.fault_of_span(code)

    def test_a_variable_of_no_option_is_found(self):
        text = "`AIRFLOW__CORE__NOTHING=1`, not AIRFLOW__CORE__DAGS_FOLDER"

        assert code_blocks.faults_of_variables(text) == ["there is no option [core] nothing"]


class TestOtherLanguages:
    @pytest.mark.parametrize(
        ("language", "code"),
        [
            ("json", '{"a": 1,}'),
            ("json", '{"conn_type": "airbyte_sme", "host": "https://a", "extra": {"b": 1}}'),
            ("yaml", 'stringData:\n  c: \'{"conn_type": "airbyte_sme"}\''),
            ("yaml", "a: [1"),
            ("yaml", "workspace: Sales\nsources:\n  - title: CRM\n"),
            ("toml", "a ="),
            ("ini", "a = 1"),
            ("ini", "[airbyte_sme]\nnothing = True"),
            ("yaml", 'airflowVersion: "3.3.2"\nconfig:\n  core:\n    nothing: 1'),
            ("", "anything"),
            ("console", "anything"),
        ],
    )
    def test_what_is_wrong_is_found(self, language, code):
        assert code_blocks.fault_of(a_block(language, code))

    @pytest.mark.parametrize(
        ("language", "code"),
        [
            ("json", '{"a": 1}'),
            ("yaml", "a: 1\n---\nb: 2\n"),
            ("toml", "a = 1"),
            ("ini", "[core]\nfernet_key = 100%"),
            ("text", "anything"),
            ("sql", "select 1"),
        ],
    )
    def test_what_is_right_is_accepted(self, language, code):
        assert code_blocks.fault_of(a_block(language, code)) == ""


class TestDagFiles:
    GOOD = "from airflow.sdk import DAG\n\nwith DAG('a'):\n    ...\n"

    def test_a_dag_file_that_airflow_cannot_parse_is_found(self, tmp_path):
        codes = {
            "good.py": self.GOOD,
            "same_name.py": self.GOOD,
            "no_import.py": self.GOOD.partition("\n")[2],
            "no_dag.py": "def make(DAG):\n    DAG('a')\n",
        }

        faults = code_blocks.faults_of_dag_files(codes, tmp_path)

        assert faults["good.py"] == faults["same_name.py"] == ""
        assert "name 'DAG' is not defined" in faults["no_import.py"]
        assert faults["no_dag.py"] == "it has no DAG"


USE_OF_THE_HOOK = """
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook

assert AirbyteHook().list_workspaces()
"""


class TestScripts:
    @pytest.mark.parametrize(
        ("code", "fault"),
        [
            ("print(1)\n", ""),
            ("print(nothing)\n", "NameError"),
            ("def test_a():\n    assert True\n", ""),
            ("def test_a():\n    assert False\n", "1 failed"),
            (USE_OF_THE_HOOK, ""),
        ],
    )
    def test_a_script_that_fails_is_found(self, code, fault, environment, tmp_path):
        found = code_blocks.fault_of_script(code, tmp_path, environment)

        assert fault in found
        assert bool(fault) is bool(found)
