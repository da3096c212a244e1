"""Any declared pipeline, for property tests."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from airflow_provider_airbyte_sme.provisioning.declarations import (
    ActorDeclaration,
    ConnectionDeclaration,
    PipelineConnection,
    PipelineDeclaration,
    StreamDeclaration,
    TagDeclaration,
    UpdateSecrets,
    WorkspaceDeclaration,
)
from airflow_provider_airbyte_sme.provisioning.stream_rules import SYNC_MODES

# What YAML, JSON or Jinja treat in a special way.
AWKWARD = st.sampled_from(
    [
        *("no", "Null", "~", "007", "1e5", "0x1F", "22:30", "2026-01-31", "<<", "=", "*a", "&a"),
        *("a: b", "- a", "# a", "'", '"', "a\nb\n", "a\r\nb", " a ", "\tb", "a\x85b", "a\u2028b"),
        *("{{ a }}", "{% a %}", "{# a #}", "{% endraw %}", "a\n", "\ufeffa", "\U0001f600", "{"),
    ]
)
TEXTS = AWKWARD | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = TEXTS.filter(str.strip)
IDS = st.uuids().map(str)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
PATHS = st.lists(st.tuples(NAMES) | st.tuples(NAMES, NAMES), max_size=3, unique=True).map(tuple)
FIELDS = st.lists(st.tuples(NAMES), max_size=3, unique=True).map(tuple)
MAPPERS = st.sampled_from(
    [
        {"type": "field-filtering", "mapperConfiguration": {"targetField": "a"}},
        {
            "type": "hashing",
            "mapperConfiguration": {
                "targetField": "no",
                "method": "SHA-256",
                "fieldNameSuffix": "_h",
            },
        },
    ]
)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


def tuples_of(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(strategy, max_size=2).map(tuple)


def actors(kind: str) -> st.SearchStrategy[ActorDeclaration]:
    connectors = st.tuples(NAMES, st.just("")) | st.tuples(st.just(""), IDS)
    return st.builds(
        lambda connector, **fields: ActorDeclaration(
            connector=connector[0], definition_id=connector[1], **fields
        ),
        connectors,
        kind=st.just(kind),
        name=NAMES,
        configuration=OBJECTS,
        resource_id=IDS,
        update_secrets=st.sampled_from(get_args(UpdateSecrets)),
        resource_allocation=maybe(OBJECTS),
    )


def streams(**fields: st.SearchStrategy) -> st.SearchStrategy[StreamDeclaration]:
    return st.builds(
        StreamDeclaration,
        name=NAMES,
        namespace=maybe(TEXTS),
        sync_mode=maybe(st.sampled_from(SYNC_MODES)),
        mappers=maybe(tuples_of(MAPPERS)),
        **fields,
    )


# Selected fields must contain the key and the cursor, so there are never both.
STREAMS = st.lists(
    streams(
        cursor_field=maybe(PATHS.map(lambda paths: paths[0] if paths else ())),
        primary_key=maybe(PATHS),
    )
    | streams(selected_fields=maybe(FIELDS)),
    min_size=1,
    max_size=2,
    unique_by=lambda stream: (stream.namespace, stream.name),
).map(tuple)

CONNECTIONS = st.builds(
    PipelineConnection,
    source=NAMES | IDS,
    destination=NAMES | IDS,
    declaration=st.builds(
        ConnectionDeclaration,
        name=NAMES,
        source_id=st.just(""),
        destination_id=st.just(""),
        streams=st.just("all") | STREAMS,
        connection_id=IDS,
        schedule=maybe(st.sampled_from(["manual", "0 0 3 * * ?"])),
        namespace_definition=maybe(st.sampled_from(["source", "destination"])),
        prefix=maybe(TEXTS),
        tags=maybe(st.lists(NAMES, max_size=2, unique=True).map(tuple)),
        status=maybe(st.sampled_from(["active", "inactive"])),
        schema_changes=maybe(st.sampled_from(["ignore", "propagate_columns"])),
        allow_state_loss=st.booleans(),
        exact=st.booleans(),
    ),
)

NOTIFICATIONS = st.dictionaries(
    NAMES,
    st.fixed_dictionaries(
        {},
        optional={
            "email": st.fixed_dictionaries({"enabled": st.booleans()}),
            "webhook": st.fixed_dictionaries({"enabled": st.booleans()}, optional={"url": TEXTS}),
        },
    ),
    max_size=2,
)
PIPELINES = st.builds(
    PipelineDeclaration,
    workspace=st.builds(
        WorkspaceDeclaration,
        name=NAMES,
        workspace_id=st.just("") | IDS,
        notifications=maybe(NOTIFICATIONS),
        region_id=maybe(IDS),
    ),
    sources=st.lists(actors("source"), max_size=1).map(tuple),
    destinations=st.lists(actors("destination"), max_size=1).map(tuple),
    tags=st.lists(
        st.builds(
            TagDeclaration,
            name=NAMES,
            color=maybe(st.from_regex(r"[0-9A-F]{6}", fullmatch=True)),
            tag_id=st.just(""),
        ),
        max_size=2,
        unique_by=lambda tag: tag.name,
    ).map(tuple),
    connections=st.lists(CONNECTIONS, max_size=1).map(tuple),
)
