"""A connection by its name and workspace instead of its UUID."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_airbyte_sme.api import AirbyteAmbiguousNameError, AirbyteConfigError
from airflow_provider_airbyte_sme.operators.airbyte import (
    AirbyteClearOperator,
    AirbyteRefreshOperator,
    AirbyteTriggerSyncOperator,
)
from tests.integration.conftest import CONNECTION_NAME, request_count
from tests.integration.test_kill import LIST, TaskProcess, process  # noqa: F401  # a fixture
from tests.integration.test_trigger_sync_operator import TRY_AGAIN_LATER, _on_first_read
from tests.tasks import TaskRun, run_trigger

WORKSPACE = "Analytics"
LIST_WORKSPACES = "GET /workspaces"
LIST_CONNECTIONS = "GET /connections"


@pytest.fixture
def named_run(sync_run: Callable[..., TaskRun]) -> Callable[..., TaskRun]:
    """Create a run of the sync operator for the emulator's connection, by name."""

    def make(**kwargs: Any) -> TaskRun:
        given = {"connection_name": CONNECTION_NAME, "workspace": WORKSPACE, **kwargs}
        return sync_run(connection_id=None, **given)

    return make


@pytest.mark.parametrize(
    ("operator_class", "kwargs"),
    [
        (AirbyteTriggerSyncOperator, {}),
        (AirbyteClearOperator, {"confirm": True}),
        (AirbyteRefreshOperator, {"streams": ["users"]}),
    ],
)
@pytest.mark.parametrize("by_id", [False, True], ids=["workspace", "workspace_id"])
def test_the_task_works_on_the_connection_of_this_name(
    emulator, operator_run, deferrable, operator_class, kwargs, by_id
):
    emulator.add_connection("Another")
    way = {"workspace_id": emulator.workspace_id} if by_id else {"workspace": WORKSPACE}
    run = operator_run(
        operator_class,
        connection_id=None,
        connection_name=CONNECTION_NAME,
        deferrable=deferrable,
        **way,
        **kwargs,
    )

    result = run.finish()

    assert result["connection_id"] == emulator.connection_id
    assert run.ti.xcoms["connection_id"] == emulator.connection_id
    assert request_count(emulator, LIST_CONNECTIONS) == 1
    assert request_count(emulator, LIST_WORKSPACES) == int(not by_id)


def test_a_connection_of_the_same_name_in_another_workspace_does_not_count(emulator, named_run):
    other = emulator.add_workspace("Staging")
    source = emulator.add_source("Sample data", workspace_id=other)
    destination = emulator.add_destination("Warehouse", workspace_id=other)
    elsewhere = emulator.add_connection(
        CONNECTION_NAME, source_id=source, destination_id=destination
    )

    assert named_run().finish()["connection_id"] == emulator.connection_id
    assert named_run(workspace="Staging").finish()["connection_id"] == elsewhere


class TestOneLookUp:
    def test_a_resumed_task_uses_the_connection_of_the_job(self, emulator, named_run, running_job):
        """On_running is wait, so that the task is resumed before it starts its own job."""
        run = named_run(deferrable=True)
        run.start()
        emulator.finish_job(running_job)
        event = run_trigger(run.deferrals[0].trigger)
        fresh = named_run(deferrable=True)  # Airflow makes a new task
        fresh.deferrals = run.deferrals
        fresh.resume(event)

        result = fresh.resume(run_trigger(fresh.deferrals[-1].trigger))

        assert result["connection_id"] == emulator.connection_id
        assert len(emulator.jobs) == 2
        assert request_count(emulator, LIST_CONNECTIONS) == 1
        assert request_count(emulator, LIST_WORKSPACES) == 1

    def test_a_task_that_pauses_uses_the_connection_that_it_found(self, emulator, named_run):
        emulator.fail_next("POST /jobs", 409, body=TRY_AGAIN_LATER)
        run = named_run(deferrable=True)
        run.start()
        fresh = named_run(deferrable=True)
        fresh.deferrals = run.deferrals

        fresh.resume(run_trigger(run.deferrals[0].trigger))

        assert len(emulator.jobs) == 1
        assert request_count(emulator, LIST_CONNECTIONS) == 1

    def test_a_blocking_task_looks_once_for_several_attempts(
        self, emulator, named_run, running_job
    ):
        with _on_first_read(emulator, lambda: emulator.finish_job(running_job)):
            named_run().finish()

        assert request_count(emulator, "POST /jobs") == 2
        assert request_count(emulator, LIST_CONNECTIONS) == 1


