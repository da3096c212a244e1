"""What every call does: find its way, say who it is, try again where that is right, and decode."""

import json
from datetime import timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_airbyte_sme import __version__
from airflow_provider_airbyte_sme.api import (
    AirbyteApiError,
    AirbyteBadRequestError,
    AirbyteClient,
    AirbyteDecodeError,
    AirbyteNotFoundError,
    AirbytePermissionError,
    AirbyteRateLimitError,
    AirbyteRequestTimeoutError,
    AirbyteServerError,
    AirbyteTransportError,
    HttpRequest,
    Instance,
    RetryPolicy,
)
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import AIRBYTE, Wire, client_for, requests_to, settings_for

JOBS = "GET /jobs"


def test_a_request_says_who_asks_and_what_for(client, wire, run):
    run(client.list_jobs())

    assert wire.requests[-1].headers["Accept"] == "application/json"
    assert wire.requests[-1].headers["User-Agent"] == f"airflow-provider-airbyte-sme/{__version__}"


def test_headers_of_the_connection_go_with_every_request(emulator, wire, run):
    client = client_for(
        emulator, wire, settings=settings_for(emulator, headers={"X-Key": "1", "user-agent": "us"})
    )

    run(client.list_jobs())

    for request in wire.requests:
        assert request.headers["X-Key"] == "1"
        assert [v for k, v in request.headers.items() if k.lower() == "user-agent"] == ["us"]


def test_a_read_waits_as_long_as_the_connection_says(emulator, wire, run):
    client = client_for(emulator, wire, settings=settings_for(emulator, request_timeout=7.0))

    run(client.list_jobs())

    assert {request.timeout for request in wire.requests} == {7.0}


@pytest.mark.parametrize(("request_timeout", "expected"), [(7.0, 180.0), (300.0, 300.0)])
def test_calls_that_the_server_holds_open_wait_longer(
    emulator, wire, run, request_timeout, expected
):
    client = client_for(
        emulator, wire, settings=settings_for(emulator, request_timeout=request_timeout)
    )
    emulator.script_job(statuses=[("running", None)])

    run(client.cancel_job(run(client.create_job(emulator.connection_id)).job_id))

    held_open = {
        r.method: r.timeout
        for r in wire.requests
        if r.url.startswith(f"{AIRBYTE}/api/public/v1/jobs")
    }
    assert held_open == {"POST": expected, "GET": request_timeout, "DELETE": expected}


def test_a_client_closes_its_transport(client, wire, run):
    async def scenario():
        async with client as same:
            assert same is client
            assert not wire.is_closed

    run(scenario())

    assert wire.is_closed


def test_a_client_shows_where_it_leads(client):
    assert repr(client) == f"AirbyteClient('{AIRBYTE}/api/public/v1')"


def test_a_client_brings_clocks_and_chance_of_its_own(emulator, run):
    client = AirbyteClient(settings_for(emulator), emulator.transport())

    assert run(client.list_jobs()) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_read_is_repeated_with_growing_waits(client, emulator, wire, run, status):
    emulator.fail_next(JOBS, status, times=3)

    assert run(client.list_jobs()) == []

    assert requests_to(emulator, JOBS) == [status] * 3 + [200]
    assert wire.slept == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("after", [True, False])
def test_a_read_whose_answer_is_lost_is_repeated(client, emulator, run, after):
    emulator.drop_next(JOBS, after=after)

    assert run(client.list_jobs()) == []

    assert requests_to(emulator, JOBS) == [None, 200]


def test_a_read_is_given_up_after_five_attempts(client, emulator, run):
    emulator.fail_next(JOBS, 503, times=None)

    with pytest.raises(AirbyteServerError, match="with 503: a web page"):
        run(client.list_jobs())

    assert requests_to(emulator, JOBS) == [503] * 5


def test_a_read_is_given_up_after_a_minute_and_a_half(client, emulator, run):
    run(client.sign_in())
    began = emulator.clock.time()
    emulator.hang_next(JOBS, seconds=60, times=None)

    with pytest.raises(AirbyteRequestTimeoutError):
        run(client.list_jobs())

    # 30 s, a wait of 1 s, 30 s, a wait of 2 s, 30 s: no attempt begins after 90 s.
    assert len(requests_to(emulator, JOBS)) == 3
    assert emulator.clock.time() - began == 93.0


def test_how_stubborn_a_client_is_can_be_told(emulator, wire, run):
    client = client_for(emulator, wire, retry=RetryPolicy(max_attempts=1))
    emulator.fail_next(JOBS, 503)

    with pytest.raises(AirbyteServerError):
        run(client.list_jobs())

    assert wire.slept == []


