"""
A real Airflow on this machine: API server, scheduler, dag processor and triggerer as processes.

Everything lives in one folder (SQLite, logs, settings by environment), listens on loopback only,
and is stopped when the context ends, whichever way it ends::

    with LocalAirflow(home=folder, dags_folder=dags, dag_ids=["sync_then_dbt"]) as airflow:
        run_id = airflow.api.trigger("sync_then_dbt")
        airflow.api.wait_for_run("sync_then_dbt", run_id, timeout=120)
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import psutil

from scripts.airflow_api import AirflowApi, AirflowApiError, AirflowTimeoutError, poll

START_TIMEOUT = 180.0
"""Seconds for all components to become healthy; about 20 on two idle cores."""

STOP_TIMEOUT = 20.0
"""Seconds that a component has between SIGTERM and SIGKILL; a triggerer takes 10 on its own."""

END_TIMEOUT = 5.0
"""The same at the end, when nobody needs the rest."""

LOG_TAIL_LINES = 30

HEARTBEAT_KEYS = {
    "scheduler": "latest_scheduler_heartbeat",
    "dag-processor": "latest_dag_processor_heartbeat",
    "triggerer": "latest_triggerer_heartbeat",
}
"""Component to its heartbeat in the health report; the API server has none, it answers or not."""


class AirflowProcessError(Exception):
    """A process of Airflow failed; the message has the last lines of its log."""


class AirflowProcess:
    """
    One ``airflow`` command as a process, with a log file of its own.

    :param name: Name for messages and for the log file.
    :param arguments: Arguments of ``python -m airflow``.
    """

    def __init__(
        self, name: str, arguments: Iterable[str], *, environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", "airflow", *arguments]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._family: list[psutil.Process] = []

    @property
    def pid(self) -> int | None:
        """Pid of the main process, ``None`` when it was not started or has been stopped."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code of a process that ended by itself, ``None`` of one that runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process; what it prints is appended to its log."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal goes to the whole group: only the harness shall get it, and
                # stop the components in order.
                start_new_session=True,
            )

    def run(self) -> None:
        """
        Run the process to its end.

        :raises AirflowProcessError: Its exit code is not 0.
        """
        self.start()
        try:
            if self._process is not None and self._process.wait() != 0:
                raise AirflowProcessError(self.explain("failed"))
        finally:
            self.kill()

    def send_stop(self) -> None:
        """Send SIGTERM, as a deployment stops a component, and return at once."""
        if self._process is not None:
            self._family = _family(self._process.pid)
            self._process.terminate()

    def await_stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Wait for the end after `send_stop`; what is left after *timeout* seconds is killed."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
            self.kill()

    def kill(self) -> None:
        """SIGKILL the process and all that it started, as a node that dies does."""
        if self._process is not None:
            for member in {*self._family, *_family(self._process.pid)}:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            self._process.wait()
            self._process = None
            self._family = []

    def explain(self, what: str) -> str:
        """Text for a failure: *what* happened to this process, and the last lines of its log."""
        return f"Airflow's {self.name} {what}. Last lines of {self.log}:\n{log_tail(self.log)}"


class LocalAirflow:
    """
    Airflow's components on loopback, as a context manager.

    :param home: ``AIRFLOW_HOME``; an existing folder of this Airflow's own.
    :param dags_folder: Folder of the DAG files.
    :param dag_ids: DAGs that must have been read before the context begins.
    :param environment: More environment variables of every component, ``AIRFLOW__SECTION__KEY``
        included.
    :param report: Gets one line of progress at a time.
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
        # --skip-serve-logs: their log servers would listen on all interfaces.
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
            self._report(f"database migrated ({time.monotonic() - started:.0f} s)")
            self._start(self.components)
            for dag_id in self._dag_ids:
                self.api.wait_for_dag(dag_id)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def check_alive(self) -> None:
        """
        Make sure that no component has ended by itself.

        :raises AirflowProcessError: One has; the message has the last lines of its log.
        """
        for component in self.components.values():
            if component.exit_code is not None:
                raise AirflowProcessError(component.explain(f"ended with {component.exit_code}"))

    def start(self, *names: str) -> None:
        """Start components that were stopped or killed; returns when they are healthy."""
        self._start(names)

    def stop(self, name: str) -> None:
        """Stop a component as a deployment does."""
        self.components[name].send_stop()
        self.components[name].await_stop()

    def kill(self, name: str) -> None:
        """Kill a component with its children, without a chance to clean up."""
        self.components[name].kill()

    def _process(self, *arguments: str) -> AirflowProcess:
        name = arguments[0]
        return AirflowProcess(
            name, arguments, environment=self.environment, log=self._logs / f"{name}.log"
        )

    def _start(self, names: Collection[str]) -> None:
        started = datetime.now(UTC)
        for name in names:
            self.components[name].start()
        waiting = list(names)
        self._report(f"starting {', '.join(waiting)}")
        reminder = Reminder(self._report)

        def all_healthy() -> bool:
            self.check_alive()
            reminder.remind(f"waiting for {', '.join(waiting)}")
            for name in self._healthy(since=started).intersection(waiting):
                waiting.remove(name)
                seconds = (datetime.now(UTC) - started).total_seconds()
                self._report(f"{name} is healthy ({seconds:.0f} s)")
            return not waiting

        try:
            poll(all_healthy, timeout=START_TIMEOUT, what="a healthy Airflow", interval=0.5)
        except AirflowTimeoutError as error:
            explanation = self.components[waiting[0]].explain("is not healthy")
            raise AirflowProcessError(f"{error}. {explanation}") from None

    def _healthy(self, since: datetime) -> set[str]:
        """Names of the components with a good report that is not from before *since*."""
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
        # The API server goes last: tasks and triggers report to it while they stop.
        api_server = self.components["api-server"]
        others = [each for each in self.components.values() if each is not api_server]
        for group in (others, [api_server]):
            for component in group:
                component.send_stop()
            for component in group:
                component.await_stop(END_TIMEOUT)


class Reminder:
    """
    Tells people that a wait goes on, now and then.

    :param report: Gets the line.
    :param interval: Seconds without a line before the next one.
    """

    def __init__(self, report: Callable[[str], None], interval: float = 10.0) -> None:
        self._report = report
        self._interval = interval
        self._last = time.monotonic()

    def reset(self) -> None:
        """Start the interval anew: something else has been said."""
        self._last = time.monotonic()

    def remind(self, text: str) -> None:
        """Report *text* if nothing has been said for the interval."""
        if time.monotonic() - self._last >= self._interval:
            self._report(text)
            self.reset()


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last *lines* of a log file, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty)"


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _inherited_environment() -> dict[str, str]:
    """Return this process's environment without the settings of another Airflow."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "PYTEST_"))
    }
    # Tasks call the tools of this virtual environment by name (dbt).
    inherited["PATH"] = os.pathsep.join(
        (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    )
    # Whatever the proxy of this machine is, loopback is not reached through it.
    for name in ("NO_PROXY", "no_proxy"):
        inherited[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))
    return inherited


def _settings(home: Path, dags_folder: Path, url: str) -> dict[str, str]:
    settings = {
        "CORE__DAGS_FOLDER": str(dags_folder),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "8",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
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
        # Seconds, 5 by default, until Airflow notices that a task's process has ended. Where a
        # deferral of less is resumed before that, Airflow 3.3.2 takes the end of the process for
        # the end of the resumed task, and fails it: "finished with state success, but the task
        # instance's state attribute is queued".
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }
    return {
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }
