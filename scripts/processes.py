"""Local processes with a log file each, for the harness of Airflow and the tests of the cluster."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

STOP_TIMEOUT = 20.0
"""Seconds between SIGTERM and SIGKILL; a triggerer alone takes 10 to stop."""

LOG_TAIL_LINES = 30


class ProcessFailedError(Exception):
    """A process failed; the message includes the last lines of its log."""


class LoggedProcess:
    """
    A command as a process, with its own process group and a log file.

    :param name: Name of the process in messages.
    :param command: The command and its arguments.
    :param environment: All environment variables of the process.
    :param log: File that the process's output is appended to.
    :param folder: Working directory; by default that of the caller.
    :param user: User that the process runs as; by default that of the caller.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self._folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._process_tree: list[psutil.Process] = []
        self._log_start = 0

    @property
    def exit_code(self) -> int | None:
        """Exit code if the process has ended by itself, otherwise ``None``."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """Process id, or ``None`` if the process was not started or has been stopped."""
        return None if self._process is None else self._process.pid

    @property
    def output(self) -> str:
        """What the process has written to its log since it was started."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def start(self) -> None:
        """Start the process and append its output to its log."""
        with self._log.open("ab") as output:
            self._log_start = output.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal signals the whole process group. Only the caller should
                # receive it, so that it can stop its processes in order.
                start_new_session=True,
            )

    def run(self) -> None:
        """
        Start the process and wait until it exits.

        :raises ProcessFailedError: The exit code is not 0.
        """
        self.start()
        try:
            if self._process is not None and self._process.wait() != 0:
                raise ProcessFailedError(self.explain("failed"))
        finally:
            self.kill()

    def terminate(self) -> None:
        """Send SIGTERM, as a deployment does to stop a component, and return immediately."""
        if self._process is not None:
            self._process_tree = _process_tree(self._process.pid)
            self._process.terminate()

    def wait_until_stopped(self, timeout: float = STOP_TIMEOUT) -> None:
        """
        Wait for the process to exit after `terminate`, and kill what is left of its process tree.

        :param timeout: Seconds after which the process itself is killed as well.
        """
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
            self.kill()

    def kill(self) -> None:
        """
        SIGKILL the process and all its descendants, as when their node fails.

        That includes descendants whose own parent has died before.
        """
        if self._process is not None:
            kill_processes(lambda: {*self._process_tree, *self.processes()})
            self._process.wait()
            self._process = None
            self._process_tree = []

    def processes(self) -> list[psutil.Process]:
        """Return the process and its living descendants."""
        return [] if self._process is None else _process_tree(self._process.pid)

    def explain(self, what: str) -> str:
        """Return a failure message: *what* happened to the process, and its last log lines."""
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        return f"{self.name} {what}. Last lines of {self._log}:\n{log_tail(log.splitlines())}"


def log_tail(lines: Sequence[str]) -> str:
    """Return the last of a log's lines, indented for a message."""
    return "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:]) or "    (empty)"


def free_port() -> int:
    """Return a loopback port that is currently free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kill_processes(find: Callable[[], Iterable[psutil.Process]]) -> None:
    """
    SIGKILL processes together, so that none sees another one die and acts on it.

    :param find: Returns the processes. It is called again until it finds no further one, because
        a process may start another one before it is stopped.
    """
    stopped: set[psutil.Process] = set()
    while found := set(find()) - stopped:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        stopped |= found
    for process in stopped:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _process_tree(pid: int) -> list[psutil.Process]:
    """Return the processes of a session, with the leader's descendants in other sessions."""
    found = [process for process in psutil.process_iter() if _session(process) == pid]
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(pid)
        found += [leader, *leader.children(recursive=True)]
    return list(dict.fromkeys(found))


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None