@pytest.mark.parametrize("status", [429, 503])
def test_what_a_gateway_asks_to_wait_is_waited(client, emulator, wire, run, status):
    emulator.fail_next(JOBS, status, headers={"Retry-After": "20"})

    run(client.list_jobs())

    assert wire.slept == [21.0]


def test_an_instant_that_a_gateway_names_is_waited_for(client, emulator, wire, run):
    at = (emulator.now + timedelta(seconds=20)).replace(microsecond=0)
    emulator.fail_next(JOBS, 503, headers={"Retry-After": format_datetime(at, usegmt=True)})

    run(client.list_jobs())

    assert emulator.now >= at
    assert wire.slept == [pytest.approx(20.6)]


def test_nobody_is_waited_for_longer_than_a_minute(client, emulator, wire, run):
    emulator.fail_next(JOBS, 429, headers={"Retry-After": "3600"})

    run(client.list_jobs())

    assert wire.slept == [61.0]


def test_too_many_requests_are_told_as_such(client, emulator, run):
    emulator.fail_next(JOBS, 429, times=None)

    with pytest.raises(AirbyteRateLimitError, match="You are being rate limited"):
        run(client.list_jobs())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, AirbyteApiError),
        (400, AirbyteBadRequestError),
        (403, AirbytePermissionError),
        (404, AirbyteNotFoundError),
        (422, AirbyteBadRequestError),
        (501, AirbyteServerError),
    ],
)
def test_what_a_repetition_cannot_cure_is_told_at_once(client, emulator, wire, run, status, error):
    emulator.fail_next(JOBS, status, times=None)

    with pytest.raises(error):
        run(client.list_jobs())

    assert requests_to(emulator, JOBS) == [status]
    assert wire.slept == []


def test_an_airbyte_that_is_not_there_is_told_after_some_attempts(client, emulator, wire, run):
    emulator.drop_next("*", times=None, after=False)

    with pytest.raises(AirbyteTransportError):
        run(client.list_jobs())

    assert len(wire.slept) == 4


JOBS_URL = f"{AIRBYTE}/api/public/v1/jobs?limit=20&offset=0&orderBy=createdAt%7CDESC"


def test_a_web_page_is_told_from_an_answer(client, emulator, run):
    emulator.html_next(JOBS, times=None)

    with pytest.raises(AirbyteDecodeError, match="a web page") as failure:
        run(client.list_jobs())

    assert failure.value.is_html
    assert f"GET {JOBS_URL} with 200" in str(failure.value)
    assert "Check Host" in str(failure.value)
    assert requests_to(emulator, JOBS) == [200]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b'{"data": [{"jobId": 7,', "22 bytes that are no JSON", id="cut off"),
        pytest.param(b"", "0 bytes that are no JSON", id="empty"),
        pytest.param(b"Successful operation", "20 bytes that are no JSON", id="bare text"),
        pytest.param(b"[]", "field 'data' is missing or is no list", id="no object"),
        pytest.param(b"{}", "field 'data' is missing or is no list", id="no data"),
        pytest.param(b'{"data": {}}', "field 'data' is missing or is no list", id="no list"),
        pytest.param(b'{"data": [7]}', "a job should be a JSON object, not int", id="no jobs"),
        pytest.param(b'{"data": [{}]}', "field 'jobId' is missing", id="jobs without a number"),
    ],
)
def test_what_is_not_the_documented_body_is_told_with_its_request(
    client, emulator, run, body, reason
):
    emulator.fail_next(JOBS, 200, body=body)

    with pytest.raises(AirbyteDecodeError, match=reason) as failure:
        run(client.list_jobs())

    assert not failure.value.is_html
    assert f"Airbyte answered GET {JOBS_URL} with 200" in str(failure.value)


def test_a_job_is_read(client, emulator, run):
    emulator.script_job(duration=60, rows=7)
    job_id = emulator.start_sync()
    emulator.advance(60)

    job = run(client.get_job(job_id))

    assert (job.job_id, job.connection_id) == (job_id, emulator.connection_id)
    assert (job.status, job.rows_synced) == ("succeeded", 7)


def test_a_job_that_airbyte_does_not_know_is_a_matter_of_permission(client, run):
    with pytest.raises(AirbytePermissionError, match="the id does not exist in this Airbyte"):
        run(client.get_job(4711))


def test_jobs_are_listed_newest_first_and_filtered(client, emulator, run):
    other = emulator.add_connection("other")
    emulator.script_job(outcome="failed")
    first = emulator.start_sync()
    emulator.advance(60)
    second = emulator.start_sync()
    emulator.start_sync(other)

    def listed(**filters):
        return [job.job_id for job in run(client.list_jobs(**filters))]

    assert listed(connection_id=emulator.connection_id) == [second, first]
    assert listed(connection_id=emulator.connection_id, order_by="createdAt|ASC") == [first, second]
    assert listed(connection_id=emulator.connection_id, limit=1, offset=1) == [first]
    assert listed(status="failed") == [first]
    assert listed(job_type="reset") == []


