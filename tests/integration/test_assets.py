"""Asset events of what a job has delivered: which, when, with what, and what keeps them from it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.assets import AssetAlias
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigError,
    AirbyteTooFewRowsError,
    Ownership,
)
from airflow_provider_airbyte_sme.assets import delivery_alias, stream_assets
from airflow_provider_airbyte_sme.datasets import Dataset
from airflow_provider_airbyte_sme.delivery import Delivery, StreamField, read_delivery
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteRefreshOperator,
    AirbyteTriggerSyncOperator,
)
from airflow_provider_airbyte_sme.outcome import TrackedJob
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor
from tests.integration.conftest import MAX_WAIT, UNKNOWN_ID, request_count
from tests.integration.jumping_time import JumpingClock
from tests.integration.test_evidence import DETAILS, GATES, close_config_api
from tests.integration.test_sync_sensor import IS_AIRFLOW_2, end_process, finish
from tests.tasks import AssetEvent, RescheduledTaskInstance, TaskRun, TaskStateStore, run_trigger

pytestmark = pytest.mark.usefixtures("reschedule_database")

DESTINATION = "GET /destinations/{destinationId}"
CONNECTION = "GET /connections/{connectionId}"
CATALOG = "POST /api/v1/web_backend/connections/get"
STREAMS = ["users", "products", "purchases"]
POSTGRES: dict[str, Any] = {
    "host": "wh",
    "port": 5432,
    "database": "analytics",
    "schema": "raw",
    "username": "airbyte",
    "password": "s3cret-of-the-warehouse",
}

# A job whose first attempt fails.
SECOND_TRY = [("running", 0.01), ("incomplete", 0.01), ("running", 0.01), ("succeeded", None)]

FIELDS = (("id",), ("name",), ("address", "city"), ("anything",))
# What a source says of them.
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["null", "string"]},
        "address": {"type": "object", "properties": {"city": {"type": "string"}}},
        "anything": {},
    },
}

MakeRun = Callable[..., TaskRun]


@pytest.fixture
def make_run(emulator: Emulator) -> MakeRun:
    """Create a run of a task that emits assets of a connection, by default the emulator's first."""

    def make(
        task_class: type = AirbyteTriggerSyncOperator,
        connection_id: str | None = None,
        **kwargs: Any,
    ) -> TaskRun:
        connection_id = connection_id or emulator.connection_id
        if task_class is AirbyteJobSensor:
            kwargs["airbyte_job_id"] = emulator.start_sync(connection_id)
        elif "connection_name" not in kwargs:
            kwargs["connection_id"] = connection_id
        if task_class is AirbyteSyncSensor:
            kwargs["completed_after"] = emulator.now.replace(microsecond=0)
            emulator.start_sync(connection_id)
        store = kwargs.pop("store", None)
        defaults = {"poll_interval": 0.05, "timeout": MAX_WAIT, "emit_assets": True}
        task = task_class(task_id="task", **{**defaults, **kwargs})
        return TaskRun(task, RescheduledTaskInstance(start_date=datetime.now(UTC)), store=store)

    return make


@pytest.fixture(params=GATES)
def run(request: pytest.FixtureRequest, make_run: MakeRun) -> Callable[..., list[AssetEvent]]:
    """Run a task of each kind, in each way to wait, and return what it has emitted."""
    task_class, way = GATES[request.param]

    def run_it(**parameters: Any) -> list[AssetEvent]:
        task = make_run(task_class, **way, **parameters)
        try:
            finish(task)
        finally:
            end_process(task)
        return task.asset_events

    return run_it


@pytest.fixture
def emitted(make_run: MakeRun) -> Callable[..., list[AssetEvent]]:
    """Run one kind of task, where the kind does not matter, and return what it has emitted."""

    def run_it(**parameters: Any) -> list[AssetEvent]:
        task = make_run(deferrable=False, **parameters)
        task.finish()
        return task.asset_events

    return run_it


def warehouse(emulator: Emulator, connector: str = "postgres", **configuration: Any) -> str:
    """Add a connection to a destination, and return its id."""
    destination_id = emulator.add_destination(connector=connector, configuration=configuration)
    return emulator.add_connection("Crm to warehouse", destination_id=destination_id)


def names(events: list[AssetEvent]) -> list[str]:
    return [event.asset for event in events]


def text_of(namespace: str, *parts: str) -> str:
    return f"{namespace}/{('.' if IS_AIRFLOW_2 else '/').join(parts)}"


