"""The links of the README work on a package index too; `tests/docs` tries its code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
SOURCE = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["urls"]["Source"]
FILES = f"{SOURCE}/blob/main/"
# For prose and commands. A row of a table and a link cannot be broken, and code stays as it is.
MAX_LINE_LENGTH = 120

QUOTES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
WITHOUT_QUOTES = re.sub(r"```python\n.*?```", "", README, flags=re.DOTALL)
# Inline links and definitions of reference links.
LINKS = sorted(set(re.findall(r"(?m)(?<=\]\()[^)]+|(?<=\]: )\S+$", PROSE)))
LINKS_TO_THE_PROJECT = [link for link in LINKS if SOURCE.rpartition("/")[2] in link]


def last_part(url: str) -> str:
    return url.rpartition("/")[2]


def test_there_is_code_and_there_are_links():
    assert QUOTES
    assert len(LINKS) > 10


@pytest.mark.parametrize("link", LINKS, ids=last_part)
def test_every_link_is_absolute(link):
    assert re.match(r"https://[\w.-]+/", link)


@pytest.mark.parametrize("link", LINKS_TO_THE_PROJECT, ids=last_part)
def test_a_link_into_the_repository_leads_to_a_file(link):
    assert link.startswith(FILES)
    assert (REPOSITORY / link.removeprefix(FILES).partition("#")[0]).is_file()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", README))))
def test_targets_are_in_the_makefile(target):
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)


def test_no_line_is_too_long():
    lines = [line for line in WITHOUT_QUOTES.splitlines() if not re.match(r"\||\[[\w-]+]: ", line)]

    assert [line for line in lines if len(line) > MAX_LINE_LENGTH] == []
