"""What differs is found, written and reported; nothing else is touched. Over the emulator."""

from __future__ import annotations

import logging
from copy import deepcopy

import pytest

from airflow_provider_airbyte_sme.api import AirbyteConfigError, run_blocking
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteImmutableFieldError,
    AirbyteStateLossError,
)
from airflow_provider_airbyte_sme.provisioning.results import MASK, Action
from tests.unit.provisioning.pipelines import (
    CONNECTION,
    DESTINATION,
    SECRET,
    SOURCE,
    changed,
    configured,
    pipeline,
)

PATCH_SOURCE = "PATCH /sources/{sourceId}"
PATCH_CONNECTION = "PATCH /connections/{connectionId}"


def result_of(results, kind):
    return next(each for each in results if each.kind == kind)


def test_drift_is_reported_field_by_field(world, ids, caplog):
    caplog.set_level(logging.INFO)
    run_blocking(
        world.client.sources.update(ids["source"], {"configuration": {"host": "x", "port": 1}})
    )

    result = result_of(world.apply(pipeline()), "source")

    assert [change._asdict() for change in result.changes] == [
        {"field": "configuration.host", "before": "x", "after": "db.example.com"},
        {"field": "configuration.port", "before": 1, "after": 5432},
    ]
    assert "configuration.host: declared 'db.example.com' → actual 'x'" in caplog.text
    assert world.emulator.requests[-1].json is None
    assert world.apply(pipeline())[2].action == Action.UNCHANGED


def test_only_what_differs_is_sent(world, ids):
    world.apply(pipeline(sources=[configured(SOURCE, host="new.example.com")]))

    sent = [each.json for each in world.emulator.requests if each.route == PATCH_SOURCE]
    assert sent == [{"configuration": {"host": "new.example.com"}}]


def test_what_is_not_declared_is_listed_once_and_left_alone(world, ids, caplog):
    caplog.set_level(logging.INFO)
    run_blocking(
        world.client.sources.update(ids["source"], {"configuration": {"jdbc_url_params": "a=b"}})
    )

    result = result_of(world.apply(pipeline()), "source")

    assert result.action == Action.UNCHANGED
    assert "configuration.jdbc_url_params" in result.not_compared
    assert caplog.text.count("configuration.jdbc_url_params") == 1


