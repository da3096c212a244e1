"""What the doctor finds out about Airbyte and one of its connections, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteClient,
    AirbyteSession,
    AirbyteSettings,
    AirbyteUrls,
    RetryPolicy,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.doctor import Outcome, Subject, run_checks, steps_for
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import settings_for
from tests.unit.api.examinations import examine, examine_emulator, failures, outcomes
from tests.unit.api.servers import Proxy, RawServer, raw_response

DETAILS = "POST /api/v1/jobs/get_without_logs"
INSTANCE = "GET /api/v1/instance_configuration"
NAMED_URL = "http://airbyte.example.com"
# To the requests for health, workspaces and version, and to those that measure.
BEFORE_LINKS = (raw_response(b"{}"),) * (3 + 5)
PAGE = raw_response(
    b"<!doctype html><title>Airbyte</title>", headers=[("Content-Type", "text/html")]
)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="instant", rows=120)
    with emulator.serve():
        yield emulator


def examine_connection(emulator, **fields):
    return examine_emulator(emulator, connection_id=emulator.connection_id, **fields)


def check_in_memory(name, emulator, **fields):
    """Run one step, whose time is that of the emulator."""
    settings = replace(settings_for(emulator), **fields)
    subject = Subject(settings, lambda _: emulator.transport(), clock=emulator.clock.time)
    steps = [step for step in steps_for("") if step.name == name]
    (check,) = run_blocking(run_checks(subject, steps))
    return check


def credentials_of(application):
    return dict(zip(("client_id", "client_secret"), application, strict=True))


class TestAirbyte:
    def test_a_web_page_fails(self, emulator):
        checks = examine(f"{emulator.url}/about")

        assert failures(checks) == ["airbyte"]
        assert checks["airbyte"].saw.startswith(
            "The Airbyte URL does not lead to a working Airbyte. "
        )
        assert "an HTML page" in checks["airbyte"].saw
        assert checks["airbyte"].change.startswith("Check Host")
        assert checks["links"].outcome is not Outcome.SKIPPED

    @pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "500 Internal Server Error"])
    def test_another_service_fails(self, status):
        with RawServer(raw_response(b"another service", status)) as server:
            checks = examine(server.url)

        assert failures(checks) == ["airbyte"]
        assert f"with {status[:3]}" in checks["airbyte"].saw
        assert checks["airbyte"].change

    def test_a_service_that_accepts_everything_fails(self):
        with RawServer(raw_response(b'{"status": "ok"}')) as server:
            checks = examine(server.url, client_id="an-id", client_secret="s3cret-value")

        assert failures(checks) == ["token"]
        assert "Check that Host (Airbyte URL)" in checks["token"].change
        assert checks["airbyte"].outcome is Outcome.WARNING
        assert checks["airbyte"].saw.endswith("""not as by Airbyte: '{"status": "ok"}'.""")
        assert "leads to Airbyte" in checks["airbyte"].change

    def test_the_time_to_wait_that_a_gateway_names_is_told(self, emulator):
        emulator.fail_next("GET /workspaces", 429, headers={"Retry-After": "3600"})

        assert examine_emulator(emulator)["workspaces"].saw.endswith(
            "You are being rate limited. It asks to wait 1 h 0 min."
        )

    @pytest.mark.parametrize("auth_mode", ["oidc", "generic-oidc", "simple"])
    def test_a_wrong_secret_fails(self, auth_mode):
        emulator = Emulator(auth_mode=auth_mode)
        with emulator.serve():
            checks = examine_emulator(emulator, client_secret="not the secret")

        assert failures(checks) == ["token"]
        assert checks["token"].saw.startswith("Airbyte issued no token for this Client ID")
        assert "Client secret" in checks["token"].message
        assert checks["workspaces"].saw == "Not checked, because token failed."
        assert checks["version"].outcome is Outcome.OK

    def test_no_credentials_fail_the_first_request_that_needs_them(self, emulator):
        checks = examine(emulator.url)

        assert checks["token"].outcome is Outcome.SKIPPED
        assert failures(checks) == ["workspaces"]
        assert "Enter those of an application" in checks["workspaces"].change

    def test_an_airbyte_without_sign_in_needs_no_token(self):
        emulator = Emulator(time="instant", auth_mode="none")
        with emulator.serve():
            checks = examine(emulator.url, connection_id=emulator.connection_id)

        assert failures(checks) == []
        assert checks["version"].saw.endswith("auth mode none.")
        assert checks["role"].saw == "An Airbyte without sign-in lets everybody start syncs."

    def test_the_endpoint_and_the_lifetime_of_a_token_are_told(self, emulator):
        assert examine_emulator(emulator)["token"].saw == (
            f"POST {emulator.url}/api/public/v1/applications/token issued one for 15 min 0 s."
        )

    def test_a_short_lifetime_is_a_warning(self):
        emulator = Emulator(token_lifetime=90)
        with emulator.serve():
            token = examine_emulator(emulator)["token"]

        assert token.outcome is Outcome.WARNING
        assert token.saw.endswith("issued one for 1 min 30 s.")
        assert "AB_AIRBYTE_AUTH_TOKEN_EXPIRATION_APPLICATION" in token.change

    def test_a_403_fails_only_what_needs_it(self, emulator):
        emulator.fail_next("GET /workspaces", 403, times=None)

        checks = examine_connection(emulator)

        assert failures(checks) == ["workspaces"]
        assert checks["workspaces"].saw.startswith("The workspaces cannot be listed. ")
        assert "needs a role in that workspace" in checks["workspaces"].change
        assert checks["connection"].outcome is Outcome.OK

    def test_workspaces_are_named(self, emulator):
        for number in range(6):
            emulator.add_workspace(f"More {number}")

        workspaces = examine_emulator(emulator)["workspaces"]

        assert workspaces.saw.startswith("7: ")
        assert f"'Analytics' ({emulator.workspace_id})" in workspaces.saw
        assert workspaces.saw.endswith(" and 2 more.")

    def test_thousands_of_workspaces_are_not_all_read(self, emulator):
        for number in range(100):
            emulator.add_workspace(f"More {number}")

        workspaces = examine_emulator(emulator)["workspaces"]

        assert workspaces.saw.startswith("100 or more, such as '")
        assert [each.route for each in emulator.requests].count("GET /workspaces") == 1

    def test_no_workspace_is_a_warning(self, emulator):
        application = emulator.add_application("organization_member")

        checks = examine_emulator(emulator, **credentials_of(application))

        assert checks["workspaces"].outcome is Outcome.WARNING
        assert "has no role in any workspace" in checks["workspaces"].change

    def test_version_edition_and_auth_mode_are_told(self, emulator):
        assert examine_emulator(emulator)["version"].saw == (
            "Version 2.1.0, edition enterprise, auth mode oidc."
        )

    @pytest.mark.parametrize("status", [200, 403, 404])
    def test_a_closed_endpoint_of_the_version_is_good(self, emulator, status):
        emulator.html_next(INSTANCE, times=None, status=status)

        version = examine_emulator(emulator)["version"]

        assert version.outcome is Outcome.OK
        assert version.saw.startswith("The version is not reported. ")
        assert f"/api/v1/instance_configuration with {status}" in version.saw

    def test_nothing_asks_the_config_api_if_it_is_not_to_be_used(self, emulator):
        emulator.start_sync()

        checks = examine_connection(emulator, config_api=False)

        assert failures(checks) == []
        for name in ("version", "config-api"):
            assert checks[name].outcome is Outcome.SKIPPED
            assert checks[name].saw == "config_api of the Airflow connection is false."
        assert not any("/api/v1/" in request.route for request in emulator.requests)

    def test_an_outage_of_the_endpoint_of_the_version_is_a_warning(self, emulator):
        emulator.drop_next(INSTANCE, times=None)

        version = examine_emulator(emulator)["version"]

        assert version.outcome is Outcome.WARNING
        assert version.saw.startswith("The version is not reported. No response to GET ")
        assert version.change

    def test_the_version_has_ten_seconds(self):
        emulator = Emulator(time="manual")
        emulator.hang_next(INSTANCE, 11)

        version = check_in_memory("version", emulator, request_timeout=60.0)

        assert version.outcome is Outcome.WARNING
        assert version.saw.endswith("No response within 10 s.")


class TestClock:
    @pytest.mark.parametrize(
        ("offset", "text"),
        [(300, "5 min 0 s ahead of this machine"), (-7200, "2 h 0 min behind this machine")],
    )
    def test_a_skewed_clock_is_a_warning(self, emulator, offset, text):
        emulator.date_offset = offset

        clock = examine_emulator(emulator)["clock"]

        assert clock.outcome is Outcome.WARNING
        # What a token says is not changed by a proxy.
        assert clock.saw == f"Date header: {text}, token: same time as here."
        assert "NTP" in clock.change

    def test_a_small_difference_is_told(self, emulator):
        emulator.date_offset = 20

        clock = examine_emulator(emulator)["clock"]

        assert clock.outcome is Outcome.OK
        assert "Date header: 20 s ahead of this machine" in clock.saw

    def test_without_a_date_the_token_tells(self, emulator):
        emulator.date_offset = None

        assert examine_emulator(emulator)["clock"].saw == "token: same time as here."

    def test_without_either_it_is_skipped(self):
        emulator = Emulator(auth_mode="none", date_offset=None)
        with emulator.serve():
            clock = examine(emulator.url)["clock"]

        assert clock.outcome is Outcome.SKIPPED


class TestLatency:
    @pytest.fixture
    def emulator(self):
        # Its clock moves only with the delays of its responses.
        return Emulator(time="manual")

    @pytest.mark.parametrize(
        ("delay", "outcome", "text"),
        [
            (0.25, Outcome.OK, "Median 250 ms, slowest 250 ms of 5 requests"),
            (1.5, Outcome.WARNING, "Median 1500 ms, slowest 1500 ms of 5 requests"),
        ],
    )
    def test_slow_responses_are_a_warning(self, emulator, delay, outcome, text):
        emulator.hang_next("GET /health", delay, times=None)

        latency = check_in_memory("latency", emulator)

        assert latency.outcome is outcome
        assert latency.saw.startswith(text)


class TestLinks:
    """The host of links, behind a proxy that answers for every host."""

    @pytest.fixture
    def links_of(self):
        def examine_links(*responses, web=NAMED_URL, **fields):
            with Proxy(*(responses or (PAGE,))) as proxy:
                checks = examine(web, proxy=proxy.url, **fields)
            return checks["links"], proxy

        return examine_links

    def test_a_page_passes(self, links_of):
        links, _ = links_of()

        assert links.outcome is Outcome.OK
        assert links.saw == f"Links point to {NAMED_URL}, which serves a page."

    def test_a_login_on_another_host_passes(self, links_of):
        login = "http://login.example.com/start?state=abc"
        links, _ = links_of(
            *BEFORE_LINKS,
            raw_response(b"", "302 Found", [("Location", login)]),
            PAGE,
        )

        assert links.outcome is Outcome.OK
        assert links.saw == (
            f"Links point to {NAMED_URL}, which serves a page by way of "
            f"http://login.example.com/start."
        )

    @pytest.mark.parametrize(
        "url",
        [
            "http://localhost:8000",
            "http://127.0.0.1:8001",
            "http://airbyte-server.airbyte.svc.cluster.local:8001",
            "http://airbyte-server.airbyte.svc:8001",
            "http://airbyte-server.airbyte.svc.cloud.example.com:8001",
            "http://host.docker.internal:8001",
            "http://airbyte-server",
            "https://airbyte.example.com/api/v7",
        ],
    )
    def test_a_name_that_only_this_network_knows_is_a_warning(self, links_of, url):
        links, _ = links_of(web=url)

        assert links.outcome is Outcome.WARNING
        assert links.saw.startswith(f"Links point to {url}, ")
        assert links.change.startswith("Set web_url of the Airflow connection")

    @pytest.mark.parametrize("domain", ["corp.local", "example.internal"])
    def test_a_name_of_a_company_passes(self, links_of, domain):
        links, _ = links_of(web=f"http://airbyte.{domain}")

        assert links.outcome is Outcome.OK

    @pytest.mark.parametrize(
        "response",
        [
            raw_response(b'{"status": "ok"}'),
            raw_response(b"gone", "404 Not Found"),
            raw_response(b"<html>Sorry</html>", "503 Service Unavailable"),
            raw_response(b"", "302 Found", [("Location", NAMED_URL + "/")]),
            raw_response(b"", "302 Found", [("Location", "ftp://files.example.com/")]),
            raw_response(b"", "302 Found", [("Location", "http://[login")]),
        ],
        ids=[
            "JSON",
            "404",
            "error page",
            "redirect to itself",
            "redirect to another scheme",
            "redirect to what is no URL",
        ],
    )
    def test_what_is_no_page_is_a_warning(self, links_of, response):
        links, _ = links_of(response)

        assert links.outcome is Outcome.WARNING
        assert "no page of a UI" in links.saw
        assert "Check in a browser" in links.change

    def test_an_address_that_airbyte_names_may_be_no_url(self, links_of):
        odd = raw_response(b'{"airbyteUrl": "http://[airbyte"}')
        links, _ = links_of(*[raw_response(b"{}")] * 2, odd, *[raw_response(b"{}")] * 5, PAGE)

        assert links.outcome is Outcome.OK
        assert links.saw.endswith("Airbyte itself names http://[airbyte.")

    def test_no_response_is_a_warning(self, links_of):
        closing = type(PAGE)(b"", then="close")

        links, _ = links_of(*BEFORE_LINKS, closing)

        assert links.outcome is Outcome.WARNING
        assert "which does not open from here: No response to GET" in links.saw

    def test_the_host_of_links_gets_no_credentials_and_no_headers(self, links_of):
        headers = {"X-Api-Key": "open sesame"}
        _, proxy = links_of(client_id="an-id", client_secret="s3cret-value", headers=headers)

        (page,) = [each for each in proxy.requests if each.target == f"{NAMED_URL}/"]
        assert "x-api-key" not in page.headers
        assert "authorization" not in page.headers
        assert any("x-api-key" in each.headers for each in proxy.requests)


class TestConnection:
    def test_everything_about_a_connection_is_told(self, emulator):
        for _ in range(7):
            emulator.start_sync()

        checks = examine_connection(emulator)

        assert failures(checks) == []
        assert checks["connection"].saw == (
            f"'Sample data to Warehouse' ({emulator.connection_id}) with 3 streams, in workspace "
            f"{emulator.workspace_id}."
        )
        assert checks["status"].saw == "Active."
        assert checks["schedule"].saw == "Manual: Airbyte itself starts no sync."
        assert checks["syncs"].saw.count("succeeded, 120 rows in ") == 5
        assert checks["syncs"].saw.startswith("Job 7 succeeded, ")
        assert checks["running-job"].saw == "None."
        assert checks["config-api"].saw.startswith("Open, with statistics of each stream: job 7 ")

    def test_only_reads_are_sent(self, emulator):
        emulator.start_sync()

        examine_connection(emulator)

        writes = {each.route for each in emulator.requests if each.method != "GET"}
        assert writes == {"POST /applications/token", DETAILS}

    def test_an_unknown_connection_fails(self, emulator):
        unknown = "00000000-0000-4000-8000-000000000000"

        checks = examine_emulator(emulator, connection_id=unknown)

        assert failures(checks) == ["connection"]
        assert checks["connection"].saw.startswith("The connection cannot be read. ")
        assert "the id does not exist" in checks["connection"].change
        for name in ("status", "schedule", "role", "syncs", "running-job"):
            assert checks[name].saw == "Not checked, because connection failed."
        assert checks["config-api"].outcome is Outcome.SKIPPED  # no job yet

    @pytest.mark.parametrize(
        "connection_id", ["sales to lake", "{00000000-0000-4000-8000-000000000000}", ".."]
    )
    def test_what_cannot_be_an_id_is_not_asked_for(self, emulator, connection_id):
        checks = examine_emulator(emulator, connection_id=connection_id)

        assert failures(checks) == ["connection"]
        assert checks["connection"].saw == f"{connection_id!r} is not a UUID."
        assert "/connections/" in checks["connection"].change
        assert not any("{connectionId}" in each.route for each in emulator.requests)

    @pytest.mark.parametrize(
        ("status", "advice"),
        [
            ("inactive", "Enable the connection in Airbyte."),
            (
                "locked",
                "Ask those who run Airbyte for the reason: nobody can change a locked connection.",
            ),
            ("deprecated", "It is deleted: remove its id from the DAG."),
        ],
    )
    def test_a_connection_that_is_not_active_fails(self, emulator, status, advice):
        emulator.start_sync()
        emulator.set_connection_status(emulator.connection_id, status)

        checks = examine_connection(
            emulator, **credentials_of(emulator.add_application("instance_admin"))
        )

        assert failures(checks) == ["status"]
        assert checks["status"].change == advice
        assert checks["syncs"].outcome is Outcome.OK

    def test_a_schedule_is_told(self, emulator):
        connection_id = emulator.add_connection(
            schedule={"scheduleType": "cron", "cronExpression": "0 0 3 * * ? UTC"}
        )

        checks = examine_emulator(emulator, connection_id=connection_id)

        assert checks["schedule"].saw.startswith("cron, 0 0 3 * * ? UTC: Airbyte starts syncs")

    def test_a_failed_sync_is_a_warning(self, emulator):
        emulator.script_job(outcome="failed", failure={"message": "no such table"})
        emulator.start_sync()

        syncs = examine_connection(emulator)["syncs"]

        assert syncs.outcome is Outcome.WARNING
        assert syncs.saw.startswith("Job 1 failed, ")
        assert f"/connections/{emulator.connection_id}/timeline?jobId=1" in syncs.change

    def test_a_cancelled_sync_hides_no_failed_one(self, emulator):
        for outcome in ("failed", "cancelled"):
            emulator.script_job(outcome=outcome)
            emulator.start_sync()

        syncs = examine_connection(emulator)["syncs"]

        assert syncs.outcome is Outcome.WARNING
        assert syncs.saw.startswith("Job 2 cancelled, ")
        assert "timeline?jobId=1" in syncs.change

    def test_only_cancelled_syncs_are_no_failure(self, emulator):
        emulator.script_job(outcome="cancelled")
        emulator.start_sync()

        assert examine_connection(emulator)["syncs"].outcome is Outcome.OK

    def test_a_connection_that_has_never_synced_is_no_failure(self, emulator):
        checks = examine_connection(emulator)

        assert checks["syncs"].saw == "None has ended yet."
        assert checks["config-api"].saw == "There is no job yet to ask it about."

    def test_a_running_job_is_told(self, emulator):
        emulator.script_job(statuses=[("running", None)])
        job_id = emulator.start_sync()

        checks = examine_connection(emulator)

        assert checks["running-job"].outcome is Outcome.OK
        assert checks["running-job"].saw.startswith(f"Job {job_id} (sync) has been running for ")
        assert checks["syncs"].saw == "None has ended yet."

    def test_a_job_that_runs_for_more_than_a_day_is_a_warning(self, emulator):
        emulator.script_job(statuses=[("running", None)])
        emulator.start_sync()
        old = {"startTime": "2020-01-01T00:00:00Z"}
        emulator.alter_next(
            "GET /jobs", lambda body: {"data": [{**job, **old} for job in body["data"]]}, times=None
        )

        running = examine_connection(emulator)["running-job"]

        assert running.outcome is Outcome.WARNING
        assert "cancel it" in running.change

    def test_syncs_without_counters_are_a_warning(self, emulator):
        emulator.script_job(statistics="none")
        emulator.start_sync()

        checks = examine_connection(emulator)

        assert checks["syncs"].outcome is Outcome.WARNING
        assert checks["syncs"].saw.startswith("Job 1 succeeded, no row count")
        assert checks["config-api"].outcome is Outcome.WARNING
        assert "without statistics of the streams of job 1" in checks["config-api"].saw


class TestRole:
    @pytest.mark.parametrize(
        "role",
        [
            "workspace_runner",
            "workspace_source_editor",
            "workspace_editor",
            "workspace_admin",
            "organization_runner",
            "organization_admin",
            "instance_admin",
        ],
    )
    def test_a_role_that_may_sync_passes(self, emulator, role):
        checks = examine_connection(emulator, **credentials_of(emulator.add_application(role)))

        assert checks["role"].outcome is Outcome.OK
        assert checks["role"].saw == f"May start syncs: {role}."

    @pytest.mark.parametrize("role", ["workspace_reader", "organization_reader"])
    def test_a_role_that_may_only_read_is_a_warning(self, emulator, role):
        checks = examine_connection(emulator, **credentials_of(emulator.add_application(role)))

        assert checks["role"].outcome is Outcome.WARNING
        assert role in checks["role"].saw
        assert "the role runner in this workspace" in checks["role"].change

    def test_a_role_in_one_of_several_organizations_is_not_enough_to_tell(self, emulator):
        add = {"organizationId": "11111111-1111-4111-8111-111111111111"}
        emulator.alter_next(
            "GET /organizations",
            lambda body: {"data": [*body["data"], {**body["data"][0], **add}]},
        )
        application = emulator.add_application("organization_runner")

        checks = examine_connection(emulator, **credentials_of(application))

        assert checks["role"].outcome is Outcome.SKIPPED
        assert "organization_runner is enough if the workspace belongs to" in checks["role"].saw

    def test_permissions_that_cannot_be_read_are_no_failure(self, emulator):
        emulator.fail_next("GET /permissions", 403, times=None)

        role = examine_connection(emulator)["role"]

        assert role.outcome is Outcome.SKIPPED
        assert "cannot be read" in role.saw


class TestConfigApi:
    @pytest.fixture
    def synced(self, emulator):
        emulator.start_sync()
        return emulator

    def test_it_is_asked_about_any_job_without_a_connection(self, synced):
        checks = examine_emulator(synced)

        assert checks["config-api"].saw.startswith("Open, with statistics of each stream: job 1 ")

    @pytest.mark.parametrize("status", [403, 404])
    def test_a_closed_one_is_a_warning(self, synced, status):
        synced.fail_next(DETAILS, status, times=None, body="blocked by the ingress")

        config_api = examine_connection(synced)["config-api"]

        assert config_api.outcome is Outcome.WARNING
        assert config_api.saw.startswith("The config API is closed: ")
        assert "Let POST /api/v1/jobs/get_without_logs" in config_api.change

    def test_a_forbidden_one_is_a_warning(self, synced):
        synced.fail_next(DETAILS, 403, times=None)

        config_api = examine_connection(synced)["config-api"]

        assert config_api.outcome is Outcome.WARNING
        assert "does not let tasks read how jobs ended" in config_api.saw
        assert "needs a role in that workspace" in config_api.change

    def test_a_failing_one_is_a_warning(self, synced):
        synced.fail_next(DETAILS, 500, times=None)

        config_api = examine_connection(synced)["config-api"]

        assert config_api.outcome is Outcome.WARNING
        assert config_api.saw.startswith("The config API does not work. ")

    def test_without_the_list_of_jobs_it_is_not_asked(self, synced):
        synced.fail_next("GET /jobs", 403, times=None)

        config_api = examine_emulator(synced)["config-api"]

        assert config_api.outcome is Outcome.SKIPPED
        assert config_api.saw.startswith(
            "There is no job to ask it about. Airbyte responded to GET"
        )

    def test_one_that_is_switched_off_is_not_asked(self, synced):
        checks = examine_emulator(synced, config_api=False)

        assert checks["config-api"].saw == "config_api of the Airflow connection is false."
        assert DETAILS not in [each.route for each in synced.requests]


ROUTES = (
    "GET /health",
    "POST /applications/token",
    "GET /workspaces",
    INSTANCE,
    "GET /connections/{connectionId}",
    "GET /permissions",
    "GET /organizations",
    "GET /jobs",
    DETAILS,
)
ODD = json.dumps({"data": [7], "access_token": 7, "auth": [], "job": "x", "version": 1})
FAULTS = {
    "503": lambda emulator, route: emulator.fail_next(route, 503, times=None),
    "401": lambda emulator, route: emulator.fail_next(route, 401, times=None),
    "redirect": partial(
        lambda emulator, route, **fault: emulator.fail_next(route, 302, **fault),
        times=None,
        headers={"Location": "http://login.example.com/"},
    ),
    "odd JSON": lambda emulator, route: emulator.fail_next(route, 200, times=None, body=ODD),
    "no JSON": lambda emulator, route: emulator.fail_next(route, 200, times=None, body="\x00{"),
    "page": lambda emulator, route: emulator.html_next(route, times=None),
    "dropped": lambda emulator, route: emulator.drop_next(route, times=None),
    "cut": lambda emulator, route: emulator.cut_next(route, times=None),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_outage_or_an_odd_answer_is_a_finding_and_no_traceback(emulator, fault, route):
    emulator.start_sync()
    fault(emulator, route)

    checks = examine_connection(emulator)

    assert list(checks) == [step.name for step in steps_for(emulator.connection_id)]
    assert "The check itself failed" not in str(checks)
    assert all(each.message for each in checks.values())
    assert set(outcomes(checks).values()) <= {"ok", "warning", "failed", "skipped"}


def test_no_secret_is_in_a_check(emulator):
    emulator.start_sync()
    for route in ("GET /workspaces", "GET /jobs", "GET /permissions"):
        emulator.fail_next(
            route,
            500,
            times=None,
            body={"message": f"key open sesame, secret {emulator.client_secret}"},
        )

    checks = examine_connection(emulator, headers={"X-Api-Key": "open sesame"})

    text = str(checks)
    assert "workspaces" in failures(checks)
    for secret in ("open sesame", emulator.client_secret, *emulator.issued_secrets):
        assert secret not in text


def test_a_client_with_retries_can_use_its_transport(emulator):
    settings = AirbyteSettings(AirbyteUrls.parse(emulator.url))
    subject = Subject(settings, RequestsTransport)
    emulator.fail_next("GET /health", 503)
    session = AirbyteSession(
        settings, subject.transport(settings), retry=RetryPolicy(max_attempts=2, base=0.01)
    )

    run_blocking(AirbyteClient(session).system.check_health())

    assert [request.route for request in emulator.requests] == ["GET /health", "GET /health"]
