"""The checks of a connection, step by step, as data."""

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteCredentialsError,
    AirbyteDecodeError,
    AirbytePermissionError,
    AirbyteServerError,
    AirbyteTransportError,
    Instance,
)
from airflow_provider_airbyte_sme.api.doctor import Check, Step, run_checks
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import (
    AIRBYTE,
    Wire,
    client_for,
    fail_sent,
    fail_unsent,
    requests_to,
    settings_for,
)

HEALTH = "GET /health"
TOKEN = "POST /applications/token"
WORKSPACES = "GET /workspaces"
INSTANCE = "GET /api/v1/instance_configuration"
API = f"{AIRBYTE}/api/public/v1"
NO_ROLE = "The user who owns the application has no role in any workspace."
NOT_ENCRYPTED = "The connection is not encrypted: use https outside a private network."


def test_a_working_connection_passes_every_step(client, emulator, run):
    report = run(run_checks(client))

    assert report.failed is None
    assert report.checks == (
        Check(Step.REACH),
        Check(Step.AUTHENTICATE),
        Check(Step.LIST_WORKSPACES),
    )
    assert [check.message for check in report.checks] == ["", "", ""]
    assert report.instance == Instance(version="2.1.0", edition="enterprise")
    assert [str(each) for each in report.workspaces] == [f"'Analytics' ({emulator.workspace_id})"]
    assert report.warnings == ()
    assert [request.route for request in emulator.requests] == [HEALTH, TOKEN, WORKSPACES, INSTANCE]


def test_an_airbyte_without_sign_in_needs_no_token(run):
    emulator = Emulator(time="manual", auth_mode="none")
    settings = settings_for(emulator, client_id="", client_secret="")

    report = run(run_checks(client_for(emulator, Wire(emulator), settings=settings)))

    assert report.failed is None
    assert [request.route for request in emulator.requests] == [HEALTH, WORKSPACES, INSTANCE]


def test_an_unreported_version_is_not_a_failure(client, emulator, run):
    emulator.html_next(INSTANCE, times=None)

    report = run(run_checks(client))

    assert report.failed is None
    assert report.instance == Instance()


def refuse_connections(emulator, wire):
    """Refuse every attempt of the first step."""
    for _ in range(100):
        wire.before_next("GET", fail_unsent)


REACH_FAILURES = {
    "html": (
        lambda emulator, wire: emulator.html_next("*", times=None),
        AirbyteDecodeError,
        "The Airbyte URL does not lead to a working Airbyte. "
        f"Airbyte responded to GET {API}/health with 200 and an HTML page instead of JSON: check "
        "Host (Airbyte URL) of the Airflow connection, and that no proxy asks for a login.",
    ),
    "unreachable": (
        refuse_connections,
        AirbyteTransportError,
        "Airbyte cannot be reached. Connection refused",
    ),
    "unhealthy": (
        lambda emulator, wire: emulator.fail_next(HEALTH, 503, times=None),
        AirbyteServerError,
        "The Airbyte URL does not lead to a working Airbyte. "
        f"Airbyte responded to GET {API}/health with 503: an HTML page instead of an API "
        "response. This is usually transient; see the logs of airbyte-server and of the ingress.",
    ),
}


@pytest.mark.parametrize(("fault", "error", "message"), REACH_FAILURES.values(), ids=REACH_FAILURES)
def test_a_wrong_or_unreachable_url_fails_the_first_step(
    client, emulator, wire, run, fault, error, message
):
    fault(emulator, wire)

    report = run(run_checks(client))

    assert report.checks == (report.failed,)
    assert report.failed.step == Step.REACH
    assert type(report.failed.error) is error
    assert report.failed.message == message
    assert {request.method for request in wire.requests} == {"GET"}
    assert (report.instance, report.workspaces, report.warnings) == (Instance(), (), ())


@pytest.mark.parametrize(
    ("auth_mode", "status", "error", "advice"),
    [
        ("oidc", 401, AirbyteCredentialsError, "Check Login (Client ID) and Password"),
        ("simple", 400, AirbyteCredentialsError, "Check Login (Client ID) and Password"),
        ("generic-oidc", 500, AirbyteServerError, "check Login (Client ID) and Password"),
    ],
)
def test_a_wrong_secret_fails_the_token_exchange(run, auth_mode, status, error, advice):
    emulator = Emulator(time="manual", auth_mode=auth_mode)
    settings = settings_for(emulator, client_secret="s3cret, but another one")

    report = run(run_checks(client_for(emulator, Wire(emulator), settings=settings)))

    assert report.checks == (Check(Step.REACH), report.failed)
    assert report.failed.step == Step.AUTHENTICATE
    assert report.failed.error.status == status
    assert type(report.failed.error) is error
    assert report.failed.message.startswith(
        "Airbyte issued no token for this Client ID and Client secret. "
        f"Airbyte responded to POST {API}/applications/token with {status}: "
    )
    assert advice in report.failed.message
    assert "s3cret" not in report.failed.message
    assert requests_to(emulator, WORKSPACES) == requests_to(emulator, INSTANCE) == []
    assert (report.instance, report.workspaces, report.warnings) == (Instance(), (), ())


def test_an_airbyte_that_becomes_unreachable_is_not_blamed_on_the_credentials(client, wire, run):
    for _ in range(100):
        wire.before_next("", fail_sent)

    report = run(run_checks(client))

    assert report.failed.step == Step.AUTHENTICATE
    assert report.failed.message == "Airbyte cannot be reached. Connection reset by peer"


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (403, AirbytePermissionError, "the user who owns the application needs a role"),
        (500, AirbyteServerError, "see the logs of airbyte-server"),
    ],
)
def test_an_error_response_fails_the_list_of_workspaces(
    client, emulator, run, status, error, advice
):
    emulator.fail_next(WORKSPACES, status, times=None)

    report = run(run_checks(client))

    assert report.checks == (Check(Step.REACH), Check(Step.AUTHENTICATE), report.failed)
    assert report.failed.step == Step.LIST_WORKSPACES
    assert type(report.failed.error) is error
    assert report.failed.message.startswith(
        "The workspaces cannot be listed. "
        f"Airbyte responded to GET {API}/workspaces?limit=100&offset=0 with {status}: "
    )
    assert advice in report.failed.message
    assert requests_to(emulator, INSTANCE) == []
    assert (report.instance, report.workspaces, report.warnings) == (Instance(), (), ())


def test_no_readable_workspace_is_a_warning(emulator, wire, run):
    client_id, client_secret = emulator.add_application("organization_member")
    settings = settings_for(emulator, client_id=client_id, client_secret=client_secret)

    report = run(run_checks(client_for(emulator, wire, settings=settings)))

    assert report.failed is None
    assert report.workspaces == ()
    assert report.warnings == (NO_ROLE,)
    assert report.instance == Instance(version="2.1.0", edition="enterprise")


def test_http_is_a_warning(emulator, wire, run):
    settings = settings_for(emulator, "http://airbyte.example.com")

    report = run(run_checks(client_for(emulator, wire, settings=settings)))

    assert report.failed is None
    assert report.warnings == (NOT_ENCRYPTED,)


def test_every_warning_is_reported(emulator, wire, run):
    client_id, client_secret = emulator.add_application("organization_member")
    settings = settings_for(
        emulator,
        "http://airbyte.example.com",
        client_id=client_id,
        client_secret=client_secret,
    )

    report = run(run_checks(client_for(emulator, wire, settings=settings)))

    assert report.warnings == (NO_ROLE, NOT_ENCRYPTED)
