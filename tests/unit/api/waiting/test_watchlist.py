"""Single steps of a watchlist, on a simulated Airbyte: what is asked when, and who is told what."""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import MAXYEAR, UTC, datetime
from functools import partial
from itertools import pairwise
from weakref import WeakSet

import pytest

from airflow_provider_airbyte_sme.api import AirbyteDecodeError, Job
from airflow_provider_airbyte_sme.api.waiting import MAX_OUTAGE_PAUSE, Wait
from airflow_provider_airbyte_sme.api.waiting.changes import ReadChanges
from airflow_provider_airbyte_sme.api.waiting.lines import LINES_AT_ONCE, LINES_PAUSE
from airflow_provider_airbyte_sme.api.waiting.targets import FIRST_LOOK
from airflow_provider_airbyte_sme.api.waiting.watches import JobWatch, SyncWatch, Watch
from airflow_provider_airbyte_sme.api.waiting.watchlist import (
    DEADLINE_MARGIN,
    FEW,
    Ended,
    Lost,
    ReadJob,
    ReadSyncs,
    Request,
)
from tests.unit.api.waiting.simulated_airbyte import (
    EPOCH,
    ERRORS,
    Driver,
    Fault,
    SimulatedAirbyte,
    SimulatedJob,
    Update,
    instant,
)
from tests.unit.api.waiting.waits import CONNECTION, job_watch, make_wait, sync_watch

LATENCY = 0.05
MANY = FEW + 1
Watches = Callable[..., list[JobWatch]]


@pytest.fixture
def airbyte() -> SimulatedAirbyte:
    return SimulatedAirbyte()


@pytest.fixture
def driver(airbyte) -> Driver:
    return Driver(airbyte, lambda: LATENCY, limit=12_000)


@pytest.fixture
def add_job(airbyte) -> Callable[..., SimulatedJob]:
    """Add a job that runs since a minute, until an instant."""

    def add(
        job_id: int, ended: float | None = None, status: str = "succeeded", began: float = -60.0
    ) -> SimulatedJob:
        job = SimulatedJob(job_id, CONNECTION, began, [Update(began, "running", began)])
        if ended is not None:
            job.updates.append(Update(ended, status, ended))
        return airbyte.add(job)

    return add


@pytest.fixture
def many(add_job, driver) -> list[JobWatch]:
    """Waits for so many running jobs that lists are read."""
    watches = [job_watch(add_job(job_id).job_id) for job_id in range(1000, 1000 + MANY)]
    driver.join(*watches)
    return watches


def kinds(sent: Iterable[tuple[float, Request]], since: float = 0.0) -> Counter[str]:
    return Counter(
        ("sweep" if request.is_sweep else "page")
        if isinstance(request, ReadChanges)
        else type(request).__name__
        for at, request in sent
        if at >= since
    )


def delay(driver: Driver, watch: Watch, since: float) -> float:
    outcome = driver.outcomes[watch]
    assert isinstance(outcome.change, Ended)
    return outcome.at - since


def messages(driver: Driver, watch: Watch | None) -> list[str]:
    """Return what a wait was told, except how far it is."""
    return [
        told.message
        for _, told in driver.told
        if told.watch is watch and not re.search("elapsed|waiting for .* so far", told.message)
    ]


def progress(driver: Driver, watch: Watch | None) -> list[tuple[float, str]]:
    """Return when a wait was told how far it is, and what."""
    return [
        (at, told.message)
        for at, told in driver.told
        if told.watch is watch and re.search("elapsed|waiting for .* so far", told.message)
    ]


class TestRequests:
    def test_a_few_jobs_are_read_by_id_as_often_as_each_wait_wants(self, driver, add_job):
        driver.join(
            job_watch(add_job(1).job_id, poll_interval=2.0),
            job_watch(add_job(2).job_id, poll_interval=10.0),
        )

        driver.run(60)

        reads = Counter(driver.sent_requests)
        assert set(reads) == {ReadJob(1), ReadJob(2)}
        assert reads[ReadJob(1)] in range(29, 32)
        assert reads[ReadJob(2)] in range(6, 8)

    @pytest.mark.parametrize("others", [0, MANY])
    @pytest.mark.parametrize("status", ["succeeded", "failed"])
    def test_a_wait_ends_with_the_job_as_it_has_ended(self, driver, add_job, others, status):
        job_id = add_job(1, ended=20.0, status=status).job_id
        watches = [job_watch(job_id), sync_watch(since=10.0, fail_on_failed_sync=True)]
        driver.join(*watches, *[job_watch(add_job(1000 + n).job_id) for n in range(others)])

        driver.run(40)

        for watch in watches:
            job = driver.outcomes[watch].change.job
            assert (job.job_id, job.status, job.rows_synced) == (job_id, status, job_id)

    def test_waits_for_one_job_share_its_reads_at_the_shortest_interval(self, driver, add_job):
        job_id = add_job(1).job_id
        driver.join(*[job_watch(job_id, poll_interval=float(n)) for n in range(4, 64)])

        driver.run(40)

        assert len(driver.sent) in range(10, 12)

    def test_a_wait_that_joins_with_a_shorter_interval_does_not_wait_for_the_longer_one(
        self, driver, add_job
    ):
        job_id = add_job(1, ended=12.0).job_id
        slow, fast = (job_watch(job_id, poll_interval=each) for each in (60.0, 2.0))
        driver.join(slow)
        driver.at(10.0, lambda: driver.join(fast))

        driver.run(20)

        assert delay(driver, fast, 12.0) < 2.5
        assert delay(driver, slow, 12.0) < 2.5

    def test_a_wait_that_joins_with_a_shorter_interval_brings_the_next_round_forward(
        self, driver, add_job
    ):
        driver.join(*[job_watch(add_job(n).job_id, poll_interval=60.0) for n in range(MANY)])
        fast = job_watch(add_job(100, ended=14.0).job_id, poll_interval=2.0)
        driver.at(12.0, lambda: driver.join(fast))

        driver.run(30)

        assert delay(driver, fast, 14.0) < 2.5

    def test_a_thousand_idle_jobs_cost_one_page_and_one_read_by_id_in_each_round(
        self, driver, add_job
    ):
        driver.join(*[job_watch(add_job(n, began=-n / 2).job_id) for n in range(1, 1001)])
        driver.run(100)

        sent = len(driver.sent)
        driver.run(1100)

        assert len(driver.sent) - sent <= 2 * 200 + 1

    def test_each_job_is_read_by_id_within_the_documented_time(self, driver, many):
        driver.run(610)

        read = {request.job_id for request in driver.sent_requests if isinstance(request, ReadJob)}
        assert read >= {watch.job.job_id for watch in many}

    def test_reads_that_end_waits_do_not_delay_those_of_the_rest(self, airbyte, driver, add_job):
        watches = [job_watch(add_job(n, ended=20.0).job_id) for n in range(1, 41)]
        driver.join(*watches)
        airbyte.frozen_lists = 10.0

        driver.run(1000)

        assert len(driver.outcomes) == len(watches)
        # Within 10 minutes, and those that are late then one after another.
        assert max(driver.outcomes[watch].at for watch in watches) <= 600 + len(watches) / 2 * 5

    def test_a_thousand_jobs_that_end_in_one_second_cost_a_page_per_hundred(self, driver, add_job):
        jobs = [add_job(n, began=-n / 2, ended=1000 + n / 1000) for n in range(1, 1001)]
        watches = [job_watch(job.job_id) for job in jobs]
        driver.join(*watches)
        driver.run(999.9)
        sent = len(driver.sent)

        driver.run(1010)

        assert len(driver.outcomes) == 1000
        assert kinds(driver.sent[sent:])["page"] <= 2 + 10
        assert kinds(driver.sent[sent:])["ReadJob"] <= 4  # the checks of two rounds
        assert all(outcome.at <= 1001 + 2 * 5 for outcome in driver.outcomes.values())

    def test_a_restarted_triggerer_finds_a_thousand_jobs_in_the_list(self, driver, add_job):
        driver.join(*[job_watch(add_job(n, began=-n / 2).job_id) for n in range(1, 1001)])

        driver.run(5)

        assert kinds(driver.sent)["sweep"] == 10
        assert kinds(driver.sent)["ReadJob"] <= 1  # the check of each job now and then

    def test_a_look_for_jobs_that_are_in_no_list_does_not_read_all_of_it(
        self, driver, airbyte, add_job
    ):
        for job_id in range(1, MANY + 1):
            job = add_job(job_id)
            job.is_listed = False
            driver.join(job_watch(job_id))
        for job_id in range(1000, 6000):
            airbyte.add(SimulatedJob(job_id, "other", 0, [Update(-job_id, "succeeded", -job_id)]))

        driver.run(600)

        # Each job is also looked for once where its last update is.
        assert kinds(driver.sent)["sweep"] <= 2 * MANY

    @pytest.mark.parametrize("number", [1, FEW, 3 * FEW])
    def test_a_wait_that_joins_a_long_running_job_costs_no_read_in_each_round(
        self, driver, add_job, number
    ):
        """As after a retry of its task: lists show it, but no round does until it changes."""
        late = [add_job(n, ended=500.0, began=-7200.0) for n in range(1000, 1000 + number)]
        driver.join(*[job_watch(add_job(n).job_id) for n in range(1, 101)])
        driver.run(100)
        watches = [job_watch(job.job_id) for job in late]
        for n, watch in enumerate(watches):
            driver.at(100.0 + 10 * n, partial(driver.join, watch))
        driver.run(300)

        sent = len(driver.sent)
        driver.run(400)
        idle = kinds(driver.sent[sent:])
        driver.run(510)

        assert idle["page"] <= 100 / 5 + 1
        assert idle["ReadJob"] <= 100 / 5 + 1  # the check of each job now and then
        assert idle["sweep"] == 0
        assert all(delay(driver, watch, 500.0) <= 5.5 for watch in watches)

    @pytest.mark.parametrize("updated", [-3600.9, -3600.5, -3600.0])
    @pytest.mark.parametrize("began", [-7200.9, -7200.5, -7200.0])
    def test_fractions_of_a_second_hide_no_long_running_job(
        self, airbyte, many, driver, began, updated
    ):
        """Airbyte shows whole seconds, of the creation and of the time from there."""
        driver.run(30)
        job = SimulatedJob(1, "other", began, [Update(updated, "running", updated)])
        driver.join(job_watch(airbyte.add(job).job_id))
        driver.run(60)

        sent = len(driver.sent)
        driver.run(90)

        assert ReadJob(1) not in driver.sent_requests[sent:]

    def test_a_slow_look_for_a_long_running_job_does_not_delay_the_first_look_for_another(
        self, many, add_job, driver
    ):
        driver.run(30)
        driver.latency_of = lambda request: (
            60.0 if isinstance(request, ReadChanges) and request.until else LATENCY
        )
        driver.join(job_watch(add_job(1, began=-7200.0).job_id))
        driver.run(45)
        assert kinds(driver.sent, since=30.0)["sweep"] == 1

        ended = job_watch(add_job(2, ended=-3600.0, began=-7200.0).job_id)
        driver.join(ended)
        driver.run(60)

        assert delay(driver, ended, 45.0) <= 5.5

    def test_hundreds_of_sensors_cost_one_page_and_one_read_in_each_round(self, driver):
        driver.join(*[SyncWatch(f"c{n}", instant(0.0), Wait(0.0, 5.0, 7200.0)) for n in range(300)])
        driver.run(100)

        sent = len(driver.sent)
        driver.run(200)

        assert len(driver.sent) - sent <= 2 * 20 + 1

    def test_what_one_thing_costs_is_independent_of_how_slowly_airbyte_responds(
        self, airbyte, add_job
    ):
        driver = Driver(airbyte, lambda: 30.0)
        driver.join(*[job_watch(add_job(n).job_id) for n in range(300)])

        driver.run(600)  # the driver asserts that two requests at most are in flight

        assert len(driver.sent) <= 2 * 600 / 30 + 2
        slow = [text for text in messages(driver, None) if "slower than the poll interval" in text]
        assert len(slow) == 1


