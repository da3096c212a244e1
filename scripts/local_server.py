"""A server on loopback for the time of a test."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from scripts.airflow_api import poll
from scripts.processes import LoggedProcess, ProcessFailedError

START_TIMEOUT = 60.0
"""Seconds for a server to accept connections."""


class LocalServer(ABC):
    """
    A context manager that runs a server.

    :param process: The process of the server, which is not started yet.
    :param folder: What the server writes to; deleted at the end.
    :raises ProcessFailedError: The server does not start.
    """

    def __init__(self, process: LoggedProcess, folder: Path) -> None:
        self._process = process
        self._folder = folder

    def __enter__(self) -> Self:
        try:
            self._start()
            what = f"{self._process.name} to accept connections"
            poll(self._is_ready, timeout=START_TIMEOUT, what=what)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _is_ready(self) -> bool:
        if self._process.exit_code is not None:
            raise ProcessFailedError(self._process.explain("exited unexpectedly"))
        return self._accepts_connections()

    def _start(self) -> None:
        self._process.start()

    @abstractmethod
    def _accepts_connections(self) -> bool:
        """Whether it can be used."""

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait_until_stopped()
        shutil.rmtree(self._folder, ignore_errors=True)
