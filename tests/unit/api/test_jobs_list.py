"""Lists of jobs that are longer than a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_airbyte_sme.emulator import Emulator

PAGE_SIZE = 100  # docs/airbyte-api.md §7


@pytest.fixture
def job_ids(emulator: Emulator) -> list[int]:
    """Two full pages of jobs and a half one, the newest first."""

    def run_job() -> int:
        job_id = emulator.start_sync()
        emulator.finish_job(job_id)
        return job_id

    return [run_job() for _ in range(2 * PAGE_SIZE + 50)][::-1]


@pytest.fixture
def pages(emulator: Emulator) -> Callable[[], list[tuple[str, str]]]:
    """Return limit and offset of each request for a list of jobs."""

    def read() -> list[tuple[str, str]]:
        return [
            (request.query["limit"][0], request.query["offset"][0])
            for request in emulator.requests
            if request.route == "GET /jobs"
        ]

    return read


def listed(run, client, **arguments) -> list[int]:
    return [job.job_id for job in run(client.jobs.list(**arguments))]


def test_all_jobs_are_listed_by_default(client, run, job_ids, pages):
    assert listed(run, client) == job_ids
    assert pages() == [("100", "0"), ("100", "100"), ("100", "200")]


@pytest.mark.parametrize(
    ("limit", "expected_pages"),
    [
        (1, [("1", "0")]),
        (100, [("100", "0")]),
        (101, [("100", "0"), ("1", "100")]),
        (250, [("100", "0"), ("100", "100"), ("50", "200")]),
        (1000, [("100", "0"), ("100", "100"), ("100", "200")]),
        (0, []),
    ],
)
def test_a_limit_is_read_in_as_many_pages_as_it_needs(
    client, run, job_ids, pages, limit, expected_pages
):
    assert listed(run, client, limit=limit) == job_ids[:limit]
    assert pages() == expected_pages


def test_an_offset_counts_from_the_newest_job(client, run, job_ids, pages):
    assert listed(run, client, offset=130) == job_ids[130:]
    assert pages() == [("100", "130"), ("100", "230")]


def test_a_job_that_moves_to_the_next_page_is_listed_once(wire, client, emulator, run, job_ids):
    wire.before_next("GET", lambda: wire.before_next("GET", emulator.start_sync))

    assert listed(run, client) == job_ids
    assert len(emulator.jobs) == len(job_ids) + 1


def test_the_running_job_is_found_without_reading_the_history(
    client, emulator, run, job_ids, pages
):
    running = emulator.start_sync()

    job = run(client.jobs.find_running(emulator.connection_id))

    assert job is not None
    assert job.job_id == running
    assert running not in job_ids
    assert pages() == [("100", "0")]
