"""The results of many waits as one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import NamedTuple

from benchmarks.scenarios import LATENCIES, Figures, Result


class _Panel(NamedTuple):
    title: str
    unit: str
    value: Callable[[Figures], float | None]


def _largest_gap(figures: Figures) -> float | None:
    gaps = [gap for gap in (figures.start_gap, figures.later_gap) if gap is not None]
    return max(gaps, default=figures.stopped_after)


_PANELS = (
    _Panel("Largest gap of the event loop", "seconds", _largest_gap),
    _Panel("From the end of a job to its event, p99", "seconds", lambda each: each.latency_p99),
    _Panel(
        "Requests when nothing changes",
        "requests per round of 5 s",
        lambda each: each.requests_per_round,
    ),
    _Panel(
        "Memory per wait",
        "KiB",
        lambda each: None if each.bytes_per_wait is None else each.bytes_per_wait / 1024,
    ),
)

# Told apart without colours: line and marker for the provider, filling for the latency.
_LINES = {"ours": "-", "official": "--"}
_MARKERS = {"ours": "o", "official": "s"}
_FILLINGS = dict(zip(LATENCIES, ("black", "white"), strict=True))


def draw(results: Sequence[Result], file: Path) -> None:
    """
    Draw *results* to a PNG file.

    :param file: Where to write; an existing file is replaced.
    """
    # Only the environment of `make bench` has it.
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for panel, axis in zip(_PANELS, axes.flat, strict=True):
        for (waiting, latency), line in _lines(results):
            points = [
                (each.scenario.waits, value)
                for each in line
                if (value := panel.value(each.figures)) is not None and value > 0
            ]
            axis.plot(
                [waits for waits, _ in points],
                [value for _, value in points],
                linestyle=_LINES[waiting],
                marker=_MARKERS[waiting],
                color="black",
                markerfacecolor=_FILLINGS[latency],
                label=f"{waiting}, server takes {latency * 1000:.0f} ms",
            )
            if panel.value is _largest_gap:
                _mark_bounds(axis, line)
        axis.set(xscale="log", yscale="log", title=f"{panel.title} ({panel.unit})", xlabel="waits")
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_formatter("{x:,g}")
            scale.set_minor_formatter("")
        # Whole decades, so that each end of the axis has a label.
        low, high = axis.get_ylim()
        axis.set_ylim(10 ** floor(log10(low)), 10 ** ceil(log10(high)))
        axis.grid(which="major", color="0.85")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    # Without the version of matplotlib, so that equal results give equal files.
    figure.savefig(file, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _lines(results: Sequence[Result]) -> Iterator[tuple[tuple[str, float], list[Result]]]:
    lines: dict[tuple[str, float], list[Result]] = {}
    for each in results:
        lines.setdefault((each.scenario.waiting, each.scenario.latency), []).append(each)
    yield from lines.items()


def _mark_bounds(axis: object, line: Sequence[Result]) -> None:
    """Write "at least" beside a point that is only a lower bound."""
    for each in line:
        if each.figures.start_gap is None and each.figures.stopped_after is not None:
            axis.annotate(  # type: ignore[attr-defined]  # matplotlib is not always installed
                "at least ",
                (each.scenario.waits, each.figures.stopped_after),
                horizontalalignment="right",
            )
