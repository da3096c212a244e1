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
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import yaml
from airflow.cli.cli_parser import get_parser

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.cli.main import make_parser
from airflow_provider_airbyte_sme.emulator.cli import make_parser as make_emulator_parser
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
_SEPARATORS = "();|&\n"
_REDIRECTIONS = "<>&"
_HERE_DOCUMENT = re.compile(
    r"<<-?\s*(?P<quote>['\"]?)(?P<end>\w+)(?P=quote)(?P<rest>[^\n]*)\n.*?^\s*(?P=end)$",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_ASSIGNMENT = re.compile(r"\w+=")
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
    json.loads(code)


def _check_toml(code: str) -> None:
    tomllib.loads(code)


def _check_ini(code: str) -> None:
    configparser.ConfigParser(interpolation=None).read_string(code)


def _check_yaml(code: str) -> None:
    for document in yaml.safe_load_all(code):
        if isinstance(document, dict) and "workspace" in document and _PIPELINE_KEYS & {*document}:
            parse_pipeline(document)


def _check_nothing(code: str) -> None:
    """Text and SQL are for people, or for another program."""


def _check_bash(code: str) -> None:
    done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongCommandError(done.stderr.strip())
    for command in commands_in(code):
        _check_command(command)


def commands_in(code: str) -> Iterator[list[str]]:
    """Yield the commands of a script with their arguments, without variables and redirections."""
    code = _HERE_DOCUMENT.sub(r"\g<rest>", code)
    code = _COMMENT.sub("", code).replace("\\\n", "")
    lexer = shlex.shlex(code, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    command: list[str] = []
    for word in [*lexer, ";"]:
        if word and not word.strip(_SEPARATORS):
            yield from _as_command(command)
            command = []
        else:
            command.append(word)


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
            _check_arguments(get_parser(), arguments)
        case ["python" | "python3", "-m", module, *arguments] if module in _PARSERS:
            _check_arguments(_PARSERS[module](), arguments)
        case ["python" | "python3", "-m", module, *_] if module.startswith(("tests", PACKAGE)):
            if not (REPOSITORY / module.replace(".", "/")).with_suffix(".py").exists():
                raise WrongCommandError(f"there is no module {module}")


def _check_make(arguments: list[str]) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in arguments:
        if target.startswith("-") or _ASSIGNMENT.match(target):
            continue
        if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE):
            raise WrongCommandError(f"the Makefile has no target {target}")


def _check_arguments(parser: ArgumentParser, arguments: list[str]) -> None:
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            parser.parse_args(arguments)
    except SystemExit as stop:
        # --help and --version succeed.
        if stop.code:
            reason = said.getvalue().strip().splitlines()[-1:]
            raise WrongCommandError(f"{shlex.join(arguments)}: {' '.join(reason)}") from None


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
