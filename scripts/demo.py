"""
The main job, end to end, on a real Airflow: trigger a sync, wait without a worker, gate dbt.

Run by ``make demo``. Environment:

- ``KEEP=1`` keeps Airflow and the emulator up at the end, until Ctrl-C.
- ``AIRBYTE_URL``, ``AIRBYTE_CLIENT_ID``, ``AIRBYTE_CLIENT_SECRET`` and ``AIRBYTE_CONNECTION_ID``,
  all four, use that Airbyte instead of the emulator.
- ``AIRBYTE_FAKER_VENV`` is the environment with airbyte-source-faker; ``.venv/faker`` by default.

What it writes is in ``.demo``, which each run begins anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from airflow_provider_airbyte_sme.emulator import Emulator, SyncFailedError
from scripts.airflow_api import AirflowApiError, AirflowTimeoutError, TaskInstance
from scripts.airflow_harness import LOG_TAIL_LINES, AirflowProcessError, LocalAirflow, Reminder
from scripts.connector_to_duckdb import ConnectorToDuckDB, count_rows, open_database

PROJECT = Path(__file__).resolve().parent.parent
DAGS = PROJECT / "dags_examples"
DEMO = PROJECT / ".demo"
DATABASE = DEMO / "demo.duckdb"
FAKER = Path(os.environ.get("AIRBYTE_FAKER_VENV", PROJECT / ".venv" / "faker"))

AIRBYTE_VARIABLES = (
    "AIRBYTE_URL",
    "AIRBYTE_CLIENT_ID",
    "AIRBYTE_CLIENT_SECRET",
    "AIRBYTE_CONNECTION_ID",
)
SOURCE: Mapping[str, Any] = {
    "name": "Faker",
    "connector": "faker",
    "configuration": {"count": 500, "seed": 1},
}

EMULATOR_RUN_TIMEOUT = 180.0
OWN_AIRBYTE_RUN_TIMEOUT = 24 * 3600.0
"""Seconds: a sync of somebody's own Airbyte takes as long as it takes."""

RESULT_TASKS = {"sync_then_dbt": "sync", "sensor_gates_dbt": "wait_for_data"}
"""The DAGs of the demo, each with its task that returns the result of the sync."""


class DemoError(Exception):
    """The demo cannot go on; the message says why, and has a log's last lines where one helps."""


@dataclass(frozen=True)
class Airbyte:
    """How Airflow reaches Airbyte, and what it syncs there."""

    url: str
    client_id: str
    client_secret: str
    connection_id: str


@dataclass(frozen=True)
class Run:
    """
    A finished DAG run.

    :param result: What the task that waited for the sync returned.
    :param records: RECORD messages of the connector; ``None`` with somebody's own Airbyte.
    :param rows: Rows of this sync in DuckDB right after the run, before another replaces them.
    """

    dag_id: str
    tasks: list[TaskInstance]
    result: Mapping[str, Any]
    records: int | None = None
    rows: int | None = None


def main() -> None:
    """Run the demo; the exit code is 0 only if all of it worked."""
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, _interrupt)
    try:
        with _folder_of_its_own(), ExitStack() as stack:
            demonstrate(stack)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except (
        AirflowApiError,
        AirflowProcessError,
        AirflowTimeoutError,
        DemoError,
        SyncFailedError,
        OSError,
    ) as error:
        sys.exit(f"{error}")


