"""
Changes the rules of retries, waits and ownership one at a time, and asks whether a test notices.

``make mutation`` runs it, with mutmut. A change that no test notices, a surviving mutant, is either
a gap in the tests or changes nothing that anyone could see. The second kind is listed with its
reason in ``tests/equivalent_mutants.toml``. Any other survivor fails the run, which prints it as a
diff. docs/mutation.md, which this writes, has the result.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
LIST = REPOSITORY / "tests/equivalent_mutants.toml"
DOCUMENT = REPOSITORY / "docs/mutation.md"
PACKAGE = "airflow_provider_airbyte_sme"
PROCESSES = "2"
# A test that no longer ends, or that kills its process, has noticed.
NOTICED = frozenset({"killed", "timeout", "segfault"})

_RESULT = re.compile(r"^\s+(?P<name>\S+__mutmut_\d+): (?P<status>.+)$", re.MULTILINE)


class Mutant(NamedTuple):
    """
    One change of one function, without the number that mutmut gives it, which is not stable.

    :param function: The function, such as ``api.retry.is_closed``.
    :param before: The lines that are replaced, without indentation.
    :param after: What they are replaced with.
    """

    function: str
    before: str
    after: str


class Comparison(NamedTuple):
    """
    What has survived, against what is listed.

    :param new: Survivors that are not listed.
    :param gone: What is listed and has not survived.
    """

    new: list[Mutant]
    gone: list[Mutant]


def main() -> int:
    """
    Run mutmut, print the survivors that are not listed, and write the document.

    :return: The exit code: 1 if the survivors are not those that are listed.
    """
    # What mutmut knows of earlier runs stands although a test was changed since.
    shutil.rmtree(REPOSITORY / "mutants", ignore_errors=True)
    # Hypothesis then draws the same examples each time, so that the same mutants survive.
    environment = {**os.environ, "CI": "1", "PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(
        [*mutmut(), "run", "--max-children", PROCESSES],
        cwd=REPOSITORY,
        env=environment,
        check=False,
    )
    if run.returncode:
        return run.returncode
    statuses = statuses_in(output_of("results", "--all", "true"))
    survivors = {name: output_of("show", name) for name in surviving(statuses)}
    mutants = {name: mutant_of(name, diff) for name, diff in survivors.items()}
    listed = listed_mutants(LIST.read_text(encoding="utf-8"))
    found = compare(mutants.values(), listed)
    for line in report(found, mutants, survivors):
        print(line)
    if not (found.new or found.gone):
        DOCUMENT.write_text(document(statuses, listed), encoding="utf-8")
    return 1 if found.new or found.gone else 0


def mutmut() -> list[str]:
    """Return the command of mutmut: with ``python -m`` it would load a module twice."""
    return [str(Path(sys.executable).with_name("mutmut"))]


def output_of(*arguments: str) -> str:
    """Return what mutmut prints."""
    return subprocess.run(
        [*mutmut(), *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout


def statuses_in(results: str) -> dict[str, str]:
    """Return the status of each mutant, by its name, from the output of ``mutmut results``."""
    return {each["name"]: each["status"] for each in _RESULT.finditer(results)}


def surviving(statuses: Mapping[str, str]) -> list[str]:
    """Return the names of the mutants that no test has noticed."""
    return [name for name, status in statuses.items() if status not in NOTICED]


def mutant_of(name: str, diff: str) -> Mutant:
    """
    Return what *diff* changes, in a form that later changes of other functions do not affect.

    :param name: The name that mutmut has given the mutant.
    :param diff: The output of ``mutmut show``.
    """
    lines = diff.splitlines()
    changed = {
        sign: "\n".join(
            line[1:].strip()
            for line in lines
            if line.startswith(sign) and not line.startswith(sign * 3)
        )
        for sign in "-+"
    }
    return Mutant(function_of(name), changed["-"], changed["+"])


def function_of(name: str) -> str:
    """Return ``api.retry.RetryPolicy.next_delay`` for the name of a mutant of that method."""
    path, _, mangled = name.partition("__mutmut_")[0].rpartition(".")
    parts = mangled.removeprefix("x_").split("\N{LATIN LETTER LATERAL CLICK}")
    return ".".join([path.removeprefix(f"{PACKAGE}."), *(part for part in parts if part != "x")])


def listed_mutants(text: str) -> dict[Mutant, tuple[str, int]]:
    """
    Return why each listed mutant cannot be noticed, and how often it occurs in its function.

    :param text: The text of ``tests/equivalent_mutants.toml``.
    """
    return {
        Mutant(each["function"], each["before"].strip(), each["after"].strip()): (
            each["reason"],
            each.get("times", 1),
        )
        for each in tomllib.loads(text).get("mutant", ())
    }


def compare(survivors: Iterable[Mutant], listed: Mapping[Mutant, tuple[str, int]]) -> Comparison:
    """Return which survivors are not listed, and which listed mutants have not survived."""
    found = Counter(survivors)
    expected = Counter({mutant: times for mutant, (_, times) in listed.items()})
    return Comparison(list((found - expected).elements()), list((expected - found).elements()))


def report(
    found: Comparison, mutants: Mapping[str, Mutant], diffs: Mapping[str, str]
) -> Iterator[str]:
    """
    Yield the lines that say what has to be done.

    :param mutants: The survivors by the names of mutmut.
    :param diffs: Their diffs by the same names.
    """
    for name, mutant in mutants.items():
        if mutant in found.new:
            yield diffs[name].rstrip()
    for mutant in found.new:
        yield f"{mutant.function}: no test notices {mutant.after!r} instead of {mutant.before!r}"
    for mutant in found.gone:
        yield (
            f"{mutant.function}: {mutant.after!r} instead of {mutant.before!r} does not survive: "
            f"remove it from {LIST.relative_to(REPOSITORY)}"
        )
    if found.new:
        yield (
            f"{len(found.new)} new survivors: write a test that notices each, or list it with the "
            f"reason why nobody can notice it in {LIST.relative_to(REPOSITORY)}"
        )


def document(statuses: Mapping[str, str], listed: Mapping[Mutant, tuple[str, int]]) -> str:
    """Return the text of docs/mutation.md."""
    lines = [
        "# Mutation testing",
        "",
        "`make mutation` changes the rules of retries, waits and ownership, one change at a time,",
        "and runs the tests of `tests/unit/api` that execute what was changed. A change that no",
        "test notices is a surviving mutant. `make mutation` writes this page, and fails when a",
        "mutant survives that is not listed in `tests/equivalent_mutants.toml`. The table has the",
        "modules that are changed.",
        "",
        "| module | mutants | noticed | survived |",
        "|---|--:|--:|--:|",
        *_counts(statuses),
        "",
        "## Survivors",
        "",
        "Nobody can notice these, for the reason given with each.",
        "",
        "| function | before | after | reason |",
        "|---|---|---|---|",
    ]
    for mutant, (reason, times) in sorted(listed.items()):
        often = f" ({times} times)" if times > 1 else ""
        cells = (f"`{mutant.function}`{often}", _code(mutant.before), _code(mutant.after), reason)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _counts(statuses: Mapping[str, str]) -> Iterator[str]:
    total, survived = Counter[str](), Counter[str]()
    for name, status in statuses.items():
        module = name.partition(".x")[0].removeprefix(f"{PACKAGE}.").replace(".", "/") + ".py"
        for key in (module, "all"):
            total[key] += 1
            survived[key] += status not in NOTICED
    for key in (*sorted(set(total) - {"all"}), "all"):
        name = key if key == "all" else f"`{key}`"
        yield f"| {name} | {total[key]} | {total[key] - survived[key]} | {survived[key]} |"


def _code(text: str) -> str:
    return "<br>".join(f"`{line}`".replace("|", "\\|") for line in text.splitlines() if line)


if __name__ == "__main__":
    sys.exit(main())
