"""The benchmark programs still run. Their figures are not checked: they depend on the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.basics import Basics
from benchmarks.document import TEXT, write
from benchmarks.gates import GateFigures
from benchmarks.machine import describe_machine
from benchmarks.results import Results
from benchmarks.scenarios import Figures, Result, Scenario, measure
from benchmarks.tables import render
from benchmarks.triggerer import TriggererFigures

# A measurement as short as it can be.
TINY = Scenario("ours", waits=3, latency=0.0, poll_interval=0.2, idle_rounds=1, bound=100.0)

TRIGGERER = TriggererFigures(
    provider="ours",
    tasks=500,
    poll_interval=10.0,
    heartbeat_age=5.5,
    blocked_waiting=3,
    blocked_firing=4,
    blocked_seconds=1.5,
    longest_block=0.3,
    last_event=2.5,
    last_success=None,
    succeeded=321,
    bound=600.0,
)


@pytest.fixture
def table_row():
    """Return the cells of the only row of a rendered table, by their header."""

    def parse(text: str) -> dict[str, str]:
        header, _, row = (line for line in text.splitlines() if line.startswith("|"))
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, row)]
        return dict(zip(*cells, strict=True))

    return parse


@pytest.mark.parametrize("waiting", ["ours", "ours, sync sensors"])
def test_waits_are_measured_in_a_process_of_their_own(waiting):
    figures = measure(replace(TINY, waiting=waiting)).figures

    assert figures.start_gap is not None
    assert figures.requests_per_round is not None
    assert figures.token_exchanges is not None
    assert figures.latency_max is not None


def test_a_measurement_that_takes_too_long_is_stopped():
    figures = measure(replace(TINY, poll_interval=1000.0, bound=0.5)).figures

    assert figures.stopped_after == 0.5
    assert figures.latency_max is None


def test_a_measurement_that_fails_says_why():
    with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
        measure(replace(TINY, waiting="nobody"))


def test_results_survive_the_file_that_keeps_them(tmp_path):
    results = Results(
        describe_machine(),
        basics=Basics(50.0, 60.0, 0.9, 2.0, 8.0, (8, 8, 8, 13)),
        waits=(Result(TINY, Figures(start_gap=0.2)),),
        triggerers=(TRIGGERER,),
        gates=(GateFigures("start_from_trigger", 7, 0.9, 4.0),),
    )
    file = tmp_path / "results.json"

    results.write(file)

    assert Results.read(file) == results


def test_the_table_shows_a_bound_where_nothing_was_measured(table_row):
    stopped = Result(TINY, Figures(stopped_after=90.0))

    row = table_row(render(Results(describe_machine(), waits=[stopped])))

    assert row["gap at start"] == "≥ 90 s"
    assert row["p99"] == "–"  # noqa: RUF001


def test_the_table_of_triggerers_counts_successes_that_came_in_time(table_row):
    row = table_row(render(Results(describe_machine(), triggerers=[TRIGGERER])))

    assert row["last end → last event stored"] == "2.5 s"
    assert row["last end → last success"] == "321 of 500 after 600.0 s"


def test_what_gates_cost_is_listed():
    text = render(Results(describe_machine(), gates=[GateFigures("of a worker", 7, 4.25, 0.9)]))

    assert "of a worker: median of 7: waits 4.2 s after" in text
    assert "succeeds 900 ms after" in text


def test_only_the_figures_of_the_document_are_replaced(tmp_path):
    document = tmp_path / TEXT
    document.write_text(
        "Before.\n<!-- make bench-docs writes from here -->\nOld.\n<!-- to here -->\nAfter.\n"
    )

    write(Results(describe_machine(), triggerers=[TRIGGERER]), tmp_path)

    text = document.read_text()
    assert text.startswith("Before.\n")
    assert "321 of 500" in text
    assert "Old." not in text
    assert text.endswith("After.\n")


def test_the_plot_is_a_png_file(tmp_path):
    pytest.importorskip("matplotlib", reason="only the environment of `make bench` has it")
    from benchmarks.plot import draw

    draw([Result(TINY, Figures(start_gap=0.2, latency_p99=1.0))], tmp_path / "plot.png")

    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
