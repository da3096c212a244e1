"""``min_rows="history"``: whether a sync brings as many rows as the last ones did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api import AirbyteConfigError, AirbyteTooFewRowsError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteRefreshOperator,
)
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor
from tests.integration.conftest import MAX_WAIT, request_count
from tests.tasks import DagRun, TaskRun

READ = "GET /jobs/{jobId}"
LIST = "GET /jobs"
DETAILS = "POST /api/v1/jobs/get_without_logs"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator on whose clock jobs take no time unless a test says so."""
    emulator = Emulator(time="manual")
    with emulator.serve():
        yield emulator


@pytest.fixture
def run_job(emulator: Emulator) -> Callable[..., int]:
    """Let a job of the emulator's connection run to its end; return its number."""

    def run(rows: int = 100, end: str = "succeeded", job_type: Any = "sync", **script: Any) -> int:
        emulator.script_job(statuses=[("running", 60), (end, None)], rows=rows, **script)
        job_id = emulator.start_sync(job_type=job_type)
        emulator.advance(90)
        return job_id

    return run


@pytest.fixture
def check(emulator: Emulator, run_job: Callable[..., int]) -> Callable[..., Any]:
    """Let a job run, then let a sensor check its rows."""

    def run(rows: int, deferrable: bool = False, script: Any = None, **parameters: Any) -> Any:
        job_id = run_job(rows, **(script or {}))
        emulator.clear_requests()
        sensor = AirbyteJobSensor(
            task_id="gate",
            airbyte_job_id=job_id,
            deferrable=deferrable,
            timeout=MAX_WAIT,
            **{"min_rows": "history", **parameters},
        )
        task_run = TaskRun(sensor)
        task_run.render()
        return task_run.finish()

    return run


@pytest.fixture
def history(run_job: Callable[..., int]) -> None:
    """Five syncs with a median of 1,000 rows, and others that do not count."""
    for rows in (1000, 900, 5000, 1, 2000):
        run_job(rows)
        run_job(3, end="failed")
        run_job(7, job_type="reset")


@pytest.mark.usefixtures("history")
class TestCheck:
    def test_the_share_of_the_median_is_enough(self, emulator, check):
        assert check(500)["rows_synced"] == 500
        assert request_count(emulator, LIST) == 1
        assert request_count(emulator, DETAILS) == 0

    def test_fewer_fail_with_the_median_the_share_and_what_to_do(self, check):
        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"succeeded with 499 rows, fewer than 500 \(min_rows='history' and "
            r"min_rows_share=0\.5, the median of its last 5 good jobs is 1,000 rows\): Airbyte has "
            r"statistics of this job, and they say 499 rows \(.*\)\. Check whether its source "
            r"produced data\. If so few are right, lower min_rows_share\. http",
        ):
            check(499)

    def test_fewer_skip(self, check):
        with pytest.raises(AirflowSkipException, match="with 499 rows, fewer than 500"):
            check(499, on_too_few_rows="skip")

    def test_fewer_warn(self, check, task_log):
        assert check(499, on_too_few_rows="warn")["rows_synced"] == 499
        assert "with 499 rows, fewer than 500" in task_log()

    @pytest.mark.parametrize("share", [0.1, "0.1", "{{ 0.1 }}"])
    def test_the_share_can_be_chosen(self, check, share):
        with pytest.raises(AirbyteTooFewRowsError, match="with 99 rows, fewer than 100"):
            check(99, min_rows_share=share)

    def test_it_can_be_a_template(self, check):
        with pytest.raises(AirbyteTooFewRowsError, match="fewer than 500"):
            check(499, min_rows="{{ 'history' }}")

    def test_what_the_attempts_counted_decides_if_the_job_seems_empty(self, check):
        assert check(600, script={"statistics": "attempts"})["rows_synced"] == 600

    def test_streams_are_checked_too(self, check):
        with pytest.raises(AirbyteTooFewRowsError, match="of stream 'users', fewer than"):
            check(900, min_rows_of={"users": 800})

    def test_newer_jobs_do_not_count(self, emulator, check, run_job):
        old = run_job(400)
        for _ in range(25):
            run_job(10)

        sensor = AirbyteJobSensor(
            task_id="gate", airbyte_job_id=old, deferrable=False, min_rows="history"
        )
        with pytest.raises(AirbyteTooFewRowsError, match="fewer than 500"):
            TaskRun(sensor).finish()

    def test_lists_without_rows_cost_a_read_of_each_job(self, emulator, check):
        emulator.job_lists.has_counters = False

        with pytest.raises(AirbyteTooFewRowsError, match="fewer than 500"):
            check(499)

        assert request_count(emulator, READ) == 6

    def test_a_job_that_cannot_be_read_does_not_count(self, emulator, run_job, check, task_log):
        run_job(1000)
        emulator.job_lists.has_counters = False
        emulator.call_next(LIST, lambda: emulator.fail_next(READ, 403))

        with pytest.raises(AirbyteTooFewRowsError, match="the median of its last 5 good jobs is"):
            check(400)
        assert "How many rows Job" in task_log()

    @pytest.mark.parametrize("ignored", ["orderBy", "status", "jobType", "createdAtEnd"])
    def test_a_server_that_ignores_a_filter_changes_nothing(self, emulator, check, ignored):
        emulator.job_lists.ignore(ignored)

        with pytest.raises(AirbyteTooFewRowsError, match="fewer than 500"):
            check(499)


