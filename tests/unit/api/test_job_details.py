"""What the config API knows of a job, and how it is read in an outage, or not if it is closed."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConfigApiError,
    AirbyteError,
    AirbytePermissionError,
    AirbyteServerError,
    Attempt,
    JobDetails,
    StreamCounters,
)
from tests.unit.api.doubles import client_for, requests_to, settings_for

DETAILS = "POST /api/v1/jobs/get_without_logs"


@pytest.fixture
def job_id(emulator) -> int:
    """A job that has ended."""
    emulator.script_job(rows_of={"users": 5, "products": 0}, duration=1)
    job_id = emulator.start_sync()
    emulator.advance(1)
    return job_id


@pytest.mark.parametrize(
    ("attempts", "streams", "rows"),
    [
        ([], [], None),
        ([None], [], None),
        ([0], [], 0),
        ([None], [0], 0),
        ([7], [], 7),
        ([None], [3, 4], 7),
        ([7], [3, None], 7),
        ([3, 4], [3, 4], 7),
        ([9, 4], [2], 4),
    ],
    ids=[
        "nothing at all",
        "no statistics",
        "an attempt without rows",
        "a stream without rows",
        "an attempt only",
        "streams only",
        "streams that were stored before the end",
        "streams of several attempts",
        "a full refresh, begun again",
    ],
)
def test_the_rows_of_a_job_are_those_that_surely_arrived(attempts, streams, rows):
    details = JobDetails(
        tuple(Attempt(number, rows=each) for number, each in enumerate(attempts)),
        tuple(StreamCounters(f"s{number}", rows=each) for number, each in enumerate(streams)),
    )

    assert details.rows == rows


def test_the_full_name_of_a_stream_begins_with_its_namespace():
    assert StreamCounters("users").full_name == "users"
    assert StreamCounters("users", "public").full_name == "public.users"


def test_the_counters_of_streams_are_read(client, job_id, run):
    details = run(client.jobs.poll_details(job_id))

    assert [(stream.name, stream.rows) for stream in details.streams] == [
        ("users", 5),
        ("products", 0),
    ]
    assert details.rows == 5


def test_they_are_read_after_an_outage_of_minutes(client, emulator, job_id, run):
    emulator.fail_next(DETAILS, 503, times=None)
    restart = emulator.now.timestamp() + 400
    emulator.call_next(
        DETAILS,
        lambda: emulator.now.timestamp() >= restart and emulator.clear_faults(),
        times=None,
    )

    assert run(client.jobs.poll_details(job_id, poll_interval=5)).rows == 5
    assert emulator.now.timestamp() >= restart


def test_an_outage_that_lasts_longer_is_given_up(client, emulator, job_id, run):
    emulator.fail_next(DETAILS, 503, times=None)
    began = emulator.now.timestamp()

    with pytest.raises(AirbyteServerError):
        run(client.jobs.poll_details(job_id, poll_interval=5, failure_budget=60))

    assert 60 <= emulator.now.timestamp() - began < 90


def test_a_closed_config_api_is_asked_once(client, emulator, job_id, run):
    emulator.fail_next(DETAILS, 403, times=None)
    before = len(requests_to(emulator, DETAILS))
    began = emulator.now

    with pytest.raises(AirbytePermissionError):
        run(client.jobs.poll_details(job_id))

    assert len(requests_to(emulator, DETAILS)) == before + 1
    assert emulator.now == began


def test_a_gateway_that_hides_it_is_asked_once(client, emulator, job_id, run):
    emulator.html_next(DETAILS, status=404, times=None)

    with pytest.raises(AirbyteError, match="404"):
        run(client.jobs.poll_details(job_id))

    assert len(requests_to(emulator, DETAILS)) == 1


def test_one_that_is_switched_off_is_not_asked(emulator, wire, job_id, run):
    client = client_for(emulator, wire, settings=settings_for(emulator, config_api=False))

    with pytest.raises(AirbyteConfigApiError, match="set config_api"):
        run(client.jobs.poll_details(job_id))

    assert requests_to(emulator, DETAILS) == []