def test_a_job_that_runs_is_found(client, emulator, run):
    assert run(client.find_running_job(emulator.connection_id)) is None
    emulator.start_sync()
    emulator.advance(60)
    assert run(client.find_running_job(emulator.connection_id)) is None

    job_id = emulator.start_sync()

    assert run(client.find_running_job(emulator.connection_id)).job_id == job_id


def test_a_refresh_that_runs_is_found_where_lists_leave_it_out(run):
    emulator = Emulator(time="manual", version="2.0.0")
    wire = Wire(emulator)
    client = client_for(emulator, wire)
    run(client.list_jobs())
    # Only the internal API can start one, as the UI does.
    refresh = HttpRequest(
        "POST",
        f"{AIRBYTE}/api/v1/connections/refresh",
        wire.requests[-1].headers,
        json.dumps({"connectionId": emulator.connection_id, "refreshMode": "Merge"}).encode(),
    )
    assert emulator.respond(refresh).status == 200

    assert run(client.list_jobs()) == []
    assert run(client.find_running_job(emulator.connection_id)).job_type == "refresh"


@pytest.mark.parametrize(("more", "pages"), [(0, 1), (99, 2), (100, 2), (250, 3)])
def test_workspaces_are_read_page_by_page_to_the_last_one(client, emulator, wire, run, more, pages):
    ids = [emulator.workspace_id, *(emulator.add_workspace() for _ in range(more))]

    workspaces = run(client.list_workspaces())

    assert sorted(workspace.workspace_id for workspace in workspaces) == sorted(ids)
    assert len(requests_to(emulator, "GET /workspaces")) == pages


def test_pages_are_asked_for_where_the_connection_leads_whatever_the_server_calls_itself(run):
    emulator = Emulator(time="manual", airbyte_url="http://localhost:8001")
    wire = Wire(emulator)
    for _ in range(150):
        emulator.add_workspace()

    assert len(run(client_for(emulator, wire).list_workspaces())) == 151

    assert all(request.url.startswith(AIRBYTE) for request in wire.requests)


def test_a_connection_is_read(client, emulator, run):
    connection = run(client.get_airbyte_connection(emulator.connection_id))

    assert connection.connection_id == emulator.connection_id
    assert connection.workspace_id == emulator.workspace_id
    assert (connection.name, connection.status) == ("Sample data to Warehouse", "active")


@pytest.mark.parametrize(
    "connection_id", ["no-uuid", "../jobs", "a b?c#d", "https://airbyte/connections/18dccc91"]
)
def test_an_id_that_is_none_asks_for_no_other_thing(client, wire, run, connection_id):
    with pytest.raises((AirbytePermissionError, AirbyteNotFoundError, AirbyteBadRequestError)):
        run(client.get_airbyte_connection(connection_id))

    path = wire.requests[-1].url.removeprefix(f"{AIRBYTE}/api/public/v1/connections/")
    assert "/" not in path
    assert "?" not in path
    assert " " not in path


def test_the_server_tells_its_version_without_a_sign_in(client, emulator, run):
    assert run(client.get_instance()) == Instance(version="2.1.0", edition="enterprise")
    assert [request.route for request in emulator.requests] == [
        "GET /api/v1/instance_configuration"
    ]


@pytest.mark.parametrize("status", [401, 403, 404, 200])
def test_a_server_that_does_not_tell_its_version_is_no_failure(client, emulator, run, status):
    emulator.html_next("GET /api/v1/instance_configuration", status=status)

    assert run(client.get_instance()) == Instance()


def test_airbyte_cloud_is_known_without_a_question(emulator, wire, run):
    settings = settings_for(emulator, "https://api.airbyte.com/v1")

    assert run(client_for(emulator, wire, settings=settings).get_instance()).edition == "Cloud"
    assert wire.requests == []


def test_a_healthy_airbyte_is_known_without_a_sign_in(client, emulator, run):
    run(client.check_health())

    assert [request.route for request in emulator.requests] == ["GET /health"]


def test_a_web_page_is_no_healthy_airbyte(client, emulator, run):
    emulator.html_next("GET /health")

    with pytest.raises(AirbyteDecodeError, match="Check Host") as failure:
        run(client.check_health())

    assert failure.value.is_html


def test_an_airbyte_that_is_not_healthy_is_told_as_such(client, emulator, run):
    emulator.fail_next("GET /health", 503, times=None)

    with pytest.raises(AirbyteServerError):
        run(client.check_health())
