"""A job is started once, whatever becomes of the answer."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteBadRequestError,
    AirbyteConflictError,
    AirbyteConnectionNotActiveError,
    AirbyteCredentialsError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteServerError,
    AirbyteTransportError,
    HttpResponse,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.answers import json_answer, web_page
from tests.unit.api.doubles import Wire, client_for, lost, refused, requests_to, settings_for

POST = "POST /jobs"


@pytest.fixture(autouse=True)
def _long_syncs(emulator):
    """Jobs last longer than anybody looks for them."""
    for _ in range(3):
        emulator.script_job(statuses=[("running", None)])


def test_a_job_is_started_and_is_ours(client, emulator, run):
    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [job.job_id]
    assert (job.connection_id, job.job_type) == (emulator.connection_id, "sync")
    assert not job.adopted
    assert emulator.requests[-1].json == {
        "connectionId": emulator.connection_id,
        "jobType": "sync",
    }


@pytest.mark.parametrize("job_type", ["reset", "clear"])
def test_clearing_is_started_as_a_reset(client, emulator, run, job_type):
    job = run(client.create_job(emulator.connection_id, job_type))

    assert job.job_type == "reset"
    assert emulator.requests[-1].json["jobType"] == job_type


def executed_but(answer):
    """Carry the next creation out, and answer it with *answer*."""
    return lambda emulator, wire: wire.spoil_next("POST", answer)


EXECUTED = {
    "its answer lost": lambda emulator, wire: emulator.drop_next(POST),
    "its answer late": lambda emulator, wire: emulator.hang_next(POST, seconds=1000),
    "an ingress that was not patient": executed_but(web_page(504)),
    "an error of the server": executed_but(json_answer({"errorId": "0d9d"}, 500)),
    "a time-out of the server": executed_but(json_answer({"errorId": "0d9d"}, 408)),
    "an answer that was cut": executed_but(HttpResponse(200, {}, b'{"jobId": 1, "st')),
    "a web page": executed_but(web_page(200)),
}
NOT_EXECUTED = {
    "a connection that was refused": lambda emulator, wire: wire.before_next("POST", refused),
    "a connection that broke": lambda emulator, wire: wire.before_next("POST", lost),
    "an ingress without a server": lambda emulator, wire: emulator.fail_next(POST, 502),
    "an error of the server": lambda emulator, wire: emulator.fail_next(POST, 500),
    "an answer that was cut": lambda emulator, wire: emulator.fail_next(POST, 200, body='{"jobId'),
    "a web page": lambda emulator, wire: emulator.html_next(POST),
}
SKEWS = pytest.mark.parametrize("skew", [0.0, -3600.0, 3600.0], ids=["", "behind", "ahead"])


@SKEWS
@pytest.mark.parametrize("trouble", EXECUTED.values(), ids=EXECUTED)
def test_a_job_that_was_started_without_a_good_answer_is_found(emulator, wire, run, trouble, skew):
    client = client_for(emulator, wire, skew=skew)
    trouble(emulator, wire)

    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [job.job_id]
    assert not job.adopted
    assert len(requests_to(emulator, POST)) == 1


@SKEWS
@pytest.mark.parametrize("trouble", NOT_EXECUTED.values(), ids=NOT_EXECUTED)
def test_a_job_that_was_not_started_is_started_again(emulator, wire, run, trouble, skew):
    earlier = emulator.start_sync()
    emulator.advance(100)
    emulator.finish_job(earlier)
    emulator.advance(100)
    client = client_for(emulator, wire, skew=skew)
    trouble(emulator, wire)

    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [earlier, job.job_id]
    assert not job.adopted
    assert wire.calls.count("POST") == 2


def test_a_job_is_looked_for_some_times_before_it_is_started_again(client, emulator, wire, run):
    wire.before_next("POST", lost)

    run(client.create_job(emulator.connection_id))

    assert wire.calls == ["POST", "GET", "GET", "GET", "POST"]
    assert wire.slept == [0.0, 3.0, 7.0]


def test_a_job_that_shows_up_late_is_found(client, emulator, wire, run):
    wire.before_next("POST", lost)
    wire.during_next_sleep(emulator.start_sync)

    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [job.job_id]
    assert not job.adopted
    assert wire.calls == ["POST", "GET", "GET"]


def test_a_job_that_is_in_the_way_of_the_second_attempt_is_found_to_be_ours(
    client, emulator, wire, run
):
    wire.before_next("POST", lost)
    wire.before_next("POST", emulator.start_sync)

    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [job.job_id]
    assert not job.adopted
    assert requests_to(emulator, POST) == [409]


def test_doubt_that_does_not_end_is_told_after_three_creations(client, emulator, wire, run):
    for _ in range(3):
        wire.before_next("POST", lost)

    with pytest.raises(AirbyteTransportError):
        run(client.create_job(emulator.connection_id))

    assert wire.calls.count("POST") == 3
    assert emulator.jobs == {}


def test_the_oldest_job_since_then_is_taken_for_ours(client, emulator, wire, run):
    since = emulator.clock.time()
    first = emulator.start_sync()
    emulator.finish_job(first)
    emulator.start_sync()

    job = run(client.find_job_since(emulator.connection_id, since=since))

    assert job.job_id == first


def test_a_job_of_another_type_is_not_taken_for_ours(client, emulator, run):
    since = emulator.clock.time()
    emulator.start_sync()

    assert run(client.find_job_since(emulator.connection_id, "clear", since=since)) is None
    assert run(client.find_job_since(emulator.connection_id, "sync", since=since)) is not None


def test_a_job_of_the_second_before_may_be_ours_for_servers_tell_whole_seconds(
    client, emulator, run
):
    emulator.start_sync()
    emulator.advance(1)
    assert run(client.find_job_since(emulator.connection_id, since=emulator.clock.time()))

    emulator.advance(60)
    assert not run(client.find_job_since(emulator.connection_id, since=emulator.clock.time()))


def test_a_server_that_does_not_tell_its_time_is_taken_to_have_ours(emulator, run):
    client = client_for(emulator, emulator.transport())
    emulator.drop_next(POST)

    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [job.job_id]


def test_a_job_is_looked_for_through_an_outage(client, emulator, run):
    emulator.drop_next(POST)
    emulator.fail_next("GET /jobs", 503, times=20)

    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [job.job_id]


@SKEWS
def test_a_job_without_an_attempt_is_answered_instead_of_a_second_one_and_is_adopted(
    emulator, wire, run, skew
):
    connection_id = emulator.add_connection("crowded")
    emulator.script_job(
        connection_id, statuses=[("pending", 3600), ("running", 60), ("succeeded", None)]
    )
    earlier = emulator.start_sync(connection_id)
    emulator.advance(100)

    job = run(client_for(emulator, wire, skew=skew).create_job(connection_id))

    assert job.job_id == earlier
    assert job.adopted


def test_waiting_for_a_free_server_does_not_make_a_job_someone_elses(client, emulator, run):
    emulator.fail_next(POST, 429, times=3, headers={"Retry-After": "20"})

    job = run(client.create_job(emulator.connection_id))

    assert not job.adopted
    assert requests_to(emulator, POST) == [429, 429, 429, 200]


def test_a_server_that_takes_its_time_to_answer_does_not_make_a_job_someone_elses(
    client, emulator, run
):
    emulator.hang_next(POST, seconds=120)

    assert not run(client.create_job(emulator.connection_id)).adopted


def test_a_sync_that_runs_is_a_conflict_at_once(client, emulator, wire, run):
    running = emulator.start_sync()

    with pytest.raises(AirbyteConflictError, match="A sync is already running") as conflict:
        run(client.create_job(emulator.connection_id))

    assert conflict.value.sync_is_running
    assert not isinstance(conflict.value, AirbyteConnectionNotActiveError)
    assert list(emulator.jobs) == [running]
    assert wire.slept == []


@pytest.mark.parametrize("status", ["inactive", "locked", "deprecated"])
def test_a_connection_that_is_not_active_is_told_by_its_name(client, emulator, run, status):
    emulator.set_connection_status(emulator.connection_id, status)

    with pytest.raises(AirbyteConnectionNotActiveError) as conflict:
        run(client.create_job(emulator.connection_id))

    assert f"connection 'Sample data to Warehouse' ({emulator.connection_id}) is {status}" in str(
        conflict.value
    )
    assert "Enable the connection in Airbyte" in str(conflict.value)
    assert conflict.value.status == 409
    assert conflict.value.state_conflict


STATE_CONFLICT = {
    "status": 409,
    "type": "https://reference.airbyte.com/reference/errors#409-state-conflict",
    "title": "state-conflict",
    "detail": "State conflict",
    "documentationUrl": None,
    "data": {"message": "Could not fulfill request"},
}


def test_a_job_that_did_not_show_up_in_time_for_the_server_is_looked_for(
    client, emulator, wire, run
):
    wire.spoil_next("POST", json_answer(STATE_CONFLICT, 409))

    job = run(client.create_job(emulator.connection_id))

    assert list(emulator.jobs) == [job.job_id]
    assert not job.adopted


def test_a_job_that_does_not_show_up_at_all_is_a_conflict(client, emulator, run):
    emulator.fail_next(POST, 409, times=None, body=STATE_CONFLICT)

    with pytest.raises(AirbyteConflictError, match="Could not fulfill request"):
        run(client.create_job(emulator.connection_id))

    assert requests_to(emulator, POST) == [409]


def test_a_connection_that_is_switched_off_meanwhile_is_told_as_such(client, emulator, wire, run):
    wire.before_next("POST", lost)
    wire.during_next_sleep(
        lambda: emulator.set_connection_status(emulator.connection_id, "inactive")
    )

    with pytest.raises(AirbyteConnectionNotActiveError):
        run(client.create_job(emulator.connection_id))


@pytest.mark.parametrize("job_type", ["refresh", "rewind"])
def test_a_type_of_job_that_cannot_be_started_is_refused_at_once(client, emulator, run, job_type):
    with pytest.raises(AirbyteBadRequestError, match="Correct what it names"):
        run(client.create_job(emulator.connection_id, job_type))

    assert len(requests_to(emulator, POST)) == 1


@pytest.mark.parametrize("connection_id", ["no-uuid", "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826", ""])
def test_a_connection_that_airbyte_does_not_know_is_told_at_once(
    client, emulator, run, connection_id
):
    with pytest.raises(AirbytePermissionError, match="the id does not exist in this Airbyte"):
        run(client.create_job(connection_id))

    assert len(requests_to(emulator, POST)) == 1


def test_an_administrator_is_told_that_a_connection_does_not_exist(run):
    emulator = Emulator(time="manual", instance_admin=True)
    client = client_for(emulator, Wire(emulator))

    with pytest.raises(AirbyteNotFoundError, match="STANDARD_SYNC 18dccc91"):
        run(client.create_job("18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"))


def test_a_reader_may_not_start_a_sync(emulator, wire, run):
    client_id, client_secret = emulator.add_application("workspace_reader")
    settings = settings_for(emulator, client_id=client_id, client_secret=client_secret)

    with pytest.raises(AirbytePermissionError, match="runner to start and cancel syncs"):
        run(client_for(emulator, wire, settings=settings).create_job(emulator.connection_id))


def test_wrong_credentials_leave_nothing_to_look_for(emulator, wire, run):
    settings = settings_for(emulator, client_secret="another")

    with pytest.raises(AirbyteCredentialsError):
        run(client_for(emulator, wire, settings=settings).create_job(emulator.connection_id))

    assert requests_to(emulator, POST) == requests_to(emulator, "GET /jobs") == []


def test_a_sign_in_that_does_not_work_leaves_nothing_to_look_for(client, emulator, wire, run):
    emulator.fail_next("POST /applications/token", 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.create_job(emulator.connection_id))

    assert wire.calls == []
    assert wire.slept == [1.0, 2.0, 4.0, 8.0]


def test_an_airbyte_that_is_not_there_leaves_nothing_to_look_for(client, emulator, run):
    emulator.drop_next("*", times=None, after=False)

    with pytest.raises(AirbyteTransportError):
        run(client.create_job(emulator.connection_id))

    assert requests_to(emulator, POST) == requests_to(emulator, "GET /jobs") == []


def test_a_server_that_stays_busy_is_told_without_a_look(client, emulator, run):
    emulator.fail_next(POST, 429, times=None)

    with pytest.raises(AirbyteRateLimitError, match="Nothing was done"):
        run(client.create_job(emulator.connection_id))

    assert requests_to(emulator, POST) == [429] * 5
    assert requests_to(emulator, "GET /jobs") == []