def demonstrate(stack: ExitStack) -> None:
    """
    Go through the six steps.

    :param stack: Keeps up what was started.
    """
    with step(1, "Environments"):
        show_environments()
    with step(2, "Airbyte"):
        airbyte, landing = provide_airbyte(stack)
    with step(3, "Airflow"):
        airflow = start_airflow(airbyte, has_landing=landing is not None, stack=stack)
    with step(4, "DAG runs"):
        runs = [run_dag(airflow, dag_id, landing) for dag_id in RESULT_TASKS]
    with step(5, "Data"):
        compare_counts(runs)
    with step(6, "Results"):
        show_results(runs, "sync_audit" if landing is None else "sales_by_make")
        if os.environ.get("KEEP", "0") in ("", "0"):
            say(f"Airflow's UI was at {airflow.url}; `make demo KEEP=1` keeps it up")
            return
    print(f"\nAirflow's UI is at {airflow.url}, Airbyte at {airbyte.url}; Ctrl-C stops", flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            airflow.check_alive()
            time.sleep(1)


def show_environments() -> None:
    """
    Say what the demo runs on.

    :raises DemoError: The connector is missing.
    """
    versions = f"Airflow {version('apache-airflow')}, dbt {version('dbt-core')}"
    say(f"{_short(Path(sys.prefix))}: Python {platform.python_version()}, {versions}")
    packages = distributions(path=[str(each) for each in FAKER.glob("lib/*/site-packages")])
    found = [each.version for each in packages if each.name == "airbyte-source-faker"]
    if not found:
        raise DemoError(
            f"There is no airbyte-source-faker in {FAKER}: `make demo` makes that environment, "
            "AIRBYTE_FAKER_VENV names another one."
        )
    say(f"{_short(FAKER)}: Airbyte's connector source-faker {found[0]}")


def provide_airbyte(stack: ExitStack) -> tuple[Airbyte, ConnectorToDuckDB | None]:
    """
    Return the Airbyte of the environment; else serve an emulator for as long as *stack* is open.

    :return: Airbyte, and what runs the emulator's syncs.
    :raises DemoError: The environment names an Airbyte by halves.
    """
    values = [os.environ.get(name, "") for name in AIRBYTE_VARIABLES]
    if any(values):
        missing = [name for name, value in zip(AIRBYTE_VARIABLES, values, strict=True) if not value]
        if missing:
            raise DemoError(f"To use your own Airbyte, set {' and '.join(missing)} as well.")
        own = Airbyte(*values)
        say(f"your own at {own.url}, connection {own.connection_id}: no emulator, no connector")
        return own, None
    landing = ConnectorToDuckDB(FAKER / "bin" / "source-faker", DATABASE)
    streams = landing.discover(SOURCE["configuration"])
    say(f"source-faker discovered the streams {', '.join(streams)}")
    emulator = Emulator(time="real", on_sync=landing, seed={"sources": [SOURCE]})
    server = stack.enter_context(emulator.serve())
    say(f"the emulator serves Airbyte's API at {server.url}")
    for name in ("workspace_id", "source_id", "destination_id", "connection_id"):
        say(f"{name} {getattr(emulator, name)}")
    emulated = Airbyte(
        server.url, emulator.client_id, emulator.client_secret, emulator.connection_id
    )
    return emulated, landing


def start_airflow(airbyte: Airbyte, *, has_landing: bool, stack: ExitStack) -> LocalAirflow:
    """Start Airflow with the example DAGs, for as long as *stack* is open."""
    home = DEMO / "airflow"
    home.mkdir()
    airflow = stack.enter_context(
        LocalAirflow(
            home=home,
            dags_folder=DAGS,
            dag_ids=list(RESULT_TASKS),
            environment=dbt_environment(DEMO, DATABASE, has_landing=has_landing),
            report=say,
        )
    )
    stack.callback(_announce_stop)
    connect(airflow, airbyte)
    say("connection airbyte_sme_default and variable airbyte_connection_id are set")
    say(f"Airflow's UI is at {airflow.url}")
    return airflow


def dbt_environment(folder: Path, database: Path, *, has_landing: bool) -> dict[str, str]:
    """
    Return the environment variables for dbt in the example DAGs.

    :param folder: Where dbt may write.
    :param has_landing: Whether *database* has the tables of the faker.
    """
    return {
        "DUCKDB_PATH": str(database),
        "DBT_TARGET": "landed" if has_landing else "audit_only",
        "DBT_TARGET_PATH": str(folder / "dbt-target"),
        "DBT_LOG_PATH": str(folder / "dbt-logs"),
        "DBT_USE_COLORS": "False",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
    }


def connect(airflow: LocalAirflow, airbyte: Airbyte) -> None:
    """Tell Airflow where Airbyte is, as a person does in the UI."""
    airflow.api.create_connection(
        "airbyte_sme_default",
        "airbyte_sme",
        host=airbyte.url,
        login=airbyte.client_id,
        password=airbyte.client_secret,
    )
    airflow.api.set_variable("airbyte_connection_id", airbyte.connection_id)


def run_dag(airflow: LocalAirflow, dag_id: str, landing: ConnectorToDuckDB | None) -> Run:
    """
    Run a DAG to its end, telling each change of its tasks.

    :raises DemoError: The run failed.
    """
    run_id = airflow.api.trigger(dag_id)
    started = time.monotonic()
    reminder = Reminder(say)
    states: dict[str, str | None] = {}

    def tell(task: TaskInstance) -> None:
        states[task.name] = task.state
        if task.state is not None:
            say(f"{time.monotonic() - started:5.1f} s  {dag_id}.{task.name} {task.state}")
            reminder.reset()

    def watch() -> None:
        airflow.check_alive()
        seconds = time.monotonic() - started
        reminder.remind(f"{seconds:5.1f} s  still waiting: {states}")

    state = airflow.api.wait_for_run(
        dag_id,
        run_id,
        timeout=OWN_AIRBYTE_RUN_TIMEOUT if landing is None else EMULATOR_RUN_TIMEOUT,
        on_change=tell,
        while_waiting=watch,
    )
    tasks = airflow.api.task_instances(dag_id, run_id)
    if state != "success":
        raise DemoError(_explain_failure(airflow, tasks))
    result = airflow.api.xcom(dag_id, run_id, RESULT_TASKS[dag_id])
    if landing is None:
        return Run(dag_id, tasks, result)
    job_id = result["job_id"]
    rows = count_rows(landing.database, job_id)
    return Run(dag_id, tasks, result, landing.emitted[job_id], rows)


def compare_counts(runs: list[Run]) -> None:
    """
    Print that connector, Airbyte and database agree on how many rows there are.

    :raises DemoError: They do not.
    """
    for run in runs:
        synced = run.result["rows_synced"]
        if run.records is None:
            say(f"{run.dag_id}: {synced} rows_synced in the task's result")
            continue
        say(
            f"{run.dag_id}: {run.records} records emitted by the connector,"
            f" {synced} rows_synced in the task's result, {run.rows} rows in DuckDB"
        )
        if not run.records == synced == run.rows:
            raise DemoError(f"The three counts of {run.dag_id} differ.")
    if runs[0].records is None:
        say("skipped: comparing them with your destination, which the demo cannot see, and dbt")
        say("models on its tables: dbt has built the audit model only")
    else:
        say("the three agree")


def show_results(runs: list[Run], model: str) -> None:
    """Print the results of the tasks, the states of the tasks, and the head of a dbt model."""
    for run in runs:
        say(f"{run.dag_id}: the result of task {RESULT_TASKS[run.dag_id]}")
        say(json.dumps(run.result, indent=2))
    width = max(len(f"{task.dag_id}.{task.name}") for run in runs for task in run.tasks)
    say("tasks")
    for run in runs:
        for task in run.tasks:
            name = f"{task.dag_id}.{task.name}"
            say(f"  {name:{width}}  {task.state}  {task.duration or 0:5.1f} s")
    say(f"first rows of the dbt model {model}, in {_short(DATABASE)}")
    with open_database(DATABASE, read_only=True) as database:
        say(str(database.sql(f"select * from analytics.{model} limit 5")))


def say(text: str) -> None:
    """Print *text* indented, at once."""
    print("\n".join(f"    {line}" for line in text.splitlines()), flush=True)


@contextmanager
def step(number: int, title: str) -> Iterator[None]:
    """Print the heading of a step, and in a failure which step it was."""
    print(f"\n==> {number}/6 {title}", flush=True)
    try:
        yield
    except Exception:
        print(f"\nThe demo failed in step {number}/6, {title}.", file=sys.stderr, flush=True)
        raise


def _explain_failure(airflow: LocalAirflow, tasks: list[TaskInstance]) -> str:
    failed = next(task for task in tasks if task.state == "failed")
    log = airflow.api.log(failed)
    tail = "\n".join(f"    {line}" for line in log[-LOG_TAIL_LINES:])
    return f"Task {failed.dag_id}.{failed.name} failed. Last lines of its log:\n{tail}"


@contextmanager
def _folder_of_its_own() -> Iterator[None]:
    """Empty the demo's folder, and keep a second demo out of it."""
    DEMO.mkdir(exist_ok=True)
    with (DEMO / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"Another demo is running in {DEMO}.") from None
        for entry in DEMO.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()
        yield


def _announce_stop() -> None:
    # From here on a second Ctrl-C would leave processes behind.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    print("\nstopping Airflow", flush=True)


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _short(path: Path) -> str:
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


if __name__ == "__main__":
    main()
