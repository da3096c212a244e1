"""The page of the example DAGs lists each of them, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "how-to" / "examples.md"
# A row of the table: the name, the link and the description of an example.
ROW = re.compile(r"^\| \[(\S+\.py)\]\((\S+)\) \| (\S.*) \|$", flags=re.MULTILINE)


def test_every_example_has_one_row_with_its_name_its_file_and_a_description():
    rows = ROW.findall(PAGE.read_text())
    listed = [(PAGE.parent / link).resolve() for _, link, _ in rows]

    assert sorted(listed) == sorted((REPOSITORY / "dags_examples").rglob("*.py"))
    assert [name for name, _, _ in rows] == [path.name for path in listed]
