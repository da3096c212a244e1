"""A job is created exactly once, even if the response to its creation is lost."""

import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteBadRequestError,
    AirbyteConflictError,
    AirbyteConnectionNotActiveError,
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbyteJobCancelledError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteServerError,
    AirbyteStoppedError,
    AirbyteTransportError,
    HttpResponse,
    JobCreation,
    Ownership,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.resources.job_starts import DETAILS_PATIENCE
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import (
    Wire,
    client_for,
    fail_sent,
    fail_unsent,
    requests_to,
    settings_for,
)
from tests.unit.api.responses import JOB, html_page, json_response

POST = "POST /jobs"


@pytest.fixture(autouse=True)
def _long_syncs(emulator):
    """Jobs run longer than any search for them."""
    for _ in range(3):
        emulator.script_job(statuses=[("running", None)])


def test_a_job_is_created_and_is_ours(client, emulator, run):
    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert (created.job.connection_id, created.job.job_type) == (emulator.connection_id, "sync")
    assert created.ownership is Ownership.STARTED
    assert created.ownership.is_ours
    assert emulator.requests[-1].json == {
        "connectionId": emulator.connection_id,
        "jobType": "sync",
    }


@pytest.mark.parametrize("job_type", ["reset", "clear"])
def test_a_clear_is_created_as_a_reset(client, emulator, run, job_type):
    created = run(client.jobs.create(emulator.connection_id, job_type))

    assert created.job.job_type == "reset"
    assert emulator.requests[-1].json["jobType"] == job_type


def executed_with(response):
    """Execute the next creation, and replace its response."""
    return lambda emulator, wire: wire.replace_next_response("POST", response)


EXECUTED = {
    "lost response": lambda emulator, wire: emulator.drop_next(POST),
    "timeout": lambda emulator, wire: emulator.hang_next(POST, seconds=1000),
    "timeout of an ingress": executed_with(html_page(504)),
    "error 500": executed_with(json_response({"errorId": "0d9d"}, 500)),
    "error 408": executed_with(json_response({"errorId": "0d9d"}, 408)),
    "truncated response": executed_with(HttpResponse(200, {}, b'{"jobId": 1, "st')),
    "HTML response": executed_with(html_page(200)),
}
NOT_EXECUTED = {
    "connection refused": lambda emulator, wire: wire.before_next("POST", fail_unsent),
    "connection reset": lambda emulator, wire: wire.before_next("POST", fail_sent),
    "error 502": lambda emulator, wire: emulator.fail_next(POST, 502),
    "error 500": lambda emulator, wire: emulator.fail_next(POST, 500),
    "truncated response": lambda emulator, wire: emulator.fail_next(POST, 200, body='{"jobId'),
    "HTML response": lambda emulator, wire: emulator.html_next(POST),
}
SKEWS = pytest.mark.parametrize(
    "skew", [0.0, -3600.0, 3600.0], ids=["same clock", "client behind", "client ahead"]
)


@SKEWS
@pytest.mark.parametrize("fault", EXECUTED.values(), ids=EXECUTED)
def test_a_job_created_without_a_usable_response_is_found(emulator, wire, run, fault, skew):
    client = client_for(emulator, wire, skew=skew)
    fault(emulator, wire)

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND
    assert len(requests_to(emulator, POST)) == 1


@SKEWS
@pytest.mark.parametrize("fault", NOT_EXECUTED.values(), ids=NOT_EXECUTED)
def test_a_creation_that_was_not_executed_is_repeated(emulator, wire, run, fault, skew):
    earlier = emulator.start_sync()
    emulator.advance(100)
    emulator.finish_job(earlier)
    emulator.advance(100)
    client = client_for(emulator, wire, skew=skew)
    fault(emulator, wire)

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [earlier, created.job_id]
    assert created.ownership is Ownership.STARTED
    assert wire.calls.count("POST") == 2


def test_several_searches_precede_a_second_creation(client, emulator, wire, run):
    wire.before_next("POST", fail_sent)

    run(client.jobs.create(emulator.connection_id))

    assert wire.calls == ["GET", "POST", "GET", "GET", "GET", "GET", "POST"]
    assert wire.slept == [0.0, 3.0, 7.0]


@pytest.mark.parametrize("is_executed", [True, False], ids=["executed", "not executed"])
def test_the_log_says_what_became_of_a_lost_post(client, emulator, wire, run, caplog, is_executed):
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
    emulator.fail_next(POST, 500, after=is_executed)

    created = run(client.jobs.create(emulator.connection_id))

    lost, *_, last = [each for each in caplog.messages if "created" in each]
    assert re.match("Checking whether a job was created after all: .* with 500", lost)
    assert last == (
        f"{created.job.describe()} was created."
        if is_executed
        else "No job was created. Trying again."
    )


