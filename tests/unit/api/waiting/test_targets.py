"""What is known about everything that is watched, and in which turn it is read."""

from __future__ import annotations

import math

import pytest

from airflow_provider_airbyte_sme.api.waiting.targets import FIRST_LOOK, Target, Targets, soon
from airflow_provider_airbyte_sme.api.waiting.watches import JobKey, SyncKey, Watch
from tests.unit.api.waiting.simulated_airbyte import instant
from tests.unit.api.waiting.waits import CONNECTION, job_watch, sync_watch


@pytest.fixture
def targets() -> Targets:
    """Three jobs and a sync."""
    targets = Targets()
    watches: list[Watch] = [*map(job_watch, (1, 2, 3)), sync_watch(0.0)]
    for watch in watches:
        targets.add(watch, now=7.0)
    return targets


def test_a_new_target_is_unknown_and_not_due():
    target = Target(JobKey(1), 7.0)

    assert (target.checked, target.due, target.looked) == (7.0, math.inf, -math.inf)
    assert target.was_read is target.is_listed is target.is_reading is target.must_read is False
    assert target.was_sought is False
    assert target.failing_since is None
    assert target.warned == frozenset()
    assert target.is_idle


def test_waits_for_the_same_job_are_one_target(targets):
    again = job_watch(1)

    target = targets.add(again, now=9.0)

    assert len(targets) == 4
    assert targets.watch_count == 5
    assert target is targets[JobKey(1)] is targets.get(JobKey(1))
    assert list(target.watches)[-1] is again
    assert target.checked == 7.0
    assert targets.unlisted == 3
    assert again in targets.watches


def test_a_wait_is_removed_once(targets):
    watch = next(iter(targets[JobKey(1)].watches))

    assert targets.remove(watch) is True
    assert targets.remove(watch) is False

    assert targets.get(JobKey(1)) is None
    assert targets.watch_count == len(targets) == 3


def test_a_wait_that_is_not_there_removes_no_other(targets):
    assert targets.remove(job_watch(1)) is False

    assert targets.watch_count == 4
    assert JobKey(1) in targets.unread


def test_a_target_ends_with_its_last_wait(targets):
    first, second = next(iter(targets[JobKey(1)].watches)), job_watch(1)
    targets.add(second, now=9.0)

    targets.remove(first)
    assert list(targets[JobKey(1)].watches) == [second]

    targets.remove(second)
    assert targets.get(JobKey(1)) is None


def test_what_is_no_longer_watched_is_not_unread(targets):
    targets.note_read(targets[JobKey(1)])
    for watch in list(targets.watches):
        targets.remove(watch)

    assert not targets.unread
    assert targets.unlisted == targets.watch_count == len(targets) == 0


def test_the_rhythm_is_the_shortest_interval_of_those_that_wait():
    fast, also_fast, slow = (job_watch(n, poll_interval=at) for n, at in enumerate((5, 5, 60)))
    targets = Targets()
    assert targets.rhythm == math.inf

    for watch in (slow, fast, also_fast):
        targets.add(watch, now=0.0)
    assert targets.rhythm == 5

    targets.remove(fast)
    assert targets.rhythm == 5
    targets.remove(also_fast)
    assert targets.rhythm == 60
    targets.remove(slow)
    assert targets.rhythm == math.inf


def test_jobs_that_no_list_has_shown_are_counted(targets):
    assert targets.unlisted == 3
    targets.note_listed(targets[JobKey(1)])
    assert targets.unlisted == 2
    targets.note_listed(targets[JobKey(2)])
    assert targets.unlisted == 1
    assert targets[JobKey(1)].is_listed is True

    targets.remove(next(iter(targets[JobKey(1)].watches)))
    assert targets.unlisted == 1
    targets.remove(next(iter(targets[JobKey(3)].watches)))
    assert targets.unlisted == 0

    targets.forget_listed()
    assert targets.unlisted == 1
    assert targets[JobKey(2)].is_listed is False


def test_syncs_are_not_counted_as_unlisted(targets):
    targets.remove(next(iter(targets[SyncKey(CONNECTION, instant(0.0))].watches)))

    assert targets.unlisted == 3


def test_what_was_sought_is_sought_again_once_lists_begin_anew(targets):
    targets[JobKey(1)].was_sought = True

    targets.forget_listed()

    assert targets[JobKey(1)].was_sought is False
    assert targets.unlisted == 3


def test_what_was_read_is_unread_again_after_something_that_only_its_own_read_shows(targets):
    target = targets[JobKey(1)]
    target.failing_since, target.warned = 3.0, frozenset(target.watches)

    for _ in range(2):
        targets.note_read(target)
    assert target.was_read is True
    assert target.failing_since is None
    assert target.warned == frozenset()
    assert list(targets.unread) == [JobKey(2), JobKey(3), SyncKey(CONNECTION, instant(0.0))]

    targets.note_unread(target)
    assert targets[JobKey(1)].was_read is False
    assert targets.unread[JobKey(1)] is target


def test_all_have_their_turn_one_after_another(targets):
    first = targets.next_in_turn()

    assert targets.take_turn(20.0) is first
    assert first.checked == 20.0
    assert [targets.take_turn(at).key for at in (30.0, 40.0)] == [JobKey(2), JobKey(3)]
    assert isinstance(targets.take_turn(50.0).key, SyncKey)
    assert targets.next_in_turn() is first


def test_the_syncs_of_a_connection_are_found_until_nobody_waits_for_them():
    targets = Targets()
    early, late = sync_watch(0.0), sync_watch(10.0)
    for watch in (early, late):
        targets.add(watch, now=0.0)
    assert [key.since for key, _ in targets.syncs_of(CONNECTION)] == [instant(0.0), instant(10.0)]
    assert targets.syncs_of("another") == []

    targets.remove(early)
    assert targets.syncs_of(CONNECTION) == [(late.key, targets[late.key])]
    targets.remove(late)
    assert targets.syncs_of(CONNECTION) == []


@pytest.mark.parametrize(
    ("interval", "since", "at"),
    [
        (60.0, -math.inf, 100.0),  # never yet
        (60.0, 99.5, 99.5 + FIRST_LOOK),
        (1.0, 99.5, 100.5),
        (60.0, 90.0, 100.0),
    ],
)
def test_a_wait_that_begins_is_looked_for_at_once_unless_the_last_look_was_just_before(
    interval, since, at
):
    assert soon(interval, since=since, now=100.0) == at


@pytest.mark.parametrize(("is_reading", "due"), [(True, math.inf), (False, 5.0), (True, 5.0)])
def test_what_is_read_or_due_is_not_idle(is_reading, due):
    target = Target(JobKey(1), 0.0)
    target.is_reading, target.due = is_reading, due

    assert not target.is_idle
