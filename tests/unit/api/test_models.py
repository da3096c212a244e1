"""Parsing of Airbyte's objects: only what a decision needs is required."""

import json
from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_airbyte_sme.api import (
    TERMINAL_STATUSES,
    AirbyteConnection,
    AirbyteDecodeError,
    CreatedJob,
    Instance,
    Job,
    JobDetails,
    JobStatus,
    JobType,
    Ownership,
    Schedule,
    Workspace,
)
from airflow_provider_airbyte_sme.api.models import label
from tests.unit.api.malformed import ANY_JSON, reproducible
from tests.unit.api.responses import CONNECTION, CONNECTION_ID, JOB

WORKSPACE = {"workspaceId": "744c", "name": "Analytics", "dataResidency": "auto"}


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}


def test_all_fields_of_a_job_are_parsed():
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
    )


def test_a_new_job_has_neither_end_nor_counters():
    created = {
        name: JOB[name] for name in ("jobId", "status", "jobType", "connectionId", "startTime")
    }

    job = Job.from_json(created)

    assert (job.last_updated_at, job.duration) == (None, None)
    assert (job.bytes_synced, job.rows_synced) == (None, None)


def test_unknown_fields_are_ignored():
    assert Job.from_json({**JOB, "attempts": [1, 2], "region": {"a": 1}}) == Job.from_json(JOB)


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2026-03-25T01:30:50Z", datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC)),
        ("2026-03-25T01:30Z", datetime(2026, 3, 25, 1, 30, tzinfo=UTC)),
        ("2026-03-25T01:30:50.123456Z", datetime(2026, 3, 25, 1, 30, 50, 123456, tzinfo=UTC)),
        ("2026-03-25T03:30:50+02:00", datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC)),
    ],
)
def test_timestamps_are_parsed_in_every_format_of_java(text, timestamp):
    started_at = Job.from_json({**JOB, "startTime": text}).started_at

    assert started_at == timestamp
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
def test_durations_are_parsed_in_every_format_of_java(text, duration):
    assert Job.from_json({**JOB, "duration": text}).duration == duration


REQUIRED = [
    (Job, JOB, "jobId"),
    (Job, JOB, "status"),
    (Job, JOB, "connectionId"),
    *((AirbyteConnection, CONNECTION, name) for name in CONNECTION if name != "name"),
    (Workspace, WORKSPACE, "workspaceId"),
]
OPTIONAL = [
    (Job, JOB, "jobType"),
    (Job, JOB, "startTime"),
    (Job, JOB, "lastUpdatedAt"),
    (Job, JOB, "duration"),
    (Job, JOB, "bytesSynced"),
    (Job, JOB, "rowsSynced"),
    (AirbyteConnection, CONNECTION, "name"),
    (Workspace, WORKSPACE, "name"),
    (Instance, {"version": "2.1.0", "edition": "enterprise"}, "version"),
    (Instance, {"version": "2.1.0", "edition": "enterprise"}, "edition"),
]


@pytest.mark.parametrize(("model", "fields", "name"), REQUIRED)
def test_a_missing_required_field_is_named_in_the_error(model, fields, name):
    with pytest.raises(AirbyteDecodeError, match=f"field '{name}' is missing"):
        model.from_json(without(fields, name))
    with pytest.raises(AirbyteDecodeError, match=f"field '{name}' is missing"):
        model.from_json({**fields, name: None})


@pytest.mark.parametrize(("model", "fields", "name"), OPTIONAL)
def test_an_optional_field_may_be_null(model, fields, name):
    assert model.from_json({**fields, name: None}) == model.from_json(without(fields, name))


NESTED: list[object] = []
for _ in range(100_000):
    NESTED = [NESTED]
WRONG = [["list"], {"a": 1}, True, 1.5, NESTED]


@pytest.mark.parametrize("wrong", WRONG, ids=["list", "object", "boolean", "float", "nested"])
@pytest.mark.parametrize(("model", "fields", "name"), REQUIRED)
def test_a_required_field_of_the_wrong_type_is_named_in_the_error(model, fields, name, wrong):
    with pytest.raises(AirbyteDecodeError, match=f"field '{name}' must be .*, not "):
        model.from_json({**fields, name: wrong})


@pytest.mark.parametrize("wrong", WRONG, ids=["list", "object", "boolean", "float", "nested"])
@pytest.mark.parametrize(("model", "fields", "name"), OPTIONAL)
def test_an_optional_field_of_the_wrong_type_counts_as_missing(model, fields, name, wrong):
    assert model.from_json({**fields, name: wrong}) == model.from_json(without(fields, name))


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
        "99999-03-25T01:30Z",
        "",
    ],
)
def test_a_timestamp_that_cannot_be_read_counts_as_missing(name, text):
    assert Job.from_json({**JOB, name: text}) == Job.from_json(without(JOB, name))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("PT-1S", id="negative, from servers with different clocks"),
        pytest.param("PT-1H-2M-3.5S", id="each part negative"),
        pytest.param("-PT5S", id="negative as a whole"),
        pytest.param("PT999999999999999999999H", id="longer than the age of the universe"),
        pytest.param("PT", id="without a number"),
        pytest.param("eleven minutes", id="words"),
        pytest.param("2026-03-25T01:30:50Z", id="timestamp"),
        pytest.param("", id="empty"),
    ],
)
def test_a_duration_that_cannot_be_read_counts_as_missing(text):
    assert Job.from_json({**JOB, "duration": text}) == Job.from_json(without(JOB, "duration"))


