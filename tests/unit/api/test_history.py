"""What is usual for a connection, by its last good jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_airbyte_sme.api.history import USUAL_JOBS, History
from airflow_provider_airbyte_sme.api.models import Job

JOB = Job(100, "running", "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826", "sync")


def ended(
    *seconds: float | None,
    status: str = "succeeded",
    job_type: str = "sync",
    first: int = 1,
    rows: int | None = None,
) -> list[Job]:
    """Return jobs that took so many seconds, the oldest first."""
    return [
        Job(
            first + number,
            status,
            JOB.connection_id,
            job_type,
            duration=None if each is None else timedelta(seconds=each),
            rows_synced=rows,
        )
        for number, each in enumerate(seconds)
    ]


def counted(*rows: int | None) -> History:
    """Return a history of jobs with these rows."""
    jobs = [
        Job(number, "succeeded", JOB.connection_id, "sync", rows_synced=each)
        for number, each in enumerate(rows, 1)
    ]
    return History.before(JOB, jobs)


class TestJobs:
    def test_the_last_twenty_good_jobs_of_the_type_count_the_newest_first(self):
        jobs = ended(*range(1, 31))

        assert [job.job_id for job in History.before(JOB, jobs).jobs] == [*range(30, 10, -1)]

    def test_their_order_in_the_list_does_not_matter(self):
        jobs = ended(*range(1, 31))

        assert History.before(JOB, reversed(jobs)) == History.before(JOB, jobs)

    def test_a_job_that_is_listed_twice_counts_once(self):
        (job,) = ended(10)

        assert History.before(JOB, [job, job]).jobs == (job,)

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(ended(1, status="failed"), id="failed"),
            pytest.param(ended(1, status="cancelled"), id="cancelled"),
            pytest.param(ended(1, status="running"), id="running"),
            pytest.param(ended(1, job_type="reset"), id="a reset"),
            pytest.param(ended(1, job_type="refresh"), id="a refresh"),
            pytest.param(ended(1, job_type=""), id="a job without a type"),
            pytest.param(ended(1, first=JOB.job_id), id="the job itself"),
            pytest.param(ended(1, first=JOB.job_id + 1), id="a newer job"),
        ],
    )
    def test_no_other_job_counts(self, other):
        assert History.before(JOB, other) == History()

    def test_a_refresh_is_compared_with_refreshes(self):
        refresh = Job(100, "running", JOB.connection_id, "refresh")
        jobs = [*ended(1, 1), *ended(50, job_type="refresh", first=7)]

        assert [job.job_id for job in History.before(refresh, jobs).jobs] == [7]


class TestUsualDuration:
    @pytest.mark.parametrize(
        ("seconds", "usual"),
        [((3, 1, 200, 2, 4), 3), ((4, 1, 200, 2, 5, 6), 4.5), ((1, 2, 3, 4), None), ((), None)],
    )
    def test_it_is_the_median_of_at_least_five_jobs(self, seconds, usual):
        assert History.before(JOB, ended(*seconds)).usual_duration() == usual

    def test_a_caller_may_be_content_with_fewer(self):
        assert History.before(JOB, ended(3, 1, 200)).usual_duration(fewest=3) == 3
        assert History.before(JOB, ended(3, 1)).usual_duration(fewest=3) is None

    def test_a_duration_that_is_missing_or_that_a_wrong_clock_made_does_not_count(self):
        jobs = ended(10, 20, 30, 40, 50, None, 0, -60)

        assert History.before(JOB, jobs).usual_duration() == 30

    def test_it_is_unknown_if_too_few_durations_are_known(self):
        assert History.before(JOB, ended(10, 20, 30, 40, None)).usual_duration() is None


class TestUsualRows:
    @pytest.mark.parametrize(
        ("rows", "usual"),
        [
            pytest.param((5, 1, 900, 3, 2), 3, id="the median"),
            pytest.param((4, 1, 900, 2, 5, 6), 4.5, id="of an even number"),
            pytest.param((0, 0, 900, 3, 0), 0, id="a 0 counts"),
            pytest.param((5, 1, 900, 3), None, id="of at least five"),
            pytest.param((5, 1, 900, 3, None), None, id="whose rows are known"),
            pytest.param((5, 1, 900, 3, 2, None), 3, id="an unknown number does not count"),
        ],
    )
    def test_it_is_the_median_of_at_least_five_jobs_whose_rows_are_known(self, rows, usual):
        assert counted(*rows).usual_rows() == usual


def test_so_many_jobs_are_the_last_weeks_of_a_daily_sync():
    assert USUAL_JOBS == 20
