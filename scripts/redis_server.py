"""A Redis server on loopback for the time of a test, if its program is installed."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scripts.local_server import LocalServer
from scripts.postgres import SEARCH_PATH
from scripts.processes import LoggedProcess, free_port

PROGRAM = "redis-server"


def is_installed() -> bool:
    """Whether Redis is on this machine."""
    return shutil.which(PROGRAM, path=SEARCH_PATH) is not None


def listen_arguments(port: int | str) -> Sequence[str]:
    """Return the arguments of a server on loopback only, which keeps nothing on disk."""
    return ("--bind", "127.0.0.1", "--port", str(port), "--save", "")


class LocalRedis(LocalServer):
    """
    A context manager that runs an empty server.

    :raises ProcessFailedError: The server does not start.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self._password = secrets.token_hex(16)
        folder = Path(tempfile.mkdtemp(prefix="redis-"))
        process = LoggedProcess(
            "Redis",
            [PROGRAM, *listen_arguments(self._port), "--requirepass", self._password],
            environment={"PATH": SEARCH_PATH, "LANG": "C.UTF-8"},
            log=folder / "redis.log",
            folder=folder,
        )
        super().__init__(process, folder)

    @property
    def url(self) -> str:
        """URL of a database, for ``[celery] broker_url``."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def _accepts_connections(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False
