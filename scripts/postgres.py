"""A PostgreSQL server on loopback for the time of a test, if its programs are installed."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from scripts.local_server import LocalServer
from scripts.processes import LoggedProcess, free_port

# Debian does not put PostgreSQL's programs on PATH.
SEARCH_PATH = os.pathsep.join(
    [
        str(Path(sys.executable).parent),
        os.environ.get("PATH", os.defpath),
        *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
    ]
)

PROGRAMS = ("initdb", "postgres", "pg_isready")


DRIVERS = ("psycopg2", "asyncpg")


def is_installed() -> bool:
    """Whether PostgreSQL's programs are on this machine, and the drivers that Airflow needs."""
    return all(shutil.which(program, path=SEARCH_PATH) for program in PROGRAMS) and all(
        map(find_spec, DRIVERS)
    )


def system_user() -> str | None:
    """Return the user to run PostgreSQL as: it refuses root; ``None``: the current user will do."""
    return "postgres" if os.geteuid() == 0 else None


def initialize(
    data: Path, *, owner: str, password: str, database: str, environment: Mapping[str, str]
) -> None:
    """
    Create a database cluster with one database, like the entry point of PostgreSQL's image.

    :param data: Folder to create; :func:`system_user` must be able to enter its parent.
    :param owner: The database's superuser.
    """
    user = system_user()
    password_file = data.with_name(f"{data.name}-password")
    data.mkdir()
    password_file.write_text(password)
    if user:
        shutil.chown(data, user)
        shutil.chown(password_file, user)

    def run(*command: str | Path, statement: str = "") -> None:
        subprocess.run(
            command,
            env=environment,
            user=user,
            cwd=data,
            input=statement.encode(),
            check=True,
            capture_output=True,
        )

    run("initdb", "--auth", "scram-sha-256", "--username", owner, "--pwfile", password_file, data)
    run("postgres", "--single", "-D", data, "postgres", statement=f"CREATE DATABASE {database};")


def server_command(data: Path, port: int | str) -> list[str]:
    """Return the command of a server for the cluster in *data*, on loopback only."""
    return ["postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(data)]


class LocalPostgres(LocalServer):
    """
    A context manager that runs a server with an empty database.

    :raises ProcessFailedError: The server does not start.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self._password = secrets.token_hex(16)
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._environment = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}
        self._data = folder / "data"
        process = LoggedProcess(
            "PostgreSQL",
            server_command(self._data, self._port),
            environment=self._environment,
            log=folder / "postgres.log",
            folder=folder,
            user=system_user(),
        )
        super().__init__(process, folder)

    @property
    def url(self) -> str:
        """URL of the database, for ``[database] sql_alchemy_conn``."""
        return f"postgresql+psycopg2://airflow:{self._password}@127.0.0.1:{self._port}/airflow"

    def _start(self) -> None:
        if user := system_user():
            shutil.chown(self._folder, user)
        initialize(
            self._data,
            owner="airflow",
            password=self._password,
            database="airflow",
            environment=self._environment,
        )
        super()._start()

    def _accepts_connections(self) -> bool:
        check = ["pg_isready", "--host", "127.0.0.1", "--port", str(self._port)]
        completed = subprocess.run(check, env=self._environment, capture_output=True, check=False)
        return completed.returncode == 0


@contextmanager
def airflow_settings() -> Iterator[dict[str, str]]:
    """
    Provide the settings of a database for a whole Airflow, as environment variables.

    PostgreSQL if it is installed, else Airflow's own SQLite, which is slow, and at times locked for
    too long.
    """
    if not is_installed():
        yield {}
        return
    with LocalPostgres() as database:
        yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url}
