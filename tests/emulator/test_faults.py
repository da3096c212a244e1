"""Injected faults and the log of requests."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import ok


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "content"),
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
