"""What the log says about the attempts of a job that did not succeed."""

import json
import logging

import pytest
from hypothesis import given

from airflow_provider_airbyte_sme.api import (
    AirbyteDecodeError,
    AirbyteJobCancelledError,
    AirbyteJobFailedError,
    JobDetails,
)
from airflow_provider_airbyte_sme.api.models import end_of_log
from airflow_provider_airbyte_sme.api.models.attempt_logs import (
    MAX_LINE_LENGTH,
    MAX_LINES,
    MAX_SIZE,
)
from tests.unit.api.doubles import requests_to
from tests.unit.api.malformed import ANY_JSON, reproducible

REASONS = "POST /api/v1/jobs/get_without_logs"
LOG = "POST /api/v1/attempt/get_for_job"
RESET = {"message": "Connection reset", "origin": "destination", "type": "transient_error"}
USERS = {"message": "Permission denied.", "type": "config_error", "stream": "users"}
ORDERS = {**USERS, "stream": "orders", "namespace": "shop"}


@pytest.fixture
def report(client, emulator, run, caplog):
    """Run a scripted job to its end, and return the error and the log of the one who needs it."""
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")

    def end(**script):
        emulator.script_job(**{"outcome": "failed", **script})
        job_id = emulator.start_sync()
        emulator.advance(86_400)
        job = run(client.jobs.get(job_id))
        caplog.clear()
        with pytest.raises((AirbyteJobFailedError, AirbyteJobCancelledError)) as failure:
            run(client.jobs.ensure_succeeded(job))
        return failure.value, caplog.messages

    return end


def quoted(messages):
    """Return the lines of Airbyte's log."""
    return [message[2:] for message in messages if message.startswith("| ")]


def test_the_log_has_each_failure_of_each_attempt(report):
    _, messages = report(failures=[[RESET], [USERS, ORDERS]], rows=1200)

    assert messages[:3] == [
        "Job 1, attempt 1 of 2 failed with 0 rows: destination, transient_error, Connection reset.",
        "Job 1, attempt 2 of 2 failed with 1,200 rows: source, config_error, stream users, "
        "Permission denied.",
        "Job 1, attempt 2 of 2 failed with 1,200 rows: source, config_error, stream shop.orders, "
        "Permission denied.",
    ]


def test_the_error_has_the_first_failure_of_the_newest_attempt(report):
    error, _ = report(failures=[[RESET], [ORDERS, USERS]])

    assert (
        ": 2 attempts, source, config_error, stream shop.orders, Permission denied. http"
    ) in str(error)
    assert error.attempts == 2
    assert (error.failure_origin, error.failure_type, error.failure_message) == (
        "source",
        "config_error",
        "Permission denied.",
    )
    assert [len(attempt.failures) for attempt in error.details.attempts] == [1, 2]


def test_an_error_without_details_has_empty_attributes(report, emulator):
    emulator.fail_next(REASONS, 404)
    error, _ = report()

    assert (error.details, error.attempts) == (None, None)
    assert error.failure_origin == error.failure_type == error.failure_message == ""


def test_a_job_that_failed_before_its_first_attempt_gives_no_reason(report):
    error, messages = report(statuses=[("pending", 5), ("failed", None)])

    assert " failed after 5 s with 0 rows: 0 attempts. http" in str(error)
    assert (error.attempts, error.failure_type) == (0, "")
    assert messages == []


def test_many_attempts_and_failures_are_counted_instead(report):
    _, messages = report(failures=[[RESET]] * 24 + [[RESET] * 500])

    attempts = [message for message in messages if "attempt" in message]
    assert attempts[0] == "Job 1, 5 earlier attempts left out."
    assert attempts[1].startswith("Job 1, attempt 6 of 25 failed")
    assert attempts[-2] == "Job 1, attempt 25 of 25 has 490 more failures."
    assert len(attempts) == 1 + 19 + 10 + 1 + 1


