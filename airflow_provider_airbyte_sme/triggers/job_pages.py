"""Pages of the list of jobs, the last change first, for the feed of syncs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from airflow_provider_airbyte_sme.api import AirbyteClient, AirbyteError, Job
from airflow_provider_airbyte_sme.api.resources.jobs import ReadLimits
from airflow_provider_airbyte_sme.api.response import MAX_PAGE_SIZE, Page
from airflow_provider_airbyte_sme.api.retry import is_about_one_resource, is_permanent
from airflow_provider_airbyte_sme.api.waiting.changes import TOLERANCE, update_of
from airflow_provider_airbyte_sme.api.waiting.watchlist import FEW

# Seconds beside the timeout after which a request has failed, although its response still arrives.
_PATIENCE = 60.0

Note = Callable[[Iterable[Job]], None]


class JobPages(NamedTuple):
    """
    Reads the list of jobs of one Airbyte.

    :param timeout: Seconds to wait for a page.
    :param connection_id: UUID of the one connection whose jobs are read; ``None``: those of all.
    """

    client: AirbyteClient
    timeout: float
    connection_id: str | None = None

    async def read(self, since: datetime | None, *, offset: int) -> Page[Job]:
        """
        Read one page, which is not repeated if that fails.

        :param since: Only jobs that were updated at or after this instant; ``None`` for all.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        deadline = time.monotonic() + self.timeout + _PATIENCE
        return await self.client.jobs.list_changes(
            since,
            offset=offset,
            connection_id=self.connection_id,
            limits=ReadLimits(self.timeout, deadline, is_retried=False),
        )

    async def read_history(
        self, wanted: Mapping[str, datetime | None], note: Note
    ) -> Mapping[str, AirbyteError]:
        """
        Read all jobs that were updated at or after an instant, of several connections.

        Few connections are read one by one. More are read together, as long as that does not take
        more requests: one that has not been looked at for a year must not make all the others read
        a year.

        :param wanted: By connection, since when; ``None``: from the beginning.
        :param note: Called with the jobs of each page. Other jobs may be among them.
        :return: Of which connections the jobs cannot be read at the moment, and why: it is no
            reason to make all others wait.
        :raises AirbyteError: Airbyte is unreachable or rejects the request.
        """
        if len(wanted) > FEW:
            wanted = await self._read_together(wanted, note)
        unread: dict[str, AirbyteError] = {}
        for connection_id, since in wanted.items():
            try:
                await self._replace(connection_id=connection_id)._read_alone(since, note)
            except AirbyteError as error:
                if not is_about_one_resource(error):
                    raise
                # Who may not see this connection does not learn of its jobs later either.
                if not is_permanent(error):
                    unread[connection_id] = error
        return unread

    async def _read_together(
        self, wanted: Mapping[str, datetime | None], note: Note
    ) -> Mapping[str, datetime | None]:
        """Return what has not been read to its end."""
        oldest = earliest(wanted.values())
        offset = 0
        for _ in range(len(wanted)):
            try:
                page = await self.read(oldest, offset=offset)
            except AirbyteError as error:
                # One job that Airbyte cannot render is enough for it.
                if is_about_one_resource(error):
                    return wanted
                raise
            note(page.items)
            offset += page.sent
            if page.sent < MAX_PAGE_SIZE:
                return {}
            updates = [at for job in page.items if (at := update_of(job)) is not None]
            if updates:
                reached = min(updates) + TOLERANCE
                wanted = {
                    each: since
                    for each, since in wanted.items()
                    if since is None or since <= reached
                }
        return wanted

    async def _read_alone(self, since: datetime | None, note: Note) -> None:
        offset = 0
        seen: set[int] = set()
        while True:
            page = await self.read(since, offset=offset)
            note(page.items)
            offset += page.sent
            ids = {job.job_id for job in page.items}
            # A server that ignores the offset would send the same page for ever.
            if page.sent < MAX_PAGE_SIZE or ids <= seen:
                return
            seen |= ids


def earliest(instants: Iterable[datetime | None]) -> datetime | None:
    """Return the earliest instant; ``None``, which stands for the beginning, is earlier."""
    given = [*instants]
    return None if None in given else min(each for each in given if each is not None)
