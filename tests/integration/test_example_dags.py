"""Every example DAG, run with ``dag.test()`` against an emulator."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG
from packaging.version import Version

from airflow_provider_airbyte_sme.api import (
    AirbyteError,
    AirbyteJobFailedError,
    AirbyteServerError,
    AirbyteTooFewRowsError,
    AirbyteTransportError,
    Attempt,
    AttemptFailure,
    Job,
    JobDetails,
    Problem,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from scripts.airflow_api import poll
from scripts.airflow_harness import dag_bundles

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow before 3.2
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]  # the same class, before its move

# The examples of its folder with_cosmos are run by tests/data_aware, in an environment with Cosmos.
EXAMPLES = Path(__file__).parents[2] / "dags_examples"
AIRFLOW = Version(version("apache-airflow"))
# Examples that older versions of Airflow cannot load.
NEEDED_AIRFLOW = {
    "retry_policy": "3.3",
    "start_on_webhook": "3.0",
    "start_when_airbyte_syncs": "3.0",
}
NOT_FOR_THIS_AIRFLOW = {
    EXAMPLES / f"{name}.py" for name, needed in NEEDED_AIRFLOW.items() if Version(needed) > AIRFLOW
}
needs_retry_policies = pytest.mark.skipif(
    Version("3.3") > AIRFLOW,
    reason="this Airflow has no retry policies, so it cannot load the file",
)

# Airflow's database tools and dag.test() cause warnings from dependencies, which vary by version.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Every job has ended when it is first read, so no example waits for its poll interval."""
    emulator = Emulator(time="instant", rows=getattr(request, "param", 120))
    with emulator.serve():
        yield emulator


@pytest.fixture
def dags(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, DAG]:
    """The examples as Airflow parses them, with the variable that their docstrings require."""
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", emulator.connection_id)
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", dag_bundles(EXAMPLES))
    bag = DagBag(dag_folder=str(EXAMPLES))
    assert set(map(Path, bag.import_errors)) == NOT_FOR_THIS_AIRFLOW
    return dict(bag.dags)


@pytest.fixture
def hook() -> AirbyteHook:
    """A hook for the Airflow connection of the examples, to look at what they did."""
    return AirbyteHook()


