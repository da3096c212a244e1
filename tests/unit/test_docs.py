"""The facts that the code cites exist in docs/airbyte-api.md."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NUMBER = r"\d+(?:\.\d+)*"
# A heading, a numbered fact, or a numbered row of a table.
DEFINITIONS = re.compile(
    rf"^(?:#+ ({NUMBER})\.? |- \*\*({NUMBER})\*\*|\| (\d+\.{NUMBER}) \|)", re.MULTILINE
)
CITATION = re.compile(rf"§({NUMBER})")
FOLDERS = ("airflow_provider_airbyte_sme", "tests", "scripts", "dags_examples", "docs")


def numbers_in(text: str) -> list[str]:
    return [next(filter(None, groups)) for groups in DEFINITIONS.findall(text)]


def missing_citations(text: str, numbers: set[str]) -> set[str]:
    return set(CITATION.findall(text)) - numbers


@pytest.fixture(scope="module")
def facts() -> str:
    return (REPOSITORY / "docs/airbyte-api.md").read_text(encoding="utf-8")


def test_every_cited_fact_exists(facts):
    numbers = set(numbers_in(facts))
    files = [
        path
        for folder in FOLDERS
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in (".py", ".md") and path != Path(__file__)
    ]

    missing = {
        path.relative_to(REPOSITORY).as_posix(): found
        for path in files
        if (found := missing_citations(path.read_text(encoding="utf-8"), numbers))
    }

    assert len(files) > 100
    assert missing == {}


def test_a_number_is_given_once(facts):
    numbers = numbers_in(facts)

    assert len(numbers) == len(set(numbers)) > 300


def test_a_missing_fact_is_found():
    assert missing_citations("see §3.4.2 and §99.1", {"3.4.2"}) == {"99.1"}
