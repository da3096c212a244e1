"""One sync for all tries of a task: what a try that dies leaves to the next one."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_airbyte_sme.api import (
    AirbyteError,
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
    AirbyteTooFewRowsError,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteClearOperator,
    AirbyteRefreshOperator,
    AirbyteTriggerSyncOperator,
)
from tests.integration.conftest import request_count
from tests.integration.test_kill import PROCESSES
from tests.tasks import TaskRun, TaskStateStore, rebuilt

POST = "POST /jobs"
READ = "GET /jobs/{jobId}"
DELETE = "DELETE /jobs/{jobId}"
OTHER_ID = "00000000-0000-4000-8000-0000000000ff"


class KilledError(BaseException):
    """The end of a process that gets SIGKILL: nothing is cleaned up."""


@pytest.fixture
def store() -> TaskStateStore:
    return TaskStateStore()


@pytest.fixture
def try_run(sync_run: Callable[..., TaskRun], store: TaskStateStore) -> Callable[..., TaskRun]:
    """Create a run of one try of the task, whose tries share the store."""

    def make(try_number: int = 1, *, max_tries: int = 0, **kwargs: Any) -> TaskRun:
        run = sync_run(try_number=try_number, store=store, **kwargs)
        # As Airflow counts: a clear raises max_tries to the last try and the task's retries.
        run.ti.max_tries = max_tries
        return run

    return make


@pytest.fixture
def die(store: TaskStateStore) -> Callable[..., None]:
    """Let a try die when it has kept its baseline or its job."""

    def run_until(run: TaskRun, kept: str, before_death: Callable[[], object] = bool) -> None:
        def kill(record: dict[str, Any]) -> None:
            if kept in record:
                before_death()
                raise KilledError

        store.on_set = kill
        with pytest.raises(KilledError):
            run.start()
        store.on_set = lambda record: None

    return run_until


@pytest.fixture
def left_job(
    emulator: Emulator, try_run: Callable[..., TaskRun], die: Callable[..., None]
) -> Callable[..., int]:
    """Leave an endless job of a first try that died in its wait."""

    def leave(**kwargs: Any) -> int:
        emulator.script_job(statuses=[("running", None)])
        die(try_run(**kwargs), "job_id")
        return max(emulator.jobs)

    return leave


class TestRecord:
    def test_the_baseline_is_kept_before_the_request_and_the_job_after_it(
        self, emulator, try_run, store, deferrable
    ):
        older = emulator.start_sync()
        emulator.finish_job(older)
        kept: list[tuple[int, dict[str, Any]]] = []
        store.on_set = lambda record: kept.append((request_count(emulator, POST), record))

        before = time.time()
        result = try_run(deferrable=deferrable).finish()

        assert before <= kept[0][1].pop("asked_at") <= time.time()
        common = {
            "connection_id": emulator.connection_id,
            "job_type": "sync",
            "try_number": 1,
            "epoch": [0, 0],
        }
        assert kept == [
            (0, {**common, "baseline": older, "ownership": "foreign"}),
            (1, {**common, "job_id": result["job_id"], "ownership": "started", "asked_at": 0.0}),
        ]

    @pytest.mark.parametrize("wait_for_completion", [True, False])
    def test_nothing_is_kept_of_a_job_whose_end_or_start_is_reported(
        self, try_run, store, deferrable, wait_for_completion
    ):
        try_run(deferrable=deferrable, wait_for_completion=wait_for_completion).finish()

        assert store.values == {}

    @pytest.mark.parametrize("wait_for_completion", [True, False])
    def test_a_success_that_airflow_has_not_noted_is_reported_again(
        self, emulator, try_run, deferrable, wait_for_completion
    ):
        """The process dies after it has returned its result."""
        settings = {
            "deferrable": deferrable,
            "wait_for_completion": wait_for_completion,
            "retries": 1,
        }
        first = try_run(max_tries=1, **settings).finish()

        second = try_run(2, max_tries=1, **settings).finish()

        assert list(emulator.jobs) == [first["job_id"]]
        assert second["job_id"] == first["job_id"]

    @pytest.mark.parametrize("wait_for_completion", [True, False])
    def test_a_clear_after_a_success_starts_a_new_job(
        self, emulator, try_run, deferrable, wait_for_completion
    ):
        settings = {
            "deferrable": deferrable,
            "wait_for_completion": wait_for_completion,
            "retries": 1,
        }
        emulator.script_job(duration=0.0)
        first = try_run(max_tries=1, **settings).finish()

        second = try_run(2, max_tries=2, **settings).finish()

        assert list(emulator.jobs) == [first["job_id"], second["job_id"]]

    def test_nothing_is_kept_of_a_job_that_failed(self, emulator, try_run, store, deferrable):
        emulator.script_job(outcome="failed")

        with pytest.raises(AirbyteJobFailedError):
            try_run(deferrable=deferrable).finish()

        assert store.values == {}

    def test_nothing_is_kept_of_a_job_with_too_few_rows(self, emulator, try_run, store, deferrable):
        with pytest.raises(AirbyteTooFewRowsError):
            try_run(deferrable=deferrable, min_rows=121).finish()
        assert store.values == {}

        emulator.script_job(rows=121)
        result = try_run(2, deferrable=deferrable, min_rows=121).finish()

        assert (len(emulator.jobs), result["rows_synced"]) == (2, 121)

    def test_nothing_is_kept_of_a_job_that_was_cancelled_at_the_timeout(
        self, emulator, try_run, store, deferrable
    ):
        emulator.script_job(statuses=[("running", None)])

        with pytest.raises(AirbyteJobTimeoutError):
            try_run(deferrable=deferrable, timeout=0.3).finish()

        assert store.values == {}

    def test_nothing_is_kept_while_the_task_waits_for_somebody_else(
        self, emulator, try_run, store, running_job
    ):
        try_run(deferrable=True).start()

        assert store.values == {}

    @pytest.mark.parametrize("route", [POST, READ])
    def test_a_signal_handler_does_not_touch_the_store(self, emulator, operator_run, store, route):
        """It may interrupt the very request to the store that it would make."""
        emulator.script_job(statuses=[("running", None)])
        killed = PROCESSES["SIGTERM on Airflow 3"]
        used: list[str] = []

        class WatchedOperator(AirbyteTriggerSyncOperator):
            def on_kill(self) -> None:
                before = len(store.uses)
                super().on_kill()
                used.extend(store.uses[before:])

        emulator.call_next(route, killed.hit, after=True)
        killed.run(operator_run(WatchedOperator, store=store))

        assert emulator.jobs[max(emulator.jobs)].status == "cancelled"
        assert used == []


class TestNextTry:
    def test_it_waits_for_the_running_job_of_the_dead_one(
        self, emulator, try_run, store, left_job, deferrable
    ):
        job = left_job(deferrable=deferrable)

        emulator.call_next(READ, lambda: emulator.finish_job(job), after=True)
        result = try_run(2, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [job]
        assert (result["job_id"], result["status"], result["adopted"]) == (job, "succeeded", False)
        assert store.values == {}

    def test_it_finishes_with_a_job_that_succeeded_meanwhile(
        self, emulator, try_run, store, left_job, deferrable
    ):
        job = left_job(deferrable=deferrable)
        emulator.finish_job(job)

        result = try_run(2, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [job]
        assert (result["job_id"], result["adopted"]) == (job, False)
        assert store.values == {}

    @pytest.mark.parametrize("end", ["failed", "cancelled"])
    def test_it_replaces_a_job_that_failed_or_was_cancelled(
        self, emulator, try_run, left_job, deferrable, end
    ):
        job = left_job(deferrable=deferrable)
        emulator.finish_job(job, end) if end == "failed" else emulator.cancel_job(job)

        result = try_run(2, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [job, result["job_id"]]
        assert (result["status"], result["adopted"]) == ("succeeded", False)

    def test_a_job_that_runs_is_cancelled_after_a_clear(
        self, emulator, try_run, store, left_job, deferrable
    ):
        """The new try may be faster than the trigger of the old one."""
        job = left_job(deferrable=deferrable)

        result = try_run(2, max_tries=1, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [job, result["job_id"]]
        assert emulator.jobs[job].status == "cancelled"
        assert (result["status"], result["adopted"]) == ("succeeded", False)
        assert store.values == {}

    @pytest.mark.parametrize(
        ("settings", "route"), [({"cancel_on_kill": False}, READ), ({}, DELETE)]
    )
    def test_a_job_that_is_not_cancelled_after_a_clear_is_taken_over(
        self, emulator, try_run, left_job, deferrable, settings, route
    ):
        job = left_job(deferrable=deferrable)
        emulator.fail_next(DELETE, status=403)
        emulator.call_next(route, lambda: emulator.finish_job(job), after=True)

        result = try_run(2, max_tries=1, deferrable=deferrable, **settings).finish()

        assert (list(emulator.jobs), result["job_id"]) == ([job], job)

    @pytest.mark.parametrize("max_tries", [0, 1])
    def test_a_reattached_job_that_is_cancelled_leads_to_one_of_its_own(
        self, emulator, try_run, store, left_job, deferrable, max_tries
    ):
        """After a clear, the new try starts a second before the old trigger cancels its job."""
        job = left_job(deferrable=deferrable)

        emulator.call_next(READ, lambda: emulator.cancel_job(job), after=True)
        result = try_run(2, max_tries=max_tries, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [job, result["job_id"]]
        assert (result["status"], result["adopted"]) == ("succeeded", False)
        assert store.values == {}

    def test_a_job_that_ended_before_a_clear_in_a_running_try_is_replaced(
        self, emulator, try_run, left_job, deferrable
    ):
        """Such a clear raises only the number of clears of the DAG run."""
        job = left_job(deferrable=deferrable)
        emulator.finish_job(job)
        run = try_run(2, deferrable=deferrable)
        run.dag_run.clear_number = 1

        result = run.finish()

        assert list(emulator.jobs) == [job, result["job_id"]]

    @pytest.mark.parametrize("retries", [0, 3])
    def test_a_job_that_ended_before_a_clear_is_replaced(
        self, emulator, try_run, left_job, deferrable, retries
    ):
        job = left_job(deferrable=deferrable)
        emulator.finish_job(job)

        # However many retries the DAG file has by now.
        result = try_run(2, max_tries=1, deferrable=deferrable, retries=retries).finish()

        assert list(emulator.jobs) == [job, result["job_id"]]

    def test_a_clear_is_known_to_each_later_try(self, emulator, try_run, deferrable):
        """The first try after the clear cannot read the old job."""
        settings = {"deferrable": deferrable, "retries": 1}
        emulator.script_job(duration=0.0)
        old = try_run(max_tries=1, **settings).finish()["job_id"]
        emulator.fail_next(READ, status=200, body="{")
        with pytest.raises(AirbyteError):
            try_run(2, max_tries=2, **settings).finish()

        result = try_run(3, max_tries=2, **settings).finish()

        assert list(emulator.jobs) == [old, result["job_id"]]

    @pytest.mark.parametrize("on_running", ["wait", "attach", "skip", "fail"])
    def test_on_running_is_not_about_the_own_job(
        self, emulator, try_run, left_job, deferrable, on_running
    ):
        job = left_job(deferrable=deferrable)

        emulator.call_next(READ, lambda: emulator.finish_job(job), after=True)
        result = try_run(2, deferrable=deferrable, on_running=on_running).finish()

        assert list(emulator.jobs) == [job]
        assert result["adopted"] is False

    def test_a_job_that_outlived_its_timeout_is_taken_over(self, emulator, try_run, deferrable):
        emulator.script_job(statuses=[("running", None)])
        settings = {"deferrable": deferrable, "cancel_on_timeout": False}
        with pytest.raises(AirbyteJobTimeoutError) as timeout:
            try_run(timeout=0.3, **settings).finish()
        job = timeout.value.job.job_id

        emulator.call_next(READ, lambda: emulator.finish_job(job), after=True)
        assert try_run(2, **settings).finish()["job_id"] == job

        assert list(emulator.jobs) == [job]

    def test_a_job_of_another_connection_is_left_alone(
        self, emulator, try_run, left_job, deferrable, task_log
    ):
        job = left_job(deferrable=deferrable)
        other = emulator.add_connection(name="Other")

        result = try_run(2, deferrable=deferrable, connection_id=other).finish()

        assert result["connection_id"] == other
        assert emulator.jobs[job].status == "running"
        assert "is left alone, and may be running" in task_log()

    def test_a_job_that_airbyte_has_lost_is_replaced(
        self, emulator, try_run, left_job, deferrable, task_log
    ):
        job = left_job(deferrable=deferrable)
        emulator.finish_job(job)
        emulator.fail_next(READ, status=403)

        result = try_run(2, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [job, result["job_id"]]
        assert f"Job {job} of an earlier try of this task is lost" in task_log()

    def test_without_a_wait_it_returns_the_job_of_the_dead_one(
        self, emulator, try_run, store, left_job
    ):
        job = left_job(wait_for_completion=False)

        result = try_run(2, wait_for_completion=False).finish()

        assert (list(emulator.jobs), result["job_id"]) == ([job], job)
        assert store.values == {}

    def test_the_job_that_a_dead_try_was_attached_to_is_waited_for(
        self, emulator, try_run, running_job, die, deferrable
    ):
        settings = {"deferrable": deferrable, "on_running": "attach"}
        die(try_run(**settings), "job_id")
        emulator.finish_job(running_job)

        result = try_run(2, **settings).finish()

        assert list(emulator.jobs) == [running_job]
        assert (result["job_id"], result["adopted"]) == (running_job, True)


class TestLostStart:
    """A try that died after its request may have gone out, and before it knew the job."""

    def test_the_job_above_the_baseline_is_taken_over(
        self, emulator, try_run, store, die, deferrable
    ):
        die(try_run(deferrable=deferrable), "baseline", emulator.start_sync)
        (job,) = emulator.jobs

        result = try_run(2, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [job]
        assert (result["job_id"], result["adopted"]) == (job, False)
        assert request_count(emulator, POST) == 0
        assert store.values == {}

    def test_a_job_is_started_if_there_is_none(self, emulator, try_run, die):
        die(try_run(), "baseline")

        result = try_run(2).finish()

        assert list(emulator.jobs) == [result["job_id"]]
        assert result["adopted"] is False

    def test_a_failed_job_above_the_baseline_is_replaced(self, emulator, try_run, die):
        emulator.script_job(outcome="failed", duration=0.0)
        die(try_run(), "baseline", emulator.start_sync)

        with_failed = try_run(2).finish()

        assert with_failed["status"] == "succeeded"
        assert len(emulator.jobs) == 2

    def test_a_job_that_appears_after_the_start_was_given_up_is_taken_over(
        self, emulator, try_run, task_log
    ):
        """A slow server behind a proxy that waits for it less than it takes."""
        emulator.fail_next(POST, status=504, times=None)
        with pytest.raises(AirbyteError):
            try_run(timeout=0.1).finish()
        assert "may have been created" in task_log()
        job = emulator.start_sync()

        result = try_run(2).finish()

        assert (list(emulator.jobs), result["job_id"], result["adopted"]) == ([job], job, False)

    def test_of_several_jobs_one_that_has_not_failed_is_waited_for(self, emulator, try_run, die):
        def start_two() -> None:
            emulator.finish_job(emulator.start_sync())
            emulator.finish_job(emulator.start_sync(), "failed")

        die(try_run(), "baseline", start_two)

        result = try_run(2).finish()

        assert list(emulator.jobs) == [1, 2]
        assert (result["job_id"], result["adopted"]) == (1, True)

    def test_of_several_jobs_the_newest_is_waited_for_and_never_cancelled(
        self, emulator, try_run, die
    ):
        def start_two() -> None:
            emulator.finish_job(emulator.start_sync())
            emulator.script_job(statuses=[("running", None)])
            emulator.start_sync()

        die(try_run(), "baseline", start_two)
        newest = max(emulator.jobs)

        with pytest.raises(AirbyteJobTimeoutError, match="left running"):
            try_run(2, timeout=0.3).finish()

        assert emulator.jobs[newest].status == "running"
        assert len(emulator.jobs) == 2

    def test_a_job_from_after_a_clear_is_somebody_elses(self, emulator, try_run, die):
        """A start was lost in an outage. Hours later the task is cleared, while another syncs."""
        die(try_run(), "baseline")
        emulator.script_job(statuses=[("running", None)])
        others = emulator.start_sync()
        emulator.call_next(READ, lambda: emulator.finish_job(others), after=True)

        result = try_run(2, max_tries=1).finish()

        assert list(emulator.jobs) == [others, result["job_id"]]
        assert result["adopted"] is False

    def test_a_job_of_another_connection_says_nothing_about_this_one(self, emulator, try_run, die):
        other = emulator.add_connection(name="Other")
        die(try_run(), "baseline")
        others = emulator.start_sync(other)
        emulator.finish_job(others)

        result = try_run(2, connection_id=other).finish()

        assert list(emulator.jobs) == [others, result["job_id"]]

    def test_a_job_from_long_after_the_request_is_never_cancelled(
        self, emulator, try_run, store, die
    ):
        """As after an hour of ``retry_delay``, in which Airbyte's schedule has started one."""
        die(try_run(), "baseline")
        (record,) = store.values.values()
        store.set("airbyte_sme_job", {**record, "asked_at": record["asked_at"] - 3600})
        emulator.script_job(statuses=[("running", None)])
        others = emulator.start_sync()

        with pytest.raises(AirbyteJobTimeoutError, match="left running"):
            try_run(2, timeout=0.3).finish()

        assert emulator.jobs[others].status == "running"


