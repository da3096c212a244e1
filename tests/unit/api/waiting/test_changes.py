"""How far down a round of pages goes, and where the next one begins."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.response import MAX_PAGE_SIZE, Page
from airflow_provider_airbyte_sme.api.waiting.changes import (
    OVERLAP,
    ChangeFeed,
    ReadChanges,
    UnusableListError,
)
from tests.unit.api.waiting.simulated_airbyte import instant

NOW = instant(10_000)


def row(job_id: int, ago: float, status: str = "succeeded") -> Job:
    """Return a job that ended *ago* seconds before now."""
    at = NOW - timedelta(seconds=ago)
    return Job(job_id, status, "c1", started_at=at, last_updated_at=at)


def rows(job_ids: Iterable[int], ago: float = 10.0) -> list[Job]:
    return [row(job_id, ago) for job_id in job_ids]


def page(jobs: list[Job], server_time: datetime | None = NOW) -> Page[Job]:
    return Page(jobs, len(jobs), server_time)


def read(feed: ChangeFeed, *pages: Page[Job], now: float) -> ReadChanges | None:
    """Give *pages* to a round; return the request for one more."""
    request: ReadChanges | None = feed.first_page(now=now)
    for each in pages:
        assert request is not None
        request = feed.next_page(request, each)
    return request


@pytest.fixture
def feed() -> ChangeFeed:
    """A feed after its first round, which has shown a full page and the end of the list."""
    feed = ChangeFeed()
    assert read(feed, page(rows(range(100))), page([row(1000, 300)]), now=0.0) is None
    return feed


def test_the_watermark_is_the_newest_update_less_the_overlap(feed):
    assert feed.watermark == NOW - timedelta(seconds=10) - OVERLAP


def test_an_empty_airbyte_has_no_watermark():
    """The clock of whoever wrote Date may be ahead of Airbyte's."""
    feed = ChangeFeed()

    assert read(feed, page([], NOW + timedelta(hours=1)), now=0.0) is None
    assert feed.first_page(now=5.0) == ReadChanges(None)


@pytest.mark.parametrize("server_time", [NOW, NOW - timedelta(minutes=1)])
def test_an_update_from_the_future_does_not_move_the_watermark_there(server_time):
    feed = ChangeFeed()

    read(feed, page([row(1, -3000), row(2, 10)], server_time), page([]), now=0.0)

    assert feed.watermark == server_time - OVERLAP


def test_an_update_from_the_far_future_hides_no_other():
    """Of a pod with another time zone, or none that was ever true."""
    feed = ChangeFeed()

    read(feed, page([row(1, -9e6), row(2, 10)]), page([]), now=0.0)

    assert feed.watermark == NOW - timedelta(seconds=10) - OVERLAP


def test_a_cached_date_moves_the_watermark_neither_far_back_nor_backwards(feed):
    before = feed.watermark

    read(feed, page(rows([1]), NOW - timedelta(days=3)), now=5.0)

    assert feed.watermark == before


def test_a_full_page_without_news_ends_a_round(feed):
    assert read(feed, page(rows(range(100))), now=5.0) is None


def test_after_news_there_is_one_more_page(feed):
    news = page(rows(range(1, 101)))

    assert read(feed, news, now=5.0) == ReadChanges(feed.watermark, MAX_PAGE_SIZE)
    assert read(feed, news, page(rows(range(50))), now=10.0) is None


def test_a_round_that_failed_does_not_make_its_rows_known(feed):
    news = page(rows(range(100, 200)))
    assert read(feed, news, now=5.0) is not None

    assert read(feed, news, now=10.0) is not None


def test_what_becomes_visible_late_behind_known_rows_is_found_within_the_overlap(feed):
    """A row that another transaction wrote before, and committed after, a hundred others."""
    known, late = rows(range(100)), row(5000, 11)
    watermark = feed.watermark
    assert read(feed, page(known), now=5.0) is None

    deeper = read(feed, page(known), now=61.0)
    assert deeper == ReadChanges(watermark, MAX_PAGE_SIZE)
    assert feed.is_news(late)
    assert feed.next_page(deeper, page([late])) is None
    # That was news, so another such round follows, and then no more.
    assert read(feed, page(known), page([late]), now=122.0) is None
    assert read(feed, page(known), now=183.0) is None


def test_rows_of_now_are_read_below_a_full_page_from_the_future(feed):
    ahead = page(rows(range(200, 300), ago=-3000))
    read(feed, ahead, page(rows(range(10))), now=5.0)

    assert read(feed, ahead, now=10.0) == ReadChanges(feed.watermark, MAX_PAGE_SIZE)


def test_a_server_that_ignores_the_limit_is_not_read_to_the_end(feed):
    old = page([*rows(range(300, 399)), row(4000, 7200)])

    assert read(feed, old, now=5.0) is None


def test_a_server_that_sends_fewer_rows_than_were_asked_for_is_read_to_the_end():
    feed = ChangeFeed()
    news = [page(rows(range(20 * n, 20 * n + 20))) for n in range(5)]

    assert read(feed, *news, now=0.0) == ReadChanges(None, 100)
    assert read(feed, *news, page([]), now=5.0) is None
    assert read(feed, news[0], now=10.0) is None
    # Nothing is below a short page that is known, also for a round that goes down to the end.
    assert read(feed, news[0], now=80.0) is None


