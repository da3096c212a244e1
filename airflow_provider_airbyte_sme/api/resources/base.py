"""What the resources of Airbyte's public API have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from airflow_provider_airbyte_sme.api.response import Page
from airflow_provider_airbyte_sme.api.retry import RetryPolicy
from airflow_provider_airbyte_sme.api.session import AirbyteSession
from airflow_provider_airbyte_sme.api.settings import QueryValue

# docs/airbyte-api.md §7
MAX_PAGE_SIZE = 100

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


T = TypeVar("T", bound=Model)


class ReadableResource(Generic[T]):
    """
    One kind of resource that can be read.

    A subclass names its path and its model, and adds a ``list`` with the filters of its kind.

    :param session: Sends the requests.
    """

    path: ClassVar[str]
    model: type[T]

    def __init__(self, session: AirbyteSession) -> None:
        self._session = session

    async def get(self, resource_id: str | int, /) -> T:
        """
        Read one resource.

        :param resource_id: Its id.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        return await self._get(resource_id)

    def _deadline(self, timeout: float | None) -> float | None:
        """Return the time on the session's clock after *timeout* seconds."""
        return None if timeout is None else self._session.clock() + timeout

    async def _get(
        self,
        resource_id: str | int,
        *,
        deadline: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> T:
        response = await self._session.request(
            "GET", self._url(resource_id), deadline=deadline, retry=retry
        )
        return response.decode(self.model.from_json)

    async def _list_page(
        self, query: Query, *, limit: int, offset: int, deadline: float | None = None
    ) -> Page[T]:
        url = self._url(query={"limit": limit, "offset": offset, **query})
        response = await self._session.request("GET", url, deadline=deadline)
        return response.decode_page(self.model.from_json)

    async def _list_all(
        self, query: Query, *, limit: int | None = None, offset: int = 0
    ) -> list[T]:
        """
        Read all pages by offset: the server's links are unusable (docs/airbyte-api.md §7).

        :param limit: How many to read at most; ``None`` for all.
        :param offset: How many to skip.
        """
        items: list[T] = []
        sent = 0
        while limit is None or len(items) < limit:
            left = MAX_PAGE_SIZE if limit is None else limit - len(items)
            size = min(MAX_PAGE_SIZE, left)
            page = await self._list_page(query, limit=size, offset=offset + sent)
            items += page.items
            sent += page.sent
            if page.sent < size:  # a short page is the last
                break
        return items

    def _url(self, *segments: str | int, query: Query | None = None) -> str:
        return self._session.settings.urls.public_url(self.path, *segments, query=query)


class Resource(ReadableResource[T]):
    """
    One kind of resource that can be created, updated and deleted too.

    Payloads are in Airbyte's own format. None of these requests is repeated after an ambiguous
    error, except a delete, which is harmless to repeat.
    """

    # Seconds for a create or update, if longer than the settings' request_timeout. Some run the
    # connector first: docs/airbyte-api.md §4.6.
    write_timeout: ClassVar[float] = 0.0

    async def create(self, payload: Mapping[str, Any], /) -> T:
        """
        Create a resource.

        :param payload: Its fields.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._session.request(
            "POST", self._url(), payload=payload, timeout=self.write_timeout
        )
        return response.decode(self.model.from_json)

    async def update(self, resource_id: str, payload: Mapping[str, Any], /) -> T:
        """
        Change a resource (PATCH).

        :param payload: The fields to change.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        response = await self._session.request(
            "PATCH", self._url(resource_id), payload=payload, timeout=self.write_timeout
        )
        return response.decode(self.model.from_json)

    async def delete(self, resource_id: str, /) -> None:
        """
        Delete a resource.

        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        await self._session.request("DELETE", self._url(resource_id), replayable=True)
