"""Waiting for a job: when it is read, which outages the wait survives, and what ends it."""

import asyncio
import logging

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteConflictError,
    AirbyteCredentialsError,
    AirbyteError,
    AirbyteJobTimeoutError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteServerError,
    run_blocking,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import Wire, client_for, requests_to, settings_for

GET = "GET /jobs/{jobId}"
DETAILS = "POST /api/v1/jobs/get_without_logs"
MINUTE = 60.0


@pytest.fixture
def start(emulator):
    """Start a job that passes through statuses, each with its seconds."""

    def start_job(*statuses):
        emulator.script_job(statuses=statuses)
        return emulator.start_sync()

    return start_job


def reads_at(emulator, began):
    """Return the seconds after *began* at which the job was read."""
    return [request.at - began for request in emulator.requests if request.route == GET]


@pytest.mark.parametrize(
    "statuses",
    [
        pytest.param([("pending", 40), ("running", 0)], id="pending"),
        pytest.param([("queued", 40), ("running", 0)], id="queued"),
        pytest.param([("running", 40)], id="running"),
        pytest.param([("running", 0), ("incomplete", 40), ("running", 0)], id="incomplete"),
        pytest.param([("paused", 40), ("running", 0)], id="unknown status"),
    ],
)
@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled"])
def test_the_wait_lasts_until_the_status_is_terminal(client, start, wire, run, statuses, outcome):
    job_id = start(*statuses, (outcome, None))

    job = run(client.jobs.wait(job_id))

    assert job.status == outcome
    assert wire.slept == [10.0] * 4


def test_a_job_that_has_ended_is_read_once(client, start, emulator, wire, run):
    job_id = start(("running", 0), ("succeeded", None))

    assert run(client.jobs.wait(job_id)).has_succeeded
    assert wire.slept == []
    assert requests_to(emulator, GET) == [200]


@pytest.mark.parametrize("poll_interval", [1.0, 7.0, 60.0])
def test_reads_are_poll_interval_seconds_apart(client, start, emulator, run, poll_interval):
    began = emulator.clock.time()
    job_id = start(("running", 100), ("succeeded", None))

    run(client.jobs.wait(job_id, poll_interval=poll_interval))

    reads = reads_at(emulator, began)
    assert reads == pytest.approx([n * poll_interval for n in range(len(reads))])
    assert reads[-2] < 100 <= reads[-1]


def test_each_change_of_status_is_logged_once(client, start, emulator, run, caplog):
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
    job_id = start(("queued", 25), ("running", 25), ("succeeded", None))

    run(client.jobs.wait(job_id))

    lines = [line for line in caplog.messages if line.startswith(f"Job {job_id} ")]
    head = f"Job {job_id} of connection {emulator.connection_id}"
    assert lines == [
        f"{head} is queued; 0 s elapsed.",
        f"{head} is running; 30 s elapsed.",
        f"{head}: succeeded.",
    ]