class TestFirstLooks:
    """What is waited for may have ended already."""

    @pytest.mark.parametrize("others", [0, MANY])
    @pytest.mark.parametrize("is_known", [False, True])
    def test_a_wait_is_told_soon_of_what_has_ended_however_long_its_interval_is(
        self, driver, add_job, others, is_known
    ):
        driver.join(
            *[job_watch(add_job(1000 + n).job_id, poll_interval=3600.0) for n in range(others)]
        )
        job_id = add_job(1, ended=20.0).job_id
        first, late = (job_watch(job_id, poll_interval=3600.0) for _ in range(2))
        if is_known:
            driver.join(first)
        driver.at(30.0, lambda: driver.join(late))

        driver.run(60)

        assert delay(driver, late, 30.0) < 1

    def test_a_second_wait_for_a_job_that_a_list_has_shown_costs_no_read(
        self, airbyte, many, driver
    ):
        """Although rounds do not show it any more, after a newer change."""
        airbyte.add(SimulatedJob(1, "other", -9.0, [Update(20.0, "running", 20.0)]))
        driver.run(31)

        driver.join(job_watch(many[0].job.job_id))
        driver.run(60)

        assert kinds(driver.sent, since=31.0)["ReadJob"] == 0

    @pytest.mark.parametrize("others", [0, MANY])
    def test_a_sensor_is_told_soon_of_a_sync_however_long_its_interval_is(
        self, driver, add_job, others
    ):
        driver.join(
            *[job_watch(add_job(1000 + n).job_id, poll_interval=3600.0) for n in range(others)]
        )
        add_job(1, ended=20.0)
        first, late = (sync_watch(since=10.0, poll_interval=3600.0) for _ in range(2))
        driver.join(first)
        driver.at(30.0, lambda: driver.join(late))

        driver.run(60)

        assert delay(driver, late, 30.0) < 1

    def test_waits_for_one_job_that_begin_one_after_another_share_their_first_looks(
        self, driver, add_job
    ):
        job_id = add_job(1).job_id
        for n in range(1000):
            watch = job_watch(job_id, poll_interval=60.0)
            driver.at(n / 100, lambda watch=watch: driver.join(watch))

        driver.run(11)

        assert len(driver.sent) <= 2 + 10 / FIRST_LOOK

    def test_waits_that_begin_one_after_another_share_rounds(self, driver, add_job):
        for n in range(1000):
            watch = job_watch(add_job(n, began=-n / 2).job_id, poll_interval=60.0)
            driver.at(n / 100, lambda watch=watch: driver.join(watch))
        driver.run(1)

        driver.run(11)

        assert kinds(driver.sent, since=1)["page"] <= 2 + 10 / FIRST_LOOK


class TestRemovedWaits:
    def test_a_job_that_is_waited_for_again_shares_the_request_in_flight(self, driver, add_job):
        job_id = add_job(1, ended=20.0).job_id
        first, second = job_watch(job_id), job_watch(job_id)
        driver.join(first)
        driver.at(0.01, lambda: driver.leave(first))
        driver.at(0.02, lambda: driver.join(second))

        driver.run(30)  # no request is sent twice, no response lost

        assert driver.sent[0][0] == 0.0
        assert driver.sent[1][0] == pytest.approx(LATENCY)
        assert delay(driver, second, 20.0) < 5.5

    def test_a_response_to_nobody_any_more_is_ignored(self, driver, add_job):
        watch = job_watch(add_job(1).job_id)
        driver.join(watch)
        driver.at(0.01, lambda: driver.leave(watch))

        driver.run(30)

        assert len(driver.sent) == 1
        assert len(driver.watchlist) == 0

    @pytest.mark.parametrize("error", ["403", "500", "503"])
    def test_an_error_to_nobody_any_more_ends_no_other_wait(self, airbyte, add_job, driver, error):
        gone, other = job_watch(add_job(1).job_id), job_watch(add_job(2, ended=20.0).job_id)
        airbyte.faults.append(Fault(error, job_id=1))
        driver.join(gone, other)
        driver.at(0.01, lambda: driver.leave(gone))

        driver.run(40)

        assert delay(driver, other, 20.0) < 6
        assert len(driver.watchlist) == 0

    def test_a_wait_that_has_ended_can_be_given_up(self, add_job, driver):
        watch = job_watch(add_job(1, ended=-1.0).job_id)
        driver.join(watch)
        driver.run(1)

        driver.watchlist.discard(watch, now=driver.now)

        assert len(driver.watchlist) == 0

    def test_a_read_that_is_due_for_nobody_wakes_nobody(self, add_job, driver):
        gone, other = job_watch(add_job(1).job_id), job_watch(add_job(2).job_id, poll_interval=60.0)
        driver.join(gone, other)
        driver.run(1)
        driver.leave(gone)

        assert driver.watchlist.pause(now=driver.now) > 50

    def test_waits_that_have_ended_are_not_kept_until_their_deadlines(self, driver, many, add_job):
        class ReferableWatch(JobWatch):
            """One that the test can refer to without keeping it."""

        driver.run(1)
        kept: WeakSet[Watch] = WeakSet()
        for job_id in range(1, 3000):
            watch = ReferableWatch(job_watch(add_job(job_id).job_id).job, make_wait())
            kept.add(watch)
            driver.watchlist.add(watch, now=driver.now)
            driver.watchlist.discard(watch, now=driver.now)

        gc.collect()
        assert len(kept) < 300


