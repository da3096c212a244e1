"""What Test Connection checks and reports, step by step."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from airflow_provider_airbyte_sme.api import AirbyteError, RetryPolicy, run_blocking
from airflow_provider_airbyte_sme.api.blocking import blocking_client
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.integration.conftest import SECRET
from tests.unit.api.certificates import Certificates
from tests.unit.api.servers import RawResponse, RawServer, raw_response


def test_success_reports_url_version_and_workspaces(emulator, hook_for_emulator):
    emulator.add_workspace("Second")

    assert hook_for_emulator(emulator).test_connection() == (
        True,
        f"Connected to Airbyte enterprise 2.1.0 at {emulator.url}: 2 workspaces. The connection is "
        f"not encrypted: whoever is on the way can read the client secret. Use https outside a "
        f"private network.",
    )


def test_a_server_that_never_finishes_its_response_ends_the_test_in_time(hook_for, monkeypatch):
    monkeypatch.setattr("airflow_provider_airbyte_sme.api.doctor.TEST_TIME_LIMIT", 0.5)
    endless = RawResponse(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9_000, pause=0.05)
    with RawServer(endless) as server:
        success, message = hook_for(host=server.url).test_connection()

    assert not success
    assert "the time for the whole call is over" in message


def test_thousands_of_workspaces_are_not_counted(emulator, hook_for_emulator):
    for number in range(100):
        emulator.add_workspace(f"More {number}")

    success, message = hook_for_emulator(emulator).test_connection()

    assert success
    assert ": 100 or more workspaces. " in message


def test_the_steps_are_health_token_workspaces_and_version(emulator, hook_for_emulator):
    hook_for_emulator(emulator).test_connection()

    assert [request.route for request in emulator.requests] == [
        "GET /health",
        "POST /applications/token",
        "GET /workspaces",
        "GET /api/v1/instance_configuration",
    ]


def test_an_encrypted_connection_gets_no_encryption_warning(hook_for, tmp_path):
    certificates = Certificates.made_in(tmp_path)
    responses = (
        raw_response(b"Successful operation"),
        raw_response(b'{"data": []}'),
        raw_response(b"{}", "404 Not Found"),
    )
    with RawServer(*responses, tls=certificates.server_context()) as server:
        hook = hook_for(host=server.url, extra={"ca_bundle": certificates.ca_bundle})

        assert hook.test_connection() == (
            True,
            f"Connected to Airbyte at {server.url}. There is no workspace. Create one in Airbyte: "
            f"it holds all else.",
        )


@pytest.mark.parametrize(
    ("auth_mode", "status", "advice"),
    [
        ("oidc", "with 401", "Check Login (Client ID) and Password (Client secret)"),
        ("simple", "with 400", "Check Login (Client ID) and Password (Client secret)"),
        (
            "generic-oidc",
            "with 500: the server failed, or the credentials are wrong (errorId ",
            "): check Login (Client ID) and Password (Client secret)",
        ),
    ],
    ids=["oidc", "simple", "generic OIDC"],
)
def test_a_wrong_secret_is_reported_in_every_auth_mode(
    hook_for_emulator, auth_mode, status, advice
):
    emulator = Emulator(auth_mode=auth_mode)
    with emulator.serve():
        success, message = hook_for_emulator(emulator, password="not the secret").test_connection()

    assert not success
    assert message.startswith(
        "Airbyte issued no token for this Client ID and Client secret. Airbyte responded to POST "
    )
    assert status in message
    assert advice in message


def test_a_wrong_secret_is_reported_after_a_success_in_the_same_process(
    emulator, hook_for_emulator
):
    assert hook_for_emulator(emulator).test_connection()[0]

    assert not hook_for_emulator(emulator, password="not the secret").test_connection()[0]


def test_an_html_page_is_reported(emulator, hook_for_emulator):
    success, message = hook_for_emulator(emulator, host=f"{emulator.url}/about").test_connection()

    assert not success
    assert message.startswith("The Airbyte URL does not lead to a working Airbyte. ")
    assert "and an HTML page" in message
    assert "Check Host" in message


@pytest.mark.parametrize(
    ("status", "headers"),
    [("302 Found", [("Location", "https://login.example.com/?next=x")]), ("404 Not Found", [])],
    ids=["redirect", "404"],
)
def test_the_url_of_another_service_is_reported(hook_for, status, headers):
    with RawServer(raw_response(b"another service", status, headers)) as server:
        success, message = hook_for(host=server.url).test_connection()

    assert not success
    assert message.startswith("The Airbyte URL does not lead to a working Airbyte. ")
    assert f"with {status[:3]}" in message
    assert "Check Host" in message


@pytest.mark.parametrize(
    "credentials",
    [{}, {"login": "an-id", "password": SECRET}],
    ids=["without credentials", "with credentials"],
)
def test_another_service_that_accepts_every_request_is_reported(hook_for, credentials):
    with RawServer(raw_response(b'{"status": "ok"}')) as server:
        success, message = hook_for(host=server.url, **credentials).test_connection()

    assert not success
    assert "Check that Host (Airbyte URL) of the Airflow connection leads to Airbyte" in message


def test_an_unhealthy_airbyte_is_reported_without_a_retry(emulator, hook_for_emulator):
    emulator.fail_next("GET /health", status=503)

    success, message = hook_for_emulator(emulator).test_connection()

    assert not success
    assert message.startswith("The Airbyte URL does not lead to a working Airbyte. ")
    assert "with 503" in message
    assert len(emulator.requests) == 1


def test_a_failed_list_of_workspaces_is_reported(emulator, hook_for_emulator):
    emulator.fail_next("GET /workspaces", status=403)

    success, message = hook_for_emulator(emulator).test_connection()

    assert not success
    assert message.startswith("The workspaces cannot be listed. Airbyte responded to GET ")


def test_a_closed_port_is_reported(hook_for, closed_port):
    success, message = hook_for(host="http://127.0.0.1", port=closed_port).test_connection()

    assert not success
    assert message.startswith(
        f"Airbyte cannot be reached. No connection to Airbyte's host 127.0.0.1:{closed_port}: "
        f"Connection refused. "
    )
    assert "Check Host (Airbyte URL) and Port" in message


def test_an_untrusted_certificate_is_reported(hook_for, tmp_path):
    with RawServer(tls=Certificates.made_in(tmp_path).server_context()) as server:
        success, message = hook_for(host=server.url).test_connection()

    assert not success
    assert message.startswith("Airbyte cannot be reached. ")
    assert "certificate is not trusted: set ca_bundle" in message


def test_a_certificate_that_soon_expires_is_a_warning(hook_for, tmp_path):
    certificates = Certificates.made_in(tmp_path)
    context = certificates.server_context(not_after=datetime.now(UTC) + timedelta(days=9, hours=1))
    responses = (
        raw_response(b"Successful operation"),
        raw_response(b'{"data": []}'),
        raw_response(b"{}", "404 Not Found"),
    )
    with RawServer(*responses, tls=context) as server:
        hook = hook_for(host=server.url, extra={"ca_bundle": certificates.ca_bundle})

        success, message = hook.test_connection()

    assert success
    assert "expires in 9 days" in message
    assert "Renew the certificate of Airbyte." in message


def test_an_airbyte_without_sign_in_needs_no_credentials(hook_for):
    emulator = Emulator(auth_mode="none")
    with emulator.serve():
        assert hook_for(host=emulator.url).test_connection()[0]

        success, message = hook_for(
            host=emulator.url, login="an-id", password=SECRET
        ).test_connection()

    assert not success
    assert "if this Airbyte has no sign-in, clear Login (Client ID)" in message


def test_an_airbyte_with_sign_in_needs_credentials(emulator, hook_for):
    success, message = hook_for(host=emulator.url).test_connection()

    assert not success
    assert "Enter those of an application" in message


def test_no_secret_is_in_a_message_a_repr_or_a_log(
    emulator, hook_for_emulator, closed_port, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    secrets = [emulator.client_secret, "open sesame", "proxy-password", "wrong-secret"]
    extra = {"headers": {"X-Api-Key": "open sesame"}}
    proxy = f"http://user:proxy-password@127.0.0.1:{closed_port}"
    connections: list[dict[str, object]] = [
        {"extra": extra},
        {"extra": extra, "password": "wrong-secret"},
        {"extra": {**extra, "proxy": proxy}},
        {"extra": extra, "host": f"{emulator.url}/about"},
    ]
    emulator.fail_next("GET /workspaces", status=500, body={"message": "no"}, times=2)
    texts = []
    for fields in connections:
        hook = hook_for_emulator(emulator, **fields)
        client = blocking_client(hook.settings, retry=RetryPolicy(max_attempts=2, max_delay=0.0))
        texts += [repr(hook.settings), repr(client), *map(str, hook.test_connection())]
        try:
            run_blocking(client.workspaces.list())
        except AirbyteError as error:
            texts += [str(error), repr(error)]
    captured = capfd.readouterr()
    output = "\n".join([*texts, caplog.text, captured.out, captured.err])

    assert urlsplit(emulator.url).netloc in caplog.text  # the log was captured
    for secret in secrets:
        assert secret not in output
