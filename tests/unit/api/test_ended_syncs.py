"""Which syncs of a connection have ended since an instant, and what ends a wait for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbytePermissionError,
    AirbyteServerError,
    HttpRequest,
    HttpResponse,
    Job,
    JobStatus,
)
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince, ended_since
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import Wire

INSTANT = datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PAGE_SIZE = 100  # docs/airbyte-api.md §7


def ended_job(job_id: int = 1, **fields: Any) -> Job:
    """Return a sync that succeeded in the second of the instant, except for the given fields."""
    job = Job(
        job_id,
        "succeeded",
        "18dc",
        job_type="sync",
        started_at=INSTANT - 60 * SECOND,
        last_updated_at=INSTANT,
        duration=60 * SECOND,
    )
    return replace(job, **fields)


class TestEndOfAJob:
    def test_it_is_the_last_update_of_a_terminal_job(self):
        assert ended_job(duration=None).ended_at == INSTANT

    def test_it_follows_from_start_and_duration(self):
        assert ended_job(last_updated_at=None).ended_at == INSTANT

    @pytest.mark.parametrize("missing", [{"started_at": None}, {"duration": None}])
    def test_it_may_be_unknown(self, missing: dict[str, Any]):
        assert ended_job(last_updated_at=None, **missing).ended_at is None

    def test_a_duration_beyond_all_dates_is_none(self):
        assert ended_job(last_updated_at=None, duration=timedelta.max).ended_at is None

    def test_a_running_job_has_none(self):
        assert ended_job(status="running").ended_at is None


@pytest.mark.parametrize(
    ("job_type", "is_sync"),
    [("sync", True), ("refresh", True), ("reset", False), ("clear", False), ("", False)],
)
def test_which_types_sync_all_streams(job_type, is_sync):
    assert ended_job(job_type=job_type).is_sync is is_sync
    assert ended_since(ended_job(job_type=job_type), INSTANT) is is_sync


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_sync_whose_end_is_unknown_is_older_than_any_other(status):
    known = ended_job(1, status=status)
    unknown = ended_job(2, status=status, last_updated_at=None, duration=None)

    for jobs in ((known, unknown), (unknown, known)):
        syncs = SyncsSince().with_job(jobs[0]).with_job(jobs[1])
        assert syncs.decisive(fail_on_failed_sync=True) == known


class TestEndedSince:
    @pytest.mark.parametrize(
        ("instant", "expected"),
        [
            (INSTANT - SECOND, True),
            (INSTANT, True),
            # Shown is 01:30:50; the job may have ended at 01:30:50.7.
            (INSTANT + timedelta(microseconds=1), None),
            (INSTANT + timedelta(seconds=0.999), None),
            (INSTANT + SECOND, False),
            (datetime.max.replace(tzinfo=UTC), False),
            (datetime.min.replace(tzinfo=UTC), True),
        ],
    )
    def test_whole_seconds_decide_unless_it_is_the_same_second(self, instant, expected):
        assert ended_since(ended_job(), instant) is expected

    def test_zones_do_not_matter(self):
        instant = INSTANT.astimezone(timezone(timedelta(hours=-8)))

        assert ended_since(ended_job(), instant) is True
        assert ended_since(ended_job(), instant + SECOND) is False

    @pytest.mark.parametrize("status", [*JobStatus, "paused"])
    def test_only_a_terminal_status_has_ended(self, status):
        terminal = {"succeeded", "failed", "cancelled"}

        assert ended_since(ended_job(status=status), INSTANT) is (status in terminal)

    def test_a_job_whose_end_is_unknown_does_not_count(self):
        job = ended_job(last_updated_at=None, duration=None)

        assert ended_since(job, INSTANT - timedelta(days=1)) is False


class TestDecision:
    def test_nothing_has_ended(self):
        assert SyncsSince().decisive(fail_on_failed_sync=True) is None

    def test_a_success_ends_the_wait_also_beside_a_failure(self):
        success, failure = ended_job(1), ended_job(2, status="failed")
        syncs = SyncsSince().with_job(success).with_job(failure)

        assert syncs.decisive(fail_on_failed_sync=True) == success
        assert syncs.decisive(fail_on_failed_sync=False) == success

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_a_failure_ends_it_only_if_that_is_wanted(self, status):
        failure = ended_job(status=status)
        syncs = SyncsSince().with_job(failure)

        assert syncs.decisive(fail_on_failed_sync=True) == failure
        assert syncs.decisive(fail_on_failed_sync=False) is None

    @pytest.mark.parametrize("status", ["succeeded", "failed"])
    @pytest.mark.parametrize("is_reversed", [False, True])
    def test_the_newest_counts_in_whatever_order_they_come(self, status, is_reversed):
        jobs = [
            ended_job(9, status=status),
            ended_job(1, status=status, last_updated_at=INSTANT + SECOND),
            ended_job(2, status=status, last_updated_at=INSTANT + SECOND),
        ]
        syncs = SyncsSince()
        for job in reversed(jobs) if is_reversed else jobs:
            syncs = syncs.with_job(job)

        assert syncs.decisive(fail_on_failed_sync=True) == jobs[2]

    @pytest.mark.parametrize("fields", [{"status": "running"}, {"job_type": "reset"}])
    def test_what_is_no_ended_sync_changes_nothing(self, fields):
        assert SyncsSince().with_job(ended_job(**fields)) == SyncsSince()


class ServerWithoutFilters(Wire):
    """A server that ignores filter and order of a list: all jobs, the oldest first."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        url, _, query = request.url.partition("?")
        kept = [
            part
            for part in query.split("&")
            if not part.startswith(("updatedAtStart=", "orderBy="))
        ]
        return await super().send(replace(request, url=f"{url}?{'&'.join(kept)}".rstrip("?")))


