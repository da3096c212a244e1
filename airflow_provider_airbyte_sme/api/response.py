"""Responses of Airbyte, and how they are decoded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from airflow_provider_airbyte_sme.api.errors import AirbyteDecodeError, one_line
from airflow_provider_airbyte_sme.api.http import HttpRequest, HttpResponse
from airflow_provider_airbyte_sme.api.retry import http_date
from airflow_provider_airbyte_sme.api.scrubbing import scrub

log = logging.getLogger(__name__)

# A warning names at most this many items.
_MAX_NAMED_ITEMS = 5

# docs/airbyte-api.md §7
MAX_PAGE_SIZE = 100

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """
    One page of a list.

    :param items: Those that could be read.
    :param sent: How many items the server sent, unreadable ones included. It decides where the
        next page begins, and whether there is one.
    :param server_time: The server's clock (``Date``), UTC; ``None`` if it did not send it.
    """

    items: list[T]
    sent: int
    server_time: datetime | None = None


class ApiResponse(NamedTuple):
    """
    A successful response, not yet decoded; a DELETE without a body is never decoded.

    :param request: What was sent.
    :param http: What came back.
    """

    request: HttpRequest
    http: HttpResponse

    def decode(self, build: Callable[[Any], T]) -> T:
        """
        Return the value that *build* makes of the JSON body.

        :raises AirbyteDecodeError: The body is invalid JSON, not what *build* expects, or longer
            than its request allows.
        """
        if self.http.is_cut:
            raise self._error(f" and more than the {self.request.max_body:,} bytes that are read.")
        try:
            payload = self.http.json()
        except ValueError as error:
            raise self._error(
                f" and {len(self.http.body)} bytes of invalid JSON ({error}), truncated or not "
                f"from Airbyte: check Host (Airbyte URL) and proxy of the Airflow connection."
            ) from None
        try:
            return build(payload)
        except AirbyteDecodeError as error:
            raise self._undocumented(str(error)) from None

    def decode_page(self, build: Callable[[Any], T]) -> Page[T]:
        """
        Return the page whose items *build* makes of the body's ``data``.

        An item that cannot be read is left out, with a warning.

        :raises AirbyteDecodeError: As for :meth:`decode`; also if no item can be read.
        """
        data = self.decode(lambda payload: _items_of(payload, "data"))
        return self._page(self._items(data, build), len(data))

    def decode_readable(self, build: Callable[[Any], T]) -> Page[T]:
        """
        Return the page of those items that can be read, without a word about the others.

        It is for lists that are read again and again, by a caller who needs none of the items.

        :param build: As for :meth:`decode`.
        :raises AirbyteDecodeError: As for :meth:`decode`.
        """
        data = self.decode(lambda payload: _items_of(payload, "data"))
        items: list[T] = []
        for item in data:
            with suppress(AirbyteDecodeError):
                items.append(build(item))
        return self._page(items, len(data))

    def decode_list(self, build: Callable[[Any], T], *, field: str = "data") -> list[T]:
        """
        Return the items that *build* makes of a bare JSON array, or of the body's *field*.

        Where the published contract has ``data``, some lists are bare arrays: docs/airbyte-api.md
        §5.5.3. An item that cannot be read is left out, with a warning.

        :raises AirbyteDecodeError: As for :meth:`decode`; also if no item can be read.
        """
        data = self.decode(
            lambda payload: payload if isinstance(payload, list) else _items_of(payload, field)
        )
        return self._items(data, build)

    def reject_html(self) -> None:
        """
        Check that the response is not an HTML page.

        :raises AirbyteDecodeError: It is one.
        """
        if self.http.is_html:
            raise self._error(
                " and an HTML page instead of JSON: check Host (Airbyte URL) of the Airflow "
                "connection, and that no proxy asks for a login.",
                is_html=True,
            )

    def _page(self, items: list[T], sent: int) -> Page[T]:
        return Page(items, sent, http_date(self.http.headers.get("date", "")))

    def _items(self, data: list[Any], build: Callable[[Any], T]) -> list[T]:
        items: list[T] = []
        unreadable: list[str] = []
        for position, item in enumerate(data, start=1):
            try:
                items.append(build(item))
            except AirbyteDecodeError as error:
                unreadable.append(f"{_name(position, item)}: {error}")
        if not unreadable:
            return items
        if not items:
            # "There are none" would be a guess, on which nobody should start or delete anything.
            raise self._undocumented(unreadable[0])
        named = "; ".join(unreadable[:_MAX_NAMED_ITEMS])
        log.warning(
            "%s",
            self._text(
                f". Left out are {len(unreadable)} of its {len(data)} items, which cannot be read "
                f"({named}{', and others' if len(unreadable) > _MAX_NAMED_ITEMS else ''})."
            ),
        )
        return items

    def _undocumented(self, reason: str) -> AirbyteDecodeError:
        return self._error(
            f", but {reason}: check that Host (Airbyte URL) of the Airflow connection leads to "
            f"Airbyte."
        )

    def _error(self, rest: str, *, is_html: bool = False) -> AirbyteDecodeError:
        return AirbyteDecodeError(self._text(rest), is_html=is_html)

    def _text(self, rest: str) -> str:
        summary = (
            f"Airbyte responded to {self.request.method} {self.request.url} with {self.http.status}"
        )
        return scrub(f"{summary}{rest}", (*self.request.secrets, *self.http.secrets))


def _items_of(payload: Any, field: str) -> list[Any]:
    items = payload.get(field) if isinstance(payload, Mapping) else None
    if not isinstance(items, list):
        raise AirbyteDecodeError(f"field {field!r} is missing or not a list")
    return items


def _name(position: int, item: Any) -> str:
    """Return how a warning names an item: its position and, where it has one, its id."""
    fields = item if isinstance(item, Mapping) else {}
    for name, value in fields.items():
        if name.lower().endswith("id") and isinstance(value, str | int):
            return f"item {position}, {one_line(name)} {one_line(str(value))}"
    return f"item {position}"
