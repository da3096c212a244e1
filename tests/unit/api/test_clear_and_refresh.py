"""Clears and refreshes are started exactly once, and never cancel a job unasked."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteBadRequestError,
    AirbyteClient,
    AirbyteConfigApiError,
    AirbyteConfigError,
    AirbyteServerError,
    AirbyteUnsupportedError,
    CreatedJob,
    JobCreation,
    Ownership,
)
from airflow_provider_airbyte_sme.api.resources.job_starts import (
    BASELINE_JOBS,
    HELD_OPEN_TIMEOUT,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import client_for, requests_to, settings_for
from tests.unit.api.responses import html_page, json_response

CLEAR_STREAM = "POST /api/v1/connections/clear/stream"
REFRESH = "POST /api/v1/connections/refresh"
STREAMS = [("users", None)]


class Start(NamedTuple):
    """A way to start a job that deletes or rereads data."""

    route: str
    job_type: str
    call: Callable[..., Awaitable[CreatedJob]]


STARTS = {
    "clear": Start(
        "POST /jobs",
        "reset",
        lambda client, connection_id, **kwargs: client.jobs.create(
            connection_id, "clear", unless_running=True, **kwargs
        ),
    ),
    "clear streams": Start(
        CLEAR_STREAM,
        "reset",
        lambda client, connection_id, **kwargs: client.jobs.clear_streams(
            connection_id, STREAMS, **kwargs
        ),
    ),
    "refresh": Start(
        REFRESH,
        "refresh",
        lambda client, connection_id, **kwargs: client.jobs.refresh(connection_id, **kwargs),
    ),
}


@pytest.fixture(params=list(STARTS.values()), ids=list(STARTS))
def start(request: pytest.FixtureRequest) -> Start:
    start: Start = request.param
    return start


@pytest.fixture(autouse=True)
def _long_jobs(emulator: Emulator) -> None:
    """Jobs run longer than any search for them."""
    for _ in range(3):
        emulator.script_job(statuses=[("running", None)])


@pytest.fixture
def begin(
    client: AirbyteClient, emulator: Emulator, run: Any, start: Start
) -> Callable[..., CreatedJob]:
    return lambda **kwargs: run(start.call(client, emulator.connection_id, **kwargs))


def kinds(emulator: Emulator) -> list[tuple[str, str]]:
    return [(job.config_type, job.status) for job in emulator.jobs.values()]


class TestStart:
    def test_a_job_is_created_and_is_ours(self, emulator, begin, start):
        created = begin()

        assert list(emulator.jobs) == [created.job_id]
        assert created.ownership is Ownership.STARTED
        assert created.job.job_type == start.job_type
        assert created.job.connection_id == emulator.connection_id

    @pytest.mark.parametrize("job_type", ["sync", "reset", "refresh"])
    @pytest.mark.parametrize("version", ["2.0.0", "2.1.0"])
    def test_a_job_that_is_running_is_in_the_way_and_goes_on(self, run, start, version, job_type):
        """Servers up to 2.0.0 list a refresh only when asked for that type."""
        emulator = Emulator(time="manual", version=version)
        emulator.script_job(statuses=[("running", None)])
        running = emulator.start_sync(job_type=job_type)
        client = client_for(emulator, emulator.transport())

        created = run(start.call(client, emulator.connection_id))

        assert (created.job_id, created.ownership) == (running, Ownership.FOREIGN)
        assert created.is_in_the_way
        assert [job.status for job in emulator.jobs.values()] == ["running"]
        assert requests_to(emulator, start.route) == []

    def test_a_job_that_has_ended_is_not_in_the_way(self, emulator, begin):
        emulator.finish_job(emulator.start_sync())

        assert begin().ownership is Ownership.STARTED

    def test_the_newest_jobs_are_read_before(self, emulator, begin, start):
        begin()

        queries = [each.query for each in emulator.requests if each.route == "GET /jobs"]
        names = ("limit", "offset", "orderBy")
        assert {tuple(each[name][0] for name in names) for each in queries} == {
            (f"{BASELINE_JOBS}", "0", "createdAt|DESC")
        }

    def test_airbyte_may_hold_the_call_open(self, begin, wire):
        begin()

        assert wire.requests[-1].held_open is True
        assert wire.requests[-1].timeout == HELD_OPEN_TIMEOUT

    def test_a_job_of_another_connection_is_not_in_the_way(self, emulator, begin):
        emulator.start_sync(emulator.add_connection("another"))

        created = begin()

        assert created.ownership is Ownership.STARTED
        assert created.job.connection_id == emulator.connection_id

    def test_an_outage_is_survived_up_to_the_timeout(self, emulator, begin):
        began = emulator.clock.time()
        emulator.fail_next("GET /jobs", 503, times=None)

        with pytest.raises(AirbyteServerError):
            begin(timeout=20.0)

        assert 0 < emulator.clock.time() - began <= 20

    def test_a_rejection_is_raised_at_once(self, emulator, begin, start):
        emulator.fail_next(start.route, 422)

        with pytest.raises(AirbyteBadRequestError) as rejected:
            begin()

        assert requests_to(emulator, start.route) == [422]
        assert "may be blocked" not in str(rejected.value)

    @pytest.mark.parametrize("status", [401, 429])
    def test_what_was_not_executed_is_sent_again(self, emulator, begin, start, status):
        emulator.fail_next(start.route, status)

        assert begin().ownership is Ownership.STARTED
        assert requests_to(emulator, start.route) == [status, 200]

    def test_a_job_that_starts_during_a_pause_is_not_cancelled(self, emulator, begin, wire, start):
        emulator.fail_next(start.route, 429)
        wire.after_next_sleep(emulator.start_sync)

        created = begin()

        assert created.is_in_the_way
        assert kinds(emulator) == [("sync", "running")]


class TestLostResponse:
    @pytest.mark.parametrize("version", ["2.0.0", "2.1.0"])
    def test_the_job_is_found_and_is_ours(self, run, start, version):
        emulator = Emulator(time="manual", version=version)
        emulator.script_job(statuses=[("running", None)])
        emulator.drop_next(start.route, after=True)
        client = client_for(emulator, emulator.transport())
        began = emulator.clock.time()

        created = run(start.call(client, emulator.connection_id))

        assert list(emulator.jobs) == [created.job_id]
        assert created.ownership is Ownership.FOUND
        assert emulator.clock.time() == began, "the first search finds it"

    def test_a_job_of_another_connection_is_no_candidate(self, emulator, begin, start):
        emulator.drop_next(start.route, after=True)
        another = emulator.add_connection("another")
        emulator.call_next(
            start.route, lambda: emulator.start_sync(another, job_type=start.job_type)
        )

        created = begin()

        assert created.ownership is Ownership.FOUND
        assert created.job.connection_id == emulator.connection_id

    def test_the_first_search_reads_a_full_page_of_the_newest_jobs(self, emulator, begin, start):
        emulator.drop_next(start.route, after=True)

        begin()

        query = emulator.requests[-1].query
        assert (query["limit"], query["offset"]) == (["100"], ["0"])

    def test_a_request_that_did_not_arrive_is_sent_again(self, emulator, begin, start):
        emulator.drop_next(start.route, after=False)

        created = begin()

        assert list(emulator.jobs) == [created.job_id]
        assert created.ownership is Ownership.STARTED

    def test_a_page_of_an_ingress_starts_no_second_job(self, emulator, begin, wire):
        wire.replace_next_response("POST", html_page(200))

        created = begin()

        assert list(emulator.jobs) == [created.job_id]
        assert created.ownership is Ownership.FOUND

    def test_a_truncated_response_starts_no_second_job(self, emulator, begin, wire):
        wire.replace_next_response("POST", json_response({"job": {"id": 1}}))

        assert begin().ownership is Ownership.FOUND
        assert len(emulator.jobs) == 1

    def test_a_sync_that_starts_meanwhile_is_neither_ours_nor_cancelled(
        self, emulator, begin, start
    ):
        emulator.drop_next(start.route, after=False)
        emulator.call_next(start.route, emulator.start_sync)

        created = begin()

        assert created.ownership is Ownership.FOREIGN
        assert kinds(emulator) == [("sync", "running")]

    def test_a_server_that_always_fails_is_asked_three_times(self, emulator, begin, start):
        emulator.fail_next(start.route, 500, times=None)

        with pytest.raises(AirbyteServerError):
            begin()

        assert requests_to(emulator, start.route) == [500] * 3
        assert emulator.jobs == {}

    def test_who_interrupts_the_start_can_find_the_job(
        self, client, emulator, run, wire, start, begin
    ):
        class Killed(BaseException):
            pass

        def kill() -> None:
            raise Killed

        creation = JobCreation("clear" if start.job_type == "reset" else "refresh")
        emulator.drop_next(start.route, after=True)
        wire.before_next("POST", lambda: wire.before_next("GET", kill))

        with pytest.raises(Killed):
            begin(creation=creation)
        assert creation.baseline == 0
        found = run(client.jobs.find_created(emulator.connection_id, creation))

        assert (found.job_id, found.ownership) == (max(emulator.jobs), Ownership.FOUND)


class TestClearStreams:
    def test_only_these_are_named(self, client, emulator, run):
        run(client.jobs.clear_streams(emulator.connection_id, [("users", "crm"), ("a", None)]))

        (request,) = (each for each in emulator.requests if each.route == CLEAR_STREAM)
        assert request.json == {
            "connectionId": emulator.connection_id,
            "streams": [
                {"streamName": "users", "streamNamespace": "crm"},
                {"streamName": "a"},
            ],
        }

    def test_no_stream_is_refused_because_airbyte_takes_it_for_all(self, client, emulator, run):
        with pytest.raises(AirbyteConfigError, match=r"^No stream to clear is given"):
            run(client.jobs.clear_streams(emulator.connection_id, []))

        assert emulator.jobs == {}


class TestRefresh:
    @pytest.mark.parametrize(
        ("arguments", "sent"),
        [
            ([], {"refreshMode": "Merge"}),
            (["truncate"], {"refreshMode": "Truncate"}),
            (
                ["merge", STREAMS],
                {"refreshMode": "Merge", "streams": [{"streamName": "users"}]},
            ),
        ],
    )
    def test_mode_and_streams_are_sent(self, client, emulator, run, arguments, sent):
        run(client.jobs.refresh(emulator.connection_id, *arguments))

        (request,) = (each for each in emulator.requests if each.route == REFRESH)
        assert request.json == {"connectionId": emulator.connection_id, **sent}

    def test_a_destination_that_cannot_be_refreshed_is_an_error(self, emulator, run):
        destination = emulator.add_destination("Files", connector="s3")
        connection = emulator.add_connection("to files", destination_id=destination)
        client = client_for(emulator, emulator.transport())

        with pytest.raises(AirbyteUnsupportedError, match="destination cannot be refreshed"):
            run(client.jobs.refresh(connection))

        assert emulator.jobs == {}

    def test_a_job_that_starts_just_before_is_waited_for_by_the_caller(
        self, client, emulator, run, caplog
    ):
        """Airbyte answers without a job, and lets that one go on."""
        caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
        emulator.call_next(REFRESH, emulator.start_sync)

        created = run(client.jobs.refresh(emulator.connection_id))

        assert caplog.messages[-1] == (
            "Airbyte started no refresh. Looking for a job that is in the way."
        )

        assert created.is_in_the_way
        assert kinds(emulator) == [("sync", "running")]

    def test_a_workflow_that_has_not_quite_ended_is_waited_for(self, client, emulator, run):
        emulator.fail_next(REFRESH, 200, body={})

        created = run(client.jobs.refresh(emulator.connection_id))

        assert created.ownership is Ownership.STARTED


@pytest.mark.parametrize("start", [STARTS["clear streams"], STARTS["refresh"]], indirect=True)
class TestConfigApi:
    def test_it_may_be_switched_off(self, emulator, run, start):
        settings = settings_for(emulator, config_api=False)
        client = client_for(emulator, emulator.transport(), settings=settings)

        what = "A refresh" if start.job_type == "refresh" else "Clearing single streams"
        with pytest.raises(
            AirbyteConfigApiError, match=f"^{what} needs .* config_api of the Airflow connection"
        ):
            run(start.call(client, emulator.connection_id))

        assert emulator.requests == []

    @pytest.mark.parametrize("status", [403, 404])
    def test_it_may_be_blocked_in_front_of_airbyte(self, emulator, begin, start, status):
        emulator.html_next(start.route, times=None, status=status)

        with pytest.raises(
            AirbyteApiError,
            match=r"instead of an API response; the config API \(/api/v1\) may be blocked in front "
            r"of Airbyte\.",
        ):
            begin()

        assert emulator.jobs == {}
