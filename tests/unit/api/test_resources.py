"""Workspaces and connections: read, list, create, update and delete."""

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteAmbiguousNameError,
    AirbyteBadRequestError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteServerError,
    AirbyteTransportError,
    Workspace,
)
from airflow_provider_airbyte_sme.api.retry import is_permanent
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import (
    AIRBYTE,
    Wire,
    client_for,
    fail_unsent,
    requests_to,
    settings_for,
)
from tests.unit.api.responses import json_response

CREATE = "POST /workspaces"
UPDATE = "PATCH /workspaces/{workspaceId}"
DELETE = "DELETE /workspaces/{workspaceId}"
TAG_DELETE = "DELETE /tags/{tagId}"
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


def tag_fields(emulator, name, workspace_id=None):
    return {
        "name": name,
        "color": "75DCFF",
        "workspaceId": workspace_id or emulator.workspace_id,
    }


@pytest.fixture
def tag(client, emulator, run):
    """Tag a connection: returns the id of the new tag."""

    def add(connection_id, name):
        workspace_id = emulator.connections[connection_id].workspace_id
        new_tag = run(client.tags.create(tag_fields(emulator, name, workspace_id)))
        run(client.connections.update(connection_id, {"tags": [new_tag.to_json()]}))
        return new_tag.tag_id

    return add


@pytest.mark.parametrize(("more", "requests"), [(0, 1), (98, 1), (99, 4), (100, 4), (250, 6)])
def test_a_list_of_several_pages_is_read_twice(client, emulator, run, more, requests):
    ids = [emulator.workspace_id, *(emulator.add_workspace() for _ in range(more))]

    workspaces = run(client.workspaces.list())

    assert sorted(workspace.workspace_id for workspace in workspaces) == sorted(ids)
    assert len(requests_to(emulator, "GET /workspaces")) == requests


def test_connections_are_read_to_the_last_page(client, emulator, run):
    ids = [emulator.connection_id, *(emulator.add_connection() for _ in range(149))]

    connections = run(client.connections.list())

    assert [connection.connection_id for connection in connections] == ids
    assert [request.query for request in emulator.requests if request.method == "GET"] == [
        {"limit": ["100"], "offset": ["0"]},
        {"limit": ["100"], "offset": ["100"]},
    ] * 2


def workspace_row(number):
    return {"workspaceId": f"id-{number}", "name": f"workspace {number}"}


@pytest.mark.parametrize("to", ["first", "last"])
@pytest.mark.parametrize("kind", ["workspace", "source", "destination", "connection"])
def test_a_row_that_moves_between_two_pages_is_found_once(client, emulator, run, add, kind, to):
    for number in range(150):
        add(kind, f"number {number}")
    rows = getattr(client, f"{kind}s")
    ids = [row.id for row in run(rows.list())]
    # An update moves a row from the second page to the first one, or the other way round.
    moved = ids[-1] if to == "first" else ids[0]
    first_page_was_read = iter([lambda: None, lambda: emulator.move_record(moved, to)])
    emulator.call_next(f"GET /{kind}s", lambda: next(first_page_was_read)(), times=2)
    emulator.clear_requests()

    found = [row.id for row in run(rows.list())]

    assert sorted(found) == sorted(ids)
    assert len(emulator.requests) >= 4


def test_a_shuffled_list_is_the_same_list(client, emulator, run):
    ids = {emulator.workspace_id, *(emulator.add_workspace() for _ in range(150))}
    seeds = iter(range(20))
    emulator.call_next(
        "GET /workspaces", lambda: emulator.shuffle_lists(next(seeds)), times=3, after=True
    )

    assert {workspace.id for workspace in run(client.workspaces.list())} == ids


def test_a_list_that_never_settles_has_all_rows_of_the_last_two_passes(client, wire, run, caplog):
    kept = [workspace_row(number) for number in range(100)]
    for number in range(200, 205):
        for page in (kept, [workspace_row(number)]):
            wire.replace_next_response("GET", json_response({"data": page}))

    found = {workspace.id for workspace in run(client.workspaces.list())}

    assert found == {*(row["workspaceId"] for row in kept), "id-203", "id-204"}
    assert "The list of workspaces changes faster than it can be read" in caplog.text


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
    workspace = run(client.workspaces.get(emulator.workspace_id))

    assert isinstance(workspace, Workspace)
    assert (workspace.workspace_id, workspace.name) == (emulator.workspace_id, "Analytics")