def tables(*streams: str) -> list[str]:
    """Return the assets of streams of the emulator's connection."""
    # Airflow 2 knows an asset by its URI alone, which it normalises.
    namespace = f"duckdb:{'' if IS_AIRFLOW_2 else '//'}/local/airbyte.duckdb"
    return [text_of(namespace, "airbyte", "main", stream) for stream in streams]


def with_types(payload: Any) -> Any:
    """Change a catalog, of whose fields the emulator does not know the types."""
    for each in payload["syncCatalog"]["streams"]:
        each["stream"]["jsonSchema"] = SCHEMA
    return payload


class TestEvents:
    def test_a_successful_job_emits_one_for_each_stream(self, emulator, run):
        emulator.script_job(rows_of={"users": 70, "products": 20, "purchases": 10})

        events = run()

        (job_id,) = emulator.jobs
        assert names(events) == tables(*STREAMS)
        assert [event.extra["rows"] for event in events] == [70, 20, 10]
        assert [event.extra["bytes"] for event in events] == [8960, 2560, 1280]
        for event in events:
            assert event.extra["job_id"] == job_id
            assert event.extra["connection_id"] == emulator.connection_id
            assert event.extra["job_url"].startswith(emulator.url)

    def test_what_they_say_is_flat(self, run):
        for event in run():
            assert all(isinstance(value, int | str) for value in event.extra.values())

    def test_nothing_is_emitted_unless_that_is_asked_for(self, emulator, run):
        assert run(emit_assets=False) == []
        assert request_count(emulator, DESTINATION) == 0

    def test_they_are_what_a_dag_file_can_wait_for(self, emulator, make_run):
        connection_id = warehouse(emulator, **POSTGRES)
        task = make_run(connection_id=connection_id)
        task.finish()

        expected = stream_assets(STREAMS, destination="postgres", configuration=POSTGRES)

        assert names(task.asset_events) == [
            asset.uri if IS_AIRFLOW_2 else asset.name for asset in expected
        ]

    @pytest.mark.parametrize(
        ("rule", "schema", "prefix"),
        [
            ({}, "raw", ""),
            ({"prefix": "crm_"}, "raw", "crm_"),
            ({"namespace_definition": "source"}, "public", ""),
            (
                {
                    "namespace_definition": "custom_format",
                    "namespace_format": "lake_${SOURCE_NAMESPACE}",
                    "prefix": "crm_",
                },
                "lake_public",
                "crm_",
            ),
        ],
    )
    def test_the_rule_of_the_connection_says_which_table_it_is(
        self, emulator, emitted, rule, schema, prefix
    ):
        source_id = emulator.add_source(
            connector="postgres", streams=[{"name": "users", "namespace": "public"}]
        )
        destination_id = emulator.add_destination(connector="postgres", configuration=POSTGRES)
        connection_id = emulator.add_connection(
            source_id=source_id, destination_id=destination_id, **rule
        )

        events = emitted(connection_id=connection_id)

        expected = text_of("postgres://wh:5432", "analytics", schema, f"{prefix}users")
        assert names(events) == [expected]

    def test_dbt_may_reach_the_tables_under_another_name(self, emulator, make_run):
        task = make_run(
            connection_id=warehouse(emulator, **POSTGRES),
            dataset_namespace="{{ 'postgres://dbt:6432/' }}",
        )
        task.render()
        task.finish()

        expected = [text_of("postgres://dbt:6432", "analytics", "raw", name) for name in STREAMS]
        assert names(task.asset_events) == expected

    def test_a_template_without_a_namespace_fails_before_the_job(self, emulator, make_run):
        task = make_run(dataset_namespace="{{ none }}")
        task.render()

        with pytest.raises(AirflowFailException, match="dataset_namespace must be where"):
            task.finish()

        assert not emulator.jobs

    @pytest.mark.parametrize(
        ("connector", "configuration", "reason"),
        [
            ("google-sheets", {"spreadsheet_id": "s"}, "have no standard name"),
            ("postgres", {"host": "wh"}, "lacks 'database'"),
        ],
    )
    def test_tables_without_standard_names_are_named_after_the_connection(
        self, emulator, emitted, task_log, connector, configuration, reason
    ):
        connection_id = warehouse(emulator, connector, **configuration)

        events = emitted(connection_id=connection_id)

        assert names(events) == [f"x-airbyte-sme://{connection_id}/{name}" for name in STREAMS]
        assert task_log().count(reason) == 1

    def test_the_streams_of_a_refresh_of_some_are_all(self, make_run):
        """Such a job syncs all streams of its connection: docs/airbyte-api.md §3.7.24."""
        task = make_run(AirbyteRefreshOperator, streams=["users"])
        task.finish()

        assert names(task.asset_events) == tables(*STREAMS)


