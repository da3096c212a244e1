"""
Airbyte's own generated client as an oracle: it logs in and calls each of its operations.

``airbyte-api`` 1.0.1 cannot parse a response with a destination: it selects the class of the
configuration by ``destinationType`` inside ``configuration``, which the server strips
(docs/airbyte-api.md §9.3). The emulator does the same, so these are read as raw responses.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import ORGANIZATION_ID

airbyte_api = pytest.importorskip("airbyte_api", reason="Airbyte's client is not installed")


class Client:
    """The generated client, which records the operations that were called."""

    def __init__(self, emulator: Emulator) -> None:
        from airbyte_api import models

        # The default token URL points to the web application (docs/airbyte-api.md §9.3).
        credentials = models.SchemeClientCredentials(
            client_id=emulator.client_id,
            client_secret=emulator.client_secret,
            token_url="v1/applications/token",
        )
        self.sdk = airbyte_api.AirbyteAPI(
            server_url=f"{emulator.url}/api/public/v1",
            security=models.Security(client_credentials=credentials),
        )
        self.called: set[str] = set()

    def __call__(self, operation: str, request: Any = None, *, status: int = 200) -> Any:
        """Call an operation and return the parsed response."""
        group, name = operation.split(".")
        self.called.add(operation)
        arguments = {} if request is None else {"request": request}
        response = getattr(getattr(self.sdk, group), name)(**arguments)
        assert response.status_code == status
        fields = [field for field in type(response).model_fields if field.endswith("_response")]
        content = [field for field in fields if field != "raw_response"]
        return getattr(response, content[0]) if content else response.raw_response

    def call_unreadable(self, operation: str, request: Any) -> Any:
        """Call an operation whose response the client cannot parse, and return the JSON."""
        from airbyte_api.errors import ResponseValidationError

        with pytest.raises(ResponseValidationError) as error:
            self(operation, request)
        assert error.value.raw_response.status_code == 200
        return error.value.raw_response.json()

    def call_rejected(self, operation: str, request: Any, status: int) -> None:
        """Call an operation that is expected to fail with *status*."""
        from airbyte_api.errors import SDKError

        with pytest.raises(SDKError) as error:
            self(operation, request)
        assert error.value.status_code == status

    def operations(self) -> set[str]:
        """Return the names of all operations of the client."""
        return {
            f"{group}.{name}"
            for group in self.sdk._sub_sdk_map
            for name, _ in inspect.getmembers(getattr(self.sdk, group), inspect.ismethod)
            if not name.startswith(("_", "do_request")) and not name.endswith("_async")
        }


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="manual", sync_duration=60)
    with emulator.serve():
        yield emulator


@pytest.fixture
def client(emulator) -> Client:
    return Client(emulator)


def test_the_client_can_call_every_operation(emulator, client):
    health(client)
    workspace_id = workspaces(client)
    organizations_users_and_permissions(client, emulator)
    tag = tags(client, workspace_id)
    definitions(client, workspace_id)
    source_id = sources(client, workspace_id)
    destination_id = destinations(client, workspace_id)
    connection_id = connections(client, source_id, destination_id, tag)
    jobs(client, emulator, connection_id)
    deletions(client, workspace_id, source_id, destination_id, connection_id, tag)

    assert client.operations() - client.called == set()
    logins = [r for r in emulator.requests if r.route == "POST /applications/token"]
    assert [r.headers["content-type"] for r in logins] == ["application/x-www-form-urlencoded"]


def health(client: Client) -> None:
    assert client("health.get_health_check").text == "Successful operation"


def workspaces(client: Client) -> str:
    created = client("workspaces.create_workspace", {"name": "SDK"})
    workspace_id = str(created.workspace_id)
    assert client("workspaces.get_workspace", {"workspace_id": workspace_id}).name == "SDK"
    change = {"name": "SDK 2", "notifications": {"success": {"webhook": {"enabled": False}}}}
    request = {"workspace_id": workspace_id, "workspace_update_request": change}
    assert client("workspaces.update_workspace", request).name == "SDK 2"
    listed = client("workspaces.list_workspaces", {"workspace_ids": [workspace_id]})
    assert [workspace.name for workspace in listed.data] == ["SDK 2"]
    credentials = {"actor_type": "source", "name": "github", "configuration": {}}
    client.call_rejected(
        "workspaces.create_or_update_workspace_o_auth_credentials",
        {"workspace_id": workspace_id, "workspace_o_auth_credentials_request": credentials},
        501,
    )
    client.call_rejected(
        "workspaces.delete_workspace_o_auth_credentials",
        {"workspace_id": workspace_id, "actor_type": "source", "name": "github"},
        501,
    )
    return workspace_id


def organizations_users_and_permissions(client: Client, emulator: Emulator) -> None:
    (organization,) = client("organizations.list_organizations_for_user").data
    assert organization.organization_id == ORGANIZATION_ID
    credentials = {"actor_type": "source", "name": "github", "configuration": {}}
    client.call_rejected(
        "organizations.create_or_update_organization_o_auth_credentials",
        {
            "organization_id": ORGANIZATION_ID,
            "organization_o_auth_credentials_request": credentials,
        },
        403,
    )
    client.call_rejected(
        "organizations.delete_organization_o_auth_credentials",
        {"organization_id": ORGANIZATION_ID, "actor_type": "source", "name": "github"},
        403,
    )
    emulator.add_application("organization_member")
    users = client("users.list_users_within_an_organization", {"organization_id": ORGANIZATION_ID})
    user, member = users.data
    (own,) = client("permissions.list_permissions", {}).data
    assert own.user_id == user.id
    created = client(
        "permissions.create_permission",
        {
            "permission_type": "workspace_reader",
            "user_id": member.id,
            "workspace_id": emulator.workspace_id,
        },
    )
    identifier = {"permission_id": created.permission_id}
    assert client("permissions.get_permission", identifier) == created
    change = {"permission_type": "workspace_editor"}
    updated = client(
        "permissions.update_permission", {**identifier, "permission_update_request": change}
    )
    assert updated.permission_type == "workspace_editor"
    client("permissions.delete_permission", identifier, status=204)


def tags(client: Client, workspace_id: str) -> Any:
    created = client(
        "tags.create_tag", {"name": "eu", "color": "00ff00", "workspace_id": workspace_id}
    )
    identifier = {"tag_id": created.tag_id}
    assert client("tags.get_tag", identifier) == created
    changed = client(
        "tags.update_tag", {**identifier, "tag_patch_request": {"name": "us", "color": "0000ff"}}
    )
    assert client("tags.list_tags", {"workspace_ids": [workspace_id]}).data == [changed]
    return changed


def definitions(client: Client, workspace_id: str) -> None:
    workspace = {"workspace_id": workspace_id}
    image = {"name": "Own", "docker_repository": "me/own", "docker_image_tag": "1"}
    newer = {"name": "Own", "docker_image_tag": "2"}
    for kind in ("source", "destination"):
        group = f"{kind}_definitions"
        created = client(
            f"{group}.create_{kind}_definition", {**workspace, "create_definition_request": image}
        )
        identifier = {**workspace, "definition_id": created.id}
        assert client(f"{group}.get_{kind}_definition", identifier) == created
        updated = client(
            f"{group}.update_{kind}_definition", {**identifier, "update_definition_request": newer}
        )
        assert updated.docker_image_tag == "2"
        assert updated in client(f"{group}.list_{kind}_definitions", workspace).data
        assert client(f"{group}.delete_{kind}_definition", identifier) == updated
    group = "declarative_source_definitions"
    manifest: dict[str, Any] = {"spec": {"connection_specification": {}}}
    created = client(
        f"{group}.create_declarative_source_definition",
        {
            **workspace,
            "create_declarative_source_definition_request": {"name": "Own", "manifest": manifest},
        },
    )
    identifier = {**workspace, "definition_id": created.id}
    assert client(f"{group}.get_declarative_source_definition", identifier) == created
    updated = client(
        f"{group}.update_declarative_source_definition",
        {**identifier, "update_declarative_source_definition_request": {"manifest": manifest}},
    )
    assert updated.version == 2
    assert client(f"{group}.list_declarative_source_definitions", workspace).data == [updated]
    assert client(f"{group}.delete_declarative_source_definition", identifier) == updated


def sources(client: Client, workspace_id: str) -> str:
    configuration = {"sourceType": "faker", "count": 10}
    created = client(
        "sources.create_source",
        {"name": "Faker", "workspace_id": workspace_id, "configuration": configuration},
    )
    assert created.source_type == "faker"
    identifier = {"source_id": created.source_id}
    assert client("sources.get_source", identifier).name == "Faker"
    patched = client(
        "sources.patch_source", {**identifier, "source_patch_request": {"name": "Faker 2"}}
    )
    assert patched.name == "Faker 2"
    put = {"name": "Faker 3", "configuration": configuration}
    assert client("sources.put_source", {**identifier, "source_put_request": put}).name == "Faker 3"
    listed = client("sources.list_sources", {"workspace_ids": [workspace_id]})
    assert [source.name for source in listed.data] == ["Faker 3"]
    client.call_rejected(
        "sources.initiate_o_auth",
        {"redirect_url": "https://x", "workspace_id": workspace_id, "source_type": "github"},
        501,
    )
    return str(created.source_id)


def destinations(client: Client, workspace_id: str) -> str:
    configuration = {"destinationType": "duckdb", "destination_path": "/local/x.duckdb"}
    created = client.call_unreadable(
        "destinations.create_destination",
        {"name": "Duck", "workspace_id": workspace_id, "configuration": configuration},
    )
    assert created["destinationType"] == "duckdb"
    identifier = {"destination_id": created["destinationId"]}
    assert client.call_unreadable("destinations.get_destination", identifier) == created
    patched = client.call_unreadable(
        "destinations.patch_destination",
        {**identifier, "destination_patch_request": {"name": "Duck 2"}},
    )
    assert patched["name"] == "Duck 2"
    put = {"name": "Duck 3", "configuration": configuration}
    replaced = client.call_unreadable(
        "destinations.put_destination", {**identifier, "destination_put_request": put}
    )
    listed = client.call_unreadable(
        "destinations.list_destinations", {"workspace_ids": [workspace_id]}
    )
    assert listed["data"] == [replaced]
    return str(created["destinationId"])


def connections(client: Client, source_id: str, destination_id: str, tag: Any) -> str:
    actors = {"source_id": source_id, "destination_id": destination_id}
    streams = client("streams.get_stream_properties", actors)
    assert "users" in [stream.stream_name for stream in streams]
    created = client(
        "connections.create_connection",
        {
            **actors,
            "schedule": {"schedule_type": "cron", "cron_expression": "0 0 6 * * ?"},
            "configurations": {"streams": [{"name": "users", "sync_mode": "incremental_append"}]},
        },
    )
    assert created.schedule.cron_expression == "0 0 6 * * ? UTC"
    identifier = {"connection_id": created.connection_id}
    assert client("connections.get_connection", identifier) == created
    tag_fields = {
        "tag_id": tag.tag_id,
        "workspace_id": tag.workspace_id,
        "name": "us",
        "color": "0" * 6,
    }
    patched = client(
        "connections.patch_connection",
        {**identifier, "connection_patch_request": {"name": "SDK", "tags": [tag_fields]}},
    )
    assert (patched.name, patched.tags[0].tag_id) == ("SDK", tag.tag_id)
    listed = client("connections.list_connections", {"tag_ids": [tag.tag_id]})
    assert listed.data == [patched]
    return str(created.connection_id)


def jobs(client: Client, emulator: Emulator, connection_id: str) -> None:
    started = client("jobs.create_job", {"connection_id": connection_id, "job_type": "sync"})
    assert started.status == "pending"
    assert client("jobs.get_job", {"job_id": started.job_id}).status == "running"
    assert client("jobs.cancel_job", {"job_id": started.job_id}).status == "cancelled"
    client("jobs.create_job", {"connection_id": connection_id, "job_type": "sync"})
    emulator.advance(60)
    query = {
        "connection_id": connection_id,
        "status": "succeeded",
        "order_by": "updatedAt|DESC",
        "updated_at_start": emulator.now,
    }
    (job,) = client("jobs.list_jobs", query).data
    assert (job.rows_synced, job.duration) == (100, "PT1M")


def deletions(
    client: Client,
    workspace_id: str,
    source_id: str,
    destination_id: str,
    connection_id: str,
    tag: Any,
) -> None:
    client("connections.delete_connection", {"connection_id": connection_id}, status=204)
    client("sources.delete_source", {"source_id": source_id}, status=204)
    client("destinations.delete_destination", {"destination_id": destination_id}, status=204)
    client("tags.delete_tag", {"tag_id": tag.tag_id}, status=204)
    client("workspaces.delete_workspace", {"workspace_id": workspace_id}, status=204)