class TestLists:
    def test_a_job_that_a_list_shows_without_rows_is_read_again_after_an_older_response(
        self, airbyte, add_job, many, driver
    ):
        """The read in flight began before the job had ended."""
        airbyte.list_counters = False
        driver.run(1)
        watch = many[0]
        latencies = {ReadJob(watch.job.job_id): 4.0}
        driver.latency_of = lambda request: latencies.get(request, LATENCY)
        reads = [at for at, request in driver.sent if request == ReadJob(watch.job.job_id)]
        assert len(reads) <= 1
        # The check by id begins just before the end, and takes longer than the next round.
        driver.run_until_sent(ReadJob(watch.job.job_id))
        ended = driver.now + 2.5
        airbyte.change(watch.job.job_id, Update(ended, "succeeded", ended))
        latencies.clear()

        driver.run(ended + 11)

        assert delay(driver, watch, ended) < 10.5

    def test_a_job_that_a_list_shows_without_rows_is_read_until_that_succeeds(
        self, airbyte, add_job, driver
    ):
        airbyte.list_counters = False
        watches = [job_watch(add_job(n, ended=100.0).job_id) for n in range(1, MANY + 1)]
        airbyte.faults.append(Fault("500", 90.0, 130.0, job_id=1))
        driver.join(*watches)

        driver.run(150)

        assert delay(driver, watches[0], 130.0) < 10
        assert all(delay(driver, watch, 100.0) < 6 for watch in watches[1:])

    def test_a_failed_sync_without_rows_in_lists_is_read_once(self, airbyte, many, add_job, driver):
        airbyte.list_counters = False
        add_job(1, ended=100.0, status="failed")
        watch = sync_watch(since=50.0)
        driver.join(watch)
        driver.run(99)

        driver.run(160)

        reads = [at for at, each in driver.sent if at > 100 and isinstance(each, ReadSyncs)]
        assert len(reads) <= 2  # one of them is the check of each wait now and then
        assert "failed. Waiting for one that succeeds." in messages(driver, watch)[0]

    def test_an_end_in_the_same_second_as_the_instant_is_read_exactly(self, many, add_job, driver):
        add_job(1, ended=100.7)
        early, late = sync_watch(since=100.5), sync_watch(since=100.9)
        driver.join(early, late)

        driver.run(120)

        assert delay(driver, early, 100.7) < 6
        assert late not in driver.outcomes

    def test_a_sync_at_the_top_of_the_second_page_of_a_sweep_is_found(
        self, airbyte, add_job, driver
    ):
        """Airbyte shows whole seconds: the last row of the first page seems to be older."""
        for n in range(1000, 1098):
            airbyte.add(SimulatedJob(n, "other", -9999.0, [Update(-300.0, "succeeded", -300.0)]))
        airbyte.add(SimulatedJob(2000, "other", -9999.0, [Update(-499.1, "running", -499.1)]))
        add_job(1, began=-9999.0, ended=-499.3)
        # The first round and its watermark are far above.
        airbyte.add(SimulatedJob(3000, "other", -9.0, [Update(-9.0, "running", -9.0)]))
        watch = sync_watch(since=-499.5)
        others = [SyncWatch(f"c{n}", instant(-200.0), make_wait()) for n in range(10, 20)]
        driver.join(*others, watch)

        driver.run(60)

        assert delay(driver, watch, 0.0) < 10

    def test_a_server_that_sends_short_pages_hides_no_sync_from_a_sweep(
        self, airbyte, add_job, driver
    ):
        airbyte.page_size = 20
        for n in range(1000, 1030):
            airbyte.add(SimulatedJob(n, "other", -9999.0, [Update(-300.0, "succeeded", -300.0)]))
        add_job(1, began=-9999.0, ended=-400.0)
        airbyte.add(SimulatedJob(3000, "other", -9.0, [Update(-9.0, "running", -9.0)]))
        watch = sync_watch(since=-500.0)
        driver.join(*[SyncWatch(f"c{n}", instant(-600.0), make_wait()) for n in range(10, 20)])
        driver.join(watch)

        driver.run(60)

        assert delay(driver, watch, 0.0) < 10

    def test_a_sweep_that_fails_ends_and_all_is_read_by_id(self, airbyte, add_job, driver):
        jobs = [add_job(n, began=-10000.0 * n) for n in range(1, MANY + 1)]
        for n in range(1000, 1200):
            airbyte.add(SimulatedJob(n, "other", -n, [Update(-n, "succeeded", -n)]))
        airbyte.sweep_error = "500"
        driver.join(*[job_watch(job.job_id) for job in jobs])

        driver.run(60)

        # The look for all, and one for each.
        assert kinds(driver.sent)["sweep"] == 1 + MANY
        read = {request.job_id for request in driver.sent_requests if isinstance(request, ReadJob)}
        assert read == {job.job_id for job in jobs}

    @pytest.mark.parametrize("error", ["403", "500", "timeout"])
    def test_the_log_says_once_that_lists_cannot_be_used(self, airbyte, many, driver, error):
        airbyte.faults.append(Fault(error, lists=True))

        driver.run(1800)

        assert len([text for text in messages(driver, None) if "unusable" in text]) == 1

    @pytest.mark.parametrize("error", ["500", "503", "timeout", "html", "truncated"])
    def test_lists_that_fail_alone_are_no_outage(self, airbyte, add_job, driver, error):
        watches = [job_watch(add_job(n, ended=10.0 * n).job_id) for n in range(1, 3 * MANY)]
        driver.join(*watches)
        airbyte.faults.append(Fault(error, 15.0, lists=True))

        driver.run(400)

        told = [told.message for _, told in driver.told if told.watch and told.is_warning]
        assert told == []
        # Three rounds, and then by id.
        assert all(delay(driver, watch, 10.0 * n) < 20 for n, watch in enumerate(watches, start=1))

    @pytest.mark.parametrize("error", ["500", "503"])
    def test_a_round_that_failed_is_not_repeated_an_hour_later(
        self, add_job, airbyte, driver, error
    ):
        """If all intervals are that long."""
        driver.join(*[job_watch(add_job(n).job_id, poll_interval=3600.0) for n in range(MANY)])
        airbyte.faults.append(Fault(error, 30.0, 35.0, lists=True))
        watch = job_watch(add_job(100, ended=20.0).job_id, poll_interval=3600.0)
        driver.at(31.0, lambda: driver.join(watch))

        driver.run(120)

        assert delay(driver, watch, 31.0) < MAX_OUTAGE_PAUSE + 1

    @pytest.mark.parametrize("joins", [False, True])
    def test_lists_are_not_read_before_the_time_that_airbyte_demands(
        self, airbyte, many, add_job, driver, joins
    ):
        driver.run(9)
        airbyte.faults.append(Fault("429", 9.0, 11.0, lists=True))
        for n in range(20 if joins else 0):
            watch = job_watch(add_job(n).job_id, poll_interval=1.0)
            driver.at(11.0 + n / 4, lambda watch=watch: driver.join(watch))

        driver.run(60)

        lists = [at for at, each in driver.sent if isinstance(each, ReadChanges) and at > 9]
        assert lists[1] - lists[0] >= 20

    def test_lists_that_work_again_are_read_again(self, airbyte, many, driver):
        airbyte.faults.append(Fault("500", 0.0, 100.0, lists=True))
        driver.run(200)

        sent = len(driver.sent)
        driver.run(300)

        assert kinds(driver.sent[sent:])["page"] == 20
        assert kinds(driver.sent[sent:])["ReadJob"] <= 4

    def test_a_wait_that_a_failed_sync_ends_is_told_of_one_that_others_have_seen(
        self, many, add_job, driver
    ):
        add_job(1, ended=50.0, status="failed")
        patient, strict = sync_watch(since=40.0), sync_watch(since=40.0, fail_on_failed_sync=True)
        driver.join(patient)
        driver.at(100.0, lambda: driver.join(strict))

        driver.run(120)

        assert delay(driver, strict, 100.0) < 6
        assert patient not in driver.outcomes

    def test_checks_by_id_go_on_beside_many_jobs_that_no_list_shows(self, airbyte, add_job):
        driver = Driver(airbyte, lambda: 2.0)
        for job_id in range(1, 101):
            add_job(job_id).is_listed = False
        shown = add_job(1000, ended=100.0)
        # The list shows that it runs, and not that it has ended.
        driver.join(*[job_watch(n, poll_interval=1.0) for n in range(1, 101)])
        watch = job_watch(1000, poll_interval=1.0)
        driver.join(watch)
        driver.run(90)
        airbyte.hide(shown)

        driver.run(900)

        assert delay(driver, watch, 100.0) < 700

    def test_a_job_that_a_list_shows_without_rows_is_read_soon_after_an_error_beside_others(
        self, airbyte, many, add_job, driver
    ):
        """Lists show it no more after a newer change, and it is not read in turn for minutes."""
        airbyte.list_counters = False
        watch = job_watch(add_job(1, ended=20.0).job_id)
        airbyte.faults.append(Fault("500", 15.0, 140.0, job_id=1))
        airbyte.add(SimulatedJob(2, "other", -9.0, [Update(85.0, "running", 85.0)]))
        driver.join(watch)

        driver.run(160)

        assert delay(driver, watch, 140.0) < 10

    def test_a_second_wait_during_a_read_does_not_make_the_next_one_necessary(
        self, airbyte, many, driver
    ):
        driver.run(30)
        read = ReadJob(many[0].job.job_id)
        driver.latency_of = lambda request: 4.0 if request == read else LATENCY
        driver.run_until_sent(read)
        airbyte.faults.append(Fault("500", driver.now + 3, job_id=read.job_id))
        second = job_watch(read.job_id)
        driver.at(driver.now + 1, lambda: driver.join(second))
        began = driver.now

        driver.run(began + 60)

        assert len([at for at, each in driver.sent if each == read and at > began]) == 1
        assert messages(driver, many[0]) == messages(driver, second) == []

    def test_syncs_that_were_read_for_more_need_not_be_readable_later(
        self, airbyte, many, add_job, driver
    ):
        airbyte.list_counters = False
        add_job(1, ended=100.0, status="failed")
        watch = sync_watch(since=50.0)
        driver.join(watch)
        airbyte.faults.append(Fault("500", 120.0, syncs=True))

        driver.run(900)

        assert kinds(driver.sent, since=120.0)["ReadSyncs"] >= 1
        (told,) = messages(driver, watch)
        assert "failed. Waiting for one that succeeds." in told

    def test_a_job_that_lists_show_need_not_be_readable_by_its_id(self, airbyte, many, driver):
        airbyte.faults.append(Fault("500", 5.0, job_id=many[0].job.job_id))

        driver.run(3000)

        assert ReadJob(many[0].job.job_id) in driver.sent_requests
        assert messages(driver, many[0]) == []
        assert not driver.outcomes

    def test_syncs_that_ended_before_lists_were_used_are_looked_for_in_them(
        self, airbyte, add_job, driver
    ):
        few = [sync_watch(since=n / 10, poll_interval=3600.0) for n in range(FEW)]
        driver.join(*few)
        add_job(1, ended=100.0)
        # Far above it, and more than a page.
        for n in range(1000, 1150):
            at = 300.0 if n < 1060 else 200.0
            airbyte.add(SimulatedJob(n, "other", -9.0, [Update(at, "succeeded", at)]))
        driver.run(400)
        one_more = SyncWatch("c9", instant(0.0), make_wait(poll_interval=3600.0))
        driver.join(one_more)

        driver.run(420)

        assert all(delay(driver, watch, 400.0) < 10 for watch in few)

    def test_a_round_that_failed_is_repeated_as_often_as_waits_want_and_given_up_after_three(
        self, airbyte, many, driver
    ):
        driver.run(14)
        airbyte.faults.append(Fault("500", 14.0, 400.0, lists=True))

        driver.run(84)

        pages = [round(at) for at, each in driver.sent if isinstance(each, ReadChanges) and at > 14]
        assert pages == [15, 20, 25]

    def test_a_list_is_not_read_before_the_time_that_airbyte_demands_if_other_reads_succeed(
        self, airbyte, many, driver
    ):
        driver.run(30)
        driver.latency_of = lambda request: 6.0 if isinstance(request, ReadJob) else LATENCY
        driver.run_until_sent(ReadJob(many[0].job.job_id))
        began = driver.now
        airbyte.faults.append(Fault("429", began, began + 6.0, lists=True))

        driver.run(began + 60)

        lists = [at for at, each in driver.sent if isinstance(each, ReadChanges) and at > began]
        assert lists[1] - lists[0] >= 20

    def test_the_log_warns_why_lists_cannot_be_used(self, airbyte, many, driver, monkeypatch):
        monkeypatch.setitem(ERRORS, "new format", AirbyteDecodeError("It has the format X."))
        airbyte.faults.append(Fault("new format", lists=True))

        driver.run(60)

        told = next(told for _, told in driver.told if told.watch is None)
        assert told.is_warning
        assert told.message == (
            "The list of jobs is unusable: It has the format X. Each job is read by its id "
            "instead, and the list is tried again in 1 min 0 s."
        )

    @pytest.mark.parametrize("error", ["403", "500", "503"])
    def test_the_log_says_how_airbyte_responded(self, airbyte, many, driver, error):
        airbyte.faults.append(Fault(error, lists=True))

        driver.run(60)

        assert messages(driver, None)[0].startswith(
            f"The list of jobs is unusable: Airbyte responded to GET https://ab/jobs with {error}"
        )

    def test_a_job_without_times_is_read_by_its_id_and_not_looked_for_in_lists(
        self, many, add_job, driver
    ):
        driver.run(30)
        job = add_job(1, ended=60.0)
        job.is_listed = job.has_times = False
        watch = job_watch(1)
        driver.join(watch)

        driver.run(70)

        assert kinds(driver.sent, since=30.0)["sweep"] == 0
        assert delay(driver, watch, 60.0) < 6

    def test_a_job_of_the_last_second_of_all_is_not_looked_for_in_lists(
        self, airbyte, many, driver
    ):
        """No instant after it could be asked for."""
        driver.run(30)
        last = (datetime(MAXYEAR, 12, 31, 23, 59, 59, tzinfo=UTC) - EPOCH).total_seconds()
        job = SimulatedJob(1, CONNECTION, -60.0, [Update(-60.0, "running", last)], is_listed=False)
        job.updates.append(Update(60.0, "succeeded", 60.0))
        watch = job_watch(airbyte.add(job).job_id)
        driver.join(watch)

        driver.run(70)

        assert kinds(driver.sent, since=30.0)["sweep"] == 0
        assert delay(driver, watch, 60.0) < 6

    def test_a_job_that_nobody_waits_for_any_more_is_not_looked_for_in_lists(
        self, many, add_job, driver
    ):
        driver.run(31)
        watch = job_watch(add_job(1, began=-7200.0).job_id)
        driver.join(watch)
        driver.run_until_sent(ReadJob(1))
        driver.run(driver.now + 1)

        driver.leave(watch)
        driver.run(60)

        assert kinds(driver.sent)["sweep"] == 0

    def test_a_job_that_is_being_read_is_not_read_in_turn_too(self, airbyte, many, driver):
        airbyte.list_counters = False
        read = ReadJob(many[0].job.job_id)
        airbyte.change(read.job_id, Update(93.0, "succeeded", 93.0))
        driver.latency_of = lambda request: 20.0 if request == read else LATENCY

        driver.run(130)

        assert [round(at) for at, each in driver.sent if each == read and at > 90] == [95]
        assert delay(driver, many[0], 95.0) < 21

    def test_a_read_that_takes_as_long_as_the_poll_interval_is_not_told_of(self, driver, add_job):
        driver.latency_of = lambda _: 5.0
        driver.join(job_watch(add_job(1).job_id, poll_interval=5.0))

        driver.run(60)

        assert messages(driver, None) == []

    def test_rounds_that_take_longer_than_the_poll_interval_are_told_of_once(self, many, driver):
        driver.latency_of = lambda request: 7.0 if isinstance(request, ReadChanges) else LATENCY

        driver.run(100)

        (told,) = [told for _, told in driver.told if told.watch is None]
        assert told.is_warning
        assert told.message.startswith("Airbyte is slower than the poll interval: a read, with its")

    @pytest.mark.parametrize(("number", "sweeps"), [(1, 0), (FEW, 0), (MANY, 1)])
    def test_up_to_five_jobs_that_no_round_shows_are_read_by_their_ids(
        self, many, add_job, driver, number, sweeps
    ):
        driver.run(31)
        watches = [
            job_watch(add_job(n, ended=-3600.0, began=-7200.0).job_id) for n in range(number)
        ]
        driver.join(*watches)

        driver.run(40)

        assert all(delay(driver, watch, 31.0) < 5.5 for watch in watches)
        assert kinds(driver.sent, since=31.0)["sweep"] == sweeps

    def test_what_a_sweep_looks_for_is_not_read_by_its_id_meanwhile(
        self, airbyte, many, add_job, driver
    ):
        """One is on the first page, and the others are on the third."""
        for n in range(1000, 1250):
            airbyte.add(SimulatedJob(2 * n, "other", -n, [Update(-n, "succeeded", -n)]))
        driver.latency_of = lambda request: (
            4.0 if isinstance(request, ReadChanges) and request.is_sweep else LATENCY
        )
        driver.run(31)
        driver.join(
            *[
                job_watch(add_job(n, began=began).job_id)
                for n, began in enumerate([-1050.5, *[-1240.5] * FEW])
            ]
        )

        driver.run(45)

        assert kinds(driver.sent, since=31.0) == {"page": 3, "sweep": 3}

    def test_a_sweep_is_not_begun_anew_by_each_round(self, add_job, airbyte):
        driver = Driver(airbyte, lambda: 1.0)
        driver.join(*[job_watch(add_job(n, began=-n / 2).job_id) for n in range(1, 1001)])

        driver.run(100)

        assert kinds(driver.sent)["sweep"] == 10

    def test_a_page_of_a_sweep_from_before_lists_were_given_up_is_not_used(self, driver):
        def sensor(n: int, poll_interval: float = 3600.0) -> SyncWatch:
            return SyncWatch(f"c{n}", instant(0.0), make_wait(poll_interval=poll_interval))

        watches = [sensor(n) for n in range(MANY)]
        driver.latency_of = lambda request: (
            20.0 if isinstance(request, ReadChanges) and request.is_sweep else LATENCY
        )
        driver.join(*watches)
        for n, at, again in ((0, 2.0, sensor(0)), (1, 5.0, sensor(1, poll_interval=5.0))):
            driver.at(at, partial(driver.leave, watches[n]))
            driver.at(at + 1, partial(driver.join, again))
        driver.run(6.5)
        assert kinds(driver.sent)["sweep"] == 1

        driver.run(30)

        assert kinds(driver.sent)["sweep"] == 2

    def test_a_sweep_begins_every_ten_minutes(self, airbyte, add_job):
        driver = Driver(airbyte, lambda: 0.0)
        for n in range(MANY):
            add_job(n).is_listed = False
            driver.join(job_watch(n))

        driver.run(1300)

        first = ReadChanges(None, is_sweep=True)
        assert [at for at, each in driver.sent if each == first] == [0.0, 600.0, 1200.0]

    def test_a_sweep_looks_again_only_for_what_no_list_has_shown(self, airbyte, add_job, driver):
        for n in range(1000, 2500):
            airbyte.add(SimulatedJob(n, "other", -n, [Update(-n, "succeeded", -n)]))
        for n in range(MANY):
            add_job(n, began=-1210.5)  # on the third page
            add_job(100 + n, began=-1e5 * (n + 1)).is_listed = False
            driver.join(job_watch(n), job_watch(100 + n))

        driver.run(700)

        pages = [
            at
            for at, each in driver.sent
            if isinstance(each, ReadChanges) and each.is_sweep and not each.until
        ]
        assert [len([at for at in pages if at < 300]), len([at for at in pages if at > 300])] == [
            2 + 1 + MANY,
            MANY,
        ]

    @pytest.mark.parametrize(("leave", "pages"), [("one wait of each", 20), ("nearly all", 1)])
    def test_a_sweep_looks_for_what_somebody_still_waits_for(
        self, airbyte, add_job, driver, leave, pages
    ):
        for n in range(1000, 4000):
            airbyte.add(SimulatedJob(n, "other", -n, [Update(-n, "succeeded", -n)]))
        for n in range(20):
            add_job(n).is_listed = False
        waits = [(job_watch(n), job_watch(n)) for n in range(20)]
        others = [job_watch(add_job(100 + n).job_id) for n in range(MANY)]
        driver.join(*others, *[watch for each in waits for watch in each])
        driver.run_until_sent(ReadChanges(None, is_sweep=True))

        for first, second in waits if leave == "one wait of each" else waits[1:]:
            driver.leave(first)
            if leave == "nearly all":
                driver.leave(second)
        driver.run(4)

        assert kinds(driver.sent)["sweep"] == pages

    def test_a_sync_that_a_list_shows_completely_is_not_read_by_itself(self, many, add_job, driver):
        add_job(1, ended=50.0)
        watch = sync_watch(since=40.0)
        driver.join(watch)
        driver.run(40)

        driver.run(60)

        assert delay(driver, watch, 50.0) < 6
        assert kinds(driver.sent, since=50.0)["ReadSyncs"] == 0

    def test_lists_that_fail_from_the_beginning_are_tried_three_times(self, airbyte, many, driver):
        airbyte.faults.append(Fault("500", lists=True))

        driver.run(59)

        assert [round(at) for at, each in driver.sent if isinstance(each, ReadChanges)] == [
            0,
            5,
            10,
        ]

    def test_jobs_that_were_read_by_their_ids_are_looked_for_once_lists_are_used(
        self, add_job, driver
    ):
        # The first round ends with the first page.
        add_job(1000, ended=-9.0)
        for n in range(1001, 1100):
            add_job(n, ended=-100.0, began=-200.0)
        few = [job_watch(add_job(n, began=-7200.0).job_id) for n in range(FEW)]
        driver.join(*few)
        driver.run(31)
        driver.join(job_watch(add_job(100, began=-7200.0).job_id))

        driver.run(37)

        assert ReadChanges(None, is_sweep=True) in driver.sent_requests


