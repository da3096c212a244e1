"""A small client for Airflow's REST API (`/api/v2`), used by the demo and the system tests."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

T = TypeVar("T")

FINISHED_RUN_STATES = frozenset({"success", "failed"})
FINISHED_TASK_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class AirflowApiError(Exception):
    """
    Airflow returned an error response.

    :param status: HTTP status.
    """

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        self.status = status
        detail = f": {body[:500]}" if body else ""
        super().__init__(f"Airflow rejected {method} {path} with HTTP {status}{detail}")


class AirflowTimeoutError(Exception):
    """Airflow did not reach the expected state in time; the message includes the last one seen."""


@dataclass(frozen=True)
class TaskInstance:
    """A task instance as Airflow's API returns it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    pid: int | None
    hostname: str | None
    triggerer: str | None
    """Host name of the triggerer that waits for the task."""
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> TaskInstance:
        """Parse Airflow's ``TaskInstanceResponse``."""
        return cls(
            dag_id=payload["dag_id"],
            run_id=payload["dag_run_id"],
            task_id=payload["task_id"],
            map_index=payload["map_index"],
            state=payload["state"],
            try_number=payload["try_number"],
            pid=payload["pid"],
            hostname=payload["hostname"] or None,
            triggerer=(payload["triggerer_job"] or {}).get("hostname"),
            started_at=_parse_timestamp(payload["start_date"]),
            ended_at=_parse_timestamp(payload["end_date"]),
        )

    @property
    def name(self) -> str:
        """The task id, followed by the map index for a mapped task."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"

    @property
    def duration(self) -> float | None:
        """Seconds from the first start to the end, deferred time included; ``None`` until then."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