class TestSecrets:
    def stored(self, world, ids, path="password"):
        return world.emulator.secret_of(ids["source"], path)

    def test_an_unchanged_one_is_not_sent_again_with_another_change(self, world, ids):
        version = coordinate(world, ids)

        world.apply(pipeline(sources=[configured(SOURCE, host="new.example.com")]))

        assert self.stored(world, ids) == SECRET
        assert coordinate(world, ids) == version

    def test_a_changed_one_is_written_once(self, world, ids):
        rotated = pipeline(sources=[configured(SOURCE, password="rotated")])

        result = result_of(world.apply(rotated), "source")

        assert result.action == Action.UPDATED
        assert self.stored(world, ids) == "rotated"
        assert result_of(world.apply(rotated), "source").action == Action.UNCHANGED
        assert world.writes.count(PATCH_SOURCE) == 1

    def test_one_that_somebody_else_changed_is_written_again(self, world, ids):
        run_blocking(
            world.client.sources.update(ids["source"], {"configuration": {"password": "theirs"}})
        )

        result = result_of(world.apply(pipeline()), "source")

        assert self.stored(world, ids) == SECRET
        assert "changed by somebody else" in str(result.changes)
        assert "version 1 -> 2" in str(result.changes)

    def test_one_of_a_source_that_somebody_else_created_is_written_once(self, world, ids):
        world.store.delete(ids["source"])

        assert result_of(world.apply(pipeline()), "source").action == Action.UPDATED
        assert result_of(world.apply(pipeline()), "source").action == Action.UNCHANGED

    def test_the_mask_keeps_the_stored_one(self, world, ids):
        masked = pipeline(sources=[configured(SOURCE, password=MASK, host="new.example.com")])

        result = result_of(world.apply(masked), "source")

        assert [change.field for change in result.changes] == ["configuration.host"]
        assert self.stored(world, ids) == SECRET

    def test_the_mask_creates_nothing(self, world):
        with pytest.raises(AirbyteDeclarationError, match=r"configuration\.password"):
            world.apply(pipeline(sources=[configured(SOURCE, password=MASK)]))

        assert world.count("source", "CRM") == 0

    def test_another_branch_needs_every_secret(self, world, ids):
        tunnel = {
            "tunnel_method": "SSH_PASSWORD_AUTH",
            "tunnel_host": "bastion.example.com",
            "tunnel_port": 22,
            "tunnel_user": "u",
            "tunnel_user_password": "tunnel-secret",
        }
        world.apply(pipeline(sources=[configured(SOURCE, tunnel_method=tunnel)]))
        key = {
            "tunnel_method": "SSH_KEY_AUTH",
            "tunnel_host": "bastion.example.com",
            "tunnel_port": 22,
            "tunnel_user": "u",
            "ssh_key": "the-key",
        }
        masked = configured(SOURCE, tunnel_method=key, password=MASK)

        with pytest.raises(AirbyteDeclarationError, match=r"configuration\.password"):
            world.apply(pipeline(sources=[masked]))
        world.apply(pipeline(sources=[configured(SOURCE, tunnel_method=key)]))

        assert self.stored(world, ids) == SECRET
        assert self.stored(world, ids, "tunnel_method.ssh_key") == "the-key"
        actual = run_blocking(world.client.sources.get(ids["source"])).configuration
        assert set(actual["tunnel_method"]) == set(key)

    @pytest.mark.parametrize(("policy", "versions"), [("always", 3), ("never", 1)])
    def test_the_policy_can_be_always_or_never(self, world, policy, versions):
        declared = pipeline(
            sources=[changed(SOURCE, update_secrets=policy)], destinations=[], connections=[]
        )
        results = world.apply(declared)
        found = {result.kind: result.resource_id for result in results}
        if policy == "always":
            # Each run writes once, and a run is not repeated because of it.
            world.apply(declared)
            world.apply(declared)
        else:
            world.apply(deepcopy(declared))

        assert coordinate(world, found).endswith(f"_v{versions}")

    def test_none_is_in_a_result_or_the_log(self, world, caplog):
        caplog.set_level(logging.DEBUG)
        results = world.apply(pipeline(), dry_run=True)
        results += world.apply(pipeline())
        results += world.apply(pipeline(sources=[configured(SOURCE, password="rotated-secret")]))

        said = caplog.text + str([result.to_json() for result in results]) + repr(results)
        assert SECRET not in said
        assert "rotated-secret" not in said
        assert {SECRET, "rotated-secret"} <= world.hidden

    def test_none_is_in_an_error_that_quotes_the_configuration(self, world):
        world.emulator.fail_next(
            "POST /sources",
            422,
            body={
                "type": "https://reference.airbyte.com/reference/errors#unprocessable-entity",
                "title": "unprocessable-entity",
                "status": 422,
                "data": {"message": f"json schema validation failed: password {SECRET} is bad"},
            },
        )

        with pytest.raises(Exception, match="json schema validation failed") as error:
            world.apply(pipeline())

        assert SECRET not in str(error.value)


def coordinate(world, ids):
    source = run_blocking(world.client.sources.get(ids["source"], include_secret_coordinates=True))
    return source.configuration["password"]


def test_a_resource_allocation_survives_a_change_of_something_else(world, ids):
    allocation = {"default": {"cpu_limit": "2"}}
    run_blocking(world.client.sources.update(ids["source"], {"resourceAllocation": allocation}))

    world.apply(pipeline(sources=[configured(SOURCE, host="new.example.com")]))

    actual = run_blocking(world.client.sources.get(ids["source"]))
    assert actual.resource_allocation == allocation


def test_another_connector_is_an_error_and_nothing_is_recreated(world, ids):
    mysql = changed(SOURCE, source_type="mysql")
    mysql["configuration"] = {
        **SOURCE["configuration"],
        "replication_method": {"method": "STANDARD"},
    }

    with pytest.raises(AirbyteImmutableFieldError, match="mysql"):
        world.apply(pipeline(sources=[mysql]))

    assert result_of(world.apply(pipeline()), "source").resource_id == ids["source"]


def test_an_unknown_connector_is_named_with_similar_ones(world):
    with pytest.raises(AirbyteConfigError, match=r"'postgers'.*'postgres'"):
        world.apply(pipeline(sources=[changed(SOURCE, source_type="postgers")]))


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("workspace", ["Team A", "New team"])
def test_every_problem_of_a_pipeline_is_said_before_the_first_write(world, workspace, dry_run):
    world.apply(pipeline(sources=[], destinations=[], connections=[]))
    writes = world.writes
    wrong = pipeline(
        sources=[configured(SOURCE, port="many", hots="x")],
        destinations=[changed(DESTINATION, configuration={})],
        workspace=workspace,
    )

    with pytest.raises(AirbyteDeclarationError) as error:
        world.apply(wrong, dry_run=dry_run)

    said = str(error.value)
    assert world.writes == writes
    assert all(
        part in said
        for part in ("configuration.port", "configuration.hots", "configuration.destination_path")
    )


