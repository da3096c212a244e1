"""The trigger: its serialization, many waits in one event loop, and cancellation."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_airbyte_sme.api import AirbyteJobTimeoutError, Ownership
from airflow_provider_airbyte_sme.outcome import JobEvent
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger
from tests.integration.conftest import CONNECTION_NAME, CONNECTION_VARIABLE, request_count
from tests.tasks import first_event, rebuilt, run_trigger

# Seconds. A busy machine may stop the loop now and then too: `make bench` measures the gaps.
LATENCY = 0.3


@pytest.fixture
def make_trigger(emulator):
    """Create the trigger of a job that its task started, by default of one that never ends."""

    def make(job_id: int | None = None, **kwargs):
        if job_id is None:
            emulator.script_job(statuses=[("running", None)])
            job_id = emulator.start_sync()
        defaults = {
            "poll_interval": 0.05,
            "deadline": time.time() + 3600,
            "ownership": Ownership.STARTED,
        }
        return AirbyteJobTrigger(
            airbyte_conn_id="airbyte_sme_default",
            job_id=job_id,
            connection_id=emulator.connection_id,
            **{**defaults, **kwargs},
        )

    return make


@pytest.mark.parametrize("ownership", list(Ownership))
def test_every_argument_survives_serialization(make_trigger, ownership):
    trigger = make_trigger(
        7,
        job_url="https://airbyte.example.com/job",
        connection_name=CONNECTION_NAME,
        ownership=ownership,
        cancel_on_kill=True,
    )
    classpath, kwargs = trigger.serialize()

    stored = json.dumps(BaseSerialization.serialize(kwargs))

    assert classpath == "airflow_provider_airbyte_sme.triggers.airbyte.AirbyteJobTrigger"
    assert rebuilt(trigger).serialize() == trigger.serialize()
    assert vars(rebuilt(trigger)) == vars(trigger)
    assert BaseSerialization.deserialize(json.loads(stored)) == kwargs


def test_no_secret_is_in_the_serialized_trigger_or_its_repr(emulator, make_trigger):
    trigger = make_trigger(7)

    assert emulator.client_secret not in repr(trigger) + repr(trigger.serialize())


def test_a_restarted_trigger_keeps_its_deadline(make_trigger):
    event = run_trigger(make_trigger(deadline=time.time() - 1))

    with pytest.raises(AirbyteJobTimeoutError, match="still running after a wait of 0 s"):
        JobEvent.from_payload(event).ended_job()


def test_a_job_that_has_ended_is_reported_even_after_the_deadline(emulator, make_trigger):
    job_id = emulator.start_sync()
    emulator.finish_job(job_id)

    event = JobEvent.from_payload(run_trigger(make_trigger(job_id, deadline=time.time() - 1)))

    assert event.ended_job().job.has_succeeded


def test_the_event_has_everything_that_the_trigger_knows(emulator, make_trigger):
    job_id = emulator.start_sync()
    trigger = make_trigger(
        job_id,
        ownership=Ownership.FOUND,
        job_url="https://x.example/job",
        connection_name=CONNECTION_NAME,
    )

    tracked = JobEvent.from_payload(run_trigger(trigger)).ended_job()

    assert tracked.job.job_id == job_id
    assert tracked.ownership is Ownership.FOUND
    assert tracked.deadline == trigger.deadline
    assert tracked.job_url == "https://x.example/job"
    assert tracked.connection_name == CONNECTION_NAME


class TestMessagesNameTheConnection:
    def test_error(self, make_trigger, connection_label):
        trigger = make_trigger(
            4711, job_url="https://x.example/4711", connection_name=CONNECTION_NAME
        )

        event = JobEvent.from_payload(run_trigger(trigger))

        assert event.outcome == "error"
        assert event.permanent
        assert event.message.startswith(
            f"Job 4711 of connection {connection_label} cannot be watched any longer and may "
            f"still be running: Airbyte responded to GET "
        )
        assert event.message.endswith(" https://x.example/4711")

    def test_error_without_a_known_name(self, emulator, make_trigger):
        event = JobEvent.from_payload(run_trigger(make_trigger(4711)))

        assert event.message.startswith(f"Job 4711 of connection {emulator.connection_id} cannot")

    def test_timeout(self, make_trigger, connection_label):
        trigger = make_trigger(deadline=time.time() - 1, connection_name=CONNECTION_NAME)

        event = JobEvent.from_payload(run_trigger(trigger))

        assert event.outcome == "timeout"
        assert event.message == (
            f"Job {trigger.job_id} of connection {connection_label} is still running after a "
            f"wait of 0 s."
        )

    def test_failed_cancellation(self, emulator, make_trigger, connection_label, caplog):
        trigger = make_trigger(cancel_on_kill=True, connection_name=CONNECTION_NAME)
        emulator.fail_next("DELETE /jobs/{jobId}", status=403, times=None)

        asyncio.run(rebuilt(trigger).on_kill())

        assert (
            f"Job {trigger.job_id} of connection {connection_label} was not cancelled"
            in caplog.text
        )


class TestManyWaits:
    """One event loop runs all waits, with no more requests than necessary."""

    @pytest.fixture
    def job_ids(self, emulator) -> list[int]:
        """Fifty running syncs, each of a different connection."""
        job_ids = []
        for _ in range(50):
            connection_id = emulator.add_connection()
            emulator.script_job(connection_id, duration=2.0)
            job_ids.append(emulator.start_sync(connection_id))
        return job_ids

    def test_slow_responses_do_not_block_the_event_loop(self, emulator, make_trigger, job_ids):
        """A blocking client would stop the loop during every response."""
        emulator.latency, emulator.threads = LATENCY, None
        emulator.clear_requests()

        async def wait_for_all() -> tuple[list[dict[str, Any]], list[float]]:
            gaps: list[float] = []
            ticker = asyncio.create_task(_tick(gaps))
            waits = (first_event(make_trigger(job_id, poll_interval=1.0)) for job_id in job_ids)
            events = await asyncio.gather(*waits)
            ticker.cancel()
            return events, gaps

        events, gaps = asyncio.run(wait_for_all())

        assert [event["outcome"] for event in events] == ["finished"] * 50
        stops = [gap for gap in gaps if gap >= LATENCY]
        assert len(stops) < len(emulator.requests) / 10

    def test_all_waits_share_one_token(self, emulator, make_trigger, job_ids):
        emulator.clear_requests()

        async def wait_for_all() -> None:
            await asyncio.gather(*(first_event(make_trigger(job_id)) for job_id in job_ids))

        asyncio.run(wait_for_all())

        assert request_count(emulator, "POST /applications/token") == 1

    def test_a_token_is_not_shared_between_credentials(
        self, emulator, make_trigger, job_ids, monkeypatch
    ):
        """A wrong secret must not get in with the token of the right one."""
        wrong_uri = emulator.connection_uri_for(emulator.url, client_secret="wrong")
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", wrong_uri)
        right, wrong = make_trigger(job_ids[0]), make_trigger(job_ids[1])
        wrong.airbyte_conn_id = "wrong"

        async def wait_for_both() -> tuple[dict[str, Any], dict[str, Any]]:
            return await asyncio.gather(first_event(right), first_event(wrong))

        right_event, wrong_event = asyncio.run(wait_for_both())

        assert right_event["outcome"] == "finished"
        assert wrong_event["outcome"] == "error"
        assert "Password" in wrong_event["message"]


async def _tick(gaps: list[float]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(0.001)
        now = time.monotonic()
        gaps.append(now - last)
        last = now


class TestSecretRotatedDuringTheWait:
    def test_the_airflow_connection_is_read_again(self, emulator, make_trigger, monkeypatch):
        trigger = make_trigger()
        emulator.finish_job(trigger.job_id)
        emulator.rotate_secret()  # the Airflow connection still has the old one

        def store_new_secret() -> None:
            if request_count(emulator, "POST /applications/token"):
                monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)

        emulator.watch(store_new_secret)

        assert run_trigger(trigger)["outcome"] == "finished"

    def test_an_unchanged_secret_is_a_permanent_error(self, emulator, make_trigger):
        trigger = make_trigger()
        emulator.rotate_secret()

        event = run_trigger(trigger)

        assert event["outcome"] == "error"
        assert event["permanent"]


class TestOnKill:
    @pytest.mark.parametrize("ownership", [Ownership.STARTED, Ownership.FOUND])
    def test_our_own_job_is_cancelled(self, emulator, make_trigger, ownership):
        trigger = make_trigger(ownership=ownership, cancel_on_kill=True)

        asyncio.run(rebuilt(trigger).on_kill())

        assert emulator.jobs[trigger.job_id].status == "cancelled"

    @pytest.mark.parametrize(
        "kwargs",
        [{"cancel_on_kill": False}, {"cancel_on_kill": True, "ownership": Ownership.FOREIGN}],
        ids=["cancel_on_kill off", "foreign job"],
    )
    def test_no_other_job_is_cancelled(self, emulator, make_trigger, kwargs):
        trigger = make_trigger(**kwargs)
        emulator.clear_requests()

        asyncio.run(rebuilt(trigger).on_kill())

        assert emulator.requests == []

    def test_a_newer_sync_of_the_connection_is_left_running(self, emulator, make_trigger):
        """A DELETE of an old job would cancel whatever runs on its connection."""
        old = make_trigger(cancel_on_kill=True)
        emulator.finish_job(old.job_id)
        emulator.script_job(statuses=[("running", None)])
        newer = emulator.start_sync()

        asyncio.run(rebuilt(old).on_kill())

        assert emulator.jobs[newer].status == "running"
        assert request_count(emulator, "DELETE /jobs/{jobId}") == 0

    def test_a_failed_cancellation_is_logged(self, emulator, make_trigger, caplog):
        trigger = make_trigger(cancel_on_kill=True)
        emulator.fail_next("DELETE /jobs/{jobId}", status=403, times=None)

        asyncio.run(rebuilt(trigger).on_kill())

        assert (
            f"Job {trigger.job_id} of connection {emulator.connection_id} was not cancelled, "
            f"cancel it in Airbyte"
        ) in caplog.text

    def test_a_triggerer_shutdown_cancels_nothing(self, emulator, make_trigger):
        trigger = make_trigger(cancel_on_kill=True)

        async def shut_down() -> None:
            wait = asyncio.create_task(first_event(trigger))
            while not request_count(emulator, "GET /jobs/{jobId}"):
                await asyncio.sleep(0.01)
            wait.cancel()
            await asyncio.wait([wait])

        asyncio.run(shut_down())

        assert emulator.jobs[trigger.job_id].status == "running"