def test_a_cancelled_job_has_its_failures_in_the_log_but_not_its_lines(report, emulator):
    error, messages = report(statuses=[("running", 5), ("cancelled", None)], rows=0, log=["noise"])

    assert isinstance(error, AirbyteJobCancelledError)
    assert messages == [
        "Job 1, attempt 1 of 1 failed with 0 rows: manual_cancellation, This attempt was cancelled."
    ]
    assert requests_to(emulator, LOG) == []


@pytest.mark.parametrize(
    ("log_type", "line"),
    [
        ("structured", "2026-03-25 01:30:05 INFO replication-orchestrator: reading users"),
        ("formatted", "2026-03-25 01:30:05 replication-orchestrator INFO reading users"),
    ],
)
def test_the_log_ends_with_the_lines_of_the_last_failed_attempt(report, log_type, line):
    _, messages = report(
        failures=[[RESET]] * 2, duration=5, log=["reading users"], log_type=log_type
    )

    assert "Job 1, the last lines of the log of attempt 2:" in messages
    lines = quoted(messages)
    assert len(lines) == 5
    assert lines[0].endswith("Attempt 1 of job 1 started")
    assert lines[1][20:] == line[20:]
    assert lines[2].endswith("Connection reset")


def test_only_the_end_of_a_long_log_is_quoted(report):
    _, messages = report(log=[f"line {number}" for number in range(10_000)])

    lines = quoted(messages)
    assert len(lines) == MAX_LINES
    assert lines[0].endswith("line 9973")
    assert sum(len(line) + 1 for line in lines) <= MAX_SIZE


def test_long_lines_are_cut_and_few(report):
    _, messages = report(log=["x" * 100_000] * 100)

    lines = quoted(messages)
    assert max(map(len, lines)) == MAX_LINE_LENGTH
    assert 15 < len(lines) < MAX_LINES
    assert sum(len(line) + 1 for line in lines) <= MAX_SIZE


def test_a_log_in_an_alphabet_of_several_bytes_is_limited_in_bytes():
    lines = end_of_log({"logs": {"logLines": ["ä" * MAX_LINE_LENGTH] * MAX_LINES}})

    assert 5 < len(lines) < MAX_LINES / 2
    assert sum(len(line.encode()) + 1 for line in lines) <= MAX_SIZE


def test_an_empty_log_is_not_announced(report, emulator):
    emulator.alter_next(LOG, lambda body: {**body, "logs": {}})

    _, messages = report(failures=[[RESET]])

    assert len(requests_to(emulator, LOG)) == 1
    assert not any("the last lines" in message for message in messages)


@pytest.mark.parametrize("log_type", ["structured", "formatted"])
def test_a_log_that_is_too_large_is_not_read_to_its_end(report, log_type):
    error, messages = report(failure=RESET, log=["x" * 1_000_000] * 17, log_type=log_type)

    assert "Connection reset" in str(error)
    assert quoted(messages) == []
    assert messages[-1].startswith("Job 1, the log of attempt 5 cannot be read: Airbyte responded")
    assert messages[-1].endswith("with 200 and more than the 16,777,216 bytes that are read.")


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_log_that_cannot_be_read_is_asked_for_once(report, emulator, status):
    emulator.fail_next(LOG, status, times=None)
    error, messages = report(failure=RESET)

    assert "5 attempts, destination, transient_error, Connection reset" in str(error)
    assert messages[-1].startswith("Job 1, the log of attempt 5 cannot be read: ")
    assert requests_to(emulator, LOG) == [status]


KEY = ["-----BEGIN PRIVATE KEY-----", *(f"MIIEvQ{number:060}" for number in range(60)), "-----END"]