class TestProgress:
    """What the log says during a long wait, and what that costs."""

    @pytest.fixture
    def lines(self, caplog):
        """Return what was logged about the job, without its head."""
        caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")

        def read():
            return [
                line.partition(")")[2].strip(": ")
                for line in caplog.messages
                if line.startswith("Job 1 of connection 'crm to lake' (")
            ]

        return read

    def test_there_is_a_line_for_each_change_and_others_at_a_gentle_rhythm(
        self, client, start, emulator, wire, run, lines
    ):
        job_id = start(
            ("pending", 15),
            ("running", 10 * MINUTE),
            ("incomplete", 20),
            ("running", 10 * MINUTE),
            ("succeeded", None),
        )
        wire.after_seconds(2 * MINUTE, lambda: emulator.commit_records(job_id, 1000))
        wire.after_seconds(15 * MINUTE, lambda: emulator.commit_records(job_id, 2_500_000))

        run(client.jobs.wait(job_id, connection_name="crm to lake", usual_duration=900.0))

        usually = "elapsed, usually 15 min 0 s."
        assert lines() == [
            f"is pending; 0 s {usually}",
            f"is running; 20 s {usually}",
            f"is running, attempt 1: no rows so far; 1 min 0 s {usually}",
            f"is running, attempt 1: 1,000 rows, 128 kB so far; 5 min 0 s {usually}",
            f"is running, attempt 1: 1,000 rows, 128 kB so far; 10 min 0 s {usually}",
            f"is incomplete, attempt 1: 1,000 rows, 128 kB so far; 10 min 20 s {usually}",
            f"is running, attempt 2: 1,000 rows, 128 kB so far; 10 min 40 s {usually}",
            f"is running, attempt 2: 2,501,000 rows, 320 MB so far; 20 min 0 s {usually}",
            "succeeded.",
        ]
        # One for each line but the first two and the last one.
        assert requests_to(emulator, DETAILS) == [200] * 6

    def test_an_attempt_that_ended_between_two_reads_is_noticed(
        self, client, start, emulator, run, lines
    ):
        job_id = start(("running", 183), ("incomplete", 2), ("running", 60), ("succeeded", None))

        run(client.jobs.wait(job_id, connection_name="crm to lake"))

        assert "is running again, attempt 2: no rows so far; 3 min 10 s elapsed." in lines()

    def test_a_day_has_fewer_than_150_lines(self, client, start, emulator, run, lines):
        job_id = start(("running", 24 * 60 * MINUTE), ("succeeded", None))

        run(client.jobs.wait(job_id, poll_interval=30.0, connection_name="crm to lake"))

        assert 140 < len(lines()) < 150
        assert len(requests_to(emulator, DETAILS)) < 150

    def test_a_job_that_ends_within_a_minute_costs_no_request_more(
        self, client, start, emulator, run
    ):
        run(client.jobs.wait(start(("pending", 5), ("running", 40), ("succeeded", None))))

        assert requests_to(emulator, DETAILS) == []

    @pytest.mark.parametrize(
        ("close", "requests"),
        [
            pytest.param(
                lambda emulator: emulator.fail_next(DETAILS, 403, times=None), 1, id="403"
            ),
            pytest.param(
                lambda emulator: emulator.html_next(DETAILS, times=None, status=404), 8, id="HTML"
            ),
        ],
    )
    def test_a_closed_config_api_is_said_once_and_not_asked_again(
        self, client, start, emulator, run, lines, caplog, close, requests
    ):
        close(emulator)

        job = run(
            client.jobs.wait(
                start(("running", 60 * MINUTE), ("succeeded", None)), connection_name="crm to lake"
            )
        )

        assert job.has_succeeded
        assert len([line for line in caplog.messages if "without attempts" in line]) == 1
        assert len(requests_to(emulator, DETAILS)) <= requests
        assert len(lines()) == 9
        assert lines()[-2].startswith("is running: no rows so far; 50 min")

    def test_a_config_api_that_is_switched_off_is_never_asked(
        self, emulator, wire, start, run, lines
    ):
        client = client_for(emulator, wire, settings=settings_for(emulator, config_api=False))
        job_id = start(("running", 60 * MINUTE), ("succeeded", None))

        run(client.jobs.wait(job_id, connection_name="crm to lake"))

        assert requests_to(emulator, DETAILS) == []
        assert len(lines()) == 9

    def test_a_config_api_that_fails_now_and_then_is_asked_again(
        self, client, start, emulator, wire, run, lines
    ):
        job_id = start(("running", 25 * MINUTE), ("succeeded", None))
        for minutes in (0, 9):
            wire.after_seconds(
                minutes * MINUTE, lambda: emulator.fail_next(DETAILS, 503, times=None)
            )
            wire.after_seconds((minutes + 4) * MINUTE, emulator.clear_faults)

        run(client.jobs.wait(job_id, connection_name="crm to lake"))

        has_attempt = {line.rpartition("; ")[2]: "attempt 1" in line for line in lines()}
        assert [*has_attempt.values()] == [False, False, True, False, True, False]

    def test_a_config_api_that_hangs_holds_up_no_deadline(self, client, start, emulator, run):
        began = emulator.clock.time()
        emulator.hang_next(DETAILS, 3600, times=None)

        with pytest.raises(AirbyteJobTimeoutError):
            run(client.jobs.wait(start(("running", None)), timeout=302.0))

        assert emulator.clock.time() - began == pytest.approx(302.0, abs=1.1)

    def test_a_job_that_takes_much_longer_than_usual_is_warned_of_once(
        self, client, start, run, lines, caplog
    ):
        job_id = start(("running", 90 * MINUTE), ("succeeded", None))

        run(client.jobs.wait(job_id, connection_name="crm to lake", usual_duration=300.0))

        assert [line for line in lines() if "as a rule" in line] == [
            "has taken 20 min 0 s, and takes 5 min 0 s as a rule. Look in Airbyte whether its "
            "attempts fail and are repeated, whether it waits for a free worker, and whether "
            "source or destination are slow."
        ]
        assert [each.levelname for each in caplog.records if "as a rule" in each.message] == [
            "WARNING"
        ]

    def test_the_time_before_the_wait_counts(self, client, start, run, lines):
        job_id = start(("running", 10), ("succeeded", None))

        run(client.jobs.wait(job_id, connection_name="crm to lake", elapsed_before=7200.0))

        assert lines()[0] == "is running; 2 h 0 min elapsed."