class TestUnusualHistories:
    def test_with_fewer_than_five_good_jobs_each_number_is_accepted_and_a_line_says_so(
        self, run_job, check, task_log
    ):
        for _ in range(4):
            run_job(1000)
        run_job(1000, end="failed")

        assert check(0)["rows_synced"] == 0
        assert (
            "no number of rows is required, because min_rows='history' needs 5 good jobs of this "
            "kind before it whose rows are known, and there are 4." in task_log()
        )

    def test_a_median_of_0_accepts_each_number_and_a_line_says_so(self, run_job, check, task_log):
        for rows in (0, 0, 0, 1000, 2000):
            run_job(rows)

        assert check(0)["rows_synced"] == 0
        assert "the median of its last 5 good jobs is 0 rows" in task_log()

    def test_a_connection_without_statistics_accepts_each_number(self, run_job, check, task_log):
        for _ in range(5):
            run_job(1000, statistics="none")

        assert check(1000, script={"statistics": "none"})["rows_synced"] == 0
        assert "Airbyte has no statistics of this connection" in task_log()

    def test_a_half_is_not_rounded_down(self, run_job, check):
        for rows in (1, 1, 1, 1, 1):
            run_job(rows)

        with pytest.raises(AirbyteTooFewRowsError, match="with 0 rows, fewer than 1 "):
            check(0)

    def test_a_share_that_is_not_exact_wants_no_row_more(self, run_job, check):
        """A tenth of 30 is more than 3, as a floating-point number."""
        for rows in (30, 30, 30, 30, 30):
            run_job(rows)

        assert check(3, min_rows_share=0.1)["rows_synced"] == 3

    def test_only_the_last_twenty_count(self, run_job, check):
        for rows in [9000] * 15 + [100] * 20:
            run_job(rows)

        assert check(50)["rows_synced"] == 50


@pytest.mark.usefixtures("history")
class TestOutage:
    def test_an_outage_of_the_list_is_survived(self, emulator, check):
        emulator.fail_next(LIST, 503, times=2)

        with pytest.raises(AirbyteTooFewRowsError, match="fewer than 500"):
            check(499)

    @pytest.mark.parametrize(
        ("way", "error"), [("fail", AirflowFailException), ("skip", AirflowSkipException)]
    )
    def test_a_history_that_stays_unreadable_is_no_silent_pass(self, emulator, check, way, error):
        emulator.fail_next(LIST, 403, times=None)

        with pytest.raises(error, match="with 1,000 rows, and how many are usual cannot be told: "):
            check(1000, on_too_few_rows=way)

    def test_a_history_that_stays_unreadable_warns(self, emulator, check, task_log):
        emulator.fail_next(LIST, 403, times=None)

        assert check(1000, on_too_few_rows="warn")["rows_synced"] == 1000
        assert "Give min_rows as a number for a check that does not need" in task_log()


class TestTasks:
    @pytest.fixture
    def emulator(self) -> Iterator[Emulator]:
        emulator = Emulator(time="instant", rows=40)
        with emulator.serve():
            yield emulator

    @pytest.fixture
    def start(self, emulator: Emulator) -> Callable[..., None]:
        def run(*rows: int, job_type: Any = "sync") -> None:
            for each in rows:
                emulator.script_job(rows=each)
                emulator.start_sync(job_type=job_type)

        return run

    def test_an_operator_compares_its_sync_with_syncs(self, sync_run, deferrable, start):
        start(*[100] * 5)

        with pytest.raises(AirbyteTooFewRowsError, match="with 40 rows, fewer than 50 "):
            sync_run(deferrable=deferrable, min_rows="history").finish()

    def test_a_refresh_is_compared_with_refreshes(self, operator_run, deferrable, start):
        start(*[100_000] * 5)
        start(*[100] * 5, job_type="refresh")

        with pytest.raises(AirbyteTooFewRowsError, match="with 40 rows, fewer than 50 "):
            operator_run(AirbyteRefreshOperator, deferrable=deferrable, min_rows="history").finish()

    def test_a_sync_sensor_checks_the_sync_that_ends_its_wait(self, emulator, deferrable, start):
        start(*[100] * 6)
        emulator.script_job(rows=40)
        emulator.start_sync()
        sensor = AirbyteSyncSensor(
            task_id="gate",
            connection_id=emulator.connection_id,
            completed_after=emulator.now - timedelta(hours=1),
            deferrable=deferrable,
            min_rows="history",
        )

        with pytest.raises(AirbyteTooFewRowsError, match="with 40 rows, fewer than 50 "):
            TaskRun(sensor).finish()

    def test_a_retry_without_records_replaces_a_job_with_too_few_rows(
        self, emulator, sync_run, start
    ):
        start(*[100] * 5)
        began = DagRun(emulator.now - timedelta(seconds=1))
        start(40)
        emulator.script_job(rows=90)
        run = sync_run(try_number=2, deferrable=False, min_rows="history")
        run.dag_run = DagRun(began.start_date)

        result = run.finish()

        assert (result["job_id"], result["rows_synced"]) == (7, 90)


class TestParameters:
    @pytest.mark.parametrize("value", ["usual", -1, 0.5, True])
    def test_what_is_neither_a_number_nor_history_is_refused(self, sync_run, value):
        with pytest.raises(AirbyteConfigError, match="min_rows must be a whole number from 0, or"):
            sync_run(min_rows=value)

    @pytest.mark.parametrize("value", [0, 1.5, -0.5, "half", True])
    def test_a_share_that_is_none_is_refused(self, sync_run, value):
        with pytest.raises(AirbyteConfigError, match="min_rows_share must be above 0 and at most"):
            sync_run(min_rows="history", min_rows_share=value)
