"""
The provider end to end on a real Airflow: create a pipeline, sync it, wait, gate dbt.

``make demo`` runs it. Environment variables:

- ``KEEP=1`` keeps Airflow and the emulator running at the end, until Ctrl-C.
- ``AIRBYTE_URL``, ``AIRBYTE_CLIENT_ID``, ``AIRBYTE_CLIENT_SECRET`` and ``AIRBYTE_CONNECTION_ID``
  (all four) select your own Airbyte instead of the emulator.
- ``AIRBYTE_FAKER_VENV`` is the virtual environment with airbyte-source-faker; the default is
  ``.venv/faker``.

The demo writes to ``.demo`` only, and empties that folder at the start of each run.
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
from dataclasses import dataclass, field
from importlib.metadata import distributions, version
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from airflow_provider_airbyte_sme.emulator import Emulator, SyncFailedError
from scripts.airflow_api import AirflowApiError, AirflowTimeoutError, TaskInstance
from scripts.airflow_harness import LocalAirflow, Reminder
from scripts.connector_to_duckdb import ConnectorToDuckDB, count_rows, open_database
from scripts.processes import ProcessFailedError, log_tail

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
"""Seconds; nobody knows how long a sync takes on a user's own Airbyte."""

RESULT_TASKS = {
    "provision_pipeline": "sync",
    "sync_then_dbt": "sync",
    "sensor_gates_dbt": "wait_for_data",
}
"""The DAGs of the demo, each with the task that returns the result of the sync."""

RESOURCE_TASKS = {"provision_pipeline": ("workspace", "source", "destination", "connection")}
"""The DAGs that create resources, each with the tasks that do. Only the emulator gets them."""


class DemoError(Exception):
    """The demo failed; the message says why, with the end of a log where that helps."""


@dataclass(frozen=True)
class Airbyte:
    """How Airflow reaches Airbyte, and which connection it syncs."""

    url: str
    client_id: str
    client_secret: str
    connection_id: str

    @classmethod
    def emulated(cls, emulator: Emulator) -> Airbyte:
        """Return the running server of *emulator*, with its first connection."""
        return cls(emulator.url, emulator.client_id, emulator.client_secret, emulator.connection_id)


@dataclass(frozen=True)
class Run:
    """
    A finished DAG run.

    :param result: Return value of the task that waited for the sync.
    :param records: RECORD messages from the connector; ``None`` with the user's own Airbyte.
    :param rows: Rows of this sync in DuckDB, counted before the next sync replaces them; ``None``
        with the user's own Airbyte.
    :param resources: Return values of the tasks that create resources, by task.
    """

    dag_id: str
    tasks: list[TaskInstance]
    result: Mapping[str, Any]
    records: int | None = None
    rows: int | None = None
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def main() -> None:
    """Run the demo; the exit code is 0 only if every step succeeded."""
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, _interrupt)
    try:
        with _exclusive_demo_folder(), ExitStack() as stack:
            run_demo(stack)
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
    except (
        AirflowApiError,
        AirflowTimeoutError,
        DemoError,
        ProcessFailedError,
        SyncFailedError,
        OSError,
    ) as error:
        sys.exit(f"{error}")


