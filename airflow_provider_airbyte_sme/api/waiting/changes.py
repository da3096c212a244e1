"""
What changed, read page by page from the list of jobs, the newest change first.

Airbyte's list takes a lower bound for a job's last update, on Airbyte's clock: the *watermark*. It
follows from the newest update of a round that was read to its end, less an overlap: a change may
become visible a little after the instant that it carries, and the pods of an Airbyte have clocks of
their own. An update from the future must not hide the others, so the ``Date`` of the answer limits
it, if there is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import MINYEAR, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from airflow_provider_airbyte_sme.api.models import Job
from airflow_provider_airbyte_sme.api.response import MAX_PAGE_SIZE, Page

# So late a change may become visible, and so far behind a pod's clock may be.
OVERLAP = timedelta(seconds=60)
# A ``Date`` that is further behind the newest update is a cached one.
_MAX_AHEAD = timedelta(hours=1)
# Within this, rows may be out of order: the list shows whole seconds, and may be read while it
# changes.
TOLERANCE = timedelta(seconds=60)

# Status and last update of a job.
_State = tuple[str, datetime]


class ReadChanges(NamedTuple):
    """
    Read a page of jobs, the newest change first.

    :param since: Only jobs updated at or after this instant; ``None`` for all.
    :param offset: How many jobs to skip.
    :param until: Only jobs updated at or before this instant; ``None`` for all.
    :param is_sweep: Whether the page is one of a :class:`.Sweep`.
    """

    since: datetime | None
    offset: int = 0
    until: datetime | None = None
    is_sweep: bool = False


class UnusableListError(Exception):
    """The list of jobs is not in the order that was asked for, or has no times."""


class ChangeFeed:
    """
    The rounds of pages that show what changed.

    A round may stop at a page that shows nothing new: below it are changes that an earlier round
    has shown. What became visible late may be there too, so after a change, rounds go down to the
    watermark once in a while, until the overlap has passed. Only these move the watermark.
    """

    def __init__(self) -> None:
        self.watermark: datetime | None = None
        # By job: what the rows above the watermark looked like. Those of a round count once it has
        # ended: the next one must not stop at rows of a round that failed.
        self._known: dict[int, _State] = {}
        self._shown: dict[int, _State] = {}
        # The most rows that a page has had.
        self._page_size = 0
        self._newest: datetime | None = None
        self._server_time: datetime | None = None
        # On the clock of the driver.
        self._began = self._last_news = self._last_complete = -math.inf
        self._is_complete = True

    def first_page(self, *, now: float) -> ReadChanges:
        """Begin a round. The first one, without a watermark, reads as far back as the next."""
        overlap = OVERLAP.total_seconds()
        settled = self._last_complete >= self._last_news + overlap
        self._is_complete = not settled and now >= self._last_complete + overlap
        self._began = now
        self._newest = self._server_time = None
        self._shown = {}
        return ReadChanges(self.watermark)

    def is_news(self, job: Job) -> bool:
        """Whether no earlier round has shown the job as it is now."""
        return self._known.get(job.job_id) != (job.status, job.updated_at)

    def next_page(self, request: ReadChanges, page: Page[Job]) -> ReadChanges | None:
        """
        Note a page.

        :return: The next page of the round; ``None`` if the round has ended.
        :raises UnusableListError: The list does not show what changed.
        """
        updates = updates_of(page.items)
        if request.offset == 0:
            self._newest = _newest_plausible(updates, page.server_time)
            self._server_time = page.server_time
        has_news = any(map(self.is_news, page.items))
        last_is_news = bool(page.items) and self.is_news(page.items[-1])
        if has_news:
            self._last_news = self._began
        # A server that ignores the offset would send the same page for ever.
        is_another = not self._shown.keys() >= {job.job_id for job in page.items}
        self._shown |= {
            job.job_id: (job.status, at) for job in page.items if (at := job.updated_at) is not None
        }
        is_at_end = self._is_last(page, last_is_news) or self._is_below(updates, request.since)
        goes_on = is_another and (self._is_complete or has_news or self._is_ahead(updates))
        if is_at_end or not goes_on:
            self._end_round(is_complete=is_at_end)
            return None
        return ReadChanges(request.since, request.offset + page.sent)

    def _is_last(self, page: Page[Job], last_is_news: bool) -> bool:
        """Whether there are no more rows. A server may send fewer in a page than were asked for."""
        self._page_size = max(self._page_size, page.sent)
        return page.sent < (self._page_size if last_is_news else MAX_PAGE_SIZE)

    def _is_below(self, updates: Sequence[datetime], since: datetime | None) -> bool:
        """Whether the rows go further down than the round has to; a server may ignore the limit."""
        lowest = self._next_watermark() if since is None else since - TOLERANCE
        return lowest is not None and bool(updates) and updates[-1] < lowest

    def _is_ahead(self, updates: Sequence[datetime]) -> bool:
        """Whether all rows are from the future: those of now are below them."""
        server_time, newest = self._server_time, self._newest
        if server_time is None or newest is None or newest - server_time > _MAX_AHEAD:
            return False
        return min(updates, default=server_time) > server_time

    def _next_watermark(self) -> datetime | None:
        if self._newest is None:
            return self.watermark
        limit = max(self._server_time or self._newest, self._newest - _MAX_AHEAD)
        following = min(self._newest, limit) - OVERLAP
        return following if self.watermark is None else max(self.watermark, following)

    def _end_round(self, *, is_complete: bool) -> None:
        self._known |= self._shown
        if not is_complete:
            return
        self._last_complete = self._began
        watermark = self.watermark = self._next_watermark()
        if watermark is not None:
            self._known = {
                job_id: state for job_id, state in self._known.items() if state[1] >= watermark
            }


def _newest_plausible(updates: Sequence[datetime], server_time: datetime | None) -> datetime | None:
    """
    Return the newest update; one from the far future counts only if there is no other.

    It would hide all others until its time has come. If there is no other, ``Date`` is wrong.
    """
    plausible = [at for at in updates if server_time is None or at - server_time <= _MAX_AHEAD]
    return max(plausible or updates, default=None)


def update_of(job: Job) -> datetime | None:
    """Return when *job* was last updated; ``None`` if that cannot be told."""
    at = job.updated_at
    # The first year stands for no time at all, and allows no arithmetic.
    return None if at is None or at.year == MINYEAR else at


def updates_of(jobs: Sequence[Job]) -> list[datetime]:
    """
    Return when each job was updated, the newest first.

    :raises UnusableListError: They are in another order, or there are none.
    """
    updates = [at for job in jobs if (at := update_of(job)) is not None]
    if jobs and not updates:
        raise UnusableListError("no job in it has a time")
    oldest_yet = accumulate(updates, min)
    if any(at - oldest > TOLERANCE for oldest, at in zip(oldest_yet, updates, strict=True)):
        raise UnusableListError("it is not in the order of the changes, the newest first")
    return updates