class TestOutages:
    def test_each_wait_is_told_once_of_an_outage_and_once_of_its_end(self, airbyte, many, driver):
        airbyte.faults.append(Fault("503", 20.0, 200.0))

        driver.run(300)

        for watch in many:
            failed, recovered = messages(driver, watch)
            assert failed.startswith("No good response for")
            assert recovered.startswith("Airbyte responds again")

    def test_one_request_at_a_time_is_sent_in_an_outage(self, airbyte, many, driver):
        airbyte.faults.append(Fault("503", 20.0, 320.0))
        driver.run(30)

        sent = len(driver.sent)
        driver.run(310)

        assert len(driver.sent) - sent <= 300 / 5 + 1

    def test_a_wait_that_joins_in_an_outage_has_a_failure_budget_of_its_own(
        self, airbyte, many, add_job, driver
    ):
        airbyte.faults.append(Fault("503", 20.0, 900.0))
        late = job_watch(add_job(1, ended=500.0).job_id, began=400.0)
        driver.at(400.0, lambda: driver.join(late))

        driver.run(1000)

        assert all(isinstance(driver.outcomes[watch].change, Lost) for watch in many)
        assert all(620 <= driver.outcomes[watch].at <= 626 for watch in many)
        assert delay(driver, late, 900.0) < 10

    def test_a_wait_that_joins_when_an_outage_has_ended_all_others_is_served(
        self, airbyte, add_job, driver
    ):
        airbyte.faults.append(Fault("503", 0.0, 100.0))
        driver.join(job_watch(add_job(1).job_id, failure_budget=30.0))
        driver.run(50)
        late = job_watch(add_job(2, ended=60.0).job_id, began=50.0)
        driver.join(late)

        driver.run(120)

        assert delay(driver, late, 100.0) < 6

    def test_nothing_is_sent_before_the_time_that_airbyte_demands_also_if_waits_join(
        self, airbyte, add_job, driver
    ):
        driver.join(job_watch(add_job(1).job_id))
        driver.run(9)
        airbyte.faults.append(Fault("429", 9.0, 11.0))
        late = job_watch(add_job(2).job_id, poll_interval=1.0)
        driver.at(12.0, lambda: driver.join(late))

        driver.run(60)

        sent = [at for at, _ in driver.sent if at > 9]
        assert sent[1] - sent[0] >= 20

    def test_a_read_that_has_failed_is_repeated_by_the_watchlist_only(self, airbyte, many, driver):
        broken, healthy = ReadJob(many[0].job.job_id), ReadJob(many[1].job.job_id)
        airbyte.faults += [
            Fault("500", 0.0, 20.0, job_id=broken.job_id),
            Fault("500", 0.0, 20.0, lists=True),
        ]
        assert not any(map(driver.watchlist.repeats, [broken, healthy]))
        driver.run(15)

        assert driver.watchlist.repeats(broken)
        assert not driver.watchlist.repeats(healthy)

        driver.run(100)
        assert not any(map(driver.watchlist.repeats, [broken, healthy]))

    def test_a_list_is_repeated_by_the_watchlist_only(self, many, driver):
        """One that is given up after its timeout occupies a thread of Airbyte until it is done."""
        assert driver.watchlist.repeats(ReadChanges(None))

    def test_an_outage_that_began_with_a_list_is_probed_without_lists(self, airbyte, many, driver):
        """Lists that take too long keep Airbyte busy after they were given up."""
        driver.run(19)
        airbyte.faults.append(Fault("timeout", 19.5, 100.0))

        driver.run(99)

        assert kinds(driver.sent, since=19.5)["page"] == 1
        driver.run(200)
        assert kinds(driver.sent, since=105)["page"] >= 15

    def test_nothing_is_repeated_within_a_request_in_an_outage(self, airbyte, many, driver):
        airbyte.faults.append(Fault("503", 20.0, 100.0))
        request = ReadJob(many[0].job.job_id)

        driver.run(40)
        assert driver.watchlist.repeats(request)

        driver.run(150)
        assert not driver.watchlist.repeats(request)

    def test_failures_hours_ago_do_not_count_against_the_budget(self, airbyte, many, driver):
        """A job was unreadable until a list showed it, and is again when lists fail."""
        job_id = many[0].job.job_id
        airbyte.faults += [
            Fault("500", 0.0, 10.0, job_id=job_id),
            Fault("500", 3000.0, 3100.0, job_id=job_id),
            Fault("403", 3000.0, 3100.0, lists=True),
        ]

        driver.run(3200)

        assert not driver.outcomes

    def test_a_permanent_error_ends_each_wait_once_while_other_requests_are_in_flight(
        self, airbyte, many, driver
    ):
        driver.run(4.99)
        airbyte.faults.append(Fault("credentials", 5.0))

        driver.run(100)

        assert all(isinstance(driver.outcomes[watch].change, Lost) for watch in many)
        assert len({id(driver.outcomes[watch].change.error) for watch in many}) == MANY
        assert driver.watchlist.pause(now=driver.now) > 1

    @pytest.mark.parametrize("number", [1, MANY])
    def test_each_wait_is_told_once_that_its_job_cannot_be_read(
        self, airbyte, add_job, driver, number
    ):
        watches = [job_watch(add_job(n).job_id) for n in range(1, number + 1)]
        late = job_watch(1, began=50.0)
        airbyte.faults.append(Fault("500", 20.0, job_id=1))
        airbyte.faults.append(Fault("403", lists=True))
        driver.join(*watches)
        driver.at(50.0, lambda: driver.join(late))

        driver.run(300)

        assert [len(messages(driver, watch)) for watch in [late, *watches]] == [1, 1] + [0] * (
            number - 1
        )

    @pytest.mark.parametrize("error", ["403", "404"])
    def test_what_airbyte_refuses_for_one_job_ends_its_wait_only(
        self, airbyte, add_job, driver, error
    ):
        watches = [job_watch(add_job(n).job_id) for n in range(1, FEW + 1)]
        airbyte.faults.append(Fault(error, 20.0, job_id=1))
        driver.join(*watches)

        driver.run(40)

        assert set(driver.outcomes) == {watches[0]}
        assert driver.outcomes[watches[0]].change.error.status == int(error)
        assert not any(messages(driver, watch) for watch in watches[1:])

    def test_the_last_read_in_an_outage_may_show_the_end(self, airbyte, add_job, driver):
        airbyte.faults.append(Fault("503", 5.0, 95.0))
        watch = job_watch(add_job(1, ended=80.0).job_id, poll_interval=60.0, timeout=99.0)
        driver.join(watch)

        driver.run(110)

        assert delay(driver, watch, 99.0) < 1

    def test_the_last_read_in_an_outage_may_show_that_the_job_still_runs(
        self, airbyte, add_job, driver
    ):
        airbyte.faults.append(Fault("503", 5.0, 95.0))
        watch = job_watch(add_job(1).job_id, poll_interval=60.0, timeout=99.0)
        driver.join(watch)

        driver.run(110)

        assert isinstance(driver.outcomes[watch].change, Lost)
        assert driver.outcomes[watch].at == pytest.approx(99.0 + LATENCY)

    def test_an_outage_may_begin_with_the_second_page_of_a_round(self, airbyte, many, driver):
        for n in range(1, 151):
            airbyte.add(SimulatedJob(n, "other", -9.0, [Update(9.9, "succeeded", 9.9)]))
        airbyte.faults.append(Fault("503", 10.04, 60.0))

        driver.run(100)

        for watch in many:
            failed, recovered = messages(driver, watch)
            assert failed.startswith("No good response for")
            assert recovered.startswith("Airbyte responds again")

    @pytest.mark.parametrize(("page", "began"), [(1, 0.055), (5, 0.195), (6, 0.215)])
    def test_an_outage_may_begin_with_any_page_of_a_sweep(self, airbyte, driver, page, began):
        for n in range(1000, 1600):
            airbyte.add(SimulatedJob(n, "other", -n, [Update(-n, "succeeded", -n)]))
        watches = [SyncWatch(f"c{n}", instant(-1e4), make_wait()) for n in range(MANY)]
        driver.latency_of = lambda request: (
            0.02 if isinstance(request, ReadChanges) and request.is_sweep else LATENCY
        )
        airbyte.faults.append(Fault("503", began, 60.0))
        driver.join(*watches)

        driver.run(100)

        assert kinds([each for each in driver.sent if each[0] < began])["sweep"] == page
        for watch in watches:
            failed, recovered = messages(driver, watch)
            assert failed.startswith("No good response for")
            assert recovered.startswith("Airbyte responds again")

    def test_a_wait_that_joins_after_an_outage_that_ended_all_others_begins_anew(
        self, airbyte, add_job, driver
    ):
        airbyte.faults.append(Fault("503", 0.0, 40.0))
        driver.join(job_watch(add_job(1).job_id, failure_budget=30.0))
        driver.run(50)
        late = job_watch(add_job(2, ended=60.0).job_id, began=50.0)
        driver.join(late)

        driver.run(70)

        assert delay(driver, late, 60.0) < 6
        assert not any("again" in text for text in messages(driver, late))

    @pytest.fixture
    def outage(self, airbyte, many, driver):
        """Reads by id fail, one of which was the first; lists are still read."""
        airbyte.faults += [Fault("503", 30.0, 600.0, job_id=each.job.job_id) for each in many]
        driver.run(30)
        while not messages(driver, many[0]):
            assert driver.now < 1000, "nobody is told of it"
            driver.run(driver.now + 0.1)
        return driver.now

    def test_a_list_may_show_the_end_of_an_outage(self, outage, many, driver):
        driver.run(outage + 11)

        for watch in many:
            assert messages(driver, watch)[1].startswith("Airbyte responds again")

    def test_every_second_request_in_an_outage_is_a_list(self, airbyte, outage, many, driver):
        airbyte.faults.append(Fault("503", outage, 600.0, lists=True))

        driver.run(outage + 201)

        sent = kinds(driver.sent, since=outage)
        assert sent["page"] in range(19, 22)
        assert sent["ReadJob"] in range(19, 22)

    @pytest.mark.parametrize("error", ["403", "500"])
    def test_an_error_that_concerns_lists_only_ends_an_outage(
        self, airbyte, outage, many, driver, error
    ):
        airbyte.faults.append(Fault(error, outage, 600.0, lists=True))

        driver.run(outage + 11)

        assert all("responds again" in messages(driver, watch)[1] for watch in many)

    def test_nothing_is_sent_before_the_time_that_airbyte_demands_of_a_list(
        self, airbyte, many, driver
    ):
        driver.run(9)
        airbyte.faults.append(Fault("429", 9.0, 11.0))

        driver.run(60)

        first, second, *_ = [(at, each) for at, each in driver.sent if at > 9]
        assert isinstance(first[1], ReadChanges)
        assert second[0] - first[0] >= 20

    def test_a_list_that_fails_for_good_ends_all_waits_at_once(self, airbyte, many, driver):
        driver.run(9)
        airbyte.faults.append(Fault("credentials", 9.0))

        driver.run(60)

        assert set(driver.outcomes) == set(many)
        assert kinds(driver.sent, since=9.0) == {"page": 1}

    def test_waits_for_a_job_that_cannot_be_read_end_with_their_own_budgets(
        self, airbyte, add_job, driver
    ):
        hasty = job_watch(add_job(1).job_id, failure_budget=30.0)
        patient = job_watch(1)
        airbyte.faults.append(Fault("500", 9.0, 200.0, job_id=1))
        driver.join(hasty, patient)

        driver.run(190)

        assert isinstance(driver.outcomes[hasty].change, Lost)
        assert 39 <= driver.outcomes[hasty].at <= 41
        assert patient not in driver.outcomes
        assert (
            "giving up after 10 min 0 s: Airbyte responded to GET https://ab/jobs with 500"
            in messages(driver, patient)[0]
        )
        assert kinds(driver.sent, since=41.0)["ReadJob"] in range(28, 32)

    def test_an_error_that_concerns_one_job_ends_an_outage_for_all(self, airbyte, add_job, driver):
        gone, other = job_watch(add_job(1).job_id), job_watch(add_job(2).job_id)
        airbyte.faults += [Fault("404", 40.0, job_id=1), Fault("503", 20.0, 100.0)]
        driver.join(gone, other)

        driver.run(60)

        assert driver.outcomes[gone].change.error.status == 404
        assert messages(driver, other)[1].startswith("Airbyte responds again")


