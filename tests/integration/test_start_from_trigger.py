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
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor
from airflow_provider_airbyte_sme.triggers.starting import OVERTIME, RENDERS_TEMPLATES
from tests.integration.conftest import CONNECTION_NAME, MAX_WAIT, UNKNOWN_ID, request_count
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


async def first_event_of(trigger: Any) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


def event_of(trigger: Any) -> dict[str, Any]:
    return asyncio.run(first_event_of(trigger))


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

    @pytest.mark.parametrize("timeout", [8e10, 1e12, 8e13])
    def test_a_scheduler_can_add_any_timeout_to_the_time(self, sensor, timeout):
        ends_at = datetime.now(UTC) + sensor(timeout=timeout).start_trigger_args.timeout

        assert ends_at > datetime(2100, 1, 1, tzinfo=UTC)

    def test_an_earlier_execution_timeout_is_left_to_airflow(self, emulator, sensor):
        """It ends the deferral itself; a wait must not end before, or at once."""
        since = emulator.now
        emulator.finish_job(emulator.start_sync())
        trigger = in_triggerer(
            sensor(
                completed_after=since, timeout=3600, execution_timeout=timedelta(seconds=OVERTIME)
            )
        )
        trigger.timeout_after = datetime(2099, 1, 1, tzinfo=UTC)

        ends_after = event_of(trigger)["deadline"] - trigger.timeout_after.timestamp()

        assert ends_after == pytest.approx(3600 - OVERTIME)

    def test_a_later_execution_timeout_changes_nothing(self, emulator, sensor):
        since = emulator.now
        emulator.finish_job(emulator.start_sync())
        trigger = in_triggerer(
            sensor(completed_after=since, timeout=3600, execution_timeout=timedelta(hours=2))
        )

        ends_after = event_of(trigger)["deadline"] - trigger.timeout_after.timestamp()

        assert ends_after == pytest.approx(-OVERTIME)

    def test_a_failed_sync_ends_the_wait_if_that_is_wanted(self, emulator, sensor):
        since = emulator.now
        emulator.finish_job(emulator.start_sync(), "failed")

        event = event_of(in_triggerer(sensor(completed_after=since, fail_on_failed_sync=True)))

        assert event["job"]["status"] == "failed"