@pytest.fixture
def find(client: AirbyteClient, emulator: Emulator, run) -> Callable[[datetime], SyncsSince]:
    def search(since: datetime) -> SyncsSince:
        found: SyncsSince = run(client.jobs.ended_syncs(emulator.connection_id, since))
        return found

    return search


def start_sync(emulator: Emulator, connection_id: str | None = None, **arguments: Any) -> int:
    """Start a job that runs until the test ends it."""
    emulator.script_job(connection_id, statuses=[("running", None)])
    return emulator.start_sync(connection_id, **arguments)


def end_sync(emulator: Emulator, status: str = "succeeded", **arguments: Any) -> int:
    """Run a job that ends one second later."""
    job_id = start_sync(emulator, **arguments)
    emulator.advance(1)
    emulator.finish_job(job_id, status)
    return job_id


def ids(syncs: SyncsSince) -> tuple[int | None, int | None]:
    succeeded, unsuccessful = (None if each is None else each.job_id for each in syncs)
    return succeeded, unsuccessful


class TestSearch:
    """On a server that filters and sorts, and on one that does neither."""

    @pytest.fixture(params=[Wire, ServerWithoutFilters], ids=["filters", "ignores filters"])
    def wire(self, request: pytest.FixtureRequest, emulator: Emulator) -> Wire:
        made: Wire = request.param(emulator)
        return made

    def test_an_earlier_success_does_not_count(self, emulator, find):
        end_sync(emulator)
        emulator.advance(1)

        assert find(emulator.now) == SyncsSince()

    def test_a_later_success_counts_whoever_started_it_and_whenever(self, emulator, find):
        job_id = start_sync(emulator)
        emulator.advance(10)
        since = emulator.now
        emulator.advance(10)
        emulator.finish_job(job_id)

        assert ids(find(since)) == (job_id, None)

    def test_a_refresh_counts_and_a_reset_does_not(self, emulator, find):
        since = emulator.now
        end_sync(emulator, job_type="reset")
        assert find(since) == SyncsSince()
        refresh = end_sync(emulator, job_type="refresh")
        end_sync(emulator, job_type="reset")

        assert ids(find(since)) == (refresh, None)

    def test_many_older_and_newer_jobs_do_not_hide_it(self, emulator, find):
        for _ in range(PAGE_SIZE + 10):
            end_sync(emulator)
        emulator.advance(1)
        since = emulator.now
        success = end_sync(emulator)
        for _ in range(PAGE_SIZE + 10):
            end_sync(emulator, "cancelled")
        end_sync(emulator, job_type="reset")
        start_sync(emulator)

        assert ids(find(since))[0] == success

    def test_jobs_of_other_connections_do_not_count(self, emulator, find):
        since = emulator.now
        end_sync(emulator, connection_id=emulator.add_connection())

        assert find(since) == SyncsSince()


