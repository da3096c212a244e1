"""Writes the results into ``docs/performance.md``, whose other text is written by hand."""

from __future__ import annotations

from pathlib import Path

from benchmarks.plot import draw
from benchmarks.results import Results
from benchmarks.tables import render

TEXT = "performance.md"
PLOT = "performance.png"

_BEGIN = "<!-- make bench-docs writes from here -->\n"
_END = "<!-- to here -->\n"


def write(results: Results, folder: Path) -> None:
    """
    Replace the figures and the plot in *folder*.

    :raises ValueError: The document has no place for them.
    """
    document = folder / TEXT
    before, begin, rest = document.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{document} has no lines {_BEGIN.strip()!r} and {_END.strip()!r}")
    parts = [before, _BEGIN, "\n", render(results)]
    if results.waits:
        draw(results.waits, folder / PLOT)
        parts.append(f"\n![The figures of the table as four plots.]({PLOT})\n")
    document.write_text("".join([*parts, "\n", _END, after]))
