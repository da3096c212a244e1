"""Pipeline documents that an Airbyte accepts, of connectors with difficult configurations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Document = dict[str, Any]

# More than a test run needs, for a long one: make test-soak.
EXAMPLES = int(os.environ.get("AIRBYTE_EXAMPLES", "0"))


def examples(count: int) -> settings:
    """Run *count* examples, or as many as the user wants; the same ones each time."""
    return settings(
        max_examples=EXAMPLES or count,
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


SECRETS = st.sampled_from(["s3cret", "h4nter2", "pa$$ w0rd", "{{ x }}", "geheim-ä"])
TEXTS = st.sampled_from(["alpha", "beta", "", "Ünïcode", "it's", 'a "b"', "007", "true"])
NAMES = TEXTS.filter(bool)
NUMBERS = st.integers(1, 5)


def branch(fixed: Mapping[str, Any], **drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return one alternative of a ``oneOf``."""
    return st.fixed_dictionaries({key: st.just(value) for key, value in fixed.items()} | drawn)


_TUNNEL = {"tunnel_host": NAMES, "tunnel_port": NUMBERS, "tunnel_user": NAMES}
TUNNELS = st.one_of(
    branch({"tunnel_method": "NO_TUNNEL"}),
    branch({"tunnel_method": "SSH_KEY_AUTH"}, ssh_key=SECRETS, **_TUNNEL),
    branch({"tunnel_method": "SSH_PASSWORD_AUTH"}, tunnel_user_password=SECRETS, **_TUNNEL),
)
ACCOUNTS = st.lists(st.fixed_dictionaries({"name": NAMES}, optional={"token": SECRETS}), max_size=2)
CONFIGURATIONS: Mapping[str, Mapping[str, st.SearchStrategy[Any]]] = {
    "source": {
        "postgres": st.fixed_dictionaries(
            {
                "host": NAMES,
                "port": NUMBERS,
                "database": NAMES,
                "username": NAMES,
                "password": SECRETS,
            },
            optional={
                "schemas": st.lists(NAMES, unique=True, max_size=2),
                "tunnel_method": TUNNELS,
                "jdbc_url_params": TEXTS | st.none(),
            },
        ),
        "e2e-test": st.fixed_dictionaries(
            {"dsn": SECRETS},
            optional={
                "max_messages": NUMBERS | st.none(),
                "secret_name": TEXTS,
                "accounts": ACCOUNTS,
                "authentication": st.one_of(
                    branch({"method": "pin"}, pin=st.sampled_from(["1234", "00000000"])),
                    branch({"method": "key"}, key=SECRETS),
                ),
            },
        ),
        "faker": st.fixed_dictionaries({}, optional={"count": NUMBERS, "seed": NUMBERS}),
    },
    "destination": {
        "duckdb": st.fixed_dictionaries(
            {"destination_path": NAMES, "motherduck_api_key": SECRETS}, optional={"schema": TEXTS}
        ),
        "local-json": st.fixed_dictionaries({"destination_path": NAMES}),
    },
}


class Offer(NamedTuple):
    """
    A stream that a connector offers.

    :param cursors: Fields of which one must be chosen for incremental syncs; empty: none may be.
    :param has_key: Whether the source defines the key.
    """

    name: str
    namespace: str | None
    fields: tuple[str, ...]
    cursors: tuple[str, ...]
    has_key: bool


_TIMES = ("created_at", "updated_at")
OFFERS: Mapping[str, tuple[Offer, ...]] = {
    "postgres": (
        Offer("customers", "public", ("id", "name", "email", "updated_at"), ("updated_at",), True),
        Offer("orders", "public", ("id", "amount", "updated_at"), ("id", "updated_at"), True),
    ),
    "e2e-test": (Offer("records", None, ("id", "name", "updated_at"), ("id", "name"), False),),
    "faker": (
        Offer("products", None, ("id", "make", "model", *_TIMES), (), True),
        Offer("purchases", None, ("id", "user_id", *_TIMES), (), True),
    ),
}
_MODES = ("full_refresh_overwrite", "full_refresh_append", "incremental_append")
_DEDUPLICATING = ("incremental_deduped_history", "full_refresh_overwrite_deduped")
_AES = {"algorithm": "AES", "fieldNameSuffix": "_e", "mode": "CBC", "padding": "PKCS5Padding"}


