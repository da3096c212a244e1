"""What is deleted, what goes with it, and that it is gone in the end."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteAmbiguousNameError,
    AirbytePermissionError,
    run_blocking,
)
from airflow_provider_airbyte_sme.provisioning.errors import AirbyteInUseError
from airflow_provider_airbyte_sme.provisioning.results import Action

DELETE_SOURCE = "DELETE /sources/{sourceId}"
DELETE_WORKSPACE = "DELETE /workspaces/{workspaceId}"


def remaining(world, kind):
    group = getattr(world.client, f"{kind}s")
    return [each.id for each in run_blocking(group.list())]


@pytest.mark.parametrize("kind", ["tag", "connection"])
def test_a_resource_on_which_nothing_hangs_is_deleted_by_its_id(world, ids, kind):
    result = world.delete(kind=kind, resource_id=ids[kind])

    assert result.action == Action.DELETED
    assert ids[kind] not in remaining(world, kind)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("connection", "crm to lake"), ("tag", "gold")],
)
def test_a_resource_is_deleted_by_its_name(world, ids, kind, name):
    result = world.delete(kind=kind, name=name, workspace_id=ids["workspace"])

    assert (result.action, result.resource_id) == (Action.DELETED, ids[kind])
    assert ids[kind] not in remaining(world, kind)


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_connections_that_would_go_with_it_are_named(world, ids, kind):
    with pytest.raises(AirbyteInUseError, match=rf"'crm to lake' \({ids['connection']}\)"):
        world.delete(kind=kind, resource_id=ids[kind])

    assert ids[kind] in remaining(world, kind)
    assert ids["connection"] in remaining(world, "connection")


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_they_go_with_it_if_that_is_allowed(world, ids, kind):
    result = world.delete(kind=kind, resource_id=ids[kind], cascade=True)

    assert result.action == Action.DELETED
    assert ids["connection"] in " ".join(result.notes)
    assert ids[kind] not in remaining(world, kind)
    assert ids["connection"] not in remaining(world, "connection")


def test_a_workspace_is_not_deleted_while_something_is_in_it(world, ids):
    with pytest.raises(AirbyteInUseError, match="cascade=True"):
        world.delete(kind="workspace", resource_id=ids["workspace"])


def test_every_actor_of_a_workspace_is_deleted_before_it(world, ids):
    for number in range(25):
        world.emulator.add_source(f"source {number}", workspace_id=ids["workspace"])

    world.delete(kind="workspace", resource_id=ids["workspace"], cascade=True)

    left = run_blocking(
        world.client.sources.list(workspace_ids=[ids["workspace"]], include_deleted=False)
    )
    deletes = [route for route in world.writes if route == DELETE_SOURCE]
    assert (left, len(deletes)) == ([], 26)
    assert ids["workspace"] not in remaining(world, "workspace")


@pytest.mark.parametrize("kind", ["workspace", "source", "destination", "connection", "tag"])
def test_what_is_gone_is_absent(world, ids, kind):
    world.delete(kind=kind, resource_id=ids[kind], cascade=True)
    writes = world.writes

    result = world.delete(kind=kind, resource_id=ids[kind], cascade=True)

    assert (result.action, world.writes) == (Action.ABSENT, writes)
    assert "nothing to delete" in result.notes[0]


def test_an_unknown_name_is_absent(world, ids):
    result = world.delete(kind="source", name="Nobody", workspace_id=ids["workspace"])

    assert result.action == Action.ABSENT


def test_an_ambiguous_name_is_an_error_with_the_ids(world, ids):
    twin = world.emulator.add_source("CRM", workspace_id=ids["workspace"])

    with pytest.raises(AirbyteAmbiguousNameError) as error:
        world.delete(kind="source", name="CRM", workspace_id=ids["workspace"], cascade=True)

    assert set(error.value.ids) == {ids["source"], twin}


def test_a_dry_run_deletes_nothing_and_says_what_would_go(world, ids):
    writes = world.writes

    result = world.delete(kind="source", resource_id=ids["source"], cascade=True, dry_run=True)

    assert (result.action, world.writes) == (Action.WOULD_DELETE, writes)
    assert ids["connection"] in " ".join(result.notes)


@pytest.mark.parametrize(
    ("kind", "route"), [("source", DELETE_SOURCE), ("workspace", DELETE_WORKSPACE)]
)
@pytest.mark.parametrize("fault", ["lost", "503 before", "503 after"])
def test_a_deletion_survives_a_failed_response(world, ids, kind, route, fault):
    if fault == "lost":
        world.emulator.drop_next(route)
    else:
        world.emulator.fail_next(route, 503, after=fault == "503 after")

    result = world.delete(kind=kind, resource_id=ids[kind], cascade=True)

    assert result.action == Action.DELETED
    assert ids[kind] not in remaining(world, kind)


def test_the_fingerprints_of_a_deleted_source_are_forgotten(world, ids):
    assert world.store.read(ids["source"]).fingerprints

    world.delete(kind="source", resource_id=ids["source"], cascade=True)

    assert not world.store.read(ids["source"]).fingerprints


def test_an_id_that_the_user_may_not_see_is_no_success(world, ids):
    world.emulator.fail_next(
        "GET /sources/{sourceId}",
        403,
        body={
            "type": "https://reference.airbyte.com/reference/errors#forbidden",
            "title": "forbidden",
            "status": 403,
            "data": {"message": "The user does not have the required permissions."},
        },
    )

    with pytest.raises(AirbytePermissionError):
        world.delete(kind="source", resource_id=ids["source"], cascade=True)
