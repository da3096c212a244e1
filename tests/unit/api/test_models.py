"""What Airbyte says, read into values: leniently where it may grow, strictly where it must not."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    TERMINAL_STATUSES,
    AirbyteConnection,
    AirbyteDecodeError,
    Instance,
    Job,
    JobFailure,
    JobStatus,
    JobType,
    Workspace,
)
from tests.unit.api.answers import CONNECTION, CONNECTION_ID, JOB
from tests.unit.api.oddities import ANY_JSON, steady

WORKSPACE = {"workspaceId": "744c", "name": "Analytics", "dataResidency": "auto"}


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}


def test_a_job_is_read_with_all_that_it_tells():
    assert Job.from_json(JOB) == Job(
        job_id=42,
        status="succeeded",
        job_type="sync",
        connection_id=CONNECTION_ID,
        started_at=datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC),
        last_updated_at=datetime(2026, 3, 25, 1, 42, 3, tzinfo=UTC),
        duration=timedelta(minutes=11, seconds=13),
        bytes_synced=15872,
        rows_synced=120,
        adopted=False,
    )


def test_a_job_just_created_has_neither_end_nor_counters():
    fresh = {
        name: JOB[name] for name in ("jobId", "status", "jobType", "connectionId", "startTime")
    }

    job = Job.from_json(fresh)

    assert (job.last_updated_at, job.duration) == (None, None)
    assert (job.bytes_synced, job.rows_synced) == (None, None)


def test_fields_of_a_newer_server_are_ignored():
    assert Job.from_json({**JOB, "attempts": [1, 2], "region": {"a": 1}}) == Job.from_json(JOB)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-25T01:30:50Z", datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC)),
        ("2026-03-25T01:30Z", datetime(2026, 3, 25, 1, 30, tzinfo=UTC)),
        ("2026-03-25T01:30:50.123456Z", datetime(2026, 3, 25, 1, 30, 50, 123456, tzinfo=UTC)),
        ("2026-03-25T03:30:50+02:00", datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_in_every_form_that_java_writes(text, instant):
    started_at = Job.from_json({**JOB, "startTime": text}).started_at

    assert started_at == instant
    assert started_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("PT0S", timedelta(0)),
        ("PT8H6M12S", timedelta(hours=8, minutes=6, seconds=12)),
        ("PT49H", timedelta(hours=49)),
        ("PT1.5S", timedelta(seconds=1.5)),
    ],
)
def test_a_duration_is_read_in_every_form_that_java_writes(text, duration):
    assert Job.from_json({**JOB, "duration": text}).duration == duration


REQUIRED = [
    (Job, JOB, "jobId"),
    (Job, JOB, "status"),
    (Job, JOB, "jobType"),
    (Job, JOB, "connectionId"),
    (Job, JOB, "startTime"),
    *((AirbyteConnection, CONNECTION, name) for name in CONNECTION),
    (Workspace, WORKSPACE, "workspaceId"),
    (Workspace, WORKSPACE, "name"),
]
OPTIONAL = [
    (Job, JOB, "lastUpdatedAt"),
    (Job, JOB, "duration"),
    (Job, JOB, "bytesSynced"),
    (Job, JOB, "rowsSynced"),
    (Instance, {"version": "2.1.0", "edition": "enterprise"}, "version"),
    (Instance, {"version": "2.1.0", "edition": "enterprise"}, "edition"),
]


@pytest.mark.parametrize(("model", "fields", "name"), REQUIRED)
def test_a_field_that_must_be_there_is_missed_by_its_name(model, fields, name):
    with pytest.raises(AirbyteDecodeError, match=f"field '{name}' is missing"):
        model.from_json(without(fields, name))
    with pytest.raises(AirbyteDecodeError, match=f"field '{name}' is missing"):
        model.from_json({**fields, name: None})


@pytest.mark.parametrize(("model", "fields", "name"), OPTIONAL)
def test_a_field_that_may_be_missing_may_be_null_too(model, fields, name):
    assert model.from_json({**fields, name: None}) == model.from_json(without(fields, name))


@pytest.mark.parametrize("wrong", [["list"], {"a": 1}, True, 1.5])
@pytest.mark.parametrize(("model", "fields", "name"), REQUIRED + OPTIONAL)
def test_a_field_of_another_kind_is_refused_by_its_name(model, fields, name, wrong):
    with pytest.raises(AirbyteDecodeError, match=f"field '{name}' should be "):
        model.from_json({**fields, name: wrong})


@pytest.mark.parametrize("name", ["startTime", "lastUpdatedAt"])
@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "PT5M",
        "now",
        "2026-13-45T99:99Z",
        "1:30",
        "2026-03-25",
        "2026-03-25T01:30Z/PT1H",
        "0001-01-01T00:00+12:00",
    ],
)
def test_an_instant_that_is_none_is_refused_by_its_field(name, text):
    with pytest.raises(AirbyteDecodeError, match=f"field '{name}' is no instant"):
        Job.from_json({**JOB, name: text})


@pytest.mark.parametrize(
    "text",
    [
        "eleven minutes",
        "2026-03-25T01:30:50Z",
        "2026-03-25T01:30Z/PT1H",
        "-PT5S",
    ],
)
def test_a_duration_that_is_none_is_refused_by_its_field(text):
    with pytest.raises(AirbyteDecodeError, match="field 'duration' is no duration"):
        Job.from_json({**JOB, "duration": text})


@pytest.mark.parametrize("model", [Job, AirbyteConnection, Workspace, Instance, JobFailure])
@pytest.mark.parametrize("payload", [None, [], "text", 5])
def test_what_is_no_object_is_refused(model, payload):
    with pytest.raises(AirbyteDecodeError, match="should be a JSON object"):
        model.from_json(payload)


@pytest.mark.parametrize("model", [Job, AirbyteConnection, Workspace, Instance, JobFailure])
@steady
@given(data=st.data())
def test_no_answer_is_too_odd_to_be_read_or_refused(model, data):
    names = [*JOB, *CONNECTION, *WORKSPACE, "version", "edition", "attempts"]
    odd = data.draw(st.dictionaries(st.sampled_from(names), ANY_JSON))
    payload = {**JOB, **CONNECTION, **WORKSPACE, "attempts": [], **odd}
    try:
        model.from_json(payload)
    except AirbyteDecodeError as error:
        assert str(error)  # noqa: PT017  whether it is raised at all is not the point


@steady
@given(text=st.text(alphabet="0123456789-+:.TZPYMWDHS/ ", max_size=30))
def test_no_time_is_too_odd_to_be_read_or_refused(text):
    for name in ("startTime", "lastUpdatedAt", "duration"):
        try:
            job = Job.from_json({**JOB, name: text})
        except AirbyteDecodeError as error:
            assert name in str(error)  # noqa: PT017  whether it is raised at all is not the point
        else:
            assert job.started_at.tzinfo is UTC


@pytest.mark.parametrize("status", [*JobStatus, "paused", "SUCCEEDED", ""])
def test_three_statuses_end_a_job_and_no_other_one_does(status):
    job = Job.from_json({**JOB, "status": status})

    assert job.status == status
    assert job.is_terminal == (status in {"succeeded", "failed", "cancelled"})
    assert job.has_succeeded == (status == "succeeded")
    assert job.is_cancelled == (status == "cancelled")
    assert job.is_terminal == (status in TERMINAL_STATUSES)


@pytest.mark.parametrize(
    ("stored", "asked_for"),
    [("sync", {"sync"}), ("reset", {"reset", "clear"}), ("refresh", {"refresh"})],
)
def test_a_job_created_as_clear_is_stored_as_reset(stored, asked_for):
    job = Job.from_json({**JOB, "jobType": stored})

    assert {job_type for job_type in JobType if job.is_of_type(job_type)} == asked_for


@pytest.mark.parametrize(
    ("job_type", "moves_data"),
    [("sync", True), ("refresh", True), ("reset", False), ("clear", False), ("rewind", True)],
)
def test_only_what_clears_moves_no_data(job_type, moves_data):
    assert Job.from_json({**JOB, "jobType": job_type}).moves_data is moves_data


INSTANTS = st.datetimes(
    datetime(1970, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.just(UTC),
)
JOBS = st.builds(
    Job,
    job_id=st.integers(1, 2**63 - 1),
    status=st.sampled_from(JobStatus) | st.just("paused"),
    job_type=st.sampled_from(JobType),
    connection_id=st.just(CONNECTION_ID),
    started_at=INSTANTS,
    last_updated_at=st.none() | INSTANTS,
    duration=st.none() | st.timedeltas(timedelta(0), timedelta(days=30)),
    bytes_synced=st.none() | st.integers(0, 2**63 - 1),
    rows_synced=st.none() | st.integers(0, 2**63 - 1),
)


@steady
@given(JOBS)
@example(Job.from_json({**JOB, "duration": "PT0S"}))
def test_a_job_written_as_json_is_read_back_equal(job):
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_a_connection_is_read_and_shows_its_name_with_its_id():
    connection = AirbyteConnection.from_json({**CONNECTION, "schedule": {"scheduleType": "cron"}})

    assert asdict(connection) == {
        "connection_id": CONNECTION_ID,
        "name": "crm to lake",
        "status": "active",
        "workspace_id": CONNECTION["workspaceId"],
        "source_id": CONNECTION["sourceId"],
        "destination_id": CONNECTION["destinationId"],
    }
    assert str(connection) == f"'crm to lake' ({CONNECTION_ID})"


def test_a_workspace_is_read():
    assert Workspace.from_json(WORKSPACE) == Workspace("744c", "Analytics")


def test_an_instance_tells_what_it_wants():
    assert Instance.from_json({"version": "2.1.0", "edition": "enterprise"}) == Instance(
        "2.1.0", "enterprise"
    )
    assert Instance.from_json({}) == Instance(None, None)


def failed(**failure):
    return {"attempt": {"id": 0, "status": "failed", "failureSummary": {"failures": [failure]}}}


def reason_of(*attempts):
    return JobFailure.from_json({"job": {"id": 42}, "attempts": list(attempts)})


def test_the_first_failure_of_the_newest_attempt_that_tells_one_is_the_reason():
    newest = failed(
        failureOrigin="source",
        failureType="config_error",
        externalMessage="Login\nrefused",
        internalMessage="NullPointerException",
    )
    newest["attempt"]["failureSummary"]["failures"].append({"externalMessage": "a consequence"})

    reason = reason_of(failed(externalMessage="an older one"), newest, {"attempt": {"id": 2}})

    assert reason == JobFailure(3, "source", "config_error", "Login refused")
    assert str(reason) == "3 attempts, source, config_error, Login refused"


def test_where_the_connector_says_nothing_to_people_its_own_words_are_told():
    assert reason_of(failed(internalMessage="NullPointerException")).message == (
        "NullPointerException"
    )


def test_a_failure_that_tells_next_to_nothing_is_counted():
    assert str(reason_of(failed())) == "1 attempt"
    assert str(reason_of()) == "0 attempts"


@pytest.mark.parametrize(
    "attempt",
    [
        "no object",
        {"attempt": None},
        {"attempt": "no object"},
        {"attempt": {"failureSummary": "no object"}},
        {"attempt": {"failureSummary": {"failures": None}}},
        {"attempt": {"failureSummary": {"failures": {"0": "no list"}}}},
        {"attempt": {"failureSummary": {"failures": ["no object"]}}},
    ],
)
def test_an_attempt_of_an_unknown_form_tells_nothing(attempt):
    reason = reason_of(failed(externalMessage="Login refused"), attempt)

    assert reason.message == "Login refused"


def test_a_job_without_attempts_is_refused_by_the_field():
    with pytest.raises(AirbyteDecodeError, match="'attempts' is missing"):
        JobFailure.from_json({"job": {}})
