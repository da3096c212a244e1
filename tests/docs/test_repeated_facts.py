"""What pages repeat of the code by hand is what the code says: parameters, fields and classes."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS
from docs._ext.collected_docstrings import Parameter, parameters_of
from tests.docs.pages import DOCS, REPOSITORY, code_spans_of, name_of, pages
from tests.docs.test_reference import ASSET_FUNCTIONS, TASKS

PAGES = pages()
HEADER = ("Parameter", "Default", "Meaning")
CODE = re.compile(r"`([^`]+)`")
CLASS = re.compile(r"\bAirbyte[A-Z]\w+")


class Row(NamedTuple):
    """
    What a table says about parameters.

    :param defaults: As code; empty if the table does not say them, or says them in words.
    """

    place: str
    names: list[str]
    defaults: list[str]
    is_templated: bool


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of the tables of parameters of a page."""
    is_inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
        if not line.startswith("|"):
            is_inside = False
        elif cells == HEADER:
            is_inside = True
        elif is_inside and not cells[0].startswith("---"):
            names = [name for code in CODE.findall(cells[0]) if (name := code).isidentifier()]
            yield Row(
                f"{name_of(path)}:{number}", names, _literals(cells[1]), "(templated)" in cells[2]
            )


def _literals(cell: str) -> list[str]:
    """Return the Python values of a cell; none if it says something in words."""
    values = [each.strip().strip("`") for each in cell.split(",")]
    try:
        return [repr(ast.literal_eval(value)) for value in values]
    except (SyntaxError, ValueError):
        return []


def known_parameters() -> dict[str, list[Parameter]]:
    """Return the parameters of all tasks and asset functions, by their names."""
    found: dict[str, list[Parameter]] = {}
    for task in TASKS:
        for each in parameters_of(task):
            found.setdefault(each.name, []).append(each)
    for function in ASSET_FUNCTIONS:
        for name, given in inspect.signature(function).parameters.items():
            found.setdefault(name, []).append(Parameter(name, "", repr(given.default), ""))
    return found


KNOWN = known_parameters()


def faults_of(row: Row) -> list[str]:
    """Return what is wrong with a row."""
    unknown = [
        f"{row.place}: no task has a parameter {name}" for name in row.names if name not in KNOWN
    ]
    if unknown or not row.names:
        return unknown or [f"{row.place}: it names no parameter"]
    faults = []
    if row.is_templated and not any(
        "(templated)" in each.description for name in row.names for each in KNOWN[name]
    ):
        faults.append(f"{row.place}: no task renders {' or '.join(row.names)}")
    for name, default in zip(row.names, row.defaults, strict=False):
        # The default of None is often said by what it stands for, such as 0 rows.
        defaults = {each.default for each in KNOWN[name]}
        if default not in defaults | ({"0"} if "None" in defaults else set()):
            faults.append(f"{row.place}: the default of {name} is {' or '.join(sorted(defaults))}")
    return faults


def test_tables_of_parameters_agree_with_the_code():
    rows = [row for path in PAGES for row in rows_of(path)]

    assert len(rows) > 20
    assert sum(bool(row.defaults) for row in rows) > 10
    assert [fault for row in rows for fault in faults_of(row)] == []


@pytest.mark.parametrize(
    "row",
    [
        "`nothing` | `None` | It.",
        '`on_running` | `"fail"` | What to do.',
        "`slow_after`, `slow_factor` | `None`, 2.5 | It.",
        '`on_running` | `"wait"` | What to do (templated)',
        "nothing | `None` | It.",
    ],
)
def test_a_wrong_row_is_found(row, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"| Parameter | Default | Meaning |\n|---|---|---|\n| {row} |\n")

    (found,) = rows_of(page)

    assert len(faults_of(found)) == 1


def test_the_page_of_the_connection_has_each_field():
    page = DOCS / "how-to/set-up-the-connection.md"
    table = re.findall(
        r"^\| ([^|`]*) \| ([^|]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    fields = {
        name: label.strip()
        for labels, names in table
        for label, name in zip(labels.split(","), CODE.findall(names), strict=False)
        if labels != "Field"
    }

    assert fields.keys() == CONN_FIELDS.keys()
    for name, field in CONN_FIELDS.items():
        # Units are in the text.
        assert fields[name].lower() == field["label"].partition(" (")[0].lower()


def test_the_page_of_operations_has_each_field():
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    (names,) = re.findall(r"extras keep their names: (.*?)\.\n", text, re.DOTALL)

    assert CODE.findall(names) == list(CONN_FIELDS)


def test_the_page_of_operations_quotes_lines_of_the_log():
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    table = text.partition("| The log contains |")[2].partition("\n\n")[0]
    lines = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    # The log of Airflow's triggerer has this one.
    lines.remove("Triggerer's async thread was blocked")
    sources = [*(REPOSITORY / "airflow_provider_airbyte_sme").rglob("*.py")]
    texts = [
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert len(lines) > 3
    assert [line for line in lines if not any(line in text for text in texts)] == []


def test_each_class_that_a_page_names_exists():
    package = REPOSITORY / "airflow_provider_airbyte_sme"
    sources = [*package.rglob("*.py"), *(REPOSITORY / "dags_examples").rglob("*.py")]
    defined = {
        name
        for path in sources
        for name in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = [
        (f"{name_of(path)}:{line}", name)
        for path in PAGES
        # What is gone is in the changelog, and Airbyte has classes too.
        if path.name not in ("CHANGELOG.md", "airbyte-api.md")
        for line, code in code_spans_of(path)
        for name in CLASS.findall(code)
        if "…" not in code
    ]

    assert len(named) > 50
    assert [each for each in named if each[1] not in defined] == []
