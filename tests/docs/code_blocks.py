"""How each block of code in the documentation is tried: parsed, or run."""

from __future__ import annotations

import configparser
import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from airflow.cli.cli_parser import get_parser
from airflow.cli.commands.config_command import CONFIGS_CHANGES
from airflow.configuration import conf
from airflow.models.connection import Connection
from packaging.requirements import InvalidRequirement, Requirement

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.cli.main import make_parser
from airflow_provider_airbyte_sme.connection import settings_from_connection
from airflow_provider_airbyte_sme.emulator.cli import make_parser as make_emulator_parser
from airflow_provider_airbyte_sme.get_provider_info import CONN_FIELDS, CONNECTION_TYPE
from airflow_provider_airbyte_sme.provisioning.parsing import parse_pipeline
from tests.docs.pages import REPOSITORY, Block
from tests.docs.run_blocks import FAULTS

PACKAGE = "airflow_provider_airbyte_sme"
HERE = Path(__file__).parent
_PARSERS: Mapping[str, Callable[[], ArgumentParser]] = {
    PACKAGE: make_parser,
    f"{PACKAGE}.emulator": make_emulator_parser,
}
# Tests run or read what is in them.
_RUN_BY_TESTS = ("dags_examples", "tests", PACKAGE)
_PIPELINE_KEYS = {"sources", "destinations", "connections", "tags"}
_DAG = re.compile(r"\bDAG\(|@dag\b")
_OWN_MODULES = (PACKAGE, "docs", "scripts", "tests")
_SEPARATORS = "();|&\n"
_REDIRECTIONS = "<>&"
_HERE_DOCUMENT = re.compile(
    r"<<-?\s*(?P<quote>['\"]?)(?P<end>\w+)(?P=quote)(?P<rest>[^\n]*)\n.*?^\s*(?P=end)$",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_ASSIGNMENT = re.compile(r"\w+=")
_CONNECTION_VARIABLE = re.compile(r"AIRFLOW_CONN_\w+=(?P<value>.*)", re.DOTALL)
_OPTION = re.compile(r"\[(?P<section>\w+)\] (?P<option>\w+)")
_OPTION_VARIABLE = re.compile(r"AIRFLOW__(?P<section>[A-Z0-9_]+?)__(?P<option>[A-Z0-9_]+)")
# Of providers that are not installed where these tests run.
_UNKNOWN_SECTIONS = {"openlineage"}
# What a command in a sentence may lack, which a script may not.
_INCOMPLETE = ("arguments are required", "is required", "expected one argument")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SECONDS = 60


@cache
def _files_that_tests_run() -> tuple[str, ...]:
    return tuple(
        path.read_text(encoding="utf-8")
        for folder in _RUN_BY_TESTS
        for path in (REPOSITORY / folder).rglob("*")
        # The tests of the documentation have code that is wrong on purpose.
        if path.suffix in (".py", ".sql", ".yaml", ".yml") and path.parent != HERE
    )


def is_quoted(code: str) -> bool:
    """Whether the lines are in a file that tests run, at whatever indentation."""
    return any(is_quoted_from(code, text) for text in _files_that_tests_run())


def is_quoted_from(code: str, text: str) -> bool:
    """Whether *text* has these lines, whole and in their order, at whatever indentation."""
    lines = textwrap.dedent(code).strip("\n")
    first = lines.partition("\n")[0]
    indents = {
        found[1] for found in re.finditer(rf"^([ ]*){re.escape(first)}$", text, re.MULTILINE)
    }
    return any(f"\n{textwrap.indent(lines, indent)}\n" in f"\n{text}\n" for indent in indents)


def is_dag_file(code: str) -> bool:
    """Whether Airflow has to parse it."""
    return _DAG.search(code) is not None


def fault_of_script(code: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run Python code, or its tests if it has some; return why that failed, or an empty text."""
    has_tests = re.search(r"^(?:async )?def test_", code, re.MULTILINE) is not None
    file = folder / ("test_block.py" if has_tests else "block.py")
    file.write_text(code, encoding="utf-8")
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if has_tests else []
    return _run([sys.executable, *options, str(file)], folder, environment)


def faults_of_dag_files(codes: Mapping[str, str], folder: Path) -> dict[str, str]:
    """
    Have Airflow parse files; return why it cannot, or an empty text, for each.

    :param codes: Their contents, by their names.
    """
    for name, code in codes.items():
        (folder / name).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.run_blocks", *codes],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=SECONDS * 3,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    faults: dict[str, str] = json.loads((folder / FAULTS).read_text(encoding="utf-8"))
    return faults


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it still runs after {SECONDS} s"
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def fault_of(block: Block) -> str:
    """Return why a block of another language than Python is wrong; empty if it is not."""
    try:
        check = _CHECKS[block.language]
    except KeyError:
        allowed = ", ".join(sorted(_CHECKS))
        return f"give it a language after the fence, one of {allowed}; not {block.language!r}"
    try:
        check(block.code)
    except _WRONG as error:
        return f"{type(error).__name__}: {error}"
    return ""


def fault_of_span(code: str) -> str:
    """Return why code within a sentence names a command or an option that does not exist."""
    if option := _OPTION.match(code):
        return fault_of_option(option["section"], option["option"])
    if not re.match(r"(?:make|airflow|pip|python3? -m) ", code):
        return ""
    try:
        for command in commands_in(code):
            _check_command(command)
    except WrongCommandError as error:
        return "" if any(each in str(error) for each in _INCOMPLETE) else str(error)
    return ""


def faults_of_variables(text: str) -> list[str]:
    """Return which variables such as ``AIRFLOW__CORE__DAGS_FOLDER`` are of no option."""
    return [
        fault
        for found in _OPTION_VARIABLE.finditer(text)
        if (fault := fault_of_option(found["section"].lower(), found["option"].lower()))
    ]


def fault_of_option(section: str, option: str) -> str:
    """Return that Airflow and this provider have no such option; empty if they have, or had."""
    earlier = {(each.config.section, each.config.option) for each in CONFIGS_CHANGES}
    known = conf.configuration_description.get(section, {}).get("options", {})
    if option in known or (section, option) in earlier or section in _UNKNOWN_SECTIONS:
        return ""
    return f"there is no option [{section}] {option}"


class WrongCommandError(Exception):
    """A command that does not exist, or has arguments that it does not take."""


_WRONG = (
    AirbyteConfigError,
    WrongCommandError,
    configparser.Error,
    ValueError,  # JSON, TOML, unbalanced quotes
    yaml.YAMLError,
)


def _check_json(code: str) -> None:
    _check_document(json.loads(code))


def _check_document(document: Any) -> None:
    """Check what is known of documents: pipeline files and Airflow connections of our type."""
    if not isinstance(document, dict):
        return
    if "workspace" in document and _PIPELINE_KEYS & {*document}:
        parse_pipeline(document)
    if document.get("conn_type") == CONNECTION_TYPE:
        _check_connection(Connection.from_json(json.dumps(document), conn_id="a"))
    if "airflowVersion" in document:  # values of Airflow's Helm chart
        _check_options(document.get("config", {}))
    for value in (document.get("stringData") or {}).values():
        _check_document(yaml.safe_load(value))


def _check_connection(connection: Connection) -> None:
    if connection.conn_type != CONNECTION_TYPE:
        return
    settings_from_connection(connection)
    extra = json.loads(connection.extra or "{}")
    if unknown := extra.keys() - CONN_FIELDS:
        raise WrongCommandError(f"extra has no field {', '.join(sorted(unknown))}")


def _check_toml(code: str) -> None:
    tomllib.loads(code)


def _check_ini(code: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(code)
    _check_options({section: parser.options(section) for section in parser.sections()})


def _check_options(options: Mapping[str, Iterable[str]]) -> None:
    """Check that Airflow or this provider has each of *options*, by section."""
    for section, names in options.items():
        if fault := next(filter(None, (fault_of_option(section, name) for name in names)), ""):
            raise WrongCommandError(fault)


def _check_yaml(code: str) -> None:
    for document in yaml.safe_load_all(code):
        _check_document(document)


def _check_nothing(code: str) -> None:
    """Text and SQL are for people, or for another program."""


def _check_bash(code: str) -> None:
    done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongCommandError(done.stderr.strip())
    for word in _words(code):
        _check_assignment(word)
    for command in commands_in(code):
        _check_command(command)


def _check_assignment(word: str) -> None:
    """Check the value of a variable with an Airflow connection, unless a command makes it."""
    found = _CONNECTION_VARIABLE.fullmatch(word)
    if found is None or "$" in found["value"]:
        return
    value = found["value"]
    if value.startswith("{"):
        _check_connection(Connection.from_json(value, conn_id="a"))
    else:
        _check_connection(Connection(conn_id="a", uri=value))


def commands_in(code: str) -> Iterator[list[str]]:
    """Yield the commands of a script with their arguments, without variables and redirections."""
    command: list[str] = []
    for word in [*_words(code), ";"]:
        if word and not word.strip(_SEPARATORS):
            yield from _as_command(command)
            command = []
        else:
            command.append(word)


def _words(code: str) -> list[str]:
    """Return the words of a script, and what separates them."""
    code = _HERE_DOCUMENT.sub(r"\g<rest>", code)
    code = _COMMENT.sub("", code).replace("\\\n", "")
    lexer = shlex.shlex(code, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    return list(lexer)


def _as_command(words: list[str]) -> Iterator[list[str]]:
    """Yield what is left of the words of a command, if anything is."""
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    command: list[str] = []
    skips = False
    for word in words:
        if not word.strip(_REDIRECTIONS):
            skips = True
        elif skips:
            skips = False
        else:
            command.append(word)
    if command:
        yield command


def _check_command(command: list[str]) -> None:
    match command:
        case ["make", *arguments]:
            _check_make(arguments)
        case ["airflow", *arguments]:
            _check_added_connection(_check_arguments(get_parser(), arguments))
        case ["pip", "install", *arguments]:
            _check_requirements(arguments)
        case ["python" | "python3", "-m", module, *arguments] if module in _PARSERS:
            _check_arguments(_PARSERS[module](), arguments)
        case ["python" | "python3", "-m", module, *_] if module.startswith(_OWN_MODULES):
            if not (REPOSITORY / module.replace(".", "/")).with_suffix(".py").exists():
                raise WrongCommandError(f"there is no module {module}")


def _check_added_connection(arguments: Namespace | None) -> None:
    """Check the connection that ``airflow connections add`` makes."""
    added = vars(arguments) if arguments else {}
    if added.get("conn_json"):
        _check_connection(Connection.from_json(added["conn_json"], conn_id="a"))
    elif added.get("conn_uri"):
        _check_connection(Connection(conn_id="a", uri=added["conn_uri"]))
    elif added.get("conn_type"):
        fields = ("type", "host", "login", "password", "schema", "port")
        named = {name: added[f"conn_{name}"] for name in fields}
        conn_type = named.pop("type")
        _check_connection(
            Connection(conn_id="a", conn_type=conn_type, extra=added["conn_extra"], **named)
        )


def _check_requirements(arguments: list[str]) -> None:
    """Check the extras of this package."""
    for argument in arguments:
        try:
            wanted = Requirement(argument)
        except InvalidRequirement:
            continue
        known = (
            PROJECT["optional-dependencies"] if wanted.name == PROJECT["name"] else wanted.extras
        )
        if unknown := wanted.extras - {*known}:
            raise WrongCommandError(f"{wanted.name} has no extra {', '.join(sorted(unknown))}")


def _check_make(arguments: list[str]) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in arguments:
        if target.startswith("-") or _ASSIGNMENT.match(target):
            continue
        if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE):
            raise WrongCommandError(f"the Makefile has no target {target}")


def _check_arguments(parser: ArgumentParser, arguments: list[str]) -> Namespace | None:
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            return parser.parse_args(arguments)
    except SystemExit as stop:
        # --help and --version succeed.
        if stop.code:
            reason = said.getvalue().strip().splitlines()[-1:]
            raise WrongCommandError(f"{shlex.join(arguments)}: {' '.join(reason)}") from None
        return None


_CHECKS: Mapping[str, Callable[[str], None]] = {
    "bash": _check_bash,
    "ini": _check_ini,
    "json": _check_json,
    "python": _check_nothing,  # run, or parsed by Airflow
    "sql": _check_nothing,
    "text": _check_nothing,
    "toml": _check_toml,
    "yaml": _check_yaml,
}
