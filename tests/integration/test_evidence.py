"""Whether a sync has really moved data: statistics, rows of single streams, partial successes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteJobFailedError,
    AirbyteTooFewRowsError,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteRefreshOperator,
    AirbyteTriggerSyncOperator,
)
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor
from tests.integration.conftest import MAX_WAIT, request_count
from tests.integration.test_sync_sensor import end_process, finish
from tests.tasks import RescheduledTaskInstance, TaskRun, run_trigger

pytestmark = pytest.mark.usefixtures("reschedule_database")

DETAILS = "POST /api/v1/jobs/get_without_logs"
# Class of the task, and how it waits.
GATES: dict[str, tuple[type, dict[str, Any]]] = {
    "sync operator, blocking": (AirbyteTriggerSyncOperator, {"deferrable": False}),
    "sync operator, deferrable": (AirbyteTriggerSyncOperator, {"deferrable": True}),
    "refresh operator, blocking": (AirbyteRefreshOperator, {"deferrable": False}),
    "refresh operator, deferrable": (AirbyteRefreshOperator, {"deferrable": True}),
    "job sensor, poke": (AirbyteJobSensor, {"deferrable": False, "mode": "poke"}),
    "job sensor, reschedule": (AirbyteJobSensor, {"deferrable": False, "mode": "reschedule"}),
    "job sensor, deferrable": (AirbyteJobSensor, {"deferrable": True}),
    "sync sensor, poke": (AirbyteSyncSensor, {"deferrable": False, "mode": "poke"}),
    "sync sensor, reschedule": (AirbyteSyncSensor, {"deferrable": False, "mode": "reschedule"}),
    "sync sensor, deferrable": (AirbyteSyncSensor, {"deferrable": True}),
}

Gate = Callable[..., Any]


@pytest.fixture
def make_run(emulator: Emulator) -> Callable[..., TaskRun]:
    """Create a run of a task that waits for the scripted job of the emulator's connection."""

    def make(task_class: type, **kwargs: Any) -> TaskRun:
        if task_class is AirbyteJobSensor:
            kwargs["airbyte_job_id"] = emulator.start_sync()
        else:
            kwargs["connection_id"] = emulator.connection_id
        if task_class is AirbyteSyncSensor:
            kwargs["completed_after"] = emulator.now.replace(microsecond=0)
            emulator.start_sync()
        task = task_class(task_id="gate", poll_interval=0.05, timeout=MAX_WAIT, **kwargs)
        return TaskRun(task, RescheduledTaskInstance(start_date=datetime.now(UTC)))

    return make


@pytest.fixture(params=GATES)
def gate(request: pytest.FixtureRequest, make_run: Callable[..., TaskRun]) -> Gate:
    """Run a task of each kind, in each way to wait, to its end."""
    task_class, way = GATES[request.param]

    def run(**parameters: Any) -> Any:
        task = make_run(task_class, **way, **parameters)
        try:
            return finish(task)
        finally:
            end_process(task)

    return run


@pytest.fixture
def operator_gate(make_run: Callable[..., TaskRun]) -> Gate:
    """Run one kind of task, where the kind does not matter."""
    return lambda **parameters: make_run(
        AirbyteTriggerSyncOperator, deferrable=False, **parameters
    ).finish()


def close_config_api(emulator: Emulator) -> None:
    emulator.fail_next(DETAILS, 404, times=None)


