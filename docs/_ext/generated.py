"""Directives for what the package describes itself: fields, options, commands and example DAGs."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from airflow_provider_airbyte_sme.get_provider_info import (
    CONN_FIELDS,
    UI_FIELD_BEHAVIOUR,
    get_provider_info,
)
from docs._ext.repository_links import code_url

if TYPE_CHECKING:
    import argparse

    from sphinx.application import Sphinx

Row = Iterable[nodes.Node]

# What JSON schema calls them.
_TYPES = {"boolean": "true or false", "number": "number", "object": "JSON object", "string": "text"}


def _code(text: str) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.literal(text, text))


def _text(text: str) -> nodes.paragraph:
    return nodes.paragraph("", text)


def table_of(header: Iterable[str], rows: Iterable[Row]) -> nodes.table:
    """Return a table whose columns are as wide as they need to be."""
    names = list(header)
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in names), cols=len(names))
    group += nodes.thead("", _row(map(_text, names)))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group, classes=["colwidths-auto"])


def _row(cells: Row) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


class ConnectionFields(SphinxDirective):
    """A table of the fields of the Airflow connection."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        header = ("Field", "Stored in", "Type", "Default", "Meaning")
        return [table_of(header, [*self._standard_fields(), *self._extra_fields()])]

    def _standard_fields(self) -> Iterator[Row]:
        placeholders = UI_FIELD_BEHAVIOUR["placeholders"]
        labels = {"port": "Port", **UI_FIELD_BEHAVIOUR["relabeling"]}
        for name, label in sorted(labels.items()):
            kind = "number" if name == "port" else "text"
            yield _text(label), _code(name), _text(kind), _text(""), _text(placeholders[name])

    def _extra_fields(self) -> Iterator[Row]:
        for name, field in CONN_FIELDS.items():
            schema = field["schema"]
            yield (
                _text(field["label"]),
                _code(f"extra.{name}"),
                _text(" or ".join(_TYPES[kind] for kind in schema["type"] if kind != "null")),
                _code(str(schema["default"]).lower()) if "default" in schema else _text(""),
                _text(field["description"]),
            )


class ConfigurationOptions(SphinxDirective):
    """A table of the options in Airflow's configuration."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        sections: Mapping[str, Any] = get_provider_info()["config"]
        rows = [
            (
                _code(f"[{section}] {name}"),
                _code(f"AIRFLOW__{section}__{name}".upper()),
                _text(option["type"]),
                _code(option["default"]),
                _text(option["version_added"]),
                _text(option["description"]),
            )
            for section, content in sections.items()
            for name, option in content["options"].items()
        ]
        header = ("Option", "Environment variable", "Type", "Default", "Since", "Meaning")
        return [table_of(header, rows)]


class CommandLine(SphinxDirective):
    """What ``--help`` says: of a program, then a section for each of its commands."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what it says."""
        parser = import_module(self.arguments[0]).make_parser()
        (_, text), *commands = helps_of(parser).items()
        return [_output(text), *(self._section(name, text) for name, text in commands)]

    def _section(self, name: str, text: str) -> nodes.section:
        title = name.rpartition(" ")[2]
        section = nodes.section("", nodes.title("", title), names=[title])
        section["ids"].append(nodes.make_id(title))
        section += _output(text)
        return section


def _output(text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language="text")


def helps_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return what ``--help`` says, by the program with its command."""
    # argparse takes the width of the terminal.
    with mock.patch.dict(os.environ, COLUMNS="88", NO_COLOR="1"):
        return {each.prog: each.format_help() for each in _with_commands(parser)}


def _with_commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    # argparse has no public name for the commands of a parser.
    for action in parser._actions:
        if isinstance(action.choices, Mapping):
            for command in dict.fromkeys(action.choices.values()):
                yield from _with_commands(command)


class ExampleDags(SphinxDirective):
    """A section for each example DAG, with its docstring and its code."""

    def run(self) -> list[nodes.Node]:
        """Return the sections, by name."""
        folder = Path(self.env.srcdir).parent / "dags_examples"
        return [self._section(path) for path in sorted(folder.rglob("*.py"))]

    def _section(self, path: Path) -> nodes.section:
        self.env.note_dependency(path)
        repository = Path(self.env.srcdir).parent
        code = path.read_text(encoding="utf-8")
        module = ast.parse(code)
        section = nodes.section("", nodes.title("", path.name), names=[path.name])
        section["ids"].append(nodes.make_id(path.name))
        text = (ast.get_docstring(module) or "").splitlines()
        self.state.nested_parse(StringList(text, str(path)), 0, section)
        url = code_url(self.config.source_url, path, repository)
        link = nodes.reference("", path.relative_to(repository).as_posix(), refuri=url)
        section += nodes.paragraph("", "File: ", link)
        body = "\n".join(code.splitlines()[module.body[0].end_lineno :]).strip()
        section += nodes.literal_block(body, body, language="python")
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("connection-fields", ConnectionFields)
    app.add_directive("configuration-options", ConfigurationOptions)
    app.add_directive("command-line", CommandLine)
    app.add_directive("example-dags", ExampleDags)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