def run_demo(stack: ExitStack) -> None:
    """
    Run the six steps.

    :param stack: Stops the servers when it is closed.
    """
    with step(1, "Check the environments"):
        show_environments()
    with step(2, "Set up Airbyte"):
        airbyte, data_plane = set_up_airbyte(stack)
    with step(3, "Start Airflow"):
        airflow = start_airflow(airbyte, has_landing=data_plane is not None, stack=stack)
    with step(4, "Run the example DAGs"):
        dag_ids = [each for each in RESULT_TASKS if data_plane or each not in RESOURCE_TASKS]
        runs = [run_dag(airflow, dag_id, data_plane) for dag_id in dag_ids]
    with step(5, "Compare the row counts"):
        compare_counts(runs)
    with step(6, "Show the results"):
        show_results(runs, "sync_audit" if data_plane is None else "sales_by_make")
        if os.environ.get("KEEP", "0") in ("", "0"):
            say("")
            say(f"The Airflow UI was at {airflow.url}. To keep it running: make demo KEEP=1")
            return
    print(f"\nThe Airflow UI is at {airflow.url}, Airbyte is at {airbyte.url}", flush=True)
    print("Its other DAGs are paused: switch one on to run it. Press Ctrl-C to stop", flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            airflow.check_alive()
            time.sleep(1)


def show_environments() -> None:
    """
    Print the versions of Python, Airflow, dbt and the connector.

    :raises DemoError: The connector is not installed.
    """
    versions = f"Airflow {version('apache-airflow')}, dbt {version('dbt-core')}"
    say(f"{_short(Path(sys.prefix))}: Python {platform.python_version()}, {versions}")
    packages = distributions(path=[str(each) for each in FAKER.glob("lib/*/site-packages")])
    found = [each.version for each in packages if each.name == "airbyte-source-faker"]
    if not found:
        raise DemoError(
            f"airbyte-source-faker is not installed in {FAKER}. Run `make demo`, which creates "
            "that environment, or set AIRBYTE_FAKER_VENV to one that has it."
        )
    say(f"{_short(FAKER)}: airbyte-source-faker {found[0]}, Airbyte's connector for sample data")


def set_up_airbyte(stack: ExitStack) -> tuple[Airbyte, ConnectorToDuckDB | None]:
    """
    Return the Airbyte that the environment variables name, or start an emulator.

    :param stack: Stops the emulator when it is closed.
    :return: Airbyte, and the data plane of the emulator (``None`` with the user's own Airbyte).
    :raises DemoError: Only some of the environment variables are set.
    """
    values = [os.environ.get(name, "") for name in AIRBYTE_VARIABLES]
    if any(values):
        missing = [name for name, value in zip(AIRBYTE_VARIABLES, values, strict=True) if not value]
        if missing:
            raise DemoError(f"To use your own Airbyte, also set {' and '.join(missing)}.")
        own = Airbyte(*values)
        say(f"Using your own Airbyte at {own.url}, connection {own.connection_id}")
        say("The emulator and the sample data connector are not used")
        return own, None
    data_plane = ConnectorToDuckDB(FAKER / "bin" / "source-faker", DATABASE)
    streams = data_plane.discover(SOURCE["configuration"])
    say(f"source-faker has the streams {', '.join(streams)}")
    emulator = Emulator(time="real", on_sync=data_plane, seed={"sources": [SOURCE]})
    server = stack.enter_context(emulator.serve())
    say(f"The emulator serves Airbyte's API at {server.url}, with these resources:")
    for name in ("workspace_id", "source_id", "destination_id", "connection_id"):
        say(f"  {name}: {getattr(emulator, name)}")
    return Airbyte.emulated(emulator), data_plane


def start_airflow(airbyte: Airbyte, *, has_landing: bool, stack: ExitStack) -> LocalAirflow:
    """
    Start Airflow with the example DAGs and configure it for *airbyte*.

    :param has_landing: Whether the emulator's data plane loads the tables that dbt reads.
    :param stack: Stops Airflow when it is closed.
    """
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
    say("Created the connection airbyte_sme_default and the variable airbyte_connection_id")
    say(f"The Airflow UI is at {airflow.url}")
    return airflow


def dbt_environment(folder: Path, database: Path, *, has_landing: bool) -> dict[str, str]:
    """
    Return the environment variables that configure dbt in the example DAGs.

    :param folder: Folder for dbt's artifacts and logs.
    :param database: DuckDB file that dbt builds in.
    :param has_landing: Whether syncs load the tables of source-faker into *database*. Without
        them dbt builds only its audit model.
    """
    return {
        "DUCKDB_PATH": str(database),
        "DBT_TARGET": "landed" if has_landing else "audit_only",
        "DBT_TARGET_PATH": str(folder / "dbt-target"),
        "DBT_LOG_PATH": str(folder / "dbt-logs"),
        "DBT_USE_COLORS": "False",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
    }


def connect(airflow: LocalAirflow, airbyte: Airbyte, **extra: object) -> None:
    """
    Create the Airflow connection to Airbyte, and the variable that the example DAGs read.

    :param extra: Extra fields of the connection.
    """
    airflow.api.create_connection(
        "airbyte_sme_default",
        "airbyte_sme",
        host=airbyte.url,
        login=airbyte.client_id,
        password=airbyte.client_secret,
        extra=json.dumps(extra),
    )
    airflow.api.create_variable("airbyte_connection_id", airbyte.connection_id)


def run_dag(airflow: LocalAirflow, dag_id: str, data_plane: ConnectorToDuckDB | None) -> Run:
    """
    Trigger a DAG run, wait for it, and print each task state change.

    :param data_plane: Runs the emulator's syncs; ``None`` with the user's own Airbyte.
    :raises DemoError: The run failed.
    """
    run_id = airflow.api.trigger(dag_id)
    started = time.monotonic()
    reminder = Reminder(say)
    states: dict[str, str | None] = {}

    def report_change(task: TaskInstance) -> None:
        states[task.name] = task.state
        if task.state is not None:
            say(f"{time.monotonic() - started:5.1f} s  {dag_id}.{task.name}: {task.state}")
            reminder.reset()

    def watch() -> None:
        airflow.check_alive()
        seconds = time.monotonic() - started
        begun = [
            f"{name} ({state})" for name, state in states.items() if state not in (None, "success")
        ]
        later = sum(state is None for state in states.values())
        unfinished = ", ".join([*begun, f"{later} not scheduled yet"] if later else begun)
        reminder.remind(f"{seconds:5.1f} s  still waiting for {unfinished}")

    state = airflow.api.wait_for_run(
        dag_id,
        run_id,
        timeout=OWN_AIRBYTE_RUN_TIMEOUT if data_plane is None else EMULATOR_RUN_TIMEOUT,
        on_change=report_change,
        while_waiting=watch,
    )
    tasks = airflow.api.task_instances(dag_id, run_id)
    if state != "success":
        raise DemoError(_explain_failure(airflow, tasks))
    result = airflow.api.xcom(dag_id, run_id, RESULT_TASKS[dag_id])
    if data_plane is None:
        return Run(dag_id, tasks, result)
    job_id = result["job_id"]
    rows = count_rows(data_plane.database, job_id)
    resources = {
        task_id: airflow.api.xcom(dag_id, run_id, task_id)
        for task_id in RESOURCE_TASKS.get(dag_id, ())
    }
    return Run(dag_id, tasks, result, data_plane.emitted[job_id], rows, resources)


def compare_counts(runs: list[Run]) -> None:
    """
    Check that the connector, Airbyte and the database agree on the number of rows.

    :raises DemoError: The counts differ.
    """
    for run in runs:
        synced = run.result["rows_synced"]
        if run.records is None:
            say(f"{run.dag_id}: the task result has rows_synced = {synced}")
            continue
        say(
            f"{run.dag_id}: the connector emitted {run.records} records, the task result has"
            f" rows_synced = {synced}, DuckDB has {run.rows} rows"
        )
        if not run.records == synced == run.rows:
            raise DemoError(f"The three counts of {run.dag_id} differ.")
    if runs[0].records is None:
        say("The demo cannot read your destination: it does not count the rows there, and dbt")
        say("built only its audit model")
    else:
        say("The three counts agree")


def show_results(runs: list[Run], model: str) -> None:
    """Print what was created, the results of the syncs, the tasks, and rows of a dbt model."""
    for run in runs:
        if run.resources:
            say(f"What {run.dag_id} did in Airbyte:")
        for kind, resource in run.resources.items():
            say(f"  {resource['action']} {kind} {resource['name']!r} ({resource[f'{kind}_id']})")
    for run in runs:
        say(f"Result of the task {run.dag_id}.{RESULT_TASKS[run.dag_id]}:")
        say(json.dumps(run.result, indent=2))
    width = max(len(f"{task.dag_id}.{task.name}") for run in runs for task in run.tasks)
    say("Tasks, with their states and durations:")
    for run in runs:
        for task in run.tasks:
            name = f"{task.dag_id}.{task.name}"
            say(f"  {name:{width}}  {task.state}  {task.duration or 0:5.1f} s")
    say(f"First rows of the dbt model {model}, in {_short(DATABASE)}:")
    with open_database(DATABASE, read_only=True) as database:
        say(str(database.sql(f"select * from analytics.{model} limit 5")))


def say(text: str) -> None:
    """Print *text* indented, without buffering."""
    print("\n".join(f"    {line}" for line in text.splitlines()), flush=True)


@contextmanager
def step(number: int, title: str) -> Iterator[None]:
    """Print the heading of a step and, if the step fails, which one it was."""
    print(f"\n==> {number}/6 {title}", flush=True)
    try:
        yield
    except Exception:
        print(f"\nThe demo failed in step {number}/6: {title}.", file=sys.stderr, flush=True)
        raise


def _explain_failure(airflow: LocalAirflow, tasks: list[TaskInstance]) -> str:
    failed = next(task for task in tasks if task.state == "failed")
    tail = log_tail(airflow.api.log(failed))
    return f"The task {failed.dag_id}.{failed.name} failed. Last lines of its log:\n{tail}"


@contextmanager
def _exclusive_demo_folder() -> Iterator[None]:
    """Empty the demo's folder and lock it against a second demo."""
    DEMO.mkdir(exist_ok=True)
    with (DEMO / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"Another demo is already running in {DEMO}.") from None
        for entry in DEMO.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()
        yield


def _announce_stop() -> None:
    # A second Ctrl-C from here on would leave processes running.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    print("\nStopping Airflow", flush=True)


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _short(path: Path) -> str:
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


if __name__ == "__main__":
    main()