class TestProgress:
    """The lines of a wait that tell of no change."""

    HEAD = f"Job 1 of connection {CONNECTION} is running"

    def test_a_few_waits_have_their_lines_between_two_reads(self, driver, add_job):
        watch = job_watch(add_job(1).job_id, poll_interval=3600.0)
        driver.join(watch)

        driver.run(1300)

        assert progress(driver, watch) == [
            (60.0, f"{self.HEAD}: 1 rows so far; 1 min 0 s elapsed."),
            (300.0, f"{self.HEAD}: 1 rows 5 min 0 s ago; 5 min 0 s elapsed."),
            (600.0, f"{self.HEAD}: 1 rows 10 min 0 s ago; 10 min 0 s elapsed."),
            (1200.0, f"{self.HEAD}: 1 rows 20 min 0 s ago; 20 min 0 s elapsed."),
        ]

    @pytest.mark.parametrize(("number", "are_asked"), [(FEW, True), (MANY, False)])
    def test_only_for_a_few_waits_more_is_to_be_read(self, driver, add_job, number, are_asked):
        watches = [job_watch(add_job(n + 1).job_id) for n in range(number)]
        driver.join(*watches)

        driver.run(61)

        assert len(driver.told) == number
        assert {told.report is not None for _, told in driver.told} == {are_asked}

    def test_many_waits_for_one_job_are_many(self, driver, add_job):
        driver.join(*[job_watch(add_job(1).job_id) for _ in range(MANY)])

        driver.run(61)

        assert [told.report for _, told in driver.told] == [None] * MANY

    def test_many_waits_have_lines_with_what_lists_have_shown(self, driver, airbyte, add_job, many):
        watch = job_watch(add_job(1).job_id)
        airbyte.change(1, Update(100.0, "incomplete", 100.0))
        airbyte.change(1, Update(110.0, "running", 110.0))
        driver.join(watch)

        driver.run(301)

        incomplete, running = (text for at, text in progress(driver, watch) if 100 < at < 120)
        assert incomplete.startswith(f"Job 1 of connection {CONNECTION} is incomplete: 1 rows")
        assert running.startswith(f"{self.HEAD}: 1 rows so far;")
        last = [progress(driver, each)[-1] for each in many]
        assert {at for at, _ in last} == {300.0}
        assert any(re.search(r": [\d,]+ rows \d+ min \d+ s ago; 5 min", text) for _, text in last)

    def test_ten_thousand_lines_are_spread_and_cost_no_request(self, driver, add_job):
        watches = [job_watch(add_job(n + 1).job_id, poll_interval=60.0) for n in range(10_000)]
        driver.join(*watches)

        driver.run(110)

        at_once = Counter(at for at, _ in driver.told)
        assert max(at_once.values()) == LINES_AT_ONCE
        assert Counter(told.watch for _, told in driver.told) == Counter(watches)
        moments = sorted(at_once)
        assert moments[0] == 60.0
        assert 45 < moments[-1] - moments[0] < 50
        assert min(b - a for a, b in pairwise(moments)) >= LINES_PAUSE - 0.01
        # Two rounds, a sweep, and what has its turn.
        assert len(driver.sent) < 250

    def test_a_wait_that_has_ended_has_no_more_lines(self, driver, add_job):
        gone, ended = job_watch(add_job(1).job_id), job_watch(add_job(2, ended=100.0).job_id)
        driver.join(gone, ended)
        driver.at(100.0, lambda: driver.leave(gone))

        driver.run(700)

        assert [at for at, _ in progress(driver, gone)] == [60.0]
        assert [at for at, _ in progress(driver, ended)] == [60.0]
        assert driver.watchlist.pause(now=driver.now) == float("inf")

    @pytest.mark.parametrize("number", [1, MANY])
    def test_there_are_no_lines_in_an_outage_and_one_after_it(
        self, airbyte, driver, add_job, number
    ):
        watches = [job_watch(add_job(n + 1).job_id) for n in range(number)]
        airbyte.faults.append(Fault("503", 50.0, 500.0))
        driver.join(*watches)

        driver.run(601)

        for watch in watches:
            at = [at for at, _ in progress(driver, watch)]
            assert len(at) == 2
            assert 500 < at[0] < 560
            assert at[1] == 600.0

    def test_there_are_no_lines_about_a_job_that_cannot_be_read(self, airbyte, driver, add_job):
        watch, other = job_watch(add_job(1).job_id), job_watch(add_job(2).job_id)
        airbyte.faults.append(Fault("500", 50.0, job_id=1))
        driver.join(watch, other)

        driver.run(301)

        assert progress(driver, watch) == []
        assert [at for at, _ in progress(driver, other)] == [60.0, 300.0]

    def test_a_wait_for_a_sync_has_lines_too(self, driver):
        watch = sync_watch(since=50.0)
        driver.join(watch)

        driver.run(61)

        assert progress(driver, watch) == [
            (
                60.0,
                f"No sync of connection {CONNECTION} has completed successfully since "
                "2026-03-25T01:30:50+00:00; waiting for 1 min 0 s so far.",
            )
        ]

    def test_a_job_that_takes_much_longer_than_usual_is_warned_of_once(self, driver, add_job):
        wait = make_wait()._replace(usual_duration=120.0)
        watch = JobWatch(Job(add_job(1).job_id, "running", CONNECTION), wait)
        driver.join(watch)

        driver.run(3000)

        assert [(at, told.watch) for at, told in driver.told if told.is_warning] == [
            (1200.0, watch)
        ]


