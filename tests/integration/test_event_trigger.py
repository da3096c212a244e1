"""Assets that are updated when Airbyte has synced a connection, on Airflow's triggerer runner."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_airbyte_sme.api.waiting.watchlist import FEW
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.triggers import syncs, watermarks
from airflow_provider_airbyte_sme.triggers.events import (
    HAS_EVENT_TRIGGERS,
    HAS_SHARED_STREAMS,
    AirbyteSyncEventTrigger,
)
from tests.integration.conftest import (
    CONNECTION_VARIABLE,
    MAX_WAIT,
    UNKNOWN_ID,
    request_count,
)
from tests.triggerer import StateStore, Triggerer

needs_shared_streams = pytest.mark.skipif(
    not HAS_SHARED_STREAMS, reason="Airflow 3.3 has shared streams and a state store"
)

LIST = "GET /jobs"
CONN_ID = "airbyte_sme_default"
ASSET = "the asset"
# Seconds between two looks.
LOOK = 0.05
Scenario = Callable[[Triggerer], Awaitable[None]]


class World:
    """An Airbyte whose clock stands still, and Airflow's state store."""

    def __init__(self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emulator = emulator
        self.store = StateStore()
        self._monkeypatch = monkeypatch

    def life(self, scenario: Scenario) -> None:
        """Let *scenario* happen in one life of a triggerer, which ends as if it were killed."""

        async def live() -> None:
            async with Triggerer(self.store, self._monkeypatch) as triggerer:
                await scenario(triggerer)

        asyncio.run(live())

    def trigger(self, connection_id: str = "", **kwargs: Any) -> AirbyteSyncEventTrigger:
        return AirbyteSyncEventTrigger(
            **{
                "airbyte_conn_id": CONN_ID,
                "connection_id": connection_id or self.emulator.connection_id,
                "poll_interval": LOOK,
                **kwargs,
            }
        )

    def sync(
        self,
        connection_id: str = "",
        *,
        status: str = "succeeded",
        after: float = 1.0,
        **kwargs: Any,
    ) -> int:
        """Let a sync of a connection begin and end, some seconds later; return its id."""
        job_id = self.begin(connection_id, **kwargs)
        self.emulator.advance(after)
        self.emulator.finish_job(job_id, status)
        return job_id

    def begin(self, connection_id: str = "", *, job_type: Any = "sync", **script: Any) -> int:
        connection_id = connection_id or self.emulator.connection_id
        self.emulator.script_job(connection_id, statuses=[("running", None)], **script)
        return self.emulator.start_sync(connection_id, job_type=job_type)

    def looks(self) -> int:
        return request_count(self.emulator, LIST)

    async def look(self, triggerer: Triggerer, number: int = 2) -> None:
        """Wait for some more looks that begin and end."""
        before = self.looks()
        await triggerer.until(lambda: self.looks() >= before + number)

    async def watch(self, triggerer: Triggerer, **kwargs: Any) -> int:
        """Start a trigger; return its id once it has begun to watch."""
        trigger_id = await triggerer.start(self.trigger(**kwargs), [ASSET])
        await triggerer.until(lambda: self.store.of(ASSET))
        return trigger_id

    def is_reported(self, job_id: int, asset: str = ASSET) -> bool:
        """Whether it is stored that a job was reported."""
        return job_id in (self.store.of(asset) or {"reported": []})["reported"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(time="manual", start=datetime(2026, 3, 25, 1, 30, 50, tzinfo=UTC), rows=120)
    with emulator.serve():
        yield emulator


@pytest.fixture
def world(emulator, monkeypatch) -> World:
    return World(emulator, monkeypatch)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the triggers and the feed log, in lines."""
    lines: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("airflow_provider_airbyte_sme.triggers")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@needs_shared_streams
class TestEvents:
    def test_each_sync_that_succeeds_makes_one_event(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            first = world.sync()
            await triggerer.until(lambda: triggerer.jobs() == [first])
            second = world.sync()
            await triggerer.until(lambda: len(triggerer.jobs()) > 1)
            await world.look(triggerer)
            assert triggerer.jobs() == [first, second]

        world.life(scenario)

    def test_the_payload_is_plain_json(self, world, emulator):
        async def scenario(triggerer):
            await world.watch(triggerer)
            job_id = world.sync(after=13)
            await triggerer.until(triggerer.events)
            (event,) = triggerer.events()
            assert json.loads(json.dumps(event)) == event
            assert event == {
                "job_id": job_id,
                "connection_id": emulator.connection_id,
                "job_type": "sync",
                "status": "succeeded",
                "rows_synced": 120,
                "bytes_synced": 15360,
                "started_at": "2026-03-25T01:30:50+00:00",
                "ended_at": "2026-03-25T01:31:03+00:00",
                "job_url": (
                    f"{emulator.url}/workspaces/{emulator.workspace_id}/connections/"
                    f"{emulator.connection_id}/timeline?jobId={job_id}&openLogs=true"
                ),
            }

        world.life(scenario)

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_a_sync_that_does_not_succeed_makes_no_event(self, status, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync(status=status)
            good = world.sync()
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [good]

        world.life(scenario)

    def test_a_refresh_makes_an_event_and_a_reset_does_not(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync(job_type="reset")
            refresh = world.sync(job_type="refresh")
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [refresh]
            assert triggerer.events()[0]["job_type"] == "refresh"

        world.life(scenario)

    def test_a_sync_of_another_connection_makes_no_event(self, world, emulator):
        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync(emulator.add_connection())
            mine = world.sync()
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [mine]

        world.life(scenario)

    def test_a_sync_without_rows_makes_no_event(self, world, lines):
        async def scenario(triggerer):
            await world.watch(triggerer)
            empty = world.sync(rows=0)
            full = world.sync()
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [full]
            assert [f"Job {empty} " in line for line in lines if "no rows" in line] == [True]

        world.life(scenario)

    def test_a_sync_of_which_airbyte_has_no_statistics_makes_an_event(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            job_id = world.sync(statistics="none")
            await triggerer.until(triggerer.events)
            (event,) = triggerer.events()
            assert (event["job_id"], event["rows_synced"]) == (job_id, None)

        world.life(scenario)

    def test_rows_that_only_the_config_api_knows_count(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync(statistics="attempts")
            await triggerer.until(triggerer.events)
            assert triggerer.events()[0]["rows_synced"] == 120

        world.life(scenario)

    def test_rows_are_unknown_if_the_config_api_that_knows_them_is_closed(self, world, emulator):
        emulator.fail_next("POST /api/v1/jobs/get_without_logs", 403, None)

        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync(rows=0)
            await triggerer.until(triggerer.events)
            assert triggerer.events()[0]["rows_synced"] is None

        world.life(scenario)

    def test_counters_that_lists_lack_are_read(self, world, emulator):
        emulator.job_lists.has_counters = False

        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync()
            await triggerer.until(triggerer.events)
            assert triggerer.events()[0]["rows_synced"] == 120

        world.life(scenario)

    def test_jobs_that_end_in_the_same_second_make_an_event_each(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            jobs = [world.sync(after=0) for _ in range(3)]
            await triggerer.until(lambda: len(triggerer.jobs()) == 3)
            late = world.sync(after=0)
            await triggerer.until(lambda: len(triggerer.jobs()) == 4)
            assert triggerer.jobs() == [*jobs, late]

        world.life(scenario)

    def test_a_job_that_ends_after_one_with_a_higher_id_makes_an_event(self, world, emulator):
        other = emulator.add_connection()

        async def scenario(triggerer):
            early = world.begin()
            await world.watch(triggerer)
            world.sync(other)
            await world.look(triggerer)
            emulator.finish_job(early)
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [early]

        world.life(scenario)

    def test_a_clock_that_is_behind_hides_no_job(self, world, emulator):
        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync()
            await triggerer.until(triggerer.events)
            emulator.advance(30)
            late = world.begin()
            emulator.skew_job(late, -25)
            emulator.finish_job(late)
            emulator.advance(25)
            await triggerer.until(lambda: late in triggerer.jobs())

        world.life(scenario)

    def test_what_ended_before_the_first_watch_makes_no_event(self, world):
        world.sync()

        async def scenario(triggerer):
            await world.watch(triggerer, catch_up="all")
            job_id = world.sync()
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [job_id]

        world.life(scenario)

    def test_what_runs_at_the_first_watch_makes_an_event(self, world, emulator):
        async def scenario(triggerer):
            running = world.begin()
            await world.watch(triggerer)
            emulator.advance(3600)
            emulator.finish_job(running)
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [running]

        world.life(scenario)

    def test_a_new_airbyte_without_any_job_can_be_watched(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            job_id = world.sync()
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [job_id]

        world.life(scenario)


@needs_shared_streams
class TestRestart:
    """What ends while no triggerer runs."""

    @pytest.fixture
    def missed(self, world) -> list[int]:
        """Two syncs that ended a day after the triggerer was killed, and one that failed."""

        async def scenario(triggerer):
            await world.watch(triggerer)

        world.sync()
        world.life(scenario)
        world.emulator.advance(86_400)
        missed = [world.sync(), world.sync()]
        world.sync(status="failed")
        return missed

    def start(self, world: World, catch_up: str) -> list[int]:
        """Return which jobs are reported after the restart, and one that ends then."""
        reported: list[int] = []

        async def scenario(triggerer):
            await triggerer.start(world.trigger(catch_up=catch_up), [ASSET])
            await world.look(triggerer, 3)
            last = world.sync()
            await triggerer.until(lambda: last in triggerer.jobs())
            assert triggerer.jobs()[-1] == last
            reported.extend(triggerer.jobs()[:-1])

        world.life(scenario)
        return reported

    def test_latest_reports_the_last_one(self, missed, world):
        assert self.start(world, "latest") == missed[-1:]

    def test_all_reports_each_in_order(self, missed, world):
        assert self.start(world, "all") == missed

    def test_none_reports_none(self, missed, world):
        assert self.start(world, "none") == []

    def test_latest_does_not_choose_one_without_rows(self, missed, world):
        world.sync(rows=0)

        assert self.start(world, "latest") == missed[-1:]

    def test_an_airbyte_that_responds_later_changes_nothing(self, missed, world, emulator):
        emulator.fail_next(LIST, 503, 3)

        assert self.start(world, "all") == missed

    def test_what_was_reported_is_not_reported_again(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            job_id = world.sync()
            await triggerer.until(lambda: world.is_reported(job_id))

        world.life(scenario)

        assert self.start(world, "all") == []

    def test_killed_between_event_and_save_the_event_is_repeated(self, world):
        async def scenario(triggerer):
            await world.watch(triggerer)
            job_id = world.sync()
            await triggerer.until(triggerer.events)
            assert not world.is_reported(job_id)
            jobs.append(job_id)

        jobs: list[int] = []
        world.life(scenario)

        assert self.start(world, "latest") == jobs

    def test_more_jobs_than_a_page_has_are_all_reported(self, world, emulator):
        async def scenario(triggerer):
            await world.watch(triggerer)

        world.life(scenario)
        emulator.advance(86_400)
        missed = [world.sync() for _ in range(130)]

        assert self.start(world, "all") == missed

    def test_other_arguments_go_on_where_the_old_ones_ended(self, world):
        async def scenario(triggerer):
            trigger_id = await world.watch(triggerer)
            await triggerer.stop(trigger_id)
            world.emulator.advance(3600)
            missed = world.sync()
            other = await triggerer.start(world.trigger(poll_interval=2 * LOOK), [ASSET])
            await triggerer.until(lambda: triggerer.jobs(other) == [missed])

        world.life(scenario)


@needs_shared_streams
class TestRequests:
    """Requests grow with time and with syncs, not with watched connections."""

    @pytest.mark.parametrize("number", [1, 40])
    def test_many_connections_cost_no_more_requests_than_one(self, number, world, emulator):
        connections = [emulator.add_connection() for _ in range(number)]

        async def scenario(triggerer):
            for each in connections:
                await triggerer.start(world.trigger(each), [each])
            await triggerer.until(lambda: all(map(world.store.of, connections)))
            emulator.clear_requests()
            await triggerer.until(lambda: world.looks() >= 5)
            # One for each look, and no other.
            assert len(emulator.requests) == world.looks()

        world.life(scenario)

    def test_a_restart_costs_few_requests_for_many_connections(self, world, emulator):
        connections = [emulator.add_connection() for _ in range(100)]
        ids = range(1, len(connections) + 1)

        async def watch(triggerer):
            emulator.clear_requests()
            for each in connections:
                await triggerer.start(world.trigger(each, poll_interval=3600), [each])

        async def first(triggerer):
            await watch(triggerer)
            await triggerer.until(lambda: all(map(world.store.of, connections)))
            assert len(emulator.requests) < len(connections)

        async def second(triggerer):
            await watch(triggerer)
            await triggerer.until(lambda: all(map(triggerer.jobs, ids)))
            assert [triggerer.jobs(each) for each in ids] == [[job] for job in missed]
            assert len(emulator.requests) < len(connections)

        world.life(first)
        emulator.advance(3600)
        missed = [world.sync(each) for each in connections]
        world.life(second)

    @pytest.mark.parametrize(("catch_up", "reads"), [("latest", 3), ("all", 8)])
    def test_rows_are_read_of_the_jobs_that_may_make_events(self, catch_up, reads, world, emulator):
        async def first(triggerer):
            await world.watch(triggerer)

        async def second(triggerer):
            emulator.clear_requests()
            await triggerer.start(world.trigger(catch_up=catch_up), [ASSET])
            await triggerer.until(lambda: missed[-1] in triggerer.jobs())
            assert request_count(emulator, "POST /api/v1/jobs/get_without_logs") == reads

        world.sync()
        world.life(first)
        emulator.advance(3600)
        missed = [world.sync(statistics="attempts") for _ in range(6)]
        emulator.advance(3600)
        for _ in range(2):
            world.sync(rows=0)
        emulator.advance(3600)
        world.sync(status="failed")
        world.life(second)

    def test_rows_that_were_read_before_an_error_are_not_read_again(self, world, emulator):
        async def scenario(triggerer):
            await world.watch(triggerer)
            emulator.job_lists.has_counters = False
            jobs = [world.sync() for _ in range(8)]
            emulator.clear_requests()
            emulator.call_next("GET /jobs/{jobId}", fail_later)
            await triggerer.until(lambda: triggerer.jobs() == jobs)
            assert request_count(emulator, "GET /jobs/{jobId}") <= len(jobs) + 6

        def fail_later():
            emulator.call_next("GET /jobs/{jobId}", lambda: None, 5)
            emulator.fail_next("GET /jobs/{jobId}", 401, 2)

        world.life(scenario)

    def test_one_that_was_not_watched_for_long_does_not_make_the_others_read_so_far_back(
        self, world, emulator
    ):
        connections = [emulator.add_connection() for _ in range(FEW + 1)]
        busy = emulator.add_connection()
        ids = range(1, len(connections) + 1)

        async def watch(triggerer):
            for each in connections:
                trigger = world.trigger(each, poll_interval=3600, catch_up="all")
                await triggerer.start(trigger, [each])

        async def first(triggerer):
            await watch(triggerer)
            await triggerer.until(lambda: all(map(world.store.of, connections)))

        async def second(triggerer):
            emulator.clear_requests()
            await watch(triggerer)
            await triggerer.until(lambda: [triggerer.jobs(each) for each in ids] == missed)
            assert world.looks() < 2 * len(connections) + 10

        world.life(first)
        emulator.advance(3600)
        missed = [[world.sync(connections[0])]]
        for _ in range(2500):
            world.sync(busy, after=60)
        world.life(self._watching(world, connections[1:]))
        emulator.advance(3600)
        missed[0].append(world.sync(connections[0]))
        missed += [[world.sync(each)] for each in connections[1:]]
        world.life(second)

    @staticmethod
    def _watching(world: World, connections: list[str]) -> Scenario:
        """A life in which connections are watched until that is stored."""

        async def scenario(triggerer: Triggerer) -> None:
            before = world.store.writes
            for each in connections:
                await triggerer.start(world.trigger(each, poll_interval=3600), [each])
            await triggerer.until(lambda: world.store.writes >= before + len(connections))

        return scenario

    def test_connections_with_other_intervals_are_watched_apart(self, world):
        assert world.trigger().shared_stream_key() == world.trigger(UNKNOWN_ID).shared_stream_key()
        assert (
            world.trigger().shared_stream_key()
            != world.trigger(poll_interval=60).shared_stream_key()
        )

    def test_a_connection_that_is_watched_later_is_looked_at_soon(self, world, emulator):
        other = emulator.add_connection()

        async def scenario(triggerer):
            await triggerer.start(world.trigger(poll_interval=3600), [ASSET])
            await triggerer.until(lambda: world.store.of(ASSET))
            await triggerer.start(world.trigger(other, poll_interval=3600), ["other"])
            await triggerer.until(lambda: world.store.of("other"))

        world.life(scenario)

    def test_a_connection_that_is_watched_later_does_not_report_what_ended_before(
        self, world, emulator
    ):
        other = emulator.add_connection()

        async def scenario(triggerer):
            await world.watch(triggerer)
            world.sync(other)
            mine = world.sync()
            await triggerer.until(lambda: triggerer.jobs() == [mine])
            late = await triggerer.start(world.trigger(other), ["other"])
            await triggerer.until(lambda: world.store.of("other"))
            new = world.sync(other)
            await triggerer.until(lambda: triggerer.jobs(late))
            assert triggerer.jobs(late) == [new]

        world.life(scenario)


@needs_shared_streams
class TestTrouble:
    """No trigger ever ends with an error, and the log has one line for each change."""

    def test_an_outage_is_survived_and_told_once(self, world, emulator, lines):
        async def scenario(triggerer):
            await world.watch(triggerer)
            emulator.fail_next(LIST, 503, 4)
            await world.look(triggerer, 4)
            jobs = [world.sync(), world.sync()]
            await triggerer.until(lambda: triggerer.jobs() == jobs)

        world.life(scenario)

        assert len([line for line in lines if "not watched at the moment" in line]) == 1
        assert len([line for line in lines if "watched again" in line]) == 1

    def test_syncs_that_end_long_before_the_next_good_look_make_events(self, world, emulator):
        """So it is during an outage, and with a poll interval of some minutes."""
        other = emulator.add_connection()

        async def scenario(triggerer):
            await world.watch(triggerer)
            emulator.fail_next(LIST, 503, 4)
            jobs = []
            for _ in range(3):
                jobs.append(world.sync())
                emulator.advance(600)
            world.sync(other)
            await triggerer.until(lambda: len(triggerer.jobs()) >= 3)
            await world.look(triggerer)
            assert triggerer.jobs() == jobs

        world.life(scenario)

    def test_the_first_syncs_of_a_new_airbyte_make_events_however_late_they_are_seen(
        self, world, emulator
    ):
        async def scenario(triggerer):
            await world.watch(triggerer)
            early = world.sync()
            emulator.advance(600)
            jobs = [early, world.sync()]
            await triggerer.until(lambda: triggerer.jobs() == jobs)

        world.life(scenario)

    def test_a_look_that_fails_half_way_loses_no_sync(self, world, emulator):
        emulator.job_lists.has_counters = False
        other = emulator.add_connection()

        async def scenario(triggerer):
            await world.watch(triggerer)
            # Which job it is about is known by then: its rows are read.
            emulator.fail_next("GET /jobs/{jobId}", 401, 2)
            job_id = world.sync()
            emulator.advance(600)
            world.sync(other)
            await triggerer.until(triggerer.events)
            assert triggerer.jobs() == [job_id]
            assert request_count(emulator, "GET /jobs/{jobId}") == 3

        world.life(scenario)

    def test_one_failure_that_passes_is_not_told(self, world, emulator, lines):
        async def scenario(triggerer):
            await world.watch(triggerer)
            lines.clear()
            emulator.fail_next(LIST, 503)
            await world.look(triggerer, 3)

        world.life(scenario)

        assert lines == []

    def test_another_situation_is_another_line(self, world, emulator, lines):
        async def scenario(triggerer):
            await world.watch(triggerer)
            emulator.fail_next(LIST, 503, 2)
            emulator.fail_next(LIST, 403, 2)
            await triggerer.until(lambda: any("watched again" in line for line in lines))

        world.life(scenario)

        told = [line for line in lines if "not watched at the moment" in line]
        assert ["503" in line for line in told] == [True, False]
        assert ["403" in line for line in told] == [False, True]

    def test_a_rotated_secret_is_found(self, world, emulator, lines, monkeypatch):
        async def scenario(triggerer):
            await world.watch(triggerer)
            emulator.rotate_secret()
            emulator.revoke_tokens()
            await triggerer.until(lambda: any("not watched" in line for line in lines))
            job_id = world.sync()
            monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)
            await triggerer.until(lambda: triggerer.jobs() == [job_id])

        world.life(scenario)

        assert len([line for line in lines if "not watched at the moment" in line]) == 1

    def test_an_airflow_connection_that_is_missing_is_found_once_it_exists(
        self, world, emulator, lines, monkeypatch
    ):
        monkeypatch.delenv(CONNECTION_VARIABLE)

        async def scenario(triggerer):
            await triggerer.start(world.trigger(), [ASSET])
            await triggerer.until(lambda: lines)
            monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)
            await triggerer.until(lambda: world.store.of(ASSET))
            job_id = world.sync()
            await triggerer.until(lambda: triggerer.jobs() == [job_id])

        world.life(scenario)

        assert len([line for line in lines if CONN_ID in line and "not watched" in line]) == 1

    def test_an_airbyte_that_refuses_the_list_is_told_once(self, world, emulator, lines):
        emulator.fail_next(LIST, 403, 3)

        async def scenario(triggerer):
            await world.watch(triggerer)

        world.life(scenario)

        assert len([line for line in lines if "not watched at the moment" in line]) == 1

    def test_a_list_in_another_order_is_told_once(self, world, emulator, lines):
        for _ in range(3):
            world.sync(after=100)
        emulator.job_lists.ignore("orderBy")

        async def scenario(triggerer):
            await triggerer.start(world.trigger(), [ASSET])
            await world.look(triggerer, 3)
            emulator.job_lists.ignore()
            await triggerer.until(lambda: world.store.of(ASSET))

        world.life(scenario)

        assert len([line for line in lines if "list of jobs is unusable" in line]) == 1

    @pytest.mark.parametrize("instance_admin", [False, True])
    def test_an_unknown_connection_is_told_once_and_others_are_watched(
        self, world, lines, instance_admin, monkeypatch
    ):
        emulator = Emulator(time="manual", instance_admin=instance_admin)
        world = World(emulator, monkeypatch)

        async def scenario(triggerer):
            await triggerer.start(world.trigger(UNKNOWN_ID), ["unknown"])
            await world.watch(triggerer)
            job_id = world.sync()
            await triggerer.until(lambda: triggerer.jobs(2) == [job_id])
            await world.look(triggerer)

        with emulator.serve():
            monkeypatch.setenv(CONNECTION_VARIABLE, emulator.connection_uri)
            world.life(scenario)

        (line,) = [line for line in lines if "does not exist" in line]
        assert UNKNOWN_ID in line
        assert CONN_ID in line

    def test_a_connection_that_was_deleted_while_nobody_watched_keeps_no_other_from_catching_up(
        self, world, emulator
    ):
        async def first(triggerer):
            await world.watch(triggerer)

        async def second(triggerer):
            await triggerer.start(world.trigger(UNKNOWN_ID), ["deleted"])
            await triggerer.start(world.trigger(), [ASSET])
            await triggerer.until(lambda: triggerer.jobs(2) == [missed])

        world.life(first)
        ((_, key),) = world.store.values
        value = world.store.of(ASSET)
        world.store.values["deleted", key.replace(emulator.connection_id, UNKNOWN_ID)] = value
        emulator.advance(3600)
        missed = world.sync()
        world.life(second)

    @pytest.mark.parametrize("number", [1, FEW + 1])
    def test_a_connection_whose_jobs_cannot_be_read_keeps_no_other_from_catching_up(
        self, number, world, emulator, lines
    ):
        others = [emulator.add_connection() for _ in range(number)]

        async def first(triggerer):
            for each in (emulator.connection_id, *others):
                await triggerer.start(world.trigger(each), [each])
            await triggerer.until(lambda: all(map(world.store.of, others)))

        def is_history(query):
            """Whether a list of old jobs is asked for, in which are those of the connection."""
            connection_id = query.get("connectionId", [emulator.connection_id])[0]
            since = query.get("updatedAtStart", ["now"])[0]
            return connection_id == emulator.connection_id and since.startswith("2026-03-25T01:")

        def garble(body):
            return {} if is_garbled and is_history(emulator.requests[-1].query) else body

        async def second(triggerer):
            for each in (emulator.connection_id, *others):
                await triggerer.start(world.trigger(each), [each])
            ids = range(2, len(missed) + 1)
            await triggerer.until(
                lambda: [triggerer.jobs(each) for each in ids] == [[each] for each in missed[1:]]
            )
            await world.look(triggerer)
            assert triggerer.jobs() == []
            is_garbled.clear()
            await triggerer.until(lambda: triggerer.jobs() == missed[:1])

        world.sync()
        world.life(first)
        emulator.advance(3600)
        missed = [world.sync(each) for each in (emulator.connection_id, *others)]
        is_garbled = [True]
        emulator.alter_next(LIST, garble, None)
        world.life(second)

        (line,) = [line for line in lines if "cannot be read" in line]
        assert emulator.connection_id in line

    def test_unknown_ones_among_many_are_told(self, world, emulator, lines):
        connections = [emulator.add_connection() for _ in range(10)]

        async def scenario(triggerer):
            for each in [UNKNOWN_ID, *connections]:
                await triggerer.start(world.trigger(each), [each])
            await triggerer.until(lambda: all(map(world.store.of, connections)))

        world.life(scenario)

        assert [UNKNOWN_ID in line for line in lines if "does not exist" in line] == [True]

    def test_an_inactive_connection_is_told(self, world, emulator, lines):
        emulator.set_connection_status(emulator.connection_id, "inactive")

        async def scenario(triggerer):
            await world.watch(triggerer)

        world.life(scenario)

        assert len([line for line in lines if "is inactive" in line]) == 1

    def test_a_connection_that_is_switched_off_and_on_later_is_told(
        self, world, emulator, lines, monkeypatch
    ):
        monkeypatch.setattr(syncs, "_LOOK_INTERVAL", 0.0)
        monkeypatch.setattr(syncs, "_SHORT_LOOK_INTERVAL", 0.0)

        async def scenario(triggerer):
            await world.watch(triggerer)
            assert lines == []
            emulator.set_connection_status(emulator.connection_id, "inactive")
            await triggerer.until(lambda: len(lines) == 1)
            await world.look(triggerer)
            emulator.set_connection_status(emulator.connection_id, "active")
            await triggerer.until(lambda: len(lines) == 2)
            await world.look(triggerer)

        world.life(scenario)

        assert ["is inactive" in line for line in lines] == [True, False]
        assert "can be watched now" in lines[1]

    @pytest.mark.parametrize("status", [401, 500, 503])
    @pytest.mark.parametrize("number", [1, FEW + 1])
    def test_connections_that_cannot_be_read_keep_nobody_from_watching(
        self, number, status, world, emulator, lines, monkeypatch
    ):
        monkeypatch.setattr(syncs, "_LIST_PATIENCE", 0.2)
        emulator.fail_next("GET /connections/{connectionId}", status, None)
        emulator.fail_next("GET /connections", status, None)

        async def scenario(triggerer):
            await world.watch(triggerer)
            for _ in range(1, number):
                await triggerer.start(world.trigger(emulator.add_connection()), ["other"])
            await world.look(triggerer)
            assert any("events may have no job_url" in line for line in lines)
            job_id = world.sync()
            await triggerer.until(triggerer.events)
            (event,) = triggerer.events()
            assert (event["job_id"], event["job_url"]) == (job_id, "")

        world.life(scenario)

    def test_a_changed_airflow_connection_is_used(self, world, emulator, monkeypatch):
        monkeypatch.setattr(syncs, "_REREAD_INTERVAL", 0.0)
        other = Emulator(
            seed={"connections": [{"name": "C", "id": emulator.connection_id}]}, rows=7
        )

        async def scenario(triggerer):
            await world.watch(triggerer)
            monkeypatch.setenv(CONNECTION_VARIABLE, other.connection_uri)
            await triggerer.until(lambda: request_count(other, LIST))
            other.script_job(duration=0.0)
            other.start_sync()
            await triggerer.until(triggerer.events)
            (event,) = triggerer.events()
            assert event["rows_synced"] == 7
            assert other.workspace_id in event["job_url"]

        with other.serve():
            world.life(scenario)

    def test_an_airflow_connection_that_is_deleted_is_told_once_and_the_watch_goes_on(
        self, world, lines, monkeypatch
    ):
        monkeypatch.setattr(syncs, "_REREAD_INTERVAL", 0.0)

        async def scenario(triggerer):
            await world.watch(triggerer)
            monkeypatch.delenv(CONNECTION_VARIABLE)
            await triggerer.until(lambda: lines)
            job_id = world.sync()
            await triggerer.until(lambda: triggerer.jobs() == [job_id])

        world.life(scenario)

        (line,) = lines
        assert f"{CONN_ID} cannot be read again" in line

    def test_a_state_store_that_fails_for_a_moment_forgets_nothing(self, world, monkeypatch):
        # As many attempts, in less time.
        monkeypatch.setattr(watermarks, "_PAUSES", (0.0,) * len(watermarks._PAUSES))
        failures = iter([RuntimeError("the database fails over")] * 6)
        recover = world.store.asend

        async def asend(message):
            if failure := next(failures, None):
                raise failure
            return await recover(message)

        async def first(triggerer):
            await world.watch(triggerer)

        async def second(triggerer):
            monkeypatch.setattr(world.store, "asend", asend)
            await triggerer.start(world.trigger(), [ASSET])
            await triggerer.until(lambda: triggerer.jobs() == [missed])

        world.life(first)
        world.emulator.advance(3600)
        missed = world.sync()
        world.life(second)

    def test_without_a_state_store_events_go_on(self, world, lines, monkeypatch):
        monkeypatch.setattr(watermarks, "_PAUSES", (0.0,))
        world.store.error = RuntimeError("the database is down")

        async def scenario(triggerer):
            await triggerer.start(world.trigger(), [ASSET])
            await triggerer.until(lambda: world.looks() > 2)
            job_id = 0
            while not triggerer.jobs():
                job_id = world.sync()
                await world.look(triggerer)
            world.store.error = None
            await triggerer.until(lambda: world.is_reported(job_id))

        world.life(scenario)

        assert len([line for line in lines if "state store cannot be used" in line]) == 1
        assert len([line for line in lines if "works again" in line]) == 1

    def test_a_stored_value_of_something_else_is_replaced(self, world, lines):
        async def first(triggerer):
            await world.watch(triggerer)

        world.life(first)
        for key in world.store.values:
            world.store.values[key] = {"since": "yesterday"}
        writes = world.store.writes

        async def second(triggerer):
            await triggerer.start(world.trigger(), [ASSET])
            await triggerer.until(lambda: world.store.writes > writes)
            job_id = world.sync()
            await triggerer.until(lambda: triggerer.jobs() == [job_id])

        world.life(second)

        assert len([line for line in lines if "no usable watermark" in line]) == 1


@needs_shared_streams
class TestTwoAssets:
    def test_each_has_its_watermark(self, world):
        async def scenario(triggerer):
            await triggerer.start(world.trigger(), ["one", "two"])
            await triggerer.until(lambda: world.store.of("one") and world.store.of("two"))
            job_id = world.sync()
            await triggerer.until(lambda: world.is_reported(job_id, "two"))
            assert world.is_reported(job_id, "one")
            assert triggerer.jobs() == [job_id]

        world.life(scenario)

    def test_one_that_joins_keeps_the_other_from_missing_anything(self, world):
        async def first(triggerer):
            await triggerer.start(world.trigger(), ["one"])
            await triggerer.until(lambda: world.store.of("one"))

        async def second(triggerer):
            await triggerer.start(world.trigger(), ["one", "two"])
            await triggerer.until(lambda: triggerer.jobs() == [missed])

        world.life(first)
        world.emulator.advance(3600)
        missed = world.sync()
        world.life(second)


@pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="Airflow 3 has event triggers")
class TestAlone:
    """Before Airflow 3.3: nothing is shared or stored."""

    @pytest.fixture
    def events_during(self, world) -> Callable[..., list[dict[str, Any]]]:
        """Run a trigger by itself while a scenario happens; return its events."""

        def live(
            scenario: Callable[[list[dict[str, Any]]], Awaitable[None]],
        ) -> list[dict[str, Any]]:
            events: list[dict[str, Any]] = []

            async def run() -> None:
                async for event in world.trigger(catch_up="all").run():
                    events.append(event.payload)

            async def both() -> None:
                task = asyncio.create_task(run())
                async with asyncio.timeout(MAX_WAIT):
                    await scenario(events)
                assert not task.done()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            asyncio.run(both())
            return events

        return live

    def test_each_sync_that_succeeds_from_now_on_makes_an_event(
        self, world, emulator, events_during
    ):
        other = emulator.add_connection()
        jobs: list[int] = []

        async def scenario(events):
            while world.looks() < 2:
                await asyncio.sleep(0.01)
            world.sync(other)
            jobs.extend([world.sync(), world.sync()])
            while len(events) < 2:
                await asyncio.sleep(0.01)

        world.sync()

        assert [event["job_id"] for event in events_during(scenario)] == jobs

    def test_an_outage_is_survived(self, world, emulator, events_during):
        jobs: list[int] = []

        async def scenario(events):
            while world.looks() < 2:
                await asyncio.sleep(0.01)
            emulator.fail_next("*", 503, 5)
            jobs.append(world.sync())
            while not events:
                await asyncio.sleep(0.01)

        assert [event["job_id"] for event in events_during(scenario)] == jobs

    def test_the_log_says_once_what_is_lost(self, world, lines, events_during):
        async def scenario(events):
            while world.looks() < 3:
                await asyncio.sleep(0.01)

        events_during(scenario)

        told = [line for line in lines if "makes no event before Airflow 3.3" in line]
        assert len(told) == (0 if HAS_SHARED_STREAMS else 1)
