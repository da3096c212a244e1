"""When what lists show is read by itself: evenly, in turn, and each within a limited time."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.api.waiting.checks import MAX_STALENESS, MIN_STALENESS, Checks
from airflow_provider_airbyte_sme.api.waiting.targets import Targets
from tests.unit.api.waiting.waits import job_watch


def targets_of(number: int, *, poll_interval: float = 5.0) -> Targets:
    targets = Targets()
    for n in range(number):
        targets.add(job_watch(n, poll_interval=poll_interval), now=0.0)
    return targets


def checks_of(targets: Targets, now: float = 1000.0) -> Checks:
    checks = Checks(targets)
    checks.restart(now)
    return checks


def take_turn(checks: Checks, targets: Targets, now: float) -> None:
    checks.begin(now)
    targets.take_turn(now)


@pytest.mark.parametrize(
    ("number", "poll_interval", "pause"),
    [
        (10, 5.0, MIN_STALENESS / 10),
        (200, 5.0, 5.0),  # one per round
        (10, 1200.0, MAX_STALENESS / 10),
        (10, 100.0, 100.0),
    ],
)
def test_checks_are_spread_evenly_over_the_time_within_which_each_has_one(
    number, poll_interval, pause
):
    targets = targets_of(number, poll_interval=poll_interval)
    checks = checks_of(targets)

    assert checks.due_at() == pytest.approx(1000 + pause)
    take_turn(checks, targets, 1000 + pause)
    assert checks.due_at() == pytest.approx(1000 + 2 * pause)


def test_what_is_watched_was_checked_when_the_use_of_lists_began():
    targets = targets_of(10)

    checks_of(targets)

    assert {target.checked for target in targets} == {1000.0}


def test_a_check_that_was_late_does_not_delay_those_after_it():
    targets = targets_of(10)
    checks = checks_of(targets)

    take_turn(checks, targets, 1090.0)

    assert checks.due_at() == pytest.approx(1120)


def test_only_one_of_the_checks_that_were_missed_is_made_up_for_at_once():
    targets = targets_of(10)
    checks = checks_of(targets)

    take_turn(checks, targets, 1350.0)
    assert checks.due_at() == pytest.approx(1350)

    take_turn(checks, targets, 1350.0)
    assert checks.due_at() == pytest.approx(1410)


def test_a_check_before_its_time_keeps_the_plan():
    targets = targets_of(10)
    checks = checks_of(targets)

    take_turn(checks, targets, 1055.0)

    assert checks.due_at() == pytest.approx(1120)


@pytest.mark.parametrize(("number", "poll_interval", "soonest"), [(10, 5.0, 5.0), (10, 20.0, 15.0)])
def test_what_is_late_is_read_one_per_round_or_four_times_as_often_as_planned(
    number, poll_interval, soonest
):
    targets = targets_of(number, poll_interval=poll_interval)
    checks = checks_of(targets)
    take_turn(checks, targets, 1060.0)
    for target in targets:
        target.checked = 0.0

    assert checks.due_at() == pytest.approx(1060 + soonest)


def test_what_becomes_late_before_the_next_planned_check_is_read_then():
    targets = targets_of(10)
    checks = checks_of(targets)
    targets.next_in_turn().checked = 430.0

    assert checks.due_at() == pytest.approx(1030)