class AirflowApi:
    """
    A client with the actions of a user in the Airflow UI.

    :param url: Root of the API server, without ``/api/v2``.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # The API server listens on loopback: ignore HTTP_PROXY.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
    ) -> Any:
        """
        Send a request to ``/api/v2`` + *path* and decode the JSON response.

        :return: The decoded body; ``None`` for an empty one.
        :raises AirflowApiError: The HTTP status is 400 or above.
        :raises OSError: No response was received.
        """
        path = f"/api/v2{path}"
        if query:
            path += "?" + urllib.parse.urlencode(query)
        try:
            return self._send(method, path, body)
        except AirflowApiError as error:
            if error.status != HTTPStatus.UNAUTHORIZED or "Authorization" in self._headers:
                raise
        # Airflow 3.1 wants a token even where all are admins.
        token = self._send("GET", "/auth/token")["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"
        return self._send(method, path, body)

    def _send(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=self._headers,
        )
        try:
            with self._opener.open(request, timeout=30) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            raise AirflowApiError(
                method, path, error.code, error.read().decode(errors="replace")
            ) from error
        return json.loads(content) if content else None

    def create_connection(self, connection_id: str, conn_type: str, **fields: object) -> None:
        """Create a connection; *fields* are host, port, login, password and extra (JSON text)."""
        body = {"connection_id": connection_id, "conn_type": conn_type, **fields}
        self.request("POST", "/connections", body)

    def create_variable(self, key: str, value: str) -> None:
        """Create an Airflow variable."""
        self.request("POST", "/variables", {"key": key, "value": value})

    def wait_for_dag(self, dag_id: str, timeout: float = 60) -> None:
        """
        Wait until the DAG processor has parsed *dag_id*.

        :param timeout: Seconds.
        :raises AirflowTimeoutError: The DAG did not appear in time; the message includes
            Airflow's import errors.
        """

        def is_parsed() -> bool:
            try:
                self.request("GET", f"/dags/{dag_id}/details")
            except AirflowApiError as error:
                if error.status != 404:
                    raise
                return False
            return True

        try:
            poll(is_parsed, timeout=timeout, what=f"DAG {dag_id}")
        except AirflowTimeoutError as error:
            failures = self.request("GET", "/importErrors")["import_errors"]
            traces = "\n".join(f"{each['filename']}:\n{each['stack_trace']}" for each in failures)
            raise AirflowTimeoutError(f"{error}. Import errors: {traces or 'none'}") from None

    def unpause(self, dag_id: str) -> None:
        """Let *dag_id* run, as the switch in the UI does: Airflow pauses new DAGs."""
        self.request("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a DAG run and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        run_id: str = self.request("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: queued, running, success or failed."""
        state: str = self.request("GET", _run_path(dag_id, run_id))["state"]
        return state

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run as ``success``, ``failed`` or ``queued``, as a user does in the UI."""
        self.request("PATCH", _run_path(dag_id, run_id), {"state": state})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run, as a user does in the UI; Airflow refuses that for a running one."""
        self.request("DELETE", _run_path(dag_id, run_id))

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """
        Return the tasks of a run, ordered by start time, with unstarted ones last.

        No more than Airflow returns at once, by default 100 (``[api] maximum_page_limit``).
        """
        query = {"limit": 1000}
        response = self.request("GET", f"{_run_path(dag_id, run_id)}/taskInstances", query=query)
        tasks = [TaskInstance.from_json(each) for each in response["task_instances"]]
        return sorted(tasks, key=lambda task: (task.started_at is None, task.started_at))

    def task_instance(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1
    ) -> TaskInstance:
        """Return one task instance; -1 is the index of a task that is not mapped."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/{map_index}"
        return TaskInstance.from_json(self.request("GET", path))

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float,
        on_change: Callable[[TaskInstance], None] = lambda task: None,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> str:
        """
        Wait until a run has finished and return its state.

        :param timeout: Seconds.
        :param on_change: Called with a task each time its state or try number changes.
        :param while_waiting: Called a few times a second; an exception from it ends the wait.
        :raises AirflowTimeoutError: The run did not finish in time.
        """
        seen: dict[str, tuple[str | None, int]] = {}

        def finished_state() -> str | None:
            while_waiting()
            # Read the run before its tasks, so that their final states are always reported.
            state = self.run_state(dag_id, run_id)
            for task in self.task_instances(dag_id, run_id):
                current = (task.state, task.try_number)
                if seen.get(task.name) != current:
                    seen[task.name] = current
                    on_change(task)
            return state if state in FINISHED_RUN_STATES else None

        try:
            return poll(finished_state, timeout=timeout, what=f"run {run_id} of {dag_id} to finish")
        except AirflowTimeoutError as error:
            states = {name: state for name, (state, _) in seen.items()}
            raise AirflowTimeoutError(f"{error}. Task states: {states}") from None

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str],
        *,
        timeout: float = 60,
        try_number: int = 1,
        map_index: int = -1,
    ) -> TaskInstance:
        """
        Wait until a task is in one of *states*, on try *try_number* or a later one.

        :param timeout: Seconds.
        :raises AirflowTimeoutError: The task did not reach the state in time, or finished in
            another one.
        """

        def task_in_state() -> TaskInstance | None:
            task = self.task_instance(dag_id, run_id, task_id, map_index)
            if task.try_number < try_number:
                return None
            if task.state in states:
                return task
            if task.state in FINISHED_TASK_STATES:
                raise AirflowTimeoutError(
                    f"{dag_id}.{task_id} ended as {task.state}, expected {sorted(states)}"
                )
            return None

        what = f"{dag_id}.{task_id} to be in {sorted(states)}"
        return poll(task_in_state, timeout=timeout, what=what)

    def xcom(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        key: str = "return_value",
        map_index: int = -1,
    ) -> Any:
        """Return an XCom value; ``None`` if it does not exist."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        query = {"deserialize": "true", "map_index": map_index}
        try:
            return self.request("GET", path, query=query)["value"]
        except AirflowApiError as error:
            if error.status != 404:
                raise
            return None

    def extra_links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str | None]:
        """Return the extra links that the UI shows for a task, as name to URL."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/links"
        links: dict[str, str | None] = self.request("GET", path)["extra_links"]
        return links

    def clear(self, dag_id: str, run_id: str, task_ids: Collection[str]) -> None:
        """Clear tasks of a run, so that they run again."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
        }
        self.request("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task as ``success``, ``failed`` or ``skipped``, as a user does in the UI."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}"
        self.request("PATCH", path, {"new_state": state})

    def log(self, task: TaskInstance) -> list[str]:
        """Return the log lines of a task's current try, including exceptions."""
        path = (
            f"{_run_path(task.dag_id, task.run_id)}/taskInstances/{task.task_id}"
            f"/logs/{task.try_number}"
        )
        query = {"full_content": "true", "map_index": task.map_index}
        lines = []
        for entry in self.request("GET", path, query=query)["content"]:
            lines.append(entry["event"])
            for error in entry.get("error_detail") or ():
                lines.append(f"{error['exc_type']}: {error['exc_value']}")
        return lines


def poll(check: Callable[[], T | None], *, timeout: float, what: str, interval: float = 0.3) -> T:
    """
    Call *check* until it returns a truthy value, and return that value.

    :param timeout: Seconds.
    :param what: What is awaited, for the timeout message, such as "the job to end".
    :param interval: Seconds between two calls.
    :raises AirflowTimeoutError: *check* returned no truthy value in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AirflowTimeoutError(f"timed out after {timeout:g} s waiting for {what}")
        time.sleep(interval)


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}"


def _parse_timestamp(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