class TestUsualDuration:
    @pytest.fixture
    def run_jobs(self, emulator):
        def run(*seconds, status="succeeded"):
            for each in seconds:
                emulator.script_job(statuses=[("running", each), (status, None)])
                emulator.start_sync()
                emulator.advance(each)

        return run

    def test_it_is_the_median_of_the_last_twenty_successful_jobs(
        self, client, start, emulator, run, run_jobs
    ):
        run_jobs(*[9000] * 15)
        run_jobs(*[900] * 11, *[300] * 9)
        run_jobs(*[5] * 25, status="failed")
        job = run(client.jobs.get(start(("running", None))))
        emulator.clear_requests()

        assert run(client.jobs.find_usual_duration(job)) == 900.0
        assert requests_to(emulator, "GET /jobs") == [200]

    def test_it_is_unknown_if_the_list_cannot_be_read(self, client, start, emulator, run):
        job = run(client.jobs.get(start(("running", None))))
        began = emulator.clock.time()
        emulator.fail_next("GET /jobs", 503, times=None)

        assert run(client.jobs.find_usual_duration(job)) is None
        assert emulator.clock.time() - began < 20


@pytest.mark.parametrize("timeout", [25.0, 100.0, 7290.0, 0.0])
def test_a_timeout_ends_the_wait_and_leaves_the_job_running(client, start, emulator, run, timeout):
    began = emulator.clock.time()
    job_id = start(("running", None))

    with pytest.raises(AirbyteJobTimeoutError) as failure:
        run(client.jobs.wait(job_id, poll_interval=60.0, timeout=timeout))

    assert str(failure.value) == (
        f"Job {job_id} of connection {emulator.connection_id} is still running and the time "
        f"to wait for it is over."
    )
    assert failure.value.job.job_id == job_id
    assert emulator.jobs[job_id].status == "running"
    assert reads_at(emulator, began)[-1] == pytest.approx(timeout)


def test_a_job_that_ends_exactly_at_the_timeout_is_returned(client, start, run):
    job_id = start(("running", 25), ("succeeded", None))

    assert run(client.jobs.wait(job_id, timeout=25)).has_succeeded


OUTAGES = {
    "unreachable": lambda emulator: emulator.drop_next("*", times=None, after=False),
    "lost response": lambda emulator: emulator.drop_next(GET, times=None),
    "error 503": lambda emulator: emulator.fail_next("*", 503, times=None),
    "HTML with 404": lambda emulator: emulator.html_next("*", times=None, status=404),
    "HTML with 200": lambda emulator: emulator.html_next("*", times=None, status=200),
    "HTML with 403": lambda emulator: emulator.html_next("*", times=None, status=403),
    "redirect": lambda emulator: emulator.fail_next("*", 302, times=None),
    "plain text": lambda emulator: emulator.fail_next("*", 404, times=None, body="no healthy pod"),
    # Airbyte itself never says 404 about a job.
    "error 404": lambda emulator: emulator.fail_next(GET, 404, times=None),
    "truncated response": lambda emulator: emulator.fail_next(GET, 200, times=None, body='{"jobId'),
    "error 500": lambda emulator: emulator.fail_next(GET, 500, times=None),
    "error 429": lambda emulator: emulator.fail_next(GET, 429, times=None),
    "rejected token": lambda emulator: emulator.fail_next(GET, 401, times=None),
    "failing token endpoint": lambda emulator: (
        emulator.revoke_tokens(),
        emulator.fail_next("POST /applications/token", 503, times=None),
    ),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_of_nine_minutes_is_survived(client, start, emulator, wire, run, outage):
    job_id = start(("running", 15 * MINUTE), ("succeeded", None))
    wire.after_seconds(1 * MINUTE, lambda: outage(emulator))
    wire.after_seconds(10 * MINUTE, emulator.clear_faults)

    assert run(client.jobs.wait(job_id)).has_succeeded


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_of_eleven_minutes_ends_the_wait(client, start, emulator, wire, run, outage):
    began = emulator.clock.time()
    job_id = start(("running", 15 * MINUTE), ("succeeded", None))
    wire.after_seconds(1 * MINUTE, lambda: outage(emulator))
    wire.after_seconds(12 * MINUTE, emulator.clear_faults)

    with pytest.raises(AirbyteError):
        run(client.jobs.wait(job_id))

    assert 11 * MINUTE <= emulator.clock.time() - began < 12 * MINUTE


def test_a_good_response_resets_the_failure_budget(client, start, emulator, wire, run):
    job_id = start(("running", 25 * MINUTE), ("succeeded", None))
    wire.after_seconds(1 * MINUTE, lambda: emulator.fail_next(GET, 503, times=None))
    wire.after_seconds(10 * MINUTE, emulator.clear_faults)
    wire.after_seconds(11 * MINUTE, lambda: emulator.fail_next(GET, 503, times=None))
    wire.after_seconds(20 * MINUTE, emulator.clear_faults)

    assert run(client.jobs.wait(job_id)).has_succeeded


def test_the_failure_budget_can_be_changed(client, start, emulator, run):
    began = emulator.clock.time()
    job_id = start(("running", None))
    emulator.fail_next(GET, 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.jobs.wait(job_id, failure_budget=60.0))

    assert 60 <= emulator.clock.time() - began < 90


def test_reads_during_an_outage_are_at_most_a_minute_apart(client, start, emulator, run):
    began = emulator.clock.time()
    job_id = start(("running", None))
    emulator.html_next(GET, times=3)

    run(client.jobs.poll(job_id, poll_interval=1800.0))

    assert reads_at(emulator, began) == pytest.approx([0, 60, 120, 180])


def test_each_failed_read_of_an_outage_is_logged(client, start, emulator, run, caplog):
    emulator.html_next(GET, times=3)

    run(client.jobs.poll(start(("running", None))))

    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.partition(":")[0] for line in warnings] == [
        "No good response for 0 s, giving up after 10 min 0 s",
        "No good response for 10 s, giving up after 10 min 0 s",
        "No good response for 20 s, giving up after 10 min 0 s",
    ]
    assert "an HTML page" in warnings[0]


