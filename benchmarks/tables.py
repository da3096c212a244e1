"""Results as text: Markdown tables that are also readable in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.basics import PIPELINE_SIZES, Basics
from benchmarks.gates import GateFigures
from benchmarks.results import Results
from benchmarks.scenarios import Figures, Result
from benchmarks.triggerer import TriggererFigures

NOT_MEASURED = "–"  # noqa: RUF001  the sign that tables have for it

_WAITS_HEADER = (
    "latency",
    "waits",
    "provider",
    "gap at start",
    "gap later",
    "blocked",
    "requests per round",
    "tokens",
    "end → event p50",
    "p99",
    "max",
    "memory per wait",
    "CPU",
)
_TRIGGERER_HEADER = (
    "provider",
    "poll interval",
    "heartbeat age, max",
    '"blocked" lines while waiting',
    "while firing",
    "blocked in all",
    "longest",
    "last end → last event stored",
    "last end → last success",
)


def render(results: Results) -> str:
    """Return everything that was measured."""
    parts = [f"Measured on {results.machine}."]
    if results.waits:
        parts.append(_table(_WAITS_HEADER, (_waits_row(each) for each in results.waits)))
    facts = [*_comparisons(results.waits), *_bursts(results.waits), *map(_fact, results.further)]
    if facts:
        parts.append(_list(facts))
    if results.triggerers:
        parts.append(_table(_TRIGGERER_HEADER, map(_triggerer_row, results.triggerers)))
    if results.gates:
        parts.append(_list(map(_gate_line, results.gates)))
    if results.basics:
        parts.append(_list(_basics_lines(results.basics)))
    return "\n\n".join(parts) + "\n"


def _waits_row(result: Result) -> tuple[str, ...]:
    scenario, figures = result.scenario, result.figures
    return (
        f"{scenario.latency * 1000:.0f} ms",
        f"{scenario.waits:,}",
        scenario.waiting,
        _start_gap(figures),
        _seconds(figures.later_gap),
        _seconds(figures.blocked),
        _number(figures.requests_per_round),
        _number(figures.token_exchanges),
        _seconds(figures.latency_p50),
        _seconds(figures.latency_p99),
        _seconds(figures.latency_max),
        _bytes(figures.bytes_per_wait),
        _percent(figures.cpu_percent),
    )


def _start_gap(figures: Figures) -> str:
    if figures.start_gap is None and figures.stopped_after is not None:
        return f"≥ {figures.stopped_after:.0f} s"
    return _seconds(figures.start_gap)


def _comparisons(results: Sequence[Result]) -> Iterator[str]:
    """Yield what a wait costs among 10,000, relative to 1,000."""
    ours = {
        (each.scenario.latency, each.scenario.waits): each.figures
        for each in results
        if each.scenario.waiting == "ours"
    }
    for (latency, waits), figures in ours.items():
        if waits != 10_000 or (latency, 1_000) not in ours:
            continue
        fewer = ours[latency, 1_000]
        for name, many, few in (
            ("CPU time", figures.cpu_percent, fewer.cpu_percent),
            ("requests", figures.requests_per_round, fewer.requests_per_round),
            ("memory", figures.bytes_per_wait, fewer.bytes_per_wait),
        ):
            if many is not None and few:
                ratio = many / few if name == "memory" else many / few / 10
                yield (
                    f"{name} of one wait among 10,000, relative to one among 1,000 "
                    f"({latency * 1000:.0f} ms): {ratio:.2f}"
                )


def _bursts(results: Sequence[Result]) -> Iterator[str]:
    for each in results:
        figures = each.figures
        if figures.burst_rounds is not None and figures.burst_requests is not None:
            yield (
                f"1,000 of {each.scenario.waits:,} jobs end within "
                f"{_seconds(figures.burst_ending_seconds)} "
                f"({each.scenario.latency * 1000:.0f} ms): all events within "
                f"{figures.burst_rounds:.2f} rounds, the last {_seconds(figures.burst_latency_max)}"
                f" after its end, with {figures.burst_requests:.0f} requests "
                f"({figures.burst_requests / figures.burst_rounds:.0f} per round), largest gap "
                f"{_seconds(figures.burst_gap)}"
            )


def _fact(result: Result) -> str:
    figures = result.figures
    parts = [
        f"first wait alone {_seconds(figures.first_wait_gap)}",
        f"largest gap at the start {_start_gap(figures)}",
        f"later {_seconds(figures.later_gap)}",
        f"{_number(figures.requests_per_round)} requests per round",
        f"{_bytes(figures.bytes_per_wait)} and {_percent(figures.cpu_percent)} CPU while idle",
    ]
    if figures.latency_p99 is not None:
        parts.append(f"end → event p99 {_seconds(figures.latency_p99)}")
    return f"{result.scenario.title}: {', '.join(parts)}"


def _triggerer_row(figures: TriggererFigures) -> tuple[str, ...]:
    success = _seconds(figures.last_success)
    if figures.last_success is None and figures.succeeded is not None:
        success = f"{figures.succeeded} of {figures.tasks} after {_seconds(figures.bound)}"
    return (
        figures.provider,
        _seconds(figures.poll_interval),
        _seconds(figures.heartbeat_age),
        str(figures.blocked_waiting),
        str(figures.blocked_firing),
        _seconds(figures.blocked_seconds),
        _seconds(figures.longest_block),
        f"≥ {_seconds(figures.bound)}"
        if figures.last_event is None
        else _seconds(figures.last_event),
        success,
    )


def _gate_line(figures: GateFigures) -> str:
    return (
        f"sync sensor, {figures.kind}: median of {figures.gates}: waits "
        f"{_seconds(figures.deferred)} after the run was requested, succeeds "
        f"{_seconds(figures.opened)} after the end of the sync"
    )


def _basics_lines(basics: Basics) -> Iterator[str]:
    yield (
        "`hook.get_job`, calls per second relative to a bare `requests.Session`: "
        f"{basics.get_job_ratio:.2f}"
    )
    yield (
        f"import after `airflow.sdk`: best {basics.import_best:.0f} ms, "
        f"median {basics.import_median:.0f} ms"
    )
    requests = ", ".join(
        f"{number} for {size}"
        for number, size in zip(basics.pipeline_requests, PIPELINE_SIZES, strict=True)
    )
    yield f"requests of an unchanged pipeline, by its connections: {requests}"
    yield (
        f"emulator: serves after {basics.emulator_start:.1f} ms; a page of 100 jobs takes "
        f"{basics.emulator_page:.1f} times as long as `json.dumps` of its body"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = [
        "| "
        + " | ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _seconds(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _number(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _bytes(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value / 1024:.1f} KiB"


def _percent(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.1f} %"
