"""A Redis server on loopback for the time of a test, if its program is installed."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from scripts.airflow_api import poll
from scripts.postgres import SEARCH_PATH
from scripts.processes import LoggedProcess, ProcessFailedError, free_port

START_TIMEOUT = 60.0
"""Seconds for the server to accept connections."""

PROGRAM = "redis-server"


def is_installed() -> bool:
    """Whether Redis is on this machine."""
    return shutil.which(PROGRAM, path=SEARCH_PATH) is not None


def listen_arguments(port: int | str) -> Sequence[str]:
    """Return the arguments of a server on loopback only, which keeps nothing on disk."""
    return ("--bind", "127.0.0.1", "--port", str(port), "--save", "")


class LocalRedis:
    """
    A context manager that runs an empty server.

    :raises ProcessFailedError: The server does not start.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self._password = secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._process = LoggedProcess(
            "Redis",
            [PROGRAM, *listen_arguments(self._port), "--requirepass", self._password],
            environment={"PATH": SEARCH_PATH, "LANG": "C.UTF-8"},
            log=self._folder / "redis.log",
            folder=self._folder,
        )

    @property
    def url(self) -> str:
        """URL of a database, for ``[celery] broker_url``."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        try:
            self._process.start()
            poll(self._is_ready, timeout=START_TIMEOUT, what="Redis to accept connections")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _is_ready(self) -> bool:
        if self._process.exit_code is not None:
            raise ProcessFailedError(self._process.explain("exited unexpectedly"))
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait_until_stopped()
        shutil.rmtree(self._folder, ignore_errors=True)
