"""What is in flight, and which target is read by itself next."""

from __future__ import annotations

import math

import pytest

from airflow_provider_airbyte_sme.api.waiting.changes import ReadChanges
from airflow_provider_airbyte_sme.api.waiting.messages import ReadJob
from airflow_provider_airbyte_sme.api.waiting.reads import (
    MAX_IN_FLIGHT,
    InFlight,
    Sent,
    SingleReads,
)
from airflow_provider_airbyte_sme.api.waiting.targets import Target, Targets
from tests.unit.api.waiting.waits import job_watch


@pytest.fixture
def in_flight() -> InFlight:
    return InFlight()


@pytest.fixture
def reads(in_flight) -> SingleReads:
    return SingleReads(in_flight)


@pytest.fixture
def targets() -> Targets:
    targets = Targets()
    for n in range(3):
        targets.add(job_watch(n), now=0.0)
    return targets


@pytest.fixture
def target(targets) -> Target:
    return targets.next_in_turn()


def test_two_requests_may_be_in_flight(in_flight):
    for n in range(MAX_IN_FLIGHT):
        assert not in_flight.is_full
        in_flight.send(ReadJob(n), 1.0)

    assert in_flight.is_full
    assert len(in_flight) == MAX_IN_FLIGHT == 2
    in_flight.end(ReadJob(0))
    assert not in_flight.is_full
    assert ReadJob(0) not in in_flight
    assert ReadJob(1) in in_flight


@pytest.mark.parametrize(("due", "noted"), [(None, 5.0), (3.0, 3.0), (0.0, 0.0)])
def test_what_is_sent_has_the_time_when_it_should_have_been(in_flight, due, noted):
    assert in_flight.send(ReadJob(1), 5.0, due) == ReadJob(1)

    assert in_flight.end(ReadJob(1)) == Sent(began=5.0, due=noted)


def test_a_page_of_a_round_is_none_of_a_sweep(in_flight):
    in_flight.send(ReadJob(1), 0.0)
    assert not in_flight.has_list(is_sweep=False)
    assert not in_flight.has_list(is_sweep=True)

    in_flight.send(ReadChanges(None), 0.0)
    assert in_flight.has_list(is_sweep=False)
    assert not in_flight.has_list(is_sweep=True)

    in_flight.end(ReadChanges(None))
    in_flight.send(ReadChanges(None, is_sweep=True), 0.0)
    assert not in_flight.has_list(is_sweep=False)
    assert in_flight.has_list(is_sweep=True)


def test_nothing_is_due_at_first(reads):
    assert reads.next_due_at() == math.inf
    assert reads.next_due(1e9) is None
    assert reads.next_urgent(1e9) is None


def test_what_has_been_due_for_longest_is_read_first(reads, targets):
    for target, at in zip(targets, (30.0, 10.0, 10.0), strict=True):
        reads.read_at(target, at)

    assert reads.next_due_at() == 10.0
    assert reads.next_due(9.9) is None
    assert [reads.next_due(10.0) for _ in range(3)] == [ReadJob(1), ReadJob(2), None]
    assert reads.next_due_at() == 30.0


def test_a_read_is_only_brought_forward(reads, target):
    reads.read_at(target, 10.0)
    reads.read_at(target, 20.0)
    assert reads.next_due_at() == 10.0

    reads.read_at(target, 5.0)
    assert reads.next_due_at() == 5.0
    assert reads.next_due(5.0) == ReadJob(0)
    assert reads.next_due_at() == math.inf


def test_a_target_that_is_read_is_not_due(reads, in_flight, target):
    reads.read_at(target, 10.0)

    assert reads.begin(target, 4.0) == ReadJob(0)

    assert target.is_reading is True
    assert target.due == math.inf
    assert target.looked == 4.0
    assert reads.next_due_at() == math.inf
    assert in_flight.end(ReadJob(0)) == Sent(4.0, 4.0)


def test_what_becomes_due_while_it_is_read_is_read_again_afterwards(reads, in_flight, target):
    reads.begin(target, 4.0)
    reads.read_at(target, 5.0)
    assert reads.next_due_at() == math.inf

    in_flight.end(ReadJob(0))
    reads.end(target)

    assert target.is_reading is False
    assert reads.next_due_at() == 5.0
    assert reads.next_due(6.0) == ReadJob(0)


def test_a_read_that_ends_makes_nothing_due(reads, target):
    reads.begin(target, 4.0)

    reads.end(target)

    assert reads.next_due_at() == math.inf


def test_a_read_that_is_no_longer_due_is_passed(reads, targets):
    for target in targets:
        reads.read_at(target, 10.0)
    targets[next(iter(targets)).key].due = math.inf

    assert reads.next_due(10.0) == ReadJob(1)


def test_a_read_for_nobody_any_more_is_passed(reads, targets, target):
    reads.read_at(target, 10.0)
    reads.read_last(target)
    for watch in list(target.watches):
        targets.remove(watch)

    assert reads.next_due_at() == math.inf
    assert reads.next_urgent(10.0) is None


def test_last_reads_are_made_one_after_another_in_their_order(reads, in_flight, targets):
    for target in targets:
        reads.read_last(target)

    assert [reads.next_urgent(7.0) for _ in range(4)] == [*map(ReadJob, range(3)), None]
    assert in_flight.end(ReadJob(2)) == Sent(7.0, 7.0)


def test_a_last_read_is_not_made_beside_another_of_the_same_job(reads, targets, target):
    reads.begin(target, 1.0)
    for each in targets:
        reads.read_last(each)

    assert reads.next_urgent(2.0) == ReadJob(1)


def test_only_a_read_after_the_first_one_can_be_late(reads, in_flight, targets, target):
    """That it took long to get to the first says nothing about the poll interval."""
    other = targets[job_watch(1).key]
    targets.note_read(other)
    for each in (target, other):
        reads.read_at(each, 10.0)

    assert [reads.next_due(50.0) for _ in range(2)] == [ReadJob(0), ReadJob(1)]

    assert in_flight.end(ReadJob(0)) == Sent(50.0, 50.0)
    assert in_flight.end(ReadJob(1)) == Sent(50.0, 10.0)
