"""Malformed requests: each gets the response of the real server, and none stops the emulator."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_airbyte_sme.api.http import HttpRequest
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.emulator.conftest import BASE, caller_of, error_id_only, hateoas_error, ok

MALFORMED_BODIES = {
    "empty": b"",
    "null byte": b"\x00",
    "not UTF-8": b"\xff\xfe\xfd",
    "truncated object": b"{",
    "two objects": b"{}{}",
    "NaN": b'{"connectionId": NaN}',
    "lone surrogate": b'"\\ud800"',
    "lone surrogate as connection id": b'{"connectionId": "\\ud800", "jobType": "sync"}',
    "deeply nested arrays": b"[" * 100_000,
    "deeply nested objects": b'{"a":' * 10_000,
    "long number": b"1" * 10_000,
    "number out of range": b"1e999",
    "UTF-16": '{"connectionId": "\u2028"}'.encode("utf-16"),
    "long string": json.dumps({"connectionId": "x" * 1_000_000, "jobType": "sync"}).encode(),
    "duplicate key": b'{"connectionId": "x", "connectionId": "y", "jobType": "sync"}',
    "null": b"null",
    "boolean": b"true",
    "null as connection id": b'{"connectionId": null}',
}
INVALID_HTTP = {
    "TLS handshake": b"\x16\x03\x01\x02\x00\x01",
    "unknown HTTP version": b"GET / HTTP/9.9\r\n\r\n",
    "long request line": b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "negative content length": (
        b"POST /api/v1/jobs/get HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"
    ),
    "invalid chunk size": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
    "truncated body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc",
    "no host": b"GET /api/v1/health HTTP/1.1\r\n\r\n",
    "invalid host": b"GET /api/v1/health HTTP/1.1\r\nHost: [\r\n\r\n",
    "absolute URL": b"GET http://elsewhere/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    "double slashes": b"GET //api//v1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "invalid percent encoding": b"GET /%ff%00?%ff HTTP/1.1\r\nHost: x\r\n\r\n",
}


class TestMalformedRequests:
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
    @pytest.mark.parametrize("body", MALFORMED_BODIES.values(), ids=MALFORMED_BODIES)
    def test_a_malformed_body_gets_a_json_response(self, emulator, caller, method_and_path, body):
        method, path = method_and_path.split()
        path = path.format(
            workspace=emulator.workspace_id,
            source=emulator.source_id,
            connection=emulator.connection_id,
        )

        response = caller.send(method, path, body)

        assert response.status in (200, 400, 403)
        json.loads(response.body)

    @pytest.mark.parametrize("value", [None, 1, 1.5, True, "x", [], [[]], {}, {"a": 1}])
    def test_a_field_of_the_wrong_type_is_not_a_server_error(self, emulator, caller, value):
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
    def test_a_malformed_query_is_not_a_server_error(self, emulator, caller, query):
        caller.log_in()
        response = emulator.respond(
            HttpRequest(
                "GET",
                f"{BASE}/api/public/v1/jobs?{query}",
                {"authorization": f"Bearer {caller.token}"},
            )
        )

        assert response.status in (200, 400)

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
    def test_a_malformed_path_is_not_a_server_error(self, emulator, caller, path):
        caller.log_in()
        headers = {"authorization": f"Bearer {caller.token}"}

        response = emulator.respond(HttpRequest("GET", BASE + path, headers))

        assert response.status in (200, 403)

    def test_values_of_enumerations_may_be_sent_in_any_case(self, emulator, caller):
        path = f"/connections/{emulator.connection_id}"

        assert ok(caller.patch(path, {"status": "INACTIVE"}))["status"] == "inactive"
        hateoas_error(caller.patch(path, {"status": "asleep"}), 400)

    def test_an_invalid_boolean_is_rejected(self, caller):
        hateoas_error(caller.get("/sources", includeDeleted="maybe"), 400)

    def test_an_uncaught_exception_returns_only_an_error_id(self, tmp_path, caplog):
        state_file = tmp_path / "state.json"
        caller = caller_of(Emulator(time="manual", state_file=state_file))
        ok(caller.sync())
        state_file.write_text(json.dumps({**json.loads(state_file.read_text()), "connections": {}}))

        caller.emulator = Emulator(time="manual", state_file=state_file)

        error_id_only(caller.post("/api/v1/jobs/get", {"id": 1}), 500)
        assert "Uncaught exception in POST /api/v1/jobs/get" in caplog.text

    def test_an_unsupported_media_type_is_rejected(self, caller):
        response = caller.send("POST", "/jobs", b"a=b", headers={"content-type": "text/plain"})

        assert "Content Type [text/plain] not allowed" in hateoas_error(response, 415)["message"]
        charset = {"content-type": "Application/JSON; charset=utf-8"}
        assert caller.send("POST", "/jobs", b"{}", headers=charset).status == 400

    def test_a_malformed_form_is_rejected(self, emulator):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        url = f"{BASE}/api/public/v1/applications/token"

        for body in (b"\xff", b"a=b&" * 5_000, b""):
            hateoas_error(emulator.respond(HttpRequest("POST", url, headers, body)), 400)

    def test_a_body_above_ten_megabytes_is_rejected(self, served, session):
        url = f"{served.url}/api/public/v1/jobs"
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
        hateoas_error(served.respond(big), 413)

    @pytest.mark.parametrize("raw", INVALID_HTTP.values(), ids=INVALID_HTTP)
    def test_invalid_http_gets_no_traceback_and_does_not_stop_the_server(self, served, raw):
        port = urlsplit(served.url).port or 0
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as client:
            client.sendall(raw)
            client.shutdown(socket.SHUT_WR)
            response = b""
            while part := client.recv(65_536):
                response += part

        assert b"Traceback" not in response
        assert b" 500 " not in response.partition(b"\r\n")[0]
        assert requests.get(f"{served.url}/api/v1/health", timeout=5).json() == {"available": True}
