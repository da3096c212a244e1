"""What the README shows is what is run."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()

BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
RUN_BY_TESTS = {
    path.name: path.read_text()
    for path in chain(
        (REPOSITORY / "dags_examples").glob("*.py"),
        [REPOSITORY / "tests" / "emulator" / "test_users_dag_example.py"],
    )
}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0].strip())
def test_python_is_copied_from_a_file_that_a_test_runs(block):
    assert [name for name, text in RUN_BY_TESTS.items() if block in text]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_links_lead_to_files(path):
    assert (REPOSITORY / path).exists()


@pytest.mark.parametrize("name", [p.name for p in (REPOSITORY / "dags_examples").glob("*.py")])
def test_every_example_is_named(name):
    assert f"(dags_examples/{name})" in README


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", README))))
def test_targets_are_in_the_makefile(target):
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
