"""One of each, whatever happens to a request, and whoever else is at it."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteAmbiguousNameError,
    AirbyteError,
    AirbyteServerError,
    run_blocking,
)
from airflow_provider_airbyte_sme.provisioning.declarations import WorkspaceDeclaration
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteExistsError,
    AirbyteNotStoredError,
)
from airflow_provider_airbyte_sme.provisioning.parsing import parse_actor
from tests.unit.provisioning.conftest import World
from tests.unit.provisioning.pipelines import (
    CONNECTION,
    DESTINATION,
    SOURCE,
    changed,
    configured,
    pipeline,
)

NAMES = {
    "workspace": "Team A",
    "tag": "gold",
    "source": "CRM",
    "destination": "Lake",
    "connection": "crm to lake",
}
KINDS = list(NAMES)
CREATE = {kind: f"POST /{kind}s" for kind in KINDS}
PIPELINE = pipeline()


def actions(results):
    return {result.kind: str(result.action) for result in results}


def one_of_each(world: World) -> bool:
    return all(world.count(kind, name) == 1 for kind, name in NAMES.items())


def test_a_pipeline_is_created_once_and_then_unchanged_without_a_write(world):
    assert actions(world.apply(PIPELINE)) == dict.fromkeys(KINDS, "created")
    writes = world.writes

    results = world.apply(PIPELINE)

    assert actions(results) == dict.fromkeys(KINDS, "unchanged")
    assert world.writes == writes
    assert one_of_each(world)


def test_a_dry_run_writes_nothing_and_discovers_nothing(world):
    assert actions(world.apply(PIPELINE, dry_run=True)) == dict.fromkeys(KINDS, "would_create")
    world.apply(pipeline(connections=[]))
    source_id = run_blocking(world.client.sources.list())[-1].id
    writes = world.writes

    results = world.apply(PIPELINE, dry_run=True)

    assert actions(results)["connection"] == "would_create"
    assert world.writes == writes
    assert world.emulator.discovers(source_id) == 0


def test_a_dry_run_of_a_new_workspace_has_the_changes_of_the_run_itself(world):
    planned = world.apply(PIPELINE, dry_run=True)

    done = world.apply(PIPELINE)

    assert [(each.kind, each.name, each.changes) for each in planned] == [
        (each.kind, each.name, each.changes) for each in done
    ]


def test_a_dry_run_plans_a_connection_of_a_source_that_does_not_exist_yet(world):
    world.apply(WITHOUT["source"])

    results = world.apply(PIPELINE, dry_run=True)

    assert actions(results) == {
        "workspace": "unchanged",
        "tag": "unchanged",
        "source": "would_create",
        "destination": "unchanged",
        "connection": "would_create",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_creation_whose_response_is_lost_is_found_and_not_repeated(world, kind):
    world.emulator.drop_next(CREATE[kind])

    assert actions(world.apply(PIPELINE))[kind] == "created"

    assert world.writes.count(CREATE[kind]) == 1
    assert one_of_each(world)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("was_executed", [True, False])
def test_a_creation_that_ends_with_503_is_repeated_only_if_it_had_no_effect(
    world, kind, was_executed
):
    world.emulator.fail_next(CREATE[kind], 503, after=was_executed)

    world.apply(PIPELINE)

    assert world.writes.count(CREATE[kind]) == (1 if was_executed else 2)
    assert one_of_each(world)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_died_after_a_creation_is_completed_by_the_next(world, kind):
    def die() -> None:
        raise KeyboardInterrupt

    world.emulator.call_next(CREATE[kind], die, after=True)
    with pytest.raises(KeyboardInterrupt):
        world.apply(PIPELINE)

    world.apply(PIPELINE)

    assert one_of_each(world)


def test_a_500_that_may_be_the_callers_fault_is_shown_and_not_repeated(world):
    body = {
        "type": "https://reference.airbyte.com/reference/errors",
        "title": "unexpected-problem",
        "status": 500,
        "data": {"message": "Field 'x' is too long"},
    }
    world.emulator.fail_next(CREATE["source"], 500, times=None, body=body)

    with pytest.raises(AirbyteServerError, match="Field 'x' is too long"):
        world.apply(PIPELINE)

    assert world.writes.count(CREATE["source"]) == 1


@pytest.mark.parametrize(
    ("route", "update"),
    [
        ("PATCH /sources/{sourceId}", {"sources": [configured(SOURCE, host="new.example.com")]}),
        (
            "PATCH /destinations/{destinationId}",
            {"destinations": [configured(DESTINATION, destination_path="/new.duckdb")]},
        ),
        ("PATCH /connections/{connectionId}", {"connections": [changed(CONNECTION, prefix="x_")]}),
        ("PATCH /tags/{tagId}", {"tags": [{"name": "gold", "color": "000000"}]}),
    ],
)
@pytest.mark.parametrize("fault", ["lost", "503 before", "503 after"])
def test_a_change_is_written_until_it_is_there(world, route, update, fault):
    world.apply(PIPELINE)
    if fault == "lost":
        world.emulator.drop_next(route)
    else:
        world.emulator.fail_next(route, 503, after=fault == "503 after")

    results = world.apply(pipeline(**update))

    assert sorted(actions(results).values()) == ["unchanged"] * 4 + ["updated"]
    assert world.writes.count(route) == (2 if fault == "503 before" else 1)
    assert set(actions(world.apply(pipeline(**update))).values()) == {"unchanged"}
    assert one_of_each(world)


def test_a_value_that_airbyte_accepts_but_does_not_store_is_an_error(world):
    world.apply(PIPELINE)
    world.emulator.alter_next("GET /tags/{tagId}", lambda body: {**body, "color": "FFD700"}, None)

    with pytest.raises(AirbyteNotStoredError, match="color: declared '000000' → actual 'FFD700'"):
        world.apply(pipeline(tags=[{"name": "gold", "color": "000000"}]))


class TestSeveralOfOneName:
    @pytest.mark.parametrize("kind", ["workspace", "source", "destination", "connection"])
    def test_is_an_error_that_names_all_ids(self, world, kind):
        world.apply(PIPELINE)
        twin = create_twin(world, kind)

        with pytest.raises(AirbyteAmbiguousNameError) as error:
            world.apply(PIPELINE)

        assert twin in error.value.ids
        assert len(error.value.ids) == 2
        assert all(each in str(error.value) for each in error.value.ids)

    @pytest.mark.parametrize("kind", ["source", "destination", "connection"])
    def test_the_newer_one_that_this_task_created_is_deleted(self, world, kind):
        world.apply(pipeline(connections=[]) if kind == "connection" else WITHOUT[kind])
        rival = None

        def create_rival() -> None:
            nonlocal rival
            rival = create_twin(world, kind)
            world.emulator.advance(5)

        world.emulator.call_next(CREATE[kind], create_rival)

        results = world.apply(PIPELINE)

        result = next(each for each in results if each.kind == kind)
        assert result.resource_id == rival
        assert "at the same time" in " ".join(result.notes)
        assert one_of_each(world)

    def test_whoever_created_the_newer_one_deletes_it(self, world):
        world.apply(WITHOUT["source"])
        rival = None

        def create_rival() -> None:
            nonlocal rival
            world.emulator.advance(5)
            rival = create_twin(world, "source")

        world.emulator.call_next(CREATE["source"], create_rival, after=True)
        world.wire.after_next_sleep(lambda: run_blocking(world.client.sources.delete(rival)))

        results = world.apply(PIPELINE)

        assert results[2].resource_id != rival
        assert one_of_each(world)

    def test_that_somebody_leaves_there_is_an_error(self, world):
        world.apply(WITHOUT["source"])

        def create_rival() -> None:
            world.emulator.advance(5)
            create_twin(world, "source")

        world.emulator.call_next(CREATE["source"], create_rival, after=True)

        with pytest.raises(AirbyteAmbiguousNameError):
            world.apply(PIPELINE)

    def test_is_impossible_for_tags_so_the_slower_task_takes_the_other_one(self, world):
        workspace_id = world.apply(pipeline(tags=[], connections=[]))[0].resource_id
        theirs = {"name": "gold", "color": "000000", "workspaceId": workspace_id}
        world.emulator.call_next(
            CREATE["tag"], lambda: run_blocking(world.client.tags.create(theirs))
        )

        results = world.apply(PIPELINE)

        assert actions(results)["tag"] == "updated"
        assert world.count("tag", "gold") == 1

    def test_of_which_none_is_surely_ours_is_an_error_and_none_is_deleted(self, world):
        world.apply(WITHOUT["source"])

        def create_rivals() -> None:
            create_twin(world, "source")
            world.emulator.advance(5)
            create_twin(world, "source")

        world.emulator.drop_next(CREATE["source"], after=False)
        world.wire.after_next_sleep(create_rivals)

        with pytest.raises(AirbyteAmbiguousNameError):
            world.apply(PIPELINE)

        assert world.count("source", "CRM") == 2

    def test_of_the_same_second_that_nobody_deletes_ours_is_deleted(self, world):
        world.apply(WITHOUT["source"])
        rival = None

        def create_rival() -> None:
            nonlocal rival
            rival = create_twin(world, "source")

        world.emulator.call_next(CREATE["source"], create_rival, after=True)

        results = world.apply(PIPELINE)

        assert results[2].resource_id == rival
        assert one_of_each(world)


WITHOUT = {
    "source": pipeline(sources=[], connections=[]),
    "destination": pipeline(destinations=[], connections=[]),
}


def create_twin(world: World, kind: str) -> str:
    """Create a second resource with the name of a declared one, as another task would."""
    workspace_id = next(
        each.workspace_id
        for each in run_blocking(world.client.workspaces.list())
        if each.name == "Team A"
    )
    if kind == "workspace":
        return world.emulator.add_workspace("Team A")
    if kind == "source":
        return world.emulator.add_source(
            "CRM",
            connector="postgres",
            workspace_id=workspace_id,
            configuration=SOURCE["configuration"],
        )
    if kind == "destination":
        return world.emulator.add_destination(
            "Lake",
            connector="duckdb",
            workspace_id=workspace_id,
            configuration=DESTINATION["configuration"],
        )
    return world.emulator.add_connection(
        name="crm to lake",
        source_id=id_of(world, "source"),
        destination_id=id_of(world, "destination"),
    )


def id_of(world: World, kind: str) -> str:
    resources = run_blocking(getattr(world.client, f"{kind}s").list())
    return next(each.id for each in resources if each.name == NAMES[kind])


class TestIfExists:
    @pytest.fixture
    def workspace_id(self, world):
        world.apply(PIPELINE)
        return id_of(world, "workspace")

    def test_reuse_returns_what_exists_without_a_comparison(self, world, workspace_id):
        declaration = parse_actor("source", configured(SOURCE, host="other.example.com"))
        writes = world.writes

        result = run_blocking(
            world.provisioner().ensure_actor(declaration, workspace_id, if_exists="reuse")
        )

        assert (str(result.action), result.resource_id) == ("unchanged", id_of(world, "source"))
        assert world.writes == writes

    def test_fail_is_an_error_with_the_id(self, world, workspace_id):
        with pytest.raises(AirbyteExistsError, match=workspace_id):
            run_blocking(
                world.provisioner().ensure_workspace(
                    WorkspaceDeclaration("Team A"), if_exists="fail"
                )
            )


def test_an_outage_while_a_lost_creation_is_looked_for_is_survived(world):
    world.emulator.drop_next(CREATE["source"])
    world.emulator.call_next(
        CREATE["source"], lambda: world.emulator.fail_next("GET /sources", 503, 3), after=True
    )

    world.apply(PIPELINE)

    assert one_of_each(world)


def test_a_creation_that_never_succeeds_ends_with_its_error(world):
    world.emulator.fail_next(CREATE["source"], 503, times=None)

    with pytest.raises(AirbyteError):
        world.apply(PIPELINE)

    assert world.writes.count(CREATE["source"]) == 3