def test_one_request_is_enough_when_a_success_is_on_the_first_page(client, emulator, wire, run):
    since = emulator.now
    for _ in range(PAGE_SIZE + 1):
        end_sync(emulator)
    wire.requests.clear()

    run(client.jobs.ended_syncs(emulator.connection_id, since))

    assert wire.calls == ["GET"]


def test_a_server_that_ignores_the_offset_is_not_asked_for_ever(client, emulator, wire, run):
    since = emulator.now
    for _ in range(PAGE_SIZE + 1):
        end_sync(emulator, job_type="reset")
    pages: list[Any] = []

    def always_the_first(page: Any) -> Any:
        pages.append(page)
        return pages[0]

    emulator.alter_next("GET /jobs", always_the_first, times=None)
    wire.requests.clear()

    run(client.jobs.ended_syncs(emulator.connection_id, since))

    assert wire.calls == ["GET", "GET"]


class TestFractionsOfASecond:
    """The emulator's clock begins at 01:30:00.4; Airbyte shows 01:30:00."""

    def test_the_servers_filter_decides_within_the_same_second(self, emulator, find):
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)

        assert ids(find(emulator.now)) == (job_id, None)
        assert find(emulator.now + timedelta(milliseconds=1)) == SyncsSince()

    def test_the_instant_may_be_in_any_zone(self, emulator, find):
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)
        since = emulator.now.astimezone(timezone(timedelta(hours=5, minutes=30)))

        assert ids(find(since)) == (job_id, None)


class TestPolling:
    def test_an_outage_is_outlasted(self, client, emulator, wire, run):
        since = emulator.now
        job_id = end_sync(emulator)
        emulator.fail_next("GET /jobs", status=503, times=20)

        syncs = run(client.jobs.poll_syncs(emulator.connection_id, since, poll_interval=5))

        assert ids(syncs) == (job_id, None)
        assert 5 in wire.slept

    def test_the_failure_budget_limits_it(self, client, emulator, run):
        began = emulator.now
        emulator.fail_next("GET /jobs", status=503, times=None)

        with pytest.raises(AirbyteServerError):
            run(client.jobs.poll_syncs(emulator.connection_id, began, failure_budget=60))

        assert 55 <= (emulator.now - began).total_seconds() <= 60

    def test_a_permanent_error_ends_it_at_once(self, client, emulator, run):
        with pytest.raises(AirbytePermissionError):
            run(client.jobs.poll_syncs("00000000-0000-4000-8000-000000000000", emulator.now))


def test_the_query_is_what_airbyte_documents(client, emulator, wire, run):
    run(client.jobs.ended_syncs(emulator.connection_id, INSTANT))

    url = urlsplit(wire.requests[-1].url)
    assert url.path == "/api/public/v1/jobs"
    assert dict(parse_qsl(url.query, strict_parsing=True)) == {
        "connectionId": emulator.connection_id,
        "updatedAtStart": "2026-03-25T01:30:50+00:00",
        "orderBy": "updatedAt|DESC",
        "limit": "100",
        "offset": "0",
    }
