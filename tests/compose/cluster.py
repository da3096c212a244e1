"""Runs the services of docker-compose.yml as local processes on loopback, without containers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Self

from scripts import postgres, redis_server
from scripts.postgres import SEARCH_PATH
from scripts.processes import LoggedProcess, ProcessFailedError, free_port
from tests.compose.composition import Service

START_TIMEOUT = 180.0
"""Seconds for a service to become healthy; the slowest one takes about 20 on two idle cores."""

ADDRESSES = {
    "postgres": 5432,
    "redis": 6379,
    "api-server": 8080,
    "scheduler": 8974,
    "emulator": 8000,
}
"""Service to the port that it listens on in the containers' network."""

PROGRAMS = (*postgres.PROGRAMS, redis_server.PROGRAM, "redis-cli", "curl")


def missing_programs() -> list[str]:
    """Return the programs that the cluster needs and this machine does not have."""
    return [program for program in PROGRAMS if not shutil.which(program, path=SEARCH_PATH)]


class Cluster:
    """
    A context manager that runs the cluster.

    Commands, environments, health checks and start order come from the Compose file. This class
    supplies what a container would have of its own and local processes have to share: ports,
    folders and the address to listen on.

    :param services: The services of the Compose file.
    :param configs: Name to content of the configs in the Compose file.
    :param project: Folder of the Compose file.
    :param folder: Folder for the cluster's files; every user must be able to enter it.
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
        self._processes: dict[str, list[LoggedProcess]] = {}
        self._started: list[tuple[str, ...]] = []

    @property
    def url(self) -> str:
        """Root URL of the Airflow UI and API."""
        return f"http://127.0.0.1:{self._ports['api-server']}"

    def __enter__(self) -> Self:
        try:
            self._prepare_files()
            order = TopologicalSorter(
                {name: service.depends_on for name, service in self._services.items()}
            )
            order.prepare()
            while order.is_active():
                ready = order.get_ready()
                self._started.append(ready)
                for name in ready:
                    self._start(self._services[name])
                for name in sorted(ready, key=self._has_slow_health_check):
                    self._wait_until_ready(self._services[name])
                order.done(*ready)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        """Stop the started services, dependents before their dependencies."""
        for names in reversed(self._started):
            processes = [each for name in names for each in self._processes.get(name, [])]
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait_until_stopped()

    def _has_slow_health_check(self, name: str) -> bool:
        """Whether the health check is not just curl: most of the others start Python."""
        return self._services[name].health_check[:1] != ["curl"]

    def _prepare_files(self) -> None:
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
        """Start all replicas of a service."""
        command = self._localize(service, service.command)
        user = None
        match service.name:
            case "api-server":
                command += ["--host", "127.0.0.1", "--port", self._port(service)]
            case "scheduler" | "triggerer" | "worker":
                # Their log servers would listen on all interfaces.
                command += ["--skip-serve-logs"]
            case "redis":
                command += redis_server.listen_arguments(self._port(service))
            case "postgres":
                user = postgres.system_user()
                command = self._initialize_postgres(service)
        for _ in range(service.replicas):
            process = LoggedProcess(
                service.name,
                command,
                environment=self._environment(service),
                log=self._folder / f"{service.name}.log",
                folder=self._folder,
                user=user,
            )
            process.start()
            self._processes.setdefault(service.name, []).append(process)

    def _wait_until_ready(self, service: Service) -> None:
        """Wait until a service is healthy or, if it has no health check, has exited with 0."""
        deadline = time.monotonic() + START_TIMEOUT
        check = self._localize(service, service.health_check)
        match service.name:
            case "postgres":
                check += ["--host", "127.0.0.1", "--port", self._port(service)]
            case "redis":
                check[1:1] = ["-p", self._port(service)]
        replicas = self._processes[service.name]
        while time.monotonic() < deadline:
            exit_codes = {process.exit_code for process in replicas}
            if not check and exit_codes == {0}:
                return
            if exit_codes != {None}:
                what = f"exited unexpectedly; exit codes of its replicas: {exit_codes}"
                raise ProcessFailedError(replicas[0].explain(what))
            if check and self._passes(service, check):
                return
            time.sleep(0.5)
        raise ProcessFailedError(replicas[0].explain(f"was not ready after {START_TIMEOUT:g} s"))

    def _passes(self, service: Service, check: Sequence[str]) -> bool:
        completed = subprocess.run(
            check, env=self._environment(service), capture_output=True, check=False
        )
        return completed.returncode == 0

    def _initialize_postgres(self, service: Service) -> list[str]:
        """Initialize the database like the image's entry point and return the server command."""
        data = self._folder / "postgres"
        postgres.initialize(
            data,
            owner=service.environment["POSTGRES_USER"],
            password=service.environment["POSTGRES_PASSWORD"],
            database=service.environment["POSTGRES_DB"],
            environment=self._environment(service),
        )
        return postgres.server_command(data, self._port(service))

    def _port(self, service: Service) -> str:
        return str(self._ports[service.name])

    def _environment(self, service: Service) -> dict[str, str]:
        """Return a service's environment: as in a container, nothing is inherited."""
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
                name: self._localize(service, [value])[0]
                for name, value in service.environment.items()
            },
        }

    def _localize(self, service: Service, texts: Sequence[str]) -> list[str]:
        """Replace the containers' addresses and paths with those of this machine."""
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


def _replace_all(text: str, replacements: Mapping[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text
