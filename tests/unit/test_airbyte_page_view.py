"""The texts and the chart of the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.models import Tag
from airflow_provider_airbyte_sme.plugins.page import charts, texts, view
from airflow_provider_airbyte_sme.plugins.page.reading import ConnectionSummary

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-60, "just now"),
        (4, "just now"),
        (5, "5 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (7_199, "1 h ago"),
        (86_400 * 400, "400 d ago"),
    ],
)
def test_how_long_ago_something_was(seconds, text):
    assert texts.age_text(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (93_600, "1 d 2 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds, text):
    assert texts.short_duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.00 k"),
        (12_345, "12.3 k"),
        (123_456, "123 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (9_999_999, "10.0 M"),
        (1_234_567_890, "1.23 B"),
        (5 * 10**15, "5000 T"),
    ],
)
def test_a_number_has_three_digits(number, text):
    assert texts.short_number(number) == text


def job(job_id: int, status: str = "succeeded", seconds: float = 60, job_type: str = "sync") -> Job:
    return Job(
        job_id,
        status,
        "c",
        job_type=job_type,
        started_at=NOW - timedelta(hours=1),
        duration=timedelta(seconds=seconds),
    )


def chart(*jobs: Job) -> charts.Chart:
    def seconds(each: Job) -> float | None:
        return each.duration.total_seconds() if each.duration else None

    return charts.chart_of(jobs, seconds, lambda each: str(each.job_id))


def test_bars_are_as_high_as_syncs_are_long_and_the_newest_is_on_the_right():
    bars = chart(job(3, seconds=30), job(2, seconds=120), job(1, seconds=60)).bars

    assert [bar.text for bar in bars] == ["1", "2", "3"]
    assert [bar.height for bar in bars] == [16, 32, 8]
    assert all(bar.y + bar.height == charts.BASELINE for bar in bars)
    assert bars[-1].x + bars[-1].width == charts.WIDTH


def test_at_most_20_bars_fit_side_by_side():
    bars = chart(*(job(number) for number in range(30, 0, -1))).bars

    assert len(bars) == 20
    assert bars[0].x == 0


@pytest.mark.parametrize("seconds", [0, -5, 0.001])
def test_a_sync_without_a_length_has_a_bar_too(seconds):
    bars = chart(job(2, seconds=seconds), job(1, seconds=600)).bars

    assert bars[1].height == 3


def test_one_that_still_runs_does_not_make_the_others_look_alike():
    bars = chart(job(3, "running", 36_000), job(2, seconds=60), job(1, seconds=30)).bars

    assert [bar.height for bar in bars] == [16, 32, 32]


def test_a_reset_moves_no_data_so_it_has_no_bar():
    assert [bar.text for bar in chart(job(2, job_type="reset"), job(1)).bars] == ["1"]


def test_results_are_told_apart_without_their_colour():
    statuses = ("succeeded", "failed", "cancelled", "running")
    bars = chart(*(job(number, status) for number, status in enumerate(statuses))).bars

    marks = {bar.tone: charts.MARKS.get(bar.tone, "") for bar in bars}
    assert len(set(marks.values())) == len(statuses)
    assert all(bar.mark.endswith(marks[bar.tone]) for bar in bars)
    assert [bool(bar.mark) for bar in bars] == [bar.tone != "good" for bar in bars]


def test_the_chart_can_be_heard():
    assert chart(job(3), job(2, "failed"), job(1)).text == (
        "The last 3 syncs: 2 succeeded, 1 failed"
    )
    assert chart(job(1)).text == "The last sync: 1 succeeded"


@pytest.mark.parametrize(
    ("status", "tone"),
    [
        ("succeeded", "good"),
        ("failed", "bad"),
        ("cancelled", "stopped"),
        ("running", "going"),
        ("new in a later version", "going"),
    ],
)
def test_the_colour_of_a_job(status, tone):
    assert charts.tone_of(job(1, status)) == tone


@pytest.mark.parametrize(
    ("schedule", "is_manual", "text"),
    [
        ("manual", True, "Manual"),
        ("Every 24 HOURS", False, "Every 24 hours"),
        ("Every 1 HOURS", False, "Every hour"),
        ("Every 1 DAYS", False, "Every day"),
        ("0 0 6 * * ?", False, "0 0 6 * * ?"),
    ],
)
def test_a_schedule(schedule, is_manual, text):
    summary = ConnectionSummary("c", "n", "active", True, "w", schedule, is_manual)

    assert view.schedule_text(summary) == text


@pytest.mark.parametrize(
    ("color", "shown"), [("75dcff", "#75dcff"), ("", "#8A94A6"), ('"/><script>', "#8A94A6")]
)
def test_the_colour_of_a_tag_is_a_colour(color, shown):
    assert view.tag_color(Tag("t", "n", color, "w")) == shown
