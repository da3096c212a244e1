"""The hook: the operations of the client under flat names, and without ``await``."""

from __future__ import annotations

import inspect
import pydoc
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_airbyte_sme.api import (
    AirbyteAmbiguousNameError,
    AirbyteConnection,
    AirbyteError,
    AirbyteJobCancelledError,
    AirbyteJobTimeoutError,
    AirbytePermissionError,
    CreatedJob,
    Job,
    Ownership,
    Workspace,
)
from airflow_provider_airbyte_sme.api.resources.actors import Destinations, Sources
from airflow_provider_airbyte_sme.api.resources.connections import Connections
from airflow_provider_airbyte_sme.api.resources.jobs import Jobs
from airflow_provider_airbyte_sme.api.resources.regions import Dataplanes
from airflow_provider_airbyte_sme.api.resources.workspaces import Workspaces
from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook
from airflow_provider_airbyte_sme.hooks.operations import AirbyteOperations
from tests.emulator.contract import CONTRACT_FILE, SKIP_REASON
from tests.integration.conftest import UNKNOWN_ID, request_count

OPERATIONS: dict[str, Callable[..., Any]] = {
    "create_job": Jobs.create,
    "get_job": Jobs.get,
    "list_jobs": Jobs.list,
    "find_running_job": Jobs.find_running,
    "cancel_job": Jobs.cancel,
    "wait_for_job": Jobs.wait,
    "poll_job": Jobs.poll,
    "ensure_succeeded": Jobs.ensure_succeeded,
    "find_connection_of_job": Jobs.find_connection,
    "get_airbyte_connection": Connections.get,
    "list_airbyte_connections": Connections.list,
    "list_workspaces": Workspaces.list,
    "get_workspace": Workspaces.get,
    "delete_workspace": Workspaces.delete,
    "create_source": Sources.create,
    "check_destination": Destinations.check,
    "list_dataplanes": Dataplanes.list,
}

HELP = pydoc.plain(pydoc.render_doc(AirbyteHook))

every_operation = pytest.mark.parametrize(
    ("name", "operation"), OPERATIONS.items(), ids=list(OPERATIONS)
)


# Operations of the published contract that have no method, and why.
NOT_FOR_TASKS = {
    "getDocumentation": "leads a browser to the documentation",
    "oauthCallback": "for the browser of a consent flow; a self-managed Airbyte does not have it",
    "getEmbeddedWidget": "for the widget of Airbyte Embedded, which needs another licence",
    "generateEmbeddedScopedToken": "for the widget of Airbyte Embedded",
    "listEmbeddedOrganizationsByUser": "for the widget of Airbyte Embedded",
}
# Operations whose method has another name than the rule of `method_of` gives.
RENAMED = {
    "getHealthCheck": "check_health",
    "getStreamProperties": "list_streams",
    "listOrganizationsForUser": "list_organizations",
    "listUsersWithinAnOrganization": "list_users",
    "initiateOAuth": "initiate_oauth",
    "createOrUpdateWorkspaceOAuthCredentials": "replace_workspace_oauth_credentials",
    "deleteWorkspaceOAuthCredentials": "delete_workspace_oauth_credentials",
    "createOrUpdateOrganizationOAuthCredentials": "replace_organization_oauth_credentials",
    "deleteOrganizationOAuthCredentials": "delete_organization_oauth_credentials",
}


def method_of(operation: str) -> str:
    """Return the name of the hook's method for an operation of the published contract."""
    name = re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", operation)
    name = re.sub("^patch_", "update_", name)
    name = re.sub("^put_", "replace_", name)
    name = re.sub("_(connections?)$", r"_airbyte_\1", name)
    return RENAMED.get(operation, name)


@pytest.fixture
def hook() -> AirbyteHook:
    return AirbyteHook()