def test_a_job_that_appears_late_is_found(client, emulator, wire, run):
    wire.before_next("POST", fail_sent)
    wire.after_next_sleep(emulator.start_sync)

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND
    assert wire.calls == ["GET", "POST", "GET", "GET"]


def test_a_job_that_blocks_the_second_creation_is_found_to_be_ours(client, emulator, wire, run):
    wire.before_next("POST", fail_sent)
    wire.before_next("POST", emulator.start_sync)

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND
    assert requests_to(emulator, POST) == [409]


def test_a_creation_is_given_up_after_three_ambiguous_attempts(client, emulator, wire, run):
    for _ in range(3):
        wire.before_next("POST", fail_sent)

    with pytest.raises(AirbyteTransportError):
        run(client.jobs.create(emulator.connection_id))

    assert wire.calls.count("POST") == 3
    assert emulator.jobs == {}


def finished_sync(emulator):
    job_id = emulator.start_sync()
    emulator.finish_job(job_id)
    return job_id


def test_several_jobs_after_a_lost_response_are_foreign_and_the_newest_is_new_enough(
    client, emulator, wire, run, caplog
):
    emulator.drop_next(POST)
    wire.before_next("GET", lambda: None)  # the read of the newest job before the POST

    def replace_our_job_by_another():
        emulator.finish_job(max(emulator.jobs))
        emulator.start_sync()

    wire.before_next("GET", replace_our_job_by_another)

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [1, created.job_id]
    assert created.ownership is Ownership.FOREIGN
    assert not created.is_in_the_way
    assert caplog.messages[-1] == (
        "Several jobs were created since the request whose response was lost, and nobody can tell "
        f"which of them is ours: the newest, {created.job.describe()}, can be waited for but is "
        "never cancelled."
    )


@pytest.mark.parametrize("job_type", ["clear", "reset"])
def test_a_job_of_another_type_is_no_candidate(client, emulator, wire, run, job_type):
    emulator.drop_next(POST)
    wire.before_next("GET", lambda: None)
    wire.before_next("GET", lambda: finish_and_start(emulator, job_type))

    created = run(client.jobs.create(emulator.connection_id))

    assert created.job_id == 1
    assert created.ownership is Ownership.FOUND


def finish_and_start(emulator, job_type):
    emulator.finish_job(max(emulator.jobs))
    other_client = client_for(emulator, Wire(emulator))
    run_blocking(other_client.jobs.create(emulator.connection_id, job_type))


DATES = {
    "no date": lambda now: "",
    "unreadable date": lambda now: "yesterday",
    "five minutes old": lambda now: format_datetime(now - timedelta(minutes=5), usegmt=True),
    "two minutes ahead": lambda now: format_datetime(now + timedelta(minutes=2), usegmt=True),
    "a year ahead": lambda now: format_datetime(now + timedelta(days=365), usegmt=True),
}


class WireWithDate(Wire):
    """Leads to a server whose responses have another ``Date`` header."""

    def __init__(self, emulator, date):
        super().__init__(emulator)
        self.date = lambda: date(datetime.fromtimestamp(emulator.clock.time(), tz=UTC))

    async def send(self, request):
        response = await super().send(request)
        return replace(response, headers={**response.headers, "date": self.date()})


@pytest.mark.parametrize("date", DATES.values(), ids=DATES)
class TestDatesDoNotMatter:
    def test_our_job_is_ours(self, emulator, run, date):
        finished_sync(emulator)
        client = client_for(emulator, WireWithDate(emulator, date))

        assert run(client.jobs.create(emulator.connection_id)).ownership is Ownership.STARTED

    def test_a_job_whose_response_was_lost_is_found(self, emulator, run, date):
        earlier = finished_sync(emulator)
        client = client_for(emulator, WireWithDate(emulator, date))
        emulator.drop_next(POST)

        created = run(client.jobs.create(emulator.connection_id))

        assert list(emulator.jobs) == [earlier, created.job_id]
        assert created.ownership is Ownership.FOUND

    def test_a_finished_job_is_not_taken_for_ours(self, emulator, run, date):
        earlier = finished_sync(emulator)
        wire = WireWithDate(emulator, date)
        wire.before_next("POST", fail_sent)

        created = run(client_for(emulator, wire).jobs.create(emulator.connection_id))

        assert created.job_id == earlier + 1
        assert created.ownership is Ownership.STARTED


