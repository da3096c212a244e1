"""The trigger: its serialization, many waits in one event loop, and cancellation."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_airbyte_sme.api import AirbyteJobTimeoutError, Ownership
from airflow_provider_airbyte_sme.api.waiting import watchlist
from airflow_provider_airbyte_sme.api.waiting.watchlist import MAX_IN_FLIGHT
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.outcome import JobEvent
from airflow_provider_airbyte_sme.triggers import waits
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger
from airflow_provider_airbyte_sme.triggers.resumption import SAFE_AFTER, seconds_to_hold
from tests.integration.conftest import CONNECTION_NAME, CONNECTION_VARIABLE, request_count
from tests.tasks import first_event, rebuilt, run_trigger

# Seconds for which an event loop that nobody blocks surely has a turn.
MAX_STOP = 20.0


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


@pytest.mark.parametrize("missing", ["job_status", "deferred_at", "ownership", "connection_name"])
def test_a_trigger_of_an_older_version_still_loads(emulator, make_trigger, missing):
    _, kwargs = make_trigger(_ended_sync(emulator)).serialize()
    del kwargs[missing]

    assert run_trigger(AirbyteJobTrigger(**kwargs))["outcome"] == "finished"


def test_no_secret_is_in_the_serialized_trigger_or_its_repr(emulator, make_trigger):
    trigger = make_trigger(7)

    assert emulator.client_secret not in repr(trigger) + repr(trigger.serialize())


def test_a_restarted_trigger_keeps_its_deadline(make_trigger):
    event = run_trigger(make_trigger(deadline=time.time() - 1))

    with pytest.raises(
        AirbyteJobTimeoutError, match="is still running and the time to wait for it is over"
    ):
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
            f"Job {trigger.job_id} of connection {connection_label} is still running and the "
            f"time to wait for it is over."
        )

    def test_failed_cancellation(self, emulator, make_trigger, connection_label, caplog):
        trigger = make_trigger(cancel_on_kill=True, connection_name=CONNECTION_NAME)
        emulator.fail_next("DELETE /jobs/{jobId}", status=403, times=None)

        asyncio.run(rebuilt(trigger).on_kill())

        assert (
            f"Job {trigger.job_id} of connection {connection_label} was not cancelled"
            in caplog.text
        )


class TestStoppedByATriggerer:
    """Airflow 3.3 stops a trigger because of a user, or because another triggerer has it now."""

    @pytest.fixture
    def stop(self, monkeypatch) -> Callable[..., None]:
        """Stop a trigger whose task is in a state, as Airflow's API server says."""
        task_runner = pytest.importorskip(
            "airflow.sdk.execution_time.task_runner", reason="Airflow 3 stops triggers"
        )

        def stop(trigger: AirbyteJobTrigger, answer: dict[str, Any] | Exception) -> None:
            def get_task_states(**query: Any) -> dict[str, Any]:
                assert query == {
                    "dag_id": "dag",
                    "run_ids": ["run"],
                    "task_ids": ["sync"],
                    "map_index": 3,
                }
                if isinstance(answer, Exception):
                    raise answer
                return answer

            monkeypatch.setattr(
                task_runner.RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states)
            )
            stopped = rebuilt(trigger)
            stopped.task_instance = SimpleNamespace(
                dag_id="dag", run_id="run", task_id="sync", map_index=3
            )
            asyncio.run(stopped.on_kill())

        return stop

    @pytest.mark.parametrize(
        "answer", [{}, {"run": {}}, *({"run": {"sync_3": state}} for state in ("failed", None))]
    )
    def test_the_job_of_a_task_that_waits_no_more_is_cancelled(
        self, emulator, make_trigger, stop, answer
    ):
        trigger = make_trigger(cancel_on_kill=True)

        stop(trigger, answer)

        assert emulator.jobs[trigger.job_id].status == "cancelled"

    def test_the_job_of_a_task_that_waits_elsewhere_is_left_running(
        self, emulator, make_trigger, stop, caplog
    ):
        caplog.set_level(logging.INFO)
        trigger = make_trigger(cancel_on_kill=True)

        stop(trigger, {"run": {"sync_3": "deferred"}})

        assert emulator.jobs[trigger.job_id].status == "running"
        assert "is not cancelled: another triggerer waits for it now" in caplog.text

    def test_a_job_is_left_running_if_airflow_does_not_say_whether_its_task_waits(
        self, emulator, make_trigger, stop, caplog
    ):
        trigger = make_trigger(cancel_on_kill=True)

        stop(trigger, RuntimeError("the API server is away"))

        assert emulator.jobs[trigger.job_id].status == "running"
        assert f"Job {trigger.job_id} of connection" in caplog.text
        assert "Cancel it by hand if it does not" in caplog.text

    def test_a_repeated_cancellation_does_not_end_on_kill(self, emulator, make_trigger, caplog):
        """Airflow 3.3.2 cancels the trigger again about once per second while `on_kill` runs."""
        caplog.set_level(logging.INFO)
        trigger = rebuilt(make_trigger(cancel_on_kill=True))

        async def kill() -> None:
            loop = asyncio.get_running_loop()
            arrivals: asyncio.Queue[None] = asyncio.Queue()

            def note_arrival() -> None:
                loop.call_soon_threadsafe(arrivals.put_nowait, None)

            routes = ("GET /jobs/{jobId}", "DELETE /jobs/{jobId}")
            for route in routes:
                emulator.call_next(route, note_arrival)
                emulator.hang_next(route, 0.2)
            killed = asyncio.create_task(trigger.on_kill())
            for _ in routes:
                await arrivals.get()
                killed.cancel()
            with suppress(asyncio.CancelledError):
                await killed

        asyncio.run(kill())

        assert emulator.jobs[trigger.job_id].status == "cancelled"
        assert f"Job {trigger.job_id} of connection" in caplog.text
        assert "It was cancelled" in caplog.text


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
        """A blocking client would stop the loop until the response arrives."""
        has_turned = threading.Event()
        turned: list[bool] = []

        def respond_after_a_turn() -> None:
            has_turned.clear()
            turned.append(has_turned.wait(MAX_STOP))

        async def turn() -> None:
            while True:
                has_turned.set()
                await asyncio.sleep(0.001)

        async def wait_for_all() -> list[dict[str, Any]]:
            turns = asyncio.create_task(turn())
            waits = (first_event(make_trigger(job_id, poll_interval=1.0)) for job_id in job_ids)
            events = await asyncio.gather(*waits)
            turns.cancel()
            return events

        for route in ("POST /applications/token", "GET /jobs", "GET /jobs/{jobId}"):
            emulator.call_next(route, respond_after_a_turn, times=None, after=True)
        events = asyncio.run(wait_for_all())

        assert [event["outcome"] for event in events] == ["finished"] * 50
        assert len(turned) >= 3
        assert all(turned)

    def test_all_waits_share_one_token(self, emulator, make_trigger, job_ids):
        emulator.clear_requests()

        async def wait_for_all() -> None:
            await asyncio.gather(*(first_event(make_trigger(job_id)) for job_id in job_ids))

        asyncio.run(wait_for_all())

        assert request_count(emulator, "POST /applications/token") == 1

    @pytest.mark.parametrize("issues_tokens", [False, True])
    def test_all_waits_together_back_off_while_the_identity_provider_is_away(
        self, emulator, make_trigger, job_ids, issues_tokens
    ):
        emulator.clear_requests()
        emulator.stop_identity_provider(issues_tokens=issues_tokens)

        def start_after_two_exchanges() -> None:
            if request_count(emulator, "POST /applications/token") == 2:
                emulator.start_identity_provider()

        emulator.watch(start_after_two_exchanges)

        async def wait_for_all() -> list[dict[str, Any]]:
            triggers = (make_trigger(job_id, poll_interval=0.5) for job_id in job_ids)
            return await asyncio.gather(*map(first_event, triggers))

        events = asyncio.run(wait_for_all())

        assert {event["outcome"] for event in events} == {"finished"}
        assert request_count(emulator, "POST /applications/token") <= 3

    def test_an_expired_token_costs_one_exchange(self, emulator, make_trigger, job_ids):
        async def wait_for_all() -> None:
            waits = [asyncio.create_task(first_event(make_trigger(job_id))) for job_id in job_ids]
            while not request_count(emulator, "GET /jobs/{jobId}"):
                await asyncio.sleep(0.01)
            emulator.revoke_tokens()
            await asyncio.gather(*waits)

        asyncio.run(wait_for_all())

        assert request_count(emulator, "POST /applications/token") == 2

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


