"""A sync sensor whose wait begins in the triggerer, and what is done where that is impossible."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
)
from packaging.version import Version

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor
from airflow_provider_airbyte_sme.triggers.starting import OVERTIME, RENDERS_TEMPLATES
from tests.integration.conftest import CONNECTION_NAME, MAX_WAIT, request_count
from tests.tasks import TaskRun, first_event

try:
    from airflow.sdk.exceptions import TaskDeferralError
except ImportError:  # Airflow 2.11
    from airflow.exceptions import TaskDeferralError  # type: ignore[no-redef]

IS_AIRFLOW_2 = Version(version("apache-airflow")) < Version("3")
needs_airflow_3_3 = pytest.mark.skipif(
    not RENDERS_TEMPLATES, reason="this Airflow renders no templates in a triggerer"
)
STARTED = datetime(2026, 3, 25, 2, 0, tzinfo=UTC)


@pytest.fixture
def sensor(emulator) -> Callable[..., AirbyteSyncSensor]:
    """Create a sensor that starts in the triggerer, by default for the emulator's connection."""

    def make(**kwargs: Any) -> AirbyteSyncSensor:
        if "connection_name" not in kwargs:
            kwargs = {"connection_id": emulator.connection_id, **kwargs}
        return AirbyteSyncSensor(
            task_id="gate",
            start_from_trigger=True,
            **{"poll_interval": 0.05, "timeout": MAX_WAIT, **kwargs},
        )

    return make


def in_triggerer(
    sensor: AirbyteSyncSensor, *, conf: dict[str, Any] | None = None, **dates: Any
) -> Any:
    """
    Return the trigger of a sensor as a triggerer runs it, from what the scheduler has stored.

    :param dates: Dates of the DAG run.
    """
    from airflow.executors.workloads.task import TaskInstanceDTO
    from airflow.jobs.triggerer_job_runner import TriggerRunner
    from airflow.models.trigger import Trigger
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DAG("gates", schedule=None)
    dag.add_task(sensor)
    stored = DagSerialization.to_dict(dag)
    args: Any = DagSerialization.from_dict(stored).get_task("gate").start_trigger_args
    row = Trigger(classpath=args.trigger_cls, kwargs=args.trigger_kwargs)
    ti = TaskInstanceDTO(
        id=uuid4(),
        dag_version_id=uuid4(),
        task_id="gate",
        dag_id="gates",
        run_id="run",
        try_number=1,
        map_index=-1,
        pool_slots=1,
        queue="default",
        priority_weight=1,
    )
    run = {
        "dag_id": "gates",
        "run_id": "run",
        "logical_date": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": STARTED - timedelta(hours=1),
        "start_date": STARTED,
        "end_date": None,
        "run_type": "manual",
        "state": "running",
        "conf": conf or {},
        "consumed_asset_events": [],
        "partition_key": None,
        **dates,
    }
    runtime_ti = TriggerRunner.create_runtime_ti(ti, stored, run)
    context = runtime_ti.get_template_context()
    kwargs = {
        name: smart_decode_trigger_kwargs(value)
        for name, value in Trigger._decrypt_kwargs(row.encrypted_kwargs).items()
    }
    trigger_class = TriggerRunner().get_trigger_by_classpath(row.classpath)
    trigger: Any = trigger_class(**kwargs)
    trigger.task_instance = runtime_ti
    trigger.trigger_id = 1
    trigger.timeout_after = datetime.now(UTC) + args.timeout
    trigger.render_template_fields(context=context)
    return trigger


def event_of(trigger: Any) -> dict[str, Any]:
    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            payload: dict[str, Any] = event.payload
            return payload
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first())


def resumed(sensor: AirbyteSyncSensor, event: dict[str, Any]) -> Any:
    """Resume the sensor in a process that has not executed it."""
    run = TaskRun(sensor)
    args: Any = sensor.start_trigger_args
    return sensor.resume_execution(args.next_method, {"event": event}, run.context)


