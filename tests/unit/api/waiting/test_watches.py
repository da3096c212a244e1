"""What a wait makes of the jobs that it sees."""

from functools import partial

import pytest

from airflow_provider_airbyte_sme.api import Job
from airflow_provider_airbyte_sme.api.waiting import Wait
from airflow_provider_airbyte_sme.api.waiting.syncs import SyncsSince
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch, SyncWatch
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


class TestSyncsInTheLog:
    @pytest.fixture
    def watch(self):
        return SyncWatch("c1", SINCE, Wait(0.0, connection_name="crm to lake"))

    def test_the_sync_that_ends_the_wait_is_named(self, watch):
        watch.saw(sync(3, 160), now=0.0)

        assert [line.message for line in watch.take_changes()] == [
            "Job 3 of connection 'crm to lake' (c1): succeeded."
        ]

    def test_a_failed_sync_is_told_once_and_waited_beyond(self, watch):
        for _ in range(2):
            assert watch.found(SyncsSince(unsuccessful=sync(2, 150, "failed"))) is None

        assert [line.message for line in watch.take_changes()] == [
            "Job 2 of connection 'crm to lake' (c1): failed. Waiting for one that succeeds."
        ]

    def test_nothing_is_told_if_there_is_no_sync(self, watch):
        assert watch.found(SyncsSince()) is None
        assert watch.take_changes() == []

    def test_a_change_is_told_once(self, watch):
        watch.saw(sync(3, 160), now=0.0)

        watch.take_changes()

        assert watch.take_changes() == []

    def test_a_timeout_says_what_was_waited_for(self, watch):
        assert str(watch.timeout_error()) == (
            f"No sync of connection 'crm to lake' (c1) has completed successfully since "
            f"{SINCE.isoformat()} and the time to wait for it is over."
        )

    def test_a_timeout_says_which_sync_failed_and_why_nothing_is_known(self, watch):
        watch.saw(sync(2, 150, "failed"), now=0.0)

        assert str(watch.timeout_error("; it could not be read any more: no route to X.")) == (
            f"No sync of connection 'crm to lake' (c1) has completed successfully since "
            f"{SINCE.isoformat()} and the time to wait for it is over; the newest one, job 2, "
            f"failed; it could not be read any more: no route to X."
        )


def test_a_job_is_told_to_be_slow_once():
    wait = Wait(0.0, usual_duration=60.0)
    watch = JobWatch(Job(1, "running", "c1", job_type="sync"), wait)

    lines = [line for now in (900.0, 1500.0) for line in watch.take_lines(now=now)]

    assert [line.is_warning for line in lines] == [False, True, False]


def test_a_job_that_the_log_calls_slow_is_not_called_so_again():
    wait = Wait(0.0, usual_duration=60.0, has_warned=True)
    watch = JobWatch(Job(1, "running", "c1", job_type="sync"), wait)

    assert [line.is_warning for line in watch.take_lines(now=900.0)] == [False]


def test_who_has_told_that_a_job_is_slow_notes_it():
    watch = JobWatch(Job(1, "running", "c1", job_type="sync"), Wait(0.0, usual_duration=60.0))

    watch.note_warning()

    assert [line.is_warning for line in watch.take_lines(now=900.0)] == [False]


def test_a_timeout_of_a_job_says_no_more_than_it_knows():
    watch = JobWatch(Job(1, "running", "c1", job_type="sync"), Wait(0.0))

    assert str(watch.timeout_error()) == (
        "Job 1 of connection c1 is still running and the time to wait for it is over."
    )


def test_an_end_that_the_log_has_told_is_not_told_again():
    ended = sync(1, 100)
    watch = JobWatch(ended, Wait(0.0))

    assert watch.saw(ended, now=1.0) is ended
    assert watch.take_changes() == []
