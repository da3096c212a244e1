"""
Processes of a task that can be killed at any point, without an Airflow.

A parent starts ``python -m tests.mortal`` once. For each line of JSON on stdin it forks a process
that does one step of a task: its start, its trigger, or its resumption. What Airflow would keep is
in two files: ``store`` is the task state store, and ``out`` the outcome of the step, which is
missing if the process has died before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.module_loading import import_string

from tests.tasks import TaskInstance, TaskRun, TaskStateStore

# Seconds that a pause takes at most.
_LONGEST_PAUSE = 0.02


class FileStore(TaskStateStore):
    """
    A task state store in a file, so that it outlasts its process.

    :param die_at: Number of the access before which the process dies, from 0; ``None``: none.
    """

    def __init__(self, path: Path, die_at: int | None) -> None:
        super().__init__()
        self._path = path
        self._left = die_at
        if path.exists():
            self._values = json.loads(path.read_text())

    def get(self, key: str, default: Any = None) -> Any:
        return self._access(lambda: super(FileStore, self).get(key, default))

    def set(self, key: str, value: Any, **kwargs: Any) -> None:
        self._access(lambda: super(FileStore, self).set(key, value, **kwargs))

    def delete(self, key: str) -> None:
        self._access(lambda: super(FileStore, self).delete(key))

    def _access(self, access: Callable[[], Any]) -> Any:
        if self._left is not None:
            if not self._left:
                die()
            self._left -= 1
        found = access()
        write(self._path, self._values)
        return found


def die() -> None:
    """End this process as SIGKILL does."""
    os.kill(os.getpid(), signal.SIGKILL)


def write(path: Path, value: Any) -> None:
    """Write JSON at once or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value))
    part.replace(path)


def do(command: dict[str, Any]) -> dict[str, Any]:
    """Do one step, and return its outcome."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    from tests.tasks import run_trigger

    deferral = command.get("deferral", {})
    trigger = deferral and import_string(deferral["trigger"])(**deferral["arguments"])
    if command["step"] == "trigger":
        return {"event": run_trigger(trigger)}
    task = import_string(command["task"])(task_id="task", **command["arguments"])
    ti = TaskInstance(command["try_number"], max_tries=task.retries)
    run = TaskRun(task, ti, store=FileStore(Path(command["store"]), command["die_at_access"]))
    try:
        if command["step"] == "start":
            result = run.start()
        else:
            run.deferrals.append(
                TaskDeferred(trigger=trigger, method_name=deferral["method"], kwargs={})
            )
            result = run.resume(command["event"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if len(run.deferrals) == (command["step"] == "resume"):
        return {"result": result}
    deferred = run.deferrals[-1]
    path, arguments = deferred.trigger.serialize()
    return {"deferral": {"trigger": path, "arguments": arguments, "method": deferred.method_name}}


def main() -> None:
    """Fork a process for each command, and say its id, then how it ended."""
    # Imported before the fork: each process needs it.
    import airflow_provider_airbyte_sme.api.aiohttp_transport
    import airflow_provider_airbyte_sme.api.requests_transport
    import airflow_provider_airbyte_sme.operators.airbyte  # noqa: F401

    pause = time.sleep
    time.sleep = lambda seconds: pause(min(seconds, _LONGEST_PAUSE))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # tasks log to stdout
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if not pid:
            outcome = do(command)
            if command["dies_at_end"]:
                die()
            write(Path(command["out"]), outcome)
            os._exit(0)
        print(pid, file=out, flush=True)
        os.waitpid(pid, 0)
        print("ended", file=out, flush=True)


if __name__ == "__main__":
    main()
