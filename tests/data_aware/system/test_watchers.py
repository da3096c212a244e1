"""DAGs that the triggerer starts when Airbyte has synced, also if the triggerer dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from scripts.airflow_api import poll
from scripts.airflow_harness import LocalAirflow
from tests.data_aware.system.conftest import ALL_CONNECTION, EXAMPLE_CONNECTION, LATEST_CONNECTION
from tests.data_aware.system.observed import (
    MAX_WAIT,
    events_of,
    state_changes,
    upstream_events,
    wait_for_events,
    wait_for_runs,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture
def sync(emulator: Emulator) -> Callable[[str], int]:
    """Run a sync in Airbyte alone, and return its id once it has succeeded."""

    def sync(connection_id: str) -> int:
        emulator.script_job(connection_id, statuses=[("running", None)], rows=7)
        job_id = emulator.start_sync(connection_id)
        emulator.finish_job(job_id)
        return job_id

    return sync


def asset_of(connection_id: str) -> str:
    return f"airbyte_sme/{connection_id}"


def jobs_of(airflow: LocalAirflow, connection_id: str) -> list[int]:
    return [each.payload["job_id"] for each in events_of(airflow.api, asset_of(connection_id))]


def wait_until_noted(airflow: LocalAirflow, connection_id: str, than: str = "") -> str:
    """
    Wait until the watcher of a connection has stored how far it has come.

    :param than: Time of an earlier note, which does not count.
    :return: Time of the note.
    """
    asset = asset_of(connection_id)
    return poll(
        lambda: next((each for each in state_changes(airflow.api, asset) if each > than), None),
        timeout=MAX_WAIT,
        what=f"a note of the watcher of {asset}",
    )


def test_each_sync_in_airbyte_alone_starts_the_dag_once_with_its_job(
    airflow: LocalAirflow, sync: Callable[[str], int]
) -> None:
    wait_until_noted(airflow, EXAMPLE_CONNECTION)
    for number in (1, 2):
        job_id = sync(EXAMPLE_CONNECTION)
        run_id = wait_for_runs(airflow.api, "start_when_airbyte_syncs", number)[-1]

        assert airflow.api.xcom("start_when_airbyte_syncs", run_id, "use_new_data") == [job_id]
        assert upstream_events(airflow.api, "start_when_airbyte_syncs", run_id) == [
            asset_of(EXAMPLE_CONNECTION)
        ]
    assert len(events_of(airflow.api, asset_of(EXAMPLE_CONNECTION))) == 2


def test_what_airbyte_syncs_while_the_triggerer_is_dead_is_caught_up_as_asked(
    airflow: LocalAirflow, sync: Callable[[str], int]
) -> None:
    connections = (LATEST_CONNECTION, ALL_CONNECTION)
    began = {each: wait_until_noted(airflow, each) for each in connections}
    before = {each: sync(each) for each in connections}
    for each in connections:
        wait_for_events(airflow.api, asset_of(each), 1)
        # Until then, it would tell again of what it has told.
        wait_until_noted(airflow, each, than=began[each])

    airflow.kill("triggerer")
    first = {each: sync(each) for each in connections}
    second = {each: sync(each) for each in connections}
    airflow.start("triggerer")
    wait_for_events(airflow.api, asset_of(LATEST_CONNECTION), 2)
    wait_for_events(airflow.api, asset_of(ALL_CONNECTION), 3)
    last = {each: sync(each) for each in connections}
    wait_for_events(airflow.api, asset_of(LATEST_CONNECTION), 3)
    wait_for_events(airflow.api, asset_of(ALL_CONNECTION), 4)

    assert jobs_of(airflow, LATEST_CONNECTION) == [
        each[LATEST_CONNECTION] for each in (before, second, last)
    ]
    assert jobs_of(airflow, ALL_CONNECTION) == [
        each[ALL_CONNECTION] for each in (before, first, second, last)
    ]
    wait_for_runs(airflow.api, "watches_latest", 3)