def test_a_server_that_ignores_the_offset_is_not_read_for_ever():
    same = page(rows(range(100)))

    feed = ChangeFeed()

    assert read(feed, same, same, now=0.0) is None
    # The end was not reached, so the next round tries again.
    assert read(feed, same, now=5.0) == ReadChanges(None, MAX_PAGE_SIZE)


def test_a_page_of_unreadable_rows_is_passed():
    feed = ChangeFeed()
    request = feed.first_page(now=0.0)

    assert feed.next_page(request, Page([], MAX_PAGE_SIZE, NOW)) is None
    assert feed.first_page(now=5.0) == ReadChanges(None)


def test_the_order_is_checked_in_the_middle_of_a_page_too():
    """By creation, the oldest first: the job that ran longest may be at the top."""
    with pytest.raises(
        UnusableListError, match=r"^it is not in the order of the changes, the newest first$"
    ):
        read(ChangeFeed(), page([row(1, 0), row(2, 9000), row(3, 1000)]), now=0.0)


def test_a_list_without_times_cannot_be_used():
    with pytest.raises(UnusableListError, match=r"^no job in it has a time$"):
        read(ChangeFeed(), page([Job(1, "running", "c1")]), now=0.0)


def test_the_first_year_of_the_calendar_is_no_time():
    """Some servers send it if there is none, and most arithmetic with it fails."""
    no_time = datetime(1, 1, 1, tzinfo=UTC)
    job = Job(1, "succeeded", "c1", started_at=no_time, last_updated_at=no_time)

    with pytest.raises(UnusableListError, match=r"^no job in it has a time$"):
        read(ChangeFeed(), page([job]), now=0.0)


def test_a_row_a_minute_above_its_place_is_in_order():
    """The list may be read while it changes."""
    feed = ChangeFeed()

    read(feed, page([row(1, 100), row(2, 40), row(3, 100)]), now=0.0)
    with pytest.raises(UnusableListError):
        read(feed, page([row(1, 101), row(2, 40)]), now=5.0)


def test_rounds_go_down_to_the_end_once_after_the_overlap_has_passed(feed):
    """The first one has shown news, at 0."""
    known = page(rows(range(100)))
    overlap = OVERLAP.total_seconds()
    assert read(feed, known, now=overlap - 0.1) is None

    assert read(feed, known, now=overlap) is not None
    assert read(feed, known, page([]), now=overlap) is None
    # What became visible up to the overlap after the news has been seen.
    assert read(feed, known, now=2 * overlap) is None


def test_a_round_goes_on_where_the_next_one_would_not(feed):
    """Changes at the lower end are not in the next one, whose watermark is above them."""
    later = NOW + timedelta(seconds=1000)
    news = page([*rows(range(200, 299), -1000), row(299, 60)], later)

    assert read(feed, news, now=1000.0) == ReadChanges(feed.watermark, MAX_PAGE_SIZE)


@pytest.mark.parametrize(("below", "goes_on"), [(60, True), (61, False)])
def test_a_round_ends_a_minute_below_its_limit(feed, below, goes_on):
    """If a server ignores the limit."""
    news = page([*rows(range(200, 299)), row(299, 70 + below)])

    assert (read(feed, news, now=5.0) is not None) is goes_on


@pytest.mark.parametrize(
    ("server_time", "goes_on"),
    [
        (None, False),
        (NOW - timedelta(seconds=10), False),
        (NOW - timedelta(seconds=11), True),
        (NOW - timedelta(seconds=10, hours=1), True),
        (NOW - timedelta(seconds=11, hours=1), False),  # a cached one
    ],
)
def test_rows_are_from_the_future_if_all_are_up_to_an_hour_ahead(feed, server_time, goes_on):
    assert (read(feed, page(rows(range(100)), server_time), now=5.0) is not None) is goes_on


def test_an_update_an_hour_ahead_is_plausible():
    feed = ChangeFeed()

    read(feed, page([row(1, -3600), row(2, 10)]), page([]), now=0.0)

    assert feed.watermark == NOW - OVERLAP


def test_rows_are_known_until_they_are_below_the_watermark():
    feed = ChangeFeed()
    read(feed, page([row(1, 10), row(2, 70), row(3, 71)]), now=0.0)

    assert not feed.is_news(row(1, 10))
    assert not feed.is_news(row(2, 70))
    assert feed.is_news(row(3, 71))


def test_a_job_that_has_changed_is_news(feed):
    assert not feed.is_news(row(1, 10))
    assert feed.is_news(row(1, 10, "failed"))
    assert feed.is_news(row(1, 9))


def test_rows_that_a_round_has_not_shown_again_stay_known(feed):
    assert read(feed, page([row(2000, 5)]), now=5.0) is None

    assert not feed.is_news(row(99, 10))
    assert not feed.is_news(row(2000, 5))
