"""Connections: a declaration is checked, compared, applied once, and then never again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api.models import AirbyteConnection
from airflow_provider_airbyte_sme.api.models.connections import (
    ConnectionStream,
    FieldPath,
    Schedule,
    StreamProperties,
)
from airflow_provider_airbyte_sme.provisioning.connections import (
    mapper_secrets,
    needs_offered_streams,
    plan_connection,
    plan_connection_creation,
    state_losses,
    validate_connection,
)
from airflow_provider_airbyte_sme.provisioning.declarations import (
    ConnectionDeclaration,
    StreamDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteDeclarationError,
    AirbyteImmutableFieldError,
    AirbyteStateLossError,
)
from airflow_provider_airbyte_sme.provisioning.results import Plan
from tests.unit.api.malformed import reproducible
from tests.unit.provisioning.reference_server import (
    CONNECTION_ID,
    DESTINATION_ID,
    SOURCE_ID,
    WORKSPACE_ID,
    ReferenceServer,
    tag,
)

ORDERS = StreamProperties("orders", "public", fields=(("id",), ("updated_at",)))
STORED_ORDERS = ConnectionStream(
    "orders", "public", sync_mode="incremental_append", cursor_field=("updated_at",)
)
DECLARED_ORDERS = StreamDeclaration("orders", "public", sync_mode="incremental_append")
TAGS = {name: tag(name) for name in ("finance", "daily", "old")}
STORED = AirbyteConnection(
    CONNECTION_ID,
    "crm",
    "inactive",
    WORKSPACE_ID,
    SOURCE_ID,
    DESTINATION_ID,
    streams=(STORED_ORDERS,),
    schedule=Schedule("cron", "0 0 3 * * ? UTC"),
    schema_changes="ignore",
    namespace_format="kept",
    tags=(TAGS["old"],),
)
SECRET = "3031323334353637"
AES = {
    "type": "encryption",
    "mapperConfiguration": {
        "algorithm": "AES",
        "targetField": "id",
        "fieldNameSuffix": "_encrypted",
        "key": SECRET,
        "mode": "CBC",
        "padding": "NoPadding",
    },
}
HASHING = {
    "type": "hashing",
    "mapperConfiguration": {"targetField": "id", "method": "MD5", "fieldNameSuffix": "_h"},
}
RENAMING = {
    "type": "field-renaming",
    "mapperConfiguration": {"originalFieldName": "amount", "newFieldName": "total"},
}


def declare(**fields: Any) -> ConnectionDeclaration:
    declaration = ConnectionDeclaration("crm", SOURCE_ID, DESTINATION_ID, (DECLARED_ORDERS,))
    return replace(declaration, **fields)


def planned(actual: AirbyteConnection = STORED, **fields: Any) -> Plan:
    return plan_connection(declare(**fields), actual, (ORDERS,), TAGS)


# What is known without Airbyte.


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": " "}, "name: empty"),
        ({"status": "deprecated"}, "status: 'deprecated' is not one of active, inactive"),
        ({"schema_changes": "propagate"}, "schema_changes: 'propagate' is not one of ignore, "),
        ({"namespace_definition": "custom"}, "namespace_definition: 'custom' is not one of"),
        ({"namespace_definition": "custom_format"}, "namespace_format: custom_format needs one"),
        ({"namespace_format": "raw"}, "namespace_format: it counts only with"),
        (
            {"namespace_format": "raw", "namespace_definition": "source"},
            "namespace_format: it counts only with",
        ),
        ({"schedule": "0 3 * * *"}, "Unix"),
        ({"tags": ("a", "a")}, "tags: 'a' declared 2 times"),
        ({"tags": ("",)}, "tags: a name is empty"),
        ({"tags": ("x" * 31,)}, "has 31 characters; Airbyte allows 30"),
        ({"streams": ()}, "streams: empty"),
        ({"streams": (StreamDeclaration(""),)}, "name: empty"),
    ],
)
def test_an_invalid_declaration_is_refused_with_its_field(
    fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(AirbyteDeclarationError, match="connection '") as raised:
        validate_connection(declare(**fields))
    [found] = raised.value.problems
    assert problem in found


def test_all_problems_are_reported_at_once() -> None:
    streams = (StreamDeclaration("a", sync_mode="full"), StreamDeclaration("b", mappers=({},)))
    with pytest.raises(AirbyteDeclarationError) as raised:
        validate_connection(
            declare(streams=streams, status="on", tags=("x" * 31,), schedule="@daily")
        )
    assert len(raised.value.problems) == 5


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"streams": "all", "tags": (), "prefix": "", "schedule": "manual", "status": "active"},
        {"namespace_definition": "custom_format", "namespace_format": "${SOURCE_NAMESPACE}"},
        {"tags": ("x" * 30,), "schedule": "0 0 3 * * ?", "schema_changes": "propagate_fully"},
    ],
)
def test_a_valid_declaration_passes(fields: dict[str, Any]) -> None:
    validate_connection(declare(**fields))


# Settings.


@pytest.mark.parametrize(
    ("fields", "change", "payload"),
    [
        ({"name": "erp"}, ("name", "crm", "erp"), {"name": "erp"}),
        ({"prefix": "raw_"}, ("prefix", None, "raw_"), {"prefix": "raw_"}),
        ({"status": "active"}, ("status", "inactive", "active"), {"status": "active"}),
        (
            {"schedule": "manual"},
            ("schedule", "0 0 3 * * ?", "manual"),
            {"schedule": {"scheduleType": "manual"}},
        ),
        (
            {"schema_changes": "propagate_fully"},
            ("schema_changes", "ignore", "propagate_fully"),
            {"nonBreakingSchemaUpdatesBehavior": "propagate_fully"},
        ),
        (
            {"namespace_definition": "custom_format", "namespace_format": "kept"},
            ("namespace_definition", "destination", "custom_format"),
            {"namespaceDefinition": "custom_format"},
        ),
    ],
)
def test_only_the_setting_that_differs_is_sent(
    fields: dict[str, Any], change: tuple[str, Any, Any], payload: dict[str, Any]
) -> None:
    plan = planned(**fields)
    assert plan.changes == (change,)
    assert plan.payload == payload


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prefix": ""},
        {"schedule": "0 0 3 * * ? utc"},
        {"status": "inactive", "schema_changes": "ignore", "tags": ("old",)},
        {"source_id": SOURCE_ID.upper()},
    ],
)
def test_what_airbyte_stores_already_is_no_change(fields: dict[str, Any]) -> None:
    assert planned(STORED, **fields).changes == ()


def test_a_missing_schema_change_behaviour_is_the_default() -> None:
    assert planned(replace(STORED, schema_changes=""), schema_changes="ignore").changes == ()


def test_a_prefix_is_taken_away_with_an_empty_text() -> None:
    assert planned(replace(STORED, prefix="raw_"), prefix="").payload == {"prefix": ""}


def test_a_basic_schedule_is_replaced_and_shown_as_airbyte_describes_it() -> None:
    basic = replace(STORED, schedule=Schedule("basic", basic_timing="Every 24 HOURS"))
    [change] = planned(basic, schedule="manual").changes
    assert change.before == "Every 24 HOURS"
    assert planned(basic).changes == ()


def test_settings_that_are_not_declared_are_listed_once() -> None:
    assert planned().not_compared == (
        "namespace_definition",
        "status",
        "schema_changes",
        "schedule",
        "tags",
        "streams.public.orders.cursor_field",
    )


@pytest.mark.parametrize("field", ["source_id", "destination_id"])
def test_what_cannot_be_changed_is_an_error_with_both_ids(field: str) -> None:
    other = "00000000-0000-0000-0000-00000000000a"
    with pytest.raises(AirbyteImmutableFieldError, match=f"{field} is .*{other}"):
        planned(STORED, **{field: other})


# Tags.


def sent_tags(plan: Plan) -> set[str]:
    return {each["name"] for each in plan.payload["tags"]}


def test_declared_tags_are_added_to_those_of_other_people() -> None:
    plan = planned(tags=("finance",))
    assert plan.changes == (("tags", ["old"], ["finance", "old"]),)
    assert plan.payload["tags"] == [TAGS["finance"].to_json(), TAGS["old"].to_json()]
    assert "tags.old" in plan.not_compared


def test_present_tags_are_kept_even_if_the_caller_has_not_read_them() -> None:
    finance = {"finance": TAGS["finance"]}
    plan = plan_connection(declare(tags=("finance",)), STORED, None, finance)
    assert sent_tags(plan) == {"finance", "old"}


def test_an_exact_declaration_replaces_the_tags() -> None:
    assert sent_tags(planned(tags=("finance",), exact=True)) == {"finance"}


def test_an_empty_list_takes_all_tags_away() -> None:
    assert planned(tags=()).payload == {"tags": []}


def test_the_order_of_tags_is_no_difference() -> None:
    tagged = replace(STORED, tags=(TAGS["old"], TAGS["daily"]))
    assert planned(tagged, tags=("daily", "old"), exact=True).changes == ()


def test_a_tag_that_does_not_exist_yet_is_a_change_and_not_sent() -> None:
    plan = planned(tags=("new", "daily"))
    assert plan.changes == (("tags", ["old"], ["daily", "new", "old"]),)
    assert sent_tags(plan) == {"daily", "old"}


# State.


def test_a_change_that_deletes_state_must_be_allowed() -> None:
    streams = (replace(DECLARED_ORDERS, sync_mode="full_refresh_overwrite"),)
    with pytest.raises(AirbyteStateLossError) as raised:
        planned(streams=streams)
    text = str(raised.value)
    assert "public.orders (incremental_append → full_refresh_overwrite)" in text
    assert "allow_state_loss=True" in text
    assert planned(streams=streams, allow_state_loss=True).changes
    assert state_losses(declare(streams=streams), STORED) == ("public.orders",)


@pytest.mark.parametrize("mode", ["incremental_append", "incremental_update", None])
def test_a_change_within_incremental_keeps_the_state(mode: str | None) -> None:
    declaration = declare(streams=(replace(DECLARED_ORDERS, sync_mode=mode),))
    assert state_losses(declaration, STORED) == ()


# What the source offers.


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({}, False),
        ({"prefix": "raw_", "tags": ("finance",)}, False),
        ({"streams": "all"}, True),
        ({"streams": (replace(DECLARED_ORDERS, cursor_field=("id",)),)}, True),
        ({"streams": (replace(DECLARED_ORDERS, namespace="other"),)}, True),
        ({"streams": (DECLARED_ORDERS, StreamDeclaration("events"))}, True),
    ],
)
def test_offered_streams_are_read_only_where_streams_may_be_written(
    fields: dict[str, Any], needed: bool
) -> None:
    assert needs_offered_streams(declare(**fields), STORED) is needed
    assert needs_offered_streams(declare(**fields), None) is True


def test_a_mapper_key_to_be_rewritten_needs_the_offered_streams() -> None:
    stored = replace(STORED_ORDERS, mappers=({**AES, "id": "1"},))
    declaration = declare(streams=(replace(DECLARED_ORDERS, mappers=(AES,)),))
    connection = replace(STORED, streams=(stored,))
    [path] = mapper_secrets(declaration)
    assert not needs_offered_streams(declaration, connection)
    assert needs_offered_streams(declaration, connection, changed_mapper_keys={path})
    plan = plan_connection(declaration, connection, (ORDERS,), TAGS, changed_mapper_keys={path})
    assert plan.secrets == (SECRET,)
    assert SECRET not in repr((plan, plan.changes))


def test_what_is_not_offered_is_refused_before_anything_is_written() -> None:
    with pytest.raises(AirbyteDeclarationError, match="offers no such stream"):
        planned(streams=(StreamDeclaration("customers"),))


# Creation.


def test_a_creation_sends_what_is_declared() -> None:
    declaration = declare(
        streams=(replace(DECLARED_ORDERS, cursor_field=("id",)),),
        schedule="0 0 3 * * ?",
        tags=("finance",),
    )
    plan = plan_connection_creation(declaration, (ORDERS,), TAGS)
    assert plan.payload == {
        "sourceId": SOURCE_ID,
        "destinationId": DESTINATION_ID,
        "name": "crm",
        "schedule": {"scheduleType": "cron", "cronExpression": "0 0 3 * * ?"},
        "tags": [TAGS["finance"].to_json()],
        "configurations": {
            "streams": [
                {
                    "name": "orders",
                    "namespace": "public",
                    "syncMode": "incremental_append",
                    "cursorField": ["id"],
                }
            ]
        },
    }
    fields = [change.field for change in plan.changes]
    assert fields == ["name", "schedule", "tags", "streams.public.orders"]


def test_a_creation_with_all_leaves_the_sync_modes_to_airbyte() -> None:
    plan = plan_connection_creation(declare(streams="all"), (ORDERS,), TAGS)
    assert plan.payload["configurations"]["streams"] == [{"name": "orders", "namespace": "public"}]


def test_a_creation_without_any_stream_is_refused() -> None:
    with pytest.raises(AirbyteDeclarationError, match="the source offers none"):
        plan_connection_creation(declare(streams="all"), (), TAGS)


# Against a model of the server.

FIELDS: tuple[FieldPath, ...] = (("id",), ("updated_at",), ("amount",))
MODES = (
    "full_refresh_append",
    "full_refresh_overwrite",
    "full_refresh_overwrite_deduped",
    "incremental_append",
    "incremental_deduped_history",
)
IDENTITIES = (("orders", "public"), ("orders", "sales"), ("users", "public"), ("events", None))
SELECTIONS = ((), FIELDS, FIELDS[::-1], FIELDS[:2])
MAPPERS = ((), (HASHING,), (AES,), (HASHING, AES), (AES, HASHING), (RENAMING, AES, HASHING))
KEYS = ((), (("id",),), (("id",), ("amount",)))

Draw = Callable[[st.SearchStrategy[Any]], Any]
indexes = cache(lambda count: st.integers(0, count - 1))
quick = settings(reproducible, max_examples=25)
some_identities = st.lists(st.sampled_from(IDENTITIES), min_size=1, unique=True)


@dataclass
class World:
    """A server with a connection, and what is declared of it."""

    server: ReferenceServer
    declaration: ConnectionDeclaration

    def plan(self, offered: bool | None = None) -> Plan:
        read = self.needs_offered if offered is None else offered
        return plan_connection(
            self.declaration,
            self.server.connection,
            self.server.offered if read else None,
            self.server.tags,
        )

    def apply(self) -> None:
        """Write what is planned: the server must accept whatever a plan accepts."""
        if (plan := valid(self.plan)).changes:
            self.server.patch(plan.payload)

    @property
    def needs_offered(self) -> bool:
        return needs_offered_streams(self.declaration, self.server.connection)

    def streams(self) -> dict[tuple[str, str | None], ConnectionStream]:
        return {(each.name, each.namespace): each for each in self.server.connection.streams}


def valid(plan: Callable[[], Plan]) -> Plan:
    """Return a plan, unless the drawn declaration is one that is refused."""
    with suppress(AirbyteDeclarationError):
        return plan()
    return reject()


def pick(draw: Draw, *values: Any) -> Any:
    return values[draw(indexes(len(values)))]


def offered_streams(draw: Draw) -> list[StreamProperties]:
    offered = []
    for name, namespace in draw(some_identities):
        cursor, is_fixed = pick(draw, ((), False), (FIELDS[1], False), (FIELDS[1], True))
        offered.append(
            StreamProperties(
                name,
                namespace,
                sync_modes=tuple(mode for mode in MODES if not mode.endswith("_overwrite_deduped")),
                default_cursor_field=cursor,
                source_defined_cursor=is_fixed,
                source_defined_primary_key=pick(draw, *KEYS),
                fields=FIELDS,
            )
        )
    return offered


def declared_stream(maybe: Callable[..., Any], stream: StreamProperties) -> StreamDeclaration:
    own = stream.source_defined_primary_key
    cursors = (FIELDS[1],) if stream.source_defined_cursor else (FIELDS[1], FIELDS[0])
    return StreamDeclaration(
        stream.name,
        stream.namespace or "",
        sync_mode=maybe(*MODES),
        cursor_field=maybe(*cursors),
        primary_key=maybe(own, own[::-1]) if own else maybe(*KEYS),
        selected_fields=maybe(*SELECTIONS),
        mappers=maybe(*MAPPERS),
    )


def drawn_declaration(
    draw: Draw, streams: list[StreamProperties], *, whole: bool
) -> ConnectionDeclaration:
    """Draw a declaration of some streams; some of its fields are declared, or with *whole* all."""

    def maybe(*values: Any) -> Any:
        return pick(draw, *values) if whole else pick(draw, None, *values)

    chosen = draw(st.lists(st.sampled_from(streams), min_size=1, unique=True))
    return declare(
        streams=tuple(declared_stream(maybe, stream) for stream in chosen),
        schedule=maybe("manual", "0 0 3 * * ?", "0 0 3 ? * mon utc"),
        prefix=maybe("", "raw_"),
        tags=maybe((), ("finance",), ("daily", "finance")),
        status=maybe("active", "inactive"),
        schema_changes=maybe("ignore", "propagate_fully"),
        allow_state_loss=True,
        exact=draw(st.booleans()),
    )


@st.composite
def worlds(draw: Draw) -> World:
    """Draw a connection that somebody made, fields that were added since, and a declaration."""
    offered = offered_streams(draw)
    server = ReferenceServer(offered, TAGS)
    made = drawn_declaration(draw, offered, whole=True)
    server.create(valid(lambda: plan_connection_creation(made, offered, TAGS)).payload)
    if draw(st.booleans()):
        server.propagate(offered[0], "added")
    declaration = drawn_declaration(draw, offered, whole=False)
    is_all = pick(draw, False, False, False, True)
    return World(server, replace(declaration, streams="all") if is_all else declaration)


@reproducible
@given(worlds())
def test_a_declaration_is_reached_with_one_write_and_then_nothing_differs(world: World) -> None:
    world.apply()
    assert world.plan().changes == ()
    assert world.plan(offered=True).changes == ()


@quick
@given(worlds())
def test_only_what_is_declared_changes(world: World) -> None:
    before, secrets = world.streams(), dict(world.server.secrets)
    world.apply()
    declared = () if world.declaration.streams == "all" else world.declaration.streams
    wanted = {(each.name, each.namespace or None): each for each in declared}
    after = world.streams()
    if not world.declaration.exact:
        assert before.keys() <= after.keys()
    for identity in before.keys() & after.keys():
        declaration = wanted.get(identity, StreamDeclaration(identity[0]))
        assert_kept(declaration, before[identity], after[identity], world.declaration.exact)
    assert secrets.items() <= world.server.secrets.items()


def assert_kept(
    declared: StreamDeclaration, before: ConnectionStream, after: ConnectionStream, exact: bool
) -> None:
    """Assert that whatever is not declared of a stream is as before."""
    fields = ["sync_mode", "selected_fields", "mappers"]
    if declared.sync_mode in (None, before.sync_mode):
        fields += ["cursor_field", "primary_key"]
    undeclared = [field for field in fields if getattr(declared, field) is None]
    for field in ("include_files", *undeclared):
        assert getattr(after, field) == getattr(before, field)
    if not exact and before.selected_fields and after.selected_fields:
        assert set(before.selected_fields) <= set(after.selected_fields)
    # All drawn mappers of one type are equal, so each has to keep its id.
    known = {mapper["type"]: mapper for mapper in before.mappers}
    assert all(mapper == known.get(mapper["type"], mapper) for mapper in after.mappers)


@quick
@given(worlds())
def test_the_streams_that_lose_their_state_are_known_before(world: World) -> None:
    predicted = state_losses(world.declaration, world.server.connection, world.server.offered)
    world.server.lost_states.clear()
    world.apply()
    assert sorted(predicted) == sorted(world.server.lost_states)