@needs_airflow_3_3
class TestInTheTriggerer:
    def test_a_sync_that_has_completed_opens_the_gate(self, emulator, sensor):
        since = emulator.now
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)
        task = sensor(completed_after=since)

        result = resumed(task, event_of(in_triggerer(task)))

        assert result["job_id"] == job_id
        assert result["adopted"] is True
        assert result["job_url"].endswith(f"jobId={job_id}&openLogs=true")

    def test_templates_are_rendered_there(self, emulator, sensor):
        since = emulator.now
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)
        task = sensor(
            airbyte_conn_id="{{ dag_run.conf['airbyte'] }}",
            connection_id="{{ dag_run.conf['connection'].upper() }}",
            completed_after="{{ dag_run.conf['since'] }}",
            poll_interval="{{ 0.05 }}",
        )
        conf = {
            "airbyte": "airbyte_sme_default",
            "connection": emulator.connection_id,
            "since": since.isoformat(),
        }

        assert event_of(in_triggerer(task, conf=conf))["job"]["jobId"] == job_id

    @pytest.mark.parametrize(
        ("dates", "expected"),
        [
            ({"data_interval_end": STARTED - timedelta(days=1)}, STARTED - timedelta(days=1)),
            ({}, STARTED),
            ({"start_date": None}, STARTED - timedelta(hours=1)),
        ],
        ids=["data interval", "start of the run", "moment from which it may start"],
    )
    def test_the_default_instant_is_the_same_as_on_a_worker(
        self, emulator, sensor, dates, expected
    ):
        emulator.finish_job(emulator.start_sync())

        event_of(in_triggerer(sensor(), **dates))

        [query] = [each.query for each in emulator.requests if each.route == "GET /jobs"]
        assert datetime.fromisoformat(query["updatedAtStart"][0]) == expected

    def test_it_ends_at_its_timeout_and_says_what_it_waited_for(self, emulator, sensor):
        task = sensor(completed_after=emulator.now + timedelta(days=1), timeout=0.3)
        event = event_of(in_triggerer(task))

        with pytest.raises(AirflowSensorTimeout, match=emulator.connection_id):
            resumed(task, event)

    def test_a_restarted_triggerer_goes_on_with_the_same_deadline(self, emulator, sensor):
        task = sensor(completed_after=emulator.now + timedelta(days=1), timeout=3600)
        trigger = in_triggerer(task)
        trigger.timeout_after = datetime.now(UTC) + timedelta(seconds=OVERTIME)  # an hour later

        assert event_of(trigger)["outcome"] == "timeout"

    def test_airflows_own_limit_is_later_than_the_timeout(self, sensor):
        assert sensor(timeout=3600).start_trigger_args.timeout == timedelta(seconds=3600 + OVERTIME)

    @pytest.mark.parametrize("value", ["{{ none }}", "{{ data_interval_end }}", "{{ 'soon' }}"])
    @pytest.mark.parametrize("name", ["completed_after", "connection_id", "poll_interval"])
    def test_an_invalid_value_of_a_template_fails_for_good(self, emulator, sensor, name, value):
        task = sensor(**{name: value})
        event = event_of(in_triggerer(task))

        assert event["message"].startswith(f"{name} must be ")
        assert (event["outcome"], event["permanent"]) == ("error", True)
        assert emulator.requests == []

    def test_a_failed_sync_ends_the_wait_if_that_is_wanted(self, emulator, sensor):
        since = emulator.now
        emulator.finish_job(emulator.start_sync(), "failed")

        event = event_of(in_triggerer(sensor(completed_after=since, fail_on_failed_sync=True)))

        assert event["job"]["status"] == "failed"


