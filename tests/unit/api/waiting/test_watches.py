"""What a wait makes of the jobs that it sees."""

from functools import partial

import pytest

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.watches import SyncWatch
from tests.unit.api.waiting.simulated_airbyte import instant

SINCE = instant(100.5)


def sync(job_id: int, ended: float, status: str = "succeeded", job_type: str = "sync") -> Job:
    return Job(job_id, status, "c1", job_type=job_type, last_updated_at=instant(ended))


@pytest.mark.parametrize(
    "job",
    [
        sync(1, 99),
        sync(1, 100),  # seconds cannot tell
        sync(1, 200, job_type="reset"),
        Job(1, "running", "c1", job_type="sync"),
    ],
)
def test_what_has_surely_not_ended_since_then_ends_no_wait(job):
    watch = SyncWatch("c1", SINCE, Wait(0.0), fail_on_failed_sync=True)

    assert watch.saw(job, now=0.0) is None
    assert not watch.take_changes()


@pytest.mark.parametrize(("fails", "ends_with"), [(True, 2), (False, 3)])
def test_the_first_sync_that_decides_ends_a_wait(fails, ends_with):
    watch = SyncWatch("c1", SINCE, Wait(0.0), fail_on_failed_sync=fails)
    jobs = [sync(1, 99), sync(2, 150, "failed"), sync(3, 160)]

    assert next(job for job in map(partial(watch.saw, now=0.0), jobs) if job).job_id == ends_with