YEARS_TO_SECONDS = st.tuples(
    st.sampled_from(["0000", "0001", "1970", "2024", "2026", "9999"]),
    st.integers(1, 13).map("-{:02}".format),
    st.integers(1, 32).map("-{:02}".format),
    st.integers(0, 25).map("T{:02}".format),
    st.integers(0, 60).map(":{:02}".format),
    st.just("") | st.integers(0, 60).map(":{:02}".format),
    st.just("") | st.text("0123456789", min_size=1, max_size=9).map(".{}".format),
    st.just("Z"),
).map("".join)
HOURS_TO_SECONDS = st.tuples(
    st.just("PT"),
    *(
        st.just("") | (st.integers(0, 99) | st.integers(0, 999_999)).map(f"{{}}{unit}".format)
        for unit in "HMS"
    ),
).map("".join)


def as_pendulum_reads(text):
    try:
        return pendulum.parse(text, exact=True)
    except ValueError:
        return None


@reproducible
@given(text=YEARS_TO_SECONDS)
@example("2024-02-29T01:30Z")
@example("2026-02-29T01:30Z")
@example("2026-03-25T24:00:00Z")
@example("2026-03-25T23:59:60Z")
@example("2026-03-25T01:30:50.999999999Z")
def test_timestamps_are_read_as_pendulum_reads_them(text):
    assert Job.from_json({**JOB, "startTime": text}).started_at == as_pendulum_reads(text)


@pytest.mark.parametrize(
    "text", ["2026-03-25T01:30:50Z", "2026-03-25T02:30:50+01:00", "20260325T013050Z"]
)
def test_a_timestamp_of_any_form_is_a_plain_instant_to_which_a_duration_can_be_added(text):
    job = Job.from_json({**JOB, "startTime": text})

    assert type(job.started_at) is datetime
    assert job.started_at.tzinfo is UTC
    assert job.started_at + timedelta(seconds=10) == datetime(2026, 3, 25, 1, 31, tzinfo=UTC)


@reproducible
@given(text=HOURS_TO_SECONDS.filter(lambda text: text != "PT"))
@example("PT999999H999999M999999S")
def test_durations_are_read_as_pendulum_reads_them(text):
    assert Job.from_json({**JOB, "duration": text}).duration == as_pendulum_reads(text)


def test_a_job_needs_nothing_but_id_status_and_connection():
    job = Job.from_json({name: JOB[name] for name in ("jobId", "status", "connectionId")})

    assert job == Job(job_id=42, status="succeeded", connection_id=CONNECTION_ID)
    assert job.has_succeeded
    assert job.moves_data
    assert Job.from_json(job.to_json()) == job


def test_a_job_without_a_type_may_be_of_any():
    job = Job.from_json(without(JOB, "jobType"))

    assert all(job.is_of_type(job_type) for job_type in JobType)


def test_a_job_id_may_be_a_number_in_a_string():
    # JSON encoders that keep an int64 exact write one.
    assert Job.from_json({**JOB, "jobId": "42"}).job_id == 42


@pytest.mark.parametrize(
    "job_id", ["", "-1", "4 2", "42.0", "\N{ARABIC-INDIC DIGIT FOUR}", "9" * 5000]
)
def test_any_other_string_is_no_job_id(job_id):
    with pytest.raises(AirbyteDecodeError, match="field 'jobId' must be int, not str"):
        Job.from_json({**JOB, "jobId": job_id})


@pytest.mark.parametrize("model", [Job, AirbyteConnection, Workspace, Instance, JobDetails])
@pytest.mark.parametrize("payload", [None, [], "text", 5])
def test_a_payload_that_is_not_an_object_is_rejected(model, payload):
    with pytest.raises(AirbyteDecodeError, match="must be a JSON object"):
        model.from_json(payload)


@pytest.mark.parametrize("model", [Job, AirbyteConnection, Workspace, Instance, JobDetails])
@reproducible
@given(data=st.data())
def test_any_payload_is_either_parsed_or_rejected(model, data):
    names = [*JOB, *CONNECTION, *WORKSPACE, "version", "edition", "attempts"]
    malformed = data.draw(st.dictionaries(st.sampled_from(names), ANY_JSON))
    payload = {**JOB, **CONNECTION, **WORKSPACE, "attempts": [], **malformed}
    try:
        model.from_json(payload)
    except AirbyteDecodeError as error:
        assert str(error)  # noqa: PT017  # an error is not required


@reproducible
@given(text=st.text() | st.text(alphabet="0123456789-+:.TZPYMWDHS/ ", max_size=30))
def test_any_timestamp_or_duration_is_either_parsed_or_missing(text):
    job = Job.from_json({**JOB, "startTime": text, "lastUpdatedAt": text, "duration": text})

    assert job.started_at == job.last_updated_at
    assert job.started_at is None or job.started_at.tzinfo is UTC
    assert job.duration is None or job.duration >= timedelta(0)


