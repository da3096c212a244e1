"""The last syncs of a connection as bars: the geometry of a small chart, and its text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from airflow_provider_airbyte_sme.api import Job

WIDTH, HEIGHT = 158, 41
"""Of the chart, in pixels."""
BASELINE = 32
"""Where the bars stand; their marks are below."""
MARKS = {
    "bad": "m0 0 6 6m0-6-6 6",
    "stopped": "m0 3h6",
    "going": "m1 0 4 3-4 3z",
}
"""
The drawing of a result, from its upper left corner, in 6 by 6 pixels: a cross, a dash, an arrow.

It tells what the colour of a bar tells. Most syncs succeed, so a success has none.
"""

_BARS = 20
_BAR_WIDTH, _GAP = 6, 2
_LOWEST = 3
_MARK_Y = HEIGHT - 7


class Bar(NamedTuple):
    """
    One sync.

    :param job_id: Its job.
    :param x: Left edge, in pixels.
    :param y: Upper edge, in pixels.
    :param tone: How the sync ended: see :func:`tone_of`.
    :param text: What the tooltip says.
    :param mark: What is drawn below it, as a path in SVG; empty for nothing.
    """

    job_id: int
    x: int
    y: int
    width: int
    height: int
    tone: str
    text: str
    mark: str


class Chart(NamedTuple):
    """
    The last syncs of a connection.

    :param bars: The newest on the right.
    :param text: What somebody hears who does not see it.
    """

    bars: tuple[Bar, ...]
    text: str


def tone_of(job: Job) -> str:
    """Return how a job is coloured: ``good``, ``bad``, ``stopped``, or ``going`` until its end."""
    if job.has_succeeded:
        return "good"
    if job.is_cancelled:
        return "stopped"
    return "bad" if job.is_terminal else "going"


def chart_of(
    jobs: Sequence[Job],
    seconds_of: Callable[[Job], float | None],
    describe: Callable[[Job], str],
) -> Chart:
    """
    Return the chart of some syncs.

    :param jobs: The newest first.
    :param seconds_of: Returns how long a sync has taken; ``None`` if that is unknown.
    :param describe: Returns the text of a sync.
    """
    shown = [job for job in jobs if job.moves_data][:_BARS]
    # Of those that have ended: one that hangs would make all others look alike.
    ended = [job for job in shown if job.is_terminal] or shown
    longest = max((seconds_of(job) or 0.0 for job in ended), default=0.0)
    bars = []
    for number, job in enumerate(shown):
        share = (seconds_of(job) or 0.0) / longest if longest else 0.0
        height = min(BASELINE, max(_LOWEST, round(share * BASELINE)))
        x = WIDTH - _BAR_WIDTH - number * (_BAR_WIDTH + _GAP)
        tone = tone_of(job)
        mark = f"M{x} {_MARK_Y}{MARKS[tone]}" if tone in MARKS else ""
        bars.append(
            Bar(job.job_id, x, BASELINE - height, _BAR_WIDTH, height, tone, describe(job), mark)
        )
    return Chart(tuple(reversed(bars)), _summary(shown))


def _summary(jobs: Sequence[Job]) -> str:
    counts = Counter(job.status for job in jobs)
    what = "The last sync" if len(jobs) == 1 else f"The last {len(jobs)} syncs"
    return f"{what}: {', '.join(f'{count} {status}' for status, count in counts.most_common())}"
