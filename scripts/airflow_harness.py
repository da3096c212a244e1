"""
A real Airflow on this machine: API server, scheduler, DAG processor and triggerer as processes.

It keeps its SQLite database and logs in one folder, takes its configuration from environment
variables, and listens on loopback only. Leaving the context always stops it::

    with LocalAirflow(home=folder, dags_folder=dags, dag_ids=["sync_then_dbt"]) as airflow:
        run_id = airflow.api.trigger("sync_then_dbt")
        airflow.api.wait_for_run("sync_then_dbt", run_id, timeout=120)
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from scripts.airflow_api import AirflowApi, AirflowApiError, AirflowTimeoutError, poll
from scripts.processes import LoggedProcess, ProcessFailedError, free_port

START_TIMEOUT = 180.0
"""Seconds for all components to become healthy; it takes about 20 on two idle cores."""

EXIT_STOP_TIMEOUT = 5.0
"""The same as `STOP_TIMEOUT`, when the context ends: a clean stop no longer matters then."""

HEARTBEAT_KEYS = {
    "scheduler": "latest_scheduler_heartbeat",
    "dag-processor": "latest_dag_processor_heartbeat",
    "triggerer": "latest_triggerer_heartbeat",
}
"""Component to its key in the health report. The API server has none: its response is enough."""


class LocalAirflow:
    """
    A context manager that runs Airflow's components on loopback.

    :param home: ``AIRFLOW_HOME``; an existing folder that nothing else uses.
    :param dags_folder: Folder of the DAG files.
    :param dag_ids: DAGs that are parsed and not paused when the context is entered. All others
        start paused, so that none runs on its schedule.
    :param environment: Additional environment variables for every component, such as
        ``AIRFLOW__SECTION__KEY``.
    :param report: Called with one line of progress at a time.
    """

    def __init__(
        self,
        *,
        home: Path,
        dags_folder: Path,
        dag_ids: Collection[str] = (),
        environment: Mapping[str, str] | None = None,
        report: Callable[[str], None] = print,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.api = AirflowApi(self.url)
        self.environment = {
            **_inherited_environment(),
            **_settings(home, dags_folder, self.url),
            **(environment or {}),
        }
        self._logs = home / "component-logs"
        self._dag_ids = dag_ids
        self._report = report
        # --skip-serve-logs: the log servers would listen on all interfaces.
        self.components = {
            "api-server": self._process(
                "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"
            ),
            "scheduler": self._process("scheduler", "--skip-serve-logs"),
            "dag-processor": self._process("dag-processor"),
            "triggerer": self._process("triggerer", "--skip-serve-logs"),
        }

    def __enter__(self) -> Self:
        try:
            self._logs.mkdir()
            started = time.monotonic()
            self._process("db", "migrate").run()
            self._report(f"Migrated the database ({time.monotonic() - started:.0f} s)")
            self._start(self.components)
            for dag_id in self._dag_ids:
                self.api.wait_for_dag(dag_id)
                self.api.unpause(dag_id)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def check_alive(self) -> None:
        """
        Check that no component has ended by itself.

        :raises ProcessFailedError: A component has ended; the message includes the last lines of
            its log.
        """
        for component in self.components.values():
            if component.exit_code is not None:
                what = f"exited unexpectedly with code {component.exit_code}"
                raise ProcessFailedError(component.explain(what))

    def start(self, *names: str) -> None:
        """Start components that were stopped or killed, and wait until they are healthy."""
        self._start(names)

    def stop(self, name: str) -> None:
        """Stop a component gracefully, as a deployment does."""
        self.components[name].terminate()
        self.components[name].wait_until_stopped()

    def kill(self, name: str) -> None:
        """Kill a component and its child processes, without letting them clean up."""
        self.components[name].kill()

    def _process(
        self, *arguments: str, name: str = "", environment: Mapping[str, str] | None = None
    ) -> LoggedProcess:
        """
        Return an ``airflow`` command as a process.

        :param name: Name in messages and of the log; by default the first argument.
        :param environment: Environment variables of this process only.
        """
        name = name or arguments[0]
        return LoggedProcess(
            f"Airflow's {name}",
            [sys.executable, "-m", "airflow", *arguments],
            environment={**self.environment, **(environment or {})},
            log=self._logs / f"{name}.log",
        )

    def _start(self, names: Collection[str]) -> None:
        started = datetime.now(UTC)
        for name in names:
            self.components[name].start()
        waiting = list(names)
        self._report(f"Starting {', '.join(waiting)}")
        reminder = Reminder(self._report)

        def all_healthy() -> bool:
            self.check_alive()
            reminder.remind(f"Still waiting for {', '.join(waiting)}")
            for name in self._healthy(since=started).intersection(waiting):
                waiting.remove(name)
                seconds = (datetime.now(UTC) - started).total_seconds()
                self._report(f"{name} is healthy ({seconds:.0f} s)")
            return not waiting

        try:
            poll(all_healthy, timeout=START_TIMEOUT, what="Airflow to become healthy", interval=0.5)
        except AirflowTimeoutError as error:
            explanation = self.components[waiting[0]].explain("did not become healthy")
            raise ProcessFailedError(f"{error}. {explanation}") from None

    def _healthy(self, since: datetime) -> set[str]:
        """Return the names of the components that have been healthy at or after *since*."""
        try:
            report = self.api.request("GET", "/monitor/health")
        except (OSError, AirflowApiError):
            return set()
        healthy = {"api-server"}
        for name, heartbeat_key in HEARTBEAT_KEYS.items():
            part = report[name.replace("-", "_")] or {}
            beat = part.get(heartbeat_key)
            if part.get("status") == "healthy" and beat and datetime.fromisoformat(beat) >= since:
                healthy.add(name)
        return healthy

    def _stop(self) -> None:
        # Stop the API server last: tasks and triggers report to it while they shut down.
        api_server = self.components["api-server"]
        others = [each for each in self.components.values() if each is not api_server]
        for group in (others, [api_server]):
            for component in group:
                component.terminate()
            for component in group:
                component.wait_until_stopped(EXIT_STOP_TIMEOUT)


class Reminder:
    """
    Reports periodically that a wait is still going on.

    :param report: Called with the line to print.
    :param interval: Seconds without output after which a reminder is due.
    """

    def __init__(self, report: Callable[[str], None], interval: float = 10.0) -> None:
        self._report = report
        self._interval = interval
        self._last = time.monotonic()

    def reset(self) -> None:
        """Restart the interval, after other output."""
        self._last = time.monotonic()

    def remind(self, text: str) -> None:
        """Report *text* if there has been no output for the interval."""
        if time.monotonic() - self._last >= self._interval:
            self._report(text)
            self.reset()


def dag_bundles(*folders: Path) -> str:
    """Return the value of ``[dag_processor] dag_bundle_config_list`` for folders of DAG files."""
    return json.dumps(
        [
            {
                "name": folder.name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(folder)},
            }
            for folder in folders
        ]
    )


def _inherited_environment() -> dict[str, str]:
    """Return this process's environment, without variables that configure another Airflow."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "PYTEST_"))
    }
    # Tasks run tools of this virtual environment, such as dbt, by name.
    inherited["PATH"] = os.pathsep.join(
        (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    )
    # Never use a proxy for loopback.
    for name in ("NO_PROXY", "no_proxy"):
        inherited[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))
    return inherited


def _settings(home: Path, dags_folder: Path, url: str) -> dict[str, str]:
    settings = {
        "CORE__DAGS_FOLDER": str(dags_folder),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "8",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "API__BASE_URL": url,
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }
