"""
Lists in pages, with the links that the server puts beside them.

What a client has to live with: a ``next`` link is there whenever the page is not empty, absent
links are empty strings, filters get lost, and ``previous`` repeats the limit when there is also a
``next``, because both are made by one builder. Source: airbyte-platform ``PaginationMapper.kt``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

T = TypeVar("T")


def page(
    records: Sequence[T],
    render: Callable[[T], dict[str, Any]],
    *,
    url: str,
    kept: Sequence[tuple[str, str]],
    limit: int,
    offset: int,
) -> dict[str, Any]:
    """
    Return the page of *records* that starts at *offset*.

    :param records: All records of the list, in its order.
    :param url: Absolute URL of the list, without a query.
    :param kept: The filters that the links keep.
    """
    data = [render(record) for record in records[offset : offset + limit]]
    builder = list(kept)
    next_link = previous_link = ""
    if data:
        builder.append(("limit", str(limit)))
        next_link = _link(url, [*builder, ("offset", str(offset + limit))])
    if offset > 0:
        # [inf] the builder appends the limit and replaces the offset (micronaut DefaultUriBuilder).
        builder.append(("limit", str(limit)))
        previous_link = _link(url, [*builder, ("offset", str(max(offset - limit, 0)))])
    return {"previous": previous_link, "next": next_link, "data": data}


def _link(url: str, query: Sequence[tuple[str, str]]) -> str:
    return url + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query)