class TestRefusedWhenTheDagIsParsed:
    RENDERED = ("airbyte_conn_id", "connection_id", "completed_after", "poll_interval")

    @pytest.mark.parametrize("name", RENDERED)
    def test_the_output_of_a_task(self, sensor, name):
        class Upstream(BaseOperator):
            """Any task."""

        with DAG("dag", schedule=None):
            output = Upstream(task_id="upstream").output

            with pytest.raises(AirbyteConfigError, match=rf"^{name} is the output of a task"):
                sensor(**{name: output})

    @pytest.mark.parametrize("name", RENDERED)
    @pytest.mark.parametrize(
        "template",
        [
            "{{ ti.xcom_pull('t') }}",
            "{{ task_instance.xcom_pull(task_ids='t', key='since') }}",
            "{% set pull = ti.xcom_pull %}{{ pull('t', map_indexes=-1) }}",
            "{{ ti.xcom_pull('t', map_indexes=-1) or ti.xcom_pull('u') }}",
        ],
    )
    def test_an_xcom_pull_without_map_indexes(self, sensor, name, template):
        with pytest.raises(AirbyteConfigError, match=rf"^{name} calls xcom_pull without map_ind"):
            sensor(**{name: template})

    def test_an_xcom_pull_with_map_indexes_is_not(self, sensor):
        sensor(completed_after="{{ ti.xcom_pull('t', map_indexes=-1)['since'] }}")

    def test_a_template_that_only_mentions_it_is_not(self, sensor):
        sensor(completed_after="{# not ti.xcom_pull('t') #}{{ ts }}")

    def test_what_only_a_worker_renders_is_not(self, sensor):
        sensor(min_rows="{{ ti.xcom_pull('t') }}")

    def test_a_template_as_timeout(self, sensor):
        with pytest.raises(AirbyteConfigError, match=r"^timeout cannot be a template"):
            sensor(timeout="{{ 5 }}")

    def test_a_connection_name(self, sensor):
        with pytest.raises(AirbyteConfigError, match=r"^connection_name has to be looked up"):
            sensor(connection_name=CONNECTION_NAME, workspace="Default")

    def test_a_wait_on_a_worker(self, sensor):
        with pytest.raises(AirbyteConfigError, match=r"needs deferrable=True\.$"):
            sensor(deferrable=False)

    @pytest.mark.parametrize("name", ["exponential_backoff", "silent_fail"])
    def test_what_concerns_only_pokes(self, sensor, name):
        with pytest.raises(AirbyteConfigError, match=f"^{name} of a sensor has no effect"):
            sensor(**{name: True})

    def test_a_value_that_is_no_flag(self, sensor):
        with pytest.raises(AirbyteConfigError, match=r"^start_from_trigger must be True or False"):
            AirbyteSyncSensor(
                task_id="gate",
                connection_id="x",
                start_from_trigger="yes",  # type: ignore[arg-type]
            )


class TestOnAWorker:
    """``execute`` runs where Airflow cannot start the task in a triggerer."""

    def test_the_wait_is_deferred_and_the_log_says_so_once(self, emulator, sensor, task_log):
        task = sensor(completed_after=emulator.now)
        run = TaskRun(task)

        run.start()
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)
        result = run.resume(asyncio.run(first_event(run.deferrals[0].trigger)))

        assert result["job_id"] == job_id
        assert task_log().count("start_from_trigger=True has no effect here") == 1

    def test_without_it_nothing_is_said(self, emulator, sensor, task_log):
        task = AirbyteSyncSensor(
            task_id="gate", connection_id=emulator.connection_id, deferrable=True
        )

        TaskRun(task).start()

        assert "start_from_trigger" not in task_log()
        assert request_count(emulator, "GET /jobs") == 1

    @pytest.mark.skipif(RENDERS_TEMPLATES, reason="this Airflow renders templates in a triggerer")
    def test_an_older_airflow_is_not_told_to_start_it_in_a_triggerer(self, sensor):
        task = sensor()

        assert task.start_from_trigger is False
        assert task.start_trigger_args is None

    @needs_airflow_3_3
    def test_a_mapped_task_has_no_trigger_to_start(self, emulator):
        with DAG("dag", schedule=None):
            mapped = AirbyteSyncSensor.partial(task_id="gate", start_from_trigger=True).expand(
                connection_id=[emulator.connection_id, emulator.add_connection()]
            )

        assert mapped.start_trigger_args is None


class TestTriggerThatEndsWithoutAnEvent:
    """Airflow resumes the task all the same, and says why."""

    @pytest.mark.parametrize("arguments", [{}, {"soft_fail": True}])
    def test_one_that_has_crashed_fails_the_sensor(self, sensor, arguments):
        task = sensor(**arguments)

        with pytest.raises(TaskDeferralError, match="Trigger failure"):
            task.resume_execution("__fail__", {"error": "Trigger failure"}, TaskRun(task).context)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [({}, AirflowException), ({"soft_fail": True}, AirflowSkipException)],
    )
    def test_one_that_has_timed_out_is_a_timeout(self, sensor, arguments, error):
        task = sensor(**arguments)
        reason = "Trigger/execution timeout" if IS_AIRFLOW_2 else "Trigger timeout"

        with pytest.raises(error) as failure:
            task.resume_execution("__fail__", {"error": reason}, TaskRun(task).context)

        assert isinstance(failure.value, AirflowSkipException) is bool(arguments)


def test_an_invalid_argument_fails_on_resume(emulator, sensor):
    task = sensor(min_rows="{{ 'many' }}", completed_after=emulator.now)
    run = TaskRun(task)
    run.render()

    with pytest.raises(AirflowFailException, match=r"^min_rows must be a whole number"):
        task.resume_execution("execute_complete", {"event": {}}, run.context)
