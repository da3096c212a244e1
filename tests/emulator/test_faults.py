"""Injected faults and the log of requests."""

from __future__ import annotations

import socket
from contextlib import closing
from datetime import datetime, timedelta
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
from airflow_provider_airbyte_sme.emulator.iso8601 import iso_duration
from tests.emulator.conftest import BASE, exchange, ok, problem

HEALTH = "GET /api/v1/health"


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "content"),
        [
            (502, "html"),
            (503, "html"),
            (504, "html"),
            (520, "html"),
            (530, "html"),
            (500, "errorId"),
            (429, "message"),
            (408, "type"),
            (401, "_links"),
            (499, "_links"),
            (404, "_links"),
            (200, ""),
        ],
    )
    def test_an_injected_error_has_the_body_of_its_usual_sender(
        self, emulator, caller, status, content
    ):
        emulator.fail_next("GET /workspaces", status)

        response = caller.get("/workspaces")

        assert response.status == status
        assert response.is_html if content == "html" else content in response.json() or not content
        ok(caller.get("/workspaces"))

    def test_a_failed_request_is_not_handled_and_fails_the_given_number_of_times(
        self, emulator, caller
    ):
        caller.log_in()
        emulator.fail_next("POST /jobs", 503, times=2, headers={"Retry-After": "7"})

        responses = [caller.sync() for _ in range(3)]

        assert [response.status for response in responses] == [503, 503, 200]
        assert responses[0].headers["retry-after"] == "7"
        assert len(emulator.jobs) == 1

    @pytest.mark.parametrize(
        ("body", "raw"), [(b"\xff", b"\xff"), ("cut {", b"cut {"), ({"a": 1}, b'{"a":1}')]
    )
    def test_a_fault_can_return_any_body(self, emulator, caller, body, raw):
        caller.log_in()
        emulator.fail_next("*", 200, body=body)

        assert caller.get("/jobs").body == raw

    def test_an_html_page_is_returned_until_faults_are_cleared(self, emulator, caller):
        caller.log_in()
        emulator.html_next("*", times=None)

        assert all(caller.get("/jobs").is_html for _ in range(3))
        emulator.clear_faults()
        ok(caller.get("/jobs"))

    def test_a_fault_affects_only_its_own_route(self, emulator, caller):
        emulator.fail_next("GET /jobs/{jobId}", 500)

        ok(caller.get("/jobs"))
        assert caller.get("/jobs/1").status == 500

    def test_a_fault_that_could_never_apply_is_rejected(self, emulator):
        with pytest.raises(ValueError, match="there is no route 'GET /job'"):
            emulator.fail_next("GET /job")
        with pytest.raises(ValueError, match="times must be 1 or more"):
            emulator.fail_next("*", times=0)

    def test_the_gateway_may_fail_a_request_that_the_server_has_handled(self, emulator, caller):
        caller.log_in()
        emulator.fail_next("POST /jobs", 504, after=True)
        emulator.html_next("DELETE /jobs/{jobId}", status=403, after=True)

        created, cancelled = caller.sync(), caller.delete("/jobs/1")

        assert (created.status, created.is_html) == (504, True)
        assert (cancelled.status, cancelled.is_html) == (403, True)
        assert emulator.jobs[1].status == "cancelled"

    def test_a_gateway_may_answer_in_json_on_every_route(self, emulator):
        body = {"message": "No API key found in request"}
        emulator.fail_next("POST /applications/token", 401, body=body)

        response = exchange(emulator, {"client_id": "x", "client_secret": "y"})

        assert (response.status, response.json()) == (401, body)

    def test_a_response_can_be_altered(self, emulator, caller):
        ok(caller.sync())

        def with_an_item_that_cannot_be_read(body):
            return {**body, "data": [{"status": 7}, *body["data"]]}

        emulator.alter_next("GET /jobs", with_an_item_that_cannot_be_read)
        emulator.alter_next("GET /jobs", headers={"Date": None, "Server": "proxy"}, status=203)

        altered, renamed, untouched = (caller.get("/jobs") for _ in range(3))

        assert [job.get("jobId") for job in altered.json()["data"]] == [None, 1]
        assert (renamed.status, renamed.headers["server"]) == (203, "proxy")
        assert "date" not in renamed.headers
        assert renamed.json() == untouched.json()

    def test_a_response_can_be_cut_off_after_the_request_was_handled(self, emulator, caller):
        caller.log_in()
        emulator.cut_next("POST /jobs", 10)
        emulator.cut_next(HEALTH, 1000)
        body = b'{"connectionId":"%s","jobType":"sync"}' % emulator.connection_id.encode()
        post = HttpRequest(
            "POST",
            f"{BASE}/api/public/v1/jobs",
            {"authorization": f"Bearer {caller.token}", "content-type": "application/json"},
            body,
        )

        with pytest.raises(AirbyteTransportError, match="ended after 10 of"):
            run_blocking(emulator.transport().send(post))

        assert len(emulator.jobs) == 1
        ok(run_blocking(emulator.transport().send(HttpRequest("GET", f"{BASE}/api/v1/health"))))

    def test_a_request_that_is_held_back_is_handled_at_the_end(self, emulator, caller):
        caller.log_in()
        ok(caller.sync())
        emulator.hang_next("DELETE /jobs/{jobId}", 45, after=False)
        emulator.call_next("DELETE /jobs/{jobId}", lambda: statuses.append(emulator.jobs[1].status))
        statuses: list[str] = []
        began = emulator.now
        delete = HttpRequest(
            "DELETE",
            f"{BASE}/api/public/v1/jobs/1",
            {"authorization": f"Bearer {caller.token}"},
            timeout=60,
        )

        response = run_blocking(emulator.transport().send(delete))

        assert statuses == ["running"]
        assert ok(response)["status"] == "cancelled"
        assert (emulator.now - began).total_seconds() == 45
        assert emulator.jobs[1].history[-1] == (emulator.now.timestamp(), "cancelled")
        assert [each.status for each in emulator.requests][-1] == 200

    @pytest.mark.parametrize("after", [True, False])
    def test_a_held_request_may_be_lost_although_it_is_handled(self, emulator, caller, after):
        caller.log_in()
        emulator.hang_next("POST /jobs", 60, after=after, lost=True)

        with pytest.raises(AirbyteTransportError):
            caller.sync()

        assert len(emulator.jobs) == 1
        assert emulator.requests[-1].status is None

    def test_a_held_request_is_handled_although_the_client_has_given_up(self, emulator, caller):
        emulator.hang_next("GET /api/v1/health", 60, after=False)

        with pytest.raises(AirbyteRequestTimeoutError):
            run_blocking(
                emulator.transport().send(HttpRequest("GET", f"{BASE}/api/v1/health", timeout=5))
            )

        assert emulator.requests[-1].status == 200

    def test_a_slow_response_runs_into_the_total_timeout(self, emulator):
        emulator.drip_next(HEALTH, 1, times=2)
        request = HttpRequest("GET", f"{BASE}/api/v1/health", total_timeout=20)
        began = emulator.now

        with pytest.raises(AirbyteRequestTimeoutError):
            run_blocking(emulator.transport().send(request))

        assert (emulator.now - began).total_seconds() == 20
        ok(run_blocking(emulator.transport().send(HttpRequest("GET", f"{BASE}/api/v1/health"))))


