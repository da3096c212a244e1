"""When Airbyte is tried again in an outage that concerns all waits."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.api import AirbyteTransportError, HttpRequest, HttpResponse, Job
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.failures import SharedOutage, outlast, warn
from airflow_provider_airbyte_sme.api.waiting.messages import Lost
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch

REFUSED = AirbyteTransportError("refused", request_sent=False)
TOO_MANY = api_error(HttpRequest("GET", "https://ab/jobs"), HttpResponse(429), retry_after=30.0)


@pytest.fixture
def watch():
    return JobWatch(Job(1, "running", "c1"), Wait(0.0, poll_interval=40.0))


def failed(watch, error):
    outage = SharedOutage(0.0, error)
    outage.failed([watch], error, 0.0)
    return outage


def test_airbyte_is_tried_again_after_the_poll_interval(watch):
    outage = failed(watch, REFUSED)

    assert (outage.next_probe, outage.is_certain, outage.error) == (40.0, True, REFUSED)


def test_a_list_that_fails_is_only_a_suspicion():
    outage = SharedOutage(0.0, REFUSED)

    outage.suspected(TOO_MANY, 10.0)

    assert (outage.next_probe, outage.is_certain, outage.error) == (40.0, False, TOO_MANY)


def test_a_wait_that_begins_meanwhile_tries_after_its_own_interval(watch):
    outage = failed(watch, REFUSED)

    outage.joined(10.0, 5.0)

    assert outage.next_probe == 15.0


def test_a_wait_with_a_long_interval_puts_nothing_off(watch):
    outage = failed(watch, REFUSED)

    outage.joined(100.0, 5.0)

    assert outage.next_probe == 40.0


def test_a_wait_that_begins_meanwhile_does_not_try_before_airbyte_permits_it(watch):
    outage = failed(watch, TOO_MANY)

    outage.joined(10.0, 5.0)

    assert outage.next_probe == 30.0


def test_whoever_outlasts_a_failed_read_is_warned(watch):
    (told,) = warn([watch], REFUSED, 0.0, 10.0)

    assert (told.watch, told.is_warning) == (watch, True)
    assert told.message.startswith("No good response for 10 s")


def test_a_wait_whose_time_ends_in_an_outage_says_why_nothing_is_known():
    watch = JobWatch(Job(1, "running", "c1"), Wait(0.0, timeout=60.0))

    (lost,), _ = outlast([watch], REFUSED, 0.0, 60.0)

    assert str(lost.error) == (
        "Job 1 of connection c1 is still running and the time to wait for it is over; it could "
        "not be read any more: refused."
    )


def test_a_wait_whose_time_is_over_says_no_more_than_it_knows(watch):
    assert str(Lost.timed_out(watch).error) == (
        "Job 1 of connection c1 is still running and the time to wait for it is over."
    )


def test_who_was_told_of_an_outage_is_told_how_long_it_lasted(watch):
    outage = SharedOutage(5.0, REFUSED)
    outage.tell([watch], 10.0)

    (told,) = outage.end([watch], 25.0)

    assert told.message == "Airbyte responds again, after 20 s."
    assert not told.is_warning


def test_every_second_time_a_list_is_tried(watch):
    outage = failed(watch, REFUSED)

    assert [outage.probes_list(is_listing=True) for _ in range(4)] == [False, True, False, True]


def test_no_list_is_tried_if_none_is_used(watch):
    outage = failed(watch, REFUSED)

    assert [outage.probes_list(is_listing=False) for _ in range(4)] == [False] * 4


def test_no_list_is_tried_if_one_failed_first(watch):
    outage = SharedOutage(0.0, REFUSED)
    outage.suspected(REFUSED, 0.0)
    outage.failed([watch], REFUSED, 5.0)

    assert [outage.probes_list(is_listing=True) for _ in range(4)] == [False] * 4
