"""The trigger: what it stores, how it waits beside many others, what it cancels."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_airbyte_sme.api import AirbyteError, AirbyteJobTimeoutError
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger, JobEvent
from tests.integration.conftest import CONNECTION_VARIABLE, asked
from tests.tasks import first_event, rebuilt, run_trigger


@pytest.fixture
def trigger(emulator):
    """Make a trigger for a job, by default one of the emulator's connection that never ends."""

    def make(job_id: int | None = None, **kwargs):
        if job_id is None:
            emulator.script_job(statuses=[("running", None)])
            job_id = emulator.start_sync()
        kwargs = {"poll_interval": 0.05, "deadline": time.time() + 3600, **kwargs}
        return AirbyteJobTrigger(
            airbyte_conn_id="airbyte_sme_default",
            job_id=job_id,
            connection_id=emulator.connection_id,
            **kwargs,
        )

    return make


def test_it_survives_airflows_database(trigger):
    made = trigger(7, job_url="https://airbyte.example.com/job", adopted=True, cancel_on_kill=True)
    classpath, kwargs = made.serialize()

    stored = json.dumps(BaseSerialization.serialize(kwargs))

    assert classpath == "airflow_provider_airbyte_sme.triggers.airbyte.AirbyteJobTrigger"
    assert rebuilt(made).serialize() == made.serialize()
    assert BaseSerialization.deserialize(json.loads(stored)) == kwargs


def test_no_secret_is_stored_or_shown(emulator, trigger):
    made = trigger(7)

    assert emulator.client_secret not in repr(made) + repr(made.serialize())


def test_a_restarted_triggerer_does_not_begin_the_time_anew(trigger):
    event = run_trigger(trigger(deadline=time.time() - 1))

    with pytest.raises(AirbyteJobTimeoutError, match="still running after 0 s"):
        JobEvent.from_payload(event).terminal_job()


def test_a_job_that_ended_meanwhile_is_told_at_once_even_after_the_deadline(emulator, trigger):
    job_id = emulator.start_sync()
    emulator.finish_job(job_id)

    event = JobEvent.from_payload(run_trigger(trigger(job_id, deadline=time.time() - 1)))

    assert event.terminal_job().has_succeeded


def test_a_refusal_is_told_with_what_it_means_for_the_job(trigger):
    event = JobEvent.from_payload(run_trigger(trigger(4711, job_url="https://x.example/4711")))

    assert event.outcome == "error"
    assert event.permanent
    assert "Job 4711" in event.message
    assert "may still run" in event.message
    assert event.message.endswith("https://x.example/4711")


@pytest.mark.parametrize(
    "payload", [None, {}, {"outcome": "finished"}, {"outcome": "success"}, "finished"]
)
def test_an_event_that_got_lost_is_no_success(payload):
    with pytest.raises(ValueError, match="the trigger sent"):
        JobEvent.from_payload(payload)


def test_an_error_that_may_pass_leaves_the_task_its_retries():
    event = JobEvent(outcome="error", deadline=0.0, message="gone for 10 min")

    with pytest.raises(AirbyteError, match="gone for 10 min"):
        JobEvent.from_payload(event.to_payload()).terminal_job()