class TestDeadlines:
    def test_the_last_read_begins_at_the_deadline(self, add_job, driver):
        watch = job_watch(add_job(1).job_id, timeout=12.0)
        driver.join(watch)

        driver.run(30)

        assert driver.sent[-1][0] == 12.0
        assert driver.outcomes[watch].at == 12.0 + LATENCY

    def test_a_read_in_flight_at_the_deadline_is_not_the_last_one(self, add_job, driver):
        job_id = add_job(1, ended=5.03).job_id
        watch = job_watch(job_id, timeout=5.02)
        driver.join(watch)

        driver.run(10)

        assert delay(driver, watch, 5.03) < 0.1

    def test_a_deadline_in_the_past_still_has_a_last_read(self, add_job, driver):
        over, ended = job_watch(add_job(1).job_id), job_watch(add_job(2, ended=40.0).job_id)
        driver.run(50)
        for watch in (over, ended):
            watch.wait = make_wait(timeout=10.0)

        driver.join(over, ended)
        driver.run(60)

        assert isinstance(driver.outcomes[over].change, Lost)
        assert isinstance(driver.outcomes[ended].change, Ended)

    def test_a_thousand_deadlines_at_once_end_with_the_margin(self, airbyte, add_job):
        driver = Driver(airbyte, lambda: 1.0)
        watches = [job_watch(add_job(n).job_id, timeout=100.0) for n in range(1000)]
        driver.join(*watches)

        driver.run(110)

        assert len(driver.outcomes) == 1000
        assert all(100 <= each.at <= 102 + DEADLINE_MARGIN for each in driver.outcomes.values())

    def test_a_timeout_in_an_outage_says_why(self, airbyte, add_job, driver):
        airbyte.faults.append(Fault("503", 5.0))
        watch = job_watch(add_job(1).job_id, timeout=100.0)
        driver.join(watch)

        driver.run(200)

        assert driver.outcomes[watch].at <= 100.0 + DEADLINE_MARGIN
        assert "it could not be read any more" in str(driver.outcomes[watch].change.error)

    @pytest.mark.parametrize("is_outage", [False, True])
    def test_a_timeout_during_the_last_read_says_why(self, airbyte, add_job, driver, is_outage):
        if is_outage:
            airbyte.faults.append(Fault("503", 5.0))
        watch = job_watch(add_job(1).job_id, timeout=100.0)
        driver.join(watch)
        driver.run(99)
        driver.latency_of = lambda _: 60.0

        driver.run(110)

        assert driver.outcomes[watch].at == 100.0 + DEADLINE_MARGIN
        assert str(driver.outcomes[watch].change.error).startswith(
            f"Job 1 of connection {CONNECTION} is still running and the time to wait for it is over"
            + (
                "; it could not be read any more: Airbyte responded to GET https://ab/jobs with 503"
                if is_outage
                else "."
            )
        )

    def test_a_wait_without_a_time_limit_goes_on(self, add_job, driver):
        watch = JobWatch(Job(add_job(1, ended=90_000.0).job_id, "running", CONNECTION), Wait(0.0))
        driver.join(watch)

        driver.run(90_020)

        assert delay(driver, watch, 90_000.0) < 11

    def test_a_sensor_that_times_out_names_the_newest_sync_that_failed(self, add_job, driver):
        add_job(1, ended=20.0, status="failed")
        watch = sync_watch(since=10.0, timeout=60.0)
        driver.join(watch)

        driver.run(70)

        assert "the newest one, job 1, failed" in str(driver.outcomes[watch].change.error)