class TestSignatures:
    @every_operation
    def test_a_method_has_the_signature_of_its_operation(self, name, operation):
        assert inspect.signature(getattr(AirbyteHook, name)) == inspect.signature(operation)

    @every_operation
    def test_a_method_has_the_docstring_of_its_operation(self, name, operation):
        docstring = getattr(AirbyteHook, name).__doc__

        assert docstring == operation.__doc__
        assert docstring

    @every_operation
    def test_every_parameter_is_named_and_typed(self, name, operation):
        del operation
        _, *parameters = inspect.signature(getattr(AirbyteHook, name)).parameters.values()

        assert all(parameter.annotation is not parameter.empty for parameter in parameters)
        assert not any(
            parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            for parameter in parameters
        )

    @every_operation
    def test_a_method_is_not_a_coroutine_function(self, name, operation):
        assert inspect.iscoroutinefunction(operation)
        assert not inspect.iscoroutinefunction(getattr(AirbyteHook, name))

    def test_list_jobs_has_typed_keyword_parameters(self):
        _, *parameters = inspect.signature(AirbyteHook.list_jobs).parameters.values()

        assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}
        assert {parameter.name: parameter.annotation for parameter in parameters} == {
            "connection_id": "str | None",
            "job_type": "str | None",
            "status": "str | None",
            "limit": "int | None",
            "offset": "int",
            "order_by": "str",
        }

    def test_create_job_has_a_docstring(self):
        assert AirbyteHook.create_job.__doc__ is not None
        assert AirbyteHook.create_job.__doc__.strip().startswith("Start a job, exactly once.")
        assert ":param connection_id:" in AirbyteHook.create_job.__doc__

    @every_operation
    def test_help_shows_name_signature_and_docstring(self, name, operation):
        summary = inspect.getdoc(operation)

        assert summary is not None
        section = re.split(rf"\n \|  {name}\b", HELP)[1].partition("\n |  \n |  ")[0]
        # Python 3.13 puts each parameter of a long signature on a line of its own.
        for parameter in inspect.signature(operation).parameters.values():
            assert str(parameter) in section
        assert summary.splitlines()[0] in section

    def test_an_unknown_argument_is_rejected_before_a_request(self, emulator, hook):
        with pytest.raises(TypeError, match="unexpected keyword argument 'state'"):
            hook.list_jobs(state="running")

        assert emulator.requests == []


class TestNames:
    @pytest.mark.parametrize("name", [*OPERATIONS, "test_connection", "get_job_url", "get_conn"])
    def test_every_documented_name_exists(self, name):
        assert callable(getattr(AirbyteHook, name))

    def test_every_operation_is_documented_and_typed(self):
        for name, method in vars(AirbyteOperations).items():
            if name.startswith("_"):
                continue
            signature = inspect.signature(method)
            described = signature.return_annotation is not signature.empty
            assert method.__doc__, name
            assert described, name
            assert "**" not in str(signature), name
            assert not inspect.iscoroutinefunction(method), name

    def test_no_operation_hides_a_name_of_airflow(self):
        assert set(vars(AirbyteOperations)).isdisjoint(
            name for name in dir(BaseHook) if not name.startswith("__")
        )

    def test_every_operation_of_the_published_api_has_a_method(self):
        if CONTRACT_FILE is None:
            pytest.skip(SKIP_REASON)
        published = re.findall(r"(?m)^ +operationId: (\w+)$", CONTRACT_FILE.read_text())
        assert len(published) > 90

        missing = {
            operation: name
            for operation in published
            if operation not in NOT_FOR_TASKS
            and not callable(getattr(AirbyteHook, name := method_of(operation), None))
        }

        assert missing == {}
        assert set(published) > NOT_FOR_TASKS.keys()

    def test_the_get_connection_of_airflow_is_kept(self, hook):
        assert hook.get_connection("airbyte_sme_default").conn_type == "airbyte_sme"

    def test_constructing_a_hook_does_no_io(self, emulator):
        AirbyteHook("nowhere")

        assert emulator.requests == []