@pytest.fixture
def slow_starter(emulator):
    """A connection whose next job stays pending, without an attempt."""
    connection_id = emulator.add_connection("busy")
    emulator.script_job(connection_id, statuses=[("pending", None)])
    return connection_id


def test_a_job_that_was_scheduled_a_moment_before_is_foreign(
    client, emulator, wire, run, slow_starter
):
    scheduled = emulator.start_sync(slow_starter)

    created = run(client.jobs.create(slow_starter))

    assert created.job_id == scheduled
    assert created.ownership is Ownership.FOREIGN
    assert created.is_in_the_way


def test_the_task_whose_job_another_task_cancels_says_how_that_can_happen(
    client, emulator, wire, run, slow_starter
):
    """Two tasks in the same instant read the same newest job, and get the same new one."""
    wire.before_next("POST", lambda: emulator.start_sync(slow_starter))

    created = run(client.jobs.create(slow_starter))
    emulator.cancel_job(created.job_id)
    job = run(client.jobs.get(created.job_id))

    assert created.ownership is Ownership.STARTED
    with pytest.raises(AirbyteJobCancelledError, match="another task that was given the same job"):
        run(client.jobs.ensure_succeeded(job))


def test_a_job_that_is_scheduled_during_a_rate_limit_is_foreign(
    client, emulator, wire, run, slow_starter
):
    emulator.fail_next(POST, 429)
    wire.after_next_sleep(lambda: emulator.start_sync(slow_starter))

    created = run(client.jobs.create(slow_starter))

    assert created.ownership is Ownership.FOREIGN
    assert created.is_in_the_way


def test_a_job_that_is_scheduled_while_a_token_is_renewed_is_foreign(
    client, emulator, wire, run, slow_starter
):
    run(client.workspaces.list())
    wire.before_next("POST", emulator.revoke_tokens)
    wire.before_next("", lambda: emulator.start_sync(slow_starter))

    created = run(client.jobs.create(slow_starter))

    assert created.ownership is Ownership.FOREIGN
    assert created.is_in_the_way


def test_a_job_of_another_type_that_is_returned_is_in_the_way(client, emulator, wire, run):
    wire.replace_next_response("POST", json_response({**JOB, "jobId": 7, "jobType": "refresh"}))

    created = run(client.jobs.create(emulator.connection_id))

    assert (created.job_id, created.ownership) == (7, Ownership.FOREIGN)
    assert created.is_in_the_way


def test_the_late_job_of_a_lost_post_is_found_when_the_second_post_returns_it(
    client, emulator, wire, run, slow_starter
):
    wire.before_next("POST", fail_sent)
    for _ in range(4):  # before the first POST, and the three searches
        wire.before_next("GET", lambda: None)
    wire.before_next("GET", lambda: emulator.start_sync(slow_starter))

    created = run(client.jobs.create(slow_starter))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND


def test_the_late_job_of_a_lost_post_is_found_although_it_has_ended_before_the_next_post(
    client, emulator, wire, run
):
    wire.before_next("POST", fail_sent)
    emulator.fail_next(POST, 429)  # the second POST
    for _ in range(2):
        wire.after_next_sleep(lambda: None)  # the searches
    wire.after_next_sleep(lambda: finished_sync(emulator))

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND


def test_a_job_that_appears_after_a_creation_was_given_up_is_not_found_by_the_next_one(
    client, emulator, wire, run
):
    refresh = emulator.start_sync(job_type="refresh")
    creation = JobCreation("sync")
    wire.before_next("POST", fail_sent)
    with pytest.raises(AirbyteConflictError):
        run(client.jobs.create(emulator.connection_id, creation=creation))
    is_in_doubt = creation.baseline is not None
    emulator.finish_job(refresh)
    scheduled = finished_sync(emulator)

    created = run(client.jobs.create(emulator.connection_id, creation=creation))

    assert not is_in_doubt
    assert created.job_id > scheduled
    assert created.ownership is Ownership.STARTED


def test_a_list_that_lacked_our_late_job_is_read_again(client, emulator, wire, run):
    wire.before_next("POST", fail_sent)
    newer_clear = {"data": [{**JOB, "jobId": 9, "jobType": "reset"}]}
    no_jobs = json_response({"data": []})
    for response in (*[no_jobs] * 4, json_response(newer_clear)):
        wire.replace_next_response("GET", response)
    wire.replace_next_response("POST", json_response({**JOB, "jobId": 5, "status": "pending"}))

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND


def test_unreadable_jobs_forbid_a_start(client, emulator, wire, run):
    wire.replace_next_response("GET", json_response({"data": [{"jobId": "?"}]}))

    with pytest.raises(AirbyteDecodeError, match="field 'jobId' must be int"):
        run(client.jobs.create(emulator.connection_id))

    assert requests_to(emulator, POST) == []


class TestStop:
    """A signal handler stops a creation at any point: then no POST goes out any more."""

    @pytest.mark.parametrize(
        "at", ["POST /applications/token", "GET /jobs"], ids=["sign-in", "first read"]
    )
    def test_a_creation_stopped_before_its_post_sends_none(self, client, emulator, wire, run, at):
        creation = JobCreation("sync")
        wire.before_next("" if "token" in at else "GET", creation.stop)

        with pytest.raises(AirbyteStoppedError):
            run(client.jobs.create(emulator.connection_id, creation=creation))

        assert requests_to(emulator, POST) == []
        assert creation.baseline is None

    def test_a_creation_stopped_during_a_rate_limit_sends_no_second_post(
        self, client, emulator, wire, run
    ):
        creation = JobCreation("sync")
        emulator.fail_next(POST, 429)
        wire.after_next_sleep(creation.stop)

        with pytest.raises(AirbyteStoppedError):
            run(client.jobs.create(emulator.connection_id, creation=creation))

        assert requests_to(emulator, POST) == [429]
        assert creation.baseline is None

    def test_a_creation_interrupted_during_its_post_leaves_its_baseline(
        self, client, emulator, wire, run
    ):
        earlier = finished_sync(emulator)
        creation = JobCreation("sync")

        def interrupt():
            raise KeyboardInterrupt

        wire.before_next("POST", interrupt)

        with pytest.raises(KeyboardInterrupt):
            run(client.jobs.create(emulator.connection_id, creation=creation))

        assert creation.baseline == earlier

    def test_a_job_is_created_once_and_known(self, client, emulator, run):
        creation = JobCreation("sync")

        created = run(client.jobs.create(emulator.connection_id, creation=creation))

        assert creation.created == created
        assert creation.baseline is None


def test_the_search_for_a_job_survives_an_outage(client, emulator, wire, run):
    emulator.drop_next(POST)
    wire.before_next("POST", lambda: emulator.fail_next("GET /jobs", 503, times=20))

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]


@SKEWS
def test_a_job_without_an_attempt_is_returned_instead_of_a_second_one_and_is_foreign(
    emulator, wire, run, skew
):
    connection_id = emulator.add_connection("busy")
    emulator.script_job(
        connection_id, statuses=[("pending", 3600), ("running", 60), ("succeeded", None)]
    )
    earlier = emulator.start_sync(connection_id)
    emulator.advance(100)

    created = run(client_for(emulator, wire, skew=skew).jobs.create(connection_id))

    assert created.job_id == earlier
    assert created.ownership is Ownership.FOREIGN
    assert not created.ownership.is_ours


def test_a_job_created_after_a_rate_limit_is_ours(client, emulator, run):
    emulator.fail_next(POST, 429, times=3, headers={"Retry-After": "20"})

    created = run(client.jobs.create(emulator.connection_id))

    assert created.ownership is Ownership.STARTED
    assert requests_to(emulator, POST) == [429, 429, 429, 200]


def test_a_job_created_by_a_slow_server_is_ours(client, emulator, run):
    emulator.hang_next(POST, seconds=120)

    assert run(client.jobs.create(emulator.connection_id)).ownership is Ownership.STARTED


def test_a_running_sync_raises_conflict_error_without_a_retry(client, emulator, wire, run):
    running = emulator.start_sync()

    with pytest.raises(AirbyteConflictError, match="A sync is already running") as conflict:
        run(client.jobs.create(emulator.connection_id))

    assert conflict.value.sync_is_running
    assert not isinstance(conflict.value, AirbyteConnectionNotActiveError)
    assert list(emulator.jobs) == [running]
    assert wire.slept == []


@pytest.mark.parametrize("status", ["inactive", "locked", "deprecated"])
def test_the_error_for_an_inactive_connection_names_it(client, emulator, run, status):
    emulator.set_connection_status(emulator.connection_id, status)

    with pytest.raises(AirbyteConnectionNotActiveError) as conflict:
        run(client.jobs.create(emulator.connection_id))

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