class TestConnections:
    def test_a_sync_mode_that_would_lose_state_is_refused_until_allowed(self, world, ids):
        incremental = changed(
            CONNECTION,
            streams=[
                {"name": "orders", "sync_mode": "incremental_append", "cursor_field": "updated_at"}
            ],
        )
        world.apply(pipeline(connections=[incremental]))
        run_sync(world, ids)

        with pytest.raises(AirbyteStateLossError, match="orders"):
            world.apply(pipeline())
        allowed = changed(CONNECTION, allow_state_loss=True)

        assert result_of(world.apply(pipeline(connections=[allowed])), "connection").action == (
            Action.UPDATED
        )

    def test_a_sync_mode_may_change_where_there_is_no_state(self, world, ids):
        incremental = changed(
            CONNECTION,
            streams=[
                {"name": "orders", "sync_mode": "incremental_append", "cursor_field": "updated_at"}
            ],
        )

        results = world.apply(pipeline(connections=[incremental]))

        assert result_of(results, "connection").action == Action.UPDATED

    def test_missing_tags_are_created_and_those_of_people_stay(self, world, ids):
        tag = run_blocking(
            world.client.tags.create(
                {"name": "by hand", "color": "000000", "workspaceId": ids["workspace"]}
            )
        )
        actual = run_blocking(world.client.connections.get(ids["connection"]))
        run_blocking(
            world.client.connections.update(
                ids["connection"], {"tags": [each.to_json() for each in (*actual.tags, tag)]}
            )
        )

        world.apply(pipeline(connections=[changed(CONNECTION, tags=["gold", "new"])]))

        actual = run_blocking(world.client.connections.get(ids["connection"]))
        assert {each.name for each in actual.tags} == {"gold", "new", "by hand"}

    def test_a_connection_that_airbyte_disabled_stays_disabled_unless_declared(self, world, ids):
        world.emulator.set_connection_status(ids["connection"], "inactive")

        assert result_of(world.apply(pipeline()), "connection").action == Action.UNCHANGED
        active = changed(CONNECTION, status="active")
        result = result_of(world.apply(pipeline(connections=[active])), "connection")

        assert [change.field for change in result.changes] == ["status"]

    def test_a_deleted_connection_is_never_revived(self, world, ids):
        run_blocking(world.client.connections.delete(ids["connection"]))

        result = result_of(world.apply(pipeline()), "connection")

        assert result.action == Action.CREATED
        assert result.resource_id != ids["connection"]

    def test_another_source_is_an_error(self, world, ids):
        other = changed(SOURCE, name="CRM 2")

        with pytest.raises(AirbyteImmutableFieldError, match="source"):
            world.apply(
                pipeline(sources=[SOURCE, other], connections=[changed(CONNECTION, source="CRM 2")])
            )

    def test_all_selects_every_stream_that_the_source_offers(self, world):
        results = world.apply(pipeline(connections=[changed(CONNECTION, streams="all")]))

        actual = run_blocking(
            world.client.connections.get(result_of(results, "connection").resource_id)
        )
        assert {stream.name for stream in actual.streams} == {"customers", "orders"}

    def test_a_deleted_destination_is_refused_before_creating(self, world, ids):
        deleted = ids["destination"]
        run_blocking(world.client.connections.delete(ids["connection"]))
        run_blocking(world.client.destinations.delete(deleted))
        by_id = {key: value for key, value in CONNECTION.items() if key != "destination"}

        with pytest.raises(AirbyteConfigError, match=deleted):
            world.apply(
                pipeline(destinations=[], connections=[{**by_id, "destination_id": deleted}])
            )


def run_sync(world, ids):
    world.emulator.start_sync(ids["connection"])
    world.emulator.advance(3600)


def test_an_unchanged_pipeline_of_50_connections_needs_a_handful_of_requests(world):
    connections = [changed(CONNECTION, name=f"connection {number}") for number in range(50)]
    world.apply(pipeline(connections=connections))
    before = len(world.emulator.requests)

    results = world.apply(pipeline(connections=connections))

    assert {result.action for result in results} == {Action.UNCHANGED}
    # One page each of workspaces, tags, sources, destinations and connections, two specifications,
    # and the coordinates of one source.
    assert len(world.emulator.requests) - before <= 8