class TestWithoutData:
    def test_a_stream_without_rows_has_no_event(self, emulator, run):
        emulator.script_job(rows_of={"users": 70, "products": 0})

        assert names(run()) == tables("users")

    @pytest.mark.parametrize("statistics", ["all", "attempts", "none"])
    def test_a_job_without_rows_has_none(self, emulator, run, statistics, task_log):
        emulator.script_job(rows=0, statistics=statistics)

        assert run() == []
        assert "no asset events, because Airbyte has counted no rows of it" in task_log()

    def test_a_stream_may_have_moved_rows_that_are_not_counted_yet(self, emulator, emitted):
        """The counters of streams may be older than the end of the job: §3.7.36."""

        def forget_products(payload):
            for counters in payload["job"]["streamAggregatedStats"]:
                if counters["streamName"] == "products":
                    counters["recordsCommitted"] = 0
            return payload

        emulator.script_job(rows_of={"users": 70, "products": 20, "purchases": 10})
        emulator.alter_next(DETAILS, forget_products)

        events = emitted()

        assert names(events) == tables(*STREAMS)
        assert [event.extra.get("rows") for event in events] == [70, None, 10]

    @pytest.mark.parametrize("of_failed_attempt", [100, None])
    def test_rows_of_a_failed_attempt_do_not_hide_those_of_the_last(
        self, emulator, emitted, of_failed_attempt
    ):
        """The counters of an incremental stream are those of all attempts: §3.7.35."""

        def forget_products(payload):
            failed, last = (each["attempt"] for each in payload["attempts"])
            failed["totalStats"] = {"recordsCommitted": of_failed_attempt}
            last["totalStats"] = {"recordsCommitted": 20}
            for counters in payload["job"]["streamAggregatedStats"]:
                counters["recordsCommitted"] = 100 if counters["streamName"] == "users" else 0
            return payload

        emulator.script_job(statuses=SECOND_TRY, rows=100)
        emulator.alter_next(DETAILS, forget_products, times=None)

        events = emitted()

        assert names(events) == tables(*STREAMS)
        assert [event.extra.get("rows") for event in events] == [100, None, None]

    def test_a_stream_without_rows_has_no_event_after_a_failed_attempt_either(
        self, emulator, emitted
    ):
        emulator.script_job(statuses=SECOND_TRY, rows_of={"users": 70, "products": 0})

        assert names(emitted()) == tables("users")

    def test_rows_that_only_the_attempts_have_counted_are_data(self, emulator, emitted):
        emulator.script_job(rows=120, statistics="attempts")

        events = emitted()

        assert names(events) == tables(*STREAMS)
        assert not any("rows" in event.extra for event in events)

    def test_a_closed_config_api_leaves_only_the_rows_of_the_job(self, emulator, emitted, task_log):
        close_config_api(emulator)

        events = emitted()

        assert names(events) == tables(*STREAMS)
        assert not {"rows", "bytes"} & set().union(*(event.extra for event in events))
        assert task_log().count("the rows of single streams are unknown") == 1

    def test_too_few_rows_have_none(self, emulator, run):
        emulator.script_job(rows=5)

        with pytest.raises(AirbyteTooFewRowsError):
            run(min_rows=6)

    def test_too_few_rows_that_are_accepted_have_some(self, emulator, run):
        emulator.script_job(rows=6)

        assert len(run(min_rows=7, on_too_few_rows="warn")) == 3

    def test_what_the_check_has_read_is_not_read_again(self, emulator, emitted):
        emulator.script_job(rows=120, statistics="attempts")

        assert len(emitted(min_rows=1)) == 3
        assert request_count(emulator, DETAILS) == 1

    def test_a_job_that_clears_data_delivers_none(self, emulator, make_run):
        job_id = emulator.start_sync(job_type="reset")
        task = AirbyteJobSensor(task_id="wait", airbyte_job_id=job_id, emit_assets=True)
        run = TaskRun(task)
        run.finish()

        assert run.asset_events == []
        assert request_count(emulator, DESTINATION) == 0

    def test_a_job_that_is_not_awaited_has_none(self, emulator, emitted):
        assert emitted(wait_for_completion=False) == []
        assert request_count(emulator, DESTINATION) == 0


