"""The fault matrix over real sockets: each fault, for each way of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor, AirbyteSyncSensor
from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger
from tests.integration import fault_matrix_document
from tests.integration.fault_matrix import ROWS, End, Row
from tests.integration.fault_scenes import (
    JOB_SENSOR,
    SYNC,
    SYNC_SENSOR,
    TIMEOUT,
    TOKEN_LIFETIME,
    WAYS,
    Scene,
    Way,
)
from tests.integration.jumping_time import JumpingClock, Triggerer
from tests.tasks import TaskInstance, TaskRun, first_event
from tests.unit.api.certificates import Certificates

# An exception after which Airflow does not retry a task.
NEVER_RETRIED = (AirflowFailException, AirflowSensorTimeout)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> JumpingClock:
    clock = JumpingClock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def emulator(clock: JumpingClock) -> Emulator:
    return Emulator(sync_duration=SYNC, token_lifetime=TOKEN_LIFETIME, threads=None)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificates, Certificates]:
    """Those of an authority that the Airflow connection names, and those of an unknown one."""
    named, unknown = (tmp_path_factory.mktemp("certificates") for _ in range(2))
    return Certificates.made_in(named), Certificates.made_in(unknown)


@pytest.fixture
def triggerer(clock: JumpingClock, monkeypatch: pytest.MonkeyPatch) -> Triggerer:
    return Triggerer(clock, monkeypatch)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def airflow_connection() -> None:
    """The scene stores the Airflow connection."""


class Stage:
    """Plays one task."""

    def __init__(self, scene: Scene, triggerer: Triggerer) -> None:
        self._scene = scene
        self._triggerer = triggerer
        self._job_id = 0

    def play(self, row: Row) -> Any:
        """Run the task from its start to its end, as Airflow's processes do."""
        scene = self._scene
        row.inject(scene)
        self._since = scene.since
        if not scene.way.is_operator and scene.has_sync:
            self._job_id = scene.expected_job = scene.start_sync()
        scene.store_connection()
        if not scene.way.is_deferred:
            for act in scene.at_deferral:
                act()
            scene.begin_wait()
        run = TaskRun(self._task(), TaskInstance())
        result, resumed = run.start(), 0
        while len(run.deferrals) > resumed:
            if not resumed:
                for act in scene.at_deferral:
                    act()
                scene.begin_wait()
            resumed = len(run.deferrals)
            event = self._triggerer.run(self._event(run.deferrals[-1].trigger))
            for act in scene.at_end:
                act()
            # Another process: nothing is known but what Airflow has stored.
            run.task = self._task()
            result = run.resume(event)
        return result

    def _task(self) -> Any:
        scene = self._scene
        common: dict[str, Any] = {
            "task_id": "task",
            "airbyte_conn_id": scene.conn_id,
            "deferrable": scene.way.is_deferred,
            "timeout": TIMEOUT,
        }
        if scene.way == JOB_SENSOR:
            return AirbyteJobSensor(airbyte_job_id=self._job_id, **common)
        connection_id = scene.emulator.connection_id
        if scene.way == SYNC_SENSOR:
            return AirbyteSyncSensor(
                connection_id=connection_id, completed_after=self._since, **common
            )
        return AirbyteTriggerSyncOperator(connection_id=connection_id, **common)

    async def _event(self, trigger: Any) -> dict[str, Any]:
        others = [
            asyncio.create_task(first_event(self._trigger_of(job_id)))
            for job_id in self._scene.companions
        ]
        event = await first_event(trigger)
        for other in others:
            other.cancel()
        if others:
            await asyncio.wait(others)
        return event

    def _trigger_of(self, job_id: int) -> AirbyteJobTrigger:
        return AirbyteJobTrigger(
            airbyte_conn_id=self._scene.conn_id,
            job_id=job_id,
            connection_id=self._scene.emulator.jobs[job_id].connection_id,
            deadline=self._scene.clock.time() + TIMEOUT,
        )


def syncs_of_task(scene: Scene) -> set[int]:
    return set(scene.emulator.jobs) - scene.foreign_jobs


def cancels_of_task(scene: Scene) -> set[int]:
    return {
        job_id
        for job_id, job in scene.emulator.jobs.items()
        if job.status == "cancelled" and job_id not in scene.cancelled_by_others
    }


def id_of(value: object) -> str | None:
    if isinstance(value, Row):
        return f"{value.fault}, {value.when}"
    return value.name if isinstance(value, Way) else None


@pytest.mark.parametrize("way", WAYS, ids=id_of)
@pytest.mark.parametrize("row", ROWS, ids=id_of)
def test_a_task_ends_as_the_table_says(
    row: Row,
    way: Way,
    emulator: Emulator,
    clock: JumpingClock,
    triggerer: Triggerer,
    certificates: tuple[Certificates, Certificates],
    monkeypatch: pytest.MonkeyPatch,
    stack: ExitStack,
    task_log: Callable[[], str],
) -> None:
    scene = Scene(way, emulator, clock, *certificates, monkeypatch, stack)
    expected = row.end(way)

    result: Any = None
    error: Exception | None = None
    try:
        result = Stage(scene, triggerer).play(row)
    except Exception as raised:
        error = raised

    log = task_log()
    happened = End(
        error="" if error is None else type(error).__name__,
        is_retried=error is not None and not isinstance(error, NEVER_RETRIED),
        says=tuple(text for text in expected.says if text in str(error)),
        logs=tuple(text for text in expected.logs if text in log),
        syncs=len(syncs_of_task(scene)),
        cancels=len(cancels_of_task(scene)),
        note=expected.note,
    )
    assert happened == expected, f"{error!r} {result}"
    assert scene.has_struck
    if error is None:
        (job_id,) = syncs_of_task(scene) if way.is_operator else (scene.expected_job,)
        assert (result["job_id"], result["status"]) == (job_id, "succeeded")
        assert result["adopted"] is not way.is_operator


def test_the_document_shows_the_table() -> None:
    document = fault_matrix_document.DOCUMENT.read_text(encoding="utf-8")

    assert fault_matrix_document.section_of(document) == fault_matrix_document.section(), (
        f"docs/reliability.md differs from the table: run `{fault_matrix_document.COMMAND}`"
    )


def test_every_row_is_another_fault() -> None:
    assert len({(row.fault, row.when) for row in ROWS}) == len(ROWS)


def test_no_task_starts_two_syncs_or_cancels_one() -> None:
    """The introduction of the table in the document says so."""
    ends = [(row.end(way), way) for row in ROWS for way in WAYS]

    assert {end.syncs for end, way in ends if way.is_operator} <= {0, 1}
    assert {end.syncs for end, way in ends if not way.is_operator} == {0}
    assert {end.cancels for end, _ in ends} == {0}
