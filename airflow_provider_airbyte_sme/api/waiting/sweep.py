"""A look through the list of jobs for what no round has shown, and where it ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.response import Page
from airflow_provider_airbyte_sme.api.waiting.changes import TOLERANCE, ReadChanges, updates_of
from airflow_provider_airbyte_sme.api.waiting.targets import Target
from airflow_provider_airbyte_sme.api.waiting.watches import Key, SyncKey

# A job shows whole seconds twice, of its creation and of its duration: their sum is up to two
# seconds too early, or one too late if Airbyte's clocks differ.
_BEFORE, _AFTER = timedelta(seconds=1), timedelta(seconds=2)


class Sweep:
    """
    A look through the list of jobs, the newest change first.

    It ends where reading by id what it has not found costs less than going on.

    :param updated: When all that is sought was updated, as Airbyte shows it; ``None`` if that is
        unknown or differs.
    :ivar sought: What it has not found yet.
    :ivar page: The page that comes next, or is in flight; ``None`` after the last one.
    """

    def __init__(self, sought: dict[Key, Target], updated: datetime | None = None) -> None:
        self.sought = sought
        self.page: ReadChanges | None = ReadChanges(
            since=None if updated is None else updated - _BEFORE,
            until=None if updated is None else updated + _AFTER,
            is_sweep=True,
        )
        self._fruitless = 0
        # The most rows that a page has had.
        self._page_size = 0

    @property
    def has_ended(self) -> bool:
        """Whether the last page was read."""
        return self.page is None

    def note_page(self, request: ReadChanges, page: Page[Job], *, sought: int) -> list[Target]:
        """
        Note a page, after the jobs in it.

        :param sought: How many things were sought before it.
        :return: The waits for syncs that it has found: all that may end them are above its end.
        :raises UnusableListError: The page is not in the order of the changes.
        """
        updates = updates_of(page.items)
        # A server may send fewer rows than were asked for: a short page is the last one only if
        # there was a longer one, or none at all.
        self._page_size = max(self._page_size, page.sent)
        is_last = page.sent < self._page_size or not page.sent
        found = [
            target
            for key, target in self.sought.items()
            if isinstance(key, SyncKey)
            # Subtracted, because adding may overflow.
            and (is_last or (updates and key.since - updates[-1] > TOLERANCE))
        ]
        for target in found:
            del self.sought[target.key]
        left = len(self.sought)
        self._fruitless = self._fruitless + 1 if left == sought else 0
        ends = is_last or self._fruitless >= left
        offset = request.offset + page.sent
        self.page = None if ends else request._replace(offset=offset)
        return found
