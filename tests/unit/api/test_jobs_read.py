"""Reading jobs: one, a list, and the one that is running."""

import json

import pytest

from airflow_provider_airbyte_sme.api import AirbytePermissionError, HttpRequest
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import AIRBYTE, Wire, client_for


def test_get_returns_the_job(client, emulator, run):
    emulator.script_job(duration=60, rows=7)
    job_id = emulator.start_sync()
    emulator.advance(60)

    job = run(client.jobs.get(job_id))

    assert (job.job_id, job.connection_id) == (job_id, emulator.connection_id)
    assert (job.status, job.rows_synced) == ("succeeded", 7)


def test_an_unknown_job_raises_permission_error(client, run):
    with pytest.raises(AirbytePermissionError, match="the id does not exist in this Airbyte"):
        run(client.jobs.get(4711))


def test_jobs_are_listed_newest_first_and_filtered(client, emulator, run):
    other = emulator.add_connection("other")
    emulator.script_job(outcome="failed")
    first = emulator.start_sync()
    emulator.advance(60)
    second = emulator.start_sync()
    emulator.start_sync(other)

    def listed(**filters):
        return [job.job_id for job in run(client.jobs.list(**filters))]

    assert listed(connection_id=emulator.connection_id) == [second, first]
    assert listed(connection_id=emulator.connection_id, order_by="createdAt|ASC") == [first, second]
    assert listed(connection_id=emulator.connection_id, limit=1, offset=1) == [first]
    assert listed(status="failed") == [first]
    assert listed(job_type="reset") == []


def test_find_running_returns_only_a_running_job(client, emulator, run):
    assert run(client.jobs.find_running(emulator.connection_id)) is None
    emulator.start_sync()
    emulator.advance(60)
    assert run(client.jobs.find_running(emulator.connection_id)) is None

    job_id = emulator.start_sync()

    assert run(client.jobs.find_running(emulator.connection_id)).job_id == job_id


def test_find_running_returns_no_job_of_another_connection(client, emulator, run):
    emulator.start_sync(emulator.add_connection("another"))

    assert run(client.jobs.find_running(emulator.connection_id)) is None


def test_find_running_returns_a_refresh_that_lists_leave_out(run):
    emulator = Emulator(time="manual", version="2.0.0")
    wire = Wire(emulator)
    client = client_for(emulator, wire)
    run(client.jobs.list())
    # Only the internal API can start one, as the UI does.
    refresh = HttpRequest(
        "POST",
        f"{AIRBYTE}/api/v1/connections/refresh",
        wire.requests[-1].headers,
        json.dumps({"connectionId": emulator.connection_id, "refreshMode": "Merge"}).encode(),
    )
    assert emulator.respond(refresh).status == 200

    assert run(client.jobs.list()) == []
    assert run(client.jobs.find_running(emulator.connection_id)).job_type == "refresh"
