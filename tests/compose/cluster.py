"""The services of docker-compose.yml as plain processes of this machine, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Self

from scripts.airflow_harness import free_port, log_tail
from tests.compose.composition import Service

START_TIMEOUT = 180.0
"""Seconds for a service to become healthy; the slowest takes about 20 on two idle cores."""

STOP_TIMEOUT = 20.0
"""Seconds between SIGTERM and SIGKILL."""

ADDRESSES = {
    "postgres": 5432,
    "redis": 6379,
    "api-server": 8080,
    "scheduler": 8974,
    "emulator": 8000,
}
"""Service and the port that it listens on, in the network of the containers."""

# The image has the programs of its Python on the path. Debian keeps those of PostgreSQL off it.
SEARCH_PATH = os.pathsep.join(
    [
        str(Path(sys.executable).parent),
        os.environ.get("PATH", os.defpath),
        *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
    ]
)

PROGRAMS = ("initdb", "postgres", "pg_isready", "redis-server", "redis-cli", "curl")


def missing_programs() -> list[str]:
    """Name what this machine lacks to run the cluster."""
    return [program for program in PROGRAMS if not shutil.which(program, path=SEARCH_PATH)]


class ClusterError(Exception):
    """A service failed; the message has the last lines of its log."""


class Cluster:
    """
    The cluster, from the start of the first service to the end of the last one.

    Commands, environments, health checks and the order of things are those of the Compose file.
    Added is what a container has for itself, and what the processes of one machine have to share
    out: ports, folders, and the address to listen on.

    :param services: As read from the file.
    :param configs: Name and content of each config of the file.
    :param project: Folder of the Compose file.
    :param folder: Where the cluster keeps its files; any user must be able to enter it.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        configs: Mapping[str, str],
        *,
        project: Path,
        folder: Path,
    ) -> None:
        self._services = services
        self._configs = configs
        self._project = project
        self._folder = folder
        self._ports = {name: free_port() for name in ADDRESSES}
        self._processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._started: list[tuple[str, ...]] = []

    @property
    def url(self) -> str:
        """Root of the Airflow UI and API."""
        return f"http://127.0.0.1:{self._ports['api-server']}"

    def __enter__(self) -> Self:
        try:
            self._lay_out_files()
            order = TopologicalSorter(
                {name: service.depends_on for name, service in self._services.items()}
            )
            order.prepare()
            while order.is_active():
                ready = order.get_ready()
                self._started.append(ready)
                for name in ready:
                    self._start(self._services[name])
                for name in sorted(ready, key=self._check_is_costly):
                    self._await_condition(self._services[name])
                order.done(*ready)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        """Stop what was started, and what others depend on after those."""
        for names in reversed(self._started):
            processes = [each for name in names for each in self._processes.get(name, [])]
            for process in processes:
                process.terminate()
            for process in processes:
                await_end(process)

    def _check_is_costly(self, name: str) -> bool:
        """Whether a health check starts a Python of its own: better done when the rest is up."""
        return self._services[name].health_check[:1] != ["curl"]

    def _lay_out_files(self) -> None:
        for name, content in self._configs.items():
            (self._folder / name).write_text(content)
        for service in self._services.values():
            for volume in service.definition.get("volumes", []):
                source, target = volume.split(":")[:2]
                link = self._home / Path(target).name
                if source.startswith("./") and not link.exists():
                    self._home.mkdir(exist_ok=True)
                    link.symlink_to(self._project / source)

    @property
    def _home(self) -> Path:
        return self._folder / "airflow"

    def _start(self, service: Service) -> None:
        """Start the replicas of a service."""
        command = self._here(service, service.command)
        user = None
        match service.name:
            case "api-server":
                command += ["--host", "127.0.0.1", "--port", self._port(service)]
            case "scheduler" | "triggerer" | "worker":
                # Their log servers would listen on every address.
                command += ["--skip-serve-logs"]
            case "redis":
                command += ["--bind", "127.0.0.1", "--port", self._port(service), "--save", ""]
            case "postgres":
                user = "postgres" if os.geteuid() == 0 else None
                command = self._initialize_postgres(service, user)
        for _ in range(service.replicas):
            with self._log(service).open("ab") as log:
                process = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=self._environment(service),
                    user=user,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._processes.setdefault(service.name, []).append(process)

    def _await_condition(self, service: Service) -> None:
        """Wait for what the services after this one depend on: its health, or its success."""
        deadline = time.monotonic() + START_TIMEOUT
        check = self._here(service, service.health_check)
        match service.name:
            case "postgres":
                check += ["--host", "127.0.0.1", "--port", self._port(service)]
            case "redis":
                check[1:1] = ["-p", self._port(service)]
        while time.monotonic() < deadline:
            exit_codes = {process.poll() for process in self._processes[service.name]}
            if not check and exit_codes == {0}:
                return
            if exit_codes != {None}:
                raise ClusterError(self._explain(service, f"ended with {exit_codes}"))
            if check and self._succeeds(service, check):
                return
            time.sleep(0.5)
        raise ClusterError(self._explain(service, f"was not ready in {START_TIMEOUT:g} s"))

    def _succeeds(self, service: Service, check: Sequence[str]) -> bool:
        checked = subprocess.run(
            check, env=self._environment(service), capture_output=True, check=False
        )
        return checked.returncode == 0

    def _initialize_postgres(self, service: Service, user: str | None) -> list[str]:
        """Do what the image's entry point does at the first start, and return its command."""
        data = self._folder / "postgres"
        password = self._folder / "postgres-password"
        data.mkdir()
        password.write_text(service.environment["POSTGRES_PASSWORD"])
        if user:
            shutil.chown(data, user)
            shutil.chown(password, user)

        def run(*command: str | Path, statement: str = "") -> None:
            subprocess.run(
                command,
                env=self._environment(service),
                user=user,
                cwd=data,
                input=statement.encode(),
                check=True,
                capture_output=True,
            )

        owner = service.environment["POSTGRES_USER"]
        run("initdb", "--auth", "scram-sha-256", "--username", owner, "--pwfile", password, data)
        database = service.environment["POSTGRES_DB"]
        run(
            "postgres", "--single", "-D", data, "postgres", statement=f"CREATE DATABASE {database};"
        )
        listen = ["-h", "127.0.0.1", "-p", self._port(service), "-k", str(data)]
        return ["postgres", "-D", str(data), *listen]

    def _port(self, service: Service) -> str:
        return str(self._ports[service.name])

    def _environment(self, service: Service) -> dict[str, str]:
        """Nothing of this process's own environment gets in, as nothing does in a container."""
        return {
            "PATH": SEARCH_PATH,
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "HOSTNAME": socket.gethostname(),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self._ports["scheduler"]),
            **{
                name: self._here(service, [value])[0] for name, value in service.environment.items()
            },
        }

    def _here(self, service: Service, texts: Sequence[str]) -> list[str]:
        """Put this machine's addresses and paths in the place of those in the containers."""
        replacements = {
            **{
                f"{name}:{ADDRESSES[name]}": f"127.0.0.1:{port}"
                for name, port in self._ports.items()
            },
            **{
                each["target"]: str(self._folder / each["source"])
                for each in service.definition.get("configs", [])
            },
            "0.0.0.0": "127.0.0.1",
        }
        if service.name in self._ports:
            port = str(ADDRESSES[service.name])
            replacements[f"localhost:{port}"] = f"127.0.0.1:{self._port(service)}"
            texts = [self._port(service) if text == port else text for text in texts]
        return [_replace_all(text, replacements) for text in texts]

    def _log(self, service: Service) -> Path:
        return self._folder / f"{service.name}.log"

    def _explain(self, service: Service, what: str) -> str:
        return f"{service.name} {what}. Last lines of its log:\n{log_tail(self._log(service))}"


def await_end(process: subprocess.Popen[Any]) -> None:
    """Wait for the end of a process that was told to stop, and kill what is left of its group."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _replace_all(text: str, replacements: Mapping[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text