class TestOwnership:
    """A reattached job is the task's own, so it is cancelled as any other."""

    @pytest.mark.parametrize("process", list(PROCESSES.values()), ids=list(PROCESSES))
    @pytest.mark.parametrize("moment", ["while it is taken over", "during the wait"])
    def test_a_kill_cancels_it(self, emulator, try_run, left_job, process, moment):
        job = left_job()

        if moment == "during the wait":
            emulator.call_next(READ, lambda: None)
        emulator.call_next(READ, process.hit, after=True)
        process.run(try_run(2))

        assert list(emulator.jobs) == [job]
        assert emulator.jobs[job].status == "cancelled"

    @pytest.mark.parametrize("process", list(PROCESSES.values()), ids=list(PROCESSES))
    def test_a_kill_before_it_is_taken_over_cancels_it(self, emulator, try_run, left_job, process):
        job = left_job()
        emulator.call_next("GET /connections/{connectionId}", process.hit, after=True)

        process.run(try_run(2))

        assert list(emulator.jobs) == [job]
        assert emulator.jobs[job].status == "cancelled"

    @pytest.mark.parametrize("conn_id", ["airbyte_sme_default", "", "missing"])
    def test_a_try_that_fails_before_it_takes_it_over_names_it(
        self, emulator, try_run, left_job, task_log, conn_id
    ):
        job = left_job()
        emulator.fail_next("GET /connections/{connectionId}", status=403)
        run = try_run(2)
        run.task.airbyte_conn_id = conn_id

        with pytest.raises((AirflowException, AirbyteError)):
            run.finish()

        assert emulator.jobs[job].status == "running"
        assert f"Job {job} of connection {emulator.connection_id} of an earlier try" in task_log()

    def test_a_job_of_another_connection_under_its_id_is_left_alone(
        self, emulator, try_run, left_job, store
    ):
        """Such as after Airbyte was restored from a backup: its ids begin again."""
        left_job()
        (record,) = store.values.values()
        emulator.finish_job(record["job_id"])
        other = emulator.add_connection(name="Other")
        emulator.script_job(other, statuses=[("running", None)])
        others = emulator.start_sync(other)
        store.set("airbyte_sme_job", {**record, "job_id": others})

        result = try_run(2).finish()

        assert emulator.jobs[others].status == "running"
        assert (result["job_id"], result["adopted"]) == (max(emulator.jobs), False)

    def test_the_timeout_cancels_it(self, emulator, try_run, left_job, deferrable):
        job = left_job(deferrable=deferrable)

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            try_run(2, deferrable=deferrable, timeout=0.3).finish()

        assert emulator.jobs[job].status == "cancelled"

    def test_a_clear_of_the_deferred_task_cancels_it(self, emulator, try_run, left_job):
        job = left_job(deferrable=True)
        run = try_run(2, deferrable=True)
        run.start()

        asyncio.run(rebuilt(run.deferrals[0].trigger).on_kill())

        assert emulator.jobs[job].status == "cancelled"


