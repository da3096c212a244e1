"""How successful responses are decoded, and what becomes of bodies that cannot be."""

import json
import logging

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteDecodeError,
    AirbyteError,
    AirbyteSession,
    AirbyteSettings,
    AirbyteUrls,
    HttpRequest,
    HttpResponse,
    Job,
    RetryPolicy,
)
from airflow_provider_airbyte_sme.api.response import ApiResponse
from tests.unit.api.responses import JOB, json_response
from tests.unit.api.servers import RawServer, raw_response

URL = "https://ab/api/public/v1/jobs"


def response_with(body: bytes, **headers: str) -> ApiResponse:
    return ApiResponse(HttpRequest("GET", URL), HttpResponse(200, headers, body))


def page_of(*items):
    return response_with(json_response({"data": list(items)}).body)


UNREADABLE = {"jobId": 41, "connectionId": "18dc"}


def test_a_list_leaves_out_what_cannot_be_read_with_one_warning(caplog):
    page = page_of(JOB, UNREADABLE, 7, {"name": "no id"}).decode_page(Job.from_json)

    assert [job.job_id for job in page.items] == [42]
    assert page.sent == 4
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages == [
        f"Airbyte responded to GET {URL} with 200. Left out are 3 of its 4 items, which cannot be "
        f"read (item 2, jobId 41: field 'status' is missing; item 3: a job must be a JSON "
        f"object, not int; item 4: field 'jobId' is missing)."
    ]


def test_a_bare_array_leaves_out_what_cannot_be_read(caplog):
    jobs = response_with(json.dumps([UNREADABLE, JOB]).encode()).decode_list(Job.from_json)

    assert [job.job_id for job in jobs] == [42]
    assert "item 1, jobId 41" in caplog.text


def test_a_warning_names_the_first_items_only(caplog):
    page = page_of(*[UNREADABLE] * 50, JOB).decode_page(Job.from_json)

    assert page.sent == 51
    assert len(page.items) == 1
    assert caplog.text.count("jobId 41") == 5
    assert "50 of its 51 items" in caplog.text
    assert ", and others)" in caplog.text


def test_a_list_of_readable_items_gives_no_warning(caplog):
    assert len(page_of(JOB, JOB).decode_page(Job.from_json).items) == 2
    assert page_of().decode_page(Job.from_json).sent == 0
    assert caplog.messages == []


def test_a_list_of_which_nothing_can_be_read_is_an_error():
    # An empty list would say that no job is running.
    with pytest.raises(AirbyteDecodeError, match="but item 1, jobId 41: field 'status' is missing"):
        page_of(UNREADABLE).decode_page(Job.from_json)


BODIES = {
    "arrays nested too deeply": b"[" * 100_000,
    "objects nested too deeply": b'{"data":' * 100_000,
    "number that is too long": b'{"data": ' + b"9" * 5000 + b"}",
    "invalid UTF-8": b'{"data": "\xff"}',
    "UTF-16 without an end": "{".encode("utf-16") + b"\x00",
    "half a surrogate pair": rb'{"data": "\ud800"}',
    "infinity": b'{"data": [{"jobId": 1e999}]}',
    "no body": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_malformed_body_is_a_decode_error(body):
    with pytest.raises(AirbyteDecodeError) as failure:
        response_with(body).decode_page(Job.from_json)

    assert str(failure.value).encode()
    assert len(str(failure.value).splitlines()) == 1


ODD = {
    **{name: ("200 OK", (), body) for name, body in BODIES.items()},
    **{f"error with {name}": ("500 X", (), body) for name, body in BODIES.items()},
    "absurd Retry-After": ("503 X", (("Retry-After", "9" * 400),), b""),
    "absurd year in Retry-After": (
        "503 X",
        (("Retry-After", "Wed, 25 Mar 99999999999999999999 01:31:30 GMT"),),
        b"",
    ),
    "absurd year in Date": ("200 OK", (("Date", "Wed, 25 Mar 99999 01:31:30 GMT"),), b"{}"),
}


@pytest.mark.parametrize(("status", "headers", "body"), ODD.values(), ids=ODD)
def test_whatever_a_server_sends_ends_in_the_error_tree(over_sockets, status, headers, body):
    with RawServer(raw_response(body, status, headers)) as server:
        settings = AirbyteSettings(AirbyteUrls.parse(server.url))

        async def scenario(transport):
            session = AirbyteSession(settings, transport, retry=RetryPolicy(max_attempts=1))
            return await AirbyteClient(session).jobs.list()

        with pytest.raises(AirbyteError):
            over_sockets(settings, scenario)


@pytest.mark.parametrize("body", [[JOB], {"data": [JOB]}], ids=["bare array", "data"])
def test_a_list_without_pages_is_an_array_or_has_one(body):
    (job,) = response_with(json.dumps(body).encode()).decode_list(Job.from_json)

    assert job.job_id == 42


def test_a_list_without_pages_may_have_a_field_of_its_own():
    body = json.dumps({"applications": [JOB]}).encode()

    assert len(response_with(body).decode_list(Job.from_json, field="applications")) == 1
    with pytest.raises(AirbyteDecodeError, match="field 'data' is missing or not a list"):
        response_with(body).decode_list(Job.from_json)


def test_an_item_that_is_left_out_does_not_end_the_pages(client, wire, run):
    jobs = [{**JOB, "jobId": number} for number in range(99)]
    wire.replace_next_response("GET", json_response({"data": [{}, *jobs]}))

    assert len(run(client.jobs.list())) == 99

    pages = [request.url for request in wire.requests if request.method == "GET"]
    assert [url.partition("?")[2] for url in pages] == [
        "limit=100&offset=0&orderBy=createdAt%7CDESC",
        "limit=100&offset=100&orderBy=createdAt%7CDESC",
    ]