class TestNotFound:
    def test_the_closest_names_are_said(self, emulator, named_run, deferrable):
        emulator.add_connection("CRM to Lake")

        with pytest.raises(
            AirflowFailException,
            match=r"no connection named 'crm to lak': the closest names are 'CRM to Lake'\.$",
        ):
            named_run(connection_name="crm to lak", deferrable=deferrable).finish()

        assert emulator.jobs == {}

    def test_without_a_close_one_some_are_said(self, named_run):
        with pytest.raises(AirflowFailException, match=rf"'x': there are '{CONNECTION_NAME}'\.$"):
            named_run(connection_name="x").finish()

    def test_a_deleted_one_never_matches(self, emulator, named_run):
        emulator.set_connection_status(emulator.connection_id, "deprecated")

        with pytest.raises(AirflowFailException, match=r"no connection named .*: there is none\.$"):
            named_run().finish()

    def test_an_unknown_workspace_is_said_with_the_closest(self, named_run):
        with pytest.raises(
            AirflowFailException, match=r"workspace named 'Analytic': .* 'Analytics'\.$"
        ):
            named_run(workspace="Analytic").finish()


@pytest.mark.parametrize("what", ["connection", "workspace"])
def test_a_name_of_several_is_an_error_with_their_ids(emulator, named_run, deferrable, what):
    if what == "connection":
        ids = [emulator.connection_id, emulator.add_connection(CONNECTION_NAME)]
    else:
        ids = [emulator.workspace_id, emulator.add_workspace(WORKSPACE)]

    with pytest.raises(AirflowFailException) as failure:
        named_run(deferrable=deferrable).finish()

    assert isinstance(failure.value.__cause__, AirbyteAmbiguousNameError)
    assert all(each in str(failure.value) for each in ids)
    assert emulator.jobs == {}


class TestParameters:
    @pytest.mark.parametrize(
        ("given", "names"),
        [
            ({}, "connection_id, connection_name"),
            ({"connection_id": "x", "connection_name": "y"}, "connection_id, connection_name"),
            ({"connection_name": "y"}, "workspace, workspace_id"),
            (
                {"connection_name": "y", "workspace": "a", "workspace_id": "b"},
                "workspace, workspace_id",
            ),
        ],
    )
    def test_exactly_one_way_is_given_when_the_dag_is_parsed(self, sync_run, given, names):
        with pytest.raises(AirbyteConfigError, match=f"^One of {names} must be given, but"):
            sync_run(**{"connection_id": None, **given})

    @pytest.mark.parametrize(
        ("connection_id", "connection_name"),
        [("{{ none }}", f"{{{{ '{CONNECTION_NAME}' }}}}"), ("{{ '' }}", CONNECTION_NAME)],
    )
    def test_of_several_templates_one_may_be_empty(
        self, emulator, sync_run, deferrable, connection_id, connection_name
    ):
        run = sync_run(
            connection_id=connection_id,
            connection_name=connection_name,
            workspace="{{ 'Analytics' }}",
            deferrable=deferrable,
        )
        run.render()

        assert run.finish()["connection_id"] == emulator.connection_id

    @pytest.mark.parametrize("name", ["connection_name", "workspace", "workspace_id"])
    @pytest.mark.parametrize("value", ["{{ none }}", "{{ '' }}"])
    def test_a_template_without_a_value_fails_before_any_request(
        self, emulator, named_run, name, value
    ):
        others = {"workspace": None} if name == "workspace_id" else {}
        run = named_run(**others, **{name: value})
        run.render()

        with pytest.raises(AirflowFailException, match=f"^{name} must be"):
            run.finish()

        assert emulator.requests == []


class TestKilled:
    @pytest.mark.parametrize("route", [LIST_WORKSPACES, LIST_CONNECTIONS, LIST])
    def test_before_a_job_nothing_is_started(
        self,
        emulator,
        named_run,
        process: TaskProcess,  # noqa: F811
        deferrable,
        route,
    ):
        emulator.call_next(route, process.hit, after=True)

        process.run(named_run(deferrable=deferrable))

        assert emulator.jobs == {}

    def test_during_the_post_its_job_is_cancelled(
        self,
        emulator,
        named_run,
        process: TaskProcess,  # noqa: F811
    ):
        emulator.script_job(statuses=[("running", None)])
        emulator.hang_next("POST /jobs", seconds=0.5)
        emulator.call_next("POST /jobs", process.hit, after=True)

        process.run(named_run())

        assert [job.status for job in emulator.jobs.values()] == ["cancelled"]
