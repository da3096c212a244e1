"""Which surviving mutants fail `make mutation`, and what it writes."""

import pytest

from scripts.mutation import (
    LIST,
    Mutant,
    compare,
    document,
    function_of,
    listed_mutants,
    mutant_of,
    report,
    statuses_in,
    surviving,
)

NAME = "airflow_provider_airbyte_sme.api.retry.xǁRetryPolicyǁnext_delay__mutmut_7"
DIFF = """# {NAME}: survived
--- airflow_provider_airbyte_sme/api/retry.py
+++ airflow_provider_airbyte_sme/api/retry.py
@@ -20,7 +20,7 @@
         left = self.max_elapsed - elapsed
-        if left <= 0 or demanded > left:
+        if left < 0 or demanded > left:
             return None
"""
MUTANT = Mutant(
    "api.retry.RetryPolicy.next_delay",
    "if left <= 0 or demanded > left:",
    "if left < 0 or demanded > left:",
)
ENTRY = """
[[mutant]]
function = "api.retry.RetryPolicy.next_delay"
before = "if left <= 0 or demanded > left:"
after = "if left < 0 or demanded > left:"
reason = "A delay of 0 s gives up too."
"""


@pytest.mark.parametrize(
    ("name", "function"),
    [
        (NAME, "api.retry.RetryPolicy.next_delay"),
        ("airflow_provider_airbyte_sme.api.retry.x_is_closed__mutmut_12", "api.retry.is_closed"),
        (
            "airflow_provider_airbyte_sme.api.waiting.reads.x__longest__mutmut_1",
            "api.waiting.reads._longest",
        ),
    ],
)
def test_a_mutant_has_the_name_of_its_function(name, function):
    assert function_of(name) == function


def test_a_mutant_is_what_it_replaces_wherever_that_is():
    moved = DIFF.replace("@@ -20,7 +20,7 @@", "@@ -90,7 +90,7 @@").replace("        ", "    ")

    assert mutant_of(NAME, DIFF) == MUTANT
    assert mutant_of(NAME.replace("_7", "_8"), moved) == MUTANT


def test_a_mutant_that_a_test_notices_does_not_survive():
    results = """
        a.x_f__mutmut_1: killed
        a.x_f__mutmut_2: survived
        a.x_f__mutmut_3: timeout
        a.x_f__mutmut_4: no tests
        a.x_f__mutmut_5: segfault
        a.x_f__mutmut_6: not checked
    """

    assert surviving(statuses_in(results)) == [
        "a.x_f__mutmut_2",
        "a.x_f__mutmut_4",
        "a.x_f__mutmut_6",
    ]


def test_a_listed_survivor_is_expected():
    assert compare([MUTANT], listed_mutants(ENTRY)) == ([], [])


def test_a_survivor_that_is_not_listed_is_new():
    found = compare([MUTANT], {})

    assert found == ([MUTANT], [])
    lines = list(report(found, {NAME: MUTANT}, {NAME: DIFF}))
    assert lines[0] == DIFF.rstrip()
    assert lines[1].startswith(f"{MUTANT.function}: no test notices")
    assert "write a test" in lines[-1]


def test_the_same_change_at_a_second_place_is_new():
    assert compare([MUTANT, MUTANT], listed_mutants(ENTRY)).new == [MUTANT]
    assert compare([MUTANT, MUTANT], listed_mutants(f"{ENTRY}times = 2")) == ([], [])


def test_a_listed_mutant_that_has_not_survived_has_to_be_removed():
    found = compare([], listed_mutants(ENTRY))

    assert found == ([], [MUTANT])
    (line,) = report(found, {}, {})
    assert line.endswith("does not survive: remove it from tests/equivalent_mutants.toml")


def test_the_document_counts_by_module_and_gives_reasons():
    statuses = {NAME: "survived", NAME.replace("_7", "_8"): "killed"}

    text = document(statuses, listed_mutants(ENTRY))

    assert "| `api/retry.py` | 2 | 1 | 1 |" in text
    assert "| all | 2 | 1 | 1 |" in text
    assert "A delay of 0 s gives up too." in text


def test_each_listed_mutant_has_a_reason():
    listed = listed_mutants(LIST.read_text(encoding="utf-8"))

    assert listed
    assert [mutant for mutant, (reason, _) in listed.items() if not reason.endswith(".")] == []