@pytest.mark.parametrize("log_type", ["structured", "formatted"])
def test_no_secret_is_quoted(report, emulator, client, run, log_type):
    run(client.authenticate())
    token = client.session.token.value
    message = f"login with {emulator.client_secret} and {token} failed"
    log = [
        f"client secret {emulator.client_secret}",
        f"{'x' * (MAX_LINE_LENGTH - 60)}{emulator.client_secret}",
        "jdbc:postgresql://reader:s3cret@db/crm?password=s3cret",
        f"Authorization: Bearer {token}",
        *KEY,
    ]
    error, messages = report(
        failure={**RESET, "message": message}, attempts=1, log=log, log_type=log_type
    )

    said = "\n".join([str(error), error.failure_message, *messages])
    assert "login with *** and *** failed" in said
    assert len(quoted(messages)) > 5
    for secret in (emulator.client_secret, emulator.client_secret[:12], token, "s3cret", "MIIEvQ"):
        assert secret not in said


def test_control_characters_and_colours_are_removed(report):
    _, messages = report(
        log=["\x1b[32mINFO\x1b[m\ta\x00b\x07\r\n  at \udc00line 7"], log_type="formatted"
    )

    assert "INFO a b" in "".join(quoted(messages))
    assert "at \N{REPLACEMENT CHARACTER}line 7" in quoted(messages)
    assert not any(ord(character) < 32 for line in quoted(messages) for character in line)


def structured(*events):
    return {"logType": "structured", "logs": {"events": list(events), "version": "1"}}


def test_what_is_missing_in_an_event_is_left_out():
    assert end_of_log(
        structured(
            {"message": "first"},
            {"level": "error", "message": "second"},
            {"timestamp": 10**30, "logSource": "source", "message": "third"},
            {"timestamp": 1774402250123},
            "not an event",
        )
    ) == ("first", "ERROR: second", "source: third", "2026-03-25 01:30:50:")


@given(ANY_JSON)
@reproducible
def test_any_log_is_read_without_an_error(anything):
    for payload in (
        anything,
        {"logs": anything},
        {"logs": {"events": anything}},
        {"logs": {"logLines": anything}},
        structured(anything, {"message": anything, "timestamp": anything, "level": anything}),
    ):
        end = end_of_log(payload)
        assert len(end) <= MAX_LINES
        assert len("\n".join(end).encode()) <= MAX_SIZE


@given(ANY_JSON)
@reproducible
def test_any_details_are_read_or_rejected(anything):
    failure = {"externalMessage": anything, "failureType": anything, "streamDescriptor": anything}
    for payload in (
        anything,
        {"attempts": anything},
        {"attempts": [anything, {"attempt": anything}], "job": anything},
        {"attempts": [{"attempt": {"id": anything, "failureSummary": {"failures": anything}}}]},
        {"attempts": [{"attempt": {"failureSummary": {"failures": [failure]}}}]},
    ):
        try:
            details = JobDetails.from_json(payload)
        except AirbyteDecodeError:
            continue
        json.dumps(str(details.cause))


def details_of(*attempts):
    return JobDetails.from_json({"job": {"id": 42}, "attempts": list(attempts)})


def failed_attempt(**failure):
    return {"attempt": {"id": 0, "status": "failed", "failureSummary": {"failures": [failure]}}}


def test_without_an_external_message_the_internal_message_is_used():
    cause = details_of(failed_attempt(internalMessage="NullPointerException")).cause

    assert cause.message == "NullPointerException"


@pytest.mark.parametrize(
    "attempt",
    [
        "not an object",
        {"attempt": None},
        {"attempt": "not an object"},
        {"attempt": {"failureSummary": "not an object"}},
        {"attempt": {"failureSummary": {"failures": None}}},
        {"attempt": {"failureSummary": {"failures": {"0": "not a list"}}}},
        {"attempt": {"failureSummary": {"failures": ["not an object"]}}},
    ],
)
def test_an_attempt_in_an_unknown_format_is_skipped(attempt):
    details = details_of(failed_attempt(externalMessage="Login rejected"), attempt)

    assert details.cause.message == "Login rejected"


def test_details_without_attempts_are_rejected():
    with pytest.raises(AirbyteDecodeError, match="'attempts' is missing"):
        JobDetails.from_json({"job": {}})
