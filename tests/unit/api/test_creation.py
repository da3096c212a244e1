"""Whose job it is: job ids decide, and a signal handler may look at any point."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteServerError,
    AirbyteStoppedError,
    CreatedJob,
    Job,
    JobCreation,
    Ownership,
)
from tests.unit.api.doubles import requests_to

POST = "POST /jobs"
BASELINE = 10
CONNECTION_ID = "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"
OURS = Job(job_id=11, status="pending", job_type="sync", connection_id=CONNECTION_ID)
OLDER = replace(OURS, job_id=10)
NEWER = replace(OURS, job_id=12)
CLEAR = replace(OURS, job_type="reset")


@pytest.fixture
def creation():
    return JobCreation("sync")


@pytest.fixture
def posted(creation):
    """A creation whose ``POST`` is out."""
    creation.begin_post(BASELINE)
    return creation


@pytest.fixture
def lost(posted):
    """A creation whose ``POST`` got no usable response."""
    posted.note_loss()
    return posted


class TestInDoubt:
    """Only while a ``POST`` is out, or was lost, may there be a job that nobody knows of."""

    def test_of_a_new_creation_nothing_is_known(self, creation):
        assert (creation.may_appear, creation.is_stopped, creation.newest_jobs) == (
            False,
            False,
            (),
        )

    def test_nothing_is_in_doubt_before_a_post(self, creation):
        assert (creation.baseline, creation.created, creation.is_unresolved) == (None, None, False)

    def test_a_post_that_is_out_is_in_doubt(self, posted):
        assert posted.baseline == BASELINE

    def test_a_rejected_post_created_nothing(self, posted):
        posted.note_rejection()

        assert posted.baseline is None

    def test_a_lost_post_stays_in_doubt_from_its_own_baseline(self, lost):
        lost.begin_post(NEWER.job_id)
        lost.note_rejection()

        assert lost.baseline == BASELINE
        assert lost.is_unresolved

    def test_a_job_that_is_known_ends_the_doubt(self, lost):
        lost.note_created(CreatedJob(OURS, Ownership.STARTED))

        assert (lost.baseline, lost.is_unresolved) == (None, False)
        assert lost.created == CreatedJob(OURS, Ownership.STARTED)

    def test_the_next_post_forgets_the_job_before(self, creation):
        creation.note_created(CreatedJob(OLDER, Ownership.FOREIGN, is_in_the_way=True))

        creation.begin_post(BASELINE)

        assert creation.created is None


class TestResponse:
    def test_a_job_above_the_newest_one_is_ours(self, posted):
        created = posted.note_response(OURS)

        assert created == posted.created == CreatedJob(OURS, Ownership.STARTED)

    @pytest.mark.parametrize("job", [OLDER, CLEAR], ids=["older", "another type"])
    def test_any_other_job_is_foreign_and_in_the_way(self, posted, job):
        assert posted.note_response(job) == CreatedJob(job, Ownership.FOREIGN, is_in_the_way=True)

    def test_an_older_job_is_in_the_way_after_a_lost_post_too(self, lost):
        lost.begin_post(BASELINE)

        created = lost.note_response(OLDER)

        assert created == CreatedJob(OLDER, Ownership.FOREIGN, is_in_the_way=True)

    def test_the_list_decides_about_a_job_between_two_posts(self, lost):
        lost.begin_post(OURS.job_id)

        assert lost.note_response(OURS) is None
        assert lost.baseline == BASELINE


class TestListedJobs:
    def test_the_only_candidate_is_ours(self, lost):
        assert lost.note_listed_jobs([OURS, OLDER]) == CreatedJob(OURS, Ownership.FOUND)

    def test_the_newest_of_several_candidates_is_foreign(self, lost):
        assert lost.note_listed_jobs([OURS, NEWER]) == CreatedJob(NEWER, Ownership.FOREIGN)

    @pytest.mark.parametrize("status", ["running", "succeeded"])
    def test_one_that_has_not_failed_is_waited_for_rather_than_a_newer_one(self, lost, status):
        good, failed = replace(OURS, status=status), replace(NEWER, status="failed")

        for jobs in ([good, failed], [failed, good]):
            assert lost.note_listed_jobs(jobs) == CreatedJob(good, Ownership.FOREIGN)
            lost.begin_post(BASELINE)
            lost.note_loss()

    @pytest.mark.parametrize("jobs", [[], [OLDER], [CLEAR]], ids=["none", "older", "another type"])
    def test_without_a_candidate_the_doubt_remains(self, lost, jobs):
        assert lost.note_listed_jobs(jobs) is None
        assert lost.baseline == BASELINE

    @pytest.mark.parametrize("ownership", list(Ownership))
    def test_nothing_is_a_candidate_once_the_job_is_known(self, lost, ownership):
        """As for the code that a signal handler has interrupted, after the handler."""
        lost.note_created(CreatedJob(OURS, ownership))

        assert lost.note_listed_jobs([OURS]) is None
        assert lost.created == CreatedJob(OURS, ownership)


class TestRunningJobs:
    """Before a ``POST`` that would cancel what is running."""

    def test_the_running_job_is_foreign_and_in_the_way(self, creation):
        ended = replace(NEWER, status="succeeded")

        created = creation.note_running([ended, CLEAR])

        assert created == CreatedJob(CLEAR, Ownership.FOREIGN, is_in_the_way=True)
        assert creation.baseline is None

    def test_of_several_the_newest_is_in_the_way(self, creation):
        for jobs in ([CLEAR, NEWER], [NEWER, CLEAR]):
            assert creation.note_running(jobs).job == NEWER

    def test_nothing_is_in_the_way_of_a_lost_post_that_is_still_in_doubt(self, lost):
        assert lost.note_running([replace(OLDER, status="failed")]) is None
        assert lost.baseline == BASELINE


class TestResumption:
    """The creation of a process that died after its ``POST`` may have gone out."""

    LATEST = datetime(2026, 3, 25, 12, tzinfo=UTC)

    @pytest.fixture
    def resumed(self, creation):
        creation.resume(BASELINE, self.LATEST)
        return creation

    def test_its_job_is_in_doubt(self, resumed):
        assert (resumed.baseline, resumed.is_unresolved) == (BASELINE, True)

    @pytest.mark.parametrize(
        ("seconds", "ownership"),
        [(-1, Ownership.FOUND), (0, Ownership.FOUND), (1, Ownership.FOREIGN)],
    )
    def test_a_job_that_is_younger_than_the_process_is_not_ours(self, resumed, seconds, ownership):
        job = replace(OURS, started_at=self.LATEST + timedelta(seconds=seconds))

        assert resumed.note_listed_jobs([job]) == CreatedJob(job, ownership)

    def test_a_job_without_a_time_may_be_ours(self, resumed):
        assert resumed.note_listed_jobs([OURS]) == CreatedJob(OURS, Ownership.FOUND)

    def test_the_next_post_has_no_such_limit(self, resumed):
        resumed.begin_post(BASELINE)
        resumed.note_loss()
        job = replace(OURS, started_at=self.LATEST + timedelta(days=1))

        assert resumed.note_listed_jobs([job]) == CreatedJob(job, Ownership.FOUND)

    def test_nothing_is_in_doubt_once_it_is_abandoned(self, resumed):
        resumed.abandon()

        assert (resumed.baseline, resumed.created) == (None, None)
        assert resumed.is_unresolved is False

    def test_the_job_of_another_creation_is_forgotten(self, creation):
        creation.note_created(CreatedJob(OURS, Ownership.STARTED))

        creation.abandon()

        assert creation.created is None

    def test_an_abandoned_creation_has_no_limit(self, resumed):
        resumed.abandon()
        resumed.begin_post(BASELINE)
        resumed.note_loss()
        job = replace(OURS, started_at=self.LATEST + timedelta(days=1))

        assert resumed.note_listed_jobs([job]) == CreatedJob(job, Ownership.FOUND)


class TestObserver:
    """What a signal handler, or what outlasts the process, is told."""

    @pytest.fixture
    def told(self, creation):
        told = []
        creation.observer = lambda *news: told.append(news)
        return told

    def test_it_is_told_before_a_post_that_a_job_may_appear(self, creation, told):
        creation.begin_post(BASELINE)

        assert told == [(BASELINE, None)]

    def test_it_is_told_the_baseline_of_the_first_lost_post(self, lost, told):
        lost.begin_post(NEWER.job_id)

        assert told == [(BASELINE, None)]

    def test_it_is_told_of_a_rejection(self, posted, told):
        posted.note_rejection()

        assert told == [(None, None)]

    def test_it_is_told_which_job_it_is(self, posted, told):
        created = posted.note_response(OURS)

        assert told == [(None, created)]

    def test_it_is_not_told_of_a_search_in_vain(self, lost, told):
        lost.note_absence()

        assert told == []
        assert (lost.baseline, lost.is_unresolved, lost.may_appear) == (None, False, True)

    def test_it_is_told_nothing_after_a_stop(self, posted, told):
        posted.stop()

        posted.note_response(OURS)

        assert told == []

    def test_a_job_that_is_known_cannot_appear_any_more(self, lost):
        lost.note_absence()

        lost.note_created(CreatedJob(OURS, Ownership.FOUND))

        assert lost.may_appear is False


class TestStop:
    def test_a_creation_that_is_not_stopped_may_go_on(self, creation):
        creation.raise_if_stopped()

        assert not creation.is_stopped

    def test_no_post_begins_after_a_stop(self, creation):
        creation.stop()

        with pytest.raises(
            AirbyteStoppedError, match=r"^The task was killed, so it starts no job\.$"
        ):
            creation.begin_post(BASELINE)
        assert creation.is_stopped
        assert creation.baseline is None

    def test_a_post_that_is_out_stays_in_doubt(self, posted):
        posted.stop()

        assert posted.baseline == BASELINE

    def test_a_lost_post_stays_in_doubt(self, lost):
        lost.stop()

        with pytest.raises(AirbyteStoppedError):
            lost.begin_post(NEWER.job_id)
        assert lost.baseline == BASELINE

    def test_a_search_that_finds_nothing_after_a_stop_is_the_last(
        self, client, emulator, wire, run, caplog
    ):
        caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
        creation = JobCreation("sync")
        emulator.drop_next(POST, after=False)
        wire.after_next_sleep(creation.stop)

        with pytest.raises(AirbyteStoppedError):
            run(client.jobs.create(emulator.connection_id, creation=creation))

        assert requests_to(emulator, POST) == [None]
        assert "Trying again" not in caplog.text


class TestTimeout:
    """Seconds after which a creation retries nothing any more."""

    @pytest.fixture
    def create(self, client, emulator, run):
        return lambda timeout: run(client.jobs.create(emulator.connection_id, timeout=timeout))

    @pytest.mark.parametrize("route", ["POST /applications/token", "GET /jobs"])
    def test_an_outage_is_survived_up_to_it(self, emulator, create, route):
        began = emulator.clock.time()
        emulator.fail_next(route, 503, times=None)

        with pytest.raises(AirbyteServerError):
            create(20.0)

        assert 0 < emulator.clock.time() - began <= 20
        assert emulator.jobs == {}

    def test_a_lost_post_is_not_repeated_after_it(self, emulator, create):
        emulator.fail_next(POST, 500, times=None)

        with pytest.raises(AirbyteServerError):
            create(5.0)

        assert requests_to(emulator, POST) == [500]

    def test_a_lost_post_is_not_repeated_at_that_very_second(self, emulator, wire, create):
        emulator.fail_next(POST, 500, times=None)

        with pytest.raises(AirbyteServerError):
            create(10.0)

        assert sum(wire.slept) == 10.0
        assert requests_to(emulator, POST) == [500]

    def test_a_lost_post_is_repeated_before_it(self, emulator, create):
        emulator.fail_next(POST, 500)

        assert create(60.0).ownership is Ownership.STARTED

    @pytest.mark.parametrize(
        ("timeout", "longest"), [(1.0, 60.0), (300.0, 300.0), (86_400.0, 600.0), (None, 600.0)]
    )
    def test_the_search_for_a_lost_job_has_a_minute_at_least_and_ten_at_most(
        self, emulator, wire, create, timeout, longest
    ):
        emulator.drop_next(POST)
        wire.before_next("GET", lambda: None)
        wire.before_next("GET", lambda: emulator.fail_next("GET /jobs", 503, times=None))
        began = emulator.clock.time()

        with pytest.raises(AirbyteServerError):
            create(timeout)

        assert longest - 30 <= emulator.clock.time() - began <= longest + 1

    def test_it_bounds_the_look_up_of_a_running_job(self, client, emulator, run):
        began = emulator.clock.time()
        emulator.fail_next("GET /jobs", 503, times=None)

        with pytest.raises(AirbyteServerError):
            run(client.jobs.find_running(emulator.connection_id, timeout=20.0))

        assert emulator.clock.time() - began <= 20

    def test_it_bounds_the_read_of_a_connection(self, client, emulator, run):
        began = emulator.clock.time()
        emulator.fail_next("GET /connections/{connectionId}", 503, times=None)

        with pytest.raises(AirbyteServerError):
            run(client.connections.get(emulator.connection_id, timeout=20.0))

        assert emulator.clock.time() - began <= 20
