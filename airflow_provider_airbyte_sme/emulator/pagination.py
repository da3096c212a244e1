"""
Pages of a list, with the server's links: ``docs/airbyte-api.md`` §7.

The links are as imperfect as the server's: ``next`` is set whenever the page is not empty, absent
links are empty strings, some filters are missing, and ``previous`` has the limit twice if there is
also a ``next``, because one builder makes both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from airflow_provider_airbyte_sme.emulator.binding import Query

T = TypeVar("T")
Position = Literal["first", "last"]


def page_response(
    records: Iterable[T],
    render: Callable[[T], dict[str, Any]],
    *,
    url: str,
    filters: Sequence[tuple[str, str]],
    limit: int,
    offset: int,
) -> dict[str, Any]:
    """
    Return the page of *records* that starts at *offset*.

    :param records: All records of the list, in the order that they have at the moment.
    :param render: Converts a record to its JSON object.
    :param url: Absolute URL of the list, without a query.
    :param filters: The filters that the links repeat, as names and values.
    """
    data = [render(record) for record in islice(records, offset, offset + limit)]
    builder = list(filters)
    next_link = previous_link = ""
    if data:
        builder.append(("limit", str(limit)))
        next_link = _link(url, [*builder, ("offset", str(offset + limit))])
    if offset > 0:
        # [inf] the builder appends the limit and replaces the offset (Micronaut DefaultUriBuilder)
        builder.append(("limit", str(limit)))
        previous_link = _link(url, [*builder, ("offset", str(max(offset - limit, 0)))])
    return {"previous": previous_link, "next": next_link, "data": data}


def move_record(records: dict[str, T], key: str, to: Position) -> None:
    """
    Move a record of the lists of *records*, as an UPDATE of its row does.

    The server's lists have no order (§7), so a record that moves between two pages is seen twice
    or never.

    :raises KeyError: *records* does not have the key.
    """
    record = records.pop(key)
    others = {} if to == "last" else dict(records)
    if others:
        records.clear()
    records[key] = record
    records.update(others)


def shuffle_records(records: dict[str, T], order: random.Random) -> None:
    """Put *records* in a random order."""
    items = list(records.items())
    order.shuffle(items)
    records.clear()
    records.update(items)


def link_filters(query: Query, include_deleted: bool) -> list[tuple[str, str]]:
    """Return the filters that the links of workspaces, actors and connections repeat."""
    filters = [("includeDeleted", str(include_deleted).lower())]
    if workspace_ids := query.uuids("workspaceIds"):
        filters.append(("workspaceIds", ",".join(workspace_ids)))
    return filters


def _link(url: str, query: Sequence[tuple[str, str]]) -> str:
    return url + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query)