class TestManyWaits:
    """One event loop carries them all, and Airbyte is not asked more than needed."""

    @pytest.fixture
    def job_ids(self, emulator) -> list[int]:
        """Fifty syncs in their course, each of a connection of its own."""
        job_ids = []
        for _ in range(50):
            connection_id = emulator.add_connection()
            emulator.script_job(connection_id, duration=2.0)
            job_ids.append(emulator.start_sync(connection_id))
        return job_ids

    def test_the_loop_goes_on_while_airbyte_takes_its_time(self, emulator, trigger, job_ids):
        """A client that blocks would stop the loop for each of its answers."""
        emulator.latency, emulator.threads = ANSWER_TIME, None
        emulator.clear_requests()

        async def wait_for_all() -> tuple[list[dict[str, Any]], list[float]]:
            gaps: list[float] = []
            ticker = asyncio.create_task(_tick(gaps))
            waits = (first_event(trigger(job_id, poll_interval=1.0)) for job_id in job_ids)
            events = await asyncio.gather(*waits)
            ticker.cancel()
            return events, gaps

        events, gaps = asyncio.run(wait_for_all())

        assert [event["outcome"] for event in events] == ["finished"] * 50
        stops = [gap for gap in gaps if gap >= ANSWER_TIME]
        assert len(stops) < len(emulator.requests) / 10

    def test_all_of_them_share_one_token(self, emulator, trigger, job_ids):
        emulator.clear_requests()

        async def wait_for_all() -> None:
            await asyncio.gather(*(first_event(trigger(job_id)) for job_id in job_ids))

        asyncio.run(wait_for_all())

        assert asked(emulator, "POST /applications/token") == 1

    def test_a_token_is_not_shared_between_credentials(
        self, emulator, trigger, job_ids, monkeypatch
    ):
        """Right and wrong secrets meet in one process; the wrong one must not get in."""
        wrong = emulator.connection_uri_for(emulator.url, client_secret="wrong")
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", wrong)
        right_one, wrong_one = trigger(job_ids[0]), trigger(job_ids[1])
        wrong_one.airbyte_conn_id = "wrong"

        async def wait_for_both() -> tuple[dict[str, Any], dict[str, Any]]:
            return await asyncio.gather(first_event(right_one), first_event(wrong_one))

        right_event, wrong_event = asyncio.run(wait_for_both())

        assert right_event["outcome"] == "finished"
        assert wrong_event["outcome"] == "error"
        assert "Password" in wrong_event["message"]


# Seconds. The machine may stop the loop as well, now and then: `make bench` measures gaps.
ANSWER_TIME = 0.3


async def _tick(gaps: list[float]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(0.001)
        now = time.monotonic()
        gaps.append(now - last)
        last = now


class TestSecretRotatedDuringTheWait:
    def test_the_connection_is_read_once_more(self, emulator, trigger, monkeypatch):
        waiting = trigger()
        emulator.finish_job(waiting.job_id)
        emulator.rotate_secret()  # the Airflow connection still has the old one

        def someone_enters_the_new_secret() -> None:
            if asked(emulator, "POST /applications/token"):
                monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)

        emulator.watch(someone_enters_the_new_secret)

        assert run_trigger(waiting)["outcome"] == "finished"

    def test_with_the_same_secret_it_gives_up(self, emulator, trigger):
        waiting = trigger()
        emulator.rotate_secret()

        event = run_trigger(waiting)

        assert event["outcome"] == "error"
        assert event["permanent"]


class TestOnKill:
    def test_our_own_job_is_cancelled(self, emulator, trigger):
        ours = trigger(cancel_on_kill=True)

        asyncio.run(rebuilt(ours).on_kill())

        assert emulator.jobs[ours.job_id].status == "cancelled"

    @pytest.mark.parametrize(
        "not_ours", [{"cancel_on_kill": False}, {"cancel_on_kill": True, "adopted": True}]
    )
    def test_no_other_job_is(self, emulator, trigger, not_ours):
        other = trigger(**not_ours)
        emulator.clear_requests()

        asyncio.run(rebuilt(other).on_kill())

        assert emulator.requests == []

    def test_a_newer_sync_of_the_connection_is_left_running(self, emulator, trigger):
        """Airbyte's DELETE of an old job hits whatever runs on its connection."""
        old = trigger(cancel_on_kill=True)
        emulator.finish_job(old.job_id)
        emulator.script_job(statuses=[("running", None)])
        newer = emulator.start_sync()

        asyncio.run(rebuilt(old).on_kill())

        assert emulator.jobs[newer].status == "running"
        assert asked(emulator, "DELETE /jobs/{jobId}") == 0

    def test_a_job_that_cannot_be_cancelled_is_told_of(self, emulator, trigger, caplog):
        ours = trigger(cancel_on_kill=True)
        emulator.fail_next("DELETE /jobs/{jobId}", status=403, times=None)

        asyncio.run(rebuilt(ours).on_kill())

        assert f"Job {ours.job_id} was not cancelled, do it by hand" in caplog.text

    def test_a_triggerer_that_shuts_down_cancels_nothing(self, emulator, trigger):
        ours = trigger(cancel_on_kill=True)

        async def shut_down() -> None:
            waiting = asyncio.create_task(first_event(ours))
            while not asked(emulator, "GET /jobs/{jobId}"):
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])

        asyncio.run(shut_down())

        assert emulator.jobs[ours.job_id].status == "running"