@st.composite
def streams(draw: st.DrawFn, offer: Offer, deduplicates: bool) -> Any:
    """Draw the declaration of one stream: its name, or all that makes it difficult."""
    declared: Document = {"name": offer.name}
    if offer.namespace and draw(st.booleans()):
        declared["namespace"] = offer.namespace
    mode = draw(st.sampled_from((None, *_MODES, *(_DEDUPLICATING if deduplicates else ()))))
    if mode is None:
        return declared
    declared["sync_mode"] = mode
    needed = ["id"]
    if mode.startswith("incremental"):
        cursor = draw(st.sampled_from(offer.cursors)) if offer.cursors else "updated_at"
        needed.append(cursor)
        if draw(st.booleans()) or offer.cursors:
            declared["cursor_field"] = cursor
    if "dedup" in mode and (not offer.has_key or draw(st.booleans())):
        declared["primary_key"] = ["id"]
    chosen = draw(st.lists(mappers(offer.fields), max_size=2, unique_by=lambda each: each["type"]))
    if draw(st.booleans()):
        declared["mappers"] = chosen
        needed += [each["mapperConfiguration"]["targetField"] for each in chosen]
    selected = draw(st.sets(st.sampled_from(offer.fields)))
    declared["selected_fields"] = sorted({*selected, *needed}) if selected else []
    if selected:
        # Airbyte refuses a mapper, of an earlier document, of a field that is not selected.
        declared.setdefault("mappers", [])
    return declared


def mappers(fields: Sequence[str]) -> st.SearchStrategy[Any]:
    """Return mappers of two types, which change different fields."""
    hashing = {"targetField": fields[-1], "method": "SHA-256", "fieldNameSuffix": "_h"}
    return st.just({"type": "hashing", "mapperConfiguration": hashing}) | st.sampled_from(
        ["0" * 32, "f" * 32]
    ).map(
        lambda key: {
            "type": "encryption",
            "mapperConfiguration": {"targetField": fields[1], **_AES, "key": key},
        }
    )


class Shape(NamedTuple):
    """
    What cannot change in a pipeline.

    :param sources: The connector of each source by name; likewise *destinations*.
    :param connections: Source and destination of each connection by name.
    """

    sources: Mapping[str, str]
    destinations: Mapping[str, str]
    connections: Mapping[str, tuple[str, str]]


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    sources = draw(_connectors("source", ["CRM", "Shop {{ a }}"]))
    destinations = draw(_connectors("destination", ["Lake", "It's"]))
    ends = st.tuples(st.sampled_from(sorted(sources)), st.sampled_from(sorted(destinations)))
    names = st.sampled_from(["nightly", "hourly"])
    return Shape(sources, destinations, draw(st.dictionaries(names, ends, min_size=1)))


def _connectors(kind: str, names: list[str]) -> st.SearchStrategy[dict[str, str]]:
    connectors = st.sampled_from(list(CONFIGURATIONS[kind]))
    one = st.fixed_dictionaries({names[0]: connectors})
    return one | st.fixed_dictionaries(dict.fromkeys(names, connectors))


@st.composite
def documents(draw: st.DrawFn, shape: Shape) -> Document:
    """Draw a pipeline of a shape."""
    return {
        "workspace": {
            "name": "Team A",
            **draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "notifications": st.booleans().map(
                            lambda enabled: {"success": {"email": {"enabled": enabled}}}
                        )
                    },
                )
            ),
        },
        "sources": [draw(actors("source", *each)) for each in shape.sources.items()],
        "destinations": [draw(actors("destination", *each)) for each in shape.destinations.items()],
        "tags": draw(
            st.lists(
                st.fixed_dictionaries(
                    {"name": TAG_NAMES}, optional={"color": st.sampled_from(["FFD700", "abcdef"])}
                ),
                unique_by=lambda tag: tag["name"],
                max_size=2,
            )
        ),
        "connections": [
            draw(connections(name, *ends, shape)) for name, ends in shape.connections.items()
        ],
    }


TAG_NAMES = st.sampled_from(["gold", "silver", "it's"])
_ALLOCATIONS = st.sampled_from([{}, {"default": {"cpu_limit": "1"}}])


def actors(kind: str, name: str, connector: str) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries(
        {
            "name": st.just(name),
            f"{kind}_type": st.just(connector),
            "configuration": CONFIGURATIONS[kind][connector],
        },
        optional={"resource_allocation": _ALLOCATIONS},
    )


@st.composite
def connections(
    draw: st.DrawFn, name: str, source: str, destination: str, shape: Shape
) -> Document:
    offers = OFFERS[shape.sources[source]]
    deduplicates = shape.destinations[destination] == "duckdb"
    declared = draw(st.lists(st.sampled_from(offers), unique=True, min_size=1))
    chosen = [draw(streams(offer, deduplicates)) for offer in declared]
    return {
        "name": name,
        "source": source,
        "destination": destination,
        "streams": draw(st.sampled_from(["all", chosen, chosen, chosen])),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "schedule": st.sampled_from(["manual", "0 0 3 * * ?", "0 30 4 ? * mon UTC"]),
                    "namespace_definition": st.sampled_from(["source", "destination"]),
                    "prefix": st.sampled_from(["", "raw_"]),
                    "tags": st.lists(TAG_NAMES, unique=True, max_size=2),
                    "status": st.sampled_from(["active", "inactive"]),
                    "schema_changes": st.sampled_from(
                        ["ignore", "propagate_columns", "propagate_fully", "disable_connection"]
                    ),
                    "exact": st.booleans(),
                    "allow_state_loss": st.booleans(),
                },
            )
        ),
    }
