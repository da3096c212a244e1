"""Where a look through the list of jobs ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.response import Page
from airflow_provider_airbyte_sme.api.waiting.changes import TOLERANCE, ReadChanges
from airflow_provider_airbyte_sme.api.waiting.sweep import Sweep
from airflow_provider_airbyte_sme.api.waiting.targets import Target
from airflow_provider_airbyte_sme.api.waiting.watches import JobKey, Key, SyncKey
from tests.unit.api.waiting.simulated_airbyte import instant

SINCE = instant(0.0)


def page_of(*ended: float) -> Page[Job]:
    """Return a page of jobs that nobody waits for, which ended at these instants."""
    jobs = [
        Job(5000 + n, "succeeded", "other", started_at=instant(at), last_updated_at=instant(at))
        for n, at in enumerate(ended)
    ]
    return Page(jobs, len(jobs), None)


def sweep_for(*keys: Key) -> Sweep:
    return Sweep({key: Target(key, 0.0) for key in keys})


def read(sweep: Sweep, page: Page[Job], *shown: Key) -> list[Key]:
    """Give the next page, which shows these jobs, to a sweep; return the syncs it has found."""
    assert sweep.page is not None
    sought = len(sweep.sought)
    for key in shown:
        del sweep.sought[key]
    return [target.key for target in sweep.note_page(sweep.page, page, sought=sought)]


@pytest.fixture
def sweep() -> Sweep:
    return sweep_for(*map(JobKey, range(1, 10)))


def test_it_begins_with_the_newest_changes(sweep):
    assert sweep.page == ReadChanges(None, is_sweep=True)
    assert not sweep.has_ended


def test_a_look_for_one_job_is_limited_to_the_seconds_that_its_update_may_have():
    sweep = Sweep({JobKey(1): Target(JobKey(1), 0.0)}, SINCE)

    assert sweep.page == ReadChanges(
        SINCE - timedelta(seconds=1), until=SINCE + timedelta(seconds=2), is_sweep=True
    )


def test_it_goes_on_below_the_rows_that_were_sent(sweep):
    read(sweep, page_of(*[10.0] * 20))
    read(sweep, page_of(*[10.0] * 30))

    assert sweep.page == ReadChanges(None, 50, is_sweep=True)


def test_it_ends_with_a_page_that_is_shorter_than_another(sweep):
    read(sweep, page_of(*[10.0] * 20))

    read(sweep, page_of(*[10.0] * 19))

    assert sweep.has_ended


def test_it_ends_with_an_empty_page(sweep):
    read(sweep, page_of())

    assert sweep.has_ended


def test_the_last_page_finds_all_syncs():
    key = SyncKey("c1", SINCE)
    sweep = sweep_for(key, JobKey(1))

    assert read(sweep, page_of()) == [key]
    assert list(sweep.sought) == [JobKey(1)]


@pytest.mark.parametrize(("lowest", "is_found"), [(-60.0, False), (-61.0, True)])
def test_a_sync_is_found_once_rows_are_clearly_older_than_its_instant(lowest, is_found):
    assert timedelta(seconds=60) == TOLERANCE
    key = SyncKey("c1", SINCE)
    sweep = sweep_for(key, *map(JobKey, range(5)))

    assert read(sweep, page_of(30.0, 20.0, 10.0, lowest)) == ([key] if is_found else [])
    assert not sweep.has_ended
    assert (key in sweep.sought) is not is_found


def test_it_ends_after_as_many_fruitless_pages_as_there_are_things_to_find():
    """Reading each by its id then costs no more."""
    sweep = sweep_for(*map(JobKey, range(3)))
    for _ in range(2):
        read(sweep, page_of(10.0))
        assert not sweep.has_ended

    read(sweep, page_of(10.0))

    assert sweep.has_ended


def test_a_page_that_shows_something_is_not_fruitless():
    sweep = sweep_for(*map(JobKey, range(4)))

    read(sweep, page_of(10.0))
    read(sweep, page_of(10.0), JobKey(0))
    read(sweep, page_of(10.0), JobKey(1))
    read(sweep, page_of(10.0))

    assert not sweep.has_ended


def test_it_ends_when_all_is_found():
    sweep = sweep_for(JobKey(1))

    read(sweep, page_of(10.0), JobKey(1))

    assert sweep.has_ended
