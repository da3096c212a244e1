"""When Airbyte is tried again in an outage that concerns all waits."""

from __future__ import annotations

import pytest

from airflow_provider_airbyte_sme.api import AirbyteTransportError, HttpRequest, HttpResponse, Job
from airflow_provider_airbyte_sme.api.errors import api_error
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.failures import SharedOutage, warn
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
