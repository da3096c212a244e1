"""What a test can see of assets and DAG runs, through Airflow's REST API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from scripts.airflow_api import FINISHED_RUN_STATES, AirflowApi, AirflowApiError, poll

# Seconds. A busy machine takes up to 20 to start a task's process.
MAX_WAIT = 120.0


@dataclass(frozen=True)
class AssetEvent:
    """
    An event of an asset.

    :param extra: What its source has added.
    :param runs: The ids of the DAG runs that have started because of it, as ``dag_id/run_id``.
    """

    id: int
    name: str
    uri: str
    extra: Mapping[str, Any]
    runs: tuple[str, ...]

    @property
    def payload(self) -> Any:
        """The payload of the trigger that has made the event."""
        return self.extra["payload"]


def events_of(api: AirflowApi, name: str) -> list[AssetEvent]:
    """Return the events of the asset *name*, oldest first."""
    found = [event for asset_id in _ids(api, name) for event in _events(api, asset_id)]
    return [
        AssetEvent(
            id=each["id"],
            name=each["name"],
            uri=each["uri"],
            extra=each["extra"],
            runs=tuple(f"{run['dag_id']}/{run['run_id']}" for run in each["created_dagruns"]),
        )
        for each in sorted(found, key=lambda event: event["id"])
    ]


def _events(api: AirflowApi, asset_id: int) -> list[dict[str, Any]]:
    def read() -> dict[str, Any] | None:
        try:
            listed: dict[str, Any] = api.request(
                "GET", "/assets/events", query={"asset_id": asset_id, "limit": 100}
            )
        except AirflowApiError as error:
            # So Airflow 3.3.2 answers while a run that an event has created is queued: it has no
            # start yet, which the response must have.
            if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            return None
        return listed

    events: list[dict[str, Any]] = poll(
        read, timeout=MAX_WAIT, what=f"the events of the asset {asset_id}"
    )["asset_events"]
    return events


def state_changes(api: AirflowApi, name: str) -> list[str]:
    """Return when what is stored of the asset *name* was changed last, as ISO times."""
    return [
        entry["updated_at"]
        for asset_id in _ids(api, name)
        for entry in api.request("GET", f"/assets/{asset_id}/state-store")["asset_state_store"]
    ]


def _ids(api: AirflowApi, name: str) -> list[int]:
    listed = api.request("GET", "/assets", query={"limit": 100})["assets"]
    return [asset["id"] for asset in listed if asset["name"] == name]


def wait_for_events(api: AirflowApi, name: str, count: int) -> list[AssetEvent]:
    """
    Wait until the asset *name* has at least *count* events, and return all.

    :raises AirflowTimeoutError: There were fewer in time.
    """

    def enough() -> list[AssetEvent]:
        events = events_of(api, name)
        return events if len(events) >= count else []

    return poll(enough, timeout=MAX_WAIT, what=f"{count} events of the asset {name}")


def run_ids(api: AirflowApi, dag_id: str) -> list[str]:
    """Return the ids of all runs of a DAG, oldest first."""
    query = {"order_by": "run_after", "limit": 100}
    listed = api.request("GET", f"/dags/{dag_id}/dagRuns", query=query)["dag_runs"]
    return [run["dag_run_id"] for run in listed]


def wait_for_runs(api: AirflowApi, dag_id: str, count: int) -> list[str]:
    """
    Wait until a DAG has at least *count* runs and all have succeeded, and return their ids.

    :raises AirflowTimeoutError: There were fewer in time, or one has failed.
    """

    def enough() -> list[str]:
        ids = run_ids(api, dag_id)
        if len(ids) < count:
            return []
        states = {api.run_state(dag_id, each) for each in ids}
        return ids if states <= FINISHED_RUN_STATES else []

    ids = poll(enough, timeout=MAX_WAIT, what=f"{count} runs of {dag_id} to finish")
    assert {api.run_state(dag_id, each) for each in ids} == {"success"}
    return ids


def upstream_events(api: AirflowApi, dag_id: str, run_id: str) -> list[str]:
    """Return the names of the assets whose events have started a run."""
    path = f"/dags/{dag_id}/dagRuns/{run_id}/upstreamAssetEvents"
    return [each["name"] for each in api.request("GET", path)["asset_events"]]


def queued_events(api: AirflowApi, dag_id: str) -> list[dict[str, Any]]:
    """Return the events of assets that a DAG has not had a run for yet."""
    queued: list[dict[str, Any]] = api.request("GET", f"/dags/{dag_id}/assets/queuedEvents")[
        "queued_events"
    ]
    return queued