class TestEvents:
    def test_a_job_of_the_schedule_can_start_right_before_a_request(self, emulator, caller):
        emulator.script_job(statuses=[("pending", 30), ("running", 60), ("succeeded", None)])
        emulator.call_next("POST /jobs", emulator.start_sync)

        job = ok(caller.sync())

        assert (job["jobId"], job["status"]) == (1, "pending")
        assert len(emulator.jobs) == 1

    def test_jobs_can_start_before_and_after_a_request_whose_response_is_lost(
        self, emulator, caller
    ):
        caller.log_in()
        emulator.call_next("POST /jobs", lambda: emulator.finish_job(emulator.start_sync()))
        emulator.call_next("POST /jobs", lambda: emulator.finish_job(2), after=True)
        emulator.call_next(
            "POST /jobs", lambda: emulator.start_sync(job_type="refresh"), after=True
        )
        emulator.drop_next("POST /jobs")

        with pytest.raises(AirbyteTransportError):
            caller.sync()

        assert [(job.config_type, job.status) for job in emulator.jobs.values()] == [
            ("sync", "succeeded"),
            ("sync", "succeeded"),
            ("refresh", "running"),
        ]

    def test_an_action_happens_as_often_as_asked_for(self, emulator, caller):
        happened: list[int] = []
        emulator.call_next("*", lambda: happened.append(1), times=2)
        emulator.call_next("GET /jobs", lambda: happened.append(2), times=None)

        for _ in range(3):
            ok(caller.get("/jobs"))
        emulator.clear_faults()
        ok(caller.get("/jobs"))

        assert happened == [1, 1, 2, 2, 2]

    def test_a_job_of_each_type_can_be_started(self, emulator, caller):
        for job_type in ("sync", "reset", "refresh"):
            job_id = emulator.start_sync(job_type=job_type)
            assert caller.job(job_id)["jobType"] == job_type
            emulator.finish_job(job_id)


