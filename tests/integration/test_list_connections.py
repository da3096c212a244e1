"""The list operator: which connections it returns. A task is mapped in test_handing_over.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import AirbyteConfigError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.operators.resources import AirbyteListConnectionsOperator
from tests.integration.conftest import CONNECTION_NAME
from tests.tasks import TaskRun


@pytest.fixture
def list_run() -> Callable[..., TaskRun]:
    def make(**kwargs: Any) -> TaskRun:
        given = {"workspace": "Analytics", **kwargs}
        return TaskRun(AirbyteListConnectionsOperator(task_id="list", **given))

    return make


@pytest.fixture
def connections(emulator: Emulator) -> dict[str, str]:
    """The ids of connections by name, one of them inactive and one deleted."""
    ids = {CONNECTION_NAME: emulator.connection_id}
    for name, status in (("eu_crm", "active"), ("us_crm", "inactive"), ("gone", "deprecated")):
        ids[name] = emulator.add_connection(name, status=status)
    return ids


def tag(emulator: Emulator, name: str, *connection_ids: str) -> None:
    """Create a tag, as a user in the UI would, and give it to connections besides their others."""
    hook = AirbyteHook()
    new = hook.create_tag({"name": name, "color": "75DCFF", "workspaceId": emulator.workspace_id})
    for connection_id in connection_ids:
        tags = hook.get_airbyte_connection(connection_id).tags
        payload = {"tags": [each.to_json() for each in (*tags, new)]}
        hook.update_airbyte_connection(connection_id, payload)


class TestFilters:
    def test_active_connections_are_returned_sorted(self, connections, list_run, task_log):
        assert list_run().finish() == sorted([connections[CONNECTION_NAME], connections["eu_crm"]])
        log = task_log()
        assert "2 connections: " in log
        assert f"'eu_crm' ({connections['eu_crm']})" in log

    def test_inactive_ones_on_request_but_never_deleted_ones(self, connections, list_run):
        found = list_run(active_only=False).finish()

        assert set(found) == set(connections.values()) - {connections["gone"]}

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("*_crm", ["eu_crm", "us_crm"]),
            ("?u_*", ["eu_crm"]),
            ("[!S]*", ["eu_crm", "us_crm"]),
            ("EU_*", []),
            ("crm", []),
        ],
    )
    def test_the_pattern_is_that_of_fnmatch(self, connections, list_run, pattern, names):
        found = list_run(name_pattern=pattern, active_only=False).finish()

        assert found == sorted(connections[name] for name in names)

    @pytest.mark.parametrize(
        ("tags", "names"),
        [
            (["nightly"], ["eu_crm"]),
            (["nightly", "hourly"], ["eu_crm", CONNECTION_NAME]),
            ("['hourly']", [CONNECTION_NAME]),
            ("hourly", [CONNECTION_NAME]),
            (["unused"], []),
        ],
    )
    def test_one_of_the_tags_is_enough(self, emulator, connections, list_run, tags, names):
        tag(emulator, "nightly", connections["eu_crm"], connections["us_crm"])
        tag(emulator, "hourly", connections[CONNECTION_NAME])
        tag(emulator, "unused")

        assert list_run(tags=tags).finish() == sorted(connections[name] for name in names)

    def test_another_workspace_does_not_count(self, emulator, list_run):
        workspace_id = emulator.add_workspace("Staging")

        assert list_run(workspace="Staging").finish() == []
        assert list_run(workspace=None, workspace_id=workspace_id).finish() == []


class TestErrors:
    def test_an_unknown_tag_is_said_with_those_that_exist(self, emulator, list_run):
        tag(emulator, "nightly")
        tag(emulator, "hourly")

        with pytest.raises(
            AirflowFailException,
            match=r"no tag named 'weekly' or 'yearly': there are 'hourly', 'nightly'\.$",
        ):
            list_run(tags=["weekly", "nightly", "yearly"]).finish()

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"workspace": None}, "One of workspace, workspace_id must be given"),
            ({"workspace_id": "x"}, "One of workspace, workspace_id must be given"),
            ({"tags": []}, "tags must be a list of names"),
            ({"tags": [7]}, "tags must be a list of names"),
            ({"name_pattern": ""}, "name_pattern must be"),
            ({"active_only": "false"}, "active_only must be True or False"),
        ],
    )
    def test_an_argument_is_refused_when_the_dag_is_parsed(self, list_run, given, message):
        with pytest.raises(AirbyteConfigError, match=f"^{message}"):
            list_run(**given)

    @pytest.mark.parametrize("name", ["workspace", "tags", "name_pattern", "airbyte_conn_id"])
    def test_a_template_without_a_value_does_not_mean_all(self, emulator, list_run, name):
        run = list_run(**{name: "{{ none }}"})
        run.render()

        with pytest.raises(AirflowFailException, match=f"^{name} must be"):
            run.finish()

        assert emulator.requests == []


def test_more_than_airflow_maps_is_a_warning(connections, list_run, task_log, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "1")

    assert len(list_run().finish()) == 2
    assert "These are 2 connections, but Airflow maps a task over at most 1" in task_log()