def test_a_workspace_is_created(client, emulator, run):
    workspace = run(client.workspaces.create({"name": "Marketing"}))

    assert workspace.name == "Marketing"
    assert run(client.workspaces.get(workspace.workspace_id)) == workspace
    created = emulator.requests[-2]
    assert (created.route, created.json) == (CREATE, {"name": "Marketing"})
    assert created.headers["content-type"] == "application/json"


def test_a_workspace_is_updated(client, emulator, run):
    workspace = run(client.workspaces.update(emulator.workspace_id, {"name": "Marketing"}))

    assert (workspace.workspace_id, workspace.name) == (emulator.workspace_id, "Marketing")
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
    emulator.drop_next("DELETE /connections/{connectionId}")

    run(client.connections.delete(emulator.connection_id))

    assert requests_to(emulator, "DELETE /connections/{connectionId}") == [None, 204]


def test_a_delete_whose_first_attempt_was_lost_may_find_nothing(client, emulator, run, caplog):
    caplog.set_level("INFO")
    emulator.drop_next(TAG_DELETE, after=True)
    tag = run(client.tags.create(tag_fields(emulator, "nightly")))

    run(client.tags.delete(tag.tag_id))

    assert requests_to(emulator, TAG_DELETE) == [None, 404]
    assert "An earlier attempt deleted it" in caplog.text


def test_a_delete_of_what_never_existed_is_an_error(client, emulator, run):
    with pytest.raises(AirbyteNotFoundError, match=f"TAG {UNKNOWN_ID}"):
        run(client.tags.delete(UNKNOWN_ID))

    assert requests_to(emulator, TAG_DELETE) == [404]


def test_a_403_after_a_lost_delete_is_an_error(client, emulator, run):
    emulator.drop_next(DELETE, after=True)
    emulator.fail_next(DELETE, 403)

    with pytest.raises(AirbytePermissionError):
        run(client.workspaces.delete(emulator.workspace_id))


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


FIND: dict[str, Callable[..., Any]] = {
    "workspace": lambda client, workspace_id, name: client.workspaces.find_by_name(name),
    "source": lambda client, *key: client.sources.find_by_name(*key),
    "destination": lambda client, *key: client.destinations.find_by_name(*key),
    "connection": lambda client, *key: client.connections.find_by_name(*key),
}


@pytest.fixture
def add(emulator):
    """Add a resource of a kind with a name: returns its id."""

    def add(kind, name):
        if kind == "workspace":
            return emulator.add_workspace(name)
        return getattr(emulator, f"add_{kind}")(name)

    return add


@pytest.mark.parametrize("kind", FIND)
def test_a_resource_is_found_by_its_name(client, emulator, run, add, kind):
    assert run(FIND[kind](client, emulator.workspace_id, "crm")) is None
    add(kind, "CRM")
    resource_id = add(kind, "crm")

    found = run(FIND[kind](client, emulator.workspace_id, "crm"))

    assert (found.id, found.name) == (resource_id, "crm")


@pytest.mark.parametrize("kind", FIND)
def test_a_name_of_several_resources_is_an_error(client, emulator, run, add, kind):
    ids = {add(kind, "crm"), add(kind, "crm")}

    with pytest.raises(AirbyteAmbiguousNameError) as failure:
        run(FIND[kind](client, emulator.workspace_id, "crm"))

    assert set(failure.value.ids) == ids
    where = "" if kind == "workspace" else f" in workspace {emulator.workspace_id}"
    assert str(failure.value) == (
        f"2 {kind}s{where} are named 'crm': {', '.join(failure.value.ids)}. Rename or delete all "
        f"but one, or give the id instead of the name."
    )
    assert is_permanent(failure.value)


def test_a_name_is_looked_for_in_its_workspace_only(client, emulator, run, add_connection):
    elsewhere, connection_id = add_connection("nightly")

    assert run(client.connections.find_by_name(emulator.workspace_id, "nightly")) is None
    assert run(client.connections.find_by_name(elsewhere, "nightly")).id == connection_id


def test_a_tag_is_found_changed_and_deleted(client, emulator, run):
    tag = run(client.tags.create(tag_fields(emulator, "nightly")))

    assert run(client.tags.find_by_name(emulator.workspace_id, "nightly")) == tag
    assert run(client.tags.find_by_name(emulator.workspace_id, "Nightly")) is None
    changed = run(client.tags.update(tag.tag_id, {"name": "hourly", "color": "FF0000"}))
    assert (changed.id, changed.name, changed.color) == (tag.id, "hourly", "FF0000")
    assert run(client.tags.get(tag.tag_id)) == changed
    run(client.tags.delete(tag.tag_id))
    assert run(client.tags.list(workspace_ids=[emulator.workspace_id])) == []