class TestStatistics:
    def test_the_config_api_is_not_asked_if_the_public_number_suffices(self, emulator, gate):
        emulator.script_job(rows=120)

        assert gate(min_rows=120)["rows_synced"] == 120
        assert request_count(emulator, DETAILS) == 0

    def test_statistics_that_say_0_rows_are_named_as_such(self, emulator, gate):
        emulator.script_job(rows=0)

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"succeeded with 0 rows, fewer than min_rows=1: Airbyte has statistics of this "
            r"job, and they say 0 rows \(0 rows of 'users', 0 rows of 'products', 0 rows of "
            r"'purchases'\)\. Check whether its source produced data\. http\S+openLogs=true$",
        ):
            gate(min_rows=1)

        assert request_count(emulator, DETAILS) == 1

    def test_missing_statistics_are_no_evidence_and_are_named_as_such(self, emulator, gate):
        emulator.script_job(rows=120, statistics="none")

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"with no row count, fewer than min_rows=1: Airbyte has no statistics of this "
            r"job, so 0 rows of it prove nothing\. See in its log and in the destination whether "
            r"data has arrived\. If Airbyte never has statistics of this connection, do without "
            r"min_rows\. http",
        ):
            gate(min_rows=1)

    def test_what_the_attempts_counted_decides_if_the_job_seems_empty(self, emulator, gate):
        emulator.script_job(rows=120, statistics="attempts")

        assert gate(min_rows=120)["rows_synced"] == 120

    def test_a_closed_config_api_leaves_open_which_of_the_two_it_is(self, emulator, gate):
        emulator.script_job(rows=0)
        close_config_api(emulator)

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"succeeded with 0 rows, fewer than min_rows=1: Airbyte reports 0 rows also when "
            r"it has no statistics of a job, and which of the two it is, only its config API says\."
            r" Airbyte's config API .*\. See in the job's log and in the destination",
        ):
            gate(min_rows=1)

        assert request_count(emulator, DETAILS) == 1

    @pytest.mark.parametrize(
        "gate", [name for name in GATES if "refresh" not in name], indirect=True
    )
    def test_a_config_api_that_is_switched_off_is_not_asked(self, emulator, gate, set_connection):
        set_connection(
            host=emulator.url,
            login=emulator.client_id,
            password=emulator.client_secret,
            extra={"config_api": False},
        )
        emulator.script_job(rows=0, statistics="none")

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"which of the two it is, only its config API says.*: set config_api of the "
            "Airflow connection to true",
        ):
            gate(min_rows=1)

        assert request_count(emulator, DETAILS) == 0

    def test_a_closed_config_api_leaves_no_question_about_a_number_that_is_not_0(
        self, emulator, operator_gate
    ):
        emulator.script_job(rows=50)
        close_config_api(emulator)

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"with 50 rows, fewer than min_rows=100: check whether its source produced data",
        ):
            operator_gate(min_rows=100)

    def test_an_outage_of_the_config_api_is_survived(self, emulator, operator_gate):
        emulator.script_job(rows=120, statistics="attempts")
        emulator.fail_next(DETAILS, 503)

        assert operator_gate(min_rows=1)["rows_synced"] == 120

    @pytest.mark.parametrize("statistics", ["all", "none"])
    def test_too_few_rows_can_skip_the_task(self, emulator, gate, statistics):
        emulator.script_job(rows=0, statistics=statistics)

        with pytest.raises(AirflowSkipException, match="fewer than min_rows=1: Airbyte has"):
            gate(min_rows=1, on_too_few_rows="skip")

    def test_too_few_rows_can_cause_a_warning(self, emulator, gate, task_log):
        emulator.script_job(rows=120, statistics="none")
        task_log()

        assert gate(min_rows=1, on_too_few_rows="warn")["status"] == "succeeded"
        assert task_log().count("Airbyte has no statistics of this job") == 1

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_nothing_is_asked_or_said_about_a_job_without_a_condition(
        self, emulator, operator_gate, task_log, is_closed
    ):
        emulator.script_job(rows=0, statistics="none")
        if is_closed:
            close_config_api(emulator)
        task_log()

        operator_gate(min_rows_of={"users": 0})

        assert request_count(emulator, DETAILS) == 0
        assert "statistics" not in task_log()


class TestRowsOfStreams:
    def test_streams_with_enough_rows_open_the_gate(self, emulator, gate):
        emulator.script_job(rows_of={"users": 60, "products": 0, "purchases": 5})

        assert gate(min_rows=65, min_rows_of={"users": 60, "purchases": 1})["rows_synced"] == 65
        assert request_count(emulator, DETAILS) == 1

    def test_each_stream_with_too_few_rows_is_named(self, emulator, gate):
        emulator.script_job(rows_of={"users": 60, "products": 3, "purchases": 1})

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"succeeded with 3 rows of stream 'products', fewer than min_rows_of=1,000, and "
            r"with 1 row of stream 'purchases', fewer than min_rows_of=2: Airbyte has statistics "
            r"of this job, and they say 64 rows \(60 rows of 'users', ",
        ):
            gate(min_rows_of={"users": 60, "products": 1000, "purchases": 2})

    def test_a_stream_without_counters_is_named(self, emulator, gate):
        emulator.script_job(rows_of={"users": 60})

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"succeeded with no row count of stream 'purchases', of which min_rows_of wants "
            r"2: Airbyte has statistics of this job, and they say 60 rows \(60 rows of 'users'\)",
        ):
            gate(min_rows=60, min_rows_of={"users": 1, "purchases": 2})

    def test_a_job_without_statistics_is_named_once(self, emulator, gate):
        emulator.script_job(rows=120, statistics="none")

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"with no row count, fewer than min_rows=1, and with no row count of stream "
            r"'users', of which min_rows_of wants 1: Airbyte has no statistics of this job.* do "
            r"without min_rows and min_rows_of\. http",
        ):
            gate(min_rows=1, min_rows_of={"users": 1})

    def test_a_stream_is_not_counted_by_what_only_attempts_report(self, emulator, operator_gate):
        emulator.script_job(rows=120, statistics="attempts")

        with pytest.raises(
            AirbyteTooFewRowsError,
            match=r"no row count of stream 'users'.* they say 120 rows, not of which stream\.",
        ):
            operator_gate(min_rows_of={"users": 1})

    @pytest.mark.parametrize(
        ("on_too_few_rows", "error"),
        [("fail", AirflowFailException), ("skip", AirflowSkipException)],
    )
    def test_a_closed_config_api_leaves_open_whether_a_stream_has_rows(
        self, emulator, gate, on_too_few_rows, error
    ):
        emulator.script_job(rows=120)
        close_config_api(emulator)

        with pytest.raises(
            error,
            match=r"succeeded with an unknown number of rows of stream 'users', of which "
            r"min_rows_of wants 1: the rows of a stream are in Airbyte's config API only\. "
            r"Airbyte's config API .* See in the job's log and in the destination",
        ):
            gate(min_rows=120, min_rows_of={"users": 1}, on_too_few_rows=on_too_few_rows)

    def test_a_closed_config_api_can_cause_a_warning(self, emulator, gate, task_log):
        emulator.script_job(rows=120)
        close_config_api(emulator)
        task_log()

        assert gate(min_rows_of={"users": 1}, on_too_few_rows="warn")["rows_synced"] == 120
        assert task_log().count("an unknown number of rows of stream 'users'") == 1

    @pytest.mark.parametrize("name", ["tables", "public.tables", "table.s"])
    def test_a_name_may_have_its_namespace(self, emulator, operator_gate, name):
        source_id = emulator.add_source(
            connector="postgres",
            streams=[
                {"name": "tables", "namespace": "public"},
                {"name": "tables", "namespace": "archive"},
                {"name": "table.s"},
            ],
        )
        connection_id = emulator.add_connection(source_id=source_id)
        emulator.connection_id = connection_id
        emulator.script_job(rows_of={"public.tables": 5, "archive.tables": 2, "table.s": 9})

        fewer_in_archive = pytest.raises(
            AirbyteTooFewRowsError, match=r"2 rows of stream 'archive\.tables', fewer than"
        )
        if name == "tables":  # in each namespace
            with fewer_in_archive as failure:
                operator_gate(min_rows_of={name: 5})
            assert "5 rows of stream" not in str(failure.value)
        else:
            operator_gate(min_rows_of={name: 5})


