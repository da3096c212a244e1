"""
Writes the fault matrix into ``docs/reliability.md``.

``python -m tests.integration.fault_matrix_document`` replaces the section.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.fault_matrix import ROWS, End, Row
from tests.integration.fault_scenes import WAYS, Way

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
HEADING = "The fault matrix"
COMMAND = "python -m tests.integration.fault_matrix_document"

_INTRODUCTION = """\
How a task ends that meets a fault, in four ways of waiting. Each cell is a test: one task and an
emulated Airbyte, over real sockets, with a clock that jumps over the pauses. *The request that
starts* is that for the sync of an operator, and the first read of a sensor. Where it is handled
and its response is lost, there is a sync already.

✓ is a success, ↻ a failure that Airflow may retry, ✗ one that it does not. Then follow how many
syncs the task has started, and the exception. In no cell is there a second sync, and in none does
the task cancel one. Sensors never start or cancel one, so their cells do not say it.
"""


def section() -> str:
    """Return the section as the table has it."""
    header = ["Fault", "When", *(way.name.capitalize() for way in WAYS)]
    lines = [header, ["---"] * len(header), *map(_cells, ROWS)]
    table = "\n".join(f"|{'|'.join(_padded(cell) for cell in line)}|" for line in lines)
    return f"## {HEADING}\n\n{_INTRODUCTION}\n{table}\n"


def section_of(document: str) -> str:
    """
    Return the section as *document* has it.

    :raises ValueError: It has none.
    """
    found = re.search(rf"(?ms)^## {HEADING}\n.*?(?=^## |\Z)", document)
    if found is None:
        raise ValueError(f"the document has no section {HEADING!r}")
    return found[0].rstrip() + "\n"


def _padded(cell: str) -> str:
    return cell if cell == "---" else f" {cell} "


def _cells(row: Row) -> list[str]:
    return [row.fault, row.when, *(_text(row.end(way), way) for way in WAYS)]


def _text(end: End, way: Way) -> str:
    mark = "✓" if not end.error else "↻" if end.is_retried else "✗"
    parts = [mark]
    if way.is_operator:
        parts.append("1 sync" if end.syncs == 1 else f"{end.syncs} syncs")
        if end.cancels:
            parts.append(f"{end.cancels} cancelled")
    if end.error:
        parts.append(f"`{end.error}`")
    if end.note:
        parts.append(end.note)
    return f"{parts[0]} {', '.join(parts[1:])}".rstrip()


def main() -> None:
    """Replace the section in the document."""
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(document.replace(section_of(document), section()), encoding="utf-8")


if __name__ == "__main__":
    main()
