"""Workspaces and connections: read, list, create, update and delete."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteBadRequestError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteServerError,
    AirbyteTransportError,
    Workspace,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import (
    AIRBYTE,
    Wire,
    client_for,
    fail_unsent,
    requests_to,
    settings_for,
)

CREATE = "POST /workspaces"
UPDATE = "PATCH /workspaces/{workspaceId}"
DELETE = "DELETE /workspaces/{workspaceId}"
UNKNOWN_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"


@pytest.fixture
def add_connection(emulator):
    """Add a workspace with one connection: returns the ids of both."""

    def add(name):
        workspace_id = emulator.add_workspace(name)
        connection_id = emulator.add_connection(
            name,
            source_id=emulator.add_source(workspace_id=workspace_id),
            destination_id=emulator.add_destination(workspace_id=workspace_id),
        )
        return workspace_id, connection_id

    return add


@pytest.fixture
def tag(client, emulator, run):
    """Tag a connection: returns the id of the new tag."""

    def add(connection_id, name):
        url = client.settings.urls.public_url("tags")
        workspace_id = emulator.connections[connection_id].workspace_id
        fields = {"name": name, "color": "75DCFF", "workspaceId": workspace_id}
        response = run(client.session.request("POST", url, payload=fields))
        new_tag = response.http.json()
        run(client.connections.update(connection_id, {"tags": [new_tag]}))
        return new_tag["tagId"]

    return add


@pytest.mark.parametrize(("more", "pages"), [(0, 1), (99, 2), (100, 2), (250, 3)])
def test_workspaces_are_read_to_the_last_page(client, emulator, run, more, pages):
    ids = [emulator.workspace_id, *(emulator.add_workspace() for _ in range(more))]

    workspaces = run(client.workspaces.list())

    assert sorted(workspace.workspace_id for workspace in workspaces) == sorted(ids)
    assert len(requests_to(emulator, "GET /workspaces")) == pages


def test_connections_are_read_to_the_last_page(client, emulator, run):
    ids = [emulator.connection_id, *(emulator.add_connection() for _ in range(149))]

    connections = run(client.connections.list())

    assert [connection.connection_id for connection in connections] == ids
    assert [request.query for request in emulator.requests if request.method == "GET"] == [
        {"limit": ["100"], "offset": ["0"]},
        {"limit": ["100"], "offset": ["100"]},
    ]


@pytest.mark.parametrize("kind", ["workspaces", "connections"])
def test_next_links_to_another_host_are_not_followed(run, kind):
    emulator = Emulator(time="manual", airbyte_url="http://localhost:8001")
    wire = Wire(emulator)
    client = client_for(emulator, wire)
    for _ in range(150):
        emulator.add_workspace()
        emulator.add_connection()

    assert len(run(getattr(client, kind).list())) == 151

    assert all(request.url.startswith(AIRBYTE) for request in wire.requests)


def test_get_returns_the_workspace(client, emulator, run):
    assert run(client.workspaces.get(emulator.workspace_id)) == Workspace(
        workspace_id=emulator.workspace_id, name="Analytics"
    )


def test_a_workspace_is_created(client, emulator, run):
    workspace = run(client.workspaces.create({"name": "Marketing"}))

    assert workspace.name == "Marketing"
    assert run(client.workspaces.get(workspace.workspace_id)) == workspace
    created = emulator.requests[-2]
    assert (created.route, created.json) == (CREATE, {"name": "Marketing"})
    assert created.headers["content-type"] == "application/json"


def test_a_workspace_is_updated(client, emulator, run):
    workspace = run(client.workspaces.update(emulator.workspace_id, {"name": "Marketing"}))

    assert workspace == Workspace(workspace_id=emulator.workspace_id, name="Marketing")
    assert (emulator.requests[-1].route, emulator.requests[-1].json) == (
        UPDATE,
        {"name": "Marketing"},
    )
    assert run(client.workspaces.get(emulator.workspace_id)) == workspace


def test_a_workspace_is_deleted_by_a_response_without_a_body(client, emulator, run):
    run(client.workspaces.delete(emulator.workspace_id))

    assert requests_to(emulator, DELETE) == [204]
    assert run(client.workspaces.list()) == []


def test_a_delete_is_retried_after_a_503(client, emulator, wire, run):
    emulator.fail_next(DELETE, 503)

    run(client.workspaces.delete(emulator.workspace_id))

    assert requests_to(emulator, DELETE) == [503, 204]
    assert wire.slept == [1.0]


def test_a_page_instead_of_the_response_to_a_delete_is_no_success(client, emulator, run):
    emulator.html_next(DELETE)

    run(client.workspaces.delete(emulator.workspace_id))

    assert requests_to(emulator, DELETE) == [200, 204]


def test_a_delete_is_retried_after_a_lost_response(client, emulator, run):
    emulator.drop_next(DELETE)

    run(client.workspaces.delete(emulator.workspace_id))

    assert requests_to(emulator, DELETE) == [None, 204]


def test_a_create_is_not_replayed_after_a_lost_response(client, emulator, wire, run):
    emulator.drop_next(CREATE)

    with pytest.raises(AirbyteTransportError) as failure:
        run(client.workspaces.create({"name": "Marketing"}))

    assert failure.value.request_sent
    assert requests_to(emulator, CREATE) == [None]
    assert wire.slept == []
    assert [workspace.name for workspace in run(client.workspaces.list())] == [
        "Analytics",
        "Marketing",
    ]


def test_a_create_is_not_replayed_after_a_503(client, emulator, run):
    emulator.fail_next(CREATE, 503)

    with pytest.raises(AirbyteServerError):
        run(client.workspaces.create({"name": "Marketing"}))

    assert requests_to(emulator, CREATE) == [503]


def test_an_update_is_not_replayed_after_a_lost_response(client, emulator, run):
    emulator.drop_next(UPDATE)

    with pytest.raises(AirbyteTransportError):
        run(client.workspaces.update(emulator.workspace_id, {"name": "Marketing"}))

    assert requests_to(emulator, UPDATE) == [None]


NOT_EXECUTED = {
    "connection refused": lambda emulator, wire: wire.before_next("POST", fail_unsent),
    "rate limit": lambda emulator, wire: emulator.fail_next(CREATE, 429),
    "revoked token": lambda emulator, wire: wire.before_next("POST", emulator.revoke_tokens),
}


@pytest.mark.parametrize("fault", NOT_EXECUTED.values(), ids=NOT_EXECUTED)
def test_a_create_that_was_not_executed_is_replayed(client, emulator, wire, run, fault):
    fault(emulator, wire)

    workspace = run(client.workspaces.create({"name": "Marketing"}))

    assert wire.calls == ["POST", "POST"]
    assert [w.name for w in run(client.workspaces.list())] == ["Analytics", workspace.name]


def test_get_returns_the_connection(client, emulator, run):
    connection = run(client.connections.get(emulator.connection_id))

    assert connection.connection_id == emulator.connection_id
    assert connection.workspace_id == emulator.workspace_id
    assert (connection.name, connection.status) == ("Sample data to Warehouse", "active")


@pytest.mark.parametrize(
    "connection_id", ["no-uuid", "../jobs", "a b?c#d", "https://airbyte/connections/18dccc91"]
)
def test_an_invalid_id_never_leads_to_another_url(client, wire, run, connection_id):
    with pytest.raises((AirbytePermissionError, AirbyteNotFoundError, AirbyteBadRequestError)):
        run(client.connections.get(connection_id))

    path = wire.requests[-1].url.removeprefix(f"{AIRBYTE}/api/public/v1/connections/")
    assert "/" not in path
    assert "?" not in path
    assert " " not in path


def test_connections_are_filtered_by_workspace(client, emulator, add_connection, run):
    first_workspace, first = add_connection("first")
    second_workspace, second = add_connection("second")

    def listed(*workspace_ids):
        connections = run(client.connections.list(workspace_ids=workspace_ids))
        return [connection.connection_id for connection in connections]

    assert listed() == [emulator.connection_id, first, second]
    assert listed(second_workspace) == [second]
    assert listed(first_workspace, second_workspace) == [first, second]
    assert emulator.requests[-1].query["workspaceIds"] == [f"{first_workspace},{second_workspace}"]


def test_connections_are_filtered_by_tag(client, emulator, tag, run):
    nightly = emulator.add_connection("nightly")
    finance = emulator.add_connection("finance")
    tag_ids = [tag(nightly, "nightly"), tag(finance, "finance")]

    def listed(*tag_ids):
        return [
            connection.connection_id for connection in run(client.connections.list(tag_ids=tag_ids))
        ]

    assert listed(tag_ids[0]) == [nightly]
    assert listed(*tag_ids) == [nightly, finance]
    assert emulator.requests[-1].query["tagIds"] == [",".join(tag_ids)]


def test_deleted_connections_are_listed_only_on_request(client, emulator, run):
    deleted = emulator.add_connection("deleted", status="deprecated")

    def listed(**filters):
        return [connection.connection_id for connection in run(client.connections.list(**filters))]

    assert listed() == [emulator.connection_id]
    assert "includeDeleted" not in emulator.requests[-1].query
    assert listed(include_deleted=True) == [emulator.connection_id, deleted]
    assert emulator.requests[-1].query["includeDeleted"] == ["true"]


def test_an_unknown_workspace_raises_permission_error(client, run):
    with pytest.raises(AirbytePermissionError, match="the id does not exist in this Airbyte"):
        run(client.connections.list(workspace_ids=[UNKNOWN_ID]))


def test_a_connection_is_created(client, emulator, run):
    payload = {
        "name": "Users",
        "sourceId": emulator.source_id,
        "destinationId": emulator.destination_id,
        "schedule": {"scheduleType": "cron", "cronExpression": "0 0 6 * * ?"},
        "configurations": {"streams": [{"name": "users", "syncMode": "full_refresh_overwrite"}]},
        "status": "inactive",
    }

    connection = run(client.connections.create(payload))

    assert emulator.requests[-1].json == payload
    assert (connection.name, connection.status) == ("Users", "inactive")
    assert (connection.source_id, connection.destination_id) == (
        emulator.source_id,
        emulator.destination_id,
    )
    assert run(client.connections.get(connection.connection_id)) == connection
    streams = emulator.connections[connection.connection_id].streams
    assert [stream["name"] for stream in streams] == ["users"]


def test_a_connection_is_updated(client, emulator, run):
    connection = run(client.connections.update(emulator.connection_id, {"status": "inactive"}))

    assert (connection.name, connection.status) == ("Sample data to Warehouse", "inactive")
    assert emulator.requests[-1].json == {"status": "inactive"}
    assert emulator.connections[emulator.connection_id].status == "inactive"


def test_a_deleted_connection_stays_readable(client, emulator, run):
    run(client.connections.delete(emulator.connection_id))

    assert run(client.connections.list()) == []
    assert run(client.connections.get(emulator.connection_id)).status == "deprecated"


@pytest.mark.parametrize(("request_timeout", "expected"), [(30.0, 600.0), (900.0, 900.0)])
def test_writes_of_connections_have_a_longer_timeout(
    emulator, wire, run, request_timeout, expected
):
    client = client_for(
        emulator, wire, settings=settings_for(emulator, request_timeout=request_timeout)
    )
    payload = {"sourceId": emulator.source_id, "destinationId": emulator.destination_id}

    created = run(client.connections.create(payload))
    run(client.connections.update(created.connection_id, {"name": "Users"}))
    run(client.connections.delete(created.connection_id))

    timeouts = {r.method: r.timeout for r in wire.requests if "/connections" in r.url}
    assert timeouts == {"POST": expected, "PATCH": expected, "DELETE": request_timeout}


def test_a_rejected_payload_raises_bad_request_error(client, emulator, run):
    with pytest.raises(AirbyteBadRequestError, match="Correct the named value"):
        run(client.connections.update(emulator.connection_id, {"status": "asleep"}))

    assert requests_to(emulator, "PATCH /connections/{connectionId}") == [400]


def test_an_unknown_id_raises_not_found_error_for_an_administrator(run):
    emulator = Emulator(time="manual", instance_admin=True)
    client = client_for(emulator, Wire(emulator))

    with pytest.raises(AirbyteNotFoundError, match=f"STANDARD_WORKSPACE {UNKNOWN_ID}"):
        run(client.workspaces.delete(UNKNOWN_ID))
