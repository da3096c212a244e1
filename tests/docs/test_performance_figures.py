"""What docs/performance.md and docs/operations.md say about the figures is what the figures say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.docs.pages import DOCS

DOCUMENT = (DOCS / "performance.md").read_text(encoding="utf-8")
FIGURES, _, REST = DOCUMENT.partition("<!-- to here -->")
EXPLANATIONS = " ".join(REST.partition("\n## What was measured")[0].split())
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
UNITS = {"s": 1.0, "ms": 0.001}


def tables() -> list[list[dict[str, str]]]:
    """Return the rows of each table of figures, by the names of their columns."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", FIGURES, re.MULTILINE):
        header, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in table.strip().splitlines()
        )
        found.append([dict(zip(header, row, strict=True)) for row in rows])
    return found


WAITS, TRIGGERERS = tables()


def seconds(text: str) -> float:
    """Return a duration such as ``≥ 1.7 s`` or ``42 ms``."""
    number, unit = text.removeprefix("≥ ").split()
    return float(number) * UNITS[unit]


def waits(provider: str, count: str, latency: str) -> dict[str, str]:
    (row,) = [
        row
        for row in WAITS
        if (row["provider"], row["waits"], row["latency"]) == (provider, count, latency)
    ]
    return row


def said(pattern: str) -> Any:
    """Return the one number that an explanation says."""
    (found,) = re.findall(pattern, EXPLANATIONS)
    return WORDS.get(found) or float(found)


def test_no_later_gap_is_longer_than_the_text_says():
    longest = max(seconds(row["gap later"]) for row in WAITS if row["provider"] == "ours")
    asleep = re.findall(r"later ([\d.]+ m?s)", FIGURES)

    limit = said(r"no gap is longer than ([\d.]+) ms") / 1000

    assert max(longest, *map(seconds, asleep)) <= limit
    assert limit <= longest + 0.005


def test_a_garbage_collection_is_as_long_as_the_largest_gaps_at_the_start():
    shortest, longest = (
        float(each) for each in re.findall(r"([\d.]+) to ([\d.]+) s of CPU time", EXPLANATIONS)[0]
    )
    gaps = [
        seconds(waits("ours", "10,000", latency)["gap at start"]) for latency in ("50 ms", "300 ms")
    ]

    assert all(shortest <= gap <= longest for gap in gaps)


def test_the_reads_by_id_are_those_of_the_list():
    found = re.findall(r"1,000 of 10,000 jobs end .*\(300 ms\).*\((\d+) per round\)", FIGURES)

    assert [said(r"With 10,000 waits they come to (\d+) per round")] == [
        float(each) for each in found
    ]


@pytest.mark.parametrize(
    ("pattern", "count", "column"),
    [
        (r"At 300 ms it was stopped after (\d+) s", "1,000", "gap at start"),
        (r"with 100 waits, the start alone took (\d+) s", "100", "gap at start"),
    ],
)
def test_where_the_official_provider_was_stopped(pattern, count, column):
    assert said(pattern) == round(seconds(waits("official", count, "300 ms")[column]))


def test_a_round_of_the_official_provider_is_as_long_as_its_later_gap():
    assert "With 1,000 waits, one round takes about a minute" in EXPLANATIONS
    assert 45 < seconds(waits("official", "1,000", "50 ms")["gap later"]) < 75


def test_events_are_stored_as_many_times_as_soon():
    stored = {row["provider"]: seconds(row["last end → last event stored"]) for row in TRIGGERERS}

    assert said(r"its events are stored (\w+) times as soon") == round(
        stored["official"] / stored["ours"]
    )
    succeeded = {row["provider"]: seconds(row["last end → last success"]) for row in TRIGGERERS}
    assert succeeded["ours"] > succeeded["official"]


def in_megabytes(per_wait: str, count: int) -> str:
    """Return the memory of *count* waits, with one significant digit."""
    megabytes = float(per_wait.removesuffix(" KiB")) * count / 1024
    return f"{float(f'{megabytes:.1g}'):g} MiB"


def from_to(values: list[str], unit: str = "") -> str:
    """Return one number if both are the same, else a range."""
    numbers = [f"{float(value.split()[0]):g}" for value in values]
    return " to ".join(dict.fromkeys(numbers)) + unit


@pytest.mark.parametrize("count", ["100", "1,000", "10,000"])
def test_the_page_of_operations_has_the_figures(count):
    measured = [waits("ours", count, latency) for latency in ("50 ms", "300 ms")]
    cells = (
        count,
        in_megabytes(measured[0]["memory per wait"], int(count.replace(",", ""))),
        from_to([row["CPU"] for row in measured], " % of a core"),
        from_to([row["requests per round"] for row in measured]),
        from_to([row["p99"] for row in measured], " s"),
    )

    assert f"| {' | '.join(cells)} |" in OPERATIONS


def test_the_page_of_operations_says_how_long_many_ends_take():
    (ours,) = [row for row in TRIGGERERS if row["provider"] == "ours"]
    (found,) = re.findall(r"was stored (\d+) s after .*? after (\d+) s,", OPERATIONS, re.DOTALL)

    assert [int(each) for each in found] == [
        round(seconds(ours[f"last end → last {what}"])) for what in ("event stored", "success")
    ]