@needs_airflow_3_3
class TestConnection:
    def test_an_unknown_one_fails_for_good(self, sensor):
        event = event_of(in_triggerer(sensor(connection_id=UNKNOWN_ID)))

        assert (event["outcome"], event["permanent"]) == ("error", True)
        assert " with 403" in event["message"]

    def test_an_unknown_one_fails_for_good_for_an_instance_administrator(
        self, sensor, set_connection
    ):
        """To them, Airbyte lists no jobs of it, as if it had none yet."""
        admin = Emulator(instance_admin=True)
        with admin.serve():
            set_connection(host=admin.url, login=admin.client_id, password=admin.client_secret)
            event = event_of(in_triggerer(sensor(connection_id=UNKNOWN_ID)))

        assert (event["outcome"], event["permanent"]) == ("error", True)
        assert f"/connections/{UNKNOWN_ID} with 404" in event["message"]

    def test_one_without_a_sync_since_the_instant_is_read_once(self, emulator, sensor):
        trigger = in_triggerer(sensor(completed_after=emulator.now))
        lists = iter(range(1, 1000))

        def finish_job() -> None:
            if next(lists) == 3:
                emulator.finish_job(emulator.start_sync())

        emulator.call_next("GET /jobs", finish_job, times=None, after=True)

        assert event_of(trigger)["outcome"] == "finished"
        assert request_count(emulator, "GET /connections/{connectionId}") == 1

    def test_an_inactive_one_is_warned_of(self, emulator, sensor, task_log):
        emulator.set_connection_status(emulator.connection_id, "inactive")

        event_of(in_triggerer(sensor(timeout=0.2)))

        assert "is inactive: Airbyte starts no sync of it." in task_log()

    def test_one_with_a_sync_since_the_instant_is_not_read(self, emulator, sensor):
        since = emulator.now
        emulator.finish_job(emulator.start_sync())

        event_of(in_triggerer(sensor(completed_after=since)))

        assert request_count(emulator, "GET /connections/{connectionId}") == 0


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
            "{% macro since() %}{{ ti.xcom_pull('t') }}{% endmacro %}{{ since() }}",
            "{{ ti['xcom_pull']('t') }}",
            "{{ (ti | attr('xcom_pull'))('t') }}",
        ],
    )
    def test_an_xcom_pull_without_map_indexes(self, sensor, name, template):
        with pytest.raises(AirbyteConfigError, match=rf"^{name} calls xcom_pull without map_ind"):
            sensor(**{name: template})

    def test_an_xcom_pull_with_map_indexes_is_not(self, sensor):
        sensor(completed_after="{{ ti.xcom_pull('t', map_indexes=-1)['since'] }}")

    @pytest.mark.parametrize("name", RENDERED)
    @pytest.mark.parametrize(
        ("template", "used"),
        [
            ("{{ prev_start_date_success }}", "prev_start_date_success"),
            ("{{ prev_end_date_success or ts }}", "prev_end_date_success"),
            ("{{ prev_data_interval_start_success }}", "prev_data_interval_start_success"),
            ("{{ prev_data_interval_end_success.isoformat() }}", "prev_data_interval_end_success"),
            ("{{ inlet_events['uri'][-1].timestamp }}", "inlet_events"),
            ("{{ task_state_store.get('since') }}", "task_state_store"),
            ("{{ ti.get_previous_dagrun().start_date }}", "get_previous_dagrun"),
            ("{{ ti.get_previous_ti().end_date }}", "get_previous_ti"),
            ("{{ ti.get_task_breadcrumbs(dag.dag_id, run_id) }}", "get_task_breadcrumbs"),
            ("{{ ti['get_dag']('other') }}", "get_dag"),
        ],
    )
    def test_what_a_triggerer_cannot_answer(self, sensor, name, template, used):
        with pytest.raises(AirbyteConfigError, match=rf"^{name} uses {used}, which cannot be"):
            sensor(**{name: template})

    @needs_airflow_3_3
    def test_no_triggerer_answers_that(self):
        """Once one does, it can be allowed."""
        from airflow.jobs.triggerer_job_runner import ToTriggerRunner, TriggerRunnerSupervisor
        from airflow.sdk.execution_time import comms
        from pydantic import TypeAdapter

        questions = [
            comms.GetXComSequenceSlice(
                key="k", dag_id="d", run_id="r", task_id="t", start=None, stop=None, step=None
            ),
            comms.GetPrevSuccessfulDagRun(ti_id=uuid4()),
            comms.GetAssetEventByAsset(name="a", uri=None),
            comms.GetTaskStateStore(ti_id=uuid4(), key="k"),
            comms.GetPreviousDagRun(dag_id="d", logical_date=STARTED),
            comms.GetTaskBreadcrumbs(dag_id="d", run_id="r"),
            comms.GetDag(dag_id="d"),
        ]
        for question in questions:
            with pytest.raises(ValueError, match="does not match any of the expected tags"):
                TriggerRunnerSupervisor.decoder.validate_python(question.model_dump())
        with pytest.raises(ValueError, match="does not match any of the expected tags"):
            TypeAdapter(ToTriggerRunner).validate_python(comms.PreviousTIResult().model_dump())

    @pytest.mark.parametrize(
        "template",
        [
            "{{ var.value.since }}",
            "{{ dag_run.conf['xcom'] or ti.xcom_pull('t', map_indexes=[0, 1])[0] }}",
            "{{ ti.get_dagrun_state('dag', 'run') }}",
        ],
    )
    def test_what_a_triggerer_answers_is_not(self, sensor, template):
        sensor(completed_after=template)

    @pytest.mark.parametrize(
        "template",
        ["{# not ti.xcom_pull('t') #}{{ ts }}", "{{ ts }}{# not prev_start_date_success #}"],
    )
    def test_a_template_that_only_mentions_it_is_not(self, sensor, template):
        sensor(completed_after=template)

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
        logged_first = task_log()
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)
        result = run.resume(asyncio.run(first_event(run.deferrals[0].trigger)))

        assert result["job_id"] == job_id
        assert "start_from_trigger=True has no effect here" in logged_first
        assert "start_from_trigger" not in task_log()

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

    @pytest.mark.parametrize(
        "arguments",
        [
            {"completed_after": "{{ ti.xcom_pull('t') }}"},
            {"poll_interval": "{{ prev_start_date_success }}"},
            {"timeout": "{{ 5 }}"},
            {"completed_after": "output"},
        ],
        ids=str,
    )
    def test_a_mapped_task_may_have_what_only_a_worker_renders(self, emulator, arguments):
        class Upstream(BaseOperator):
            """Any task."""

        with DAG("dag", schedule=None, start_date=STARTED):
            upstream = Upstream(task_id="upstream")
            if arguments.get("completed_after") == "output":
                arguments = {"completed_after": upstream.output}
            mapped = AirbyteSyncSensor.partial(
                task_id="gate", start_from_trigger=True, **arguments
            ).expand(connection_id=[emulator.connection_id])

        task: Any = mapped.unmap({"connection_id": emulator.connection_id})

        assert task.deferrable is True
        assert task.start_from_trigger is False

    def test_a_mapped_task_finds_a_connection_by_its_name(self, emulator, task_log):
        job_id = emulator.start_sync()
        since = emulator.now
        with DAG("dag", schedule=None, start_date=STARTED):
            mapped = AirbyteSyncSensor.partial(
                task_id="gate",
                workspace_id=emulator.workspace_id,
                completed_after=since,
                start_from_trigger=True,
            ).expand(connection_name=[CONNECTION_NAME])
        emulator.finish_job(job_id)

        result = TaskRun(mapped.unmap({"connection_name": CONNECTION_NAME})).start()

        assert result["job_id"] == job_id
        assert "start_from_trigger=True has no effect here" in task_log()


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