PERMANENT_ERRORS = {
    "error 403": (
        lambda emulator: emulator.fail_next(GET, 403, times=None),
        AirbytePermissionError,
    ),
    "error 409": (
        lambda emulator: emulator.fail_next(GET, 409, times=None),
        AirbyteConflictError,
    ),
    "rejected credentials": (
        lambda emulator: (emulator.revoke_tokens(), emulator.rotate_secret()),
        AirbyteCredentialsError,
    ),
}


@pytest.mark.parametrize(("fault", "error"), PERMANENT_ERRORS.values(), ids=PERMANENT_ERRORS)
def test_a_permanent_error_ends_the_wait_at_once(client, start, emulator, wire, run, fault, error):
    job_id = start(("running", None))
    wire.after_seconds(15, lambda: fault(emulator))

    with pytest.raises(error):
        run(client.jobs.wait(job_id))

    assert wire.slept == [10.0, 10.0]


def test_an_unknown_job_ends_the_wait_of_an_administrator_at_once(run):
    emulator = Emulator(time="manual", instance_admin=True)

    with pytest.raises(AirbyteNotFoundError, match="this Airbyte has no job 4711"):
        run(client_for(emulator, Wire(emulator)).jobs.wait(4711))


def test_a_blocking_wait_works_inside_a_running_event_loop(client, start):
    job_id = start(("running", 100), ("succeeded", None))

    async def inside_a_loop():
        return run_blocking(client.jobs.wait(job_id))

    assert asyncio.run(inside_a_loop()).has_succeeded


@pytest.mark.parametrize("timeout", [5.0, 100.0, 900.0])
@pytest.mark.parametrize("fault", OUTAGES.values(), ids=OUTAGES)
def test_a_timeout_ends_the_wait_during_an_outage(client, start, emulator, run, fault, timeout):
    job_id = start(("running", None))
    job = run(client.jobs.get(job_id))
    began = emulator.clock.time()
    fault(emulator)
    expected = min(timeout, 600.0)

    with pytest.raises(AirbyteError) as failure:
        run(client.jobs.wait(job_id, timeout=timeout, last_read=job))

    assert isinstance(failure.value, AirbyteJobTimeoutError) == (timeout < 600.0)
    assert emulator.clock.time() - began == pytest.approx(expected, abs=1.1)


def test_a_read_that_hangs_ends_with_the_wait(client, start, emulator, run):
    job_id = start(("running", None))
    job = run(client.jobs.get(job_id))
    began = emulator.clock.time()
    emulator.hang_next("*", seconds=60, times=None)

    with pytest.raises(AirbyteJobTimeoutError, match="it could not be read any more") as failure:
        run(client.jobs.wait(job_id, timeout=5.0, last_read=job))

    assert failure.value.job == job
    assert emulator.clock.time() - began == pytest.approx(5.0, abs=1.1)


def test_an_outage_is_raised_as_it_is_if_the_job_was_never_read(client, start, emulator, run):
    job_id = start(("running", None))
    emulator.fail_next("*", 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.jobs.wait(job_id, timeout=5.0))