class TestExactlyOnce:
    def test_the_process_that_defers_emits_nothing(self, make_run):
        task = make_run(deferrable=True)
        task.start()

        assert task.asset_events == []

        end_process(task)
        task.resume(run_trigger(task.deferrals[-1].trigger))

        assert names(task.asset_events) == tables(*STREAMS)

    @pytest.mark.parametrize("task_class", [AirbyteTriggerSyncOperator, AirbyteJobSensor])
    def test_the_process_that_raises_an_alarm_emits_nothing(self, emulator, make_run, task_class):
        emulator.script_job(statuses=[("running", None)])
        first = make_run(task_class, deferrable=True, slow_after=3)
        first.start()
        (job_id,) = emulator.jobs
        alarmed, last = (TaskRun(first.task, first.ti) for _ in range(2))
        event = run_trigger(first.deferrals[-1].trigger)
        assert event["outcome"] == "slow"
        alarmed.deferrals.append(first.deferrals[-1])
        alarmed.resume(event)
        emulator.finish_job(job_id, rows=90)
        last.deferrals.append(alarmed.deferrals[-1])

        last.resume(run_trigger(last.deferrals[-1].trigger))

        assert (first.asset_events, alarmed.asset_events) == ([], [])
        assert names(last.asset_events) == tables(*STREAMS)
        assert request_count(emulator, DETAILS) == 1

    def test_a_retry_that_takes_over_a_job_emits_once(self, emulator, make_run, deferrable):
        store = TaskStateStore()
        first = make_run(store=store, deferrable=True, retries=1)
        first.ti.max_tries = 1
        first.start()
        second = make_run(store=store, deferrable=deferrable, retries=1)
        second.ti.try_number, second.ti.max_tries = 2, 1

        second.finish()

        assert len(emulator.jobs) == 1
        assert names(second.asset_events) == tables(*STREAMS)

    def test_a_job_of_somebody_else_counts_if_the_task_attaches_to_it(
        self, emulator, make_run, running_job, deferrable
    ):
        task = make_run(on_running="attach", deferrable=True)
        task.start()
        emulator.finish_job(running_job, rows=90)
        task.resume(run_trigger(task.deferrals[-1].trigger))

        assert {event.extra["job_id"] for event in task.asset_events} == {running_job}
        assert len(task.asset_events) == 3

    def test_a_task_that_waits_for_another_job_first_emits_its_own_only(
        self, emulator, make_run, running_job
    ):
        task = make_run(on_running="wait", deferrable=True)
        task.start()
        emulator.finish_job(running_job, rows=90)
        task.resume(run_trigger(task.deferrals[-1].trigger))
        assert task.asset_events == []

        task.resume(run_trigger(task.deferrals[-1].trigger))

        assert {event.extra["job_id"] for event in task.asset_events} == {running_job + 1}

    def test_a_skipped_task_emits_nothing(self, make_run, running_job):
        task = make_run(on_running="skip")

        with pytest.raises(AirflowSkipException):
            task.finish()

        assert task.asset_events == []

    @pytest.mark.parametrize("rows", [{"a.users": 70, "b.users": 50}, {"a.users": 120}])
    def test_streams_that_share_a_table_have_one_event_with_the_rows_of_all(
        self, emulator, emitted, rows
    ):
        source_id = emulator.add_source(
            connector="postgres",
            streams=[{"name": "users", "namespace": name} for name in ("a", "b")],
        )
        destination_id = emulator.add_destination(connector="postgres", configuration=POSTGRES)
        connection_id = emulator.add_connection(source_id=source_id, destination_id=destination_id)
        emulator.script_job(connection_id, rows_of=rows)

        (event,) = emitted(connection_id=connection_id)

        assert (event.extra["rows"], event.extra["bytes"]) == (120, 120 * 128)


