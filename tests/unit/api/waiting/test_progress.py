"""What the log of a wait says while it goes on, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.models import JobDetails
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.progress import (
    Report,
    next_line,
    size_text,
)
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch, SyncWatch
from tests.unit.api.waiting.simulated_airbyte import instant

BEGAN = 5000.1
MINUTE = 60.0
HOUR = 3600.0
NAME = "crm to lake"
HEAD = f"Job 42 of connection {NAME!r} (c1)"


def job(status: str = "running", **fields: Any) -> Job:
    defaults: dict[str, Any] = {"job_type": "sync", "duration": timedelta(seconds=5)}
    return Job(42, status, "c1", **{**defaults, **fields})


def wait(**fields: Any) -> Wait:
    return Wait(BEGAN, connection_name=NAME, **fields)


def report(job: Job, *, waited: float = 12 * MINUTE, age: float = 0.0, **fields: Any) -> Report:
    now = BEGAN + waited
    return Report(job, wait(**fields), now, now - age)


def details(attempts: int, *streams: tuple[int, int], read: int | None = None) -> JobDetails:
    payload = {
        "attempts": [{"attempt": {"id": number}} for number in range(attempts)],
        "job": {
            "aggregatedStats": {"recordsEmitted": read},
            "streamAggregatedStats": [
                {"streamName": f"s{rows}", "recordsCommitted": rows, "bytesCommitted": size}
                for rows, size in streams
            ],
        },
    }
    return JobDetails.from_json(payload)


def lines_of(seconds: float, *, poll_interval: float = 10.0) -> list[float]:
    """Return when a wait has lines, in seconds after its beginning, if somebody looks so often."""
    watch = JobWatch(job(), wait())
    lines = []
    for number in range(1, round(seconds / poll_interval)):
        now = BEGAN + number * poll_interval
        if now >= watch.line_due:
            assert len(watch.take_lines(now=now)) == 1
            lines.append(number * poll_interval)
    return lines


class TestRhythm:
    def test_the_first_lines_come_soon_and_the_others_every_ten_minutes(self):
        assert lines_of(HOUR) == pytest.approx([60, 300, 600, 1200, 1800, 2400, 3000], abs=10)

    def test_a_wait_of_ten_minutes_has_two_and_one_of_a_day_no_more_than_150(self):
        assert len(lines_of(10 * MINUTE)) == 2
        assert len(lines_of(24 * HOUR)) == 145

    def test_a_wait_that_is_looked_at_every_hour_has_one_line_each_time(self):
        assert lines_of(5 * HOUR, poll_interval=HOUR) == [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]

    @pytest.mark.parametrize("waited", [0.0, 59.9, 60.0, 300.0, 599.999999, 600.0, 86_400.0])
    def test_the_next_line_is_always_ahead(self, waited):
        assert waited < next_line(waited) <= waited + 600


class TestText:
    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            pytest.param({}, "is running; 12 min 0 s elapsed.", id="nothing is known"),
            pytest.param(
                {"rows_synced": 1_204_000, "bytes_synced": 310_123_456},
                "is running: 1,204,000 rows, 310 MB so far; 12 min 0 s elapsed.",
                id="rows and bytes",
            ),
            pytest.param(
                {"rows_synced": 0, "bytes_synced": 0},
                "is running: no rows so far; 12 min 0 s elapsed.",
                id="no rows",
            ),
            pytest.param(
                {"rows_synced": 0, "bytes_synced": 0, "job_type": "reset"},
                "is running; 12 min 0 s elapsed.",
                id="a job that moves no data",
            ),
            pytest.param(
                {"rows_synced": 0, "bytes_synced": 0, "status": "pending", "duration": None},
                "is pending; 12 min 0 s elapsed.",
                id="it has not begun",
            ),
            pytest.param({"status": "paused"}, "is paused; 12 min 0 s elapsed.", id="unknown"),
        ],
    )
    def test_it_says_what_the_public_api_shows(self, fields, text):
        assert report(job(**fields)).text() == f"{HEAD} {text}"

    def test_it_says_how_long_such_a_job_takes(self):
        text = report(job(), usual_duration=900.0).text()

        assert text == f"{HEAD} is running; 12 min 0 s elapsed, usually 15 min 0 s."

    def test_the_time_before_the_wait_counts(self):
        text = report(job(), elapsed_before=3 * HOUR).text()

        assert text == f"{HEAD} is running; 3 h 12 min elapsed."

    def test_counters_that_are_not_of_now_say_so(self):
        text = report(job(rows_synced=50, bytes_synced=900), age=400.0).text()

        assert text == f"{HEAD} is running: 50 rows, 900 B 6 min 40 s ago; 12 min 0 s elapsed."

    def test_counters_of_a_minute_ago_are_of_now(self):
        text = report(job(rows_synced=50, bytes_synced=900), age=60.0).text()

        assert text == f"{HEAD} is running: 50 rows, 900 B so far; 12 min 0 s elapsed."

    def test_rows_without_bytes_are_worth_a_word_when_a_wait_has_just_begun(self):
        text = report(job(rows_synced=5, bytes_synced=0), waited=59.0).text()

        assert text == f"{HEAD} is running: 5 rows so far; 59 s elapsed."

    def test_no_rows_are_not_worth_a_word_when_a_wait_has_just_begun(self):
        text = report(job(rows_synced=0, bytes_synced=0), waited=59.0).text()

        assert text == f"{HEAD} is running; 59 s elapsed."

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            pytest.param(details(0), "is running: 50 rows, 900 B so far", id="no attempt"),
            pytest.param(
                details(2), "is running, attempt 2: 50 rows, 900 B so far", id="no counters"
            ),
            pytest.param(
                details(1, (100, 2000), (3, 500)),
                "is running, attempt 1: 103 rows, 2.5 kB so far",
                id="of two streams",
            ),
            pytest.param(
                details(1, (0, 0), read=250_000),
                "is running, attempt 1: no rows so far, 250,000 rows read",
                id="read and not committed",
            ),
            pytest.param(
                details(1, (100, 2000), read=100),
                "is running, attempt 1: 100 rows, 2 kB so far",
                id="all that was read is committed",
            ),
        ],
    )
    def test_it_says_what_the_config_api_knows(self, given, text):
        shown = report(job(rows_synced=50, bytes_synced=900)).text(given)

        assert shown == f"{HEAD} {text}; 12 min 0 s elapsed."

    def test_fresh_counters_of_the_config_api_replace_old_ones(self):
        shown = report(job(rows_synced=50, bytes_synced=900), age=400.0)

        assert "70 rows, 1 kB so far" in shown.text(details(1, (70, 1000)))
        assert "50 rows, 900 B 6 min 40 s ago" in shown.text(details(1))

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1 kB"),
            (15_872, "15.9 kB"),
            (999_499, "999 kB"),
            (999_500, "1 MB"),
            (310_123_456, "310 MB"),
            (4_210_000_000, "4.21 GB"),
            (10**19, "1e+04 PB"),
        ],
    )
    def test_sizes_have_three_digits(self, size, text):
        assert size_text(size) == text


class TestChanges:
    """What a wait says when it is shown a job."""

    def test_a_change_of_status_is_said_once(self):
        watch = JobWatch(job("pending", duration=None), wait())

        for _ in range(3):
            watch.saw(job(), now=BEGAN + 15)

        assert [line.message for line in watch.take_changes()] == [
            f"{HEAD} is running; 15 s elapsed."
        ]
        assert watch.take_changes() == []

    def test_an_end_is_said(self):
        watch = JobWatch(job(), wait())

        assert watch.saw(job("succeeded"), now=BEGAN + 15)
        assert [line.message for line in watch.take_changes()] == [f"{HEAD}: succeeded."]

    def test_another_attempt_between_two_reads_is_said(self):
        watch = JobWatch(job(duration=timedelta(seconds=5)), wait())

        watch.saw(job(duration=timedelta(seconds=95)), now=BEGAN + 100)

        assert [line.message for line in watch.take_changes()] == [
            f"{HEAD} is running again; 1 min 40 s elapsed."
        ]

    @pytest.mark.parametrize("durations", [(None, 5), (5, None), (5, 5)])
    def test_a_duration_that_is_missing_is_no_change(self, durations):
        before, after = (each and timedelta(seconds=each) for each in durations)
        watch = JobWatch(job(duration=before), wait())

        watch.saw(job(duration=after), now=BEGAN + 100)

        assert watch.take_changes() == []

    @pytest.mark.parametrize(("waited", "is_asked"), [(59.0, False), (61.0, True)])
    def test_more_is_asked_for_only_if_the_wait_has_not_just_begun(self, waited, is_asked):
        watch = JobWatch(job("pending"), wait())

        watch.saw(job(), now=BEGAN + waited)

        (line,) = watch.take_changes()
        assert (line.report is not None) == is_asked

    def test_a_wait_for_a_sync_says_what_it_waits_for_and_since_when(self):
        watch = SyncWatch("c1", instant(0.0), wait(elapsed_before=60.0))
        missing = (
            f"No sync of connection {NAME!r} (c1) has completed successfully since "
            "2026-03-25T01:30:00+00:00; waiting for"
        )

        (first,) = watch.take_lines(now=BEGAN + 60.0)
        failed = Job(41, "failed", "c1", job_type="sync", last_updated_at=instant(90.0))
        watch.saw(failed, now=BEGAN + 90.0)
        (second,) = watch.take_lines(now=BEGAN + 300.0)

        assert first.message == f"{missing} 2 min 0 s so far."
        assert second.message == f"{missing} 6 min 0 s so far; the newest one, job 41, failed."


class TestSlowness:
    @pytest.mark.parametrize(
        ("usual", "waited", "is_slow"),
        [
            pytest.param(None, 24 * HOUR, False, id="nothing is known"),
            pytest.param(HOUR, 3 * HOUR - 1, False, id="not three times as long"),
            pytest.param(HOUR, 3 * HOUR, True, id="three times as long"),
            pytest.param(4.0, 10 * MINUTE, False, id="not ten minutes longer"),
            pytest.param(4.0, 10 * MINUTE + 4, True, id="ten minutes longer"),
        ],
    )
    def test_slow_is_three_times_as_long_and_ten_minutes_longer(self, usual, waited, is_slow):
        assert report(job(), waited=waited, usual_duration=usual).is_slow is is_slow

    def test_it_is_said_once_as_a_warning_with_what_to_look_at(self):
        watch = JobWatch(job(), wait(usual_duration=15 * MINUTE))
        lines = [
            line
            for minutes in range(10, 200, 10)
            for line in watch.take_lines(now=BEGAN + minutes * MINUTE)
        ]

        assert [line.message for line in lines if line.is_warning] == [
            f"{HEAD} has taken 50 min 0 s, and takes 15 min 0 s as a rule. Look in Airbyte whether "
            "its attempts fail and are repeated, whether it waits for a free worker, and whether "
            "source or destination are slow."
        ]