class TestParameter:
    @pytest.mark.parametrize(("task_class", "way"), GATES.values(), ids=GATES)
    def test_an_invalid_one_is_refused_when_the_dag_is_parsed(self, make_run, task_class, way):
        with pytest.raises(AirbyteConfigError, match=r"^min_rows_of\['users'\] must be a whole"):
            make_run(task_class, min_rows_of={"users": -1}, **way)

    @pytest.mark.parametrize(("task_class", "way"), GATES.values(), ids=GATES)
    @pytest.mark.parametrize("template", ["{{ {'users': 61} }}", {"users": "{{ 61 }}"}])
    def test_templates_are_rendered(self, emulator, make_run, template, task_class, way):
        emulator.script_job(rows_of={"users": 60})
        run = make_run(task_class, min_rows_of=template, **way)
        run.render()

        with pytest.raises(AirbyteTooFewRowsError, match="min_rows_of=61"):
            finish(run)

    @pytest.mark.parametrize(("task_class", "way"), GATES.values(), ids=GATES)
    @pytest.mark.parametrize("template", ["{{ 'many' }}", {"users": "{{ -1 }}"}, "{{ None }}"])
    def test_what_a_template_renders_to_is_checked_before_the_first_request(
        self, emulator, make_run, template, task_class, way
    ):
        run = make_run(task_class, min_rows_of=template, **way)
        run.render()

        with pytest.raises(AirflowFailException, match=r"^min_rows_of"):
            finish(run)

        assert list(emulator.requests) == []

    @pytest.mark.parametrize(
        ("task_class", "way"), [gate for gate in GATES.values() if gate[1]["deferrable"]]
    )
    def test_templates_are_checked_again_on_resume(self, emulator, make_run, task_class, way):
        emulator.script_job(statuses=[("running", None)])
        run = make_run(task_class, min_rows_of="{{ {'users': 1} }}", **way)
        run.render()
        run.start()
        emulator.finish_job(max(emulator.jobs))
        event = run_trigger(run.deferrals[0].trigger)
        run.task.min_rows_of = "many"  # Airflow makes a new task and renders it

        with pytest.raises(AirflowFailException, match=r"^min_rows_of must be a dict"):
            run.resume(event)


class TestPartialSuccess:
    @pytest.mark.parametrize(
        ("task_class", "way"),
        [
            (
                task_class,
                {**way, **({"fail_on_failed_sync": True} if "sync sensor" in name else {})},
            )
            for name, (task_class, way) in GATES.items()
        ],
        ids=GATES,
    )
    def test_a_job_that_failed_names_what_has_arrived(self, emulator, make_run, task_class, way):
        emulator.script_job(
            outcome="failed", attempts=1, rows_of={"users": 60, "products": 0, "purchases": 1}
        )
        with pytest.raises(
            AirbyteJobFailedError,
            match=r"failed( after \S+ s)? with 61 rows: 1 attempt, .* Part of its data has "
            r"arrived: 60 rows of 'users', 1 row of 'purchases'\. http",
        ):
            finish(make_run(task_class, **way))

    def test_the_log_of_a_success_names_what_earlier_attempts_committed(
        self, emulator, gate, caplog
    ):
        caplog.set_level(logging.INFO)
        emulator.script_job(
            attempts=2, failure={"type": "transient_error"}, partial_rows=30, rows=70
        )

        assert gate(min_rows_of={"users": 30})["rows_synced"] == 100
        assert re.search(
            r"Job \d+ of connection 'Sample data to Warehouse' \(\S+\): attempt 1 of 2 failed "
            r"after it had committed 30 rows\.",
            caplog.text,
        )