class TestOneOperator:
    """One operator may run more than one try, or more than once."""

    def test_a_try_after_a_killed_one_in_the_same_process_starts_a_job(self, emulator, try_run):
        """``dag.test()`` runs each try with a copy of the operator."""
        emulator.script_job(statuses=[("running", None)])
        run = try_run(max_tries=1, retries=1)
        emulator.call_next(READ, PROCESSES["execution_timeout"].hit, after=True)
        PROCESSES["execution_timeout"].run(run)

        run.ti.try_number = 2
        run.task = copy.copy(run.task)
        result = run.finish()

        assert list(emulator.jobs) == [1, result["job_id"]]

    def test_a_subclass_that_syncs_twice_gets_two_syncs(self, emulator, operator_run, store):
        class Twice(AirbyteTriggerSyncOperator):
            def execute(self, context: Any) -> Any:
                return super().execute(context), super().execute(context)

        run = operator_run(Twice, store=store, retries=1)
        run.ti.max_tries = 1

        first, second = run.finish()

        assert first["job_id"] != second["job_id"]


class TestStoreErrors:
    def test_a_store_that_cannot_be_written_is_a_warning(
        self, emulator, try_run, store, deferrable, task_log
    ):
        store.error = RuntimeError("the API server is away")

        result = try_run(deferrable=deferrable).finish()

        assert (list(emulator.jobs), result["status"]) == ([result["job_id"]], "succeeded")
        assert "task state store cannot be written" in task_log()

    def test_where_it_cannot_be_read_airbyte_is_asked(
        self, emulator, try_run, store, left_job, deferrable, task_log
    ):
        job = left_job(deferrable=deferrable)
        store.error = RuntimeError("the API server is away")
        run = try_run(2, deferrable=deferrable)
        run.dag_run.start_date -= timedelta(minutes=1)

        emulator.call_next(READ, lambda: emulator.finish_job(job), after=True)
        result = run.finish()

        assert (list(emulator.jobs), result["job_id"]) == ([job], job)
        assert "task state store cannot be read" in task_log()

    @pytest.mark.parametrize(
        "record",
        ["text", [], {}, {"try_number": 1}, {"connection_id": "x", "job_type": 1, "try_number": 1}],
    )
    def test_a_record_of_unknown_format_is_ignored(
        self, emulator, try_run, store, deferrable, task_log, record
    ):
        store.set("airbyte_sme_job", record)

        result = try_run(2, deferrable=deferrable).finish()

        assert list(emulator.jobs) == [result["job_id"]]
        assert "Ignoring what an earlier try left" in task_log()
        assert store.values == {}

    def test_a_record_of_an_unknown_ownership_is_ignored(self, emulator, try_run, store, left_job):
        left_job()
        (record,) = store.values.values()
        store.set("airbyte_sme_job", {**record, "ownership": "inherited", "more": True})
        emulator.finish_job(max(emulator.jobs))

        assert try_run(2).finish()["adopted"] is False
        assert len(emulator.jobs) == 2


