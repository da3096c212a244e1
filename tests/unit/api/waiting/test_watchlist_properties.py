"""
Every wait ends once, in time and as it should, whatever Airbyte, its lists and its clocks do.

Longer than in every test run:
``AIRBYTE_EXAMPLES=2000 pytest tests/unit/api/waiting -k property --timeout=0``.
"""

from __future__ import annotations

import os

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.unit.api.waiting.scenarios import (
    CLOCKS,
    CROWDS,
    LISTS,
    OUTAGES,
    Scenario,
    check,
)

EXAMPLES = int(os.environ.get("AIRBYTE_EXAMPLES", "0"))
SEEDS = st.integers(0, 2**32)


def examples(count: int) -> settings:
    """Run *count* examples, or as many as the user wants; the same ones each time."""
    return settings(
        max_examples=EXAMPLES or count,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
    )


def some_of(features: frozenset[str]) -> st.SearchStrategy[set[str]]:
    return st.sets(st.sampled_from(sorted(features)))


@examples(25)
@given(SEEDS, st.integers(1, 40), some_of(CROWDS))
def test_property_every_wait_ends_once_and_in_time(seed, size, features):
    check(Scenario(seed, size, features))


@examples(15)
@given(SEEDS, st.integers(1, 40), some_of(CROWDS | CLOCKS))
def test_property_late_rows_and_other_clocks_lose_nothing(seed, size, features):
    check(Scenario(seed, size, features))


@examples(15)
@given(SEEDS, st.integers(1, 40), some_of(CROWDS | CLOCKS | LISTS))
def test_property_a_list_that_lies_or_fails_costs_time_only(seed, size, features):
    check(Scenario(seed, size, features))


@examples(15)
@given(SEEDS, st.integers(1, 40), some_of(CROWDS | CLOCKS | LISTS | OUTAGES))
def test_property_an_outage_ends_waits_only_after_their_failure_budget(seed, size, features):
    check(Scenario(seed, size, features))