@pytest.fixture
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Airflow connections from which examples take the passwords of databases."""
    for name in ("shops", "crm", "warehouse"):
        uri = f"postgres://airbyte:secret-of-{name}@{name}.example.com"
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", uri)


@pytest.fixture
def states(dags: dict[str, DAG]) -> Callable[..., dict[str, Any]]:
    """Run an example to its end and return the state of each task."""

    def run(dag_id: str, **conf: Any) -> dict[str, Any]:
        tasks = dags[dag_id].test(run_conf=conf).get_task_instances()
        return {
            task.task_id + (f"[{task.map_index}]" if task.map_index >= 0 else ""): task.state
            for task in tasks
        }

    return run


def test_every_file_defines_the_dag_of_its_name(dags: dict[str, DAG]) -> None:
    files = set(EXAMPLES.glob("*.py")) - NOT_FOR_THIS_AIRFLOW
    assert set(dags) == {file.stem for file in files}


@pytest.mark.parametrize(("name", "needed"), NEEDED_AIRFLOW.items())
def test_an_example_that_needs_a_newer_airflow_says_so(name: str, needed: str) -> None:
    first_lines = (EXAMPLES / f"{name}.py").read_text().splitlines()[:3]
    assert any(f"Needs Airflow {needed}" in line for line in first_lines)


def test_airflow_leaves_out_the_examples_that_need_cosmos(dags: dict[str, DAG]) -> None:
    for path in (EXAMPLES / "with_cosmos").glob("*.py"):
        assert path.stem not in dags
        assert "Needs Cosmos" in path.read_text().splitlines()[1]


def test_attach_to_running_sync_returns_the_result_of_the_running_job(
    emulator: Emulator,
    dags: dict[str, DAG],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    real_time = Emulator()
    real_time.script_job(statuses=[("running", None)])

    def is_polled() -> bool:
        return any(request.route == "GET /jobs/{jobId}" for request in real_time.requests)

    def finish_when_polled(job_id: int) -> None:
        try:
            poll(is_polled, timeout=60, what="a read of the running job", interval=0.05)
        finally:
            # The DAG would wait for its job for days.
            real_time.finish_job(job_id)

    with real_time.serve(), ThreadPoolExecutor() as background:
        monkeypatch.setenv("AIRFLOW_CONN_AIRBYTE_SME_DEFAULT", real_time.connection_uri)
        monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID", real_time.connection_id)
        job_id = real_time.start_sync()
        finished = background.submit(finish_when_polled, job_id)
        dag = dags["attach_to_running_sync"]
        sync: Any = dag.get_task("sync")
        sync.poll_interval = 0.2
        run = dag.test()
        finished.result()
    assert {task.state for task in run.get_task_instances()} == {"success"}
    assert list(real_time.jobs) == [job_id]
    assert f"job {job_id} was running already" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("rows", "state"), [(1, "success"), (0, "skipped")], ids=["with rows", "without rows"]
)
def test_require_rows_continues_only_with_new_rows(
    rows: int, state: str, emulator: Emulator, states: Callable[..., dict[str, Any]]
) -> None:
    emulator.script_job(rows=rows, duration=0)
    assert states("require_rows") == {"sync": state, "use_new_data": state}


def test_sync_if_stale_does_not_sync_again_within_an_hour(
    emulator: Emulator, states: Callable[..., dict[str, Any]]
) -> None:
    assert states("sync_if_stale") == {"is_stale": "success", "sync": "success"}
    assert states("sync_if_stale") == {"is_stale": "success", "sync": "skipped"}
    assert len(emulator.jobs) == 1


def test_sync_many_connections_syncs_every_connection_of_the_variable(
    emulator: Emulator,
    states: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    listed = [emulator.connection_id, emulator.add_connection(), emulator.add_connection()]
    emulator.add_connection("not listed")
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_CONNECTION_IDS", json.dumps(listed))
    assert states("sync_many_connections") == {
        "list_connection_ids": "success",
        "sync[0]": "success",
        "sync[1]": "success",
        "sync[2]": "success",
        "sum_rows": "success",
    }
    assert sorted(job.connection_id for job in emulator.jobs.values()) == sorted(listed)
    assert "360 rows from 3 connections" in capfd.readouterr().out


def test_sync_every_tagged_connection_syncs_the_active_ones_with_the_tag(
    emulator: Emulator, hook: AirbyteHook, states: Callable[..., dict[str, Any]]
) -> None:
    tagged = [emulator.connection_id, emulator.add_connection()]
    inactive = emulator.add_connection()
    emulator.add_connection("without the tag")
    fields = {"name": "nightly", "color": "75DCFF", "workspaceId": emulator.workspace_id}
    tag = {**fields, "tagId": hook.create_tag(fields).tag_id}
    for connection_id in (*tagged, inactive):
        hook.update_airbyte_connection(connection_id, {"tags": [tag]})
    hook.update_airbyte_connection(inactive, {"status": "inactive"})

    assert states("sync_every_tagged_connection") == {
        "connections": "success",
        "sync[0]": "success",
        "sync[1]": "success",
    }
    assert sorted(job.connection_id for job in emulator.jobs.values()) == sorted(tagged)


def test_sync_sensor_gates_dbt_waits_for_a_sync_that_no_task_starts(
    emulator: Emulator, dags: dict[str, DAG]
) -> None:
    emulator.call_next("GET /jobs", emulator.start_sync)

    run = dags["sync_sensor_gates_dbt"].test(mark_success_pattern="dbt_build")

    assert {task.state for task in run.get_task_instances()} == {"success"}
    assert "POST /jobs" not in writes(emulator)


@pytest.mark.parametrize("dag_id", ["sync_then_dbt", "sensor_gates_dbt"])
def test_dbt_builds_its_models_from_the_job_of_the_sync(
    dag_id: str,
    emulator: Emulator,
    states: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    duckdb = pytest.importorskip(
        "duckdb", reason="dbt cannot be installed together with Airflow 2.11"
    )
    from scripts.demo import dbt_environment

    database = tmp_path / "dbt.duckdb"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for name, value in dbt_environment(tmp_path, database, has_landing=False).items():
        monkeypatch.setenv(name, value)
    assert set(states(dag_id).values()) == {"success"}
    with duckdb.connect(str(database)) as connection:
        audit = connection.sql("select job_id, rows_synced from analytics.sync_audit").fetchall()
    assert audit == [(job_id, 120) for job_id in emulator.jobs]


def writes(emulator: Emulator) -> list[str | None]:
    """Return the requests so far that change a resource or start a job, and forget them."""
    sent = [
        request.route
        for request in emulator.requests
        if request.method != "GET"
        and request.path.startswith("/api/public/v1/")
        and not request.path.endswith("/token")
    ]
    emulator.clear_requests()
    return sent


def test_provision_pipeline_creates_one_of_each_and_then_writes_nothing(
    emulator: Emulator, hook: AirbyteHook, dags: dict[str, DAG]
) -> None:
    def run() -> None:
        assert dags["provision_pipeline"].test(mark_success_pattern="dbt_build").state == "success"

    run()
    assert sorted(filter(None, writes(emulator))) == [
        "POST /connections",
        "POST /destinations",
        "POST /jobs",
        "POST /sources",
        "POST /workspaces",
    ]
    [shop] = [each for each in hook.list_workspaces() if each.name == "Shop"]
    [connection] = hook.list_airbyte_connections(workspace_ids=[shop.workspace_id])
    assert [stream.name for stream in connection.streams] == ["users", "products", "purchases"]
    run()
    assert writes(emulator) == ["POST /jobs"]
    assert {job.connection_id for job in emulator.jobs.values()} == {connection.connection_id}


@pytest.mark.parametrize(
    ("emulator", "sync_state"),
    [(120, "success"), (0, "failed")],
    ids=["works", "fails"],
    indirect=["emulator"],
)
def test_sandbox_with_teardown_deletes_everything_whether_the_sync_succeeds_or_not(
    sync_state: str,
    emulator: Emulator,
    hook: AirbyteHook,
    states: Callable[..., dict[str, Any]],
) -> None:
    before = hook.list_workspaces(), hook.list_sources(), hook.list_airbyte_connections()
    assert states("sandbox_with_teardown", pull_request=7) == {
        "create_sandbox": "success",
        "sync": sync_state,
        "delete_sandbox": "success",
    }
    assert len(emulator.jobs) == 1
    assert "POST /workspaces" in writes(emulator)
    after = hook.list_workspaces(), hook.list_sources(), hook.list_airbyte_connections()
    assert after == before


def test_onboard_tenants_creates_what_a_new_tenant_needs_and_leaves_the_others(
    emulator: Emulator,
    hook: AirbyteHook,
    states: Callable[..., dict[str, Any]],
    passwords: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_TENANTS", '["acme"]')
    assert set(states("onboard_tenants").values()) == {"success"}
    writes(emulator)
    monkeypatch.setenv("AIRFLOW_VAR_AIRBYTE_TENANTS", '["acme", "globex"]')
    assert set(states("onboard_tenants").values()) == {"success"}
    assert writes(emulator) == ["POST /sources", "POST /connections"]

    [tenants] = [each for each in hook.list_workspaces() if each.name == "Tenants"]
    sources = hook.list_sources(workspace_ids=[tenants.workspace_id])
    connections = hook.list_airbyte_connections(workspace_ids=[tenants.workspace_id])
    assert sorted((each.configuration or {})["database"] for each in sources) == ["acme", "globex"]
    assert sorted(str(each.namespace_format) for each in connections) == ["acme", "globex"]


def test_apply_pipeline_file_plans_then_creates_then_writes_nothing(
    emulator: Emulator,
    hook: AirbyteHook,
    states: Callable[..., dict[str, Any]],
    passwords: None,
    task_log: Callable[[], str],
) -> None:
    assert states("apply_pipeline_file", dry_run=True) == {"apply": "success"}
    assert "source 'CRM': would create" in task_log()
    assert writes(emulator) == []
    assert states("apply_pipeline_file", dry_run=False) == {"apply": "success"}
    assert len(writes(emulator)) == 5
    assert states("apply_pipeline_file", dry_run=False) == {"apply": "success"}
    assert writes(emulator) == []

    [sales] = [each for each in hook.list_workspaces() if each.name == "Sales"]
    [connection] = hook.list_airbyte_connections(workspace_ids=[sales.workspace_id])
    assert [tag.name for tag in connection.tags] == ["nightly"]
    assert "secret-of" not in task_log()


JOB = Job(job_id=42, status="failed", connection_id="18dccc91-0ab1-4f72-9ed7-0b8fc27c5826")


def failed_job(*failures: AttemptFailure) -> AirbyteJobFailedError:
    details = JobDetails((Attempt(0, "failed", failures),))
    return AirbyteJobFailedError("why", job=JOB, details=details)


@needs_retry_policies
@pytest.mark.parametrize(
    ("error", "action", "minutes"),
    [
        (failed_job(AttemptFailure("source", "config_error")), "fail", None),
        (failed_job(AttemptFailure("destination", "config_error")), "fail", None),
        (failed_job(AttemptFailure("airbyte_platform", "config_error")), "default", None),
        (failed_job(AttemptFailure("source", "transient_error")), "retry", 30),
        (failed_job(AttemptFailure("", "heartbeat_timeout")), "retry", 30),
        (failed_job(AttemptFailure("destination", "destination_timeout")), "retry", 30),
        (failed_job(AttemptFailure("source", "system_error")), "default", None),
        (failed_job(), "default", None),
        (AirbyteJobFailedError("why", job=JOB), "default", None),
        (AirbyteTransportError("why", request_sent=False), "retry", 5),
        (
            AirbyteServerError(method="GET", url="https://a", status=503, problem=Problem()),
            "retry",
            5,
        ),
        (AirbyteTooFewRowsError("why", job=JOB), "default", None),
        (AirbyteError("why"), "default", None),
        (ValueError("why"), "default", None),
    ],
    ids=lambda value: str(value) if not isinstance(value, Exception) else type(value).__name__,
)
def test_the_retry_policy_decides_as_its_docstring_says(
    dags: dict[str, DAG], error: Exception, action: str, minutes: int | None
) -> None:
    sync: Any = dags["retry_policy"].get_task("sync")
    decision = sync.retry_policy.evaluate(error, 1, sync.retries, None)
    assert decision.action.value == action
    assert decision.retry_delay == (None if minutes is None else timedelta(minutes=minutes))
    assert (decision.reason is None) == (action == "default")


@needs_retry_policies
@pytest.mark.parametrize(
    ("failure_type", "state", "syncs"),
    [("config_error", "failed", 1), ("system_error", "success", 2)],
)
def test_airflow_asks_the_retry_policy_about_a_failed_sync(
    failure_type: str,
    state: str,
    syncs: int,
    emulator: Emulator,
    dags: dict[str, DAG],
    states: Callable[..., dict[str, Any]],
) -> None:
    sync: Any = dags["retry_policy"].get_task("sync")
    sync.retry_delay = timedelta(0)
    failure = {"origin": "source", "type": failure_type}
    emulator.script_job(outcome="failed", duration=0, attempts=1, failure=failure)

    assert states("retry_policy") == {"sync": state}
    assert len(emulator.jobs) == syncs


def test_sync_emits_assets_tells_airflow_of_each_table_with_rows(
    emulator: Emulator, dags: dict[str, DAG], states: Callable[..., dict[str, Any]]
) -> None:
    from airflow.utils.session import create_session

    if Version("3.0") > AIRFLOW:
        asset_event = import_module("airflow.models.dataset").DatasetEvent
        # It knows only the aliases of what it has parsed.
        dag: Any = dags["sync_emits_assets"]
        dag.sync_to_db()
    else:
        asset_event = import_module("airflow.models.asset").AssetEvent

    assert states("sync_emits_assets") == {"sync": "success"}

    [job_id] = emulator.jobs
    with create_session() as session:
        found = session.query(asset_event).filter_by(source_dag_id="sync_emits_assets").all()
        events = [(event.uri, event.extra) for event in found]
    rows = {uri.replace(".", "/").rpartition("/")[2]: extra["rows"] for uri, extra in events}
    assert rows == {"users": 40, "products": 40, "purchases": 40}
    assert {extra["job_id"] for _, extra in events} == {job_id}


@pytest.mark.parametrize(("rows", "state"), [(59, "failed"), (60, "success")])
def test_notify_of_slow_syncs_accepts_half_of_the_usual_rows_and_no_less(
    rows: int, state: str, emulator: Emulator, states: Callable[..., dict[str, Any]]
) -> None:
    for _ in range(5):
        emulator.start_sync()
        emulator.settle()
    emulator.script_job(rows=rows, duration=0)

    assert states("notify_of_slow_syncs") == {"sync": state}