@pytest.mark.parametrize(
    ("operator_class", "arguments"),
    [(AirbyteClearOperator, {"confirm": True}), (AirbyteRefreshOperator, {})],
    ids=["clear", "refresh"],
)
def test_a_clear_or_refresh_is_durable_too(
    emulator, operator_run, store, die, deferrable, operator_class, arguments
):
    emulator.script_job(statuses=[("running", None)])
    settings = {"store": store, "deferrable": deferrable, **arguments}
    die(operator_run(operator_class, **settings), "job_id")
    (job,) = emulator.jobs

    emulator.call_next(READ, lambda: emulator.finish_job(job), after=True)
    result = operator_run(operator_class, try_number=2, **settings).finish()

    assert (list(emulator.jobs), result["job_id"]) == ([job], job)


class TestBeforeAirflow33:
    """Airflow keeps nothing, so a retry decides by what Airbyte lists."""

    @pytest.fixture
    def older_run(self, sync_run: Callable[..., TaskRun]) -> Callable[..., TaskRun]:
        """Create the second try of a task whose DAG run began before its jobs."""

        def make(*, max_tries: int = 0, **kwargs: Any) -> TaskRun:
            run = sync_run(try_number=2, **kwargs)
            run.ti.max_tries = max_tries
            run.dag_run.start_date -= timedelta(minutes=1)
            return run

        return make

    def test_a_success_since_the_dag_run_began_is_taken_over(self, emulator, older_run, deferrable):
        job = emulator.start_sync()
        emulator.finish_job(job)

        result = older_run(deferrable=deferrable).finish()

        assert (list(emulator.jobs), result["job_id"], result["adopted"]) == ([job], job, True)

    @pytest.mark.parametrize("end", ["failed", "cancelled"])
    def test_a_failed_or_cancelled_job_is_replaced(self, emulator, older_run, deferrable, end):
        job = emulator.start_sync()
        emulator.finish_job(job, end) if end == "failed" else emulator.cancel_job(job)

        assert older_run(deferrable=deferrable).finish()["job_id"] != job

    @pytest.mark.parametrize("try_number", [2, 3])
    def test_a_success_from_before_a_clear_is_replaced(
        self, emulator, older_run, deferrable, try_number
    ):
        job = emulator.start_sync()
        emulator.finish_job(job)
        run = older_run(max_tries=2, retries=1, deferrable=deferrable)
        run.ti.try_number = try_number

        assert run.finish()["job_id"] != job

    def test_a_success_with_too_few_rows_is_replaced(self, emulator, older_run, deferrable):
        emulator.script_job(rows=5, duration=0.0)
        emulator.start_sync()

        result = older_run(deferrable=deferrable, min_rows=6).finish()

        assert (len(emulator.jobs), result["rows_synced"]) == (2, 120)

    @pytest.mark.parametrize(("statistics", "jobs"), [("attempts", 1), ("none", 2)])
    def test_the_statistics_of_a_success_decide_whether_it_is_replaced(
        self, emulator, older_run, deferrable, statistics, jobs
    ):
        emulator.script_job(rows=120, duration=0.0, statistics=statistics)
        emulator.start_sync()

        result = older_run(deferrable=deferrable, min_rows=6).finish()

        assert (len(emulator.jobs), result["rows_synced"]) == (jobs, 120)

    def test_a_success_in_the_second_in_which_the_dag_run_began_is_taken_over(
        self, emulator, older_run
    ):
        """Airbyte shows whole seconds."""
        job = emulator.start_sync()
        emulator.finish_job(job)
        run = older_run()
        created_at = datetime.fromtimestamp(emulator.jobs[job].created_at, UTC)
        run.dag_run.start_date = created_at.replace(microsecond=999_999)

        assert run.finish()["job_id"] == job

    def test_a_success_from_before_the_dag_run_is_replaced(self, emulator, older_run, deferrable):
        emulator.finish_job(emulator.start_sync())
        run = older_run(deferrable=deferrable)
        run.dag_run.start_date += timedelta(minutes=2)

        run.finish()

        assert len(emulator.jobs) == 2
