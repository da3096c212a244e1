"""What OpenLineage learns of a job: the values that are built, and the events that are sent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskInstanceState,
)
from airflow.providers.openlineage.extractors import ExtractorManager, OperatorLineage
from airflow.providers.openlineage.utils.selective_enable import disable_lineage, enable_lineage

from airflow_provider_airbyte_sme.api import (
    AirbyteJobFailedError,
    AirbyteJobTimeoutError,
    Job,
    Ownership,
)
from airflow_provider_airbyte_sme.assets.streams import asset_text
from airflow_provider_airbyte_sme.datasets import Dataset
from airflow_provider_airbyte_sme.delivery import DeliveredStream, Delivery, StreamField
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.lineage import (
    delivered_lineage,
    failed_lineage,
    is_lineage_wanted,
)
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.outcome import TrackedJob
from tests.integration.conftest import MAX_WAIT, UNKNOWN_ID
from tests.integration.jumping_time import JumpingClock
from tests.tasks import TaskRun, run_trigger
from tests.traces import traces

DAGS = Path(__file__).parent / "dags"

JOB_URL = "https://airbyte.example.com/workspaces/w/connections/c/timeline?jobId=7&openLogs=true"
TRACKED = TrackedJob(Job(7, "succeeded", UNKNOWN_ID, "sync"), Ownership.STARTED, 0.0, JOB_URL)
WAREHOUSE = "postgres://warehouse.example.com:5432"
SHOP = "mysql://shop.example.com:3306"
USERS = DeliveredStream(
    "users",
    "shop",
    destination=Dataset(WAREHOUSE, "analytics.public.users"),
    source=Dataset(SHOP, "shop.users"),
    rows=120,
    bytes=15_360,
    fields=(StreamField("id", "integer"), StreamField("name", "string"), StreamField("extra")),
)
DESTINATION = "GET /destinations/{destinationId}"
READ_FOR_LINEAGE = [
    "GET /connections/{connectionId}",
    DESTINATION,
    "POST /api/v1/jobs/get_without_logs",
    "GET /sources/{sourceId}",
    "POST /api/v1/web_backend/connections/get",
]
TRANSPORT = "AIRFLOW__OPENLINEAGE__TRANSPORT"


def delivery(*streams: DeliveredStream) -> Delivery:
    return Delivery(TRACKED, streams)


def names(datasets: list[Any]) -> list[tuple[str, str]]:
    return [(dataset.namespace, dataset.name) for dataset in datasets]


def statistics(dataset: Any) -> tuple[int | None, int | None]:
    facet = dataset.outputFacets["outputStatistics"]
    return facet.rowCount, facet.size


def test_a_stream_is_read_from_its_source_and_written_to_its_table() -> None:
    lineage = delivered_lineage(TRACKED, delivery(USERS))

    assert names(lineage.inputs) == [(SHOP, "shop.users")]
    (table,) = lineage.outputs
    assert names([table]) == [(WAREHOUSE, "analytics.public.users")]
    assert statistics(table) == (120, 15_360)
    assert [(field.name, field.type) for field in table.facets["schema"].fields] == [
        ("id", "integer"),
        ("name", "string"),
        ("extra", None),
    ]


def test_the_job_is_named_with_its_link() -> None:
    (facet,) = delivered_lineage(TRACKED, None).run_facets.values()

    assert (facet.externalQueryId, facet.source) == ("7", JOB_URL)


def test_a_job_without_a_link_is_still_named() -> None:
    tracked = TRACKED._replace(job_url="")

    facet = failed_lineage(tracked, None).run_facets["externalQuery"]

    assert (facet.externalQueryId, facet.source) == ("7", "airbyte")


@pytest.mark.parametrize("build", [delivered_lineage, failed_lineage])
def test_a_task_without_a_job_has_no_lineage(build: Callable[..., Any]) -> None:
    lineage = build(None, None)

    assert not lineage.inputs + lineage.outputs
    assert not {**lineage.run_facets, **lineage.job_facets}


def test_a_source_without_a_standard_name_is_no_input() -> None:
    lineage = delivered_lineage(TRACKED, delivery(USERS._replace(source=None)))

    assert not lineage.inputs
    assert len(lineage.outputs) == 1


def test_unknown_columns_make_no_schema() -> None:
    (table,) = delivered_lineage(TRACKED, delivery(USERS._replace(fields=()))).outputs

    assert not table.facets


def test_unknown_counters_make_no_statistics() -> None:
    unknown = USERS._replace(rows=None, bytes=None)

    (table,) = delivered_lineage(TRACKED, delivery(unknown)).outputs

    assert not table.outputFacets


def test_no_rows_are_a_count() -> None:
    (table,) = delivered_lineage(TRACKED, delivery(USERS._replace(rows=0, bytes=None))).outputs

    assert statistics(table) == (0, None)


def test_streams_of_one_table_are_one_output() -> None:
    more = USERS._replace(name="more", rows=3, bytes=None, fields=(StreamField("new", "string"),))

    lineage = delivered_lineage(TRACKED, delivery(USERS, more))

    (table,) = lineage.outputs
    assert statistics(table) == (123, None)
    assert [field.name for field in table.facets["schema"].fields] == ["id", "name", "extra", "new"]
    assert len(lineage.inputs) == 1


def test_a_failure_has_its_tables_without_counters() -> None:
    lineage = failed_lineage(TRACKED, delivery(USERS))

    assert names(lineage.inputs) == [(SHOP, "shop.users")]
    (table,) = lineage.outputs
    assert not table.outputFacets
    assert set(table.facets) == {"schema"}
    assert set(lineage.run_facets) == {"externalQuery"}


@pytest.fixture
def task() -> AirbyteTriggerSyncOperator:
    with DAG("dag", schedule=None):
        return AirbyteTriggerSyncOperator(task_id="sync", connection_id=UNKNOWN_ID)


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenLineage is on."""
    monkeypatch.setenv(TRANSPORT, json.dumps({"type": "console"}))