class TestFewAndMany:
    def test_a_page_that_arrives_when_few_are_left_is_used(self, airbyte, many, add_job, driver):
        driver.run(9.99)
        ended = many[0]
        airbyte.change(ended.job.job_id, Update(10.0, "succeeded", 10.0))
        driver.at(10.01, lambda: driver.leave(many[1]))

        driver.run(10.2)

        assert delay(driver, ended, 10.0) < 0.2

    def test_a_job_that_a_page_shows_when_few_are_left_is_still_read(self, airbyte, many, driver):
        driver.run(9.99)
        watch = many[-1]
        airbyte.change(watch.job.job_id, Update(10.0, "incomplete", 10.0))
        airbyte.change(watch.job.job_id, Update(30.0, "succeeded", 30.0))
        driver.at(10.01, lambda: driver.leave(many[0]))

        driver.run(40)

        assert delay(driver, watch, 30.0) < 6

    def test_a_page_that_fails_when_few_are_left_changes_nothing(self, airbyte, many, driver):
        driver.run(9.99)
        airbyte.faults.append(Fault("500", 9.99, 10.1, lists=True))
        driver.at(10.01, lambda: driver.leave(many[0]))

        driver.run(59)

        assert not driver.outcomes
        assert not driver.told

    def test_a_page_that_is_refused_just_after_only_few_are_left_tells_nothing(self, many, driver):
        driver.run(9.99)
        page = driver.watchlist.next_request(now=10.0)
        assert isinstance(page, ReadChanges)

        driver.watchlist.discard(many[0], now=10.01)

        assert driver.watchlist.failed(page, ERRORS["403"], now=10.02) == []

    def test_sensors_are_read_by_themselves_when_few_are_left(self, airbyte, many, add_job, driver):
        add_job(1, ended=50.0)
        watch = sync_watch(since=40.0)
        driver.join(watch)
        driver.run(20)
        for each in many:
            driver.leave(each)

        driver.run(60)

        assert delay(driver, watch, 50.0) < 6

    @pytest.mark.parametrize("rows", [50, 300])
    def test_lists_in_another_order_are_not_used(self, airbyte, add_job, driver, rows):
        airbyte.ignored = frozenset({"order"})
        for job_id in range(5000, 5000 + rows):
            airbyte.add(
                SimulatedJob(job_id, "other", -job_id, [Update(-job_id, "succeeded", -job_id)])
            )
        watches = [job_watch(add_job(n, ended=100.0).job_id) for n in range(1, MANY + 1)]
        driver.join(*watches)

        driver.run(120)

        assert all(delay(driver, watch, 100.0) < 6 for watch in watches)
        assert kinds(driver.sent)["page"] <= 2
        assert "it is not in the order of the changes" in messages(driver, None)[0]

    def test_an_end_in_a_list_in_another_order_is_not_lost(self, airbyte, add_job, driver):
        airbyte.ignored = frozenset({"order"})
        for n in range(5000, 5050):
            airbyte.add(SimulatedJob(n, "other", -n, [Update(-n, "succeeded", -n)]))
        ended = job_watch(add_job(100, ended=-30.0).job_id)
        driver.join(*[job_watch(add_job(n).job_id) for n in range(MANY)], ended)

        driver.run(1)

        assert "it is not in the order of the changes" in messages(driver, None)[0]
        assert delay(driver, ended, 0.0) == LATENCY

    def test_a_sweep_in_another_order_ends_the_use_of_lists(self, airbyte, add_job, driver):
        for n in range(1000, 1200):
            airbyte.add(SimulatedJob(n, "other", -n, [Update(-n, "succeeded", -n)]))
        airbyte.sweep_order = False
        watches = [
            job_watch(add_job(n, ended=100.0, began=-1e4 * n).job_id) for n in range(1, MANY + 1)
        ]
        driver.join(*watches)

        driver.run(120)

        assert all(delay(driver, watch, 100.0) < 6 for watch in watches)
        assert len(messages(driver, None)) == 1

    def test_a_slow_page_that_arrives_when_few_are_left_tells_nothing(self, many, driver):
        driver.run(9.99)
        driver.latency_of = lambda request: 7.0 if isinstance(request, ReadChanges) else LATENCY
        driver.at(12.0, lambda: driver.leave(many[0]))

        driver.run(30)

        assert kinds(driver.sent, since=9.99)["page"] == 1
        assert messages(driver, None) == []

    def test_a_sweep_that_is_refused_after_three_rounds_have_failed_says_what_was_refused(
        self, airbyte, add_job, driver
    ):
        for n in range(1, MANY + 1):
            add_job(n, began=-1e4 * n).is_listed = False
        add_job(1000)
        airbyte.sweep_error = "403"
        airbyte.faults += [
            Fault(error, at - 1, at + 1, lists=True)
            for error, at in (("500", 5.0), ("500", 10.0), ("503", 15.0))
        ]
        driver.latency_of = lambda request: (
            16.0 if isinstance(request, ReadChanges) and request.is_sweep else LATENCY
        )
        driver.join(*[job_watch(n) for n in range(1, MANY + 1)])

        driver.run(30)

        (told,) = [text for text in messages(driver, None) if "unusable" in text]
        assert "with 403" in told
        assert "tried again in 10 min" in told

    def test_lists_that_are_refused_twice_at_once_are_given_up_once(self, airbyte, add_job):
        driver = Driver(airbyte, lambda: 1.0)
        driver.latency_of = lambda request: (
            3.0 if isinstance(request, ReadChanges) and request.is_sweep else 1.0
        )
        for n in range(1000, 1700):
            airbyte.add(SimulatedJob(n, "other", -n, [Update(-n, "succeeded", -n)]))
        driver.join(*[job_watch(add_job(n, began=-1e4 * n).job_id) for n in range(1, MANY + 1)])
        airbyte.faults.append(Fault("403", 5.0, lists=True))

        driver.run(300)

        assert len(messages(driver, None)) == 1