class TestConnections:
    def test_one_is_read(self, emulator, hook):
        connection = hook.get_airbyte_connection(emulator.connection_id)

        assert isinstance(connection, AirbyteConnection)
        assert str(connection) == f"'Sample data to Warehouse' ({emulator.connection_id})"
        assert connection.is_active
        assert [stream.name for stream in connection.streams] == ["users", "products", "purchases"]

    def test_one_is_read_by_keyword(self, emulator, hook):
        connection = hook.get_airbyte_connection(connection_id=emulator.connection_id)

        assert connection.connection_id == emulator.connection_id

    def test_an_unknown_one_is_an_error(self, hook):
        with pytest.raises(AirbytePermissionError, match=UNKNOWN_ID):
            hook.get_airbyte_connection(UNKNOWN_ID)

    def test_all_are_listed(self, emulator, hook):
        added = emulator.add_connection("second")

        listed = hook.list_airbyte_connections()

        assert {connection.connection_id: connection.name for connection in listed} == {
            emulator.connection_id: "Sample data to Warehouse",
            added: "second",
        }

    def test_those_of_some_workspaces_are_listed(self, emulator, hook):
        emulator.add_workspace("empty")
        (empty,) = {workspace.workspace_id for workspace in hook.list_workspaces()} - {
            emulator.workspace_id
        }

        assert hook.list_airbyte_connections(workspace_ids=[empty]) == []
        assert len(hook.list_airbyte_connections(workspace_ids=[empty, emulator.workspace_id])) == 1

    def test_deleted_ones_are_listed_on_request(self, emulator, hook):
        emulator.set_connection_status(emulator.connection_id, "deprecated")

        assert hook.list_airbyte_connections() == []
        (deleted,) = hook.list_airbyte_connections(include_deleted=True)
        assert deleted.status == "deprecated"


def test_workspaces_are_listed(emulator, hook):
    added = emulator.add_workspace("second")

    workspaces = hook.list_workspaces()

    assert all(isinstance(workspace, Workspace) for workspace in workspaces)
    assert {workspace.workspace_id for workspace in workspaces} == {emulator.workspace_id, added}
    assert "second" in {workspace.name for workspace in workspaces}


def test_lists_longer_than_a_page_are_read_to_their_end(emulator, hook):
    added = [emulator.add_workspace(f"workspace {number}") for number in range(100)]

    workspaces = hook.list_workspaces()

    assert {workspace.workspace_id for workspace in workspaces} == {emulator.workspace_id, *added}
    assert request_count(emulator, "GET /workspaces") == 4


class TestResources:
    def test_a_pipeline_is_built_by_name_and_removed(self, emulator, hook):
        workspace = hook.create_workspace({"name": "tenant"})
        source = hook.create_source(
            {
                "name": "crm",
                "workspaceId": workspace.workspace_id,
                "configuration": {"sourceType": "faker", "count": 10},
            }
        )
        destination = hook.create_destination(
            {
                "name": "lake",
                "workspaceId": workspace.workspace_id,
                "configuration": {"destinationType": "duckdb", "destination_path": "/tmp/x.db"},
            }
        )
        (users, *_) = hook.list_streams(source.actor_id, destination.actor_id)
        connection = hook.create_airbyte_connection(
            {
                "sourceId": source.actor_id,
                "destinationId": destination.actor_id,
                "name": "crm to lake",
                "configurations": {"streams": [{"name": users.name}]},
            }
        )

        assert hook.find_workspace_by_name("tenant") == workspace
        assert hook.find_source_by_name(workspace.id, "crm") == source
        assert hook.find_destination_by_name(workspace.id, "lake") == destination
        assert hook.find_airbyte_connection_by_name(workspace.id, "crm to lake") == connection
        hook.delete_source(source.actor_id)
        assert hook.get_airbyte_connection(connection.id).is_deleted
        assert hook.get_source(source.actor_id).is_deleted

    def test_an_ambiguous_name_is_not_guessed(self, emulator, hook):
        emulator.add_source("crm")
        emulator.add_source("crm")

        with pytest.raises(AirbyteAmbiguousNameError, match="2 sources in workspace"):
            hook.find_source_by_name(emulator.workspace_id, "crm")


