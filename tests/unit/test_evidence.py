"""Whether a job moved as many rows as it should have, decided from what Airbyte reports."""

from __future__ import annotations

import logging
from typing import NoReturn

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigApiError,
    AirbyteTooFewRowsError,
    AirbyteTransportError,
    Attempt,
    Job,
    JobDetails,
    Ownership,
    StreamCounters,
)
from airflow_provider_airbyte_sme.evidence import RequiredRows, check_rows
from airflow_provider_airbyte_sme.outcome import TrackedJob

CONNECTION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"
JOB = f"Job 42 of connection 'crm to lake' ({CONNECTION_ID})"
URL = "https://airbyte.example.com/job/42"


def track(rows: int | None) -> TrackedJob:
    job = Job(42, "succeeded", CONNECTION_ID, job_type="sync", rows_synced=rows)
    return TrackedJob(job, Ownership.STARTED, 0.0, URL, "crm to lake")


def counted(last_attempt: int | None = None, **rows: int | None) -> JobDetails:
    """Return what the config API says of a job with these rows of streams."""
    streams = tuple(StreamCounters(name, rows=number) for name, number in rows.items())
    return JobDetails((Attempt(0, rows=last_attempt),), streams)


def unread(job_id: int) -> NoReturn:
    raise AssertionError(f"the details of job {job_id} are read for nothing")


def closed(job_id: int) -> NoReturn:
    del job_id
    raise AirbyteConfigApiError("Reading it", is_hidden=False)


@pytest.mark.parametrize(("rows", "min_rows"), [(0, 0), (None, 0), (1, 1), (1200, 1), (1200, 1200)])
@pytest.mark.parametrize("on_too_few_rows", ["fail", "skip", "warn"])
def test_enough_rows_by_the_public_api_need_no_other(rows, min_rows, on_too_few_rows, caplog):
    tracked = track(rows)

    assert check_rows(tracked, RequiredRows(min_rows, {}, on_too_few_rows), unread) == tracked
    assert caplog.text == ""


def test_too_few_rows_fail_with_the_job_and_one_line():
    with pytest.raises(AirbyteTooFewRowsError) as failure:
        check_rows(track(1200), RequiredRows(1201), lambda job_id: counted(1200, users=1200))

    assert failure.value.job == track(1200).job
    assert str(failure.value) == (
        f"{JOB} succeeded with 1,200 rows, fewer than min_rows=1,201: Airbyte has statistics of "
        f"this job, and they say 1,200 rows (1,200 rows of 'users'). Check whether its source "
        f"produced data. {URL}"
    )


def test_too_few_rows_skip():
    with pytest.raises(AirflowSkipException, match="1 row, fewer than min_rows=2"):
        check_rows(track(1), RequiredRows(2, {}, "skip"), lambda job_id: counted(1))


def test_too_few_rows_warn(caplog):
    caplog.set_level(logging.WARNING)

    checked = check_rows(track(1), RequiredRows(2, {}, "warn"), lambda job_id: counted(1))

    assert checked == track(1)
    [record] = caplog.records
    assert "1 row, fewer than min_rows=2" in record.message


@pytest.mark.parametrize(
    ("public", "details", "rows"),
    [
        (0, counted(7), 7),
        (None, counted(7), 7),
        (0, counted(users=3, orders=4), 7),
        (0, counted(7, users=3), 7),
        (0, counted(3, users=7), 7),
        (0, counted(None, users=7, orders=None), 7),
        (7, counted(), 7),
        (7, counted(3), 7),
    ],
    ids=[
        "of the attempt, not in the public API",
        "of the attempt, none in the public API",
        "of two streams",
        "of streams that were stored before the end",
        "of streams in earlier attempts too",
        "of a stream without a number",
        "of the public API only",
        "of the public API, less of the last attempt",
    ],
)
def test_the_best_number_counts(public, details, rows):
    # Needed, so that the details are read in each case.
    required = RequiredRows(rows, {"none": 1}, "warn")
    checked = check_rows(track(public), required, lambda job_id: details)

    assert checked.job.rows_synced == rows
    with pytest.raises(AirbyteTooFewRowsError, match=f"with {rows} rows, fewer than min_rows=8"):
        check_rows(track(public), RequiredRows(8), lambda job_id: details)


@pytest.mark.parametrize("public", [0, None])
def test_rows_that_nobody_has_counted_are_too_few(public):
    with pytest.raises(
        AirbyteTooFewRowsError,
        match="with no row count, fewer than min_rows=1: Airbyte has no statistics of this job",
    ):
        check_rows(track(public), RequiredRows(1), lambda job_id: counted())


@pytest.mark.parametrize("public", [0, None])
def test_a_closed_config_api_is_named_with_what_to_do(public):
    count = "no row count" if public is None else "0 rows"
    with pytest.raises(AirbyteTooFewRowsError) as failure:
        check_rows(track(public), RequiredRows(1), closed)

    assert str(failure.value) == (
        f"{JOB} succeeded with {count}, fewer than min_rows=1: Airbyte reports 0 rows also when it "
        f"has no statistics of a job, and which of the two it is, only its config API says. "
        f"Reading it needs Airbyte's config API: set config_api of the Airflow connection to true. "
        f"See in the job's log and in the destination whether data has arrived. {URL}"
    )


def test_streams_that_no_retry_could_count_fail_the_task_for_good():
    with pytest.raises(AirflowFailException, match="set config_api") as failure:
        check_rows(track(7), RequiredRows(7, {"users": 1}), closed)

    assert isinstance(failure.value.__cause__, AirbyteTooFewRowsError)


def test_an_error_of_the_config_api_is_named():
    def fails(job_id: int) -> NoReturn:
        raise AirbyteTransportError(f"No response about job {job_id}.", request_sent=True)

    with pytest.raises(
        AirbyteTooFewRowsError,
        match=r"config API only\. It does not say so: No response about job 42\. See in the job's",
    ):
        check_rows(track(7), RequiredRows(7, {"users": 1}), fails)


def test_a_long_list_of_streams_is_cut_short():
    details = counted(**{f"s{number:02}": number for number in range(12)})

    with pytest.raises(
        AirbyteTooFewRowsError, match=r"1 row of 's01', .*, 9 rows of 's09', 2 more streams\)"
    ) as failure:
        check_rows(track(66), RequiredRows(67), lambda job_id: details)

    assert "s10" not in str(failure.value)


def test_a_stream_cannot_break_the_line_of_the_message():
    with pytest.raises(AirbyteTooFewRowsError) as failure:
        check_rows(
            track(0), RequiredRows(0, {"a\nb": 1}), lambda job_id: counted(**{"a\nb": 0, "c\nd": 0})
        )

    assert "\n" not in str(failure.value)