class TestClocks:
    @pytest.mark.parametrize("offset", [-300.0, 120.0])
    def test_the_date_header_can_be_wrong(self, emulator, caller, offset):
        caller.log_in()
        emulator.date_offset = offset

        date = parsedate_to_datetime(caller.get("/jobs").headers["date"])

        assert (date - emulator.now.replace(microsecond=0)).total_seconds() == offset

    def test_the_date_header_can_be_missing(self):
        emulator = Emulator(date_offset=None)
        emulator.fail_next(HEALTH, 503)

        with emulator.serve() as server:
            failed, good = (requests.get(f"{server.url}/api/v1/health", timeout=5) for _ in "12")

        assert (failed.status_code, good.json()) == (503, {"available": True})
        assert "date" not in {name.lower() for name in (*failed.headers, *good.headers)}

    def test_a_date_that_a_fault_sets_is_sent_as_it_is(self, emulator, caller):
        caller.log_in()
        emulator.fail_next("GET /jobs", 503, headers={"Date": "Mon, 01 Jan 99999 00:00:00 GMT"})

        assert caller.get("/jobs").headers["date"] == "Mon, 01 Jan 99999 00:00:00 GMT"

    @pytest.mark.parametrize("served_over", ["sockets", "memory"])
    def test_the_date_header_follows_a_clock_that_is_moved(self, emulator, served_over):
        emulator.advance(90_061.75)
        request = HttpRequest("GET", f"{BASE}/api/v1/health")

        if served_over == "memory":
            date = run_blocking(emulator.transport().send(request)).headers["date"]
        else:
            with emulator.serve() as server:
                date = requests.get(f"{server.url}/api/v1/health", timeout=5).headers["Date"]

        # IMF-fixdate of RFC 9110
        assert date == emulator.now.strftime("%a, %d %b %Y %H:%M:%S GMT")

    @pytest.mark.parametrize("date", [None, "Wed, 25 Mar 2026 01:30:50 GMT"])
    def test_a_fresh_list_can_have_a_date_of_a_cache_or_none(self, emulator, caller, date):
        first = emulator.start_sync()
        headers = {"Date": date, "Age": "600"}
        emulator.alter_next("GET /jobs", headers=headers, times=2)

        empty = ok(caller.get("/jobs", updatedAtStart=emulator.now + timedelta(seconds=1)))
        altered = caller.get("/jobs")

        assert (altered.headers.get("date"), altered.headers["age"]) == (date, "600")
        assert [job["jobId"] for job in altered.json()["data"]] == [first]
        assert empty["data"] == []
        assert caller.get("/jobs").headers["date"] != date

    def test_a_list_can_come_from_a_cache_as_a_whole(self, emulator, caller):
        job_id = emulator.start_sync()
        old = caller.get("/jobs")
        emulator.advance(60)
        cached = {**old.headers, "Age": "60"}
        emulator.fail_next("GET /jobs", 200, times=None, headers=cached, body=old.body)

        stale = [caller.get("/jobs", updatedAtStart=emulator.now) for _ in range(2)]

        assert caller.job(job_id)["status"] == "succeeded"
        for response in stale:
            assert (response.body, response.headers) == (old.body, {**old.headers, "age": "60"})
        assert ok(old)["data"][0]["status"] == "running"
        emulator.clear_faults()
        assert ok(caller.get("/jobs"))["data"][0]["status"] == "succeeded"

    def test_two_clocks_make_a_duration_negative(self, emulator, caller):
        emulator.script_job(duration=2, clock_skew=-3)
        job_id = ok(caller.sync())["jobId"]
        emulator.advance(2)

        job = caller.job(job_id)

        assert (job["status"], job["duration"]) == ("succeeded", "PT-1S")
        started, ended = (datetime.fromisoformat(job[at]) for at in ("startTime", "lastUpdatedAt"))
        assert ended < started
        assert ok(caller.get("/jobs"))["data"] == [job]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(-1, "PT-1S"), (-61, "PT-1M-1S"), (-3_600, "PT-1H"), (3_661, "PT1H1M1S"), (0, "PT0S")],
    )
    def test_each_part_of_a_negative_duration_has_a_sign(self, seconds, text):
        assert iso_duration(seconds) == text


class TestDeletedWorkflow:
    def test_a_sync_is_a_conflict_although_there_is_no_job(self, emulator, caller):
        emulator.delete_workflow()

        conflict = problem(caller.sync(), 409)

        assert conflict["title"] == "try-again-later"
        assert emulator.connection_id in conflict["data"]["message"]
        assert not emulator.jobs
        body = {"connectionId": emulator.connection_id}
        assert caller.post("/api/v1/connections/sync", body).status == 409
        emulator.restore_workflow()
        ok(caller.sync())

    def test_its_job_is_cancelled_and_no_other_can_be_cancelled_or_reset(self, emulator, caller):
        ok(caller.sync())

        emulator.delete_workflow()

        assert emulator.jobs[1].status == "cancelled"
        assert problem(caller.delete("/jobs/1"), 409)["title"] == "try-again-later"
        assert problem(caller.sync(job_type="reset"), 409)["title"] == "state-conflict"


