"""The metrics of jobs, as they arrive at a statsd server on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any, ClassVar, NamedTuple

import pytest
from airflow.providers.common.compat.sdk import Stats
from packaging.version import Version
from statsd import StatsClient

from airflow_provider_airbyte_sme.api import AirbyteJobFailedError, AirbyteJobTimeoutError
from airflow_provider_airbyte_sme.emulator import Emulator
from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteSyncSensor
from tests.integration.conftest import MAX_WAIT, request_count
from tests.tasks import TaskRun, TaskStateStore

AIRFLOW = Version(version("apache-airflow")).release
DETAILS = "POST /api/v1/jobs/get_without_logs"
PREFIX = "airflow.airbyte_sme.job."


class Metric(NamedTuple):
    """
    One metric, as statsd gets it.

    :param kind: ``c`` for a counter, ``ms`` for a timing.
    """

    value: float
    kind: str
    tags: dict[str, str]


class Statsd:
    """A statsd server that keeps what it gets."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        # All arrives on the loopback interface before the sender goes on.
        self._socket.setblocking(False)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def ours(self) -> dict[str, list[Metric]]:
        """Return our metrics since the last call, by the last part of their names."""
        found: dict[str, list[Metric]] = {}
        while True:
            try:
                text = self._socket.recv(65_536).decode()
            except BlockingIOError:
                return found
            name, _, rest = text.partition(":")
            name, *tags = name.split(",")
            value, kind = rest.split("|")[:2]
            if name.startswith(PREFIX):
                metric = Metric(float(value), kind, dict(tag.split("=") for tag in tags))
                found.setdefault(name.removeprefix(PREFIX), []).append(metric)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator on whose clock nothing happens by itself."""
    emulator = Emulator(time="manual", rows=120)
    with emulator.serve():
        yield emulator


class Client(StatsClient):  # type: ignore[misc]  # it has no types
    """Airflow's statsd client, which Airflow itself never closes."""

    made: ClassVar[list[StatsClient]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append(self)


def restart_stats() -> Callable[[], None]:
    """Let Airflow read how to send metrics, as a new process does; return what undoes that."""
    stats: Any = Stats
    if AIRFLOW < (3, 2):
        from airflow.metrics import statsd_logger  # type: ignore[import-not-found]

        before = type(stats).factory

        def use(factory: Any) -> None:
            type(stats).factory, stats.instance = factory, None

        use(statsd_logger.get_statsd_logger)
        return lambda: use(before)
    from airflow.sdk.observability.metrics import stats_utils

    get_factory: Any = stats_utils.get_stats_factory

    def read() -> None:
        if AIRFLOW < (3, 3):
            stats.initialize(factory=get_factory(stats))
        else:
            stats.initialize(factory=get_factory(), export_legacy_names=True)

    read()
    return read


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    """A statsd server to which Airflow sends its metrics, with tags."""
    server = Statsd()
    for name, value in {
        "STATSD_ON": "True",
        "STATSD_HOST": "127.0.0.1",
        "STATSD_PORT": str(server.port),
        "STATSD_INFLUXDB_ENABLED": "True",
        # Airflow 2.11 warns of the other way.
        "METRICS_USE_PATTERN_MATCH": "True",
        "STATSD_CUSTOM_CLIENT_PATH": f"{Client.__module__}.{Client.__name__}",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)
    undo = restart_stats()
    yield server
    monkeypatch.undo()
    undo()
    while Client.made:
        Client.made.pop().close()
    server.close()


@pytest.fixture
def history(emulator: Emulator) -> Callable[..., int]:
    """Run a sync that is queued for a while and takes a while; return its number."""

    def run(end: str = "succeeded", queued: float = 40, rows: int = 120) -> int:
        emulator.script_job(statuses=[("pending", queued), ("running", 60), (end, None)], rows=rows)
        job_id = emulator.start_sync()
        emulator.advance(queued + 60)
        return job_id

    return run


def tags(emulator: Emulator, status: str, task_id: str = "job", **more: str) -> dict[str, str]:
    run_tags = {"dag_id": "adhoc_airflow", "task_id": task_id}
    common = {"job_type": "sync", "connection_id": emulator.connection_id}
    return {**common, "status": status, **run_tags, **more}


class TestEnd:
    def test_an_operator_sends_what_it_knows_once(self, emulator, sync_run, deferrable, statsd):
        emulator.script_job(statuses=[("running", None)])
        emulator.call_next("GET /jobs/{jobId}", lambda: finish_after(emulator, 90), after=True)

        result = sync_run(deferrable=deferrable).finish()

        sent = statsd.ours()
        expected = tags(emulator, "succeeded")
        assert sent.pop("finished") == [Metric(1, "c", expected)]
        assert sent.pop("duration") == [Metric(90_000, "ms", expected)]
        assert sent.pop("queued") == [Metric(0, "ms", expected)]
        assert sent.pop("rows_synced") == [Metric(120, "c", expected)]
        assert sent.pop("bytes_synced") == [Metric(result["bytes_synced"], "c", expected)]
        assert sent == {}

    def test_queued_is_the_time_until_the_first_attempt(
        self, emulator, sensor_run, deferrable, history, statsd
    ):
        job_id = history(queued=40)

        sensor_run(job_id, deferrable=deferrable).finish()

        sent = statsd.ours()
        expected = tags(emulator, "succeeded", "wait")
        assert sent["queued"] == [Metric(40_000, "ms", expected)]
        assert sent["duration"] == [Metric(100_000, "ms", expected)]

    @pytest.mark.parametrize("end", ["failed", "cancelled"])
    def test_a_job_that_did_not_succeed_is_measured_too(
        self, emulator, sensor_run, history, statsd, end
    ):
        job_id = history(end)

        with pytest.raises(Exception, match=end):
            sensor_run(job_id, deferrable=False).finish()

        sent = statsd.ours()
        assert sent["finished"] == [Metric(1, "c", tags(emulator, end, "wait"))]
        assert [metric.value for metric in sent["duration"]] == [100_000]

    def test_a_sync_sensor_measures_the_sync_that_ends_its_wait(
        self, emulator, history, statsd, deferrable
    ):
        began = emulator.now
        history()
        sensor = AirbyteSyncSensor(
            task_id="wait",
            connection_id=emulator.connection_id,
            completed_after=began,
            deferrable=deferrable,
            timeout=MAX_WAIT,
        )

        TaskRun(sensor).finish()

        assert statsd.ours()["finished"] == [Metric(1, "c", tags(emulator, "succeeded", "wait"))]

    def test_what_airbyte_does_not_say_is_not_sent(self, emulator, sensor_run, history, statsd):
        job_id = history()
        emulator.fail_next(DETAILS, 404, times=None)

        sensor_run(job_id, deferrable=False).finish()

        assert sorted(statsd.ours()) == ["bytes_synced", "duration", "finished", "rows_synced"]

    def test_a_retry_does_not_measure_the_same_job_again(
        self, emulator, sensor_run, history, statsd
    ):
        job_id, store = history("failed"), TaskStateStore()

        for _ in range(2):
            run = sensor_run(job_id, deferrable=False)
            run.store = store
            with pytest.raises(AirbyteJobFailedError):
                run.finish()

        assert len(statsd.ours()["finished"]) == 1

    def test_a_sensor_that_pokes_on_after_errors_measures_its_job_once(
        self, sensor_run, history, statsd
    ):
        run = sensor_run(history("failed"), deferrable=False, silent_fail=True)

        for _ in range(2):
            with pytest.raises(AirbyteJobFailedError):
                run.task.poke(run.context)

        assert len(statsd.ours()["finished"]) == 1

    def test_a_job_that_is_cancelled_at_the_timeout_is_measured(
        self, emulator, sync_run, deferrable, statsd
    ):
        emulator.script_job(statuses=[("running", None)])

        with pytest.raises(AirbyteJobTimeoutError, match="It was cancelled"):
            sync_run(deferrable=deferrable, timeout=0.2).finish()

        assert statsd.ours()["finished"] == [Metric(1, "c", tags(emulator, "cancelled"))]

    def test_a_job_that_runs_on_after_the_timeout_is_not_measured(
        self, emulator, sync_run, deferrable, statsd
    ):
        emulator.script_job(statuses=[("running", None)])

        with pytest.raises(AirbyteJobTimeoutError, match="It is left running"):
            sync_run(deferrable=deferrable, timeout=0.2, cancel_on_timeout=False).finish()

        assert statsd.ours() == {}

    def test_what_was_read_for_the_metrics_is_not_read_again(
        self, emulator, sensor_run, history, statsd
    ):
        job_id = history()

        sensor_run(job_id, deferrable=False, min_rows_of={"users": 1}).finish()

        assert "queued" in statsd.ours()
        assert request_count(emulator, DETAILS) == 1


class TestSlow:
    def test_an_alarm_is_counted_once(self, emulator, sync_run, deferrable, statsd):
        emulator.script_job(statuses=[("running", None)])
        run = sync_run(
            deferrable=deferrable, slow_after=0.2, on_slow=lambda _: emulator.finish_job(1)
        )

        run.finish()

        assert statsd.ours()["slow"] == [Metric(1, "c", tags(emulator, "running"))]


class TestOff:
    def test_nothing_is_asked_for_if_airflow_sends_no_metrics(self, emulator, sensor_run, history):
        job_id, store = history(), TaskStateStore()
        run = sensor_run(job_id, deferrable=False)
        run.store = store

        run.finish()

        assert request_count(emulator, DETAILS) == 0
        assert store.uses == []

    def test_a_metrics_server_that_is_away_changes_nothing(
        self, emulator, sensor_run, history, statsd
    ):
        statsd.close()

        result = sensor_run(history(), deferrable=False).finish()

        assert result["status"] == "succeeded"

    def test_a_metrics_client_that_fails_does_not_fail_the_task(
        self, sensor_run, history, statsd, monkeypatch, task_log
    ):
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", "no port")
        restart_stats()

        result = sensor_run(history(), deferrable=False).finish()

        assert result["status"] == "succeeded"
        assert "are not sent." in task_log()


def finish_after(emulator: Emulator, seconds: float) -> None:
    """Let the newest job end, so many seconds after its creation."""
    if emulator.jobs[max(emulator.jobs)].status == "running":
        emulator.advance(seconds)
        emulator.finish_job(max(emulator.jobs))