class TestTrouble:
    @pytest.mark.parametrize("route", [DESTINATION, DETAILS])
    def test_a_short_outage_costs_no_events(self, emulator, run, route):
        emulator.fail_next(route, 503)

        assert len(run()) == 3

    @pytest.mark.parametrize("route", [DESTINATION, CONNECTION])
    def test_an_outage_of_minutes_costs_no_events(
        self, emulator, make_run, monkeypatch, route, task_log
    ):
        clock = JumpingClock()
        clock.install(monkeypatch)
        task = make_run(deferrable=True, poll_interval=10)
        task.start()
        event = run_trigger_that_has_ended(emulator, task)
        end_process(task)
        emulator.fail_next(route, 503, times=None)
        clock.after(300, emulator.clear_faults)

        result = task.resume(event)

        assert result["status"] == "succeeded"
        assert len(task.asset_events) == 3

    def test_an_outage_that_lasts_costs_the_events_and_not_the_task(
        self, emulator, make_run, monkeypatch, task_log
    ):
        clock = JumpingClock()
        clock.install(monkeypatch)
        task = make_run(deferrable=True, poll_interval=10)
        task.start()
        event = run_trigger_that_has_ended(emulator, task)
        end_process(task)
        emulator.fail_next(DESTINATION, 503, times=None)

        assert task.resume(event)["status"] == "succeeded"
        assert task.asset_events == []
        assert "DAGs that wait for its assets do not start." in task_log()

    @pytest.mark.parametrize("status", [403, 404])
    def test_a_refusal_is_one_warning(self, emulator, run, task_log, status):
        emulator.fail_next(DESTINATION, status, times=None)

        assert run() == []
        log = task_log()
        assert log.count("succeeded, but what it delivered cannot be read") == 1
        assert "Traceback" not in log

    def test_an_error_that_nobody_expects_fails_no_task(self, make_run, task_log):
        class Hook(AirbyteHook):
            def get_destination(self, *args: Any, **kwargs: Any) -> Any:
                raise RuntimeError("not foreseen")

        task = make_run(deferrable=False)
        task.task.hook = Hook()

        assert task.finish()["status"] == "succeeded"
        assert "cannot be read: DAGs that wait for its assets do not start. not foreseen" in (
            task_log()
        )

    def test_execution_timeout_ends_the_wait_for_airbyte_and_not_the_task(
        self, emulator, run, task_log
    ):
        """It interrupts a request, wherever that is."""

        def interrupt() -> None:
            main_thread = threading.main_thread().ident
            assert main_thread is not None
            signal.pthread_kill(main_thread, signal.SIGALRM)

        def end(*_: object) -> None:
            raise AirflowTaskTimeout("Timeout, PID: 7")

        emulator.call_next(DESTINATION, interrupt)
        emulator.fail_next(DESTINATION, 503, times=None)
        previous = signal.signal(signal.SIGALRM, end)
        try:
            assert run() == []
        finally:
            signal.signal(signal.SIGALRM, previous)

        assert task_log().count("do not start. execution_timeout is over.") == 1
        assert "Traceback" not in task_log()

    def test_a_text_that_airflow_refuses_costs_only_its_own_event(
        self, emulator, emitted, task_log
    ):
        source_id = emulator.add_source(connector="postgres", streams=["users", "x" * 1500])
        connection_id = emulator.add_connection(source_id=source_id)

        events = emitted(connection_id=connection_id)

        if IS_AIRFLOW_2:
            assert len(events) == 2
        else:
            assert names(events) == tables("users")
            assert "cannot exceed 1500 characters" in task_log()


class TestLineage:
    """What a task reads for lineage, which is built from it."""

    @pytest.fixture
    def delivered(self, emulator: Emulator, make_run: MakeRun) -> Callable[..., Delivery]:
        def read(**fields: Any) -> Delivery:
            source_id = emulator.add_source(
                connector="postgres",
                configuration={"host": "app", "database": "shop"},
                streams=[{"name": "users", "namespace": "public", "fields": FIELDS}],
            )
            emulator.alter_next(CATALOG, with_types)
            selected = [{"name": "users", "namespace": "public", **fields}]
            connection_id = emulator.add_connection(source_id=source_id, streams=selected)
            sync_id = emulator.start_sync(connection_id)
            hook = AirbyteHook()
            job = hook.wait_for_job(sync_id, poll_interval=0.05, timeout=MAX_WAIT)
            tracked = TrackedJob(job, Ownership.FOREIGN, 0.0)
            return read_delivery(hook, tracked, hook.poll_job_details, with_lineage=True)

        return read

    def test_it_has_what_the_streams_are_read_from(self, delivered):
        (stream,) = delivered().streams

        assert stream.source == Dataset("postgres://app:5432", "shop.public.users")
        assert stream.namespace == "public"
        assert stream.rows == 120

    def test_it_has_the_columns_of_the_streams(self, delivered):
        (stream,) = delivered().streams

        assert stream.fields == (
            StreamField("id", "integer"),
            StreamField("name", "string"),
            StreamField("address", "object"),
            StreamField("anything", ""),
        )

    def test_it_has_only_the_selected_columns(self, delivered):
        (stream,) = delivered(selectedFields=[{"fieldPath": ["name"]}]).streams

        assert stream.fields == (StreamField("name", "string"),)

    def test_what_cannot_be_read_is_missing(self, emulator, delivered, task_log):
        emulator.fail_next("GET /sources/{sourceId}", 403, times=None)
        emulator.fail_next(CATALOG, 404, times=None)

        (stream,) = delivered().streams

        assert (stream.source, stream.fields) == (None, ())
        assert "The lineage lacks the source" in task_log()

    def test_assets_alone_need_neither(self, emulator, emitted):
        emitted()

        assert request_count(emulator, "GET /sources/{sourceId}") == 0
        assert request_count(emulator, CATALOG) == 0