class TestIdentityProvider:
    def test_without_keycloak_no_token_is_valid_and_none_is_issued(self, emulator, caller):
        ok(caller.get("/jobs"))

        emulator.stop_identity_provider()

        credentials = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
        assert caller.get("/jobs").status == 401
        assert exchange(emulator, credentials).status == 500
        assert exchange(emulator, credentials, "/api/v1").status == 500
        emulator.start_identity_provider()
        ok(caller.get("/jobs"))

    def test_new_tokens_may_be_refused_as_well(self, emulator, caller):
        emulator.stop_identity_provider(issues_tokens=True)

        caller.log_in()

        assert caller.get("/jobs").status == 401
        exchanges = [r for r in emulator.requests if r.route == "POST /applications/token"]
        assert len(exchanges) == 1

    @pytest.mark.parametrize("auth_mode", ["generic-oidc", "simple", "none"])
    def test_only_keycloak_can_be_away(self, auth_mode):
        with pytest.raises(RuntimeError, match="checks tokens itself"):
            Emulator(auth_mode=auth_mode).stop_identity_provider()


class TestFaultsOverHttp:
    def test_a_response_can_be_sent_byte_by_byte(self, served):
        served.drip_next(HEALTH, 0.0005)

        response = requests.get(f"{served.url}/api/v1/health", timeout=5)

        assert response.json() == {"available": True}
        assert response.headers["content-type"] == "application/json"

    def test_a_client_may_leave_a_response_that_is_sent_byte_by_byte(self, served):
        served.drip_next(HEALTH, 0.01)
        address = urlsplit(served.url)

        with closing(socket.create_connection((address.hostname or "", address.port or 0))) as peer:
            peer.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert peer.recv(1) == b"H"

        assert requests.get(f"{served.url}/api/v1/health", timeout=5).status_code == 200

    @pytest.mark.parametrize("size", [0, 5])
    def test_a_response_can_be_cut_off(self, served, session, size):
        served.cut_next("POST /jobs", size)
        body = {"connectionId": served.connection_id, "jobType": "sync"}

        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            session.post(f"{served.url}/api/public/v1/jobs", json=body, timeout=5)

        assert len(served.jobs) == 1

    def test_a_header_can_be_invalid_utf8(self, served):
        served.fail_next(HEALTH, 503, headers={"Server": "x\udce9"})

        response = requests.get(f"{served.url}/api/v1/health", timeout=5)

        assert response.headers["server"] == "x\xe9"
        assert response.status_code == 503

    def test_a_head_response_without_a_date_has_no_body(self, served):
        served.date_offset = None

        response = requests.head(f"{served.url}/api/v1/health", timeout=5)

        assert (response.content, "date" in response.headers) == (b"", False)

    def test_a_held_request_is_handled_at_the_end(self, served, session):
        served.script_job(statuses=[("running", None)])
        job_id = served.start_sync()
        seen: list[tuple[str, int | None]] = []
        served.hang_next("DELETE /jobs/{jobId}", 0.05, after=False)
        served.call_next(
            "DELETE /jobs/{jobId}",
            lambda: seen.append((served.jobs[job_id].status, served.requests[-1].status)),
        )

        response = session.delete(f"{served.url}/api/public/v1/jobs/{job_id}", timeout=5)

        assert seen == [("running", None)]
        assert response.json()["status"] == "cancelled"
        assert served.requests[-1].status == 200


class TestRequestLog:
    def test_each_request_is_recorded_with_its_status(self, emulator, caller):
        ok(caller.sync())
        caller.get("/jobs", limit=1)
        caller.get("/nowhere")

        token, post, listing, unknown = emulator.requests

        assert token.route == "POST /applications/token"
        assert (post.method, post.path, post.status) == ("POST", "/api/public/v1/jobs", 200)
        assert post.json == {"connectionId": emulator.connection_id, "jobType": "sync"}
        assert (listing.route, listing.query) == ("GET /jobs", {"limit": ["1"]})
        assert (unknown.route, unknown.status) == (None, 403)

    def test_secrets_are_not_recorded(self, emulator, caller):
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

    def test_invalid_and_large_bodies_are_not_recorded(self, emulator, caller):
        for body in (b"{", b"[" * 5_000, b'"' + b"x" * 70_000 + b'"'):
            caller.send("POST", "/jobs", body)

        assert [recorded.json for recorded in emulator.requests[1:]] == [None] * 3
        assert emulator.requests[-1].body_bytes == 70_002

    def test_the_log_can_be_cleared(self, emulator, caller):
        ok(caller.get("/jobs"))

        emulator.clear_requests()

        assert emulator.requests == []

    def test_a_recorded_request_names_its_fault(self, emulator, caller):
        caller.log_in()
        emulator.hang_next("GET /jobs", 0.5)
        caller.get("/jobs")

        assert emulator.requests[-1].fault == "delay"