def test_lineage_is_not_wanted_without_a_transport(task: AirbyteTriggerSyncOperator) -> None:
    assert not is_lineage_wanted(task)


@pytest.mark.usefixtures("transport")
def test_lineage_is_wanted_with_a_transport(task: AirbyteTriggerSyncOperator) -> None:
    assert is_lineage_wanted(task)


CLASS_PATH = f"{AirbyteTriggerSyncOperator.__module__}.{AirbyteTriggerSyncOperator.__qualname__}"


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DISABLED", "True"),
        ("DISABLED_FOR_OPERATORS", CLASS_PATH),
        ("SELECTIVE_ENABLE", "True"),
        ("TRANSPORT", "[]"),
        (
            "EMISSION_POLICY",
            json.dumps([{"scope": {"dag_id": "dag"}, "controls": {"emit": False}}]),
        ),
        (
            "EMISSION_POLICY",
            json.dumps([{"scope": {}, "controls": {"extract_operator_metadata": False}}]),
        ),
    ],
)
def test_lineage_is_not_wanted_where_a_setting_excludes_the_task(
    setting: str, value: str, task: AirbyteTriggerSyncOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AIRFLOW__OPENLINEAGE__{setting}", value)

    assert not is_lineage_wanted(task)


@pytest.mark.usefixtures("transport")
def test_a_selected_task_is_wanted(
    task: AirbyteTriggerSyncOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE", "True")

    enable_lineage(task)
    assert is_lineage_wanted(task)

    disable_lineage(task)
    assert not is_lineage_wanted(task)


@pytest.fixture(scope="module")
def syncs() -> Emulator:
    """An emulator whose jobs end as the tasks of the DAG say."""
    emulator = Emulator(time="instant", rows=120)
    message = f"The table is locked. {emulator.client_secret}"
    failed: dict[str, Any] = {
        "outcome": "failed",
        "failure": {"message": message, "origin": "destination"},
    }
    emulator.script_job()  # blocking
    emulator.script_job()  # deferred
    emulator.script_job(**failed)  # failed_blocking
    emulator.script_job(**failed)  # failed_deferred
    emulator.script_job()  # started
    emulator.script_job(rows=0)  # skipped
    emulator.script_job(rows=10)  # too_few
    emulator.script_job()  # mapped
    return emulator


class Events(NamedTuple):
    """
    What OpenLineage's provider has sent during the run of a DAG.

    :param output: What the run has printed.
    """

    sent: list[dict[str, Any]]
    output: str

    def of(self, task_id: str) -> list[dict[str, Any]]:
        return [event for event in self.sent if event["job"]["name"] == f"lineage.{task_id}"]

    def last_of(self, task_id: str) -> dict[str, Any]:
        return self.of(task_id)[-1]


@pytest.fixture(scope="module")
def events(syncs: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Events:
    """The events of a DAG whose syncs end in every way."""
    home = tmp_path_factory.mktemp("airflow")
    sent = home / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(sent), "append": True}
    with syncs.serve():
        environment = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONN_AIRBYTE_SME_DEFAULT": syncs.connection_uri,
            "LINEAGE_CONNECTION_ID": syncs.connection_id,
            TRANSPORT: json.dumps(transport),
            "AIRFLOW__OPENLINEAGE__INCLUDE_FULL_TASK_INFO": "True",
        }
        run = run_python("-m", "tests.data_aware.run_dag", str(DAGS), "lineage", **environment)
    return Events([json.loads(line) for line in sent.read_text().splitlines()], run)


def run_python(*arguments: str, **environment: str) -> str:
    """Run Python in a process of its own, and return what it printed."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MAX_WAIT,
    ).stdout


def facets(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = event["run"]["facets"]
    return found


ENDINGS = {
    "blocking": ("COMPLETE", "1"),
    "deferred": ("COMPLETE", "2"),
    "failed_blocking": ("FAIL", "3"),
    "failed_deferred": ("FAIL", "4"),
    "started": ("COMPLETE", "5"),
    "sensor": ("COMPLETE", "5"),
    "skipped": ("COMPLETE", "6"),
    "too_few": ("FAIL", "7"),
    "mapped": ("COMPLETE", "8"),
}


@pytest.mark.parametrize("task_id", ENDINGS)
def test_the_last_event_of_a_task_names_its_job(task_id: str, events: Events) -> None:
    event = events.last_of(task_id)

    event_type, job_id = ENDINGS[task_id]
    assert event["eventType"] == event_type
    job = facets(event)["externalQuery"]
    assert job["externalQueryId"] == job_id
    assert f"jobId={job_id}" in job["source"]


TABLES = ("users", "products", "purchases")
WRITTEN = {("duckdb:///local/airbyte.duckdb", f"airbyte.main.{table}") for table in TABLES}
DELIVERED = ("blocking", "deferred", "sensor", "mapped")
FAILED = ("failed_blocking", "failed_deferred", "too_few")


def tables(event: dict[str, Any]) -> set[tuple[str, str]]:
    return {(output["namespace"], output["name"]) for output in event["outputs"]}


@pytest.mark.parametrize("task_id", [*DELIVERED, *FAILED])
def test_the_tables_of_a_sync_are_outputs_with_their_columns(task_id: str, events: Events) -> None:
    event = events.last_of(task_id)

    assert tables(event) == WRITTEN
    users = {
        field["name"]: field["type"] for field in event["outputs"][0]["facets"]["schema"]["fields"]
    }
    assert len(users) == 17
    assert (users["id"], users["email"], users["address"]) == ("integer", "string", "object")


@pytest.mark.parametrize("task_id", DELIVERED)
def test_the_tables_of_a_successful_sync_have_their_counters(task_id: str, events: Events) -> None:
    outputs = events.last_of(task_id)["outputs"]

    counters = [output["outputFacets"]["outputStatistics"] for output in outputs]
    assert [(each["rowCount"], each["size"]) for each in counters] == [(40, 5120)] * 3


@pytest.mark.parametrize("task_id", FAILED)
def test_the_tables_of_a_failed_task_have_no_counters(task_id: str, events: Events) -> None:
    assert [output["outputFacets"] for output in events.last_of(task_id)["outputs"]] == [{}] * 3


def is_part(part: Any, whole: Any) -> bool:
    """Whether *part* is in *whole*: some of its keys, the first of its items, a text with gaps."""
    if isinstance(part, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) <= len(whole) and all(map(is_part, part, whole))
    if isinstance(part, str):
        return re.fullmatch(re.escape(part).replace("…", ".+"), whole) is not None
    return bool(part == whole)


def test_the_event_in_the_documentation_is_one_that_is_sent(
    events: Events,
) -> None:
    text = (DAGS.parents[2] / "docs/data-aware.md").read_text(encoding="utf-8")
    (excerpt,) = re.findall(r'```json\n(\{\n  "eventType".*?)```', text, re.DOTALL)
    excerpt = excerpt.replace("https://airbyte.example.com", "…")

    assert is_part(json.loads(excerpt), events.last_of("deferred"))


@pytest.mark.parametrize("task_id", ["started", "skipped"])
def test_a_task_that_knows_of_no_delivery_has_no_tables(task_id: str, events: Events) -> None:
    event = events.last_of(task_id)

    assert not event["inputs"] + event["outputs"]


@pytest.mark.parametrize("task_id", ["failed_blocking", "failed_deferred"])
def test_a_failure_says_once_what_airbyte_says(task_id: str, events: Events) -> None:
    found = facets(events.last_of(task_id))

    assert "The table is locked." in found["errorMessage"]["message"]
    assert [name for name, facet in found.items() if "locked" in json.dumps(facet)] == [
        "errorMessage"
    ]


def test_a_task_that_fails_before_its_job_exists_has_none(events: Events) -> None:
    event = events.last_of("without_a_job")

    assert event["eventType"] == "FAIL"
    assert "externalQuery" not in facets(event)
    assert not event["inputs"] + event["outputs"]


@pytest.mark.parametrize("task_id", ENDINGS)
def test_the_start_of_a_task_has_no_tables(task_id: str, events: Events) -> None:
    starts = [event for event in events.of(task_id) if event["eventType"] == "START"]

    assert starts
    assert not any(event["inputs"] or event["outputs"] for event in starts)


def test_the_provider_finds_nothing_wrong(events: Events) -> None:
    assert events.sent
    assert not re.findall(r".*(?:non-valid metadata|Failed to|failed to extract).*", events.output)


def test_no_event_has_a_secret(events: Events, syncs: Emulator) -> None:
    traces.note("the events of OpenLineage", events.sent)
    assert syncs.client_secret not in json.dumps(events.sent)


LOADED = """
import sys
from airflow_provider_airbyte_sme.lineage import is_lineage_wanted
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor

task = AirbyteTriggerSyncOperator(task_id="sync", connection_id=sys.argv[1])
assert not is_lineage_wanted(task)
costly = ("openlineage", "airflow.providers.common.compat.openlineage")
print(AirbyteJobSensor, [name for name in sys.modules if name.startswith(costly)])
"""


def test_nothing_of_openlineage_is_loaded_while_it_is_off() -> None:
    assert run_python("-c", LOADED, UNKNOWN_ID).splitlines()[-1].endswith("> []")


@pytest.fixture
def lineage_of() -> Callable[..., OperatorLineage]:
    """Extract the lineage of a run as OpenLineage's provider does."""

    def extract(
        run: TaskRun, state: TaskInstanceState = TaskInstanceState.SUCCESS
    ) -> OperatorLineage:
        dag_run = SimpleNamespace(run_id="run")
        return ExtractorManager().extract_metadata(dag_run, run.task, state, run.ti)

    return extract


@pytest.fixture
def shop(emulator: Emulator) -> str:
    """A connection from a MySQL database to a Snowflake account, with one stream."""
    return emulator.add_connection(
        "shop",
        source_id=emulator.add_source(
            connector="mysql",
            configuration={"host": "shop.example.com", "port": 3306, "database": "shop"},
            streams=[{"name": "orders", "namespace": "shop", "types": {"id": "integer"}}],
        ),
        destination_id=emulator.add_destination(
            connector="snowflake",
            configuration={
                "host": "org-account.snowflakecomputing.com",
                "database": "analytics",
                "schema": "raw",
            },
        ),
    )


@pytest.mark.usefixtures("transport")
def test_a_database_that_is_read_is_an_input(
    shop: str,
    deferrable: bool,
    sync_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    run = sync_run(connection_id=shop, deferrable=deferrable)
    run.finish()

    lineage = lineage_of(run)

    assert names(lineage.inputs) == [("mysql://shop.example.com:3306", "shop.orders")]
    assert names(lineage.outputs) == [("snowflake://org-account", "ANALYTICS.RAW.ORDERS")]


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("connection", ["shop", "sample data"])
def test_the_outputs_are_the_tables_of_the_asset_events(
    connection: str,
    emulator: Emulator,
    shop: str,
    sync_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    connection_id = shop if connection == "shop" else emulator.connection_id
    run = sync_run(connection_id=connection_id, emit_assets=True)
    run.finish()

    tables = [Dataset(*name) for name in names(lineage_of(run).outputs)]

    assert [asset_text(table) for table in tables] == [event.asset for event in run.asset_events]
    assert tables


@pytest.mark.usefixtures("transport")
def test_the_columns_of_a_stream_with_a_mapper_are_unknown(
    emulator: Emulator,
    sync_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    renaming = {
        "type": "field-renaming",
        "mapperConfiguration": {"originalFieldName": "name", "newFieldName": "label"},
    }
    streams = [{"name": "users", "mappers": [renaming]}, {"name": "products"}]
    run = sync_run(connection_id=emulator.add_connection("mapped", streams=streams))
    run.finish()

    assert [set(output.facets) for output in lineage_of(run).outputs] == [set(), {"schema"}]


@pytest.mark.usefixtures("transport")
def test_a_closed_config_api_leaves_the_names_of_the_tables(
    emulator: Emulator,
    sync_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    for route in ("jobs/get_without_logs", "web_backend/connections/get"):
        emulator.fail_next(f"POST /api/v1/{route}", 404, times=None)
    run = sync_run()
    run.finish()

    outputs = lineage_of(run).outputs

    assert set(names(outputs)) == WRITTEN
    assert [(output.facets, output.outputFacets) for output in outputs] == [({}, {})] * 3


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_an_unreadable_destination_costs_only_the_tables(
    outcome: str,
    emulator: Emulator,
    sync_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    emulator.script_job(outcome=outcome)
    emulator.fail_next(DESTINATION, 403, times=10)
    run = sync_run()
    if outcome == "failed":
        with pytest.raises(AirbyteJobFailedError):
            run.finish()
    else:
        assert run.finish()["status"] == "succeeded"

    failed = outcome == "failed"
    state = TaskInstanceState.FAILED if failed else TaskInstanceState.SUCCESS
    lineage = lineage_of(run, state)

    assert not lineage.inputs + lineage.outputs
    assert lineage.run_facets["externalQuery"].externalQueryId == "1"


@pytest.mark.usefixtures("transport")
def test_a_sensor_that_skips_a_failed_sync_has_no_tables(
    emulator: Emulator, sensor_run: Callable[..., TaskRun], lineage_of: Callable[..., Any]
) -> None:
    emulator.script_job(outcome="failed", duration=0)
    run = sensor_run(emulator.start_sync(), never_fail=True)
    with pytest.raises(AirflowSkipException):
        run.finish()

    lineage = lineage_of(run, TaskInstanceState.SKIPPED)

    assert not lineage.inputs + lineage.outputs
    assert lineage.run_facets["externalQuery"].externalQueryId == "1"


def finish_in_new_processes(make_run: Callable[[], TaskRun]) -> TaskRun:
    """
    Run a task with a new operator in each process, as Airflow does.

    :return: The run of the last process; it has not ended yet if the task has deferred.
    """
    run = make_run()
    run.start()
    while run.deferrals:
        deferral = run.deferrals[-1]
        run = make_run()
        run.deferrals.append(deferral)
        with suppress(AirbyteJobTimeoutError, AirflowSensorTimeout):
            run.resume(run_trigger(deferral.trigger))
        if run.deferrals[-1] is deferral:
            break
    return run


def job_ids(lineage: OperatorLineage) -> dict[str, str]:
    return {name: facet.externalQueryId for name, facet in lineage.run_facets.items()}


@pytest.mark.usefixtures("transport")
def test_a_timeout_of_a_poke_names_the_job_that_was_waited_for(
    running_job: int,
    sensor_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    run = sensor_run(running_job, timeout=0.2, deferrable=False)
    with pytest.raises(AirflowSensorTimeout):
        run.finish()

    assert job_ids(lineage_of(run, TaskInstanceState.FAILED)) == {"externalQuery": str(running_job)}


@pytest.mark.usefixtures("transport")
def test_a_timeout_of_a_deferred_sensor_names_the_job_that_was_waited_for(
    running_job: int,
    sensor_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    run = finish_in_new_processes(lambda: sensor_run(running_job, timeout=0.2, deferrable=True))

    assert job_ids(lineage_of(run, TaskInstanceState.FAILED)) == {"externalQuery": str(running_job)}


@pytest.mark.usefixtures("transport")
def test_a_timeout_of_a_deferred_operator_names_its_job(
    emulator: Emulator,
    sync_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    emulator.script_job(statuses=[("running", None)])
    run = finish_in_new_processes(lambda: sync_run(timeout=0.5, deferrable=True))

    assert job_ids(lineage_of(run, TaskInstanceState.FAILED)) == {"externalQuery": "1"}


@pytest.mark.usefixtures("transport")
def test_the_last_process_of_a_deferred_task_knows_what_was_delivered(
    sync_run: Callable[..., TaskRun], lineage_of: Callable[..., OperatorLineage]
) -> None:
    run = finish_in_new_processes(lambda: sync_run(deferrable=True))

    outputs = lineage_of(run).outputs

    assert set(names(outputs)) == WRITTEN
    assert [statistics(output) for output in outputs] == [(40, 5120)] * 3


@pytest.mark.usefixtures("transport")
def test_an_unreadable_event_of_a_trigger_fails_as_without_lineage(
    sync_run: Callable[..., TaskRun], lineage_of: Callable[..., OperatorLineage]
) -> None:
    run = sync_run(deferrable=True)
    run.start()
    with pytest.raises(ValueError, match="an event that this version cannot read"):
        run.resume({})

    assert not lineage_of(run, TaskInstanceState.FAILED).run_facets


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_reset_that_is_waited_for_delivers_nothing(
    outcome: str,
    emulator: Emulator,
    sensor_run: Callable[..., TaskRun],
    lineage_of: Callable[..., OperatorLineage],
) -> None:
    emulator.script_job(outcome=outcome, duration=0)
    run = sensor_run(emulator.start_sync(job_type="reset"))
    state = TaskInstanceState.SUCCESS
    if outcome == "failed":
        state = TaskInstanceState.FAILED
        with pytest.raises(AirbyteJobFailedError):
            run.finish()
    else:
        run.finish()

    lineage = lineage_of(run, state)

    assert not lineage.inputs + lineage.outputs
    assert job_ids(lineage) == {"externalQuery": "1"}


@pytest.mark.usefixtures("transport")
def test_nothing_is_read_for_a_task_that_is_skipped(
    emulator: Emulator, sync_run: Callable[..., TaskRun]
) -> None:
    emulator.script_job(rows=0)
    with pytest.raises(AirflowSkipException):
        sync_run(min_rows=1, on_too_few_rows="skip").finish()

    assert DESTINATION not in {request.route for request in emulator.requests}


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
@pytest.mark.parametrize("route", READ_FOR_LINEAGE)
def test_lineage_holds_up_a_task_for_15_seconds_at_most(
    route: str,
    outcome: str,
    emulator: Emulator,
    sync_run: Callable[..., TaskRun],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = JumpingClock()
    clock.install(monkeypatch)
    emulator.script_job(outcome=outcome)
    run = sync_run(deferrable=True)
    run.start()
    event = run_trigger(run.deferrals[-1].trigger)
    emulator.fail_next(route, 503, times=None)
    began = clock.monotonic()

    with suppress(AirbyteJobFailedError):
        run.resume(event)

    # The report on a failed job has 15 s of its own, whether there is lineage or not.
    assert clock.monotonic() - began < (17 if outcome == "succeeded" else 32)


def test_while_it_is_off_nothing_is_read_for_it(
    emulator: Emulator, sync_run: Callable[..., TaskRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def routes_of_a_run() -> set[str | None]:
        emulator.clear_requests()
        sync_run().finish()
        return {request.route for request in emulator.requests}

    off = routes_of_a_run()
    monkeypatch.setenv(TRANSPORT, json.dumps({"type": "console"}))
    on = routes_of_a_run()

    assert DESTINATION in on - off
    assert off < on
