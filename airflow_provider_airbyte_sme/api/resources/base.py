"""What the resources of Airbyte's public API have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteAmbiguousNameError,
    AirbyteError,
    AirbyteNotFoundError,
)
from airflow_provider_airbyte_sme.api.response import MAX_PAGE_SIZE, ApiResponse, Page
from airflow_provider_airbyte_sme.api.retry import RetryPolicy, is_ambiguous
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import QueryValue

log = logging.getLogger(__name__)

# How often a list is read until two passes in a row agree.
MAX_PASSES = 5
# Seconds for a call that runs a connector first, which takes minutes: docs/airbyte-api.md §4.6.
CONNECTOR_TIMEOUT = 600.0
# Seconds for a DELETE that first ends a workflow for each connection: docs/airbyte-api.md §4.6.
CASCADE_TIMEOUT = 180.0

Query = Mapping[str, QueryValue | None]


class Model(Protocol):
    """A value that is parsed from a JSON body."""

    @classmethod
    def from_json(cls, payload: Any) -> Self:
        """
        Parse *payload*.

        :raises AirbyteDecodeError: It is not what is documented.
        """
        ...


class Identified(Model, Protocol):
    """A value with an id."""

    @property
    def id(self) -> str:
        """UUID."""
        ...


class Named(Identified, Protocol):
    """A value with an id and a name."""

    @property
    def name(self) -> str:
        """As people see it."""
        ...


T = TypeVar("T", bound=Model)
ID = TypeVar("ID", bound=Identified)
N = TypeVar("N", bound=Named)


class _Pass(NamedTuple, Generic[T]):
    """One reading of a list. With one page it is a consistent one."""

    items: list[T]
    pages: int


class ResourceGroup(Generic[T]):
    """
    The operations on one kind of resource.

    A subclass names its path and its model.

    :param session: Sends the requests.
    """

    path: ClassVar[str]
    # How messages name it.
    kind: ClassVar[str]
    model: type[T]

    def __init__(self, session: AirbyteSession) -> None:
        self._session = session

    def _deadline(self, timeout: float | None) -> float | None:
        """Return the time on the session's clock after *timeout* seconds."""
        return None if timeout is None else self._session.clock() + timeout

    async def _get(
        self,
        *segments: str | int,
        query: Query | None = None,
        timeout: float = 0.0,
        deadline: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> T:
        response = await self._session.request(
            "GET",
            self._url(*segments, query=query),
            timeout=timeout,
            deadline=deadline,
            retry=retry,
        )
        return response.decode(self.model.from_json)

    async def _list_page(
        self,
        query: Query,
        *segments: str,
        limit: int,
        offset: int,
        deadline: float | None = None,
    ) -> Page[T]:
        url = self._url(*segments, query={"limit": limit, "offset": offset, **query})
        response = await self._session.request("GET", url, deadline=deadline)
        return response.decode_page(self.model.from_json)

    async def _list_pages(
        self, query: Query, *segments: str, limit: int | None = None, offset: int = 0
    ) -> _Pass[T]:
        """
        Read all pages by offset: the server's links are unusable (docs/airbyte-api.md §7).

        :param limit: How many to read at most; ``None`` for all.
        :param offset: How many to skip.
        """
        items: list[T] = []
        sent = pages = 0
        while limit is None or len(items) < limit:
            left = MAX_PAGE_SIZE if limit is None else limit - len(items)
            size = min(MAX_PAGE_SIZE, left)
            page = await self._list_page(query, *segments, limit=size, offset=offset + sent)
            items += page.items
            sent += page.sent
            pages += 1
            if page.sent < size:  # a short page is the last
                break
        return _Pass(items, pages)

    async def _list_unordered(
        self: ResourceGroup[ID], query: Query, *segments: str, is_checked: bool = True
    ) -> list[ID]:
        """
        Read a list whose rows have no order, each row once: docs/airbyte-api.md §4.1.8.

        A row that moves to another page between two requests is seen twice or not at all. A list
        of several pages is therefore read until two passes in a row agree.

        :param is_checked: Whether that matters; otherwise one pass is enough.
        """
        passes: list[dict[str, ID]] = []
        while len(passes) < MAX_PASSES:
            items, pages = await self._list_pages(query, *segments)
            passes.append({item.id: item for item in items})
            is_certain = len(passes) > 1 and passes[-1].keys() == passes[-2].keys()
            if pages == 1 or is_certain or not is_checked:
                return [*passes[-1].values()]
        log.warning(
            "The list of %s changes faster than it can be read: no two of %d passes agree.",
            self.path,
            MAX_PASSES,
        )
        return [*{**passes[-2], **passes[-1]}.values()]

    async def _list_unpaged(
        self, query: Query, *segments: str, field: str = "data", timeout: float = 0.0
    ) -> list[T]:
        """
        Read a list that Airbyte returns as a whole.

        :param field: Where the items are, unless the body is a bare array.
        """
        url = self._url(*segments, query=query)
        response = await self._session.request("GET", url, timeout=timeout)
        return response.decode_list(self.model.from_json, field=field)

    async def _write(
        self,
        method: str,
        *segments: str,
        payload: Mapping[str, Any],
        timeout: float = 0.0,
        secrets: Iterable[str] = (),
    ) -> T:
        """Send a write, which is never repeated after an ambiguous error."""
        response = await self._session.request(
            method, self._url(*segments), payload=payload, timeout=timeout, secrets=secrets
        )
        return response.decode(self.model.from_json)

    async def _delete(self, *segments: str, timeout: float = 0.0) -> None:
        await delete(self._session, self._url(*segments), timeout=timeout)

    async def _config_request(
        self,
        *segments: str,
        purpose: str,
        payload: Mapping[str, Any],
        replayable: bool = False,
        timeout: float = 0.0,
        deadline: float | None = None,
        secrets: Iterable[str] = (),
    ) -> ApiResponse:
        """
        Send a request to the internal config API, where every operation is a POST.

        :param purpose: What needs it, as the beginning of a message.
        :raises AirbyteConfigApiError: It is switched off, or this Airbyte hides it.
        """
        url = self._session.settings.config_api_url(*segments, purpose=purpose)
        return await self._session.request(
            "POST",
            url,
            payload=payload,
            replayable=replayable,
            timeout=timeout,
            deadline=deadline,
            secrets=secrets,
        )

    def _url(self, *segments: str | int, query: Query | None = None) -> str:
        return self._session.settings.urls.public_url(self.path, *segments, query=query)


class ReadableResource(ResourceGroup[T]):
    """
    One kind of resource that can be read.

    A subclass adds a ``list`` with the filters of its kind.
    """

    async def get(self, resource_id: str | int, /) -> T:
        """
        Read one resource.

        :param resource_id: Its id.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._get(resource_id)


class Resource(ReadableResource[T]):
    """
    One kind of resource that can be created, updated and deleted too.

    Payloads are in Airbyte's own format. None of these requests is repeated after an ambiguous
    error, except a delete, which is harmless to repeat.
    """

    # Seconds for a create or update, if longer than the settings' request_timeout.
    write_timeout: ClassVar[float] = 0.0
    delete_timeout: ClassVar[float] = 0.0

    async def create(self, payload: Mapping[str, Any], /) -> T:
        """
        Create a resource.

        :param payload: Its fields.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("POST", payload=payload, timeout=self.write_timeout)

    async def update(self, resource_id: str, payload: Mapping[str, Any], /) -> T:
        """
        Change a resource (PATCH).

        :param payload: The fields to change.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._write("PATCH", resource_id, payload=payload, timeout=self.write_timeout)

    async def delete(self, resource_id: str, /) -> None:
        """
        Delete a resource.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._delete(resource_id, timeout=self.delete_timeout)


async def delete(session: AirbyteSession, url: str, *, timeout: float = 0.0) -> None:
    """
    Delete a resource, which is harmless to repeat.

    If one attempt got no usable response and a later one says 404, the first succeeded. With 403,
    which an unknown id gets too, nobody can tell.
    """
    attempts = session.attempts(replayable=True)
    may_be_deleted = False
    while True:
        token = await attempts.token()
        try:
            await session.send(session.build("DELETE", url, timeout=timeout), token)
        except AirbyteError as error:
            is_missing = isinstance(error, AirbyteNotFoundError) and error.problem.from_airbyte
            if may_be_deleted and is_missing:
                log.info("An earlier attempt deleted it: %s", error)
                return
            may_be_deleted = may_be_deleted or is_ambiguous(error)
            await attempts.pause_after(error)
        else:
            return


def listed(ids: Iterable[str]) -> str | None:
    """Return ids as the value of a query parameter; ``None``, which leaves it out, without any."""
    return ",".join(ids) or None


def flag(value: bool) -> str | None:
    """Return a flag as the value of a query parameter that is false by default."""
    return "true" if value else None


def only_named(kind: str, items: Iterable[N], name: str, *, workspace_id: str = "") -> N | None:
    """
    Return the item with this name; ``None`` if there is none.

    :param kind: How messages name the items.
    :param workspace_id: Where they are, for messages.
    :raises AirbyteAmbiguousNameError: Several have it.
    """
    found = [item for item in items if item.name == name]
    if len(found) > 1:
        raise AirbyteAmbiguousNameError(
            kind, name, [item.id for item in found], workspace_id=workspace_id
        )
    return found[0] if found else None