class TestTimeLimit:
    """
    The deadline ends a wait whatever hangs, so that the worker can cancel the job.

    Without it, a test here ends after the longest time that a request may take, or never.
    """

    # Seconds. Longer than every timeout.
    HANGS = 3600.0
    # Seconds from the beginning of a wait to its deadline, and after that at most to its event.
    LEFT = 0.5
    LATEST = 20.0

    @pytest.fixture
    def emulator(self):
        """An emulator that handles as many requests at once as it gets."""
        emulator = Emulator(threads=None)
        with emulator.serve():
            yield emulator

    @pytest.fixture(autouse=True)
    def _short_margin(self, monkeypatch):
        monkeypatch.setattr(waits, "DEADLINE_MARGIN", 1.5)
        monkeypatch.setattr(watchlist, "DEADLINE_MARGIN", 1.5)

    @pytest.fixture
    def times_out(self, make_trigger):
        """Check that a wait ends with a timeout, soon after its deadline."""

        async def check(job_id: int | None = None) -> None:
            trigger = make_trigger(job_id, deadline=time.time() + self.LEFT)
            event = JobEvent.from_payload(await first_event(trigger))
            assert time.time() < trigger.deadline + self.LATEST
            assert event.outcome == "timeout"
            assert event.last_read_job().ownership is Ownership.STARTED
            assert event.last_read_job().job.job_id == trigger.job_id

        return check

    @pytest.mark.parametrize(
        "inject",
        [
            lambda emulator, hangs: emulator.hang_next("POST /applications/token", hangs),
            lambda emulator, hangs: emulator.hang_next("GET /jobs/{jobId}", hangs),
            lambda emulator, hangs: emulator.drip_next("POST /applications/token", 0.2),
            lambda emulator, hangs: emulator.drip_next("GET /jobs/{jobId}", 0.2),
            lambda emulator, hangs: emulator.fail_next("*", 503, times=None),
            lambda emulator, hangs: emulator.fail_next("*", 429, None, {"Retry-After": "3600"}),
            lambda emulator, hangs: emulator.stop_identity_provider(),
        ],
        ids=[
            "token hangs",
            "read hangs",
            "token drips",
            "read drips",
            "503",
            "Retry-After",
            "no identity provider",
        ],
    )
    def test_a_fault_ends_with_the_deadline(self, emulator, times_out, inject):
        inject(emulator, self.HANGS)

        asyncio.run(times_out())

    def test_another_wait_that_hangs_in_the_token_exchange(self, emulator, make_trigger, times_out):
        trigger = make_trigger()
        emulator.hang_next("POST /applications/token", self.HANGS)

        async def scenario() -> None:
            other = asyncio.create_task(first_event(trigger))
            while not request_count(emulator, "POST /applications/token"):
                await asyncio.sleep(0.01)
            await times_out(trigger.job_id)
            await _cancelled(other)

        asyncio.run(scenario())

    def test_all_requests_that_one_triggerer_sends_at_once_hang(
        self, emulator, make_trigger, times_out
    ):
        triggers = [make_trigger(_running_sync(emulator)) for _ in range(MAX_IN_FLIGHT)]
        emulator.hang_next("GET /jobs/{jobId}", self.HANGS, times=MAX_IN_FLIGHT)

        async def scenario() -> None:
            others = [asyncio.create_task(first_event(trigger)) for trigger in triggers]
            while request_count(emulator, "GET /jobs/{jobId}") < MAX_IN_FLIGHT:
                await asyncio.sleep(0.01)
            await times_out()
            await _cancelled(*others)

        asyncio.run(scenario())

    def test_a_delete_that_is_held_open_holds_up_no_wait(self, emulator, make_trigger):
        killed, ended = make_trigger(cancel_on_kill=True), make_trigger(_ended_sync(emulator))
        emulator.hang_next("DELETE /jobs/{jobId}", self.HANGS, after=False)

        async def scenario() -> dict[str, Any]:
            kill = asyncio.create_task(killed.on_kill())
            while not request_count(emulator, "DELETE /jobs/{jobId}"):
                await asyncio.sleep(0.01)
            event = await first_event(ended)
            assert not kill.done()
            # What is left is cancelled with the event loop, as when a triggerer shuts down.
            return event

        assert asyncio.run(scenario())["outcome"] == "finished"


