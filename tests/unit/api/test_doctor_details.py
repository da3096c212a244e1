"""Answers of Airbyte that lack something, and what the doctor says then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_airbyte_sme.api import AirbyteSettings, AirbyteUrls, run_blocking
from airflow_provider_airbyte_sme.api.doctor import Outcome, Subject, run_checks, steps_for
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.examinations import examine, examine_emulator
from tests.unit.api.servers import Proxy, raw_response

AIRBYTE = "http://airbyte.example.com"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="instant", rows=120)
    with emulator.serve():
        yield emulator


def test_airbyte_cloud_is_not_asked_for_attempts():
    settings = AirbyteSettings(AirbyteUrls.parse("https://cloud.airbyte.com"))
    steps = [step for step in steps_for("") if step.name == "config-api"]

    (check,) = run_blocking(run_checks(Subject(settings, RequestsTransport), steps))

    assert check.outcome is Outcome.SKIPPED
    assert check.saw.startswith("Airbyte Cloud does not offer it")


def test_a_running_job_without_a_start_has_no_duration(emulator):
    emulator.script_job(statuses=[("running", None)])
    job_id = emulator.start_sync()
    emulator.alter_next(
        "GET /jobs",
        lambda body: {
            "data": [
                {name: value for name, value in job.items() if name != "startTime"}
                for job in body["data"]
            ]
        },
        times=None,
    )

    running = examine_emulator(emulator, connection_id=emulator.connection_id)["running-job"]

    assert running.outcome is Outcome.OK
    assert running.saw == f"Job {job_id} (sync) is running."


def test_a_token_that_is_no_jwt_is_accepted(emulator):
    emulator.alter_next(
        "POST /applications/token", lambda body: {**body, "access_token": "opaque"}, times=None
    )

    token = examine_emulator(emulator)["token"]

    assert token.outcome is not Outcome.FAILED
    assert "/applications/token issued one for" in token.saw


def test_redirects_that_do_not_end_are_no_page():
    redirects = [
        raw_response(b"", "302 Found", [("Location", f"{AIRBYTE}/login/{n}")]) for n in range(30)
    ]
    with Proxy(*redirects) as proxy:
        links = examine(AIRBYTE, proxy=proxy.url)["links"]

    assert links.outcome is Outcome.WARNING
    assert "no page of a UI" in links.saw