class TestAlias:
    def alias_of(self, task_class: type = AirbyteTriggerSyncOperator, **kwargs: Any) -> str:
        task = task_class(task_id="task", emit_assets=True, **kwargs)
        (alias,) = task.outlets
        assert isinstance(alias, AssetAlias)
        return alias.name

    @pytest.mark.parametrize("task_class", [AirbyteTriggerSyncOperator, AirbyteSyncSensor])
    def test_it_is_named_after_the_connection(self, task_class):
        alias = self.alias_of(task_class, connection_id=UNKNOWN_ID.upper())

        assert alias == f"airbyte_sme/{UNKNOWN_ID}"

    @pytest.mark.parametrize("task_class", [AirbyteTriggerSyncOperator, AirbyteSyncSensor])
    def test_a_connection_is_known_by_its_names(self, task_class):
        assert (
            self.alias_of(task_class, connection_name="Größe", workspace="Sales & Co")
            == "airbyte_sme/Sales%20%26%20Co/Gr%C3%B6%C3%9Fe"
        )
        assert (
            self.alias_of(task_class, connection_name="crm", workspace_id=UNKNOWN_ID)
            == f"airbyte_sme/{UNKNOWN_ID}/crm"
        )

    @pytest.mark.parametrize(
        "kwargs",
        [
            {"connection_id": "{{ params.connection }}"},
            {"connection_name": "{{ params.name }}", "workspace": "Sales"},
            {"connection_name": "crm", "workspace": "{{ params.workspace }}"},
        ],
    )
    def test_what_is_not_known_yet_is_named_after_the_task(self, kwargs):
        assert self.alias_of(**kwargs) == "airbyte_sme/task"
        with DAG("nightly", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
            assert self.alias_of(**kwargs) == "airbyte_sme/nightly/task"

    def test_a_job_is_named_after_the_task(self):
        alias = self.alias_of(AirbyteJobSensor, airbyte_job_id="{{ ti.xcom_pull('sync') }}")

        assert alias == "airbyte_sme/task"

    def test_one_that_is_given_is_used(self, make_run):
        other = AssetAlias("other")
        task = make_run(outlets=[other, delivery_alias("crm")])
        task.finish()

        assert task.task.outlets == [other, delivery_alias("crm")]
        assert {event.alias for event in task.asset_events} == {"airbyte_sme/crm"}

    def test_there_is_none_unless_assets_are_asked_for(self):
        task = AirbyteTriggerSyncOperator(task_id="task", connection_id=UNKNOWN_ID)

        assert not task.outlets

    def test_an_id_that_is_none_is_an_error_when_the_dag_is_parsed(self):
        with pytest.raises(AirbyteConfigError, match="connection_id must be the UUID"):
            self.alias_of(connection_id="crm")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"emit_assets": "yes"}, "emit_assets must be True or False"),
        ({"dataset_namespace": ""}, "dataset_namespace must be where"),
        ({"dataset_namespace": 5432}, "dataset_namespace must be where"),
    ],
)
def test_an_invalid_argument_is_an_error_when_the_dag_is_parsed(kwargs, message):
    for task_class in (AirbyteTriggerSyncOperator, AirbyteSyncSensor):
        with pytest.raises(AirbyteConfigError, match=message):
            task_class(task_id="task", connection_id=UNKNOWN_ID, **kwargs)


def run_trigger_that_has_ended(emulator: Emulator, task: TaskRun) -> dict[str, Any]:
    """End the job of a deferred task, and return the event of its trigger."""
    (job_id,) = emulator.jobs
    if not emulator.jobs[job_id].is_terminal:
        emulator.finish_job(job_id, rows=90)
    return run_trigger(task.deferrals[-1].trigger)