def _running_sync(emulator) -> int:
    connection_id = emulator.add_connection()
    emulator.script_job(connection_id, statuses=[("running", None)])
    return emulator.start_sync(connection_id)


def _ended_sync(emulator) -> int:
    job_id = emulator.start_sync(emulator.add_connection())
    emulator.finish_job(job_id)
    return job_id


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel *tasks* as a triggerer that shuts down does, and check that they end by it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)


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
            f"cancel it by hand"
        ) in caplog.text

    def test_a_triggerer_shutdown_cancels_nothing(self, emulator, make_trigger):
        trigger = make_trigger(cancel_on_kill=True)

        async def shut_down() -> None:
            wait = asyncio.create_task(first_event(trigger))
            while not request_count(emulator, "GET /jobs/{jobId}"):
                await asyncio.sleep(0.01)
            await _cancelled(wait)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(shut_down())

        assert emulator.jobs[trigger.job_id].status == "running"


class TestResumption:
    """A task that is resumed within seconds of its deferral can be failed by Airflow 3.3.2."""

    @pytest.fixture(params=["finished", "timeout", "error"])
    def ending_trigger(self, request, emulator, make_trigger):
        """Create a trigger that fires soon, with an event of each kind."""

        def make(deferred_at: float) -> AirbyteJobTrigger:
            if request.param == "error":
                return make_trigger(4711, deferred_at=deferred_at)
            trigger = make_trigger(deferred_at=deferred_at)
            if request.param == "finished":
                emulator.finish_job(trigger.job_id)
            else:
                trigger.deadline = time.time() - 1
            return trigger

        return make

    def test_in_a_triggerer_no_event_is_yielded_too_soon_after_the_deferral(self, ending_trigger):
        deferred_at = time.time() - SAFE_AFTER + 0.5

        fired_at = asyncio.run(_fired_at(_in_triggerer(ending_trigger(deferred_at))))

        assert fired_at >= deferred_at + SAFE_AFTER

    def test_the_restart_of_a_triggerer_does_not_start_the_time_again(self, ending_trigger):
        trigger = _in_triggerer(ending_trigger(time.time() - 3600))
        restarted_at = time.time()

        assert asyncio.run(_fired_at(trigger)) < restarted_at + SAFE_AFTER

    def test_a_trigger_that_runs_in_the_task_itself_fires_at_once(self, ending_trigger):
        """As in `dag.test()` and `airflow dags test`, which give it no id."""
        deferred_at = time.time()

        assert asyncio.run(_fired_at(rebuilt(ending_trigger(deferred_at)))) < (
            deferred_at + SAFE_AFTER
        )

    def test_a_trigger_of_an_older_version_is_not_held(self, emulator, make_trigger):
        trigger = make_trigger()
        emulator.finish_job(trigger.job_id)
        _, kwargs = trigger.serialize()
        del kwargs["deferred_at"]
        resumed_at = time.time()

        fired_at = asyncio.run(_fired_at(_in_triggerer(AirbyteJobTrigger(**kwargs))))

        assert fired_at < resumed_at + SAFE_AFTER

    def test_the_time_is_counted_from_the_deferral(self, sync_run):
        before = time.time()
        run = sync_run(deferrable=True)

        run.start()

        (deferred,) = run.deferrals
        assert before <= deferred.trigger.deferred_at <= time.time()

    @pytest.mark.parametrize(
        ("deferred_at", "hold"),
        [
            (1000.0, SAFE_AFTER),
            (999.0, SAFE_AFTER - 1),
            (1000.0 - SAFE_AFTER, 0.0),
            (0.0, 0.0),
            (100_000.0, SAFE_AFTER),
        ],
    )
    def test_clocks_that_differ_never_make_it_longer(self, deferred_at, hold):
        assert seconds_to_hold(deferred_at, now=1000.0) == hold


def _in_triggerer(trigger: AirbyteJobTrigger) -> AirbyteJobTrigger:
    """Return a copy of *trigger* as a triggerer runs it."""
    copy: AirbyteJobTrigger = rebuilt(trigger)
    copy.trigger_id = 1
    return copy


async def _fired_at(trigger: AirbyteJobTrigger) -> float:
    await anext(trigger.run())
    return time.time()