@pytest.mark.parametrize("status", [*JobStatus, "paused", "SUCCEEDED", ""])
def test_only_three_statuses_are_terminal(status):
    job = Job.from_json({**JOB, "status": status})

    assert job.status == status
    assert job.is_terminal == (status in {"succeeded", "failed", "cancelled"})
    assert job.has_succeeded == (status == "succeeded")
    assert job.is_cancelled == (status == "cancelled")
    assert job.is_terminal == (status in TERMINAL_STATUSES)


@pytest.mark.parametrize(
    ("stored", "requested"),
    [("sync", {"sync"}), ("reset", {"reset", "clear"}), ("refresh", {"refresh"})],
)
def test_a_request_for_clear_creates_a_reset(stored, requested):
    job = Job.from_json({**JOB, "jobType": stored})

    assert {job_type for job_type in JobType if job.is_of_type(job_type)} == requested


@pytest.mark.parametrize(
    ("job_type", "moves_data"),
    [("sync", True), ("refresh", True), ("reset", False), ("clear", False), ("rewind", True)],
)
def test_all_job_types_except_reset_and_clear_move_data(job_type, moves_data):
    assert Job.from_json({**JOB, "jobType": job_type}).moves_data is moves_data


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("", CONNECTION_ID, id="no name"),
        pytest.param("crm to lake", f"'crm to lake' ({CONNECTION_ID})", id="name"),
        pytest.param("two\nlines", f"'two\\nlines' ({CONNECTION_ID})", id="line feed in the name"),
    ],
)
def test_a_resource_is_labelled_with_its_name_where_known_and_its_id(name, expected):
    assert label(CONNECTION_ID, name) == expected


def test_a_job_is_described_with_its_connection():
    job = Job.from_json(JOB)

    assert job.describe("crm to lake") == f"Job 42 of connection 'crm to lake' ({CONNECTION_ID})"
    assert job.describe() == f"Job 42 of connection {CONNECTION_ID}"


@pytest.mark.parametrize(
    ("ownership", "text", "is_ours"),
    [
        (Ownership.STARTED, "started", True),
        (Ownership.FOUND, "found", True),
        (Ownership.FOREIGN, "foreign", False),
    ],
)
def test_every_job_except_a_foreign_one_is_ours(ownership, text, is_ours):
    assert ownership.is_ours is is_ours
    # Airflow stores the text between triggerer and worker.
    assert str(ownership) == text
    assert Ownership(text) is ownership


def test_a_created_job_has_the_id_of_its_job():
    created = CreatedJob(Job.from_json(JOB), Ownership.STARTED)

    assert created.job_id == 42
    assert created.job == Job.from_json(JOB)


TIMESTAMPS = st.datetimes(
    datetime(1970, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.just(UTC),
)
JOBS = st.builds(
    Job,
    job_id=st.integers(1, 2**63 - 1),
    status=st.sampled_from(JobStatus) | st.just("paused"),
    connection_id=st.just(CONNECTION_ID),
    job_type=st.sampled_from(JobType) | st.just(""),
    started_at=st.none() | TIMESTAMPS,
    last_updated_at=st.none() | TIMESTAMPS,
    duration=st.none() | st.timedeltas(timedelta(0), timedelta(days=30)),
    bytes_synced=st.none() | st.integers(0, 2**63 - 1),
    rows_synced=st.none() | st.integers(0, 2**63 - 1),
)


@reproducible
@given(JOBS)
@example(Job.from_json({**JOB, "duration": "PT0S"}))
def test_a_job_survives_a_round_trip_through_json(job):
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_a_connection_is_parsed_and_labelled_with_its_name_and_id():
    connection = AirbyteConnection.from_json({**CONNECTION, "schedule": {"scheduleType": "cron"}})

    assert connection == AirbyteConnection(
        connection_id=CONNECTION_ID,
        name="crm to lake",
        status="active",
        workspace_id=CONNECTION["workspaceId"],
        source_id=CONNECTION["sourceId"],
        destination_id=CONNECTION["destinationId"],
        schedule=Schedule("cron"),
    )
    assert str(connection) == f"'crm to lake' ({CONNECTION_ID})"


@pytest.mark.parametrize(
    ("status", "is_active"),
    [
        ("active", True),
        ("inactive", False),
        ("deprecated", False),
        ("locked", False),
        ("archived", False),
    ],
)
def test_only_the_status_active_is_active(status, is_active):
    assert AirbyteConnection.from_json({**CONNECTION, "status": status}).is_active is is_active


def test_a_workspace_is_parsed():
    assert Workspace.from_json(WORKSPACE) == Workspace("744c", "Analytics", data_residency="auto")


def test_every_field_of_an_instance_is_optional():
    assert Instance.from_json({"version": "2.1.0", "edition": "enterprise"}) == Instance(
        "2.1.0", "enterprise"
    )
    assert Instance.from_json({}) == Instance(None, None)
