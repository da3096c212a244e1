"""The in-memory transport and the real sockets, faults, the log of requests, and bad input."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from contextlib import closing
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteRequestTimeoutError,
    AirbyteTransportError,
)
from airflow_provider_airbyte_sme.api.http import HttpRequest, run_blocking
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import BASE, caller_of, hateoas, ok, only_an_error_id

HEALTH = f"{BASE}/api/v1/health"


class TestMemory:
    def test_a_sleep_moves_a_manual_clock_and_the_jobs_with_it(self, emulator, caller):
        transport = emulator.transport()
        ok(caller.sync())
        before = emulator.now

        run_blocking(transport.sleep(60))

        assert (emulator.now - before).total_seconds() == 60
        assert emulator.jobs[1].status == "succeeded"
        assert transport.slept == [60]

    def test_a_late_answer_comes_in_time_or_not(self, emulator):
        transport = emulator.transport()
        emulator.hang_next("GET /api/v1/health", 20, times=2)
        before = emulator.now

        answer = run_blocking(transport.send(HttpRequest("GET", HEALTH, timeout=30)))
        with pytest.raises(AirbyteRequestTimeoutError) as error:
            run_blocking(transport.send(HttpRequest("GET", HEALTH, timeout=5)))

        assert ok(answer) == {"available": True}
        assert error.value.request_sent
        assert (emulator.now - before).total_seconds() == 25

    @pytest.mark.parametrize("after", [True, False])
    def test_a_lost_answer_does_not_tell_whether_the_request_was_carried_out(
        self, emulator, caller, after
    ):
        caller.log_in()
        emulator.drop_next("POST /jobs", after=after)

        with pytest.raises(AirbyteTransportError) as error:
            caller.sync()

        assert error.value.request_sent
        assert len(emulator.jobs) == int(after)
        assert emulator.requests[-1].status is None

    def test_answers_carry_the_emulators_own_time(self, caller, emulator):
        emulator.advance(3600)
        caller.log_in()

        answer = caller.get("/workspaces")

        assert parsedate_to_datetime(answer.headers["date"]) == emulator.now.replace(microsecond=0)

    def test_a_lost_answer_is_lost_on_the_transport_too(self, emulator):
        emulator.drop_next("GET /api/v1/health")

        with pytest.raises(AirbyteTransportError):
            run_blocking(emulator.transport().send(HttpRequest("GET", HEALTH)))

    def test_it_never_suspends(self, emulator):
        async def use() -> None:
            transport = emulator.transport()
            async with transport.lock():
                await transport.sleep(0)
            await transport.close()

        run_blocking(use())
        asyncio.run(use())

    def test_instant_time_lets_other_threads_work(self):
        emulator = Emulator(time="instant")

        run_blocking(emulator.transport().sleep(3_600))
        run_blocking(emulator.transport().sleep(0))

    def test_real_time_passes_for_real(self):
        emulator = Emulator(time="real")
        start = time.monotonic()

        run_blocking(emulator.transport().sleep(0.02))

        assert time.monotonic() - start >= 0.02


class TestClocks:
    def test_only_a_manual_clock_can_be_moved_and_only_forward(self, emulator):
        with pytest.raises(ValueError, match="time goes forward only"):
            emulator.advance(-1)
        for mode in ("real", "instant"):
            with pytest.raises(RuntimeError, match="can be advanced"):
                Emulator(time=mode).advance(1)

    def test_only_a_manual_clock_can_be_set(self, emulator):
        with pytest.raises(ValueError, match="only a manual clock can be set"):
            Emulator(start=emulator.now)
        with pytest.raises(ValueError, match="time must be"):
            Emulator(time="slow")  # type: ignore[arg-type] # the mistake under test


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (502, "html"),
            (503, "html"),
            (504, "html"),
            (500, "errorId"),
            (429, "message"),
            (408, "type"),
            (401, "_links"),
            (499, "_links"),
            (404, "_links"),
            (200, ""),
        ],
    )
    def test_a_failure_looks_like_what_sends_it(self, emulator, caller, status, kind):
        emulator.fail_next("GET /workspaces", status)

        answer = caller.get("/workspaces")

        assert answer.status == status
        assert answer.is_html if kind == "html" else kind in answer.json() or not kind
        ok(caller.get("/workspaces"))

    def test_it_happens_as_often_as_ordered_and_is_not_carried_out(self, emulator, caller):
        caller.log_in()
        emulator.fail_next("POST /jobs", 503, times=2, headers={"Retry-After": "7"})

        answers = [caller.sync() for _ in range(3)]

        assert [answer.status for answer in answers] == [503, 503, 200]
        assert answers[0].headers["retry-after"] == "7"
        assert len(emulator.jobs) == 1

    @pytest.mark.parametrize(
        ("body", "raw"), [(b"\xff", b"\xff"), ("cut {", b"cut {"), ({"a": 1}, b'{"a":1}')]
    )
    def test_the_body_can_be_anything(self, emulator, caller, body, raw):
        caller.log_in()
        emulator.fail_next("*", 200, body=body)

        assert caller.get("/jobs").body == raw

    def test_a_page_can_come_instead(self, emulator, caller):
        caller.log_in()
        emulator.html_next("*", times=None)

        assert all(caller.get("/jobs").is_html for _ in range(3))
        emulator.clear_faults()
        ok(caller.get("/jobs"))

    def test_others_pass_while_one_waits_for_its_route(self, emulator, caller):
        emulator.fail_next("GET /jobs/{jobId}", 500)

        ok(caller.get("/jobs"))
        assert caller.get("/jobs/1").status == 500

    def test_what_would_never_happen_is_refused(self, emulator):
        with pytest.raises(ValueError, match="there is no route 'GET /job'"):
            emulator.fail_next("GET /job")
        with pytest.raises(ValueError, match="once or more"):
            emulator.fail_next("*", times=0)


class TestTheLog:
    def test_each_request_is_there_with_its_answer(self, emulator, caller):
        ok(caller.sync())
        caller.get("/jobs", limit=1)
        caller.get("/nowhere")

        token, post, listing, unknown = emulator.requests

        assert token.route == "POST /applications/token"
        assert (post.method, post.path, post.status) == ("POST", "/api/public/v1/jobs", 200)
        assert post.json == {"connectionId": emulator.connection_id, "jobType": "sync"}
        assert (listing.route, listing.query) == ("GET /jobs", {"limit": ["1"]})
        assert (unknown.route, unknown.status) == (None, 403)

    def test_no_secret_is_in_it(self, emulator, caller):
        body = {
            "name": "x",
            "workspaceId": emulator.workspace_id,
            "configuration": {
                "sourceType": "postgres",
                "password": "s3cret",
                "keys": [{"token": "t0k"}],
            },
        }
        caller.send("POST", "/sources", body, headers={"cookie": "s3cret"})

        logged = repr(emulator.requests)

        for secret in (emulator.client_secret, caller.token, "s3cret", "t0k"):
            assert not secret or secret not in logged
        assert emulator.requests[0].headers["content-type"] == "application/json"

    def test_bodies_that_are_no_json_or_large_are_not_kept(self, emulator, caller):
        for body in (b"{", b"[" * 5_000, b'"' + b"x" * 70_000 + b'"'):
            caller.send("POST", "/jobs", body)

        assert [recorded.json for recorded in emulator.requests[1:]] == [None] * 3
        assert emulator.requests[-1].body_bytes == 70_002

    def test_it_can_be_emptied(self, emulator, caller):
        ok(caller.get("/jobs"))

        emulator.clear_requests()

        assert emulator.requests == []

    def test_faults_are_named(self, emulator, caller):
        caller.log_in()
        emulator.hang_next("GET /jobs", 0.5)
        caller.get("/jobs")

        assert emulator.requests[-1].fault == "delay"


@pytest.fixture
def served():
    emulator = Emulator(sync_duration=0.05, threads=2)
    with emulator.serve() as server:
        yield server, emulator


@pytest.fixture
def session(served):
    _, emulator = served
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {caller_of(emulator).log_in()}"
        yield session


class TestSockets:
    def test_the_same_answers_as_in_memory(self, served, session):
        server, emulator = served

        over_http = session.get(f"{server.url}/api/public/v1/sources")
        in_memory = emulator.respond(
            HttpRequest("GET", f"{server.url}/api/public/v1/sources", dict(session.headers))
        )

        assert over_http.content == in_memory.body
        assert over_http.headers["content-type"] == "application/json"

    def test_the_connection_leads_here(self, served):
        server, emulator = served

        assert emulator.url == server.url
        assert emulator.connection_uri == server.connection_uri
        assert server.connection_uri.startswith(f"airbyte-sme://{emulator.client_id}:")
        with_extra = emulator.connection_uri_for("http://x", request_timeout="5", client_id="a b")
        assert with_extra.startswith("airbyte-sme://a%20b:")
        assert with_extra.endswith("@http%3A%2F%2Fx/?request_timeout=5")

    def test_it_has_an_address_only_while_it_is_served(self, emulator):
        with pytest.raises(RuntimeError, match="only inside"):
            emulator.url  # noqa: B018  reading it is the test

    def test_a_taken_port_is_told(self, served):
        server, _ = served
        port = urlsplit(server.url).port

        with pytest.raises(OSError, match="address already in use"), Emulator().serve(port=port):
            pass

    def test_ipv6_has_brackets(self):
        try:
            with Emulator().serve("::1") as server:
                assert requests.get(f"{server.url}/api/v1/health", timeout=5).status_code == 200
        except OSError:
            pytest.skip("no IPv6 here")

    def test_latency_is_for_every_answer_and_threads_are_few(self):
        emulator = Emulator(latency=0.1, threads=1)
        with emulator.serve() as server, closing(requests.Session()) as session:
            start = time.monotonic()
            threads = [
                threading.Thread(target=session.get, args=(f"{server.url}/api/public/v1/health",))
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            one_by_one = time.monotonic() - start

        assert one_by_one >= 0.3

    def test_a_late_answer_holds_its_thread_and_no_other(self, served, session):
        server, emulator = served
        emulator.hang_next("GET /jobs", 30)

        with pytest.raises(requests.ReadTimeout):
            session.get(f"{server.url}/api/public/v1/jobs", timeout=0.2)

        assert session.get(f"{server.url}/api/public/v1/jobs", timeout=5).status_code == 200

    @pytest.mark.parametrize("after", [True, False])
    def test_a_dropped_connection_has_no_answer(self, served, session, after):
        server, emulator = served
        emulator.drop_next("POST /jobs", after=after)
        body = {"connectionId": emulator.connection_id, "jobType": "sync"}

        with pytest.raises(requests.ConnectionError):
            session.post(f"{server.url}/api/public/v1/jobs", json=body, timeout=5)

        assert len(emulator.jobs) == int(after)

    def test_a_head_has_no_body(self, served):
        server, _ = served

        answer = requests.head(f"{server.url}/", timeout=5)

        assert (answer.status_code, answer.content) == (200, b"")

    def test_stopping_does_not_wait_for_late_answers(self):
        emulator = Emulator()
        emulator.hang_next("GET /api/v1/health", 60)
        with emulator.serve() as server:
            port = urlsplit(server.url).port
            with closing(socket.create_connection(("127.0.0.1", port or 0))) as client:
                client.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
                while not emulator.requests:
                    time.sleep(0.005)
            start = time.monotonic()

        assert time.monotonic() - start < 5

    def test_starting_and_answering_take_next_to_no_time(self, served, session):
        server, emulator = served
        starts = []
        for _ in range(3):
            begin = time.perf_counter()
            with Emulator().serve():
                starts.append(time.perf_counter() - begin)
        path = f"{server.url}/api/public/v1/jobs"
        asked = HttpRequest("GET", path, dict(session.headers))
        begin = time.perf_counter()
        for _ in range(200):
            emulator.respond(asked)
        own_time = (time.perf_counter() - begin) / 200

        assert min(starts) < 0.3
        assert own_time < 0.002


GARBAGE = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"{",
    b"{}{}",
    b'{"connectionId": NaN}',
    b'"\\ud800"',
    b'{"connectionId": "\\ud800", "jobType": "sync"}',
    b"[" * 100_000,
    b'{"a":' * 10_000,
    b"1" * 10_000,
    b"1e999",
    '{"connectionId": "\u2028"}'.encode("utf-16"),
    json.dumps({"connectionId": "x" * 1_000_000, "jobType": "sync"}).encode(),
    b'{"connectionId": "x", "connectionId": "y", "jobType": "sync"}',
    b"null",
    b"true",
    b'{"connectionId": null}',
]


class TestBadInput:
    """Any bytes get an answer as the real server gives it; nothing stops the server."""

    @pytest.mark.parametrize("method_and_path", [
        "POST /jobs",
        "POST /sources",
        "POST /connections",
        "POST /workspaces",
        "POST /applications/token",
        "POST /api/v1/applications/token",
        "POST /api/v1/jobs/get",
        "POST /api/v1/connections/status",
        "POST /api/v1/jobs/list",
        "PATCH /workspaces/{workspace}",
        "PUT /sources/{source}",
        "PATCH /connections/{connection}",
    ])  # fmt: skip
    @pytest.mark.parametrize("number", range(len(GARBAGE)))
    def test_bytes(self, emulator, caller, method_and_path, number):
        method, path = method_and_path.split()
        path = path.format(
            workspace=emulator.workspace_id,
            source=emulator.source_id,
            connection=emulator.connection_id,
        )

        answer = caller.send(method, path, GARBAGE[number])

        assert answer.status in (200, 400, 403)
        json.loads(answer.body)

    @pytest.mark.parametrize("value", [None, 1, 1.5, True, "x", [], [[]], {}, {"a": 1}])
    def test_fields_of_another_kind(self, emulator, caller, value):
        for body in (
            {"connectionId": value, "jobType": "sync"},
            {"connectionId": emulator.connection_id, "jobType": value},
        ):
            assert caller.post("/jobs", body).status in (200, 400, 403)
        for name in ("name", "status", "schedule", "configurations", "tags", "prefix"):
            path = f"/connections/{emulator.connection_id}"
            assert caller.patch(path, {name: value}).status in (200, 400)
        for name in ("name", "workspaceId", "configuration", "definitionId"):
            body = {"name": "x", "workspaceId": emulator.workspace_id, "configuration": {}}
            assert caller.post("/sources", {**body, name: value}).status in (400, 403, 422)
        for name in ("id", "jobId", "configTypes", "pagination"):
            assert caller.post("/api/v1/jobs/list", {name: value}).status in (400, 403)

    @pytest.mark.parametrize(
        "query",
        [
            "%ff",
            "limit=%00",
            "limit=&limit=x",
            "a=b&a",
            "=",
            "orderBy=%F0%9F%92%A9",
            f"limit={'9' * 5_000}",
            "createdAtStart=9999-12-31T23:59:59-23:00",
            "createdAtStart=0001-01-01T00:00:00%2B23:00",
        ],
    )
    def test_queries(self, emulator, caller, query):
        caller.log_in()
        answer = emulator.respond(
            HttpRequest(
                "GET",
                f"{BASE}/api/public/v1/jobs?{query}",
                {"authorization": f"Bearer {caller.token}"},
            )
        )

        assert answer.status in (200, 400)

    @pytest.mark.parametrize(
        "path",
        [
            "//",
            "/api",
            "/api/",
            "/api/public/v1//jobs",
            "/api/public/v1/workspaces//definitions/sources",
            "/api/%ff/%00",
            "/%",
        ],
    )
    def test_paths(self, emulator, caller, path):
        caller.log_in()
        headers = {"authorization": f"Bearer {caller.token}"}

        answer = emulator.respond(HttpRequest("GET", BASE + path, headers))

        assert answer.status in (200, 403)

    def test_words_that_are_no_truth_values_are_refused(self, caller):
        hateoas(caller.get("/sources", includeDeleted="maybe"), 400)

    def test_what_was_not_foreseen_is_only_an_error_id(self, tmp_path, caplog):
        state_file = tmp_path / "state.json"
        caller = caller_of(Emulator(time="manual", state_file=state_file))
        ok(caller.sync())
        state_file.write_text(json.dumps({**json.loads(state_file.read_text()), "connections": {}}))

        caller.emulator = Emulator(time="manual", state_file=state_file)

        only_an_error_id(caller.post("/api/v1/jobs/get", {"id": 1}), 500)
        assert "Uncaught exception in POST /api/v1/jobs/get" in caplog.text

    def test_another_media_type_is_refused(self, caller):
        answer = caller.send("POST", "/jobs", b"a=b", headers={"content-type": "text/plain"})

        assert "Content Type [text/plain] not allowed" in hateoas(answer, 415)["message"]
        charset = {"content-type": "Application/JSON; charset=utf-8"}
        assert caller.send("POST", "/jobs", b"{}", headers=charset).status == 400

    def test_a_form_that_is_no_text_is_refused(self, emulator):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        url = f"{BASE}/api/public/v1/applications/token"

        for body in (b"\xff", b"a=b&" * 5_000, b""):
            hateoas(emulator.respond(HttpRequest("POST", url, headers, body)), 400)

    def test_ten_megabytes_are_the_limit(self, served, session):
        server, emulator = served
        url = f"{server.url}/api/public/v1/jobs"
        headers = {"Content-Type": "application/json"}
        limit = 10 * 1024 * 1024

        at_limit = session.post(url, data=b" " * limit, headers=headers)
        above = session.post(url, data=b" " * (limit + 1), headers=headers)
        in_pieces = session.post(url, data=iter([b" " * (limit // 2)] * 3), headers=headers)

        assert at_limit.status_code == 400
        assert (above.status_code, in_pieces.status_code) == (413, 413)
        assert above.json()["message"] == "Request Entity Too Large"
        assert session.get(url).status_code == 200
        big = HttpRequest("POST", url, dict(session.headers), b" " * (limit + 1))
        hateoas(emulator.respond(big), 413)

    @pytest.mark.parametrize(
        "raw",
        [
            b"\x16\x03\x01\x02\x00\x01",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
            b"POST /api/v1/jobs/get HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc",
            b"GET /api/v1/health HTTP/1.1\r\n\r\n",
            b"GET /api/v1/health HTTP/1.1\r\nHost: [\r\n\r\n",
            b"GET http://elsewhere/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET //api//v1 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /%ff%00?%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
    )
    def test_what_is_no_http_gets_no_traceback_and_stops_nothing(self, served, raw):
        server, _ = served
        port = urlsplit(server.url).port or 0
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as client:
            client.sendall(raw)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while part := client.recv(65_536):
                answer += part

        assert b"Traceback" not in answer
        assert b" 500 " not in answer.partition(b"\r\n")[0]
        assert requests.get(f"{server.url}/api/v1/health", timeout=5).json() == {"available": True}