def test_a_job_that_the_server_missed_is_found(client, emulator, wire, run):
    wire.replace_next_response("POST", json_response(STATE_CONFLICT, 409))

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND


def test_a_job_that_the_server_missed_is_found_although_the_connection_cannot_be_read(
    client, emulator, wire, run, caplog
):
    wire.replace_next_response("POST", json_response(STATE_CONFLICT, 409))
    emulator.fail_next("GET /connections/{connectionId}", 503, times=None)
    caplog.set_level(logging.INFO, logger="airflow_provider_airbyte_sme")
    began = emulator.clock.time()

    created = run(client.jobs.create(emulator.connection_id))

    assert list(emulator.jobs) == [created.job_id]
    assert created.ownership is Ownership.FOUND
    assert emulator.clock.time() - began <= DETAILS_PATIENCE
    assert any(
        re.match(f"Cannot read connection {emulator.connection_id}: .* with 503", each)
        for each in caplog.messages
    )


def test_a_job_that_never_appears_raises_conflict_error(client, emulator, run):
    emulator.fail_next(POST, 409, times=None, body=STATE_CONFLICT)

    with pytest.raises(AirbyteConflictError, match="Could not fulfill request"):
        run(client.jobs.create(emulator.connection_id))

    assert requests_to(emulator, POST) == [409]


def test_a_connection_disabled_before_the_retry_raises_not_active_error(
    client, emulator, wire, run
):
    wire.before_next("POST", fail_sent)
    wire.after_next_sleep(
        lambda: emulator.set_connection_status(emulator.connection_id, "inactive")
    )

    with pytest.raises(AirbyteConnectionNotActiveError):
        run(client.jobs.create(emulator.connection_id))


@pytest.mark.parametrize("job_type", ["refresh", "rewind"])
def test_an_unsupported_job_type_raises_bad_request_error(client, emulator, run, job_type):
    with pytest.raises(AirbyteBadRequestError, match="Correct the named value"):
        run(client.jobs.create(emulator.connection_id, job_type))

    assert len(requests_to(emulator, POST)) == 1


@pytest.mark.parametrize("connection_id", ["no-uuid", "18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"])
def test_an_unknown_connection_raises_permission_error(client, emulator, run, connection_id):
    with pytest.raises(AirbytePermissionError, match="the id does not exist in this Airbyte"):
        run(client.jobs.create(connection_id))

    assert requests_to(emulator, POST) == []


def test_an_unknown_connection_raises_not_found_error_for_an_administrator(run):
    emulator = Emulator(time="manual", instance_admin=True)
    client = client_for(emulator, Wire(emulator))

    with pytest.raises(AirbyteNotFoundError, match="STANDARD_SYNC 18dccc91"):
        run(client.jobs.create("18dccc91-0ab1-4f72-9ed7-0b8fc27c5826"))


def test_a_reader_may_not_create_a_job(emulator, wire, run):
    client_id, client_secret = emulator.add_application("workspace_reader")
    settings = settings_for(emulator, client_id=client_id, client_secret=client_secret)

    with pytest.raises(AirbytePermissionError, match="runner to start and cancel syncs"):
        run(client_for(emulator, wire, settings=settings).jobs.create(emulator.connection_id))


def test_wrong_credentials_cause_no_search(emulator, wire, run):
    settings = settings_for(emulator, client_secret="another")

    with pytest.raises(AirbyteCredentialsError):
        run(client_for(emulator, wire, settings=settings).jobs.create(emulator.connection_id))

    assert requests_to(emulator, POST) == requests_to(emulator, "GET /jobs") == []


def test_a_failed_token_exchange_causes_no_search(client, emulator, wire, run):
    emulator.fail_next("POST /applications/token", 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.jobs.create(emulator.connection_id))

    assert wire.calls == []


def test_an_unreachable_airbyte_causes_no_search(client, emulator, run):
    emulator.drop_next("*", times=None, after=False)

    with pytest.raises(AirbyteTransportError):
        run(client.jobs.create(emulator.connection_id))

    assert requests_to(emulator, POST) == requests_to(emulator, "GET /jobs") == []


def test_a_persistent_rate_limit_causes_no_search(client, emulator, run):
    emulator.fail_next(POST, 429, times=None)

    with pytest.raises(AirbyteRateLimitError, match="Nothing was executed"):
        run(client.jobs.create(emulator.connection_id))

    posts = requests_to(emulator, POST)
    assert set(posts) == {429}
    assert len(posts) == len(requests_to(emulator, "GET /jobs"))