class TestJobs:
    def test_a_job_is_created_and_read(self, emulator, hook):
        created = hook.create_job(emulator.connection_id)

        assert isinstance(created, CreatedJob)
        assert created.ownership is Ownership.STARTED
        assert created.job_id == created.job.job_id
        assert hook.get_job(created.job_id).job_type == "sync"
        assert hook.get_job(job_id=created.job_id).connection_id == emulator.connection_id

    def test_a_job_is_found_after_a_lost_response(self, emulator, hook):
        emulator.drop_next("POST /jobs", after=True)

        created = hook.create_job(emulator.connection_id)

        assert created.ownership is Ownership.FOUND
        assert list(emulator.jobs) == [created.job_id]

    def test_jobs_are_listed_newest_first(self, emulator, hook):
        first = emulator.start_sync()
        emulator.finish_job(first)
        emulator.jobs[first].created_at -= 60
        emulator.script_job(statuses=[("running", None)])
        second = emulator.start_sync()

        listed = hook.list_jobs(connection_id=emulator.connection_id, limit=10)

        assert [job.job_id for job in listed] == [second, first]
        assert [job.job_id for job in hook.list_jobs(status="succeeded")] == [first]
        assert [job.job_id for job in hook.list_jobs(limit=1, offset=1)] == [first]

    def test_the_running_job_is_found(self, emulator, hook):
        assert hook.find_running_job(emulator.connection_id) is None

        job_id = emulator.start_sync()

        running = hook.find_running_job(emulator.connection_id)
        assert isinstance(running, Job)
        assert running.job_id == job_id

    def test_a_job_is_awaited(self, emulator, hook):
        job_id = emulator.start_sync()

        assert hook.wait_for_job(job_id, poll_interval=0.05).has_succeeded

    def test_a_timeout_names_the_connection_if_its_name_is_given(self, emulator, hook, running_job):
        with pytest.raises(AirbyteJobTimeoutError) as failure:
            hook.wait_for_job(running_job, timeout=0, connection_name="crm to lake")

        assert str(failure.value) == (
            f"Job {running_job} of connection 'crm to lake' ({emulator.connection_id}) is still "
            f"running and the time to wait for it is over."
        )

    def test_a_job_is_cancelled(self, hook, running_job):
        cancelled = hook.cancel_job(running_job)

        assert cancelled.is_cancelled
        with pytest.raises(AirbyteJobCancelledError):
            hook.ensure_succeeded(cancelled)

    def test_the_page_of_a_job_needs_its_connection(self, emulator, hook):
        job = hook.get_job(emulator.start_sync())
        connection = hook.find_connection_of_job(job)

        url = hook.get_job_url(job)

        assert url.endswith(f"timeline?jobId={job.job_id}&openLogs=true")
        emulator.clear_requests()
        assert hook.get_job_url(job, connection) == url
        assert emulator.requests == []

    def test_the_page_of_a_job_is_empty_if_its_connection_is_unreadable(self, emulator, hook):
        job = hook.get_job(emulator.start_sync())
        emulator.fail_next("GET /connections/{connectionId}", status=403)

        assert hook.get_job_url(job) == ""

    def test_an_error_is_raised_unchanged(self, hook):
        with pytest.raises(AirbyteError, match="/jobs/4711 with 403"):
            hook.get_job(4711)


def test_an_operator_can_be_copied_after_it_has_used_its_hook(emulator, sync_run):
    run = sync_run(deferrable=False)
    run.finish()

    assert deepcopy(run.task).connection_id == emulator.connection_id
